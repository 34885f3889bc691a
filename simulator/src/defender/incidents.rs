//! `/api/incidents` of Microsoft 365 Defender.

use super::{admit, entities, error, listed};
use crate::change::{self, Api};
use crate::entra::{Resource, Token};
use crate::faults::Route;
use crate::filter::{Kind, Property, Value, property};
use crate::json::Json;
use crate::model::spelling::{Classification, Determination, IncidentStatus, detection_source, pascal, service_source};
use crate::model::{Alert, Comment, Incident, World};
use crate::object;
use crate::odata::{self, Dialect, Row};
use crate::samples;
use crate::time::Time;
use crate::wire::{Request, Response};

const CONTEXT: &str = "https://api.security.microsoft.com/api/$metadata#Incidents";
const HOST: &str = "https://api.security.microsoft.com";

/// The largest page, and the page when `$top` is absent.
const PAGE: usize = 100;

static PROPERTIES: [Property; 4] = [
    property("lastUpdateTime", Kind::Time),
    property("createdTime", Kind::Time),
    property("status", Kind::Enum(IncidentStatus::DEFENDER)),
    property("assignedTo", Kind::Text),
];

static DIALECT: Dialect = Dialect {
    type_name: "Microsoft.Mtp.Api.Incident",
    properties: &PROPERTIES,
    options: &["$filter", "$top", "$skip"],
    expand: "",
    orderby: &[],
    page: PAGE,
};

