//! What was found out about an account, in the form the configuration page reads.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::streaming::StreamFinding;
#[cfg(feature = "streaming")]
use crate::blobs::BlobsError;
use crate::error::{Error, Exit};
#[cfg(feature = "streaming")]
use crate::event_hub::EventHubError;
use crate::http::HttpError;
use crate::microsoft::api_error::Failure;
use crate::microsoft::claims::Roles;
use crate::microsoft::cloud::{Api, Resource};
#[cfg(feature = "streaming")]
use crate::microsoft::event_hubs;
use crate::microsoft::query::Access;
#[cfg(feature = "streaming")]
use crate::microsoft::storage;
use crate::microsoft::token::TokenError;
use crate::permissions::{Need, needs};

/// What to do about no answer at all.
const SILENCE: &str = "check name resolution, firewall and proxy of this machine, or test again later";

/// What is known about one API.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) api: Api,
    /// Host and port that it was asked at.
    pub(super) host: String,
    /// `None`: not known in time.
    pub(super) token: Option<Result<Roles, Fault>>,
    /// What was read, and whether it could be. `None`: not tried, or not known in time.
    pub(super) call: Option<(Resource, Result<(), Fault>)>,
}

/// Something that did not work.
#[derive(Debug)]
pub(super) struct Fault {
    error: String,
    remedy: String,
    /// 401 or 403: the permission is wanting.
    forbidden: bool,
    /// Of an answer, or of none; not of what was never asked.
    of_service: bool,
}

impl Fault {
    /// Of a token or a call. What needs no person passes by itself, except silence: a firewall's is for ever.
    pub(super) fn of(error: &Error) -> Self {
        let silent = match error {
            Error::Token(TokenError::NoAnswer(error)) => matches!(error, HttpError::TimedOut { .. }),
            Error::Api(error) => matches!(error.failure, Failure::TimedOut(_)),
            _ => false,
        };
        let passes = match error.exit() {
            _ if silent => SILENCE,
            Exit::Misconfigured => "correct it in the account or in the input",
            _ => "nothing has to be changed: test again in some minutes",
        };
        let remedy = error.remedy().unwrap_or_else(|| passes.to_owned());
        let forbidden = match error {
            Error::Api(error) => matches!(error.failure, Failure::Forbidden { .. } | Failure::Unauthorized { .. }),
            #[cfg(feature = "streaming")]
            Error::EventHub(EventHubError::Fault(fault)) => fault.what == event_hubs::What::Unauthorized,
            #[cfg(feature = "streaming")]
            Error::Blobs(BlobsError::Storage(error)) => matches!(error.failure, storage::Failure::Forbidden),
            _ => false,
        };
        Self {
            error: error.to_string(),
            remedy,
            forbidden,
            of_service: !matches!(error, Error::Input(_) | Error::NoStreaming { .. }),
        }
    }

    /// No answer within the time there is.
    pub(super) fn late(patience: Duration) -> Self {
        let error = format!("no answer within {} s", patience.as_secs());
        Self { error, remedy: SILENCE.to_owned(), forbidden: false, of_service: false }
    }

    pub(super) fn with_remedy(self, remedy: &str) -> Self {
        Self { remedy: remedy.to_owned(), ..self }
    }

    pub(super) fn forbidden(&self) -> bool {
        self.forbidden
    }

    /// Whether anybody was asked.
    pub(super) fn is_of_service(&self) -> bool {
        self.of_service
    }

    pub(super) fn value(&self) -> Value {
        json!({"ok": false, "error": self.error, "remedy": self.remedy})
    }
}

/// The whole answer.
pub(super) fn report(account: &str, findings: &[Finding], streams: &[StreamFinding], patience: Duration) -> Value {
    let apis = findings.iter().map(|finding| finding.value(&Fault::late(patience)));
    let streams = streams.iter().map(|finding| finding.value(patience));
    json!({"account": account, "apis": apis.chain(streams).collect::<Vec<Value>>()})
}

impl Finding {
    fn value(&self, late: &Fault) -> Value {
        let mut value = Map::new();
        value.insert("api".to_owned(), json!(name(self.api)));
        value.insert("host".to_owned(), json!(self.host));
        let (token, roles) = match &self.token {
            Some(Ok(roles)) => (json!({"ok": true}), Some(roles)),
            Some(Err(fault)) => (fault.value(), None),
            None => (late.value(), None),
        };
        value.insert("token".to_owned(), token);
        value.insert("permissions".to_owned(), roles.map_or_else(|| json!([]), |roles| json!(self.permissions(roles))));
        if roles.is_some() {
            let call = match &self.call {
                Some((_, Ok(()))) => json!({"ok": true}),
                Some((_, Err(fault))) => fault.value(),
                None => late.value(),
            };
            value.insert("call".to_owned(), call);
        }
        Value::Object(value)
    }

