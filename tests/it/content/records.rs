//! What a search finds in records of the streaming API, table by table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::Value;
use simulator::chance::Chance;
use simulator::generate::records::{self, TABLES};

use crate::search::{Fields, Knowledge};
use crate::support::{Event, shared};
#[cfg(feature = "streaming")]
use crate::support::{List, Stage};

use super::{first, has_tags};

/// The same record under either name.
pub(super) const SOURCETYPES: [&str; 2] = ["ms:defender:eventhub", "mscs:azure:eventhub:defender:advancedhunting"];

/// What comes the same way and is no record.
pub(super) const UNPARSED: &str = "ms:defender:eventhub:unparsed";

/// A record, and what a search finds in it.
pub(super) struct Found {
    pub(super) record: Value,
    pub(super) event: Event,
    pub(super) fields: Fields,
}

impl Found {
    /// A column as text; none where it is null or not there.
    fn column(&self, name: &str) -> Option<String> {
        match &self.record["properties"][name] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// A member of `AdditionalFields`, whether it is text that holds JSON or JSON itself.
    fn additional(&self, name: &str) -> Option<Value> {
        let more = &self.record["properties"]["AdditionalFields"];
        let more = more.as_str().map_or_else(|| more.clone(), |text| serde_json::from_str(text).unwrap_or_default());
        more.get(name).filter(|value| !value.is_null()).cloned()
    }

    fn all(&self, field: &str) -> &[String] {
        self.fields.get(field).map_or(&[], Vec::as_slice)
    }
}

/// An event of a record, as the feed of it writes one.
fn event_of(record: &str, sourcetype: &str) -> Event {
    let json: Value = serde_json::from_str(record).unwrap();
    let time = simulator::Time::parse(json["properties"]["Timestamp"].as_str().unwrap()).unwrap().0;
    Event {
        time: format!("{}.{:03}", time / 10_000_000, time % 10_000_000 / 10_000),
        source: "defender:event_hub:hunting".to_owned(),
        sourcetype: sourcetype.to_owned(),
        data: record.to_owned(),
        ..Event::default()
    }
}

/// Records of every table, read once for all tests.
static FOUND: LazyLock<BTreeMap<&str, Vec<Found>>> = LazyLock::new(|| {
    let knowledge = Knowledge::load();
    TABLES.into_iter().map(|table| (table, read(&knowledge, table))).collect()
});

fn read(knowledge: &Knowledge, table: &str) -> Vec<Found> {
    let mut chance = Chance::new(table.bytes().map(u64::from).sum());
    let now = simulator::Time::from_unix(1_790_000_000);
    let one = |n: usize| {
        let record = records::record(&mut chance, table, now).render();
        let event = event_of(&record, SOURCETYPES[n % 2]);
        Found { record: serde_json::from_str(&record).unwrap(), fields: knowledge.fields(&event), event }
    };
    (0..if matches!(table, "DeviceEvents" | "DeviceNetworkEvents") { 240 } else { 60 }).map(one).collect()
}

/// The records of a table.
pub(super) fn of_table(table: &str) -> &'static [Found] {
    &FOUND[table]
}

/// An event that is no record, as a search has it.
pub(super) fn unparsed(knowledge: &Knowledge) -> Fields {
    let event = Event {
        time: "1790000000.000".to_owned(),
        source: "defender:event_hub:hunting".to_owned(),
        sourcetype: UNPARSED.to_owned(),
        data: r#"{"reason":"it is not JSON (byte 0)","bytes":5,"encoding":"text","body":"hello"}"#.to_owned(),
        ..Event::default()
    };
    knowledge.fields(&event)
}

/// The part of `docs/fields.md` about records: each field, and the tables that have it.
pub(super) fn table_of_fields(knowledge: &Knowledge) -> String {
    let mut text = format!("\n## {} and {}\n\n| field | tables |\n| --- | --- |\n", SOURCETYPES[0], SOURCETYPES[1]);
    for name in knowledge.names_given(SOURCETYPES[0]) {
        let has = |table: &&str| of_table(table).iter().any(|one| one.fields.contains_key(&name));
        let tables: Vec<&str> = TABLES.into_iter().filter(has).collect();
        assert!(!tables.is_empty(), "no table has {name}");
        let tables = if tables.len() == TABLES.len() { "all".to_owned() } else { tables.join(", ") };
        text += &format!("| `{name}` | {tables} |\n");
    }
    text += &format!("\n## {UNPARSED}\n\n| field |\n| --- |\n");
    for name in knowledge.names_given(UNPARSED) {
        assert!(unparsed(knowledge).contains_key(&name));
        text += &format!("| `{name}` |\n");
    }
    text
}

