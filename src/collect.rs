//! One poll of one input: the only place that knows the order in which things happen.
//!
//! - An answer's events are written while it comes in, flushed and taken by splunkd, then the position that covers them is
//!   saved. A crash repeats at most one answer and loses none. An answer that breaks off proves nothing, but what was written
//!   of it is remembered.
//! - News come first; what is left of the poll's time goes to the history.
//! - A failed answer is tried again, then asked in halves; a millisecond that cannot be read is set aside and named.
//! - An error never looks like no data.

mod arrival;
mod clocks;
mod expansion;
mod late;
mod refusal;

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use crate::checkpoint::{Checkpoint, CheckpointError, Subject, Warned};
use crate::cursor::{Aim, Ask, Cursor, Failed, MAX_GIVEN_UP, Window};
use crate::feeds::{Draft, IncludeAlerts};
use crate::input::{Input, Start};
use crate::late::Late;
use crate::late::file::Head;
use crate::microsoft::api_error::{ApiError, Failure};
use crate::microsoft::client::{Incoming, Reply};
use crate::microsoft::cloud::Api;
use crate::microsoft::page::{Broken, PageError, PageReader, Room};
use crate::microsoft::query::{Expand, List, Order};
use crate::pace::{Pace, backoff};
use crate::planted::{Planted, planted};
use crate::retry::{self, ATTEMPTS, Next, Tries};
use crate::splunk::event::StreamError;
use crate::time::Ticks;
use crate::version::Version;
use arrival::Arrival;

/// Everything a poll does to the world, so that a simulation can stand in for it.
pub trait Outside {
    /// The machine's clock.
    fn now(&self) -> Ticks;
    /// Waits; `true` when a stop was requested.
    fn pause(&self, span: Duration) -> bool;
    /// Sends one request that reads; the body is read while its rows are written, with any pause in between.
    ///
    /// # Errors
    /// See [`ApiError`].
    fn get(&mut self, path_and_query: &str) -> Result<Reply<Incoming>, Box<ApiError>>;
    /// Writes one event.
    ///
    /// # Errors
    /// See [`StreamError`].
    fn write(&mut self, draft: &Draft) -> Result<(), StreamError>;
    /// Flushes, and waits until the events are taken. `false` when a stop was requested first.
    ///
    /// # Errors
    /// See [`StreamError`].
    fn flush(&mut self) -> Result<bool, StreamError>;
    /// Saves the position.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    fn save(&mut self, checkpoint: &Checkpoint) -> Result<(), CheckpointError>;
    /// The memory of the late look; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    fn memory(&mut self) -> io::Result<Option<Head>>;
    /// What the memory holds, in no order.
    ///
    /// # Errors
    /// As [`Outside::memory`], and when there is none.
    fn recall(&mut self) -> io::Result<Vec<Version>>;
    /// Adds to the memory, lastingly; says how many versions it holds now.
    ///
    /// # Errors
    /// When it cannot be written.
    fn remember(&mut self, versions: &[Version]) -> io::Result<u64>;
    /// Replaces the memory, whatever it was, by one of this name with these versions.
    ///
    /// # Errors
    /// When it cannot be written; then it is as it was before.
    fn begin_memory(&mut self, name: u64, versions: &[Version]) -> io::Result<()>;
}

/// The position to go on from. On the first run it is made and saved, before anything is asked: `start` then means the
/// same instant however often the first run fails.
///
/// # Errors
/// [`CheckpointError::Unsaved`].
pub fn position(
    saved: Option<Checkpoint>,
    input: &Input,
    tenant_id: &str,
    outside: &mut impl Outside,
) -> Result<Checkpoint, CheckpointError> {
    let subject = Subject {
        stanza: input.name.clone(),
        tenant_id: tenant_id.to_owned(),
        feed: input.feed.name.to_owned(),
        api: input.api.clone(),
        filter: input.filter.clone(),
    };
    if let Some(mut saved) = saved {
        let was = std::mem::replace(&mut saved.subject, subject.clone());
        if was.is_same_set(&subject) {
            if was.api != subject.api || was.filter != subject.filter {
                // What another look at the set shows of the last days was not late.
                saved.late = Late::default();
                log::warn!("{input}: its api or filter changed; it goes on from where it was");
            }
            if planted(Planted::DropsHistory) {
                saved.cursor.drop_history();
            }
            return Ok(saved);
        }
        log::warn!(
            "{input}: its tenant or feed changed, so it begins again at its start; the id of a tenant and its domain name count as two"
        );
    }
    let now = outside.now();
    let mut cursor = Cursor::begin(input.start.resolve(now), now, input.lookback);
    if matches!(input.start, Start::At(_)) {
        cursor = cursor.with_fixed_start();
    }
    let checkpoint = Checkpoint { subject, not_before: None, warned: Warned::default(), cursor, late: Late::default() };
    if !planted(Planted::StartNotSaved) {
        outside.save(&checkpoint)?;
    }
    Ok(checkpoint)
}

