//! How fast requests may follow one another: below what the API allows, and by its word when it asks for more patience.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::microsoft::cloud::Rate;
use crate::time::Ticks;

/// Requests at the start of a run that need not wait. A run every minute with this many stays below every documented rate.
const BURST: u32 = 5;
/// Of each documented rate, the share one input takes; several inputs and other programs use the same app.
const SHARE_OF_MINUTE: f64 = 0.8;
/// See [`SHARE_OF_MINUTE`]; lower, since the burst of each run comes on top.
const SHARE_OF_HOUR: f64 = 0.7;
/// The longest wait this program chooses by itself.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// Spaces the requests of one run.
#[derive(Debug)]
pub struct Pace {
    spacing: Duration,
    burst: u32,
    next: Option<Ticks>,
}

impl Pace {
    /// For an API of that rate.
    pub fn new(rate: Rate) -> Self {
        let per_minute = 60.0 / (f64::from(rate.per_minute) * SHARE_OF_MINUTE);
        let per_hour = rate.per_hour.map_or(0.0, |per_hour| 3600.0 / (f64::from(per_hour) * SHARE_OF_HOUR));
        Self { spacing: Duration::from_secs_f64(per_minute.max(per_hour)), burst: BURST, next: None }
    }

    /// How long to wait before the request that is sent next; counts it as sent.
    pub fn wait(&mut self, now: Ticks) -> Duration {
        if self.burst > 0 {
            self.burst -= 1;
            return Duration::ZERO;
        }
        // A clock that was put back in the meantime makes nobody wait for longer than the spacing.
        let at = self.next.map_or(now, |next| next.clamp(now, now.plus(self.spacing)));
        self.next = Some(at.plus(self.spacing));
        at.since(now)
    }
}

/// The requests of an alert action, which is rare and has a person waiting: a minute's worth goes at once, and what is more
/// a minute later. There is no hour to fill.
#[derive(Debug)]
pub struct Minute {
    requests: usize,
    /// When the last of them went, or will go; oldest first.
    sent: VecDeque<Instant>,
}

impl Minute {
    /// A minute as the service counts it, and a second for requests that travel faster than those before them.
    const LENGTH: Duration = Duration::from_secs(61);

    /// For requests of that rate, which inputs and other programs use as well.
    pub fn shared(rate: Rate) -> Self {
        Self::new((f64::from(rate.per_minute) * SHARE_OF_MINUTE) as u32)
    }

    /// For so many requests, one at least.
    pub fn new(requests: u32) -> Self {
        Self { requests: requests.max(1) as usize, sent: VecDeque::new() }
    }

    /// How long to wait before the request that is sent next; counts it as sent.
    pub fn wait(&mut self, now: Instant) -> Duration {
        let oldest = if self.sent.len() < self.requests { None } else { self.sent.pop_front() };
        let at = oldest.map_or(now, |oldest| now.max(oldest + Self::LENGTH));
        self.sent.push_back(at);
        at.saturating_duration_since(now)
    }
}

/// How long to wait before try `attempt` (from 1): doubling from half a second, spread by a fifth so that inputs that
/// failed together do not come back together. `seed` decides the spread.
pub fn backoff(attempt: u32, seed: u64) -> Duration {
    let full = Duration::from_millis(500) * 2u32.saturating_pow(attempt.saturating_sub(1).min(10));
    let spread = u32::try_from(seed % 200).unwrap_or(0);
    (full * (900 + spread) / 1000).min(LONGEST_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::microsoft::cloud::Resource;

    #[test]
    fn no_minute_and_no_hour_goes_over_the_documented_rate() {
        for resource in Resource::ALL {
            let rate = resource.rate();
            // One run each minute, each using its minute to the end.
            let (mut in_hour, mut most_in_minute) = (0, 0);
            for _run in 0..60 {
                let mut pace = Pace::new(rate);
                let (mut now, mut in_minute) = (Ticks(0), 0);
                loop {
                    now = now.plus(pace.wait(now));
                    if now.0 >= 60 * crate::time::PER_SECOND {
                        break;
                    }
                    in_minute += 1;
                }
                in_hour += in_minute;
                most_in_minute = most_in_minute.max(in_minute);
            }
            assert!(most_in_minute <= rate.per_minute, "{resource:?}: {most_in_minute} in a minute");
            assert!(rate.per_hour.is_none_or(|per_hour| in_hour <= per_hour), "{resource:?}: {in_hour} in an hour");
        }
    }

    #[test]
    fn an_action_uses_its_minute_at_once_and_no_more() {
        for requests in [1, 8, 120] {
            let mut minute = Minute::new(requests);
            let begun = Instant::now();
            let (mut now, mut sent) = (begun, Vec::new());
            while now < begun + Duration::from_secs(200) {
                now += minute.wait(now) + Duration::from_millis(7);
                sent.push(now);
            }
            for first in &sent {
                let in_minute = sent.iter().filter(|at| *at >= first && **at < *first + Duration::from_secs(60)).count();
                assert!(in_minute <= requests as usize, "{requests}: {in_minute}");
            }
            assert!(sent[requests as usize - 1] < begun + Duration::from_secs(1), "the first go at once");
            assert!(sent.len() >= 3 * requests as usize, "{requests}: {}", sent.len());
        }
        assert_eq!(Minute::shared(Resource::GraphAlerts.rate()).requests, 120);
    }

    #[test]
    fn waits_double_and_end() {
        assert_eq!(backoff(1, 100), Duration::from_millis(500));
        assert_eq!(backoff(3, 100), Duration::from_secs(2));
        assert!(backoff(1, 0) < backoff(1, 199));
        assert_eq!(backoff(99, 199), LONGEST_BACKOFF);
    }
}
