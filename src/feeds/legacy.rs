//! The evidence of an alert under the names the Defender APIs gave it. Published detections, and years of content that
//! people wrote, parse these names out of the raw event; Microsoft Graph says the same things in other words, in objects
//! inside objects, one type per kind of evidence.
//!
//! The names: Microsoft's documents of the Microsoft 365 Defender incidents API and the Defender for Endpoint alerts API.
//! The types: Graph's metadata of August 2026. A type that is newer than this program gets what its name and its members of
//! familiar names tell.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::json::{self, Members};

/// One piece of evidence: flat members whose values are JSON scalars, none of them `null` or an empty text.
#[derive(Debug)]
pub(super) struct Entity<'a> {
    /// `entityType`: `File`, `Process`, `User`, `Ip`, `Url`, `Registry`, `MailBox`, `MailMessage`, …
    pub(super) kind: Cow<'a, str>,
    /// The members, `entityType` not among them.
    pub(super) facts: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Entity<'a> {
    /// A member as text.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.facts.iter().find(|(known, _)| known == name).and_then(|(_, value)| json::plain(value))
    }

    /// Notes a member unless it is known already or has no value.
    fn note(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        let (name, value) = (name.into(), value.into());
        let says_nothing = matches!(&*value, "null" | "\"\"") || value.starts_with(['{', '[']);
        if !says_nothing && !self.facts.iter().any(|(known, _)| *known == name) {
            self.facts.push((name, value));
        }
    }

    /// Appends it as a JSON object.
    pub(super) fn append(&self, out: &mut String) {
        out.push('{');
        self.append_facts(out, |_| false);
        out.push('}');
    }

    /// Appends its members to an object that is being written, but for those the object has.
    pub(super) fn append_facts(&self, out: &mut String, has: impl Fn(&str) -> bool) {
        if !has("entityType") {
            json::member(out, "entityType");
            json::quote(out, &self.kind);
        }
        for (name, value) in self.facts.iter().filter(|(name, _)| !has(name)) {
            json::member(out, name);
            out.push_str(value);
        }
    }
}

/// A piece of evidence of an alert, and the evidence inside it.
pub(super) struct Reading<'a> {
    /// The members as they came.
    pub(super) members: Members<'a>,
    /// Graph's type without prefix and suffix (`file`, `networkConnection`); `None` in the Defender APIs.
    pub(super) graph_type: Option<Cow<'a, str>>,
    /// What it says, under the old names.
    pub(super) entity: Entity<'a>,
    /// Evidence that Graph puts inside it and the Defender APIs list on its own: the files of a malware, the addresses of a
    /// connection.
    pub(super) inside: Vec<Entity<'a>>,
}

/// Reads a piece of evidence of either API; `None` when it is no object.
pub(super) fn read(raw: &RawValue) -> Option<Reading<'_>> {
    let members = Members::read(raw.get()).ok()?;
    let graph_type = members.text("@odata.type").map(bare_type);
    let (entity, mut inside) = match &graph_type {
        Some(graph_type) => (from_graph(graph_type, &members, None), Vec::new()),
        None => (flat(&members), Vec::new()),
    };
    if let Some(graph_type) = &graph_type {
        from_inside(graph_type, &members, &entity, MAX_DEPTH, &mut inside);
    }
    Some(Reading { members, graph_type, entity, inside })
}

/// How deep evidence inside evidence is followed; Graph's metadata nests three deep (device, network card, address).
const MAX_DEPTH: usize = 4;

/// `#microsoft.graph.security.fileEvidence` is `file`.
fn bare_type(name: Cow<'_, str>) -> Cow<'_, str> {
    let bare = |name: &str| {
        let last = name.rfind('.').map_or(0, |at| at + 1);
        (last, name.len() - if name.ends_with("Evidence") { "Evidence".len() } else { 0 })
    };
    let (from, to) = bare(&name);
    match name {
        Cow::Borrowed(name) => Cow::Borrowed(name.get(from..to).unwrap_or(name)),
        Cow::Owned(name) => Cow::Owned(name.get(from..to).unwrap_or(&name).to_owned()),
    }
}

/// Evidence of the Defender APIs: the old names are its own.
fn flat<'a>(members: &Members<'a>) -> Entity<'a> {
    let mut entity = Entity {
        kind: members.text("entityType").unwrap_or(Cow::Borrowed("Unknown")),
        facts: Vec::with_capacity(members.0.len()),
    };
    for (name, value) in members.0.iter().filter(|(name, _)| name != "entityType") {
        entity.note(name.clone(), value.get());
    }
    entity
}

