//! One input stanza as typed values. Defaults are the program's: splunkd hands over merged values, and the add-on's
//! `inputs.conf` sets only splunkd's own keys.

use std::fmt;
use std::time::Duration;

mod streaming;

pub use streaming::{Begin, Dedupe, EventHubInput, Partitions, Shape, StorageInput, StreamInput, Tables, Way};

use crate::feeds::{Evidence, Feed, Form, IncludeAlerts, Kind, Streaming};
use crate::masking::admin_text;
use crate::microsoft::cloud::Resource;
use crate::microsoft::query::check_filter;
use crate::splunk::definition::Stanza;
use crate::splunk::scheme::{Argument, Scheme};
use crate::time::{Ticks, parse_duration};

/// The form that Splunk Web makes of the scheme. Splunk's own `interval`, `index` and `host` are not listed in it.
pub const SCHEME: Scheme<'static> = Scheme {
    title: "Microsoft Defender",
    description: "Collects incidents, alerts and raw events of Microsoft Defender with an account of the app's Configuration \
                  page, tab Accounts.",
    arguments: &ARGUMENTS,
};

const fn argument(name: &'static str, title: &'static str, required: bool, description: &'static str) -> Argument {
    Argument { name, title, description, required }
}

const ARGUMENTS: [Argument; 19] = [
    argument(
        "feed",
        "Feed",
        true,
        "What to collect: incidents or alerts; or the raw events of the streaming API, from where it puts them: event_hub or \
         storage.",
    ),
    argument("account", "Account", true, "Name of an account: Configuration page of the app, tab Accounts."),
    argument(
        "api",
        "API",
        false,
        "graph (default): Microsoft Graph security. defender: the Microsoft 365 Defender incidents API, or the Defender for \
         Endpoint alerts API.",
    ),
    argument(
        "start",
        "Start",
        false,
        "Where the first run begins: now, a duration back such as 30d or 12h, or a time such as 2026-01-31T00:00:00Z. Default 30d. \
         Feeds event_hub and storage: earliest, latest (default), a duration or a time.",
    ),
    argument(
        "lookback",
        "Look back",
        false,
        "How far each run reads again, for objects that become visible late; repeats are removed. Default 15m. Feed storage: how \
         long blobs are looked at again, for they grow late; default 24h.",
    ),
    argument(
        "filter",
        "Filter",
        false,
        "OData filter that objects must match as well, such as severity eq 'high'. It may not name the update time.",
    ),
    argument(
        "include_alerts",
        "Alerts of incidents",
        false,
        "Feed incidents only. changed (default): alerts that are new or changed. all: with every change of the incident. none.",
    ),
    argument(
        "events",
        "Events",
        false,
        "compact (default): without null members, scalar members first, evidence also under the names older content reads. \
         verbatim: exactly what Microsoft sent.",
    ),
    argument(
        "evidence",
        "Evidence",
        false,
        "inline (default): inside its alert. events: each piece an event of its own, sourcetype ms:defender:evidence. both.",
    ),
    argument("page_size", "Page size", false, "Objects per request. Default and maximum depend on feed and API."),
    argument(
        "event_hub_namespace",
        "Event Hubs namespace",
        false,
        "Feed event_hub, required there: the host of the namespace, such as contoso.servicebus.windows.net.",
    ),
    argument("event_hub_name", "Event hub", false, "Feed event_hub, required there: the name of the hub."),
    argument(
        "consumer_group",
        "Consumer group",
        false,
        "Feed event_hub: a consumer group that nothing else reads with. Default $Default.",
    ),
    argument(
        "partitions",
        "Partitions",
        false,
        "Feed event_hub: the partitions to read, such as 0-3, 7, when several inputs share a hub. Default all.",
    ),
    argument(
        "transport",
        "Transport",
        false,
        "Feed event_hub. amqp (default): port 5671. websocket: port 443, also through a proxy.",
    ),
    argument(
        "storage_account",
        "Storage account",
        false,
        "Feed storage, required there: the host of its blob service, such as contoso.blob.core.windows.net.",
    ),
    argument(
        "tables",
        "Tables",
        false,
        "Feeds event_hub and storage: the tables to collect, such as DeviceEvents, AlertInfo. Default all.",
    ),
    argument(
        "shape",
        "Shape",
        false,
        "Feeds event_hub and storage. incumbent (default): sourcetype ms:defender:eventhub. community: sourcetype \
         mscs:azure:eventhub:defender:advancedhunting.",
    ),
    argument(
        "dedupe",
        "Repeated records",
        false,
        "Feeds event_hub and storage. off (default): as delivered. on: a record that Microsoft delivers again is left out.",
    ),
];

