//! A first run: every object the service has, once, as the event the manual promises.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use serde_json::value::RawValue;
use simulator::accounts::TENANT;
use simulator::model::Alert;
use simulator::{Json, Route};
use ta_defender::json::Members;

use crate::support::{Event, List, Object, Stage, same};

const INCIDENT: &str = "ms365:defender:incident";
const INCIDENT_ALERT: &str = "ms365:defender:incident:alerts";
const ALERT: &str = "ms:defender:atp:alerts";

/// The sourcetype of a list's own objects.
fn sourcetype(list: List) -> &'static str {
    if list.inner_identity().is_some() { INCIDENT } else { ALERT }
}

/// What a run has to write in `verbatim`: time, sourcetype and text of every event.
fn expected(list: List, objects: &[Object]) -> BTreeSet<(String, String, String)> {
    let mut all = BTreeSet::new();
    for object in objects {
        all.insert((object.time(), sourcetype(list).to_owned(), without_alerts(list, object)));
        if list.inner_identity().is_some() {
            for alert in object.alerts(list) {
                all.insert((alert.time(), INCIDENT_ALERT.to_owned(), alert.text));
            }
        }
    }
    all
}

/// An incident's text with `alertIds` and `alertsCount` in the place of its alerts.
fn without_alerts(list: List, object: &Object) -> String {
    if list.inner_identity().is_none() {
        return object.text.clone();
    }
    let members: BTreeMap<&str, &RawValue> = serde_json::from_str(&object.text).unwrap();
    let alerts = object.alerts(list);
    let ids: Vec<&str> = alerts.iter().map(|alert| alert.id.as_str()).collect();
    let ids = serde_json::to_string(&ids).unwrap();
    let old = format!("\"alerts\":{}", members["alerts"].get());
    assert_eq!(object.text.matches(&old).count(), 1);
    object.text.replace(&old, &format!("\"alertIds\":{ids},\"alertsCount\":{}", alerts.len()))
}

fn written(events: &[Event]) -> BTreeSet<(String, String, String)> {
    events.iter().map(|event| (event.time.clone(), event.sourcetype.clone(), event.data.clone())).collect()
}

#[test]
fn verbatim_brings_every_object_once_byte_for_byte() {
    let stage = Stage::new();
    for list in List::ALL {
        let (feed, _) = list.feed_and_api();
        let ended = stage.input(list).named(&format!("{list:?}")).set("events", "verbatim").run().exits(0).quietly();
        let events = ended.events();
        let expected = expected(list, &stage.objects(list));
        assert!(expected.len() > 10, "{list:?}");
        same(&format!("{list:?}"), &written(&events), &expected);
        assert_eq!(events.len(), expected.len(), "{list:?}: none twice");
        for event in events {
            assert_eq!(event.source, format!("defender:{feed}:{TENANT}"));
            assert_eq!((event.index, event.host), (None, None), "left to splunkd");
            assert!(!event.data.contains(['\n', '\r']));
        }
    }
}

#[test]
fn compact_leads_with_the_update_time_then_scalars_and_drops_nulls() {
    let stage = Stage::new();
    for list in List::ALL {
        let events = stage.input(list).named(&format!("{list:?}")).at_once().run().exits(0).quietly().events();
        let expected = expected(list, &stage.objects(list));
        for (time, kind, text) in &expected {
            let wanted = stripped(text);
            let is_it = |event: &&Event| event.time == *time && event.sourcetype == *kind && has(&event.json(), &wanted);
            assert_eq!(events.iter().filter(is_it).count(), 1, "{list:?}: {text}");
        }
        assert_eq!(events.len(), expected.len(), "{list:?}: none twice");
        for event in events {
            let (_, own) = list.identity();
            let updated = if event.sourcetype == INCIDENT_ALERT { list.inner_identity().unwrap().1 } else { own };
            let members = Members::read(&event.data).unwrap().0;
            assert_eq!(members[0].0, updated, "{}", event.data);
            let scalar = |raw: &RawValue| !raw.get().starts_with(['{', '[']);
            let kinds: Vec<bool> = members.iter().map(|(_, value)| scalar(value)).collect();
            assert!(kinds.is_sorted_by(|a, b| a >= b), "scalars first: {}", event.data);
            assert!(!event.data.contains(":null"), "{}", event.data);
        }
    }
}

