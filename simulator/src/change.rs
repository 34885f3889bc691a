//! What the write requests ask for, what of it is valid in which API, and what it does.

use serde_json::{Map, Value};

use crate::model::spelling::{AlertStatus, Classification, Determination, IncidentStatus};
use crate::model::{Behaviour, Comment, Determinations, Pairs, Pending, Stamps, World};
use crate::time::Time;
use crate::wire::Request;

/// The longest comment the portal's documents allow, in characters.
const COMMENT_LIMIT: usize = 30_000;

/// Which API's rules hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    GraphAlert,
    GraphIncident,
    EndpointAlert,
    DefenderIncident,
}

/// A status of one kind of object or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Alert(AlertStatus),
    Incident(IncidentStatus),
}

/// A change that was checked. What is `None` stays as it is; an assignee of `Some(None)` is taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) status: Option<Status>,
    pub(crate) assigned_to: Option<Option<String>>,
    pub(crate) classification: Option<Classification>,
    pub(crate) determination: Option<Determination>,
    pub(crate) comment: Option<String>,
    pub(crate) tags: Option<Vec<String>>,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) summary: Option<String>,
    pub(crate) resolving_comment: Option<String>,
}

/// Why a change is not valid: the Defender APIs' code, and a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

fn invalid<T>(code: &'static str, message: String) -> Result<T, Invalid> {
    Err(Invalid { code, message })
}

/// The body of a write request, which must be a JSON object and say so.
pub(crate) fn body(request: &Request) -> Result<Map<String, Value>, Invalid> {
    if request.content_type() != "application/json" {
        return invalid(
            "InvalidRequestBody",
            format!("The content type '{}' is not supported; send application/json.", request.content_type()),
        );
    }
    match serde_json::from_slice(&request.body) {
        Ok(Value::Object(members)) => Ok(members),
        _ => invalid("InvalidRequestBody", "Request body is incorrect".to_string()),
    }
}

/// Reads and checks a change.
pub(crate) fn read(body: &Map<String, Value>, api: Api, behaviour: &Behaviour) -> Result<Change, Invalid> {
    let mut change = Change::default();
    if body.keys().all(|name| name.starts_with('@')) {
        return invalid("InvalidRequestBody", "The request body holds nothing to change.".to_string());
    }
    for (name, value) in body {
        let wrong =
            || Invalid { code: "InvalidInput", message: format!("Invalid input: {name}. The value {value} is not valid.") };
        let text = || value.as_str().map(str::to_string).ok_or_else(wrong);
        match (name.as_str(), api) {
            ("status", _) => change.status = Some(status(&text()?, api).ok_or_else(wrong)?),
            ("assignedTo", _) => {
                // Null and the empty text both take the assignee away; no document says which.
                change.assigned_to = Some(if value.is_null() { None } else { Some(text()?).filter(|name| !name.is_empty()) });
            }
            ("classification", Api::GraphAlert | Api::GraphIncident) => {
                change.classification = Some(Classification::from_graph(&text()?).ok_or_else(wrong)?)
            }
            ("classification", _) => {
                let known = Classification::from_defender(&text()?).filter(|known| *known != Classification::Unknown);
                change.classification = Some(known.ok_or_else(wrong)?);
            }
            ("determination", _) => {
                change.determination = Some(determination(&text()?, api, behaviour.determinations).ok_or_else(wrong)?)
            }
            ("comment", Api::EndpointAlert | Api::DefenderIncident) => change.comment = Some(comment(&text()?)?),
            ("alertIds", Api::EndpointAlert) => {}
            ("tags", Api::DefenderIncident) | ("customTags", Api::GraphIncident) => {
                let tags = value
                    .as_array()
                    .and_then(|tags| tags.iter().map(|tag| tag.as_str().map(str::to_string)).collect::<Option<Vec<_>>>());
                change.tags = Some(tags.ok_or_else(wrong)?);
            }
            ("displayName", Api::GraphIncident) => change.name = Some(text()?),
            ("description", Api::GraphIncident) => change.description = Some(text()?),
            ("summary", Api::GraphIncident) => change.summary = Some(text()?),
            ("resolvingComment", Api::GraphIncident) => change.resolving_comment = Some(text()?),
            (name, _) if name.starts_with('@') => {}
            (name, Api::GraphAlert | Api::GraphIncident) => {
                return invalid(
                    "InvalidRequestBody",
                    format!("The property '{name}' does not exist or is read-only and cannot be changed."),
                );
            }
            (name, _) => {
                return invalid(
                    "InvalidRequestBody",
                    format!("Request body is incorrect: '{name}' is not a member of the request."),
                );
            }
        }
    }
    pair(&change, behaviour)?;
    Ok(change)
}

