//! Single objects: an incident, an alert, and the people and devices they are about.

use std::time::Duration;

use super::evidence::{KINDS, Scene};
use super::{Times, words};
use crate::chance::Chance;
use crate::json::Json;
use crate::model::spelling::{AlertStatus, Classification, Determination, IncidentStatus, Severity};
use crate::model::{Account, Alert, Comment, Device, Incident};
use crate::object;
use crate::time::Time;

/// Somebody.
pub(super) fn person(chance: &mut Chance) -> Account {
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

/// A device of theirs.
pub(super) fn device(chance: &mut Chance, first_seen: Time) -> Device {
    let group = chance.below(words::GROUPS.len() as u64) as usize;
    Device {
        id: chance.hex(40),
        name: format!("{}-{:03}.contoso.com", chance.pick(&words::DEVICES), chance.below(400)),
        platform: chance.pick(&["Windows11", "Windows10", "WindowsServer2022", "Linux", "macOS"]).to_string(),
        group: words::GROUPS[group].to_string(),
        group_id: 70 + group as i64,
        risk: chance.pick(&["none", "informational", "low", "medium", "high"]).to_string(),
        first_seen,
    }
}

fn severity(chance: &mut Chance) -> Severity {
    *chance.pick(&[Severity::Informational, Severity::Low, Severity::Low, Severity::Medium, Severity::Medium, Severity::High])
}

/// An incident.
pub(super) fn incident(chance: &mut Chance, id: u64, times: &mut Times) -> Incident {
    let created = times.next(chance);
    let mut incident = Incident::plain(id, created);
    let (title, _, _, _, _) = *chance.pick(&words::SCENARIOS);
    incident.name = format!("{title} {}", chance.pick(&words::SCOPES));
    incident.updated = times.next(chance).max(created);
    incident.severity = Severity::Informational;
    incident.system_tags = if chance.percent(15) { vec!["Defender Experts".to_string()] } else { Vec::new() };
    incident.custom_tags = if chance.percent(20) { vec!["Demo".to_string(), "Zürich".to_string()] } else { Vec::new() };
    incident.description = chance
        .percent(60)
        .then(|| "Alerts that share a device, an account or a technique were joined. 関連するアラート。".to_string());
    incident.priority = chance.percent(50).then(|| chance.below(101) as i64);
    let (status, classification, determination) = *chance.pick(&[
        (IncidentStatus::Active, Classification::Unknown, Determination::Unknown),
        (IncidentStatus::Active, Classification::Unknown, Determination::Unknown),
        (IncidentStatus::InProgress, Classification::Unknown, Determination::Unknown),
        (IncidentStatus::Resolved, Classification::TruePositive, Determination::MultiStagedAttack),
        (IncidentStatus::Resolved, Classification::FalsePositive, Determination::NotEnoughDataToValidate),
    ]);
    (incident.status, incident.classification, incident.determination) = (status, classification, determination);
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

/// An alert; `like` lends everything that does not tell one alert from another.
pub(super) fn alert(
    chance: &mut Chance,
    number: usize,
    alerts: usize,
    incident: Option<u64>,
    times: &mut Times,
    like: Option<&Alert>,
) -> Alert {
    let created = times.next(chance);
    let mut alert = like.cloned().unwrap_or_else(|| subject(chance, number, alerts, created));
    alert.id = id(chance, &alert.service);
    alert.incident = incident;
    alert.created = created;
    alert.updated = times.next(chance).max(created);
    alert.first_activity = created.minus(Duration::from_secs(60 + chance.below(7000)));
    alert.last_activity = created.minus(Duration::from_secs(chance.below(50)));
    work(chance, &mut alert);
    alert
}

/// The prefix tells the product.
fn id(chance: &mut Chance, service: &str) -> String {
    match service {
        "microsoftDefenderForEndpoint" => {
            let (ticks, sign) =
                (637_000_000_000_000_000 + chance.below(2_000_000_000_000_000), if chance.percent(50) { "-" } else { "" });
            format!("da{ticks}_{sign}{}", chance.below(2_000_000_000))
        }
        "microsoftDefenderForCloudApps" => format!("ca{}", chance.guid()),
        "microsoftDefenderForOffice365" => format!("fa{}", chance.guid()),
        "microsoftDefenderForIdentity" => format!("aa{}", chance.guid()),
        "azureAdIdentityProtection" => format!("ad{}", chance.hex(64)),
        "microsoftSentinel" => format!("sn{}", chance.guid()),
        _ => format!("dc{}", chance.guid()),
    }
}

/// What an alert is about.
fn subject(chance: &mut Chance, number: usize, alerts: usize, created: Time) -> Alert {
    let (title, category, technique, service, detection) = *chance.pick(&words::SCENARIOS);
    let mut alert = Alert::plain("", None, created);
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
    alert.family =
        (category == "Malware").then(|| chance.pick(&["Mimikatz", "Meterpreter", "RaspberryRobin", "Qakbot"]).to_string());
    alert.threat = alert.family.as_ref().map(|family| format!("HackTool:Win32/{family}.D!dha"));
    alert.actor = chance.percent(5).then(|| "Storm-0978".to_string());
    alert.investigation_state = chance
        .pick(&["unsupportedAlertType", "queued", "running", "successfullyRemediated", "benign", "pendingApproval"])
        .to_string();
    alert.investigation = chance.percent(30).then(|| 700_000 + chance.below(99_999) as i64);
    alert.system_tags = if chance.percent(10) { vec!["Defender Experts".to_string()] } else { Vec::new() };
    alert.account = Some(person(chance));
    let on_device = alert.is_endpoint() || chance.percent(25);
    alert.device = on_device.then(|| device(chance, created.minus(Duration::from_secs(40_000_000))));
    if detection == "customDetection" || number % 17 == 3 {
        alert.custom_details = object! {
            "@odata.type" => "#microsoft.graph.security.dictionary",
            "Abteilung" => "Rechnungswesen – Süd",
            "ReportId" => 639_199_803_770_463_703_i64,
        };
    }
    if number % 11 == 5 {
        alert.additional_data = object! {
            "TimeWindow" => "PT5M",
            "ObservedCount" => 9_007_199_254_740_993_i64,
            "path" => "C:\\Users\\müller\\AppData\\\u{202e}fdp.exe",
        };
    }
    alert.evidence = evidence_of(chance, &alert, number, alerts).into();
    alert
}

/// What became of an alert: most are new.
fn work(chance: &mut Chance, alert: &mut Alert) {
    let (status, classification, determination) = match chance.below(10) {
        0..7 => (AlertStatus::New, Classification::Unknown, Determination::Unknown),
        _ => *chance.pick(&[
            (AlertStatus::InProgress, Classification::Unknown, Determination::Unknown),
            (AlertStatus::Resolved, Classification::TruePositive, Determination::Malware),
            (AlertStatus::Resolved, Classification::FalsePositive, Determination::NotMalicious),
            (AlertStatus::Resolved, Classification::InformationalExpectedActivity, Determination::SecurityTesting),
            // Retired in 2022 and still on old alerts.
            (AlertStatus::Resolved, Classification::TruePositive, Determination::Apt),
        ]),
    };
    (alert.status, alert.classification, alert.determination) = (status, classification, determination);
    alert.resolved = (status == AlertStatus::Resolved).then_some(alert.updated);
    alert.comments.clear();
    alert.assigned_to = (status != AlertStatus::New).then(|| person(chance).principal);
    if let Some(author) = alert.assigned_to.clone() {
        alert.comments.push(Comment { text: chance.pick(&words::REMARKS).to_string(), author, created: alert.updated });
    }
}

/// What fits the alert, and beside it the rarer kinds in turn, so that over the set every kind occurs.
fn evidence_of(chance: &mut Chance, alert: &Alert, number: usize, alerts: usize) -> Vec<Json> {
    let mut kinds: Vec<&str> = vec!["user"];
    match alert.service.as_str() {
        "microsoftDefenderForEndpoint" => kinds.extend(["device", "process", "file"]),
        "microsoftDefenderForOffice365" => kinds.extend(["mailbox", "analyzedMessage", "mailCluster", "url"]),
        "microsoftDefenderForCloudApps" => kinds.extend(["cloudApplication", "ip"]),
        _ => kinds.push("ip"),
    }
    if alert.is_endpoint() && chance.percent(40) {
        kinds.extend(["ip", "url", "registryKey"]);
    }
    let rare = KINDS_PER_ALERT.max(KINDS.len().div_ceil(alerts.max(1)));
    kinds.extend((0..rare).map(|step| KINDS[(number * rare + step) % KINDS.len()]));
    let mut scene = Scene::new(chance, alert);
    kinds.into_iter().map(|kind| scene.evidence(kind)).collect()
}

/// Rarer kinds beside those that fit.
const KINDS_PER_ALERT: usize = 1;
