//! One seed: a storage account, an input and this machine.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use simulator::accounts::{self, Account};
use simulator::chance::Chance;
use simulator::faults::{Fault, FaultKind, Route, When};
use simulator::storage::{blob_name, container};
use simulator::throttle::RetryAfter;
use simulator::wire::{Delivery, Service};
use simulator::{Time, World};

use super::super::cursor::Hour;
use super::super::finished::Finished;
use super::super::poll::Sizes;
use super::super::position::Position;
use super::super::{BlobsError, End, Outside, Poll, position};
use super::odd::{self, Odd};
use crate::checkpoint::{self, CheckpointError};
use crate::feeds::Streaming;
use crate::feeds::records::{Reader, Record, UNPARSED};
use crate::http::{Body, Http, HttpError, Request, Response};
use crate::input::{Begin, Dedupe, Shape, StorageInput, StreamInput, Tables};
use crate::microsoft::cloud::{Audience, Cloud, Hosts, Overrides};
use crate::microsoft::storage::{Access, Storage, StorageError};
use crate::microsoft::token::{self, Credential, TokenSource};
use crate::secret::Secret;
use crate::splunk::event::StreamError;
use crate::time::Ticks;

/// How often each hazard was met.
pub(super) type Hazards = BTreeMap<&'static str, u64>;

/// Those that every long run must meet.
pub(super) const HAZARDS: [&str; 20] = [
    "grew while it was read",
    "a closed hour grew",
    "a finished hour grew",
    "a line in parts",
    "a line that never ended",
    "a last line without an end",
    "made anew",
    "removed",
    "fault",
    "killed",
    "killed while saving",
    "time was over",
    "a container in the middle of it",
    "one bad blob",
    "one bad container",
    "clock there",
    "clock here",
    "endless list",
    "foreign prefix",
    "stood still",
];

/// 2026-03-01T00:00:00Z, where every simulation begins.
const BEGIN: i64 = 1_772_323_200;
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// How many seconds after the look-back hours may grow.
const LATEST: u64 = 2 * 86_400;
const TABLES: [&str; 3] = ["AlertInfo", "DeviceEvents", "NewTable"];

/// One record: its number.
type Id = u64;

/// What is to be read: the blob it is in, and that one's hour.
type Due = ((String, String), Time);

/// The storage account's side.
struct Theatre {
    world: World,
    chance: Chance,
    clock: Time,
    hazards: Hazards,
    quiet: bool,
    lookback: Duration,
    next: Id,
    /// What must come: with the hour of its blob.
    delivered: BTreeMap<Id, Time>,
    /// Blobs that end inside a line, and what is missing of it.
    parts: BTreeMap<(String, String), (Id, Time, Vec<u8>)>,
    /// Lines that never ended, of which only the bytes come.
    broken: BTreeSet<Id>,
    /// May come again or not at all: its blob was made anew or removed.
    excused: BTreeSet<Id>,
    /// Which records are in a blob.
    inside: BTreeMap<(String, String), Vec<Id>>,
    tables: usize,
    odd: Odd,
    /// When something was appended last, by container; and the newest of that which a list told.
    appended: BTreeMap<String, Time>,
    heard: Option<Time>,
    /// Whether a list of blobs told the service's time in this poll.
    dated: bool,
    /// What has to be read by the next poll that nothing keeps from it, with the blob it is in.
    due: BTreeMap<Id, Due>,
    /// Blobs that failed at some time: they come later.
    failed: BTreeSet<(String, String)>,
    /// What the poll did that it must not.
    wrong: Option<String>,
}

impl Theatre {
    fn met(&mut self, hazard: &'static str) {
        *self.hazards.entry(hazard).or_default() += 1;
    }

    /// Lets time pass, and what falls into it happen.
    fn pass(&mut self, span: Duration) -> bool {
        let until = self.clock.plus(span);
        let mut happened = false;
        while self.clock < until {
            let step = Duration::from_millis(1 + self.chance.below(600_000));
            self.clock = self.clock.plus(step).min(until);
            if !self.quiet && self.chance.percent(60) {
                self.happen();
                happened = true;
            }
        }
        happened
    }

