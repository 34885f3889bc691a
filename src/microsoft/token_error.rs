//! Why Entra ID gave no token, read from its answer: what happened, what to do, and whether waiting helps.

use std::fmt;
use std::time::Duration;

use super::answer;
use super::entra_errors::{self, Act, Meaning, WRONG_SECRET};
use super::token_answer::{Members, is_said, member, members, text};
use crate::http::HttpError;
use crate::masking::foreign_text;
use crate::time::Ticks;
use http::HeaderMap;
use serde_json::value::RawValue;

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

impl Refusal {
    /// Whether Entra ID says that the client secret is another one.
    pub(super) fn is_about_the_secret(&self) -> bool {
        self.code == Some(WRONG_SECRET)
    }

    /// The same, with a word about what seems to be stored in the secret's place.
    pub(super) fn with_mistake(mut self, mistake: Option<&str>) -> Self {
        if let Some(mistake) = mistake {
            self.meaning = format!("{}: {mistake}", self.meaning);
        }
        self
    }
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
            Self::Setup(_) => true,
            Self::NoAnswer(error) => error.needs_a_person(),
            Self::Refused(refusal) => refusal.act == Act::Person,
            // A gateway's 5xx passes; a sign-in page or a redirect stays until somebody removes it.
            Self::NotEntra { status, .. } => !matches!(status, 408 | 425 | 429 | 500..),
            // Whatever the body of a 4xx is, somebody refused.
            Self::Garbled { status, .. } => matches!(status, 400..500) && !matches!(status, 408 | 425 | 429),
        }
    }

    /// Whether there is no such host to ask.
    pub fn names_no_host(&self) -> bool {
        matches!(self, Self::NoAnswer(error) if error.names_no_host())
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
            Self::NoAnswer(error) => Some(error.remedy().unwrap_or_else(|| {
                "check the account's cloud and login_url, name resolution, firewall, proxy and, where TLS is inspected, the CA bundle"
                    .to_owned()
            })),
            Self::Refused(refusal) => refusal.remedy.clone(),
            Self::NotEntra { .. } | Self::Garbled { .. } if self.is_permanent() => Some(
                "a proxy or sign-in page stands between this machine and Entra ID, or login_url names another service: let this \
                 machine reach it directly or set the proxy"
                    .to_owned(),
            ),
            Self::NotEntra { .. } | Self::Garbled { .. } => None,
        }
    }
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
    let Some(members) = members(body) else {
        return garbled("the answer is not JSON of Entra ID's shape");
    };
    let codes = codes(&members);
    let (error, description) = said(&members);
    if error.is_none() && description.is_none() && codes.is_empty() {
        return garbled("the answer holds neither a token nor an error");
    }
    let error = foreign_text(&error.unwrap_or_else(|| "no error name".to_owned()));
    let description = description.unwrap_or_default();
    let Meaning { code, act, meaning, remedy } = entra_errors::meaning(status, &error, &codes, &description, scope);
    let plain = |name: &str| member(&members, name).map(|text| foreign_text(&text)).filter(|text| !text.is_empty());
    TokenError::Refused(Box::new(Refusal {
        status,
        code,
        error,
        meaning,
        remedy,
        trace_id: plain("trace_id"),
        correlation_id: plain("correlation_id"),
        timestamp: plain("timestamp"),
        retry_after,
        act,
    }))
}

/// OAuth's `error` and its text. What gateways and older endpoints write is an object with `code` and `message` instead.
fn said(body: &Members<'_>) -> (Option<String>, Option<String>) {
    let plain = |members: &Members<'_>, name: &str| member(members, name).filter(|text| !text.trim().is_empty());
    let inner = body.get("error").and_then(|raw| members(raw.get().as_bytes())).unwrap_or_default();
    let error = plain(body, "error").or_else(|| plain(&inner, "code"));
    // What is no text, and there all the same, is an error as well.
    let error = error.or_else(|| is_said(body, "error").then(|| "an error of another shape".to_owned()));
    let description = plain(body, "error_description").or_else(|| plain(&inner, "message")).or_else(|| plain(body, "message"));
    (error, description)
}

/// `error_codes`: a list of numbers, as it is documented, or of texts, or one number or text.
fn codes(body: &Members<'_>) -> Vec<u32> {
    let Some(raw) = body.get("error_codes") else { return Vec::new() };
    let each = serde_json::from_str::<Vec<&RawValue>>(raw.get()).unwrap_or_else(|_| vec![raw]);
    let number = |raw: &RawValue| text(raw)?.trim().trim_start_matches("AADSTS").parse().ok();
    each.into_iter().filter_map(number).collect()
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
        let table: [Row<'_>; 15] = [
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
            (400, &[], "oops", "not JSON of Entra ID's shape", true, None),
            (401, &[], "", "the answer is empty", true, None),
            (403, &[], "{}", "neither a token nor an error", true, None),
            (408, &[], "oops", "not JSON of Entra ID's shape", false, None),
            (500, &[], "oops", "not JSON of Entra ID's shape", false, None),
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

    #[test]
    fn a_wrong_secret_is_one_in_every_spelling() {
        let said = r#""error_description":"AADSTS7000215: Invalid client secret provided. Trace ID: x""#;
        for members in [
            r#""error":"invalid_client","error_codes":[7000215]"#.to_owned(),
            r#""error":"invalid_client","error_codes":["7000215"]"#.to_owned(),
            r#""error":"invalid_client","error_codes":["AADSTS7000215"]"#.to_owned(),
            r#""error":"invalid_client","error_codes":7000215"#.to_owned(),
            r#""error":"invalid_client","error_codes":"7000215""#.to_owned(),
            format!(r#""error":"invalid_client","error_codes":null,{said}"#),
            format!(r#""error":"invalid_client","error_codes":{{}},{said}"#),
            format!(r#""error":"invalid_client","error_codes":[null,-1,1e400,[]],{said}"#),
            format!(r#""error":"invalid_client",{said}"#),
            format!(r#""error":null,{said}"#),
            format!(r#""error":"invalid_client","timestamp":7,"trace_id":null,"correlation_id":{{}},{said}"#),
            format!(r#""error":"a","error":"invalid_client",{said}"#),
            r#""error":{"code":"invalid_client","message":"AADSTS7000215: Invalid client secret."}"#.to_owned(),
            r#""error_codes":[7000215]"#.to_owned(),
        ] {
            for mark in ["", "\u{feff}"] {
                let error = read(401, &[], format!("{mark}{{{members}}}").as_bytes());
                assert_eq!((error.code(), error.is_permanent()), (Some(7_000_215), true), "{members}");
                let text = error.to_string();
                assert!(
                    text.starts_with("Entra ID gave no token: the client secret is wrong (AADSTS7000215, HTTP 401"),
                    "{text}"
                );
            }
        }
        for body in [r#"{"error":["x"]}"#, r#"{"error":{"a":1}}"#, r#"{"error":true}"#, r#"{"error":7}"#] {
            assert!(read(401, &[], body.as_bytes()).is_permanent(), "{body}");
        }
    }
}
