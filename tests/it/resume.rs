//! What a run leaves behind, and what the next one makes of it.

use std::collections::BTreeMap;
use std::fs;

use simulator::{FaultKind, Route, When};

use crate::support::{Event, Input, List, Stage};

/// How often each version of each object came, by sourcetype, id and time.
fn versions(events: &[Event]) -> BTreeMap<(String, String, String), usize> {
    let mut all = BTreeMap::new();
    for event in events {
        let json = event.json();
        let id = ["alertId", "id", "incidentId"].into_iter().map(|name| &json[name]).find(|id| !id.is_null()).unwrap();
        *all.entry((event.sourcetype.clone(), id.to_string(), event.time.clone())).or_insert(0) += 1;
    }
    all
}

/// Checks that the events are the objects of the list, each once but for so many repeats.
#[track_caller]
fn complete(stage: &Stage, list: List, events: &[Event], repeats: usize) {
    let found = versions(events);
    let own = if list.inner_identity().is_some() { "ms365:defender:incident" } else { "ms:defender:atp:alerts" };
    for object in stage.objects(list) {
        let raw: serde_json::Value = serde_json::from_str(&object.text).unwrap();
        let key = (own.to_owned(), raw[list.identity().0].to_string(), object.time());
        assert!(found.contains_key(&key), "lost: {key:?}");
    }
    let twice = found.values().sum::<usize>() - found.len();
    assert!(twice <= repeats, "{twice} repeats");
}

#[test]
fn a_second_run_brings_only_what_changed() {
    let stage = Stage::new();
    for list in List::ALL {
        let input = stage.input(list).named(&format!("{list:?}"));
        // Graph with history, the others at once: their rate is lower.
        let input = if list == List::GraphAlerts { input } else { input.at_once() };
        complete(&stage, list, &input.run().exits(0).quietly().events(), 0);
        let ended = input.run().exits(0).quietly();
        assert_eq!(ended.text(), "", "{list:?}");
        assert_eq!(stage.asked(Route::Unknown), 0);

        let id = stage.objects(list)[3].id.clone();
        stage.change(list, &id);
        let changed = stage.objects(list).into_iter().find(|object| object.id == id).unwrap();
        let events = input.run().exits(0).quietly().events();
        let came: Vec<_> = events.iter().map(|event| (event.member(list.identity().0), event.time.clone())).collect();
        assert_eq!(came, [(id, changed.time())], "{list:?}");
    }
}

#[test]
fn an_alert_that_joins_an_incident_comes_with_it() {
    let stage = Stage::new();
    let list = List::GraphIncidents;
    let input = stage.input(list);
    input.run().exits(0).quietly();
    let incident = stage.objects(list)[0].id.clone();
    let now = stage.sim.now();
    stage.sim.world(|world| world.put_alert(simulator::model::Alert::plain("joined", Some(incident.parse().unwrap()), now)));
    stage.change(list, &incident);
    let events = input.run().exits(0).quietly().events();
    let came: Vec<_> = events.iter().map(|event| (event.sourcetype.as_str(), event.member("id"))).collect();
    let expected = [("ms365:defender:incident", incident), ("ms365:defender:incident:alerts", "joined".to_owned())];
    assert_eq!(came, expected);
}

#[test]
fn a_merged_incident_says_where_it_went() {
    let stage = Stage::new();
    for (list, status) in [(List::GraphIncidents, "redirected"), (List::XdrIncidents, "Redirected")] {
        for format in ["compact", "verbatim"] {
            let input = stage.input(list).named(&format!("{list:?}{format}")).set("events", format).at_once();
            input.run().exits(0).quietly();
            let ids: Vec<u64> = stage.objects(list).iter().map(|object| object.id.parse().unwrap()).collect();
            let (from, into) = stage.sim.world(|world| {
                let lives = |id: &&u64| world.incident(**id).is_some_and(|incident| incident.redirect.is_none());
                let with_alerts = |id: &&u64| lives(id) && world.alerts_of(**id).next().is_some();
                (*ids.iter().find(with_alerts).unwrap(), *ids.iter().rev().find(lives).unwrap())
            });
            let now = stage.sim.now();
            stage.sim.world(|world| world.merge(from, into, now));
            let events = input.run().exits(0).quietly().events();
            let merged = events.iter().find(|event| event.member(list.identity().0) == from.to_string()).unwrap();
            assert_eq!((merged.member("redirectIncidentId"), merged.member("status")), (into.to_string(), status.to_owned()));
            assert!(events.iter().any(|event| event.member(list.identity().0) == into.to_string()), "and the other one changed");
        }
    }
}

#[test]
fn a_crash_between_two_answers_repeats_nothing() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let input = stage.input(list).set("page_size", "15");
    stage.fault(list.route(), When::Nth(3), FaultKind::Silent);
    let mut running = input.start();
    running.wait_until("the third request", |_| stage.asked(list.route()) == 3);
    running.kill();
    let mut events = running.end().events_cut_short();
    assert!(!events.is_empty());
    events.extend(input.run().exits(0).quietly().events());
    complete(&stage, list, &events, 0);
}

