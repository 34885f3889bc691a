//! What can go wrong with a request, and which request it happens to.

use std::time::Duration;

use crate::echo::{self, Form, Repeated};
use crate::entra;
use crate::oddities::{Asked, Oddity};
use crate::throttle::RetryAfter;
use crate::time::Time;
use crate::wire::{Delivery, Request, Response, Service};

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // each is one request of its API
pub enum Route {
    /// Any request of any service.
    Any,
    Token,
    GraphAlerts,
    /// `GET` or `PATCH` of one alert.
    GraphAlert,
    GraphAlertComments,
    GraphIncidents,
    /// `GET` or `PATCH` of one incident.
    GraphIncident,
    GraphIncidentComments,
    /// Several requests in one; each of them is a request of its own kind as well.
    GraphBatch,
    MdeAlerts,
    MdeAlert,
    MdeAlertUpdate,
    MdeBatchUpdate,
    XdrIncidents,
    XdrIncident,
    XdrIncidentUpdate,
    SplunkConf,
    SplunkPasswords,
    SplunkCollection,
    SplunkInfo,
    SplunkInputs,
    /// What a persistent REST handler of the app answers.
    SplunkHandler,
    /// Any request to splunkd.
    Splunk,
    StorageContainers,
    StorageBlobs,
    /// `GET` of one blob, or of a range of it.
    StorageBlob,
    /// A path nobody knows.
    Unknown,
}

impl Route {
    /// Which kind a request is.
    pub fn of(service: Service, request: &Request) -> Route {
        let segments = request.segments();
        let parts: Vec<_> = segments.iter().map(String::as_str).collect();
        let reading = request.method == "GET";
        match (service, &parts[..]) {
            (Service::Login, _) => Route::Token,
            (Service::Graph, ["v1.0", "security", "alerts_v2"]) => Route::GraphAlerts,
            (Service::Graph, ["v1.0", "security", "alerts_v2", _]) => Route::GraphAlert,
            (Service::Graph, ["v1.0", "security", "alerts_v2", _, "comments"]) => Route::GraphAlertComments,
            (Service::Graph, ["v1.0", "security", "incidents"]) => Route::GraphIncidents,
            (Service::Graph, ["v1.0", "security", "incidents", _]) => Route::GraphIncident,
            (Service::Graph, ["v1.0", "security", "incidents", _, "comments"]) => Route::GraphIncidentComments,
            (Service::Graph, ["v1.0", "$batch"]) => Route::GraphBatch,
            (Service::Defender, ["api", "alerts"] | ["api", "v1.0", "alerts"]) => Route::MdeAlerts,
            (Service::Defender, ["api", "alerts", "batchUpdate"]) => Route::MdeBatchUpdate,
            (Service::Defender, ["api", "alerts", _]) => {
                if reading {
                    Route::MdeAlert
                } else {
                    Route::MdeAlertUpdate
                }
            }
            (Service::Defender, ["api", "incidents"]) => Route::XdrIncidents,
            (Service::Defender, ["api", "incidents", _]) => {
                if reading {
                    Route::XdrIncident
                } else {
                    Route::XdrIncidentUpdate
                }
            }
            (Service::Splunkd, ["servicesNS", _, _, rest @ ..] | ["services", rest @ ..]) => match rest {
                ["configs", ..] | ["properties", ..] => Route::SplunkConf,
                ["storage", "passwords", ..] => Route::SplunkPasswords,
                ["storage", "collections", ..] => Route::SplunkCollection,
                ["server", "info", ..] => Route::SplunkInfo,
                ["data", "inputs", ..] => Route::SplunkInputs,
                ["defender", ..] => Route::SplunkHandler,
                _ => Route::Splunk,
            },
            (Service::Storage, []) => Route::StorageContainers,
            (Service::Storage, [_]) => Route::StorageBlobs,
            (Service::Storage, [_, ..]) => Route::StorageBlob,
            _ => Route::Unknown,
        }
    }

    fn covers(self, other: Route) -> bool {
        use Route::*;
        self == other
            || self == Any
            || (self == Splunk
                && matches!(other, SplunkConf | SplunkPasswords | SplunkCollection | SplunkInfo | SplunkInputs | SplunkHandler))
    }
}

