//! The names of members that are read of evidence, of either API: a closed set, so that a name is compared once and is a
//! number from then on.

use crate::json::value::{Object, Value};

/// One of [`NAMES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name(u8);

/// A name by its text, found by the compiler.
macro_rules! name {
    ($text:literal) => {
        const { $crate::feeds::names::Name::known($text) }
    };
}
pub(super) use name;

/// How many there are.
const COUNT: usize = NAMES.len();

const NAMES: &[&str] = &[
    "@odata.type",
    "aadDeviceId",
    "aadUserId",
    "account",
    "accountName",
    "activeDirectoryDomainName",
    "agentId",
    "agentName",
    "algorithm",
    "appId",
    "applicationId",
    "applicationName",
    "azureAdDeviceId",
    "azureAdUserId",
    "blobContainer",
    "clusterBy",
    "clusterIP",
    "createdDateTime",
    "deliveryAction",
    "destinationAddress",
    "detectionStatus",
    "deviceDnsName",
    "deviceId",
    "deviceName",
    "displayName",
    "dnsServerIp",
    "domainName",
    "emailAddress",
    "entityType",
    "evidenceCreationTime",
    "externalDirectoryObjectId",
    "externalIPs",
    "fileDetails",
    "fileHashes",
    "fileName",
    "filePath",
    "files",
    "healthStatus",
    "host",
    "hostIpAddress",
    "imageFile",
    "ipAddress",
    "ipAddresses",
    "login",
    "mailboxAddress",
    "mailboxDisplayName",
    "mailboxPrimaryAddress",
    "mdatpDeviceId",
    "mdeDeviceId",
    "name",
    "nics",
    "osPlatform",
    "p1Sender",
    "p2Sender",
    "parentProcessCreationDateTime",
    "parentProcessCreationTime",
    "parentProcessFileName",
    "parentProcessFilePath",
    "parentProcessId",
    "parentProcessImageFile",
    "pod",
    "podIp",
    "primaryAddress",
    "processCommandLine",
    "processCreationDateTime",
    "processCreationTime",
    "processId",
    "processes",
    "recipient",
    "recipientEmailAddress",
    "recipients",
    "registryHive",
    "registryKey",
    "registryValue",
    "registryValueName",
    "registryValueType",
    "remediationStatus",
    "remediationStatusDetails",
    "riskScore",
    "securityGroupId",
    "securityGroupName",
    "sender",
    "senderFromAddress",
    "senderIP",
    "senderIp",
    "serviceAccount",
    "servicePrincipalName",
    "sha1",
    "sha256",
    "sourceAddress",
    "sourceRef",
    "subject",
    "upn",
    "url",
    "urls",
    "userAccount",
    "userPrincipalName",
    "userSid",
    "value",
    "verdict",
];

/// Where a search for a name begins: its length and three of its letters, mixed.
const fn slot(text: &[u8]) -> usize {
    if text.is_empty() {
        return 0;
    }
    let (first, middle, last) = (text[0] as usize, text[text.len() / 2] as usize, text[text.len() - 1] as usize);
    (text.len().wrapping_mul(67) ^ first.wrapping_mul(5) ^ middle.wrapping_mul(31) ^ last.wrapping_mul(129)) % SLOTS.len()
}

/// By slot, one more than the number of a name; 0 ends a search.
static SLOTS: [u8; 512] = {
    let mut slots = [0; 512];
    let mut n = 0;
    while n < COUNT {
        let mut at = slot(NAMES[n].as_bytes());
        while slots[at] != 0 {
            at = (at + 1) % slots.len();
        }
        slots[at] = n as u8 + 1;
        n += 1;
    }
    slots
};

const fn same(one: &[u8], other: &[u8]) -> bool {
    let mut n = 0;
    while n < one.len() && n < other.len() && one[n] == other[n] {
        n += 1;
    }
    n == one.len() && n == other.len()
}

impl Name {
    /// See [`name!`]; a text that is none of them does not compile.
    pub(super) const fn known(text: &str) -> Self {
        let mut n = 0;
        while n < COUNT {
            if same(NAMES[n].as_bytes(), text.as_bytes()) {
                return Self(n as u8);
            }
            n += 1;
        }
        panic!("the name is not in the list")
    }

    /// The name of that text.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut at = slot(text.as_bytes());
        loop {
            let n = SLOTS[at].checked_sub(1)?;
            if NAMES[usize::from(n)] == text {
                return Some(Self(n));
            }
            at = (at + 1) % SLOTS.len();
        }
    }

    /// Its text.
    pub(super) fn text(self) -> &'static str {
        NAMES[usize::from(self.0)]
    }
}

/// Some of the names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NameSet(u128);

const _: () = assert!(COUNT <= u128::BITS as usize, "a name has no bit");

impl NameSet {
    /// Adds a name; `false` when it is in it.
    pub(super) fn add(&mut self, name: Name) -> bool {
        let is_new = !self.has(name);
        self.0 |= 1 << name.0;
        is_new
    }

    /// Whether a name is in it.
    pub(super) fn has(self, name: Name) -> bool {
        self.0 >> name.0 & 1 == 1
    }
}

/// An object's members by name, the first of each.
#[derive(Clone, Debug)]
pub(super) struct Named<'a> {
    pub(super) object: Object<'a>,
    /// Places among the text's values; a member is never the first of them.
    at: [u32; COUNT],
}

impl<'a> Named<'a> {
    /// Reads the names once.
    pub(super) fn of(object: Object<'a>) -> Self {
        let mut at = [0; COUNT];
        for member in object.members() {
            if let Some(name) = Name::of(&member.name()) {
                let at = &mut at[usize::from(name.0)];
                if *at == 0 {
                    *at = member.value().place();
                }
            }
        }
        Self { object, at }
    }

    /// The member of that name.
    pub(super) fn get(&self, name: Name) -> Option<Value<'a>> {
        match self.at[usize::from(name.0)] {
            0 => None,
            at => Some(self.object.value().at(at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_by_its_text() {
        for text in NAMES {
            assert_eq!(Name::of(text).map(Name::text), Some(*text));
            assert_eq!(Name::of(text), Some(Name::known(text)));
        }
        for text in ["", "x", "nam", "names", "Name", "a name that is far longer than any"] {
            assert_eq!(Name::of(text), None, "{text}");
        }
    }
}
