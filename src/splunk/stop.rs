//! The end that splunkd asks for: SIGTERM (and Ctrl-C), or CTRL_BREAK on Windows.
//!
//! The process ends within a second of the signal whatever it is doing. The main flow gets [`GRACE`] to notice and
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
            std::process::exit(0);
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
