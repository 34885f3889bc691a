//! What Splunk content finds in the events of the program: the fields of a search, the rows of the published detections that
//! read Defender alerts, of the shipped searches and of the dashboards.

mod dashboards;
mod detections;
mod records;
mod searches;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use simulator::Config;
use simulator::generate::records::TABLES;
use ta_defender::json::{CUTOFF, Members};

use crate::search::{Fields, Knowledge};
use crate::support::{Event, List, Object, Stage, epoch_millis, shared};
use searches::Archive;

const INCIDENT: &str = "ms365:defender:incident";
const EVIDENCE: &str = "ms:defender:evidence";
const WRITEBACK: &str = "ms:defender:writeback";

/// The events of every list, read with these parameters.
fn events_of_all(parameters: &[(&str, &str)]) -> Vec<Event> {
    let stage = Stage::with(Config { alerts: 60, ..Stage::config() });
    let mut all = Vec::new();
    for list in List::ALL {
        let mut input = stage.input(list).named(&format!("{list:?}")).at_once();
        for (name, value) in parameters {
            input = input.set(name, value);
        }
        let events = input.run().exits(0).quietly().events();
        assert!(events.len() > 10, "{list:?}");
        all.extend(events);
    }
    all
}

fn first<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).and_then(|values| values.first()).map_or("", String::as_str)
}

fn has_tags(fields: &Fields, tags: &[&str]) -> bool {
    tags.iter().all(|tag| fields["tag"].iter().any(|found| found == tag))
}

/// The alert with every type of evidence in Graph's metadata, as each sourcetype of alerts has it.
fn events_of_all_types(evidence: &str) -> Vec<Event> {
    let Some(path) = shared("fixtures/msapi/graph-security/synthetic-alert-all-48-evidence-types.json") else {
        return Vec::new();
    };
    let alert = fs::read_to_string(path).unwrap();
    let incident = format!(r#"{{"id":"1","lastUpdateDateTime":"2026-05-02T19:45:31Z","alerts":[{alert}]}}"#);
    let mut events = served(List::GraphAlerts, &alert, evidence);
    events.extend(served(List::GraphIncidents, &incident, evidence));
    assert!(events.iter().filter(|event| event.sourcetype == EVIDENCE).count() == if evidence == "inline" { 0 } else { 96 });
    events
}

/// The events a list with this one row becomes.
fn served(list: List, row: &str, evidence: &str) -> Vec<Event> {
    let stage = Stage::with(Config { incidents: 0, alerts: 0, ..Stage::config() });
    let file = format!("{{\"value\":[{row}]}}");
    assert_eq!(stage.sim.world(|world| world.samples.serve(list.route(), &file)).unwrap(), 1);
    let input = stage.input(list).set("start", "2020-01-01T00:00:00Z").set("interval", "300").set("evidence", evidence);
    input.run().exits(0).quietly().events()
}

#[test]
fn scalars_techniques_and_the_gist_of_every_event_are_within_the_cut_off() {
    for evidence in ["inline", "events", "both"] {
        let all_types = events_of_all_types(evidence);
        for event in events_of_all(&[("evidence", evidence)]).into_iter().chain(all_types) {
            let members = Members::read(&event.data).unwrap().0;
            for (name, value) in members {
                let is_head = !value.get().starts_with(['{', '[']) || name == "mitreTechniques" || name == "cim";
                // Where the value ends in the event: raw values are slices of it.
                let end = value.get().as_ptr() as usize - event.data.as_ptr() as usize + value.get().len();
                assert!(!is_head || end < CUTOFF, "{name} ends at {end}: {}", event.data);
            }
            assert!(event.sourcetype != EVIDENCE || event.data.len() < CUTOFF, "{}", event.data);
        }
    }
}

/// Every text, number and truth in a value, however deep.
fn leaves(value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => members.values().for_each(|member| leaves(member, out)),
        Value::Array(items) => items.iter().for_each(|item| leaves(item, out)),
        Value::Null => {}
        Value::String(text) => drop(out.insert(text.clone())),
        other => drop(out.insert(other.to_string())),
    }
}

