//! One object on its way: read, compared, changed where it differs, read back. Pure but for the time that is handed in:
//! who asks the service, and how often, is [`super::wave`]'s.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::outcome::{Done, Outcome, Trace};
use super::plan::{IfChanged, Seen, Task};
use crate::masking::foreign_text;
use crate::microsoft::api_error::{ApiError, Failure};
use crate::microsoft::batch;
use crate::microsoft::client::Reply;
use crate::microsoft::cloud::{Api, Resource};
use crate::microsoft::update::{Difference, Member, Step, differences, is_of, requests, updated, value_of};
use crate::pace::backoff;
use crate::time::Ticks;

/// How often reading, and how often changing, one object is tried when the service fails. Being throttled is no failure.
const ATTEMPTS: u32 = 4;
/// How often a comment whose answer was lost is looked for before it is sent again: it may be shown late.
const LOOKS: u32 = 3;
/// How often a change is looked for on an object that is newer than the one that was changed and shows other values. As long
/// as the service shows the old version, it is late, and is given all the time that the run has.
const LOOKS_AT_OTHER: u32 = 6;
/// The longest pause between two such looks.
const LONGEST_LOOK: Duration = Duration::from_secs(15);
/// After how many looks a change that was answered with something else than the object is sent again, without and with a
/// comment, and how often.
const DOUBTED: [u32; 2] = [3, LOOKS_AT_OTHER - 1];
const RESENT: u32 = 2;
/// What is said of a change that the service took and does not show.
const UNMADE: &str = "the service accepted the change and did not make it";
/// Of a row's value, the characters that a message repeats.
const SHOWN: usize = 100;

/// What is the same for all objects of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) resource: Resource,
    pub(super) dry_run: bool,
    pub(super) if_changed: IfChanged,
    /// When the last request may begin.
    pub(super) until: Instant,
}

/// A request that did not do what it should.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) text: String,
    pub(super) kind: FaultKind,
    pub(super) retry_after: Option<Duration>,
    status: Option<u16>,
    request_id: Option<String>,
    /// Whether a request was made at all.
    asked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// There is no such object.
    NotFound,
    /// Asking again cannot help.
    Permanent,
    /// 401 or 403: a token that was good is not any more, or a permission is missing.
    Denied,
    /// No request of this run can succeed: there is no token.
    Hopeless,
    /// Asked to slow down.
    Throttled,
    /// The service failed, or its answer was lost.
    Passing,
    /// More objects in one request than the service takes.
    TooMany,
    /// The run has to end; nothing was asked.
    OutOfTime,
}

impl Fault {
    pub(super) fn of(error: &ApiError) -> Self {
        let text = match error.remedy() {
            Some(remedy) => format!("{error}; {remedy}"),
            None => error.to_string(),
        };
        let kind = match &error.failure {
            Failure::NotFound => FaultKind::NotFound,
            Failure::Unauthorized { .. } | Failure::Forbidden { .. } | Failure::Disallowed => FaultKind::Denied,
            Failure::Token(_) | Failure::Setup(_) | Failure::Unreachable(_) if error.is_permanent() => FaultKind::Hopeless,
            _ if error.is_throttled() => FaultKind::Throttled,
            Failure::BadRequest if batch::is_too_large(error) => FaultKind::TooMany,
            // Somebody else changed it in the same moment, or somebody between here and Microsoft answered: the object is
            // read again, which tells what has become of it.
            Failure::NotJson { .. } => FaultKind::Passing,
            _ if matches!(error.status, Some(409 | 412)) => FaultKind::Passing,
            _ if error.is_permanent() => FaultKind::Permanent,
            _ => FaultKind::Passing,
        };
        let (status, request_id) = (error.status, error.request_id.clone());
        Self { text, kind, retry_after: error.retry_after(), status, request_id, asked: true }
    }

    pub(super) fn new(kind: FaultKind, text: &str) -> Self {
        Self { text: text.to_owned(), kind, retry_after: None, status: None, request_id: None, asked: true }
    }

    /// The run has to end: nothing more is asked, for that reason.
    pub(super) fn over(reason: &str) -> Self {
        Self { asked: false, ..Self::new(FaultKind::OutOfTime, reason) }
    }

    /// Whether the request may have been carried out all the same: there was no answer, none that can be read, or one from
    /// between here and the service, or the service failed at whatever point.
    fn is_answer_lost(&self) -> bool {
        self.kind == FaultKind::Passing && !matches!(self.status, Some(400..=499))
    }

    /// The same of a request that was not made for that reason.
    pub(super) fn unasked(&self) -> Self {
        Self { asked: false, ..self.clone() }
    }

    /// The failure of all requests to come, which are therefore not made.
    pub(super) fn of_all(&self) -> Self {
        Self { asked: false, ..Self::new(FaultKind::Hopeless, &self.text) }
    }
}

