//! Requests allowed per minute and hour, counted per application and kind of request, as the documents state them.

use std::collections::{BTreeMap, VecDeque};

use crate::faults::Route;
use crate::time::Time;

/// How a wait is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetryAfter {
    /// In seconds.
    #[default]
    Seconds,
    /// As an HTTP date.
    Date,
    /// Not at all.
    Missing,
}

impl RetryAfter {
    /// The header's value for a wait in seconds.
    pub fn value(self, seconds: i64, now: Time) -> Option<String> {
        match self {
            RetryAfter::Seconds => Some(seconds.to_string()),
            RetryAfter::Date => Some(Time::from_unix(now.unix() + seconds).http_date()),
            RetryAfter::Missing => None,
        }
    }
}

/// Which limits hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Limits {
    /// Those of the documents.
    #[default]
    Documented,
    /// None.
    Off,
    /// So many requests of every kind per minute.
    PerMinute(u32),
}

/// Limits and what was used of them.
#[derive(Clone, Debug, Default)]
pub struct Throttle {
    /// Which limits hold.
    pub limits: Limits,
    /// How a wait is told.
    pub retry_after: RetryAfter,
    /// The last hour's, oldest first.
    seen: BTreeMap<(String, &'static str), VecDeque<Time>>,
}

impl Throttle {
    /// Counts a request, or says for how many seconds there is no room for it. `who` is tenant and application.
    /// A request that is turned away does not count.
    pub(crate) fn admit(&mut self, who: &str, route: Route, now: Time) -> Result<(), i64> {
        let Some((bucket, mut per_minute, mut per_hour)) = documented(route) else {
            return Ok(());
        };
        match self.limits {
            Limits::Documented => {}
            Limits::Off => return Ok(()),
            Limits::PerMinute(limit) => (per_minute, per_hour) = (limit as usize, usize::MAX),
        }
        let seen = self.seen.entry((who.to_string(), bucket)).or_default();
        let since = |seconds: i64| Time::from_unix(now.unix() - seconds);
        while seen.front().is_some_and(|at| *at <= since(3600)) {
            seen.pop_front();
        }
        let before_minute = seen.partition_point(|at| *at <= since(60));
        let wait = |window: i64, oldest: Option<&Time>| oldest.map_or(window, |at| (at.unix() + window - now.unix()).max(1));
        if seen.len() >= per_hour {
            return Err(wait(3600, seen.front()));
        }
        if seen.len() - before_minute >= per_minute {
            return Err(wait(60, seen.get(before_minute)));
        }
        seen.push_back(now);
        Ok(())
    }
}

/// What shares a limit, the requests per minute and those per hour. Token endpoint and splunkd have none.
fn documented(route: Route) -> Option<(&'static str, usize, usize)> {
    Some(match route {
        Route::GraphAlerts
        | Route::GraphAlert
        | Route::GraphAlertComments
        | Route::GraphIncidents
        | Route::GraphIncident
        | Route::GraphIncidentComments => ("graph security", 150, usize::MAX),
        Route::MdeAlerts => ("alerts list", 100, 1500),
        Route::MdeAlert => ("alerts get", 100, 1500),
        Route::MdeAlertUpdate => ("alerts update", 100, 1500),
        Route::MdeBatchUpdate => ("alerts batch", 10, 500),
        Route::XdrIncidents => ("incidents list", 50, 1500),
        Route::XdrIncident => ("incidents get", 100, 1500),
        Route::XdrIncidentUpdate => ("incidents update", 50, 1500),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn counts_per_minute_and_frees_up_again() {
        let mut throttle = Throttle::default();
        let at = |second: i64| Time::from_unix(1_800_000_000 + second);
        for second in 0..50 {
            throttle.admit("a", Route::XdrIncidents, at(second)).unwrap();
        }
        assert_eq!(throttle.admit("a", Route::XdrIncidents, at(50)), Err(10));
        assert_eq!(throttle.admit("b", Route::XdrIncidents, at(50)), Ok(()), "another application has its own");
        assert_eq!(throttle.admit("a", Route::XdrIncident, at(50)), Ok(()), "another request has its own");
        assert_eq!(throttle.admit("a", Route::XdrIncidents, at(61)), Ok(()));
    }

    #[test]
    fn counts_per_hour() {
        let mut throttle = Throttle::default();
        let mut refused = None;
        for request in 0..501 {
            let now = Time::from_unix(1_800_000_000 + request * 7);
            if let Err(wait) = throttle.admit("a", Route::MdeBatchUpdate, now) {
                refused = Some((request, wait));
            }
        }
        assert_eq!(refused, Some((500, 100)));
    }
}
