//! The records passed on last, so that repeats by the service can be left out.

use std::collections::{HashSet, VecDeque};

use ring::digest::{Context, SHA256};

/// How many records are remembered. With 16 bytes each, twice, and the room a hash set keeps free: 4 MB.
pub const WINDOW: usize = 100_000;

/// What a record is recognised by: 128 bits of SHA-256. What is in a record can be written by whoever is watched, so no
/// fingerprint will do of which two can be made alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Print(u128);

impl Print {
    /// Of the parts in this order, each with its length.
    pub(super) fn of(parts: [&str; 3]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part.as_bytes());
        }
        let digest = context.finish();
        Self(digest.as_ref().iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte)))
    }
}

/// A window over the last [`WINDOW`] records.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    set: HashSet<Print>,
    order: VecDeque<Print>,
    window: usize,
}

impl Seen {
    pub(super) fn new(window: usize) -> Self {
        Self { set: HashSet::new(), order: VecDeque::new(), window }
    }

    /// Whether it was remembered. A repeat is not remembered again: the window counts records.
    pub(super) fn holds(&self, print: Print) -> bool {
        self.set.contains(&print)
    }

    pub(super) fn remember(&mut self, print: Print) {
        if !self.set.insert(print) {
            return;
        }
        self.order.push_back(print);
        if self.order.len() > self.window
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
    }

    /// The prints, the oldest first, 16 bytes each.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.order.iter().flat_map(|print| print.0.to_be_bytes()).collect()
    }

    /// Remembers prints that [`Seen::to_bytes`] wrote. `None` when they are none.
    pub(super) fn read(window: usize, bytes: &[u8]) -> Option<Self> {
        let (prints, rest) = bytes.as_chunks::<16>();
        let mut seen = Self::new(window);
        for print in prints {
            seen.remember(Print(u128::from_be_bytes(*print)));
        }
        rest.is_empty().then_some(seen)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn print(n: usize) -> Print {
        Print::of([&n.to_string(), "", ""])
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut seen = Seen::new(3);
        for n in [0, 1, 0, 2] {
            seen.remember(print(n));
        }
        assert!((0..3).all(|n| seen.holds(print(n))));
        seen.remember(print(3));
        assert_eq!([0, 1, 2, 3].map(|n| seen.holds(print(n))), [false, true, true, true]);
        assert_eq!((seen.set.len(), seen.order.len()), (3, 3));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(Print::of(["ab", "c", ""]), Print::of(["a", "bc", ""]));
        assert_eq!(Print::of(["ab", "c", ""]), Print::of(["ab", "c", ""]));
    }

    #[test]
    fn it_is_written_and_read_back() {
        let mut seen = Seen::new(5);
        (0..9).for_each(|n| seen.remember(print(n)));
        let read = Seen::read(5, &seen.to_bytes()).unwrap();
        assert_eq!(read.order, seen.order);
        assert_eq!(Seen::read(2, &seen.to_bytes()).unwrap().order, [print(7), print(8)]);
        assert!(Seen::read(5, &[0; 17]).is_none());
    }
}
