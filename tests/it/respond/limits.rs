//! What bounds a run: memory, time, a stop, other runs, a disk that takes no more.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use simulator::throttle::RetryAfter;
use simulator::{FaultKind, Route, When};

use crate::support::{List, Stage};

use super::act::Act;
use super::{audit, line, total};

#[test]
fn two_hundred_megabytes_of_results_take_little_memory() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let ids = stage.fresh(list, 1);
    // What is kept of a row is large too, and only the last row leads to a request.
    let (raw, comment) = ("x".repeat(6_000), "y".repeat(4_000));
    let mut text = String::with_capacity(201_000_000);
    text.push_str("_raw,id,defender_status,defender_comment\n");
    for _ in 1..20_000 {
        text.push_str(&format!("{raw},{},closed,{comment}\n", ids[0]));
    }
    text.push_str(&format!("{raw},{},resolved,\n", ids[0]));
    stage.fault(Route::GraphAlert, When::Once, FaultKind::Late(Duration::from_secs(1)));
    let act = Act::new(&stage, list).csv(&text);
    drop(text);
    let mut running = act.start();
    running.wait_until("its first question", |_| stage.asked(Route::GraphAlert) == 1);
    let peak = running.peak_memory_kb();
    let ended = running.end().exits(1);
    assert_eq!(ended.said("INFO").last().unwrap(), &total(list, 20_000, 19_999));
    assert!(peak < 40_000, "{peak} kB");
}

#[test]
fn a_run_ends_before_maxtime_and_tells_what_is_left() {
    let stage = Stage::new();
    let list = List::XdrIncidents;
    let ids = stage.fresh(list, 12);
    stage.conf("alert_actions", "defender_incident_update", "maxtime", "4s");
    // Ten requests go at once, the others at the documented rate: not for twelve objects in this time.
    let ended = Act::new(&stage, list).set("status", "resolved").ids(&ids).run().exits(1);
    assert!(ended.took.as_secs_f64() < 4.0, "{:?}", ended.took);
    let (events, _) = audit(&stage);
    assert_eq!(events.len(), 12);
    for (event, id) in events.iter().zip(&ids) {
        let done = stage.state(list, id).status == "resolved";
        match event["result"].as_str().unwrap() {
            "updated" => assert!(done),
            _ if done => assert_eq!(event["reason"], "out of time: the change was sent and not read back"),
            _ => assert_eq!((event["result"].as_str(), event["reason"].as_str()), (Some("failed"), Some("out of time"))),
        }
    }
    assert_eq!(ended.said("INFO").last().unwrap(), &total(list, 12, events.iter().filter(|e| e["result"] == "failed").count()));
    assert_eq!(ended.said("ERROR").last().unwrap(), &line(list, 12, &ids[11], "failed: out of time"));
    // A service that asks for more patience than there is.
    let wait = FaultKind::Throttled(60, RetryAfter::Seconds);
    stage.fault(Route::XdrIncident, When::Always, wait);
    let ended = Act::new(&stage, list).set("status", "active").ids(&ids[..1]).run().exits(1);
    assert!(ended.took.as_secs_f64() < 3.0, "{:?}", ended.took);
    let said = &ended.said("ERROR")[0];
    assert!(said.starts_with(&line(list, 1, &ids[0], "failed: out of time: Microsoft 365 Defender API: GET ")), "{said}");
}

/// Splunk has the search's own `maxtime` in the saved search, and neither in the payload.
#[test]
fn the_searchs_own_maxtime_goes_before_that_of_the_action() {
    let stage = Stage::new();
    let list = List::XdrIncidents;
    let ids = stage.fresh(list, 1);
    stage.fault(Route::XdrIncident, When::Always, FaultKind::Status(429));
    for (action, search, most) in [("4s", None, 4.0), ("1h", Some("4s"), 4.0)] {
        stage.conf("alert_actions", "defender_incident_update", "maxtime", action);
        if let Some(own) = search {
            stage.conf("savedsearches", "x y", "action.defender_incident_update.maxtime", own);
        }
        let path = "/servicesNS/ann/search/saved/searches/x%20y";
        let act = Act::new(&stage, list).set("status", "resolved").payload("search_uri", path.into()).ids(&ids);
        let ended = act.run().exits(1);
        assert!(ended.took.as_secs_f64() < most, "{:?}", ended.took);
        assert!(ended.said("ERROR")[0].contains("failed: out of time: Microsoft 365 Defender API: GET "), "{}", ended.stderr);
    }
}

