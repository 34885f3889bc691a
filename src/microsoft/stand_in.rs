//! For tests: a server that gives prepared answers one after another and keeps what it was sent, and the shared samples.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread::JoinHandle;

use crate::http::{Http, Transport, Trust};

/// A running server.
pub(super) struct StandIn {
    /// Its base URL.
    pub(super) url: String,
    thread: JoinHandle<Vec<String>>,
}

impl StandIn {
    /// Gives these answers (status line without version, headers, body), then stops.
    pub(super) fn new(answers: Vec<(&'static str, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let mut heard = Vec::new();
            for (head, body) in answers {
                let (stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream);
                let (mut request, mut length) = (String::new(), 0);
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    request.push_str(&line);
                    if line == "\r\n" {
                        break;
                    }
                }
                let mut sent = vec![0; length];
                reader.read_exact(&mut sent).unwrap();
                request.push_str(std::str::from_utf8(&sent).unwrap());
                heard.push(request);
                let (status, headers) = head.split_once('\n').unwrap_or((head, ""));
                let headers: String = headers.lines().map(|line| format!("{line}\r\n")).collect();
                let answer =
                    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
                reader.into_inner().write_all(answer.as_bytes()).unwrap();
            }
            heard
        });
        Self { url, thread }
    }

    /// The requests, after all answers were given.
    pub(super) fn heard(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
}

/// A client for it.
pub(super) fn http() -> Http {
    let limit = std::time::Duration::from_secs(10);
    Http::new(&Transport { trust: Trust::PublicRoots, proxy: None, limit }).unwrap()
}

/// A sample of the shared folder; `None`, with the reason printed, where that folder is absent. In CI it must be there.
#[allow(clippy::print_stderr)]
pub(crate) fn fixture(name: &str) -> Option<Vec<u8>> {
    let shared = std::env::var_os("TA_DEFENDER_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = shared.join("fixtures").join(name);
    if !shared.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "{} is needed in CI", shared.display());
        eprintln!("skipped: {} is absent", shared.display());
        return None;
    }
    Some(std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}
