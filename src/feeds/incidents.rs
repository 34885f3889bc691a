//! Incidents, each in every version, and their alerts: Graph `incidents`, or the Microsoft 365 Defender incidents API.

use std::borrow::Cow;

use super::alert::{self, Kind};
use super::{Draft, Emission, Feed, Form, INCIDENT, IncludeAlerts, Reading, Row};
use crate::json::value::{Object, Value};
use crate::json::{self, Piece, Place};
use crate::microsoft::cloud::What;
use crate::microsoft::object::expanded;

/// See the module.
pub(super) const FEED: Feed = Feed { name: "incidents", title: "Incidents and their alerts", what: What::Incidents, events };

fn events(row: &Row<'_>, reading: &Reading<'_>, out: &mut Emission) {
    let alerts = alerts_of(row, reading);
    if reading.is_new {
        let mut data = out.blank();
        match row.object {
            Some(object) => incident(&mut data, object, &alerts, reading),
            None => row.append(&mut data, reading.form, reading.names.identity),
        }
        out.drafts.push(Draft { time: reading.time(row.version), sourcetype: INCIDENT, data });
    }
    let Some(identity) = reading.names.alert else { return };
    if reading.include_alerts == IncludeAlerts::None {
        // None of them counts as seen: should the input want them later, they come.
        return;
    }
    for alert in &alerts.rows {
        // Twice in one answer happens when an incident is being merged into another.
        // Older than what was written of it, in an incident that is not new: a copy of what both were.
        let is_stale = (reading.is_stray || !reading.is_new) && reading.alerts.is_beyond(alert.version);
        let known = alert.is_dated()
            && (reading.alerts.holds(alert.version)
                || reading.alerts.holds(alert.unplaced)
                || is_stale
                || out.alerts_seen.contains_key(&alert.version));
        if alert.is_dated() && !is_stale && !(reading.is_stray && known) {
            out.alerts_seen.insert(alert.version, alert.unplaced);
        }
        let wanted = match reading.include_alerts {
            IncludeAlerts::None => false,
            IncludeAlerts::All => reading.is_new || (reading.is_owed && !known),
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
    let (Some(object), Some(identity)) = (row.object, reading.names.alert) else { return none };
    let Some(expanded) = expanded(object, reading.names) else { return none };
    let read = |alert: Value<'a>| Row::read(alert, identity, Some(reading.names.incident_id));
    let rows: Vec<Row<'a>> = expanded.rows.into_iter().map(read).collect();
    let id = |row: &Row<'a>| row.object.and_then(|object| object.text(identity.id));
    let ids = expanded.is_whole.then(|| rows.iter().filter_map(id).collect());
    Alerts { rows, ids }
}

/// Appends the incident with `alertIds` and `alertsCount` in the place of its alerts.
fn incident(out: &mut String, object: Object<'_>, alerts: &Alerts<'_>, reading: &Reading<'_>) {
    let listed = alerts.ids.as_ref().map(|ids| {
        let mut text = String::from("[");
        for id in ids {
            if text.len() > 1 {
                text.push(',');
            }
            json::quote(&mut text, id);
        }
        text.push(']');
        (text, alerts.rows.len().to_string())
    });
    let mut pieces = Vec::new();
    for member in object.members() {
        if member.name().strip_prefix(reading.names.alerts).is_some_and(|rest| rest == "@odata.nextLink") {
            // Where the list of alerts goes on is of no use in an event.
            continue;
        } else if !member.is(reading.names.alerts) {
            pieces.push(Piece::Raw(member, Place::Natural));
        } else if let Some((ids, count)) = &listed {
            pieces.push(Piece::Made("alertIds", ids, Place::Natural));
            pieces.push(Piece::Made("alertsCount", count, Place::Natural));
        }
    }
    match reading.form {
        Form::Compact => json::compose(out, &pieces, reading.names.identity.updated),
        Form::Verbatim => json::side_by_side(out, &pieces),
    }
}
