//! An incident, in the meaning Graph and the incidents API share.

use super::alert::Comment;
use super::spelling::{Classification, Determination, IncidentStatus, Severity};
use crate::time::Time;

/// An incident. Which alerts belong to it is said by the alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// A number; Graph writes it as text.
    pub id: u64,
    /// What happened.
    pub name: String,
    /// The same, longer.
    pub description: Option<String>,
    /// A summary, when somebody wrote one.
    pub summary: Option<String>,
    /// When it was opened.
    pub created: Time,
    /// When it changed last.
    pub updated: Time,
    /// Who looks at it.
    pub assigned_to: Option<String>,
    /// What an analyst says.
    pub classification: Classification,
    /// Why.
    pub determination: Determination,
    /// Where it stands.
    pub status: IncidentStatus,
    /// How bad it is.
    pub severity: Severity,
    /// The incident it was merged into.
    pub redirect: Option<u64>,
    /// Tags people set.
    pub custom_tags: Vec<String>,
    /// Tags the service set.
    pub system_tags: Vec<String>,
    /// What was said.
    pub comments: Vec<Comment>,
    /// Said when it was closed.
    pub resolving_comment: Option<String>,
    /// Who changed it last.
    pub last_modified_by: Option<String>,
    /// 0 to 100.
    pub priority: Option<i64>,
}

impl Incident {
    /// An incident with nothing in it but what every incident has.
    pub fn plain(id: u64, created: Time) -> Self {
        Incident {
            id,
            name: format!("Incident {id}"),
            description: None,
            summary: None,
            created,
            updated: created,
            assigned_to: None,
            classification: Classification::Unknown,
            determination: Determination::Unknown,
            status: IncidentStatus::Active,
            severity: Severity::Medium,
            redirect: None,
            custom_tags: Vec::new(),
            system_tags: Vec::new(),
            comments: Vec::new(),
            resolving_comment: None,
            last_modified_by: None,
            priority: None,
        }
    }
}
