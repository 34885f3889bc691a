//! The Defender APIs.

use serde_json::{Value, json};
use simulator::Time;
use simulator::model::spelling::{AlertStatus, Determination};
use simulator::model::{Alert, Determinations, Incident};
use simulator::throttle::{Limits, RetryAfter};
use simulator::{Request, Service};

use crate::support::{Desk, NOW, sample};

#[test]
fn evidence_is_empty_unless_expanded() {
    let mut desk = Desk::furnished(5, 20);
    let (_, page) = desk.get("/api/alerts", &[]);
    assert!(page["value"].as_array().unwrap().iter().all(|alert| alert["evidence"] == json!([])));
    let (_, page) = desk.get("/api/alerts", &[("$expand", "evidence")]);
    assert!(page["value"].as_array().unwrap().iter().all(|alert| !alert["evidence"].as_array().unwrap().is_empty()));
    assert!(page["value"].as_array().unwrap().len() < 20, "only the Endpoint's own alerts");
}

#[test]
fn lists_take_what_the_pages_name_and_no_order() {
    let mut desk = Desk::alerts(10);
    let cut = Time::from_unix(NOW.unix() - 2);
    assert_eq!(
        desk.ids("/api/alerts", &[("$filter", &format!("lastUpdateTime ge {cut} and status eq 'New'"))]),
        ["da0009_1", "da0008_1", "da0007_1"]
    );
    assert_eq!(
        desk.ids("/api/alerts", &[("$filter", "incidentId eq 7 and severity ne 'High'"), ("$top", "2"), ("$skip", "9")]).len(),
        1
    );
    let raw = format!("/api/alerts?$filter=lastUpdateTime+ge+{cut}&$top=1");
    assert_eq!(desk.call(Request::get(&raw)).0, 200, "the documents' own form");
    for (options, code) in [
        (vec![("$orderby", "lastUpdateTime asc")], "ODataError"),
        (vec![("$top", "10001")], "ODataError"),
        (vec![("$expand", "alerts")], "ODataError"),
        (vec![("$filter", "lastUpdateDateTime ge 2026-01-01T00:00:00Z")], "ODataError"),
        (vec![("$filter", "foo eq 'x'")], "ODataError"),
    ] {
        let (status, body) = desk.get("/api/alerts", &options);
        assert_eq!((status, body["error"]["code"].as_str()), (400, Some(code)), "{options:?}");
    }
    let Some(documented) = sample("errors/composed-defender-error-table.json") else { return };
    let (_, body) = desk.get("/api/alerts", &[("$filter", "foo eq 'x'")]);
    assert_eq!(body["error"]["message"], documented[1]["body"]["error"]["message"]);
}

#[test]
fn there_is_no_link_beside_top() {
    let mut desk = Desk::alerts(5);
    assert_eq!(desk.get("/api/alerts", &[("$top", "2")]).1.get("@odata.nextLink"), None);
    desk.world.behaviour.short_pages = Some(2);
    assert!(desk.get("/api/alerts", &[]).1.get("@odata.nextLink").is_some());
}

#[test]
fn updating_an_alert_is_case_sensitive() {
    let mut desk = Desk::alerts(2);
    let Some(valid) = sample("mde-alerts/patch-alert-request-valid-pair.json") else { return };
    let (status, body) = desk.send("PATCH", "/api/alerts/da0000_1", &valid);
    assert_eq!(status, 200, "{body}");
    assert_eq!((&body["status"], &body["determination"]), (&json!("Resolved"), &json!("NotMalicious")));
    assert_eq!(body["comments"][0]["comment"], valid["comment"]);
    assert!(body["resolvedTime"].is_string());
    let Some(documented) = sample("mde-alerts/update-alert-1.json") else { return };
    assert_eq!(
        desk.send("PATCH", "/api/alerts/da0000_1", &documented).0,
        400,
        "the documents' own example is no documented pair"
    );
    for bad in [
        json!({"status": "resolved"}),
        json!({"Status": "Resolved"}),
        json!({"classification": "Unknown"}),
        json!({"determination": "Clean"}),
        json!({"comment": ""}),
        json!({"alert": 1}),
        json!({}),
    ] {
        let (status, body) = desk.send("PATCH", "/api/alerts/da0000_1", &bad);
        assert!(status == 400 && body["error"]["target"].is_string(), "{bad} {body}");
    }
    assert_eq!(desk.send("PATCH", "/api/alerts/da9999_1", &valid).0, 404);
}

