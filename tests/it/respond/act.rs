//! An alert action as splunkd starts it, and the objects it is to change.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};
use simulator::accounts;
use simulator::model::spelling::{AlertStatus, Classification, Determination, IncidentStatus};

use crate::support::{Ended, List, Program, Running, Stage};

/// The search that the actions of the tests belong to.
pub(crate) const SEARCH: &str = "Close what is known";
pub(crate) const SID: &str = "scheduler__ann__search__RMD5_at_1_2";

/// What splunkd calls the action that changes the objects of a list.
pub(crate) fn action_of(list: List) -> &'static str {
    match list {
        List::GraphIncidents | List::XdrIncidents => "defender_incident_update",
        List::GraphAlerts | List::EndpointAlerts => "defender_alert_update",
    }
}

/// A run of an action that is being prepared.
#[derive(Clone)]
pub(crate) struct Act<'a> {
    stage: &'a Stage,
    list: List,
    configuration: Map<String, Value>,
    payload: Map<String, Value>,
    home: Option<PathBuf>,
}

impl<'a> Act<'a> {
    /// For the account that works, without a row.
    pub(crate) fn new(stage: &'a Stage, list: List) -> Self {
        let configuration = json!({"account": accounts::ACCOUNT, "api": list.feed_and_api().1, "id_field": "id", "dry_run": "0", "index": "main"});
        let payload = json!({
            "app": "search",
            "owner": "ann",
            "results_link": "http://splunk.example.com:8000/app/search/@go?sid=1",
            "search_uri": "/servicesNS/ann/search/saved/searches/x",
            "server_host": "splunk.example.com",
            "server_uri": stage.sim.splunkd_url(),
            "session_key": stage.sim.session_key(),
            "sid": SID,
            "search_name": SEARCH,
        });
        let object = |value: Value| value.as_object().unwrap().clone();
        let home = Some(stage.sim.splunk_home());
        Self { stage, list, configuration: object(configuration), payload: object(payload), home }
    }

    /// Sets a parameter.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.configuration.insert(name.to_owned(), value.into());
        self
    }

    /// Sets a member of the payload.
    pub(crate) fn payload(mut self, name: &str, value: Value) -> Self {
        self.payload.insert(name.to_owned(), value);
        self
    }

    /// Runs without `SPLUNK_HOME`, or with another.
    pub(crate) fn home(mut self, home: Option<PathBuf>) -> Self {
        self.home = home;
        self
    }

    /// One row of the payload itself, and no file.
    pub(crate) fn result(self, row: Value) -> Self {
        self.payload("result", row)
    }

    /// The results: CSV text, packed as splunkd packs it.
    pub(crate) fn csv(self, text: &str) -> Self {
        self.file(&gzip(text.as_bytes()))
    }

    /// A row for each id, and nothing else in it.
    pub(crate) fn ids<I: AsRef<str>>(self, ids: &[I]) -> Self {
        let rows: String = ids.iter().map(|id| format!("{}\n", id.as_ref())).collect();
        self.csv(&format!("id\n{rows}"))
    }

    /// The bytes of a results file.
    pub(crate) fn file(self, bytes: &[u8]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = self.stage.sim.splunk_home().join(format!("var/run/splunk/dispatch/results{number}.csv.gz"));
        std::fs::write(&path, bytes).unwrap();
        self.results_file(&path)
    }

    /// The path of the results, whether there is such a file or not.
    pub(crate) fn results_file(self, path: &Path) -> Self {
        let path = path.to_str().unwrap().into();
        self.payload("results_file", path)
    }

    /// Runs it to its end.
    pub(crate) fn run(&self) -> Ended {
        self.start().end()
    }

    /// Starts it.
    pub(crate) fn start(&self) -> Running {
        self.program().input(self.text()).start()
    }

    /// Starts it, and never ends its standard input.
    pub(crate) fn start_held_open(&self) -> Running {
        self.program().input_held_open(self.text()).start()
    }

    /// The program with its arguments.
    pub(crate) fn program(&self) -> Program {
        let program = Program::new(&["--execute", action_of(self.list)]);
        match &self.home {
            Some(home) => program.env("SPLUNK_HOME", home.to_str().unwrap()),
            None => program,
        }
    }

    /// The payload.
    pub(crate) fn text(&self) -> String {
        let mut payload = self.payload.clone();
        payload.insert("configuration".to_owned(), Value::Object(self.configuration.clone()));
        Value::Object(payload).to_string()
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What of an object the actions can change, in Graph's spelling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) status: String,
    pub(crate) assigned_to: Option<String>,
    pub(crate) classification: String,
    pub(crate) determination: String,
    /// Without the line by which the program knows its own comments.
    pub(crate) comments: Vec<String>,
    pub(crate) tags: Vec<String>,
}

