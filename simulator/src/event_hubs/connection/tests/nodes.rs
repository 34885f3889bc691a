//! `$cbs` and `$management`.

use super::*;
use crate::accounts;
use crate::entra::Resource;
use crate::event_hubs::amqp::message::{Message, section};
use crate::event_hubs::faults::{Fault, HubFault};
use crate::event_hubs::rights::JWT;

/// A client that came without rights, with a pair of links to a node: requests on handle 10, answers on 11.
struct Asking {
    client: Client,
    delivery: u32,
    received: u32,
}

impl Asking {
    fn new(service: &Arc<Service>, node: &str) -> Self {
        let mut client = Client::new(service);
        client.sign_in("ANONYMOUS", b"");
        client
            .send(&[Performative::Open(Open { container_id: "c".to_string(), ..Open::default() }), Performative::Begin(begin())]);
        let mut asking = Asking { client, delivery: 0, received: 0 };
        asking.links(node, 10);
        asking
    }

    fn links(&mut self, node: &str, handle: u32) {
        let mut requests = Attach::new(format!("to {node}"), handle, Role::Sender);
        requests.initial_delivery_count = Some(0);
        requests.target = Value::composite(0x29, vec![Value::string(node)]);
        let mut answers = Attach::new(format!("from {node}"), handle + 1, Role::Receiver);
        answers.source = Value::composite(0x28, vec![Value::string(node)]);
        answers.target = Value::composite(0x29, vec![Value::string("reply")]);
        let flow = Flow { next_outgoing_id: self.delivery, ..credit(handle + 1, 0, 1000) };
        let said = self.client.send(&[attach(requests), attach(answers), Performative::Flow(flow)]);
        assert_eq!(error(&said), None);
    }

    /// Asks, and gives the status, its description and the body of the answer.
    fn ask(&mut self, handle: u32, properties: &[(&str, &str)], body: Option<&str>) -> Option<(i32, String, Value)> {
        let mut fields = vec![Value::Null; 5];
        (fields[0], fields[4]) = (Value::Ulong(u64::from(self.delivery)), Value::string("reply"));
        let mut message = Vec::new();
        section(0x73, Value::List(fields), &mut message);
        let pairs = properties.iter().map(|(name, value)| (Value::string(*name), Value::string(*value))).collect();
        section(0x74, Value::Map(pairs), &mut message);
        if let Some(body) = body {
            section(0x77, Value::string(body), &mut message);
        }
        let transfer = Transfer {
            handle,
            delivery_id: Some(self.delivery),
            delivery_tag: Some(vec![self.delivery as u8]),
            ..Transfer::default()
        };
        self.delivery += 1;
        // In two frames, as a token's length may need.
        let (first, second) = message.split_at(message.len() / 2);
        let mut bytes = Vec::new();
        Performative::Transfer(Transfer { more: true, ..transfer.clone() }).write(0, first, &mut bytes);
        Performative::Transfer(Transfer { delivery_id: None, delivery_tag: None, ..transfer }).write(0, second, &mut bytes);
        let said = self.client.octets(&bytes);
        assert!(said.iter().any(|said| matches!(said, Said::Frame(_, Performative::Disposition(accepted), _)
            if accepted.settled && accepted.state == Some(Outcome::Accepted))));
        said.iter().find_map(|said| match said {
            Said::Frame(_, Performative::Transfer(transfer), payload) => {
                assert_eq!(transfer.handle, handle + 1);
                self.received += 1;
                let answer = Message::read(payload).unwrap();
                let Some(Value::Int(status)) = answer.application_properties.get("status-code") else { panic!("{answer:?}") };
                let told = answer.property("status-description").unwrap().to_string();
                Some((*status, told, answer.value))
            }
            _ => None,
        })
    }

    fn put(&mut self, kind: &str, audience: &str, token: &str) -> (i32, String) {
        let properties = [("operation", "put-token"), ("type", kind), ("name", audience)];
        let (status, told, _) = self.ask(10, &properties, Some(token)).unwrap();
        (status, told)
    }
}

fn entras_token(service: &Service, resource: Resource) -> String {
    let now = service.now();
    let token = |world: &mut World| world.entra.issue(accounts::TENANT, accounts::CLIENT_ID, resource, now).unwrap();
    service.change_world(token)
}

