//! The REST mode: the wire byte by byte, and *Test connection* through a splunkd that starts the program as `restmap.conf`
//! says.

#[cfg(feature = "streaming")]
mod streaming;
mod wire;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use simulator::accounts::{self, ACCOUNT, ANALYST_SESSION_KEY, Account, CLIENT_ID, CLIENT_SECRET, Roles, TENANT};
use simulator::entra::{Application, Resource};
use simulator::{Config, FaultKind, Route, Time, When};
use ta_defender::http::{Http, Transport, Trust};

use crate::support::{List, Stage, normal};

/// Below splunkd, as the page asks.
const PATH: &str = "/servicesNS/nobody/TA_defender/defender/test_connection?output_mode=json";

/// Stand-ins whose splunkd has this app installed.
pub(crate) struct Installed(pub(crate) Stage);

/// An answer of splunkd.
pub(crate) struct Answer {
    status: u16,
    pub(crate) body: Value,
}

impl Installed {
    pub(crate) fn new() -> Self {
        Self::with(Stage::config())
    }

    pub(crate) fn with(config: Config) -> Self {
        let stage = Stage::with(config);
        let bin = Path::new(env!("CARGO_BIN_EXE_defender")).parent().unwrap();
        let restmap = Path::new(env!("CARGO_MANIFEST_DIR")).join("default/restmap.conf");
        stage.sim.install_handlers(&restmap, bin, Duration::from_secs(30)).unwrap();
        Self(stage)
    }

    /// Sends a form as the owner of a session.
    fn post(&self, key: &str, form: &str) -> Answer {
        self.send("POST", PATH, key, form)
    }

    fn send(&self, method: &str, path: &str, key: &str, form: &str) -> Answer {
        let client = Http::new(&Transport { trust: Trust::Anything, proxy: None, limit: Duration::from_secs(60) }).unwrap();
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.0.sim.splunkd_url()))
            .header("Authorization", format!("Splunk {key}"))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form.as_bytes().to_vec())
            .unwrap();
        let answer = client.send(request, 1 << 20).unwrap();
        let body = serde_json::from_slice(answer.body()).unwrap();
        self.keeps_secrets(&String::from_utf8_lossy(answer.body()));
        Answer { status: answer.status().as_u16(), body }
    }

    /// Tests an account as an admin does.
    pub(crate) fn test(&self, account: &str) -> Answer {
        self.post(self.0.sim.session_key(), &format!("account={account}&output_mode=json"))
    }

    /// What the program wrote to standard error.
    pub(crate) fn log(&self) -> String {
        self.0.sim.handlers().unwrap().log()
    }

    #[track_caller]
    fn keeps_secrets(&self, text: &str) {
        let tokens: Vec<String> = self.0.sim.world(|world| world.entra.tokens().map(|(token, _)| token.to_owned()).collect());
        let tokens = tokens.iter().map(|token| token.rsplit('.').next().unwrap());
        let key = self.0.sim.certificate().key.lines().nth(3).unwrap().to_owned();
        for secret in tokens.chain([CLIENT_SECRET, self.0.sim.session_key(), key.as_str()]) {
            assert!(!text.contains(secret), "a secret came out: {text}");
        }
    }

    fn application(&self, client_id: &str, change: impl FnOnce(&mut Application)) {
        self.0.sim.world(|world| change(world.entra.application(TENANT, client_id).unwrap()));
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.keeps_secrets(&self.log());
        }
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn api(&self, name: &str) -> &Value {
        assert_eq!(self.status, 200, "{}", self.body);
        let apis = self.body["apis"].as_array().unwrap();
        apis.iter().find(|api| api["api"] == name).unwrap_or_else(|| panic!("no {name}: {}", self.body))
    }

    /// The state of each permission of an API that is not granted.
    #[track_caller]
    fn not_granted(&self, name: &str) -> Vec<(String, String)> {
        let permissions = self.api(name)["permissions"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        permissions.iter().map(|one| (text(&one["name"]), text(&one["state"]))).filter(|(_, state)| state != "granted").collect()
    }

    /// splunkd's message, made comparable.
    #[track_caller]
    pub(crate) fn refusal(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.body["messages"][0]["type"], "ERROR", "{}", self.body);
        assert_eq!(self.body.as_object().unwrap().len(), 1, "{}", self.body);
        normal(self.body["messages"][0]["text"].as_str().unwrap())
    }
}

/// `error` and `remedy` of a token or call that did not work, made comparable.
#[track_caller]
pub(crate) fn fault(part: &Value) -> (String, String) {
    assert_eq!(part["ok"], false, "{part}");
    let text = |name: &str| normal(part[name].as_str().unwrap());
    (text("error"), text("remedy"))
}

