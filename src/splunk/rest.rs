//! splunkd's REST with a session key: configuration, secrets, what kind of server this is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

pub use super::rest_error::RestError;
use crate::http::{self, Http, HttpError, Request, Response, Transport, Trust};
use crate::secret::Secret;

/// The most one exchange may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How often an exchange is tried when splunkd is starting or restarting, and the pause before each further try.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// What stays as it is in a URL: RFC 3986's unreserved characters, and the colons that part a secret's names.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b':');
/// The same for a form, where a colon is none of ours.
const FORM: &AsciiSet = &PLAIN.add(b':');

/// The app whose configuration and secrets are meant.
#[derive(Clone, Copy, Debug)]
pub struct App {
    /// The app's id, the folder it lives in.
    pub id: &'static str,
    /// The role it ships for reading its secrets; error messages name it.
    pub secret_role: &'static str,
}

/// One conf stanza: its settings as splunkd merges them.
pub type Settings = BTreeMap<String, String>;

/// splunkd, asked as the owner of a session key, about one app.
#[derive(Clone, Debug)]
pub struct Splunkd {
    http: Http,
    base: String,
    session_key: Secret,
    pub(super) app: App,
}

impl Splunkd {
    /// A client; asks nothing yet. `splunk_home` is the value of `SPLUNK_HOME`: a splunkd elsewhere is believed with
    /// the certificates of `etc/auth/cacert.pem` there, if that exists.
    ///
    /// # Errors
    /// [`RestError::Setup`] when `server_uri` is no URL that may be asked, or the certificates cannot be read.
    pub fn new(server_uri: &str, session_key: Secret, app: App, splunk_home: Option<&Path>) -> Result<Self, RestError> {
        let base = http::base_url(server_uri).map_err(|fault| RestError::Setup(format!("splunkd's server_uri: {fault}")))?;
        let uri: ::http::Uri = base.parse().map_err(|_| RestError::Setup("splunkd's server_uri is not a URL".to_owned()))?;
        let trust = trust(uri.host().unwrap_or_default(), splunk_home);
        let http =
            Http::new(&Transport { trust, proxy: None, limit: LIMIT }).map_err(|error| RestError::Setup(error.to_string()))?;
        Ok(Self { http, base, session_key, app })
    }

    /// A stanza of `<file>.conf`; `None` when there is no such stanza.
    ///
    /// # Errors
    /// See [`RestError`].
    pub fn conf(&self, file: &str, stanza: &str) -> Result<Option<Settings>, RestError> {
        let call = Call::new(Object::stanza(file, stanza), self.conf_path(file, Some(stanza)));
        Ok(self
            .get(&call)?
            .map(|answer| entries(&call, &answer))
            .transpose()?
            .and_then(|found| found.into_iter().next())
            .map(|(_, settings)| settings))
    }

    /// All stanzas of `<file>.conf` by name, `[default]` aside; none when there is no such file.
    ///
    /// # Errors
    /// See [`RestError`].
    pub fn conf_stanzas(&self, file: &str) -> Result<BTreeMap<String, Settings>, RestError> {
        let mut call = Call::new(Object::conf(file), self.conf_path(file, None));
        // Without it splunkd gives thirty.
        call.query = "&count=0";
        let found = self.get(&call)?.map(|answer| entries(&call, &answer)).transpose()?.unwrap_or_default();
        Ok(found.into_iter().filter(|(name, _)| name != "default").collect())
    }

    /// Changes settings of a stanza, which is created when it does not exist. Settings not named stay.
    ///
    /// # Errors
    /// See [`RestError`].
    pub fn set_conf(&self, file: &str, stanza: &str, settings: &[(&str, &str)]) -> Result<(), RestError> {
        let object = Object::stanza(file, stanza);
        let change = Call::new(object.clone(), self.conf_path(file, Some(stanza)));
        if self.post(&change, settings)? != Posted::NotFound {
            return Ok(());
        }
        let create = Call::new(object, self.conf_path(file, None));
        let named: Vec<_> = [("name", stanza)].into_iter().chain(settings.iter().copied()).collect();
        match self.post(&create, &named)? {
            Posted::Done => Ok(()),
            Posted::NotFound | Posted::Exists => Err(RestError::NotFound { object: create.object.to_string() }),
        }
    }

