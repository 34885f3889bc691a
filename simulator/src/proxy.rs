//! A stand-in for a company's HTTP proxy: CONNECT only, with a list of what went through.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::server::Listener;

/// What the proxy wants before it connects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    #[default]
    Open,
    /// Basic authentication, as user and password.
    Basic(String, String),
    /// It connects nobody, and answers with this status and an HTML page.
    Denied(u16),
    /// It says yes to everybody, and what comes through the tunnel is a page of its own.
    Page,
}

/// One attempt to get through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// `host:port` as asked.
    pub target: String,
    /// The header `Proxy-Authorization`, if there was one.
    pub authorization: Option<String>,
    /// What the proxy answered.
    pub status: u16,
}

/// A running proxy; it stops when dropped.
pub struct Proxy {
    listener: Listener,
    tunnels: Arc<Mutex<Vec<Tunnel>>>,
}

impl Proxy {
    /// Starts a proxy. `hosts` says where names lead (`graph.microsoft.com:443` to a stand-in); a loopback address leads to
    /// itself, and anything else is 502: nothing here reaches the outside.
    pub fn start(access: Access, hosts: BTreeMap<String, SocketAddr>) -> io::Result<Self> {
        let tunnels = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&tunnels);
        let listener = Listener::serve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), move |stream, stop| {
            let _ = tunnel(stream, &access, &hosts, &kept, stop);
        })?;
        Ok(Proxy { listener, tunnels })
    }

    /// `http://127.0.0.1:port`
    pub fn url(&self) -> String {
        format!("http://{}", self.listener.address())
    }

    /// Who tried to get through so far.
    pub fn tunnels(&self) -> Vec<Tunnel> {
        self.tunnels.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn tunnel(
    mut caller: TcpStream,
    access: &Access,
    hosts: &BTreeMap<String, SocketAddr>,
    kept: &Mutex<Vec<Tunnel>>,
    stop: &AtomicBool,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match caller.read(&mut byte) {
            Ok(0) => return Ok(()),
            Ok(_) => head.push(byte[0]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                if stop.load(Ordering::SeqCst) {
                    return Ok(());
                }
            }
            Err(error) => return Err(error),
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut words = text.lines().next().unwrap_or_default().split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().to_string());
    let header = |line: &str| {
        line.split_once(':')
            .filter(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"))
            .map(|(_, value)| value.trim().to_string())
    };
    let authorization = text.lines().find_map(header);

    let admitted = match access {
        Access::Open | Access::Page => None,
        Access::Denied(status) => Some(*status),
        Access::Basic(user, password) => {
            let wanted = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
            (authorization.as_deref() != Some(&wanted)).then_some(407)
        }
    };
    if *access == Access::Page {
        kept.lock().unwrap_or_else(PoisonError::into_inner).push(Tunnel { target, authorization, status: 200 });
        caller.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        // What the caller begins with is waited for, or the end of the connection would take the page with it.
        let _ = caller.read(&mut [0; 4096]);
        return caller.write_all(b"<html><title>Sign in</title><p>Accept the rules of this network first.</p></html>");
    }
    let address =
        hosts.get(&target).copied().or_else(|| target.parse().ok().filter(|address: &SocketAddr| address.ip().is_loopback()));
    let upstream = match (admitted, method, address) {
        (Some(status), _, _) => Err(status),
        (None, "CONNECT", Some(address)) => TcpStream::connect(address).map_err(|_| 502),
        (None, "CONNECT", None) => Err(502),
        _ => Err(405),
    };
    let status = upstream.as_ref().map_or_else(|status| *status, |_| 200);
    kept.lock().unwrap_or_else(PoisonError::into_inner).push(Tunnel { target, authorization, status });
    let upstream = match upstream {
        Ok(upstream) => upstream,
        Err(status) => {
            let page = "<html><body><h1>Proxy</h1><p>This connection is not allowed.</p></body></html>";
            let challenge = if status == 407 { "Proxy-Authenticate: Basic realm=\"proxy\"\r\n" } else { "" };
            let answer = format!(
                "HTTP/1.1 {status} Refused\r\nContent-Type: text/html\r\n{challenge}Content-Length: {}\r\nConnection: close\r\n\r\n{page}",
                page.len()
            );
            return caller.write_all(answer.as_bytes());
        }
    };
    caller.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    caller.set_read_timeout(None)?;
    let (mut from_caller, mut to_upstream) = (caller.try_clone()?, upstream.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from_caller, &mut to_upstream);
        let _ = to_upstream.shutdown(std::net::Shutdown::Write);
    });
    let mut upstream = upstream;
    let _ = io::copy(&mut upstream, &mut caller);
    caller.shutdown(std::net::Shutdown::Both)
}
