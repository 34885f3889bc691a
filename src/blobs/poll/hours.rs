//! What a poll does with the hours of one container: those that may still grow, those that are to be finished, and once a day
//! those that are finished.

use std::time::Duration;

use super::reading::Read;
use super::{Halt, Outside, Poll};
use crate::blobs::cursor::{Cursor, Hour, Look, Span};
use crate::blobs::finished::{self, Ends, Place};
use crate::masking::foreign_text;
use crate::microsoft::storage::Listed;

/// How much later than the clocks say a blob may have been written: they tell whole seconds.
const SKEW: Duration = Duration::from_secs(60);

impl<O: Outside> Poll<'_, O> {
    pub(super) fn cursor(&mut self, container: &str) -> &mut Cursor {
        let start = if self.position.containers.contains_key(container) { None } else { self.start() };
        self.position.containers.entry(container.to_owned()).or_insert_with(|| Cursor::begin(start))
    }

    /// Where the finished blobs of a container ended.
    pub(super) fn ends(&mut self, container: &str) -> &mut Ends {
        let now = self.clock;
        let floor = self.cursor(container).floor();
        self.finished.containers.entry(container.to_owned()).or_insert_with(|| {
            self.unkept = true;
            Ends::begin(floor, now)
        })
    }

    /// Before this hour no ends are kept.
    pub(super) fn oldest_end(&self) -> Hour {
        // Where an answer has no date, this machine's clock stands alone and may be ahead; then all that is kept would be forgotten.
        let newest = self.position.containers.values().filter_map(Cursor::newest).max();
        let now = newest.map_or(self.clock, |newest| newest.min(self.clock));
        Hour::of(now.minus(self.input.lookback).minus(finished::KEPT))
    }

    /// Raises the floor, and keeps the ends of the blobs below it.
    fn finish_before(&mut self, container: &str, hour: Hour) {
        let finished = self.cursor(container).finished_before(hour);
        if !finished.is_empty() {
            let (oldest, now) = (self.oldest_end(), self.clock);
            self.ends(container).add(finished, oldest, now);
            self.unkept = true;
        }
    }

    /// Reads what is new in the hours that may still grow.
    pub(super) fn recent(&mut self, container: &str) -> Result<(), Halt> {
        self.held = 0;
        let mut top = self.list(container, "", true)?;
        let (at, latest, lookback) = (top.at, top.latest, self.input.lookback);
        self.confirm_start();
        // Before anything of it is finished.
        self.ends(container);
        let newest = self.position.containers.values().filter_map(Cursor::newest).max();
        self.cursor(container).heard_elsewhere(newest);
        // Days up to the newest blob that was ever seen are listed, also when all clocks have gone back since.
        top.latest = newest.map_or(latest, |newest| newest.max(latest));
        self.take_back_the_future(container, at, top.latest);
        // Where nothing is known of any blob yet, this is all of them.
        let span = self.cursor(container).spans(at, lookback).0;
        let listed = self.listed(container, top, span)?;
        self.cursor(container).heard(&listed, latest.plus(SKEW));
        let span = self.cursor(container).spans(at, lookback).0;
        let look = self.cursor(container).look(&listed, span, false);
        self.tell_anew(container, &look.anew);
        for stretch in look.stretches {
            if self.is_aside(container, &stretch.name) {
                continue;
            }
            self.read(container, &stretch)?;
            if self.is_over() {
                break;
            }
        }
        Ok(())
    }

    /// Finishes the hours that are too old to be looked at again.
    pub(super) fn history(&mut self, container: &str) -> Result<(), Halt> {
        let (now, lookback) = (self.clock, self.input.lookback);
        if self.cursor(container).spans(now, lookback).1.is_none() {
            return Ok(());
        }
        self.held = 0;
        let top = self.list(container, "", true)?;
        let Some(span) = self.cursor(container).spans(top.at, lookback).1 else { return Ok(()) };
        let listed = self.listed(container, top, span)?;
        let look = self.cursor(container).look(&listed, span, true);
        self.tell_anew(container, &look.anew);
        for stretch in look.stretches {
            self.finish_before(container, stretch.hour);
            if self.is_aside(container, &stretch.name) {
                continue;
            }
            if self.is_over_for_history() || self.read(container, &stretch)? == Read::InPart {
                self.position.turn = container.to_owned();
                self.tally.history_left = self.tally.history_left.and(self.history_left(container));
                return Ok(());
            }
        }
        if let Some(edge) = span.to {
            self.finish_before(container, edge);
        }
        Ok(())
    }

    /// Looks, once a day, for what was appended to hours that are finished.
    pub(super) fn late(&mut self, container: &str) -> Result<(), Halt> {
        let floor = self.cursor(container).floor();
        let now = self.clock;
        let Some(floor) = floor.filter(|_| self.ends(container).is_due(now) && !self.is_over_for_history()) else {
            return Ok(());
        };
        let ends = self.ends(container).clone();
        let (mut listed, mut unread) = (Vec::new(), Unread::default());
        let mut held = 0;
        let (at, _) = self.pages(container, "", false, |page| {
            for blob in page.blobs {
                match ends.place(&blob, floor) {
                    Place::Compared => {
                        held += blob.name.len() + size_of::<Listed>();
                        listed.push(blob);
                    }
                    Place::Unread => unread.add(blob),
                    Place::Elsewhere => {}
                }
            }
            held
        })?;
        self.unkept = true;
        let Look { stretches, anew } = self.ends(container).look(&listed);
        self.tell_anew(container, &anew);
        let (mut blobs, before) = (0, self.tally.bytes);
        let mut all = true;
        for stretch in &stretches {
            let read = if self.is_over_for_history() { Read::InPart } else { self.read(container, stretch)? };
            if read == Read::InPart {
                self.position.turn = container.to_owned();
                all = false;
                break;
            }
            blobs += u32::from(read == Read::ToItsEnd);
        }
        if let (Some(first), bytes @ 1..) = (stretches.first(), self.tally.bytes - before) {
            log::warn!(
                "{}: {container}: {blobs} blobs grew by {bytes} bytes after the look-back had passed, the first of them {}: this was \
                 found and read by the look of once a day; a longer `lookback` brings it sooner",
                self.input,
                foreign_text(&first.name)
            );
        }
        if all {
            if let Some(first) = &unread.first {
                log::warn!(
                    "{}: {container}: {} blobs were written to more than {} days after the look-back had passed, the first of them \
                     {}: what was appended is not read; a new input whose `start` lies before its hour reads all of it",
                    self.input,
                    unread.count,
                    finished::KEPT.as_secs() / 86_400,
                    first
                );
            }
            let oldest = self.oldest_end();
            self.ends(container).looked(at, oldest);
        }
        Ok(())
    }

    /// How much of a container is still to be finished.
    pub(super) fn history_left(&mut self, container: &str) -> Option<Duration> {
        let (now, lookback) = (self.clock, self.input.lookback);
        let left = match self.cursor(container).spans(now, lookback).1 {
            Some(Span { from: Some(from), to: Some(to) }) => to.begin().since(from.begin()),
            Some(_) => return None,
            None => Duration::ZERO,
        };
        Some(left.max(self.tally.history_left?))
    }
}

/// Blobs with growth that is not read.
#[derive(Default)]
struct Unread {
    count: usize,
    first: Option<String>,
}

impl Unread {
    fn add(&mut self, blob: Listed) {
        self.count += 1;
        self.first.get_or_insert_with(|| foreign_text(&blob.name));
    }
}
