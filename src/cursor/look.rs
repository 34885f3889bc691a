//! A cursor for the late look: it reads one stretch below another cursor's settled point, and nothing else.

use std::collections::BTreeSet;

use super::{Cursor, Duration, FIRST_WIDTH, Poll, Ticks, Version, Window};

impl Cursor {
    /// A position that has the stretch `[from, to)` to read, and no news.
    pub fn of_stretch(from: Ticks, to: Ticks) -> Self {
        let unread = if from < to { vec![Window::between(from, to)] } else { Vec::new() };
        Self { unread, width: FIRST_WIDTH, ..Self::begin(to, to, Duration::ZERO) }
    }

    /// Goes on with the stretch, in a poll of `news`: what that cursor knows of the time holds here as well.
    pub fn open_stretch(&mut self, news: &Self) {
        self.poll = Poll { lookback: Duration::ZERO, first: Some(self.settled), is_past: true, ..news.poll.clone() };
        self.poll.queue.clear();
    }

    /// When the service looked last in this poll; `None` when no answer said so.
    pub fn latest_look(&self) -> Option<Ticks> {
        self.poll.latest
    }

    /// Whether what was updated then will not be asked for again: it is settled, and neither history nor set aside.
    pub fn is_done_with(&self, at: Ticks) -> bool {
        at < self.settled && !self.unread.iter().chain(&self.given_up).any(|window| window.holds(at))
    }

    /// The first instant from which on this cursor knows all that it emitted: what is emitted from now on above it, and what is
    /// still remembered.
    pub fn knows_from(&self) -> Ticks {
        let reaches_up = |window: &&Window| window.hi == Some(self.settled);
        self.unread.last().filter(reaches_up).map_or(self.settled, |window| window.lo)
    }

    /// What was emitted and is remembered.
    pub fn versions(&self) -> &BTreeSet<Version> {
        &self.versions
    }
}
