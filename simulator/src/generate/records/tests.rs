//! Records against the schema: names and types of the columns.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::*;

const ROUNDS: u64 = 60;

fn records(table: &str) -> Vec<Value> {
    let mut chance = Chance::new(table.len() as u64);
    let now = Time::from_unix(1_800_000_000);
    (0..ROUNDS).map(|_| serde_json::from_str(&record(&mut chance, table, now).render()).unwrap()).collect()
}

/// The schema of a table among the documents beside the repository; none where they are absent.
fn schema(table: &str) -> Option<Vec<Value>> {
    let root = std::env::var_os("TA_DEFENDER_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), std::path::PathBuf::from);
    let path = root.join(format!("fixtures/msapi/advanced-hunting/schema/{table}.json"));
    if !root.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "{} is absent", path.display());
        #[allow(clippy::print_stderr, reason = "the test runner shows it beside the test")]
        {
            eprintln!("skipped: needs {}, which is absent", path.display());
        }
        return None;
    }
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    schema["columns"].as_array().cloned()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// The JSON types a documented type may have.
fn documented(kind: &str) -> &'static [&'static str] {
    match kind {
        "string" | "datetime" => &["str"],
        "long" | "int" => &["int"],
        "bool" | "boolean" => &["bool"],
        "dynamic" => &["list", "dict", "str"],
        _ => &[],
    }
}

#[test]
fn columns_and_their_types_are_those_of_the_schema() {
    for table in TABLES {
        let Some(schema) = schema(table) else { return };
        let column = |name: &str| schema.iter().find(|column| column["name"] == name);
        let is_observed = |column: &&Value| column["from"].as_array().unwrap().iter().any(|from| from == "observed-stream");
        let streamed: BTreeSet<&str> = schema.iter().filter(is_observed).filter_map(|column| column["name"].as_str()).collect();
        for record in records(table) {
            let properties = record["properties"].as_object().unwrap();
            let names: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
            assert!(streamed.is_subset(&names), "{table} lacks {:?}", streamed.difference(&names));
            for (name, value) in properties {
                let column = column(name).unwrap_or_else(|| panic!("{table} has no {name}"));
                let seen = column["observed_json_types"].as_object().into_iter().flat_map(|types| types.keys());
                let mut allowed: BTreeSet<&str> = seen.map(String::as_str).collect();
                allowed.extend(documented(column["type"].as_str().unwrap_or_default()));
                // Of a column that was only ever seen null, and is in no document, nobody knows more.
                let is_known = allowed.iter().any(|kind| *kind != "NoneType");
                assert!(
                    value.is_null() || !is_known || allowed.contains(kind(value)),
                    "{table}.{name} is {value}, not {allowed:?}"
                );
            }
        }
    }
}

#[test]
fn columns_are_filled() {
    for table in TABLES {
        let mut filled: BTreeMap<String, usize> = BTreeMap::new();
        for record in records(table) {
            for (name, value) in record["properties"].as_object().unwrap() {
                *filled.entry(name.clone()).or_default() += usize::from(!value.is_null());
            }
        }
        let with = filled.values().filter(|count| **count > 0).count();
        assert!(with * 5 > filled.len() * 2, "{table}: {with} of {}", filled.len());
        assert_eq!(filled["Timestamp"], ROUNDS as usize, "{table}");
    }
}

#[test]
fn envelopes_are_as_on_the_wire_and_follow_from_the_seed() {
    let now = Time::from_unix(1_800_000_000);
    let (mut one, mut other) = (Chance::new(7), Chance::new(7));
    let (mut stamped, mut bare, mut homeless, mut large, mut long) = (0, 0, 0, 0, 0);
    for table in TABLES.iter().cycle().take(900) {
        let sent = record(&mut one, table, now);
        assert_eq!(sent.render(), record(&mut other, table, now).render());
        let Json::Object(members) = &sent else { panic!("{sent:?}") };
        let names: Vec<&str> = members.iter().map(|(name, _)| &**name).filter(|name| !name.starts_with("_")).collect();
        let whole = ["time", "tenantId", "operationName", "category", "properties", "Tenant"];
        assert_eq!(names, whole[..names.len()], "{table}");
        let received = sent.text_of("_TimeReceivedBySvc");
        (stamped, bare) =
            (stamped + usize::from(received.is_some()), bare + usize::from(received.is_some_and(|time| !time.ends_with('Z'))));
        homeless += usize::from(names.len() == 5);
        large += usize::from(matches!(sent.get("properties").unwrap().get("ReportId"), Some(Json::Int(9_007_199_254_740_993..))));
        long += usize::from(sent.render().len() > 5_000);
        let again = sent_again(&sent, now.plus(Duration::from_secs(60)));
        assert_eq!(again.get("properties"), sent.get("properties"));
        assert_ne!(again.get("time"), sent.get("time"));
    }
    assert!(stamped > 600 && (10..100).contains(&bare) && (20..120).contains(&homeless), "{stamped} {bare} {homeless}");
    assert!(large > 50 && long > 15, "{large} {long}");
    let unknown = record(&mut one, "MoonEvents", now);
    assert_eq!(unknown.text_of("category"), Some("AdvancedHunting-MoonEvents"));
    assert!(unknown.get("properties").unwrap().get("Timestamp").is_some());
}
