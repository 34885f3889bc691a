//! One version of an alert as events: the alert, and where asked for its evidence.

use std::borrow::Cow;

use super::evidence::{self, EvidenceEvent};
use super::gist::{About, Gist};
use super::{ALERT, ALERT_OF_INCIDENT, Draft, EVIDENCE, Emission, Evidence, Form, Reading, Row, legacy};
use crate::json::value::{Object, Value};
use crate::json::{self, Piece, Place};
use crate::microsoft::object::Identity;
use crate::time::Ticks;

/// Which of the incumbent add-on's sourcetypes an alert goes to; published detections search them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An alert of an incident: detections parse its list `entities`.
    OfIncident,
    /// An alert on its own: detections parse its list `evidence`.
    Alone,
}

impl Kind {
    fn sourcetype(self) -> &'static str {
        match self {
            Self::OfIncident => ALERT_OF_INCIDENT,
            Self::Alone => ALERT,
        }
    }
}

/// A piece of evidence as it came, and what it says; `None` for what is no object.
type Item<'a> = (Value<'a>, Option<legacy::Reading<'a>>);

/// Adds the events of one version of an alert, its evidence behind it.
pub(super) fn emit(row: &Row<'_>, reading: &Reading<'_>, identity: Identity, kind: Kind, time: Ticks, out: &mut Emission) {
    let mut draft = |sourcetype, data| out.drafts.push(Draft { time, sourcetype, data });
    let is_plain = reading.form == Form::Verbatim && reading.evidence == Evidence::Inline;
    let Some(object) = row.object.filter(|_| !is_plain) else {
        return draft(kind.sourcetype(), row.text(reading.form, identity));
    };
    let items = items(object, reading.names.evidence);
    let gist = Gist::of(object, items.iter().filter_map(|(_, item)| item.as_ref()));
    let events: Vec<EvidenceEvent> = match reading.evidence {
        Evidence::Inline => Vec::new(),
        Evidence::Events | Evidence::Both => items
            .iter()
            .enumerate()
            .filter_map(|(n, (_, item))| Some((n, item.as_ref()?)))
            .map(|(n, item)| evidence::event(n, item, object, identity, &gist))
            .collect(),
    };
    let mut kept: Vec<&Item<'_>> = items.iter().collect();
    if reading.evidence == Evidence::Events {
        // What an event of its own cannot hold in full stays with the alert.
        let mut whole = events.iter().map(|event| event.is_whole);
        kept.retain(|(_, item)| item.is_none() || whole.next() != Some(true));
    }
    let composed = Composed { object, items: &items, kept: &kept, gist: &gist, reading };
    let data = match reading.form {
        Form::Compact => composed.compact(identity, kind),
        Form::Verbatim => composed.verbatim(),
    };
    draft(kind.sourcetype(), data);
    for event in events {
        draft(EVIDENCE, event.data);
    }
}

/// An alert whose evidence was read.
struct Composed<'a> {
    object: Object<'a>,
    /// Its evidence.
    items: &'a [Item<'a>],
    /// The evidence that stays in the event.
    kept: &'a [&'a Item<'a>],
    gist: &'a Gist<'a>,
    reading: &'a Reading<'a>,
}

