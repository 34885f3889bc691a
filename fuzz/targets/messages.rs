//! A message of an event hub, as its octets. What is made of it is bounded by its length, however many values it says that it
//! holds; what is no data is text that is JSON, or octets that stand in it; and all of it can be read on.

#![no_main]

use std::convert::Infallible;

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use ta_defender::feeds::records::{Reader, Reason};
use ta_defender::input::{Dedupe, Shape, Tables};
use ta_defender::microsoft::event_hubs::{Piece, body};
use ta_defender::time::Ticks;

/// The most that one value is printed as, and its last piece above that.
const PRINTED: usize = 320 << 10;

fuzz_target!(|data: &[u8]| {
    let pieces = body(data.to_vec());
    let mut taken = 0;
    let mut reader = Reader::new(Shape::Incumbent, Tables::All, Dedupe::Off);
    for piece in &pieces {
        let mut events = 0;
        let mut emit = |_: ta_defender::feeds::records::Record<'_>| {
            events += 1;
            Ok::<_, Infallible>(())
        };
        let Ok(tally) = match piece {
            Piece::Data(bytes) => {
                taken += bytes.len();
                reader.read(bytes, Ticks(0), &mut emit)
            }
            Piece::Raw(bytes) => {
                taken += bytes.len();
                assert!(bytes.is_empty() || data.windows(bytes.len()).any(|part| part == bytes.as_slice()), "octets of its own");
                reader.pass_on(bytes, Reason::NotData, Ticks(0), &mut emit)
            }
            Piece::Printed(text) => {
                serde_json::from_str::<&RawValue>(text).expect("what is printed is JSON");
                assert!(text.len() <= PRINTED.min(16 * data.len() + 16), "{} of {}", text.len(), data.len());
                reader.pass_on(text.as_bytes(), Reason::NotData, Ticks(0), &mut emit)
            }
        };
        assert_eq!(events, tally.records + tally.unparsed);
    }
    assert!(taken <= data.len(), "{taken} of {}", data.len());
});
