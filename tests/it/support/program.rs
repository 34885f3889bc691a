//! The program as a process: started as splunkd starts it, watched from outside.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::events::{self, Event};
use super::log::{Line, lines, normal};

/// Longer than any healthy run takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a process.
const LOOK: Duration = Duration::from_millis(5);

/// What the process finds on standard input.
#[derive(Clone, Debug)]
enum Input {
    /// Nothing.
    Empty,
    /// This, and then the end.
    Whole(Vec<u8>),
    /// This, and then a pipe that stays open, as splunkd leaves it.
    HeldOpen(Vec<u8>),
}

/// Who takes what the process writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// A thread, at once.
    Thread,
    /// Nobody, until [`Running::read_on`].
    Nobody,
    /// There is none: it leads nowhere.
    None,
}

/// A run that is being prepared. The environment is empty but for what is set here.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    input: Input,
    reader: Reader,
    disk_full: bool,
}

impl Program {
    /// The program with these arguments.
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { arguments, environment: Vec::new(), input: Input::Empty, reader: Reader::Thread, disk_full: false }
    }

    /// Sets a variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes to its standard input and ends it.
    pub(crate) fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Input::Whole(bytes.into());
        self
    }

    /// Writes to its standard input and leaves that open until the process ends.
    pub(crate) fn input_held_open(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Input::HeldOpen(bytes.into());
        self
    }

    /// Lets nobody read its standard output.
    pub(crate) fn unread(mut self) -> Self {
        self.reader = Reader::Nobody;
        self
    }

    /// Leads its standard output nowhere, as a closed one does.
    pub(crate) fn nowhere(mut self) -> Self {
        self.reader = Reader::None;
        self
    }

    /// Gives it a disk on which no file grows beyond 512 bytes: a write fails in its middle, as on a full one.
    pub(crate) fn disk_full(mut self) -> Self {
        self.disk_full = true;
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Ended {
        self.start().end()
    }

    /// Starts it.
    pub(crate) fn start(self) -> Running {
        let begun = Instant::now();
        let program = env!("CARGO_BIN_EXE_defender");
        let mut command = if self.disk_full {
            let mut shell = Command::new("/bin/sh");
            // What a shell ignores, the program it becomes ignores as well: the write fails and nobody is killed for it.
            shell.args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\"", program]);
            shell
        } else {
            Command::new(program)
        };
        let mut child = command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(if self.reader == Reader::None { Stdio::null() } else { Stdio::piped() })
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take();
        let (bytes, hold) = match self.input {
            Input::Empty => (Vec::new(), false),
            Input::Whole(bytes) => (bytes, false),
            Input::HeldOpen(bytes) => (bytes, true),
        };
        // A process that refuses before it read everything closes the pipe, which is its right.
        let _ = stdin.as_mut().unwrap().write_all(&bytes);
        let stderr = Collected::of(child.stderr.take().unwrap());
        let stdout = child.stdout.take();
        let mut running =
            Running { child, stdin: stdin.filter(|_| hold), untouched: stdout, stdout: Collected::default(), stderr, begun };
        if self.reader == Reader::Thread {
            running.read_on();
        }
        running
    }
}

/// Bytes a thread reads from a pipe.
#[derive(Default)]
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Collected {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bytes);
        let thread = thread::spawn(move || {
            let mut block = vec![0; 1 << 16];
            while let Ok(count @ 1..) = pipe.read(&mut block) {
                kept.lock().unwrap().extend_from_slice(&block[..count]);
            }
        });
        Self { bytes, thread: Some(thread) }
    }

    fn so_far(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }

    fn all(mut self) -> Vec<u8> {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.so_far()
    }
}

/// A run under way.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    untouched: Option<ChildStdout>,
    stdout: Collected,
    stderr: Collected,
    begun: Instant,
}

impl Running {
    /// Begins to read its standard output.
    pub(crate) fn read_on(&mut self) {
        if let Some(pipe) = self.untouched.take() {
            self.stdout = Collected::of(pipe);
        }
    }

    /// Closes the reading end of its standard output, unread.
    pub(crate) fn close_stdout(&mut self) {
        self.untouched = None;
    }

    /// Bytes that wait in the pipe which nobody reads.
    pub(crate) fn waiting(&self) -> u64 {
        self.untouched.as_ref().map_or(0, |pipe| rustix::io::ioctl_fionread(pipe).unwrap())
    }