/// Why a poll ended before its time. Whatever was saved before holds.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The service refused, or failed again and again.
    #[error(transparent)]
    Api(Box<ApiError>),
    /// The service's answers cannot be read.
    #[error("{path}: {reason}")]
    Page {
        /// The request.
        path: String,
        /// What is wrong with its answer.
        reason: PageError,
    },
    /// splunkd is gone.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The position cannot be saved.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Too many windows cannot be read.
    #[error("{MAX_GIVEN_UP} time stamps cannot be read: {path}: {reason}")]
    TooManyGivenUp {
        /// The last of them.
        path: String,
        /// How it failed.
        reason: String,
    },
}

impl CollectError {
    fn is_bad_request(&self) -> bool {
        matches!(self, Self::Api(error) if matches!(error.failure, Failure::BadRequest))
    }
}

impl retry::Throttled for CollectError {
    fn is_throttled(&self) -> bool {
        matches!(self, Self::Api(error) if error.is_throttled())
    }

    fn retry_after(&self) -> Option<Duration> {
        if let Self::Api(error) = self { error.retry_after() } else { None }
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

/// What one poll did, for its log line.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests sent.
    pub requests: u32,
    /// Objects received.
    pub rows: usize,
    /// Events written.
    pub events: usize,
    /// Versions, of objects and of their alerts, that were written before and left out.
    pub repeats: usize,
    /// Windows asked again in halves after a failure.
    pub halved: u32,
    /// Time spent waiting because the service said so.
    pub throttled: Duration,
    /// The newest update time received.
    pub newest: Option<Ticks>,
    /// Whether news were left to the next poll.
    pub is_cut_short: bool,
}

/// Requests for history in every poll, also when news took all of its time: otherwise a busy tenant's would never be read.
const HISTORY_AT_LEAST: u32 = 3;
/// After so many failed windows without one success the service is at fault, not an object.
const FAILURES_IN_A_ROW: u32 = 6;

/// One poll under way.
pub struct Poll<'a, O> {
    input: &'a Input,
    checkpoint: &'a mut Checkpoint,
    outside: &'a mut O,
    pace: Pace,
    order: Order,
    deadline: Ticks,
    /// When the poll ends, whatever it is at.
    limit: Ticks,
    failures: u32,
    /// What the service refused as too old in this poll.
    too_old: Option<(Window, String)>,
    room: Room,
    /// While a late look is under way: what was emitted in its stretch, sorted.
    looking: Option<Vec<Version>>,
    /// The whole memory of the late look, sorted, once a row asked for it.
    recalled: Option<Vec<Version>>,
    /// What it did so far.
    pub tally: Tally,
}

