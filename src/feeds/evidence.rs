//! A piece of evidence as an event of its own: whose it is, what it says under CIM names, and the evidence as it came.

use std::borrow::Cow;

use super::gist::{About, Gist, registry_path};
use super::legacy::{self, Entity};
use super::names::name;
use crate::json::index::Kind;
use crate::json::value::{Object, Value};
use crate::json::{self, CUTOFF};
use crate::microsoft::object::Identity;

/// The most of one value in bytes; `evidence` has it in full where there is room.
const VALUE: usize = 700;

/// One event.
pub(super) struct EvidenceEvent {
    /// Compact JSON of less than [`CUTOFF`] bytes.
    pub(super) data: String,
    /// Whether everything the evidence says is in it.
    pub(super) is_whole: bool,
}

/// The event of evidence number `n` of an alert.
pub(super) fn event(
    n: usize,
    item: &legacy::Reading<'_>,
    alert: Object<'_>,
    identity: Identity,
    gist: &Gist<'_>,
) -> EvidenceEvent {
    let mut event = Flat { out: String::with_capacity(CUTOFF), known: Vec::with_capacity(40), room: CUTOFF - 700 };
    event.out.push('{');
    let own = item.members.object;
    let updated = alert.text(identity.updated);
    // One name for all APIs, and the first, where props.conf looks for the time.
    event.put("lastUpdateDateTime", updated);
    event.put("alertId", alert.text(identity.id));
    event.put("incidentId", alert.text("incidentId"));
    event.put("tenantId", alert.text("tenantId").or_else(|| alert.text("aadTenantId")));
    event.put("evidenceNumber", Some(Cow::Owned((n + 1).to_string())));
    event.put("entityType", Some(Cow::Borrowed(&*item.entity.kind)));
    let roles = roles(own).unwrap_or_default();
    event.put("role", roles.first().cloned());
    for name in [name!("verdict"), name!("remediationStatus"), name!("detectionStatus")] {
        event.put(name.text(), item.entity.text(name));
    }
    for name in ["title", "severity", "status", "category", "serviceSource", "detectionSource", "threatFamilyName"] {
        event.put(name, alert.text(name));
    }
    cim(&mut event, item, &roles);
    event.put("dest", gist.first(About::Dest).and_then(json::plain));
    event.put("dest_id", gist.first(About::DestId).and_then(json::plain));
    let flat = event.out.len();
    json::member(&mut event.out, "evidence");
    let begin = event.out.len();
    own.value().append_compact(&mut event.out);
    let is_whole = flat + (event.out.len() - begin) + 16 < CUTOFF;
    if !is_whole {
        event.out.truncate(flat);
        json::member(&mut event.out, "isCut");
        event.out.push_str("true");
    }
    event.out.push('}');
    EvidenceEvent { data: event.out, is_whole }
}

