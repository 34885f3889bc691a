//! Lists inside objects that are not all there is, or no lists.

use serde_json::{Value, json};

use super::Outcome::Unnoticed;
use super::{Asked, Oddity, Place, always, edit_rows};
use crate::wire::Response;

const LINK: &str = "https://graph.example/v1.0/security/incidents/1/alerts?$skip=1";

pub(super) const ROWS: &[Oddity] = &[
    expanded("a list inside that goes on behind a link", "simple-odata-client/Simple.OData.Client#279", |r, _| {
        each(r, |incident, alerts| {
            incident["alerts"] = json!(&alerts[..alerts.len() / 2]);
            incident["alerts@odata.nextLink"] = json!(LINK);
        })
    }),
    expanded("a list inside that is empty and goes on behind a link", "oasis-tcs/odata-specs#1513", |r, _| {
        each(r, |incident, _| {
            incident["alerts"] = json!([]);
            incident["alerts@odata.nextLink"] = json!(LINK);
        })
    }),
    expanded("a list inside that is shorter than its count", "OData/AspNetCoreOData#701", |r, _| {
        each(r, |incident, alerts| {
            incident["alerts"] = json!(&alerts[1..]);
            incident["alerts@odata.count"] = json!(alerts.len());
        })
    }),
    expanded("one object in place of a list inside", "uwaterloo/OpenData#2", |r, _| {
        each(r, |incident, alerts| incident["alerts"] = alerts[0].clone())
    }),
    expanded("null in place of a list inside", "OData/ODataSamples#70", |r, _| {
        each(r, |incident, _| incident["alerts"] = Value::Null)
    }),
    expanded("no list inside though it was asked for", "SAP/open-ux-odata#234", |r, _| {
        each(r, |incident, _| {
            incident.as_object_mut().map(|members| members.remove("alerts"));
        })
    }),
];

const fn expanded(name: &'static str, report: &'static str, bend: fn(Response, &Asked<'_>) -> Response) -> Oddity {
    Oddity { place: Place::Expanded, ..always(name, report, Unnoticed, bend) }
}

/// Each incident that has alerts, with these.
fn each(response: Response, change: impl Fn(&mut Value, &[Value])) -> Response {
    edit_rows(response, |rows| {
        for incident in rows {
            let alerts = incident["alerts"].as_array().cloned().unwrap_or_default();
            if !alerts.is_empty() {
                change(incident, &alerts);
            }
        }
    })
}
