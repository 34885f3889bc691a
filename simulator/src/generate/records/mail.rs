//! The tables of mail, of links that were clicked, and of Teams messages.

use super::{LINKS, Scene, Values, text};
use crate::json::Json;
use crate::object;

/// Subjects, some with what has to be escaped.
const SUBJECTS: [&str; 3] = ["Ihre Rechnung für März", "請求書の件", "Re: \"CASE-4711\"\t<ticket> & more"];

/// What mail that is a threat has besides.
struct Verdict {
    threats: Option<&'static str>,
    names: Option<&'static str>,
    methods: Json,
    action: &'static str,
    location: &'static str,
}

fn verdict(scene: &mut Scene<'_>) -> Verdict {
    let (threats, names, action, location) = scene.pick(&[
        (None, None, "Delivered", "Inbox/folder"),
        (None, None, "Delivered", "Inbox/folder"),
        (Some("Spam"), None, "Junked", "Junk folder"),
        (Some("Phish"), None, "Blocked", "Quarantine"),
        (Some("Malware, Phish"), Some("Trojan_PDF_Phish_A"), "Blocked", "Dropped"),
        (Some("Malware"), Some("Trojan_Win32_Agent"), "Replaced", "Inbox/folder"),
    ]);
    let methods =
        threats.map_or(Json::Null, |kind| text(&object! { kind.split(',').next().unwrap_or(kind) => ["Fingerprint matching"] }));
    Verdict { threats, names, methods, action, location }
}

/// Network message id, and the report id made of it.
fn ids(scene: &mut Scene<'_>) -> Values {
    let id = scene.chance.guid();
    let report = format!("{id}-{}-1", scene.chance.below(u64::MAX));
    vec![("NetworkMessageId", id.into()), ("ReportId", report.into())]
}

/// An address outside, which also is a host name with letters that are not ASCII.
fn sender(scene: &mut Scene<'_>) -> (String, String) {
    let domain = scene.pick(&["example.org", "contoso-secure.example", "müller.example"]);
    (format!("{}@{domain}", scene.pick(&["rechnung", "n.o'connor", "no-reply"])), domain.to_owned())
}

pub(super) fn event(scene: &mut Scene<'_>) -> Values {
    let verdict = verdict(scene);
    let (address, domain) = sender(scene);
    let mut values = ids(scene);
    let six = scene.chance.percent(20);
    values.extend([
        ("InternetMessageId", format!("<{}@mail.{domain}>", scene.chance.hex(20)).into()),
        ("SenderMailFromAddress", format!("bounce@{domain}").into()),
        ("SenderFromAddress", address.into()),
        ("SenderDisplayName", scene.some(80, "Buchhaltung „Süd“")),
        ("SenderMailFromDomain", (&domain).into()),
        ("SenderFromDomain", (&domain).into()),
        ("SenderIPv4", if six { Json::Null } else { "198.51.100.77".into() }),
        ("SenderIPv6", if six { "2001:db8::77".into() } else { Json::Null }),
        ("RecipientEmailAddress", (&scene.person.principal).into()),
        ("RecipientObjectId", (&scene.person.object_id).into()),
        ("RecipientDomain", "contoso.onmicrosoft.com".into()),
        ("Subject", scene.pick(&SUBJECTS).into()),
        ("EmailClusterId", (scene.chance.below(4_000_000_000) as i64).into()),
        ("EmailDirection", scene.pick(&["Inbound", "Outbound", "Intra-org"]).into()),
        ("DeliveryAction", verdict.action.into()),
        ("DeliveryLocation", verdict.location.into()),
        ("ThreatTypes", verdict.threats.into()),
        ("ThreatNames", verdict.names.into()),
        ("DetectionMethods", verdict.methods),
        ("AuthenticationDetails", text(&object! { "SPF" => "pass", "DKIM" => "none", "DMARC" => "fail" })),
        ("AttachmentCount", 1.into()),
        ("UrlCount", 2.into()),
        ("EmailLanguage", "de".into()),
        ("OrgLevelAction", scene.some(10, "Allow")),
        ("To", vec![format!("K <{}>", scene.person.principal)].into()),
        ("Cc", Json::List(Vec::new())),
        ("EmailSize", (1_000 + scene.chance.below(900_000) as i64).into()),
        ("IsFirstContact", scene.chance.percent(20).into()),
    ]);
    values
}

pub(super) fn attachment(scene: &mut Scene<'_>) -> Values {
    let verdict = verdict(scene);
    let mut values = ids(scene);
    values.extend([
        ("SenderFromAddress", sender(scene).0.into()),
        ("SenderDisplayName", "Buchhaltung".into()),
        ("SenderObjectId", scene.chance.guid().into()),
        ("RecipientEmailAddress", (&scene.person.principal).into()),
        ("RecipientObjectId", (&scene.person.object_id).into()),
        ("FileName", "Rechnung_März.docm".into()),
        ("FileType", "docm".into()),
        ("FileExtension", ".docm".into()),
        ("SHA256", scene.chance.hex(64).into()),
        ("FileSize", (1_000 + scene.chance.below(900_000) as i64).into()),
        ("ThreatTypes", verdict.threats.into()),
        ("ThreatNames", verdict.names.into()),
        ("DetectionMethods", verdict.methods),
    ]);
    values
}

