//! Incidents whose alerts cannot be read with them. On large tenants Graph answers `$expand=alerts` with 500 for some
//! incidents, and goes on doing so; neither they nor what shares a page with them may be lost for it.

use super::arrival::Arrival;
use super::{Asking, CollectError, End, Fetched, Incoming, Outside, PageError, PageReader, Poll, Reply, Spoilt};
use crate::cursor::{Ask, Window};
use crate::feeds::IncludeAlerts;
use crate::json::index::Index;
use crate::json::value::Value;
use crate::microsoft::cloud::Resource;
use crate::microsoft::object::names;
use crate::microsoft::query::{Expand, List, Order, object};

/// The rows of one millisecond and whether there are more: few, so that they can be held.
type Rows = (Vec<String>, bool);

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

    /// Reads one millisecond in pieces: its incidents alone, then each with its alerts, and the alerts of those that fail
    /// even so from the list of alerts. Unless all came whole, the millisecond is set aside and tried again.
    pub(super) fn take_apart(&mut self, ask: &Ask) -> Result<Option<End>, CollectError> {
        let asking = Asking::List(ask, Expand::Nothing);
        let fetched = self.fetch(&asking, |_, reply, looked| Ok((read_whole(reply)?, looked)));
        let ((rows, has_next_link), looked) = match fetched {
            Fetched::Done(read) => read,
            Fetched::Failed(error) => return self.leave(ask, &error.to_string()),
            Fetched::End(end) => return Ok(Some(end)),
        };
        let names = names(self.input.resource);
        let (mut objects, mut failing, mut index) = (Vec::with_capacity(rows.len()), Vec::new(), Index::default());
        for row in rows {
            let incident = index.of(&row).and_then(Value::object);
            let Some(id) = incident.and_then(|incident| Some(incident.text(names.identity.id)?.into_owned())) else {
                objects.push(row);
                continue;
            };
            let path = object(self.input.resource, &id, Expand::Alerts);
            let fetched = self.fetch(&Asking::Object(&path), |_, reply, _| reply.body.read_whole().map_err(Spoilt::Api));
            let whole = match fetched {
                Fetched::Done(body) => String::from_utf8(body).ok().filter(|text| index.of(text).is_some()),
                Fetched::Failed(_) => None,
                Fetched::End(end) => return Ok(Some(end)),
            };
            match whole {
                Some(object) => objects.push(object),
                None => {
                    match self.alerts_near(ask.window, &id) {
                        Ok(alerts) => objects.push(with_some_alerts(&row, names.alerts, &alerts)),
                        Err(end) => return Ok(Some(end)),
                    }
                    failing.push(id);
                }
            }
        }
        let reason = format!("the alerts of incident {} cannot be read with it", failing.join(", "));
        let mut arrival = Arrival::new(ask, looked);
        for object in &objects {
            // All were read as JSON before.
            let Some(value) = index.of(object) else { continue };
            if let Some(end) = self.row(&mut arrival, value)? {
                return Ok(Some(end));
            }
        }
        self.complete(arrival, has_next_link, (!failing.is_empty()).then_some(reason.as_str()))
    }

    fn leave(&mut self, ask: &Ask, reason: &str) -> Result<Option<End>, CollectError> {
        self.set_aside(ask, reason)?;
        self.save()?;
        Ok(None)
    }

    /// The incident's alerts that were updated around the time it was: an alert that changes dates its incident. What is
    /// missing is not said to be missing, only never said to be whole.
    fn alerts_near(&mut self, window: Window, incident: &str) -> Result<Vec<String>, End> {
        let resource = Resource::GraphAlerts;
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
        let fetched = self.fetch(&Asking::Object(&list.path_and_query()), |_, reply, _| read_whole(reply));
        let (mut rows, _) = match fetched {
            Fetched::Done(read) => read,
            Fetched::End(end) => return Err(end),
            Fetched::Failed(error) => {
                log::warn!("{}: nor can they be read from the list of alerts: {error}", self.input);
                return Ok(Vec::new());
            }
        };
        let names = names(resource);
        let mut index = Index::default();
        rows.retain(|row| {
            let alert = index.of(row).and_then(Value::object);
            alert.is_some_and(|alert| alert.text(names.incident_id).as_deref() == Some(incident))
        });
        Ok(rows)
    }
}

/// The incident with the alerts that were found, marked as the service marks a list that goes on: so that nobody takes them
/// for all there are.
fn with_some_alerts(incident: &str, member: &str, alerts: &[String]) -> String {
    let text = incident.trim_end().strip_suffix('}');
    let text = text.map(|text| format!("{text},\"{member}\":[{}],\"{member}@odata.nextLink\":null}}", alerts.join(",")));
    text.filter(|text| Index::default().of(text).is_some()).unwrap_or_else(|| incident.to_owned())
}
