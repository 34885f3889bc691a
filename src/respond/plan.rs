//! What each row asks for: the action's parameters, the row's own fields in their place, and what rows before it asked of
//! the same object.

use std::collections::HashMap;

use ring::digest::{SHA256, digest};

use super::outcome::{Done, Outcome};
use crate::masking::admin_text;
use crate::microsoft::cloud::{Resource, What};
use crate::microsoft::object::names;
use crate::microsoft::query::check_id;
use crate::microsoft::update::{Change, Member, Refusal, Wanted};
use crate::mode::Action;
use crate::splunk::alert::{CELL_LIMIT, Payload, Row};
use crate::splunk::spool::is_index;
use crate::time::Ticks;

/// The changes an action's parameters can ask for, in the order of [`Wanted`]'s members.
const CHANGES: [&str; 6] = ["status", "assigned_to", "classification", "determination", "comment", "tags"];
/// Those of them of which an object has one.
const ONE_VALUE: [&str; 4] = ["status", "assigned_to", "classification", "determination"];
/// The index of the audit events where none is named.
const INDEX: &str = "main";
/// In front of a change's name: the row's own field for it.
const OVERRIDE: &str = "defender_";
/// The row's fields that Enterprise Security's line repeats.
const ES_FIELDS: [&str; 3] = ["rid", "orig_sid", "orig_rid"];
/// The fields in which the feeds' events bear the last update, under every name it has.
const UPDATED: [&str; 4] = ["lastUpdateDateTime", "lastUpdateTime", "lastUpdatedTime", "lastUpdate"];
/// The fields in which they bear what an action can change.
const MEMBERS: [(&str, Member); 4] = [
    ("status", Member::Status),
    ("assignedTo", Member::AssignedTo),
    ("classification", Member::Classification),
    ("determination", Member::Determination),
];

/// What happens where an object is newer than the row that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfChanged {
    /// It is changed, and the log says so.
    Warn,
    /// It is left alone.
    Refuse,
}

/// An action's parameters.
#[derive(Debug)]
pub(super) struct Parameters {
    /// What is wrong with them, if anything: then every row is refused for it, and the others have their defaults.
    pub(super) fault: Option<String>,
    /// The account's name.
    pub(super) account: String,
    /// What is changed through which API.
    pub(super) resource: Resource,
    /// The API's name, or what was written in its place.
    pub(super) api: String,
    /// Whether to say only what would be changed.
    pub(super) dry_run: bool,
    /// See [`IfChanged`].
    pub(super) if_changed: IfChanged,
    /// Where the audit events go.
    pub(super) index: String,
    id_field: String,
    changes: [String; 6],
    /// The run, as the marks of its comments depend on it.
    run: [String; 2],
}

