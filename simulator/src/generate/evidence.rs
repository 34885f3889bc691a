//! One builder per kind of evidence: the 48 subtypes of Graph's schema of August 2026, every property of each.

use std::time::Duration;

use crate::chance::Chance;
use crate::json::Json;
use crate::model::{Account, Alert, Device};
use crate::object;
use crate::time::Time;

/// The kinds, without the suffix `Evidence`.
pub const KINDS: [&str; 48] = [
    "activeDirectoryDomain",
    "aiAgent",
    "amazonResource",
    "analyzedMessage",
    "azureResource",
    "blobContainer",
    "blob",
    "cloudApplication",
    "cloudLogonRequest",
    "cloudLogonSession",
    "container",
    "containerImage",
    "containerRegistry",
    "device",
    "dns",
    "file",
    "fileHash",
    "gitHubOrganization",
    "gitHubRepo",
    "gitHubUser",
    "googleCloudResource",
    "hostLogonSession",
    "ioTDevice",
    "ip",
    "kubernetesCluster",
    "kubernetesController",
    "kubernetesNamespace",
    "kubernetesPod",
    "kubernetesSecret",
    "kubernetesServiceAccount",
    "kubernetesService",
    "mailCluster",
    "mailboxConfiguration",
    "mailbox",
    "malware",
    "networkConnection",
    "nic",
    "oauthApplication",
    "process",
    "registryKey",
    "registryValue",
    "sasToken",
    "securityGroup",
    "servicePrincipal",
    "submissionMail",
    "teamsMessage",
    "url",
    "user",
];

/// Above 2^53: a reader that takes numbers for floats changes its last digit.
const LARGE: i64 = 9_007_199_254_740_993;

