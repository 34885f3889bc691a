//! Standard output as a pipe to splunkd: what was written is not yet read, and at a shutdown what was not read is lost.

use std::fs::File;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::event::{SharedStream, StreamError};
use super::stop::Stop;

/// The shortest and the longest pause between two looks at the pipe.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

/// A writer that may know how much of what was written its reader has not taken.
pub trait Output: Write {
    /// Bytes not taken yet; `None` when this kind of output cannot tell.
    ///
    /// # Errors
    /// [`io::ErrorKind::BrokenPipe`] when bytes wait and no reader is left to take them.
    fn unread(&self) -> io::Result<Option<u64>>;
}

/// The process's standard output, without the line buffer of the standard library's.
#[derive(Debug)]
pub struct Stdout {
    file: File,
    /// Only a pipe can tell: of a file or a terminal the same question has other answers.
    pipe: bool,
}

impl Stdout {
    /// A second descriptor of standard output.
    ///
    /// # Errors
    /// When it is closed, or leads nowhere: events written there would be lost and remembered as delivered. The standard
    /// library opens `/dev/null` in the place of a descriptor that was closed, so the two cannot be told apart.
    #[cfg(unix)]
    pub fn open() -> io::Result<Self> {
        use std::os::fd::AsFd;
        let stdout = Self::of(File::from(io::stdout().as_fd().try_clone_to_owned()?))?;
        let (this, null) = (rustix::fs::fstat(&stdout.file)?, rustix::fs::stat("/dev/null"));
        if null.is_ok_and(|null| null.st_rdev == this.st_rdev && null.st_mode == this.st_mode) {
            return Err(io::Error::other("it is closed or /dev/null, and events written there would be lost"));
        }
        Ok(stdout)
    }

    #[cfg(unix)]
    fn of(file: File) -> io::Result<Self> {
        let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
        Ok(Self { file, pipe: kind == rustix::fs::FileType::Fifo })
    }

    /// A second handle of standard output.
    ///
    /// # Errors
    /// When it is closed.
    #[cfg(windows)]
    pub fn open() -> io::Result<Self> {
        use std::os::windows::io::AsHandle;
        Ok(Self { file: File::from(io::stdout().as_handle().try_clone_to_owned()?), pipe: false })
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output for Stdout {
    #[cfg(unix)]
    fn unread(&self) -> io::Result<Option<u64>> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        if !self.pipe {
            return Ok(None);
        }
        let unread = rustix::io::ioctl_fionread(&self.file)?;
        if unread > 0 {
            let mut ends = [PollFd::new(&self.file, PollFlags::empty())];
            let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
            if poll(&mut ends, Some(&at_once))? > 0 && ends[0].revents().contains(PollFlags::ERR) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
        Ok(Some(unread))
    }

    #[cfg(windows)]
    fn unread(&self) -> io::Result<Option<u64>> {
        debug_assert!(!self.pipe);
        Ok(None)
    }
}

/// How a wait for the reader ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// The reader took everything.
    Yes,
    /// This kind of output cannot tell.
    CannotTell,
    /// The time was over first.
    NotInTime,
    /// A stop was requested first.
    Stopped,
}

/// Waits until the reader has taken what was flushed: until `limit`, or a stop.
///
/// # Errors
/// [`StreamError::ReaderGone`] when the reader left with bytes untaken; [`StreamError::Write`] when the pipe cannot be
/// asked.
pub fn drain<W: Output>(stream: &SharedStream<W>, limit: Duration, stop: &Stop) -> Result<Drained, StreamError> {
    let until = Instant::now() + limit;
    let (mut pause, longest) = PAUSES;
    loop {
        match stream.inspect(Output::unread) {
            Ok(None) => return Ok(Drained::CannotTell),
            Ok(Some(0)) => return Ok(Drained::Yes),
            Ok(Some(_)) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(StreamError::ReaderGone),
            Err(error) => return Err(StreamError::Write(error)),
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Drained::NotInTime);
        }
        if stop.sleep(pause.min(left)) {
            return Ok(Drained::Stopped);
        }
        pause = longest.min(pause * 2);
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{PipeReader, Read};
    use std::os::fd::OwnedFd;
    use std::thread;

    use super::super::event::Event;
    use super::*;
    use crate::time::Ticks;

    const LONG: Duration = Duration::from_secs(20);

    /// A stream with one event flushed into a pipe, and the pipe's other end.
    fn flushed() -> (SharedStream<Stdout>, PipeReader) {
        let (reader, writer) = io::pipe().unwrap();
        let stream = SharedStream::new(Stdout::of(File::from(OwnedFd::from(writer))).unwrap());
        stream.write(&Event { time: Ticks(0), source: "s", sourcetype: "t", index: None, host: None, data: "d" }).unwrap();
        stream.flush().unwrap();
        (stream, reader)
    }

    #[test]
    fn a_pipe_is_drained_when_its_reader_took_everything() {
        let (stream, mut reader) = flushed();
        let stop = Stop::new();
        assert!(stream.inspect(Output::unread).unwrap().unwrap() > 50);
        assert_eq!(drain(&stream, Duration::from_millis(30), &stop).unwrap(), Drained::NotInTime);
        let splunkd = thread::spawn(move || {
            thread::sleep(Duration::from_millis(60));
            let taken = reader.read(&mut [0; 4096]).unwrap();
            (taken, reader)
        });
        assert_eq!(drain(&stream, LONG, &stop).unwrap(), Drained::Yes);
        splunkd.join().unwrap();
    }

    #[test]
    fn a_reader_that_left_is_told_from_one_that_is_slow() {
        let (stream, reader) = flushed();
        drop(reader);
        assert!(matches!(drain(&stream, LONG, &Stop::new()), Err(StreamError::ReaderGone)));
        // One that took everything before it left.
        let (stream, mut reader) = flushed();
        let _ = reader.read(&mut [0; 4096]).unwrap();
        drop(reader);
        assert_eq!(drain(&stream, LONG, &Stop::new()).unwrap(), Drained::Yes);
    }

    #[test]
    fn a_stop_ends_the_wait() {
        let (stream, _reader) = flushed();
        let stop = Stop::new();
        let other = stop.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            other.request();
        });
        assert_eq!(drain(&stream, LONG, &stop).unwrap(), Drained::Stopped);
    }

    #[test]
    fn a_file_cannot_tell() {
        for file in [tempfile::tempfile().unwrap(), File::options().write(true).open("/dev/null").unwrap()] {
            let stream = SharedStream::new(Stdout::of(file).unwrap());
            assert_eq!(drain(&stream, LONG, &Stop::new()).unwrap(), Drained::CannotTell);
        }
    }
}
