//! The whole collection loop against the simulator's model, in-process and driven by a seed: nothing lost, nothing twice,
//! whatever the services and this machine do. `DESIGN.md` says which schedules lose data elsewhere.
//!
//! One seed is replayed with `SEED=<n> cargo test --lib simulation::one_seed -- --nocapture`.

mod changes;
mod economy;
mod hazards;
mod judge;
mod oddities;
mod stage;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::planted::{PLANTED, Planted};

use hazards::Hazards;
use stage::run_seed;

/// Seeds of the ordinary run; `SEEDS` asks for more.
const SEEDS: u64 = 10_000;
/// Seeds within which every planted fault must be noticed.
const PLANTED_SEEDS: u64 = 1_000;

/// The long tests come one after the other: each takes every core, and says how long it took.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs seeds on all cores until one fails; gives that one, or what happened.
fn run_seeds(first: u64, seeds: u64, fault: Option<Planted>) -> Result<Hazards, (u64, String)> {
    let next = AtomicU64::new(first);
    let end = first + seeds;
    let work = || {
        PLANTED.set(fault);
        let mut hazards = Hazards::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return Ok(hazards);
            }
            if let Err(reason) = run_seed(seed, &mut hazards) {
                next.store(end, Ordering::Relaxed);
                return Err((seed, reason));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut all = Hazards::default();
        for worker in workers {
            all.add(&worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(all)
    })
}

#[test]
#[allow(clippy::print_stdout)]
fn nothing_lost_nothing_twice() {
    let _turn = turn();
    let seeds = from_environment("SEEDS").unwrap_or(SEEDS);
    let begun = Instant::now();
    match run_seeds(0, seeds, None) {
        Ok(hazards) => {
            println!("{seeds} seeds in {:.0} s; how often each hazard occurred:\n{hazards}", begun.elapsed().as_secs_f64());
            assert_eq!(hazards.missing(), Vec::<&str>::new(), "these never occurred, so nothing is known about them");
        }
        Err((seed, reason)) => {
            panic!("{reason}\nreplay with: SEED={seed} cargo test --lib simulation::one_seed -- --nocapture")
        }
    }
}

#[test]
#[allow(clippy::print_stdout)]
fn one_seed() {
    let Some(seed) = from_environment("SEED") else { return };
    crate::splunk::log::install(log::LevelFilter::Debug);
    let mut hazards = Hazards::default();
    let result = run_seed(seed, &mut hazards);
    println!("{hazards}");
    result.unwrap_or_else(|reason| panic!("{reason}"));
}

#[test]
#[allow(clippy::print_stdout, clippy::use_debug)]
fn every_planted_fault_is_noticed() {
    use Planted::*;
    let _turn = turn();
    let all = [
        StrictEdge,
        SettledIsNow,
        NoLookback,
        SaveFirst,
        ForgetsVersions,
        ForgetsOldAlerts,
        FullIsComplete,
        TrustsOrder,
        FollowsPages,
        ErrorIsEmpty,
        NoRenewal,
        IgnoresAlertVersion,
        StartNotSaved,
        DropsHistory,
        BrokenIsComplete,
        ForgetsBroken,
        NoLateLook,
        LateForgets,
        ForgetsStrays,
        IgnoresMoves,
        IgnoresNewest,
        TrustsDate,
        TrustsMachine,
        FutureIsNewest,
        KeepsFuture,
        PartIsWhole,
        EmptyPageProves,
        CutListIsWhole,
        RefusedIsRead,
    ];
    let mut unnoticed = Vec::new();
    for fault in all {
        match run_seeds(0, PLANTED_SEEDS, Some(fault)) {
            Ok(_) => unnoticed.push(fault),
            Err((seed, reason)) => println!("{fault:?}: noticed by seed {seed}: {}", reason.lines().next().unwrap_or_default()),
        }
    }
    assert_eq!(unnoticed, []);
}
