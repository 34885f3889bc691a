//! One seed: a service, an input and this machine, on a clock of their own.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::io::{self, Cursor, Read};
use std::rc::Rc;
use std::time::Duration;

use simulator::Time;
use simulator::accounts::{self, Account};
use simulator::chance::Chance;
use simulator::faults::{Fault, FaultKind, Route, When};
use simulator::model::{OrderBy, World};
use simulator::throttle::RetryAfter;
use simulator::wire::{Delivery, Service};

use super::changes::{Changes, behaviour};
use super::hazards::Hazards;
use super::judge::{ALERT, ALERT_OF_INCIDENT, INCIDENT, Judge, Shown, alert_shown, placed, visible};
use super::oddities::Oddities;
use crate::checkpoint::{self, Checkpoint, CheckpointError};
use crate::collect::{End, Outside, Poll, position};
use crate::feeds::{self, Draft, Evidence, Form, IncludeAlerts};
use crate::http::{Body, Http, HttpError, Request};
use crate::input::{Input, Start};
use crate::late::file::{Head, Held};
use crate::microsoft::api_error::ApiError;
use crate::microsoft::client::{Client, Incoming, Reply};
use crate::microsoft::cloud::{Api, Cloud, Hosts, Overrides, Resource, What};
use crate::microsoft::object::{Names, names};
use crate::microsoft::page::PageReader;
use crate::microsoft::token::{self, Credential, TokenSource};
use crate::secret::Secret;
use crate::splunk::event::StreamError;
use crate::time::Ticks;
use crate::version::Version;

/// 2026-03-01T00:00:00Z, where every simulation begins.
pub(super) const BEGIN: i64 = 1_772_323_200;
/// Polls with everything happening.
const LIVELY_POLLS: u64 = 9;
/// Polls after the last change and fault within which everything must have come out.
const QUIET_POLLS: usize = 60;

/// The service's side, with its clock.
struct Theatre {
    world: World,
    changes: Changes,
    chance: Chance,
    clock: Time,
    hazards: Hazards,
    quiet: bool,
    /// An answer with more rows is too large to be read.
    most_rows: Option<usize>,
    /// Expansions that fail go on failing to the end.
    never_heals: bool,
    /// Names of the members that say which object it is and when it changed.
    names: &'static Names,
    /// A row that comes again where it was not asked for.
    stale: Option<String>,
    /// Whether a day passed at once.
    skipped: bool,
    odd: Oddities,
    /// The last list as it was sent.
    last_list: Vec<u8>,
}

impl Theatre {
    /// Lets time pass, and everything happen that falls into it.
    fn pass(&mut self, span: Duration) -> u32 {
        self.clock = self.clock.plus(span);
        self.changes.advance(&mut self.world, &mut self.chance, self.clock, &mut self.hazards)
    }

    /// A day in which nothing happens.
    fn skip_a_day(&mut self) {
        self.hazards.met("a day passed");
        self.skipped = true;
        self.clock = self.clock.plus(Duration::from_secs(25 * 3600));
        self.changes.sleep(self.clock);
        self.pass(Duration::ZERO);
    }

