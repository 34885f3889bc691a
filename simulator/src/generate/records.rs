//! Records of the streaming API: what Microsoft writes to Event Hubs and to Storage, table by table.
//!
//! Facts: the schema reference of advanced hunting, `supported-event-types.md` of the streaming API, and records of the wire.
//! Nested columns are text that holds JSON in the tables of devices, alerts and behaviours, and real JSON in those of
//! identities and clouds.

mod alert;
mod cloud;
mod columns;
mod device;
mod device_events;
mod identity;
mod mail;
mod process;

use std::time::Duration;

use super::{objects, words};
use crate::accounts::TENANT;
use crate::chance::Chance;
use crate::json::Json;
use crate::model::{Account, Device};
use crate::object;
use crate::time::Time;
use columns::COLUMNS;

/// Every table that is documented to stream or was seen to.
pub const TABLES: [&str; COLUMNS.len()] = {
    let (mut names, mut at) = ([""; COLUMNS.len()], 0);
    while at < names.len() {
        names[at] = COLUMNS[at].0;
        at += 1;
    }
    names
};

/// What a record says, column by column; columns that are not named are null.
type Values = Vec<(&'static str, Json)>;

/// A record as it is on the wire: `{"time", "tenantId", "operationName", "category", …, "properties": {…}, "Tenant"}`.
///
/// The export is dated `now`, the event some minutes before. A table that is in no document gets a record of three columns,
/// as any reader has to expect it.
pub fn record(chance: &mut Chance, table: &str, now: Time) -> Json {
    let received = now.minus(Duration::from_millis(20_000 + chance.below(60_000)));
    let mut at = received.minus(Duration::from_nanos(100 * chance.below(3_000_000_000)));
    if table.starts_with("Email") {
        at = at.floor(10_000_000);
    }
    let properties = properties(&mut Scene::new(chance, at), table);
    let mut members = vec![
        ("time".into(), Json::from(now)),
        ("tenantId".into(), TENANT.into()),
        ("operationName".into(), "Publish".into()),
        ("category".into(), format!("AdvancedHunting-{table}").into()),
    ];
    // Older records lack it, and some have it without a zone.
    match chance.below(100) {
        0..19 => {}
        19..23 => members.push(("_TimeReceivedBySvc".into(), received.to_string().trim_end_matches('Z').into())),
        _ => members.push(("_TimeReceivedBySvc".into(), received.into())),
    }
    members.push(("properties".into(), properties));
    if !chance.percent(7) {
        members.push(("Tenant".into(), "DefaultTenant".into()));
    }
    Json::Object(members)
}

/// The same record once more, as the service repeats some: the same `properties`, another `time`.
pub fn sent_again(record: &Json, now: Time) -> Json {
    let mut again = record.clone();
    if let Some(time) = again.get_mut("time") {
        *time = now.into();
    }
    again
}

/// The members of `properties`, in the order of the wire.
fn properties(scene: &mut Scene<'_>, table: &str) -> Json {
    let Some((_, columns)) = COLUMNS.iter().find(|(name, _)| *name == table) else {
        return object! { "Timestamp" => scene.at, "ActionType" => "SomethingNew", "ReportId" => scene.report() };
    };
    let mut values = match table {
        "AlertInfo" => alert::info(scene),
        "AlertEvidence" => alert::evidence(scene),
        "BehaviorInfo" => alert::behavior(scene),
        "BehaviorEntities" => alert::behavior_entity(scene),
        "EmailEvents" => mail::event(scene),
        "EmailAttachmentInfo" => mail::attachment(scene),
        "EmailUrlInfo" => mail::link(scene),
        "EmailPostDeliveryEvents" => mail::post_delivery(scene),
        "UrlClickEvents" => mail::click(scene),
        "MessageEvents" => mail::message(scene),
        "MessagePostDeliveryEvents" => mail::message_post_delivery(scene),
        "MessageUrlInfo" => mail::message_link(scene),
        "IdentityLogonEvents" => identity::logon(scene),
        "IdentityQueryEvents" => identity::query(scene),
        "IdentityDirectoryEvents" => identity::directory(scene),
        "IdentityInfo" => identity::info(scene),
        "CloudAppEvents" => cloud::app(scene),
        "CloudAuditEvents" => cloud::audit(scene),
        "CloudProcessEvents" => cloud::process(scene),
        "CloudStorageAggregatedEvents" => cloud::storage(scene),
        "DeviceEvents" => device_events::event(scene),
        _ => device::event(scene, table),
    };
    values.push(("Timestamp", scene.at.into()));
    let members = columns.split_whitespace().map(|name| {
        let name = name.strip_prefix('*').map_or_else(|| name.to_owned(), |end| format!("InitiatingProcess{end}"));
        let value = values.iter().find(|(known, _)| *known == name).map_or(Json::Null, |(_, value)| value.clone());
        (name.into(), value)
    });
    Json::Object(members.collect())
}

/// Who, where and when.
struct Scene<'a> {
    chance: &'a mut Chance,
    at: Time,
    person: Account,
    device: Device,
}

impl<'a> Scene<'a> {
    fn new(chance: &'a mut Chance, at: Time) -> Self {
        let person = objects::person(chance);
        let device = objects::device(chance, at.minus(Duration::from_secs(40_000_000)));
        Self { chance, at, person, device }
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        *self.chance.pick(from)
    }