#[test]
fn an_account_that_works() {
    for tls in [false, true] {
        let app = Installed::with(Config { tls, splunkd_tls: tls, ..Stage::config() });
        app.0.debug();
        let host = |url: &str| url.split_once("://").unwrap().1.to_owned();
        let (graph, defender) = (host(app.0.sim.graph_url()), host(app.0.sim.defender_url()));
        let granted = |name: &str, by: &str| json!({"name": name, "needed_by": [by], "state": "granted"});
        let (incidents, alerts) = ("feed incidents", "feed alerts");
        let (incident, alert) = ("action defender_incident_update", "action defender_alert_update");
        let expected = json!({
            "account": ACCOUNT,
            "apis": [
                {
                    "api": "graph", "host": graph, "token": {"ok": true}, "call": {"ok": true},
                    "permissions": [
                        granted("SecurityIncident.Read.All", incidents),
                        granted("SecurityAlert.Read.All", alerts),
                        granted("SecurityIncident.ReadWrite.All", incident),
                        granted("SecurityAlert.ReadWrite.All", alert),
                    ],
                },
                {
                    "api": "xdr", "host": defender, "token": {"ok": true}, "call": {"ok": true},
                    "permissions": [granted("Incident.Read.All", incidents), granted("Incident.ReadWrite.All", incident)],
                },
                {
                    "api": "endpoint", "host": defender, "token": {"ok": true}, "call": {"ok": true},
                    "permissions": [granted("Alert.Read.All", alerts), granted("Alert.ReadWrite.All", alert)],
                },
            ],
        });
        // Each request comes in another shape of packets.
        for _ in 0..5 {
            let answer = app.test(ACCOUNT);
            assert_eq!((answer.status, &answer.body), (200, &expected), "{}", app.log());
        }
        assert_eq!(app.0.sim.handlers().unwrap().processes().len(), 1, "one process serves all");
        assert_eq!(app.log(), "");
        // One token and one small call for each API, and nothing is changed anywhere.
        assert_eq!(app.0.asked(Route::Token), 15);
        assert_eq!(app.0.sim.requests().iter().filter(|exchange| exchange.request.method != "GET").count(), 15 + 5);
        for list in [List::GraphIncidents, List::XdrIncidents, List::EndpointAlerts] {
            assert_eq!(app.0.asked(list.route()), 5);
        }
    }
}

#[test]
fn a_wrong_and_an_expired_secret_say_what_to_do() {
    let app = Installed::new();
    app.0.sim.add_account(&Account { secret_is_right: false, ..Account::new("wrong") });
    let old = Account::new("old");
    app.0.sim.add_account(&old);
    app.application(&old.client_id, |application| application.secrets[0].1 = Some(Time::from_unix(1_700_000_000)));
    for (account, code, meaning, remedy) in [
        ("wrong", "AADSTS7000215", "the client secret is wrong", "put the secret's Value, not its Secret ID, into the account"),
        ("old", "AADSTS7000222", "the client secret has expired", "create a new client secret for the app registration"),
    ] {
        let answer = app.test(account);
        for name in ["graph", "xdr", "endpoint"] {
            let api = answer.api(name);
            let (error, advice) = fault(&api["token"]);
            assert!(error.starts_with(&format!("Entra ID gave no token: {meaning} ({code}, HTTP 401, ")), "{error}");
            assert!(advice.starts_with(remedy), "{advice}");
            // Nothing is claimed that was not seen.
            assert_eq!((&api["permissions"], api.get("call")), (&json!([]), None));
        }
    }
}

#[test]
fn permissions_that_are_missing_and_more_than_needed() {
    let app = Installed::new();
    app.application(CLIENT_ID, |application| {
        application.grant(Resource::Graph, &["SecurityAlert.ReadWrite.All", "Directory.ReadWrite.All"]);
        application.grant(Resource::Endpoint, &["Alert.Read.All", "Machine.Isolate"]);
        application.grant(Resource::Defender, &[]);
    });
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, state)| ((*name).to_owned(), (*state).to_owned())).collect()
    };
    let answer = app.test(ACCOUNT);
    let graph = [
        ("SecurityIncident.Read.All", "missing"),
        ("SecurityIncident.ReadWrite.All", "missing"),
        ("Directory.ReadWrite.All", "more_than_needed"),
    ];
    assert_eq!(answer.not_granted("graph"), pairs(&graph));
    let more = answer.api("graph")["permissions"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(more["needed_by"], json!([]));
    // What it may read was read: alerts.
    assert_eq!(answer.api("graph")["call"], json!({"ok": true}));
    assert_eq!((app.0.asked(Route::GraphAlerts), app.0.asked(Route::GraphIncidents)), (1, 0));
    let endpoint = [("Alert.ReadWrite.All", "missing"), ("Machine.Isolate", "more_than_needed")];
    assert_eq!(answer.not_granted("endpoint"), pairs(&endpoint));
    assert_eq!(answer.not_granted("xdr"), pairs(&[("Incident.Read.All", "missing"), ("Incident.ReadWrite.All", "missing")]));
    let (error, remedy) = fault(&answer.api("xdr")["call"]);
    assert!(error.starts_with("Microsoft 365 Defender API: GET /api/incidents"), "{error}");
    let advice =
        "grant the app the application permission Incident.Read.All (Microsoft Threat Protection, not the delegated one)";
    assert!(remedy.starts_with(advice), "{remedy}");
}

