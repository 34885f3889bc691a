//! Locks that hold although somebody takes their files away.
//!
//! A lock belongs to the file that was opened, not to its name. Whoever deletes a lock file, moves it or puts a copy back lets the
//! next process lock another file of the same name. So an input holds two locks, on its lock file and on its position, which
//! is never deleted without a reason; and before it saves, it looks whether both names are still its own.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::checkpoint::{CheckpointError, put};
use crate::files::{self, Links};

/// The position of one input, held against a second process of the same input.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    position: PathBuf,
    // Locked until dropped; the operating system unlocks them when the process dies.
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    file: File,
    /// The position itself, once there is one.
    position: Option<File>,
}

impl Lock {
    /// Takes the lock of the input `stanza` in splunkd's `checkpoint_dir`, which is made when missing. `position` is the file
    /// there that the input saves first. Waits while another process of the same input (the one splunkd just stopped) still
    /// holds it; `wait` is called between tries and ends the waiting by answering `true`: then there is no lock.
    ///
    /// # Errors
    /// [`CheckpointError::Unsaved`] when the folder or the lock file cannot be made, [`CheckpointError::NoFile`] when
    /// something else stands in its place.
    pub fn take(
        folder: &Path,
        stanza: &str,
        position: PathBuf,
        mut wait: impl FnMut() -> bool,
    ) -> Result<Option<Self>, CheckpointError> {
        // A file of its own: a checkpoint itself is replaced on every save, and a lock would go with the old one.
        let path = folder.join(format!("{stanza}.lock"));
        fs::create_dir_all(folder).map_err(|reason| CheckpointError::Unsaved { path: position.clone(), reason })?;
        loop {
            let tried = attempt(&path).map_err(|reason| CheckpointError::unsaved(&path, &path, reason))?;
            if let Some(file) = tried
                && let Ok(position_held) = guard(&position)
            {
                let held = Mutex::new(Held { file, position: position_held });
                return Ok(Some(Self { path, position, held }));
            }
            if wait() {
                return Ok(None);
            }
        }
    }

    /// Replaces the position, and holds the new file as it held the old one.
    ///
    /// # Errors
    /// See [`Lock::check`] and [`crate::checkpoint::replace`].
    pub fn replace(&self, position: &impl Serialize) -> Result<(), CheckpointError> {
        self.check()?;
        let file = put(&self.position, position)?;
        self.held.lock().unwrap_or_else(PoisonError::into_inner).position = Some(file);
        Ok(())
    }

    /// Looks whether this process still holds the input. A lock file that was taken away is made anew.
    ///
    /// # Errors
    /// [`CheckpointError::Taken`] when another process holds the input by now: what this one knows is out of date.
    /// [`CheckpointError::Unsaved`] when the lock file cannot be made anew.
    pub fn check(&self) -> Result<(), CheckpointError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if is_named(&held.file, &self.path) {
            return Ok(());
        }
        match attempt(&self.path) {
            Ok(Some(file)) => held.file = file,
            // Who waits for the position looks at the lock file for a moment, too.
            Ok(None) if held.position.as_ref().is_some_and(|file| is_named(file, &self.position)) => {}
            Ok(None) => return Err(CheckpointError::Taken { path: self.position.clone() }),
            Err(reason) => return Err(CheckpointError::unsaved(&self.path, &self.path, reason)),
        }
        Ok(())
    }
}

/// Locks the file of this name, which is made when missing. `None` while another process has it.
///
/// # Errors
/// When the file cannot be made or its file system has no locks, and when something else stands in its place.
pub(crate) fn attempt(path: &Path) -> io::Result<Option<File>> {
    let file = files::lock(path)?;
    match file.try_lock() {
        // Who had it may have taken the file away: the next one to come would lock another.
        Ok(()) => Ok(is_named(&file, path).then_some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(reason)) => Err(reason),
    }
}