/// A JSON text without its null members.
fn stripped(text: &str) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.retain(|_, member| !member.is_null());
                members.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value: Value = serde_json::from_str(text).unwrap();
    strip(&mut value);
    value
}

/// Whether an event has everything an object has; alerts have names of older APIs besides.
fn has(event: &Value, object: &Value) -> bool {
    match (event, object) {
        (Value::Object(event), Value::Object(object)) => {
            object.iter().all(|(name, value)| event.get(name).is_some_and(|found| has(found, value)))
        }
        (Value::Array(event), Value::Array(object)) => {
            event.len() >= object.len() && event.iter().zip(object).all(|(event, object)| has(event, object))
        }
        _ => event == object,
    }
}

#[test]
fn index_and_host_are_the_stanzas() {
    let stage = Stage::new();
    let input = stage.input(List::GraphAlerts).set("index", "security").set("host", "sensor-1").without_app();
    for event in input.run().exits(0).quietly().events() {
        assert_eq!((event.index.as_deref(), event.host.as_deref()), (Some("security"), Some("sensor-1")));
    }
}

#[test]
fn a_stanzas_own_source_and_sourcetype_are_not_used() {
    let stage = Stage::new();
    let input = stage.input(List::GraphAlerts).set("source", "mine").set("sourcetype", "mine");
    let ended = input.run().exits(0).says("ERROR", &[]).says(
        "WARN",
        &[
            "defender://test: its `source` is ignored: existing searches rely on the ones this add-on sets",
            "defender://test: its `sourcetype` is ignored: existing searches rely on the ones this add-on sets",
        ],
    );
    assert!(ended.events().iter().all(|event| event.source != "mine" && event.sourcetype == ALERT));
}

#[test]
fn empty_parameters_are_the_defaults() {
    let stage = Stage::new();
    let full = stage.input(List::GraphAlerts).named("a").run().exits(0);
    let mut input = stage.input(List::GraphAlerts).named("b");
    for name in ["api", "lookback", "filter", "include_alerts", "events", "page_size", "host", "source"] {
        input = input.set(name, "");
    }
    assert_eq!(written(&input.run().exits(0).quietly().events()), written(&full.events()));
}

#[test]
fn alerts_of_incidents_as_asked() {
    let stage = Stage::new();
    let objects = stage.objects(List::GraphIncidents);
    let alerts: usize = objects.iter().map(|incident| incident.alerts(List::GraphIncidents).len()).sum();
    let count = |events: &[Event], kind: &str| events.iter().filter(|event| event.sourcetype == kind).count();

    let none = stage.input(List::GraphIncidents).named("none").set("include_alerts", "none");
    let events = none.run().exits(0).quietly().events();
    assert_eq!((count(&events, INCIDENT), count(&events, INCIDENT_ALERT)), (objects.len(), 0));
    assert!(events.iter().all(|event| !event.data.contains("\"alertIds\"")), "what was not asked for is not said to be empty");
    let asked = stage.sim.requests();
    assert!(asked.iter().filter(|e| e.route == Route::GraphIncidents).all(|e| !e.request.query.contains("expand")));

    let changed = stage.input(List::GraphIncidents).named("changed");
    let all = stage.input(List::GraphIncidents).named("all").set("include_alerts", "all");
    for input in [&changed, &all] {
        let events = input.run().exits(0).quietly().events();
        assert_eq!((count(&events, INCIDENT), count(&events, INCIDENT_ALERT)), (objects.len(), alerts));
    }
    // One incident changes, its alerts do not.
    let incident = objects.iter().max_by_key(|incident| incident.alerts(List::GraphIncidents).len()).unwrap();
    let inside = incident.alerts(List::GraphIncidents).len();
    let (id, now) = (incident.id.parse().unwrap(), stage.sim.now());
    assert!(stage.sim.world(|world| world.change_incident(id, now, |incident| incident.custom_tags.push("seen".to_owned()))));
    let events = changed.run().exits(0).quietly().events();
    assert_eq!((count(&events, INCIDENT), count(&events, INCIDENT_ALERT)), (1, 0));
    let events = all.run().exits(0).quietly().events();
    assert_eq!((count(&events, INCIDENT), count(&events, INCIDENT_ALERT)), (1, inside));
}

