//! splunkd's management port, as far as an app needs it: confs, stored passwords, KV store, server info, inputs, messages.

mod answers;
mod collections;
pub(crate) mod inputs;
pub mod journal;
mod objects;
mod passwords;
pub mod persist;
pub mod schedule;
mod search;
mod spl;

use std::collections::{BTreeMap, BTreeSet};

use answers::{Entry, created, listed, message};

use crate::json::Json;
use crate::model::World;
use crate::object;
use crate::run::Instance;
use crate::time::Time;
use crate::wire::{Request, Response};

/// The app whose objects are here.
pub const APP: &str = "TA_defender";

/// Whom a session key belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The capabilities (`list_storage_passwords`, `edit_storage_passwords`, …).
    pub capabilities: BTreeSet<String>,
}

/// What an edit of a conf does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Edits {
    /// It is kept.
    #[default]
    Stick,
    /// It is answered with 200 and not kept, as where a deployment server owns the file.
    Vanish,
    /// 403.
    Forbidden,
}

/// Whether the KV store is up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KvStore {
    /// It is.
    #[default]
    Ready,
    /// 503 "initializing".
    Starting,
}

/// Whether stored passwords come in clear text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Masking {
    /// They do: what requests from the same host always get.
    #[default]
    Clear,
    /// They come as asterisks.
    Masked,
}

/// A stanza's settings.
pub type Stanza = BTreeMap<String, String>;

/// What splunkd knows.
#[derive(Clone, Debug)]
pub struct Splunkd {
    sessions: BTreeMap<String, User>,
    confs: BTreeMap<String, BTreeMap<String, Stanza>>,
    passwords: BTreeMap<(String, String), String>,
    collections: BTreeMap<String, BTreeMap<String, Json>>,
    inputs: BTreeMap<String, BTreeMap<String, Stanza>>,
    messages: Vec<(String, String)>,
    /// Saved searches, with their settings.
    pub saved_searches: BTreeMap<String, Stanza>,
    /// Names of the indexes for events.
    pub indexes: Vec<String>,
    /// Whether the app has been set up (`is_configured` of app.conf).
    pub configured: bool,
    /// What has been indexed.
    pub journal: journal::Journal,
    /// What runs the app's program: with it, inputs are tried out before they are saved.
    pub instance: Option<Instance>,
    /// Roles of this instance: `search_head`, `shc_member`, …
    pub server_roles: Vec<String>,
    /// What an edit of a conf does.
    pub edits: Edits,
    /// Whether the KV store is up.
    pub kv_store: KvStore,
    /// Whether stored passwords come in clear text.
    pub masking: Masking,
    keys: u64,
}

impl Default for Splunkd {
    fn default() -> Self {
        Splunkd {
            sessions: BTreeMap::new(),
            confs: BTreeMap::new(),
            passwords: BTreeMap::new(),
            collections: BTreeMap::new(),
            inputs: BTreeMap::new(),
            messages: Vec::new(),
            saved_searches: BTreeMap::new(),
            indexes: vec!["defender".to_string(), "main".to_string(), "security".to_string()],
            configured: false,
            journal: journal::Journal::default(),
            instance: None,
            server_roles: vec!["indexer".to_string(), "search_head".to_string()],
            edits: Edits::Stick,
            kv_store: KvStore::Ready,
            masking: Masking::Clear,
            keys: 0,
        }
    }
}

impl Splunkd {
    /// Adds a session of a user with these capabilities.
    pub fn add_session(&mut self, key: &str, user: &str, capabilities: &[&str]) {
        let capabilities = capabilities.iter().map(|name| name.to_string()).collect();
        self.sessions.insert(key.to_string(), User { name: user.to_string(), capabilities });
    }

    /// Ends a session.
    pub fn end_session(&mut self, key: &str) {
        self.sessions.remove(key);
    }

    /// Sets values of a conf stanza (`defender_account`, `demo`), keeping its other values.
    pub fn set_conf(&mut self, file: &str, stanza: &str, values: &[(&str, &str)]) {
        let held = self.confs.entry(file.to_string()).or_default().entry(stanza.to_string()).or_default();
        held.extend(values.iter().map(|(key, value)| (key.to_string(), value.to_string())));
    }

    /// A value of a conf stanza.
    pub fn conf(&self, file: &str, stanza: &str, key: &str) -> Option<&str> {
        self.confs.get(file)?.get(stanza)?.get(key).map(String::as_str)
    }

    /// Removes a conf stanza.
    pub fn remove_conf(&mut self, file: &str, stanza: &str) {
        if let Some(stanzas) = self.confs.get_mut(file) {
            stanzas.remove(stanza);
        }
    }

    /// Stores a password.
    pub fn set_password(&mut self, realm: &str, user: &str, password: &str) {
        self.passwords.insert((realm.to_string(), user.to_string()), password.to_string());
    }

    /// A stored password.
    pub fn password(&self, realm: &str, user: &str) -> Option<&str> {
        self.passwords.get(&(realm.to_string(), user.to_string())).map(String::as_str)
    }

