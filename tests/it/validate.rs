//! An input that is being saved is tried out, and what is wrong is said while the form is open.

use std::time::{Duration, Instant};

use simulator::accounts::{Account, CLIENT_ID, TENANT};
use simulator::model::MissingRole;
use simulator::throttle::RetryAfter;
use simulator::{Fault, FaultKind, Route, When};

use crate::support::{Ended, Input, List, Stage, messages, normal};

/// The text of a refusal, which the log repeats.
#[track_caller]
fn refused(ended: Ended) -> String {
    let ended = ended.exits(1);
    let message = normal(&messages(&ended.stdout));
    assert_eq!(ended.said("ERROR"), [format!("the input is refused: {message}")]);
    message
}

/// The trial read as messages name it; `filter` is the admin's own, encoded.
fn trial(list: List, filter: &str) -> String {
    let expand = match list {
        List::GraphIncidents => "&$expand=alerts",
        List::EndpointAlerts => "&$expand=evidence",
        List::GraphAlerts | List::XdrIncidents => "",
    };
    let (service, path, (_, updated)) = (list.service_name(), list.path(), list.identity());
    format!("{service}: GET {path}?$filter={updated}%20ge%20TIME{filter}&$top=2{expand}")
}

/// How Entra ID's refusals end.
const TRACE: &str = "trace id GUID, correlation id GUID, at TIME";

fn grant(stage: &Stage, list: List, roles: &[&str]) {
    stage.sim.world(|world| world.entra.application(TENANT, CLIENT_ID).unwrap().grant(list.resource(), roles));
}

#[test]
fn a_good_input_is_accepted_without_a_word_and_leaves_no_trace() {
    let stage = Stage::new();
    for list in List::ALL {
        stage.sim.forget_requests();
        // Reading is all an input needs.
        grant(&stage, list, &[list.permission().0]);
        let ended = stage.input(list).validate().exits(0);
        assert_eq!((ended.text(), ended.stderr.as_str()), ("", ""), "{list:?}");
        assert_eq!((stage.asked(Route::Token), stage.asked(list.route())), (1, 1), "{list:?}");
    }
    assert_eq!(std::fs::read_dir(stage.sim.checkpoint_dir()).unwrap().count(), 0, "nothing is a position yet");
}

#[test]
fn every_parameter_says_what_it_may_be() {
    const DURATION: &str = "is not a duration: write a whole number and s, m, h or d, such as 15m, 12h or 30d";
    const NAME: &str = "may hold letters, digits, _ and - only";
    let stage = Stage::new();
    let table = [
        ("feed", "", "it is required and missing".to_owned()),
        ("feed", "machines", "`machines` is not a feed: use incidents, alerts, event_hub or storage".to_owned()),
        ("account", "", "it is required and missing".to_owned()),
        ("account", "a b", format!("`a b` {NAME}")),
        ("account", "../x", format!("`../x` {NAME}")),
        ("api", "xdr", "`xdr` is unknown: write graph or defender".to_owned()),
        ("start", "yesterday", format!("`yesterday` {DURATION}, now, or a time such as TIME")),
        ("start", "9999d", "`9999d` is too long: 3650d is the most".to_owned()),
        ("lookback", "1.5h", format!("`1.5h` {DURATION}")),
        ("lookback", "-15m", format!("`-15m` {DURATION}")),
        ("filter", "(a eq 1", "it has parentheses that do not match".to_owned()),
        ("filter", "a eq 1) or (b eq 2", "it has parentheses that do not match".to_owned()),
        ("filter", "a eq 'x", "it has a quote that is not closed".to_owned()),
        ("include_alerts", "some", "`some` is not one of changed, all, none".to_owned()),
        ("events", "raw", "`raw` is not one of compact, verbatim".to_owned()),
        ("page_size", "1", "`1` is not a number from 2 to 1000, the most this API takes".to_owned()),
        ("page_size", "many", "`many` is not a number from 2 to 1000, the most this API takes".to_owned()),
        ("evidence", "none", "`none` is not one of inline, events, both".to_owned()),
    ];
    for (name, value, reason) in table {
        let message = refused(stage.input(List::GraphAlerts).set(name, value).validate());
        let expected = format!(
            "parameter {name}: {reason}; correct it on the Configuration page of the app, tab Inputs, or in Settings > Data inputs > Microsoft Defender"
        );
        assert_eq!(message, expected, "{name} = {value}");
    }
    assert!(stage.sim.requests().is_empty(), "nobody has to be asked for that");
    // Words may be written in another case.
    for (name, value) in [
        ("feed", "Alerts"),
        ("api", "GRAPH"),
        ("start", "Now"),
        ("include_alerts", "NONE"),
        ("events", "Verbatim"),
        ("evidence", "Both"),
    ] {
        stage.input(List::GraphAlerts).set(name, value).validate().exits(0).quietly();
    }
    for list in List::ALL {
        let most = most_of(list);
        let message = refused(stage.input(list).set("page_size", &(most + 1).to_string()).validate());
        let reason = format!("is not a number from 2 to {most}, the most this API takes");
        assert!(message.contains(&reason), "{message}");
        stage.input(list).set("page_size", &most.to_string()).validate().exits(0).quietly();
        let updated = list.identity().1;
        let message = refused(stage.input(list).set("filter", &format!("{updated} gt 2026-01-01T00:00:00Z")).validate());
        assert!(message.starts_with(&format!("parameter filter: it names {updated}, which the input sets itself")), "{message}");
    }
    let message = refused(stage.input(List::GraphAlerts).named("a/b").validate());
    assert!(message.starts_with(&format!("parameter name: `a/b` {NAME}")), "{message}");
}