/// Table; tags of every record; field = column it comes from (`A|B`: the first that has a value), or `=` and a constant.
const MAPPING: [(&str, &str, &str); 30] = [
    (
        "AlertInfo",
        "alert",
        "id=AlertId signature=Title subject=Title description=Title app=ServiceSource dest==unknown src==unknown type==alert",
    ),
    (
        "AlertEvidence",
        "alert",
        "id=AlertId signature=Title description=Title app=ServiceSource type==alert user=AccountName|AccountUpn user_id=AccountSid \
         process=ProcessCommandLine file_name=FileName file_size=FileSize url=RemoteUrl registry_key_name=RegistryKey \
         registry_value_name=RegistryValueName registry_value_data=RegistryValueData src_ip=RemoteIP|LocalIP \
         signature_id=ThreatFamily internal_message_id=NetworkMessageId",
    ),
    ("BehaviorInfo", "", "id=BehaviorId signature=ActionType description=Description user=AccountUpn"),
    ("BehaviorEntities", "", "id=BehaviorId signature=ActionType user=AccountName url=RemoteUrl"),
    ("DeviceEvents", "", "dvc=DeviceName file_name=FileName process_id=InitiatingProcessId"),
    (
        "DeviceFileCertificateInfo",
        "certificate ssl",
        "dest=DeviceName file_hash=SHA1 ssl_hash=SignerHash ssl_subject_common_name=Signer ssl_issuer_common_name=Issuer \
         ssl_serial=CertificateSerialNumber ssl_is_valid=IsTrusted",
    ),
    (
        "DeviceFileEvents",
        "endpoint filesystem",
        "dest=DeviceName file_name=FileName file_size=FileSize process_id=InitiatingProcessId process_name=InitiatingProcessFileName \
         process_path=InitiatingProcessFolderPath process=InitiatingProcessCommandLine process_guid=InitiatingProcessUniqueId \
         src=RequestSourceIP src_port=RequestSourcePort",
    ),
    (
        "DeviceImageLoadEvents",
        "endpoint filesystem",
        "dest=DeviceName file_name=FileName file_path=FolderPath file_size=FileSize action==read user=InitiatingProcessAccountName",
    ),
    (
        "DeviceInfo",
        "inventory system version",
        "dest=DeviceName node=DeviceName serial=HardwareUuid os=OSDistribution family=OSPlatform version=OSVersion \
         status=SensorHealthState ip=PublicIP",
    ),
    (
        "DeviceLogonEvents",
        "authentication",
        "dest=DeviceName src=RemoteDeviceName|RemoteIP src_ip=RemoteIP src_port=RemotePort user=AccountName user_id=AccountSid \
         dest_nt_domain=AccountDomain reason=FailureReason authentication_method=LogonType app=Protocol \
         process_name=InitiatingProcessFileName signature=ActionType",
    ),
    (
        "DeviceNetworkEvents",
        "",
        "dvc=DeviceName app=InitiatingProcessFileName user=InitiatingProcessAccountName user_id=InitiatingProcessAccountSid \
         process_id=InitiatingProcessId process_name=InitiatingProcessFileName",
    ),
    (
        "DeviceNetworkInfo",
        "inventory network",
        "dest=DeviceName node=DeviceName interface=NetworkAdapterName status=NetworkAdapterStatus",
    ),
    (
        "DeviceProcessEvents",
        "process report",
        "dest=DeviceName action==allowed user=AccountName user_id=AccountSid process=ProcessCommandLine process_name=FileName \
         process_path=FolderPath process_id=ProcessId process_guid=ProcessUniqueId original_file_name=ProcessVersionInfoOriginalFileName \
         parent_process=InitiatingProcessCommandLine parent_process_name=InitiatingProcessFileName \
         parent_process_path=InitiatingProcessFolderPath parent_process_id=InitiatingProcessId \
         parent_process_guid=InitiatingProcessUniqueId file_name=FileName file_path=FolderPath",
    ),
    (
        "DeviceRegistryEvents",
        "endpoint registry",
        "dest=DeviceName user=InitiatingProcessAccountName registry_value_name=RegistryValueName registry_value_data=RegistryValueData \
         process_id=InitiatingProcessId process_name=InitiatingProcessFileName status==success",
    ),
    (
        "EmailAttachmentInfo",
        "email content",
        "src_user=SenderFromAddress recipient=RecipientEmailAddress internal_message_id=NetworkMessageId file_name=FileName \
         file_size=FileSize file_hash=SHA256 signature=ThreatNames|ThreatTypes",
    ),
    (
        "EmailEvents",
        "email delivery",
        "src_user=SenderFromAddress src_user_domain=SenderFromDomain recipient=RecipientEmailAddress recipient_count==1 \
         recipient_domain=RecipientDomain return_addr=SenderMailFromAddress subject=Subject message_id=InternetMessageId \
         internal_message_id=NetworkMessageId src=SenderIPv4|SenderIPv6 src_ip=SenderIPv4|SenderIPv6 size=EmailSize \
         signature=ThreatNames|ThreatTypes",
    ),
    (
        "EmailPostDeliveryEvents",
        "email filter",
        "recipient=RecipientEmailAddress src_user=SenderFromAddress message_id=InternetMessageId \
         internal_message_id=NetworkMessageId filter_action=Action signature=ThreatTypes|ActionType",
    ),
    ("EmailUrlInfo", "email content", "internal_message_id=NetworkMessageId url=Url url_domain=UrlDomain"),
    (
        "UrlClickEvents",
        "web",
        "url=Url user=AccountUpn src=IPAddress src_ip=IPAddress app=Workload internal_message_id=NetworkMessageId",
    ),
    ("MessageEvents", "", "src_user=SenderEmailAddress message_id=TeamsMessageId subject=Subject"),
    ("MessagePostDeliveryEvents", "", "src_user=SenderEmailAddress message_id=TeamsMessageId filter_action=Action"),
    ("MessageUrlInfo", "", "message_id=TeamsMessageId url=Url url_domain=UrlDomain"),
    (
        "IdentityDirectoryEvents",
        "",
        "src=DeviceName|IPAddress src_ip=IPAddress src_port=Port dest=TargetDeviceName|DestinationDeviceName \
         dest_ip=DestinationIPAddress dest_port=DestinationPort app=Application command=ActionType src_user=AccountName \
         user=TargetAccountUpn|AccountName",
    ),
    ("IdentityInfo", "inventory user", "user=AccountName user_id=AccountSid|OnPremSid|AccountObjectId enabled=IsAccountEnabled"),
    (
        "IdentityLogonEvents",
        "authentication",
        "src=DeviceName|IPAddress src_ip=IPAddress src_port=Port dest=DestinationDeviceName|Application dest_ip=DestinationIPAddress \
         dest_port=DestinationPort user=AccountName user_id=AccountSid dest_nt_domain=AccountDomain app=Application reason=FailureReason \
         authentication_method=Protocol|LogonType authentication_service=Application",
    ),
    (
        "IdentityQueryEvents",
        "",
        "src=DeviceName src_ip=IPAddress dest=DestinationDeviceName dest_ip=DestinationIPAddress app=Application query=Query|QueryTarget",
    ),
    (
        "CloudAppEvents",
        "",
        "dest=Application app=Application src=IPAddress src_ip=IPAddress user_id=AccountObjectId|AccountId object=ObjectName \
         command=ActionType http_user_agent=UserAgent",
    ),
    ("CloudAuditEvents", "", "dest=AzureResourceId object=AzureResourceId command=OperationName app=DataSource"),
    (
        "CloudProcessEvents",
        "process report",
        "action==allowed dest=ContainerName user=AccountName process=ProcessCommandLine process_name=ProcessName process_id=ProcessId \
         process_path=FolderPath process_current_directory=ProcessCurrentWorkingDirectory parent_process_name=ParentProcessName \
         parent_process_id=ParentProcessId",
    ),
    (
        "CloudStorageAggregatedEvents",
        "data access",
        "dest=StorageAccount src=IPAddress object=StorageAccount action==read app=DataSource",
    ),
];

