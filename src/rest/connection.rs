//! `test_connection`: what an account can do right now, tried out against each API at the same time.
//!
//! Every step happens on threads of its own and is told as soon as it is done, so that the answer is ready when the time
//! is over, whatever a name server, a proxy or a service keeps waiting.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::finding::{Fault, Finding, report};
use super::streaming::{Stream, StreamFinding, check, targets};
use crate::account::{APP, Access, Account, AccountError, ClearText, Settings};
#[cfg(feature = "streaming")]
use crate::blobs::BlobsError;
use crate::collect::CollectError;
use crate::error::Error;
use crate::http::HttpError;
use crate::input::check_name;
use crate::masking::admin_text;
use crate::microsoft::claims::Roles;
use crate::microsoft::client::Client;
use crate::microsoft::cloud::{Api, Resource};
use crate::microsoft::page;
use crate::microsoft::query::{self, Expand, List, Order};
use crate::permissions::needs;
use crate::secret::Secret;
use crate::splunk::log::set_level;
use crate::splunk::persistent::{Answer, Request};
use crate::splunk::rest::{RestError, Splunkd};
use crate::time::Ticks;

/// The most the whole answer takes: splunkd gives up on a handler after about 30 s.
const PATIENCE: Duration = Duration::from_secs(20);
/// The most one exchange with Microsoft may take; a token and a call fit into [`PATIENCE`].
const EXCHANGE: Duration = Duration::from_secs(8);
/// How far back the trial call looks: permission is asked for by any read, rows are not needed.
const TRIAL: Duration = Duration::from_secs(3600);

/// The scheme that this add-on's inputs belong to.
const SCHEME: &str = "defender";

/// What becomes known on the way.
pub(super) enum News {
    /// The account cannot be used; nothing was tried.
    Refused(Error),
    /// It can; each API is being tried, and each of what streams.
    Begun(Vec<Finding>, Vec<StreamFinding>),
    /// A token, or why there is none.
    Token(Api, Result<Roles, Fault>),
    /// The end of an API's trial: a call, or why it brought nothing.
    Call(Api, Resource, Result<(), Fault>),
    /// Entra ID gave a token for what streams, by its number.
    StreamToken(usize),
    /// The end of its trial.
    Stream(usize, Result<(), Error>),
}

/// Answers a request of the form `account=<name>`.
pub(super) fn test(request: &Request, splunk_home: Option<&Path>) -> Answer {
    let (name, session_key) = match (account(&request.form), &request.session_key) {
        (Ok(name), Some(key)) => (name.to_owned(), key.clone()),
        (Err(fault), _) => return Answer::error(400, &fault),
        (Ok(_), None) => {
            return Answer::error(500, "splunkd told no session: restmap.conf must leave passSession on for this app");
        }
    };
    let (tell, told) = mpsc::channel();
    let trial =
        Trial { name: name.clone(), server_uri: request.server_uri.clone(), session_key, home: splunk_home.map(Into::into) };
    let begun = thread::Builder::new().name("trial".to_owned()).spawn(move || trial.run(&tell));
    match begun {
        Ok(_) => gather(&name, &told, PATIENCE),
        Err(error) => Answer::error(500, &format!("this machine gives the test no thread ({error}): try again later")),
    }
}

/// The one field of the form. `output_mode` is splunkd's own.
fn account(form: &[(String, String)]) -> Result<&str, String> {
    let mut names = Vec::new();
    for (field, value) in form {
        match field.as_str() {
            "account" => names.push(value.as_str()),
            "output_mode" => {}
            // Neither a URL nor a secret is ever taken from a request. The field's name alone may be repeated.
            other => return Err(format!("`{}` is not a field here: send account=<name> alone", admin_text(other))),
        }
    }
    let [name] = names[..] else { return Err("send account=<name>, once".to_owned()) };
    check_name("account", short(name)).map_err(|error| error.to_string())?;
    if name.len() == short(name).len() { Ok(name) } else { Err("that name is too long for an account".to_owned()) }
}

