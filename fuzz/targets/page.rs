//! A list answer. Its rows are the judge's, who reads it slowly and at once, wherever the window ends; an answer that the judge
//! refuses is refused. Then its rows through every feed and form into the document splunkd reads: each event is one line of
//! JSON that still names its object, and the document holds no character that XML forbids. And through the cursor: what was
//! emitted and remembered is not emitted again.

#![no_main]

#[path = "../../src/microsoft/page/judge.rs"]
mod judge;

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use ta_defender::cursor::{Answer, Cursor};
use ta_defender::feeds::{Emission, Evidence, FEEDS, Form, IncludeAlerts, Reading, Row, UNDATED};
use ta_defender::json::index::Index;
use ta_defender::microsoft::cloud::Resource;
use ta_defender::microsoft::object::names;
use ta_defender::microsoft::page::{MAX_DEPTH, PageReader};
use ta_defender::splunk::event::{Event, EventStream};
use ta_defender::time::Ticks;
use ta_defender::version::{AlertMemory, Version};

/// 2026-03-01.
const NOW: Ticks = Ticks(17_723_232_000_000_000);
const LOOKBACK: Duration = Duration::from_secs(900);

/// The rows, read through a window of this size, and whether more are announced.
fn rows(body: &[u8], window: usize) -> Option<(Vec<String>, bool)> {
    let mut page = PageReader::with_window(body, window);
    let mut rows = Vec::new();
    while let Some(row) = page.next_row().ok()? {
        rows.push(row.raw().to_owned());
    }
    Some((rows, page.has_next_link()))
}

fuzz_target!(|data: &[u8]| {
    let read = rows(data, 128 << 10);
    let judged = judge::verdict(data);
    let is_deep = || data.iter().filter(|b| matches!(b, b'[' | b'{')).count() > MAX_DEPTH;
    let agree = read.as_ref().map(|(rows, next)| (rows.iter().map(String::as_str).collect(), *next))
        == judged.map(|verdict| (verdict.rows, verdict.has_next_link));
    assert!(agree || is_deep(), "the judge reads something else");
    let window = data.iter().fold(1, |sum, b| sum + usize::from(*b)) % 64 + 1;
    assert_eq!(rows(data, window), read, "through a window of {window} bytes");
    let Some((texts, has_next_link)) = read else { return };
    let mut indexes: Vec<Index> = texts.iter().map(|_| Index::default()).collect();
    let values: Vec<_> = texts.iter().zip(&mut indexes).map(|(text, index)| index.of(text).expect("it was read")).collect();
    for resource in Resource::ALL {
        let names = names(resource);
        let rows: Vec<Row<'_>> = values.iter().map(|value| Row::read(*value, names.identity, names.place())).collect();
        for form in [Form::Compact, Form::Verbatim] {
            for feed in FEEDS.iter().filter(|feed| feed.what == resource.what()) {
                let memory = AlertMemory::default();
                let reading = Reading {
                    names,
                    form,
                    include_alerts: IncludeAlerts::Changed,
                    alerts: &memory,
                    is_new: true,
                    is_owed: false,
                    is_stray: false,
                    now: NOW,
                    evidence: Evidence::Both,
                };
                let mut emission = Emission::default();
                let mut stream = EventStream::new(Vec::new());
                for row in &rows {
                    let first = emission.drafts.len();
                    (feed.events)(row, &reading, &mut emission);
                    let own = &emission.drafts[first].data;
                    let mut index = Index::default();
                    let again = Row::read(index.of(own).expect("an event is JSON"), names.identity, names.place());
                    if row.is_dated() {
                        assert_eq!(again.version, row.version, "an event names its object: {own}");
                    }
                }
                for draft in &emission.drafts {
                    serde_json::from_str::<&RawValue>(&draft.data).expect("an event is JSON");
                    assert!(!draft.data.contains(['\n', '\r']), "an event is one line");
                    assert!(draft.time != UNDATED);
                    let (sourcetype, data) = (draft.sourcetype, draft.data.as_str());
                    let event = Event { time: draft.time, source: "s", sourcetype, index: None, host: None, data };
                    stream.write(&event).expect("a vector takes all");
                }
                stream.close().expect("a vector takes all");
            }
        }
        let versions: Vec<Version> = rows.iter().map(|row| row.version).collect();
        collected(&versions, has_next_link);
    }
});

/// Two looks at these rows.
fn collected(rows: &[Version], next_link: bool) {
    let mut cursor = Cursor::begin(NOW.minus(Duration::from_secs(86_400)), NOW, LOOKBACK);
    cursor.open_poll(LOOKBACK);
    for asked in [2, 1000] {
        let Some(ask) = cursor.next_ask() else { return };
        let answer = Answer { rows, asked, next_link, ordered: true, looked: Some(NOW) };
        let batch = cursor.take(ask.clone(), &answer);
        let emitted: Vec<Version> = batch.emit.iter().map(|n| rows[*n]).collect();
        let before = cursor.settled();
        cursor.commit(batch.proof);
        assert!(cursor.settled() >= before, "settled never goes back");
        let again = cursor.take(ask, &answer);
        assert!(again.emit.iter().all(|n| !emitted.contains(&rows[*n]) || rows[*n].updated < cursor.settled()));
    }
}