const AUDIENCE: &str = "sb://localhost/hub/ConsumerGroups/$Default/Partitions/0";

#[test]
fn tokens_are_taken_or_refused() {
    let service = service();
    let (good, other) = (entras_token(&service, Resource::EventHubs), entras_token(&service, Resource::Graph));
    let mut asking = Asking::new(&service, "$cbs");
    for (kind, audience, token, status, part) in [
        (JWT, AUDIENCE, good.as_str(), 202, "Accepted"),
        (JWT, AUDIENCE, other.as_str(), 401, "InvalidAudience"),
        (JWT, AUDIENCE, "a.b.c", 401, "InvalidSignature"),
        ("saml", AUDIENCE, good.as_str(), 400, "Property 'type'"),
        (JWT, "", good.as_str(), 400, "Property 'name'"),
        ("servicebus.windows.net:sastoken", AUDIENCE, "none", 401, "MalformedToken"),
    ] {
        let (found, told) = asking.put(kind, audience, token);
        assert!(found == status && told.contains(part), "{found} {told}");
    }
    assert_eq!(asking.ask(10, &[("operation", "delete-token")], Some("x")).unwrap().0, 400);
    let (status, told, _) = asking.ask(10, &[("operation", "put-token"), ("type", JWT), ("name", AUDIENCE)], None).unwrap();
    assert!(status == 400 && told.contains("not a string"), "{told}");
    // More requests than there was credit for at first: it is granted anew in time.
    for _ in 0..250 {
        assert_eq!(asking.put(JWT, AUDIENCE, &good).0, 202);
    }
    assert_eq!(service.recorded().violations, Vec::<String>::new());
}

#[test]
fn a_connection_has_one_pair_of_links_to_cbs() {
    let service = service();
    let mut asking = Asking::new(&service, "$cbs");
    let begin = Performative::Begin(begin());
    let again = |handle| {
        let mut requests = Attach::new(format!("again {handle}"), handle, Role::Sender);
        requests.initial_delivery_count = Some(0);
        requests.target = Value::composite(0x29, vec![Value::string("$cbs")]);
        attach(requests)
    };
    let (what, why) = error(&asking.client.send(&[again(30)])).unwrap();
    assert!(what == "detach amqp:not-allowed" && why.contains("$cbs node has already been opened"), "{why}");
    // Nor on another session; but once the first is gone.
    let on_one = |performatives: &[Performative]| {
        let mut bytes = Vec::new();
        performatives.iter().for_each(|performative| performative.write(1, b"", &mut bytes));
        bytes
    };
    let said = asking.client.octets(&on_one(&[begin, again(0)]));
    assert_eq!(error(&said).unwrap().0, "detach amqp:not-allowed");
    asking.client.send(&[Performative::End(None)]);
    let said = asking.client.octets(&on_one(&[again(1)]));
    assert!(error(&said).is_none() && !said.is_empty(), "{said:?}");
}

#[test]
fn a_link_lives_as_long_as_its_token() {
    let service = service();
    let mut asking = Asking::new(&service, "$cbs");
    let link = |handle| {
        let mut link = receiver(handle, 0, None);
        link.name = format!("receiver {handle}");
        [attach(link)]
    };
    let (what, why) = error(&asking.client.send(&link(0))).unwrap();
    assert_eq!(what, "detach amqp:unauthorized-access");
    assert!(why.starts_with(
        "Unauthorized access. 'Listen' claim(s) are required to perform this operation. Resource: 'sb://localhost/hub/consumergroups/$default/partitions/0'."
    ), "{why}");
    let first = entras_token(&service, Resource::EventHubs);
    assert_eq!(asking.put(JWT, AUDIENCE, &first).0, 202);
    assert_eq!(error(&asking.client.send(&link(1))), None);
    // A second token before the first ends.
    service.change_world(|world| world.clock_ahead += 3000);
    let second = entras_token(&service, Resource::EventHubs);
    assert_eq!(asking.put(JWT, AUDIENCE, &second).0, 202);
    service.change_world(|world| world.clock_ahead += 3000);
    assert_eq!(asking.client.listen(), []);
    service.change_world(|world| world.clock_ahead += 600);
    assert_eq!(error(&asking.client.listen()).unwrap().0, "detach amqp:unauthorized-access");
    let (status, told) = asking.put(JWT, AUDIENCE, &second);
    assert!(status == 401 && told.contains("ExpiredToken"), "{told}");
}

