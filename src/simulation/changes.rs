//! How the set of objects changes while it is read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use simulator::Time;
use simulator::chance::Chance;
use simulator::model::{Alert, Behaviour, Incident, Links, Order, OrderBy, Pending, Stamps, Ties, World};

use super::hazards::Hazards;
use crate::microsoft::cloud::{Api, Resource};

/// What a seed makes of the service, and how lively its objects are.
#[derive(Debug)]
pub(super) struct Changes {
    /// How late an object may become visible; what the input is told.
    pub(super) lookback: Duration,
    /// Mean time between changes.
    pace: Duration,
    next: Time,
    serial: u64,
    /// Objects with a state that is dated and not visible yet; nothing else happens to them meanwhile.
    busy: BTreeMap<String, Time>,
    /// States that become visible later than the look-back: no poll but the late look has to find them.
    pub(super) late: BTreeSet<(String, Time)>,
    page: u64,
    /// Objects dated in the future when they were made.
    futures: Vec<(String, Time)>,
    /// While the service stands still, and while it catches up.
    standstill: Option<Standstill>,
    /// Incidents are read: alerts change together with them.
    incidents: bool,
}

impl Changes {
    pub(super) fn new(chance: &mut Chance, now: Time, incidents: bool, page: u32, lookback: Duration) -> Self {
        let pace = Duration::from_secs(2 + chance.below(60));
        Self {
            lookback,
            pace,
            next: now,
            serial: 0,
            busy: BTreeMap::new(),
            late: BTreeSet::new(),
            page: u64::from(page),
            futures: Vec::new(),
            standstill: None,
            incidents,
        }
    }

    /// From now on nothing new is shown for a while. Then it comes, the oldest first, in a tenth of the time. An object dated in
    /// the future that is read for the first time when that time has come looks as if the service had shown so much; so all
    /// those have to be `known` as what they are.
    pub(super) fn stand_still(
        &mut self,
        chance: &mut Chance,
        now: Time,
        known: impl Fn(&str, Time) -> bool,
        hazards: &mut Hazards,
    ) {
        let length = Duration::from_secs(60 + chance.below(3_000));
        let (ends, caught_up) = (now.plus(length), now.plus(length + length / 10));
        let misleads = |(id, at): &(String, Time)| now < *at && *at < caught_up && !known(id, *at);
        if self.standstill.is_none() && !self.futures.iter().any(misleads) {
            hazards.met("service stood still");
            if self.futures.iter().any(|(_, at)| now < *at && *at < ends) {
                hazards.met("service stood still when the time of a future object came");
            }
            self.standstill = Some(Standstill { begun: now, ends, caught_up });
        }
    }

    /// Whether the time of an object that was dated in the future comes within the hour.
    pub(super) fn is_future_near(&self, now: Time) -> bool {
        self.futures.iter().any(|(_, at)| now < *at && *at < now.plus(Duration::from_secs(3_600)))
    }

    /// Lets everything happen that is due.
    pub(super) fn advance(&mut self, world: &mut World, chance: &mut Chance, now: Time, hazards: &mut Hazards) -> u32 {
        let mut happened = 0;
        while self.next <= now {
            let at = self.next;
            self.busy.retain(|_, until| *until > at);
            world.settle(at);
            self.one(world, chance, at, hazards);
            happened += 1;
            let pace = u64::try_from(self.pace.as_millis()).unwrap_or(1);
            // Often in bursts: several changes while one answer is under way.
            let gap = if chance.percent(30) { 300 } else { 2 * pace };
            self.next = at.plus(Duration::from_millis(1 + chance.below(gap)));
        }
        world.settle(now);
        happened
    }

    fn one(&mut self, world: &mut World, chance: &mut Chance, now: Time, hazards: &mut Hazards) {
        self.standstill = self.standstill.filter(|standstill| now < standstill.caught_up);
        match (chance.below(20), self.incidents) {
            // All else would show at once.
            (10.., _) if self.standstill.is_some() => {}
            (0..5, false) => self.create_alert(world, chance, now, hazards),
            (5..14, false) => self.change_alert(world, chance, now, hazards),
            (0..5, true) => self.create_incident(world, chance, now, hazards),
            (5..10, true) => self.change_incident(world, chance, now, hazards),
            (10..13, true) => self.change_alert_of_incident(world, chance, now, hazards),
            (13, true) => merge(world, chance, now, &self.busy, hazards),
            (14, _) => self.remove(world, chance, hazards),
            (15, _) => self.tie(world, chance, now, hazards),
            (16, _) if self.futures.len() < 3 && chance.percent(20) => self.future(world, chance, now, hazards),
            _ => {}
        }
    }