    fn answer(&mut self, request: Request) -> Result<http::Response<Body>, HttpError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let service = if host.starts_with("login") {
            Service::Login
        } else if host.starts_with("graph") {
            Service::Graph
        } else {
            Service::Defender
        };
        let asked = as_sent(&request);
        let upstream = Duration::from_millis(self.chance.below(400));
        self.pass(upstream);
        if !self.quiet && service != Service::Login {
            self.tempt();
        }
        if !self.quiet
            && asked.query.contains("$skip")
            && self.chance.percent(60)
            && let Some(row) = texts(&self.last_list).and_then(|rows| rows.into_iter().next())
            && let Ok(row) = serde_json::from_str::<serde_json::Value>(&row)
        {
            let id = text_of(&row[self.names.identity.id]);
            self.changes.remove_one(&mut self.world, &id, &mut self.hazards);
        }
        let happened = self.world.faults.happened().len();
        let mut answer = simulator::answer(&mut self.world, service, &asked, self.clock);
        if answer.status == 200
            && service != Service::Login
            && let Some(refused) = self.odd.refuse(&asked, &mut self.hazards)
        {
            let dated = std::mem::take(&mut answer.headers);
            answer = refused;
            answer.headers.extend(dated.into_iter().filter(|(name, _)| name.eq_ignore_ascii_case("date")));
        }
        for (_, kind) in &self.world.faults.happened()[happened..] {
            self.hazards.met(fault_name(kind));
        }
        let listed = answer.status == 200 && service != Service::Login;
        if listed && asked.query.contains("filter") {
            let top = asked.query_value("$top").and_then(|top| top.parse().ok()).unwrap_or(0);
            match rows(&answer.body) {
                Some((rows, _)) if self.most_rows.is_some_and(|most| rows > most) => {
                    self.hazards.met("answer too large");
                    return Err(HttpError::TooLarge { host, most: 1 << 20 });
                }
                Some((rows, true)) if rows < top => self.hazards.met("fewer rows than asked with a next link"),
                Some((rows, false)) if rows == top => self.hazards.met("as many rows as asked without a next link"),
                _ => {}
            }
        }
        if listed && asked.query.contains("filter") {
            let top = asked.query_value("$top").and_then(|top| top.parse().ok()).unwrap_or(0);
            self.slip_in(&mut answer.body, top);
            self.last_list.clone_from(&answer.body);
        }
        if listed {
            self.odd.bend(&mut answer, &asked, &mut self.chance, &mut self.hazards);
        }
        self.odd.stamp(&mut answer, self.clock, &mut self.chance, &mut self.hazards);
        // What happens now happens between the look and the last byte.
        let download = Duration::from_millis(self.chance.below(1_500));
        if self.pass(download) > 0 && listed {
            self.hazards.met("changed while an answer was under way");
        }
        let broken = |host: String| HttpError::Unreachable { host, reason: "connection reset".to_owned() };
        let mut cut = None;
        match answer.delivery {
            Delivery::Whole | Delivery::Late(_) | Delivery::Slow { .. } => {}
            Delivery::Silent | Delivery::Endless(_) => {
                self.pass(Duration::from_secs(60));
                return Err(HttpError::TimedOut { host, limit: "receive response".to_owned() });
            }
            Delivery::Refused => return Err(broken(host)),
            // Anywhere: the body is as long as the objects are.
            Delivery::Cut(anything) => cut = Some(anything % answer.body.len().max(1)),
        }
        let mut response = http::Response::builder().status(answer.status);
        for (name, value) in &answer.headers {
            response = response.header(name, value);
        }
        let body = match cut {
            None => Body::stand_in(Cursor::new(answer.body)),
            Some(at) => {
                if let Some(begun) = answer.body.get(..at).filter(|_| listed)
                    && begun.windows(3).any(|three| three == b"},{")
                {
                    self.hazards.met("body cut in a row after others");
                }
                Body::stand_in(Cursor::new(answer.body).take(at as u64).chain(Broken))
            }
        };
        response.body(body).map_err(|_| broken(host))
    }

    /// Adds a row to an answer that was not asked for: one without a sensible time, or as it was long ago.
    fn slip_in(&mut self, body: &mut Vec<u8>, top: usize) {
        // An older row before the newest would look like the order that was asked for.
        if self.world.behaviour.orderby == OrderBy::Ignored {
            return;
        }
        let Some(rows) = texts(body).filter(|rows| rows.len() + 1 < top) else { return };
        let Some(row) = rows.first().cloned() else { return };
        if self.stale.is_none() && self.chance.percent(20) {
            self.stale = Some(row.clone());
        }
        let slipped = match self.chance.below(10) {
            0 => {
                let Ok(mut object) = serde_json::from_str::<serde_json::Value>(&row) else { return };
                self.hazards.met("row from the beginning of all time");
                object[self.names.identity.updated] = "0001-01-01T00:00:00Z".into();
                object[self.names.identity.id] = serde_json::json!(4_000_000 + self.chance.below(3));
                object[self.names.alerts] = serde_json::json!([]);
                object.to_string()
            }
            1 => match &self.stale {
                Some(stale) if !rows.contains(stale) => {
                    self.hazards.met("stale copy of a row");
                    stale.clone()
                }
                _ => return,
            },
            _ => return,
        };
        let Some(at) = body.windows(row.len()).position(|part| part == row.as_bytes()) else { return };
        body.splice(at..at, slipped.bytes().chain([b',']));
    }

    /// Sets a fault now and then.
    fn tempt(&mut self) {
        if !self.chance.percent(9) || !self.world.faults.waiting().is_empty() {
            return;
        }
        let wait = i64::try_from(1 + self.chance.below(90)).unwrap_or(1);
        let kind = match self.chance.below(16) {
            0 => FaultKind::Throttled(wait, RetryAfter::Seconds),
            1 => FaultKind::Throttled(wait, RetryAfter::Date),
            2 => FaultKind::Throttled(wait, RetryAfter::Missing),
            3 => FaultKind::Unavailable(wait, RetryAfter::Seconds),
            4 | 5 => FaultKind::Status(500),
            6 => FaultKind::TokenRevoked,
            7 => FaultKind::Html(200),
            8 => FaultKind::HalfJson,
            9 => FaultKind::Array,
            10 => FaultKind::Refused,
            11 | 12 => FaultKind::Cut(usize::try_from(self.chance.below(1 << 30)).unwrap_or(0)),
            13 => FaultKind::Status(400),
            _ => FaultKind::NoDate,
        };
        // A range that goes on being refused counts as one that is not kept any longer.
        let is_once = kind == FaultKind::Status(400) || self.chance.percent(70);
        let when = if is_once { When::Once } else { When::Times(1 + self.chance.below(12)) };
        self.world.faults.push(Fault::new(Route::Any, when, kind));
    }
}

