//! The horizon against clocks that are wrong, on either side, and against a service that stands still.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::cursor::{Answer, Failed};
use crate::time::PER_MS;

const LOOKBACK: Duration = Duration::from_secs(900);
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Milliseconds after 2026-03-01T00:00:00Z, where every test begins.
fn at(ms: i64) -> Ticks {
    Ticks(1_772_323_200 * PER_SECOND + ms * PER_MS)
}

fn row(id: u64, ms: i64) -> Version {
    Version { updated: at(ms), id }
}

/// A service whose objects are all served, a machine, and the position between the two.
struct Stage {
    cursor: Cursor,
    /// How far this machine's clock is ahead, in milliseconds.
    skew: i64,
    /// What the service shows.
    rows: Vec<Version>,
    came: Vec<Version>,
    top: u32,
    mended: Vec<Mended>,
}

impl Stage {
    fn begin(back: i64, skew: i64) -> Self {
        let now = at(skew);
        Self::with(Cursor::begin(now.minus(Duration::from_millis(back.unsigned_abs())), now, LOOKBACK), skew)
    }

    fn with(cursor: Cursor, skew: i64) -> Self {
        Self { cursor, skew, rows: Vec::new(), came: Vec::new(), top: 50, mended: Vec::new() }
    }

    /// One process at this instant, with answers whose `Date` is off by so much. Says how many requests it took.
    fn poll(&mut self, now: i64, date: Option<i64>) -> usize {
        self.cursor = serde_json::from_str(&serde_json::to_string(&self.cursor).unwrap()).unwrap();
        self.cursor.open_poll(LOOKBACK);
        let mut requests = 0;
        while let Some(ask) = self.cursor.next_ask() {
            requests += 1;
            assert!(requests < 100, "it comes to no end: {ask:?}");
            let clocks =
                Clocks { service: date.map(|off| at(now + off)), machine: at(now + self.skew), exchange: Duration::ZERO };
            self.mended.extend(self.cursor.hear(&clocks));
            let mut rows: Vec<Version> = self.rows.iter().filter(|row| ask.window.holds(row.updated)).copied().collect();
            rows.sort();
            let rows: Vec<Version> = rows.into_iter().skip(ask.skip as usize).take(self.top as usize).collect();
            let answer = Answer { rows: &rows, asked: self.top, next_link: false, ordered: true, looked: clocks.looked() };
            let batch = self.cursor.take(ask, &answer);
            self.came.extend(batch.emit.iter().map(|n| rows[*n]));
            assert!(!self.cursor.commit(batch.proof));
        }
        requests
    }

    #[track_caller]
    fn all_came_once(&self) {
        let (mut came, mut rows) = (self.came.clone(), self.rows.clone());
        came.sort();
        rows.sort();
        assert_eq!(came, rows);
    }
}

/// One answer dated ahead, by minutes or by millennia, and then the right ones; and answers that are always ahead.
#[test]
fn a_date_ahead_settles_nothing_that_this_machine_calls_the_future() {
    for off in [20 * MINUTE, 2 * DAY, 365 * DAY, 7900 * 365 * DAY] {
        for always in [false, true] {
            let mut stage = Stage::begin(DAY, 0);
            for n in 0..100 {
                let now = n * MINUTE;
                stage.rows.push(row(n.unsigned_abs(), now - 1000));
                stage.poll(now, Some(if n == 3 || always { off } else { 0 }));
            }
            stage.all_came_once();
            assert!(stage.cursor.settled() >= at(99 * MINUTE - 1000).minus(LOOKBACK), "it gets on: {}", stage.cursor.settled());
        }
    }
}