    /// A value in so many of 100 cases, else null.
    fn some(&mut self, percent: u64, value: impl Into<Json>) -> Json {
        if self.chance.percent(percent) { value.into() } else { Json::Null }
    }

    /// A number of the device's own; one in three is above 2^53, which a reader of floats changes.
    fn report(&mut self) -> Json {
        let large = self.chance.percent(33);
        Json::Int(if large {
            639_199_803_770_463_703 + self.chance.below(1_000_000) as i64
        } else {
            self.chance.below(500_000) as i64
        })
    }

    /// An address of the company's own network.
    fn inside(&mut self) -> String {
        format!("10.{}.{}.{}", self.chance.below(4), self.chance.below(250), 1 + self.chance.below(250))
    }

    /// An address elsewhere, of the ranges that are kept for documents.
    fn outside(&mut self) -> String {
        match self.chance.below(10) {
            0 => format!("2001:db8::{:x}", 1 + self.chance.below(65_000)),
            1..5 => format!("198.51.100.{}", 1 + self.chance.below(250)),
            _ => format!("203.0.113.{}", 1 + self.chance.below(250)),
        }
    }

    fn port(&mut self) -> i64 {
        49_152 + self.chance.below(16_000) as i64
    }

    /// So many seconds before the event.
    fn earlier(&mut self, seconds: u64) -> Json {
        self.at.minus(Duration::from_secs(1 + self.chance.below(seconds))).into()
    }

    fn person_values(&self) -> Values {
        vec![
            ("AccountName", (&self.person.name).into()),
            ("AccountDomain", self.person.domain.to_lowercase().into()),
            ("AccountSid", (&self.person.sid).into()),
            ("AccountObjectId", (&self.person.object_id).into()),
            ("AccountUpn", (&self.person.principal).into()),
        ]
    }
}

/// JSON in a text, as the tables of devices, alerts and behaviours have it.
fn text(value: &Json) -> Json {
    value.render().into()
}

/// A link with its host.
const LINKS: [(&str, &str); 4] = [
    ("https://login.contoso-secure.example/signin?user=kaic&next=%2Fmail", "login.contoso-secure.example"),
    ("http://198.51.100.23/payload.bin", "198.51.100.23"),
    ("https://sharepoint.example.org/sites/Buchhaltung/Rechnung_März.pdf", "sharepoint.example.org"),
    ("https://cdn.example.net:8443/update/setup.msi", "cdn.example.net"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    const ROUNDS: u64 = 60;

    fn records(table: &str) -> Vec<Value> {
        let mut chance = Chance::new(table.len() as u64);
        let now = Time::from_unix(1_800_000_000);
        (0..ROUNDS).map(|_| serde_json::from_str(&record(&mut chance, table, now).render()).unwrap()).collect()
    }

    #[test]
    fn columns_are_filled() {
        for table in TABLES {
            let mut filled: BTreeMap<String, usize> = BTreeMap::new();
            for record in records(table) {
                for (name, value) in record["properties"].as_object().unwrap() {
                    *filled.entry(name.clone()).or_default() += usize::from(!value.is_null());
                }
            }
            let with = filled.values().filter(|count| **count > 0).count();
            assert!(with * 5 > filled.len() * 2, "{table}: {with} of {}", filled.len());
            assert_eq!(filled["Timestamp"], ROUNDS as usize, "{table}");
        }
    }

    #[test]
    fn envelopes_are_as_on_the_wire_and_follow_from_the_seed() {
        let now = Time::from_unix(1_800_000_000);
        let (mut one, mut other) = (Chance::new(7), Chance::new(7));
        let (mut stamped, mut bare, mut homeless, mut large, mut long) = (0, 0, 0, 0, 0);
        for table in TABLES.iter().cycle().take(900) {
            let sent = record(&mut one, table, now);
            assert_eq!(sent.render(), record(&mut other, table, now).render());
            let Json::Object(members) = &sent else { panic!("{sent:?}") };
            let names: Vec<&str> = members.iter().map(|(name, _)| &**name).filter(|name| !name.starts_with("_")).collect();
            let whole = ["time", "tenantId", "operationName", "category", "properties", "Tenant"];
            assert_eq!(names, whole[..names.len()], "{table}");
            let received = sent.text_of("_TimeReceivedBySvc");
            (stamped, bare) = (
                stamped + usize::from(received.is_some()),
                bare + usize::from(received.is_some_and(|time| !time.ends_with('Z'))),
            );
            homeless += usize::from(names.len() == 5);
            large +=
                usize::from(matches!(sent.get("properties").unwrap().get("ReportId"), Some(Json::Int(9_007_199_254_740_993..))));
            long += usize::from(sent.render().len() > 5_000);
            let again = sent_again(&sent, now.plus(Duration::from_secs(60)));
            assert_eq!(again.get("properties"), sent.get("properties"));
            assert_ne!(again.get("time"), sent.get("time"));
        }
        assert!(stamped > 600 && (10..100).contains(&bare) && (20..120).contains(&homeless), "{stamped} {bare} {homeless}");
        assert!(large > 50 && long > 15, "{large} {long}");
        let unknown = record(&mut one, "MoonEvents", now);
        assert_eq!(unknown.text_of("category"), Some("AdvancedHunting-MoonEvents"));
        assert!(unknown.get("properties").unwrap().get("Timestamp").is_some());
    }
}
