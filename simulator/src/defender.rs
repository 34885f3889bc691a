//! The Defender APIs on `api.security.microsoft.com`: alerts of Defender for Endpoint, incidents of Microsoft 365 Defender.
//!
//! Two APIs with one host, one error body, and two audiences: a token for one is not good for the other.

mod alerts;
mod entities;
mod incidents;

use crate::chance::Chance;
use crate::entra::{Refused, Resource, Token};
use crate::faults::Route;
use crate::json::Json;
use crate::model::{MissingRole, World};
use crate::object;
use crate::time::Time;
use crate::wire::{Request, Response, Service};

/// Answers a request to either API.
pub(crate) fn answer(world: &mut World, request: &Request, now: Time) -> Response {
    let route = Route::of(Service::Defender, request);
    match route {
        Route::MdeAlerts | Route::MdeAlert | Route::MdeAlertUpdate | Route::MdeBatchUpdate => {
            alerts::answer(world, request, route, now)
        }
        Route::XdrIncidents | Route::XdrIncident | Route::XdrIncidentUpdate => incidents::answer(world, request, route, now),
        _ => error(404, "NotFound", "Not found.", now),
    }
}

/// Checks token and quota.
fn admit(
    world: &mut World,
    request: &Request,
    resource: Resource,
    roles: &[&str],
    route: Route,
    now: Time,
) -> Result<Token, Response> {
    let token = match world.entra.check(request, resource, roles, now) {
        Ok(token) => token.clone(),
        Err(Refused::Role(_)) if world.behaviour.missing_role == MissingRole::Forbidden => {
            let message = format!(
                "The application does not have any of the required application permissions ({}) to access the resource.",
                roles.join(", ")
            );
            return Err(error(403, "Forbidden", &message, now));
        }
        Err(_) => {
            return Err(error(401, "Unauthorized", "Unauthorized", now).header("WWW-Authenticate", "Bearer"));
        }
    };
    match world.throttle.admit(&format!("{}/{}", token.tenant, token.client_id), route, now) {
        Ok(()) => Ok(token),
        Err(wait) => {
            let message = format!(
                "API calls quota exceeded! Maximum allowed for this kind of request was reached. You can send requests again in {wait} seconds."
            );
            let response = error(429, "TooManyRequests", &message, now);
            Err(match world.throttle.retry_after.value(wait, now) {
                Some(value) => response.header("Retry-After", &value),
                None => response,
            })
        }
    }
}

/// The error body both APIs share.
pub(crate) fn error(status: u16, code: &str, message: &str, now: Time) -> Response {
    let target = Chance::new(now.0 as u64 ^ u64::from(status)).guid();
    Response::json(status, &object! { "error" => object! { "code" => code, "message" => message, "target" => target } })
}

/// A list: context first, then a link where the service gives one, then the rows.
fn listed(context: &str, link: Option<String>, rows: Vec<Json>) -> Response {
    let mut members = vec![("@odata.context".into(), Json::from(context))];
    if let Some(link) = link {
        members.push(("@odata.nextLink".into(), Json::from(link)));
    }
    members.push(("value".into(), Json::List(rows)));
    Response::json(200, &Json::Object(members))
}
