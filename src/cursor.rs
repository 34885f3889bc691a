//! Where one input stands in its set of objects, and what to ask next.
//!
//! Pure: no clock, no I/O, no randomness. It is told what an answer held and decides what to emit, what may be
//! remembered and what to ask next; `DESIGN.md` says in question form why it is this and nothing simpler.
//!
//! An answer *proves a window*: everything with `lo <= update time < hi` was read in one consistent look. What was proven
//! is *settled* below the look's horizon (`horizon.rs`) less the look-back, since an object becomes visible at most that late;
//! below the settled point nothing is asked again. Versions emitted at or above it are remembered and not emitted twice.

mod horizon;
mod look;
mod next_page;
mod refusal;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::planted::{Planted, planted};
use crate::time::{PER_MS, PER_SECOND, Ticks};
use crate::version::{AlertMemory, Strays, Version, packed};
use horizon::Horizon;
pub use horizon::{Clocks, Mended};
use next_page::{Behind, NextPages};
pub use refusal::Refused;

/// A stretch of update time, `lo` included, `hi` not; both on whole milliseconds. Without `hi` it has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The first instant inside.
    #[serde(with = "ticks")]
    pub lo: Ticks,
    /// The first instant beyond.
    #[serde(with = "ticks_option")]
    pub hi: Option<Ticks>,
}

/// 9999-12-30T22:00:00.999Z: later times cannot be written in a request. What has no time counts as later and lies in no
/// window, so a service that serves such rows cannot send the cursor after them.
const LAST: Ticks = Ticks(253_402_207_200_999 * PER_MS);

impl Window {
    /// The whole milliseconds from one instant to another, both included.
    pub(crate) fn around(first: Ticks, last: Ticks) -> Self {
        Self::between(first.floor_ms(), Ticks(last.floor_ms().0.saturating_add(PER_MS)))
    }

    fn between(lo: Ticks, hi: Ticks) -> Self {
        Self { lo, hi: Some(hi) }
    }

    /// Whether the instant lies inside.
    pub(crate) fn holds(&self, at: Ticks) -> bool {
        self.lo <= at && self.hi.map_or(at <= LAST, |hi| at < hi)
    }

    /// Two smaller windows that meet at a whole millisecond as near to `at` as leaves neither empty.
    fn split(&self, at: Ticks) -> Option<[Self; 2]> {
        let lowest = self.lo.0.saturating_add(PER_MS);
        let highest = self.hi.map_or(LAST.0, |hi| hi.0 - PER_MS).min(LAST.0).div_euclid(PER_MS) * PER_MS;
        if lowest > highest {
            return None;
        }
        let middle = Ticks(at.floor_ms().0.clamp(lowest, highest));
        Some([Self::between(self.lo, middle), Self { lo: middle, hi: self.hi }])
    }
}

/// What a request reads for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// News, from the settled point on.
    Head,
    /// A window cut from the history between `start` and the first poll.
    BackFill,
    /// A part of such a window.
    BackFillPart,
    /// A window given up before, tried again.
    Retry,
}

/// One request to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The update times asked for.
    pub window: Window,
    /// Rows to step over; more than 0 only inside one millisecond.
    pub skip: u32,
    /// What it is for.
    pub aim: Aim,
    /// Whether it is a part of a window that failed: then it is not tried again before it is divided further.
    pub is_half: bool,
    step: Option<Step>,
    behind: Option<Box<Behind>>,
}

impl Ask {
    fn new(window: Window, aim: Aim) -> Self {
        Self { window, skip: 0, aim, is_half: false, step: None, behind: None }
    }

    /// A request for a part of this one's window, after it failed.
    pub(crate) fn part_of(&self, window: Window) -> Self {
        Self { is_half: true, ..Self::new(window, self.part()) }
    }

    /// Whether its window is too small to be divided.
    pub(crate) fn is_one_millisecond(&self) -> bool {
        self.window.hi.is_some_and(|hi| hi.0 - self.window.lo.0 <= PER_MS)
    }

    /// Whether it steps over rows that came before.
    pub(crate) fn skips(&self) -> bool {
        self.skip > 0
    }

    /// The aim of the pieces this request falls into.
    fn part(&self) -> Aim {
        if self.aim == Aim::BackFill { Aim::BackFillPart } else { self.aim }
    }
}

