//! What stands between this machine and Microsoft: each fault that a person has to mend refuses an input that is being saved,
//! ends a run and an action with 2 and is told by *Test connection*, with the same words; what may pass does neither.

use simulator::Config;
use simulator::accounts::{ACCOUNT, Account};
use simulator::distrust::{Distrusted, Wrong};
use simulator::proxy::Access;

use crate::respond::act::Act;
use crate::rest::{Installed, fault};
use crate::support::{Input, List, Stage, messages, normal};

const LIST: List = List::GraphAlerts;

/// The inputs of all feeds, of an account that asks Entra ID.
fn inputs<'a>(stage: &'a Stage, account: &str) -> Vec<Input<'a>> {
    let mut inputs: Vec<_> = List::ALL.into_iter().map(|list| stage.input(list)).collect();
    if cfg!(feature = "streaming") {
        let storage = stage.input(LIST).set("feed", "storage").set("storage_account", stage.sim.storage_url());
        let hub = stage.input(LIST).set("feed", "event_hub").set("event_hub_namespace", &stage.sim.event_hubs().address());
        inputs.extend([storage, hub.set("event_hub_name", "defender")].map(|input| input.set("start", "latest")));
    }
    inputs.into_iter().map(|input| input.set("account", account)).collect()
}

/// How a fault shows itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A person has to mend it.
    Lasting,
    /// It may pass.
    Passing,
}

/// Checks a fault of the way to Entra ID in everything that goes this way.
#[track_caller]
fn shows(app: &Installed, account: &str, kind: Kind, error: &str, remedy: &str) {
    let stage = &app.0;
    let expected = format!("{error}; {remedy}");
    for input in inputs(stage, account) {
        let ended = input.validate();
        match kind {
            Kind::Lasting => assert_eq!(normal(&messages(&ended.exits(1).stdout)), expected),
            Kind::Passing => {
                let ended = ended.exits(0);
                assert_eq!(ended.said("WARN"), [format!("the input is accepted without having been tried: {expected}")]);
            }
        }
    }
    let code = if kind == Kind::Lasting { 2 } else { 1 };
    let ran = stage.input(LIST).set("account", account).run().exits(code);
    assert_eq!(ran.said("ERROR"), [format!("defender://test: {expected}")]);
    assert_eq!(ran.text(), "");
    let tested = app.test(account);
    for api in ["graph", "xdr", "endpoint"] {
        assert_eq!(fault(&tested.api(api)["token"]), (error.to_owned(), remedy.to_owned()), "{api}");
    }
    if kind == Kind::Lasting {
        let ids = stage.fresh(LIST, 1);
        let acted = Act::new(stage, LIST).set("account", account).set("status", "resolved").ids(&ids).run().exits(2);
        assert!(acted.said("ERROR").concat().contains(&expected), "{}", acted.stderr);
    }
}

#[test]
fn a_host_that_cannot_be_believed() {
    const CLOCK: &str = "check this machine's clock; if it is right, whoever runs the host, or the proxy that inspects TLS, has to renew \
                         the certificate";
    const ISSUER: &str = "where TLS is inspected on the way, put the certificate of the inspecting authority into a PEM file and name it \
                          as CA bundle on the Configuration page of the app, tab Settings; where a CA bundle is set, it alone is \
                          trusted, so the host's authority must be in it";
    let unknown = "its certificate is not trusted: no trusted authority signed it (UnknownIssuer)";
    let table = [
        (Wrong::Authority, false, unknown, ISSUER),
        (Wrong::SelfSigned, true, unknown, ISSUER),
        (Wrong::Expired, true, "its certificate is not trusted: it expired at TIME", CLOCK),
        (Wrong::NotValidYet, true, "its certificate is not trusted: it is not valid yet before TIME", CLOCK),
        (
            Wrong::OtherHost,
            true,
            "its certificate is not trusted: it is for other hosts (other.example)",
            "check the URL's spelling, and whether something else answers in the host's place: a proxy, a sign-in page, an entry of the \
             hosts file",
        ),
        (
            Wrong::NoTls,
            false,
            "no TLS: something else answered",
            "what answers there speaks no TLS: check the port of the URL, and whether a proxy or a sign-in page answers in the host's \
             place",
        ),
        (
            Wrong::OldTls,
            false,
            "no TLS that both sides accept: ProtocolVersion",
            "TLS 1.2 or 1.3 is needed: check what stands between this machine and the host, a proxy or a firewall that inspects TLS, and \
             that the URL names the right host",
        ),
    ];
    let app = Installed::new();
    for (wrong, trusted, what, remedy) in table {
        let host = Distrusted::start(wrong).unwrap();
        app.0.account("login_url", &host.url());
        let bundle = host.ca_bundle();
        app.0.conf("defender_settings", "tls", "ca_bundle", if trusted { bundle.to_str().unwrap() } else { "" });
        shows(&app, ACCOUNT, Kind::Lasting, &format!("Entra ID: no answer from HOST: {what}"), remedy);
    }
}

