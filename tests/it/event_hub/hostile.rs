//! What is made to be expensive, by whoever may send to a hub or answers in its place: it costs no memory, no neighbour and no
//! run.

use simulator::When;
use simulator::event_hubs::{At, Body, Fault, HubFault};

use super::{HUB, counted, input, message, publish, stage, stopped, until, until_saved};
use crate::support::Running;

/// The most memory that this program takes, whatever comes.
const MOST_KB: u64 = 64 << 10;

/// A described value, or a section around it.
fn described(code: u8, value: &[u8]) -> Vec<u8> {
    [&[0x00, 0x53, code], value].concat()
}

fn list(code: u8, values: &[Vec<u8>]) -> Vec<u8> {
    let inner = values.concat();
    let (size, count) = (u32::try_from(inner.len() + 4).unwrap(), u32::try_from(values.len()).unwrap());
    [&[code][..], &size.to_be_bytes(), &count.to_be_bytes(), &inner].concat()
}

/// So many bytes of arrays of 65,536 elements that have no width: each ten bytes stand for 4.7 MB once they are built.
fn expensive(bytes: usize) -> Vec<u8> {
    let array = [&[0xf0][..], &5u32.to_be_bytes(), &65_536u32.to_be_bytes(), &[0x45]].concat();
    list(0xd0, &vec![array; bytes / 10])
}

/// Lists in lists.
fn deep(levels: u32) -> Vec<u8> {
    let mut value: Vec<u8> = (0..levels)
        .rev()
        .flat_map(|inside| [&[0xd0][..], &(9 * inside + 5).to_be_bytes(), &1u32.to_be_bytes()].concat())
        .collect();
    value.push(0x40);
    value
}

fn key(name: &str) -> Vec<u8> {
    [&[0xa1, u8::try_from(name.len()).unwrap()], name.as_bytes()].concat()
}

fn spends_little(running: &Running) {
    let peak = running.peak_memory_kb();
    assert!(peak < MOST_KB, "{peak} KB");
}

