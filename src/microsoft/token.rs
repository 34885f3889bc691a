//! Tokens from Entra ID by OAuth 2.0 client credentials, for one app, tenant and API; kept until shortly before they
//! expire.

use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use http::HeaderMap;
use oauth2::basic::{BasicClient, BasicTokenType};
use oauth2::{AuthType, ClientId, ClientSecret, RequestTokenError, Scope, TokenResponse, TokenUrl};
use serde::Deserialize;

use super::answer;
use super::certificate::Certificate;
use super::cloud::{Api, Cloud, Hosts, check_client, check_tenant, scope};
use super::entra_errors::{self, Act, Meaning};
use crate::http::{Http, HttpError};
use crate::secret::Secret;
use crate::time::Ticks;

/// What the app proves itself with.
#[derive(Debug)]
pub enum Credential {
    /// A client secret.
    Secret(Secret),
    /// A certificate registered with the app, and its private key.
    Certificate(Box<Certificate>),
}

/// Fetches and keeps the token of one account for one API.
#[derive(Debug)]
pub struct TokenSource {
    http: Http,
    token_url: TokenUrl,
    client_id: String,
    scope: &'static str,
    credential: Credential,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    token: Secret,
    /// From here on it is no longer used.
    stale: Ticks,
}

/// Whose token, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// The tenant's cloud.
    pub cloud: Cloud,
    /// The hosts, overrides included.
    pub hosts: &'a Hosts,
    /// GUID or verified domain.
    pub tenant_id: &'a str,
    /// GUID of the app registration.
    pub client_id: &'a str,
}

/// A token answer is tiny; what lives without `expires_in` is renewed this soon.
const LIFE_UNSAID: Duration = Duration::from_secs(600);

impl TokenSource {
    /// Checks what an account says; asks nothing yet.
    ///
    /// # Errors
    /// [`TokenError::Setup`] with the sentence that names the fault.
    pub fn new(http: Http, account: Account<'_>, api: Api, credential: Credential) -> Result<Self, TokenError> {
        check_tenant(account.tenant_id).map_err(TokenError::Setup)?;
        check_client(account.client_id).map_err(TokenError::Setup)?;
        if matches!(&credential, Credential::Secret(secret) if secret.expose().is_empty()) {
            return Err(TokenError::Setup("the account has no client secret: store one".to_owned()));
        }
        let url = account.hosts.token_url(account.tenant_id);
        let token_url = TokenUrl::new(url.clone()).map_err(|e| TokenError::Setup(format!("{url}: {e}")))?;
        let client_id = account.client_id.to_owned();
        Ok(Self { http, token_url, client_id, scope: scope(account.cloud, api), credential, held: None })
    }

    /// Whether [`TokenSource::token`] would answer without asking.
    pub fn holds(&self, now: Ticks) -> bool {
        self.held.as_ref().is_some_and(|held| now < held.stale)
    }

    /// The token: the one held while it lasts, else a new one.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn token(&mut self, now: Ticks) -> Result<&Secret, TokenError> {
        let held = match self.held.take() {
            Some(held) if now < held.stale => held,
            _ => self.fetch(now)?,
        };
        Ok(&self.held.insert(held).token)
    }

    /// Drops the token, after a 401.
    pub fn forget(&mut self) {
        self.held = None;
    }

    fn fetch(&self, now: Ticks) -> Result<Held, TokenError> {
        let client = BasicClient::new(ClientId::new(self.client_id.clone())).set_token_uri(self.token_url.clone());
        // In the body, where the secret is encoded once: the Basic form encodes it twice, and not every proxy leaves it alone.
        let client = client.set_auth_type(AuthType::RequestBody);
        let client = match &self.credential {
            Credential::Secret(secret) => client.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
            Credential::Certificate(_) => client,
        };
        let mut request = client.exchange_client_credentials().add_scope(Scope::new(self.scope.to_owned()));
        if let Credential::Certificate(certificate) = &self.credential {
            let assertion = certificate.assertion(&self.client_id, self.token_url.as_str(), now)?;
            request = request
                .add_extra_param("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
                .add_extra_param("client_assertion", assertion.expose().to_owned());
        }
        // The crate's errors leave out status and headers, so the answer is kept to be read again when it was no token.
        let answered = RefCell::new(None);
        let send = |request: oauth2::HttpRequest| {
            let answer = self.http.send(request)?;
            *answered.borrow_mut() = Some(answer.clone());
            Ok::<_, HttpError>(answer)
        };
        let issued = match request.request(&send) {
            Ok(issued) => issued,
            Err(RequestTokenError::Request(error)) => return Err(TokenError::NoAnswer(error)),
            Err(_) => {
                let (head, body) = answered.into_inner().unwrap_or_default().into_parts();
                return Err(refusal(head.status.as_u16(), &head.headers, &body, self.scope, now));
            }
        };
        let token = Secret::new(issued.access_token().secret().clone());
        let fit = !token.expose().is_empty() && token.expose().bytes().all(|b| b.is_ascii_graphic());
        if !fit || *issued.token_type() != BasicTokenType::Bearer {
            return Err(TokenError::Other {
                status: 200,
                what: "the answer holds no bearer token".to_owned(),
                retry_after: None,
            });
        }
        Ok(Held { token, stale: now.plus(usable(issued.expires_in().unwrap_or(LIFE_UNSAID))) })
    }
}

