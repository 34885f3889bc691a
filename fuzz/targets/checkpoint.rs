//! A position on disk: read strictly or refused; what was read is written and read back the same, and a poll can be held
//! with whatever it says.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use ta_defender::checkpoint::{Checkpoint, parse, to_json};
use ta_defender::cursor::{Answer, Failed};
use ta_defender::time::Ticks;
use ta_defender::version::Version;

const LOOKBACK: Duration = Duration::from_secs(900);
/// 2026-03-01.
const NOW: Ticks = Ticks(17_723_232_000_000_000);

fuzz_target!(|data: &[u8]| {
    let Ok(mut checkpoint) = parse::<Checkpoint>(data) else { return };
    let written = to_json(&checkpoint).expect("a checkpoint can be written");
    let read = parse::<Checkpoint>(&written).expect("what was written can be read");
    assert_eq!(to_json(&read).expect("and written again"), written);
    let cursor = &mut checkpoint.cursor;
    cursor.open_poll(LOOKBACK);
    for n in 0..40u8 {
        let Some(ask) = cursor.next_ask() else { break };
        let near = |ms: i64| Ticks(ask.window.lo.0.saturating_add(ms * 10_000));
        let rows: Vec<Version> = (0..i64::from(n % 5)).map(|k| Version { updated: near(k * k), id: u64::from(n) }).collect();
        if n % 7 == 6 {
            if cursor.failed(&ask, NOW) == Failed::Unsplittable && !cursor.give_up(&ask) {
                break;
            }
            continue;
        }
        let answer = Answer {
            rows: &rows,
            asked: 3,
            next_link: n % 11 == 10,
            ordered: n % 2 == 0,
            looked: (n % 3 != 2).then_some(NOW),
        };
        let (before, left) = (cursor.settled(), cursor.history_left());
        let batch = cursor.take(ask.clone(), &answer);
        if cursor.commit(batch.proof) && !cursor.give_up(&ask) {
            break;
        }
        assert!(cursor.settled() >= before || cursor.history_left() < left, "settled goes back into history alone");
    }
    let written = to_json(&checkpoint).expect("a checkpoint can be written");
    parse::<Checkpoint>(&written).expect("what a poll left can be read");
});
