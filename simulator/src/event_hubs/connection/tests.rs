//! Connections without sockets, from frames made by hand: what the specification says of each, and what it forbids.

mod broken;
mod events;
mod nodes;

use std::sync::Mutex;

use super::*;
use crate::event_hubs::amqp::decode;
use crate::event_hubs::amqp::performative::{Attach, Begin, Disposition, Flow, Outcome, Role, Transfer};
use crate::event_hubs::rights::Policy;
use crate::model::World;

/// What the service says.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Header([u8; 8]),
    Sasl(Value),
    Heartbeat,
    Frame(u16, Performative, Vec<u8>),
}

/// A client, and the service's end of its connection.
struct Client {
    service: Arc<Service>,
    connection: Connection,
    at: Duration,
}

/// A namespace with one hub of two partitions.
fn service() -> Arc<Service> {
    let mut world = World::empty();
    crate::accounts::furnish(&mut world, None, None);
    let policy = |name: &str, listen| Policy { name: name.to_string(), key: "key".to_string(), hub: None, listen };
    let service = Service::new(Arc::new(Mutex::new(world)), vec![policy("listen", true), policy("send", false)]);
    service.namespace(|namespace| namespace.create("hub", 2, Time::from_unix(1000)));
    Arc::new(service)
}

fn publish(service: &Service, partition: usize, bodies: &[&[u8]]) {
    service.namespace(|namespace| {
        let hub = namespace.hub_mut("hub").unwrap();
        for body in bodies {
            hub.partitions[partition].publish(&(*body).into(), Time::from_unix(2000));
        }
    });
}

impl Client {
    fn new(service: &Arc<Service>) -> Self {
        let now = Now { wall: service.now(), since_start: Duration::ZERO };
        let connection = Connection::new(Arc::clone(service), Recorded::default(), now);
        Client { service: Arc::clone(service), connection, at: Duration::ZERO }
    }

    /// Signed in with the key of the policy that may listen, open, and with a session on channel 0.
    fn ready(service: &Arc<Service>) -> Self {
        Self::ready_with(service, Open { container_id: "c".to_string(), ..Open::default() })
    }

    fn ready_with(service: &Arc<Service>, open: Open) -> Self {
        let mut client = Self::new(service);
        client.sign_in("PLAIN", b"\0listen\0key");
        client.send(&[Performative::Open(open), Performative::Begin(begin())]);
        client
    }

    fn sign_in(&mut self, mechanism: &str, response: &[u8]) -> Vec<Said> {
        self.octets(&SASL_HEADER);
        let mut init = Vec::new();
        let start = frame::begin(frame::Type::Sasl, 0, &mut init);
        let fields = vec![Value::symbol(mechanism), Value::Binary(response.to_vec())];
        crate::event_hubs::amqp::encode(&Value::composite(0x41, fields), &mut init);
        frame::end(start, &mut init);
        init.extend(AMQP_HEADER);
        self.octets(&init)
    }

    fn now(&self) -> Now {
        Now { wall: self.service.now(), since_start: self.at }
    }

    /// Sends octets as they are.
    fn octets(&mut self, bytes: &[u8]) -> Vec<Said> {
        let now = self.now();
        self.connection.receive(bytes, now);
        self.listen()
    }

    /// Sends frames on channel 0.
    fn send(&mut self, performatives: &[Performative]) -> Vec<Said> {
        let mut bytes = Vec::new();
        performatives.iter().for_each(|performative| performative.write(0, b"", &mut bytes));
        self.octets(&bytes)
    }

    /// What the service has to say.
    fn listen(&mut self) -> Vec<Said> {
        let now = self.now();
        while self.connection.send(now) {}
        let bytes = std::mem::take(&mut self.connection.out);
        let (mut said, mut rest) = (Vec::new(), &bytes[..]);
        while !rest.is_empty() {
            if rest.starts_with(b"AMQP") {
                said.push(Said::Header(*rest.first_chunk().unwrap()));
                rest = &rest[8..];
                continue;
            }
            let kind = if rest[5] == 1 { frame::Type::Sasl } else { frame::Type::Amqp };
            let frame = frame::whole(rest, kind).unwrap().unwrap();
            let body = &rest[frame.body..frame.end];
            said.push(match kind {
                frame::Type::Sasl => Said::Sasl(decode(body).unwrap()),
                frame::Type::Amqp if body.is_empty() => Said::Heartbeat,
                frame::Type::Amqp => {
                    let (value, payload) = value_at(body).unwrap();
                    Said::Frame(frame.channel, Performative::read(value).unwrap(), payload.to_vec())
                }
            });
            rest = &rest[frame.end..];
        }
        said
    }
}

