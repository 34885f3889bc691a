//! Pages that are ready before anybody asks: rows rendered, framed and compressed once, so that a measurement measures the
//! caller and not the stand-in.
//!
//! The same pages answer in two ways. To Graph's list requests, where the window's lower edge says which page: each page
//! begins with the row that the page before ended with, since a caller that trusts a full page up to its last row asks
//! again from there; where that is the last row of all, it stands alone. And under `/pages/0`, `/pages/1`, …, chained by `@odata.nextLink`, for callers that follow links and ask
//! for no window.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::accounts;
use crate::entra::Resource;
use crate::generate;
use crate::json::Json;
use crate::model::World;
use crate::throttle::Limits;
use crate::time::Time;
use crate::traffic::Recording;
use crate::wire::{Request, Response, Service, percent_encode};

/// How far back the oldest row is dated.
const AGE: Duration = Duration::from_secs(2 * 86_400);
/// The `lookback` of a first run that is refused a token: it leaves a position at the oldest row, as an outage of two days does.
pub const LOOKBACK_BEFORE: &str = "3d";
/// The `lookback` of the run that is measured: each page is settled by the next, so that no window begins inside of one.
pub const LOOKBACK: &str = "0s";
/// Alerts per incident.
const ALERTS_PER_INCIDENT: f64 = 2.5;

/// Which objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Graph alerts.
    Alerts,
    /// Graph incidents with their alerts.
    Incidents,
}

impl Kind {
    fn path(self) -> &'static str {
        match self {
            Kind::Alerts => "/v1.0/security/alerts_v2",
            Kind::Incidents => "/v1.0/security/incidents",
        }
    }
}

/// How much evidence an alert holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// As generated: four to nine items, 6.5 KB an alert.
    Full,
    /// What fits into 1,700 bytes: one to four items, 3.4 KB an alert, as in `bench/README.md` beside the repository.
    Some,
}

/// The longest evidence of [`Evidence::Some`], in bytes; the first item is always there.
const SOME: usize = 1_700;

/// What to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Which objects.
    pub kind: Kind,
    /// How large they are.
    pub evidence: Evidence,
    /// Rows in a page, at least 2; the last page has half as many. Graph itself has at most 1,000 alerts in a page.
    pub rows: usize,
    /// Pages, at least 1.
    pub pages: usize,
}

impl Plan {
    /// Different rows in all pages.
    pub fn total(&self) -> usize {
        (self.pages - 1) * (self.rows - 1) + self.rows / 2
    }

    /// Which rows a page holds; behind the last one stands one with the last row alone.
    fn span(&self, page: usize) -> std::ops::Range<usize> {
        let from = if page < self.pages { page * (self.rows - 1) } else { self.total() - 1 };
        from..(from + self.rows).min(self.total())
    }
}

/// One page, compressed.
struct Page {
    gzip: Vec<u8>,
    bytes: usize,
}

/// Pages that are ready.
pub struct Preload {
    plan: Plan,
    rows: Vec<String>,
    updated: Vec<Time>,
    pages: Vec<Page>,
}

impl std::fmt::Debug for Preload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Preload({:?})", self.plan)
    }
}

impl Preload {
    /// Makes the pages. `origin` is where they are served, for the links.
    ///
    /// # Panics
    /// When the stand-in for Graph does not render what it was given: a fault of the simulator.
    pub fn new(plan: Plan, now: Time, origin: &str) -> Self {
        let (mut world, updated) = world(&plan, now);
        let rows = render(&mut world, &plan, now);
        assert_eq!(rows.len(), plan.total(), "the stand-in for Graph rendered another number of rows");
        let pages = (0..=plan.pages).map(|page| pack(&plan, page, &rows, origin)).collect();
        Preload { plan, rows, updated, pages }
    }

    /// What was made.
    pub fn plan(&self) -> Plan {
        self.plan
    }

    /// Every row once, oldest first, as served.
    pub fn rows(&self) -> &[String] {
        &self.rows
    }

