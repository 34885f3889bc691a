//! What is shipped for Enterprise Security, for telling our own changes from others', and for the forms of the actions:
//! confs, lookups, macros, tried on what the program really writes and reads.

use crate::search::{self, Fields, Knowledge};
use crate::support::{Event, List, Stage};

use super::act::{Act, action_of};
use super::audit;

/// What Enterprise Security's lookups are turned into has to be what the action takes.
#[test]
fn the_mapping_of_enterprise_security_is_valid() {
    let stage = Stage::new();
    for list in [List::GraphIncidents, List::XdrIncidents] {
        let table = |name: &str| -> Vec<Vec<String>> {
            let path = format!("{}/app/lookups/{name}.csv", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(path).unwrap();
            text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
        };
        let mut rows = Vec::new();
        for name in ["defender_addon_es_status", "defender_addon_es_disposition", "defender_addon_es_owner"] {
            let table = table(name);
            rows.extend(table[1..].iter().map(|row| (table[0][1..].to_vec(), row[1..].to_vec())));
        }
        assert!(rows.len() > 5);
        for (names, values) in rows {
            let ids = stage.fresh(list, 1);
            let text = format!("id,{}\n{},{}\n", names.join(","), ids[0], values.join(","));
            Act::new(&stage, list).csv(&text).run().exits(0).quietly();
        }
    }
}

#[test]
fn searches_that_change_objects_are_shipped_switched_off() {
    let saved = search::conf("savedsearches");
    let acting: Vec<_> =
        saved.values().filter(|settings| settings.iter().any(|(name, _)| name == "action.defender_incident_update")).collect();
    assert_eq!(acting.len(), 2);
    let transforms = search::conf("transforms");
    for settings in acting {
        let value = |name: &str| settings.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert_eq!((value("disabled"), value("enableSched"), value("alert.digest_mode")), (Some("1"), Some("1"), Some("1")));
        let search = value("search").unwrap();
        let table = search.rsplit("| table ").next().unwrap();
        assert!(table.starts_with("id ") && table.split(' ').skip(1).all(|field| field.starts_with("defender_")), "{table}");
        let lookups: Vec<&str> = search.split("| lookup ").skip(1).filter_map(|rest| rest.split(' ').next()).collect();
        assert!(!lookups.is_empty());
        for lookup in lookups {
            assert!(transforms[lookup].iter().any(|(name, _)| name == "filename"), "{lookup}");
        }
    }
}

/// What the macro leaves out of a search, for one audit event: its own steps, carried out.
fn echoes(event: &Fields) -> Vec<String> {
    let macros = search::conf("macros");
    let (_, definition) = macros["defender_not_our_echo"].iter().find(|(name, _)| name == "definition").unwrap();
    let inner = definition.strip_prefix("NOT [ search ").and_then(|rest| rest.strip_suffix(" ]")).unwrap();
    let mut steps = inner.split(" | ");
    assert_eq!(steps.next(), Some("`defender_addon_writeback` result=updated earliest=-7d latest=+1h"));
    let mut rows = vec![event.clone()];
    for step in steps {
        if let Some((name, text)) = step.strip_prefix("eval ").and_then(|rest| rest.split_once('=')) {
            for row in &mut rows {
                match search::evaluate(text, row) {
                    Some(values) => row.insert(name.to_owned(), values),
                    None => row.remove(name),
                };
            }
        } else if let Some(name) = step.strip_prefix("mvexpand ") {
            let one = |row: &Fields, value: &String| {
                let mut row = row.clone();
                row.insert(name.to_owned(), vec![value.clone()]);
                row
            };
            rows = rows.iter().flat_map(|row| row[name].iter().map(move |value| one(row, value))).collect();
        } else {
            assert!(["dedup search", "fields search"].contains(&step) || step.starts_with("format emptystr="), "{step}");
        }
    }
    rows.into_iter().map(|row| row["search"].concat()).collect()
}

fn fields(values: &[(&str, &str)]) -> Fields {
    values.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()])).collect()
}

