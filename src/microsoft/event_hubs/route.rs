//! The way to a namespace: TCP, a proxy's tunnel, TLS, a WebSocket, in that order, as far as each is wanted.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fe2o3_amqp_ws::WebSocketStream;
use fe2o3_amqp_ws::tungstenite::{self, protocol::WebSocketConfig};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::fault::{Fault, What};
use super::guard::{Ending, Guard};
use crate::http::{self as transport, Barrier, NoProxy, Proxy, ProxyAddress, Transport, Trust, is_loopback};
use crate::masking::{admin_text, foreign_text};

/// The most each step of the way may take.
const LIMIT: Duration = Duration::from_secs(30);
/// The largest frame and message of a WebSocket.
const LARGEST: usize = 4 << 20;
/// The most a proxy's answer may hold.
const PROXY_ANSWER: usize = 16 << 10;

/// How namespaces are reached.
#[derive(Clone)]
pub struct Route {
    websocket: bool,
    proxy: Option<Proxy>,
    tls: TlsConnector,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("websocket", &self.websocket).field("proxy", &self.proxy).finish_non_exhaustive()
    }
}

/// A connection of any kind.
pub(super) trait Duplex: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin> Duplex for T {}

impl Route {
    /// By AMQP (port 5671, no proxy), or by WebSocket (port 443, through the proxy if there is one).
    ///
    /// # Errors
    /// [`What::Setup`] for a CA bundle that cannot be read.
    pub fn new(websocket: bool, transport: &Transport) -> Result<Self, Fault> {
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Fault::new(What::Setup, "TLS", error.to_string()))?
            .with_root_certificates(roots(&transport.trust)?)
            .with_no_client_auth();
        Ok(Self { websocket, proxy: transport.proxy.clone(), tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Connects to the namespace, a host, or on this machine a host with a port and then without TLS.
    pub(super) async fn connect(&self, namespace: &str, ending: &Ending) -> Result<Box<dyn Duplex>, Fault> {
        let (host, port) = match namespace.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>())) {
            Some((host, Ok(port))) => (host, port),
            _ => (namespace, if self.websocket { 443 } else { 5671 }),
        };
        let local = is_loopback(host);
        let object = format!("{host}:{port}");
        let stream: Box<dyn Duplex> = match &self.proxy {
            Some(proxy) if self.websocket && !local && !NoProxy::read(&proxy.no_proxy).covers(host, port) => {
                self.tunnel(proxy, host, port).await?
            }
            _ => Box::new(tcp(host, port).await?),
        };
        let stream = if local { stream } else { self.tls(stream, host, &object).await? };
        if !self.websocket {
            return Ok(Box::new(Guard::new(stream, ending.clone())));
        }
        let scheme = if local { "ws" } else { "wss" };
        let url = format!("{scheme}://{namespace}/$servicebus/websocket");
        // A frame of a WebSocket is put together in memory; those of the service hold some frames of AMQP.
        let limits = WebSocketConfig::default().max_message_size(Some(LARGEST)).max_frame_size(Some(LARGEST));
        let opened = WebSocketStream::connect_with_stream_and_config(url, stream, Some(limits));
        let stream = within(&object, opened).await?.map_err(|error| no_web_socket(&object, &error))?;
        Ok(Box::new(Guard::new(stream, ending.clone())))
    }

    async fn tls(&self, stream: Box<dyn Duplex>, host: &str, object: &str) -> Result<Box<dyn Duplex>, Fault> {
        let failed = |what: What, error: &dyn fmt::Display| {
            Fault::new(what, object, format!("no TLS: {}", foreign_text(&error.to_string())))
        };
        let name = ServerName::try_from(host.to_owned()).map_err(|error| failed(What::Setup, &error))?;
        let stream = within(object, self.tls.connect(name, stream)).await?;
        Ok(Box::new(stream.map_err(|error| match Barrier::of_io(&error) {
            Some(barrier) => failed(What::Untrusted, &barrier),
            None => failed(What::Unreachable, &error),
        })?))
    }

    /// A tunnel through an HTTP proxy.
    async fn tunnel(&self, proxy: &Proxy, host: &str, port: u16) -> Result<Box<dyn Duplex>, Fault> {
        let ProxyAddress { secure, host: proxy_host, port: proxy_port } =
            proxy.address().map_err(|reason| Fault::new(What::Setup, "settings", reason))?;
        let object = format!("proxy {proxy_host}:{proxy_port}");
        let mut stream: Box<dyn Duplex> = Box::new(tcp(&proxy_host, proxy_port).await?);
        if secure {
            stream = self.tls(stream, &proxy_host, &object).await?;
        }
        let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
        if let Some((user, password)) = &proxy.credentials {
            let credentials = STANDARD.encode(format!("{user}:{}", password.expose()));
            request.push_str(&format!("Proxy-Authorization: Basic {credentials}\r\n"));
        }
        request.push_str("\r\n");
        let status = within(&object, ask(&mut stream, request.as_bytes())).await?;
        let failed = |what: What, reason: &str| Fault::new(what, &object, format!("the proxy refused the connection: {reason}"));
        match status.map_err(|error| failed(What::Unreachable, &error.to_string()))? {
            200..300 => Ok(stream),
            407 if proxy.credentials.is_none() => Err(failed(What::ProxyCredentials, "407, it wants a user name and a password")),
            407 => Err(failed(What::ProxyCredentials, "407, it wants another user name or password")),
            status => {
                let what = if Barrier::of_proxy(status).is_some() { What::ProxyForbids } else { What::Unreachable };
                Err(failed(what, &status.to_string()))
            }
        }
    }
}

