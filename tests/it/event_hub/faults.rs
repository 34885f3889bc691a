//! What can be wrong, and the one line that says it.

use std::time::{Duration, SystemTime};

use simulator::entra::Resource;
use simulator::event_hubs::{At, Failure, Fault, HubFault};
use simulator::proxy::Access;
use simulator::time::Time;
use simulator::{Config, accounts, event_hubs};

use super::{HUB, input, publish, stage, stopped, until, until_saved};
use crate::support::{Ended, Stage, normal};

/// The one error of a run that a person has to mend.
#[track_caller]
fn misconfigured(ended: Ended) -> String {
    let ended = ended.exits(2);
    let said = ended.said("ERROR");
    assert_eq!(said.len(), 1, "{}", ended.stderr);
    normal(&said[0])
}

#[test]
fn each_fault_is_one_line_with_its_remedy() {
    let stage = stage(1);
    let names = "check event_hub_namespace, event_hub_name and consumer_group of the input";
    let not_there = misconfigured(input(&stage).set("event_hub_name", "nowhere").run());
    assert!(not_there.starts_with("defender://test: the hub nowhere: status 404: ") && not_there.ends_with(names), "{not_there}");

    let group = misconfigured(input(&stage).set("consumer_group", "nobody").run());
    assert!(
        group.starts_with("defender://test: partition 0 for the consumer group nobody: amqp:not-found: ")
            && group.ends_with(names),
        "{group}"
    );

    let partitions = misconfigured(input(&stage).named("p").set("partitions", "7-9").run());
    assert_eq!(partitions, "defender://p: parameter partitions: the hub defender has the partitions 0, and none of those named");
}

#[test]
fn a_missing_role_is_named() {
    let stage = stage(1);
    let hubs = stage.sim.event_hubs();
    hubs.answer_missing_role(false);
    stage.sim.world(|world| {
        world.entra.application(accounts::TENANT, accounts::CLIENT_ID).unwrap().grant(Resource::EventHubs, &[]);
    });
    let said = misconfigured(input(&stage).run());
    assert!(said.contains("give the app registration the role \"Azure Event Hubs Data Receiver\""), "{said}");
    let refused = input(&stage).validate().exits(1);
    assert!(refused.text().contains(event_hubs::RECEIVER_ROLE), "{}", refused.text());
}

#[test]
fn a_host_that_does_not_exist_is_tried_again_and_said() {
    let stage = stage(1);
    let mut running = input(&stage).set("event_hub_namespace", "nowhere.invalid").start();
    running.wait_until("it says so twice", |running| {
        running.stderr_so_far().matches("nowhere.invalid:5671: there is no host of this name").count() > 1
    });
    let ended = stopped(running);
    assert!(ended.said("WARN")[0].contains("check event_hub_namespace, or the proxy"), "{}", ended.stderr);
}

#[test]
fn a_connection_string_is_checked_before_anything_is_asked() {
    let stage = stage(1);
    let hubs = stage.sim.event_hubs();
    stage.account("auth", "connection_string");
    let missing = misconfigured(input(&stage).run());
    assert!(missing.contains("has no connection_string"), "{missing}");
    for (string, part) in [
        (hubs.connection_string(Some("other")), "the connection string is for the hub `other`, and the input reads `defender`"),
        ("Endpoint=sb://localhost/".to_owned(), "the connection string has no SharedAccessKeyName"),
        (
            "Endpoint=sb://localhost/;SharedAccessSignature=SharedAccessSignature sr=x&sig=y&se=1&skn=n".to_owned(),
            "the shared access signature of the connection string expired",
        ),
    ] {
        stage.secret("connection_string", &string);
        let said = misconfigured(input(&stage).run());
        assert!(said.contains(part), "{said}");
    }
    stage.secret("connection_string", &hubs.connection_string(None).replace("SharedAccessKey=", "SharedAccessKey=x"));
    let said = misconfigured(input(&stage).run());
    assert!(said.contains("the token: status 401") && said.contains("claim Listen"), "{said}");
    // It opens no REST API.
    let said = misconfigured(
        input(&stage)
            .named("rest")
            .set("feed", "alerts")
            .set("start", "1d")
            .set("event_hub_namespace", "")
            .set("event_hub_name", "")
            .run(),
    );
    assert!(said.contains("auth: connection_string opens an event hub or a storage account and nothing else"), "{said}");
}

