//! A request that brought no data: what happened, to what, and what to do. The reading of an answer is pure, so that every
//! refusal can be tested without a server.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName, Method};
use serde::Deserialize;

use super::answer;
use super::cloud::Api;
use super::query::{Access, is_list, permission_for};
use super::token::TokenError;
use crate::http::HttpError;
use crate::masking::foreign_text;
use crate::retry::Throttled;
use crate::time::Ticks;

/// A request to one of the APIs that failed.
#[derive(Debug, thiserror::Error)]
pub struct ApiError {
    /// The service asked.
    pub api: Api,
    /// The method.
    pub method: Method,
    /// Path and query. They hold no secret: tokens travel in a header.
    pub path: String,
    /// The answer's status, when there was one.
    pub status: Option<u16>,
    /// Microsoft's error code, when the body holds one.
    pub code: Option<String>,
    /// Microsoft's text, on one line and cut.
    pub message: Option<String>,
    /// The id that Microsoft's support asks for.
    pub request_id: Option<String>,
    /// What kind of failure it is.
    #[source]
    pub failure: Failure,
}

/// Kinds of failure, as callers tell them apart.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No token, so nothing was asked.
    #[error(transparent)]
    Token(TokenError),
    /// 429, 503 or 509: too much was asked, or the service is busy.
    #[error("asked to wait")]
    Throttled {
        /// How long, when the service said it.
        retry_after: Option<Duration>,
    },
    /// 401, also with a fresh token: it names no permission of this API, or the tenant has no such service.
    #[error("the token was not accepted")]
    Unauthorized {
        /// The application permission that the request needs.
        permission: Option<&'static str>,
    },
    /// 403 because the app lacks the permission.
    #[error("the application permission is missing")]
    Forbidden {
        /// The application permission that the request needs.
        permission: Option<&'static str>,
    },
    /// 403 for another reason: the service or operation is switched off for the tenant.
    #[error("not allowed in this tenant")]
    Disallowed,
    /// 400 and the other 4xx: what was asked is wrong.
    #[error("the request was refused")]
    BadRequest,
    /// 404.
    #[error("not found")]
    NotFound,
    /// 408 and 5xx: the service failed.
    #[error("the service failed")]
    Server,
    /// No answer.
    #[error(transparent)]
    Unreachable(HttpError),
    /// No answer in time.
    #[error(transparent)]
    TimedOut(HttpError),
    /// An answer beyond the limit.
    #[error(transparent)]
    TooLarge(HttpError),
    /// The transport is set up wrongly.
    #[error(transparent)]
    Setup(HttpError),
    /// A web page or other text in place of JSON: somebody between us and Microsoft answered.
    #[error("{}", match title { Some(title) => format!("a page titled \"{title}\" answered"), None => "something that is not JSON answered".to_owned() })]
    NotJson {
        /// The page's title.
        title: Option<String>,
    },
    /// 200 to 299, and not the answer that was asked for: a part of it, nothing, or an error in its place.
    #[error("the answer is not whole: {why}")]
    Partial {
        /// What says so.
        why: String,
    },
    /// A redirect, which is never followed.
    #[error("a redirect to {host} was not followed")]
    Redirect {
        /// Where it pointed; the host alone.
        host: String,
    },
}

/// The request that an answer belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The service asked.
    pub api: Api,
    /// The method.
    pub method: &'a Method,
    /// Path and query.
    pub path: &'a str,
}

impl Asked<'_> {
    /// The permission that the request needs; derived from the path, so that no caller can name another one.
    fn permission(self) -> Option<&'static str> {
        let access = if self.method == Method::GET { Access::Read } else { Access::Write };
        permission_for(self.api, self.path, access)
    }

    /// An error of this request that is not about an answer.
    pub fn failed(self, failure: Failure) -> ApiError {
        ApiError {
            api: self.api,
            method: self.method.clone(),
            path: self.path.to_owned(),
            status: None,
            code: None,
            message: None,
            request_id: None,
            failure,
        }
    }

    /// An exchange that brought no answer.
    pub fn unanswered(self, error: HttpError) -> ApiError {
        self.failed(match error {
            HttpError::Unreachable { .. } | HttpError::Barred { .. } => Failure::Unreachable(error),
            HttpError::TimedOut { .. } => Failure::TimedOut(error),
            HttpError::TooLarge { .. } => Failure::TooLarge(error),
            HttpError::Setup(_) => Failure::Setup(error),
        })
    }
}