    /// Something is delivered, or goes wrong with a blob.
    fn happen(&mut self) {
        match self.odd.standing {
            Some((_, until)) if self.clock < until => return,
            Some((since, _)) => return self.catch_up(since),
            None if self.chance.below(400) == 0 => {
                self.met("stood still");
                self.odd.standing = Some((self.clock, self.clock.plus(odd::standstill(&mut self.chance))));
                return;
            }
            None => {}
        }
        let table = TABLES[usize::try_from(self.chance.below(self.tables as u64)).unwrap_or(0)];
        let back = if self.chance.percent(5) {
            Duration::from_secs(self.chance.below(self.lookback.as_secs() + LATEST))
        } else if self.chance.percent(30) {
            Duration::from_secs(self.chance.below(self.lookback.as_secs() + 3600))
        } else {
            Duration::ZERO
        };
        let hour = self.clock.minus(back).floor(36_000_000_000);
        let place = (container(table), blob_name(accounts::TENANT, hour));
        if self.chance.percent(3) && self.inside.contains_key(&place) {
            self.failed.insert(place.clone());
            self.odd.spoil(&mut self.chance, &place);
        }
        if self.is_late(hour) {
            self.met("a finished hour grew");
            self.deliver(&place, hour);
            return;
        }
        if hour.plus(HOUR) <= self.clock && self.inside.contains_key(&place) {
            self.met("a closed hour grew");
        }
        match self.chance.below(100) {
            0..4 if self.inside.contains_key(&place) => self.make_anew(&place, hour),
            4..6 if self.inside.contains_key(&place) => {
                self.met("removed");
                self.world.storage.remove(&place.0, &place.1);
                self.failed.insert(place.clone());
                self.excuse(&place);
            }
            6..8 if self.tables < TABLES.len() => {
                self.met("a container in the middle of it");
                self.tables += 1;
            }
            _ => {
                for _ in 0..=self.chance.below(3) {
                    self.deliver(&place, hour);
                }
            }
        }
    }

    /// After a standstill what should have come comes, into the hours in which it should have.
    fn catch_up(&mut self, since: Time) {
        self.odd.standing = None;
        let mut hour = since.floor(36_000_000_000);
        while hour <= self.clock {
            for table in &TABLES[..self.tables] {
                if self.chance.percent(30) {
                    self.deliver(&(container(table), blob_name(accounts::TENANT, hour)), hour);
                }
            }
            hour = hour.plus(HOUR);
        }
    }

    /// Appends a record, or part of one, or the rest of one.
    fn deliver(&mut self, place: &(String, String), hour: Time) {
        if let Some((id, hour, rest)) = self.parts.remove(place) {
            self.append(place, &rest);
            if self.is_late(hour) {
                // Its first part may have been passed on as it was.
                self.broken.insert(id);
            } else {
                self.arrived(place, id, hour);
            }
            return;
        }
        self.next += 1;
        let id = self.next;
        let filler = "x".repeat(usize::try_from(self.chance.below(60)).unwrap_or(0));
        let line = format!(
            "{{\"category\":\"AdvancedHunting-T\",\"properties\":{{\"Timestamp\":\"{}\",\"Id\":{id},\"Filler\":\"{filler}\"}}}}\r\n",
            self.clock
        );
        if !self.is_late(hour) && self.chance.percent(12) {
            self.met("a line in parts");
            let at = 1 + usize::try_from(self.chance.below(line.len() as u64 - 4)).unwrap_or(0);
            self.append(place, &line.as_bytes()[..at]);
            self.parts.insert(place.clone(), (id, hour, line.as_bytes()[at..].to_vec()));
        } else {
            self.append(place, line.as_bytes());
            self.arrived(place, id, hour);
        }
    }

