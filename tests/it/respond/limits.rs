//! What bounds a run: memory, time, a stop, other runs, a disk that takes no more.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use simulator::throttle::RetryAfter;
use simulator::{FaultKind, Route, When};

use crate::support::{List, Stage};

use super::act::{Act, SID, action_of};
use super::{audit, line, routes, total};

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
    let stage = Stage::with(simulator::Config { incidents: 30, ..Stage::config() });
    let list = List::XdrIncidents;
    let ids = stage.fresh(list, 20);
    stage.conf("alert_actions", "defender_incident_update", "maxtime", "4s");
    // Forty requests go at once, the others a minute later: not for twenty objects in this time.
    let ended = Act::new(&stage, list).set("status", "resolved").ids(&ids).run().exits(1);
    assert!(ended.took.as_secs_f64() < 4.0, "{:?}", ended.took);
    let failed = told_truly(&stage, list, &ids);
    assert_eq!(ended.said("INFO").last().unwrap(), &total(list, 20, failed));
    assert_eq!(ended.said("ERROR").last().unwrap(), &line(list, 20, &ids[19], "failed: out of time"));
    // A service that asks for more patience than there is.
    let wait = FaultKind::Throttled(60, RetryAfter::Seconds);
    stage.fault(Route::XdrIncident, When::Always, wait);
    let ended = Act::new(&stage, list).set("status", "active").ids(&ids[..1]).run().exits(1);
    assert!(ended.took.as_secs_f64() < 3.0, "{:?}", ended.took);
    let said = &ended.said("ERROR")[0];
    assert!(said.starts_with(&line(list, 1, &ids[0], "failed: out of time: Microsoft 365 Defender API: GET ")), "{said}");
}

/// Checks that each object has one event, which says what became of it: resolved, and with no more than one comment. Gives
/// how many failed.
fn told_truly(stage: &Stage, list: List, ids: &[String]) -> usize {
    let (events, _) = audit(stage);
    let rows: Vec<u64> = events.iter().map(|event| event["row"].as_u64().unwrap()).collect();
    assert_eq!(rows, (1..=ids.len() as u64).collect::<Vec<u64>>());
    for (event, id) in events.iter().zip(ids) {
        let state = stage.state(list, id);
        assert!(state.comments.len() <= 1, "{id}: {:?}", state.comments);
        let reason = event["reason"].as_str().unwrap();
        match (event["result"].as_str().unwrap(), state.status.as_str()) {
            ("updated", status) => assert_eq!(status, "resolved", "{event}"),
            ("failed", "resolved") => {
                assert!(reason.contains("the change was sent") || reason.contains("may have been made"), "{event}")
            }
            ("failed", _) => {}
            _ => panic!("{event}"),
        }
    }
    events.iter().filter(|event| event["result"] == "failed").count()
}

/// Each answer comes late; some do not come within what one exchange may take.
#[test]
fn a_slow_service() {
    for list in List::ALL {
        let stage = Stage::new();
        let ids = stage.fresh(list, 10);
        let action = action_of(list);
        stage.conf("alert_actions", action, "maxtime", "6s");
        for (when, late) in [(When::Every(5), 3000), (When::Always, 700)] {
            stage.fault(Route::Any, when, FaultKind::Late(Duration::from_millis(late)));
        }
        let text: String = ids.iter().map(|id| format!("{id},seen {id}\n")).collect();
        let act = Act::new(&stage, list).set("status", "resolved").csv(&format!("id,defender_comment\n{text}"));
        let ended = act.run();
        assert!(ended.took.as_secs_f64() < 6.0, "{list:?}: {:?}", ended.took);
        let failed = told_truly(&stage, list, &ids);
        let ended = ended.exits(i32::from(failed > 0));
        assert_eq!(ended.said("INFO").last().unwrap(), &total(list, 10, failed));
        // The same run again makes up for it, and says nothing twice.
        stage.sim.faults().clear();
        stage.conf("alert_actions", action, "maxtime", "5m");
        act.run().exits(0).quietly();
        audit(&stage);
        assert!(ids.iter().all(|id| stage.state(list, id).comments == [format!("seen {id}")]), "{list:?}");
    }
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
    for run in [one, two] {
        let ended = run.end().exits(0).says("ERROR", &[]);
        // To each run the other is somebody else: whichever comes between a look and a change is told of, and nothing but that.
        for told in ended.said("WARN") {
            assert!(told.contains("somebody else changed the object at the same time: 1 more comments"), "{told}");
        }
    }
    let (events, _) = audit(&stage);
    assert_eq!(events.len(), 24, "no run takes the other's files");
    for id in &ids {
        assert_eq!(stage.state(list, id).comments, ["seen", "seen"], "one of each run");
    }
    let log = fs::read_to_string(stage.sim.splunk_home().join("var/log/splunk/defender_alert_update_modalert.log")).unwrap();
    assert_eq!(log.lines().filter(|line| line.ends_with(" action_status=\"success\"")).count(), 24);
}

