//! The stanzas of the two feeds of the streaming API, as typed values.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{InputError, budget, check_name, choose, required, written_start, wrong};
use crate::feeds::Streaming;
use crate::http::{base_url, is_loopback};
use crate::masking::admin_text;
use crate::splunk::definition::Stanza;
use crate::time::{Ticks, parse_duration};

/// Where a first run begins in what a service keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With the oldest there is.
    Earliest,
    /// With what arrives from now on.
    Latest,
    /// With what arrived this far back.
    Back(Duration),
    /// With what arrived since this instant.
    At(Ticks),
}

/// The tables whose records become events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tables {
    /// Every one, also those that did not exist when this was written.
    All,
    /// These, in lower case.
    Only(BTreeSet<String>),
}

/// The tables that are known to stream: those of Microsoft's list of supported event types, and those seen beside it. It is
/// no limit; a name that is none of these may be misspelt.
const KNOWN: [&str; 30] = [
    "AlertEvidence",
    "AlertInfo",
    "BehaviorEntities",
    "BehaviorInfo",
    "CloudAppEvents",
    "CloudAuditEvents",
    "CloudProcessEvents",
    "CloudStorageAggregatedEvents",
    "DeviceEvents",
    "DeviceFileCertificateInfo",
    "DeviceFileEvents",
    "DeviceImageLoadEvents",
    "DeviceInfo",
    "DeviceLogonEvents",
    "DeviceNetworkEvents",
    "DeviceNetworkInfo",
    "DeviceProcessEvents",
    "DeviceRegistryEvents",
    "EmailAttachmentInfo",
    "EmailEvents",
    "EmailPostDeliveryEvents",
    "EmailUrlInfo",
    "IdentityDirectoryEvents",
    "IdentityInfo",
    "IdentityLogonEvents",
    "IdentityQueryEvents",
    "MessageEvents",
    "MessagePostDeliveryEvents",
    "MessageUrlInfo",
    "UrlClickEvents",
];

impl Tables {
    /// Those named that are not known to stream.
    pub fn unknown(&self) -> Vec<&str> {
        match self {
            Self::All => Vec::new(),
            Self::Only(names) => {
                let known = |name: &str| KNOWN.iter().any(|known| known.eq_ignore_ascii_case(name));
                names.iter().map(String::as_str).filter(|name| !known(name)).collect()
            }
        }
    }

    /// Whether records of this table are wanted. The services spell a table in lower case (names of containers) and in
    /// camel case (`category`), so case does not matter.
    pub fn contains(&self, table: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(&table.to_ascii_lowercase()),
        }
    }
}

/// The form of an event, which is that of another add-on, so that its content goes on working.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As the Splunk Add-on for Microsoft Security has it: sourcetype `ms:defender:eventhub`.
    Incumbent,
    /// As the community's app for advanced hunting reads it: `mscs:azure:eventhub:defender:advancedhunting`.
    Community,
}

/// What happens to a record that the service delivers again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dedupe {
    /// It becomes an event again.
    Off,
    /// It is left out when the same `properties` came a short while ago.
    On,
}

/// What both streaming feeds have in common.
#[derive(Clone, Debug)]
pub struct StreamInput {
    /// The stanza's name, without the scheme.
    pub name: String,
    /// Which of the two it is.
    pub feed: Streaming,
    /// The account's name.
    pub account: String,
    /// Where the first run begins.
    pub start: Begin,
    /// The tables that are collected.
    pub tables: Tables,
    /// How events are written.
    pub shape: Shape,
    /// What happens to repeated records.
    pub dedupe: Dedupe,
    /// Splunk's index; `None` leaves it to splunkd.
    pub index: Option<String>,
    /// Splunk's host; `None` leaves it to splunkd.
    pub host: Option<String>,
}

/// How the namespace is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// AMQP over TLS, port 5671.
    Amqp,
    /// AMQP over a WebSocket over TLS, port 443: the one that passes through a proxy.
    WebSocket,
}

/// Which partitions of the hub this input reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Partitions {
    /// Every one, also those added later.
    All,
    /// Those in one of the ranges.
    Only(Vec<RangeInclusive<u32>>),
}

impl Partitions {
    /// Whether this input reads the partition of that id.
    pub fn contains(&self, id: &str) -> bool {
        match self {
            Self::All => true,
            // The ids of a hub are its numbers from 0.
            Self::Only(ranges) => id.parse().is_ok_and(|id: u32| ranges.iter().any(|range| range.contains(&id))),
        }
    }
}

