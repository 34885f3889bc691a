//! What can be collected: one file and one line per feed. A feed that is polled says which objects it reads and what events an object
//! becomes; it knows nothing of windows, checkpoints or streams.

mod alert;
mod alerts;
mod evidence;
mod gist;
mod incidents;
mod legacy;
mod names;
#[cfg(feature = "streaming")]
pub mod records;
mod spelling;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::json;
use crate::json::value::{Object, Value};
use crate::microsoft::cloud::What;
use crate::microsoft::object::{Identity, Names};
use crate::planted::{Planted, planted};
use crate::time::Ticks;
use crate::version::{AlertMemory, Version};

/// One kind of input.
#[derive(Debug)]
pub struct Feed {
    /// The value of the `feed` parameter.
    pub name: &'static str,
    /// What it brings, for the form.
    pub title: &'static str,
    /// The objects it asks for.
    pub what: What,
    /// Turns one object into events.
    pub events: fn(&Row<'_>, &Reading<'_>, &mut Emission),
}

/// Every feed that is polled over REST.
pub const FEEDS: [&Feed; 2] = [&incidents::FEED, &alerts::FEED];

/// A feed of the streaming API, by the place where Microsoft puts its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streaming {
    /// An event hub, read by a process that stays.
    EventHub,
    /// A storage account, polled.
    Storage,
}

impl Streaming {
    /// The value of the `feed` parameter.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EventHub => "event_hub",
            Self::Storage => "storage",
        }
    }

    /// The role in Azure that an account needs; these two services know no application permissions.
    pub const fn role(self) -> &'static str {
        match self {
            Self::EventHub => "Azure Event Hubs Data Receiver",
            Self::Storage => "Storage Blob Data Reader",
        }
    }
}

/// Any feed.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Objects with versions, polled over REST.
    Polled(&'static Feed),
    /// Records, each of which is one event.
    Streaming(Streaming),
}

impl Kind {
    /// Every feed there is; the scheme, the conf files and their specs are compared with this table by a test.
    pub const ALL: [Self; 4] = [
        Self::Polled(FEEDS[0]),
        Self::Polled(FEEDS[1]),
        Self::Streaming(Streaming::EventHub),
        Self::Streaming(Streaming::Storage),
    ];

    /// The value of the `feed` parameter.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Polled(feed) => feed.name,
            Self::Streaming(feed) => feed.name(),
        }
    }

    /// The feed of that name, in any case.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name.trim()))
    }
}

/// An incident. This name and the next two are the incumbent add-on's, which existing content searches.
pub const INCIDENT: &str = "ms365:defender:incident";
/// An alert of an incident: published detections parse its list `entities`.
pub const ALERT_OF_INCIDENT: &str = "ms365:defender:incident:alerts";
/// An alert on its own: published detections parse its list `evidence`.
pub const ALERT: &str = "ms:defender:atp:alerts";
/// A piece of evidence: a name of this add-on, as no other has such events.
pub const EVIDENCE: &str = "ms:defender:evidence";
/// A record of the streaming API, under the incumbent add-on's name.
pub const ENVELOPE: &str = "ms:defender:eventhub";
/// The same under the name that published detections for advanced hunting search. The events are equal: the add-on that brings
/// them has passed the envelope on as it is since its version 4.4.
pub const COMMUNITY: &str = "mscs:azure:eventhub:defender:advancedhunting";
/// What arrived over the streaming API and is no record of it.
pub const UNPARSED: &str = "ms:defender:eventhub:unparsed";
/// Every sourcetype an input writes.
pub const SOURCETYPES: [&str; 7] = [INCIDENT, ALERT_OF_INCIDENT, ALERT, EVIDENCE, ENVELOPE, COMMUNITY, UNPARSED];

/// The polled feed of that name.
#[cfg(test)]
pub(crate) fn find(name: &str) -> Option<&'static Feed> {
    FEEDS.into_iter().find(|feed| feed.name == name)
}

/// How an object is written into its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Null members dropped, the update time first, then scalars, then the rest; alerts with what they are about close to
    /// their beginning, and with the names existing content reads.
    Compact,
    /// Microsoft's bytes.
    Verbatim,
}

/// Where the evidence of an alert goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// It stays in the alert.
    Inline,
    /// Into events of its own.
    Events,
    /// Both.
    Both,
}

/// Which alerts of an incident become events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncludeAlerts {
    /// Those whose own version is new.
    Changed,
    /// All, with every version of the incident.
    All,
    /// None.
    None,
}