#[test]
fn a_missing_role_is_met_with_silence() {
    let service = service();
    service.change_world(|world| {
        world.entra.application(accounts::TENANT, accounts::CLIENT_ID).unwrap().grant(Resource::EventHubs, &[]);
    });
    let token = entras_token(&service, Resource::EventHubs);
    let mut asking = Asking::new(&service, "$cbs");
    assert_eq!(asking.put(JWT, AUDIENCE, &token).0, 202, "the token itself is good");
    assert_eq!(asking.client.send(&[attach(receiver(0, 0, None))]), []);
    let flow = Flow { next_outgoing_id: 2, next_incoming_id: Some(2), ..credit(0, 0, 5) };
    assert_eq!(asking.client.send(&[Performative::Flow(flow)]), []);
    service.silent.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(error(&asking.client.send(&[attach(receiver(1, 0, None))])).unwrap().0, "detach amqp:unauthorized-access");
    let attached: Vec<bool> = service.recorded().receivers.iter().map(|receiver| receiver.attached).collect();
    assert_eq!(attached, [false, false]);
}

#[test]
fn what_management_knows() {
    let service = service();
    publish(&service, 1, &[b"0", b"1", b"2"]);
    service.namespace(|namespace| namespace.hub_mut("hub").unwrap().partitions[1].expire(1));
    let mut asking = Asking::new(&service, "$cbs");
    asking.links("$management", 20);
    let hub = [("operation", "READ"), ("type", "com.microsoft:eventhub"), ("name", "hub")];
    let (status, told, _) = asking.ask(20, &hub, None).unwrap();
    assert!(status == 401 && told.contains("'Listen' claim(s)"), "{told}");
    let token = entras_token(&service, Resource::EventHubs);
    asking.put(JWT, "sb://localhost/", &token);
    let (status, _, found) = asking.ask(20, &hub, None).unwrap();
    assert_eq!((status, found.get("partition_count")), (200, Some(&Value::Int(2))));
    assert_eq!(found.get("partition_ids"), Some(&Value::Array(vec![Value::string("0"), Value::string("1")])));
    let of =
        |name, partition| [("operation", "READ"), ("type", "com.microsoft:partition"), ("name", name), ("partition", partition)];
    let (_, _, found) = asking.ask(20, &of("hub", "1"), None).unwrap();
    for (name, value) in [
        ("begin_sequence_number", Value::Long(1)),
        ("last_enqueued_sequence_number", Value::Long(2)),
        ("last_enqueued_offset", Value::string("128")),
        ("last_enqueued_time_utc", Value::Timestamp(2_000_000)),
        ("is_partition_empty", Value::Boolean(false)),
    ] {
        assert_eq!(found.get(name), Some(&value), "{name}");
    }
    let (_, _, found) = asking.ask(20, &of("hub", "0"), None).unwrap();
    assert_eq!(found.get("last_enqueued_time_utc"), Some(&Value::Timestamp(-62_135_596_800_000)));
    assert_eq!(found.get("is_partition_empty"), Some(&Value::Boolean(true)));
    for (properties, status) in [
        (of("other", "0"), 404),
        (of("hub", "2"), 400),
        ([("operation", "WRITE"), ("type", "com.microsoft:partition"), ("name", "hub"), ("partition", "0")], 501),
        ([("operation", "READ"), ("type", "com.microsoft:queue"), ("name", "hub"), ("partition", "0")], 501),
    ] {
        assert_eq!(asking.ask(20, &properties, None).unwrap().0, status);
    }
    service.faults().push(Fault::once(At::Management, HubFault::Refuse(Failure::new("com.microsoft:server-busy", "Busy."))));
    service.faults().push(Fault::once(At::Management, HubFault::Silence));
    assert_eq!(asking.ask(20, &hub, None).unwrap().0, 503);
    assert_eq!(asking.ask(20, &hub, None), None);
    assert_eq!(asking.ask(20, &hub, None).unwrap().0, 200);
}
