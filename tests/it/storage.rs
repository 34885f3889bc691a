//! The feed `storage`: what is appended to the blobs of a storage account comes out, each record at least once, whatever
//! happens on the way.

use std::collections::BTreeMap;
use std::time::Duration;

use simulator::chance::Chance;
use simulator::generate::records;
use simulator::storage::{blob_name, container};
use simulator::{Config, Time, accounts};

use crate::support::{Ended, Event, Input, List, Stage, epoch_millis, has_the_members_of_streamed};

mod azurite;
mod faults;
mod kill;
mod odd;
mod transport;

const HOUR: Duration = Duration::from_secs(3600);

fn stage() -> Stage {
    Stage::with(Config { incidents: 0, alerts: 0, ..Stage::config() })
}

/// An input that reads the account from its beginning.
fn input(stage: &Stage) -> Input<'_> {
    let url = stage.sim.storage_url();
    stage.input(List::GraphAlerts).set("feed", "storage").set("start", "earliest").set("storage_account", url)
}

/// Delivers records of a table into the blob of an hour that is so many hours back.
fn deliver(stage: &Stage, table: &str, hours_back: u64, records: &[String]) {
    let now = stage.sim.now();
    let hour = now.minus(HOUR * u32::try_from(hours_back).unwrap());
    stage.sim.world(|world| world.storage.deliver(table, accounts::TENANT, hour, records, now));
}

/// Appends bytes as they are to the blob of this hour.
fn append(stage: &Stage, table: &str, bytes: &[u8]) -> String {
    let now = stage.sim.now();
    let name = blob_name(accounts::TENANT, now);
    stage.sim.world(|world| world.storage.append(&container(table), &name, bytes, now));
    name
}

/// A small record of its own.
fn record(n: u64) -> String {
    format!(
        r#"{{"time":"2026-11-22T12:00:01Z","tenantId":"t","operationName":"Publish","category":"AdvancedHunting-DeviceEvents","properties":{{"Timestamp":"2026-11-22T12:00:00.{n:07}Z","N":{n}}}}}"#
    )
}

fn texts(events: &[Event]) -> Vec<String> {
    let mut texts: Vec<String> = events.iter().map(|event| event.data.clone()).collect();
    texts.sort();
    texts
}

fn sorted(mut records: Vec<String>) -> Vec<String> {
    records.sort();
    records
}

/// A number of the poll's line.
#[track_caller]
fn of_poll(ended: &Ended, name: &str) -> String {
    let line = ended.said("INFO").concat();
    let value = line.split(&format!(" {name}=")).nth(1).unwrap_or_else(|| panic!("no {name} in {line}"));
    value.split(' ').next().unwrap().to_owned()
}

#[test]
fn every_record_of_every_table_is_one_event_as_it_was_sent() {
    let stage = stage();
    let mut chance = Chance::new(5);
    let mut all = Vec::new();
    for (n, table) in records::TABLES.iter().enumerate() {
        let records: Vec<String> = (0..4).map(|_| records::record(&mut chance, table, stage.sim.now()).render()).collect();
        deliver(&stage, table, n as u64 % 30, &records);
        all.extend(records);
    }
    let input = input(&stage).set("index", "edr").set("host", "h");
    let first = input.run().exits(0).quietly();
    let events = first.events();
    assert_eq!(texts(&events), sorted(all));
    let host = stage.sim.storage_url().strip_prefix("http://").unwrap();
    for event in &events {
        let time = event.json()["properties"]["Timestamp"].as_str().unwrap().to_owned();
        assert_eq!((event.time.as_str(), event.sourcetype.as_str()), (epoch_millis(&time).as_str(), "ms:defender:eventhub"));
        assert_eq!(event.source, format!("defender:storage:{host}"));
        assert_eq!((event.index.as_deref(), event.host.as_deref()), (Some("edr"), Some("h")));
    }
    assert_eq!(of_poll(&first, "records"), events.len().to_string());
    has_the_members_of_streamed(&first.said("INFO")[0], " poll ");
    assert_eq!((of_poll(&first, "unparsed"), of_poll(&first, "history_left_s")), ("0".to_owned(), "0".to_owned()));

    // Nothing new; then something in this hour, in one that is over, and in a table that is new.
    assert_eq!(input.run().exits(0).quietly().text(), "");
    let (a, b, c) = (record(1), record(2), record(3));
    deliver(&stage, "AlertInfo", 0, std::slice::from_ref(&a));
    deliver(&stage, "DeviceEvents", 20, std::slice::from_ref(&b));
    deliver(&stage, "BrandNewTable", 3, std::slice::from_ref(&c));
    let third = input.run().exits(0).quietly();
    assert_eq!(texts(&third.events()), sorted(vec![a, b, c]));
}

