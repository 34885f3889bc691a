//! The evidence of an alert under the names the Defender APIs gave it. Published detections, and years of content that
//! people wrote, parse these names out of the raw event; Microsoft Graph says the same things in other words, in objects
//! inside objects, one type per kind of evidence.
//!
//! The names: Microsoft's documents of the Microsoft 365 Defender incidents API and the Defender for Endpoint alerts API.
//! The types: Graph's metadata of August 2026. A type that is newer than this program gets what its name and its members of
//! familiar names tell.

use std::borrow::Cow;

use super::names::{Name, NameSet, Named, name};
use super::spelling;
use crate::json;
use crate::json::index::Kind;
use crate::json::value::{Object, Value};

/// One piece of evidence: flat members whose values are JSON scalars, none of them `null` or an empty text.
#[derive(Debug)]
pub(super) struct Entity<'a> {
    /// `entityType`: `File`, `Process`, `User`, `Ip`, `Url`, `Registry`, `MailBox`, `MailMessage`, …
    pub(super) kind: Cow<'a, str>,
    /// The members, `entityType` not among them.
    facts: Vec<Fact<'a>>,
    /// Which names of the list it has.
    known: NameSet,
}

#[derive(Debug)]
struct Fact<'a> {
    name: FactName<'a>,
    /// JSON.
    value: Cow<'a, str>,
}

#[derive(Debug, PartialEq, Eq)]
enum FactName<'a> {
    Known(Name),
    /// Of the Defender APIs' own, which have members that nobody here knows.
    Other(Cow<'a, str>),
}

impl<'a> Entity<'a> {
    fn new(kind: Cow<'a, str>) -> Self {
        Self { kind, facts: Vec::with_capacity(16), known: NameSet::default() }
    }

    /// A member as JSON.
    pub(super) fn json(&self, name: Name) -> Option<&Cow<'a, str>> {
        if !self.known.has(name) {
            return None;
        }
        self.facts.iter().find(|fact| matches!(fact.name, FactName::Known(known) if known == name)).map(|fact| &fact.value)
    }

    /// A member as text.
    pub(super) fn text(&self, name: Name) -> Option<Cow<'_, str>> {
        json::plain(self.json(name)?)
    }

    /// Notes a member unless it is known already.
    fn note(&mut self, name: FactName<'a>, value: Cow<'a, str>) {
        let is_new = match &name {
            FactName::Known(name) => self.known.add(*name),
            FactName::Other(_) => !self.facts.iter().any(|fact| fact.name == name),
        };
        if is_new {
            self.facts.push(Fact { name, value });
        }
    }

    /// Notes what Microsoft sent, unless it says nothing.
    fn take(&mut self, name: Name, value: Value<'a>) {
        self.take_as(FactName::Known(name), value);
    }

    fn take_as(&mut self, name: FactName<'a>, value: Value<'a>) {
        let says_nothing = matches!(value.kind(), Kind::Null | Kind::List | Kind::Object) || value.raw() == "\"\"";
        if !says_nothing {
            self.note(name, Cow::Borrowed(value.raw()));
        }
    }

    /// Notes a JSON string that was made here.
    fn say(&mut self, name: Name, quoted: Cow<'a, str>) {
        if quoted != "\"\"" {
            self.note(FactName::Known(name), quoted);
        }
    }

    /// Appends it as a JSON object.
    pub(super) fn append(&self, out: &mut String) {
        out.push('{');
        self.append_facts(out, None);
        out.push('}');
    }

    /// Appends its members to an object that is being written, but for those the object has.
    pub(super) fn append_facts(&self, out: &mut String, beside: Option<&Named<'_>>) {
        let has = |name: Name| beside.and_then(|named| named.get(name)).is_some_and(|value| !value.is_null());
        if !has(name!("entityType")) {
            json::plain_member(out, "entityType");
            json::quote(out, &self.kind);
        }
        for fact in &self.facts {
            match &fact.name {
                FactName::Known(name) if has(*name) => continue,
                FactName::Known(name) => json::plain_member(out, name.text()),
                FactName::Other(name) => {
                    let value = beside.and_then(|named| named.object.get(name));
                    if value.is_some_and(|value| !value.is_null()) {
                        continue;
                    }
                    json::member(out, name);
                }
            }
            out.push_str(&fact.value);
        }
    }
}

