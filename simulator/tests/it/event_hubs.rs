//! Event Hubs, asked by a client nobody here has written: Microsoft's own for Python. It has to be installed beforehand, as
//! `build.sh test` does; without it these tests are skipped and say so.

mod wire;

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
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/azure/bin/python");
    let python = std::env::var_os("TA_DEFENDER_AZURE").map_or(usual, PathBuf::from);
    if python.exists() {
        return Some(python);
    }
    let why = format!("skipped: Microsoft's client is not installed at {}; ./build.sh test does that\n", python.display());
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
    assert_eq!((receiver.events, receiver.most_credit, receiver.settled), (50, 300, false), "{receiver:?}");
    assert!(record.tokens.iter().all(|put| put.status == 202), "{:?}", record.tokens);
}

#[test]
fn it_goes_on_where_it_was_when_the_connection_is_gone() {
    let Some(python) = python() else { return };
    let sim = Simulator::start(Config::default());
    let hubs = sim.event_hubs();
    hubs.create("hub", 1);
    // Messages of up to five frames, one of them as large as they get.
    let bodies: Vec<Vec<u8>> = (0..120_usize)
        .map(|number| vec![b'a' + (number % 26) as u8; if number == 60 { 1_000_000 } else { number * 2500 }])
        .collect();
    hubs.publish_all("hub", 0, bodies.clone());
    hubs.push_fault(Fault::new(At::Transfer, When::Nth(100), HubFault::Drop));
    hubs.push_fault(Fault::new(At::Transfer, When::Nth(150), HubFault::Cut));
    hubs.push_fault(Fault::new(At::Transfer, When::Nth(200), HubFault::Refuse(Failure::new("amqp:link:detach-forced", "Idle."))));
    let said = ask(&python, &asked(hubs, &json!({"do": "receive", "count": 120, "retries": 5})));
    assert_eq!(sequences(&said), (0..120).collect::<Vec<_>>(), "{said:?}");
    for (event, body) in said.iter().zip(&bodies) {
        assert_eq!(event["length"], body.len());
        let digest: String =
            ring::digest::digest(&ring::digest::SHA256, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(event["sha256"], digest);
    }
    assert_eq!(hubs.faults_happened().len(), 3);
    let record = hubs.record();
    let positions: Vec<_> = record.of_partition("hub", 0).map(|receiver| receiver.selector.clone().unwrap()).collect();
    assert_eq!(positions.len(), 4, "{positions:?}");
    assert!(positions[1..].iter().all(|position| position != "amqp.annotation.x-opt-offset > '-1'"), "{positions:?}");
    assert_eq!(record.violations, Vec::<String>::new());
}

#[test]
fn a_live_tail_that_is_told_of_its_end() {
    let Some(python) = python() else { return };
    let sim = Simulator::start(Config::default());
    let hubs = sim.event_hubs();
    hubs.create("hub", 1);
    hubs.publish_all("hub", 0, ["old"; 10]);
    let mut run = Run::start(&python, &asked(hubs, &json!({"do": "receive", "start": "@latest", "count": 30, "metrics": true})));
    assert!(hubs.wait(LONG, |record| record.receivers.iter().any(|receiver| receiver.credit > 0)));
    for number in 0..30 {
        hubs.publish("hub", 0, format!("new {number}"));
        let said = run.next().unwrap();
        assert_eq!((&said["sequence"], &said["last"]), (&json!(10 + number), &json!(10 + number)));
    }
    run.rest();
}

#[test]
fn a_higher_epoch_takes_the_partition_and_a_lower_one_does_not_get_it() {
    let Some(python) = python() else { return };
    let sim = Simulator::start(Config::default());
    let hubs = sim.event_hubs();
    hubs.create("hub", 1);
    let receive = |epoch: i64| asked(hubs, &json!({"do": "receive", "count": 3, "owner_level": epoch, "retries": 0}));
    let first = Run::start(&python, &receive(1));
    assert!(hubs.wait(LONG, |record| record.receivers.iter().any(|receiver| receiver.credit > 0)));
    let lower = ask(&python, &receive(0));
    assert!(lower[0]["message"].as_str().unwrap().contains("with a higher epoch '1' already exists"), "{lower:?}");
    let second = Run::start(&python, &receive(2));
    let stolen = first.rest();
    assert!(stolen[0]["message"].as_str().unwrap().contains("New receiver 'nil' with higher epoch of '2'"), "{stolen:?}");
    hubs.publish_all("hub", 0, ["event"; 3]);
    assert_eq!(sequences(&second.rest()), [0, 1, 2]);
    let ended: Vec<_> = hubs.record().receivers.iter().map(|receiver| (receiver.epoch, receiver.ended.clone())).collect();
    assert_eq!(ended[..2], [(Some(1), Some("amqp:link:stolen".to_string())), (Some(0), Some("amqp:link:stolen".to_string()))]);
}

#[test]
fn positions_that_are_gone_and_positions_that_never_were() {
    let Some(python) = python() else { return };
    let sim = Simulator::start(Config::default());
    let hubs = sim.event_hubs();
    hubs.create("hub", 1);
    hubs.publish_all("hub", 0, ["event"; 20]);
    hubs.expire("hub", 0, 15);
    let receive = |start: Value| ask(&python, &asked(hubs, &json!({"do": "receive", "start": start, "count": 5, "retries": 0})));
    assert_eq!(sequences(&receive(json!(3))), [15, 16, 17, 18, 19]);
    hubs.create("hub", 1);
    let refused = receive(json!(19));
    assert!(
        refused[0]["message"]
            .as_str()
            .unwrap()
            .contains("The supplied sequence number '19' is invalid. The last sequence number in the system is '-1'"),
        "{refused:?}"
    );
    hubs.publish_all("hub", 0, ["event"; 5]);
    assert_eq!(sequences(&receive(json!("-1"))), [0, 1, 2, 3, 4]);
}

/// A request with Entra's token.
fn with_token(sim: &Simulator, what: &Value) -> Value {
    let now = sim.now();
    let token = sim.world(|world| world.entra.issue(accounts::TENANT, accounts::CLIENT_ID, Resource::EventHubs, now)).unwrap();
    let namespace = format!("localhost:{}", sim.event_hubs().socket().port());
    let mut asked = json!({"token": token, "namespace": namespace, "hub": "hub", "do": "receive", "count": 3, "retries": 0});
    for (name, value) in what.as_object().unwrap() {
        asked[name] = value.clone();
    }
    asked
}

#[test]
fn entras_tokens() {
    let Some(python) = python() else { return };
    let sim = Simulator::start(Config::default());
    let hubs = sim.event_hubs();
    hubs.create("hub", 1);
    hubs.publish_all("hub", 0, ["event"; 3]);
    let said = ask(&python, &with_token(&sim, &json!({})));
    assert_eq!(said[0]["scopes"], json!(["https://eventhubs.azure.net//.default"]));
    assert_eq!(sequences(&said), [0, 1, 2]);
    assert_eq!(hubs.record().tokens[0].kind, "jwt");

    let wrong = ask(&python, &with_token(&sim, &json!({"token": "eyJ0eXAiOiJKV1QifQ.e30.c2ln"})));
    let error = wrong.iter().find(|said| said["error"].is_string()).unwrap();
    assert_eq!(error["error"], "AuthenticationError", "{wrong:?}");
    assert_eq!(hubs.record().tokens.last().unwrap().status, 401);

    sim.world(|world| {
        world.entra.application(accounts::TENANT, accounts::CLIENT_ID).unwrap().grant(Resource::EventHubs, &[]);
    });
    hubs.answer_missing_role(false);
    let refused = ask(&python, &with_token(&sim, &json!({})));
    let error = refused.iter().find(|said| said["error"].is_string()).unwrap();
    assert!(error["message"].as_str().unwrap().contains("'Listen' claim(s) are required"), "{refused:?}");
}

#[test]
fn tls_and_web_sockets() {
    let Some(python) = python() else { return };
    let sim = Simulator::start(Config { tls: true, ..Config::default() });
    let hubs = sim.event_hubs();
    hubs.create("hub", 1);
    hubs.publish_all("hub", 0, [vec![b'x'; 300_000], vec![b'y'; 10], vec![]]);
    for web_socket in [false, true] {
        let more = json!({
            "trust": sim.ca_bundle(),
            "endpoint": format!("localhost:{}", hubs.socket().port()),
            "namespace": "localhost",
            "websocket": web_socket,
        });
        let said = ask(&python, &with_token(&sim, &more));
        assert_eq!(sequences(&said), [0, 1, 2], "{said:?} {:?}", hubs.record());
        let connection = hubs.record().connections.last().unwrap().clone();
        assert_eq!((connection.tls, connection.web_socket), (true, web_socket));
    }
}
