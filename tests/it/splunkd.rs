//! splunkd's REST as the program meets it: accounts, settings and secrets, and every way splunkd may say no.

use std::time::Duration;

use simulator::accounts::{ACCOUNT, ANALYST_SESSION_KEY, Account, CLIENT_ID, CLIENT_SECRET, TENANT};
use simulator::entra::Cloud;
use simulator::proxy::{Access, Proxy};
use simulator::splunkd::{Edits, Masking};
use simulator::{Config, Fault, FaultKind, Route, When};

use crate::support::{Ended, List, Stage, normal};

const LIST: List = List::GraphAlerts;

/// Checks that a run brought everything there is.
#[track_caller]
fn complete(stage: &Stage, ended: &Ended) {
    assert_eq!(ended.events().len(), stage.objects(LIST).len());
}

/// The secret of the account, as messages name it.
const SECRET: &str = "the secret demo.client_secret of realm defender_account";

#[test]
fn every_no_of_splunkd_is_told_apart() {
    const SESSION: &str = "splunkd no longer accepts this run's session key";
    const ACCESS: &str = "the owner of this search or input needs a role with access to the app TA_defender";
    const LIST_PASSWORDS: &str = "the owner of this search or input needs a role with the capability list_storage_passwords \
                                  (edit_storage_passwords to change a secret), such as defender_responder";
    const NO_ACCOUNT: &str =
        "there is no account `demo` on this server: add it on the Configuration page of the app, tab Accounts";
    const NO_SECRET: &str = "account `demo` has no client_secret: enter it again for this account, or store it in storage/passwords \
                             with realm defender_account and username demo.client_secret";
    const HANDLER: &str = "Unexpected error in the REST handler. See splunkd.log/python.log.; see splunkd.log on this server";
    let account = "[demo] of defender_account.conf";
    let again = "the next run gets a new one";
    let late = "it is starting or overloaded, the next run asks again";
    let else_answers = "something else answers at splunkd's server_uri";
    let table = [
        ("conf-defender_account/", 401, 1, format!("{SESSION} ({account}); {again}")),
        ("conf-defender_account/", 403, 2, format!("splunkd refuses {account}: {ACCESS}")),
        ("conf-defender_account/", 404, 2, NO_ACCOUNT.to_owned()),
        ("conf-defender_account/", 500, 1, format!("splunkd failed at {account}: 500, {HANDLER}")),
        ("conf-defender_account/", 503, 1, format!("splunkd is not ready ({account}: 503); {late}")),
        ("conf-defender_account/", 200, 2, format!("the answer for {account} is not splunkd's JSON; {else_answers}")),
        ("conf-defender_settings/tls", 403, 2, format!("splunkd refuses [tls] of defender_settings.conf: {ACCESS}")),
        ("conf-defender_settings/tls", 500, 1, format!("splunkd failed at [tls] of defender_settings.conf: 500, {HANDLER}")),
        ("storage/passwords", 401, 1, format!("{SESSION} ({SECRET}); {again}")),
        ("storage/passwords", 403, 2, format!("splunkd refuses {SECRET}: {LIST_PASSWORDS}")),
        ("storage/passwords", 404, 2, NO_SECRET.to_owned()),
        ("storage/passwords", 500, 1, format!("splunkd failed at {SECRET}: 500, {HANDLER}")),
        ("storage/passwords", 503, 1, format!("splunkd is not ready ({SECRET}: 503); {late}")),
        ("storage/passwords", 200, 2, format!("the answer for {SECRET} is not splunkd's JSON; {else_answers}")),
        ("server/info", 500, 1, format!("splunkd failed at server/info: 500, {HANDLER}")),
    ];
    let stage = Stage::new();
    for (path, status, code, message) in table {
        let kind = if status == 200 { FaultKind::Html(200) } else { FaultKind::Status(status) };
        stage.sim.faults().push(Fault::new(Route::Splunk, When::Always, kind).matching(path));
        let ended = stage.input(LIST).run().exits(code);
        assert_eq!(ended.said("ERROR"), [format!("defender://test: {message}")]);
        assert_eq!((ended.text(), ended.log().len()), ("", 1));
        stage.sim.faults().clear();
    }
    assert_eq!(stage.asked(Route::Token), 0, "nobody else was asked");
    let gone = stage.input(LIST).session_key("gone").run().exits(1);
    assert_eq!(gone.said("ERROR"), [format!("defender://test: {SESSION} ([proxy] of defender_settings.conf); {again}")]);
    let analyst = stage.input(LIST).session_key(ANALYST_SESSION_KEY).run().exits(2);
    assert_eq!(analyst.said("ERROR"), [format!("defender://test: splunkd refuses {SECRET}: {LIST_PASSWORDS}")]);
    complete(&stage, &stage.input(LIST).run().exits(0).quietly());
}

