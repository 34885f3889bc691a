use super::*;
use crate::cursor::{Aim, Answer, Version};

const LOOKBACK: Duration = Duration::from_secs(900);
const DAY: Duration = Duration::from_secs(86_400);

fn now() -> Ticks {
    Ticks(20_000 * FIRST_WIDTH)
}

/// A poll against a service that refuses every request reaching below `kept` and has one object, which is new.
fn poll(cursor: &mut Cursor, kept: Ticks) -> (Vec<Window>, Option<Window>) {
    let (mut dropped, mut failed) = (Vec::new(), None);
    cursor.open_poll(LOOKBACK);
    let rows = [Version { updated: now().minus(Duration::from_secs(1)), id: 1 }];
    while let Some(ask) = cursor.next_ask() {
        if ask.window.lo < kept {
            match cursor.refused(&ask, now()) {
                Refused::Divided => {}
                Refused::Dropped(window) => dropped.push(window),
                Refused::NotForItsAge => {
                    failed = Some(ask.window);
                    break;
                }
            }
            continue;
        }
        let held: Vec<Version> = rows.into_iter().filter(|row| ask.window.holds(row.updated)).collect();
        let answer = Answer { rows: &held, asked: 100, next_link: false, ordered: true, looked: Some(now()) };
        let proof = cursor.take(ask, &answer).proof;
        cursor.commit(proof);
    }
    (dropped, failed)
}

#[test]
fn what_is_older_than_the_service_keeps_is_given_up_to_the_hour() {
    for kept_days in [1, 3, 30, 89] {
        let kept = now().minus(DAY * kept_days).plus(Duration::from_secs(1234));
        let mut cursor = Cursor::begin(now().minus(DAY * 90), now(), LOOKBACK);
        let (dropped, failed) = poll(&mut cursor, kept);
        assert_eq!(failed, None, "{kept_days} days");
        let newest = dropped.iter().filter_map(|window| window.hi).max().unwrap_or(kept);
        assert!(kept <= newest && newest < kept.plus(SHORTEST), "{kept_days} days: {newest} for {kept}");
        assert_eq!(cursor.history_left(), Duration::ZERO, "{kept_days} days: the rest was read, and nothing is asked again");
        let (again, failed) = poll(&mut cursor, kept);
        assert_eq!((again, failed), (Vec::new(), None), "{kept_days} days");
    }
}

#[test]
fn a_service_that_refuses_everything_costs_nothing() {
    let mut cursor = Cursor::begin(now().minus(DAY * 90), now(), LOOKBACK);
    let before = (cursor.settled(), cursor.history_left());
    let (dropped, failed) = poll(&mut cursor, now().plus(DAY));
    assert_eq!(dropped, []);
    assert!(failed.is_some_and(|window| now().since(window.lo) <= SHORTEST), "the newest hour is never too old: {failed:?}");
    assert_eq!((cursor.settled(), cursor.history_left()), before);
}

#[test]
fn nothing_is_given_up_unless_a_newer_range_was_answered() {
    let mut cursor = Cursor::begin(now().minus(DAY * 90), now(), LOOKBACK);
    cursor.open_poll(LOOKBACK);
    let old = Ask::new(Window::between(now().minus(DAY * 90), now().minus(DAY * 89)), Aim::BackFill);
    for _ in 0..20 {
        assert_eq!(cursor.refused(&old, now()), Refused::Divided);
    }
    let hour = Ask::new(Window::between(now().minus(DAY * 90), now().minus(DAY * 90).plus(SHORTEST)), Aim::BackFill);
    assert_eq!(cursor.refused(&hour, now()), Refused::Divided);
    assert_eq!(cursor.history_left(), DAY * 90 - LOOKBACK - Duration::from_secs(60));
}
