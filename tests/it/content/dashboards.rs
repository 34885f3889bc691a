//! The dashboards: whole in themselves, and each panel with rows for events and log lines of the program.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use quick_xml::Reader;
use quick_xml::events::Event as Xml;
use serde_json::Value;

use crate::search::{self, Fields, pipeline};
use crate::support::List;

use super::first;
use super::searches::Archive;

/// A view of Dashboard Studio.
struct Dashboard {
    name: String,
    definition: Value,
}

/// The views whose root has a definition; those of Simple XML have none.
fn dashboards() -> Vec<Dashboard> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("default/data/ui/views");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<Dashboard> = paths.filter_map(|path| read(&path)).collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

fn read(path: &Path) -> Option<Dashboard> {
    let (text, name) = (fs::read_to_string(path).unwrap(), path.file_stem().unwrap().to_str().unwrap().to_owned());
    let mut reader = Reader::from_str(&text);
    let (mut element, mut version, mut definition) = (String::new(), String::new(), None);
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("{name}: {error}")) {
            Xml::Start(tag) => {
                element = tag.name().as_ref().to_owned();
                if let (true, Some(found)) = (element == "dashboard", tag.try_get_attribute("version").unwrap()) {
                    version = found.value.to_string();
                }
            }
            Xml::CData(text) if element == "definition" => {
                let text: &str = &text;
                definition = Some(serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}")));
            }
            Xml::Eof => break,
            _ => {}
        }
    }
    let definition = definition?;
    assert_eq!(version, "2", "{name}: AppInspect and Splunk want this very version");
    Some(Dashboard { name, definition })
}

fn members<'a>(value: &'a Value, name: &str) -> BTreeMap<&'a str, &'a Value> {
    value[name].as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value)).collect()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}: {value}"))
}

/// What stands between dollar signs in any text of a value.
fn tokens(value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => out.extend(text.split('$').skip(1).step_by(2).map(str::to_owned)),
        Value::Array(items) => items.iter().for_each(|item| tokens(item, out)),
        Value::Object(members) => members.values().for_each(|member| tokens(member, out)),
        _ => {}
    }
}

impl Dashboard {
    /// A search with the values that the inputs begin with.
    fn filled(&self, query: &str) -> String {
        members(&self.definition, "inputs").values().fold(query.to_owned(), |query, input| {
            query.replace(&format!("${}$", text(input, "/options/token")), text(input, "/options/defaultValue"))
        })
    }

    /// The rows of a data source, as a panel gets them.
    fn rows(&self, id: &str, archive: &Archive) -> Vec<Fields> {
        let source = &self.definition["dataSources"][id];
        let (query, macros) = (self.filled(text(source, "/options/query")), search::conf("macros"));
        match source["type"].as_str().unwrap() {
            "ds.search" => pipeline::run(&query, &macros, &archive.events),
            "ds.chain" => {
                let rows = self.rows(text(source, "/options/extend"), archive);
                pipeline::continued(&pipeline::stages(&query, &macros), rows)
            }
            other => panic!("{other} is not known here"),
        }
    }
}

