//! What reading a month costs: requests, memory, and how long news wait behind it. The real loop on a service without
//! sockets, whose objects are little more than an id and a time.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io;
use std::time::{Duration, Instant};

use simulator::chance::Chance;

use crate::checkpoint::{self, Checkpoint, CheckpointError};
use crate::collect::{CollectError, End, Outside, Poll, position};
use crate::feeds::{self, Draft, Form, IncludeAlerts};
use crate::input::{Input, Start};
use crate::late::file::{Head, Held};
use crate::microsoft::api_error::{ApiError, Asked, Failure};
use crate::microsoft::client::{Incoming, Reply};
use crate::microsoft::cloud::{Api, Resource, What};
use crate::microsoft::object::names;
use crate::splunk::event::StreamError;
use crate::time::{PER_SECOND, Ticks};
use crate::version::{AlertMemory, Version};

/// 2026-03-01T00:00:00Z.
const NOW: Ticks = Ticks(1_772_323_200 * PER_SECOND);
/// The history that is read.
const DAYS: u64 = 30;
/// Alerts in it.
const ALERTS: usize = 200_000;
/// What a checkpoint may take, in bytes.
const CHECKPOINT_LIMIT: usize = 4_000_000;
/// How long one answer takes.
const ANSWER_TIME: Duration = Duration::from_millis(800);
/// From the start of one run to that of the next.
const INTERVAL: Duration = Duration::from_secs(60);

/// How the service sorts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Served {
    /// As asked: oldest update first.
    Sorted,
    /// It refuses to; the newest update comes first.
    NewestFirst,
    /// It refuses to; the newest object comes first, whatever its update time.
    ByCreation,
}

/// How the objects lie in the month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spread {
    /// Evenly.
    Even,
    /// Eight hours of five days a week, half of all in one bad afternoon.
    Storm,
    /// In bulk changes that give hundreds one time.
    Bulk,
}

struct Object {
    updated: Ticks,
    created: Ticks,
    json: String,
}

/// Service, splunkd and disk, on one clock.
struct Bench {
    resource: Resource,
    served: Served,
    /// By update time.
    objects: Vec<Object>,
    clock: Cell<Ticks>,
    /// How often each version came out: sourcetype, id, time.
    out: HashMap<(&'static str, String, Ticks), u32>,
    disk: Option<Checkpoint>,
    memory: Held,
    saves: u32,
    /// The most versions and alerts that a position remembered, and the most bytes it took.
    most_remembered: usize,
    most_alerts: usize,
    largest: usize,
    /// Writes until the process is killed.
    life: Option<u32>,
    /// How long one answer takes.
    answer_time: Duration,
}

impl Bench {
    fn spend(&self, span: Duration) {
        self.clock.set(self.clock.get().plus(span));
    }

    /// The rows of an answer, as the service sorts them.
    fn rows(&self, path: &str) -> (Vec<&Object>, bool) {
        let after = |name: &str| path.split_once(name).and_then(|(_, text)| text.split(['%', '&']).next());
        let edge = |name: &str| after(name).and_then(Ticks::parse);
        let number = |name: &str| after(name).and_then(|text| text.parse::<usize>().ok());
        let begins = |at: Ticks| self.objects.partition_point(|object| object.updated < at);
        let from = edge("%20ge%20").map_or(0, begins);
        let to = edge("%20lt%20").map_or(self.objects.len(), begins);
        let mut all: Vec<&Object> = self.objects[from..to.max(from)].iter().collect();
        match self.served {
            Served::Sorted => {}
            Served::NewestFirst => all.reverse(),
            Served::ByCreation => all.sort_by_key(|object| std::cmp::Reverse(object.created)),
        }
        let (skip, top) = (number("$skip=").unwrap_or(0), number("$top=").unwrap_or(0));
        let more = all.len() > skip + top;
        (all.into_iter().skip(skip).take(top).collect(), more)
    }
}

impl Outside for Bench {
    fn now(&self) -> Ticks {
        self.clock.get()
    }

    fn pause(&self, span: Duration) -> bool {
        self.spend(span);
        false
    }

