//! What was already emitted: versions of objects, and the last version of each alert seen inside incidents.
//!
//! A version is (id, update time). Both memories keep a fingerprint instead of the id: the first 8 bytes, big endian, of
//! SHA-256 over the id. A collision would need two ids of one tenant to share 64 bits, and the same 100 ns of update time
//! besides; among a million ids that is one chance in 10^7 for the first condition alone.

mod strays;

use std::collections::HashMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::strays::Strays;
use crate::planted::{Planted, planted};
use crate::time::Ticks;

/// One version of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// When the service last changed the object.
    pub updated: Ticks,
    /// The fingerprint of the object's id.
    pub id: u64,
}

impl Version {
    /// The version of the object `id` at its update time.
    pub fn new(id: &str, updated: Ticks) -> Self {
        Self { updated, id: fingerprint(id) }
    }

    /// The same version of an alert while it belongs to this incident: an alert that moves to another may keep
    /// its time, and whoever follows it has to be told all the same.
    pub fn placed(self, incident: &str) -> Self {
        Self { id: self.id ^ spread(incident), ..self }
    }

    /// How long [`Version::to_bytes`] is.
    pub const BYTES: usize = 16;

    /// Update time and fingerprint, big endian.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        (u128::from(self.updated.0.cast_unsigned()) << 64 | u128::from(self.id)).to_be_bytes()
    }

    /// What [`Version::to_bytes`] wrote.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let [updated, id] = [&bytes[..8], &bytes[8..]].map(number);
        Self { updated: Ticks(updated.cast_signed()), id }
    }
}

/// The first 8 bytes of SHA-256 over the id.
fn fingerprint(id: &str) -> u64 {
    let hash = digest(&SHA256, id.as_bytes());
    hash.as_ref().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Alerts inside incidents: alert id to the update time last emitted. An incident repeats all its alerts with every
/// change, for months, so an entry is never forgotten by its age, only when [`AlertMemory::CAPACITY`] younger sights exist.
#[derive(Clone, Debug, Default)]
pub struct AlertMemory {
    seen: HashMap<u64, Sight>,
    clock: u64,
}

/// A few characters over 64 bits: FNV-1a with the last steps of SplitMix64. The incident is not what identifies an alert, so a
/// second SHA-256, which would cost a tenth of the time an alert takes, is not called for.
fn spread(text: &str) -> u64 {
    let hash = text.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3));
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^ (hash >> 31)
}

#[derive(Clone, Copy, Debug)]
struct Sight {
    /// The low 48 bits of the update time; equal ones of one alert lie 325 days apart to the 100 ns.
    stamp: u64,
    /// Which sight of the whole memory this was.
    at: u64,
}

/// Bytes of one remembered alert: fingerprint and stamp, big endian.
const RECORD: usize = 14;

impl AlertMemory {
    /// How many alerts are remembered: 14 bytes each, 3.7 MB as base64 in the checkpoint.
    pub const CAPACITY: usize = 200_000;

    /// Whether exactly this version was the last one emitted of its alert.
    pub fn holds(&self, alert: Version) -> bool {
        self.seen.get(&alert.id).is_some_and(|sight| sight.stamp == stamp(alert) || planted(Planted::IgnoresAlertVersion))
    }

    /// Whether a later version of the alert was emitted last.
    pub fn is_beyond(&self, alert: Version) -> bool {
        // The difference of two stamps, as far as 48 bits can tell.
        let later = |sight: &Sight| sight.stamp.wrapping_sub(stamp(alert)) & 0xFFFF_FFFF_FFFF;
        self.seen.get(&alert.id).is_some_and(|sight| (1..1 << 47).contains(&later(sight)))
    }

    /// Notes that this version was emitted, or seen again.
    pub fn note(&mut self, alert: Version) {
        self.clock += 1;
        self.seen.insert(alert.id, Sight { stamp: stamp(alert), at: self.clock });
    }

    /// Forgets an alert that was noted without its incident, now that it is noted with it.
    pub fn forget(&mut self, unplaced: Version) {
        self.seen.remove(&unplaced.id);
    }

    /// Drops the least recently seen entries beyond the capacity; says how many.
    pub fn evict(&mut self) -> usize {
        if planted(Planted::ForgetsOldAlerts) {
            let clock = self.clock;
            self.seen.retain(|_, sight| clock - sight.at < 3);
        }
        let surplus = self.seen.len().saturating_sub(Self::CAPACITY);
        if surplus > 0 {
            let mut sights: Vec<u64> = self.seen.values().map(|sight| sight.at).collect();
            let (_, oldest_kept, _) = sights.select_nth_unstable(surplus);
            let oldest_kept = *oldest_kept;
            self.seen.retain(|_, sight| sight.at >= oldest_kept);
        }
        surplus
    }

