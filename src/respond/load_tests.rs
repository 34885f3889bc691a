//! A thousand rows against the stand-ins, with faults at every step: each row reported, nothing made twice.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};
use simulator::throttle::{Limits, RetryAfter};
use simulator::{Config, Fault, FaultKind, Route, Simulator, When, accounts};

use super::wave::Tempo;
use super::{Action, Exit, Stop, act};

const ROWS: usize = 1000;
/// One request in so many goes wrong.
const EVERY: u64 = 33;

fn stage(incidents: usize, alerts: usize) -> Simulator {
    let sim = Simulator::start(Config { incidents, alerts, limits: Limits::Off, ..Config::default() });
    // A busy machine is not what is tested here.
    for action in [Action::IncidentUpdate, Action::AlertUpdate] {
        sim.world(|world| world.splunkd.set_conf("alert_actions", action.name(), &[("maxtime", "1h")]));
    }
    sim
}

/// Runs an action on rows of `id` and `defender_comment`.
pub(super) fn run(sim: &Simulator, action: Action, api: &str, rows: &[(String, String)]) -> Exit {
    let path = sim.splunk_home().join("var/run/splunk/dispatch/results.csv");
    let mut text = String::from("id,defender_comment\n");
    for (id, comment) in rows {
        writeln!(text, "{id},{comment}").unwrap();
    }
    std::fs::write(&path, text).unwrap();
    let payload = json!({
        "server_uri": sim.splunkd_url(), "session_key": sim.session_key(), "owner": "ann", "sid": "1", "search_name": "s",
        "results_file": path,
        "configuration": {"account": accounts::ACCOUNT, "api": api, "status": "resolved"},
    });
    act(action, payload.to_string().as_bytes(), Some(&sim.splunk_home()), Tempo::AtOnce, &Stop::new()).unwrap()
}

/// The audit events, by row.
pub(super) fn audit(sim: &Simulator) -> BTreeMap<u64, Value> {
    let mut events = BTreeMap::new();
    for file in std::fs::read_dir(sim.splunk_home().join("var/spool/splunk")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text.lines().filter(|line| line.starts_with('{')) {
            let event: Value = serde_json::from_str(line).unwrap();
            let row = event["row"].as_u64().unwrap();
            assert!(events.insert(row, event).is_none(), "row {row} stands twice");
        }
    }
    events
}

/// Sets faults of every kind on these requests, so that about three in a hundred go wrong.
fn faults(sim: &Simulator, routes: &[Route]) {
    let kinds = [
        FaultKind::Status(500),
        FaultKind::Cut(15),
        FaultKind::Status(503),
        FaultKind::Refused,
        FaultKind::HalfJson,
        FaultKind::Throttled(0, RetryAfter::Seconds),
    ];
    for route in routes {
        for (number, kind) in kinds.iter().enumerate() {
            // Each kind at its own beat; together about one in thirty-three.
            let every = EVERY * kinds.len() as u64 + number as u64;
            sim.faults().push(Fault::new(*route, When::Every(every), kind.clone()));
        }
    }
}

fn every_row_is_reported(sim: &Simulator, exit: Exit) {
    let events = audit(sim);
    assert_eq!(events.keys().copied().collect::<BTreeSet<_>>(), (1..=ROWS as u64).collect());
    let unlike = events.values().find(|event| event["result"] != "updated");
    assert!(unlike.is_none(), "{unlike:?}");
    assert_eq!(exit, Exit::Done);
    assert!(sim.faults().happened() > ROWS * 2 / 100, "{} faults", sim.faults().happened());
    let again = events.values().filter(|event| event["attempts"].as_u64().unwrap() > 1).count();
    assert!(again > 0);
}