    /// What the feeds and actions need of this API, then what the token has beyond that. A call that succeeded proves its
    /// permission, whatever the token shows; of an opaque token nothing else is known, so nothing else is said.
    fn permissions(&self, roles: &Roles) -> Vec<Value> {
        let needs = needs(self.api);
        let nothing = BTreeSet::new();
        let told = match roles {
            Roles::Told(roles) => Some(roles),
            Roles::Opaque => None,
        };
        let tried = |need: &Need| match &self.call {
            Some((resource, outcome)) if *resource == need.resource && need.access == Access::Read => match outcome {
                Ok(()) => Some(true),
                Err(fault) if fault.forbidden && told.is_none() => Some(false),
                Err(_) => None,
            },
            _ => None,
        };
        let needed = needs.iter().filter_map(|need| {
            let granted = tried(need).or_else(|| told.map(|roles| need.is_met_by(roles)))?;
            let state = if granted { "granted" } else { "missing" };
            Some(json!({"name": need.permission(), "needed_by": need.needed_by, "state": state}))
        });
        let known: BTreeSet<&str> = needs.iter().map(Need::permission).collect();
        let beyond = told.unwrap_or(&nothing).iter().filter(|role| !known.contains(role.as_str()));
        let beyond = beyond.map(|role| json!({"name": role, "needed_by": [], "state": "more_than_needed"}));
        needed.chain(beyond).collect()
    }
}

/// The API's name in the answer.
fn name(api: Api) -> &'static str {
    match api {
        Api::Graph => "graph",
        Api::Xdr => "xdr",
        Api::Endpoint => "endpoint",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(token: Result<Roles, Fault>, call: Option<Result<(), Fault>>) -> Finding {
        let call = call.map(|call| (Resource::GraphIncidents, call));
        Finding { api: Api::Graph, host: "graph.microsoft.com".to_owned(), token: Some(token), call }
    }

    fn told<const N: usize>(names: [&str; N]) -> Result<Roles, Fault> {
        Ok(Roles::Told(names.map(str::to_owned).into()))
    }

    fn fault(forbidden: bool) -> Fault {
        Fault { error: "e".to_owned(), remedy: "r".to_owned(), forbidden, of_service: true }
    }

    /// `name state` of each permission.
    fn states(finding: &Finding) -> Vec<String> {
        let value = finding.value(&Fault::late(Duration::ZERO));
        let permissions = value["permissions"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        permissions.iter().map(|one| format!("{} {}", text(&one["name"]), text(&one["state"]))).collect()
    }

    #[test]
    fn the_answer_of_an_account_that_works() {
        let roles = ["SecurityIncident.ReadWrite.All", "SecurityAlert.Read.All", "Mail.ReadWrite"];
        let finding = graph(told(roles), Some(Ok(())));
        let expected = json!({
            "account": "corp",
            "apis": [{
                "api": "graph",
                "host": "graph.microsoft.com",
                "token": {"ok": true},
                "permissions": [
                    {"name": "SecurityIncident.Read.All", "needed_by": ["feed incidents"], "state": "granted"},
                    {"name": "SecurityAlert.Read.All", "needed_by": ["feed alerts"], "state": "granted"},
                    {
                        "name": "SecurityIncident.ReadWrite.All",
                        "needed_by": ["action defender_incident_update"],
                        "state": "granted",
                    },
                    {"name": "SecurityAlert.ReadWrite.All", "needed_by": ["action defender_alert_update"], "state": "missing"},
                    {"name": "Mail.ReadWrite", "needed_by": [], "state": "more_than_needed"},
                ],
                "call": {"ok": true},
            }],
        });
        assert_eq!(report("corp", &[finding], &[], Duration::ZERO), expected);
    }

    #[test]
    fn without_a_token_nothing_else_is_said() {
        let value = graph(Err(fault(false)), None).value(&fault(false));
        let expected = json!({
            "api": "graph", "host": "graph.microsoft.com", "permissions": [],
            "token": {"ok": false, "error": "e", "remedy": "r"},
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn a_call_knows_more_than_a_token_shows() {
        let read = "SecurityIncident.Read.All";
        let first = |finding: &Finding| states(finding).first().cloned().unwrap_or_default();
        assert_eq!(first(&graph(told([]), Some(Ok(())))), format!("{read} granted"));
        assert_eq!(first(&graph(told([]), Some(Err(fault(true))))), format!("{read} missing"));
        // Granted, and refused for another reason that the call's own message tells.
        assert_eq!(first(&graph(told([read]), Some(Err(fault(true))))), format!("{read} granted"));
    }

    #[test]
    fn of_an_opaque_token_only_what_was_tried_is_said() {
        let opaque = || Ok(Roles::Opaque);
        assert_eq!(states(&graph(opaque(), Some(Ok(())))), ["SecurityIncident.Read.All granted"]);
        assert_eq!(states(&graph(opaque(), Some(Err(fault(true))))), ["SecurityIncident.Read.All missing"]);
        assert_eq!(states(&graph(opaque(), Some(Err(fault(false))))), Vec::<String>::new());
        assert_eq!(states(&graph(opaque(), None)), Vec::<String>::new());
    }
}