#[test]
fn no_fact_of_the_original_is_lost() {
    let stage = Stage::with(Config { alerts: 60, ..Stage::config() });
    for list in List::ALL {
        for evidence in ["inline", "events"] {
            let input = stage.input(list).named(&format!("{list:?}_{evidence}")).set("evidence", evidence).at_once();
            let mut said: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for event in input.run().exits(0).quietly().events() {
                let json = event.json();
                // Evidence is told beside its alert; an incident beside its alerts.
                let kind = if event.sourcetype == INCIDENT { "incidentId" } else { "alertId" };
                let id = [&json[kind], &json["id"]].into_iter().find(|id| !id.is_null()).unwrap();
                let id = format!("{kind} {}", id.to_string().trim_matches('"'));
                leaves(&json, said.entry(id).or_default());
            }
            let mut facts = 0;
            let mut check = |kind: &str, object: &Object, but: &str| {
                let mut original: Value = serde_json::from_str(&object.text).unwrap();
                original.as_object_mut().unwrap().remove(but);
                let mut told = BTreeSet::new();
                leaves(&original, &mut told);
                facts += told.len();
                let lost: Vec<&String> = told.difference(&said[&format!("{kind} {}", object.id)]).collect();
                assert_eq!(lost, Vec::<&String>::new(), "{list:?} {evidence}: {}", object.text);
            };
            for object in stage.objects(list) {
                if list.inner_identity().is_some() {
                    check("incidentId", &object, "alerts");
                    object.alerts(list).iter().for_each(|alert| check("alertId", alert, ""));
                } else {
                    check("alertId", &object, "");
                }
            }
            assert!(facts > 500, "{facts}");
        }
    }
}

#[test]
fn every_alert_has_the_fields_that_detections_group_by() {
    let knowledge = Knowledge::load();
    for form in ["compact", "verbatim"] {
        for event in events_of_all(&[("events", form)]).iter().filter(|event| event.sourcetype != INCIDENT) {
            let fields = knowledge.fields(event);
            for name in ["id", "description", "src", "dest", "signature", "app", "severity", "source", "type"] {
                assert!(!matches!(first(&fields, name), "" | "null"), "{form}: no {name}: {}", event.data);
            }
            assert!(has_tags(&fields, &["alert"]));
            let severities = ["critical", "high", "medium", "low", "informational", "unknown"];
            assert!(severities.contains(&first(&fields, "severity")), "{}", first(&fields, "severity"));
            let json = event.json();
            if let Some(techniques) = json["mitreTechniques"].as_array().filter(|techniques| !techniques.is_empty()) {
                assert_eq!(fields["mitre_technique_id"].len(), techniques.len());
            }
            let tenant = json["tenantId"].as_str().or(json["aadTenantId"].as_str());
            let product = json["serviceSource"].as_str();
            for wrong in [tenant, product].into_iter().flatten() {
                assert!(fields["dest"].iter().chain(&fields["src"]).all(|value| value != wrong), "{}", event.data);
            }
            let malware = json["category"] == "Malware" || json["threatFamilyName"].is_string();
            assert_eq!(malware, has_tags(&fields, &["malware", "attack"]), "{}", event.data);
            assert!(["allowed", "blocked", "deferred", "unknown"].contains(&first(&fields, "action")), "{}", event.data);
            assert!(!malware || !first(&fields, "category").is_empty());
            assert!(fields["dest"].iter().chain(&fields["src"]).all(|value| !value.contains("://")), "{}", event.data);
        }
    }
}

