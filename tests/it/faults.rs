//! Everything the services and the machine do to a run, and that nothing is lost by it.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use simulator::model::{Alert, OrderBy};
use simulator::throttle::RetryAfter;
use simulator::{Config, FaultKind, Route, When};

use crate::support::{Ended, Event, Input, List, Stage};

/// The ids of the events that are the list's own objects.
fn ids(list: List, events: &[Event]) -> Vec<String> {
    let own = |event: &&Event| !event.sourcetype.ends_with(":incident:alerts");
    events.iter().filter(own).map(|event| event.member(list.identity().0)).collect()
}

/// Checks that these runs together brought every object, none twice.
#[track_caller]
fn complete(stage: &Stage, list: List, runs: &[&Ended]) {
    assert_eq!(repeats(stage, list, runs), 0, "none twice");
}

/// Checks that these runs together brought every object; how many came again.
#[track_caller]
fn repeats(stage: &Stage, list: List, runs: &[&Ended]) -> usize {
    let all: Vec<String> = runs.iter().flat_map(|run| ids(list, &run.events())).collect();
    let set: BTreeSet<String> = all.iter().cloned().collect();
    let expected: BTreeSet<String> = stage.objects(list).into_iter().map(|object| object.id).collect();
    assert_eq!(set, expected);
    all.len() - expected.len()
}

/// The list most of these tests read; what they show holds for all, which go through the same code.
const LIST: List = List::GraphAlerts;

/// An input that needs a few requests for all there is.
fn input(stage: &Stage) -> Input<'_> {
    stage.debug();
    stage.input(LIST).set("page_size", "50")
}

/// A request for a window as messages name it.
const WINDOW: &str = "Microsoft Graph: GET /v1.0/security/alerts_v2?$filter=lastUpdateDateTime%20ge%20TIME%20and%20\
                      lastUpdateDateTime%20lt%20TIME&$orderby=lastUpdateDateTime%20asc&$top=50";
/// The same for the news, whose window is open.
const NEWS: &str = "Microsoft Graph: GET /v1.0/security/alerts_v2?$filter=lastUpdateDateTime%20ge%20TIME&\
                    $orderby=lastUpdateDateTime%20asc&$top=50";

/// Seconds between the request that a fault happened to, the second, and the one after it.
fn pause_after_second(stage: &Stage) -> f64 {
    let asked: Vec<_> = stage.sim.requests().into_iter().filter(|exchange| exchange.route == LIST.route()).collect();
    (asked[2].at.0 - asked[1].at.0) as f64 / 1e7
}

