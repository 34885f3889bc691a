//! One object: read, changed where it differs, read back. What the service says decides, not what was sent.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::Outcome;
use crate::microsoft::api_error::{ApiError, Failure};
use crate::microsoft::client::Client;
use crate::microsoft::cloud::{Rate, Resource};
use crate::microsoft::query::{Expand, object};
use crate::microsoft::update::{Change, Difference, Member, differences, requests};
use crate::pace::{Pace, backoff};
use crate::time::Ticks;

/// What an action may take before what is left fails: `maxtime` of `alert_actions.conf` is 5 min, and then splunkd ends
/// the process in the middle of whatever it does.
const TIME: Duration = Duration::from_secs(270);
/// How often one object is tried when the service fails.
const ATTEMPTS: u32 = 4;

/// The objects of one kind in one tenant.
#[derive(Debug)]
pub(super) struct Objects {
    client: Client,
    resource: Resource,
    pace: Pace,
    until: Instant,
}

impl Objects {
    pub(super) fn new(client: Client, resource: Resource) -> Self {
        // The hourly rate is for programs that never end; a burst of an action ends after five minutes.
        let pace = Pace::new(Rate { per_hour: None, ..resource.rate() });
        Self { client, resource, pace, until: Instant::now() + TIME }
    }

    /// Brings the object to what is wanted. Trying again begins with reading: what arrived though its answer was lost is
    /// then not sent twice, a comment included.
    pub(super) fn change(&mut self, id: &str, change: &Change, dry_run: bool) -> Outcome {
        let mut attempt = 0;
        loop {
            if Instant::now() >= self.until {
                return Outcome::Failed("out of time".to_owned());
            }
            let error = match self.attempt(id, change, dry_run) {
                Ok(outcome) => return outcome,
                Err(error) => error,
            };
            attempt += 1;
            if matches!(error.failure, Failure::NotFound) {
                return Outcome::NotFound(told(&error));
            }
            let wait = error.retry_after().unwrap_or_else(|| backoff(attempt, Ticks::now().0.unsigned_abs() / 10_000));
            let patience = error.is_throttled() || attempt < ATTEMPTS;
            if error.is_permanent() || !patience || Instant::now() + wait >= self.until {
                return Outcome::Failed(told(&error));
            }
            std::thread::sleep(wait);
        }
    }

    fn attempt(&mut self, id: &str, change: &Change, dry_run: bool) -> Result<Outcome, Box<ApiError>> {
        let before = match self.read(id)? {
            Ok(before) => before,
            Err(outcome) => return Ok(outcome),
        };
        let steps = match requests(self.resource, id, change, &before) {
            Ok(steps) => steps,
            Err(refusal) => return Ok(Outcome::Refused(refusal.to_string())),
        };
        let changes = differences(self.resource, &before, change);
        if steps.is_empty() {
            return Ok(Outcome::Unchanged("it is so already".to_owned()));
        }
        if dry_run {
            return Ok(Outcome::Unchanged(format!("dry run, would change {}", listed(&changes))));
        }
        for step in &steps {
            self.wait();
            step.send(&mut self.client)?;
        }
        let after = match self.read(id)? {
            Ok(after) => after,
            Err(outcome) => return Ok(outcome),
        };
        let left = differences(self.resource, &after, change);
        if left.is_empty() {
            return Ok(Outcome::Updated(listed(&changes)));
        }
        let left: Vec<String> = left.iter().map(ToString::to_string).collect();
        Ok(Outcome::Failed(format!("the service accepted the change and did not make it: {}", left.join("; "))))
    }

    /// The object; an answer that is none is an outcome.
    fn read(&mut self, id: &str) -> Result<Result<Value, Outcome>, Box<ApiError>> {
        self.wait();
        let reply = self.client.get(&object(self.resource, id, Expand::Nothing))?;
        Ok(serde_json::from_slice::<Value>(&reply.body)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| Outcome::Failed("the service's answer is not a JSON object".to_owned())))
    }

    fn wait(&mut self) {
        std::thread::sleep(self.pace.wait(Ticks::now()));
    }
}

/// `status new -> resolved, comment added`.
fn listed(changes: &[Difference]) -> String {
    let one = |change: &Difference| match (change.member, change.current.as_str()) {
        (Member::Comment, _) => "comment added".to_owned(),
        (member, "") => format!("{} -> {}", member.name(), change.wanted),
        (member, current) => format!("{} {current} -> {}", member.name(), change.wanted),
    };
    changes.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn told(error: &ApiError) -> String {
    match error.remedy() {
        Some(remedy) => format!("{error}; {remedy}"),
        None => error.to_string(),
    }
}
