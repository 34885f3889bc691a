//! Ends at any moment while the blobs grow: what all runs wrote together is what the blobs hold.

use std::thread;
use std::time::{Duration, Instant};

use simulator::chance::Chance;
use simulator::{FaultKind, Route, When, accounts};

use super::{counted, deliver, held, hours_back, input, record, say, stage};
use crate::support::{Ended, Stage, meanwhile};

/// Runs that are killed.
const KILLS: usize = 60;
/// Bytes read after which the position is saved, and a piece that may come on top.
const UNSAVED: usize = (4 << 20) + (1 << 20);

/// Lets blobs of three tables and several hours grow until the work is done.
fn while_growing<T>(stage: &Stage, work: impl FnOnce() -> T) -> T {
    let (mut chance, mut n) = (Chance::new(3), 10_000_000);
    let again = || {
        let table = *chance.pick(&["AlertInfo", "DeviceEvents", "EmailEvents"]);
        let records: Vec<String> = (0..1 + chance.below(40))
            .map(|_| {
                n += 1;
                record(n)
            })
            .collect();
        let text: String = records.iter().map(|record| format!("{record}\r\n")).collect();
        let hour = hours_back(stage, u32::try_from(chance.below(5)).unwrap());
        let name = simulator::storage::blob_name(accounts::TENANT, hour);
        let container = simulator::storage::container(table);
        // In two parts: the service appends blocks, and nothing says that a block ends with a line.
        let at = usize::try_from(chance.below(text.len() as u64)).unwrap();
        for part in [&text[..at], &text[at..]] {
            let now = stage.sim.now();
            stage.sim.world(|world| world.storage.append(&container, &name, part.as_bytes(), now));
            thread::sleep(Duration::from_millis(1 + chance.below(15)));
        }
    };
    meanwhile(again, work)
}

#[track_caller]
fn is_all(stage: &Stage, runs: &[Ended], kills: usize) {
    let times = counted(runs);
    let lost: Vec<String> = held(stage).into_iter().filter(|line| !times.contains_key(line)).collect();
    assert!(lost.is_empty(), "lost {}: {:?}", lost.len(), lost.first());
    let extra: usize = times.iter().map(|(line, times)| (times - 1) * line.len()).sum();
    assert!(extra <= kills * UNSAVED, "{extra} bytes came again after {kills} kills");
    let most = times.values().max().copied().unwrap_or(0);
    assert!(most <= 1 + kills, "one came {most} times");
    say(&format!("{} runs, {kills} ended early; {} records, {extra} bytes came again", runs.len(), times.len()));
}

/// A record of 1.7 kB.
fn large(n: u64) -> String {
    record(n).replace("\"N\":", &format!("\"Filler\":\"{}\",\"N\":", "x".repeat(1_500)))
}

#[test]
fn nothing_is_lost_by_sixty_crashes_and_what_comes_again_is_bounded() {
    let stage = stage();
    let input = input(&stage);
    let mut chance = Chance::new(21);
    let (mut runs, mut kills) = (Vec::new(), 0);
    while_growing(&stage, || {
        while kills < KILLS {
            assert!(runs.len() < 4 * KILLS, "{kills} kills in {} runs", runs.len());
            // Something to read for every run; now and then enough for several pieces, so that it saves in its middle.
            let (count, bytes) = if runs.len() % 5 == 0 { (6_000, 9_000_000) } else { (300, 50_000) };
            let records: Vec<String> = (0..count).map(|at| large(runs.len() as u64 * 10_000 + at)).collect();
            deliver(&stage, "DeviceProcessEvents", chance.below(4), &records);
            let mut running = input.start();
            let (asked, written) = (stage.asked(Route::StorageBlob) + chance.below(3) as usize, chance.below(bytes) as usize);
            let (after, how, begun) = (Duration::from_millis(chance.below(80)), chance.below(3), Instant::now());
            while !running.is_over() {
                let come = match how {
                    0 => begun.elapsed() >= after,
                    1 => stage.asked(Route::StorageBlob) >= asked,
                    _ => running.taken() >= written,
                };
                if come || begun.elapsed() > Duration::from_secs(2) {
                    break;
                }
                thread::sleep(Duration::from_millis(1));
            }
            if !running.is_over() {
                running.kill();
            }
            let ended = running.end();
            kills += usize::from(ended.code().is_none());
            runs.push(ended);
        }
    });
    runs.push(input.run().exits(0).quietly());
    is_all(&stage, &runs, kills);
}

#[test]
fn a_stop_is_obeyed_within_a_second() {
    let stage = stage();
    let large: Vec<String> = (0..40_000).map(record).collect();
    deliver(&stage, "DeviceProcessEvents", 2, &large);
    let input = input(&stage);
    let mut runs = Vec::new();
    for n in 0..12_u64 {
        let program = if n % 3 == 1 { input.program().unread() } else { input.program() };
        if n % 3 == 2 {
            stage.fault(Route::Any, When::Nth(1 + n % 9), FaultKind::Endless(Duration::from_millis(5)));
        }
        let mut running = program.start();
        let begun = Instant::now();
        while !running.is_over() && begun.elapsed() < Duration::from_millis(40 * n) {
            thread::sleep(Duration::from_millis(1));
        }
        let alive = !running.is_over();
        if alive {
            running.terminate();
        }
        let ended = running.end();
        assert!(ended.waited < Duration::from_secs(1), "run {n}: {:?}", ended.waited);
        // Before the program listens for it, the signal ends it by itself.
        assert!(matches!(ended.code(), None | Some(0)), "{}", ended.stderr);
        stage.sim.faults().clear();
        runs.push(ended);
    }
    runs.push(input.run().exits(0).quietly());
    is_all(&stage, &runs, runs.len());
}