fn begin() -> Begin {
    Begin { incoming_window: 1000, outgoing_window: 1000, ..Begin::default() }
}

/// An attach of a receiver to a partition of the hub.
fn receiver(handle: u32, partition: usize, selector: Option<&str>) -> Attach {
    let mut source = vec![Value::Null; 11];
    source[0] = Value::string(format!("hub/ConsumerGroups/$Default/Partitions/{partition}"));
    if let Some(selector) = selector {
        let filter = Value::Described(Value::Ulong(0x0000_468c_0000_0004).into(), Value::string(selector).into());
        source[7] = Value::Map(vec![(Value::symbol("apache.org:selector-filter:string"), filter)]);
    }
    let mut attach = Attach::new(format!("receiver-{handle}"), handle, Role::Receiver);
    attach.source = Value::composite(0x28, source);
    attach.target = Value::composite(0x29, vec![Value::string("here")]);
    attach
}

fn attach(attach: Attach) -> Performative {
    Performative::Attach(Box::new(attach))
}

/// So much credit after so many deliveries.
fn credit(handle: u32, after: u32, credit: u32) -> Flow {
    Flow {
        next_incoming_id: Some(1),
        incoming_window: 1000,
        outgoing_window: 1000,
        handle: Some(handle),
        delivery_count: Some(after),
        link_credit: Some(credit),
        ..Flow::default()
    }
}

/// The events in what was said: their links and bodies, put together from frames.
fn events(said: &[Said]) -> Vec<(u32, Vec<u8>)> {
    let mut open: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let mut whole = Vec::new();
    for said in said {
        let Said::Frame(0, Performative::Transfer(transfer), payload) = said else { continue };
        open.entry(transfer.handle).or_default().extend(payload);
        if !transfer.more {
            let message = open.remove(&transfer.handle).unwrap();
            let (mut rest, mut body) = (&message[..], Vec::new());
            while !rest.is_empty() {
                let (section, behind) = value_at(rest).unwrap();
                rest = behind;
                if let Value::Described(code, content) = section
                    && let (Value::Ulong(0x75), Value::Binary(bytes)) = (*code, *content)
                {
                    body.extend(bytes);
                }
            }
            whole.push((transfer.handle, body));
        }
    }
    assert!(open.is_empty(), "a message is not whole");
    whole
}

/// The error with which a link, the session or the connection ends in what was said, as `detach amqp:…`.
fn error(said: &[Said]) -> Option<(String, String)> {
    said.iter().find_map(|said| match said {
        Said::Frame(_, Performative::Detach(detach), _) => {
            detach.error.clone().map(|error| (format!("detach {}", error.condition), error.description))
        }
        Said::Frame(_, Performative::End(Some(error)), _) => {
            Some((format!("end {}", error.condition), error.description.clone()))
        }
        Said::Frame(_, Performative::Close(Some(error)), _) => {
            Some((format!("close {}", error.condition), error.description.clone()))
        }
        _ => None,
    })
}

