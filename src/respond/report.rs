//! Where the result of a row is told: the log, the file that Enterprise Security reads, and an audit event. The change
//! itself depends on none of them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::outcome::{Done, Outcome};
use super::plan::Parameters;
use super::summary::{Group, Summary};
use crate::masking::{foreign_text, without_secrets};
use crate::microsoft::cloud::What;
use crate::microsoft::query::check_id;
use crate::microsoft::update::Member;
use crate::mode::Action;
use crate::splunk::alert::{Payload, Row};
use crate::splunk::modalert::{ModAlert, Status};
use crate::splunk::spool::{Header, Spool};
use crate::time::Ticks;

/// Of the audit events.
const SOURCETYPE: &str = "ms:defender:writeback";
/// Of audit events that could not be handed over, the bytes that are kept for another try.
const KEPT: usize = 8 << 20;
/// The most of an id that is repeated, in characters; none is longer.
const ID: usize = 200;

/// The three places.
pub(super) struct Report<'a> {
    action: Action,
    payload: &'a Payload,
    parameters: &'a Parameters,
    journal: ModAlert,
    spool: Option<Spool>,
    /// Still to be handed over.
    events: Vec<String>,
    /// Whether it was said that the spool, and that the journal, cannot be written to.
    unspooled: bool,
    unjournaled: bool,
    rows: usize,
    failed: usize,
    /// What is not told row by row.
    summary: Summary,
}

/// The audit event of many rows for which nothing was asked; those of its members that [`Event`] has as well mean the same.
#[derive(Serialize)]
struct Many<'a> {
    time: String,
    action: &'static str,
    result: &'static str,
    object: &'static str,
    reason: String,
    /// How many rows it stands for.
    rows: usize,
    /// The first and the last of them, counted from 1.
    first_row: usize,
    last_row: usize,
    dry_run: bool,
    user: &'a str,
    app: &'a str,
    search_name: &'a str,
    sid: &'a str,
    account: &'a str,
    api: &'a str,
}

/// One audit event; its members in the order in which they are written. The time is the first, where Splunk looks for it.
#[derive(Serialize)]
struct Event<'a> {
    time: String,
    action: &'static str,
    result: &'static str,
    object: &'static str,
    id: Option<&'a str>,
    reason: &'a str,
    /// Names of the members that the change is about.
    changed: Vec<&'static str>,
    before: BTreeMap<&'static str, String>,
    after: BTreeMap<&'static str, Cow<'a, str>>,
    /// The update times of the versions that the change made: by them and the id its echo in the feeds is known.
    updated: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    changed_since: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    would_send: &'a [String],
    dry_run: bool,
    user: &'a str,
    app: &'a str,
    search_name: &'a str,
    sid: &'a str,
    /// Counted from 1.
    row: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    rid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    orig_sid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    orig_rid: Option<&'a str>,
    account: &'a str,
    api: &'a str,
    request_id: Option<&'a str>,
    http_status: Option<u16>,
    attempts: u32,
    duration_ms: u64,
}

impl<'a> Report<'a> {
    pub(super) fn open(action: Action, payload: &'a Payload, parameters: &'a Parameters, splunk_home: Option<&Path>) -> Self {
        let journal = ModAlert::open(splunk_home, action.name(), payload).unwrap_or_else(|error| {
            log::warn!("{}: the log that Enterprise Security reads cannot be opened: {error}", action.name());
            ModAlert::without_file(action.name(), payload)
        });
        let header = Header {
            index: parameters.index.clone(),
            host: payload.server_host.clone(),
            source: action.name().to_owned(),
            sourcetype: SOURCETYPE,
        };
        let spool = splunk_home.map(|home| Spool::new(home, header));
        if spool.is_none() {
            log::warn!("{}: SPLUNK_HOME is not set, so no audit events ({SOURCETYPE}) are written", action.name());
        }
        Self {
            action,
            payload,
            parameters,
            journal,
            spool,
            events: Vec::new(),
            unspooled: false,
            unjournaled: false,
            rows: 0,
            failed: 0,
            summary: Summary::default(),
        }
    }

    /// Rows so far, and those of them that were not changed as asked.
    pub(super) fn told(&self) -> (usize, usize) {
        (self.rows, self.failed)
    }

    /// Tells the result of a row; `number` counts from 0. `first` says whether it is the first of its object; with nothing
    /// asked for it, a row may be told with others.
    pub(super) fn row(&mut self, row: &Row, number: usize, done: &Done, first: bool) {
        self.rows += 1;
        self.failed += usize::from(!done.outcome.is_success());
        let asked = first && done.trace.attempts > 0;
        if !asked && self.summary.takes(number, &done.outcome) {
            return;
        }
        let id = self.parameters.id_of(row).map(|id| match check_id(self.parameters.resource, &id) {
            Ok(()) => id,
            // It may be anything, and is not to be repeated unseen.
            Err(_) => foreign_text(&id.chars().take(ID).collect::<String>()),
        });
        let whose = format!("{}: row={} id={}", self.action.name(), number + 1, id.as_deref().map_or("-".into(), one_word));
        if let (Some(changed), false) = (&done.trace.changed_since, matches!(done.outcome, Outcome::Refused(_))) {
            log::warn!("{whose}: {changed}");
        }
        let (result, text) = done.outcome.told();
        let level = match done.outcome.is_success() {
            true if done.trace.warning.is_some() => log::Level::Warn,
            true => log::Level::Info,
            false => log::Level::Error,
        };
        log::log!(level, "{whose} result={result}: {text}");
        self.record(row, number, done.outcome.is_success(), &format!("{result}: {text}"));
        if self.spool.is_some() {
            match serde_json::to_string(&self.event(row, number, id.as_deref(), done)) {
                // The last guard: no secret of this process leaves with it.
                Ok(event) => self.events.push(without_secrets(&event)),
                Err(error) => log::warn!("the audit event of row {} cannot be written: {error}", number + 1),
            }
        }
    }