/// The parameters that not every feed takes: which do, and what a form sends for the others, where it cannot send nothing.
const BELONGING: [(&str, &[&str], &str); 16] = [
    ("api", POLLED, "graph"),
    ("filter", POLLED, ""),
    ("include_alerts", POLLED, "changed"),
    ("events", POLLED, "compact"),
    ("evidence", POLLED, "inline"),
    ("page_size", POLLED, ""),
    ("lookback", &["incidents", "alerts", "storage"], ""),
    ("event_hub_namespace", HUB, ""),
    ("event_hub_name", HUB, ""),
    ("consumer_group", HUB, "$Default"),
    ("partitions", HUB, ""),
    ("transport", HUB, "amqp"),
    ("storage_account", &["storage"], ""),
    ("tables", STREAMING, ""),
    ("shape", STREAMING, "incumbent"),
    ("dedupe", STREAMING, "off"),
];
const POLLED: &[&str] = &["incidents", "alerts"];
const STREAMING: &[&str] = &["event_hub", "storage"];
const HUB: &[&str] = &["event_hub"];

/// Where the first run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With what changes from now on.
    Now,
    /// This far back.
    Back(Duration),
    /// At this instant.
    At(Ticks),
}

impl Start {
    /// The instant itself, seen from `now`.
    pub fn resolve(self, now: Ticks) -> Ticks {
        match self {
            Self::Now => now,
            Self::Back(span) => now.minus(span),
            Self::At(at) => at,
        }
    }
}

/// A checked stanza of any feed.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one in a process")]
pub enum AnyInput {
    /// Incidents or alerts, polled over REST.
    Polled(Input),
    /// The raw events in an event hub.
    EventHub(EventHubInput),
    /// The raw events in a storage account.
    Storage(StorageInput),
}

impl AnyInput {
    /// Checks a stanza.
    ///
    /// # Errors
    /// The first parameter that is missing, wrong, or of another feed.
    pub fn read(stanza: &Stanza) -> Result<Self, InputError> {
        check_name("name", &stanza.name)?;
        let name = required(stanza, "feed")?;
        let kind = Kind::find(name).ok_or_else(|| {
            let names = Kind::ALL.map(Kind::name);
            let (last, others) = names.split_last().unwrap_or((&"", &[]));
            wrong("feed", format!("`{}` is not a feed: use {} or {last}", admin_text(name), others.join(", ")))
        })?;
        let name = kind.name();
        for (parameter, feeds, standard) in BELONGING {
            // A form sends every choice it shows, so what another feed would take anyway changes nothing.
            if stanza.param(parameter).is_some_and(|value| !feeds.contains(&name) && !value.eq_ignore_ascii_case(standard)) {
                let feeds = feeds.join(", ");
                return Err(wrong(parameter, format!("the feed {name} does not take it, only {feeds}: leave it empty")));
            }
        }
        match kind {
            Kind::Polled(feed) => Input::read_feed(stanza, feed).map(Self::Polled),
            Kind::Streaming(Streaming::EventHub) => EventHubInput::read(stanza).map(Self::EventHub),
            Kind::Streaming(Streaming::Storage) => StorageInput::read(stanza).map(Self::Storage),
        }
    }