/// Stepping through one time stamp with more rows than a page: `$skip` is used here only, since rows of a single past
/// millisecond can leave the set but none can join it once it is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    /// The row both pages must share: the last of the page before, the first of this one.
    anchor: Version,
    /// When the first page was read; the proof is as old as its first look.
    since: Option<Ticks>,
    restarts: u8,
    /// Whether that page was ordered: pages of different orders do not fit together, whatever row they share.
    ordered: bool,
}

/// How often stepping begins again because the rows moved.
const MAX_RESTARTS: u8 = 5;

/// What an answer held.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The rows in the order received. A row whose id or time cannot be read has a version of its text at the window's `lo`.
    pub rows: &'a [Version],
    /// Rows asked for (`$top`).
    pub asked: u32,
    /// Whether the service named a next page.
    pub next_link: bool,
    /// Whether ascending order was asked for and accepted.
    pub ordered: bool,
    /// When the service looked, by the earlier of both clocks, or before ([`Clocks::looked`]). Without a `Date` the look counts
    /// as old as the newest dated one of the poll, and settles nothing if there is none: this machine's clock may be wrong.
    pub looked: Option<Ticks>,
}

/// What an answer comes to: the rows to emit, and what they prove. The proof changes the cursor only through
/// [`Cursor::commit`], after the events were written and flushed, so a position can never be saved without its events.
#[derive(Debug)]
pub struct Batch {
    /// Indexes of the rows not emitted before.
    pub emit: Vec<usize>,
    /// How many rows were emitted before.
    pub repeats: usize,
    /// What may be remembered once they are out.
    pub proof: Proof,
}

/// See [`Batch`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Proof {
    ask: Ask,
    emitted: BTreeSet<Version>,
    proven: Option<Window>,
    /// When the look was taken that the proof rests on.
    since: Option<Ticks>,
    /// The newest update time the answer showed, where it was asked for all there is: a service that shows less than it did
    /// before settles no more than it shows.
    shown: Option<Ticks>,
    /// Whether the window is left as it is for this poll: nothing that could be asked would prove it.
    unproven: bool,
    next_pages: Option<NextPages>,
    /// Milliseconds of which something is still missing, though the rows of the window are all there.
    owed: Vec<Window>,
    /// News that become history when the newer part is settled.
    left: Option<Window>,
    next: Vec<Ask>,
    width: Option<i64>,
    stuck: bool,
}

impl Proof {
    /// One that proves nothing yet.
    fn of(ask: Ask, emitted: BTreeSet<Version>, since: Option<Ticks>) -> Self {
        let (proven, shown, next_pages, width) = (None, None, None, None);
        let (owed, left, next) = (Vec::new(), None, Vec::new());
        Self { ask, emitted, proven, since, shown, unproven: false, next_pages, owed, left, next, width, stuck: false }
    }

    /// The same without proving anything: something of the rows is still missing.
    pub fn of_nothing(self) -> Self {
        Self { proven: None, ..self }
    }

    /// The same with milliseconds that are set aside, since an object of theirs is not whole.
    pub fn owing(self, owed: Vec<Window>) -> Self {
        Self { owed, ..self }
    }

    /// The same for a part of a window that is still being read: nothing is asked for it but by that reading.
    pub fn of_a_part(self) -> Self {
        Self { proven: None, left: None, next: Vec::new(), unproven: false, stuck: false, ..self }
    }

    /// How many rows were not emitted before.
    pub fn emitted(&self) -> usize {
        self.emitted.len()
    }
}

/// What became of a request that failed for good.
#[derive(Debug, PartialEq, Eq)]
pub enum Failed {
    /// Its window will be read in two parts.
    Halved,
    /// Its window is a single millisecond; see [`Cursor::give_up`].
    Unsplittable,
}

/// The position of one input. What is serialized is the checkpoint's content; the rest belongs to the running poll.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// Everything below is read, but for `unread` and `given_up`. It goes back only into `unread`, and when it was mended.
    #[serde(with = "ticks")]
    settled: Ticks,
    /// History still to read: ascending, disjoint, below `settled`.
    unread: Vec<Window>,
    /// Length of the next window cut from the history, in ticks.
    width: i64,
    /// Windows that could not be read; tried again on later polls.
    given_up: Vec<Window>,
    #[serde(with = "packed")]
    versions: BTreeSet<Version>,
    /// `None` in a position that an earlier version of this program saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    horizon: Option<Horizon>,
    /// Alerts seen inside incidents.
    pub alerts: AlertMemory,
    /// Rows outside their windows: a service whose filter is coarser than asked must not make us lose or repeat.
    #[serde(default, skip_serializing_if = "Strays::is_empty")]
    pub strays: Strays,
    #[serde(skip)]
    poll: Poll,
}

