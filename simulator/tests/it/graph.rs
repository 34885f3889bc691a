//! Microsoft Graph.

use proptest::prelude::*;
use serde_json::{Value, json};
use simulator::entra::Resource;
use simulator::model::spelling::{AlertStatus, IncidentStatus};
use simulator::model::{Alert, Links, Order, OrderBy, Pairs, Ties};
use simulator::{Request, Service, Time};

use crate::support::{Desk, NOW, ids, sample, target};

const ALERTS: &str = "/v1.0/security/alerts_v2";
const INCIDENTS: &str = "/v1.0/security/incidents";

fn stamp(seconds_ago: i64) -> String {
    Time::from_unix(NOW.unix() - seconds_ago).to_string()
}

#[test]
fn a_window_is_half_open_as_asked() {
    let mut desk = Desk::alerts(10);
    let window = format!("lastUpdateDateTime ge {} and lastUpdateDateTime lt {}", stamp(4), stamp(2));
    assert_eq!(desk.ids(ALERTS, &[("$filter", &window), ("$orderby", "lastUpdateDateTime asc")]), ["da0005_1", "da0006_1",]);
    let status = format!("{window} and status eq 'resolved'");
    assert!(desk.ids(ALERTS, &[("$filter", &status)]).is_empty());
}

#[test]
fn newest_first_unless_asked_otherwise() {
    let mut desk = Desk::alerts(5);
    assert_eq!(desk.ids(ALERTS, &[("$top", "2")]), ["da0004_1", "da0003_1"]);
    assert_eq!(desk.ids(ALERTS, &[("$top", "2"), ("$orderby", "lastUpdateDateTime asc")]), ["da0000_1", "da0001_1"]);
    assert_eq!(desk.ids(ALERTS, &[("$top", "1"), ("$orderby", "lastUpdateDateTime desc")]), ["da0004_1"]);
    desk.world.behaviour.orderby = OrderBy::Ignored;
    assert_eq!(desk.ids(ALERTS, &[("$top", "1"), ("$orderby", "lastUpdateDateTime asc")]), ["da0004_1"]);
    desk.world.behaviour.orderby = OrderBy::Refused;
    assert_eq!(desk.get(ALERTS, &[("$orderby", "lastUpdateDateTime asc")]).0, 400);
    desk.world.behaviour.orderby = OrderBy::RefusedEvery(2);
    let statuses: Vec<u16> = (0..4).map(|_| desk.get(ALERTS, &[("$orderby", "lastUpdateDateTime asc")]).0).collect();
    assert_eq!(statuses, [400, 200, 400, 200]);
    desk.world.behaviour.order = Order::OldestFirst;
    assert_eq!(desk.ids(ALERTS, &[("$top", "1")]), ["da0000_1"]);
}

#[test]
fn limits_of_top_and_skip() {
    let mut desk = Desk::incidents(60);
    assert_eq!(desk.ids(INCIDENTS, &[("$top", "50")]).len(), 50);
    let (status, body) = desk.get(INCIDENTS, &[("$top", "51")]);
    assert_eq!(status, 400);
    if let Some(documented) = sample("graph-security/error-400-incidents-top.json") {
        let text = |value: &Value| value["error"]["message"].as_str().unwrap().split("request is").next().unwrap().to_string();
        assert_eq!(text(&body), text(&documented));
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&body["error"]), names(&documented["error"]));
        assert_eq!(names(&body["error"]["innerError"]), names(&documented["error"]["innerError"]));
    }
    assert_eq!(desk.get(INCIDENTS, &[("$skip", "501")]).0, 400);
    assert_eq!(desk.get(INCIDENTS, &[("$skip", "500")]).0, 200);
    assert_eq!(desk.get(INCIDENTS, &[("$top", "-1")]).0, 400);
    let mut desk = Desk::alerts(1100);
    assert_eq!(desk.ids(ALERTS, &[("$top", "5000")]).len(), 1000, "clamped, not refused");
}

