//! The pages that measurements are made with: a run reads all of them, window after window, and writes what they hold.

use simulator::preload::{Evidence, Kind, LOOKBACK, LOOKBACK_BEFORE, Plan};
use simulator::{FaultKind, Route, When};

use crate::support::{List, Stage};

#[test]
fn pages_that_are_ready_are_read_to_the_end() {
    for (list, kind) in [(List::GraphAlerts, Kind::Alerts), (List::GraphIncidents, Kind::Incidents)] {
        let stage = Stage::new();
        let preload = stage.sim.preload(Plan { kind, evidence: Evidence::Some, rows: 8, pages: 3 });
        let input = stage.input(list).set("start", &preload.start().to_string()).set("lookback", LOOKBACK_BEFORE);
        let input = input.set("page_size", "8").set("events", "verbatim").set("include_alerts", "none");
        stage.fault(Route::Token, When::Once, FaultKind::Entra(7_000_215));
        input.run().exits(2);
        let ended = input.set("lookback", LOOKBACK).run().exits(0).quietly();
        if kind == Kind::Alerts {
            let written: Vec<String> = ended.events().iter().map(|event| event.data.clone()).collect();
            assert_eq!(written, preload.rows());
        } else {
            assert_eq!(ended.events().len(), preload.rows().len());
        }
    }
}
