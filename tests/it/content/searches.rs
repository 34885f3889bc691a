//! The shipped searches, run over events and log lines of the program.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use simulator::accounts::Account;
use simulator::throttle::RetryAfter;
use simulator::{FaultKind, When};

use crate::respond::act::{Act, action_of};
use crate::respond::audit;
use crate::search::{self, Fields, Knowledge, pipeline};
use crate::support::{Ended, Event, List, Stage, streamed};

use super::{first, records};

/// What a Splunk with this add-on has: the events of both feeds of an API with some history, results of alert actions, and
/// log lines of inputs and actions in good days and bad.
pub(super) struct Archive {
    pub(super) events: Vec<Fields>,
    /// An incident that was resolved and opened again, and one that was resolved.
    reopened: String,
    resolved: String,
    /// Ids of the incidents that are not resolved, as the service has them.
    open: BTreeSet<String>,
}

/// The lines of a program as `splunkd.log` and then a search have them.
fn logged(ended: &Ended, action: Option<&str>, out: &mut Vec<Fields>) {
    out.extend(ended.log().iter().map(|line| line_of(&line.level, &line.message, action)));
}

fn line_of(level: &str, message: &str, action: Option<&str>) -> Fields {
    let now = chrono::Utc::now();
    let component = if action.is_some() { "sendmodalert" } else { "ExecProcessor" };
    let from = match action {
        Some(action) => format!("action={action} STDERR -  "),
        None => "message from \"/opt/splunk/etc/apps/TA_defender/bin/defender\" ".to_owned(),
    };
    let stamp = now.format("%m-%d-%Y %H:%M:%S%.3f +0000");
    let raw = format!("{stamp} {level:<5} {component} [4711 {component}] - {from}{message}");
    let time = format!("{}.{:03}", now.timestamp(), now.timestamp_subsec_millis());
    let mut fields: Fields = [
        ("_raw", raw.as_str()),
        ("_time", &time),
        ("index", "_internal"),
        ("sourcetype", "splunkd"),
        ("host", "forwarder"),
        ("component", component),
        ("log_level", level),
    ]
    .map(|(name, value)| (name.to_owned(), vec![value.to_owned()]))
    .into();
    if let Some(action) = action {
        fields.insert("action".to_owned(), vec![action.to_owned()]);
    }
    fields
}

impl Archive {
    pub(super) fn of(incidents: List, alerts: List) -> Self {
        let knowledge = Knowledge::load();
        let stage = Stage::new();
        let (mut events, mut log) = (Vec::new(), Vec::new());
        let inputs = [stage.input(incidents).named("incidents").set("evidence", "both"), stage.input(alerts).named("alerts")];
        let mut poll = |log: &mut Vec<Fields>| {
            for input in &inputs {
                let ended = input.clone().at_once().run().exits(0);
                logged(&ended, None, log);
                events.extend(ended.events().iter().map(|event| knowledge.fields(event)));
            }
        };
        let act = |list: List, ids: &[&String], status: &str, log: &mut Vec<Fields>| {
            let ended = Act::new(&stage, list).set("status", status).ids(ids).run();
            logged(&ended, Some(action_of(list)), log);
        };
        let [reopened, resolved]: [String; 2] = stage.fresh(incidents, 2).try_into().unwrap();
        let alert = stage.fresh(alerts, 1).remove(0);
        poll(&mut log);
        act(incidents, &[&reopened, &resolved, &"4711".to_owned()], "resolved", &mut log);
        act(alerts, &[&alert], "inProgress", &mut log);
        act(alerts, &[&alert], "inProgress", &mut log);
        poll(&mut log);
        act(incidents, &[&reopened], "active", &mut log);
        poll(&mut log);
        let rehearsed = Act::new(&stage, alerts).set("dry_run", "1").set("status", "resolved").ids(&[&alert]).run().exits(0);
        logged(&rehearsed, Some(action_of(alerts)), &mut log);
        events.extend(audit(&stage).0.iter().map(|event| knowledge.fields(&audit_event(event, action_of(incidents)))));

        // Bad days: throttled for a moment and for long, something that cannot be read, an input that was never right.
        for (name, seconds) in [("throttled", 1), ("patient", 600)] {
            stage.fault(alerts.route(), When::Once, FaultKind::Throttled(seconds, RetryAfter::Seconds));
            logged(&stage.input(alerts).named(name).at_once().run().exits(0), None, &mut log);
            stage.sim.faults().clear();
        }
        logged(&stage.input(alerts).named("stranger").set("account", "nobody").run().exits(2), None, &mut log);
        stage.sim.add_lapsed_account(&Account::new("lapsed"));
        logged(&stage.input(alerts).named("lapsed").set("account", "lapsed").at_once().run(), None, &mut log);
        let past = stage.sim.now().minus(std::time::Duration::from_secs(60));
        let (tenant, client) = (simulator::accounts::TENANT, simulator::accounts::CLIENT_ID);
        stage.sim.world(|world| world.entra.application(tenant, client).unwrap().secrets[0].1 = Some(past));
        logged(&stage.input(alerts).named("expired").run().exits(2), None, &mut log);
        act(alerts, &[&alert], "resolved", &mut log);

        log.extend(streamed().iter().map(|line| line_of(&line.level, &line.message, None)));
        let tables = ["DeviceProcessEvents", "EmailEvents", "AlertInfo"];
        events.extend(tables.into_iter().flat_map(records::of_table).map(|one| one.fields.clone()));
        events.push(records::unparsed(&knowledge));

        let open = stage.objects(incidents).into_iter().filter_map(|object| {
            let incident: Value = serde_json::from_str(&object.text).unwrap();
            let status = incident["status"].as_str().unwrap().to_lowercase();
            (!matches!(status.as_str(), "resolved" | "redirected")).then_some(object.id)
        });
        let open = open.collect();
        events.extend(log);
        Self { events, reopened, resolved, open }
    }
}