/// What went wrong when a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Reading,
    Sending,
}

/// What is known of the last requests that change an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// There was none, or it did nothing.
    Undone,
    /// They may have been carried out.
    Unknown,
    /// They were all accepted.
    Accepted,
}

/// An object, and how far its change has come.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) task: Task,
    rules: Rules,
    trace: Trace,
    begun: Instant,
    /// The object as it was first read, which decides what is reported as the change.
    first: Option<First>,
    /// Whether a request that changes it may have arrived, and whether one before the last may have.
    sent: [bool; 2],
    /// What is known of the last ones.
    fate: Fate,
    /// Whether its requests go alone from here on.
    pub(super) alone: bool,
    /// The version that they are to change.
    base: Option<String>,
    /// Whom the answer to the last change shows as the owner.
    holder: Option<String>,
    /// Whether that answer was something else than the object, and how often the change was sent again for it.
    doubtful: bool,
    resent: u32,
    /// Failures in a row of [`Doing::Reading`] and [`Doing::Sending`], and answers that asked to slow down.
    failures: [u32; 2],
    throttled: [u32; 2],
    pub(super) looks: u32,
    /// The pauses between looks so far, and how many there may be in all.
    looked: Duration,
    patience: Option<Duration>,
    /// The pause until the next look at an accepted change, in which others go on, and what is not shown of it yet.
    pub(super) late: Option<Duration>,
    unshown: Option<String>,
    /// Looks for what may have been carried out.
    doubts: u32,
    /// What is to be sent next.
    pub(super) steps: Vec<Step>,
    pub(super) outcome: Option<Outcome>,
}

/// An object as it was first read.
#[derive(Debug)]
struct First {
    /// Its update time.
    updated: Option<String>,
    /// What people set on it.
    members: Vec<(Member, String)>,
}

/// What people set on an object.
const MEMBERS: [Member; 6] =
    [Member::Status, Member::AssignedTo, Member::Classification, Member::Determination, Member::Comment, Member::Tags];

impl Work {
    pub(super) fn new(task: &Task, rules: Rules) -> Self {
        let trace = Trace { attempts: 1, ..Trace::default() };
        Self {
            task: task.clone(),
            rules,
            trace,
            begun: Instant::now(),
            first: None,
            sent: [false; 2],
            fate: Fate::Undone,
            alone: false,
            base: None,
            holder: None,
            doubtful: false,
            resent: 0,
            failures: [0; 2],
            throttled: [0; 2],
            looks: 0,
            looked: Duration::ZERO,
            patience: None,
            late: None,
            unshown: None,
            doubts: 0,
            steps: Vec::new(),
            outcome: None,
        }
    }

    pub(super) fn done(self) -> (String, Done) {
        let outcome = self.outcome.unwrap_or_else(|| Outcome::Failed("out of time".to_owned()));
        let mut trace = self.trace;
        // A comment may be a page long, and the row has it.
        let comments = trace.asked.iter_mut().filter(|difference| difference.member == Member::Comment);
        comments.for_each(|difference| difference.wanted.clear());
        (self.task.id, Done { outcome, trace })
    }

    fn end(&mut self, outcome: Outcome) {
        self.steps.clear();
        self.trace.took = self.begun.elapsed();
        self.outcome = Some(outcome);
    }

    fn differences(&self, object: &Value) -> Vec<Difference> {
        differences(self.rules.resource, object, &self.task.change)
    }