fn status(text: &str, api: Api) -> Option<Status> {
    match api {
        Api::GraphAlert => AlertStatus::from_graph(text).filter(|status| *status != AlertStatus::Unknown).map(Status::Alert),
        Api::EndpointAlert => {
            AlertStatus::from_defender(text).filter(|status| *status != AlertStatus::Unknown).map(Status::Alert)
        }
        // Redirected and awaitingAction are the service's to set.
        Api::GraphIncident | Api::DefenderIncident => {
            let read =
                if api == Api::GraphIncident { IncidentStatus::from_graph(text) } else { IncidentStatus::from_defender(text) };
            read.filter(|status| matches!(status, IncidentStatus::Active | IncidentStatus::InProgress | IncidentStatus::Resolved))
                .map(Status::Incident)
        }
    }
}

fn determination(text: &str, api: Api, spellings: Determinations) -> Option<Determination> {
    match (api, spellings) {
        (Api::GraphAlert | Api::GraphIncident, _) => Determination::from_graph(text),
        (Api::DefenderIncident, _) => Determination::from_incident_api(text),
        (Api::EndpointAlert, Determinations::UpdatePage) => Determination::from_defender(text),
        (Api::EndpointAlert, Determinations::Any) => {
            Determination::from_defender(text).or_else(|| Determination::from_other_page(text))
        }
        (Api::EndpointAlert, Determinations::OtherPages) => {
            let differs = matches!(text, "CompromisedUser" | "ConfirmedActivity" | "NotMalicious" | "InsufficientData");
            Determination::from_other_page(text).or_else(|| Determination::from_defender(text).filter(|_| !differs))
        }
    }
}

/// A determination alone is checked against nothing: the classification it will stand beside is the object's.
fn pair(change: &Change, behaviour: &Behaviour) -> Result<(), Invalid> {
    match (change.classification, change.determination) {
        (Some(classification), Some(determination))
            if behaviour.pairs == Pairs::Strict && !determination.fits(classification) =>
        {
            let (classification, determination) = (classification.defender(), determination.defender());
            invalid(
                "InvalidInput",
                format!("Invalid input: determination. {determination} is not valid with classification {classification}."),
            )
        }
        _ => Ok(()),
    }
}

fn comment(text: &str) -> Result<String, Invalid> {
    let length = text.chars().count();
    if text.trim().is_empty() {
        return invalid("InvalidInput", "Invalid input: comment. The comment is empty.".to_string());
    }
    if length > COMMENT_LIMIT {
        return invalid(
            "InvalidInput",
            format!("Invalid input: comment. The comment has {length} characters, {COMMENT_LIMIT} are allowed."),
        );
    }
    Ok(text.to_string())
}

/// Reads the body of `POST …/comments`.
pub(crate) fn graph_comment(body: &Map<String, Value>) -> Result<String, Invalid> {
    let kind = body.get("@odata.type").and_then(Value::as_str).map(|kind| kind.trim_start_matches('#'));
    if kind != Some("microsoft.graph.security.alertComment") {
        return invalid(
            "InvalidRequestBody",
            "The property '@odata.type' must be 'microsoft.graph.security.alertComment'.".to_string(),
        );
    }
    if let Some(other) = body.keys().find(|name| !["@odata.type", "comment"].contains(&name.as_str())) {
        return invalid(
            "InvalidRequestBody",
            format!("The property '{other}' does not exist on type 'microsoft.graph.security.alertComment'."),
        );
    }
    match body.get("comment").and_then(Value::as_str) {
        Some(text) => comment(text),
        None => invalid("InvalidRequestBody", "The property 'comment' is required.".to_string()),
    }
}

/// What the service makes of the name of an owner.
fn stored(behaviour: &Behaviour, name: &Option<String>) -> Option<String> {
    let name = name.as_deref()?;
    if let Some((_, to)) = behaviour.renames.as_ref().filter(|(from, _)| from == name) {
        return Some(to.clone());
    }
    match behaviour.principal_domain.as_ref().filter(|_| !name.contains('@')) {
        Some(domain) => Some(format!("{name}@{domain}")),
        None => Some(name.to_string()),
    }
}

