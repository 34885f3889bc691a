//! A caller's view of a world, in-process.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use simulator::entra::Resource;
use simulator::model::{Alert, Incident};
use simulator::throttle::Limits;
use simulator::wire::percent_encode;
use simulator::{Request, Response, Service, Time, World, accounts, generate};

/// A fixed "now": 2027-01-15T08:00:00Z.
pub(crate) const NOW: Time = Time::from_unix(1_800_000_000);

pub(crate) struct Desk {
    pub(crate) world: World,
    pub(crate) now: Time,
}

impl Desk {
    /// Nothing but the demo account.
    pub(crate) fn empty() -> Self {
        let mut world = World::empty();
        accounts::furnish(&mut world, None, None);
        world.throttle.limits = Limits::Off;
        Desk { world, now: NOW }
    }

    /// A set of generated objects.
    pub(crate) fn furnished(incidents: usize, alerts: usize) -> Self {
        let mut desk = Self::empty();
        generate::fill(&mut desk.world, 11, incidents, alerts, NOW, Duration::from_secs(20 * 86_400));
        desk
    }

    /// So many plain alerts in one incident (7), one second apart, the last one now.
    pub(crate) fn alerts(count: i64) -> Self {
        let mut desk = Self::empty();
        desk.world.put_incident(Incident::plain(7, Time::from_unix(NOW.unix() - count)));
        for number in 0..count {
            let at = Time::from_unix(NOW.unix() - count + 1 + number);
            desk.world.put_alert(Alert::plain(&format!("da{number:04}_1"), Some(7), at));
        }
        desk
    }

    /// So many plain incidents from 1 on, one second apart, the last one now.
    pub(crate) fn incidents(count: i64) -> Self {
        let mut desk = Self::empty();
        for number in 0..count {
            desk.world.put_incident(Incident::plain(number as u64 + 1, Time::from_unix(NOW.unix() - count + 1 + number)));
        }
        desk
    }

    pub(crate) fn token(&mut self, resource: Resource) -> String {
        self.world.entra.issue(accounts::TENANT, accounts::CLIENT_ID, resource, self.now).unwrap()
    }

    pub(crate) fn ask(&mut self, service: Service, request: &Request) -> Response {
        simulator::answer(&mut self.world, service, request, self.now)
    }

    /// Sends a request with the right token and reads the answer as JSON.
    pub(crate) fn call(&mut self, request: Request) -> (u16, Value) {
        let (service, resource) = match request.path.as_str() {
            path if path.starts_with("/v1.0/") => (Service::Graph, Resource::Graph),
            path if path.starts_with("/api/alerts") => (Service::Defender, Resource::Endpoint),
            _ => (Service::Defender, Resource::Defender),
        };
        let token = self.token(resource);
        let response = self.ask(service, &request.bearer(&token));
        (response.status, serde_json::from_slice(&response.body).unwrap_or(Value::Null))
    }

    /// `GET` of a path with options that are encoded here.
    pub(crate) fn get(&mut self, path: &str, options: &[(&str, &str)]) -> (u16, Value) {
        self.call(Request::get(&target(path, options)))
    }

    /// The ids of a list.
    pub(crate) fn ids(&mut self, path: &str, options: &[(&str, &str)]) -> Vec<String> {
        let (status, page) = self.get(path, options);
        assert_eq!(status, 200, "{page}");
        ids(&page)
    }

    /// A request with a JSON body.
    pub(crate) fn send(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.call(Request::new(method, path).body("application/json", body.to_string()))
    }
}

pub(crate) fn target(path: &str, options: &[(&str, &str)]) -> String {
    let query: Vec<_> = options.iter().map(|(name, value)| format!("{name}={}", percent_encode(value))).collect();
    if query.is_empty() { path.to_string() } else { format!("{path}?{}", query.join("&")) }
}

pub(crate) fn ids(page: &Value) -> Vec<String> {
    let id = |row: &Value| match (&row["id"], &row["incidentId"]) {
        (Value::String(id), _) => id.clone(),
        (_, id) => id.to_string(),
    };
    page["value"].as_array().unwrap().iter().map(id).collect()
}

/// A file beside the repository; `None`, with the reason on stderr, where it is absent. CI has it.
pub(crate) fn shared(path: &str) -> Option<String> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = std::env::var_os("TA_DEFENDER_SHARED").map_or(beside, PathBuf::from);
    match std::fs::read_to_string(folder.join(path)) {
        Ok(text) => Some(text),
        Err(error) if std::env::var_os("CI").is_some() => panic!("{}: {error}", folder.join(path).display()),
        Err(error) => {
            // The harness shows this with --nocapture.
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("skipped: {}: {error}\n", folder.join(path).display()).as_bytes(),
            );
            None
        }
    }
}

/// The same, as JSON.
pub(crate) fn sample(path: &str) -> Option<Value> {
    shared(&format!("fixtures/msapi/{path}")).map(|text| serde_json::from_str(&text).unwrap())
}
