//! The part of the search language that an app's page needs. What is not played is an error, never an empty result.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use regex_lite::Regex;

use super::journal::Record;

/// Runs a search on records that are newest first.
pub(super) fn run(search: &str, records: Vec<Record>) -> Result<Vec<Record>, String> {
    let mut rows = records;
    for (at, stage) in stages(search).into_iter().enumerate() {
        let (command, rest) = stage.split_once(char::is_whitespace).unwrap_or((&stage, ""));
        rows = match command {
            "search" => filter(rows, rest)?,
            "rex" => rex(rows, rest)?,
            "eval" => eval(rows, rest)?,
            "bin" => bin(rows, rest)?,
            "stats" => stats(&rows, rest)?,
            "sort" => sort(rows, rest)?,
            "head" => {
                rows.into_iter().take(rest.trim().parse().map_err(|_| format!("head {rest}: a number is expected"))?).collect()
            }
            "table" => table(&rows, rest),
            _ if at == 0 => return Err("The search has to begin with the command search.".to_string()),
            other => return Err(format!("Unknown search command '{other}'.")),
        };
    }
    Ok(rows)
}

/// Numbers by value, others by text, nothing first.
pub(super) fn compare(a: Option<&String>, b: Option<&String>) -> Ordering {
    let number = |text: Option<&String>| text.and_then(|text| text.parse::<f64>().ok());
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => a.cmp(&b),
    }
}

