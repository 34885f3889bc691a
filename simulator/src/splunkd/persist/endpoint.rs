//! The stanzas of `restmap.conf` that are persistent handlers.

use std::collections::BTreeMap;

use crate::json::Json;

/// One `[script:…]` stanza.
pub(crate) struct Endpoint {
    /// `script:<name>`.
    pub(super) name: String,
    /// The path of the program, below `bin`.
    pub(super) driver: String,
    /// Its arguments.
    pub(super) driver_args: Vec<String>,
    /// Sent to the driver with every request.
    pub(super) param: String,
    /// Whether the driver is told who asks.
    pub(super) passes_session: bool,
    settings: BTreeMap<String, String>,
}

/// Reads the persistent handlers of a `restmap.conf`; other stanzas are passed over.
pub(super) fn read(conf: &str) -> Result<Vec<Endpoint>, String> {
    let mut stanzas: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    for line in conf.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            stanzas.push((name.to_string(), BTreeMap::new()));
        } else if let (Some((key, value)), Some((_, settings))) = (line.split_once('='), stanzas.last_mut()) {
            settings.insert(key.trim().to_string(), value.trim().to_string());
        } else {
            return Err(format!("restmap.conf: `{line}` is neither a stanza nor a setting of one"));
        }
    }
    let persistent = |(name, settings): &(String, BTreeMap<String, String>)| {
        name.starts_with("script:") && settings.get("scripttype").is_some_and(|kind| kind == "persist")
    };
    stanzas.into_iter().filter(persistent).map(|(name, settings)| Endpoint::new(name, settings)).collect()
}

impl Endpoint {
    fn new(name: String, settings: BTreeMap<String, String>) -> Result<Self, String> {
        let get = |key: &str| settings.get(key).filter(|value| !value.is_empty()).cloned();
        let needed = |key: &str| get(key).ok_or(format!("restmap.conf [{name}]: {key} is missing"));
        let (matching, _) = (needed("match")?, needed("script")?);
        if !matching.starts_with('/') {
            return Err(format!("restmap.conf [{name}]: match = {matching} has to start with a slash"));
        }
        // Without a driver it would be splunkd's own, which runs Python.
        let driver = needed("driver")?;
        let truth =
            |key: &str, default: bool| get(key).map_or(default, |value| ["1", "true"].contains(&value.to_lowercase().as_str()));
        if !truth("requireAuthentication", true) || truth("passSystemAuth", false) {
            return Err(format!("restmap.conf [{name}]: an open handler, or one with a system token, is not played here"));
        }
        Ok(Endpoint {
            driver,
            driver_args: numbered(&settings, "driver.arg."),
            param: get("script.param").unwrap_or_default(),
            passes_session: truth("passSession", true),
            name,
            settings,
        })
    }

    /// Whether a path is the one it answers, or below it.
    pub(super) fn covers(&self, path: &str) -> bool {
        path.strip_prefix(self.matching()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// What of a path is below the one it answers.
    pub(super) fn info(&self, path: &str) -> Option<String> {
        let rest = path.strip_prefix(self.matching())?.trim_start_matches('/');
        (!rest.is_empty()).then(|| rest.to_string())
    }

    /// The capability that a method needs.
    pub(super) fn capability(&self, method: &str) -> Option<&str> {
        let own = self.settings.get(&format!("capability.{}", method.to_lowercase()));
        own.or_else(|| self.settings.get("capability")).map(String::as_str)
    }

    /// The script and its arguments: what a request is to run.
    pub(super) fn command(&self) -> Vec<String> {
        let script = self.settings.get("script").cloned().unwrap_or_default();
        std::iter::once(script).chain(numbered(&self.settings, "script.arg.")).collect()
    }

    /// The driver and its arguments.
    pub(super) fn driver_line(&self) -> Vec<String> {
        std::iter::once(self.driver.clone()).chain(self.driver_args.iter().cloned()).collect()
    }

    /// The stanza, where the driver is to have it.
    pub(super) fn conf(&self) -> Json {
        if self.settings.get("passConf").is_some_and(|value| value == "false") {
            return Json::Object(Vec::new());
        }
        Json::Object(self.settings.iter().map(|(key, value)| (key.clone().into(), Json::from(value))).collect())
    }

    fn matching(&self) -> &str {
        self.settings.get("match").map_or("/", String::as_str).trim_end_matches('/')
    }
}

/// The values of `prefix1`, `prefix2`, … in the order of their numbers.
fn numbered(settings: &BTreeMap<String, String>, prefix: &str) -> Vec<String> {
    let mut found: Vec<(u32, String)> =
        settings.iter().filter_map(|(key, value)| Some((key.strip_prefix(prefix)?.parse().ok()?, value.clone()))).collect();
    found.sort();
    found.into_iter().map(|(_, value)| value).collect()
}
