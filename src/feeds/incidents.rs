//! Incidents, each in every version, and their alerts: Graph `incidents`, or the Microsoft 365 Defender incidents API.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::value::{RawValue, to_raw_value};

use super::alert::{self, Kind};
use super::{Draft, Emission, Feed, Form, INCIDENT, IncludeAlerts, Reading, Row};
use crate::json::{self, Members};
use crate::microsoft::cloud::What;
use crate::microsoft::object::Identity;

/// See the module.
pub(super) const FEED: Feed = Feed { name: "incidents", title: "Incidents and their alerts", what: What::Incidents, events };

fn events(row: &Row<'_>, reading: &Reading<'_>, out: &mut Emission) {
    let alerts = alerts_of(row, reading);
    if reading.is_new {
        let data = match &row.members {
            Some(members) => incident(members, &alerts, reading),
            None => row.text(reading.form, reading.names.identity),
        };
        out.drafts.push(Draft { time: reading.time(row.version), sourcetype: INCIDENT, data });
    }
    let Some(identity) = reading.names.alert else { return };
    for alert in &alerts.rows {
        // Twice in one answer happens when an incident is being merged into another.
        let known = alert.is_dated() && (reading.alerts.holds(alert.version) || !out.alerts_seen.insert(alert.version));
        let wanted = match reading.include_alerts {
            IncludeAlerts::None => return,
            IncludeAlerts::All => reading.is_new,
            // An alert that cannot be told apart by its own version goes with its incident's.
            IncludeAlerts::Changed if alert.is_dated() => !known,
            IncludeAlerts::Changed => reading.is_new,
        };
        if wanted {
            let time = if alert.is_dated() { reading.time(alert.version) } else { reading.time(row.version) };
            alert::emit(alert, reading, identity, Kind::OfIncident, time, out);
        } else {
            out.alerts_repeated += 1;
        }
    }
}

/// The alerts an incident came with.
struct Alerts<'a> {
    rows: Vec<Row<'a>>,
    /// Their ids, as JSON; `None` unless the list is known to be whole: an incident that was read without its alerts, or
    /// with a first page of them, must not look like one that has none.
    ids: Option<Vec<Cow<'a, str>>>,
}

fn alerts_of<'a>(row: &Row<'a>, reading: &Reading<'_>) -> Alerts<'a> {
    let none = Alerts { rows: Vec::new(), ids: None };
    let (Some(members), Some(identity)) = (&row.members, reading.names.alert) else { return none };
    let Some(list) = members.get(reading.names.alerts) else { return none };
    let Ok(alerts) = serde_json::from_str::<Vec<&'a RawValue>>(list.get()) else { return none };
    let rows: Vec<Row<'a>> = alerts.into_iter().map(|raw| Row::read(raw.get(), identity)).collect();
    let whole = members.get(&format!("{}@odata.nextLink", reading.names.alerts)).is_none();
    let id = |row: &Row<'a>| row.members.as_ref().and_then(|members| members.text(identity.id));
    let ids = whole.then(|| rows.iter().filter_map(id).collect());
    Alerts { rows, ids }
}

/// The incident with `alertIds` and `alertsCount` in the place of its alerts.
fn incident(members: &Members<'_>, alerts: &Alerts<'_>, reading: &Reading<'_>) -> String {
    let Identity { updated, .. } = reading.names.identity;
    let listed = alerts.ids.as_ref().map(|ids| {
        let mut text = String::from("[");
        for id in ids {
            if text.len() > 1 {
                text.push(',');
            }
            json::quote(&mut text, id);
        }
        text.push(']');
        (RawValue::from_string(text), to_raw_value(&alerts.rows.len()))
    });
    let mut replaced = Vec::with_capacity(members.0.len() + 1);
    for (name, value) in &members.0 {
        if name.strip_prefix(reading.names.alerts).is_some_and(|rest| rest == "@odata.nextLink") {
            // Where the list of alerts goes on is of no use in an event.
            continue;
        } else if name != reading.names.alerts {
            replaced.push((name.clone(), *value));
        } else if let Some((Ok(ids), Ok(count))) = &listed {
            replaced.push((Cow::Borrowed("alertIds"), &**ids));
            replaced.push((Cow::Borrowed("alertsCount"), &**count));
        }
    }
    match reading.form {
        Form::Compact => json::compact(&Members(replaced), updated),
        Form::Verbatim => {
            let mut text = String::from("{");
            for (name, value) in &replaced {
                let comma = if text.len() > 1 { "," } else { "" };
                text.push_str(comma);
                json::quote(&mut text, name);
                let _ = write!(text, ":{}", json::one_line(value.get()));
            }
            text.push('}');
            text
        }
    }
}
