//! What Entra ID's AADSTS numbers mean for an app that signs in as itself, and what to do about each.
//!
//! Microsoft advises to react to OAuth's `error` and warns that numbers may change: an unknown number falls back on it.

use crate::masking::foreign_text;

/// Who ends the trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Somebody has to change something.
    Person,
    /// It passes.
    Wait,
}

/// A refusal in plain words.
#[derive(Debug)]
pub(super) struct Meaning {
    pub(super) code: Option<u32>,
    pub(super) act: Act,
    pub(super) meaning: String,
    pub(super) remedy: Option<String>,
}

struct Entry {
    codes: &'static [u32],
    /// `{scope}` stands for the scope that was asked for.
    meaning: &'static str,
    /// `None`: wait.
    remedy: Option<&'static str>,
}

const fn person(codes: &'static [u32], meaning: &'static str, remedy: &'static str) -> Entry {
    Entry { codes, meaning, remedy: Some(remedy) }
}

const fn wait(codes: &'static [u32], meaning: &'static str) -> Entry {
    Entry { codes, meaning, remedy: None }
}

/// The number of a client secret that is not the app's.
pub(super) const WRONG_SECRET: u32 = 7_000_215;

/// From Microsoft's list of AADSTS codes, where not said otherwise.
const TABLE: &[Entry] = &[
    person(
        &[WRONG_SECRET],
        "the client secret is wrong",
        "put the secret's Value, not its Secret ID, into the account (Entra ID > App registrations > Certificates & secrets)",
    ),
    person(
        &[7_000_222],
        "the client secret has expired",
        "create a new client secret for the app registration and put its Value into the account",
    ),
    person(
        &[70_002, 7_000_218, 7_000_216],
        "the app's credentials were not accepted",
        "check client_id and the client secret or certificate of the account",
    ),
    person(
        &[700_016, 700_011, 700_038],
        "no app registration with this client_id exists in the tenant",
        "check client_id, tenant_id and cloud of the account; an app of another tenant needs an administrator's consent in this one",
    ),
    // 7000229 is not on the list; this is its own message.
    person(
        &[7_000_229],
        "the app has no enterprise application in the tenant",
        "have an administrator of the tenant give consent to the app",
    ),
    person(
        &[65_001, 90_094, 90_008, 650_054, 650_056, 650_057],
        "the app's permissions are not consented to in the tenant",
        "add the application permissions to the app registration (API permissions) and have an administrator of the tenant give \
         consent",
    ),
    person(
        &[7_000_112, 1_000_031],
        "the app is disabled",
        "enable the app under Entra ID > Enterprise applications > Properties (Enabled for users to sign in), or name another one in \
         the account",
    ),
    // The list calls it disabled; the article it links to, and the message, not found.
    person(
        &[70_001],
        "the app is disabled, or does not exist in the tenant",
        "check client_id and tenant_id of the account, and that the app is enabled under Entra ID > Enterprise applications > Properties",
    ),
    person(
        &[700_025],
        "the app is registered as a public client, which may have no secret or certificate",
        "register the app as a confidential client (Authentication > Allow public client flows: No), or name another one in the account",
    ),
    person(&[90_002], "the tenant does not exist in this cloud", "check tenant_id and cloud of the account"),
    person(
        &[900_023, 9_001_023, 50_059, 50_128, 50_194, 90_019, 90_124, 90_130],
        "the tenant_id is none",
        "write the Directory (tenant) ID or a verified domain into the account; common, organizations and consumers are not allowed",
    ),
    person(
        &[90_038, 900_382, 900_432, 90_051, 50_049],
        "the tenant belongs to another national cloud",
        "set the account's cloud to the tenant's: commercial, gcc, gcc_high or dod",
    ),
    person(
        &[70_011, 28_002, 28_003, 1_002_012, 700_022, 700_023, 901_002],
        "the scope {scope} was not accepted",
        "check that the account's cloud is the tenant's and that login_url, if set, belongs to the same cloud",
    ),
    person(
        &[500_011, 650_052],
        "the service behind {scope} does not exist in the tenant",
        "check that the tenant has a Microsoft Defender licence and that the account's cloud and tenant_id are right; for api = defender, \
         open the Defender portal once and add the API's permission to the app",
    ),
    person(
        &[500_014],
        "the service behind {scope} is disabled in the tenant",
        "check that the tenant's Microsoft Defender subscription has not lapsed, and that an administrator has not disabled the service \
         under Entra ID > Enterprise applications (application type: Microsoft applications)",
    ),
    person(
        &[50_001],
        "the service behind {scope} is disabled or does not exist in the tenant",
        "check the tenant's Microsoft Defender subscription, that the service is enabled under Entra ID > Enterprise applications, and \
         that the account's cloud and tenant_id are right",
    ),
    person(
        &[50_002, 500_021, 500_022],
        "the proxy's tenant restrictions do not let this machine sign in to the tenant",
        "have whoever runs the proxy that inspects TLS add the tenant to its list of allowed tenants (Restrict-Access-To-Tenants), or let \
         this machine reach Entra ID without it",
    ),
    person(
        &[700_027],
        "the certificate is not registered with the app, or the private key is not its own",
        "upload the account's certificate to the app registration (Certificates & secrets > Certificates), or put the registered \
         certificate and its key into the account",
    ),
    person(
        &[500_133, 700_024],
        "the assertion is outside its time",
        "set this machine's clock: it differs from Entra ID's by more than 5 minutes",
    ),
    // 1000502 is not on the list; this is its own message.
    person(
        &[1_000_502],
        "the certificate has expired or is not valid yet",
        "create a new certificate, register it with the app and put it and its key into the account",
    ),
    person(
        &[50_012, 50_013, 900_384, 50_006, 50_017, 50_027, 50_048, 700_021, 700_030],
        "the assertion was not accepted",
        "check that the account's certificate is registered with the app and that login_url, if set, is the tenant's own authority",
    ),
    person(
        &[700_211, 700_212, 700_213],
        "the app expects a federated credential that does not match",
        "register a client secret or certificate with the app: federated credentials are not used here",
    ),
    person(
        &[50_034],
        "the app was taken for a user who does not exist",
        "check that client_id is the app's Application (client) ID and tenant_id the tenant's",
    ),
    person(
        &[50_032],
        "the key of the certificate is too weak",
        "create a certificate with an RSA key of 2048 bits or more, register it with the app and put it and its key into the account",
    ),
    person(
        &[50_076, 53_003, 530_003, 53_011, 530_032, 530_035, 50_131],
        "a Conditional Access policy blocks the app",
        "let the policy for workload identities allow this app from this machine's address",
    ),
    person(
        &[900_144, 90_014],
        "the request lacks a member",
        "fill in client_id, tenant_id and the secret or certificate of the account",
    ),
    person(
        &[90_004, 90_013, 90_023, 90_100, 90_102, 90_107, 90_117, 90_121, 9_002_313, 900_561],
        "the request was not understood",
        "check client_id and tenant_id of the account for stray characters, that login_url, if set, is a token authority, and that no \
         proxy changes what is sent",
    ),
    wait(&[90_055], "too many token requests for this tenant"),
    wait(&[50_196], "too many of the same token request from this app"),
    wait(&[90_006, 90_012, 90_024, 90_033, 90_090, 90_091, 50_000, 50_033], "a passing fault of Entra ID"),
];