/// A host that does not exist was mistyped, says a form; a run that knew it yesterday asks again.
#[test]
fn a_host_that_does_not_exist_refuses_a_form_and_fails_a_run() {
    const UNKNOWN: &str = "there is no host of this name, says the name server";
    let stage = Stage::new();
    stage.account("graph_url", "https://graph.invalid");
    let mut all = vec![(stage.input(LIST), "graph.invalid")];
    if cfg!(feature = "streaming") {
        let streaming = |feed: &str| stage.input(LIST).named(feed).set("feed", feed).set("start", "latest");
        all.push((streaming("storage").set("storage_account", "https://blobs.invalid"), "blobs.invalid"));
        let hub = streaming("event_hub").set("event_hub_namespace", "hub.invalid").set("event_hub_name", "defender");
        all.push((hub, "hub.invalid"));
    }
    for (input, host) in &all {
        let refused = messages(&input.validate().exits(1).stdout);
        assert!(refused.contains(host) && refused.contains(UNKNOWN), "{refused}");
    }
    // The hub's process stays, and tries again: that is a test of its own.
    for (input, host) in all.iter().take(2) {
        let ended = input.run().exits(1);
        let said = ended.said("ERROR").concat();
        assert!(said.contains(host) && said.contains(UNKNOWN) && said.contains("check its spelling"), "{}", ended.stderr);
    }
}

/// A login host that does not exist stands for every feed.
#[test]
fn a_login_that_does_not_exist_refuses_a_form_and_fails_a_run() {
    let stage = Stage::new();
    stage.account("login_url", "https://login.invalid");
    for input in inputs(&stage, ACCOUNT) {
        let refused = messages(&input.validate().exits(1).stdout);
        assert!(refused.contains("login.invalid") && refused.contains("there is no host of this name"), "{refused}");
    }
    stage.input(LIST).run().exits(1);
}

#[test]
fn an_api_that_cannot_be_believed() {
    let app = Installed::new();
    let host = Distrusted::start(Wrong::Expired).unwrap();
    app.0.account("graph_url", &host.url());
    app.0.conf("defender_settings", "tls", "ca_bundle", host.ca_bundle().to_str().unwrap());
    let what = "no answer from HOST: its certificate is not trusted: it expired at TIME; check this machine's clock; if it is right, \
                whoever runs the host, or the proxy that inspects TLS, has to renew the certificate";
    for list in [List::GraphIncidents, List::GraphAlerts] {
        let refused = normal(&messages(&app.0.input(list).validate().exits(1).stdout));
        assert!(refused.starts_with("Microsoft Graph: GET ") && refused.ends_with(what), "{refused}");
        let said = app.0.input(list).run().exits(2).said("ERROR").concat();
        assert!(said.starts_with("defender://test: Microsoft Graph: GET ") && said.ends_with(what), "{said}");
        let ids = app.0.fresh(list, 1);
        let acted = Act::new(&app.0, list).set("status", "resolved").ids(&ids).run().exits(2);
        assert!(acted.said("ERROR").concat().contains(what), "{}", acted.stderr);
    }
    let tested = app.test(ACCOUNT);
    let (error, remedy) = fault(&tested.api("graph")["call"]);
    assert!(format!("{error}; {remedy}").ends_with(what), "{error}; {remedy}");
    assert_eq!(tested.api("xdr")["call"]["ok"], true);
}