/// Names that mean the same in Graph: taken from any type that has them.
const SAME: [&str; 22] = [
    "remediationStatusDetails",
    "processId",
    "processCommandLine",
    "parentProcessId",
    "ipAddress",
    "url",
    "registryHive",
    "registryKey",
    "registryValue",
    "registryValueName",
    "registryValueType",
    "sender",
    "recipient",
    "subject",
    "deliveryAction",
    "clusterBy",
    "securityGroupId",
    "deviceId",
    "deviceDnsName",
    "accountName",
    "domainName",
    "userPrincipalName",
];

/// What changed its name: the old one and Graph's.
type Renamed = &'static [(&'static str, &'static str)];

const ACCOUNT: Renamed = &[
    ("accountName", "accountName"),
    ("domainName", "domainName"),
    ("userSid", "userSid"),
    ("aadUserId", "azureAdUserId"),
    ("userPrincipalName", "userPrincipalName"),
];
const FILE: Renamed = &[("fileName", "fileName"), ("filePath", "filePath"), ("sha1", "sha1"), ("sha256", "sha256")];

/// Per type, what was renamed: in the evidence itself (`""`) or in an object in it.
fn renamed(graph_type: &str) -> &'static [(&'static str, Renamed)] {
    match graph_type {
        "file" => &[("fileDetails", FILE)],
        "process" => &[
            ("imageFile", FILE),
            ("parentProcessImageFile", &[("parentProcessFileName", "fileName"), ("parentProcessFilePath", "filePath")]),
            ("userAccount", ACCOUNT),
            (
                "",
                &[
                    ("processCreationTime", "processCreationDateTime"),
                    ("parentProcessCreationTime", "parentProcessCreationDateTime"),
                ],
            ),
        ],
        "user" => &[("userAccount", ACCOUNT)],
        "mailbox" => &[
            ("", &[("mailboxDisplayName", "displayName"), ("mailboxAddress", "primaryAddress")]),
            ("userAccount", ACCOUNT),
            ("", &[("userPrincipalName", "upn")]),
        ],
        "mailboxConfiguration" => &[(
            "",
            &[
                ("mailboxDisplayName", "displayName"),
                ("mailboxAddress", "mailboxPrimaryAddress"),
                ("userPrincipalName", "upn"),
                ("aadUserId", "externalDirectoryObjectId"),
            ],
        )],
        "analyzedMessage" => &[
            ("p2Sender", &[("sender", "emailAddress")]),
            ("p1Sender", &[("sender", "emailAddress")]),
            ("", &[("recipient", "recipientEmailAddress"), ("ipAddress", "senderIp")]),
        ],
        "submissionMail" => &[("", &[("ipAddress", "senderIp")])],
        "teamsMessage" => &[("", &[("sender", "senderFromAddress"), ("recipient", "recipients"), ("ipAddress", "senderIP")])],
        "securityGroup" => &[("", &[("securityGroupName", "displayName")])],
        "device" => &[(
            "",
            &[
                ("mdatpDeviceId", "mdeDeviceId"),
                ("aadDeviceId", "azureAdDeviceId"),
                ("osPlatform", "osPlatform"),
                ("riskScore", "riskScore"),
                ("healthStatus", "healthStatus"),
            ],
        )],
        "ioTDevice" => &[("", &[("deviceDnsName", "deviceName")])],
        "cloudLogonSession" => &[("", &[("deviceDnsName", "deviceName")])],
        "cloudApplication" | "oauthApplication" => &[("", &[("applicationId", "appId"), ("applicationName", "displayName")])],
        "servicePrincipal" => &[("", &[("applicationId", "appId"), ("applicationName", "servicePrincipalName")])],
        "aiAgent" => &[("", &[("applicationId", "agentId"), ("applicationName", "agentName")])],
        "activeDirectoryDomain" => &[("", &[("domainName", "activeDirectoryDomainName")])],
        "dns" => &[("", &[("url", "domainName")])],
        "gitHubUser" => &[("", &[("accountName", "login")])],
        "kubernetesServiceAccount" => &[("", &[("accountName", "name")])],
        "blob" => &[("", &[("fileName", "name")])],
        _ => &[],
    }
}

/// Per type, the members that hold evidence which the Defender APIs list on its own, and its type.
fn within(graph_type: &str) -> &'static [(&'static str, &'static str)] {
    match graph_type {
        "networkConnection" => &[("sourceAddress", "ip"), ("destinationAddress", "ip")],
        "dns" => &[("dnsServerIp", "ip"), ("hostIpAddress", "ip"), ("ipAddresses", "ip")],
        "nic" => &[("ipAddress", "ip")],
        "ioTDevice" => &[("ipAddress", "ip"), ("nics", "nic"), ("sourceRef", "url")],
        "kubernetesPod" => &[("podIp", "ip"), ("serviceAccount", "kubernetesServiceAccount")],
        "kubernetesService" => &[("clusterIP", "ip"), ("externalIPs", "ip")],
        "malware" => &[("files", "file"), ("processes", "process")],
        "teamsMessage" => &[("files", "file"), ("urls", "url")],
        "analyzedMessage" => &[("urls", "url")],
        "cloudLogonSession" => &[("account", "user")],
        "hostLogonSession" => &[("account", "user"), ("host", "device")],
        "blob" => &[("fileHashes", "fileHash"), ("blobContainer", "blobContainer")],
        "container" => &[("pod", "kubernetesPod")],
        _ => &[],
    }
}