#[derive(Clone, Debug, Default)]
struct Poll {
    queue: VecDeque<Ask>,
    lookback: Duration,
    /// The first look of this poll: history ends where that look can settle.
    first: Option<Ticks>,
    /// The newest look of this poll.
    latest: Option<Ticks>,
    /// The later of both clocks when the last answer came; of this machine's alone where that had no `Date`.
    later: Option<Ticks>,
    /// The later of both clocks when the last answer with a `Date` came.
    later_of_both: Option<Ticks>,
    /// Windows that were proven in this poll.
    looked: Vec<Window>,
    /// Whether all that is read lies below what another cursor settled: then no horizon bounds it.
    is_past: bool,
    /// Whether all there is was asked for in one request.
    asked_for_all: bool,
    /// Versions forgotten for want of room.
    forgotten: usize,
    next_pages: NextPages,
    /// Where the last refused range begins: what is older ends there.
    refused_from: Option<Ticks>,
    /// News that were left out, since they were to become history.
    left: Vec<Window>,
    /// Windows of which nothing is known but the rows that came.
    unproven: usize,
}

/// The first window of history; it grows and shrinks with what windows hold.
const FIRST_WIDTH: i64 = 86_400 * PER_SECOND;
/// Beyond this many remembered versions the oldest are forgotten: repeats, never losses.
const MAX_VERSIONS: usize = 150_000;
/// Beyond this many unreadable windows the input stops instead of going on.
pub const MAX_GIVEN_UP: usize = 100;
/// What is dated so far beyond the service's clock is called the future: less is the spread of its clocks, and the time that
/// passes while a poll asks.
const CLOCK_SPREAD: Duration = Duration::from_secs(60);
/// Unreadable windows tried again per poll.
const RETRIES_PER_POLL: usize = 3;

impl Cursor {
    /// A position that has read nothing: news from `now - lookback`, history from `start` up to there.
    pub fn begin(start: Ticks, now: Ticks, lookback: Duration) -> Self {
        let start = start.floor_ms();
        // The service's clock tells later how far history may be read; a minute more is read as news, so that two clocks
        // that do not quite agree leave no sliver between the two.
        let settled = now.minus(lookback + CLOCK_SPREAD).floor_ms().max(start);
        let unread = if start < settled { vec![Window::between(start, settled)] } else { Vec::new() };
        Self {
            settled,
            unread,
            width: FIRST_WIDTH,
            given_up: Vec::new(),
            versions: BTreeSet::new(),
            horizon: Some(Horizon { begun: Some(now), ..Horizon::default() }),
            alerts: AlertMemory::default(),
            strays: Strays::default(),
            poll: Poll::default(),
        }
    }

    /// Starts a poll: windows given up before, then news.
    pub fn open_poll(&mut self, lookback: Duration) {
        let mut queue = VecDeque::from([Ask::new(Window { lo: self.settled, hi: None }, Aim::Head)]);
        queue.extend(self.given_up.iter().take(RETRIES_PER_POLL).map(|window| Ask::new(*window, Aim::Retry)));
        self.poll = Poll { queue, lookback, ..Poll::default() };
    }

    /// The next request of this poll: news first, then history from its newest end. `None` when nothing is left to ask.
    pub fn next_ask(&mut self) -> Option<Ask> {
        while let Some(ask) = self.poll.queue.pop_front() {
            // What was set aside and came with the news meanwhile is settled and forgotten: asked again, it would come again.
            if ask.aim != Aim::Retry || self.given_up.contains(&ask.window) {
                return Some(ask);
            }
        }
        while let Some(left) = self.poll.left.pop() {
            // What the newer part settled made history of it; what is above that is news still.
            let lo = left.lo.max(self.settled);
            if left.hi.is_none_or(|hi| lo < hi) && !self.poll.is_past {
                return Some(Ask::new(Window { lo, hi: left.hi }, Aim::Head));
            }
        }
        self.ask_for_all().or_else(|| self.cut_history())
    }