    /// The rows of one page, as served.
    pub fn page(&self, page: usize) -> &[String] {
        &self.rows[self.plan.span(page)]
    }

    /// The body of one page as it goes over the wire.
    pub fn gzip(&self, page: usize) -> &[u8] {
        &self.pages[page].gzip
    }

    /// The JSON of all pages, in bytes, before compression.
    pub fn bytes(&self) -> usize {
        self.pages[..self.plan.pages].iter().map(|page| page.bytes).sum()
    }

    /// The same as it goes over the wire.
    pub fn gzip_bytes(&self) -> usize {
        self.pages[..self.plan.pages].iter().map(|page| page.gzip.len()).sum()
    }

    /// The update time of the oldest row: the `start` of an input that reads them all.
    pub fn start(&self) -> Time {
        self.updated[0]
    }

    /// Answers a request for one of the pages; `None` for any other request. A list request that fits no page is a 400 that says
    /// so: a caller that asks for windows of its own choice cannot be measured here.
    pub fn answer(&self, request: &Request) -> Option<Response> {
        let segments = request.segments();
        let page = match &segments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["pages", number] => number.parse().ok().filter(|page| *page < self.plan.pages).ok_or("there is no such page"),
            _ if request.method == "GET" && request.path == self.plan.kind.path() => self.asked(request),
            _ => return None,
        };
        Some(match page {
            Ok(page) => {
                Response::new(200, "application/json; odata.metadata=minimal; charset=utf-8", self.pages[page].gzip.clone())
                    .header("Content-Encoding", "gzip")
                    .header("Vary", "Accept-Encoding")
            }
            Err(problem) => Response::new(400, "text/plain", problem),
        })
    }

    /// Which page a list request asks for.
    fn asked(&self, request: &Request) -> Result<usize, &'static str> {
        if !request.header_value("authorization").is_some_and(|value| value.starts_with("Bearer ")) {
            return Err("a list request without a token");
        }
        if request.query_value("$orderby").as_deref() != Some("lastUpdateDateTime asc") {
            return Err("only ascending order is ready");
        }
        let filter = request.query_value("$filter").unwrap_or_default();
        let edge = match filter.split_whitespace().collect::<Vec<_>>()[..] {
            ["lastUpdateDateTime", "ge", edge] => Time::parse(edge).ok_or("the window's edge is no time")?,
            _ => return Err("only windows without an end are ready"),
        };
        let first = self.updated.partition_point(|updated| *updated < edge);
        (0..self.pages.len()).find(|page| self.plan.span(*page).start == first).ok_or("no page begins there")
    }
}

/// The objects, evenly dated, oldest first, and their dates.
fn world(plan: &Plan, now: Time) -> (World, Vec<Time>) {
    let (total, mut world) = (plan.total(), World::empty());
    accounts::furnish(&mut world, None, None);
    world.throttle.limits = Limits::Off;
    world.traffic.recording = Recording::Off;
    let (incidents, alerts) = match plan.kind {
        Kind::Alerts => (total / 3 + 1, total),
        Kind::Incidents => (total, (total as f64 * ALERTS_PER_INCIDENT) as usize),
    };
    generate::fill(&mut world, 7, incidents, alerts, now, AGE);

    // No two in one millisecond, so that a window's edge, which is in milliseconds, names one row.
    let step = AGE.as_nanos() as i64 / 100 / (total as i64 + 1);
    let start = now.minus(AGE).floor(10_000);
    // All seven digits of a fraction: the peers cannot read a time with fewer than three.
    let date = |at: usize| Time((start.0 + at as i64 * step) / 10 * 10 + 7);
    let mut ids: Vec<String> = world.alerts().map(|alert| alert.id.clone()).collect();
    // By hash: ids begin with the product, and products would come in blocks.
    ids.sort_by_key(|id| crate::odata::id_hash(id));
    for (at, id) in ids.iter().enumerate() {
        let Some(mut alert) = world.alert(id).cloned() else { continue };
        if plan.evidence == Evidence::Some {
            let mut room = SOME;
            let fits = |item: &&Json| {
                let length = item.render().len();
                let fits = room == SOME || length <= room;
                room = room.saturating_sub(length);
                fits
            };
            alert.evidence = alert.evidence.iter().take_while(fits).cloned().collect::<Vec<_>>().into();
        }
        if plan.kind == Kind::Alerts {
            alert.updated = date(at);
        }
        world.put_alert(alert);
    }
    if plan.kind == Kind::Incidents {
        let incidents: Vec<_> = world.incidents().cloned().collect();
        for (at, mut incident) in incidents.into_iter().enumerate() {
            incident.updated = date(at);
            world.put_incident(incident);
        }
    }
    (world, (0..total).map(date).collect())
}