#[test]
fn settings_that_are_not_there_are_the_defaults() {
    let stage = Stage::new();
    stage.sim.faults().push(Fault::new(Route::Splunk, When::Always, FaultKind::Status(404)).matching("conf-defender_settings"));
    complete(&stage, &stage.input(LIST).run().exits(0).quietly());
}

#[test]
fn a_splunkd_that_is_starting_is_waited_for_a_little() {
    let stage = Stage::new();
    stage.fault(Route::SplunkPasswords, When::Times(2), FaultKind::Status(503));
    complete(&stage, &stage.input(LIST).run().exits(0).quietly());
}

#[test]
fn a_masked_secret_is_no_secret() {
    let stage = Stage::new();
    stage.sim.world(|world| world.splunkd.masking = Masking::Masked);
    let ended = stage.input(LIST).run().exits(2);
    let allow = "allow this server to read it in clear text: limits.conf [storage_passwords_masking] view_cleartext_allowlist";
    assert_eq!(ended.said("ERROR"), [format!("defender://test: splunkd masks {SECRET}; {allow}")]);
}

#[test]
fn a_search_head_cluster_member_collects_nothing() {
    for role in ["shc_member", "shc_captain"] {
        let stage = Stage::new();
        stage.sim.world(|world| world.splunkd.server_roles.push(role.to_owned()));
        let ended = stage.input(LIST).run().exits(2);
        let why = "inputs do not run on a search head cluster member, where each member would collect everything; disable this input \
                   here and set it up on a heavy forwarder";
        assert_eq!(ended.said("ERROR"), [format!("defender://test: {why}")]);
        assert_eq!(stage.asked(Route::Token), 0);
    }
}

/// Takes the secret of the account that works out of `storage/passwords` and writes it into the conf file.
fn in_clear_text(stage: &Stage, secret: &str) {
    stage.sim.world(|world| world.splunkd.remove_password("defender_account", "demo.client_secret"));
    stage.account("client_secret", secret);
}

/// The secret as it stands in the conf file, and as it is stored.
fn kept(stage: &Stage) -> (Option<String>, Option<String>) {
    stage.sim.world(|world| {
        let conf = world.splunkd.conf("defender_account", ACCOUNT, "client_secret").map(str::to_owned);
        (conf, world.splunkd.password("defender_account", "demo.client_secret").map(str::to_owned))
    })
}

#[test]
fn a_secret_in_the_conf_file_is_moved() {
    let stage = Stage::new();
    in_clear_text(&stage, CLIENT_SECRET);
    // Trying an input out changes nothing.
    stage.input(LIST).validate().exits(0).quietly();
    assert_eq!(kept(&stage), (Some(CLIENT_SECRET.to_owned()), None));
    let ended = stage.input(LIST).run().exits(0).quietly();
    complete(&stage, &ended);
    let moved = "account `demo`: its client_secret was moved from defender_account.conf to storage/passwords";
    assert_eq!(ended.said("INFO")[0], moved);
    assert_eq!(kept(&stage), (Some(String::new()), Some(CLIENT_SECRET.to_owned())));
    // Configuration management puts a newer one there.
    stage.account("client_secret", "newer~secret");
    stage
        .sim
        .world(|world| world.entra.application(TENANT, CLIENT_ID).unwrap().secrets = vec![("newer~secret".to_owned(), None)]);
    let ended = stage.input(LIST).run().exits(0).quietly();
    assert_eq!(ended.said("INFO")[0], moved);
    assert_eq!(kept(&stage), (Some(String::new()), Some("newer~secret".to_owned())));
    assert_eq!(stage.input(LIST).run().exits(0).quietly().said("INFO").len(), 1);
}