impl Parameters {
    /// Reads and checks the parameters that are the same for all rows.
    pub(super) fn read(action: Action, payload: &Payload) -> Self {
        let mut faults: Vec<String> = Vec::new();
        let mut wrong = |name: &str, reason: &str| faults.push(format!("{name}: {reason}"));
        let account = payload.param("account").unwrap_or_else(|| {
            wrong("account", "it is required and missing");
            ""
        });
        let api = payload.param("api").unwrap_or("graph");
        let resource = Resource::of(api, action.what()).unwrap_or_else(|reason| {
            wrong("api", &reason);
            match action {
                Action::IncidentUpdate => Resource::GraphIncidents,
                Action::AlertUpdate => Resource::GraphAlerts,
            }
        });
        let dry_run = match payload.param("dry_run").unwrap_or("0").to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" => true,
            "0" | "false" | "no" => false,
            other => {
                wrong("dry_run", &format!("`{}` is neither 1 nor 0", admin_text(other)));
                true
            }
        };
        let if_changed = match payload.param("if_changed").unwrap_or("warn").to_ascii_lowercase().as_str() {
            "warn" => IfChanged::Warn,
            "refuse" => IfChanged::Refuse,
            other => {
                wrong("if_changed", &format!("`{}` is unknown: write warn or refuse", admin_text(other)));
                IfChanged::Refuse
            }
        };
        let index = payload.param("index").filter(|index| {
            let fits = is_index(index);
            if !fits {
                wrong("index", &format!("`{}` is not the name of an index that can be written to", admin_text(index)));
            }
            fits
        });
        let mut parameters = Self {
            fault: None,
            account: account.to_owned(),
            resource,
            api: Resource::of(api, action.what()).map_or_else(|_| admin_text(api), |resource| resource.param().to_owned()),
            dry_run,
            if_changed,
            // What is to be told of a wrong one has to be told somewhere.
            index: index.unwrap_or(INDEX).to_owned(),
            id_field: payload.param("id_field").unwrap_or("id").to_owned(),
            changes: CHANGES.map(|name| payload.param(name).unwrap_or_default().to_owned()),
            run: [payload.search_name.clone(), payload.sid.clone()],
        };
        match parameters.change(None) {
            // Every row may bring its own change.
            Ok(_) | Err(Refusal::Nothing) => {}
            Err(refusal) => faults.push(refusal.to_string()),
        }
        parameters.fault = (!faults.is_empty()).then(|| faults.join("; "));
        parameters
    }

    /// Whether a field of the results is looked at.
    pub(super) fn reads(&self, field: &str) -> bool {
        let bare = field.strip_prefix("__mv_").unwrap_or(field);
        let overrides = bare.strip_prefix(OVERRIDE).is_some_and(|name| CHANGES.contains(&name));
        bare == self.id_field
            || overrides
            || ES_FIELDS.contains(&bare)
            || UPDATED.contains(&bare)
            || MEMBERS.iter().any(|(name, _)| *name == bare)
    }

    /// The row's object, when it names exactly one.
    pub(super) fn id_of(&self, row: &Row) -> Option<String> {
        match row.values(&self.id_field).as_slice() {
            [id] => Some(id.trim().to_owned()),
            _ => None,
        }
    }

    /// The comment that the row asks for.
    pub(super) fn comment(&self, row: &Row) -> Option<String> {
        self.change(Some(row)).ok()?.comment
    }

    /// The change that the parameters ask for, or the row where it has fields of its own.
    fn change(&self, row: Option<&Row>) -> Result<Change, Refusal> {
        let own: [Option<String>; 6] =
            CHANGES.map(|name| row.and_then(|row| row.get(&format!("{OVERRIDE}{name}"))).map(str::to_owned));
        let text = |n: usize| own[n].as_deref().unwrap_or(&self.changes[n]);
        let wanted = Wanted {
            status: text(0),
            assigned_to: text(1),
            classification: text(2),
            determination: text(3),
            comment: text(4),
            tags: text(5),
        };
        let mut change = Change::parse(self.resource.what(), &wanted)?;
        change.mark = change.comment.as_deref().map(|comment| self.mark(comment));
        Ok(change)
    }

    /// The line under a comment: a fingerprint of search, sid and text. The
    /// same run posts it once, however often it is repeated; another run of the search may say the same again.
    fn mark(&self, comment: &str) -> String {
        format!("[Splunk {}]", fingerprint(&[&self.run[0], &self.run[1], comment]))
    }

    /// What names the run in the name of a file: two processes whose comments would bear the same marks have the same.
    pub(super) fn run(&self) -> String {
        fingerprint(&[&self.run[0], &self.run[1]])
    }

    /// The version that the row shows; an error where one is needed and there is none.
    fn seen(&self, row: &Row) -> Result<Option<Seen>, String> {
        let one = |field: &str| match row.values(field).as_slice() {
            [value] => Some(value.clone()),
            _ => None,
        };
        let Some(updated) = UPDATED.iter().find_map(|field| one(field)).filter(|time| Ticks::parse(time).is_some()) else {
            return match self.if_changed {
                IfChanged::Warn => Ok(None),
                IfChanged::Refuse => Err(format!(
                    "the row has no {} to compare: keep the field in the search, or set if_changed = warn",
                    names(self.resource).identity.updated
                )),
            };
        };
        let present = |name: &str| row.names().any(|field| field == name);
        let members = MEMBERS.iter().filter(|(name, _)| present(name));
        let members = members.map(|(name, member)| (*member, one(name).unwrap_or_default())).collect();
        Ok(Some(Seen { updated, members }))
    }
}

