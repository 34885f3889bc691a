//! Services as public bug reports describe them: each row of the catalogue bends a real answer as one of them did, and says what
//! a reader has to make of it. What is asked for stays what it was, so that the truth is known.

mod answers;
mod clocks;
mod expansions;
mod pages;
mod rows;
mod throttling;
mod tokens;

use std::fmt;

use serde_json::Value;

use crate::faults::{Route, When};
use crate::time::Time;
use crate::wire::{Request, Response};

/// One oddity.
pub struct Oddity {
    /// What is odd.
    pub name: &'static str,
    /// The public report that it is taken from: `owner/repository#number`.
    pub report: &'static str,
    /// Which requests' answers are odd.
    pub place: Place,
    /// Which of them.
    pub when: When,
    /// What has to come of it.
    pub outcome: Outcome,
    pub(crate) bend: fn(Response, &Asked<'_>) -> Response,
}

/// The request whose answer is bent.
pub(crate) struct Asked<'a> {
    pub(crate) request: &'a Request,
    /// The service's clock.
    pub(crate) now: Time,
}

/// Which answers an oddity is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Those to requests for a token.
    Token,
    /// Those to requests for the list.
    List,
    /// Those to requests for a list whose objects hold lists: incidents of Graph.
    Expanded,
}

/// What has to come of two runs that meet the oddity and one that does not. In each case all objects come, none twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nobody has to hear of it.
    Unnoticed,
    /// Some request is sent again; nobody has to hear of it.
    Retried,
    /// A warning with this text, and no other.
    Warned(&'static str),
    /// The run ends with this code and an error with this text; the objects come when the oddity is over.
    Failed(i32, &'static str),
    /// The service asks for patience: a run ends with 0 and asks no more.
    Postponed,
}

impl Oddity {
    /// The kind of request, where the list is `list`.
    pub fn route(&self, list: Route) -> Route {
        if self.place == Place::Token { Route::Token } else { list }
    }
}

impl fmt::Debug for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.report)
    }
}

impl PartialEq for Oddity {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Oddity {}

/// All of them.
pub fn catalogue() -> impl Iterator<Item = &'static Oddity> {
    let all = [clocks::ROWS, answers::ROWS, pages::ROWS, rows::ROWS, expansions::ROWS, throttling::ROWS, tokens::ROWS];
    all.into_iter().flatten()
}

/// An oddity of every answer to a request for the list.
const fn always(
    name: &'static str,
    report: &'static str,
    outcome: Outcome,
    bend: fn(Response, &Asked<'_>) -> Response,
) -> Oddity {
    Oddity { name, report, place: Place::List, when: When::Always, outcome, bend }
}

/// An oddity of the first answer to a request for the list.
const fn once(name: &'static str, report: &'static str, outcome: Outcome, bend: fn(Response, &Asked<'_>) -> Response) -> Oddity {
    Oddity { when: When::Once, ..always(name, report, outcome, bend) }
}

/// Changes a body that is a JSON object.
fn edit(mut response: Response, change: impl FnOnce(&mut Value)) -> Response {
    if let Ok(mut body @ Value::Object(_)) = serde_json::from_slice(&response.body) {
        change(&mut body);
        response.body = body.to_string().into_bytes();
    }
    response
}

/// Changes the rows of a list.
fn edit_rows(response: Response, change: impl FnOnce(&mut Vec<Value>)) -> Response {
    edit(response, |body| {
        if let Some(rows) = body.get_mut("value").and_then(Value::as_array_mut) {
            change(rows);
        }
    })
}

/// Puts bytes in front of a body.
fn behind(mut response: Response, front: &[u8]) -> Response {
    response.body.splice(0..0, front.iter().copied());
    response
}

/// Sets a header in place of what was there.
fn set(mut response: Response, name: &str, value: &str) -> Response {
    response.headers.retain(|(there, _)| !there.eq_ignore_ascii_case(name));
    response.header(name, value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_unique_and_reports_can_be_found() {
        let names: BTreeSet<_> = catalogue().map(|oddity| oddity.name).collect();
        assert_eq!(names.len(), catalogue().count());
        assert!(names.len() >= 60, "{}", names.len());
        for oddity in catalogue() {
            let (repository, number) = oddity.report.split_once('#').unwrap();
            assert!(repository.split('/').filter(|part| !part.is_empty()).count() == 2, "{oddity:?}");
            assert!(number.parse::<u32>().is_ok(), "{oddity:?}");
        }
    }

    /// An answer of each kind that an oddity may bend.
    fn real(place: Place, now: Time) -> Response {
        let alerts =
            json!([{"id": "a1", "lastUpdateDateTime": now.to_string()}, {"id": "a2", "lastUpdateDateTime": now.to_string()}]);
        let incident = |id: &str| json!({"id": id, "lastUpdateDateTime": now.to_string(), "title": "x", "alerts": alerts});
        let body = match place {
            Place::Token => json!({"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": "t"}),
            Place::List | Place::Expanded => json!({"value": (1..=12).map(|n| incident(&n.to_string())).collect::<Vec<_>>()}),
        };
        Response::new(200, "application/json", body.to_string()).header("Date", &now.http_date())
    }

    #[test]
    fn each_changes_the_answer() {
        let (request, now) = (Request::get("/v1.0/security/incidents?$top=50"), Time::from_unix(1_790_000_000));
        for oddity in catalogue() {
            let real = real(oddity.place, now);
            let bent = (oddity.bend)(real.clone(), &Asked { request: &request, now });
            assert!(bent != real, "{oddity:?} changes nothing");
        }
    }
}