/// As much of a text as belongs into a message.
fn short(text: &str) -> &str {
    text.char_indices().nth(200).map_or(text, |(end, _)| &text[..end])
}

/// What becomes known within the time there is, as the answer.
fn gather(name: &str, told: &Receiver<News>, patience: Duration) -> Answer {
    let until = Instant::now() + patience;
    let mut begun = None;
    // The channel closes when everything has been told.
    while let Ok(news) = told.recv_timeout(until.saturating_duration_since(Instant::now())) {
        match news {
            News::Refused(error) => return Answer::error(status(&error), &error.full()),
            News::Begun(apis, streams) => begun = Some((apis, streams)),
            News::Token(api, token) => each(&mut begun, api, |finding| finding.token = Some(token)),
            News::Call(api, resource, call) => each(&mut begun, api, |finding| finding.call = Some((resource, call))),
            News::StreamToken(n) => stream(&mut begun, n, StreamFinding::got_token),
            News::Stream(n, outcome) => stream(&mut begun, n, |finding| finding.ended(outcome)),
        }
    }
    let Some((apis, streams)) = begun else {
        let seconds = patience.as_secs();
        let text = format!(
            "splunkd did not give account `{}` and its secret within {seconds} s: see splunkd.log, and try again",
            admin_text(name)
        );
        return Answer::error(500, &text);
    };
    Answer::ok(report(name, &apis, &streams, patience))
}

type Begun = Option<(Vec<Finding>, Vec<StreamFinding>)>;

fn each(begun: &mut Begun, api: Api, change: impl FnOnce(&mut Finding)) {
    if let Some(finding) = begun.as_mut().and_then(|(apis, _)| apis.iter_mut().find(|finding| finding.api == api)) {
        change(finding);
    }
}

fn stream(begun: &mut Begun, n: usize, change: impl FnOnce(&mut StreamFinding)) {
    if let Some(finding) = begun.as_mut().and_then(|(_, streams)| streams.get_mut(n)) {
        change(finding);
    }
}

/// Who has to act: 403 the user who asks, 404 and 400 whoever set the account up, 500 somebody else.
fn status(error: &Error) -> u16 {
    match error {
        Error::Account(AccountError::Missing { .. }) => 404,
        Error::Account(AccountError::Splunkd(error)) | Error::Splunkd(error) => match error {
            RestError::Forbidden { .. } | RestError::SessionEnded { .. } => 403,
            _ => 500,
        },
        Error::Account(_) | Error::Http(HttpError::Setup(_)) => 400,
        #[cfg(feature = "streaming")]
        Error::Blobs(BlobsError::Access { .. }) => 400,
        _ => 500,
    }
}

struct Trial {
    name: String,
    server_uri: String,
    session_key: Secret,
    home: Option<PathBuf>,
}

impl Trial {
    /// Reads the account, then tries each API and each of what streams. Whoever listens may have stopped listening, which is
    /// nobody's fault.
    fn run(self, tell: &Sender<News>) {
        let (access, settings, streams) = match self.load() {
            Ok(loaded) => loaded,
            Err(error) => return drop(tell.send(News::Refused(error))),
        };
        let account = match &access {
            Access::Application(account) => Some(account),
            Access::ConnectionString(_) => None,
        };
        let finding = |api, account: &Account| Finding { api, host: host(account.base(api)), token: None, call: None };
        let apis = account.iter().flat_map(|account| Api::ALL.map(|api| finding(api, account))).collect();
        let (streams, targets): (Vec<_>, Vec<_>) = streams.into_iter().unzip();
        let _ = tell.send(News::Begun(apis, streams));
        for (api, account) in account.iter().flat_map(|account| Api::ALL.map(|api| (api, Account::clone(account)))) {
            let (settings, tell) = (settings.clone(), tell.clone());
            begin(&api, move || try_api(account, &settings, api, &tell));
        }
        for (n, target) in targets.into_iter().enumerate() {
            let (access, settings, tell) = (access.clone(), settings.clone(), tell.clone());
            begin(&"what streams", move || {
                let outcome = check(target, access, &settings, || drop(tell.send(News::StreamToken(n))));
                drop(tell.send(News::Stream(n, outcome)));
            });
        }
    }