#[test]
fn the_link_leads_to_the_rest_and_only_where_there_is_one() {
    let mut desk = Desk::alerts(5);
    let (_, page) = desk.get(ALERTS, &[("$top", "3"), ("$count", "true")]);
    assert_eq!(page["@odata.count"], 5);
    let link = page["@odata.nextLink"].as_str().unwrap();
    let rest = link.strip_prefix("https://graph.microsoft.com").unwrap().to_string();
    let (_, last) = desk.call(Request::get(&rest));
    assert_eq!((ids(&last), last.get("@odata.nextLink")), (vec!["da0001_1".to_string(), "da0000_1".to_string()], None));
    desk.world.behaviour.links = Links::Missing;
    assert_eq!(desk.get(ALERTS, &[("$top", "3")]).1.get("@odata.nextLink"), None);
    desk.world.behaviour.links = Links::Own;
    desk.world.behaviour.short_pages = Some(2);
    let (_, page) = desk.get(ALERTS, &[("$top", "3")]);
    assert_eq!((ids(&page).len(), page.get("@odata.nextLink").is_some()), (2, true));
}

#[test]
fn what_is_not_odata_is_refused_in_graphs_words() {
    let mut desk = Desk::alerts(1);
    for (options, part) in [
        (vec![("$filter", "lastUpdateTime ge 2026-01-01T00:00:00Z")], "Could not find a property named 'lastUpdateTime'"),
        (vec![("$filter", "lastUpdateDateTime ge '2026-01-01T00:00:00Z'")], "incompatible types"),
        (vec![("$filter", "detectorId eq 'x'")], "Could not find a property"),
        (vec![("$filter", "incidentId eq '7'")], "Could not find a property"),
        (vec![("$filter", "status eq 'open'")], "not a valid enumeration"),
        (vec![("$expand", "evidence")], "not supported"),
        (vec![("$search", "x")], "not supported"),
        (vec![("$orderby", "severity asc")], "Could not find a property"),
        (vec![("$orderby", "lastUpdateDateTime up")], "Syntax error"),
    ] {
        let (status, body) = desk.get(ALERTS, &options);
        let message = body["error"]["message"].as_str().unwrap_or_default();
        assert!(status == 400 && message.contains(part) && body["error"]["code"] == "BadRequest", "{options:?}: {status} {body}");
    }
    // A plus sign that was not encoded is a blank, and then the time is no time.
    let raw = format!("{ALERTS}?$filter=lastUpdateDateTime%20ge%202026-01-01T00:00:00+00:00");
    assert_eq!(desk.call(Request::get(&raw)).0, 400);
}

#[test]
fn new_members_hide_behind_the_sentinel_unless_preferred() {
    let mut desk = Desk::empty();
    let mut alert = Alert::plain("sn1", Some(7), NOW);
    alert.service = "microsoftSentinel".to_string();
    alert.detection = "scheduledAlerts".to_string();
    desk.world.put_alert(alert);
    let mut incident = simulator::model::Incident::plain(7, NOW);
    incident.status = IncidentStatus::AwaitingAction;
    desk.world.put_incident(incident);
    let (_, page) = desk.get(INCIDENTS, &[("$expand", "alerts")]);
    let row = &page["value"][0];
    assert_eq!(
        (&row["status"], &row["alerts"][0]["serviceSource"], &row["alerts"][0]["detectionSource"]),
        (&json!("unknownFutureValue"), &json!("unknownFutureValue"), &json!("unknownFutureValue"))
    );
    let request = Request::get(&target(INCIDENTS, &[("$expand", "alerts")])).header("prefer", "include-unknown-enum-members");
    let (_, page) = desk.call(request);
    let row = &page["value"][0];
    assert_eq!((&row["status"], &row["alerts"][0]["serviceSource"]), (&json!("awaitingAction"), &json!("microsoftSentinel")));
}

#[test]
fn active_is_a_new_remediation_status_and_an_old_status() {
    let mut desk = Desk::incidents(1);
    assert_eq!(desk.get(INCIDENTS, &[]).1["value"][0]["status"], "active");
}

#[test]
fn expansion_fails_for_the_incident_it_is_set_for() {
    let mut desk = Desk::incidents(3);
    desk.world.behaviour.expand_fails.insert(2);
    assert_eq!(desk.get(INCIDENTS, &[("$expand", "alerts")]).0, 500);
    assert_eq!(desk.get(INCIDENTS, &[]).0, 200);
    assert_eq!(desk.get(&format!("{INCIDENTS}/2"), &[("$expand", "alerts")]).0, 500);
    assert_eq!(desk.get(&format!("{INCIDENTS}/3"), &[("$expand", "alerts")]).0, 200);
    desk.world.behaviour.poisoned.insert("1".to_string());
    assert_eq!(desk.get(INCIDENTS, &[]).0, 500);
}

