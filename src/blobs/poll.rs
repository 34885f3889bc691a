//! The poll itself: which containers are looked into, in which order, what is read, and when it is saved.

mod asides;
mod clock;
mod hours;
mod listing;
mod reading;

use std::collections::BTreeSet;
use std::time::Duration;

use log::Level;

use super::finished::Finished;
use super::position::Position;
use super::{BlobsError, Outside};
use crate::feeds::records::{self, Reader};
use crate::input::StorageInput;
use crate::microsoft::storage::{Failure, Storage, StorageError};
use crate::planted::{Planted, planted};
use crate::retry::{self, ATTEMPTS, Next, Tries};
use crate::time::Ticks;

/// Bytes asked for at once. A blob may have gigabytes, and a piece is held in memory; smaller ones cost more requests.
const PIECE: u64 = 1 << 20;
/// Bytes read after which the position is saved; also what a blob gets at least in its turn, when the time is over.
const SAVE_EVERY: u64 = 4 << 20;
/// Older hours' turns that are read in every poll, also when recent ones took all of its time.
const HISTORY_AT_LEAST: u32 = 3;
/// What goes on keeping a container from being read is told again after this time.
const TOLD_AGAIN: Duration = Duration::from_secs(3600);

/// The most answers that one list may take; each holds 5,000 names at most.
const PAGES: usize = 100;

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
    /// Those among them that could not be read.
    pub refused: usize,
    /// Blobs that cannot be read and are tried again later.
    pub aside: usize,
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

/// See [`PIECE`], [`SAVE_EVERY`] and [`PAGES`]; a simulation takes others.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) piece: u64,
    pub(super) save_every: u64,
    pub(super) pages: usize,
}

