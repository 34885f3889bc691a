//! What Graph takes in a filter, and the values it is compared with.

use crate::filter::{Kind, Property, Value, property};
use crate::model::spelling::{AlertStatus, Classification, Determination, IncidentStatus, Severity};
use crate::model::{Alert, Incident};

const SERVICE_SOURCES: &[&str] = &[
    "unknown",
    "microsoftDefenderForEndpoint",
    "microsoftDefenderForIdentity",
    "microsoftDefenderForCloudApps",
    "microsoftDefenderForOffice365",
    "microsoft365Defender",
    "azureAdIdentityProtection",
    "microsoftAppGovernance",
    "dataLossPrevention",
    "unknownFutureValue",
    "microsoftDefenderForCloud",
    "microsoftSentinel",
    "microsoftInsiderRiskManagement",
    "microsoftThreatIntelligence",
    "microsoftSecurityForAI",
];

/// Of an alert; others are refused, `detectorId` and `incidentId` among them.
pub(super) static ALERT_PROPERTIES: [Property; 8] = [
    property("assignedTo", Kind::Text),
    property("classification", Kind::Enum(Classification::GRAPH)),
    property("determination", Kind::Enum(Determination::GRAPH)),
    property("createdDateTime", Kind::Time),
    property("lastUpdateDateTime", Kind::Time),
    property("severity", Kind::Enum(Severity::GRAPH)),
    property("serviceSource", Kind::Enum(SERVICE_SOURCES)),
    property("status", Kind::Enum(AlertStatus::GRAPH)),
];

/// Of an incident.
pub(super) static INCIDENT_PROPERTIES: [Property; 7] = [
    property("assignedTo", Kind::Text),
    property("classification", Kind::Enum(Classification::GRAPH)),
    property("determination", Kind::Enum(Determination::GRAPH)),
    property("createdDateTime", Kind::Time),
    property("lastUpdateDateTime", Kind::Time),
    property("severity", Kind::Enum(Severity::GRAPH)),
    property("status", Kind::Enum(IncidentStatus::GRAPH)),
];

/// The value of an alert's property.
pub(super) fn alert_value(alert: &Alert, name: &str) -> Value {
    let text = |text: &str| Value::Text(text.to_string());
    match name {
        "assignedTo" => alert.assigned_to.as_deref().map_or(Value::Null, text),
        "classification" => text(alert.classification.graph()),
        "determination" => text(alert.determination.graph()),
        "createdDateTime" => Value::Time(alert.created),
        "lastUpdateDateTime" => Value::Time(alert.updated),
        "severity" => text(alert.severity.graph()),
        "serviceSource" => text(&alert.service),
        "status" => text(alert.status.graph()),
        _ => Value::Null,
    }
}

/// The value of an incident's property.
pub(super) fn incident_value(incident: &Incident, name: &str) -> Value {
    let text = |text: &str| Value::Text(text.to_string());
    match name {
        "assignedTo" => incident.assigned_to.as_deref().map_or(Value::Null, text),
        "classification" => text(incident.classification.graph()),
        "determination" => text(incident.determination.graph()),
        "createdDateTime" => Value::Time(incident.created),
        "lastUpdateDateTime" => Value::Time(incident.updated),
        "severity" => text(incident.severity.graph()),
        "status" => text(incident.status.graph()),
        _ => Value::Null,
    }
}
