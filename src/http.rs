//! One HTTP exchange at a time, for splunkd and for Microsoft alike; knows neither.
//!
//! Statuses are never errors here and redirects are never followed: what an answer means is the caller's to say, and a
//! bearer token must not travel to a host somebody else chose.

mod addresses;
mod barrier;
mod error;
mod no_proxy;
mod proxy;
mod tls;

use std::fmt;
use std::io::Read;
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::unversioned::transport::DefaultConnector;

use addresses::Addresses;
use error::explain;

pub use barrier::{Barrier, Disbelief};
pub use error::HttpError;
pub use no_proxy::NoProxy;
pub use proxy::Proxy;
pub use tls::Trust;
pub(crate) use tls::bundle;

/// A request: method, absolute URL, headers and the whole body.
pub type Request = http::Request<Vec<u8>>;
/// An answer: status, headers and the whole body, already inflated.
pub type Response = http::Response<Vec<u8>>;

/// The most an answer's body may hold, inflated. A page of incidents with their alerts is a few MB; what is beyond this
/// is asked for in smaller pieces.
pub const BODY_LIMIT: u64 = 256 << 20;

/// The most of a body that is looked at where the answer's status says already that it holds no data.
pub const ERROR_LIMIT: usize = 1 << 20;

/// How the body of an answer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Without a pause: the exchange has one time limit from its beginning to its end.
    AtOnce,
    /// With pauses of any length, which no limit counts.
    Piecewise,
}

/// How exchanges are made.
#[derive(Clone, Debug)]
pub struct Transport {
    /// Whose certificates are believed.
    pub trust: Trust,
    /// The proxy for hosts that are not this machine.
    pub proxy: Option<Proxy>,
    /// The most a whole exchange may take; where the body is read piece by piece, its head, and again the reading.
    pub limit: Duration,
}

/// The client.
#[derive(Clone, Debug)]
pub struct Http(Way);

#[derive(Clone, Debug)]
enum Way {
    /// A direct agent for this machine's own addresses, and one for all others.
    Network { direct: Agent, outward: Outward, addresses: Addresses, limit: Duration },
    /// A function in the network's place: the callers' code runs as it is, without sockets.
    #[cfg(test)]
    StandIn(StandIn),
}

/// The way to other machines.
#[derive(Clone, Debug)]
struct Outward {
    agent: Agent,
    /// Host and port of the proxy, for messages.
    proxy: Option<String>,
    /// Who is reached without it.
    exceptions: NoProxy,
}

/// See [`Way::StandIn`].
#[cfg(test)]
#[derive(Clone)]
struct StandIn(std::rc::Rc<dyn Fn(Request) -> Result<http::Response<Body>, HttpError>>);

#[cfg(test)]
impl std::fmt::Debug for StandIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StandIn")
    }
}

impl Http {
    /// Builds the client; opens no connection.
    ///
    /// # Errors
    /// [`HttpError::Setup`] for a CA bundle that cannot be read or a proxy URL that is none.
    pub fn new(transport: &Transport) -> Result<Self, HttpError> {
        let tls = tls::config(&transport.trust)?;
        let step = transport.limit.min(Duration::from_secs(30));
        let addresses = Addresses::default();
        let agent = |proxy: Option<ureq::Proxy>| {
            let config = Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .user_agent(concat!("TA_defender/", env!("CARGO_PKG_VERSION"), " (Splunk add-on)"))
                // Each step has a limit. The whole has one only where the body is read at once (see `Body`).
                .timeout_resolve(Some(step))
                .timeout_connect(Some(step))
                .timeout_send_request(Some(step))
                .timeout_send_body(Some(transport.limit))
                .timeout_recv_response(Some(transport.limit))
                .timeout_per_read(Some(transport.limit.min(Duration::from_secs(60))))
                .tls_config(tls.clone())
                .proxy(proxy)
                .build();
            Agent::with_parts(config, DefaultConnector::default(), addresses.clone())
        };
        let proxy = transport.proxy.as_ref().map(proxy::config).transpose()?;
        let outward = Outward {
            proxy: proxy.as_ref().map(|proxy| format!("{}:{}", proxy.host(), proxy.port())),
            exceptions: transport.proxy.as_ref().map_or_else(NoProxy::default, |proxy| NoProxy::read(&proxy.no_proxy)),
            agent: agent(proxy),
        };
        let direct = agent(None);
        Ok(Self(Way::Network { direct, outward, addresses, limit: transport.limit }))
    }

    /// A client that asks a function.
    #[cfg(test)]
    pub(crate) fn stand_in(answer: impl Fn(Request) -> Result<http::Response<Body>, HttpError> + 'static) -> Self {
        Self(Way::StandIn(StandIn(std::rc::Rc::new(answer))))
    }

