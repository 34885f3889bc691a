//! Alerts and incidents from a seed: the same seed and time give the same objects, byte for byte.

mod evidence;
mod objects;
pub mod records;
mod words;

use std::time::Duration;

pub use evidence::KINDS as EVIDENCE_KINDS;

use crate::chance::Chance;
use crate::model::spelling::{AlertStatus, Classification, Determination, IncidentStatus};
use crate::model::{Alert, World};
use crate::time::Time;

/// An incident of this many alerts is part of every set that has room for it.
const LARGE_INCIDENT: usize = 110;

/// From here on an alert takes title, device, account and evidence from an earlier one: a set of 200,000 fits into memory.
const DISTINCT: usize = 2000;

/// Fills a world: so many incidents and alerts, dated from `span` ago until `now`.
///
/// Over the set there are all kinds of evidence, merged incidents, one incident of more than a hundred alerts (from 220
/// alerts on), several objects on one time stamp, times with 0 to 7 digits of fraction, and integers above 2^53.
pub fn fill(world: &mut World, seed: u64, incidents: usize, alerts: usize, now: Time, span: Duration) {
    let mut chance = Chance::new(seed);
    let start = now.minus(span);
    let mut times = Times { start, now, last: start };
    let first = 28_000 + chance.below(900_000);
    let ids: Vec<u64> = (0..incidents as u64).map(|number| first + number * 3 + chance.below(3)).collect();
    for (at, id) in ids.iter().enumerate() {
        let mut incident = objects::incident(&mut chance, *id, &mut times);
        // Two in twelve were merged into the one before them, so that one of them has to be followed twice.
        if merged(at) {
            incident.redirect = Some(ids[at - 1]);
            incident.status = IncidentStatus::Redirected;
            incident.custom_tags.push("Redirected".to_string());
        }
        if at % 20 == 13 {
            incident.status = IncidentStatus::AwaitingAction;
        }
        world.put_incident(incident);
    }
    let open: Vec<u64> = ids.iter().enumerate().filter(|(at, _)| !merged(*at)).map(|(_, id)| *id).collect();
    let mut patterns: Vec<Alert> = Vec::new();
    for number in 0..alerts {
        let incident = match open.len() {
            0 => None,
            _ if number < open.len() => Some(open[number]),
            _ if alerts >= 2 * LARGE_INCIDENT && number < open.len() + LARGE_INCIDENT => Some(open[0]),
            _ => Some(*chance.pick(&open)),
        };
        let like = (number >= DISTINCT).then(|| chance.pick(&patterns));
        let alert = objects::alert(&mut chance, number, alerts, incident, &mut times, like);
        if number < DISTINCT {
            patterns.push(alert.clone());
        }
        if let Some(mut owner) = incident.and_then(|id| world.incident(id)).cloned() {
            // An incident is as bad as its worst alert, and changed when an alert joined it.
            owner.severity = owner.severity.max(alert.severity);
            owner.created = owner.created.min(alert.created);
            owner.updated = owner.updated.max(alert.created);
            world.put_incident(owner);
        }
        world.put_alert(alert);
    }
}

/// Whether the incident at this place was merged into the one before it.
fn merged(at: usize) -> bool {
    matches!(at % 12, 7 | 8)
}

/// Makes a new alert now, as time goes by: in an incident that is open, or without one.
pub fn arrive(world: &mut World, chance: &mut Chance, now: Time) -> String {
    let open: Vec<u64> = world.incidents().filter(|incident| incident.redirect.is_none()).map(|incident| incident.id).collect();
    let incident = (!open.is_empty()).then(|| *chance.pick(&open));
    let mut times = Times { start: now.minus(Duration::from_secs(1)), now, last: now };
    let number = chance.below(EVIDENCE_KINDS.len() as u64) as usize;
    let mut alert = objects::alert(chance, number, EVIDENCE_KINDS.len(), incident, &mut times, None);
    (alert.created, alert.updated, alert.resolved) = (now, now, None);
    (alert.status, alert.classification, alert.determination) =
        (AlertStatus::New, Classification::Unknown, Determination::Unknown);
    let id = alert.id.clone();
    world.put_alert(alert);
    if let Some(incident) = incident {
        world.change_incident(incident, now, |_| {});
    }
    id
}

/// Where times come from.
struct Times {
    start: Time,
    now: Time,
    last: Time,
}

impl Times {
    /// A time in the span; one in six is the one before it again. Precision differs as it does in the wild: most have
    /// seven digits, some fewer, some none.
    fn next(&mut self, chance: &mut Chance) -> Time {
        if chance.percent(16) && self.last > self.start {
            return self.last;
        }
        let at = Time(self.start.0 + chance.below((self.now.0 - self.start.0).max(1) as u64) as i64);
        self.last = match chance.below(100) {
            0..=11 => at.floor(10_000_000),
            12..=15 => at.floor(1_000_000),
            16..=19 => at.floor(100_000),
            20..=22 => at.floor(10_000),
            23..=25 => at.floor(1_000),
            26..=39 => at.floor(10),
            40..=69 => at.floor(33_333),
            _ => at,
        };
        self.last
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::json::Json;

    fn world(seed: u64) -> World {
        let mut world = World::empty();
        fill(&mut world, seed, 30, 300, Time::from_unix(1_800_000_000), Duration::from_secs(30 * 86_400));
        world
    }

    #[test]
    fn the_same_seed_gives_the_same_objects() {
        let (one, two, other) = (world(7), world(7), world(8));
        assert!(one.alerts().eq(two.alerts()) && one.incidents().eq(two.incidents()));
        assert!(!one.alerts().eq(other.alerts()));
        assert_eq!((one.alerts().count(), one.incidents().count()), (300, 30));
    }

    #[test]
    fn every_hazard_of_the_data_occurs() {
        let world = world(3);
        let kinds: BTreeSet<_> = world
            .alerts()
            .flat_map(|alert| alert.evidence.iter())
            .filter_map(|item| item.text_of("@odata.type").map(str::to_string))
            .collect();
        assert_eq!(kinds.len(), 48, "{kinds:?}");
        let digits: BTreeSet<_> =
            world.alerts().map(|alert| alert.updated.to_string().split_once('.').map_or(0, |(_, rest)| rest.len() - 1)).collect();
        assert_eq!(digits, (0..=7).collect());
        let times: BTreeSet<_> = world.alerts().map(|alert| alert.updated).collect();
        assert!(times.len() < 290, "ties: {}", times.len());
        assert!(world.incidents().any(|incident| world.alerts_of(incident.id).count() > 100));
        let target = |id: u64| world.incident(id).and_then(|incident| incident.redirect);
        assert!(world.incidents().any(|incident| target(incident.id).and_then(target).is_some()), "a chain of merges");
        let text: String = world.alerts().flat_map(|alert| alert.evidence.iter()).map(Json::render).collect();
        assert!(text.contains("90071992547409"), "integers above 2^53");
        assert!(!text.is_ascii());
    }

    #[test]
    fn few_alerts_still_hold_every_kind_of_evidence() {
        let mut world = World::empty();
        fill(&mut world, 1, 2, 5, Time::from_unix(1_800_000_000), Duration::from_secs(1000));
        let kinds: BTreeSet<_> = world
            .alerts()
            .flat_map(|alert| alert.evidence.iter())
            .filter_map(|item| item.text_of("@odata.type").map(str::to_string))
            .collect();
        assert_eq!(kinds.len(), 48);
    }
}
