//! Processes of one machine that do one piece of work one after the other, by a lock on a file.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::files;
use crate::lock::attempt;

/// A lock on a piece of work that is held. The operating system gives it back when the process dies, in whichever way.
#[derive(Debug)]
pub struct Turn {
    path: PathBuf,
    file: File,
}

impl Turn {
    /// Takes the lock `name` (of file-name characters) in `$SPLUNK_HOME/var/run/splunk`, where Splunk keeps what a restart
    /// may clear. While another process has it, `wait` is called between tries and ends the waiting by answering `true`:
    /// then there is none.
    ///
    /// # Errors
    /// When the file cannot be made, or its file system has no locks.
    pub fn take(splunk_home: &Path, name: &str, mut wait: impl FnMut() -> bool) -> io::Result<Option<Self>> {
        let path = splunk_home.join("var/run/splunk").join(format!("{name}.lock"));
        loop {
            if let Some(file) = attempt(&path).map_err(|error| files::at(&path, error))? {
                return Ok(Some(Self { path, file }));
            }
            if wait() {
                return Ok(None);
            }
        }
    }
}

impl Drop for Turn {
    /// Takes the file away, as each piece of work has its own, and then gives the lock back.
    fn drop(&mut self) {
        // On Windows an open file cannot be told from its successor, so the empty file stays.
        if cfg!(unix) {
            let _ = fs::remove_file(&self.path);
        }
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("var/run/splunk")).unwrap();
        home
    }

    #[test]
    fn one_at_a_time_and_nothing_left_behind() {
        let home = home();
        let first = Turn::take(home.path(), "a", || panic!("nobody has it")).unwrap().unwrap();
        assert!(Turn::take(home.path(), "a", || true).unwrap().is_none(), "the waiting can be ended");
        let _other = Turn::take(home.path(), "b", || panic!("another one")).unwrap().unwrap();
        let (mut first, mut tries) = (Some(first), 0);
        let second = Turn::take(home.path(), "a", || {
            tries += 1;
            first = first.take().filter(|_| tries < 3);
            false
        });
        assert_eq!((second.unwrap().is_some(), tries), (true, 3));
        let left: Vec<_> = fs::read_dir(home.path().join("var/run/splunk")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["b.lock"]);
        assert!(Turn::take(&home.path().join("nowhere"), "a", || true).is_err());
    }

    #[test]
    fn many_in_turn_never_two_at_once() {
        let home = home();
        let (inside, path) = (AtomicUsize::new(0), home.path());
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let lock = Turn::take(path, "a", || {
                            thread::yield_now();
                            false
                        });
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(lock.unwrap().unwrap());
                    }
                });
            }
        });
    }
}
