//! The poll itself: which containers are looked into, in which order, what is read, and when it is saved.

use std::collections::BTreeSet;
use std::time::Duration;

use log::Level;

use super::cursor::{Cursor, Hour, Look, Span, Stretch, whole_lines};
use super::finished::{self, Ends, Finished, Place};
use super::position::Position;
use super::{BlobsError, CONTAINER, Outside};
use crate::feeds::records::{self, Reader, Reason};
use crate::input::{StorageInput, Tables};
use crate::microsoft::storage::{Failure, Listed, Storage, StorageError};
use crate::pace::backoff;
use crate::planted::{Planted, planted};
use crate::time::Ticks;

/// Bytes asked for at once. A blob may have gigabytes, and a piece is held in memory.
const PIECE: u64 = 4 << 20;
/// Bytes that are gone through at once: several passes over them find them in the processor's cache.
const PART: usize = 256 << 10;
/// A line of this many bytes without an end is no record; it is passed on in parts. A record has 1 MB at most.
const LONGEST_LINE: usize = 64 << 20;
/// Bytes read after which the position is saved.
const SAVE_EVERY: u64 = 4 << 20;
/// Older hours' pieces that are read in every poll, also when recent ones took all of its time.
const HISTORY_AT_LEAST: u32 = 3;
/// How often one request is sent when the service fails.
const ATTEMPTS: u32 = 3;
/// The longest that a service's wish to be left alone is obeyed from one run to the next.
const LONGEST_PATIENCE: Duration = Duration::from_secs(3600);
/// What goes on keeping a container from being read is told again after this time.
const TOLD_AGAIN: Duration = Duration::from_secs(3600);

/// How a poll ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// All that the poll's time allowed was read.
    Done,
    /// The service asked for more patience than the poll has left; the next run waits until then.
    NotBefore(Ticks),
    /// A stop was requested.
    Stopped,
}

/// Why a poll goes no further.
pub(super) enum Halt {
    End(End),
    Error(BlobsError),
}

impl<E: Into<BlobsError>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// What one poll did, for its log line.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests sent.
    pub requests: u32,
    /// Containers looked into.
    pub containers: usize,
    /// Those among them that could not be read.
    pub refused: usize,
    /// Blobs with something new.
    pub blobs: u32,
    /// Bytes passed on.
    pub bytes: u64,
    /// What became of them.
    pub records: records::Tally,
    /// Time spent waiting because the service said so.
    pub throttled: Duration,
    /// The newest record's time.
    pub newest: Option<Ticks>,
    /// How long the hours are that are still to be finished, of the container with the most; `None` when a beginning was
    /// not found yet.
    pub history_left: Option<Duration>,
}

/// Whether a stretch was read to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    ToItsEnd,
    /// The time is over, or the blob is not what was listed: the next poll will see.
    InPart,
}

/// See [`PIECE`] and [`SAVE_EVERY`]; a simulation takes smaller ones.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) piece: u64,
    pub(super) save_every: u64,
}

/// One poll under way.
pub struct Poll<'a, O> {
    input: &'a StorageInput,
    position: &'a mut Position,
    finished: &'a mut Finished,
    reader: &'a mut Reader,
    pub(super) outside: &'a mut O,
    deadline: Ticks,
    /// The service's clock at the last list.
    pub(super) clock: Ticks,
    pub(super) sizes: Sizes,
    /// Bytes written since the position was saved.
    pub(super) unsaved: u64,
    /// Whether `finished` changed since it was saved.
    unkept: bool,
    /// Pieces of older hours read in this poll.
    of_history: u32,
    /// Containers that could not be read.
    refused: Vec<(String, StorageError)>,
    /// Containers that were gone through.
    well: BTreeSet<String>,
    /// What there is to tell of in this poll.
    troubled: BTreeSet<String>,
    /// What it did so far.
    pub tally: Tally,
}

impl<'a, O: Outside> Poll<'a, O> {
    /// A poll that has asked nothing yet. Position and ends are those of [`super::position`].
    pub fn new(
        input: &'a StorageInput,
        (position, finished): (&'a mut Position, &'a mut Finished),
        reader: &'a mut Reader,
        outside: &'a mut O,
    ) -> Self {
        let now = outside.now();
        Self {
            input,
            position,
            finished,
            reader,
            outside,
            deadline: now.plus(input.budget),
            clock: now,
            sizes: Sizes { piece: PIECE, save_every: SAVE_EVERY },
            unsaved: 0,
            unkept: false,
            of_history: 0,
            refused: Vec::new(),
            well: BTreeSet::new(),
            troubled: BTreeSet::new(),
            tally: Tally { history_left: Some(Duration::ZERO), ..Tally::default() },
        }
    }