/// One poll under way.
pub struct Poll<'a, O> {
    input: &'a StorageInput,
    position: &'a mut Position,
    finished: &'a mut Finished,
    reader: &'a mut Reader,
    outside: &'a mut O,
    deadline: Ticks,
    /// When the poll ends whatever it is at.
    limit: Ticks,
    /// When the last list began, by the clock that is behind: the service's or this machine's.
    clock: Ticks,
    /// Whether the last list told the service's time.
    dated: bool,
    /// Whether no answer of the service has confirmed yet where the input begins.
    begins: bool,
    /// Bytes of names that are held.
    held: usize,
    pub(super) sizes: Sizes,
    /// Bytes written since the position was saved.
    pub(super) unsaved: u64,
    /// Whether `finished` changed since it was saved.
    unkept: bool,
    /// Turns that older hours had in this poll.
    of_history: u32,
    /// Blobs that were set aside in this poll.
    fresh: BTreeSet<(String, String)>,
    /// Blobs set aside that were told.
    named: usize,
    /// Blobs that were tried again.
    retried: usize,
    /// Blobs in a row that failed as if the service did.
    failures: u32,
    /// Containers in a row that did.
    failing: u32,
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
    /// A poll that has asked nothing yet. Position and ends are those of [`super::position()`].
    pub fn new(
        input: &'a StorageInput,
        (position, finished): (&'a mut Position, &'a mut Finished),
        reader: &'a mut Reader,
        outside: &'a mut O,
    ) -> Self {
        let now = outside.now();
        let begins = position.containers.is_empty();
        Self {
            input,
            position,
            finished,
            reader,
            outside,
            deadline: now.plus(input.budget),
            limit: retry::limit(now, input.budget),
            clock: now,
            dated: false,
            begins,
            held: 0,
            sizes: Sizes { piece: PIECE, save_every: SAVE_EVERY, pages: PAGES },
            unsaved: 0,
            unkept: false,
            of_history: 0,
            fresh: BTreeSet::new(),
            named: 0,
            retried: 0,
            failures: 0,
            failing: 0,
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
        if let Some(until) = retry::not_before(self.position.not_before.as_deref(), self.outside.now()) {
            return Ok(End::NotBefore(until));
        }
        self.position.not_before = None;
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
        // Where no other container was looked into since the service told its time.
        self.confirm_start();
        self.tally.refused = self.refused.len();
        self.count_aside();
        let mut refused = std::mem::take(&mut self.refused).into_iter();
        let end = match end {
            Ok(End::Done) if self.well.is_empty() => refused.next().map_or(Ok(End::Done), |(_, error)| Err(Box::new(error))),
            end => end,
        };
        for (container, error) in refused {
            self.tell(&container, Level::Error, &with_remedy(&error), TOLD_AGAIN);
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

    /// Tells what keeps a container, or all of them, from being read, or is otherwise wrong: at once, and for as long as it lasts again
    /// after some time.
    fn tell(&mut self, about: &str, level: Level, text: &str, again: Duration) {
        self.troubled.insert(about.to_owned());
        let now = self.outside.now();
        // A time that is yet to come was written by a clock that was wrong.
        let fresh = |told: &i64| Ticks(*told) <= now && now.since(Ticks(*told)) < again;
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
            // A service that fails for everything is not asked for the rest of it.
            if self.is_over_limit() || (self.is_over() && self.failing > 0) {
                return self.cut_short(container);
            }
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
            if self.one(&container, Self::history)? && self.one(&container, Self::late)? && self.one(&container, Self::retry)? {
                self.well.insert(container);
            }
        }
        Ok(())
    }

    /// Does something with a container; false when it could not be done for a reason that is its own.
    fn one(&mut self, container: &str, act: fn(&mut Self, &str) -> Result<(), Halt>) -> Result<bool, Halt> {
        self.failures = 0;
        match act(self, container) {
            Ok(()) => {
                self.failing = 0;
                Ok(true)
            }
            Err(Halt::Error(BlobsError::Storage(error))) if matches!(error.failure, Failure::NoContainer) => {
                self.tell(container, Level::Warn, &with_remedy(&error), TOLD_AGAIN);
                Ok(false)
            }
            Err(Halt::Error(BlobsError::Storage(error)))
                if error.is_about_one() && !planted(Planted::BlobsOneContainerKeepsAll) =>
            {
                self.failing += u32::from(error.is_of_the_way());
                self.refused.push((container.to_owned(), *error));
                // What it holds is not known.
                self.tally.history_left = None;
                Ok(false)
            }
            Err(Halt::End(end @ (End::NotBefore(_) | End::Done))) => {
                // It may be this container alone that makes others wait: the next poll begins behind it.
                self.position.turn = format!("{container} ");
                Err(Halt::End(end))
            }
            Err(halt) => Err(halt),
        }
    }

    /// Ends the poll before this container.
    fn cut_short(&mut self, container: String) -> Result<(), Halt> {
        log::warn!("{}: the poll took too long; the next one goes on with {container}", self.input);
        self.position.turn = container;
        self.tally.history_left = None;
        Err(Halt::End(End::Done))
    }

    /// Whether the poll took so long that it ends whatever it is at.
    fn is_over_limit(&self) -> bool {
        self.outside.now() >= self.limit
    }

    /// Ends the poll when it took too long for another answer of a list. The first is always asked for.
    fn in_time(&mut self, answers: usize) -> Result<(), Halt> {
        if answers < 2 || !self.is_over_limit() {
            return Ok(());
        }
        log::warn!("{}: the poll took too long over a list; the next one goes on", self.input);
        self.tally.history_left = None;
        Err(Halt::End(End::Done))
    }

    pub(super) fn is_over(&self) -> bool {
        self.outside.now() >= self.deadline
    }

    /// Whether the time is over, and older hours had their part of it.
    fn is_over_for_history(&self) -> bool {
        self.is_over_limit() || (self.is_over() && self.of_history >= HISTORY_AT_LEAST)
    }

    /// Asks, waiting and trying again as the service's answers call for.
    fn ask<T>(&mut self, request: impl Fn(&mut Storage) -> Result<T, Box<StorageError>>) -> Result<T, Halt> {
        let mut tries = Tries::new(ATTEMPTS);
        loop {
            self.tally.requests += 1;
            let error = match self.outside.ask(&request) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let there = !matches!(error.failure, Failure::NoContainer | Failure::NoBlob | Failure::Shorter);
            // What failed for another object may well fail for all.
            let helps = there && !error.is_permanent() && self.failing == 0 && !self.is_over();
            let wait = match tries.after(&*error, helps, self.outside.now(), self.deadline) {
                Next::Failed => return Err(error.into()),
                Next::NotBefore(until) => {
                    log::warn!("{}: {error}; asking again at {until}", self.input);
                    return Err(Halt::End(End::NotBefore(until)));
                }
                Next::Obey(wait) => {
                    self.tally.throttled += wait;
                    log::debug!("{}: {error}; waiting {:.1} s", self.input, wait.as_secs_f64());
                    wait
                }
                Next::Again(wait) => {
                    log::debug!("{}: attempt {} failed: {error}", self.input, tries.failures());
                    wait
                }
            };
            if self.outside.pause(wait) {
                return Err(Halt::End(End::Stopped));
            }
        }
    }
}

fn with_remedy(error: &StorageError) -> String {
    match error.remedy() {
        Some(remedy) => format!("{error}; {remedy}"),
        None => error.to_string(),
    }
}