/// What the evidence of one alert has in common.
pub(super) struct Scene<'a> {
    chance: &'a mut Chance,
    created: Time,
    device: Option<Device>,
    account: Option<Account>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(chance: &'a mut Chance, alert: &Alert) -> Self {
        Scene { chance, created: alert.created, device: alert.device.clone(), account: alert.account.clone() }
    }

    /// Evidence of a kind, named as its subtype.
    pub(super) fn evidence(&mut self, kind: &str) -> Json {
        let name = format!("#microsoft.graph.security.{kind}Evidence");
        let members = self.members(kind);
        object! { "@odata.type" => name }.with(self.base()).with(members)
    }

    /// Evidence inside evidence goes without its type where the schema says which it is.
    fn nested(&mut self, kind: &str) -> Json {
        let members = self.members(kind);
        self.base().with(members)
    }

    fn base(&mut self) -> Json {
        let at = Time(self.created.0 + self.chance.below(20_000_000) as i64).floor(33_333);
        object! {
            "createdDateTime" => at,
            "verdict" => *self.chance.pick(&["unknown", "suspicious", "malicious", "noThreatsFound"]),
            "remediationStatus" => *self.chance.pick(&["none", "none", "remediated", "prevented", "blocked", "active", "pendingApproval", "partiallyRemediated"]),
            "remediationStatusDetails" => Json::Null,
            "roles" => if self.chance.percent(40) { vec![*self.chance.pick(&["contextual", "compromised", "source", "destination", "attacked", "suspicious"])] } else { Vec::new() },
            "detailedRoles" => if self.chance.percent(20) { vec!["Main device", "Referred in command line"] } else { Vec::new() },
            "tags" => if self.chance.percent(15) { vec!["Test Machine", "Prüfstand"] } else { Vec::new() },
        }
    }

    fn device_id(&self) -> Option<String> {
        self.device.as_ref().map(|device| device.id.clone())
    }

    fn earlier(&mut self, within_seconds: u64) -> Time {
        self.created.minus(Duration::from_secs(self.chance.below(within_seconds)))
    }

    fn address(&mut self) -> String {
        match self.chance.below(4) {
            0 => format!("2001:db8:{:x}::{:x}", self.chance.below(0xffff), self.chance.below(0xffff)),
            1 => format!("203.0.113.{}", self.chance.below(256)),
            _ => format!("10.{}.{}.{}", self.chance.below(256), self.chance.below(256), self.chance.below(256)),
        }
    }

    fn file_details(&mut self, name: &str, path: &str) -> Json {
        object! {
            "sha1" => self.chance.hex(40),
            "sha256" => self.chance.hex(64),
            "md5" => self.chance.hex(32),
            "sha256Ac" => Json::Null,
            "fileName" => name,
            "filePath" => path,
            "fileSize" => if self.chance.percent(5) { LARGE } else { self.chance.below(80_000_000) as i64 },
            "filePublisher" => "Microsoft Corporation",
            "signer" => Json::Null,
            "issuer" => Json::Null,
        }
    }

    fn user_account(&mut self) -> Json {
        let (guid, account) = (self.chance.guid(), self.account.clone());
        let text = |pick: fn(&Account) -> &String| account.as_ref().map(|account| pick(account).clone());
        object! {
            "accountName" => text(|account| &account.name),
            "domainName" => text(|account| &account.domain),
            "userSid" => text(|account| &account.sid),
            "azureAdUserId" => text(|account| &account.object_id),
            "userPrincipalName" => text(|account| &account.principal),
            "displayName" => text(|account| &account.name),
            "activeDirectoryObjectGuid" => guid,
            "tenantId" => Json::Null,
            "resourceAccessEvents" => Json::List(Vec::new()),
        }
    }

    fn azure_id(&mut self, kind: &str, name: &str) -> String {
        format!("/subscriptions/{}/resourceGroups/prod-{}/providers/{kind}/{name}", self.chance.guid(), self.chance.below(90))
    }

    fn sender(&mut self) -> Json {
        let domain = *self.chance.pick(&["fabrikam.example", "mail.contoso.co.in", "xn--bcher-kva.example"]);
        object! { "displayName" => "Rechnung – Buchhaltung", "domainName" => domain, "emailAddress" => format!("rechnung@{domain}") }
    }

    #[allow(clippy::too_many_lines)] // one arm per subtype; split, it would be harder to compare with the schema
    fn members(&mut self, kind: &str) -> Json {
        match kind {
            "activeDirectoryDomain" => object! {
                "activeDirectoryDomainName" => "corp.contoso.com",
                "trustedDomains" => vec![self.base().with(object! { "activeDirectoryDomainName" => "emea.contoso.com", "trustedDomains" => Json::List(Vec::new()) })],
            },
            "aiAgent" => {
                object! { "agentId" => self.chance.guid(), "agentName" => "Reisekosten-Assistent", "hostingPlatformType" => "copilotStudio", "instructions" => "Answer questions about travel expenses." }
            }
            "amazonResource" => {
                object! { "amazonAccountId" => "123456789012", "amazonResourceId" => format!("arn:aws:s3:::contoso-{}", self.chance.hex(8)), "resourceName" => "contoso-logs", "resourceType" => "AWS::S3::Bucket" }
            }
            "analyzedMessage" => object! {
                "networkMessageId" => self.chance.guid(), "internetMessageId" => format!("<{}@fabrikam.example>", self.chance.hex(16)), "subject" => "[EXTERNAL] Letzte Mahnung 支払い",
                "language" => "de", "senderIp" => self.address(), "recipientEmailAddress" => self.account.as_ref().map(|account| account.principal.clone()),
                "antiSpamDirection" => "inbound", "deliveryAction" => "blocked", "deliveryLocation" => "quarantine", "urn" => format!("urn:MailEntity:{}", self.chance.hex(32)),
                "threats" => vec!["Phish", "NormalPhish"], "threatDetectionMethods" => vec!["FileDetonation"], "urls" => vec!["https://login.fabrikam.example/?u=a%40b&x=1"],
                "urlCount" => 1_i64, "attachmentsCount" => 0_i64, "receivedDateTime" => self.earlier(900), "p1Sender" => self.sender(), "p2Sender" => self.sender(),
            },
            "azureResource" => {
                object! { "resourceId" => self.azure_id("Microsoft.Compute/virtualMachines", "vm-01"), "resourceName" => "vm-01", "resourceType" => "virtual machine" }
            }
            "blobContainer" => {
                object! { "name" => "uploads", "url" => "https://contosoprod.blob.core.windows.net/uploads", "storageResource" => self.nested("azureResource") }
            }
            "blob" => object! {
                "name" => "Überweisung.pdf.exe", "url" => "https://contosoprod.blob.core.windows.net/uploads/%C3%9Cberweisung.pdf.exe", "etag" => format!("0x{}", self.chance.hex(16)),
                "fileHashes" => vec![object! { "algorithm" => "sha256", "value" => self.chance.hex(64) }], "blobContainer" => self.nested("blobContainer"),
            },
            "cloudApplication" => {
                object! { "appId" => 11_161_i64, "displayName" => "Office 365", "instanceId" => LARGE, "instanceName" => "Contoso", "saasAppId" => 11_161_i64, "stream" => Json::Null }
            }
            "cloudLogonRequest" => object! { "requestId" => self.chance.guid() },
            "cloudLogonSession" => object! {
                "sessionId" => self.chance.guid(), "account" => self.nested("user"), "browser" => "Edge 142.0", "deviceName" => "LAP-77", "operatingSystem" => "Windows 11", "protocol" => "OAuth2",
                "userAgent" => "Mozilla/5.0 (Windows NT 10.0; Win64; x64)", "startUtcDateTime" => self.earlier(4000), "previousLogonDateTime" => self.earlier(90_000),
            },
            "container" => object! {
                "containerId" => self.chance.hex(64), "name" => "api", "image" => self.nested("containerImage"), "args" => vec!["--listen", "0.0.0.0:8080"], "command" => vec!["/bin/sh", "-c"],
                "isPrivileged" => true, "pod" => Json::Null,
            },
            "containerImage" => {
                object! { "imageId" => format!("contoso.azurecr.io/api@sha256:{}", self.chance.hex(64)), "digestImage" => Json::Null, "registry" => self.nested("containerRegistry") }
            }
            "containerRegistry" => object! { "registry" => "contoso.azurecr.io" },
            "device" => self.device_members(),
            "dns" => {
                object! { "domainName" => "bücher.example", "dnsServerIp" => self.nested("ip"), "hostIpAddress" => self.nested("ip"), "ipAddresses" => vec![self.nested("ip")] }
            }
            "file" => {
                let name =
                    *self.chance.pick(&["MsSense.exe", "Rechnung_März.pdf.exe", "suspicious.dll", "資料.docm", "a b'c\"d.ps1"]);
                object! { "detectionStatus" => *self.chance.pick(&["detected", "blocked", "prevented"]), "mdeDeviceId" => self.device_id(), "fileDetails" => self.file_details(name, "C:\\Users\\müller\\AppData\\Local\\Temp") }
            }
            "fileHash" => object! { "algorithm" => "sha256", "value" => self.chance.hex(64) },
            "gitHubOrganization" => {
                object! { "company" => "Contoso", "displayName" => "Contoso", "email" => "dev@contoso.com", "login" => "contoso", "orgId" => "9919", "webUrl" => "https://github.com/contoso" }
            }
            "gitHubRepo" => {
                object! { "baseUrl" => "https://github.com/contoso/payroll", "login" => "contoso", "owner" => "contoso", "ownerType" => "Organization", "repoId" => "1296269" }
            }
            "gitHubUser" => {
                object! { "email" => "kaic@contoso.com", "login" => "kaic", "name" => "Kai Carter", "userId" => "583231", "webUrl" => "https://github.com/kaic" }
            }
            "googleCloudResource" => object! {
                "fullResourceName" => "//compute.googleapis.com/projects/contoso/zones/europe-west3-a/instances/web-1", "location" => "europe-west3-a", "locationType" => "zonal", "projectId" => "contoso",
                "projectNumber" => LARGE, "resourceName" => "web-1", "resourceType" => "compute.googleapis.com/Instance",
            },
            "hostLogonSession" => {
                object! { "sessionId" => format!("0x{}", self.chance.hex(8)), "account" => self.nested("user"), "host" => self.nested("device"), "startUtcDateTime" => self.earlier(9000), "endUtcDateTime" => Json::Null }
            }
            "ioTDevice" => object! {
                "deviceId" => self.chance.guid(), "deviceName" => "plc-07", "devicePageLink" => "https://portal.azure.com/", "deviceType" => "PLC", "deviceSubType" => "S7-1500", "importance" => "high",
                "ioTHub" => self.nested("azureResource"), "ioTSecurityAgentId" => self.chance.guid(), "ipAddress" => self.nested("ip"), "isAuthorized" => true, "isProgramming" => false, "isScanner" => false,
                "macAddress" => "00:1B:1B:7A:01:02", "manufacturer" => "Contoso Automation", "model" => "S7", "nics" => vec![self.nested("nic")], "operatingSystem" => "RTOS", "owners" => vec!["Werk Süd"],
                "protocols" => vec!["S7comm", "Modbus"], "purdueLayer" => "ProcessControl", "sensor" => "sensor-1", "serialNumber" => "SN-42", "site" => "Nürnberg", "source" => "MicrosoftDefenderForIoT",
                "sourceRef" => self.nested("url"), "zone" => "Halle 3",
            },
            "ip" => object! {
                "ipAddress" => self.address(), "countryLetterCode" => *self.chance.pick(&["DE", "US", "JP"]), "stream" => Json::Null,
                "location" => object! { "city" => "Düsseldorf", "countryName" => "Germany", "state" => "Nordrhein-Westfalen", "latitude" => 51.2217, "longitude" => 6.77616 },
            },
            "kubernetesCluster" => {
                let cloud = object! { "@odata.type" => "#microsoft.graph.security.azureResourceEvidence" }
                    .with(self.nested("azureResource"));
                object! { "cloudResource" => cloud, "distribution" => "AKS", "name" => "prod-weu", "platform" => "aks", "version" => "1.33.2" }
            }
            "kubernetesController" => {
                object! { "name" => "api", "type" => "Deployment", "labels" => self.labels(), "namespace" => self.nested("kubernetesNamespace") }
            }
            "kubernetesNamespace" => {
                object! { "name" => "payroll", "labels" => self.labels(), "cluster" => self.nested("kubernetesCluster") }
            }
            "kubernetesPod" => object! {
                "name" => format!("api-{}", self.chance.hex(10)), "labels" => self.labels(), "containers" => vec![self.nested("container")], "initContainers" => Json::List(Vec::new()),
                "ephemeralContainers" => Json::List(Vec::new()), "controller" => self.nested("kubernetesController"), "namespace" => self.nested("kubernetesNamespace"), "podIp" => self.nested("ip"),
                "serviceAccount" => self.nested("kubernetesServiceAccount"),
            },
            "kubernetesSecret" => {
                object! { "name" => "db-credentials", "secretType" => "Opaque", "namespace" => self.nested("kubernetesNamespace") }
            }
            "kubernetesServiceAccount" => {
                object! { "name" => "default", "namespace" => self.nested("kubernetesNamespace") }
            }
            "kubernetesService" => object! {
                "name" => "api", "serviceType" => "loadBalancer", "clusterIP" => self.nested("ip"), "externalIPs" => vec![self.nested("ip")], "labels" => self.labels(), "selector" => self.labels(),
                "namespace" => self.nested("kubernetesNamespace"),
                "servicePorts" => vec![object! { "appProtocol" => "http", "name" => "web", "nodePort" => 30_080_i64, "port" => 80_i64, "protocol" => "tcp", "targetPort" => "8080" }],
            },
            "mailCluster" => object! {
                "clusterBy" => "Subject;P2SenderDomain;ContentType", "clusterByValue" => "Mahnung;fabrikam.example;1", "emailCount" => 99_i64, "networkMessageIds" => vec![self.chance.guid(), self.chance.guid()],
                "query" => "( (( (Subject:\"Mahnung\") )) AND ContentType: 1 )", "urn" => format!("urn:MailClusterEntity:{}", self.chance.hex(32)),
            },
            "mailboxConfiguration" => object! {
                "configurationId" => self.chance.guid(), "configurationType" => "userInboxRule", "displayName" => "Weiterleitung", "externalDirectoryObjectId" => self.chance.guid(),
                "mailboxPrimaryAddress" => "kaic@contoso.com", "upn" => "kaic@contoso.com",
            },
            "mailbox" => object! {
                "primaryAddress" => self.account.as_ref().map(|account| account.principal.clone()), "displayName" => self.account.as_ref().map(|account| account.name.clone()),
                "upn" => self.account.as_ref().map(|account| account.principal.clone()), "userAccount" => self.user_account(),
            },
            "malware" => {
                object! { "name" => "Qakbot", "category" => "Trojan", "files" => vec![self.nested("file")], "processes" => vec![self.nested("process")] }
            }
            "networkConnection" => {
                object! { "sourceAddress" => self.nested("ip"), "sourcePort" => 49_152_i64 + self.chance.below(16_000) as i64, "destinationAddress" => self.nested("ip"), "destinationPort" => 443_i64, "protocol" => "tcp" }
            }
            "nic" => {
                object! { "ipAddress" => self.nested("ip"), "macAddress" => "00:1B:1B:7A:01:02", "vlans" => vec!["10", "OT-Netz"] }
            }
            "oauthApplication" => {
                object! { "appId" => self.chance.guid(), "displayName" => "Kalender-Sync", "objectId" => self.chance.guid(), "publisher" => "unbekannt" }
            }
            "process" => object! {
                "processId" => self.chance.below(65_000) as i64, "parentProcessId" => self.chance.below(9_000) as i64,
                "processCommandLine" => *self.chance.pick(&["\"powershell.exe\" -nop -w hidden -enc SQBFAFgA", "cmd /c \"echo ü & type C:\\x\\y.txt > \\\\srv\\c$\\z\"", "rundll32.exe  c:\\temp\\suspicious.dll,RepeatAfterMe"]),
                "processCreationDateTime" => self.earlier(3600), "parentProcessCreationDateTime" => self.earlier(90_000), "detectionStatus" => "detected", "mdeDeviceId" => self.device_id(),
                "imageFile" => self.file_details("powershell.exe", "C:\\Windows\\System32\\WindowsPowerShell\\v1.0"), "parentProcessImageFile" => self.file_details("explorer.exe", "C:\\Windows"),
                "userAccount" => self.user_account(),
            },
            "registryKey" => {
                object! { "registryKey" => "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run", "registryHive" => "HKEY_LOCAL_MACHINE" }
            }
            "registryValue" => object! {
                "mdeDeviceId" => self.device_id(), "registryHive" => "HKEY_CURRENT_USER", "registryKey" => "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run", "registryValue" => "C:\\Temp\\ä.exe",
                "registryValueName" => "Updater", "registryValueType" => "ExpandString",
            },
            "sasToken" => object! {
                "allowedIpAddresses" => "203.0.113.0-203.0.113.255", "allowedResourceTypes" => vec!["container", "object"], "allowedServices" => vec!["blob"], "expiryDateTime" => self.created.plus(Duration::from_secs(86_400)),
                "permissions" => vec!["read", "list"], "protocol" => "https", "signatureHash" => self.chance.hex(64), "signedWith" => "accountKey", "startDateTime" => self.earlier(9000),
                "storageResource" => self.nested("azureResource"),
            },
            "securityGroup" => object! {
                "securityGroupId" => self.chance.guid(), "displayName" => "Domänen-Admins", "activeDirectoryObjectGuid" => self.chance.guid(), "distinguishedName" => "CN=Domänen-Admins,CN=Users,DC=corp,DC=contoso,DC=com",
                "friendlyName" => "Domänen-Admins", "sid" => "S-1-5-21-1721254763-462695806-1538882281-512",
            },
            "servicePrincipal" => object! {
                "appId" => self.chance.guid(), "appOwnerTenantId" => self.chance.guid(), "servicePrincipalName" => "backup-runner", "servicePrincipalObjectId" => self.chance.guid(), "servicePrincipalType" => "managedIdentity",
                "tenantId" => self.chance.guid(),
            },
            "submissionMail" => object! {
                "networkMessageId" => self.chance.guid(), "submissionId" => self.chance.guid(), "recipient" => "kaic@contoso.com", "sender" => "rechnung@fabrikam.example", "senderIp" => self.address(),
                "subject" => "Letzte Mahnung", "submitter" => "kaic@contoso.com", "reportType" => "Phish", "submissionDateTime" => self.earlier(900),
            },
            "teamsMessage" => object! {
                "campaignId" => Json::Null, "channelId" => "19:abc@thread.tacv2", "deliveryAction" => "delivered", "deliveryLocation" => "teams", "files" => vec![self.nested("file")], "groupId" => self.chance.guid(),
                "isExternal" => true, "isOwned" => false, "lastModifiedDateTime" => self.earlier(60), "messageDirection" => "inbound", "messageId" => "1763836800000", "owningTenantId" => self.chance.guid(),
                "parentMessageId" => "1763836700000", "receivedDateTime" => self.earlier(90), "recipients" => vec!["kaic@contoso.com"], "senderFromAddress" => "helpdesk@fabrikam.example", "senderIP" => self.address(),
                "sourceAppName" => "Teams", "sourceId" => self.chance.guid(), "subject" => "IT-Support 🔧", "suspiciousRecipients" => vec!["kaic@contoso.com"], "threadId" => "19:abc@thread.tacv2", "threadType" => "chat",
                "urls" => vec![self.nested("url")],
            },
            "url" => {
                object! { "url" => format!("https://login.fabrikam.example/{}?next=https%3A%2F%2Fcontoso.com&v=é", self.chance.hex(12)) }
            }
            "user" => object! { "userAccount" => self.user_account(), "stream" => Json::Null },
            _ => object! {},
        }
    }

    fn labels(&mut self) -> Json {
        object! { "app" => "api", "team" => "Lohnbuchhaltung", "rev" => self.chance.hex(6) }
    }

    fn device_members(&mut self) -> Json {
        let device = self.device.clone();
        let text = |pick: fn(&Device) -> &String| device.as_ref().map(|device| pick(device).clone());
        let host = text(|device| &device.name).and_then(|name| name.split('.').next().map(str::to_string));
        object! {
            "firstSeenDateTime" => device.as_ref().map(|device| device.first_seen),
            "mdeDeviceId" => text(|device| &device.id),
            "azureAdDeviceId" => Json::Null,
            "deviceDnsName" => text(|device| &device.name),
            "hostName" => host,
            "ntDomain" => Json::Null,
            "dnsDomain" => "contoso.com",
            "osPlatform" => text(|device| &device.platform),
            "osBuild" => 22_621_i64,
            "version" => "22H2",
            "healthStatus" => "active",
            "riskScore" => text(|device| &device.risk),
            "rbacGroupId" => device.as_ref().map(|device| device.group_id),
            "rbacGroupName" => text(|device| &device.group),
            "onboardingStatus" => "onboarded",
            "defenderAvStatus" => "updated",
            "lastIpAddress" => self.address(),
            "lastExternalIpAddress" => "203.0.113.7",
            "ipInterfaces" => vec![self.address(), "fe80::1".to_string(), "127.0.0.1".to_string()],
            "loggedOnUsers" => vec![object! { "accountName" => "kaic", "domainName" => "CONTOSO" }],
            "vmMetadata" => object! { "vmId" => self.chance.guid(), "cloudProvider" => "azure", "resourceId" => self.azure_id("Microsoft.Compute/virtualMachines", "vm-01"), "subscriptionId" => self.chance.guid() },
            "resourceAccessEvents" => Json::List(Vec::new()),
        }
    }
}
