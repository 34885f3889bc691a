//! How far the blobs of one container were read. Pure: no clock, no I/O; what a list said and what was read comes in.
//!
//! A blob holds the records of one hour, a line each, and grows, also when its hour is long over. So a blob is read from
//! where it was left as long as its hour is in the look-back; at the look-back's end it is looked at once more, to its very
//! end, and no longer watched. The *floor* says which hours that happened to; what is appended below it is found once a
//! day by [`super::finished`].

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::microsoft::storage::{Listed, Obstacle};
use crate::planted::{Planted, planted};
use crate::time::{PER_SECOND, Ticks};

/// Ticks in an hour.
const PER_HOUR: i64 = 3600 * PER_SECOND;

/// The last hour of the year 9999.
const LAST_HOUR: i64 = 70_389_527;

/// An hour of UTC, counted since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hour(pub i64);

impl Hour {
    /// The hour an instant lies in.
    pub fn of(at: Ticks) -> Self {
        Self(at.0.div_euclid(PER_HOUR))
    }

    /// Its first instant.
    pub fn begin(self) -> Ticks {
        Ticks(self.0.saturating_mul(PER_HOUR))
    }

    /// The hour in a blob's name: `…/y=2026/m=11/d=22/h=08/…`.
    pub fn named(name: &str) -> Option<Self> {
        let parts: Vec<&str> = name.split('/').collect();
        let digits = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = |part: &str, key: &str| part.strip_prefix(key)?.strip_prefix('=').filter(digits)?.parse::<i16>().ok();
        parts.windows(4).find_map(|four| {
            let numbers: Option<Vec<i16>> = four.iter().zip(["y", "m", "d", "h"]).map(|(part, key)| number(part, key)).collect();
            let [year, month, day, hour] = numbers?.try_into().ok()?;
            let small = |number: i16| i8::try_from(number).ok();
            let at = DateTime::new(year, small(month)?, small(day)?, small(hour)?, 0, 0, 0).ok()?.to_zoned(TimeZone::UTC).ok()?;
            Some(Self(at.timestamp().as_second().div_euclid(3600)))
        })
    }

    /// The hour of a blob. One whose name has another form is of the hour in which it was made.
    pub fn of_blob(blob: &Listed) -> Option<Self> {
        Self::named(&blob.name).or_else(|| blob.created.or(blob.modified).map(Self::of))
    }

    /// What the names of its day's blobs go on with behind the tenant: `y=2026/m=11/d=22/`.
    pub fn day(self) -> String {
        // Of years that no blob has, the nearest that can be written.
        let hour = self.0.clamp(0, LAST_HOUR);
        let date = Self(hour).begin().to_string();
        format!("y={}/m={}/d={}/", &date[..4], &date[5..7], &date[8..10])
    }
}

/// Hours from one on, or all, up to the one before another, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first; `None` reaches back as far as there is anything.
    pub from: Option<Hour>,
    /// The first that is not in it any more; `None` has no end.
    pub to: Option<Hour>,
}

impl Span {
    pub(super) fn holds(self, hour: Hour) -> bool {
        self.from.is_none_or(|from| from <= hour) && self.to.is_none_or(|to| hour < to)
    }
}

/// How far one blob was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    pub(super) hour: Hour,
    /// When the blob was created, in ticks: another one may take its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<i64>,
    /// Everything before is in events.
    pub(super) offset: u64,
    /// Up to here there was no whole line behind the offset.
    #[serde(default, skip_serializing_if = "is_zero")]
    looked: u64,
}

impl Mark {
    /// Of a blob of which nothing was read.
    pub(super) fn fresh(hour: Hour, blob: &Listed) -> Self {
        Self { hour, created: blob.created.map(|at| at.0), offset: 0, looked: 0 }
    }

    /// When the blob was created.
    pub(super) fn created(&self) -> Option<Ticks> {
        self.created.map(Ticks)
    }

    /// Of a blob that is being read.
    pub(super) fn of(stretch: &Stretch) -> Self {
        Self { hour: stretch.hour, created: stretch.created.map(|at| at.0), offset: stretch.from, looked: 0 }
    }