#[test]
fn every_table_has_the_fields_of_its_data_models() {
    assert_eq!(MAPPING.map(|(table, ..)| table).into_iter().collect::<BTreeSet<_>>(), TABLES.into_iter().collect());
    for (table, tags, mapping) in MAPPING {
        let found = of_table(table);
        let mut seen = BTreeSet::new();
        for one in found {
            assert!(has_tags(&one.fields, &tags.split_whitespace().collect::<Vec<_>>()), "{table} {:?}", one.fields["tag"]);
            assert_eq!(first(&one.fields, "vendor_account"), one.record["tenantId"]);
            assert!(first(&one.fields, "vendor_product").starts_with("Microsoft Defender"), "{table}");
            assert_eq!(first(&one.fields, "vendor_action"), one.column("ActionType").unwrap_or_default(), "{table}");
            for pair in mapping.split_whitespace() {
                let (field, from) = pair.split_once('=').unwrap();
                let wanted = match from.strip_prefix('=') {
                    Some(text) => Some(text.to_owned()),
                    None => from.split('|').find_map(|name| one.column(name)),
                };
                if let Some(wanted) = &wanted {
                    assert!(
                        one.all(field).contains(wanted),
                        "{table}: {field} is {:?}, not {wanted}: {}",
                        one.all(field),
                        one.event.data
                    );
                    seen.insert(field);
                } else {
                    assert_eq!(one.all(field), [""; 0], "{table}: {field}: {}", one.event.data);
                }
            }
            // A null is no value, and the tenant is no host.
            for (name, values) in one.fields.iter().filter(|(name, _)| !name.starts_with("properties.") && *name != "_raw") {
                assert!(values.iter().all(|value| value != "null" && !value.is_empty()), "{table}: {name} {values:?}");
            }
            for name in ["dest", "src", "dvc"] {
                assert!(
                    one.all(name).iter().all(|value| one.record["tenantId"] != **value && !value.contains("://")),
                    "{table} {name}"
                );
            }
        }
        let wanted: BTreeSet<&str> = mapping.split_whitespace().filter_map(|pair| Some(pair.split_once('=')?.0)).collect();
        let never: Vec<_> = wanted.difference(&seen).collect();
        assert!(never.iter().all(|name| matches!((table, **name), ("BehaviorEntities", "url"))), "{table}: never {never:?}");
        assert!(found.iter().any(|one| one.event.sourcetype == SOURCETYPES[1]));
    }
}

