//! Runs a program and says what it cost. Between this program and the measured one stands a launcher, this program again
//! under another argument: the peak memory of a process is inherited through `exec`, and here it would be that of the served
//! pages.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};

/// The argument that makes this program the launcher.
pub const LAUNCH: &str = "--launch";

/// How to start a program.
#[derive(Clone, Debug)]
pub struct Start {
    /// The program.
    pub program: PathBuf,
    /// What it is told.
    pub arguments: Vec<String>,
    /// All of its environment.
    pub environment: Vec<(&'static str, OsString)>,
    /// What it reads.
    pub stdin: String,
}

/// What a run cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// User and system time of the program and its children.
    pub cpu: Duration,
    /// The peak of its resident memory, in bytes.
    pub peak: u64,
    /// From start to end.
    pub wall: Duration,
    /// The exit code; -1 for a signal.
    pub code: i32,
}

/// The launcher: runs a program on its own stdin and stdout, and writes the cost into a file.
pub fn launcher(arguments: &[OsString]) -> ExitCode {
    let [report, program, rest @ ..] = arguments else { return ExitCode::from(2) };
    let started = Instant::now();
    let status = match Command::new(program).args(rest).status() {
        Ok(status) => status,
        Err(error) => return fail(report, &error.to_string()),
    };
    let wall = started.elapsed();
    let usage = match getrusage(UsageWho::RUSAGE_CHILDREN) {
        Ok(usage) => usage,
        Err(error) => return fail(report, &error.to_string()),
    };
    let micros = |time: TimeVal| time.num_microseconds();
    let line = format!(
        "{} {} {} {}",
        micros(usage.user_time()) + micros(usage.system_time()),
        usage.max_rss(),
        wall.as_micros(),
        status.code().unwrap_or(-1)
    );
    if fs::write(report, line).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn fail(report: &OsString, reason: &str) -> ExitCode {
    let _ = fs::write(report, reason);
    ExitCode::FAILURE
}

/// Runs a program under the launcher: what it cost, what `take` made of its stdout, and its stderr. `take` reads while it
/// runs; a pipe that nobody reads would stop it.
///
/// # Errors
/// When it cannot be started or measured.
pub fn run<T: Send>(
    start: &Start,
    folder: &Path,
    take: impl FnOnce(&mut dyn Read) -> T + Send,
) -> Result<(Cost, T, String), String> {
    let name = start.program.display();
    let report = folder.join("cost");
    let me = std::env::current_exe().map_err(|error| format!("this program's own path: {error}"))?;
    let _ = fs::remove_file(&report);
    let mut child = Command::new(me)
        .arg(LAUNCH)
        .arg(&report)
        .arg(&start.program)
        .args(&start.arguments)
        .env_clear()
        .envs(start.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{name} cannot be started: {error}"))?;
    let (Some(mut stdin), Some(mut stdout), Some(mut stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(format!("{name}: the pipes are missing"));
    };
    let (taken, said) = thread::scope(|scope| {
        let taken = scope.spawn(move || take(&mut stdout));
        let said = scope.spawn(move || {
            let mut said = Vec::new();
            let _ = stderr.read_to_end(&mut said);
            String::from_utf8_lossy(&said).into_owned()
        });
        // A program that refuses without reading closes the pipe; its exit code tells.
        let _ = stdin.write_all(start.stdin.as_bytes());
        drop(stdin);
        (taken.join(), said.join())
    });
    let (Ok(taken), Ok(said)) = (taken, said) else { return Err(format!("{name}: reading its output failed")) };
    child.wait().map_err(|error| format!("{name}: {error}"))?;
    let line = fs::read_to_string(&report).unwrap_or_default();
    let numbers: Vec<i64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [cpu, peak, wall, code] = numbers[..] else { return Err(format!("{name} was not measured: {line} {said}")) };
    let span = |micros: i64| Duration::from_micros(micros.unsigned_abs());
    let cost = Cost { cpu: span(cpu), peak: peak.unsigned_abs() * 1024, wall: span(wall), code: code as i32 };
    Ok((cost, taken, said))
}

/// Everything a program writes.
pub fn whole(stdout: &mut dyn Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut block = vec![0; 256 * 1024];
    loop {
        match stdout.read(&mut block) {
            Ok(0) => return bytes,
            Ok(read) => bytes.extend_from_slice(&block[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // What is missing, the check will miss.
            Err(_) => return bytes,
        }
    }
}
