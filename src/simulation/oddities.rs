//! Services whose answers are odd without being errors: a clock that is wrong, pages that are none, lists that are cut, times
//! that are not kept any longer. Each seed has some of these traits, and answers that are odd once come besides.

use std::cmp::Ordering;

use serde_json::{Value, json};
use simulator::chance::Chance;
use simulator::model::{Behaviour, Links};
use simulator::wire::{Request, Response};
use simulator::{Time, faults::Route, wire::Service};

use super::hazards::Hazards;
use super::stage::BEGIN;
use crate::microsoft::cloud::Resource;

/// A service's clock is wrong by less than this, in seconds.
const MOST_WRONG: u64 = 2 * 86_400;
/// Where the service keeps less than is asked for, it keeps at least this much before the first object.
const KEPT_BEFORE: u64 = 3_600;

/// The odd traits of one seed's service.
#[derive(Debug)]
pub(super) struct Oddities {
    /// Whether clocks are wrong at all.
    pub(super) are_clocks_right: bool,
    /// Seconds by which the `Date` of every answer is ahead; below 0 it is behind.
    clock: i64,
    /// Whether its clock is put right before the end.
    clock_heals: bool,
    /// Every page that holds a row names a next one, which may be empty.
    names_empty_pages: bool,
    /// Every page names a next one, the empty ones as well.
    names_pages_without_end: bool,
    /// Lists of incidents cut the lists of alerts inside.
    cuts_expansions: bool,
    /// A request for what was updated before this is refused.
    pub(super) keeps_from: Option<Time>,
    /// Answers are as usual, but for those traits that last.
    pub(super) is_quiet: bool,
    /// How this machine's clock is wrong. One clock bounds the other, so at no time are both wrong in the same direction.
    pub(super) machine: Ordering,
}

impl Oddities {
    pub(super) fn new(resource: Resource, behaviour: &Behaviour, chance: &mut Chance, hazards: &mut Hazards) -> Self {
        let are_clocks_right = chance.percent(40);
        let clock = if !are_clocks_right && chance.percent(25) { wrong(chance) } else { 0 };
        if clock != 0 {
            hazards.met(if clock > 0 { "service's clock ahead" } else { "service's clock behind" });
        }
        let links = behaviour.links == Links::Own;
        let keeps_from = chance.percent(15).then(|| {
            let before = i64::try_from(KEPT_BEFORE + chance.below(8 * 86_400)).unwrap_or(0);
            Time::from_unix(BEGIN - before)
        });
        Self {
            are_clocks_right,
            clock,
            clock_heals: chance.percent(50),
            names_empty_pages: links && chance.percent(6),
            names_pages_without_end: links && chance.percent(3),
            cuts_expansions: resource == Resource::GraphIncidents && chance.percent(30),
            keeps_from,
            is_quiet: false,
            machine: Ordering::Equal,
        }
    }

    /// Whether this machine's clock may be wrong in this direction.
    pub(super) fn lets_machine_be(&mut self, wrong: Ordering) -> bool {
        let may = !self.are_clocks_right && wrong != self.clock.cmp(&0);
        if may {
            self.machine = wrong;
        }
        may
    }

    /// What the service's clock says.
    pub(super) fn date(&self, now: Time) -> Time {
        let ahead = if self.is_quiet && self.clock_heals { 0 } else { self.clock };
        Time::from_unix(now.unix() + ahead)
    }

    /// The refusal of a request for what the service does not keep.
    pub(super) fn refuse(&self, request: &Request, hazards: &mut Hazards) -> Option<Response> {
        let filter = request.query_value("$filter")?;
        let from = filter.split(" ge ").nth(1)?.split(' ').next().and_then(Time::parse)?;
        self.keeps_from.filter(|kept| from < *kept)?;
        hazards.met("range that is refused");
        let error = json!({"error": {"code": "BadRequest", "message": "The requested time range exceeds the retention period."}});
        Some(Response::new(400, "application/json", error.to_string()))
    }

