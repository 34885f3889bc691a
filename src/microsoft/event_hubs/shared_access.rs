//! Connection strings of Event Hubs, and the tokens that are signed with the key in one.
//!
//! The form of a token is from Microsoft's "Authenticate access to Event Hubs resources using shared access signatures".

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::hmac;

use super::namespace::Token;
use crate::secret::Secret;
use crate::time::{PER_SECOND, Ticks};

/// What a URL keeps as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// How long a signed token is good. Microsoft's clients take an hour.
const LIFE: Duration = Duration::from_secs(3600);
const SIGNATURE: &str = "SharedAccessSignature";

/// What a connection string opens, and with what.
#[derive(Clone, Debug)]
pub struct ConnectionString {
    host: String,
    namespace: String,
    hub: Option<String>,
    proof: Proof,
}

#[derive(Clone, Debug)]
enum Proof {
    /// A policy's name and its key.
    Key { name: String, key: Secret },
    /// A token signed by somebody else, and when it expires.
    Signed { token: Secret, expires: Option<Ticks> },
}

/// Why a connection string cannot be used. Never repeats its key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionStringError {
    /// A part is missing.
    #[error("the connection string has no {0}: copy it again from Shared access policies of the event hub")]
    Missing(&'static str),
    /// It is for something else.
    #[error("the connection string is for {theirs}, and the input reads {ours}")]
    Elsewhere {
        /// What the string names.
        theirs: String,
        /// What the input names.
        ours: String,
    },
    /// The signature in it is over.
    #[error("the shared access signature of the connection string expired at {0}: make a new one")]
    Expired(Ticks),
}

impl ConnectionString {
    /// Reads `Endpoint=sb://…;SharedAccessKeyName=…;SharedAccessKey=…;EntityPath=…` or one with a `SharedAccessSignature`.
    ///
    /// # Errors
    /// See [`ConnectionStringError`].
    pub fn read(text: &Secret) -> Result<Self, ConnectionStringError> {
        let part = |name: &str| {
            let parts = text.expose().split(';').filter_map(|part| part.trim().split_once('='));
            let found = parts.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next();
            found.filter(|value| !value.is_empty())
        };
        let missing = ConnectionStringError::Missing;
        let endpoint = part("Endpoint").ok_or(missing("Endpoint"))?;
        let host = endpoint.split_once("://").map_or(endpoint, |(_, host)| host);
        let authority = host.split('/').next().unwrap_or_default().to_ascii_lowercase();
        let host = authority.split(':').next().filter(|host| !host.is_empty()).ok_or(missing("host in its Endpoint"))?;
        let namespace = if crate::http::is_loopback(host) { &authority } else { host };
        let proof = match part(SIGNATURE) {
            Some(token) => Proof::Signed { token: Secret::new(token), expires: expiry(token) },
            None => {
                let name = part("SharedAccessKeyName").ok_or(missing("SharedAccessKeyName"))?;
                let key = part("SharedAccessKey").ok_or(missing("SharedAccessKey"))?;
                Proof::Key { name: name.to_owned(), key: Secret::new(key) }
            }
        };
        let hub = part("EntityPath").map(str::to_owned);
        Ok(Self { host: host.to_owned(), namespace: namespace.to_owned(), hub, proof })
    }

    /// The namespace's host, with a port only where that is a loopback address.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The hub that it is limited to.
    pub fn hub(&self) -> Option<&str> {
        self.hub.as_deref()
    }

    /// Checks that it is for this hub.
    ///
    /// # Errors
    /// [`ConnectionStringError::Elsewhere`].
    pub fn check(&self, namespace: &str, hub: &str) -> Result<(), ConnectionStringError> {
        let host = namespace.rsplit_once(':').map_or(namespace, |(host, _)| host);
        let elsewhere =
            |theirs: &str, ours: &str| ConnectionStringError::Elsewhere { theirs: theirs.to_owned(), ours: ours.to_owned() };
        // A loopback address has many names.
        if !crate::http::is_loopback(host) && self.host != host {
            return Err(elsewhere(&self.host, host));
        }
        match &self.hub {
            Some(theirs) if !theirs.eq_ignore_ascii_case(hub) => {
                Err(elsewhere(&format!("the hub `{theirs}`"), &format!("`{hub}`")))
            }
            _ => Ok(()),
        }
    }

    /// A token for the entity of that URI (`sb://<namespace>/<hub>`).
    ///
    /// # Errors
    /// [`ConnectionStringError::Expired`].
    pub fn token(&self, uri: &str, now: Ticks) -> Result<Token, ConnectionStringError> {
        match &self.proof {
            Proof::Signed { expires: Some(expires), .. } if *expires <= now => Err(ConnectionStringError::Expired(*expires)),
            Proof::Signed { token, expires } => {
                Ok(Token::SharedAccess { token: token.clone(), expires: expires.unwrap_or(now.plus(LIFE)) })
            }
            Proof::Key { name, key } => {
                let expires = now.plus(LIFE);
                let token = Secret::new(sign(uri, name, key, expires.0 / PER_SECOND));
                Ok(Token::SharedAccess { token, expires })
            }
        }
    }
}

