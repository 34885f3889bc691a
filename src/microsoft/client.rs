//! One request to one of the APIs: token, headers, and an answer that is either JSON or an [`ApiError`].
//!
//! It renews the token when it is due and once when the service stops accepting it; all other repeating and all waiting is
//! the caller's.

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method};
use serde::Serialize;

use super::answer;
use super::api_error::{ApiError, Asked, Failure, classify, is_json, request_id};
use super::claims::{self, Roles};
use super::cloud::{Api, Hosts};
use super::guid;
use super::page::Source;
use super::token::{TokenError, TokenSource};
use crate::http::{Body, Http, HttpError, Reading, Request};
use crate::limits;
use crate::planted::{Planted, planted};
use crate::secret::Secret;
use crate::time::Ticks;

/// Graph and the Defender APIs log a request under the id that its sender chose.
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// A successful answer, its body read already unless the type says otherwise.
#[derive(Debug)]
pub struct Reply<B = Vec<u8>> {
    /// JSON; empty where a change was answered without content.
    pub body: B,
    /// The service's clock when it answered; `None` when it did not say.
    pub service_time: Option<Ticks>,
    /// The id by which the service logged the request: its own where it tells one, otherwise the one sent with it.
    pub request_id: Option<String>,
    /// 200 to 299.
    pub status: u16,
    /// What says that the body, though it is data, is not all of it. Only an answer that is read while it comes in says so
    /// here; any other is an [`ApiError`] then.
    pub partial: Option<String>,
}

/// The body of a successful answer, as it comes in.
#[derive(Debug)]
pub struct Incoming {
    /// What was read of it to see that it is JSON, and how much of that was given out.
    begun: Vec<u8>,
    given: usize,
    rest: Body,
    api: Api,
    path: String,
}

impl Incoming {
    /// A body that comes from elsewhere than the network.
    #[cfg(test)]
    pub(crate) fn stand_in(begun: Vec<u8>) -> Self {
        Self { begun, given: 0, rest: Body::stand_in(std::io::empty()), api: Api::Graph, path: String::new() }
    }

    /// Reads the rest of it.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub fn read_whole(self) -> Result<Vec<u8>, Box<ApiError>> {
        let Self { begun: mut bytes, given, rest, api, path } = self;
        bytes.drain(..given);
        let rest = rest.read_whole(limits::HELD_ROW).map_err(|e| unanswered(api, &path, e))?;
        bytes.extend_from_slice(&rest);
        Ok(unmarked(bytes))
    }
}

/// A body without what stands in front of its text.
fn unmarked(mut body: Vec<u8>) -> Vec<u8> {
    body.drain(..body.len() - answer::text_of(&body).len());
    body
}

impl Source for Incoming {
    type Error = Box<ApiError>;

    fn read(&mut self, into: &mut [u8]) -> Result<usize, Self::Error> {
        let mut begun = &self.begun[self.given..];
        if begun.is_empty() {
            return self.rest.read(into).map_err(|e| unanswered(self.api, &self.path, e));
        }
        let Ok(read) = begun.read(into);
        self.given += read;
        Ok(read)
    }
}

/// A list that broke off.
fn unanswered(api: Api, path: &str, error: HttpError) -> Box<ApiError> {
    Box::new(Asked { api, method: &Method::GET, path }.unanswered(error))
}

/// A client of one API with the account's token for it.
#[derive(Debug)]
pub struct Client {
    http: Http,
    tokens: TokenSource,
    base: String,
    api: Api,
}

impl Client {
    /// Asks nothing yet.
    pub fn new(http: Http, tokens: TokenSource, hosts: &Hosts, api: Api) -> Self {
        Self { http, tokens, base: hosts.base(api).to_owned(), api }
    }

    /// The API it asks.
    pub fn api(&self) -> Api {
        self.api
    }

    /// The application permissions that the token carries, as far as it shows them.
    ///
    /// # Errors
    /// See [`TokenError`]: there is no token.
    pub fn roles(&mut self) -> Result<Roles, TokenError> {
        self.tokens.token(Ticks::now()).map(claims::roles)
    }

