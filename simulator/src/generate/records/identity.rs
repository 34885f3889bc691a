//! The tables of identities: sign-ins, queries to the directory, changes in it, and the accounts themselves.

use super::{Scene, Values};
use crate::json::Json;
use crate::object;

/// A domain controller, and how it was reached.
fn controller(scene: &mut Scene<'_>, protocol: &str) -> Values {
    vec![
        ("DestinationDeviceName", "dc-001.contoso.com".into()),
        ("DestinationIPAddress", "10.0.0.10".into()),
        ("DestinationPort", (if protocol == "Dns" { 53 } else { 389 }).into()),
        ("Protocol", protocol.into()),
        ("DeviceName", (&scene.device.name).into()),
        ("IPAddress", scene.inside().into()),
        ("Port", scene.port().into()),
    ]
}

pub(super) fn logon(scene: &mut Scene<'_>) -> Values {
    let failed = scene.chance.percent(40);
    let on_premises = scene.chance.percent(50);
    let mut values = scene.person_values();
    if on_premises {
        values.extend(controller(scene, "Kerberos"));
    } else {
        values.push(("IPAddress", scene.outside().into()));
    }
    let more = object! {
        "Count" => "1", "SourceAccountName" => format!(r"CONTOSO\{}", scene.person.name), "ACTOR.ACCOUNT" => &scene.person.name,
        "TO.DEVICE" => "dc-001",
    };
    values.extend([
        ("ActionType", (if failed { "LogonFailed" } else { "LogonSuccess" }).into()),
        (
            "Application",
            scene.pick(if on_premises { &["Active Directory"] } else { &["Microsoft 365", "Microsoft Azure"] }).into(),
        ),
        ("LogonType", (if on_premises { "Credentials validation" } else { "Cloud login" }).into()),
        ("FailureReason", if failed { "WrongPassword".into() } else { Json::Null }),
        ("AccountDisplayName", (&scene.person.name).into()),
        ("TargetDeviceName", if on_premises { scene.some(30, "srv-file-001.contoso.com") } else { Json::Null }),
        ("DeviceType", scene.some(50, "Desktop")),
        ("OSPlatform", scene.some(50, "Windows 11")),
        ("Location", scene.some(50, "DE")),
        ("ISP", scene.some(50, "Beispiel Netz")),
        ("ReportId", scene.chance.guid().into()),
        ("AdditionalFields", more),
        ("UncommonForUser", if on_premises { Json::Null } else { Json::from(["ISP"]) }),
        (
            "LastSeenForUser",
            if on_premises {
                Json::Null
            } else {
                object! { "ISP" => 3, "Application" => 0 }
            },
        ),
    ]);
    values
}

pub(super) fn query(scene: &mut Scene<'_>) -> Values {
    let (action, kind, target, protocol) = scene.pick(&[
        ("DNS query", "Axfr", "contoso.com", "Dns"),
        ("DNS query", "A", "srv-file-001.contoso.com", "Dns"),
        ("LDAP query", "AllUsers", "contoso.com", "Ldap"),
        ("SAMR query", "EnumerateUsers", "Domain Admins", "Samr"),
    ]);
    let mut values = controller(scene, protocol);
    if protocol != "Dns" {
        values.extend(scene.person_values());
    }
    values.extend([
        ("ActionType", action.into()),
        ("Application", "Active Directory".into()),
        ("QueryType", kind.into()),
        ("QueryTarget", target.into()),
        ("Query", if protocol == "Ldap" { "(&(objectClass=user)(adminCount=1))".into() } else { Json::Null }),
        ("ReportId", scene.chance.guid().into()),
        ("AdditionalFields", object! { "Count" => "1", "TO.DEVICE" => "dc-001" }),
    ]);
    values
}

pub(super) fn directory(scene: &mut Scene<'_>) -> Values {
    let action = scene.pick(&[
        "Account Password changed",
        "Group Membership changed",
        "Account disabled",
        "Account enabled",
        "Account Deleted changed",
        "User Principal Name changed",
        "SMB file copy",
        "PowerShell execution",
        "Service creation",
    ]);
    let mut values = controller(scene, "Ldap");
    values.extend(scene.person_values());
    let of_account = action.starts_with("Account") || action.ends_with("changed");
    values.extend([
        ("ActionType", action.into()),
        ("Application", "Active Directory".into()),
        ("TargetAccountUpn", if of_account { "zoe@contoso.onmicrosoft.com".into() } else { Json::Null }),
        ("TargetAccountDisplayName", if of_account { "Zoë".into() } else { Json::Null }),
        ("TargetDeviceName", if of_account { Json::Null } else { "srv-file-001.contoso.com".into() }),
        ("AccountDisplayName", (&scene.person.name).into()),
        ("ReportId", scene.chance.guid().into()),
        ("AdditionalFields", object! { "Count" => "1", "ACTOR.ACCOUNT" => &scene.person.name, "TO.DEVICE" => "dc-001" }),
    ]);
    values
}

pub(super) fn info(scene: &mut Scene<'_>) -> Values {
    let mut values = scene.person_values();
    values.extend([
        ("AccountDisplayName", (&scene.person.name).into()),
        ("OnPremSid", (&scene.person.sid).into()),
        ("CloudSid", format!("S-1-12-1-{}", scene.chance.below(4_000_000_000)).into()),
        ("GivenName", scene.some(80, "Zoë")),
        ("Surname", scene.some(80, "Müller")),
        ("EmailAddress", (&scene.person.principal).into()),
        ("SipProxyAddress", "".into()),
        ("IsAccountEnabled", scene.chance.percent(90).into()),
        ("ChangeSource", "AzureActiveDirectory".into()),
        ("RiskLevel", scene.some(20, "High")),
        ("Tags", Json::List(vec!["Sensitive".into()])),
        ("CreatedDateTime", scene.earlier(90_000_000)),
        ("SourceProvider", "Hybrid".into()),
        ("SourceProviders", Json::from(["ActiveDirectory", "AzureActiveDirectory"])),
        ("CriticalityLevel", scene.some(30, 1)),
        ("Type", "User".into()),
        ("IdentityId", scene.chance.guid().into()),
        ("IdentityEnvironment", "Hybrid".into()),
        ("ReportId", scene.chance.guid().into()),
    ]);
    values
}
