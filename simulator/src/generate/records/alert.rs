//! The tables of alerts and behaviours: one record for the alert, one for each piece of its evidence.

use super::{LINKS, Scene, Values, text, words};
use crate::json::Json;
use crate::object;

/// What the alerts of these tables are: title, category, techniques, product.
struct Subject {
    title: &'static str,
    category: &'static str,
    techniques: Json,
    product: &'static str,
    detection: &'static str,
}

/// Id, first of the product, then of the alert.
fn id(scene: &mut Scene<'_>, product: &str) -> Json {
    let prefix = match product {
        "Microsoft Defender for Endpoint" => "da",
        "Microsoft Defender for Office 365" => "fa",
        "Microsoft Defender for Cloud Apps" => "ca",
        "AAD Identity Protection" => "ad",
        _ => "dc",
    };
    format!("{prefix}{}_1", scene.chance.guid()).into()
}

fn subject(scene: &mut Scene<'_>) -> Subject {
    let (title, category, technique, service, _) = *scene.chance.pick(&words::SCENARIOS);
    let product = words::product(service);
    let name = if technique.contains('.') { "Sub-technique" } else { "Technique" };
    // Text that holds an array, or nothing.
    let techniques = match scene.chance.below(10) {
        0 => "".into(),
        1..7 => format!("[\"{name} ({technique})\"]").into(),
        _ => format!("[\"{name} ({technique})\",\"Masquerading (T1036)\"]").into(),
    };
    let detection = if service == "microsoftDefenderForEndpoint" { "EDR" } else { product };
    Subject { title, category, techniques, product, detection }
}

const SEVERITIES: [&str; 5] = ["Informational", "Low", "Medium", "High", "High"];

pub(super) fn info(scene: &mut Scene<'_>) -> Values {
    let subject = subject(scene);
    vec![
        ("AlertId", id(scene, subject.product)),
        ("Title", subject.title.into()),
        ("Category", subject.category.into()),
        ("Severity", scene.pick(&SEVERITIES).into()),
        ("ServiceSource", subject.product.into()),
        ("DetectionSource", subject.detection.into()),
        ("AttackTechniques", subject.techniques),
        ("MachineGroup", {
            let group = scene.device.group.clone();
            scene.some(50, group)
        }),
    ]
}

pub(super) fn evidence(scene: &mut Scene<'_>) -> Values {
    let subject = subject(scene);
    let kind = scene.pick(&["Machine", "File", "Process", "User", "Ip", "Url", "MailMessage", "RegistryValue", "CloudResource"]);
    let mut values = entity(scene, kind, subject.category);
    values.extend([
        ("AlertId", id(scene, subject.product)),
        ("Title", subject.title.into()),
        ("Categories", text(&Json::from([subject.category]))),
        ("AttackTechniques", subject.techniques),
        ("Severity", scene.pick(&SEVERITIES).into()),
        ("ServiceSource", subject.product.into()),
        ("DetectionSource", subject.detection.into()),
        ("EntityType", kind.into()),
        ("EvidenceRole", scene.pick(&["Impacted", "Related"]).into()),
        ("CloudPlatform", "".into()),
        ("SubscriptionId", "".into()),
    ]);
    values
}

