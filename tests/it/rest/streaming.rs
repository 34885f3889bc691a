//! *Test connection* of the streaming feeds: the inputs that use an account, and what a connection string names by itself.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use simulator::event_hubs::{At, Failure, Fault, HubFault, POLICY_KEY, RECEIVER_ROLE};
use simulator::storage::Signature;

use super::*;

const HUB: &str = "defender";
const STORAGE_ROLE: &str = "Storage Blob Data Reader";

/// The app, with a hub of two partitions.
fn installed() -> Installed {
    let app = Installed::new();
    app.0.sim.event_hubs().create(HUB, 2);
    app
}

impl Installed {
    /// Saves an input; one that is there is changed.
    fn input(&self, name: &str, params: &[(&str, &str)]) {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let params: Vec<String> = params.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let path = "/servicesNS/nobody/TA_defender/data/inputs/defender";
        let post = |path: &str, form: &str| {
            self.send("POST", &format!("{path}?output_mode=json"), self.0.sim.session_key(), form).status
        };
        if post(path, &format!("name={name}&{}", params.join("&"))) != 201 {
            assert_eq!(post(&format!("{path}/{name}"), &params.join("&")), 200);
        }
    }

    fn hub_input(&self, name: &str, account: &str, hub: &str) {
        let namespace = self.0.sim.event_hubs().address();
        let hub =
            [("feed", "event_hub"), ("account", account), ("event_hub_namespace", namespace.as_str()), ("event_hub_name", hub)];
        self.input(name, &hub);
    }

    fn storage_input(&self, name: &str, account: &str) {
        self.input(name, &[("feed", "storage"), ("account", account), ("storage_account", self.0.sim.storage_url())]);
    }

    /// Lets the account that works sign in with a connection string.
    fn sign_in_with(&self, connection_string: &str) {
        self.0.account("auth", "connection_string");
        self.0.account("tenant_id", "");
        self.0.secret("connection_string", connection_string);
    }

    fn storage_host(&self) -> String {
        self.0.sim.storage_url().split_once("://").unwrap().1.to_owned()
    }

    fn signature(&self) -> Signature<'static> {
        let expires = self.0.sim.now().plus(Duration::from_secs(60 * 86_400));
        Signature { permissions: "rl", resource_types: "sco", expires }
    }
}

impl Answer {
    /// What is said beside the three APIs.
    #[track_caller]
    fn streams(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{}", self.body);
        let apis = self.body["apis"].as_array().unwrap();
        apis.iter().filter(|api| !["graph", "xdr", "endpoint"].contains(&api["api"].as_str().unwrap())).cloned().collect()
    }
}

#[test]
fn the_inputs_that_stream_are_tried_with_their_account() {
    let app = installed();
    app.hub_input("raw", ACCOUNT, HUB);
    app.storage_input("blobs", ACCOUNT);
    app.input("alerts", &[("feed", "alerts"), ("account", ACCOUNT)]);
    app.hub_input("of_another", "other", "elsewhere");
    let answer = app.test(ACCOUNT);
    let finding = |api: &str, input: &str, host: &str, role: &str| {
        json!({
            "api": api, "input": input, "host": host, "token": {"ok": true}, "call": {"ok": true},
            "permissions": [{"name": role, "needed_by": [format!("feed {api}")], "state": "granted"}],
        })
    };
    let hub = finding("event_hub", "raw", &app.0.sim.event_hubs().address(), RECEIVER_ROLE);
    assert_eq!(answer.streams(), [finding("storage", "blobs", &app.storage_host(), STORAGE_ROLE), hub]);
    assert_eq!(answer.api("graph")["call"], json!({"ok": true}));
    let record = app.0.sim.event_hubs().record();
    assert_eq!(record.violations, Vec::<String>::new());
    assert_eq!(record.tokens.len(), 1, "one connection");
}

#[test]
fn what_is_wrong_with_an_input_is_one_line() {
    let app = installed();
    app.hub_input("gone", ACCOUNT, "nowhere");
    app.input(
        "unfinished",
        &[("feed", "event_hub"), ("account", ACCOUNT), ("event_hub_namespace", "contoso.servicebus.windows.net")],
    );
    app.application(CLIENT_ID, |application| application.grant(Resource::Storage, &[]));
    app.storage_input("without_role", ACCOUNT);
    let found = app.test(ACCOUNT).streams();
    let [gone, unfinished, without_role] = &found[..] else { panic!("{found:?}") };
    let (error, remedy) = fault(&gone["call"]);
    assert!(error.starts_with("the hub nowhere: status 404: "), "{error}");
    assert_eq!(remedy, "check event_hub_namespace, event_hub_name and consumer_group of the input");
    assert_eq!((&gone["token"], &gone["permissions"]), (&json!({"ok": true}), &json!([])));

    let (error, remedy) = fault(&unfinished["call"]);
    assert_eq!(error, "parameter event_hub_name: it is required and missing");
    assert!(remedy.contains("tab Inputs"), "{remedy}");
    assert_eq!((unfinished.get("token"), &unfinished["host"]), (None, &json!("contoso.servicebus.windows.net")));

    let (error, remedy) = fault(&without_role["call"]);
    assert!(error.starts_with("Azure Storage: List Containers: HTTP 403: "), "{error}");
    assert!(remedy.starts_with("give the app the role Storage Blob Data Reader"), "{remedy}");
    assert_eq!(without_role["permissions"], json!([{"name": STORAGE_ROLE, "needed_by": ["feed storage"], "state": "missing"}]));

    // A role that is missing at a hub, where the service says so.
    app.hub_input("gone", ACCOUNT, HUB);
    app.0.sim.event_hubs().answer_missing_role(false);
    app.application(CLIENT_ID, |application| application.grant(Resource::EventHubs, &[]));
    let found = app.test(ACCOUNT).streams();
    let (_, remedy) = fault(&found[0]["call"]);
    assert!(remedy.contains("give the app registration the role \"Azure Event Hubs Data Receiver\""), "{remedy}");
    assert_eq!(found[0]["permissions"][0]["state"], "missing");

    // Entra ID gives no token at all.
    app.application(CLIENT_ID, |application| application.secrets.clear());
    for stream in app.test(ACCOUNT).streams().iter().filter(|stream| stream["input"] != "unfinished") {
        let (error, _) = fault(&stream["token"]);
        assert!(error.contains("AADSTS"), "{error}");
        assert_eq!((stream.get("call"), &stream["permissions"]), (None, &json!([])));
    }
}

