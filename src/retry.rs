//! Whether a request that failed is sent again, and when: the one rule of everything that polls.

use std::fmt;
use std::time::Duration;

use crate::pace::backoff;
use crate::time::Ticks;

/// How often one request is sent when the service fails.
pub const ATTEMPTS: u32 = 3;
/// The longest that a service's wish to be left alone is obeyed from one run to the next.
const LONGEST_PATIENCE: Duration = Duration::from_secs(3600);

/// A poll may take twice its time, or this where that is more, before it ends whatever it is at: a service that never tires of
/// being slow must not keep an input for ever.
const LIMIT_AT_LEAST: Duration = Duration::from_secs(300);

/// When a poll ends that begins now and has this much time, whatever it is at.
pub fn limit(now: Ticks, budget: Duration) -> Ticks {
    now.plus(budget.saturating_mul(2).max(LIMIT_AT_LEAST))
}

/// What the rule has to know of an error.
pub trait Throttled: fmt::Display {
    /// Whether the service asked to slow down, with or without saying for how long.
    fn is_throttled(&self) -> bool;
    /// How long the service asked to wait; `None` when it did not say.
    fn retry_after(&self) -> Option<Duration>;
}

/// What to do about a request that failed.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Send it again after this time, for which the service asked.
    Obey(Duration),
    /// Send it again after this time, which this program chose.
    Again(Duration),
    /// The service asked for more patience than the poll has left: nothing is asked before this instant.
    NotBefore(Ticks),
    /// It failed for good.
    Failed,
}

/// The tries of one request.
#[derive(Debug)]
pub struct Tries {
    most: u32,
    /// How often the service failed.
    failures: u32,
    /// How often it asked to wait.
    waits: u32,
}

impl Tries {
    /// For a request that may fail so many times; 1 is never sent again unless the service asks for patience.
    pub fn new(most: u32) -> Self {
        Self { most, failures: 0, waits: 0 }
    }

    /// How often the service failed, waits not counted.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// What to do after this error. `helps` says whether the same request may succeed a moment later; `deadline` is the end
    /// of the poll's time.
    pub fn after(&mut self, error: &impl Throttled, helps: bool, now: Ticks, deadline: Ticks) -> Next {
        // Any number: it only spreads waits.
        let seed = now.0.unsigned_abs() / 10_000;
        if error.is_throttled() {
            self.waits += 1;
            // "Come back at once" is no wait, and without one the service would be asked as fast as it refuses.
            let said = error.retry_after().filter(|wait| !wait.is_zero());
            let wait = said.unwrap_or_else(|| backoff(self.waits + 1, seed)).min(LONGEST_PATIENCE);
            let until = now.plus(wait);
            return if until > deadline { Next::NotBefore(until.ceil_ms()) } else { Next::Obey(wait) };
        }
        self.failures += 1;
        if !helps || self.failures >= self.most {
            return Next::Failed;
        }
        Next::Again(backoff(self.failures, seed))
    }
}

/// Until when the service asked an earlier run to be left alone; `None` when that is past. A time far ahead was written by a
/// clock that was wrong, and may not silence the input.
pub fn not_before(saved: Option<&str>, now: Ticks) -> Option<Ticks> {
    saved.and_then(Ticks::parse).filter(|until| now < *until && *until <= now.plus(LONGEST_PATIENCE))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    struct Said(Option<Option<Duration>>);

    impl fmt::Display for Said {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(if self.0.is_some() { "busy" } else { "failed" })
        }
    }

    impl Throttled for Said {
        fn is_throttled(&self) -> bool {
            self.0.is_some()
        }
        fn retry_after(&self) -> Option<Duration> {
            self.0.flatten()
        }
    }

    const FAILED: Said = Said(None);

    fn busy(seconds: u64) -> Said {
        Said(Some(Some(Duration::from_secs(seconds))))
    }

    fn now() -> Ticks {
        Ticks::parse("2026-11-22T12:00:00Z").unwrap()
    }

    /// What to do, in a poll that has half a minute left.
    fn next(tries: &mut Tries, error: &Said) -> Next {
        tries.after(error, true, now(), now().plus(Duration::from_secs(30)))
    }

    #[test]
    fn a_failure_is_tried_again_a_few_times_and_waits_do_not_count() {
        let mut tries = Tries::new(ATTEMPTS);
        assert!(matches!(next(&mut tries, &FAILED), Next::Again(_)));
        for _ in 0..10 {
            assert_eq!(next(&mut tries, &busy(7)), Next::Obey(Duration::from_secs(7)));
        }
        assert!(matches!(next(&mut tries, &FAILED), Next::Again(_)));
        assert_eq!(next(&mut tries, &FAILED), Next::Failed);
        assert_eq!(next(&mut Tries::new(1), &FAILED), Next::Failed);
        let deadline = now().plus(Duration::from_secs(60));
        assert_eq!(Tries::new(ATTEMPTS).after(&FAILED, false, now(), deadline), Next::Failed, "it would not help");
    }

    #[test]
    fn a_service_that_says_come_back_at_once_is_left_alone_for_longer_and_longer() {
        for said in [Said(Some(None)), busy(0)] {
            let (mut tries, mut waited) = (Tries::new(ATTEMPTS), Vec::new());
            for _ in 0..20 {
                match next(&mut tries, &said) {
                    Next::Obey(wait) => waited.push(wait),
                    _ => break,
                }
            }
            assert!(waited[0] >= Duration::from_millis(900), "{waited:?}");
            assert!(waited.is_sorted() && waited.len() < 8, "{waited:?}");
        }
    }

    #[test]
    fn a_wait_longer_than_the_poll_is_left_to_the_next_one_and_ends() {
        let at = |next| match next {
            Next::NotBefore(until) => until.since(now()).as_secs(),
            _ => 0,
        };
        assert_eq!(at(next(&mut Tries::new(ATTEMPTS), &busy(600))), 600);
        assert_eq!(at(next(&mut Tries::new(ATTEMPTS), &busy(u64::from(u32::MAX)))), 3600);
        assert_eq!(not_before(Some("2026-11-22T12:10:00Z"), now()), Ticks::parse("2026-11-22T12:10:00Z"));
        for over in [None, Some("2026-11-22T11:59:59Z"), Some("2026-11-22T12:00:00Z"), Some("2027-01-01T00:00:00Z"), Some("soon")]
        {
            assert_eq!(not_before(over, now()), None, "{over:?}");
        }
    }
}
