//! Runs the program under demonstration the way splunkd runs it: arguments, stdin, environment.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Nothing here takes longer unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a run left behind.
pub struct Run {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Everything on stdout.
    pub stdout: String,
    /// Everything on stderr.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

/// Runs the program and waits for its end.
pub fn run(program: &Path, arguments: &[&str], stdin: &str, splunk_home: &Path) -> Result<Run, String> {
    let started = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("SPLUNK_HOME", splunk_home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
    let (mut input, output, errors) = match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
        (Some(input), Some(output), Some(errors)) => (input, output, errors),
        _ => return Err("the pipes to the program are missing".to_string()),
    };
    let (output, errors) = (collect(output), collect(errors));
    // A program that ends without reading closes the pipe; its exit code says what that means.
    let _ = input.write_all(stdin.as_bytes());
    drop(input);
    let code = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status.code(),
            Ok(None) if started.elapsed() > PATIENCE => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{} {} did not end within {} s", program.display(), arguments.join(" "), PATIENCE.as_secs()));
            }
            Ok(None) => thread::sleep(Duration::from_millis(5)),
            Err(error) => return Err(format!("waiting for {} failed: {error}", program.display())),
        }
    };
    let took = started.elapsed();
    let text = |thread: thread::JoinHandle<Vec<u8>>| {
        thread.join().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    };
    Ok(Run { code, stdout: text(output), stderr: text(errors), took })
}

fn collect(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is still worth showing.
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}
