//! Services that ask for patience in odd words.

use super::Outcome::{Postponed, Retried, Unnoticed};
use super::{Asked, Oddity, Outcome, once};
use crate::time::Time;
use crate::wire::Response;

pub(super) const ROWS: &[Oddity] = &[
    busy("429 with a wait below zero", "apify/crawlee-python#1995", Retried, |_, a| told(a, "-5")),
    busy("429 with a wait of half a second", "SpaceTradersAPI/api-docs#24", Retried, |_, a| told(a, "0.493")),
    busy("429 with a fraction of a second", "x402-foundation/x402#2614", Retried, |_, a| told(a, "1.5")),
    busy("429 with a number and a word", "basecamp/basecamp-sdk#781", Retried, |_, a| told(a, "120junk")),
    busy("429 with a wait of nothing", "planningcenter/developers#606", Retried, |_, a| told(a, "0")),
    busy("429 with a date two seconds ahead", "eth-cscs/pyfirecrest#118", Retried, |_, a| {
        told(a, &Time::from_unix(a.now.unix() + 2).http_date())
    }),
    busy("429 with a date that is past", "cline/cline#14213", Retried, |_, a| {
        told(a, &Time::from_unix(a.now.unix() - 60).http_date())
    }),
    busy("429 with a date an hour ahead", "duolahypercho/codex-router#573", Postponed, |_, a| {
        told(a, &Time::from_unix(a.now.unix() + 3_000).http_date())
    }),
    busy("429 with a wait of years", "CopilotKit/CopilotKit#3842", Postponed, |_, a| told(a, "99999999999")),
    busy("200 that asks for patience", "canalplus/rx-player#1864", Unnoticed, |r, _| r.header("Retry-After", "600")),
];

const fn busy(name: &'static str, report: &'static str, outcome: Outcome, bend: fn(Response, &Asked<'_>) -> Response) -> Oddity {
    once(name, report, outcome, bend)
}

fn told(asked: &Asked<'_>, wait: &str) -> Response {
    let error = r#"{"error":{"code":"TooManyRequests","message":"Please retry again later."}}"#;
    Response::new(429, "application/json", error).header("Retry-After", wait).header("Date", &asked.now.http_date())
}
