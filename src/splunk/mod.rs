//! What Splunk says and wants to hear: modular inputs, alert actions, splunkd's REST, log lines.
//! Knows nothing of the service whose data this program brings; the modules beside this one do.

pub mod alert;
pub mod definition;
pub mod event;
#[cfg(test)]
mod fixtures;
mod lenient;
pub mod log;
pub mod modalert;
pub mod persistent;
pub mod rest;
mod results;
mod row;
pub mod scheme;
pub mod spool;
pub mod stdout;
pub mod stop;
pub mod turn;
mod utf8;
mod xml;

use std::path::PathBuf;

/// Where Splunk is installed: `SPLUNK_HOME`, which splunkd sets for everything it starts. `None` elsewhere.
pub fn home() -> Option<PathBuf> {
    std::env::var_os("SPLUNK_HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
}