    /// Whether another blob stands under the name of the one that was read.
    pub(super) fn renew(&self, blob: &Listed) -> bool {
        let other = matches!((self.created, blob.created), (Some(was), Some(is)) if was != is.0);
        (other || blob.size < self.offset) && !planted(Planted::BlobsAnewUnseen)
    }

    /// Remembers that it is in events up to `offset`, and that there is no whole line up to `looked`.
    pub(super) fn read(&mut self, offset: u64, looked: u64) {
        (self.offset, self.looked) = (offset, if looked > offset { looked } else { 0 });
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The position in one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// Hours below it are done; `None` before the oldest was found.
    floor: Option<Hour>,
    /// The newest time at which a blob was written, in ticks of the service's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    newest: Option<i64>,
    blobs: BTreeMap<String, Mark>,
}

/// Bytes of a blob to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The blob.
    pub name: String,
    /// Its hour.
    pub hour: Hour,
    /// When it was created.
    pub created: Option<Ticks>,
    /// Where to begin.
    pub from: u64,
    /// Where it ended when it was listed.
    pub to: u64,
    /// Whether it is looked at for the last time: then also a line that has not ended is passed on.
    pub is_last: bool,
    /// Why it cannot be read, where the list says so.
    pub obstacle: Option<Obstacle>,
}

impl Stretch {
    /// What of a listed blob is behind a mark.
    pub(super) fn of(blob: &Listed, mark: &Mark, is_last: bool) -> Self {
        Self {
            name: blob.name.clone(),
            hour: mark.hour,
            created: blob.created,
            from: mark.offset,
            to: blob.size,
            is_last,
            obstacle: blob.obstacle,
        }
    }
}

/// What a list led to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// What to read, in the order in which to read it.
    pub stretches: Vec<Stretch>,
    /// Blobs that were made anew under an old name, with how far the old ones were read; they are read from their
    /// beginning.
    pub anew: Vec<(String, u64)>,
}

impl Cursor {
    /// A position that has read nothing, and will read nothing of hours before that one.
    pub fn begin(from: Option<Hour>) -> Self {
        Self { floor: from, newest: None, blobs: BTreeMap::new() }
    }

    /// The hours that may still change, seen from `now`, and before them those that are to be finished, where there are any.
    ///
    /// An hour is finished only when a blob was written to later than its look-back: a service that stands still for days may
    /// go on where it stopped.
    pub fn spans(&self, now: Ticks, lookback: Duration) -> (Span, Option<Span>) {
        let lookback = if planted(Planted::BlobsNotLookedBack) { Duration::ZERO } else { lookback };
        let newest = if planted(Planted::BlobsStandstillUnseen) { Some(now.0) } else { self.newest };
        let Some(newest) = newest else { return (Span { from: self.floor, to: None }, None) };
        let edge = Hour::of(now.min(Ticks(newest)).minus(lookback));
        let recent = Span { from: Some(self.floor.map_or(edge, |floor| floor.max(edge))), to: None };
        let history = Span { from: self.floor, to: Some(edge) };
        (recent, self.floor.is_none_or(|floor| floor < edge).then_some(history))
    }

    /// Remembers when the listed blobs were written; what is later than `latest` was written by no clock that can be believed.
    pub fn heard(&mut self, listed: &[Listed], latest: Ticks) {
        let times = listed.iter().filter_map(|blob| blob.modified.or(blob.created)).filter(|at| *at <= latest);
        self.newest = self.newest.max(times.max().map(|at| at.0));
    }

    /// Remembers when a blob of another container was written: one service writes them all.
    pub fn heard_elsewhere(&mut self, newest: Option<Ticks>) {
        self.newest = self.newest.max(newest.map(|at| at.0));
    }

    /// When a blob was written last, as far as that is known here.
    pub fn newest(&self) -> Option<Ticks> {
        self.newest.map(Ticks)
    }

    /// Goes back to an hour: clocks that were wrong finished hours that were yet to come. `ended` are the marks of those hours'
    /// blobs that are kept.
    pub fn go_back(&mut self, hour: Hour, ended: BTreeMap<String, Mark>) {
        self.floor = Some(hour);
        for (name, mark) in ended {
            self.blobs.entry(name).or_insert(mark);
        }
    }

