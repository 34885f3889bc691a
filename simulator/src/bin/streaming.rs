//! What it costs to read an event hub: this add-on's program beside Microsoft's client for Python, doing the same work, and
//! what either keeps in memory while nobody reads its output. After `./build.sh test` has installed that client:
//! `cargo run -p simulator --bin streaming -- --program target/release/defender --python target/azure/bin/python`

// What this program prints is its purpose.
#![allow(clippy::print_stdout)]

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use simulator::chance::Chance;
use simulator::run::Instance;
use simulator::run::benchmark::{self, Count, forget};
use simulator::{Config, Simulator};

const USAGE: &str = "usage: streaming --program DEFENDER [options]
  --python FILE    an interpreter with azure-eventhub, for the peer
  --messages N     how many messages there are (4000)
  --records N      how many records each holds (20)
  --partitions N   in how many partitions they are (4)
  --rate N         records a second that were published while the program stood still for 10 minutes (500)
  --blocked TIME   how many seconds nobody reads the output (15)";

const HUB: &str = "defender";
/// For how long the program stands still before it has to catch up: so much is published at once, rather than waited for.
const STANDSTILL: usize = 600;
/// Clock ticks of `/proc/<pid>/stat` in a second; Linux has told every program so since 2.4.
const TICKS: f64 = 100.0;

/// Who is measured.
struct Contestant {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    stdin: String,
}

fn main() -> ExitCode {
    benchmark::exit(measure())
}

fn measure() -> Result<(), String> {
    let (mut program, mut python) = (None, None);
    let (mut messages, mut records, mut partitions, mut rate, mut blocked) = (4000, 20, 4, 500, 15);
    benchmark::options(USAGE, |option, value| {
        match option {
            "--program" => program = Some(value.file()),
            "--python" => python = Some(value.file()),
            "--messages" => messages = value.number()?,
            "--records" => records = value.number()?,
            "--partitions" => partitions = value.number()?,
            "--rate" => rate = value.number()?,
            "--blocked" => blocked = value.number()?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let program = program.ok_or(format!("--program is missing\n{USAGE}"))?;
    let simulator = Simulator::try_start(Config { alerts: 0, incidents: 0, ..Config::default() })
        .map_err(|error| format!("the stand-ins did not start: {error}"))?;
    let hubs = simulator.event_hubs();
    hubs.create(HUB, partitions);
    let mut chance = Chance::new(1);
    let mut publish = |messages: usize| -> usize {
        (0..messages).map(|number| hubs.publish_records(HUB, number % partitions, &mut chance, records).len()).sum()
    };
    let octets = publish(messages);
    let all = messages * records;
    println!("{messages} messages in {partitions} partitions, {all} records, {:.1} MB", octets as f64 / 1e6);
    println!("{:<22} {:>8} {:>8} {:>16} {:>10} {:>16}", "", "wall s", "CPU s", "records/CPU s", "peak MB", "peak MB blocked");
    let contestants = contestants(&simulator, partitions, program, python)?;
    for contestant in &contestants {
        let held = stuck(contestant, Duration::from_secs(blocked as u64))?;
        forget(&simulator.checkpoint_dir())?;
        let (wall, cpu, peak) = free(contestant, all)?;
        let rate = all as f64 / cpu;
        println!("{:<22} {wall:>8.2} {cpu:>8.2} {rate:>16.0} {peak:>10.1} {held:>16.1}", contestant.name);
    }
    let Some(ours) = contestants.first() else { return Ok(()) };
    // It has to know how far it came.
    forget(&simulator.checkpoint_dir())?;
    stopped(ours, all)?;
    let behind = (rate * STANDSTILL).div_ceil(records);
    publish(behind);
    let (wall, cpu, peak) = free(ours, behind * records)?;
    println!(
        "{} caught up with {STANDSTILL} s at {rate} records/s in {wall:.1} s, {cpu:.2} s of CPU, with {peak:.1} MB at most",
        ours.name
    );
    Ok(())
}

fn contestants(
    simulator: &Simulator,
    partitions: usize,
    program: PathBuf,
    python: Option<PathBuf>,
) -> Result<Vec<Contestant>, String> {
    let hubs = simulator.event_hubs();
    let instance = Instance::of(simulator, program.clone());
    let params = [
        ("feed", "event_hub"),
        ("account", "demo"),
        ("event_hub_namespace", &hubs.address()),
        ("event_hub_name", HUB),
        ("start", "earliest"),
    ];
    let params = params.map(|(name, value)| (name.to_string(), value.to_string())).into();
    let stdin = instance.definition("bench", &params);
    let mut all = vec![Contestant { name: "defender", program, arguments: Vec::new(), stdin }];
    if let Some(python) = python {
        let folder = simulator.splunk_home().join("peer");
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let asked = serde_json::json!({
            "connection": hubs.connection_string(None),
            "hub": HUB,
            "partitions": partitions,
            "folder": folder,
        });
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/peer.py");
        let arguments = vec![script.display().to_string(), asked.to_string()];
        all.push(Contestant { name: "azure-eventhub 5.15.1", program: python, arguments, stdin: String::new() });
    }
    Ok(all)
}

/// A contestant at work; it is killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Contestant {
    fn start(&self) -> Result<Running, String> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", self.program.display()))?;
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(self.stdin.as_bytes());
        }
        Ok(Running(child))
    }
}

/// Seconds and CPU seconds until all records are out, and the peak of the memory in MB.
fn free(contestant: &Contestant, all: usize) -> Result<(f64, f64, f64), String> {
    let begun = Instant::now();
    let mut running = contestant.start()?;
    read(&mut running, contestant, all)?;
    let wall = begun.elapsed().as_secs_f64();
    Ok((wall, cpu(&running.0)?, memory(&running.0)?))
}

/// Reads so many records of what it writes.
fn read(running: &mut Running, contestant: &Contestant, all: usize) -> Result<(), String> {
    let stdout = running.0.stdout.as_mut().ok_or("no stdout")?;
    let (mut block, mut count) = (vec![0; 256 * 1024], Count::default());
    while count.events < all {
        let read = stdout.read(&mut block).map_err(|error| error.to_string())?;
        if read == 0 {
            return Err(format!("{} ended after {} of {all} records", contestant.name, count.events));
        }
        count.take(&block[..read]);
    }
    Ok(())
}

/// Has all records read and their positions saved, and ends it.
fn stopped(contestant: &Contestant, all: usize) -> Result<(), String> {
    let mut running = contestant.start()?;
    read(&mut running, contestant, all)?;
    // A position is saved once a second.
    thread::sleep(Duration::from_secs(3));
    Ok(())
}

/// The peak of the memory in MB while nobody reads what is written.
fn stuck(contestant: &Contestant, span: Duration) -> Result<f64, String> {
    let running = contestant.start()?;
    thread::sleep(span);
    memory(&running.0)
}

/// User and system time of all threads, in seconds.
fn cpu(child: &Child) -> Result<f64, String> {
    let stat = proc(child, "stat")?;
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).ok_or("stat is not as expected");
    Ok((ticks(11)? + ticks(12)?) / TICKS)
}

fn memory(child: &Child) -> Result<f64, String> {
    let status = proc(child, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("it has ended")?;
    line.trim().trim_end_matches(" kB").parse::<f64>().map(|kilo| kilo / 1024.0).map_err(|error| error.to_string())
}

fn proc(child: &Child, what: &str) -> Result<String, String> {
    let path = format!("/proc/{}/{what}", child.id());
    fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))
}
