//! What a client may not do, and what it gets for it.

use super::*;

/// A session on channel 0 with a receiver (handle 0), which had three events, and a link for requests (handle 1).
fn used(service: &Arc<Service>) -> Client {
    publish(service, 0, &[b"1", b"2", b"3"]);
    let mut client = Client::ready(service);
    let mut requests = Attach::new("requests".to_string(), 1, Role::Sender);
    requests.initial_delivery_count = Some(0);
    requests.target = Value::composite(0x29, vec![Value::string("$cbs")]);
    let said = client.send(&[attach(receiver(0, 0, None)), Performative::Flow(credit(0, 0, 10)), attach(requests)]);
    assert_eq!(events(&said).len(), 3, "{said:?}");
    assert_eq!(error(&said), None);
    client
}

/// A frame with a body as it is.
fn raw(channel: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let start = frame::begin(frame::Type::Amqp, channel, &mut bytes);
    bytes.extend(body);
    frame::end(start, &mut bytes);
    bytes
}

fn on(channel: u16, performative: &Performative, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    performative.write(channel, payload, &mut bytes);
    bytes
}

fn request(delivery: Option<u32>, more: bool) -> Performative {
    Performative::Transfer(Transfer {
        handle: 1,
        delivery_id: delivery,
        delivery_tag: delivery.map(|delivery| vec![delivery as u8]),
        more,
        ..Transfer::default()
    })
}

#[test]
fn each_violation_ends_what_it_is_about() {
    let flow = Flow { next_incoming_id: Some(4), incoming_window: 10, outgoing_window: 10, ..Flow::default() };
    let disposition = |first, last| {
        Performative::Disposition(Disposition {
            role: Role::Receiver,
            first,
            last,
            settled: true,
            state: Some(Outcome::Accepted),
        })
    };
    let mut above = receiver(0, 1, None);
    above.handle = 256;
    let mut again = receiver(7, 1, None);
    again.name = "receiver-0".to_string();
    let table: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a size below the least", vec![0, 0, 0, 7, 2, 0, 0, 0], "close amqp:connection:framing-error"),
        ("a frame above the largest", vec![0, 1, 0, 1, 2, 0, 0, 0], "close amqp:connection:framing-error"),
        ("a SASL frame", vec![0, 0, 0, 8, 2, 1, 0, 0], "close amqp:connection:framing-error"),
        ("no value", raw(0, b"\xff"), "close amqp:decode-error"),
        ("no performative", raw(0, b"\x40"), "close amqp:decode-error"),
        ("an unknown performative", raw(0, b"\x00\x53\x1f\x45"), "close amqp:decode-error"),
        ("a mandatory field missing", raw(0, b"\x00\x53\x13\x45"), "close amqp:invalid-field"),
        ("a payload behind a flow", on(0, &Performative::Flow(flow), b"x"), "close amqp:connection:framing-error"),
        ("a second open", on(0, &Performative::Open(Open::default()), b""), "close amqp:not-allowed"),
        ("a session on a channel in use", on(0, &Performative::Begin(begin()), b""), "close amqp:not-allowed"),
        ("a channel above the highest", on(5000, &Performative::Begin(begin()), b""), "close amqp:connection:framing-error"),
        ("a channel without a session", on(3, &Performative::Flow(flow), b""), "close amqp:not-allowed"),
        ("the end of no session", on(3, &Performative::End(None), b""), "close amqp:not-allowed"),
        (
            "an answer to no begin",
            on(3, &Performative::Begin(Begin { remote_channel: Some(0), ..begin() }), b""),
            "close amqp:not-allowed",
        ),
        ("a handle above the highest", on(0, &attach(above), b""), "close amqp:connection:framing-error"),
        ("a handle in use", on(0, &attach(receiver(0, 1, None)), b""), "end amqp:session:handle-in-use"),
        (
            "a sender that does not say where its deliveries begin",
            on(0, &attach(Attach::new("x".to_string(), 5, Role::Sender)), b""),
            "end amqp:invalid-field",
        ),
        ("a name in use", on(0, &attach(again), b""), "detach amqp:not-allowed"),
        (
            "a flow of a link there is not",
            on(0, &Performative::Flow(Flow { handle: Some(9), ..flow }), b""),
            "end amqp:session:unattached-handle",
        ),
        (
            "a detach of a link there is not",
            on(0, &Performative::Detach(crate::event_hubs::amqp::performative::Detach { handle: 9, ..Default::default() }), b""),
            "end amqp:session:unattached-handle",
        ),
        (
            "credit without a link",
            on(0, &Performative::Flow(Flow { link_credit: Some(1), ..flow }), b""),
            "end amqp:invalid-field",
        ),
        (
            "more received than was sent",
            on(0, &Performative::Flow(Flow { next_incoming_id: Some(5), ..flow }), b""),
            "end amqp:invalid-field",
        ),
        (
            "more deliveries counted than were sent",
            on(0, &Performative::Flow(Flow { delivery_count: Some(4), link_credit: Some(1), handle: Some(0), ..flow }), b""),
            "end amqp:invalid-field",
        ),
        (
            "more transfers sent than came",
            on(0, &Performative::Flow(Flow { next_outgoing_id: 1, ..flow }), b""),
            "end amqp:invalid-field",
        ),
        ("a delivery settled that was not sent", on(0, &disposition(2, Some(3)), b""), "end amqp:invalid-field"),
        ("a range that goes back", on(0, &disposition(2, Some(1)), b""), "end amqp:invalid-field"),
        (
            "a transfer to a link that sends",
            on(
                0,
                &Performative::Transfer(Transfer { delivery_id: Some(0), delivery_tag: Some(vec![0]), ..Transfer::default() }),
                b"x",
            ),
            "end amqp:not-allowed",
        ),
        ("a delivery without an id", on(0, &request(None, false), b"x"), "end amqp:invalid-field"),
        ("a request that is no message", on(0, &request(Some(0), false), b"\x41"), "detach amqp:decode-error"),
        (
            "a delivery within another",
            [on(0, &request(Some(0), true), b"x"), on(0, &request(Some(1), false), b"x")].concat(),
            "detach amqp:not-allowed",
        ),
        (
            "a message above the largest",
            (0..20).flat_map(|_| on(0, &request(Some(0), true), &[0; 60_000])).collect(),
            "detach amqp:link:message-size-exceeded",
        ),
    ];
    for (what, bytes, wanted) in table {
        let service = service();
        let mut client = used(&service);
        let said = client.octets(&bytes);
        let (found, _) = error(&said).unwrap_or_else(|| panic!("{what}: {said:?}"));
        assert_eq!(found, wanted, "{what}");
        assert_eq!(client.connection.fate == Fate::Closed, wanted.starts_with("close"), "{what}");
        if wanted != "detach amqp:not-allowed" || what == "a delivery within another" {
            assert_eq!(service.recorded().violations.len(), 1, "{what}");
        }
        if !wanted.starts_with("detach") {
            let ended = service.recorded().receivers[0].ended.clone();
            assert_eq!(ended.as_deref(), wanted.split(' ').nth(1), "{what}: the receiver is gone with the rest");
        }
    }
}