    /// Writes more to its standard input, which was left open. One that ended has closed it, which is its right.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let _ = self.stdin.as_mut().unwrap().write_all(bytes);
    }

    /// Ends its standard input.
    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits until a condition holds.
    ///
    /// # Panics
    /// When the process ends before, or nothing happens for long.
    pub(crate) fn wait_until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !holds(self) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "ended ({ended:?}) before {what}: {}", self.stderr_so_far());
            assert!(Instant::now() < until, "in vain: {what}: {}", self.stderr_so_far());
            thread::sleep(LOOK);
        }
    }

    /// Bytes of its standard output that were read so far.
    pub(crate) fn taken(&self) -> usize {
        self.stdout.bytes.lock().unwrap().len()
    }

    /// Whether it ended.
    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// The whole events that it wrote and that were read so far.
    #[cfg(feature = "streaming")]
    pub(crate) fn events_so_far(&self) -> Vec<Event> {
        events::cut_short(&self.stdout.so_far())
    }

    /// What it wrote to standard error so far.
    pub(crate) fn stderr_so_far(&self) -> String {
        String::from_utf8_lossy(&self.stderr.so_far()).into_owned()
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
    }

    /// Halts it where it is: it does nothing, and keeps what it has.
    pub(crate) fn halt(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&self) {
        kill_process(self.pid(), Signal::KILL).unwrap();
    }

    /// What the system tells of it.
    pub(crate) fn proc(&self, name: &str) -> PathBuf {
        format!("/proc/{}/{name}", self.child.id()).into()
    }

    /// The most memory it had so far.
    pub(crate) fn peak_memory_kb(&self) -> u64 {
        self.peak_while_it_lives_kb().unwrap()
    }

    /// The same of a process that may have ended: then there is nothing to see.
    pub(crate) fn peak_while_it_lives_kb(&self) -> Option<u64> {
        let status = std::fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix(" kB").unwrap().parse().ok()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end.
    pub(crate) fn end(mut self) -> Ended {
        let (from, mut peak_memory_kb) = (Instant::now(), 0);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            peak_memory_kb = self.peak_while_it_lives_kb().unwrap_or(peak_memory_kb);
            assert!(from.elapsed() < PATIENCE, "it does not end: {}", self.stderr_so_far());
            thread::sleep(LOOK);
        };
        let (waited, took) = (from.elapsed(), self.begun.elapsed());
        drop(self.stdin.take());
        self.read_on();
        let stdout = std::mem::take(&mut self.stdout).all();
        let stderr = String::from_utf8(std::mem::take(&mut self.stderr).all()).unwrap();
        Ended { status, stdout, stderr, waited, took, peak_memory_kb }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed leaves no process behind; of one that ended, the answer is an error nobody needs.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A run that is over.
pub(crate) struct Ended {
    status: ExitStatus,
    /// All it wrote to standard output.
    pub(crate) stdout: Vec<u8>,
    /// All it wrote to standard error.
    pub(crate) stderr: String,
    /// From when its end was waited for.
    pub(crate) waited: Duration,
    /// From its start.
    pub(crate) took: Duration,
    /// The most memory it had, but for its last moments.
    pub(crate) peak_memory_kb: u64,
}

impl Ended {
    /// The exit code; `None` after a signal.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Checks the exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code(), Some(code), "stderr: {}", self.stderr);
        self
    }

    /// All it wrote to standard output, as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// The events on standard output.
    pub(crate) fn events(&self) -> Vec<Event> {
        events::whole(&self.stdout)
    }

    /// The whole events on standard output of a run that did not come to its end.
    pub(crate) fn events_cut_short(&self) -> Vec<Event> {
        events::cut_short(&self.stdout)
    }

    /// Its log lines.
    pub(crate) fn log(&self) -> Vec<Line> {
        lines(&self.stderr)
    }

    /// Its log lines of a level, made comparable.
    pub(crate) fn said(&self, level: &str) -> Vec<String> {
        self.log().into_iter().filter(|line| line.level == level).map(|line| normal(&line.message)).collect()
    }

    /// Checks that the lines of a level are exactly these.
    #[track_caller]
    pub(crate) fn says(self, level: &str, expected: &[&str]) -> Self {
        assert_eq!(self.said(level), expected, "stderr: {}", self.stderr);
        self
    }

    /// Checks that nothing went wrong on the way: no line above INFO.
    #[track_caller]
    pub(crate) fn quietly(self) -> Self {
        self.says("ERROR", &[]).says("WARN", &[])
    }
}
