//! What the add-on does, shown to a newcomer: the real binary, driven the way splunkd drives it, against the stand-ins.

// What this program prints is its purpose.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod event_hub;
mod splunk;
mod storage;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use simulator::accounts::{Account, Roles};
use simulator::run::stream::{self, Event};
use simulator::{Config, Simulator, Time};
use splunk::{Input, Splunk};

const USAGE: &str = "usage: demo <path to the defender binary> [--keep]";

/// Every feed and API, under the names the inputs have in this story.
const INPUTS: [Input; 4] = [
    Input { name: "incidents_graph", feed: "incidents", api: "graph" },
    Input { name: "alerts_graph", feed: "alerts", api: "graph" },
    Input { name: "incidents_defender", feed: "incidents", api: "defender" },
    Input { name: "alerts_defender", feed: "alerts", api: "defender" },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let keep = arguments.iter().any(|argument| argument == "--keep");
    let paths: Vec<&String> = arguments.iter().filter(|argument| *argument != "--keep").collect();
    let [program] = paths[..] else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match story(PathBuf::from(program), keep) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nThe demo stopped at step {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The steps in order; an error begins with the step it stopped at.
fn story(program: PathBuf, keep: bool) -> Result<(), String> {
    let config = Config { seed: 2026, incidents: 12, alerts: 40, tls: true, splunkd_tls: true, ..Config::default() };
    let simulator = Simulator::try_start(config).map_err(|error| format!("0, starting the stand-ins: {error}"))?;
    simulator.add_account(&Account { secret_is_right: false, ..Account::new("wrong_secret") });
    simulator.add_account(&Account { roles: Roles::None, ..Account::new("no_permission") });
    simulator.add_certificate_account(&Account::new("by_certificate"));
    let splunk = Splunk { program, simulator: &simulator };
    println!("The stand-ins for Microsoft and splunkd are up, over HTTPS, with 12 incidents and 40 alerts from a seed.");

    heading("1  --scheme: what splunkd asks when it starts");
    scheme(&splunk).map_err(|error| format!("1, scheme: {error}"))?;
    heading("2  --validate-arguments: a good input, and bad ones");
    validate(&splunk).map_err(|error| format!("2, validation: {error}"))?;
    heading("3  Streaming: the first poll of four inputs");
    let first = poll(&splunk, Show::Events).map_err(|error| format!("3, streaming: {error}"))?;
    complete(&simulator, &first).map_err(|error| format!("3, streaming: {error}"))?;
    heading("4  Alert actions: an analyst decides, Defender hears of it");
    let before = versions(&simulator);
    act(&splunk, &first).map_err(|error| format!("4, alert actions: {error}"))?;
    heading("5  Polling again: what was changed comes back, and only that");
    let again = poll(&splunk, Show::Changes).map_err(|error| format!("5, second poll: {error}"))?;
    returned(&before, &versions(&simulator), &again).map_err(|error| format!("5, second poll: {error}"))?;
    println!("\n  A third time:");
    let third = poll(&splunk, Show::Changes).map_err(|error| format!("5, third poll: {error}"))?;
    let more: usize = third.values().map(Vec::len).sum();
    if more > 0 {
        return Err(format!("5, third poll: {more} events came though nothing had changed"));
    }
    heading("6  Raw events of the streaming API, from a storage account");
    storage::tell(&splunk, &simulator).map_err(|error| format!("6, storage: {error}"))?;
    heading("7  Raw events of the streaming API, from an event hub");
    event_hub::tell(&splunk, &simulator).map_err(|error| format!("7, event hub: {error}"))?;
    println!("\nAll steps did what they should. {} requests were made.", simulator.requests().len());

    if keep {
        simulator.furnish_page();
        println!("\n{}", simulator.directions());
        let app = simulator.open_app(&splunk.program, true, 0).map_err(|error| format!("8, Splunk Web: {error}"))?;
        println!("The app's page in Splunk Web, with inputs that run:\n  {}\n\nCtrl-C stops.", app.url());
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(|error| format!("8, waiting: {error}"))?;
        signals.forever().next();
    }
    Ok(())
}

fn heading(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.chars().count()));
}

fn scheme(splunk: &Splunk<'_>) -> Result<(), String> {
    let run = splunk.scheme()?;
    if run.code != Some(0) {
        return Err(format!("exit code {:?} in place of 0; stderr: {}", run.code, run.stderr.trim()));
    }
    let title = stream::first(&run.stdout, &["scheme", "title"]).ok_or("there is no <title>")?;
    let mut titles = Vec::new();
    stream::walk(&run.stdout, |path, text| {
        if path == ["scheme", "endpoint", "args", "arg", "title"] {
            titles.push(text);
        }
        Ok(())
    })?;
    println!("  \"{title}\" in {} ms, with the fields: {}", run.took.as_millis(), titles.join(", "));
    Ok(())
}

