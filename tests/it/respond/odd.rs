//! Services that are unkinder than the documents: late, with other names, in a hurry, with somebody else at work, or with an
//! answer that is none.

use std::time::Duration;

use serde_json::json;
use simulator::throttle::RetryAfter;
use simulator::{FaultKind, Route, When};

use crate::support::{List, Stage};

use super::act::{Act, action_of};
use super::{audit, line, routes, total};

/// The time of an object's last update in the results, as the feeds write it.
fn updated(list: List) -> &'static str {
    match list {
        List::GraphIncidents | List::GraphAlerts => "lastUpdateDateTime",
        List::XdrIncidents | List::EndpointAlerts => "lastUpdateTime",
    }
}

#[test]
fn a_change_that_is_shown_late_is_waited_for_and_holds_nobody_back() {
    for list in List::ALL {
        let stage = Stage::new();
        let ids = stage.fresh(list, 3);
        stage.sim.world(|world| world.behaviour.shown_after = Some(Duration::from_secs(4)));
        let ended = Act::new(&stage, list).set("status", "resolved").set("comment", "c").ids(&ids).run().exits(0).quietly();
        assert_eq!(ended.said("INFO").last().unwrap(), &total(list, 3, 0), "{list:?}");
        assert!(ended.took >= Duration::from_secs(4), "{:?}", ended.took);
        if list == List::XdrIncidents {
            // Where they go one by one, they wait together.
            assert!(ended.took < Duration::from_secs(11), "{:?}", ended.took);
        }
        let now = stage.sim.now();
        stage.sim.world(|world| world.settle(now.plus(Duration::from_secs(60))));
        for id in &ids {
            let state = stage.state(list, id);
            assert_eq!((state.status.as_str(), state.comments.len()), ("resolved", 1), "{list:?}: nothing is posted twice");
        }
    }
}

#[test]
fn a_change_that_never_shows_is_told_when_the_time_is_over() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let ids = stage.fresh(list, 1);
    stage.conf("alert_actions", action_of(list), "maxtime", "12s");
    stage.sim.world(|world| world.behaviour.shown_after = Some(Duration::from_secs(3600)));
    let ended = Act::new(&stage, list).set("status", "resolved").ids(&ids).run().exits(1);
    let said = &ended.said("ERROR")[0];
    assert!(said.contains("the service accepted the change and did not make it: status is `new`, wanted `resolved`"), "{said}");
    assert!(ended.took > Duration::from_secs(4) && ended.took < Duration::from_secs(12), "{:?}", ended.took);
}

#[test]
fn an_owner_is_the_same_under_another_name() {
    for list in List::ALL {
        let stage = Stage::new();
        let ids = stage.fresh(list, 2);
        stage.sim.world(|world| {
            world.behaviour.principal_domain = Some("contoso.example".to_owned());
            world.behaviour.renames = Some(("asmith".to_owned(), "Alice Smith".to_owned()));
        });
        let act = Act::new(&stage, list).set("assigned_to", "alice").ids(&ids);
        let ended = act.run().exits(0).quietly();
        assert_eq!(ended.said("INFO")[0], line(list, 1, &ids[0], "updated: assigned_to -> alice"));
        assert_eq!(stage.state(list, &ids[0]).assigned_to.as_deref(), Some("alice@contoso.example"));
        // In the next run it is so already.
        stage.sim.forget_requests();
        let again = act.set("assigned_to", "ALICE").run().exits(0).quietly();
        assert_eq!(again.said("INFO")[0], line(list, 1, &ids[0], "unchanged: it is so already"));
        assert_eq!(stage.changes(), Vec::<String>::new());
        // A display name is told.
        let ended = Act::new(&stage, list).set("assigned_to", "asmith").ids(&ids[..1]).run().exits(0);
        let said =
            "updated: assigned_to alice@contoso.example -> asmith; the service shows assigned_to as `Alice Smith`, for `asmith`";
        assert_eq!(ended.said("WARN"), [line(list, 1, &ids[0], said)]);
        let warned = audit(&stage).0.into_iter().filter(|event| event["warning"].is_string()).count();
        assert_eq!(warned, 1);
    }
}

#[test]
fn a_service_that_says_come_back_at_once_is_not_asked_at_once() {
    for list in List::ALL {
        for (wait, form) in [(0, RetryAfter::Seconds), (-30, RetryAfter::Seconds), (-3600, RetryAfter::Date)] {
            let stage = Stage::new();
            let ids = stage.fresh(list, 10);
            stage.conf("alert_actions", action_of(list), "maxtime", "8s");
            // Not the tokens, nor splunkd's own answers.
            let mut throttled = vec![Route::MdeAlerts, Route::MdeBatchUpdate, Route::GraphBatch, routes(list).0, routes(list).1];
            throttled.dedup();
            for route in &throttled {
                stage.fault(*route, When::Always, FaultKind::Throttled(wait, form));
            }
            let ended = Act::new(&stage, list).set("status", "resolved").ids(&ids).run().exits(1);
            let asked = stage.sim.requests().iter().filter(|exchange| throttled.contains(&exchange.route)).count();
            assert!((2..=8).contains(&asked), "{list:?} {wait}: {asked} requests\n{}", ended.stderr);
            assert_eq!(ended.said("INFO").last().unwrap(), &total(list, 10, 10));
        }
    }
}

