//! Alert actions: each row of a search's results becomes at most one change of one object, and exactly one result.

#[cfg(test)]
mod fault_tests;
mod hand;
#[cfg(test)]
mod load_tests;
mod object;
mod outcome;
mod plan;
mod report;
mod summary;
mod wave;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::account::{APP, Account, ClearText, Settings};
use crate::error::{Error, Exit};
use crate::masking::admin_text;
use crate::mode::Action;
use crate::splunk::alert::{self, Payload, Row, Rows};
use crate::splunk::log::set_level;
use crate::splunk::rest::{RestError, Settings as Stanza, Splunkd};
use crate::splunk::stop::Stop;
use crate::splunk::turn::Turn;

use hand::{Ends, Hand};
use object::Rules;
use outcome::Done;
pub use outcome::Outcome;
use plan::{Order, Orders, Parameters};
use report::Report;
use wave::{Objects, Tempo};

/// `maxtime` of `alert_actions.conf` where splunkd does not tell another: then it ends the process in the middle of
/// whatever it does.
const MAXTIME: Duration = Duration::from_secs(300);
/// Between two looks whether another process has ended.
const LOOK: Duration = Duration::from_millis(50);
/// The most rows, and the bytes of them, that are held at once.
const WINDOW: (usize, usize) = (1000, 8 << 20);

/// Carries out an action for the payload on `stdin`.
pub fn run(action: Action, stdin: impl Read, splunk_home: Option<&Path>) -> Exit {
    // The rows that are left are told as stopped, for which the last words make time. What cannot be told even then was not
    // done: 1.
    let stop = Stop::listen_and_exit(1, || thread::sleep(Duration::from_secs(1))).map_err(Error::Signals);
    match stop.and_then(|stop| act(action, stdin, splunk_home, Tempo::Polite, &stop)) {
        Ok(exit) => exit,
        Err(error) => {
            log::error!("{}: {}", action.name(), error.full());
            error.exit()
        }
    }
}

fn act(action: Action, stdin: impl Read, splunk_home: Option<&Path>, tempo: Tempo, stop: &Stop) -> Result<Exit, Error> {
    let begun = Instant::now();
    let payload = Arc::new(alert::read(stdin)?);
    let parameters = Arc::new(Parameters::read(action, &payload));
    let rows = Rows::open(&payload, |field| parameters.reads(field))?;
    let wrong = parameters.fault.clone().map(Error::Parameter);
    if rows.total() == 0 {
        log::info!("{}: the search results hold no row, so nothing is changed", action.name());
        return wrong.map_or(Ok(Exit::Done), Err);
    }
    let report = Report::open(action, &payload, &parameters, splunk_home);
    let start = Start {
        action,
        payload: Arc::clone(&payload),
        parameters: Arc::clone(&parameters),
        splunk_home: splunk_home.map(Path::to_owned),
        begun,
        tempo,
        stop: stop.clone(),
    };
    let latest = begun + Time::within(MAXTIME).all;
    let begin = move |end: &dyn Fn(Instant)| wrong.map_or_else(|| start.objects(end), Err);
    let (hand, unable) = Hand::new(begin, latest, stop.clone());
    let (orders, window) = (Orders::default(), Vec::new());
    let (late, held_late) = (Vec::new(), 0);
    let run = Run { action, parameters: &parameters, hand, report, orders, window, late, held_late, held: 0, hopeless: None };
    let exit = run.carry_out(rows);
    unable.map_or(Ok(exit), Err)
}

/// The rows on their way, a window of them at a time.
struct Run<'a> {
    action: Action,
    parameters: &'a Parameters,
    hand: Hand,
    report: Report<'a>,
    orders: Orders,
    window: Vec<(usize, Row, Order)>,
    /// Rows whose object does not show its change yet, with its key, and what they hold, in bytes.
    late: Vec<(usize, Row, String)>,
    held_late: usize,
    /// What the window holds, in bytes.
    held: usize,
    /// Why nothing can be changed, where that is known.
    hopeless: Option<String>,
}