/// A checked stanza of `feed = event_hub`.
#[derive(Clone, Debug)]
pub struct EventHubInput {
    /// What both streaming feeds have.
    pub stream: StreamInput,
    /// The namespace's host, with a port only where that is a loopback address.
    pub namespace: String,
    /// The hub in it.
    pub hub: String,
    /// The consumer group of the hub.
    pub consumer_group: String,
    /// How the namespace is reached.
    pub transport: Way,
    /// The partitions that are read.
    pub partitions: Partitions,
}

/// A checked stanza of `feed = storage`.
#[derive(Clone, Debug)]
pub struct StorageInput {
    /// What both streaming feeds have.
    pub stream: StreamInput,
    /// The base URL of the account's blob service, without a trailing slash.
    pub url: String,
    /// For how long blobs of an hour that is over are looked at again.
    pub lookback: Duration,
    /// How long a run may go on reading: the stanza's `interval`, within 30 s and 5 min.
    pub budget: Duration,
}

/// How long blobs that should not grow any more are looked at, when the stanza does not say.
const STORAGE_LOOKBACK: Duration = Duration::from_secs(24 * 3600);

impl EventHubInput {
    /// Checks a stanza whose feed is `event_hub`.
    pub(super) fn read(stanza: &Stanza) -> Result<Self, InputError> {
        let hub = required(stanza, "event_hub_name")?;
        let group = stanza.param("consumer_group").unwrap_or("$Default");
        Ok(Self {
            stream: stream(stanza, Streaming::EventHub)?,
            namespace: namespace(required(stanza, "event_hub_namespace")?)?,
            hub: entity("event_hub_name", hub)?,
            consumer_group: if group == "$Default" { group.to_owned() } else { entity("consumer_group", group)? },
            transport: [Way::Amqp, Way::WebSocket][choose(stanza, "transport", &["amqp", "websocket"])?],
            partitions: partitions(stanza)?,
        })
    }
}

impl StorageInput {
    /// Checks a stanza whose feed is `storage`.
    pub(super) fn read(stanza: &Stanza) -> Result<Self, InputError> {
        Ok(Self {
            stream: stream(stanza, Streaming::Storage)?,
            url: storage_url(required(stanza, "storage_account")?)?,
            lookback: match stanza.param("lookback") {
                Some(text) => parse_duration(text).map_err(|reason| wrong("lookback", reason))?,
                None => STORAGE_LOOKBACK,
            },
            budget: budget(stanza),
        })
    }
}

fn stream(stanza: &Stanza, feed: Streaming) -> Result<StreamInput, InputError> {
    let account = required(stanza, "account")?;
    check_name("account", account)?;
    Ok(StreamInput {
        feed,
        start: begin(stanza)?,
        tables: tables(stanza)?,
        shape: [Shape::Incumbent, Shape::Community][choose(stanza, "shape", &["incumbent", "community"])?],
        dedupe: [Dedupe::Off, Dedupe::On][choose(stanza, "dedupe", &["off", "on"])?],
        index: stanza.index().map(str::to_owned),
        host: stanza.host().map(str::to_owned),
        name: stanza.name.clone(),
        account: account.to_owned(),
    })
}

fn begin(stanza: &Stanza) -> Result<Begin, InputError> {
    match written_start(stanza) {
        None | Some("latest") => Ok(Begin::Latest),
        Some("earliest") => Ok(Begin::Earliest),
        Some(text) => match (parse_duration(text), Ticks::parse(text)) {
            (Ok(span), _) => Ok(Begin::Back(span)),
            (_, Some(at)) => Ok(Begin::At(at)),
            _ => Err(wrong(
                "start",
                format!(
                    "`{}` is none of earliest, latest, a duration such as 12h, or a time such as 2026-01-31T00:00:00Z",
                    admin_text(text)
                ),
            )),
        },
    }
}

/// The list of tables; `category` prefixes each with `AdvancedHunting-`, which may be copied along.
fn tables(stanza: &Stanza) -> Result<Tables, InputError> {
    const PREFIX: &str = "advancedhunting-";
    let Some(text) = stanza.param("tables") else { return Ok(Tables::All) };
    let mut names = BTreeSet::new();
    for item in items(text) {
        let name = item.to_ascii_lowercase();
        let name = name.strip_prefix(PREFIX).unwrap_or(&name);
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(wrong(
                "tables",
                format!("`{}` is no table: write names such as DeviceEvents, parted by commas", admin_text(item)),
            ));
        }
        names.insert(name.to_owned());
    }
    Ok(if names.is_empty() { Tables::All } else { Tables::Only(names) })
}

fn partitions(stanza: &Stanza) -> Result<Partitions, InputError> {
    let Some(text) = stanza.param("partitions") else { return Ok(Partitions::All) };
    let ranges: Option<Vec<_>> = items(text).map(range).collect();
    match ranges {
        Some(ranges) if !ranges.is_empty() => Ok(Partitions::Only(ranges)),
        _ => Err(wrong(
            "partitions",
            format!("`{}` is no list of partitions: write numbers and ranges such as 0-3, 7", admin_text(text)),
        )),
    }
}