#[test]
fn a_line_is_passed_on_when_it_has_ended() {
    let stage = stage();
    let input = input(&stage);
    let (a, b) = (record(1), record(2));
    append(&stage, "AlertInfo", format!("{a}\r\n{}", &b[..50]).as_bytes());
    assert_eq!(texts(&input.run().exits(0).quietly().events()), [a]);
    let asked = stage.asked(simulator::Route::StorageBlob);
    assert_eq!(input.run().exits(0).quietly().text(), "");
    assert_eq!(stage.asked(simulator::Route::StorageBlob), asked, "half a line is not asked for again");
    append(&stage, "AlertInfo", &b.as_bytes()[50..]);
    assert_eq!(texts(&input.run().exits(0).quietly().events()), [b]);
    append(&stage, "AlertInfo", format!("\r\n{}\r\n", record(3)).as_bytes());
    assert_eq!(texts(&input.run().exits(0).quietly().events()), [record(3)]);
}

#[test]
fn where_the_first_run_begins() {
    for (start, expected) in [("earliest", 3), ("latest", 1), ("40h", 2), ("2026-01-01T00:00:00Z", 3)] {
        let stage = stage();
        for (n, hours_back) in [0, 30, 60].into_iter().enumerate() {
            deliver(&stage, "AlertInfo", hours_back, &[record(n as u64)]);
        }
        let ended = input(&stage).set("start", start).run().exits(0).quietly();
        assert_eq!(ended.events().len(), expected, "{start}");
    }
}

#[test]
fn tables_shape_and_repeats() {
    let stage = stage();
    deliver(&stage, "DeviceEvents", 0, &[record(1), record(1).replace("12:00:01Z", "12:05:00Z"), record(2)]);
    deliver(&stage, "AlertInfo", 0, &[record(3)]);
    let input = input(&stage).set("tables", "deviceEvents").set("shape", "community").set("dedupe", "on");
    let ended = input.run().exits(0).quietly();
    assert_eq!(texts(&ended.events()), [record(1), record(2)]);
    assert!(ended.events().iter().all(|event| event.sourcetype == "mscs:azure:eventhub:defender:advancedhunting"));
    assert_eq!((of_poll(&ended, "repeats"), of_poll(&ended, "containers")), ("1".to_owned(), "1".to_owned()));
    // It is remembered from run to run.
    deliver(&stage, "DeviceEvents", 0, &[record(2), record(4)]);
    assert_eq!(texts(&input.run().exits(0).quietly().events()), [record(4)]);
    assert_eq!(stage.asked(simulator::Route::StorageContainers), 0, "the names of the containers follow from the tables");
    // A table more begins at the input's start.
    let ended = input.set("tables", "DeviceEvents, AlertInfo").run().exits(0);
    assert_eq!(texts(&ended.events()), [record(3)]);
    assert_eq!(ended.said("WARN"), ["defender://test: its tables changed; those that are new begin at its start"]);
    assert_eq!(of_poll(&ended, "repeats"), "0");
}

