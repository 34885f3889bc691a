//! A change that somebody wants on an incident or alert: read from plain texts, checked before anything is sent, turned
//! into the requests each API takes, and compared with the object before and after.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::api_error::{ApiError, Failure};
use super::client::{Client, Reply};
use super::cloud::{Api, Resource, What};
use super::object::names;
use super::query::{self, Expand};
use super::values::{Classification, Determination, Status};

/// The longest comment, in characters (Defender portal's documentation).
pub const COMMENT_LIMIT: usize = 30_000;

/// What somebody wrote; an empty text leaves the member alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// `new`, `active`, `in progress`, `resolved`, in any spelling.
    pub status: &'a str,
    /// A user's name; `none` takes the assignment away.
    pub assigned_to: &'a str,
    /// `true positive`, … in any spelling.
    pub classification: &'a str,
    /// `malware`, … in any spelling of any API.
    pub determination: &'a str,
    /// Text to add.
    pub comment: &'a str,
    /// Incidents only: `a, b` adds, `-a` removes, `=a, b` replaces all, `=` removes all.
    pub tags: &'a str,
}

/// A change that makes sense in itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The status to set.
    pub status: Option<Status>,
    /// The assignment to make or take away.
    pub assigned_to: Option<Assign>,
    /// The classification to set.
    pub classification: Option<Classification>,
    /// The determination to set. Without a classification it must suit the one the object has.
    pub determination: Option<Determination>,
    /// The comment to add.
    pub comment: Option<String>,
    /// The tags to change.
    pub tags: Option<TagChange>,
}

/// Who it is assigned to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assign {
    /// This user.
    To(String),
    /// Nobody.
    Nobody,
}

/// What happens to the tags. A tag is the same tag in another case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagChange {
    /// Some are added, some removed, the others stay.
    Amend {
        /// Tags to add.
        add: Vec<String>,
        /// Tags to remove.
        remove: Vec<String>,
    },
    /// These and no others.
    Replace(Vec<String>),
}

/// Why a change is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing was asked for.
    #[error("nothing to change: every parameter is empty")]
    Nothing,
    /// A value that the parameter does not take.
    #[error("{parameter} `{given}` is not allowed: write {allowed}")]
    Value {
        /// The parameter.
        parameter: &'static str,
        /// What was written, shortened.
        given: String,
        /// The allowed values.
        allowed: String,
    },
    /// A determination that does not go with the classification.
    #[error("determination {} does not go with classification {}: write {allowed}", determination.spelled(Api::Graph).0, classification.spelled(Api::Graph))]
    Pair {
        /// The one asked for, or the object's.
        classification: Classification,
        /// The one asked for.
        determination: Determination,
        /// The determinations that do.
        allowed: String,
    },
    /// A determination for an object that has no classification.
    #[error("determination without classification: the {0} has none yet, so set classification too")]
    Unclassified(&'static str),
    /// A comment beyond the limit.
    #[error("comment has {0} characters: {COMMENT_LIMIT} is the most")]
    CommentTooLong(usize),
    /// Tags on an alert.
    #[error("tags: alerts have none, only incidents do")]
    AlertTags,
    /// Tags that contradict each other.
    #[error("tags `{0}` says two things: write `a, b` to add, `-a` to remove, or `=a, b` to replace all")]
    Tags(String),
    /// The incident was merged.
    #[error("the incident was merged into incident {0}: change that one")]
    Redirected(String),
    /// The id cannot be one.
    #[error("{0}")]
    Id(String),
}

