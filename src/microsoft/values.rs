//! The values that people set on incidents and alerts: every spelling that occurs is read, and each API gets its own.
//!
//! Microsoft's pages disagree with one another and with the services; the spellings here are those of Graph's metadata and
//! of the update pages of the two Defender APIs, and all synonyms of one value are one.

use super::cloud::{Api, What};

/// Where an incident or alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// An alert nobody has taken up.
    New,
    /// An incident nobody has taken up.
    Active,
    /// Being looked at.
    InProgress,
    /// Closed.
    Resolved,
}

/// What an investigation concluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classification {
    /// A real threat.
    TruePositive,
    /// Correct, but expected.
    InformationalExpectedActivity,
    /// A mistake of the detection.
    FalsePositive,
}

/// Why it concluded that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Determination {
    /// `MultiStagedAttack`.
    MultiStagedAttack,
    /// `MaliciousUserActivity`.
    MaliciousUserActivity,
    /// `CompromisedAccount`, `CompromisedUser`.
    CompromisedAccount,
    /// `Malware`.
    Malware,
    /// `Phishing`.
    Phishing,
    /// `UnwantedSoftware`.
    UnwantedSoftware,
    /// `SecurityTesting`.
    SecurityTesting,
    /// `LineOfBusinessApplication`.
    LineOfBusinessApplication,
    /// `ConfirmedActivity`, `ConfirmedUserActivity`.
    ConfirmedActivity,
    /// `NotMalicious`, `Clean`.
    NotMalicious,
    /// `NotEnoughDataToValidate`, `NoEnoughDataToValidate`, `InsufficientData`.
    NotEnoughDataToValidate,
    /// `Other`.
    Other,
}

/// A spelling without case, spaces, hyphens, underscores and commas.
fn folded(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

impl Status {
    /// The ones that can be set, in order.
    pub fn allowed(what: What) -> [Self; 3] {
        match what {
            What::Incidents => [Self::Active, Self::InProgress, Self::Resolved],
            What::Alerts => [Self::New, Self::InProgress, Self::Resolved],
        }
    }

    /// Reads any spelling. States that only the service sets are none of these.
    pub fn parse(text: &str) -> Option<Self> {
        match folded(text).as_str() {
            "new" => Some(Self::New),
            "active" => Some(Self::Active),
            "inprogress" => Some(Self::InProgress),
            "resolved" => Some(Self::Resolved),
            _ => None,
        }
    }

    /// The API's spelling.
    pub fn spelled(self, api: Api) -> &'static str {
        match (api, self) {
            (Api::Graph, Self::New) => "new",
            (Api::Graph, Self::Active) => "active",
            (Api::Graph, Self::InProgress) => "inProgress",
            (Api::Graph, Self::Resolved) => "resolved",
            (_, Self::New) => "New",
            (_, Self::Active) => "Active",
            (_, Self::InProgress) => "InProgress",
            (_, Self::Resolved) => "Resolved",
        }
    }
}

impl Classification {
    /// All of them. `Unknown` is what an object has before; no API documents setting it.
    pub const ALL: [Self; 3] = [Self::TruePositive, Self::InformationalExpectedActivity, Self::FalsePositive];

    /// Reads any spelling.
    pub fn parse(text: &str) -> Option<Self> {
        match folded(text).as_str() {
            "truepositive" => Some(Self::TruePositive),
            "informationalexpectedactivity" => Some(Self::InformationalExpectedActivity),
            "falsepositive" => Some(Self::FalsePositive),
            _ => None,
        }
    }

    /// The API's spelling.
    pub fn spelled(self, api: Api) -> &'static str {
        match (api, self) {
            (Api::Graph, Self::TruePositive) => "truePositive",
            (Api::Graph, Self::InformationalExpectedActivity) => "informationalExpectedActivity",
            (Api::Graph, Self::FalsePositive) => "falsePositive",
            (_, Self::TruePositive) => "TruePositive",
            (_, Self::InformationalExpectedActivity) => "InformationalExpectedActivity",
            (_, Self::FalsePositive) => "FalsePositive",
        }
    }

    /// The determinations that go with it.
    pub fn determinations(self) -> &'static [Determination] {
        use Determination as D;
        match self {
            Self::TruePositive => &[
                D::MultiStagedAttack,
                D::MaliciousUserActivity,
                D::CompromisedAccount,
                D::Malware,
                D::Phishing,
                D::UnwantedSoftware,
                D::Other,
            ],
            Self::InformationalExpectedActivity => {
                &[D::SecurityTesting, D::LineOfBusinessApplication, D::ConfirmedActivity, D::Other]
            }
            Self::FalsePositive => &[D::NotMalicious, D::NotEnoughDataToValidate, D::Other],
        }
    }
}

