//! splunkd's REST with a session key: configuration, secrets, what kind of server this is.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

mod conf;
mod error;
mod passwords;
#[cfg(test)]
mod stand_in;

pub use conf::Settings;
pub use error::RestError;

use super::lenient;
use crate::http::{self, Http, HttpError, Request, Response, Transport, Trust};
use crate::limits;
use crate::masking::{admin_text, foreign_text};
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

/// splunkd, asked as the owner of a session key, about one app.
#[derive(Clone, Debug)]
pub struct Splunkd {
    http: Http,
    base: String,
    session_key: Secret,
    app: App,
}

impl Splunkd {
    /// A client; asks nothing yet. `splunk_home` is [`splunk::home`](super::home): a splunkd elsewhere is believed
    /// with the certificates of `etc/auth/cacert.pem` there, if that exists.
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
        self.accept(call, &answer)?;
        let not_json = || RestError::NotJson { object: call.object.to_string() };
        limits::check_tree(answer.body()).map_err(|_| not_json())?;
        Ok(Some(lenient::parse(answer.body()).map_err(|_| not_json())?))
    }

    fn post(&self, call: &Call, form: &[(&str, &str)]) -> Result<Posted, RestError> {
        let answer = self.exchange(call, "POST", form)?;
        match answer.status().as_u16() {
            404 => Ok(Posted::NotFound),
            409 => Ok(Posted::Exists),
            _ => self.accept(call, &answer).map(|()| Posted::Done),
        }
    }

    /// Turns every status but success into an error.
    fn accept(&self, call: &Call, answer: &Response) -> Result<(), RestError> {
        if answer.status().is_success() { Ok(()) } else { Err(self.refusal(call, answer)) }
    }

    fn refusal(&self, call: &Call, answer: &Response) -> RestError {
        let object = call.object.to_string();
        match answer.status().as_u16() {
            401 => RestError::SessionEnded { object },
            403 => RestError::Forbidden { object, remedy: call.object.remedy(self.app) },
            404 => RestError::NotFound { object },
            503 => RestError::Busy { object },
            status => RestError::Failed { object, status, said: said(answer.body()) },
        }
    }

    /// Sends, and again when splunkd is not up yet. All of these calls may be repeated: each says how things should be.
    fn exchange(&self, call: &Call, method: &str, form: &[(&str, &str)]) -> Result<Response, RestError> {
        let mut tries = 1;
        loop {
            let sent = self.http.send(self.request(call, method, form)?, limits::SPLUNKD);
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
enum Object {
    Conf(String),
    Stanza(String, String),
    Secret { realm: String, username: String },
    Inputs(String),
    ServerInfo,
    SavedSearch,
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
            Self::Stanza(file, stanza) => write!(f, "[{}] of {file}.conf", admin_text(stanza)),
            Self::Secret { realm, username } => write!(f, "the secret {} of realm {realm}", admin_text(username)),
            Self::Inputs(scheme) => write!(f, "the inputs of {scheme}"),
            Self::ServerInfo => f.write_str("server/info"),
            Self::SavedSearch => f.write_str("the saved search"),
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

fn segment(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

fn field(text: &str) -> String {
    utf8_percent_encode(text, FORM).to_string()
}

/// The entries of an answer.
fn list<'a>(call: &Call, answer: &'a Value) -> Result<&'a Vec<Value>, RestError> {
    let entries = answer.get("entry").and_then(Value::as_array);
    entries.ok_or_else(|| RestError::NotJson { object: call.object.to_string() })
}

/// The `content` of every entry of an answer.
fn contents<'a>(call: &Call, answer: &'a Value) -> Result<Vec<&'a Map<String, Value>>, RestError> {
    Ok(list(call, answer)?.iter().filter_map(|entry| entry.get("content")?.as_object()).collect())
}

