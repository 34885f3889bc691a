//! The forward proxy, and who is reached without it.

use super::HttpError;
use crate::secret::Secret;

/// A forward proxy reached by HTTP or HTTPS.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// `http://host:port` or `https://host:port`, without credentials.
    pub url: String,
    /// Basic authentication, when the proxy asks for it.
    pub credentials: Option<(String, Secret)>,
    /// Hosts reached directly, as [`NoProxy`](super::NoProxy) reads them.
    pub no_proxy: String,
}

/// The client's settings for it.
///
/// # Errors
/// [`HttpError::Setup`] for a URL that is none.
pub(super) fn config(proxy: &Proxy) -> Result<ureq::Proxy, HttpError> {
    let wrong = || HttpError::Setup(format!("proxy url `{}`: write http://host:port", proxy.url));
    let uri: http::Uri = proxy.url.parse().map_err(|_| wrong())?;
    let protocol = match uri.scheme_str() {
        Some("http") => ureq::ProxyProtocol::Http,
        Some("https") => ureq::ProxyProtocol::Https,
        _ => return Err(wrong()),
    };
    let mut builder = ureq::Proxy::builder(protocol).host(uri.host().ok_or_else(wrong)?);
    if let Some(port) = uri.port_u16() {
        builder = builder.port(port);
    }
    if let Some((user, password)) = &proxy.credentials {
        builder = builder.username(user).password(password.expose());
    }
    builder.build().map_err(|_| wrong())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn proxy_urls() {
        let proxy = |url: &str| config(&Proxy { url: url.to_owned(), credentials: None, no_proxy: String::new() });
        assert!(proxy("http://proxy:3128").is_ok());
        assert!(proxy("socks5://proxy:1").unwrap_err().to_string().contains("http://host:port"));
        assert!(proxy("proxy").is_err());
    }
}
