//! The program and its peers, side by side: what the same pages cost each of them. `./build.sh bench` runs it.

// What this program prints is its purpose.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod backfill;
mod ceiling;
mod check;
mod contest;
mod machine;
mod report;
mod side_by_side;
mod start_up;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use contest::{Contestant, Form};
use simulator::run::launch;
use simulator::throttle::Limits;
use simulator::{Config, Simulator};

const USAGE: &str = "usage: bench --program DEFENDER [options]
  --no-streaming FILE   the program without the streaming feeds: how large it is
  --download FILE       the program that downloads and does nothing else
  --peers FOLDER        peer_a.py, peer_b.py, peer_c.js and what they come with
  --python FILE         runs the first two
  --node FILE           runs the third
  --no-peers REASON     says in the report why there are none
  --report FILE         writes the tables there
  --runs N              measured runs of everything (5)
  --quick               one run of each, fewer pages, no back-fill: whether all of it works";

/// What the command line asks for.
pub(crate) struct Options {
    program: PathBuf,
    no_streaming: Option<PathBuf>,
    download: Option<PathBuf>,
    peers: Option<PathBuf>,
    python: Option<PathBuf>,
    node: Option<PathBuf>,
    /// What is missing, and why.
    absent: Vec<String>,
    report: Option<PathBuf>,
    runs: usize,
    quick: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if arguments.first().is_some_and(|argument| argument == launch::LAUNCH) {
        return launch::launcher(&arguments[1..]);
    }
    let options = match options(arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned())) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match measure(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("\nThe benchmark stopped: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        program: PathBuf::new(),
        no_streaming: None,
        download: None,
        peers: None,
        python: None,
        node: None,
        absent: Vec::new(),
        report: None,
        runs: 5,
        quick: false,
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--program" => options.program = value()?.into(),
            "--no-streaming" => options.no_streaming = Some(value()?.into()),
            "--download" => options.download = Some(value()?.into()),
            "--peers" => options.peers = Some(value()?.into()),
            "--python" => options.python = Some(value()?.into()),
            "--node" => options.node = Some(value()?.into()),
            "--no-peers" => options.absent.push(value()?),
            "--report" => options.report = Some(value()?.into()),
            "--runs" => options.runs = value()?.parse().ok().filter(|runs| *runs > 0).ok_or("--runs: not a number above 0")?,
            "--quick" => (options.quick, options.runs) = (true, 1),
            other => return Err(format!("{other} is not an option")),
        }
    }
    if options.program.as_os_str().is_empty() { Err("--program is missing".to_string()) } else { Ok(options) }
}

impl Options {
    /// Everybody who takes part, ours first, the peer that ratios are about behind it.
    fn contestants(&self) -> Vec<Contestant> {
        let ours = |form| Contestant::Ours(self.program.clone(), form);
        let mut all = vec![ours(Form::Verbatim), ours(Form::Compact)];
        if let Some(folder) = &self.peers {
            let scripts = [
                (&self.python, "peer_a.py", "splunk-sdk, Python"),
                (&self.python, "peer_b.py", "solnlib, Python"),
                (&self.node, "peer_c.js", "splunk-sdk, JavaScript"),
            ];
            for (runner, script, name) in scripts {
                if let Some(runner) = runner {
                    all.push(Contestant::Peer(runner.clone(), folder.join(script), name));
                }
            }
        }
        all.extend(self.download.clone().map(Contestant::Download));
        all
    }
}

fn measure(options: &Options) -> Result<(), String> {
    let config = Config { alerts: 0, incidents: 0, tls: true, splunkd_tls: true, limits: Limits::Off, ..Config::default() };
    let simulator = Simulator::try_start(config).map_err(|error| format!("the stand-ins did not start: {error}"))?;
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let contestants = options.contestants();
    let mut report = report::Report::begin(options);

    report.start_up(&start_up::measure(&contestants, options, folder.path())?);
    for scenario in side_by_side::scenarios(options.quick) {
        let preload = simulator.preload(scenario.plan);
        let ceiling = ceiling::measure(&simulator, &preload)?;
        let rows = side_by_side::measure(&contestants, options.runs, &simulator, &preload, folder.path())?;
        report.side_by_side(&scenario, &preload, &ceiling, &rows);
    }
    drop(simulator);
    if !options.quick {
        report.back_fill(&backfill::measure(&options.program, folder.path())?);
    }
    report.end(options.report.as_deref())
}