/// What the Defender APIs call a type. Those they never had keep Graph's name, with a capital.
fn kind(graph_type: &str) -> Cow<'static, str> {
    Cow::Borrowed(match graph_type {
        "registryKey" | "registryValue" => "Registry",
        "mailbox" => "MailBox",
        "analyzedMessage" => "MailMessage",
        other => return Cow::Owned(capital(other)),
    })
}

/// A verdict as the Defender APIs spell it: the published detections leave out what is `Clean`.
pub(super) fn verdict(graph: &str) -> Cow<'static, str> {
    match graph {
        "noThreatsFound" => Cow::Borrowed("Clean"),
        "" => Cow::Borrowed("Unknown"),
        other => Cow::Owned(capital(other)),
    }
}

/// Graph's enumerations begin small, those of the Defender APIs with a capital.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn from_graph<'a>(graph_type: &str, members: &Members<'a>, around: Option<&Entity<'_>>) -> Entity<'a> {
    let mut entity = Entity { kind: kind(graph_type), facts: Vec::with_capacity(12) };
    let created = members.get("createdDateTime").map(RawValue::get);
    if let Some(created) = created {
        entity.note("evidenceCreationTime", created);
    }
    // A detection compares the verdict with `Clean`, and drops evidence that has none.
    let own = members.text("verdict").map(|text| verdict(&text));
    let inherited = || around.and_then(|around| around.text("verdict")).map(|text| Cow::Owned(text.into_owned()));
    entity.note("verdict", quoted(&own.or_else(inherited).unwrap_or(Cow::Borrowed("Unknown"))));
    for name in ["remediationStatus", "detectionStatus"] {
        if let Some(value) = members.text(name) {
            entity.note(name, quoted(&capital(&value)));
        }
    }
    if let Some(device) = members.get("mdeDeviceId") {
        entity.note("deviceId", device.get());
    }
    if graph_type == "fileHash"
        && let (Some(algorithm), Some(value)) = (members.text("algorithm"), members.get("value"))
    {
        entity.note(algorithm.into_owned(), value.get());
    }
    for (object, names) in renamed(graph_type) {
        if object.is_empty() {
            take(&mut entity, members, names);
        } else if let Some(Ok(part)) = members.get(object).map(|raw| Members::read(raw.get())) {
            take(&mut entity, &part, names);
        }
    }
    for name in SAME {
        if let Some(value) = members.get(name) {
            entity.note(name, value.get());
        }
    }
    entity
}

/// Takes members under their old names; of a list, the first item.
fn take<'a>(entity: &mut Entity<'a>, members: &Members<'a>, names: Renamed) {
    for (name, graph) in names {
        let Some(value) = members.get(graph).map(RawValue::get) else { continue };
        if value.starts_with('[') {
            let items: Vec<&'a RawValue> = serde_json::from_str(value).unwrap_or_default();
            if let Some(first) = items.first() {
                entity.note(*name, first.get());
            }
        } else {
            entity.note(*name, value);
        }
    }
}

fn from_inside<'a>(graph_type: &str, members: &Members<'a>, around: &Entity<'_>, depth: usize, out: &mut Vec<Entity<'a>>) {
    if depth == 0 {
        return;
    }
    for (name, inner_type) in within(graph_type) {
        let Some(value) = members.get(name) else { continue };
        let items: Vec<&'a RawValue> = match value.get().as_bytes().first() {
            Some(b'[') => serde_json::from_str(value.get()).unwrap_or_default(),
            Some(b'{') => vec![value],
            _ => continue,
        };
        for item in items {
            if let Ok(inner) = Members::read(item.get()) {
                let entity = from_graph(inner_type, &inner, Some(around));
                let at = out.len();
                from_inside(inner_type, &inner, &entity, depth - 1, out);
                out.insert(at, entity);
            } else if *inner_type == "url" && item.get().starts_with('"') {
                let mut entity = Entity { kind: kind(inner_type), facts: Vec::new() };
                entity.note("verdict", quoted(&around.text("verdict").unwrap_or(Cow::Borrowed("Unknown"))));
                entity.note("url", item.get());
                out.push(entity);
            }
        }
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    json::quote(&mut out, text);
    out
}