    /// Refuses a `start` that lies in the future by this machine's clock: until then the input would be silent, which looks
    /// like no data.
    ///
    /// # Errors
    /// Names the time and the clock.
    pub fn check_start(&self, now: Ticks) -> Result<(), InputError> {
        let at = match self {
            Self::Polled(Input { start: Start::At(at), .. }) => *at,
            Self::Polled(_) => return Ok(()),
            Self::EventHub(EventHubInput { stream, .. }) | Self::Storage(StorageInput { stream, .. }) => match stream.start {
                Begin::At(at) => at,
                Begin::Earliest | Begin::Latest | Begin::Back(_) => return Ok(()),
            },
        };
        if at <= now {
            return Ok(());
        }
        let latest = if self.stream().is_some() { "latest" } else { "now" };
        Err(wrong(
            "start",
            format!(
                "{at} is in the future, and nothing would come until then: write {latest}, a duration back such as 30d, or a time \
                 that is past (this machine's clock says {})",
                now.floor_ms()
            ),
        ))
    }

    /// What both feeds of the streaming API have, if it is one.
    pub fn stream(&self) -> Option<&StreamInput> {
        match self {
            Self::Polled(_) => None,
            Self::EventHub(input) => Some(&input.stream),
            Self::Storage(input) => Some(&input.stream),
        }
    }

    /// The stanza's name, without the scheme.
    pub fn name(&self) -> &str {
        match self {
            Self::Polled(input) => &input.name,
            Self::EventHub(EventHubInput { stream, .. }) | Self::Storage(StorageInput { stream, .. }) => &stream.name,
        }
    }
}

/// As splunkd names it, for log lines.
impl fmt::Display for AnyInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "defender://{}", admin_text(self.name()))
    }
}

/// A checked stanza of a feed that is polled.
#[derive(Clone, Debug)]
pub struct Input {
    /// The stanza's name, without the scheme.
    pub name: String,
    /// What to collect.
    pub feed: &'static Feed,
    /// The account's name.
    pub account: String,
    /// The `api` parameter as written into the checkpoint.
    pub api: String,
    /// Which objects of which API: what `feed` and `api` come to.
    pub resource: Resource,
    /// Where the first run begins.
    pub start: Start,
    /// How far behind the newest each run reads again.
    pub lookback: Duration,
    /// The admin's own OData filter.
    pub filter: Option<String>,
    /// Which alerts of incidents become events.
    pub include_alerts: IncludeAlerts,
    /// Where evidence goes.
    pub evidence: Evidence,
    /// How events are written.
    pub form: Form,
    /// Objects per request.
    pub page_size: u32,
    /// Splunk's index; `None` leaves it to splunkd.
    pub index: Option<String>,
    /// Splunk's host; `None` leaves it to splunkd.
    pub host: Option<String>,
    /// How long a run may go on reading history: the stanza's `interval`, within 30 s and 5 min.
    pub budget: Duration,
}

/// A parameter that cannot be used: which, and why.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("parameter {name}: {reason}")]
pub struct InputError {
    name: &'static str,
    reason: String,
}

/// What an input's `lookback` is when the stanza names none.
const DEFAULT_LOOKBACK: Duration = Duration::from_secs(15 * 60);
/// What `start` is when the stanza names none.
const DEFAULT_START: Duration = Duration::from_secs(30 * 86_400);

impl Input {
    /// Checks the rest of a stanza of this feed.
    fn read_feed(stanza: &Stanza, feed: &'static Feed) -> Result<Self, InputError> {
        let account = required(stanza, "account")?;
        check_name("account", account)?;
        let api = stanza.param("api").unwrap_or("graph");
        let resource = Resource::of(api, feed.what).map_err(|reason| wrong("api", reason))?;
        let filter = stanza.param("filter").map(str::to_owned);
        if let Some(filter) = &filter {
            check_filter(resource, filter).map_err(|reason| wrong("filter", reason))?;
        }
        let choice = |name, table| choose(stanza, name, table);
        Ok(Self {
            feed,
            resource,
            start: start(stanza)?,
            lookback: match stanza.param("lookback") {
                Some(text) => parse_duration(text).map_err(|reason| wrong("lookback", reason))?,
                None => DEFAULT_LOOKBACK,
            },
            include_alerts: [IncludeAlerts::Changed, IncludeAlerts::All, IncludeAlerts::None]
                [choice("include_alerts", &["changed", "all", "none"])?],
            evidence: [Evidence::Inline, Evidence::Events, Evidence::Both][choice("evidence", &["inline", "events", "both"])?],
            form: [Form::Compact, Form::Verbatim][choice("events", &["compact", "verbatim"])?],
            page_size: page_size(stanza, resource)?,
            index: stanza.index().map(str::to_owned),
            host: stanza.host().map(str::to_owned),
            budget: budget(stanza),
            name: stanza.name.clone(),
            account: account.to_owned(),
            // As every position has it: a name in another case is no other API.
            api: resource.param().to_owned(),
            filter,
        })
    }
}

