//! The memory on disk: a name of 8 bytes behind a mark, then a record of 16 bytes for each version, appended. A last record
//! that is cut off is as good as none.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::files;
use crate::version::Version;

/// What the file begins with.
const MARK: &[u8; 8] = b"DEFLOOK\x01";
/// Mark and name.
const HEAD: u64 = 16;

/// What a memory says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its name.
    pub name: u64,
    /// Versions in it.
    pub records: u64,
}

/// The memory of one input.
#[derive(Debug)]
pub struct MemoryFile {
    path: PathBuf,
}

impl MemoryFile {
    /// The memory of the input `stanza` in splunkd's `checkpoint_dir`.
    pub fn of(folder: &Path, stanza: &str) -> Self {
        Self { path: folder.join(format!("{stanza}.late")) }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says of itself; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read or is no such memory.
    pub fn head(&self) -> io::Result<Option<Head>> {
        match files::open_with(OpenOptions::new().read(true), &self.path) {
            Ok(mut file) => read_head(&mut file).map(Some),
            Err(reason) if reason.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(reason) => Err(reason),
        }
    }

    /// Every version in it, in no order.
    ///
    /// # Errors
    /// When it cannot be read or is no such memory.
    pub fn read(&self) -> io::Result<Vec<Version>> {
        let mut file = files::open_with(OpenOptions::new().read(true), &self.path)?;
        let head = read_head(&mut file)?;
        let mut versions = Vec::with_capacity(usize::try_from(head.records).unwrap_or(0));
        let mut file = BufReader::new(file);
        let mut record = [0; Version::BYTES];
        for _ in 0..head.records {
            file.read_exact(&mut record)?;
            versions.push(Version::from_bytes(record));
        }
        Ok(versions)
    }

    /// Appends versions, and waits until they are on the disk; says how many there are now.
    ///
    /// # Errors
    /// When it cannot be written or is no such memory. Then some of them may be in it.
    pub fn append(&self, versions: &[Version]) -> io::Result<u64> {
        let mut file = files::open_with(OpenOptions::new().read(true).write(true), &self.path)?;
        let head = read_head(&mut file)?;
        // A record that was cut off is written over.
        file.seek(SeekFrom::Start(HEAD + head.records * Version::BYTES as u64))?;
        file.write_all(&bytes(versions))?;
        file.sync_data()?;
        Ok(head.records + versions.len() as u64)
    }

    /// Replaces it by one with these versions, whatever stands in its place.
    ///
    /// # Errors
    /// When it cannot be written; then it is as it was before.
    pub fn replace(&self, name: u64, versions: &[Version]) -> io::Result<()> {
        let temporary = self.path.with_extension("late.tmp");
        let written = (|| {
            match fs::remove_file(&temporary) {
                Err(reason) if reason.kind() != io::ErrorKind::NotFound => return Err(reason),
                _ => {}
            }
            let mut file = files::open_with(OpenOptions::new().write(true).create_new(true), &temporary)?;
            file.write_all(MARK)?;
            file.write_all(&name.to_be_bytes())?;
            for some in versions.chunks(4096) {
                file.write_all(&bytes(some))?;
            }
            file.sync_all()?;
            fs::rename(&temporary, &self.path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }
}

/// A memory of the simulations.
#[cfg(test)]
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    name: Option<u64>,
    versions: Vec<Version>,
}

#[cfg(test)]
impl Held {
    pub(crate) fn head(&self) -> Option<Head> {
        self.name.map(|name| Head { name, records: self.versions.len() as u64 })
    }

    pub(crate) fn read(&self) -> io::Result<Vec<Version>> {
        self.name.map(|_| self.versions.clone()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(crate) fn append(&mut self, versions: &[Version]) -> io::Result<u64> {
        self.versions.extend(versions);
        Ok(self.versions.len() as u64)
    }

    pub(crate) fn replace(&mut self, name: u64, versions: &[Version]) {
        (self.name, self.versions) = (Some(name), versions.to_vec());
    }
}

fn bytes(versions: &[Version]) -> Vec<u8> {
    versions.iter().flat_map(|version| version.to_bytes()).collect()
}

fn read_head(file: &mut File) -> io::Result<Head> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it is damaged");
    let length = file.metadata()?.len();
    let mut head = [0; HEAD as usize];
    file.read_exact(&mut head).map_err(|_| damaged())?;
    let (mark, name) = head.split_at(MARK.len());
    if mark != MARK {
        return Err(damaged());
    }
    let name = name.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    Ok(Head { name, records: length.saturating_sub(HEAD) / Version::BYTES as u64 })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::time::Ticks;

    fn version(n: i64) -> Version {
        Version::new(&n.to_string(), Ticks(n))
    }

    #[test]
    fn what_is_appended_is_read_and_a_torn_record_is_harmless() {
        let dir = tempfile::tempdir().unwrap();
        let memory = MemoryFile::of(dir.path(), "a");
        assert_eq!(memory.head().unwrap(), None);
        memory.replace(7, &[version(1)]).unwrap();
        assert_eq!(memory.append(&[version(2), version(3)]).unwrap(), 3);
        let whole = fs::read(memory.path()).unwrap();
        for torn in 1..Version::BYTES {
            fs::write(memory.path(), &whole[..whole.len() - torn]).unwrap();
            assert_eq!(memory.head().unwrap(), Some(Head { name: 7, records: 2 }));
            assert_eq!(memory.append(&[version(4)]).unwrap(), 3);
            assert_eq!(memory.read().unwrap(), [version(1), version(2), version(4)]);
        }
        memory.replace(8, &[]).unwrap();
        assert_eq!((memory.head().unwrap(), memory.read().unwrap()), (Some(Head { name: 8, records: 0 }), Vec::new()));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no leftovers");
    }

    #[test]
    fn what_is_no_memory_is_an_error_and_can_be_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let memory = MemoryFile::of(dir.path(), "a");
        for text in ["", "DEFLOOK", "DEFLOOK\u{2}12345678", "something else that is long"] {
            fs::write(memory.path(), text).unwrap();
            assert!(memory.head().is_err() && memory.read().is_err() && memory.append(&[version(1)]).is_err(), "{text}");
            memory.replace(7, &[version(1)]).unwrap();
            assert_eq!(memory.read().unwrap(), [version(1)]);
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_plain_file_is_neither_followed_nor_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let (memory, foreign) = (MemoryFile::of(dir.path(), "a"), dir.path().join("foreign"));
        fs::write(&foreign, "text of somebody else").unwrap();
        for path in [memory.path().to_owned(), dir.path().join("a.late.tmp")] {
            let _ = fs::remove_file(&path);
            std::os::unix::fs::symlink(&foreign, &path).unwrap();
            memory.replace(7, &[version(1)]).unwrap();
            assert_eq!(memory.append(&[version(2)]).unwrap(), 2);
            fs::remove_file(memory.path()).unwrap();
            rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
            assert_eq!(memory.head().is_err(), path == memory.path());
            memory.replace(7, &[]).unwrap();
            assert_eq!(memory.read().unwrap(), []);
        }
        assert_eq!(fs::read_to_string(&foreign).unwrap(), "text of somebody else");
        fs::remove_file(memory.path()).unwrap();
        fs::create_dir(memory.path()).unwrap();
        assert!(memory.head().is_err() && memory.replace(7, &[]).is_err());
    }
}
