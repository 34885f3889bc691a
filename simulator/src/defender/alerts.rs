//! `/api/alerts` of Defender for Endpoint.

use serde_json::Value as Body;

use super::{admit, entities, error, listed};
use crate::change::{self, Api};
use crate::entra::{Resource, Token};
use crate::faults::Route;
use crate::filter::{Kind, Property, Value, property};
use crate::json::Json;
use crate::model::spelling::{AlertStatus, Classification, Determination, Severity, detection_source, pascal};
use crate::model::{Alert, World};
use crate::object;
use crate::odata::{self, Dialect, Row};
use crate::samples;
use crate::time::Time;
use crate::wire::{Request, Response};

const CONTEXT: &str = "https://api.securitycenter.microsoft.com/api/$metadata#Alerts";
const HOST: &str = "https://api.securitycenter.microsoft.com";

/// The largest page, and the page when `$top` is absent.
const PAGE: usize = 10_000;

/// The largest batch; the error is documented, the number is not.
const BATCH: usize = 100;

static PROPERTIES: [Property; 11] = [
    property("alertCreationTime", Kind::Time),
    property("lastUpdateTime", Kind::Time),
    property("lastEventTime", Kind::Time),
    property("incidentId", Kind::Number),
    property("investigationId", Kind::Number),
    property("id", Kind::Text),
    property("assignedTo", Kind::Text),
    property("detectionSource", Kind::Text),
    property("status", Kind::Enum(AlertStatus::DEFENDER)),
    property("severity", Kind::Enum(Severity::DEFENDER)),
    property("category", Kind::Text),
];

static DIALECT: Dialect = Dialect {
    type_name: "Microsoft.WindowsDefenderATP.Api.Alert",
    properties: &PROPERTIES,
    options: &["$filter", "$top", "$skip", "$expand"],
    expand: "evidence",
    orderby: &[],
    page: PAGE,
};

pub(super) fn answer(world: &mut World, request: &Request, route: Route, now: Time) -> Response {
    let reads: &[&str] = &["Alert.Read.All", "Alert.ReadWrite.All"];
    let writes: &[&str] = &["Alert.ReadWrite.All"];
    let roles = if request.method == "GET" { reads } else { writes };
    let token = match admit(world, request, Resource::Endpoint, roles, route, now) {
        Ok(token) => token,
        Err(refused) => return refused,
    };
    let id = request.segments().last().cloned().unwrap_or_default();
    match (request.method.as_str(), route) {
        ("GET", Route::MdeAlerts) => list(world, request, &token, now),
        ("GET", Route::MdeAlert) => one(world, &id, &token, now),
        ("PATCH", Route::MdeAlertUpdate) => update(world, request, &id, &token, now),
        ("POST", Route::MdeBatchUpdate) => batch(world, request, &token, now),
        _ => error(405, "BadRequest", "The requested resource does not support this http method.", now),
    }
}

fn list(world: &mut World, request: &Request, token: &Token, now: Time) -> Response {
    let refused = |message: &str| error(400, "ODataError", &format!("Invalid OData URI query: {message}"), now);
    let options = match odata::options(request, &DIALECT) {
        Ok(options) => options,
        Err(refusal) => return refused(&refusal.0),
    };
    if let Some(top) = options.top.filter(|top| *top > PAGE) {
        return refused(&format!(
            "The limit of '{PAGE}' for Top query has been exceeded. The value from the incoming request is '{top}'."
        ));
    }
    world.next_serial();
    let limit = options.top.unwrap_or(DIALECT.page);
    // With $top there is no link to a next page; the documents say so nowhere, and users found out.
    let link = |world: &World, next: Option<usize>| {
        next.filter(|_| options.top.is_none()).and_then(|skip| odata::next_link(world.behaviour.links, HOST, request, skip))
    };
    if let Some(samples) = world.samples.of(Route::MdeAlerts) {
        let page = odata::page(world, &options, limit, samples::rows(samples, &options));
        let rows = page.keys.iter().map(|at| Json::Raw(samples[*at].text.clone())).collect();
        return listed(CONTEXT, link(world, page.next), rows);
    }
    let held = |alert: &&Alert| {
        alert.is_endpoint() && options.filter.as_ref().is_none_or(|filter| filter.passes(&|name| value(alert, name)))
    };
    let row = |alert: &Alert| Row {
        updated: alert.updated,
        created: alert.created,
        key: alert.id.clone(),
        id_hash: odata::id_hash(&alert.id),
    };
    let rows = world.alerts().filter(held).map(row).collect();
    let page = odata::page(world, &options, limit, rows);
    if page.keys.iter().any(|id| world.behaviour.poisoned.contains(id)) {
        return error(500, "InternalServerError", "", now);
    }
    let rows = page.keys.iter().filter_map(|id| world.alert(id)).map(|alert| view(alert, token, options.expand)).collect();
    listed(CONTEXT, link(world, page.next), rows)
}

fn one(world: &World, id: &str, token: &Token, now: Time) -> Response {
    if let Some(sample) = world.samples.of(Route::MdeAlerts).and_then(|rows| rows.iter().find(|row| row.id == id)) {
        return Response::new(200, "application/json; charset=utf-8", sample.text.as_str());
    }
    match world.alert(id).filter(|alert| alert.is_endpoint()) {
        Some(alert) => {
            Response::json(200, &object! { "@odata.context" => format!("{CONTEXT}/$entity") }.with(view(alert, token, true)))
        }
        None => not_found(id, now),
    }
}

