//! Evidence in the flat form of the Defender APIs: every member is there, and null where it does not apply.

use std::borrow::Cow;

use crate::json::Json;
use crate::model::Device;
use crate::model::spelling::pascal;
use crate::object;

const ENDPOINT: [&str; 25] = [
    "entityType",
    "evidenceCreationTime",
    "sha1",
    "sha256",
    "fileName",
    "filePath",
    "processId",
    "processCommandLine",
    "processCreationTime",
    "parentProcessId",
    "parentProcessCreationTime",
    "parentProcessFileName",
    "parentProcessFilePath",
    "ipAddress",
    "url",
    "registryKey",
    "registryHive",
    "registryValueType",
    "registryValue",
    "accountName",
    "domainName",
    "userSid",
    "aadUserId",
    "userPrincipalName",
    "detectionStatus",
];

const INCIDENT: [&str; 31] = [
    "entityType",
    "sha1",
    "sha256",
    "fileName",
    "filePath",
    "processId",
    "processCommandLine",
    "processCreationTime",
    "parentProcessId",
    "parentProcessCreationTime",
    "ipAddress",
    "url",
    "accountName",
    "domainName",
    "userSid",
    "aadUserId",
    "userPrincipalName",
    "mailboxDisplayName",
    "mailboxAddress",
    "clusterBy",
    "sender",
    "recipient",
    "subject",
    "deliveryAction",
    "securityGroupId",
    "securityGroupName",
    "registryHive",
    "registryKey",
    "registryValueType",
    "registryValue",
    "deviceId",
];

/// The evidence of an Endpoint alert; `None` for types that API does not know.
pub(super) fn endpoint(evidence: &Json) -> Option<Json> {
    let facts = facts(evidence)?;
    let known = ["User", "Process", "File", "Ip", "Url", "Registry"];
    known.contains(&facts[0].1.text()?).then(|| filled(&ENDPOINT, &facts))
}

/// An entity of an alert in an incident; `None` for types that API does not know.
pub(super) fn incident(evidence: &Json) -> Option<Json> {
    facts(evidence).map(|facts| filled(&INCIDENT, &facts))
}

/// The device of an alert in an incident.
pub(super) fn device(device: &Device) -> Json {
    object! {
        "mdatpDeviceId" => device.id.as_str(),
        "aadDeviceId" => Json::Null,
        "deviceDnsName" => device.name.as_str(),
        "osPlatform" => device.platform.as_str(),
        "version" => "22H2",
        "osProcessor" => "x64",
        "osBuild" => 22_621_i64,
        "healthStatus" => "Active",
        "riskScore" => pascal(&device.risk),
        "rbacGroupName" => device.group.as_str(),
        "rbacGroupId" => device.group_id,
        "firstSeen" => device.first_seen,
        "tags" => Json::List(Vec::new()),
        "defenderAvStatus" => "Updated",
        "onboardingStatus" => "Onboarded",
        "vmMetadata" => Json::Null,
        "loggedOnUsers" => Json::List(Vec::new()),
    }
}

type Facts = Vec<(&'static str, Json)>;

fn filled(members: &[&'static str], facts: &Facts) -> Json {
    let value = |name: &str| facts.iter().find(|(held, _)| *held == name).map_or(Json::Null, |(_, value)| value.clone());
    Json::Object(members.iter().map(|name| (Cow::from(*name), value(name))).collect())
}

/// What evidence says, under the flat names; the type comes first.
fn facts(evidence: &Json) -> Option<Facts> {
    let kind = evidence.text_of("@odata.type")?.strip_prefix("#microsoft.graph.security.")?;
    let nothing = Json::Null;
    let within = |name: &str| evidence.get(name).unwrap_or(&nothing).clone();
    let mut facts: Facts =
        vec![("entityType", Json::from(entity_type(kind)?)), ("evidenceCreationTime", within("createdDateTime"))];
    let mut take = |name: &'static str, from: &Json, member: &str| facts.push((name, from.copy_of(member)));
    let file = |file: &Json, take: &mut dyn FnMut(&'static str, &Json, &str)| {
        for name in ["sha1", "sha256", "fileName", "filePath"] {
            take(name, file, name);
        }
    };
    let user = |account: &Json, take: &mut dyn FnMut(&'static str, &Json, &str)| {
        for (name, member) in [
            ("accountName", "accountName"),
            ("domainName", "domainName"),
            ("userSid", "userSid"),
            ("aadUserId", "azureAdUserId"),
            ("userPrincipalName", "userPrincipalName"),
        ] {
            take(name, account, member);
        }
    };
    take("deviceId", evidence, "mdeDeviceId");
    match kind {
        "fileEvidence" => file(&within("fileDetails"), &mut take),
        "processEvidence" => {
            file(&within("imageFile"), &mut take);
            user(&within("userAccount"), &mut take);
            take("processId", evidence, "processId");
            take("processCommandLine", evidence, "processCommandLine");
            take("processCreationTime", evidence, "processCreationDateTime");
            take("parentProcessId", evidence, "parentProcessId");
            take("parentProcessCreationTime", evidence, "parentProcessCreationDateTime");
            take("parentProcessFileName", &within("parentProcessImageFile"), "fileName");
            take("parentProcessFilePath", &within("parentProcessImageFile"), "filePath");
        }
        "userEvidence" => user(&within("userAccount"), &mut take),
        "ipEvidence" => take("ipAddress", evidence, "ipAddress"),
        "urlEvidence" => take("url", evidence, "url"),
        "registryKeyEvidence" | "registryValueEvidence" => {
            for name in ["registryHive", "registryKey", "registryValueType", "registryValue"] {
                take(name, evidence, name);
            }
        }
        "mailboxEvidence" => {
            take("mailboxDisplayName", evidence, "displayName");
            take("mailboxAddress", evidence, "primaryAddress");
            user(&within("userAccount"), &mut take);
        }
        "analyzedMessageEvidence" => {
            take("sender", &within("p2Sender"), "emailAddress");
            take("recipient", evidence, "recipientEmailAddress");
            take("subject", evidence, "subject");
            take("deliveryAction", evidence, "deliveryAction");
        }
        "mailClusterEvidence" => take("clusterBy", evidence, "clusterBy"),
        "securityGroupEvidence" => {
            take("securityGroupId", evidence, "securityGroupId");
            take("securityGroupName", evidence, "displayName");
        }
        _ => {}
    }
    if let Some(status) = evidence.text_of("detectionStatus") {
        facts.push(("detectionStatus", Json::from(pascal(status))));
    }
    Some(facts)
}

fn entity_type(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "fileEvidence" => "File",
        "processEvidence" => "Process",
        "userEvidence" => "User",
        "ipEvidence" => "Ip",
        "urlEvidence" => "Url",
        "registryKeyEvidence" | "registryValueEvidence" => "Registry",
        "mailboxEvidence" => "MailBox",
        "analyzedMessageEvidence" => "MailMessage",
        "mailClusterEvidence" => "MailCluster",
        "securityGroupEvidence" => "SecurityGroup",
        _ => return None,
    })
}
