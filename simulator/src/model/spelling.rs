//! One meaning, two spellings: Graph writes camelCase, the Defender APIs PascalCase, and some members differ outright.

/// Defines an enum whose members have a spelling in Graph and one in the Defender APIs.
macro_rules! spelled {
    ($(#[$about:meta])* $name:ident { $($member:ident = $graph:literal / $defender:literal),* $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs)] // the members are Microsoft's names
        pub enum $name { $($member),* }

        impl $name {
            /// Every member.
            pub const ALL: &'static [$name] = &[$($name::$member),*];
            /// Every spelling Graph knows.
            pub const GRAPH: &'static [&'static str] = &[$($graph),*];
            /// Every spelling the Defender APIs know.
            pub const DEFENDER: &'static [&'static str] = &[$($defender),*];

            /// The spelling in Graph.
            pub const fn graph(self) -> &'static str {
                match self { $($name::$member => $graph),* }
            }

            /// The spelling in the Defender APIs.
            pub const fn defender(self) -> &'static str {
                match self { $($name::$member => $defender),* }
            }

            /// Reads Graph's spelling; Microsoft's own examples show Graph taking any case.
            pub fn from_graph(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|member| member.graph().eq_ignore_ascii_case(text))
            }

            /// Reads the Defender APIs' spelling; "keys and values are case-sensitive".
            pub fn from_defender(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|member| member.defender() == text)
            }
        }
    };
}

spelled!(/** Where an alert stands. */ AlertStatus {
    Unknown = "unknown" / "Unknown", New = "new" / "New", InProgress = "inProgress" / "InProgress", Resolved = "resolved" / "Resolved",
});
spelled!(/** Where an incident stands. The Defender API has no word for `awaitingAction`. */ IncidentStatus {
    Active = "active" / "Active", Resolved = "resolved" / "Resolved", InProgress = "inProgress" / "InProgress",
    Redirected = "redirected" / "Redirected", AwaitingAction = "awaitingAction" / "Active",
});
spelled!(/** How bad it is. */ Severity {
    Unknown = "unknown" / "UnSpecified", Informational = "informational" / "Informational", Low = "low" / "Low",
    Medium = "medium" / "Medium", High = "high" / "High",
});
spelled!(/** What an analyst says it is. */ Classification {
    Unknown = "unknown" / "Unknown", FalsePositive = "falsePositive" / "FalsePositive", TruePositive = "truePositive" / "TruePositive",
    InformationalExpectedActivity = "informationalExpectedActivity" / "InformationalExpectedActivity",
});
spelled!(/** Why an analyst says so. The second spelling is the Endpoint API's; the incidents API differs in four. */ Determination {
    Unknown = "unknown" / "NotAvailable", Apt = "apt" / "Apt", Malware = "malware" / "Malware",
    SecurityPersonnel = "securityPersonnel" / "SecurityPersonnel", SecurityTesting = "securityTesting" / "SecurityTesting",
    UnwantedSoftware = "unwantedSoftware" / "UnwantedSoftware", Other = "other" / "Other",
    MultiStagedAttack = "multiStagedAttack" / "MultiStagedAttack", CompromisedAccount = "compromisedAccount" / "CompromisedUser",
    Phishing = "phishing" / "Phishing", MaliciousUserActivity = "maliciousUserActivity" / "MaliciousUserActivity",
    NotMalicious = "notMalicious" / "NotMalicious", NotEnoughDataToValidate = "notEnoughDataToValidate" / "InsufficientData",
    ConfirmedActivity = "confirmedActivity" / "ConfirmedActivity",
    LineOfBusinessApplication = "lineOfBusinessApplication" / "LineOfBusinessApplication",
});

