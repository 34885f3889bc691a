//! Persistent REST handlers: the `[script:…]` stanzas of an app's `restmap.conf` with `scripttype = persist` and a driver of
//! the app's own. The driver is started once, gets requests over its standard input, and is started again when it died.
//!
//! A handler asks splunkd while it works, so nothing of the world may be held while one is waited for: `admit` needs the
//! world, `Handlers::run` does not.

mod endpoint;
mod process;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::answers::message;
use super::{User, user_of};
use crate::faults::{self, FaultKind, Route};
use crate::json::Json;
use crate::model::World;
use crate::object;
use crate::time::Time;
use crate::wire::{Request, Response, Service};
use endpoint::Endpoint;
use process::{Lost, Process};

/// The handlers of an app, and their processes.
pub struct Handlers {
    endpoints: Vec<Endpoint>,
    bin: PathBuf,
    home: PathBuf,
    rest_uri: String,
    limit: Duration,
    /// Processes without a request, by the driver's command line: endpoints with the same one share them.
    idle: Mutex<BTreeMap<Vec<String>, Vec<Process>>>,
    log: Arc<Mutex<Vec<u8>>>,
}

/// Where handlers are found and what they are told.
pub struct Setup<'a> {
    /// The app's `restmap.conf`.
    pub restmap: &'a Path,
    /// The app's `bin`, where drivers are looked up.
    pub bin: &'a Path,
    /// `$SPLUNK_HOME` of the processes; the rest of their environment is empty.
    pub home: &'a Path,
    /// Where splunkd listens.
    pub rest_uri: &'a str,
    /// How long a request may take.
    pub limit: Duration,
}

/// A request that a handler is to answer, and who makes it.
pub(crate) struct Admitted {
    user: User,
    fault: Option<FaultKind>,
}

impl Handlers {
    /// Reads which handlers there are. Starts none yet.
    pub fn new(setup: &Setup<'_>) -> io::Result<Self> {
        let endpoints = endpoint::read(&std::fs::read_to_string(setup.restmap)?).map_err(io::Error::other)?;
        Ok(Handlers {
            endpoints,
            bin: setup.bin.to_path_buf(),
            home: setup.home.to_path_buf(),
            rest_uri: setup.rest_uri.to_string(),
            limit: setup.limit,
            idle: Mutex::default(),
            log: Arc::default(),
        })
    }