/// What is asked for.
enum Asking<'a> {
    /// The rows of a window, with or without what they are expanded by.
    List(&'a Ask, Expand),
    /// The incidents of a window that failed with their alerts, without them.
    Rows(&'a Ask),
    /// A path of its own.
    Object(&'a str),
}

/// What came of a request, or why nothing did.
enum Fetched<T> {
    Done(T),
    Failed(CollectError),
    End(End),
}

/// Why an answer that had begun came to nothing.
enum Spoilt {
    /// It broke off.
    Api(Box<ApiError>),
    /// It cannot be read.
    Page(PageError),
    /// It was not the answer's fault, and no other will do better.
    Fatal(CollectError),
}

impl From<Broken<Box<ApiError>>> for Spoilt {
    fn from(broken: Broken<Box<ApiError>>) -> Self {
        match broken {
            Broken::Source(error) => Self::Api(error),
            Broken::Page(error) => Self::Page(error),
        }
    }
}

impl<E: Into<CollectError>> From<E> for Spoilt {
    fn from(error: E) -> Self {
        Self::Fatal(error.into())
    }
}

impl<'a, O: Outside> Poll<'a, O> {
    /// A poll that has asked nothing yet. `checkpoint` is already saved once, so that `start` means the same instant when
    /// the first run fails.
    pub fn new(input: &'a Input, checkpoint: &'a mut Checkpoint, outside: &'a mut O) -> Self {
        let now = outside.now();
        let (deadline, limit) = (now.plus(input.budget), retry::limit(now, input.budget));
        // Neither Defender API documents an order for these lists, and both serve the newest first.
        let order = if input.resource.api() == Api::Graph { Order::OldestFirst } else { Order::AsServed };
        let (pace, tally) = (Pace::new(input.resource.rate()), Tally::default());
        let (room, too_old, looking, recalled) = (Room::default(), None, None, None);
        Self { input, checkpoint, outside, pace, order, deadline, limit, failures: 0, too_old, room, looking, recalled, tally }
    }

    /// Reads news, then history, until nothing is left or the time is over; and once a day what may have come late.
    ///
    /// # Errors
    /// See [`CollectError`].
    pub fn run(&mut self) -> Result<End, CollectError> {
        if let Some(until) = retry::not_before(self.checkpoint.not_before.as_deref(), self.outside.now()) {
            return Ok(End::NotBefore(until));
        }
        self.checkpoint.not_before = None;
        self.open_memory();
        let read = self.read_on();
        self.tell_of_refusal();
        let end = match read? {
            End::Done => self.look()?,
            end => end,
        };
        if let End::NotBefore(until) = end {
            self.checkpoint.not_before = Some(until.to_string());
            self.outside.save(self.checkpoint)?;
        }
        Ok(end)
    }

    fn read_on(&mut self) -> Result<End, CollectError> {
        self.checkpoint.cursor.open_poll(self.input.lookback);
        let mut asked_of_history = 0;
        while let Some(ask) = self.checkpoint.cursor.next_ask() {
            if self.outside.now() >= self.limit {
                self.tally.is_cut_short = true;
                log::debug!("{}: the poll took too long; the next one goes on", self.input);
                break;
            }
            if ask.aim != Aim::Head {
                if self.outside.now() >= self.deadline && asked_of_history >= HISTORY_AT_LEAST {
                    if ask.aim == Aim::BackFill {
                        break;
                    }
                    // It is left to the next poll; there may be news behind it.
                    continue;
                }
                asked_of_history += 1;
            }
            if let Some(end) = self.read(ask)? {
                return Ok(end);
            }
        }
        self.tell_of_clocks()?;
        Ok(End::Done)
    }

    /// Asks for one window and takes what comes.
    fn read(&mut self, ask: Ask) -> Result<Option<End>, CollectError> {
        let asking = Asking::List(&ask, self.expand());
        match self.fetch(&asking, |poll, reply, looked| poll.arrive(&ask, reply, looked)) {
            Fetched::Done(end) => Ok(end),
            Fetched::Failed(error) => self.halve(&ask, error),
            Fetched::End(end) => Ok(Some(end)),
        }
    }

    fn expand(&self) -> Expand {
        if self.input.include_alerts == IncludeAlerts::None { Expand::Nothing } else { Expand::Alerts }
    }

    /// The request of a window, for messages.
    fn path(&self, ask: &Ask) -> String {
        self.query(ask, self.expand()).path_and_query()
    }

    fn query(&self, ask: &Ask, expand: Expand) -> List<'a> {
        List {
            resource: self.input.resource,
            lo: ask.window.lo,
            hi: ask.window.hi,
            extra_filter: self.input.filter.as_deref(),
            order: self.order,
            top: self.input.page_size,
            skip: ask.skip,
            expand,
        }
    }

    /// Asks, and lets `take` have the answer and the service's clock; waits and tries again as the answers call for, also when
    /// one turns out to be broken after it began.
    fn fetch<T>(
        &mut self,
        asking: &Asking<'_>,
        mut take: impl FnMut(&mut Self, Reply<Incoming>, Option<Ticks>) -> Result<T, Spoilt>,
    ) -> Fetched<T> {
        let mut tries = Tries::new(match asking {
            // It failed on earlier polls, and will be tried on later ones.
            Asking::List(ask, _) if ask.aim == Aim::Retry || ask.is_half => 1,
            Asking::List(..) => ATTEMPTS,
            Asking::Rows(_) => 1,
            Asking::Object(_) => 2,
        });
        let (was_ordered, mut refusals) = (self.order == Order::OldestFirst, 0);
        loop {
            let wait = self.pace.wait(self.outside.now());
            if self.outside.pause(wait) {
                return Fetched::End(End::Stopped);
            }
            let path = match asking {
                Asking::List(ask, expand) => self.query(ask, *expand).path_and_query(),
                Asking::Rows(ask) => self.query(ask, Expand::Nothing).path_and_query(),
                Asking::Object(path) => (*path).to_owned(),
            };
            let asked_at = self.outside.now();
            self.tally.requests += 1;
            let error = match self.outside.get(&path) {
                Ok(reply) => {
                    let looked = self.hear(reply.service_time, asked_at);
                    match take(self, reply, looked) {
                        Ok(done) => return Fetched::Done(done),
                        Err(Spoilt::Api(error)) => CollectError::Api(error),
                        // What cannot be read is an answer that failed, not an empty one.
                        Err(Spoilt::Page(reason)) => CollectError::Page { path, reason },
                        Err(Spoilt::Fatal(error)) => return Fetched::Failed(error),
                    }
                }
                Err(error) if is_refused_list(asking, &error) && refusals == 0 => {
                    refusals += 1;
                    if was_ordered {
                        log::debug!("{}: order refused, going on without: {error}", self.input);
                        self.order = Order::AsServed;
                    } else if self.outside.pause(backoff(1, 0)) {
                        return Fetched::End(End::Stopped);
                    }
                    continue;
                }
                Err(error) => CollectError::Api(error),
            };
            if was_ordered && refusals > 0 && error.is_bad_request() {
                // It was not the order.
                self.order = Order::OldestFirst;
            }
            let helps = helps_to_ask_again(&error);
            let wait = match tries.after(&error, helps, self.outside.now(), self.deadline) {
                Next::Failed => return Fetched::Failed(error),
                Next::NotBefore(until) => {
                    log::warn!("{}: {error}; asking again at {until}", self.input);
                    return Fetched::End(End::NotBefore(until));
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
                return Fetched::End(End::Stopped);
            }
        }
    }

    fn remember(&mut self, alerts: BTreeMap<Version, Version>) {
        let memory = &mut self.checkpoint.cursor.alerts;
        for (alert, unplaced) in alerts {
            if alert != unplaced {
                memory.forget(unplaced);
            }
            memory.note(alert);
        }
        let forgotten = memory.evict();
        if forgotten > 0 {
            log::warn!(
                "{}: {forgotten} alerts not seen for long were forgotten; should they change, they come again",
                self.input
            );
        }
    }

    /// A window failed: asks for it in halves, as long as the service answers anything at all.
    fn halve(&mut self, ask: &Ask, error: CollectError) -> Result<Option<End>, CollectError> {
        if planted(Planted::ErrorIsEmpty) {
            return self.complete(Arrival::new(ask, Some(self.outside.now())), false);
        }
        if error.is_bad_request() {
            return self.refuse(ask, error);
        }
        self.failures += 1;
        if self.failures > FAILURES_IN_A_ROW || !may_be_the_windows_fault(&error) || self.outside.now() >= self.limit {
            return Err(error);
        }
        // What divides best is known of the incidents themselves, where they come without their alerts.
        if self.expands() && (ask.is_one_millisecond() || !(ask.is_half || ask.skips())) {
            match self.take_apart(ask)? {
                Ok(end) => return Ok(end),
                Err(error) if ask.is_one_millisecond() => return self.leave(ask, &error.to_string()),
                Err(_) => {}
            }
        }
        let now = self.outside.now();
        match self.cursor().failed(ask, now) {
            Failed::Halved => {
                self.tally.halved += 1;
                log::debug!("{}: asking in halves: {error}", self.input);
                Ok(None)
            }
            Failed::Unsplittable => self.leave(ask, &error.to_string()),
        }
    }

    fn leave(&mut self, ask: &Ask, reason: &str) -> Result<Option<End>, CollectError> {
        self.set_aside(ask, reason)?;
        self.save()?;
        Ok(None)
    }

    fn tell_set_aside(&self, window: Window, reason: &str) {
        log::warn!(
            "{}: what was updated at {} cannot be read whole; it is set aside and tried again: {reason}",
            self.input,
            window.lo
        );
    }

    fn set_aside(&mut self, ask: &Ask, reason: &str) -> Result<(), CollectError> {
        self.tell_set_aside(ask.window, reason);
        if self.cursor().give_up(ask) {
            return Ok(());
        }
        Err(CollectError::TooManyGivenUp { path: self.path(ask), reason: reason.to_owned() })
    }
}

/// Whether the service refuses to list: perhaps only in this order, or only once.
fn is_refused_list(asking: &Asking<'_>, error: &ApiError) -> bool {
    matches!(asking, Asking::List(..)) && matches!(error.failure, Failure::BadRequest)
}

/// Whether the same request may succeed a moment later.
fn helps_to_ask_again(error: &CollectError) -> bool {
    match error {
        CollectError::Api(error) => !error.is_permanent() && !matches!(error.failure, Failure::TooLarge(_) | Failure::NotFound),
        CollectError::Page { reason, .. } => !matches!(reason, PageError::RowTooLarge { .. }),
        _ => false,
    }
}

/// Whether a smaller window may succeed: the service answers, but not this.
fn may_be_the_windows_fault(error: &CollectError) -> bool {
    match error {
        CollectError::Api(error) => matches!(error.failure, Failure::Server | Failure::TimedOut(_) | Failure::TooLarge(_)),
        // It is the service's own word that it could not do all of it now.
        CollectError::Page { reason, .. } => !matches!(reason, PageError::Partial { .. }),
        _ => false,
    }
}
