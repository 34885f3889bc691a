//! One request to one of the APIs: token, headers, and an answer that is either JSON or an [`ApiError`].
//!
//! It renews the token when it is due and once when the service stops accepting it; all other repeating and all waiting is
//! the caller's.

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method};
use serde::Serialize;

use super::answer;
use super::api_error::{ApiError, Asked, Failure, classify, request_id};
use super::cloud::{Api, Hosts};
use super::guid;
use super::token::TokenSource;
use crate::http::{Http, HttpError, Request, Response};
use crate::planted::{Planted, planted};
use crate::secret::Secret;
use crate::time::Ticks;

/// Graph and the Defender APIs log a request under the id that its sender chose.
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// A successful answer.
#[derive(Debug)]
pub struct Reply {
    /// JSON; empty where a change was answered without content.
    pub body: Vec<u8>,
    /// The service's clock when it answered; `None` when it did not say.
    pub service_time: Option<Ticks>,
    /// The id by which the service logged the request.
    pub request_id: Option<String>,
    /// 200 to 299.
    pub status: u16,
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

    /// Reads. The path starts with `/` and holds its query, as [`super::query`] writes it.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub fn get(&mut self, path_and_query: &str) -> Result<Reply, Box<ApiError>> {
        self.exchange(&Method::GET, path_and_query, Vec::new())
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
        let held = self.tokens.holds(Ticks::now());
        let mut answer = self.send(method, path, body.clone())?;
        if answer.status() == http::StatusCode::UNAUTHORIZED && held && !planted(Planted::NoRenewal) {
            // The token may have been withdrawn before its time; one that was fetched for this very request was not.
            // Nothing was done by a request that was not let in, so a change may be sent again too.
            self.tokens.forget();
            answer = self.send(method, path, body)?;
        }
        if answer.status() == http::StatusCode::UNAUTHORIZED {
            self.tokens.forget();
        }
        let (head, body) = answer.into_parts();
        classify(self.asked(method, path), head.status.as_u16(), &head.headers, &body, Ticks::now())?;
        Ok(Reply {
            body,
            service_time: answer::date(&head.headers),
            request_id: request_id(&head.headers),
            status: head.status.as_u16(),
        })
    }

    fn send(&mut self, method: &Method, path: &str, body: Vec<u8>) -> Result<Response, Box<ApiError>> {
        let (url, api) = (format!("{}{path}", self.base), self.api);
        let asked = Asked { api, method, path };
        let token = self.tokens.token(Ticks::now()).map_err(|e| Box::new(asked.failed(Failure::Token(e))))?;
        let request = request(api, method, &url, token, body).map_err(|e| Box::new(asked.unanswered(HttpError::Setup(e))))?;
        self.http.send(request).map_err(|e| Box::new(asked.unanswered(e)))
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
