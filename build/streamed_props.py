#!/usr/bin/env python3
"""The settings of the streaming API's two sourcetypes in default/props.conf: the same hundred fields of thirty tables, twice.

    build/streamed_props.py           writes that part of the file anew
    build/streamed_props.py --check   fails when the file has another one

The rest of props.conf is written by hand.
"""

import sys
from pathlib import Path

PROPS = Path(__file__).resolve().parent.parent / "default" / "props.conf"
# Between these lines of the file.
BEGIN = "\n# Records of the streaming API:"
END = "\n# What came over the same way and is no record:"

# What comes before the fields, for both.
SETTINGS = """category = Network & Security
description = {description}
pulldown_type = true
TRUNCATE = 0
SHOULD_LINEMERGE = false
LINE_BREAKER = ([\\r\\n]+)
TIME_PREFIX = {time_prefix}
MAX_TIMESTAMP_LOOKAHEAD = 32
TZ = UTC
KV_MODE = json
"""
# And what comes behind them.
LOOKUPS = """LOOKUP-action = defender_addon_action vendor_action AS vendor_action OUTPUTNEW action
LOOKUP-remediation = defender_addon_remediation remediation AS remediation OUTPUTNEW action
"""
HEADING = """
# Records of the streaming API: an envelope around `properties`, a row of an advanced hunting table, as Microsoft sent it. The
# two sourcetypes are the same event under two names, so their settings are the same, line for line.
#
# Microsoft writes the time, and often the device, behind everything that may be long, and Splunk extracts the first 5,000
# bytes by itself. So the time is found by counting brackets (what is nested may have a "Timestamp" of its own), and each
# column is read from the raw event where the extraction did not reach it. A null reads as the text "null".
"""
STANZAS = [
    ("ms:defender:eventhub", "Record of the Microsoft Defender streaming API, an advanced hunting table"),
    (
        "mscs:azure:eventhub:defender:advancedhunting",
        "Record of the Microsoft Defender streaming API, under the name of the advanced hunting content",
    ),
]
# Over the members of `properties`, whatever is nested in them, up to its own Timestamp.
TIME_PREFIX = r'''"properties"\s*:\s*\{(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+"|(?<nested>[\[{](?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+"|(?&nested))*+[\]}]))*?"Timestamp"\s*:\s*"'''

# The pieces of which expressions are made.


def column(name):
    """A column as it reads: the text "null" where it is null."""
    return f"coalesce('properties.{name}', json_extract(_raw, \"properties.{name}\"))"


def value(name):
    """A column that is not null."""
    return f'nullif({column(name)}, "null")'


def additional(path):
    """What AdditionalFields has there; on devices' tables it is JSON in a text."""
    return f'nullif(json_extract(json_extract(_raw, "properties.AdditionalFields"), "{path}"), "null")'


def table(*names):
    """Whether it is a record of one of these tables."""
    return f'match(category, "-{names[0]}$")' if len(names) == 1 else f'match(category, "-({"|".join(names)})$")'


def kind(pattern):
    """Whether table and ActionType, one behind the other, begin like that."""
    return f'match(category . {column("ActionType")}, "-{pattern}")'


def coalesce(*values):
    return "coalesce(" + ", ".join(values) + ")"


def host(url):
    """The host of a URL, or of a host with a path."""
    return f'replace({url}, "^(?:[A-Za-z][A-Za-z0-9+.-]*://)?(?:[^/?#@]*@)?([^/:?#]+).*$", "\\1")'


def time(name):
    """A column as seconds since 1970."""
    return f'strptime(substr({column(name)}, 1, 19) . "+0000", "%Y-%m-%dT%H:%M:%S%z")'


def first_of(text):
    """The first of several, with commas between."""
    return f'mvindex(split({text}, ","), 0)'


def bare(expression):
    """What is within one nullif(…, "null") from end to end; None where there is more than that."""
    if not (expression.startswith("nullif(") and expression.endswith(', "null")')):
        return None
    depth, quote, at = 0, None, 0
    while at < len(expression):
        character = expression[at]
        if quote:
            if character == "\\":
                at += 1
            elif character == quote:
                quote = None
        elif character in "\"'":
            quote = character
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
            if depth == 0:
                return expression[len("nullif(") : -len(', "null")')] if at == len(expression) - 1 else None
        at += 1
    return None


def choose(*pairs):
    """The value behind the first condition that holds. Where all values are columns and texts, nulls are taken out once, around
    the whole: Splunk evaluates each expression for each event."""
    columns = [(condition, bare(of)) for condition, of in pairs]
    if any(of for _, of in columns) and all(of or given.startswith('"') for (_, of), (_, given) in zip(columns, pairs)):
        return (
            "nullif(" + chosen([(condition, of or given) for (_, of), (condition, given) in zip(columns, pairs)]) + ', "null")'
        )
    return chosen(pairs)


