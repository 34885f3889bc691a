//! What feeds make of objects.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::alert::Kind;
use super::*;
use crate::json::index::Index;
use crate::microsoft::cloud::Resource;
use crate::microsoft::object::names;

/// The events of one object, as (sourcetype, data).
fn events(feed: &str, resource: Resource, text: &str, form: Form, include: IncludeAlerts) -> Vec<(&'static str, String)> {
    let names = names(resource);
    let mut index = Index::default();
    let row = Row::read(index.of(text).unwrap(), names.identity, names.place());
    let memory = AlertMemory::default();
    let reading = Reading {
        names,
        form,
        include_alerts: include,
        evidence: Evidence::Inline,
        alerts: &memory,
        is_new: true,
        is_stray: false,
        is_owed: false,
        now: Ticks(0),
    };
    let mut emission = Emission::default();
    (find(feed).unwrap().events)(&row, &reading, &mut emission);
    emission.drafts.into_iter().map(|draft| (draft.sourcetype, draft.data)).collect()
}

const INCIDENT: &str = r#"{"id":"7","alerts":[{"id":"a1","lastUpdateDateTime":"2026-01-01T00:00:00Z","x":null},{"id":"a\"2","lastUpdateDateTime":"2026-01-01T00:00:01Z"}],"assignedTo":null,"lastUpdateDateTime":"2026-01-02T00:00:00.5Z"}"#;

#[test]
fn an_incident_names_its_alerts_and_they_follow_it() {
    let found = events("incidents", Resource::GraphIncidents, INCIDENT, Form::Compact, IncludeAlerts::Changed);
    assert_eq!(
        found,
        [
            (
                "ms365:defender:incident",
                r#"{"lastUpdateDateTime":"2026-01-02T00:00:00.5Z","id":"7","alertsCount":2,"alertIds":["a1","a\"2"]}"#.to_owned()
            ),
            ("ms365:defender:incident:alerts", r#"{"lastUpdateDateTime":"2026-01-01T00:00:00Z","id":"a1"}"#.to_owned()),
            ("ms365:defender:incident:alerts", r#"{"lastUpdateDateTime":"2026-01-01T00:00:01Z","id":"a\"2"}"#.to_owned()),
        ]
    );
}

#[test]
fn verbatim_keeps_every_other_byte() {
    let found = events("incidents", Resource::GraphIncidents, INCIDENT, Form::Verbatim, IncludeAlerts::None);
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].1,
        r#"{"id":"7","alertIds":["a1","a\"2"],"alertsCount":2,"assignedTo":null,"lastUpdateDateTime":"2026-01-02T00:00:00.5Z"}"#
    );
}