/// The event that stands for rows which are not told one by one.
fn told_by_number(list: List) -> Fields {
    let stage = Stage::new();
    let rows: String = (0..1100).map(|number| format!("al{number}\n")).collect();
    let act = Act::new(&stage, list).set("status", "resolved").set("api", "soap").csv(&format!("id\n{rows}"));
    act.run().exits(2);
    let (events, _) = audit(&stage);
    let many = events.iter().find(|event| !event["rows"].is_null()).unwrap();
    Knowledge::load().fields(&audit_event(many, action_of(list)))
}

fn audit_event(event: &Value, source: &str) -> Event {
    let time = simulator::Time::parse(event["time"].as_str().unwrap()).unwrap().0;
    Event {
        time: format!("{}.{:03}", time / 10_000_000, time % 10_000_000 / 10_000),
        source: source.to_owned(),
        sourcetype: "ms:defender:writeback".to_owned(),
        data: event.to_string(),
        ..Event::default()
    }
}

/// The shipped searches that read events or logs of this add-on: name and text.
pub(super) fn shipped() -> BTreeMap<String, String> {
    let own = |(name, settings): (String, Vec<(String, String)>)| {
        let text = settings.into_iter().find(|(key, _)| key == "search").unwrap().1;
        (!name.ends_with("in Enterprise Security")).then_some((name, text))
    };
    search::conf("savedsearches").into_iter().filter_map(own).collect()
}

