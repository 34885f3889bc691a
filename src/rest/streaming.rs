//! What *Test connection* says of the streaming feeds: every input that uses the account is tried as saving it would try it.
//! Where there is none, what the account's connection string names is tried by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::connection::host;
use super::finding::Fault;
#[cfg(feature = "streaming")]
use crate::account::AccountError;
use crate::account::{Access, Settings};
#[cfg(feature = "streaming")]
use crate::blobs::{self, BlobsError};
use crate::error::Error;
#[cfg(feature = "streaming")]
use crate::event_hub::{self, EventHubError};
use crate::feeds::{Kind, Streaming};
use crate::input::AnyInput;
use crate::masking::admin_text;
#[cfg(feature = "streaming")]
use crate::microsoft::event_hubs::{self, ConnectionString, ConnectionStringError, What};
#[cfg(feature = "streaming")]
use crate::microsoft::storage::{self, Failure};
#[cfg(feature = "streaming")]
use crate::secret::Secret;
use crate::splunk::definition::Stanza;
use crate::splunk::rest;

/// What is tried, and what is known of it.
#[derive(Debug)]
pub(super) struct StreamFinding {
    feed: Streaming,
    /// The input; `None` for what a connection string names.
    input: Option<String>,
    host: String,
    /// Whether Entra ID is asked for a token. A connection string is as good as one.
    by_token: bool,
    /// `None`: not known in time, or not needed.
    token: Option<Result<(), Fault>>,
    /// `None`: not known in time.
    read: Option<Result<(), Fault>>,
    /// Nothing names what could be read.
    only_token: bool,
}

/// How it is tried.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// As an input that is being saved.
    Input(Stanza),
    /// By a token that is put in the namespace of the connection string.
    #[cfg(feature = "streaming")]
    Namespace(ConnectionString),
}

/// One of what is tried.
pub(super) type Stream = (StreamFinding, Target);

/// What there is to try with an account.
///
/// # Errors
/// A connection string that no input uses and that names nothing.
pub(super) fn targets(account: &str, access: &Access, inputs: BTreeMap<String, rest::Settings>) -> Result<Vec<Stream>, Error> {
    let by_token = matches!(access, Access::Application(_));
    let found = inputs.into_iter().filter_map(|(name, settings)| {
        let params = settings.into_iter().map(|(name, value)| (name, vec![value])).collect();
        let stanza = Stanza { name: name.clone(), app: None, params };
        let Kind::Streaming(feed) = Kind::find(stanza.param("feed")?)? else { return None };
        (stanza.param("account") == Some(account)).then(|| of_stanza(feed, Some(name), stanza, by_token))
    });
    let found: Vec<_> = found.collect();
    match access {
        Access::ConnectionString(text) if found.is_empty() => named(account, text).map(|target| vec![target]),
        _ => Ok(found),
    }
}

fn of_stanza(feed: Streaming, input: Option<String>, stanza: Stanza, by_token: bool) -> Stream {
    let place = match feed {
        Streaming::EventHub => "event_hub_namespace",
        Streaming::Storage => "storage_account",
    };
    // A stanza that was never validated may hold anything, a whole connection string as well.
    let host = admin_text(&host(stanza.param(place).unwrap_or_default()));
    let finding = StreamFinding { feed, input, host, by_token, token: None, read: None, only_token: false };
    (finding, Target::Input(stanza))
}

/// What a connection string names.
#[cfg(feature = "streaming")]
fn named(account: &str, text: &Secret) -> Result<Stream, Error> {
    let stanza = |feed: Streaming, pairs: &[(&str, &str)]| {
        let pairs = [("feed", feed.name()), ("account", account)].into_iter().chain(pairs.iter().copied());
        let params = pairs.map(|(name, value)| (name.to_owned(), vec![value.to_owned()])).collect();
        Stanza { name: account.to_owned(), app: None, params }
    };
    match ConnectionString::read(text) {
        Ok(string) => Ok(match string.hub() {
            Some(hub) => {
                let pairs = [("event_hub_namespace", string.namespace()), ("event_hub_name", hub)];
                of_stanza(Streaming::EventHub, None, stanza(Streaming::EventHub, &pairs), false)
            }
            None => {
                let host = string.namespace().to_owned();
                let (feed, input, token, read) = (Streaming::EventHub, None, None, None);
                let finding = StreamFinding { feed, input, host, by_token: true, token, read, only_token: true };
                (finding, Target::Namespace(string))
            }
        }),
        // It is a storage account's, which have none.
        Err(ConnectionStringError::Missing("Endpoint")) => {
            // What is no signature opens nothing, whatever account it is for.
            let endpoint = storage::Access::endpoint(text);
            let read = storage::Access::from_connection_string(text, endpoint.as_deref().unwrap_or_default());
            read.map_err(|reason| BlobsError::Access { account: account.to_owned(), reason })?;
            let Some(url) = endpoint else {
                let reason = "its connection_string names no storage account: set up an input that uses it, which is tried out \
                              when it is saved";
                return Err(AccountError::Unusable { name: account.to_owned(), reason: reason.to_owned() }.into());
            };
            Ok(of_stanza(Streaming::Storage, None, stanza(Streaming::Storage, &[("storage_account", &url)]), false))
        }
        Err(error) => Err(AccountError::Unusable { name: account.to_owned(), reason: error.to_string() }.into()),
    }
}