    /// Sends a request and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// See [`HttpError`]; a status is never one.
    pub fn send(&self, request: Request) -> Result<Response, HttpError> {
        let (head, body) = self.open(request, Reading::AtOnce)?.into_parts();
        Ok(Response::from_parts(head, body.read_whole(usize::MAX)?))
    }

    /// Sends a request and reads the answer's head; the body is left to the caller.
    ///
    /// # Errors
    /// See [`HttpError`]; a status is never one.
    pub fn open(&self, request: Request, reading: Reading) -> Result<http::Response<Body>, HttpError> {
        let host = request.uri().authority().map_or_else(String::new, ToString::to_string);
        let (agent, proxy, addresses, limit) = match &self.0 {
            Way::Network { direct, outward, addresses, limit } => {
                let uri = request.uri();
                let name = uri.host().unwrap_or_default();
                let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
                let (agent, proxy) = if is_loopback(name) || outward.exceptions.covers(name, port) {
                    (direct, None)
                } else {
                    (&outward.agent, outward.proxy.as_deref())
                };
                (agent, proxy, addresses, *limit)
            }
            #[cfg(test)]
            Way::StandIn(answer) => return (answer.0)(request),
        };
        let whole = (reading == Reading::AtOnce).then_some(limit);
        let request = agent.configure_request(request).timeout_global(whole).build();
        let answer = agent.run(request).map_err(|e| {
            addresses.forget();
            explain(e, &host, proxy)
        })?;
        let (head, body) = answer.into_parts();
        let (reader, addresses) = (Box::new(body.into_reader()), addresses.clone());
        Ok(http::Response::from_parts(head, Body { reader, host, addresses, taken: 0, spent: Duration::ZERO, limit }))
    }
}

/// The body of an answer that is under way, inflated. Dropping it before its end closes the connection.
pub struct Body {
    reader: Box<dyn Read>,
    host: String,
    addresses: Addresses,
    /// Bytes read so far.
    taken: u64,
    /// Time spent reading. What passes between two reads is the caller's: a reader that has to wait until splunkd takes its
    /// events is not kept waiting by the service.
    spent: Duration,
    limit: Duration,
}

impl Body {
    /// A body that comes from elsewhere than the network.
    #[cfg(test)]
    pub(crate) fn stand_in(reader: impl Read + 'static) -> Self {
        let (host, addresses) = ("stand-in".to_owned(), Addresses::default());
        Self { reader: Box::new(reader), host, addresses, taken: 0, spent: Duration::ZERO, limit: Duration::MAX }
    }

    /// Reads more; 0 is the end, and the connection is then free for the next request.
    ///
    /// # Errors
    /// See [`HttpError`]. Nothing more comes after one.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize, HttpError> {
        if self.spent > self.limit {
            return Err(HttpError::TimedOut { host: self.host.clone(), limit: "receive body".to_owned() });
        }
        let begun = Instant::now();
        let read = loop {
            match self.reader.read(into) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.spent += begun.elapsed();
        let read = read.map_err(|e| {
            self.addresses.forget();
            explain(ureq::Error::from(e), &self.host, None)
        })?;
        self.taken += read as u64;
        if self.taken > BODY_LIMIT { Err(HttpError::TooLarge { host: self.host.clone() }) } else { Ok(read) }
    }