    /// Reads. The path starts with `/` and holds its query, as [`super::query`] writes it.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub fn get(&mut self, path_and_query: &str) -> Result<Reply, Box<ApiError>> {
        self.exchange(&Method::GET, path_and_query, Vec::new())
    }

    /// Reads, as [`Client::get`] does, but hands out the body while it comes in.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub fn open(&mut self, path_and_query: &str) -> Result<Reply<Incoming>, Box<ApiError>> {
        let (answer, chosen) = self.ask(&Method::GET, path_and_query, Vec::new(), Reading::Piecewise)?;
        let (head, mut body) = answer.into_parts();
        let asked = self.asked(&Method::GET, path_and_query);
        let failed = |e| Box::new(asked.unanswered(e));
        // What is no data is read as far as it may say why; of data, enough to see that it is JSON.
        let mut begun = Vec::new();
        while (begun.len() as u64) < limits::ERROR && !(head.status.is_success() && is_json(&begun)) {
            let mut piece = [0; 4 << 10];
            match body.read(&mut piece).map_err(failed)? {
                0 => break,
                read => begun.extend_from_slice(&piece[..read]),
            }
        }
        let partial = answer::partial(head.status.as_u16(), &head.headers);
        // Its rows are worth having, whatever is missing beside them; what else the body holds is seen when it is read.
        let has_data = head.status.is_success() && is_json(&begun) && !answer::is_html(&head.headers, &begun);
        if !has_data {
            classify(asked, head.status.as_u16(), &head.headers, &begun, Ticks::now())?;
        }
        let (api, path) = (self.api, path_and_query.to_owned());
        Ok(Reply { partial, ..reply(&head, chosen, Incoming { begun, given: 0, rest: body, api, path }) })
    }

    /// Changes an object.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub fn patch(&mut self, path: &str, json: &impl Serialize) -> Result<Reply, Box<ApiError>> {
        let body = self.body(&Method::PATCH, path, json)?;
        self.exchange(&Method::PATCH, path, body)
    }

    /// Adds to an object.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub fn post(&mut self, path: &str, json: &impl Serialize) -> Result<Reply, Box<ApiError>> {
        let body = self.body(&Method::POST, path, json)?;
        self.exchange(&Method::POST, path, body)
    }

    fn asked<'a>(&self, method: &'a Method, path: &'a str) -> Asked<'a> {
        Asked { api: self.api, method, path }
    }

    fn body(&self, method: &Method, path: &str, json: &impl Serialize) -> Result<Vec<u8>, Box<ApiError>> {
        serde_json::to_vec(json).map_err(|e| {
            Box::new(self.asked(method, path).unanswered(HttpError::Setup(format!("the body cannot be written: {e}"))))
        })
    }

    fn exchange(&mut self, method: &Method, path: &str, body: Vec<u8>) -> Result<Reply, Box<ApiError>> {
        let (answer, chosen) = self.ask(method, path, body, Reading::AtOnce)?;
        let (head, body) = answer.into_parts();
        let asked = self.asked(method, path);
        let body = unmarked(body.read_answer(head.status, limits::OBJECT).map_err(|e| Box::new(asked.unanswered(e)))?);
        classify(asked, head.status.as_u16(), &head.headers, &body, Ticks::now())?;
        // Callers read it into a tree.
        limits::check_tree(&body).map_err(|reason| {
            let message = Some(format!("the answer cannot be read: {reason}"));
            Box::new(ApiError { status: Some(head.status.as_u16()), message, ..asked.failed(Failure::Server) })
        })?;
        Ok(reply(&head, chosen, body))
    }

    /// Sends a request, and once more where the token was withdrawn.
    fn ask(&mut self, method: &Method, path: &str, body: Vec<u8>, reading: Reading) -> Result<Answered, Box<ApiError>> {
        let held = self.tokens.holds(Ticks::now());
        let mut answered = self.send(method, path, body.clone(), reading)?;
        if answered.0.status() == http::StatusCode::UNAUTHORIZED && held && !planted(Planted::NoRenewal) {
            // The token may have been withdrawn before its time; one that was fetched for this very request was not.
            // Nothing was done by a request that was not let in, so a change may be sent again too.
            self.tokens.forget();
            answered = self.send(method, path, body, reading)?;
        }
        if answered.0.status() == http::StatusCode::UNAUTHORIZED {
            self.tokens.forget();
        }
        Ok(answered)
    }

    /// The answer, and the id that the request was given here.
    fn send(&mut self, method: &Method, path: &str, body: Vec<u8>, reading: Reading) -> Result<Answered, Box<ApiError>> {
        let (url, api) = (format!("{}{path}", self.base), self.api);
        let asked = Asked { api, method, path };
        if !path.starts_with('/') {
            // Without the slash a path could lengthen the host's name, and the token would travel there.
            return Err(Box::new(asked.unanswered(HttpError::Setup(format!("`{path}` is not a path")))));
        }
        let token = self.tokens.token(Ticks::now()).map_err(|e| Box::new(asked.failed(Failure::Token(e))))?;
        let request = request(api, method, &url, token, body).map_err(|e| Box::new(asked.unanswered(HttpError::Setup(e))))?;
        let chosen = request.headers().get(&CLIENT_REQUEST_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
        let answer = self.http.open(request, reading).map_err(|e| Box::new(asked.unanswered(e)))?;
        Ok((answer, chosen))
    }
}