impl Change {
    /// Reads and checks what was asked for, as far as that needs no look at the object.
    ///
    /// # Errors
    /// The first fault found, with what would be right.
    pub fn parse(what: What, wanted: &Wanted<'_>) -> Result<Self, Refusal> {
        let text = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let status = match text(wanted.status) {
            Some(given) => Some(status(what, &given)?),
            None => None,
        };
        let classification = match text(wanted.classification) {
            Some(given) => Some(Classification::parse(&given).ok_or_else(|| {
                value("classification", &given, list(Classification::ALL.iter().map(|value| value.spelled(Api::Graph))))
            })?),
            None => None,
        };
        let determination = match text(wanted.determination) {
            Some(given) => {
                let allowed = classification.map_or(&Determination::ALL[..], Classification::determinations);
                Some(Determination::parse(&given).ok_or_else(|| value("determination", &given, determinations(allowed)))?)
            }
            None => None,
        };
        if let (Some(classification), Some(determination)) = (classification, determination) {
            suits(classification, determination)?;
        }
        let comment = text(wanted.comment);
        if let Some(length) = comment.as_ref().map(|comment| comment.chars().count()).filter(|length| *length > COMMENT_LIMIT) {
            return Err(Refusal::CommentTooLong(length));
        }
        let assigned_to = text(wanted.assigned_to).map(|given| match given.eq_ignore_ascii_case("none") {
            true => Assign::Nobody,
            false => Assign::To(given),
        });
        let tags = match (text(wanted.tags), what) {
            (Some(_), What::Alerts) => return Err(Refusal::AlertTags),
            (Some(given), What::Incidents) => Some(TagChange::parse(&given)?),
            (None, _) => None,
        };
        let change = Self { status, assigned_to, classification, determination, comment, tags };
        if change == Self::default() { Err(Refusal::Nothing) } else { Ok(change) }
    }
}

impl TagChange {
    /// Reads `a, b`, `-a` and `=a, b`.
    fn parse(text: &str) -> Result<Self, Refusal> {
        let wrong = || Refusal::Tags(short(text));
        let items = |text: &str| -> Vec<String> {
            let mut items: Vec<String> = Vec::new();
            for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
                if !holds(&items, item) {
                    items.push(item.to_owned());
                }
            }
            items
        };
        if let Some(all) = text.strip_prefix('=') {
            let all = items(all);
            // `=a, -b` cannot mean anything: what is replaced need not be removed.
            return if all.iter().any(|tag| tag.starts_with(['-', '='])) { Err(wrong()) } else { Ok(Self::Replace(all)) };
        }
        let (mut add, mut remove) = (Vec::new(), Vec::new());
        for item in items(text) {
            match item.strip_prefix('-').map(str::trim) {
                Some("") => return Err(wrong()),
                Some(tag) => remove.push(tag.to_owned()),
                None if item.starts_with('=') => return Err(wrong()),
                None => add.push(item),
            }
        }
        if (add.is_empty() && remove.is_empty()) || add.iter().any(|tag| holds(&remove, tag)) {
            return Err(wrong());
        }
        Ok(Self::Amend { add, remove })
    }

    /// The tags after the change, the present ones first and in their order.
    fn applied(&self, current: &[String]) -> Vec<String> {
        match self {
            Self::Replace(all) => all.clone(),
            Self::Amend { add, remove } => {
                let mut tags: Vec<String> = current.iter().filter(|tag| !holds(remove, tag)).cloned().collect();
                for tag in add {
                    if !holds(&tags, tag) {
                        tags.push(tag.clone());
                    }
                }
                tags
            }
        }
    }
}

/// A member that is not as wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which one.
    pub member: Member,
    /// As it is, in the API's spelling; empty when it is not set.
    pub current: String,
    /// As it should be, in the API's spelling.
    pub wanted: String,
}

/// A member that can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// `status`.
    Status,
    /// `assignedTo`.
    AssignedTo,
    /// `classification`.
    Classification,
    /// `determination`.
    Determination,
    /// One of `comments`.
    Comment,
    /// `customTags` or `tags`.
    Tags,
}

impl Member {
    /// The action's parameter for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::AssignedTo => "assigned_to",
            Self::Classification => "classification",
            Self::Determination => "determination",
            Self::Comment => "comment",
            Self::Tags => "tags",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.member.name();
        match (self.member, self.current.is_empty()) {
            // A comment may be a page long.
            (Member::Comment, _) => f.write_str("comment is not there"),
            (_, true) => write!(f, "{name} is not set, wanted `{}`", self.wanted),
            (_, false) => write!(f, "{name} is `{}`, wanted `{}`", self.current, self.wanted),
        }
    }
}

