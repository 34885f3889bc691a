//! Some objects at a time: read together, changed together, read back together, as far as the API allows, and until the
//! time is up. An object that does not show its change yet is looked at again later, and others go on meanwhile.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::object::{Doing, Fault, FaultKind, Rules, Work, seed};
use super::outcome::Done;
use super::plan::Task;
use crate::microsoft::api_error::ApiError;
use crate::microsoft::batch::{self, Call, GRAPH_LIMIT, READ_LIMIT, UPDATE_LIMIT, UPDATES_PER_MINUTE};
use crate::microsoft::client::{Client, Reply};
use crate::microsoft::cloud::Resource;
use crate::microsoft::query::{Expand, object};
use crate::microsoft::update::{Step, is_of};
use crate::pace::{Minute, backoff};
use crate::splunk::stop::Stop;

/// Why a run that is ended from outside does nothing more.
pub(super) const STOPPED: &str = "stopped by Splunk";
/// Why a run does nothing more towards the end of `maxtime`.
pub(super) const OUT_OF_TIME: &str = "out of time";
/// The most objects that are looked at again beside those of a wave: the others are not to wait for them.
const LATE_AT_ONCE: usize = 10;

/// How fast a run may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tempo {
    /// Below the documented rates, and slower after failures.
    Polite,
    /// At once; only what the service asks for is waited. For tests against a stand-in that has no limits.
    #[cfg(test)]
    AtOnce,
}

/// The objects of one kind in one tenant.
#[derive(Debug)]
pub(super) struct Objects {
    client: Client,
    rules: Rules,
    tempo: Tempo,
    pace: Minute,
    /// Updates of many alerts have a rate of their own, of which nothing else takes a share.
    batch_pace: Minute,
    /// Objects that do not show their change yet, and when they are looked at again.
    late: Vec<(Instant, Work)>,
    /// The service asked to slow down so often in a row; nothing is asked before that instant, for that reason.
    slowed: u32,
    resume: Instant,
    slow: Option<Fault>,
    /// The most alerts of one Endpoint update, as far as the service has said.
    update_limit: usize,
    /// Cleared where Graph's batch is refused as such: then each request goes alone.
    together: bool,
    /// Whether reading, and whether changing, was ever let through: see [`Doing`].
    allowed: [bool; 2],
    /// Why no request can succeed any more.
    hopeless: Option<Fault>,
    stop: Stop,
}

impl Objects {
    /// After `stop` nothing is asked any more.
    pub(super) fn new(client: Client, rules: Rules, tempo: Tempo, stop: Stop) -> Self {
        let (pace, batch_pace) = (Minute::shared(rules.resource.rate()), Minute::new(UPDATES_PER_MINUTE));
        let (update_limit, together, allowed, hopeless) = (UPDATE_LIMIT, true, [false; 2], None);
        let (late, slowed, resume, slow) = (Vec::new(), 0, Instant::now(), None);
        Self {
            client,
            rules,
            tempo,
            pace,
            batch_pace,
            late,
            slowed,
            resume,
            slow,
            update_limit,
            together,
            allowed,
            hopeless,
            stop,
        }
    }

    /// Why no request can succeed any more, where that is known.
    pub(super) fn hopeless(&self) -> Option<&str> {
        self.hopeless.as_ref().map(|fault| fault.text.as_str())
    }

    /// How many objects are handled together. A wave that is under way when the time is up may end half done, so it is no
    /// larger than what pays.
    pub(super) fn wave(&self) -> usize {
        match self.rules.resource {
            Resource::GraphIncidents | Resource::GraphAlerts => GRAPH_LIMIT,
            Resource::EndpointAlerts => UPDATE_LIMIT,
            Resource::XdrIncidents => 1,
        }
    }

    /// Brings the objects to what is wanted. Gives those that ended, by id, among them some of earlier waves; the others do
    /// not show their change yet.
    pub(super) fn change(&mut self, tasks: &[Task]) -> Vec<(String, Done)> {
        let mut all: Vec<Work> = tasks.iter().map(|task| Work::new(task, self.rules)).collect();
        all.extend(self.due(LATE_AT_ONCE));
        self.work(all)
    }

