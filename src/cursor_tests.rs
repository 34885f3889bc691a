//! The cursor against schedules that lose data elsewhere, and against a small model of a moving set.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const LOOKBACK: Duration = Duration::from_secs(900);

fn ms(n: i64) -> Ticks {
    Ticks(n * PER_MS)
}

fn row(id: u64, at: Ticks) -> Version {
    Version { updated: at, id }
}

/// One hour in milliseconds: far more than the look-back.
const HOUR: i64 = 3_600_000;

fn answer(rows: &[Version], asked: u32, ordered: bool, now: Ticks) -> Answer<'_> {
    Answer { rows, asked, next_link: false, ordered, looked: Some(now) }
}

/// Commits and says which rows were to be emitted.
fn feed(cursor: &mut Cursor, ask: Ask, answer: &Answer<'_>) -> Vec<usize> {
    let batch = cursor.take(ask, answer);
    assert!(!cursor.commit(batch.proof));
    batch.emit
}

#[test]
fn the_first_poll_reads_news_before_history() {
    let now = ms(100 * 24 * HOUR);
    let mut cursor = Cursor::begin(now.minus(Duration::from_secs(30 * 86_400)), now, LOOKBACK);
    cursor.open_poll(LOOKBACK);
    let head = cursor.next_ask().unwrap();
    assert_eq!((head.aim, head.window), (Aim::Head, Window { lo: now.minus(LOOKBACK + CLOCK_SPREAD), hi: None }));
    assert_eq!(cursor.next_ask(), None, "history waits for the service's clock");
    feed(&mut cursor, head, &answer(&[row(1, now)], 10, true, now));
    let history = cursor.next_ask().unwrap();
    let edge = now.minus(LOOKBACK + CLOCK_SPREAD);
    assert_eq!(history.window, Window::between(edge.minus(Duration::from_secs(86_400)), edge));
    feed(&mut cursor, history, &answer(&[], 10, true, now));
    let wider = cursor.next_ask().unwrap();
    assert_eq!(
        wider.window.hi.unwrap().since(wider.window.lo),
        Duration::from_secs(4 * 86_400),
        "an empty window widens the next"
    );
}

/// Found by a fuzz target: rows without a time count as later than all, and a full page of them was chased to the end of time.
#[test]
fn rows_beyond_all_time_lie_in_no_window() {
    let now = ms(100 * HOUR);
    let mut cursor = Cursor::begin(now, now, LOOKBACK);
    let (dated, undated) = (row(1, ms(100 * HOUR + 5)), row(2, Ticks(i64::MAX)));
    cursor.open_poll(LOOKBACK);
    let mut emitted = Vec::new();
    for _ in 0..50 {
        let Some(ask) = cursor.next_ask() else { break };
        assert!(ask.window.lo <= LAST, "{:?}", ask.window);
        let all = if ask.window.holds(dated.updated) { vec![dated, undated] } else { vec![undated] };
        let rows = &all[all.len().min(ask.skip as usize)..];
        emitted.extend(feed(&mut cursor, ask, &answer(rows, 2, true, now)).into_iter().map(|n| rows[n]));
    }
    assert_eq!(cursor.next_ask(), None, "it comes to an end");
    assert_eq!(emitted, [dated, undated]);
}

#[test]
fn what_is_younger_than_the_lookback_is_read_again_and_not_repeated() {
    let now = ms(100 * HOUR);
    let mut cursor = Cursor::begin(now, now, LOOKBACK);
    let rows = [row(1, ms(100 * HOUR + 5))];
    for poll in 0..3 {
        cursor.open_poll(LOOKBACK);
        let ask = cursor.next_ask().unwrap();
        let emitted = feed(&mut cursor, ask, &answer(&rows, 10, true, ms(100 * HOUR + 60_000 * (poll + 1))));
        assert_eq!(emitted.len(), usize::from(poll == 0));
        assert_eq!(cursor.settled(), now);
    }
    cursor.open_poll(LOOKBACK);
    let ask = cursor.next_ask().unwrap();
    feed(&mut cursor, ask, &answer(&[rows[0], row(2, ms(101 * HOUR))], 10, true, ms(101 * HOUR)));
    assert_eq!(cursor.settled(), ms(101 * HOUR).minus(LOOKBACK));
    assert_eq!(cursor.remembered(), 1, "below the settled point nothing is asked again, so nothing is remembered");
}

