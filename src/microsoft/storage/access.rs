//! What opens a storage account: a token of an Entra application, or a shared access signature.

use crate::http;
use crate::microsoft::token::{TokenError, TokenSource};
use crate::secret::Secret;
use crate::time::Ticks;

/// How a request is let in.
#[derive(Debug)]
pub enum Access {
    /// By a token for Storage.
    Token(Box<TokenSource>),
    /// By a signature in the query.
    Signature(Signature),
}

/// A shared access signature: which part of the account it opens, for what, until when, signed.
#[derive(Clone, Debug)]
pub struct Signature {
    query: Secret,
    /// `se`: from here on it opens nothing.
    expires: Option<Ticks>,
}

/// Why a connection string opens no storage account. Holds none of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// It holds the account's key, which opens everything for ever.
    #[error("it holds the storage account's key, which opens everything in it: {MAKE}")]
    Key,
    /// It belongs to another service.
    #[error("it is the connection string of an event hub")]
    EventHub,
    /// There is no signature in it.
    #[error("it holds no shared access signature: {MAKE}")]
    NoSignature,
    /// The signature's text cannot be part of a URL.
    #[error("its shared access signature holds characters that do not belong there: copy it again")]
    Garbled,
    /// It is for another storage account.
    #[error("it is for {signed}, and the input's storage_account is {asked}")]
    OtherAccount {
        /// The host it names.
        signed: String,
        /// The host that is asked.
        asked: String,
    },
}

/// How a signature that is enough is made.
pub(super) const MAKE: &str = "make a shared access signature for the service Blob, the resource types service, container and object, \
                               and the permissions read and list (Azure portal: the storage account, Shared access signature)";

impl Access {
    /// Reads a connection string with a shared access signature, as the Azure portal shows it; the signature alone and a URL
    /// that ends with it are taken too. `base` is the URL of the account that is asked.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub fn from_connection_string(text: &Secret, base: &str) -> Result<Self, AccessError> {
        let (endpoint, signature) = parts(text)?;
        let signature = signature.unwrap_or_default().trim_start_matches('?');
        if !signature.split('&').any(|pair| pair.starts_with("sig=")) {
            return Err(AccessError::NoSignature);
        }
        if !signature
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'#' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}'))
        {
            return Err(AccessError::Garbled);
        }
        if let Some(endpoint) = endpoint {
            let (signed, asked) = (host(endpoint), host(base));
            if !signed.eq_ignore_ascii_case(&asked) {
                return Err(AccessError::OtherAccount { signed, asked });
            }
        }
        let expires = signature.split('&').find_map(|pair| pair.strip_prefix("se="));
        let expires = expires.and_then(|text| percent_encoding::percent_decode_str(text).decode_utf8().ok());
        let expires = expires.and_then(|text| Ticks::parse(&text));
        Ok(Self::Signature(Signature { query: Secret::new(signature), expires }))
    }

    /// The base URL of the blob service that a connection string, or a URL that ends with a signature, names.
    pub fn endpoint(text: &Secret) -> Option<String> {
        let uri: ::http::Uri = parts(text).ok()?.0?.parse().ok()?;
        let (scheme, host) = (uri.scheme_str()?, uri.host()?);
        let port = uri.port().map_or(String::new(), |port| format!(":{port}"));
        // Behind the host stands a container; behind a loopback address, the account.
        let account = uri.path().split('/').nth(1).filter(|account| !account.is_empty() && http::is_loopback(host));
        Some(format!("{scheme}://{host}{port}{}", account.map_or(String::new(), |account| format!("/{account}"))))
    }

    /// When the signature ends; `None` for a token, which is renewed.
    pub fn expires(&self) -> Option<Ticks> {
        match self {
            Self::Token(_) => None,
            Self::Signature(signature) => signature.expires,
        }
    }

    /// Whether [`Access::token`] would answer without asking.
    pub(super) fn holds(&self, now: Ticks) -> bool {
        matches!(self, Self::Token(tokens) if tokens.holds(now))
    }

    pub(super) fn forget(&mut self) {
        if let Self::Token(tokens) = self {
            tokens.forget();
        }
    }

    /// The token that a request carries, where it is let in by one.
    pub(super) fn token(&mut self, now: Ticks) -> Result<Option<&Secret>, TokenError> {
        match self {
            Self::Token(tokens) => tokens.token(now).map(Some),
            Self::Signature(_) => Ok(None),
        }
    }

    /// What a URL's query ends with. Not to be logged.
    pub(super) fn query(&self) -> &str {
        match self {
            Self::Token(_) => "",
            Self::Signature(signature) => signature.query.expose(),
        }
    }
}