/// Changes an alert. False when there is none.
pub(crate) fn alert(world: &mut World, id: &str, change: &Change, author: &str, now: Time) -> bool {
    let shown = world.alert(id).cloned();
    world.reveal(|state| matches!(state, Pending::Alert(alert) if alert.id == id));
    if let Some(name) = world.behaviour.meddler.take() {
        world.change_alert(id, now, |alert| {
            alert.comments.push(Comment { text: "mine now".to_string(), author: name.clone(), created: now });
            alert.assigned_to = Some(name);
        });
    }
    let changed = change_alert(world, id, change, author, now);
    if let (Some(after), Some(shown)) = (world.behaviour.shown_after, shown)
        && let Some(made) = world.alert(id).cloned()
    {
        world.put_alert(shown);
        world.show_later(now.plus(after), Pending::Alert(Box::new(made)));
    }
    changed
}

fn change_alert(world: &mut World, id: &str, change: &Change, author: &str, now: Time) -> bool {
    let assigned_to = change.assigned_to.as_ref().map(|name| stored(&world.behaviour, name));
    let changed = world.change_alert(id, now, |alert| {
        if let Some(Status::Alert(status)) = change.status {
            alert.resolved = (status == AlertStatus::Resolved).then(|| alert.resolved.unwrap_or(now));
            alert.status = status;
        }
        if let Some(assigned) = &assigned_to {
            alert.assigned_to.clone_from(assigned);
        }
        alert.classification = change.classification.unwrap_or(alert.classification);
        alert.determination = change.determination.unwrap_or(alert.determination);
        if let Some(text) = &change.comment {
            alert.comments.push(Comment { text: text.clone(), author: author.to_string(), created: now });
        }
    });
    let incident = world.alert(id).and_then(|alert| alert.incident);
    if let (Stamps::Incident, Some(incident)) = (world.behaviour.stamps, incident) {
        world.change_incident(incident, now, |_| {});
    }
    changed
}

/// Changes an incident and what follows from it: resolving it resolves its open alerts, assigning it assigns its alerts.
pub(crate) fn incident(world: &mut World, id: u64, change: &Change, author: &str, now: Time) -> bool {
    let shown = world.incident(id).cloned();
    world.reveal(|state| matches!(state, Pending::Incident(incident) if incident.id == id));
    if let Some(name) = world.behaviour.meddler.take() {
        world.change_incident(id, now, |incident| {
            incident.comments.push(Comment { text: "mine now".to_string(), author: name.clone(), created: now });
            incident.assigned_to = Some(name);
        });
    }
    let changed = change_incident(world, id, change, author, now);
    if let (Some(after), Some(shown)) = (world.behaviour.shown_after, shown)
        && let Some(made) = world.incident(id).cloned()
    {
        world.put_incident(shown);
        world.show_later(now.plus(after), Pending::Incident(Box::new(made)));
    }
    changed
}

fn change_incident(world: &mut World, id: u64, change: &Change, author: &str, now: Time) -> bool {
    let assigned_to = change.assigned_to.as_ref().map(|name| stored(&world.behaviour, name));
    let changed = world.change_incident(id, now, |incident| {
        if let Some(Status::Incident(status)) = change.status {
            incident.status = status;
        }
        if let Some(assigned) = &assigned_to {
            incident.assigned_to.clone_from(assigned);
        }
        incident.classification = change.classification.unwrap_or(incident.classification);
        incident.determination = change.determination.unwrap_or(incident.determination);
        if let Some(tags) = &change.tags {
            incident.custom_tags.clone_from(tags);
        }
        if let Some(name) = &change.name {
            incident.name.clone_from(name);
        }
        for (held, given) in [
            (&mut incident.description, &change.description),
            (&mut incident.summary, &change.summary),
            (&mut incident.resolving_comment, &change.resolving_comment),
        ] {
            if given.is_some() {
                held.clone_from(given);
            }
        }
        if let Some(text) = &change.comment {
            incident.comments.push(Comment { text: text.clone(), author: author.to_string(), created: now });
        }
        incident.last_modified_by = Some(author.to_string());
    });
    let resolves = change.status == Some(Status::Incident(IncidentStatus::Resolved));
    let alerts: Vec<_> = world
        .alerts_of(id)
        .filter(|alert| {
            (resolves && alert.status != AlertStatus::Resolved) || assigned_to.as_ref().is_some_and(|to| *to != alert.assigned_to)
        })
        .map(|alert| alert.id.clone())
        .collect();
    for alert in alerts {
        world.change_alert(&alert, now, |alert| {
            if resolves && alert.status != AlertStatus::Resolved {
                alert.status = AlertStatus::Resolved;
                alert.resolved = Some(now);
            }
            if let Some(assigned) = &assigned_to {
                alert.assigned_to.clone_from(assigned);
            }
        });
    }
    changed
}