impl Composed<'_> {
    fn compact(&self, identity: Identity, kind: Kind) -> String {
        let evidence = self.reading.names.evidence;
        let is_graph = self.kept.iter().any(|(_, item)| item.as_ref().is_some_and(|item| item.graph_type.is_some()));
        let mut pieces: Vec<Piece<'_>> = Vec::with_capacity(48);
        for member in self.object.members() {
            let place = if member.is("mitreTechniques") { Place::Early } else { Place::Natural };
            if !member.is(evidence) || member.value().list().is_none() {
                pieces.push(Piece::raw(member, place));
            } else if is_graph && kind == Kind::Alone {
                pieces.push(Piece::made(evidence, list(self.kept, append_both, true), place));
            } else if !self.kept.is_empty() || self.items.is_empty() {
                pieces.push(Piece::made(evidence, list(self.kept, append_raw, false), place));
            }
        }
        let mut add = |name: &'static str, value: Option<Cow<'_, str>>, place| {
            if let Some(value) = value.filter(|_| self.object.get(name).is_none_or(|old| old.is_null())) {
                pieces.push(Piece::made(name, value.into_owned(), place));
            }
        };
        add("cim", self.gist.text().map(Cow::Owned), Place::Early);
        if self.reading.evidence == Evidence::Events {
            add("evidenceCount", Some(Cow::Owned(self.items.len().to_string())), Place::Natural);
        }
        match kind {
            Kind::OfIncident => {
                add("devices", devices(self.items).map(Cow::Owned), Place::Natural);
                if is_graph {
                    add("entities", Some(Cow::Owned(list(self.kept, append_entities, true))), Place::Natural);
                }
            }
            Kind::Alone if self.items.iter().any(is_device) => {
                add("computerDnsName", self.gist.first(About::Dest).map(Cow::Borrowed), Place::Natural);
                add("machineId", self.gist.first(About::DestId).map(Cow::Borrowed), Place::Natural);
            }
            Kind::Alone => {}
        }
        json::compose(pieces, identity.updated)
    }

    /// Microsoft's bytes, less the evidence that has events of its own.
    fn verbatim(&self) -> String {
        let mut out = String::with_capacity(self.object.value().raw().len() + 2);
        out.push('{');
        for member in self.object.members() {
            let is_list = member.is(self.reading.names.evidence) && member.value().list().is_some();
            member.append_name(&mut out);
            if !is_list || self.kept.len() == self.items.len() {
                out.push_str(&member.value().one_line());
                continue;
            }
            let kept: Vec<Cow<'_, str>> = self.kept.iter().map(|(value, _)| value.one_line()).collect();
            out.push('[');
            out.push_str(&kept.join(","));
            out.push(']');
        }
        out.push('}');
        out
    }
}

fn items<'a>(alert: Object<'a>, name: &str) -> Vec<Item<'a>> {
    let list = alert.get(name).and_then(Value::list);
    list.into_iter().flatten().map(|value| (value, value.object().map(legacy::read))).collect()
}

/// A JSON list of what is made of each item; `inside` adds the evidence inside others after all that stand for themselves. In
/// the Defender APIs there is none.
fn list(items: &[&Item<'_>], append: fn(&mut String, &Item<'_>), inside: bool) -> String {
    let mut out = String::with_capacity(items.iter().map(|(value, _)| value.raw().len() + 400).sum());
    out.push('[');
    for item in items {
        let before = out.len();
        append(&mut out, item);
        if out.len() > before {
            out.push(',');
        }
    }
    for entity in items.iter().filter(|_| inside).filter_map(|(_, item)| item.as_ref()).flat_map(|item| &item.inside) {
        entity.append(&mut out);
        out.push(',');
    }
    if out.ends_with(',') {
        out.pop();
    }
    out.push(']');
    out
}

fn append_raw(out: &mut String, (value, _): &Item<'_>) {
    value.append_compact(out);
}

fn append_entities(out: &mut String, (_, item): &Item<'_>) {
    if let Some(item) = item {
        item.entity.append(out);
    }
}

/// The evidence as it came, with the old names besides. A member that Graph has under the same name is Graph's.
fn append_both(out: &mut String, item: &Item<'_>) {
    let (_, Some(read)) = item else { return append_raw(out, item) };
    out.push('{');
    read.entity.append_facts(out, Some(&read.members));
    read.members.object.append_compact_members(out);
    out.push('}');
}

fn is_device((_, item): &Item<'_>) -> bool {
    item.as_ref().is_some_and(|item| item.graph_type.as_deref() == Some("device"))
}

/// The list `devices` of an alert of an incident, under its old names.
fn devices(items: &[Item<'_>]) -> Option<String> {
    const NAMES: [(&str, &str); 11] = [
        ("mdatpDeviceId", "mdeDeviceId"),
        ("aadDeviceId", "azureAdDeviceId"),
        ("deviceDnsName", "deviceDnsName"),
        ("osPlatform", "osPlatform"),
        ("version", "version"),
        ("osBuild", "osBuild"),
        ("healthStatus", "healthStatus"),
        ("riskScore", "riskScore"),
        ("rbacGroupName", "rbacGroupName"),
        ("firstSeen", "firstSeenDateTime"),
        ("onboardingStatus", "onboardingStatus"),
    ];
    let mut out = String::from("[");
    for device in items.iter().filter(|item| is_device(item)).filter_map(|(_, item)| item.as_ref()) {
        if out.len() > 1 {
            out.push(',');
        }
        out.push('{');
        for (name, graph) in NAMES {
            let value = device.members.object.get(graph).map(|value| value.raw());
            if let Some(value) = value.filter(|value| !matches!(*value, "null" | "\"\"")) {
                json::member(&mut out, name);
                out.push_str(value);
            }
        }
        out.push('}');
    }
    out.push(']');
    (out.len() > 2).then_some(out)
}