/// A piece of evidence of an alert, and the evidence inside it.
pub(super) struct Reading<'a> {
    /// The members as they came.
    pub(super) members: Named<'a>,
    /// Graph's type without prefix and suffix (`file`, `networkConnection`); `None` in the Defender APIs.
    pub(super) graph_type: Option<Cow<'a, str>>,
    /// What it says, under the old names.
    pub(super) entity: Entity<'a>,
    /// Evidence that Graph puts inside it and the Defender APIs list on its own: the files of a malware, the addresses of a
    /// connection.
    pub(super) inside: Vec<Entity<'a>>,
}

/// Reads a piece of evidence of either API.
pub(super) fn read(object: Object<'_>) -> Reading<'_> {
    let members = Named::of(object);
    let graph_type = members.get(name!("@odata.type")).and_then(|value| value.plain()).map(bare_type);
    let (entity, mut inside) = match &graph_type {
        Some(graph_type) => (from_graph(graph_type, &members, None), Vec::new()),
        None => (flat(object), Vec::new()),
    };
    if let Some(graph_type) = &graph_type {
        from_inside(graph_type, &members, &entity, MAX_DEPTH, &mut inside);
    }
    Reading { members, graph_type, entity, inside }
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
fn flat(object: Object<'_>) -> Entity<'_> {
    let mut entity = Entity::new(Cow::Borrowed("Unknown"));
    if let Some(kind) = object.text("entityType") {
        entity.kind = kind;
    }
    for member in object.members().filter(|member| !member.is("entityType")) {
        let name = match member.name() {
            text if let Some(name) = Name::of(&text) => FactName::Known(name),
            text => FactName::Other(text),
        };
        entity.take_as(name, member.value());
    }
    entity
}

/// Names that mean the same in Graph: taken from any type that has them.
const SAME: [Name; 22] = [
    name!("remediationStatusDetails"),
    name!("processId"),
    name!("processCommandLine"),
    name!("parentProcessId"),
    name!("ipAddress"),
    name!("url"),
    name!("registryHive"),
    name!("registryKey"),
    name!("registryValue"),
    name!("registryValueName"),
    name!("registryValueType"),
    name!("sender"),
    name!("recipient"),
    name!("subject"),
    name!("deliveryAction"),
    name!("clusterBy"),
    name!("securityGroupId"),
    name!("deviceId"),
    name!("deviceDnsName"),
    name!("accountName"),
    name!("domainName"),
    name!("userPrincipalName"),
];

/// What changed its name: the old one and Graph's.
type Renamed = &'static [(Name, Name)];

const ACCOUNT: Renamed = &[
    (name!("accountName"), name!("accountName")),
    (name!("domainName"), name!("domainName")),
    (name!("userSid"), name!("userSid")),
    (name!("aadUserId"), name!("azureAdUserId")),
    (name!("userPrincipalName"), name!("userPrincipalName")),
];
const FILE: Renamed = &[
    (name!("fileName"), name!("fileName")),
    (name!("filePath"), name!("filePath")),
    (name!("sha1"), name!("sha1")),
    (name!("sha256"), name!("sha256")),
];

/// Per type, what was renamed: in the evidence itself (`None`) or in an object in it.
fn renamed(graph_type: &str) -> &'static [(Option<Name>, Renamed)] {
    match graph_type {
        "file" => &[(Some(name!("fileDetails")), FILE)],
        "process" => &[
            (Some(name!("imageFile")), FILE),
            (
                Some(name!("parentProcessImageFile")),
                &[(name!("parentProcessFileName"), name!("fileName")), (name!("parentProcessFilePath"), name!("filePath"))],
            ),
            (Some(name!("userAccount")), ACCOUNT),
            (
                None,
                &[
                    (name!("processCreationTime"), name!("processCreationDateTime")),
                    (name!("parentProcessCreationTime"), name!("parentProcessCreationDateTime")),
                ],
            ),
        ],
        "user" => &[(Some(name!("userAccount")), ACCOUNT)],
        "mailbox" => &[
            (None, &[(name!("mailboxDisplayName"), name!("displayName")), (name!("mailboxAddress"), name!("primaryAddress"))]),
            (Some(name!("userAccount")), ACCOUNT),
            (None, &[(name!("userPrincipalName"), name!("upn"))]),
        ],
        "mailboxConfiguration" => &[(
            None,
            &[
                (name!("mailboxDisplayName"), name!("displayName")),
                (name!("mailboxAddress"), name!("mailboxPrimaryAddress")),
                (name!("userPrincipalName"), name!("upn")),
                (name!("aadUserId"), name!("externalDirectoryObjectId")),
            ],
        )],
        "analyzedMessage" => &[
            (Some(name!("p2Sender")), &[(name!("sender"), name!("emailAddress"))]),
            (Some(name!("p1Sender")), &[(name!("sender"), name!("emailAddress"))]),
            (None, &[(name!("recipient"), name!("recipientEmailAddress")), (name!("ipAddress"), name!("senderIp"))]),
        ],
        "submissionMail" => &[(None, &[(name!("ipAddress"), name!("senderIp"))])],
        "teamsMessage" => &[(
            None,
            &[
                (name!("sender"), name!("senderFromAddress")),
                (name!("recipient"), name!("recipients")),
                (name!("ipAddress"), name!("senderIP")),
            ],
        )],
        "securityGroup" => &[(None, &[(name!("securityGroupName"), name!("displayName"))])],
        "device" => &[(
            None,
            &[
                (name!("mdatpDeviceId"), name!("mdeDeviceId")),
                (name!("aadDeviceId"), name!("azureAdDeviceId")),
                (name!("osPlatform"), name!("osPlatform")),
                (name!("riskScore"), name!("riskScore")),
                (name!("healthStatus"), name!("healthStatus")),
            ],
        )],
        "ioTDevice" => &[(None, &[(name!("deviceDnsName"), name!("deviceName"))])],
        "cloudLogonSession" => &[(None, &[(name!("deviceDnsName"), name!("deviceName"))])],
        "cloudApplication" | "oauthApplication" => {
            &[(None, &[(name!("applicationId"), name!("appId")), (name!("applicationName"), name!("displayName"))])]
        }
        "servicePrincipal" => {
            &[(None, &[(name!("applicationId"), name!("appId")), (name!("applicationName"), name!("servicePrincipalName"))])]
        }
        "aiAgent" => &[(None, &[(name!("applicationId"), name!("agentId")), (name!("applicationName"), name!("agentName"))])],
        "activeDirectoryDomain" => &[(None, &[(name!("domainName"), name!("activeDirectoryDomainName"))])],
        "dns" => &[(None, &[(name!("url"), name!("domainName"))])],
        "gitHubUser" => &[(None, &[(name!("accountName"), name!("login"))])],
        "kubernetesServiceAccount" => &[(None, &[(name!("accountName"), name!("name"))])],
        "blob" => &[(None, &[(name!("fileName"), name!("name"))])],
        _ => &[],
    }
}

/// Per type, the members that hold evidence which the Defender APIs list on its own, and its type.
fn within(graph_type: &str) -> &'static [(Name, &'static str)] {
    match graph_type {
        "networkConnection" => &[(name!("sourceAddress"), "ip"), (name!("destinationAddress"), "ip")],
        "dns" => &[(name!("dnsServerIp"), "ip"), (name!("hostIpAddress"), "ip"), (name!("ipAddresses"), "ip")],
        "nic" => &[(name!("ipAddress"), "ip")],
        "ioTDevice" => &[(name!("ipAddress"), "ip"), (name!("nics"), "nic"), (name!("sourceRef"), "url")],
        "kubernetesPod" => &[(name!("podIp"), "ip"), (name!("serviceAccount"), "kubernetesServiceAccount")],
        "kubernetesService" => &[(name!("clusterIP"), "ip"), (name!("externalIPs"), "ip")],
        "malware" => &[(name!("files"), "file"), (name!("processes"), "process")],
        "teamsMessage" => &[(name!("files"), "file"), (name!("urls"), "url")],
        "analyzedMessage" => &[(name!("urls"), "url")],
        "cloudLogonSession" => &[(name!("account"), "user")],
        "hostLogonSession" => &[(name!("account"), "user"), (name!("host"), "device")],
        "blob" => &[(name!("fileHashes"), "fileHash"), (name!("blobContainer"), "blobContainer")],
        "container" => &[(name!("pod"), "kubernetesPod")],
        _ => &[],
    }
}