    fn get(&mut self, path: &str) -> Result<Reply<Incoming>, Box<ApiError>> {
        self.spend(self.answer_time / 2);
        if path.contains("$orderby=") && self.served != Served::Sorted {
            let asked = Asked { api: self.resource.api(), method: &http::Method::GET, path: "" };
            return Err(Box::new(asked.failed(Failure::BadRequest)));
        }
        let (rows, more) = self.rows(path);
        let texts: Vec<&str> = rows.iter().map(|row| row.json.as_str()).collect();
        let next = if more { ",\"@odata.nextLink\":\"https://next\"" } else { "" };
        let body = format!("{{\"value\":[{}]{next}}}", texts.join(",")).into_bytes();
        let service_time = Some(Ticks(self.clock.get().0 / PER_SECOND * PER_SECOND));
        self.spend(self.answer_time / 2);
        let body = Incoming::stand_in(body);
        Ok(Reply { body, service_time, request_id: None, status: 200, partial: None })
    }

    fn write(&mut self, draft: &Draft) -> Result<(), StreamError> {
        if let Some(life) = &mut self.life {
            if *life == 0 {
                return Err(StreamError::ReaderGone);
            }
            *life -= 1;
        }
        let (_, id) = draft.data.split_once("id\":\"").unwrap_or_default();
        let (id, _) = id.split_once('"').unwrap_or_default();
        *self.out.entry((draft.sourcetype, id.to_owned(), draft.time)).or_default() += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<bool, StreamError> {
        Ok(true)
    }

    fn save(&mut self, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
        let (versions, alerts) = (checkpoint.cursor.remembered(), checkpoint.cursor.alerts.len());
        // Its size follows from what it remembers; writing millions of bytes out each time would take a minute.
        if versions > self.most_remembered
            || alerts > self.most_alerts + ALERTS / 50
            || alerts == ALERTS
            || self.saves.is_multiple_of(32)
        {
            self.largest = self.largest.max(checkpoint::to_json(checkpoint).unwrap_or_default().len());
            self.most_alerts = self.most_alerts.max(alerts);
        }
        self.most_remembered = self.most_remembered.max(versions);
        self.saves += 1;
        self.disk = Some(checkpoint.clone());
        Ok(())
    }

    fn memory(&mut self) -> io::Result<Option<Head>> {
        Ok(self.memory.head())
    }

    fn recall(&mut self) -> io::Result<Vec<Version>> {
        self.memory.read()
    }

    fn remember(&mut self, versions: &[Version]) -> io::Result<u64> {
        self.memory.append(versions)
    }

    fn begin_memory(&mut self, name: u64, versions: &[Version]) -> io::Result<()> {
        self.memory.replace(name, versions);
        Ok(())
    }
}

/// Update times of so many objects, ascending.
fn times(spread: Spread, count: usize, chance: &mut Chance) -> Vec<Ticks> {
    const DAY: u64 = 86_400;
    let ticks = |seconds: u64| i64::try_from(seconds).unwrap_or(0) * PER_SECOND;
    let begin = NOW.minus(Duration::from_secs(DAYS * DAY));
    let mut bulk = begin;
    let mut times: Vec<Ticks> = (0..count)
        .map(|n| {
            let within = i64::try_from(chance.below(10_000_000)).unwrap_or(0);
            match spread {
                Spread::Even => Ticks(begin.0 + ticks(chance.below(DAYS * DAY)) + within),
                Spread::Storm if n % 2 == 0 => Ticks(begin.0 + ticks(17 * DAY + 13 * 3600 + chance.below(3 * 3600)) + within),
                Spread::Storm => {
                    let day = chance.below(22) / 5 * 7 + chance.below(5);
                    Ticks(begin.0 + ticks(day.min(DAYS - 1) * DAY + 8 * 3600 + chance.below(8 * 3600)) + within)
                }
                Spread::Bulk => {
                    if n % 300 == 0 {
                        bulk = Ticks(begin.0 + ticks(chance.below(DAYS * DAY)) + within);
                    }
                    bulk
                }
            }
        })
        .collect();
    times.sort_unstable();
    times
}

/// An object of the resource, with so many alerts inside.
fn object(resource: Resource, n: usize, updated: Ticks, chance: &mut Chance, alerts: usize) -> Object {
    let names = names(resource);
    // Most change within hours of being made, some weeks later.
    let age = if chance.percent(80) { chance.below(7_200) } else { chance.below(20 * 86_400) };
    let identity = names.identity;
    let mut json = format!("{{\"{}\":\"{n}\",\"{}\":\"{updated}\"", identity.id, identity.updated);
    if let Some(inner) = names.alert {
        let _ = write!(json, ",\"{}\":[", names.alerts);
        for k in 0..alerts {
            let comma = if k > 0 { "," } else { "" };
            let _ = write!(json, "{comma}{{\"{}\":\"{n}-{k}\",\"{}\":\"{updated}\"}}", inner.id, inner.updated);
        }
        json.push(']');
    }
    json.push('}');
    Object { updated, created: updated.minus(Duration::from_secs(age)), json }
}

fn input(resource: Resource) -> Input {
    let feed = if resource.what() == What::Incidents { "incidents" } else { "alerts" };
    Input {
        name: "month".to_owned(),
        feed: feeds::find(feed).unwrap_or(feeds::FEEDS[0]),
        account: "a".to_owned(),
        api: if resource.api() == Api::Graph { "graph".to_owned() } else { "defender".to_owned() },
        resource,
        start: Start::Back(Duration::from_secs(DAYS * 86_400)),
        lookback: Duration::from_secs(900),
        filter: None,
        include_alerts: IncludeAlerts::Changed,
        form: Form::Compact,
        evidence: crate::feeds::Evidence::Inline,
        page_size: resource.page_size().default,
        index: None,
        host: None,
        budget: INTERVAL,
    }
}

fn bench(resource: Resource, served: Served, spread: Spread, objects: usize, alerts: usize) -> Bench {
    let mut chance = Chance::new(7);
    let times = times(spread, objects, &mut chance);
    let objects = times.into_iter().enumerate().map(|(n, updated)| object(resource, n, updated, &mut chance, alerts)).collect();
    Bench {
        resource,
        served,
        objects,
        clock: Cell::new(NOW),
        out: HashMap::new(),
        disk: None,
        memory: Held::default(),
        saves: 0,
        most_remembered: 0,
        most_alerts: 0,
        largest: 0,
        life: None,
        answer_time: ANSWER_TIME,
    }
}

/// What a month cost.
#[derive(Debug, Default)]
struct Cost {
    requests: u32,
    polls: usize,
    repeats: usize,
    kills: u32,
}

/// Runs polls until no history is left. With `trouble`, the second poll is killed in the middle of an answer, and a new
/// object comes before each poll, which that poll has to bring.
fn read_month(bench: &mut Bench, input: &Input, trouble: bool) -> Cost {
    let mut cost = Cost::default();
    let mut chance = Chance::new(8);
    for n in 0..500 {
        let begun = bench.clock.get();
        let news = 10_000_000 + n;
        if trouble && n > 0 {
            let updated = begun.minus(Duration::from_secs(5));
            let new = object(input.resource, news, updated, &mut chance, 0);
            bench.objects.push(new);
        }
        bench.life = (trouble && n == 1).then(|| input.page_size * 5 + 7);
        let saved = bench.disk.as_ref().map(|saved| {
            let bytes = checkpoint::to_json(saved).unwrap_or_else(|error| panic!("{error}"));
            checkpoint::parse::<Checkpoint>(&bytes).unwrap_or_else(|reason| panic!("{reason}"))
        });
        let left_before = saved.as_ref().map(|saved| saved.cursor.history_left());
        let mut checkpoint = position(saved, input, "t", bench).unwrap_or_else(|error| panic!("{error}"));
        assert!(left_before.is_none_or(|left| left == checkpoint.cursor.history_left()), "it goes on where it was");
        let mut poll = Poll::new(input, &mut checkpoint, bench);
        let end = poll.run();
        (cost.requests, cost.repeats, cost.polls) =
            (cost.requests + poll.tally.requests, cost.repeats + poll.tally.repeats, n + 1);
        if bench.life.take() == Some(0) {
            cost.kills += 1;
            assert!(matches!(end, Err(CollectError::Stream(_))), "{end:?}");
        } else {
            assert!(matches!(end, Ok(End::Done)), "{end:?}");
            let came = |(_, id, _): &(&str, String, Ticks)| *id == news.to_string();
            assert!(!trouble || n == 0 || bench.out.keys().any(came), "poll {n} did not bring the news");
            if checkpoint.cursor.history_left().is_zero() {
                assert_eq!(cost.kills, u32::from(trouble));
                return cost;
            }
        }
        bench.clock.set(bench.clock.get().max(begun.plus(INTERVAL)));
    }
    panic!("the history is never read to its end: {cost:?}");
}

/// The least possible number of requests: every page full.
fn least(bench: &Bench, page: u32) -> u32 {
    u32::try_from(bench.objects.len()).unwrap_or(u32::MAX).div_ceil(page)
}

fn report(what: &str, bench: &Bench, cost: &Cost, page: u32, begun: Instant) -> f64 {
    let factor = f64::from(cost.requests) / f64::from(least(bench, page));
    say(&format!(
        "{what}: {} requests, {factor:.2} x the least; {} polls, {} rows again, {} versions remembered at most, \
         checkpoint {} kB at most ({} saves), {:.1} s",
        cost.requests,
        cost.polls,
        cost.repeats,
        bench.most_remembered,
        bench.largest / 1000,
        bench.saves,
        begun.elapsed().as_secs_f64()
    ));
    factor
}

#[allow(clippy::print_stdout)]
fn say(text: &str) {
    println!("{text}");
}

#[test]
fn a_month_of_alerts_is_read_with_nearly_full_pages() {
    let mut too_many = Vec::new();
    for (resource, served, most) in [
        (Resource::GraphAlerts, Served::Sorted, 1.5),
        (Resource::GraphAlerts, Served::NewestFirst, 2.5),
        (Resource::GraphAlerts, Served::ByCreation, 2.5),
        (Resource::EndpointAlerts, Served::NewestFirst, 2.5),
    ] {
        for spread in [Spread::Even, Spread::Storm, Spread::Bulk] {
            let begun = Instant::now();
            let input = input(resource);
            let mut bench = bench(resource, served, spread, ALERTS, 0);
            let cost = read_month(&mut bench, &input, true);
            let what = format!("{resource:?} {served:?} {spread:?}");
            let factor = report(&what, &bench, &cost, input.page_size, begun);
            if factor > most || bench.largest >= CHECKPOINT_LIMIT {
                too_many.push(what);
            }
            assert_eq!(bench.out.len(), bench.objects.len(), "every object came");
            let again: u32 = bench.out.values().map(|times| times - 1).sum();
            assert!(again <= input.page_size, "one kill repeats at most one answer: {again}");
        }
    }
    assert_eq!(too_many, Vec::<String>::new());
}

#[test]
fn a_month_of_incidents_remembers_their_alerts() {
    let mut too_many = Vec::new();
    for (resource, served, most) in
        [(Resource::GraphIncidents, Served::Sorted, 1.5), (Resource::GraphIncidents, Served::ByCreation, 2.5)]
    {
        let begun = Instant::now();
        let input = input(resource);
        let mut bench = bench(resource, served, Spread::Storm, ALERTS / 25, 25);
        let cost = read_month(&mut bench, &input, true);
        let what = format!("{resource:?} {served:?}");
        let factor = report(&what, &bench, &cost, input.page_size, begun);
        if factor > most || bench.largest >= CHECKPOINT_LIMIT {
            too_many.push(what);
        }
        let mut by_type: BTreeMap<&str, usize> = BTreeMap::new();
        for (sourcetype, ..) in bench.out.keys() {
            *by_type.entry(sourcetype).or_default() += 1;
        }
        assert_eq!(by_type.get("ms365:defender:incident:alerts"), Some(&ALERTS));
        let again: u32 = bench.out.values().map(|times| times - 1).sum();
        assert!(again <= input.page_size * 26, "one kill repeats at most one answer: {again}");
        assert_eq!(AlertMemory::CAPACITY, ALERTS);
    }
    assert_eq!(too_many, Vec::<String>::new());
}

/// A proxy that lets each answer drip as slowly as a request may take: no poll goes on for ever, and each gets on.
#[test]
fn a_service_that_is_slow_for_ever_ends_each_poll() {
    for served in [Served::Sorted, Served::NewestFirst] {
        let mut bench = bench(Resource::GraphAlerts, served, Spread::Even, 4_000, 0);
        bench.answer_time = Duration::from_secs(55);
        let input = Input { page_size: 50, ..input(Resource::GraphAlerts) };
        let mut left = Duration::MAX;
        for n in 0..5 {
            let begun = bench.clock.get();
            let saved = bench.disk.take();
            let mut checkpoint = position(saved, &input, "t", &mut bench).unwrap_or_else(|error| panic!("{error}"));
            let end = Poll::new(&input, &mut checkpoint, &mut bench).run();
            assert!(matches!(end, Ok(End::Done)), "{end:?}");
            let took = bench.clock.get().since(begun);
            let most = crate::retry::limit(begun, input.budget).since(begun) + 2 * bench.answer_time;
            assert!(took <= most, "poll {n} took {took:?}");
            let now_left = checkpoint.cursor.history_left();
            assert!(now_left < left, "poll {n} of {served:?} got on: {now_left:?}");
            left = now_left;
            bench.disk = Some(checkpoint);
        }
    }
}
