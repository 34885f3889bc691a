//! Paths of requests: which list, which window, which object, and the permission each needs.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::cloud::{Api, Resource, What};
use super::object::names;
use crate::masking::foreign_text;
use crate::planted::{Planted, planted};
use crate::time::Ticks;

/// What may stay readable in a query's value: never a separator, and not `+`, which some servers read as a space.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b':');

/// Whether the service is asked to sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By update time, oldest first. Documented for neither Defender API; Graph takes it, but a 400 is possible.
    OldestFirst,
    /// As the service likes: newest first in practice.
    AsServed,
}

/// Whether incidents come with their alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expand {
    /// With them. XDR incidents always come so.
    Alerts,
    /// Without them, where the API allows.
    Nothing,
}

/// One list request: the objects updated in `[lo, hi)`.
#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    /// Which objects.
    pub resource: Resource,
    /// The window's lower edge, included.
    pub lo: Ticks,
    /// The window's upper edge, excluded; `None` is open.
    pub hi: Option<Ticks>,
    /// The admin's filter, checked by [`check_filter`].
    pub extra_filter: Option<&'a str>,
    /// Whether to ask for an order.
    pub order: Order,
    /// Rows asked for.
    pub top: u32,
    /// Rows to pass over; only within a single time stamp.
    pub skip: u32,
    /// Whether to ask for the incidents' alerts.
    pub expand: Expand,
}

impl List<'_> {
    /// Path and query, percent-encoded, to append to the host. Edges are written in whole milliseconds: the lower one
    /// rounded down, the upper one up.
    pub fn path_and_query(&self) -> String {
        let updated = names(self.resource).identity.updated;
        let edge = if planted(Planted::StrictEdge) { "gt" } else { "ge" };
        let mut filter = format!("{updated} {edge} {}", self.lo.floor_ms().rfc3339_ms());
        if let Some(hi) = self.hi {
            filter.push_str(&format!(" and {updated} lt {}", hi.ceil_ms().rfc3339_ms()));
        }
        if let Some(extra) = self.extra_filter.map(str::trim).filter(|extra| !extra.is_empty()) {
            filter.push_str(&format!(" and ({extra})"));
        }
        let mut path = format!("{}?$filter={}", collection(self.resource), utf8_percent_encode(&filter, VALUE));
        if self.order == Order::OldestFirst {
            path.push_str(&format!("&$orderby={}", utf8_percent_encode(&format!("{updated} asc"), VALUE)));
        }
        path.push_str(&format!("&$top={}", self.top));
        if self.skip > 0 {
            path.push_str(&format!("&$skip={}", self.skip));
        }
        match (self.resource, self.expand) {
            (Resource::GraphIncidents, Expand::Alerts) => path.push_str("&$expand=alerts"),
            // Without it `evidence` is an empty list, which looks like an alert without evidence.
            (Resource::EndpointAlerts, _) => path.push_str("&$expand=evidence"),
            _ => {}
        }
        path
    }
}

/// The path of one object, its id percent-encoded.
pub fn object(resource: Resource, id: &str, expand: Expand) -> String {
    let path = format!("{}/{}", collection(resource), utf8_percent_encode(id, VALUE));
    match (resource, expand) {
        (Resource::GraphIncidents, Expand::Alerts) => format!("{path}?$expand=alerts"),
        _ => path,
    }
}

/// The list of these Endpoint alerts: the one API that finds objects by id. The ids are as [`check_id`] wants them, so none
/// ends its quotes.
pub fn alerts_by_id(ids: &[&str]) -> String {
    let wanted: Vec<String> = ids.iter().map(|id| format!("id eq '{id}'")).collect();
    let filter = wanted.join(" or ");
    let path = collection(Resource::EndpointAlerts);
    format!("{path}?$filter={}&$top={}", utf8_percent_encode(&filter, VALUE), ids.len())
}

/// The path that makes one change of many Endpoint alerts.
pub fn batch_update() -> String {
    format!("{}/batchUpdate", collection(Resource::EndpointAlerts))
}

/// Checks an id that came from a search result: an empty one would name the whole list.
///
/// # Errors
/// A sentence that says what an id looks like.
pub fn check_id(resource: Resource, id: &str) -> Result<(), String> {
    let fits = match resource.what() {
        What::Incidents => id.len() <= 19 && id.bytes().all(|b| b.is_ascii_digit()),
        // Every product has its own form (da637…_-961…, ca…, a GUID); none holds more than these.
        What::Alerts => id.len() <= 200 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_~:=!".contains(&b)),
    };
    if fits && !id.is_empty() {
        return Ok(());
    }
    let shown = foreign_text(&id.chars().filter(|c| !c.is_control()).take(60).collect::<String>());
    Err(match resource.what() {
        What::Incidents => format!("`{shown}` is not an incident id: a whole number is expected"),
        What::Alerts => format!("`{shown}` is not an alert id: letters, digits, - and _ are expected"),
    })
}