#[cfg(not(feature = "streaming"))]
fn named(_: &str, _: &crate::secret::Secret) -> Result<Stream, Error> {
    Err(Error::NoStreaming { feed: Streaming::EventHub.name() })
}

/// Tries it. `got_token` is told once there is a token, where that is known before the end.
#[cfg(feature = "streaming")]
pub(super) fn check(target: Target, access: Access, settings: &Settings, got_token: impl FnOnce()) -> Result<(), Error> {
    match target {
        Target::Namespace(string) => Ok(event_hub::check_namespace(&string, settings)?),
        Target::Input(stanza) => match AnyInput::read(&stanza)? {
            AnyInput::EventHub(input) => Ok(event_hub::check(&input, access, settings, got_token)?),
            AnyInput::Storage(input) => Ok(blobs::check(&input, access, settings)?),
            // Only stanzas of streaming feeds become targets.
            AnyInput::Polled(_) => Ok(()),
        },
    }
}

#[cfg(not(feature = "streaming"))]
pub(super) fn check(target: Target, _: Access, _: &Settings, _: impl FnOnce()) -> Result<(), Error> {
    let Target::Input(stanza) = target;
    let feed = AnyInput::read(&stanza)?.stream().map_or("", |stream| stream.feed.name());
    Err(Error::NoStreaming { feed })
}

/// Whether Entra ID gave no token.
#[cfg(feature = "streaming")]
fn is_of_token(error: &Error) -> bool {
    match error {
        Error::EventHub(error) => matches!(error, EventHubError::Token(_)),
        Error::Blobs(BlobsError::Token(_)) => true,
        Error::Blobs(BlobsError::Storage(error)) => matches!(error.failure, Failure::Token(_)),
        _ => false,
    }
}

#[cfg(not(feature = "streaming"))]
fn is_of_token(_: &Error) -> bool {
    false
}

/// What to do when a hub is silent: that is how the service says that a role is missing.
#[cfg(feature = "streaming")]
fn silence() -> Option<&'static str> {
    event_hubs::Fault::new(What::Silent, "", "").remedy()
}

#[cfg(not(feature = "streaming"))]
fn silence() -> Option<&'static str> {
    None
}

impl StreamFinding {
    /// There is a token; it counts where that was Entra ID's to decide.
    pub(super) fn got_token(&mut self) {
        if self.by_token {
            self.token = Some(Ok(()));
        }
    }

    /// The end of the trial.
    pub(super) fn ended(&mut self, outcome: Result<(), Error>) {
        match outcome {
            Err(error) if self.only_token || is_of_token(&error) => self.token = Some(Err(Fault::of(&error))),
            outcome => {
                let outcome = outcome.map_err(|error| Fault::of(&error));
                // Without one it would not have come so far, unless the input itself is wrong.
                if self.token.is_none() && outcome.as_ref().err().is_none_or(Fault::is_of_service) {
                    self.got_token();
                }
                self.read = Some(outcome);
            }
        }
    }

    /// In the form the page reads.
    pub(super) fn value(&self, patience: Duration) -> Value {
        let late = Fault::late(patience);
        let mut value = json!({"api": self.feed.name(), "host": self.host, "permissions": []});
        if let Some(input) = &self.input {
            value["input"] = json!(input);
        }
        match &self.token {
            Some(Ok(())) => value["token"] = json!({"ok": true}),
            Some(Err(fault)) => value["token"] = fault.value(),
            None if self.by_token && self.read.is_none() => value["token"] = late.value(),
            None => {}
        }
        let has_token = matches!(self.token, Some(Ok(()))) || !self.by_token;
        match &self.read {
            _ if self.only_token => {}
            Some(Ok(())) => value["call"] = json!({"ok": true}),
            Some(Err(fault)) => value["call"] = fault.value(),
            None if has_token => {
                let silence = if self.feed == Streaming::EventHub { silence() } else { None };
                value["call"] = silence.map_or(late, |remedy| Fault::late(patience).with_remedy(remedy)).value();
            }
            None => {}
        }
        let role = match &self.read {
            Some(Ok(())) => Some("granted"),
            Some(Err(fault)) if fault.forbidden() => Some("missing"),
            _ => None,
        };
        // A connection string has claims, and no role.
        if let Some(state) = role.filter(|_| self.by_token && !self.only_token) {
            let feed = format!("feed {}", self.feed.name());
            value["permissions"] = json!([{"name": self.feed.role(), "needed_by": [feed], "state": state}]);
        }
        value
    }
}