/// `SharedAccessSignature sr=…&sig=…&se=…&skn=…`: the HMAC-SHA256 of the encoded URI and the end in epoch seconds.
fn sign(uri: &str, name: &str, key: &Secret, end: i64) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
    let uri = encoded(uri);
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, format!("{uri}\n{end}").as_bytes()));
    format!("{SIGNATURE} sr={uri}&sig={}&se={end}&skn={}", encoded(&signature), encoded(name))
}

/// The end that a signed token names.
fn expiry(token: &str) -> Option<Ticks> {
    let end = token.split(['&', ' ']).find_map(|part| part.strip_prefix("se="))?;
    Some(Ticks(end.parse::<i64>().ok()?.checked_mul(PER_SECOND)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const KEYED: &str =
        "Endpoint=sb://Contoso.servicebus.windows.net/;SharedAccessKeyName=listen;SharedAccessKey=a2V5PT0=;EntityPath=hub";

    #[test]
    fn the_signature_is_the_documented_one() {
        // By Python's hmac, hashlib, base64 and urllib from the same inputs.
        let token = sign("sb://contoso.servicebus.windows.net/hub", "listen", &Secret::new("a2V5PT0="), 1_767_225_600);
        assert_eq!(
            token,
            "SharedAccessSignature sr=sb%3A%2F%2Fcontoso.servicebus.windows.net%2Fhub&sig=0X7U3hnfWKzwqPty2zHTONHAYfzAcznlyuyeF0SzZKo%3D&se=1767225600&skn=listen"
        );
    }

    #[test]
    fn a_connection_string_is_read_and_compared_with_the_input() {
        let read = |text: &str| ConnectionString::read(&Secret::new(text)).unwrap();
        let string = read(KEYED);
        assert_eq!((string.namespace(), string.hub()), ("contoso.servicebus.windows.net", Some("hub")));
        let local = read("Endpoint=sb://Localhost:5672/;SharedAccessKeyName=n;SharedAccessKey=k");
        assert_eq!((local.namespace(), local.hub()), ("localhost:5672", None));
        assert_eq!(string.check("contoso.servicebus.windows.net", "HUB"), Ok(()));
        for (namespace, hub, message) in [
            (
                "fabrikam.servicebus.windows.net",
                "hub",
                "the connection string is for contoso.servicebus.windows.net, and the input reads fabrikam.servicebus.windows.net",
            ),
            (
                "contoso.servicebus.windows.net",
                "other",
                "the connection string is for the hub `hub`, and the input reads `other`",
            ),
        ] {
            assert_eq!(string.check(namespace, hub).unwrap_err().to_string(), message);
        }
        // A policy of the namespace opens every hub, and stand-ins run on this machine.
        assert_eq!(
            read("Endpoint=sb://localhost:5672;SharedAccessKeyName=n;SharedAccessKey=k").check("127.0.0.1:5672", "any"),
            Ok(())
        );
        assert!(!format!("{string:?}").contains("a2V5"));
    }

    #[test]
    fn a_ready_signature_is_used_until_it_expires() {
        let string = ConnectionString::read(&Secret::new(
            "Endpoint=sb://c.example/;SharedAccessSignature=SharedAccessSignature sr=x&sig=y%3D&se=100&skn=n",
        ))
        .unwrap();
        let Token::SharedAccess { token, expires } = string.token("sb://c.example/hub", Ticks(0)).unwrap() else { panic!() };
        assert_eq!((token.expose(), expires), ("SharedAccessSignature sr=x&sig=y%3D&se=100&skn=n", Ticks(100 * PER_SECOND)));
        let error = string.token("sb://c.example/hub", Ticks(100 * PER_SECOND)).unwrap_err().to_string();
        assert_eq!(error, "the shared access signature of the connection string expired at 1970-01-01T00:01:40Z: make a new one");
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, part) in [
            ("", "Endpoint"),
            ("Endpoint=sb:///;SharedAccessKeyName=n;SharedAccessKey=k", "host in its Endpoint"),
            ("Endpoint=sb://a.example/;SharedAccessKey=k", "SharedAccessKeyName"),
            ("Endpoint=sb://a.example/;SharedAccessKeyName=n;SharedAccessKey=", "SharedAccessKey"),
        ] {
            assert_eq!(ConnectionString::read(&Secret::new(text)).unwrap_err(), ConnectionStringError::Missing(part), "{text}");
        }
    }
}