#[test]
fn a_connection_string_is_tried_with_its_inputs_or_by_itself() {
    let app = installed();
    let hubs = app.0.sim.event_hubs();
    let local = hubs.connection_string(None).split_once("sb://").unwrap().1.split('/').next().unwrap().to_owned();
    app.sign_in_with(&hubs.connection_string(Some(HUB)));
    let alone = json!({"api": "event_hub", "host": local, "permissions": [], "call": {"ok": true}});
    assert_eq!(app.test(ACCOUNT).body, json!({"account": ACCOUNT, "apis": [alone]}));

    // Without a hub, its key alone is tried.
    app.sign_in_with(&hubs.connection_string(None));
    let key = json!({"api": "event_hub", "host": local, "permissions": [], "token": {"ok": true}});
    assert_eq!(app.test(ACCOUNT).streams(), [key]);
    app.sign_in_with(&hubs.connection_string(None).replace(POLICY_KEY, "d3Jvbmc="));
    let (error, remedy) = fault(&app.test(ACCOUNT).streams()[0]["token"]);
    assert!(error.starts_with("the token: status 401: InvalidSignature: The token has an invalid signature."), "{error}");
    assert!(remedy.contains("check that the connection string's policy has the claim Listen"), "{remedy}");

    // An input says which.
    app.sign_in_with(&hubs.connection_string(None));
    app.hub_input("raw", ACCOUNT, "nowhere");
    let found = app.test(ACCOUNT).streams();
    let (error, _) = fault(&found[0]["call"]);
    assert!(found.len() == 1 && found[0]["input"] == "raw" && error.starts_with("the hub nowhere: "), "{found:?}");
    app.sign_in_with(&hubs.connection_string(Some(HUB)));
    let (error, remedy) = fault(&app.test(ACCOUNT).streams()[0]["call"]);
    assert_eq!(error, "the connection string is for the hub `defender`, and the input reads `nowhere`");
    assert_eq!(remedy, "correct it in the account or in the input");
    assert!(app.log().is_empty(), "{}", app.log());
    assert_eq!(app.0.asked(Route::Token), 0);
}

#[test]
fn a_signature_is_tried_with_the_storage_account_it_names() {
    let app = installed();
    let url = app.0.sim.storage_url().to_owned();
    app.sign_in_with(&app.signature().connection_string(&url));
    let works = json!({"api": "storage", "host": app.storage_host(), "permissions": [], "call": {"ok": true}});
    assert_eq!(app.test(ACCOUNT).streams(), [works]);
    app.sign_in_with(&Signature { permissions: "r", ..app.signature() }.connection_string(&url));
    let (error, remedy) = fault(&app.test(ACCOUNT).streams()[0]["call"]);
    assert!(error.contains("List Containers: HTTP 403: the shared access signature does not permit this"), "{error}");
    assert!(remedy.starts_with("make a shared access signature"), "{remedy}");

    for (string, text) in [
        (
            app.signature().sign(),
            "account `demo`: its connection_string names no storage account: set up an input that uses it, which is tried out when it \
             is saved",
        ),
        ("nonsense".to_owned(), "account `demo`: connection_string: it holds no shared access signature: make"),
        (
            "DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey=a2V5==".to_owned(),
            "account `demo`: connection_string: it holds the storage account's key, which opens everything in it: make",
        ),
        (
            "Endpoint=sb://contoso.servicebus.windows.net/".to_owned(),
            "account `demo`: the connection string has no SharedAccessKeyName: copy it again from Shared access policies of the event hub",
        ),
    ] {
        app.sign_in_with(&string);
        let said = app.test(ACCOUNT).refusal(400);
        assert!(said.starts_with(text), "{said}");
        assert!(!said.contains("sig=") && !said.contains("a2V5"), "{said}");
    }
    app.sign_in_with(&app.signature().sign());
    app.storage_input("blobs", ACCOUNT);
    assert_eq!(app.test(ACCOUNT).streams()[0]["call"], json!({"ok": true}));
}

#[test]
fn a_hub_that_is_silent_is_said_to_be_so() {
    let app = installed();
    app.sign_in_with(&app.0.sim.event_hubs().connection_string(Some(HUB)));
    app.0.sim.event_hubs().push_fault(Fault::new(At::Token, When::Always, HubFault::Silence));
    let (error, remedy) = fault(&app.test(ACCOUNT).streams()[0]["call"]);
    assert_eq!(error, "no answer within 20 s");
    assert!(remedy.starts_with("the service is silent where the role"), "{remedy}");
    let refusal = Failure::new("amqp:internal-error", "The service was unable to process the request.");
    app.0.sim.event_hubs().clear_faults();
    app.0.sim.event_hubs().push_fault(Fault::once(At::Token, HubFault::Refuse(refusal)));
    let (error, remedy) = fault(&app.test(ACCOUNT).streams()[0]["call"]);
    assert!(error.starts_with("the token: status 500: "), "{error}");
    assert_eq!(remedy, "nothing has to be changed: test again in some minutes");
}
