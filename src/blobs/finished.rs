//! Where the blobs of finished hours ended, so that what is appended to them later is found: once a day each container is
//! listed as a whole and compared. Pure, as [`super::cursor`] is.
//!
//! A week of ends is kept. Of older blobs a list still tells when they were written last, so that growth there is told,
//! though not read.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::aside::Aside;
use super::cursor::{Hour, Look, Mark, Span, compare};
use crate::input::StorageInput;
use crate::microsoft::storage::Listed;
use crate::planted::{Planted, planted};
use crate::time::{PER_SECOND, Ticks};

/// How often finished hours are looked at.
const EVERY: Duration = Duration::from_secs(86_400);
/// How long an end is kept after the look-back has passed.
pub const KEPT: Duration = Duration::from_secs(7 * 86_400);

/// What the file of one input holds beside its position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finished {
    /// The input's name.
    pub stanza: String,
    /// The base URL of the storage account.
    pub storage: String,
    /// By container.
    pub containers: BTreeMap<String, Ends>,
}

/// The finished hours of one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ends {
    /// Hours before were not wanted, or finished before ends were kept.
    begin: Option<Hour>,
    /// From here on up to the floor every blob that was there has its end in `blobs`.
    known: Option<Hour>,
    /// The service's clock at the last look, in ticks.
    looked: i64,
    /// Since the last look the hours from this one on were finished too late for their ends to be kept, and were read no
    /// earlier than at this time of the service's clock, in ticks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    passed: Option<(Hour, i64)>,
    blobs: BTreeMap<String, Mark>,
    /// Blobs that could not be read, whether their hour is finished or not. They are not in `blobs`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) aside: BTreeMap<String, Aside>,
}

/// What a blob in a list is to the finished hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To be compared with the end that is kept.
    Compared,
    /// Too old to be compared, and written since the last look.
    Unread,
    /// Nothing: its hour is not finished or was not wanted, or it was not written to.
    Elsewhere,
}

impl Finished {
    /// Of an input that has finished nothing.
    pub fn begin(input: &StorageInput) -> Self {
        Self { stanza: input.stream.name.clone(), storage: input.url.clone(), containers: BTreeMap::new() }
    }

    /// How many blobs are left aside.
    pub fn aside(&self) -> usize {
        self.containers.values().map(|ends| ends.aside.len()).sum()
    }
}

impl Ends {
    /// Of a container in which everything before `begin` is of no interest; `now` is the service's clock.
    pub fn begin(begin: Option<Hour>, now: Ticks) -> Self {
        Self { begin, known: begin, looked: now.0, passed: None, blobs: BTreeMap::new(), aside: BTreeMap::new() }
    }

    /// Whether a day has passed since the last look.
    pub fn is_due(&self, now: Ticks) -> bool {
        // A look that is yet to come was made by a clock that was wrong.
        let is_wrong = Ticks(self.looked).since(now) > EVERY;
        (is_wrong || now.since(Ticks(self.looked)) >= EVERY) && !planted(Planted::BlobsLateUnseen)
    }

    /// Keeps the ends of blobs that were finished by a list of `now`, but of no hours before `oldest`.
    pub fn add(&mut self, finished: BTreeMap<String, Mark>, oldest: Hour, now: Ticks) {
        for (name, mark) in finished {
            if self.aside.contains_key(&name) {
                continue;
            }
            if mark.hour >= oldest {
                self.blobs.insert(name, mark);
            } else {
                self.known = self.known.max(Some(oldest));
                let (hour, read) = self.passed.unwrap_or((mark.hour, now.0));
                self.passed = Some((hour.min(mark.hour), read.min(now.0)));
            }
        }
    }