    /// How many alerts are remembered.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

fn stamp(alert: Version) -> u64 {
    alert.updated.0.cast_unsigned() & 0xFFFF_FFFF_FFFF
}

/// As base64 of 14-byte records, least recently seen first.
impl Serialize for AlertMemory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut records: Vec<_> = self.seen.iter().collect();
        records.sort_unstable_by_key(|(_, sight)| sight.at);
        let mut bytes = Vec::with_capacity(records.len() * RECORD);
        for (id, sight) in records {
            bytes.extend_from_slice(&id.to_be_bytes());
            bytes.extend_from_slice(&sight.stamp.to_be_bytes()[2..]);
        }
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for AlertMemory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = decode(deserializer, RECORD)?;
        let mut memory = Self::default();
        for record in bytes.chunks_exact(RECORD) {
            memory.clock += 1;
            let (id, stamp) = (number(&record[..8]), number(&record[8..]));
            memory.seen.insert(id, Sight { stamp, at: memory.clock });
        }
        Ok(memory)
    }
}

/// Versions as base64 of 16-byte records (update time, fingerprint), for the checkpoint.
pub mod packed {
    use std::collections::BTreeSet;

    use super::{BASE64_STANDARD, Deserializer, Engine, Serializer, Version, decode};

    /// Writes the versions in time order.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(versions: &BTreeSet<Version>, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(versions.len() * Version::BYTES);
        for version in versions {
            bytes.extend_from_slice(&version.to_bytes());
        }
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    /// Reads them back.
    ///
    /// # Errors
    /// Text that is not base64 of whole records.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<Version>, D::Error> {
        let bytes = decode(deserializer, Version::BYTES)?;
        Ok(bytes.as_chunks().0.iter().map(|record| Version::from_bytes(*record)).collect())
    }
}

fn decode<'de, D: Deserializer<'de>>(deserializer: D, record: usize) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)?;
    if bytes.len() % record == 0 { Ok(bytes) } else { Err(serde::de::Error::custom("a record is cut off")) }
}

fn number(big_endian: &[u8]) -> u64 {
    big_endian.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_the_documented_one() {
        // sha256("abc") begins ba7816bf 8f01cfea.
        assert_eq!(Version::new("abc", Ticks(0)).id, 0xba78_16bf_8f01_cfea);
    }

    #[test]
    fn an_alert_is_held_in_its_last_version_only() {
        let mut memory = AlertMemory::default();
        let (old, new) = (Version::new("a", Ticks(5)), Version::new("a", Ticks(6)));
        memory.note(old);
        assert!(memory.holds(old) && !memory.holds(new));
        memory.note(new);
        assert!(memory.holds(new) && !memory.holds(old));
        assert!(memory.is_beyond(old) && !memory.is_beyond(new) && !memory.is_beyond(Version::new("a", Ticks(7))));
        assert!(!memory.is_beyond(Version::new("b", Ticks(5))));
    }

    #[test]
    fn an_alert_in_another_incident_is_another_version() {
        let alert = Version::new("a", Ticks(5));
        let places = ["1", "2", "12", "21", ""].map(|incident| alert.placed(incident));
        assert!(places.iter().all(|place| place.updated == alert.updated && place.id != alert.id));
        assert_eq!(std::collections::BTreeSet::from(places).len(), places.len());
        let mut memory = AlertMemory::default();
        memory.note(places[0]);
        assert!(memory.holds(places[0]) && !memory.holds(places[1]), "it moved");
        memory.note(places[1]);
        assert!(memory.holds(places[0]) && memory.holds(places[1]), "two copies of it do not take turns");
    }

    #[test]
    fn the_memory_survives_the_checkpoint_and_evicts_the_least_recent_sight() {
        let mut memory = AlertMemory::default();
        let alert = |n: usize| Version::new(&n.to_string(), Ticks(17_000_000_000_000_000));
        for n in 0..AlertMemory::CAPACITY + 3 {
            memory.note(alert(n));
        }
        memory.note(alert(0));
        let text = serde_json::to_string(&memory).unwrap();
        let mut memory: AlertMemory = serde_json::from_str(&text).unwrap();
        assert_eq!(memory.evict(), 3);
        assert_eq!(memory.len(), AlertMemory::CAPACITY);
        assert!(memory.holds(alert(0)) && memory.holds(alert(4)));
        assert!(!memory.holds(alert(1)) && !memory.holds(alert(2)) && !memory.holds(alert(3)));
        assert!(serde_json::to_string(&memory).unwrap().len() < 4_000_000);
        assert!(serde_json::from_str::<AlertMemory>("\"AAAA\"").is_err());
    }
}