    /// An input that never received anything can settle nothing, so it asks for all there is at once.
    fn ask_for_all(&mut self) -> Option<Ask> {
        self.poll.first.or(self.poll.later)?;
        let [window] = self.unread[..] else { return None };
        if self.poll.asked_for_all || self.poll.is_past || self.newest().is_some() || window.hi != Some(self.settled) {
            return None;
        }
        self.poll.asked_for_all = true;
        Some(Ask::new(Window { lo: window.lo, hi: None }, Aim::BackFill))
    }

    fn cut_history(&self) -> Option<Ask> {
        // A clock ahead of the service's may have put history into the service's future; it waits until it is past.
        // Without any `Date` it is read by this machine's clock, which settles nothing of it.
        let horizon = self.poll.first.or(self.poll.later)?.minus(self.poll.lookback).floor_ms();
        // What was read in this poll and could not be settled waits for the next.
        let mut left = self.unread.clone();
        for looked in &self.poll.looked {
            left = without(&left, looked.lo, looked.hi.unwrap_or(LAST));
        }
        let newest = left.iter().rev().find(|window| window.lo < horizon)?;
        let hi = newest.hi.unwrap_or(horizon).min(horizon);
        let lo = Ticks(hi.0.saturating_sub(self.width)).floor_ms().max(newest.lo);
        Some(Ask::new(Window::between(lo, hi), Aim::BackFill))
    }

    /// Judges an answer. Changes nothing: see [`Batch`].
    pub fn take(&self, ask: Ask, answer: &Answer<'_>) -> Batch {
        let mut emit = Vec::new();
        let mut emitted = BTreeSet::new();
        for (n, row) in answer.rows.iter().enumerate() {
            if !self.knows(*row) && emitted.insert(*row) {
                emit.push(n);
            }
        }
        let repeats = answer.rows.len() - emit.len();
        Batch { emit, repeats, proof: self.prove(ask, answer, emitted) }
    }

    /// Whether this version was emitted before and not forgotten since.
    pub fn knows(&self, version: Version) -> bool {
        self.versions.contains(&version) || self.strays.holds(version)
    }

    /// Judges an answer of which `emitted` was emitted. Changes nothing: see [`Batch`].
    pub fn prove(&self, ask: Ask, answer: &Answer<'_>, emitted: BTreeSet<Version>) -> Proof {
        let mut proof = Proof::of(ask, emitted, answer.looked.or(self.poll.latest));
        self.judge(&mut proof, answer);
        proof
    }

    /// Says what the answer proves and what has to be asked next.
    fn judge(&self, proof: &mut Proof, answer: &Answer<'_>) {
        if planted(Planted::FollowsPages) || !self.look_behind(proof, answer) {
            self.judge_whole(proof, answer, answer.next_link || answer.rows.len() >= answer.asked as usize);
        }
    }

    /// The newest update time that an answer to a request for all there is showed.
    fn show(&self, proof: &mut Proof, rows: &[Version]) {
        let window = proof.ask.window;
        if window.hi.is_none() {
            proof.shown = Some(proof.since.and_then(|looked| self.newest_of(rows, looked)).unwrap_or(window.lo));
        }
    }

