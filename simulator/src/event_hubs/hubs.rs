//! A namespace's hubs: partitions, the events in them, and who reads them. No protocol here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::amqp::{Failure, Value, condition, message};
use super::selector::Selector;
use crate::time::Time;

/// The consumer group every hub has.
pub const DEFAULT_GROUP: &str = "$Default";
/// So many receivers without an epoch may read a partition in one consumer group.
const MOST_RECEIVERS: usize = 5;
/// What the service adds to an event, by which offsets grow beside the body.
const OVERHEAD: i64 = 56;

/// An event of a partition.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) sequence: i64,
    /// Where it begins, in octets since the partition began.
    pub(crate) offset: i64,
    pub(crate) enqueued: Time,
    /// The message as it is sent, from its annotations on.
    pub(crate) encoded: Arc<[u8]>,
}

/// What a publisher hands over.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// The data sections; one, as a rule.
    pub data: Vec<Vec<u8>>,
    /// Octets behind them that make the message one that cannot be decoded.
    pub broken: Vec<u8>,
    /// The properties the publisher set, such as `type`.
    pub properties: Vec<(String, String)>,
    /// The key the publisher chose the partition by.
    pub partition_key: Option<String>,
    /// When the service took it, if not now.
    pub enqueued: Option<Time>,
}

impl<T: Into<Vec<u8>>> From<T> for Body {
    fn from(data: T) -> Self {
        Body { data: vec![data.into()], ..Body::default() }
    }
}

/// Someone who reads a partition.
#[derive(Clone, Debug)]
struct Reader {
    id: u64,
    name: String,
    epoch: Option<i64>,
}

/// A partition.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    events: VecDeque<Event>,
    /// The sequence number the next event gets.
    next: i64,
    next_offset: i64,
    last_offset: Option<i64>,
    last_enqueued: Option<Time>,
    readers: BTreeMap<String, Vec<Reader>>,
}

/// A hub.
#[derive(Debug)]
pub(crate) struct Hub {
    /// Its name as it was created.
    pub(crate) name: String,
    pub(crate) created: Time,
    /// Tells it from a hub of the same name that was there before.
    pub(crate) generation: u64,
    pub(crate) partitions: Vec<Partition>,
    /// Lower case.
    groups: Vec<String>,
}

/// The hubs of a namespace, by their names in lower case.
#[derive(Debug, Default)]
pub(crate) struct Namespace {
    hubs: BTreeMap<String, Hub>,
    generations: u64,
    /// Readers that lost their partition, and why, until they are told.
    evicted: BTreeMap<u64, Failure>,
}

impl Namespace {
    /// Creates a hub; one of that name that was there is gone with its events and readers.
    pub(crate) fn create(&mut self, name: &str, partitions: usize, now: Time) {
        self.delete(name);
        self.generations += 1;
        let hub = Hub {
            name: name.to_string(),
            created: now,
            generation: self.generations,
            partitions: (0..partitions.max(1)).map(|_| Partition::default()).collect(),
            groups: vec![DEFAULT_GROUP.to_ascii_lowercase()],
        };
        self.hubs.insert(name.to_ascii_lowercase(), hub);
    }

    /// Deletes a hub; false when there is none.
    pub(crate) fn delete(&mut self, name: &str) -> bool {
        let Some(mut hub) = self.hubs.remove(&name.to_ascii_lowercase()) else { return false };
        let gone = not_found(&hub.name);
        for readers in hub.partitions.iter_mut().flat_map(|partition| partition.readers.values_mut()) {
            self.evicted.extend(readers.drain(..).map(|reader| (reader.id, gone.clone())));
        }
        true
    }

    /// A hub by its name, whose case does not matter.
    pub(crate) fn hub(&self, name: &str) -> Option<&Hub> {
        self.hubs.get(&name.to_ascii_lowercase())
    }

    pub(crate) fn hubs(&self) -> impl Iterator<Item = &Hub> {
        self.hubs.values()
    }