/// The error envelope of all three services: Graph's has an inner error, the Defender APIs' a `target`.
#[derive(Deserialize)]
struct Envelope {
    error: Spoken,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Spoken {
    Structured(Inner),
    /// What gateways in front of the services write.
    Text(String),
    /// Something that says nothing.
    Other(serde::de::IgnoredAny),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Inner {
    code: Option<String>,
    message: Option<String>,
    target: Option<String>,
    // Both spellings occur.
    #[serde(rename = "innerError", alias = "innererror")]
    inner: Option<Ids>,
}

#[derive(Deserialize)]
struct Ids {
    #[serde(default, rename = "request-id")]
    request_id: Option<String>,
}

/// Reads an answer. `Ok` is a success whose body is JSON, or empty where a change was asked for.
///
/// # Errors
/// Everything else, with what Microsoft said about it.
pub fn classify(asked: Asked<'_>, status: u16, headers: &HeaderMap, body: &[u8], now: Ticks) -> Result<(), Box<ApiError>> {
    let html = answer::is_html(headers, body);
    let text = answer::text_of(body);
    let (success, empty) = ((200..300).contains(&status), text.is_empty());
    let Inner { code, message, target, inner } = match serde_json::from_slice(text) {
        Ok(Envelope { error: Spoken::Structured(error) }) => error,
        Ok(Envelope { error: Spoken::Text(code) }) => Inner { code: Some(code), ..Inner::default() },
        Ok(Envelope { error: Spoken::Other(_) }) | Err(_) => Inner::default(),
    };
    let spoke = code.is_some() || message.is_some();
    let partial = if asked.method == Method::GET { answer::partial(status, headers) } else { None };
    if success && !html && !spoke && partial.is_none() && (is_json(body) || (empty && asked.method != Method::GET)) {
        return Ok(());
    }
    let not_json = || Failure::NotJson { title: answer::title(body) };
    let failure = match status {
        200..=299 if html || !(empty || is_json(body)) => not_json(),
        200..=299 if spoke => Failure::Partial { why: "it holds an error".to_owned() },
        200..=299 => Failure::Partial { why: partial.unwrap_or_else(|| nothing(body)) },
        300..=399 => Failure::Redirect { host: answer::redirect_host(headers) },
        // 509 is Graph's "bandwidth limit exceeded".
        429 | 503 | 509 => Failure::Throttled { retry_after: answer::retry_after(headers, now) },
        408 | 500.. => Failure::Server,
        // A gateway's page says nothing about permissions or ids.
        _ if html => not_json(),
        401 => Failure::Unauthorized { permission: asked.permission() },
        403 if switched_off(code.as_deref()) => Failure::Disallowed,
        403 => Failure::Forbidden { permission: asked.permission() },
        404 => Failure::NotFound,
        _ => Failure::BadRequest,
    };
    let short = |text: Option<String>| text.map(|text| foreign_text(&text)).filter(|text| !text.is_empty());
    Err(Box::new(ApiError {
        status: Some(status),
        code: short(code),
        message: short(message),
        request_id: request_id(headers).or_else(|| short(inner.and_then(|ids| ids.request_id))).or_else(|| short(target)),
        ..asked.failed(failure)
    }))
}

/// Whether a body begins as JSON does that these services send.
pub fn is_json(body: &[u8]) -> bool {
    matches!(answer::text_of(body).first(), Some(b'{' | b'['))
}

/// What is wrong with a body that holds nothing.
fn nothing(body: &[u8]) -> String {
    if body.is_empty() { "its body is empty".to_owned() } else { format!("its body begins with {} bytes of blanks", body.len()) }
}

/// The id by which the service logged the request.
pub fn request_id(headers: &HeaderMap) -> Option<String> {
    const NAMES: [HeaderName; 2] = [HeaderName::from_static("request-id"), HeaderName::from_static("x-ms-request-id")];
    NAMES.iter().find_map(|name| answer::text(headers, name)).map(foreign_text).filter(|id| !id.is_empty())
}

/// The Defender APIs' 403 codes that no permission cures.
fn switched_off(code: Option<&str>) -> bool {
    matches!(code, Some("DisabledFeature" | "DisallowedOperation"))
}

impl fmt::Display for ApiError {
    /// What happened, to what, in Microsoft's words where there are any. What to do is [`ApiError::remedy`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Failure::Token(error) = &self.failure {
            // The request was not sent; its path would only stand in front of what matters.
            return write!(f, "{error}");
        }
        write!(f, "{}: {} {}: ", self.api, self.method, self.path)?;
        let Self { status, failure, code, message, request_id, .. } = self;
        answer::describe(f, *status, failure, [code, message], request_id.as_deref())
    }
}