#[test]
fn what_is_long_hides_nothing() {
    let mut long = BTreeSet::new();
    for (table, _, mapping) in MAPPING {
        for one in of_table(table).iter().filter(|one| one.event.data.len() > 5_000) {
            // The device, the user, the parent process stand behind it; the mapping was compared above for all of them.
            let lost = mapping.split_whitespace().filter_map(|pair| pair.split_once('=')?.1.split('|').next());
            let lost = lost.filter(|name| one.column(name).is_some() && !one.fields.contains_key(&format!("properties.{name}")));
            if lost.count() > 0 {
                long.insert(table);
            }
        }
    }
    for table in
        ["DeviceProcessEvents", "DeviceNetworkEvents", "DeviceFileEvents", "DeviceLogonEvents", "AlertEvidence", "CloudAppEvents"]
    {
        assert!(long.contains(table), "no record of {table} goes beyond the cut-off: {long:?}");
    }
}

#[test]
fn connections_have_two_ends_and_a_direction() {
    let mut seen = BTreeMap::<String, BTreeSet<String>>::new();
    let firewall = of_table("DeviceEvents").iter().filter(|one| first(&one.fields, "vendor_action").starts_with("Firewall"));
    for one in of_table("DeviceNetworkEvents").iter().chain(firewall) {
        let action = one.column("ActionType").unwrap();
        let (device, local, remote) = (one.column("DeviceName").unwrap(), one.column("LocalIP").unwrap(), one.column("RemoteIP"));
        let inbound =
            action.contains("Inbound") || action.starts_with("Listening") || one.additional("direction") == Some("In".into());
        let text = |name: &str| first(&one.fields, name).to_owned();
        assert_eq!(text("direction"), if inbound { "inbound" } else { "outbound" }, "{action}");
        let host =
            one.column("RemoteUrl").map(|url| url.split("://").last().unwrap().split(['/', ':', '?']).next().unwrap().to_owned());
        let ends = [("src", "src_ip", "src_port"), ("dest", "dest_ip", "dest_port")];
        let [(far, far_ip, far_port), (near, near_ip, near_port)] = if inbound { ends } else { [ends[1], ends[0]] };
        assert_eq!(text(near), device);
        assert_eq!((text(near_ip), text(near_port)), (local, one.column("LocalPort").unwrap()));
        assert_eq!(
            (text(far_ip), text(far_port)),
            (remote.clone().unwrap_or_default(), one.column("RemotePort").unwrap_or_default())
        );
        assert_eq!(text(far), if inbound { remote } else { host.or(remote) }.unwrap_or_default());
        let blocked = action == "ConnectionFailed" || action.ends_with("Blocked");
        assert_eq!(text("action"), if blocked { "blocked" } else { "allowed" });
        if let Some(protocol) = one.column("Protocol") {
            assert_eq!(text("transport"), protocol.to_lowercase().trim_end_matches(['v', '4', '6']));
        }
        assert_eq!(has_tags(&one.fields, &["network", "communicate"]), !action.starts_with("Listening"), "{action}");
        assert_eq!(has_tags(&one.fields, &["listening", "port"]), action.starts_with("Listening"), "{action}");
        assert!(!has_tags(&one.fields, &["process"]));
        match action.as_str() {
            "DnsConnectionInspected" => {
                assert!(has_tags(&one.fields, &["network", "resolution", "dns"]));
                assert_eq!(one.additional("query").unwrap(), text("query"));
                assert_eq!(one.additional("answers").unwrap()[0], text("answer"));
                assert_eq!((text("record_type"), text("reply_code")), ("A".to_owned(), "NOERROR".to_owned()));
            }
            "HttpConnectionInspected" => {
                assert!(has_tags(&one.fields, &["web"]));
                let host = one.additional("host").unwrap();
                assert_eq!(text("url"), format!("http://{}/update/setup.msi?id=7", host.as_str().unwrap()));
                assert_eq!((text("uri_path"), text("uri_query")), ("/update/setup.msi".to_owned(), "id=7".to_owned()));
                assert_eq!((text("http_method"), text("status")), ("GET".to_owned(), "200".to_owned()));
            }
            _ => assert!(!has_tags(&one.fields, &["web"]) && !has_tags(&one.fields, &["dns"])),
        }
        seen.entry(action).or_default().insert(text("direction"));
    }
    assert!(seen.len() == 15 && seen["SslConnectionInspected"].len() == 2, "{seen:?}");
}

#[test]
fn sign_ins_that_fail_are_failures() {
    let mut seen = BTreeSet::new();
    for table in ["DeviceLogonEvents", "IdentityLogonEvents", "CloudAppEvents"] {
        for one in of_table(table) {
            let action = one.column("ActionType").unwrap();
            let wanted = match action.as_str() {
                "LogonSuccess" | "UserLoggedIn" => "success",
                "LogonFailed" | "UserLoginFailed" => "failure",
                "LogonAttempted" => "pending",
                _ => {
                    assert!(!has_tags(&one.fields, &["authentication"]), "{action}");
                    continue;
                }
            };
            assert_eq!(first(&one.fields, "action"), wanted, "{action}");
            assert!(has_tags(&one.fields, &["authentication"]) && !has_tags(&one.fields, &["change"]), "{action}");
            assert!(
                !first(&one.fields, "user").is_empty()
                    && !first(&one.fields, "dest").is_empty()
                    && !first(&one.fields, "src").is_empty()
            );
            seen.insert((table, wanted));
        }
    }
    assert_eq!(seen.len(), 7, "{seen:?}");
}

