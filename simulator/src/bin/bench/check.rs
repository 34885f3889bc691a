//! Whether a program wrote what was served: every object, once, in order, and nothing of its content missing.

use serde_json::{Map, Value};
use simulator::Time;
use simulator::preload::{Kind, Preload};
use simulator::run::stream;

use crate::contest::{Contestant, Form};

/// What each event has to be.
enum Wanted<'a> {
    /// These bytes.
    Bytes(&'a str),
    /// The same JSON.
    Same(Value),
    /// The same JSON but for integers that JavaScript rounds.
    Rounded(Value),
    /// All members that are not null; more of them where old names are added.
    Holds(Value),
}

/// Compares the whole output with the pages; how many events there are.
pub(crate) fn check(contestant: &Contestant, output: &[u8], preload: &Preload) -> Result<usize, String> {
    let output = std::str::from_utf8(output).map_err(|error| format!("the output is not UTF-8: {error}"))?;
    let mut wanted = wanted(contestant, preload);
    let mut event = stream::Event::default();
    let mut count = 0;
    stream::walk(output, |path, text| {
        match path {
            ["stream", "event"] => {
                let done = std::mem::take(&mut event);
                let (time, want) = wanted.next().ok_or_else(|| format!("more events than the {count} that were served"))?;
                judge(&done, time, &want).map_err(|reason| format!("event {count}: {reason}: {:.300}", done.data))?;
                count += 1;
            }
            ["stream", "event", "time"] => event.time = text,
            ["stream", "event", "data"] => event.data = text,
            _ => {}
        }
        Ok(())
    })?;
    match wanted.next() {
        None => Ok(count),
        Some(_) => Err(format!("{count} events are too few; lost are those from there on")),
    }
}

/// The events in their order, each with its time where it has one of its own.
fn wanted<'a>(contestant: &'a Contestant, preload: &'a Preload) -> Box<dyn Iterator<Item = (Option<Time>, Wanted<'a>)> + 'a> {
    match contestant {
        Contestant::Ours(_, form) if preload.plan().kind == Kind::Alerts => Box::new(preload.rows().iter().map(move |row| {
            let want = if *form == Form::Verbatim { Wanted::Bytes(row) } else { Wanted::Holds(json(row)) };
            (updated(&json(row)), want)
        })),
        Contestant::Ours(_, form) => Box::new(preload.rows().iter().flat_map(move |row| in_events(json(row), *form))),
        // They follow links: what ends one page begins the next, and they write it twice.
        _ => Box::new((0..preload.plan().pages).flat_map(|page| preload.page(page)).map(|row| {
            let row = json(row);
            (updated(&row), if contestant.rounds() { Wanted::Rounded(row) } else { Wanted::Same(row) })
        })),
    }
}

/// With every number as JavaScript has it.
fn rounded(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(items) => items.into_iter().map(rounded).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, rounded(value))).collect(),
        other => other,
    }
}

/// An incident, its alerts named and counted in their place, and each alert.
fn in_events<'a>(mut incident: Value, form: Form) -> Vec<(Option<Time>, Wanted<'a>)> {
    let alerts = incident["alerts"].take();
    let alerts = alerts.as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(members) = incident.as_object_mut() {
        members.remove("alerts");
        members.insert("alertIds".to_string(), alerts.iter().map(|alert| alert["id"].clone()).collect());
        members.insert("alertsCount".to_string(), alerts.len().into());
    }
    std::iter::once(incident)
        .chain(alerts.iter().cloned())
        .map(|object| (updated(&object), if form == Form::Verbatim { Wanted::Same(object) } else { Wanted::Holds(object) }))
        .collect()
}

fn json(row: &str) -> Value {
    serde_json::from_str(row).unwrap_or_default()
}

fn updated(object: &Value) -> Option<Time> {
    object["lastUpdateDateTime"].as_str().and_then(Time::parse)
}

fn judge(event: &stream::Event, time: Option<Time>, wanted: &Wanted<'_>) -> Result<(), String> {
    if let Some(time) = time.map(|time| time.0 / 10_000) {
        let expected = format!("{}.{:03}", time / 1000, time % 1000);
        // solnlib writes as many decimals as the float has.
        let written: f64 = event.time.parse().unwrap_or_default();
        if event.time != expected && (written * 1000.0).round() as i64 != time {
            return Err(format!("its time is {} in place of {expected}", event.time));
        }
    }
    let found = || serde_json::from_str::<Value>(&event.data).map_err(|error| format!("it is not JSON ({error})"));
    let is_it = match wanted {
        Wanted::Bytes(bytes) => event.data == *bytes,
        Wanted::Same(value) => found()? == *value,
        Wanted::Rounded(value) => rounded(found()?) == rounded(value.clone()),
        Wanted::Holds(value) => return holds(&found()?, value, ""),
    };
    if is_it { Ok(()) } else { Err("it is not what was served".to_string()) }
}

