//! What names and titles are made of.

/// Title, tactic, technique, product and detection source, the latter two in Graph's spelling.
pub(super) const SCENARIOS: [(&str, &str, &str, &str, &str); 16] = [
    (
        "Suspicious PowerShell command line",
        "Execution",
        "T1059.001",
        "microsoftDefenderForEndpoint",
        "microsoftDefenderForEndpoint",
    ),
    ("'Mimikatz' hacktool was detected", "Malware", "T1003.001", "microsoftDefenderForEndpoint", "antivirus"),
    ("Suspicious execution of hidden file", "DefenseEvasion", "T1564.001", "microsoftDefenderForEndpoint", "antivirus"),
    (
        "Low-reputation arbitrary code executed by signed executable",
        "Execution",
        "T1218",
        "microsoftDefenderForEndpoint",
        "microsoftDefenderForEndpoint",
    ),
    (
        "Possible lateral movement over SMB",
        "LateralMovement",
        "T1021.002",
        "microsoftDefenderForEndpoint",
        "microsoftDefenderForEndpoint",
    ),
    ("Connection to a custom network indicator", "CommandAndControl", "T1071", "microsoftDefenderForEndpoint", "customTi"),
    ("Registry run key was set by a script", "Persistence", "T1547.001", "microsoftDefenderForEndpoint", "customDetection"),
    ("An active 'Wacatac' malware was blocked", "Malware", "T1204.002", "microsoftDefenderForEndpoint", "antivirus"),
    (
        "Email messages containing malicious URL removed after delivery",
        "InitialAccess",
        "T1566.002",
        "microsoftDefenderForOffice365",
        "microsoftDefenderForOffice365",
    ),
    (
        "Email reported by user as malware or phish",
        "InitialAccess",
        "T1566",
        "microsoftDefenderForOffice365",
        "microsoftDefenderForOffice365",
    ),
    ("Suspicious inbox manipulation rule", "Persistence", "T1564.008", "microsoftDefenderForCloudApps", "cloudAppSecurity"),
    ("Ransomware activity", "Impact", "T1486", "microsoftDefenderForCloudApps", "cloudAppSecurity"),
    (
        "Suspected DCSync attack (replication of directory services)",
        "CredentialAccess",
        "T1003.006",
        "microsoftDefenderForIdentity",
        "microsoftDefenderForIdentity",
    ),
    ("Atypical travel", "InitialAccess", "T1078", "azureAdIdentityProtection", "azureAdIdentityProtection"),
    (
        "Suspicious request to the Kubernetes API",
        "CredentialAccess",
        "T1552",
        "microsoftDefenderForCloud",
        "microsoftDefenderForContainers",
    ),
    ("Anomalous sign-in to a rarely used application", "InitialAccess", "T1078.004", "microsoftSentinel", "scheduledAlerts"),
];

pub(super) const SCOPES: [&str; 5] = [
    "on one endpoint",
    "on multiple endpoints",
    "involving one user",
    "reported by multiple sources",
    "involving Initial access & Execution",
];

/// Account and mailbox names, not all of them ASCII.
pub(super) const PEOPLE: [(&str, &str); 8] = [
    ("kaic", "KaiC"),
    ("davids", "DavidS"),
    ("jmüller", "juergen.mueller"),
    ("oconnor", "n.o'connor"),
    ("佐藤", "sato"),
    ("zoë", "zoe"),
    ("svc_backup", "svc_backup"),
    ("Администратор", "admin-ru"),
];

pub(super) const DEVICES: [&str; 5] = ["wks", "srv-file", "lap-buchhaltung", "dc", "build"];

pub(super) const GROUPS: [&str; 4] = ["UnassignedGroup", "Ring0", "Büro München", "東京"];

pub(super) const REMARKS: [&str; 5] = [
    "Looked into it, escalated to level 2.",
    "Bekannter Penetrationstest – bitte schließen.",
    "User confirmed the activity.\nClosing.",
    "誤検知です。",
    "See \"CASE-4711\" & <ticket>; 100 % certain 🙂",
];

pub(super) const DESCRIPTIONS: [&str; 3] = [
    "Binaries signed by Microsoft can be used to run low-reputation arbitrary code. This technique hides the execution of malicious code within a trusted process.",
    "Malware and unwanted software are undesirable applications that perform annoying, disruptive, or harmful actions on affected machines.\n\nBecause this malware was active, take precautionary measures and check for residual signs of infection.",
    "The user manipulated files with extensions ending with the uncommon extension “.verschlüsselt”. This is an unusual number of file manipulations.",
];

/// Long, with tabs, line breaks and the replacement characters Microsoft's own examples hold.
pub(super) const RECOMMENDED: &str = "Collect artifacts and determine scope\n\u{fffd}\tReview the machine timeline for suspicious activities that may have occurred before and after the time of the alert, and record additional related artifacts (files, IPs/URLs)\n\u{fffd}\tSubmit relevant files for deep analysis and review resulting detailed behavioral information.\n\nInitiate containment & mitigation\n\u{fffd}\tContact the user to verify intent and initiate local remediation actions as needed.";

/// The display name of a product.
pub(super) fn product(service: &str) -> &'static str {
    match service {
        "microsoftDefenderForEndpoint" => "Microsoft Defender for Endpoint",
        "microsoftDefenderForOffice365" => "Microsoft Defender for Office 365",
        "microsoftDefenderForCloudApps" => "Microsoft Defender for Cloud Apps",
        "microsoftDefenderForIdentity" => "Microsoft Defender for Identity",
        "azureAdIdentityProtection" => "AAD Identity Protection",
        "microsoftDefenderForCloud" => "Microsoft Defender for Cloud",
        "microsoftSentinel" => "Microsoft Sentinel",
        _ => "Microsoft 365 Defender",
    }
}