#[test]
fn files_have_their_own_path_and_hashes() {
    let mut folders = 0;
    for table in [
        "DeviceFileEvents",
        "DeviceImageLoadEvents",
        "DeviceProcessEvents",
        "AlertEvidence",
        "EmailAttachmentInfo",
        "DeviceEvents",
    ] {
        for one in of_table(table) {
            let hashes: Vec<String> = ["SHA256", "SHA1", "MD5"].iter().filter_map(|name| one.column(name)).collect();
            assert_eq!(one.all("file_hash"), hashes, "{table}");
            if let (Some(name), Some(folder)) = (one.column("FileName"), one.column("FolderPath")) {
                let path = first(&one.fields, "file_path");
                assert!(path.to_lowercase().ends_with(&name.to_lowercase()) && path.starts_with(&folder), "{path}");
                assert!(!path.contains("\\\\") && !path.contains("//"), "{path}");
                folders += usize::from(path != folder);
            }
            if table == "DeviceProcessEvents" {
                assert_eq!(one.all("process_hash"), hashes);
            } else if table.starts_with("Device") {
                let hashes: Vec<String> =
                    ["SHA256", "SHA1", "MD5"].iter().filter_map(|name| one.column(&format!("InitiatingProcess{name}"))).collect();
                assert_eq!(one.all("process_hash"), hashes, "{table}");
            }
            if table == "DeviceFileEvents" {
                let action = one.column("ActionType").unwrap();
                let wanted = match action.as_str() {
                    "FileCreated" => ("created", "file_create_time"),
                    "FileDeleted" => ("deleted", ""),
                    _ => ("modified", "file_modify_time"),
                };
                assert_eq!(first(&one.fields, "action"), wanted.0);
                for name in ["file_create_time", "file_modify_time"] {
                    let time = if name == wanted.1 { one.column("Timestamp").unwrap() } else { String::new() };
                    assert_eq!(first(&one.fields, name), time, "{action}");
                }
                let shared = one.column("RequestSourceIP").is_some();
                let user = one.column(if shared { "RequestAccountName" } else { "InitiatingProcessAccountName" }).unwrap();
                assert_eq!(first(&one.fields, "user"), user);
            }
        }
    }
    assert!(folders > 20, "{folders}");
}

#[test]
fn the_registry_is_told_in_the_words_of_the_model() {
    let mut kinds = BTreeSet::new();
    for one in of_table("DeviceRegistryEvents") {
        let key = [one.column("RegistryKey"), one.column("PreviousRegistryKey")]
            .into_iter()
            .flatten()
            .find(|key| !key.is_empty())
            .unwrap();
        let text = |name: &str| first(&one.fields, name).to_owned();
        assert_eq!(text("registry_key_name"), key);
        assert_eq!(text("registry_hive"), key.split('\\').next().unwrap());
        assert_eq!(text("registry_path"), one.column("RegistryValueName").map_or(key.clone(), |name| format!(r"{key}\{name}")));
        let kind = one.column("RegistryValueType").filter(|kind| !kind.is_empty());
        let wanted = kind.as_deref().map_or("", |kind| match kind {
            "String" => "REG_SZ",
            "ExpandString" => "REG_EXPAND_SZ",
            "MultiString" => "REG_MULTI_SZ",
            "Dword" => "REG_DWORD",
            "Qword" => "REG_QWORD",
            "Binary" => "REG_BINARY",
            _ => "REG_NONE",
        });
        assert_eq!(text("registry_value_type"), wanted);
        let wanted = match one.column("ActionType").unwrap().as_str() {
            "RegistryValueSet" => "modified",
            "RegistryKeyCreated" => "created",
            _ => "deleted",
        };
        assert_eq!(text("action"), wanted);
        kinds.insert(kind);
    }
    assert_eq!(kinds.len(), 8, "{kinds:?}");
}