#[test]
fn ties_across_a_page_edge_are_read_whole() {
    let now = ms(100 * HOUR);
    let mut cursor = Cursor::begin(ms(90 * HOUR), now, Duration::ZERO);
    cursor.open_poll(Duration::ZERO);
    let head = cursor.next_ask().unwrap();
    feed(&mut cursor, head, &answer(&[], 3, true, now));
    let ask = cursor.next_ask().unwrap();
    let t = ms(95 * HOUR);
    let page = [row(1, ms(94 * HOUR)), row(2, t), row(3, t)];
    assert_eq!(feed(&mut cursor, ask, &answer(&page, 3, true, now)), [0, 1, 2]);
    let ask = cursor.next_ask().unwrap();
    assert_eq!(ask.window.lo, t, "the tied millisecond is asked again, inclusively");
    assert_eq!(feed(&mut cursor, ask, &answer(&[row(2, t), row(4, t)], 3, true, now)), [1]);
}

#[test]
fn order_is_believed_only_when_the_rows_show_it() {
    let window = Window { lo: ms(0), hi: None };
    let judge = |rows: &[Version], ordered| ordered_part(window, &answer(rows, 2, ordered, ms(9)));
    let rising = [row(1, ms(1)), row(2, ms(5))];
    assert_eq!(judge(&rising, true), Some(Window::between(ms(0), ms(5))));
    assert_eq!(judge(&rising, false), None, "the service refused the order");
    assert_eq!(judge(&[rising[1], rising[0]], true), None, "descending");
    assert_eq!(judge(&[rising[0]], true), None, "one row shows nothing");
    assert_eq!(judge(&[row(1, ms(5)), row(2, ms(5))], true), None, "one time shows nothing");
    assert_eq!(judge(&[row(1, ms(-3)), row(2, ms(5))], true), None, "a row below the window");
}

#[test]
fn a_full_unordered_answer_splits_the_window_and_fewer_rows_with_a_next_link_prove_nothing() {
    let now = ms(100 * HOUR);
    let mut cursor = Cursor::begin(now, now, LOOKBACK);
    cursor.open_poll(LOOKBACK);
    let ask = cursor.next_ask().unwrap();
    let rows = [row(3, ms(102 * HOUR)), row(2, ms(100 * HOUR + 20))];
    let short = Answer { next_link: true, ..answer(&rows, 10, false, ms(102 * HOUR)) };
    assert_eq!(feed(&mut cursor, ask, &short), [0, 1]);
    assert_eq!(cursor.settled(), now);
    // What is behind the page begins with its last row, which is not there: it was an ordinary short page.
    let behind = cursor.next_ask().unwrap();
    assert_eq!((behind.window, behind.skip), (Window { lo: now, hi: None }, 1));
    assert_eq!(feed(&mut cursor, behind, &answer(&[row(1, ms(100 * HOUR + 10))], 10, false, ms(102 * HOUR))), [0]);
    let newer = cursor.next_ask().unwrap();
    assert_eq!(newer.window, Window { lo: ms(100 * HOUR + 21), hi: None });
    // The newest part is proven, and what is between it and the point before becomes history.
    feed(&mut cursor, newer, &answer(&rows[..1], 10, false, ms(102 * HOUR)));
    assert_eq!(cursor.settled(), ms(102 * HOUR).minus(LOOKBACK));
    assert_eq!(cursor.history_left(), Duration::from_millis(21));
    let older = cursor.next_ask().unwrap();
    assert_eq!(older.window, Window::between(now, ms(100 * HOUR + 21)));
    let again = feed(&mut cursor, older, &answer(&rows[1..], 10, false, ms(102 * HOUR)));
    assert_eq!(again, [0; 0], "its rows were emitted by the answer that proved nothing, and are remembered");
    assert_eq!(cursor.history_left(), Duration::ZERO);
}