#[test]
fn a_proxy_in_the_way() {
    let app = Installed::with(Config { tls: true, ..Stage::config() });
    app.0.sim.add_cloud_account(&Account::new("cloud"));
    let no_answer = "Entra ID: no answer from login.microsoftonline.com: ";
    let refused = |status: &str| format!("{no_answer}the proxy refused the connection: {status}");
    const GENERAL: &str =
        "check the account's cloud and login_url, name resolution, firewall, proxy and, where TLS is inspected, the CA bundle";
    const ALLOW: &str = "have the proxy allow CONNECT from this machine to this host and port, or name another proxy on the \
                         Configuration page of the app, tab Settings";
    const URL: &str = "check that the proxy's URL on the Configuration page of the app, tab Settings names an HTTP proxy that allows \
                       CONNECT to this host and port";
    let password = "407, it wants another user name or password";
    let basic = || Access::Basic("splunk".to_owned(), "pr0xy".to_owned());
    let enter = "enter the proxy's user name and password on the Configuration page of the app, tab Settings (the add-on signs in by \
                 Basic authentication), or have the proxy let this machine through without";
    let table = [
        (basic(), Kind::Lasting, refused(password), enter),
        (Access::Denied(407), Kind::Lasting, refused(password), enter),
        (Access::Denied(403), Kind::Lasting, refused("403"), ALLOW),
        (Access::Denied(405), Kind::Lasting, refused("405"), URL),
        (Access::Denied(302), Kind::Lasting, refused("302"), URL),
        (Access::Denied(502), Kind::Passing, refused("502"), GENERAL),
        (Access::Denied(503), Kind::Passing, refused("503"), GENERAL),
        (
            Access::Page,
            Kind::Lasting,
            format!("{no_answer}no TLS: something else answered"),
            "what answers there speaks no TLS: check the port of the URL, and whether a proxy or a sign-in page answers in the host's \
             place",
        ),
    ];
    for (access, kind, error, remedy) in table {
        let proxy = app.0.sim.proxy(access).unwrap();
        app.0.conf("defender_settings", "proxy", "url", &proxy.url());
        shows(&app, "cloud", kind, &error, remedy);
    }
    // Nobody listens there: it may be starting.
    app.0.conf("defender_settings", "proxy", "url", "http://127.0.0.1:9");
    let error = format!("{no_answer}the proxy HOST cannot be reached: Connection refused (os error 111)");
    shows(&app, "cloud", Kind::Passing, &error, GENERAL);
}

