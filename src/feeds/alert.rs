//! One version of an alert as events: the alert, and where asked for its evidence.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::evidence::{self, EvidenceEvent};
use super::gist::Gist;
use super::{ALERT, ALERT_OF_INCIDENT, Draft, EVIDENCE, Emission, Evidence, Form, Reading, Row, legacy};
use crate::json::{self, Members, Piece, Place};
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
type Item<'a> = (&'a RawValue, Option<legacy::Reading<'a>>);

/// Adds the events of one version of an alert, its evidence behind it.
pub(super) fn emit(row: &Row<'_>, reading: &Reading<'_>, identity: Identity, kind: Kind, time: Ticks, out: &mut Emission) {
    let mut draft = |sourcetype, data| out.drafts.push(Draft { time, sourcetype, data });
    let is_plain = reading.form == Form::Verbatim && reading.evidence == Evidence::Inline;
    let Some(members) = row.members.as_ref().filter(|_| !is_plain) else {
        return draft(kind.sourcetype(), row.text(reading.form, identity));
    };
    let mut items = items(members, reading.names.evidence);
    let gist = Gist::of(members, items.iter().filter_map(|(_, item)| item.as_ref()));
    let events: Vec<EvidenceEvent> = match reading.evidence {
        Evidence::Inline => Vec::new(),
        Evidence::Events | Evidence::Both => items
            .iter()
            .enumerate()
            .filter_map(|(n, (_, item))| Some((n, item.as_ref()?)))
            .map(|(n, item)| evidence::event(n, item, members, identity, &gist))
            .collect(),
    };
    let devices = devices(&items);
    let count = items.len();
    if reading.evidence == Evidence::Events {
        // What an event of its own cannot hold in full stays with the alert.
        let mut whole = events.iter().map(|event| event.is_whole);
        items.retain(|(_, item)| item.is_none() || whole.next() != Some(true));
    }
    let composed = Composed { members, items: &items, count, devices, gist: &gist, reading };
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
    members: &'a Members<'a>,
    /// The evidence that stays in the event.
    items: &'a [Item<'a>],
    /// How much there was of it.
    count: usize,
    devices: Option<String>,
    gist: &'a Gist,
    reading: &'a Reading<'a>,
}

impl Composed<'_> {
    fn compact(&self, identity: Identity, kind: Kind) -> String {
        let evidence = self.reading.names.evidence;
        let is_graph = self.items.iter().any(|(_, item)| item.as_ref().is_some_and(|item| item.graph_type.is_some()));
        let mut pieces: Vec<Piece<'_>> = Vec::with_capacity(self.members.0.len() + 6);
        for (name, value) in &self.members.0 {
            let place = if name == "mitreTechniques" { Place::Early } else { Place::Natural };
            if name != evidence || !value.get().starts_with('[') {
                pieces.push(Piece::raw(Cow::Borrowed(name), value, place));
            } else if is_graph && kind == Kind::Alone {
                pieces.push(Piece::made(evidence, list(self.items, append_both), place));
            } else if !self.items.is_empty() || self.count == 0 {
                let raw: Vec<Item<'_>> = self.items.iter().map(|(raw, _)| (*raw, None)).collect();
                pieces.push(Piece::made(evidence, list(&raw, append_raw), place));
            }
        }
        let mut add = |name: &'static str, value: Option<String>, place| {
            if let Some(value) = value.filter(|_| self.members.get(name).is_none_or(|old| old.get() == "null")) {
                pieces.push(Piece::made(name, value, place));
            }
        };
        add("cim", self.gist.text(), Place::Early);
        if self.reading.evidence == Evidence::Events {
            add("evidenceCount", Some(self.count.to_string()), Place::Natural);
        }
        match kind {
            Kind::OfIncident => {
                add("devices", self.devices.clone(), Place::Natural);
                if is_graph {
                    add("entities", Some(list(self.items, append_entities)), Place::Natural);
                }
            }
            Kind::Alone if self.devices.is_some() => {
                add("computerDnsName", self.gist.first("dest").map(str::to_owned), Place::Natural);
                add("machineId", self.gist.first("dest_id").map(str::to_owned), Place::Natural);
            }
            Kind::Alone => {}
        }
        json::compose(pieces, identity.updated)
    }

    /// Microsoft's bytes, less the evidence that has events of its own.
    fn verbatim(&self) -> String {
        let mut out = String::from("{");
        for (name, value) in &self.members.0 {
            let is_list = name == self.reading.names.evidence && value.get().starts_with('[');
            json::member(&mut out, name);
            if !is_list || self.items.len() == self.count {
                out.push_str(&json::one_line(value.get()));
                continue;
            }
            let kept: Vec<Cow<'_, str>> = self.items.iter().map(|(raw, _)| json::one_line(raw.get())).collect();
            out.push('[');
            out.push_str(&kept.join(","));
            out.push(']');
        }
        out.push('}');
        out
    }
}

fn items<'a>(alert: &Members<'a>, name: &str) -> Vec<Item<'a>> {
    let list: Vec<&'a RawValue> = alert.get(name).and_then(|list| serde_json::from_str(list.get()).ok()).unwrap_or_default();
    list.into_iter().map(|raw| (raw, legacy::read(raw))).collect()
}

/// A JSON list of what is made of each item.
fn list(items: &[Item<'_>], append: fn(&mut String, &Item<'_>)) -> String {
    let mut out = String::with_capacity(items.iter().map(|(raw, _)| raw.get().len() + 200).sum());
    out.push('[');
    for item in items {
        let before = out.len();
        append(&mut out, item);
        if out.len() > before {
            out.push(',');
        }
    }
    // What is inside others comes after all that stand for themselves; in the Defender APIs nothing is.
    for entity in items.iter().filter_map(|(_, item)| item.as_ref()).flat_map(|item| &item.inside) {
        entity.append(&mut out);
        out.push(',');
    }
    if out.ends_with(',') {
        out.pop();
    }
    out.push(']');
    out
}

fn append_raw(out: &mut String, (raw, _): &Item<'_>) {
    json::append_compact(out, raw.get());
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
    read.entity.append_facts(out, |name| read.members.get(name).is_some_and(|value| value.get() != "null"));
    for (name, value) in read.members.0.iter().filter(|(_, value)| value.get() != "null") {
        json::member(out, name);
        json::append_compact(out, value.get());
    }
    out.push('}');
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
    for device in items.iter().filter_map(|(_, item)| item.as_ref()).filter(|item| item.graph_type.as_deref() == Some("device")) {
        if out.len() > 1 {
            out.push(',');
        }
        out.push('{');
        for (name, graph) in NAMES {
            if let Some(value) = device.members.get(graph).filter(|value| !matches!(value.get(), "null" | "\"\"")) {
                json::member(&mut out, name);
                out.push_str(value.get());
            }
        }
        out.push('}');
    }
    out.push(']');
    (out.len() > 2).then_some(out)
}