/// The first 8 bytes of SHA-256 over some texts, each with its length in front.
fn fingerprint(parts: &[&str]) -> String {
    let told: String = parts.iter().map(|part| format!("{}:{part}", part.len())).collect();
    let hash = digest(&SHA256, told.as_bytes());
    hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The version of an object that a row shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its update time, as the service spelled it.
    pub(super) updated: String,
    /// The members that the row has, as they were.
    pub(super) members: Vec<(Member, String)>,
}

/// One object and what it is to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) change: Change,
    pub(super) seen: Option<Seen>,
}

/// What a row comes to.
#[derive(Debug)]
pub(super) enum Order {
    /// The change of the object of this key, for which this row is the first to ask.
    Change(String),
    /// The same, for which a row before it asked.
    Repeat(String),
    /// Nothing can be sent for this row.
    Refuse(Outcome),
}

/// What rows asked of each object.
#[derive(Default)]
pub(super) struct Orders {
    /// By the object's key.
    known: HashMap<String, Known>,
    /// Objects whose change is still to be carried out.
    pub(super) due: Vec<Task>,
}

/// What was asked of an object, and what became of it.
struct Known {
    /// Without the comment's text, for which its mark stands: thousands of them are kept.
    change: Change,
    end: Option<Done>,
}

impl Orders {
    /// Reads the next row.
    pub(super) fn next(&mut self, parameters: &Parameters, row: &Row) -> Order {
        let refuse = |reason: String| Order::Refuse(Outcome::Refused(reason));
        if let Some(fault) = &parameters.fault {
            return refuse(format!("parameter {fault}"));
        }
        if let Some(fault) = row.fault() {
            return refuse(format!("the search results have a row that cannot be read: {fault}"));
        }
        let field = &parameters.id_field;
        let Some(id) = parameters.id_of(row) else {
            return refuse(match row.values(field).len() {
                0 => format!("the row has nothing in field `{field}`: name the field that holds the id in id_field"),
                many => format!("field `{field}` holds {many} ids: expand the search to one row per id"),
            });
        };
        if let Some(field) = row.cut() {
            return refuse(format!("field `{field}` holds more than {} MiB", CELL_LIMIT >> 20));
        }
        if let Err(reason) = check_id(parameters.resource, &id) {
            return refuse(reason);
        }
        for field in ONE_VALUE.map(|name| format!("{OVERRIDE}{name}")) {
            if let many @ 2.. = row.values(&field).len() {
                return refuse(format!("field `{field}` holds {many} values, and the object takes one"));
            }
        }
        let change = match parameters.change(Some(row)) {
            Ok(change) => change,
            Err(refusal) => return refuse(refusal.to_string()),
        };
        let id = plain(parameters.resource, id);
        let key = key(&id);
        let asked = Change { comment: None, ..change.clone() };
        match self.known.get(&key) {
            Some(known) if known.change == asked => return Order::Repeat(key),
            Some(_) => return refuse("a row before asks for another change of the same object".to_owned()),
            None => {}
        }
        let seen = match parameters.seen(row) {
            Ok(seen) => seen,
            Err(reason) => return refuse(reason),
        };
        self.known.insert(key.clone(), Known { change: asked, end: None });
        self.due.push(Task { id, change, seen });
        Order::Change(key)
    }

    /// Notes what became of an object; its key.
    pub(super) fn ended(&mut self, id: &str, end: Done) -> String {
        let key = key(id);
        if let Some(known) = self.known.get_mut(&key) {
            known.end = Some(end);
        }
        key
    }

    /// What became of an object.
    pub(super) fn end_of(&self, key: &str) -> Option<&Done> {
        self.known.get(key)?.end.as_ref()
    }

    /// Keeps of an object that ended only what a later row of the same object needs; nothing where nothing was asked.
    pub(super) fn told(&mut self, key: &str) {
        match self.known.get_mut(key).and_then(|known| known.end.as_mut()) {
            Some(end) if end.trace.attempts > 0 => end.shorten(),
            _ => drop(self.known.remove(key)),
        }
    }
}

/// An id as the service writes it: the number of an incident may come with zeros in front, and names the same one.
fn plain(resource: Resource, id: String) -> String {
    match resource.what() {
        What::Incidents => match id.trim_start_matches('0') {
            "" => "0".to_owned(),
            number => number.to_owned(),
        },
        What::Alerts => id,
    }
}

