//! Ends at any moment, by a crash and by a stop, over HTTPS and while the objects change: what all runs wrote together is
//! what the service held, and a crash repeats at most the answer it fell into.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use simulator::chance::Chance;
use simulator::model::Alert;
use simulator::throttle::Limits;
use simulator::{Config, FaultKind, Route, Time, When};

use crate::support::{Ended, Input, List, Running, Stage, meanwhile};

/// Runs that are killed, of each list.
const KILLS: usize = 100;
/// Runs that are asked to stop.
const STOPS: usize = 60;
/// Objects per request.
const PAGE: usize = 8;

/// One version of one object: whether it is an alert of an incident, id, update time.
type Version = (bool, String, Time);

fn stage(incidents: usize, alerts: usize) -> Stage {
    Stage::with(Config { incidents, alerts, tls: true, splunkd_tls: true, limits: Limits::Off, ..Stage::config() })
}

fn input(stage: &Stage, list: List) -> Input<'_> {
    stage.input(list).set("page_size", &PAGE.to_string()).set("lookback", "10s")
}

/// The newest version of every object.
fn held(stage: &Stage, list: List) -> BTreeSet<Version> {
    stage.sim.world(|world| match list.inner_identity() {
        None => world.alerts().map(|alert| (false, alert.id.clone(), alert.updated)).collect(),
        Some(_) => {
            let own = world.incidents().map(|incident| (false, incident.id.to_string(), incident.updated));
            let inner = world.incidents().flat_map(|incident| world.alerts_of(incident.id));
            own.chain(inner.map(|alert| (true, alert.id.clone(), alert.updated))).collect()
        }
    })
}

/// Lets something happen to the objects of a list.
fn change(stage: &Stage, list: List, chance: &mut Chance, n: usize) {
    let now = stage.sim.now();
    stage.sim.world(|world| {
        if list.inner_identity().is_none() {
            let ids: Vec<String> = world.alerts().map(|alert| alert.id.clone()).collect();
            if chance.percent(30) {
                world.put_alert(Alert::plain(&format!("new{n}"), None, now));
            } else {
                let id: &String = chance.pick(&ids);
                world.change_alert(id, now, |alert| alert.assigned_to = Some(format!("analyst{n}@contoso.com")));
            }
        } else {
            // An alert that changes dates its incident; otherwise a reader of incidents could not know.
            let ids: Vec<u64> = world.incidents().map(|incident| incident.id).collect();
            let id = *chance.pick(&ids);
            let alert = world.alerts_of(id).next().map(|alert| alert.id.clone());
            if let Some(alert) = alert.filter(|_| chance.percent(50)) {
                world.change_alert(&alert, now, |alert| alert.assigned_to = Some(format!("analyst{n}@contoso.com")));
            }
            world.change_incident(id, now, |incident| incident.custom_tags = vec![n.to_string()]);
        }
    });
}

/// Changes objects until the work is done.
fn while_changing<T>(stage: &Stage, list: List, work: impl FnOnce() -> T) -> T {
    let (mut chance, mut n) = (Chance::new(3), 0);
    let again = || {
        change(stage, list, &mut chance, n);
        n += 1;
        thread::sleep(Duration::from_millis(5 + chance.below(60)));
    };
    meanwhile(again, work)
}

/// What the runs wrote, and what may come again.
#[derive(Default)]
struct Seen {
    times: BTreeMap<Version, usize>,
    /// Versions of an answer that a run was ended in: each may come once more.
    open: BTreeMap<Version, usize>,
    repeats: usize,
    wrong: Vec<String>,
}

impl Seen {
    /// Takes what a run wrote. Of a run that was ended, the last answer may not have been remembered.
    fn add(&mut self, run: &Ended, list: List, ended: bool) {
        let mut versions = Vec::new();
        for event in run.events_cut_short() {
            let inner = event.sourcetype.ends_with(":incident:alerts");
            let (id, updated) = if inner { list.inner_identity().unwrap() } else { list.identity() };
            versions.push((inner, event.member(id), Time::parse(&event.member(updated)).unwrap()));
        }
        for version in &versions {
            let times = self.times.entry(version.clone()).or_default();
            *times += 1;
            if *times > 1 {
                self.repeats += 1;
                match self.open.get_mut(version) {
                    Some(open @ 1..) => *open -= 1,
                    _ => self.wrong.push(format!("{version:?} came again though it was remembered")),
                }
            }
        }
        if ended {
            // From the end back over the objects of one page, each followed by its alerts.
            let mut objects = 0;
            for version in versions.into_iter().rev() {
                objects += usize::from(!version.0);
                *self.open.entry(version).or_default() += 1;
                if objects == PAGE {
                    break;
                }
            }
        }
    }

    #[track_caller]
    fn is_all(&self, stage: &Stage, list: List) {
        let lost: Vec<_> = held(stage, list).into_iter().filter(|version| !self.times.contains_key(version)).collect();
        assert!(lost.is_empty(), "lost {}: {:?}", lost.len(), lost.first());
        assert!(self.wrong.is_empty(), "{}: {}", self.wrong.len(), self.wrong[0]);
    }
}

