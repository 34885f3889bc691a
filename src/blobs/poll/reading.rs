//! How a poll reads a blob: piece by piece into events, and when that is saved.

use std::time::Duration;

use super::{BlobsError, End, Halt, Outside, Poll};
use crate::blobs::cursor::{Stretch, whole_lines};
use crate::feeds::records::{self, Reason};
use crate::microsoft::storage::Failure;
use crate::planted::{Planted, planted};

/// A line of this many bytes without an end is no record; it is passed on in parts. A record has 1 MB at most.
const LONGEST_LINE: usize = 64 << 20;

/// Whether a stretch was read to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    ToItsEnd,
    /// The time is over, or the blob is not what was listed: the next poll will see.
    InPart,
}

impl<O: Outside> Poll<'_, O> {
    /// Reads a stretch piece by piece.
    pub(super) fn read(&mut self, container: &str, stretch: &Stretch) -> Result<Read, Halt> {
        self.tally.blobs += 1;
        let name = &stretch.name;
        let (mut at, mut held) = (stretch.from, Vec::new());
        let mut turn = 0;
        while at < stretch.to {
            let length = self.sizes.piece.min(stretch.to - at);
            let piece = match self.ask(|storage| storage.read(container, name, at, length)) {
                Ok(piece) => piece,
                // Removed since it was listed.
                Err(Halt::Error(BlobsError::Storage(error))) if matches!(error.failure, Failure::NoBlob) => {
                    log::debug!("{}: {error}", self.input);
                    return Ok(Read::ToItsEnd);
                }
                Err(Halt::Error(BlobsError::Storage(error))) if matches!(error.failure, Failure::Shorter) => {
                    log::debug!("{}: {error}", self.input);
                    return Ok(Read::InPart);
                }
                Err(halt) => return Err(halt),
            };
            if matches!((piece.created, stretch.created), (Some(is), Some(was)) if is != was) {
                // Another blob under the name of the one that was listed; the next list tells.
                return Ok(Read::InPart);
            }
            at += piece.bytes.len() as u64;
            turn += piece.bytes.len() as u64;
            if held.is_empty() {
                held = piece.bytes;
            } else {
                held.extend_from_slice(&piece.bytes);
            }
            let at_end = at == stretch.to;
            let mut whole = whole_lines(&held, at_end, stretch.is_last);
            if whole == 0 && held.len() >= LONGEST_LINE {
                whole = held.len();
            }
            if whole > 0 {
                self.emit(container, name, at - held.len() as u64, &held[..whole])?;
                held.drain(..whole);
            }
            let offset = at - held.len() as u64;
            let looked = if at_end && !planted(Planted::BlobsHalfLineForgotten) { at } else { 0 };
            let offset = if planted(Planted::BlobsHalfLineForgotten) { at } else { offset };
            if !self.cursor(container).read(name, offset, looked)
                && let Some(ends) = self.finished.containers.get_mut(container)
            {
                ends.read(name, offset);
                self.unkept = true;
            }
            // A line that is longer than a turn is read to its end, or no poll would get past it.
            let is_turn_over = at_end || (turn >= self.sizes.save_every && offset > stretch.from);
            if is_turn_over {
                self.of_history += u32::from(stretch.is_last);
                turn = 0;
            }
            if self.unsaved >= self.sizes.save_every && !self.save()? {
                return Err(Halt::End(End::Stopped));
            }
            if self.outside.pause(Duration::ZERO) {
                return Err(Halt::End(End::Stopped));
            }
            if self.is_over() && is_turn_over && at < stretch.to {
                return Ok(Read::InPart);
            }
        }
        Ok(Read::ToItsEnd)
    }

    /// Writes whole lines of a blob, which begin at `offset`.
    fn emit(&mut self, container: &str, name: &str, offset: u64, lines: &[u8]) -> Result<(), Halt> {
        if planted(Planted::BlobsSavedFirst) {
            let mut early = self.position.clone();
            if let Some(cursor) = early.containers.get_mut(container) {
                cursor.read(name, offset + lines.len() as u64, 0);
            }
            self.outside.save(&early)?;
        }
        let (outside, newest) = (&mut *self.outside, &mut self.tally.newest);
        let mut reason: Option<Reason> = None;
        let tally = self.reader.read(lines, outside.now(), |record| {
            match record.unparsed {
                Some(why) => drop(reason.get_or_insert(why)),
                None => *newest = (*newest).max(Some(record.time)),
            }
            outside.write(&record)
        })?;
        if let Some(reason) = reason {
            log::warn!(
                "{}: {container}/{name}: {} lines behind byte {offset} are no records and were passed on as {}: {reason}",
                self.input,
                tally.unparsed,
                records::UNPARSED
            );
        }
        if tally.beside > 0 {
            log::warn!("{}: {container}/{name}: {} members beside `records` were left out", self.input, tally.beside);
        }
        self.tally.records.add(tally);
        self.tally.bytes += lines.len() as u64;
        self.unsaved += lines.len() as u64;
        Ok(())
    }

    /// Saves the position, once its events are out. `false` when a stop was requested first.
    pub(super) fn save(&mut self) -> Result<bool, BlobsError> {
        if !self.outside.flush()? {
            return Ok(false);
        }
        if self.unkept {
            self.outside.keep(self.finished)?;
            self.unkept = false;
        }
        self.outside.save(self.position)?;
        self.unsaved = 0;
        Ok(true)
    }

    pub(super) fn tell_anew(&self, container: &str, anew: &[(String, u64)]) {
        for (name, was) in anew {
            log::warn!(
                "{}: {container}/{name} was made anew after {was} bytes of it were read; it is read from its beginning, and what the \
                 two have in common comes again",
                self.input
            );
        }
    }
}
