//! Alerts, each in every version: Graph `alerts_v2`, or the Defender for Endpoint alerts API.

use super::alert::{self, Kind};
use super::{Emission, Feed, Reading, Row};
use crate::microsoft::cloud::What;

/// See the module.
pub(super) const FEED: Feed = Feed { name: "alerts", title: "Alerts", what: What::Alerts, events };

fn events(row: &Row<'_>, reading: &Reading<'_>, out: &mut Emission) {
    if reading.is_new {
        alert::emit(row, reading, reading.names.identity, Kind::Alone, reading.time(row.version), out);
    }
}
