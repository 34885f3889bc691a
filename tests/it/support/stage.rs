//! The stand-ins for Microsoft and splunkd, and inputs that run against them.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;
use simulator::entra::Resource;
use simulator::{Config, Fault, FaultKind, Request, Route, Service, Simulator, When, accounts};

use super::{Definition, Ended, Program, Running, Stanza};

/// One of the four lists there are: a feed through an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    GraphIncidents,
    GraphAlerts,
    XdrIncidents,
    EndpointAlerts,
}

impl List {
    pub(crate) const ALL: [Self; 4] = [Self::GraphIncidents, Self::GraphAlerts, Self::XdrIncidents, Self::EndpointAlerts];

    /// The parameters that choose it.
    pub(crate) fn feed_and_api(self) -> (&'static str, &'static str) {
        match self {
            Self::GraphIncidents => ("incidents", "graph"),
            Self::GraphAlerts => ("alerts", "graph"),
            Self::XdrIncidents => ("incidents", "defender"),
            Self::EndpointAlerts => ("alerts", "defender"),
        }
    }

    /// What the log calls the service.
    pub(crate) fn service_name(self) -> &'static str {
        match self {
            Self::GraphIncidents | Self::GraphAlerts => "Microsoft Graph",
            Self::XdrIncidents => "Microsoft 365 Defender API",
            Self::EndpointAlerts => "Defender for Endpoint API",
        }
    }

    /// The application permission to read it, and the heading it stands under in Entra's portal.
    pub(crate) fn permission(self) -> (&'static str, &'static str) {
        match self {
            Self::GraphIncidents => ("SecurityIncident.Read.All", "Microsoft Graph"),
            Self::GraphAlerts => ("SecurityAlert.Read.All", "Microsoft Graph"),
            Self::XdrIncidents => ("Incident.Read.All", "Microsoft Threat Protection"),
            Self::EndpointAlerts => ("Alert.Read.All", "WindowsDefenderATP"),
        }
    }

    /// The path of the list.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::GraphIncidents => "/v1.0/security/incidents",
            Self::GraphAlerts => "/v1.0/security/alerts_v2",
            Self::XdrIncidents => "/api/incidents",
            Self::EndpointAlerts => "/api/alerts",
        }
    }

    /// Its requests at the stand-in.
    pub(crate) fn route(self) -> Route {
        match self {
            Self::GraphIncidents => Route::GraphIncidents,
            Self::GraphAlerts => Route::GraphAlerts,
            Self::XdrIncidents => Route::XdrIncidents,
            Self::EndpointAlerts => Route::MdeAlerts,
        }
    }

    /// What a token for it is for.
    pub(crate) fn resource(self) -> Resource {
        match self {
            Self::GraphIncidents | Self::GraphAlerts => Resource::Graph,
            Self::XdrIncidents => Resource::Defender,
            Self::EndpointAlerts => Resource::Endpoint,
        }
    }

    /// The names of the id and of the update time of its objects.
    pub(crate) fn identity(self) -> (&'static str, &'static str) {
        match self {
            Self::GraphIncidents | Self::GraphAlerts => ("id", "lastUpdateDateTime"),
            Self::XdrIncidents => ("incidentId", "lastUpdateTime"),
            Self::EndpointAlerts => ("id", "lastUpdateTime"),
        }
    }

    /// The same of the alerts inside, where its objects are incidents.
    pub(crate) fn inner_identity(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::GraphIncidents => Some(("id", "lastUpdateDateTime")),
            Self::XdrIncidents => Some(("alertId", "lastUpdatedTime")),
            Self::GraphAlerts | Self::EndpointAlerts => None,
        }
    }

    fn service(self) -> Service {
        match self {
            Self::GraphIncidents | Self::GraphAlerts => Service::Graph,
            Self::XdrIncidents | Self::EndpointAlerts => Service::Defender,
        }
    }

    fn options(self) -> &'static str {
        match self {
            Self::GraphIncidents => "$top=50&$expand=alerts",
            Self::GraphAlerts => "$top=1000",
            Self::XdrIncidents => "$top=100",
            Self::EndpointAlerts => "$top=10000&$expand=evidence",
        }
    }
}

