//! Alerts and incidents from a seed: the same seed and time give the same objects, byte for byte.

mod evidence;
mod words;

use std::time::Duration;

pub use evidence::KINDS as EVIDENCE_KINDS;
use evidence::Scene;

use crate::chance::Chance;
use crate::json::Json;
use crate::model::spelling::{
    AlertStatus, Classification, Determination, IncidentStatus, Severity,
};
use crate::model::{Account, Alert, Comment, Device, Incident, World};
use crate::object;
use crate::time::Time;

/// An incident of this many alerts is part of every set that has room for it.
const LARGE_INCIDENT: usize = 110;

/// Fills a world: so many incidents and alerts, dated from `span` ago until `now`.
///
/// Over the set there are all kinds of evidence, merged incidents, one incident of more than a hundred alerts (from 220
/// alerts on), several objects on one time stamp, times with 0 to 7 digits of fraction, and integers above 2^53.
pub fn fill(
    world: &mut World,
    seed: u64,
    incidents: usize,
    alerts: usize,
    now: Time,
    span: Duration,
) {
    let mut chance = Chance::new(seed);
    let start = now.minus(span);
    let mut times = Times {
        start,
        now,
        last: start,
    };
    let first = 28_000 + chance.below(900_000);
    let ids: Vec<u64> = (0..incidents as u64)
        .map(|number| first + number * 3 + chance.below(3))
        .collect();
    for (at, id) in ids.iter().enumerate() {
        let mut incident = incident(&mut chance, *id, &mut times);
        // One in twelve was merged into the one before it, which is never itself merged away here.
        if at % 12 == 7 {
            incident.redirect = Some(ids[at - 1]);
            incident.status = IncidentStatus::Redirected;
            incident.custom_tags.push("Redirected".to_string());
        }
        if at % 20 == 13 {
            incident.status = IncidentStatus::AwaitingAction;
        }
        world.put_incident(incident);
    }
    let open: Vec<u64> = ids
        .iter()
        .enumerate()
        .filter(|(at, _)| at % 12 != 7)
        .map(|(_, id)| *id)
        .collect();
    for number in 0..alerts {
        let incident = match open.len() {
            0 => None,
            _ if number < open.len() => Some(open[number]),
            _ if alerts >= 2 * LARGE_INCIDENT && number < open.len() + LARGE_INCIDENT => {
                Some(open[0])
            }
            _ => Some(*chance.pick(&open)),
        };
        let alert = alert(&mut chance, number, alerts, incident, &mut times);
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

/// Makes a new alert now, as time goes by: in an incident that is open, or without one.
pub fn arrive(world: &mut World, chance: &mut Chance, now: Time) -> String {
    let open: Vec<u64> = world
        .incidents()
        .filter(|incident| incident.redirect.is_none())
        .map(|incident| incident.id)
        .collect();
    let incident = (!open.is_empty()).then(|| *chance.pick(&open));
    let mut times = Times {
        start: now.minus(Duration::from_secs(1)),
        now,
        last: now,
    };
    let number = chance.below(EVIDENCE_KINDS.len() as u64) as usize;
    let mut alert = alert(chance, number, EVIDENCE_KINDS.len(), incident, &mut times);
    (alert.created, alert.updated, alert.resolved) = (now, now, None);
    (alert.status, alert.classification, alert.determination) = (
        AlertStatus::New,
        Classification::Unknown,
        Determination::Unknown,
    );
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
        let at =
            Time(self.start.0 + chance.below((self.now.0 - self.start.0).max(1) as u64) as i64);
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

fn person(chance: &mut Chance) -> Account {
    let (name, given) = *chance.pick(&words::PEOPLE);
    Account {
        name: name.to_string(),
        domain: "CONTOSO".to_string(),
        sid: format!(
            "S-1-5-21-{}-{}-{}-{}",
            chance.below(4_000_000_000),
            chance.below(4_000_000_000),
            chance.below(4_000_000_000),
            1000 + chance.below(9000)
        ),
        object_id: chance.guid(),
        principal: format!("{given}@contoso.onmicrosoft.com"),
    }
}

fn device(chance: &mut Chance, first_seen: Time) -> Device {
    let group = chance.below(words::GROUPS.len() as u64) as usize;
    Device {
        id: chance.hex(40),
        name: format!(
            "{}-{:03}.contoso.com",
            chance.pick(&words::DEVICES),
            chance.below(400)
        ),
        platform: chance
            .pick(&[
                "Windows11",
                "Windows10",
                "WindowsServer2022",
                "Linux",
                "macOS",
            ])
            .to_string(),
        group: words::GROUPS[group].to_string(),
        group_id: 70 + group as i64,
        risk: chance
            .pick(&["none", "informational", "low", "medium", "high"])
            .to_string(),
        first_seen,
    }
}

fn severity(chance: &mut Chance) -> Severity {
    *chance.pick(&[
        Severity::Informational,
        Severity::Low,
        Severity::Low,
        Severity::Medium,
        Severity::Medium,
        Severity::High,
    ])
}

fn incident(chance: &mut Chance, id: u64, times: &mut Times) -> Incident {
    let created = times.next(chance);
    let mut incident = Incident::plain(id, created);
    let (title, _, _, _, _) = *chance.pick(&words::SCENARIOS);
    incident.name = format!("{title} {}", chance.pick(&words::SCOPES));
    incident.updated = times.next(chance).max(created);
    incident.severity = Severity::Informational;
    incident.system_tags = if chance.percent(15) {
        vec!["Defender Experts".to_string()]
    } else {
        Vec::new()
    };
    incident.custom_tags = if chance.percent(20) {
        vec!["Demo".to_string(), "Zürich".to_string()]
    } else {
        Vec::new()
    };
    incident.description = chance.percent(60).then(|| {
        "Alerts that share a device, an account or a technique were joined. 関連するアラート。"
            .to_string()
    });
    incident.priority = chance.percent(50).then(|| chance.below(101) as i64);
    let (status, classification, determination) = *chance.pick(&[
        (
            IncidentStatus::Active,
            Classification::Unknown,
            Determination::Unknown,
        ),
        (
            IncidentStatus::Active,
            Classification::Unknown,
            Determination::Unknown,
        ),
        (
            IncidentStatus::InProgress,
            Classification::Unknown,
            Determination::Unknown,
        ),
        (
            IncidentStatus::Resolved,
            Classification::TruePositive,
            Determination::MultiStagedAttack,
        ),
        (
            IncidentStatus::Resolved,
            Classification::FalsePositive,
            Determination::NotEnoughDataToValidate,
        ),
    ]);
    (
        incident.status,
        incident.classification,
        incident.determination,
    ) = (status, classification, determination);
    if status != IncidentStatus::Active {
        let who = person(chance);
        incident.comments.push(Comment {
            text: chance.pick(&words::REMARKS).to_string(),
            author: who.principal.clone(),
            created: incident.updated,
        });
        incident.assigned_to = Some(who.principal.clone());
        incident.last_modified_by = Some(who.principal);
    }
    incident
}

fn alert(
    chance: &mut Chance,
    number: usize,
    alerts: usize,
    incident: Option<u64>,
    times: &mut Times,
) -> Alert {
    let created = times.next(chance);
    let (title, category, technique, service, detection) = *chance.pick(&words::SCENARIOS);
    let endpoint = service == "microsoftDefenderForEndpoint";
    let prefix = match service {
        "microsoftDefenderForEndpoint" => format!(
            "da{}{:018}_{}{}",
            "",
            637_000_000_000_000_000 + chance.below(2_000_000_000_000_000),
            if chance.percent(50) { "-" } else { "" },
            chance.below(2_000_000_000)
        ),
        "microsoftDefenderForCloudApps" => format!("ca{}", chance.guid()),
        "microsoftDefenderForOffice365" => format!("fa{}", chance.guid()),
        "microsoftDefenderForIdentity" => format!("aa{}", chance.guid()),
        "azureAdIdentityProtection" => format!("ad{}", chance.hex(64)),
        "microsoftSentinel" => format!("sn{}", chance.guid()),
        _ => format!("dc{}", chance.guid()),
    };
    let mut alert = Alert::plain(&prefix, incident, created);
    alert.title = title.to_string();
    alert.description = format!("{title}. {}", chance.pick(&words::DESCRIPTIONS));
    alert.recommended = words::RECOMMENDED.to_string();
    alert.category = category.to_string();
    alert.service = service.to_string();
    alert.detection = detection.to_string();
    alert.product = words::product(service).to_string();
    alert.detector = chance.guid();
    alert.severity = severity(chance);
    alert.techniques = vec![technique.to_string()];
    alert.first_activity = created.minus(Duration::from_secs(60 + chance.below(7000)));
    alert.last_activity = created.minus(Duration::from_secs(chance.below(50)));
    alert.updated = times.next(chance).max(created);
    alert.family = (category == "Malware").then(|| {
        chance
            .pick(&["Mimikatz", "Meterpreter", "RaspberryRobin", "Qakbot"])
            .to_string()
    });
    alert.threat = alert
        .family
        .as_ref()
        .map(|family| format!("HackTool:Win32/{family}.D!dha"));
    alert.actor = chance.percent(5).then(|| "Storm-0978".to_string());
    alert.investigation_state = chance
        .pick(&[
            "unsupportedAlertType",
            "queued",
            "running",
            "successfullyRemediated",
            "benign",
            "pendingApproval",
        ])
        .to_string();
    alert.investigation = chance
        .percent(30)
        .then(|| 700_000 + chance.below(99_999) as i64);
    alert.system_tags = if chance.percent(10) {
        vec!["Defender Experts".to_string()]
    } else {
        Vec::new()
    };
    alert.account = Some(person(chance));
    alert.device = (endpoint || chance.percent(25))
        .then(|| device(chance, created.minus(Duration::from_secs(40_000_000))));
    if detection == "customDetection" || number % 17 == 3 {
        alert.custom_details = object! { "@odata.type" => "#microsoft.graph.security.dictionary", "Abteilung" => "Rechnungswesen – Süd", "ReportId" => 639_199_803_770_463_703_i64 };
    }
    if number % 11 == 5 {
        alert.additional_data = object! { "TimeWindow" => "PT5M", "ObservedCount" => 9_007_199_254_740_993_i64, "path" => "C:\\Users\\müller\\AppData\\\u{202e}fdp.exe" };
    }
    let roll = chance.below(10);
    if roll >= 7 {
        let who = person(chance).principal;
        let (status, classification, determination) = *chance.pick(&[
            (
                AlertStatus::InProgress,
                Classification::Unknown,
                Determination::Unknown,
            ),
            (
                AlertStatus::Resolved,
                Classification::TruePositive,
                Determination::Malware,
            ),
            (
                AlertStatus::Resolved,
                Classification::FalsePositive,
                Determination::NotMalicious,
            ),
            (
                AlertStatus::Resolved,
                Classification::InformationalExpectedActivity,
                Determination::SecurityTesting,
            ),
            // Retired in 2022 and still on old alerts.
            (
                AlertStatus::Resolved,
                Classification::TruePositive,
                Determination::Apt,
            ),
        ]);
        (alert.status, alert.classification, alert.determination) =
            (status, classification, determination);
        alert.resolved = (status == AlertStatus::Resolved).then_some(alert.updated);
        alert.comments.push(Comment {
            text: chance.pick(&words::REMARKS).to_string(),
            author: who.clone(),
            created: alert.updated,
        });
        alert.assigned_to = Some(who);
    }
    alert.evidence = evidence_of(chance, &alert, number, alerts);
    alert
}

/// What fits the alert, and beside it the rarer kinds in turn, so that over the set every kind occurs.
fn evidence_of(chance: &mut Chance, alert: &Alert, number: usize, alerts: usize) -> Vec<Json> {
    let mut kinds: Vec<&str> = vec!["user"];
    match alert.service.as_str() {
        "microsoftDefenderForEndpoint" => kinds.extend(["device", "process", "file"]),
        "microsoftDefenderForOffice365" => {
            kinds.extend(["mailbox", "analyzedMessage", "mailCluster", "url"])
        }
        "microsoftDefenderForCloudApps" => kinds.extend(["cloudApplication", "ip"]),
        _ => kinds.push("ip"),
    }
    if alert.is_endpoint() && chance.percent(40) {
        kinds.extend(["ip", "url", "registryKey"]);
    }
    let rare = KINDS_PER_ALERT.max(EVIDENCE_KINDS.len().div_ceil(alerts.max(1)));
    kinds.extend(
        (0..rare).map(|step| EVIDENCE_KINDS[(number * rare + step) % EVIDENCE_KINDS.len()]),
    );
    let mut scene = Scene::new(chance, alert);
    kinds.into_iter().map(|kind| scene.evidence(kind)).collect()
}

/// Rarer kinds beside those that fit.
const KINDS_PER_ALERT: usize = 1;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn world(seed: u64) -> World {
        let mut world = World::empty();
        fill(
            &mut world,
            seed,
            30,
            300,
            Time::from_unix(1_800_000_000),
            Duration::from_secs(30 * 86_400),
        );
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
            .flat_map(|alert| &alert.evidence)
            .filter_map(|item| item.text_of("@odata.type").map(str::to_string))
            .collect();
        assert_eq!(kinds.len(), 48, "{kinds:?}");
        let digits: BTreeSet<_> = world
            .alerts()
            .map(|alert| {
                alert
                    .updated
                    .to_string()
                    .split_once('.')
                    .map_or(0, |(_, rest)| rest.len() - 1)
            })
            .collect();
        assert_eq!(digits, (0..=7).collect());
        let times: BTreeSet<_> = world.alerts().map(|alert| alert.updated).collect();
        assert!(times.len() < 290, "ties: {}", times.len());
        assert!(
            world
                .incidents()
                .any(|incident| world.alerts_of(incident.id).count() > 100)
        );
        assert!(
            world
                .incidents()
                .any(|incident| incident.redirect.is_some())
        );
        let text: String = world
            .alerts()
            .flat_map(|alert| &alert.evidence)
            .map(Json::render)
            .collect();
        assert!(text.contains("90071992547409"), "integers above 2^53");
        assert!(!text.is_ascii());
    }

    #[test]
    fn few_alerts_still_hold_every_kind_of_evidence() {
        let mut world = World::empty();
        fill(
            &mut world,
            1,
            2,
            5,
            Time::from_unix(1_800_000_000),
            Duration::from_secs(1000),
        );
        let kinds: BTreeSet<_> = world
            .alerts()
            .flat_map(|alert| &alert.evidence)
            .filter_map(|item| item.text_of("@odata.type").map(str::to_string))
            .collect();
        assert_eq!(kinds.len(), 48);
    }
}
