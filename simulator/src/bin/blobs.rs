//! What it costs to read a storage account: this add-on's program beside Microsoft's client for Python, doing the same work.
//! After `./build.sh test` has installed that client:
//! `cargo run -p simulator --bin blobs -- --program target/release/defender --python target/azure/bin/python`

// What this program prints is its purpose.
#![allow(clippy::print_stdout)]

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use simulator::chance::Chance;
use simulator::generate::records;
use simulator::run::Instance;
use simulator::run::benchmark::{self, Count};
use simulator::run::launch::{self, Cost, Start};
use simulator::storage::Signature;
use simulator::{Config, Simulator, accounts};

const USAGE: &str = "usage: blobs --program DEFENDER [options]
  --python FILE    an interpreter with azure-storage-blob, for the peer
  --records N      how many records there are (200000)
  --hours N        over how many hours of each table they are spread (24)
  --runs N         how often each is measured; the one with the least CPU time counts (3)";

const HOUR: Duration = Duration::from_secs(3600);
/// The records are made from that many different ones of each table.
const DIFFERENT: usize = 200;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if arguments.first().is_some_and(|argument| argument == launch::LAUNCH) {
        return launch::launcher(&arguments[1..]);
    }
    benchmark::exit(measure())
}

fn measure() -> Result<(), String> {
    let (mut program, mut python) = (None, None);
    let (mut all, mut hours, mut runs) = (200_000, 24, 3);
    benchmark::options(USAGE, |option, value| {
        match option {
            "--program" => program = Some(value.file()),
            "--python" => python = Some(value.file()),
            "--records" => all = value.number()?,
            "--hours" => hours = value.number()?.max(1),
            "--runs" => runs = value.number()?.max(1),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let program = program.ok_or(format!("--program is missing\n{USAGE}"))?;
    let simulator = Simulator::try_start(Config { alerts: 0, incidents: 0, ..Config::default() })
        .map_err(|error| format!("the stand-ins did not start: {error}"))?;
    let (blobs, octets) = fill(&simulator, all, hours);
    println!("{all} records in {blobs} blobs of {} tables, {:.1} MB", records::TABLES.len(), octets as f64 / 1e6);
    println!("{:<28} {:>8} {:>8} {:>16} {:>10}", "", "wall s", "CPU s", "records/CPU s", "peak MB");
    for (name, start) in contestants(&simulator, program, python) {
        let mut best: Option<Cost> = None;
        for _ in 0..runs {
            benchmark::forget(&simulator.checkpoint_dir())?;
            let (cost, events, said) = launch::run(&start, &simulator.splunk_home(), events)?;
            if events != all || cost.code != 0 {
                return Err(format!("{name}: {events} of {all} records, exit code {}: {said}", cost.code));
            }
            if best.is_none_or(|best| cost.cpu < best.cpu) {
                best = Some(cost);
            }
        }
        let Some(Cost { cpu, peak, wall, .. }) = best else { continue };
        let (wall, cpu, peak) = (wall.as_secs_f64(), cpu.as_secs_f64(), peak as f64 / 1e6);
        println!("{name:<28} {wall:>8.2} {cpu:>8.2} {:>16.0} {peak:>10.1}", all as f64 / cpu);
    }
    Ok(())
}

/// Counts the events on a stdout.
fn events(stdout: &mut dyn Read) -> usize {
    let (mut block, mut count) = (vec![0; 256 * 1024], Count::default());
    // What is missing after an error is missed by the count.
    while let Ok(read @ 1..) = stdout.read(&mut block) {
        count.take(&block[..read]);
    }
    count.events
}

/// Delivers the records, each table's over its own hours; gives the blobs and their bytes.
fn fill(simulator: &Simulator, all: usize, hours: usize) -> (usize, usize) {
    let now = simulator.now();
    let mut chance = Chance::new(1);
    let tables = records::TABLES.len();
    for (n, table) in records::TABLES.iter().enumerate() {
        let some: Vec<String> = (0..DIFFERENT).map(|_| records::record(&mut chance, table, now).render()).collect();
        let count = all / tables + usize::from(n < all % tables);
        for hour in 0..hours {
            let (from, to) = (count * hour / hours, count * (hour + 1) / hours);
            let lines: Vec<String> = (from..to).map(|at| some[at % DIFFERENT].clone()).collect();
            let back = now.minus(HOUR * u32::try_from(hour).unwrap_or(0));
            simulator.world(|world| world.storage.deliver(table, accounts::TENANT, back, &lines, now));
        }
    }
    simulator.world(|world| {
        let blobs = || world.storage.containers.values().flat_map(|blobs| blobs.values());
        (blobs().count(), blobs().map(|blob| blob.bytes.len()).sum())
    })
}

fn contestants(simulator: &Simulator, program: PathBuf, python: Option<PathBuf>) -> Vec<(&'static str, Start)> {
    let instance = Instance::of(simulator, program.clone());
    let url = simulator.storage_url();
    // Longer than any run takes, so that one poll reads all.
    let params =
        [("feed", "storage"), ("account", "demo"), ("storage_account", url), ("start", "earliest"), ("interval", "3600")];
    let params = params.map(|(name, value)| (name.to_string(), value.to_string())).into();
    let stdin = instance.definition("bench", &params);
    let environment = vec![("SPLUNK_HOME", simulator.splunk_home().into_os_string())];
    let mut all = vec![("defender", Start { program, arguments: Vec::new(), environment, stdin })];
    if let Some(python) = python {
        let expires = simulator.now().plus(24 * HOUR);
        let signature = Signature { permissions: "rl", resource_types: "sco", expires };
        let asked = serde_json::json!({
            "url": url,
            "signature": signature.sign(),
            "position": simulator.checkpoint_dir().join("peer.json"),
        });
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/blobs.py");
        let arguments = vec![script.display().to_string(), asked.to_string()];
        let start = Start { program: python, arguments, environment: Vec::new(), stdin: String::new() };
        all.push(("azure-storage-blob 12.31.1", start));
    }
    all
}
