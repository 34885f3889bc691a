//! Where reading stands in one partition. Pure: no clock, no network, no disk; the simulation plays thousands of its lives.
//!
//! A partition is a log. The service numbers its events one by one, keeps them for the hub's retention time, and begins
//! again at 0 when the hub is made anew. What reached splunkd is a prefix of that log, so one number says it all.

use serde::{Deserialize, Serialize};

use crate::input::Begin;
use crate::planted::{Planted, planted};
use crate::time::Ticks;

/// A place in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// After the event of this sequence number; -1 is the very beginning.
    After(i64),
    /// Before the first event enqueued at or after this instant. Only a position that has seen no event yet is one.
    Since(Ticks),
}

/// As it stands in a checkpoint: `{"after":17}` or `{"since":"2026-01-31T00:00:00Z"}`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
enum Written {
    After(i64),
    Since(String),
}

impl Place {
    /// Whether a partition holds events behind this place. `newest` is when its newest event was enqueued, where that is known.
    pub fn is_behind(self, holding: Holding, newest: Option<Ticks>) -> bool {
        !holding.empty
            && match self {
                Self::After(sequence) => holding.last > sequence,
                Self::Since(at) => newest.is_some_and(|newest| newest >= at),
            }
    }
}

impl Serialize for Place {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::After(sequence) => Written::After(*sequence),
            Self::Since(at) => Written::Since(at.to_string()),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Written::deserialize(deserializer)? {
            Written::After(sequence) => Self::After(sequence),
            Written::Since(at) => {
                Self::Since(Ticks::parse(&at).ok_or_else(|| serde::de::Error::custom("`since` is not a time"))?)
            }
        })
    }
}

/// What the service says a partition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The number of the oldest event it still has.
    pub first: i64,
    /// The number of the newest event it ever had; -1 before the first.
    pub last: i64,
    /// Whether it has none at present.
    pub empty: bool,
}

impl Holding {
    /// The place before everything it holds.
    pub fn beginning(self) -> Place {
        Place::After(if self.empty { self.last } else { self.first.saturating_sub(1) })
    }

    /// The place after everything it holds.
    pub fn end(self) -> Place {
        Place::After(self.last)
    }
}

/// What the service says of the times of a hub's events, by its own clock. Nothing here has to be right: it decides where a first
/// run begins, and from the first event on numbers do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Newest {
    /// When the newest event of the partition was enqueued.
    pub of_partition: Option<Ticks>,
    /// When the newest of the whole hub was.
    pub of_hub: Option<Ticks>,
}

/// Where a partition begins at the input's first run. `now` is this machine's clock, which may be wrong: the newest event bounds
/// it, or what came in the last hours would never be read where it is ahead. And where everything that the partition holds is
/// older than `start`, its place is a number: whatever comes next is news, whoever's clock says what.
pub fn first_place(start: Begin, holding: Holding, newest: Newest, now: Ticks) -> Place {
    let bounded = |now: Ticks| newest.of_hub.filter(|_| !planted(Planted::BeginsByClock)).map_or(now, |newest| now.min(newest));
    match start {
        Begin::Earliest => holding.beginning(),
        Begin::Latest => holding.end(),
        Begin::Back(span) => since(bounded(now).minus(span), holding, newest.of_partition),
        Begin::At(at) => since(at, holding, newest.of_partition),
    }
}

/// The place before the first event at or after an instant; a number where there is none.
fn since(at: Ticks, holding: Holding, newest: Option<Ticks>) -> Place {
    let older = holding.empty || newest.is_some_and(|newest| newest < at);
    if older && !planted(Planted::BeginsByClock) { holding.end() } else { Place::Since(at) }
}

/// Where a run goes on in a partition: where it was, else where the first run said that it begins. `None` for one that was
/// added to the hub since: everything in it is news.
pub fn resume_at(reached: Option<Place>, begun: Option<Place>) -> Option<Place> {
    reached.or(begun)
}

/// The numbers went back: this is not the partition that was read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewound {
    /// The last event that was read.
    pub read: i64,
    /// The newest event there is.
    pub last: i64,
}

/// What an event is to a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It comes after everything that came before. So many events between are missing.
    New {
        /// Events that the service no longer had, or left out.
        missing: u64,
    },
    /// It came before.
    Repeat,
}

/// The reading side of one partition.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    /// After the last event that was handed on. Every link begins here, never at the place the input began with: the events
    /// between would all come again, or, with `latest`, those that arrived while there was no link would never come.
    delivered: Place,
    begun: Place,
    /// Events behind it that have no number and are counted as missing, and how many of these this link brought: they have
    /// no number to know them by when they come again.
    left_out: u64,
    left_out_here: u64,
}

impl Position {
    /// Goes on from a place.
    pub fn resume(place: Place) -> Self {
        Self { delivered: place, begun: place, left_out: 0, left_out_here: 0 }
    }

    /// Where it stands.
    pub fn place(&self) -> Place {
        if planted(Planted::ReattachesAtStart) { self.begun } else { self.delivered }
    }