fn update(world: &mut World, request: &Request, id: &str, token: &Token, now: Time) -> Response {
    if !world.alert(id).is_some_and(Alert::is_endpoint) {
        return not_found(id, now);
    }
    match change::body(request).and_then(|body| change::read(&body, Api::EndpointAlert, &world.behaviour)) {
        Ok(change) => {
            change::alert(world, id, &change, &token.name, now);
            one(world, id, token, now)
        }
        Err(invalid) => error(400, invalid.code, &invalid.message, now),
    }
}

/// All or nothing: a batch with an unknown id changes none.
fn batch(world: &mut World, request: &Request, token: &Token, now: Time) -> Response {
    let body = match change::body(request) {
        Ok(body) => body,
        Err(invalid) => return error(400, invalid.code, &invalid.message, now),
    };
    let ids = body
        .get("alertIds")
        .and_then(Body::as_array)
        .map(|ids| ids.iter().filter_map(Body::as_str).map(str::to_string).collect::<Vec<_>>());
    let Some(ids) = ids.filter(|ids| !ids.is_empty()) else {
        return error(400, "MissingRequiredParameter", "Parameter alertIds is missing.", now);
    };
    if ids.len() > BATCH {
        let message = format!("Maximum batch size exceeded. Received: {}, allowed: {BATCH}.", ids.len());
        return error(400, "MaximumBatchSizeExceeded", &message, now);
    }
    let change = match change::read(&body, Api::EndpointAlert, &world.behaviour) {
        Ok(change) => change,
        Err(invalid) => return error(400, invalid.code, &invalid.message, now),
    };
    if let Some(unknown) = ids.iter().find(|id| !world.alert(id).is_some_and(Alert::is_endpoint)) {
        return not_found(unknown, now);
    }
    for id in &ids {
        change::alert(world, id, &change, &token.name, now);
    }
    Response::empty(200)
}

fn not_found(id: &str, now: Time) -> Response {
    error(404, "ResourceNotFound", &format!("Resource {id} wasn't found."), now)
}

fn value(alert: &Alert, name: &str) -> Value {
    let text = |text: &str| Value::Text(text.to_string());
    match name {
        "alertCreationTime" => Value::Time(alert.created),
        "lastUpdateTime" => Value::Time(alert.updated),
        "lastEventTime" => Value::Time(alert.last_activity),
        "incidentId" => alert.incident.map_or(Value::Null, |id| Value::Number(id as i64)),
        "investigationId" => alert.investigation.map_or(Value::Null, Value::Number),
        "id" => text(&alert.id),
        "assignedTo" => alert.assigned_to.as_deref().map_or(Value::Null, text),
        "detectionSource" => Value::Text(detection_source(&alert.detection)),
        "status" => text(alert.status.defender()),
        "severity" => text(alert.severity.defender()),
        "category" => text(&alert.category),
        _ => Value::Null,
    }
}

/// The alert in this API's spelling. `evidence` is there and empty unless it was asked for.
fn view(alert: &Alert, token: &Token, expanded: bool) -> Json {
    let comment = |comment: &crate::model::Comment| object! { "comment" => comment.text.as_str(), "createdBy" => comment.author.as_str(), "createdTime" => comment.created };
    let evidence: Vec<_> = if expanded { alert.evidence.iter().filter_map(entities::endpoint).collect() } else { Vec::new() };
    let known = |classification: Classification| (classification != Classification::Unknown).then(|| classification.defender());
    let why = |determination: Determination| (determination != Determination::Unknown).then(|| determination.defender());
    object! {
        "id" => alert.id.as_str(),
        "incidentId" => alert.incident.map(|id| id as i64),
        "investigationId" => alert.investigation,
        "assignedTo" => alert.assigned_to.as_deref(),
        "severity" => alert.severity.defender(),
        "status" => alert.status.defender(),
        "classification" => known(alert.classification),
        "determination" => why(alert.determination),
        "investigationState" => pascal(&alert.investigation_state),
        "detectionSource" => detection_source(&alert.detection),
        "detectorId" => alert.detector.as_str(),
        "category" => alert.category.as_str(),
        "threatFamilyName" => alert.family.as_deref(),
        "title" => alert.title.as_str(),
        "description" => alert.description.as_str(),
        "alertCreationTime" => alert.created,
        "firstEventTime" => alert.first_activity,
        "lastEventTime" => alert.last_activity,
        "lastUpdateTime" => alert.updated,
        "resolvedTime" => alert.resolved,
        "machineId" => alert.device.as_ref().map(|device| device.id.as_str()),
        "computerDnsName" => alert.device.as_ref().map(|device| device.name.as_str()),
        "rbacGroupName" => alert.device.as_ref().map(|device| device.group.as_str()),
        "aadTenantId" => token.tenant.as_str(),
        "threatName" => alert.threat.as_deref(),
        "mitreTechniques" => alert.techniques.as_slice(),
        "relatedUser" => alert.account.as_ref().map(|account| object! { "userName" => account.name.as_str(), "domainName" => account.domain.as_str() }),
        "loggedOnUsers" => Json::List(Vec::new()),
        "comments" => Json::List(alert.comments.iter().map(comment).collect()),
        "evidence" => evidence,
    }
}
