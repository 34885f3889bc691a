//! Drivers written as shell scripts: what becomes of them, and of those that ask.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::splunkd::Splunkd;

/// A driver that answers its first request so, and then waits for the end.
fn replying(reply: &str) -> String {
    format!("read -r line; reply={reply}; printf '0\\n%s\\n%s' \"${{#reply}}\" \"$reply\"; exec cat >/dev/null")
}

struct App {
    folder: tempfile::TempDir,
}

impl App {
    fn new(script: &str, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let conf = format!(
            "# a comment\n[validation:x]\na = \"b\"\n[script:x]\nmatch = /x\nscripttype = persist\ndriver = d\nscript = d\n{settings}"
        );
        fs::write(folder.path().join("restmap.conf"), conf).unwrap();
        let path = folder.path().join("d");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        App { folder }
    }

    fn handlers(&self, limit: Duration) -> io::Result<Handlers> {
        let (restmap, folder) = (self.folder.path().join("restmap.conf"), self.folder.path());
        Handlers::new(&Setup { restmap: &restmap, bin: folder, home: folder, rest_uri: "http://127.0.0.1:1", limit })
    }
}

fn ask(handlers: &Handlers, request: &Request) -> Response {
    let mut world = World::empty();
    world.splunkd = Splunkd::default();
    world.splunkd.add_session("good", "ann", &["list_storage_passwords"]);
    world.splunkd.add_session("poor", "bob", &["search"]);
    let now = Time::from_unix(1_800_000_000);
    let endpoint = handlers.find(request).expect("a handler of that path");
    match admit(&mut world, endpoint, request, now) {
        Ok(admitted) => handlers.run(endpoint, &admitted, request, now),
        Err(refused) => refused,
    }
}

fn post(key: &str) -> Request {
    let request = Request::new("POST", "/servicesNS/nobody/TA_x/x/y?output_mode=json");
    request.header("authorization", &format!("Splunk {key}")).body("application/x-www-form-urlencoded", "a=b%20c")
}

fn patience() -> Duration {
    Duration::from_secs(20)
}

#[test]
fn a_reply_becomes_an_answer() {
    let app = App::new(&replying("'{\"status\":201,\"payload\":{\"a\":1},\"headers\":{\"X-A\":\"b\"}}'"), "");
    let handlers = app.handlers(patience()).unwrap();
    let answer = ask(&handlers, &post("good"));
    assert_eq!((answer.status, answer.text().as_str()), (201, "{\"a\":1}"));
    assert_eq!(answer.header_value("x-a"), Some("b"));
    assert_eq!(handlers.processes().len(), 1);
}

#[test]
fn who_may_ask() {
    let app = App::new("exit 3", "capability.post = list_storage_passwords\n");
    let handlers = app.handlers(patience()).unwrap();
    assert_eq!(ask(&handlers, &post("nobody's")).status, 401);
    let refused = ask(&handlers, &post("poor"));
    assert!(refused.status == 403 && refused.text().contains("requires capability: list_storage_passwords"), "{refused:?}");
    // Admitted, and then the driver fails.
    assert_eq!(ask(&handlers, &post("good")).status, 500);
}

#[test]
fn drivers_that_fail() {
    for (script, said) in [
        ("exit 1", "ended without an answer"),
        ("printf '5\\nwrong'; exec sleep 20", "refuses the script: wrong"),
        ("printf '0\\n3\\n{}'", "ended without an answer"),
        ("printf 'DEBUG hello\\n'; exec sleep 20", "ended without an answer"),
        ("printf '0\\n2\\n[]'; exec sleep 20", "sent what is no answer"),
        ("printf '0\\n'; exec sleep 20", "no answer in time"),
    ] {
        let app = App::new(&format!("read -r line; {script}"), "");
        let handlers = app.handlers(if said.contains("in time") { Duration::from_millis(300) } else { patience() }).unwrap();
        let answer = ask(&handlers, &post("good"));
        assert!(answer.status == 500 && answer.text().contains(said), "{script}: {}", answer.text());
        assert!(answer.text().contains("\"messages\""), "{}", answer.text());
    }
}

#[test]
fn a_driver_that_died_is_started_again() {
    let app = App::new(&replying("'{\"payload\":\"'$$'\"}'"), "");
    let handlers = app.handlers(patience()).unwrap();
    let first = ask(&handlers, &post("good")).text();
    let pid = handlers.processes()[0];
    assert_eq!(first, pid.to_string());
    // Its standard input closed, the script ends.
    drop(lock(&handlers.idle).values_mut().next().unwrap().pop());
    assert!(handlers.processes().is_empty());
    let second = ask(&handlers, &post("good")).text();
    assert_ne!(first, second);
}

#[test]
fn a_stanza_has_to_be_whole() {
    for (settings, said) in [
        ("passSystemAuth = true\n", "system token"),
        ("requireAuthentication = false\n", "open handler"),
        ("match = x\n", "slash"),
        ("driver =\n", "driver is missing"),
        ("nonsense\n", "neither a stanza nor a setting"),
    ] {
        let error = App::new("", settings).handlers(patience()).err().unwrap().to_string();
        assert!(error.contains(said), "{settings}: {error}");
    }
}