/// Reads what is left, in large pages, and checks that nothing is missing.
#[track_caller]
fn read_the_rest(stage: &Stage, input: &Input<'_>, list: List, seen: &mut Seen) {
    let input = input.clone().set("page_size", if list.inner_identity().is_some() { "50" } else { "1000" });
    let mut last = String::new();
    for _ in 0..10 {
        let ended = input.run().exits(0);
        seen.add(&ended, list, false);
        last = ended.said("INFO").concat();
        if last.contains(" history_left_s=0 ") {
            return seen.is_all(stage, list);
        }
    }
    panic!("the history is never read to its end: {last}");
}

/// Waits for a moment that chance chooses: anything from the start of the process to its fifth answer. False when the run
/// was over before.
fn any_moment(running: &mut Running, stage: &Stage, list: List, chance: &mut Chance) -> bool {
    let (asked, written) = (stage.asked(list.route()), chance.below(20_000) as usize);
    let (requests, extra) = (asked + chance.below(6) as usize, Duration::from_millis(chance.below(12)));
    let from_start = Duration::from_millis(chance.below(200));
    let begun = Instant::now();
    // Most wait for events: how long a start takes is the machine's, and one that is killed before it writes shows little.
    let how = chance.below(7);
    loop {
        let come = match how {
            0 => begun.elapsed() >= from_start,
            1 | 2 => stage.asked(list.route()) >= requests,
            // A run nobody reads from stays where it is once the pipe is full.
            _ => running.taken() >= written || running.waiting() > written.min(9_000) as u64,
        };
        if come {
            thread::sleep(extra);
        }
        if running.is_over() {
            return false;
        }
        if come || begun.elapsed() > Duration::from_secs(1) {
            return true;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn killed_again_and_again(list: List, seed: u64) {
    let stage = stage(if list.inner_identity().is_some() { 300 } else { 0 }, 1000);
    let input = input(&stage, list);
    let mut seen = Seen::default();
    let mut chance = Chance::new(seed);
    let (mut kills, mut runs, mut wrote) = (0, 0, 0);
    while_changing(&stage, list, || {
        while kills < KILLS {
            runs += 1;
            assert!(runs < 3 * KILLS, "{kills} kills in {runs} runs");
            let program = input.program();
            let mut running = if chance.percent(20) { program.unread() } else { program }.start();
            let alive = any_moment(&mut running, &stage, list, &mut chance);
            if alive {
                running.kill();
            }
            let ended = running.end();
            // A process may have come to its end in the very moment.
            let killed = ended.code().is_none();
            kills += usize::from(killed);
            wrote += usize::from(killed && !ended.stdout.is_empty());
            seen.add(&ended, list, killed);
        }
    });
    read_the_rest(&stage, &input, list, &mut seen);
    assert!(wrote > KILLS / 3, "most were killed while they wrote: {wrote} of {kills}");
    say(&format!(
        "{list:?}: {runs} runs, {kills} killed, {wrote} of them after the first event; {} versions, {} came again",
        seen.times.len(),
        seen.repeats
    ));
}

#[allow(clippy::print_stdout, reason = "what was measured")]
fn say(text: &str) {
    println!("{text}");
}

#[test]
fn alerts_survive_a_hundred_crashes() {
    killed_again_and_again(List::GraphAlerts, 11);
}

#[test]
fn incidents_and_their_alerts_survive_a_hundred_crashes() {
    killed_again_and_again(List::GraphIncidents, 12);
}

#[test]
fn a_stop_is_obeyed_within_a_second_at_any_moment() {
    let list = List::GraphAlerts;
    let stage = stage(0, 400);
    let input = input(&stage, list);
    let mut seen = Seen::default();
    let mut chance = Chance::new(13);
    let mut slowest = Duration::ZERO;
    let mut stopped = 0;
    while_changing(&stage, list, || {
        for n in 0..STOPS {
            // Read by splunkd, by nobody, or in the middle of an answer that never ends: of any service, at any request.
            let program = match n % 3 {
                1 => input.program().unread(),
                _ => input.program(),
            };
            if n % 3 == 2 {
                let endless = FaultKind::Endless(Duration::from_millis(1 + chance.below(30)));
                stage.fault(Route::Any, When::Nth(1 + chance.below(12)), endless);
            }
            let mut running = program.start();
            let alive = any_moment(&mut running, &stage, list, &mut chance);
            if alive {
                running.terminate();
                stopped += 1;
            }
            let ended = running.end();
            slowest = slowest.max(ended.waited);
            assert!(ended.waited < Duration::from_secs(1), "run {n}: {:?}", ended.waited);
            match ended.code() {
                // Before the program listens for it, the signal ends it by itself.
                None => assert_eq!(ended.text(), ""),
                code => assert_eq!(code, Some(0), "{}", ended.stderr),
            }
            stage.sim.faults().clear();
            assert_eq!(ended.said("ERROR"), Vec::<String>::new());
            seen.add(&ended, list, alive);
        }
    });
    read_the_rest(&stage, &input, list, &mut seen);
    assert!(stopped > STOPS / 2, "{stopped}");
    say(&format!("{stopped} of {STOPS} runs stopped, the slowest in {slowest:?}; {} came again", seen.repeats));
}