def chosen(pairs):
    if len(pairs) == 1:
        return f"if({pairs[0][0]}, {pairs[0][1]}, null())"
    return "case( \\\n" + ", \\\n".join(f"    {condition}, {of}" for condition, of in pairs) + ")"


ALERTS = 'match(category, "-Alert")'
DEVICES = 'match(category, "-Device")'
IDENTITY = 'match(category, "-Identity.*Events$")'
NETWORK = table("DeviceNetworkEvents")
EVENTS = table("DeviceEvents")
INBOUND = (
    kind("Device(NetworkEvents(Inbound|Listening)|EventsFirewallInbound)")
    + f' OR ({NETWORK} AND match(json_extract(_raw, "properties.AdditionalFields"), "direction\\W+In\\b"))'
)
BOTH = kind("Device(NetworkEvents|EventsFirewall)")
ELSE = "true()"
LINES = []


def field(name, expression):
    LINES.append(f"EVAL-{name} = {expression}\n")


def note(text):
    LINES.append(f"# {text}\n")


note("Whatever table it is.")
field("vendor_account", "tenantId")
field(
    "vendor_product",
    choose(
        ('match(category, "-Device")', '"Microsoft Defender for Endpoint"'),
        ('match(category, "-(Email|UrlClick|Message)")', '"Microsoft Defender for Office 365"'),
        ('match(category, "-Identity")', '"Microsoft Defender for Identity"'),
        ('match(category, "-CloudApp")', '"Microsoft Defender for Cloud Apps"'),
        ('match(category, "-Cloud")', '"Microsoft Defender for Cloud"'),
        (ELSE, '"Microsoft Defender XDR"'),
    ),
)
field("vendor_action", value("ActionType"))
field(
    "app",
    coalesce(
        choose(
            (ALERTS, value("ServiceSource")),
            (table("Identity.*Events", "CloudAppEvents"), value("Application")),
            (table("UrlClickEvents"), value("Workload")),
            (NETWORK, value("InitiatingProcessFileName")),
            (table("DeviceLogonEvents"), coalesce(value("Protocol"), value("LogonType"))),
            (table("CloudAuditEvents", "CloudStorageAggregatedEvents"), value("DataSource")),
        ),
        '"ms:defender"',
    ),
)
note("Alerts: AlertInfo has one record for an alert, AlertEvidence one for each thing it is about.")
field("type", choose((ALERTS, '"alert"')))
field("id", choose((ALERTS, value("AlertId")), ('match(category, "-Behavior")', value("BehaviorId"))))
field(
    "severity",
    choose(
        (
            f'{ALERTS} AND in(lower({column("Severity")}), "critical", "high", "medium", "low", "informational")',
            f'lower({column("Severity")})',
        ),
        (ALERTS, '"unknown"'),
    ),
)
field(
    "signature",
    coalesce(
        choose(
            (ALERTS, coalesce(value("Title"), '"unknown"')),
            (kind("DeviceEventsAntivirus"), additional("ThreatName")),
            (table("EmailEvents", "EmailAttachmentInfo"), coalesce(value("ThreatNames"), value("ThreatTypes"))),
            (table("EmailPostDeliveryEvents"), value("ThreatTypes")),
        ),
        value("ActionType"),
    ),
)
field("signature_id", choose((table("AlertEvidence"), value("ThreatFamily")), (EVENTS, additional("RuleId"))))
field("description", choose((ALERTS, coalesce(value("Title"), '"unknown"')), (table("BehaviorInfo"), value("Description"))))
field("subject", choose((ALERTS, value("Title")), (table("EmailEvents", "MessageEvents"), value("Subject"))))
field("body", choose((ALERTS, value("Title"))))
field(
    "mitre_technique_id",
    choose(
        (
            f'{table("AlertInfo","AlertEvidence","BehaviorInfo")} AND match({column("AttackTechniques")}, "\\(T\\d{{4}}")',
            f'split(rtrim(replace({column("AttackTechniques")}, ".*?\\((T\\d{{4}}(?:\\.\\d{{3}})?)\\)[^(]*", "\\1 "), " "), " ")',
        )
    ),
)
field(
    "vendor_category",
    choose(
        (table("AlertInfo"), value("Category")),
        (table("AlertEvidence", "BehaviorInfo", "BehaviorEntities"), value("Categories")),
    ),
)
field(
    "remediation",
    choose(
        (
            table("AlertEvidence"),
            f'lower({coalesce(additional("LastRemediationState"),additional("DetectionStatus"),chr(34)+"none"+chr(34))})',
        )
    ),
)
note("Where and from where. A device by its name; of a connection, both ends, seen from its direction.")
field("dvc", choose((DEVICES, value("DeviceName"))))
field(
    "dest",
    choose(
        (f"{BOTH} AND NOT ({INBOUND})", coalesce(host(value("RemoteUrl")), value("RemoteIP"))),
        (table("UrlClickEvents"), host(value("Url"))),
        (
            table("IdentityLogonEvents"),
            coalesce(
                value("DestinationDeviceName"), value("TargetDeviceName"), value("DestinationIPAddress"), value("Application")
            ),
        ),
        (table("IdentityQueryEvents"), coalesce(value("DestinationDeviceName"), value("DestinationIPAddress"))),
        (
            table("IdentityDirectoryEvents"),
            coalesce(value("TargetDeviceName"), value("DestinationDeviceName"), value("DestinationIPAddress")),
        ),
        (table("CloudAppEvents"), value("Application")),
        (table("CloudAuditEvents"), coalesce(value("AzureResourceId"), value("AwsResourceName"), value("GcpFullResourceName"))),
        (
            table("CloudProcessEvents"),
            coalesce(
                value("KubernetesPodName"),
                value("ContainerName"),
                value("AzureResourceId"),
                value("AwsResourceName"),
                value("GcpFullResourceName"),
            ),
        ),
        (table("CloudStorageAggregatedEvents"), value("StorageAccount")),
        (
            ALERTS,
            coalesce(
                value("DeviceName"),
                additional("Host.HostName"),
                additional("HostName"),
                value("CloudResource"),
                additional("ResourceName"),
                value("DeviceId"),
                '"unknown"',
            ),
        ),
        ('match(category, "-(Device|Behavior)")', value("DeviceName")),
    ),
)
field("dest_ip", choose((INBOUND, value("LocalIP")), (BOTH, value("RemoteIP")), (IDENTITY, value("DestinationIPAddress"))))
field("dest_port", choose((INBOUND, value("LocalPort")), (BOTH, value("RemotePort")), (IDENTITY, value("DestinationPort"))))
field(
    "src",
    choose(
        (INBOUND, value("RemoteIP")),
        (BOTH, value("DeviceName")),
        (kind("DeviceEventsDnsQueryResponse$"), value("DeviceName")),
        (table("DeviceLogonEvents"), coalesce(value("RemoteDeviceName"), value("RemoteIP"))),
        (table("DeviceFileEvents"), value("RequestSourceIP")),
        (IDENTITY, coalesce(value("DeviceName"), value("IPAddress"))),
        (
            table("CloudAppEvents", "CloudAuditEvents", "CloudStorageAggregatedEvents", "UrlClickEvents"),
            first_of(value("IPAddress")),
        ),
        (table("EmailEvents"), coalesce(value("SenderIPv4"), value("SenderIPv6"))),
        (
            ALERTS,
            coalesce(
                value("DeviceName"),
                additional("Host.HostName"),
                additional("HostName"),
                value("RemoteIP"),
                value("LocalIP"),
                value("CloudResource"),
                additional("ResourceName"),
                value("DeviceId"),
                '"unknown"',
            ),
        ),
    ),
)
field(
    "src_ip",
    choose(
        (INBOUND, value("RemoteIP")),
        (BOTH, value("LocalIP")),
        (table("DeviceLogonEvents"), value("RemoteIP")),
        (table("DeviceFileEvents"), value("RequestSourceIP")),
        (
            table("Identity.*Events", "CloudAppEvents", "CloudAuditEvents", "CloudStorageAggregatedEvents", "UrlClickEvents"),
            first_of(value("IPAddress")),
        ),
        (table("EmailEvents"), coalesce(value("SenderIPv4"), value("SenderIPv6"))),
        (table("AlertEvidence"), coalesce(value("RemoteIP"), value("LocalIP"))),
    ),
)
field(
    "src_port",
    choose(
        (INBOUND, value("RemotePort")),
        (BOTH, value("LocalPort")),
        (table("DeviceLogonEvents"), value("RemotePort")),
        (table("DeviceFileEvents"), value("RequestSourcePort")),
        (IDENTITY, value("Port")),
    ),
)
field("direction", choose((INBOUND, '"inbound"'), (BOTH, '"outbound"')))
field("transport", choose((NETWORK, f'replace(lower({value("Protocol")}), "v[46]$", "")')))
field(
    "ip",
    choose(
        (table("DeviceInfo"), value("PublicIP")),
        (
            f'{table("DeviceNetworkInfo")} AND isnotnull({value("IPAddresses")})',
            f'split(rtrim(replace({column("IPAddresses")}, ".*?\\"IPAddress\\":\\"([^\\"]+)\\"[^{{]*", "\\1 "), " "), " ")',
        ),
    ),
)
note("Who. The account a change is made to is the user, who makes it is the src_user.")
field(
    "user",
    choose(
        (table("DeviceProcessEvents", "DeviceLogonEvents", "CloudProcessEvents"), value("AccountName")),
        (EVENTS, coalesce(value("AccountName"), value("InitiatingProcessAccountName"))),
        (f'{table("DeviceFileEvents")} AND isnotnull({value("RequestSourceIP")})', value("RequestAccountName")),
        (
            f'{table("DeviceInfo")} AND match({column("LoggedOnUsers")}, "UserName")',
            f'split(rtrim(replace({column("LoggedOnUsers")}, ".*?\\"UserName\\":\\"([^\\"]+)\\"[^{{]*", "\\1|"), "|"), "|")',
        ),
        (DEVICES, value("InitiatingProcessAccountName")),
        (
            f'{table("IdentityDirectoryEvents")} AND isnotnull({coalesce(value("TargetAccountUpn"),value("TargetAccountDisplayName"))})',
            coalesce(value("TargetAccountUpn"), value("TargetAccountDisplayName")),
        ),
        (
            table("CloudAppEvents"),
            coalesce(
                'nullif(json_extract(_raw, "properties.RawEventData.UserId"), "null")',
                value("AccountDisplayName"),
                value("AccountId"),
            ),
        ),
        (
            table("CloudAuditEvents"),
            coalesce('nullif(json_extract(_raw, "properties.RawEventData.User.username"), "null")', value("Account")),
        ),
        (table("UrlClickEvents"), value("AccountUpn")),
        (
            'match(category, "-(Alert|Behavior|Identity|CloudStorage)")',
            coalesce(value("AccountName"), value("AccountUpn"), value("AccountDisplayName")),
        ),
    ),
)
field(
    "user_id",
    choose(
        (table("DeviceProcessEvents", "DeviceLogonEvents"), coalesce(value("AccountSid"), value("AccountObjectId"))),
        (EVENTS, coalesce(value("AccountSid"), value("InitiatingProcessAccountSid"))),
        (f'{table("DeviceFileEvents")} AND isnotnull({value("RequestSourceIP")})', value("RequestAccountSid")),
        (DEVICES, value("InitiatingProcessAccountSid")),
        (table("CloudAppEvents"), coalesce(value("AccountObjectId"), value("AccountId"))),
        (
            'match(category, "-(Alert|Behavior|Identity|CloudStorage)")',
            coalesce(value("AccountSid"), value("OnPremSid"), value("AccountObjectId")),
        ),
    ),
)
field(
    "src_user",
    choose(
        (f'{EVENTS} AND isnotnull({value("AccountName")})', value("InitiatingProcessAccountName")),
        (table("IdentityDirectoryEvents"), coalesce(value("AccountName"), value("AccountUpn"), value("AccountDisplayName"))),
        ('match(category, "-Email(Events|AttachmentInfo|PostDeliveryEvents)$")', value("SenderFromAddress")),
        (table("MessageEvents", "MessagePostDeliveryEvents"), value("SenderEmailAddress")),
    ),
)
field("dest_nt_domain", choose((table("DeviceLogonEvents", "IdentityLogonEvents"), value("AccountDomain"))))
note("What was done; lookups fill in what is not said here: a word for each ActionType, and what became of the evidence.")
field(
    "action",
    choose(
        (
            kind("DeviceEventsAntivirus"),
            f'case({additional("WasRemediated")}="true", "blocked", {additional("WasRemediated")}="false", "allowed", true(), "unknown")',
        ),
        (kind("DeviceEvents.*Blocked$"), '"blocked"'),
        (kind("DeviceEvents.*(Audited|Warning|Bypassed)$"), '"allowed"'),
        (f'{table("UrlClickEvents")} AND {column("IsClickedThrough")}="true"', '"allowed"'),
        (
            f'{table("EmailEvents")} AND {column("DeliveryAction")}="Blocked" AND {column("DeliveryLocation")}="Quarantine"',
            '"quarantined"',
        ),
        (
            f'{table("EmailEvents","MessageEvents")}',
            f'case({column("DeliveryAction")}="Blocked", "blocked", in({column("DeliveryAction")}, "Delivered", "Junked", "Replaced"), "delivered", true(), "unknown")',
        ),
        (
            f'{table("EmailPostDeliveryEvents","MessagePostDeliveryEvents")} AND {column("ActionResult")}="Success"',
            f'case(match(lower({column("Action")}), "quarantine"), "quarantined", match(lower({column("Action")}), "delete"), "deleted", match(lower({column("Action")}), "junk|inbox|deliver|restore|release"), "delivered", true(), "unknown")',
        ),
        (
            table("EmailAttachmentInfo", "EmailUrlInfo", "EmailPostDeliveryEvents", "MessagePostDeliveryEvents", "AlertInfo"),
            '"unknown"',
        ),
        (
            table("IdentityDirectoryEvents"),
            f'case(match(lower({column("ActionType")}), "created changed$"), "created", match(lower({column("ActionType")}), "deleted changed$"), "deleted", match(lower({column("ActionType")}), "(changed|enabled|disabled|expired|locked|unlocked)$"), "modified")',
        ),
        (
            table("CloudAppEvents"),
            f'case(match(lower({column("ActivityType")}), "failed log ?on"), "failure", {column("ActionType")}="UserLoginFailed", "failure", match(lower({column("ActivityType")}), "^log ?(on|in)"), "success", {column("ActionType")}="UserLoggedIn", "success", match(lower({column("ActivityType")}), "delete|remove|trash"), "deleted", match(lower({column("ActivityType")}), "create|upload|add"), "created", match(lower({column("ActivityType")}), "edit|modify|update|move|rename|share|restore"), "modified", match(lower({column("ActivityType")}), "copy"), "copied", match(lower({column("ActivityType")}), "view|download|print|preview|sync|run"), "read", true(), "unknown")',
        ),
        (
            table("CloudAuditEvents"),
            f'case(match(lower({column("OperationName")}), "delete$|delete[^/]*$"), "deleted", match(lower({column("OperationName")}), "create[^/]*$"), "created", match(lower({column("OperationName")}), "(write|update|patch|put|action)[^/]*$"), "modified", match(lower({column("OperationName")}), "(get|list|watch|read|describe)[^/]*$"), "read", true(), "unknown")',
        ),
        (table("CloudStorageAggregatedEvents"), '"read"'),
    ),
)
field(
    "change_type",
    choose(
        (kind("DeviceEvents(UserAccount|PasswordChange|SecurityGroup)"), '"AAA"'),
        (kind("DeviceEvents(ScheduledTask|SecurityLogCleared)"), '"endpoint"'),
        (table("CloudAppEvents"), '"cloud application"'),
        (table("CloudAuditEvents"), '"cloud resource"'),
        (kind("IdentityDirectoryEvents.*(changed|enabled|disabled|expired|locked)$"), '"AAA"'),
    ),
)
field(
    "object",
    choose(
        (
            table("IdentityDirectoryEvents"),
            coalesce(value("TargetAccountUpn"), value("TargetAccountDisplayName"), value("TargetDeviceName")),
        ),
        (table("CloudAppEvents"), value("ObjectName")),
        (table("CloudAuditEvents"), coalesce(value("AzureResourceId"), value("AwsResourceName"), value("GcpFullResourceName"))),
        (
            table("CloudStorageAggregatedEvents"),
            coalesce(value("StorageContainer"), value("StorageFileShare"), value("StorageAccount")),
        ),
        (kind("DeviceEventsScheduledTaskCreated$"), additional("TaskName")),
        (EVENTS, coalesce(additional("GroupName"), value("AccountName"))),
    ),
)
field(
    "object_id",
    choose(
        (table("CloudAppEvents"), value("ObjectId")),
        (f'{EVENTS} AND isnotnull({value("AccountName")})', value("AccountSid")),
        (table("CloudStorageAggregatedEvents"), value("AzureResourceId")),
    ),
)
field(
    "object_category",
    choose(
        (kind("DeviceEvents(UserAccountAddedToLocalGroup|UserAccountRemovedFromLocalGroup|SecurityGroup)"), '"group"'),
        (kind("DeviceEvents(UserAccount|PasswordChange)"), '"user"'),
        (kind("DeviceEventsScheduledTask"), '"scheduled task"'),
        (table("CloudAppEvents"), f'lower({value("ObjectType")})'),
        (table("CloudAuditEvents", "CloudStorageAggregatedEvents"), '"cloud resource"'),
        (kind("IdentityDirectoryEventsGroup "), '"group"'),
        (kind("IdentityDirectoryEvents.*(changed|enabled|disabled|expired|locked)$"), '"user"'),
    ),
)
field("object_attrs", choose((table("IdentityDirectoryEvents"), value("ActionType"))))
field(
    "command",
    choose(
        (table("CloudAppEvents", "IdentityDirectoryEvents"), value("ActionType")),
        (table("CloudAuditEvents"), value("OperationName")),
    ),
)
field(
    "status",
    choose(
        (table("DeviceRegistryEvents", "IdentityDirectoryEvents"), '"success"'),
        (table("DeviceInfo"), value("SensorHealthState")),
        (table("DeviceNetworkInfo"), value("NetworkAdapterStatus")),
        (kind("DeviceNetworkEventsHttpConnectionInspected$"), additional("status_code")),
    ),
)
note("Sign-ins.")
field("reason", choose((table("DeviceLogonEvents", "IdentityLogonEvents"), value("FailureReason"))))
field(
    "authentication_method",
    choose(
        (table("DeviceLogonEvents"), value("LogonType")),
        (table("IdentityLogonEvents"), coalesce(value("Protocol"), value("LogonType"))),
    ),
)
field(
    "authentication_service",
    choose((table("DeviceLogonEvents"), value("Protocol")), (table("IdentityLogonEvents"), value("Application"))),
)
note("Processes: the one that came to be, and in the other tables of devices the one that did it. Hashes are its own.")
PROCESSES = table("DeviceProcessEvents")
field(
    "process",
    choose(
        (table("DeviceProcessEvents", "CloudProcessEvents", "AlertEvidence"), value("ProcessCommandLine")),
        (DEVICES, value("InitiatingProcessCommandLine")),
    ),
)
field(
    "process_name",
    choose(
        (PROCESSES, value("FileName")),
        (table("CloudProcessEvents"), coalesce(value("ProcessName"), value("FileName"))),
        (DEVICES, value("InitiatingProcessFileName")),
    ),
)
field(
    "process_path",
    choose(
        (table("DeviceProcessEvents", "CloudProcessEvents"), value("FolderPath")),
        (DEVICES, value("InitiatingProcessFolderPath")),
    ),
)
field(
    "process_id",
    choose((table("DeviceProcessEvents", "CloudProcessEvents"), value("ProcessId")), (DEVICES, value("InitiatingProcessId"))),
)
field("process_guid", choose((PROCESSES, value("ProcessUniqueId")), (DEVICES, value("InitiatingProcessUniqueId"))))
field(
    "process_hash",
    choose(
        (PROCESSES, f'mvappend({value("SHA256")}, {value("SHA1")}, {value("MD5")})'),
        (
            DEVICES,
            f'mvappend({value("InitiatingProcessSHA256")}, {value("InitiatingProcessSHA1")}, {value("InitiatingProcessMD5")})',
        ),
    ),
)
field(
    "process_integrity_level",
    choose(
        (PROCESSES, f'lower({value("ProcessIntegrityLevel")})'), (DEVICES, f'lower({value("InitiatingProcessIntegrityLevel")})')
    ),
)
field(
    "process_current_directory",
    choose(
        (PROCESSES, additional("ProcessCurrentWorkingDirectory")),
        (table("CloudProcessEvents"), value("ProcessCurrentWorkingDirectory")),
    ),
)
field(
    "original_file_name",
    choose(
        (PROCESSES, value("ProcessVersionInfoOriginalFileName")),
        (DEVICES, value("InitiatingProcessVersionInfoOriginalFileName")),
    ),
)
field("parent_process", choose((PROCESSES, value("InitiatingProcessCommandLine"))))
field(
    "parent_process_name",
    choose(
        (PROCESSES, value("InitiatingProcessFileName")),
        (table("CloudProcessEvents"), value("ParentProcessName")),
        (DEVICES, value("InitiatingProcessParentFileName")),
    ),
)
field("parent_process_path", choose((PROCESSES, value("InitiatingProcessFolderPath"))))
field(
    "parent_process_id",
    choose(
        (PROCESSES, value("InitiatingProcessId")),
        (table("CloudProcessEvents"), value("ParentProcessId")),
        (DEVICES, value("InitiatingProcessParentId")),
    ),
)
field("parent_process_guid", choose((PROCESSES, value("InitiatingProcessUniqueId"))))
note("Files. Most records have the whole path in FolderPath, some the folder alone.")
FILES = 'match(category, "-(AlertEvidence|BehaviorEntities|EmailAttachmentInfo|CloudProcessEvents|Device(Process|File|ImageLoad|)Events)$")'
field("file_name", choose((FILES, value("FileName"))))
field(
    "file_path",
    choose(
        (
            f'{FILES} AND lower(substr({value("FolderPath")}, -len({value("FileName")})))=lower({value("FileName")})',
            value("FolderPath"),
        ),
        (f'{FILES} AND match({column("FolderPath")}, "^/")', f'{value("FolderPath")} . "/" . {value("FileName")}'),
        (FILES, f'{value("FolderPath")} . "\\\\" . {value("FileName")}'),
    ),
)
field(
    "file_hash",
    choose(
        (
            'match(category, "-(AlertEvidence|BehaviorEntities|EmailAttachmentInfo|DeviceFileCertificateInfo|Device(Process|File|ImageLoad|)Events)$")',
            f'mvappend({value("SHA256")}, {value("SHA1")}, {value("MD5")})',
        )
    ),
)
field("file_size", choose((FILES, value("FileSize"))))
field("file_create_time", choose((kind("DeviceFileEventsFileCreated$"), column("Timestamp"))))
field("file_modify_time", choose((kind("DeviceFileEventsFile(Modified|Renamed)$"), column("Timestamp"))))
note("The registry. A key that is gone is the previous key.")
REGISTRY = table("DeviceRegistryEvents")
REGISTRY_KEY = f'coalesce(nullif({value("RegistryKey")}, ""), nullif({value("PreviousRegistryKey")}, ""))'
WITH_REGISTRY = table("DeviceRegistryEvents", "DeviceEvents", "AlertEvidence")
field("registry_key_name", choose((WITH_REGISTRY, REGISTRY_KEY)))
field("registry_hive", choose((WITH_REGISTRY, f'replace({REGISTRY_KEY}, "^([^\\\\\\\\]+).*$", "\\1")')))
field("registry_value_name", choose((WITH_REGISTRY, value("RegistryValueName"))))
field(
    "registry_path",
    choose(
        (
            f'{WITH_REGISTRY} AND isnotnull({value("RegistryValueName")})',
            f'{REGISTRY_KEY} . "\\\\" . {value("RegistryValueName")}',
        ),
        (WITH_REGISTRY, REGISTRY_KEY),
    ),
)
field("registry_value_data", choose((WITH_REGISTRY, value("RegistryValueData"))))
field(
    "registry_value_type",
    choose(
        (f'{REGISTRY} AND {column("RegistryValueType")}="String"', '"REG_SZ"'),
        (f'{REGISTRY} AND {column("RegistryValueType")}="ExpandString"', '"REG_EXPAND_SZ"'),
        (f'{REGISTRY} AND {column("RegistryValueType")}="MultiString"', '"REG_MULTI_SZ"'),
        (
            f'{REGISTRY} AND in({column("RegistryValueType")}, "Dword", "Qword", "Binary", "None")',
            f'"REG_" . upper({column("RegistryValueType")})',
        ),
    ),
)
note("Mail, Teams messages, links.")
field(
    "src_user_domain",
    choose(
        (table("EmailEvents"), coalesce(value("SenderFromDomain"), f'replace({value("SenderFromAddress")}, "^.*@", "")')),
        (table("EmailAttachmentInfo", "EmailPostDeliveryEvents"), f'replace({value("SenderFromAddress")}, "^.*@", "")'),
    ),
)
field(
    "recipient",
    choose(
        ('match(category, "-Email(Events|AttachmentInfo|PostDeliveryEvents)$")', value("RecipientEmailAddress")),
        (
            f'{table("MessageEvents","MessagePostDeliveryEvents")} AND match(json_extract(_raw, "properties.RecipientDetails"), "RecipientSmtpAddress")',
            f'split(rtrim(replace(json_extract(_raw, "properties.RecipientDetails"), ".*?\\"RecipientSmtpAddress\\":\\"([^\\"]+)\\"[^{{]*", "\\1 "), " "), " ")',
        ),
    ),
)
field(
    "recipient_domain",
    choose(
        (
            'match(category, "-Email(Events|AttachmentInfo|PostDeliveryEvents)$")',
            f'replace({value("RecipientEmailAddress")}, "^.*@", "")',
        )
    ),
)
field("recipient_count", choose(('match(category, "-Email(Events|AttachmentInfo|PostDeliveryEvents)$")', "1")))
field("return_addr", choose((table("EmailEvents"), value("SenderMailFromAddress"))))
field(
    "message_id",
    choose(
        (table("EmailEvents", "EmailPostDeliveryEvents"), value("InternetMessageId")),
        ('match(category, "-Message")', value("TeamsMessageId")),
    ),
)
field("internal_message_id", choose(('match(category, "-(Email|UrlClick|AlertEvidence)")', value("NetworkMessageId"))))
field("size", choose((table("EmailEvents"), value("EmailSize"))))
field("filter_action", choose((table("EmailPostDeliveryEvents", "MessagePostDeliveryEvents"), value("Action"))))
URLS = 'match(category, "-(UrlClickEvents|EmailUrlInfo|MessageUrlInfo)$")'
HTTP = kind("DeviceNetworkEventsHttpConnectionInspected$")
HTTP_URL = f'"http://" . {additional("host")} . {additional("uri")}'
field(
    "url",
    choose(
        (URLS, value("Url")),
        (HTTP, HTTP_URL),
        (table("DeviceNetworkEvents", "DeviceEvents", "AlertEvidence", "BehaviorEntities"), value("RemoteUrl")),
    ),
)
field("url_domain", choose((URLS, coalesce(value("UrlDomain"), host(value("Url")))), (HTTP, additional("host"))))
field("url_length", choose((URLS, f'len({value("Url")})'), (HTTP, f"len({HTTP_URL})")))
field(
    "uri_path",
    choose(
        (URLS, f'replace({value("Url")}, "^[A-Za-z]+://[^/?#]*([^?#]*).*$", "\\1")'),
        (HTTP, f'replace({additional("uri")}, "[?#].*$", "")'),
    ),
)
field(
    "uri_query",
    choose(
        (f'{URLS} AND match({column("Url")}, "\\?")', f'replace({value("Url")}, "^[^?]*\\?([^#]*).*$", "\\1")'),
        (f'{HTTP} AND match({additional("uri")}, "\\?")', f'replace({additional("uri")}, "^[^?]*\\?([^#]*).*$", "\\1")'),
    ),
)
field("http_method", choose((HTTP, additional("method"))))
field(
    "http_user_agent",
    choose(
        (HTTP, additional("user_agent")),
        (table("CloudAppEvents", "CloudAuditEvents"), value("UserAgent")),
        (table("CloudStorageAggregatedEvents"), value("UserAgentHeader")),
    ),
)
note("Names that were looked up.")
field(
    "query",
    choose(
        (kind("DeviceNetworkEventsDnsConnectionInspected$"), additional("query")),
        (kind("DeviceEventsDnsQueryResponse$"), additional("DnsQueryString")),
        (table("IdentityQueryEvents"), coalesce(value("Query"), value("QueryTarget"))),
    ),
)
field(
    "record_type",
    choose(
        (kind("DeviceNetworkEventsDnsConnectionInspected$"), additional("qtype_name")),
        (kind("IdentityQueryEventsDNS query$"), value("QueryType")),
    ),
)
field("reply_code", choose((kind("DeviceNetworkEventsDnsConnectionInspected$"), additional("rcode_name"))))
field(
    "answer",
    choose(
        (kind("DeviceNetworkEventsDnsConnectionInspected$"), f'json_array_to_mv({additional("answers")})'),
        (
            f'{EVENTS} AND {column("ActionType")}="DnsQueryResponse" AND match({additional("DnsQueryResult")}, "Result")',
            f'split(rtrim(replace({additional("DnsQueryResult")}, ".*?\\"Result\\":\\"([^\\"]+)\\"[^{{]*", "\\1 "), " "), " ")',
        ),
    ),
)
field(
    "message_type",
    choose(
        (kind("DeviceNetworkEventsDnsConnectionInspected$"), '"Response"'),
        (kind("DeviceEventsDnsQueryResponse$"), '"Response"'),
        (kind("IdentityQueryEventsDNS query$"), '"Query"'),
    ),
)
note("Devices and accounts as such; services; certificates of files.")
field("node", choose((table("DeviceInfo", "DeviceNetworkInfo"), value("DeviceName"))))
field("serial", choose((table("DeviceInfo"), coalesce(value("HardwareUuid"), value("DeviceId")))))
field("os", choose((table("DeviceInfo"), coalesce(value("OSDistribution"), value("OSPlatform")))))
field("family", choose((table("DeviceInfo"), value("OSPlatform"))))
field("version", choose((table("DeviceInfo"), value("OSVersion"))))
field(
    "enabled",
    choose(
        (
            f'{table("DeviceInfo")} AND isnotnull({value("OnboardingStatus")})',
            f'if({column("OnboardingStatus")}="Onboarded", "true", "false")',
        ),
        (table("IdentityInfo"), value("IsAccountEnabled")),
    ),
)
field("mac", choose((table("DeviceNetworkInfo"), f'lower(replace({value("MacAddress")}, "-", ":"))')))
field(
    "dns",
    choose(
        (f'{table("DeviceNetworkInfo")} AND isnotnull({value("DnsAddresses")})', f'json_array_to_mv({column("DnsAddresses")})')
    ),
)
for f in ("interface", "name"):
    field(f, choose((table("DeviceNetworkInfo"), value("NetworkAdapterName"))))
