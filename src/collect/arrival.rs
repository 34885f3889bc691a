//! An answer while it comes in. Its rows are written one by one, long before anybody can know whether it is whole; only its
//! end, found where it should be, proves its window. If it breaks off before, what was written stays written: it is
//! remembered, so that the next answer does not bring it again, and nothing else comes of it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{CollectError, End, Incoming, Order, Outside, PageError, PageReader, Poll, Reply, Spoilt, Ticks, Version};
use crate::cursor::{Answer, Ask};
use crate::feeds::{Emission, Reading, Row};
use crate::json::value::Value;
use crate::microsoft::object::names;
use crate::planted::{Planted, planted};

/// What is known of an answer so far: of each row its version, not its bytes.
pub(super) struct Arrival {
    ask: Ask,
    /// The service's clock when it looked, or earlier.
    looked: Option<Ticks>,
    rows: Vec<Version>,
    /// Those not written before.
    new: BTreeSet<Version>,
    are_all_dated: bool,
    /// Events written.
    written: usize,
    emission: Emission,
}

impl Arrival {
    pub(super) fn new(ask: &Ask, looked: Option<Ticks>) -> Self {
        let (rows, new, emission) = (Vec::new(), BTreeSet::new(), Emission::default());
        Self { ask: ask.clone(), looked, rows, new, are_all_dated: true, written: 0, emission }
    }
}

impl<O: Outside> Poll<'_, O> {
    /// Writes what is new of an answer as it comes in, and once all of it is out, remembers what it proves.
    pub(super) fn arrive(&mut self, ask: &Ask, reply: Reply<Incoming>, looked: Option<Ticks>) -> Result<Option<End>, Spoilt> {
        let mut arrival = Arrival::new(ask, looked);
        let Reply { body, partial, .. } = reply;
        let mut page = PageReader::within(std::mem::take(&mut self.room), body);
        loop {
            match page.next_row() {
                Ok(Some(row)) => {
                    if let Some(end) = self.row(&mut arrival, row)? {
                        return Ok(Some(end));
                    }
                }
                Ok(None) => {
                    // A count of more than came, and nothing stepped over, is a page that was cut without a link to the rest.
                    let has_next_link = page.has_next_link() || (ask.skip == 0 && page.missing() > 0);
                    self.room = page.leave();
                    if let Some(why) = partial {
                        if let Some(end) = self.interrupted(arrival)? {
                            return Ok(Some(end));
                        }
                        return Err(Spoilt::Page(PageError::Partial { why }));
                    }
                    return Ok(self.complete(arrival, has_next_link, None)?);
                }
                Err(_) if planted(Planted::BrokenIsComplete) => return Ok(self.complete(arrival, false, None)?),
                Err(broken) => {
                    if let Some(end) = self.interrupted(arrival)? {
                        return Ok(Some(end));
                    }
                    return Err(broken.into());
                }
            }
        }
    }

    /// Writes what is new of one row.
    pub(super) fn row(&mut self, arrival: &mut Arrival, value: Value<'_>) -> Result<Option<End>, CollectError> {
        let names = names(self.input.resource);
        let row = Row::read(value, names.identity, names.place());
        let is_new = !self.knows(arrival.ask.window, &row) && arrival.new.insert(row.version);
        arrival.rows.push(row.version);
        arrival.are_all_dated &= row.is_dated();
        let reading = Reading {
            names,
            form: self.input.form,
            include_alerts: self.input.include_alerts,
            evidence: self.input.evidence,
            alerts: &self.checkpoint.cursor.alerts,
            is_new,
            is_stray: row.is_dated() && !arrival.ask.window.holds(row.version.updated),
            now: arrival.looked.unwrap_or_else(|| self.outside.now()),
        };
        if !row.is_dated() && reading.is_new {
            log::warn!("{}: an object without a readable id and {} was passed on as it came", self.input, names.identity.updated);
        }
        (self.input.feed.events)(&row, &reading, &mut arrival.emission);
        arrival.emission.hand_out(|draft| {
            self.outside.write(draft)?;
            arrival.written += 1;
            Ok::<_, CollectError>(())
        })?;
        Ok(self.outside.pause(Duration::ZERO).then_some(End::Stopped))
    }

    /// A whole answer was written. `incomplete` says what is still missing of it: then its window is tried again.
    pub(super) fn complete(
        &mut self,
        arrival: Arrival,
        has_next_link: bool,
        incomplete: Option<&str>,
    ) -> Result<Option<End>, CollectError> {
        self.failures = 0;
        let Arrival { ask, looked, rows, new, are_all_dated, written, emission } = arrival;
        let answer = Answer {
            rows: &rows,
            asked: self.input.page_size,
            next_link: has_next_link,
            ordered: self.order == Order::OldestFirst && are_all_dated,
            looked,
        };
        let proof = self.cursor().prove(ask.clone(), &answer, new.clone());
        if planted(Planted::SaveFirst) {
            let mut early = self.checkpoint.clone();
            early.cursor.commit(proof.clone());
            self.outside.save(&early)?;
        }
        if !self.outside.flush()? {
            return Ok(Some(End::Stopped));
        }
        self.count(&rows, proof.emitted(), written, &emission);
        self.remember(emission.alerts_seen);
        self.note_emitted(&new, looked);
        let proof = if incomplete.is_some() { proof.of_nothing() } else { proof };
        let cursor = self.cursor();
        let stuck = cursor.commit(proof);
        cursor.see(&rows);
        self.forget_strays();
        if let Some(reason) = incomplete.or(stuck.then_some("its rows move while they are read")) {
            self.set_aside(&ask, reason)?;
        }
        self.save()?;
        Ok(None)
    }

    /// An answer broke off. What was written of it is out, and may not come again, whatever becomes of the input now.
    fn interrupted(&mut self, arrival: Arrival) -> Result<Option<End>, CollectError> {
        let Arrival { ask, looked, rows, new, written, emission, .. } = arrival;
        if written == 0 || planted(Planted::ForgetsBroken) {
            return Ok(None);
        }
        if !self.outside.flush()? {
            return Ok(Some(End::Stopped));
        }
        self.count(&rows, new.len(), written, &emission);
        self.remember(emission.alerts_seen);
        self.note_emitted(&new, looked);
        self.cursor().remember(ask.window, new);
        self.save()?;
        Ok(None)
    }

    fn count(&mut self, rows: &[Version], new: usize, written: usize, emission: &Emission) {
        self.tally.events += written;
        self.tally.rows += rows.len();
        self.tally.repeats += rows.len() - new + emission.alerts_repeated;
        let newest = rows.iter().map(|row| row.updated).filter(|at| *at != crate::feeds::UNDATED).max();
        self.tally.newest = self.tally.newest.max(newest);
    }
}
