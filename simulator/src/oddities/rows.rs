//! Objects without the members that say what they are, with odd values, and such as nobody asked for.

use serde_json::{Value, json};

use super::Outcome::{Unnoticed, Warned};
use super::{Oddity, always, edit_rows};
use crate::time::Time;
use crate::wire::Response;

/// What is told of an object that has no id or no time.
const UNDATED: &str = "was passed on as it came";

pub(super) const ROWS: &[Oddity] = &[
    always("an update time that is null", "opensearch-project/ml-commons#2922", Warned(UNDATED), |r, _| stray(r, json!(null))),
    always("an update time that is empty", "OpenCTI-Platform/connectors#5162", Warned(UNDATED), |r, _| stray(r, json!(""))),
    always("an update time that is a number", "OpenCTI-Platform/connectors#3256", Warned(UNDATED), |r, _| {
        stray(r, json!(1_700_238_889))
    }),
    always("an update time with an invisible mark", "fox-it/dissect.target#1182", Warned(UNDATED), |r, _| {
        stray(r, json!("\u{200e}2026-01-01T00:00:00Z"))
    }),
    always("an update time without a zone", "fox-it/dissect.target#1462", Unnoticed, |r, _| {
        edit_rows(r, |rows| {
            let updated = names(rows).map_or("", |(_, updated, _)| updated);
            for row in rows {
                if let Some(text) = row[updated].as_str() {
                    row[updated] = json!(text.trim_end_matches('Z'));
                }
            }
        })
    }),
    always("an update time from the beginning of all time", "elastic/integrations#8231", Unnoticed, |r, _| {
        stray(r, json!("0001-01-01T00:00:00Z"))
    }),
    always("an update time at the end of all time", "yerzhansa/enduragent#244", Warned(UNDATED), |r, _| {
        stray(r, json!("9999-12-31T23:59:59.9999999Z"))
    }),
    always("an update time a day ahead", "yerzhansa/enduragent#244", Unnoticed, |r, a| {
        let ahead = Time::from_unix(a.now.unix() / 86_400 * 86_400 + 2 * 86_400).to_string();
        stray(r, json!(ahead))
    }),
    always("update times of whole seconds without a fraction", "demisto/content#45654", Unnoticed, |r, _| {
        stray(r, json!("2020-08-09T00:10:15Z"))
    }),
    always("update times of two digits", "ibmresilient/resilient-community-apps#49", Unnoticed, |r, _| {
        stray(r, json!("2020-03-27T11:57:22.29Z"))
    }),
    always("the lower edge is not looked at", "elastic/integrations#21461", Unnoticed, |r, _| {
        stray(r, json!("2020-01-01T00:00:00Z"))
    }),
    always("an object without an id", "OpenCTI-Platform/connectors#6016", Warned(UNDATED), |r, _| {
        edit_rows(r, |rows| {
            if let Some((_, updated, _)) = names(rows) {
                rows.insert(0, json!({updated: "2026-01-01T00:00:00Z", "severity": "low"}));
            }
        })
    }),
    always("every object twice", "demisto/content#35424", Unnoticed, |r, _| {
        edit_rows(r, |rows| *rows = rows.iter().flat_map(|row| [row.clone(), row.clone()]).collect())
    }),
    always("a row that is null", "viezel/napp.alloy.adapter.restapi#58", Warned(UNDATED), |r, _| {
        edit_rows(r, |rows| rows.insert(0, Value::Null))
    }),
    always("half of a surrogate pair in a title", "dgtlmoon/changedetection.io#4273", Unnoticed, |r, _| titled(r, "\\ud800")),
    always("control characters in a title", "schwanksta/python-arcgis-rest-query#7", Unnoticed, |r, _| {
        titled(r, "\\u0000\\u0008\\u001b")
    }),
    always("line separators and brackets in a title", "wazuh/wazuh#6621", Unnoticed, |r, _| {
        titled(r, "[28/Oct]\u{2028}\\r\\n</event>]]>")
    }),
];

/// The names of id and update time, and an id that no object has, as the rows of a list have them.
fn names(rows: &[Value]) -> Option<(&'static str, &'static str, Value)> {
    let row = rows.first()?;
    let updated = if row.get("lastUpdateDateTime").is_some() { "lastUpdateDateTime" } else { "lastUpdateTime" };
    Some(match row.get("id").and_then(Value::as_str) {
        None => ("incidentId", updated, json!(990_001)),
        Some(id) if id.bytes().all(|b| b.is_ascii_digit()) => ("id", updated, json!("990001")),
        Some(_) => ("id", updated, json!("da0_stray")),
    })
}

/// One more object with this update time in every answer that holds any.
fn stray(response: Response, at: Value) -> Response {
    edit_rows(response, |rows| {
        if let Some((id, updated, unused)) = names(rows) {
            rows.push(json!({id: unused, updated: at, "severity": "low"}));
        }
    })
}

/// Titles with something in them that is written as JSON escapes it.
fn titled(response: Response, text: &str) -> Response {
    let text = String::from_utf8_lossy(&response.body).replace("\"title\":\"", &format!("\"title\":\"{text}"));
    let text = text.replace("\"incidentName\":\"", &format!("\"incidentName\":\"{}", "\\ud800"));
    Response { body: text.into_bytes(), ..response }
}