    /// Reads what is new, then what is to be finished, until nothing is left or the time is over.
    ///
    /// # Errors
    /// See [`BlobsError`]. What is about one container alone is only told, unless no container can be read.
    pub fn run(&mut self) -> Result<End, BlobsError> {
        if let Some(not_before) = self.position.not_before.as_deref().and_then(Ticks::parse) {
            // A time far ahead was written by a clock that was wrong, and may not silence the input.
            if self.outside.now() < not_before && not_before <= self.outside.now().plus(LONGEST_PATIENCE) {
                return Ok(End::NotBefore(not_before));
            }
            self.position.not_before = None;
        }
        let before = self.position.clone();
        let end = match self.read_all() {
            Ok(()) => Ok(End::Done),
            Err(Halt::End(End::Stopped)) => return Ok(End::Stopped),
            Err(Halt::End(end)) => {
                if let End::NotBefore(until) = end {
                    self.position.not_before = Some(until.to_string());
                }
                Ok(end)
            }
            Err(Halt::Error(BlobsError::Storage(error))) => Err(error),
            Err(Halt::Error(error)) => return Err(error),
        };
        self.tally.refused = self.refused.len();
        let mut refused = std::mem::take(&mut self.refused).into_iter();
        let end = match end {
            Ok(End::Done) if self.well.is_empty() => refused.next().map_or(Ok(End::Done), |(_, error)| Err(Box::new(error))),
            end => end,
        };
        for (container, error) in refused {
            self.tell(&container, Level::Error, &with_remedy(&error));
        }
        if matches!(end, Ok(End::Done)) {
            self.tell_well();
        }
        // What was read before a failure was read.
        if (*self.position != before || self.unsaved > 0 || self.unkept) && !self.save()? {
            return Ok(End::Stopped);
        }
        Ok(end?)
    }

    /// Tells what keeps a container, or all of them, from being read: at once, and for as long as it lasts once an hour.
    fn tell(&mut self, about: &str, level: Level, text: &str) {
        self.troubled.insert(about.to_owned());
        let now = self.outside.now();
        // A time that is yet to come was written by a clock that was wrong.
        let fresh = |told: &i64| Ticks(*told) <= now && now.since(Ticks(*told)) < TOLD_AGAIN;
        if self.position.told.get(about).is_some_and(fresh) {
            log::debug!("{}: {text}", self.input);
        } else {
            log::log!(level, "{}: {text}", self.input);
            self.position.told.insert(about.to_owned(), now.0);
        }
    }

    /// Forgets what is over.
    fn tell_well(&mut self) {
        let over: Vec<String> = self.position.told.keys().filter(|about| !self.troubled.contains(*about)).cloned().collect();
        for about in over {
            self.position.told.remove(&about);
            if self.well.contains(&about) {
                log::info!("{}: {about} can be read again", self.input);
            }
        }
    }

    fn read_all(&mut self) -> Result<(), Halt> {
        let mut containers = self.containers()?;
        self.tally.containers = containers.len();
        let first = containers.iter().position(|name| *name >= self.position.turn).unwrap_or(0);
        containers.rotate_left(first);
        let mut readable = Vec::new();
        for container in containers {
            if self.one(&container, Self::recent)? {
                readable.push(container);
            }
        }
        for container in readable {
            if self.is_over_for_history() {
                self.position.turn.clone_from(&container);
                self.tally.history_left = self.tally.history_left.and(self.history_left(&container));
                self.well.insert(container);
                continue;
            }
            if self.one(&container, Self::history)? && self.one(&container, Self::late)? {
                self.well.insert(container);
            }
        }
        Ok(())
    }

    /// Does something with a container; false when it could not be done for a reason that is its own.
    fn one(&mut self, container: &str, act: fn(&mut Self, &str) -> Result<(), Halt>) -> Result<bool, Halt> {
        match act(self, container) {
            Ok(()) => Ok(true),
            Err(Halt::Error(BlobsError::Storage(error))) if matches!(error.failure, Failure::NoContainer) => {
                self.tell(container, Level::Warn, &with_remedy(&error));
                Ok(false)
            }
            Err(Halt::Error(BlobsError::Storage(error))) if error.is_about_one() => {
                self.refused.push((container.to_owned(), *error));
                Ok(false)
            }
            Err(halt) => Err(halt),
        }
    }

