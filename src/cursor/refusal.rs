//! Ranges that a service refuses, since they lie before what it keeps.

use std::time::Duration;

use crate::planted::{Planted, planted};

use super::{Ask, Cursor, FIRST_WIDTH, PER_MS, Ticks, Window};

/// A range of this length is not divided further, and what is younger is never too old for a service.
const SHORTEST: Duration = Duration::from_secs(3600);

/// What is done about a range that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is asked for in two parts, the newer one first.
    Divided,
    /// It lies before what the service keeps, as what is newer was answered: it counts as read, and is not asked for again.
    Dropped(Window),
    /// It is not for its age: other requests would be refused as well.
    NotForItsAge,
}

impl Cursor {
    /// A request was refused as one that is wrong (400). Nothing is given up for it unless a newer range was answered in this
    /// poll, and then only what was refused itself, to the hour.
    pub fn refused(&mut self, ask: &Ask, now: Ticks) -> Refused {
        let Window { lo, hi } = ask.window;
        let now = now.min(self.poll.latest.unwrap_or(now));
        let end = hi.unwrap_or(now);
        if ask.skip > 0 || end > now || end.since(lo) <= SHORTEST && hi.is_none() || now.since(lo) <= SHORTEST {
            return Refused::NotForItsAge;
        }
        let is_answered = self.poll.looked.iter().any(|looked| looked.lo >= end);
        if let Some(hi) = hi.filter(|_| is_answered)
            && (self.poll.refused_from == Some(hi) || hi.since(lo) <= SHORTEST || planted(Planted::RefusedIsRead))
        {
            self.poll.refused_from = Some(lo);
            self.given_up.retain(|given_up| !(lo <= given_up.lo && given_up.hi <= Some(hi)));
            self.settle(lo, hi);
            self.prune();
            // What is older still is refused as well, and soon asked for.
            self.width = self.width.saturating_mul(4).clamp(PER_MS, 3650 * FIRST_WIDTH);
            return Refused::Dropped(ask.window);
        }
        let middle = Ticks(lo.0 / 2 + end.0 / 2);
        let Some([older, newer]) = ask.window.split(middle) else { return Refused::NotForItsAge };
        self.poll.queue.push_front(ask.part_of(older));
        self.poll.queue.push_front(ask.part_of(newer));
        Refused::Divided
    }
}

#[cfg(test)]
#[path = "refusal_tests.rs"]
mod tests;
