//! Event Hubs, asked by a client nobody here has written: Microsoft's own for Python. It has to be installed beforehand, as
//! `build.sh test` does; without it these tests are skipped and say so.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use simulator::entra::Resource;
use simulator::event_hubs::{At, EventHubs, Failure, Fault, HubFault};
use simulator::{Config, Simulator, When, accounts};

/// Longer than anything here takes on a machine that has other things to do.
const LONG: Duration = Duration::from_secs(60);

/// The interpreter that has the client.
fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let python = root.join("target/azure/bin/python");
    if python.exists() {
        return Some(python);
    }
    let why = format!("skipped: {} is missing; `./build.sh azure` installs Microsoft's client\n", python.display());
    let _ = std::io::Write::write_all(&mut std::io::stderr(), why.as_bytes());
    None
}

/// A run of the client.
struct Run {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Run {
    fn start(python: &Path, asked: &Value) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/client.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg(asked.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Run { child, lines }
    }

    /// The next thing it says.
    fn next(&mut self) -> Option<Value> {
        self.lines.next().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
    }

    /// All it still says until it ends.
    fn rest(mut self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Some(said) = self.next() {
            all.push(said);
        }
        assert!(self.child.wait().unwrap().success(), "{all:?}");
        all
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(python: &Path, asked: &Value) -> Vec<Value> {
    Run::start(python, asked).rest()
}

/// A request with a connection string.
fn asked(hubs: &EventHubs, what: &Value) -> Value {
    let mut asked = json!({"connection": hubs.connection_string(None), "hub": "hub"});
    for (name, value) in what.as_object().unwrap() {
        asked[name] = value.clone();
    }
    asked
}

fn sequences(said: &[Value]) -> Vec<i64> {
    said.iter().filter_map(|said| said["sequence"].as_i64()).collect()
}

#[test]
fn what_there_is_and_every_event_of_a_partition() {
    let Some(python) = python() else { return };
    let sim = Simulator::start(Config::default());
    let hubs = sim.event_hubs();
    hubs.create("hub", 2);
    let said = ask(&python, &asked(hubs, &json!({"do": "properties"})));
    assert_eq!((&said[0]["hub"], &said[0]["partitions"]), (&json!("hub"), &json!(["0", "1"])));
    assert_eq!(said[1], json!({"partition": "0", "first": 0, "last": -1, "offset": "-1", "empty": true}));

    for number in 0..50 {
        hubs.publish("hub", 1, format!("{{\"records\":[{number}]}}"));
    }
    let said = ask(&python, &asked(hubs, &json!({"do": "receive", "partition": "1", "count": 50})));
    assert_eq!(sequences(&said), (0..50).collect::<Vec<_>>());
    let record = hubs.record();
    assert_eq!(record.violations, Vec::<String>::new());
    let receiver = record.of_partition("hub", 1).next().unwrap();
    assert_eq!(receiver.selector.as_deref(), Some("amqp.annotation.x-opt-offset > '-1'"));
    assert_eq!((receiver.events, receiver.accepted, receiver.settled), (50, 50, false), "{receiver:?}");
    assert!(record.tokens.iter().all(|put| put.status == 202), "{:?}", record.tokens);
}

