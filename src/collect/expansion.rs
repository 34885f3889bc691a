//! Incidents whose alerts do not come with them. On large tenants Graph answers `$expand=alerts` with 500 for some incidents,
//! and goes on doing so; and a list inside an object may be cut, with a link to the rest or with a count alone. Neither those
//! incidents nor what shares a page with them may be lost for it.

use super::arrival::{Arrival, Held};
use super::{Asking, CollectError, End, Fetched, Incoming, Outside, PageError, PageReader, Poll, Reply, Spoilt, Ticks};
use crate::cursor::{Ask, Window};
use crate::feeds::{IncludeAlerts, Row};
use crate::json::index::Index;
use crate::json::value::{Object, Value};
use crate::microsoft::api_error::Failure;
use crate::microsoft::cloud::Resource;
use crate::microsoft::object::{expanded, names};
use crate::microsoft::query::{Expand, List, Order, object};
use crate::version::Version;

/// The rows of a window without their alerts, and whether there are more: few and small, so that they can be held.
type Rows = (Vec<String>, bool);

/// How many incidents are asked for with their alerts at once, where more at once failed.
const CHUNK: usize = 8;

fn read_whole(reply: Reply<Incoming>) -> Result<Rows, Spoilt> {
    if let Some(why) = reply.partial {
        return Err(Spoilt::Page(PageError::Partial { why }));
    }
    let mut page = PageReader::new(reply.body);
    let mut rows = Vec::new();
    while let Some(row) = page.next_row()? {
        rows.push(row.raw().to_owned());
    }
    Ok((rows, page.has_next_link()))
}

