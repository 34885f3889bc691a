//! The set of objects the services hold, and how they change. No clock, no I/O: time is an argument.

mod alert;
mod behaviour;
mod incident;
pub mod spelling;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use alert::{Account, Alert, Comment, Device};
pub use behaviour::{Behaviour, Determinations, Links, MissingRole, Order, OrderBy, Pairs, Stamps, Ties, Transfer};
pub use incident::Incident;

use crate::entra::Entra;
use crate::faults::Faults;
use crate::preload::Preload;
use crate::samples::Samples;
use crate::splunkd::Splunkd;
use crate::storage::Storage;
use crate::throttle::Throttle;
use crate::time::Time;
use crate::traffic::Traffic;

/// Update times the services write sit on 1/300 s, which is why many rows can share one.
const UPDATE_TICK: i64 = 33_333;

/// A state that becomes visible later than it is dated.
#[derive(Clone, Debug)]
pub enum Pending {
    /// An alert appears, or takes this state.
    Alert(Box<Alert>),
    /// An incident appears, or takes this state.
    Incident(Box<Incident>),
}

/// Everything the stand-ins know.
#[derive(Clone, Debug)]
pub struct World {
    alerts: BTreeMap<String, Alert>,
    incidents: BTreeMap<u64, Incident>,
    by_incident: BTreeMap<u64, BTreeSet<String>>,
    pending: Vec<(Time, Pending)>,
    serial: u64,
    /// Requests with `$orderby` seen so far, for [`OrderBy::RefusedEvery`].
    pub(crate) orderby_seen: u64,
    /// What the services are strict or kind about.
    pub behaviour: Behaviour,
    /// Seconds by which the services' clock, behind sockets, is ahead of the machine's.
    pub clock_ahead: i64,
    /// Tenants, applications, tokens.
    pub entra: Entra,
    /// Confs, secrets, collections.
    pub splunkd: Splunkd,
    /// Requests allowed per minute and hour.
    pub throttle: Throttle,
    /// Faults that wait for their request.
    pub faults: Faults,
    /// What was asked and answered.
    pub traffic: Traffic,
    /// Files served in place of the objects.
    pub samples: Samples,
    /// Pages that Graph serves in place of everything else.
    pub preload: Option<Arc<Preload>>,
    /// Containers and blobs of the storage account.
    pub storage: Storage,
}

impl World {
    /// A world without objects, tenants or accounts.
    pub fn empty() -> Self {
        World {
            alerts: BTreeMap::new(),
            incidents: BTreeMap::new(),
            by_incident: BTreeMap::new(),
            pending: Vec::new(),
            serial: 0,
            orderby_seen: 0,
            behaviour: Behaviour::default(),
            clock_ahead: 0,
            entra: Entra::default(),
            splunkd: Splunkd::default(),
            throttle: Throttle::default(),
            faults: Faults::default(),
            traffic: Traffic::default(),
            samples: Samples::default(),
            preload: None,
            storage: Storage::default(),
        }
    }

    /// All alerts that are visible.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values()
    }

    /// All incidents that are visible.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values()
    }

    /// One alert.
    pub fn alert(&self, id: &str) -> Option<&Alert> {
        self.alerts.get(id)
    }

    /// One incident.
    pub fn incident(&self, id: u64) -> Option<&Incident> {
        self.incidents.get(&id)
    }

    /// The alerts of an incident, by id.
    pub fn alerts_of(&self, incident: u64) -> impl Iterator<Item = &Alert> {
        self.by_incident.get(&incident).into_iter().flatten().filter_map(|id| self.alerts.get(id))
    }

    /// Adds an alert, or replaces it, as it stands: its update time is the caller's.
    pub fn put_alert(&mut self, alert: Alert) {
        if let Some(old) = self.alerts.get(&alert.id).and_then(|old| old.incident) {
            self.by_incident.entry(old).or_default().remove(&alert.id);
        }
        if let Some(incident) = alert.incident {
            self.by_incident.entry(incident).or_default().insert(alert.id.clone());
        }
        self.alerts.insert(alert.id.clone(), alert);
    }

    /// Adds an incident, or replaces it, as it stands.
    pub fn put_incident(&mut self, incident: Incident) {
        self.incidents.insert(incident.id, incident);
    }

    /// Removes an alert, as retention does.
    pub fn remove_alert(&mut self, id: &str) {
        if let Some(incident) = self.alerts.remove(id).and_then(|alert| alert.incident) {
            self.by_incident.entry(incident).or_default().remove(id);
        }
    }

    /// Removes an incident; its alerts stay.
    pub fn remove_incident(&mut self, id: u64) {
        self.incidents.remove(&id);
    }

    /// Changes an alert and dates the change. False when there is no such alert.
    pub fn change_alert(&mut self, id: &str, now: Time, change: impl FnOnce(&mut Alert)) -> bool {
        let Some(mut alert) = self.alerts.get(id).cloned() else {
            return false;
        };
        change(&mut alert);
        alert.updated = next_update(alert.updated, now);
        self.put_alert(alert);
        true
    }

    /// Changes an incident and dates the change. False when there is no such incident.
    pub fn change_incident(&mut self, id: u64, now: Time, change: impl FnOnce(&mut Incident)) -> bool {
        let Some(incident) = self.incidents.get_mut(&id) else {
            return false;
        };
        change(incident);
        incident.updated = next_update(incident.updated, now);
        true
    }

    /// Merges one incident into another: its alerts and tags move, it is closed and says where it went.
    pub fn merge(&mut self, from: u64, into: u64, now: Time) {
        let moving: Vec<_> = self.alerts_of(from).map(|alert| alert.id.clone()).collect();
        for id in moving {
            self.change_alert(&id, now, |alert| alert.incident = Some(into));
        }
        let tags = self.incidents.get(&from).map(|incident| incident.custom_tags.clone()).unwrap_or_default();
        self.change_incident(from, now, |incident| {
            incident.redirect = Some(into);
            incident.status = spelling::IncidentStatus::Redirected;
            incident.custom_tags.push("Redirected".to_string());
        });
        self.change_incident(into, now, |incident| incident.custom_tags.extend(tags));
    }

    /// Lets a state appear later than it is dated: what a service does whose index lags.
    pub fn show_later(&mut self, visible: Time, state: Pending) {
        self.pending.push((visible, state));
    }

    /// Shows those of the waiting states at once, oldest first.
    pub(crate) fn reveal(&mut self, which: impl Fn(&Pending) -> bool) {
        for (visible, state) in std::mem::take(&mut self.pending) {
            match state {
                state if !which(&state) => self.pending.push((visible, state)),
                Pending::Alert(alert) => self.put_alert(*alert),
                Pending::Incident(incident) => self.put_incident(*incident),
            }
        }
    }

    /// Shows what has become visible by now. Every answer begins with this.
    pub fn settle(&mut self, now: Time) {
        if self.pending.iter().all(|(visible, _)| *visible > now) {
            return;
        }
        let (mut due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pending).into_iter().partition(|(visible, _)| *visible <= now);
        self.pending = later;
        due.sort_by_key(|(visible, _)| *visible);
        for (_, state) in due {
            match state {
                Pending::Alert(alert) => self.put_alert(*alert),
                Pending::Incident(incident) => self.put_incident(*incident),
            }
        }
    }

    /// A number that is new with every call: request ids, changing order of ties.
    pub fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// The number given out last.
    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }
}

/// The date of a change: on the tick, and later than the date before it.
fn next_update(before: Time, now: Time) -> Time {
    let stamped = now.floor(UPDATE_TICK);
    if stamped > before { stamped } else { Time(before.0 + UPDATE_TICK) }
}