    /// Compares with what the partition holds, before a link begins at [`Position::place`]. Answers how many events were
    /// deleted unread since; reading goes on behind them.
    ///
    /// # Errors
    /// [`Rewound`]: going on would skip everything up to the old number, and beginning anew is not ours to decide.
    pub fn compare(&mut self, holding: Holding) -> Result<u64, Rewound> {
        self.left_out_here = 0;
        let Place::After(read) = self.delivered else { return Ok(0) };
        if holding.last < read {
            if planted(Planted::AcceptsRewind) {
                self.delivered = holding.beginning();
                return Ok(0);
            }
            return Err(Rewound { read, last: holding.last });
        }
        let Place::After(before) = holding.beginning() else { return Ok(0) };
        let mut deleted = u64::try_from(before.saturating_sub(read)).unwrap_or(0);
        if deleted > 0 {
            self.delivered = Place::After(before);
            let counted = self.left_out.min(deleted);
            self.left_out -= counted;
            deleted -= counted;
        }
        Ok(if planted(Planted::SilentGap) { 0 } else { deleted })
    }

    /// Where it stands at a time that no event of the partition has reached, it begins behind what there is: what comes next is
    /// news. An earlier version saved such places, and this machine's clock may have been ahead.
    pub fn number(&mut self, holding: Holding, newest: Option<Ticks>) {
        if let Place::Since(at) = self.delivered {
            self.delivered = since(at, holding, newest);
        }
    }

    /// Takes an event that has no number, and cannot be handed on therefore. False when an earlier link brought it: then it is counted.
    pub fn leave_out(&mut self) -> bool {
        self.left_out_here += 1;
        let is_new = self.left_out_here > self.left_out;
        self.left_out = self.left_out.max(self.left_out_here);
        is_new
    }

    /// Takes an event that is about to be handed on.
    pub fn take(&mut self, sequence: i64) -> Arrival {
        let missing = match self.delivered {
            Place::After(read) if sequence <= read && !planted(Planted::TakesRepeats) => return Arrival::Repeat,
            Place::After(read) => u64::try_from(sequence - read - 1).unwrap_or(0).saturating_sub(self.left_out),
            Place::Since(_) => 0,
        };
        (self.left_out, self.left_out_here) = (0, 0);
        self.delivered = Place::After(sequence);
        Arrival::New { missing: if planted(Planted::SilentGap) { 0 } else { missing } }
    }
}

/// The writing side of one partition: what of it is written, and what of that may be remembered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ledger {
    written: Option<i64>,
    taken: Option<i64>,
    saved: Option<i64>,
}

impl Ledger {
    /// All events of a message were written.
    pub fn wrote(&mut self, sequence: i64) {
        self.written = Some(sequence);
    }

    /// splunkd took everything that was written so far.
    pub fn flushed(&mut self) {
        self.taken = self.written;
    }

    /// The place to save, when it is not the one saved before.
    pub fn to_save(&self) -> Option<Place> {
        let covered = if planted(Planted::SavesUnflushed) { self.written } else { self.taken };
        covered.filter(|sequence| self.saved != Some(*sequence)).map(Place::After)
    }

