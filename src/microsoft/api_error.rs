//! A request that brought no data: what happened, to what, and what to do. The reading of an answer is pure, so that every
//! refusal can be tested without a server.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName, Method};
use serde::Deserialize;

use super::answer;
use super::cloud::Api;
use super::query::{Access, permission_for};
use super::token::TokenError;
use crate::http::HttpError;
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
            HttpError::Unreachable { .. } => Failure::Unreachable(error),
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
    let json = matches!(body.trim_ascii_start().first(), Some(b'{' | b'['));
    if (200..300).contains(&status) && !html && (json || (body.trim_ascii().is_empty() && asked.method != Method::GET)) {
        return Ok(());
    }
    let not_json = || Failure::NotJson { title: answer::title(body) };
    let Inner { code, message, target, inner } = match serde_json::from_slice(body) {
        Ok(Envelope { error: Spoken::Structured(error) }) if status >= 400 => error,
        Ok(Envelope { error: Spoken::Text(code) }) if status >= 400 => Inner { code: Some(code), ..Inner::default() },
        _ => Inner::default(),
    };
    let failure = match status {
        200..=299 => not_json(),
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
    let short = |text: Option<String>| text.map(|text| answer::plain(&text)).filter(|text| !text.is_empty());
    Err(Box::new(ApiError {
        status: Some(status),
        code: short(code),
        message: short(message),
        request_id: request_id(headers).or_else(|| short(inner.and_then(|ids| ids.request_id))).or_else(|| short(target)),
        ..asked.failed(failure)
    }))
}

/// The id by which the service logged the request.
pub fn request_id(headers: &HeaderMap) -> Option<String> {
    const NAMES: [HeaderName; 2] = [HeaderName::from_static("request-id"), HeaderName::from_static("x-ms-request-id")];
    NAMES.iter().find_map(|name| answer::text(headers, name)).map(answer::plain).filter(|id| !id.is_empty())
}

/// The Defender APIs' 403 codes that no permission cures.
fn switched_off(code: Option<&str>) -> bool {
    matches!(code, Some("DisabledFeature" | "DisallowedOperation"))
}

impl fmt::Display for ApiError {
    /// What happened, to what, in Microsoft's words where there are any. What to do is [`ApiError::remedy`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}: ", self.api, self.method, self.path)?;
        if let Some(status) = self.status {
            write!(f, "HTTP {status}: ")?;
        }
        write!(f, "{}", self.failure)?;
        match (&self.code, &self.message) {
            (Some(code), Some(message)) => write!(f, ": {code}: {message}")?,
            (Some(text), None) | (None, Some(text)) => write!(f, ": {text}")?,
            (None, None) => {}
        }
        if let Some(id) = &self.request_id {
            write!(f, " (request id {id})")?;
        }
        Ok(())
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

    /// Whether asking again cannot help until a person has acted. A 404 is not: the object may be gone.
    pub fn is_permanent(&self) -> bool {
        match &self.failure {
            Failure::Token(error) => error.is_permanent(),
            Failure::Unauthorized { .. }
            | Failure::Forbidden { .. }
            | Failure::Disallowed
            | Failure::BadRequest
            | Failure::NotJson { .. }
            | Failure::Redirect { .. }
            | Failure::Setup(_) => true,
            Failure::Throttled { .. }
            | Failure::NotFound
            | Failure::Server
            | Failure::Unreachable(_)
            | Failure::TimedOut(_)
            | Failure::TooLarge(_) => false,
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
            Failure::BadRequest if self.method == Method::GET => "check the input's filter and page_size".to_owned(),
            Failure::BadRequest => "check the values of the change".to_owned(),
            Failure::NotFound => "check the id, and that it is of this tenant and of this API".to_owned(),
            Failure::NotJson { .. } | Failure::Redirect { .. } => {
                "a proxy or sign-in page stands between this machine and Microsoft, or the account's URL names another service: \
                 let this machine reach the host directly or set the proxy"
                    .to_owned()
            }
            Failure::Unreachable(_) => {
                "check name resolution, firewall, proxy and, where TLS is inspected, ca_bundle in defender_settings.conf"
                    .to_owned()
            }
            Failure::TooLarge(_) => "set a smaller page_size".to_owned(),
            Failure::Setup(_) => "check the proxy, the CA bundle and the account's URLs".to_owned(),
            Failure::Throttled { .. } | Failure::Server | Failure::TimedOut(_) => return None,
        })
    }
}