    /// The containers of the tables that are wanted.
    fn containers(&mut self) -> Result<Vec<String>, Halt> {
        if let Tables::Only(names) = &self.input.stream.tables {
            // Their names are known, so that a role for these containers alone is enough.
            return Ok(names.iter().map(|table| format!("{CONTAINER}{table}")).collect());
        }
        let (mut names, mut marker) = (Vec::new(), String::new());
        loop {
            let page = self.ask(|storage| storage.containers(CONTAINER, &marker))?;
            names.extend(page.names);
            if page.next.is_empty() {
                break;
            }
            marker = page.next;
        }
        if names.is_empty() {
            let text = format!(
                "the storage account has no container whose name begins with {CONTAINER}: Defender makes them with the first \
                 records; check that its streaming settings name this storage account"
            );
            self.tell("", Level::Warn, &text);
        }
        Ok(names)
    }

    fn cursor(&mut self, container: &str) -> &mut Cursor {
        let start = self.position.start;
        self.position.containers.entry(container.to_owned()).or_insert_with(|| Cursor::begin(start))
    }

    /// Where the finished blobs of a container ended.
    fn ends(&mut self, container: &str) -> &mut Ends {
        let now = self.clock;
        let floor = self.cursor(container).floor();
        self.finished.containers.entry(container.to_owned()).or_insert_with(|| {
            self.unkept = true;
            Ends::begin(floor, now)
        })
    }

    /// Before this hour no ends are kept.
    fn oldest_end(&self) -> Hour {
        Hour::of(self.clock.minus(self.input.lookback).minus(finished::KEPT))
    }

    /// Raises the floor, and keeps the ends of the blobs below it.
    fn finish_before(&mut self, container: &str, hour: Hour) {
        let finished = self.cursor(container).finished_before(hour);
        if !finished.is_empty() {
            let oldest = self.oldest_end();
            self.ends(container).add(finished, oldest);
            self.unkept = true;
        }
    }

    /// Reads what is new in the hours that may still grow.
    fn recent(&mut self, container: &str) -> Result<(), Halt> {
        let top = self.list(container, "", true)?;
        let lookback = self.input.lookback;
        // Before anything of it is finished.
        self.ends(container);
        let (span, _) = self.cursor(container).spans(top.at, lookback);
        let listed = self.listed(container, top, span)?;
        let look = self.cursor(container).look(&listed, span, false);
        self.tell_anew(container, &look.anew);
        for stretch in look.stretches {
            self.read(container, &stretch)?;
            if self.is_over() {
                break;
            }
        }
        Ok(())
    }

    /// Finishes the hours that are too old to be looked at again.
    fn history(&mut self, container: &str) -> Result<(), Halt> {
        let lookback = self.input.lookback;
        let now = self.outside.now();
        if self.cursor(container).spans(now, lookback).1.is_none() {
            return Ok(());
        }
        let top = self.list(container, "", true)?;
        let Some(span) = self.cursor(container).spans(top.at, lookback).1 else { return Ok(()) };
        let listed = self.listed(container, top, span)?;
        let look = self.cursor(container).look(&listed, span, true);
        self.tell_anew(container, &look.anew);
        for stretch in look.stretches {
            self.finish_before(container, stretch.hour);
            if self.is_over_for_history() || self.read(container, &stretch)? == Read::InPart {
                self.position.turn = container.to_owned();
                self.tally.history_left = self.tally.history_left.and(self.history_left(container));
                return Ok(());
            }
        }
        if let Some(edge) = span.to {
            self.finish_before(container, edge);
        }
        Ok(())
    }

    /// Looks, once a day, for what was appended to hours that are finished.
    fn late(&mut self, container: &str) -> Result<(), Halt> {
        let floor = self.cursor(container).floor();
        let now = self.clock;
        let Some(floor) = floor.filter(|_| self.ends(container).is_due(now) && !self.is_over_for_history()) else {
            return Ok(());
        };
        let ends = self.ends(container).clone();
        let (mut listed, mut unread) = (Vec::new(), Unread::default());
        let at = self.pages(container, "", false, |page| {
            for blob in page.blobs {
                match ends.place(&blob, floor) {
                    Place::Compared => listed.push(blob),
                    Place::Unread => unread.add(blob),
                    Place::Elsewhere => {}
                }
            }
        })?;
        self.unkept = true;
        let Look { stretches, anew } = self.ends(container).look(&listed);
        self.tell_anew(container, &anew);
        let (mut blobs, before) = (0, self.tally.bytes);
        let mut all = true;
        for stretch in &stretches {
            if self.is_over_for_history() || self.read(container, stretch)? == Read::InPart {
                self.position.turn = container.to_owned();
                all = false;
                break;
            }
            blobs += 1;
        }
        if let (Some(first), bytes @ 1..) = (stretches.first(), self.tally.bytes - before) {
            log::warn!(
                "{}: {container}: {blobs} blobs grew by {bytes} bytes after the look-back had passed, the first of them {}: this was \
                 found and read by the look of once a day; a longer `lookback` brings it sooner",
                self.input,
                first.name
            );
        }
        if all {
            if let Some(first) = &unread.first {
                log::warn!(
                    "{}: {container}: {} blobs were written to more than {} days after the look-back had passed, the first of them \
                     {}: what was appended is not read; a new input whose `start` lies before its hour reads all of it",
                    self.input,
                    unread.count,
                    finished::KEPT.as_secs() / 86_400,
                    first
                );
            }
            let oldest = self.oldest_end();
            self.ends(container).looked(at, oldest);
        }
        Ok(())
    }

