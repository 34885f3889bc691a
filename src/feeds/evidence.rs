//! A piece of evidence as an event of its own: whose it is, what it says under CIM names, and the evidence as it came.

use std::borrow::Cow;

use super::gist::{Gist, registry_path};
use super::legacy::{self, Entity};
use crate::json::{self, CUTOFF, Members};
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
pub(super) fn event(n: usize, item: &legacy::Reading<'_>, alert: &Members<'_>, identity: Identity, gist: &Gist) -> EvidenceEvent {
    let mut event = Flat { out: String::from("{"), room: CUTOFF - 700 };
    let updated = alert.text(identity.updated);
    // One name for all APIs, and the first, where props.conf looks for the time.
    event.put("lastUpdateDateTime", updated);
    event.put("alertId", alert.text(identity.id));
    event.put("incidentId", alert.text("incidentId"));
    event.put("tenantId", alert.text("tenantId").or_else(|| alert.text("aadTenantId")));
    event.put("evidenceNumber", Some(Cow::Owned((n + 1).to_string())));
    event.put("entityType", Some(Cow::Borrowed(&*item.entity.kind)));
    let roles: Vec<Cow<'_, str>> =
        item.members.get("roles").and_then(|list| serde_json::from_str(list.get()).ok()).unwrap_or_default();
    event.put("role", roles.first().cloned());
    for name in ["verdict", "remediationStatus", "detectionStatus"] {
        event.put(name, item.entity.text(name));
    }
    for name in ["title", "severity", "status", "category", "serviceSource", "detectionSource", "threatFamilyName"] {
        event.put(name, alert.text(name));
    }
    cim(&mut event, item, &roles);
    for name in ["dest", "dest_id"] {
        event.put(name, gist.first(name).and_then(json::plain));
    }
    let mut whole = String::new();
    json::append_compact(&mut whole, &members_text(&item.members));
    let is_whole = event.out.len() + whole.len() + 16 < CUTOFF;
    json::member(&mut event.out, if is_whole { "evidence" } else { "isCut" });
    event.out.push_str(if is_whole { &whole } else { "true" });
    event.out.push('}');
    EvidenceEvent { data: event.out, is_whole }
}

fn members_text(members: &Members<'_>) -> String {
    let mut out = String::from("{");
    for (name, value) in &members.0 {
        json::member(&mut out, name);
        out.push_str(value.get());
    }
    out.push('}');
    out
}

/// The flat part of the event, as it grows.
struct Flat {
    out: String,
    room: usize,
}

impl Flat {
    /// Adds a text, once per name, as far as there is room.
    fn put(&mut self, name: &str, value: Option<Cow<'_, str>>) {
        let Some(value) = value.filter(|value| !value.is_empty()) else { return };
        let mut member = String::from("\"");
        member.push_str(name);
        member.push_str("\":");
        let is_known = self.out.contains(&format!("{{{member}")) || self.out.contains(&format!(",{member}"));
        json::quote(&mut member, &value[..value.floor_char_boundary(VALUE)]);
        if is_known || self.out.len() + member.len() > self.room {
            return;
        }
        if !self.out.ends_with('{') {
            self.out.push(',');
        }
        self.out.push_str(&member);
    }
}