#[test]
fn a_hub_made_anew_is_never_read_in_silence() {
    let stage = stage(1);
    let hubs = stage.sim.event_hubs();
    publish(hubs, 1, 0..5);
    let input = input(&stage);
    let mut running = input.start();
    until(&mut running, 5);
    until_saved(&input, &mut running, 0, 4);
    stopped(running);
    hubs.create(HUB, 1);
    publish(hubs, 1, 0..50);
    let ended = input.run();
    assert_eq!(ended.events().len(), 0);
    let said = misconfigured(ended);
    assert!(
        said.starts_with(
            "defender://test: the hub defender was made anew: the one read before was created at TIME, this one at TIME"
        ),
        "{said}"
    );
    assert!(said.contains("test.hub.json and the files beside it"), "{said}");
}

#[test]
fn what_retention_deleted_unread_is_counted() {
    let stage = stage(1);
    let hubs = stage.sim.event_hubs();
    publish(hubs, 1, 0..5);
    let input = input(&stage);
    let mut running = input.start();
    until(&mut running, 5);
    until_saved(&input, &mut running, 0, 4);
    stopped(running);
    publish(hubs, 1, 5..20);
    hubs.expire(HUB, 0, 12);
    let mut running = input.start();
    until(&mut running, 8);
    let ended = stopped(running).says("ERROR", &[]);
    assert_eq!(super::counted(&ended.events()), (12..20).map(|n| (n, 1)).collect());
    let said = ended.said("WARN");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("defender://test: 7 messages of partition 0 were deleted before they were read"), "{said:?}");
}

#[test]
fn a_message_that_cannot_be_decoded_is_passed_on_as_it_is() {
    let stage = stage(1);
    let hubs = stage.sim.event_hubs();
    publish(hubs, 1, 0..3);
    // A section that ends before its length.
    let broken = event_hubs::Body { broken: vec![0x00, 0x53, 0x75, 0xb0, 0x00, 0x00, 0x00, 0x09, 0x41], ..Default::default() };
    hubs.publish(HUB, 0, broken);
    let input = input(&stage);
    let mut running = input.start();
    until(&mut running, 4);
    until_saved(&input, &mut running, 0, 3);
    hubs.drop_connections();
    publish(hubs, 1, 3..5);
    until_saved(&input, &mut running, 0, 5);
    hubs.delete(HUB);
    let ended = running.end().exits(2);
    let (odd, good): (Vec<_>, Vec<_>) = ended.events().into_iter().partition(|event| event.sourcetype.ends_with(":unparsed"));
    assert_eq!(super::counted(&good), (0..5).map(|n| (n, 1)).collect());
    let wanted = r#"{"reason":"it is no data section of a message","bytes":9,"encoding":"base64","body":"AFN1sAAAAAlB"}"#;
    assert_eq!(odd.iter().map(|event| event.data.as_str()).collect::<Vec<_>>(), [wanted]);
    let line = ended.log().into_iter().find(|line| line.message.contains(": partition=0 ")).unwrap().message;
    assert!(line.contains(" unparsed=1 ") && line.contains(" missing=0 "), "{line}");
}

/// The description of partitions fails, and the links go on; one partition's failure is its own.
#[test]
fn a_partition_that_cannot_be_described_is_tried_again_alone() {
    let stage = stage(2);
    let hubs = stage.sim.event_hubs();
    publish(hubs, 2, 0..4);
    let input = input(&stage);
    let mut running = input.start();
    until(&mut running, 4);
    // The other link ends, and what would begin it anew is refused twice.
    for _ in 0..2 {
        let busy = Failure::new("com.microsoft:server-busy", "The service is busy.");
        hubs.push_fault(Fault::once(At::Management, HubFault::Refuse(busy)));
    }
    hubs.detach(HUB, 1, &Failure::new("amqp:internal-error", "The service was unable to process the request."));
    publish(hubs, 2, 4..8);
    until(&mut running, 8);
    let ended = stopped(running).says("ERROR", &[]);
    assert_eq!(super::counted(&ended.events()), (0..8).map(|n| (n, 1)).collect());
    let said = ended.said("WARN");
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].contains("partition 1 for the consumer group $Default: amqp:internal-error: "), "{said:?}");
    for line in &said[1..] {
        assert!(line.starts_with("defender://test: partition 1: status 503: The service is busy."), "{said:?}");
    }
    assert_eq!(hubs.record().connections.len(), 1, "the other link was kept");
}