#[test]
fn one_time_stamp_with_more_rows_than_a_page_is_stepped_through() {
    let now = ms(100 * HOUR);
    let t = ms(99 * HOUR);
    let all: Vec<Version> = (0..7).map(|id| row(id, t)).collect();
    let mut cursor = Cursor::begin(ms(90 * HOUR), now, Duration::ZERO);
    cursor.open_poll(Duration::ZERO);
    let head = cursor.next_ask().unwrap();
    feed(&mut cursor, head, &answer(&[], 3, false, now));
    let (mut emitted, mut requests, mut skips) = (0, 0, Vec::new());
    while let Some(ask) = cursor.next_ask() {
        let inside: Vec<Version> = all.iter().filter(|row| ask.window.holds(row.updated)).copied().collect();
        let page: Vec<Version> = inside.into_iter().skip(ask.skip as usize).take(3).collect();
        skips.push(ask.skip);
        emitted += feed(&mut cursor, ask, &answer(&page, 3, false, now)).len();
        requests += 1;
        assert!(requests < 50);
    }
    assert_eq!(emitted, 7);
    assert!(skips.contains(&2) && skips.contains(&4), "each step shares a row with the one before: {skips:?}");
    assert_eq!(cursor.history_left(), Duration::ZERO);
}

#[test]
fn stepping_begins_again_when_a_row_leaves() {
    let now = ms(100 * HOUR);
    let window = Window::between(ms(5), ms(6));
    let mut cursor = Cursor::begin(ms(0), now, LOOKBACK);
    cursor.open_poll(LOOKBACK);
    let rows: Vec<Version> = (0..4).map(|id| row(id, ms(5))).collect();
    let batch = cursor.take(Ask::new(window, Aim::BackFillPart), &answer(&rows[..3], 3, false, now));
    let _ = cursor.commit(batch.proof);
    let step = cursor.next_ask().unwrap();
    assert_eq!(step.skip, 2);
    // Row 0 was changed meanwhile, so the page begins one row later: row 3, which $skip alone would call the end.
    let batch = cursor.take(step, &answer(&rows[3..], 3, false, now));
    assert_eq!((batch.emit.len(), batch.proof.proven), (1, None));
    let _ = cursor.commit(batch.proof);
    let again = cursor.next_ask().unwrap();
    assert_eq!(again.skip, 0);
    // All rows were emitted before; nothing comes twice, and now the pages meet.
    assert_eq!(feed(&mut cursor, again, &answer(&rows[1..], 3, false, now)), [0; 0]);
    let end = cursor.next_ask().unwrap();
    assert_eq!(end.skip, 2);
    let batch = cursor.take(end, &answer(&rows[3..], 3, false, now));
    assert_eq!(batch.proof.proven, Some(window));
}

#[test]
fn a_failing_window_is_halved_until_a_millisecond_is_left_then_set_aside() {
    let now = ms(100 * HOUR);
    let mut cursor = Cursor::begin(now, now, LOOKBACK);
    cursor.open_poll(LOOKBACK);
    let head = cursor.next_ask().unwrap();
    feed(&mut cursor, head, &answer(&[row(1, ms(102 * HOUR))], 3, false, ms(102 * HOUR)));
    cursor.open_poll(LOOKBACK);
    let newest = row(2, ms(103 * HOUR));
    let poison = ms(101 * HOUR + 50 * 60_000 + 7);
    let (mut requests, mut set_aside) = (0, None);
    while let Some(ask) = cursor.next_ask() {
        requests += 1;
        assert!(requests < 200);
        if !ask.window.holds(poison) {
            let rows = if ask.window.holds(newest.updated) { vec![newest] } else { vec![] };
            feed(&mut cursor, ask, &answer(&rows, 3, false, ms(103 * HOUR)));
        } else if cursor.failed(&ask, ms(103 * HOUR)) == Failed::Unsplittable {
            assert!(cursor.give_up(&ask));
            set_aside = Some(ask.window);
        }
    }
    assert_eq!(set_aside, Some(Window::between(poison, ms(101 * HOUR + 50 * 60_000 + 8))));
    assert_eq!(cursor.settled(), ms(103 * HOUR).minus(LOOKBACK), "the input goes on");
    cursor.open_poll(LOOKBACK);
    let head = cursor.next_ask().unwrap();
    feed(&mut cursor, head, &answer(&[], 3, false, ms(103 * HOUR)));
    let again = cursor.next_ask().unwrap();
    assert_eq!(again.aim, Aim::Retry);
    let rows = [row(9, poison)];
    assert_eq!(feed(&mut cursor, again, &answer(&rows, 3, false, ms(103 * HOUR))), [0]);
    assert!(cursor.given_up().is_empty());
}

