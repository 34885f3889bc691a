//! Versions that came outside the window that was asked for: a stale copy, or a service that ignores an edge of the window or
//! dates an object at the beginning of all time. No window tells when they come again, so none tells when to forget them.

use std::collections::HashMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Version, decode};

/// What was emitted though it lay outside its window, forgotten only when [`Strays::CAPACITY`] others were seen since.
#[derive(Clone, Debug, Default)]
pub struct Strays {
    /// Each with the number of its last sight.
    seen: HashMap<Version, u64>,
    clock: u64,
}

impl Strays {
    /// How many are remembered: 16 bytes each, 1.1 MB as base64 in the checkpoint.
    pub const CAPACITY: usize = 50_000;

    /// Whether this version is remembered.
    pub fn holds(&self, version: Version) -> bool {
        self.seen.contains_key(&version)
    }

    /// Notes that a version was emitted, or seen again.
    pub fn note(&mut self, version: Version) {
        self.clock += 1;
        self.seen.insert(version, self.clock);
    }

    /// Drops the least recently seen beyond the capacity; says how many.
    pub fn evict(&mut self) -> usize {
        let surplus = self.seen.len().saturating_sub(Self::CAPACITY);
        if surplus > 0 {
            let mut sights: Vec<u64> = self.seen.values().copied().collect();
            let (_, oldest_kept, _) = sights.select_nth_unstable(surplus);
            let oldest_kept = *oldest_kept;
            self.seen.retain(|_, at| *at >= oldest_kept);
        }
        surplus
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

/// As base64 of 16-byte records, least recently seen first.
impl Serialize for Strays {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut records: Vec<_> = self.seen.iter().collect();
        records.sort_unstable_by_key(|(_, at)| **at);
        let bytes: Vec<u8> = records.into_iter().flat_map(|(version, _)| version.to_bytes()).collect();
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Strays {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = decode(deserializer, Version::BYTES)?;
        let mut strays = Self::default();
        for record in bytes.as_chunks().0 {
            strays.note(Version::from_bytes(*record));
        }
        Ok(strays)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::time::Ticks;

    #[test]
    fn they_survive_the_checkpoint_and_the_least_recent_sight_goes_first() {
        let stray = |n: usize| Version::new(&n.to_string(), Ticks(-5));
        let mut strays = Strays::default();
        (0..Strays::CAPACITY + 2).for_each(|n| strays.note(stray(n)));
        strays.note(stray(0));
        let text = serde_json::to_string(&strays).unwrap();
        let mut strays: Strays = serde_json::from_str(&text).unwrap();
        assert_eq!(strays.evict(), 2);
        assert_eq!([0, 1, 2, 3].map(|n| strays.holds(stray(n))), [true, false, false, true]);
        assert_eq!(strays.evict(), 0);
    }
}