#[test]
fn each_shipped_search_finds_what_it_is_for() {
    let (searches, macros) = (shipped(), search::conf("macros"));
    for (incidents, alerts) in [(List::GraphIncidents, List::GraphAlerts), (List::XdrIncidents, List::EndpointAlerts)] {
        let archive = Archive::of(incidents, alerts);
        let mut rest: BTreeSet<&str> = searches.keys().map(String::as_str).collect();
        let mut run = |name: &str| {
            let name = format!("Defender - {name}");
            assert!(rest.remove(name.as_str()), "{name}");
            let rows = pipeline::run(&searches[&name], &macros, &archive.events);
            assert!(!rows.is_empty(), "{name} is empty");
            rows
        };
        let all = |rows: &[Fields], names: &[&str]| {
            for (row, name) in rows.iter().flat_map(|row| names.iter().map(move |name| (row, name))) {
                assert!(!first(row, name).is_empty(), "no {name}: {row:?}");
            }
        };
        let of = |rows: &[Fields], name: &str, value: &str| -> Fields {
            let found = rows.iter().find(|row| first(row, name) == value);
            found.unwrap_or_else(|| panic!("no {name}={value}: {rows:#?}")).clone()
        };

        let rows = run("Open incidents by severity");
        let ids: Vec<&str> = rows.iter().map(|row| first(row, "id")).collect();
        assert_eq!(ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>(), archive.open);
        assert_eq!(ids.len(), archive.open.len(), "the newest version of each, and that alone");
        all(&rows, &["_time", "severity", "status", "title"]);
        let rank =
            |row: &Fields| ["high", "medium", "low", "informational"].iter().position(|name| *name == first(row, "severity"));
        assert!(rows.is_sorted_by_key(rank), "gravest first");

        for (name, by, beside) in
            [("device", "dest", "users"), ("user", "user", "devices"), ("technique", "mitre_technique_id", "devices")]
        {
            let rows = run(&format!("Alerts by {name}"));
            all(&rows, &[by, "alerts", "open", beside, "severity", "signature", "last"]);
            let sum = |name: &str| rows.iter().map(|row| first(row, name).parse::<usize>().unwrap()).sum::<usize>();
            assert!(sum("alerts") > sum("open") && sum("open") > 0, "{rows:?}");
        }

        let rows = run("Incidents opened again");
        assert_eq!(rows.iter().map(|row| first(row, "id")).collect::<Vec<_>>(), [archive.reopened.as_str()]);
        all(&rows, &["_time", "severity", "status", "title"]);

        let rows = run("Time to resolve");
        all(&rows, &["severity", "incidents", "median_hours", "p90_hours", "longest_hours"]);
        let hours = |row: &Fields| first(row, "median_hours").parse::<f64>().unwrap();
        assert!(rows.iter().all(|row| hours(row) >= 0.0), "{rows:?}");
        let severity = archive.events.iter().find(|event| first(event, "ticket_id") == archive.resolved).unwrap();
        of(&rows, "severity", first(severity, "severity"));

        let rows = run("Results of alert actions");
        all(&rows, &["command", "object_category", "result", "dry_run", "user", "count", "last"]);
        let results: BTreeSet<&str> = rows.iter().map(|row| first(row, "result")).collect();
        assert!(results.is_superset(&["updated", "unchanged", "not_found"].into()), "{results:?}");
        assert_eq!(first(&of(&rows, "dry_run", "true"), "command"), action_of(alerts));

        let rows = run("Input health");
        let healthy = of(&rows, "input", "alerts");
        for (name, wanted) in
            [("polls", "3"), ("set_aside", "0"), ("history_left_s", "0"), ("errors", "0"), ("minutes_since_poll", "0")]
        {
            assert_eq!(first(&healthy, name), wanted, "{name}: {healthy:?}");
        }
        let number = |row: &Fields, name: &str| first(row, name).parse::<f64>().unwrap_or_else(|_| panic!("no {name}: {row:?}"));
        assert!(number(&healthy, "requests") >= 3.0 && number(&healthy, "events") > 20.0, "{healthy:?}");
        assert!(number(&healthy, "lag_s") < 600.0, "{healthy:?}");
        assert_eq!(number(&of(&rows, "input", "expired"), "errors"), 1.0);
        let stranger = of(&rows, "input", "stranger");
        assert!(number(&stranger, "errors") == 1.0 && number(&stranger, "polls") == 0.0, "an input that never polled is there");
        assert!(!stranger.contains_key("minutes_since_poll"), "{stranger:?}");
        assert!(number(&of(&rows, "input", "throttled"), "throttled_s") >= 1.0);
        assert!(first(&rows[0], "errors") != "0", "trouble comes first");

        let hub = of(&rows, "input", "hub");
        for (name, wanted) in [("polls", "0"), ("events", "200"), ("lag_s", "61"), ("minutes_since_poll", "0"), ("errors", "0")] {
            assert_eq!(first(&hub, name), wanted, "{name}: {hub:?}");
        }
        let blobs = of(&rows, "input", "blobs");
        for (name, wanted) in [("polls", "1"), ("requests", "12"), ("events", "77"), ("lag_s", "200")] {
            assert_eq!(first(&blobs, name), wanted, "{name}: {blobs:?}");
        }

        let rows = run("Streamed records by table");
        assert_eq!(first(&of(&rows, "table", "(no record)"), "records"), "1");
        let mail = of(&rows, "table", "EmailEvents");
        assert_eq!(number(&mail, "records") as usize, records::of_table("EmailEvents").len());
        assert!(
            number(&mail, "median_delay_s") >= 20.0 && number(&mail, "p90_delay_s") >= number(&mail, "median_delay_s"),
            "{mail:?}"
        );

        let rows = run("Throttling");
        let sum =
            |name: &str| rows.iter().filter_map(|row| row.get(name)).map(|values| values[0].parse::<f64>().unwrap()).sum::<f64>();
        assert!(
            sum("throttled_s: throttled") >= 1.0 && sum("put_off: patient") >= 1.0 && sum("put_off: alerts") == 0.0,
            "{rows:?}"
        );

        let rows = run("Errors by input");
        all(&rows, &["host", "input", "log_level", "count", "message", "last"]);
        assert!(first(&of(&rows, "input", "expired"), "message").contains("the client secret has expired (AADSTS7000222"));
        assert!(first(&of(&rows, "input", "stranger"), "message").contains("nobody"));
        assert!(
            first(&of(&rows, "input", "-"), "message").contains("certificate expired at"),
            "what belongs to no input is there"
        );
        assert!(rows.iter().all(|row| !first(row, "message").contains("message from")), "{rows:?}");

        let rows = run("Secrets that fail");
        all(&rows, &["host", "input", "problem", "count", "message", "last"]);
        assert_eq!(first(&of(&rows, "input", "expired"), "problem"), "AADSTS7000222");
        assert_eq!(first(&of(&rows, "input", action_of(alerts)), "problem"), "AADSTS7000222");
        let lapsed = of(&rows, "account", "lapsed");
        assert!(first(&lapsed, "problem").starts_with("certificate expired at 2025-12-31T"), "{lapsed:?}");
        assert_eq!(rest, BTreeSet::new(), "searches nobody tried");
    }
}

#[test]
fn searches_read_fields_that_exist() {
    let macros = search::conf("macros");
    // Only a run of more than a thousand rows sums them up.
    let mut known = BTreeSet::from(["rows".to_owned()]);
    for (incidents, alerts) in [(List::GraphIncidents, List::GraphAlerts), (List::XdrIncidents, List::EndpointAlerts)] {
        known.extend(Archive::of(incidents, alerts).events.into_iter().flat_map(Fields::into_keys));
        known.extend(told_by_number(alerts).into_keys());
    }
    for (name, text) in shipped() {
        let unknown: Vec<String> = pipeline::fields_read(&text, &macros).difference(&known).cloned().collect();
        assert_eq!(unknown, Vec::<String>::new(), "{name}");
    }
}
