//! Shapes: what the stand-ins send, against Microsoft's schema and samples.

use std::collections::BTreeSet;

use serde_json::Value;
use simulator::chance::Chance;
use simulator::generate::records;
use simulator::{Request, Time};

use crate::support::{Desk, sample, target};

fn names(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

/// Members the documents' examples hold and the schema does not: tables written as members.
const ARTEFACTS: [&str; 4] = ["deviceEvidence", "fileEvidence", "processEvidence", "registryKeyEvidence"];

struct Schema(Value);

impl Schema {
    /// The properties of a type, those of its base included.
    fn properties(&self, name: &str) -> Vec<(String, String)> {
        let own = &self.0["types"][format!("security.{name}")];
        assert!(own.is_object(), "the schema has no type {name}");
        let mut all = match own["base"].as_str() {
            Some(base) if base.starts_with("self.") => self.properties(&base[5..]),
            Some(_) => vec![("id".to_string(), "Edm.String".to_string())],
            None => Vec::new(),
        };
        all.extend(
            own["props"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, about)| (name.clone(), about["type"].as_str().unwrap().to_string())),
        );
        all
    }

    /// Checks a value against a declared type, all the way down.
    fn check(&self, value: &Value, kind: &str, place: &str) {
        if value.is_null() {
            return;
        }
        if let Some(item) = kind.strip_prefix("Collection(").and_then(|rest| rest.strip_suffix(')')) {
            for (at, part) in value.as_array().unwrap_or_else(|| panic!("{place}: no array")).iter().enumerate() {
                self.check(part, item, &format!("{place}[{at}]"));
            }
            return;
        }
        let text = || value.as_str().unwrap_or_else(|| panic!("{place}: {value} is no text"));
        match kind {
            "Edm.String" => assert!(value.is_string(), "{place}: {value}"),
            "Edm.Guid" => assert_eq!(text().len(), 36, "{place}"),
            "Edm.DateTimeOffset" => assert!(simulator::Time::parse(text()).is_some(), "{place}: {value}"),
            "Edm.Int64" | "Edm.Int32" => assert!(value.is_i64(), "{place}: {value}"),
            "Edm.Double" => assert!(value.is_number(), "{place}: {value}"),
            "Edm.Boolean" => assert!(value.is_boolean(), "{place}: {value}"),
            "self.dictionary" => assert!(value.is_object(), "{place}"),
            named => {
                let declared = named.strip_prefix("self.").unwrap();
                let members = &self.0["enums"][format!("security.{declared}")]["members"];
                if let Some(members) = members.as_array() {
                    assert!(members.iter().any(|member| member[0].as_str() == Some(text())), "{place}: {value} is no {declared}");
                    return;
                }
                let actual = value["@odata.type"]
                    .as_str()
                    .map_or(declared, |kind| kind.strip_prefix("#microsoft.graph.security.").unwrap());
                let properties = self.properties(actual);
                let wanted: BTreeSet<String> = properties.iter().map(|(name, _)| name.clone()).collect();
                let held: BTreeSet<String> = names(value)
                    .into_iter()
                    .filter(|name| !name.starts_with('@') && (actual != "incident" || name != "alerts"))
                    .collect();
                assert_eq!(held, wanted, "{place}: members of {actual}");
                for (name, kind) in properties {
                    self.check(&value[&name], &kind, &format!("{place}.{name}"));
                }
            }
        }
    }
}

#[test]
fn graph_objects_follow_the_schema_all_the_way_down() {
    let Some(schema) = sample("graph-security/schema/graph-v1.0-security-types.json").map(Schema) else { return };
    let mut desk = Desk::furnished(12, 120);
    let prefer = |target: &str| Request::get(target).header("prefer", "include-unknown-enum-members");
    let (_, alerts) = desk.call(prefer("/v1.0/security/alerts_v2?$top=1000"));
    schema.check(&alerts["value"], "Collection(self.alert)", "alerts");
    let (_, incidents) = desk.call(prefer("/v1.0/security/incidents?$expand=alerts"));
    schema.check(&incidents["value"], "Collection(self.incident)", "incidents");
    let (_, plain) = desk.get("/v1.0/security/alerts_v2", &[("$top", "1000")]);
    schema.check(&plain["value"], "Collection(self.alert)", "alerts without the header");

    let mut kinds: BTreeSet<String> = BTreeSet::new();
    for alert in alerts["value"].as_array().unwrap() {
        kinds.extend(alert["evidence"].as_array().unwrap().iter().map(|item| item["@odata.type"].as_str().unwrap().to_string()));
    }
    let evidence = |(name, about): (&String, &Value)| {
        (about["base"] == "self.alertEvidence").then(|| name.replace("security.", "#microsoft.graph.security."))
    };
    let documented: BTreeSet<String> = schema.0["types"].as_object().unwrap().iter().filter_map(evidence).collect();
    assert_eq!((kinds.len(), &kinds), (48, &documented));
}