/// The largest page an API takes.
fn most_of(list: List) -> u32 {
    match list {
        List::GraphIncidents => 50,
        List::GraphAlerts => 1000,
        List::XdrIncidents => 100,
        List::EndpointAlerts => 10_000,
    }
}

#[test]
fn a_missing_permission_is_named() {
    let stage = Stage::new();
    for list in List::ALL {
        let (permission, group) = list.permission();
        let remedy = format!(
            "grant the app the application permission {permission} ({group}, not the delegated one) in Entra ID > App \
             registrations > API permissions and give admin consent; a new token may take some minutes to carry it"
        );
        let other = if permission.contains("lert") { "SecurityIncident.Read.All" } else { "SecurityAlert.Read.All" };
        for roles in [&[][..], &[other]] {
            grant(&stage, list, roles);
            stage.sim.world(|world| world.behaviour.missing_role = MissingRole::Forbidden);
            let message = refused(stage.input(list).validate());
            let start = format!("{}: HTTP 403: the application permission is missing: ", trial(list, ""));
            assert!(message.starts_with(&start) && message.ends_with(&format!(" (request id GUID); {remedy}")), "{message}");
            // Some services say 401 instead.
            stage.sim.world(|world| world.behaviour.missing_role = MissingRole::Unauthorized);
            let message = refused(stage.input(list).validate());
            let start = format!("{}: HTTP 401: the token was not accepted: ", trial(list, ""));
            let end = format!(
                " (request id GUID); {remedy}; if it is granted, check that the tenant has Defender and that the account's cloud is its own"
            );
            assert!(message.starts_with(&start) && message.ends_with(&end), "{message}");
        }
    }
}

#[test]
fn every_refusal_of_entra_says_what_to_do() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let other = "11111111-2222-3333-4444-555555555555";
    let of = |account: &str, setting: &str, value: &str| {
        stage.conf("defender_account", account, setting, value);
        refused(stage.input(list).set("account", account).validate())
    };
    stage.sim.add_account(&Account { secret_is_right: false, ..Account::new("secret") });
    assert_eq!(
        refused(stage.input(list).set("account", "secret").validate()),
        format!(
            "Entra ID gave no token: the client secret is wrong (AADSTS7000215, HTTP 401, {TRACE}); put the secret's Value, not its \
             Secret ID, into the account (Entra ID > App registrations > Certificates & secrets)"
        )
    );
    stage.sim.add_account(&Account::new("tenant"));
    assert_eq!(
        of("tenant", "tenant_id", other),
        format!(
            "Entra ID gave no token: the tenant does not exist in this cloud (AADSTS90002, HTTP 400, {TRACE}); check tenant_id and \
             cloud of the account"
        )
    );
    stage.sim.add_account(&Account::new("client"));
    assert_eq!(
        of("client", "client_id", other),
        format!(
            "Entra ID gave no token: no app registration with this client_id exists in the tenant (AADSTS700016, HTTP 400, {TRACE}); \
             check client_id, tenant_id and cloud of the account; an app of another tenant needs an administrator's consent in this one"
        )
    );
    stage.sim.add_account(&Account::new("cloud"));
    assert_eq!(
        of("cloud", "cloud", "gcc_high"),
        format!(
            "Entra ID gave no token: the service behind https://graph.microsoft.us/.default does not exist in the tenant \
             (AADSTS500011, HTTP 400, {TRACE}); check that the tenant has a Microsoft Defender licence and that the account's cloud and \
             tenant_id are right; for api = defender, open the Defender portal once and add the API's permission to the app"
        )
    );
    let past = stage.sim.now().minus(Duration::from_secs(60));
    stage.sim.world(|world| world.entra.application(TENANT, CLIENT_ID).unwrap().secrets[0].1 = Some(past));
    assert_eq!(
        refused(stage.input(list).validate()),
        format!(
            "Entra ID gave no token: the client secret has expired (AADSTS7000222, HTTP 401, {TRACE}); create a new client secret for \
             the app registration and put its Value into the account"
        )
    );
}

