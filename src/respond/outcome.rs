//! What became of a row.

use std::time::Duration;

use crate::microsoft::update::{Difference, Member};

/// How many characters of a result's text are kept for later rows of the same object.
const KEPT: usize = 1000;

/// The one result of a row, and what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Changed as asked, and read back.
    Updated(String),
    /// It was so already, or nothing may be sent (dry run).
    Unchanged(String),
    /// Not sent: what was asked for makes no sense, or not any more.
    Refused(String),
    /// There is no such object.
    NotFound(String),
    /// Sent or tried, and not done.
    Failed(String),
}

impl Outcome {
    /// The result's name, and the text.
    pub(super) fn told(&self) -> (&'static str, &str) {
        match self {
            Self::Updated(text) => ("updated", text),
            Self::Unchanged(text) => ("unchanged", text),
            Self::Refused(text) => ("refused", text),
            Self::NotFound(text) => ("not_found", text),
            Self::Failed(text) => ("failed", text),
        }
    }

    pub(super) fn is_success(&self) -> bool {
        matches!(self, Self::Updated(_) | Self::Unchanged(_))
    }
}

/// How an object came to its outcome, for the audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trace {
    /// Members as they were when first read, and as they were wanted.
    pub(super) asked: Vec<Difference>,
    /// The same members as read back.
    pub(super) after: Vec<(Member, String)>,
    /// The times of the versions that this change made, in the service's spelling.
    pub(super) versions: Vec<String>,
    /// Under which the service logged the last request.
    pub(super) request_id: Option<String>,
    /// Of the last answer.
    pub(super) http_status: Option<u16>,
    /// How often it was tried; 0 when nothing was asked.
    pub(super) attempts: u32,
    /// From the first request for it to the last, with those of others it was handled with.
    pub(super) took: Duration,
    /// What had happened to the object since the search found it.
    pub(super) changed_since: Option<String>,
    /// What a person should know of a change that was made: it was stored under another name, or somebody else changed the
    /// object at the same time.
    pub(super) warning: Option<String>,
    /// The requests a dry run would have sent.
    pub(super) requests: Vec<String>,
}

/// The end of one object's change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) outcome: Outcome,
    pub(super) trace: Trace,
}

impl Done {
    /// Ended before anything was asked.
    pub(super) fn early(outcome: Outcome) -> Self {
        Self { outcome, trace: Trace::default() }
    }

    /// Cut to what a later row of the same object is told: the ends of thousands of objects are kept.
    pub(super) fn shorten(&mut self) {
        let (Outcome::Updated(text)
        | Outcome::Unchanged(text)
        | Outcome::Refused(text)
        | Outcome::NotFound(text)
        | Outcome::Failed(text)) = &mut self.outcome;
        if let Some((at, _)) = text.char_indices().nth(KEPT) {
            text.truncate(at);
            text.push_str("...");
            self.trace.requests.clear();
        }
    }
}
