//! What Splunk makes of an event at search time, for exactly the settings the app uses: fields from JSON up to the cut-off,
//! FIELDALIAS, EVAL, LOOKUP, eventtypes, tags, in Splunk's order; and what its searches make of such events. A setting or a
//! command it does not know stops the test.

mod aggregate;
mod expression;
mod json;
pub(crate) mod pipeline;
mod term;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::support::Event;

/// Fields of an event; a field may have several values.
pub(crate) type Fields = BTreeMap<String, Vec<String>>;
/// Settings by stanza, in their order.
pub(crate) type Settings = BTreeMap<String, Vec<(String, String)>>;

/// Settings that act when an event is indexed, or describe the sourcetype.
const NOT_AT_SEARCH: [&str; 10] = [
    "category",
    "description",
    "pulldown_type",
    "TRUNCATE",
    "SHOULD_LINEMERGE",
    "LINE_BREAKER",
    "TIME_PREFIX",
    "MAX_TIMESTAMP_LOOKAHEAD",
    "TZ",
    "DATETIME_CONFIG",
];

/// The app's search-time knowledge.
pub(crate) struct Knowledge {
    props: Settings,
    transforms: Settings,
    eventtypes: Settings,
    tags: Settings,
}

impl Knowledge {
    pub(crate) fn load() -> Self {
        Self { props: conf("props"), transforms: conf("transforms"), eventtypes: conf("eventtypes"), tags: conf("tags") }
    }

    /// The fields of an event as a search sees them; `tag` and `eventtype` among them.
    pub(crate) fn fields(&self, event: &Event) -> Fields {
        let settings = self.props.get(&event.sourcetype).unwrap_or_else(|| panic!("no props for {}", event.sourcetype));
        let mut fields = Fields::new();
        let (index, host) = (event.index.clone().unwrap_or("main".into()), event.host.clone().unwrap_or("forwarder".into()));
        for (name, value) in [
            ("source", &event.source),
            ("sourcetype", &event.sourcetype),
            ("_raw", &event.data),
            ("_time", &event.time),
            ("index", &index),
            ("host", &host),
        ] {
            fields.insert(name.to_owned(), vec![value.clone()]);
        }
        let class = |wanted: &str| {
            let prefix = format!("{wanted}-");
            let mut found: Vec<(&str, &str)> =
                settings.iter().filter_map(|(name, value)| Some((name.strip_prefix(&prefix)?, value.as_str()))).collect();
            found.sort_unstable();
            found
        };
        for (name, value) in settings {
            let known = NOT_AT_SEARCH.contains(&name.as_str())
                || (name == "KV_MODE" && value == "json")
                || ["FIELDALIAS-", "EVAL-", "LOOKUP-"].iter().any(|prefix| name.starts_with(prefix));
            assert!(known, "[{}] {name} = {value} is not known here", event.sourcetype);
        }
        json::extract(&event.data, &mut fields);
        for (_, alias) in class("FIELDALIAS") {
            let words: Vec<&str> = alias.split_whitespace().collect();
            let [from, "ASNEW", to] = words[..] else { panic!("FIELDALIAS {alias} is not known here") };
            if let (Some(value), false) = (fields.get(from).cloned(), fields.contains_key(to)) {
                fields.insert(to.to_owned(), value);
            }
        }
        // Calculated fields do not see each other.
        let before = fields.clone();
        for (name, text) in class("EVAL") {
            match expression::evaluate(text, &before) {
                Some(values) => fields.insert(name.to_owned(), values),
                None => fields.remove(name),
            };
        }
        for (_, lookup) in class("LOOKUP") {
            self.look_up(lookup, &mut fields);
        }
        let types: Vec<String> = self
            .eventtypes
            .iter()
            .filter(|(_, settings)| settings.iter().all(|(name, text)| name == "search" && term::matches(text, &fields)))
            .map(|(name, _)| name.clone())
            .collect();
        let tags: BTreeSet<String> = types
            .iter()
            .filter_map(|name| self.tags.get(&format!("eventtype={name}")))
            .flatten()
            .map(|(tag, _)| tag.clone())
            .collect();
        fields.insert("eventtype".to_owned(), types);
        fields.insert("tag".to_owned(), tags.into_iter().collect());
        fields
    }

    /// The names the settings of a sourcetype give to fields.
    pub(crate) fn names_given(&self, sourcetype: &str) -> BTreeSet<String> {
        let given = self.props[sourcetype].iter().filter_map(|(name, value)| match name.split_once('-')? {
            ("EVAL", field) => Some(field.to_owned()),
            ("FIELDALIAS" | "LOOKUP", _) => value.split_whitespace().next_back().map(str::to_owned),
            _ => None,
        });
        given.collect()
    }

    fn look_up(&self, lookup: &str, fields: &mut Fields) {
        let words: Vec<&str> = lookup.split_whitespace().collect();
        let [table, key, "AS", field, mode @ ("OUTPUT" | "OUTPUTNEW"), out] = words[..] else {
            panic!("LOOKUP {lookup} is not known here")
        };
        let settings: BTreeMap<&str, &str> =
            self.transforms[table].iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(settings.keys().copied().collect::<Vec<_>>(), ["case_sensitive_match", "filename", "max_matches"]);
        assert_eq!((settings["case_sensitive_match"], settings["max_matches"]), ("false", "1"));
        let csv = file(&format!("app/lookups/{}", settings["filename"]));
        let mut rows = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let head = rows.next().unwrap();
        let column = |name: &str| head.iter().position(|known| *known == name).unwrap_or_else(|| panic!("{table} has no {name}"));
        let (key, value) = (column(key), column(out));
        let Some(wanted) = fields.get(field).and_then(|values| values.first()).cloned() else { return };
        let found = rows.find(|row| row[key].eq_ignore_ascii_case(&wanted)).map(|row| row[value].to_owned());
        if mode == "OUTPUTNEW" && fields.contains_key(out) {
            return;
        }
        match found {
            Some(found) => fields.insert(out.to_owned(), vec![found]),
            None => fields.remove(out),
        };
    }

