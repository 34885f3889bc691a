//! The positions of one input on disk: one file for the hub, written once, and one for each partition, replaced on their own.
//!
//! `<stanza>.hub.json` says which hub was found at the first run and where each partition it then had begins; what was
//! added to the hub later is not in it, and begins at its beginning. `<stanza>.hub.<partition>.json` is how far the
//! partition was read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::position::Place;
use crate::checkpoint::{CheckpointError, read, replace};
use crate::input::EventHubInput;
use crate::lock::Lock;

/// Which hub a position belongs to. Sequence numbers mean nothing in another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// The input's name.
    pub stanza: String,
    /// The namespace's host.
    pub namespace: String,
    /// The hub's name.
    pub hub: String,
}

impl Subject {
    /// The hub of an input. The consumer group is no part of it: every group sees the same numbers.
    pub fn of(input: &EventHubInput) -> Self {
        let (stanza, namespace, hub) = (input.stream.name.clone(), input.namespace.clone(), input.hub.clone());
        Self { stanza, namespace, hub }
    }
}

/// What was found at the first run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begun {
    /// Whose it is.
    pub subject: Subject,
    /// When the hub was made (RFC 3339), if the service said so: another date is another hub.
    pub created: Option<String>,
    /// Where each partition begins, by its id; also of those that this input does not read.
    pub start: BTreeMap<String, Place>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reached {
    subject: Subject,
    partition: String,
    place: Place,
}

/// The files of one input, held against a second process of the same input.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    subject: Subject,
    lock: Lock,
}

impl Files {
    /// Opens the files in splunkd's `checkpoint_dir`; waits as [`Lock::take`] does, and is `None` when that was ended.
    ///
    /// # Errors
    /// See [`Lock::take`].
    pub fn open(folder: &Path, subject: Subject, wait: impl FnMut() -> bool) -> Result<Option<Self>, CheckpointError> {
        let lock = Lock::take(folder, &subject.stanza, path(folder, &subject.stanza, ""), wait)?;
        Ok(lock.map(|lock| Self { folder: folder.to_owned(), subject, lock }))
    }

    /// What was found at the first run; `None` before it.
    ///
    /// # Errors
    /// [`CheckpointError::Unreadable`], also when it is another hub's.
    pub fn begun(&self) -> Result<Option<Begun>, CheckpointError> {
        let path = self.path("");
        let begun: Option<Begun> = read(&path)?;
        begun.map(|begun| self.own(&path, &begun.subject).map(|()| begun)).transpose()
    }

    /// Saves what was found at the first run.
    ///
    /// # Errors
    /// See [`Lock::replace`].
    pub fn begin(&self, begun: &Begun) -> Result<(), CheckpointError> {
        self.lock.replace(begun)
    }

    /// How far a partition was read; `None` when nothing of it was.
    ///
    /// # Errors
    /// [`CheckpointError::Unreadable`], also when it is another hub's.
    pub fn place(&self, partition: &str) -> Result<Option<Place>, CheckpointError> {
        let path = self.path(partition);
        let Some(reached) = read::<Reached>(&path)? else { return Ok(None) };
        self.own(&path, &reached.subject)?;
        if reached.partition != partition {
            return Err(unreadable(&path, format!("it belongs to partition {}", reached.partition)));
        }
        Ok(Some(reached.place))
    }

    /// Saves how far a partition was read.
    ///
    /// # Errors
    /// See [`Lock::replace`].
    pub fn save(&self, partition: &str, place: Place) -> Result<(), CheckpointError> {
        let reached = Reached { subject: self.subject.clone(), partition: partition.to_owned(), place };
        self.lock.check()?;
        replace(&self.path(partition), &reached)
    }

    /// The hub's file, and what the partitions' files begin with, for messages.
    pub fn name(&self) -> PathBuf {
        self.path("")
    }

    fn own(&self, path: &Path, found: &Subject) -> Result<(), CheckpointError> {
        // Azure tells neither hosts nor hubs apart by their case.
        let same_hub =
            found.namespace.eq_ignore_ascii_case(&self.subject.namespace) && found.hub.eq_ignore_ascii_case(&self.subject.hub);
        if found.stanza == self.subject.stanza && same_hub {
            return Ok(());
        }
        let Subject { stanza, namespace, hub } = found;
        Err(unreadable(path, format!("it belongs to the hub `{hub}` of {namespace} and the input `{stanza}`")))
    }

    fn path(&self, partition: &str) -> PathBuf {
        path(&self.folder, &self.subject.stanza, partition)
    }
}

/// No stanza and no partition has a dot in its name, so no two files meet.
fn path(folder: &Path, stanza: &str, partition: &str) -> PathBuf {
    let dot = if partition.is_empty() { "" } else { "." };
    folder.join(format!("{stanza}.hub{dot}{partition}.json"))
}

fn unreadable(path: &Path, reason: String) -> CheckpointError {
    CheckpointError::Unreadable { path: path.to_owned(), reason }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn subject(hub: &str) -> Subject {
        Subject { stanza: "a".to_owned(), namespace: "n.example".to_owned(), hub: hub.to_owned() }
    }

    fn open(folder: &Path, hub: &str) -> Files {
        Files::open(folder, subject(hub), || panic!("nobody else holds it")).unwrap().unwrap()
    }

    #[test]
    fn what_is_saved_is_loaded_and_partitions_do_not_touch_one_another() {
        let dir = tempfile::tempdir().unwrap();
        let files = open(dir.path(), "h");
        assert_eq!((files.begun().unwrap(), files.place("0").unwrap()), (None, None));
        let begun = Begun {
            subject: subject("h"),
            created: Some("2026-01-31T00:00:00Z".to_owned()),
            start: BTreeMap::from([("0".to_owned(), Place::After(-1)), ("1".to_owned(), Place::After(17))]),
        };
        files.begin(&begun).unwrap();
        files.save("0", Place::After(5)).unwrap();
        files.save("10", Place::After(6)).unwrap();
        assert_eq!(files.begun().unwrap(), Some(begun));
        assert_eq!(files.place("0").unwrap(), Some(Place::After(5)));
        assert_eq!((files.place("1").unwrap(), files.place("10").unwrap()), (None, Some(Place::After(6))));
        let mut names: Vec<String> =
            std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["a.hub.0.json", "a.hub.10.json", "a.hub.json", "a.lock"]);
    }

    #[test]
    fn a_file_that_cannot_be_read_or_is_another_hubs_is_never_a_first_run() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), "h").save("0", Place::After(5)).unwrap();
        let path = dir.path().join("a.hub.0.json");
        let whole = std::fs::read_to_string(&path).unwrap();
        let table = [
            (String::new(), "it is empty"),
            (whole[..whole.len() / 2].to_owned(), "it is damaged (EOF"),
            (whole.replace("\"h\"", "\"other\""), "it belongs to the hub `other` of n.example and the input `a`"),
            (whole.replace("\"0\"", "\"1\""), "it belongs to partition 1"),
            (whole.replace("after", "behind"), "it is damaged (unknown variant"),
            (whole.replace("\"version\":1", "\"version\":7"), "it has layout 7, and this version of the add-on knows layout 1"),
        ];
        for (text, reason) in table {
            std::fs::write(&path, text).unwrap();
            let message = open(dir.path(), "h").place("0").unwrap_err().to_string();
            assert!(message.contains("a.hub.0.json cannot be read: ") && message.contains(reason), "{message}");
        }
    }
}