    fn load(&self) -> Result<(Access, Settings, Vec<Stream>), Error> {
        let splunkd = Splunkd::new(&self.server_uri, self.session_key.clone(), APP, self.home.as_deref())?;
        // Nothing is to change: a test may be made by somebody who may not.
        let access = Access::load(&splunkd, &self.name, ClearText::Use)?;
        let settings = Settings::load(&splunkd)?;
        set_level(settings.level);
        // A bundle that cannot be read is wrong for all APIs.
        settings.http(EXCHANGE)?;
        settings.check()?;
        // Who may not see the inputs still learns of the account.
        let inputs = splunkd.inputs(SCHEME).unwrap_or_else(|error| {
            log::warn!("rest: inputs of account `{}` are not tried: {error}", admin_text(&self.name));
            BTreeMap::new()
        });
        let streams = targets(&self.name, &access, inputs)?;
        Ok((access, settings, streams))
    }
}

/// A thread for one trial.
fn begin(what: &dyn Display, trial: impl FnOnce() + Send + 'static) {
    if let Err(error) = thread::Builder::new().name("api".to_owned()).spawn(trial) {
        log::warn!("rest: {what} is not tried: {error}");
    }
}

fn try_api(account: Account, settings: &Settings, api: Api, tell: &Sender<News>) {
    let client = settings.http(EXCHANGE).map_err(Error::from).and_then(|http| Ok(account.client(&http, api)?));
    let mut client = match client {
        Ok(client) => client,
        Err(error) => return drop(tell.send(News::Token(api, Err(Fault::of(&error))))),
    };
    let roles = client.roles();
    let resource = roles.as_ref().ok().and_then(|roles| worth_asking(api, roles));
    let token = roles.map_err(|error| Fault::of(&Error::Token(error)));
    if tell.send(News::Token(api, token)).is_err() {
        return;
    }
    if let Some(resource) = resource {
        let call = call(&mut client, resource).map_err(|error| Fault::of(&error));
        let _ = tell.send(News::Call(api, resource, call));
    }
}

/// Which of an API's resources to read: one the token has a permission for, else the first; its refusal counts more than what
/// the token seems to say.
fn worth_asking(api: Api, roles: &Roles) -> Option<Resource> {
    let readable: Vec<_> = needs(api).into_iter().filter(|need| need.access == query::Access::Read).collect();
    let met = match roles {
        Roles::Told(roles) => readable.iter().find(|need| need.is_met_by(roles)),
        Roles::Opaque => None,
    };
    met.or(readable.first()).map(|need| need.resource)
}

/// One row at most, of the last hour.
fn call(client: &mut Client, resource: Resource) -> Result<(), Error> {
    let list = List {
        resource,
        lo: Ticks::now().minus(TRIAL).floor_ms(),
        hi: None,
        extra_filter: None,
        order: Order::AsServed,
        top: 1,
        skip: 0,
        expand: Expand::Nothing,
    };
    let path = list.path_and_query();
    let reply = client.get(&path)?;
    page::check(&reply.body).map_err(|reason| CollectError::Page { path, reason })?;
    Ok(())
}

