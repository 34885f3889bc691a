//! What the services are strict or kind about. The defaults are what the documents say, or the unkinder reading of them.

use std::collections::BTreeSet;
use std::time::Duration;

/// The order of a list when none is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Last update first.
    #[default]
    NewestFirst,
    /// Opened or raised last first, whatever the update time.
    CreatedFirst,
    /// Oldest update first.
    OldestFirst,
    /// None, and another one each time.
    Shuffled,
}

/// What becomes of `$orderby=lastUpdateDateTime asc` in Graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrderBy {
    /// It is done.
    #[default]
    Accepted,
    /// 400.
    Refused,
    /// 400 for one request in so many, beginning with the first.
    RefusedEvery(u64),
    /// 200, and the order stays what it was.
    Ignored,
}

/// The order of rows with one update time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ties {
    /// By id.
    #[default]
    Stable,
    /// Another one each time.
    Shuffled,
}

/// Whose host a `@odata.nextLink` names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// The one that was asked.
    #[default]
    Own,
    /// Microsoft's.
    Canonical,
    /// There is none.
    Missing,
}

/// Whether a determination must be one the documents name for its classification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pairs {
    /// 400 for any other.
    #[default]
    Strict,
    /// Any.
    Lax,
}

/// Which page's spelling of a determination the Endpoint API takes; the pages disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Determinations {
    /// That of the update page.
    #[default]
    UpdatePage,
    /// That of the other pages, where it differs.
    OtherPages,
    /// Both.
    Any,
}

/// What a token without the role gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingRole {
    /// 403.
    #[default]
    Forbidden,
    /// 401.
    Unauthorized,
}

/// Framing of list answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transfer {
    /// `Transfer-Encoding: chunked`
    #[default]
    Chunked,
    /// `Content-Length`
    Length,
}

/// Whether a change of an alert also dates its incident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamps {
    /// Only what was changed, and what a cascade changed.
    #[default]
    Own,
    /// The incident as well.
    Incident,
}

/// What the services are strict or kind about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// Order when none is asked for.
    pub order: Order,
    /// What becomes of `$orderby`.
    pub orderby: OrderBy,
    /// Order within one update time.
    pub ties: Ties,
    /// Host of `nextLink`.
    pub links: Links,
    /// Send at most so many rows, whatever `$top` says, with a `nextLink` where more follow.
    pub short_pages: Option<usize>,
    /// Whether pairs are checked.
    pub pairs: Pairs,
    /// Which spellings the Endpoint API takes.
    pub determinations: Determinations,
    /// What a token without the role gets.
    pub missing_role: MissingRole,
    /// Framing of list answers.
    pub transfer: Transfer,
    /// What a change of an alert dates.
    pub stamps: Stamps,
    /// Incidents whose expansion is 500, alone or in a list.
    pub expand_fails: BTreeSet<u64>,
    /// How long after it was accepted a change is shown. Until then the version before it is, the answer to the change included.
    pub shown_after: Option<Duration>,
    /// A name without a domain is stored as a principal name of this domain.
    pub principal_domain: Option<String>,
    /// A name that is stored in place of another, as display names are.
    pub renames: Option<(String, String)>,
    /// Somebody who, once, takes the object and remarks on it in the moment before the next change of one is made.
    pub meddler: Option<String>,
    /// Ids of alerts or incidents that no list can hold: any that would is 500.
    pub poisoned: BTreeSet<String>,
}