impl State {
    /// Of an object nobody has looked at.
    pub(crate) fn fresh(list: List) -> Self {
        let status = if list.inner_identity().is_some() { "active" } else { "new" };
        let text = str::to_owned;
        Self { status: text(status), classification: text("unknown"), determination: text("unknown"), ..Self::default() }
    }
}

impl Stage {
    /// So many objects of a list, as new and untouched as on their first day.
    pub(crate) fn fresh(&self, list: List, number: usize) -> Vec<String> {
        let now = self.sim.now();
        self.sim.world(|world| {
            if list.inner_identity().is_some() {
                let ids: Vec<u64> = world.incidents().map(|incident| incident.id).take(number).collect();
                for id in &ids {
                    world.change_incident(*id, now, |incident| {
                        incident.status = IncidentStatus::Active;
                        incident.assigned_to = None;
                        incident.classification = Classification::Unknown;
                        incident.determination = Determination::Unknown;
                        incident.redirect = None;
                        incident.comments.clear();
                        incident.custom_tags.clear();
                    });
                }
                assert_eq!(ids.len(), number);
                return ids.iter().map(u64::to_string).collect();
            }
            let ids: Vec<String> =
                world.alerts().filter(|alert| alert.is_endpoint()).map(|alert| alert.id.clone()).take(number).collect();
            for id in &ids {
                world.change_alert(id, now, |alert| {
                    alert.status = AlertStatus::New;
                    alert.assigned_to = None;
                    alert.classification = Classification::Unknown;
                    alert.determination = Determination::Unknown;
                    alert.comments.clear();
                });
            }
            assert_eq!(ids.len(), number);
            ids
        })
    }

    /// Makes an alert as new as [`Stage::fresh`] does.
    pub(crate) fn reset(&self, list: List, id: &str) {
        let now = self.sim.now();
        assert!(list.inner_identity().is_none(), "an alert");
        self.sim.world(|world| {
            world.change_alert(id, now, |alert| {
                alert.status = AlertStatus::New;
                alert.comments.clear();
            })
        });
    }

    /// An object's state now.
    pub(crate) fn state(&self, list: List, id: &str) -> State {
        let told = |comments: &[simulator::model::Comment]| comments.iter().map(|comment| bare(&comment.text)).collect();
        self.sim.world(|world| {
            if list.inner_identity().is_some() {
                let incident = world.incident(id.parse().unwrap()).unwrap();
                return State {
                    status: incident.status.graph().to_owned(),
                    assigned_to: incident.assigned_to.clone(),
                    classification: incident.classification.graph().to_owned(),
                    determination: incident.determination.graph().to_owned(),
                    comments: told(&incident.comments),
                    tags: incident.custom_tags.clone(),
                };
            }
            let alert = world.alert(id).unwrap();
            State {
                status: alert.status.graph().to_owned(),
                assigned_to: alert.assigned_to.clone(),
                classification: alert.classification.graph().to_owned(),
                determination: alert.determination.graph().to_owned(),
                comments: told(&alert.comments),
                tags: Vec::new(),
            }
        })
    }

    /// An object's comments, whole.
    pub(crate) fn comments(&self, list: List, id: &str) -> Vec<String> {
        let texts = |comments: &[simulator::model::Comment]| comments.iter().map(|comment| comment.text.clone()).collect();
        self.sim.world(|world| match list.inner_identity() {
            Some(_) => texts(&world.incident(id.parse().unwrap()).unwrap().comments),
            None => texts(&world.alert(id).unwrap().comments),
        })
    }

    /// The requests that change something, as method and path.
    pub(crate) fn changes(&self) -> Vec<String> {
        let exchanges = self.sim.requests();
        let changing = exchanges.iter().filter(|exchange| {
            matches!(exchange.service, simulator::Service::Graph | simulator::Service::Defender)
                && exchange.request.method != "GET"
                && !exchange.request.path.ends_with("/$batch")
        });
        changing.map(|exchange| format!("{} {}", exchange.request.method, exchange.request.path)).collect()
    }
}

/// A comment as a person wrote it.
fn bare(text: &str) -> String {
    match text.rsplit_once('\n') {
        Some((text, mark)) if mark.starts_with("[Splunk ") => text.to_owned(),
        _ => text.to_owned(),
    }
}