    /// Makes an answer odd, a whole one (200) to a list or for one object.
    pub(super) fn bend(&mut self, answer: &mut Response, request: &Request, chance: &mut Chance, hazards: &mut Hazards) {
        let cuts = self.cuts_expansions && matches!(Route::of(Service::Graph, request), Route::GraphIncidents);
        let interrupts = !self.is_quiet && chance.percent(3);
        let endless = self.names_pages_without_end && !self.is_quiet;
        if !(cuts || interrupts || endless || self.names_empty_pages) {
            return;
        }
        let Ok(mut body @ Value::Object(_)) = serde_json::from_slice::<Value>(&answer.body) else { return };
        if cuts {
            for incident in body.get_mut("value").and_then(Value::as_array_mut).into_iter().flatten() {
                cut_alerts(incident, chance, hazards);
            }
        }
        if interrupts {
            interrupt(answer, &mut body, chance, hazards);
        }
        let rows = body.get("value").and_then(Value::as_array).map(Vec::len);
        if let Some(rows) = rows
            && body.get("@odata.nextLink").is_none()
            && (endless || rows > 0 && self.names_empty_pages)
        {
            hazards.met(if rows > 0 { "next page that is empty" } else { "empty page that names a next one" });
            body["@odata.nextLink"] = json!(format!("https://service.simulated/next?$skip={rows}"));
        }
        answer.body = body.to_string().into_bytes();
    }

    /// Dates an answer as this service does, and some as no clock would.
    pub(super) fn stamp(&self, answer: &mut Response, now: Time, chance: &mut Chance, hazards: &mut Hazards) {
        let Some(date) = answer.headers.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case("date")) else { return };
        let mut says = self.date(now);
        if !self.is_quiet && !self.are_clocks_right && chance.percent(4) {
            let ahead = wrong(chance);
            if ahead.cmp(&0) != self.machine {
                hazards.met(if ahead > 0 { "one answer dated ahead" } else { "one answer dated behind" });
                says = Time::from_unix(now.unix() + ahead);
            }
        }
        date.1 = says.http_date();
    }

    /// The earliest instant that this machine and the service could take for the present, not counting a clock there that is
    /// behind: from there on a relative `start` is reckoned.
    pub(super) fn present(&self, now: Time, machine: Time) -> Time {
        machine.min(now.max(self.date(now)))
    }
}

/// Seconds by which a clock is wrong, never 0.
fn wrong(chance: &mut Chance) -> i64 {
    let most = *chance.pick(&[1_200, 7_200, MOST_WRONG]);
    let seconds = i64::try_from(1 + chance.below(most)).unwrap_or(1);
    if chance.percent(50) { seconds } else { -seconds }
}

/// Takes alerts out of an incident, and says so in one of the ways services do.
fn cut_alerts(incident: &mut Value, chance: &mut Chance, hazards: &mut Hazards) {
    let Some(alerts) = incident["alerts"].as_array_mut().filter(|alerts| !alerts.is_empty() && chance.percent(50)) else {
        return;
    };
    let (all, kept) = (alerts.len(), usize::try_from(chance.below(alerts.len() as u64)).unwrap_or(0));
    match chance.below(3) {
        0 => {
            hazards.met("list cut inside an object, with a link");
            alerts.truncate(kept);
            incident["alerts@odata.nextLink"] = json!("https://graph.simulated/v1.0/security/incidents/1/alerts?$skip=1");
        }
        1 => {
            hazards.met("list cut inside an object, with a count");
            alerts.truncate(kept);
            incident["alerts@odata.count"] = json!(all);
        }
        _ => {
            hazards.met("object in place of a list inside an object");
            let one = alerts.swap_remove(kept);
            incident["alerts"] = one;
        }
    }
}

/// Leaves something out of an answer that is still called a success.
fn interrupt(answer: &mut Response, body: &mut Value, chance: &mut Chance, hazards: &mut Hazards) {
    let rows = body.get_mut("value").and_then(Value::as_array_mut);
    let is_list = rows.is_some();
    match rows {
        Some(rows) => rows.truncate(usize::try_from(chance.below(rows.len() as u64 + 1)).unwrap_or(0)),
        None => body["alerts"] = json!([]),
    }
    match chance.below(3) {
        0 => {
            hazards.met("answer 206");
            answer.status = 206;
        }
        1 if is_list => {
            hazards.met("error beside a list");
            body["error"] = json!({"code": "UpstreamTimeout", "message": "One provider did not answer."});
        }
        _ => {
            hazards.met("answer with a warning");
            answer.headers.push(("Warning".to_owned(), "199 - \"Microsoft/Defender/504/10000\"".to_owned()));
        }
    }
}