    /// Whether an hour may be finished: the look-back has passed, and later blobs were seen.
    fn is_late(&self, hour: Time) -> bool {
        let end = hour.plus(HOUR).plus(self.lookback);
        self.clock >= end && self.heard.is_some_and(|heard| heard >= end)
    }

    fn append(&mut self, place: &(String, String), bytes: &[u8]) {
        let now = self.clock;
        self.world.storage.append(&place.0, &place.1, bytes, now);
        self.appended.insert(place.0.clone(), now);
    }

    fn arrived(&mut self, place: &(String, String), id: Id, hour: Time) {
        self.delivered.insert(id, hour);
        if !self.is_late(hour) {
            self.due.insert(id, (place.clone(), hour));
        }
        self.inside.entry(place.clone()).or_default().push(id);
    }

    fn make_anew(&mut self, place: &(String, String), hour: Time) {
        self.met("made anew");
        self.failed.insert(place.clone());
        self.world.storage.remove(&place.0, &place.1);
        self.excuse(place);
        // The service tells times by the second.
        self.clock = self.clock.plus(Duration::from_secs(1));
        for _ in 0..=self.chance.below(6) {
            self.deliver(place, hour);
        }
    }

    fn excuse(&mut self, place: &(String, String)) {
        let gone = self.inside.remove(place).unwrap_or_default();
        self.excused.extend(gone);
        if let Some((id, ..)) = self.parts.remove(place) {
            self.excused.insert(id);
        }
    }

    /// No part of a line waits any more: some are completed, of some that was all, and one lacks only its line break.
    fn rest(&mut self) {
        for (place, (id, hour, rest)) in std::mem::take(&mut self.parts) {
            // What is completed after the look-back is not promised to come.
            if self.chance.percent(40) || self.is_late(hour) {
                self.met("a line that never ended");
                self.broken.insert(id);
                continue;
            }
            let ends = if self.chance.percent(50) { rest.len() - 2 } else { rest.len() };
            if ends < rest.len() {
                self.met("a last line without an end");
            }
            self.append(&place, &rest[..ends]);
            self.arrived(&place, id, hour);
        }
    }

    fn answer(&mut self, request: &Request) -> Result<Response, HttpError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let service = if host.starts_with("login") { Service::Login } else { Service::Storage };
        let asked = as_sent(request);
        let way = Duration::from_millis(self.chance.below(900));
        self.pass(way);
        if !self.quiet && self.chance.percent(6) && self.world.faults.waiting().is_empty() {
            self.tempt();
        }
        let happened = self.world.faults.happened().len();
        let place: Option<(String, String)> =
            asked.segments().split_first().map(|(container, rest)| (container.clone(), rest.join("/")));
        if let Some((container, _)) = place.as_ref().filter(|_| asked.query_value("comp").is_some())
            && let Some(at) = self.appended.get(container)
        {
            self.heard = self.heard.max(Some(*at));
        }
        let mut answer = simulator::answer(&mut self.world, service, &asked, self.clock);
        if self.world.faults.happened().len() > happened {
            self.met("fault");
            self.failed.extend(place.clone());
        } else if service == Service::Storage && !self.quiet {
            let (odd, chance) = (&mut self.odd, &mut self.chance);
            for hazard in odd.bend(chance, &asked, &mut answer, self.clock) {
                self.met(hazard);
            }
        }
        if service == Service::Storage && self.wrong.is_none() {
            self.wrong = self.odd.count(&asked);
        }
        if self.chance.percent(10) {
            let way = Duration::from_millis(self.chance.below(2_000));
            if self.pass(way) && asked.headers.iter().any(|(name, _)| name == "x-ms-range") {
                self.met("grew while it was read");
            }
        }
        let broken = |host: String| HttpError::Unreachable { host, reason: "connection reset".to_owned() };
        match answer.delivery {
            Delivery::Whole | Delivery::Late(_) | Delivery::Slow { .. } => {}
            Delivery::Silent | Delivery::Endless(_) => {
                self.pass(Duration::from_secs(60));
                return Err(HttpError::TimedOut { host, limit: "receive response".to_owned() });
            }
            Delivery::Cut(_) | Delivery::Refused => return Err(broken(host)),
        }
        let is_list = place.as_ref().is_some_and(|(_, name)| name.is_empty()) && asked.query_value("comp").is_some();
        self.dated |= is_list && answer.status == 200 && answer.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("date"));
        let mut response = http::Response::builder().status(answer.status);
        for (name, value) in &answer.headers {
            response = response.header(name, value);
        }
        response.body(answer.body).map_err(|_| broken(host))
    }

    /// Sets a fault.
    fn tempt(&mut self) {
        let wait = i64::try_from(1 + self.chance.below(40)).unwrap_or(1);
        let kind = match self.chance.below(9) {
            0 => FaultKind::Unavailable(wait, RetryAfter::Seconds),
            1 => FaultKind::Unavailable(wait, RetryAfter::Missing),
            2 => FaultKind::Status(500),
            3 => FaultKind::TokenRevoked,
            4 => FaultKind::Html(200),
            5 => FaultKind::HalfJson,
            6 => FaultKind::Refused,
            7 => FaultKind::Nothing,
            _ => FaultKind::NoDate,
        };
        let when = if self.chance.percent(70) { When::Once } else { When::Times(1 + self.chance.below(8)) };
        self.world.faults.push(Fault::new(Route::Any, when, kind));
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

/// What an event shows: a record's number, or the bytes of what is none.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shown {
    Record(Id),
    Unparsed(String),
}

