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
    /// When it is closed.
    #[cfg(unix)]
    pub fn open() -> io::Result<Self> {
        use std::os::fd::AsFd;
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
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