#[test]
fn a_certificate_account() {
    let app = Installed::new();
    let signed = Account { roles: Roles::Read, ..Account::new("signed") };
    app.0.sim.add_certificate_account(&signed);
    let answer = app.test("signed");
    for (name, missing) in [
        ("graph", &["SecurityIncident.ReadWrite.All", "SecurityAlert.ReadWrite.All"][..]),
        ("xdr", &["Incident.ReadWrite.All"]),
        ("endpoint", &["Alert.ReadWrite.All"]),
    ] {
        assert_eq!(answer.api(name)["call"], json!({"ok": true}));
        let names: Vec<String> = answer.not_granted(name).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, missing);
    }
    app.application(&signed.client_id, |application| application.certificates.clear());
    let (error, remedy) = fault(&app.test("signed").api("graph")["token"]);
    assert!(error.contains("AADSTS700027") && remedy.starts_with("upload the account's certificate"), "{error}; {remedy}");
    app.0.sim.world(|world| world.splunkd.remove_password("defender_account", "signed.certificate_key.1"));
    let text = app.test("signed").refusal(400);
    assert!(text.starts_with("account `signed` has no certificate_key: "), "{text}");
}

#[test]
fn accounts_that_cannot_be_tested() {
    let app = Installed::new();
    let key = app.0.sim.session_key().to_owned();
    assert_eq!(
        app.test("nobody").refusal(404),
        "there is no account `nobody` on this server: add it on the Configuration page of the app, tab Accounts"
    );
    app.0.conf("defender_account", "half", "tenant_id", TENANT);
    assert_eq!(app.test("half").refusal(400), "account `half`: client_id: it is required and missing");
    for (form, part) in [
        ("", "send account=<name>, once"),
        ("account=demo&account=demo", "send account=<name>, once"),
        ("account=a%20b", "`a b` may hold letters, digits, _ and - only"),
        ("account=demo&login_url=https%3A%2F%2Fevil.example", "`login_url` is not a field here: send account=<name> alone"),
        ("account=demo&client_secret=s3cr3t", "`client_secret` is not a field here"),
    ] {
        let text = app.post(&key, form).refusal(400);
        assert!(text.contains(part) && !text.contains("s3cr3t") && !text.contains("evil"), "{form}: {text}");
    }
    assert_eq!(app.0.asked(Route::Token), 0, "nothing was asked of Entra ID");
    // Other methods and paths reach the program, and end there.
    assert_eq!(app.send("DELETE", PATH, &key, "").refusal(405), "defender/test_connection takes POST, not DELETE");
    let path = "/services/defender/elsewhere?output_mode=json";
    assert_eq!(
        app.send("POST", path, &key, "account=demo").refusal(404),
        "there is nothing at `defender/elsewhere`: this add-on answers defender/test_connection"
    );
}

#[test]
fn a_user_who_may_not_read_secrets() {
    let app = Installed::new();
    let text = app.post(ANALYST_SESSION_KEY, "account=demo").refusal(403);
    assert!(text.contains("requires capability: list_storage_passwords"), "{text}");
    assert!(app.0.sim.handlers().unwrap().processes().is_empty(), "the program was not even started");
    assert_eq!(app.post("stale", "account=demo").status, 401);
    // One who may read secrets, but not ours.
    app.0.fault(Route::SplunkPasswords, When::Always, FaultKind::Status(403));
    let text = app.test(ACCOUNT).refusal(403);
    assert!(text.starts_with("splunkd refuses the secret demo.client_secret of realm defender_account: "), "{text}");
    assert!(text.contains("defender_responder"), "{text}");
    // The session ends between the two.
    app.0.sim.faults().clear();
    app.0.fault(Route::SplunkConf, When::Once, FaultKind::Status(401));
    assert!(app.test(ACCOUNT).refusal(403).contains("session key"));
    app.0.fault(Route::SplunkConf, When::Once, FaultKind::Status(500));
    assert!(app.test(ACCOUNT).refusal(500).contains("see splunkd.log on this server"));
    assert_eq!(app.0.asked(Route::Token), 0);
}