for f in ("service", "service_name"):
    field(f, choose((kind("DeviceEventsServiceInstalled$"), additional("ServiceName"))))
field(
    "start_mode",
    choose(
        (
            kind("DeviceEventsServiceInstalled$"),
            f'case({additional("ServiceStartType")}="2", "auto", {additional("ServiceStartType")}="3", "manual", {additional("ServiceStartType")}="4", "disabled")',
        )
    ),
)
field("ids_type", choose((kind("DeviceEvents(Asr|ExploitGuard|SmartScreen|ControlledFolderAccess|AppControl)"), '"host"')))
CERTIFICATES = table("DeviceFileCertificateInfo")
field("ssl_subject_common_name", choose((CERTIFICATES, value("Signer"))))
field("ssl_issuer_common_name", choose((CERTIFICATES, value("Issuer"))))
field("ssl_serial", choose((CERTIFICATES, value("CertificateSerialNumber"))))
field("ssl_hash", choose((CERTIFICATES, value("SignerHash"))))
field("ssl_start_time", choose((CERTIFICATES, time("CertificateCreationTime"))))
field("ssl_end_time", choose((CERTIFICATES, time("CertificateExpirationTime"))))
field("ssl_validity_window", choose((CERTIFICATES, f'{time("CertificateExpirationTime")} - {time("CertificateCreationTime")}')))
field("ssl_is_valid", choose((CERTIFICATES, value("IsTrusted"))))


def part():
    """That part of the file."""
    stanzas = [
        f"[{name}]\n" + SETTINGS.format(description=description, time_prefix=TIME_PREFIX) + "".join(LINES) + LOOKUPS
        for name, description in STANZAS
    ]
    return HEADING + "\n".join(stanzas)


def main(arguments):
    text = PROPS.read_text("utf-8")
    begin, end = text.index(BEGIN), text.index(END)
    if arguments == ["--check"]:
        if text[begin:end] != part():
            sys.exit(f"{PROPS.name}: the part of the streaming API is not what {Path(__file__).name} writes")
    elif arguments:
        sys.exit(__doc__)
    else:
        PROPS.write_text(text[:begin] + part() + text[end:], "utf-8")


main(sys.argv[1:])
