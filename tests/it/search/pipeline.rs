//! Whole searches: macros, the search before the first pipe, and the commands the app's searches are made of. An option that
//! is not known here stops the test.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::aggregate::{Aggregate, aggregates, stats, timechart};
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

pub(super) fn set(row: &mut Fields, name: &str, values: Option<Vec<String>>) {
    match values.filter(|values| !values.is_empty()) {
        Some(values) => drop(row.insert(name.to_owned(), values)),
        None => drop(row.remove(name)),
    }
}

/// By number where both have one; what has no value comes last.
pub(super) fn compare(one: &Fields, other: &Fields, name: &str) -> Ordering {
    match (one.get(name), other.get(name)) {
        (Some(one), Some(other)) => match (one[0].parse::<f64>(), other[0].parse::<f64>()) {
            (Ok(one), Ok(other)) => one.total_cmp(&other),
            _ => one.cmp(other),
        },
        (one, other) => other.is_some().cmp(&one.is_some()),
    }
}

/// Field names in a row, with blanks or commas between; one with a blank in it is quoted.
pub(super) fn names(text: &str) -> Vec<String> {
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
pub(super) fn apart(text: &str, at: char) -> Vec<&str> {
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