    /// What the processes wrote to standard error so far; splunkd puts it into splunkd.log.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&lock(&self.log)).into_owned()
    }

    /// The ids of the processes that wait for a request.
    pub fn processes(&self) -> Vec<u32> {
        let mut idle = lock(&self.idle);
        idle.values_mut().flatten().filter_map(|process| (!process.is_over()).then(|| process.id())).collect()
    }

    /// The handler that a path belongs to.
    pub(crate) fn find(&self, request: &Request) -> Option<&Endpoint> {
        let path = below_namespace(request)?.1;
        self.endpoints.iter().find(|endpoint| endpoint.covers(&path))
    }

    /// Lets a process answer a request.
    pub(crate) fn run(&self, endpoint: &Endpoint, admitted: &Admitted, request: &Request, now: Time) -> Response {
        let failed = |text: String| message(request, 500, "ERROR", &text);
        let asked = self.request(endpoint, &admitted.user, request);
        let mut process = match self.process(endpoint) {
            Ok(process) => process,
            Err(error) => return failed(format!("cannot start the driver {} of {}: {error}", endpoint.driver, endpoint.name)),
        };
        let answered = process.ask(&endpoint.command(), &endpoint.param, &asked, self.limit);
        let reply = match answered {
            Ok(reply) => {
                lock(&self.idle).entry(endpoint.driver_line()).or_default().push(process);
                reply
            }
            // The process ends with its value: whatever else it would say belongs to no request.
            Err(Lost::Refused(text)) => return failed(format!("the driver of {} refuses the script: {text}", endpoint.name)),
            Err(Lost::TimedOut) => return failed(format!("the driver of {} gave no answer in time", endpoint.name)),
            Err(Lost::Ended) => return failed(format!("the driver of {} ended without an answer", endpoint.name)),
            Err(Lost::Garbled) => return failed(format!("the driver of {} sent what is no reply", endpoint.name)),
        };
        let Some(response) = read(&reply) else {
            return failed(format!("the driver of {} sent what is no answer", endpoint.name));
        };
        match &admitted.fault {
            Some(kind) => faults::bend(kind, response, request, now),
            None => response,
        }
    }

    /// One that waits, or a new one.
    fn process(&self, endpoint: &Endpoint) -> io::Result<Process> {
        let mut idle = lock(&self.idle);
        let waiting = idle.entry(endpoint.driver_line()).or_default();
        waiting.retain_mut(|process| !process.is_over());
        match waiting.pop() {
            Some(process) => Ok(process),
            None => Process::start(&self.bin.join(&endpoint.driver), &endpoint.driver_args, &self.home, &self.log),
        }
    }

    /// The request as JSON.
    fn request(&self, endpoint: &Endpoint, user: &User, request: &Request) -> String {
        let (namespace, path) = below_namespace(request).unwrap_or_default();
        let pairs = |pairs: Vec<(String, String)>| {
            Json::List(pairs.into_iter().map(|(name, value)| Json::List(vec![name.into(), value.into()])).collect())
        };
        let mode = request.query_value("output_mode");
        let key = request.credential("Splunk").or_else(|| request.credential("Bearer")).unwrap_or_default();
        let mut described = object! {
            "output_mode" => mode.as_deref().unwrap_or("xml"),
            "output_mode_explicit" => mode.is_some(),
            "server" => object! {
                "rest_uri" => self.rest_uri.as_str(), "hostname" => "splunk.example.com", "servername" => "splunk.example.com",
                "guid" => "6A1DB7C1-6A15-4E5F-9F34-2F8C2A2C4E11",
            },
            "restmap" => object! { "name" => endpoint.name.as_str(), "conf" => endpoint.conf() },
            "query" => pairs(request.query_pairs()),
            "connection" => object! { "src_ip" => "127.0.0.1", "ssl" => self.rest_uri.starts_with("https"), "listening_port" => 8089 },
            "rest_path" => path.as_str(),
            "lang" => "en-US",
            "method" => request.method.as_str(),
        };
        if let Some(info) = endpoint.info(&path) {
            described = described.with(object! { "path_info" => info });
        }
        if let Some((user, app)) = namespace {
            described = described.with(object! { "ns" => object! { "user" => user, "app" => app } });
        }
        if request.content_type() == "application/x-www-form-urlencoded" {
            described = described.with(object! { "form" => pairs(request.form()) });
        }
        if endpoint.passes_session {
            described = described.with(object! { "session" => object! { "user" => user.name.as_str(), "authtoken" => key } });
        }
        described.render()
    }
}

/// Whether somebody may have this request answered by a handler: who it is, and which capability that needs.
pub(crate) fn admit(world: &mut World, endpoint: &Endpoint, request: &Request, now: Time) -> Result<Admitted, Response> {
    let fault = world.faults.strike(Route::SplunkHandler, request);
    if let Some(replaced) = fault.as_ref().and_then(|kind| faults::replace(kind, Service::Splunkd, request, now)) {
        return Err(replaced);
    }
    let user = user_of(&world.splunkd, request)?;
    match endpoint.capability(&request.method) {
        Some(needed) if !user.capabilities.contains(needed) => {
            let text = format!(
                "You (user={}) do not have permission to perform this operation (requires capability: {needed}).",
                user.name
            );
            Err(message(request, 403, "ERROR", &text))
        }
        _ => Ok(Admitted { user, fault }),
    }
}

/// The namespace, where one is named, and the path below it.
fn below_namespace(request: &Request) -> Option<(Option<(String, String)>, String)> {
    let segments = request.segments();
    let path = |rest: &[String]| format!("/{}", rest.join("/"));
    match &segments[..] {
        [services, rest @ ..] if services == "services" => Some((None, path(rest))),
        [services, user, app, rest @ ..] if services == "servicesNS" => Some((Some((user.clone(), app.clone())), path(rest))),
        _ => None,
    }
}

/// The reply `{"status":…,"payload":…,"headers":{…}}`; an object is written as JSON, a text goes out as it is.
fn read(reply: &str) -> Option<Response> {
    let reply: Value = serde_json::from_str(reply).ok()?;
    let status = reply.get("status").map_or(Some(200), |status| u16::try_from(status.as_u64()?).ok())?;
    let mut response = match reply.get("payload")? {
        Value::String(text) => Response::new(status, "text/plain; charset=utf-8", text.as_str()),
        payload @ (Value::Object(_) | Value::Array(_)) => {
            Response::new(status, "application/json; charset=UTF-8", payload.to_string())
        }
        _ => return None,
    };
    for (name, value) in reply.get("headers").and_then(Value::as_object).into_iter().flatten() {
        response.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        response = response.header(name, value.as_str()?);
    }
    Some(response)
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
