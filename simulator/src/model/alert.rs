//! An alert, in the meaning all three APIs share.

use std::sync::Arc;

use super::spelling::{AlertStatus, Classification, Determination, Severity};
use crate::json::Json;
use crate::time::Time;

/// A remark of an analyst.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// What was said, at most 30,000 characters.
    pub text: String,
    /// Who said it; for an application, its display name.
    pub author: String,
    /// When.
    pub created: Time,
}

/// The device an alert is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// 40 hexadecimal digits.
    pub id: String,
    /// Its DNS name.
    pub name: String,
    /// `Windows11`, …
    pub platform: String,
    /// The device group.
    pub group: String,
    /// The device group's number.
    pub group_id: i64,
    /// `high`, … in Graph's spelling.
    pub risk: String,
    /// When it was first seen.
    pub first_seen: Time,
}

/// The account an alert is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name without domain.
    pub name: String,
    /// The domain.
    pub domain: String,
    /// `S-1-5-21-…`
    pub sid: String,
    /// The object id in Entra.
    pub object_id: String,
    /// `name@domain`
    pub principal: String,
}

/// An alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// The id, the same string in all three APIs (`da…`, `ad…`, …).
    pub id: String,
    /// The incident it belongs to.
    pub incident: Option<u64>,
    /// What happened.
    pub title: String,
    /// The same, longer.
    pub description: String,
    /// What to do.
    pub recommended: String,
    /// The tactic.
    pub category: String,
    /// Where it stands.
    pub status: AlertStatus,
    /// How bad it is.
    pub severity: Severity,
    /// What an analyst says.
    pub classification: Classification,
    /// Why.
    pub determination: Determination,
    /// The product, in Graph's spelling (`microsoftDefenderForEndpoint`, …). The Endpoint API shows that product's alerts only.
    pub service: String,
    /// What found it, in Graph's spelling.
    pub detection: String,
    /// The rule's id.
    pub detector: String,
    /// The product's display name.
    pub product: String,
    /// When it was raised.
    pub created: Time,
    /// When it changed last.
    pub updated: Time,
    /// The first thing it is about.
    pub first_activity: Time,
    /// The last thing it is about.
    pub last_activity: Time,
    /// When it was resolved.
    pub resolved: Option<Time>,
    /// Who looks at it.
    pub assigned_to: Option<String>,
    /// What was said.
    pub comments: Vec<Comment>,
    /// `T1059.001`, …
    pub techniques: Vec<String>,
    /// The malware family.
    pub family: Option<String>,
    /// The threat's name.
    pub threat: Option<String>,
    /// The attacker's name.
    pub actor: Option<String>,
    /// The automated investigation's state, in Graph's spelling.
    pub investigation_state: String,
    /// The automated investigation's number.
    pub investigation: Option<i64>,
    /// The device, if it is about one.
    pub device: Option<Device>,
    /// The account, if it is about one.
    pub account: Option<Account>,
    /// Evidence, in Graph's shape; the other views are made from it. Shared, because large sets repeat it.
    pub evidence: Arc<[Json]>,
    /// Tags the service set.
    pub system_tags: Vec<String>,
    /// An open dictionary, or null.
    pub custom_details: Json,
    /// An open dictionary, or null.
    pub additional_data: Json,
}

impl Alert {
    /// An alert with nothing in it but what every alert has: cheap, for tests that need many.
    pub fn plain(id: &str, incident: Option<u64>, created: Time) -> Self {
        Alert {
            id: id.to_string(),
            incident,
            title: format!("Suspicious activity {id}"),
            description: String::new(),
            recommended: String::new(),
            category: "SuspiciousActivity".to_string(),
            status: AlertStatus::New,
            severity: Severity::Medium,
            classification: Classification::Unknown,
            determination: Determination::Unknown,
            service: "microsoftDefenderForEndpoint".to_string(),
            detection: "antivirus".to_string(),
            detector: "e0da400f-affd-43ef-b1d5-afc2eb6f2756".to_string(),
            product: "Microsoft Defender for Endpoint".to_string(),
            created,
            updated: created,
            first_activity: created,
            last_activity: created,
            resolved: None,
            assigned_to: None,
            comments: Vec::new(),
            techniques: Vec::new(),
            family: None,
            threat: None,
            actor: None,
            investigation_state: "queued".to_string(),
            investigation: None,
            device: None,
            account: None,
            evidence: Arc::from([]),
            system_tags: Vec::new(),
            custom_details: Json::Null,
            additional_data: Json::Null,
        }
    }

    /// Whether the Endpoint API knows it.
    pub fn is_endpoint(&self) -> bool {
        self.service == "microsoftDefenderForEndpoint"
    }
}