/// The commands between bars that stand in no quotes.
fn stages(search: &str) -> Vec<String> {
    let (mut found, mut quoted, mut escaped) = (vec![String::new()], false, false);
    for character in search.chars() {
        match character {
            '|' if !quoted => {
                found.push(String::new());
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = character == '\\' && !escaped;
        if let Some(last) = found.last_mut() {
            last.push(character);
        }
    }
    found.into_iter().map(|stage| stage.trim().to_string()).collect()
}

/// Words, with quoted text and parentheses as words of their own; `a="b c"` is one word.
fn words(text: &str) -> Vec<String> {
    let (mut found, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for character in text.chars() {
        match character {
            '"' => {
                quoted = !quoted;
                word.push('"');
            }
            ' ' | ',' | '(' | ')' if !quoted => {
                if !word.is_empty() {
                    found.push(std::mem::take(&mut word));
                }
                if character == '(' || character == ')' {
                    found.push(character.to_string());
                }
            }
            other => word.push(other),
        }
    }
    if !word.is_empty() {
        found.push(word);
    }
    found
}

/// Terms side by side are all needed; `OR` binds more tightly, as in Splunk.
fn filter(rows: Vec<Record>, rest: &str) -> Result<Vec<Record>, String> {
    let words = words(rest);
    let mut at = 0;
    let term = all(&words, &mut at)?;
    if at < words.len() {
        return Err(format!("Unbalanced parentheses before '{}'.", words[at]));
    }
    Ok(rows.into_iter().filter(|row| term.fits(row)).collect())
}

enum Term {
    All(Vec<Term>),
    Any(Vec<Term>),
    Not(Box<Term>),
    Field(String, String),
    Phrase(String),
}

fn all(words: &[String], at: &mut usize) -> Result<Term, String> {
    let mut terms: Vec<Term> = Vec::new();
    while *at < words.len() && words[*at] != ")" {
        if words[*at] == "OR" {
            *at += 1;
            let (left, right) = (terms.pop().ok_or("OR needs a term before it.")?, one(words, at)?);
            terms.push(match left {
                Term::Any(mut some) => {
                    some.push(right);
                    Term::Any(some)
                }
                left => Term::Any(vec![left, right]),
            });
        } else {
            terms.push(one(words, at)?);
        }
    }
    Ok(Term::All(terms))
}

fn one(words: &[String], at: &mut usize) -> Result<Term, String> {
    let word = words.get(*at).ok_or("The search ends where a term is expected.")?;
    *at += 1;
    match word.as_str() {
        "NOT" => Ok(Term::Not(Box::new(one(words, at)?))),
        "(" => {
            let inner = all(words, at)?;
            *at += 1;
            if words.get(*at - 1).map(String::as_str) == Some(")") {
                Ok(inner)
            } else {
                Err("Unbalanced parentheses.".to_string())
            }
        }
        word if word.starts_with('"') => Ok(Term::Phrase(word.trim_matches('"').to_lowercase())),
        word => Ok(match word.split_once('=') {
            Some((field, value)) => Term::Field(field.to_string(), value.trim_matches('"').to_lowercase()),
            None => Term::Phrase(word.to_lowercase()),
        }),
    }
}

impl Term {
    fn fits(&self, row: &Record) -> bool {
        match self {
            Term::All(terms) => terms.iter().all(|term| term.fits(row)),
            Term::Any(terms) => terms.iter().any(|term| term.fits(row)),
            Term::Not(term) => !term.fits(row),
            Term::Phrase(text) => row.get("_raw").is_some_and(|raw| raw.to_lowercase().contains(text)),
            Term::Field(name, wanted) => row.get(name).is_some_and(|value| {
                let value = value.to_lowercase();
                match wanted.split_once('*') {
                    // `index=*` is every index but the internal ones.
                    Some(("", "")) => !(name == "index" && value.starts_with('_')),
                    Some((start, end)) => {
                        value.len() >= start.len() + end.len() && value.starts_with(start) && value.ends_with(end)
                    }
                    None => value == *wanted,
                }
            }),
        }
    }
}

fn rex(rows: Vec<Record>, rest: &str) -> Result<Vec<Record>, String> {
    let pattern = rest.trim().trim_matches('"');
    let regex = Regex::new(pattern).map_err(|error| format!("rex: {error}"))?;
    let names: Vec<&str> = regex.capture_names().flatten().collect();
    let extract = |mut row: Record| {
        let found: Vec<(String, String)> = row.get("_raw").and_then(|raw| regex.captures(raw)).map_or_else(Vec::new, |caught| {
            let value = |name: &&str| Some((name.to_string(), caught.name(name)?.as_str().to_string()));
            names.iter().filter_map(value).collect()
        });
        row.extend(found);
        row
    };
    Ok(rows.into_iter().map(extract).collect())
}

/// `eval a=b-c`, of fields; without one of them there is no result.
fn eval(rows: Vec<Record>, rest: &str) -> Result<Vec<Record>, String> {
    let (name, expression) = rest.split_once('=').ok_or("eval: an assignment is expected")?;
    let (a, b) = expression.split_once('-').ok_or("eval: only a difference of two fields is played here")?;
    let with = |mut row: Record| {
        let number = |field: &str| row.get(field.trim()).and_then(|text| text.parse::<f64>().ok());
        if let (Some(a), Some(b)) = (number(a), number(b)) {
            row.insert(name.trim().to_string(), format!("{}", a - b));
        }
        row
    };
    Ok(rows.into_iter().map(with).collect())
}

fn bin(rows: Vec<Record>, rest: &str) -> Result<Vec<Record>, String> {
    let span: f64 = match rest.trim() {
        "_time span=1h" => 3600.0,
        "_time span=1m" => 60.0,
        other => return Err(format!("bin {other}: only _time span=1h and span=1m are played here")),
    };
    let cut = |mut row: Record| {
        if let Some(time) = row.get_mut("_time") {
            *time = time.parse::<f64>().map_or_else(|_| time.clone(), |at| format!("{}", (at / span).floor() * span));
        }
        row
    };
    Ok(rows.into_iter().map(cut).collect())
}

fn stats(rows: &[Record], rest: &str) -> Result<Vec<Record>, String> {
    let words = words_of_stats(rest);
    let by_at = words.iter().position(|word| word == "by").unwrap_or(words.len());
    let keys = words.get(by_at + 1..).unwrap_or_default();
    let mut functions: Vec<(String, String, String)> = Vec::new();
    let mut at = 0;
    while at < by_at {
        let (function, field) = match words[at].split_once('(') {
            Some((function, field)) => (function.to_string(), field.trim_end_matches(')').to_string()),
            None => (words[at].clone(), String::new()),
        };
        let named = words.get(at + 1).is_some_and(|word| word == "as");
        let name = if named { words.get(at + 2).cloned().ok_or("stats: a name is missing")? } else { words[at].clone() };
        at += if named { 3 } else { 1 };
        functions.push((function, field, name));
    }
    let mut groups: BTreeMap<Vec<&String>, Vec<&Record>> = BTreeMap::new();
    for row in rows {
        // A row without one of the fields is in no group.
        if let Some(key) = keys.iter().map(|key| row.get(key)).collect::<Option<Vec<_>>>() {
            groups.entry(key).or_default().push(row);
        }
    }
    let mut out = Vec::new();
    for (key, rows) in groups {
        let mut result: Record = keys.iter().cloned().zip(key.into_iter().cloned()).collect();
        for (function, field, name) in &functions {
            if let Some(value) = aggregate(function, field, &rows)? {
                result.insert(name.clone(), value);
            }
        }
        out.push(result);
    }
    Ok(out)
}

fn words_of_stats(text: &str) -> Vec<String> {
    text.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_string).collect()
}

/// Rows are newest first.
fn aggregate(function: &str, field: &str, rows: &[&Record]) -> Result<Option<String>, String> {
    let mut values = rows.iter().filter_map(|row| row.get(field));
    Ok(match function {
        "count" if field.is_empty() => Some(rows.len().to_string()),
        "count" => Some(values.count().to_string()),
        "latest" => values.next().cloned(),
        "earliest" => values.next_back().cloned(),
        "max" => values.max_by(|a, b| compare(Some(a), Some(b))).cloned(),
        "sum" => {
            // Of nothing there is no sum.
            values.filter_map(|text| text.parse::<f64>().ok()).reduce(|sum, value| sum + value).map(|sum| sum.to_string())
        }
        other => return Err(format!("stats: the function '{other}' is not played here.")),
    })
}

fn sort(mut rows: Vec<Record>, rest: &str) -> Result<Vec<Record>, String> {
    let fields: Vec<&str> = rest.split_whitespace().filter(|word| *word != "0").collect();
    let [field] = fields[..] else { return Err("sort: one field is played here".to_string()) };
    match field.strip_prefix('-') {
        Some(field) => rows.sort_by(|a, b| compare(b.get(field), a.get(field))),
        None => rows.sort_by(|a, b| compare(a.get(field), b.get(field))),
    }
    Ok(rows)
}

fn table(rows: &[Record], rest: &str) -> Vec<Record> {
    let names = words_of_stats(rest);
    rows.iter()
        .map(|row| row.iter().filter(|(name, _)| names.contains(name)).map(|(n, v)| (n.clone(), v.clone())).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn rows() -> Vec<Record> {
        let row = |time: &str, level: &str, text: &str| -> Record {
            [("_time", time), ("log_level", level), ("index", "_internal"), ("_raw", text)]
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .into()
        };
        vec![
            row("7300", "INFO", "x defender://a: poll requests=3 rows=1"),
            row("3700", "ERROR", "x defender://b: no | pipe"),
            row("100", "INFO", "x defender://a: poll requests=4 rows=2"),
        ]
    }

    #[test]
    fn a_pipeline() {
        let search = r#"search index=_internal " poll requests=" | rex "defender://(?<input>\w+): poll requests=(?<requests>\d+)" | stats count sum(requests) as requests latest(_time) as last earliest(_time) as first by input"#;
        let found = run(search, rows()).unwrap();
        let wanted = [("count", "2"), ("first", "100"), ("input", "a"), ("last", "7300"), ("requests", "7")];
        assert_eq!(found, [wanted.map(|(k, v)| (k.to_string(), v.to_string())).into()]);
    }

    #[test]
    fn terms_bars_in_quotes_and_what_is_not_played() {
        let count = |search: &str| run(search, rows()).map(|rows| rows.len());
        assert_eq!(count(r#"search index=_internal (log_level=ERROR OR log_level=WARN)"#), Ok(1));
        assert_eq!(count(r#"search "no | pipe" NOT log_level=INFO"#), Ok(1));
        assert_eq!(count("search index=*"), Ok(0));
        assert_eq!(count("search defender | bin _time span=1h | stats count by _time"), Ok(3));
        assert!(count("search a | transaction b").is_err());
        assert!(count("index=_internal").is_err());
    }
}
