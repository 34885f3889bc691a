//! The writing half: messages become events on standard output, and once splunkd took them, positions are saved.
//!
//! It runs on the main thread and waits as long as splunkd makes it wait; the receiving half meanwhile keeps the connection
//! alive and grants no further credit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use super::counters::Board;
use super::error::EventHubError;
use super::files::Files;
use super::position::Ledger;
use crate::feeds::records::{Reader, Reason, Record, Tally};
use crate::input::StreamInput;
use crate::microsoft::event_hubs::{Message, Piece};
use crate::splunk::event::{Event, SharedStream};
use crate::splunk::stdout::Stdout;
use crate::splunk::stop::Stop;
use crate::stream::flushed;
use crate::time::Ticks;

/// How long events may stay unsaved while more come.
const SAVE_AFTER: Duration = Duration::from_secs(1);
/// How often a line is written for each partition.
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// Between two looks at the wish to stop.
const LOOK: Duration = Duration::from_millis(100);

/// How long the first message after a pause waits for others: woken for each alone, this thread would do little else.
const GATHER: Duration = Duration::from_millis(2);

/// A message on its way from the receiving half.
#[derive(Debug)]
pub(super) struct Parcel {
    /// The partition's id.
    pub(super) partition: Arc<str>,
    /// The message.
    pub(super) message: Message,
    /// Its share of the memory that parcels may take, given back when it is dropped.
    _space: OwnedSemaphorePermit,
}

impl Parcel {
    /// Packs a message.
    pub(super) fn new(partition: Arc<str>, message: Message, space: OwnedSemaphorePermit) -> Self {
        Self { partition, message, _space: space }
    }
}

/// The writing half.
#[derive(Debug)]
pub(super) struct Delivery<'a> {
    input: &'a StreamInput,
    source: String,
    reader: Reader,
    files: &'a Files,
    board: Board,
    stream: &'a SharedStream<Stdout>,
    stop: &'a Stop,
    ledgers: BTreeMap<Arc<str>, Ledger>,
    unsaved: bool,
}

impl<'a> Delivery<'a> {
    /// Writes for an input that reads this hub.
    pub(super) fn new(
        input: &'a StreamInput,
        hub: &str,
        files: &'a Files,
        board: Board,
        stream: &'a SharedStream<Stdout>,
        stop: &'a Stop,
    ) -> Self {
        let reader = Reader::new(input.shape, input.tables.clone(), input.dedupe);
        let source = format!("defender:event_hub:{hub}");
        Self { input, source, reader, files, board, stream, stop, ledgers: BTreeMap::new(), unsaved: false }
    }

    /// Writes parcels until the other half ends or a stop is requested.
    ///
    /// # Errors
    /// An output or a disk that fails.
    pub(super) fn run(&mut self, parcels: &Receiver<Parcel>) -> Result<(), EventHubError> {
        let (mut saved_at, mut reported_at) = (Instant::now(), Instant::now());
        loop {
            let parcel = match parcels.try_recv() {
                Ok(parcel) => Some(parcel),
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    // What is gathered goes out while nothing comes.
                    self.stream.flush()?;
                    match parcels.recv_timeout(LOOK) {
                        Ok(parcel) => {
                            thread::sleep(GATHER);
                            Some(parcel)
                        }
                        Err(RecvTimeoutError::Timeout) => None,
                        Err(RecvTimeoutError::Disconnected) => break,
                    }
                }
            };
            if self.stop.requested() {
                return Ok(());
            }
            if let Some(parcel) = parcel {
                self.write(&parcel)?;
            }
            if self.unsaved && saved_at.elapsed() >= SAVE_AFTER {
                if !self.save()? {
                    return Ok(());
                }
                saved_at = Instant::now();
            }
            if reported_at.elapsed() >= REPORT_EVERY {
                self.board.report(self.input, Ticks::now());
                reported_at = Instant::now();
            }
        }
        if !self.stop.requested() && self.unsaved {
            self.save()?;
        }
        self.board.report(self.input, Ticks::now());
        Ok(())
    }

    fn write(&mut self, Parcel { partition, message, .. }: &Parcel) -> Result<(), EventHubError> {
        let Self { input, source, stream, .. } = self;
        let now = taken_at(message.enqueued, Ticks::now());
        let mut emit = |record: Record<'_>| {
            stream.write(&Event {
                time: record.time,
                source,
                sourcetype: record.sourcetype,
                index: input.index.as_deref(),
                host: input.host.as_deref(),
                data: &record.data,
            })
        };
        let mut tally = Tally::default();
        for piece in &message.body {
            tally.add(match piece {
                Piece::Data(bytes) => self.reader.read(bytes, now, &mut emit)?,
                Piece::Printed(text) => self.reader.pass_on(text.as_bytes(), Reason::NotData, now, &mut emit)?,
                Piece::Raw(bytes) => self.reader.pass_on(bytes, Reason::NotData, now, &mut emit)?,
            });
        }
        self.ledgers.entry(Arc::clone(partition)).or_default().wrote(message.sequence);
        self.unsaved = true;
        self.board.with(partition, |counters| counters.wrote(message, tally));
        Ok(())
    }

    /// Flushes, waits until splunkd took everything, saves. False when a stop came first.
    fn save(&mut self) -> Result<bool, EventHubError> {
        if !flushed(self.stream, self.stop, self.input)? {
            return Ok(false);
        }
        for (partition, ledger) in &mut self.ledgers {
            ledger.flushed();
            if let Some(place) = ledger.to_save() {
                self.files.save(partition, place)?;
                ledger.saved(place);
            }
        }
        self.unsaved = false;
        Ok(true)
    }
}

/// The time of a record that has none: when the service took its message, where that can be. A clock that is ahead, or a time
/// beyond all calendars, would put the event where nobody looks for it.
fn taken_at(enqueued: Option<Ticks>, now: Ticks) -> Ticks {
    // 2014, when the service began.
    const BEGAN: Ticks = Ticks(13_885_344_000_000_000);
    enqueued.filter(|at| (BEGAN..=now).contains(at)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_cannot_be_is_not_believed() {
        let now = Ticks(17_955_000_000_000_000);
        for (enqueued, time) in [
            (Some(Ticks(now.0 - 5)), Ticks(now.0 - 5)),
            (Some(Ticks(now.0 + 5)), now),
            (Some(Ticks(i64::MAX)), now),
            (Some(Ticks(i64::MIN)), now),
            (Some(Ticks(0)), now),
            (None, now),
        ] {
            assert_eq!(taken_at(enqueued, now), time, "{enqueued:?}");
        }
    }
}
