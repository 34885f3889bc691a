//! Alerts, each in every version: Graph `alerts_v2`, or the Defender for Endpoint alerts API.

use super::{Draft, Emission, Feed, Reading, Row};
use crate::microsoft::cloud::What;

/// See the module.
pub(super) const FEED: Feed = Feed { name: "alerts", title: "Alerts", what: What::Alerts, events };

/// The incumbent add-on's name, which published detections search.
const SOURCETYPE: &str = "ms:defender:atp:alerts";

fn events(row: &Row<'_>, reading: &Reading<'_>, out: &mut Emission) {
    if reading.is_new {
        let data = row.text(reading.form, reading.names.identity);
        out.drafts.push(Draft { time: reading.time(row.version), sourcetype: SOURCETYPE, data });
    }
}