#[test]
fn what_an_account_lacks_is_said_with_its_name() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let https = "must be https: a token or secret would travel in clear text";
    let table = [
        ("tenant_id", "", "tenant_id: it is required and missing".to_owned()),
        (
            "tenant_id",
            "common",
            "tenant_id `common` names no tenant: write the Directory (tenant) ID or a verified domain".to_owned(),
        ),
        ("client_id", "", "client_id: it is required and missing".to_owned()),
        ("client_id", "app", "client_id `app` is not an Application (client) ID: a GUID such as GUID".to_owned()),
        ("cloud", "china", "cloud: `china` is unknown: write commercial, gcc, gcc_high or dod".to_owned()),
        ("auth", "password", "auth: `password` is not one of client_secret, certificate, connection_string".to_owned()),
        ("auth", "certificate", "certificate: it is required and missing".to_owned()),
        ("login_url", "http://login.example", format!("login_url: `http://login.example` {https}")),
        ("graph_url", "http://graph.example", format!("graph_url: `http://graph.example` {https}")),
        ("defender_url", "http://localhost.example", format!("defender_url: `http://localhost.example` {https}")),
        ("graph_url", "https://u:p@graph.example", "graph_url: a URL here may hold neither credentials nor a query".to_owned()),
    ];
    for (number, (setting, value, reason)) in table.into_iter().enumerate() {
        let name = format!("account{number}x");
        stage.sim.add_account(&Account::new(&name));
        stage.conf("defender_account", &name, setting, value);
        let message = refused(stage.input(list).set("account", &name).validate());
        assert_eq!(message, format!("account `{name}`: {reason}"));
    }
    let nobody = refused(stage.input(list).set("account", "nobody").validate());
    assert_eq!(nobody, "there is no account `nobody` on this server: add it on the Configuration page of the app, tab Accounts");
    stage.sim.add_account(&Account { secret: None, ..Account::new("bare") });
    assert_eq!(
        refused(stage.input(list).set("account", "bare").validate()),
        "account `bare` has no client_secret: enter it again for this account, or store it in storage/passwords with realm \
         defender_account and username bare.client_secret"
    );
}

#[test]
fn somebody_elses_answer_is_refused() {
    const BETWEEN: &str = "a proxy or sign-in page stands between this machine and Microsoft, or the account's URL names another \
                           service: let this machine reach the host directly or set the proxy";
    let stage = Stage::new();
    for list in List::ALL {
        let table = [
            (FaultKind::Html(200), "HTTP 200: a page titled \"Access denied\" answered"),
            (FaultKind::Html(403), "HTTP 403: a page titled \"Access denied\" answered"),
            (
                FaultKind::Redirect("https://portal.example/sign-in?from=here".to_owned()),
                "HTTP 302: a redirect to portal.example was not followed",
            ),
        ];
        for (kind, what) in table {
            stage.sim.faults().push(Fault::once(list.route(), kind));
            assert_eq!(refused(stage.input(list).validate()), format!("{}: {what}; {BETWEEN}", trial(list, "")));
        }
    }
    let table = [
        (FaultKind::Html(403), "HTTP 403: a page titled \"Access denied\" answered"),
        (FaultKind::Redirect("https://portal.example/".to_owned()), "HTTP 302: a redirect to portal.example was not followed"),
    ];
    for (kind, what) in table {
        stage.sim.faults().push(Fault::once(Route::Token, kind));
        let expected =
            format!("Entra ID: {what}; {}", BETWEEN.replace("Microsoft, or the account's URL", "Entra ID, or login_url"));
        assert_eq!(refused(stage.input(List::GraphAlerts).validate()), expected.replace("reach the host", "reach it"));
    }
}

