//! Whole searches: macros, the search before the first pipe, and the commands the app's searches are made of. An option that
//! is not known here stops the test.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::{Fields, Settings, expression, term};

/// A search with its macros in place: what stands before the first pipe, and the commands.
pub(crate) fn stages(search: &str, macros: &Settings) -> Vec<String> {
    let mut text = search.to_owned();
    while let Some((before, rest)) = text.split_once('`') {
        let (name, after) = rest.split_once('`').unwrap_or_else(|| panic!("not closed: {search}"));
        let settings = macros.get(name).unwrap_or_else(|| panic!("no macro {name}"));
        let definition = &settings.iter().find(|(key, _)| key == "definition").unwrap().1;
        text = format!("{before}{definition}{after}");
    }
    apart(&text, '|').into_iter().map(|stage| stage.trim().to_owned()).collect()
}

/// The rows a search gives. The events come newest first, as searches get them.
pub(crate) fn run(search: &str, macros: &Settings, events: &[Fields]) -> Vec<Fields> {
    let stages = stages(search, macros);
    let mut rows: Vec<Fields> = events.iter().filter(|event| term::matches(&stages[0], event)).cloned().collect();
    let newest_first = |one: &Fields, other: &Fields| compare(other, one, "_time");
    rows.sort_by(newest_first);
    continued(&stages[1..], rows)
}

/// The rows that commands make of rows.
pub(crate) fn continued(commands: &[String], mut rows: Vec<Fields>) -> Vec<Fields> {
    for command in commands {
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        rows = apply(name, rest.trim(), rows);
    }
    rows
}

/// The fields that a search reads and does not make itself.
pub(crate) fn fields_read(search: &str, macros: &Settings) -> BTreeSet<String> {
    let (mut read, mut made) = (BTreeSet::new(), BTreeSet::new());
    for (n, stage) in stages(search, macros).iter().enumerate() {
        let (name, rest) = if n == 0 { ("search", stage.as_str()) } else { stage.split_once(' ').unwrap_or((stage, "")) };
        let mut reads = |names: Vec<String>| read.extend(names.into_iter().filter(|name| !made.contains(name)));
        match name {
            "search" => reads(term::fields(rest)),
            "where" => reads(expression::fields(rest).into_iter().collect()),
            "eval" => {
                for assignment in apart(rest, ',') {
                    let (name, text) = assignment.split_once('=').unwrap();
                    read.extend(expression::fields(text).into_iter().filter(|name| !made.contains(name)));
                    made.insert(name.trim().to_owned());
                }
            }
            "rex" => made.extend(Rex::read(rest).names()),
            "stats" | "streamstats" | "timechart" => {
                let (aggregates, by) = aggregates(rest);
                let inside =
                    aggregates.iter().filter_map(|aggregate| aggregate.condition.as_deref()).flat_map(expression::fields);
                reads(aggregates.iter().filter_map(|aggregate| aggregate.field.clone()).chain(by).chain(inside).collect());
                made.extend(aggregates.into_iter().map(|aggregate| aggregate.name));
            }
            "rename" => made.extend(renamings(rest).into_iter().map(|(_, new)| new)),
            "dedup" | "table" => reads(names(rest)),
            "sort" => reads(names(rest).iter().skip(1).map(|name| name.trim_start_matches(['-', '+']).to_owned()).collect()),
            _ => {}
        }
    }
    read
}

fn apply(name: &str, rest: &str, mut rows: Vec<Fields>) -> Vec<Fields> {
    match name {
        "search" => rows.retain(|row| term::matches(rest, row)),
        "where" => rows.retain(|row| expression::holds(rest, row)),
        "eval" => {
            for assignment in apart(rest, ',') {
                let (name, text) = assignment.split_once('=').unwrap_or_else(|| panic!("eval {assignment} is not known here"));
                rows.iter_mut().for_each(|row| set(row, name.trim().trim_matches('"'), expression::evaluate(text, row)));
            }
        }
        "dedup" => {
            let (keys, mut seen) = (names(rest), BTreeSet::new());
            rows.retain(|row| {
                let key: Option<Vec<Vec<String>>> = keys.iter().map(|name| row.get(name).cloned()).collect();
                key.is_some_and(|key| seen.insert(key))
            });
        }
        "sort" => {
            let keys = names(rest.strip_prefix("0 ").unwrap_or_else(|| panic!("sort {rest} stops at 10,000 rows")));
            rows.sort_by(|one, other| {
                keys.iter().fold(Ordering::Equal, |order, key| {
                    order.then_with(|| match key.strip_prefix('-') {
                        Some(key) => compare(other, one, key),
                        None => compare(one, other, key.trim_start_matches('+')),
                    })
                })
            });
        }
        "head" => rows.truncate(rest.parse().unwrap()),
        "table" => {
            let keep = names(rest);
            rows.iter_mut().for_each(|row| row.retain(|name, _| keep.contains(name)));
        }
        "fields" => {
            let drop = names(rest.strip_prefix("- ").unwrap_or_else(|| panic!("fields {rest} is not known here")));
            rows.iter_mut().for_each(|row| row.retain(|name, _| !drop.contains(name)));
        }
        "rename" => {
            for (old, new) in renamings(rest) {
                rows.iter_mut().for_each(|row| {
                    let values = row.remove(&old);
                    set(row, &new, values);
                });
            }
        }
        "fillnull" => {
            let rest = rest.strip_prefix("value=").unwrap_or_else(|| panic!("fillnull {rest} is not known here"));
            let (value, names_text) = match rest.starts_with('"') {
                true => {
                    let (value, length) = expression::quoted(rest);
                    (value, &rest[length..])
                }
                false => rest.split_once(' ').map(|(value, names)| (value.to_owned(), names)).unwrap(),
            };
            for name in names(names_text) {
                for row in &mut rows {
                    row.entry(name.clone()).or_insert_with(|| vec![value.clone()]);
                }
            }
        }
        "rex" => {
            let rex = Rex::read(rest);
            rows.iter_mut().for_each(|row| rex.apply(row));
        }
        "convert" => {
            for call in rest.split_whitespace() {
                let name = call.strip_prefix("ctime(").and_then(|name| name.strip_suffix(')'));
                let name = name.unwrap_or_else(|| panic!("convert {call} is not known here"));
                for row in rows.iter_mut().filter(|row| row.contains_key(name)) {
                    let time = row[name][0].parse().unwrap_or_else(|_| panic!("{name} is no time: {row:?}"));
                    set(row, name, Some(vec![super::clock(time).format("%m/%d/%Y %H:%M:%S").to_string()]));
                }
            }
        }
        "stats" => rows = stats(rest, &rows),
        "streamstats" => {
            let rest = rest.strip_prefix("current=f window=1 ").unwrap_or_else(|| panic!("streamstats {rest} is not known here"));
            let (wanted, by) = aggregates(rest);
            let [Aggregate { function, field: Some(field), name, .. }] = wanted.as_slice() else { panic!("{rest}") };
            assert_eq!(function, "last");
            let mut before: BTreeMap<Vec<Option<Vec<String>>>, Option<Vec<String>>> = BTreeMap::new();
            for row in &mut rows {
                let key = by.iter().map(|name| row.get(name).cloned()).collect();
                let last = before.insert(key, row.get(field).cloned()).flatten();
                set(row, name, last);
            }
        }
        "timechart" => rows = timechart(rest, &rows),
        _ => panic!("{name} is not known here"),
    }
    rows
}