#[test]
fn each_page_has_its_spelling() {
    let mut desk = Desk::alerts(1);
    let send = |desk: &mut Desk, determination: &str| {
        desk.send("PATCH", "/api/alerts/da0000_1", &json!({"determination": determination})).0
    };
    assert_eq!((send(&mut desk, "InsufficientData"), send(&mut desk, "NoEnoughDataToValidate")), (200, 400));
    desk.world.behaviour.determinations = Determinations::OtherPages;
    assert_eq!(
        (send(&mut desk, "InsufficientData"), send(&mut desk, "NoEnoughDataToValidate"), send(&mut desk, "Malware")),
        (400, 200, 200)
    );
    desk.world.behaviour.determinations = Determinations::Any;
    assert_eq!((send(&mut desk, "CompromisedUser"), send(&mut desk, "CompromisedAccount")), (200, 200));
    assert_eq!(desk.world.alert("da0000_1").unwrap().determination, Determination::CompromisedAccount);
}

#[test]
fn a_batch_is_all_or_nothing_and_answers_nothing() {
    let mut desk = Desk::alerts(3);
    let body = json!({"alertIds": ["da0000_1", "da0002_1"], "status": "Resolved", "comment": "both"});
    let (status, answer) = desk.send("POST", "/api/alerts/batchUpdate", &body);
    assert_eq!((status, answer), (200, Value::Null));
    let open = |desk: &Desk| desk.world.alerts().filter(|alert| alert.status == AlertStatus::New).count();
    assert_eq!(open(&desk), 1);
    let (status, _) =
        desk.send("POST", "/api/alerts/batchUpdate", &json!({"alertIds": ["da0001_1", "nobody"], "status": "Resolved"}));
    assert_eq!((status, open(&desk)), (404, 1));
    let (_, body) = desk.send("POST", "/api/alerts/batchUpdate", &json!({"status": "Resolved"}));
    assert_eq!(body["error"]["code"], "MissingRequiredParameter");
    let ids: Vec<String> = (0..101).map(|number| number.to_string()).collect();
    let (_, body) = desk.send("POST", "/api/alerts/batchUpdate", &json!({"alertIds": ids, "status": "Resolved"}));
    if let Some(documented) = sample("errors/composed-defender-error-table.json") {
        assert_eq!(
            (&body["error"]["code"], &body["error"]["message"]),
            (&documented[4]["body"]["error"]["code"], &documented[4]["body"]["error"]["message"])
        );
    }
}

#[test]
fn incidents_take_a_hundred_and_four_properties() {
    let mut desk = Desk::incidents(150);
    assert_eq!(desk.ids("/api/incidents", &[]).len(), 100);
    assert_eq!(desk.ids("/api/incidents", &[("$top", "100"), ("$skip", "100")]).len(), 50);
    assert_eq!(desk.get("/api/incidents", &[("$top", "101")]).0, 400);
    let cut = Time::from_unix(NOW.unix() - 1);
    assert_eq!(
        desk.ids(
            "/api/incidents",
            &[("$filter", &format!("lastUpdateTime gt {cut} and status eq 'Active' and assignedTo eq null"))]
        ),
        ["150"]
    );
    for bad in ["severity eq 'High'", "incidentId eq 7", "lastUpdateDateTime ge 2026-01-01T00:00:00Z"] {
        assert_eq!(desk.get("/api/incidents", &[("$filter", bad)]).0, 400, "{bad}");
    }
    for option in ["$expand", "$orderby", "$select", "$count"] {
        assert_eq!(desk.get("/api/incidents", &[(option, "alerts")]).0, 400, "{option}");
    }
}

