//! The tables of devices, but for `DeviceEvents`.

use super::{LINKS, Scene, Values, text};
use crate::json::Json;
use crate::object;

/// The columns of a table; what they have in common, and what is the table's own.
pub(super) fn event(scene: &mut Scene<'_>, table: &str) -> Values {
    let mut values = match table {
        "DeviceProcessEvents" => process(scene),
        "DeviceNetworkEvents" => network(scene),
        "DeviceLogonEvents" => logon(scene),
        "DeviceFileEvents" => file(scene),
        "DeviceImageLoadEvents" => image_load(scene),
        "DeviceRegistryEvents" => registry(scene),
        "DeviceFileCertificateInfo" => certificate(scene),
        "DeviceNetworkInfo" => network_info(scene),
        _ => info(scene),
    };
    values.extend(device(scene));
    values.extend(scene.initiating());
    values
}

/// Which device.
pub(super) fn device(scene: &mut Scene<'_>) -> Values {
    vec![
        ("DeviceId", (&scene.device.id).into()),
        ("DeviceName", (&scene.device.name).into()),
        ("MachineGroup", (&scene.device.group).into()),
        ("AppGuardContainerId", "".into()),
        ("ReportId", scene.report()),
    ]
}

fn process(scene: &mut Scene<'_>) -> Values {
    let mut values = scene.created();
    values.push(("ActionType", "ProcessCreated".into()));
    values.push(("AdditionalFields", scene.some(30, r#"{"ProcessCurrentWorkingDirectory":"/opt/microsoft/mdatp/sbin"}"#)));
    values
}

/// What a connection can be, with the share of each.
const CONNECTIONS: [&str; 14] = [
    "ConnectionSuccess",
    "ConnectionSuccess",
    "ConnectionFailed",
    "ConnectionRequest",
    "ConnectionFound",
    "ConnectionAttempt",
    "ConnectionAcknowledged",
    "InboundConnectionAccepted",
    "InboundInternetScanInspected",
    "ListeningConnectionCreated",
    "DnsConnectionInspected",
    "HttpConnectionInspected",
    "SslConnectionInspected",
    "IcmpConnectionInspected",
];

fn network(scene: &mut Scene<'_>) -> Values {
    let action = scene.pick(&CONNECTIONS);
    let (link, host) = scene.pick(&LINKS);
    let (remote_port, protocol) = match action {
        "DnsConnectionInspected" => (53, "Udp"),
        "IcmpConnectionInspected" => (0, "Icmp"),
        _ => (scene.pick(&[443, 80, 445, 3389]), scene.pick(&["Tcp", "TcpV4", "TcpV6"])),
    };
    let more = match action {
        "DnsConnectionInspected" => text(&object! {
            "direction" => "Out", "conn_state" => "SF", "duration" => "0.023", "query" => host, "qtype_name" => "A",
            "rcode_name" => "NOERROR", "answers" => vec![scene.outside()], "ts" => scene.at,
        }),
        "HttpConnectionInspected" => text(&object! {
            "direction" => "Out", "host" => host, "uri" => "/update/setup.msi?id=7", "method" => "GET", "status_code" => "200",
            "user_agent" => "Mozilla/5.0 (Windows NT 10.0; Win64; x64)", "request_body_len" => "0", "response_body_len" => "51200",
        }),
        "SslConnectionInspected" => text(&object! {
            "direction" => scene.pick(&["Out", "In"]), "server_name" => host, "established" => "true", "version" => "TLSv13",
        }),
        "IcmpConnectionInspected" => text(&object! { "direction" => scene.pick(&["Out", "In"]), "conn_state" => "OTH" }),
        "ConnectionAttempt" | "ConnectionAcknowledged" => text(&object! {
            "Tcp Flags" => if action == "ConnectionAttempt" { 2 } else { 18 }, "Source Mac" => "02:00:5e:10:00:01",
            "Destination Mac" => "02:00:5e:10:00:02", "Packet Size" => 66,
        }),
        _ => scene.some(20, "{}"),
    };
    let (remote, remote_port, remote_type) = match action {
        "ListeningConnectionCreated" => (Json::Null, Json::Null, Json::Null),
        "InboundConnectionAccepted" => (scene.inside().into(), scene.port().into(), "Private".into()),
        "InboundInternetScanInspected" => (scene.outside().into(), scene.port().into(), "Public".into()),
        _ => (scene.outside().into(), remote_port.into(), "Public".into()),
    };
    let comes_in = action.starts_with("Inbound") || action.starts_with("Listening");
    vec![
        ("ActionType", action.into()),
        ("RemoteIP", remote),
        ("RemotePort", remote_port),
        ("RemoteIPType", remote_type),
        ("RemoteUrl", if comes_in { Json::Null } else { scene.some(60, link) }),
        ("LocalIP", scene.inside().into()),
        ("LocalPort", if comes_in { scene.pick(&[445_i64, 3389, 22]).into() } else { scene.port().into() }),
        ("LocalIPType", "Private".into()),
        ("Protocol", protocol.into()),
        ("AdditionalFields", more),
    ]
}

fn logon(scene: &mut Scene<'_>) -> Values {
    let action = scene.pick(&["LogonSuccess", "LogonSuccess", "LogonFailed", "LogonAttempted"]);
    let mut values = scene.person_values();
    let remote = scene.some(70, "wks-007");
    values.extend([
        ("ActionType", action.into()),
        ("LogonType", scene.pick(&["Network", "RemoteInteractive", "Interactive", "CachedInteractive", "Service"]).into()),
        ("Protocol", scene.pick(&["Negotiate", "NTLM", "Kerberos"]).into()),
        ("FailureReason", if action == "LogonFailed" { "InvalidUserNameOrPassword".into() } else { Json::Null }),
        ("IsLocalAdmin", if action == "LogonSuccess" { scene.chance.percent(25).into() } else { Json::Null }),
        ("LogonId", if action == "LogonSuccess" { (scene.chance.below(9_000_000) as i64).into() } else { Json::Null }),
        ("RemoteDeviceName", remote),
        ("RemoteIP", scene.inside().into()),
        ("RemoteIPType", "Private".into()),
        ("RemotePort", scene.port().into()),
        ("AdditionalFields", text(&object! { "IsLocalLogon" => false })),
    ]);
    values
}

fn file(scene: &mut Scene<'_>) -> Values {
    let action = scene.pick(&["FileCreated", "FileCreated", "FileModified", "FileDeleted", "FileRenamed"]);
    let (name, folder) = scene.pick(&[
        ("Rechnung_März.docm", r"C:\Users\müller\Downloads\"),
        ("upd.dll", r"C:\ProgramData\"),
        ("authorized_keys", "/root/.ssh/"),
    ]);
    let mut values = scene.hashes();
    let renamed = action == "FileRenamed";
    let shared = scene.chance.percent(20);
    values.extend([
        ("ActionType", action.into()),
        ("FileName", name.into()),
        // Most records have the whole path here, some the folder alone.
        (
            "FolderPath",
            (if scene.chance.percent(80) { format!("{folder}{name}") } else { folder.trim_end_matches(['\\', '/']).to_owned() })
                .into(),
        ),
        ("FileSize", (1 + scene.chance.below(9_000_000) as i64).into()),
        ("PreviousFileName", if renamed { "tmp4711.tmp".into() } else { Json::Null }),
        ("PreviousFolderPath", if renamed { folder.into() } else { Json::Null }),
        ("FileOriginUrl", if action == "FileCreated" { scene.some(20, LINKS[1].0) } else { Json::Null }),
        ("RequestProtocol", (if shared { "Smb" } else { "Local" }).into()),
        ("RequestSourceIP", if shared { scene.inside().into() } else { Json::Null }),
        ("RequestSourcePort", if shared { scene.port().into() } else { Json::Null }),
        ("RequestAccountName", (&scene.person.name).into()),
        ("RequestAccountDomain", scene.person.domain.to_lowercase().into()),
        ("RequestAccountSid", (&scene.person.sid).into()),
        ("ShareName", if shared { r"\\srv-file\Buchhaltung".into() } else { Json::Null }),
        ("AdditionalFields", text(&object! { "FileType" => "Unknown" })),
    ]);
    values
}

fn image_load(scene: &mut Scene<'_>) -> Values {
    let mut values = scene.hashes();
    values.extend([
        ("ActionType", "ImageLoaded".into()),
        ("FileName", "amsi.dll".into()),
        ("FolderPath", r"C:\Windows\System32\amsi.dll".into()),
        ("FileSize", 112_640.into()),
    ]);
    values
}

fn registry(scene: &mut Scene<'_>) -> Values {
    let action =
        scene.pick(&["RegistryValueSet", "RegistryValueSet", "RegistryValueDeleted", "RegistryKeyCreated", "RegistryKeyDeleted"]);
    let root = scene.pick(&["HKEY_LOCAL_MACHINE", "HKEY_CURRENT_USER", r"HKEY_USERS\S-1-5-21-4711"]);
    let key = format!(r"{root}\SOFTWARE\Microsoft\Windows\CurrentVersion\Run");
    let kind = scene.pick(&["String", "ExpandString", "MultiString", "Dword", "Qword", "Binary", "None"]);
    let of_value = action.starts_with("RegistryValue");
    vec![
        ("ActionType", action.into()),
        ("RegistryKey", if action.ends_with("Deleted") { Json::from("") } else { (&key).into() }),
        ("PreviousRegistryKey", if action.ends_with("Created") { Json::from("") } else { (&key).into() }),
        ("RegistryValueName", if of_value { "Updater".into() } else { Json::Null }),
        ("RegistryValueType", (if of_value { kind } else { "" }).into()),
        (
            "RegistryValueData",
            if action == "RegistryValueSet" { r#""C:\ProgramData\upd.exe" /quiet"#.into() } else { Json::Null },
        ),
        ("PreviousRegistryValueName", if of_value { "Updater".into() } else { Json::Null }),
        ("PreviousRegistryValueData", scene.some(20, r"C:\ProgramData\alt.exe")),
    ]
}

fn certificate(scene: &mut Scene<'_>) -> Values {
    vec![
        ("SHA1", scene.chance.hex(40).into()),
        ("IsSigned", true.into()),
        ("SignatureType", "Embedded".into()),
        ("Signer", "Contoso Software GmbH".into()),
        ("SignerHash", scene.chance.hex(40).into()),
        ("Issuer", "Example Code Signing CA 2".into()),
        ("IssuerHash", scene.chance.hex(40).into()),
        ("CertificateSerialNumber", scene.chance.hex(32).into()),
        ("CrlDistributionPointUrls", r#"["http://crl.example.org/ca2.crl"]"#.into()),
        ("CertificateCreationTime", "2025-05-01T00:00:00Z".into()),
        ("CertificateExpirationTime", "2028-05-01T12:00:00Z".into()),
        ("CertificateCountersignatureTime", scene.some(50, "2025-06-01T08:00:00Z")),
        ("IsTrusted", scene.chance.percent(80).into()),
        ("IsRootSignerMicrosoft", false.into()),
    ]
}

fn info(scene: &mut Scene<'_>) -> Values {
    let users = object! { "UserName" => &scene.person.name, "DomainName" => &scene.person.domain, "Sid" => &scene.person.sid };
    let (platform, distribution, version) = match scene.device.platform.as_str() {
        "Linux" => ("Linux", "Ubuntu", "24.4"),
        "macOS" => ("macOS", "macOS", "15.1"),
        "WindowsServer2022" => ("WindowsServer2022", "WindowsServer2022", "10.0"),
        other => (if other == "Windows10" { "Windows10" } else { "Windows11" }, "Windows11", "10.0"),
    };
    vec![
        ("ClientVersion", "10.8760.26100.1".into()),
        ("PublicIP", scene.outside().into()),
        ("OSArchitecture", "64-bit".into()),
        ("OSPlatform", platform.into()),
        ("OSDistribution", distribution.into()),
        ("OSVersion", version.into()),
        ("OSVersionInfo", "24H2".into()),
        ("IsAzureADJoined", true.into()),
        ("JoinType", "Hybrid Azure AD Join".into()),
        ("AadDeviceId", scene.chance.guid().into()),
        ("LoggedOnUsers", text(&Json::List(vec![users]))),
        ("RegistryDeviceTag", scene.some(20, "Kasse")),
        ("OnboardingStatus", scene.pick(&["Onboarded", "Onboarded", "Can be onboarded"]).into()),
        ("AdditionalFields", "[]".into()),
        ("DeviceCategory", "Endpoint".into()),
        ("DeviceType", scene.pick(&["Workstation", "Server"]).into()),
        ("Model", "EliteBook 840".into()),
        ("Vendor", "HP".into()),
        ("MergedDeviceIds", "".into()),
        ("MergedToDeviceId", "".into()),
        ("SensorHealthState", scene.pick(&["Active", "Inactive"]).into()),
        ("IsExcluded", false.into()),
        ("ExposureLevel", scene.pick(&["Low", "Medium", "High"]).into()),
        ("ConnectivityType", "Streamlined".into()),
        ("HardwareUuid", scene.chance.guid().into()),
        ("IsTransient", false.into()),
    ]
}

fn network_info(scene: &mut Scene<'_>) -> Values {
    let address = |address: String, kind: &str| object! { "IPAddress" => address, "SubnetPrefix" => 24, "AddressType" => kind };
    let addresses = vec![address(scene.inside(), "Private"), address("fe80::1".to_owned(), "LinkLocal")];
    vec![
        ("NetworkAdapterName", "{4A3C1F5E-0000-4000-8000-000000000001}".into()),
        ("MacAddress", format!("02-00-5E-{:02X}-{:02X}-01", scene.chance.below(256), scene.chance.below(256)).into()),
        ("NetworkAdapterType", scene.pick(&["Ethernet", "Wireless80211"]).into()),
        ("NetworkAdapterStatus", scene.pick(&["Up", "Down"]).into()),
        ("TunnelType", "None".into()),
        (
            "ConnectedNetworks",
            r#"[{"Name":"contoso.com","Description":"contoso.com","IsConnectedToInternet":true,"Category":"Domain"}]"#.into(),
        ),
        ("DnsAddresses", scene.some(80, r#"["10.0.0.53","10.0.1.53"]"#)),
        ("IPv4Dhcp", "10.0.0.67".into()),
        ("DefaultGateways", r#"["10.0.0.1"]"#.into()),
        ("IPAddresses", text(&Json::List(addresses))),
        ("NetworkAdapterVendor", scene.some(50, "Intel Corporate")),
    ]
}