/// Locks a position as far as that can be done: the lock file is what counts on file systems and machines where it cannot.
/// An error says that another process has it.
fn guard(position: &Path) -> Result<Option<File>, ()> {
    if !cfg!(unix) {
        // On Windows nobody, this process included, may read a file through another handle than the one that locks it.
        return Ok(None);
    }
    // What is wrong with a file that cannot be opened is told by whoever reads it.
    let Ok(file) = files::open(position, Links::Refused) else { return Ok(None) };
    match file.try_lock() {
        Ok(()) if is_named(&file, position) => Ok(Some(file)),
        // It was replaced meanwhile: whoever did holds it.
        Ok(()) | Err(TryLockError::WouldBlock) => Err(()),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// Holds a file that is about to become a position; nobody else knows it yet.
pub(crate) fn hold(file: &File) {
    if cfg!(unix) {
        // Where it cannot be locked, the lock file alone has to do.
        let _ = file.try_lock();
    }
}

/// Whether the name still stands for the file that was opened.
#[cfg(unix)]
pub(crate) fn is_named(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(there)) => (held.dev(), held.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// Whether the name still stands for the file that was opened: an open file cannot be taken away on Windows.
#[cfg(not(unix))]
pub(crate) fn is_named(_: &File, _: &Path) -> bool {
    true
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn take(folder: &Path) -> Option<Lock> {
        Lock::take(folder, "a", folder.join("a.json"), || true).unwrap()
    }

    type Accident = (&'static str, fn(&Path));

    /// What befalls a lock file while a run holds it.
    fn accidents() -> [Accident; 4] {
        [
            ("deleted", |lock| fs::remove_file(lock).unwrap()),
            ("moved away", |lock| fs::rename(lock, lock.with_extension("old")).unwrap()),
            ("put back by a backup", |lock| {
                fs::write(lock.with_extension("restored"), "").unwrap();
                fs::rename(lock.with_extension("restored"), lock).unwrap();
            }),
            ("written to", |lock| fs::write(lock, "pid 1").unwrap()),
        ]
    }

    #[test]
    fn a_second_run_does_not_start_whatever_became_of_the_lock_file() {
        for (accident, happen) in accidents() {
            let dir = tempfile::tempdir().unwrap();
            let first = take(dir.path()).unwrap();
            first.replace(&1).unwrap();
            happen(&dir.path().join("a.lock"));
            assert!(take(dir.path()).is_none(), "{accident}, before the next save");
            first.replace(&2).unwrap();
            assert!(take(dir.path()).is_none(), "{accident}, after it");
            // The position alone may be replaced as well: the lock file is there again.
            fs::remove_file(dir.path().join("a.json")).unwrap();
            assert!(take(dir.path()).is_none(), "{accident}, then the position");
            drop(first);
            assert!(take(dir.path()).is_some(), "{accident}, and it ended");
        }
    }

    #[test]
    fn a_run_whose_files_were_all_taken_away_ends_when_another_holds_the_input() {
        let dir = tempfile::tempdir().unwrap();
        let first = take(dir.path()).unwrap();
        first.replace(&1).unwrap();
        for name in ["a.lock", "a.json"] {
            fs::remove_file(dir.path().join(name)).unwrap();
        }
        let second = take(dir.path()).unwrap();
        second.replace(&2).unwrap();
        let message = first.replace(&3).unwrap_err().to_string();
        assert!(message.contains("a.json") && message.contains("another run"), "{message}");
        second.replace(&4).unwrap();
        assert!(fs::read_to_string(dir.path().join("a.json")).unwrap().contains('4'));
    }

    #[test]
    fn the_folder_may_be_moved_to_another_disk_and_linked() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("checkpoints");
        fs::create_dir(&folder).unwrap();
        let first = take(&folder).unwrap();
        first.replace(&1).unwrap();
        fs::rename(&folder, dir.path().join("elsewhere")).unwrap();
        assert!(matches!(first.replace(&2), Err(CheckpointError::Unsaved { .. })), "nowhere to save");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &folder).unwrap();
        first.replace(&3).unwrap();
        assert!(take(&folder).is_none());
    }

    #[test]
    fn what_is_no_plain_file_is_neither_followed_nor_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let (lock, foreign) = (dir.path().join("a.lock"), dir.path().join("foreign"));
        fs::write(&foreign, "text of somebody else").unwrap();
        std::os::unix::fs::symlink(&foreign, &lock).unwrap();
        let refused = || Lock::take(dir.path(), "a", dir.path().join("a.json"), || true).unwrap_err().to_string();
        let message = refused();
        assert!(message.contains("a.lock") && message.contains("it is a symbolic link and no file: remove it"), "{message}");
        assert_eq!(fs::read_to_string(&foreign).unwrap(), "text of somebody else");
        fs::remove_file(&lock).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &lock, rustix::fs::Mode::RWXU).unwrap();
        assert!(refused().contains("it is a FIFO and no file: remove it"), "{}", refused());
        fs::remove_file(&lock).unwrap();
        // A named pipe in the place of the position does not keep the lock from being taken; reading it tells.
        rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join("a.json"), rustix::fs::Mode::RWXU).unwrap();
        assert!(take(dir.path()).is_some());
    }
}