/// The same search job's action, started twice in the same moment: the comment is there once.
#[test]
fn one_search_job_twice_at_once() {
    for list in List::ALL {
        let stage = Stage::new();
        let ids = stage.fresh(list, 1);
        let (read, _) = routes(list);
        // The first is asked to wait while it has seen an object without the comment.
        stage.fault(read, When::Once, FaultKind::Late(Duration::from_secs(1)));
        let act = Act::new(&stage, list).set("comment", "seen").ids(&ids);
        let mut first = act.start();
        first.wait_until("its question", |_| stage.asked(read) == 1);
        let second = act.run().exits(0).quietly();
        let first = first.end().exits(0).quietly();
        assert_eq!(first.said("INFO")[0], line(list, 1, &ids[0], "updated: comment added"));
        assert_eq!(second.said("INFO")[0], line(list, 1, &ids[0], "unchanged: it is so already"));
        assert_eq!(stage.state(list, &ids[0]).comments, ["seen"], "{list:?}");
        assert_eq!(fs::read_dir(stage.sim.splunk_home().join("var/run/splunk")).unwrap().count(), 1, "dispatch");
    }
}

#[test]
fn a_run_that_waits_in_vain_for_another_of_its_search_job() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let ids = stage.fresh(list, 2);
    let act = Act::new(&stage, list).set("comment", "seen").ids(&ids);
    stage.fault(Route::GraphBatch, When::Once, FaultKind::Silent);
    let mut first = act.start();
    first.wait_until("its question", |_| stage.asked(Route::GraphBatch) == 1);
    first.halt();
    stage.conf("alert_actions", "defender_alert_update", "maxtime", "3s");
    let reason = format!("another run of this action for the search job {SID} is at work; what it does is in its own results");
    let ended = act.run().exits(1);
    assert!(ended.took.as_secs_f64() < 3.0, "{:?}", ended.took);
    let failed = format!("failed: {reason}");
    let name = "defender_alert_update";
    assert_eq!(
        ended.said("ERROR"),
        [line(list, 1, &ids[0], &failed), line(list, 2, &ids[1], &failed), format!("{name}: {reason}")]
    );
    assert_eq!(audit(&stage).0.len(), 2);
    // A dry run changes nothing and need not wait, nor does another search job.
    act.clone().set("dry_run", "1").run().exits(0).quietly();
    act.clone().payload("sid", "another".into()).run().exits(0).quietly();
    // Who is stopped while it waits tells its rows.
    stage.conf("alert_actions", name, "maxtime", "5m");
    audit(&stage);
    let before = stage.asked(Route::SplunkPasswords);
    let mut waiting = act.start();
    waiting.wait_until("its secret", |_| stage.asked(Route::SplunkPasswords) > before);
    waiting.terminate();
    let ended = waiting.end().exits(1);
    assert!(ended.waited < Duration::from_secs(1), "{:?}", ended.waited);
    assert_eq!(audit(&stage).0.len(), 2, "{}", ended.stderr);
    // A process that died has no lock.
    first.kill();
    assert_eq!(first.end().code(), None);
    act.run().exits(0).quietly();
    for id in &ids {
        assert_eq!(stage.state(list, id).comments, ["seen", "seen"], "one of each search job");
    }
}

/// Where no lock can be had, the action does its work and says what may happen.
#[test]
fn a_place_without_locks() {
    let stage = Stage::new();
    let list = List::EndpointAlerts;
    let ids = stage.fresh(list, 1);
    let act = Act::new(&stage, list).set("comment", "seen").ids(&ids);
    let run = stage.sim.splunk_home().join("var/run/splunk");
    fs::rename(&run, run.with_file_name("elsewhere")).unwrap();
    let file = fs::read_dir(run.with_file_name("elsewhere").join("dispatch")).unwrap().next().unwrap().unwrap().path();
    let ended = act.results_file(&file).run().exits(0);
    let warned = "defender_alert_update: no lock in $SPLUNK_HOME/var/run/splunk: No such file or directory (os error 2); should this \
                  action be started twice for the same search job at once, comments may be there twice";
    assert_eq!(ended.said("WARN"), [warned]);
    assert_eq!(stage.state(list, &ids[0]).comments, ["seen"]);
}

#[test]
fn standard_input_that_nobody_closes() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let ids = stage.fresh(list, 1);
    let act = Act::new(&stage, list).set("status", "resolved").ids(&ids);
    act.start_held_open().end().exits(0).quietly();
    assert_eq!(stage.state(list, &ids[0]).status, "resolved");
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