fn range(item: &str) -> Option<RangeInclusive<u32>> {
    let number = |text: &str| text.trim().bytes().all(|b| b.is_ascii_digit()).then(|| text.trim().parse().ok()).flatten();
    let (first, last) = match item.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(item)?, number(item)?),
    };
    (first <= last).then_some(first..=last)
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// The namespace's host. A port may follow a loopback address only: there the connection is plain text, for tests.
fn namespace(text: &str) -> Result<String, InputError> {
    let refused = |reason: &str| Err(wrong("event_hub_namespace", format!("`{}` {reason}", admin_text(text))));
    let authority: http::uri::Authority = match text.parse() {
        Ok(authority) => authority,
        Err(_) => return refused("is no host: write it as in contoso.servicebus.windows.net"),
    };
    let host = authority.host();
    match authority.port() {
        _ if authority.as_str().contains('@') => refused("may hold no user: write the host alone"),
        Some(_) if !is_loopback(host) => refused("may name no port: the transport decides it, and TLS is always used"),
        None if !is_loopback(host) && !is_host(host) => {
            refused("is no host: write the whole name, as in contoso.servicebus.windows.net")
        }
        None if is_loopback(host) => refused("is this machine and names no port"),
        _ => Ok(authority.as_str().to_ascii_lowercase()),
    }
}

/// The base URL of a blob service, from its host or from a URL on this machine.
fn storage_url(text: &str) -> Result<String, InputError> {
    let refused = |reason: String| wrong("storage_account", reason);
    if text.contains("://") {
        return base_url(text).map_err(refused);
    }
    if !is_host(text) {
        let reason = "is no host: write the whole name, as in contoso.blob.core.windows.net";
        return Err(refused(format!("`{}` {reason}", admin_text(text))));
    }
    Ok(format!("https://{}", text.to_ascii_lowercase()))
}

/// A host's name with at least one dot in it.
fn is_host(text: &str) -> bool {
    let label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    text.contains('.') && text.len() <= 253 && text.split('.').all(label)
}