/// Which of the requests a fault happens to, counted from when the fault was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The next one only.
    Once,
    /// The next so many.
    Times(u64),
    /// Only the n-th from now; the next is the first.
    Nth(u64),
    /// One in so many, beginning with the n-th.
    Every(u64),
    /// All of them.
    Always,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A status with the service's own error body.
    Status(u16),
    /// 429 with the service's own error body and a wait in seconds.
    Throttled(i64, RetryAfter),
    /// 503 with a wait in seconds.
    Unavailable(i64, RetryAfter),
    /// An error of the token endpoint, by its AADSTS number.
    Entra(u32),
    /// The token is not accepted any more (401), and is not from then on.
    TokenRevoked,
    /// An error with this status that repeats something wherever it can, or a page that does.
    Echo(u16, Form, Repeated),
    /// A page of a proxy in between.
    Html(u16),
    /// 302 to somewhere else.
    Redirect(String),
    /// Another body in place of the real one, with status and type.
    Body(u16, &'static str, String),
    /// The real answer, ended after half of its bytes, in a frame that says that was all.
    HalfJson,
    /// The real answer as one element of an array: JSON, and not an object.
    Array,
    /// 200 without a body.
    Nothing,
    /// The connection ends after so many bytes of the real answer.
    Cut(usize),
    /// The connection ends without an answer.
    Refused,
    /// No answer, and the connection stays open.
    Silent,
    /// The real answer, later.
    Late(Duration),
    /// The real answer, in pieces of so many bytes with a wait before each.
    Slow(usize, Duration),
    /// The real answer, and after it one blank every so often, without end.
    Endless(Duration),
    /// The real answer with the service's clock off by so many seconds.
    Clock(i64),
    /// The real answer without a `Date`.
    NoDate,
    /// The real answer as a row of the catalogue bends it.
    Odd(&'static Oddity),
}

/// A fault that waits for its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kind of request.
    pub route: Route,
    /// Which of them.
    pub when: When,
    /// What happens.
    pub kind: FaultKind,
    /// Only requests whose path and query hold this text.
    pub matching: Option<String>,
    /// Only requests of this method.
    pub method: Option<&'static str>,
    seen: u64,
}

impl Fault {
    /// A fault for the next request of a kind.
    pub fn once(route: Route, kind: FaultKind) -> Self {
        Self::new(route, When::Once, kind)
    }

    /// A fault.
    pub fn new(route: Route, when: When, kind: FaultKind) -> Self {
        Fault { route, when, kind, matching: None, method: None, seen: 0 }
    }

    /// Only requests whose path and query, as sent, hold this text.
    #[must_use]
    pub fn matching(mut self, text: &str) -> Self {
        self.matching = Some(text.to_string());
        self
    }

    /// Only requests of this method, where reading and changing have one path.
    #[must_use]
    pub fn of_method(mut self, method: &'static str) -> Self {
        self.method = Some(method);
        self
    }

    /// Counts a request it could happen to; true when it does.
    fn strikes(&mut self) -> bool {
        self.seen += 1;
        self.when.strikes(self.seen)
    }
}

impl When {
    /// Whether it is this one, counted from 1.
    pub(crate) fn strikes(self, seen: u64) -> bool {
        match self {
            When::Once => seen == 1,
            When::Times(times) => seen <= times,
            When::Nth(nth) => seen == nth,
            When::Every(every) => seen.is_multiple_of(every.max(1)),
            When::Always => true,
        }
    }

    /// Whether none of those to come will be it.
    pub(crate) fn spent(self, seen: u64) -> bool {
        match self {
            When::Once => seen >= 1,
            When::Times(times) => seen >= times,
            When::Nth(nth) => seen >= nth,
            When::Every(_) | When::Always => false,
        }
    }
}

/// The faults that are set. For each request the first that strikes happens, alone.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    set: Vec<Fault>,
    happened: Vec<(Route, FaultKind)>,
}

impl Faults {
    /// Sets a fault.
    pub fn push(&mut self, fault: Fault) {
        self.set.push(fault);
    }

    /// Removes all that are set.
    pub fn clear(&mut self) {
        self.set.clear();
    }

    /// Those that still wait.
    pub fn waiting(&self) -> &[Fault] {
        &self.set
    }

    /// Those that happened, in order.
    pub fn happened(&self) -> &[(Route, FaultKind)] {
        &self.happened
    }

    pub(crate) fn strike(&mut self, route: Route, request: &Request) -> Option<FaultKind> {
        if self.set.is_empty() {
            return None;
        }
        let target = format!("{}?{}", request.path, request.query);
        let hits = |fault: &Fault| {
            fault.route.covers(route)
                && fault.matching.as_ref().is_none_or(|text| target.contains(text.as_str()))
                && fault.method.is_none_or(|method| request.method == method)
        };
        let mut struck = None;
        for fault in self.set.iter_mut().filter(|fault| hits(fault)) {
            if fault.strikes() {
                struck = Some(fault.kind.clone());
                break;
            }
        }
        self.set.retain(|fault| !fault.when.spent(fault.seen));
        if let Some(kind) = &struck {
            self.happened.push((route, kind.clone()));
        }
        struck
    }
}