    pub(crate) fn hub_mut(&mut self, name: &str) -> Option<&mut Hub> {
        self.hubs.get_mut(&name.to_ascii_lowercase())
    }

    /// Lets a reader in, or says why not. A reader with an epoch drives out all whose epoch is not above its own.
    pub(crate) fn admit(&mut self, place: &Place, id: u64, name: &str, epoch: Option<i64>) -> Result<(), Failure> {
        let Some(partition) = self.partition_mut(place) else { return Err(not_found(&place.hub)) };
        let readers = partition.readers.entry(place.group.to_ascii_lowercase()).or_default();
        let highest = readers.iter().filter_map(|reader| reader.epoch).max();
        match (epoch, highest) {
            (Some(epoch), Some(highest)) if highest > epoch => {
                let other = readers.iter().find(|reader| reader.epoch == Some(highest)).map_or("nil", |reader| &reader.name);
                return Err(Failure::new(
                    condition::STOLEN,
                    format!(
                        "Receiver '{other}' with a higher epoch '{highest}' already exists. Receiver '{name}' with epoch {epoch} cannot be created. Make sure you are creating receiver with increasing epoch value to ensure connectivity, or ensure all old epoch receivers are closed or disconnected."
                    ),
                ));
            }
            (None, Some(highest)) => {
                return Err(Failure::new(
                    condition::STOLEN,
                    format!(
                        "At least one receiver for the endpoint is created with epoch of '{highest}', and so non-epoch receiver is not allowed. Either reconnect with a higher epoch, or make sure all epoch receivers are closed or disconnected."
                    ),
                ));
            }
            (None, None) if readers.len() >= MOST_RECEIVERS => {
                return Err(Failure::new(
                    condition::RESOURCE_LIMIT,
                    format!(
                        "Exceeded the maximum number of allowed receivers per partition in a consumer group which is {MOST_RECEIVERS}."
                    ),
                ));
            }
            _ => {}
        }
        let displaced = if epoch.is_some() { std::mem::take(readers) } else { Vec::new() };
        readers.push(Reader { id, name: name.to_string(), epoch });
        if let Some(epoch) = epoch {
            for old in displaced {
                let held = old.epoch.map_or("non-epoch".to_string(), |held| format!("epoch '{held}'"));
                let failure = Failure::new(
                    condition::STOLEN,
                    format!(
                        "New receiver '{name}' with higher epoch of '{epoch}' is created hence current receiver '{}' with {held} is getting disconnected. If you are recreating the receiver, make sure a higher epoch is used.",
                        old.name
                    ),
                );
                self.evicted.insert(old.id, failure);
            }
        }
        Ok(())
    }

    /// A reader is gone.
    pub(crate) fn leave(&mut self, place: &Place, id: u64) {
        self.evicted.remove(&id);
        if let Some(partition) = self.partition_mut(place) {
            partition.readers.values_mut().for_each(|readers| readers.retain(|reader| reader.id != id));
        }
    }

    /// Why a reader lost its partition, if it did.
    pub(crate) fn evicted(&mut self, id: u64) -> Option<Failure> {
        self.evicted.remove(&id)
    }

    /// Takes a reader's partition away.
    pub(crate) fn evict(&mut self, hub: &str, partition: usize, why: &Failure) {
        let Some(hub) = self.hubs.get_mut(&hub.to_ascii_lowercase()) else { return };
        let Some(partition) = hub.partitions.get_mut(partition) else { return };
        for readers in partition.readers.values_mut() {
            self.evicted.extend(readers.drain(..).map(|reader| (reader.id, why.clone())));
        }
    }

    fn partition_mut(&mut self, place: &Place) -> Option<&mut Partition> {
        self.hub_mut(&place.hub)?.partitions.get_mut(place.partition)
    }
}

/// Where a receiver reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) hub: String,
    pub(crate) group: String,
    pub(crate) partition: usize,
}