    /// How far a blob was read, where it is watched.
    pub(super) fn mark(&self, name: &str) -> Option<&Mark> {
        self.blobs.get(name)
    }

    /// Puts a blob's mark in place.
    pub(super) fn put(&mut self, name: &str, mark: Mark) {
        self.blobs.insert(name.to_owned(), mark);
    }

    /// See `compare`.
    pub fn look(&mut self, listed: &[Listed], span: Span, finish: bool) -> Look {
        compare(&mut self.blobs, listed, span, finish)
    }

    /// Remembers that a blob is in events up to `offset`, and that there is no whole line up to `looked`. False when no such
    /// blob is watched.
    pub fn read(&mut self, name: &str, offset: u64, looked: u64) -> bool {
        let mark = self.blobs.get_mut(name);
        mark.map(|mark| mark.read(offset, looked)).is_some()
    }

    /// Remembers that the hours before that one are finished. Gives the marks of their blobs, which are not watched any more.
    pub fn finished_before(&mut self, hour: Hour) -> BTreeMap<String, Mark> {
        if self.floor.is_some_and(|floor| floor >= hour) {
            return BTreeMap::new();
        }
        self.floor = Some(hour);
        let (finished, watched) = std::mem::take(&mut self.blobs).into_iter().partition(|(_, mark)| mark.hour < hour);
        self.blobs = watched;
        finished
    }

    /// Hours below it are done.
    pub fn floor(&self) -> Option<Hour> {
        self.floor
    }

    /// How many blobs are remembered.
    pub fn watched(&self) -> usize {
        self.blobs.len()
    }
}

/// Compares a whole list of a span's blobs with what was read. `finish` means that the span is looked at for the last
/// time. Recent hours come newest first; hours to be finished come oldest first, so that the floor can follow.
pub(super) fn compare(marks: &mut BTreeMap<String, Mark>, listed: &[Listed], span: Span, finish: bool) -> Look {
    let mut look = Look::default();
    let mut there = std::collections::BTreeSet::new();
    for blob in listed {
        let Some(hour) = Hour::of_blob(blob) else { continue };
        if !span.holds(hour) || !there.insert(blob.name.as_str()) {
            continue;
        }
        let mark = marks.entry(blob.name.clone()).or_insert_with(|| Mark::fresh(hour, blob));
        if mark.renew(blob) {
            look.anew.push((blob.name.clone(), mark.offset));
            *mark = Mark::fresh(hour, blob);
        }
        let known = if finish { mark.offset } else { mark.offset.max(mark.looked) };
        if blob.size > known {
            look.stretches.push(Stretch::of(blob, mark, finish));
        }
    }
    // What is no longer there will not come again; under its name only another one can.
    marks.retain(|name, mark| !span.holds(mark.hour) || there.contains(name.as_str()));
    if finish {
        look.stretches.sort_by(|a, b| (a.hour, &a.name).cmp(&(b.hour, &b.name)));
    } else {
        look.stretches.sort_by(|a, b| (b.hour, &a.name).cmp(&(a.hour, &b.name)));
    }
    look
}