    /// How much of a container is still to be finished.
    fn history_left(&mut self, container: &str) -> Option<Duration> {
        let (now, lookback) = (self.outside.now(), self.input.lookback);
        let left = match self.cursor(container).spans(now, lookback).1 {
            Some(Span { from: Some(from), to: Some(to) }) => to.begin().since(from.begin()),
            Some(_) => return None,
            None => Duration::ZERO,
        };
        Some(left.max(self.tally.history_left?))
    }

    /// Reads a stretch piece by piece.
    fn read(&mut self, container: &str, stretch: &Stretch) -> Result<Read, Halt> {
        self.tally.blobs += 1;
        let name = &stretch.name;
        let (mut at, mut held) = (stretch.from, Vec::new());
        while at < stretch.to {
            let length = self.sizes.piece.min(stretch.to - at);
            let piece = match self.ask(|storage| storage.read(container, name, at, length)) {
                Ok(piece) => piece,
                // Removed since it was listed.
                Err(Halt::Error(BlobsError::Storage(error))) if matches!(error.failure, Failure::NoBlob) => {
                    log::debug!("{}: {error}", self.input);
                    return Ok(Read::ToItsEnd);
                }
                Err(Halt::Error(BlobsError::Storage(error))) if matches!(error.failure, Failure::Shorter) => {
                    log::debug!("{}: {error}", self.input);
                    return Ok(Read::InPart);
                }
                Err(halt) => return Err(halt),
            };
            if matches!((piece.created, stretch.created), (Some(is), Some(was)) if is != was) {
                // Another blob under the name of the one that was listed; the next list tells.
                return Ok(Read::InPart);
            }
            at += piece.bytes.len() as u64;
            if held.is_empty() {
                held = piece.bytes;
            } else {
                held.extend_from_slice(&piece.bytes);
            }
            let at_end = at == stretch.to;
            let mut whole = whole_lines(&held, at_end, stretch.is_last);
            if whole == 0 && held.len() >= LONGEST_LINE {
                whole = held.len();
            }
            if whole > 0 {
                self.emit(container, name, at - held.len() as u64, &held[..whole])?;
                held.drain(..whole);
            }
            let offset = at - held.len() as u64;
            let looked = if at_end && !planted(Planted::BlobsHalfLineForgotten) { at } else { 0 };
            let offset = if planted(Planted::BlobsHalfLineForgotten) { at } else { offset };
            if !self.cursor(container).read(name, offset, looked)
                && let Some(ends) = self.finished.containers.get_mut(container)
            {
                ends.read(name, offset);
                self.unkept = true;
            }
            self.of_history += u32::from(stretch.is_last);
            if self.unsaved >= self.sizes.save_every && !self.save()? {
                return Err(Halt::End(End::Stopped));
            }
            if self.outside.pause(Duration::ZERO) {
                return Err(Halt::End(End::Stopped));
            }
            if self.is_over() && at < stretch.to {
                return Ok(Read::InPart);
            }
        }
        Ok(Read::ToItsEnd)
    }

    /// Writes whole lines of a blob, which begin at `offset`.
    fn emit(&mut self, container: &str, name: &str, offset: u64, lines: &[u8]) -> Result<(), Halt> {
        if planted(Planted::BlobsSavedFirst) {
            let mut early = self.position.clone();
            if let Some(cursor) = early.containers.get_mut(container) {
                cursor.read(name, offset + lines.len() as u64, 0);
            }
            self.outside.save(&early)?;
        }
        let (outside, newest) = (&mut *self.outside, &mut self.tally.newest);
        let mut reason: Option<Reason> = None;
        let (mut tally, mut rest) = (records::Tally::default(), lines);
        while !rest.is_empty() {
            let (part, behind) = rest.split_at(part_of(rest));
            rest = behind;
            tally.add(self.reader.read(part, outside.now(), |record| {
                match record.unparsed {
                    Some(why) => drop(reason.get_or_insert(why)),
                    None => *newest = (*newest).max(Some(record.time)),
                }
                outside.write(&record)
            })?);
        }
        if let Some(reason) = reason {
            log::warn!(
                "{}: {container}/{name}: {} lines behind byte {offset} are no records and were passed on as {}: {reason}",
                self.input,
                tally.unparsed,
                records::UNPARSED
            );
        }
        if tally.beside > 0 {
            log::warn!("{}: {container}/{name}: {} members beside `records` were left out", self.input, tally.beside);
        }
        self.tally.records.add(tally);
        self.tally.bytes += lines.len() as u64;
        self.unsaved += lines.len() as u64;
        Ok(())
    }

