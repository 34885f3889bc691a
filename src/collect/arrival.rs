//! An answer while it comes in. Its rows are written one by one, long before anybody can know whether it is whole; only its
//! end, found where it should be, proves its window. If it breaks off before, what was written stays written: it is
//! remembered, so that the next answer does not bring it again, and nothing else comes of it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{CollectError, End, Incoming, Order, Outside, PageError, PageReader, Poll, Reply, Spoilt, Ticks, Version};
use crate::cursor::{Answer, Ask, MAX_GIVEN_UP, Window};
use crate::feeds::{Emission, Reading, Row};
use crate::json::value::Value;
use crate::microsoft::cloud::Resource;
use crate::microsoft::object::{Names, expanded, names};
use crate::microsoft::query::check_id;
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
    /// Whether it is a part of a window that is still being read: what it proves would be forgotten too early.
    is_part: bool,
    /// Events written.
    written: usize,
    emission: Emission,
    /// Incidents that came without all of their alerts, as they came: they are written once they were read alone.
    pub(super) held: Vec<Held>,
    held_bytes: usize,
    /// What lacks something, or was not written at all.
    pub(super) incomplete: Vec<Incomplete>,
}

/// What is missing of an answer.
pub(super) struct Incomplete {
    /// The millisecond of the object that is not whole.
    pub(super) window: Window,
    /// What is missing.
    pub(super) reason: String,
}

/// See [`Arrival::held`].
pub(super) struct Held {
    /// The incident's id.
    pub(super) id: String,
    /// The whole row; empty where there was no room for it.
    pub(super) row: String,
    /// Its version.
    pub(super) version: Version,
}

/// The most that is held back of one answer, in bytes; of what is beyond, only the id. Tests have little room, so that they come
/// to its end.
const MOST_HELD: usize = if cfg!(test) { 8 << 10 } else { 8 << 20 };

impl Arrival {
    pub(super) fn new(ask: &Ask, looked: Option<Ticks>) -> Self {
        let (rows, new, emission) = (Vec::new(), BTreeSet::new(), Emission::default());
        let (held, held_bytes, incomplete) = (Vec::new(), 0, Vec::new());
        Self {
            ask: ask.clone(),
            looked,
            rows,
            new,
            are_all_dated: true,
            is_part: false,
            written: 0,
            emission,
            held,
            held_bytes,
            incomplete,
        }
    }

    /// Counts a row, whatever becomes of it.
    pub(super) fn list(&mut self, row: &Row<'_>) {
        self.rows.push(row.version);
        self.are_all_dated &= row.is_dated();
    }

    /// Holds a row back; where there is no room for its text beside others, by its id alone. `false` when it has none to be read by,
    /// and for the last try, that of a single millisecond: then it is better written as it came than not at all.
    pub(super) fn hold(&mut self, row: &Row<'_>, names: &Names) -> bool {
        let id = row.object.and_then(|object| object.text(names.identity.id)).filter(|_| row.is_dated());
        let Some(id) = id.filter(|id| check_id(Resource::GraphIncidents, id).is_ok()) else { return false };
        let text = row.value.raw();
        let has_room = self.held_bytes == 0 || self.held_bytes + text.len() <= MOST_HELD;
        if !has_room && self.ask.is_one_millisecond() {
            self.lacks_alerts(&id, row.version);
            return false;
        }
        let row_text = if has_room { text.to_owned() } else { String::new() };
        self.held_bytes += row_text.len();
        self.held.push(Held { id: id.into_owned(), row: row_text, version: row.version });
        true
    }

    /// Notes that some of an incident's alerts are missing.
    pub(super) fn lacks_alerts(&mut self, id: &str, version: Version) {
        let reason = format!("the alerts of incident {id} cannot be read whole");
        self.incomplete.push(Incomplete { window: Window::around(version.updated, version.updated), reason });
    }
}