    /// The same for an answer behind which nothing needs to be looked for. `full` says that there may be more rows.
    fn judge_whole(&self, proof: &mut Proof, answer: &Answer<'_>, full: bool) {
        let window = proof.ask.window;
        let part = proof.ask.part();
        if planted(Planted::FollowsPages) {
            follow_pages(proof, answer, full);
        } else if let Some(step) = proof.ask.step.clone().filter(|_| proof.ask.skip > 0) {
            self.judge_step(proof, answer, &step, full);
        } else if !full || planted(Planted::FullIsComplete) {
            proof.proven = Some(window);
            self.show(proof, answer.rows);
        } else if let Some(proven) = ordered_part(window, answer) {
            proof.proven = Some(proven);
            // All there is, and too much for one answer: history then, which is read from its newest end.
            if proof.ask.aim != Aim::BackFill || window.hi.is_some() {
                let lo = self.go_on_at(proof, answer, proven);
                proof.next.push(Ask::new(Window { lo, hi: window.hi }, part));
            }
        } else if let Some(pieces) = window.split(meeting_point(&proof.ask, answer, self.future(answer))) {
            let [older, newer] = pieces;
            if self.future(answer).is_some_and(|future| newer.lo >= future) {
                // Objects dated in the future; they can wait.
                proof.next.push(Ask::new(older, part));
                proof.next.push(Ask::new(newer, Aim::BackFillPart));
            } else {
                // The newer part first: where the newest come first it fits a page, and each such part is progress.
                proof.next.push(Ask::new(newer, part));
                let shown = answer.looked.and_then(|looked| self.newest_of(answer.rows, looked));
                let aim = self.older_aim(part, newer.lo, answer.looked, shown);
                if aim != Aim::BackFillPart {
                    proof.next.push(Ask::new(older, aim));
                } else if part == Aim::Head {
                    proof.left = Some(older);
                }
                // The rest stays history, and is cut anew by what this answer tells of its density.
                proof.width = fitting_width(newer, answer).filter(|_| part == Aim::BackFillPart);
            }
        } else {
            // One millisecond holds more than a page.
            let restarts = proof.ask.step.as_ref().map_or(0, |step| step.restarts);
            self.step_on(proof, answer, proof.since, restarts);
        }
        if proof.ask.aim == Aim::BackFill && !full {
            let (rows, asked) = (answer.rows.len(), answer.asked as usize);
            proof.width = match () {
                () if rows <= asked / 8 => Some(self.width.saturating_mul(4)),
                () if rows <= asked / 2 => Some(self.width.saturating_mul(2)),
                () if !answer.ordered && rows > asked * 7 / 8 => fitting_width(window, answer),
                () => None,
            };
        }
    }

    /// From where on objects are dated in the future: by the later of both clocks, for one that is behind must not let news
    /// wait.
    fn future(&self, answer: &Answer<'_>) -> Option<Ticks> {
        Some(self.poll.later_of_both.or(answer.looked)?.plus(CLOCK_SPREAD).ceil_ms())
    }

    /// What the older part of a window is read for. News below what the newer part will settle becomes history, which may
    /// wait for a later poll; what is younger would never be settled if it waited.
    fn older_aim(&self, aim: Aim, edge: Ticks, looked: Option<Ticks>, shown: Option<Ticks>) -> Aim {
        let old_enough = looked.and_then(|looked| self.old_enough(looked, shown.max(self.newest_by(looked))));
        match aim {
            Aim::Head if old_enough.is_some_and(|old_enough| edge <= old_enough) => Aim::BackFillPart,
            aim => aim,
        }
    }

    /// Where to read on after a part that was proven by its order. Of news that are caught up with, the look-back before the
    /// part's end is not settled by it; where that is little, it is read again at once, so that no gap is left.
    fn go_on_at(&self, proof: &Proof, answer: &Answer<'_>, proven: Window) -> Ticks {
        let end = proven.hi.unwrap_or(proven.lo);
        let shown = proof.since.and_then(|looked| self.newest_of(answer.rows, looked));
        let settles = proof.since.and_then(|looked| self.old_enough(looked, shown.max(self.newest_by(looked))));
        let Some(settles) = settles.filter(|settles| proof.ask.aim == Aim::Head && proven.lo < *settles && *settles < end) else {
            return end;
        };
        let again = answer.rows.iter().filter(|row| row.updated >= settles).count();
        if again <= answer.rows.len() / 2 { settles } else { end }
    }

    fn judge_step(&self, proof: &mut Proof, answer: &Answer<'_>, step: &Step, full: bool) {
        if answer.rows.first() != Some(&step.anchor) || answer.ordered != step.ordered {
            // Rows left or moved: what was stepped over is not certain. From the top again.
            if step.restarts < MAX_RESTARTS {
                let again = Step { restarts: step.restarts + 1, ..step.clone() };
                proof.next.push(Ask { skip: 0, step: Some(again), ..proof.ask.clone() });
            } else {
                proof.stuck = true;
            }
        } else if full {
            self.step_on(proof, answer, step.since, step.restarts);
        } else {
            proof.proven = Some(proof.ask.window);
            proof.since = step.since;
        }
    }

    /// The next page inside one millisecond, sharing a row with this one.
    fn step_on(&self, proof: &mut Proof, answer: &Answer<'_>, since: Option<Ticks>, restarts: u8) {
        match answer.rows {
            [_, .., anchor] => {
                let forward = u32::try_from(answer.rows.len() - 1).unwrap_or(u32::MAX);
                let skip = proof.ask.skip.saturating_add(forward);
                let step = Some(Step { anchor: *anchor, since, restarts, ordered: answer.ordered });
                proof.next.push(Ask { skip, step, aim: proof.ask.part(), behind: None, ..proof.ask.clone() });
            }
            // A next page is named and nothing to hold on to.
            _ => proof.stuck = true,
        }
    }

