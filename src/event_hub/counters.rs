//! What is counted of each partition, and its line in the log.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::feeds::records::{Tally, UNPARSED};
use crate::microsoft::event_hubs::Message;
use crate::time::Ticks;

/// Of one partition, since its last line.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    /// Messages written.
    pub(super) messages: u64,
    /// What became of their records.
    pub(super) tally: Tally,
    /// Bytes of their bodies.
    pub(super) bytes: u64,
    /// Messages that came again and were left out.
    pub(super) repeats: u64,
    /// Messages that the service no longer had, or that had no number.
    pub(super) missing: u64,
    /// Links made after the first.
    pub(super) reattached: u64,
    /// Answers that asked for fewer requests.
    pub(super) throttled: u64,
    /// The first message with something that is no record.
    pub(super) unparsed_at: Option<i64>,
    /// The first message with a record without a readable `Timestamp`.
    pub(super) undated_at: Option<i64>,
    /// The first message with something beside its list of records.
    pub(super) beside_at: Option<i64>,
    /// The last message written. It stays from line to line, as do the next two.
    pub(super) written: Option<i64>,
    /// When the service took it.
    pub(super) enqueued: Option<Ticks>,
    /// The newest message there is, as the service said last.
    pub(super) newest: Option<i64>,
    /// Which of the three were said of this partition: once in a run each, and counted in every line.
    said: [bool; 3],
    /// Whether a message without a number was said of in this run, and a gap since the last line.
    pub(super) numberless_said: bool,
    pub(super) gap_said: bool,
}

impl Counters {
    /// A message was written, and that became of it.
    pub(super) fn wrote(&mut self, message: &Message, tally: Tally) {
        let sequence = message.sequence;
        self.messages += 1;
        self.bytes += message.len() as u64;
        self.tally.add(tally);
        (self.written, self.enqueued) = (Some(sequence), message.enqueued);
        for (count, first) in
            [(tally.unparsed, &mut self.unparsed_at), (tally.undated, &mut self.undated_at), (tally.beside, &mut self.beside_at)]
        {
            if count > 0 {
                first.get_or_insert(sequence);
            }
        }
    }

    /// What of the messages did not go the usual way and was not said yet: how much, and where it began.
    fn warnings(&mut self) -> Vec<String> {
        let Tally { unparsed, undated, beside, .. } = self.tally;
        let said = [
            self.unparsed_at.map(|at| {
                format!(
                    "{unparsed} pieces are no records of the streaming API and went to the sourcetype {UNPARSED}, the first in message \
                     {at}: something else writes into this hub"
                )
            }),
            self.undated_at.map(|at| {
                format!(
                    "{undated} records have no Timestamp that can be read, the first in message {at}: their _time is that of their \
                     envelope, or of their message"
                )
            }),
            self.beside_at.map(|at| {
                format!(
                    "{beside} members beside a list of records are in no event, the first in message {at}: the streaming API is not \
                     known to write there"
                )
            }),
        ];
        let mut warnings = Vec::new();
        for (warning, before) in said.into_iter().zip(&mut self.said) {
            if let Some(warning) = warning.filter(|_| !*before) {
                *before = true;
                warnings.push(warning);
            }
        }
        warnings
    }

    /// Messages that wait at the service; `None` before anything is known.
    pub(super) fn behind(&self) -> Option<u64> {
        let (newest, written) = (self.newest?, self.written?);
        Some(u64::try_from(newest.saturating_sub(written)).unwrap_or(0))
    }

    /// The line's numbers, after the partition's name.
    fn line(&self, now: Ticks) -> String {
        use fmt::Write;
        let mut line = format!(
            "messages={} records={} bytes={} filtered={} repeats={} unparsed={} undated={} beside={} missing={} reattached={} throttled={}",
            self.messages,
            self.tally.records,
            self.bytes,
            self.tally.filtered,
            self.repeats + self.tally.repeats,
            self.tally.unparsed,
            self.tally.undated,
            self.tally.beside,
            self.missing,
            self.reattached,
            self.throttled,
        );
        if let Some(behind) = self.behind() {
            // Of a partition without news, the last one's age is no delay.
            let lag = if behind == 0 { 0 } else { self.enqueued.map_or(0, |enqueued| now.since(enqueued).as_secs()) };
            let _ = write!(line, " lag_events={behind} lag_s={lag}");
        }
        line
    }
}

/// The counters of all partitions, shared by who receives and who writes.
#[derive(Clone, Debug, Default)]
pub(super) struct Board(Arc<Mutex<BTreeMap<String, Counters>>>);

impl Board {
    /// Changes the counters of a partition.
    pub(super) fn with<T>(&self, partition: &str, change: impl FnOnce(&mut Counters) -> T) -> T {
        let mut board = self.lock();
        if !board.contains_key(partition) {
            board.insert(partition.to_owned(), Counters::default());
        }
        board.get_mut(partition).map(change).unwrap_or_else(|| unreachable!("it was inserted"))
    }

    /// Writes each partition's line, and begins to count anew.
    pub(super) fn report(&self, input: &impl fmt::Display, now: Ticks) {
        // Ids are numbers; as text 10 would come before 2.
        let mut board = self.lock();
        let mut ids: Vec<String> = board.keys().cloned().collect();
        ids.sort_by_key(|id| (id.len(), id.clone()));
        for id in ids {
            let Some(counters) = board.get_mut(&id) else { continue };
            log::info!("{input}: partition={id} {}", counters.line(now));
            for warning in counters.warnings() {
                log::warn!("{input}: partition {id}: {warning}");
            }
            let Counters { written, enqueued, newest, said, numberless_said, .. } = *counters;
            *counters = Counters { written, enqueued, newest, said, numberless_said, ..Counters::default() };
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Counters>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_behind_a_partition_is() {
        let now = Ticks::parse("2026-11-22T12:00:00Z").unwrap_or(Ticks(0));
        let mut counters =
            Counters { messages: 2, bytes: 30, enqueued: Ticks::parse("2026-11-22T11:59:00Z"), ..Counters::default() };
        counters.tally.records = 40;
        let start = "messages=2 records=40 bytes=30 filtered=0 repeats=0 unparsed=0 undated=0 beside=0 missing=0 reattached=0 \
                     throttled=0";
        assert_eq!(counters.line(now), start, "before the service said anything");
        (counters.tally.unparsed, counters.unparsed_at) = (3, Some(5));
        assert!(counters.warnings()[0].starts_with("3 pieces are no records"), "it is said");
        assert_eq!(counters.warnings(), Vec::<String>::new(), "once");
        (counters.tally.unparsed, counters.unparsed_at) = (0, None);
        (counters.written, counters.newest) = (Some(7), Some(17));
        assert_eq!(counters.line(now), format!("{start} lag_events=10 lag_s=60"));
        counters.written = Some(17);
        assert_eq!(counters.line(now), format!("{start} lag_events=0 lag_s=0"));
    }
}