/// What became of a WebSocket that was not opened.
fn no_web_socket(object: &str, error: &fe2o3_amqp_ws::Error) -> Fault {
    let said = format!("no WebSocket: {}", foreign_text(&error.to_string()));
    let what = match error {
        fe2o3_amqp_ws::Error::Tungstenite(tungstenite::Error::Http(answer)) => match answer.status().as_u16() {
            408 | 425 | 429 | 500.. => What::Unreachable,
            _ => What::NoWebSocket,
        },
        _ => What::Unreachable,
    };
    Fault::new(what, object, said)
}

/// Sends the head of a request and reads the head of its answer, byte by byte: what follows is the tunnel's.
async fn ask(stream: &mut Box<dyn Duplex>, request: &[u8]) -> io::Result<u16> {
    stream.write_all(request).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= PROXY_ANSWER {
            return Err(io::Error::other("its answer has no end"));
        }
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::Error::other("its answer is no HTTP"))
}

/// A connection, of which nothing was said yet.
async fn tcp(host: &str, port: u16) -> Result<TcpStream, Fault> {
    let object = format!("{host}:{port}");
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = within(&object, TcpStream::connect((bare, port))).await?;
    let stream = stream.map_err(|error| match Barrier::of_io(&error) {
        Some(barrier) => Fault::new(What::NoHost, &object, barrier.to_string()),
        None => Fault::new(What::Unreachable, &object, format!("no connection: {error}")),
    })?;
    // Small frames go out at once; a socket that cannot do so works all the same.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

async fn within<T>(object: &str, step: impl Future<Output = T>) -> Result<T, Fault> {
    let late = |_| Fault::new(What::Unreachable, object, format!("no answer within {} s", LIMIT.as_secs()));
    timeout(LIMIT, step).await.map_err(late)
}

fn roots(trust: &Trust) -> Result<RootCertStore, Fault> {
    let Trust::Bundle(path) = trust else {
        return Ok(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect());
    };
    bundle(path).map_err(|reason| Fault::new(What::Setup, format!("ca_bundle {}", admin_text(&path.to_string_lossy())), reason))
}

fn bundle(path: &Path) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in transport::bundle(path)? {
        store.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(store)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Somebody who answers the request of a WebSocket, and goes on with the same bytes for as long as anybody listens.
    fn answers(head: &'static [u8], on: &'static [u8]) -> String {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(head);
            while !on.is_empty() && stream.write_all(on).is_ok() {
                std::thread::sleep(Duration::from_millis(1));
            }
            // Silent, until nobody listens.
            let _ = stream.read(&mut [0]);
        });
        address
    }

    #[test]
    fn a_way_that_only_keeps_one_waiting_has_an_end() {
        let transport = Transport { trust: Trust::PublicRoots, proxy: None, limit: LIMIT };
        let route = Route::new(true, &transport).unwrap();
        for (head, on, waits, what) in [
            (&b""[..], &b""[..], true, What::Unreachable),
            (b"HTTP/1.1 101 Switching Protocols\r\n", b"X-Y: z\r\n", true, What::Unreachable),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\nhello\r\n", false, What::NoWebSocket),
            (b"HTTP/1.1 403 Forbidden\r\n\r\n", b"", false, What::NoWebSocket),
            (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b"", false, What::Unreachable),
            (b"SSH-2.0-OpenSSH_9.6\r\n", b"", false, What::Unreachable),
        ] {
            // A clock that is held goes on by itself where nothing else is to be done.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(waits).build().unwrap();
            let fault = runtime.block_on(route.connect(&answers(head, on), &Ending::default())).unwrap_err();
            assert_eq!((fault.what, fault.said == "no answer within 30 s"), (what, waits), "{fault:?}");
        }
    }

    #[test]
    fn a_bundle_must_hold_certificates() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        std::fs::write(&path, "no pem").unwrap();
        let transport = Transport { trust: Trust::Bundle(path), proxy: None, limit: LIMIT };
        assert!(Route::new(false, &transport).unwrap_err().to_string().contains("no certificate in it"));
    }
}