/// As splunkd names it, for log lines.
impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "defender://{}", admin_text(&self.name))
    }
}

/// As splunkd names it, for log lines.
impl fmt::Display for StorageInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.stream)
    }
}

/// As splunkd names it, for log lines.
impl fmt::Display for StreamInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "defender://{}", admin_text(&self.name))
    }
}

/// Checks the name of a stanza or account: names become file names and parts of URLs.
pub(crate) fn check_name(name: &'static str, value: &str) -> Result<(), InputError> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !value.is_empty() && value.len() <= 200 && value.bytes().all(fits) {
        return Ok(());
    }
    Err(wrong(name, format!("`{}` may hold letters, digits, _ and - only", admin_text(value))))
}

/// What is written as `start`; a word among it in small letters.
pub(super) fn written_start(stanza: &Stanza) -> Option<&str> {
    let text = stanza.param("start")?;
    Some(["now", "earliest", "latest"].into_iter().find(|word| word.eq_ignore_ascii_case(text)).unwrap_or(text))
}

fn start(stanza: &Stanza) -> Result<Start, InputError> {
    match written_start(stanza) {
        None => Ok(Start::Back(DEFAULT_START)),
        Some("now") => Ok(Start::Now),
        Some(text @ ("earliest" | "latest")) => Err(wrong(
            "start",
            format!("`{text}` is for the feeds event_hub and storage: write now, a duration such as 30d, or a time"),
        )),
        Some(text) => match (parse_duration(text), Ticks::parse(text)) {
            (Ok(span), _) => Ok(Start::Back(span)),
            (_, Some(at)) => Ok(Start::At(at)),
            (Err(reason), None) => {
                let hint = if reason.contains("too long") { "" } else { ", now, or a time such as 2026-01-31T00:00:00Z" };
                Err(wrong("start", format!("{reason}{hint}")))
            }
        },
    }
}

fn page_size(stanza: &Stanza, resource: Resource) -> Result<u32, InputError> {
    let range = resource.page_size();
    let Some(text) = stanza.param("page_size") else { return Ok(range.default) };
    match text.parse() {
        // A page of one row can show neither order nor an overlap.
        Ok(size) if (2..=range.max).contains(&size) => Ok(size),
        _ => Err(wrong(
            "page_size",
            format!("`{}` is not a number from 2 to {}, the most this API takes", admin_text(text), range.max),
        )),
    }
}

/// A cron interval tells no length; a minute is splunkd's default.
fn budget(stanza: &Stanza) -> Duration {
    let seconds = stanza.param("interval").and_then(|text| text.parse::<f64>().ok()).filter(|seconds| *seconds > 0.0);
    Duration::from_secs_f64(seconds.unwrap_or(60.0).clamp(30.0, 300.0))
}

fn required<'a>(stanza: &'a Stanza, name: &'static str) -> Result<&'a str, InputError> {
    stanza.param(name).ok_or_else(|| wrong(name, "it is required and missing".to_owned()))
}

/// The position of the parameter's value in its table, in any case; the first is the default.
fn choose(stanza: &Stanza, name: &'static str, table: &[&str]) -> Result<usize, InputError> {
    let Some(text) = stanza.param(name) else { return Ok(0) };
    let found = table.iter().position(|value| value.eq_ignore_ascii_case(text));
    found.ok_or_else(|| wrong(name, format!("`{}` is not one of {}", admin_text(text), table.join(", "))))
}