/// Reads a refusal: by the first number that is known, else by status and OAuth's `error`, in Entra ID's own words.
pub(super) fn meaning(status: u16, error: &str, codes: &[u32], description: &str, scope: &str) -> Meaning {
    let spoken = spoken_code(description);
    let mut given = codes.iter().copied().chain(spoken);
    let known = given.clone().find_map(|code| Some((code, TABLE.iter().find(|entry| entry.codes.contains(&code))?)));
    if let Some((code, entry)) = known {
        return Meaning {
            code: Some(code),
            act: if entry.remedy.is_some() { Act::Person } else { Act::Wait },
            meaning: entry.meaning.replace("{scope}", scope),
            remedy: entry.remedy.map(str::to_owned),
        };
    }
    let code = given.next();
    let said = first_sentence(description);
    let said = if said.is_empty() { error.to_owned() } else { said };
    if status == 429 || status >= 500 || error == "temporarily_unavailable" {
        return Meaning { code, act: Act::Wait, meaning: said, remedy: None };
    }
    let check = match error {
        "invalid_client" => "check the client secret or certificate of the account",
        "unauthorized_client" => "check client_id and tenant_id of the account, and the administrator's consent",
        "invalid_resource" | "invalid_scope" => "check the account's cloud and the tenant's Microsoft Defender licence",
        "access_denied" | "interaction_required" => "check the tenant's Conditional Access policies for workload identities",
        _ => "check tenant_id, client_id and cloud of the account",
    };
    let remedy = match code {
        Some(code) => format!("{check}; https://login.microsoftonline.com/error?code={code} explains the code"),
        None => check.to_owned(),
    };
    Meaning { code, act: Act::Person, meaning: said, remedy: Some(remedy) }
}

