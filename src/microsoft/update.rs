//! A change on its way: compared with the object before and after, and turned into the requests each API takes.

use std::fmt;

use http::Method;
use serde::Serialize;
use serde_json::Value;

use super::api_error::{ApiError, Failure};
pub use super::change::{Assign, COMMENT_LIMIT, Change, Refusal, TagChange, Wanted};
use super::change::{holds, suits};
use super::client::{Client, Reply};
use super::cloud::{Api, Resource, What};
use super::object::names;
use super::query::{self, Expand};
use super::user;
use super::values::{Classification, Determination, Status};
use crate::masking::foreign_text;

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
            (_, true) => write!(f, "{name} is not set, wanted `{}`", foreign_text(&self.wanted)),
            (_, false) => {
                write!(f, "{name} is `{}`, wanted `{}`", foreign_text(&self.current), foreign_text(&self.wanted))
            }
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
        Some(Assign::To(user)) if !user::same(holder, user) => differs(Member::AssignedTo, holder, user),
        _ => {}
    }
    let classified = Classification::parse(text("classification"));
    if let Some(wanted) = change.classification.filter(|wanted| classified != Some(*wanted)) {
        differs(Member::Classification, text("classification"), wanted.spelled(api));
    }
    if let Some(wanted) = change.determination.filter(|wanted| Determination::parse(text("determination")) != Some(*wanted)) {
        differs(Member::Determination, text("determination"), wanted.spelled(api).0);
    }
    // Already there: it was posted before, perhaps by the very request that is now repeated.
    if let Some(comment) = change.comment.as_ref().filter(|_| !commented(current, change)) {
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

impl Difference {
    /// Whether what the service shows may be what it was told, in other words: an alias that became a principal name, or the
    /// name that people read.
    pub fn may_be_so(&self) -> bool {
        self.member == Member::AssignedTo && !self.current.is_empty() && user::may_be(&self.wanted, &self.current)
    }
}

/// Whether an answer is about the object of this id: `None` where it names none. A service that answers with another object
/// has answered another question.
pub fn is_of(resource: Resource, id: &str, object: &Value) -> Option<bool> {
    match &object[names(resource).identity.id] {
        Value::String(text) => Some(text.eq_ignore_ascii_case(id)),
        Value::Number(number) => Some(number.to_string() == id),
        _ => None,
    }
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

impl Verb {
    /// Its name in HTTP.
    pub fn method(self) -> Method {
        match self {
            Self::Patch => Method::PATCH,
            Self::Post => Method::POST,
        }
    }
}

/// `PATCH <path> <body>`: what a dry run shows.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = serde_json::to_string(&self.body).map_err(|_| fmt::Error)?;
        write!(f, "{} {} {body}", self.verb.method(), self.path)
    }
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
        return Err(Refusal::Redirected(match into {
            Value::String(id) => format!("incident {id}"),
            Value::Number(id) => format!("incident {id}"),
            _ => "another incident".to_owned(),
        }));
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
            Member::Determination => body.classification = classification.map(|value| value.spelled(api)),
            Member::Comment => comment = change.posted(),
            Member::Tags => {
                let tags = change.tags.as_ref().map(|tags| tags.applied(&tags_of(resource, current)));
                match api {
                    Api::Graph => body.custom_tags = tags,
                    Api::Xdr | Api::Endpoint => body.tags = tags,
                }
            }
        }
    }
    if let (Some(_), Some(determination)) = (body.classification, change.determination) {
        // Also where the determination is right already: it belongs to the classification that is about to go.
        let (spelled, other) = determination.spelled(api);
        (body.determination, other_spelling) = (Some(spelled), other);
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

fn tags_of(resource: Resource, current: &Value) -> Vec<String> {
    let tags = current[names(resource).tags].as_array().into_iter().flatten();
    tags.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn commented(current: &Value, change: &Change) -> bool {
    let plain = |text: &str| text.replace("\r\n", "\n").trim().to_owned();
    let comments = current["comments"].as_array().into_iter().flatten();
    comments.filter_map(|entry| entry["comment"].as_str()).any(|there| match (&change.mark, &change.comment) {
        (Some(mark), _) => there.contains(mark.as_str()),
        (None, Some(comment)) => plain(there) == plain(comment),
        (None, None) => false,
    })
}

/// A member's value as the object shows it, in the API's spelling; empty when it is not set. Of the comments, the number.
pub fn value_of(resource: Resource, object: &Value, member: Member) -> String {
    let text = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
    match member {
        Member::Status => text("status"),
        Member::AssignedTo => text("assignedTo"),
        Member::Classification => text("classification"),
        Member::Determination => text("determination"),
        Member::Comment => object["comments"].as_array().map_or(0, Vec::len).to_string(),
        Member::Tags => tags_of(resource, object).join(", "),
    }
}

/// The object's last update, as the service spells it.
pub fn updated(resource: Resource, object: &Value) -> Option<&str> {
    object[names(resource).identity.updated].as_str()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::microsoft::client::tests::{JSON, client, token};
    use crate::microsoft::stand_in::{StandIn, fixture};
    use serde_json::json;

    fn change(resource: Resource, wanted: Wanted<'_>) -> Change {
        Change::parse(resource.what(), &wanted).unwrap()
    }

    /// Verb, path and body of each request.
    fn sent(resource: Resource, id: &str, wanted: Wanted<'_>, current: &Value) -> Vec<(Verb, String, Value)> {
        let steps = requests(resource, id, &change(resource, wanted), current).unwrap();
        steps.into_iter().map(|step| (step.verb, step.path, serde_json::to_value(&step.body).unwrap())).collect()
    }

    const ALL: Wanted<'static> = Wanted {
        status: "resolved",
        assigned_to: "none",
        classification: "true positive",
        determination: "compromised user",
        comment: "done",
        tags: "",
    };

    #[test]
    fn each_api_gets_its_own_members_and_spelling() {
        let held = json!({"status": "new", "assignedTo": "x@y", "customTags": ["a"], "tags": ["a"], "comments": []});
        assert_eq!(
            sent(Resource::GraphAlerts, "da1_-2", ALL, &held),
            [
                (
                    Verb::Patch,
                    "/v1.0/security/alerts_v2/da1_-2".to_owned(),
                    json!({"status": "resolved", "assignedTo": null, "classification": "truePositive", "determination": "compromisedAccount"})
                ),
                (
                    Verb::Post,
                    "/v1.0/security/alerts_v2/da1_-2/comments".to_owned(),
                    json!({"@odata.type": "microsoft.graph.security.alertComment", "comment": "done"})
                ),
            ]
        );
        assert_eq!(
            sent(Resource::EndpointAlerts, "da1_-2", ALL, &held),
            [(
                Verb::Patch,
                "/api/alerts/da1_-2".to_owned(),
                json!({"status": "Resolved", "assignedTo": "", "classification": "TruePositive", "determination": "CompromisedUser",
                       "comment": "done"})
            )]
        );
        let tagged = Wanted { tags: "b, -A", ..ALL };
        assert_eq!(
            sent(Resource::XdrIncidents, "7", tagged, &held),
            [(
                Verb::Patch,
                "/api/incidents/7".to_owned(),
                json!({"status": "Resolved", "assignedTo": "", "classification": "TruePositive", "determination": "CompromisedAccount",
                       "comment": "done", "tags": ["b"]})
            )]
        );
        let tags = Wanted { tags: "b", ..Wanted::default() };
        assert_eq!(
            sent(Resource::GraphIncidents, "7", tags, &held),
            [(Verb::Patch, "/v1.0/security/incidents/7".to_owned(), json!({"customTags": ["a", "b"]}))]
        );
    }

    #[test]
    fn the_documented_requests() {
        // (file, resource, wanted); the ids are not in the files.
        let table = [
            (
                "graph-security/patch-alert-request.json",
                Resource::GraphAlerts,
                Wanted {
                    assigned_to: "secAdmin@contoso.onmicrosoft.com",
                    classification: "TruePositive",
                    determination: "Malware",
                    status: "InProgress",
                    ..Wanted::default()
                },
            ),
            (
                "mde-alerts/patch-alert-request-valid-pair.json",
                Resource::EndpointAlerts,
                Wanted {
                    status: "resolved",
                    assigned_to: "secop2@contoso.com",
                    classification: "falsePositive",
                    determination: "clean",
                    comment: "Resolve my alert and assign to secop2",
                    ..Wanted::default()
                },
            ),
            (
                "xdr-incidents/patch-incident-request-2024.json",
                Resource::XdrIncidents,
                Wanted {
                    status: "resolved",
                    assigned_to: "secop2@contoso.com",
                    classification: "truePositive",
                    determination: "malware",
                    comment: "pen testing",
                    tags: "=Yossi's playground, Don't mess with the Zohan",
                },
            ),
        ];
        for (file, resource, wanted) in table {
            let Some(body) = fixture(&format!("msapi/{file}")) else { return };
            let documented: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(sent(resource, "1", wanted, &json!({}))[0].2, documented, "{file}");
        }
        let Some(body) = fixture("msapi/graph-security/post-alert-comment-request.json") else { return };
        let wanted = Wanted { comment: "Demo for docs", ..Wanted::default() };
        assert_eq!(sent(Resource::GraphAlerts, "1", wanted, &json!({}))[0].2, serde_json::from_slice::<Value>(&body).unwrap());
    }

    #[test]
    fn what_is_so_already_is_not_sent() {
        // Every spelling of every API, as an object may come back.
        let held = json!({
            "status": "Resolved", "assignedTo": null, "classification": "TruePositive", "determination": "CompromisedUser",
            "comments": [{"comment": "first"}, {"comment": " done\r\n"}],
        });
        for resource in [Resource::GraphAlerts, Resource::EndpointAlerts] {
            assert_eq!(differences(resource, &held, &change(resource, ALL)), []);
            assert_eq!(requests(resource, "a", &change(resource, ALL), &held), Ok(vec![]));
        }
        let held = json!({"assignedTo": "Ann@Contoso.example", "customTags": ["B", "a"]});
        let wanted = Wanted { assigned_to: "ann@contoso.EXAMPLE", tags: "=A, b", ..Wanted::default() };
        assert_eq!(differences(Resource::GraphIncidents, &held, &change(Resource::GraphIncidents, wanted)), []);
        // A repeat after the change arrived and the comment did not.
        let held = json!({"status": "resolved", "assignedTo": "", "classification": "truePositive", "determination": "compromisedAccount"});
        let rest = sent(Resource::GraphAlerts, "a", ALL, &held);
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].0, Verb::Post);
    }

    #[test]
    fn a_marked_comment_is_known_by_its_mark_alone() {
        let wanted = Wanted { comment: "done", ..Wanted::default() };
        for resource in [Resource::GraphIncidents, Resource::XdrIncidents] {
            let marked = Change { mark: Some("[mark 1]".to_owned()), ..change(resource, wanted) };
            let posted = |held: Value| {
                let steps = requests(resource, "1", &marked, &held).unwrap();
                steps.first().and_then(|step| step.body.comment.clone())
            };
            assert_eq!(posted(json!({})).as_deref(), Some("done\n[mark 1]"));
            // Somebody else's same words are no reason to keep quiet.
            assert_eq!(posted(json!({"comments": [{"comment": "done"}]})).as_deref(), Some("done\n[mark 1]"));
            assert_eq!(posted(json!({"comments": [{"comment": "a"}, {"comment": "done\r\n[mark 1]\r\n"}]})), None);
        }
    }

    #[test]
    fn values_as_the_object_shows_them() {
        let held = json!({"status": "new", "assignedTo": null, "customTags": ["a", "b"], "comments": [{}, {}], "lastUpdateDateTime": "t"});
        let resource = Resource::GraphIncidents;
        let members =
            [Member::Status, Member::AssignedTo, Member::Classification, Member::Determination, Member::Comment, Member::Tags];
        assert_eq!(members.map(|member| value_of(resource, &held, member)), ["new", "", "", "", "2", "a, b"]);
        assert_eq!(updated(resource, &held), Some("t"));
        assert_eq!(updated(Resource::XdrIncidents, &held), None);
    }

    #[test]
    fn differences_read_well() {
        let held = json!({"status": "active", "assignedTo": "bob", "classification": "unknown", "customTags": ["x"]});
        let wanted = Wanted { tags: "-x, y", assigned_to: "ann", ..ALL };
        let said: Vec<String> = differences(Resource::GraphIncidents, &held, &change(Resource::GraphIncidents, wanted))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            said,
            [
                "status is `active`, wanted `resolved`",
                "assigned_to is `bob`, wanted `ann`",
                "classification is `unknown`, wanted `truePositive`",
                "determination is not set, wanted `compromisedAccount`",
                "comment is not there",
                "tags is `x`, wanted `y`",
            ]
        );
    }

    #[test]
    fn a_determination_needs_a_classification_it_goes_with() {
        let alone = Wanted { determination: "malware", ..Wanted::default() };
        let resource = Resource::EndpointAlerts;
        let tried = |held: Value| requests(resource, "a", &change(resource, alone), &held);
        for held in [json!({}), json!({"classification": null}), json!({"classification": "Unknown"})] {
            assert_eq!(tried(held).unwrap_err(), Refusal::Unclassified("alert"));
        }
        let refused = tried(json!({"classification": "FalsePositive"})).unwrap_err().to_string();
        assert!(refused.contains("malware does not go with classification falsePositive: write notMalicious"), "{refused}");
        let body = |held: Value, wanted: Wanted<'_>| sent(resource, "a", wanted, &held).remove(0).2;
        // The object's own classification goes along, so that nothing is worked out anew.
        assert_eq!(
            body(json!({"classification": "TruePositive", "determination": "Phishing"}), alone),
            json!({"classification": "TruePositive", "determination": "Malware"})
        );
        // And a determination that fits already goes along with a new classification.
        let other = Wanted { classification: "falsePositive", determination: "other", ..Wanted::default() };
        assert_eq!(
            body(json!({"classification": "TruePositive", "determination": "Other"}), other),
            json!({"classification": "FalsePositive", "determination": "Other"})
        );
    }

    #[test]
    fn the_other_spelling_is_ready() {
        let wanted = Wanted { classification: "falsePositive", determination: "insufficient data", ..Wanted::default() };
        let step = |resource| requests(resource, "1", &change(resource, wanted), &json!({})).unwrap().remove(0);
        let endpoint = step(Resource::EndpointAlerts);
        assert_eq!(endpoint.body.determination, Some("InsufficientData"));
        assert_eq!(endpoint.otherwise.unwrap().determination, Some("NoEnoughDataToValidate"));
        assert_eq!(step(Resource::XdrIncidents).body.determination, Some("NoEnoughDataToValidate"));
        assert_eq!(step(Resource::GraphAlerts).otherwise, None);
    }

    #[test]
    fn the_other_spelling_is_sent_after_a_400_alone() {
        let wanted = Wanted { classification: "falsePositive", determination: "insufficient data", ..Wanted::default() };
        let step =
            requests(Resource::EndpointAlerts, "a", &change(Resource::EndpointAlerts, wanted), &json!({})).unwrap().remove(0);
        let refusal =
            |text: &str| ("400 Bad Request", format!(r#"{{"error":{{"code":"InvalidRequestBody","message":"{text}"}}}}"#));
        let busy = ("429 Too Many Requests\nRetry-After: 5", String::new());
        // (answers after the token, how it ends)
        let table = [
            (vec![(JSON, "{}".to_owned())], Ok(200)),
            (vec![refusal("first"), (JSON, "{}".to_owned())], Ok(200)),
            (vec![refusal("first"), refusal("second")], Err("InvalidRequestBody: first")),
            (vec![refusal("first"), busy.clone()], Err("HTTP 429")),
            (vec![busy], Err("HTTP 429")),
        ];
        for (answers, expected) in table {
            let sent = answers.len();
            let service = StandIn::new([vec![token("t")], answers].concat());
            let end = step.send(&mut client(&service.url, Api::Endpoint)).map(|reply| reply.status).map_err(|e| e.to_string());
            match expected {
                Ok(status) => assert_eq!(end, Ok(status)),
                Err(part) => assert!(end.as_ref().is_err_and(|text| text.contains(part)), "{end:?}"),
            }
            let heard = service.heard();
            assert_eq!(heard.len(), 1 + sent);
            let spelled = ["InsufficientData", "NoEnoughDataToValidate"];
            for (request, spelled) in heard[1..].iter().zip(spelled) {
                assert!(request.starts_with("PATCH /api/alerts/a ") && request.contains(spelled), "{request}");
            }
        }
    }

    #[test]
    fn merged_incidents_and_impossible_ids() {
        let resolve = Wanted { status: "resolved", ..Wanted::default() };
        let refused = |resource: Resource, id: &str, held: Value| {
            requests(resource, id, &change(resource, resolve), &held).unwrap_err().to_string()
        };
        let merged = "the incident was merged into incident 42: change that one";
        assert_eq!(refused(Resource::GraphIncidents, "1", json!({"status": "redirected", "redirectIncidentId": "42"})), merged);
        assert_eq!(refused(Resource::XdrIncidents, "1", json!({"status": "Redirected", "redirectIncidentId": 42})), merged);
        assert!(refused(Resource::XdrIncidents, "1", json!({"status": "Redirected"})).contains("another incident"));
        for (resource, id) in [
            (Resource::GraphIncidents, ""),
            (Resource::GraphIncidents, "da12"),
            (Resource::XdrIncidents, "-1"),
            (Resource::EndpointAlerts, ""),
            (Resource::EndpointAlerts, "../machines"),
            (Resource::GraphAlerts, "a b"),
        ] {
            assert!(refused(resource, id, json!({})).contains("id: "), "{id}");
        }
    }
}
