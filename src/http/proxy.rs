//! The forward proxy, and who is reached without it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::HttpError;
use crate::masking::admin_text;
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

/// Where a proxy listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyAddress {
    /// Whether it is spoken to over TLS.
    pub secure: bool,
    /// Its host.
    pub host: String,
    /// Its port: 80, or 443 over TLS, unless told.
    pub port: u16,
}

impl Proxy {
    /// A proxy as an admin set it up. What the URL holds before an `@`, and what the credentials become on the wire, is
    /// secret from here on.
    pub fn new(url: String, credentials: Option<(String, Secret)>, no_proxy: String) -> Self {
        if let Some((user_info, _)) = url.rsplit_once('@') {
            let user_info = user_info.rsplit_once("//").map_or(user_info, |(_, user_info)| user_info);
            let password = user_info.split_once(':').map_or(user_info, |(_, password)| password);
            drop(Secret::new(password));
        }
        if let Some((user, password)) = &credentials {
            drop(Secret::new(STANDARD.encode(format!("{user}:{}", password.expose()))));
        }
        Self { url, credentials, no_proxy }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// A sentence that names what is wrong with the URL, and nothing that may be secret. A URL with a user name or a password
    /// is wrong: it would stand in clear text where many may read it, and half of it used and half of it not would be worse.
    pub fn address(&self) -> Result<ProxyAddress, String> {
        let wrong = || format!("proxy url `{}`: write http://host:port", admin_text(&self.url));
        if self.url.contains('@') {
            let remedy = "put the user name into username and the password on the Configuration page, tab Settings, or into \
                          storage/passwords with realm defender_settings and username proxy";
            return Err(format!("{}, without user name and password; {remedy}", wrong()));
        }
        let uri: http::Uri = self.url.parse().map_err(|_| wrong())?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong()),
        };
        // A port beyond 65535 is none to the parser, and a path or a query means that something else was pasted here.
        let authority = uri.authority().ok_or_else(wrong)?;
        let has_port = authority.as_str().rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        if uri.host().is_none_or(str::is_empty)
            || has_port != uri.port_u16().is_some()
            || uri.query().is_some()
            || uri.path() != "/"
        {
            return Err(wrong());
        }
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        Ok(ProxyAddress { secure, host: authority.host().to_owned(), port })
    }
}

/// The client's settings for it.
///
/// # Errors
/// [`HttpError::Setup`] for a URL that is none.
pub(super) fn config(proxy: &Proxy) -> Result<ureq::Proxy, HttpError> {
    let ProxyAddress { secure, host, port } = proxy.address().map_err(HttpError::Setup)?;
    let protocol = if secure { ureq::ProxyProtocol::Https } else { ureq::ProxyProtocol::Http };
    let mut builder = ureq::Proxy::builder(protocol).host(&host).port(port);
    if let Some((user, password)) = &proxy.credentials {
        builder = builder.username(user).password(password.expose());
    }
    let wrong = |_| HttpError::Setup(format!("proxy url `{}`: write http://host:port", admin_text(&proxy.url)));
    builder.build().map_err(wrong)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn proxy_urls() {
        let proxy = |url: &str| config(&Proxy::new(url.to_owned(), None, String::new()));
        assert!(proxy("http://proxy:3128").is_ok());
        assert!(proxy("socks5://proxy:1").unwrap_err().to_string().contains("http://host:port"));
        assert!(proxy("proxy").is_err());
    }

    #[test]
    fn addresses() {
        let address = |url: &str| Proxy::new(url.to_owned(), None, String::new()).address();
        let found = |secure, host: &str, port| Ok(ProxyAddress { secure, host: host.to_owned(), port });
        assert_eq!(address("http://proxy.example:3128"), found(false, "proxy.example", 3128));
        assert_eq!(address("http://proxy.example/"), found(false, "proxy.example", 80));
        assert_eq!(address("HTTPS://[::1]"), found(true, "[::1]", 443));
        for url in [
            "",
            "proxy:3128",
            "socks5://proxy:1",
            "http://:3128",
            "http://proxy:99999",
            "http://proxy:x",
            "http://proxy/x",
            "http://p?q",
        ] {
            assert!(address(url).unwrap_err().contains("write http://host:port"), "{url}");
        }
    }

    #[test]
    fn credentials_in_the_url_are_refused_and_not_shown_however_they_are_written() {
        for url in [
            "http://svc:h3xenW3rk!@proxy:3128",
            "https://svc:h3xenW3rk!@proxy",
            "svc:h3xenW3rk!@proxy:3128",
            "http://svc:h3xenW3rk!@pro xy:3128",
            "http://svc:h3xen W3rk!@proxy:3128",
            "socks5://svc:h3xenW3rk!@proxy:1080",
            "http:/svc:h3xenW3rk!@proxy:3128",
            "http//svc:h3xenW3rk!@proxy:3128",
            "http://svc:h3xe/nW3rk!@proxy:3128",
            "http://svc:h3x@enW3rk!@proxy:3128",
            "http://svc:h3x?enW3rk!@proxy:3128",
            "http://svc:h3xen#W3rk!@proxy:3128",
            "http://svc:h3xenW3rk!@proxy:99999",
            "http://svc%3Ah3xenW3rk!@proxy:3128",
            "http://h3xenW3rk!@proxy:3128",
            "svc:h3xenW3rk!",
            "http://svc:h3xenW3rk!:3128",
            "http://svc:h3xenW3rk! proxy:3128",
        ] {
            let said = Proxy::new(url.to_owned(), None, String::new()).address().unwrap_err();
            assert!(!said.contains("W3rk") && !said.contains("h3x"), "{url}: {said}");
            assert!(said.contains("write http://host:port"), "{said}");
            assert_eq!(url.contains('@'), said.contains("username proxy"), "{said}");
        }
    }
}