/// What of a change the object does not show yet: empty means `unchanged` before sending, and done after it.
pub fn differences(resource: Resource, current: &Value, change: &Change) -> Vec<Difference> {
    let api = resource.api();
    let text = |name: &str| current[name].as_str().unwrap_or_default();
    let mut found = Vec::new();
    let mut differs = |member, current: &str, wanted: &str| {
        found.push(Difference { member, current: current.to_owned(), wanted: wanted.to_owned() });
    };
    if let Some(wanted) = change.status.filter(|wanted| Status::parse(text("status")) != Some(*wanted)) {
        differs(Member::Status, text("status"), wanted.spelled(api));
    }
    let holder = text("assignedTo").trim();
    match &change.assigned_to {
        Some(Assign::Nobody) if !holder.is_empty() => differs(Member::AssignedTo, holder, "none"),
        Some(Assign::To(user)) if !same(holder, user) => differs(Member::AssignedTo, holder, user),
        _ => {}
    }
    let classified = Classification::parse(text("classification"));
    if let Some(wanted) = change.classification.filter(|wanted| classified != Some(*wanted)) {
        differs(Member::Classification, text("classification"), wanted.spelled(api));
    }
    if let Some(wanted) = change.determination.filter(|wanted| Determination::parse(text("determination")) != Some(*wanted)) {
        differs(Member::Determination, text("determination"), wanted.spelled(api).0);
    }
    // The same words already there: they were posted before, perhaps by the very request that is now repeated.
    if let Some(comment) = change.comment.as_ref().filter(|comment| !commented(current, comment)) {
        differs(Member::Comment, "", comment);
    }
    if let Some(tags) = &change.tags {
        let present = tags_of(resource, current);
        let wanted = tags.applied(&present);
        let alike = present.len() == wanted.len() && present.iter().all(|tag| holds(&wanted, tag));
        if !alike {
            differs(Member::Tags, &present.join(", "), &wanted.join(", "));
        }
    }
    found
}

/// One request of a change.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// How it is sent.
    pub verb: Verb,
    /// Its path.
    pub path: String,
    /// Its body.
    pub body: Body,
    /// The body with Microsoft's other spelling of the determination, for when the first is answered with 400.
    pub otherwise: Option<Body>,
}

/// The two methods that change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `PATCH` of the object.
    Patch,
    /// `POST` of a comment (Graph).
    Post,
}

/// The JSON of a request; members that are `None` are not written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Body {
    #[serde(rename = "@odata.type", skip_serializing_if = "Option::is_none")]
    odata_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    /// `Some(None)` is written as `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    assigned_to: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    classification: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    determination: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_tags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
}

impl Step {
    /// Sends it, and once more in Microsoft's other spelling where the first is answered with 400.
    ///
    /// # Errors
    /// See [`ApiError`]; of two refusals the first, which is about the spelling that Microsoft documents.
    pub fn send(&self, client: &mut Client) -> Result<Reply, Box<ApiError>> {
        let mut send = |body: &Body| match self.verb {
            Verb::Patch => client.patch(&self.path, body),
            Verb::Post => client.post(&self.path, body),
        };
        match (send(&self.body), &self.otherwise) {
            (Err(first), Some(other)) if first.status == Some(400) && matches!(first.failure, Failure::BadRequest) => {
                match send(other) {
                    Err(second) if second.status == Some(400) => Err(first),
                    answer => answer,
                }
            }
            (answer, _) => answer,
        }
    }
}