/// Where a body breaks off.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::ConnectionReset.into())
    }
}

/// How many rows a whole answer has, and whether it announces more.
fn rows(body: &[u8]) -> Option<(usize, bool)> {
    let mut page = PageReader::new(body);
    let mut rows = 0;
    while page.next_row().ok()?.is_some() {
        rows += 1;
    }
    Some((rows, page.has_next_link()))
}

/// The rows of a whole answer.
fn texts(body: &[u8]) -> Option<Vec<String>> {
    let mut page = PageReader::new(body);
    let mut rows = Vec::new();
    while let Some(row) = page.next_row().ok()? {
        rows.push(row.raw().to_owned());
    }
    Some(rows)
}

fn fault_name(kind: &FaultKind) -> &'static str {
    match kind {
        FaultKind::Throttled(_, RetryAfter::Seconds) => "fault: 429 with seconds",
        FaultKind::Throttled(_, RetryAfter::Date) => "fault: 429 with a date",
        FaultKind::Throttled(_, _) => "fault: 429 without wait",
        FaultKind::Unavailable(..) => "fault: 503",
        FaultKind::Status(400) => "fault: 400",
        FaultKind::Status(_) => "fault: 500",
        FaultKind::TokenRevoked => "fault: token revoked",
        FaultKind::Html(_) => "fault: html",
        FaultKind::HalfJson => "fault: half of the JSON",
        FaultKind::Array => "fault: an array",
        FaultKind::Refused => "fault: connection broken",
        FaultKind::Cut(_) => "fault: body cut",
        _ => "answer without date",
    }
}

/// The request as the simulator reads one.
fn as_sent(request: &Request) -> simulator::Request {
    let target = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let mut sent = simulator::Request::new(request.method().as_str(), target);
    for (name, value) in request.headers() {
        sent = sent.header(name.as_str(), value.to_str().unwrap_or_default());
    }
    sent.body.clone_from(request.body());
    sent
}

/// This machine's side: splunkd, the disk, a clock that may be wrong, and a kill that may come at any step.
struct Stage {
    theatre: Rc<RefCell<Theatre>>,
    client: Client,
    judge: Judge,
    skew: Duration,
    ahead: bool,
    /// Written, not flushed.
    pipe: Vec<Shown>,
    disk: Option<Vec<u8>>,
    /// The memory of the late look.
    memory: Held,
    steps_to_live: Option<u64>,
    dead: bool,
}

