//! `search/jobs` with `exec_mode=oneshot`: a search that is answered with its results.

use super::answers::message;
use super::{Splunkd, spl};
use crate::json::Json;
use crate::object;
use crate::time::Time;
use crate::wire::{Request, Response};

pub(super) fn answer(splunkd: &Splunkd, request: &Request, now: Time) -> Response {
    let form = request.form();
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    if field("exec_mode") != Some("oneshot") {
        return message(request, 400, "FATAL", "Only exec_mode=oneshot is played here.");
    }
    let Some(search) = field("search") else {
        return message(request, 400, "FATAL", "Empty search.");
    };
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
            let row = |row: &super::journal::Record| {
                Json::Object(row.iter().map(|(name, value)| (name.clone().into(), Json::from(value))).collect())
            };
            let results = rows.iter().take(most).map(row).collect();
            Response::json(
                200,
                &object! { "preview" => false, "messages" => Json::List(Vec::new()), "results" => Json::List(results) },
            )
        }
        Err(text) => message(request, 400, "FATAL", &text),
    }
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
