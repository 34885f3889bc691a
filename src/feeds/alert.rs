//! One version of an alert as events: the alert, and where asked for its evidence.

use std::borrow::Cow;
use std::ops::Range;

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
    let mut data = out.blank();
    let is_plain = reading.form == Form::Verbatim && reading.evidence == Evidence::Inline;
    let Some(object) = row.object.filter(|_| !is_plain) else {
        row.append(&mut data, reading.form, identity);
        out.drafts.push(Draft { time, sourcetype: kind.sourcetype(), data });
        return;
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
    match reading.form {
        Form::Compact => composed.append_compact(&mut data, &mut out.made, identity, kind),
        Form::Verbatim => composed.append_verbatim(&mut data),
    }
    out.drafts.push(Draft { time, sourcetype: kind.sourcetype(), data });
    for event in events {
        out.drafts.push(Draft { time, sourcetype: EVIDENCE, data: event.data });
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
    fn append_compact(&self, out: &mut String, made: &mut String, identity: Identity, kind: Kind) {
        let evidence = self.reading.names.evidence;
        let is_graph = self.kept.iter().any(|(_, item)| item.as_ref().is_some_and(|item| item.graph_type.is_some()));
        made.clear();
        // In the place of the list as it came; without any evidence left, in the place of none.
        if is_graph && kind == Kind::Alone {
            append_list(made, self.kept, append_both, true);
        } else if !self.kept.is_empty() || self.items.is_empty() {
            append_list(made, self.kept, append_raw, false);
        }
        let listed = 0..made.len();
        let added = self.added(made, kind, is_graph);
        let mut pieces: Vec<Piece<'_>> = Vec::with_capacity(48);
        for member in self.object.members() {
            let place = if member.is("mitreTechniques") { Place::Early } else { Place::Natural };
            if !member.is(evidence) || member.value().list().is_none() {
                pieces.push(Piece::Raw(member, place));
            } else if !listed.is_empty() {
                pieces.push(Piece::Made(evidence, &made[listed.clone()], place));
            }
        }
        pieces.extend(added.into_iter().map(|(name, part, place)| Piece::Made(name, &made[part], place)));
        json::compose(out, &pieces, identity.updated);
    }

    /// Members that Microsoft did not send, behind what was made before: names, and where their JSON lies.
    fn added(&self, made: &mut String, kind: Kind, is_graph: bool) -> Vec<(&'static str, Range<usize>, Place)> {
        let mut added = Vec::with_capacity(4);
        let mut add = |name: &'static str, place, append: &dyn Fn(&mut String)| {
            let from = made.len();
            if self.object.get(name).is_none_or(|old| old.is_null()) {
                append(made);
            }
            if made.len() > from {
                added.push((name, from..made.len(), place));
            }
        };
        add("cim", Place::Early, &|out| self.gist.append(out));
        if self.reading.evidence == Evidence::Events {
            add("evidenceCount", Place::Natural, &|out| out.push_str(&self.items.len().to_string()));
        }
        match kind {
            Kind::OfIncident => {
                add("devices", Place::Natural, &|out| append_devices(out, self.items));
                if is_graph {
                    add("entities", Place::Natural, &|out| append_list(out, self.kept, append_entities, true));
                }
            }
            Kind::Alone if self.items.iter().any(is_device) => {
                let first = |about, out: &mut String| out.push_str(self.gist.first(about).unwrap_or_default());
                add("computerDnsName", Place::Natural, &|out| first(About::Dest, out));
                add("machineId", Place::Natural, &|out| first(About::DestId, out));
            }
            Kind::Alone => {}
        }
        added
    }

    /// Appends Microsoft's bytes, less the evidence that has events of its own.
    fn append_verbatim(&self, out: &mut String) {
        out.push('{');
        for member in self.object.members() {
            let is_list = member.is(self.reading.names.evidence) && member.value().list().is_some();
            member.append_name(out);
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
    }
}

fn items<'a>(alert: Object<'a>, name: &str) -> Vec<Item<'a>> {
    let Some(list) = alert.get(name).and_then(Value::list) else { return Vec::new() };
    // An item is large: half a kilobyte, and not moved while the list grows.
    let mut items = Vec::with_capacity(list.clone().count());
    items.extend(list.map(|value| (value, value.object().map(legacy::read))));
    items
}

/// Appends a JSON list of what is made of each item; `inside` adds the evidence inside others after all that stand for
/// themselves. In the Defender APIs there is none.
fn append_list(out: &mut String, items: &[&Item<'_>], append: fn(&mut String, &Item<'_>), inside: bool) {
    out.push('[');
    for item in items {
        let before = out.len();
        append(out, item);
        if out.len() > before {
            out.push(',');
        }
    }
    for entity in items.iter().filter(|_| inside).filter_map(|(_, item)| item.as_ref()).flat_map(|item| &item.inside) {
        entity.append(out);
        out.push(',');
    }
    if out.ends_with(',') {
        out.pop();
    }
    out.push(']');
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

/// Appends the list `devices` of an alert of an incident, under its old names; nothing when it would be empty.
fn append_devices(out: &mut String, items: &[Item<'_>]) {
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
    if !items.iter().any(is_device) {
        return;
    }
    out.push('[');
    for device in items.iter().filter(|item| is_device(item)).filter_map(|(_, item)| item.as_ref()) {
        if !out.ends_with('[') {
            out.push(',');
        }
        out.push('{');
        for (name, graph) in NAMES {
            let value = device.members.object.get(graph).map(|value| value.raw());
            if let Some(value) = value.filter(|value| !matches!(*value, "null" | "\"\"")) {
                json::plain_member(out, name);
                out.push_str(value);
            }
        }
        out.push('}');
    }
    out.push(']');
}