#[test]
fn what_is_no_record_is_passed_on_with_a_warning() {
    let stage = stage();
    let name = append(&stage, "AlertInfo", format!("{}\r\nnonsense\r\n{}\r\n", record(1), record(2)).as_bytes());
    let ended = input(&stage).run().exits(0);
    let events = ended.events();
    let unparsed: Vec<&Event> = events.iter().filter(|event| event.sourcetype == "ms:defender:eventhub:unparsed").collect();
    assert_eq!((events.len(), unparsed.len()), (3, 1));
    assert_eq!(unparsed[0].data, r#"{"reason":"it is not JSON (byte 1)","bytes":8,"encoding":"text","body":"nonsense"}"#);
    let name = name.replace(accounts::TENANT, "GUID");
    assert_eq!(
        ended.said("WARN"),
        [format!(
            "defender://test: insights-logs-advancedhunting-alertinfo/{name}: 1 lines behind byte 0 are no records and were passed \
             on as ms:defender:eventhub:unparsed: it is not JSON (byte 1)"
        )]
    );
}

#[test]
fn a_blob_that_was_made_anew_is_read_from_its_beginning_with_a_warning() {
    let stage = stage();
    let input = input(&stage);
    let name = append(&stage, "AlertInfo", format!("{}\r\n{}\r\n", record(1), record(2)).as_bytes());
    input.run().exits(0).quietly();
    stage.sim.world(|world| world.storage.remove(&container("AlertInfo"), &name));
    append(&stage, "AlertInfo", format!("{}\r\n", record(3)).as_bytes());
    let ended = input.run().exits(0);
    assert_eq!(texts(&ended.events()), [record(3)]);
    let name = name.replace(accounts::TENANT, "GUID");
    let read = 2 * (record(1).len() + 2);
    assert_eq!(
        ended.said("WARN"),
        [format!(
            "defender://test: insights-logs-advancedhunting-alertinfo/{name} was made anew after {read} bytes of it were read; it is \
             read from its beginning, and what the two have in common comes again"
        )]
    );
}

/// What the input's file of ends holds.
fn ends(stage: &Stage) -> (std::path::PathBuf, serde_json::Value) {
    let path = stage.sim.checkpoint_dir().join("test.storage.finished");
    let text = std::fs::read(&path).unwrap();
    (path, serde_json::from_slice(&text).unwrap())
}

/// Lets a day pass since finished hours were looked at, and a minute: the clocks of answers are whole seconds.
fn a_day_later(stage: &Stage) {
    let (path, mut file) = ends(stage);
    for (_, container) in file["checkpoint"]["containers"].as_object_mut().unwrap() {
        let looked = &mut container["looked"];
        *looked = (looked.as_i64().unwrap() - (86_400 + 60) * 10_000_000).into();
    }
    std::fs::write(path, file.to_string()).unwrap();
}

#[test]
fn what_is_appended_after_the_look_back_is_found_once_a_day() {
    let stage = stage();
    let input = input(&stage).set("lookback", "1h");
    for (n, hours_back) in [30, 20, 10 * 24].into_iter().enumerate() {
        deliver(&stage, "AlertInfo", hours_back, &[record(n as u64)]);
    }
    assert_eq!(input.run().exits(0).quietly().events().len(), 3);
    let place = |hours: u32| blob_name("GUID", hours_back(&stage, hours));

    // One grew, one is new, and one is so old that its end is not kept.
    deliver(&stage, "AlertInfo", 30, &[record(10)]);
    deliver(&stage, "AlertInfo", 25, &[record(11)]);
    deliver(&stage, "AlertInfo", 10 * 24, &[record(12)]);
    assert_eq!(input.run().exits(0).quietly().text(), "");
    a_day_later(&stage);
    let ended = input.run().exits(0);
    assert_eq!(texts(&ended.events()), [record(10), record(11)]);
    let bytes = 2 * (record(10).len() + 2);
    let container = "defender://test: insights-logs-advancedhunting-alertinfo";
    assert_eq!(
        ended.said("WARN"),
        [
            format!(
                "{container}: 2 blobs grew by {bytes} bytes after the look-back had passed, the first of them {}: this was found and \
                 read by the look of once a day; a longer `lookback` brings it sooner",
                place(30)
            ),
            format!(
                "{container}: 1 blobs were written to more than 7 days after the look-back had passed, the first of them {}: what was \
                 appended is not read; a new input whose `start` lies before its hour reads all of it",
                place(240)
            ),
        ]
    );
    // It is said and read once; and a list of all there is costs one request more than a poll without.
    let asked = |stage: &Stage| {
        stage.sim.forget_requests();
        assert_eq!(input.run().exits(0).quietly().text(), "");
        stage.asked(simulator::Route::StorageBlobs)
    };
    let without = asked(&stage);
    a_day_later(&stage);
    // The stand-in's blobs were written to within the day.
    let (path, file) = ends(&stage);
    assert_eq!(input.run().exits(0).said("WARN").len(), 1);
    std::fs::write(path, file.to_string()).unwrap();
    stage.sim.forget_requests();
    input.run().exits(0);
    assert_eq!(stage.asked(simulator::Route::StorageBlobs), without + 1);
}

#[test]
fn a_file_of_ends_that_is_damaged_is_no_reason_to_forget_them() {
    let stage = stage();
    let input = input(&stage).set("lookback", "1h");
    deliver(&stage, "AlertInfo", 30, &[record(1)]);
    input.run().exits(0).quietly();
    let (path, _) = ends(&stage);
    std::fs::write(&path, "{").unwrap();
    let said = input.run().exits(2).said("ERROR").concat();
    assert!(said.contains("test.storage.finished cannot be read: "), "{said}");
    // Without the file it begins to keep ends anew, and reads on.
    std::fs::remove_file(&path).unwrap();
    deliver(&stage, "AlertInfo", 0, &[record(2)]);
    assert_eq!(texts(&input.run().exits(0).quietly().events()), [record(2)]);
}

#[test]
fn a_large_blob_takes_little_memory() {
    let stage = stage();
    let line = record(1).replace("\"N\":1", &format!("\"N\":1,\"Text\":\"{}\"", "x".repeat(3_000)));
    let count = 20_000;
    deliver(&stage, "DeviceEvents", 0, &vec![line; count]);
    let mut running = input(&stage).start();
    let mut peak = 0;
    while !running.is_over() {
        peak = peak.max(running.peak_while_it_lives_kb().unwrap_or(0));
        std::thread::sleep(Duration::from_millis(2));
    }
    let ended = running.end().exits(0).quietly();
    assert_eq!(ended.events().len(), count);
    say(&format!("{} bytes in {} s, {peak} kB at most", of_poll(&ended, "bytes"), of_poll(&ended, "duration_s")));
    assert!((1..40_000).contains(&peak), "{peak} kB");
}

#[allow(clippy::print_stdout, reason = "what was measured")]
fn say(text: &str) {
    println!("{text}");
}

/// How often each record came.
fn counted(runs: &[Ended]) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for event in runs.iter().flat_map(Ended::events_cut_short) {
        *times.entry(event.data).or_default() += 1;
    }
    times
}

/// What the account's blobs hold, line by line.
fn held(stage: &Stage) -> Vec<String> {
    let lines = |blob: &simulator::storage::Blob| String::from_utf8(blob.bytes.clone()).unwrap();
    stage.sim.world(|world| {
        let blobs = world.storage.containers.values().flat_map(|blobs| blobs.values());
        blobs.flat_map(|blob| lines(blob).lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    })
}

/// The stand-in's time, so many hours back.
fn hours_back(stage: &Stage, hours: u32) -> Time {
    stage.sim.now().minus(HOUR * hours)
}