#[test]
fn a_crash_before_splunkd_took_an_answer_repeats_that_answer_at_most() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let page = 8;
    let input = stage.input(list).set("page_size", &page.to_string());
    let mut events = Vec::new();
    let kills = 4;
    for kill in 1..=kills {
        let mut running = input.program().unread().start();
        running.wait_until("events in the pipe", |running| running.waiting() > 0);
        running.kill();
        let came = running.end().events_cut_short();
        assert!(came.len() <= page, "kill {kill}: {} events are out before the first was taken", came.len());
        events.extend(came);
    }
    events.extend(input.run().exits(0).quietly().events());
    complete(&stage, list, &events, kills * page);
}

#[test]
fn start_is_the_same_instant_however_often_the_first_run_fails() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let input = stage.input(list).set("start", "now");
    stage.fault(Route::Token, When::Once, FaultKind::Entra(7_000_215));
    input.run().exits(2);
    stage.change(list, &stage.objects(list)[0].id);
    assert_eq!(input.run().exits(0).quietly().events().len(), 1, "what changed since the first run");
}

/// What to do about a checkpoint that cannot be read.
const RESTORE: &str =
    "restore the file from a backup, or delete it to let the input begin again at its `start`, which repeats events";
/// The checkpoint of the input `test`.
const FILE: &str = "FOLDER/splunk/var/lib/splunk/modinputs/defender/test.json";

#[test]
fn a_checkpoint_that_cannot_be_read_stops_the_input() {
    let stage = Stage::new();
    let input = stage.input(List::GraphAlerts);
    input.run().exits(0).quietly();
    let whole = fs::read_to_string(input.checkpoint()).unwrap();
    let end = whole.len() / 2;
    let table = [
        (String::new(), "it is empty".to_owned()),
        (whole[..end].to_owned(), format!("it is damaged (EOF while parsing N at line 1 column {end})")),
        (
            whole.replace("\"version\":1", "\"version\":2"),
            "it has layout 2, and this version of the add-on knows layout 1".to_owned(),
        ),
        (whole.replace("\"stanza\":\"test\"", "\"stanza\":\"other\""), "it belongs to the input `other`".to_owned()),
        ("null".to_owned(), "it is damaged (invalid type: null, expected struct VersionOnly at line 1 column 4)".to_owned()),
    ];
    stage.sim.forget_requests();
    for (text, reason) in table {
        fs::write(input.checkpoint(), &text).unwrap();
        let ended = input.run().exits(2);
        assert_eq!(ended.text(), "");
        let said = ended.said("ERROR").concat();
        let said = ["a string", "an object", "a value", "a list"]
            .iter()
            .fold(said, |said, what| said.replace(&format!("parsing {what}"), "parsing N"));
        assert_eq!(said, format!("defender://test: the checkpoint {FILE} cannot be read: {reason}; {RESTORE}"));
        assert_eq!(fs::read_to_string(input.checkpoint()).unwrap(), text, "untouched");
    }
    assert_eq!(stage.asked(Route::GraphAlerts), 0);
    // As it was, it goes on.
    fs::write(input.checkpoint(), whole).unwrap();
    assert_eq!(input.run().exits(0).quietly().text(), "");
}

#[test]
fn another_tenant_or_feed_begins_again() {
    let stage = Stage::new();
    let input = stage.input(List::GraphAlerts);
    let first = input.run().exits(0).quietly().events();
    let again = "defender://test: its tenant or feed changed, so it begins again at its start; the id of a tenant and its domain \
                 name count as two";
    stage.account("tenant_id", &simulator::accounts::TENANT.to_ascii_uppercase());
    assert_eq!(input.run().exits(0).quietly().text(), "", "the same tenant in another case");
    stage.account("tenant_id", simulator::accounts::DOMAIN);
    let ended = input.run().exits(0).says("WARN", &[again]);
    let events = ended.events();
    assert_eq!(events.len(), first.len());
    assert!(events.iter().all(|event| event.source == format!("defender:alerts:{}", simulator::accounts::DOMAIN)));
    let incidents = stage.input(List::GraphIncidents);
    let events = incidents.run().exits(0).says("WARN", &[again]).events();
    complete(&stage, List::GraphIncidents, &events, 0);
    assert_eq!(incidents.run().exits(0).quietly().text(), "", "and then goes on");
}