impl Stage {
    /// Counts a step; `true` when this is the one at which the process is killed.
    fn killed(&mut self, hazard: &'static str) -> bool {
        let last = match &mut self.steps_to_live {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        if last && !self.dead {
            self.dead = true;
            self.theatre.borrow_mut().hazards.met(hazard);
            // Part of what was written may be in the pipe already, and splunkd reads it to its end.
            let sent = usize::try_from(self.theatre.borrow_mut().chance.below(self.pipe.len() as u64 + 1)).unwrap_or(0);
            for shown in self.pipe.drain(..).take(sent) {
                self.judge.taken(shown);
            }
            self.judge.killed();
        }
        self.dead
    }

    fn kill_error() -> Box<ApiError> {
        use crate::microsoft::api_error::{Asked, Failure};
        let asked = Asked { api: Api::Graph, method: &http::Method::GET, path: "" };
        Box::new(asked.failed(Failure::Setup(HttpError::Setup("killed".to_owned()))))
    }
}

impl Outside for Stage {
    fn now(&self) -> Ticks {
        let now = Ticks(self.theatre.borrow().clock.0);
        if self.ahead { now.plus(self.skew) } else { now.minus(self.skew) }
    }

    fn pause(&self, span: Duration) -> bool {
        if !span.is_zero() {
            self.theatre.borrow_mut().pass(span);
        }
        self.dead
    }

    fn get(&mut self, path: &str) -> Result<Reply<Incoming>, Box<ApiError>> {
        if self.killed("killed while asking") {
            return Err(Self::kill_error());
        }
        let reply = self.client.open(path);
        if log::log_enabled!(log::Level::Debug) {
            let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
            log::debug!("{} asked {path}: {:?}", self.theatre.borrow().clock, reply.as_ref().map(|_| "an answer"));
        }
        reply
    }

    fn write(&mut self, draft: &Draft) -> Result<(), StreamError> {
        if self.killed("killed while writing") {
            return Err(StreamError::ReaderGone);
        }
        log::debug!("writes {:?}", shown(draft));
        self.pipe.push(shown(draft));
        Ok(())
    }

    fn flush(&mut self) -> Result<bool, StreamError> {
        if self.dead {
            return Err(StreamError::ReaderGone);
        }
        for shown in self.pipe.drain(..) {
            let mut theatre = self.theatre.borrow_mut();
            if theatre.changes.late.contains(&(shown.1.clone(), shown.2)) {
                theatre.hazards.met("found by the late look");
            }
            drop(theatre);
            self.judge.taken(shown);
        }
        Ok(true)
    }

    fn save(&mut self, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
        let bytes = checkpoint::to_json(checkpoint).unwrap_or_default();
        let renamed = self.theatre.borrow_mut().chance.percent(50);
        let hazard = if renamed { "killed while saving, new position left" } else { "killed while saving, old position left" };
        if renamed && !self.dead && self.steps_to_live == Some(0) {
            self.disk = Some(bytes.clone());
            self.judge.saved();
        }
        if self.killed(hazard) {
            return Err(CheckpointError::Unsaved { path: "killed".into(), reason: std::io::ErrorKind::Other.into() });
        }
        self.disk = Some(bytes);
        self.judge.saved();
        Ok(())
    }

    fn memory(&mut self) -> io::Result<Option<Head>> {
        Ok(self.memory.head())
    }

    fn recall(&mut self) -> io::Result<Vec<Version>> {
        self.memory.read()
    }

    fn remember(&mut self, versions: &[Version]) -> io::Result<u64> {
        if self.killed("killed while remembering") {
            // Whatever part of it reached the disk.
            let some = usize::try_from(self.theatre.borrow_mut().chance.below(versions.len() as u64 + 1)).unwrap_or(0);
            return self.memory.append(&versions[..some]);
        }
        self.memory.append(versions)
    }

