//! Graph's JSON batch.

use serde_json::{Value, json};
use simulator::entra::Resource;
use simulator::{Fault, FaultKind, Request, Route, Service, When};

use crate::support::Desk;

fn batch(desk: &mut Desk, requests: &Value) -> (u16, Value) {
    let token = desk.token(Resource::Graph);
    let body = json!({ "requests": requests }).to_string();
    let request = Request::new("POST", "/v1.0/$batch").bearer(&token).body("application/json", body);
    let answer = desk.ask(Service::Graph, &request);
    (answer.status, serde_json::from_str(&answer.text()).unwrap_or(Value::Null))
}

/// The answer to a request of the batch.
fn of<'a>(body: &'a Value, id: &str) -> &'a Value {
    body["responses"].as_array().unwrap().iter().find(|answer| answer["id"] == id).unwrap()
}

#[test]
fn each_request_is_answered_as_if_alone() {
    let mut desk = Desk::alerts(3);
    desk.world.faults.push(Fault::new(Route::GraphAlertComments, When::Once, FaultKind::Cut(10)));
    let comment = json!({"@odata.type": "microsoft.graph.security.alertComment", "comment": "hello"});
    let headers = json!({"Content-Type": "application/json"});
    let (status, body) = batch(
        &mut desk,
        &json!([
            {"id": "a", "method": "GET", "url": "/security/alerts_v2/da0000_1"},
            {"id": "b", "method": "PATCH", "url": "/security/alerts_v2/da0001_1", "headers": headers, "body": {"status": "resolved"}},
            {"id": "c", "method": "PATCH", "url": "/security/alerts_v2/da0002_1", "body": {"status": "resolved"}},
            {"id": "d", "method": "GET", "url": "/security/alerts_v2/none"},
            {"id": "e", "method": "POST", "url": "/security/alerts_v2/da0000_1/comments", "headers": headers, "body": comment},
        ]),
    );
    assert_eq!((status, body["responses"].as_array().unwrap().len()), (200, 5));
    assert_eq!((&of(&body, "a")["status"], &of(&body, "a")["body"]["id"]), (&json!(200), &json!("da0000_1")));
    assert_eq!(of(&body, "b")["body"]["status"], "resolved");
    assert_eq!(of(&body, "c")["status"], 400, "a body without a content type");
    assert_eq!(of(&body, "d")["status"], 404);
    // The connection to the service behind broke after the comment was written.
    assert_eq!(of(&body, "e")["status"], 504);
    assert_eq!(desk.world.alert("da0000_1").unwrap().comments.len(), 1);
    let routes: Vec<Route> = desk.world.traffic.exchanges().iter().map(|exchange| exchange.route).collect();
    assert_eq!(routes.iter().filter(|route| **route == Route::GraphAlert).count(), 4);
    assert_eq!(routes.last(), Some(&Route::GraphBatch));
}

#[test]
fn what_is_no_batch() {
    let mut desk = Desk::alerts(1);
    let get = |id: &str, url: &str| json!({"id": id, "method": "GET", "url": url});
    let url = "/security/alerts_v2/da0000_1";
    let many: Vec<Value> = (0..21).map(|id| get(&id.to_string(), url)).collect();
    for (requests, part) in [
        (json!([]), "exceeds the maximum value of 20"),
        (json!(many), "exceeds the maximum value of 20"),
        (json!([get("1", url), get("1", url)]), "Duplicate request id '1'"),
        (json!([get("1", "https://graph.microsoft.com/v1.0/security/alerts_v2")]), "relative to the version"),
        (json!([get("1", "/v1.0/security/alerts_v2")]), "relative to the version"),
        (json!([{"id": "1", "url": url}]), "Invalid batch payload format"),
        (json!({}), "Invalid batch payload format"),
    ] {
        let (status, body) = batch(&mut desk, &requests);
        let message = body["error"]["message"].as_str().unwrap();
        assert!(status == 400 && message.contains(part), "{message}");
    }
    let request = Request::new("POST", "/v1.0/$batch").bearer("nobody's").body("application/json", "{}");
    assert_eq!(desk.ask(Service::Graph, &request).status, 401);
    let request = Request::get("/v1.0/$batch").bearer("nobody's");
    assert_eq!(desk.ask(Service::Graph, &request).status, 405);
}