    /// What a blob is, where hours before `floor` are finished.
    pub fn place(&self, blob: &Listed, floor: Hour) -> Place {
        let Some(hour) = Hour::of_blob(blob) else { return Place::Elsewhere };
        let from = |edge: Option<Hour>| edge.is_none_or(|edge| edge <= hour);
        if hour >= floor || !from(self.begin) || self.aside.contains_key(&blob.name) {
            Place::Elsewhere
        } else if from(self.known) || self.blobs.contains_key(&blob.name) {
            Place::Compared
        // Times of writing are whole seconds.
        } else if blob.modified.is_some_and(|at| at.0 >= self.seen(hour) - PER_SECOND) {
            Place::Unread
        } else {
            Place::Elsewhere
        }
    }

    /// When all that an hour's blobs held then was in events.
    fn seen(&self, hour: Hour) -> i64 {
        match self.passed {
            Some((from, read)) if hour >= from => read.max(self.looked),
            _ => self.looked,
        }
    }

    /// What is to be read of the listed blobs, all of which are [`Place::Compared`].
    pub fn look(&mut self, listed: &[Listed]) -> Look {
        compare(&mut self.blobs, listed, Span { from: None, to: None }, true)
    }

    /// Remembers that a blob is in events up to `offset`, and that there is no whole line up to `looked`.
    pub fn read(&mut self, name: &str, offset: u64, looked: u64) {
        if let Some(mark) = self.blobs.get_mut(name) {
            mark.offset = offset;
        }
        if let Some(aside) = self.aside.get_mut(name) {
            aside.read(offset, looked);
        }
    }

    /// Gives back the ends from an hour on, because hours are no longer finished.
    pub fn take_from(&mut self, hour: Hour) -> BTreeMap<String, Mark> {
        let (ended, kept) = std::mem::take(&mut self.blobs).into_iter().partition(|(_, mark)| mark.hour >= hour);
        self.blobs = kept;
        ended
    }

    /// Sets a blob aside, or keeps it there after another failure. `left` says where it was left, where no end is kept. `None`
    /// when it is given up.
    pub(super) fn set_aside(&mut self, name: &str, left: Mark, now: Ticks) -> Option<&mut Aside> {
        let left = self.blobs.remove(name).unwrap_or(left);
        let known = self.aside.contains_key(name);
        let aside = self.aside.entry(name.to_owned()).or_insert_with(|| Aside::begin(left, now));
        if known && aside.failed(now).is_none() {
            self.aside.remove(name);
            return None;
        }
        self.aside.get_mut(name)
    }