    /// Takes in what an answer proved, after its events were flushed. `true` when the window cannot be read to its end
    /// (see [`Cursor::give_up`]).
    pub fn commit(&mut self, proof: Proof) -> bool {
        let Proof { ask, emitted, proven, since, shown, unproven, next_pages, owed, left, next, width, stuck } = proof;
        self.poll.left.extend(left);
        self.poll.next_pages = next_pages.unwrap_or(self.poll.next_pages);
        if unproven {
            self.poll.looked.push(ask.window);
            self.poll.unproven += 1;
        }
        self.poll.latest = self.poll.latest.max(since);
        self.poll.first = self.poll.first.or(since);
        self.note(ask.window, emitted);
        if let Some(since) = since {
            self.raise_newest(since);
        }
        if let Some(width) = width {
            self.width = width.clamp(PER_MS, 3650 * FIRST_WIDTH);
        }
        for ask in next.into_iter().rev() {
            self.poll.queue.push_front(ask);
        }
        if let Some(window) = proven.filter(|window| ask.aim == Aim::Retry && window.hi > Some(self.settled)) {
            // It lies among the news, which are still being read.
            self.given_up.retain(|given_up| *given_up != window);
        } else if let (Some(window), Some(since)) = (proven, since) {
            // All of it that is old enough is settled.
            let newest = self.newest().map(|newest| shown.map_or(newest, |shown| newest.min(shown)));
            let old_enough = if self.poll.is_past { window.hi } else { self.old_enough(since, newest) };
            if let Some(old_enough) = old_enough {
                let mut hi = window.hi.map_or(old_enough, |hi| hi.min(old_enough));
                if planted(Planted::SettledIsNow) {
                    hi = old_enough;
                }
                if window.lo < hi {
                    self.given_up.retain(|given_up| !(window.lo <= given_up.lo && given_up.hi <= Some(hi)));
                    self.settle(window.lo, hi);
                }
            }
            self.poll.looked.push(window);
            if ask.aim == Aim::Retry && self.given_up.contains(&window) {
                self.take_back(window);
            }
            if !self.poll.is_past {
                self.regroup();
            }
        } else if let Some(window) = proven {
            // Nobody knows when; it was read in this poll, and will be again in the next.
            self.poll.looked.push(window);
        }
        self.owe(owed);
        self.prune();
        stuck
    }

    /// Sets milliseconds aside of which something is missing.
    fn owe(&mut self, owed: Vec<Window>) {
        self.given_up.retain(|window| !owed.contains(window));
        self.given_up.extend(owed);
    }

    /// Remembers what was emitted of an answer that broke off, and of which milliseconds something is missing. It proves nothing, and its window will be asked again.
    pub fn remember(&mut self, window: Window, emitted: BTreeSet<Version>, owed: Vec<Window>) {
        // What it shows of the newest counts with the next look, when it is still remembered.
        self.note(window, emitted);
        self.owe(owed);
        self.prune();
    }

    /// Notes which rows of an answer came outside their windows once more: they are the last to be forgotten.
    pub fn see(&mut self, rows: &[Version]) {
        for row in rows {
            if self.strays.holds(*row) {
                self.strays.note(*row);
            }
        }
    }

    fn note(&mut self, window: Window, emitted: BTreeSet<Version>) {
        self.note_ahead(&emitted);
        for version in emitted {
            if window.holds(version.updated) || (self.settled..=LAST).contains(&version.updated) {
                self.versions.insert(version);
            } else if !planted(Planted::ForgetsStrays) {
                self.strays.note(version);
            }
        }
    }

