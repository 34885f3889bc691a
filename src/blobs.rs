//! One poll of `feed = storage`: the blobs of a storage account into events.
//!
//! - Records are written, flushed and taken by splunkd, then the position that covers them is saved. A crash repeats what was
//!   written since the last save, `SAVE_EVERY` at most and one piece, and loses nothing.
//! - Hours that may still grow come first, the newest first of all; what is left of the poll's time finishes older hours,
//!   the oldest first.
//! - A container that cannot be read does not keep the others; an error never looks like no data.

pub mod cursor;
mod live;
pub mod position;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod simulation;

use std::time::Duration;

use self::cursor::{Cursor, Hour, Span, Stretch, whole_lines};
pub use self::live::{check, run};
use self::position::Position;
use crate::checkpoint::CheckpointError;
use crate::feeds::records::{self, Reader, Reason, Record};
use crate::http::HttpError;
use crate::input::{StorageInput, Tables};
use crate::microsoft::storage::{AccessError, Failure, Listed, Storage, StorageError};
use crate::microsoft::token::TokenError;
use crate::pace::backoff;
use crate::planted::{Planted, planted};
use crate::splunk::event::StreamError;
use crate::time::Ticks;

/// What the names of the containers begin with; the table's name in lower case follows.
pub const CONTAINER: &str = "insights-logs-advancedhunting-";

/// Bytes asked for at once. A blob may have gigabytes, and a piece is held in memory.
const PIECE: u64 = 4 << 20;
/// A line of this many bytes without an end is no record; it is passed on in parts. A record has 1 MB at most.
const LONGEST_LINE: usize = 64 << 20;
/// Bytes read after which the position is saved.
const SAVE_EVERY: u64 = 4 << 20;
/// Days that are listed one by one; for more, all there is is listed once.
const DAYS: i64 = 10;
/// The day after is listed as well when it is this near.
const MIDNIGHT: Duration = Duration::from_secs(600);
/// Older hours' pieces that are read in every poll, also when recent ones took all of its time.
const HISTORY_AT_LEAST: u32 = 3;
/// How often one request is sent when the service fails.
const ATTEMPTS: u32 = 3;
/// The longest that a service's wish to be left alone is obeyed from one run to the next.
const LONGEST_PATIENCE: Duration = Duration::from_secs(3600);

/// Everything a poll does to the world, so that a simulation can stand in for it.
pub trait Outside {
    /// The machine's clock.
    fn now(&self) -> Ticks;
    /// Waits; `true` when a stop was requested.
    fn pause(&self, span: Duration) -> bool;
    /// Sends one request.
    ///
    /// # Errors
    /// See [`StorageError`].
    fn ask<T>(&mut self, request: impl FnOnce(&mut Storage) -> Result<T, Box<StorageError>>) -> Result<T, Box<StorageError>>;
    /// Writes one event.
    ///
    /// # Errors
    /// See [`StreamError`].
    fn write(&mut self, record: &Record<'_>) -> Result<(), StreamError>;
    /// Flushes, and waits until the events are taken. `false` when a stop was requested first.
    ///
    /// # Errors
    /// See [`StreamError`].
    fn flush(&mut self) -> Result<bool, StreamError>;
    /// Saves the position.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    fn save(&mut self, position: &Position) -> Result<(), CheckpointError>;
}

/// The position to go on from. On the first run it is made and saved, before anything is asked: `start` then means the
/// same instant however often the first run fails.
///
/// # Errors
/// [`CheckpointError::Unsaved`].
pub fn position(saved: Option<Position>, input: &StorageInput, outside: &mut impl Outside) -> Result<Position, CheckpointError> {
    let now = outside.now();
    let (position, changed) =
        saved.and_then(|saved| saved.go_on(input, now)).unwrap_or_else(|| (Position::begin(input, now), true));
    if changed {
        outside.save(&position)?;
    }
    Ok(position)
}

/// Why a poll ended before its time. Whatever was saved before holds.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is one layer's error, documented there")]
pub enum BlobsError {
    #[error(transparent)]
    Storage(#[from] Box<StorageError>),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("account `{account}`: connection_string: {reason}")]
    Access { account: String, reason: AccessError },
}

impl BlobsError {
    /// Whether it comes again until a person has acted.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Storage(error) => error.is_permanent(),
            Self::Stream(_) => false,
            Self::Checkpoint(error) => matches!(error, CheckpointError::Unreadable { .. }),
            Self::Token(error) => error.is_permanent(),
            Self::Http(error) => matches!(error, HttpError::Setup(_)),
            Self::Access { .. } => true,
        }
    }