    /// A secret of `storage/passwords`; `None` when there is none.
    ///
    /// # Errors
    /// [`RestError::Masked`] when splunkd gives asterisks instead; otherwise see [`RestError`].
    pub fn password(&self, realm: &str, username: &str) -> Result<Option<Secret>, RestError> {
        let call = self.password_call(realm, username);
        let Some(answer) = self.get(&call)? else { return Ok(None) };
        let found = contents(&call, &answer)?;
        // splunkd looks names up, it does not compare them; another one's secret would be sent to the wrong place.
        let same = |content: &Map<String, Value>, member: &str, expected: &str| text(content.get(member)) == expected;
        let Some(content) = found.iter().find(|content| same(content, "realm", realm) && same(content, "username", username))
        else {
            return Ok(None);
        };
        match content.get("clear_password").and_then(Value::as_str) {
            Some(clear) if clear.chars().any(|c| c != '*') => Ok(Some(Secret::new(clear))),
            _ => Err(RestError::Masked { object: call.object.to_string() }),
        }
    }

    /// Stores a secret, over one of the same name. splunkd keeps at most 255 characters; see
    /// [`Splunkd::set_secret`](Self::set_secret) for any length.
    ///
    /// # Errors
    /// See [`RestError`].
    pub fn set_password(&self, realm: &str, username: &str, secret: &Secret) -> Result<(), RestError> {
        let change = self.password_call(realm, username);
        let create = Call::new(change.object.clone(), self.app_path("storage/passwords"));
        let form = [("name", username), ("realm", realm), ("password", secret.expose())];
        if self.post(&create, &form)? == Posted::Done {
            return Ok(());
        }
        match self.post(&change, &form[2..])? {
            Posted::Done => Ok(()),
            Posted::NotFound | Posted::Exists => Err(RestError::NotFound { object: change.object.to_string() }),
        }
    }

    /// Deletes a secret; false when there was none.
    ///
    /// # Errors
    /// See [`RestError`].
    pub fn delete_password(&self, realm: &str, username: &str) -> Result<bool, RestError> {
        let call = self.password_call(realm, username);
        let answer = self.exchange(&call, "DELETE", &[])?;
        if answer.status() == 404 {
            return Ok(false);
        }
        self.accept(&call, &answer, &[]).map(|()| true)
    }

    /// What this server is: `server_roles` of `server/info`, such as `search_head`, `shc_member`, `shc_captain`.
    ///
    /// # Errors
    /// See [`RestError`].
    pub fn server_roles(&self) -> Result<Vec<String>, RestError> {
        let call = Call::new(Object::ServerInfo, "/services/server/info".to_owned());
        let Some(answer) = self.get(&call)? else { return Err(RestError::NotFound { object: call.object.to_string() }) };
        let found = contents(&call, &answer)?;
        let roles = found.first().and_then(|content| content.get("server_roles")).and_then(Value::as_array);
        Ok(roles.map(|roles| roles.iter().filter_map(Value::as_str).map(str::to_owned).collect()).unwrap_or_default())
    }

    fn conf_path(&self, file: &str, stanza: Option<&str>) -> String {
        let file = self.app_path(&format!("configs/conf-{}", segment(file)));
        stanza.map_or(file.clone(), |stanza| format!("{file}/{}", segment(stanza)))
    }

    fn password_call(&self, realm: &str, username: &str) -> Call {
        let path = format!("{}/{}", self.app_path("storage/passwords"), segment(&secret_name(realm, username)));
        Call::new(Object::Secret { realm: realm.to_owned(), username: username.to_owned() }, path)
    }