/// The same instant has more or fewer digits in the other API; another instant has others.
#[test]
fn an_echo_is_known_by_its_time_to_the_millisecond() {
    for (ours, feed, is_ours) in [
        ("2026-11-22T08:09:10.1233333Z", "2026-11-22T08:09:10.1233333Z", true),
        ("2026-11-22T08:09:10.1233333Z", "2026-11-22T08:09:10.123Z", true),
        ("2026-11-22T08:09:10.123Z", "2026-11-22T08:09:10.1233333Z", true),
        ("2026-11-22T08:09:10.12Z", "2026-11-22T08:09:10.1200000Z", true),
        ("2026-11-22T08:09:10.1200000Z", "2026-11-22T08:09:10.12Z", true),
        ("2026-11-22T08:09:10Z", "2026-11-22T08:09:10.0000000Z", true),
        ("2026-11-22T08:09:10.0000000Z", "2026-11-22T08:09:10Z", true),
        ("2026-11-22T08:09:10Z", "2026-11-22T08:09:10.9Z", false),
        ("2026-11-22T08:09:10.1233333Z", "2026-11-22T08:09:10.1333333Z", false),
        ("2026-11-22T08:09:10.1233333Z", "2026-11-22T08:09:11.1233333Z", false),
    ] {
        let terms = echoes(&fields(&[("id", "a1"), ("updated{}", ours)]));
        for member in ["lastUpdateDateTime", "lastUpdateTime", "lastUpdatedTime"] {
            let found = |id: &str| terms.iter().any(|term| search::matches(term, &fields(&[("id", id), (member, feed)])));
            assert_eq!((found("a1"), found("a2")), (is_ours, false), "{ours} {feed} {member}");
        }
    }
}

#[test]
fn our_own_changes_are_left_out_and_no_others() {
    let knowledge = Knowledge::load();
    for list in List::ALL {
        let stage = Stage::new();
        let ids = stage.fresh(list, 2);
        let input = stage.input(list).set("include_alerts", "none");
        let input = if list.inner_identity().is_some() { input } else { stage.input(list) };
        input.run().exits(0);
        Act::new(&stage, list).set("status", "resolved").set("comment", "c").ids(&ids[..1]).run().exits(0);
        stage.change(list, &ids[1]);
        let (events, _) = audit(&stage);
        let as_event = Event { sourcetype: "ms:defender:writeback".to_owned(), data: events[0].to_string(), ..Event::default() };
        let terms = echoes(&knowledge.fields(&as_event));
        assert!(!terms.is_empty());
        let came = input.run().exits(0).quietly().events();
        let left: Vec<String> = came
            .iter()
            .map(|event| knowledge.fields(event))
            .filter(|fields| !terms.iter().any(|term| search::matches(term, fields)))
            .map(|fields| fields["id"].concat())
            .collect();
        assert_eq!((came.len(), left), (2, vec![ids[1].clone()]), "{list:?}");
    }
}

/// A search that switches an action on is refused while it is being saved where the program would refuse its rows.
#[test]
fn splunk_web_refuses_what_the_program_refuses() {
    let rules = &search::conf("restmap")["validation:savedsearch"];
    let mut used = 0;
    for list in [List::GraphIncidents, List::EndpointAlerts] {
        let stage = Stage::new();
        let ids = stage.fresh(list, 1);
        let (action, first, other) = match list {
            List::GraphIncidents => ("defender_incident_update", "Active", "new"),
            _ => ("defender_alert_update", "New", "active"),
        };
        assert_eq!(action, action_of(list));
        // (parameter, values that are taken, one that is not)
        let table: [(&str, &[&str], &str); 7] = [
            ("account", &["demo"], ""),
            ("api", &["graph", "defender"], "soap"),
            ("id_field", &["id"], ""),
            ("status", &[first, "In Progress", "in-progress", "resolved", ""], other),
            ("classification", &["true positive", "falsePositive", ""], "benign"),
            ("if_changed", &["warn", ""], "no"),
            ("dry_run", &["1", "True", "yes"], "maybe"),
        ];
        for (name, good, bad) in table {
            let key = format!("action.{action}.param.{name}");
            let (_, rule) = rules.iter().find(|(known, _)| *known == key).unwrap_or_else(|| panic!("{key}"));
            used += 1;
            let said =
                |on: &str, value: &str| search::evaluate(rule, &fields(&[(&format!("action.{action}"), on), (&key, value)]));
            let run = |value: &str| {
                let act = Act::new(&stage, list).set("comment", "c").set("dry_run", "1").set(name, value);
                act.ids(&ids).run()
            };
            for value in good {
                assert_eq!(said("1", value), None, "{key} `{value}`");
                // By the other API the alerts of all products have the same ids, incidents too.
                run(value).exits(0);
            }
            assert!(said("1", bad).is_some(), "{key} `{bad}`");
            // A blank field stands for its default where the program reads it.
            if name != "id_field" {
                run(bad).exits(2);
            }
            // Another action of the same search, a parameter that is not set, a token that is replaced later.
            for (on, value) in [("0", bad), (&format!("action.{action}"), bad), ("1", key.as_str())] {
                assert_eq!(said(on, value), None, "{key} `{value}`");
            }
            assert!(bad.is_empty() || said("1", "$result.x$").is_none(), "{key}");
        }
    }
    assert_eq!(used, rules.len(), "a rule that nobody tried");
}
