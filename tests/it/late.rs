//! What becomes visible later than any look-back, what comes without having been asked for, and what moves without a change.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use simulator::model::{Alert, Incident};
use simulator::{FaultKind, Route, When};

use crate::support::{Event, Input, List, Stage};

/// Lets the last late look be more than a day ago.
fn a_day_later(input: &Input<'_>) {
    edit(input, |checkpoint| checkpoint["late"]["looked"] = json!("2020-01-01T00:00:00Z"));
}

fn edit(input: &Input<'_>, change: impl FnOnce(&mut Value)) {
    let mut position = input.position();
    change(&mut position["checkpoint"]);
    fs::write(input.checkpoint(), position.to_string()).unwrap();
}

fn ids(list: List, events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.member(list.identity().0)).collect()
}

/// Shows an object half a day after its update, and gives its id.
fn appear_late(stage: &Stage, list: List, n: u64) -> String {
    let then = stage.sim.now().minus(Duration::from_secs(12 * 3600));
    stage.sim.world(|world| match list.inner_identity() {
        Some(_) => {
            world.put_alert(Alert::plain(&format!("dalate{n}_1"), Some(900_000 + n), then));
            world.put_incident(Incident::plain(900_000 + n, then));
            (900_000 + n).to_string()
        }
        None => {
            world.put_alert(Alert::plain(&format!("dalate{n}_1"), None, then));
            format!("dalate{n}_1")
        }
    })
}

#[test]
fn what_becomes_visible_half_a_day_late_is_found_and_told_once() {
    let stage = Stage::new();
    for list in List::ALL {
        let input = stage.input(list).named(&format!("{list:?}"));
        input.run().exits(0).quietly();
        let id = appear_late(&stage, list, list as u64);
        assert_eq!(input.run().exits(0).quietly().text(), "", "{list:?}: a poll does not look there");
        a_day_later(&input);
        let ended = input.run().exits(0);
        let said = ended.said("WARN");
        let expected = "the late look found 1 that became visible";
        assert!(
            said.len() == 1 && said[0].contains(expected) && said[0].contains("lookback=13h would have been enough"),
            "{said:?}"
        );
        let events = ended.events();
        assert_eq!(ids(list, &events)[0], id, "{list:?}");
        assert_eq!(events.len(), 1 + usize::from(list.inner_identity().is_some()), "{list:?}: an incident brings its alert");
        a_day_later(&input);
        assert_eq!(input.run().exits(0).quietly().text(), "", "{list:?}: and not again");
    }
}

#[test]
fn a_memory_that_is_gone_damaged_or_not_there_yet_repeats_nothing() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let input = stage.input(list);
    let file = input.checkpoint().with_extension("late");
    assert!(!input.run().exits(0).quietly().events().is_empty());
    assert!(fs::metadata(&file).unwrap().len() > 16, "what was passed on is remembered");
    let whole = fs::read(&file).unwrap();
    type Accident = (&'static str, fn(&std::path::Path, &[u8]));
    let accidents: [Accident; 4] = [
        ("it is missing", |file, _| fs::remove_file(file).unwrap()),
        ("it is damaged", |file, _| fs::write(file, "something else that is long").unwrap()),
        ("its end is missing", |file, whole| fs::write(file, &whole[..whole.len() / 2]).unwrap()),
        ("it is a symbolic link", |file, _| {
            fs::remove_file(file).unwrap();
            std::os::unix::fs::symlink("/etc/hostname", file).unwrap();
        }),
    ];
    for (problem, happen) in accidents {
        // As it was after the first run.
        edit(&input, |checkpoint| checkpoint["late"]["memory"]["records"] = json!((whole.len() - 16) / 16));
        edit(&input, |checkpoint| {
            checkpoint["late"]["memory"]["name"] = json!(u64::from_be_bytes(whole[8..16].try_into().unwrap()));
        });
        fs::write(&file, &whole).unwrap();
        happen(&file, &whole);
        a_day_later(&input);
        let ended = input.run().exits(0);
        let said = ended.said("WARN");
        assert!(said.len() == 1 && said[0].contains(problem) && said[0].contains("test.late"), "{problem}: {said:?}");
        assert_eq!(ended.text(), "", "{problem}");
        a_day_later(&input);
        assert_eq!(input.run().exits(0).quietly().text(), "", "{problem}, a day later");
    }
    // A position of an earlier version says nothing of a memory.
    edit(&input, |checkpoint| drop(checkpoint.as_object_mut().unwrap().remove("late")));
    fs::remove_file(&file).unwrap();
    assert_eq!(input.run().exits(0).quietly().text(), "");
    a_day_later(&input);
    assert_eq!(input.run().exits(0).quietly().text(), "", "nothing of before the upgrade is late");
}