#[test]
fn without_the_alerts_nothing_is_said_of_them() {
    for text in [
        r#"{"id":"7","lastUpdateDateTime":"2026-01-02T00:00:00Z"}"#,
        r#"{"id":"7","lastUpdateDateTime":"2026-01-02T00:00:00Z","alerts":null}"#,
    ] {
        let found = events("incidents", Resource::GraphIncidents, text, Form::Compact, IncludeAlerts::Changed);
        assert_eq!(found[0].1, r#"{"lastUpdateDateTime":"2026-01-02T00:00:00Z","id":"7"}"#);
    }
    let partial = r#"{"id":"7","lastUpdateDateTime":"2026-01-02T00:00:00Z","alerts":[{"id":"a"}],"alerts@odata.nextLink":"x"}"#;
    let found = events("incidents", Resource::GraphIncidents, partial, Form::Compact, IncludeAlerts::Changed);
    assert!(!found[0].1.contains("alertIds") && found.len() == 2, "{found:?}");
}

#[test]
fn integers_and_names_of_the_defender_api() {
    let text = r#"{"incidentId":924565,"lastUpdateTime":"2020-09-06T14:46:57.29Z","alerts":[{"alertId":"fa1","lastUpdatedTime":"2020-09-06T12:00:00Z","big":639199803770463703}]}"#;
    let found = events("incidents", Resource::XdrIncidents, text, Form::Compact, IncludeAlerts::Changed);
    assert_eq!(
        found[0].1,
        r#"{"lastUpdateTime":"2020-09-06T14:46:57.29Z","incidentId":924565,"alertsCount":1,"alertIds":["fa1"]}"#
    );
    assert_eq!(found[1].1, r#"{"lastUpdatedTime":"2020-09-06T12:00:00Z","alertId":"fa1","big":639199803770463703}"#);
}

#[test]
fn what_is_no_object_or_has_no_time_still_comes_out() {
    for text in ["17", r#"{"id":"x"}"#, r#"{"id":"x","lastUpdateDateTime":"soon"}"#] {
        let mut index = Index::default();
        assert!(!Row::read(index.of(text).unwrap(), names(Resource::GraphAlerts).identity, None).is_dated());
        let found = events("alerts", Resource::GraphAlerts, text, Form::Verbatim, IncludeAlerts::None);
        assert_eq!(found, [("ms:defender:atp:alerts", text.to_owned())]);
    }
}

/// The alert with every type of evidence in Graph's metadata.
fn all_types() -> Option<String> {
    let file = crate::microsoft::stand_in::fixture("msapi/graph-security/synthetic-alert-all-48-evidence-types.json")?;
    Some(String::from_utf8(file.to_vec()).unwrap())
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The events of a Graph alert, alone and inside an incident.
fn graph_alert(text: &str, kind: Kind, form: Form, evidence: Evidence) -> Vec<(&'static str, String)> {
    let raw: &RawValue = serde_json::from_str(text).unwrap();
    let (resource, feed) = match kind {
        Kind::OfIncident => (Resource::GraphIncidents, find("incidents").unwrap()),
        Kind::Alone => (Resource::GraphAlerts, find("alerts").unwrap()),
    };
    let names = names(resource);
    let incident = format!(r#"{{"id":"1","lastUpdateDateTime":"2026-01-01T00:00:00Z","alerts":[{}]}}"#, raw.get());
    let object = if kind == Kind::OfIncident { &incident } else { raw.get() };
    let mut index = Index::default();
    let row = Row::read(index.of(object).unwrap(), names.identity, names.place());
    let memory = AlertMemory::default();
    let reading = Reading {
        names,
        form,
        include_alerts: IncludeAlerts::All,
        evidence,
        alerts: &memory,
        is_new: true,
        is_stray: false,
        is_owed: false,
        now: Ticks(0),
    };
    let mut emission = Emission::default();
    (feed.events)(&row, &reading, &mut emission);
    let drafts = emission.drafts.into_iter().map(|draft| (draft.sourcetype, draft.data));
    drafts.filter(|(kind, _)| *kind != "ms365:defender:incident").collect()
}

/// A JSON value without its null members.
fn stripped(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(_, member)| !member.is_null())
            .map(|(name, member)| (name.clone(), stripped(member)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(stripped).collect::<Vec<_>>().into(),
        other => other.clone(),
    }
}

/// Whether one value has all that the other has.
#[track_caller]
fn includes(more: &Value, less: &Value, at: &str) {
    match (more, less) {
        (Value::Object(more), Value::Object(less)) => {
            for (name, value) in less {
                let at = format!("{at}.{name}");
                includes(more.get(name).unwrap_or_else(|| panic!("{at} is lost")), value, &at);
            }
        }
        (Value::Array(more), Value::Array(less)) => {
            assert!(more.len() >= less.len(), "{at}");
            for (n, (more, less)) in more.iter().zip(less).enumerate() {
                includes(more, less, &format!("{at}[{n}]"));
            }
        }
        _ => assert_eq!(more, less, "{at}"),
    }
}

#[test]
fn no_fact_of_any_type_of_evidence_is_lost() {
    let Some(text) = all_types() else { return };
    let original = stripped(&value(&text));
    assert_eq!(original["evidence"].as_array().unwrap().len(), 48);
    for kind in [Kind::OfIncident, Kind::Alone] {
        let events = graph_alert(&text, kind, Form::Compact, Evidence::Inline);
        assert_eq!(events.len(), 1);
        includes(&value(&events[0].1), &original, "alert");
        assert!(events[0].1.contains("9007199254740993"), "numbers keep their spelling");
        assert!(!events[0].1.contains(":null"));
        let verbatim = graph_alert(&text, kind, Form::Verbatim, Evidence::Inline);
        assert_eq!(verbatim[0].1, json::one_line(text.trim()).into_owned());
    }
}

#[test]
fn every_type_has_a_legacy_face() {
    let Some(text) = all_types() else { return };
    let event = value(&graph_alert(&text, Kind::OfIncident, Form::Compact, Evidence::Inline)[0].1);
    let entities = event["entities"].as_array().unwrap();
    let original = value(&text);
    let evidence = original["evidence"].as_array().unwrap();
    for (entity, item) in entities.iter().zip(evidence) {
        assert_eq!(entity["verdict"], "Suspicious");
        assert_eq!(entity["evidenceCreationTime"], item["createdDateTime"]);
        assert!(entity.as_object().unwrap().values().all(|value| value.is_string() || value.is_number()), "{entity}");
        assert!(entity.as_object().unwrap().values().all(|value| value != ""), "{entity}");
    }
    let of = |kind: &str| entities.iter().find(|entity| entity["entityType"] == kind).unwrap_or_else(|| panic!("{kind}"));
    let table: [(&str, &[(&str, &str)]); 14] = [
        (
            "File",
            &[
                ("fileName", "fileName-value"),
                ("filePath", "filePath-value"),
                ("sha256", "sha256-value"),
                ("detectionStatus", "Detected"),
            ],
        ),
        (
            "Process",
            &[
                ("fileName", "fileName-value"),
                ("processCommandLine", "processCommandLine-value"),
                ("processCreationTime", "2026-05-02T19:45:31.6066667Z"),
                ("parentProcessFileName", "fileName-value"),
                ("accountName", "accountName-value"),
                ("sha1", "sha1-value"),
            ],
        ),
        (
            "User",
            &[
                ("accountName", "accountName-value"),
                ("domainName", "domainName-value"),
                ("userSid", "userSid-value"),
                ("aadUserId", "azureAdUserId-value"),
                ("userPrincipalName", "userPrincipalName-value"),
            ],
        ),
        ("Ip", &[("ipAddress", "ipAddress-value")]),
        ("Url", &[("url", "url-value")]),
        ("Registry", &[("registryHive", "registryHive-value"), ("registryKey", "registryKey-value")]),
        (
            "MailBox",
            &[
                ("mailboxAddress", "primaryAddress-value"),
                ("mailboxDisplayName", "displayName-value"),
                ("userPrincipalName", "userPrincipalName-value"),
            ],
        ),
        (
            "MailMessage",
            &[("sender", "emailAddress-value"), ("recipient", "recipientEmailAddress-value"), ("subject", "subject-value")],
        ),
        ("MailCluster", &[("clusterBy", "clusterBy-value")]),
        ("SecurityGroup", &[("securityGroupId", "securityGroupId-value"), ("securityGroupName", "displayName-value")]),
        ("Device", &[("deviceId", "mdeDeviceId-value"), ("deviceDnsName", "deviceDnsName-value")]),
        (
            "TeamsMessage",
            &[("sender", "senderFromAddress-value"), ("recipient", "recipients-value"), ("ipAddress", "senderIP-value")],
        ),
        ("OauthApplication", &[("applicationId", "appId-value"), ("applicationName", "displayName-value")]),
        ("NetworkConnection", &[("remediationStatus", "None")]),
    ];
    for (kind, members) in table {
        for (name, wanted) in members {
            assert_eq!(of(kind)[*name], *wanted, "{kind}.{name}");
        }
    }
    let values = entities.iter().find(|entity| entity["registryValueName"] == "registryValueName-value").unwrap();
    assert_eq!(
        (&values["registryValue"], &values["registryValueType"]),
        (&json!("registryValue-value"), &json!("registryValueType-value"))
    );
    assert_eq!(of("Process")["processId"].to_string(), "9007199254740993");
    let count = |kind: &str| entities.iter().filter(|entity| entity["entityType"] == kind).count();
    assert!(count("Ip") > 6 && count("File") > 2 && count("Process") > 1 && count("User") > 2, "evidence inside evidence");
    // The list of an alert on its own: Graph's members, and the old names besides.
    let alone = value(&graph_alert(&text, Kind::Alone, Form::Compact, Evidence::Inline)[0].1);
    let process = alone["evidence"].as_array().unwrap().iter().find(|item| item["entityType"] == "Process").unwrap().clone();
    assert_eq!((&process["fileName"], &process["imageFile"]["fileName"]), (&json!("fileName-value"), &json!("fileName-value")));
    assert_eq!((&process["verdict"], &process["parentProcessFilePath"]), (&json!("suspicious"), &json!("filePath-value")));
    assert_eq!((&alone["computerDnsName"], &alone["machineId"]), (&json!("deviceDnsName-value"), &json!("mdeDeviceId-value")));
}

#[test]
fn what_is_clean_is_said_so_and_what_is_unknown_keeps_its_name() {
    let text = r##"{"id":"a","lastUpdateDateTime":"2026-01-01T00:00:00Z","evidence":[
        {"@odata.type":"#microsoft.graph.security.urlEvidence","verdict":"noThreatsFound","url":"u"},
        {"@odata.type":"#microsoft.graph.security.quantumEvidence","ipAddress":"10.0.0.1","new":{"x":1},"verdict":null},
        {"@odata.type":"#microsoft.graph.security.ipEvidence","ipAddress":"","verdict":"malicious"}, 7]}"##;
    let event = value(&graph_alert(text, Kind::OfIncident, Form::Compact, Evidence::Inline)[0].1);
    assert_eq!(
        event["entities"],
        json!([
            {"entityType": "Url", "verdict": "Clean", "url": "u"},
            {"entityType": "Quantum", "verdict": "Unknown", "ipAddress": "10.0.0.1"},
            {"entityType": "Ip", "verdict": "Malicious"},
        ])
    );
    assert_eq!(event["evidence"][1]["new"]["x"], 1);
    assert_eq!(event["evidence"][3], 7);
    assert_eq!(event["cim"], json!({"ip": ["10.0.0.1"]}));
}

#[test]
fn evidence_as_events_of_their_own_is_whole_or_stays_with_the_alert() {
    let Some(text) = all_types() else { return };
    let original = stripped(&value(&text));
    for form in [Form::Compact, Form::Verbatim] {
        let events = graph_alert(&text, Kind::Alone, form, Evidence::Events);
        assert_eq!(events.len(), 49);
        let alert = value(&events[0].1);
        let mut kept = alert["evidence"].as_array().cloned().unwrap_or_default();
        for ((kind, data), item) in events[1..].iter().zip(original["evidence"].as_array().unwrap()) {
            assert_eq!(*kind, "ms:defender:evidence");
            assert!(data.len() < json::CUTOFF && data.starts_with("{\"lastUpdateDateTime\":"), "{data}");
            let event = value(data);
            assert_eq!(
                (&event["alertId"], &event["incidentId"], &event["tenantId"]),
                (&original["id"], &original["incidentId"], &original["tenantId"])
            );
            assert_eq!((&event["role"], &event["verdict"]), (&json!("contextual"), &json!("Suspicious")));
            assert!(event["entityType"].is_string());
            if event["isCut"] == true {
                let at = kept.iter().position(|kept| kept["@odata.type"] == item["@odata.type"]).unwrap();
                includes(&stripped(&kept.remove(at)), item, "kept");
            } else {
                assert_eq!(&event["evidence"], item);
            }
        }
        assert!(kept.iter().all(|rest| rest["@odata.type"].is_null()), "only what had no room stays: {kept:?}");
    }
    let both = graph_alert(&text, Kind::OfIncident, Form::Compact, Evidence::Both);
    assert_eq!(
        (both.len(), both[0].1.clone()),
        (49, graph_alert(&text, Kind::OfIncident, Form::Compact, Evidence::Inline)[0].1.clone())
    );
}

#[test]
fn what_an_alert_is_about_stands_before_any_long_text() {
    let text = format!(
        r##"{{"id":"a","recommendedActions":"{}","title":"t","description":"{}","comments":[{{"comment":"{}"}}],"mitreTechniques":["T1003","T1059.001"],
        "lastUpdateDateTime":"2026-01-01T00:00:00Z","systemTags":["x"],"evidence":[{}
        {{"@odata.type":"#microsoft.graph.security.deviceEvidence","verdict":"unknown","deviceDnsName":"host.contoso.com"}}]}}"##,
        "r".repeat(6000),
        "d".repeat(1500),
        "c".repeat(3000),
        format!(r##"{{"@odata.type":"#microsoft.graph.security.userEvidence","verdict":"suspicious","userAccount":{{"userPrincipalName":"{}@contoso.com"}}}},"##, "u".repeat(280)).repeat(60)
    );
    let event = graph_alert(&text, Kind::Alone, Form::Compact, Evidence::Inline).remove(0).1;
    let mut index = Index::default();
    let order: Vec<String> =
        index.of(&event).unwrap().object().unwrap().members().map(|member| member.name().into_owned()).collect();
    assert_eq!(
        order,
        [
            "lastUpdateDateTime",
            "id",
            "title",
            "description",
            "computerDnsName",
            "mitreTechniques",
            "cim",
            "systemTags",
            "recommendedActions",
            "comments",
            "evidence"
        ]
    );
    assert!(event.find("recommendedActions").unwrap() < 4_000);
    assert!(event[..2_500].contains(r#""cim":{"dest":["host.contoso.com"],"user":["uuu"#));
}

#[test]
fn the_list_of_sourcetypes_is_what_is_written() {
    let incident = r##"{"id":"7","lastUpdateDateTime":"2026-01-02T00:00:00Z","alerts":[{"id":"a","lastUpdateDateTime":"2026-01-01T00:00:00Z","evidence":[{"@odata.type":"#microsoft.graph.security.fileEvidence"}]}]}"##;
    let alert = &incident[incident.find(r#"{"id":"a""#).unwrap()..incident.len() - 2];
    let mut written = BTreeSet::new();
    for (feed, resource, text) in [("incidents", Resource::GraphIncidents, incident), ("alerts", Resource::GraphAlerts, alert)] {
        for evidence in [Evidence::Inline, Evidence::Events, Evidence::Both] {
            let (names, memory, mut index) = (names(resource), AlertMemory::default(), Index::default());
            let row = Row::read(index.of(text).unwrap(), names.identity, names.place());
            let (form, include_alerts) = (Form::Compact, IncludeAlerts::Changed);
            let reading = Reading {
                names,
                form,
                include_alerts,
                evidence,
                alerts: &memory,
                is_new: true,
                is_owed: false,
                is_stray: false,
                now: Ticks(0),
            };
            let mut emission = Emission::default();
            (find(feed).unwrap().events)(&row, &reading, &mut emission);
            written.extend(emission.drafts.into_iter().map(|draft| draft.sourcetype));
        }
    }
    assert_eq!(written, SOURCETYPES[..4].iter().copied().collect());
    #[cfg(feature = "streaming")]
    {
        use crate::input::{Dedupe, Shape, Tables};
        for shape in [Shape::Incumbent, Shape::Community] {
            let mut reader = records::Reader::new(shape, Tables::All, Dedupe::Off);
            let body = br#"{"category":"AdvancedHunting-AlertInfo","properties":{}} nonsense"#;
            let read = reader.read(body, Ticks(0), |record| {
                written.insert(record.sourcetype);
                Ok::<_, std::convert::Infallible>(())
            });
            assert_eq!(read.map(|tally| (tally.records, tally.unparsed)), Ok((1, 1)));
        }
        assert_eq!(written, SOURCETYPES.into());
    }
}
