//! The feed `event_hub`: what a hub holds comes out, each record at least once, whatever happens on the way.

use std::collections::BTreeMap;

use simulator::event_hubs::{At, EventHubs, Failure, Fault, HubFault};
use simulator::proxy::Access;
use simulator::{Config, When, accounts};

use crate::support::{Ended, Input, List, Running, Stage, has_the_members_of_streamed, normal};

mod faults;
mod hostile;
mod kill;

/// The hub of these tests.
const HUB: &str = "defender";

/// A stage with a hub of so many partitions.
fn stage(partitions: usize) -> Stage {
    let stage = Stage::with(Config { incidents: 0, alerts: 0, ..Stage::config() });
    stage.sim.event_hubs().create(HUB, partitions);
    stage
}

/// An input that reads the hub from its beginning.
fn input(stage: &Stage) -> Input<'_> {
    stage
        .input(List::GraphAlerts)
        .set("feed", "event_hub")
        .set("start", "earliest")
        .set("event_hub_namespace", &stage.sim.event_hubs().address())
        .set("event_hub_name", HUB)
}

/// A message with one record for each number.
fn message(numbers: impl IntoIterator<Item = u64>) -> String {
    let records: Vec<String> = numbers
        .into_iter()
        .map(|n| {
            format!(
                r#"{{"time":"2026-11-22T12:00:01Z","tenantId":"t","operationName":"Publish","category":"AdvancedHunting-DeviceEvents","properties":{{"Timestamp":"2026-11-22T12:00:00.{n:07}Z","N":{n}}}}}"#
            )
        })
        .collect();
    format!(r#"{{"records":[{}]}}"#, records.join(","))
}

/// Publishes messages of one record each to one partition after the other.
fn publish(hubs: &EventHubs, partitions: usize, numbers: std::ops::Range<u64>) {
    for n in numbers {
        hubs.publish(HUB, n as usize % partitions, message([n]));
    }
}

/// How often each number was written.
fn counted<'a>(events: impl IntoIterator<Item = &'a crate::support::Event>) -> BTreeMap<u64, usize> {
    let mut times = BTreeMap::new();
    for event in events {
        let n = event.json()["properties"]["N"].as_u64().unwrap_or_else(|| panic!("{}", event.data));
        *times.entry(n).or_default() += 1;
    }
    times
}

/// Waits until so many events came.
fn until(running: &mut Running, count: usize) {
    running.wait_until(&format!("{count} events"), |running| running.events_so_far().len() >= count);
}

/// Waits until the position is saved that covers a number of events of each partition.
fn until_saved(input: &Input<'_>, running: &mut Running, partition: usize, sequence: i64) {
    let path = input.checkpoint().with_extension(format!("hub.{partition}.json"));
    running.wait_until("the position is saved", |_| {
        std::fs::read_to_string(&path).is_ok_and(|text| text.contains(&format!("\"after\":{sequence}")))
    });
}

/// Asks it to stop and waits for the end.
fn stopped(running: Running) -> Ended {
    running.terminate();
    let ended = running.end().exits(0);
    assert!(ended.waited.as_millis() < 1500, "{:?}", ended.waited);
    ended
}

