//! A list answer, through every feed and form into the document splunkd reads: each event is one line of JSON that still
//! names its object, and the document holds no character that XML forbids. And through the cursor: what was emitted and
//! remembered is not emitted again.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use ta_defender::cursor::{Answer, Cursor};
use ta_defender::feeds::{Emission, Evidence, Form, IncludeAlerts, Reading, Row, FEEDS, UNDATED};
use ta_defender::microsoft::cloud::Resource;
use ta_defender::microsoft::object::names;
use ta_defender::microsoft::page;
use ta_defender::splunk::event::{Event, EventStream};
use ta_defender::time::Ticks;
use ta_defender::version::{AlertMemory, Version};

/// 2026-03-01.
const NOW: Ticks = Ticks(17_723_232_000_000_000);
const LOOKBACK: Duration = Duration::from_secs(900);

fuzz_target!(|data: &[u8]| {
    let Ok(page) = page::rows(data) else { return };
    for resource in Resource::ALL {
        let names = names(resource);
        let rows: Vec<Row<'_>> = page.rows.iter().map(|raw| Row::read(raw, names.identity)).collect();
        for form in [Form::Compact, Form::Verbatim] {
            for feed in FEEDS.iter().filter(|feed| feed.what == resource.what()) {
                let memory = AlertMemory::default();
                let reading = Reading {
                    names,
                    form,
                    include_alerts: IncludeAlerts::Changed,
                    alerts: &memory,
                    is_new: true,
                    now: NOW,
                    evidence: Evidence::Both,
                };
                let mut emission = Emission::default();
                let mut stream = EventStream::new(Vec::new());
                for row in &rows {
                    let first = emission.drafts.len();
                    (feed.events)(row, &reading, &mut emission);
                    let own = &emission.drafts[first].data;
                    let again: &RawValue = serde_json::from_str(own).expect("an event is JSON");
                    let again = Row::read(again, names.identity);
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
        collected(&versions, page.has_next_link);
    }
});

/// Two looks at these rows.
fn collected(rows: &[Version], next_link: bool) {
    let mut cursor = Cursor::begin(NOW.minus(Duration::from_secs(86_400)), NOW, LOOKBACK);
    cursor.open_poll(LOOKBACK);
    for asked in [2, 1000] {
        let Some(ask) = cursor.next_ask() else { return };
        let answer = Answer { rows, asked, next_link, ordered: true, service_time: Some(NOW) };
        let batch = cursor.take(ask.clone(), &answer);
        let emitted: Vec<Version> = batch.emit.iter().map(|n| rows[*n]).collect();
        let before = cursor.settled();
        cursor.commit(batch.proof);
        assert!(cursor.settled() >= before, "settled never goes back");
        let again = cursor.take(ask, &answer);
        assert!(again.emit.iter().all(|n| !emitted.contains(&rows[*n]) || rows[*n].updated < cursor.settled()));
    }
}
