//! `search/jobs` with `exec_mode=oneshot`: a search that is answered with its results.

use super::answers::message;
use super::journal::Record;
use super::{APP, Splunkd, User, spl};
use crate::json::Json;
use crate::object;
use crate::time::Time;
use crate::wire::{Request, Response};

pub(super) fn answer(splunkd: &Splunkd, request: &Request, user: &User, now: Time) -> Response {
    let form = request.form();
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    if field("exec_mode") != Some("oneshot") {
        return message(request, 400, "FATAL", "Only exec_mode=oneshot is played here.");
    }
    let Some(search) = field("search") else {
        return message(request, 400, "FATAL", "Empty search.");
    };
    if let Some((path, rest)) = asked_of_rest(search) {
        return match entries(splunkd, user, path) {
            Ok(rows) => spl::run(&format!("search {rest}"), rows)
                .map_or_else(|text| message(request, 400, "FATAL", &text), |rows| results(&rows, Json::List(Vec::new()))),
            // As splunkd does it: 200 without rows, and a message.
            Err(text) => results(&[], Json::List(vec![object! { "type" => "WARN", "text" => text }])),
        };
    }
    let bound = |name: &str, default: f64| field(name).map_or(Ok(default), |text| seconds(text, now));
    let found = bound("earliest_time", f64::MIN).and_then(|earliest| Ok((earliest, bound("latest_time", f64::MAX)?))).and_then(
        |(earliest, latest)| {
            let inside = splunkd.journal.records().iter().filter(|record| {
                let time = record.get("_time").and_then(|text| text.parse().ok()).unwrap_or(0.0);
                (earliest..latest).contains(&time)
            });
            // splunkd hands out the newest first.
            let mut records: Vec<_> = inside.cloned().collect();
            records.sort_by(|a, b| spl::compare(b.get("_time"), a.get("_time")));
            spl::run(search, records)
        },
    );
    match found {
        Ok(rows) => {
            let most = field("count").and_then(|count| count.parse().ok()).filter(|count| *count > 0).unwrap_or(100_usize);
            results(&rows[..rows.len().min(most)], Json::List(Vec::new()))
        }
        Err(text) => message(request, 400, "FATAL", &text),
    }
}

fn results(rows: &[Record], messages: Json) -> Response {
    let row = |row: &Record| Json::Object(row.iter().map(|(name, value)| (name.clone().into(), Json::from(value))).collect());
    let rows = rows.iter().map(row).collect();
    Response::json(200, &object! { "preview" => false, "messages" => messages, "results" => Json::List(rows) })
}

/// The path and the later commands of `| rest <path> count=0 splunk_server=local | search …`.
fn asked_of_rest(search: &str) -> Option<(&str, &str)> {
    let (first, rest) = search.trim_start().strip_prefix('|')?.trim_start().strip_prefix("rest ")?.split_once('|')?;
    let path = first.trim().strip_suffix("count=0 splunk_server=local")?.trim();
    Some((path, rest.trim_start().strip_prefix("search ")?))
}

/// What the command `rest` gives: every member of every entry, the clear text among them.
fn entries(splunkd: &Splunkd, user: &User, path: &str) -> Result<Vec<Record>, String> {
    if path != format!("/servicesNS/nobody/{APP}/storage/passwords") {
        return Err(format!("Failed to fetch REST endpoint uri={path}: only stored passwords are played here."));
    }
    if !user.capabilities.contains("list_storage_passwords") {
        return Err(format!("Failed to fetch REST endpoint uri={path} Check that the URI path provided exists in the REST API."));
    }
    let entry = |(realm, user, password): (&str, &str, &str)| {
        let members = [("realm", realm), ("username", user), ("clear_password", password)];
        members.map(|(name, value)| (name.to_string(), value.to_string())).into()
    };
    Ok(splunkd.passwords().map(entry).collect())
}

/// Reads `now`, `-24h` or epoch seconds.
fn seconds(text: &str, now: Time) -> Result<f64, String> {
    let wrong = || format!("Invalid time term '{text}'.");
    if text == "now" {
        return Ok(now.unix() as f64 + 1.0);
    }
    let Some(back) = text.strip_prefix('-') else { return text.parse().map_err(|_| wrong()) };
    let digits = back.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let unit = match &back[digits.len()..] {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(wrong()),
    };
    Ok(now.unix() as f64 - digits.parse::<f64>().map_err(|_| wrong())? * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rest_gives_the_columns_that_are_asked_for_to_those_who_may_read() {
        let mut splunkd = Splunkd::default();
        splunkd.set_password("mine", "a", "s3cr3t");
        splunkd.set_password("others", "b", "s3cr3t");
        let text = "| rest /servicesNS/nobody/TA_defender/storage/passwords count=0 splunk_server=local | search realm=\"mine\" | table username";
        let form = format!("exec_mode=oneshot&search={}", crate::wire::percent_encode(text));
        let request = Request::new("POST", "/services/search/jobs").body("application/x-www-form-urlencoded", form);
        let said = |capability: &str| {
            let user = User { name: "ann".to_string(), capabilities: [capability.to_string()].into() };
            answer(&splunkd, &request, &user, Time(0)).text()
        };
        let allowed = said("list_storage_passwords");
        assert!(allowed.contains(r#""results":[{"username":"a"}]"#) && !allowed.contains("s3cr3t"), "{allowed}");
        let refused = said("search");
        assert!(refused.contains(r#""results":[]"#) && refused.contains("WARN"), "{refused}");
    }
}
