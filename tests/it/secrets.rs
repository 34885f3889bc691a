//! No secret, token, session key or private key ever comes out of the program, at any level of its log.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use simulator::accounts::{ANALYST_SESSION_KEY, Account, CLIENT_SECRET, SESSION_KEY};
use simulator::proxy::Access;
use simulator::splunkd::Edits;
use simulator::wire::percent_encode;
use simulator::{Config, FaultKind, Route, When};

use crate::respond::act::Act;
use crate::support::{Ended, List, Stage};

pub(crate) const PROXY_PASSWORD: &str = "pr0xy:p\u{e4}ss&w\u{f6}rd";

/// What must not come out, by what it is.
pub(crate) struct Forbidden(pub(crate) Vec<(&'static str, String)>);

impl Forbidden {
    pub(crate) fn add(&mut self, what: &'static str, text: &str) {
        for text in [text.to_owned(), percent_encode(text), STANDARD.encode(text)] {
            self.0.push((what, text));
        }
    }

    /// The tokens given out so far; revoked ones are forgotten by the stand-in, so they are taken in time.
    pub(crate) fn add_tokens(&mut self, stage: &Stage) {
        let tokens: Vec<String> = stage.sim.world(|world| world.entra.tokens().map(|(text, _)| text.to_owned()).collect());
        for token in tokens {
            // The signature too: a token is worth something in any part of it.
            self.0.push(("token", token.rsplit('.').next().unwrap().to_owned()));
        }
    }

    #[track_caller]
    pub(crate) fn absent(&self, place: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for (what, secret) in &self.0 {
            assert!(!text.contains(secret.as_str()), "a {what} in {place}");
        }
    }

    #[track_caller]
    fn absent_from(&self, place: &str, run: &Ended) {
        self.absent(&format!("stdout of {place}"), &run.stdout);
        self.absent(&format!("stderr of {place}"), run.stderr.as_bytes());
    }
}

/// Every file under a folder.
pub(crate) fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

#[test]
fn nothing_secret_comes_out() {
    let stage = Stage::with(Config { tls: true, splunkd_tls: true, ..Stage::config() });
    stage.debug();
    let certificate = stage.sim.certificate().clone();
    let mut forbidden = Forbidden(Vec::new());
    forbidden.add("client secret", CLIENT_SECRET);
    forbidden.add("session key", SESSION_KEY);
    forbidden.add("session key", ANALYST_SESSION_KEY);
    forbidden.add("proxy password", PROXY_PASSWORD);
    forbidden.0.push(("proxy login", STANDARD.encode(format!("splunk:{PROXY_PASSWORD}"))));
    for line in certificate.key.lines().filter(|line| !line.starts_with("-----")) {
        forbidden.add("private key", line);
    }

    // Two that work, one of them through a proxy that wants a password, and one that proves itself with a certificate.
    let cloud = Account::new("cloud");
    stage.sim.add_cloud_account(&cloud);
    forbidden.add("client secret", cloud.secret.as_deref().unwrap());
    let proxy = stage.sim.proxy(Access::Basic("splunk".to_owned(), PROXY_PASSWORD.to_owned())).unwrap();
    stage.conf("defender_settings", "proxy", "url", &proxy.url());
    stage.conf("defender_settings", "proxy", "username", "splunk");
    stage.sim.world(|world| world.splunkd.set_password("defender_settings", "proxy", PROXY_PASSWORD));
    let signed = Account { secret: None, certificate: Some(certificate.der.clone()), ..Account::new("signed") };
    stage.sim.add_account(&signed);
    stage.conf("defender_account", "signed", "auth", "certificate");
    stage.conf("defender_account", "signed", "certificate", &certificate.certificate.replace('\n', "\\n"));
    stage.sim.world(|world| world.splunkd.set_password("defender_account", "signed.certificate_key", &certificate.key));

    for list in List::ALL {
        for account in ["demo", "cloud", "signed"] {
            let input = stage.input(list).named(&format!("{list:?}-{account}")).set("account", account).at_once();
            for (mode, run) in [("validation", input.validate()), ("collection", input.run())] {
                let run = run.exits(0);
                forbidden.add_tokens(&stage);
                forbidden.absent_from(&format!("{mode} of {list:?} as {account}"), &run);
            }
        }
    }
    assert!(forbidden.0.iter().any(|(what, _)| *what == "token"));

    // Everything that is told goes through messages: make many of them.
    let list = List::GraphAlerts;
    let faults = [
        (list.route(), FaultKind::Html(200)),
        (list.route(), FaultKind::Status(500)),
        (list.route(), FaultKind::Status(400)),
        (list.route(), FaultKind::HalfJson),
        (list.route(), FaultKind::TokenRevoked),
        (list.route(), FaultKind::Redirect(format!("https://portal.example/?token={CLIENT_SECRET}"))),
        (Route::Token, FaultKind::Entra(7_000_215)),
        (Route::Token, FaultKind::Html(403)),
        (Route::Token, FaultKind::HalfJson),
        (Route::Token, FaultKind::Cut(30)),
        (Route::SplunkPasswords, FaultKind::Status(500)),
        (Route::SplunkPasswords, FaultKind::HalfJson),
        (
            Route::SplunkPasswords,
            FaultKind::Body(
                400,
                "application/json",
                format!("{{\"messages\":[{{\"type\":\"ERROR\",\"text\":\"{SESSION_KEY}\"}}]}}"),
            ),
        ),
        (Route::SplunkConf, FaultKind::Status(401)),
    ];
    for (number, (route, kind)) in faults.into_iter().enumerate() {
        for account in ["demo", "signed"] {
            let what = format!("{route:?} {kind:?} as {account}");
            let input = stage.input(list).named(&format!("fault{number}-{account}")).set("account", account).at_once();
            for validating in [true, false] {
                stage.fault(route, When::Once, kind.clone());
                let run = if validating { input.validate() } else { input.run() };
                forbidden.add_tokens(&stage);
                forbidden.absent_from(&what, &run);
                stage.sim.faults().clear();
            }
        }
    }
    // A secret on its way from the conf file.
    for edits in [Edits::Forbidden, Edits::Vanish, Edits::Stick] {
        stage.sim.world(|world| world.splunkd.remove_password("defender_account", "demo.client_secret"));
        stage.account("client_secret", CLIENT_SECRET);
        stage.sim.world(|world| world.splunkd.edits = edits);
        forbidden.absent_from(&format!("moving, {edits:?}"), &stage.input(list).run().exits(0));
    }
    forbidden.absent_from("a session that may not", &stage.input(list).session_key(ANALYST_SESSION_KEY).run().exits(2));

    let mut kept = Vec::new();
    files(&stage.sim.splunk_home().join("var"), &mut kept);
    assert!(kept.iter().any(|(path, _)| path.ends_with(".json")));
    for (path, bytes) in kept {
        forbidden.absent(&path, &bytes);
    }
}

#[test]
fn no_core_dump_holds_a_secret() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    stage.fault(Route::GraphAlert, When::Once, FaultKind::Silent);
    let ids = stage.fresh(list, 1);
    let mut running = Act::new(&stage, list).set("status", "resolved").ids(&ids).start();
    running.wait_until("the question", |_| stage.asked(Route::GraphAlert) == 1);
    let limits = fs::read_to_string(running.proc("limits")).unwrap();
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>(), ["0", "0", "bytes"]);
    running.kill();
}

