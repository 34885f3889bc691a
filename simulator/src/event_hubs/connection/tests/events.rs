//! Events: credit, windows, frames, settlement, positions, and what takes a partition away.

use super::*;
use crate::event_hubs::amqp::performative::Detach;
use crate::event_hubs::faults::{Fault, HubFault};
use crate::faults::When;

fn bodies(said: &[Said]) -> Vec<String> {
    events(said).into_iter().map(|(_, body)| String::from_utf8(body).unwrap()).collect()
}

#[test]
fn no_event_without_credit() {
    let service = service();
    publish(&service, 0, &[b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7"]);
    let mut client = Client::ready(&service);
    assert!(events(&client.send(&[attach(receiver(0, 0, None))])).is_empty());
    let mut flow = |flow: Flow| bodies(&client.send(&[Performative::Flow(flow)]));
    assert_eq!(flow(credit(0, 0, 3)), ["0", "1", "2"]);
    // The same words again are no more credit: it counts from the deliveries the receiver has seen.
    assert!(flow(credit(0, 0, 3)).is_empty());
    assert_eq!(flow(credit(0, 1, 3)), ["3"]);
    // Taken back below what is under way.
    assert!(flow(credit(0, 0, 2)).is_empty());
    assert!(flow(Flow { next_incoming_id: Some(5), ..credit(0, 4, 0) }).is_empty());
    assert_eq!(flow(Flow { next_incoming_id: Some(5), ..credit(0, 4, 100) }), ["4", "5", "6", "7"]);
    let record = service.recorded().receivers[0].clone();
    assert_eq!((record.events, record.flows, record.most_credit, record.credit), (8, 6, 100, 96));
}

#[test]
fn no_frame_beyond_the_window_of_the_session() {
    let service = service();
    publish(&service, 0, &[b"0", b"1", b"2"]);
    let mut client = Client::ready(&service);
    client.send(&[attach(receiver(0, 0, None))]);
    let mut flow = |flow: Flow| bodies(&client.send(&[Performative::Flow(flow)]));
    assert_eq!(flow(Flow { incoming_window: 1, ..credit(0, 0, 10) }), ["0"]);
    assert!(flow(Flow { incoming_window: 1, ..credit(0, 0, 10) }).is_empty());
    let session = Flow { handle: None, delivery_count: None, link_credit: None, ..credit(0, 0, 0) };
    assert_eq!(flow(Flow { next_incoming_id: Some(2), incoming_window: 5, ..session }), ["1", "2"]);
}

#[test]
fn a_receiver_that_drains_and_one_that_asks() {
    let service = service();
    publish(&service, 0, &[b"0", b"1"]);
    let mut client = Client::ready(&service);
    client.send(&[attach(receiver(0, 0, None))]);
    let said = client.send(&[Performative::Flow(Flow { drain: true, ..credit(0, 0, 10) })]);
    assert_eq!(bodies(&said), ["0", "1"]);
    let Some(Said::Frame(0, Performative::Flow(flow), _)) = said.last() else { panic!("{said:?}") };
    assert_eq!((flow.delivery_count, flow.link_credit, flow.drain), (Some(10), Some(0), true));
    publish(&service, 0, &[b"2"]);
    assert!(client.listen().is_empty(), "the credit is gone");
    let said = client.send(&[Performative::Flow(Flow { next_incoming_id: Some(3), echo: true, ..credit(0, 10, 0) })]);
    let [Said::Frame(0, Performative::Flow(flow), _)] = &said[..] else { panic!("{said:?}") };
    assert_eq!((flow.handle, flow.delivery_count, flow.next_outgoing_id), (Some(0), Some(10), 3));
}

#[test]
fn large_messages_come_in_frames_and_those_of_two_links_mixed() {
    let service = service();
    let (long, longer) = (vec![b'a'; 3000], vec![b'b'; 5000]);
    publish(&service, 0, &[&long]);
    publish(&service, 1, &[&longer]);
    let mut client =
        Client::ready_with(&service, Open { container_id: "c".to_string(), max_frame_size: Some(512), ..Open::default() });
    let said = client.send(&[
        attach(receiver(4, 0, None)),
        attach(receiver(2, 1, None)),
        Performative::Flow(credit(4, 0, 1)),
        Performative::Flow(credit(2, 0, 1)),
    ]);
    let transfers: Vec<_> = said
        .iter()
        .filter_map(|said| match said {
            Said::Frame(_, Performative::Transfer(transfer), payload) => Some((transfer, payload.len())),
            _ => None,
        })
        .collect();
    let handles: Vec<u32> = transfers.iter().map(|(transfer, _)| transfer.handle).collect();
    assert_eq!(handles[..6], [2, 4, 2, 4, 2, 4]);
    for (transfer, length) in &transfers[2..] {
        assert_eq!((transfer.delivery_id, &transfer.delivery_tag), (None, &None));
        assert!(*length < 512 - 8);
    }
    assert_eq!(events(&said), [(4, long), (2, longer)]);
    let mut frame = Vec::new();
    Performative::Transfer(transfers[0].0.clone()).write(0, &vec![0; transfers[0].1], &mut frame);
    assert!(frame.len() <= 512, "{}", frame.len());
}

#[test]
fn settled_by_the_sender_or_by_the_receiver() {
    for (mode, second) in [(Some(1), false), (Some(0), false), (None, true)] {
        let service = service();
        publish(&service, 0, &[b"0", b"1", b"2"]);
        let mut client = Client::ready(&service);
        let mut link = receiver(0, 0, None);
        (link.snd_settle_mode, link.rcv_settle_mode) = (mode, Some(u8::from(second)));
        let said = client.send(&[attach(link), Performative::Flow(credit(0, 0, 10))]);
        for said in &said {
            if let Said::Frame(_, Performative::Transfer(transfer), _) = said {
                assert_eq!(transfer.settled, Some(mode == Some(1)));
            }
        }
        let outcome = |first, last, state| {
            Performative::Disposition(Disposition { role: Role::Receiver, first, last, settled: !second, state: Some(state) })
        };
        let said = client.send(&[outcome(0, Some(1), Outcome::Accepted), outcome(2, None, Outcome::Released)]);
        let answers: Vec<_> = said
            .iter()
            .filter_map(|said| match said {
                Said::Frame(_, Performative::Disposition(answer), _) => Some((answer.role, answer.first, answer.settled)),
                _ => None,
            })
            .collect();
        let wanted = if second { vec![(Role::Sender, 0, true), (Role::Sender, 2, true)] } else { Vec::new() };
        assert_eq!(answers, wanted);
        let record = service.recorded().receivers[0].clone();
        let wanted = if mode == Some(1) { (0, 0) } else { (2, 1) };
        assert_eq!((record.accepted, record.other_outcomes), wanted, "{record:?}");
    }
}

#[test]
fn annotations_tell_where_an_event_is() {
    let service = service();
    publish(&service, 0, &[b"0", b"1"]);
    let mut client = Client::ready(&service);
    let mut link = receiver(0, 0, Some("amqp.annotation.x-opt-sequence-number > '0'"));
    link.desired = vec!["com.microsoft:enable-receiver-runtime-metric".to_string()];
    let said = client.send(&[attach(link), Performative::Flow(credit(0, 0, 10))]);
    let Said::Frame(_, Performative::Attach(answer), _) = &said[0] else { panic!("{said:?}") };
    assert_eq!(answer.offered, ["com.microsoft:enable-receiver-runtime-metric"]);
    assert_eq!((answer.initial_delivery_count, answer.max_message_size), (Some(0), Some(1024 * 1024)));
    let Some(Said::Frame(_, Performative::Transfer(_), payload)) = said.last() else { panic!("{said:?}") };
    let (delivery, rest) = value_at(payload).unwrap();
    let (message, _) = value_at(rest).unwrap();
    let content = |value: Value| match value {
        Value::Described(code, content) => (*code, *content),
        other => panic!("{other:?}"),
    };
    let ((code, delivery), (other, message)) = (content(delivery), content(message));
    assert_eq!((code, other), (Value::Ulong(0x71), Value::Ulong(0x72)));
    assert_eq!(delivery.get("last_enqueued_sequence_number"), Some(&Value::Long(1)));
    assert_eq!(message.get("x-opt-sequence-number"), Some(&Value::Long(1)));
    assert_eq!(message.get("x-opt-offset"), Some(&Value::string("64")));
    assert_eq!(message.get("x-opt-enqueued-time"), Some(&Value::Timestamp(2_000_000)));
}

#[test]
fn attaches_that_are_refused() {
    let place = |address: &str| {
        let mut link = receiver(0, 0, None);
        link.source = Value::composite(0x28, vec![Value::string(address)]);
        link
    };
    let with = |property: &str, value: Value| {
        let mut link = receiver(0, 0, None);
        link.properties = Value::Map(vec![(Value::symbol(property), value)]);
        link
    };
    let mut sender = Attach::new("sender".to_string(), 0, Role::Sender);
    sender.initial_delivery_count = Some(0);
    sender.target = Value::composite(0x29, vec![Value::string("hub")]);
    for (link, condition, part) in [
        (place("other/ConsumerGroups/$Default/Partitions/0"), "amqp:not-found", "'sb://localhost/other' could not be found"),
        (place("hub/ConsumerGroups/other/Partitions/0"), "amqp:not-found", "eventhub:hub|other' could not be found"),
        (place("hub/Partitions/0"), "amqp:not-found", "could not be found"),
        (
            place("hub/ConsumerGroups/$Default/Partitions/2"),
            "com.microsoft:argument-out-of-range",
            "It should be between 0 and 1.",
        ),
        (
            place("hub/ConsumerGroups/$Default/Partitions/00"),
            "com.microsoft:argument-out-of-range",
            "It should be between 0 and 1.",
        ),
        (receiver(0, 0, Some("a > 1")), "amqp:invalid-field", "'a > 1' is not supported"),
        (
            receiver(0, 0, Some("amqp.annotation.x-opt-sequence-number > '7'")),
            "com.microsoft:argument-error",
            "The last sequence number in the system is '-1'",
        ),
        (with("com.microsoft:epoch", Value::Uint(1)), "amqp:invalid-field", "is a long"),
        (with("com.microsoft:epoch", Value::Long(-1)), "amqp:invalid-field", "not negative"),
        (sender, "amqp:unauthorized-access", "'Send' claim(s)"),
    ] {
        let service = service();
        let mut client = Client::ready(&service);
        let said = client.send(&[attach(link)]);
        let [Said::Frame(_, Performative::Attach(answer), _), Said::Frame(_, Performative::Detach(detach), _)] = &said[..] else {
            panic!("{said:?}")
        };
        assert_eq!((&answer.source, &answer.target), (&Value::Null, &Value::Null));
        let error = detach.error.clone().unwrap();
        assert!(detach.closed && error.condition == condition && error.description.contains(part), "{error:?}");
        assert!(error.description.contains(" TrackingId:"), "{error:?}");
        assert_eq!(client.send(&[Performative::Detach(Detach { handle: 0, closed: true, error: None })]), []);
        assert_eq!(error_free(&mut client), Vec::<Said>::new(), "the handle is free again");
    }
}

/// Attaches once more under the same handle; what is said beside the welcome.
fn error_free(client: &mut Client) -> Vec<Said> {
    let mut said = client.send(&[attach(receiver(0, 1, None))]);
    said.retain(|said| !matches!(said, Said::Frame(_, Performative::Attach(attach), _) if attach.source != Value::Null));
    said
}

#[test]
fn a_partition_is_taken_away() {
    let service = service();
    let with_epoch = |epoch| {
        let mut link = receiver(0, 0, None);
        link.properties = Value::Map(vec![(Value::symbol("com.microsoft:epoch"), Value::Long(epoch))]);
        attach(link)
    };
    let (mut one, mut two) = (Client::ready(&service), Client::ready(&service));
    assert_eq!(error(&one.send(&[with_epoch(3)])), None);
    let (what, why) = error(&two.send(&[with_epoch(2)])).unwrap();
    assert!(what == "detach amqp:link:stolen" && why.contains("with a higher epoch '3' already exists"), "{why}");
    two.send(&[Performative::Detach(Detach { handle: 0, closed: true, error: None })]);
    assert_eq!(error(&two.send(&[with_epoch(3)])), None);
    let (what, why) = error(&one.listen()).unwrap();
    assert!(what == "detach amqp:link:stolen" && why.contains("New receiver 'nil' with higher epoch of '3'"), "{why}");
    // The hub is made anew: its readers are told, and the old position is refused.
    service.namespace(|namespace| namespace.create("hub", 1, Time(0)));
    assert_eq!(error(&two.listen()).unwrap().0, "detach amqp:not-found");
    assert_eq!(
        service.recorded().receivers.iter().map(|one| one.ended.clone().unwrap()).collect::<Vec<_>>(),
        ["amqp:link:stolen", "amqp:link:stolen", "amqp:not-found",]
    );
    // A connection that is gone leaves its partition to others.
    assert_eq!(error(&one.send(&[attach(receiver(1, 0, None))])), None);
    one.connection.gone(one.now());
    assert_eq!(service.recorded().receivers.last().unwrap().ended.as_deref(), Some("drop"));
}

#[test]
fn faults_on_the_way() {
    let after = |what: HubFault| {
        let service = service();
        publish(&service, 0, &[&[b'x'; 1000], &[b'y'; 1000], &[b'z'; 1000]]);
        service.faults().push(Fault::new(At::Transfer, When::Nth(2), what).on_partition(0));
        let mut client = Client::ready(&service);
        let now = client.now();
        let mut bytes = Vec::new();
        attach(receiver(0, 0, None)).write(0, b"", &mut bytes);
        Performative::Flow(credit(0, 0, 10)).write(0, b"", &mut bytes);
        client.connection.receive(&bytes, now);
        client.connection.out.clear();
        client.connection.send(now);
        (client.connection.out.len(), client.connection.fate.clone(), client.connection.pause)
    };
    let none = Duration::ZERO;
    let failure = Failure::new("com.microsoft:server-busy", "Busy.");
    let (all, fate, pause) = after(HubFault::Late(LATE));
    assert_eq!((fate, pause), (Fate::Going, LATE), "it waits, and all three come");
    let (two, fate, _) = after(HubFault::Drop);
    assert!(two > all / 2 && two < all && fate == Fate::Dropped);
    assert_eq!(after(HubFault::Stall), (two, Fate::Stalled, none));
    assert_eq!(after(HubFault::Silence), (two, Fate::Going, none));
    let (length, fate, _) = after(HubFault::Cut);
    assert!(length > two / 2 + 100 && length < two - 100 && fate == Fate::Dropped, "{length} of {two}");
    let (length, fate, _) = after(HubFault::Refuse(failure.clone()));
    assert!(length > two && length < all && fate == Fate::Going);
    assert_eq!(after(HubFault::Close(failure)).1, Fate::Closed);
}

const LATE: Duration = Duration::from_secs(1);