/// What a fault does in place of the real answer; `None` when it only changes the real one.
pub(crate) fn replace(kind: &FaultKind, service: Service, request: &Request, now: Time) -> Option<Response> {
    let with_wait = |response: Response, seconds: i64, form: RetryAfter| match form.value(seconds, now) {
        Some(value) => response.header("Retry-After", &value),
        None => response,
    };
    Some(match kind {
        FaultKind::Status(status) => crate::service_error(service, *status, now),
        FaultKind::Throttled(seconds, form) => with_wait(crate::service_error(service, 429, now), *seconds, *form),
        FaultKind::Unavailable(seconds, form) => with_wait(crate::service_error(service, 503, now), *seconds, *form),
        FaultKind::Entra(code) => entra::error(*code, &entra::named(*code, request), now),
        FaultKind::Echo(status, form, repeated) => echo::answer(service, *status, *form, repeated, request),
        FaultKind::TokenRevoked => crate::service_error(service, 401, now),
        FaultKind::Html(status) => Response::new(
            *status,
            "text/html; charset=utf-8",
            "<!DOCTYPE html><html><head><title>Access denied</title></head><body><h1>Access denied</h1><p>This request was blocked by the web gateway.</p></body></html>",
        ),
        FaultKind::Redirect(to) => Response::empty(302).header("Location", to),
        FaultKind::Body(status, content_type, text) => Response::new(*status, content_type, text.as_str()),
        FaultKind::Nothing => Response::empty(200),
        FaultKind::Refused => Response { delivery: Delivery::Refused, ..Response::empty(200) },
        FaultKind::Silent => Response { delivery: Delivery::Silent, ..Response::empty(200) },
        _ => return None,
    })
}

/// What a fault does to the real answer.
pub(crate) fn bend(kind: &FaultKind, mut response: Response, request: &Request, now: Time) -> Response {
    match kind {
        FaultKind::Odd(oddity) => response = (oddity.bend)(response, &Asked { request, now }),
        FaultKind::HalfJson => response.body.truncate(response.body.len() / 2),
        FaultKind::Array => {
            response.body.insert(0, b'[');
            response.body.push(b']');
        }
        FaultKind::Cut(after) => response.delivery = Delivery::Cut(*after),
        FaultKind::Late(wait) => response.delivery = Delivery::Late(*wait),
        FaultKind::Slow(piece, pause) => response.delivery = Delivery::Slow { piece: (*piece).max(1), pause: *pause },
        FaultKind::Endless(pause) => response.delivery = Delivery::Endless(*pause),
        FaultKind::Clock(seconds) => response = response.header("Date", &Time::from_unix(now.unix() + seconds).http_date()),
        // An empty value is taken for "send none" by the server; see `Response::dated`.
        FaultKind::NoDate => response = response.header("Date", ""),
        _ => {}
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strikes(when: When, requests: usize) -> Vec<usize> {
        let mut faults = Faults::default();
        faults.push(Fault::new(Route::GraphAlerts, when, FaultKind::Nothing));
        let request = Request::get("/v1.0/security/alerts_v2");
        (1..=requests).filter(|_| faults.strike(Route::GraphAlerts, &request).is_some()).collect()
    }

    #[test]
    fn counts_the_requests_it_could_happen_to() {
        assert_eq!(strikes(When::Once, 5), [1]);
        assert_eq!(strikes(When::Times(2), 5), [1, 2]);
        assert_eq!(strikes(When::Nth(3), 5), [3]);
        assert_eq!(strikes(When::Every(2), 5), [2, 4]);
        assert_eq!(strikes(When::Always, 3), [1, 2, 3]);
    }

    #[test]
    fn knows_its_request() {
        let mut faults = Faults::default();
        faults.push(Fault::new(Route::GraphIncident, When::Always, FaultKind::Status(500)).matching("$expand=alerts"));
        let plain = Request::get("/v1.0/security/incidents/7");
        let expanded = Request::get("/v1.0/security/incidents/7?$expand=alerts");
        let route = Route::of(Service::Graph, &plain);
        assert_eq!(faults.strike(route, &plain), None);
        assert_eq!(faults.strike(Route::GraphAlerts, &expanded), None);
        assert_eq!(faults.strike(route, &expanded), Some(FaultKind::Status(500)));
    }
}