    /// Reads the rest, up to a number of bytes; what is beyond is not read.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub fn read_whole(mut self, most: usize) -> Result<Vec<u8>, HttpError> {
        let mut bytes = Vec::new();
        let mut filled = 0;
        while filled < most {
            if bytes.len() - filled < 4 << 10 {
                bytes.resize((2 * filled).max(16 << 10), 0);
            }
            match self.read(&mut bytes[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("host", &self.host).field("taken", &self.taken).finish_non_exhaustive()
    }
}

/// Whether a URL's host is this machine: `localhost`, 127.0.0.0/8 or ::1.
pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// As much of what should be an address as can be shown: a URL's credentials and query, and whatever follows the first part of a
/// connection string, may be keys.
pub fn shown(text: &str) -> &str {
    let first = text.split(['?', ';', '=', '#']).next().unwrap_or_default();
    first.rsplit('@').next().unwrap_or_default()
}

/// Checks a base URL that an admin gave: `https`, or `http` on a loopback address, no credentials, no query.
/// Gives it back without a trailing slash.
///
/// # Errors
/// A sentence that names the fault.
pub fn base_url(text: &str) -> Result<String, String> {
    let uri: http::Uri = text.parse().map_err(|_| format!("`{}` is not a URL", shown(text)))?;
    let host = uri.host().filter(|host| !host.is_empty());
    let (Some(host), Some(scheme)) = (host, uri.scheme_str()) else {
        return Err(format!("`{}` is not a URL: write https://host", shown(text)));
    };
    if uri.authority().is_some_and(|a| a.as_str().contains('@')) || uri.query().is_some() {
        return Err("a URL here may hold neither credentials nor a query".to_owned());
    }
    match scheme {
        "https" => {}
        "http" if is_loopback(host) => {}
        _ => return Err(format!("`{text}` must be https: a token or secret would travel in clear text")),
    }
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn base_urls() {
        assert_eq!(base_url("https://graph.microsoft.us/").unwrap(), "https://graph.microsoft.us");
        assert_eq!(base_url("http://127.0.0.1:8080").unwrap(), "http://127.0.0.1:8080");
        assert_eq!(base_url("http://[::1]:80").unwrap(), "http://[::1]:80");
        for (text, part) in [
            ("http://graph.microsoft.com", "must be https"),
            ("http://localhost.evil.example", "must be https"),
            ("ftp://127.0.0.1", "must be https"),
            ("https://user:pw@host", "credentials"),
            ("https://host?x=1", "query"),
            ("graph.microsoft.com", "not a URL"),
            ("", "not a URL"),
        ] {
            assert!(base_url(text).unwrap_err().contains(part), "{text}: {:?}", base_url(text));
        }
    }

    #[test]
    fn what_may_be_a_key_is_not_shown() {
        for text in ["user:s3cret@host/x y", "AccountName=x;AccountKey=s3cret", "https://x.example/ ?sig=s3cret", "a b;s3cret"] {
            let said = base_url(text).unwrap_err();
            assert!(!said.contains("s3cret"), "{said}");
        }
        assert_eq!(shown("https://x.blob.core.windows.net/c"), "https://x.blob.core.windows.net/c");
    }

    /// A server that sends one answer in two halves, the second when told to.
    fn server(second: std::sync::mpsc::Receiver<()>) -> (String, std::thread::JoinHandle<()>) {
        use std::io::Write;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf").unwrap();
            if second.recv().is_ok() {
                let _ = stream.write_all(b"more");
            }
        });
        (url, thread)
    }

    /// An [`Http`] that waits half a second and no longer.
    fn impatient() -> Http {
        let limit = Duration::from_millis(500);
        Http::new(&Transport { trust: Trust::PublicRoots, proxy: None, limit }).unwrap()
    }

    fn get(url: &str) -> Request {
        http::Request::get(url).body(Vec::new()).unwrap()
    }

    #[test]
    fn a_pause_between_two_reads_is_not_the_services() {
        let (tell, second) = std::sync::mpsc::channel();
        let (url, thread) = server(second);
        let mut body = impatient().open(get(&url), Reading::Piecewise).unwrap().into_body();
        let mut piece = [0; 8];
        assert_eq!(body.read(&mut piece).unwrap(), 4);
        // Longer than any limit of this client: as when splunkd takes no events for a while.
        std::thread::sleep(Duration::from_millis(1200));
        tell.send(()).unwrap();
        assert_eq!((body.read(&mut piece).unwrap(), body.read(&mut piece).unwrap()), (4, 0));
        thread.join().unwrap();
    }

    #[test]
    fn a_service_that_stops_sending_is_not_waited_for() {
        for reading in [Reading::AtOnce, Reading::Piecewise] {
            let (tell, second) = std::sync::mpsc::channel();
            let (url, thread) = server(second);
            let body = impatient().open(get(&url), reading).unwrap().into_body();
            assert!(matches!(body.read_whole(usize::MAX), Err(HttpError::TimedOut { .. })));
            drop(tell);
            thread.join().unwrap();
        }
    }

    #[test]
    fn a_service_that_sends_ever_so_slowly_is_not_waited_for() {
        struct Slow;
        impl Read for Slow {
            fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
                std::thread::sleep(Duration::from_millis(2));
                into[0] = b' ';
                Ok(1)
            }
        }
        let body = Body { limit: Duration::from_millis(100), ..Body::stand_in(Slow) };
        let error = body.read_whole(usize::MAX).unwrap_err();
        assert_eq!(error.to_string(), "no answer from stand-in in time (receive body)");
    }

    #[test]
    fn an_endless_body_is_refused() {
        let mut body = Body::stand_in(std::io::repeat(b' '));
        let mut piece = vec![0; 1 << 20];
        let error = loop {
            match body.read(&mut piece) {
                Ok(read) => assert!(read > 0),
                Err(error) => break error,
            }
        };
        assert_eq!(error.to_string(), "the answer from stand-in is larger than 256 MB");
    }
}