#[test]
fn somebody_else_who_changes_it_between_the_look_and_the_change_is_told() {
    for list in List::ALL {
        for if_changed in ["warn", "Refuse"] {
            let stage = Stage::new();
            let ids = stage.fresh(list, 1);
            stage.sim.world(|world| world.behaviour.meddler = Some("bob@contoso.example".to_owned()));
            let text = format!("id,{}\n{},2099-01-01T00:00:00Z\n", updated(list), ids[0]);
            let act = Act::new(&stage, list).set("status", "resolved").set("if_changed", if_changed).set("comment", "c");
            let ended = act.csv(&text).run().exits(0);
            let said = "somebody else changed the object at the same time: assigned_to is `bob@contoso.example` and was nothing, 1 more \
                        comments";
            let [warned] = &ended.said("WARN")[..] else { panic!("{}", ended.stderr) };
            assert!(warned.starts_with(&line(list, 1, &ids[0], "updated: status ")) && warned.ends_with(said), "{warned}");
            let (events, _) = audit(&stage);
            assert_eq!((&events[0]["result"], &events[0]["warning"]), (&json!("updated"), &json!(said)));
        }
    }
}

#[test]
fn an_answer_that_is_none_is_no_success() {
    let other = r#"{"id":"another","incidentId":99999999,"status":"resolved","lastUpdateDateTime":"2026-01-01T00:00:00Z"}"#;
    let error = r#"{"error":{"code":"InternalError","message":"no"}}"#;
    for list in List::ALL {
        let (read, write) = routes(list);
        for body in [other, error, "{}", "[]", ""] {
            let stage = Stage::new();
            let ids = stage.fresh(list, 1);
            for route in [read, write] {
                stage.fault(route, When::Once, FaultKind::Body(200, "application/json", body.to_owned()));
            }
            Act::new(&stage, list).set("status", "resolved").ids(&ids).run().exits(0);
            assert_eq!(stage.state(list, &ids[0]).status, "resolved", "{list:?} {body}");
            assert_eq!(audit(&stage).0[0]["result"], "updated", "{list:?} {body}");
            // For ever: nothing of it is believed.
            if body != other {
                continue;
            }
            stage.conf("alert_actions", action_of(list), "maxtime", "15s");
            stage.fault(read, When::Always, FaultKind::Body(200, "application/json", body.to_owned()));
            Act::new(&stage, list).set("status", "resolved").ids(&ids).run().exits(1);
            assert_eq!(audit(&stage).0.last().unwrap()["result"], "failed", "{list:?} {body}");
        }
    }
}

#[test]
fn many_rows_that_nothing_is_asked_for_are_told_by_their_number() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let rows: String = (0..30_000).map(|number| format!("al{number}\n")).collect();
    let act = Act::new(&stage, list).csv(&format!("id\n{rows}"));
    stage.sim.add_account(&simulator::accounts::Account { secret_is_right: false, ..simulator::accounts::Account::new("wrong") });
    for (name, value, result, code) in [
        ("api", "soap", "refused", 2),
        ("account", "wrong", "failed", 2),
        ("account", "absent", "failed", 2),
        ("id_field", "title", "refused", 1),
    ] {
        let ended = act.clone().set("status", "resolved").set(name, value).run().exits(code);
        let (events, _) = audit(&stage);
        let one: Vec<_> = events.iter().filter(|event| event["rows"].is_null()).collect();
        let [many] = &events.iter().filter(|event| !event["rows"].is_null()).collect::<Vec<_>>()[..] else {
            panic!("{name}: {} events", events.len())
        };
        let told = one.len() as u64 + many["rows"].as_u64().unwrap();
        assert_eq!((told, one.len() <= 1100, &many["result"]), (30_000, true, &json!(result)), "{name}");
        assert_eq!(many["last_row"], json!(30_000));
        assert!(ended.stderr.len() < 1 << 20, "{} bytes", ended.stderr.len());
        let said = format!("{}: {} more rows, from ", action_of(list), many["rows"]);
        assert!(ended.said("ERROR").iter().any(|line| line.starts_with(&said)), "{name}: {said}");
        assert_eq!(ended.said("INFO").last().unwrap(), &total(list, 30_000, 30_000));
    }
    // The same object over and over: one request, and a number.
    let ids = stage.fresh(list, 1);
    let rows: String = (0..5_000).map(|_| format!("{}\n", ids[0])).collect();
    Act::new(&stage, list).set("status", "resolved").csv(&format!("id\n{rows}")).run().exits(0).quietly();
    let (events, _) = audit(&stage);
    let number = |event: &serde_json::Value| event["rows"].as_u64().unwrap_or(1);
    assert_eq!(events.iter().map(number).sum::<u64>(), 5_000);
    assert!(events.len() <= 1_002 && events.iter().all(|event| event["result"] == "updated"), "{}", events.len());
}
