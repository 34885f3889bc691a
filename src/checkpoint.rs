//! The position of one input on disk: versioned, replaced atomically, read strictly.
//!
//! A file that is there but cannot be read is never "first run": the input stops and says so, since starting again would
//! either lose or repeat a month of alerts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cursor::Cursor;
use crate::files::{self, Links};
use crate::late::Late;
use crate::limits;
use crate::lock::{self, Lock};
use crate::time::Ticks;

/// What the file of one input holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Which set of objects the position belongs to.
    pub subject: Subject,
    /// A service asked to be left alone until then (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// What was warned of, and when.
    #[serde(default, skip_serializing_if = "Warned::is_empty")]
    pub warned: Warned,
    /// The position.
    pub cursor: Cursor,
    /// What is known of late looks; nothing in a position of an earlier version.
    #[serde(default, skip_serializing_if = "Late::is_unset")]
    pub late: Late,
}

/// Whose position it is. Another tenant or feed is another set of objects; another API or filter is another look at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The input's name.
    pub stanza: String,
    /// The Entra tenant.
    pub tenant_id: String,
    /// The feed's name.
    pub feed: String,
    /// The `api` parameter.
    pub api: String,
    /// The `filter` parameter.
    pub filter: Option<String>,
}

impl Subject {
    /// Whether both are the same set of objects: the same feed of the same tenant, whose id is told from another's by nothing but
    /// letters and digits.
    ///
    /// A tenant written as its GUID and the same one written as its domain name are two: only the service could tell, and
    /// going on in the wrong tenant would lose what beginning again merely repeats.
    pub fn is_same_set(&self, other: &Self) -> bool {
        self.feed == other.feed && self.tenant_id.eq_ignore_ascii_case(&other.tenant_id)
    }
}

/// What lasts for many polls and is warned of once an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lasting {
    /// The service's clock and this machine's differ.
    Clocks,
    /// Answers have no `Date`.
    Undated,
    /// More versions would have to be remembered than there is room for.
    Forgotten,
    /// The service names next pages that lead nowhere.
    NextPages,
}

/// When each lasting trouble was warned of last (RFC 3339): a poll is a process of its own, so its checkpoint has to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Warned(BTreeMap<Lasting, String>);

impl Warned {
    const PAUSE: Duration = Duration::from_secs(3600);

    /// Whether nothing was warned of.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is time to warn of this; then it counts as warned of now. A time in the future was written by a clock that
    /// was wrong, and silences nothing.
    pub fn is_due(&mut self, what: Lasting, now: Ticks) -> bool {
        let last = self.0.get(&what).and_then(|text| Ticks::parse(text));
        let due = last.is_none_or(|last| last > now || now.since(last) >= Self::PAUSE);
        if due {
            self.0.insert(what, now.floor_ms().to_string());
        }
        due
    }
}

/// The layout written by this program.
const VERSION: u32 = 1;

/// Why a position cannot be read or saved. Always names the file.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file is there and cannot be read.
    #[error("the checkpoint {path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It could not be written; the one before is whole.
    #[error("the checkpoint {path} cannot be saved: {reason}")]
    Unsaved {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// Its files were taken away while it was at work, and another process began with new ones.
    #[error("the checkpoint {path} belongs to another run of this input, which began while this one was at work")]
    Taken {
        /// The file.
        path: PathBuf,
    },
    /// Something else than a file stands where one of the input's files is to be written.
    #[error("{path} cannot be used: {reason}")]
    NoFile {
        /// What stands there.
        path: PathBuf,
        /// What it is, and what to do about it.
        reason: io::Error,
    },
}

impl CheckpointError {
    /// Why a file could not be written on the way to a new checkpoint.
    pub(crate) fn unsaved(checkpoint: &Path, written: &Path, reason: io::Error) -> Self {
        if files::is_no_file(&reason) {
            Self::NoFile { path: written.to_owned(), reason }
        } else {
            Self::Unsaved { path: checkpoint.to_owned(), reason }
        }
    }

    /// Whether a person has to act: trying again changes nothing.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Unreadable { .. })
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => {
                "restore the file from a backup, or delete it to let the input begin again at its `start`, which repeats events"
            }
            Self::NoFile { .. } => "then the input goes on where it was; nothing behind it was read or written",
            Self::Unsaved { .. } => {
                "make the folder writable for the user splunkd runs as and see that the disk has room; the position saved before is intact"
            }
            Self::Taken { .. } => "leave the files of a running input alone; the other run goes on",
        }
    }
}

/// The file of one input.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    lock: Lock,
}

impl Store {
    /// Opens the file of the input `stanza` in splunkd's `checkpoint_dir`; waits as [`Lock::take`] does, and is `None`
    /// when that was ended.
    ///
    /// # Errors
    /// See [`Lock::take`].
    pub fn open(folder: &Path, stanza: &str, wait: impl FnMut() -> bool) -> Result<Option<Self>, CheckpointError> {
        let path = folder.join(format!("{stanza}.json"));
        Ok(Lock::take(folder, stanza, path.clone(), wait)?.map(|lock| Self { path, lock }))
    }