impl Place {
    /// Reads `<hub>/ConsumerGroups/<group>/Partitions/<id>`, whose words may be in any case.
    pub(crate) fn read(address: &str) -> Option<(String, String, String)> {
        match path(address).split('/').collect::<Vec<_>>()[..] {
            [hub, groups, group, partitions, partition]
                if groups.eq_ignore_ascii_case("ConsumerGroups") && partitions.eq_ignore_ascii_case("Partitions") =>
            {
                Some((hub.to_string(), group.to_string(), partition.to_string()))
            }
            _ => None,
        }
    }
}

/// The path of an address, which may be a whole URL.
pub(crate) fn path(address: &str) -> &str {
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => address,
    };
    path.trim_matches('/')
}

/// A hub or consumer group nobody knows.
pub(crate) fn not_found(what: &str) -> Failure {
    Failure::new(
        condition::NOT_FOUND,
        format!("The messaging entity '{what}' could not be found. To know more visit https://aka.ms/sbResourceMgrExceptions."),
    )
}

impl Hub {
    /// Adds a consumer group.
    pub(crate) fn add_group(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        if !self.groups.contains(&name) {
            self.groups.push(name);
        }
    }

    /// Whether it has a consumer group of that name.
    pub(crate) fn has_group(&self, name: &str) -> bool {
        self.groups.contains(&name.to_ascii_lowercase())
    }

    /// A partition's number by its id.
    pub(crate) fn number_of(&self, id: &str) -> Result<usize, Failure> {
        id.parse::<usize>().ok().filter(|number| *number < self.partitions.len() && id == number.to_string()).ok_or_else(|| {
            Failure::new(
                "com.microsoft:argument-out-of-range",
                format!(
                    "The specified partition is invalid for an EventHub partition sender or receiver. It should be between 0 and {}. Parameter name: PartitionId",
                    self.partitions.len() - 1
                ),
            )
        })
    }
}

impl Partition {
    /// Adds an event; its sequence number.
    pub(crate) fn publish(&mut self, body: &Body, now: Time) -> i64 {
        // The service's clock has whole milliseconds on the wire, and a partition's times never go back.
        let enqueued = body.enqueued.unwrap_or(now).floor(10_000).max(self.last_enqueued.unwrap_or(Time(0)));
        let (sequence, offset) = (self.next, self.next_offset);
        let encoded: Arc<[u8]> = encoded(body, sequence, offset, enqueued).into();
        self.next += 1;
        let length = body.data.iter().map(Vec::len).sum::<usize>() as i64;
        self.next_offset += (length + OVERHEAD + 7) / 8 * 8;
        self.last_offset = Some(offset);
        self.last_enqueued = Some(enqueued);
        self.events.push_back(Event { sequence, offset, enqueued, encoded });
        sequence
    }

    /// Lets all events before a sequence number go, as time does.
    pub(crate) fn expire(&mut self, before: i64) {
        while self.events.front().is_some_and(|event| event.sequence < before) {
            self.events.pop_front();
        }
    }

    /// The sequence number of the oldest event there is, or of the next one.
    pub(crate) fn first(&self) -> i64 {
        self.events.front().map_or(self.next, |event| event.sequence)
    }

    /// The sequence number of the newest event; -1 before the first.
    pub(crate) fn last(&self) -> i64 {
        self.next - 1
    }

    pub(crate) fn last_offset(&self) -> i64 {
        self.last_offset.unwrap_or(-1)
    }