#[test]
fn a_position_that_cannot_be_read_stops_the_input() {
    let stage = stage(1);
    publish(stage.sim.event_hubs(), 1, 0..5);
    let input = input(&stage);
    let mut running = input.start();
    until_saved(&input, &mut running, 0, 4);
    stopped(running);
    let path = input.checkpoint().with_extension("hub.0.json");
    std::fs::write(&path, "{}").unwrap();
    let said = misconfigured(input.run());
    assert!(said.contains("test.hub.0.json cannot be read: it is damaged"), "{said}");
}

/// The service ends the links of a token that ends; this program believes it good for longer when its machine's clock is late.
#[test]
fn a_token_that_ends_while_it_is_used_is_replaced() {
    let stage = stage(2);
    let hubs = stage.sim.event_hubs();
    publish(hubs, 2, 0..6);
    let mut running = input(&stage).start();
    until(&mut running, 6);
    stage.sim.world(|world| world.clock_ahead = 7200);
    running.wait_until("another token is put", |_| hubs.record().tokens.len() > 1);
    publish(hubs, 2, 6..12);
    until(&mut running, 12);
    let ended = stopped(running).says("ERROR", &[]);
    assert_eq!(super::counted(&ended.events()), (0..12).map(|n| (n, 1)).collect());
    let record = hubs.record();
    assert!(record.tokens.iter().all(|put| put.status == 202), "{:?}", record.tokens);
    assert_eq!(record.connections.len(), 2);
    let said = ended.said("WARN");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("amqp:unauthorized-access: ") && said[0].contains("; connecting again in "), "{said:?}");
}

#[test]
fn a_message_that_nests_without_end_does_not_end_the_input() {
    let stage = stage(1);
    let hubs = stage.sim.event_hubs();
    publish(hubs, 1, 0..1);
    // A value in a list in a list, as deep as half of the largest message.
    const DEPTH: u32 = 50_000;
    let mut value = vec![0x00, 0x53, 0x77];
    for inside in (0..DEPTH).rev() {
        value.push(0xd0);
        value.extend((9 * inside + 5).to_be_bytes());
        value.extend(1_u32.to_be_bytes());
    }
    value.push(0x40);
    hubs.publish(HUB, 0, event_hubs::Body { broken: value, ..Default::default() });
    publish(hubs, 1, 1..2);
    let mut running = input(&stage).start();
    until(&mut running, 3);
    let events = stopped(running).events();
    let kinds: Vec<&str> = events.iter().map(|event| event.sourcetype.as_str()).collect();
    assert_eq!(kinds, ["ms:defender:eventhub", "ms:defender:eventhub:unparsed", "ms:defender:eventhub"]);
}

