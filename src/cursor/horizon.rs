//! How far a look can be trusted to have seen everything.
//!
//! No clock is believed alone: the *horizon* of a look is the least of the service's clock, this machine's clock, and the newest
//! update time that this input ever received. So a `Date` that is ahead settles nothing that this machine's clock calls the
//! future, a machine that is ahead settles nothing that the service calls so, and a service that stands still, whatever both
//! clocks say, settles nothing that it has not shown yet.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CLOCK_SPREAD, Cursor, LAST, Window, ticks_option};
use crate::planted::{Planted, planted};
use crate::time::{PER_SECOND, Ticks};
use crate::version::{Version, packed};

/// What the clocks said when an answer began to come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// The service's: the answer's `Date`. `None` when it has none that can be read.
    pub service: Option<Ticks>,
    /// This machine's.
    pub machine: Ticks,
    /// How long the exchange took: the look may be as old as the request.
    pub exchange: Duration,
}

impl Clocks {
    /// When the look was taken, by the earlier of the two clocks, or before that. `None` without a `Date`: one clock alone
    /// proves nothing.
    pub fn looked(&self) -> Option<Ticks> {
        let service = self.service?;
        let earlier = match () {
            () if planted(Planted::TrustsDate) => service,
            () if planted(Planted::TrustsMachine) => self.machine,
            () => service.min(self.machine),
        };
        Some(earlier.minus(self.exchange))
    }

    /// The later of the two clocks: what is dated beyond it is dated in the future. A `Date` is a whole second, cut off.
    fn later(&self) -> Ticks {
        self.service.map_or(self.machine, |service| service.plus(Duration::from_secs(1)).max(self.machine))
    }

    /// How far the two are apart, if that is more than clocks and networks explain.
    pub fn disagree(&self) -> Option<Duration> {
        let service = self.service?;
        let apart = service.since(self.machine).max(self.machine.since(service));
        (apart > CLOCK_SPREAD + self.exchange).then_some(apart)
    }
}

/// The position was changed, because it lay where no object can be yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mended {
    /// Where it was.
    pub was: Ticks,
    /// From where on everything is read, again if need be.
    pub from: Ticks,
    /// Whether an admin has to hear of it. A second or two lie between any two clocks, since a `Date` is cut off and travels.
    pub is_told: bool,
}

/// What bounds the settled point beside the clocks of a look; part of the checkpoint.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Horizon {
    /// The newest update time ever received that was not dated in the future.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "ticks_option")]
    pub newest: Option<Ticks>,
    /// What this machine's clock said when it reckoned a relative `start`; until a service's clock has spoken.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "ticks_option")]
    pub begun: Option<Ticks>,
    /// Versions that were dated in the future when they came. When that time comes they still say nothing about what the
    /// service has shown.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty", with = "packed")]
    pub ahead: BTreeSet<Version>,
}

/// How far back a position is set that cannot be right: nobody knows since when it was wrong.
const REACH: Duration = Duration::from_secs(48 * 3600);
/// 2024-01-01T00:00:00Z. A clock that says less was never set, and mends no position.
const EPOCH: Ticks = Ticks(1_704_067_200 * PER_SECOND);

impl Cursor {
    /// A position whose `start` is an instant of its own: no clock moves it.
    pub fn with_fixed_start(mut self) -> Self {
        if let Some(horizon) = &mut self.horizon {
            horizon.begun = None;
        }
        self
    }

    /// Takes note of an answer's clocks, before its rows. A position that lies in the future of the clocks is mended: then
    /// everything from where on is said is read, again if need be. Such a position was made by a clock that was wrong, here
    /// at the first run, or there when an earlier version of this program believed an answer's `Date` alone.
    pub fn hear(&mut self, clocks: &Clocks) -> Option<Mended> {
        self.poll.later = Some(clocks.later());
        if clocks.service.is_some() {
            self.poll.later_of_both = self.poll.later;
        }
        let service = clocks.service.filter(|service| *service >= EPOCH && clocks.machine >= EPOCH)?;
        if planted(Planted::KeepsFuture) {
            return None;
        }
        let (earlier, later) = (service.min(clocks.machine), clocks.later());
        let (was, lowest) = (self.settled, self.lowest());
        let Some(horizon) = &mut self.horizon else {
            // Written before there was a horizon. What it remembers was received; how far it was wrong, if it was, nobody knows.
            let newest = self.versions.range(..=latest_of(earlier)).next_back().map(|version| version.updated);
            self.horizon = Some(Horizon { newest, ..Horizon::default() });
            let back = if was > later { was.since(earlier) + REACH } else { later.since(earlier).min(REACH) };
            return (was > earlier).then(|| self.reopen(was.minus(back), earlier));
        };
        if let Some(begun) = horizon.begun.take() {
            // A clock that is ahead reckoned a start that is too late by as much.
            let ahead = clocks.machine.since(service);
            let ahead = if ahead > Duration::from_secs(1) { ahead } else { Duration::ZERO };
            // Where it was put right meanwhile, nobody knows when that first run was.
            let put_right = begun.since(clocks.machine);
            let put_right = if put_right.is_zero() { put_right } else { put_right + REACH };
            let late = ahead + put_right;
            let is_told = late > CLOCK_SPREAD;
            return (!late.is_zero()).then(|| Mended { is_told, ..self.reopen(lowest.minus(late), earlier) });
        }
        if was > later && horizon.newest.is_some() {
            horizon.newest = None;
            return Some(self.reopen(earlier.minus(REACH), earlier));
        }
        // Nothing was ever received: what this machine's clock took for news may be the future of the service's.
        (was > earlier && horizon.newest.is_none() && lowest < was).then(|| self.reopen(lowest, earlier))
    }

