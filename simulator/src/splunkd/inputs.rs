//! `data/inputs/<scheme>`: what an introspected scheme gives. An input is tried out by the program before it is kept.

use super::answers::{created, listed, message};
use super::{Splunkd, Stanza, User, conf_entry, forbidden, not_found};
use crate::run::Instance;
use crate::time::Time;
use crate::wire::{Request, Response};

/// The arguments of the scheme (required ones first), and those of every input.
const ARGUMENTS: [&str; 25] = [
    "feed",
    "account",
    "api",
    "start",
    "lookback",
    "filter",
    "include_alerts",
    "events",
    "evidence",
    "page_size",
    "event_hub_namespace",
    "event_hub_name",
    "consumer_group",
    "partitions",
    "transport",
    "storage_account",
    "tables",
    "shape",
    "dedupe",
    "name",
    "index",
    "host",
    "interval",
    "disabled",
    "python.version",
];
const REQUIRED: usize = 2;

/// An input that is about to be saved, to be tried out while splunkd goes on answering.
pub(crate) struct Trial {
    instance: Instance,
    name: String,
    params: Stanza,
}

/// What has to be tried out before this request is answered; the same request goes to [`answer`] afterwards.
pub(crate) fn trial(splunkd: &Splunkd, request: &Request) -> Option<Trial> {
    let instance = splunkd.instance.clone()?;
    let segments = request.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let name = match parts[..] {
        _ if request.method != "POST" => return None,
        ["servicesNS", _, _, "data", "inputs", "defender"] | ["services", "data", "inputs", "defender"] => None,
        ["servicesNS", _, _, "data", "inputs", "defender", name] | ["services", "data", "inputs", "defender", name] => Some(name),
        _ => return None,
    };
    let mut params = given(request);
    let named = name.map(str::to_string).or_else(|| params.get("name").cloned())?;
    let held = splunkd.inputs.get("defender").and_then(|inputs| inputs.get(&named));
    let key = request.credential("Splunk")?;
    if !splunkd.sessions.get(key).is_some_and(|user| user.capabilities.contains("admin_all_objects")) {
        return None;
    }
    // What splunkd refuses by itself is not tried out.
    if name.is_some() != held.is_some() || refused(&params, held.is_some()).is_some() {
        return None;
    }
    params.remove("name");
    let params = held.cloned().unwrap_or_default().into_iter().chain(params).collect();
    Some(Trial { instance, name: named, params })
}

impl Trial {
    /// Runs the program; the answer when it refuses.
    pub(crate) fn refusal(&self, request: &Request) -> Option<Response> {
        let text = match self.instance.refusal(&self.name, &self.params) {
            Ok(said) => said?,
            Err(error) => error,
        };
        Some(message(request, 400, "ERROR", &format!("Argument validation for scheme=defender:  {text}")))
    }
}

fn given(request: &Request) -> Stanza {
    request.form().into_iter().filter(|(key, _)| key != "output_mode").collect()
}

/// What splunkd itself says about the arguments.
fn refused(given: &Stanza, edit: bool) -> Option<String> {
    if let Some(unknown) = given.keys().find(|key| !ARGUMENTS.contains(&key.as_str())) {
        return Some(format!("Argument \"{unknown}\" is not supported by this handler."));
    }
    let missing: Vec<&str> =
        ARGUMENTS[..REQUIRED].iter().copied().filter(|name| !edit && given.get(*name).is_none_or(String::is_empty)).collect();
    (!missing.is_empty()).then(|| format!("The following required arguments are missing: {}.", missing.join(", ")))
}

pub(super) fn answer(splunkd: &mut Splunkd, request: &Request, user: &User, parts: &[&str], now: Time) -> Response {
    let (scheme, name, act) = match parts {
        [scheme] => (*scheme, None, None),
        [scheme, name] => (*scheme, Some(*name), None),
        [scheme, name, act] => (*scheme, Some(*name), Some(*act)),
        _ => return not_found(request, &request.path),
    };
    if request.method != "GET" && !user.capabilities.contains("admin_all_objects") {
        return forbidden(request, user, "edit_modinput_defender");
    }
    let path = format!("data/inputs/{scheme}");
    let checked = scheme == "defender" && splunkd.instance.is_some();
    let held = splunkd.inputs.entry(scheme.to_string()).or_default();
    let given = given(request);
    if checked && request.method == "POST" && act.is_none() {
        let edit = name.is_some_and(|name| held.contains_key(name));
        if let Some(text) = refused(&given, edit) {
            return message(request, 400, "ERROR", &text);
        }
    }
    match (request.method.as_str(), name, act) {
        ("GET", None, None) => {
            let entries = held.iter().map(|(name, values)| conf_entry(name, values)).collect();
            listed(request, &path, entries, 200, now)
        }
        ("GET", Some("_reload"), None) => listed(request, &path, Vec::new(), 200, now),
        ("GET", Some(name), None) => match held.get(name) {
            Some(values) => listed(request, &path, vec![conf_entry(name, values)], 200, now),
            None => not_found(request, name),
        },
        ("POST", None, None) => {
            let Some(name) = given.get("name").cloned() else {
                return message(request, 400, "ERROR", "The following required arguments are missing: name.");
            };
            if held.contains_key(&name) {
                return message(request, 409, "ERROR", &format!("An object with name={name} already exists"));
            }
            let values: Stanza = given.into_iter().filter(|(key, _)| key != "name").collect();
            let entry = conf_entry(&name, &values);
            held.insert(name, values);
            created(request, &path, entry, now)
        }
        ("POST", Some(name), act) => match held.get_mut(name) {
            Some(values) => {
                match act {
                    None => values.extend(given),
                    Some("enable") => drop(values.insert("disabled".to_string(), "0".to_string())),
                    Some("disable") => drop(values.insert("disabled".to_string(), "1".to_string())),
                    Some(_) => return not_found(request, &request.path),
                }
                let entry = conf_entry(name, values);
                listed(request, &path, vec![entry], 200, now)
            }
            None => not_found(request, name),
        },
        ("DELETE", Some(name), None) => match held.remove(name) {
            Some(_) => listed(request, &path, Vec::new(), 200, now),
            None => not_found(request, name),
        },
        _ => message(request, 405, "ERROR", "Method Not Allowed"),
    }
}
