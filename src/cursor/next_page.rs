//! Next pages that are none. Some services name a next page behind every page that holds a row, and it is empty; some name one
//! behind an empty page. A page that is shorter than asked for and names another is therefore looked behind once:
//!
//! - rows there: it is an ordinary short page, and no further one of this poll that has as many rows is looked behind, but for
//!   those of one millisecond, which cannot be divided;
//! - no row there, and no further page named: then the first page is read again. Where it holds the same versions as before,
//!   it held them in between as well (a version that leaves a set never comes back), so what lay behind it was nothing, and it
//!   was whole;
//! - no row there, and yet another page is named: nothing is known of what is missing, so nothing of it is settled.
//!
//! A page may hold rows that were not asked for, so what is behind it begins with its last row, where it has several.

use std::collections::BTreeSet;

use crate::planted::{Planted, planted};

use super::{Answer, Ask, Cursor, Proof, Ticks, Version, Window};

/// How often a page is read anew because it changed while it was looked behind.
const MAX_ROUNDS: u8 = 5;

/// A page that was looked behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Behind {
    rows: Vec<Version>,
    looked: Option<Ticks>,
    ordered: bool,
    asked: u32,
    /// Rows that were stepped over to reach it.
    skip: u32,
    next: Next,
    round: u8,
}

/// What the request reads that was sent last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The page's last row, and what is behind it.
    Last,
    /// What is behind its last row.
    Behind,
    /// The page again, since there was nothing.
    Again,
    /// The page anew, since it changed.
    Anew,
}

/// What is known of this service's next pages, in one poll.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum NextPages {
    /// Nothing, or that some are empty.
    #[default]
    Unknown,
    /// They hold rows, behind pages of so many rows or more; smaller ones are still looked behind.
    Real(usize),
    /// An empty page named one.
    Endless,
}

impl NextPages {
    /// What is known once there were rows behind a page of so many.
    fn real_behind(self, rows: usize) -> Self {
        Self::Real(if let Self::Real(least) = self { least.min(rows) } else { rows })
    }
}

impl Cursor {
    /// Whether this answer is a page that is looked behind, and what comes of it. `false` leaves it to the usual rules.
    pub(super) fn look_behind(&self, proof: &mut Proof, answer: &Answer<'_>) -> bool {
        let behind = proof.ask.behind.take();
        if answer.next_link && answer.rows.is_empty() {
            // Where the page before it was looked behind, its own rows may still show an order.
            proof.next_pages = Some(NextPages::Endless);
            if let Some(page) = behind {
                self.judge_page(proof, &page, true);
            } else {
                proof.unproven = true;
            }
            return true;
        }
        let Some(page) = behind else { return self.begin_look(proof, answer, 0) };
        match (page.next, answer.rows) {
            (Next::Last, []) => self.go_on(proof, *page, Next::Anew),
            (Next::Last, [last]) if page.rows.last() == Some(last) => {
                let next = if answer.next_link { Next::Behind } else { Next::Again };
                self.go_on(proof, *page, next)
            }
            (Next::Behind, []) if planted(Planted::EmptyPageProves) => {
                proof.since = page.looked.or(self.poll.latest);
                proof.proven = Some(proof.ask.window);
                true
            }
            (Next::Behind, []) => self.go_on(proof, *page, Next::Again),
            (Next::Last | Next::Behind, _) => {
                proof.next_pages = Some(self.poll.next_pages.real_behind(page.rows.len()));
                self.judge_page(proof, &page, false);
                true
            }
            (Next::Again, rows) if same(rows, &page.rows) => {
                proof.since = page.looked.or(self.poll.latest);
                self.judge_whole(proof, answer, false);
                true
            }
            (Next::Again | Next::Anew, _) => self.begin_look(proof, answer, page.round + 1),
        }
    }

    /// Asks for what is to be read next of a page.
    fn go_on(&self, proof: &mut Proof, page: Behind, next: Next) -> bool {
        let ahead = match next {
            Next::Last => page.rows_inside(proof.ask.window).saturating_sub(1),
            Next::Behind => page.rows_inside(proof.ask.window),
            Next::Again | Next::Anew => 0,
        };
        let behind = Some(Box::new(Behind { next, ..page }));
        let skip = behind.as_ref().map_or(0, |page| page.skip).saturating_add(ahead);
        proof.next.push(Ask { skip, behind, ..proof.ask.clone() });
        true
    }

    /// The service refuses to say what is behind a page: then nothing is known of its next pages. `false` when the request was
    /// for something else.
    pub fn cannot_look_behind(&mut self, ask: &Ask) -> bool {
        let mut ask = ask.clone();
        let Some(page) = ask.behind.take() else { return false };
        let mut proof = Proof::of(ask, BTreeSet::new(), None);
        proof.next_pages = Some(NextPages::Endless);
        self.judge_page(&mut proof, &page, true);
        self.commit(proof);
        true
    }

    /// Asks what is behind a page that is short and names another.
    fn begin_look(&self, proof: &mut Proof, answer: &Answer<'_>, round: u8) -> bool {
        let rows = answer.rows.len();
        let is_real = !proof.ask.is_one_millisecond() && matches!(self.poll.next_pages, NextPages::Real(least) if rows >= least);
        if !answer.next_link || rows >= answer.asked as usize || is_real {
            return false;
        }
        let page = Behind::of(answer, proof.ask.skip, round);
        if self.poll.next_pages == NextPages::Endless || round > MAX_ROUNDS {
            self.judge_page(proof, &page, true);
            return true;
        }
        let holds_on = page.rows_inside(proof.ask.window) > 1 && !planted(Planted::EmptyPageProves);
        let next = if holds_on { Next::Last } else { Next::Behind };
        self.go_on(proof, page, next)
    }

    /// Judges a page by the usual rules. With `is_endless`, only its order can prove something: smaller windows would name next
    /// pages as well.
    fn judge_page(&self, proof: &mut Proof, page: &Behind, is_endless: bool) {
        proof.ask.skip = page.skip;
        proof.since = page.looked.or(self.poll.latest);
        let answer = Answer { rows: &page.rows, asked: page.asked, next_link: true, ordered: page.ordered, looked: page.looked };
        if is_endless && super::ordered_part(proof.ask.window, &answer).is_none() {
            proof.unproven = true;
        } else {
            self.judge_whole(proof, &answer, true);
        }
    }
}

impl Behind {
    fn of(answer: &Answer<'_>, skip: u32, round: u8) -> Self {
        let &Answer { asked, ordered, looked, .. } = answer;
        Self { rows: answer.rows.to_vec(), looked, ordered, asked, skip, next: Next::Anew, round }
    }

    /// How many objects of the window it holds: copies and rows that were not asked for do not count.
    fn rows_inside(&self, window: Window) -> u32 {
        let ids: BTreeSet<u64> = self.rows.iter().filter(|row| window.holds(row.updated)).map(|row| row.id).collect();
        u32::try_from(ids.len()).unwrap_or(u32::MAX)
    }
}

/// Whether two pages hold the same versions, in whatever order.
fn same(one: &[Version], other: &[Version]) -> bool {
    let sorted = |rows: &[Version]| {
        let mut rows = rows.to_vec();
        rows.sort_unstable();
        rows
    };
    one.len() == other.len() && sorted(one) == sorted(other)
}

#[cfg(test)]
#[path = "next_page_tests.rs"]
mod tests;
