//! Blobs that could not be read while others could: where each was left, when it is tried again, and when that is over. Pure, as
//! [`super::cursor`] is. Hours may be finished without them; they are kept beside the ends of finished blobs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cursor::{Hour, Mark, Stretch};
use crate::microsoft::storage::Listed;
use crate::time::Ticks;

/// How many are kept for one input. More are not passed over: the hours of their container wait.
pub(super) const MOST: usize = 20_000;
/// How many are tried again in one poll; each costs a list of its own.
pub(super) const RETRIED: usize = 20;
/// How many are named in one poll. Those of more are counted.
pub(super) const NAMED: usize = 10;
/// The first wait behind the next poll; each is twice the one before.
const FIRST_WAIT: Duration = Duration::from_secs(300);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);
/// After so many tries, two months, it is given up. No clock says so: one that was wrong for a poll would.
const TRIES: u32 = 70;

/// One blob that is left aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Aside {
    /// Where it was left.
    mark: Mark,
    /// How often it was tried.
    tries: u32,
    /// When it is tried again, in ticks.
    next: i64,
    /// Whether it was told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    told: bool,
}

impl Aside {
    /// Of a blob that failed for the first time. The next poll tries again.
    pub(super) fn begin(mark: Mark, now: Ticks) -> Self {
        Self { mark, tries: 1, next: now.0, told: false }
    }

    /// It failed again. `None` when it is given up.
    pub(super) fn failed(&mut self, now: Ticks) -> Option<()> {
        self.tries = self.tries.saturating_add(1);
        let wait = FIRST_WAIT.saturating_mul(1 << (self.tries - 2).min(20)).min(LONGEST_WAIT);
        self.next = now.plus(wait).0;
        (self.tries < TRIES).then_some(())
    }

    /// Whether it is to be tried. A time too far ahead was written by a wrong clock.
    pub(super) fn is_due(&self, now: Ticks) -> bool {
        self.next <= now.0 || self.next > now.plus(LONGEST_WAIT).0
    }

    /// When it is tried again.
    pub(super) fn next(&self) -> Ticks {
        Ticks(self.next)
    }

    /// Whether it is time to tell of it, which is then done: at once where its kind does not pass, else when it failed twice.
    pub(super) fn is_to_be_told(&mut self, is_lasting: bool) -> bool {
        let now = !self.told && (is_lasting || self.tries > 1);
        self.told |= now;
        now
    }

    /// Whether it was told.
    pub(super) fn is_told(&self) -> bool {
        self.told
    }

    /// Where it is left.
    pub(super) fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Remembers that it is in events up to `offset`.
    pub(super) fn read(&mut self, offset: u64, looked: u64) {
        self.mark.read(offset, looked);
    }

    /// What is to be read of it as it is listed now; from its beginning when it was made anew. The end is told where that is so.
    pub(super) fn stretch(&mut self, blob: &Listed, is_last: bool) -> (Stretch, Option<u64>) {
        let anew = self.mark.renew(blob).then_some(self.mark.offset);
        if anew.is_some() {
            self.mark = Mark::fresh(self.mark.hour, blob);
        }
        (Stretch::of(blob, &self.mark, is_last), anew)
    }

    /// It as it was listed, as far as that is known still.
    pub(super) fn listed(&self, name: &str) -> Listed {
        Listed { name: name.to_owned(), size: self.mark.offset, created: self.mark.created(), ..Listed::default() }
    }

    /// Its hour.
    pub(super) fn hour(&self) -> Hour {
        self.mark.hour
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(text: &str) -> Ticks {
        Ticks::parse(text).unwrap()
    }

    #[test]
    fn it_is_tried_again_and_again_more_and_more_rarely_and_not_for_ever() {
        let begun = at("2026-11-22T12:00:00Z");
        let mut aside = Aside::begin(Mark::fresh(Hour(7), &Listed::default()), begun);
        assert!(aside.is_due(begun), "the next poll tries again");
        let (mut now, mut waits) = (begun.plus(Duration::from_secs(60)), Vec::new());
        while aside.failed(now).is_some() {
            waits.push(aside.next().since(now).as_secs());
            now = aside.next();
            assert!(aside.is_due(now) && !aside.is_due(now.minus(Duration::from_secs(1))) && waits.len() < 200);
        }
        assert_eq!(waits[..10], [300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 76_800, 86_400]);
        assert!(waits.len() == 68 && waits[10..].iter().all(|wait| *wait == 86_400), "{waits:?}");
        // What a clock a year ahead wrote is no reason to wait a year.
        aside.next = begun.plus(Duration::from_secs(365 * 86_400)).0;
        assert!(aside.is_due(begun));
    }

    #[test]
    fn it_is_told_once() {
        let begun = at("2026-11-22T12:00:00Z");
        let new = || Aside::begin(Mark::fresh(Hour(7), &Listed::default()), begun);
        let mut lasting = new();
        assert_eq!([lasting.is_to_be_told(true), lasting.is_to_be_told(true)], [true, false]);
        let mut passing = new();
        assert!(!passing.is_to_be_told(false));
        passing.failed(begun);
        assert_eq!([passing.is_to_be_told(false), passing.is_to_be_told(false)], [true, false]);
        let kept: Aside = serde_json::from_str(&serde_json::to_string(&passing).unwrap()).unwrap();
        assert_eq!(kept, passing);
    }
}