#[test]
fn another_api_or_filter_keeps_the_position() {
    let stage = Stage::new();
    let input = stage.input(List::GraphAlerts);
    input.run().exits(0).quietly();
    let kept = "defender://test: its api or filter changed; it goes on from where it was";
    let filtered = input.clone().set("filter", "severity ne 'low'");
    assert_eq!(filtered.run().exits(0).says("WARN", &[kept]).text(), "");
    filtered.run().exits(0).quietly();
    let before = input.position()["checkpoint"]["cursor"]["settled"].clone();
    let defender = stage.input(List::EndpointAlerts);
    let ended = defender.run().exits(0).says("WARN", &[kept]);
    assert_eq!(ended.text(), "", "same alerts, same versions");
    assert!(defender.position()["checkpoint"]["cursor"]["settled"].as_str() >= before.as_str());
}

/// What to do about a checkpoint that cannot be saved.
const WRITABLE: &str =
    "make the folder writable for the user splunkd runs as and see that the disk has room; the position saved before is intact";

#[test]
fn a_missing_folder_is_made_and_a_file_in_its_place_is_said() {
    let stage = Stage::new();
    let input = stage.input(List::GraphAlerts).checkpoint_dir(stage.sim.checkpoint_dir().join("not/yet"));
    input.run().exits(0).quietly();
    assert!(input.checkpoint().is_file());
    // Permissions do not keep root out; a file in the folder's place keeps out everybody.
    let blocked = stage.input(List::GraphAlerts).checkpoint_dir(input.checkpoint());
    stage.sim.forget_requests();
    let ended = blocked.run().exits(1);
    let path = FILE.replace("test.json", "not/yet/test.json/test.json");
    let expected = format!("defender://test: the checkpoint {path} cannot be saved: File exists (os error 17); {WRITABLE}");
    assert_eq!(ended.said("ERROR"), [expected]);
    assert_eq!((ended.text(), stage.asked(Route::GraphAlerts)), ("", 0), "nothing is asked that could not be remembered");
}

#[test]
fn events_whose_position_could_not_be_saved_come_again() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let input = stage.input(list);
    input.run().exits(0).quietly();
    let before = fs::read(input.checkpoint()).unwrap();
    let id = stage.objects(list)[0].id.clone();
    stage.change(list, &id);
    let obstacle = input.checkpoint().with_extension("tmp");
    fs::create_dir(&obstacle).unwrap();
    let ended = input.run().exits(1);
    assert_eq!(
        ended.said("ERROR"),
        [format!(
            "defender://test: {} cannot be used: it is a folder and no file: remove it, or put the file itself there; then the input \
             goes on where it was; nothing behind it was read or written",
            FILE.replace(".json", ".tmp")
        )]
    );
    assert_eq!(ended.events().iter().map(|event| event.member("id")).collect::<Vec<_>>(), std::slice::from_ref(&id));
    assert_eq!(fs::read(input.checkpoint()).unwrap(), before);
    fs::remove_dir(obstacle).unwrap();
    let events = input.run().exits(0).quietly().events();
    assert_eq!(events.iter().map(|event| event.member("id")).collect::<Vec<_>>(), [id]);
}

#[test]
fn a_full_disk_leaves_the_old_position_whole() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let input = stage.input(list).at_once();
    let all = input.run().exits(0).quietly().events().len();
    let before = fs::read(input.checkpoint()).unwrap();
    assert!(before.len() > 1024, "{} bytes would fit", before.len());
    let id = stage.objects(list)[0].id.clone();
    stage.change(list, &id);
    let ended = input.program().disk_full().run().exits(1);
    assert_eq!(
        ended.said("ERROR"),
        [format!("defender://test: the checkpoint {FILE} cannot be saved: File too large (os error 27); {WRITABLE}")]
    );
    assert_eq!(fs::read(input.checkpoint()).unwrap(), before);
    assert!(!input.checkpoint().with_extension("tmp").exists(), "what was half written is gone");
    let events = input.run().exits(0).quietly().events();
    assert_eq!(events.iter().map(|event| event.member("id")).collect::<Vec<_>>(), [id], "of {all}");
}

#[test]
fn a_second_process_of_an_input_waits_for_the_first() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let input = stage.input(list);
    stage.fault(list.route(), When::Once, FaultKind::Silent);
    let mut first = input.start();
    first.wait_until("its request", |_| stage.asked(list.route()) == 1);
    let mut second = input.start();
    second.wait_until("its look at the account", |_| stage.asked(Route::SplunkPasswords) == 2);
    assert_eq!(stage.asked(list.route()), 1);
    first.kill();
    first.end();
    complete(&stage, list, &second.end().exits(0).quietly().events(), 0);
}

#[test]
fn inputs_do_not_touch_one_another() {
    let stage = Stage::new();
    let run = |input: Input<'_>| input.run().exits(0).quietly().events().len();
    let first = run(stage.input(List::GraphAlerts).named("one"));
    assert_eq!(run(stage.input(List::GraphAlerts).named("two")), first);
    let mut files: Vec<_> = fs::read_dir(stage.sim.checkpoint_dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["one.json", "one.late", "one.lock", "two.json", "two.late", "two.lock"]);
}