/// What the evidence plays in the attack; `None` unless it is a list of texts.
fn roles(evidence: Object<'_>) -> Option<Vec<Cow<'_, str>>> {
    let is_text = |value: &Value<'_>| matches!(value.kind(), Kind::Plain | Kind::Escaped);
    evidence.get("roles")?.list()?.map(|role| role.plain().filter(|_| is_text(&role))).collect()
}

/// The flat part of the event, as it grows.
struct Flat {
    out: String,
    /// The names in it.
    known: Vec<&'static str>,
    room: usize,
}

impl Flat {
    /// Adds a text, once per name, as far as there is room.
    fn put(&mut self, name: &'static str, value: Option<Cow<'_, str>>) {
        let Some(value) = value.filter(|value| !value.is_empty()) else { return };
        if self.known.contains(&name) {
            return;
        }
        let before = self.out.len();
        json::plain_member(&mut self.out, name);
        // The comma does not count.
        let counted = before + usize::from(before > 1);
        json::quote(&mut self.out, &value[..value.floor_char_boundary(VALUE)]);
        if before + (self.out.len() - counted) > self.room {
            self.out.truncate(before);
        } else {
            self.known.push(name);
        }
    }
}

/// What the evidence says, under the names of the Common Information Model.
fn cim(event: &mut Flat, item: &legacy::Reading<'_>, roles: &[Cow<'_, str>]) {
    let (entity, own) = (&item.entity, item.members.object);
    match &*entity.kind {
        "File" => file(event, entity),
        "Process" => process(event, entity),
        "User" | "MailBox" | "MailboxConfiguration" => user(event, entity),
        "Registry" => {
            event.put("registry_path", registry_path(entity).map(Cow::Owned));
            event.put("registry_hive", entity.text(name!("registryHive")));
            let key = entity.text(name!("registryKey")).map(|key| key.rsplit('\\').next().unwrap_or_default().to_owned());
            event.put("registry_key_name", key.map(Cow::Owned));
            event.put("registry_value_name", entity.text(name!("registryValueName")));
            event.put("registry_value_data", entity.text(name!("registryValue")));
            event.put("registry_value_type", entity.text(name!("registryValueType")));
        }
        "Device" | "IoTDevice" => {
            event.put("dest", entity.text(name!("deviceDnsName")).or_else(|| own.text("hostName")));
            event.put("dest_id", entity.text(name!("deviceId")));
            event.put("dest_ip", own.text("lastIpAddress"));
            event.put("os", own.text("osPlatform"));
        }
        "Ip" => {
            let is_target = roles.iter().any(|role| matches!(&**role, "destination" | "commandAndControl" | "attacked"));
            event.put(if is_target { "dest_ip" } else { "src_ip" }, entity.text(name!("ipAddress")));
        }
        "NetworkConnection" => {
            event.put("src_ip", inner(own, "sourceAddress", "ipAddress"));
            event.put("src_port", own.text("sourcePort"));
            event.put("dest_ip", inner(own, "destinationAddress", "ipAddress"));
            event.put("dest_port", own.text("destinationPort"));
            event.put("transport", own.text("protocol"));
        }
        "CloudLogonSession" | "HostLogonSession" => {
            event.put("session_id", own.text("sessionId"));
            event.put("http_user_agent", own.text("userAgent"));
            event.put("authentication_method", own.text("protocol"));
            event.put("src", own.text("deviceName"));
        }
        "MailMessage" | "SubmissionMail" | "TeamsMessage" => {
            event.put("src_user", entity.text(name!("sender")));
            event.put("recipient", entity.text(name!("recipient")));
            event.put("subject", entity.text(name!("subject")));
            event.put("src_ip", entity.text(name!("ipAddress")));
            event.put("message_id", own.text("internetMessageId").or_else(|| own.text("messageId")));
            event.put("internal_message_id", own.text("networkMessageId"));
            event.put("delivery_action", entity.text(name!("deliveryAction")));
        }
        "Malware" => event.put("signature", own.text("name")),
        "Dns" => event.put("query", own.text("domainName")),
        _ => {}
    }
    event.put("url", entity.text(name!("url")));
    event.put("ip", entity.text(name!("ipAddress")));
    for name in ["resourceName", "applicationName", "displayName", "name"] {
        event.put("object", own.text(name));
    }
    event.put("object_id", own.text("resourceId"));
    for inside in &item.inside {
        match &*inside.kind {
            "File" => file(event, inside),
            "Process" => process(event, inside),
            "User" => user(event, inside),
            "Device" => event.put("dest", inside.text(name!("deviceDnsName"))),
            _ => {}
        }
    }
}

fn file(event: &mut Flat, entity: &Entity<'_>) {
    event.put("file_name", entity.text(name!("fileName")));
    event.put("file_path", path(entity));
    event.put("file_hash", entity.text(name!("sha256")).or_else(|| entity.text(name!("sha1"))));
}

fn process(event: &mut Flat, entity: &Entity<'_>) {
    event.put("process", entity.text(name!("processCommandLine")));
    event.put("process_name", entity.text(name!("fileName")));
    event.put("process_path", path(entity));
    event.put("process_id", entity.text(name!("processId")));
    event.put("process_hash", entity.text(name!("sha256")).or_else(|| entity.text(name!("sha1"))));
    event.put("parent_process_id", entity.text(name!("parentProcessId")));
    event.put("parent_process_name", entity.text(name!("parentProcessFileName")));
    event.put("parent_process_path", entity.text(name!("parentProcessFilePath")));
    user(event, entity);
}

fn user(event: &mut Flat, entity: &Entity<'_>) {
    let mailbox = || entity.text(name!("mailboxAddress"));
    event.put("user", entity.text(name!("userPrincipalName")).or_else(|| entity.text(name!("accountName"))).or_else(mailbox));
    event.put("user_name", entity.text(name!("accountName")));
    event.put("user_id", entity.text(name!("userSid")).or_else(|| entity.text(name!("aadUserId"))));
    event.put("user_domain", entity.text(name!("domainName")));
}

/// Folder and name: Microsoft keeps them apart.
fn path<'a>(entity: &'a Entity<'_>) -> Option<Cow<'a, str>> {
    let (folder, name) = (entity.text(name!("filePath"))?, entity.text(name!("fileName")));
    Some(match name {
        Some(name) if !folder.ends_with(&*name) => {
            let separator = if folder.contains('/') && !folder.contains('\\') { '/' } else { '\\' };
            Cow::Owned(format!("{}{separator}{name}", folder.trim_end_matches(separator)))
        }
        _ => folder,
    })
}

fn inner<'a>(evidence: Object<'a>, object: &str, name: &str) -> Option<Cow<'a, str>> {
    evidence.get(object)?.object()?.text(name)
}
