//! What must have come out, and what may come out twice.

use std::collections::{BTreeMap, BTreeSet};

use simulator::Time;
use simulator::model::{Alert, World};

use crate::feeds::IncludeAlerts;
use crate::microsoft::cloud::Resource;

/// One version of one object, as an event shows it: sourcetype, id, update time.
pub(super) type Shown = (&'static str, String, Time);

pub(super) const ALERT: &str = "ms:defender:atp:alerts";
pub(super) const INCIDENT: &str = "ms365:defender:incident";
pub(super) const ALERT_OF_INCIDENT: &str = "ms365:defender:incident:alerts";

/// Counts what comes out, and knows what a kill allows to come again.
#[derive(Debug, Default)]
pub(super) struct Judge {
    out: BTreeMap<Shown, u32>,
    /// Taken by splunkd since the last save: what a kill now would repeat.
    unsaved: Vec<Shown>,
    may_repeat: BTreeMap<Shown, u32>,
    /// Alerts come with every version of their incident.
    all_alerts: bool,
    pub(super) kills: u32,
    complaint: Option<String>,
}

impl Judge {
    pub(super) fn new(include_alerts: IncludeAlerts) -> Self {
        Self { all_alerts: include_alerts == IncludeAlerts::All, ..Self::default() }
    }

    /// splunkd took an event.
    pub(super) fn taken(&mut self, shown: Shown) {
        let times = self.out.entry(shown.clone()).or_default();
        *times += 1;
        if *times > 1 && !(self.all_alerts && shown.0 == ALERT_OF_INCIDENT) {
            let allowed = self.may_repeat.entry(shown.clone()).or_default();
            if *allowed == 0 {
                self.complaint.get_or_insert_with(|| format!("came twice without a kill: {shown:?}"));
            } else {
                *allowed -= 1;
            }
        }
        self.unsaved.push(shown);
    }

    /// Whether this version came out and the position that covers it was saved.
    pub(super) fn is_settled(&self, id: &str, at: Time) -> bool {
        let is_it = |shown: &&Shown| shown.1 == id && shown.2 == at;
        self.out.keys().any(|shown| is_it(&shown))
            && !self.unsaved.iter().any(|shown| is_it(&shown))
            && !self.may_repeat.iter().any(|(shown, times)| *times > 0 && is_it(&shown))
    }

    pub(super) fn saved(&mut self) {
        self.unsaved.clear();
    }

    /// At most one answer comes again: what was taken since the last save.
    pub(super) fn killed(&mut self) {
        self.kills += 1;
        for shown in self.unsaved.drain(..) {
            *self.may_repeat.entry(shown).or_default() += 1;
        }
    }

    /// Complains about any version of `wanted` that never came out.
    pub(super) fn want(&mut self, wanted: &BTreeSet<Shown>, why: &str) {
        if let Some(lost) = wanted.iter().find(|shown| !self.out.contains_key(*shown)) {
            self.complaint.get_or_insert_with(|| format!("lost, {why}: {lost:?}"));
        }
    }

    pub(super) fn verdict(&mut self) -> Result<(), String> {
        self.complaint.take().map_or(Ok(()), Err)
    }
}

/// An alert as its events show it: moved to another incident it is another one.
pub(super) fn placed(alert: &str, incident: Option<&str>) -> String {
    incident.map_or_else(|| alert.to_owned(), |incident| format!("{alert} of {incident}"))
}

/// An alert of the service as its events show it.
pub(super) fn alert_shown(alert: &Alert) -> String {
    placed(&alert.id, alert.incident.map(|incident| incident.to_string()).as_deref())
}

/// The versions that a reader of `resource` can see now, from `start` on.
pub(super) fn visible(world: &World, resource: Resource, include_alerts: IncludeAlerts, start: Time) -> BTreeSet<Shown> {
    let mut all = BTreeSet::new();
    match resource {
        Resource::GraphAlerts | Resource::EndpointAlerts => {
            let served = world.alerts().filter(|alert| resource == Resource::GraphAlerts || alert.is_endpoint());
            all.extend(served.map(|alert| (ALERT, alert_shown(alert), alert.updated)));
        }
        Resource::GraphIncidents | Resource::XdrIncidents => {
            for incident in world.incidents().filter(|incident| incident.updated >= start) {
                all.insert((INCIDENT, incident.id.to_string(), incident.updated));
                if include_alerts != IncludeAlerts::None {
                    let alerts = world.alerts_of(incident.id);
                    all.extend(alerts.map(|alert| (ALERT_OF_INCIDENT, alert_shown(alert), alert.updated)));
                }
            }
            return all;
        }
    }
    all.retain(|(_, _, updated)| *updated >= start);
    all
}