    /// Takes in the object as just read. Gives the time to wait before it is looked at again.
    pub(super) fn read(&mut self, object: &Value) -> Duration {
        self.succeeded(Doing::Reading);
        if self.first.is_some() {
            let left = self.differences(object);
            if self.rules.if_changed == IfChanged::Refuse && !self.sent[0] && !left.is_empty() && self.is_newer(object) {
                // What was sent was refused, as by then somebody else had changed it.
                let what = self.by_others(object, true).unwrap_or_else(|| "in other members than people set".to_owned());
                self.end(Outcome::Refused(format!(
                    "the object changed while this action was at work: {what}; if_changed = refuse"
                )));
                return Duration::ZERO;
            }
            self.note_version(object);
            self.note_after(object);
            let (stored, left): (Vec<_>, Vec<_>) = left.into_iter().partition(|left| self.is_stored_otherwise(left));
            if left.is_empty() {
                self.trace.warning = self.warning(&stored, object);
                let warning = self.trace.warning.as_ref().map_or_else(String::new, |warning| format!("; {warning}"));
                self.end(Outcome::Updated(format!("{}{warning}", listed(&self.trace.asked))));
                return Duration::ZERO;
            }
            match self.fate {
                Fate::Accepted if !self.is_to_be_sent_again(&left) => return self.look_again(object, &left),
                Fate::Accepted => {
                    self.resent += 1;
                    // A request for many that came to nothing may do so again.
                    self.alone |= self.rules.resource == Resource::EndpointAlerts;
                }
                // The one thing that would be there twice, if it was posted and is shown late.
                Fate::Unknown if self.doubts + 1 < LOOKS && left.iter().any(|left| left.member == Member::Comment) => {
                    self.doubts += 1;
                    return backoff(self.doubts, seed());
                }
                Fate::Unknown | Fate::Undone => {}
            }
        } else {
            let members = MEMBERS.map(|member| (member, value_of(self.rules.resource, object, member))).to_vec();
            self.first = Some(First { updated: updated(self.rules.resource, object).map(str::to_owned), members });
            self.trace.asked = self.differences(object);
            if let Some(changed) = self.task.seen.as_ref().and_then(|seen| changed_since(self.rules.resource, seen, object)) {
                self.trace.changed_since = Some(changed.clone());
                if self.rules.if_changed == IfChanged::Refuse {
                    self.end(Outcome::Refused(format!("{changed}; if_changed = refuse")));
                    return Duration::ZERO;
                }
            }
        }
        match requests(self.rules.resource, &self.task.id, &self.task.change, object) {
            Err(refusal) => self.end(Outcome::Refused(refusal.to_string())),
            Ok(steps) if steps.is_empty() => self.end(Outcome::Unchanged("it is so already".to_owned())),
            Ok(steps) if self.rules.dry_run => {
                self.trace.requests = steps.iter().map(ToString::to_string).collect();
                self.end(Outcome::Unchanged(format!("dry run, would send {}", self.trace.requests.join("; "))));
            }
            Ok(steps) => {
                self.base = updated(self.rules.resource, object).map(str::to_owned);
                // What the answers to the steps say counts for all of them: a comment that was taken is no word of the rest.
                (self.holder, self.doubtful, self.unshown) = (None, false, None);
                self.steps = steps;
            }
        }
        Duration::ZERO
    }

    /// Has an accepted change looked for later, as long as the service may only be late.
    fn look_again(&mut self, object: &Value, left: &[Difference]) -> Duration {
        self.looks += 1;
        let left: Vec<String> = left.iter().map(ToString::to_string).collect();
        let left = left.join("; ");
        let pause = backoff(self.looks, seed()).min(LONGEST_LOOK);
        let time = *self.patience.get_or_insert_with(|| self.rules.until.saturating_duration_since(Instant::now()));
        // The last look comes when the time is nearly over.
        let left_over = time.saturating_sub(self.looked).saturating_sub(Duration::from_millis(500));
        let pause = pause.min(left_over);
        if left_over >= Duration::from_millis(300) && (self.looks < LOOKS_AT_OTHER || !self.is_newer(object)) {
            self.looked += pause;
            (self.late, self.unshown) = (Some(pause), Some(left));
        } else {
            self.end(Outcome::Failed(format!("{UNMADE}: {left}")));
        }
        Duration::ZERO
    }

    /// Whether an accepted change goes once more: its answer was something else than the object, which is no word of the
    /// service that it was made.
    fn is_to_be_sent_again(&self, left: &[Difference]) -> bool {
        let commented = left.iter().any(|left| left.member == Member::Comment);
        self.doubtful && self.resent < RESENT && self.looks >= DOUBTED[usize::from(commented)]
    }

    /// Whether the object is a later version than the one that is to be changed.
    fn is_newer(&self, object: &Value) -> bool {
        let time = |text: Option<&str>| text.and_then(Ticks::parse);
        let base = self.base.as_deref().or_else(|| self.first.as_ref()?.updated.as_deref());
        matches!((time(base), time(updated(self.rules.resource, object))), (Some(base), Some(now)) if now > base)
    }

    /// Whether the service made what it was told and shows it in other words.
    fn is_stored_otherwise(&self, left: &Difference) -> bool {
        let before = self.trace.asked.iter().find(|asked| asked.member == left.member).map(|asked| asked.current.as_str());
        let answered = self.holder.as_deref() == Some(left.current.as_str()) && before != Some(left.current.as_str());
        let assigned = left.member == Member::AssignedTo && !left.current.is_empty() && left.wanted != "none";
        assigned && self.fate == Fate::Accepted && (answered || left.may_be_so())
    }

    /// What a person should know of a change that was made.
    fn warning(&self, stored: &[Difference], object: &Value) -> Option<String> {
        let stored = stored.iter().map(|left| {
            let (name, current, wanted) = (left.member.name(), foreign_text(&left.current), foreign_text(&left.wanted));
            format!("the service shows {name} as `{current}`, for `{wanted}`")
        });
        let between =
            self.by_others(object, false).map(|what| format!("somebody else changed the object at the same time: {what}"));
        Some(stored.chain(between).collect::<Vec<_>>().join("; ")).filter(|text| !text.is_empty())
    }

