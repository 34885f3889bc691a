//! What identifies an object and its version in each API's JSON: names only.

use super::cloud::Resource;
use crate::json::value::{Object, Value};
use crate::planted::{Planted, planted};

/// The members that make a version of an object: the key is (id, update time).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The id: a string, but an integer for XDR incidents.
    pub id: &'static str,
    /// The time of the last update, RFC 3339.
    pub updated: &'static str,
}

/// The members this program reads of one kind of object; all others pass through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    /// Of the object itself; `updated` is also the name that filters and orders use.
    pub identity: Identity,
    /// Of each alert in the incident's `alerts`; `None` where the object is an alert.
    pub alert: Option<Identity>,
    /// The incident's list of alerts.
    pub alerts: &'static str,
    /// The alert's reference to its incident (a string in Graph, an integer elsewhere).
    pub incident_id: &'static str,
    /// The alert's list of evidence.
    pub evidence: &'static str,
    /// The incident's tags that people set; alerts have none.
    pub tags: &'static str,
}

impl Names {
    /// What says where an object belongs: the incident of an alert. `None` of what is no alert.
    pub fn place(&self) -> Option<&'static str> {
        self.alert.is_none().then_some(self.incident_id)
    }
}

/// What an incident holds in the place of its alerts.
#[derive(Debug)]
pub struct Expanded<'a> {
    /// The alerts; one that stands there without a list counts as a list of one.
    pub rows: Vec<Value<'a>>,
    /// Whether there is a list of all of them: no link leads to more, and none is counted that is not there.
    pub is_whole: bool,
}

/// Reads the alerts of an incident; `None` where it has no such member, or null.
pub fn expanded<'a>(incident: Object<'a>, names: &Names) -> Option<Expanded<'a>> {
    let alerts = incident.get(names.alerts).filter(|alerts| !alerts.is_null())?;
    let beside = |what: &str| incident.get(&format!("{}@odata.{what}", names.alerts));
    let Some(list) = alerts.list() else {
        return Some(Expanded { rows: alerts.object().map(|_| alerts).into_iter().collect(), is_whole: false });
    };
    let rows: Vec<_> = list.collect();
    let counted = beside("count").and_then(|count| count.raw().parse::<usize>().ok());
    let is_cut = beside("nextLink").is_some() && !planted(Planted::CutListIsWhole);
    let is_whole = !is_cut && counted.is_none_or(|count| count <= rows.len());
    Some(Expanded { rows, is_whole })
}

const GRAPH: Identity = Identity { id: "id", updated: "lastUpdateDateTime" };

const GRAPH_INCIDENT: Names = Names {
    identity: GRAPH,
    alert: Some(GRAPH),
    alerts: "alerts",
    incident_id: "incidentId",
    evidence: "evidence",
    tags: "customTags",
};

const GRAPH_ALERT: Names = Names { alert: None, ..GRAPH_INCIDENT };

const XDR_INCIDENT: Names = Names {
    identity: Identity { id: "incidentId", updated: "lastUpdateTime" },
    // Not a slip: the alerts inside say lastUpdate*d*Time, the incident around them does not.
    alert: Some(Identity { id: "alertId", updated: "lastUpdatedTime" }),
    alerts: "alerts",
    incident_id: "incidentId",
    evidence: "entities",
    tags: "tags",
};

const ENDPOINT_ALERT: Names = Names {
    identity: Identity { id: "id", updated: "lastUpdateTime" },
    alert: None,
    alerts: "alerts",
    incident_id: "incidentId",
    evidence: "evidence",
    tags: "tags",
};

/// The names of a resource's objects.
pub fn names(resource: Resource) -> &'static Names {
    match resource {
        Resource::GraphIncidents => &GRAPH_INCIDENT,
        Resource::GraphAlerts => &GRAPH_ALERT,
        Resource::XdrIncidents => &XDR_INCIDENT,
        Resource::EndpointAlerts => &ENDPOINT_ALERT,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::microsoft::page::PageReader;
    use crate::microsoft::stand_in::fixture;
    use crate::time::Ticks;

    #[test]
    fn the_documents_samples_carry_these_names() {
        let table = [
            (Resource::GraphIncidents, "graph-security/list-incidents-200.json"),
            (Resource::GraphIncidents, "graph-security/list-incidents-expand-alerts-200.json"),
            (Resource::GraphAlerts, "graph-security/list-alerts_v2-200.json"),
            (Resource::XdrIncidents, "xdr-incidents/api-list-incidents-1.json"),
            (Resource::EndpointAlerts, "mde-alerts/get-alerts-1.json"),
            (Resource::EndpointAlerts, "mde-alerts/get-alerts-2.json"),
        ];
        let has = |object: &serde_json::Value, identity: Identity, file: &str| {
            assert!(object[identity.id].is_string() || object[identity.id].is_u64(), "{file}: {}", identity.id);
            let updated = object[identity.updated].as_str().unwrap_or_else(|| panic!("{file}: {}", identity.updated));
            assert!(Ticks::parse(updated).is_some(), "{file}: {updated}");
        };
        for (resource, file) in table {
            let Some(body) = fixture(&format!("msapi/{file}")) else { return };
            let names = names(resource);
            let mut page = PageReader::new(&*body);
            let mut rows = 0;
            while let Some(row) = page.next_row().unwrap() {
                rows += 1;
                let object: serde_json::Value = serde_json::from_str(row.raw()).unwrap();
                has(&object, names.identity, file);
                for alert in object[names.alerts].as_array().into_iter().flatten() {
                    has(alert, names.alert.unwrap(), file);
                    assert!(alert[names.evidence].is_array(), "{file}");
                }
            }
            assert!(rows > 0, "{file}");
        }
    }

    #[test]
    fn whether_a_list_inside_an_object_is_whole() {
        type Row<'a> = (&'a str, Option<(usize, bool)>);
        let table: [Row<'_>; 12] = [
            (r#"{"alerts":[]}"#, Some((0, true))),
            (r#"{"alerts":[{"id":"1"},{"id":"2"}]}"#, Some((2, true))),
            (r#"{"alerts":[{"id":"1"}],"alerts@odata.nextLink":"https://graph/next"}"#, Some((1, false))),
            (r#"{"alerts@odata.nextLink":"https://graph/next","alerts":[]}"#, Some((0, false))),
            (r#"{"alerts":[{"id":"1"}],"alerts@odata.count":2}"#, Some((1, false))),
            (r#"{"alerts":[{"id":"1"}],"alerts@odata.count":1}"#, Some((1, true))),
            (r#"{"alerts":[{"id":"1"}],"alerts@odata.count":"many"}"#, Some((1, true))),
            (r#"{"alerts":{"id":"1"}}"#, Some((1, false))),
            (r#"{"alerts":"none"}"#, Some((0, false))),
            (r#"{"alerts":7}"#, Some((0, false))),
            (r#"{"alerts":null}"#, None),
            (r#"{"id":"1"}"#, None),
        ];
        for (text, expected) in table {
            let mut index = crate::json::index::Index::default();
            let object = index.of(text).and_then(Value::object).unwrap();
            let found = expanded(object, names(Resource::GraphIncidents)).map(|alerts| (alerts.rows.len(), alerts.is_whole));
            assert_eq!(found, expected, "{text}");
        }
    }
}