#[test]
fn a_ca_bundle_that_is_none() {
    let app = Installed::with(Config { tls: true, ..Stage::config() });
    let file = |name: &str, bytes: &[u8]| {
        let path = app.0.sim.splunk_home().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = std::fs::read_to_string(app.0.sim.ca_bundle()).unwrap();
    const REMEDY: &str = "correct it on the Configuration page of the app, tab Settings";
    for (path, reason) in [
        ("/nonexistent/ca.pem".to_owned(), "No such file or directory (os error 2)"),
        ("/dev/zero".to_owned(), "it is no file; a PEM file with the CA's certificates is expected"),
        (file("empty.pem", b""), "it is empty; a PEM file with the CA's certificates is expected"),
        (
            file("key.pem", app.0.sim.certificate().key.as_bytes()),
            "no certificate in it but a private key, which belongs nowhere near here; a PEM file with the CA's certificates is expected",
        ),
    ] {
        app.0.conf("defender_settings", "tls", "ca_bundle", &path);
        let expected = normal(&format!("ca_bundle {path}: {reason}"));
        let whole = format!("{expected}; {REMEDY}");
        for list in List::ALL {
            assert_eq!(normal(&messages(&app.0.input(list).validate().exits(1).stdout)), whole);
        }
        assert_eq!(app.0.input(LIST).run().exits(2).said("ERROR"), [format!("defender://test: {whole}")]);
        assert_eq!(app.test(ACCOUNT).refusal(400), whole);
        let ids = app.0.fresh(LIST, 1);
        Act::new(&app.0, LIST).set("status", "resolved").ids(&ids).run().exits(2);
        #[cfg(feature = "streaming")]
        for input in inputs(&app.0, ACCOUNT).into_iter().skip(List::ALL.len()) {
            let refused = normal(&messages(&input.validate().exits(1).stdout));
            assert!(refused.contains(reason), "{refused}");
        }
    }
    for (name, bytes) in [
        ("mark.pem", format!("\u{feff}{}", good.replace('\n', "\r\n")).into_bytes()),
        ("wide.pem", format!("\u{feff}# CA\r\n{good}").encode_utf16().flat_map(u16::to_le_bytes).collect()),
    ] {
        app.0.conf("defender_settings", "tls", "ca_bundle", &file(name, &bytes));
        app.0.input(LIST).validate().exits(0).quietly();
    }
}

#[test]
fn exceptions_of_the_proxy_count_or_are_said() {
    let app = Installed::with(Config { tls: true, ..Stage::config() });
    app.0.sim.add_cloud_account(&Account::new("cloud"));
    let proxy = app.0.sim.proxy(Access::Open).unwrap();
    app.0.conf("defender_settings", "proxy", "url", &proxy.url());
    let input = app.0.input(LIST).set("account", "cloud");
    let targets = |exceptions: &str| {
        app.0.conf("defender_settings", "proxy", "no_proxy", exceptions);
        let seen = proxy.tunnels().len();
        input.validate();
        proxy.tunnels().into_iter().skip(seen).map(|tunnel| tunnel.target).collect::<Vec<_>>()
    };
    let (login, graph) = ("login.microsoftonline.com:443", "graph.microsoft.com:443");
    for exceptions in ["", "10.0.0.0/8; [::1]:443, other.example", "login.microsoftonline.com:8443"] {
        assert_eq!(targets(exceptions), [login, graph], "{exceptions}");
    }
    // Reached directly, and so not at all: nothing here leads to the real host.
    for exceptions in ["Login.MicrosoftOnline.com:443", "*.microsoftonline.com;x", ".microsoftonline.com.", "a b *"] {
        assert_eq!(targets(exceptions), Vec::<String>::new(), "{exceptions}");
    }
    let fault = "defender_settings.conf [proxy] no_proxy: `graph.*.com` names no host and has no effect: write host, .suffix, address, \
                 network/bits, each with :port behind it if it counts for that port alone, or * for all, parted by commas";
    app.0.conf("defender_settings", "proxy", "no_proxy", "x.example, graph.*.com");
    let refused = normal(&messages(&input.validate().exits(1).stdout));
    assert_eq!(refused, format!("{fault}; correct it on the Configuration page of the app, tab Settings"));
    assert!(app.test("cloud").refusal(400).starts_with(fault));
    // A run goes on without it, and says so.
    let ran = input.run().exits(0);
    assert_eq!(ran.said("WARN"), [fault]);
    assert!(!ran.events().is_empty());
}

#[test]
fn a_secret_that_was_pasted_with_something_around_it_is_meant() {
    let app = Installed::new();
    let good = simulator::accounts::CLIENT_SECRET;
    let stored = |value: &str| app.0.secret("client_secret", value);
    for value in [
        format!("{good}\n"),
        format!(" {good}\t"),
        format!("\u{feff}{good}"),
        format!("\"{good}\""),
        format!("{good}\u{200b}\r\n"),
    ] {
        stored(&value);
        let ended = app.0.input(LIST).validate().exits(0).quietly();
        assert_eq!(
            ended.said("INFO"),
            [
                "account `demo`: the stored client_secret is used without the blanks, line ends, quotes or invisible characters around it"
            ],
            "{value:?}"
        );
    }
    for (value, mistake) in [
        ("6d0f0a3e-32b3-4b68-8f3c-5d3c0e6f2f11", ": a GUID is stored in its place, which is the secret's ID and not its Value"),
        (simulator::accounts::CLIENT_ID, ": the app's client_id is stored in its place"),
        (simulator::accounts::TENANT, ": the tenant_id is stored in its place"),
        ("dEm8Q~simulated not.a.secret", ": what is stored has a blank, a line break or an invisible character within"),
        ("dEm********************", ": what is stored is the shortened form that the portal shows later"),
        ("dEm8Q%7Esimulated.not.a.secret", ": what is stored looks URL-encoded"),
        ("another~secret", ""),
    ] {
        stored(value);
        let remedy =
            "put the secret's Value, not its Secret ID, into the account (Entra ID > App registrations > Certificates & secrets)";
        let trace = "trace id GUID, correlation id GUID, at TIME";
        let error = format!("Entra ID gave no token: the client secret is wrong{mistake} (AADSTS7000215, HTTP 401, {trace})");
        shows(&app, ACCOUNT, Kind::Lasting, &error, remedy);
    }
    stored(" \n");
    let refused = normal(&messages(&app.0.input(LIST).validate().exits(1).stdout));
    assert!(refused.starts_with("account `demo` has no client_secret: "), "{refused}");
}