#[test]
fn a_date_behind_or_missing_loses_and_repeats_nothing() {
    for date in [Some(-20 * MINUTE), Some(-2 * DAY), Some(-56 * 365 * DAY), Some(-2000 * 365 * DAY), None] {
        for always in [false, true] {
            let mut stage = Stage::begin(DAY, 0);
            for n in 0..60 {
                let now = n * MINUTE;
                stage.rows.push(row(n.unsigned_abs(), now - 1000));
                stage.poll(now, if n == 3 || always { date } else { Some(0) });
            }
            stage.all_came_once();
            // At the first run nobody knows whether this machine is ahead, and the start is put further back.
            assert!(stage.mended.is_empty() || always, "{:?}", stage.mended);
        }
    }
}

/// The clock of this machine is ahead or behind at the first run, and is put right after it, later, or never.
#[test]
fn a_first_run_with_a_wrong_clock_misses_nothing_from_its_start_on() {
    for skew in [30 * MINUTE / 60, HOUR, 365 * DAY, -HOUR, -365 * DAY] {
        for back in [0, DAY] {
            for right_after in [1, 30, 1000] {
                let mut stage = Stage::begin(back, skew);
                for n in 0..60 {
                    let now = n * MINUTE;
                    stage.rows.push(row(n.unsigned_abs(), now + 10));
                    if n == right_after {
                        stage.skew = 0;
                    }
                    stage.poll(now + 20, Some(0));
                }
                stage.all_came_once();
                if right_after < 60 {
                    assert!(stage.cursor.settled() > at(40 * MINUTE), "{skew} {back} {right_after}: {}", stage.cursor.settled());
                }
            }
        }
    }
}

#[test]
fn a_first_run_that_nobody_answered_before_the_clock_was_put_right_reaches_back() {
    let mut stage = Stage::begin(0, 365 * DAY);
    stage.rows.push(row(1, MINUTE));
    stage.skew = 0;
    stage.poll(2 * MINUTE, Some(0));
    stage.all_came_once();
    assert_eq!(stage.mended.len(), 1);
}

/// An earlier version believed a `Date`, or this machine: its position lies in the future, and says nothing of a horizon.
#[test]
fn a_position_saved_in_the_future_mends_itself() {
    for ahead in [20 * MINUTE, 2 * DAY, 365 * DAY, 7900 * 365 * DAY] {
        let mut cursor = Cursor::begin(at(ahead), at(ahead), LOOKBACK);
        cursor.horizon = None;
        let mut stage = Stage::with(cursor, 0);
        stage.rows = vec![row(1, -HOUR), row(2, -1000)];
        stage.poll(0, Some(0));
        assert_eq!(stage.mended, [Mended { was: at(ahead), from: at(0).minus(REACH), is_told: true }]);
        for n in 1..60i64 {
            stage.rows.push(row(n.unsigned_abs() + 10, n * MINUTE - 1000));
            stage.poll(n * MINUTE, Some(0));
        }
        stage.all_came_once();
        assert_eq!(stage.mended.len(), 1, "once");
    }
}

#[test]
fn an_old_position_that_is_right_goes_on_where_it_was() {
    let mut cursor = Cursor::begin(at(-HOUR), at(-HOUR), LOOKBACK);
    cursor.horizon = None;
    cursor.versions.extend([row(1, -10 * MINUTE)]);
    let mut stage = Stage::with(cursor, 0);
    stage.rows = vec![row(7, -2 * HOUR), row(1, -10 * MINUTE), row(2, -MINUTE)];
    assert_eq!(stage.poll(0, Some(0)), 1);
    assert_eq!((stage.came, stage.mended), (vec![row(2, -MINUTE)], vec![]));
    assert_eq!(stage.cursor.settled(), at(-MINUTE).minus(LOOKBACK));
}