#[test]
fn what_devices_report_besides_goes_to_the_model_it_belongs_to() {
    // ActionType; tags; action; a field and where it comes from in AdditionalFields or, with a dot, in the columns.
    let table: [(&str, &str, &str, &str, &str); 17] = [
        ("AsrOfficeChildProcessBlocked", "ids attack", "blocked", "signature_id", "RuleId"),
        ("AsrLsassCredentialTheftAudited", "ids attack", "allowed", "signature_id", "RuleId"),
        ("ExploitGuardNetworkProtectionBlocked", "ids attack", "blocked", "url", ".RemoteUrl"),
        ("SmartScreenUrlWarning", "ids attack", "allowed", "url", ".RemoteUrl"),
        ("ControlledFolderAccessViolationBlocked", "ids attack", "blocked", "file_path", ".FolderPath"),
        ("ServiceInstalled", "service report", "created", "service", "ServiceName"),
        ("ScheduledTaskCreated", "change", "created", "object", "TaskName"),
        ("UserAccountCreated", "change account", "created", "user", ".AccountName"),
        ("UserAccountDeleted", "change account", "deleted", "object_id", ".AccountSid"),
        ("UserAccountAddedToLocalGroup", "change account", "modified", "object", "GroupName"),
        ("PasswordChangeAttempt", "change account", "modified", "src_user", ".InitiatingProcessAccountName"),
        ("SecurityLogCleared", "change", "cleared", "dest", ".DeviceName"),
        ("DnsQueryResponse", "network resolution dns", "", "query", "DnsQueryString"),
        ("UsbDriveMounted", "", "", "dest", ".DeviceName"),
        ("PowerShellCommand", "", "", "process", ".InitiatingProcessCommandLine"),
        ("OpenProcessApiCall", "", "", "user", ".AccountName"),
        ("FirewallInboundConnectionBlocked", "network communicate", "blocked", "dest", ".DeviceName"),
    ];
    let found = of_table("DeviceEvents");
    for (action_type, tags, action, field, from) in table {
        let of_type = found.iter().filter(|one| first(&one.fields, "vendor_action") == action_type);
        let mut count = 0;
        for one in of_type {
            let known: BTreeSet<&str> = one.fields["tag"].iter().map(String::as_str).collect();
            assert_eq!(known, tags.split_whitespace().collect(), "{action_type}");
            assert_eq!(first(&one.fields, "action"), action, "{action_type}");
            let wanted = match from.strip_prefix('.') {
                Some(column) => one.column(column).unwrap(),
                None => one.additional(from).unwrap().as_str().unwrap().to_owned(),
            };
            assert_eq!(first(&one.fields, field), wanted, "{action_type}");
            count += 1;
        }
        assert!(count > 5, "{action_type}: {count}");
    }
    for one in found.iter().filter(|one| first(&one.fields, "vendor_action").starts_with("Antivirus")) {
        assert!(has_tags(&one.fields, &["malware", "attack"]));
        assert_eq!(one.additional("ThreatName").unwrap(), first(&one.fields, "signature"));
        let remediated = one.additional("WasRemediated").unwrap() == true;
        assert_eq!(first(&one.fields, "action"), if remediated { "blocked" } else { "allowed" });
    }
}

#[test]
fn alerts_of_the_stream_have_what_detections_group_by() {
    let (mut malware, mut hosts, mut techniques) = (0, BTreeSet::new(), BTreeSet::new());
    for one in ["AlertInfo", "AlertEvidence"].into_iter().flat_map(|table| of_table(table)) {
        for name in ["signature", "app", "severity", "description", "source", "id", "dest", "type"] {
            assert!(!first(&one.fields, name).is_empty(), "no {name}: {}", one.event.data);
        }
        assert_eq!(first(&one.fields, "severity"), one.column("Severity").unwrap().to_lowercase());
        let dest = first(&one.fields, "dest");
        assert_eq!(dest, one.column("DeviceName").or(one.column("CloudResource")).unwrap_or("unknown".to_owned()));
        hosts.insert(dest.split('-').next().unwrap().to_owned());
        let told = one.column("AttackTechniques").unwrap();
        let wanted: Vec<&str> = told.split("(T").skip(1).map(|rest| rest.split(')').next().unwrap()).collect();
        let found: Vec<&str> = one.all("mitre_technique_id").iter().map(|id| id.trim_start_matches('T')).collect();
        assert_eq!(found, wanted, "{told}");
        techniques.insert(wanted.len());
        let is_malware =
            [one.column("Category"), one.column("Categories")].into_iter().flatten().any(|all| all.contains("Malware"));
        assert_eq!(has_tags(&one.fields, &["malware", "attack"]), is_malware || one.column("ThreatFamily").is_some());
        malware += usize::from(is_malware);
        let remediation = one.additional("LastRemediationState");
        let wanted = match remediation.as_ref().and_then(Value::as_str) {
            Some("Active") => "allowed",
            Some("Remediated") => "blocked",
            _ => "unknown",
        };
        assert_eq!(first(&one.fields, "action"), wanted);
    }
    assert!(
        malware > 10 && techniques.len() == 3 && hosts.contains("unknown") && hosts.contains("phantom"),
        "{malware} {hosts:?}"
    );
}