fn set(row: &mut Fields, name: &str, values: Option<Vec<String>>) {
    match values.filter(|values| !values.is_empty()) {
        Some(values) => drop(row.insert(name.to_owned(), values)),
        None => drop(row.remove(name)),
    }
}

/// By number where both have one; what has no value comes last.
fn compare(one: &Fields, other: &Fields, name: &str) -> Ordering {
    match (one.get(name), other.get(name)) {
        (Some(one), Some(other)) => match (one[0].parse::<f64>(), other[0].parse::<f64>()) {
            (Ok(one), Ok(other)) => one.total_cmp(&other),
            _ => one.cmp(other),
        },
        (one, other) => other.is_some().cmp(&one.is_some()),
    }
}

/// Field names in a row, with blanks or commas between; one with a blank in it is quoted.
fn names(text: &str) -> Vec<String> {
    let (mut out, mut rest) = (Vec::new(), text.trim_start_matches([' ', ',']));
    while !rest.is_empty() {
        let (name, length) = if rest.starts_with('"') {
            expression::quoted(rest)
        } else {
            let end = rest.find([' ', ',']).unwrap_or(rest.len());
            (rest[..end].to_owned(), end)
        };
        out.push(name);
        rest = rest[length..].trim_start_matches([' ', ',']);
    }
    out
}

/// `old as new`, several times.
fn renamings(text: &str) -> Vec<(String, String)> {
    let words = names(text);
    words
        .chunks(3)
        .map(|words| {
            let [old, by, new] = words else { panic!("rename {text} is not known here") };
            assert_eq!(by, "as");
            (old.clone(), new.clone())
        })
        .collect()
}

/// Cuts a text at a character that is neither quoted nor in parentheses.
fn apart(text: &str, at: char) -> Vec<&str> {
    let (mut out, mut from, mut depth, mut to) = (Vec::new(), 0, 0, 0);
    while let Some(c) = text[to..].chars().next() {
        match c {
            '"' => to += expression::quoted(&text[to..]).1 - 1,
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if c == at && depth == 0 => {
                out.push(&text[from..to]);
                from = to + at.len_utf8();
            }
            _ => {}
        }
        to += c.len_utf8();
    }
    out.push(&text[from..]);
    out
}

struct Rex {
    field: String,
    pattern: Regex,
}

impl Rex {
    fn read(text: &str) -> Self {
        let (field, pattern) = match text.strip_prefix("field=") {
            Some(rest) => rest.split_once(' ').unwrap(),
            None => ("_raw", text),
        };
        let (pattern, length) = expression::quoted(pattern);
        assert!(text.ends_with('"') && length > 2, "rex {text} is not known here");
        Self { field: field.to_owned(), pattern: Regex::new(&pattern).unwrap() }
    }

    fn names(&self) -> impl Iterator<Item = String> {
        self.pattern.capture_names().flatten().map(str::to_owned)
    }

    fn apply(&self, row: &mut Fields) {
        let Some(text) = row.get(&self.field).map(|values| values[0].clone()) else { return };
        let Some(found) = self.pattern.captures(&text) else { return };
        for name in self.names() {
            if let Some(value) = found.name(&name) {
                set(row, &name, Some(vec![value.as_str().to_owned()]));
            }
        }
    }
}

/// `function(field) as name`.
struct Aggregate {
    function: String,
    field: Option<String>,
    /// What is counted: `count(eval(…))`.
    condition: Option<String>,
    name: String,
}

fn aggregates(text: &str) -> (Vec<Aggregate>, Vec<String>) {
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
                .flat_map(|key: &Vec<String>| values.iter().map(|value| [key.as_slice(), &[value.clone()]].concat()))
                .collect();
        }
        keys.into_iter().for_each(|key| groups.entry(key).or_default().push(row));
    }
    if by.is_empty() {
        groups.entry(Vec::new()).or_default();
    }
    groups
}

fn stats(text: &str, rows: &[Fields]) -> Vec<Fields> {
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
fn timechart(text: &str, rows: &[Fields]) -> Vec<Fields> {
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