    /// Remembers a look, made at `now`, after which everything was read; ends before `oldest` are no longer kept.
    pub fn looked(&mut self, now: Ticks, oldest: Hour) {
        (self.looked, self.passed) = (now.0, None);
        if self.known.is_none_or(|known| known < oldest) {
            self.known = Some(oldest);
            self.blobs.retain(|_, mark| mark.hour >= oldest);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A blob of an hour of 2026-11-22, written to at that second of the day.
    fn blob(hour: i64, size: u64, written: i64) -> Listed {
        let name = format!("tenantId=t/y=2026/m=11/d=22/h={hour:02}/m=00/PT1H.json");
        let day = Ticks::parse("2026-11-22T00:00:00Z").unwrap();
        Listed { name, size, created: Some(day), modified: Some(Ticks(day.0 + written * PER_SECOND)), obstacle: None }
    }

    fn hour(hour: i64) -> Hour {
        Hour(Hour::named(&blob(0, 0, 0).name).unwrap().0 + hour)
    }

    /// The ends of the hours 3 to 6, where those from 2 on were wanted, those from `oldest` on are kept and all before the
    /// seventh are finished.
    fn ends(oldest: i64) -> Ends {
        let mut ends = Ends::begin(Some(hour(2)), hour(8).begin());
        let mut marks = BTreeMap::new();
        let blobs: Vec<Listed> = (3..7).map(|hour| blob(hour, 100, 0)).collect();
        compare(&mut marks, &blobs, Span { from: None, to: None }, true);
        ends.add(marks, hour(oldest), hour(8).begin());
        blobs.iter().for_each(|blob| ends.read(&blob.name, 100, 0));
        ends
    }

    #[test]
    fn which_blobs_are_compared() {
        let (before, after) = (8 * 3600 - 2, 8 * 3600 - 1);
        // (blob, of all ends kept, of those from the fifth hour on kept)
        let table = [
            (blob(1, 100, after), Place::Elsewhere, Place::Elsewhere),
            (blob(2, 100, before), Place::Compared, Place::Elsewhere),
            (blob(2, 100, after), Place::Compared, Place::Unread),
            (blob(4, 100, before), Place::Compared, Place::Elsewhere),
            (blob(4, 100, after), Place::Compared, Place::Unread),
            (blob(5, 100, after), Place::Compared, Place::Compared),
            (blob(7, 100, after), Place::Elsewhere, Place::Elsewhere),
        ];
        for (blob, all, some) in table {
            let places = [ends(0), ends(5)].map(|ends| ends.place(&blob, hour(7)));
            assert_eq!(places, [all, some], "{} {:?}", blob.name, blob.modified);
        }
    }

    /// After a standstill the old hours are read at last, and their ends are too old to be kept: that is no growth.
    #[test]
    fn hours_that_are_read_late_were_not_written_to_since() {
        let mut ends = Ends::begin(Some(hour(2)), hour(2).begin());
        let mut marks = BTreeMap::new();
        let blobs: Vec<Listed> = (3..7).map(|hour| blob(hour, 100, hour * 3600 + 3599)).collect();
        compare(&mut marks, &blobs, Span { from: None, to: None }, true);
        ends.add(marks, hour(9), hour(20).begin());
        let place = |ends: &Ends, written| ends.place(&blob(4, 100, written), hour(10));
        assert!(blobs.iter().all(|blob| ends.place(blob, hour(10)) == Place::Elsewhere));
        assert_eq!((place(&ends, 20 * 3600 - 2), place(&ends, 20 * 3600)), (Place::Elsewhere, Place::Unread));
        // Hours that were finished before are as they were seen at the last look.
        assert_eq!(ends.place(&blob(2, 100, 3 * 3600), hour(10)), Place::Unread);
        ends.looked(hour(21).begin(), hour(9));
        assert_eq!((place(&ends, 20 * 3600), place(&ends, 21 * 3600)), (Place::Elsewhere, Place::Unread));
    }

    #[test]
    fn what_grew_is_read_from_its_end_and_what_is_new_from_its_beginning() {
        let mut ends = ends(0);
        let look = ends.look(&[blob(2, 7, 0), blob(3, 100, 0), blob(4, 120, 0), blob(5, 90, 0)]);
        let reads: Vec<_> = look.stretches.iter().map(|read| (read.hour, read.from, read.to, read.is_last)).collect();
        assert_eq!(reads, [(hour(2), 0, 7, true), (hour(4), 100, 120, true), (hour(5), 0, 90, true)]);
        assert_eq!(look.anew, [(blob(5, 0, 0).name, 100)]);
        ends.read(&blob(2, 0, 0).name, 7, 0);
        ends.read(&blob(4, 0, 0).name, 120, 0);
        ends.read(&blob(5, 0, 0).name, 90, 0);
        // The sixth hour's was removed meanwhile, and nothing else happened.
        assert_eq!(ends.look(&[blob(2, 7, 0), blob(3, 100, 0), blob(4, 120, 0), blob(5, 90, 0)]), Look::default());
        assert_eq!(ends.blobs.len(), 4);
    }

    #[test]
    fn once_a_day_and_no_longer_than_a_week() {
        let mut ends = ends(0);
        let next_day = hour(8 + 24).begin();
        assert_eq!([next_day.minus(Duration::from_secs(1)), next_day].map(|now| ends.is_due(now)), [false, true]);
        ends.looked(next_day, hour(4));
        assert_eq!((ends.is_due(next_day), ends.blobs.len(), ends.known), (false, 3, Some(hour(4))));
        // Where all is younger than what is kept, it begins where it began.
        ends.looked(next_day, hour(1));
        assert_eq!(ends.known, Some(hour(4)));
    }
}
