//! Every fault at every step of a change, once and lasting: what becomes of each row, in which words. The table is
//! the files `fault_table_*.txt` beside this one; `TA_DEFENDER_BLESS=1 cargo test --lib respond::fault_tests` writes it anew.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::fs;
use std::thread;
use std::time::Duration;

use simulator::model::spelling::{AlertStatus, IncidentStatus};
use simulator::throttle::{Limits, RetryAfter};
use simulator::{Config, Fault, FaultKind, Route, Simulator, When};

use super::load_tests::{audit, run};
use super::{Action, Exit};

/// Where in a run a fault happens: with how many rows, to which request, and, counted from 1, to which of them once and to
/// which where it lasts. `own` faults are those of the first row's object alone.
struct Step {
    name: &'static str,
    rows: usize,
    alike: bool,
    route: Route,
    /// Where reading and changing have one path.
    method: Option<&'static str>,
    once: u64,
    lasting: &'static [u64],
    own: bool,
}

const fn step(name: &'static str, rows: usize, route: Route, once: u64, lasting: &'static [u64], own: bool) -> Step {
    Step { name, rows, alike: false, route, method: None, once, lasting, own }
}

/// Of the requests of an object those that read it, or those that change it.
const fn of_method(method: &'static str, step: Step) -> Step {
    Step { method: Some(method), ..step }
}