#[test]
fn a_stop_leaves_no_row_untold() {
    for (route, waiting) in [(Route::XdrIncident, false), (Route::XdrIncidentUpdate, false), (Route::XdrIncident, true)] {
        let stage = Stage::new();
        let list = List::XdrIncidents;
        let ids = stage.fresh(list, 3);
        // In an exchange that does not end, or in the wait that the service asked for.
        let kind = if waiting { FaultKind::Throttled(60, RetryAfter::Seconds) } else { FaultKind::Silent };
        stage.fault(route, When::Once, kind);
        let mut running = Act::new(&stage, list).set("status", "resolved").ids(&ids).start();
        running.wait_until("the question", |_| stage.asked(route) == 1);
        // Time to take the answer in, where there is one.
        std::thread::sleep(Duration::from_millis(200));
        running.terminate();
        let ended = running.end().exits(1);
        assert!(ended.waited < Duration::from_secs(1), "{:?}", ended.waited);
        let stuck = "failed: stopped by Splunk while it was being changed; look at the object";
        let first = if waiting { "failed: stopped by Splunk" } else { stuck };
        assert_eq!(
            ended.said("ERROR"),
            [
                line(list, 1, &ids[0], first),
                line(list, 2, &ids[1], "failed: stopped by Splunk"),
                line(list, 3, &ids[2], "failed: stopped by Splunk")
            ]
        );
        assert_eq!(audit(&stage).0.len(), 3);
    }
}

#[test]
fn two_runs_at_once() {
    let stage = Stage::new();
    let list = List::EndpointAlerts;
    let ids = stage.fresh(list, 12);
    let act = |sid: &str| {
        Act::new(&stage, list).set("status", "resolved").set("comment", "seen").payload("sid", sid.into()).ids(&ids).start()
    };
    let (one, two) = (act("1"), act("2"));
    one.end().exits(0).quietly();
    two.end().exits(0).quietly();
    let (events, _) = audit(&stage);
    assert_eq!(events.len(), 24, "no run takes the other's files");
    for id in &ids {
        assert_eq!(stage.state(list, id).comments, ["seen", "seen"], "one of each run");
    }
    let log = fs::read_to_string(stage.sim.splunk_home().join("var/log/splunk/defender_alert_update_modalert.log")).unwrap();
    assert_eq!(log.lines().filter(|line| line.ends_with(" action_status=\"success\"")).count(), 24);
}

#[test]
fn a_spool_that_cannot_be_written_to() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let ids = stage.fresh(list, 1);
    let spool = stage.sim.splunk_home().join("var/spool/splunk");
    // Something else is there; and, where permissions count, a folder that is read only.
    fs::remove_dir_all(&spool).unwrap();
    fs::write(&spool, "no folder").unwrap();
    let warned = |status: &str| {
        let ended = Act::new(&stage, list).set("status", status).ids(&ids).run().exits(0);
        assert_eq!(stage.state(list, &ids[0]).status, status);
        ended.said("WARN")
    };
    let lost = "defender_alert_update: audit events (ms:defender:writeback) cannot be written to $SPLUNK_HOME/var/spool/splunk: ";
    assert!(warned("resolved")[0].starts_with(lost));
    fs::remove_file(&spool).unwrap();
    fs::create_dir(&spool).unwrap();
    fs::set_permissions(&spool, fs::Permissions::from_mode(0o500)).unwrap();
    let may_write_anywhere = fs::write(spool.join("probe"), "").is_ok();
    let warnings = warned("new");
    assert_eq!(warnings.len(), usize::from(!may_write_anywhere), "{warnings:?}");
    fs::set_permissions(&spool, fs::Permissions::from_mode(0o700)).unwrap();
    let left = fs::read_dir(stage.sim.splunk_home().join("var/run/splunk")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).filter(|name| name != "dispatch").collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Faults before, in the middle of and after a change of many; the program as Splunk starts it, at the rate it keeps to. That
/// rate makes a thousand rows a matter of minutes: they are `respond::load_tests` of the library.
#[test]
fn hundreds_of_rows_with_faults() {
    let stage = Stage::with(simulator::Config { alerts: 3000, ..Stage::config() });
    let list = List::EndpointAlerts;
    let ids = stage.fresh(list, 300);
    for (nth, route, kind) in [
        (2, Route::MdeBatchUpdate, FaultKind::Cut(5)),
        (1, Route::MdeAlerts, FaultKind::Status(503)),
        (7, Route::MdeAlerts, FaultKind::Refused),
    ] {
        stage.fault(route, When::Nth(nth), kind);
    }
    let act = Act::new(&stage, list).set("status", "resolved").set("comment", "seen").ids(&ids);
    act.run().exits(0).quietly();
    assert_eq!(stage.sim.faults().happened(), 3);
    let (events, _) = audit(&stage);
    let rows: Vec<u64> = events.iter().map(|event| event["row"].as_u64().unwrap()).collect();
    assert_eq!(rows, (1..=300).collect::<Vec<u64>>());
    assert!(events.iter().all(|event| event["result"] == "updated"));
    for id in &ids {
        let state = stage.state(list, id);
        assert_eq!((state.status.as_str(), state.comments.len()), ("resolved", 1), "{id}");
    }
}