    /// A request failed for good. Its window is asked again in two parts, after whatever else is queued: when one object
    /// is to blame, every second part succeeds, and when the service is, none does.
    pub fn failed(&mut self, ask: &Ask, now: Ticks) -> Failed {
        let Window { lo, hi } = ask.window;
        // An open window ends about now, if this machine's clock is right; a wrong one must not keep halving near `lo`, nor one
        // object that is dated years ahead make it creep there.
        let looked = now.max(self.poll.latest.unwrap_or(now));
        let ahead = lo.since(looked).max(self.poll.lookback + Duration::from_secs(1));
        let about_now = looked.max(lo.plus(ahead.saturating_mul(2)));
        let middle = Ticks(lo.0 / 2 + hi.unwrap_or(about_now).0 / 2);
        match ask.window.split(middle) {
            Some(pieces) => {
                let [older, newer] = pieces;
                let older_aim = self.older_aim(ask.part(), newer.lo, self.poll.latest, None);
                self.poll.queue.push_back(ask.part_of(newer));
                self.poll.queue.push_back(Ask { aim: older_aim, ..ask.part_of(older) });
                Failed::Halved
            }
            None => Failed::Unsplittable,
        }
    }

    /// Sets a millisecond aside that cannot be read, so that the input goes on; later polls try it again.
    /// `false` when too many are set aside already: then the caller must stop, for nothing may be forgotten.
    pub fn give_up(&mut self, ask: &Ask) -> bool {
        let Window { lo, hi: Some(hi) } = ask.window else { return false };
        // To the end of the line, so that every one gets its turn.
        self.given_up.retain(|window| *window != ask.window);
        if self.given_up.len() >= MAX_GIVEN_UP {
            return false;
        }
        self.given_up.push(ask.window);
        // One dated in the future is no reason to take all before it for history, and without a look nobody knows what is future.
        if self.poll.latest.is_some_and(|looked| hi <= looked) {
            self.settle(lo, hi);
        } else {
            self.subtract(lo, hi);
        }
        self.prune();
        true
    }

    /// Nothing in `[lo, hi)` will be asked again. Where it lies above the settled point, what is between becomes history:
    /// after an outage or in an unordered set the newest part is read first, and the rest is not forgotten.
    fn settle(&mut self, lo: Ticks, hi: Ticks) {
        self.subtract(lo, hi);
        if hi <= self.settled {
            return;
        }
        if self.settled < lo {
            match self.unread.last_mut() {
                Some(last) if last.hi == Some(self.settled) => last.hi = Some(lo),
                _ => self.unread.push(Window::between(self.settled, lo)),
            }
        }
        self.settled = hi;
    }

    /// What [`Planted::DropsHistory`] does.
    pub(crate) fn drop_history(&mut self) {
        self.unread.clear();
    }

    /// Removes `[lo, hi)` from the unread history.
    fn subtract(&mut self, lo: Ticks, hi: Ticks) {
        self.unread = without(&self.unread, lo, hi);
    }

    /// Forgets versions that no request can bring again.
    fn prune(&mut self) {
        let mut kept = self.versions.split_off(&Version { updated: self.settled, id: 0 });
        std::mem::swap(&mut kept, &mut self.versions);
        let below = kept;
        if planted(Planted::ForgetsVersions) {
            self.versions.clear();
        }
        let asked_again = |at| self.unread.iter().chain(&self.given_up).any(|window| window.holds(at));
        let again: Vec<Version> = below.into_iter().filter(|version| asked_again(version.updated)).collect();
        self.versions.extend(again);
        while self.versions.len() > MAX_VERSIONS {
            self.versions.pop_first();
            self.poll.forgotten += 1;
        }
        if let Some(horizon) = &mut self.horizon
            && !horizon.ahead.is_empty()
        {
            let versions = &self.versions;
            horizon.ahead.retain(|version| versions.contains(version));
        }
    }

    /// Whether any look of this poll told its time.
    pub fn has_looked(&self) -> bool {
        self.poll.latest.is_some()
    }

    /// How many windows of this poll were left unread, since the service names next pages that lead nowhere.
    pub fn unproven(&self) -> usize {
        self.poll.unproven
    }

    /// How many versions were forgotten in this poll for want of room; they come again.
    pub fn forgotten(&self) -> usize {
        self.poll.forgotten
    }

    /// Everything below this instant is read, but for the history and windows given up.
    pub fn settled(&self) -> Ticks {
        self.settled
    }

    /// How much history is still to read.
    pub fn history_left(&self) -> Duration {
        self.unread.iter().map(|window| window.hi.unwrap_or(window.lo).since(window.lo)).sum()
    }

    /// Windows that could not be read so far.
    pub fn given_up(&self) -> &[Window] {
        &self.given_up
    }

