//! What each row asks for: the action's parameters, the row's own fields in their place, and what rows before it asked of
//! the same object.

use std::collections::HashMap;

use super::Outcome;
use crate::error::Error;
use crate::microsoft::cloud::{Resource, What};
use crate::microsoft::query::check_id;
use crate::microsoft::update::{Change, Refusal, Wanted};
use crate::mode::Action;
use crate::splunk::alert::{Payload, Row};

/// The changes an action's parameters can ask for, in the order of [`Wanted`]'s members.
const CHANGES: [&str; 6] = ["status", "assigned_to", "classification", "determination", "comment", "tags"];
/// In front of a change's name: the row's own field for it.
const OVERRIDE: &str = "defender_";
/// The row's fields that Enterprise Security's line repeats.
const ES_FIELDS: [&str; 3] = ["rid", "orig_sid", "orig_rid"];

/// An action's parameters.
#[derive(Debug)]
pub(super) struct Parameters {
    /// The account's name.
    pub(super) account: String,
    /// What is changed through which API.
    pub(super) resource: Resource,
    /// Whether to say only what would be changed.
    pub(super) dry_run: bool,
    id_field: String,
    changes: [String; 6],
}

impl Parameters {
    /// Reads and checks the parameters that are the same for all rows.
    pub(super) fn read(action: Action, payload: &Payload) -> Result<Self, Error> {
        let what = match action {
            Action::IncidentUpdate => What::Incidents,
            Action::AlertUpdate => What::Alerts,
        };
        let wrong = |name, reason| Error::Parameter { name, reason };
        let account = payload.param("account").ok_or_else(|| wrong("account", "it is required and missing".to_owned()))?;
        let api = payload.param("api").unwrap_or("graph");
        let resource = Resource::of(api, what).map_err(|reason| wrong("api", reason))?;
        let dry_run = match payload.param("dry_run").unwrap_or("0").to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" => true,
            "0" | "false" | "no" => false,
            other => return Err(wrong("dry_run", format!("`{other}` is neither 1 nor 0"))),
        };
        let parameters = Self {
            account: account.to_owned(),
            resource,
            dry_run,
            id_field: payload.param("id_field").unwrap_or("id").to_owned(),
            changes: CHANGES.map(|name| payload.param(name).unwrap_or_default().to_owned()),
        };
        match parameters.change(None) {
            // Every row may bring its own change.
            Ok(_) | Err(Refusal::Nothing) => Ok(parameters),
            Err(refusal) => Err(wrong("of the change", refusal.to_string())),
        }
    }

    /// Whether a field of the results is looked at.
    pub(super) fn reads(&self, field: &str) -> bool {
        let bare = field.strip_prefix("__mv_").unwrap_or(field);
        let overrides = bare.strip_prefix(OVERRIDE).is_some_and(|name| CHANGES.contains(&name));
        bare == self.id_field || overrides || ES_FIELDS.contains(&bare)
    }

    /// The row's object, when it names exactly one.
    pub(super) fn id_of(&self, row: &Row) -> Option<String> {
        match row.values(&self.id_field).as_slice() {
            [id] => Some(id.trim().to_owned()),
            _ => None,
        }
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
        Change::parse(self.resource.what(), &wanted)
    }
}

/// What a row comes to.
pub(super) enum Order {
    /// Change the object.
    Change {
        /// Which.
        id: String,
        /// How.
        change: Change,
    },
    /// A row before asked for the same: it has the same result.
    Same(Outcome),
    /// Nothing can be sent for this row.
    Refuse(Outcome),
}

/// What rows before asked of each object.
#[derive(Default)]
pub(super) struct Orders(HashMap<String, (Change, Option<Outcome>)>);

impl Orders {
    /// Reads the next row.
    pub(super) fn next(&mut self, parameters: &Parameters, row: &Row) -> Order {
        let refuse = |reason: String| Order::Refuse(Outcome::Refused(reason));
        let field = &parameters.id_field;
        let Some(id) = parameters.id_of(row) else {
            return refuse(match row.values(field).len() {
                0 => format!("the row has no field `{field}`: name the field that holds the id in id_field"),
                many => format!("field `{field}` holds {many} ids: expand the search to one row per id"),
            });
        };
        if let Err(reason) = check_id(parameters.resource, &id) {
            return refuse(reason);
        }
        let change = match parameters.change(Some(row)) {
            Ok(change) => change,
            Err(refusal) => return refuse(refusal.to_string()),
        };
        match self.0.get(&id) {
            Some((before, Some(outcome))) if *before == change => Order::Same(outcome.clone()),
            Some(_) => refuse("a row before asks for another change of the same object".to_owned()),
            None => {
                self.0.insert(id.clone(), (change.clone(), None));
                Order::Change { id, change }
            }
        }
    }