#[test]
fn a_thousand_graph_alerts() {
    let sim = stage(300, ROWS);
    let ids: Vec<String> = sim.world(|world| world.alerts().map(|alert| alert.id.clone()).collect());
    let rows: Vec<_> = ids.iter().take(ROWS).map(|id| (id.clone(), format!("seen {id}"))).collect();
    faults(&sim, &[Route::GraphAlert, Route::GraphAlertComments, Route::GraphBatch]);
    let before: BTreeMap<String, usize> =
        sim.world(|world| world.alerts().map(|alert| (alert.id.clone(), alert.comments.len())).collect());
    let exit = run(&sim, Action::AlertUpdate, "graph", &rows);
    every_row_is_reported(&sim, exit);
    sim.world(|world| {
        for alert in world.alerts() {
            assert_eq!(alert.status.graph(), "resolved");
            assert_eq!(alert.comments.len(), before[&alert.id] + 1, "{}", alert.id);
        }
    });
}

#[test]
fn a_thousand_incidents_of_the_defender_api() {
    let sim = stage(ROWS, 200);
    let ids: Vec<u64> = sim.world(|world| world.incidents().map(|incident| incident.id).collect());
    let now = sim.now();
    sim.world(|world| {
        for id in &ids {
            world.change_incident(*id, now, |incident| {
                incident.redirect = None;
                incident.status = simulator::model::spelling::IncidentStatus::Active;
                incident.comments.clear();
            });
        }
    });
    let rows: Vec<_> = ids.iter().map(|id| (id.to_string(), format!("seen {id}"))).collect();
    assert_eq!(rows.len(), ROWS);
    faults(&sim, &[Route::XdrIncident, Route::XdrIncidentUpdate]);
    let exit = run(&sim, Action::IncidentUpdate, "defender", &rows);
    every_row_is_reported(&sim, exit);
    sim.world(|world| assert!(world.incidents().all(|incident| incident.comments.len() == 1)));
}

#[test]
fn a_thousand_endpoint_alerts_changed_alike_and_each_on_its_own() {
    for alike in [true, false] {
        let sim = stage(300, 3 * ROWS);
        let now = sim.now();
        let ids: Vec<String> = sim
            .world(|world| world.alerts().filter(|alert| alert.is_endpoint()).map(|alert| alert.id.clone()).take(ROWS).collect());
        assert_eq!(ids.len(), ROWS);
        sim.world(|world| {
            for id in &ids {
                world.change_alert(id, now, |alert| alert.comments.clear());
            }
        });
        let text = |id: &String| if alike { "seen".to_owned() } else { format!("seen {id}") };
        let rows: Vec<_> = ids.iter().map(|id| (id.clone(), text(id))).collect();
        if alike {
            // A few requests do it all, so each kind of fault hits one of them.
            for (nth, kind) in [(2, FaultKind::Cut(5)), (6, FaultKind::Status(500)), (10, FaultKind::Refused)] {
                for route in [Route::MdeAlerts, Route::MdeBatchUpdate] {
                    sim.faults().push(Fault::new(route, When::Nth(nth), kind.clone()));
                }
            }
        } else {
            faults(&sim, &[Route::MdeAlerts, Route::MdeAlertUpdate]);
        }
        let exit = run(&sim, Action::AlertUpdate, "defender", &rows);
        let asked = |route: Route| sim.requests().iter().filter(|exchange| exchange.route == route).count();
        if alike {
            let events = audit(&sim);
            let unlike = events.values().find(|event| event["result"] != "updated");
            assert!(unlike.is_none(), "{unlike:?}");
            assert_eq!((events.len(), exit, sim.faults().waiting()), (ROWS, Exit::Done, 0));
            let all =
                asked(Route::MdeAlerts) + asked(Route::MdeBatchUpdate) + asked(Route::MdeAlert) + asked(Route::MdeAlertUpdate);
            assert!(all < 80, "{all} requests");
        } else {
            every_row_is_reported(&sim, exit);
        }
        sim.world(|world| {
            for id in &ids {
                let alert = world.alert(id).unwrap();
                assert_eq!((alert.status.graph(), alert.comments.len()), ("resolved", 1), "{id}");
            }
        });
    }
}