    /// What others changed since the first look: the members that are not what they were, those that this change is about only
    /// where `all` are meant. What others set and this change set again cannot be seen.
    fn by_others(&self, object: &Value, all: bool) -> Option<String> {
        let asked = |member: Member| !all && self.trace.asked.iter().any(|asked| asked.member == member);
        let mut told = Vec::new();
        for (member, then) in &self.first.as_ref()?.members {
            let now = value_of(self.rules.resource, object, *member);
            match member {
                Member::Comment => {
                    let number = |text: &str| text.parse::<usize>().unwrap_or(0);
                    let ours = usize::from(asked(Member::Comment) && self.sent[0]);
                    if number(&now) > number(then) + ours {
                        told.push(format!("{} more comments", number(&now) - number(then) - ours));
                    }
                }
                // The services work it out anew.
                Member::Determination if asked(Member::Classification) => {}
                _ if asked(*member) || then.eq_ignore_ascii_case(&now) => {}
                _ => told.push(format!("{} is {} and was {}", member.name(), shown(&now), shown(then))),
            }
        }
        Some(told.join(", ")).filter(|told| !told.is_empty())
    }

    /// Notes that a request that changes it is about to go, whatever becomes of it.
    pub(super) fn sending(&mut self) {
        self.sent = [true, self.sent[0]];
        self.fate = Fate::Undone;
        (self.looks, self.doubts) = (0, 0);
    }

    /// Notes that what was sent together with that of others was refused, for whichever of them. It is read again, since the
    /// service may have changed some before it came to the one that it refused.
    pub(super) fn refused(&mut self) {
        self.sent[0] = self.sent[1];
        self.steps.clear();
    }

    /// The same, and that it is to be sent alone.
    pub(super) fn goes_alone(&mut self) {
        self.refused();
        self.alone = true;
    }

    /// Notes an answer to a request that changes it. Graph and the incidents API answer with the object as it is then.
    pub(super) fn answered(&mut self, reply: &Reply) {
        self.trace.http_status = Some(reply.status);
        self.trace.request_id = reply.request_id.clone().or(self.trace.request_id.take());
        let object = serde_json::from_slice::<Value>(&reply.body).unwrap_or_default();
        let ours = is_of(self.rules.resource, &self.task.id, &object) == Some(true);
        if ours {
            self.note_version(&object);
            self.holder = Some(value_of(self.rules.resource, &object, Member::AssignedTo)).filter(|holder| !holder.is_empty());
        }
        // A comment is answered with the list of comments.
        self.doubtful |= !ours && !object["value"].is_array();
    }

    /// Notes that all requests of this round were accepted.
    pub(super) fn accepted(&mut self) {
        self.fate = Fate::Accepted;
        self.succeeded(Doing::Sending);
        self.steps.clear();
    }

    fn succeeded(&mut self, doing: Doing) {
        (self.failures[doing as usize], self.throttled[doing as usize]) = (0, 0);
    }

    fn note_version(&mut self, object: &Value) {
        if let Some(time) = updated(self.rules.resource, object)
            && self.base.as_deref() != Some(time)
            && self.trace.versions.iter().all(|known| known != time)
        {
            self.trace.versions.push(time.to_owned());
        }
    }

    fn note_after(&mut self, object: &Value) {
        let members: Vec<Member> = self.trace.asked.iter().map(|difference| difference.member).collect();
        self.trace.after = members.into_iter().map(|member| (member, value_of(self.rules.resource, object, member))).collect();
    }

    /// Takes in a failure. Gives the time to wait before it is tried again; `until` is when nothing may be tried any more.
    pub(super) fn failed(&mut self, doing: Doing, fault: &Fault, until: Instant) -> Duration {
        self.steps.clear();
        if doing == Doing::Sending && fault.is_answer_lost() {
            self.fate = Fate::Unknown;
        } else if doing == Doing::Sending && fault.asked {
            self.sent[0] = self.sent[1];
        }
        let counted = if fault.kind == FaultKind::Throttled { &mut self.throttled } else { &mut self.failures };
        counted[doing as usize] += 1;
        let (counted, failures) = (counted[doing as usize], self.failures[doing as usize]);
        // What spoils an answer of many may be another's, so the last try has one of its own. Endpoint's are all or nothing.
        self.alone |= failures + 1 >= ATTEMPTS && self.rules.resource.api() == Api::Graph;
        // A try begins with reading, and ends with reading back.
        if !fault.asked && doing == Doing::Reading && self.fate != Fate::Accepted {
            self.trace.attempts -= 1;
        }
        self.trace.http_status = fault.status.or(self.trace.http_status);
        self.trace.request_id = fault.request_id.clone().or(self.trace.request_id.take());
        let wait = fault.retry_after.unwrap_or_else(|| backoff(counted, seed()));
        let text = match fault.kind {
            FaultKind::Throttled | FaultKind::Passing if failures < ATTEMPTS && Instant::now() + wait < until => {
                self.trace.attempts += 1;
                return wait;
            }
            FaultKind::Throttled | FaultKind::Passing if failures < ATTEMPTS => format!("out of time: {}", fault.text),
            _ => fault.text.clone(),
        };
        // What may have arrived is not undone by what failed after it.
        let unshown = self.unshown.take();
        self.end(match (self.sent[0], doing) {
            (false, _) if fault.kind == FaultKind::NotFound => Outcome::NotFound(text),
            (false, _) => Outcome::Failed(text),
            (true, _) if fault.kind == FaultKind::OutOfTime && unshown.is_some() => {
                Outcome::Failed(format!("{text}: {UNMADE}: {}", unshown.unwrap_or_default()))
            }
            (true, _) if fault.kind == FaultKind::OutOfTime => {
                Outcome::Failed(format!("{text}: the change was sent and not read back"))
            }
            (true, Doing::Reading) => Outcome::Failed(format!("the change was sent and could not be read back: {text}")),
            (true, Doing::Sending) => Outcome::Failed(format!("the change may have been made in part or whole: {text}")),
        });
        Duration::ZERO
    }
}