#[test]
fn updating_an_incident_cascades() {
    let mut desk = Desk::alerts(3);
    let Some(documented) = sample("xdr-incidents/patch-incident-request-2024.json") else { return };
    let (status, body) = desk.send("PATCH", "/api/incidents/7", &documented);
    assert_eq!(status, 200, "{body}");
    assert_eq!(
        (&body["status"], &body["tags"], &body["comments"][0]["comment"]),
        (&json!("Resolved"), &documented["tags"], &documented["comment"])
    );
    assert!(
        body["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .all(|alert| alert["status"] == "Resolved" && alert["assignedTo"] == documented["assignedTo"])
    );
    assert_eq!(
        desk.send("PATCH", "/api/incidents/7", &json!({"classification": "FalsePositive", "determination": "Clean"})).0,
        200
    );
    assert_eq!(
        desk.send("PATCH", "/api/incidents/7", &json!({"classification": "FalsePositive", "determination": "NotMalicious"})).0,
        400
    );
    assert_eq!(desk.send("PATCH", "/api/incidents/7", &json!({"status": "Redirected"})).0, 400);
    assert_eq!(desk.send("PATCH", "/api/incidents/8", &json!({"status": "Active"})).0, 404);
}

#[test]
fn a_merged_incident_says_where_it_went() {
    let mut desk = Desk::alerts(2);
    desk.world.put_incident(Incident::plain(8, NOW));
    desk.world.merge(7, 8, NOW);
    let (_, gone) = desk.get("/api/incidents/7", &[]);
    assert_eq!((&gone["redirectIncidentId"], &gone["status"], &gone["alerts"]), (&json!(8), &json!("Redirected"), &json!([])));
    let (_, there) = desk.get("/api/incidents/8", &[]);
    assert_eq!((there["alerts"].as_array().unwrap().len(), &there["alerts"][0]["incidentId"]), (2, &json!(8)));
    let (_, graph) = desk.get("/v1.0/security/incidents/7", &[]);
    assert_eq!((&graph["redirectIncidentId"], &graph["status"]), (&json!("8"), &json!("redirected")));
}

#[test]
fn one_alert_three_views() {
    let mut desk = Desk::empty();
    desk.world.put_incident(Incident::plain(7, NOW));
    let mut alert = Alert::plain("da1_1", Some(7), NOW);
    alert.determination = Determination::NotEnoughDataToValidate;
    desk.world.put_alert(alert);
    let (_, graph) = desk.get("/v1.0/security/alerts_v2/da1_1", &[]);
    let (_, endpoint) = desk.get("/api/alerts/da1_1", &[]);
    let (_, incident) = desk.get("/api/incidents/7", &[]);
    let inside = &incident["alerts"][0];
    assert_eq!((&graph["incidentId"], &endpoint["incidentId"], &inside["incidentId"]), (&json!("7"), &json!(7), &json!(7)));
    assert_eq!((&graph["id"], &endpoint["id"], &inside["alertId"]), (&json!("da1_1"), &json!("da1_1"), &json!("da1_1")));
    assert_eq!(
        (&graph["lastUpdateDateTime"], &endpoint["lastUpdateTime"]),
        (&inside["lastUpdatedTime"], &inside["lastUpdatedTime"])
    );
    assert_eq!(
        (&graph["determination"], &endpoint["determination"], &inside["determination"]),
        (&json!("notEnoughDataToValidate"), &json!("InsufficientData"), &json!("NoEnoughDataToValidate"))
    );
    assert_eq!((&graph["classification"], &endpoint["classification"]), (&json!("unknown"), &Value::Null));
}

#[test]
fn quotas_tell_the_wait_in_each_form() {
    for form in [RetryAfter::Seconds, RetryAfter::Date, RetryAfter::Missing] {
        let mut desk = Desk::incidents(1);
        desk.world.throttle.limits = Limits::Documented;
        desk.world.throttle.retry_after = form;
        let statuses: Vec<u16> = (0..51).map(|_| desk.get("/api/incidents", &[]).0).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 50);
        let token = desk.token(simulator::entra::Resource::Defender);
        let response = desk.ask(Service::Defender, &Request::get("/api/incidents").bearer(&token));
        let wanted = match form {
            RetryAfter::Seconds => Some("60".to_string()),
            RetryAfter::Date => Some(Time::from_unix(NOW.unix() + 60).http_date()),
            RetryAfter::Missing => None,
        };
        assert_eq!((response.status, response.header_value("retry-after").map(str::to_string)), (429, wanted));
        desk.now = Time::from_unix(NOW.unix() + 61);
        assert_eq!(desk.get("/api/incidents", &[]).0, 200);
    }
}
