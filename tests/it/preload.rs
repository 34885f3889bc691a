//! The pages that measurements are made with: a run reads all of them, window after window, and writes what they hold.

use simulator::preload::{Evidence, Kind, LOOKBACK, Plan};

use crate::support::{List, Stage};

#[test]
fn pages_that_are_ready_are_read_to_the_end() {
    for (list, kind) in [(List::GraphAlerts, Kind::Alerts), (List::GraphIncidents, Kind::Incidents)] {
        let stage = Stage::new();
        let preload = stage.sim.preload(Plan { kind, evidence: Evidence::Some, rows: 8, pages: 3 });
        let input = stage.input(list).set("start", &preload.start().to_string()).set("lookback", LOOKBACK);
        let input = input.set("page_size", "8").set("events", "verbatim").set("include_alerts", "none");
        let ended = input.run().exits(0);
        // The service's clock is set ahead, so that all of it is one backlog.
        let said = ended.said("WARN");
        assert!(said.len() == 1 && said[0].contains("the clocks are"), "{said:?}");
        if kind == Kind::Alerts {
            let written: Vec<String> = ended.events().iter().map(|event| event.data.clone()).collect();
            assert_eq!(written, preload.rows());
        } else {
            assert_eq!(ended.events().len(), preload.rows().len());
        }
    }
}