/// A setting's text; splunkd turns what looks like a number or a boolean into one.
fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// What splunkd says about a failure (`messages[].text`).
fn said(body: &[u8]) -> String {
    let body: Value = limits::check_tree(body).ok().and_then(|()| serde_json::from_slice(body).ok()).unwrap_or_default();
    let messages = body["messages"].as_array().into_iter().flatten();
    let texts: Vec<&str> = messages.filter_map(|message| message["text"].as_str()).collect();
    foreign_text(&texts.join("; "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Instant;

    use super::stand_in::{APP, KEY, StandIn};
    use super::*;

    #[test]
    fn each_refusal_says_what_and_what_to_do() {
        let table = [
            (401, "", "splunkd no longer accepts this run's session key ([s] of f.conf); the next run gets a new one", false),
            (
                403,
                "",
                "splunkd refuses [s] of f.conf: the owner of this search or input needs a role with access to the app TA_test",
                true,
            ),
            (
                500,
                r#"{"messages":[{"type":"ERROR","text":"In handler\n'x': disk full"}]}"#,
                "splunkd failed at [s] of f.conf: 500, In handler 'x': disk full; see splunkd.log on this server",
                false,
            ),
            (500, "<html>", "splunkd failed at [s] of f.conf: 500; see splunkd.log on this server", false),
            (400, "", "splunkd failed at [s] of f.conf: 400; see splunkd.log on this server", true),
            (302, "", "splunkd failed at [s] of f.conf: 302; see splunkd.log on this server", false),
            (
                200,
                "<html>Log in</html>",
                "the answer for [s] of f.conf is not splunkd's JSON; something else answers at splunkd's server_uri",
                true,
            ),
            (
                200,
                r#"{"entries":1}"#,
                "the answer for [s] of f.conf is not splunkd's JSON; something else answers at splunkd's server_uri",
                true,
            ),
        ];
        for (status, body, message, person) in table {
            let splunkd = StandIn::always(status, body);
            let error = splunkd.client().conf("f", "s").unwrap_err();
            assert_eq!(error.to_string(), message);
            assert_eq!(error.needs_a_person(), person, "{status}");
            assert_eq!(splunkd.asked().len(), 1, "{status} is not tried again");
        }
    }

    #[test]
    fn a_starting_splunkd_is_asked_again_twice() {
        let splunkd = StandIn::in_turn([(503, "{}"), (503, "{}"), (404, "{}")]);
        assert!(splunkd.client().conf("f", "s").unwrap().is_none());
        let splunkd = StandIn::always(503, "{}");
        let error = splunkd.client().conf("f", "s").unwrap_err();
        assert_eq!(
            error.to_string(),
            "splunkd is not ready ([s] of f.conf: 503); it is starting or overloaded, the next run asks again"
        );
        assert!(!error.needs_a_person());
        assert_eq!(splunkd.asked().len(), 3);
    }

    #[test]
    fn nobody_at_the_port() {
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let uri = format!("https://127.0.0.1:{port}");
        let begun = Instant::now();
        let error = Splunkd::new(&uri, Secret::new(KEY), APP, None).unwrap().server_roles().unwrap_err();
        assert!(begun.elapsed() >= 2 * PAUSE, "tried three times");
        assert!(!error.needs_a_person());
        let text = error.to_string();
        assert!(text.starts_with(&format!("splunkd cannot be asked for server/info: no answer from 127.0.0.1:{port}")), "{text}");
    }

    #[test]
    fn what_was_sent_is_never_repeated() {
        let echo = |value: &str| format!(r#"{{"messages":[{{"type":"ERROR","text":"Invalid value {value}"}}]}}"#);
        let client = StandIn::always(400, &echo("hunter22")).client();
        let error = client.set_password("r", "u", &Secret::new("hunter22")).unwrap_err();
        let masked = "splunkd failed at the secret u of realm r: 400, Invalid value ***; see splunkd.log on this server";
        assert_eq!(error.to_string(), masked);
        let error = StandIn::always(400, &echo(KEY)).client().conf("f", "s").unwrap_err();
        assert!(!error.to_string().contains(KEY) && !format!("{error:?}").contains(KEY));
        assert!(!format!("{client:?}").contains(KEY));
        // What was not sent helps.
        let client = StandIn::always(400, &echo("mars")).client();
        let error = client.set_conf("f", "s", &[("cloud", "mars")]).unwrap_err();
        assert!(error.to_string().contains("400, Invalid value mars"), "{error}");
    }

    #[test]
    fn server_uris() {
        let refused = |uri: &str| Splunkd::new(uri, Secret::new(KEY), APP, None).unwrap_err();
        for (uri, part) in [
            ("http://splunk.example.com:8089", "splunkd's server_uri: `http://splunk.example.com:8089` must be https"),
            ("127.0.0.1:8089", "splunkd's server_uri"),
            ("", "splunkd's server_uri"),
        ] {
            assert!(refused(uri).to_string().starts_with(part), "{uri}: {}", refused(uri));
            assert!(refused(uri).needs_a_person());
        }
        let broken = Splunkd::new("https://127.0.0.1:1", Secret::new("a\nb"), APP, None).unwrap();
        assert!(broken.server_roles().unwrap_err().needs_a_person());
    }

    #[test]
    fn certificates_are_checked_off_this_machine() {
        let home = tempfile::tempdir().unwrap();
        let is = |host: &str| format!("{:?}", trust(host, Some(home.path())));
        assert_eq!(is("127.0.0.1"), "Anything");
        assert_eq!(is("[::1]"), "Anything");
        assert_eq!(is("splunk.example.com"), "PublicRoots");
        std::fs::create_dir_all(home.path().join("etc/auth")).unwrap();
        std::fs::write(home.path().join("etc/auth/cacert.pem"), "").unwrap();
        assert!(is("splunk.example.com").starts_with("Bundle("));
        assert_eq!(is("localhost"), "Anything");
    }
}