/// This machine's side: splunkd, the disk, and a kill that may come at any step.
struct Stage {
    theatre: Rc<RefCell<Theatre>>,
    storage: Storage,
    /// Written, not flushed.
    pipe: Vec<Shown>,
    /// Taken by splunkd since the position was saved.
    unsaved: Vec<Shown>,
    taken: BTreeMap<Id, u64>,
    unparsed: Vec<String>,
    /// How often each may come again, because a kill fell between.
    again: BTreeMap<Id, u64>,
    disk: Option<Vec<u8>>,
    /// The ends of finished blobs on it.
    ends: Option<Vec<u8>>,
    steps_to_live: Option<u64>,
    dead: bool,
}

impl Stage {
    /// Counts a step; `true` when this is the one at which the process is killed.
    fn killed(&mut self) -> bool {
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
            self.theatre.borrow_mut().met("killed");
            // Part of what was written may be in the pipe already, and splunkd reads it to its end.
            let sent = usize::try_from(self.theatre.borrow_mut().chance.below(self.pipe.len() as u64 + 1)).unwrap_or(0);
            for shown in self.pipe.drain(..).take(sent).collect::<Vec<_>>() {
                self.take(shown);
            }
            for shown in std::mem::take(&mut self.unsaved) {
                if let Shown::Record(id) = shown {
                    *self.again.entry(id).or_default() += 1;
                }
            }
        }
        self.dead
    }

    fn take(&mut self, shown: Shown) {
        match &shown {
            Shown::Record(id) => *self.taken.entry(*id).or_default() += 1,
            Shown::Unparsed(text) => self.unparsed.push(text.clone()),
        }
        self.unsaved.push(shown);
    }
}

impl Outside for Stage {
    fn now(&self) -> Ticks {
        let theatre = self.theatre.borrow();
        Ticks(theatre.clock.0 + theatre.odd.here * crate::time::PER_SECOND)
    }

    fn pause(&self, span: Duration) -> bool {
        if !span.is_zero() {
            self.theatre.borrow_mut().pass(span);
        }
        self.dead
    }

    fn ask<T>(&mut self, request: impl FnOnce(&mut Storage) -> Result<T, Box<StorageError>>) -> Result<T, Box<StorageError>> {
        let _ = self.killed();
        request(&mut self.storage)
    }

