//! Alert actions: each row of a search's results becomes at most one change of one object, and exactly one result.

#[cfg(test)]
mod load_tests;
mod object;
mod outcome;
mod plan;
mod report;
mod wave;

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::account::{APP, Account, ClearText, Settings};
use crate::error::{Error, Exit};
use crate::mode::Action;
use crate::splunk::alert::{self, Payload, Row};
use crate::splunk::log::set_level;
use crate::splunk::rest::Splunkd;

use object::Rules;
use outcome::Done;
pub use outcome::Outcome;
use plan::{Order, Orders, Parameters};
use report::Report;
use wave::{Objects, Tempo};

/// `maxtime` of `alert_actions.conf` where splunkd does not tell another: then it ends the process in the middle of
/// whatever it does.
const MAXTIME: Duration = Duration::from_secs(300);

/// Carries out an action for the payload on `stdin`.
pub fn run(action: Action, stdin: impl Read, splunk_home: Option<&Path>) -> Exit {
    match act(action, stdin, splunk_home, Tempo::Polite) {
        Ok(exit) => exit,
        Err(error) => {
            log::error!("{}: {}", action.name(), error.full());
            error.exit()
        }
    }
}

fn act(action: Action, stdin: impl Read, splunk_home: Option<&Path>, tempo: Tempo) -> Result<Exit, Error> {
    let begun = Instant::now();
    let payload = alert::read(stdin)?;
    let parameters = Parameters::read(action, &payload)?;
    let rows = alert::rows_with(&payload, |field| parameters.reads(field))?;
    if rows.is_empty() {
        log::info!("{}: the search results hold no row, so nothing is changed", action.name());
        return Ok(Exit::Done);
    }
    let mut objects = objects(action, &payload, &parameters, splunk_home, begun, tempo)?;
    let mut report = Report::open(action, &payload, &parameters, splunk_home);
    let mut orders = Orders::default();
    let mut waiting: Vec<(usize, &Row, Order)> = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        waiting.push((number, row, orders.next(&parameters, row)));
        if orders.due.len() < objects.wave() && number + 1 < rows.len() {
            continue;
        }
        let tasks = std::mem::take(&mut orders.due);
        let ends = objects.change(&tasks);
        orders.ended(tasks, ends);
        for (number, row, order) in waiting.drain(..) {
            let done = match order {
                Order::Refuse(outcome) => Done::early(outcome),
                // Every object that a row names has been through a wave by now.
                Order::Change(id) => orders.end_of(&id).unwrap_or_else(|| Done::early(Outcome::Failed("out of time".to_owned()))),
            };
            report.row(row, number, &done);
        }
        report.flush();
    }
    let failed = report.failed();
    log::info!("{}: {} rows, {failed} of them not changed as asked", action.name(), rows.len());
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}

fn objects(
    action: Action,
    payload: &Payload,
    parameters: &Parameters,
    splunk_home: Option<&Path>,
    begun: Instant,
    tempo: Tempo,
) -> Result<Objects, Error> {
    let splunkd = Splunkd::new(&payload.server_uri, payload.session_key.clone(), APP, splunk_home)?;
    let settings = Settings::load(&splunkd)?;
    set_level(settings.level);
    // The owner of a search may not change configuration, so a clear-text secret is only used here.
    let account = Account::load(&splunkd, &parameters.account, ClearText::Use)?;
    let time = Time::within(maxtime(&splunkd, action));
    let client = account.client(&settings.http(time.exchange)?, parameters.resource.api())?;
    let rules = Rules { resource: parameters.resource, dry_run: parameters.dry_run, if_changed: parameters.if_changed };
    Ok(Objects::new(client, rules, tempo, begun + time.work))
}

/// How a run divides what splunkd gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Time {
    /// The most one exchange may take.
    exchange: Duration,
    /// After this nothing is begun any more: what is under way still takes up to two exchanges, for a token and an answer,
    /// and the results of the rows that are left have to be told.
    work: Duration,
}

impl Time {
    fn within(maxtime: Duration) -> Self {
        let exchange = (maxtime / 10).clamp(Duration::from_secs(1), Duration::from_secs(20));
        Self { exchange, work: maxtime.saturating_sub(exchange * 2 + maxtime / 20) }
    }
}

/// The action's `maxtime`, as the admin may have changed it: a number with an optional unit.
fn maxtime(splunkd: &Splunkd, action: Action) -> Duration {
    let stanza = splunkd.conf("alert_actions", action.name());
    let told = stanza.ok().flatten().and_then(|settings| settings.get("maxtime").cloned());
    told.and_then(|text| parse_maxtime(&text)).unwrap_or(MAXTIME)
}

fn parse_maxtime(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let seconds = match text[digits..].trim() {
        "" | "s" | "sec" | "secs" | "second" | "seconds" => number,
        "m" | "min" | "mins" | "minute" | "minutes" => number.checked_mul(60)?,
        "h" | "hr" | "hour" | "hours" => number.checked_mul(3600)?,
        "d" | "day" | "days" => number.checked_mul(86_400)?,
        _ => return None,
    };
    // A day is more than any action needs, and far from overflowing a clock.
    (seconds > 0).then(|| Duration::from_secs(seconds.min(86_400)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn maxtime_as_splunk_writes_it() {
        for (text, seconds) in [("5m", 300), ("300", 300), ("90 s", 90), ("1h", 3600), ("10 minutes", 600), ("9d", 86_400)] {
            assert_eq!(parse_maxtime(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "m", "0", "-5", "5x", "99999999999999999999"] {
            assert_eq!(parse_maxtime(text), None, "{text}");
        }
    }

    #[test]
    fn a_run_ends_before_it_is_ended() {
        for seconds in [5, 10, 60, 300, 3600] {
            let maxtime = Duration::from_secs(seconds);
            let time = Time::within(maxtime);
            assert!(time.work + time.exchange * 2 < maxtime && !time.work.is_zero(), "{time:?}");
        }
        assert_eq!(Time::within(MAXTIME), Time { exchange: Duration::from_secs(20), work: Duration::from_secs(245) });
    }
}
