//! Services that ask for patience in odd words.

use super::Outcome::{Postponed, Retried};
use super::{Asked, Oddity, once};
use crate::time::Time;
use crate::wire::Response;

pub(super) const ROWS: &[Oddity] = &[
    once("429 with a wait below zero", "planningcenter/developers#606", Retried, |_, a| told(a, "-5")),
    once("429 with a wait of half a second", "SpaceTradersAPI/api-docs#24", Retried, |_, a| told(a, "0.493")),
    once("429 with a fraction of a second", "x402-foundation/x402#2614", Retried, |_, a| told(a, "1.5")),
    once("429 with a number and a word", "basecamp/basecamp-sdk#781", Retried, |_, a| told(a, "120junk")),
    once("429 with a wait of nothing", "apify/crawlee-python#1995", Retried, |_, a| told(a, "0")),
    once("429 with a date two seconds ahead", "eth-cscs/pyfirecrest#118", Retried, |_, a| {
        told(a, &Time::from_unix(a.now.unix() + 2).http_date())
    }),
    once("429 with a date that is past", "cline/cline#14213", Retried, |_, a| {
        told(a, &Time::from_unix(a.now.unix() - 60).http_date())
    }),
    once("429 with a date an hour ahead", "duolahypercho/codex-router#573", Postponed, |_, a| {
        told(a, &Time::from_unix(a.now.unix() + 3_000).http_date())
    }),
    once("429 with a wait of years", "CopilotKit/CopilotKit#3842", Postponed, |_, a| told(a, "99999999999")),
];

fn told(asked: &Asked<'_>, wait: &str) -> Response {
    let error = r#"{"error":{"code":"TooManyRequests","message":"Please retry again later."}}"#;
    Response::new(429, "application/json", error).header("Retry-After", wait).header("Date", &asked.now.http_date())
}
