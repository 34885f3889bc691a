//! A splunkd for the tests of this folder: answers by script, keeps secrets, remembers what it was asked.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use percent_encoding::percent_decode_str;
use serde_json::json;

use super::{App, Splunkd};
use crate::secret::Secret;

/// The app the tests ask about.
pub(super) const APP: App = App { id: "TA_test", secret_role: "test_reader" };
/// The session key the tests use.
pub(super) const KEY: &str = "s3ss10n^key";

/// One request as it came.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// `GET /path?query`, percent-encoding untouched.
    pub(super) line: String,
    /// The `Authorization` header.
    pub(super) authorization: String,
    /// The form, decoded, in order.
    pub(super) form: Vec<(String, String)>,
}

/// A listener that answers for as long as the test runs.
pub(super) struct StandIn {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl StandIn {
    /// Answers every request with what `answer` gives.
    pub(super) fn new(mut answer: impl FnMut(&Asked) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = receive(&stream);
                let (status, body) = answer(&request);
                log.lock().unwrap().push(request);
                let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                stream.write_all((head + &body).as_bytes()).unwrap();
            }
        });
        Self { port, asked }
    }

    /// Gives the same answer every time.
    pub(super) fn always(status: u16, body: &str) -> Self {
        let body = body.to_owned();
        Self::new(move |_| (status, body.clone()))
    }

    /// Gives one answer after the other; asked more often, 500.
    pub(super) fn in_turn<const N: usize>(answers: [(u16, &str); N]) -> Self {
        let mut answers = answers.map(|(status, body)| (status, body.to_owned())).into_iter();
        Self::new(move |_| answers.next().unwrap_or((500, "asked once too often".to_owned())))
    }

    /// Keeps `storage/passwords` the way splunkd does.
    pub(super) fn with_passwords() -> Self {
        let mut kept: BTreeMap<String, (String, String, String)> = BTreeMap::new();
        Self::new(move |asked| {
            let (method, target) = asked.line.split_once(' ').unwrap();
            let path = target.split('?').next().unwrap().strip_prefix("/servicesNS/nobody/TA_test/storage/passwords").unwrap();
            let name = percent_decode_str(path.trim_start_matches('/')).decode_utf8().unwrap().into_owned();
            let field = |name: &str| asked.form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
            let missing = (404, r#"{"messages":[{"type":"ERROR","text":"Could not find object."}]}"#.to_owned());
            let show = |(realm, user, clear): &(String, String, String)| {
                let content = json!({"realm": realm, "username": user, "password": "********", "clear_password": clear});
                json!({"entry": [{"name": format!("{realm}:{user}:"), "content": content}]}).to_string()
            };
            match (method, name.as_str()) {
                ("POST", "") => {
                    let (realm, user) = (field("realm").unwrap(), field("name").unwrap());
                    let clear = field("password").unwrap();
                    assert!(clear.len() <= 255, "splunkd cannot encrypt more");
                    let name = format!("{realm}:{user}:");
                    if kept.contains_key(&name) {
                        return (409, "{}".to_owned());
                    }
                    kept.insert(name, (realm, user, clear));
                    (201, "{}".to_owned())
                }
                ("POST", name) => match kept.get_mut(name) {
                    Some(entry) => {
                        assert!(field("name").is_none() && field("realm").is_none(), "not accepted in a change");
                        entry.2 = field("password").unwrap();
                        assert!(entry.2.len() <= 255, "splunkd cannot encrypt more");
                        (200, show(entry))
                    }
                    None => missing,
                },
                ("DELETE", name) => kept.remove(name).map_or(missing, |_| (200, "{}".to_owned())),
                (_, name) => kept.get(name).map_or(missing, |entry| (200, show(entry))),
            }
        })
    }

    /// A client of it.
    pub(super) fn client(&self) -> Splunkd {
        Splunkd::new(&format!("http://127.0.0.1:{}", self.port), Secret::new(KEY), APP, None).unwrap()
    }

    /// What it was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The request lines so far.
    pub(super) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

fn receive(stream: &TcpStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let header = |name: &str| {
        let found = lines.iter().find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)));
        found.map_or_else(String::new, |(_, value)| value.to_owned())
    };
    let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8().unwrap().into_owned();
    let body = String::from_utf8(body).unwrap();
    let form = body.split('&').filter_map(|pair| pair.split_once('=')).map(|(key, value)| (decode(key), decode(value)));
    Asked {
        line: lines[0].trim_end_matches(" HTTP/1.1").to_owned(),
        authorization: header("authorization"),
        form: form.collect(),
    }
}
