//! The same over a socket, by a client that knows as much of AMQP as it needs to read one partition.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use simulator::chance::Chance;
use simulator::event_hubs::amqp::{Value, decode, encode};
use simulator::event_hubs::{EventHubs, Failure, POLICY, POLICY_KEY};
use simulator::{Config, Simulator};

/// A connection with a receiver on a partition of `hub`.
struct Reader {
    stream: TcpStream,
    held: Vec<u8>,
    at: usize,
    received: u32,
}

fn frame(kind: u8, code: u64, fields: Vec<Value>) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 0, 2, kind, 0, 0];
    encode(&Value::composite(code, fields), &mut bytes);
    let size = (bytes.len() as u32).to_be_bytes();
    bytes[..4].copy_from_slice(&size);
    bytes
}

/// The code of a performative.
fn code(body: &[u8]) -> u8 {
    body[2]
}

impl Reader {
    fn open(hubs: &EventHubs, partition: usize) -> Self {
        let mut stream = TcpStream::connect(hubs.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let secret = format!("\0{POLICY}\0{POLICY_KEY}").into_bytes();
        let mut source = vec![Value::Null; 8];
        source[0] = Value::string(format!("hub/ConsumerGroups/$Default/Partitions/{partition}"));
        let attach = vec![
            Value::string("reader"),
            Value::Uint(0),
            Value::Boolean(true),
            Value::Ubyte(1),
            Value::Null,
            Value::composite(0x28, source),
            Value::composite(0x29, vec![Value::string("here")]),
        ];
        let window = Value::Uint(u32::MAX / 2);
        // Everything at once, without waiting for an answer (section 2.4.5 allows that).
        let all = [
            b"AMQP\x03\x01\x00\x00".to_vec(),
            frame(1, 0x41, vec![Value::symbol("PLAIN"), Value::Binary(secret)]),
            b"AMQP\x00\x01\x00\x00".to_vec(),
            frame(0, 0x10, vec![Value::string("reader")]),
            frame(0, 0x11, vec![Value::Null, Value::Uint(0), window.clone(), window]),
            frame(0, 0x12, attach),
        ];
        stream.write_all(&all.concat()).unwrap();
        let mut reader = Reader { stream, held: Vec::new(), at: 0, received: 0 };
        while code(&reader.next().unwrap()) != 0x12 {}
        reader
    }

    /// Grants so much credit.
    fn credit(&mut self, credit: u32) {
        let window = Value::Uint(u32::MAX / 2);
        let next = Value::Uint(self.received + 1);
        let count = Value::Uint(self.received);
        let flow = vec![next, window.clone(), Value::Uint(0), window, Value::Uint(0), count, Value::Uint(credit)];
        self.stream.write_all(&frame(0, 0x13, flow)).unwrap();
    }

    /// The body of the next frame, headers of protocols left out; `None` when the connection has ended.
    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let rest = &self.held[self.at..];
            if rest.starts_with(b"AMQP") && rest.len() >= 8 {
                self.at += 8;
                continue;
            }
            if let Some(size) = rest.first_chunk::<4>().map(|size| u32::from_be_bytes(*size) as usize)
                && !rest.starts_with(b"AMQP")
                && rest.len() >= size
            {
                let body = rest[8..size].to_vec();
                self.at += size;
                if body.get(2) == Some(&0x14) {
                    self.received += 1;
                }
                return Some(body);
            }
            self.held.drain(..self.at);
            self.at = 0;
            let mut buffer = [0; 64 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(read) if read > 0 => self.held.extend_from_slice(&buffer[..read]),
                _ => return None,
            }
        }
    }
}

#[test]
fn a_hundred_thousand_events_in_their_order() {
    let sim = Simulator::start(Config::default());
    let hubs = sim.event_hubs();
    hubs.create("hub", 1);
    let body = |number: u32| format!("{{\"records\":[{{\"number\":{number},\"text\":\"{:0>180}\"}}]}}", "");
    hubs.publish_all("hub", 0, (0..100_000).map(body));
    let mut reader = Reader::open(hubs, 0);
    let start = Instant::now();
    reader.credit(1_000_000);
    for number in 0..100_000 {
        let transfer = reader.next().unwrap();
        assert_eq!(code(&transfer), 0x14);
        assert!(transfer.ends_with(body(number).as_bytes()), "{number}");
    }
    let rate = 100_000.0 / start.elapsed().as_secs_f64();
    let _ = writeln!(std::io::stderr(), "{rate:.0} events a second");
    assert!(hubs.wait(super::LONG, |record| record.receivers[0].events == 100_000));
}

#[test]
fn what_a_test_can_do_to_a_reader() {
    let sim = Simulator::start(Config::default());
    let hubs = sim.event_hubs();
    hubs.create("hub", 1);
    hubs.grow("hub", 3);
    let mut reader = Reader::open(hubs, 2);
    reader.credit(10);
    let body = hubs.publish_records("hub", 2, &mut Chance::new(1), 3);
    assert!(reader.next().unwrap().ends_with(body.as_bytes()));
    let records: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(records["records"].as_array().unwrap().len(), 3);

    hubs.detach("hub", 2, &Failure::new("com.microsoft:entity-updated", "Entity was updated."));
    let detach = reader.next().unwrap();
    assert_eq!(code(&detach), 0x16);
    let text = format!("{:?}", decode(&detach).unwrap());
    assert!(text.contains("com.microsoft:entity-updated") && text.contains("Entity was updated. TrackingId:"), "{text}");

    let (mut one, mut two) = (Reader::open(hubs, 0), Reader::open(hubs, 1));
    hubs.drop_connections();
    assert_eq!((one.next(), two.next(), reader.next()), (None, None, None));
    assert!(hubs.wait(super::LONG, |record| record.connections.iter().all(|connection| connection.ended)));
    let ends: Vec<_> = hubs.record().receivers.iter().map(|receiver| receiver.ended.clone().unwrap()).collect();
    assert_eq!(ends, ["com.microsoft:entity-updated", "drop", "drop"]);
    // It is the connections that are gone, not the service.
    let mut again = Reader::open(hubs, 2);
    again.credit(10);
    assert!(again.next().unwrap().ends_with(body.as_bytes()));
    drop(sim);
    assert_eq!(again.next(), None, "and with the stand-in everything ends");
}
