//! Alert actions: each row of a search's results becomes at most one change of one object, and exactly one result.

mod object;
mod plan;

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use crate::account::{APP, Account, ClearText, Settings};
use crate::error::{Error, Exit};
use crate::microsoft::cloud::Resource;
use crate::mode::Action;
use crate::splunk::alert::{self, Payload, Row};
use crate::splunk::log::set_level;
use crate::splunk::modalert::{ModAlert, Status};
use crate::splunk::rest::Splunkd;

use object::Objects;
use plan::{Order, Orders, Parameters};

/// The most one exchange may take: an action has five minutes in all.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(60);

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Changed as asked, and read back.
    Updated(String),
    /// It was so already, or nothing may be sent (dry run).
    Unchanged(String),
    /// Not sent: what was asked for makes no sense.
    Refused(String),
    /// There is no such object.
    NotFound(String),
    /// Sent or tried, and not done.
    Failed(String),
}

impl Outcome {
    /// The result's name, and what is to be said about it.
    fn told(&self) -> (&'static str, &str) {
        match self {
            Self::Updated(text) => ("updated", text),
            Self::Unchanged(text) => ("unchanged", text),
            Self::Refused(text) => ("refused", text),
            Self::NotFound(text) => ("not_found", text),
            Self::Failed(text) => ("failed", text),
        }
    }

    fn is_success(&self) -> bool {
        matches!(self, Self::Updated(_) | Self::Unchanged(_))
    }
}

/// Carries out an action for the payload on `stdin`.
pub fn run(action: Action, stdin: impl Read, splunk_home: Option<&Path>) -> Exit {
    match act(action, stdin, splunk_home) {
        Ok(exit) => exit,
        Err(error) => {
            log::error!("{}: {}", action.name(), error.full());
            error.exit()
        }
    }
}

fn act(action: Action, stdin: impl Read, splunk_home: Option<&Path>) -> Result<Exit, Error> {
    let payload = alert::read(stdin)?;
    let parameters = Parameters::read(action, &payload)?;
    let rows = alert::rows_with(&payload, |field| parameters.reads(field))?;
    if rows.is_empty() {
        log::info!("{}: the search results hold no row, so nothing is changed", action.name());
        return Ok(Exit::Done);
    }
    let mut journal = open_journal(action, &payload, splunk_home);
    let mut objects = objects(&payload, &parameters, splunk_home)?;
    let mut orders = Orders::default();
    let mut failed = 0;
    for (number, row) in rows.iter().enumerate() {
        let outcome = match orders.next(&parameters, row) {
            Order::Change { id, change } => {
                let outcome = objects.change(&id, &change, parameters.dry_run);
                orders.remember(&id, &outcome);
                outcome
            }
            Order::Same(outcome) | Order::Refuse(outcome) => outcome,
        };
        failed += usize::from(!outcome.is_success());
        report(action, number, parameters.id_of(row).as_deref(), &outcome);
        record(&mut journal, row, number, &outcome);
    }
    log::info!("{}: {} rows, {failed} of them not changed as asked", action.name(), rows.len());
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}

/// The row's log line.
fn report(action: Action, number: usize, id: Option<&str>, outcome: &Outcome) {
    let (result, text) = outcome.told();
    let level = if outcome.is_success() { log::Level::Info } else { log::Level::Error };
    log::log!(level, "{}: row={} id={} result={result}: {text}", action.name(), number + 1, id.unwrap_or("-"));
}

/// The line Enterprise Security reads. The change itself does not depend on it.
fn record(journal: &mut ModAlert, row: &Row, number: usize, outcome: &Outcome) {
    let (result, text) = outcome.told();
    let status = if outcome.is_success() { Status::Success } else { Status::Failure };
    if let Err(error) = journal.record(row, number, status, &format!("{result}: {text}")) {
        log::warn!("the result of row {} cannot be written for Enterprise Security: {error}", number + 1);
    }
}

fn open_journal(action: Action, payload: &Payload, splunk_home: Option<&Path>) -> ModAlert {
    ModAlert::open(splunk_home, action.name(), payload).unwrap_or_else(|error| {
        log::warn!("{}: the log that Enterprise Security reads cannot be opened: {error}", action.name());
        ModAlert::without_file(action.name(), payload)
    })
}

fn objects(payload: &Payload, parameters: &Parameters, splunk_home: Option<&Path>) -> Result<Objects, Error> {
    let splunkd = Splunkd::new(&payload.server_uri, payload.session_key.clone(), APP, splunk_home)?;
    let settings = Settings::load(&splunkd)?;
    set_level(settings.level);
    // The owner of a search may not change configuration, so a clear-text secret is only used here.
    let account = Account::load(&splunkd, &parameters.account, ClearText::Use)?;
    let resource: Resource = parameters.resource;
    Ok(Objects::new(account.client(&settings.http(EXCHANGE_LIMIT)?, resource.api())?, resource))
}