fn validate(splunk: &Splunk<'_>) -> Result<(), String> {
    let cases: [(&str, &str, &str, bool); 6] = [
        ("a good input", "incidents", "demo", true),
        ("a certificate", "incidents", "by_certificate", true),
        ("a wrong secret", "incidents", "wrong_secret", false),
        ("no permission", "alerts", "no_permission", false),
        ("an unknown account", "alerts", "nobody", false),
        ("an unknown feed", "emails", "demo", false),
    ];
    for (what, feed, account, good) in cases {
        let run = splunk.validate(feed, account)?;
        let refusal = stream::first(&run.stdout, &["error", "message"]);
        match (good, run.code, &refusal) {
            (true, Some(0), None) => println!("  {what:<20} accepted"),
            (false, Some(1), Some(text)) => println!("  {what:<20} refused: {text}"),
            (_, code, _) => {
                return Err(format!("{what}: exit code {code:?}, stdout {:?}, stderr {:?}", run.stdout, run.stderr.trim()));
            }
        }
    }
    Ok(())
}

/// What a poll prints.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Show {
    /// Counts and the first events.
    Events,
    /// Counts, and every event with its status and owner.
    Changes,
}

/// Runs every input once; events by the input's name.
fn poll(splunk: &Splunk<'_>, show: Show) -> Result<BTreeMap<&'static str, Vec<Event>>, String> {
    let mut all = BTreeMap::new();
    for input in &INPUTS {
        let run = splunk.stream(input)?;
        if run.code != Some(0) {
            return Err(format!("{}: exit code {:?} in place of 0; stderr: {}", input.name, run.code, run.stderr.trim()));
        }
        let events = stream::events(&run.stdout)?;
        println!("\n  feed = {}, api = {}: {} events in {} ms", input.feed, input.api, events.len(), run.took.as_millis());
        let kinds: BTreeSet<&str> = events.iter().map(|event| event.sourcetype.as_str()).collect();
        for kind in kinds {
            let of_kind: Vec<&Event> = events.iter().filter(|event| event.sourcetype == kind).collect();
            println!("    {:<30} {:>4} events, source {}", kind, of_kind.len(), of_kind[0].source);
            let shown = if show == Show::Events { 3 } else { 8 };
            for event in of_kind.iter().take(shown) {
                println!("      {}", line(event));
            }
            if of_kind.len() > shown {
                println!("      … and {} more", of_kind.len() - shown);
            }
        }
        all.insert(input.name, events);
    }
    Ok(all)
}

/// An event's key fields in one line, under any API's names.
fn line(event: &Event) -> String {
    let title = event.field(&["title", "displayName", "incidentName"]);
    let (severity, status, owner) = (event.field(&["severity"]), event.field(&["status"]), event.field(&["assignedTo"]));
    let seconds = event.time.split('.').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
    format!("{}  {:<28.28} {:<13} {:<11} {:<26.26} {title:.60}", Time::from_unix(seconds), event.id(), severity, status, owner)
}

/// Every object the service holds came out once.
fn complete(simulator: &Simulator, events: &BTreeMap<&'static str, Vec<Event>>) -> Result<(), String> {
    let wanted = simulator.world(|world| {
        let incidents: BTreeSet<String> = world.incidents().map(|incident| incident.id.to_string()).collect();
        let alerts: BTreeSet<String> = world.alerts().map(|alert| alert.id.clone()).collect();
        let endpoint: BTreeSet<String> =
            world.alerts().filter(|alert| alert.is_endpoint()).map(|alert| alert.id.clone()).collect();
        [incidents.clone(), alerts, incidents, endpoint]
    });
    for (input, wanted) in INPUTS.iter().zip(wanted) {
        let kind = if input.feed == "incidents" { "ms365:defender:incident" } else { "ms:defender:atp:alerts" };
        let of_kind: Vec<String> = events[input.name].iter().filter(|event| event.sourcetype == kind).map(Event::id).collect();
        let came: BTreeSet<String> = of_kind.iter().cloned().collect();
        if came != wanted || of_kind.len() != wanted.len() {
            return Err(format!(
                "{}: the service holds {} objects, {} events came, {} of them distinct",
                input.name,
                wanted.len(),
                of_kind.len(),
                came.len()
            ));
        }
    }
    println!("\n  Every incident and alert the service holds came exactly once per input.");
    Ok(())
}

fn act(splunk: &Splunk<'_>, events: &BTreeMap<&'static str, Vec<Event>>) -> Result<(), String> {
    // Open objects, and none twice: each decision is about something new.
    let mut taken = BTreeSet::new();
    let mut pick = |input: &str, count: usize| -> Result<Vec<Vec<(String, String)>>, String> {
        let kind = if input.starts_with("incidents") { "ms365:defender:incident" } else { "ms:defender:atp:alerts" };
        let open = |event: &&Event| {
            event.sourcetype == kind
                && matches!(event.field(&["status"]).to_lowercase().as_str(), "new" | "active" | "inprogress")
        };
        let row = |event: &Event| {
            vec![("id".to_string(), event.id()), ("title".to_string(), event.field(&["title", "displayName", "incidentName"]))]
        };
        let rows: Vec<_> =
            events[input].iter().filter(open).filter(|event| taken.insert(event.id())).take(count).map(row).collect();
        if rows.len() == count { Ok(rows) } else { Err(format!("{input} holds no {count} open objects")) }
    };
    let closing = [
        ("status", "resolved"),
        ("classification", "falsePositive"),
        ("determination", "notMalicious"),
        ("comment", "Known penetration test, closed from Splunk."),
    ];
    let taking = [("status", "inProgress"), ("assigned_to", "kaic@contoso.onmicrosoft.com"), ("comment", "I take this one.")];

    let mut rows = pick("alerts_graph", 3)?;
    // One row nobody can carry out, to show that it stops no other.
    rows.push(vec![
        ("id".to_string(), "da000000000000000000_0".to_string()),
        ("title".to_string(), "an alert that is gone".to_string()),
    ]);
    action(splunk, "defender_alert_update", "graph", &closing, &rows, Some(1))?;
    let rows = pick("incidents_graph", 2)?;
    action(splunk, "defender_incident_update", "graph", &taking, &rows, Some(0))?;
    let rows = pick("alerts_defender", 2)?;
    action(splunk, "defender_alert_update", "defender", &taking, &rows, Some(0))
}

fn action(
    splunk: &Splunk<'_>,
    name: &str,
    api: &str,
    settings: &[(&str, &str)],
    rows: &[Vec<(String, String)>],
    wanted: Option<i32>,
) -> Result<(), String> {
    let shown: Vec<String> = settings.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    println!("\n  --execute {name}, api = {api}, on {} rows of a search result\n    {}", rows.len(), shown.join(", "));
    let run = splunk.execute(name, api, settings, rows)?;
    for line in run.stderr.lines() {
        println!("      {line}");
    }
    println!("    exit code {}", run.code.map_or("none".to_string(), |code| code.to_string()));
    let unnamed: Vec<&str> = rows.iter().map(|row| row[0].1.as_str()).filter(|id| !run.stderr.contains(id)).collect();
    if !unnamed.is_empty() {
        return Err(format!("{name}: no line names the rows {}", unnamed.join(", ")));
    }
    if run.code == wanted { Ok(()) } else { Err(format!("{name}: exit code {:?} in place of {wanted:?}", run.code)) }
}

/// Every object's update time: alerts first, then incidents.
type Versions = [BTreeMap<String, String>; 2];

fn versions(simulator: &Simulator) -> Versions {
    simulator.world(|world| {
        [
            world.alerts().map(|alert| (alert.id.clone(), alert.updated.to_string())).collect(),
            world.incidents().map(|incident| (incident.id.to_string(), incident.updated.to_string())).collect(),
        ]
    })
}

/// What was changed came back in the poll after, each once, and nothing else did.
fn returned(before: &Versions, after: &Versions, events: &BTreeMap<&'static str, Vec<Event>>) -> Result<(), String> {
    let changed = |which: usize| -> BTreeSet<String> {
        after[which].iter().filter(|(id, time)| before[which].get(*id) != Some(time)).map(|(id, _)| id.clone()).collect()
    };
    for (input, kind, wanted) in
        [("alerts_graph", "ms:defender:atp:alerts", changed(0)), ("incidents_graph", "ms365:defender:incident", changed(1))]
    {
        let came: Vec<String> = events[input].iter().filter(|event| event.sourcetype == kind).map(Event::id).collect();
        let distinct: BTreeSet<String> = came.iter().cloned().collect();
        if distinct != wanted || came.len() != wanted.len() {
            let missing: Vec<_> = wanted.difference(&distinct).cloned().collect();
            return Err(format!(
                "{input}: {} objects changed, {} events came; missing: {}",
                wanted.len(),
                came.len(),
                missing.join(", ")
            ));
        }
    }
    println!("\n  {} alerts and {} incidents had changed, and exactly those came.", changed(0).len(), changed(1).len());
    Ok(())
}
