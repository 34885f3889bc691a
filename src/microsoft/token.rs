//! Tokens from Entra ID by OAuth 2.0 client credentials, for one app, tenant and API; kept until shortly before they
//! expire.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use oauth2::basic::BasicClient;
use oauth2::{AuthType, ClientId, ClientSecret, RequestTokenError, Scope, TokenUrl};

use super::certificate::Certificate;
use super::cloud::{Audience, Cloud, Hosts, check_client, check_tenant};
use super::token_answer::{self, Issued};
pub use super::token_error::{Refusal, TokenError};
use crate::http::{Http, HttpError};
use crate::limits;
use crate::pem::is_invisible;
use crate::secret::Secret;
use crate::time::Ticks;

/// What the app proves itself with.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A client secret.
    Secret(Secret),
    /// A certificate registered with the app, and its private key.
    Certificate(Arc<Certificate>),
}

/// Fetches and keeps the token of one account for one service.
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

impl TokenSource {
    /// Checks what an account says; asks nothing yet.
    ///
    /// # Errors
    /// [`TokenError::Setup`] with the sentence that names the fault.
    pub fn new(
        http: Http,
        account: Account<'_>,
        audience: impl Into<Audience>,
        credential: Credential,
    ) -> Result<Self, TokenError> {
        check_tenant(account.tenant_id).map_err(TokenError::Setup)?;
        check_client(account.client_id).map_err(TokenError::Setup)?;
        if matches!(&credential, Credential::Secret(secret) if secret.expose().is_empty()) {
            return Err(TokenError::Setup("the account has no client secret: store one".to_owned()));
        }
        let url = account.hosts.token_url(account.tenant_id);
        let token_url = TokenUrl::new(url.clone()).map_err(|e| TokenError::Setup(format!("{url}: {e}")))?;
        let (client_id, scope) = (account.client_id.to_owned(), audience.into().scope(account.cloud));
        Ok(Self { http, token_url, client_id, scope, credential, held: None })
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
        // The crate takes numbers as numbers alone, and its errors leave out status and headers: the answer is read here.
        let answered = RefCell::new(None);
        let send = |request: oauth2::HttpRequest| {
            let answer = self.http.send(request, limits::TOKEN)?;
            *answered.borrow_mut() = Some(answer.clone());
            Ok::<_, HttpError>(answer)
        };
        if let Err(RequestTokenError::Request(error)) = request.request(&send) {
            return Err(TokenError::NoAnswer(error));
        }
        let (head, body) = answered.into_inner().unwrap_or_default().into_parts();
        let issued = token_answer::read(head.status.as_u16(), &head.headers, &body, self.scope, now);
        let Issued { token, life } = issued.map_err(|error| self.with_mistake(error))?;
        Ok(Held { token, stale: now.plus(usable(life)) })
    }

    /// A refusal of the secret, with a word about what seems to be stored in its place.
    fn with_mistake(&self, error: TokenError) -> TokenError {
        match (error, &self.credential) {
            (TokenError::Refused(refusal), Credential::Secret(secret)) if refusal.is_about_the_secret() => {
                let mistake = mistaken_secret(secret.expose(), &self.client_id, self.token_url.as_str());
                TokenError::Refused(Box::new(refusal.with_mistake(mistake)))
            }
            (error, _) => error,
        }
    }
}

/// What a text seems to be that Entra ID takes for no secret. Secrets that Entra ID makes consist of letters, digits and `~._-`,
/// and are no GUIDs.
fn mistaken_secret(secret: &str, client_id: &str, token_url: &str) -> Option<&'static str> {
    let bytes = secret.as_bytes();
    let is_guid = secret.len() == 36
        && bytes.iter().enumerate().all(|(at, b)| if [8, 13, 18, 23].contains(&at) { *b == b'-' } else { b.is_ascii_hexdigit() });
    let escape = |part: &[u8]| part[0] == b'%' && part[1..].iter().all(u8::is_ascii_hexdigit);
    Some(match secret {
        _ if secret.eq_ignore_ascii_case(client_id) => "the app's client_id is stored in its place",
        _ if is_guid && token_url.to_ascii_lowercase().contains(&secret.to_ascii_lowercase()) => {
            "the tenant_id is stored in its place"
        }
        _ if is_guid => "a GUID is stored in its place, which is the secret's ID and not its Value",
        _ if secret.contains("***") || secret.contains('\u{2022}') || secret.ends_with("...") => {
            "what is stored is the shortened form that the portal shows later"
        }
        _ if secret.contains("-----BEGIN") => "a PEM text is stored in its place",
        _ if secret.contains(';') && secret.contains('=') => "a connection string is stored in its place",
        _ if secret.chars().any(|c| c.is_whitespace() || c.is_control() || is_invisible(c)) => {
            "what is stored has a blank, a line break or an invisible character within"
        }
        _ if bytes.windows(3).any(escape) => "what is stored looks URL-encoded",
        _ => return None,
    })
}

