//! What Splunk says and wants to hear: modular inputs, alert actions, splunkd's REST, log lines.
//! Knows nothing of the service whose data this program brings; the modules beside this one do.

pub mod alert;
pub mod definition;
pub mod event;
#[cfg(test)]
mod fixtures;
pub mod log;
pub mod modalert;
pub mod rest;
mod row;
pub mod scheme;
pub mod stdout;
pub mod stop;
mod xml;