pub(super) fn answer(world: &mut World, request: &Request, route: Route, now: Time) -> Response {
    let reads: &[&str] = &["Incident.Read.All", "Incident.ReadWrite.All"];
    let writes: &[&str] = &["Incident.ReadWrite.All"];
    let roles = if request.method == "GET" { reads } else { writes };
    let token = match admit(world, request, Resource::Defender, roles, route, now) {
        Ok(token) => token,
        Err(refused) => return refused,
    };
    let id = request.segments().last().cloned().unwrap_or_default();
    match (request.method.as_str(), route) {
        ("GET", Route::XdrIncidents) => list(world, request, &token, now),
        ("GET", Route::XdrIncident) => one(world, &id, &token, now),
        ("PATCH", Route::XdrIncidentUpdate) => update(world, request, &id, &token, now),
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
    let link = |world: &World, next: Option<usize>| {
        next.filter(|_| options.top.is_none()).and_then(|skip| odata::next_link(world.behaviour.links, HOST, request, skip))
    };
    if let Some(samples) = world.samples.of(Route::XdrIncidents) {
        let page = odata::page(world, &options, limit, samples::rows(samples, &options));
        let rows = page.keys.iter().map(|at| Json::Raw(samples[*at].text.clone())).collect();
        return listed(CONTEXT, link(world, page.next), rows);
    }
    let held = |incident: &&Incident| options.filter.as_ref().is_none_or(|filter| filter.passes(&|name| value(incident, name)));
    let row = |incident: &Incident| Row {
        updated: incident.updated,
        created: incident.created,
        key: incident.id,
        id_hash: odata::id_hash(&incident.id.to_string()),
    };
    let rows = world.incidents().filter(held).map(row).collect();
    let page = odata::page(world, &options, limit, rows);
    if page.keys.iter().any(|id| poisoned(world, *id)) {
        return error(500, "InternalServerError", "", now);
    }
    let rows = page.keys.iter().filter_map(|id| world.incident(*id)).map(|incident| view(world, incident, token)).collect();
    listed(CONTEXT, link(world, page.next), rows)
}

/// The alerts are always part of the incident here, so one of them is enough.
fn poisoned(world: &World, id: u64) -> bool {
    let bad = &world.behaviour.poisoned;
    bad.contains(&id.to_string())
        || world.behaviour.expand_fails.contains(&id)
        || world.alerts_of(id).any(|alert| bad.contains(&alert.id))
}

fn one(world: &World, id: &str, token: &Token, now: Time) -> Response {
    if let Some(sample) = world.samples.of(Route::XdrIncidents).and_then(|rows| rows.iter().find(|row| row.id == id)) {
        return Response::new(200, "application/json; charset=utf-8", sample.text.as_str());
    }
    match id.parse().ok().and_then(|id| world.incident(id)) {
        Some(incident) if poisoned(world, incident.id) => error(500, "InternalServerError", "", now),
        Some(incident) => {
            Response::json(200, &object! { "@odata.context" => format!("{CONTEXT}/$entity") }.with(view(world, incident, token)))
        }
        None => not_found(id, now),
    }
}

fn update(world: &mut World, request: &Request, id: &str, token: &Token, now: Time) -> Response {
    let Some(number) = id.parse().ok().filter(|number| world.incident(*number).is_some()) else {
        return not_found(id, now);
    };
    match change::body(request).and_then(|body| change::read(&body, Api::DefenderIncident, &world.behaviour)) {
        Ok(change) => {
            change::incident(world, number, &change, &token.name, now);
            one(world, id, token, now)
        }
        Err(invalid) => error(400, invalid.code, &invalid.message, now),
    }
}

fn not_found(id: &str, now: Time) -> Response {
    error(404, "ResourceNotFound", &format!("Incident {id} was not found"), now)
}

fn value(incident: &Incident, name: &str) -> Value {
    match name {
        "lastUpdateTime" => Value::Time(incident.updated),
        "createdTime" => Value::Time(incident.created),
        "status" => Value::Text(incident.status.defender().to_string()),
        "assignedTo" => incident.assigned_to.clone().map_or(Value::Null, Value::Text),
        _ => Value::Null,
    }
}

fn view(world: &World, incident: &Incident, token: &Token) -> Json {
    let comment = |comment: &Comment| object! { "comment" => comment.text.as_str(), "createdBy" => comment.author.as_str(), "createdTime" => comment.created };
    let alerts: Vec<_> = world.alerts_of(incident.id).map(alert).collect();
    object! {
        "incidentId" => incident.id as i64,
        "incidentUri" => format!("https://security.microsoft.com/incidents/{}?tid={}", incident.id, token.tenant),
        "redirectIncidentId" => incident.redirect.map(|id| id as i64),
        "incidentName" => incident.name.as_str(),
        "createdTime" => incident.created,
        "lastUpdateTime" => incident.updated,
        "assignedTo" => incident.assigned_to.as_deref(),
        "classification" => incident.classification.defender(),
        "determination" => incident.determination.incident_api(),
        "status" => incident.status.defender(),
        "severity" => incident.severity.defender(),
        "tags" => incident.custom_tags.as_slice(),
        "comments" => Json::List(incident.comments.iter().map(comment).collect()),
        "alerts" => alerts,
    }
}

/// An alert inside an incident; its update time is spelled `lastUpdatedTime` here and nowhere else.
fn alert(alert: &Alert) -> Json {
    let known = |classification: Classification| (classification != Classification::Unknown).then(|| classification.defender());
    let why = |determination: Determination| (determination != Determination::Unknown).then(|| determination.incident_api());
    let entities: Vec<_> = alert.evidence.iter().filter_map(entities::incident).collect();
    let devices: Vec<_> = alert.device.iter().map(entities::device).collect();
    object! {
        "alertId" => alert.id.as_str(),
        "providerAlertId" => alert.id.as_str(),
        "incidentId" => alert.incident.map(|id| id as i64),
        "serviceSource" => service_source(&alert.service),
        "creationTime" => alert.created,
        "lastUpdatedTime" => alert.updated,
        "resolvedTime" => alert.resolved,
        "firstActivity" => alert.first_activity,
        "lastActivity" => alert.last_activity,
        "title" => alert.title.as_str(),
        "description" => alert.description.as_str(),
        "category" => alert.category.as_str(),
        "status" => alert.status.defender(),
        "severity" => alert.severity.defender(),
        "investigationId" => alert.investigation,
        "investigationState" => pascal(&alert.investigation_state),
        "classification" => known(alert.classification),
        "determination" => why(alert.determination),
        "detectionSource" => detection_source(&alert.detection),
        "detectorId" => alert.detector.as_str(),
        "assignedTo" => alert.assigned_to.as_deref(),
        "actorName" => alert.actor.as_deref(),
        "threatFamilyName" => alert.family.as_deref(),
        "mitreTechniques" => alert.techniques.as_slice(),
        "devices" => devices,
        "entities" => entities,
    }
}
