//! Alerts and incidents in Graph's spelling. Nulls are sent.

use crate::entra::Token;
use crate::json::Json;
use crate::model::spelling::behind_sentinel;
use crate::model::{Alert, Comment, Incident};
use crate::object;

pub(super) fn comment(comment: &Comment) -> Json {
    object! {
        "@odata.type" => "#microsoft.graph.security.alertComment",
        "comment" => comment.text.as_str(),
        "createdByDisplayName" => comment.author.as_str(),
        "createdDateTime" => comment.created,
    }
}

pub(super) fn alert(alert: &Alert, token: &Token) -> Json {
    let tenant = token.tenant.as_str();
    object! {
        "@odata.type" => "#microsoft.graph.security.alert",
        "id" => alert.id.as_str(),
        "providerAlertId" => alert.id.as_str(),
        "incidentId" => alert.incident.map(|id| id.to_string()),
        "status" => alert.status.graph(),
        "severity" => alert.severity.graph(),
        "classification" => alert.classification.graph(),
        "determination" => alert.determination.graph(),
        "serviceSource" => alert.service.as_str(),
        "detectionSource" => alert.detection.as_str(),
        "productName" => alert.product.as_str(),
        "detectorId" => alert.detector.as_str(),
        "tenantId" => tenant,
        "title" => alert.title.as_str(),
        "description" => alert.description.as_str(),
        "recommendedActions" => alert.recommended.as_str(),
        "category" => alert.category.as_str(),
        "categories" => vec![alert.category.as_str()],
        "assignedTo" => alert.assigned_to.as_deref(),
        "alertWebUrl" => format!("https://security.microsoft.com/alerts/{}?tid={tenant}", alert.id),
        "incidentWebUrl" => alert.incident.map(|id| format!("https://security.microsoft.com/incidents/{id}?tid={tenant}")),
        "actorDisplayName" => alert.actor.as_deref(),
        "threatDisplayName" => alert.threat.as_deref(),
        "threatFamilyName" => alert.family.as_deref(),
        "mitreTechniques" => alert.techniques.as_slice(),
        "createdDateTime" => alert.created,
        "lastUpdateDateTime" => alert.updated,
        "resolvedDateTime" => alert.resolved,
        "firstActivityDateTime" => alert.first_activity,
        "lastActivityDateTime" => alert.last_activity,
        "systemTags" => alert.system_tags.as_slice(),
        "alertPolicyId" => Json::Null,
        "investigationState" => alert.investigation_state.as_str(),
        "additionalData" => alert.additional_data.clone(),
        "customDetails" => alert.custom_details.clone(),
        "comments" => Json::List(alert.comments.iter().map(comment).collect()),
        "evidence" => &*alert.evidence,
    }
}

pub(super) fn incident(incident: &Incident, token: &Token) -> Json {
    object! {
        "@odata.type" => "#microsoft.graph.security.incident",
        "id" => incident.id.to_string(),
        "tenantId" => token.tenant.as_str(),
        "status" => incident.status.graph(),
        "incidentWebUrl" => format!("https://security.microsoft.com/incidents/{}?tid={}", incident.id, token.tenant),
        "redirectIncidentId" => incident.redirect.map(|id| id.to_string()),
        "displayName" => incident.name.as_str(),
        "createdDateTime" => incident.created,
        "lastUpdateDateTime" => incident.updated,
        "assignedTo" => incident.assigned_to.as_deref(),
        "classification" => incident.classification.graph(),
        "determination" => incident.determination.graph(),
        "severity" => incident.severity.graph(),
        "customTags" => incident.custom_tags.as_slice(),
        "systemTags" => incident.system_tags.as_slice(),
        "description" => incident.description.as_deref(),
        "lastModifiedBy" => incident.last_modified_by.as_deref(),
        "resolvingComment" => incident.resolving_comment.as_deref(),
        "summary" => incident.summary.as_deref(),
        "priorityScore" => incident.priority,
        "comments" => Json::List(incident.comments.iter().map(comment).collect()),
    }
}

/// Replaces enum members newer than the sentinel, wherever in the object they stand.
pub(super) fn hide_new_members(shown: &mut Json) {
    match shown {
        Json::List(items) => items.iter_mut().for_each(hide_new_members),
        Json::Object(members) => {
            for (name, value) in members {
                match value {
                    Json::Text(text) if hides(name, text) => *text = "unknownFutureValue".to_string(),
                    other => hide_new_members(other),
                }
            }
        }
        _ => {}
    }
}

/// `active` is new as a remediation status and old as the status of an incident, so the member's name counts.
fn hides(name: &str, member: &str) -> bool {
    match name {
        "serviceSource" | "detectionSource" | "remediationStatus" => behind_sentinel(member),
        "status" => member == "awaitingAction",
        _ => false,
    }
}
