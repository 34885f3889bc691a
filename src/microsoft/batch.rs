//! Several requests as one: Graph's JSON batch, and what Defender for Endpoint does for many alerts at once. The
//! Microsoft 365 Defender API has neither.

use std::collections::{BTreeMap, BTreeSet};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Serialize;
use serde_json::{Map, Value};

use super::answer;
use super::api_error::{ApiError, Asked, Failure, classify, request_id};
use super::client::{Client, Reply};
use super::cloud::Api;
use super::query;
use super::update::{Body, Step};
use crate::time::Ticks;

/// The most requests in one of Graph's batches.
pub const GRAPH_LIMIT: usize = 20;
/// The most alerts of one Endpoint update. The error beyond is documented, the number is not.
pub const UPDATE_LIMIT: usize = 100;
/// The most alerts asked for by id at once: a URL of 4 kB.
pub const READ_LIMIT: usize = 50;
/// Endpoint updates of many alerts in a minute, as documented.
pub const UPDATES_PER_MINUTE: u32 = 10;

const GRAPH_BATCH: &str = "/v1.0/$batch";

/// One of several requests.
#[derive(Clone, Copy, Debug)]
pub enum Call<'a> {
    /// Reads this path.
    Get(&'a str),
    /// Sends this step, in its first spelling: Graph has no other.
    Send(&'a Step),
}

impl<'a> Call<'a> {
    fn method(self) -> Method {
        match self {
            Self::Get(_) => Method::GET,
            Self::Send(step) => step.verb.method(),
        }
    }

    fn path(self) -> &'a str {
        match self {
            Self::Get(path) => path,
            Self::Send(step) => &step.path,
        }
    }
}

/// What came of one of several requests.
pub type Answer = Result<Reply, Box<ApiError>>;

#[derive(Serialize)]
struct Requests<'a> {
    requests: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: String,
    method: String,
    /// Relative to the version.
    url: &'a str,
    headers: BTreeMap<&'static str, &'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a Body>,
}

impl<'a> Entry<'a> {
    fn new(number: usize, call: Call<'a>) -> Self {
        // A batch does not hand its own headers on to the requests in it.
        let mut headers = BTreeMap::from([("Accept", "application/json"), ("Prefer", "include-unknown-enum-members")]);
        let body = match call {
            Call::Get(_) => None,
            Call::Send(step) => Some(&step.body),
        };
        if body.is_some() {
            headers.insert("Content-Type", "application/json");
        }
        let url = call.path().strip_prefix("/v1.0").unwrap_or(call.path());
        Self { id: number.to_string(), method: call.method().to_string(), url, headers, body }
    }
}

/// What a batch says of one of its requests.
struct Response {
    status: u16,
    headers: Map<String, Value>,
    body: Value,
}

/// The answers in a batch by the number of their request. One that cannot be read is left out, and so are two of the same
/// number: nobody knows which of them is meant. What nobody asked for is not looked at.
fn responses(body: &[u8], number: usize) -> BTreeMap<usize, Response> {
    let Ok(Value::Object(mut whole)) = serde_json::from_slice(body) else { return BTreeMap::new() };
    let Some(Value::Array(all)) = whole.remove("responses") else { return BTreeMap::new() };
    let (mut found, mut twice) = (BTreeMap::new(), BTreeSet::new());
    for mut response in all {
        let whole_number = |value: &Value| match value {
            Value::String(text) => text.parse::<u16>().ok(),
            other => other.as_u64().and_then(|number| u16::try_from(number).ok()),
        };
        let at = whole_number(&response["id"]).map(usize::from).filter(|at| *at < number);
        let (Some(at), Some(status)) = (at, whole_number(&response["status"])) else { continue };
        let headers = response["headers"].as_object().cloned().unwrap_or_default();
        let body = response.get_mut("body").map(Value::take).unwrap_or_default();
        if found.insert(at, Response { status, headers, body }).is_some() {
            twice.insert(at);
        }
    }
    found.retain(|at, _| !twice.contains(at));
    found
}