/// Whether everything served that is not null is there.
fn holds(found: &Value, served: &Value, name: &str) -> Result<(), String> {
    match (found, served) {
        (Value::Object(found), Value::Object(served)) => all_members(found, served),
        (Value::Array(found), Value::Array(served)) => {
            // Behind Graph's evidence stands what Graph puts inside it and the old names list on its own.
            if found.len() != served.len() && (name != "evidence" || found.len() < served.len()) {
                return Err(format!("`{name}` has {} items in place of {}", found.len(), served.len()));
            }
            found.iter().zip(served).try_for_each(|(found, served)| holds(found, served, name))
        }
        _ if found == served => Ok(()),
        _ => Err(format!("`{name}` is {found} in place of {served}")),
    }
}

fn all_members(found: &Map<String, Value>, served: &Map<String, Value>) -> Result<(), String> {
    served.iter().filter(|(_, value)| !value.is_null()).try_for_each(|(name, served)| {
        let found = found.get(name).ok_or_else(|| format!("`{name}` is missing"))?;
        holds(found, served, name)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;
    use simulator::preload::{Evidence, Plan};

    use super::*;

    fn preload() -> Preload {
        let plan = Plan { kind: Kind::Alerts, evidence: Evidence::Some, rows: 4, pages: 2 };
        Preload::new(plan, Time::from_unix(1_800_000_000), "https://localhost")
    }

    fn document(rows: &[String]) -> String {
        let event = |row: &String| {
            let escaped = row.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let ms = updated(&json(row)).unwrap().0 / 10_000;
            format!("<event><time>{}.{:03}</time><data>{escaped}</data></event>\n", ms / 1000, ms % 1000)
        };
        format!("<stream>\n{}</stream>\n", rows.iter().map(event).collect::<String>())
    }

    #[test]
    fn what_is_lost_repeated_or_changed_is_seen() {
        let preload = preload();
        let ours = |form| Contestant::Ours("defender".into(), form);
        let rows = preload.rows().to_vec();
        let good = document(&rows);
        for form in [Form::Verbatim, Form::Compact] {
            assert_eq!(check(&ours(form), good.as_bytes(), &preload), Ok(rows.len()));
        }
        let mut twice = rows.clone();
        twice.insert(1, rows[0].clone());
        let table = [
            (document(&rows[..rows.len() - 1]), "too few"),
            (document(&rows[1..]), "its time is"),
            (document(&twice), "its time is"),
            (document(&[rows.clone(), rows.clone()].concat()), "more events"),
            (good.replacen("\"severity\":\"", "\"severity\":\"x", 1), "not what was served"),
            (good.replace("</stream>", ""), "ends inside"),
        ];
        for (output, part) in table {
            let problem = check(&ours(Form::Verbatim), output.as_bytes(), &preload).unwrap_err();
            assert!(problem.contains(part), "{problem}");
        }
        // A peer follows links and writes the row twice that two pages share.
        let peer = Contestant::Peer("python3".into(), "peer.py".into(), "peer");
        let all: Vec<String> = (0..2).flat_map(|page| preload.page(page)).cloned().collect();
        assert_eq!(check(&peer, document(&all).as_bytes(), &preload), Ok(rows.len() + 1));
    }

    #[test]
    fn compact_events_may_have_more_and_never_less() {
        let served = json!({"a": 1, "b": null, "c": {"d": [1, 2], "e": null}, "evidence": [{"x": 1}]});
        for (found, problem) in [
            (json!({"a": 1, "c": {"d": [1, 2]}, "evidence": [{"x": 1, "old": 2}, {"inside": 1}], "cim": {}}), ""),
            (json!({"a": 1, "evidence": [{"x": 1}]}), "`c` is missing"),
            (json!({"a": 2, "c": {"d": [1, 2]}, "evidence": [{"x": 1}]}), "`a` is 2"),
            (json!({"a": 1, "c": {"d": [1]}, "evidence": [{"x": 1}]}), "`d` has 1"),
            (json!({"a": 1, "c": {"d": [1, 2]}, "evidence": []}), "`evidence` has 0"),
        ] {
            let judged = holds(&found, &served, "");
            assert_eq!(judged.clone().is_err(), !problem.is_empty(), "{found}");
            assert!(judged.err().unwrap_or_default().starts_with(problem), "{found}");
        }
    }

    #[test]
    fn javascript_rounds_and_nothing_else() {
        let table = [
            (json!({"a": [9_007_199_254_740_993_i64]}), json!({"a": [9_007_199_254_740_992_i64]}), true),
            (json!({"a": 2}), json!({"a": 2.0}), true),
            (json!({"a": 2}), json!({"a": "2"}), false),
            (json!({"a": 2}), json!({"a": 3}), false),
        ];
        for (one, other, same) in table {
            assert_eq!(rounded(one.clone()) == rounded(other), same, "{one}");
        }
    }

    #[test]
    fn an_incident_becomes_itself_and_its_alerts() {
        let events = in_events(json!({"id": "7", "alerts": [{"id": "a"}, {"id": "b"}]}), Form::Compact);
        assert_eq!(events.len(), 3);
        let Wanted::Holds(incident) = &events[0].1 else { panic!("another comparison") };
        assert_eq!(incident, &json!({"id": "7", "alertIds": ["a", "b"], "alertsCount": 2}));
    }
}