/// How many bytes of a piece are whole lines. `at_end`: the piece reaches the end of the blob as it was listed. `is_last`:
/// and nothing more will be read of it.
///
/// A line ends with its line break. What stands behind the last one is left for the next time, unless it is a whole JSON
/// object, which cannot go on.
pub fn whole_lines(piece: &[u8], at_end: bool, is_last: bool) -> usize {
    let ended = piece.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let rest = &piece[ended..];
    let whole = at_end && (is_last || crate::feeds::records::is_object(rest) || planted(Planted::BlobsHalfLines));
    if whole { piece.len() } else { ended }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A blob of an hour of 2026-11-22.
    fn blob(hour: i64, size: u64, created: i64) -> Listed {
        let name = format!("tenantId=t/y=2026/m=11/d=22/h={hour:02}/m=00/PT1H.json");
        Listed { name, size, created: Some(Ticks(created)), modified: None, obstacle: None }
    }

    fn at(text: &str) -> Ticks {
        Ticks::parse(text).unwrap()
    }

    const LOOKBACK: Duration = Duration::from_secs(2 * 3600);

    /// A blob was written at that time.
    fn heard(cursor: &mut Cursor, time: &str) {
        cursor.heard(&[Listed { modified: Some(at(time)), ..Listed::default() }], at("2028-01-01T00:00:00Z"));
    }

    #[test]
    fn hours_are_over_when_both_the_clock_and_later_blobs_say_so() {
        let mut cursor = Cursor::begin(Some(Hour::of(at("2026-11-20T00:00:00Z"))));
        heard(&mut cursor, "2026-11-22T08:10:00Z");
        let edge = |cursor: &Cursor, now: &str| cursor.spans(at(now), LOOKBACK).0.from;
        for (now, hour) in [
            // A clock that is two days ahead, one that is right, one that is behind.
            ("2026-11-24T08:12:00Z", "2026-11-22T06:00:00Z"),
            ("2026-11-22T08:12:00Z", "2026-11-22T06:00:00Z"),
            ("2026-11-21T08:12:00Z", "2026-11-21T06:00:00Z"),
            ("9999-12-30T00:00:00Z", "2026-11-22T06:00:00Z"),
        ] {
            assert_eq!(edge(&cursor, now), Some(Hour::of(at(hour))), "{now}");
        }
        // What no clock can have written is not believed.
        cursor.heard(&[Listed { modified: Some(at("9999-01-01T00:00:00Z")), ..Listed::default() }], at("2026-11-22T09:00:00Z"));
        assert_eq!(cursor.newest(), Some(at("2026-11-22T08:10:00Z")));
    }

    /// What is to be read: hour of the day, from, to, whether for the last time.
    fn reads(look: &Look) -> Vec<(i64, u64, u64, bool)> {
        look.stretches.iter().map(|read| (read.hour.0.rem_euclid(24), read.from, read.to, read.is_last)).collect()
    }

    #[test]
    fn hours_by_name_and_by_day() {
        let hour = Hour::of(at("2026-11-22T08:59:59.9999999Z"));
        for name in [
            "tenantId=t/y=2026/m=11/d=22/h=08/m=00/PT1H.json",
            "y=2026/m=11/d=22/h=08/PT1H_2.json",
            "a/b/y=2026/m=11/d=22/h=08/x",
        ] {
            assert_eq!(Hour::named(name), Some(hour), "{name}");
        }
        for name in ["", "PT1H.json", "y=2026/m=13/d=22/h=08/x", "y=2026/m=11/d=22/PT1H.json", "y=x/m=11/d=22/h=08/x"] {
            assert_eq!(Hour::named(name), None, "{name}");
        }
        assert_eq!((hour.begin(), hour.day().as_str()), (at("2026-11-22T08:00:00Z"), "y=2026/m=11/d=22/"));
    }

    #[test]
    fn recent_hours_are_watched_and_older_ones_finished() {
        let mut cursor = Cursor::begin(None);
        let now = at("2026-11-22T12:30:00Z");
        // Before anything was heard of, nothing is over.
        assert_eq!(cursor.spans(now, LOOKBACK), (Span { from: None, to: None }, None));
        heard(&mut cursor, "2027-01-01T00:00:00Z");
        let (recent, history) = cursor.spans(now, LOOKBACK);
        assert_eq!(
            (recent.from, history),
            (Some(Hour::of(at("2026-11-22T10:00:00Z"))), Some(Span { from: None, to: recent.from }))
        );
        let all = [blob(7, 70, 1), blob(9, 90, 1), blob(10, 100, 1), blob(12, 0, 1), blob(11, 110, 1)];
        assert_eq!(reads(&cursor.look(&all, recent, false)), [(11, 0, 110, false), (10, 0, 100, false)]);
        let look = cursor.look(&all, history.unwrap(), true);
        assert_eq!(reads(&look), [(7, 0, 70, true), (9, 0, 90, true)]);

        cursor.read(&all[2].name, 100, 0);
        cursor.read(&all[4].name, 60, 110);
        cursor.finished_before(recent.from.unwrap());
        assert_eq!((cursor.watched(), cursor.spans(now, LOOKBACK).1), (3, None));
        // Nothing new: nothing to read, though a line of the eleventh hour has not ended.
        assert_eq!(reads(&cursor.look(&all, recent, false)), []);
        let grown = [blob(10, 120, 1), blob(11, 111, 1)];
        assert_eq!(reads(&cursor.look(&grown, recent, false)), [(11, 60, 111, false), (10, 100, 120, false)]);
        // Two hours on, both are finished, and the line that has not ended with them.
        let (_, history) = cursor.spans(at("2026-11-22T14:00:00Z"), LOOKBACK);
        assert_eq!(reads(&cursor.look(&grown, history.unwrap(), true)), [(10, 100, 120, true), (11, 60, 111, true)]);
    }

    #[test]
    fn a_blob_made_anew_is_read_from_its_beginning() {
        let mut cursor = Cursor::begin(None);
        let (recent, _) = cursor.spans(at("2026-11-22T12:30:00Z"), LOOKBACK);
        cursor.look(&[blob(12, 50, 1)], recent, false);
        cursor.read(&blob(12, 0, 0).name, 50, 0);
        for (size, created) in [(30, 1), (50, 2), (80, 3)] {
            let mut other = cursor.clone();
            let look = other.look(&[blob(12, size, created)], recent, false);
            assert_eq!((look.anew.as_slice(), reads(&look)), (&[(blob(12, 0, 0).name, 50)][..], vec![(12, 0, size, false)]));
            assert_eq!(other.look(&[blob(12, size, created)], recent, false).anew, [], "it is said once");
        }
        // One that was removed is forgotten.
        cursor.look(&[], recent, false);
        assert_eq!(cursor.watched(), 0);
    }

    #[test]
    fn names_of_another_form_have_the_hour_they_were_made_in() {
        let mut cursor = Cursor::begin(Some(Hour::of(at("2026-11-22T12:00:00Z"))));
        let (recent, _) = cursor.spans(at("2026-11-22T12:30:00Z"), LOOKBACK);
        let made =
            |time: &str| Listed { name: time.to_owned(), size: 5, created: Some(at(time)), modified: None, obstacle: None };
        let look = cursor.look(&[made("2026-11-22T12:01:00Z"), made("2026-11-22T11:59:59Z")], recent, false);
        assert_eq!(look.stretches.len(), 1);
        assert_eq!(look.stretches[0].name, "2026-11-22T12:01:00Z");
    }

    #[test]
    fn lines_are_passed_on_whole() {
        // (piece, whole lines in the middle of a blob, at its end, at its end for the last time)
        let table: [(&str, usize, usize, usize); 8] = [
            ("", 0, 0, 0),
            ("{\"a\":1}\r\n", 9, 9, 9),
            ("{\"a\":1}\r\n{\"b\"", 9, 9, 13),
            ("{\"a\"", 0, 0, 4),
            ("{\"a\":1}\r\n{\"b\":{}}", 9, 17, 17),
            ("{\"a\":1}\r\n{\"b\":{}}\r", 9, 18, 18),
            ("{\"a\":1}\r\n12", 9, 9, 11),
            ("{\"a\":1}\r\n \r", 9, 9, 11),
        ];
        for (piece, middle, end, last) in table {
            let found = [(false, false), (true, false), (true, true)]
                .map(|(at_end, is_last)| whole_lines(piece.as_bytes(), at_end, is_last));
            assert_eq!(found, [middle, end, last], "{piece:?}");
        }
    }

    #[test]
    fn it_is_written_and_read_back() {
        let mut cursor = Cursor::begin(Some(Hour(7)));
        cursor.look(&[blob(12, 50, 1)], Span { from: None, to: None }, false);
        cursor.read(&blob(12, 0, 0).name, 20, 50);
        let text = serde_json::to_string(&cursor).unwrap();
        assert_eq!(
            text,
            r#"{"floor":7,"blobs":{"tenantId=t/y=2026/m=11/d=22/h=12/m=00/PT1H.json":{"hour":498708,"created":1,"offset":20,"looked":50}}}"#
        );
        assert_eq!(serde_json::from_str::<Cursor>(&text).unwrap(), cursor);
    }
}
