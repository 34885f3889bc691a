//! Runs the enabled inputs: a new one at once, then every `interval` seconds. What they write is indexed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Stanza;
use crate::model::World;
use crate::run::{Instance, stream};
use crate::simulator::{clock, lock};

/// What log lines name as the program of inputs.
pub const PROGRAM: &str = "/opt/splunk/etc/apps/TA_defender/bin/defender";

/// How often it looks for inputs that are due.
const LOOK: Duration = Duration::from_millis(100);

/// The thread that runs inputs; it stops when this is dropped.
pub struct Schedule {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Schedule {
    pub(crate) fn start(world: &Arc<Mutex<World>>) -> Self {
        let (stop, world) = (Arc::new(AtomicBool::new(false)), Arc::clone(world));
        let stopping = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut ran: BTreeMap<String, (Stanza, Instant)> = BTreeMap::new();
            while !stopping.load(Ordering::SeqCst) {
                let (instance, inputs) = {
                    let world = lock(&world);
                    let inputs = world.splunkd.inputs("defender").map(|(name, values)| (name.clone(), values.clone()));
                    (world.splunkd.instance.clone(), inputs.collect::<BTreeMap<_, _>>())
                };
                // An input that is edited or enabled starts at once.
                ran.retain(|name, (values, _)| inputs.get(name) == Some(values));
                for (name, values) in inputs.into_iter().filter(|(_, values)| !is_disabled(values)) {
                    // Cron schedules are not played: such an input waits for ever.
                    let interval = values.get("interval").map_or("60", String::as_str);
                    let Ok(interval) = interval.parse() else { continue };
                    let due = ran.get(&name).is_none_or(|(_, at)| at.elapsed() >= Duration::from_secs(interval));
                    if let Some(instance) = instance.as_ref().filter(|_| due) {
                        ran.insert(name.clone(), (values.clone(), Instant::now()));
                        run(&world, instance, &name, &values);
                    }
                }
                thread::sleep(LOOK);
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn is_disabled(values: &Stanza) -> bool {
    values.get("disabled").is_some_and(|value| value == "1" || value == "true")
}

fn run(world: &Mutex<World>, instance: &Instance, name: &str, values: &Stanza) {
    if values.get("feed").is_some_and(|feed| feed == "event_hub") {
        // It would stay running, and every other input would wait for it.
        let mut world = lock(world);
        let (now, line) = (clock(&world), format!("ERROR defender://{name}: this stand-in of splunkd keeps no input running"));
        return world.splunkd.journal.log(&line, PROGRAM, now);
    }
    let mut params = values.clone();
    for (key, value) in [("interval", "60"), ("index", "default"), ("host", "$decideOnStartup"), ("start_by_shell", "false")] {
        params.entry(key.to_string()).or_insert_with(|| value.to_string());
    }
    let outcome = instance.poll(name, &params);
    let mut world = lock(world);
    let now = clock(&world);
    match outcome.and_then(|run| Ok((stream::events(&run.stdout)?, run.stderr))) {
        Ok((events, stderr)) => {
            for event in &events {
                world.splunkd.journal.index(event, &params);
            }
            for line in stderr.lines() {
                world.splunkd.journal.log(line, PROGRAM, now);
            }
        }
        Err(error) => world.splunkd.journal.log(&format!("ERROR {error}"), PROGRAM, now),
    }
}
