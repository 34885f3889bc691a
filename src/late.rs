//! The late look, as far as it is neither a request nor a file: once a day what was updated in the last two days is read again,
//! for an object may become visible later than any `lookback` allows. What was emitted meanwhile is known from a memory of
//! its own ([`mod@file`]), which grows by what each answer brought and is not rewritten with the position.
//!
//! The memory vouches for a stretch of update time only: what is older than its beginning may have been emitted before it
//! began, and is not looked at. A memory that is missing or damaged therefore repeats nothing; it only sees less for two days.

pub mod file;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cursor::{Cursor, ticks, ticks_option};
use crate::time::Ticks;
use crate::version::Version;

/// How far below the settled point a look reads.
pub const REACH: Duration = Duration::from_secs(48 * 3600);
/// How far below the settled point the memory reaches: a little more, for the settled point moves while a look is under way.
pub const KEPT: Duration = Duration::from_secs(72 * 3600);
/// From the beginning of one look to that of the next.
const EVERY: Duration = Duration::from_secs(24 * 3600);
/// A look that failed goes on after this.
const AFTER_FAILURE: Duration = Duration::from_secs(3600);
/// Versions that are remembered, 16 bytes each: two days of a large tenant.
pub const CAPACITY: u64 = 400_000;

/// What a position says of the late look.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Late {
    /// The memory; `None` when there is none that could be vouched for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// When the last look that ended had begun, or the memory: one that took a day has not seen what came late meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "ticks_option")]
    pub looked: Option<Ticks>,
    /// When the look under way failed last.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "ticks_option")]
    pub failed: Option<Ticks>,
    /// The look under way: it may take several polls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub look: Option<Look>,
}

/// Which memory belongs to the position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Its name, which is in the file as well.
    pub name: u64,
    /// Versions it held when the position was saved. A file with fewer has lost some.
    pub records: u64,
    /// Every version from this update time on that was emitted is in it.
    #[serde(with = "ticks")]
    pub since: Ticks,
}

/// A look under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Look {
    /// What of its stretch is still to be read.
    pub cursor: Cursor,
    /// When it began.
    #[serde(with = "ticks")]
    pub begun: Ticks,
    /// Where its stretch begins.
    #[serde(with = "ticks")]
    pub from: Ticks,
    /// Objects found that were not emitted before.
    pub found: u64,
    /// The longest time from an update to the answer in which it was found, in seconds.
    pub latest_s: u64,
}

impl Late {
    /// Whether nothing was ever said here.
    pub fn is_unset(&self) -> bool {
        self.memory.is_none() && self.looked.is_none() && self.failed.is_none() && self.look.is_none()
    }

    /// Whether a memory that could not be written may be tried again.
    pub fn may_try(&self, now: Ticks) -> bool {
        self.failed.is_none_or(|failed| is_over(failed, now, AFTER_FAILURE))
    }

    /// Whether it is time for a look, or to go on with one.
    pub fn is_due(&self, now: Ticks) -> bool {
        match (&self.memory, &self.look) {
            (None, _) => false,
            (Some(_), Some(_)) => self.may_try(now),
            (Some(_), None) => self.looked.is_none_or(|looked| is_over(looked, now, EVERY)),
        }
    }
}

/// In either direction: a clock that was a year ahead once may not put anything off for a year.
fn is_over(then: Ticks, now: Ticks, span: Duration) -> bool {
    now.since(then).max(then.since(now)) >= span
}

impl Look {
    /// Counts an object that was found, updated then and read now.
    pub fn count(&mut self, updated: Ticks, now: Ticks) {
        self.found += 1;
        // The service tells its time in whole seconds.
        self.latest_s = self.latest_s.max(now.since(updated).as_secs() + 1);
    }

    /// The `lookback` with which nothing of it would have been late, in whole hours.
    pub fn lookback_h(&self) -> u64 {
        self.latest_s / 3600 + 1
    }
}

/// What a memory keeps of its versions when it is made smaller: those from `floor` on, sorted and once each, and of more than
/// `most` the newest. Says from which update time on it is complete, where that is later than `floor`.
pub fn compact(versions: &mut Vec<Version>, floor: Ticks, most: usize) -> Option<Ticks> {
    versions.retain(|version| version.updated >= floor);
    versions.sort_unstable();
    versions.dedup();
    let surplus = versions.len().saturating_sub(most);
    let last = surplus.checked_sub(1).and_then(|last| versions.get(last)).map(|version| Ticks(version.updated.0 + 1));
    versions.drain(..surplus);
    last
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::time::PER_SECOND;

    const HOUR: i64 = 3600 * PER_SECOND;

    fn looked(hour: i64) -> Late {
        let memory = Some(Memory { name: 1, records: 0, since: Ticks(0) });
        Late { memory, looked: Some(Ticks(hour * HOUR)), ..Late::default() }
    }

    #[test]
    fn once_a_day_whatever_the_clock_does() {
        let year = 24 * 365;
        for (last, now, due) in [(0, 23, false), (0, 24, true), (year, 0, true), (0, year, true), (year, year - 23, false)] {
            assert_eq!(looked(last).is_due(Ticks(now * HOUR)), due, "{last} {now}");
        }
        assert!(!Late::default().is_due(Ticks(0)), "without a memory everything would be new");
    }

    #[test]
    fn a_look_that_failed_goes_on_after_an_hour() {
        let cursor = Cursor::begin(Ticks(0), Ticks(0), Duration::ZERO);
        let look = Some(Look { cursor, begun: Ticks(0), from: Ticks(0), found: 0, latest_s: 0 });
        let late = Late { failed: Some(Ticks(HOUR)), look, ..looked(0) };
        assert!(!late.is_due(Ticks(2 * HOUR - 1)) && late.is_due(Ticks(2 * HOUR)));
        assert!(Late { failed: None, ..late }.is_due(Ticks(HOUR)), "one that was only interrupted goes on with the next poll");
    }

    #[test]
    fn what_is_too_old_or_too_much_is_forgotten_from_its_old_end() {
        let version = |at: i64, id: u64| Version { updated: Ticks(at), id };
        let all = vec![version(9, 1), version(3, 1), version(5, 2), version(5, 1), version(9, 1), version(7, 1)];
        let mut few = all.clone();
        assert_eq!(compact(&mut few, Ticks(5), 10), None);
        assert_eq!(few, [version(5, 1), version(5, 2), version(7, 1), version(9, 1)]);
        let mut fewer = all;
        assert_eq!(compact(&mut fewer, Ticks(5), 3), Some(Ticks(6)), "one of two with the same time is gone");
        assert_eq!(fewer, [version(5, 2), version(7, 1), version(9, 1)]);
    }
}