#[test]
fn a_message_that_stands_for_gigabytes_is_passed_on_as_it_is() {
    let stage = stage(2);
    let hubs = stage.sim.event_hubs();
    publish(hubs, 2, 0..2);
    // What was seen to take 495 MB, 3.9 GB and the process; as a value, as a sequence, and in each section around data.
    let bodies: Vec<Vec<u8>> = [1000, 8000, 30_000, 900_000]
        .into_iter()
        .flat_map(|bytes| [described(0x77, &expensive(bytes)), described(0x76, &expensive(bytes))])
        .chain([described(0x77, &deep(50_000)), described(0x76, &deep(50_000)), described(0x75, &expensive(1000))])
        .collect();
    let count = bodies.len();
    for body in bodies {
        hubs.publish(HUB, 0, Body { broken: body, ..Body::default() });
    }
    let data = message([2]);
    let data = [&[0xb0][..], &u32::try_from(data.len()).unwrap().to_be_bytes(), data.as_bytes()].concat();
    let map = list(0xd1, &[key("odd"), expensive(30_000)]);
    let around = [described(0x71, &map), described(0x74, &map), described(0x75, &data), described(0x78, &map)].concat();
    hubs.publish(HUB, 0, Body { broken: around, ..Body::default() });
    // Values that are small are printed, and what is a document in them is read.
    let text = message([3]);
    let sequence =
        list(0xd0, &[key("no json"), [&[0xb1][..], &u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()]);
    hubs.publish(HUB, 0, Body { broken: described(0x76, &sequence), ..Body::default() });
    hubs.publish(HUB, 0, Body { broken: described(0x77, &list(0xd1, &[key("a"), vec![0x54, 7]])), ..Body::default() });
    publish(hubs, 2, 4..6);

    let input = input(&stage);
    let mut running = input.start();
    until(&mut running, count + 8);
    until_saved(&input, &mut running, 0, i64::try_from(count).unwrap() + 4);
    spends_little(&running);
    let ended = stopped(running).says("ERROR", &[]);
    let (odd, good): (Vec<_>, Vec<_>) = ended.events().into_iter().partition(|event| event.sourcetype.ends_with(":unparsed"));
    assert_eq!(counted(&good), (0..6).map(|n| (n, 1)).collect());
    assert_eq!(odd.len(), count + 2);
    assert!(odd.iter().all(|event| event.data.len() < 1_300_000));
    assert_eq!(odd.last().unwrap().json()["body"], r#"{"a":7}"#);
    assert!(
        odd[0]
            .data
            .starts_with(r#"{"reason":"it is no data section of a message","bytes":1009,"encoding":"base64","body":"0AAA"#),
        "{}",
        &odd[0].data[..120]
    );
    // The next run goes on behind all of it.
    publish(hubs, 2, 6..8);
    let mut running = input.start();
    until(&mut running, 2);
    assert_eq!(counted(&stopped(running).events()), (6..8).map(|n| (n, 1)).collect());
}

#[test]
fn a_service_that_sends_what_is_expensive_is_left_and_said() {
    for (at, fault, what) in [
        (
            At::Management,
            HubFault::Answer(expensive(30_000)),
            "the hub defender: the answer is not read: it holds more than 10000 values",
        ),
        (At::Management, HubFault::Answer(deep(3000)), "the hub defender: the answer is not read: it nests more than 32 deep"),
        (
            At::Management,
            HubFault::Frame(described(0x10, &expensive(30_000))),
            "it sent a frame that is not read: it holds more than 10000 values",
        ),
        (
            At::Token,
            HubFault::Frame(described(0x12, &deep(3000))),
            "it sent a frame that is not read: it nests more than 32 deep",
        ),
        (
            At::Attach,
            HubFault::Frame(described(0x14, &expensive(30_000))),
            "it sent a frame that is not read: it holds more than 10000 values",
        ),
        (At::Connect, HubFault::Frame(described(0x11, &expensive(60_000))), "it sent what is no frame of AMQP"),
    ] {
        let stage = stage(1);
        let hubs = stage.sim.event_hubs();
        publish(hubs, 1, 0..3);
        hubs.push_fault(Fault::new(at, When::Once, fault.clone()));
        let mut running = input(&stage).start();
        until(&mut running, 3);
        spends_little(&running);
        let ended = stopped(running).says("ERROR", &[]);
        let said = ended.said("WARN");
        // Before its header a frame is no frame, and the library says what it makes of that.
        assert!(said.iter().any(|line| line.contains(what)) || at == At::Connect, "{at:?} {what}: {said:?}");
        assert!(said.iter().all(|line| line.len() < 700), "{said:?}");
        assert_eq!(counted(&ended.events()), (0..3).map(|n| (n, 1)).collect());
    }
}

#[test]
fn a_hub_whose_partitions_are_no_numbers_is_not_read() {
    let stage = stage(1);
    let hubs = stage.sim.event_hubs();
    let ids = list(0xd0, &[key("../../passwd"), key("0")]);
    hubs.push_fault(Fault::once(At::Management, HubFault::Answer(list(0xd1, &[key("partition_ids"), ids]))));
    publish(hubs, 1, 0..1);
    let mut running = input(&stage).start();
    until(&mut running, 1);
    let ended = stopped(running);
    assert!(ended.said("WARN")[0].contains("the answer names partitions by something other than numbers"), "{}", ended.stderr);
}

#[test]
fn large_messages_and_packed_ones_stay_within_bounds() {
    let stage = stage(4);
    let hubs = stage.sim.event_hubs();
    let pack = |bytes: Vec<u8>| {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&bytes).unwrap();
        encoder.finish().unwrap()
    };
    // More than is inflated, as much as is, one record with a bad byte among many, and UTF-16.
    let records = message(0..4000);
    let spaces = [vec![b' '; 20 << 20], message([4000]).into_bytes()].concat();
    let bad = message(4001..8000)
        .into_bytes()
        .into_iter()
        .enumerate()
        .map(|(at, b)| if at == 300 { 0xff } else { b })
        .collect::<Vec<u8>>();
    let wide = message(8000..8010).encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    for (partition, body) in [pack(vec![b' '; 80 << 20]), pack(spaces), pack(records.into_bytes()), wide].into_iter().enumerate()
    {
        hubs.publish(HUB, partition, body);
    }
    hubs.publish(HUB, 0, bad);
    let mut running = input(&stage).start();
    until(&mut running, 8011);
    spends_little(&running);
    let (odd, good): (Vec<_>, Vec<_>) =
        stopped(running).events().into_iter().partition(|event| event.sourcetype.ends_with(":unparsed"));
    assert_eq!(odd.len(), 2);
    assert_eq!(good.len(), 8009);
}

#[test]
fn the_largest_message_of_a_dedicated_cluster_fits_in() {
    let stage = stage(1);
    let hubs = stage.sim.event_hubs();
    const RECORDS: u64 = 110_000;
    let body = message(0..RECORDS);
    assert!(body.len() > 19 << 20, "{}", body.len());
    hubs.publish(HUB, 0, body);
    hubs.publish(HUB, 0, message([RECORDS]));
    let input = input(&stage);
    let mut running = input.start();
    until_saved(&input, &mut running, 0, 1);
    spends_little(&running);
    assert_eq!(counted(&stopped(running).events()).len() as u64, RECORDS + 1);
}
