//! A service that repeats everything it was sent, in every place of its answers: none of it comes out of any mode of the
//! program. What a hub repeats is tested with the other faults of a hub.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use simulator::accounts::{ACCOUNT, CLIENT_SECRET};
use simulator::echo::{Form, Repeated};
use simulator::proxy::Access;
use simulator::wire::percent_encode;
use simulator::{FaultKind, Route, When};

use crate::respond::act::Act;
use crate::rest::Installed;
use crate::secrets::{Forbidden, PROXY_PASSWORD, files};
use crate::support::{Ended, Input, List, Stage};

const LIST: List = List::GraphAlerts;

/// What came out, by where, until all tokens are known.
#[derive(Default)]
struct Told(Vec<(String, Vec<u8>)>);

impl Told {
    fn add(&mut self, place: &str, ended: &Ended) {
        self.0.push((format!("stdout of {place}"), ended.stdout.clone()));
        self.0.push((format!("stderr of {place}"), ended.stderr.clone().into_bytes()));
    }

    /// With every file that the program left.
    #[track_caller]
    fn keeps(mut self, stage: &Stage, mut forbidden: Forbidden) {
        files(&stage.sim.splunk_home().join("var"), &mut self.0);
        let tokens: Vec<String> = stage.sim.world(|world| world.entra.tokens().map(|(text, _)| text.to_owned()).collect());
        tokens.iter().for_each(|token| forbidden.add("token", token));
        forbidden.add_tokens(stage);
        for (place, bytes) in &self.0 {
            forbidden.absent(place, bytes);
        }
        let masked = |(_, bytes): &&(String, Vec<u8>)| String::from_utf8_lossy(bytes).contains("***");
        assert!(self.0.iter().filter(masked).count() > 3, "the answers were told, without what is secret");
    }
}

fn spellings(text: &str) -> [String; 3] {
    [text.to_owned(), percent_encode(text), STANDARD.encode(text)]
}

/// Every answer of such a service that these secrets make.
fn answers(secrets: &[&str]) -> Vec<FaultKind> {
    let texts = secrets.iter().flat_map(|secret| spellings(secret)).map(Repeated::Text);
    let all: Vec<_> = [Repeated::Authorization, Repeated::Body, Repeated::Query].into_iter().chain(texts).collect();
    let forms = [Form::Error, Form::Page];
    all.iter().flat_map(|repeated| forms.map(|form| FaultKind::Echo(400, form, repeated.clone()))).collect()
}

/// A stage behind a proxy with a password, and what is secret there.
fn behind_a_proxy(stage: &Stage) -> Forbidden {
    let proxy = stage.sim.proxy(Access::Basic("splunk".to_owned(), PROXY_PASSWORD.to_owned())).unwrap();
    stage.conf("defender_settings", "proxy", "url", &proxy.url());
    stage.conf("defender_settings", "proxy", "username", "splunk");
    stage.sim.world(|world| world.splunkd.set_password("defender_settings", "proxy", PROXY_PASSWORD));
    stage.debug();
    let mut forbidden = Forbidden(Vec::new());
    forbidden.add("client secret", CLIENT_SECRET);
    forbidden.add("proxy password", PROXY_PASSWORD);
    forbidden.add("proxy login", &format!("splunk:{PROXY_PASSWORD}"));
    forbidden.add("session key", stage.sim.session_key());
    forbidden
}

/// Runs and validates an input while the service of a route repeats each of these.
fn tried(told: &mut Told, stage: &Stage, input: &Input<'_>, route: Route, answers: &[FaultKind]) {
    for answer in answers {
        for validating in [true, false] {
            let before = stage.sim.faults().happened();
            stage.fault(route, When::Always, answer.clone());
            let ended = if validating { input.validate() } else { input.run() };
            told.add(&format!("{route:?} {answer:?}, validating: {validating}"), &ended);
            assert!(stage.sim.faults().happened() > before, "{route:?} was asked");
            stage.sim.faults().clear();
        }
    }
}

#[test]
fn what_a_service_repeats_to_an_input_is_not_said() {
    let stage = Stage::new();
    let forbidden = behind_a_proxy(&stage);
    let mut told = Told::default();
    let answers = answers(&[CLIENT_SECRET, PROXY_PASSWORD, stage.sim.session_key()]);
    for list in [List::GraphAlerts, List::XdrIncidents] {
        for route in [Route::Token, list.route()] {
            tried(&mut told, &stage, &stage.input(list).named(&format!("{list:?}")).at_once(), route, &answers);
        }
    }
    told.keeps(&stage, forbidden);
}

#[cfg(feature = "streaming")]
#[test]
fn what_a_storage_account_repeats_is_not_said() {
    use simulator::storage::Signature;

    let stage = Stage::new();
    let mut forbidden = behind_a_proxy(&stage);
    let mut told = Told::default();
    let url = stage.sim.storage_url();
    let input = stage.input(LIST).set("feed", "storage").set("start", "earliest").set("storage_account", url);
    tried(&mut told, &stage, &input, Route::StorageContainers, &answers(&[CLIENT_SECRET, PROXY_PASSWORD]));

    let expires = stage.sim.now().plus(std::time::Duration::from_secs(60 * 86_400));
    let text = Signature { permissions: "rl", resource_types: "sco", expires }.connection_string(url);
    let signature = text.rsplit_once("sig=").unwrap().1.split('&').next().unwrap().to_owned();
    let plain = simulator::wire::percent_decode(&signature);
    forbidden.add("signature", &plain);
    stage.account("auth", "connection_string");
    stage.secret("connection_string", &text);
    tried(&mut told, &stage, &input, Route::StorageContainers, &answers(&[&plain, &signature, &text, PROXY_PASSWORD]));
    told.keeps(&stage, forbidden);
}

#[test]
fn what_a_service_repeats_to_an_action_is_not_said() {
    let stage = Stage::new();
    let forbidden = behind_a_proxy(&stage);
    let mut told = Told::default();
    let ids = stage.fresh(LIST, 1);
    let act = Act::new(&stage, LIST).set("status", "resolved").set("comment", "seen").ids(&ids);
    for route in [Route::Token, Route::GraphAlert, Route::GraphAlertComments] {
        for answer in answers(&[CLIENT_SECRET, PROXY_PASSWORD, stage.sim.session_key()]) {
            stage.reset(LIST, &ids[0]);
            stage.fault(route, When::Always, answer.clone());
            let ended = act.run();
            assert_ne!(ended.code(), Some(0), "{route:?} {answer:?}");
            told.add(&format!("{route:?} {answer:?}"), &ended);
            stage.sim.faults().clear();
        }
    }
    let mut kept = Vec::new();
    files(&stage.sim.splunk_home().join("var"), &mut kept);
    for end in ["_modalert.log", ".stash_new"] {
        assert!(kept.iter().any(|(path, _)| path.ends_with(end)), "{end}");
    }
    told.keeps(&stage, forbidden);
}

#[test]
fn what_a_service_repeats_to_the_handler_is_not_said() {
    let app = Installed::new();
    let forbidden = behind_a_proxy(&app.0);
    let mut told = Told::default();
    for route in [Route::Token, LIST.route()] {
        for answer in answers(&[CLIENT_SECRET, PROXY_PASSWORD]) {
            app.0.fault(route, When::Always, answer.clone());
            let body = app.test(ACCOUNT).body;
            told.0.push((format!("the answer to {route:?} {answer:?}"), body.to_string().into_bytes()));
            app.0.sim.faults().clear();
        }
    }
    told.0.push(("stderr of the handler".to_owned(), app.log().into_bytes()));
    told.keeps(&app.0, forbidden);
}
