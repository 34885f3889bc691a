//! The program `simulator`: addresses in a file, objects that change, a signal that ends it.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn run(arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_simulator")).args(arguments).output().unwrap()
}

#[test]
fn it_serves_until_it_is_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ports");
    let arguments = ["--tls", "--alerts", "5", "--incidents", "2", "--change-every", "20ms"];
    let arguments = [&arguments[..], &["--hub", "hub:3", "--publish-every", "20ms", "--port-file"]].concat();
    let mut child =
        Command::new(env!("CARGO_BIN_EXE_simulator")).args(arguments).arg(&file).stdout(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    let text = loop {
        if let Ok(text) = std::fs::read_to_string(&file) {
            break text;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "no port file");
        std::thread::sleep(Duration::from_millis(20));
    };
    let values: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    for name in ["login", "graph", "defender", "splunkd"] {
        let address = values[name].strip_prefix("https://").unwrap();
        std::net::TcpStream::connect(address).unwrap();
    }
    std::net::TcpStream::connect(values["event_hubs"]).unwrap();
    assert!(std::fs::read_to_string(values["ca_bundle"]).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    std::thread::sleep(Duration::from_millis(200));
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    let mut printed = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut printed).unwrap();
    assert!(printed.contains("[defender://demo_alerts]") && printed.contains(" changed "), "{printed}");
}

#[test]
fn a_wrong_option_is_named() {
    for (arguments, part) in [
        (vec!["--alert", "5"], "--alert is not an option"),
        (vec!["--seed"], "--seed needs a value"),
        (vec!["--seed", "x"], "x is not a number"),
        (vec!["--change-every", "5 days"], "is not a duration"),
        (vec!["--change-every", "5d"], "d is not a unit of time"),
        (vec!["--hub", "hub:0"], "hub:0 is not a name, a colon and a number of partitions"),
        (vec!["--ports", "1,2"], "is not four port numbers"),
    ] {
        let output = run(&arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && text.contains(part) && text.contains("usage:"), "{arguments:?}: {text}");
    }
}
