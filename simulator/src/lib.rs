//! Stand-ins for Microsoft and for splunkd: Entra ID, Microsoft Graph security, the two Defender APIs, Event Hubs, and
//! splunkd's REST.
//!
//! Written from the documents alone and without a line of the product, so that two readings of the documents meet in the
//! tests. In layers: [`model`] is the set of objects and how they change; `entra`, `graph`, `defender` and `splunkd` answer
//! a [`Request`] about it at a given [`Time`], without I/O and without a clock; [`Simulator`] puts them behind sockets.
//! A simulation calls [`answer`] directly; an integration test starts a [`Simulator`]:
//!
//! ```
//! use simulator::{Config, Fault, FaultKind, Route, Simulator};
//!
//! let sim = Simulator::start(Config { alerts: 200, incidents: 20, ..Config::default() });
//! sim.faults().push(Fault::once(Route::GraphAlerts, FaultKind::Status(503)));
//! // hand `sim.splunkd_url()`, `sim.session_key()` and `sim.checkpoint_dir()` to the program under test, then
//! let now = sim.now();
//! let id = sim.world(|world| world.alerts().next().map(|alert| alert.id.clone())).unwrap();
//! sim.world(|world| world.change_alert(&id, now, |alert| alert.title.push('!')));
//! assert!(sim.requests().is_empty(), "and look at what it asked");
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod accounts;
mod certificates;
pub mod chance;
mod change;
mod defender;
pub mod distrust;
pub mod echo;
pub mod entra;
pub mod event_hubs;
pub mod faults;
pub mod filter;
pub mod generate;
mod graph;
pub mod json;
pub mod model;
mod odata;
pub mod oddities;
pub mod preload;
pub mod proxy;
pub mod run;
pub mod samples;
mod server;
mod simulator;
pub mod splunkd;
pub mod splunkweb;
pub mod storage;
pub mod throttle;
pub mod time;
pub mod traffic;
pub mod wire;

pub use faults::{Fault, FaultKind, Route, When};
pub use json::Json;
pub use model::World;
pub use simulator::{App, Certificate, Config, FaultQueue, Ports, Simulator};
pub use time::Time;
pub use traffic::Exchange;
pub use wire::{Delivery, Request, Response, Service};

/// Answers one request: shows what has become visible, lets a fault happen if one waits, and keeps a record.
pub fn answer(world: &mut World, service: Service, request: &Request, now: Time) -> Response {
    world.settle(now);
    let route = Route::of(service, request);
    let response = match world.faults.strike(route, request) {
        Some(kind) => {
            if kind == FaultKind::TokenRevoked {
                world.entra.revoke_all();
            }
            faults::replace(&kind, service, request, now).unwrap_or_else(|| {
                let real = real_answer(world, service, request, now);
                faults::bend(&kind, real, request, now)
            })
        }
        None => real_answer(world, service, request, now),
    };
    let response = response.dated(now);
    world.traffic.record(service, route, request, &response, now);
    response
}

fn real_answer(world: &mut World, service: Service, request: &Request, now: Time) -> Response {
    match service {
        Service::Login => entra::answer(world, request, now),
        Service::Graph => graph::answer(world, request, now),
        Service::Defender => defender::answer(world, request, now),
        Service::Splunkd => splunkd::answer(world, request, now),
        Service::Storage => storage::answer(world, request, now),
    }
}

/// The error body a service gives to a status that nothing in the request asked for.
fn service_error(service: Service, status: u16, now: Time) -> Response {
    match service {
        Service::Login => entra::error(
            match status {
                429 => 90_055,
                401 => 7_000_215,
                500.. => 90_033,
                _ => 900_144,
            },
            accounts::CLIENT_ID,
            now,
        ),
        Service::Graph => {
            let (code, message) = match status {
                400 => ("BadRequest", "The request is malformed."),
                401 => ("InvalidAuthenticationToken", "Lifetime validation failed, the token is expired."),
                403 => ("Forbidden", "Missing application roles."),
                404 => ("NotFound", "Resource was not found."),
                429 => ("TooManyRequests", "Please retry again later."),
                503 => ("ServiceUnavailable", "The service is temporarily unavailable."),
                504 => ("GatewayTimeout", "The upstream service did not answer in time."),
                _ => ("InternalServerError", "An error has occurred."),
            };
            graph::error(status, code, message, &Request::default(), now)
        }
        Service::Defender => {
            let (code, message) = match status {
                400 => ("BadRequest", "General Bad Request error message."),
                401 => ("Unauthorized", "Unauthorized"),
                403 => ("Forbidden", "Forbidden"),
                404 => ("ResourceNotFound", "Resource wasn't found."),
                429 => ("TooManyRequests", "Response represents reaching quota limit either by number of requests or by CPU."),
                _ => ("InternalServerError", ""),
            };
            defender::error(status, code, message, now)
        }
        Service::Splunkd => splunkd::failed(status),
        Service::Storage => {
            let code = match status {
                400 => "InvalidQueryParameterValue",
                401 => "InvalidAuthenticationInfo",
                403 => "AuthorizationPermissionMismatch",
                404 => "ContainerNotFound",
                503 => "ServerBusy",
                504 => "OperationTimedOut",
                _ => "InternalError",
            };
            storage::error(status, code, now).header("x-ms-request-id", "00000000-001e-0042-0000-000000000001")
        }
    }
}