    /// Removes a stored password.
    pub fn remove_password(&mut self, realm: &str, user: &str) {
        self.passwords.remove(&(realm.to_string(), user.to_string()));
    }

    /// All stored passwords, as realm, user and password.
    pub fn passwords(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.passwords.iter().map(|((realm, user), password)| (realm.as_str(), user.as_str(), password.as_str()))
    }

    /// Defines an input (`defender`, `alerts_commercial`).
    pub fn set_input(&mut self, scheme: &str, name: &str, values: &[(&str, &str)]) {
        let held = self.inputs.entry(scheme.to_string()).or_default().entry(name.to_string()).or_default();
        held.extend(values.iter().map(|(key, value)| (key.to_string(), value.to_string())));
    }

    /// The inputs of a scheme.
    pub fn inputs(&self, scheme: &str) -> impl Iterator<Item = (&String, &Stanza)> {
        self.inputs.get(scheme).into_iter().flatten()
    }

    /// Makes a collection of the KV store known.
    pub fn add_collection(&mut self, name: &str) {
        self.collections.entry(name.to_string()).or_default();
    }

    /// A document of the KV store.
    pub fn document(&self, collection: &str, key: &str) -> Option<&Json> {
        self.collections.get(collection)?.get(key)
    }

    /// Notices posted to the UI, as name and text.
    pub fn messages(&self) -> &[(String, String)] {
        &self.messages
    }
}

/// Answers a request to splunkd.
pub fn answer(world: &mut World, request: &Request, now: Time) -> Response {
    let splunkd = &mut world.splunkd;
    let user = match user_of(splunkd, request) {
        Ok(user) => user,
        Err(refused) => return refused,
    };
    let segments = request.segments();
    let parts: Vec<_> = segments.iter().map(String::as_str).collect();
    let (app, rest) = match &parts[..] {
        ["services", rest @ ..] => ("-", rest),
        ["servicesNS", _, app, rest @ ..] => (*app, rest),
        _ => return not_found(request, &request.path),
    };
    // Objects of our app are visible to others only where the app is not named; a wrong app is a wrong address.
    if app != APP && app != "-" && !matches!(rest.first(), Some(&"server" | &"saved")) {
        return message(request, 404, "ERROR", &format!("Application does not exist: {app}"));
    }
    match rest {
        ["configs", conf, ..] | ["properties", conf, ..] => {
            let file = conf.strip_prefix("conf-").unwrap_or(conf).to_string();
            // metadata/default.meta: write : [ admin, sc_admin ].
            if request.method != "GET" && !user.capabilities.contains("admin_all_objects") {
                return forbidden(request, &user, "admin_all_objects");
            }
            configs(splunkd, request, &file, rest.get(2).copied(), now)
        }
        ["saved", "searches", name] if request.method == "GET" => saved_search(splunkd, request, name, now),
        ["storage", "passwords", ..] => passwords::answer(splunkd, request, &user, rest.get(2).copied(), now),
        ["storage", "collections", "data", collection, key @ ..] => {
            collections::answer(splunkd, request, collection, key.first().copied())
        }
        ["server", "info", ..] => info(splunkd, request, now),
        ["data", "inputs", parts @ ..] => inputs::answer(splunkd, request, &user, parts, now),
        ["data", "indexes"] if request.method == "GET" => objects::indexes(splunkd, request, now),
        ["apps", "local", name] => objects::app(splunkd, request, &user, name, now),
        ["saved", "searches"] if request.method == "GET" => objects::saved_searches(splunkd, request, now),
        ["search", "jobs"] if request.method == "POST" => search::answer(splunkd, request, &user, now),
        ["messages"] if request.method == "POST" => {
            let value =
                |key: &str| request.form().into_iter().find(|(name, _)| name == key).map(|(_, value)| value).unwrap_or_default();
            splunkd.messages.push((value("name"), value("value")));
            listed(request, "messages", Vec::new(), 201, now)
        }
        _ => not_found(request, &request.path),
    }
}

/// Who makes a request; 401 for nobody.
fn user_of(splunkd: &Splunkd, request: &Request) -> Result<User, Response> {
    let key = request.credential("Splunk").or_else(|| request.credential("Bearer"));
    key.and_then(|key| splunkd.sessions.get(key)).cloned().ok_or_else(|| {
        message(request, 401, "WARN", "call not properly authenticated").header("WWW-Authenticate", "Basic realm=\"/splunk\"")
    })
}

