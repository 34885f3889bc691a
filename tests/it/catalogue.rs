//! Every list against every odd service of the simulator's catalogue: all objects come, none twice, and what has to be said of it
//! is said. `TA_DEFENDER_ODDITY=<part of a name>` tries the rows with such a name alone.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use simulator::accounts::CLIENT_SECRET;
use simulator::oddities::{Oddity, Outcome, Place, catalogue};
use simulator::{Config, FaultKind};

use crate::support::{Ended, Input, List, Stage};

/// What a run may have, in kB.
const MOST_MEMORY_KB: u64 = 64 << 10;
/// What a run may take; most of it are waits that a service asked for.
const LONGEST: Duration = Duration::from_secs(45);

#[test]
fn incidents_of_graph() {
    try_all(List::GraphIncidents);
}

#[test]
fn alerts_of_graph() {
    try_all(List::GraphAlerts);
}

#[test]
fn incidents_of_defender() {
    try_all(List::XdrIncidents);
}

#[test]
fn alerts_of_defender() {
    try_all(List::EndpointAlerts);
}

#[allow(clippy::print_stdout, clippy::use_debug)]
fn try_all(list: List) {
    let wanted = std::env::var("TA_DEFENDER_ODDITY").unwrap_or_default();
    let applies = |oddity: &&Oddity| oddity.place != Place::Expanded || list == List::GraphIncidents;
    let rows = catalogue().filter(applies).filter(|oddity| oddity.name.contains(&wanted));
    let mut wrong = Vec::new();
    for oddity in rows {
        let begun = Instant::now();
        let result = tried(list, oddity);
        println!("{list:?}: {oddity:?}: {:.1} s", begun.elapsed().as_secs_f64());
        wrong.extend(result.err().map(|reason| format!("{oddity:?}: {reason}")));
    }
    assert!(wrong.is_empty(), "{list:?}, {} rows are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Two runs that meet the oddity, and one that does not.
fn tried(list: List, oddity: &'static Oddity) -> Result<(), String> {
    let stage = Stage::with(Config { incidents: 8, alerts: 24, ..Stage::config() });
    stage.debug();
    let input = stage.input(list);
    stage.fault(oddity.route(list.route()), oddity.when, FaultKind::Odd(oddity));
    let met = [input.run(), input.run()];
    if stage.sim.faults().happened() == 0 {
        return Err("it did not happen".to_owned());
    }
    stage.sim.faults().clear();
    if oddity.outcome == Outcome::Postponed {
        forget_the_wait(&input);
    }
    let runs = [&met[0], &met[1], &input.run()];
    judge(oddity.outcome, runs)?;
    for run in runs {
        check(run.peak_memory_kb < MOST_MEMORY_KB, || format!("{} kB", run.peak_memory_kb))?;
        check(run.took < LONGEST, || format!("a run took {:?}", run.took))?;
        check(!run.stderr.contains(CLIENT_SECRET) && !run.text().contains(CLIENT_SECRET), || "the secret is told".to_owned())?;
    }
    let (all, all_alerts) = (counted(list, &runs, false), counted(list, &runs, true));
    let early = counted(list, &runs[..2], false);
    let is_read_at_once = !matches!(oddity.outcome, Outcome::Failed(..) | Outcome::Postponed);
    for object in stage.objects(list) {
        let times = all.get(&object.id).copied().unwrap_or(0);
        check(times == 1, || format!("{} came {times} times", object.id))?;
        check(!is_read_at_once || early.contains_key(&object.id), || format!("{} came only when it was over", object.id))?;
        let alerts = list.inner_identity().map_or_else(Vec::new, |_| object.alerts(list));
        for alert in alerts {
            let times = all_alerts.get(&alert.id).copied().unwrap_or(0);
            check(times == 1, || format!("{} of {} came {times} times", alert.id, object.id))?;
        }
    }
    all.iter().try_for_each(|(id, times)| check(*times == 1, || format!("`{id}` came {times} times")))
}

/// What the runs end with and say.
fn judge(outcome: Outcome, runs: [&Ended; 3]) -> Result<(), String> {
    let [first, second, third] = runs;
    let said = |level: &str, runs: &[&Ended]| -> Vec<String> { runs.iter().flat_map(|run| run.said(level)).collect() };
    let ends = |run: &Ended, code: i32| check(run.code() == Some(code), || format!("ends with {:?}: {}", run.code(), run.stderr));
    let (code, error) = if let Outcome::Failed(code, text) = outcome { (code, Some(text)) } else { (0, None) };
    for run in [first, second] {
        ends(run, code)?;
        let errors = run.said("ERROR");
        let is_right = error.map_or(errors.is_empty(), |text| errors.len() == 1 && errors[0].contains(text));
        check(is_right, || format!("errors: {errors:#?}"))?;
    }
    ends(third, 0)?;
    check(said("ERROR", &[third]).is_empty(), || format!("an error afterwards: {}", third.stderr))?;
    let warnings = said("WARN", &runs);
    let expected = match outcome {
        Outcome::Warned(text) => Some(text),
        Outcome::Postponed => Some("asking again at"),
        Outcome::Unnoticed | Outcome::Retried | Outcome::Failed(..) => None,
    };
    let is_right = expected
        .map_or(warnings.is_empty(), |text| !warnings.is_empty() && warnings.iter().all(|warning| warning.contains(text)));
    check(is_right, || format!("warnings: {warnings:#?}"))?;
    let again = |line: &String| line.contains("attempt 1 failed") || line.contains("; waiting ");
    check(outcome != Outcome::Retried || said("DEBUG", &[first]).iter().any(again), || "nothing was asked again".to_owned())
}

fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// How often each of the list's own objects came, or of the alerts inside; one without an id counts by its text.
fn counted(list: List, runs: &[&Ended], inside: bool) -> BTreeMap<String, usize> {
    let name = list.inner_identity().filter(|_| inside).unwrap_or(list.identity()).0;
    let mut all = BTreeMap::new();
    for event in runs.iter().flat_map(|run| run.events()) {
        if event.sourcetype.ends_with(":incident:alerts") != inside {
            continue;
        }
        // Half a pair passes through as it is written, and this reader takes none.
        let json: Value = serde_json::from_str(&event.data.replace("\\ud800", "")).unwrap_or_default();
        let id = match &json[name] {
            Value::Null => event.data.clone(),
            Value::String(id) => id.clone(),
            other => other.to_string(),
        };
        *all.entry(id).or_default() += 1;
    }
    all
}

/// Lets the next run ask, though the service said not to.
fn forget_the_wait(input: &Input<'_>) {
    let mut position = input.position();
    position["checkpoint"]["not_before"] = "2026-01-01T00:00:00Z".into();
    fs::write(input.checkpoint(), position.to_string()).unwrap();
}
