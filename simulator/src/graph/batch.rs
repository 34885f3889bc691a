//! `POST /v1.0/$batch`: up to twenty requests in one, each answered as if it had come alone.
//!
//! As Microsoft documents JSON batching: ids are the caller's and not empty, no two alike; urls are relative to the version;
//! a request with a body says its content type; each request counts against the limits of its own; the answers may come in
//! any order.

use std::collections::BTreeSet;

use serde_json::Value;

use super::error;
use crate::change;
use crate::entra::{Refused, Resource};
use crate::json::Json;
use crate::model::World;
use crate::object;
use crate::time::Time;
use crate::wire::{Delivery, Request, Response, Service};

/// The most requests in one batch.
const LIMIT: usize = 20;

pub(super) fn answer(world: &mut World, request: &Request, now: Time) -> Response {
    // The token has to be good; which roles are needed is each request's own affair.
    let refused = world.entra.check(request, Resource::Graph, &[], now).err();
    if let Some(refused) = refused.filter(|refused| !matches!(refused, Refused::Role(_))) {
        return super::turned_away(world, request, &refused, &[], now);
    }
    let bad = |message: &str| error(400, "BadRequest", message, request, now);
    let body = match change::body(request) {
        Ok(body) => body,
        Err(invalid) => return bad(&invalid.message),
    };
    let Some(entries) = body.get("requests").and_then(Value::as_array) else {
        return bad("Invalid batch payload format.");
    };
    if entries.is_empty() || entries.len() > LIMIT {
        return bad(&format!("Number of batch request steps exceeds the maximum value of {LIMIT}."));
    }
    let mut ids = BTreeSet::new();
    let mut steps = Vec::new();
    for entry in entries {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (Some(id), Some(method), Some(url)) = (text("id"), text("method"), text("url")) else {
            return bad("Invalid batch payload format.");
        };
        if !ids.insert(id) {
            return bad(&format!("Duplicate request id '{id}' found."));
        }
        if !url.starts_with('/') || url.starts_with("/v1.0") {
            return bad(&format!("Invalid URL '{url}': it has to be relative to the version."));
        }
        let mut step = Request::new(method, &format!("/v1.0{url}"));
        step.origin.clone_from(&request.origin);
        for (name, value) in entry.get("headers").and_then(Value::as_object).into_iter().flatten() {
            step = step.header(name, value.as_str().unwrap_or_default());
        }
        if let Some(token) = request.header_value("authorization") {
            step = step.header("authorization", token);
        }
        if let Some(body) = entry.get("body") {
            step.body = body.to_string().into_bytes();
        }
        steps.push((id.to_string(), step));
    }
    let mut answers: Vec<Json> = steps
        .iter()
        .map(|(id, step)| {
            let answer = crate::answer(world, Service::Graph, step, now);
            // Inside a batch a connection cannot break: the batch waits in vain and says so.
            let answer = match answer.delivery {
                Delivery::Whole | Delivery::Late(_) | Delivery::Slow { .. } => answer,
                _ => crate::service_error(Service::Graph, 504, now),
            };
            shown(id, &answer)
        })
        .collect();
    // Any order is allowed, so it is another one each time.
    let turn = usize::try_from(world.next_serial()).unwrap_or(0) % answers.len();
    answers.rotate_left(turn);
    Response::json(200, &object! { "responses" => Json::List(answers) })
}

fn shown(id: &str, answer: &Response) -> Json {
    let headers = answer.headers.iter().map(|(name, value)| (name.clone().into(), Json::from(value.as_str()))).collect();
    let text = answer.text();
    // What is no JSON comes as text in base64 in the service; here it does not come at all.
    let body = if serde_json::from_str::<Value>(&text).is_ok() { Json::Raw(text) } else { Json::Null };
    object! { "id" => id, "status" => i64::from(answer.status), "headers" => Json::Object(headers), "body" => body }
}