#[test]
fn patching_an_alert_changes_it_and_dates_it() {
    let mut desk = Desk::alerts(3);
    let Some(change) = sample("graph-security/patch-alert-request.json") else { return };
    let (status, body) = desk.send("PATCH", &format!("{ALERTS}/da0000_1"), &change);
    assert_eq!(status, 200, "{body}");
    for (name, value) in change.as_object().unwrap() {
        assert_eq!(&body[name], value);
    }
    let updated = Time::parse(body["lastUpdateDateTime"].as_str().unwrap()).unwrap();
    assert!(updated > Time::from_unix(NOW.unix() - 1) && updated <= NOW);
    let (_, again) = desk.send("PATCH", &format!("{ALERTS}/da0000_1"), &change);
    assert_ne!(again["lastUpdateDateTime"], body["lastUpdateDateTime"]);
    let (_, cleared) = desk.send("PATCH", &format!("{ALERTS}/da0000_1"), &json!({"assignedTo": null}));
    assert_eq!((&cleared["assignedTo"], &cleared["status"]), (&Value::Null, &json!("inProgress")));
}

#[test]
fn changes_that_are_not_valid_change_nothing() {
    let mut desk = Desk::alerts(1);
    let before = desk.world.alert("da0000_1").cloned();
    for body in [
        json!({"status": "closed"}),
        json!({"status": "unknown"}),
        json!({"status": 1}),
        json!({"classification": "truePositive", "determination": "notMalicious"}),
        json!({"determination": "clean"}),
        json!({"comments": []}),
        json!({"comment": "x"}),
        json!({"severity": "low"}),
        json!({"customTags": ["a"]}),
        json!({}),
        json!([]),
    ] {
        let (status, answer) = desk.send("PATCH", &format!("{ALERTS}/da0000_1"), &body);
        assert_eq!(status, 400, "{body} {answer}");
    }
    let request = Request::new("PATCH", &format!("{ALERTS}/da0000_1")).body("text/plain", "{\"status\":\"new\"}");
    assert_eq!(desk.call(request).0, 400);
    assert_eq!(desk.world.alert("da0000_1").cloned(), before);
    assert_eq!(desk.send("PATCH", &format!("{ALERTS}/nobody"), &json!({"status": "new"})).0, 404);
    desk.world.behaviour.pairs = Pairs::Lax;
    let pair = json!({"classification": "truePositive", "determination": "notMalicious"});
    assert_eq!(desk.send("PATCH", &format!("{ALERTS}/da0000_1"), &pair).0, 200);
}

#[test]
fn resolving_and_assigning_an_incident_cascades() {
    let mut desk = Desk::alerts(4);
    desk.world.change_alert("da0001_1", NOW, |alert| {
        alert.status = AlertStatus::Resolved;
        alert.assigned_to = Some("kai@contoso.com".to_string());
    });
    let untouched = desk.world.alert("da0001_1").unwrap().updated;
    let (status, _) = desk.send("PATCH", &format!("{INCIDENTS}/7"), &json!({"status": "resolved"}));
    assert_eq!(status, 200);
    assert!(desk.world.alerts_of(7).all(|alert| alert.status == AlertStatus::Resolved));
    assert_eq!(desk.world.alert("da0001_1").unwrap().updated, untouched, "it was resolved before");
    let resolved = desk.world.alert("da0000_1").unwrap();
    assert_eq!(resolved.resolved, Some(NOW));
    desk.send("PATCH", &format!("{INCIDENTS}/7"), &json!({"assignedTo": "kai@contoso.com", "customTags": ["a"]}));
    assert!(desk.world.alerts_of(7).all(|alert| alert.assigned_to.as_deref() == Some("kai@contoso.com")));
    assert_eq!(desk.send("PATCH", &format!("{INCIDENTS}/7"), &json!({"status": "redirected"})).0, 400, "the service's to set");
    let Some(change) = sample("graph-security/patch-incident-request.json") else { return };
    let (status, body) = desk.send("PATCH", &format!("{INCIDENTS}/7"), &change);
    assert_eq!((status, &body["determination"]), (200, &json!("multiStagedAttack")), "the documents' example is in another case");
}