/// One object as the service has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) id: String,
    pub(crate) updated: String,
    pub(crate) text: String,
}

impl Object {
    /// Reads an object's text.
    pub(crate) fn read(text: &str, (id, updated): (&str, &str)) -> Self {
        let json: Value = serde_json::from_str(text).unwrap();
        let plain = |name: &str| match &json[name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Self { id: plain(id), updated: plain(updated), text: text.to_owned() }
    }

    /// Its time as `<time>` has it.
    pub(crate) fn time(&self) -> String {
        epoch_millis(&self.updated)
    }

    /// The objects in its `alerts`.
    pub(crate) fn alerts(&self, list: List) -> Vec<Object> {
        let identity = list.inner_identity().unwrap();
        let members: std::collections::BTreeMap<&str, &RawValue> = serde_json::from_str(&self.text).unwrap();
        let alerts: Vec<&RawValue> = serde_json::from_str(members["alerts"].get()).unwrap();
        alerts.iter().map(|raw| Object::read(raw.get(), identity)).collect()
    }
}

/// A service's time stamp as splunkd wants it.
pub(crate) fn epoch_millis(stamp: &str) -> String {
    let ticks = simulator::Time::parse(stamp).unwrap_or_else(|| panic!("not a time: {stamp}")).0;
    format!("{}.{:03}", ticks.div_euclid(10_000_000), ticks.rem_euclid(10_000_000) / 10_000)
}

/// Stand-ins that run.
pub(crate) struct Stage {
    pub(crate) sim: Simulator,
}

impl Stage {
    /// With a few objects of the last two days: little history, so that a run needs few requests.
    pub(crate) fn new() -> Self {
        Self::with(Self::config())
    }

    /// What [`Stage::new`] starts with.
    pub(crate) fn config() -> Config {
        Config { incidents: 12, alerts: 40, span: Duration::from_secs(2 * 86_400), ..Config::default() }
    }

    pub(crate) fn with(config: Config) -> Self {
        Self { sim: Simulator::start(config) }
    }

    /// The objects of a list as the service would serve them now, in no order that matters.
    pub(crate) fn objects(&self, list: List) -> Vec<Object> {
        let now = self.sim.now();
        let mut world = self.sim.world(|world| world.clone());
        let token = world.entra.issue(accounts::TENANT, accounts::CLIENT_ID, list.resource(), now).unwrap();
        world.faults.clear();
        let request = Request::get(&format!("{}?{}", list.path(), list.options())).bearer(&token);
        // Without it Graph hides newer values of its enumerations.
        let request = request.header("prefer", "include-unknown-enum-members");
        let answer = simulator::answer(&mut world, list.service(), &request, now);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = answer.text();
        let page: std::collections::BTreeMap<&str, &RawValue> = serde_json::from_str(&text).unwrap();
        assert!(!page.contains_key("@odata.nextLink"), "more objects than one page");
        let rows: Vec<&RawValue> = serde_json::from_str(page["value"].get()).unwrap();
        rows.iter().map(|raw| Object::read(raw.get(), list.identity())).collect()
    }

    /// An input of the account that works, reading three days back.
    pub(crate) fn input(&self, list: List) -> Input<'_> {
        let (feed, api) = list.feed_and_api();
        let mut stanza = Stanza::new("test");
        for (name, value) in [("feed", feed), ("api", api), ("account", accounts::ACCOUNT), ("start", "3d")] {
            stanza.set(name, value);
        }
        Input {
            stage: self,
            stanza,
            server_uri: self.sim.splunkd_url().to_owned(),
            session_key: self.sim.session_key().to_owned(),
            checkpoint_dir: self.sim.checkpoint_dir(),
        }
    }

    /// Sets a value of a conf file.
    pub(crate) fn conf(&self, file: &str, stanza: &str, name: &str, value: &str) {
        self.sim.world(|world| world.splunkd.set_conf(file, stanza, &[(name, value)]));
    }

