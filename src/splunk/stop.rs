//! The end that splunkd asks for: SIGTERM (and Ctrl-C), or CTRL_BREAK on Windows.
//!
//! The process ends within a second of the signal whatever it is doing. The main flow gets 400 ms to notice and
//! return by itself; a network read or a full pipe may keep it from that, and then a thread ends the process.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

/// What the main flow gets to return by itself.
const GRACE: Duration = Duration::from_millis(400);
/// What the last words get after that. Together with [`GRACE`] well below the second that is promised.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// A handle on the wish to stop; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    requested: AtomicBool,
    /// Guards nothing but the sleep: a request is announced under it, so that no sleeper misses it.
    sleepers: Mutex<()>,
    wake: Condvar,
}

impl Stop {
    /// A handle that only [`Stop::request`] trips.
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens for the signals from here on. When one came and the process is still there after the grace, `last_words`
    /// is said on a thread of its own (it may block: it gets 300 ms) and the process ends with exit code 0.
    ///
    /// # Errors
    /// When the handlers or the threads cannot be set up.
    pub fn listen(last_words: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        Self::listen_and_exit(0, last_words)
    }

    /// The same with another exit code, for a process whose work is not done when it is ended.
    ///
    /// # Errors
    /// See [`Stop::listen`].
    pub fn listen_and_exit(code: i32, last_words: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let stop = Self::new();
        let signals = signals::Signals::new()?;
        let handle = stop.clone();
        thread::Builder::new().name("stop".to_owned()).spawn(move || {
            signals.wait();
            handle.request();
            thread::sleep(GRACE);
            speak(last_words);
            // The main flow is stuck in a call that cannot be interrupted, and splunkd kills what outlives its grace.
            #[allow(clippy::exit, reason = "the one end that does not depend on the main flow")]
            std::process::exit(code);
        })?;
        Ok(stop)
    }

    /// Whether to stop.
    pub fn requested(&self) -> bool {
        self.0.requested.load(Ordering::Acquire)
    }

    /// Asks everybody who holds this handle to stop.
    pub fn request(&self) {
        let _announcing = self.0.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.requested.store(true, Ordering::Release);
        self.0.wake.notify_all();
    }

    /// Waits, but not beyond a stop. True when one was requested.
    pub fn sleep(&self, span: Duration) -> bool {
        let guard = self.0.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.wake.wait_timeout_while(guard, span, |()| !self.requested());
        drop(waited);
        self.requested()
    }
}

/// Gives the last words their time. They may wait for a lock or a full pipe for ever, so nobody joins them.
fn speak(last_words: impl FnOnce() + Send + 'static) {
    let (said, heard) = mpsc::channel();
    let spoken = thread::Builder::new().name("last words".to_owned()).spawn(move || {
        last_words();
        // Nobody listens any more when the time is over.
        let _ = said.send(());
    });
    if spoken.is_ok() {
        let _ = heard.recv_timeout(LAST_WORDS);
    }
}

#[cfg(unix)]
mod signals {
    use std::io;

    use signal_hook::consts::{SIGINT, SIGTERM};

    /// The signals that mean stop.
    pub(super) struct Signals(signal_hook::iterator::Signals);

    impl Signals {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self(signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?))
        }

        /// Returns with the first one.
        pub(super) fn wait(mut self) {
            let _first = self.0.forever().next();
        }
    }
}

#[cfg(windows)]
mod signals {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::Duration;

    use signal_hook::consts::{SIGBREAK, SIGINT, SIGTERM};

    /// The signals that mean stop. Windows has no way to wait for one, so a flag is looked at.
    pub(super) struct Signals(Arc<AtomicBool>);

    impl Signals {
        pub(super) fn new() -> io::Result<Self> {
            let flag = Arc::new(AtomicBool::new(false));
            for signal in [SIGBREAK, SIGINT, SIGTERM] {
                signal_hook::flag::register(signal, Arc::clone(&flag))?;
            }
            Ok(Self(flag))
        }

