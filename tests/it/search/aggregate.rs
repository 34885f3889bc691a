//! `stats`, `timechart` and what they count.

use std::collections::{BTreeMap, BTreeSet};

use super::pipeline::{apart, compare, names, set};
use super::{Fields, expression};

/// `function(field) as name`.
pub(super) struct Aggregate {
    pub(super) function: String,
    pub(super) field: Option<String>,
    /// What is counted: `count(eval(…))`.
    pub(super) condition: Option<String>,
    pub(super) name: String,
}

pub(super) fn aggregates(text: &str) -> (Vec<Aggregate>, Vec<String>) {
    let (text, by) = text.split_once(" by ").or_else(|| text.split_once(" BY ")).unwrap_or((text, ""));
    let words: Vec<&str> = apart(text, ' ').into_iter().filter(|word| !word.is_empty() && !word.starts_with("span=")).collect();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < words.len() {
        let (function, argument) = match words[at].split_once('(') {
            Some((function, argument)) => (function, argument.strip_suffix(')')),
            None => (words[at], None),
        };
        let condition = argument.and_then(|text| text.strip_prefix("eval(")?.strip_suffix(')')).map(str::to_owned);
        let field = argument.filter(|_| condition.is_none()).map(|field| field.trim_matches('\'').to_owned());
        let mut name = words[at].to_owned();
        at += 1;
        if words.get(at) == Some(&"as") {
            name = words[at + 1].trim_matches('"').to_owned();
            at += 2;
        }
        out.push(Aggregate { function: function.to_owned(), field, condition, name });
    }
    (out, names(by))
}

/// The rows of each group; a row with several values of a field belongs to several, one without to none.
fn groups<'a>(rows: &'a [Fields], by: &[String]) -> BTreeMap<Vec<String>, Vec<&'a Fields>> {
    let mut groups: BTreeMap<Vec<String>, Vec<&Fields>> = BTreeMap::new();
    for row in rows {
        let mut keys = vec![Vec::new()];
        for name in by {
            let values = row.get(name).map(Vec::as_slice).unwrap_or_default();
            keys = keys
                .iter()
                .flat_map(|key: &Vec<String>| values.iter().map(|value| [key.as_slice(), std::slice::from_ref(value)].concat()))
                .collect();
        }
        keys.into_iter().for_each(|key| groups.entry(key).or_default().push(row));
    }
    if by.is_empty() {
        groups.entry(Vec::new()).or_default();
    }
    groups
}

pub(super) fn stats(text: &str, rows: &[Fields]) -> Vec<Fields> {
    let (wanted, by) = aggregates(text);
    let groups = groups(rows, &by);
    let row = |(key, rows): (Vec<String>, Vec<&Fields>)| {
        let mut out: Fields = by.iter().cloned().zip(key.into_iter().map(|value| vec![value])).collect();
        wanted.iter().for_each(|aggregate| set(&mut out, &aggregate.name, aggregate.of(&rows)));
        out
    };
    groups.into_iter().map(row).collect()
}

/// A row per hour: what Splunk chooses without `span` depends on the time range.
pub(super) fn timechart(text: &str, rows: &[Fields]) -> Vec<Fields> {
    let (wanted, by) = aggregates(text);
    let mut out: BTreeMap<u64, Fields> = BTreeMap::new();
    let mut hours: BTreeMap<u64, Vec<Fields>> = BTreeMap::new();
    for row in rows {
        let time: f64 = row["_time"][0].parse().unwrap();
        hours.entry(time as u64 / 3600 * 3600).or_default().push(row.clone());
    }
    for (hour, rows) in hours {
        let line = out.entry(hour).or_default();
        line.insert("_time".to_owned(), vec![hour.to_string()]);
        for (key, rows) in groups(&rows, &by) {
            for aggregate in &wanted {
                let name = match (key.first(), wanted.len()) {
                    (None, _) => aggregate.name.clone(),
                    (Some(value), 1) => value.clone(),
                    (Some(value), _) => format!("{}: {value}", aggregate.name),
                };
                set(line, &name, aggregate.of(&rows));
            }
        }
    }
    out.into_values().collect()
}

impl Aggregate {
    fn of(&self, rows: &[&Fields]) -> Option<Vec<String>> {
        if self.function == "count" && self.field.is_none() {
            let counts = |row: &&&Fields| self.condition.as_ref().is_none_or(|text| expression::holds(text, row));
            return Some(vec![rows.iter().filter(counts).count().to_string()]);
        }
        assert!(self.condition.is_none(), "{} is not known here", self.name);
        let field = self.field.as_ref().unwrap_or_else(|| panic!("{} is not known here", self.name));
        let values: Vec<&String> = rows.iter().filter_map(|row| row.get(field)).flatten().collect();
        let mut numbers: Vec<f64> = values.iter().filter_map(|value| value.parse().ok()).collect();
        numbers.sort_by(f64::total_cmp);
        let number = |number: Option<f64>| number.map(|number| vec![expression::written(number)]);
        // By time, not by place.
        let last = |newest: bool| {
            let mut known: Vec<&&Fields> = rows.iter().filter(|row| row.contains_key(field)).collect();
            known.sort_by(|one, other| compare(one, other, "_time"));
            let row = if newest { known.last() } else { known.first() };
            row.map(|row| row[field].clone())
        };
        match self.function.as_str() {
            "count" => Some(vec![values.len().to_string()]),
            "dc" => Some(vec![values.iter().collect::<BTreeSet<_>>().len().to_string()]),
            "values" => Some(values.into_iter().cloned().collect::<BTreeSet<_>>().into_iter().collect()),
            "latest" => last(true),
            "earliest" => last(false),
            "sum" => number((!numbers.is_empty()).then(|| numbers.iter().sum())),
            "avg" => number((!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)),
            "min" => number(numbers.first().copied()),
            "max" => number(numbers.last().copied()),
            "median" => number(numbers.get(numbers.len() / 2).copied()),
            "perc90" => number(numbers.get((numbers.len() * 9 / 10).min(numbers.len().saturating_sub(1))).copied()),
            other => panic!("{other} is not known here"),
        }
    }
}