/// The path that takes comments; Graph alone has one, the Defender APIs take a comment with the change.
pub fn comments(resource: Resource, id: &str) -> Option<String> {
    (resource.api() == Api::Graph).then(|| format!("{}/comments", object(resource, id, Expand::Nothing)))
}

fn collection(resource: Resource) -> &'static str {
    match resource {
        Resource::GraphIncidents => "/v1.0/security/incidents",
        Resource::GraphAlerts => "/v1.0/security/alerts_v2",
        Resource::XdrIncidents => "/api/incidents",
        Resource::EndpointAlerts => "/api/alerts",
    }
}

/// What an application permission is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Listing and reading.
    Read,
    /// Changing; it includes reading.
    Write,
}

/// The application permission, as the Entra portal spells it.
pub fn permission(resource: Resource, access: Access) -> &'static str {
    match (resource, access) {
        (Resource::GraphIncidents, Access::Read) => "SecurityIncident.Read.All",
        (Resource::GraphIncidents, Access::Write) => "SecurityIncident.ReadWrite.All",
        (Resource::GraphAlerts, Access::Read) => "SecurityAlert.Read.All",
        (Resource::GraphAlerts, Access::Write) => "SecurityAlert.ReadWrite.All",
        (Resource::XdrIncidents, Access::Read) => "Incident.Read.All",
        (Resource::XdrIncidents, Access::Write) => "Incident.ReadWrite.All",
        (Resource::EndpointAlerts, Access::Read) => "Alert.Read.All",
        // The page on updating alerts writes "Alerts.ReadWrite.All"; no permission of that name exists.
        (Resource::EndpointAlerts, Access::Write) => "Alert.ReadWrite.All",
    }
}

/// The permission that a request needs, from its path; `None` for a path of no resource.
pub fn permission_for(api: Api, path: &str, access: Access) -> Option<&'static str> {
    let path = path.split('?').next().unwrap_or_default();
    let under =
        |resource: &Resource| path.strip_prefix(collection(*resource)).is_some_and(|r| r.is_empty() || r.starts_with('/'));
    let resource = Resource::ALL.into_iter().filter(|resource| resource.api() == api).find(under)?;
    Some(permission(resource, access))
}

/// Whether a path asks for a whole list and not for one of its objects.
pub fn is_list(api: Api, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    Resource::ALL.into_iter().any(|resource| resource.api() == api && collection(resource) == path)
}

