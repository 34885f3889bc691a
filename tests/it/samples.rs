//! Microsoft's own list samples, served unchanged, come out event for event, as text.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::value::RawValue;
use simulator::Config;

use crate::support::{List, Object, Stage, epoch_millis, same, shared};

/// Every list sample, with the list it is an answer of.
const SAMPLES: [(List, &str); 6] = [
    (List::GraphAlerts, "graph-security/list-alerts_v2-200.json"),
    (List::GraphIncidents, "graph-security/list-incidents-200.json"),
    (List::GraphIncidents, "graph-security/list-incidents-expand-alerts-200.json"),
    (List::EndpointAlerts, "mde-alerts/get-alerts-1.json"),
    (List::EndpointAlerts, "mde-alerts/get-alerts-2.json"),
    (List::XdrIncidents, "xdr-incidents/api-list-incidents-1.json"),
];

/// JSON without the white space between its tokens; the rest as it is written.
fn dense(text: &str) -> String {
    let (mut out, mut quoted, mut escaped) = (String::new(), false, false);
    for c in text.chars() {
        if quoted || !matches!(c, ' ' | '\n' | '\r' | '\t') {
            out.push(c);
        }
        quoted = if quoted { escaped || c != '"' } else { c == '"' };
        escaped = quoted && !escaped && c == '\\';
    }
    out
}

/// The rows of a sample, one by one.
fn rows(file: &str) -> Vec<String> {
    let page: BTreeMap<String, Box<RawValue>> = serde_json::from_str(file).unwrap();
    let rows: Vec<&RawValue> = serde_json::from_str(page["value"].get()).unwrap();
    rows.into_iter().map(|raw| raw.get().to_owned()).collect()
}

/// The events a row becomes: time, sourcetype and dense text.
fn events(list: List, row: &str) -> Vec<(String, &'static str, String)> {
    let object = Object::read(row, list.identity());
    let time = epoch_millis(&object.updated);
    let Some((id, updated)) = list.inner_identity() else {
        return vec![(time, "ms:defender:atp:alerts", dense(row))];
    };
    let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(row).unwrap();
    let mut text = dense(row);
    let mut found = Vec::new();
    if let Some(raw) = members.get("alerts") {
        let alerts: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap();
        let alerts: Vec<Object> = alerts.iter().map(|raw| Object::read(raw.get(), (id, updated))).collect();
        let ids: Vec<&str> = alerts.iter().map(|alert| alert.id.as_str()).collect();
        let old = format!("\"alerts\":{}", dense(raw.get()));
        assert_eq!(text.matches(&old).count(), 1);
        let new = format!("\"alertIds\":{},\"alertsCount\":{}", serde_json::to_string(&ids).unwrap(), ids.len());
        text = text.replace(&old, &new);
        found.extend(alerts.iter().map(|alert| (alert.time(), "ms365:defender:incident:alerts", dense(&alert.text))));
    }
    found.push((time, "ms365:defender:incident", text));
    found
}

#[test]
fn every_list_sample_comes_out_event_for_event() {
    // Side by side: so much history takes more requests than a run sends at once.
    std::thread::scope(|scope| {
        for (list, name) in SAMPLES {
            let Some(path) = shared(&format!("fixtures/msapi/{name}")) else { continue };
            scope.spawn(move || comes_out(list, name, &fs::read_to_string(path).unwrap()));
        }
    });
}

fn comes_out(list: List, name: &str, file: &str) {
    let stage = Stage::with(Config { incidents: 0, alerts: 0, ..Stage::config() });
    let served = stage.sim.world(|world| world.samples.serve(list.route(), file)).unwrap();
    let rows = rows(file);
    assert_eq!(served, rows.len());
    let expected: BTreeSet<_> = rows.iter().flat_map(|row| events(list, row)).collect();
    // The oldest sample is of 2020; the interval is the time a run has for history.
    let input = stage.input(list).set("start", "2020-01-01T00:00:00Z").set("events", "verbatim").set("interval", "300");
    let found = input.run().exits(0).quietly().events();
    let dense = found.iter().map(|event| {
        assert!(!event.data.contains(['\n', '\r']), "one line");
        let kind = ["ms:defender:atp:alerts", "ms365:defender:incident:alerts", "ms365:defender:incident"];
        let kind = kind.into_iter().find(|kind| *kind == event.sourcetype).unwrap();
        (event.time.clone(), kind, dense(&event.data))
    });
    same(name, &dense.collect(), &expected);
    assert_eq!(found.len(), expected.len(), "{name}: none twice");
}

#[test]
fn dense_takes_no_more_than_white_space() {
    assert_eq!(dense(" { \"a b\" :\t[ 1 , \"c \\\" d\\\\\" , 2.50 ] }\n"), r#"{"a b":[1,"c \" d\\",2.50]}"#);
}