/// What the Defender APIs call a type. Those they never had keep Graph's name, with a capital.
fn kind(graph_type: &str) -> Cow<'static, str> {
    Cow::Borrowed(match graph_type {
        "registryKey" | "registryValue" => "Registry",
        "mailbox" => "MailBox",
        "analyzedMessage" => "MailMessage",
        "device" => "Device",
        "file" => "File",
        "ip" => "Ip",
        "process" => "Process",
        "url" => "Url",
        "user" => "User",
        other => return Cow::Owned(spelling::with_capital(other)),
    })
}

fn from_graph<'a>(graph_type: &str, members: &Named<'a>, around: Option<&Entity<'_>>) -> Entity<'a> {
    let mut entity = Entity::new(kind(graph_type));
    let text = |name| members.get(name).and_then(|value| value.plain());
    if let Some(created) = members.get(name!("createdDateTime")) {
        entity.take(name!("evidenceCreationTime"), created);
    }
    // A detection compares the verdict with `Clean`, and drops evidence that has none.
    let own = text(name!("verdict")).map(|text| spelling::verdict(&text));
    entity.say(name!("verdict"), own.unwrap_or_else(|| inherited(around)));
    for name in [name!("remediationStatus"), name!("detectionStatus")] {
        if let Some(value) = text(name) {
            entity.say(name, spelling::capital(&value));
        }
    }
    if let Some(device) = members.get(name!("mdeDeviceId")) {
        entity.take(name!("deviceId"), device);
    }
    if graph_type == "fileHash"
        && let (Some(algorithm), Some(value)) = (text(name!("algorithm")), members.get(name!("value")))
    {
        let name = Name::of(&algorithm).map_or_else(|| FactName::Other(algorithm), FactName::Known);
        entity.take_as(name, value);
    }
    for (object, names) in renamed(graph_type) {
        match object {
            None => take(&mut entity, |name| members.get(name), names),
            Some(object) => {
                if let Some(part) = members.get(*object).and_then(Value::object) {
                    take(&mut entity, |name| part.get(name.text()), names);
                }
            }
        }
    }
    for name in SAME {
        if let Some(value) = members.get(name) {
            entity.take(name, value);
        }
    }
    entity
}