/// By what an object is known among the rows of a run. In two spellings it would be changed twice, and no two objects
/// differ in nothing but the case of their ids.
fn key(id: &str) -> String {
    id.to_ascii_lowercase()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn payload(configuration: &str) -> Payload {
        let text = format!(r#"{{"server_uri":"https://127.0.0.1:8089","session_key":"k","configuration":{configuration}}}"#);
        crate::splunk::alert::read(text.as_bytes()).unwrap()
    }

    fn parameters(configuration: &str) -> Parameters {
        Parameters::read(Action::AlertUpdate, &payload(configuration))
    }

    #[test]
    fn bad_parameters_refuse_every_row() {
        let table = [
            ("{}", "account: it is required and missing"),
            (r#"{"account":"a","api":"soap"}"#, "api: `soap` is unknown: write graph or defender"),
            (r#"{"account":"a","dry_run":"maybe"}"#, "dry_run: `maybe` is neither 1 nor 0"),
            (r#"{"account":"a","if_changed":"no"}"#, "if_changed: `no` is unknown: write warn or refuse"),
            (r#"{"account":"a","index":"_audit"}"#, "index: `_audit` is not the name of an index that can be written to"),
            (r#"{"account":"a","status":"closed"}"#, "status `closed` is not allowed: write new, inProgress or resolved"),
            (
                r#"{"api":"graph","index":"","tags":"x"}"#,
                "account: it is required and missing; tags: alerts have none, only incidents do",
            ),
        ];
        for (configuration, message) in table {
            let parameters = parameters(configuration);
            assert_eq!((parameters.fault.as_deref(), parameters.index.as_str()), (Some(message), "main"));
            let mut orders = Orders::default();
            let row = Row::of([("id", vec!["x"]), ("defender_status", vec!["new"])]);
            assert_eq!(refused(orders.next(&parameters, &row)), format!("parameter {message}"));
            assert_eq!(orders.due, []);
        }
        assert_eq!(parameters(r#"{"account":"a"}"#).fault, None, "rows may bring the change");
        // Case and blanks make no other value.
        let spelled =
            parameters(r#"{"account":"a","api":" Graph ","if_changed":"Refuse","dry_run":"TRUE","status":"RESOLVED "}"#);
        assert_eq!(
            (spelled.fault, spelled.api.as_str(), spelled.if_changed, spelled.dry_run),
            (None, "graph", IfChanged::Refuse, true)
        );
        // What looks like a key is not repeated.
        let pasted = parameters(r#"{"account":"a","status":"abc8Q~0123456789abcdefghijABCDEFGHIJ"}"#);
        assert!(pasted.fault.unwrap().starts_with("status `***` is not allowed"));
    }

    #[test]
    fn an_object_is_the_same_in_every_spelling_of_its_id() {
        for (action, ids, one) in [
            (Action::IncidentUpdate, ["7", "07", "0007"], "7"),
            (Action::IncidentUpdate, ["0", "00", "000"], "0"),
            (Action::AlertUpdate, ["aB-1", "Ab-1", "AB-1"], "aB-1"),
        ] {
            let parameters = Parameters::read(action, &payload(r#"{"account":"a","status":"resolved"}"#));
            let mut orders = Orders::default();
            for id in ids {
                let order = orders.next(&parameters, &Row::of([("id", vec![id])]));
                assert!(matches!(order, Order::Change(key) | Order::Repeat(key) if key == one.to_lowercase()));
            }
            assert_eq!(orders.due.iter().map(|task| task.id.as_str()).collect::<Vec<_>>(), [one]);
        }
    }

    fn refused(order: Order) -> String {
        match order {
            Order::Refuse(Outcome::Refused(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_object_is_changed_once() {
        let parameters = parameters(r#"{"account":"a","status":"resolved"}"#);
        let mut orders = Orders::default();
        let row = Row::of([("id", vec!["x"])]);
        assert!(matches!(orders.next(&parameters, &row), Order::Change(id) if id == "x"));
        assert!(matches!(orders.next(&parameters, &row), Order::Repeat(id) if id == "x"));
        let due = std::mem::take(&mut orders.due);
        assert_eq!((due.len(), orders.end_of("x")), (1, None));
        let mut end = Done::early(Outcome::Updated("x".repeat(5000)));
        end.trace.attempts = 1;
        assert_eq!(orders.ended("X", end.clone()), "x");
        assert_eq!(orders.end_of("x"), Some(&end));
        orders.told("x");
        assert_eq!(orders.end_of("x").unwrap().outcome, Outcome::Updated(format!("{}...", "x".repeat(1000))));
        assert!(matches!(orders.next(&parameters, &row), Order::Repeat(_)));
        assert_eq!(orders.due.len(), 0);
        let other = Row::of([("id", vec!["x"]), ("defender_status", vec!["new"])]);
        assert_eq!(refused(orders.next(&parameters, &other)), "a row before asks for another change of the same object");
    }

    #[test]
    fn a_rows_own_field_wins_and_a_row_must_name_one_object() {
        let parameters = parameters(r#"{"account":"a","status":"resolved","comment":"c"}"#);
        let mut orders = Orders::default();
        let row = Row::of([("id", vec!["x"]), ("defender_status", vec!["in progress"])]);
        orders.next(&parameters, &row);
        let change = &orders.due[0].change;
        assert_eq!(change.status, Some(crate::microsoft::values::Status::InProgress));
        assert_eq!(change.comment.as_deref(), Some("c"));
        for (row, part) in [
            (Row::of([("title", vec!["x"])]), "the row has nothing in field `id`"),
            (Row::of([("id", vec!["x", "y"])]), "field `id` holds 2 ids"),
            (Row::of([("id", vec!["z"]), ("defender_status", vec!["shut"])]), "status `shut` is not allowed"),
            (
                Row::of([("id", vec!["z"]), ("defender_assigned_to", vec!["ann", "bob"])]),
                "field `defender_assigned_to` holds 2 values, and the object takes one",
            ),
        ] {
            let reason = refused(orders.next(&parameters, &row));
            assert!(reason.contains(part), "{reason}");
        }
    }

    #[test]
    fn a_comments_mark_depends_on_search_run_and_text() {
        let mark = |search: &str, sid: &str, comment: &str| {
            let text = serde_json::json!({"server_uri": "https://127.0.0.1:8089", "session_key": "k", "search_name": search,
                "sid": sid, "configuration": {"account": "a", "comment": comment}});
            let payload = crate::splunk::alert::read(text.to_string().as_bytes()).unwrap();
            let parameters = Parameters::read(Action::AlertUpdate, &payload);
            parameters.change(None).unwrap().mark.unwrap()
        };
        let one = mark("s", "1", "c");
        assert!(one.starts_with("[Splunk ") && one.len() == 25, "{one}");
        assert_eq!(one, mark("s", "1", "c"));
        for other in [mark("s", "2", "c"), mark("t", "1", "c"), mark("s", "1", "d"), mark("s1", "", "c")] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn the_version_that_a_row_shows() {
        let row = Row::of([
            ("id", vec!["x"]),
            ("lastUpdateDateTime", vec!["2026-01-01T00:00:00Z"]),
            ("status", vec!["new"]),
            ("assignedTo", vec![]),
        ]);
        let seen = Seen {
            updated: "2026-01-01T00:00:00Z".to_owned(),
            members: vec![(Member::Status, "new".to_owned()), (Member::AssignedTo, String::new())],
        };
        let warn = parameters(r#"{"account":"a","status":"resolved"}"#);
        let refuse = parameters(r#"{"account":"a","status":"resolved","if_changed":"refuse"}"#);
        assert_eq!(warn.seen(&row), Ok(Some(seen.clone())));
        assert_eq!(refuse.seen(&row), Ok(Some(seen)));
        for none in [Row::of([("id", vec!["x"])]), Row::of([("lastUpdateTime", vec!["yesterday"])])] {
            assert_eq!(warn.seen(&none), Ok(None));
            let why = "the row has no lastUpdateDateTime to compare: keep the field in the search, or set if_changed = warn";
            assert_eq!(refuse.seen(&none), Err(why.to_owned()));
        }
    }

    #[test]
    fn only_the_fields_that_matter_are_kept() {
        let parameters = parameters(r#"{"account":"a","id_field":"alert"}"#);
        for field in ["alert", "__mv_alert", "defender_status", "defender_tags", "rid", "lastUpdateTime", "assignedTo"] {
            assert!(parameters.reads(field), "{field}");
        }
        for field in ["_raw", "id", "defender_foo", "title"] {
            assert!(!parameters.reads(field), "{field}");
        }
    }
}
