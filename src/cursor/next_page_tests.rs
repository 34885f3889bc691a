use std::time::Duration;

use super::*;
use crate::cursor::Aim;
use crate::time::PER_SECOND;

const LOOKBACK: Duration = Duration::from_secs(900);
/// Rows that are asked for.
const ASKED: u32 = 100;

fn at(second: i64) -> Ticks {
    Ticks((1_000_000_000 + second) * PER_SECOND)
}

fn row(id: u64, second: i64) -> Version {
    Version { updated: at(second), id }
}

/// A cursor whose news begin at second 0, with its first request.
fn begun() -> (Cursor, Ask) {
    let mut cursor = Cursor::begin(at(0), at(0), LOOKBACK);
    cursor.open_poll(LOOKBACK);
    let ask = cursor.next_ask().unwrap_or_else(|| panic!("news are asked for"));
    (cursor, ask)
}

/// Takes an answer, looked at second 5000, and gives the next request.
fn take(cursor: &mut Cursor, ask: Ask, rows: &[Version], next_link: bool) -> Option<Ask> {
    let answer = Answer { rows, asked: ASKED, next_link, ordered: false, looked: Some(at(5_000)) };
    let proof = cursor.take(ask, &answer).proof;
    assert!(!cursor.commit(proof), "nothing is stuck");
    cursor.next_ask()
}

fn ask(next: Option<Ask>) -> Ask {
    next.unwrap_or_else(|| panic!("another request"))
}

#[test]
fn a_next_page_that_is_empty_is_looked_at_and_the_page_read_again() {
    let (mut cursor, first) = begun();
    let page = [row(1, 4_000), row(2, 3_000), row(3, 2_000)];
    let last = ask(take(&mut cursor, first, &page, true));
    assert_eq!(last.skip, 2, "its last row, and what is behind it");
    let behind = ask(take(&mut cursor, last, &page[2..], true));
    assert_eq!(behind.skip, 3);
    let again = ask(take(&mut cursor, behind, &[], false));
    assert_eq!((again.skip, again.aim), (0, Aim::Head));
    assert_eq!(take(&mut cursor, again, &page, true), None);
    assert_eq!(cursor.settled(), at(4_000).minus(LOOKBACK), "all of it was read");
    assert_eq!(cursor.unproven(), 0);
}

#[test]
fn a_page_that_changed_while_it_was_looked_behind_is_read_anew() {
    let (mut cursor, first) = begun();
    let page = [row(1, 4_000), row(2, 3_000)];
    let changed = [row(1, 4_900), row(3, 3_500), row(2, 3_000)];
    let last = ask(take(&mut cursor, first, &page, true));
    let again = ask(take(&mut cursor, last, &page[1..], false));
    assert_eq!(again.skip, 0);
    let last = ask(take(&mut cursor, again, &changed, true));
    assert_eq!(cursor.settled(), at(0), "nothing is proven before two looks agree");
    let again = ask(take(&mut cursor, last, &changed[2..], false));
    take(&mut cursor, again, &changed, true);
    assert_eq!(cursor.settled(), at(4_900).minus(LOOKBACK));
}

#[test]
fn a_service_whose_pages_never_end_settles_nothing_and_sets_nothing_aside() {
    let (mut cursor, first) = begun();
    let last = ask(take(&mut cursor, first, &[row(1, 4_000), row(2, 3_000)], true));
    let behind = ask(take(&mut cursor, last, &[row(2, 3_000)], true));
    assert_eq!(take(&mut cursor, behind, &[], true), None, "it is not asked for more and more");
    assert_eq!((cursor.settled(), cursor.unproven(), cursor.given_up().len()), (at(0), 1, 0));
}

#[test]
fn a_refused_look_behind_a_page_proves_nothing() {
    let (mut cursor, first) = begun();
    assert!(!cursor.cannot_look_behind(&first));
    let last = ask(take(&mut cursor, first, &[row(1, 4_000), row(2, 3_000)], true));
    assert!(cursor.cannot_look_behind(&last));
    assert_eq!(cursor.next_ask(), None);
    assert_eq!((cursor.settled(), cursor.unproven()), (at(0), 1));
}

/// A service that sends two rows at most and names a next page behind every page that holds any.
#[test]
fn short_pages_and_empty_next_pages_together_are_read_to_the_end() {
    let all: Vec<Version> = (0..40).map(|n| row(n, 1_000 + 97 * i64::try_from(n).unwrap_or(0))).collect();
    let (mut cursor, first) = begun();
    let (mut next, mut came, mut requests) = (Some(first), BTreeSet::new(), 0);
    while let Some(ask) = next {
        requests += 1;
        assert!(requests < 400, "it comes to an end");
        let newest_first = all.iter().rev().filter(|row| ask.window.holds(row.updated));
        let rows: Vec<Version> = newest_first.skip(ask.skip as usize).take(2).copied().collect();
        came.extend(rows.iter().copied());
        let names_another = !rows.is_empty();
        next = take(&mut cursor, ask, &rows, names_another);
    }
    assert_eq!(came.len(), all.len());
    assert_eq!(cursor.settled(), all[39].updated.minus(LOOKBACK));
    assert_eq!((cursor.unproven(), cursor.given_up().len()), (0, 0));
}
