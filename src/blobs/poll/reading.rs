//! How a poll reads a blob: piece by piece into events, and when that is saved.

use std::time::Duration;

use super::{BlobsError, End, Halt, Outside, Poll};
use crate::blobs::cursor::{Stretch, whole_lines};
use crate::feeds::records::{self, Reason};
use crate::masking::foreign_text;
use crate::microsoft::storage::{Failure, StorageError};
use crate::planted::{Planted, planted};

/// A line of this many bytes without an end is no record; it is passed on in parts. A record has 1 MB at most, and all that is
/// held of a line, and what is made of it, is in memory.
const LONGEST_LINE: usize = 4 << 20;
/// How contents begin that are no text, and what they are.
const NO_TEXT: [(&[u8], &str); 7] = [
    (&[0x1f, 0x8b, 0x08], "its content is packed by gzip"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "its content is packed by zstd"),
    (b"PK\x03\x04", "its content is a ZIP archive"),
    (b"PAR1", "its content is Parquet"),
    (b"Obj\x01", "its content is Avro"),
    (&[0xff, 0xfe], "its content is UTF-16"),
    (&[0xfe, 0xff], "its content is UTF-16"),
];

/// Whether a stretch was read to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    ToItsEnd,
    /// The time is over.
    InPart,
    /// It cannot be read, or is not what was listed, and is tried again later. What follows it may be read.
    Aside,
}

/// What there is to tell of a stretch, once.
#[derive(Default)]
struct Noticed {
    unparsed: u64,
    /// Of what was unparsed first: why, and in which lines.
    first: Option<(Reason, u64)>,
    beside: u64,
}

impl<O: Outside> Poll<'_, O> {
    /// Reads a stretch piece by piece.
    pub(super) fn read(&mut self, container: &str, stretch: &Stretch) -> Result<Read, Halt> {
        let mut noticed = Noticed::default();
        let read = self.read_pieces(container, stretch, &mut noticed);
        // Masking a text takes longer than most reads, and there is seldom anything to tell.
        let name = || foreign_text(&stretch.name);
        if let Some((reason, offset)) = noticed.first {
            log::warn!(
                "{}: {container}/{}: {} lines behind byte {offset} are no records and were passed on as {}: {reason}",
                self.input,
                name(),
                noticed.unparsed,
                records::UNPARSED
            );
        }
        if noticed.beside > 0 {
            log::warn!("{}: {container}/{}: {} members beside `records` were left out", self.input, name(), noticed.beside);
        }
        read
    }

    fn read_pieces(&mut self, container: &str, stretch: &Stretch, noticed: &mut Noticed) -> Result<Read, Halt> {
        self.tally.blobs += 1;
        let name = &stretch.name;
        if let Some(obstacle) = stretch.obstacle {
            return self.set_aside(container, stretch, StorageError::of_blob(container, name, Failure::Obstacle(obstacle)));
        }
        let (mut at, mut held) = (stretch.from, Vec::new());
        let mut turn = 0;
        while at < stretch.to {
            let length = self.sizes.piece.min(stretch.to - at);
            let piece = match self.ask(|storage| storage.read(container, name, at, length)) {
                Ok(piece) => piece,
                Err(Halt::Error(BlobsError::Storage(error))) if error.is_about_blob() => {
                    return self.set_aside(container, stretch, error);
                }
                Err(Halt::End(end @ End::NotBefore(_))) => {
                    // It may be this blob alone that has to wait: what is behind it is not kept waiting by it for ever.
                    self.keep_aside(container, stretch)?;
                    return Err(Halt::End(end));
                }
                Err(halt) => return Err(halt),
            };
            self.failures = 0;
            let wrong = if matches!((piece.created, stretch.created), (Some(is), Some(was)) if is != was) {
                Some(Failure::Changed)
            } else if at == 0 {
                let found = NO_TEXT.iter().find(|(begin, _)| piece.bytes.starts_with(begin));
                found.map(|(_, what)| Failure::Unfit((*what).to_owned()))
            } else {
                None
            };
            if let Some(failure) = wrong {
                return self.set_aside(container, stretch, StorageError::of_blob(container, name, failure));
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
                self.emit(container, name, at - held.len() as u64, &held[..whole], noticed)?;
                held.drain(..whole);
            }
            let offset = at - held.len() as u64;
            let looked = if at_end && !planted(Planted::BlobsHalfLineForgotten) { at } else { 0 };
            let offset = if planted(Planted::BlobsHalfLineForgotten) { at } else { offset };
            let is_watched = self.cursor(container).read(name, offset, looked);
            if !is_watched || self.is_aside(container, name) {
                self.ends(container).read(name, offset, looked);
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
            if at < stretch.to && (self.is_over() && is_turn_over || self.is_over_limit()) {
                return Ok(Read::InPart);
            }
        }
        Ok(Read::ToItsEnd)
    }

    /// Writes whole lines of a blob, which begin at `offset`.
    fn emit(&mut self, container: &str, name: &str, offset: u64, lines: &[u8], noticed: &mut Noticed) -> Result<(), Halt> {
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
        noticed.first = noticed.first.or(reason.map(|reason| (reason, offset)));
        noticed.unparsed += tally.unparsed;
        noticed.beside += tally.beside;
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
                "{}: {container}/{} was made anew after {was} bytes of it were read; it is read from its beginning, and what the \
                 two have in common comes again",
                self.input,
                foreign_text(name)
            );
        }
    }
}