/// What a piece of evidence says of itself.
fn entity(scene: &mut Scene<'_>, kind: &str, category: &str) -> Values {
    let mut more = object! {
        "Type" => kind.to_lowercase(), "Role" => 1, "DetectionStatus" => scene.pick(&["Detected", "Blocked", "Prevented"]),
        "SuspicionLevel" => "Suspicious", "LastRemediationState" => scene.pick(&["Active", "Remediated"]),
    };
    let family = (category == "Malware").then_some("Wacatac");
    let mut values: Values = match kind {
        "Machine" => {
            more = more.with(object! { "OSFamily" => "Windows", "IsDomainJoined" => true, "Asset" => true });
            vec![("LocalIP", scene.inside().into())]
        }
        "File" | "Process" => {
            let program = scene.program();
            // What was tried on it; long enough, in some records, to stand before the title like a wall.
            let tried = if scene.chance.percent(30) { 60 } else { 1 };
            let provider =
                object! { "RemediationState" => "Active", "RemediationDate" => scene.at, "Type" => "remediation-provider" };
            more = more.with(object! { "RemediationProviders" => Json::List(vec![provider; tried]) });
            let mut values = vec![
                ("FileName", program.name.into()),
                ("FolderPath", program.path.rsplit_once(['\\', '/']).map_or("", |(folder, _)| folder).into()),
                ("SHA1", scene.chance.hex(40).into()),
                ("SHA256", scene.chance.hex(64).into()),
                ("FileSize", (1 + scene.chance.below(900_000) as i64).into()),
                ("ThreatFamily", family.map_or(Json::Null, Json::from)),
            ];
            if kind == "Process" {
                values.push(("ProcessCommandLine", program.command.into()));
                values.extend(scene.person_values());
            }
            values
        }
        "User" => scene.person_values(),
        "Ip" => vec![("RemoteIP", scene.outside().into())],
        "Url" => vec![("RemoteUrl", scene.pick(&LINKS).0.into())],
        "MailMessage" => {
            vec![("NetworkMessageId", scene.chance.guid().into()), ("EmailSubject", "Ihre Rechnung für März".into())]
        }
        "RegistryValue" => vec![
            ("RegistryKey", r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Run".into()),
            ("RegistryValueName", "Updater".into()),
            ("RegistryValueData", r"C:\ProgramData\upd.exe".into()),
        ],
        _ => {
            let name = scene.pick(&["phantom-identity", "vm-buchhaltung"]);
            let resource = format!("/subscriptions/1-2-3-4/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/{name}");
            more = more.with(object! { "ResourceId" => &resource, "ResourceType" => "Virtual Machine", "ResourceName" => name, "Asset" => true });
            vec![("CloudResource", name.into()), ("ResourceID", resource.into()), ("ResourceType", "Virtual Machine".into())]
        }
    };
    if matches!(kind, "Machine" | "File" | "Process" | "RegistryValue") {
        values.push(("DeviceId", (&scene.device.id).into()));
        values.push(("DeviceName", (&scene.device.name).into()));
        let group = scene.device.group.clone();
        values.push(("MachineGroup", scene.some(60, group)));
    }
    values.push(("AdditionalFields", text(&more)));
    values
}

pub(super) fn behavior(scene: &mut Scene<'_>) -> Values {
    vec![
        ("BehaviorId", format!("bc{}", scene.chance.guid()).into()),
        ("ActionType", "ImpossibleTravelActivity".into()),
        ("Description", "A user signed in from two places that are too far from one another.".into()),
        ("Categories", r#"["InitialAccess"]"#.into()),
        ("AttackTechniques", r#"["Valid Accounts (T1078)"]"#.into()),
        ("ServiceSource", "Microsoft Cloud App Security".into()),
        ("DetectionSource", "Microsoft Cloud App Security".into()),
        ("DataSources", r#"["Microsoft 365"]"#.into()),
        ("AccountUpn", (&scene.person.principal).into()),
        ("StartTime", scene.earlier(7_000)),
        ("EndTime", scene.earlier(60)),
        ("AdditionalFields", text(&object! { "AlertUri" => "https://portal.example/alerts/1" })),
    ]
}

pub(super) fn behavior_entity(scene: &mut Scene<'_>) -> Values {
    let mut values = scene.person_values();
    values.retain(|(name, _)| *name != "AccountSid");
    values.extend([
        ("BehaviorId", format!("bc{}", scene.chance.guid()).into()),
        ("ActionType", "ImpossibleTravelActivity".into()),
        ("Categories", r#"["InitialAccess"]"#.into()),
        ("ServiceSource", "Microsoft Cloud App Security".into()),
        ("DetectionSource", "Microsoft Cloud App Security".into()),
        ("DataSources", r#"["Microsoft 365"]"#.into()),
        ("EntityType", "User".into()),
        ("EntityRole", scene.pick(&["Impacted", "Related"]).into()),
        ("Application", "Microsoft 365".into()),
        ("ApplicationId", 11_161.into()),
        ("AdditionalFields", "{}".into()),
    ]);
    values
}