#[test]
fn a_secret_that_cannot_be_moved_is_used_and_warned_of() {
    let stays = "account `demo`: its client_secret is stored in storage/passwords, but still stands in defender_account.conf, which \
                 something else owns: remove it there";
    let refused = "account `demo`: its client_secret stays in clear text in defender_account.conf: splunkd refuses [demo] of \
                   defender_account.conf: the owner of this search or input needs a role with access to the app TA_defender";
    for (edits, warning) in [(Edits::Vanish, stays), (Edits::Forbidden, refused)] {
        let stage = Stage::new();
        in_clear_text(&stage, CLIENT_SECRET);
        stage.sim.world(|world| world.splunkd.edits = edits);
        complete(&stage, &stage.input(LIST).run().exits(0).says("ERROR", &[]).says("WARN", &[warning]));
        stage.sim.forget_requests();
        stage.input(LIST).run().exits(0).says("WARN", &[warning]);
        let stored = |e: &simulator::Exchange| e.route == Route::SplunkPasswords && e.request.method == "POST";
        assert!(!stage.sim.requests().iter().any(stored), "what is stored is not stored again with every run");
    }
    let stage = Stage::new();
    in_clear_text(&stage, CLIENT_SECRET);
    let fault = Fault::new(Route::SplunkPasswords, When::Always, FaultKind::Status(403));
    stage.sim.faults().push(fault);
    let ended = stage.input(LIST).run().exits(0).says("ERROR", &[]);
    complete(&stage, &ended);
    let said = ended.said("WARN").concat();
    assert!(
        said.starts_with(&format!(
            "account `demo`: its client_secret stays in clear text in defender_account.conf: splunkd refuses {SECRET}: "
        )),
        "{said}"
    );
    assert_eq!(kept(&stage).0.as_deref(), Some(CLIENT_SECRET));
}

#[test]
fn a_long_secret_is_kept_in_pieces() {
    let long: String = (0..60).map(|n| format!("{n:02}~ü:3:x.")).collect();
    let stage = Stage::new();
    stage.sim.world(|world| world.entra.application(TENANT, CLIENT_ID).unwrap().secrets = vec![(long.clone(), None)]);
    in_clear_text(&stage, &long);
    // Left behind by a longer one before it.
    stage.secret("client_secret.4", "old");
    complete(&stage, &stage.input(LIST).run().exits(0).quietly());
    let pieces: Vec<String> = stage.sim.world(|world| {
        let piece = |n: usize| world.splunkd.password("defender_account", &format!("demo.client_secret.{n}")).map(str::to_owned);
        (1..10).map_while(piece).collect()
    });
    assert_eq!(pieces.len(), 3);
    assert!(pieces.iter().all(|piece| piece.chars().count() <= 250) && pieces[0].starts_with("3:"));
    assert_eq!(pieces.concat(), format!("3:{long}"));
    assert_eq!(kept(&stage), (Some(String::new()), None));
    // And read back by the next run.
    stage.change(LIST, &stage.objects(LIST)[0].id);
    assert_eq!(stage.input(LIST).run().exits(0).quietly().events().len(), 1);
    stage.sim.world(|world| world.splunkd.remove_password("defender_account", "demo.client_secret.2"));
    let ended = stage.input(LIST).run().exits(2);
    let incomplete = "is stored in pieces and incomplete (piece 2 of 3 is missing); enter it again";
    assert_eq!(ended.said("ERROR"), [format!("defender://test: {SECRET} {incomplete}")]);
}

#[test]
fn https_everywhere_with_splunks_own_certificate() {
    let stage = Stage::with(Config { tls: true, splunkd_tls: true, ..Stage::config() });
    assert!(stage.sim.splunkd_url().starts_with("https://") && stage.sim.graph_url().starts_with("https://"));
    complete(&stage, &stage.input(LIST).run().exits(0).quietly());
    stage.input(LIST).validate().exits(0).quietly();
}