    /// Saves the position, once its events are out. `false` when a stop was requested first.
    fn save(&mut self) -> Result<bool, BlobsError> {
        if !self.outside.flush()? {
            return Ok(false);
        }
        if self.unkept {
            self.outside.keep(self.finished)?;
            self.unkept = false;
        }
        self.outside.save(self.position)?;
        self.unsaved = 0;
        Ok(true)
    }

    fn tell_anew(&self, container: &str, anew: &[(String, u64)]) {
        for (name, was) in anew {
            log::warn!(
                "{}: {container}/{name} was made anew after {was} bytes of it were read; it is read from its beginning, and what the \
                 two have in common comes again",
                self.input
            );
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.outside.now() >= self.deadline
    }

    /// Whether the time is over, and older hours had their part of it.
    fn is_over_for_history(&self) -> bool {
        self.is_over() && self.of_history >= HISTORY_AT_LEAST
    }

    /// Asks, waiting and trying again as the service's answers call for.
    pub(super) fn ask<T>(&mut self, request: impl Fn(&mut Storage) -> Result<T, Box<StorageError>>) -> Result<T, Halt> {
        let (mut attempt, mut waits) = (0, 0);
        loop {
            self.tally.requests += 1;
            let error = match self.outside.ask(&request) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let seed = self.outside.now().0.unsigned_abs() / 10_000;
            let wait = if error.is_throttled() {
                waits += 1;
                let wait = error.retry_after().unwrap_or_else(|| backoff(waits + 1, seed)).min(LONGEST_PATIENCE);
                let until = self.outside.now().plus(wait);
                if until > self.deadline {
                    log::warn!("{}: {error}; asking again at {}", self.input, until.ceil_ms());
                    return Err(Halt::End(End::NotBefore(until.ceil_ms())));
                }
                self.tally.throttled += wait;
                log::debug!("{}: {error}; waiting {:.1} s", self.input, wait.as_secs_f64());
                wait
            } else {
                attempt += 1;
                let there = !matches!(error.failure, Failure::NoContainer | Failure::NoBlob | Failure::Shorter);
                if attempt >= ATTEMPTS || error.is_permanent() || !there {
                    return Err(error.into());
                }
                log::debug!("{}: attempt {attempt} failed: {error}", self.input);
                backoff(attempt, seed)
            };
            if self.outside.pause(wait) {
                return Err(Halt::End(End::Stopped));
            }
        }
    }
}

/// How many bytes of whole lines are gone through at once: about [`PART`], up to where a line begins as a record does.
fn part_of(lines: &[u8]) -> usize {
    let Some(behind) = lines.get(PART..) else { return lines.len() };
    memchr::memchr_iter(b'\n', behind).find(|at| behind.get(at + 1) == Some(&b'{')).map_or(lines.len(), |at| PART + at + 1)
}

/// Blobs with growth that is not read.
#[derive(Default)]
struct Unread {
    count: usize,
    first: Option<String>,
}

impl Unread {
    fn add(&mut self, blob: Listed) {
        self.count += 1;
        self.first.get_or_insert(blob.name);
    }
}

fn with_remedy(error: &StorageError) -> String {
    match error.remedy() {
        Some(remedy) => format!("{error}; {remedy}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_end_where_a_record_begins() {
        let filler = |length: usize| "x".repeat(length);
        // (before, behind) the place at which it is parted.
        for (before, behind) in [
            (String::new(), String::new()),
            (filler(PART), String::new()),
            (format!("{}\r\n", filler(PART)), "{\"a\":1}\r\n".to_owned()),
            // Not before a line that is no beginning.
            (format!("{}\r\n x\r\n", filler(PART)), "{}\r\n{}\r\n".to_owned()),
            (format!("{}\n", filler(PART + 9)), String::new()),
        ] {
            assert_eq!(part_of(format!("{before}{behind}").as_bytes()), before.len(), "{}", before.len());
        }
    }
}
