//! Clocks there that are wrong, and dates that are none.

use super::Outcome::{Unnoticed, Warned};
use super::{Asked, Oddity, always, once};
use crate::time::Time;
use crate::wire::Response;

const DAY: i64 = 86_400;

pub(super) const ROWS: &[Oddity] = &[
    always("every Date is 20 minutes ahead", "dynos-fit/dynos-sync#93", Warned("clock"), |r, a| dated(r, a, 1_200)),
    once("one Date is two days ahead", "mozilla-services/android-sync#274", Warned("clock"), |r, a| dated(r, a, 2 * DAY)),
    once("one Date is 47 years ahead", "aws/aws-sdk-cpp#577", Warned("clock"), |r, a| dated(r, a, 47 * 365 * DAY)),
    always("every Date is a day behind", "Backblaze/B2_Command_Line_Tool#237", Warned("clock"), |r, a| dated(r, a, -DAY)),
    always("every Date is six hours behind", "candlepin/python-rhsm#50", Warned("clock"), |r, a| dated(r, a, -6 * 3_600)),
    once("one Date is from a cache, an hour old", "smithy-lang/smithy-rs#4800", Warned("clock"), |r, a| {
        dated(r, a, -3_600).header("Age", "3600")
    }),
    once("a Date is the beginning of the epoch", "aws/aws-sdk-cpp#577", Warned("clock"), |r, _| {
        r.header("Date", &Time::from_unix(0).http_date())
    }),
    always("every Date is half a minute ahead", "x-motemen/blogsync#162", Unnoticed, |r, a| dated(r, a, 30)),
    always("no answer has a Date", "elastic/elasticsearch#157382", Warned("no answer had a `Date`"), |r, _| r.header("Date", "")),
    always("every Date lacks the day of the week", "scylladb/seastar#739", Unnoticed, |r, a| {
        let date = a.now.http_date();
        r.header("Date", date.split_once(", ").map_or("", |(_, rest)| rest))
    }),
];

fn dated(response: Response, asked: &Asked<'_>, seconds: i64) -> Response {
    response.header("Date", &Time::from_unix(asked.now.unix() + seconds).http_date())
}