    /// How many versions are remembered.
    pub fn remembered(&self) -> usize {
        self.versions.len()
    }
}

/// The windows without `[lo, hi)`.
fn without(windows: &[Window], lo: Ticks, hi: Ticks) -> Vec<Window> {
    let pieces = windows.iter().flat_map(|window| {
        let end = window.hi.unwrap_or(window.lo);
        [(window.lo, end.min(lo)), (window.lo.max(hi), end)]
    });
    pieces.filter(|(lo, hi)| lo < hi).map(|(lo, hi)| Window::between(lo, hi)).collect()
}

/// What a full answer proves: up to its last row, when order was accepted and the rows show it. The last row's own
/// millisecond is left out, since more rows of it may follow.
fn ordered_part(window: Window, answer: &Answer<'_>) -> Option<Window> {
    let (first, last) = (answer.rows.first()?, answer.rows.last()?);
    let hi = last.updated.floor_ms();
    if planted(Planted::TrustsOrder) && answer.ordered {
        return (hi > window.lo).then(|| Window::between(window.lo, hi));
    }
    let shown = answer.ordered
        && first.updated < last.updated
        && answer.rows.is_sorted_by_key(|row| row.updated)
        && answer.rows.iter().all(|row| window.holds(row.updated));
    (shown && hi > window.lo).then(|| Window::between(window.lo, hi))
}

/// The length of a window in which a page would be filled to three quarters, if objects lie as densely as in this one.
fn fitting_width(window: Window, answer: &Answer<'_>) -> Option<i64> {
    let length = window.hi?.0.saturating_sub(window.lo.0);
    let rows = answer.rows.iter().filter(|row| window.holds(row.updated)).count().max(1);
    let wanted = answer.asked as usize * 3 / 4;
    i64::try_from(i128::from(length) * i128::try_from(wanted).ok()? / i128::try_from(rows).ok()?).ok()
}

/// The simpler way, which loses data: the next page by its number.
fn follow_pages(proof: &mut Proof, answer: &Answer<'_>, full: bool) {
    if full && !answer.rows.is_empty() {
        let skip = proof.ask.skip.saturating_add(u32::try_from(answer.rows.len()).unwrap_or(u32::MAX));
        proof.next.push(Ask { skip, ..proof.ask.clone() });
    } else {
        proof.proven = Some(proof.ask.window);
    }
}

/// Where to split a window whose full answer proved nothing.
///
/// Newest first (what the Defender APIs do): just above the oldest row, so that the newer part fits one page. Ascending:
/// after the first row's millisecond. In no order: at the median, which halves the rows.
fn meeting_point(ask: &Ask, answer: &Answer<'_>, future: Option<Ticks>) -> Ticks {
    let window = ask.window;
    let point = point_among_rows(window, answer);
    let Some(latest) = future else { return point };
    // Dates in the future are set apart at once, however many there are; once, or each second would bring a new part.
    if ask.aim == Aim::Head && point > latest && window.lo < latest { latest } else { point }
}

fn point_among_rows(window: Window, answer: &Answer<'_>) -> Ticks {
    let mut times: Vec<Ticks> = answer.rows.iter().map(|row| row.updated).filter(|at| window.holds(*at)).collect();
    let above = |at: Ticks| Ticks(at.floor_ms().0 + PER_MS);
    if let (Some(first), Some(last)) = (times.first(), times.last()) {
        if times.is_sorted_by(|a, b| a >= b) {
            return above(*last);
        }
        if first == last || times.is_sorted() {
            return above(*first);
        }
        let middle = times.len() / 2;
        return *times.select_nth_unstable(middle).1;
    }
    Ticks(window.lo.0 / 2 + window.hi.or(answer.looked).unwrap_or(window.lo).max(window.lo).0 / 2)
}

/// Times in the checkpoint: RFC 3339, so that a person can read where an input stands.
pub(crate) mod ticks {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::time::Ticks;

    pub(crate) fn serialize<S: Serializer>(at: &Ticks, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ticks, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ticks::parse(&text).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 time"))
    }
}

pub(crate) mod ticks_option {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::time::Ticks;

    pub(crate) fn serialize<S: Serializer>(at: &Option<Ticks>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => serializer.collect_str(at),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Ticks>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| Ticks::parse(&text).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 time"))).transpose()
    }
}

#[cfg(test)]
#[path = "cursor_tests.rs"]
mod tests;