/// Of a member's value, what a message repeats.
fn shown(text: &str) -> String {
    let text = foreign_text(text);
    match text.char_indices().nth(SHOWN) {
        None if text.is_empty() => "nothing".to_owned(),
        None => format!("`{text}`"),
        Some((at, _)) => format!("`{}...`", &text[..at]),
    }
}

/// Any number: it only spreads waits.
pub(super) fn seed() -> u64 {
    Ticks::now().0.unsigned_abs() / 10_000
}

/// What happened to the object after the search found it; `None` when it is the version that the row shows.
fn changed_since(resource: Resource, seen: &Seen, object: &Value) -> Option<String> {
    let now = updated(resource, object)?;
    if Ticks::parse(now)? <= Ticks::parse(&seen.updated)? {
        return None;
    }
    let moved: Vec<String> = seen
        .members
        .iter()
        .map(|(member, then)| (*member, then, value_of(resource, object, *member)))
        .filter(|(_, then, now)| !then.eq_ignore_ascii_case(now))
        .map(|(member, then, now)| format!("{} is {} and was {}", member.name(), shown(&now), shown(then)))
        .collect();
    let what = if moved.is_empty() { "in other members than the row shows".to_owned() } else { moved.join(", ") };
    Some(format!("the object changed after the search found it, at {now} ({}): {what}", seen.updated))
}