#[test]
fn before_open() {
    for (frame, wanted) in [
        (on(0, &Performative::Begin(begin()), b""), "close amqp:not-allowed"),
        (on(0, &Performative::Open(Open { max_frame_size: Some(511), ..Open::default() }), b""), "close amqp:invalid-field"),
    ] {
        let mut client = Client::new(&service());
        client.sign_in("ANONYMOUS", b"");
        let said = client.octets(&frame);
        assert!(matches!(said[0], Said::Frame(0, Performative::Open(_), _)), "an open comes before a close: {said:?}");
        assert_eq!(error(&said).unwrap().0, wanted);
    }
}

#[test]
fn what_comes_for_a_link_or_session_that_was_ended_is_ignored() {
    let service = service();
    let mut client = used(&service);
    client.octets(&on(0, &request(Some(0), false), b"\x41"));
    // Under way when the detach was sent.
    let late = [
        on(0, &request(Some(1), false), b"\x41"),
        on(0, &Performative::Flow(Flow { next_incoming_id: Some(4), next_outgoing_id: 2, ..credit(1, 0, 5) }), b""),
    ];
    assert_eq!(client.octets(&late.concat()), []);
    let said = client.octets(&on(0, &Performative::Flow(Flow { next_outgoing_id: 2, ..credit(9, 0, 1) }), b""));
    assert_eq!(error(&said).unwrap().0, "end amqp:session:unattached-handle");
    assert_eq!(client.octets(&on(0, &attach(receiver(3, 0, None)), b"")), []);
    assert_eq!(client.octets(&on(0, &Performative::End(None), b"")), [], "our end was sent already");
    // The channel is free again.
    let said = client.octets(&on(0, &Performative::Begin(begin()), b""));
    assert!(matches!(said[..], [Said::Frame(0, Performative::Begin(_), _)]), "{said:?}");
}

mod hostile {
    use proptest::prelude::*;

    use super::*;

    /// A whole conversation: sign-in, open, session, links, credit, requests, dispositions.
    fn conversation() -> Vec<u8> {
        let mut bytes = SASL_HEADER.to_vec();
        bytes.extend(b"\0\0\0\x19\x02\x01\0\0\x00\x53\x41\xc0\x0c\x01\xa3\x09ANONYMOUS");
        bytes.extend(AMQP_HEADER);
        let mut requests = Attach::new("requests".to_string(), 1, Role::Sender);
        requests.initial_delivery_count = Some(0);
        requests.target = Value::composite(0x29, vec![Value::string("$cbs")]);
        let settled =
            Disposition { role: Role::Receiver, first: 0, last: Some(1), settled: true, state: Some(Outcome::Accepted) };
        for performative in [
            Performative::Open(Open { container_id: "c".to_string(), idle_time_out: Some(5000), ..Open::default() }),
            Performative::Begin(begin()),
            attach(receiver(0, 0, Some("amqp.annotation.x-opt-offset > '-1'"))),
            Performative::Flow(credit(0, 0, 10)),
            attach(requests),
            request(Some(0), false),
            Performative::Disposition(settled),
            Performative::Detach(crate::event_hubs::amqp::performative::Detach { handle: 0, closed: true, error: None }),
            Performative::End(None),
        ] {
            performative.write(0, b"", &mut bytes);
        }
        bytes
    }

    proptest! {
        #[test]
        fn a_conversation_with_mistakes_in_it(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..6),
            pieces in 1..90usize,
        ) {
            let service = service();
            publish(&service, 0, &[b"0", b"1", b"2"]);
            let mut bytes = conversation();
            for (place, byte, kind) in changes {
                // The sign-in stays whole: behind it there is more to break.
                let at = 41 + place.index(bytes.len() - 41);
                match kind {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ => {
                        bytes.remove(at);
                    }
                }
            }
            let mut client = Client::new(&service);
            let everything = crate::event_hubs::rights::Policy { name: String::new(), key: String::new(), hub: None, listen: true };
            client.connection.grants.push(Grant::of_policy(&everything));
            for piece in bytes.chunks(pieces) {
                // What is said can be read: that is checked where it is taken apart.
                client.octets(piece);
            }
            client.connection.gone(client.now());
            prop_assert!(service.recorded().receivers.iter().all(|receiver| receiver.ended.is_some() || !receiver.attached));
        }
    }
}