#[test]
fn both_are_there_and_nothing_in_them_leads_nowhere() {
    let dashboards = dashboards();
    assert_eq!(dashboards.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(), ["incidents_and_alerts", "input_health"]);
    for Dashboard { name, definition } in &dashboards {
        let (sources, panels, inputs) =
            (members(definition, "dataSources"), members(definition, "visualizations"), members(definition, "inputs"));
        let layout = &definition["layout"];
        let items = layout["structure"].as_array().unwrap();
        let placed: Vec<&str> = items.iter().map(|item| text(item, "/item")).collect();
        assert_eq!(placed.iter().copied().collect::<BTreeSet<_>>(), panels.keys().copied().collect(), "{name}: panels");
        assert_eq!(placed.len(), panels.len(), "{name}: a panel stands twice");
        let shown: BTreeSet<&str> = layout["globalInputs"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(shown, inputs.keys().copied().collect(), "{name}: inputs");

        let shown = panels.values().filter_map(|panel| panel["dataSources"]["primary"].as_str());
        let extended = sources.values().filter_map(|source| source["options"]["extend"].as_str());
        assert_eq!(shown.chain(extended).collect::<BTreeSet<_>>(), sources.keys().copied().collect(), "{name}: data sources");
        for (id, panel) in &panels {
            assert!(panel["dataSources"].is_object() || panel["type"] == "splunk.markdown", "{name}: {id} shows nothing");
            // `> majorValue | rangeValue(name)` reads a value of the panel's own.
            let options = panel["options"].to_string();
            for named in options.split("rangeValue(").skip(1).filter_map(|rest| rest.split(')').next()) {
                assert!(panel["context"][named].is_array(), "{name}: {id} has no {named}");
            }
        }

        let mut known: BTreeSet<String> = BTreeSet::new();
        for input in inputs.values() {
            let token = text(input, "/options/token");
            let parts: &[&str] = if input["type"] == "input.timerange" { &[".earliest", ".latest"] } else { &[""] };
            known.extend(parts.iter().map(|part| format!("{token}{part}")));
        }
        let mut used = BTreeSet::new();
        tokens(definition, &mut used);
        used.retain(|token| !token.starts_with("row."));
        assert_eq!(used, known, "{name}: tokens");

        // Panels neither cover each other nor leave the page.
        let place = |item: &Value| ["x", "y", "w", "h"].map(|side| item["position"][side].as_u64().unwrap());
        for (n, item) in items.iter().enumerate() {
            let [x, y, w, h] = place(item);
            assert!(x + w <= layout["options"]["width"].as_u64().unwrap(), "{name}: {item}");
            for other in &items[n + 1..] {
                let [x2, y2, w2, h2] = place(other);
                assert!(x + w <= x2 || x2 + w2 <= x || y + h <= y2 || y2 + h2 <= y, "{name}: {item} covers {other}");
            }
        }
    }
}

#[test]
fn each_panel_has_rows_and_each_drilldown_too() {
    // With `TA_DEFENDER_ROWS=<folder>` the rows are written there, for a look at the dashboards outside of Splunk.
    let out = std::env::var_os("TA_DEFENDER_ROWS");
    let macros = search::conf("macros");
    for (incidents, alerts) in [(List::XdrIncidents, List::EndpointAlerts), (List::GraphIncidents, List::GraphAlerts)] {
        let archive = Archive::of(incidents, alerts);
        for dashboard in dashboards() {
            for (id, panel) in members(&dashboard.definition, "visualizations") {
                let Some(source) = panel["dataSources"]["primary"].as_str() else { continue };
                let rows = dashboard.rows(source, &archive);
                assert!(!rows.is_empty() && rows.iter().all(|row| !row.is_empty()), "{}: {id} is empty", dashboard.name);
                if let Some(folder) = &out {
                    let path = Path::new(folder).join(format!("{}.{source}.json", dashboard.name));
                    fs::write(path, serde_json::to_string(&rows).unwrap()).unwrap();
                }
                for handler in panel["eventHandlers"].as_array().into_iter().flatten() {
                    let mut used = BTreeSet::new();
                    tokens(handler, &mut used);
                    let (mut query, row) = (dashboard.filled(handler["options"]["query"].as_str().unwrap_or_default()), &rows[0]);
                    for field in used.iter().filter_map(|token| token.strip_prefix("row.")?.strip_suffix(".value")) {
                        assert!(!first(row, field).is_empty(), "{}: {id} has no {field}: {row:?}", dashboard.name);
                        query = query.replace(&format!("$row.{field}.value$"), first(row, field));
                    }
                    match handler["type"].as_str().unwrap() {
                        "drilldown.customUrl" => assert!(first(row, "page").starts_with("https://"), "{row:?}"),
                        _ => assert!(!pipeline::run(&query, &macros, &archive.events).is_empty(), "{query}"),
                    }
                }
            }
        }
    }
}

#[test]
fn without_any_event_the_numbers_are_there_all_the_same() {
    let (mut archive, mut shown) = (Archive::of(List::GraphIncidents, List::GraphAlerts), 0);
    archive.events.clear();
    for dashboard in dashboards() {
        for panel in
            members(&dashboard.definition, "visualizations").values().filter(|panel| panel["type"] == "splunk.singlevalue")
        {
            let rows = dashboard.rows(text(panel, "/dataSources/primary"), &archive);
            assert_eq!((rows.len(), rows[0].len()), (1, 1), "{}: {panel}", dashboard.name);
            shown += 1;
        }
    }
    assert_eq!(shown, 12);
}