pub(super) fn link(scene: &mut Scene<'_>) -> Values {
    let (link, host) = scene.pick(&LINKS);
    let mut values = ids(scene);
    values.extend([
        ("Url", link.into()),
        ("UrlDomain", host.into()),
        ("UrlLocation", scene.pick(&["Body", "Header", "Attachment"]).into()),
        ("UrlChainPosition", 0.into()),
    ]);
    values
}

pub(super) fn post_delivery(scene: &mut Scene<'_>) -> Values {
    let (kind, action, location, result) = scene.pick(&[
        ("Phish ZAP", "Moved to quarantine", "Quarantine", "Success"),
        ("Spam ZAP", "Moved to junk", "Junk folder", "Success"),
        ("Manual Remediation", "Soft delete", "Deleted items", "Success"),
        ("Malware ZAP", "Moved to quarantine", "Inbox/folder", "Error"),
    ]);
    let mut values = ids(scene);
    values.extend([
        ("InternetMessageId", format!("<{}@mail.example.org>", scene.chance.hex(20)).into()),
        ("RecipientEmailAddress", (&scene.person.principal).into()),
        ("SenderFromAddress", sender(scene).0.into()),
        ("Action", action.into()),
        ("ActionType", kind.into()),
        ("ActionTrigger", "SpecialAction".into()),
        ("ActionResult", result.into()),
        ("DeliveryLocation", location.into()),
        ("ThreatTypes", scene.some(80, "Phish")),
        ("DetectionMethods", scene.some(80, r#"{"Phish":["URL malicious reputation"]}"#)),
    ]);
    values
}

pub(super) fn click(scene: &mut Scene<'_>) -> Values {
    let (link, _) = scene.pick(&LINKS);
    let mut values = ids(scene);
    values.extend([
        ("Url", link.into()),
        ("UrlChain", text(&Json::from([link]))),
        ("ActionType", scene.pick(&["ClickAllowed", "ClickAllowed", "ClickBlocked", "UrlErrorPage", "UrlScanInProgress"]).into()),
        ("AccountUpn", (&scene.person.principal).into()),
        ("Workload", scene.pick(&["Email", "Teams", "Office"]).into()),
        ("IPAddress", scene.outside().into()),
        ("IsClickedThrough", scene.chance.percent(20).into()),
        ("AppName", "Outlook".into()),
        ("AppVersion", "16.0".into()),
        ("SourceId", scene.chance.guid().into()),
    ]);
    values
}

/// Who a Teams message went to.
fn recipients(scene: &Scene<'_>) -> Json {
    Json::List(vec![object! {
        "RecipientObjectId" => &scene.person.object_id, "RecipientSmtpAddress" => &scene.person.principal,
        "RecipientDisplayName" => &scene.person.name, "RecipientType" => "User",
    }])
}

pub(super) fn message(scene: &mut Scene<'_>) -> Values {
    let id = scene.chance.below(2_000_000_000_000).to_string();
    vec![
        ("LastEditedTime", "0001-01-01T00:00:00Z".into()),
        ("TeamsMessageId", (&id).into()),
        ("SenderEmailAddress", sender(scene).0.into()),
        ("SenderDisplayName", "Extern".into()),
        ("SenderObjectId", scene.chance.guid().into()),
        ("SenderType", "User".into()),
        ("RecipientDetails", recipients(scene)),
        ("IsOwnedThread", true.into()),
        ("MessageId", (&id).into()),
        ("ParentMessageId", id.into()),
        ("ThreadId", format!("19:{}@thread.v2", scene.chance.hex(32)).into()),
        ("ThreadType", "chat".into()),
        ("ThreadSubType", "OneOnOne".into()),
        ("IsExternalThread", true.into()),
        ("MessageType", "Message".into()),
        ("MessageSubtype", "RichText/Html".into()),
        ("MessageVersion", "1".into()),
        ("Subject", scene.some(20, "Projekt Süd")),
        ("DeliveryAction", scene.pick(&["Delivered", "Blocked"]).into()),
        ("DeliveryLocation", scene.pick(&["Teams", "Quarantine"]).into()),
        ("ReportId", scene.chance.guid().into()),
    ]
}

pub(super) fn message_post_delivery(scene: &mut Scene<'_>) -> Values {
    vec![
        ("TeamsMessageId", scene.chance.below(2_000_000_000_000).to_string().into()),
        ("Action", "Moved to quarantine".into()),
        ("ActionType", "Phish ZAP".into()),
        ("ActionTrigger", "SpecialAction".into()),
        ("ActionResult", "Success".into()),
        ("SenderEmailAddress", sender(scene).0.into()),
        ("RecipientDetails", recipients(scene)),
        ("ThreadTypes", "Phish".into()),
        ("LatestDeliveryLocation", "Quarantine".into()),
        ("ReportId", scene.chance.guid().into()),
        ("IsExternalThread", true.into()),
    ]
}

pub(super) fn message_link(scene: &mut Scene<'_>) -> Values {
    let (link, host) = scene.pick(&LINKS);
    vec![
        ("TeamsMessageId", scene.chance.below(2_000_000_000_000).to_string().into()),
        ("Url", link.into()),
        ("UrlDomain", host.into()),
        ("ReportId", scene.chance.guid().into()),
    ]
}