/// An answer whose body is not read yet, and the id that its request was given here.
type Answered = (http::Response<Body>, Option<String>);

fn reply<B>(head: &http::response::Parts, chosen: Option<String>, body: B) -> Reply<B> {
    Reply {
        body,
        service_time: answer::date(&head.headers),
        request_id: request_id(&head.headers).or(chosen),
        status: head.status.as_u16(),
        partial: None,
    }
}

/// Puts a request together; pure but for its random id.
fn request(api: Api, method: &Method, url: &str, token: &Secret, body: Vec<u8>) -> Result<Request, String> {
    let mut bearer =
        HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(|_| "the token is no header text".to_owned())?;
    bearer.set_sensitive(true);
    let mut request = http::Request::builder().method(method.clone()).uri(url).body(body).map_err(|e| format!("{url}: {e}"))?;
    let has_body = !request.body().is_empty();
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, bearer);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if has_body {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if api == Api::Graph {
        // Otherwise sources and states newer than Graph's first list come as `unknownFutureValue`.
        headers.insert(PREFER, HeaderValue::from_static("include-unknown-enum-members"));
    }
    if let Some(id) = guid::random().ok().and_then(|id| HeaderValue::from_str(&id).ok()) {
        headers.insert(CLIENT_REQUEST_ID, id);
    }
    Ok(request)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use crate::microsoft::cloud::{Cloud, Overrides};
    use crate::microsoft::stand_in::{StandIn, http};
    use crate::microsoft::token::{Account, Credential};

    pub(in crate::microsoft) const JSON: &str =
        "200 OK\nContent-Type: application/json\nDate: Sun, 22 Nov 2026 12:00:00 GMT\nrequest-id: r-1";
    const REFUSED: &str = "401 Unauthorized\nContent-Type: application/json";

    pub(in crate::microsoft) fn token(name: &str) -> (&'static str, String) {
        (JSON, format!(r#"{{"token_type":"Bearer","expires_in":3599,"access_token":"{name}"}}"#))
    }

    /// Entra ID and all APIs at one stand-in.
    pub(in crate::microsoft) fn client(url: &str, api: Api) -> Client {
        let overrides = Overrides { login_url: Some(url), graph_url: Some(url), defender_url: Some(url) };
        let hosts = Hosts::new(Cloud::Commercial, overrides).unwrap();
        let client_id = "11111111-1111-1111-1111-111111111111";
        let account = Account { cloud: Cloud::Commercial, hosts: &hosts, tenant_id: "contoso.example", client_id };
        let tokens = TokenSource::new(http(), account, api, Credential::Secret(Secret::new("s3cr3t"))).unwrap();
        Client::new(http(), tokens, &hosts, api)
    }

    #[test]
    fn a_request_carries_what_each_api_wants() {
        for (api, prefers) in [(Api::Graph, true), (Api::Xdr, false), (Api::Endpoint, false)] {
            let service = StandIn::new(vec![token("t1"), (JSON, "{\"value\":[]}".to_owned()), (JSON, "{}".to_owned())]);
            let mut client = client(&service.url, api);
            let reply = client.get("/v1.0/security/incidents?$top=1&$filter=a%20b").unwrap();
            assert_eq!(reply.body, b"{\"value\":[]}");
            assert_eq!(reply.service_time, Ticks::parse("2026-11-22T12:00:00Z"));
            assert_eq!((reply.request_id.as_deref(), reply.status), (Some("r-1"), 200));
            client.patch("/x/1", &serde_json::json!({"status": "resolved"})).unwrap();
            let heard = service.heard();
            assert!(heard[1].starts_with("GET /v1.0/security/incidents?$top=1&$filter=a%20b HTTP/1.1\r\n"), "{}", heard[1]);
            let head = heard[1].to_ascii_lowercase();
            assert!(head.contains("authorization: bearer t1\r\n") && head.contains("accept: application/json\r\n"), "{head}");
            assert_eq!(head.contains("prefer: include-unknown-enum-members\r\n"), prefers, "{head}");
            assert!(head.contains("client-request-id: ") && !head.contains("content-type"), "{head}");
            assert!(
                heard[2].starts_with("PATCH /x/1 ") && heard[2].ends_with("\r\n\r\n{\"status\":\"resolved\"}"),
                "{}",
                heard[2]
            );
            assert!(heard[2].to_ascii_lowercase().contains("content-type: application/json\r\n"));
        }
    }

    #[test]
    fn a_token_refused_in_the_middle_is_renewed_once() {
        let ok = || (JSON, "{\"value\":[]}".to_owned());
        let refused = || (REFUSED, "{}".to_owned());
        // The first request's token is good; the second finds it withdrawn, the third finds its successor withdrawn for good.
        let answers = vec![token("t1"), ok(), refused(), token("t2"), ok(), refused(), token("t3"), refused()];
        let service = StandIn::new(answers);
        let mut client = client(&service.url, Api::Endpoint);
        client.get("/api/alerts").unwrap();
        client.get("/api/alerts").unwrap();
        let error = client.get("/api/alerts").unwrap_err();
        assert!(matches!(error.failure, Failure::Unauthorized { permission: Some("Alert.Read.All") }), "{error:?}");
        assert!(error.is_permanent());
        let bearers: Vec<String> = service
            .heard()
            .iter()
            .filter_map(|request| Some(request.split_once("uthorization: Bearer ")?.1.lines().next()?.to_owned()))
            .collect();
        assert_eq!(bearers, ["t1", "t1", "t2", "t2", "t3"]);
    }

    #[test]
    fn a_fresh_token_that_is_refused_is_not_fetched_again() {
        let service = StandIn::new(vec![token("t1"), (REFUSED, String::new())]);
        let error = client(&service.url, Api::Graph).get("/v1.0/security/incidents").unwrap_err();
        assert!(matches!(error.failure, Failure::Unauthorized { permission: Some("SecurityIncident.Read.All") }), "{error:?}");
        assert_eq!(service.heard().len(), 2);
    }

    #[test]
    fn a_path_cannot_change_the_host() {
        let mut client = client("http://127.0.0.1:9", Api::Graph);
        for path in ["", ".evil.example/x", "@evil.example/x", "https://evil.example"] {
            assert!(matches!(client.get(path).unwrap_err().failure, Failure::Setup(_)), "{path}");
        }
    }

    #[test]
    fn no_token_no_request() {
        let refusal = r#"{"error":"invalid_client","error_description":"AADSTS7000222: x","error_codes":[7000222]}"#;
        let service = StandIn::new(vec![("401 Unauthorized\nContent-Type: application/json", refusal.to_owned())]);
        let error = client(&service.url, Api::Graph).get("/v1.0/security/alerts_v2").unwrap_err();
        assert!(error.to_string().contains("the client secret has expired (AADSTS7000222, HTTP 401)"), "{error}");
        assert!(error.is_permanent() && error.remedy().is_some());
        assert!(!format!("{error:?}").contains("s3cr3t"));
        assert_eq!(service.heard().len(), 1);
    }

    #[test]
    fn redirects_and_cut_connections() {
        let redirect = "307 Temporary Redirect\nLocation: https://evil.example/v1.0?x=1";
        let service = StandIn::new(vec![token("t1"), (redirect, String::new())]);
        let mut client = client(&service.url, Api::Graph);
        let error = client.get("/v1.0/security/incidents").unwrap_err();
        assert!(error.to_string().ends_with("HTTP 307: a redirect to evil.example was not followed"), "{error}");
        service.heard();
        // Nobody listens any more.
        let error = client.get("/v1.0/security/incidents").unwrap_err();
        assert!(matches!(error.failure, Failure::Unreachable(_)) && !error.is_permanent(), "{error:?}");
    }
}