/// A thousand rows, the program as Splunk starts it and at the rate it keeps to: among them some that cannot be done, and
/// faults before, in the middle of and after a change of many.
#[test]
fn a_thousand_rows_with_faults() {
    let stage = Stage::with(simulator::Config { alerts: 3200, ..Stage::config() });
    let list = List::EndpointAlerts;
    let ids = stage.fresh(list, 970);
    let mut good = ids.iter();
    let mut rows: Vec<(String, &str)> = Vec::new();
    for row in 0..1000 {
        rows.push(match row % 100 {
            97 => (format!("da{row}_0"), "not_found"),
            98 => (format!("../{row}"), "refused"),
            // The one before, in another spelling.
            99 => (rows[row - 3].0.to_uppercase(), "updated"),
            _ => (good.next().unwrap().clone(), "updated"),
        });
    }
    for (nth, route, kind) in [
        (3, Route::MdeAlerts, FaultKind::Status(503)),
        (7, Route::MdeAlerts, FaultKind::Refused),
        (12, Route::MdeAlerts, FaultKind::HalfJson),
        (20, Route::MdeAlerts, FaultKind::Cut(15)),
        (4, Route::MdeAlert, FaultKind::Status(500)),
        (2, Route::MdeBatchUpdate, FaultKind::Cut(5)),
        (6, Route::MdeBatchUpdate, FaultKind::Cut(5)),
    ] {
        stage.fault(route, When::Nth(nth), kind);
    }
    let given: Vec<&String> = rows.iter().map(|(id, _)| id).collect();
    let ended = Act::new(&stage, list).set("status", "resolved").set("comment", "seen").ids(&given).run().exits(1);
    assert_eq!(ended.said("INFO").last().unwrap(), &total(list, 1000, 20));
    assert_eq!((stage.sim.faults().happened(), stage.sim.faults().waiting()), (7, 0));
    let (events, _) = audit(&stage);
    assert_eq!(events.len(), 1000);
    for ((number, event), (id, result)) in events.iter().enumerate().zip(&rows) {
        assert_eq!(
            (&event["row"], &event["id"], &event["result"]),
            (&(number + 1).into(), &id.as_str().into(), &(*result).into())
        );
    }
    for id in &ids {
        let state = stage.state(list, id);
        assert_eq!((state.status.as_str(), state.comments.len()), ("resolved", 1), "{id}");
    }
    assert_eq!(stage.asked(Route::MdeBatchUpdate), 10);
}

/// Where there is no time for all of a thousand, each is told what became of it.
#[test]
fn a_thousand_rows_and_no_time_for_them() {
    let stage = Stage::with(simulator::Config { alerts: 3200, ..Stage::config() });
    let list = List::GraphAlerts;
    let ids = stage.fresh(list, 1000);
    stage.conf("alert_actions", "defender_alert_update", "maxtime", "20s");
    for (route, kind) in [
        (Route::GraphAlert, FaultKind::Status(500)),
        (Route::GraphAlertComments, FaultKind::Cut(9)),
        (Route::GraphBatch, FaultKind::Cut(40)),
    ] {
        stage.fault(route, When::Every(if route == Route::GraphBatch { 5 } else { 33 }), kind);
    }
    let text: String = ids.iter().map(|id| format!("{id},seen {id}\n")).collect();
    let act = Act::new(&stage, list).set("status", "resolved").csv(&format!("id,defender_comment\n{text}"));
    let ended = act.run().exits(1);
    assert!(ended.took.as_secs_f64() < 20.0, "{:?}", ended.took);
    let failed = told_truly(&stage, list, &ids);
    assert!((1..1000).contains(&failed), "{failed}");
    assert_eq!(ended.said("INFO").last().unwrap(), &total(list, 1000, failed));
}

/// The number of alerts that one update takes is documented nowhere.
#[test]
fn an_update_of_too_many_is_made_in_smaller_parts() {
    let stage = Stage::new();
    let list = List::EndpointAlerts;
    let ids = stage.fresh(list, 12);
    let text = r#"{"error":{"code":"MaximumBatchSizeExceeded","message":"Maximum batch size exceeded.","target":"t"}}"#;
    stage.fault(Route::MdeBatchUpdate, When::Once, FaultKind::Body(400, "application/json", text.to_owned()));
    Act::new(&stage, list).set("status", "resolved").set("comment", "seen").ids(&ids).run().exits(0).quietly();
    assert!(ids.iter().all(|id| stage.state(list, id).comments == ["seen"]));
    assert_eq!((stage.asked(Route::MdeBatchUpdate), stage.asked(Route::MdeAlertUpdate)), (3, 0));
}