impl Determination {
    /// The spelling in the incidents API (api-update-incidents): an account instead of a user, and two of its own for
    /// false positives, one of them with a grammar slip.
    pub const fn incident_api(self) -> &'static str {
        match self {
            Determination::CompromisedAccount => "CompromisedAccount",
            Determination::NotMalicious => "Clean",
            Determination::NotEnoughDataToValidate => "NoEnoughDataToValidate",
            other => other.defender(),
        }
    }

    /// Reads the incidents API's spelling.
    pub fn from_incident_api(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|member| member.incident_api() == text)
    }

    /// Reads the spelling other pages give the Endpoint API: the alert page, the batch page, and what users report.
    pub fn from_other_page(text: &str) -> Option<Self> {
        match text {
            "CompromisedAccount" => Some(Determination::CompromisedAccount),
            "ConfirmedUserActivity" => Some(Determination::ConfirmedActivity),
            "Clean" => Some(Determination::NotMalicious),
            "NoEnoughDataToValidate" => Some(Determination::NotEnoughDataToValidate),
            _ => None,
        }
    }

    /// Whether the documents name this as a reason for that classification.
    pub fn fits(self, classification: Classification) -> bool {
        use Determination::*;
        match classification {
            Classification::TruePositive => matches!(
                self,
                MultiStagedAttack | MaliciousUserActivity | CompromisedAccount | Malware | Phishing | UnwantedSoftware | Other
            ),
            Classification::InformationalExpectedActivity => {
                matches!(self, SecurityTesting | LineOfBusinessApplication | ConfirmedActivity | Other)
            }
            Classification::FalsePositive => {
                matches!(self, NotMalicious | NotEnoughDataToValidate | Other)
            }
            Classification::Unknown => self == Unknown,
        }
    }
}

/// Members of Graph enums behind the sentinel `unknownFutureValue`: sent only to callers that ask for them.
pub fn behind_sentinel(member: &str) -> bool {
    const SERVICE_SOURCES: [&str; 5] = [
        "microsoftDefenderForCloud",
        "microsoftSentinel",
        "microsoftInsiderRiskManagement",
        "microsoftThreatIntelligence",
        "microsoftSecurityForAI",
    ];
    const DETECTION_SOURCES: [&str; 18] = [
        "microsoftDefenderForIoT",
        "microsoftDefenderForServers",
        "microsoftDefenderForStorage",
        "microsoftDefenderForDNS",
        "microsoftDefenderForDatabases",
        "microsoftDefenderForContainers",
        "microsoftDefenderForNetwork",
        "microsoftDefenderForAppService",
        "microsoftDefenderForKeyVault",
        "microsoftDefenderForResourceManager",
        "microsoftDefenderForApiManagement",
        "nrtAlerts",
        "scheduledAlerts",
        "microsoftDefenderThreatIntelligenceAnalytics",
        "builtInMl",
        "microsoftDefenderForAIServices",
        "securityCopilot",
        "awaitingAction",
    ];
    const REMEDIATION: [&str; 6] = ["active", "pendingApproval", "declined", "unremediated", "running", "partiallyRemediated"];
    SERVICE_SOURCES.contains(&member) || DETECTION_SOURCES.contains(&member) || REMEDIATION.contains(&member)
}

/// The Defender APIs' name of a detection source.
pub fn detection_source(graph: &str) -> String {
    match graph {
        "microsoftDefenderForEndpoint" => "WindowsDefenderAtp".to_string(),
        "antivirus" => "WindowsDefenderAv".to_string(),
        "smartScreen" => "WindowsDefenderSmartScreen".to_string(),
        "customTi" => "CustomerTI".to_string(),
        "cloudAppSecurity" => "MCAS".to_string(),
        "microsoftDefenderForOffice365" => "OfficeATP".to_string(),
        other => pascal(other),
    }
}

/// The incidents API's name of a service source.
pub fn service_source(graph: &str) -> String {
    match graph {
        "microsoftDefenderForEndpoint" => "MicrosoftDefenderForEndpoint".to_string(),
        "microsoftDefenderForCloudApps" => "MicrosoftCloudAppSecurity".to_string(),
        "microsoftDefenderForOffice365" => "OfficeATP".to_string(),
        other => pascal(other),
    }
}

/// Turns `camelCase` into `PascalCase`.
pub fn pascal(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_meaning_in_each_api() {
        let account = Determination::CompromisedAccount;
        assert_eq!(
            (account.graph(), account.defender(), account.incident_api()),
            ("compromisedAccount", "CompromisedUser", "CompromisedAccount")
        );
        assert_eq!(Determination::from_graph("MultiStagedAttack"), Some(Determination::MultiStagedAttack));
        assert_eq!(Determination::from_defender("multiStagedAttack"), None);
        assert!(!Determination::Malware.fits(Classification::FalsePositive));
    }
}