    /// Never another owner than `nobody` nor another app than ours: what is shared lives there.
    fn app_path(&self, rest: &str) -> String {
        format!("/servicesNS/nobody/{}/{rest}", segment(self.app.id))
    }

    /// `None` for 404.
    fn get(&self, call: &Call) -> Result<Option<Value>, RestError> {
        let answer = self.exchange(call, "GET", &[])?;
        if answer.status() == 404 {
            return Ok(None);
        }
        self.accept(call, &answer, &[])?;
        let body: Value =
            serde_json::from_slice(answer.body()).map_err(|_| RestError::NotJson { object: call.object.to_string() })?;
        Ok(Some(body))
    }

    fn post(&self, call: &Call, form: &[(&str, &str)]) -> Result<Posted, RestError> {
        let answer = self.exchange(call, "POST", form)?;
        match answer.status().as_u16() {
            404 => Ok(Posted::NotFound),
            409 => Ok(Posted::Exists),
            _ => self.accept(call, &answer, form).map(|()| Posted::Done),
        }
    }

    /// Turns every status but success into an error.
    fn accept(&self, call: &Call, answer: &Response, sent: &[(&str, &str)]) -> Result<(), RestError> {
        if answer.status().is_success() { Ok(()) } else { Err(self.refusal(call, answer, sent)) }
    }

    fn refusal(&self, call: &Call, answer: &Response, sent: &[(&str, &str)]) -> RestError {
        let object = call.object.to_string();
        match answer.status().as_u16() {
            401 => RestError::SessionEnded { object },
            403 => RestError::Forbidden { object, remedy: call.object.remedy(self.app) },
            404 => RestError::NotFound { object },
            503 => RestError::Busy { object },
            status => {
                let kept = sent.iter().map(|(_, value)| *value).chain([self.session_key.expose()]);
                RestError::Failed { object, status, said: said(answer.body(), kept) }
            }
        }
    }

    /// Sends, and again when splunkd is not up yet. All of these calls may be repeated: each says how things should be.
    fn exchange(&self, call: &Call, method: &str, form: &[(&str, &str)]) -> Result<Response, RestError> {
        let mut tries = 1;
        loop {
            let sent = self.http.send(self.request(call, method, form)?);
            match &sent {
                Ok(answer) if answer.status() == 503 && tries < TRIES => {}
                Err(HttpError::Unreachable { .. }) if tries < TRIES => {}
                _ => {
                    return sent.map_err(|source| RestError::Unreachable { object: call.object.to_string(), source });
                }
            }
            tries += 1;
            thread::sleep(PAUSE);
        }
    }

    fn request(&self, call: &Call, method: &str, form: &[(&str, &str)]) -> Result<Request, RestError> {
        let url = format!("{}{}?output_mode=json{}", self.base, call.path, call.query);
        let mut request = ::http::Request::builder()
            .method(method)
            .uri(url)
            .header("Authorization", format!("Splunk {}", self.session_key.expose()))
            .header("Accept", "application/json");
        if !form.is_empty() {
            request = request.header("Content-Type", "application/x-www-form-urlencoded");
        }
        let pairs: Vec<String> = form.iter().map(|(name, value)| format!("{}={}", field(name), field(value))).collect();
        // The one thing that can be wrong is a session key that fits in no header.
        let wrong = |_| RestError::Setup("splunkd's session_key or server_uri cannot be put into a request".to_owned());
        request.body(pairs.join("&").into_bytes()).map_err(wrong)
    }
}

/// What a POST met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Posted {
    Done,
    NotFound,
    Exists,
}

/// What a call is about, for messages.
#[derive(Clone, Debug)]
pub(super) enum Object {
    /// A conf file.
    Conf(String),
    /// One stanza of it.
    Stanza(String, String),
    /// An entry of `storage/passwords`.
    Secret {
        /// The entry's realm.
        realm: String,
        /// The entry's user name.
        username: String,
    },
    /// `server/info`.
    ServerInfo,
}