/// What the evidence says, under the names of the Common Information Model.
fn cim(event: &mut Flat, item: &legacy::Reading<'_>, roles: &[Cow<'_, str>]) {
    let entity = &item.entity;
    match &*entity.kind {
        "File" => file(event, entity),
        "Process" => process(event, entity),
        "User" | "MailBox" | "MailboxConfiguration" => user(event, entity),
        "Registry" => {
            event.put("registry_path", registry_path(entity).map(Cow::Owned));
            event.put("registry_hive", entity.text("registryHive"));
            let key = entity.text("registryKey").map(|key| key.rsplit('\\').next().unwrap_or_default().to_owned());
            event.put("registry_key_name", key.map(Cow::Owned));
            event.put("registry_value_name", entity.text("registryValueName"));
            event.put("registry_value_data", entity.text("registryValue"));
            event.put("registry_value_type", entity.text("registryValueType"));
        }
        "Device" | "IoTDevice" => {
            event.put("dest", entity.text("deviceDnsName").or_else(|| item.members.text("hostName")));
            event.put("dest_id", entity.text("deviceId"));
            event.put("dest_ip", item.members.text("lastIpAddress"));
            event.put("os", item.members.text("osPlatform"));
        }
        "Ip" => {
            let is_target = roles.iter().any(|role| matches!(&**role, "destination" | "commandAndControl" | "attacked"));
            event.put(if is_target { "dest_ip" } else { "src_ip" }, entity.text("ipAddress"));
        }
        "NetworkConnection" => {
            event.put("src_ip", inner(&item.members, "sourceAddress", "ipAddress"));
            event.put("src_port", item.members.text("sourcePort"));
            event.put("dest_ip", inner(&item.members, "destinationAddress", "ipAddress"));
            event.put("dest_port", item.members.text("destinationPort"));
            event.put("transport", item.members.text("protocol"));
        }
        "CloudLogonSession" | "HostLogonSession" => {
            event.put("session_id", item.members.text("sessionId"));
            event.put("http_user_agent", item.members.text("userAgent"));
            event.put("authentication_method", item.members.text("protocol"));
            event.put("src", item.members.text("deviceName"));
        }
        "MailMessage" | "SubmissionMail" | "TeamsMessage" => {
            event.put("src_user", entity.text("sender"));
            event.put("recipient", entity.text("recipient"));
            event.put("subject", entity.text("subject"));
            event.put("src_ip", entity.text("ipAddress"));
            event.put("message_id", item.members.text("internetMessageId").or_else(|| item.members.text("messageId")));
            event.put("internal_message_id", item.members.text("networkMessageId"));
            event.put("delivery_action", entity.text("deliveryAction"));
        }
        "Malware" => event.put("signature", item.members.text("name")),
        "Dns" => event.put("query", item.members.text("domainName")),
        _ => {}
    }
    event.put("url", entity.text("url"));
    event.put("ip", entity.text("ipAddress"));
    for name in ["resourceName", "applicationName", "displayName", "name"] {
        event.put("object", item.members.text(name));
    }
    event.put("object_id", item.members.text("resourceId"));
    for inside in &item.inside {
        match &*inside.kind {
            "File" => file(event, inside),
            "Process" => process(event, inside),
            "User" => user(event, inside),
            "Device" => event.put("dest", inside.text("deviceDnsName")),
            _ => {}
        }
    }
}

fn file(event: &mut Flat, entity: &Entity<'_>) {
    event.put("file_name", entity.text("fileName"));
    event.put("file_path", path(entity));
    event.put("file_hash", entity.text("sha256").or_else(|| entity.text("sha1")));
}

fn process(event: &mut Flat, entity: &Entity<'_>) {
    event.put("process", entity.text("processCommandLine"));
    event.put("process_name", entity.text("fileName"));
    event.put("process_path", path(entity));
    event.put("process_id", entity.text("processId"));
    event.put("process_hash", entity.text("sha256").or_else(|| entity.text("sha1")));
    event.put("parent_process_id", entity.text("parentProcessId"));
    event.put("parent_process_name", entity.text("parentProcessFileName"));
    event.put("parent_process_path", entity.text("parentProcessFilePath"));
    user(event, entity);
}

fn user(event: &mut Flat, entity: &Entity<'_>) {
    let mailbox = || entity.text("mailboxAddress");
    event.put("user", entity.text("userPrincipalName").or_else(|| entity.text("accountName")).or_else(mailbox));
    event.put("user_name", entity.text("accountName"));
    event.put("user_id", entity.text("userSid").or_else(|| entity.text("aadUserId")));
    event.put("user_domain", entity.text("domainName"));
}

/// Folder and name: Microsoft keeps them apart.
fn path<'a>(entity: &'a Entity<'_>) -> Option<Cow<'a, str>> {
    let (folder, name) = (entity.text("filePath")?, entity.text("fileName"));
    Some(match name {
        Some(name) if !folder.ends_with(&*name) => {
            let separator = if folder.contains('/') && !folder.contains('\\') { '/' } else { '\\' };
            Cow::Owned(format!("{}{separator}{name}", folder.trim_end_matches(separator)))
        }
        _ => folder,
    })
}

fn inner<'a>(members: &Members<'a>, object: &str, name: &str) -> Option<Cow<'a, str>> {
    Members::read(members.get(object)?.get()).ok()?.text(name)
}