/// Sends up to [`GRAPH_LIMIT`] requests as one; the answers are in the order of the calls.
///
/// # Errors
/// See [`ApiError`]: of the batch as a whole. Each request in it has an error of its own.
pub fn graph(client: &mut Client, calls: &[Call<'_>]) -> Result<Vec<Answer>, Box<ApiError>> {
    let requests = calls.iter().enumerate().map(|(number, call)| Entry::new(number, *call)).collect();
    let reply = client.post(GRAPH_BATCH, &Requests { requests })?;
    let mut found = responses(&reply.body, calls.len());
    Ok(calls.iter().enumerate().map(|(number, call)| answer_of(*call, found.remove(&number), &reply)).collect())
}

fn answer_of(call: Call<'_>, response: Option<Response>, whole: &Reply) -> Answer {
    let method = call.method();
    let asked = Asked { api: Api::Graph, method: &method, path: call.path() };
    // A success that should hold an object and is empty is no answer either.
    let empty = |response: &Response| response.body.is_null() && method == Method::GET && response.status < 300;
    let Some(response) = response.filter(|response| !empty(response)) else {
        // Nobody knows whether it was carried out.
        let message = Some("the answer to a batch is not whole".to_owned());
        let request_id = whole.request_id.clone();
        return Err(Box::new(ApiError { status: Some(whole.status), message, request_id, ..asked.failed(Failure::Server) }));
    };
    let headers: HeaderMap = response
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value.as_str()?).ok()?)))
        .collect();
    let body = match &response.body {
        Value::Null => Vec::new(),
        body => body.to_string().into_bytes(),
    };
    classify(asked, response.status, &headers, &body, Ticks::now())?;
    let request_id = request_id(&headers).or_else(|| whole.request_id.clone());
    Ok(Reply {
        body,
        service_time: answer::date(&headers).or(whole.service_time),
        request_id,
        status: response.status,
        partial: None,
    })
}

/// Reads up to [`READ_LIMIT`] Endpoint alerts by id. Those that are missing may still exist: ask for each.
///
/// # Errors
/// See [`ApiError`].
pub fn alerts(client: &mut Client, ids: &[&str]) -> Result<(BTreeMap<String, Value>, Reply), Box<ApiError>> {
    let path = query::alerts_by_id(ids);
    let reply = client.get(&path).map_err(shortened)?;
    let rows = match serde_json::from_slice(&reply.body) {
        Ok(Value::Object(mut page)) => page.remove("value"),
        _ => None,
    };
    // Without a list nothing is known of any: to ask for each would be fifty requests.
    let Some(Value::Array(rows)) = rows else {
        let asked = Asked { api: Api::Endpoint, method: &Method::GET, path: &path };
        let (message, request_id) = (Some("the answer is no list".to_owned()), reply.request_id);
        let error = ApiError { status: Some(reply.status), message, request_id, ..asked.failed(Failure::Server) };
        return Err(shortened(Box::new(error)));
    };
    let found = rows.into_iter().filter_map(|row| Some((row["id"].as_str()?.to_owned(), row))).collect();
    Ok((found, reply))
}

/// Makes one change of up to [`UPDATE_LIMIT`] Endpoint alerts: of all or, where one of them cannot be changed, of none.
///
/// # Errors
/// See [`ApiError`].
pub fn update_alerts(client: &mut Client, ids: &[&str], body: &Body) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct All<'a> {
        alert_ids: &'a [&'a str],
        #[serde(flatten)]
        body: &'a Body,
    }
    client.post(&query::batch_update(), &All { alert_ids: ids, body })
}

/// Whether an update was refused for the number of its alerts.
pub fn is_too_large(error: &ApiError) -> bool {
    error.code.as_deref() == Some("MaximumBatchSizeExceeded")
}