impl Object {
    fn conf(file: &str) -> Self {
        Self::Conf(file.to_owned())
    }

    fn stanza(file: &str, stanza: &str) -> Self {
        Self::Stanza(file.to_owned(), stanza.to_owned())
    }

    /// What a person does about a 403.
    fn remedy(&self, app: App) -> String {
        match self {
            Self::Secret { .. } => format!(
                "the owner of this search or input needs a role with the capability list_storage_passwords \
                 (edit_storage_passwords to change a secret), such as {}",
                app.secret_role
            ),
            _ => format!("the owner of this search or input needs a role with access to the app {}", app.id),
        }
    }
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Conf(file) => write!(f, "{file}.conf"),
            Self::Stanza(file, stanza) => write!(f, "[{stanza}] of {file}.conf"),
            Self::Secret { realm, username } => write!(f, "the secret {username} of realm {realm}"),
            Self::ServerInfo => f.write_str("server/info"),
        }
    }
}

struct Call {
    object: Object,
    path: String,
    /// More of the query, from its `&`.
    query: &'static str,
}

impl Call {
    fn new(object: Object, path: String) -> Self {
        Self { object, path, query: "" }
    }
}

/// Whose certificate splunkd may show. On this machine any: its default one cannot be verified (see [`Trust::Anything`]).
fn trust(host: &str, splunk_home: Option<&Path>) -> Trust {
    if http::is_loopback(host) {
        return Trust::Anything;
    }
    let bundle: Option<PathBuf> = splunk_home.map(|home| home.join("etc/auth/cacert.pem")).filter(|path| path.is_file());
    bundle.map_or(Trust::PublicRoots, Trust::Bundle)
}

/// splunkd's name of a secret: `realm:username:`, with colons and backslashes inside the parts escaped.
fn secret_name(realm: &str, username: &str) -> String {
    let escape = |part: &str| part.replace('\\', r"\\").replace(':', r"\:");
    format!("{}:{}:", escape(realm), escape(username))
}

fn segment(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

fn field(text: &str) -> String {
    utf8_percent_encode(text, FORM).to_string()
}

/// The `content` of every entry of an answer.
fn contents<'a>(call: &Call, answer: &'a Value) -> Result<Vec<&'a Map<String, Value>>, RestError> {
    let entries = answer.get("entry").and_then(Value::as_array);
    let entries = entries.ok_or_else(|| RestError::NotJson { object: call.object.to_string() })?;
    Ok(entries.iter().filter_map(|entry| entry.get("content").and_then(Value::as_object)).collect())
}

/// Names and settings of every entry of an answer, without splunkd's own `eai:` members.
fn entries(call: &Call, answer: &Value) -> Result<Vec<(String, Settings)>, RestError> {
    let found = contents(call, answer)?;
    let names = answer["entry"].as_array().into_iter().flatten().map(|entry| text(entry.get("name")));
    let settings = found.into_iter().map(|content| {
        let ours = content.iter().filter(|(name, _)| !name.starts_with("eai:"));
        ours.map(|(name, value)| (name.clone(), text(Some(value)))).collect()
    });
    Ok(names.zip(settings).collect())
}

/// A setting's text; splunkd turns what looks like a number or a boolean into one.
fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// What splunkd says about a failure (`messages[].text`), on one line and not too long; nothing when it repeats
/// something of what was sent.
fn said<'a>(body: &[u8], sent: impl Iterator<Item = &'a str>) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let messages = body["messages"].as_array().into_iter().flatten();
    let texts: Vec<&str> = messages.filter_map(|message| message["text"].as_str()).collect();
    let all: String = texts.join("; ").chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if sent.into_iter().any(|value| value.len() > 3 && all.contains(value)) {
        return String::new();
    }
    all.chars().take(300).collect()
}