    fn write(&mut self, record: &Record<'_>) -> Result<(), StreamError> {
        if self.killed() {
            return Err(StreamError::ReaderGone);
        }
        let event: serde_json::Value = serde_json::from_str(&record.data).unwrap();
        self.pipe.push(match (record.sourcetype, event["properties"]["Id"].as_u64()) {
            (UNPARSED, _) => Shown::Unparsed(event["body"].as_str().unwrap_or_default().to_owned()),
            (_, Some(id)) => Shown::Record(id),
            // The rest of a line whose beginning was passed on when its hour was finished may be an object by itself: the
            // record's `properties`.
            (_, None) => Shown::Unparsed(record.data.to_string()),
        });
        Ok(())
    }

    fn flush(&mut self) -> Result<bool, StreamError> {
        if self.killed() {
            return Err(StreamError::ReaderGone);
        }
        for shown in std::mem::take(&mut self.pipe) {
            self.take(shown);
        }
        Ok(true)
    }

    fn save(&mut self, position: &Position) -> Result<(), CheckpointError> {
        let bytes = checkpoint::to_json(position).unwrap();
        if self.steps_to_live == Some(0) && !self.dead && self.theatre.borrow_mut().chance.percent(50) {
            // The rename was done, and nothing after it.
            self.theatre.borrow_mut().met("killed while saving");
            self.disk = Some(bytes.clone());
            self.unsaved.clear();
        }
        if self.killed() {
            return Err(CheckpointError::Unsaved { path: "killed".into(), reason: std::io::ErrorKind::Other.into() });
        }
        self.disk = Some(bytes);
        self.unsaved.clear();
        Ok(())
    }

    fn keep(&mut self, finished: &Finished) -> Result<(), CheckpointError> {
        if self.killed() {
            return Err(CheckpointError::Unsaved { path: "killed".into(), reason: std::io::ErrorKind::Other.into() });
        }
        self.ends = Some(checkpoint::to_json(finished).unwrap());
        Ok(())
    }
}

fn storage(theatre: &Rc<RefCell<Theatre>>) -> Storage {
    let overrides = Overrides { login_url: Some("https://login.simulated"), ..Overrides::default() };
    let hosts = Hosts::new(Cloud::Commercial, overrides).unwrap();
    let account =
        token::Account { cloud: Cloud::Commercial, hosts: &hosts, tenant_id: accounts::TENANT, client_id: accounts::CLIENT_ID };
    let theatre = Rc::clone(theatre);
    let http = Http::stand_in(move |request| {
        Ok(theatre.borrow_mut().answer(&request)?.map(|body| Body::stand_in(std::io::Cursor::new(body))))
    });
    let credential = Credential::Secret(Secret::new(accounts::CLIENT_SECRET));
    let tokens = TokenSource::new(http.clone(), account, Audience::Storage, credential).unwrap();
    Storage::new(http, "https://storage.simulated", Access::Token(Box::new(tokens)))
}