impl<O: Outside> Poll<'_, O> {
    /// Whether a window that fails may succeed without the incidents' alerts.
    pub(super) fn expands(&self) -> bool {
        self.input.resource == Resource::GraphIncidents && self.input.include_alerts != IncludeAlerts::None
    }

    /// Whether the alerts of an incident are still to come: it is new, or it came without some of them and was set aside.
    pub(super) fn wants_alerts_of(&mut self, ask: &Ask, row: &Row<'_>) -> bool {
        self.is_owed(row.version.updated) || !self.knows(ask.window, row)
    }

    /// Whether something of that time was set aside.
    pub(super) fn is_owed(&self, updated: Ticks) -> bool {
        self.checkpoint.cursor.given_up().iter().any(|window| window.holds(updated))
    }

    /// Reads a window that failed in pieces: its incidents alone, those that are new a few at a time with their alerts, and where
    /// that fails, one by one. `Ok(Err(_))` when they cannot be read alone either: then it is the window's fault.
    pub(super) fn take_apart(&mut self, ask: &Ask) -> Result<Result<Option<End>, CollectError>, CollectError> {
        let fetched = self.fetch(&Asking::Rows(ask), |_, reply, looked| Ok((read_whole(reply)?, looked)));
        let ((rows, has_next_link), looked) = match fetched {
            Fetched::Done(read) => read,
            Fetched::Failed(error) => return Ok(Err(error)),
            Fetched::End(end) => return Ok(Ok(Some(end))),
        };
        self.failures = 0;
        let names = names(self.input.resource);
        let mut arrival = Arrival::new(ask, looked);
        let (mut index, mut missing) = (Index::default(), Vec::new());
        for text in rows {
            // All were read as JSON before.
            let Some(value) = index.of(&text) else { continue };
            let row = Row::read(value, names.identity, names.place());
            arrival.list(&row);
            if !row.is_dated() || !self.wants_alerts_of(ask, &row) {
                if let Some(end) = self.write_row(&mut arrival, &row)? {
                    return Ok(Ok(Some(end)));
                }
                continue;
            }
            if ask.window.holds(row.version.updated) {
                missing.push((row.version, text));
            } else if !arrival.hold(&row, names)
                && let Some(end) = self.write_row(&mut arrival, &row)?
            {
                return Ok(Ok(Some(end)));
            }
        }
        missing.sort_unstable_by_key(|(version, _)| version.updated);
        // A page of them must not be full: then it would not be known to hold them all.
        let at_once = CHUNK.min(self.input.page_size as usize - 1).max(1);
        for chunk in missing.chunks(at_once) {
            let was_read = match self.read_chunk(ask, chunk)? {
                Chunk::Read => true,
                Chunk::Failed => false,
                Chunk::End(end) => return Ok(Ok(Some(end))),
            };
            for (_, text) in chunk {
                let Some(value) = index.of(text) else { continue };
                let row = Row::read(value, names.identity, names.place());
                if was_read && self.knows(ask.window, &row) || arrival.hold(&row, names) {
                    continue;
                }
                if let Some(end) = self.write_row(&mut arrival, &row)? {
                    return Ok(Ok(Some(end)));
                }
            }
        }
        Ok(Ok(self.complete_held(arrival, has_next_link)?))
    }

    /// Reads the window of a few incidents with their alerts.
    fn read_chunk(&mut self, ask: &Ask, chunk: &[(Version, String)]) -> Result<Chunk, CollectError> {
        let ([(first, _), ..], [.., (last, _)]) = (chunk, chunk) else { return Ok(Chunk::Read) };
        if ask.is_one_millisecond() {
            return Ok(Chunk::Failed);
        }
        let part = ask.part_of(Window::around(first.updated, last.updated));
        match self.fetch(&Asking::List(&part, Expand::Alerts), |poll, reply, looked| poll.arrive_part(&part, reply, looked)) {
            Fetched::Done(None) => Ok(Chunk::Read),
            Fetched::Done(Some(end)) | Fetched::End(end) => Ok(Chunk::End(end)),
            Fetched::Failed(error @ (CollectError::Api(_) | CollectError::Page { .. })) => {
                log::debug!("{}: its incidents are read one by one: {error}", self.input);
                Ok(Chunk::Failed)
            }
            Fetched::Failed(error) => Err(error),
        }
    }

    /// An answer has ended, and the incidents that were held back of it are read by themselves. What remains incomplete is set
    /// aside by its time.
    pub(super) fn complete_held(&mut self, mut arrival: Arrival, has_next_link: bool) -> Result<Option<End>, CollectError> {
        for held in std::mem::take(&mut arrival.held) {
            let (text, is_whole) = match self.read_alone(&held) {
                Ok(read) => read,
                Err(end) => return Ok(Some(self.interrupted(arrival)?.unwrap_or(end))),
            };
            if !is_whole {
                arrival.lacks_alerts(&held.id, held.version);
            }
            let mut index = Index::default();
            // One that there was no room for, and that is gone or another version by now: it comes as what it is.
            let Some(value) = index.of(&text) else { continue };
            let names = names(self.input.resource);
            if let Some(end) = self.write_row(&mut arrival, &Row::read(value, names.identity, names.place()))? {
                return Ok(Some(end));
            }
        }
        self.complete(arrival, has_next_link)
    }

    /// One incident with its alerts, and whether these are all. Where it cannot be read, or changed meanwhile and comes again as
    /// what it is now, the text is what came before.
    fn read_alone(&mut self, held: &Held) -> Result<(String, bool), End> {
        let path = object(self.input.resource, &held.id, Expand::Alerts);
        let fetched = self.fetch(&Asking::Object(&path), |_, reply, _| match reply.partial {
            Some(why) => Err(Spoilt::Page(PageError::Partial { why })),
            None => reply.body.read_whole().map_err(Spoilt::Api),
        });
        let names = names(self.input.resource);
        match fetched {
            Fetched::End(end) => return Err(end),
            Fetched::Failed(CollectError::Api(error)) if matches!(error.failure, Failure::NotFound) => {
                return Ok((held.row.clone(), true));
            }
            Fetched::Failed(error) => log::debug!("{}: {error}", self.input),
            Fetched::Done(body) => {
                let (text, mut index) = (String::from_utf8(body).unwrap_or_default(), Index::default());
                if let Some(value) = index.of(&text)
                    && let Some(incident) = value.object()
                {
                    if Row::read(value, names.identity, names.place()).version != held.version {
                        return Ok((held.row.clone(), true));
                    }
                    if expanded(incident, names).is_none_or(|alerts| alerts.is_whole) {
                        return Ok((text, true));
                    }
                }
            }
        }
        let near = self.alerts_near(held)?;
        let mut index = Index::default();
        let incident = index.of(&held.row).and_then(Value::object);
        Ok((incident.map_or_else(|| held.row.clone(), |incident| with_some_alerts(incident, &near)), false))
    }

    /// The incident's alerts that were updated around the time it was: an alert that changes dates its incident. What is
    /// missing is not said to be missing, only never said to be whole.
    fn alerts_near(&mut self, held: &Held) -> Result<Vec<String>, End> {
        let resource = Resource::GraphAlerts;
        let window = Window::around(held.version.updated, held.version.updated);
        let list = List {
            resource,
            lo: window.lo.minus(self.input.lookback),
            hi: window.hi.map(|hi| hi.plus(self.input.lookback)),
            extra_filter: None,
            order: Order::AsServed,
            top: resource.page_size().default,
            skip: 0,
            expand: Expand::Nothing,
        };
        let names = names(resource);
        let of_this = |row: &str| {
            let mut index = Index::default();
            let alert = index.of(row).and_then(Value::object);
            alert.is_some_and(|alert| alert.text(names.incident_id).as_deref() == Some(&held.id))
        };
        let fetched = self.fetch(&Asking::Object(&list.path_and_query()), |_, reply, _| {
            let mut page = PageReader::new(reply.body);
            let mut rows = Vec::new();
            while let Some(row) = page.next_row()? {
                if of_this(row.raw()) {
                    rows.push(row.raw().to_owned());
                }
            }
            Ok(rows)
        });
        match fetched {
            Fetched::Done(rows) => Ok(rows),
            Fetched::End(end) => Err(end),
            Fetched::Failed(error) => {
                log::warn!("{}: the alerts of incident {} cannot be read from the list of alerts: {error}", self.input, held.id);
                Ok(Vec::new())
            }
        }
    }
}

/// What became of a few incidents.
enum Chunk {
    Read,
    Failed,
    End(End),
}

/// The incident with the alerts that it came with and those that were found, marked as the service marks a list that goes on:
/// so that nobody takes them for all there are.
fn with_some_alerts(incident: Object<'_>, found: &[String]) -> String {
    let names = names(Resource::GraphIncidents);
    let beside = format!("{}@odata", names.alerts);
    let others = incident.members().filter(|member| member.name() != names.alerts && !member.name().starts_with(&beside));
    let mut text = String::from("{");
    for member in others {
        member.append_name(&mut text);
        text.push_str(&member.value().one_line());
    }
    if text.len() > 1 {
        text.push(',');
    }
    let own = expanded(incident, names).map_or_else(Vec::new, |alerts| alerts.rows);
    let own = own.iter().map(|alert| alert.one_line().into_owned());
    let alerts: Vec<String> = own.chain(found.iter().cloned()).collect();
    text.push_str(&format!("\"{}\":[{}],\"{beside}.nextLink\":null}}", names.alerts, alerts.join(",")));
    text
}