#[test]
fn from_the_first_octet_to_open() {
    let service = service();
    let mut client = Client::new(&service);
    // Section 5.3.2; octet by octet, to see that nothing is read before it is whole.
    let mut out = Vec::new();
    for byte in b"AMQP\x03\x01\x00\x00" {
        client.connection.receive(&[*byte], Now { wall: Time(0), since_start: Duration::ZERO });
        out.append(&mut client.connection.out);
    }
    assert_eq!(&out[..8], SASL_HEADER);
    assert_eq!(decode(&out[16..]).unwrap(), {
        let all = ["MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"].map(Value::symbol).to_vec();
        Value::composite(0x40, vec![Value::Array(all)])
    });
    let said = client.octets(b"\0\0\0\x19\x02\x01\0\0\x00\x53\x41\xc0\x0c\x01\xa3\x09ANONYMOUS");
    assert_eq!(said, [Said::Sasl(Value::composite(0x44, vec![Value::Ubyte(0), Value::Null]))]);
    assert_eq!(client.octets(&AMQP_HEADER), [Said::Header(AMQP_HEADER)]);
    let said = client.octets(b"\0\0\0\x11\x02\0\0\0\x00\x53\x10\xc0\x04\x01\xa1\x01c");
    let [Said::Frame(0, Performative::Open(open), _)] = &said[..] else { panic!("{said:?}") };
    assert_eq!((open.max_frame_size, open.channel_max, open.idle_time_out), (Some(65_536), Some(4999), Some(240_000)));
    // Section 2.4.3: close is answered with close.
    let said = client.octets(b"\0\0\0\x0c\x02\0\0\0\x00\x53\x18\x45");
    assert_eq!(said, [Said::Frame(0, Performative::Close(None), Vec::new())]);
    assert_eq!(client.connection.fate, Fate::Closed);
    assert_eq!(service.recorded().violations, Vec::<String>::new());
}

#[test]
fn every_field_is_written() {
    // Microsoft's client for Python takes fields by their number without looking how many there are.
    let service = service();
    let mut client = Client::new(&service);
    client.sign_in("ANONYMOUS", b"");
    let mut bytes = Vec::new();
    Performative::Open(Open { container_id: "c".to_string(), ..Open::default() }).write(0, b"", &mut bytes);
    client.connection.receive(&bytes, client.now());
    let Value::Described(_, fields) = decode(&client.connection.out[8..]).unwrap() else { panic!() };
    assert!(matches!(*fields, Value::List(fields) if fields.len() == 10));
}

#[test]
fn headers_of_something_else() {
    for first in
        [&b"HTTP/1.1"[..], b"\x16\x03\x01", b"AMQP\x00\x01\x00\x00", b"AMQP\x00\x00\x09\x01", b"AMQP\x02\x01\x00\x00", b"x"]
    {
        let mut client = Client::new(&service());
        assert_eq!(client.octets(first), [Said::Header(SASL_HEADER)], "{first:x?}");
        assert_eq!(client.connection.fate, Fate::Closed, "{first:x?}");
    }
}

#[test]
fn mechanisms() {
    for (mechanism, response, code) in [
        ("ANONYMOUS", &b""[..], 0),
        ("MSSBCBS", b"", 0),
        ("EXTERNAL", b"", 0),
        ("PLAIN", b"\0listen\0key", 0),
        ("PLAIN", b"\0listen\0wrong", 1),
        ("PLAIN", b"\0nobody\0key", 1),
        ("PLAIN", b"listen", 1),
        ("SCRAM-SHA-256", b"", 1),
    ] {
        let service = service();
        let mut client = Client::new(&service);
        let said = client.sign_in(mechanism, response);
        assert_eq!(said[0], Said::Sasl(Value::composite(0x44, vec![Value::Ubyte(code), Value::Null])), "{mechanism}");
        assert_eq!(client.connection.fate == Fate::Closed, code != 0);
        assert_eq!(service.recorded().connections[0].mechanism.as_deref(), Some(mechanism));
    }
}

#[test]
fn heartbeats_in_both_directions() {
    let service = service();
    let mut client =
        Client::ready_with(&service, Open { container_id: "c".to_string(), idle_time_out: Some(10_000), ..Open::default() });
    let after = |client: &mut Client, seconds| {
        client.at += Duration::from_secs(seconds);
        client.listen()
    };
    assert_eq!(after(&mut client, 4), []);
    assert_eq!(after(&mut client, 1), [Said::Heartbeat]);
    assert_eq!(after(&mut client, 4), []);
    client.octets(b"\0\0\0\x08\x02\0\0\0");
    client.at += Duration::from_secs(235);
    assert_eq!(client.listen(), [Said::Heartbeat]);
    client.at += Duration::from_secs(6);
    let (what, _) = error(&client.listen()).unwrap();
    assert_eq!((what.as_str(), &client.connection.fate), ("close amqp:connection:forced", &Fate::Closed));
    assert_eq!(service.recorded().violations, Vec::<String>::new());
}