#[test]
fn a_memory_that_cannot_be_written_stops_nothing_else() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let input = stage.input(list);
    let file = input.checkpoint().with_extension("late");
    fs::create_dir_all(file.join("in the way")).unwrap();
    let ended = input.run().exits(0);
    let said = ended.said("WARN");
    assert!(said.len() == 1 && said[0].contains("test.late") && said[0].contains("cannot be written"), "{said:?}");
    assert!(!ended.events().is_empty());
    assert_eq!(input.run().exits(0).quietly().text(), "", "told once an hour");
}

#[test]
fn a_failed_late_look_is_no_failed_poll_and_goes_on_later() {
    let stage = Stage::new();
    let list = List::EndpointAlerts;
    let input = stage.input(list);
    input.run().exits(0).quietly();
    let id = appear_late(&stage, list, 1);
    a_day_later(&input);
    // News are answered; whatever is asked behind them is refused.
    for n in 2..40 {
        stage.fault(list.route(), When::Nth(n), FaultKind::Status(403));
    }
    let ended = input.run().exits(0);
    let said = ended.said("WARN");
    assert!(said.len() == 1 && said[0].contains("the late look goes on in an hour"), "{said:?}");
    stage.sim.faults().clear();
    assert_eq!(input.run().exits(0).quietly().text(), "", "not in the next poll");
    edit(&input, |checkpoint| checkpoint["late"]["failed"] = json!("2020-01-01T00:00:00Z"));
    assert_eq!(ids(list, &input.run().exits(0).events()), [id]);
}

#[test]
fn a_removed_lock_file_lets_no_second_run_start() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let input = stage.input(list).set("page_size", "15");
    stage.fault(list.route(), When::Nth(2), FaultKind::Silent);
    let mut first = input.start();
    first.wait_until("the second request", |_| stage.asked(list.route()) == 2);
    fs::remove_file(input.checkpoint().with_extension("lock")).unwrap();
    let mut second = input.start();
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(!second.is_over() && stage.asked(list.route()) == 2, "it waits for the first");
    first.kill();
    let mut all = first.end().events_cut_short();
    all.extend(second.end().exits(0).quietly().events());
    let mut ids = ids(list, &all);
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "nothing came twice");
}

#[test]
fn an_alert_that_moves_to_another_incident_is_told_of_once_though_its_time_stays() {
    let stage = Stage::new();
    for list in List::ALL {
        let input = stage.input(list).named(&format!("{list:?}")).at_once();
        input.run().exits(0).quietly();
        let now = stage.sim.now();
        let (moved, into) = stage.sim.world(|world| {
            let live: Vec<u64> = world.incidents().filter(|incident| incident.redirect.is_none()).map(|one| one.id).collect();
            let endpoint = |alert: &&Alert| alert.is_endpoint() && alert.incident.is_some_and(|id| live.contains(&id));
            let alert = world.alerts().find(endpoint).unwrap().clone();
            let into = *live.iter().find(|id| Some(**id) != alert.incident).unwrap();
            world.merge(alert.incident.unwrap(), into, now);
            world.put_alert(Alert { incident: Some(into), ..alert.clone() });
            (alert.id, into)
        });
        let id = if list == List::XdrIncidents { "alertId" } else { "id" };
        let of = |events: &[Event]| events.iter().filter(|event| event.member(id) == moved).count();
        let events = input.run().exits(0).quietly().events();
        assert_eq!(of(&events), 1, "{list:?}");
        let event = events.iter().find(|event| event.member(id) == moved).unwrap();
        assert_eq!(event.member("incidentId"), into.to_string(), "{list:?}");
        if list.inner_identity().is_some() {
            let (incident, _) = list.identity();
            let target = events.iter().find(|event| event.member(incident) == into.to_string()).unwrap();
            assert!(target.json()["alertIds"].as_array().unwrap().contains(&json!(moved)), "{list:?}: and its incident lists it");
        }
        assert_eq!(of(&input.run().exits(0).quietly().events()), 0, "{list:?}: once");
        assert_eq!(stage.asked(Route::Unknown), 0);
    }
}