/// How long a token of this life is used: up to 5 minutes before its end (Microsoft's own libraries take such a token for
/// expired), or a tenth of its life where that is less.
fn usable(life: Duration) -> Duration {
    life.saturating_sub((life / 10).min(Duration::from_secs(300)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::microsoft::cloud::Api;
    use crate::microsoft::stand_in::{StandIn, http};

    const TENANT: &str = "22222222-2222-2222-2222-222222222222";
    const CLIENT: &str = "11111111-1111-1111-1111-111111111111";

    fn source(url: &str, credential: Credential) -> TokenSource {
        let hosts = Hosts { login: url.to_owned(), ..Hosts::of(Cloud::Commercial) };
        let account = Account { cloud: Cloud::GccHigh, hosts: &hosts, tenant_id: TENANT, client_id: CLIENT };
        TokenSource::new(http(), account, Api::Graph, credential).unwrap()
    }

    fn secret() -> Credential {
        Credential::Secret(Secret::new("s3cr3t&=+ \u{fc}"))
    }

    const ISSUED: &str = r#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"ey.one"}"#;
    const JSON: &str = "200 OK\nContent-Type: application/json; charset=utf-8";

    #[test]
    fn the_request_is_the_documented_form_and_the_token_is_kept() {
        let entra = StandIn::new(vec![(JSON, ISSUED.to_owned()), (JSON, ISSUED.replace("one", "two"))]);
        let mut source = source(&entra.url, secret());
        let now = Ticks::parse("2026-11-22T12:00:00Z").unwrap();
        assert!(!source.holds(now));
        assert_eq!(source.token(now).unwrap().expose(), "ey.one");
        // 3599 s: used for 3299, renewed after.
        let later = now.plus(Duration::from_secs(3298));
        assert!(source.holds(later));
        assert_eq!(source.token(later).unwrap().expose(), "ey.one");
        assert_eq!(source.token(now.plus(Duration::from_secs(3299))).unwrap().expose(), "ey.two");
        source.forget();
        assert!(!source.holds(now));
        let heard = entra.heard();
        let (head, form) = heard[0].split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("POST /{TENANT}/oauth2/v2.0/token HTTP/1.1\r\n")), "{head}");
        let head = head.to_ascii_lowercase();
        assert!(head.contains("content-type: application/x-www-form-urlencoded"), "{head}");
        assert!(!head.contains("authorization"), "{head}");
        let mut fields: Vec<&str> = form.split('&').collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                format!("client_id={CLIENT}").as_str(),
                "client_secret=s3cr3t%26%3D%2B+%C3%BC",
                "grant_type=client_credentials",
                "scope=https%3A%2F%2Fgraph.microsoft.us%2F.default",
            ]
        );
    }

    #[test]
    fn a_certificate_takes_the_secrets_place() {
        let entra = StandIn::new(vec![(JSON, ISSUED.to_owned())]);
        let certificate = crate::microsoft::certificate::tests::pair();
        let mut source = source(&entra.url, Credential::Certificate(Arc::new(certificate)));
        source.token(Ticks::now()).unwrap();
        let heard = entra.heard().remove(0);
        let form = heard.split_once("\r\n\r\n").unwrap().1;
        assert!(
            form.contains("client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"),
            "{form}"
        );
        assert!(form.contains("client_assertion=ey") && !form.contains("client_secret"), "{form}");
    }

    #[test]
    fn tokens_are_renewed_before_they_expire() {
        for (life, used) in [(3599, 3299), (86_400, 86_100), (60, 54), (10, 9), (0, 0)] {
            assert_eq!(usable(Duration::from_secs(life)), Duration::from_secs(used));
        }
    }

    #[test]
    fn an_account_is_checked_before_anything_is_asked() {
        let hosts = Hosts::of(Cloud::Commercial);
        let account = Account { cloud: Cloud::Commercial, hosts: &hosts, tenant_id: TENANT, client_id: CLIENT };
        for (account, credential, part) in [
            (Account { tenant_id: "common", ..account }, secret(), "tenant_id `common`"),
            (Account { client_id: "app", ..account }, secret(), "client_id `app`"),
            (account, Credential::Secret(Secret::new("")), "no client secret"),
        ] {
            let error = TokenSource::new(http(), account, Api::Graph, credential).unwrap_err();
            assert!(error.to_string().contains(part) && error.is_permanent(), "{error}");
        }
    }

    #[test]
    fn answers_over_the_wire_that_are_no_tokens() {
        let table = [
            (JSON, "{\"token_type\":\"mac\",\"access_token\":\"x\",\"expires_in\":1}", "no bearer token"),
            (JSON, "{\"token_type\":\"Bearer\",\"access_token\":\"a\\r\\nX: b\",\"expires_in\":1}", "no bearer token"),
            (JSON, "{\"token_type\":\"Bearer\"}", "neither a token nor an error"),
            ("200 OK\nContent-Type: text/html", "<title>Hello</title>", "a page titled \"Hello\""),
            ("301 Moved\nLocation: http://127.0.0.1:9/elsewhere", "", "redirect to 127.0.0.1 was not followed"),
            (
                "401 Unauthorized\nContent-Type: application/json",
                "{\"error\":\"invalid_client\"}",
                "gave no token: invalid_client",
            ),
            ("504 Gateway Timeout", "", "HTTP 504"),
        ];
        for (head, body, part) in table {
            let entra = StandIn::new(vec![(head, body.to_owned())]);
            let mut source = source(&entra.url, secret());
            let error = source.token(Ticks::now()).unwrap_err();
            assert!(error.to_string().contains(part), "{part}: {error}");
            assert!(!format!("{error} {error:?} {source:?}").contains("s3cr3t"));
            assert!(!source.holds(Ticks(0)));
        }
    }
}
