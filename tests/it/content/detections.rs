//! The published detections that read Defender alerts, run over the program's events.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use simulator::Config;

use crate::search::{Fields, Knowledge, Settings, pipeline};
use crate::support::{Event, List, Object, Stage, shared};

use super::{INCIDENT, events_of_all, first, leaves, served};

/// What the published detections say, step for step, in as few words.
///
/// "Microsoft Defender Incident Alerts" reads the list `entities` of the raw event and leaves out what is `Clean`;
/// "Microsoft Defender ATP Alerts" reads `evidence` and groups by the host as well.
const BY_RAW: &str = r#"(dest=* OR user=*)
    | eval items = json_array_to_mv(json_extract(_raw, "LIST")) FILTER, process = mvmap(items, spath(items, "processCommandLine")),
        ip = mvmap(items, spath(items, "ipAddress")), key = mvmap(items, spath(items, "registryKey")), page = mvmap(items, spath(items, "url"))
    | eval items = mvfilter(json_extract(items, "entityType") = "File"), file = mvmap(items, spath(items, "fileName"))
    | eval score = case(severity="informational", 5, severity="low", 15, severity="medium", 25, severity="high", 50, true(), 2)
    | eval process = if(process="null", "", process), ip = if(ip="null", "", ip), key = if(key="null", "", key), page = if(page="null", "", page)
    | stats count min(_time) as firstTime max(_time) as lastTime values(file) as file_name values(severity) as severity
        values(process) as process values(ip) as ip_address values(key) as registry_key values(page) as url
        values(mitreTechniques{}) as annotations.mitre_attack.mitre_technique_id values(signature) as signature values(dest) as dest
        values(user) as user values(score) as risk_score by "#;

/// "Detect Critical Alerts from Security Tools": a search of the data model Alerts, which is what has the tag `alert`.
const BY_MODEL: &str = r#"tag=alert severity IN ("high", "critical")
    | stats count min(_time) as firstTime by signature app severity description source id dest"#;

fn rows(search: &str, events: &[Fields]) -> Vec<Fields> {
    pipeline::run(&search.replace('\n', " "), &Settings::new(), events)
}

/// The rows of the detection that reads the data model.
pub(super) fn grave_rows(events: &[Fields]) -> Vec<Fields> {
    rows(BY_MODEL, events)
}

/// The rows of the detection that reads a list of the raw event.
fn detect(list: &str, events: &[Fields]) -> Vec<Fields> {
    let (sourcetype, by, filter) = match list {
        "entities" => (
            "ms365:defender:incident:alerts",
            "id description",
            r#", items = mvfilter(json_extract(items, "verdict") != "Clean")"#,
        ),
        _ => ("ms:defender:atp:alerts", "id description src", ""),
    };
    let search = format!("sourcetype={sourcetype} {BY_RAW}{by}").replace("LIST", list).replace("FILTER", filter);
    rows(&search, events)
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
        let events = served(list, &row, "inline");
        let event = events.iter().find(|event| event.sourcetype != INCIDENT).unwrap();
        let fields = knowledge.fields(event);
        let rows = detect(member, std::slice::from_ref(&fields));
        let [row] = rows.as_slice() else { panic!("one row: {rows:?}") };
        for (name, value) in golden["group_by"].as_object().unwrap() {
            assert_eq!(row[name], [value.as_str().unwrap()], "{name}");
        }
        for (name, wanted) in golden.as_object().unwrap() {
            let Some(wanted) = wanted.as_array() else { continue };
            let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(row.get(name).cloned().unwrap_or_default(), wanted.iter().map(plain).collect::<Vec<_>>(), "{name}");
        }
        // The incumbent found neither here: a tenant id for the host, and nobody.
        assert!(row.contains_key("dest") && row.contains_key("user"));
        if list == List::EndpointAlerts {
            assert_eq!((fields["dest"][0].as_str(), fields["user"][0].as_str()), ("diytestmachine", "User1"));
        }
    }
}

/// Where Graph and the Defender APIs keep what a column of the detections shows: type of the evidence, then the path.
const COLUMNS: [(&str, &str, &str, &str, &str); 5] = [
    ("file_name", "fileEvidence", "/fileDetails/fileName", "File", "/fileName"),
    ("process", "processEvidence", "/processCommandLine", "Process", "/processCommandLine"),
    ("ip_address", "ipEvidence", "/ipAddress", "Ip", "/ipAddress"),
    ("url", "urlEvidence", "/url", "Url", "/url"),
    ("registry_key", "registryKeyEvidence", "/registryKey", "Registry", "/registryKey"),
];

