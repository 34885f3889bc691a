//! Why Entra ID gave no token, read from its answer: what happened, what to do, and whether waiting helps.

use std::fmt;
use std::time::Duration;

use http::HeaderMap;
use serde::Deserialize;

use super::answer;
use super::entra_errors::{self, Act, Meaning};
use crate::http::HttpError;
use crate::masking::foreign_text;
use crate::time::Ticks;

/// Why there is no token. Never holds the secret, the assertion or the token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The account or its certificate is wrong; nothing was asked.
    #[error("{0}")]
    Setup(String),
    /// Entra ID did not answer.
    #[error("Entra ID: {0}")]
    NoAnswer(#[source] HttpError),
    /// Entra ID refused, or asked to come back.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// Somebody else answered: a web page or a redirect, as proxies and sign-in portals give them.
    #[error("Entra ID: HTTP {status}: {what}")]
    NotEntra {
        /// The answer's status.
        status: u16,
        /// What came in place of a token.
        what: String,
        /// How long to wait, when the answer said it.
        retry_after: Option<Duration>,
    },
    /// An answer that is neither a token nor a refusal: empty, cut off, or of another shape.
    #[error("Entra ID: HTTP {status}: {what}")]
    Garbled {
        /// The answer's status.
        status: u16,
        /// What is wrong with it.
        what: &'static str,
        /// How long to wait, when the answer said it.
        retry_after: Option<Duration>,
    },
}

/// Entra ID's own refusal.
#[derive(Debug)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The AADSTS number that the message is about; `None` when the answer held none.
    pub code: Option<u32>,
    /// OAuth's `error`.
    pub error: String,
    /// What it means, in one clause.
    pub meaning: String,
    /// What to do, in one clause; `None` where waiting is all there is.
    pub remedy: Option<String>,
    /// For Microsoft's support.
    pub trace_id: Option<String>,
    /// For Microsoft's support.
    pub correlation_id: Option<String>,
    /// When, by Entra ID's clock.
    pub timestamp: Option<String>,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    act: Act,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entra ID gave no token: {} (", self.meaning)?;
        match self.code {
            Some(code) => write!(f, "AADSTS{code}")?,
            None => write!(f, "{}", self.error)?,
        }
        write!(f, ", HTTP {}", self.status)?;
        for (name, value) in [("trace id", &self.trace_id), ("correlation id", &self.correlation_id), ("at", &self.timestamp)] {
            if let Some(value) = value {
                write!(f, ", {name} {value}")?;
            }
        }
        f.write_str(")")
    }
}

impl TokenError {
    /// Entra ID's AADSTS number.
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Refused(refusal) => refusal.code,
            _ => None,
        }
    }

    /// Whether asking again cannot help until a person has acted.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Setup(_) | Self::NoAnswer(HttpError::Setup(_)) => true,
            Self::NoAnswer(_) => false,
            Self::Refused(refusal) => refusal.act == Act::Person,
            // A gateway's 5xx passes; a sign-in page or a redirect stays until somebody removes it.
            Self::NotEntra { status, .. } => *status != 429 && *status < 500,
            Self::Garbled { .. } => false,
        }
    }

    /// Whether Entra ID asked to slow down.
    pub fn is_throttled(&self) -> bool {
        match self {
            Self::Refused(refusal) => matches!(refusal.status, 429 | 503),
            Self::NotEntra { status, .. } | Self::Garbled { status, .. } => matches!(status, 429 | 503),
            _ => false,
        }
    }

    /// How long Entra ID asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            Self::NotEntra { retry_after, .. } | Self::Garbled { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// What to do about it, as one clause; `None` where waiting is all there is or the message says it.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Setup(_) => None,
            Self::NoAnswer(HttpError::TimedOut { .. }) => None,
            Self::NoAnswer(_) => {
                Some("check the account's cloud and login_url, name resolution, firewall, proxy and, where TLS is inspected, the CA bundle".to_owned())
            }
            Self::Refused(refusal) => refusal.remedy.clone(),
            Self::NotEntra { .. } if self.is_permanent() => Some(
                "a proxy or sign-in page stands between this machine and Entra ID, or login_url names another service: let this \
                 machine reach it directly or set the proxy"
                    .to_owned(),
            ),
            Self::NotEntra { .. } | Self::Garbled { .. } => None,
        }
    }
}

/// Entra ID's error body. All members may be missing.
#[derive(Default, Deserialize)]
struct Body {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    error_description: Option<String>,
    #[serde(default)]
    error_codes: Vec<u32>,
    #[serde(default)]
    timestamp: Option<String>,
    #[serde(default)]
    trace_id: Option<String>,
    #[serde(default)]
    correlation_id: Option<String>,
}