fn wrong(name: &'static str, reason: String) -> InputError {
    InputError { name, reason }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    pub(super) fn stanza(params: &[(&str, &str)]) -> Stanza {
        let mut all = BTreeMap::from([("feed", "alerts"), ("account", "main")]);
        all.extend(params.iter().copied());
        let params = all.into_iter().map(|(name, value)| (name.to_owned(), vec![value.to_owned()])).collect();
        Stanza { name: "a-1".to_owned(), app: None, params }
    }

    fn polled(params: &[(&str, &str)]) -> Input {
        match AnyInput::read(&stanza(params)) {
            Ok(AnyInput::Polled(input)) => input,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn case_and_blanks_make_no_other_value() {
        let params =
            [("feed", " Alerts "), ("api", "Graph "), ("start", "NOW"), ("include_alerts", "All"), ("events", "VERBATIM")];
        let Ok(AnyInput::Polled(input)) = AnyInput::read(&stanza(&params)) else { panic!("refused") };
        assert_eq!((input.api.as_str(), input.resource, input.form), ("graph", Resource::GraphAlerts, Form::Verbatim));
        let params = [("feed", "INCIDENTS"), ("api", "Defender")];
        let Ok(AnyInput::Polled(input)) = AnyInput::read(&stanza(&params)) else { panic!("refused") };
        assert_eq!((input.api.as_str(), input.resource), ("defender", Resource::XdrIncidents));
    }

    #[test]
    fn defaults() {
        let input = polled(&[("index", "default"), ("host", "$decideOnStartup"), ("filter", "")]);
        assert_eq!((input.feed.name, input.resource, input.page_size), ("alerts", Resource::GraphAlerts, 1000));
        assert_eq!((input.start, input.lookback), (Start::Back(Duration::from_secs(2_592_000)), Duration::from_secs(900)));
        assert_eq!((input.include_alerts, input.form), (IncludeAlerts::Changed, Form::Compact));
        assert_eq!((input.index, input.host, input.filter), (None, None, None));
        assert_eq!(input.budget, Duration::from_secs(60));
    }

    #[test]
    fn every_refusal_names_the_parameter_and_the_way_out() {
        let table = [
            (("feed", ""), "parameter feed: it is required and missing"),
            (("feed", "machines"), "parameter feed: `machines` is not a feed: use incidents, alerts, event_hub or storage"),
            (("account", ""), "parameter account: it is required and missing"),
            (("account", "a b"), "parameter account: `a b` may hold letters, digits, _ and - only"),
            (
                ("start", "yesterday"),
                "parameter start: `yesterday` is not a duration: write a whole number and s, m, h or d, such as 15m, 12h or 30d, \
                 now, or a time such as 2026-01-31T00:00:00Z",
            ),
            (("start", "9999d"), "parameter start: `9999d` is too long: 3650d is the most"),
            (
                ("lookback", "-15m"),
                "parameter lookback: `-15m` is not a duration: write a whole number and s, m, h or d, such as 15m, 12h or 30d",
            ),
            (("include_alerts", "some"), "parameter include_alerts: `some` is not one of changed, all, none"),
            (("events", "raw"), "parameter events: `raw` is not one of compact, verbatim"),
            (("page_size", "5000"), "parameter page_size: `5000` is not a number from 2 to 1000, the most this API takes"),
            (("page_size", "1"), "parameter page_size: `1` is not a number from 2 to 1000, the most this API takes"),
            (
                ("start", "latest"),
                "parameter start: `latest` is for the feeds event_hub and storage: write now, a duration such as 30d, or a time",
            ),
            (
                ("tables", "AlertInfo"),
                "parameter tables: the feed alerts does not take it, only event_hub, storage: leave it empty",
            ),
            (("evidence", "none"), "parameter evidence: `none` is not one of inline, events, both"),
        ];
        for ((name, value), message) in table {
            assert_eq!(AnyInput::read(&stanza(&[(name, value)])).unwrap_err().to_string(), message);
        }
        for (name, value) in [("api", "beta"), ("filter", "lastUpdateDateTime gt 2020-01-01T00:00:00Z"), ("filter", "a eq 'x")] {
            let message = AnyInput::read(&stanza(&[(name, value)])).unwrap_err().to_string();
            assert!(message.starts_with(&format!("parameter {name}: ")), "{message}");
        }
    }

    #[test]
    fn start_takes_three_spellings() {
        let read = |text: &str| polled(&[("start", text)]).start;
        let now = Ticks::parse("2026-11-22T12:00:00Z").unwrap();
        assert_eq!(read("now").resolve(now), now);
        assert_eq!(read("12h").resolve(now).to_string(), "2026-11-22T00:00:00Z");
        assert_eq!(read("2026-01-31T00:00:00Z").resolve(now).to_string(), "2026-01-31T00:00:00Z");
    }

    #[test]
    fn a_start_in_the_future_is_refused_for_every_feed() {
        let now = Ticks::parse("2026-11-22T12:00:00Z").unwrap();
        let feeds: [&[(&str, &str)]; 4] = [
            &[("feed", "alerts")],
            &[("feed", "incidents"), ("api", "defender")],
            &[("feed", "event_hub"), ("event_hub_namespace", "a.example"), ("event_hub_name", "h")],
            &[("feed", "storage"), ("storage_account", "a.example")],
        ];
        for feed in feeds {
            let check = |start: &str| {
                let params: Vec<_> = feed.iter().copied().chain([("start", start)]).collect();
                AnyInput::read(&stanza(&params)).unwrap().check_start(now)
            };
            for start in ["2026-11-22T12:00:00.001Z", "2026-11-22T12:00:00-01:00", "2099-01-01T00:00:00Z", "9999-12-30T00:00:00Z"]
            {
                let message = check(start).unwrap_err().to_string();
                assert!(message.starts_with("parameter start: ") && message.contains(" is in the future, "), "{message}");
                assert!(message.contains("write latest, ") == feed[0].1.contains('_') || feed[0].1 == "storage", "{message}");
            }
            for start in ["2026-11-22T12:00:00Z", "0001-01-01T00:00:00Z", "3650d", "1970-01-01T00:00:00"] {
                check(start).unwrap();
            }
        }
        for start in ["999999d", "99999999999999999999d", "10000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "-1d"] {
            let message = AnyInput::read(&stanza(&[("start", start)])).unwrap_err().to_string();
            assert!(message.starts_with("parameter start: "), "{message}");
        }
    }

    #[test]
    fn the_budget_follows_the_interval() {
        for (interval, seconds) in [("300", 300), ("5", 30), ("86400", 300), ("*/5 * * * *", 60), ("0", 60)] {
            let input = polled(&[("interval", interval)]);
            assert_eq!(input.budget, Duration::from_secs(seconds), "{interval}");
        }
    }

    #[test]
    fn what_a_form_sends_for_every_feed_is_no_mistake_and_what_another_feed_needs_is() {
        let own = [
            ("incidents", vec![]),
            ("alerts", vec![]),
            ("event_hub", vec![("event_hub_namespace", "a.example"), ("event_hub_name", "h")]),
            ("storage", vec![("storage_account", "a.example")]),
        ];
        for (feed, needed) in own {
            let mut sent: Vec<(&str, &str)> = BELONGING.iter().map(|(name, _, standard)| (*name, *standard)).collect();
            sent.extend(needed);
            sent.push(("feed", feed));
            AnyInput::read(&stanza(&sent)).unwrap();
            for (name, feeds, _) in BELONGING {
                let mut more = sent.clone();
                more.push((name, "odd"));
                let refused = AnyInput::read(&stanza(&more)).err().map(|error| error.to_string());
                let foreign = refused.is_some_and(|message| message.contains("does not take it"));
                assert_eq!(foreign, !feeds.contains(&feed), "{feed} {name}");
            }
        }
        let listed: Vec<&str> = ARGUMENTS.iter().map(|argument| argument.name).collect();
        assert!(BELONGING.iter().all(|(name, _, _)| listed.contains(name)));
    }
}