/// A limit of 0 bytes does not bind a `core_pattern` that is a pipe, as most distributions have one.
#[cfg(target_os = "linux")]
#[test]
fn no_core_dump_goes_through_a_pipe_and_nobody_reads_the_memory() {
    use std::io::{Read, Write};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;

    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_defender"));
    command.arg("--rest").stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    // To root's processes everything in /proc belongs to root in any case.
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(65_534).gid(65_534);
    }
    let mut child = match command.spawn() {
        // The folder of the build may be for root alone.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return,
        child => child.unwrap(),
    };
    // An answer: so the program has begun.
    let request = r#"{"method":"GET","rest_path":"/nowhere","server":{"rest_uri":"u"}}"#;
    write!(child.stdin.as_mut().unwrap(), "\x071\n8\ndefender0\n{}\n{request}", request.len()).unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 8]).unwrap();
    let entry = |name: &str| fs::metadata(format!("/proc/{}/{name}", child.id())).unwrap();
    assert_eq!((entry("mem").uid(), entry("environ").uid()), (0, 0), "its own user may read and dump its memory");
    // What splunkd reads of the processes it started is for everybody.
    for name in ["stat", "status", "cmdline"] {
        assert_eq!(entry(name).permissions().mode() & 0o444, 0o444, "{name}");
    }
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}