#[test]
fn a_wait_the_service_asks_for_is_kept() {
    let busy = "HTTP 429: asked to wait: TooManyRequests: Please retry again later. (request id GUID)";
    let down = "HTTP 503: asked to wait: ServiceUnavailable: The service is temporarily unavailable. (request id GUID)";
    let table = [
        (FaultKind::Throttled(2, RetryAfter::Seconds), busy, 2.0..3.5),
        (FaultKind::Throttled(2, RetryAfter::Date), busy, 2.0..3.5),
        // Without a word about it: a second or so, more each time.
        (FaultKind::Throttled(2, RetryAfter::Missing), busy, 0.85..2.5),
        (FaultKind::Unavailable(2, RetryAfter::Seconds), down, 2.0..3.5),
        (FaultKind::Unavailable(2, RetryAfter::Date), down, 2.0..3.5),
    ];
    for (kind, what, expected) in table {
        let stage = Stage::new();
        stage.fault(LIST.route(), When::Nth(2), kind.clone());
        let ended = input(&stage).run().exits(0).quietly();
        complete(&stage, LIST, &[&ended]);
        let pause = pause_after_second(&stage);
        assert!(expected.contains(&pause), "{kind:?}: {pause} s");
        let said = ended.said("DEBUG").concat();
        assert!(said.starts_with(&format!("defender://test: {WINDOW}: {what}; waiting ")), "{said}");
        let summary = ended.said("INFO").concat();
        let waited: f64 = summary.split("throttled_s=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!((waited - 0.1..waited + 1.5).contains(&pause), "{waited} s of {pause} s");
    }
}

#[test]
fn a_wait_longer_than_the_run_is_left_to_the_next() {
    let stage = Stage::new();
    stage.fault(LIST.route(), When::Nth(2), FaultKind::Throttled(600, RetryAfter::Seconds));
    let input = input(&stage);
    let patience = "defender://test: the service asked for patience; nothing is asked before TIME";
    let first = input.run().exits(0).says("ERROR", &[]);
    let busy = "HTTP 429: asked to wait: TooManyRequests: Please retry again later. (request id GUID)";
    assert_eq!(first.said("WARN"), [format!("defender://test: {WINDOW}: {busy}; asking again at TIME")]);
    assert_eq!(first.said("INFO")[1], patience);

    stage.sim.forget_requests();
    let second = input.run().exits(0).quietly();
    assert_eq!((second.text(), stage.asked(LIST.route()), stage.asked(Route::Token)), ("", 0, 0));
    assert_eq!(second.said("INFO")[1], patience);

    let mut position = input.position();
    let until = simulator::Time::parse(position["checkpoint"]["not_before"].as_str().unwrap()).unwrap();
    let left = (until.0 - stage.sim.now().0) / 10_000_000;
    assert!((590..=601).contains(&left), "{left} s");
    position["checkpoint"]["not_before"] = "2026-01-01T00:00:00Z".into();
    fs::write(input.checkpoint(), position.to_string()).unwrap();
    let third = input.run().exits(0).quietly();
    complete(&stage, LIST, &[&first, &second, &third]);
    assert!(input.position()["checkpoint"].get("not_before").is_none());
}

#[test]
fn a_failure_that_passes_is_tried_again() {
    let table = [
        (FaultKind::Status(500), "HTTP 500: the service failed: InternalServerError: An error has occurred. (request id GUID)"),
        (
            FaultKind::Status(504),
            "HTTP 504: the service failed: GatewayTimeout: The upstream service did not answer in time. (request id GUID)",
        ),
        (FaultKind::Refused, "no answer from HOST: Peer disconnected"),
        (FaultKind::Cut(100), "no answer from HOST: gzip decompression failed: Peer disconnected"),
    ];
    for (kind, what) in table {
        let stage = Stage::new();
        stage.fault(LIST.route(), When::Nth(2), kind);
        let ended = input(&stage).run().exits(0).quietly();
        assert_eq!(ended.said("DEBUG"), [format!("defender://test: attempt 1 failed: {WINDOW}: {what}")]);
        complete(&stage, LIST, &[&ended]);
    }
}

#[test]
fn an_answer_that_cannot_be_read_is_asked_for_again() {
    let path = WINDOW.strip_prefix("Microsoft Graph: GET ").unwrap();
    for (kind, what) in
        [(FaultKind::HalfJson, "the list answer is cut off after "), (FaultKind::Array, "the list answer is not a JSON object")]
    {
        let stage = Stage::new();
        stage.fault(LIST.route(), When::Nth(2), kind);
        let ended = input(&stage).run().exits(0).quietly();
        let said = ended.said("DEBUG").concat();
        assert!(said.starts_with(&format!("defender://test: attempt 1 failed: {path}: {what}")), "{said}");
        assert!(ended.said("INFO").concat().contains(" halved=0 "), "{}", ended.stderr);
        complete(&stage, LIST, &[&ended]);
    }
}

#[test]
fn a_service_that_only_fails_ends_the_run_and_loses_nothing() {
    let check = "check name resolution, firewall, proxy and, where TLS is inspected, ca_bundle in defender_settings.conf";
    let check_account =
        "check the account's cloud and login_url, name resolution, firewall, proxy and, where TLS is inspected, the CA bundle";
    let table = [
        (LIST.route(), FaultKind::Refused, 1, format!("{NEWS}: no answer from HOST: Peer disconnected; {check}")),
        (
            LIST.route(),
            FaultKind::Status(404),
            2,
            format!(
                "{NEWS}: HTTP 404: not found: NotFound: Resource was not found. (request id GUID); the host answers and has no such list: check the account's graph_url or defender_url, and its cloud"
            ),
        ),
        (Route::Token, FaultKind::Refused, 1, format!("Entra ID: no answer from HOST: Peer disconnected; {check_account}")),
    ];
    for (route, kind, code, message) in table {
        let stage = Stage::new();
        let input = input(&stage);
        stage.fault(route, When::Always, kind);
        let failed = input.run().exits(code);
        assert_eq!(failed.said("ERROR"), [format!("defender://test: {message}")]);
        assert_eq!(failed.text(), "");
        stage.sim.faults().clear();
        complete(&stage, LIST, &[&input.run().exits(0).quietly()]);
    }
}

#[test]
fn what_a_person_has_to_mend_ends_the_run_with_two() {
    const BETWEEN: &str = "a proxy or sign-in page stands between this machine and Microsoft, or the account's URL names another \
                           service: let this machine reach the host directly or set the proxy";
    let grant = "grant the app the application permission SecurityAlert.Read.All (Microsoft Graph, not the delegated one) in Entra \
                 ID > App registrations > API permissions and give admin consent; a new token may take some minutes to carry it";
    let table = [
        (FaultKind::Html(200), format!("HTTP 200: a page titled \"Access denied\" answered; {BETWEEN}")),
        (
            FaultKind::Redirect("https://portal.example/x?y#z".to_owned()),
            format!("HTTP 302: a redirect to portal.example was not followed; {BETWEEN}"),
        ),
        (
            FaultKind::Status(403),
            format!(
                "HTTP 403: the application permission is missing: Forbidden: Missing application roles. (request id GUID); {grant}"
            ),
        ),
    ];
    for (kind, what) in table {
        let stage = Stage::new();
        let input = input(&stage);
        stage.fault(LIST.route(), When::Nth(2), kind);
        let failed = input.run().exits(2);
        assert_eq!(failed.said("ERROR"), [format!("defender://test: {WINDOW}: {what}")]);
        complete(&stage, LIST, &[&failed, &input.run().exits(0).quietly()]);
    }
    let stage = Stage::new();
    let input = input(&stage);
    stage.fault(Route::Token, When::Once, FaultKind::Entra(53_003));
    let failed = input.run().exits(2);
    let policy = "Entra ID gave no token: a Conditional Access policy blocks the app (AADSTS53003, HTTP 400, trace id GUID, correlation id \
                  GUID, at TIME); let the policy for workload identities allow this app from this machine's address";
    assert_eq!(failed.said("ERROR"), [format!("defender://test: {policy}")]);
    complete(&stage, LIST, &[&input.run().exits(0).quietly()]);
}

#[test]
fn a_token_that_is_withdrawn_is_renewed_once() {
    let stage = Stage::new();
    stage.fault(LIST.route(), When::Nth(2), FaultKind::TokenRevoked);
    let ended = input(&stage).run().exits(0).quietly();
    complete(&stage, LIST, &[&ended]);
    let statuses: Vec<u16> = stage.sim.requests().iter().filter(|e| e.route == LIST.route()).map(|e| e.status).collect();
    assert_eq!((statuses[1], statuses.iter().filter(|status| **status == 401).count()), (401, 1), "{statuses:?}");
    assert_eq!(stage.asked(Route::Token), 2);

    // A service that accepts no token is not asked for ever.
    let stage = Stage::new();
    stage.fault(LIST.route(), When::Always, FaultKind::Status(401));
    let failed = input(&stage).run().exits(2);
    let said = failed.said("ERROR").concat();
    assert!(
        said.starts_with(&format!("defender://test: {NEWS}: HTTP 401: the token was not accepted: InvalidAuthenticationToken: ")),
        "{said}"
    );
    assert!(said.contains("; grant the app the application permission SecurityAlert.Read.All "), "{said}");
    assert!(stage.asked(LIST.route()) <= 2);
}

#[test]
fn a_token_is_renewed_before_it_ends() {
    let stage = Stage::with(Config { token_life: 2, ..Stage::config() });
    stage.fault(LIST.route(), When::Nth(2), FaultKind::Throttled(2, RetryAfter::Seconds));
    let ended = input(&stage).run().exits(0).quietly();
    complete(&stage, LIST, &[&ended]);
    assert!(stage.sim.requests().iter().all(|exchange| exchange.status != 401));
    assert!(stage.asked(Route::Token) >= 2);
}

#[test]
fn an_object_that_cannot_be_read_is_set_aside_and_comes_later() {
    let stage = Stage::with(Config { incidents: 0, alerts: 0, ..Stage::config() });
    let poison = "poison".to_owned();
    let now = stage.sim.now();
    for (id, ago) in [("before", 30), ("poison", 20), ("after", 10)] {
        let alert = Alert::plain(id, None, now.minus(Duration::from_millis(ago)));
        stage.sim.world(|world| world.put_alert(alert));
    }
    stage.sim.world(|world| world.behaviour.poisoned.insert(poison.clone()));
    // A short history, since the window is halved until it is a millisecond, and each half is tried three times.
    let start = now.minus(Duration::from_millis(40)).to_string();
    let input = input(&stage).set("start", &start).set("lookback", "0s");
    // The service's clock tells what is past, to the second; one ahead of ours lets this moment be read at once.
    stage.fault(LIST.route(), When::Once, FaultKind::Clock(3));
    let first = input.run().exits(0).says("ERROR", &[]);
    let failed = "HTTP 500: the service failed: InternalServerError: An error has occurred. (request id GUID)";
    let aside = "what was updated at TIME cannot be read whole; it is set aside and tried again";
    assert_eq!(first.said("WARN"), [format!("defender://test: {aside}: {WINDOW}: {failed}")]);
    assert!(first.said("INFO").concat().contains(" set_aside=1 "), "{}", first.stderr);
    let came: BTreeSet<String> = ids(LIST, &first.events()).into_iter().collect();
    assert_eq!(came, ["before".to_owned(), "after".to_owned()].into());
    // The service heals.
    stage.sim.world(|world| world.behaviour.poisoned.clear());
    let second = input.run().exits(0).quietly();
    complete(&stage, LIST, &[&first, &second]);
    assert!(second.said("INFO").concat().contains(" set_aside=0 "), "{}", second.stderr);
}

#[test]
fn an_order_that_is_refused_or_ignored_changes_nothing() {
    for (orderby, refused) in [(OrderBy::Refused, 1), (OrderBy::Ignored, 0), (OrderBy::RefusedEvery(2), 1)] {
        let stage = Stage::new();
        stage.sim.world(|world| world.behaviour.orderby = orderby);
        let ended = input(&stage).set("page_size", "20").run().exits(0).quietly();
        complete(&stage, LIST, &[&ended]);
        let said = ended.said("DEBUG");
        assert_eq!(said.iter().filter(|line| line.contains(": order refused, going on without: ")).count(), refused, "{said:?}");
    }
}

#[test]
fn a_stop_is_obeyed_within_a_second_whatever_the_network_does() {
    for kind in
        [FaultKind::Endless(Duration::from_millis(20)), FaultKind::Silent, FaultKind::Slow(64, Duration::from_millis(200))]
    {
        let stage = Stage::new();
        let input = input(&stage);
        stage.fault(LIST.route(), When::Nth(2), kind.clone());
        let mut running = input.start();
        running.wait_until("the second request", |_| stage.asked(LIST.route()) == 2);
        let position = fs::read(input.checkpoint()).unwrap();
        running.terminate();
        let stopped = running.end().exits(0).quietly();
        assert!(stopped.waited < Duration::from_secs(1), "{kind:?}: {:?}", stopped.waited);
        assert_eq!(fs::read(input.checkpoint()).unwrap(), position, "nothing further is saved");
        stage.sim.faults().clear();
        // What was written is a whole document, and the next run goes on behind it. What splunkd already has of an answer that
        // never ended comes again.
        let most = if matches!(kind, FaultKind::Endless(_)) { 50 } else { 0 };
        let repeats = repeats(&stage, LIST, &[&stopped, &input.run().exits(0).quietly()]);
        assert!(repeats <= most, "{kind:?}: {repeats}");
    }
}

#[test]
fn what_was_written_of_an_answer_that_breaks_off_is_remembered() {
    let stage = Stage::with(Config { incidents: 0, alerts: 300, span: Duration::from_secs(600), ..Stage::config() });
    let input = stage.input(LIST).set("start", "1h").set("page_size", "200");
    // In the middle of a row, with others before it, as often as a request is sent.
    stage.fault(LIST.route(), When::Times(3), FaultKind::Cut(60_000));
    let broken = input.run().exits(1);
    let written = ids(LIST, &broken.events()).len();
    assert!((10..190).contains(&written), "{written}");
    assert_eq!(stage.asked(LIST.route()), 3);
    complete(&stage, LIST, &[&broken, &input.run().exits(0).quietly()]);
}

#[test]
fn a_stop_is_obeyed_in_a_wait() {
    let stage = Stage::new();
    let input = input(&stage);
    stage.fault(LIST.route(), When::Nth(2), FaultKind::Throttled(20, RetryAfter::Seconds));
    let mut running = input.start();
    running.wait_until("the second request", |_| stage.asked(LIST.route()) == 2);
    running.terminate();
    let stopped = running.end().exits(0).quietly();
    assert!(stopped.waited < Duration::from_secs(1), "{:?}", stopped.waited);
    complete(&stage, LIST, &[&stopped, &input.run().exits(0).quietly()]);
}

#[test]
fn a_stop_is_obeyed_while_splunkd_takes_nothing() {
    // More than a pipe holds, so that the program is stuck in a write; and less, so that it waits for splunkd to read.
    for (alerts, stuck) in [(200, true), (1, false)] {
        let stage = Stage::with(Config { incidents: 0, alerts, span: Duration::from_secs(600), ..Stage::config() });
        let input = stage.input(LIST).set("start", "1h");
        let mut running = input.program().unread().start();
        running.wait_until("events in the pipe", |running| running.waiting() > if stuck { 60_000 } else { 0 });
        let position = fs::read(input.checkpoint()).unwrap();
        let begun = Instant::now();
        running.terminate();
        let stopped = running.end().exits(0).quietly();
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        assert_eq!(fs::read(input.checkpoint()).unwrap(), position, "what splunkd did not take is not remembered");
        let taken = stopped.events_cut_short().len();
        assert!(taken > 0 && (taken < alerts) == stuck, "{taken}");
        complete(&stage, LIST, &[&input.run().exits(0).quietly()]);
    }
}

#[test]
fn a_closed_standard_output_ends_the_run_and_nothing_is_remembered() {
    let stage = Stage::new();
    let input = stage.input(LIST);
    stage.fault(LIST.route(), When::Once, FaultKind::Throttled(1, RetryAfter::Seconds));
    let mut running = input.program().unread().start();
    running.wait_until("the first request", |_| stage.asked(LIST.route()) == 1);
    let position = fs::read(input.checkpoint()).unwrap();
    running.close_stdout();
    let ended = running.end().exits(1);
    let gone = "splunkd no longer reads this input's output; the events it did not take come again with the next run";
    assert_eq!(ended.said("ERROR"), [format!("defender://test: {gone}")]);
    assert_eq!(fs::read(input.checkpoint()).unwrap(), position);
    complete(&stage, LIST, &[&input.run().exits(0).quietly()]);
}

#[test]
fn a_reader_that_leaves_in_the_middle_ends_the_run() {
    let stage = Stage::new();
    let input = stage.input(LIST);
    let mut running = input.program().unread().start();
    running.wait_until("events in the pipe", |running| running.waiting() > 0);
    let position = fs::read(input.checkpoint()).unwrap();
    running.close_stdout();
    running.end().exits(1);
    assert_eq!(fs::read(input.checkpoint()).unwrap(), position);
    complete(&stage, LIST, &[&input.run().exits(0).quietly()]);
}

#[test]
fn a_standard_output_that_leads_nowhere_is_refused_before_anything_is_asked() {
    let stage = Stage::new();
    let input = stage.input(LIST);
    let ended = input.program().nowhere().run().exits(1);
    let lost = "standard output cannot be used: it is closed or /dev/null, and events written there would be lost";
    assert_eq!(ended.said("ERROR"), [lost]);
    assert_eq!(stage.asked(LIST.route()), 0);
    complete(&stage, LIST, &[&input.run().exits(0).quietly()]);
}