const LONG: &[u64] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
/// The same without the first look.
const LATER: &[u64] = &[2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
/// Every second batch.
const EVEN: &[u64] = &[2, 4, 6, 8, 10, 12];

fn kinds(step: &Step) -> Vec<(&'static str, FaultKind)> {
    let mut kinds: Vec<(&str, FaultKind)> = vec![
        ("400", FaultKind::Status(400)),
        ("401", FaultKind::Status(401)),
        ("403", FaultKind::Status(403)),
        ("404", FaultKind::Status(404)),
        ("409", FaultKind::Status(409)),
        ("412", FaultKind::Status(412)),
        ("429 with Retry-After", FaultKind::Throttled(1, RetryAfter::Seconds)),
        ("429", FaultKind::Status(429)),
        ("500", FaultKind::Status(500)),
        ("502 as a page", FaultKind::Html(502)),
        ("503", FaultKind::Status(503)),
        ("504", FaultKind::Status(504)),
        ("answer cut off", FaultKind::Cut(9)),
        ("half the JSON", FaultKind::HalfJson),
        ("200 and nothing", FaultKind::Nothing),
        ("200 as a page", FaultKind::Html(200)),
    ];
    if step.name == "token" {
        kinds.push(("wrong secret", FaultKind::Entra(7_000_215)));
    }
    kinds
}

/// A service that is slow, or does not answer at all; each has its own time.
const SLOW: [(&str, FaultKind); 2] =
    [("answer after 300 ms", FaultKind::Late(Duration::from_millis(300))), ("no answer in time", FaultKind::Silent)];

/// The stand-ins, and objects nobody has touched yet.
struct Bench {
    sim: Simulator,
    action: Action,
    api: &'static str,
    ids: VecDeque<String>,
}

impl Bench {
    /// With this many objects, of which those of other products are none for Endpoint.
    fn new(action: Action, api: &'static str, number: usize) -> Self {
        let others = number.min(200);
        let (incidents, alerts) = if action == Action::IncidentUpdate { (number, others) } else { (others, number) };
        let sim = Simulator::start(Config { incidents, alerts, limits: Limits::Off, ..Config::default() });
        let now = sim.now();
        let ids = sim.world(|world| {
            if action == Action::IncidentUpdate {
                let ids: Vec<u64> = world.incidents().map(|incident| incident.id).collect();
                for id in &ids {
                    world.change_incident(*id, now, |incident| {
                        incident.redirect = None;
                        incident.status = IncidentStatus::Active;
                        incident.comments.clear();
                    });
                }
                return ids.iter().map(u64::to_string).collect();
            }
            let ids: Vec<String> = world.alerts().filter(|alert| alert.is_endpoint()).map(|alert| alert.id.clone()).collect();
            for id in &ids {
                world.change_alert(id, now, |alert| {
                    alert.status = AlertStatus::New;
                    alert.comments.clear();
                });
            }
            ids.into()
        });
        Self { sim, action, api, ids }
    }

    /// Whether an object is resolved, and how many comments it has.
    fn state(&self, id: &str) -> (bool, usize) {
        self.sim.world(|world| match self.action {
            Action::IncidentUpdate => {
                let incident = world.incident(id.parse().unwrap()).unwrap();
                (incident.status == IncidentStatus::Resolved, incident.comments.len())
            }
            Action::AlertUpdate => {
                let alert = world.alert(id).unwrap();
                (alert.status == AlertStatus::Resolved, alert.comments.len())
            }
        })
    }

    /// One line of the table, and the words of each row that was not updated.
    fn line(&mut self, step: &Step, name: &str, kind: &FaultKind, lasting: bool) -> String {
        let ids: Vec<String> = self.ids.drain(..step.rows).collect();
        let all = [step.once];
        let nths: &[u64] = if lasting { step.lasting } else { &all };
        // Backwards: of those that wait for the same request only the first counts it as theirs, once it strikes.
        for nth in nths.iter().rev() {
            let fault = Fault::new(step.route, When::Nth(*nth), kind.clone());
            let fault = if step.own { fault.matching(&format!("/{}", ids[0])) } else { fault };
            self.sim.faults().push(match step.method {
                Some(method) => fault.of_method(method),
                None => fault,
            });
        }
        let comment = |id: &String| if step.alike { "seen".to_owned() } else { format!("seen {id}") };
        let rows: Vec<_> = ids.iter().map(|id| (id.clone(), comment(id))).collect();
        let exit = run(&self.sim, self.action, self.api, &rows);
        assert!(self.sim.faults().waiting() < nths.len(), "{} {name}: it never happened", step.name);
        self.sim.faults().clear();
        let events = audit(&self.sim);
        let spool = self.sim.splunk_home().join("var/spool/splunk");
        fs::read_dir(spool).unwrap().for_each(|file| fs::remove_file(file.unwrap().path()).unwrap());
        assert_eq!(events.len(), ids.len(), "every row is told once");
        let results: Vec<&str> = events.values().map(|event| event["result"].as_str().unwrap()).collect();
        let mut text = format!("{name}{}: {} ({})\n", if lasting { ", lasting" } else { "" }, results.join(", "), code(exit));
        let mut known = BTreeMap::new();
        for ((row, event), id) in events.iter().zip(&ids) {
            let (resolved, comments) = self.state(id);
            assert!(comments <= 1, "{text} twice");
            match event["result"].as_str().unwrap() {
                "updated" => assert_eq!((resolved, comments), (true, 1), "{text}"),
                _ => {
                    let reason = plain(event["reason"].as_str().unwrap(), &ids);
                    let first: &mut u64 = known.entry(reason.clone()).or_insert(*row);
                    if *first == *row {
                        writeln!(text, "    {row}: {reason}").unwrap();
                    }
                }
            }
        }
        if step.own && exit != Exit::Misconfigured {
            assert!(results[1..].iter().all(|result| *result == "updated"), "the others go on: {text}");
        }
        text
    }

    fn lines(&mut self, step: &Step, kinds: Vec<(&str, FaultKind)>) -> String {
        let both = kinds.iter().flat_map(|(name, kind)| [(name, kind, false), (name, kind, true)]);
        both.map(|(name, kind, lasting)| self.line(step, name, kind, lasting)).collect()
    }
}

fn table(title: &str, action: Action, api: &'static str, steps: &[Step]) -> String {
    let mut bench = Bench::new(action, api, if action == Action::IncidentUpdate { 900 } else { 2400 });
    // They spend their time waiting, each with stand-ins of its own.
    thread::scope(|scope| {
        let slow = |step| {
            move || {
                let mut bench = Bench::new(action, api, 60);
                // So that one exchange may take two seconds.
                bench.sim.world(|world| world.splunkd.set_conf("alert_actions", action.name(), &[("maxtime", "20s")]));
                bench.lines(step, SLOW.to_vec())
            }
        };
        let slow: Vec<_> = steps.iter().map(|step| scope.spawn(slow(step))).collect();
        let quick: Vec<String> = steps.iter().map(|step| bench.lines(step, kinds(step))).collect();
        let parts = steps.iter().zip(quick).zip(slow);
        parts.map(|((step, quick), slow)| format!("\n{title}, {}\n{quick}{}", step.name, slow.join().unwrap())).collect()
    })
}

fn code(exit: Exit) -> u8 {
    match exit {
        Exit::Done => 0,
        Exit::Failed => 1,
        Exit::Misconfigured => 2,
    }
}

/// Without what no two runs share.
fn plain(reason: &str, ids: &[String]) -> String {
    let mut text = reason.to_owned();
    for (number, id) in ids.iter().enumerate() {
        text = text.replace(id.as_str(), &format!("ID{}", number + 1));
    }
    let mut out = String::new();
    while let Some(at) = text.find("127.0.0.1:") {
        let digits = text[at + 10..].bytes().take_while(u8::is_ascii_digit).count();
        text.replace_range(at..at + 10 + digits, "HOST");
    }
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        let guid = rest.get(..36).is_some_and(|part| {
            part.bytes().enumerate().all(|(n, b)| if [8, 13, 18, 23].contains(&n) { b == b'-' } else { b.is_ascii_hexdigit() })
        });
        let time =
            rest.get(..20).is_some_and(|part| part.as_bytes()[4] == b'-' && part.as_bytes()[10] == b' ' && part.ends_with('Z'));
        let length = if guid {
            36
        } else if time {
            20
        } else {
            c.len_utf8()
        };
        out.push_str(if guid {
            "GUID"
        } else if time {
            "TIME"
        } else {
            &rest[..length]
        });
        rest = &rest[length..];
    }
    out
}