    fn id(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// A time at or a little before `now`, with as many digits as the service happens to write. Far less than the
    /// look-back is lost to rounding, so that a late object stays within it.
    fn stamp(&self, chance: &mut Chance, now: Time, after: Option<Time>, hazards: &mut Hazards) -> Time {
        let digits = *chance.pick(&[0, 1, 2, 3, 3, 5, 6, 7, 7, 7]);
        // The clock here moves in milliseconds, the services' does not.
        let exact = Time(now.0 - i64::try_from(chance.below(10_000)).unwrap_or(0));
        let stamped = exact.floor(10_i64.pow(7 - digits));
        let stamped = if after.is_some_and(|after| stamped <= after) { now } else { stamped };
        hazards.met(match fraction_digits(stamped) {
            0 => "time with 0 digits",
            7 => "time with 7 digits",
            _ => "time with 1-6 digits",
        });
        stamped
    }

    /// When a state dated `stamped` becomes visible: at once, or late, but within the look-back.
    fn late(&mut self, chance: &mut Chance, id: &str, stamped: Time, now: Time, hazards: &mut Hazards) -> Option<Time> {
        if let Some(standstill) = self.standstill {
            hazards.met("came when the service caught up");
            let visible = standstill.shows(stamped);
            self.busy.insert(id.to_owned(), visible);
            return Some(visible);
        }
        if !chance.percent(25) {
            return None;
        }
        if chance.percent(8) {
            hazards.met("visible later than the look-back");
            self.late.insert((id.to_owned(), stamped));
            let visible = now.plus(2 * self.lookback + Duration::from_secs(chance.below(600)));
            self.busy.insert(id.to_owned(), visible);
            return Some(visible);
        }
        let most = u64::try_from(self.lookback.as_millis()).unwrap_or(0);
        let visible = stamped.plus(Duration::from_millis(chance.below(most)));
        if visible <= now {
            return None;
        }
        hazards.met("visible late");
        self.busy.insert(id.to_owned(), visible);
        Some(visible)
    }

    fn create_alert(&mut self, world: &mut World, chance: &mut Chance, now: Time, hazards: &mut Hazards) {
        hazards.met("alert created");
        let id = format!("da{:06}_1", self.id());
        let mut alert = Alert::plain(&id, None, now);
        alert.updated = self.stamp(chance, now, None, hazards);
        match self.late(chance, &id, alert.updated, now, hazards) {
            Some(visible) => world.show_later(visible, Pending::Alert(Box::new(alert))),
            None => world.put_alert(alert),
        }
    }

    fn change_alert(&mut self, world: &mut World, chance: &mut Chance, now: Time, hazards: &mut Hazards) {
        let Some(mut alert) =
            pick(world.alerts(), chance, |alert| !self.busy.contains_key(&alert.id) && alert.updated < now).cloned()
        else {
            return;
        };
        hazards.met("alert changed");
        alert.assigned_to = Some(format!("analyst{}@contoso.com", chance.below(9)));
        alert.updated = self.stamp(chance, now, Some(alert.updated), hazards);
        match self.late(chance, &alert.id.clone(), alert.updated, now, hazards) {
            Some(visible) => world.show_later(visible, Pending::Alert(Box::new(alert))),
            None => world.put_alert(alert),
        }
    }

    fn create_incident(&mut self, world: &mut World, chance: &mut Chance, now: Time, hazards: &mut Hazards) {
        hazards.met("incident created");
        let id = self.id();
        let mut incident = Incident::plain(id, now);
        incident.updated = self.stamp(chance, now, None, hazards);
        for n in 0..chance.below(4) {
            hazards.met("alert created");
            world.put_alert(Alert::plain(&format!("da{id:06}_{n}"), Some(id), now));
        }
        match self.late(chance, &id.to_string(), incident.updated, now, hazards) {
            Some(visible) => world.show_later(visible, Pending::Incident(Box::new(incident))),
            None => world.put_incident(incident),
        }
    }

    fn change_incident(&mut self, world: &mut World, chance: &mut Chance, now: Time, hazards: &mut Hazards) {
        let free = |incident: &Incident| !self.busy.contains_key(&incident.id.to_string()) && incident.updated < now;
        let Some(mut incident) = pick(world.incidents(), chance, free).cloned() else { return };
        hazards.met("incident changed");
        incident.assigned_to = Some(format!("analyst{}@contoso.com", chance.below(9)));
        incident.updated = self.stamp(chance, now, Some(incident.updated), hazards);
        match self.late(chance, &incident.id.to_string(), incident.updated, now, hazards) {
            Some(visible) => world.show_later(visible, Pending::Incident(Box::new(incident))),
            None => world.put_incident(incident),
        }
    }

    /// An alert of an incident changes, and dates the incident: otherwise a reader of incidents could not know.
    fn change_alert_of_incident(&mut self, world: &mut World, chance: &mut Chance, now: Time, hazards: &mut Hazards) {
        let free = |incident: &Incident| !self.busy.contains_key(&incident.id.to_string()) && incident.updated < now;
        let Some(id) = pick(world.incidents(), chance, free).map(|incident| incident.id) else { return };
        let alerts: Vec<String> = world.alerts_of(id).filter(|alert| alert.updated < now).map(|alert| alert.id.clone()).collect();
        if alerts.is_empty() {
            return;
        }
        hazards.met("alert changed");
        let alert = chance.pick(&alerts).clone();
        world.change_alert(&alert, now, |alert| alert.assigned_to = Some("somebody@contoso.com".to_owned()));
        world.change_incident(id, now, |_| {});
    }

    /// Removes this object, unless something of it is on its way.
    pub(super) fn remove_one(&self, world: &mut World, id: &str, hazards: &mut Hazards) {
        if self.busy.contains_key(id) {
            return;
        }
        hazards.met("row removed before the next page was asked for");
        match id.parse().ok().filter(|_| self.incidents) {
            Some(incident) => world.remove_incident(incident),
            None => world.remove_alert(id),
        };
    }

    fn remove(&mut self, world: &mut World, chance: &mut Chance, hazards: &mut Hazards) {
        if self.incidents {
            let free = |incident: &Incident| !self.busy.contains_key(&incident.id.to_string());
            if let Some(id) = pick(world.incidents(), chance, free).map(|incident| incident.id) {
                hazards.met("object removed");
                world.remove_incident(id);
            }
        } else if let Some(id) =
            pick(world.alerts(), chance, |alert| !self.busy.contains_key(&alert.id)).map(|alert| alert.id.clone())
        {
            hazards.met("object removed");
            world.remove_alert(&id);
        }
    }

    /// Several objects with one time: what a bulk operation leaves.
    fn tie(&mut self, world: &mut World, chance: &mut Chance, now: Time, hazards: &mut Hazards) {
        // Rows that come in another order each time and fill more than a page can be read by nobody.
        let stable = world.behaviour.ties == Ties::Stable && world.behaviour.order != Order::Shuffled;
        let many = if stable && chance.percent(30) {
            self.page + 1 + chance.below(2 * self.page)
        } else {
            2 + chance.below(self.page - 1)
        };
        hazards.met("tie of several objects");
        if many > self.page {
            hazards.met("tie of more objects than a page");
        }
        let stamped = self.stamp(chance, now, None, hazards);
        for _ in 0..many {
            let id = self.id();
            if self.incidents {
                let mut incident = Incident::plain(id, now);
                incident.updated = stamped;
                world.put_incident(incident);
            } else {
                let mut alert = Alert::plain(&format!("da{id:06}_1"), None, now);
                alert.updated = stamped;
                world.put_alert(alert);
            }
        }
    }

    fn future(&mut self, world: &mut World, chance: &mut Chance, now: Time, hazards: &mut Hazards) {
        hazards.met("object dated in the future");
        let id = self.id();
        let most = *chance.pick(&[600, 2_000, 1_000_000]);
        let updated = now.plus(Duration::from_secs(60 + chance.below(most)));
        if self.incidents {
            let mut incident = Incident::plain(id, now);
            incident.updated = updated;
            self.futures.push((id.to_string(), updated));
            world.put_incident(incident);
        } else {
            let mut alert = Alert::plain(&format!("da{id:06}_1"), None, now);
            alert.updated = updated;
            self.futures.push((alert.id.clone(), updated));
            world.put_alert(alert);
        }
    }

    /// Nothing happens until then.
    pub(super) fn sleep(&mut self, until: Time) {
        self.next = self.next.max(until);
    }

    /// No state is on its way any more.
    pub(super) fn rest(&mut self, now: Time) {
        self.next = Time(i64::MAX);
        self.busy.retain(|_, until| *until > now);
    }
}

/// A service that stands still as a whole: what is dated meanwhile shows when it catches up.
#[derive(Clone, Copy, Debug)]
struct Standstill {
    begun: Time,
    ends: Time,
    caught_up: Time,
}

impl Standstill {
    /// When a state of that time shows.
    fn shows(&self, stamped: Time) -> Time {
        let since = u64::try_from((stamped.0 - self.begun.0).max(0)).unwrap_or(0);
        self.caught_up.min(self.ends.plus(Duration::from_nanos(since * 10)))
    }
}

/// Digits after the second, trailing zeros dropped.
fn fraction_digits(at: Time) -> u32 {
    (0..7).find(|digits| at.0 % 10_i64.pow(7 - digits) == 0).unwrap_or(7)
}

fn pick<'a, T: 'a>(all: impl Iterator<Item = &'a T>, chance: &mut Chance, free: impl Fn(&T) -> bool) -> Option<&'a T> {
    let all: Vec<&T> = all.filter(|one| free(one)).collect();
    if all.is_empty() { None } else { Some(all[usize::try_from(chance.below(all.len() as u64)).unwrap_or(0)]) }
}

fn merge(world: &mut World, chance: &mut Chance, now: Time, busy: &BTreeMap<String, Time>, hazards: &mut Hazards) {
    let free = |incident: &Incident| {
        !busy.contains_key(&incident.id.to_string()) && incident.redirect.is_none() && incident.updated < now
    };
    let from = pick(world.incidents(), chance, free).map(|incident| incident.id);
    let into =
        pick(world.incidents(), chance, |incident| free(incident) && Some(incident.id) != from).map(|incident| incident.id);
    if let (Some(from), Some(into)) = (from, into) {
        hazards.met("incidents merged");
        let moving: Vec<Alert> = world.alerts_of(from).cloned().collect();
        world.merge(from, into, now);
        if chance.percent(50) {
            for alert in moving {
                hazards.met("moved to another incident without a change");
                world.put_alert(Alert { incident: Some(into), ..alert });
            }
        }
    }
}

/// What the service of this seed is like.
pub(super) fn behaviour(resource: Resource, chance: &mut Chance, hazards: &mut Hazards) -> Behaviour {
    let (order, name) = *chance.pick(&[
        (Order::NewestFirst, "order: newest first"),
        (Order::NewestFirst, "order: newest first"),
        (Order::OldestFirst, "order: oldest first"),
        (Order::CreatedFirst, "order: by creation"),
        (Order::Shuffled, "order: none"),
    ]);
    hazards.met(name);
    let orderby = match chance.below(8) {
        0 => {
            hazards.met("orderby refused");
            OrderBy::Refused
        }
        1 => {
            hazards.met("orderby refused sometimes");
            OrderBy::RefusedEvery(2 + chance.below(4))
        }
        // In another order, two or three rows would often rise by chance, which no reader can tell from an order.
        2 if order == Order::NewestFirst => {
            hazards.met("orderby ignored");
            OrderBy::Ignored
        }
        _ => OrderBy::Accepted,
    };
    let ties = if chance.percent(20) {
        hazards.met("ties in another order each time");
        Ties::Shuffled
    } else {
        Ties::Stable
    };
    let links = if chance.percent(30) { Links::Missing } else { Links::Own };
    let stable = ties == Ties::Stable && order != Order::Shuffled;
    // Fewer rows than asked are the end of the set where no next link is ever given; nobody can read such a service.
    let short_pages = (chance.percent(18) && resource.api() == Api::Graph && links == Links::Own && stable).then_some(2);
    // In ascending order a page proves itself; where there is none, what is behind it has to be looked at.
    let orderby = if short_pages.is_some() && chance.percent(80) { OrderBy::Refused } else { orderby };
    Behaviour { order, orderby, ties, links, short_pages, stamps: Stamps::Incident, ..Behaviour::default() }
}
