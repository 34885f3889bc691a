//! A connection's socket: plain or TLS, AMQP as it is or inside a WebSocket. One thread reads, one does the rest.

mod web_socket;

use std::io::{self, Cursor, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection};

use super::connection::{Connection, Fate, Now};
use super::record;
use super::service::{Bell, Service};
use web_socket::WebSocket;

/// How often a connection without news looks at its clocks.
const LOOK: Duration = Duration::from_millis(50);
/// Pieces that were read and not looked at yet.
const QUEUE: usize = 64;

/// What a connection's thread is woken by.
pub(crate) enum Input {
    /// Octets from the socket.
    Bytes(Vec<u8>),
    /// The client sends nothing more.
    End,
    /// Something of the hubs has changed.
    News,
}

/// Serves a connection to its end.
pub(crate) fn serve(stream: TcpStream, tls: Option<&Arc<ServerConfig>>, service: &Arc<Service>, stop: &AtomicBool) {
    // A caller that goes away is not our failure.
    let _ = serve_or_fail(stream, tls, service, stop);
}

fn serve_or_fail(
    stream: TcpStream,
    tls: Option<&Arc<ServerConfig>>,
    service: &Arc<Service>,
    stop: &AtomicBool,
) -> io::Result<()> {
    let (sender, input) = sync_channel(QUEUE);
    let bell = Arc::new(Bell::new(sender.clone()));
    service.hang(&bell);
    let reading = stream.try_clone()?;
    reading.set_read_timeout(None)?;
    stream.set_write_timeout(Some(Duration::from_millis(100)))?;
    thread::Builder::new().name("hub-read".to_string()).spawn(move || read(reading, &sender))?;
    let tls = tls.map(|config| ServerConnection::new(Arc::clone(config))).transpose().map_err(io::Error::other)?;
    let dropped = service.dropped.load(Ordering::SeqCst);
    let mut wire = Wire { stream, tls, web_socket: None, first: true, stop, service, dropped };
    let outcome = converse(&mut wire, &input, &bell, service);
    // Wakes the thread that reads as well.
    let _ = wire.stream.shutdown(Shutdown::Both);
    outcome
}

fn read(mut stream: TcpStream, input: &SyncSender<Input>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(read) if read > 0 => {
                if input.send(Input::Bytes(buffer[..read].to_vec())).is_err() {
                    return;
                }
            }
            _ => {
                let _ = input.send(Input::End);
                return;
            }
        }
    }
}

struct Wire<'a> {
    stream: TcpStream,
    tls: Option<ServerConnection>,
    web_socket: Option<WebSocket>,
    /// Nothing has come yet: the first octets tell a WebSocket from AMQP.
    first: bool,
    stop: &'a AtomicBool,
    service: &'a Service,
    /// How often all connections had been dropped when this one came.
    dropped: u64,
}

fn converse(wire: &mut Wire<'_>, input: &Receiver<Input>, bell: &Bell, service: &Arc<Service>) -> io::Result<()> {
    let start = Instant::now();
    let now = || Now { wall: service.now(), since_start: start.elapsed() };
    let record = record::Connection { tls: wire.tls.is_some(), ..record::Connection::default() };
    let mut connection = Connection::new(Arc::clone(service), record, now());
    let outcome = exchange(wire, input, bell, &mut connection, &now);
    connection.gone(now());
    outcome
}

fn exchange(
    wire: &mut Wire<'_>,
    input: &Receiver<Input>,
    bell: &Bell,
    connection: &mut Connection,
    now: &dyn Fn() -> Now,
) -> io::Result<()> {
    let mut busy = false;
    let mut ended = false;
    loop {
        let next = if busy { input.try_recv().map_err(|_| RecvTimeoutError::Timeout) } else { input.recv_timeout(LOOK) };
        match next {
            Ok(Input::Bytes(bytes)) => {
                let plain = wire.incoming(&bytes, connection)?;
                if !plain.is_empty() {
                    connection.receive(&plain, now());
                }
            }
            Ok(Input::End) | Err(RecvTimeoutError::Disconnected) => ended = true,
            Ok(Input::News) | Err(RecvTimeoutError::Timeout) => {}
        }
        if wire.is_over() || ended {
            return Ok(());
        }
        bell.reset();
        busy = connection.send(now());
        wire.outgoing(&mut connection.out)?;
        match connection.fate {
            Fate::Going | Fate::Closing(_) | Fate::Stalled => {}
            Fate::Dropped => return Ok(()),
            Fate::Closed => return wire.goodbye(input),
        }
        wire.rest(std::mem::take(&mut connection.pause));
    }
}

impl Wire<'_> {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::SeqCst) || self.service.dropped.load(Ordering::SeqCst) != self.dropped
    }

    /// What the octets of the socket are in AMQP.
    fn incoming(&mut self, bytes: &[u8], connection: &mut Connection) -> io::Result<Vec<u8>> {
        let plain = match &mut self.tls {
            None => bytes.to_vec(),
            Some(tls) => {
                let mut cursor = Cursor::new(bytes);
                let mut plain = Vec::new();
                while (cursor.position() as usize) < bytes.len() {
                    tls.read_tls(&mut cursor)?;
                    let state = tls.process_new_packets();
                    // An alert is worth sending even when the handshake has failed.
                    if state.is_err() {
                        self.flush()?;
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                    match tls.reader().read_to_end(&mut plain) {
                        Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                        _ => {}
                    }
                }
                self.flush()?;
                plain
            }
        };
        if self.first && !plain.is_empty() {
            self.first = false;
            if plain[0] == b'G' {
                self.web_socket = Some(WebSocket::default());
                connection.is_web_socket();
            }
        }
        let Some(web_socket) = &mut self.web_socket else { return Ok(plain) };
        let mut answer = Vec::new();
        let inside = web_socket.incoming(&plain, &mut answer);
        self.write(&answer)?;
        inside
    }

    /// Writes octets of AMQP.
    fn outgoing(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        if self.web_socket.is_some() {
            self.write(&web_socket::frame(out))?;
        } else {
            self.write(out)?;
        }
        out.clear();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.tls.is_none() {
            return self.write_all(bytes);
        }
        for piece in bytes.chunks(16 * 1024) {
            if let Some(tls) = &mut self.tls {
                tls.writer().write_all(piece)?;
            }
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what TLS has made.
    fn flush(&mut self) -> io::Result<()> {
        let mut records = Vec::new();
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut records)?;
            }
        }
        self.write_all(&records)
    }

    /// Writes to the socket, however long the client lets it wait, unless somebody asks to stop.
    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    if self.is_over() {
                        return Err(error);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn rest(&self, pause: Duration) {
        let end = Instant::now() + pause;
        while !self.is_over() && Instant::now() < end {
            thread::sleep(LOOK.min(end.saturating_duration_since(Instant::now())));
        }
    }

    /// Ends in the orderly way: the client gets what was written, and some time to end as well.
    fn goodbye(&mut self, input: &Receiver<Input>) -> io::Result<()> {
        if self.web_socket.is_some() {
            self.write(&web_socket::CLOSE)?;
        }
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        self.flush()?;
        self.stream.shutdown(Shutdown::Write)?;
        let end = Instant::now() + Duration::from_secs(5);
        while !self.is_over() && Instant::now() < end {
            match input.recv_timeout(LOOK) {
                Ok(Input::End) | Err(RecvTimeoutError::Disconnected) => break,
                _ => {}
            }
        }
        Ok(())
    }
}