#[test]
fn a_comment_answers_with_all_comments() {
    let mut desk = Desk::alerts(1);
    let Some(comment) = sample("graph-security/post-alert-comment-request.json") else { return };
    let path = format!("{ALERTS}/da0000_1/comments");
    desk.send("POST", &path, &json!({"@odata.type": "#microsoft.graph.security.alertComment", "comment": "test"}));
    let (status, body) = desk.send("POST", &path, &comment);
    assert_eq!(status, 200);
    let texts: Vec<_> = body["value"].as_array().unwrap().iter().map(|comment| comment["comment"].as_str().unwrap()).collect();
    assert_eq!(texts, ["test", "Demo for docs"]);
    assert_eq!(body["value"][1]["createdByDisplayName"], simulator::accounts::APPLICATION);
    for bad in [
        json!({"comment": "x"}),
        json!({"@odata.type": "microsoft.graph.security.alertComment"}),
        json!({"@odata.type": "microsoft.graph.security.alertComment", "comment": ""}),
        json!({"@odata.type": "microsoft.graph.security.alertComment", "comment": "é".repeat(30_001)}),
    ] {
        assert_eq!(desk.send("POST", &path, &bad).0, 400);
    }
    let longest = json!({"@odata.type": "microsoft.graph.security.alertComment", "comment": "é".repeat(30_000)});
    assert_eq!(desk.send("POST", &format!("{INCIDENTS}/7/comments"), &longest).0, 200);
    assert_eq!(desk.world.incident(7).unwrap().comments.len(), 1);
}

#[test]
fn ties_may_come_in_another_order_each_time() {
    let mut desk = Desk::empty();
    for number in 0..30 {
        desk.world.put_alert(Alert::plain(&format!("t{number}"), None, NOW));
    }
    let ordered = [("$orderby", "lastUpdateDateTime asc")];
    assert_eq!(desk.ids(ALERTS, &ordered), desk.ids(ALERTS, &ordered));
    desk.world.behaviour.ties = Ties::Shuffled;
    assert_ne!(desk.ids(ALERTS, &ordered), desk.ids(ALERTS, &ordered));
}

#[test]
fn unknown_addresses_and_methods() {
    let mut desk = Desk::alerts(1);
    assert_eq!(desk.get("/v1.0/security/secureScores", &[]).0, 400);
    assert_eq!(desk.get(&format!("{ALERTS}/nobody"), &[]).0, 404);
    assert_eq!(desk.get(&format!("{INCIDENTS}/abc"), &[]).0, 404);
    assert_eq!(desk.send("DELETE", ALERTS, &json!({})).0, 405);
    let token = desk.token(Resource::Graph);
    assert_eq!(desk.ask(Service::Graph, &Request::get("/beta/security/alerts_v2").bearer(&token)).status, 400);
}

#[test]
fn select_keeps_what_was_asked() {
    let mut desk = Desk::alerts(1);
    let (_, page) = desk.get(ALERTS, &[("$select", "id,status")]);
    let names: Vec<_> = page["value"][0].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["@odata.type", "id", "status"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn over_a_set_that_rests_the_pages_hold_every_row_once(count in 0_i64..40, top in 1_usize..12, ascending: bool) {
        let mut desk = Desk::alerts(count);
        let order = if ascending { "lastUpdateDateTime asc" } else { "lastUpdateDateTime desc" };
        let mut seen = Vec::new();
        let mut next = Some(target(ALERTS, &[("$top", &top.to_string()), ("$orderby", order)]));
        while let Some(request) = next {
            let (status, page) = desk.call(Request::get(&request));
            prop_assert_eq!(status, 200);
            prop_assert!(ids(&page).len() <= top);
            seen.extend(ids(&page));
            next = page["@odata.nextLink"].as_str().map(|link| link.trim_start_matches("https://graph.microsoft.com").to_string());
        }
        let mut wanted: Vec<_> = (0..count).map(|number| format!("da{number:04}_1")).collect();
        if !ascending {
            wanted.reverse();
        }
        prop_assert_eq!(seen, wanted);
    }
}
