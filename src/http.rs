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

use crate::limits;
use crate::masking::admin_text;
use addresses::Addresses;
use error::explain;

pub use barrier::{Barrier, Disbelief};
pub use error::HttpError;
pub use no_proxy::NoProxy;
pub use proxy::{Proxy, ProxyAddress};
pub use tls::Trust;
#[cfg(feature = "streaming")]
pub(crate) use tls::bundle;

/// A request: method, absolute URL, headers and the whole body.
pub type Request = http::Request<Vec<u8>>;
/// An answer: status, headers and the whole body, already inflated.
pub type Response = http::Response<Vec<u8>>;

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
                .max_response_header_size(limits::HEAD)
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

    /// Sends a request and reads the whole answer, whatever its status: at most `most` bytes of data, or of a refusal what
    /// is looked at.
    ///
    /// # Errors
    /// See [`HttpError`]; a status is never one.
    pub fn send(&self, request: Request, most: u64) -> Result<Response, HttpError> {
        let (head, body) = self.open(request, Reading::AtOnce)?.into_parts();
        let body = body.read_answer(head.status, most)?;
        Ok(Response::from_parts(head, body))
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
        if self.taken > limits::PAGE { Err(self.too_large(limits::PAGE)) } else { Ok(read) }
    }

    /// Reads the rest of an answer with this status: of data at most `most` bytes, of what is no data as much as is looked at.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub fn read_answer(self, status: http::StatusCode, most: u64) -> Result<Vec<u8>, HttpError> {
        if status.is_success() { self.read_whole(most) } else { self.read_front(limits::ERROR.min(most)) }
    }

    /// Reads the rest.
    ///
    /// # Errors
    /// See [`HttpError`]; [`HttpError::TooLarge`] for more than `most` bytes.
    pub fn read_whole(mut self, most: u64) -> Result<Vec<u8>, HttpError> {
        let bytes = self.fill(most + 1)?;
        if bytes.len() as u64 > most { Err(self.too_large(most)) } else { Ok(bytes) }
    }

    /// Reads the rest up to a number of bytes; what is beyond is not read.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub fn read_front(mut self, most: u64) -> Result<Vec<u8>, HttpError> {
        self.fill(most)
    }

    fn fill(&mut self, most: u64) -> Result<Vec<u8>, HttpError> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        let mut filled = 0;
        while filled < most {
            if bytes.len() - filled < 4 << 10 {
                bytes.resize((2 * filled).max(16 << 10).min(most), 0);
            }
            match self.read(&mut bytes[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    fn too_large(&self, most: u64) -> HttpError {
        HttpError::TooLarge { host: self.host.clone(), most }
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

/// Checks a base URL that an admin gave: `https`, or `http` on a loopback address, no credentials, no query.
/// Gives it back without a trailing slash.
///
/// # Errors
/// A sentence that names the fault.
pub fn base_url(text: &str) -> Result<String, String> {
    let uri: http::Uri = text.parse().map_err(|_| format!("`{}` is not a URL", admin_text(text)))?;
    let host = uri.host().filter(|host| !host.is_empty());
    let (Some(host), Some(scheme)) = (host, uri.scheme_str()) else {
        return Err(format!("`{}` is not a URL: write https://host", admin_text(text)));
    };
    if uri.authority().is_some_and(|a| a.as_str().contains('@')) || uri.query().is_some() {
        return Err("a URL here may hold neither credentials nor a query".to_owned());
    }
    match scheme {
        "https" => {}
        "http" if is_loopback(host) => {}
        _ => return Err(format!("`{}` must be https: a token or secret would travel in clear text", admin_text(text))),
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
            assert!(matches!(body.read_whole(limits::PAGE), Err(HttpError::TimedOut { .. })));
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
        let error = body.read_whole(limits::PAGE).unwrap_err();
        assert_eq!(error.to_string(), "no answer from stand-in in time (receive body)");
    }

    #[test]
    fn a_body_beyond_its_kind_is_refused_and_of_a_refusal_only_the_front_is_read() {
        let endless = || Body::stand_in(std::io::repeat(b' '));
        for (most, said) in [(limits::TOKEN, "larger than 1 MB"), (limits::OBJECT, "larger than 16 MB")] {
            let error = endless().read_answer(http::StatusCode::OK, most).unwrap_err();
            assert!(error.to_string().ends_with(said), "{error}");
        }
        let refused = endless().read_answer(http::StatusCode::BAD_GATEWAY, limits::OBJECT).unwrap();
        assert_eq!(refused.len() as u64, limits::ERROR);
        let just = |bytes: u64| Body::stand_in(std::io::repeat(b' ').take(bytes)).read_whole(1000).map(|bytes| bytes.len());
        assert_eq!(just(1000).unwrap(), 1000);
        assert!(matches!(just(1001), Err(HttpError::TooLarge { most: 1000, .. })));
    }

    /// A service that sends this head over and over, as fast as it is read, or slowly.
    fn endless_head(part: &'static str, pause: Duration) -> String {
        use std::io::Write;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
            while stream.write_all(part.as_bytes()).is_ok() {
                std::thread::sleep(pause);
            }
        });
        url
    }

    #[test]
    fn a_head_without_end_is_not_waited_for() {
        let (fast, slow) = (Duration::ZERO, Duration::from_millis(20));
        for (part, pause) in [
            ("X-Pad: a\r\n", fast),
            ("X-Pad: a\r\n", slow),
            ("x", fast),
            ("x", slow),
            ("\r\nHTTP/1.1 100 Continue\r\n", fast),
            ("\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n", fast),
            ("\r\nHTTP/1.1 102 Processing\r\n", slow),
        ] {
            for reading in [Reading::AtOnce, Reading::Piecewise] {
                let url = endless_head(part, pause);
                let begun = Instant::now();
                let answer = impatient().open(get(&url), reading);
                // The first head is whole where another one follows it: then its body has to have an end.
                let ended = answer.and_then(|answer| answer.into_body().read_whole(limits::TOKEN));
                assert!(ended.is_err(), "{part:?}");
                assert!(begun.elapsed() < Duration::from_secs(5), "{part:?}: {:?}", begun.elapsed());
            }
        }
    }

    #[test]
    fn interim_answers_without_end_are_not_waited_for() {
        use std::io::Write;
        for (part, pause) in [
            ("HTTP/1.1 100 Continue\r\n\r\n", Duration::ZERO),
            ("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", Duration::ZERO),
            ("HTTP/1.1 102 Processing\r\n\r\n", Duration::from_millis(50)),
        ] {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}/", listener.local_addr().unwrap());
            std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 4096]);
                while stream.write_all(part.as_bytes()).is_ok() {
                    std::thread::sleep(pause);
                }
            });
            let begun = Instant::now();
            match impatient().open(get(&url), Reading::Piecewise) {
                // An interim answer is no answer.
                Ok(answer) => assert!(!answer.status().is_success(), "{part:?}"),
                Err(error) => drop(error),
            }
            assert!(begun.elapsed() < Duration::from_secs(5), "{part:?}: {:?}", begun.elapsed());
        }
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