#[test]
fn users_and_hosts_of_alerts_are_found_however_far_behind_their_evidence_is() {
    let knowledge = Knowledge::load();
    let mut seen = BTreeSet::new();
    for event in events_of_all(&[]).iter().filter(|event| event.sourcetype != INCIDENT) {
        let fields = knowledge.fields(event);
        let json = event.json();
        for item in json["evidence"].as_array().into_iter().chain(json["entities"].as_array()).flatten() {
            for (kind, member, field) in [
                ("User", "userPrincipalName", "user"),
                ("Device", "deviceDnsName", "dest"),
                ("File", "fileName", "file_name"),
                ("Ip", "ipAddress", "ip"),
                ("Url", "url", "url"),
            ] {
                let clean = item["verdict"] == "Clean" || item["verdict"] == "noThreatsFound";
                let Some(value) = item[member].as_str().filter(|_| item["entityType"] == kind) else { continue };
                if !clean || matches!(kind, "User" | "Device") {
                    assert!(fields.get(field).is_some_and(|all| all.iter().any(|one| one == value)), "{value}: {}", event.data);
                    seen.insert((event.sourcetype.clone(), kind));
                }
            }
        }
    }
    assert_eq!(seen.len(), 10, "each kind in both sourcetypes: {seen:?}");
}

#[test]
fn incidents_are_tickets() {
    let knowledge = Knowledge::load();
    let events = events_of_all(&[("include_alerts", "none")]);
    for event in events.iter().filter(|event| event.sourcetype == INCIDENT) {
        let fields = knowledge.fields(event);
        assert!(has_tags(&fields, &["ticketing", "incident"]));
        for name in
            ["ticket_id", "description", "incident", "severity", "priority", "status", "ticket_status", "time_submitted", "url"]
        {
            let optional = name == "url" && event.json()["incidentId"].is_number();
            assert!(optional || !first(&fields, name).is_empty(), "no {name}: {}", event.data);
        }
        let json = event.json();
        let created = json["createdDateTime"].as_str().or(json["createdTime"].as_str()).unwrap();
        assert_eq!(first(&fields, "time_submitted"), created, "submitted when it was made");
        assert!(!fields.contains_key("dest"), "an incident's page is not its destination");
    }
}