    /// Notes what became of an object.
    pub(super) fn remember(&mut self, id: &str, outcome: &Outcome) {
        if let Some((_, noted)) = self.0.get_mut(id) {
            *noted = Some(outcome.clone());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn payload(configuration: &str) -> Payload {
        let text = format!(r#"{{"server_uri":"https://127.0.0.1:8089","session_key":"k","configuration":{configuration}}}"#);
        crate::splunk::alert::read(text.as_bytes()).unwrap()
    }

    fn parameters(configuration: &str) -> Result<Parameters, String> {
        Parameters::read(Action::AlertUpdate, &payload(configuration)).map_err(|error| error.to_string())
    }

    #[test]
    fn bad_parameters_are_refused_before_any_row() {
        let table = [
            ("{}", "parameter account: it is required and missing"),
            (r#"{"account":"a","dry_run":"maybe"}"#, "parameter dry_run: `maybe` is neither 1 nor 0"),
            (
                r#"{"account":"a","status":"closed"}"#,
                "parameter of the change: status `closed` is not allowed: write new, inProgress or resolved",
            ),
            (r#"{"account":"a","tags":"x"}"#, "parameter of the change: tags: alerts have none, only incidents do"),
        ];
        for (configuration, message) in table {
            assert_eq!(parameters(configuration).unwrap_err(), message);
        }
        assert!(parameters(r#"{"account":"a","api":"soap"}"#).unwrap_err().starts_with("parameter api: "));
        assert!(parameters(r#"{"account":"a"}"#).is_ok(), "rows may bring the change");
    }

    fn outcome(order: Order) -> Result<(String, Change), Outcome> {
        match order {
            Order::Change { id, change } => Ok((id, change)),
            Order::Same(outcome) | Order::Refuse(outcome) => Err(outcome),
        }
    }

    #[test]
    fn one_object_is_changed_once() {
        let parameters = parameters(r#"{"account":"a","status":"resolved"}"#).unwrap();
        let mut orders = Orders::default();
        let row = Row::of([("id", vec!["x"])]);
        assert_eq!(outcome(orders.next(&parameters, &row)).unwrap().0, "x");
        orders.remember("x", &Outcome::Updated("done".to_owned()));
        assert_eq!(outcome(orders.next(&parameters, &row)).unwrap_err(), Outcome::Updated("done".to_owned()));
        let other = Row::of([("id", vec!["x"]), ("defender_status", vec!["new"])]);
        let refused = "a row before asks for another change of the same object".to_owned();
        assert_eq!(outcome(orders.next(&parameters, &other)).unwrap_err(), Outcome::Refused(refused));
    }

    #[test]
    fn a_rows_own_field_wins_and_a_row_must_name_one_object() {
        let parameters = parameters(r#"{"account":"a","status":"resolved","comment":"c"}"#).unwrap();
        let mut orders = Orders::default();
        let row = Row::of([("id", vec!["x"]), ("defender_status", vec!["in progress"])]);
        let (_, change) = outcome(orders.next(&parameters, &row)).unwrap();
        assert_eq!(change.status, Some(crate::microsoft::values::Status::InProgress));
        assert_eq!(change.comment.as_deref(), Some("c"));
        for (row, part) in [
            (Row::of([("title", vec!["x"])]), "the row has no field `id`"),
            (Row::of([("id", vec!["x", "y"])]), "field `id` holds 2 ids"),
            (Row::of([("id", vec!["z"]), ("defender_status", vec!["shut"])]), "status `shut` is not allowed"),
        ] {
            let Outcome::Refused(reason) = outcome(orders.next(&parameters, &row)).unwrap_err() else { panic!() };
            assert!(reason.contains(part), "{reason}");
        }
    }

    #[test]
    fn only_the_fields_that_matter_are_kept() {
        let parameters = parameters(r#"{"account":"a","id_field":"alert"}"#).unwrap();
        for field in ["alert", "__mv_alert", "defender_status", "defender_tags", "rid"] {
            assert!(parameters.reads(field), "{field}");
        }
        for field in ["_raw", "id", "defender_foo", "status"] {
            assert!(!parameters.reads(field), "{field}");
        }
    }
}