    /// Reads everything from `from` on, again if need be: what both clocks call past as history, the rest as news.
    fn reopen(&mut self, from: Ticks, now: Ticks) -> Mended {
        let (was, from) = (self.settled, from.floor_ms());
        let edge = now.minus(self.poll.lookback + CLOCK_SPREAD).floor_ms().max(from);
        self.subtract(from, Ticks(i64::MAX));
        if from < edge {
            match self.unread.last_mut() {
                Some(last) if last.hi == Some(from) => last.hi = Some(edge),
                _ => self.unread.push(Window::between(from, edge)),
            }
        }
        self.settled = edge;
        // The answer that is coming in was asked for from the old position on. What it settles makes the rest history.
        if edge < was {
            self.poll.left.push(Window { lo: edge, hi: (was <= LAST).then_some(was) });
        }
        Mended { was, from, is_told: true }
    }

    /// From where on something is still to be read.
    fn lowest(&self) -> Ticks {
        self.unread.first().map_or(self.settled, |window| window.lo)
    }

    /// The newest update time this input ever received.
    pub(super) fn newest(&self) -> Option<Ticks> {
        self.horizon.as_ref()?.newest
    }

    /// Below this a look of that time settles what it proves; `None` when it settles nothing. `newest` is the newest time that
    /// the service has shown in it.
    pub(super) fn old_enough(&self, looked: Ticks, newest: Option<Ticks>) -> Option<Ticks> {
        let newest = if planted(Planted::IgnoresNewest) { looked } else { newest? };
        let lookback = if planted(Planted::NoLookback) { Duration::ZERO } else { self.poll.lookback };
        Some(looked.min(newest).minus(lookback).floor_ms())
    }

    /// Remembers which of these versions were dated in the future when they came.
    pub(super) fn note_ahead(&mut self, emitted: &BTreeSet<Version>) {
        let Some(later) = self.poll.later.filter(|_| !planted(Planted::FutureIsNewest)) else { return };
        let ahead: Vec<Version> = emitted.range(latest_of(later)..).filter(|version| version.updated > later).copied().collect();
        if !ahead.is_empty() {
            self.horizon.get_or_insert_default().ahead.extend(ahead);
        }
    }

    /// The newest of these times that a look of that time may count.
    pub(super) fn newest_of(&self, versions: &[Version], looked: Ticks) -> Option<Ticks> {
        let ahead = |version: &Version| self.horizon.as_ref().is_some_and(|horizon| horizon.ahead.contains(version));
        let counts = |version: &&Version| version.updated <= looked && !ahead(version);
        versions.iter().filter(counts).map(|version| version.updated).max()
    }

    /// The newest update time ever received that a look of that time may count: both clocks call it past by now.
    pub(super) fn newest_by(&self, looked: Ticks) -> Option<Ticks> {
        let horizon = self.horizon.as_ref();
        let counts = |version: &&Version| !horizon.is_some_and(|horizon| horizon.ahead.contains(version));
        let received = self.versions.range(..=latest_of(looked)).rev().find(counts).map(|version| version.updated);
        received.max(horizon.and_then(|horizon| horizon.newest))
    }

    /// Takes what was received into account, once both clocks call it past.
    pub(super) fn raise_newest(&mut self, looked: Ticks) {
        let newest = self.newest_by(looked);
        self.horizon.get_or_insert_default().newest = newest;
    }

    /// A window that was set aside can be read again, and is too young to be settled: it is like any other from now on.
    pub(super) fn take_back(&mut self, window: Window) {
        self.given_up.retain(|given_up| *given_up != window);
        self.unread.push(window);
        self.unread.sort_by_key(|window| window.lo);
        self.unread.dedup_by(|next, before| {
            let meet = before.hi == Some(next.lo);
            if meet {
                before.hi = next.hi;
            }
            meet
        });
    }

    /// What was history by this machine's clock, was read in this poll, and is newer than what the service has shown, is news:
    /// it cannot be settled before the service shows more.
    pub(super) fn regroup(&mut self) {
        let newest = self.newest().map_or(Ticks(i64::MIN), |newest| newest.minus(self.poll.lookback).floor_ms());
        while let Some(last) = self.unread.last_mut()
            && last.hi == Some(self.settled)
        {
            let settled = self.settled;
            let above = |window: &&Window| window.lo < settled && window.hi.is_none_or(|hi| settled <= hi);
            let Some(looked) = self.poll.looked.iter().find(above) else { break };
            let from = looked.lo.max(newest).max(last.lo);
            if from >= settled {
                break;
            }
            self.settled = from;
            if last.lo == from {
                self.unread.pop();
            } else {
                last.hi = Some(from);
            }
        }
    }
}

/// The greatest version of an instant.
fn latest_of(at: Ticks) -> Version {
    Version { updated: at, id: u64::MAX }
}

#[cfg(test)]
#[path = "horizon_tests.rs"]
mod tests;