    /// Waits for those that do not show their change yet.
    pub(super) fn finish(&mut self) -> Vec<(String, Done)> {
        let mut ends = Vec::new();
        while let Some(next) = self.late.iter().map(|(at, _)| *at).min() {
            self.stop.sleep(next.min(self.rules.until).saturating_duration_since(Instant::now()));
            if self.stop.requested() || Instant::now() >= self.rules.until {
                // Each is told why it is not looked at.
                let all = self.late.drain(..).map(|(_, work)| work).collect();
                ends.extend(self.work(all));
            }
            let all = self.due(self.wave().max(LATE_AT_ONCE));
            ends.extend(self.work(all));
        }
        ends
    }

    /// Of the objects that do not show their change yet, up to so many that are to be looked at now.
    fn due(&mut self, most: usize) -> Vec<Work> {
        let now = Instant::now();
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        let mut due = due.into_iter();
        let some = due.by_ref().take(most).map(|(_, work)| work).collect();
        self.late = due.chain(later).collect();
        some
    }

    /// Trying again begins with reading: what arrived though its answer was lost is then not sent twice, a comment included.
    fn work(&mut self, mut all: Vec<Work>) -> Vec<(String, Done)> {
        loop {
            let open: Vec<usize> = (0..all.len()).filter(|at| all[*at].outcome.is_none() && all[*at].late.is_none()).collect();
            if open.is_empty() {
                let (late, ended): (Vec<Work>, Vec<Work>) = all.into_iter().partition(|work| work.outcome.is_none());
                for mut work in late {
                    let pause = work.late.take().unwrap_or_default();
                    self.late.push((Instant::now() + self.scaled(pause), work));
                }
                return ended.into_iter().map(Work::done).collect();
            }
            let mut wait = Duration::ZERO;
            for (at, found) in self.read(&all, &open) {
                wait = wait.max(match found {
                    Ok(object) => all[at].read(&object),
                    Err(fault) => all[at].failed(Doing::Reading, &fault, self.rules.until),
                });
            }
            let due: Vec<usize> = open.into_iter().filter(|at| !all[*at].steps.is_empty()).collect();
            for (at, fault) in self.send(&mut all, due) {
                wait = wait.max(all[at].failed(Doing::Sending, &fault, self.rules.until));
            }
            self.sleep(wait);
        }
    }

    /// A wait at this tempo.
    fn scaled(&self, wait: Duration) -> Duration {
        match self.tempo {
            Tempo::Polite => wait,
            #[cfg(test)]
            Tempo::AtOnce => wait / 100,
        }
    }

    fn sleep(&self, wait: Duration) {
        self.stop.sleep(self.scaled(wait).min(self.rules.until.saturating_duration_since(Instant::now())));
    }

    /// Waits until so many requests may go; a fault where that is never.
    fn admit(&mut self, requests: usize, batch: bool) -> Result<(), Fault> {
        if let Some(fault) = &self.hopeless {
            return Err(fault.clone());
        }
        if self.stop.requested() {
            return Err(Fault::over(STOPPED));
        }
        if let Some(fault) = self.slow.as_ref().filter(|_| Instant::now() < self.resume) {
            // Whoever was asked to slow down does not go on with the next object.
            return Err(fault.clone());
        }
        let pace = if batch { &mut self.batch_pace } else { &mut self.pace };
        let wait = match self.tempo {
            Tempo::Polite => (0..requests).map(|_| pace.wait(Instant::now())).max().unwrap_or_default(),
            #[cfg(test)]
            Tempo::AtOnce => Duration::ZERO,
        };
        if Instant::now() + wait >= self.rules.until {
            return Err(Fault::over(OUT_OF_TIME));
        }
        self.sleep(wait);
        if self.stop.requested() { Err(Fault::over(STOPPED)) } else { Ok(()) }
    }

