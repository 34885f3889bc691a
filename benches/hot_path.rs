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
use ta_defender::feeds::{self, Emission, Evidence, Form, IncludeAlerts, Reading, Row};
use ta_defender::microsoft::object::names;
use ta_defender::microsoft::page;
use ta_defender::microsoft::resource::Resource;
use ta_defender::splunk::event::{Event, EventStream};
use ta_defender::time::Ticks;
use ta_defender::version::AlertMemory;

/// One answer, inflated.
struct Page {
    resource: Resource,
    feed: &'static str,
    gzip: Vec<u8>,
    body: Vec<u8>,
}

impl Page {
    fn of(kind: Kind) -> Self {
        let (resource, feed, rows) = match kind {
            Kind::Alerts => (Resource::GraphAlerts, "alerts", 1000),
            Kind::Incidents => (Resource::GraphIncidents, "incidents", 50),
        };
        let plan = Plan { kind, evidence: preload::Evidence::Some, rows, pages: 2 };
        let gzip = Preload::new(plan, Time::from_unix(1_800_000_000), "https://localhost").gzip(0).to_vec();
        let body = inflate(&gzip);
        Page { resource, feed, gzip, body }
    }

    /// All objects as events, written to nowhere.
    fn write(&self, body: &[u8], form: Form) -> usize {
        let (names, memory) = (names(self.resource), AlertMemory::default());
        let Some(feed) = feeds::find(self.feed) else { return 0 };
        let mut stream = EventStream::new(std::io::sink());
        let mut emission = Emission::default();
        let page = page::rows(body).expect("a good page");
        for raw in &page.rows {
            let reading = Reading {
                names,
                form,
                include_alerts: IncludeAlerts::Changed,
                evidence: Evidence::Inline,
                alerts: &memory,
                is_new: true,
                now: Ticks(0),
            };
            (feed.events)(&Row::read(raw, names.identity), &reading, &mut emission);
            for draft in emission.drafts.drain(..) {
                stream.write(&event(draft.time, draft.sourcetype, &draft.data)).expect("nowhere takes everything");
            }
        }
        page.rows.len()
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

fn stages(c: &mut Criterion) {
    let alerts = Page::of(Kind::Alerts);
    let rows = page::rows(&alerts.body).expect("a good page").rows;
    let names = names(alerts.resource);

    let mut group = c.benchmark_group("alerts");
    group.throughput(Throughput::Bytes(alerts.body.len() as u64));
    group.bench_function("inflate", |b| b.iter(|| inflate(black_box(&alerts.gzip)).len()));
    group.bench_function("scan", |b| b.iter(|| page::rows(black_box(&alerts.body)).expect("a good page").rows.len()));
    for (name, form) in [("shape verbatim", Form::Verbatim), ("shape compact", Form::Compact)] {
        let (memory, feed) = (AlertMemory::default(), feeds::find("alerts").expect("the feed"));
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut emission = Emission::default();
                for raw in &rows {
                    let reading = Reading {
                        names,
                        form,
                        include_alerts: IncludeAlerts::Changed,
                        evidence: Evidence::Inline,
                        alerts: &memory,
                        is_new: true,
                        now: Ticks(0),
                    };
                    (feed.events)(&Row::read(black_box(raw), names.identity), &reading, &mut emission);
                }
                emission.drafts.len()
            });
        });
    }
    group.bench_function("escape", |b| {
        b.iter(|| {
            let mut stream = EventStream::new(std::io::sink());
            for raw in &rows {
                stream.write(&event(Ticks(0), feeds::ALERT, black_box(raw.get()))).expect("nowhere takes everything");
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
        let mut group = c.benchmark_group(format!("whole page of {}", page.feed));
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