/// Fifty ids are no help in a message.
fn shortened(mut error: Box<ApiError>) -> Box<ApiError> {
    if let Some((path, _)) = error.path.split_once('?') {
        error.path = path.to_owned();
    }
    error
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::microsoft::change::{Change, Wanted};
    use crate::microsoft::client::tests::{JSON, client, token};
    use crate::microsoft::cloud::Resource;
    use crate::microsoft::stand_in::StandIn;
    use crate::microsoft::update::requests;
    use serde_json::json;

    fn steps(resource: Resource, id: &str) -> Vec<Step> {
        let wanted = Wanted { status: "resolved", comment: "done", ..Wanted::default() };
        requests(resource, id, &Change::parse(resource.what(), &wanted).unwrap(), &json!({})).unwrap()
    }

    fn body(request: &str) -> Value {
        serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    #[test]
    fn graph_requests_travel_together_and_are_answered_apart() {
        let answers = json!({"responses": [
            {"id": "1", "status": 429, "headers": {"Retry-After": "7"}, "body": {"error": {"code": "TooManyRequests", "message": "m"}}},
            {"id": "2", "status": 404, "headers": {"request-id": "r-2"}, "body": {"error": {"code": "NotFound", "message": "gone"}}},
            {"id": "0", "status": 200, "headers": {"Content-Type": "application/json"}, "body": {"id": "a"}},
        ]});
        let service = StandIn::new(vec![token("t"), (JSON, answers.to_string())]);
        let all = steps(Resource::GraphAlerts, "a");
        let path = "/v1.0/security/alerts_v2/b".to_owned();
        let calls = [Call::Get(&path), Call::Send(&all[0]), Call::Send(&all[1]), Call::Get(&path)];
        let answers = graph(&mut client(&service.url, Api::Graph), &calls).unwrap();
        assert_eq!(answers[0].as_ref().unwrap().body, b"{\"id\":\"a\"}");
        assert_eq!(answers[0].as_ref().unwrap().request_id.as_deref(), Some("r-1"), "that of the batch, where it has no own");
        let error = answers[1].as_ref().unwrap_err();
        assert_eq!(error.retry_after(), Some(std::time::Duration::from_secs(7)));
        let gone = answers[2].as_ref().unwrap_err().to_string();
        assert_eq!(
            gone,
            "Microsoft Graph: POST /v1.0/security/alerts_v2/a/comments: HTTP 404: not found: NotFound: gone (request id r-2)"
        );
        let lost = answers[3].as_ref().unwrap_err();
        assert!(!lost.is_permanent() && lost.to_string().contains("the answer to a batch is not whole"), "{lost}");
        let heard = service.heard();
        assert!(heard[1].starts_with("POST /v1.0/$batch "), "{}", heard[1]);
        let sent = body(&heard[1]);
        let headers = json!({"Accept": "application/json", "Prefer": "include-unknown-enum-members"});
        assert_eq!(sent["requests"][0], json!({"id": "0", "method": "GET", "url": "/security/alerts_v2/b", "headers": headers}));
        assert_eq!(sent["requests"][1]["body"], json!({"status": "resolved"}));
        assert_eq!(sent["requests"][1]["headers"]["Content-Type"], "application/json");
        assert_eq!((&sent["requests"][2]["method"], &sent["requests"][2]["id"]), (&json!("POST"), &json!("2")));
    }

    #[test]
    fn an_answer_that_cannot_be_told_from_another_is_none() {
        let body = |name: &str| json!({"id": name});
        let answers = json!({"responses": [
            {"id": "0", "status": 200, "body": body("a")},
            {"id": "0", "status": 404, "body": {"error": {"code": "x", "message": "y"}}},
            {"id": 1, "status": "200", "body": body("b")},
            {"id": "7", "status": 200, "body": body("foreign")},
            {"id": null, "status": 200}, "odd", {"id": "2", "status": 70_000}, {"id": "2"},
            {"id": "3", "status": 200, "body": "text"},
            {"id": "4", "status": 200, "headers": "odd", "body": body("e")},
        ]});
        let service = StandIn::new(vec![token("t"), (JSON, answers.to_string()), (JSON, "{\"responses\":{}}".to_owned())]);
        let mut client = client(&service.url, Api::Graph);
        let calls = [Call::Get("/v1.0/security/alerts_v2/x"); 6];
        let told: Vec<String> = graph(&mut client, &calls)
            .unwrap()
            .into_iter()
            .map(|answer| answer.map_or_else(|error| error.to_string(), |reply| String::from_utf8(reply.body).unwrap()))
            .collect();
        for (at, part) in [
            (0, "the answer to a batch is not whole"),
            (1, "{\"id\":\"b\"}"),
            (2, "the answer to a batch is not whole"),
            (3, "something that is not JSON answered"),
            (4, "{\"id\":\"e\"}"),
            (5, "the answer to a batch is not whole"),
        ] {
            assert!(told[at].contains(part), "{at}: {}", told[at]);
        }
        let none = graph(&mut client, &calls).unwrap();
        assert!(none.iter().all(|answer| answer.as_ref().is_err_and(|error| !error.is_permanent())));
    }

    #[test]
    fn endpoint_alerts_are_read_and_changed_by_the_dozen() {
        let page = json!({"value": [{"id": "b", "status": "New"}, {"id": "a"}]}).to_string();
        let busy = ("503 Service Unavailable\nContent-Type: application/json", "{}".to_owned());
        let service =
            StandIn::new(vec![token("t"), (JSON, page), ("200 OK", String::new()), busy, (JSON, "{\"value\":[{".to_owned())]);
        let mut client = client(&service.url, Api::Endpoint);
        let (found, _) = alerts(&mut client, &["a", "b", "c"]).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "b"]);
        let step = steps(Resource::EndpointAlerts, "a").remove(0);
        update_alerts(&mut client, &["a", "b"], &step.body).unwrap();
        let error = alerts(&mut client, &["a"]).unwrap_err();
        assert!(error.to_string().starts_with("Defender for Endpoint API: GET /api/alerts: HTTP 503"), "{error}");
        let error = alerts(&mut client, &["a"]).unwrap_err();
        let broken =
            "Defender for Endpoint API: GET /api/alerts: HTTP 200: the service failed: the answer is no list (request id r-1)";
        assert_eq!((error.to_string().as_str(), error.is_permanent()), (broken, false));
        let heard = service.heard();
        let filter = "$filter=id%20eq%20%27a%27%20or%20id%20eq%20%27b%27%20or%20id%20eq%20%27c%27&$top=3";
        assert!(heard[1].starts_with(&format!("GET /api/alerts?{filter} ")), "{}", heard[1]);
        assert!(heard[2].starts_with("POST /api/alerts/batchUpdate "), "{}", heard[2]);
        assert_eq!(body(&heard[2]), json!({"alertIds": ["a", "b"], "status": "Resolved", "comment": "done"}));
    }
}
