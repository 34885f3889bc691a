//! HTTP/1.1 over sockets, with or without TLS: one thread per connection, and every byte of an answer in our hands.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::model::Transfer;
use crate::wire::{Delivery, Request, Response};

/// How often a waiting connection looks whether it should stop.
const LOOK: Duration = Duration::from_millis(100);
/// A connection without a request for so long is closed.
const IDLE: Duration = Duration::from_secs(60);
/// A longer head is refused; a longer body, too.
const HEAD_LIMIT: usize = 64 * 1024;
const BODY_LIMIT: usize = 64 * 1024 * 1024;
/// Bytes in a chunk of a chunked answer.
const CHUNK: usize = 8 * 1024;
/// Bodies below this are not worth compressing.
const GZIP_FROM: usize = 512;

/// What answers requests, and in which framing.
pub(crate) type Handler = Arc<dyn Fn(&Request) -> (Response, Transfer, Encoding) + Send + Sync>;

/// Whether an answer may be compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// When the caller takes gzip.
    Gzip,
    /// Never; splunkd does not by default.
    Identity,
}

/// A listening socket and its thread; it stops when dropped.
pub(crate) struct Listener {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens on an address; port 0 takes a free one.
    pub(crate) fn start(address: SocketAddr, tls: Option<Arc<ServerConfig>>, handler: Handler) -> io::Result<Self> {
        Self::serve(address, move |stream, stop| {
            let scheme = if tls.is_some() { "https" } else { "http" };
            let wire = match &tls {
                Some(config) => match ServerConnection::new(Arc::clone(config)) {
                    Ok(connection) => Wire::Tls(Box::new(StreamOwned::new(connection, stream))),
                    Err(_) => return,
                },
                None => Wire::Plain(stream),
            };
            // A caller that goes away is not our failure.
            let _ = converse(wire, scheme, &handler, stop);
        })
    }