/// How long a token of this life is used: up to 5 minutes before its end (Microsoft's own libraries take such a token for
/// expired), or a tenth of its life where that is less.
fn usable(life: Duration) -> Duration {
    life.saturating_sub((life / 10).min(Duration::from_secs(300)))
}

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
    /// Not Entra ID, or not in working order: a web page, an empty answer, a failed gateway.
    #[error("Entra ID: HTTP {status}: {what}")]
    Other {
        /// The answer's status.
        status: u16,
        /// What came in place of a token.
        what: String,
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
            // A gateway's 5xx passes; a sign-in page or a redirect stays until somebody removes it. An empty or cut 200 may pass.
            Self::Other { status, .. } => (300..500).contains(status),
        }
    }

    /// Whether Entra ID asked to slow down.
    pub fn is_throttled(&self) -> bool {
        match self {
            Self::Refused(refusal) => matches!(refusal.status, 429 | 503),
            Self::Other { status, .. } => matches!(status, 429 | 503),
            _ => false,
        }
    }

    /// How long Entra ID asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            Self::Other { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// What to do about it, as one clause; `None` where waiting is all there is or the message says it.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Setup(_) => None,
            Self::NoAnswer(HttpError::TimedOut { .. }) => None,
            Self::NoAnswer(_) => {
                Some("check the account's cloud and login_url, name resolution, firewall, proxy and ca_bundle".to_owned())
            }
            Self::Refused(refusal) => refusal.remedy.clone(),
            Self::Other { status, .. } if (500..600).contains(status) || *status == 429 => None,
            Self::Other { .. } => Some(
                "a proxy or sign-in page stands between this machine and Entra ID, or login_url names another service: let this \
                 machine reach it directly or set the proxy"
                    .to_owned(),
            ),
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
fn refusal(status: u16, headers: &HeaderMap, body: &[u8], scope: &str, now: Ticks) -> TokenError {
    let retry_after = answer::retry_after(headers, now);
    let other = |what: String| TokenError::Other { status, what, retry_after };
    if (300..400).contains(&status) {
        return other(format!("a redirect to {} was not followed", answer::redirect_host(headers)));
    }
    if body.trim_ascii().is_empty() {
        return other("the answer is empty".to_owned());
    }
    if answer::is_html(headers, body) {
        return other(match answer::title(body) {
            Some(title) => format!("a page titled \"{title}\" answered"),
            None => "a web page answered".to_owned(),
        });
    }
    let parsed: Body = match serde_json::from_slice(body) {
        Ok(parsed) => parsed,
        Err(_) => return other("the answer is not JSON, or not Entra ID's".to_owned()),
    };
    let Some(error) = parsed.error.as_deref().map(answer::plain) else {
        return other("the answer holds neither a token nor an error".to_owned());
    };
    let description = parsed.error_description.unwrap_or_default();
    let Meaning { code, act, meaning, remedy } = entra_errors::meaning(status, &error, &parsed.error_codes, &description, scope);
    let plain = |text: Option<String>| text.map(|text| answer::plain(&text)).filter(|text| !text.is_empty());
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