/// Checks an admin's filter: it may not name the update time, which is ours, and it must stay inside the parentheses
/// that it is put in; otherwise it would change which window an answer proves.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn check_filter(resource: Resource, filter: &str) -> Result<(), String> {
    let updated = names(resource).identity.updated;
    let (mut depth, mut quoted, mut word) = (0_i32, false, String::new());
    for c in filter.chars().chain([' ']) {
        if c.is_control() {
            return Err("it holds a control character: write it on one line".to_owned());
        }
        if !quoted && (c.is_alphanumeric() || c == '_') {
            word.push(c);
            continue;
        }
        if word.eq_ignore_ascii_case(updated) {
            return Err(format!("it names {updated}, which the input sets itself: remove that part"));
        }
        word.clear();
        match c {
            // A quote inside a text is written twice, which closes and opens again.
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            break;
        }
    }
    if quoted {
        return Err("it has a quote that is not closed".to_owned());
    }
    if depth != 0 {
        return Err("it has parentheses that do not match".to_owned());
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn time(text: &str) -> Ticks {
        Ticks::parse(text).unwrap()
    }

    fn list(resource: Resource) -> List<'static> {
        List {
            resource,
            lo: time("2026-11-22T08:00:00Z"),
            hi: Some(time("2026-11-22T09:00:00.5Z")),
            extra_filter: None,
            order: Order::AsServed,
            top: 50,
            skip: 0,
            expand: Expand::Nothing,
        }
    }

    /// The query as a server reads it.
    fn decoded(path: &str) -> String {
        percent_encoding::percent_decode_str(path).decode_utf8().unwrap().into_owned()
    }

    #[test]
    fn lists_of_every_resource() {
        let window = |name: &str| format!("{name} ge 2026-11-22T08:00:00.000Z and {name} lt 2026-11-22T09:00:00.500Z");
        let (graph, defender) = (window("lastUpdateDateTime"), window("lastUpdateTime"));
        let table = [
            (list(Resource::GraphIncidents), format!("/v1.0/security/incidents?$filter={graph}&$top=50")),
            (
                List { order: Order::OldestFirst, expand: Expand::Alerts, ..list(Resource::GraphIncidents) },
                format!("/v1.0/security/incidents?$filter={graph}&$orderby=lastUpdateDateTime asc&$top=50&$expand=alerts"),
            ),
            (
                List { top: 1000, skip: 999, expand: Expand::Alerts, ..list(Resource::GraphAlerts) },
                format!("/v1.0/security/alerts_v2?$filter={graph}&$top=1000&$skip=999"),
            ),
            (
                List { expand: Expand::Alerts, ..list(Resource::XdrIncidents) },
                format!("/api/incidents?$filter={defender}&$top=50"),
            ),
            (list(Resource::EndpointAlerts), format!("/api/alerts?$filter={defender}&$top=50&$expand=evidence")),
            (
                List { hi: None, extra_filter: Some(" severity eq 'high' or a eq 'x&y' "), ..list(Resource::GraphAlerts) },
                "/v1.0/security/alerts_v2?$filter=lastUpdateDateTime ge 2026-11-22T08:00:00.000Z \
                 and (severity eq 'high' or a eq 'x&y')&$top=50"
                    .to_owned(),
            ),
            (
                List { extra_filter: Some("  "), ..list(Resource::GraphAlerts) },
                format!("/v1.0/security/alerts_v2?$filter={graph}&$top=50"),
            ),
        ];
        for (list, expected) in table {
            let path = list.path_and_query();
            assert_eq!(decoded(&path), expected);
            assert!(path.parse::<http::Uri>().is_ok(), "{path}");
            assert!(!path.contains(['+', ' ', '\'', '#']), "{path}");
        }
        let odd = List { extra_filter: Some("a eq 'x&y=z+#%é'"), ..list(Resource::GraphAlerts) }.path_and_query();
        assert_eq!(odd.matches('&').count(), 1, "{odd}");
        assert!(odd.contains("x%26y%3Dz%2B%23%25%C3%A9"), "{odd}");
    }

    #[test]
    fn edges_are_whole_milliseconds_outwards() {
        let list = List {
            lo: time("2026-01-01T00:00:00.1239999Z"),
            hi: Some(time("2026-01-01T00:00:00.2000001Z")),
            ..list(Resource::EndpointAlerts)
        };
        let path = decoded(&list.path_and_query());
        assert!(path.contains("ge 2026-01-01T00:00:00.123Z and lastUpdateTime lt 2026-01-01T00:00:00.201Z"), "{path}");
    }

    #[test]
    fn objects_and_comments() {
        assert_eq!(object(Resource::GraphIncidents, "42", Expand::Alerts), "/v1.0/security/incidents/42?$expand=alerts");
        assert_eq!(object(Resource::XdrIncidents, "42", Expand::Alerts), "/api/incidents/42");
        assert_eq!(object(Resource::EndpointAlerts, "da6_-1", Expand::Nothing), "/api/alerts/da6_-1");
        // An id comes from a search result: it must not reach another path.
        assert_eq!(object(Resource::GraphAlerts, "../x?y#z", Expand::Nothing), "/v1.0/security/alerts_v2/..%2Fx%3Fy%23z");
        assert_eq!(comments(Resource::GraphAlerts, "a").unwrap(), "/v1.0/security/alerts_v2/a/comments");
        assert_eq!(comments(Resource::XdrIncidents, "1"), None);
    }

    #[test]
    fn permissions_by_path() {
        let table = [
            (Api::Graph, "/v1.0/security/incidents?$expand=alerts", Access::Read, Some("SecurityIncident.Read.All")),
            (Api::Graph, "/v1.0/security/alerts_v2/x/comments", Access::Write, Some("SecurityAlert.ReadWrite.All")),
            (Api::Xdr, "/api/incidents/1", Access::Write, Some("Incident.ReadWrite.All")),
            (Api::Endpoint, "/api/alerts", Access::Read, Some("Alert.Read.All")),
            (Api::Endpoint, "/api/alertsx", Access::Read, None),
            (Api::Xdr, "/api/alerts", Access::Read, None),
        ];
        for (api, path, access, expected) in table {
            assert_eq!(permission_for(api, path, access), expected, "{path}");
        }
    }

    #[test]
    fn filters_stay_in_their_place() {
        for filter in [
            "severity eq 'high'",
            "(status eq 'new') or (status eq 'inProgress')",
            "title eq 'it''s (odd'",
            "x eq 'lastUpdateDateTime'",
            "",
        ] {
            assert_eq!(check_filter(Resource::GraphAlerts, filter), Ok(()), "{filter}");
        }
        let table = [
            ("lastUpdateDateTime gt 2026-01-01T00:00:00Z", "names lastUpdateDateTime"),
            ("not(LASTUPDATEDATETIME gt x)", "names lastUpdateDateTime"),
            ("a eq 1 or b ge lastUpdateDateTime", "names lastUpdateDateTime"),
            ("a eq 1) or (b eq 2", "parentheses"),
            ("(a eq 1", "parentheses"),
            ("a eq 'x", "quote"),
            ("a eq 1\nor b", "control character"),
        ];
        for (filter, part) in table {
            let fault = check_filter(Resource::GraphAlerts, filter).unwrap_err();
            assert!(fault.contains(part), "{filter}: {fault}");
        }
        assert!(check_filter(Resource::EndpointAlerts, "lastUpdateTime gt x").is_err());
        assert!(check_filter(Resource::GraphAlerts, "lastUpdateTime gt x").is_ok());
    }
}
