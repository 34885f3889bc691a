//! What splunkd has indexed: the events of inputs, and its own log lines in `_internal`.

use std::collections::BTreeMap;

use crate::run::stream::Event;
use crate::splunkd::Stanza;
use crate::time::Time;

/// One indexed event: its fields, `_raw`, `_time` (epoch seconds) and `index` among them.
pub type Record = BTreeMap<String, String>;

/// More than a demonstration or a test makes; older ones go first.
const MOST: usize = 100_000;

/// All indexed events, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    records: Vec<Record>,
}

impl Journal {
    /// Everything there is.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// A line that an input wrote to standard error: the first word is the level, as in splunkd.log.
    pub fn log(&mut self, line: &str, program: &str, at: Time) {
        let (level, text) = match line.split_once(' ') {
            Some((level @ ("DEBUG" | "INFO" | "WARN" | "ERROR" | "FATAL"), text)) => (level, text),
            _ => ("ERROR", line),
        };
        let raw = format!("{at} {level:<5} ExecProcessor [4711 ExecProcessor] - message from \"{program}\" {text}");
        self.add(
            [
                ("_time", epoch(at)),
                ("index", "_internal".to_string()),
                ("sourcetype", "splunkd".to_string()),
                ("source", "/opt/splunk/var/log/splunk/splunkd.log".to_string()),
                ("component", "ExecProcessor".to_string()),
                ("log_level", level.to_string()),
                ("_raw", raw),
            ]
            .into(),
        );
    }

    /// An event that an input wrote to standard output.
    pub fn index(&mut self, event: &Event, params: &Stanza) {
        let index = params.get("index").filter(|index| !index.is_empty() && *index != "default");
        self.add(
            [
                ("_time", event.time.clone()),
                ("index", index.map_or("main", String::as_str).to_string()),
                ("sourcetype", event.sourcetype.clone()),
                ("source", event.source.clone()),
                ("_raw", event.data.clone()),
            ]
            .into(),
        );
    }

    fn add(&mut self, record: BTreeMap<&str, String>) {
        if self.records.len() == MOST {
            self.records.drain(..MOST / 10);
        }
        self.records.push(record.into_iter().map(|(name, value)| (name.to_string(), value)).collect());
    }
}

/// Epoch seconds with milliseconds.
fn epoch(at: Time) -> String {
    let millis = at.0 / 10_000;
    format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000))
}