fn configs(splunkd: &mut Splunkd, request: &Request, file: &str, stanza: Option<&str>, now: Time) -> Response {
    let form = request.form();
    let values = |form: &[(String, String)]| {
        form.iter().filter(|(key, _)| !["name", "output_mode"].contains(&key.as_str())).cloned().collect::<Stanza>()
    };
    let path = format!("configs/conf-{file}");
    let (edits, stanzas) = (splunkd.edits, splunkd.confs.entry(file.to_string()).or_default());
    if request.method != "GET" && edits == Edits::Forbidden {
        return message(
            request,
            403,
            "ERROR",
            "You do not have permission to perform this operation (requires capability: admin_all_objects).",
        );
    }
    match (request.method.as_str(), stanza) {
        ("GET", None) => {
            let entries = stanzas.iter().map(|(name, values)| conf_entry(name, values)).collect();
            listed(request, &path, entries, 200, now)
        }
        ("GET", Some(name)) => match stanzas.get(name) {
            Some(values) => listed(request, &path, vec![conf_entry(name, values)], 200, now),
            None => not_found(request, name),
        },
        ("POST", None) => {
            let Some(name) = form.iter().find(|(key, _)| key == "name").map(|(_, value)| value.clone()) else {
                return message(request, 400, "ERROR", "Cannot perform action \"POST\" without a target name to act on.");
            };
            if stanzas.contains_key(&name) {
                return message(request, 409, "ERROR", &format!("An object with name={name} already exists"));
            }
            let held = values(&form);
            let entry = conf_entry(&name, &held);
            if edits == Edits::Stick {
                stanzas.insert(name, held);
            }
            created(request, &path, entry, now)
        }
        ("POST", Some(name)) => match stanzas.get_mut(name) {
            Some(held) => {
                if edits == Edits::Stick {
                    held.extend(values(&form));
                }
                let entry = conf_entry(name, held);
                listed(request, &path, vec![entry], 200, now)
            }
            None => not_found(request, name),
        },
        ("DELETE", Some(name)) => match stanzas.remove(name) {
            Some(_) => listed(request, &path, Vec::new(), 200, now),
            None => not_found(request, name),
        },
        _ => message(request, 405, "ERROR", "Method Not Allowed"),
    }
}

/// A search with the settings of its alert actions: its own, and those of `alert_actions.conf` for the others.
fn saved_search(splunkd: &Splunkd, request: &Request, name: &str, now: Time) -> Response {
    let stanza = |file: &str| splunkd.confs.get(file).into_iter().flatten();
    let Some((_, own)) = stanza("savedsearches").find(|(known, _)| *known == name) else { return not_found(request, name) };
    let actions = stanza("alert_actions")
        .flat_map(|(action, values)| values.iter().map(move |(key, value)| (format!("action.{action}.{key}"), value.clone())));
    let mut merged: Stanza = actions.collect();
    merged.extend(own.clone());
    listed(request, "saved/searches", vec![conf_entry(name, &merged)], 200, now)
}

fn conf_entry(name: &str, values: &Stanza) -> Entry {
    let mut content =
        vec![("disabled".into(), Json::Bool(values.get("disabled").is_some_and(|value| value == "1" || value == "true")))];
    for (key, value) in [("eai:acl", Json::Null), ("eai:appName", Json::from(APP)), ("eai:userName", Json::from("nobody"))] {
        content.push((key.into(), value));
    }
    content
        .extend(values.iter().filter(|(key, _)| *key != "disabled").map(|(key, value)| (key.clone().into(), Json::from(value))));
    Entry { name: name.to_string(), content: Json::Object(content) }
}

fn info(splunkd: &Splunkd, request: &Request, now: Time) -> Response {
    let content = object! {
        "build" => "ad166be3a4f8",
        "cpu_arch" => "x86_64",
        "guid" => "6A1DB7C1-6A15-4E5F-9F34-2F8C2A2C4E11",
        "host" => "splunk.example.com",
        "host_fqdn" => "splunk.example.com",
        "isForwarding" => false,
        "kvStoreStatus" => if splunkd.kv_store == KvStore::Ready { "ready" } else { "starting" },
        "os_name" => "Linux",
        "product_type" => "enterprise",
        "serverName" => "splunk.example.com",
        "server_roles" => splunkd.server_roles.as_slice(),
        "version" => "10.0.2",
    };
    listed(request, "server/info", vec![Entry { name: "server-info".to_string(), content }], 200, now)
}

/// What somebody gets who lacks a capability.
fn forbidden(request: &Request, user: &User, needed: &str) -> Response {
    let text =
        format!("You (user={}) do not have permission to perform this operation (requires capability: {needed}).", user.name);
    message(request, 403, "ERROR", &text)
}

fn not_found(request: &Request, what: &str) -> Response {
    message(request, 404, "ERROR", &format!("Could not find object id={what}"))
}

/// splunkd's answer to a fault.
pub(crate) fn failed(status: u16) -> Response {
    let (kind, text) = match status {
        401 => ("WARN", "call not properly authenticated"),
        403 => ("ERROR", "You (user=splunk-system-user) do not have permission to perform this operation."),
        404 => ("ERROR", "Not Found"),
        503 => ("ERROR", "Service Unavailable. Splunkd is shutting down or still starting; please try again later."),
        _ => ("ERROR", "Unexpected error in the REST handler. See splunkd.log/python.log."),
    };
    message(&Request::get("/?output_mode=json"), status, kind, text)
}
