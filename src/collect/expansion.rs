//! Incidents whose alerts cannot be read with them. On large tenants Graph answers `$expand=alerts` with 500 for some
//! incidents, and goes on doing so; neither they nor what shares a page with them may be lost for it.

use serde_json::value::{RawValue, to_raw_value};

use super::{Asking, CollectError, End, Fetched, Outside, Poll};
use crate::cursor::{Ask, Window};
use crate::feeds::{IncludeAlerts, Row};
use crate::microsoft::cloud::Resource;
use crate::microsoft::object::names;
use crate::microsoft::page::{self, Page};
use crate::microsoft::query::{Expand, List, Order, object};

impl<O: Outside> Poll<'_, O> {
    /// Whether a window that fails may succeed without the incidents' alerts.
    pub(super) fn expands(&self) -> bool {
        self.input.resource == Resource::GraphIncidents && self.input.include_alerts != IncludeAlerts::None
    }

    /// Reads one millisecond in pieces: its incidents alone, then each with its alerts, and the alerts of those that fail
    /// even so from the list of alerts. Unless all came whole, the millisecond is set aside and tried again.
    pub(super) fn take_apart(&mut self, ask: &Ask) -> Result<Option<End>, CollectError> {
        let (reply, asked_at) = match self.fetch(&Asking::List(ask, Expand::Nothing)) {
            Fetched::Reply(reply, asked_at) => (reply, asked_at),
            Fetched::Failed(error) => return self.leave(ask, &error.to_string()),
            Fetched::End(end) => return Ok(Some(end)),
        };
        let looked = self.service_time(&reply, asked_at);
        let page = match page::rows(&reply.body) {
            Ok(page) => page,
            Err(reason) => return self.leave(ask, &reason.to_string()),
        };
        let names = names(self.input.resource);
        let (mut objects, mut failing) = (Vec::with_capacity(page.rows.len()), Vec::new());
        for raw in page.rows {
            let id =
                Row::read(raw, names.identity).members.and_then(|members| Some(members.text(names.identity.id)?.into_owned()));
            let Some(id) = id else {
                objects.push(raw.to_owned());
                continue;
            };
            match self.fetch(&Asking::Object(&object(self.input.resource, &id, Expand::Alerts))) {
                Fetched::Reply(reply, _) if serde_json::from_slice::<&RawValue>(&reply.body).is_ok() => {
                    objects.extend(serde_json::from_slice::<Box<RawValue>>(&reply.body));
                }
                Fetched::End(end) => return Ok(Some(end)),
                Fetched::Reply(..) | Fetched::Failed(_) => {
                    match self.alerts_near(ask.window, &id) {
                        Ok(alerts) => objects.push(with_some_alerts(raw, names.alerts, &alerts)),
                        Err(end) => return Ok(Some(end)),
                    }
                    failing.push(id);
                }
            }
        }
        let reason = format!("the alerts of incident {} cannot be read with it", failing.join(", "));
        let page = Page { rows: objects.iter().map(|object| &**object).collect(), has_next_link: page.has_next_link };
        self.take(ask.clone(), &page, looked, (!failing.is_empty()).then_some(reason.as_str()))
    }

    fn leave(&mut self, ask: &Ask, reason: &str) -> Result<Option<End>, CollectError> {
        self.set_aside(ask, reason)?;
        self.outside.save(self.checkpoint)?;
        Ok(None)
    }

    /// The incident's alerts that were updated around the time it was: an alert that changes dates its incident. What is
    /// missing is not said to be missing, only never said to be whole.
    fn alerts_near(&mut self, window: Window, incident: &str) -> Result<Vec<Box<RawValue>>, End> {
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
        let reply = match self.fetch(&Asking::Object(&list.path_and_query())) {
            Fetched::Reply(reply, _) => reply,
            Fetched::End(end) => return Err(end),
            Fetched::Failed(error) => {
                log::warn!("{}: nor can they be read from the list of alerts: {error}", self.input);
                return Ok(Vec::new());
            }
        };
        let names = names(resource);
        let belongs = |raw: &RawValue| {
            let members = Row::read(raw, names.identity).members;
            members.is_some_and(|members| members.text(names.incident_id).as_deref() == Some(incident))
        };
        let rows = page::rows(&reply.body).map(|page| page.rows).unwrap_or_default();
        Ok(rows.into_iter().filter(|raw| belongs(raw)).map(RawValue::to_owned).collect())
    }
}

/// The incident with the alerts that were found, marked as the service marks a list that goes on: so that nobody takes them
/// for all there are.
fn with_some_alerts(incident: &RawValue, member: &str, alerts: &[Box<RawValue>]) -> Box<RawValue> {
    let text = incident.get().trim_end().strip_suffix('}').zip(to_raw_value(alerts).ok());
    let text = text.map(|(text, alerts)| format!("{text},\"{member}\":{alerts},\"{member}@odata.nextLink\":null}}"));
    text.and_then(|text| RawValue::from_string(text).ok()).unwrap_or_else(|| incident.to_owned())
}