#[test]
fn everything_comes_once_and_a_second_run_goes_on_behind_it() {
    let stage = stage(3);
    let hubs = stage.sim.event_hubs();
    publish(hubs, 3, 0..60);
    let input = input(&stage).set("index", "edr").set("host", "h");
    let mut running = input.start();
    until(&mut running, 60);
    // What arrives meanwhile as well.
    publish(hubs, 3, 60..90);
    until(&mut running, 90);
    for partition in 0..3 {
        until_saved(&input, &mut running, partition, 29);
    }
    let ended = stopped(running).quietly();
    let events = ended.events();
    assert_eq!(counted(&events), (0..90).map(|n| (n, 1)).collect());
    let first = events.iter().find(|event| event.data.contains("\"N\":7}")).unwrap();
    assert_eq!((first.source.as_str(), first.sourcetype.as_str()), ("defender:event_hub:defender", "ms:defender:eventhub"));
    assert_eq!((first.index.as_deref(), first.host.as_deref()), (Some("edr"), Some("h")));
    assert_eq!(first.time, "1795348800.000");
    assert_eq!(format!(r#"{{"records":[{}]}}"#, first.data), message([7]), "as it was sent");

    publish(hubs, 3, 90..93);
    let mut running = input.start();
    until(&mut running, 3);
    let ended = stopped(running).quietly();
    assert_eq!(counted(&ended.events()), (90..93).map(|n| (n, 1)).collect());
    let record = hubs.record();
    assert_eq!(record.violations, Vec::<String>::new());
    assert!(record.tokens.iter().all(|put| put.status == 202 && put.kind == "jwt"), "{:?}", record.tokens);
}

#[test]
fn latest_means_the_moment_of_the_first_run_even_when_that_failed() {
    let stage = stage(2);
    let hubs = stage.sim.event_hubs();
    publish(hubs, 2, 0..10);
    let input = input(&stage).set("start", "latest");
    // It gets as far as its `start`, and no link ever answers.
    hubs.push_fault(Fault::new(At::Attach, When::Always, HubFault::Drop));
    let mut running = input.start();
    let begun = input.checkpoint().with_extension("hub.json");
    running.wait_until("the start is saved", |_| begun.exists());
    running.kill();
    running.end();
    hubs.clear_faults();
    publish(hubs, 2, 10..16);
    let mut running = input.start();
    until(&mut running, 6);
    assert_eq!(counted(&stopped(running).events()), (10..16).map(|n| (n, 1)).collect());
}

#[test]
fn the_minutes_line_is_written_at_the_end_as_well() {
    let stage = stage(1);
    publish(stage.sim.event_hubs(), 1, 0..5);
    let input = input(&stage);
    let mut running = input.start();
    until_saved(&input, &mut running, 0, 4);
    stage.sim.event_hubs().delete(HUB);
    let ended = running.end().exits(2);
    let line = ended.log().into_iter().find(|line| line.message.contains(": partition=0 ")).unwrap().message;
    let bytes = (0..5).map(|n| message([n]).len()).sum::<usize>();
    assert_eq!(
        line,
        format!(
            "defender://test: partition=0 messages=5 records=5 bytes={bytes} filtered=0 repeats=0 unparsed=0 undated=0 beside=0 missing=0 \
             reattached=0 throttled=0 lag_events=0 lag_s=0"
        )
    );
    has_the_members_of_streamed(&line, " partition=");
}

#[test]
fn new_partitions_are_read_from_their_beginning() {
    let stage = stage(1);
    let hubs = stage.sim.event_hubs();
    let input = input(&stage).set("start", "latest");
    let mut running = input.start();
    let begun = input.checkpoint().with_extension("hub.json");
    running.wait_until("the start is saved", |_| begun.exists());
    hubs.grow(HUB, 3);
    publish(hubs, 3, 0..9);
    // The hub is looked at every minute, and with every connection.
    hubs.drop_connections();
    until(&mut running, 9);
    assert_eq!(counted(&stopped(running).events()), (0..9).map(|n| (n, 1)).collect());
}

#[test]
fn tables_shape_and_what_is_no_record() {
    let stage = stage(1);
    let hubs = stage.sim.event_hubs();
    hubs.publish(HUB, 0, message([1]).replace("DeviceEvents", "AlertInfo"));
    hubs.publish(HUB, 0, message([2]));
    hubs.publish(HUB, 0, "no json");
    let input = input(&stage).set("tables", "AlertInfo").set("shape", "community");
    let mut running = input.start();
    until(&mut running, 2);
    until_saved(&input, &mut running, 0, 2);
    hubs.delete(HUB);
    let ended = running.end().exits(2);
    let kinds: Vec<String> = ended.events().into_iter().map(|event| event.sourcetype).collect();
    assert_eq!(kinds, ["mscs:azure:eventhub:defender:advancedhunting", "ms:defender:eventhub:unparsed"]);
    assert_eq!(
        ended.said("WARN")[0],
        "defender://test: partition 0: 1 pieces are no records of the streaming API and went to the sourcetype \
         ms:defender:eventhub:unparsed, the first in message 2: something else writes into this hub"
    );
}

#[test]
fn what_is_in_no_event_and_what_has_no_time_is_counted_and_said() {
    let stage = stage(1);
    let hubs = stage.sim.event_hubs();
    hubs.publish(HUB, 0, message([0]));
    hubs.publish(HUB, 0, message([1, 2]).replace("\"Timestamp\"", "\"When\""));
    hubs.publish(HUB, 0, message([3]).replacen('{', r#"{"schema":1,"#, 1));
    let input = input(&stage);
    let mut running = input.start();
    until_saved(&input, &mut running, 0, 2);
    hubs.delete(HUB);
    let ended = running.end().exits(2);
    assert_eq!(counted(&ended.events()), (0..4).map(|n| (n, 1)).collect());
    let line = ended.log().into_iter().find(|line| line.message.contains(": partition=0 ")).unwrap().message;
    assert!(line.contains(" unparsed=0 undated=2 beside=1 missing=0 "), "{line}");
    assert_eq!(
        ended.said("WARN")[..2],
        [
            "defender://test: partition 0: 2 records have no Timestamp that can be read, the first in message 1: their _time is that \
             of their envelope, or of their message",
            "defender://test: partition 0: 1 members beside a list of records are in no event, the first in message 2: the streaming \
             API is not known to write there",
        ]
    );
}

#[test]
fn a_reader_that_comes_second_leaves_the_first_alone_and_says_so() {
    let stage = stage(1);
    let hubs = stage.sim.event_hubs();
    publish(hubs, 1, 0..3);
    let first = input(&stage);
    let mut one = first.start();
    until(&mut one, 3);
    let mut two = input(&stage).named("second").start();
    two.wait_until("it says so", |two| two.stderr_so_far().contains("another reader has partition 0"));
    publish(hubs, 1, 3..6);
    until(&mut one, 6);
    let second = stopped(two);
    assert_eq!(second.events().len(), 0);
    let said = normal(&second.said("WARN")[0]);
    assert!(said.contains("which is left to it") && said.contains("run one input for each consumer group"), "{said}");
    assert_eq!(counted(&stopped(one).quietly().events()).len(), 6);
}

#[test]
fn an_account_may_hold_a_connection_string() {
    let stage = stage(1);
    let hubs = stage.sim.event_hubs();
    publish(hubs, 1, 0..3);
    stage.account("auth", "connection_string");
    stage.account("tenant_id", "");
    stage.secret("connection_string", &hubs.connection_string(Some(HUB)));
    let mut running = input(&stage).start();
    until(&mut running, 3);
    stopped(running).quietly();
    assert!(hubs.record().tokens.iter().all(|put| put.status == 202 && put.kind == "servicebus.windows.net:sastoken"));
}

#[test]
fn a_token_may_be_accepted_with_another_status() {
    let stage = stage(1);
    let hubs = stage.sim.event_hubs();
    publish(hubs, 1, 0..3);
    hubs.accept_tokens_with(200);
    let mut running = input(&stage).start();
    until(&mut running, 3);
    stopped(running).quietly();
    assert!(hubs.record().tokens.iter().all(|put| put.status == 200));
}

#[test]
fn a_websocket_carries_the_same() {
    let stage = stage(2);
    let hubs = stage.sim.event_hubs();
    publish(hubs, 2, 0..20);
    let mut running = input(&stage).set("transport", "websocket").start();
    until(&mut running, 20);
    assert_eq!(counted(&stopped(running).quietly().events()), (0..20).map(|n| (n, 1)).collect());
    let record = hubs.record();
    assert!(record.connections.iter().all(|connection| connection.web_socket));
}

#[test]
fn a_message_of_a_megabyte_and_an_empty_one() {
    let stage = stage(1);
    let hubs = stage.sim.event_hubs();
    let filler = "x".repeat(1_000_000);
    hubs.publish(HUB, 0, padded(1, &filler));
    hubs.publish(HUB, 0, Vec::new());
    hubs.publish(HUB, 0, message([2]));
    let mut running = input(&stage).start();
    until(&mut running, 2);
    let ended = stopped(running).quietly();
    assert_eq!(counted(&ended.events()), BTreeMap::from([(1, 1), (2, 1)]));
    assert!(ended.events()[0].data.len() > filler.len());
}

/// What was published up to the service's limit is above it with the service's annotations.
#[test]
fn a_message_of_the_largest_size_does_not_stop_its_partition() {
    for transport in ["amqp", "websocket"] {
        let stage = stage(1);
        let hubs = stage.sim.event_hubs();
        let empty = padded(1, "").len();
        hubs.publish(HUB, 0, padded(1, &"x".repeat((1 << 20) - empty)));
        hubs.publish(HUB, 0, message([2]));
        let mut running = input(&stage).set("transport", transport).start();
        until(&mut running, 2);
        assert_eq!(counted(&stopped(running).quietly().events()), BTreeMap::from([(1, 1), (2, 1)]));
    }
}

#[test]
fn an_input_that_is_saved_is_tried_out() {
    let stage = stage(1);
    let hubs = stage.sim.event_hubs();
    let good = input(&stage).validate().exits(0);
    assert_eq!((good.text(), good.stderr.as_str()), ("", ""));
    assert_eq!(hubs.record().violations, Vec::<String>::new());
    // Also while the input runs, which it does when it is edited.
    publish(hubs, 1, 0..1);
    let mut running = input(&stage).start();
    until(&mut running, 1);
    input(&stage).validate().exits(0);
    publish(hubs, 1, 1..2);
    until(&mut running, 2);
    stopped(running).quietly();
}

#[test]
fn stolen_and_other_ends_of_a_link_are_told_apart() {
    let stage = stage(1);
    let hubs = stage.sim.event_hubs();
    publish(hubs, 1, 0..3);
    let mut running = input(&stage).start();
    until(&mut running, 3);
    hubs.detach(
        HUB,
        0,
        &Failure::new("com.microsoft:server-busy", "The request was terminated because the entity is being throttled."),
    );
    publish(hubs, 1, 3..6);
    until(&mut running, 6);
    let ended = stopped(running).says("ERROR", &[]);
    assert_eq!(counted(&ended.events()), (0..6).map(|n| (n, 1)).collect());
    let said = ended.said("WARN");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with(
            "defender://test: partition 0 for the consumer group $Default: com.microsoft:server-busy: The request was terminated"
        ),
        "{said:?}"
    );
}

#[test]
fn a_proxy_and_tls_stand_in_the_way() {
    let stage = Stage::with(Config { incidents: 0, alerts: 0, tls: true, ..Stage::config() });
    let hubs = stage.sim.event_hubs();
    hubs.create(HUB, 2);
    publish(hubs, 2, 0..20);
    let proxy = stage.sim.proxy(Access::Basic("splunk".to_owned(), "pr0xy".to_owned())).unwrap();
    stage.conf("defender_settings", "proxy", "url", &proxy.url());
    let input = input(&stage).set("transport", "websocket").set("event_hub_namespace", "contoso.servicebus.windows.net");
    let ended = input.run().exits(2);
    assert!(ended.said("ERROR")[0].contains("407"), "{}", ended.stderr);

    stage.conf("defender_settings", "proxy", "username", "splunk");
    stage.sim.world(|world| world.splunkd.set_password("defender_settings", "proxy", "pr0xy"));
    let mut running = input.start();
    until(&mut running, 20);
    assert_eq!(counted(&stopped(running).quietly().events()).len(), 20);
    assert!(hubs.record().connections.iter().all(|connection| connection.web_socket && connection.tls));
}

#[test]
fn nothing_secret_is_said() {
    let stage = stage(1);
    let hubs = stage.sim.event_hubs();
    stage.debug();
    stage.account("auth", "connection_string");
    let string = hubs.connection_string(Some(HUB));
    stage.secret("connection_string", &string);
    publish(hubs, 1, 0..5);
    hubs.push_fault(Fault::once(
        At::Token,
        HubFault::Refuse(Failure::new("amqp:internal-error", "The service was unable to process the request.")),
    ));
    hubs.push_fault(Fault::once(At::Transfer, HubFault::Drop));
    let mut running = input(&stage).start();
    until(&mut running, 5);
    let mut said = stopped(running).stderr;
    stage.account("auth", "client_secret");
    hubs.push_fault(Fault::once(
        At::Token,
        HubFault::Refuse(Failure::new("amqp:internal-error", "The service was unable to process the request.")),
    ));
    publish(hubs, 1, 5..10);
    let mut running = input(&stage).named("other").start();
    until(&mut running, 10);
    said.push_str(&stopped(running).stderr);
    for secret in
        [simulator::event_hubs::POLICY_KEY, "SharedAccessSignature", "eyJ", accounts::CLIENT_SECRET, accounts::SESSION_KEY]
    {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
    assert!(said.contains("the token: "), "the fault was told: {said}");
}

/// A message of one record that is made as large as its filler.
fn padded(n: u64, filler: &str) -> String {
    message([n]).replace("\"N\":", &format!("\"Filler\":\"{filler}\",\"N\":"))
}

#[test]
fn memory_stays_bounded_while_splunkd_takes_nothing() {
    let stage = stage(4);
    let hubs = stage.sim.event_hubs();
    let filler = "x".repeat(20_000);
    let large = "x".repeat(1_000_000);
    // Small ones, which earn a large credit, then larger ones, then the largest there are.
    for n in 0..2_000 {
        hubs.publish(HUB, n as usize % 4, message([n]));
    }
    for n in 2_000..3_000 {
        hubs.publish(HUB, n as usize % 4, padded(n, &filler));
    }
    for n in 3_000..3_030 {
        hubs.publish(HUB, n as usize % 4, padded(n, &large));
    }
    let mut running = input(&stage).program().unread().start();
    running.wait_until("the pipe is full", |running| running.waiting() >= 50_000);
    // What it takes ahead it takes within this time; the peak below shows it whenever it was.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let blocked = running.peak_memory_kb();
    running.read_on();
    running.wait_until("all of it", |running| running.taken() > 50_000_000);
    until(&mut running, 3_030);
    let peak = running.peak_memory_kb();
    assert_eq!(counted(&stopped(running).quietly().events()), (0..3_030).map(|n| (n, 1)).collect());
    assert!(blocked < 40_000 && peak < 40_000, "{blocked} kB while nothing was taken, {peak} kB at most");
}

/// Each of many partitions has messages of a megabyte waiting: they are not all under way at once.
#[test]
fn memory_stays_bounded_while_a_backlog_is_read() {
    let stage = stage(32);
    let large = "x".repeat(1_000_000);
    for n in 0..160 {
        stage.sim.event_hubs().publish(HUB, n as usize % 32, padded(n, &large));
    }
    let mut running = input(&stage).start();
    running.wait_until("all of it", |running| running.taken() > 160_000_000);
    until(&mut running, 160);
    let peak = running.peak_memory_kb();
    assert_eq!(counted(&stopped(running).quietly().events()), (0..160).map(|n| (n, 1)).collect());
    assert!(peak < 40_000, "{peak} kB");
}
