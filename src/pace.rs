//! How fast requests may follow one another: below what the API allows, and by its word when it asks for more patience.

use std::time::Duration;

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

    /// For an alert action, which is rare and has a person waiting: a fifth of a minute's requests go at once, so that with
    /// the spacing of the others no minute goes over the rate. There is no hour to fill.
    pub fn for_action(rate: Rate) -> Self {
        Self { burst: rate.per_minute / 5, ..Self::new(Rate { per_hour: None, ..rate }) }
    }

    /// How long to wait before the request that is sent next; counts it as sent.
    pub fn wait(&mut self, now: Ticks) -> Duration {
        if self.burst > 0 {
            self.burst -= 1;
            return Duration::ZERO;
        }
        let at = self.next.map_or(now, |next| next.max(now));
        self.next = Some(at.plus(self.spacing));
        at.since(now)
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
    fn an_action_stays_below_the_minutes_rate() {
        for per_minute in [10, 50, 100, 150] {
            let mut pace = Pace::for_action(Rate { per_minute, per_hour: None });
            let (mut now, mut sent) = (Ticks(0), Vec::new());
            while now.0 < 180 * crate::time::PER_SECOND {
                now = now.plus(pace.wait(now));
                sent.push(now.0);
            }
            for (at, first) in sent.iter().enumerate() {
                let in_minute = sent[at..].iter().filter(|time| **time < first + 60 * crate::time::PER_SECOND).count();
                assert!(in_minute <= per_minute as usize + 1, "{per_minute}: {in_minute}");
            }
            assert!(sent[per_minute as usize / 5 - 1] == 0, "the first go at once");
        }
    }

    #[test]
    fn waits_double_and_end() {
        assert_eq!(backoff(1, 100), Duration::from_millis(500));
        assert_eq!(backoff(3, 100), Duration::from_secs(2));
        assert!(backoff(1, 0) < backoff(1, 199));
        assert_eq!(backoff(99, 199), LONGEST_BACKOFF);
    }
}
