//! Sample files served in place of the objects: their rows go out byte for byte.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::faults::Route;
use crate::filter;
use crate::odata::{self, Options, Row};
use crate::time::Time;

/// A row of a file.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The row's id.
    pub id: String,
    /// Its update time; a row without one stands in every window.
    pub updated: Option<Time>,
    /// Its text.
    pub text: String,
    fields: Value,
}

impl Sample {
    /// A property, for filters.
    fn value(&self, name: &str) -> filter::Value {
        match &self.fields[name] {
            Value::String(text) => Time::parse(text).map_or_else(|| filter::Value::Text(text.clone()), filter::Value::Time),
            Value::Number(number) => number.as_i64().map_or(filter::Value::Null, filter::Value::Number),
            _ => filter::Value::Null,
        }
    }
}

/// The rows of a file that pass a request's filter, to be ordered and cut like any others.
pub(crate) fn rows(samples: &[Sample], options: &Options) -> Vec<Row<usize>> {
    let passes = |sample: &Sample| {
        sample.updated.is_none() || options.filter.as_ref().is_none_or(|filter| filter.passes(&|name| sample.value(name)))
    };
    let row = |(at, sample): (usize, &Sample)| {
        let updated = sample.updated.unwrap_or(Time(0));
        Row { updated, created: updated, key: at, id_hash: odata::id_hash(&sample.id) }
    };
    samples.iter().enumerate().filter(|(_, sample)| passes(sample)).map(row).collect()
}

/// The files served, per list.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    lists: BTreeMap<Route, Vec<Sample>>,
}

impl Samples {
    /// Serves the rows of a file (an object with `value`, an array, or one row) as the answer of a list. Filters,
    /// `$top`, `$skip` and `$orderby` act on them as on any rows. Returns how many rows there are, or why the text cannot be read.
    pub fn serve(&mut self, list: Route, file: &str) -> Result<usize, serde_json::Error> {
        let members: BTreeMap<&str, &RawValue>;
        let rows: Vec<&RawValue> = if file.trim_start().starts_with('[') {
            serde_json::from_str(file)?
        } else {
            members = serde_json::from_str(file)?;
            match members.get("value") {
                Some(value) => serde_json::from_str(value.get())?,
                None => vec![serde_json::from_str(file)?],
            }
        };
        let mut samples = Vec::new();
        for row in rows {
            let value: Value = serde_json::from_str(row.get())?;
            let id = ["id", "incidentId", "alertId"].iter().find_map(|name| match &value[name] {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            });
            let updated =
                ["lastUpdateDateTime", "lastUpdateTime", "lastUpdatedTime"].iter().find_map(|name| value[name].as_str());
            let updated = updated.and_then(Time::parse);
            samples.push(Sample { id: id.unwrap_or_default(), updated, text: row.get().to_string(), fields: value });
        }
        let count = samples.len();
        self.lists.insert(list, samples);
        Ok(count)
    }

    /// The rows served for a list, if there are any.
    pub fn of(&self, list: Route) -> Option<&[Sample]> {
        self.lists.get(&list).map(Vec::as_slice)
    }

    /// Serves the objects again.
    pub fn clear(&mut self) {
        self.lists.clear();
    }
}