    /// The position saved last; `None` on the first run.
    ///
    /// # Errors
    /// [`CheckpointError::Unreadable`].
    pub fn load(&self, stanza: &str) -> Result<Option<Checkpoint>, CheckpointError> {
        let Some(checkpoint) = read::<Checkpoint>(&self.path)? else { return Ok(None) };
        if checkpoint.subject.stanza != stanza {
            let reason = format!("it belongs to the input `{}`", checkpoint.subject.stanza);
            return Err(CheckpointError::Unreadable { path: self.path.clone(), reason });
        }
        Ok(Some(checkpoint))
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// See [`Lock::replace`].
    pub fn save(&self, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
        self.lock.replace(checkpoint)
    }
}

/// Reads what a file holds; `None` when there is no file.
///
/// # Errors
/// [`CheckpointError::Unreadable`].
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, CheckpointError> {
    let unreadable = |reason| CheckpointError::Unreadable { path: path.to_owned(), reason };
    let bytes = match files::read(path, Links::Refused, limits::CHECKPOINT) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(e.to_string())),
    };
    parse(&bytes).map(Some).map_err(unreadable)
}

/// Replaces a file: a temporary file beside it, synced, renamed over it, the folder synced.
///
/// # Errors
/// [`CheckpointError::Unsaved`] and [`CheckpointError::NoFile`]; then the file is as it was before.
pub fn replace(path: &Path, checkpoint: &impl Serialize) -> Result<(), CheckpointError> {
    put(path, checkpoint).map(drop)
}

/// The same, and the new file, held against other processes (see [`Lock`]) from before it had its name.
pub(crate) fn put(path: &Path, checkpoint: &impl Serialize) -> Result<File, CheckpointError> {
    let temporary = path.with_extension("tmp");
    let unsaved = |reason| CheckpointError::unsaved(path, &temporary, reason);
    let text = to_json(checkpoint).map_err(|e| unsaved(e.into()))?;
    let mut file = files::create(&temporary).map_err(unsaved)?;
    let written = (|| {
        file.write_all(&text)?;
        file.sync_all()?;
        lock::hold(&file);
        std::fs::rename(&temporary, path)?;
        Ok(file)
    })();
    let file = written.map_err(|reason| {
        let _ = std::fs::remove_file(&temporary);
        unsaved(reason)
    })?;
    path.parent().map_or(Ok(()), files::sync_folder).map_err(unsaved)?;
    Ok(file)
}

/// The bytes of a checkpoint file.
///
/// # Errors
/// Those of the serializer, which has no reason for any.
pub fn to_json<T: Serialize>(checkpoint: &T) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Versioned<'a, T> {
        version: u32,
        checkpoint: &'a T,
    }
    serde_json::to_vec(&Versioned { version: VERSION, checkpoint })
}