    /// Tells how many rows were not told one by one, by result and reason.
    pub(super) fn summarize(&mut self) {
        for (result, group) in self.summary.take() {
            let (rows, first, last) = (group.rows, group.first, group.last);
            let text = format!("{rows} more rows, from {first} to {last}, have result={result}: {}", group.text());
            let level = if group.success { log::Level::Info } else { log::Level::Error };
            log::log!(level, "{}: {text}", self.action.name());
            let all = format!("{first}-{last}");
            self.record(&Row::of([("rid", vec![all.as_str()])]), first - 1, group.success, &text);
            if self.spool.is_some() {
                match serde_json::to_string(&self.many(result, &group)) {
                    Ok(event) => self.events.push(event),
                    Err(error) => log::warn!("the audit event of rows {first} to {last} cannot be written: {error}"),
                }
            }
        }
    }

    fn many(&self, result: &'static str, group: &Group) -> Many<'_> {
        Many {
            time: Ticks::now().rfc3339_ms(),
            action: self.action.name(),
            result,
            object: self.object(),
            reason: group.text(),
            rows: group.rows,
            first_row: group.first,
            last_row: group.last,
            dry_run: self.parameters.dry_run,
            user: &self.payload.owner,
            app: &self.payload.app,
            search_name: &self.payload.search_name,
            sid: &self.payload.sid,
            account: &self.parameters.account,
            api: &self.parameters.api,
        }
    }

    fn object(&self) -> &'static str {
        match self.parameters.resource.what() {
            What::Incidents => "incident",
            What::Alerts => "alert",
        }
    }

    fn record(&mut self, row: &Row, number: usize, success: bool, signature: &str) {
        let status = if success { Status::Success } else { Status::Failure };
        if let Err(error) = self.journal.record(row, number, status, signature)
            && !std::mem::replace(&mut self.unjournaled, true)
        {
            log::warn!(
                "{}: the log that Enterprise Security reads cannot be written to, from row {} on: {error}",
                self.action.name(),
                number + 1
            );
        }
    }

    fn event<'e>(&'e self, row: &'e Row, number: usize, id: Option<&'e str>, done: &'e Done) -> Event<'e> {
        let (result, reason) = done.outcome.told();
        let trace = &done.trace;
        let before = trace.asked.iter().filter(|difference| difference.member != Member::Comment);
        let after = trace.after.iter().filter(|(member, _)| *member != Member::Comment);
        // Of a comment, what is written is what was asked for, once it is there.
        let commented = trace.asked.iter().any(|difference| difference.member == Member::Comment);
        let comment = self.parameters.comment(row).filter(|_| commented && matches!(done.outcome, Outcome::Updated(_)));
        Event {
            time: Ticks::now().rfc3339_ms(),
            action: self.action.name(),
            result,
            object: self.object(),
            id,
            reason,
            changed: trace.asked.iter().map(|difference| difference.member.name()).collect(),
            before: before.map(|difference| (difference.member.name(), without_secrets(&difference.current))).collect(),
            after: after
                .map(|(member, value)| (member.name(), Cow::from(without_secrets(value))))
                .chain(comment.map(|comment| (Member::Comment.name(), Cow::from(comment))))
                .collect(),
            updated: &trace.versions,
            changed_since: trace.changed_since.as_deref(),
            warning: trace.warning.as_deref(),
            would_send: &trace.requests,
            dry_run: self.parameters.dry_run,
            user: &self.payload.owner,
            app: &self.payload.app,
            search_name: &self.payload.search_name,
            sid: &self.payload.sid,
            row: number + 1,
            rid: row.get("rid"),
            orig_sid: row.get("orig_sid"),
            orig_rid: row.get("orig_rid"),
            account: &self.parameters.account,
            api: &self.parameters.api,
            request_id: trace.request_id.as_deref(),
            http_status: trace.http_status,
            attempts: trace.attempts,
            duration_ms: u64::try_from(trace.took.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Hands the audit events so far to splunkd: a run that is ended from outside has told what it did.
    pub(super) fn flush(&mut self) {
        let Some(spool) = &mut self.spool else { return };
        let Err(error) = spool.write(&self.events) else { return self.events.clear() };
        // A full disk may have room for them the next time.
        if self.events.iter().map(String::len).sum::<usize>() > KEPT {
            self.events.clear();
        }
        if !std::mem::replace(&mut self.unspooled, true) {
            log::warn!(
                "{}: audit events ({SOURCETYPE}) cannot be written to $SPLUNK_HOME/var/spool/splunk: {error}; the changes stand, \
                 let the user that runs Splunk write there",
                self.action.name()
            );
        }
    }
}

/// An id as the log shows it. One that is none may hold blanks, and what looks like another key behind them.
fn one_word(id: &str) -> Cow<'_, str> {
    if id.contains(|c: char| c.is_whitespace() || c.is_control() || "\",;&|".contains(c)) {
        Cow::from(format!("\"{}\"", id.replace('"', "'")))
    } else {
        Cow::from(id)
    }
}