    /// Sets a value of the account that works.
    pub(crate) fn account(&self, name: &str, value: &str) {
        self.conf("defender_account", accounts::ACCOUNT, name, value);
    }

    /// Stores a secret of the account that works.
    pub(crate) fn secret(&self, name: &str, value: &str) {
        let username = format!("{}.{name}", accounts::ACCOUNT);
        self.sim.world(|world| world.splunkd.set_password("defender_account", &username, value));
    }

    /// Lets the log say more.
    pub(crate) fn debug(&self) {
        self.conf("defender_settings", "logging", "level", "DEBUG");
    }

    /// Changes an object of a list, which dates the change.
    pub(crate) fn change(&self, list: List, id: &str) {
        let now = self.sim.now();
        let changed = self.sim.world(|world| match list.inner_identity() {
            Some(_) => world.change_incident(id.parse().unwrap(), now, |incident| incident.custom_tags.push("seen".to_owned())),
            None => world.change_alert(id, now, |alert| alert.assigned_to = Some("analyst@contoso.com".to_owned())),
        });
        assert!(changed, "there is no {id}");
    }

    /// Sets a fault.
    pub(crate) fn fault(&self, route: Route, when: When, kind: FaultKind) {
        self.sim.faults().push(Fault::new(route, when, kind));
    }

    /// How often a kind of request was made.
    pub(crate) fn asked(&self, route: Route) -> usize {
        self.sim.requests().iter().filter(|exchange| exchange.route == route).count()
    }
}

/// An input under test.
#[derive(Clone)]
pub(crate) struct Input<'a> {
    stage: &'a Stage,
    pub(crate) stanza: Stanza,
    server_uri: String,
    session_key: String,
    checkpoint_dir: PathBuf,
}

impl Input<'_> {
    /// Sets a parameter.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.stanza.set(name, value);
        self
    }

    /// Lets it read all there is with its first request: what is not older than the look back is no history.
    pub(crate) fn at_once(self) -> Self {
        self.set("lookback", "4d")
    }

    /// Gives it another name.
    pub(crate) fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.stanza.name);
        self
    }

    /// Leaves out the app it belongs to, as some tools do.
    pub(crate) fn without_app(mut self) -> Self {
        self.stanza.app = None;
        self
    }

    /// Runs as the owner of another session.
    pub(crate) fn session_key(mut self, key: &str) -> Self {
        key.clone_into(&mut self.session_key);
        self
    }

    /// Finds splunkd somewhere else.
    pub(crate) fn server_uri(mut self, uri: &str) -> Self {
        uri.clone_into(&mut self.server_uri);
        self
    }

    /// Keeps its position somewhere else.
    pub(crate) fn checkpoint_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.checkpoint_dir = path.into();
        self
    }

    /// Where its position is kept.
    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.checkpoint_dir.join(format!("{}.json", self.stanza.name))
    }

    /// The position as it is kept.
    pub(crate) fn position(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.checkpoint()).unwrap()).unwrap()
    }

    /// The run splunkd would start, before it starts.
    pub(crate) fn program(&self) -> Program {
        let document = self.definition().input(std::slice::from_ref(&self.stanza));
        self.around(Program::new(&[])).input_held_open(document)
    }

    /// Runs it once.
    pub(crate) fn run(&self) -> Ended {
        self.program().run()
    }

    /// Starts it.
    pub(crate) fn start(&self) -> Running {
        self.program().start()
    }

    /// Has it checked as the form does that saves it.
    pub(crate) fn validate(&self) -> Ended {
        let document = self.definition().items(&self.stanza);
        self.around(Program::new(&["--validate-arguments"])).input_held_open(document).run()
    }

    fn around(&self, program: Program) -> Program {
        program.env("SPLUNK_HOME", self.stage.sim.splunk_home().to_str().unwrap())
    }

    fn definition(&self) -> Definition<'_> {
        Definition { server_uri: &self.server_uri, session_key: &self.session_key, checkpoint_dir: &self.checkpoint_dir }
    }
}