impl Run<'_> {
    fn carry_out(mut self, rows: Rows) -> Exit {
        let mut broken = None;
        for (number, row) in rows.enumerate() {
            match row {
                Ok(row) => self.take(number, row),
                Err(error) => broken = Some(error),
            }
        }
        self.settle();
        self.finish();
        self.report.summarize();
        self.report.flush();
        let name = self.action.name();
        let (rows, failed) = self.report.told();
        if let Some(error) = &broken {
            log::error!("{name}: {error}");
        }
        if let Some(reason) = &self.hopeless {
            log::error!("{name}: nothing can be changed with account {}: {reason}", admin_text(&self.parameters.account));
        }
        log::info!("{name}: {rows} rows, {failed} of them not changed as asked");
        match (self.hopeless, broken) {
            (Some(_), _) => Exit::Misconfigured,
            (None, None) if failed == 0 => Exit::Done,
            _ => Exit::Failed,
        }
    }

    fn take(&mut self, number: usize, row: Row) {
        let order = self.orders.next(self.parameters, &row);
        self.held += row.size();
        self.window.push((number, row, order));
        if self.orders.due.len() >= self.hand.wave || self.window.len() >= WINDOW.0 || self.held >= WINDOW.1 {
            self.settle();
        }
    }

    /// Carries out what is due, and tells the result of every row of the window.
    fn settle(&mut self) {
        let tasks = Arc::new(std::mem::take(&mut self.orders.due));
        let ends = self.hand.change(&tasks);
        let ended = self.take_in(ends);
        for (number, row, order) in self.window.drain(..) {
            let (key, first) = match order {
                Order::Refuse(outcome) => {
                    self.report.row(&row, number, &Done::early(outcome), false);
                    continue;
                }
                Order::Change(key) => (key, true),
                Order::Repeat(key) => (key, false),
            };
            match self.orders.end_of(&key) {
                Some(end) => self.report.row(&row, number, end, first),
                None => {
                    self.held_late += row.size();
                    self.late.push((number, row, key));
                }
            }
        }
        ended.iter().for_each(|key| self.orders.told(key));
        self.held = 0;
        if self.late.len() >= WINDOW.0 || self.held_late >= WINDOW.1 {
            self.finish();
        }
        self.report.flush();
    }

    /// Waits for the objects that do not show their change yet, and tells the results of their rows.
    fn finish(&mut self) {
        let ends = self.hand.finish();
        let ended = self.take_in(ends);
        let none = Done::early(Outcome::Failed("out of time".to_owned()));
        // Every object that a row names has ended by now.
        for (number, row, key) in self.late.drain(..) {
            self.report.row(&row, number, self.orders.end_of(&key).unwrap_or(&none), true);
        }
        self.held_late = 0;
        ended.iter().for_each(|key| self.orders.told(key));
    }

    /// Notes what became of objects, and tells the rows that waited for it. Gives their keys.
    fn take_in(&mut self, ends: Ends) -> Vec<String> {
        self.hopeless = self.hopeless.take().or(ends.hopeless);
        let ended: Vec<String> = ends.done.into_iter().map(|(id, end)| self.orders.ended(&id, end)).collect();
        for (number, row, key) in std::mem::take(&mut self.late) {
            match self.orders.end_of(&key) {
                Some(end) => {
                    self.held_late -= row.size();
                    self.report.row(&row, number, end, true);
                }
                None => self.late.push((number, row, key)),
            }
        }
        ended
    }
}

/// What is needed to begin asking the service.
struct Start {
    action: Action,
    payload: Arc<Payload>,
    parameters: Arc<Parameters>,
    splunk_home: Option<PathBuf>,
    begun: Instant,
    tempo: Tempo,
    stop: Stop,
}

