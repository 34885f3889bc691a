//! The `cim` member of a compact alert: who and what it is about, gathered from evidence of any length, short enough to
//! stand in the first bytes of the event, where Splunk looks for fields. The evidence itself has the whole of it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::legacy;
use crate::json::{self, Members};

/// The most the member may take, in bytes.
const BUDGET: usize = 1_500;
/// The most values of one name.
const VALUES: usize = 8;
/// The most of one value, in bytes; a longer command line is cut, anything else left out.
const VALUE: usize = 320;

/// The names in the order in which they get room.
const NAMES: [&str; 18] = [
    "dest",
    "user",
    "remediation",
    "signature",
    "file_name",
    "file_hash",
    "process",
    "ip",
    "url",
    "src_user",
    "recipient",
    "dest_id",
    "registry_path",
    "file_path",
    "process_name",
    "user_name",
    "subject",
    "resource",
];

/// Values by name, none twice.
#[derive(Default)]
pub(super) struct Gist([Vec<String>; NAMES.len()]);

impl Gist {
    /// What an alert and its evidence say.
    pub(super) fn of<'a>(alert: &Members<'_>, evidence: impl Iterator<Item = &'a legacy::Reading<'a>> + Clone) -> Self {
        let mut gist = Self::default();
        gist.take_devices(alert);
        for reading in evidence.clone() {
            gist.take(&reading.entity);
            reading.inside.iter().for_each(|entity| gist.take(entity));
            gist.take_own(reading);
        }
        if gist.of_name("user").is_empty() {
            if let Some(Ok(related)) = alert.get("relatedUser").map(|raw| Members::read(raw.get())) {
                gist.note("user", related.text("userName"));
            }
            for entity in evidence.map(|reading| &reading.entity).filter(|entity| entity.kind == "Process") {
                gist.note("user", entity.text("userPrincipalName").or_else(|| entity.text("accountName")));
            }
        }
        gist
    }

    /// The first value of a name, as JSON.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.of_name(name).first().map(String::as_str)
    }

    /// As a JSON object of lists, within [`BUDGET`]; `None` when it would be empty.
    pub(super) fn text(&self) -> Option<String> {
        let mut kept = [0; NAMES.len()];
        let mut room = BUDGET;
        // First the first value of each name, then the second of each, so that a long list leaves room for the others.
        for turn in 0..VALUES {
            for (values, kept) in self.0.iter().zip(&mut kept) {
                let Some(value) = values.get(turn).filter(|_| *kept == turn) else { continue };
                let cost = value.len() + if turn == 0 { 24 } else { 1 };
                if cost <= room {
                    room -= cost;
                    *kept += 1;
                }
            }
        }
        let mut out = String::from("{");
        for ((name, values), kept) in NAMES.iter().zip(&self.0).zip(kept).filter(|(_, kept)| *kept > 0) {
            json::member(&mut out, name);
            out.push('[');
            out.push_str(&values[..kept].join(","));
            out.push(']');
        }
        out.push('}');
        (out.len() > 2).then_some(out)
    }

    fn of_name(&self, name: &str) -> &[String] {
        NAMES.iter().position(|known| *known == name).map_or(&[], |at| &self.0[at])
    }

    fn note(&mut self, name: &str, value: Option<Cow<'_, str>>) {
        let (Some(at), Some(value)) = (NAMES.iter().position(|known| *known == name), value) else { return };
        let value = match value.len() {
            0 => return,
            1..=VALUE => value,
            _ if name == "process" => Cow::Owned(value[..value.floor_char_boundary(VALUE)].to_owned()),
            _ => return,
        };
        let mut quoted = String::with_capacity(value.len() + 2);
        json::quote(&mut quoted, &value);
        if self.0[at].len() < VALUES && !self.0[at].contains(&quoted) {
            self.0[at].push(quoted);
        }
    }

    /// The devices that the Defender APIs list beside the evidence.
    fn take_devices(&mut self, alert: &Members<'_>) {
        self.note("dest", alert.text("computerDnsName"));
        self.note("dest_id", alert.text("machineId"));
        let devices: Vec<&RawValue> =
            alert.get("devices").and_then(|list| serde_json::from_str(list.get()).ok()).unwrap_or_default();
        for device in devices.into_iter().filter_map(|raw| Members::read(raw.get()).ok()) {
            self.note("dest", device.text("deviceDnsName"));
            self.note("dest_id", device.text("mdatpDeviceId"));
        }
    }

    fn take(&mut self, entity: &legacy::Entity<'_>) {
        match &*entity.kind {
            "User" | "MailBox" => {
                self.note("user", entity.text("userPrincipalName").or_else(|| entity.text("accountName")));
                self.note("user", entity.text("mailboxAddress").filter(|_| entity.text("userPrincipalName").is_none()));
                self.note("user_name", entity.text("accountName"));
            }
            "Device" | "IoTDevice" => {
                self.note("dest", entity.text("deviceDnsName"));
                self.note("dest_id", entity.text("deviceId"));
            }
            _ => {}
        }
        // What Microsoft found clean is no finding; the published detections leave it out as well.
        if entity.text("verdict").as_deref() == Some("Clean") {
            return;
        }
        let remediation = entity.text("remediationStatus").filter(|status| !status.eq_ignore_ascii_case("none"));
        let status = remediation.or_else(|| entity.text("detectionStatus")).map(|status| status.to_lowercase());
        self.note("remediation", status.map(Cow::Owned));
        match &*entity.kind {
            "File" => {
                self.note("file_name", entity.text("fileName"));
                self.note("file_path", entity.text("filePath"));
                self.note("file_hash", entity.text("sha256").or_else(|| entity.text("sha1")));
            }
            "Process" => {
                self.note("process_name", entity.text("fileName"));
                self.note("process", entity.text("processCommandLine"));
            }
            "Registry" => self.note("registry_path", registry_path(entity).map(Cow::Owned)),
            _ => {}
        }
        for (name, member) in
            [("ip", "ipAddress"), ("url", "url"), ("src_user", "sender"), ("recipient", "recipient"), ("subject", "subject")]
        {
            self.note(name, entity.text(member));
        }
    }

    /// What the old names have no word for.
    fn take_own(&mut self, reading: &legacy::Reading<'_>) {
        match reading.graph_type.as_deref() {
            Some("malware") => self.note("signature", reading.members.text("name")),
            Some("azureResource" | "amazonResource" | "googleCloudResource") => {
                self.note("resource", reading.members.text("resourceName"));
            }
            Some("device") if reading.entity.text("deviceDnsName").is_none() => {
                self.note("dest", reading.members.text("hostName"));
            }
            _ => {}
        }
    }
}

/// `HKEY_LOCAL_MACHINE\SOFTWARE\…`, as far as it is known.
pub(super) fn registry_path(entity: &legacy::Entity<'_>) -> Option<String> {
    let key = entity.text("registryKey")?;
    Some(match entity.text("registryHive") {
        Some(hive) if !key.starts_with(&*hive) => format!("{hive}\\{key}"),
        _ => key.into_owned(),
    })
}
