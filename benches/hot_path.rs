//! The hot path in memory, stage by stage: what an object costs between the answer's bytes and splunkd's.
//!
//! Throughput is in bytes of Microsoft's JSON, so that stages add up. The pages are the stand-in's: 1,000 alerts of 3.4 KB, and 50
//! incidents with their alerts.

// What criterion's macros make.
#![allow(missing_docs)]

use std::hint::black_box;
use std::io::Read;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flate2::read::GzDecoder;
use simulator::Time;
use simulator::preload::{self, Kind, Plan, Preload};
use ta_defender::feeds::{self, Emission, Evidence, Feed, Form, IncludeAlerts, Reading, Row};
use ta_defender::json::index::Index;
use ta_defender::json::value::Value;
use ta_defender::microsoft::object::names;
use ta_defender::microsoft::page::PageReader;
use ta_defender::microsoft::resource::Resource;
use ta_defender::splunk::event::{Event, EventStream};
use ta_defender::time::Ticks;
use ta_defender::version::AlertMemory;

/// One answer, and how its rows are read.
struct Page {
    resource: Resource,
    feed: &'static Feed,
    gzip: Vec<u8>,
    body: Vec<u8>,
    rows: Vec<String>,
    memory: AlertMemory,
}

impl Page {
    fn of(kind: Kind) -> Self {
        let (resource, name, rows) = match kind {
            Kind::Alerts => (Resource::GraphAlerts, "alerts", 1000),
            Kind::Incidents => (Resource::GraphIncidents, "incidents", 50),
        };
        let plan = Plan { kind, evidence: preload::Evidence::Some, rows, pages: 2 };
        let preload = Preload::new(plan, Time::from_unix(1_800_000_000), "https://localhost");
        let gzip = preload.gzip(0).to_vec();
        let (body, rows) = (inflate(&gzip), preload.page(0).to_vec());
        let feed = feeds::FEEDS.into_iter().find(|feed| feed.name == name).expect("a feed");
        Page { resource, feed, gzip, body, rows, memory: AlertMemory::default() }
    }

    /// Adds an object's events.
    fn shape(&self, value: Value<'_>, form: Form, emission: &mut Emission) {
        let names = names(self.resource);
        let reading = Reading {
            names,
            form,
            include_alerts: IncludeAlerts::Changed,
            evidence: Evidence::Inline,
            alerts: &self.memory,
            is_new: true,
            is_owed: false,
            is_stray: false,
            now: Ticks(0),
        };
        (self.feed.events)(&Row::read(value, names.identity, names.place()), &reading, emission);
    }

    /// All of a body as events, written to nowhere.
    fn write(&self, body: &[u8], form: Form) -> usize {
        let mut stream = EventStream::new(std::io::sink());
        let (mut page, mut emission, mut count) = (PageReader::new(body), Emission::default(), 0);
        while let Some(row) = page.next_row().expect("a good page") {
            self.shape(row, form, &mut emission);
            for draft in emission.drafts.drain(..) {
                stream.write(&event(draft.time, draft.sourcetype, &draft.data)).expect("nowhere takes everything");
                count += 1;
            }
        }
        count
    }
}

fn event<'a>(time: Ticks, sourcetype: &'a str, data: &'a str) -> Event<'a> {
    let source = "defender:alerts:b3c1b5fc-828c-45fa-a1e1-10d74f6d6e9c";
    Event { time, source, sourcetype, index: Some("main"), host: None, data }
}

fn inflate(gzip: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut body).expect("a good body");
    body
}

fn scan(body: &[u8]) -> usize {
    let (mut page, mut rows) = (PageReader::new(body), 0);
    while page.next_row().expect("a good page").is_some() {
        rows += 1;
    }
    rows
}

fn stages(c: &mut Criterion) {
    let page = Page::of(Kind::Alerts);
    let mut group = c.benchmark_group("alerts");
    group.throughput(Throughput::Bytes(page.body.len() as u64));
    group.bench_function("inflate", |b| b.iter(|| inflate(black_box(&page.gzip)).len()));
    group.bench_function("scan", |b| b.iter(|| scan(black_box(&page.body))));
    let mut indexes: Vec<Index> = page.rows.iter().map(|_| Index::default()).collect();
    let values: Vec<Value<'_>> =
        indexes.iter_mut().zip(&page.rows).map(|(index, row)| index.of(row).expect("a good row")).collect();
    for (name, form) in [("shape verbatim", Form::Verbatim), ("shape compact", Form::Compact)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut emission = Emission::default();
                for value in &values {
                    page.shape(*black_box(value), form, &mut emission);
                    emission.drafts.clear();
                }
            });
        });
    }
    group.bench_function("escape", |b| {
        b.iter(|| {
            let mut stream = EventStream::new(std::io::sink());
            for row in &page.rows {
                stream.write(&event(Ticks(0), feeds::ALERT, black_box(row))).expect("nowhere takes everything");
            }
        });
    });
    group.finish();

    // As the services spell them, with none to seven digits.
    let times: Vec<String> = (0..1000).map(|n: i64| Ticks(17_957_000_000_000_000 + n * n * 7_919).to_string()).collect();
    let mut group = c.benchmark_group("times");
    group.throughput(Throughput::Elements(times.len() as u64));
    group.bench_function("parse", |b| b.iter(|| times.iter().filter_map(|text| Ticks::parse(black_box(text))).count()));
    group.finish();
}

fn pages(c: &mut Criterion) {
    for kind in [Kind::Alerts, Kind::Incidents] {
        let page = Page::of(kind);
        let mut group = c.benchmark_group(format!("whole page of {}", page.feed.name));
        group.throughput(Throughput::Bytes(page.body.len() as u64));
        for (name, form) in [("verbatim", Form::Verbatim), ("compact", Form::Compact)] {
            group.bench_function(name, |b| b.iter(|| page.write(black_box(&page.body), form)));
            group.bench_function(format!("{name}, inflated first"), |b| {
                b.iter(|| page.write(&inflate(black_box(&page.gzip)), form));
            });
        }
        group.finish();
    }
}

criterion_group!(hot_path, stages, pages);
criterion_main!(hot_path);
