//! The same pages for everybody, in turn, so that whatever else the machine does meets all of them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use simulator::Simulator;
use simulator::preload::{Evidence, Kind, Plan, Preload};

use crate::check::check;
use crate::contest::Contestant;
use simulator::run::launch::{self, Cost};

/// One set of pages.
pub(crate) struct Scenario {
    pub(crate) title: &'static str,
    pub(crate) plan: Plan,
}

/// The sets. Fewer rows where pages are small: an input spaces its requests, and waiting costs it nothing but us time.
pub(crate) fn scenarios(quick: bool) -> Vec<Scenario> {
    let scenario = |title, kind, evidence, rows, pages: usize| Scenario {
        title,
        plan: Plan { kind, evidence, rows, pages: if quick { pages.min(3) } else { pages } },
    };
    vec![
        scenario("Alerts, 1,000 in a page", Kind::Alerts, Evidence::Some, 1000, 21),
        scenario("Alerts with all their evidence, 1,000 in a page", Kind::Alerts, Evidence::Full, 1000, 11),
        scenario("Alerts, 100 in a page", Kind::Alerts, Evidence::Some, 100, 51),
        scenario("Alerts, 10,000 in a page", Kind::Alerts, Evidence::Some, 10_000, 4),
        scenario("Incidents with their alerts, 50 in a page", Kind::Incidents, Evidence::Some, 50, 31),
    ]
}

/// What one program needed.
pub(crate) struct Row {
    pub(crate) name: String,
    /// Whether it is a peer, ours, or a bound.
    pub(crate) contestant: Contestant,
    /// Events written; for a program that writes none, 0.
    pub(crate) events: usize,
    /// Rows of the pages that became events: an incident and its alerts are one.
    pub(crate) objects: usize,
    /// CPU of every run, ascending.
    pub(crate) cpu: Vec<Duration>,
    /// The highest of all runs, in bytes.
    pub(crate) peak: u64,
}

impl Row {
    /// The run in the middle.
    pub(crate) fn median(&self) -> Duration {
        self.cpu[self.cpu.len() / 2]
    }
}

/// Runs everybody once to look at every event, and then so many times for the clock. What a later run writes has to be, byte
/// for byte, what was looked at.
pub(crate) fn measure(
    contestants: &[Contestant],
    runs: usize,
    simulator: &Simulator,
    preload: &Preload,
    folder: &Path,
) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    let mut looked_at = Vec::new();
    for contestant in contestants {
        let (_, output) = run(contestant, simulator, preload, folder)?;
        let name = contestant.name();
        let events = match contestant {
            Contestant::Download(_) => bytes_read(&output, preload)?,
            _ => check(contestant, &output, preload).map_err(|problem| format!("{name}: {problem}"))?,
        };
        looked_at.push(digest(&SHA256, &output));
        let objects = match contestant {
            Contestant::Ours(..) => preload.rows().len(),
            _ => (0..preload.plan().pages).map(|page| preload.page(page).len()).sum(),
        };
        rows.push(Row { name, contestant: contestant.clone(), events, objects, cpu: Vec::new(), peak: 0 });
        eprint!(".");
    }
    for _ in 0..runs {
        for (row, looked_at) in rows.iter_mut().zip(&looked_at) {
            let (cost, output) = run(&row.contestant, simulator, preload, folder)?;
            if digest(&SHA256, &output).as_ref() != looked_at.as_ref() {
                return Err(format!("{}: a run wrote something else than the run before", row.name));
            }
            row.cpu.push(cost.cpu);
            row.peak = row.peak.max(cost.peak);
            eprint!(".");
        }
    }
    eprintln!();
    rows.iter_mut().for_each(|row| row.cpu.sort_unstable());
    Ok(rows)
}

fn run(contestant: &Contestant, simulator: &Simulator, preload: &Preload, folder: &Path) -> Result<(Cost, Vec<u8>), String> {
    let checkpoints = folder.join("checkpoints");
    let _ = fs::remove_dir_all(&checkpoints);
    fs::create_dir(&checkpoints).map_err(|error| format!("{}: {error}", checkpoints.display()))?;
    if let Some(start) = contestant.begin(simulator, preload, &checkpoints)? {
        launch::run(&start, folder, launch::whole)?;
    }
    let start = contestant.collect(simulator, preload, &checkpoints)?;
    let (cost, output, said) = launch::run(&start, folder, launch::whole)?;
    if cost.code != 0 {
        return Err(format!("{} ended with {}: {said}", contestant.name(), cost.code));
    }
    Ok((cost, output))
}

/// The download says how much it read; there are no events.
fn bytes_read(output: &[u8], preload: &Preload) -> Result<usize, String> {
    let said = String::from_utf8_lossy(output);
    if said.trim().parse() == Ok(preload.bytes()) {
        return Ok(0);
    }
    Err(format!("the download read {} bytes in place of {}", said.trim(), preload.bytes()))
}