impl Determination {
    /// All of them. `Apt` and `SecurityPersonnel` were retired in 2022: old objects carry them, none can be given them.
    pub const ALL: [Self; 12] = [
        Self::MultiStagedAttack,
        Self::MaliciousUserActivity,
        Self::CompromisedAccount,
        Self::Malware,
        Self::Phishing,
        Self::UnwantedSoftware,
        Self::SecurityTesting,
        Self::LineOfBusinessApplication,
        Self::ConfirmedActivity,
        Self::NotMalicious,
        Self::NotEnoughDataToValidate,
        Self::Other,
    ];

    /// Reads any spelling of any API, and the portal's.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match folded(text).as_str() {
            "multistagedattack" | "multistageattack" => Self::MultiStagedAttack,
            "malicioususeractivity" => Self::MaliciousUserActivity,
            "compromisedaccount" | "compromiseduser" => Self::CompromisedAccount,
            "malware" => Self::Malware,
            "phishing" => Self::Phishing,
            "unwantedsoftware" => Self::UnwantedSoftware,
            "securitytesting" | "securitytest" => Self::SecurityTesting,
            "lineofbusinessapplication" => Self::LineOfBusinessApplication,
            "confirmedactivity" | "confirmeduseractivity" => Self::ConfirmedActivity,
            "notmalicious" | "clean" => Self::NotMalicious,
            "notenoughdatatovalidate" | "noenoughdatatovalidate" | "insufficientdata" => Self::NotEnoughDataToValidate,
            "other" => Self::Other,
            _ => return None,
        })
    }

    /// The API's spellings: the one to send, and the one to try where that is answered with 400, because Microsoft's pages
    /// name both.
    pub fn spelled(self, api: Api) -> (&'static str, Option<&'static str>) {
        let (graph, xdr, endpoint, other) = match self {
            Self::MultiStagedAttack => ("multiStagedAttack", "MultiStagedAttack", "MultiStagedAttack", None),
            Self::MaliciousUserActivity => ("maliciousUserActivity", "MaliciousUserActivity", "MaliciousUserActivity", None),
            Self::CompromisedAccount => ("compromisedAccount", "CompromisedAccount", "CompromisedUser", None),
            Self::Malware => ("malware", "Malware", "Malware", None),
            Self::Phishing => ("phishing", "Phishing", "Phishing", None),
            Self::UnwantedSoftware => ("unwantedSoftware", "UnwantedSoftware", "UnwantedSoftware", None),
            Self::SecurityTesting => ("securityTesting", "SecurityTesting", "SecurityTesting", None),
            Self::LineOfBusinessApplication => {
                ("lineOfBusinessApplication", "LineOfBusinessApplication", "LineOfBusinessApplication", None)
            }
            Self::ConfirmedActivity => {
                ("confirmedActivity", "ConfirmedActivity", "ConfirmedActivity", Some("ConfirmedUserActivity"))
            }
            // XDR's page writes Clean, Defender for Endpoint's NotMalicious; either may be what the service takes.
            Self::NotMalicious => ("notMalicious", "Clean", "NotMalicious", None),
            // "No", not "Not": so the XDR page, and so the Endpoint service, whose page writes InsufficientData.
            Self::NotEnoughDataToValidate => ("notEnoughDataToValidate", "NoEnoughDataToValidate", "InsufficientData", None),
            Self::Other => ("other", "Other", "Other", None),
        };
        match api {
            Api::Graph => (graph, None),
            Api::Xdr => (xdr, other.or((endpoint != xdr).then_some(endpoint))),
            Api::Endpoint => (endpoint, other.or((endpoint != xdr).then_some(xdr))),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const APIS: [Api; 3] = [Api::Graph, Api::Xdr, Api::Endpoint];

    #[test]
    fn any_spelling_is_read() {
        for text in ["In Progress", "in-progress", "IN_PROGRESS", "inProgress", " inprogress "] {
            assert_eq!(Status::parse(text), Some(Status::InProgress), "{text}");
        }
        for text in ["TruePositive", "truePositive", "True Positive", "true-positive"] {
            assert_eq!(Classification::parse(text), Some(Classification::TruePositive), "{text}");
        }
        assert_eq!(
            Classification::parse("Informational, expected activity"),
            Some(Classification::InformationalExpectedActivity)
        );
        let table = [
            ("Multi-stage attack", Determination::MultiStagedAttack),
            ("CompromisedUser", Determination::CompromisedAccount),
            ("compromised account", Determination::CompromisedAccount),
            ("ConfirmedUserActivity", Determination::ConfirmedActivity),
            ("Line-of-business application", Determination::LineOfBusinessApplication),
            ("Security test", Determination::SecurityTesting),
            ("Clean", Determination::NotMalicious),
            ("InsufficientData", Determination::NotEnoughDataToValidate),
            ("NoEnoughDataToValidate", Determination::NotEnoughDataToValidate),
            ("not enough data to validate", Determination::NotEnoughDataToValidate),
        ];
        for (text, value) in table {
            assert_eq!(Determination::parse(text), Some(value), "{text}");
        }
        // Set by the service, retired, or of no API.
        for text in ["", "closed", "redirected", "awaitingAction", "unknownFutureValue"] {
            assert_eq!(Status::parse(text), None, "{text}");
        }
        for text in ["", "unknown", "benignPositive"] {
            assert_eq!(Classification::parse(text), None, "{text}");
        }
        for text in ["", "unknown", "NotAvailable", "apt", "SecurityPersonnel"] {
            assert_eq!(Determination::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back_as_the_same() {
        for api in APIS {
            for what in [What::Incidents, What::Alerts] {
                for status in Status::allowed(what) {
                    assert_eq!(Status::parse(status.spelled(api)), Some(status));
                }
            }
            for value in Classification::ALL {
                assert_eq!(Classification::parse(value.spelled(api)), Some(value));
            }
            for value in Determination::ALL {
                let (spelled, other) = value.spelled(api);
                assert_eq!(Determination::parse(spelled), Some(value));
                assert!(other.is_none_or(|other| other != spelled && Determination::parse(other) == Some(value)), "{spelled}");
            }
        }
    }

    #[test]
    fn each_apis_documented_spelling() {
        let names = |api: Api| Determination::ALL.map(|value| value.spelled(api).0);
        assert_eq!(
            names(Api::Graph),
            [
                "multiStagedAttack",
                "maliciousUserActivity",
                "compromisedAccount",
                "malware",
                "phishing",
                "unwantedSoftware",
                "securityTesting",
                "lineOfBusinessApplication",
                "confirmedActivity",
                "notMalicious",
                "notEnoughDataToValidate",
                "other"
            ]
        );
        let differing: Vec<_> =
            names(Api::Xdr).into_iter().zip(names(Api::Endpoint)).filter(|(xdr, endpoint)| xdr != endpoint).collect();
        assert_eq!(
            differing,
            [
                ("CompromisedAccount", "CompromisedUser"),
                ("Clean", "NotMalicious"),
                ("NoEnoughDataToValidate", "InsufficientData")
            ]
        );
        let others = |api: Api| Determination::ALL.iter().filter_map(|value| value.spelled(api).1).collect::<Vec<_>>();
        assert!(others(Api::Graph).is_empty());
        assert_eq!(others(Api::Endpoint), ["CompromisedAccount", "ConfirmedUserActivity", "Clean", "NoEnoughDataToValidate"]);
    }

    #[test]
    fn every_determination_goes_with_a_classification() {
        for value in Determination::ALL {
            let with = Classification::ALL.iter().filter(|one| one.determinations().contains(&value)).count();
            assert_eq!(with, if value == Determination::Other { 3 } else { 1 }, "{value:?}");
        }
    }
}