    /// Names of things that lead nowhere: an eventtype without tags, a tag without eventtype, a lookup without file.
    pub(crate) fn dangling(&self) -> Vec<String> {
        let tagged: BTreeSet<&str> = self.tags.keys().filter_map(|name| name.strip_prefix("eventtype=")).collect();
        let types: BTreeSet<&str> = self.eventtypes.keys().map(String::as_str).collect();
        let mut found: Vec<String> = tagged.symmetric_difference(&types).map(|name| format!("eventtype {name}")).collect();
        let searches = file("default/savedsearches.conf");
        let used: BTreeSet<&str> = self
            .props
            .values()
            .flatten()
            .filter(|(name, _)| name.starts_with("LOOKUP-"))
            .filter_map(|(_, value)| value.split_whitespace().next())
            .chain(searches.split("| lookup ").skip(1).filter_map(|rest| rest.split_whitespace().next()))
            .collect();
        let known: BTreeSet<&str> = self.transforms.keys().map(String::as_str).collect();
        found.extend(used.symmetric_difference(&known).map(|name| format!("lookup {name}")));
        let files: BTreeSet<String> =
            self.transforms.values().flatten().filter(|(name, _)| name == "filename").map(|(_, value)| value.clone()).collect();
        let folder = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("app/lookups")).unwrap();
        let there: BTreeSet<String> = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        found.extend(files.symmetric_difference(&there).map(|name| format!("file {name}")));
        found
    }

    /// The members of the raw event that EVALs read by path, by sourcetype and field.
    pub(crate) fn members_read(&self) -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
        let read = |settings: &Vec<(String, String)>| {
            let evals = settings.iter().filter_map(|(name, value)| Some((name.strip_prefix("EVAL-")?, value)));
            evals.map(|(name, text)| (name.to_owned(), expression::members(text))).collect()
        };
        self.props.iter().map(|(sourcetype, settings)| (sourcetype.clone(), read(settings))).collect()
    }

    /// What stands before the time in an event. Splunk's engine takes recursion and possessive quantifiers; the one here
    /// cannot run away and needs neither, so the former is written out, six brackets deep, and the latter are plain.
    pub(crate) fn time_prefix(&self, sourcetype: &str) -> regex::Regex {
        let (_, pattern) = self.props[sourcetype].iter().find(|(name, _)| name == "TIME_PREFIX").unwrap();
        let mut pattern = pattern.replace("++", "+").replace("*+", "*");
        if let Some(start) = pattern.find("(?<nested>") {
            let group = pattern[start..pattern.rfind(")*?").unwrap()].replace("(?<nested>", "(?:");
            pattern = pattern.replace("(?<nested>", "(?:");
            for _ in 0..6 {
                pattern = pattern.replace("(?&nested)", &group);
            }
            pattern = pattern.replace("|(?&nested)", "");
        }
        regex::Regex::new(&pattern).unwrap_or_else(|error| panic!("[{sourcetype}] TIME_PREFIX: {error}"))
    }

    /// The settings of a sourcetype, in their order.
    pub(crate) fn settings(&self, sourcetype: &str) -> &[(String, String)] {
        &self.props[sourcetype]
    }

    /// Every field that EVALs, aliases, lookups and eventtypes read, by sourcetype.
    pub(crate) fn fields_read(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (sourcetype, settings) in &self.props {
            let read = all.entry(sourcetype.clone()).or_default();
            for (name, value) in settings {
                let words: Vec<&str> = value.split_whitespace().collect();
                match name.split('-').next() {
                    Some("EVAL") => read.extend(expression::fields(value)),
                    Some("FIELDALIAS") => drop(read.insert(words[0].to_owned())),
                    Some("LOOKUP") => drop(read.insert(words[3].to_owned())),
                    _ => {}
                }
            }
        }
        all
    }
}

/// A moment in UTC, from seconds since 1970.
fn clock(seconds: f64) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(seconds as i64, 0).unwrap()
}

/// The value of an EVAL expression; `None` is null.
pub(crate) fn evaluate(text: &str, fields: &Fields) -> Option<Vec<String>> {
    expression::evaluate(text, fields)
}

/// The fields an EVAL expression reads.
pub(crate) fn fields_of(text: &str) -> BTreeSet<String> {
    expression::fields(text)
}

/// Whether an event with these fields is found by a search of `field=value` terms.
pub(crate) fn matches(text: &str, fields: &Fields) -> bool {
    term::matches(text, fields)
}

/// The stanzas of one of the app's conf files.
pub(crate) fn conf(name: &str) -> Settings {
    read(&format!("default/{name}.conf"))
}

/// The stanzas of a file in the manner of conf files.
pub(crate) fn read(path: &str) -> Settings {
    stanzas(&file(path))
}

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn stanzas(text: &str) -> Settings {
    let (mut all, mut stanza) = (Settings::new(), String::new());
    // A backslash at the end of a line goes on in the next.
    let text = text.replace("\\\n", " ");
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut stanza);
            assert!(all.insert(stanza.clone(), Vec::new()).is_none(), "[{stanza}] stands twice");
        } else {
            let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("not a setting: {line}"));
            all.get_mut(&stanza).unwrap().push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    all
}
