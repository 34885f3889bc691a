//! Files that this program reads and writes: plain ones and nothing else.
//!
//! A FIFO would keep the program waiting, a device never ends, and a symbolic link is somebody else's choice of a file. So each is
//! refused before anything is read from it or written to it, in words that say what to do. `std::fs::read`, `File::open` and
//! `File::create` are used nowhere else.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Whether the last part of a path may be a symbolic link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// The admin chose the path, and systems keep their certificates behind links.
    Followed,
    /// The program chose it, in a folder that others may write to.
    Refused,
}

/// Something that stands where a file of ours should.
#[derive(Debug, thiserror::Error)]
enum NoFile {
    #[error("it is {0} and no file: remove it, or put the file itself there")]
    Kind(&'static str),
    #[error("it is larger than {} MB", .0 >> 20)]
    TooLarge(u64),
}

/// Whether an error says that something else than a file stands there, or a file that is too large: waiting does not mend it.
pub fn is_no_file(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<NoFile>())
}

/// The error with the path, where something else than a file stands there: only the path says what to remove.
pub fn at(path: &Path, error: io::Error) -> io::Error {
    if is_no_file(&error) { io::Error::other(format!("{}: {error}", path.display())) } else { error }
}

/// Opens a file for reading.
///
/// # Errors
/// The system's, and one that [`is_no_file`].
pub fn open(path: &Path, links: Links) -> io::Result<File> {
    plain(path, links, OpenOptions::new().read(true))
}

/// Reads a whole file of at most `most` bytes.
///
/// # Errors
/// As [`open`], also for more bytes, of which none are kept.
pub fn read(path: &Path, links: Links, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path, links)?;
    let large = || io::Error::other(NoFile::TooLarge(most));
    if file.metadata()?.len() > most {
        return Err(large());
    }
    let mut bytes = Vec::new();
    // Somebody may be writing to it.
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(large()) } else { Ok(bytes) }
}

/// Opens a file to be written anew, made when missing and emptied.
///
/// # Errors
/// As [`open`].
pub fn create(path: &Path) -> io::Result<File> {
    // Emptied only when it is known to be a file.
    let file = plain(path, Links::Refused, OpenOptions::new().write(true).create(true).truncate(false))?;
    file.set_len(0)?;
    Ok(file)
}

/// Writes a whole file.
///
/// # Errors
/// As [`create`].
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    io::Write::write_all(&mut create(path)?, bytes)
}

/// Opens a file whose end is written to, made when missing.
///
/// # Errors
/// As [`open`].
pub fn append(path: &Path) -> io::Result<File> {
    plain(path, Links::Refused, OpenOptions::new().append(true).create(true))
}

/// Opens a file that is only locked, made when missing.
///
/// # Errors
/// As [`open`].
pub fn lock(path: &Path) -> io::Result<File> {
    plain(path, Links::Refused, OpenOptions::new().read(true).write(true).create(true).truncate(false))
}

/// Makes what was renamed or made in a folder last through a power cut. Windows has no such call and journals its folders.
///
/// # Errors
/// The system's.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Opens a file in another way; no link is followed.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    plain(path, Links::Refused, options)
}

fn plain(path: &Path, links: Links, options: &mut OpenOptions) -> io::Result<File> {
    // Looked at first, since opening alone can do something to a device. What is put there in between does not get through:
    // no link is followed, no FIFO is waited for, and what was opened is looked at again.
    let look = if links == Links::Followed { fs::metadata(path) } else { fs::symlink_metadata(path) };
    match look {
        Ok(found) => check(&found)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        let nofollow = if links == Links::Refused { OFlags::NOFOLLOW } else { OFlags::empty() };
        options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY | nofollow).bits().cast_signed());
    }
    let file = options.open(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

fn check(found: &Metadata) -> io::Result<()> {
    match kind(found) {
        None => Ok(()),
        Some(kind) => Err(io::Error::other(NoFile::Kind(kind))),
    }
}

/// What it is, in words; `None` for a file.
fn kind(found: &Metadata) -> Option<&'static str> {
    let kind = found.file_type();
    if kind.is_file() {
        return None;
    }
    if kind.is_symlink() {
        return Some("a symbolic link");
    }
    if kind.is_dir() {
        return Some("a folder");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return Some("a FIFO");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
    }
    Some("a device")
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder with one of each kind, by the word for it.
    fn folder() -> (tempfile::TempDir, Vec<(&'static str, std::path::PathBuf)>) {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("target"), "kept").unwrap();
        symlink(path("target"), path("link")).unwrap();
        symlink(path("nowhere"), path("dangling")).unwrap();
        fs::create_dir(path("folder")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(path("fifo")).status().unwrap();
        assert!(made.success());
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        let found = [
            ("a symbolic link", path("link")),
            ("a symbolic link", path("dangling")),
            ("a folder", path("folder")),
            ("a FIFO", path("fifo")),
            ("a socket", path("socket")),
            ("a device", "/dev/zero".into()),
        ];
        (dir, found.into())
    }

    #[test]
    fn what_is_no_file_is_neither_read_nor_written_nor_waited_for() {
        let (dir, found) = folder();
        for (kind, path) in &found {
            for result in [
                open(path, Links::Refused).map(drop),
                read(path, Links::Refused, 9).map(drop),
                create(path).map(drop),
                write(path, b"x"),
                append(path).map(drop),
                lock(path).map(drop),
            ] {
                let error = result.unwrap_err();
                assert_eq!(error.to_string(), format!("it is {kind} and no file: remove it, or put the file itself there"));
                assert!(is_no_file(&error));
            }
        }
        assert_eq!(fs::read(dir.path().join("target")).unwrap(), b"kept");
        assert!(!dir.path().join("nowhere").exists());
    }

    #[test]
    fn a_link_that_an_admin_chose_is_followed_to_a_file_and_to_nothing_else() {
        let (dir, _) = folder();
        assert_eq!(read(&dir.path().join("link"), Links::Followed, 4).unwrap(), b"kept");
        for (kind, target) in [("a device", "/dev/zero"), ("a folder", "folder"), ("a FIFO", "fifo")] {
            let path = dir.path().join(format!("to {kind}"));
            symlink(dir.path().join(target), &path).unwrap();
            assert!(read(&path, Links::Followed, 4).unwrap_err().to_string().starts_with(&format!("it is {kind}")));
        }
        assert_eq!(read(&dir.path().join("dangling"), Links::Followed, 4).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn files_are_read_up_to_their_bound_and_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert_eq!(read(&path, Links::Refused, 9).unwrap_err().kind(), io::ErrorKind::NotFound);
        write(&path, b"123456789").unwrap();
        assert_eq!(read(&path, Links::Refused, 9).unwrap(), b"123456789");
        let error = read(&path, Links::Refused, 8).unwrap_err();
        assert!(is_no_file(&error), "{error}");
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let error = read(&path, Links::Refused, 16 << 20).unwrap_err();
        assert_eq!(error.to_string(), "it is larger than 16 MB");
        write(&path, b"12").unwrap();
        append(&path).unwrap().write_all(b"3").unwrap();
        drop(lock(&path).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"123");
        sync_folder(dir.path()).unwrap();
    }
}
