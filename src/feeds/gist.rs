//! The `cim` member of a compact alert: who and what it is about, gathered from evidence of any length, short enough to
//! stand in the first bytes of the event, where Splunk looks for fields. The evidence itself has the whole of it.

use std::borrow::Cow;

use super::names::name;
use super::{legacy, spelling};
use crate::json;
use crate::json::value::Object;

/// The most the member may take, in bytes.
const BUDGET: usize = 1_500;
/// The most values of one name.
const VALUES: usize = 8;
/// The most of one value, in bytes; a longer command line is cut, anything else left out.
const VALUE: usize = 320;

/// What is gathered, in the order in which it gets room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    Dest,
    User,
    Remediation,
    Signature,
    FileName,
    FileHash,
    Process,
    Ip,
    Url,
    SrcUser,
    Recipient,
    DestId,
    RegistryPath,
    FilePath,
    ProcessName,
    UserName,
    Subject,
    Resource,
}

/// The names of [`About`].
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

/// Values as JSON strings in the order they were found, none twice under one name.
#[derive(Default)]
pub(super) struct Gist<'a> {
    values: Vec<(About, Cow<'a, str>)>,
    /// How many there are of each name.
    counts: [usize; NAMES.len()],
}

impl<'a> Gist<'a> {
    /// What an alert and its evidence say.
    pub(super) fn of(alert: Object<'a>, evidence: impl Iterator<Item = &'a legacy::Reading<'a>> + Clone) -> Self {
        let mut gist = Self { values: Vec::with_capacity(24), ..Self::default() };
        gist.take_devices(alert);
        for reading in evidence.clone() {
            gist.take(&reading.entity);
            reading.inside.iter().for_each(|entity| gist.take(entity));
            gist.take_own(reading);
        }
        if gist.counts[About::User as usize] == 0 {
            if let Some(related) = alert.get("relatedUser").and_then(|value| value.object()) {
                gist.note(About::User, related.text("userName"));
            }
            for entity in evidence.map(|reading| &reading.entity).filter(|entity| entity.kind == "Process") {
                gist.note_user(entity);
            }
        }
        gist
    }

    /// The first value of a name, as JSON.
    pub(super) fn first(&self, about: About) -> Option<&str> {
        self.of_name(about as usize).next()
    }

    /// Appends it as a JSON object of lists, within [`BUDGET`]; nothing when it would be empty.
    pub(super) fn append(&self, out: &mut String) {
        let kept = self.fitting();
        if kept.iter().all(|kept| *kept == 0) {
            return;
        }
        out.push('{');
        for (n, name) in NAMES.iter().enumerate().filter(|(n, _)| kept[*n] > 0) {
            json::plain_member(out, name);
            let before = out.len();
            for value in self.of_name(n).take(kept[n]) {
                out.push(if out.len() == before { '[' } else { ',' });
                out.push_str(value);
            }
            out.push(']');
        }
        out.push('}');
    }

    /// How many values of each name have room: first the first value of each, then the second of each, so that a long list
    /// leaves room for the others.
    fn fitting(&self) -> [usize; NAMES.len()] {
        let mut kept = [0; NAMES.len()];
        let mut room = BUDGET;
        let most = self.counts.iter().max().copied().unwrap_or_default();
        for turn in 0..most {
            for (n, kept) in kept.iter_mut().enumerate().filter(|(n, kept)| **kept == turn && self.counts[*n] > turn) {
                let cost = self.of_name(n).nth(turn).map_or(0, str::len) + if turn == 0 { 24 } else { 1 };
                if cost <= room {
                    room -= cost;
                    *kept += 1;
                }
            }
        }
        kept
    }

    fn of_name(&self, n: usize) -> impl Iterator<Item = &str> {
        self.values.iter().filter(move |(about, _)| *about as usize == n).map(|(_, value)| &**value)
    }

    fn note(&mut self, about: About, value: Option<Cow<'_, str>>) {
        let Some(value) = value else { return };
        let value = match value.len() {
            0 => return,
            1..=VALUE => value,
            _ if about == About::Process => Cow::Owned(value[..value.floor_char_boundary(VALUE)].to_owned()),
            _ => return,
        };
        self.add(about, Cow::Owned(json::quoted(&value)));
    }

    /// Notes a value that is JSON already; a short string without escapes is taken as it is.
    fn note_json(&mut self, about: About, value: Option<&'a Cow<'a, str>>) {
        match value.map(|value| (value, json::plain(value))) {
            Some((json, Some(Cow::Borrowed(text)))) if (1..=VALUE).contains(&text.len()) && json.starts_with('"') => {
                self.add(about, Cow::Borrowed(json));
            }
            Some((_, text)) => self.note(about, text),
            None => {}
        }
    }