impl Throttled for ApiError {
    fn is_throttled(&self) -> bool {
        self.is_throttled()
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after()
    }
}

impl ApiError {
    /// How long the service asked to wait; `None` when it did not, or the failure is of another kind.
    pub fn retry_after(&self) -> Option<Duration> {
        match &self.failure {
            Failure::Throttled { retry_after } => *retry_after,
            Failure::Token(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Whether the service asked to slow down, with or without saying for how long.
    pub fn is_throttled(&self) -> bool {
        match &self.failure {
            Failure::Throttled { .. } => true,
            Failure::Token(error) => error.is_throttled(),
            _ => false,
        }
    }

    /// Whether there is no such host to ask, for a token or for data.
    pub fn names_no_host(&self) -> bool {
        match &self.failure {
            Failure::Token(error) => error.names_no_host(),
            Failure::Unreachable(error) => error.names_no_host(),
            _ => false,
        }
    }

    /// Whether asking again cannot help until a person has acted. A 404 is not: the object may be gone.
    pub fn is_permanent(&self) -> bool {
        match &self.failure {
            Failure::Token(error) => error.is_permanent(),
            Failure::Unauthorized { .. }
            | Failure::Forbidden { .. }
            | Failure::Disallowed
            | Failure::BadRequest
            | Failure::NotJson { .. }
            | Failure::Redirect { .. } => true,
            Failure::Unreachable(error) | Failure::TimedOut(error) | Failure::TooLarge(error) | Failure::Setup(error) => {
                error.needs_a_person()
            }
            // A list is always there, if the host is the right one.
            Failure::NotFound => is_list(self.api, &self.path),
            Failure::Throttled { .. } | Failure::Server | Failure::Partial { .. } => false,
        }
    }

    /// What to do about it, as one clause to put behind the message; `None` where waiting is all there is.
    pub fn remedy(&self) -> Option<String> {
        let grant = |permission: &Option<&'static str>| {
            let permission = permission.unwrap_or("the permission that this request needs");
            format!(
                "grant the app the application permission {permission} ({}, not the delegated one) in Entra ID > App registrations \
                 > API permissions and give admin consent; a new token may take some minutes to carry it",
                self.api.permission_group()
            )
        };
        Some(match &self.failure {
            Failure::Token(error) => return error.remedy(),
            Failure::Forbidden { permission } => grant(permission),
            Failure::Unauthorized { permission } => {
                format!(
                    "{}; if it is granted, check that the tenant has Defender and that the account's cloud is its own",
                    grant(permission)
                )
            }
            Failure::Disallowed => {
                "the tenant has this function switched off or not licensed: ask whoever administers Microsoft Defender".to_owned()
            }
            Failure::BadRequest if self.method == Method::GET && is_list(self.api, &self.path) => {
                "check the input's filter and page_size".to_owned()
            }
            Failure::BadRequest if self.method == Method::GET => "check the id".to_owned(),
            Failure::BadRequest => "check the values of the change".to_owned(),
            Failure::NotFound if is_list(self.api, &self.path) => {
                "the host answers and has no such list: check the account's graph_url or defender_url, and its cloud".to_owned()
            }
            Failure::NotFound => "check the id, and that it is of this tenant and of this API".to_owned(),
            Failure::NotJson { .. } | Failure::Redirect { .. } => {
                "a proxy or sign-in page stands between this machine and Microsoft, or the account's URL names another service: \
                 let this machine reach the host directly or set the proxy"
                    .to_owned()
            }
            Failure::Unreachable(error) => error.remedy().unwrap_or_else(|| {
                "check name resolution, firewall, proxy and, where TLS is inspected, ca_bundle in defender_settings.conf"
                    .to_owned()
            }),
            Failure::TooLarge(_) => "set a smaller page_size".to_owned(),
            Failure::Setup(_) => "check the proxy, the CA bundle and the account's URLs".to_owned(),
            Failure::Throttled { .. } | Failure::Server | Failure::Partial { .. } | Failure::TimedOut(_) => return None,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::microsoft::stand_in::fixture;
    use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};

    type Headers<'a> = &'a [(HeaderName, &'a str)];

    fn read(api: Api, method: &Method, path: &str, status: u16, headers: Headers<'_>, body: &[u8]) -> Result<(), Box<ApiError>> {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let now = Ticks::parse("2026-11-22T12:00:00Z").unwrap();
        classify(Asked { api, method, path }, status, &headers, body, now)
    }

    fn list(status: u16, headers: Headers<'_>, body: &[u8]) -> Result<(), Box<ApiError>> {
        read(Api::Graph, &Method::GET, "/v1.0/security/incidents?$top=50", status, headers, body)
    }

    /// The kind alone, for tables.
    fn kind(error: &ApiError) -> &'static str {
        match error.failure {
            Failure::Token(_) => "token",
            Failure::Throttled { .. } => "throttled",
            Failure::Unauthorized { .. } => "unauthorized",
            Failure::Forbidden { .. } => "forbidden",
            Failure::Disallowed => "disallowed",
            Failure::BadRequest => "bad request",
            Failure::NotFound => "not found",
            Failure::Server => "server",
            Failure::Unreachable(_) => "unreachable",
            Failure::TimedOut(_) => "timed out",
            Failure::TooLarge(_) => "too large",
            Failure::Setup(_) => "setup",
            Failure::NotJson { .. } => "not json",
            Failure::Redirect { .. } => "redirect",
            Failure::Partial { .. } => "partial",
        }
    }

    #[test]
    fn every_status_has_its_kind() {
        let html: Headers<'_> = &[(CONTENT_TYPE, "text/html; charset=utf-8")];
        // (status, headers, body, kind, permanent, wait in seconds)
        type Row<'a> = (u16, Headers<'a>, &'a str, &'a str, bool, Option<u64>);
        let table: [Row<'_>; 24] = [
            (200, &[], "", "partial", false, None),
            (200, html, "<html><title>Sign in</title>", "not json", true, None),
            (200, &[], "OK", "not json", true, None),
            (204, &[], "", "partial", false, None),
            (302, &[(LOCATION, "https://portal.example")], "", "redirect", true, None),
            (304, &[], "", "redirect", true, None),
            (400, &[], "{\"error\":{\"code\":\"BadRequest\"}}", "bad request", true, None),
            (401, &[], "", "unauthorized", true, None),
            (401, html, "<html>", "not json", true, None),
            (403, &[], "{\"error\":{\"code\":\"Authorization_RequestDenied\"}}", "forbidden", true, None),
            (403, &[], "", "forbidden", true, None),
            (403, &[], "{\"error\":{\"code\":\"DisabledFeature\"}}", "disallowed", true, None),
            (403, html, "<html><title>Blocked</title>", "not json", true, None),
            (404, &[], "{\"error\":{\"code\":\"ResourceNotFound\"}}", "not found", true, None),
            (404, html, "", "not json", true, None),
            (408, &[], "", "server", false, None),
            (409, &[], "{}", "bad request", true, None),
            (429, &[(RETRY_AFTER, "10")], "{}", "throttled", false, Some(10)),
            (429, html, "<html>", "throttled", false, None),
            (500, &[], "{\"error\":{\"code\":\"InternalServerError\"}}", "server", false, None),
            (502, html, "<html>", "server", false, None),
            (503, &[(RETRY_AFTER, "Sun, 22 Nov 2026 12:01:00 GMT")], "", "throttled", false, Some(60)),
            (503, &[], "", "throttled", false, None),
            (509, &[(RETRY_AFTER, "3")], "", "throttled", false, Some(3)),
        ];
        for (status, headers, body, expected, permanent, wait) in table {
            let error = list(status, headers, body.as_bytes()).unwrap_err();
            assert_eq!(kind(&error), expected, "{status} {body}");
            assert_eq!(error.is_permanent(), permanent, "{status} {body}");
            assert_eq!(error.retry_after(), wait.map(Duration::from_secs), "{status} {body}");
            assert_eq!(error.is_throttled(), expected == "throttled");
            assert_eq!(error.status, Some(status));
            // Whatever a person has to end comes with what to do.
            assert!(!permanent || error.remedy().is_some(), "{status} {body}");
        }
    }

    #[test]
    fn successes() {
        assert!(list(200, &[], b" \r\n{\"value\":[]}").is_ok());
        // What looks like JSON but says it is a page is none; an empty answer is one for a change alone.
        assert!(list(200, &[(CONTENT_TYPE, "text/html")], b"{}").is_err());
        for status in [200, 204] {
            assert!(read(Api::Endpoint, &Method::PATCH, "/api/alerts/x", status, &[], b"").is_ok());
        }
        assert!(read(Api::Endpoint, &Method::PATCH, "/api/alerts/x", 200, &[], b"<html>").is_err());
    }

    #[test]
    fn the_missing_permission_is_named() {
        let body = b"{\"error\":{\"code\":\"Forbidden\",\"message\":\"Missing application roles.\"}}";
        let table = [
            (Api::Graph, Method::GET, "/v1.0/security/incidents?$top=1", "SecurityIncident.Read.All (Microsoft Graph,"),
            (Api::Graph, Method::POST, "/v1.0/security/alerts_v2/a/comments", "SecurityAlert.ReadWrite.All (Microsoft Graph,"),
            (Api::Xdr, Method::PATCH, "/api/incidents/1", "Incident.ReadWrite.All (Microsoft Threat Protection,"),
            (Api::Endpoint, Method::GET, "/api/alerts?$top=1", "Alert.Read.All (WindowsDefenderATP,"),
        ];
        for (api, method, path, permission) in table {
            for status in [401, 403] {
                let error = read(api, &method, path, status, &[], body).unwrap_err();
                let remedy = error.remedy().unwrap();
                assert!(remedy.starts_with(&format!("grant the app the application permission {permission}")), "{remedy}");
            }
        }
    }

    #[test]
    fn the_samples_in_microsofts_words() {
        // (file, status, message)
        let table = [
            (
                "graph-security/error-400-incidents-top.json",
                400,
                "Microsoft Graph: GET /v1.0/security/incidents?$top=50: HTTP 400: the request was refused: BadRequest: The limit of '50' \
                 for Top query has been exceeded. The value from the incoming request is '1000'. \
                 (request id 00000000-0000-0000-0000-000000000000)",
            ),
            (
                "graph-security/error-429.json",
                429,
                "Microsoft Graph: GET /v1.0/security/incidents?$top=50: HTTP 429: asked to wait: TooManyRequests: Please retry again later. \
                 (request id 94fb3b52-452a-4535-a601-69e0a90e3aa2)",
            ),
            (
                "errors/common-errors-1.json",
                404,
                "Microsoft Graph: GET /v1.0/security/incidents?$top=50: HTTP 404: not found: ResourceNotFound: Machine 123123123 was not found \
                 (request id 43f4cb08-8fac-4b65-9db1-745c2ae65f3a)",
            ),
            (
                "errors/composed-aad-gateway-401-missing-scope.json",
                403,
                "Microsoft Graph: GET /v1.0/security/incidents?$top=50: HTTP 403: the application permission is missing: Forbidden: The \
                 application does not have any of the required application permissions (Alert.Read.All, Alert.ReadWrite.All) to access the \
                 resource. (request id 1fa66c0f-18bd-4133-b378-36d76f3a2ba0)",
            ),
        ];
        for (file, status, message) in table {
            let Some(body) = fixture(&format!("msapi/{file}")) else { return };
            assert_eq!(list(status, &[], &body).unwrap_err().to_string(), message, "{file}");
        }
        let Some(body) = fixture("msapi/errors/composed-defender-error-table.json") else { return };
        let entries: Vec<serde_json::Value> = serde_json::from_slice(&body).unwrap();
        assert!(entries.len() > 10);
        for entry in entries {
            let status = u16::try_from(entry["_http_status"].as_u64().unwrap()).unwrap();
            let body = entry["body"].to_string();
            let error = read(Api::Endpoint, &Method::GET, "/api/alerts", status, &[], body.as_bytes()).unwrap_err();
            assert_eq!(error.code.as_deref(), entry["body"]["error"]["code"].as_str(), "{body}");
            assert_eq!(error.request_id.as_deref(), entry["body"]["error"]["target"].as_str(), "{body}");
            // 404 is for a person here: these are answers to a list.
            let transient = matches!(status, 429 | 500..);
            assert_eq!(error.is_permanent(), !transient, "{body}");
        }
    }

    #[test]
    fn odd_error_bodies_are_read_as_far_as_they_go() {
        let id: Headers<'_> = &[(HeaderName::from_static("request-id"), "from-header")];
        // (headers, body, code, message, request id)
        type Row<'a> = (Headers<'a>, &'a [u8], Option<&'a str>, Option<&'a str>, Option<&'a str>);
        let table: [Row<'_>; 8] = [
            (&[], b"{\"error\":\"invalid_token\"}", Some("invalid_token"), None, None),
            (&[], b"{\"error\":{\"code\":null,\"message\":\"a\\r\\nb\\u0007\"}}", None, Some("a b"), None),
            (&[], b"{\"error\":{\"innererror\":{\"request-id\":\"i\"},\"target\":\"t\"}}", None, None, Some("i")),
            (id, b"{\"error\":{\"innerError\":{\"request-id\":\"i\"}}}", None, None, Some("from-header")),
            (&[], b"{\"error\":[1]}", None, None, None),
            (&[], b"{\"error\":{\"code\":\"x\"", None, None, None),
            (&[], b"[]", None, None, None),
            (&[], b"\xff", None, None, None),
        ];
        for (headers, body, code, message, request_id) in table {
            let error = list(400, headers, body).unwrap_err();
            assert_eq!((error.code.as_deref(), error.message.as_deref()), (code, message));
            assert_eq!(error.request_id.as_deref(), request_id);
        }
        let long = format!("{{\"error\":{{\"message\":\"{}\"}}}}", "x".repeat(10_000));
        assert!(list(400, &[], long.as_bytes()).unwrap_err().to_string().len() < 500);
    }

    #[test]
    fn a_success_that_is_no_answer_is_told_from_data() {
        let warning: Headers<'_> = &[(http::header::WARNING, "199 - \"Microsoft/Defender/504/10000\"")];
        // (status, headers, body, whether it is one for a reading, for a change)
        let table: [(u16, Headers<'_>, &str, bool, bool); 12] = [
            (200, &[], r#"{"id":"1"}"#, true, true),
            (200, &[], r#"{"id":"1","error":null}"#, true, true),
            (200, &[], r#"{"error":{"code":"Timeout","message":"x"}}"#, false, false),
            (200, &[], r#"{"id":"1","error":{"code":"Timeout"}}"#, false, false),
            (200, &[], r#"{"error":"busy"}"#, false, false),
            (200, &[], "", false, true),
            (200, warning, r#"{"id":"1"}"#, false, true),
            (204, &[], "", false, true),
            (204, &[], "{}", false, true),
            (203, &[], r#"{"id":"1"}"#, false, true),
            (206, warning, r#"{"id":"1"}"#, false, true),
            (202, &[], r#"{"status":"running"}"#, false, true),
        ];
        for (status, headers, body, reads, changes) in table {
            for (method, good) in [(Method::GET, reads), (Method::PATCH, changes)] {
                let path = "/v1.0/security/incidents/1";
                match read(Api::Graph, &method, path, status, headers, body.as_bytes()) {
                    Ok(()) => assert!(good, "{method} {status} {body}"),
                    Err(error) => {
                        assert!(!good, "{method} {status} {body}: {error}");
                        assert_eq!((kind(&error), error.is_permanent(), error.remedy()), ("partial", false, None));
                    }
                }
            }
        }
        let told = list(200, &[], br#"{"error":{"code":"Timeout","message":"The backend timed out."}}"#).unwrap_err().to_string();
        assert!(
            told.ends_with("HTTP 200: the answer is not whole: it holds an error: Timeout: The backend timed out."),
            "{told}"
        );
    }

    #[test]
    fn no_answer_keeps_its_kind() {
        let host = || "graph.microsoft.com".to_owned();
        let table = [
            (HttpError::Unreachable { host: host(), reason: "refused".to_owned() }, "unreachable", false, true),
            (HttpError::TimedOut { host: host(), limit: "connect".to_owned() }, "timed out", false, false),
            (HttpError::TooLarge { host: host(), most: 1 << 20 }, "too large", false, true),
            (HttpError::Setup("bad".to_owned()), "setup", true, true),
        ];
        for (http, expected, permanent, remedy) in table {
            let error = Asked { api: Api::Graph, method: &Method::GET, path: "/p" }.unanswered(http);
            assert_eq!((kind(&error), error.is_permanent(), error.remedy().is_some()), (expected, permanent, remedy));
            assert!(error.to_string().starts_with("Microsoft Graph: GET /p: "), "{error}");
        }
    }
}