#[test]
fn mail_clicks_directory_and_clouds_are_told_as_actions() {
    let mut seen = BTreeSet::new();
    for table in [
        "EmailEvents",
        "EmailPostDeliveryEvents",
        "UrlClickEvents",
        "MessageEvents",
        "IdentityDirectoryEvents",
        "IdentityQueryEvents",
        "CloudAppEvents",
        "CloudAuditEvents",
        "DeviceInfo",
        "DeviceNetworkInfo",
        "DeviceFileCertificateInfo",
    ] {
        for one in of_table(table) {
            let column = |name: &str| one.column(name).unwrap_or_default();
            let (text, tags) = (|name: &str| first(&one.fields, name).to_owned(), |tags: &[&str]| has_tags(&one.fields, tags));
            let wanted = match table {
                "EmailEvents" => match (column("DeliveryAction").as_str(), column("DeliveryLocation").as_str()) {
                    ("Blocked", "Quarantine") => "quarantined",
                    ("Blocked", _) => "blocked",
                    _ => "delivered",
                },
                "EmailPostDeliveryEvents" => match (column("ActionResult").as_str(), column("Action").as_str()) {
                    ("Success", "Moved to quarantine") => "quarantined",
                    ("Success", "Soft delete") => "deleted",
                    ("Success", _) => "delivered",
                    _ => "unknown",
                },
                "UrlClickEvents" => {
                    assert_eq!(text("dest"), text("url_domain"));
                    assert!(text("url").contains(&text("uri_path")) && text("url").contains(&text("dest")), "{}", text("url"));
                    assert_eq!(text("url_length"), text("url").chars().count().to_string());
                    let clicked = column("IsClickedThrough") == "true" || column("ActionType") == "ClickAllowed";
                    if clicked { "allowed" } else { "blocked" }
                }
                "MessageEvents" => {
                    assert!(text("recipient").ends_with("@contoso.onmicrosoft.com"));
                    if column("DeliveryAction") == "Blocked" { "blocked" } else { "delivered" }
                }
                "IdentityDirectoryEvents" => {
                    let action = column("ActionType");
                    let of_account = action.starts_with("Account") || action.ends_with("changed");
                    assert_eq!(tags(&["change", "account"]), of_account, "{action}");
                    assert_eq!(text("object"), one.column("TargetAccountUpn").unwrap_or(column("TargetDeviceName")));
                    let category = if action.starts_with("Group") { "group" } else { "user" };
                    assert_eq!(text("object_category"), if of_account { category } else { "" });
                    match action.as_str() {
                        "Account Deleted changed" => "deleted",
                        _ if of_account => "modified",
                        _ => "",
                    }
                }
                "IdentityQueryEvents" => {
                    assert_eq!(tags(&["network", "resolution", "dns"]), column("ActionType") == "DNS query");
                    ""
                }
                "CloudAppEvents" => {
                    let admin = column("IsAdminOperation") == "true";
                    let logon = column("ActionType").starts_with("UserLog");
                    assert_eq!((tags(&["change"]), tags(&["data", "access"])), (admin, !admin && !logon));
                    assert!(text("user").contains('@') && text("dest") == column("Application"));
                    match column("ActionType").as_str() {
                        "FileDownloaded" | "FileAccessed" | "MailItemsAccessed" => "read",
                        "FileDeleted" => "deleted",
                        "UserLoggedIn" => "success",
                        "UserLoginFailed" => "failure",
                        _ => "created",
                    }
                }
                "CloudAuditEvents" => {
                    assert_eq!(text("user"), "system:serviceaccount:cert-manager:cert-manager");
                    assert_eq!(column("IPAddress").split(',').next().unwrap(), text("src"));
                    let operation = column("OperationName");
                    assert_eq!(tags(&["change"]), operation != "watch");
                    match operation.rsplit('/').next().unwrap() {
                        "watch" => "read",
                        "WRITE" => "modified",
                        _ => "deleted",
                    }
                }
                "DeviceInfo" => {
                    assert!(column("LoggedOnUsers").contains(&format!("\"{}\"", text("user"))), "{}", text("user"));
                    assert_eq!(text("enabled"), (column("OnboardingStatus") == "Onboarded").to_string());
                    ""
                }
                "DeviceNetworkInfo" => {
                    assert_eq!(one.all("ip").len(), 2);
                    assert!(one.all("ip").iter().all(|ip| column("IPAddresses").contains(ip)));
                    assert_eq!(one.all("dns").len(), if column("DnsAddresses").is_empty() { 0 } else { 2 });
                    assert_eq!(text("mac"), column("MacAddress").to_lowercase().replace('-', ":"));
                    ""
                }
                _ => {
                    assert_eq!(
                        (text("ssl_start_time"), text("ssl_end_time")),
                        ("1746057600".to_owned(), "1840795200".to_owned())
                    );
                    assert_eq!(text("ssl_validity_window"), "94737600");
                    ""
                }
            };
            assert_eq!(text("action"), wanted, "{table}: {}", one.event.data);
            seen.insert((table, wanted));
        }
    }
    assert_eq!(seen.len(), 26, "{seen:?}");
}

#[test]
fn both_names_have_the_same_settings() {
    let knowledge = Knowledge::load();
    let [one, other] = SOURCETYPES.map(|name| {
        let settings = knowledge.settings(name).iter().filter(|(name, _)| name != "description");
        settings.cloned().collect::<Vec<_>>()
    });
    assert!(one.len() > 100);
    assert_eq!(one, other);
}

#[test]
fn each_column_is_also_read_where_the_extraction_ends_before_it() {
    let knowledge = Knowledge::load();
    let by_path = knowledge.members_read();
    for sourcetype in SOURCETYPES {
        for (name, text) in knowledge.settings(sourcetype) {
            let Some(name) = name.strip_prefix("EVAL-") else { continue };
            let read = crate::search::fields_of(text);
            let columns: BTreeSet<&String> = read.iter().filter(|field| field.starts_with("properties.")).collect();
            let paths = &by_path[sourcetype][name];
            let missing: Vec<_> = columns.iter().filter(|column| !paths.contains(**column)).collect();
            assert!(missing.is_empty(), "EVAL-{name}: {missing:?}");
        }
    }
}