/// Plays one seed to its end.
pub(super) fn run_seed(seed: u64, hazards: &mut Hazards) -> Result<(), String> {
    let mut chance = Chance::new(seed);
    let mut world = World::empty();
    accounts::furnish(&mut world, None, None);
    let account = Account {
        client_id: accounts::CLIENT_ID.to_owned(),
        secret: Some(accounts::CLIENT_SECRET.to_owned()),
        ..Account::new(accounts::ACCOUNT)
    };
    accounts::add(&mut world, &account, None);
    world.traffic.recording = simulator::traffic::Recording::Off;
    world.storage.page = 1 + usize::try_from(chance.below(6)).unwrap_or(0);
    let lookback = Duration::from_secs(600 + chance.below(6 * 3600));
    let theatre = Rc::new(RefCell::new(Theatre {
        world,
        chance,
        clock: Time::from_unix(BEGIN),
        hazards: Hazards::default(),
        quiet: false,
        lookback,
        next: 0,
        delivered: BTreeMap::new(),
        parts: BTreeMap::new(),
        broken: BTreeSet::new(),
        excused: BTreeSet::new(),
        inside: BTreeMap::new(),
        tables: 1,
        odd: Odd::default(),
        appended: BTreeMap::new(),
        dated: false,
        heard: None,
        due: BTreeMap::new(),
        failed: BTreeSet::new(),
        wrong: None,
    }));
    {
        let world = &mut theatre.borrow_mut().world;
        let line = "{\"category\":\"AdvancedHunting-T\",\"properties\":{\"Id\":1000000}}\r\n";
        world.storage.append(odd::FOREIGN, "tenantId=t/private.json", line.as_bytes(), Time::from_unix(BEGIN));
    }
    let history = theatre.borrow_mut().chance.below(30 * 3600);
    theatre.borrow_mut().pass(Duration::from_secs(history));
    let start = match theatre.borrow_mut().chance.below(3) {
        0 => Begin::Earliest,
        1 => Begin::Latest,
        _ => Begin::Back(Duration::from_secs(8 * 3600)),
    };
    let mut stage = Stage {
        storage: storage(&theatre),
        theatre,
        pipe: Vec::new(),
        unsaved: Vec::new(),
        taken: BTreeMap::new(),
        unparsed: Vec::new(),
        again: BTreeMap::new(),
        disk: None,
        ends: None,
        steps_to_live: None,
        dead: false,
    };
    let input = StorageInput {
        stream: StreamInput {
            name: "simulated".to_owned(),
            feed: Streaming::Storage,
            account: accounts::ACCOUNT.to_owned(),
            start,
            tables: Tables::All,
            shape: Shape::Incumbent,
            dedupe: Dedupe::Off,
            index: None,
            host: None,
        },
        url: "https://storage.simulated".to_owned(),
        lookback,
        budget: Duration::from_secs(30),
    };
    let result = play(&mut stage, &input);
    for (hazard, times) in &stage.theatre.borrow().hazards {
        *hazards.entry(hazard).or_default() += times;
    }
    result.map_err(|reason| format!("seed {seed}: start {start:?}, look-back {lookback:?}: {reason}"))
}

fn play(stage: &mut Stage, input: &StorageInput) -> Result<(), String> {
    let mut first = None;
    let polls = 6 + stage.theatre.borrow_mut().chance.below(8);
    for _ in 0..polls {
        {
            let mut theatre = stage.theatre.borrow_mut();
            stage.steps_to_live = theatre.chance.percent(35).then(|| theatre.chance.below(40));
            let containers: Vec<String> = TABLES[..theatre.tables].iter().map(|table| container(table)).collect();
            let theatre = &mut *theatre;
            theatre.odd.between(&mut theatre.chance, &containers);
        }
        one_poll(stage, input, &mut first)?;
        let mut theatre = stage.theatre.borrow_mut();
        let pause = if theatre.chance.percent(10) { 10 * 3600 } else { 1_800 };
        let pause = Duration::from_secs(theatre.chance.below(pause));
        theatre.pass(pause);
    }
    {
        let mut theatre = stage.theatre.borrow_mut();
        theatre.quiet = true;
        theatre.odd.end();
        theatre.world.faults.clear();
        theatre.rest();
    }
    stage.steps_to_live = None;
    let input = &StorageInput { budget: Duration::from_secs(36_000), ..input.clone() };
    for _ in 0..4 {
        one_poll(stage, input, &mut first)?;
        let end = input.lookback + HOUR + DAY;
        stage.theatre.borrow_mut().pass(end);
    }
    let theatre = stage.theatre.borrow();
    let begin = first.unwrap_or(None);
    for (id, hour) in &theatre.delivered {
        let wanted = begin.is_none_or(|begin: Hour| begin.begin().0 <= hour.0);
        let times = stage.taken.get(id).copied().unwrap_or(0);
        if wanted && times == 0 && !theatre.excused.contains(id) {
            return Err(format!("record {id} of {hour} was lost"));
        }
    }
    for (id, times) in &stage.taken {
        let allowed = 1 + stage.again.get(id).copied().unwrap_or(0);
        if *id >= 1_000_000 {
            return Err("what no table of Defender holds was read".to_owned());
        }
        if *times > allowed {
            return Err(format!("record {id} came {times} times, and {} kills explain", allowed - 1));
        }
    }
    // What never ended comes as it is; everything else is a record.
    for text in &stage.unparsed {
        let cut_by_its_blob = theatre.hazards.contains_key("made anew") || theatre.hazards.contains_key("removed");
        if theatre.broken.is_empty() && !cut_by_its_blob {
            return Err(format!("no record: {text}"));
        }
    }
    Ok(())
}