#[test]
fn a_filter_of_the_admins_is_added_to_ours() {
    let stage = Stage::new();
    let objects = stage.objects(List::GraphAlerts);
    let high = objects.iter().filter(|object| object.text.contains("\"severity\":\"high\"")).count();
    assert!(high > 0 && high < objects.len());
    let events = stage.input(List::GraphAlerts).set("filter", "severity eq 'high'").run().exits(0).quietly().events();
    assert_eq!(events.len(), high);
    assert!(events.iter().all(|event| event.member("severity") == "high"));
}

#[test]
fn start_says_how_far_back() {
    let stage = Stage::new();
    let objects = stage.objects(List::GraphAlerts);
    let mut times: Vec<&str> = objects.iter().map(|object| object.updated.as_str()).collect();
    times.sort_by_key(|time| simulator::Time::parse(time));
    // An instant: everything from there on, whole milliseconds.
    let from = &times[times.len() / 2][..19];
    let later = objects.iter().filter(|object| object.updated.as_str() >= from).count();
    let events = stage.input(List::GraphAlerts).named("at").set("start", &format!("{from}Z")).run().exits(0).quietly().events();
    assert_eq!(events.len(), later);
    // From now on: nothing yet, then what changes.
    let now = stage.input(List::GraphAlerts).named("now").set("start", "now");
    let ended = now.run().exits(0).quietly();
    assert_eq!(ended.text(), "", "no stream is opened for no event");
    let (id, at) = (objects[0].id.clone(), stage.sim.now());
    stage.sim.world(|world| world.change_alert(&id, at, |alert| alert.title = "changed".to_owned()));
    let events = now.run().exits(0).quietly().events();
    assert_eq!(events.iter().map(|event| event.member("id")).collect::<Vec<_>>(), [id]);
}

/// An alert whose text the services would never send, and one day do.
fn odd(stage: &Stage, id: &str, change: impl FnOnce(&mut Alert)) {
    let mut alert = Alert::plain(id, None, stage.sim.now());
    change(&mut alert);
    stage.sim.world(|world| world.put_alert(alert));
}

#[test]
fn odd_characters_and_large_numbers_survive() {
    let title = "zażółć 🦀 漢字 \u{202E}rtl \\ \" <b>&amp;</b> ]]> \u{FFFE} \u{FFFF} \u{7F} \u{85} é\u{301}";
    let controls = "a\u{0}b\u{1}c\u{B}d\r\n\te\u{1F}";
    for form in ["compact", "verbatim"] {
        let stage = Stage::with(simulator::Config { incidents: 0, alerts: 0, ..Stage::config() });
        odd(&stage, "odd", |alert| {
            title.clone_into(&mut alert.title);
            controls.clone_into(&mut alert.description);
            alert.additional_data = Json::Object(vec![
                ("big".into(), Json::Raw("9007199254740993".to_owned())),
                ("long".into(), Json::Raw("1.2300e+02".to_owned())),
            ]);
        });
        let events = stage.input(List::GraphAlerts).set("events", form).run().exits(0).quietly().events();
        let [event] = events.as_slice() else { panic!("{form}: {} events", events.len()) };
        assert!(event.data.contains("\"big\":9007199254740993"), "{}", event.data);
        assert!(event.data.contains("\"long\":1.2300e+02"), "Microsoft's spelling: {}", event.data);
        let json = event.json();
        assert_eq!(json["description"], controls, "JSON escapes pass as they are");
        // XML 1.0 has no way to write these two; splunkd would drop the rest of the stream.
        assert_eq!(json["title"], title.replace(['\u{FFFE}', '\u{FFFF}'], "\u{FFFD}"));
    }
}

#[test]
fn the_run_sums_itself_up_in_one_line() {
    let stage = Stage::new();
    let objects = stage.objects(List::GraphAlerts);
    let ended = stage.input(List::GraphAlerts).run().exits(0);
    let said = ended.said("INFO");
    let [line] = said.as_slice() else { panic!("{said:?}") };
    let requests = stage.asked(Route::GraphAlerts);
    let count = objects.len();
    let expected = format!(
        "defender://test: poll requests={requests} rows={count} events={count} repeats=0 halved=0 throttled_s=0.0 settled=TIME lag_s="
    );
    assert!(line.starts_with(&expected), "{line}\n{expected}");
    assert!(line.contains(" history_left_s=0 set_aside=0 duration_s="), "{line}");
    assert_eq!(stage.asked(Route::Token), 1, "one token for one run");
}
