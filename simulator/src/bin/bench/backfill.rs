//! A new input on a large tenant: 200,000 alerts of the last thirty days through the whole program, windows, pacing and
//! checkpoint included, from the ordinary stand-ins.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use simulator::throttle::Limits;
use simulator::{Config, Route, Simulator};

use crate::contest;
use simulator::run::launch;

/// How many alerts there are.
const ALERTS: usize = 200_000;
/// No input needs so many runs.
const RUNS: usize = 20;

/// What reading all of it took.
#[derive(Default)]
pub(crate) struct BackFill {
    pub(crate) alerts: usize,
    pub(crate) runs: usize,
    pub(crate) requests: usize,
    /// From the first run's start to the last one's end.
    pub(crate) wall: Duration,
    /// All runs together.
    pub(crate) cpu: Duration,
    /// The highest, in bytes.
    pub(crate) peak: u64,
    /// The largest the checkpoint was, in bytes; looked at ten times a second.
    pub(crate) checkpoint: u64,
    /// Bytes on stdout.
    pub(crate) written: u64,
}

/// Runs the input as splunkd does, again and again, until all alerts have come.
pub(crate) fn measure(program: &Path, folder: &Path) -> Result<BackFill, String> {
    eprintln!("back-fill of {ALERTS} alerts");
    let config = Config {
        alerts: ALERTS,
        incidents: ALERTS / 4,
        span: Duration::from_secs(30 * 86_400 - 3600),
        tls: true,
        splunkd_tls: true,
        limits: Limits::Documented,
        ..Config::default()
    };
    let simulator = Simulator::try_start(config).map_err(|error| format!("the stand-ins did not start: {error}"))?;
    let checkpoints = folder.join("back-fill");
    fs::create_dir(&checkpoints).map_err(|error| format!("{}: {error}", checkpoints.display()))?;
    let start = contest::ours(program, &simulator, &checkpoints, &[("feed", "alerts"), ("start", "30d")]);

    let mut result = BackFill { alerts: ALERTS, ..BackFill::default() };
    let mut seen = BTreeSet::new();
    let begun = Instant::now();
    while result.runs < RUNS && seen.len() < ALERTS {
        let (done, watched) = (std::sync::atomic::AtomicBool::new(false), checkpoints.join("prod.json"));
        let (run, largest) = std::thread::scope(|scope| {
            let watch = scope.spawn(|| {
                let mut largest = 0;
                while !done.load(std::sync::atomic::Ordering::SeqCst) {
                    largest = largest.max(fs::metadata(&watched).map_or(0, |file| file.len()));
                    std::thread::sleep(Duration::from_millis(100));
                }
                largest
            });
            let run = launch::run(&start, folder, |stdout| read(stdout, &mut seen));
            done.store(true, std::sync::atomic::Ordering::SeqCst);
            (run, watch.join().unwrap_or_default())
        });
        let (cost, written, said) = run?;
        result.written += written.map_err(|problem| format!("back-fill: {problem}; {said}"))?;
        if cost.code != 0 {
            return Err(format!("the back-fill ended with {}: {said}", cost.code));
        }
        result.runs += 1;
        result.cpu += cost.cpu;
        result.peak = result.peak.max(cost.peak);
        result.checkpoint = result.checkpoint.max(largest);
    }
    result.wall = begun.elapsed();
    result.requests = simulator.requests().iter().filter(|exchange| exchange.route == Route::GraphAlerts).count();
    let missing = simulator.world(|world| world.alerts().filter(|alert| !seen.contains(&alert.id)).count());
    if missing > 0 {
        return Err(format!("the back-fill lost {missing} of {ALERTS} alerts in {} runs", result.runs));
    }
    Ok(result)
}

/// Reads events, one on a line, and keeps their ids; bytes read, or why an event is wrong.
fn read(stdout: &mut dyn Read, seen: &mut BTreeSet<String>) -> Result<u64, String> {
    let mut lines = BufReader::with_capacity(256 * 1024, stdout);
    let (mut line, mut bytes, mut problem) = (String::new(), 0, None);
    // Read to the end in any case: a pipe that nobody reads would stop the program.
    loop {
        line.clear();
        match lines.read_line(&mut line) {
            Ok(0) => break,
            Ok(read) => bytes += read as u64,
            Err(error) => {
                problem.get_or_insert(format!("reading its output failed: {error}"));
                break;
            }
        }
        let data = line.split_once("<data>").and_then(|(_, rest)| rest.split_once("</data>"));
        let Some((data, _)) = data else { continue };
        let json: Option<Value> =
            serde_json::from_str(&data.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")).ok();
        let Some(id) = json.as_ref().and_then(|event| event["id"].as_str()) else {
            problem.get_or_insert(format!("an event is no alert: {data:.200}"));
            continue;
        };
        if !seen.insert(id.to_string()) {
            problem.get_or_insert(format!("the alert {id} came twice"));
        }
    }
    problem.map_or(Ok(bytes), Err)
}
