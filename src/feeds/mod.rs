//! What can be collected: one file and one line per feed. A feed says which objects it reads and what events an object
//! becomes; it knows nothing of windows, checkpoints or streams.

mod alerts;
mod incidents;

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use crate::json::{self, Members};
use crate::microsoft::cloud::What;
use crate::microsoft::object::{Identity, Names};
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

/// Every feed there is; the scheme, the conf files and their specs are compared with this table by a test.
pub const FEEDS: [&Feed; 2] = [&incidents::FEED, &alerts::FEED];

/// The feed of that name.
pub fn find(name: &str) -> Option<&'static Feed> {
    FEEDS.into_iter().find(|feed| feed.name == name)
}

/// How an object is written into its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Null members dropped, the update time first, then scalars, then the rest.
    Compact,
    /// Microsoft's bytes.
    Verbatim,
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
    /// Id and update time; of an object without either, its whole text and [`UNDATED`].
    pub version: Version,
    /// The object as it came.
    pub raw: &'a RawValue,
    /// Its members; `None` when it is no object.
    pub members: Option<Members<'a>>,
}

impl<'a> Row<'a> {
    /// Reads what identifies the object.
    pub fn read(raw: &'a RawValue, identity: Identity) -> Self {
        let members = Members::read(raw.get()).ok();
        let version = members.as_ref().and_then(|members| {
            let updated = Ticks::parse(&members.text(identity.updated)?)?;
            Some(Version::new(&members.text(identity.id)?, updated))
        });
        Self { version: version.unwrap_or_else(|| Version::new(raw.get(), UNDATED)), raw, members }
    }

    /// Whether id and update time could be read.
    pub fn is_dated(&self) -> bool {
        self.version.updated != UNDATED
    }

    /// The object as one line of JSON.
    pub fn text(&self, form: Form, identity: Identity) -> String {
        match (form, &self.members) {
            (Form::Compact, Some(members)) => json::compact(members, identity.updated),
            _ => json::one_line(self.raw.get()).into_owned(),
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
    /// Alerts already written.
    pub alerts: &'a AlertMemory,
    /// Whether this version of the object itself was not written before.
    pub is_new: bool,
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
    /// Versions of alerts inside incidents that were seen, emitted now or before.
    pub alerts_seen: BTreeSet<Version>,
    /// How many alerts inside incidents were emitted before and left out.
    pub alerts_repeated: usize,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::microsoft::cloud::Resource;
    use crate::microsoft::object::names;

    /// The events of one object, as (sourcetype, data).
    fn events(feed: &str, resource: Resource, text: &str, form: Form, include: IncludeAlerts) -> Vec<(&'static str, String)> {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        let names = names(resource);
        let row = Row::read(raw, names.identity);
        let memory = AlertMemory::default();
        let reading = Reading { names, form, include_alerts: include, alerts: &memory, is_new: true, now: Ticks(0) };
        let mut emission = Emission::default();
        (find(feed).unwrap().events)(&row, &reading, &mut emission);
        emission.drafts.into_iter().map(|draft| (draft.sourcetype, draft.data)).collect()
    }

    const INCIDENT: &str = r#"{"id":"7","alerts":[{"id":"a1","lastUpdateDateTime":"2026-01-01T00:00:00Z","x":null},{"id":"a\"2","lastUpdateDateTime":"2026-01-01T00:00:01Z"}],"assignedTo":null,"lastUpdateDateTime":"2026-01-02T00:00:00.5Z"}"#;

    #[test]
    fn an_incident_names_its_alerts_and_they_follow_it() {
        let found = events("incidents", Resource::GraphIncidents, INCIDENT, Form::Compact, IncludeAlerts::Changed);
        assert_eq!(
            found,
            [
                (
                    "ms365:defender:incident",
                    r#"{"lastUpdateDateTime":"2026-01-02T00:00:00.5Z","id":"7","alertsCount":2,"alertIds":["a1","a\"2"]}"#
                        .to_owned()
                ),
                ("ms365:defender:incident:alerts", r#"{"lastUpdateDateTime":"2026-01-01T00:00:00Z","id":"a1"}"#.to_owned()),
                ("ms365:defender:incident:alerts", r#"{"lastUpdateDateTime":"2026-01-01T00:00:01Z","id":"a\"2"}"#.to_owned()),
            ]
        );
    }

    #[test]
    fn verbatim_keeps_every_other_byte() {
        let found = events("incidents", Resource::GraphIncidents, INCIDENT, Form::Verbatim, IncludeAlerts::None);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].1,
            r#"{"id":"7","alertIds":["a1","a\"2"],"alertsCount":2,"assignedTo":null,"lastUpdateDateTime":"2026-01-02T00:00:00.5Z"}"#
        );
    }

    #[test]
    fn without_the_alerts_nothing_is_said_of_them() {
        for text in [
            r#"{"id":"7","lastUpdateDateTime":"2026-01-02T00:00:00Z"}"#,
            r#"{"id":"7","lastUpdateDateTime":"2026-01-02T00:00:00Z","alerts":null}"#,
        ] {
            let found = events("incidents", Resource::GraphIncidents, text, Form::Compact, IncludeAlerts::Changed);
            assert_eq!(found[0].1, r#"{"lastUpdateDateTime":"2026-01-02T00:00:00Z","id":"7"}"#);
        }
        let partial =
            r#"{"id":"7","lastUpdateDateTime":"2026-01-02T00:00:00Z","alerts":[{"id":"a"}],"alerts@odata.nextLink":"x"}"#;
        let found = events("incidents", Resource::GraphIncidents, partial, Form::Compact, IncludeAlerts::Changed);
        assert!(!found[0].1.contains("alertIds") && found.len() == 2, "{found:?}");
    }

    #[test]
    fn integers_and_names_of_the_defender_api() {
        let text = r#"{"incidentId":924565,"lastUpdateTime":"2020-09-06T14:46:57.29Z","alerts":[{"alertId":"fa1","lastUpdatedTime":"2020-09-06T12:00:00Z","big":639199803770463703}]}"#;
        let found = events("incidents", Resource::XdrIncidents, text, Form::Compact, IncludeAlerts::Changed);
        assert_eq!(
            found[0].1,
            r#"{"lastUpdateTime":"2020-09-06T14:46:57.29Z","incidentId":924565,"alertsCount":1,"alertIds":["fa1"]}"#
        );
        assert_eq!(found[1].1, r#"{"lastUpdatedTime":"2020-09-06T12:00:00Z","alertId":"fa1","big":639199803770463703}"#);
    }

    #[test]
    fn what_is_no_object_or_has_no_time_still_comes_out() {
        for text in ["17", r#"{"id":"x"}"#, r#"{"id":"x","lastUpdateDateTime":"soon"}"#] {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            assert!(!Row::read(raw, names(Resource::GraphAlerts).identity).is_dated());
            let found = events("alerts", Resource::GraphAlerts, text, Form::Verbatim, IncludeAlerts::None);
            assert_eq!(found, [("ms:defender:atp:alerts", text.to_owned())]);
        }
    }
}
