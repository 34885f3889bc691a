//! Raw events from an event hub, through a proxy and a WebSocket: a process that stays, is stopped, and goes on.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use simulator::Simulator;
use simulator::chance::Chance;
use simulator::proxy::Access;

use crate::splunk::Splunk;

const HUB: &str = "insights-defender";
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tells it.
pub(crate) fn tell(splunk: &Splunk<'_>, simulator: &Simulator) -> Result<(), String> {
    let hubs = simulator.event_hubs();
    hubs.create(HUB, 2);
    let mut chance = Chance::new(7);
    let mut publish = |messages: usize| {
        for n in 0..messages {
            hubs.publish_records(HUB, n % 2, &mut chance, 5);
        }
    };
    let proxy = simulator.proxy(Access::Open).map_err(|error| format!("no proxy: {error}"))?;
    simulator.world(|world| world.splunkd.set_conf("defender_settings", "proxy", &[("url", &proxy.url())]));

    publish(40);
    let mut run = Running::start(splunk)?;
    run.wait(200)?;
    println!(
        "  200 records that were there:      {:>5} ms after the start, through the proxy's tunnel",
        run.begun.elapsed().as_millis()
    );
    let published = Instant::now();
    publish(2);
    run.wait(210)?;
    println!("  10 more, while it runs:           {:>5} ms after they were published", published.elapsed().as_millis());
    // A position is saved a second after its events at the latest.
    run.wait_for_position(splunk, "\"after\":20")?;
    println!("  SIGTERM:                          {:>5} ms until it had ended", run.stop()?);

    publish(2);
    let mut run = Running::start(splunk)?;
    run.wait(10)?;
    run.stop()?;
    let came = run.count();
    println!("  Started again:                    {came:>5} records, those published meanwhile");
    simulator.world(|world| world.splunkd.set_conf("defender_settings", "proxy", &[("url", "")]));
    if came == 10 { Ok(()) } else { Err(format!("{came} records came in place of 10")) }
}

/// The program, as it stays.
struct Running {
    child: Child,
    begun: Instant,
    taken: Arc<Mutex<Vec<u8>>>,
}

impl Running {
    fn start(splunk: &Splunk<'_>) -> Result<Self, String> {
        let xml = splunk.definition(
            "demo_raw",
            &[
                ("feed", "event_hub"),
                ("account", "demo"),
                ("event_hub_namespace", "contoso.servicebus.windows.net"),
                ("event_hub_name", HUB),
                ("transport", "websocket"),
                ("start", "earliest"),
            ],
        );
        let begun = Instant::now();
        let mut child = Command::new(&splunk.program)
            .env_clear()
            .env("SPLUNK_HOME", splunk.simulator.splunk_home())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| format!("the program does not start: {error}"))?;
        // splunkd leaves the pipe open; what is dropped here is closed, which makes no difference.
        let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(xml.as_bytes()));
        written.map_err(|error| format!("the program does not read: {error}"))?;
        let taken = Arc::new(Mutex::new(Vec::new()));
        if let Some(mut stdout) = child.stdout.take() {
            let taken = Arc::clone(&taken);
            thread::spawn(move || {
                let mut block = [0; 1 << 16];
                while let Ok(count @ 1..) = stdout.read(&mut block) {
                    if let Ok(mut taken) = taken.lock() {
                        taken.extend_from_slice(&block[..count]);
                    }
                }
            });
        }
        Ok(Running { child, begun, taken })
    }

    fn count(&self) -> usize {
        self.taken.lock().map_or(0, |taken| taken.windows(9).filter(|bytes| bytes == b"</event>\n").count())
    }

    fn wait(&mut self, events: usize) -> Result<(), String> {
        self.until(|run| run.count() >= events)
    }

    fn wait_for_position(&mut self, splunk: &Splunk<'_>, text: &str) -> Result<(), String> {
        let folder = splunk.simulator.checkpoint_dir();
        let saved = |id: u8| {
            std::fs::read_to_string(folder.join(format!("demo_raw.hub.{id}.json"))).is_ok_and(|saved| saved.contains(text))
        };
        self.until(|_| saved(0) && saved(1))
    }

    fn until(&mut self, holds: impl Fn(&Self) -> bool) -> Result<(), String> {
        let begun = Instant::now();
        while !holds(self) {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it ended with {status}"));
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{} records came within a minute", self.count()));
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Asks it to end; the milliseconds that took.
    fn stop(&mut self) -> Result<u128, String> {
        let asked = Instant::now();
        let kill = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        kill.map_err(|error| format!("it cannot be stopped: {error}"))?;
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(asked.elapsed().as_millis()) } else { Err(format!("it ended with {status}")) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After a failure; one that ended does not mind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