#[test]
fn the_published_detections_have_a_row_for_every_alert_of_both_apis() {
    let knowledge = Knowledge::load();
    let stage = Stage::with(Config { alerts: 60, ..Stage::config() });
    for list in List::ALL {
        let member = if list.inner_identity().is_some() { "entities" } else { "evidence" };
        let input = stage.input(list).named(&format!("{list:?}")).at_once();
        let events: Vec<Fields> = input.run().exits(0).quietly().events().iter().map(|event| knowledge.fields(event)).collect();
        let rows = detect(member, &events);
        // What the service serves, read without the program.
        let objects = stage.objects(list);
        let alerts: Vec<Object> = match list.inner_identity() {
            Some(_) => objects.iter().flat_map(|object| object.alerts(list)).collect(),
            None => objects,
        };
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for alert in &alerts {
            let json: Value = serde_json::from_str(&alert.text).unwrap();
            // The second detection has a row per host.
            let rows: Vec<&Fields> = rows.iter().filter(|row| first(row, "id") == alert.id).collect();
            assert!(!rows.is_empty(), "{list:?}: no row of {}", alert.text);
            let found =
                |name: &str| -> BTreeSet<String> { rows.iter().filter_map(|row| row.get(name)).flatten().cloned().collect() };
            let is_graph = list.feed_and_api().1 == "graph";
            let items: Vec<&Value> = json[if is_graph { "evidence" } else { member }].as_array().into_iter().flatten().collect();
            let is_clean = |item: &Value| {
                item["verdict"] == "noThreatsFound" || item["verdict"] == "Clean" || (!is_graph && item["verdict"].is_null())
            };
            let told: Vec<&Value> = items.iter().copied().filter(|item| member == "evidence" || !is_clean(item)).collect();
            let mut known = BTreeSet::from(["unknown".to_owned()]);
            leaves(&json, &mut known);
            for (column, graph_type, graph_path, kind, path) in COLUMNS {
                let is_it = |item: &&&Value| {
                    let name = item["@odata.type"].as_str().unwrap_or_default();
                    if is_graph { name.ends_with(&format!(".{graph_type}")) } else { item["entityType"] == kind }
                };
                let values =
                    told.iter().filter(is_it).filter_map(|item| item.pointer(if is_graph { graph_path } else { path })?.as_str());
                for value in values.filter(|value| !value.is_empty()) {
                    assert!(found(column).contains(value), "{list:?}: {column} lacks {value}: {}", alert.text);
                    *seen.entry(column).or_default() += 1;
                }
                // A member of the same name that is an object, such as the address of an IoT device, is Graph's own.
                let is_text = |value: &&String| !value.is_empty() && !value.starts_with('{');
                let strange: Vec<String> = found(column).difference(&known).filter(is_text).cloned().collect();
                assert!(strange.is_empty(), "{list:?}: {column} has {strange:?}, which the alert has not");
            }
            for column in ["dest", "user"] {
                assert!(found(column).is_subset(&known), "{list:?}: {column} {:?}: {}", found(column), alert.text);
            }
            let hosts = ["/deviceDnsName", "/hostName"];
            let mut hosts: BTreeSet<&str> = items
                .iter()
                .chain(json["devices"].as_array().iter().flat_map(|devices| devices.iter()).collect::<Vec<_>>().iter())
                .filter(|item| !is_graph || item["@odata.type"] == "#microsoft.graph.security.deviceEvidence")
                .filter_map(|item| hosts.iter().find_map(|path| item.pointer(path)?.as_str()))
                .collect();
            hosts.extend(json["computerDnsName"].as_str());
            let dest = found("dest");
            assert!(hosts.is_empty() || hosts.iter().any(|host| dest.contains(*host)), "{list:?}: {dest:?}, not {hosts:?}");
            *seen.entry("dest").or_default() += usize::from(!hosts.is_empty());
            *seen.entry("user").or_default() += found("user").len();
            assert_eq!(found("signature"), BTreeSet::from([json["title"].as_str().unwrap().to_owned()]));
            let severity = json["severity"].as_str().unwrap().to_lowercase();
            let score = [("informational", "5"), ("low", "15"), ("medium", "25"), ("high", "50")];
            let score = score.iter().find(|(name, _)| *name == severity).map_or("2", |(_, score)| score);
            assert_eq!(found("risk_score"), BTreeSet::from([score.to_owned()]), "{severity}");
            let mut techniques = BTreeSet::new();
            leaves(&json["mitreTechniques"], &mut techniques);
            assert_eq!(found("annotations.mitre_attack.mitre_technique_id"), techniques);
        }
        // Microsoft's sample of the incidents API, and so the stand-in, has no verdicts, without which the detection leaves
        // evidence out; the published sample, above, has them.
        let columns = if list == List::XdrIncidents { 0 } else { COLUMNS.len() };
        assert!(alerts.len() > 10 && seen.len() == columns + 2, "{list:?}: {seen:?}");
    }
}

#[test]
fn the_alerts_data_model_gets_every_grave_alert() {
    let knowledge = Knowledge::load();
    for form in ["compact", "verbatim"] {
        let events = events_of_all(&[("events", form)]);
        let grave = |event: &&Event| {
            event.sourcetype != INCIDENT && event.json()["severity"].as_str().unwrap_or_default().eq_ignore_ascii_case("high")
        };
        let name = |event: &Event| {
            let json = event.json();
            (event.source.clone(), json["id"].as_str().or(json["alertId"].as_str()).unwrap().to_owned())
        };
        let graver: BTreeSet<(String, String)> = events.iter().filter(grave).map(name).collect();
        let fields: Vec<Fields> = events.iter().map(|event| knowledge.fields(event)).collect();
        let found = grave_rows(&fields);
        let found: BTreeSet<(String, String)> =
            found.iter().map(|row| (first(row, "source").to_owned(), first(row, "id").to_owned())).collect();
        assert!(graver.len() > 5);
        assert_eq!(found, graver);
    }
}