/// The way to the hub, as far as a person has to mend it: the form refuses, and a run ends.
#[test]
fn what_a_person_has_to_mend_on_the_way_refuses_and_ends() {
    let stage = Stage::with(Config { incidents: 0, alerts: 0, tls: true, ..Stage::config() });
    let hubs = stage.sim.event_hubs();
    hubs.create(HUB, 1);
    const HOST: &str = "contoso.servicebus.windows.net";
    stage.account("auth", "connection_string");
    let string = hubs.connection_string(None).replace(&format!("localhost:{}", hubs.socket().port()), HOST);
    stage.secret("connection_string", &string);
    let input = || input(&stage).set("transport", "websocket").set("event_hub_namespace", HOST);
    let both = |parts: &[&str]| {
        let refused = input().validate().exits(1).text().to_owned();
        let said = misconfigured(input().run());
        for part in parts {
            assert!(refused.contains(part) && said.contains(part), "{part}: {refused} {said}");
        }
    };
    let open = stage.sim.proxy(Access::Open).unwrap();
    let basic = stage.sim.proxy(Access::Basic("splunk".to_owned(), "pr0xy".to_owned())).unwrap();
    let denied = stage.sim.proxy(Access::Denied(403)).unwrap();
    let proxy = |url: &str| stage.conf("defender_settings", "proxy", "url", url);

    proxy(&basic.url());
    both(&[
        "the proxy refused the connection: 407, it wants a user name and a password",
        "correct the proxy's user name and password",
    ]);
    proxy(&denied.url());
    both(&["the proxy refused the connection: 403", "have the proxy allow CONNECT to port 443"]);
    proxy(&open.url());
    stage.conf("defender_settings", "tls", "ca_bundle", "");
    both(&[
        "no TLS: its certificate is not trusted: no trusted authority signed it (UnknownIssuer)",
        "where TLS is inspected, put the authority's certificate into the CA bundle",
    ]);

    // What passes is accepted, with a warning.
    let busy = stage.sim.proxy(Access::Denied(503)).unwrap();
    proxy(&busy.url());
    let accepted = input().validate().exits(0);
    assert!(accepted.said("WARN")[0].contains("the proxy refused the connection: 503"), "{}", accepted.stderr);
}

/// The service may quote what it was sent.
#[test]
fn a_key_that_is_quoted_is_not_said() {
    let stage = stage(1);
    let hubs = stage.sim.event_hubs();
    stage.account("auth", "connection_string");
    stage.secret("connection_string", &hubs.connection_string(None));
    publish(hubs, 1, 0..1);
    let quoting = |condition: &str, text: String| HubFault::Refuse(Failure::new(condition, text));
    let encoded = event_hubs::POLICY_KEY.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    hubs.push_fault(Fault::once(At::Token, quoting("amqp:internal-error", format!("the key {} failed", event_hubs::POLICY_KEY))));
    hubs.push_fault(Fault::once(At::Management, quoting("amqp:internal-error", format!("?key={encoded} failed"))));
    hubs.push_fault(Fault::once(At::Attach, quoting(&format!("x:{}", event_hubs::POLICY_KEY), "said".to_owned())));
    let mut running = super::input(&stage).start();
    until(&mut running, 1);
    assert_eq!(hubs.faults_happened().len(), 3);
    let ended = stopped(running);
    let piece = &event_hubs::POLICY_KEY[..12];
    assert!(ended.stderr.matches("***").count() >= 3 && !ended.stderr.contains(piece), "{}", ended.stderr);
}

#[test]
fn a_start_that_is_still_to_come_is_refused() {
    let stage = stage(1);
    publish(stage.sim.event_hubs(), 1, 0..2);
    let input = input(&stage).set("start", "2100-01-31T00:00:00Z");
    let refused = input.validate().exits(1).text().to_owned();
    assert!(refused.contains("parameter start: 2100-01-31T00:00:00Z is"), "{refused}");
    let parts = ["is in the future", "write latest", "this machine's clock says"];
    assert!(parts.iter().all(|part| refused.contains(part)), "{refused}");
    let said = misconfigured(input.run());
    assert!(parts.iter().all(|part| said.contains(part)), "{said}");
}

/// A duration is counted back from the newest event where this machine's clock is later: it may be wrong.
#[test]
fn a_clock_that_is_ahead_skips_nothing() {
    let stage = stage(2);
    let hubs = stage.sim.event_hubs();
    let ago = |n: u64, hours: u64| event_hubs::Body {
        enqueued: Some(Time::from_system(SystemTime::now()).minus(Duration::from_secs(3600 * hours))),
        ..super::message([n]).into()
    };
    // Seen from a clock that is two days ahead, all of it is old.
    hubs.publish(HUB, 0, ago(0, 60));
    hubs.publish(HUB, 0, ago(1, 49));
    hubs.publish(HUB, 1, ago(2, 48));
    let input = input(&stage).set("start", "2h");
    let mut running = input.start();
    until(&mut running, 2);
    publish(hubs, 2, 3..5);
    until(&mut running, 4);
    assert_eq!(super::counted(&stopped(running).events()), (1..5).map(|n| (n, 1)).collect());
}