    /// What to do about it, where the message does not already say so.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Storage(error) => error.remedy(),
            Self::Checkpoint(error) => Some(error.remedy().to_owned()),
            Self::Token(error) => error.remedy(),
            Self::Http(_) => Some("correct it on the Configuration page of the app, tab Settings".to_owned()),
            Self::Stream(_) | Self::Access { .. } => None,
        }
    }
}

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
enum Halt {
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
struct Sizes {
    piece: u64,
    save_every: u64,
}

/// One poll under way.
pub struct Poll<'a, O> {
    input: &'a StorageInput,
    position: &'a mut Position,
    reader: &'a mut Reader,
    outside: &'a mut O,
    deadline: Ticks,
    sizes: Sizes,
    /// Bytes written since the position was saved.
    unsaved: u64,
    /// Pieces of older hours read in this poll.
    of_history: u32,
    /// Containers that could not be read.
    refused: Vec<StorageError>,
    /// What it did so far.
    pub tally: Tally,
}

impl<'a, O: Outside> Poll<'a, O> {
    /// A poll that has asked nothing yet.
    pub fn new(input: &'a StorageInput, position: &'a mut Position, reader: &'a mut Reader, outside: &'a mut O) -> Self {
        let deadline = outside.now().plus(input.budget);
        let tally = Tally { history_left: Some(Duration::ZERO), ..Tally::default() };
        let sizes = Sizes { piece: PIECE, save_every: SAVE_EVERY };
        Self { input, position, reader, outside, deadline, sizes, unsaved: 0, of_history: 0, refused: Vec::new(), tally }
    }