#[test]
fn evidence_events_reach_their_data_models() {
    let knowledge = Knowledge::load();
    let events = events_of_all(&[("evidence", "events")]);
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for event in events.iter().filter(|event| event.sourcetype == EVIDENCE) {
        let fields = knowledge.fields(event);
        let kind = first(&fields, "entityType");
        let (tags, wanted): (&[&str], &[&str]) = match kind {
            "Process" => (
                &["process", "report"],
                &["process", "process_name", "process_id", "process_path", "parent_process_id", "user", "dest"],
            ),
            "File" => (&["endpoint", "filesystem"], &["file_name", "file_path", "file_hash"]),
            "Registry" => (&["endpoint", "registry"], &["registry_path", "registry_hive", "registry_key_name"]),
            "NetworkConnection" => (&["network", "communicate"], &["src", "src_ip", "dest", "dest_ip", "dest_port", "transport"]),
            "CloudLogonSession" | "HostLogonSession" => (&["authentication"], &["action", "session_id"]),
            "MailMessage" => (&["email"], &["src_user", "recipient", "subject"]),
            _ => (&[], &[]),
        };
        assert!(has_tags(&fields, tags), "{}", event.data);
        for name in wanted {
            // People and hosts are members of what the alert says, which not every alert does.
            let optional = matches!(*name, "user" | "dest" | "recipient");
            assert!(optional || !first(&fields, name).is_empty(), "no {name}: {}", event.data);
        }
        for name in ["alertId", "id", "lastUpdateDateTime", "verdict", "signature", "severity"] {
            let absent = name == "verdict" && event.json()["evidence"]["verdict"].is_null();
            assert!(absent || !first(&fields, name).is_empty(), "no {name}: {}", event.data);
        }
        let action = first(&fields, "action");
        match kind {
            "CloudLogonSession" | "HostLogonSession" => assert_eq!(action, "success"),
            "MailMessage" | "TeamsMessage" if fields.contains_key("delivery_action") => {
                assert_eq!(action, first(&fields, "delivery_action").to_lowercase());
            }
            _ => assert!(["allowed", "blocked", "deferred", "unknown"].contains(&action), "{action}: {}", event.data),
        }
        assert!(["critical", "high", "medium", "low", "informational", "unknown"].contains(&first(&fields, "severity")));
        let json = event.json();
        for host in fields.get("dest").into_iter().chain(fields.get("src")).flatten() {
            assert!(
                json["tenantId"] != **host && !host.contains("://") && json["serviceSource"] != **host,
                "{host}: {}",
                event.data
            );
        }
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
    assert!(kinds.len() >= 40, "{kinds:?}");
}

#[test]
fn the_time_of_an_event_is_the_one_that_its_settings_find() {
    let knowledge = Knowledge::load();
    for parameters in [[("events", "verbatim")], [("evidence", "both")]] {
        for event in events_of_all(&parameters) {
            let end =
                knowledge.time_prefix(&event.sourcetype).find(&event.data).unwrap_or_else(|| panic!("{}", event.data)).end();
            let time = event.data[end..].split('"').next().unwrap();
            assert!(time.len() <= 32, "{time}");
            assert_eq!(epoch_millis(time), event.time, "{}", event.data);
        }
    }
}

#[test]
fn results_of_alert_actions_are_changes() {
    for (incidents, alerts) in [(List::GraphIncidents, List::GraphAlerts), (List::XdrIncidents, List::EndpointAlerts)] {
        let archive = Archive::of(incidents, alerts);
        let audits: Vec<&Fields> = archive.events.iter().filter(|event| first(event, "sourcetype") == WRITEBACK).collect();
        let mut seen = BTreeSet::new();
        for fields in audits {
            let rehearsed = first(fields, "dry_run") == "true";
            assert_eq!(has_tags(fields, &["change"]), !rehearsed, "{fields:?}");
            let succeeded = ["updated", "unchanged"].contains(&first(fields, "result"));
            for (name, wanted) in [
                ("action", "modified"),
                ("status", if succeeded { "success" } else { "failure" }),
                ("user", "ann"),
                ("dest", simulator::accounts::ACCOUNT),
                ("change_type", "incident management"),
                ("vendor_product", "Defender Add-on for Splunk"),
            ] {
                assert_eq!(first(fields, name), wanted, "{name}: {fields:?}");
            }
            for name in ["command", "object_category", "object_id", "object", "result", "src"] {
                assert!(!matches!(first(fields, name), "" | "null"), "no {name}: {fields:?}");
            }
            if first(fields, "result") == "updated" {
                assert_eq!(fields["object_attrs"], ["status"]);
            }
            seen.insert((first(fields, "object_category").to_owned(), first(fields, "result").to_owned(), rehearsed));
        }
        assert!(seen.len() >= 5, "{seen:?}");
    }
}

#[test]
fn an_alerts_evidence_comes_exactly_when_the_alert_does() {
    let stage = Stage::new();
    let input = stage.input(List::GraphAlerts).set("evidence", "both").at_once();
    let count = |events: &[Event]| {
        let alerts: Vec<Value> = events.iter().filter(|event| event.sourcetype != EVIDENCE).map(Event::json).collect();
        let original = |item: &&Value| item["@odata.type"].is_string();
        let inside: usize =
            alerts.iter().map(|alert| alert["evidence"].as_array().unwrap().iter().filter(original).count()).sum();
        (alerts.len(), inside, events.len() - alerts.len())
    };
    let (alerts, inside, own) = count(&input.run().exits(0).quietly().events());
    assert!(alerts > 10 && inside == own, "{inside} {own}");
    assert!(input.run().exits(0).events().is_empty(), "nothing twice");
    let id = stage.objects(List::GraphAlerts)[0].id.clone();
    stage.change(List::GraphAlerts, &id);
    let events = input.run().exits(0).events();
    let (alerts, inside, own) = count(&events);
    assert!(alerts == 1 && inside == own && own > 0);
    assert!(events.iter().filter(|event| event.sourcetype == EVIDENCE).all(|event| event.member("alertId") == id));
}

#[test]
fn every_setting_leads_somewhere() {
    let knowledge = Knowledge::load();
    assert_eq!(knowledge.dangling(), Vec::<String>::new());
    let mut there: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for parameters in [[("events", "verbatim")], [("evidence", "both")]] {
        for event in events_of_all(&parameters) {
            let names = there.entry(event.sourcetype.clone()).or_default();
            // As deep as the event goes: here the question is whether a member exists at all.
            paths(&event.json(), "", names);
        }
    }
    for fields in Archive::of(List::GraphIncidents, List::GraphAlerts).events {
        if first(&fields, "sourcetype") == WRITEBACK {
            there.entry(WRITEBACK.to_owned()).or_default().extend(fields.into_keys());
        }
    }
    for sourcetype in records::SOURCETYPES {
        let names = there.entry(sourcetype.to_owned()).or_default();
        TABLES.into_iter().flat_map(records::of_table).for_each(|one| paths(&one.record, "", names));
    }
    there.insert(records::UNPARSED.to_owned(), BTreeSet::new());
    let mut unknown = Vec::new();
    for (sourcetype, members) in knowledge.members_read() {
        let names = &there[&sourcetype];
        // A member that is read whole has members of its own.
        let is_known = |path: &String| {
            names.iter().any(|name| name.strip_prefix(path).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric)))
        };
        let strange = members.into_values().flatten().filter(|path| !is_known(path));
        unknown.extend(strange.map(|path| format!("{sourcetype}: {path}")));
    }
    for (sourcetype, read) in knowledge.fields_read() {
        let names = &there[&sourcetype];
        // What a lookup reads may come from an EVAL.
        let is_known = |name: &String| {
            matches!(name.as_str(), "source" | "_raw")
                || names.contains(name)
                || knowledge.names_given(&sourcetype).contains(name)
        };
        unknown.extend(read.into_iter().filter(|name| !is_known(name)).map(|name| format!("{sourcetype}: {name}")));
    }
    assert_eq!(unknown, Vec::<String>::new());
}

