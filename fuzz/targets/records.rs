//! What the streaming API delivers: every event is one line of JSON without a character that XML forbids in what is no
//! record, and what a reader remembers it leaves out.

#![no_main]

use std::convert::Infallible;

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use ta_defender::feeds::records::{Reader, Tally, UNPARSED};
use ta_defender::input::{Dedupe, Shape, Tables};
use ta_defender::time::Ticks;

/// 2026-03-01.
const NOW: Ticks = Ticks(17_723_232_000_000_000);

fn read(reader: &mut Reader, body: &[u8]) -> Tally {
    let mut events = 0;
    let tally = reader.read(body, NOW, |record| {
        events += 1;
        serde_json::from_str::<&RawValue>(&record.data).expect("an event is JSON");
        assert!(!record.data.contains(['\n', '\r']), "an event is one line");
        let forbidden = |c: char| matches!(c, '\0'..' ' | '\u{FFFE}' | '\u{FFFF}');
        assert!(record.sourcetype != UNPARSED || !record.data.contains(forbidden), "{}", record.data);
        Ok::<_, Infallible>(())
    });
    let Ok(tally) = tally;
    assert_eq!(events, tally.records + tally.unparsed);
    tally
}

fuzz_target!(|data: &[u8]| {
    let plain = read(&mut Reader::new(Shape::Incumbent, Tables::All, Dedupe::Off), data);
    let mut reader = Reader::new(Shape::Community, Tables::All, Dedupe::On);
    let once = read(&mut reader, data);
    assert_eq!(once.records + once.repeats, plain.records);
    let again = read(&mut reader, data);
    assert!(again.records <= once.records, "what has a row is not passed on again");
    let narrow = read(&mut Reader::new(Shape::Incumbent, Tables::Only(["alertinfo".to_owned()].into()), Dedupe::Off), data);
    assert_eq!(narrow.records + narrow.filtered, plain.records);
});