/// Reads the bytes of a checkpoint file.
///
/// # Errors
/// What is wrong, as a clause.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    /// The number is read alone and first, so that a later layout is called what it is.
    #[derive(Deserialize)]
    struct VersionOnly {
        version: u32,
    }
    #[derive(Deserialize)]
    struct Versioned<T> {
        checkpoint: T,
    }
    if bytes.is_empty() {
        return Err("it is empty".to_owned());
    }
    let found: VersionOnly = serde_json::from_slice(bytes).map_err(|e| format!("it is damaged ({e})"))?;
    if found.version != VERSION {
        return Err(format!("it has layout {}, and this version of the add-on knows layout {VERSION}", found.version));
    }
    let read: Versioned<T> = serde_json::from_slice(bytes).map_err(|e| format!("it is damaged ({e})"))?;
    Ok(read.checkpoint)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn checkpoint(stanza: &str) -> Checkpoint {
        Checkpoint {
            subject: Subject {
                stanza: stanza.to_owned(),
                tenant_id: "t".to_owned(),
                feed: "alerts".to_owned(),
                api: "graph".to_owned(),
                filter: None,
            },
            not_before: None,
            warned: Warned::default(),
            cursor: Cursor::begin(Ticks(0), Ticks(20_000_000_000), Duration::from_secs(60)),
            late: Late::default(),
        }
    }

    fn open(folder: &Path, stanza: &str) -> Store {
        Store::open(folder, stanza, || panic!("nobody else holds it")).unwrap().unwrap()
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir.path().join("made/here"), "a");
        assert!(store.load("a").unwrap().is_none());
        store.save(&checkpoint("a")).unwrap();
        let loaded = store.load("a").unwrap().unwrap();
        assert_eq!(to_json(&loaded).unwrap(), to_json(&checkpoint("a")).unwrap());
        assert_eq!(std::fs::read_dir(dir.path().join("made/here")).unwrap().count(), 2, "checkpoint and lock, no leftovers");
    }

    #[test]
    fn a_lasting_trouble_is_warned_of_once_an_hour_across_processes_whatever_the_clock_did() {
        let now = Ticks::parse("2026-03-01T00:00:00Z").unwrap();
        let minutes = |n: u64| now.plus(Duration::from_secs(60 * n));
        let mut warned = Warned::default();
        assert!(warned.is_due(Lasting::Clocks, now) && warned.is_due(Lasting::Undated, now));
        let mut warned: Warned = serde_json::from_str(&serde_json::to_string(&warned).unwrap()).unwrap();
        assert!(!warned.is_due(Lasting::Clocks, minutes(59)) && warned.is_due(Lasting::Clocks, minutes(60)));
        assert!(warned.is_due(Lasting::Clocks, now), "the clock was put back");
        let saved = String::from_utf8(to_json(&checkpoint("a")).unwrap()).unwrap();
        assert!(!saved.contains("warned"), "nothing is written of what was not warned of");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_never_a_first_run() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), "a");
        let whole = String::from_utf8(to_json(&checkpoint("a")).unwrap()).unwrap();
        let other = String::from_utf8(to_json(&checkpoint("b")).unwrap()).unwrap();
        let table = [
            (String::new(), "it is empty"),
            (whole[..whole.len() / 2].to_owned(), "it is damaged (EOF"),
            (whole.replace("\"version\":1", "\"version\":7"), "it has layout 7, and this version of the add-on knows layout 1"),
            (whole.replace("settled", "sattled"), "it is damaged (unknown field"),
            (other, "it belongs to the input `b`"),
            ("[]".to_owned(), "it is damaged"),
        ];
        for (text, reason) in table {
            std::fs::write(dir.path().join("a.json"), text).unwrap();
            let message = store.load("a").unwrap_err().to_string();
            assert!(message.contains("a.json cannot be read: ") && message.contains(reason), "{message}");
        }
    }

    #[test]
    fn a_failed_save_names_the_file_and_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), "a");
        store.save(&checkpoint("a")).unwrap();
        // A folder in the place of the temporary file fails for root too, unlike permissions.
        std::fs::create_dir(dir.path().join("a.tmp")).unwrap();
        let message = store.save(&checkpoint("a")).unwrap_err().to_string();
        assert!(message.contains("a.tmp cannot be used: it is a folder and no file: remove it"), "{message}");
        assert!(store.load("a").unwrap().is_some());
    }

    #[cfg(unix)]
    #[test]
    fn a_fifo_a_link_or_a_device_in_the_place_of_a_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let fifo = |name: &str| assert!(std::process::Command::new("mkfifo").arg(path(name)).status().unwrap().success());
        std::fs::write(path("elsewhere"), "kept").unwrap();
        let store = open(dir.path(), "a");
        // The checkpoint itself.
        fifo("a.json");
        let error = store.load("a").unwrap_err();
        assert!(error.to_string().contains("a.json cannot be read: it is a FIFO and no file: remove it") && error.is_permanent());
        std::fs::remove_file(path("a.json")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path("a.json")).unwrap();
        assert!(store.load("a").unwrap_err().to_string().contains("a.json cannot be read: it is a symbolic link"));
        // What a checkpoint is written to first.
        for make in [
            |fifo: &dyn Fn(&str), _: &Path, _: &Path| fifo("a.tmp"),
            |_: &dyn Fn(&str), from: &Path, to: &Path| {
                std::os::unix::fs::symlink(from, to).unwrap();
            },
        ] {
            make(&fifo, &path("elsewhere"), &path("a.tmp"));
            let error = store.save(&checkpoint("a")).unwrap_err();
            assert!(error.to_string().contains("a.tmp cannot be used: it is a "), "{error}");
            std::fs::remove_file(path("a.tmp")).unwrap();
        }
        // The lock.
        fifo("b.lock");
        std::os::unix::fs::symlink(path("elsewhere"), path("c.lock")).unwrap();
        for name in ["b", "c"] {
            let error = Store::open(dir.path(), name, || panic!("nobody has it")).unwrap_err();
            assert!(error.to_string().contains(&format!("{name}.lock cannot be used: it is a ")), "{error}");
        }
        assert_eq!(std::fs::read(path("elsewhere")).unwrap(), b"kept");
    }

    #[test]
    fn a_second_process_waits_for_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path(), "a");
        let mut first = Some(first);
        let mut tries = 0;
        let second = Store::open(dir.path(), "a", || {
            tries += 1;
            if tries == 3 {
                first = None;
            }
            false
        });
        assert!(second.unwrap().is_some());
        assert_eq!(tries, 3);
        let _other_input = open(dir.path(), "b");
        let _held = open(dir.path(), "c");
        assert!(Store::open(dir.path(), "c", || true).unwrap().is_none(), "a stop ends the waiting");
    }
}