/// The requests that bring the object from what it is to what is wanted, and none where it is so already. `current` is the
/// object as just read. To repeat after an answer was lost, read again and ask again: what arrived is then left out, a
/// comment among it.
///
/// A determination is always sent together with its classification, the object's own if none was asked for: both Defender
/// APIs may work out members anew that a request leaves out.
///
/// # Errors
/// A change that does not suit the object.
pub fn requests(resource: Resource, id: &str, change: &Change, current: &Value) -> Result<Vec<Step>, Refusal> {
    query::check_id(resource, id).map_err(Refusal::Id)?;
    if resource.what() == What::Incidents
        && current["status"].as_str().is_some_and(|status| status.eq_ignore_ascii_case("redirected"))
    {
        let into = &current["redirectIncidentId"];
        return Err(Refusal::Redirected(into.as_str().map_or_else(|| into.to_string(), str::to_owned)));
    }
    let api = resource.api();
    let classification = change.classification.or_else(|| Classification::parse(current["classification"].as_str()?));
    if let Some(determination) = change.determination {
        let object = if resource.what() == What::Incidents { "incident" } else { "alert" };
        suits(classification.ok_or(Refusal::Unclassified(object))?, determination)?;
    }
    let mut body = Body::default();
    let mut comment = None;
    let mut other_spelling = None;
    for difference in differences(resource, current, change) {
        match difference.member {
            Member::Status => body.status = change.status.map(|status| status.spelled(api)),
            Member::AssignedTo => body.assigned_to = change.assigned_to.as_ref().map(|assign| assigned(api, assign)),
            Member::Classification => body.classification = classification.map(|value| value.spelled(api)),
            Member::Determination => {
                body.classification = classification.map(|value| value.spelled(api));
                if let Some((spelled, other)) = change.determination.map(|value| value.spelled(api)) {
                    body.determination = Some(spelled);
                    other_spelling = other;
                }
            }
            Member::Comment => comment.clone_from(&change.comment),
            Member::Tags => {
                let tags = change.tags.as_ref().map(|tags| tags.applied(&tags_of(resource, current)));
                match api {
                    Api::Graph => body.custom_tags = tags,
                    Api::Xdr | Api::Endpoint => body.tags = tags,
                }
            }
        }
    }
    let comments = query::comments(resource, id);
    if comments.is_none() {
        body.comment = comment.take();
    }
    let mut steps = Vec::new();
    if body != Body::default() {
        let otherwise = other_spelling.map(|spelled| Body { determination: Some(spelled), ..body.clone() });
        steps.push(Step { verb: Verb::Patch, path: query::object(resource, id, Expand::Nothing), body, otherwise });
    }
    // After the change: a comment on a change that failed would tell what did not happen.
    if let (Some(path), Some(comment)) = (comments, comment) {
        let odata_type = Some("microsoft.graph.security.alertComment");
        let body = Body { odata_type, comment: Some(comment), ..Body::default() };
        steps.push(Step { verb: Verb::Post, path, body, otherwise: None });
    }
    Ok(steps)
}

/// Graph takes an assignment away by null, the Defender APIs by an empty text.
fn assigned(api: Api, assign: &Assign) -> Option<String> {
    match (assign, api) {
        (Assign::To(user), _) => Some(user.clone()),
        (Assign::Nobody, Api::Graph) => None,
        (Assign::Nobody, Api::Xdr | Api::Endpoint) => Some(String::new()),
    }
}

fn status(what: What, given: &str) -> Result<Status, Refusal> {
    let allowed = Status::allowed(what);
    Status::parse(given)
        .filter(|status| allowed.contains(status))
        .ok_or_else(|| value("status", given, list(allowed.iter().map(|status| status.spelled(Api::Graph)))))
}

fn suits(classification: Classification, determination: Determination) -> Result<(), Refusal> {
    let allowed = classification.determinations();
    if allowed.contains(&determination) {
        return Ok(());
    }
    Err(Refusal::Pair { classification, determination, allowed: determinations(allowed) })
}

fn determinations(allowed: &[Determination]) -> String {
    list(allowed.iter().map(|value| value.spelled(Api::Graph).0))
}

fn value(parameter: &'static str, given: &str, allowed: String) -> Refusal {
    Refusal::Value { parameter, given: short(given), allowed }
}

/// `a, b or c`.
fn list(values: impl Iterator<Item = &'static str>) -> String {
    let mut values: Vec<&str> = values.collect();
    match values.pop() {
        Some(last) if !values.is_empty() => format!("{} or {last}", values.join(", ")),
        last => last.unwrap_or_default().to_owned(),
    }
}

/// Enough of a wrong value to find it again.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

fn tags_of(resource: Resource, current: &Value) -> Vec<String> {
    let tags = current[names(resource).tags].as_array().into_iter().flatten();
    tags.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn commented(current: &Value, comment: &str) -> bool {
    let plain = |text: &str| text.replace("\r\n", "\n").trim().to_owned();
    let comments = current["comments"].as_array().into_iter().flatten();
    comments.filter_map(|entry| entry["comment"].as_str()).any(|there| plain(there) == plain(comment))
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

fn holds(tags: &[String], tag: &str) -> bool {
    tags.iter().any(|there| same(there, tag))
}
