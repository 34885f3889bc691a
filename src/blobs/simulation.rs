//! Ten thousand lives of a storage input: the real poll, client and position bytes, against the simulator's blob service, on
//! a clock of their own. Blobs grow while they are read, closed hours too; lines come in parts; blobs are made anew and
//! removed; the service fails, and stands still; one blob or one container fails for long; clocks are wrong on either side; lists have
//! no end, or name what was not asked for; the process is killed at any step.

mod odd;
mod stage;

use stage::{Hazards, run_seed};

use crate::planted::{PLANTED, Planted};

/// How many seeds an ordinary run plays; `SEEDS` in the environment says otherwise.
fn seeds() -> u64 {
    std::env::var("SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000)
}

#[test]
fn nothing_is_lost_and_nothing_comes_twice_but_by_a_kill() {
    let mut hazards = Hazards::default();
    for seed in 0..seeds() {
        run_seed(seed, &mut hazards).unwrap_or_else(|reason| panic!("{reason}"));
    }
    for hazard in stage::HAZARDS {
        let times = hazards.get(hazard).copied().unwrap_or(0);
        assert!(times >= seeds() / 500, "{hazard}: met {times} times");
    }
}

#[test]
fn planted_faults_are_noticed() {
    let planted = [
        Planted::BlobsNotLookedBack,
        Planted::BlobsLateUnseen,
        Planted::BlobsAnewUnseen,
        Planted::BlobsHalfLines,
        Planted::BlobsHalfLineForgotten,
        Planted::BlobsSavedFirst,
        Planted::BlobsOneKeepsAll,
        Planted::BlobsAsideForgotten,
        Planted::BlobsOneContainerKeepsAll,
        Planted::BlobsClockThereBelieved,
        Planted::BlobsClockHereBelieved,
        Planted::BlobsStandstillUnseen,
        Planted::BlobsEndlessListRead,
        Planted::BlobsForeignNamesRead,
    ];
    for fault in planted {
        PLANTED.set(Some(fault));
        let noticed = (0..2_000).find(|seed| run_seed(*seed, &mut Hazards::default()).is_err());
        PLANTED.set(None);
        assert!(noticed.is_some(), "{fault:?} went unnoticed");
    }
}