fn paths(value: &Value, path: &str, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                paths(member, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, out);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| paths(item, &format!("{path}{{}}"), out)),
        _ => drop(out.insert(path.to_owned())),
    }
}

#[test]
fn the_table_of_fields_is_what_the_events_have() {
    let knowledge = Knowledge::load();
    let stage = Stage::with(Config { alerts: 60, ..Stage::config() });
    // Per sourcetype and field: whether Graph's events have it, and the Defender APIs'.
    let mut table: BTreeMap<String, BTreeMap<String, [bool; 2]>> = BTreeMap::new();
    for list in List::ALL {
        let input = stage.input(list).named(&format!("{list:?}")).set("evidence", "both").at_once();
        let api = usize::from(list.feed_and_api().1 == "defender");
        for event in input.run().exits(0).quietly().events() {
            let fields = knowledge.fields(&event);
            let names = table.entry(event.sourcetype.clone()).or_default();
            for name in knowledge.names_given(&event.sourcetype) {
                let has = fields.contains_key(&name);
                names.entry(name).or_default()[api] |= has;
            }
        }
    }
    for (api, (incidents, alerts)) in
        [(List::GraphIncidents, List::GraphAlerts), (List::XdrIncidents, List::EndpointAlerts)].into_iter().enumerate()
    {
        for fields in Archive::of(incidents, alerts).events.iter().filter(|event| first(event, "sourcetype") == WRITEBACK) {
            let names = table.entry(WRITEBACK.to_owned()).or_default();
            for name in knowledge.names_given(WRITEBACK) {
                let has = fields.contains_key(&name);
                names.entry(name).or_default()[api] |= has;
            }
        }
    }
    let mut text = String::from(
        "# Fields\n\nWhat `default/props.conf` adds to the members of the events, and whether events of Microsoft Graph and of the\n\
         Defender APIs have it. A test writes this table from real events and compares it\n\
         (`TA_DEFENDER_BLESS=1 cargo test --test it table_of_fields` writes it anew).\n",
    );
    for (sourcetype, names) in table {
        text += &format!("\n## {sourcetype}\n\n| field | Graph | Defender |\n| --- | --- | --- |\n");
        for (name, has) in names {
            let [graph, defender] = has.map(|has| if has { "yes" } else { "" });
            text += &format!("| `{name}` | {graph} | {defender} |\n");
        }
    }
    text += &records::table_of_fields(&knowledge);
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fields.md");
    if std::env::var_os("TA_DEFENDER_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), text, "docs/fields.md is not what the events have");
}
