//! What the service does to a reader: late rows, moving rows, and every fault.

use std::time::Duration;

use simulator::model::{Alert, Order, Pending};
use simulator::throttle::RetryAfter;
use simulator::{Delivery, Fault, FaultKind, Request, Route, Service, Time, When};

use crate::support::{Desk, NOW};

const ALERTS: &str = "/v1.0/security/alerts_v2";

#[test]
fn a_row_may_become_visible_later_than_it_is_dated() {
    let mut desk = Desk::alerts(1);
    let visible = NOW.plus(Duration::from_secs(600));
    desk.world.show_later(visible, Pending::Alert(Box::new(Alert::plain("late", None, NOW))));
    assert_eq!(desk.ids(ALERTS, &[]).len(), 1);
    desk.now = visible;
    let (_, page) = desk.get(ALERTS, &[("$orderby", "lastUpdateDateTime asc")]);
    assert_eq!(page["value"][1]["lastUpdateDateTime"], NOW.to_string());
}

#[test]
fn following_skip_over_a_moving_set_loses_a_row() {
    // The schedule by which others lose data, so that the stand-ins can show it: newest first, and a row of the first page
    // changes before the second page is read in ascending order.
    let mut desk = Desk::alerts(6);
    desk.world.behaviour.order = Order::OldestFirst;
    let mut seen = desk.ids(ALERTS, &[("$top", "3")]);
    desk.world.change_alert("da0000_1", NOW.plus(Duration::from_secs(1)), |_| {});
    seen.extend(desk.ids(ALERTS, &[("$top", "3"), ("$skip", "3")]));
    assert!(!seen.contains(&"da0003_1".to_string()), "{seen:?}");
}

#[test]
fn updates_are_dated_later_than_before_and_on_the_tick() {
    let mut desk = Desk::alerts(1);
    let mut last = desk.world.alert("da0000_1").unwrap().updated;
    for _ in 0..5 {
        desk.world.change_alert("da0000_1", NOW, |_| {});
        let updated = desk.world.alert("da0000_1").unwrap().updated;
        assert!(updated > last);
        last = updated;
    }
    let mut future = Alert::plain("future", None, NOW.plus(Duration::from_secs(86_400)));
    future.title = "dated ahead".to_string();
    desk.world.put_alert(future);
    assert_eq!(desk.ids(ALERTS, &[("$top", "1")]), ["future"]);
}

#[test]
fn every_fault_does_what_it_says() {
    let wait = Duration::from_millis(5);
    let ask = |kind: FaultKind| {
        let mut desk = Desk::alerts(3);
        let token = desk.token(simulator::entra::Resource::Graph);
        desk.world.faults.push(Fault::once(Route::GraphAlerts, kind));
        let request = Request::get(ALERTS).bearer(&token);
        let struck = desk.ask(Service::Graph, &request);
        let after = desk.ask(Service::Graph, &request).status;
        (struck, after)
    };
    let (response, _) = ask(FaultKind::Throttled(7, RetryAfter::Seconds));
    assert_eq!((response.status, response.header_value("retry-after")), (429, Some("7")));
    assert!(response.text().contains("\"TooManyRequests\""));
    let (response, _) = ask(FaultKind::Unavailable(7, RetryAfter::Date));
    assert_eq!(
        (response.status, response.header_value("retry-after")),
        (503, Some(Time::from_unix(NOW.unix() + 7).http_date().as_str()))
    );
    let (response, _) = ask(FaultKind::Throttled(7, RetryAfter::Missing));
    assert_eq!((response.status, response.header_value("retry-after")), (429, None));
    let (response, _) = ask(FaultKind::Status(500));
    assert!(response.status == 500 && response.text().contains("innererror"), "{}", response.text());
    let (response, after) = ask(FaultKind::TokenRevoked);
    assert_eq!((response.status, after), (401, 401), "it stays revoked");
    let (response, after) = ask(FaultKind::Html(503));
    assert!(response.text().starts_with("<!DOCTYPE html>") && after == 200);
    let (response, _) = ask(FaultKind::Redirect("https://elsewhere.example/".to_string()));
    assert_eq!((response.status, response.header_value("location")), (302, Some("https://elsewhere.example/")));
    let (response, _) = ask(FaultKind::HalfJson);
    assert!(serde_json::from_slice::<serde_json::Value>(&response.body).is_err());
    let (response, _) = ask(FaultKind::Array);
    assert!(serde_json::from_slice::<serde_json::Value>(&response.body).unwrap().is_array());
    assert!(ask(FaultKind::Nothing).0.body.is_empty());
    assert_eq!(ask(FaultKind::Body(200, "text/plain", "ok".to_string())).0.text(), "ok");
    assert_eq!(ask(FaultKind::Cut(10)).0.delivery, Delivery::Cut(10));
    assert_eq!(ask(FaultKind::Slow(1, wait)).0.delivery, Delivery::Slow { piece: 1, pause: wait });
    assert_eq!(ask(FaultKind::Late(wait)).0.delivery, Delivery::Late(wait));
    assert_eq!(ask(FaultKind::Endless(wait)).0.delivery, Delivery::Endless(wait));
    assert_eq!(ask(FaultKind::Refused).0.delivery, Delivery::Refused);
    assert_eq!(ask(FaultKind::Silent).0.delivery, Delivery::Silent);
    assert_eq!(ask(FaultKind::NoDate).0.header_value("date"), None);
    let (response, _) = ask(FaultKind::Clock(-3600));
    assert_eq!(response.header_value("date"), Some(Time::from_unix(NOW.unix() - 3600).http_date().as_str()));
}

#[test]
fn a_fault_for_a_kind_of_request_leaves_the_others_alone() {
    let mut desk = Desk::alerts(1);
    desk.world.faults.push(Fault::new(Route::GraphIncidents, When::Always, FaultKind::Status(503)));
    assert_eq!((desk.get(ALERTS, &[]).0, desk.get("/v1.0/security/incidents", &[]).0), (200, 503));
    assert_eq!(desk.world.faults.happened().len(), 1);
}
