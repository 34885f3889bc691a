//! HTTP/1.1 over sockets, with or without TLS: one thread per connection, and every byte of an answer in our hands.

mod receive;
mod send;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::model::Transfer;
use crate::wire::{Request, Response};
use receive::{Incoming, receive};
use send::send;

/// How often a waiting connection looks whether it should stop.
const LOOK: Duration = Duration::from_millis(100);
/// A connection without a request for so long is closed.
const IDLE: Duration = Duration::from_secs(60);

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