/// URL and signature of a connection string, as far as it has them.
fn parts(text: &Secret) -> Result<(Option<&str>, Option<&str>), AccessError> {
    let text = text.expose().trim();
    match text.split_once('?') {
        // What has named parts may have the mark within one.
        Some((url, query)) if !url.contains(['=', ';']) => return Ok((Some(url).filter(|url| !url.is_empty()), Some(query))),
        _ => {}
    }
    if text.contains("sig=") && !text.contains(';') && !text.contains("SharedAccessSignature=") {
        return Ok((None, Some(text)));
    }
    let part = |name: &str| {
        let mut parts = text.split(';').filter_map(|part| part.split_once('='));
        parts.find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    match part("SharedAccessSignature") {
        None if part("AccountKey").is_some() => Err(AccessError::Key),
        None if part("Endpoint").is_some() || part("SharedAccessKey").is_some() => Err(AccessError::EventHub),
        signature => Ok((part("BlobEndpoint"), signature)),
    }
}

fn host(url: &str) -> String {
    // Without a scheme, what is no URL would be taken for a host, and told.
    let uri = url.parse::<::http::Uri>().ok().filter(|uri| uri.scheme().is_some());
    let host = uri.as_ref().and_then(|uri| uri.host()).unwrap_or_default();
    // Behind one loopback address there may be several accounts, as with Azurite.
    if http::is_loopback(host) { String::new() } else { host.to_owned() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const BASE: &str = "https://contoso.blob.core.windows.net";
    const SIGNATURE: &str =
        "sv=2022-11-02&ss=b&srt=sco&sp=rl&se=2027-01-01T00:00:00Z&st=2026-01-01T00%3A00%3A00Z&spr=https&sig=a%2Fb%3D";

    fn read(text: &str) -> Result<Access, AccessError> {
        Access::from_connection_string(&Secret::new(text), BASE)
    }

    #[test]
    fn every_way_to_write_a_signature() {
        for text in [
            SIGNATURE.to_owned(),
            format!(" ?{SIGNATURE}\n"),
            format!("{BASE}/?{SIGNATURE}"),
            format!("https://CONTOSO.blob.core.windows.net/insights-logs-advancedhunting-alertinfo?{SIGNATURE}"),
            format!("SharedAccessSignature={SIGNATURE}"),
            format!("BlobEndpoint={BASE}/;SharedAccessSignature=?{SIGNATURE}"),
            format!(
                "BlobEndpoint={BASE}/;QueueEndpoint=https://contoso.queue.core.windows.net/;SharedAccessSignature={SIGNATURE}"
            ),
        ] {
            let access = read(&text).unwrap();
            assert_eq!(access.query(), SIGNATURE);
            assert_eq!(access.expires(), Ticks::parse("2027-01-01T00:00:00Z"));
            assert!(!format!("{access:?}").contains("sig"), "{access:?}");
        }
    }

    #[test]
    fn the_account_that_a_signature_is_for() {
        let local = "http://127.0.0.1:10000/devstoreaccount1";
        for (text, endpoint) in [
            (format!("{BASE}/insights-logs-advancedhunting-alertinfo?{SIGNATURE}"), Some(BASE)),
            (format!("{BASE}?{SIGNATURE}"), Some(BASE)),
            (format!("{local}/container?{SIGNATURE}"), Some(local)),
            (format!("QueueEndpoint=https://q.example/;BlobEndpoint={BASE}/;SharedAccessSignature={SIGNATURE}"), Some(BASE)),
            (format!("BlobEndpoint={local};SharedAccessSignature={SIGNATURE}"), Some(local)),
            (SIGNATURE.to_owned(), None),
            (format!("?{SIGNATURE}"), None),
            ("BlobEndpoint=;SharedAccessSignature=sig=x".to_owned(), None),
        ] {
            assert_eq!(Access::endpoint(&Secret::new(text.as_str())).as_deref(), endpoint, "{text}");
        }
    }

    #[test]
    fn what_opens_nothing_says_what_to_do() {
        let table = [
            (
                "DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey=a2V5==;EndpointSuffix=core.windows.net",
                AccessError::Key,
            ),
            ("Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=n;SharedAccessKey=k=", AccessError::EventHub),
            ("SharedAccessKey=a2V5;EntityPath=hub?&sig=x", AccessError::EventHub),
            ("", AccessError::NoSignature),
            ("BlobEndpoint=https://contoso.blob.core.windows.net/", AccessError::NoSignature),
            ("https://contoso.blob.core.windows.net/?sv=2022-11-02", AccessError::NoSignature),
            ("sv=2022-11-02&sig=a b", AccessError::Garbled),
            (
                "https://other.blob.core.windows.net/?sig=x",
                AccessError::OtherAccount {
                    signed: "other.blob.core.windows.net".to_owned(),
                    asked: "contoso.blob.core.windows.net".to_owned(),
                },
            ),
        ];
        for (text, error) in table {
            assert_eq!(read(text).unwrap_err(), error, "{text}");
        }
    }
}