impl Start {
    /// Tells `end` when it may not be waited for any longer, as soon as that is known.
    fn objects(self, end: &dyn Fn(Instant)) -> Result<(Objects, Option<Turn>), Error> {
        let (payload, parameters) = (&self.payload, &self.parameters);
        let splunkd = Splunkd::new(&payload.server_uri, payload.session_key.clone(), APP, self.splunk_home.as_deref())?;
        let time = Time::within(maxtime(&splunkd, payload, self.action)?);
        end(self.begun + time.all);
        let settings = Settings::load(&splunkd)?;
        set_level(settings.level);
        // The owner of a search may not change configuration, so a clear-text secret is only used here.
        let account = Account::load(&splunkd, &parameters.account, ClearText::Use)?;
        let client = account.client(&settings.http(time.exchange)?, parameters.resource.api())?;
        let until = self.begun + time.work;
        let turn = self.turn(until)?;
        let (resource, dry_run, if_changed) = (parameters.resource, parameters.dry_run, parameters.if_changed);
        let rules = Rules { resource, dry_run, if_changed, until };
        Ok((Objects::new(client, rules, self.tempo, self.stop), turn))
    }

    /// One process at a time for each search job: two that were started in the same moment would both find an object
    /// without their comment, and both post it.
    fn turn(&self, until: Instant) -> Result<Option<Turn>, Error> {
        let Some(home) = self.splunk_home.as_deref().filter(|_| !self.parameters.dry_run) else { return Ok(None) };
        let name = format!("{}_{}", self.action.name(), self.parameters.run());
        match Turn::take(home, &name, || self.stop.sleep(LOOK) || Instant::now() >= until) {
            Ok(Some(turn)) => Ok(Some(turn)),
            Ok(None) => Err(Error::AtWork(self.payload.sid.clone())),
            Err(reason) => {
                log::warn!(
                    "{}: no lock in $SPLUNK_HOME/var/run/splunk: {reason}; should this action be started twice for the same \
                     search job at once, comments may be there twice",
                    self.action.name()
                );
                Ok(None)
            }
        }
    }
}

/// How a run divides what splunkd gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Time {
    /// The most one exchange may take.
    exchange: Duration,
    /// After this nothing is begun any more: what is under way still takes up to two exchanges, for a token and an answer.
    work: Duration,
    /// After this nothing is waited for any more: the results of the rows that are left have to be told.
    all: Duration,
}

impl Time {
    fn within(maxtime: Duration) -> Self {
        let exchange = (maxtime / 10).clamp(Duration::from_secs(1), Duration::from_secs(20));
        let all = maxtime - maxtime / 20;
        Self { exchange, work: all.saturating_sub(exchange * 2), all }
    }
}

/// The action's `maxtime`: the search's own (`action.<name>.maxtime`), or that of `alert_actions.conf`. Neither is in the
/// payload. What splunkd does not tell is left to the default, but where it does not answer nothing else can be had.
fn maxtime(splunkd: &Splunkd, payload: &Payload, action: Action) -> Result<Duration, RestError> {
    let told = |answer: Result<Option<Stanza>, RestError>| match answer {
        Err(error @ (RestError::Unreachable { .. } | RestError::Busy { .. })) => Err(error),
        other => Ok(other.ok().flatten()),
    };
    let search = payload.search().map_or(Ok(None), |path| told(splunkd.saved_search(path)))?;
    let name = format!("action.{}.maxtime", action.name());
    if let Some(own) = search.and_then(|settings| parse_maxtime(settings.get(&name)?)) {
        return Ok(own);
    }
    let stanza = told(splunkd.conf("alert_actions", action.name()))?;
    Ok(stanza.and_then(|settings| parse_maxtime(settings.get("maxtime")?)).unwrap_or(MAXTIME))
}

/// A number with an optional unit.
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
            assert!(time.work + time.exchange * 2 <= time.all && time.all < maxtime && !time.work.is_zero(), "{time:?}");
        }
        let [exchange, work, all] = [20, 245, 285].map(Duration::from_secs);
        assert_eq!(Time::within(MAXTIME), Time { exchange, work, all });
    }
}