/// The name of a hub or a consumer group: it becomes part of an address. The rules are Azure's own, "resource names" of
/// `Microsoft.EventHub`.
fn entity(parameter: &'static str, text: &str) -> Result<String, InputError> {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    let fits = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if fits && text.len() <= 256 && edge(text.chars().next()) && edge(text.chars().next_back()) {
        return Ok(text.to_owned());
    }
    Err(wrong(
        parameter,
        format!("`{}` may hold letters, digits, ., - and _ only, and begin and end with a letter or digit", admin_text(text)),
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::AnyInput;
    use super::super::tests::stanza;
    use super::*;

    fn hub(params: &[(&str, &str)]) -> Result<EventHubInput, String> {
        let mut all = vec![
            ("feed", "event_hub"),
            ("event_hub_namespace", "Contoso.servicebus.windows.net"),
            ("event_hub_name", "defender"),
        ];
        all.extend(params);
        match AnyInput::read(&stanza(&all)) {
            Ok(AnyInput::EventHub(input)) => Ok(input),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    fn storage(params: &[(&str, &str)]) -> Result<StorageInput, String> {
        let mut all = vec![("feed", "storage"), ("storage_account", "contoso.blob.core.windows.net")];
        all.extend(params);
        match AnyInput::read(&stanza(&all)) {
            Ok(AnyInput::Storage(input)) => Ok(input),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn defaults() {
        let input = hub(&[]).unwrap();
        assert_eq!((input.namespace.as_str(), input.hub.as_str()), ("contoso.servicebus.windows.net", "defender"));
        assert_eq!((input.consumer_group.as_str(), input.transport), ("$Default", Way::Amqp));
        assert_eq!((&input.partitions, &input.stream.tables), (&Partitions::All, &Tables::All));
        assert_eq!((input.stream.start, input.stream.shape, input.stream.dedupe), (Begin::Latest, Shape::Incumbent, Dedupe::Off));
        let input = storage(&[]).unwrap();
        assert_eq!((input.url.as_str(), input.lookback), ("https://contoso.blob.core.windows.net", Duration::from_secs(86_400)));
        assert_eq!((input.stream.feed, input.stream.start), (Streaming::Storage, Begin::Latest));
    }

    #[test]
    fn what_each_parameter_takes() {
        let begins = [
            ("earliest", Begin::Earliest),
            ("latest", Begin::Latest),
            ("12h", Begin::Back(Duration::from_secs(43_200))),
            ("2026-01-31T00:00:00Z", Begin::At(Ticks::parse("2026-01-31T00:00:00Z").unwrap())),
        ];
        for (text, begin) in begins {
            assert_eq!(hub(&[("start", text)]).unwrap().stream.start, begin);
        }
        let tables = hub(&[("tables", "DeviceEvents, AdvancedHunting-alertInfo,,")]).unwrap().stream.tables;
        assert!(tables.contains("AlertInfo") && tables.contains("deviceevents") && !tables.contains("DeviceInfo"));
        assert!(Tables::All.contains("NotYetThere") && Tables::All.unknown().is_empty());
        assert_eq!(hub(&[("tables", "DeviceEvent, UrlClickEvents")]).unwrap().stream.tables.unknown(), ["deviceevent"]);
        let partitions = hub(&[("partitions", "0-2, 7")]).unwrap().partitions;
        let read: Vec<u32> = (0..10).filter(|id| partitions.contains(&id.to_string())).collect();
        assert_eq!(read, [0, 1, 2, 7]);
        assert!(!partitions.contains("x"));
        for address in ["127.0.0.1:5672", "localhost:1", "[::1]:5672"] {
            assert_eq!(hub(&[("event_hub_namespace", address)]).unwrap().namespace, address);
        }
        assert_eq!(hub(&[("consumer_group", "splunk"), ("transport", "websocket")]).unwrap().transport, Way::WebSocket);
        assert_eq!(storage(&[("storage_account", "http://127.0.0.1:10000/dev/")]).unwrap().url, "http://127.0.0.1:10000/dev");
        assert_eq!(storage(&[("lookback", "7d")]).unwrap().lookback, Duration::from_secs(604_800));
    }

    #[test]
    fn every_refusal_names_the_parameter_and_the_way_out() {
        let entity = "may hold letters, digits, ., - and _ only, and begin and end with a letter or digit";
        let table = [
            ("event_hub_namespace", "", "it is required and missing".to_owned()),
            ("event_hub_name", "", "it is required and missing".to_owned()),
            (
                "event_hub_namespace",
                "contoso",
                "`contoso` is no host: write the whole name, as in contoso.servicebus.windows.net".to_owned(),
            ),
            (
                "event_hub_namespace",
                "sb://contoso.servicebus.windows.net/",
                "`sb://contoso.servicebus.windows.net/` is no host: write it as in contoso.servicebus.windows.net".to_owned(),
            ),
            (
                "event_hub_namespace",
                "contoso.servicebus.windows.net:5671",
                "`contoso.servicebus.windows.net:5671` may name no port: the transport decides it, and TLS is always used"
                    .to_owned(),
            ),
            ("event_hub_namespace", "localhost", "`localhost` is this machine and names no port".to_owned()),
            ("event_hub_namespace", "u:pw@h.example", "`***@h.example` may hold no user: write the host alone".to_owned()),
            (
                "event_hub_namespace",
                "Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKey=a2V5",
                "`Endpoint=***` is no host: write it as in contoso.servicebus.windows.net".to_owned(),
            ),
            ("event_hub_name", "a/b", format!("`a/b` {entity}")),
            ("consumer_group", "$default", format!("`$default` {entity}")),
            ("transport", "kafka", "`kafka` is not one of amqp, websocket".to_owned()),
            ("shape", "raw", "`raw` is not one of incumbent, community".to_owned()),
            ("dedupe", "yes", "`yes` is not one of off, on".to_owned()),
            (
                "tables",
                "Device Events",
                "`Device Events` is no table: write names such as DeviceEvents, parted by commas".to_owned(),
            ),
            ("partitions", "3-1", "`3-1` is no list of partitions: write numbers and ranges such as 0-3, 7".to_owned()),
            ("partitions", ",", "`,` is no list of partitions: write numbers and ranges such as 0-3, 7".to_owned()),
            (
                "start",
                "now",
                "`now` is none of earliest, latest, a duration such as 12h, or a time such as 2026-01-31T00:00:00Z".to_owned(),
            ),
        ];
        for (name, value, reason) in table {
            assert_eq!(hub(&[(name, value)]).unwrap_err(), format!("parameter {name}: {reason}"));
        }
        for (value, reason) in [
            ("contoso", "`contoso` is no host: write the whole name, as in contoso.blob.core.windows.net"),
            (
                "AccountName=contoso;AccountKey=a2V5",
                "`AccountName=***` is no host: write the whole name, as in contoso.blob.core.windows.net",
            ),
            (
                "http://contoso.blob.core.windows.net",
                "`http://contoso.blob.core.windows.net` must be https: a token or secret would travel in clear text",
            ),
        ] {
            assert_eq!(storage(&[("storage_account", value)]).unwrap_err(), format!("parameter storage_account: {reason}"));
        }
    }
}