#[test]
fn a_checkpoint_keeps_the_history_that_is_left() {
    let now = ms(1000 * HOUR);
    let mut cursor = Cursor::begin(ms(0), now, LOOKBACK);
    cursor.open_poll(LOOKBACK);
    for _ in 0..3 {
        let ask = cursor.next_ask().unwrap();
        feed(&mut cursor, ask, &answer(&[row(1, ms(1000 * HOUR))], 100, true, now));
    }
    let text = serde_json::to_string(&cursor).unwrap();
    let back: Cursor = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), text);
    assert_eq!(back.history_left(), cursor.history_left());
    assert!(back.history_left() < Duration::from_secs(1000 * 3600));
    assert!(text.contains("\"settled\":\"1970-02-11"), "a person can read it: {text}");
}

/// One object's life in the model: each version becomes visible a little after its time.
#[derive(Clone, Debug)]
struct Change {
    id: u64,
    /// Milliseconds after the start of the world.
    at: i64,
    late: i64,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = (0..40u64, 0..2_000i64, 0..100i64).prop_map(|(id, at, late)| Change { id, at: at / 7 * 7, late });
    proptest::collection::vec(change, 0..120)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    Ascending,
    NewestFirst,
    ById,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    /// Changes happen between requests, some seen late by up to the look-back, the process restarts between polls. Every
    /// object's last version comes out, and no version twice.
    #[test]
    fn nothing_lost_nothing_twice(changes in changes(), top in 2u32..6, start in 0i64..1500, order in prop_oneof![
        Just(Order::Ascending), Just(Order::NewestFirst), Just(Order::ById)
    ], pace in 1i64..40) {
        let lookback = Duration::from_millis(100);
        // The model's clock, ms; every request takes a while, in which the set changes.
        let mut clock = 1_000i64;
        let mut cursor = Cursor::begin(ms(start.min(clock)), ms(clock), lookback);
        let mut emitted: Vec<Version> = Vec::new();
        let visible = |clock: i64| -> Vec<Version> {
            let mut last: std::collections::BTreeMap<u64, i64> = Default::default();
            for change in changes.iter().filter(|change| change.at + change.late <= clock) {
                let at = last.entry(change.id).or_insert(change.at);
                *at = (*at).max(change.at);
            }
            last.into_iter().map(|(id, at)| row(id, ms(at))).collect()
        };
        for poll in 0..200 {
            cursor = serde_json::from_str(&serde_json::to_string(&cursor).unwrap()).unwrap();
            cursor.open_poll(lookback);
            for _ in 0..30 {
                let Some(ask) = cursor.next_ask() else { break };
                clock += pace;
                let mut rows: Vec<Version> = visible(clock).into_iter().filter(|row| ask.window.holds(row.updated)).collect();
                match order {
                    Order::Ascending => rows.sort_by_key(|row| row.updated),
                    Order::NewestFirst => rows.sort_by_key(|row| std::cmp::Reverse(row.updated)),
                    Order::ById => {}
                }
                let page: Vec<Version> = rows.into_iter().skip(ask.skip as usize).take(top as usize).collect();
                let batch = cursor.take(ask, &answer(&page, top, order == Order::Ascending, ms(clock)));
                emitted.extend(batch.emit.iter().map(|n| page[*n]));
                let _ = cursor.commit(batch.proof);
            }
            clock += 50;
            if clock > 3_000 && poll > 20 && cursor.history_left().is_zero() {
                break;
            }
        }
        for row in visible(clock).into_iter().filter(|row| row.updated >= ms(start.min(1_000))) {
            prop_assert!(emitted.contains(&row), "lost {row:?}");
        }
        let unique: BTreeSet<Version> = emitted.iter().copied().collect();
        prop_assert_eq!(unique.len(), emitted.len(), "a version came twice");
    }
}