/// The number in `AADSTS70011: …`, for an answer without `error_codes`.
fn spoken_code(description: &str) -> Option<u32> {
    let (_, rest) = description.split_once("AADSTS")?;
    rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
}

/// The first sentence of Entra ID's text, without the number in front and the ids behind it.
fn first_sentence(description: &str) -> String {
    let text = description.split("Trace ID:").next().unwrap_or_default();
    let text = match text.trim_start().strip_prefix("AADSTS") {
        Some(rest) => rest.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches(':'),
        None => text,
    };
    let text = foreign_text(text);
    // A dot inside a name (contoso.com) is no end.
    let sentence = text.split_once(". ").map_or(text.as_str(), |(first, _)| first);
    sentence.trim_end_matches('.').to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn no_number_stands_twice() {
        let mut codes: Vec<u32> = TABLE.iter().flat_map(|entry| entry.codes).copied().collect();
        let all = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all);
    }

    #[test]
    fn every_documented_number_is_known() {
        let waits = [90_055, 50_196, 90_006, 90_012, 90_024, 90_033, 90_090, 90_091, 50_000, 50_033];
        let persons = [
            7_000_215, 7_000_222, 70_002, 700_016, 700_011, 70_001, 90_002, 900_023, 90_038, 900_382, 900_432, 70_011, 28_002,
            500_011, 50_001, 700_027, 500_133, 700_024, 50_012, 50_013, 900_384, 700_213, 700_211, 50_034, 50_076, 53_003,
            9_001_023, 500_014, 7_000_112, 700_025, 500_021, 90_013, 65_001, 50_032, 50_059, 900_561,
        ];
        for (codes, act) in [(&waits[..], Act::Wait), (&persons[..], Act::Person)] {
            for code in codes {
                let meaning = meaning(400, "invalid_request", &[*code], "", "S");
                assert_eq!((meaning.code, meaning.act), (Some(*code), act));
                assert_eq!(meaning.remedy.is_some(), act == Act::Person, "{code}");
                assert!(!meaning.meaning.contains('{'), "{code}: {}", meaning.meaning);
            }
        }
    }

    #[test]
    fn what_is_disabled_is_not_called_missing() {
        for (code, says, never) in [
            (500_014, "is disabled", "exist"),
            (7_000_112, "is disabled", "exist"),
            (50_001, "is disabled or does not exist", "licence"),
            (70_001, "is disabled, or does not exist", "licence"),
            (500_011, "does not exist", "disabled"),
            (700_016, "no app registration", "disabled"),
            (90_013, "was not understood", "is none"),
            (500_021, "tenant restrictions", "policy"),
        ] {
            let meaning = meaning(400, "x", &[code], "", "S").meaning;
            assert!(meaning.contains(says) && !meaning.contains(never), "{code}: {meaning}");
        }
    }

    #[test]
    fn unknown_numbers_speak_in_entra_ids_own_words() {
        let said = "AADSTS123456: The thing of contoso.com is\u{7} off.\r\nAsk somebody. Trace ID: x Correlation ID: y";
        // (status, error, codes, description, code, meaning, part of the remedy; empty: none)
        let table = [
            (400, "invalid_request", &[123_456][..], said, Some(123_456), "The thing of contoso.com is off", "error?code=123456"),
            (401, "invalid_client", &[], said, Some(123_456), "The thing of contoso.com is off", "secret or certificate"),
            (401, "invalid_client", &[], "", None, "invalid_client", "secret or certificate"),
            (403, "access_denied", &[5], "AADSTS5", Some(5), "access_denied", "Conditional Access"),
            (503, "server_error", &[5], "AADSTS5: Busy. Trace ID: 1", Some(5), "Busy", ""),
            (429, "x", &[], "Slow down", None, "Slow down", ""),
            // The first number is new, the second is known.
            (401, "invalid_client", &[1, 7_000_222], said, Some(7_000_222), "the client secret has expired", "create a new"),
        ];
        for (status, error, codes, description, code, meaning, remedy) in table {
            let read = super::meaning(status, error, codes, description, "S");
            assert_eq!((read.code, read.meaning.as_str()), (code, meaning));
            let given = read.remedy.unwrap_or_default();
            assert!(given.contains(remedy) && given.is_empty() == remedy.is_empty(), "{meaning}: {given}");
            assert_eq!(read.act == Act::Wait, remedy.is_empty());
        }
    }
}