/// `status new -> resolved, comment added`.
fn listed(changes: &[Difference]) -> String {
    let one = |change: &Difference| {
        let (current, wanted) = (foreign_text(&change.current), foreign_text(&change.wanted));
        let wanted = if wanted.is_empty() { "none" } else { &wanted };
        match (change.member, current.as_str()) {
            (Member::Comment, _) => "comment added".to_owned(),
            (member, "") => format!("{} -> {wanted}", member.name()),
            (member, current) => format!("{} {current} -> {wanted}", member.name()),
        }
    };
    changes.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::microsoft::cloud::What;
    use crate::microsoft::update::{Change, Wanted};
    use serde_json::json;

    const RESOURCE: Resource = Resource::GraphAlerts;

    fn task(seen: Option<&[(Member, &str)]>) -> Task {
        let wanted = Wanted { status: "resolved", ..Wanted::default() };
        let seen = seen.map(|members| Seen {
            updated: "2026-01-01T00:00:00.10Z".to_owned(),
            members: members.iter().map(|(member, text)| (*member, (*text).to_owned())).collect(),
        });
        Task { id: "a".to_owned(), change: Change::parse(What::Alerts, &wanted).unwrap(), seen }
    }

    fn rules(if_changed: IfChanged) -> Rules {
        Rules { resource: RESOURCE, dry_run: false, if_changed, until: Instant::now() + Duration::from_secs(60) }
    }

    fn held(status: &str, time: &str) -> Value {
        json!({"id": "a", "status": status, "lastUpdateDateTime": time})
    }

    fn reply(body: &Value) -> Reply {
        let request_id = Some("r-1".to_owned());
        Reply { body: body.to_string().into_bytes(), service_time: None, request_id, status: 200, partial: None }
    }

    #[test]
    fn read_sent_and_read_back() {
        let task = task(None);
        let mut work = Work::new(&task, rules(IfChanged::Warn));
        assert_eq!(work.read(&held("new", "t0")), Duration::ZERO);
        assert_eq!(work.steps.len(), 1);
        work.sending();
        work.answered(&reply(&held("resolved", "t1")));
        work.accepted();
        // Shown late: looked for once more, while others go on.
        assert_eq!(work.read(&held("new", "t1")), Duration::ZERO);
        assert!(work.late.take().is_some());
        assert_eq!(work.trace.versions, ["t1"], "not t0, which is the one that was changed");
        work.read(&held("resolved", "t2"));
        let (id, done) = work.done();
        assert_eq!(id, "a");
        assert_eq!(done.outcome, Outcome::Updated("status new -> resolved".to_owned()));
        assert_eq!(done.trace.versions, ["t1", "t2"]);
        assert_eq!(done.trace.after, [(Member::Status, "resolved".to_owned())]);
        assert_eq!((done.trace.http_status, done.trace.request_id.as_deref()), (Some(200), Some("r-1")));
    }

    #[test]
    fn what_was_accepted_and_not_made_is_named() {
        let task = task(None);
        let text = "the service accepted the change and did not make it: status is `inProgress`, wanted `resolved`";
        // A later version with another value is looked at a few times, the version before as long as there is time.
        let (old, new) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z");
        for (shown, most) in [(new, LOOKS_AT_OTHER..=LOOKS_AT_OTHER), (old, 8..=10)] {
            let mut work = Work::new(&task, rules(IfChanged::Warn));
            work.read(&held("new", old));
            work.sending();
            work.answered(&reply(&held("resolved", new)));
            work.accepted();
            let mut pauses = Vec::new();
            while work.outcome.is_none() {
                work.read(&held("inProgress", shown));
                pauses.extend(work.late.take());
            }
            assert!(most.contains(&work.looks) && pauses[..LOOKS_AT_OTHER as usize - 1].is_sorted(), "{pauses:?}");
            assert_eq!(work.done().1.outcome, Outcome::Failed(text.to_owned()));
        }
        // Out of time between two looks.
        let mut work = Work::new(&task, rules(IfChanged::Warn));
        work.read(&held("new", old));
        work.sending();
        work.answered(&reply(&held("resolved", new)));
        work.accepted();
        work.read(&held("inProgress", old));
        work.failed(Doing::Reading, &Fault::over("out of time"), Instant::now());
        assert_eq!(work.done().1.outcome, Outcome::Failed(format!("out of time: {text}")));
    }

    #[test]
    fn an_answer_that_is_not_the_object_is_not_believed_for_long() {
        let task = task(None);
        for body in [json!({}), json!(null), json!({"id": "b", "status": "resolved", "lastUpdateDateTime": "t9"}), json!([1])] {
            let mut work = Work::new(&task, rules(IfChanged::Warn));
            work.read(&held("new", "t0"));
            work.sending();
            work.answered(&reply(&body));
            work.accepted();
            let mut looks = 0;
            while work.steps.is_empty() {
                work.read(&held("new", "t0"));
                looks += 1;
            }
            assert_eq!((looks, work.trace.versions.len()), (DOUBTED[0] + 1, 0), "{body}");
        }
    }

    #[test]
    fn a_comment_that_was_taken_is_no_word_of_the_rest() {
        let wanted = Wanted { status: "resolved", comment: "done", ..Wanted::default() };
        let task = Task { id: "a".to_owned(), change: Change::parse(What::Alerts, &wanted).unwrap(), seen: None };
        let mut work = Work::new(&task, rules(IfChanged::Warn));
        work.read(&held("new", "2026-01-01T00:00:00Z"));
        let comments = json!([{"comment": "done"}]);
        for body in [json!(null), json!({"value": comments})] {
            work.sending();
            work.answered(&reply(&body));
        }
        work.accepted();
        let shown = json!({"id": "a", "status": "new", "comments": comments, "lastUpdateDateTime": "2026-01-01T00:00:01Z"});
        let mut looks = 0;
        while work.steps.is_empty() && work.outcome.is_none() {
            work.read(&shown);
            looks += 1;
        }
        assert_eq!((looks, work.steps.len()), (DOUBTED[0] + 1, 1), "{:?}", work.outcome);
    }

    #[test]
    fn an_owner_that_is_shown_in_other_words() {
        let wanted = Wanted { assigned_to: "asmith", ..Wanted::default() };
        let task = Task { id: "a".to_owned(), change: Change::parse(What::Alerts, &wanted).unwrap(), seen: None };
        let owned = |holder: &str, time: &str| json!({"id": "a", "assignedTo": holder, "lastUpdateDateTime": time});
        let table = [
            ("asmith@contoso.example", "asmith@contoso.example", None),
            ("Alice Smith", "", Some("the service shows assigned_to as `Alice Smith`, for `asmith`")),
            ("00000000-1111", "00000000-1111", Some("the service shows assigned_to as `00000000-1111`, for `asmith`")),
        ];
        for (shown, answered, warning) in table {
            let mut work = Work::new(&task, rules(IfChanged::Warn));
            work.read(&owned("bob", "2026-01-01T00:00:00Z"));
            work.sending();
            work.answered(&reply(&owned(answered, "2026-01-01T00:00:01Z")));
            work.accepted();
            work.read(&owned(shown, "2026-01-01T00:00:01Z"));
            let done = work.done().1;
            assert_eq!(done.trace.warning.as_deref(), warning);
            assert!(matches!(&done.outcome, Outcome::Updated(text) if text.starts_with("assigned_to bob -> asmith")), "{done:?}");
        }
        // Nobody said that it was made: somebody else's name is another owner, and so is the one that was there.
        for shown in ["carol", "bob"] {
            let mut work = Work::new(&task, rules(IfChanged::Warn));
            work.read(&owned("bob", "2026-01-01T00:00:00Z"));
            work.sending();
            work.answered(&reply(&owned("bob", "2026-01-01T00:00:01Z")));
            work.accepted();
            work.read(&owned(shown, "2026-01-01T00:00:01Z"));
            assert!(work.outcome.is_none() && work.late.is_some());
        }
    }

    #[test]
    fn somebody_else_at_the_same_time() {
        let task = task(None);
        let before =
            json!({"id": "a", "status": "new", "assignedTo": null, "comments": [], "lastUpdateDateTime": "2026-01-01T00:00:00Z"});
        let after = json!({"id": "a", "status": "resolved", "assignedTo": "bob", "comments": [{"comment": "mine"}],
            "lastUpdateDateTime": "2026-01-01T00:00:02Z"});
        for if_changed in [IfChanged::Warn, IfChanged::Refuse] {
            let mut work = Work::new(&task, rules(if_changed));
            work.read(&before);
            work.sending();
            work.answered(&reply(&after));
            work.accepted();
            work.read(&after);
            let said = "somebody else changed the object at the same time: assigned_to is `bob` and was nothing, 1 more comments";
            let done = work.done().1;
            assert_eq!(done.trace.warning.as_deref(), Some(said));
            assert_eq!(done.outcome, Outcome::Updated(format!("status new -> resolved; {said}")));
        }
        // Refused by the service for that very reason: it is left alone.
        let conflict = Fault { status: Some(412), ..Fault::new(FaultKind::Passing, "changed") };
        let theirs =
            json!({"id": "a", "status": "inProgress", "assignedTo": "bob", "lastUpdateDateTime": "2026-01-01T00:00:02Z"});
        let mut work = Work::new(&task, rules(IfChanged::Refuse));
        work.read(&before);
        work.sending();
        work.failed(Doing::Sending, &conflict, Instant::now() + Duration::from_secs(60));
        work.read(&theirs);
        let why = "the object changed while this action was at work: status is `inProgress` and was `new`, assigned_to is `bob` and was nothing; if_changed = refuse";
        assert_eq!(work.outcome, Some(Outcome::Refused(why.to_owned())));
    }

    #[test]
    fn a_lost_answer_is_no_second_change() {
        let task = task(None);
        let later = Instant::now() + Duration::from_secs(60);
        let mut work = Work::new(&task, rules(IfChanged::Warn));
        work.read(&held("new", "t0"));
        work.sending();
        assert!(work.failed(Doing::Sending, &Fault::new(FaultKind::Passing, "cut"), later) > Duration::ZERO);
        work.read(&held("resolved", "t1"));
        let done = work.done().1;
        assert_eq!(done.outcome, Outcome::Updated("status new -> resolved".to_owned()));
        assert_eq!(done.trace.attempts, 2);
    }

    #[test]
    fn a_comment_whose_answer_was_lost_is_looked_for_before_it_is_sent_again() {
        let wanted = Wanted { comment: "done", ..Wanted::default() };
        let task = Task { id: "a".to_owned(), change: Change::parse(What::Alerts, &wanted).unwrap(), seen: None };
        let later = Instant::now() + Duration::from_secs(60);
        let lost = Fault::new(FaultKind::Passing, "cut");
        let refused = Fault { status: Some(409), ..lost.clone() };
        for (fault, looks) in [(&lost, LOOKS), (&refused, 1), (&Fault::new(FaultKind::Throttled, "slow down"), 1)] {
            let mut work = Work::new(&task, rules(IfChanged::Warn));
            work.read(&held("new", "t0"));
            work.sending();
            work.failed(Doing::Sending, fault, later);
            let taken: Vec<usize> = (0..looks)
                .map(|_| {
                    work.read(&held("new", "t0"));
                    work.steps.len()
                })
                .collect();
            assert_eq!((taken.iter().sum::<usize>(), taken.last()), (1, Some(&1)), "{fault:?}");
        }
    }

    #[test]
    fn what_was_refused_together_is_read_again() {
        let task = task(None);
        let later = Instant::now() + Duration::from_secs(60);
        let gone = Fault::new(FaultKind::NotFound, "gone");
        let mut work = Work::new(&task, rules(IfChanged::Warn));
        work.read(&held("new", "t0"));
        work.sending();
        work.refused();
        assert!(work.steps.is_empty());
        work.failed(Doing::Reading, &gone, later);
        assert_eq!(work.outcome, Some(Outcome::NotFound("gone".to_owned())), "nothing of it was sent");
        // The service came as far as this one.
        let mut work = Work::new(&task, rules(IfChanged::Warn));
        work.read(&held("new", "t0"));
        work.sending();
        work.refused();
        work.read(&held("resolved", "t1"));
        assert_eq!(work.outcome, Some(Outcome::Updated("status new -> resolved".to_owned())));
    }

    #[test]
    fn failures_end_or_wait() {
        let task = task(None);
        let later = Instant::now() + Duration::from_secs(60);
        let failed = |text: &str| Outcome::Failed(text.to_owned());
        let table = [
            (FaultKind::NotFound, later, Some(Outcome::NotFound("x".to_owned()))),
            (FaultKind::Permanent, later, Some(failed("x"))),
            (FaultKind::OutOfTime, later, Some(failed("x"))),
            (FaultKind::Denied, later, Some(failed("x"))),
            (FaultKind::Hopeless, later, Some(failed("x"))),
            (FaultKind::Passing, Instant::now(), Some(failed("out of time: x"))),
            (FaultKind::Throttled, Instant::now(), Some(failed("out of time: x"))),
            (FaultKind::Throttled, later, None),
            (FaultKind::Passing, later, None),
        ];
        for (kind, until, outcome) in table {
            let mut work = Work::new(&task, rules(IfChanged::Warn));
            work.failed(Doing::Sending, &Fault::new(kind, "x"), until);
            assert_eq!(work.outcome, outcome, "{kind:?}");
        }
        let mut work = Work::new(&task, rules(IfChanged::Warn));
        for _ in 0..ATTEMPTS {
            work.failed(Doing::Sending, &Fault::new(FaultKind::Passing, "x"), later);
        }
        assert_eq!(work.outcome, Some(failed("x")));
        // Being throttled is no failure.
        let mut work = Work::new(&task, rules(IfChanged::Warn));
        for _ in 0..ATTEMPTS {
            work.failed(Doing::Reading, &Fault::new(FaultKind::Throttled, "x"), later);
        }
        work.failed(Doing::Reading, &Fault::new(FaultKind::Passing, "x"), later);
        assert_eq!((work.outcome.clone(), work.trace.attempts), (None, ATTEMPTS + 2));
        // The first step was accepted, the second refused.
        let mut work = Work::new(&task, rules(IfChanged::Warn));
        work.sending();
        work.sending();
        work.failed(Doing::Sending, &Fault::new(FaultKind::Permanent, "x"), later);
        assert_eq!(work.outcome, Some(failed("the change may have been made in part or whole: x")));
        let mut work = Work::new(&task, rules(IfChanged::Warn));
        work.sending();
        work.failed(Doing::Sending, &Fault::over("out of time"), later);
        assert_eq!(work.outcome, Some(failed("out of time: the change was sent and not read back")));
    }

    #[test]
    fn a_row_that_is_older_than_the_object() {
        let members: &[(Member, &str)] = &[(Member::Status, "New"), (Member::AssignedTo, "")];
        let newer = json!({"status": "inProgress", "assignedTo": "bob", "lastUpdateDateTime": "2026-01-01T00:00:00.11Z"});
        let said = "the object changed after the search found it, at 2026-01-01T00:00:00.11Z (2026-01-01T00:00:00.10Z): status is \
                    `inProgress` and was `New`, assigned_to is `bob` and was nothing";
        let row = task(Some(members));
        let mut work = Work::new(&row, rules(IfChanged::Refuse));
        work.read(&newer);
        assert_eq!(work.outcome, Some(Outcome::Refused(format!("{said}; if_changed = refuse"))));
        let mut work = Work::new(&row, rules(IfChanged::Warn));
        work.read(&newer);
        assert_eq!((work.outcome.clone(), work.steps.len()), (None, 1));
        assert_eq!(work.done().1.trace.changed_since.as_deref(), Some(said));
        // The same instant in another spelling.
        let mut work = Work::new(&row, rules(IfChanged::Refuse));
        work.read(&held("new", "2026-01-01T00:00:00.1000000Z"));
        assert_eq!((work.outcome.clone(), work.steps.len()), (None, 1));
        // Our own change is newer than the row, and no reason to refuse.
        work.sending();
        work.failed(Doing::Sending, &Fault::new(FaultKind::Passing, "cut"), Instant::now() + Duration::from_secs(60));
        work.read(&held("resolved", "2026-01-02T00:00:00Z"));
        assert!(matches!(work.outcome, Some(Outcome::Updated(_))));
    }
}