/// The update time of an object that has none that can be read: it stays remembered, so the object comes once.
pub const UNDATED: Ticks = Ticks(i64::MAX);

/// One object of an answer.
pub struct Row<'a> {
    /// Id and update time, of an alert its incident as well; of an object without either, its whole text and [`UNDATED`].
    pub version: Version,
    /// The same without the incident.
    pub unplaced: Version,
    /// The object as it came.
    pub value: Value<'a>,
    /// Its members; `None` when it is no object.
    pub object: Option<Object<'a>>,
}

impl<'a> Row<'a> {
    /// Reads what identifies the object. `place` is the member that names an alert's incident.
    pub fn read(value: Value<'a>, identity: Identity, place: Option<&str>) -> Self {
        let object = value.object();
        let versions = object.and_then(|object| {
            let (id, updated) = (object.text(identity.id)?, Ticks::parse(&object.text(identity.updated)?)?);
            let unplaced = Version::new(&id, updated);
            let place = place.filter(|_| !planted(Planted::IgnoresMoves)).and_then(|place| object.text(place));
            Some((place.map_or(unplaced, |incident| unplaced.placed(&incident)), unplaced))
        });
        let (version, unplaced) = versions.unwrap_or_else(|| [Version::new(value.raw(), UNDATED); 2].into());
        Self { version, unplaced, value, object }
    }

    /// Whether id and update time could be read.
    pub fn is_dated(&self) -> bool {
        self.version.updated != UNDATED
    }

    /// Appends the object as one line of JSON.
    pub fn append(&self, out: &mut String, form: Form, identity: Identity) {
        match (form, self.object) {
            (Form::Compact, Some(object)) => json::compact(out, object, identity.updated),
            _ => out.push_str(&self.value.one_line()),
        }
    }
}

/// What a feed is told beside the object.
pub struct Reading<'a> {
    /// The names of the resource's members.
    pub names: &'a Names,
    /// How to write events.
    pub form: Form,
    /// Which alerts of incidents to write.
    pub include_alerts: IncludeAlerts,
    /// Where evidence goes.
    pub evidence: Evidence,
    /// Alerts already written.
    pub alerts: &'a AlertMemory,
    /// Whether this version of the object itself was not written before.
    pub is_new: bool,
    /// Whether the object was set aside because it came without some of its alerts.
    pub is_owed: bool,
    /// Whether the object was not asked for: then it may be a copy of what it was long ago.
    pub is_stray: bool,
    /// The time of an event whose object has none.
    pub now: Ticks,
}

impl Reading<'_> {
    /// The event's time: that of its version.
    fn time(&self, version: Version) -> Ticks {
        if version.updated == UNDATED { self.now } else { version.updated }
    }
}

/// One event before it is bound to an index and a host.
#[derive(Debug, PartialEq, Eq)]
pub struct Draft {
    /// The event's time.
    pub time: Ticks,
    /// Splunk's sourcetype.
    pub sourcetype: &'static str,
    /// One line of JSON.
    pub data: String,
}

/// What one answer's objects became.
#[derive(Debug, Default)]
pub struct Emission {
    /// The events, in order.
    pub drafts: Vec<Draft>,
    /// Versions of alerts inside incidents that were seen, emitted now or before, each with what it is without its incident.
    pub alerts_seen: BTreeMap<Version, Version>,
    /// How many alerts inside incidents were emitted before and left out.
    pub alerts_repeated: usize,
    /// Texts of events that were written: their memory serves the next ones.
    spare: Vec<String>,
    /// Members that are made here, one behind the other, while an event is composed.
    made: String,
}

/// How much memory is kept for the next event, of a text and in texts; one huge alert does not stay.
const SPARE_BYTES: usize = 256 << 10;
const SPARE_TEXTS: usize = 8;

impl Emission {
    /// Gives each event to `take` and uses its memory again.
    ///
    /// # Errors
    /// Those of `take`; the events behind it are dropped.
    pub fn hand_out<E>(&mut self, mut take: impl FnMut(&Draft) -> Result<(), E>) -> Result<(), E> {
        for draft in self.drafts.drain(..) {
            take(&draft)?;
            let mut text = draft.data;
            if text.capacity() <= SPARE_BYTES && self.spare.len() < SPARE_TEXTS {
                text.clear();
                self.spare.push(text);
            }
        }
        if self.made.capacity() > SPARE_BYTES {
            self.made = String::new();
        }
        Ok(())
    }

    /// A text without bytes in it.
    fn blank(&mut self) -> String {
        self.spare.pop().unwrap_or_default()
    }
}