/// The rows in Graph's spelling, by asking the stand-in. Each also has `lastUpdateTime`, the name under which the Defender APIs
/// have the same, and which the peers of `bench/` read.
fn render(world: &mut World, plan: &Plan, now: Time) -> Vec<String> {
    let token = world.entra.issue(accounts::TENANT, accounts::CLIENT_ID, Resource::Graph, now).unwrap_or_default();
    let (top, expand) = match plan.kind {
        Kind::Alerts => (1000, ""),
        Kind::Incidents => (50, "&$expand=alerts"),
    };
    let mut rows: Vec<String> = Vec::with_capacity(plan.total());
    let mut edge = now.minus(AGE).floor(10_000);
    while rows.len() < plan.total() {
        let filter = percent_encode(&format!("lastUpdateDateTime ge {edge}"));
        let target = format!("{}?$filter={filter}&$orderby=lastUpdateDateTime%20asc&$top={top}{expand}", plan.kind.path());
        let request = Request::get(&target).bearer(&token).header("prefer", "include-unknown-enum-members");
        let response = crate::answer(world, Service::Graph, &request, now);
        let Some((texts, last)) = read(&response.body) else { break };
        rows.extend(texts);
        edge = Time(last.0 + 1);
    }
    rows
}

/// The rows of an answer, dated under the other name as well, and the last one's date; `None` when there are none.
fn read(body: &[u8]) -> Option<(Vec<String>, Time)> {
    let members: BTreeMap<&str, &RawValue> = serde_json::from_slice(body).ok()?;
    let rows: Vec<&RawValue> = serde_json::from_str(members.get("value")?.get()).ok()?;
    let mut last = None;
    let mut texts = Vec::with_capacity(rows.len());
    for row in rows {
        let value: Value = serde_json::from_str(row.get()).ok()?;
        let updated = value["lastUpdateDateTime"].as_str()?;
        last = Some(Time::parse(updated)?);
        texts.push(format!("{},\"lastUpdateTime\":\"{updated}\"}}", row.get().strip_suffix('}')?));
    }
    Some((texts, last?))
}