    /// A place was saved.
    pub fn saved(&mut self, place: Place) {
        if let Place::After(sequence) = place {
            self.saved = Some(sequence);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const fn holding(first: i64, last: i64) -> Holding {
        Holding { first, last, empty: false }
    }

    #[test]
    fn a_partition_is_compared_with_what_was_read_of_it() {
        let fresh = Holding { first: 0, last: -1, empty: true };
        let expired = Holding { first: 41, last: 40, empty: true };
        let since = Place::Since(Ticks(0));
        let table = [
            // read, holding, deleted, place after
            (Place::After(-1), fresh, Ok(0), Place::After(-1)),
            (Place::After(-1), holding(0, 9), Ok(0), Place::After(-1)),
            (Place::After(9), holding(0, 9), Ok(0), Place::After(9)),
            (Place::After(9), holding(10, 20), Ok(0), Place::After(9)),
            (Place::After(9), holding(15, 20), Ok(5), Place::After(14)),
            (Place::After(9), expired, Ok(31), Place::After(40)),
            (Place::After(40), expired, Ok(0), Place::After(40)),
            (Place::After(10), holding(0, 9), Err(Rewound { read: 10, last: 9 }), Place::After(10)),
            (Place::After(0), fresh, Err(Rewound { read: 0, last: -1 }), Place::After(0)),
            (since, fresh, Ok(0), since),
        ];
        for (read, holding, deleted, place) in table {
            let mut position = Position::resume(read);
            assert_eq!(position.compare(holding), deleted, "{read:?} {holding:?}");
            assert_eq!(position.place(), place, "{read:?} {holding:?}");
        }
    }

    #[test]
    fn a_first_run_begins_by_number_wherever_a_clock_could_be_wrong() {
        let (at, hour) = (|n: i64| Ticks(n * 36_000_000_000), std::time::Duration::from_secs(3600));
        let newest = |partition: i64, hub: i64| Newest { of_partition: Some(at(partition)), of_hub: Some(at(hub)) };
        let (held, empty) = (holding(5, 9), Holding { first: 10, last: 9, empty: true });
        for (start, holding, newest, now, place) in [
            (Begin::Earliest, held, newest(100, 100), at(0), Place::After(4)),
            (Begin::Latest, held, newest(100, 100), at(900), Place::After(9)),
            (Begin::Back(hour), held, newest(100, 100), at(100), Place::Since(at(99))),
            // This machine is a year ahead: the last hour is that before the newest event.
            (Begin::Back(hour), held, newest(100, 100), at(9000), Place::Since(at(99))),
            // Another partition has it.
            (Begin::Back(hour), held, newest(50, 100), at(9000), Place::After(9)),
            // It is behind, or the service's clock is ahead: more is read than was asked for.
            (Begin::Back(hour), held, newest(9000, 9000), at(100), Place::Since(at(99))),
            (Begin::Back(hour), empty, newest(100, 100), at(100), Place::After(9)),
            (Begin::Back(hour), held, Newest::default(), at(100), Place::Since(at(99))),
            (Begin::At(at(90)), held, newest(100, 100), at(100), Place::Since(at(90))),
            (Begin::At(at(101)), held, newest(100, 100), at(102), Place::After(9)),
        ] {
            assert_eq!(first_place(start, holding, newest, now), place, "{start:?} {newest:?} {now}");
        }
        // A place of an earlier version.
        let mut position = Position::resume(Place::Since(at(9000)));
        position.number(held, Some(at(100)));
        assert_eq!(position.place(), Place::After(9));
        position.number(held, Some(at(100)));
        assert_eq!(position.place(), Place::After(9));
    }

    #[test]
    fn a_place_is_behind_what_would_come_from_there() {
        let expired = Holding { first: 41, last: 40, empty: true };
        for (place, holding, newest, behind) in [
            (Place::After(8), holding(0, 9), None, true),
            (Place::After(9), holding(0, 9), None, false),
            (Place::After(9), expired, None, false),
            (Place::Since(Ticks(5)), holding(0, 9), Some(Ticks(5)), true),
            (Place::Since(Ticks(5)), holding(0, 9), Some(Ticks(4)), false),
            (Place::Since(Ticks(5)), holding(0, 9), None, false),
            (Place::Since(Ticks(5)), expired, Some(Ticks(6)), false),
        ] {
            assert_eq!(place.is_behind(holding, newest), behind, "{place:?} {holding:?} {newest:?}");
        }
    }

    #[test]
    fn events_are_told_from_repeats_and_gaps_are_counted() {
        let mut position = Position::resume(Place::Since(Ticks(0)));
        for (sequence, arrival) in [
            (7, Arrival::New { missing: 0 }),
            (8, Arrival::New { missing: 0 }),
            (8, Arrival::Repeat),
            (3, Arrival::Repeat),
            (12, Arrival::New { missing: 3 }),
        ] {
            assert_eq!(position.take(sequence), arrival, "{sequence}");
        }
        assert_eq!(position.place(), Place::After(12));
    }

    #[test]
    fn what_has_no_number_is_counted_once() {
        let mut position = Position::resume(Place::After(3));
        assert!(position.leave_out() && position.leave_out());
        assert_eq!(position.place(), Place::After(3));
        // The next link brings both again, and one more.
        assert_eq!(position.compare(holding(0, 8)), Ok(0));
        assert_eq!([position.leave_out(), position.leave_out(), position.leave_out()], [false, false, true]);
        assert_eq!(position.take(8), Arrival::New { missing: 1 }, "4 to 7, of which three are counted");
        // Or they are deleted.
        assert!(position.leave_out());
        assert_eq!(position.compare(holding(12, 20)), Ok(2), "9 to 11, of which one is counted");
        assert!(position.leave_out());
    }

    #[test]
    fn only_what_was_taken_is_saved_and_nothing_twice() {
        let mut ledger = Ledger::default();
        ledger.flushed();
        assert_eq!(ledger.to_save(), None);
        ledger.wrote(4);
        assert_eq!(ledger.to_save(), None, "written is not taken");
        ledger.flushed();
        ledger.wrote(5);
        assert_eq!(ledger.to_save(), Some(Place::After(4)));
        ledger.saved(Place::After(4));
        assert_eq!(ledger.to_save(), None);
        ledger.flushed();
        assert_eq!(ledger.to_save(), Some(Place::After(5)));
    }

    #[test]
    fn a_place_is_written_and_read_exactly() {
        for (place, text) in [
            (Place::After(-1), r#"{"after":-1}"#),
            (Place::After(i64::MAX), r#"{"after":9223372036854775807}"#),
            (Place::Since(Ticks::parse("2026-01-31T00:00:00.1234567Z").unwrap()), r#"{"since":"2026-01-31T00:00:00.1234567Z"}"#),
        ] {
            assert_eq!(serde_json::to_string(&place).unwrap(), text);
            assert_eq!(serde_json::from_str::<Place>(text).unwrap(), place);
        }
        for text in [r#"{"since":"soon"}"#, r#"{"after":1.5}"#, "{}", r#"{"before":1}"#] {
            assert!(serde_json::from_str::<Place>(text).is_err(), "{text}");
        }
    }
}