#[test]
fn an_api_that_is_down_slow_or_strange_leaves_the_others_alone() {
    let app = Installed::new();
    let works = |answer: &Answer, names: &[&str]| {
        for name in names {
            assert_eq!(answer.api(name)["call"], json!({"ok": true}), "{name}");
        }
    };
    app.0.fault(Route::GraphIncidents, When::Once, FaultKind::Refused);
    let answer = app.test(ACCOUNT);
    let (error, remedy) = fault(&answer.api("graph")["call"]);
    assert!(error.contains("no answer from HOST"), "{error}");
    assert!(remedy.contains("firewall"), "{remedy}");
    assert_eq!(answer.not_granted("graph"), []);
    works(&answer, &["xdr", "endpoint"]);

    app.0.fault(Route::GraphIncidents, When::Once, FaultKind::Silent);
    app.0.fault(Route::XdrIncidents, When::Once, FaultKind::Status(500));
    let answer = app.test(ACCOUNT);
    let (error, remedy) = fault(&answer.api("graph")["call"]);
    assert!(error.contains("no answer from HOST in time") && remedy.contains("firewall"), "{error}; {remedy}");
    let (error, remedy) = fault(&answer.api("xdr")["call"]);
    assert!(error.contains("HTTP 500: the service failed") && !remedy.is_empty(), "{error}; {remedy}");
    works(&answer, &["endpoint"]);

    // A token that shows nothing, and that the service then does not know.
    let opaque = r#"{"token_type":"Bearer","expires_in":3599,"access_token":"opaque"}"#.to_owned();
    app.0.fault(Route::Token, When::Always, FaultKind::Body(200, "application/json", opaque));
    let answer = app.test(ACCOUNT);
    let api = answer.api("graph");
    assert_eq!(api["token"], json!({"ok": true}));
    let missing = json!([{"name": "SecurityIncident.Read.All", "needed_by": ["feed incidents"], "state": "missing"}]);
    assert_eq!(api["permissions"], missing);
    let (error, _) = fault(&api["call"]);
    assert!(error.contains("HTTP 401: the token was not accepted"), "{error}");
}

#[test]
fn entra_id_that_is_silent_does_not_hold_the_answer_up() {
    let app = Installed::new();
    app.0.fault(Route::Token, When::Always, FaultKind::Silent);
    let answer = app.test(ACCOUNT);
    for name in ["graph", "xdr", "endpoint"] {
        let (error, remedy) = fault(&answer.api(name)["token"]);
        assert!(error.contains("no answer from HOST in time") && remedy.contains("firewall"), "{error}; {remedy}");
        assert_eq!(answer.api(name).get("call"), None);
    }
}

#[test]
fn a_process_that_was_killed_is_started_again() {
    let app = Installed::new();
    app.test(ACCOUNT).api("graph");
    let first = app.0.sim.handlers().unwrap().processes();
    let pid = rustix::process::Pid::from_raw(i32::try_from(first[0]).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    // A signal is sent before it is delivered.
    while !app.0.sim.handlers().unwrap().processes().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    app.test(ACCOUNT).api("graph");
    let second = app.0.sim.handlers().unwrap().processes();
    assert!(second.len() == 1 && second != first, "{first:?} {second:?}");
}

#[test]
fn two_admins_at_once() {
    let app = Installed::new();
    std::thread::scope(|scope| {
        let tests: Vec<_> = (0..4).map(|_| scope.spawn(|| app.test(ACCOUNT))).collect();
        for test in tests {
            assert_eq!(test.join().unwrap().not_granted("graph"), []);
        }
    });
    assert!(app.0.sim.handlers().unwrap().processes().len() <= 4);
}

#[test]
fn a_clear_text_secret_is_used_and_left_where_it_is() {
    let app = Installed::new();
    app.0.sim.world(|world| world.splunkd.remove_password("defender_account", "demo.client_secret"));
    app.0.account("client_secret", accounts::CLIENT_SECRET);
    assert_eq!(app.test(ACCOUNT).api("graph")["call"], json!({"ok": true}));
    let left = app.0.sim.world(|world| world.splunkd.conf("defender_account", ACCOUNT, "client_secret").map(str::to_owned));
    assert_eq!(left.as_deref(), Some(CLIENT_SECRET));
}