/// The newest object is two hours old; then objects of that hour and newer ones appear.
#[test]
fn a_service_that_stands_still_settles_nothing_it_has_not_shown() {
    let mut stage = Stage::begin(DAY, 0);
    stage.top = 10;
    stage.rows = (0..20).map(|n| row(n, -DAY / 2 + i64::from(n as u32) * MINUTE)).chain([row(99, -2 * HOUR)]).collect();
    for n in 0..180 {
        let requests = stage.poll(n * MINUTE, Some(0));
        assert!(n < 2 || requests <= 2, "a tenant where nothing happens costs {requests} requests");
    }
    assert_eq!(stage.cursor.settled(), at(-2 * HOUR).minus(LOOKBACK));
    stage.rows.extend((0..40).map(|n| row(200 + n, -2 * HOUR - 14 * MINUTE + i64::from(n as u32) * 7 * MINUTE)));
    stage.poll(180 * MINUTE, Some(0));
    stage.all_came_once();
}

#[test]
fn an_input_that_never_received_anything_asks_for_all_at_once() {
    let mut stage = Stage::begin(30 * DAY, 0);
    assert_eq!(stage.poll(0, Some(0)), 2, "news, and all there is");
    for n in 1..50 {
        assert_eq!(stage.poll(n * HOUR, Some(0)), 1);
        assert_eq!(stage.cursor.settled(), at(-30 * DAY), "nothing is settled");
    }
    // It stood still from the beginning.
    stage.rows = (0..55).map(|n| row(n, -29 * DAY + i64::from(n as u32) * 13 * HOUR)).collect();
    for n in 50..54 {
        stage.poll(n * HOUR, Some(0));
    }
    stage.all_came_once();
    assert_eq!(stage.poll(54 * HOUR, Some(0)), 1);
}

#[test]
fn a_date_in_the_future_is_never_the_newest_even_when_it_has_passed() {
    let mut stage = Stage::begin(DAY, 0);
    stage.rows = vec![row(1, -HOUR), row(2, 2 * HOUR), row(3, 300 * DAY)];
    for n in 0..300 {
        stage.poll(n * MINUTE, Some(0));
    }
    assert_eq!(stage.cursor.settled(), at(-HOUR).minus(LOOKBACK), "the service has shown nothing since");
    stage.rows.push(row(4, 90 * MINUTE));
    stage.poll(300 * MINUTE, Some(0));
    stage.all_came_once();
}

/// A balancer's other half lags: it shows less than was shown before.
#[test]
fn a_stale_answer_settles_no_more_than_it_shows() {
    let mut stage = Stage::begin(0, 0);
    stage.rows = (0..120).map(|n| row(n, i64::from(n as u32) * MINUTE)).collect();
    let all = stage.rows.clone();
    stage.poll(120 * MINUTE, Some(0));
    // Late, within the look-back: the fresh half shows it, the stale one does not.
    let late = row(500, 119 * MINUTE + 1);
    for n in 0..20 {
        stage.rows = all[..60].to_vec();
        stage.poll((121 + n) * MINUTE, Some(0));
    }
    stage.rows = all;
    stage.rows.push(late);
    stage.poll(142 * MINUTE, Some(0));
    stage.all_came_once();
}

#[test]
fn a_catch_up_with_an_outage_leaves_no_gaps_and_asks_little_twice() {
    let mut stage = Stage::begin(0, 0);
    stage.rows = vec![row(0, 1000)];
    stage.poll(MINUTE, Some(0));
    stage.top = 100;
    stage.rows.extend((1..3000).map(|n| row(n, i64::from(n as u32) * MINUTE)));
    let requests = stage.poll(3000 * MINUTE, Some(0));
    assert!(requests <= 30 * 5 / 4, "{requests}");
    stage.all_came_once();
    assert_eq!((stage.cursor.history_left(), stage.poll(3001 * MINUTE, Some(0))), (Duration::ZERO, 1));
}