#[test]
fn who_inspects_tls_names_the_ca() {
    let stage = Stage::with(Config { tls: true, ..Stage::config() });
    let bundle = |path: &str| stage.conf("defender_settings", "tls", "ca_bundle", path);
    bundle("");
    let ended = stage.input(LIST).run().exits(2);
    let unknown = "defender://test: Entra ID: no answer from HOST: its certificate is not trusted: no trusted authority signed it \
                   (UnknownIssuer); where TLS is inspected on the way, put the certificate";
    assert!(ended.said("ERROR").concat().starts_with(unknown), "{}", ended.stderr);
    let empty = stage.sim.splunk_home().join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    let none = "no certificate in it; a PEM file with the CA's certificates is expected";
    for (path, reason) in [("/nonexistent/ca.pem", "No such file or directory (os error 2)"), (empty.to_str().unwrap(), none)] {
        bundle(path);
        let ended = stage.input(LIST).run().exits(2);
        let expected =
            format!("defender://test: ca_bundle {path}: {reason}; correct it on the Configuration page of the app, tab Settings");
        assert_eq!(ended.said("ERROR"), [normal(&expected)]);
    }
    bundle(stage.sim.ca_bundle().to_str().unwrap());
    complete(&stage, &stage.input(LIST).run().exits(0).quietly());
}

fn through(stage: &Stage, access: Access) -> Proxy {
    let proxy = stage.sim.proxy(access).unwrap();
    stage.conf("defender_settings", "proxy", "url", &proxy.url());
    proxy
}

#[test]
fn this_machine_is_never_asked_through_the_proxy() {
    let stage = Stage::with(Config { tls: true, splunkd_tls: true, ..Stage::config() });
    let proxy = through(&stage, Access::Denied(403));
    complete(&stage, &stage.input(LIST).run().exits(0).quietly());
    assert_eq!(proxy.tunnels(), []);
}

#[test]
fn every_cloud_is_reached_through_the_proxy_by_its_own_names() {
    let stage = Stage::with(Config { tls: true, splunkd_tls: true, ..Stage::config() });
    let clouds = [
        (
            Cloud::Commercial,
            "login.microsoftonline.com",
            ["graph.microsoft.com", "graph.microsoft.com", "api.security.microsoft.com", "api.security.microsoft.com"],
        ),
        (
            Cloud::Gcc,
            "login.microsoftonline.com",
            [
                "graph.microsoft.com",
                "graph.microsoft.com",
                "api-gcc.security.microsoft.us",
                "api-gcc.securitycenter.microsoft.us",
            ],
        ),
        (
            Cloud::GccHigh,
            "login.microsoftonline.us",
            ["graph.microsoft.us", "graph.microsoft.us", "api-gov.security.microsoft.us", "api-gov.securitycenter.microsoft.us"],
        ),
        (
            Cloud::Dod,
            "login.microsoftonline.us",
            [
                "dod-graph.microsoft.us",
                "dod-graph.microsoft.us",
                "api-gov.security.microsoft.us",
                "api-gov.securitycenter.microsoft.us",
            ],
        ),
    ];
    for (number, (cloud, login, hosts)) in clouds.into_iter().enumerate() {
        let name = format!("cloud{number}");
        let tenant = format!("00000000-0000-4000-8000-00000000000{number}");
        stage.sim.add_cloud_account(&Account { cloud, tenant, ..Account::new(&name) });
        for (list, host) in List::ALL.into_iter().zip(hosts) {
            let proxy = through(&stage, Access::Open);
            stage.input(list).set("account", &name).validate().exits(0).quietly();
            let targets: Vec<String> = proxy.tunnels().into_iter().map(|tunnel| tunnel.target).collect();
            assert_eq!(targets, [format!("{login}:443"), format!("{host}:443")], "{cloud:?} {list:?}");
        }
    }
}

#[test]
fn a_proxy_may_want_a_user_and_a_password() {
    let stage = Stage::with(Config { tls: true, ..Stage::config() });
    stage.sim.add_cloud_account(&Account::new("cloud"));
    let (user, password) = ("splunk", "p:ä ss\"w%rd");
    let proxy = through(&stage, Access::Basic(user.to_owned(), password.to_owned()));
    let input = stage.input(LIST).set("account", "cloud");
    let enter = "enter the proxy's user name and password on the Configuration page of the app, tab Settings (the add-on signs in by \
                 Basic authentication), or have the proxy let this machine through without";
    let refused = "defender://test: Entra ID: no answer from login.microsoftonline.com: the proxy refused the connection: 407, it wants \
                   another user name or password";
    let refused = format!("{refused}; {enter}");
    assert_eq!(input.run().exits(2).said("ERROR"), std::slice::from_ref(&refused));
    stage.conf("defender_settings", "proxy", "username", user);
    stage.sim.world(|world| world.splunkd.set_password("defender_settings", "proxy", "wrong"));
    assert_eq!(input.run().exits(2).said("ERROR"), [refused]);
    stage.sim.world(|world| world.splunkd.set_password("defender_settings", "proxy", password));
    complete(&stage, &input.run().exits(0).quietly());
    assert_eq!(proxy.tunnels().last().unwrap().status, 200);

    let _closed = through(&stage, Access::Denied(403));
    let refused = "defender://test: Entra ID: no answer from login.microsoftonline.com: the proxy refused the connection: 403; have the \
                   proxy allow CONNECT from this machine to this host and port, or name another proxy on the Configuration page of \
                   the app, tab Settings";
    assert_eq!(input.run().exits(2).said("ERROR"), [refused]);
}