    /// What came of a request that went alone.
    fn told<T>(&mut self, doing: Doing, told: Result<T, Box<ApiError>>) -> Result<T, Fault> {
        match told {
            Ok(value) => {
                self.allowed[doing as usize] = true;
                if Instant::now() >= self.resume {
                    (self.slowed, self.slow) = (0, None);
                }
                Ok(value)
            }
            Err(error) => Err(self.fault(&error, Some(doing))),
        }
    }

    /// The same of several requests that went as one; those that are denied are asked again alone.
    fn told_together<T>(&mut self, doing: Doing, told: Result<T, Box<ApiError>>) -> Result<T, Fault> {
        match told {
            Ok(value) => self.told(doing, Ok(value)),
            Err(error) => Err(self.fault(&error, None)),
        }
    }

    /// Why a request failed. Without a token no other can succeed either, nor without the permission: that one is missing
    /// when a request that went `alone` was denied before anything of the kind was let through, for whichever object.
    fn fault(&mut self, error: &ApiError, alone: Option<Doing>) -> Fault {
        let mut fault = Fault::of(error);
        if fault.kind == FaultKind::Throttled {
            self.slow_down(&mut fault);
        }
        let missing = fault.kind == FaultKind::Denied && alone.is_some_and(|doing| !self.allowed[doing as usize]);
        if missing || fault.kind == FaultKind::Hopeless {
            self.hopeless = Some(fault.of_all());
        }
        fault
    }

    /// Holds everything back for as long as the service asked, and for longer each time that it asks: with "at once" it would
    /// be asked as fast as it refuses. What was asked together counts once.
    fn slow_down(&mut self, fault: &mut Fault) {
        let now = Instant::now();
        self.slowed += u32::from(now >= self.resume);
        let wait = fault.retry_after.unwrap_or_default().max(backoff(self.slowed.max(1), seed()));
        self.resume = self.resume.max(now + self.scaled(wait));
        fault.retry_after = Some(wait);
        self.slow = Some(fault.unasked());
    }