    fn add(&mut self, about: About, quoted: Cow<'a, str>) {
        let count = &mut self.counts[about as usize];
        if *count < VALUES && !self.values.iter().any(|(known, value)| *known == about && *value == quoted) {
            *count += 1;
            self.values.push((about, quoted));
        }
    }

    fn note_user(&mut self, entity: &'a legacy::Entity<'a>) {
        let has_text = |name| entity.json(name).filter(|value| json::plain(value).is_some());
        self.note_json(About::User, has_text(name!("userPrincipalName")).or_else(|| has_text(name!("accountName"))));
    }

    /// The devices that the Defender APIs list beside the evidence.
    fn take_devices(&mut self, alert: Object<'a>) {
        self.note(About::Dest, alert.text("computerDnsName"));
        self.note(About::DestId, alert.text("machineId"));
        let devices = alert.get("devices").and_then(|value| value.list());
        for device in devices.into_iter().flatten().filter_map(|value| value.object()) {
            self.note(About::Dest, device.text("deviceDnsName"));
            self.note(About::DestId, device.text("mdatpDeviceId"));
        }
    }

    fn take(&mut self, entity: &'a legacy::Entity<'a>) {
        match &*entity.kind {
            "User" | "MailBox" => {
                self.note_user(entity);
                if entity.text(name!("userPrincipalName")).is_none() {
                    self.note_json(About::User, entity.json(name!("mailboxAddress")));
                }
                self.note_json(About::UserName, entity.json(name!("accountName")));
            }
            "Device" | "IoTDevice" => {
                self.note_json(About::Dest, entity.json(name!("deviceDnsName")));
                self.note_json(About::DestId, entity.json(name!("deviceId")));
            }
            _ => {}
        }
        // What Microsoft found clean is no finding; the published detections leave it out as well.
        if entity.text(name!("verdict")).as_deref() == Some("Clean") {
            return;
        }
        let remediation = entity.text(name!("remediationStatus")).filter(|status| !status.eq_ignore_ascii_case("none"));
        match remediation.or_else(|| entity.text(name!("detectionStatus"))) {
            Some(status) if let Some(known) = spelling::lower(&status) => self.add(About::Remediation, Cow::Borrowed(known)),
            status => self.note(About::Remediation, status.map(|status| Cow::Owned(status.to_lowercase()))),
        }
        match &*entity.kind {
            "File" => {
                self.note_json(About::FileName, entity.json(name!("fileName")));
                self.note_json(About::FilePath, entity.json(name!("filePath")));
                let has_text = |name| entity.json(name).filter(|value| json::plain(value).is_some());
                self.note_json(About::FileHash, has_text(name!("sha256")).or_else(|| has_text(name!("sha1"))));
            }
            "Process" => {
                self.note_json(About::ProcessName, entity.json(name!("fileName")));
                self.note_json(About::Process, entity.json(name!("processCommandLine")));
            }
            "Registry" => self.note(About::RegistryPath, registry_path(entity).map(Cow::Owned)),
            _ => {}
        }
        for (about, member) in [
            (About::Ip, name!("ipAddress")),
            (About::Url, name!("url")),
            (About::SrcUser, name!("sender")),
            (About::Recipient, name!("recipient")),
            (About::Subject, name!("subject")),
        ] {
            self.note_json(about, entity.json(member));
        }
    }

    /// What the old names have no word for.
    fn take_own(&mut self, reading: &'a legacy::Reading<'a>) {
        let own = |name: &str| reading.members.object.text(name);
        match reading.graph_type.as_deref() {
            Some("malware") => self.note(About::Signature, own("name")),
            Some("azureResource" | "amazonResource" | "googleCloudResource") => {
                self.note(About::Resource, own("resourceName"));
            }
            Some("device") if reading.entity.text(name!("deviceDnsName")).is_none() => {
                self.note(About::Dest, own("hostName"));
            }
            _ => {}
        }
    }
}

/// `HKEY_LOCAL_MACHINE\SOFTWARE\…`, as far as it is known.
pub(super) fn registry_path(entity: &legacy::Entity<'_>) -> Option<String> {
    let key = entity.text(name!("registryKey"))?;
    Some(match entity.text(name!("registryHive")) {
        Some(hive) if !key.starts_with(&*hive) => format!("{hive}\\{key}"),
        _ => key.into_owned(),
    })
}