    /// Listens and hands every connection to `connection` on a thread of its own.
    pub(crate) fn serve(
        address: SocketAddr,
        connection: impl Fn(TcpStream, &AtomicBool) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let socket = TcpListener::bind(address)?;
        let address = socket.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let connection = Arc::new(connection);
        let thread = thread::Builder::new().name(format!("listen-{}", address.port())).spawn(move || {
            for stream in socket.incoming() {
                if stopping.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let (stop, connection) = (Arc::clone(&stopping), Arc::clone(&connection));
                let _ = stream.set_nodelay(true);
                let _ = stream.set_read_timeout(Some(LOOK));
                // Nobody waits for these: they look at `stop` themselves.
                let _ = thread::Builder::new().name("connection".to_string()).spawn(move || connection(stream, &stop));
            }
        })?;
        Ok(Listener { address, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // The thread sits in accept; one more connection wakes it.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.read(buffer),
            Wire::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.write(buffer),
            Wire::Tls(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Wire::Plain(stream) => stream.flush(),
            Wire::Tls(stream) => stream.flush(),
        }
    }
}

impl Wire {
    /// Ends a connection in the orderly way.
    fn goodbye(mut self) {
        if let Wire::Tls(stream) = &mut self {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    }

    /// Reads more, waiting as long as nobody asks to stop. Nothing more to come is `Ok(0)`.
    fn more(&mut self, into: &mut Vec<u8>, stop: &AtomicBool) -> io::Result<usize> {
        let mut buffer = [0; 16 * 1024];
        let since = Instant::now();
        loop {
            match self.read(&mut buffer) {
                Ok(read) => {
                    into.extend_from_slice(&buffer[..read]);
                    return Ok(read);
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    if stop.load(Ordering::SeqCst) || since.elapsed() > IDLE {
                        return Ok(0);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Answers requests until the caller, a fault or the end of the stand-in closes the connection.
fn converse(mut wire: Wire, scheme: &str, handler: &Handler, stop: &AtomicBool) -> io::Result<()> {
    let mut held = Vec::new();
    loop {
        let Some(incoming) = receive(&mut wire, &mut held, scheme, stop)? else {
            wire.goodbye();
            return Ok(());
        };
        let Incoming { request, keep } = match incoming {
            Ok(incoming) => incoming,
            Err(what) => {
                wire.write_all(
                    format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{what}", what.len())
                        .as_bytes(),
                )?;
                wire.goodbye();
                return Ok(());
            }
        };
        let (response, transfer, encoding) = handler(&request);
        if !send(&mut wire, &request, response, transfer, encoding, keep, stop)? {
            return Ok(());
        }
        if !keep {
            wire.goodbye();
            return Ok(());
        }
    }
}

struct Incoming {
    request: Request,
    keep: bool,
}

/// Reads one request; `None` when the caller is gone, an inner error when it is not HTTP.
fn receive(wire: &mut Wire, held: &mut Vec<u8>, scheme: &str, stop: &AtomicBool) -> io::Result<Option<Result<Incoming, String>>> {
    let (mut request, length, version) = loop {
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut parsed = httparse::Request::new(&mut headers);
        match parsed.parse(held) {
            Ok(httparse::Status::Complete(length)) => {
                let target = parsed.path.unwrap_or_default().to_string();
                let mut request = Request::new(parsed.method.unwrap_or_default(), &target);
                let decoded = |header: &httparse::Header<'_>| {
                    (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).trim().to_string())
                };
                request.headers = parsed.headers.iter().map(decoded).collect();
                break (request, length, parsed.version.unwrap_or(0));
            }
            Ok(httparse::Status::Partial) if held.len() > HEAD_LIMIT => {
                return Ok(Some(Err("The request's head is too long.".to_string())));
            }
            Ok(httparse::Status::Partial) => {}
            Err(error) => return Ok(Some(Err(format!("This is not an HTTP request: {error}.")))),
        }
        if wire.more(held, stop)? == 0 {
            return Ok(None);
        }
    };
    held.drain(..length);
    if request.header_value("host").is_none() && version == 1 {
        return Ok(Some(Err("The header Host is missing.".to_string())));
    }
    if request.header_value("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        wire.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        wire.flush()?;
    }
    let chunked = request.header_value("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    if chunked {
        loop {
            match httparse::parse_chunk_size(held) {
                Ok(httparse::Status::Complete((start, size))) => {
                    let (size, end) = (size as usize, start + size as usize + 2);
                    if size > BODY_LIMIT {
                        return Ok(Some(Err("The request's body is too long.".to_string())));
                    }
                    while held.len() < end {
                        if wire.more(held, stop)? == 0 {
                            return Ok(None);
                        }
                    }
                    request.body.extend_from_slice(&held[start..start + size]);
                    held.drain(..end);
                    if size == 0 {
                        break;
                    }
                }
                Ok(httparse::Status::Partial) => {
                    if wire.more(held, stop)? == 0 {
                        return Ok(None);
                    }
                }
                Err(_) => {
                    return Ok(Some(Err("A chunk of the request's body has no size.".to_string())));
                }
            }
        }
    } else {
        let size: usize = request.header_value("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        if size > BODY_LIMIT {
            return Ok(Some(Err("The request's body is too long.".to_string())));
        }
        while held.len() < size {
            if wire.more(held, stop)? == 0 {
                return Ok(None);
            }
        }
        request.body = held.drain(..size).collect();
    }
    request.origin = format!("{scheme}://{}", request.header_value("host").unwrap_or_default());
    let wishes = request.header_value("connection").unwrap_or_default().to_ascii_lowercase();
    let keep = if version == 1 { !wishes.contains("close") } else { wishes.contains("keep-alive") };
    Ok(Some(Ok(Incoming { request, keep })))
}

/// Sends an answer; false when the connection is over.
fn send(
    wire: &mut Wire,
    request: &Request,
    response: Response,
    transfer: Transfer,
    encoding: Encoding,
    keep: bool,
    stop: &AtomicBool,
) -> io::Result<bool> {
    match response.delivery {
        Delivery::Refused => return Ok(false),
        Delivery::Silent => {
            let mut ignored = Vec::new();
            while wire.more(&mut ignored, stop)? > 0 {}
            return Ok(false);
        }
        Delivery::Late(wait) => pause(wait, stop),
        _ => {}
    }
    let endless = matches!(response.delivery, Delivery::Endless(_));
    let mut body = response.body;
    let mut head = format!("HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let takes_gzip =
        request.header_value("accept-encoding").is_some_and(|value| value.split(',').any(|part| part.trim().starts_with("gzip")));
    if encoding == Encoding::Gzip && takes_gzip && body.len() >= GZIP_FROM && !endless {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&body)?;
        body = gzip.finish()?;
        head.push_str("Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n");
    }
    let chunked = endless || (transfer == Transfer::Chunked && response.status == 200);
    if chunked {
        head.push_str("Transfer-Encoding: chunked\r\n");
    } else if response.status != 204 {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    if !keep {
        head.push_str("Connection: close\r\n");
    }
    head.push_str("\r\n");

    let (piece, wait) = match response.delivery {
        Delivery::Slow { piece, pause } => (piece, pause),
        _ => (CHUNK, Duration::ZERO),
    };
    let cut = match response.delivery {
        Delivery::Cut(after) => Some(after.min(body.len())),
        _ => None,
    };
    wire.write_all(head.as_bytes())?;
    wire.flush()?;
    for part in body[..cut.unwrap_or(body.len())].chunks(piece) {
        if wait > Duration::ZERO {
            pause(wait, stop);
            if stop.load(Ordering::SeqCst) {
                return Ok(false);
            }
        }
        if chunked {
            let mut framed = format!("{:x}\r\n", part.len()).into_bytes();
            framed.extend_from_slice(part);
            framed.extend_from_slice(b"\r\n");
            wire.write_all(&framed)?;
        } else {
            wire.write_all(part)?;
        }
        if wait > Duration::ZERO {
            wire.flush()?;
        }
    }
    if cut.is_some() {
        wire.flush()?;
        return Ok(false);
    }
    if let Delivery::Endless(wait) = response.delivery {
        while !stop.load(Ordering::SeqCst) {
            wire.write_all(b"1\r\n \r\n")?;
            wire.flush()?;
            pause(wait, stop);
        }
        return Ok(false);
    }
    if chunked {
        wire.write_all(b"0\r\n\r\n")?;
    }
    wire.flush()?;
    Ok(true)
}

/// Waits, in steps short enough to stop in between.
fn pause(wait: Duration, stop: &AtomicBool) {
    let until = Instant::now() + wait;
    while !stop.load(Ordering::SeqCst) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(LOOK));
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        409 => "Conflict",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}