/// Reads an answer that is no token.
pub(super) fn refusal(status: u16, headers: &HeaderMap, body: &[u8], scope: &str, now: Ticks) -> TokenError {
    let retry_after = answer::retry_after(headers, now);
    let not_entra = |what: String| TokenError::NotEntra { status, what, retry_after };
    let garbled = |what: &'static str| TokenError::Garbled { status, what, retry_after };
    if (300..400).contains(&status) {
        return not_entra(format!("a redirect to {} was not followed", answer::redirect_host(headers)));
    }
    if body.trim_ascii().is_empty() {
        return garbled("the answer is empty");
    }
    if answer::is_html(headers, body) {
        return not_entra(match answer::title(body) {
            Some(title) => format!("a page titled \"{title}\" answered"),
            None => "a web page answered".to_owned(),
        });
    }
    let Ok(parsed) = serde_json::from_slice::<Body>(body) else {
        return garbled("the answer is not JSON of Entra ID's shape");
    };
    let Some(error) = parsed.error.as_deref().map(foreign_text) else {
        return garbled("the answer holds neither a token nor an error");
    };
    let description = parsed.error_description.unwrap_or_default();
    let Meaning { code, act, meaning, remedy } = entra_errors::meaning(status, &error, &parsed.error_codes, &description, scope);
    let plain = |text: Option<String>| text.map(|text| foreign_text(&text)).filter(|text| !text.is_empty());
    TokenError::Refused(Box::new(Refusal {
        status,
        code,
        error,
        meaning,
        remedy,
        trace_id: plain(parsed.trace_id),
        correlation_id: plain(parsed.correlation_id),
        timestamp: plain(parsed.timestamp),
        retry_after,
        act,
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::microsoft::stand_in::fixture;
    use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};

    const SCOPE: &str = "https://graph.microsoft.com/.default";

    fn headers(pairs: &[(http::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    fn read(status: u16, pairs: &[(http::HeaderName, &str)], body: &[u8]) -> TokenError {
        refusal(status, &headers(pairs), body, SCOPE, Ticks::parse("2026-11-22T12:00:00Z").unwrap())
    }

    #[test]
    fn every_refusal_of_the_samples_says_what_to_do() {
        // (file, permanent, part of the message, part of the remedy; empty: none, waiting helps)
        let table = [
            ("composed-token-400-500011", true, "the service behind https://graph.microsoft.com/.default", "Defender licence"),
            ("composed-token-400-50034", true, "taken for a user", "client_id"),
            ("composed-token-400-700016", true, "no app registration with this client_id", "tenant_id and cloud"),
            ("composed-token-400-90002", true, "the tenant does not exist in this cloud", "tenant_id and cloud"),
            ("composed-token-400-900144", true, "lacks a member", "fill in client_id"),
            ("composed-token-401-7000215", true, "the client secret is wrong", "Value, not its Secret ID"),
            ("composed-token-401-7000222", true, "the client secret has expired", "create a new client secret"),
            ("composed-token-401-700024", true, "outside its time", "clock"),
            ("composed-token-401-700027", true, "not registered with the app", "upload the account's certificate"),
            ("composed-token-401-700213", true, "federated credential", "register a client secret or certificate"),
            ("composed-token-429-90055", false, "too many token requests", ""),
            ("composed-token-503-90033", false, "a passing fault", ""),
            ("token-400-70011", true, "the scope https://graph.microsoft.com/.default was not accepted", "cloud"),
            ("token-400-70011-with-error_uri", true, "was not accepted", "login_url"),
        ];
        for (file, permanent, message, remedy) in table {
            let Some(body) = fixture(&format!("msapi/entra/{file}.json")) else { return };
            let status: u16 = file.split('-').find_map(|part| part.parse().ok()).unwrap();
            let error = read(status, &[], &body);
            let text = error.to_string();
            let code = file.split('-').rev().find_map(|part| part.parse::<u32>().ok());
            assert_eq!(error.code(), code, "{file}");
            assert_eq!(error.is_permanent(), permanent, "{file}");
            assert!(text.contains(message), "{file}: {text}");
            assert!(text.contains("trace id ") && text.contains("correlation id ") && !text.contains('\n'), "{file}: {text}");
            let said = error.remedy().unwrap_or_default();
            assert!(said.contains(remedy) && said.is_empty() == remedy.is_empty(), "{file}: {said}");
        }
    }

    #[test]
    fn the_whole_message_of_a_wrong_secret() {
        let body = br#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Ensure ...",
            "error_codes":[7000215],"timestamp":"2026-11-22 12:00:00Z","trace_id":"t","correlation_id":"c"}"#;
        let error = read(401, &[], body);
        assert_eq!(
            error.to_string(),
            "Entra ID gave no token: the client secret is wrong \
             (AADSTS7000215, HTTP 401, trace id t, correlation id c, at 2026-11-22 12:00:00Z)"
        );
    }

    #[test]
    fn what_is_not_entra_id() {
        let html = [(CONTENT_TYPE, "text/html")];
        // (status, headers, body, message, permanent, wait)
        type Row<'a> = (u16, &'a [(http::HeaderName, &'a str)], &'a str, &'a str, bool, Option<u64>);
        let table: [Row<'_>; 11] = [
            (302, &[(LOCATION, "https://portal.example/?secret=1")], "", "redirect to portal.example was", true, None),
            (200, &html, "<html><title>Sign in</title>", "a page titled \"Sign in\" answered", true, None),
            (403, &html, "blocked", "a web page answered", true, None),
            (502, &html, "<html>", "a web page answered", false, None),
            (503, &[(RETRY_AFTER, "7")], "<html>", "a web page answered", false, Some(7)),
            (429, &[(RETRY_AFTER, "Sun, 22 Nov 2026 12:00:30 GMT")], "", "the answer is empty", false, Some(30)),
            (500, &[], "", "the answer is empty", false, None),
            (200, &[], "  ", "the answer is empty", false, None),
            (200, &[], "{\"token_type\":\"Bear", "not JSON", false, None),
            (200, &[], "{}", "neither a token nor an error", false, None),
            (400, &[], "oops", "not JSON of Entra ID's shape", false, None),
        ];
        for (status, pairs, body, part, permanent, wait) in table {
            let error = read(status, pairs, body.as_bytes());
            assert!(error.to_string().contains(part), "{status} {body}: {error}");
            assert!(!error.to_string().contains("secret"), "{error}");
            assert_eq!(error.is_permanent(), permanent, "{status} {body}");
            assert_eq!(error.retry_after(), wait.map(Duration::from_secs), "{status} {body}");
            assert_eq!(error.is_throttled(), matches!(status, 429 | 503));
        }
    }
}