impl<O: Outside> Poll<'_, O> {
    /// Writes what is new of an answer as it comes in, and once all of it is out, remembers what it proves.
    pub(super) fn arrive(&mut self, ask: &Ask, reply: Reply<Incoming>, looked: Option<Ticks>) -> Result<Option<End>, Spoilt> {
        self.take(Arrival::new(ask, looked), reply)
    }

    /// The same for a part of a window that is still being read, and proves nothing by itself.
    pub(super) fn arrive_part(
        &mut self,
        ask: &Ask,
        reply: Reply<Incoming>,
        looked: Option<Ticks>,
    ) -> Result<Option<End>, Spoilt> {
        self.take(Arrival { is_part: true, ..Arrival::new(ask, looked) }, reply)
    }

    fn take(&mut self, mut arrival: Arrival, reply: Reply<Incoming>) -> Result<Option<End>, Spoilt> {
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
                    let has_next_link = page.has_next_link() || (!arrival.ask.skips() && page.missing() > 0);
                    self.room = page.leave();
                    if let Some(why) = partial.filter(|_| !planted(Planted::PartIsWhole)) {
                        if let Some(end) = self.interrupted(arrival)? {
                            return Ok(Some(end));
                        }
                        return Err(Spoilt::Page(PageError::Partial { why }));
                    }
                    return Ok(self.complete_held(arrival, has_next_link)?);
                }
                Err(_) if planted(Planted::BrokenIsComplete) => return Ok(self.complete(arrival, false)?),
                Err(broken) => {
                    if let Some(end) = self.interrupted(arrival)? {
                        return Ok(Some(end));
                    }
                    return Err(broken.into());
                }
            }
        }
    }

    /// Takes in one row: writes what is new of it, or holds it back where something of it is missing.
    fn row(&mut self, arrival: &mut Arrival, value: Value<'_>) -> Result<Option<End>, CollectError> {
        let names = names(self.input.resource);
        let row = Row::read(value, names.identity, names.place());
        arrival.list(&row);
        if self.expands() && self.wants_alerts_of(&arrival.ask, &row) {
            let lacks = |object| !expanded(object, names).is_some_and(|alerts| alerts.is_whole);
            if row.object.is_some_and(lacks) && arrival.hold(&row, names) {
                return Ok(None);
            }
        }
        self.write_row(arrival, &row)
    }

    /// Writes what is new of one row.
    pub(super) fn write_row(&mut self, arrival: &mut Arrival, row: &Row<'_>) -> Result<Option<End>, CollectError> {
        let names = names(self.input.resource);
        let is_new = !self.knows(arrival.ask.window, row) && arrival.new.insert(row.version);
        let reading = Reading {
            names,
            form: self.input.form,
            include_alerts: self.input.include_alerts,
            evidence: self.input.evidence,
            alerts: &self.checkpoint.cursor.alerts,
            is_new,
            is_owed: self.expands() && self.is_owed(row.version.updated),
            is_stray: row.is_dated() && !arrival.ask.window.holds(row.version.updated),
            now: arrival.looked.unwrap_or_else(|| self.outside.now()),
        };
        if !row.is_dated() && reading.is_new {
            log::warn!("{}: an object without a readable id and {} was passed on as it came", self.input, names.identity.updated);
        }
        (self.input.feed.events)(row, &reading, &mut arrival.emission);
        arrival.emission.hand_out(|draft| {
            self.outside.write(draft)?;
            arrival.written += 1;
            Ok::<_, CollectError>(())
        })?;
        Ok(self.outside.pause(Duration::ZERO).then_some(End::Stopped))
    }

    /// A whole answer was written. What of it is incomplete is tried again.
    pub(super) fn complete(&mut self, arrival: Arrival, has_next_link: bool) -> Result<Option<End>, CollectError> {
        self.failures = 0;
        let Arrival { ask, looked, rows, new, are_all_dated, is_part, written, emission, incomplete, .. } = arrival;
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
        let proof = match () {
            () if is_part => proof.of_a_part(),
            () if ask.is_one_millisecond() && !incomplete.is_empty() => proof.of_nothing(),
            () => proof,
        };
        let is_aside = ask.is_one_millisecond();
        let owed = incomplete.iter().filter(|_| !is_aside).map(|incomplete| incomplete.window).collect();
        let proof = proof.owing(owed);
        let cursor = self.cursor();
        let stuck = cursor.commit(proof);
        cursor.see(&rows);
        self.forget_strays();
        if stuck {
            self.set_aside(&ask, "its rows move while they are read")?;
        }
        for Incomplete { window, reason } in &incomplete {
            if is_aside {
                self.set_aside(&ask, reason)?;
            } else {
                self.tell_set_aside(*window, reason);
            }
        }
        if self.cursor().given_up().len() > MAX_GIVEN_UP {
            let reason = incomplete.first().map_or(String::new(), |incomplete| incomplete.reason.clone());
            return Err(CollectError::TooManyGivenUp { path: self.path(&ask), reason });
        }
        self.save()?;
        Ok(None)
    }

    /// An answer broke off. What was written of it is out, and may not come again, whatever becomes of the input now.
    pub(super) fn interrupted(&mut self, arrival: Arrival) -> Result<Option<End>, CollectError> {
        let Arrival { ask, looked, rows, new, written, emission, incomplete, .. } = arrival;
        if written == 0 || planted(Planted::ForgetsBroken) {
            return Ok(None);
        }
        if !self.outside.flush()? {
            return Ok(Some(End::Stopped));
        }
        self.count(&rows, new.len(), written, &emission);
        self.remember(emission.alerts_seen);
        self.note_emitted(&new, looked);
        self.cursor().remember(ask.window, new, incomplete.iter().map(|incomplete| incomplete.window).collect());
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