    /// Reads what is new, then what is to be finished, until nothing is left or the time is over.
    ///
    /// # Errors
    /// See [`BlobsError`]. One container's is given at the end, when all others were read.
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
        // What was read before a failure was read.
        if (*self.position != before || self.unsaved > 0) && !self.save()? {
            return Ok(End::Stopped);
        }
        let mut errors = end.as_ref().err().map(|error| &**error).into_iter().chain(&self.refused);
        let first = errors.next().is_some();
        for error in errors {
            log::error!("{}: {}", self.input, with_remedy(error));
        }
        match end {
            Ok(_) if first => Err(Box::new(self.refused.swap_remove(0)).into()),
            Ok(end) => Ok(end),
            Err(error) => Err(error.into()),
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
            if self.is_over() && self.of_history >= HISTORY_AT_LEAST {
                self.position.turn.clone_from(&container);
                self.tally.history_left = self.tally.history_left.and(self.history_left(&container));
                continue;
            }
            self.one(&container, Self::history)?;
        }
        Ok(())
    }

    /// Does something with a container; false when it could not be done for a reason that is its own.
    fn one(&mut self, container: &str, act: fn(&mut Self, &str) -> Result<(), Halt>) -> Result<bool, Halt> {
        match act(self, container) {
            Ok(()) => Ok(true),
            Err(Halt::Error(BlobsError::Storage(error))) if matches!(error.failure, Failure::NoContainer) => {
                log::warn!("{}: {}", self.input, with_remedy(&error));
                Ok(false)
            }
            Err(Halt::Error(BlobsError::Storage(error))) if error.is_about_one() => {
                self.refused.push(*error);
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
            log::warn!(
                "{}: the storage account has no container whose name begins with {CONTAINER}: Defender makes them with the first \
                 records; check that its streaming settings name this storage account",
                self.input
            );
        }
        Ok(names)
    }

    fn cursor(&mut self, container: &str) -> &mut Cursor {
        let start = self.position.start;
        self.position.containers.entry(container.to_owned()).or_insert_with(|| Cursor::begin(start))
    }

    /// Reads what is new in the hours that may still grow.
    fn recent(&mut self, container: &str) -> Result<(), Halt> {
        let top = self.list(container, "", true)?;
        let lookback = self.input.lookback;
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
            self.cursor(container).finished_before(stretch.hour);
            if self.is_over() && self.of_history >= HISTORY_AT_LEAST || self.read(container, &stretch)? == Read::InPart {
                self.position.turn = container.to_owned();
                self.tally.history_left = self.tally.history_left.and(self.history_left(container));
                return Ok(());
            }
        }
        if let Some(edge) = span.to {
            self.cursor(container).finished_before(edge);
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

    /// All blobs of a container in a span of hours, and some others perhaps.
    fn listed(&mut self, container: &str, top: Top, span: Span) -> Result<Vec<Listed>, Halt> {
        let mut listed = top.blobs;
        for folder in top.folders {
            let before = listed.len();
            let days = days(&folder, span, top.at);
            for day in days.iter().flatten() {
                listed.extend(self.list(container, &format!("{folder}{day}"), false)?.blobs);
            }
            // Nothing where the days should be: there is nothing, or the names have another form.
            if days.is_none() || (listed.len() == before && !self.is_by_year(container, &folder)?) {
                listed.extend(self.list(container, &folder, false)?.blobs);
            }
        }
        Ok(listed)
    }

    fn is_by_year(&mut self, container: &str, folder: &str) -> Result<bool, Halt> {
        let inside = self.list(container, folder, true)?;
        Ok(inside.blobs.is_empty() && inside.folders.iter().all(|name| name[folder.len()..].starts_with("y=")))
    }

    /// A whole list, however many answers it takes.
    fn list(&mut self, container: &str, prefix: &str, folders: bool) -> Result<Top, Halt> {
        let asked_at = self.outside.now();
        let mut top = Top { blobs: Vec::new(), folders: Vec::new(), at: asked_at };
        let mut marker = String::new();
        loop {
            let page = self.ask(|storage| storage.blobs(container, prefix, folders, &marker))?;
            if marker.is_empty() {
                // The service's clock when it looked, or earlier.
                top.at = page.at.map_or(asked_at, |date| date.minus(self.outside.now().since(asked_at)));
            }
            top.blobs.extend(page.blobs);
            top.folders.extend(page.folders);
            if page.next.is_empty() {
                return Ok(top);
            }
            marker = page.next;
        }
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
            self.cursor(container).read(name, offset, looked);
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
        let tally = self.reader.read(lines, outside.now(), |record| {
            match record.unparsed {
                Some(why) => drop(reason.get_or_insert(why)),
                None => *newest = (*newest).max(Some(record.time)),
            }
            outside.write(&record)
        })?;
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

    fn is_over(&self) -> bool {
        self.outside.now() >= self.deadline
    }

    /// Asks, waiting and trying again as the service's answers call for.
    fn ask<T>(&mut self, request: impl Fn(&mut Storage) -> Result<T, Box<StorageError>>) -> Result<T, Halt> {
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

/// A list as it came.
struct Top {
    blobs: Vec<Listed>,
    folders: Vec<String>,
    /// The service's clock when it began to list.
    at: Ticks,
}

/// The days of a span by the beginnings of their names, behind the tenant's; `None` when there are too many, or the folder
/// is no tenant's.
fn days(folder: &str, span: Span, now: Ticks) -> Option<Vec<String>> {
    if !folder.starts_with("tenantId=") {
        return None;
    }
    let day = |hour: Hour| hour.0.div_euclid(24);
    let (first, end) = (span.from?, span.to.unwrap_or(Hour(Hour::of(now.plus(MIDNIGHT)).0 + 1)));
    let (first, last) = (day(first), day(Hour(end.0 - 1)));
    (last - first < DAYS).then(|| (first..=last).map(|day| Hour(day * 24).day()).collect())
}

fn with_remedy(error: &StorageError) -> String {
    match error.remedy() {
        Some(remedy) => format!("{error}; {remedy}"),
        None => error.to_string(),
    }
}