#[test]
fn times_at_the_ends_of_the_calendar_and_of_numbers_are_survived() {
    let ends = [Ticks(i64::MIN), Ticks::parse("0001-01-01T00:00:00Z").unwrap(), Ticks(0), at(0), Ticks(i64::MAX)];
    for start in ends {
        for machine in ends {
            for service in ends {
                let mut cursor = Cursor::begin(start, machine, LOOKBACK);
                for _ in 0..2 {
                    cursor.open_poll(LOOKBACK);
                    for _ in 0..20 {
                        let Some(ask) = cursor.next_ask() else { break };
                        let clocks = Clocks { service: Some(service), machine, exchange: Duration::from_secs(1) };
                        let _ = (cursor.hear(&clocks), clocks.disagree());
                        let rows: Vec<Version> =
                            ends.iter().enumerate().map(|(n, at)| Version { updated: *at, id: n as u64 }).collect();
                        let answer = Answer { rows: &rows, asked: 5, next_link: true, ordered: false, looked: clocks.looked() };
                        let batch = cursor.take(ask.clone(), &answer);
                        if cursor.commit(batch.proof) {
                            cursor.give_up(&ask);
                        }
                    }
                    cursor = serde_json::from_str(&serde_json::to_string(&cursor).unwrap()).unwrap();
                }
            }
        }
    }
}

#[test]
fn clocks_disagree_beyond_a_minute_and_the_exchange() {
    let clocks = |off: i64, exchange| Clocks { service: Some(at(off)), machine: at(0), exchange: Duration::from_secs(exchange) };
    assert_eq!(clocks(MINUTE, 0).disagree(), None);
    assert_eq!(clocks(-MINUTE - 1, 0).disagree(), Some(Duration::from_millis(60_001)));
    assert_eq!(clocks(-MINUTE - 1, 30).disagree(), None);
    assert_eq!(Clocks { service: None, ..clocks(0, 0) }.disagree(), None);
}

#[test]
fn what_was_set_aside_and_heals_is_news_again_where_the_service_has_shown_nothing_newer() {
    let mut stage = Stage::begin(HOUR, 0);
    stage.rows = vec![row(1, -30 * MINUTE), row(2, -20 * MINUTE)];
    stage.cursor.open_poll(LOOKBACK);
    let clocks = Clocks { service: Some(at(0)), machine: at(0), exchange: Duration::ZERO };
    let mut requests = 0;
    while let Some(ask) = stage.cursor.next_ask() {
        requests += 1;
        stage.cursor.hear(&clocks);
        if ask.window.holds(at(-20 * MINUTE)) {
            if stage.cursor.failed(&ask, at(0)) == Failed::Unsplittable {
                assert!(stage.cursor.give_up(&ask));
            }
            continue;
        }
        let rows: Vec<Version> = stage.rows.iter().filter(|row| ask.window.holds(row.updated)).copied().collect();
        let answer = Answer { rows: &rows, asked: 50, next_link: false, ordered: true, looked: clocks.looked() };
        let batch = stage.cursor.take(ask, &answer);
        stage.came.extend(batch.emit.iter().map(|n| rows[*n]));
        assert!(!stage.cursor.commit(batch.proof));
        assert!(requests < 200);
    }
    assert_eq!((stage.cursor.given_up().len(), stage.came.clone()), (1, vec![row(1, -30 * MINUTE)]));
    stage.poll(MINUTE, Some(0));
    stage.all_came_once();
    assert_eq!((stage.cursor.given_up().len(), stage.cursor.history_left()), (0, Duration::ZERO));
    assert_eq!(stage.cursor.settled(), at(-20 * MINUTE).minus(LOOKBACK));
}

#[test]
fn a_second_between_two_clocks_is_heeded_and_not_told() {
    for (ahead_ms, is_told) in [(1_002, Some(false)), (59_000, Some(false)), (61_000, Some(true)), (999, None)] {
        let machine = at(1_000_000);
        let mut cursor = Cursor::begin(machine.minus(REACH), machine, LOOKBACK);
        cursor.open_poll(LOOKBACK);
        let service = machine.minus(Duration::from_millis(ahead_ms));
        let clocks = Clocks { service: Some(service), machine, exchange: Duration::ZERO };
        assert_eq!(cursor.hear(&clocks).map(|mended| mended.is_told), is_told, "{ahead_ms} ms");
    }
}