        /// Returns with the first one, 50 ms later at most.
        pub(super) fn wait(self) {
            while !self.0.load(Ordering::Acquire) {
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Child, ChildStdout, Command, Stdio};
    use std::time::Instant;

    use super::super::event::{Event, SharedStream};
    use super::super::stdout::Stdout;
    use super::*;
    use crate::time::Ticks;

    const LONG: Duration = Duration::from_secs(60);
    /// Names the situation that a copy of this test program is to get into.
    const SITUATION: &str = "TA_DEFENDER_TEST_STOP";

    #[test]
    fn a_sleep_ends_with_the_request() {
        let stop = Stop::new();
        assert!(!stop.sleep(Duration::from_millis(10)));
        assert!(!stop.requested());
        let other = stop.clone();
        let asking = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            other.request();
        });
        let begun = Instant::now();
        assert!(stop.sleep(LONG));
        assert!(begun.elapsed() < LONG / 2);
        asking.join().unwrap();
        assert!(stop.requested() && stop.sleep(LONG), "every later sleep ends at once");
    }

    /// Not a test of its own: what [`in_situation`] runs in a process that can be ended.
    #[test]
    fn situation() {
        let Ok(situation) = std::env::var(SITUATION) else { return };
        let stream = SharedStream::new(Stdout::open().unwrap());
        let last = stream.clone();
        let stop = Stop::listen(move || _ = last.abandon()).unwrap();
        let event =
            |data: &str| stream.write(&Event { time: Ticks(0), source: "s", sourcetype: "t", index: None, host: None, data });
        event("first").unwrap();
        stream.flush().unwrap();
        match situation.as_str() {
            // A read that never returns.
            "stuck" => _ = io::stdin().read(&mut [0; 1]),
            // A reader that takes no more: the write blocks half-way through an event.
            "full" => while event(&"x".repeat(10_000)).is_ok() {},
            // A flow that looks after itself, and one that would never look.
            "polite" => {
                assert!(stop.sleep(LONG));
                stream.close().unwrap();
                #[allow(clippy::exit, reason = "tells this end from the one of the stop thread")]
                std::process::exit(7);
            }
            "busy" => loop {
                let _ = event("busy");
                let _ = stream.flush();
            },
            other => panic!("{other}"),
        }
        thread::sleep(LONG);
    }

    /// A copy of this test program in a situation, up to its first event, and what is left of its output.
    fn in_situation(situation: &str) -> (Child, BufReader<ChildStdout>) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "splunk::stop::tests::situation", "--nocapture"])
            .env(SITUATION, situation)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("<data>first</data>") {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "{situation} never began");
        }
        (child, output)
    }

    /// Sends the signal; gives back the exit code and how long the process lived on.
    fn signalled(child: &mut Child, signal: &str) -> (Option<i32>, Duration) {
        let begun = Instant::now();
        Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        let status = child.wait().unwrap();
        (status.code(), begun.elapsed())
    }

    fn rest(mut output: BufReader<ChildStdout>) -> String {
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        rest
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_stuck_process_closes_its_stream_and_ends_within_a_second() {
        for signal in ["-TERM", "-INT"] {
            let (mut child, output) = in_situation("stuck");
            let (code, lived) = signalled(&mut child, signal);
            assert_eq!(code, Some(0));
            assert!(lived < SECOND, "{lived:?}");
            assert_eq!(rest(output), "</stream>\n");
        }
    }

    #[test]
    fn a_full_pipe_does_not_keep_the_process() {
        let (mut child, output) = in_situation("full");
        thread::sleep(Duration::from_millis(300));
        let (code, lived) = signalled(&mut child, "-TERM");
        assert_eq!(code, Some(0));
        assert!(lived < SECOND, "{lived:?}");
        assert!(!rest(output).contains("</stream>"), "nothing follows half an event");
    }

    #[test]
    fn a_busy_process_ends_after_a_whole_event() {
        let (mut child, output) = in_situation("busy");
        let reader = thread::spawn(move || rest(output));
        let (code, lived) = signalled(&mut child, "-TERM");
        assert_eq!(code, Some(0));
        assert!(lived < SECOND, "{lived:?}");
        let rest = reader.join().unwrap();
        assert!(rest.ends_with("<data>busy</data></event>\n</stream>\n"), "{}", &rest[rest.len().saturating_sub(200)..]);
        assert_eq!(rest.matches("</stream>").count(), 1);
    }

    #[test]
    fn a_polite_process_ends_by_itself() {
        let (mut child, output) = in_situation("polite");
        let (code, lived) = signalled(&mut child, "-TERM");
        assert_eq!(code, Some(7));
        assert!(lived < SECOND, "{lived:?}");
        assert_eq!(rest(output), "</stream>\n");
    }
}