#[test]
fn a_proxy_that_is_none_is_said() {
    let stage = Stage::new();
    for url in ["proxy", "socks5://proxy:1080"] {
        stage.conf("defender_settings", "proxy", "url", url);
        let ended = stage.input(LIST).run().exits(2);
        let expected = format!(
            "defender://test: proxy url `{url}`: write http://host:port; correct it on the Configuration page of the app, tab Settings"
        );
        assert_eq!(ended.said("ERROR"), [expected]);
    }
}

#[test]
fn the_environments_proxy_is_not_ours() {
    let stage = Stage::with(Config { tls: true, ..Stage::config() });
    let program = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
        .iter()
        .fold(stage.input(LIST).program(), |program, name| program.env(name, "http://127.0.0.1:9"));
    complete(&stage, &program.run().exits(0).quietly());
}

/// Stores a text as the secret of an account, in pieces as its length asks for.
fn store_in_pieces(stage: &Stage, name: &str, text: &str) {
    let mut chunks: Vec<String> = text.as_bytes().chunks(240).map(|chunk| String::from_utf8(chunk.to_vec()).unwrap()).collect();
    chunks[0] = format!("{}:{}", chunks.len(), chunks[0]);
    for (number, chunk) in chunks.iter().enumerate() {
        let username = format!("{name}.certificate_key.{}", number + 1);
        stage.sim.world(|world| world.splunkd.set_password("defender_account", &username, chunk));
    }
}

#[test]
fn an_app_may_prove_itself_with_a_certificate() {
    let stage = Stage::new();
    let certificate = stage.sim.certificate().clone();
    let known = Account { secret: None, certificate: Some(certificate.der.clone()), ..Account::new("known") };
    let unknown = Account { secret: None, ..Account::new("unknown") };
    for account in [&known, &unknown] {
        stage.sim.add_account(account);
        stage.conf("defender_account", &account.name, "auth", "certificate");
        // One line, as a conf file has it.
        stage.conf("defender_account", &account.name, "certificate", &certificate.certificate.replace('\n', "\\n"));
    }
    let input = |name: &str| stage.input(LIST).set("account", name);
    let no_key = "account `known` has no certificate_key: enter it again for this account, or store it in storage/passwords with \
                  realm defender_account and username known.certificate_key";
    assert_eq!(input("known").run().exits(2).said("ERROR"), [format!("defender://test: {no_key}")]);
    store_in_pieces(&stage, "known", &certificate.key);
    store_in_pieces(&stage, "unknown", &certificate.key);
    for list in List::ALL {
        stage.input(list).set("account", "known").validate().exits(0).quietly();
    }
    complete(&stage, &input("known").run().exits(0).quietly());
    let token = stage.sim.requests().into_iter().rfind(|exchange| exchange.route == Route::Token).unwrap();
    assert!(token.request.form().iter().all(|(name, _)| name != "client_secret"));
    let said = input("unknown").run().exits(2).said("ERROR").concat();
    let expected = "defender://test: Entra ID gave no token: the certificate is not registered with the app, or the private key is not its own (AADSTS700027, HTTP 401, ";
    assert!(said.starts_with(expected), "{said}");
    assert!(said.contains("; upload the account's certificate to the app registration "), "{said}");
}

#[test]
fn a_run_that_asks_nobody_takes_no_time() {
    let stage = Stage::new();
    let ended: Ended = stage.input(LIST).set("feed", "machines").run().exits(2);
    assert!(ended.took < Duration::from_secs(2), "{:?}", ended.took);
    assert!(stage.sim.requests().is_empty());
}
