//! Microsoft Graph v1.0, `/security`: alerts_v2 and incidents.

mod batch;
mod properties;
mod view;

use crate::chance::Chance;
use crate::change::{self, Api};
use crate::entra::{Refused, Resource, Token};
use crate::faults::Route;
use crate::filter::Refusal;
use crate::json::Json;
use crate::model::{Alert, Incident, MissingRole, World};
use crate::object;
use crate::odata::{self, Dialect, Options, Page, Row};
use crate::samples;
use crate::time::Time;
use crate::wire::{Request, Response};
use properties::{ALERT_PROPERTIES, INCIDENT_PROPERTIES, alert_value, incident_value};

/// More than this in `$skip` is refused.
const SKIP_LIMIT: usize = 500;
/// More than this in `$top` of incidents is refused; the default page is as large.
const INCIDENTS_TOP: usize = 50;
/// More than this in `$top` of alerts is taken for this.
const ALERTS_TOP: usize = 1000;

const ORDERED: &[&str] = &["lastUpdateDateTime", "createdDateTime"];

static ALERTS: Dialect = Dialect {
    type_name: "microsoft.graph.security.alert",
    properties: &ALERT_PROPERTIES,
    options: &["$count", "$filter", "$skip", "$top", "$orderby", "$select"],
    expand: "",
    orderby: ORDERED,
    page: 100,
};

static INCIDENTS: Dialect = Dialect {
    type_name: "microsoft.graph.security.incident",
    properties: &INCIDENT_PROPERTIES,
    options: &["$count", "$filter", "$skip", "$top", "$orderby", "$select", "$expand"],
    expand: "alerts",
    orderby: ORDERED,
    page: INCIDENTS_TOP,
};

/// The two sets Graph holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Set {
    Alerts,
    Incidents,
}

impl Set {
    const fn dialect(self) -> &'static Dialect {
        match self {
            Set::Alerts => &ALERTS,
            Set::Incidents => &INCIDENTS,
        }
    }

    const fn list(self) -> Route {
        match self {
            Set::Alerts => Route::GraphAlerts,
            Set::Incidents => Route::GraphIncidents,
        }
    }
}