/// One process from start to end.
fn one_poll(stage: &mut Stage, input: &StorageInput, first: &mut Option<Option<Hour>>) -> Result<(), String> {
    stage.dead = false;
    let saved = stage.disk.as_deref().map(checkpoint::parse::<Position>).transpose()?;
    let kept = stage.ends.as_deref().map(checkpoint::parse::<Finished>).transpose()?;
    let Ok((mut position, mut finished)) = position(saved, kept, input, stage) else { return Ok(()) };
    let (begun, is_off, before) = {
        let theatre = stage.theatre.borrow();
        (Ticks(theatre.clock.0), theatre.odd.here != 0, (theatre.due.clone(), theatre.world.faults.happened().len()))
    };
    // The first run's clock says where it all begins; where that is wrong, the service's at the first dated answer that was saved.
    let start = position.start.min(super::super::position::start(input, begun));
    if !is_off {
        first.get_or_insert(start);
    }
    let mut reader = Reader::new(input.stream.shape, input.stream.tables.clone(), input.stream.dedupe);
    let (piece, save_every) = {
        let chance = &mut stage.theatre.borrow_mut().chance;
        (1 + chance.below(300), chance.below(600))
    };
    let quiet = stage.theatre.borrow().quiet;
    stage.theatre.borrow_mut().dated = false;
    let mut poll = Poll::new(input, (&mut position, &mut finished), &mut reader, stage);
    poll.sizes = Sizes { piece, save_every, pages: 600 };
    let end = poll.run();
    let over = poll.is_over();
    if is_off
        && stage.theatre.borrow().dated
        && let Some(saved) = stage.disk.as_deref().map(checkpoint::parse::<Position>).transpose()?
        && !saved.containers.is_empty()
    {
        first.get_or_insert(start);
    }
    if let Some(wrong) = stage.theatre.borrow_mut().wrong.take() {
        return Err(wrong);
    }
    let goes_on = match &end {
        Ok(End::Done) => true,
        // What is wrong with one container is an error only where no other one can be read.
        Err(BlobsError::Storage(error)) => error.is_about_one(),
        _ => false,
    };
    if goes_on && !over && !stage.dead {
        nothing_waits(stage, &before, first.unwrap_or(start))?;
    }
    if over {
        stage.theatre.borrow_mut().met("time was over");
    }
    match end {
        // A wish of before is obeyed to its end.
        Ok(End::Done | End::NotBefore(_)) => Ok(()),
        other if quiet => Err(format!("without any fault it ended {other:?}")),
        _ => Ok(()),
    }
}

/// One bad thing stops only itself: what was there before the poll, and is in a blob and a container that are well, was read.
fn nothing_waits(stage: &Stage, (due, faults): &(BTreeMap<Id, Due>, usize), begin: Option<Hour>) -> Result<(), String> {
    let mut theatre = stage.theatre.borrow_mut();
    if theatre.world.faults.happened().len() > *faults || theatre.odd.flickered {
        return Ok(());
    }
    for (id, (place, hour)) in due {
        let is_wanted = begin.is_none_or(|begin| begin.begin().0 <= hour.0) && !theatre.excused.contains(id);
        if stage.taken.contains_key(id) {
            theatre.due.remove(id);
        } else if is_wanted && theatre.odd.is_well(place) && !theatre.failed.contains(place) {
            return Err(format!("record {id} of {hour} in {} waits though nothing keeps it", place.0));
        }
    }
    Ok(())
}
