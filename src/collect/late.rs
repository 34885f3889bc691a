//! The late look (see [`crate::late`]) as requests of a poll, and the memory it rests on. It comes behind news and history, goes on
//! in the next poll where this one has no time left, and a failure of it is not a failure of the poll.

use std::collections::BTreeSet;

use super::{CollectError, End, Outside, Poll, Ticks, Version};
use crate::cursor::{Cursor, Window};
use crate::feeds::{Row, UNDATED};
use crate::late::{CAPACITY, KEPT, Late, Look, Memory, REACH, compact};
use crate::microsoft::cloud::What;
use crate::planted::{Planted, planted};
use crate::version::Strays;

impl<O: Outside> Poll<'_, O> {
    /// The cursor whose requests are under way.
    pub(super) fn cursor(&mut self) -> &mut Cursor {
        match &mut self.checkpoint.late.look {
            Some(look) if self.looking.is_some() => &mut look.cursor,
            _ => &mut self.checkpoint.cursor,
        }
    }

    /// Whether the version of a row was emitted before, or comes another way.
    pub(super) fn knows(&mut self, window: Window, row: &Row<'_>) -> bool {
        // An alert that was emitted by a version of this program that did not look at its incident is known by itself alone.
        let versions = [row.version, row.unplaced];
        let updated = row.version.updated;
        let news = &self.checkpoint.cursor;
        if versions.iter().any(|version| news.knows(*version)) {
            return true;
        }
        if let (Some(known), Some(look)) = (&self.looking, &self.checkpoint.late.look) {
            // What lies in the history or among the news is read there, and below the look nobody knows what was emitted.
            let belongs_here = look.from <= updated && news.is_done_with(updated);
            return (row.is_dated() && !belongs_here)
                || versions.iter().any(|version| look.cursor.knows(*version) || known.binary_search(version).is_ok());
        }
        // A stale copy, or a service that ignores the window: it was emitted and forgotten, unless it is late.
        if window.holds(updated) || !news.is_done_with(updated) || self.checkpoint.late.memory.is_none() {
            return false;
        }
        let recalled = self.recalled.get_or_insert_with(|| {
            let mut all = self.outside.recall().unwrap_or_default();
            all.sort_unstable();
            all
        });
        versions.iter().any(|version| recalled.binary_search(version).is_ok())
    }

    /// Sees that there is a memory, and that it is the one this position knows.
    pub(super) fn open_memory(&mut self) {
        let found = self.outside.memory();
        let problem = match (found, self.checkpoint.late.memory) {
            (Ok(Some(head)), Some(kept)) if head.name == kept.name && head.records >= kept.records => return,
            // There never was one, or it could not be written and this was told.
            (_, None) => None,
            (Ok(None), Some(_)) => Some("it is missing".to_owned()),
            (Ok(Some(head)), Some(kept)) if head.name == kept.name => Some("its end is missing".to_owned()),
            (Ok(Some(_)), Some(_)) => Some("it belongs to another position".to_owned()),
            (Err(reason), Some(_)) => Some(reason.to_string()),
        };
        if let Some(problem) = problem {
            log::warn!(
                "{}: its memory of what was passed on, {}.late beside the checkpoint, cannot be used: {problem}; it begins anew, \
                 and late looks reach two days back again in two days",
                self.input,
                self.input.name
            );
        } else if !self.checkpoint.late.may_try(self.outside.now()) {
            return;
        }
        self.begin_memory();
    }

    /// Begins the memory with what the position remembers; it vouches for what is emitted from now on.
    pub(super) fn begin_memory(&mut self) {
        let (now, late, cursor) = (self.outside.now(), &self.checkpoint.late, &self.checkpoint.cursor);
        let mut versions: Vec<Version> = cursor.versions().iter().copied().collect();
        let missing_below = compact(&mut versions, cursor.settled().minus(KEPT), most());
        let since = cursor.knows_from().max(missing_below.unwrap_or(Ticks(i64::MIN)));
        // Another name than any before, whatever the clock says.
        let name = now.0.unsigned_abs().max(late.memory.map_or(0, |memory| memory.name + 1));
        let looked = late.looked.or(Some(now));
        let records = versions.len() as u64;
        self.recalled = None;
        self.checkpoint.late = match self.outside.begin_memory(name, &versions) {
            Ok(()) => Late { memory: Some(Memory { name, records, since }), looked, failed: None, look: None },
            Err(reason) => {
                self.tell_unwritten(&reason);
                Late { memory: None, looked: None, failed: Some(now), look: None }
            }
        };
    }

    fn tell_unwritten(&self, reason: &std::io::Error) {
        log::warn!(
            "{}: its memory of what was passed on, {}.late beside the checkpoint, cannot be written: {reason}; without it there is no \
             late look; see that the folder is writable and nothing else stands there",
            self.input,
            self.input.name
        );
    }

    /// Remembers what was emitted and flushed. Comes before the position that covers it is saved: what this position vouches
    /// for has to be there.
    pub(super) fn note_emitted(&mut self, emitted: &BTreeSet<Version>, looked: Option<Ticks>) {
        let now = looked.unwrap_or_else(|| self.outside.now());
        if let Some(known) = &mut self.looking {
            // A copy of it may come with another window of this look.
            known.extend(emitted);
            known.sort_unstable();
            for version in emitted {
                if version.updated == UNDATED {
                    self.checkpoint.cursor.strays.note(*version);
                }
                if let Some(look) = &mut self.checkpoint.late.look {
                    look.count(version.updated, now);
                }
            }
        }
        let floor = self.checkpoint.cursor.settled().minus(KEPT);
        let recent = |version: &&Version| version.updated >= floor && version.updated != UNDATED;
        let versions: Vec<Version> = emitted.iter().filter(recent).copied().collect();
        let forgets = versions.is_empty() || planted(Planted::LateForgets);
        let Some(memory) = self.checkpoint.late.memory.as_mut().filter(|_| !forgets) else { return };
        match self.outside.remember(&versions) {
            Ok(records) => memory.records = records,
            Err(reason) => {
                // The position says that there is none, so the next one begins anew and knows from when on.
                self.checkpoint.late = Late::default();
                self.tell_unwritten(&reason);
            }
        }
        if let Some(recalled) = &mut self.recalled {
            recalled.extend(versions);
            recalled.sort_unstable();
        }
    }

    /// Keeps the memory of what came outside its window within its bound.
    pub(super) fn forget_strays(&mut self) {
        let forgotten = self.cursor().strays.evict();
        if forgotten > 0 {
            log::warn!(
                "{}: the service sends more than {} objects that were not asked for; {forgotten} of them were forgotten and may come \
                 again: open a case with Microsoft",
                self.input,
                Strays::CAPACITY
            );
        }
    }

    /// Saves the position, and makes the memory smaller where it has grown too large.
    pub(super) fn save(&mut self) -> Result<(), CollectError> {
        self.outside.save(self.checkpoint)?;
        if self.checkpoint.late.memory.is_some_and(|memory| memory.records > CAPACITY) {
            self.shrink_memory()?;
        }
        Ok(())
    }

    /// Forgets what no look will read. The position says so first: then it never vouches for what was forgotten.
    fn shrink_memory(&mut self) -> Result<(), CollectError> {
        let Some(memory) = self.checkpoint.late.memory else { return Ok(()) };
        let Ok(mut versions) = self.outside.recall() else {
            self.begin_memory();
            return Ok(self.outside.save(self.checkpoint)?);
        };
        let floor = self.checkpoint.cursor.settled().minus(KEPT);
        let missing_below = compact(&mut versions, floor, most());
        let since = memory.since.max(floor).max(missing_below.unwrap_or(floor));
        self.checkpoint.late.memory = Some(Memory { since, records: versions.len() as u64, ..memory });
        self.outside.save(self.checkpoint)?;
        if let Err(reason) = self.outside.begin_memory(memory.name, &versions) {
            self.tell_unwritten(&reason);
        }
        Ok(())
    }

    /// Reads the last two days again when it is time, or goes on with it.
    pub(super) fn look(&mut self) -> Result<End, CollectError> {
        // Neither clock alone may call for a look in every poll, or for none in a year.
        let Some(now) = self.checkpoint.cursor.latest_look().map(|looked| looked.min(self.outside.now())) else {
            return Ok(End::Done);
        };
        if !self.checkpoint.late.is_due(now) || planted(Planted::NoLateLook) {
            return Ok(End::Done);
        }
        let Some(memory) = self.checkpoint.late.memory else { return Ok(End::Done) };
        let news = &self.checkpoint.cursor;
        // One that was interrupted for a day or more may begin below what is still remembered.
        let kept_from = news.settled().minus(KEPT).max(memory.since);
        let under_way = self.checkpoint.late.look.take().filter(|look| look.from >= kept_from);
        let look = self.checkpoint.late.look.insert(under_way.unwrap_or_else(|| {
            let to = news.settled();
            let from = to.minus(REACH).max(memory.since);
            Look { cursor: Cursor::of_stretch(from.floor_ms(), to), begun: now, from, found: 0, latest_s: 0 }
        }));
        look.cursor.open_stretch(news);
        let from = look.from;
        let known = match self.outside.recall() {
            Ok(mut known) => {
                known.retain(|version| version.updated >= from);
                known.sort_unstable();
                known
            }
            Err(reason) => {
                self.tell_unwritten(&reason);
                self.begin_memory();
                return Ok(End::Done);
            }
        };
        self.looking = Some(known);
        let end = self.look_on(now);
        self.looking = None;
        end
    }

    fn look_on(&mut self, now: Ticks) -> Result<End, CollectError> {
        let mut asked = 0;
        self.failures = 0;
        while let Some(ask) = self.cursor().next_ask() {
            // One request in any case: otherwise a busy tenant's would never come to its end.
            if asked > 0 && self.outside.now() >= self.deadline {
                return Ok(End::Done);
            }
            asked += 1;
            match self.read(ask) {
                Ok(None) => {}
                Ok(Some(end)) => return Ok(end),
                Err(error @ (CollectError::Api(_) | CollectError::Page { .. } | CollectError::TooManyGivenUp { .. })) => {
                    log::warn!("{}: the late look goes on in an hour, from where it was: {error}", self.input);
                    self.checkpoint.late.failed = Some(now);
                    self.save()?;
                    return Ok(End::Done);
                }
                Err(error) => return Err(error),
            }
        }
        let (look, late) = (self.checkpoint.late.look.take(), &mut self.checkpoint.late);
        (late.looked, late.failed) = (Some(look.as_ref().map_or(now, |look| look.begun)), None);
        self.looking = None;
        if let Some(look) = look.filter(|look| look.found > 0) {
            let moved = if self.input.resource.what() == What::Alerts { " or moved to another incident" } else { "" };
            log::warn!(
                "{}: the late look found {} that became visible{moved} later than lookback={}s reads again, the latest at most {} s \
                 after its update; they were passed on now; lookback={}h would have been enough",
                self.input,
                look.found,
                self.input.lookback.as_secs(),
                look.latest_s,
                look.lookback_h()
            );
        }
        self.shrink_memory()?;
        Ok(End::Done)
    }
}

/// What is kept of a memory that has grown too large, so that it does not do so again at once.
fn most() -> usize {
    usize::try_from(CAPACITY / 4 * 3).unwrap_or(usize::MAX)
}