    /// The objects as they are now.
    fn read(&mut self, all: &[Work], open: &[usize]) -> Vec<(usize, Result<Value, Fault>)> {
        // An object that did not show its change is asked for alone where the others come as a list, which may lag behind.
        let listed = self.rules.resource == Resource::EndpointAlerts;
        let together = |at: &usize| (all[*at].looks == 0 || !listed) && !all[*at].alone;
        let (several, mut alone): (Vec<usize>, Vec<usize>) = open.iter().partition(|at| together(at));
        let mut found = Vec::new();
        match self.rules.resource {
            Resource::EndpointAlerts if several.len() > 1 => {
                for some in several.chunks(READ_LIMIT) {
                    self.read_list(all, some, &mut found, &mut alone);
                }
            }
            Resource::GraphIncidents | Resource::GraphAlerts if several.len() > 1 && self.together => {
                let paths: Vec<String> = several.iter().map(|at| self.path(&all[*at])).collect();
                let calls: Vec<(usize, Call<'_>)> =
                    several.iter().zip(&paths).map(|(at, path)| (*at, Call::Get(path.as_str()))).collect();
                for some in calls.chunks(GRAPH_LIMIT) {
                    if let Err(fault) = self.admit(some.len(), false) {
                        found.extend(some.iter().map(|(at, _)| (*at, Err(fault.clone()))));
                        continue;
                    }
                    for (at, answer) in self.batch(Doing::Reading, some, &mut alone) {
                        found.push((at, answer.and_then(|reply| whole(self.rules.resource, &all[at].task.id, &reply))));
                    }
                }
            }
            _ => alone.extend(several),
        }
        for at in alone {
            let path = self.path(&all[at]);
            let reply = self.admit(1, false).and_then(|()| {
                let told = self.client.get(&path);
                self.told(Doing::Reading, told)
            });
            found.push((at, reply.and_then(|reply| whole(self.rules.resource, &all[at].task.id, &reply))));
        }
        found
    }

    fn path(&self, work: &Work) -> String {
        object(self.rules.resource, &work.task.id, Expand::Nothing)
    }

    /// Endpoint alerts by one list. Those that are not on it are asked for alone, and so are all where it is refused.
    fn read_list(
        &mut self,
        all: &[Work],
        some: &[usize],
        found: &mut Vec<(usize, Result<Value, Fault>)>,
        alone: &mut Vec<usize>,
    ) {
        let ids: Vec<&str> = some.iter().map(|at| all[*at].task.id.as_str()).collect();
        let listed = self.admit(1, false).and_then(|()| {
            let told = batch::alerts(&mut self.client, &ids);
            self.told_together(Doing::Reading, told)
        });
        match listed {
            Ok((mut rows, _)) => {
                for at in some {
                    match rows.remove(&all[*at].task.id) {
                        Some(row) => found.push((*at, Ok(row))),
                        None => alone.push(*at),
                    }
                }
            }
            Err(fault) if goes_alone(fault.kind) => alone.extend(some),
            Err(fault) => found.extend(some.iter().map(|at| (*at, Err(fault.clone())))),
        }
    }

    /// Graph requests as one; they have been admitted. What is to be asked again alone goes to `alone`.
    fn batch(&mut self, doing: Doing, calls: &[(usize, Call<'_>)], alone: &mut Vec<usize>) -> Vec<(usize, Result<Reply, Fault>)> {
        if !self.together {
            alone.extend(calls.iter().map(|(at, _)| *at));
            return Vec::new();
        }
        let bare: Vec<Call<'_>> = calls.iter().map(|(_, call)| *call).collect();
        // That the whole was let through says nothing of its requests.
        let answers = match batch::graph(&mut self.client, &bare).map_err(|error| self.fault(&error, None)) {
            Ok(answers) => answers,
            Err(fault) if goes_alone(fault.kind) => {
                self.together = false;
                alone.extend(calls.iter().map(|(at, _)| *at));
                return Vec::new();
            }
            Err(fault) => return calls.iter().map(|(at, _)| (*at, Err(fault.clone()))).collect(),
        };
        let mut told = Vec::new();
        for ((at, _), answer) in calls.iter().zip(answers) {
            match self.told_together(doing, answer) {
                // The token ran out between the batch and the request in it; alone, it is renewed.
                Err(fault) if fault.kind == FaultKind::Denied => alone.push(*at),
                answer => told.push((*at, answer)),
            }
        }
        told
    }

    /// Sends what is due; gives the objects for which that failed.
    fn send(&mut self, all: &mut [Work], due: Vec<usize>) -> Vec<(usize, Fault)> {
        let mut failed = Vec::new();
        let (mut alone, several): (Vec<usize>, Vec<usize>) = due.iter().partition(|at| all[**at].alone);
        match self.rules.resource {
            Resource::EndpointAlerts if several.len() > 1 => alone.extend(self.send_alike(all, several, &mut failed)),
            Resource::GraphIncidents | Resource::GraphAlerts if several.len() > 1 && self.together => {
                self.send_together(all, several, &mut failed);
            }
            _ => alone.extend(several),
        }
        for at in alone {
            if let Err(fault) = self.send_alone(&mut all[at]) {
                failed.push((at, fault));
            }
        }
        failed
    }

    fn send_alone(&mut self, work: &mut Work) -> Result<(), Fault> {
        let steps = std::mem::take(&mut work.steps);
        for step in &steps {
            self.admit(1, false)?;
            work.sending();
            let told = step.send(&mut self.client);
            let reply = self.told(Doing::Sending, told)?;
            work.answered(&reply);
        }
        work.accepted();
        Ok(())
    }

    /// The same change of many Endpoint alerts is one request. Gives back those whose change is like no other's.
    fn send_alike(&mut self, all: &mut [Work], due: Vec<usize>, failed: &mut Vec<(usize, Fault)>) -> Vec<usize> {
        let mut alike: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for at in due {
            // The id is in the path alone, so equal bodies are the same change.
            let body = all[at].steps.first().and_then(|step| serde_json::to_string(&step.body).ok()).unwrap_or_default();
            alike.entry(body).or_default().push(at);
        }
        let mut alone = Vec::new();
        let limit = self.update_limit;
        for some in alike.values().flat_map(|group| group.chunks(limit)) {
            let Some(step) = all[some[0]].steps.first().filter(|_| some.len() > 1).cloned() else {
                alone.extend(some);
                continue;
            };
            if let Err(fault) = self.admit(1, true) {
                failed.extend(some.iter().map(|at| (*at, fault.clone())));
                continue;
            }
            some.iter().for_each(|at| all[*at].sending());
            let ids: Vec<&str> = some.iter().map(|at| all[*at].task.id.as_str()).collect();
            let told = batch::update_alerts(&mut self.client, &ids, &step.body);
            match self.told_together(Doing::Sending, told) {
                Ok(reply) => {
                    for at in some {
                        all[*at].answered(&reply);
                        all[*at].accepted();
                    }
                }
                Err(fault) if fault.kind == FaultKind::TooMany => {
                    self.update_limit = some.len() / 2;
                    some.iter().for_each(|at| all[*at].refused());
                }
                // One of them is the reason, or the spelling is: each is told its own.
                Err(fault) if goes_alone(fault.kind) => some.iter().for_each(|at| all[*at].goes_alone()),
                Err(fault) => failed.extend(some.iter().map(|at| (*at, fault.clone()))),
            }
        }
        alone
    }

    /// Graph changes of many objects, twenty at a time: first the first step of each, then the second of those where the
    /// first was accepted.
    fn send_together(&mut self, all: &mut [Work], due: Vec<usize>, failed: &mut Vec<(usize, Fault)>) {
        let steps: BTreeMap<usize, Vec<Step>> = due.iter().map(|at| (*at, all[*at].steps.clone())).collect();
        let mut going = due;
        for round in 0.. {
            let (next, over): (Vec<usize>, Vec<usize>) = going.into_iter().partition(|at| round < steps[at].len());
            over.iter().for_each(|at| all[*at].accepted());
            going = Vec::new();
            if next.is_empty() {
                break;
            }
            let calls: Vec<(usize, Call<'_>)> = next.iter().map(|at| (*at, Call::Send(&steps[at][round]))).collect();
            for some in calls.chunks(GRAPH_LIMIT) {
                if let Err(fault) = self.admit(some.len(), false) {
                    failed.extend(some.iter().map(|(at, _)| (*at, fault.clone())));
                    continue;
                }
                some.iter().for_each(|(at, _)| all[*at].sending());
                let mut alone = Vec::new();
                for (at, answer) in self.batch(Doing::Sending, some, &mut alone) {
                    match answer {
                        Ok(reply) => {
                            all[at].answered(&reply);
                            going.push(at);
                        }
                        Err(fault) => failed.push((at, fault)),
                    }
                }
                alone.iter().for_each(|at| all[*at].goes_alone());
            }
        }
    }
}

/// Whether requests that were refused together are to be tried one by one: the refusal may be about one of them, or about
/// sending them together.
fn goes_alone(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::Permanent | FaultKind::Denied | FaultKind::NotFound)
}

/// The object in an answer. One that is cut short, of another kind, or of another id says nothing about the object.
fn whole(resource: Resource, id: &str, reply: &Reply) -> Result<Value, Fault> {
    let none = |what: &str| Err(Fault::new(FaultKind::Passing, what));
    match serde_json::from_slice::<Value>(&reply.body) {
        Ok(object) if !object.is_object() => none("the service's answer is not a JSON object"),
        Ok(object) if is_of(resource, id, &object) == Some(true) => Ok(object),
        Ok(_) => none("the service's answer is not the object that was asked for"),
        Err(_) => none("the service's answer is not a JSON object"),
    }
}