#[test]
fn a_filter_the_service_does_not_understand_is_refused_in_its_words() {
    let stage = Stage::new();
    let list = List::GraphIncidents;
    assert_eq!(
        refused(stage.input(list).set("filter", "nonsense eq 'x'").validate()),
        format!(
            "{}: HTTP 400: the request was refused: BadRequest: Could not find a property named 'nonsense' on type \
             'microsoft.graph.security.incident'. (request id GUID); check the input's filter and page_size",
            trial(list, "%20and%20%28nonsense%20eq%20%27x%27%29")
        )
    );
}

/// Accepted, with a warning that says what happened.
#[track_caller]
fn untried(input: &Input<'_>, what: &str) {
    let ended = input.validate().exits(0);
    assert_eq!(ended.text(), "");
    let said: Vec<String> = ended.said("WARN").iter().map(|text| without_numbers(text)).collect();
    assert_eq!(said, [format!("the input is accepted without having been tried: {what}")]);
    assert_eq!(ended.log().len(), 1);
}

/// Counts of bytes differ with the data.
fn without_numbers(text: &str) -> String {
    match text.split_once(" bytes") {
        Some((before, after)) => format!("{} N bytes{after}", before.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end()),
        None => text.to_owned(),
    }
}

#[test]
fn what_may_pass_is_no_refusal() {
    let stage = Stage::new();
    let list = List::XdrIncidents;
    let input = stage.input(list);
    let asked = trial(list, "");
    let page = asked.strip_prefix("Microsoft 365 Defender API: GET ").unwrap();
    let check = "check name resolution, firewall, proxy and, where TLS is inspected, ca_bundle in defender_settings.conf";
    let quota =
        "TooManyRequests: Response represents reaching quota limit either by number of requests or by CPU. (request id GUID)";
    let table = [
        (FaultKind::Status(500), format!("{asked}: HTTP 500: the service failed: InternalServerError (request id GUID)")),
        (FaultKind::Throttled(7, RetryAfter::Seconds), format!("{asked}: HTTP 429: asked to wait: {quota}")),
        (FaultKind::Html(503), format!("{asked}: HTTP 503: asked to wait")),
        (FaultKind::Refused, format!("{asked}: no answer from HOST: Peer disconnected; {check}")),
        (FaultKind::Nothing, format!("{asked}: HTTP 200: the answer is not whole: its body is empty")),
        (FaultKind::HalfJson, format!("{page}: the list answer is cut off after N bytes")),
        (FaultKind::Array, format!("{page}: the list answer is not a JSON object")),
    ];
    for (kind, what) in table {
        stage.sim.faults().push(Fault::once(list.route(), kind));
        untried(&input, &what);
    }
    let table = [
        (
            FaultKind::Entra(90_033),
            format!("Entra ID gave no token: a passing fault of Entra ID (AADSTS90033, HTTP 503, {TRACE})"),
        ),
        (
            FaultKind::Entra(90_055),
            format!("Entra ID gave no token: too many token requests for this tenant (AADSTS90055, HTTP 429, {TRACE})"),
        ),
    ];
    for (kind, what) in table {
        stage.sim.faults().push(Fault::once(Route::Token, kind));
        untried(&input, &what);
    }
    let nowhere =
        "splunkd cannot be asked for [proxy] of defender_settings.conf: no answer from HOST: Connection refused (os error 111)";
    untried(&input.server_uri("http://127.0.0.1:9"), nowhere);
}

#[test]
fn a_form_waits_ten_seconds_and_no_longer() {
    let stage = Stage::new();
    stage.sim.faults().push(Fault::new(Route::Token, When::Always, FaultKind::Silent));
    let begun = Instant::now();
    untried(&stage.input(List::GraphAlerts), "no answer within 10 s");
    let took = begun.elapsed();
    assert!((Duration::from_secs(9)..Duration::from_secs(14)).contains(&took), "{took:?}");
}