/// Host and port of a base URL.
pub(super) fn host(base: &str) -> String {
    let authority = base.split_once("://").map_or(base, |(_, rest)| rest);
    authority.split('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_form_names_an_account_and_nothing_else() {
        assert_eq!(account(&form(&[("account", "corp"), ("output_mode", "json")])), Ok("corp"));
        let long = "a".repeat(5000);
        for (pairs, part) in [
            (&[][..], "send account=<name>, once"),
            (&[("account", "a"), ("account", "b")], "once"),
            (&[("account", "")], "parameter account: "),
            (&[("account", "a b")], "letters, digits, _ and - only"),
            (&[("account", "../storage")], "letters, digits"),
            (&[("account", long.as_str())], "too long"),
            (&[("account", "a"), ("url", "https://evil.example")], "`url` is not a field here"),
            (&[("client_secret", "s3cr3t")], "`client_secret` is not a field here"),
            (&[(long.as_str(), "a")], "is not a field here"),
        ] {
            let pairs = form(pairs);
            let fault = account(&pairs).unwrap_err();
            assert!(fault.contains(part) && fault.len() < 400, "{pairs:?}: {fault}");
            assert!(!fault.contains("s3cr3t") && !fault.contains("evil"), "{fault}");
        }
    }

    #[test]
    fn whose_fault_an_error_is() {
        let name = || "corp".to_owned();
        let object = || "x".to_owned();
        let table = [
            (Error::Account(AccountError::Missing { name: name() }), 404),
            (Error::Account(AccountError::NoSecret { name: name(), secret: "client_secret" }), 400),
            (Error::Account(AccountError::Unusable { name: name(), reason: object() }), 400),
            (Error::Http(HttpError::Setup(object())), 400),
            (Error::Splunkd(RestError::Forbidden { object: object(), remedy: object() }), 403),
            (Error::Account(AccountError::Splunkd(RestError::SessionEnded { object: object() })), 403),
            (Error::Splunkd(RestError::Busy { object: object() }), 500),
            (Error::Splunkd(RestError::Setup(object())), 500),
        ];
        for (error, expected) in table {
            assert_eq!(status(&error), expected, "{error}");
        }
    }

    #[test]
    fn what_is_worth_asking() {
        let told = |name: &str| Roles::Told([name.to_owned()].into());
        for (api, roles, expected) in [
            (Api::Graph, told("SecurityAlert.ReadWrite.All"), Resource::GraphAlerts),
            (Api::Graph, told("SecurityIncident.Read.All"), Resource::GraphIncidents),
            (Api::Graph, told("Mail.Read"), Resource::GraphIncidents),
            (Api::Graph, Roles::Opaque, Resource::GraphIncidents),
            (Api::Endpoint, Roles::Opaque, Resource::EndpointAlerts),
        ] {
            assert_eq!(worth_asking(api, &roles), Some(expected), "{roles:?}");
        }
    }

    #[test]
    fn hosts() {
        for (base, expected) in
            [("https://graph.microsoft.com", "graph.microsoft.com"), ("http://127.0.0.1:81/x/y", "127.0.0.1:81")]
        {
            assert_eq!(host(base), expected);
        }
    }

    #[test]
    fn silence_is_an_answer_too() {
        let (tell, told) = mpsc::channel();
        let answer = gather("corp", &told, Duration::ZERO);
        assert_eq!(answer.status, 500);
        let finding = |api| Finding { api, host: "h".to_owned(), token: None, call: None };
        tell.send(News::Begun(Api::ALL.map(finding).into(), Vec::new())).unwrap();
        tell.send(News::Token(Api::Graph, Ok(Roles::Told([].into())))).unwrap();
        let answer = gather("corp", &told, Duration::from_millis(1));
        assert_eq!(answer.status, 200);
        let apis = answer.payload["apis"].as_array().unwrap();
        assert_eq!(apis[0]["token"]["ok"], true);
        assert_eq!(apis[0]["call"]["ok"], false);
        for api in &apis[1..] {
            assert_eq!(api["token"]["ok"], false);
            assert!(api["token"]["error"].as_str().unwrap().starts_with("no answer within"), "{api}");
            assert!(api.get("call").is_none(), "{api}");
        }
    }
}