/// Takes members under their old names; of a list, the first item.
fn take<'a>(entity: &mut Entity<'a>, get: impl Fn(Name) -> Option<Value<'a>>, names: Renamed) {
    for (name, graph) in names {
        let Some(value) = get(*graph) else { continue };
        match value.list() {
            None => entity.take(*name, value),
            Some(mut items) => {
                if let Some(first) = items.next() {
                    entity.take(*name, first);
                }
            }
        }
    }
}

fn from_inside<'a>(graph_type: &str, members: &Named<'a>, around: &Entity<'_>, depth: usize, out: &mut Vec<Entity<'a>>) {
    if depth == 0 {
        return;
    }
    for (name, inner_type) in within(graph_type) {
        let Some(value) = members.get(*name) else { continue };
        let (items, one) = match value.kind() {
            Kind::List => (value.list(), None),
            Kind::Object => (None, Some(value)),
            _ => continue,
        };
        for item in items.into_iter().flatten().chain(one) {
            if let Some(inner) = item.object() {
                let inner = Named::of(inner);
                let entity = from_graph(inner_type, &inner, Some(around));
                let at = out.len();
                from_inside(inner_type, &inner, &entity, depth - 1, out);
                out.insert(at, entity);
            } else if *inner_type == "url" && matches!(item.kind(), Kind::Plain | Kind::Escaped) {
                let mut entity = Entity::new(kind(inner_type));
                entity.say(name!("verdict"), inherited(Some(around)));
                entity.take(name!("url"), item);
                out.push(entity);
            }
        }
    }
}

/// The verdict of evidence that has none of its own: that of what it lies in. It was spelled here.
fn inherited(around: Option<&Entity<'_>>) -> Cow<'static, str> {
    let of_around = around.and_then(|around| around.json(name!("verdict")));
    of_around.map_or(spelling::UNKNOWN, |verdict| Cow::Owned(verdict.clone().into_owned()))
}
