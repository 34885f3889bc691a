//! The published detections that read Defender alerts, run over the program's events.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use serde_json::value::RawValue;
use simulator::Config;
use ta_defender::json::Members;

use crate::search::{Fields, Knowledge};
use crate::support::{Event, List, Stage, shared};

use super::{INCIDENT, events_of_all, first, has_tags};

/// The events a list with this one row becomes.
fn served(list: List, row: &str) -> Vec<Event> {
    let stage = Stage::with(Config { incidents: 0, alerts: 0, ..Stage::config() });
    let file = format!("{{\"value\":[{row}]}}");
    assert_eq!(stage.sim.world(|world| world.samples.serve(list.route(), &file)).unwrap(), 1);
    let input = stage.input(list).set("start", "2020-01-01T00:00:00Z").set("interval", "300");
    input.run().exits(0).quietly().events()
}

/// `values(...)` of what the detections take out of each item of a list in the raw event.
fn taken(items: &[Value], member: &str) -> BTreeSet<String> {
    items.iter().filter_map(|item| item[member].as_str()).map(str::to_owned).collect()
}

/// The row of "Microsoft Defender Incident Alerts" (list `entities`, without what is `Clean`) or "Microsoft Defender ATP
/// Alerts" (list `evidence`): none unless it has a host or a user, and every field that it groups by.
fn detect(fields: &Fields, list: &str) -> Option<BTreeMap<&'static str, BTreeSet<String>>> {
    let by: &[&str] = if list == "entities" { &["id", "description"] } else { &["id", "description", "src"] };
    if !(fields.contains_key("dest") || fields.contains_key("user")) || by.iter().any(|name| !fields.contains_key(*name)) {
        return None;
    }
    let raw: Value = serde_json::from_str(&fields["_raw"][0]).unwrap();
    let mut items = raw[list].as_array().cloned().unwrap_or_default();
    if list == "entities" {
        // A comparison with nothing is nothing: evidence without a verdict is dropped as well.
        items.retain(|item| item["verdict"].is_string() && item["verdict"] != "Clean");
    }
    let files: Vec<Value> = items.iter().filter(|item| item["entityType"] == "File").cloned().collect();
    let score = match first(fields, "severity") {
        "informational" => "5",
        "low" => "15",
        "medium" => "25",
        "high" => "50",
        _ => "2",
    };
    let values = |name: &str| fields.get(name).into_iter().flatten().cloned().collect::<BTreeSet<String>>();
    Some(BTreeMap::from([
        ("file_name", taken(&files, "fileName")),
        ("severity", values("severity")),
        ("process", taken(&items, "processCommandLine")),
        ("ip_address", taken(&items, "ipAddress")),
        ("registry_key", taken(&items, "registryKey")),
        ("url", taken(&items, "url")),
        ("annotations.mitre_attack.mitre_technique_id", values("mitreTechniques{}")),
        ("signature", values("signature")),
        ("dest", values("dest")),
        ("user", values("user")),
        ("risk_score", BTreeSet::from([score.to_owned()])),
    ]))
}

#[test]
fn the_published_detections_give_their_rows_for_the_published_samples() {
    let Some(folder) = shared("fixtures/security_content") else { return };
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let golden: Vec<Value> = serde_json::from_str(&read("expected_detection_output.json")).unwrap();
    let knowledge = Knowledge::load();
    let alert = read("ms365_defender_incident_alert_example.json");
    let incident = format!(
        r#"{{"incidentId":486,"lastUpdateTime":"2022-11-19T01:35:43Z","createdTime":"2022-09-30T05:36:50Z","alerts":[{alert}]}}"#
    );
    let table = [
        (List::XdrIncidents, incident, "entities", &golden[0]),
        (List::EndpointAlerts, read("ms_defender_atp_alert_example.json"), "evidence", &golden[1]),
    ];
    for (list, row, member, golden) in table {
        let events = served(list, &row);
        let event = events.iter().find(|event| event.sourcetype != INCIDENT).unwrap();
        let fields = knowledge.fields(event);
        for (name, value) in golden["group_by"].as_object().unwrap() {
            assert_eq!(fields[name], [value.as_str().unwrap()], "{name}");
        }
        let row = detect(&fields, member).unwrap();
        for (name, found) in &row {
            let Some(wanted) = golden[*name].as_array() else { continue };
            let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(*found, wanted.iter().map(plain).collect(), "{name}");
        }
        // The incumbent found neither here: a tenant id for the host, and nobody.
        assert!(!row["dest"].is_empty() && !row["user"].is_empty());
        if list == List::EndpointAlerts {
            assert_eq!((fields["dest"][0].as_str(), fields["user"][0].as_str()), ("diytestmachine", "User1"));
        }
    }
}

#[test]
fn the_published_detections_find_the_same_in_alerts_of_graph() {
    let knowledge = Knowledge::load();
    let stage = Stage::with(Config { alerts: 60, ..Stage::config() });
    for (list, member) in [(List::GraphIncidents, "entities"), (List::GraphAlerts, "evidence")] {
        let events = stage.input(list).named(member).at_once().run().exits(0).quietly().events();
        let mut found: BTreeMap<&str, usize> = BTreeMap::new();
        for event in events.iter().filter(|event| event.sourcetype != INCIDENT) {
            let row = detect(&knowledge.fields(event), member).unwrap_or_else(|| panic!("no row: {}", event.data));
            // From Graph's own members, read another way.
            let members = Members::read(&event.data).unwrap();
            let evidence: Vec<&RawValue> = serde_json::from_str(members.get("evidence").unwrap().get()).unwrap();
            for item in evidence.into_iter().map(|raw| serde_json::from_str::<Value>(raw.get()).unwrap()) {
                if member == "entities" && item["verdict"] == "noThreatsFound" {
                    continue;
                }
                let (field, value) = match item["@odata.type"].as_str() {
                    Some("#microsoft.graph.security.fileEvidence") => ("file_name", &item["fileDetails"]["fileName"]),
                    Some("#microsoft.graph.security.processEvidence") => ("process", &item["processCommandLine"]),
                    Some("#microsoft.graph.security.ipEvidence") => ("ip_address", &item["ipAddress"]),
                    Some("#microsoft.graph.security.urlEvidence") => ("url", &item["url"]),
                    Some("#microsoft.graph.security.registryKeyEvidence") => ("registry_key", &item["registryKey"]),
                    _ => continue,
                };
                if let Some(value) = value.as_str() {
                    assert!(row[field].contains(value), "{field} {value}: {row:?}");
                    *found.entry(field).or_default() += 1;
                }
            }
        }
        assert_eq!(found.len(), 5, "{found:?}");
    }
}

#[test]
fn the_alerts_data_model_gets_every_grave_alert() {
    // "Detect Critical Alerts from Security Tools": severity high or critical, by these fields of tag=alert.
    let knowledge = Knowledge::load();
    let (mut graver, mut rows) = (0, 0);
    for event in events_of_all(&[]) {
        let fields = knowledge.fields(&event);
        let severity = event.json()["severity"].as_str().unwrap_or_default().to_lowercase();
        graver += usize::from(severity == "high" && event.sourcetype != INCIDENT);
        let by = ["signature", "app", "severity", "description", "source", "id", "dest"];
        let counts = has_tags(&fields, &["alert"]) && by.iter().all(|name| fields.contains_key(*name));
        rows += usize::from(counts && first(&fields, "severity") == "high");
    }
    assert!(graver > 5 && rows == graver, "{rows} of {graver}");
}