/// Answers a request to Graph.
pub(crate) fn answer(world: &mut World, request: &Request, now: Time) -> Response {
    let route = Route::of(crate::wire::Service::Graph, request);
    if route == Route::GraphBatch {
        return match request.method.as_str() {
            "POST" => batch::answer(world, request, now),
            _ => error(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.", request, now),
        };
    }
    let about_alerts = matches!(route, Route::GraphAlerts | Route::GraphAlert | Route::GraphAlertComments);
    let set = if about_alerts { Set::Alerts } else { Set::Incidents };
    let roles: &[&str] = match (about_alerts, request.method == "GET") {
        (true, true) => &["SecurityAlert.Read.All", "SecurityAlert.ReadWrite.All"],
        (true, false) => &["SecurityAlert.ReadWrite.All"],
        (false, true) => &["SecurityIncident.Read.All", "SecurityIncident.ReadWrite.All"],
        (false, false) => &["SecurityIncident.ReadWrite.All"],
    };
    let token = match world.entra.check(request, Resource::Graph, roles, now) {
        Ok(token) => token.clone(),
        Err(refused) => return turned_away(world, request, &refused, roles, now),
    };
    if let Err(wait) = world.throttle.admit(&format!("{}/{}", token.tenant, token.client_id), route, now) {
        let response = error(429, "TooManyRequests", "Please retry again later.", request, now);
        return match world.throttle.retry_after.value(wait, now) {
            Some(value) => response.header("Retry-After", &value),
            None => response,
        };
    }
    let segments = request.segments();
    let id = segments.get(3).map(String::as_str).unwrap_or_default();
    match (request.method.as_str(), route) {
        ("GET", Route::GraphAlerts) => list(world, request, set, &token, now),
        ("GET", Route::GraphIncidents) => list(world, request, set, &token, now),
        ("GET", Route::GraphAlert | Route::GraphIncident) => one(world, request, set, id, &token, now),
        ("PATCH", Route::GraphAlert | Route::GraphIncident) => patch(world, request, set, id, &token, now),
        ("GET" | "POST", Route::GraphAlertComments | Route::GraphIncidentComments) => {
            comments(world, request, set, id, &token, now)
        }
        (_, Route::Unknown) => error(400, "BadRequest", &format!("Resource not found for the segment '{id}'."), request, now),
        _ => error(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.", request, now),
    }
}

fn list(world: &mut World, request: &Request, set: Set, token: &Token, now: Time) -> Response {
    let (dialect, route) = (set.dialect(), set.list());
    let bad = |refusal: Refusal| error(400, "BadRequest", &refusal.0, request, now);
    let options = match odata::options(request, dialect) {
        Ok(options) => options,
        Err(refusal) => return bad(refusal),
    };
    if let Some(top) = options.top.filter(|top| set == Set::Incidents && *top > INCIDENTS_TOP) {
        return bad(Refusal(format!(
            "The limit of '50' for Top query has been exceeded. The value from the incoming request is '{top}'."
        )));
    }
    if options.skip > SKIP_LIMIT {
        return bad(Refusal(format!(
            "The limit of '{SKIP_LIMIT}' for Skip query has been exceeded. The value from the incoming request is '{}'.",
            options.skip
        )));
    }
    if odata::orderby_refused(world, &options) {
        return bad(Refusal("The query specified in the URI is not valid. The property 'lastUpdateDateTime' cannot be used in the $orderby query option.".to_string()));
    }
    let limit = options.top.unwrap_or(dialect.page).min(ALERTS_TOP);
    world.next_serial();
    if let Some(samples) = world.samples.of(route) {
        let rows = samples::rows(samples, &options);
        let page = odata::page(world, &options, limit, rows);
        let texts = page
            .keys
            .iter()
            .map(|at| Json::Raw(world.samples.of(route).map(|rows| rows[*at].text.clone()).unwrap_or_default()))
            .collect();
        return answered(world, request, &options, &page, texts);
    }
    if set == Set::Incidents {
        let held = |incident: &&Incident| {
            options.filter.as_ref().is_none_or(|filter| filter.passes(&|name| incident_value(incident, name)))
        };
        let row = |incident: &Incident| Row {
            updated: incident.updated,
            created: incident.created,
            key: incident.id,
            id_hash: odata::id_hash(&incident.id.to_string()),
        };
        let rows = world.incidents().filter(held).map(row).collect();
        let page = odata::page(world, &options, limit, rows);
        let fails = |id: &u64| world.behaviour.poisoned.contains(&id.to_string()) || (options.expand && expand_fails(world, *id));
        if page.keys.iter().any(fails) {
            return error(500, "InternalServerError", "An error has occurred.", request, now);
        }
        let shown = |id: &u64| world.incident(*id).map(|incident| incident_view(world, incident, &options, request, token));
        let texts = page.keys.iter().filter_map(shown).collect();
        answered(world, request, &options, &page, texts)
    } else {
        let held = |alert: &&Alert| options.filter.as_ref().is_none_or(|filter| filter.passes(&|name| alert_value(alert, name)));
        let row = |alert: &Alert| Row {
            updated: alert.updated,
            created: alert.created,
            key: alert.id.clone(),
            id_hash: odata::id_hash(&alert.id),
        };
        let rows = world.alerts().filter(held).map(row).collect();
        let page = odata::page(world, &options, limit, rows);
        if page.keys.iter().any(|id| world.behaviour.poisoned.contains(id)) {
            return error(500, "InternalServerError", "An error has occurred.", request, now);
        }
        let shown = |id: &String| world.alert(id).map(|alert| finished(view::alert(alert, token), &options, request));
        let texts = page.keys.iter().filter_map(shown).collect();
        answered(world, request, &options, &page, texts)
    }
}

/// An incident that has no expansion, or holds an alert that no list can hold.
fn expand_fails(world: &World, id: u64) -> bool {
    world.behaviour.expand_fails.contains(&id) || world.alerts_of(id).any(|alert| world.behaviour.poisoned.contains(&alert.id))
}

fn incident_view(world: &World, incident: &Incident, options: &Options, request: &Request, token: &Token) -> Json {
    let mut shown = view::incident(incident, token);
    if options.expand {
        let alerts: Vec<_> = world.alerts_of(incident.id).map(|alert| view::alert(alert, token)).collect();
        shown = shown.with(object! { "alerts" => alerts });
    }
    finished(shown, options, request)
}

/// Applies `$select` and, without the `Prefer` header, hides the members behind the sentinel.
fn finished(mut shown: Json, options: &Options, request: &Request) -> Json {
    if !prefers_unknown(request) {
        view::hide_new_members(&mut shown);
    }
    if let (Some(select), Json::Object(members)) = (&options.select, &mut shown) {
        members.retain(|(name, _)| {
            name.starts_with('@') || select.iter().any(|wanted| wanted == name) || (name == "alerts" && options.expand)
        });
    }
    shown
}

fn prefers_unknown(request: &Request) -> bool {
    let prefers = |(name, value): &(String, String)| {
        name == "prefer" && value.split(',').any(|part| part.trim() == "include-unknown-enum-members")
    };
    request.headers.iter().any(prefers)
}

fn answered<K>(world: &World, request: &Request, options: &Options, page: &Page<K>, rows: Vec<Json>) -> Response {
    let collection = request.segments().get(2).cloned().unwrap_or_default();
    let mut body =
        vec![("@odata.context".into(), Json::from(format!("https://graph.microsoft.com/v1.0/$metadata#security/{collection}")))];
    if options.count {
        body.push(("@odata.count".into(), Json::from(page.total as i64)));
    }
    if let Some(link) =
        page.next.and_then(|skip| odata::next_link(world.behaviour.links, "https://graph.microsoft.com", request, skip))
    {
        body.push(("@odata.nextLink".into(), Json::from(link)));
    }
    body.push(("value".into(), Json::List(rows)));
    let response = Response::json(200, &Json::Object(body));
    if prefers_unknown(request) { response.header("Preference-Applied", "include-unknown-enum-members") } else { response }
}

fn one(world: &World, request: &Request, set: Set, id: &str, token: &Token, now: Time) -> Response {
    let options = match odata::options(request, set.dialect()) {
        Ok(options) => options,
        Err(refusal) => return error(400, "BadRequest", &refusal.0, request, now),
    };
    if let Some(sample) = world.samples.of(set.list()).and_then(|rows| rows.iter().find(|row| row.id == id)) {
        return Response::new(200, "application/json; odata.metadata=minimal; charset=utf-8", sample.text.as_str());
    }
    if set == Set::Incidents {
        let Some(incident) = id.parse().ok().and_then(|id| world.incident(id)) else {
            return not_found(id, request, now);
        };
        if options.expand && expand_fails(world, incident.id) {
            return error(500, "InternalServerError", "An error has occurred.", request, now);
        }
        Response::json(200, &incident_view(world, incident, &options, request, token))
    } else {
        let Some(alert) = world.alert(id) else {
            return not_found(id, request, now);
        };
        Response::json(200, &finished(view::alert(alert, token), &options, request))
    }
}

fn patch(world: &mut World, request: &Request, set: Set, id: &str, token: &Token, now: Time) -> Response {
    let alert = set == Set::Alerts;
    let known = if alert { world.alert(id).is_some() } else { id.parse().is_ok_and(|id| world.incident(id).is_some()) };
    if !known {
        return not_found(id, request, now);
    }
    let api = if alert { Api::GraphAlert } else { Api::GraphIncident };
    let body = change::body(request).and_then(|body| change::read(&body, api, &world.behaviour));
    let change = match body {
        Ok(change) => change,
        Err(invalid) => return error(400, "BadRequest", &invalid.message, request, now),
    };
    if alert {
        change::alert(world, id, &change, &token.name, now);
    } else if let Ok(id) = id.parse() {
        change::incident(world, id, &change, &token.name, now);
    }
    one(world, request, set, id, token, now)
}

/// `POST` adds a comment and answers with all of them, as the documents show.
fn comments(world: &mut World, request: &Request, set: Set, id: &str, token: &Token, now: Time) -> Response {
    let alert = set == Set::Alerts;
    let number = id.parse().unwrap_or(0);
    let known = if alert { world.alert(id).is_some() } else { world.incident(number).is_some() };
    if !known {
        return not_found(id, request, now);
    }
    if request.method == "POST" {
        let text = match change::body(request).and_then(|body| change::graph_comment(&body)) {
            Ok(text) => text,
            Err(invalid) => return error(400, "BadRequest", &invalid.message, request, now),
        };
        let change = change::Change { comment: Some(text), ..change::Change::default() };
        if alert {
            change::alert(world, id, &change, &token.name, now);
        } else {
            change::incident(world, number, &change, &token.name, now);
        }
    }
    let held = if alert {
        world.alert(id).map(|alert| &alert.comments)
    } else {
        world.incident(number).map(|incident| &incident.comments)
    };
    let shown: Vec<_> = held.into_iter().flatten().map(view::comment).collect();
    let collection = if alert { "alerts_v2" } else { "incidents" };
    Response::json(
        200,
        &object! {
            "@odata.context" => format!("https://graph.microsoft.com/v1.0/$metadata#security/{collection}('{id}')/comments"),
            "value" => shown,
        },
    )
}

fn not_found(id: &str, request: &Request, now: Time) -> Response {
    error(404, "NotFound", &format!("Resource '{id}' was not found."), request, now)
}

fn turned_away(world: &World, request: &Request, refused: &Refused, roles: &[&str], now: Time) -> Response {
    let unauthorized = |message: &str| {
        error(401, "InvalidAuthenticationToken", message, request, now).header(
            "WWW-Authenticate",
            "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\"",
        )
    };
    match refused {
        Refused::Missing => unauthorized("Access token is empty."),
        Refused::Invalid => unauthorized("Access token validation failure. Invalid signature."),
        Refused::Expired => unauthorized("Lifetime validation failed, the token is expired."),
        Refused::Audience => unauthorized("Access token validation failure. Invalid audience."),
        Refused::Role(held) => {
            let message = format!(
                "Missing application roles. API required roles: {}, application roles: {}.",
                roles.join(","),
                held.join(",")
            );
            match world.behaviour.missing_role {
                MissingRole::Forbidden => error(403, "Forbidden", &message, request, now),
                MissingRole::Unauthorized => unauthorized(&message),
            }
        }
    }
}

/// Graph's error body.
pub(crate) fn error(status: u16, code: &str, message: &str, request: &Request, now: Time) -> Response {
    let id = Chance::new(now.0 as u64 ^ u64::from(status)).guid();
    let client = request.header_value("client-request-id").unwrap_or(&id).to_string();
    let date = Time::from_unix(now.unix()).to_string();
    let inner = object! { "date" => date.trim_end_matches('Z'), "request-id" => id.as_str(), "client-request-id" => client };
    // The envelope of a 429 is spelled in another order, and the casing of `innerError` varies in the wild.
    let body = match status {
        429 => object! { "code" => code, "innerError" => inner, "message" => message },
        500.. => object! { "code" => code, "message" => message, "innererror" => inner },
        _ => object! { "code" => code, "message" => message, "innerError" => inner },
    };
    Response::json(status, &object! { "error" => body }).header("request-id", &id)
}