#[test]
fn graph_samples_hold_no_member_that_is_missing_here() {
    let Some(page) = sample("graph-security/list-incidents-expand-alerts-200.json") else { return };
    let mut desk = Desk::furnished(12, 120);
    let (_, ours) = desk.get("/v1.0/security/incidents", &[("$expand", "alerts")]);
    let with_alerts = ours["value"]
        .as_array()
        .unwrap()
        .iter()
        .find(|incident| incident["alerts"].as_array().is_some_and(|alerts| !alerts.is_empty()))
        .unwrap();
    let missing: Vec<_> = names(&page["value"][0]).difference(&names(with_alerts)).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
    let documented: BTreeSet<_> =
        names(&page["value"][0]["alerts"][0]).into_iter().filter(|name| !ARTEFACTS.contains(&name.as_str())).collect();
    let missing: Vec<_> = documented.difference(&names(&with_alerts["alerts"][0])).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn endpoint_alerts_have_the_members_of_the_sample() {
    let Some(page) = sample("mde-alerts/get-alerts-2.json") else { return };
    let documented = &page["value"][0];
    let mut desk = Desk::furnished(12, 120);
    let (_, ours) = desk.get("/api/alerts", &[("$expand", "evidence")]);
    for alert in ours["value"].as_array().unwrap() {
        let extra: BTreeSet<_> = names(alert).difference(&names(documented)).cloned().collect();
        assert!(names(documented).is_subset(&names(alert)) && extra.iter().all(|name| name == "loggedOnUsers"), "{extra:?}");
        for evidence in alert["evidence"].as_array().unwrap() {
            assert_eq!(names(evidence), names(&documented["evidence"][0]));
        }
    }
    let kinds: BTreeSet<_> = ours["value"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|alert| alert["evidence"].as_array().unwrap())
        .map(|item| item["entityType"].as_str().unwrap())
        .collect();
    assert!(["User", "Process", "File"].iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
}

#[test]
fn incidents_have_the_members_of_the_sample() {
    let Some(page) = sample("xdr-incidents/api-list-incidents-1.json") else { return };
    let mut desk = Desk::furnished(12, 120);
    let (_, ours) = desk.get("/api/incidents", &[]);
    let documented = page["value"].as_array().unwrap();
    let alerts = |incidents: &[Value]| {
        incidents.iter().flat_map(|incident| incident["alerts"].as_array().unwrap().clone()).collect::<Vec<_>>()
    };
    let (theirs, here) = (alerts(documented), alerts(ours["value"].as_array().unwrap()));
    assert!(names(&documented[0]).is_subset(&names(&ours["value"][0])));
    assert!(names(&theirs[0]).is_subset(&names(&here[0])));
    for alert in &here {
        for entity in alert["entities"].as_array().unwrap() {
            assert_eq!(names(entity), names(&theirs[0]["entities"][0]), "every member is there, null or not");
        }
    }
    let device = theirs.iter().find_map(|alert| alert["devices"].get(0)).unwrap();
    let our_device = here.iter().find_map(|alert| alert["devices"].get(0)).unwrap();
    assert!(names(device).is_subset(&names(our_device)));
    let kinds: BTreeSet<_> = here
        .iter()
        .flat_map(|alert| alert["entities"].as_array().unwrap())
        .map(|item| item["entityType"].as_str().unwrap())
        .collect();
    for kind in ["User", "Ip", "Url", "File", "Process", "MailBox", "MailMessage", "MailCluster", "Registry", "SecurityGroup"] {
        assert!(kinds.contains(kind), "{kind}: {kinds:?}");
    }
}

#[test]
fn samples_are_served_byte_for_byte() {
    let lists = [
        (
            "graph-security/list-alerts_v2-200.json",
            simulator::Route::GraphAlerts,
            "/v1.0/security/alerts_v2",
            "lastUpdateDateTime",
        ),
        (
            "graph-security/list-incidents-expand-alerts-200.json",
            simulator::Route::GraphIncidents,
            "/v1.0/security/incidents",
            "lastUpdateDateTime",
        ),
        ("mde-alerts/get-alerts-2.json", simulator::Route::MdeAlerts, "/api/alerts", "lastUpdateTime"),
        ("xdr-incidents/api-list-incidents-1.json", simulator::Route::XdrIncidents, "/api/incidents", "lastUpdateTime"),
    ];
    for (file, route, path, time) in lists {
        let Some(text) = crate::support::shared(&format!("fixtures/msapi/{file}")) else { return };
        let mut desk = Desk::empty();
        let count = desk.world.samples.serve(route, &text).unwrap();
        let token = if path.starts_with("/v1.0") {
            simulator::entra::Resource::Graph
        } else if path == "/api/alerts" {
            simulator::entra::Resource::Endpoint
        } else {
            simulator::entra::Resource::Defender
        };
        let service = if path.starts_with("/v1.0") { simulator::Service::Graph } else { simulator::Service::Defender };
        let token = desk.token(token);
        let window = format!("{time} ge 2020-01-01T00:00:00Z");
        let response = desk.ask(service, &Request::get(&target(path, &[("$filter", &window)])).bearer(&token));
        let body = response.text();
        let rows: Vec<&serde_json::value::RawValue> =
            serde_json::from_str::<std::collections::BTreeMap<&str, &serde_json::value::RawValue>>(&body)
                .unwrap()
                .get("value")
                .map(|rows| serde_json::from_str(rows.get()).unwrap())
                .unwrap();
        assert_eq!(rows.len(), count);
        assert!(rows.iter().all(|row| text.contains(row.get())), "{file}");
        let later = format!("{time} ge 2024-01-01T00:00:00Z");
        assert!(desk.ids(path, &[("$filter", &later)]).is_empty(), "the window holds for samples, too");
    }
}

/// The JSON types a column of the schema may have: those that were seen, and those of its documented type.
fn types_of(column: &Value) -> BTreeSet<&str> {
    let seen = column["observed_json_types"].as_object().into_iter().flat_map(|types| types.keys().map(String::as_str));
    let documented: &[&str] = match column["type"].as_str().unwrap_or_default() {
        "string" | "datetime" => &["str"],
        "long" | "int" => &["int"],
        "bool" | "boolean" => &["bool"],
        "dynamic" => &["list", "dict", "str"],
        _ => &[],
    };
    seen.chain(documented.iter().copied()).filter(|kind| *kind != "NoneType").collect()
}

#[test]
fn records_have_the_columns_of_their_table_and_their_types() {
    for table in records::TABLES {
        let Some(schema) = sample(&format!("advanced-hunting/schema/{table}.json")) else { return };
        let columns = schema["columns"].as_array().unwrap();
        let is_seen = |column: &&Value| column["from"].as_array().unwrap().iter().any(|from| from == "observed-stream");
        let seen: BTreeSet<String> =
            columns.iter().filter(is_seen).map(|column| column["name"].as_str().unwrap().to_owned()).collect();
        let mut chance = Chance::new(table.len() as u64);
        for _ in 0..60 {
            let record = records::record(&mut chance, table, Time::from_unix(1_800_000_000));
            let record: Value = serde_json::from_str(&record.render()).unwrap();
            let sent = names(&record["properties"]);
            assert!(seen.is_subset(&sent), "{table} lacks {:?}", seen.difference(&sent));
            for (name, value) in record["properties"].as_object().unwrap() {
                let column = columns.iter().find(|column| column["name"] == **name);
                let allowed = types_of(column.unwrap_or_else(|| panic!("{table} has no {name}")));
                let kind = match value {
                    Value::Null => continue,
                    Value::Bool(_) => "bool",
                    Value::Number(_) => "int",
                    Value::String(_) => "str",
                    Value::Array(_) => "list",
                    Value::Object(_) => "dict",
                };
                // Of a column that was only ever seen null, and is in no document, nobody knows more.
                assert!(allowed.is_empty() || allowed.contains(kind), "{table}.{name} is {value}, not {allowed:?}");
            }
        }
    }
}
