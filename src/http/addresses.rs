//! Host names as addresses. The client asks for them before every request, also when a connection is open and none is
//! needed, and each look-up with a time limit costs it a thread; so the last answers are kept for a moment.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::Uri;
use ureq::config::Config;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// How long an answer is believed. The names of Microsoft's services live a minute or less; a failed request ends it at
/// once (see [`Addresses::forget`]).
const BELIEVED: Duration = Duration::from_secs(30);

/// The addresses of the hosts asked last. A client talks to one or two.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses(Arc<Mutex<Vec<Known>>>);

#[derive(Debug)]
struct Known {
    host: String,
    since: Instant,
    addresses: Vec<SocketAddr>,
}

impl Addresses {
    /// Forgets every name, so that the next connection is made to what it means then.
    pub(super) fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Vec<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recall(&self, host: &str, into: &mut ResolvedSocketAddrs) -> bool {
        let mut known = self.known();
        known.retain(|entry| entry.since.elapsed() < BELIEVED);
        let found = known.iter().find(|entry| entry.host == host);
        found.into_iter().flat_map(|entry| &entry.addresses).for_each(|address| into.push(*address));
        found.is_some()
    }
}

impl Resolver for Addresses {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut found = self.empty();
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(ureq::Error::BadUri(uri.to_string()));
        };
        let Some(host) = DefaultResolver::host_and_port(scheme, authority) else {
            return Err(ureq::Error::BadUri(uri.to_string()));
        };
        if let Some(address) = literal(&host) {
            found.push(address);
        } else if !self.recall(&host, &mut found) {
            found = DefaultResolver::default().resolve(uri, config, timeout)?;
            self.known().push(Known { host, since: Instant::now(), addresses: found.to_vec() });
        }
        Ok(found)
    }
}

/// What is an address already, and needs no looking up.
fn literal(host_and_port: &str) -> Option<SocketAddr> {
    let (host, port) = host_and_port.rsplit_once(':')?;
    let ip: IpAddr = host.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    Some(SocketAddr::new(ip, port.parse().ok()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_not_looked_up() {
        for (host, address) in [
            ("127.0.0.1:443", Some("127.0.0.1:443")),
            ("[::1]:8089", Some("[::1]:8089")),
            ("graph.microsoft.com:443", None),
            ("127.0.0.1", None),
            ("localhost:80", None),
            ("127.0.0.1:65536", None),
        ] {
            assert_eq!(literal(host), address.map(|address| address.parse().unwrap()), "{host}");
        }
    }

    #[test]
    fn a_name_is_remembered_for_a_moment_and_by_its_host_and_port() {
        let addresses = Addresses::default();
        let known = |host: &str, since| Known {
            host: host.to_owned(),
            since,
            addresses: vec!["192.0.2.1:443".parse().unwrap(), "[2001:db8::1]:443".parse().unwrap()],
        };
        let recall = |host| {
            let mut found = Resolver::empty(&addresses);
            addresses.recall(host, &mut found).then(|| found.len())
        };
        addresses.known().push(known("a:443", Instant::now()));
        assert_eq!((recall("a:443"), recall("a:80"), recall("b:443")), (Some(2), None, None));
        let Some(long_ago) = Instant::now().checked_sub(BELIEVED) else { return };
        addresses.known().push(known("b:443", long_ago));
        assert_eq!((recall("a:443"), recall("b:443")), (Some(2), None));
        addresses.forget();
        assert_eq!(recall("a:443"), None);
    }
}