/// Compares a part of the file, or writes it.
fn compare(part: &str, text: &str) {
    let path = format!("{}/src/respond/fault_table_{part}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("TA_DEFENDER_BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let held = fs::read_to_string(&path).unwrap_or_default();
    for (held, now) in held.lines().zip(text.lines()) {
        assert_eq!(held, now, "TA_DEFENDER_BLESS=1 writes {path} anew");
    }
    assert_eq!(held.lines().count(), text.lines().count());
}

#[test]
fn graph_alerts() {
    let steps = [
        step("token", 3, Route::Token, 1, LONG, false),
        of_method("GET", step("one object, read", 1, Route::GraphAlert, 1, LONG, true)),
        of_method("GET", step("in a batch, read", 3, Route::GraphAlert, 1, LONG, true)),
        of_method("PATCH", step("in a batch, change", 3, Route::GraphAlert, 1, LONG, true)),
        step("in a batch, comment", 3, Route::GraphAlertComments, 1, LONG, true),
        of_method("GET", step("in a batch, read back", 3, Route::GraphAlert, 2, LATER, true)),
        step("a whole batch, read", 3, Route::GraphBatch, 1, LONG, false),
        step("a whole batch, change", 3, Route::GraphBatch, 2, EVEN, false),
    ];
    compare("graph", &table("Microsoft Graph, alerts", Action::AlertUpdate, "graph", &steps));
}

#[test]
fn graph_incidents() {
    let steps = [
        step("token", 3, Route::Token, 1, LONG, false),
        of_method("GET", step("one object, read", 1, Route::GraphIncident, 1, LONG, true)),
        of_method("PATCH", step("one object, change", 1, Route::GraphIncident, 1, LONG, true)),
        step("one object, comment", 1, Route::GraphIncidentComments, 1, LONG, true),
        of_method("GET", step("in a batch, read", 3, Route::GraphIncident, 1, LONG, true)),
        of_method("PATCH", step("in a batch, change", 3, Route::GraphIncident, 1, LONG, true)),
        step("in a batch, comment", 3, Route::GraphIncidentComments, 1, LONG, true),
        of_method("GET", step("in a batch, read back", 3, Route::GraphIncident, 2, LATER, true)),
        step("a whole batch, comment", 3, Route::GraphBatch, 3, &[3, 6, 9, 12], false),
    ];
    compare("graph_incidents", &table("Microsoft Graph, incidents", Action::IncidentUpdate, "graph", &steps));
}

#[test]
fn microsoft_365_defender() {
    let steps = [
        step("token", 3, Route::Token, 1, LONG, false),
        step("read", 3, Route::XdrIncident, 1, LONG, true),
        step("change", 3, Route::XdrIncidentUpdate, 1, LONG, true),
        step("read back", 3, Route::XdrIncident, 2, LATER, true),
    ];
    compare("incidents", &table("Microsoft 365 Defender, incidents", Action::IncidentUpdate, "defender", &steps));
}

#[test]
fn defender_for_endpoint() {
    let steps = [
        step("one object, read", 1, Route::MdeAlert, 1, LONG, true),
        step("one object, read back", 1, Route::MdeAlert, 2, LATER, true),
        step("list, read", 3, Route::MdeAlerts, 1, LONG, false),
        step("change", 3, Route::MdeAlertUpdate, 1, LONG, true),
        Step { alike: true, ..step("change of many", 3, Route::MdeBatchUpdate, 1, LONG, false) },
    ];
    compare("endpoint", &table("Defender for Endpoint, alerts", Action::AlertUpdate, "defender", &steps));
}