    /// When the newest event came; the beginning of time before the first.
    pub(crate) fn last_enqueued(&self) -> Time {
        self.last_enqueued.unwrap_or(Time(super::selector::BEGINNING * 10_000))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The oldest event from a sequence number on.
    pub(crate) fn from(&self, sequence: i64) -> Option<&Event> {
        let at = (sequence - self.first()).max(0);
        self.events.get(usize::try_from(at).ok()?)
    }

    /// The sequence number a selector begins with. A position that the partition never reached is refused.
    pub(crate) fn start(&self, selector: &Selector) -> Result<i64, Failure> {
        let refused = |what: &str, asked: i64, last: i64| {
            Err(Failure::new(
                "com.microsoft:argument-error",
                format!("The supplied {what} '{asked}' is invalid. The last {what} in the system is '{last}'"),
            ))
        };
        let first_where = |holds: &dyn Fn(&Event) -> bool| {
            let at = self.events.partition_point(|event| !holds(event));
            self.events.get(at).map_or(self.next, |event| event.sequence)
        };
        match *selector {
            Selector::Latest => Ok(self.next),
            Selector::Offset { value, inclusive } => {
                if value > self.last_offset() {
                    return refused("offset", value, self.last_offset());
                }
                Ok(first_where(&|event| event.offset > value || (inclusive && event.offset == value)))
            }
            Selector::Sequence { value, inclusive } => {
                if value > self.last() {
                    return refused("sequence number", value, self.last());
                }
                Ok((value + i64::from(!inclusive)).max(self.first()))
            }
            Selector::Enqueued { value, inclusive } => {
                Ok(first_where(&|event| event.enqueued.millis() > value || (inclusive && event.enqueued.millis() == value)))
            }
        }
    }

    /// What a receiver that asked for it is told with every event, as delivery annotations.
    pub(crate) fn metrics(&self, now: Time) -> Vec<(Value, Value)> {
        [
            ("last_enqueued_sequence_number", Value::Long(self.last())),
            ("last_enqueued_offset", Value::string(self.last_offset().to_string())),
            ("last_enqueued_time_utc", Value::Timestamp(self.last_enqueued().millis())),
            ("runtime_info_retrieval_time_utc", Value::Timestamp(now.millis())),
        ]
        .map(|(name, value)| (Value::symbol(name), value))
        .to_vec()
    }
}

/// The message of an event, from its annotations on.
fn encoded(body: &Body, sequence: i64, offset: i64, enqueued: Time) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.data.iter().map(Vec::len).sum::<usize>() + 160);
    let mut annotations = vec![
        (Value::symbol("x-opt-sequence-number"), Value::Long(sequence)),
        (Value::symbol("x-opt-offset"), Value::string(offset.to_string())),
        (Value::symbol("x-opt-enqueued-time"), Value::Timestamp(enqueued.millis())),
    ];
    if let Some(key) = &body.partition_key {
        annotations.push((Value::symbol("x-opt-partition-key"), Value::string(&**key)));
    }
    message::section(0x72, Value::Map(annotations), &mut out);
    if !body.properties.is_empty() {
        let pairs = body.properties.iter().map(|(name, value)| (Value::string(&**name), Value::string(&**value))).collect();
        message::section(0x74, Value::Map(pairs), &mut out);
    }
    body.data.iter().for_each(|data| message::data(data, &mut out));
    out.extend(&body.broken);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(partition: usize) -> Place {
        Place { hub: "Hub".to_string(), group: "$default".to_string(), partition }
    }

    fn partition(events: i64) -> Partition {
        let mut partition = Partition::default();
        for number in 0..events {
            partition.publish(&Body { enqueued: Some(Time::from_unix(1000 + number)), ..Body::from("12345678") }, Time(0));
        }
        partition
    }

    #[test]
    fn a_selector_finds_its_first_event() {
        let mut partition = partition(10);
        partition.expire(3);
        let offset = partition.from(5).unwrap().offset;
        let start = |text: &str| partition.start(&Selector::read(text).unwrap());
        for (selector, first) in [
            ("amqp.annotation.x-opt-offset > '-1'", 3),
            ("amqp.annotation.x-opt-offset > '@latest'", 10),
            (&format!("amqp.annotation.x-opt-offset > '{offset}'"), 6),
            (&format!("amqp.annotation.x-opt-offset >= '{offset}'"), 5),
            ("amqp.annotation.x-opt-offset > '64'", 3), // the second event's, which is gone
            ("amqp.annotation.x-opt-sequence-number > '5'", 6),
            ("amqp.annotation.x-opt-sequence-number >= '5'", 5),
            ("amqp.annotation.x-opt-sequence-number > '-1'", 3),
            ("amqp.annotation.x-opt-sequence-number > '9'", 10),
            ("amqp.annotation.x-opt-enqueued-time > '1005000'", 6),
            ("amqp.annotation.x-opt-enqueued-time >= '1005000'", 5),
            ("amqp.annotation.x-opt-enqueued-time > '0'", 3),
            ("amqp.annotation.x-opt-enqueued-time > '9999000'", 10),
        ] {
            assert_eq!(start(selector), Ok(first), "{selector}");
        }
        for (selector, description) in [
            (
                "amqp.annotation.x-opt-sequence-number > '10'",
                "The supplied sequence number '10' is invalid. The last sequence number in the system is '9'",
            ),
            (
                "amqp.annotation.x-opt-offset > '100000'",
                "The supplied offset '100000' is invalid. The last offset in the system is '576'",
            ),
        ] {
            let failure = start(selector).unwrap_err();
            assert_eq!(failure, Failure::new("com.microsoft:argument-error", description));
        }
        assert_eq!((partition.first(), partition.last(), partition.last_offset()), (3, 9, 576));
    }

    #[test]
    fn epochs_drive_out_and_keep_out() {
        let mut namespace = Namespace::default();
        namespace.create("hub", 2, Time(0));
        assert_eq!(namespace.admit(&place(0), 1, "a", None), Ok(()));
        assert_eq!(namespace.admit(&place(0), 2, "b", Some(0)), Ok(()));
        assert!(namespace.evicted(1).unwrap().description.contains("'a' with non-epoch is getting disconnected"));
        assert!(namespace.admit(&place(0), 3, "c", None).unwrap_err().description.contains("non-epoch receiver is not allowed"));
        assert_eq!(namespace.admit(&place(0), 4, "d", Some(7)), Ok(()));
        assert_eq!(namespace.evicted(2).unwrap().condition, condition::STOLEN);
        let refused = namespace.admit(&place(0), 5, "e", Some(6)).unwrap_err();
        assert!(refused.description.starts_with("Receiver 'd' with a higher epoch '7' already exists."), "{refused:?}");
        // The same epoch takes over as well.
        assert_eq!(namespace.admit(&place(0), 6, "f", Some(7)), Ok(()));
        assert!(namespace.evicted(4).is_some());
        // Another partition and another group are nobody's business.
        assert_eq!(namespace.admit(&place(1), 7, "g", None), Ok(()));
        assert_eq!(namespace.admit(&Place { group: "other".to_string(), ..place(0) }, 8, "h", None), Ok(()));
        namespace.leave(&place(0), 6);
        assert_eq!(namespace.admit(&place(0), 9, "i", Some(0)), Ok(()));
        namespace.create("HUB", 1, Time(0));
        assert_eq!(namespace.evicted(9).unwrap().condition, condition::NOT_FOUND);
    }

    #[test]
    fn five_receivers_without_an_epoch() {
        let mut namespace = Namespace::default();
        namespace.create("hub", 1, Time(0));
        for id in 0..5 {
            assert_eq!(namespace.admit(&place(0), id, "r", None), Ok(()));
        }
        assert_eq!(namespace.admit(&place(0), 5, "r", None).unwrap_err().condition, condition::RESOURCE_LIMIT);
    }

    #[test]
    fn addresses() {
        let read = |address| Place::read(address).map(|(hub, group, partition)| format!("{hub} {group} {partition}"));
        assert_eq!(read("hub/ConsumerGroups/$Default/Partitions/3").as_deref(), Some("hub $Default 3"));
        assert_eq!(read("amqps://ns.example:5671/hub/consumergroups/g/partitions/0").as_deref(), Some("hub g 0"));
        for other in ["hub", "hub/Partitions/0", "hub/ConsumerGroups/g/Partitions", "", "amqps://ns.example"] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