    fn begin_memory(&mut self, name: u64, versions: &[Version]) -> io::Result<()> {
        if !self.dead {
            self.memory.replace(name, versions);
        }
        Ok(())
    }
}

/// An id, which is a string or a number.
fn text_of(id: &serde_json::Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

/// What an event shows of its object.
fn shown(draft: &Draft) -> Shown {
    let object: serde_json::Value = serde_json::from_str(&draft.data).unwrap_or_default();
    let id = ["incidentId", "alertId", "id"].iter().rev().find_map(|name| match &object[*name] {
        serde_json::Value::String(id) => Some(id.clone()),
        serde_json::Value::Number(id) => Some(id.to_string()),
        _ => None,
    });
    let sourcetype = [ALERT, INCIDENT, ALERT_OF_INCIDENT].into_iter().find(|name| *name == draft.sourcetype);
    let id = id.unwrap_or_default();
    let incident = Some(&object["incidentId"]).filter(|incident| !incident.is_null() && draft.sourcetype != INCIDENT);
    let incident = incident.map(text_of);
    (sourcetype.unwrap_or("none"), placed(&id, incident.as_deref()), Time(draft.time.0))
}

fn input(chance: &mut Chance, resource: Resource, page_size: u32, lookback: Duration, most_back: u64) -> Input {
    let feed = if resource.what() == What::Incidents { "incidents" } else { "alerts" };
    let back = Duration::from_secs(chance.below(most_back));
    Input {
        name: "simulated".to_owned(),
        feed: feeds::find(feed).unwrap_or(feeds::FEEDS[0]),
        account: accounts::ACCOUNT.to_owned(),
        api: if resource.api() == Api::Graph { "graph".to_owned() } else { "defender".to_owned() },
        resource,
        start: if chance.percent(10) { Start::Now } else { Start::Back(back) },
        lookback,
        filter: None,
        evidence: Evidence::Inline,
        include_alerts: *chance.pick(&[IncludeAlerts::Changed, IncludeAlerts::Changed, IncludeAlerts::All, IncludeAlerts::None]),
        form: if chance.percent(50) { Form::Compact } else { Form::Verbatim },
        page_size,
        index: None,
        host: None,
        budget: Duration::from_secs(30),
    }
}

fn client(theatre: &Rc<RefCell<Theatre>>, api: Api) -> Client {
    let urls = Overrides {
        login_url: Some("https://login.simulated"),
        graph_url: Some("https://graph.simulated"),
        defender_url: Some("https://defender.simulated"),
    };
    let hosts = Hosts::new(Cloud::Commercial, urls).unwrap_or_else(|reason| panic!("{reason}"));
    let account =
        token::Account { cloud: Cloud::Commercial, hosts: &hosts, tenant_id: accounts::TENANT, client_id: accounts::CLIENT_ID };
    let theatre = Rc::clone(theatre);
    let http = Http::stand_in(move |request| theatre.borrow_mut().answer(request));
    let credential = Credential::Secret(Secret::new(accounts::CLIENT_SECRET));
    let tokens = TokenSource::new(http.clone(), account, api, credential).unwrap_or_else(|reason| panic!("{reason}"));
    Client::new(http, tokens, &hosts, api)
}

/// Plays one seed to its end.
pub(super) fn run_seed(seed: u64, hazards: &mut Hazards) -> Result<(), String> {
    let mut chance = Chance::new(seed);
    let resource = *chance.pick(&Resource::ALL);
    let page_size = 2 + u32::try_from(chance.below(6)).unwrap_or(0);
    let lookback = Duration::from_secs(5 + chance.below(120));
    let mut world = World::empty();
    accounts::furnish(&mut world, None, None);
    let account = Account {
        client_id: accounts::CLIENT_ID.to_owned(),
        secret: Some(accounts::CLIENT_SECRET.to_owned()),
        ..Account::new(accounts::ACCOUNT)
    };
    accounts::add(&mut world, &account, None);
    world.throttle = simulator::throttle::Throttle::default();
    let mut counted = Hazards::default();
    world.behaviour = behaviour(resource, &mut chance, &mut counted);
    let odd = Oddities::new(resource, &world.behaviour, &mut chance, &mut counted);
    let most_back = if odd.keeps_from.is_some() { 10 * 86_400 } else { 7_200 };
    let input = input(&mut chance, resource, page_size, lookback, most_back);
    world.entra.token_life = if chance.percent(20) { 20 } else { 3599 };
    if world.entra.token_life == 20 {
        counted.met("token ended");
    }
    let clock = Time::from_unix(BEGIN);
    let mut changes = Changes::new(&mut chance, clock, resource.what() == What::Incidents, page_size, lookback);
    // Some history before anybody looks.
    let clock = clock.plus(Duration::from_secs(chance.below(1_200)));
    changes.advance(&mut world, &mut chance, clock, &mut counted);
    let most_rows = chance.percent(5).then(|| 1 + usize::try_from(chance.below(u64::from(page_size))).unwrap_or(0));
    let never_heals = resource == Resource::GraphIncidents && chance.percent(20);
    let theatre = Theatre {
        world,
        changes,
        chance,
        clock,
        hazards: counted,
        quiet: false,
        most_rows,
        never_heals,
        names: names(resource),
        stale: None,
        skipped: false,
        odd,
        last_list: Vec::new(),
    };
    let theatre = Rc::new(RefCell::new(theatre));
    let mut stage = Stage {
        client: client(&theatre, resource.api()),
        theatre,
        judge: Judge::new(input.include_alerts),
        skew: Duration::ZERO,
        ahead: false,
        pipe: Vec::new(),
        disk: None,
        memory: Held::default(),
        steps_to_live: None,
        dead: false,
    };
    let result = play(&mut stage, &input);
    hazards.add(&stage.theatre.borrow().hazards);
    result.map_err(|reason| format!("seed {seed}: {resource:?}, page {page_size}, look-back {lookback:?}: {reason}"))
}

fn play(stage: &mut Stage, input: &Input) -> Result<(), String> {
    let mut start = None;
    let polls = LIVELY_POLLS + stage.theatre.borrow_mut().chance.below(LIVELY_POLLS);
    for _ in 0..polls {
        trouble(stage);
        one_poll(stage, input, &mut start)?;
        let pause = Duration::from_secs(stage.theatre.borrow_mut().chance.below(120));
        stage.theatre.borrow_mut().pass(pause);
        let mut theatre = stage.theatre.borrow_mut();
        // Two of them in which no poll lives would be more than a late look reaches.
        if !theatre.skipped && theatre.chance.percent(4) {
            theatre.skip_a_day();
        }
    }
    {
        let mut theatre = stage.theatre.borrow_mut();
        let theatre = &mut *theatre;
        theatre.quiet = true;
        theatre.odd.is_quiet = true;
        theatre.changes.rest(theatre.clock);
        theatre.world.faults.clear();
        theatre.most_rows = None;
        theatre.world.behaviour.poisoned.clear();
        if !theatre.never_heals {
            theatre.world.behaviour.expand_fails.clear();
        } else if !theatre.world.behaviour.expand_fails.is_empty() {
            theatre.hazards.met("expansion that never heals");
        }
        theatre.pass(input.lookback * 4 + Duration::from_secs(600));
        if !theatre.skipped {
            theatre.skip_a_day();
        }
    }
    (stage.steps_to_live, stage.skew) = (None, Duration::ZERO);
    let input = &Input { budget: Duration::from_secs(36_000), ..input.clone() };
    let failing = stage.theatre.borrow().world.behaviour.expand_fails.clone();
    for _ in 0..if failing.is_empty() { QUIET_POLLS } else { 20 } {
        let done = one_poll(stage, input, &mut start)?;
        stage.theatre.borrow_mut().pass(Duration::from_secs(300));
        if done {
            break;
        }
    }
    // Some more: the look-back's rest, and the late look's.
    for _ in 0..3 {
        one_poll(stage, input, &mut start)?;
        stage.theatre.borrow_mut().skip_a_day();
    }
    let mut wanted =
        visible(&stage.theatre.borrow().world, input.resource, input.include_alerts, start.unwrap_or(Time(i64::MAX)));
    for incident in failing {
        // The incident itself has come; of its alerts, those that nobody can show may be missing.
        for alert in stage.theatre.borrow().world.alerts_of(incident) {
            wanted.remove(&(ALERT_OF_INCIDENT, alert_shown(alert), alert.updated));
        }
    }
    stage.judge.want(&wanted, "newest at the end");
    stage.judge.verdict()
}

/// What befalls this machine and some objects before a poll.
fn trouble(stage: &mut Stage) {
    let mut theatre = stage.theatre.borrow_mut();
    let theatre = &mut *theatre;
    stage.steps_to_live = theatre.chance.percent(35).then(|| theatre.chance.below(30));
    if theatre.chance.percent(10) {
        let (skew, ahead) = (Duration::from_secs(1 + theatre.chance.below(5_000)), theatre.chance.percent(50));
        if theatre.odd.lets_machine_be(if ahead { Ordering::Greater } else { Ordering::Less }) {
            theatre.hazards.met("clock of this machine jumped");
            (stage.skew, stage.ahead) = (skew, ahead);
        }
    }
    if theatre.chance.percent(if theatre.changes.is_future_near(theatre.clock) { 30 } else { 4 }) {
        let known = |id: &str, at| theatre.odd.are_clocks_right && stage.judge.is_settled(id, at);
        theatre.changes.stand_still(&mut theatre.chance, theatre.clock, known, &mut theatre.hazards);
    }
    if theatre.chance.percent(8) {
        let ids: Vec<String> = match stage.client.api() {
            Api::Graph if theatre.chance.percent(50) => {
                theatre.world.incidents().map(|incident| incident.id.to_string()).collect()
            }
            _ => theatre.world.alerts().map(|alert| alert.id.clone()).collect(),
        };
        if !ids.is_empty() {
            theatre.hazards.met("poisoned object");
            let id = theatre.chance.pick(&ids).clone();
            theatre.world.behaviour.poisoned.insert(id);
        }
    }
    if theatre.chance.percent(8) {
        let ids: Vec<u64> = theatre.world.incidents().map(|incident| incident.id).collect();
        if !ids.is_empty() {
            theatre.hazards.met("expansion that fails");
            let id = *theatre.chance.pick(&ids);
            theatre.world.behaviour.expand_fails.insert(id);
        }
    }
    if theatre.chance.percent(30) {
        theatre.world.behaviour.poisoned.clear();
        if !theatre.never_heals {
            theatre.world.behaviour.expand_fails.clear();
        }
    }
}

/// One process from start to end. `true` when it read everything there was.
fn one_poll(stage: &mut Stage, input: &Input, start: &mut Option<Time>) -> Result<bool, String> {
    stage.dead = false;
    let saved = stage.disk.as_deref().map(checkpoint::parse).transpose()?;
    let seen = |stage: &Stage, start: Option<Time>| -> BTreeSet<Shown> {
        start.map_or_else(BTreeSet::new, |start| {
            visible(&stage.theatre.borrow().world, input.resource, input.include_alerts, start)
        })
    };
    // The first run's clock says where it all begins, whether that run lives or dies.
    if start.is_none() {
        let theatre = stage.theatre.borrow();
        let present = theatre.odd.present(theatre.clock, Time(stage.now().0));
        *start = Some(Time(input.start.resolve(Ticks(present.0)).floor_ms().0));
    }
    let before = seen(stage, *start);
    let began = stage.theatre.borrow().clock;
    let Ok(mut checkpoint) = position(saved, input, accounts::TENANT, stage) else {
        if stage.disk.is_none() {
            // Killed before the very first position was saved: nothing was asked either.
            *start = None;
        }
        return Ok(false);
    };
    let mut poll = Poll::new(input, &mut checkpoint, stage);
    let end = poll.run();
    // After a failure some part above the settled point may be left to the next poll.
    let complete = matches!(end, Ok(End::Done)) && poll.tally.halved == 0 && !poll.tally.is_cut_short;
    let cursor = &checkpoint.cursor;
    let complete = complete && !stage.dead && cursor.unproven() == 0;
    if !cursor.given_up().is_empty() {
        stage.theatre.borrow_mut().hazards.met("window set aside");
    }
    if complete && !cursor.history_left().is_zero() {
        stage.theatre.borrow_mut().hazards.met("history left at the end of a poll");
    }
    log::debug!(
        "poll ended {end:?} dead {} settled {} left {:?} aside {}",
        stage.dead,
        cursor.settled(),
        cursor.history_left(),
        cursor.given_up().len()
    );
    let whole = complete && cursor.history_left().is_zero() && cursor.given_up().is_empty();
    if whole {
        let after = seen(stage, *start);
        let mut all_along: BTreeSet<Shown> = before.intersection(&after).cloned().collect();
        let late = &stage.theatre.borrow().changes.late;
        all_along.retain(|(_, id, at)| !late.contains(&(id.clone(), *at)));
        // Alerts show with their incident, which may be read before they change; what is dated in the future may wait.
        let all_along = all_along.into_iter().filter(|(kind, _, at)| *kind != ALERT_OF_INCIDENT && *at <= began).collect();
        stage.judge.want(&all_along, "visible through a whole poll");
    }
    stage.judge.verdict()?;
    Ok(whole)
}