/// The body of one page, and its length before compression.
fn pack(plan: &Plan, page: usize, rows: &[String], origin: &str) -> Page {
    let mut body = format!("{{\"@odata.context\":\"https://graph.microsoft.com{}\",", plan.kind.path());
    if page + 1 < plan.pages {
        body.push_str(&format!("\"@odata.nextLink\":\"{origin}/pages/{}\",", page + 1));
    }
    body.push_str("\"value\":[");
    body.push_str(&rows[plan.span(page)].join(","));
    body.push_str("]}");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    // Into memory: cannot fail.
    let gzip = gzip.write_all(body.as_bytes()).and_then(|()| gzip.finish()).unwrap_or_default();
    Page { gzip, bytes: body.len() }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    fn preload(kind: Kind) -> Preload {
        let plan = Plan { kind, evidence: Evidence::Some, rows: 6, pages: 3 };
        Preload::new(plan, Time::from_unix(1_800_000_000), "https://graph")
    }

    fn body(response: &Response) -> Value {
        let mut text = String::new();
        GzDecoder::new(&response.body[..]).read_to_string(&mut text).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn list(kind: Kind, filter: &str) -> Request {
        let order = percent_encode("lastUpdateDateTime asc");
        Request::get(&format!("{}?$filter={}&$orderby={order}&$top=6", kind.path(), percent_encode(filter))).bearer("token")
    }

    #[test]
    fn links_lead_through_all_pages() {
        for kind in [Kind::Alerts, Kind::Incidents] {
            let preload = preload(kind);
            assert_eq!(preload.rows().len(), 13, "two pages of six that share a row, and three more");
            let mut next = Some("https://graph/pages/0".to_string());
            let mut rows = Vec::new();
            while let Some(url) = next {
                let page = body(&preload.answer(&Request::get(url.trim_start_matches("https://graph"))).unwrap());
                rows.push(page["value"].as_array().unwrap().clone());
                next = page["@odata.nextLink"].as_str().map(str::to_string);
            }
            assert_eq!(rows.iter().map(Vec::len).collect::<Vec<_>>(), [6, 6, 3]);
            assert_eq!((rows[0].last(), rows[1].last()), (rows[1].first(), rows[2].first()));
            let times: Vec<_> = preload.rows().iter().map(|row| serde_json::from_str::<Value>(row).unwrap()).collect();
            let times: Vec<_> =
                times.iter().map(|row| Time::parse(row["lastUpdateDateTime"].as_str().unwrap()).unwrap()).collect();
            assert!(times.windows(2).all(|pair| pair[0].0 / 10_000 < pair[1].0 / 10_000), "no two in one millisecond");
            assert!(rows[0][0]["lastUpdateTime"] == rows[0][0]["lastUpdateDateTime"]);
        }
    }

    #[test]
    fn a_window_from_the_last_row_on_is_the_next_page() {
        for kind in [Kind::Alerts, Kind::Incidents] {
            let preload = preload(kind);
            let mut edge = preload.start();
            for page in 0..4 {
                let edged = format!("lastUpdateDateTime ge {}", edge.floor(10_000));
                let answer = preload.answer(&list(kind, &edged)).unwrap();
                assert_eq!((answer.status, &answer.body[..]), (200, preload.gzip(page)));
                let rows = body(&answer);
                let last = rows["value"].as_array().unwrap().last().unwrap().clone();
                edge = Time::parse(last["lastUpdateDateTime"].as_str().unwrap()).unwrap();
                assert_eq!(rows["@odata.nextLink"].is_null(), page >= 2);
            }
        }
    }

    #[test]
    fn what_fits_no_page_is_refused_and_what_is_no_list_is_not_ours() {
        let preload = preload(Kind::Alerts);
        let start = preload.start();
        let good = format!("lastUpdateDateTime ge {start}");
        let unordered = Request::get(&format!("{}?$filter={}", Kind::Alerts.path(), percent_encode(&good))).bearer("token");
        let mut nameless = list(Kind::Alerts, &good);
        nameless.headers.clear();
        for (request, problem) in [
            (unordered, "ascending order"),
            (nameless, "without a token"),
            (list(Kind::Alerts, &format!("{good} and lastUpdateDateTime lt 2030-01-01T00:00:00Z")), "without an end"),
            (list(Kind::Alerts, &format!("lastUpdateDateTime ge {}", start.plus(Duration::from_secs(1)))), "no page begins"),
            (list(Kind::Alerts, "lastUpdateDateTime ge yesterday"), "no time"),
            (Request::get("/pages/3"), "no such page"),
            (Request::get("/pages/x"), "no such page"),
        ] {
            let answer = preload.answer(&request).unwrap();
            assert_eq!(answer.status, 400);
            assert!(String::from_utf8_lossy(&answer.body).contains(problem), "{problem}");
        }
        assert!(preload.answer(&Request::get("/v1.0/security/alerts_v2/da1")).is_none());
        assert!(preload.answer(&list(Kind::Incidents, &good)).is_none());
    }
}
