//! `DeviceEvents`: everything on a device that has no table of its own.

use super::{LINKS, Scene, Values, device, text};
use crate::json::Json;
use crate::object;

/// Kinds of events, by `ActionType`.
const ACTIONS: [&str; 20] = [
    "AntivirusDetection",
    "AntivirusReport",
    "AsrOfficeChildProcessBlocked",
    "AsrLsassCredentialTheftAudited",
    "ExploitGuardNetworkProtectionBlocked",
    "SmartScreenUrlWarning",
    "ControlledFolderAccessViolationBlocked",
    "ServiceInstalled",
    "ScheduledTaskCreated",
    "UserAccountCreated",
    "UserAccountAddedToLocalGroup",
    "UserAccountDeleted",
    "PasswordChangeAttempt",
    "SecurityLogCleared",
    "FirewallInboundConnectionBlocked",
    "FirewallOutboundConnectionBlocked",
    "DnsQueryResponse",
    "UsbDriveMounted",
    "PowerShellCommand",
    "OpenProcessApiCall",
];

pub(super) fn event(scene: &mut Scene<'_>) -> Values {
    let action = scene.pick(&ACTIONS);
    let mut values = own(scene, action);
    values.push(("ActionType", action.into()));
    values.push(("IsProcessRemoteSession", false.into()));
    values.extend(device::device(scene));
    // The antivirus reports files, not who touched them.
    if action.starts_with("Antivirus") {
        values.push(("IsInitiatingProcessRemoteSession", false.into()));
        values.push(("InitiatingProcessUniqueId", "0".into()));
    } else {
        values.extend(scene.initiating());
    }
    values
}

fn own(scene: &mut Scene<'_>, action: &str) -> Values {
    match action {
        "AntivirusDetection" | "AntivirusReport" => {
            let remediated = scene.chance.percent(70);
            let more = object! {
                "ThreatName" => scene.pick(&["Trojan:Win32/Casdet!rfn", "HackTool:Win32/Mimikatz.D"]),
                "WasExecutingWhileDetected" => false, "Action" => if remediated { 2 } else { 0 }, "WasRemediated" => remediated,
                "ReportSource" => "WindowsDefender",
            };
            with(scene, file(scene_path(remediated)), &more)
        }
        "AsrOfficeChildProcessBlocked" | "AsrLsassCredentialTheftAudited" => {
            let mut values = scene.created();
            values.push((
                "AdditionalFields",
                text(&object! { "RuleId" => "d4f940ab-401b-4efc-aadc-ad5f3c50688a", "IsAudit" => action.ends_with("Audited") }),
            ));
            values
        }
        "ExploitGuardNetworkProtectionBlocked" | "SmartScreenUrlWarning" => {
            let (link, _) = scene.pick(&LINKS);
            vec![
                ("RemoteUrl", link.into()),
                ("AdditionalFields", text(&object! { "Experience" => "Malicious", "IsAudit" => false })),
            ]
        }
        "ControlledFolderAccessViolationBlocked" => {
            vec![("FileName", "Bilanz.xlsx".into()), ("FolderPath", r"C:\Users\müller\Documents\Bilanz.xlsx".into())]
        }
        "ServiceInstalled" => with(
            scene,
            file(r"C:\Windows\PSEXESVC.exe"),
            &object! { "ServiceName" => "PSEXESVC", "ServiceAccount" => "LocalSystem", "ServiceStartType" => 3, "ServiceType" => 16 },
        ),
        "ScheduledTaskCreated" => vec![("AdditionalFields", text(&object! { "TaskName" => r"\Updater" }))],
        "UserAccountCreated" | "UserAccountDeleted" | "UserAccountAddedToLocalGroup" | "PasswordChangeAttempt" => {
            let mut values: Values = vec![
                ("AccountName", "hilfskonto".into()),
                ("AccountDomain", scene.device.name.split('.').next().unwrap_or_default().into()),
                ("AccountSid", "S-1-5-21-1-2-3-1007".into()),
            ];
            if action == "UserAccountAddedToLocalGroup" {
                values.push((
                    "AdditionalFields",
                    text(&object! { "GroupName" => "Administratoren", "GroupSid" => "S-1-5-32-544" }),
                ));
            }
            values
        }
        "FirewallInboundConnectionBlocked" | "FirewallOutboundConnectionBlocked" => vec![
            ("LocalIP", scene.inside().into()),
            ("LocalPort", if action.contains("Inbound") { 3389.into() } else { scene.port().into() }),
            ("RemoteIP", scene.outside().into()),
            ("RemotePort", if action.contains("Inbound") { scene.port().into() } else { 443.into() }),
        ],
        "DnsQueryResponse" => {
            let (_, host) = scene.pick(&LINKS);
            let result = object! { "Result" => scene.outside(), "DnsQueryType" => "Ipv4" };
            vec![(
                "AdditionalFields",
                text(&object! { "DnsQueryString" => host, "DnsQueryResult" => text(&Json::List(vec![result])) }),
            )]
        }
        "UsbDriveMounted" => vec![(
            "AdditionalFields",
            text(&object! { "DriveLetter" => "E:", "BusType" => 7, "ProductName" => "USB DISK", "SerialNumber" => "4711" }),
        )],
        "PowerShellCommand" => vec![("AdditionalFields", text(&object! { "Command" => "Invoke-WebRequest" }))],
        "OpenProcessApiCall" => {
            let mut values = scene.created();
            values.push(("AdditionalFields", text(&object! { "DesiredAccess" => 5136 })));
            values
        }
        _ => Vec::new(),
    }
}

/// The antivirus names the folder alone where it took the file away.
const fn scene_path(remediated: bool) -> &'static str {
    if remediated { r"D:\Ablage\wwwroot.zip" } else { r"C:\ProgramData\upd.exe" }
}

fn file(path: &'static str) -> (&'static str, &'static str) {
    path.rsplit_once('\\').unwrap_or(("", path))
}

fn with(scene: &mut Scene<'_>, (folder, name): (&'static str, &'static str), more: &Json) -> Values {
    let mut values = scene.hashes();
    values.extend([("FileName", name.into()), ("FolderPath", folder.into()), ("AdditionalFields", text(more))]);
    values
}