#[test]
fn the_time_of_the_event_is_the_one_that_its_settings_find() {
    let knowledge = Knowledge::load();
    for sourcetype in SOURCETYPES {
        let prefix = knowledge.time_prefix(sourcetype);
        for one in TABLES.into_iter().flat_map(of_table) {
            let end = prefix.find(&one.event.data).unwrap_or_else(|| panic!("{}", one.event.data)).end();
            let found = one.event.data[end..].split('"').next().unwrap();
            assert_eq!(found, one.column("Timestamp").unwrap(), "{}", one.event.data);
        }
        // A time of what is nested comes first, in text, in a list, in an object; brackets and quotes stand in texts.
        let hard = r#"{"category":"x","properties":{"A":"\"Timestamp\":\"1\"}{[","B":[{"Timestamp":"2"},["]"]],
            "C":{"D":{"Timestamp":"3"}},"Timestamp" : "4"}}"#;
        assert!(hard[prefix.find(hard).unwrap().end()..].starts_with('4'));
        let none = r#"{"properties":{"RawEventData":[{"Timestamp":"5","c":[1,2]}]}}"#;
        assert!(prefix.find(none).is_none());
    }
}

/// "Windows Defender Alerts" of the published content: the source's own example, as its detection reads the data model.
#[test]
fn the_published_example_of_the_stream_gives_its_row() {
    let Some(path) = shared("fixtures/security_content/advancedhunting_alertevidence_example.json") else { return };
    let example: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let knowledge = Knowledge::load();
    let fields = knowledge.fields(&event_of(&example.to_string(), SOURCETYPES[1]));
    let found = super::detections::grave_rows(std::slice::from_ref(&fields));
    let [row] = found.as_slice() else { panic!("one row: {found:?}") };
    // By the detection: signature, app, severity, description, source, id, dest.
    for (name, wanted) in [
        ("count", "1"),
        ("signature", "Suspicious authentication activity"),
        ("app", "Microsoft Defender for Cloud"),
        ("severity", "high"),
        ("description", "Suspicious authentication activity"),
        ("source", "defender:event_hub:hunting"),
        ("id", "dc25"),
        ("dest", "phantom-identity"),
    ] {
        assert_eq!(row[name], [wanted], "{name}");
    }
    assert!(has_tags(&fields, &["alert"]));
}

#[test]
fn grave_alerts_of_the_stream_reach_the_published_detection() {
    for table in ["AlertInfo", "AlertEvidence"] {
        let fields: Vec<Fields> = of_table(table).iter().map(|one| one.fields.clone()).collect();
        let found = super::detections::grave_rows(&fields);
        let found: BTreeSet<&str> = found.iter().map(|row| first(row, "id")).collect();
        let grave = of_table(table).iter().filter(|one| one.column("Severity").as_deref() == Some("High"));
        let grave: BTreeSet<String> = grave.filter_map(|one| one.column("AlertId")).collect();
        assert!(grave.len() > 5 && found == grave.iter().map(String::as_str).collect(), "{table}");
    }
}

#[test]
fn what_is_no_record_says_why() {
    let fields = unparsed(&Knowledge::load());
    assert_eq!((first(&fields, "reason"), first(&fields, "body")), ("it is not JSON (byte 0)", "hello"));
    assert_eq!(fields["tag"], [""; 0]);
}

/// The searches here read records by hand; so the program has to write them as the hand does.
#[cfg(feature = "streaming")]
#[test]
fn the_program_writes_records_as_they_are_taken_here() {
    let stage = Stage::with(simulator::Config { incidents: 0, alerts: 0, ..Stage::config() });
    let hubs = stage.sim.event_hubs();
    hubs.create("hunting", 1);
    let sent: Vec<&Found> = TABLES.into_iter().flat_map(|table| &of_table(table)[..8]).collect();
    for some in sent.chunks(40) {
        let records: Vec<&str> = some.iter().map(|one| one.event.data.as_str()).collect();
        hubs.publish("hunting", 0, format!(r#"{{"records":[{}]}}"#, records.join(",")));
    }
    hubs.publish("hunting", 0, "hello".to_owned());
    let knowledge = Knowledge::load();
    for (shape, sourcetype) in ["incumbent", "community"].into_iter().zip(SOURCETYPES) {
        let input = stage.input(List::GraphAlerts).named(shape).set("feed", "event_hub").set("start", "earliest");
        let input = input.set("event_hub_namespace", &hubs.address()).set("event_hub_name", "hunting").set("shape", shape);
        let mut running = input.start();
        running.wait_until("everything is written", |running| running.events_so_far().len() > sent.len());
        running.terminate();
        let events = running.end().exits(0).events();
        for (event, one) in events.iter().zip(&sent) {
            let wanted = (&one.event.time, &one.event.source, &one.event.data, sourcetype);
            assert_eq!((&event.time, &event.source, &event.data, event.sourcetype.as_str()), wanted);
        }
        let (found, wanted) = (knowledge.fields(&events[sent.len()]), unparsed(&knowledge));
        assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
        for name in ["body", "sourcetype", "source", "encoding"] {
            assert_eq!(found[name], wanted[name]);
        }
    }
}
