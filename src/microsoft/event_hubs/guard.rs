//! A stream from the service that is fit for the AMQP library: what stands between the socket and it.
//!
//! The library builds whatever a frame says, before anybody can look at it. So each frame waits here until it is whole, and:
//!
//! * what is in a performative is counted first ([`SERVICE`]). A frame of 64 KB can stand for gigabytes; one that holds more than
//!   the service has to say ends the connection, with the reason.
//! * what a transfer carries is made a data section of its own, whatever it is, so that the library hands on the octets of a
//!   message as they came. [`message`](super::message) reads them.
//! * `max-message-size` of an `attach` becomes 0, which means that there is no limit (part 2, section 2.7.3). It is what the
//!   service takes from publishers; what it sends is larger by its annotations, and the library holds that against it, ends the
//!   link, and would meet the same message with the next one, for ever. The limit that counts is the one this program attaches
//!   with.
//!
//! The section makes frames longer than was agreed, so the library is told of a larger frame than the service is: `open` is
//! changed on its way out.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::namespace::FRAME;
use super::wire::{SERVICE, descriptor, measure, skip};

/// A frame that is allowed, as a length in memory.
const LARGEST: usize = FRAME as usize;
/// Bytes taken from the stream at once.
const BUFFER: usize = 2 * LARGEST;
/// A protocol header, and the least a frame has.
const HEAD: usize = 8;
/// What is put before the payload of a transfer: a data section's descriptor, the code of a binary, its length.
const SECTION: usize = 8;
/// The largest frame that the library gets to see.
pub(super) const WIDENED: u32 = FRAME + SECTION as u32;
/// Frames of AMQP and of SASL.
const AMQP_FRAME: u8 = 0;
const SASL_FRAME: u8 = 1;
/// Descriptors of performatives.
const OPEN: u64 = 0x10;
const ATTACH: u64 = 0x12;
const TRANSFER: u64 = 0x14;
/// Fields of an `attach` before `max-message-size`, and of an `open` before `max-frame-size`.
const BEFORE_MESSAGE_SIZE: usize = 10;
const BEFORE_FRAME_SIZE: usize = 2;

/// Why a stream was ended here, for whoever asks what became of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Ending(Arc<Mutex<Option<String>>>);

impl Ending {
    /// The reason, if there is one.
    pub(super) fn reason(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is(&self, reason: String) -> io::Error {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.clone());
        io::Error::new(io::ErrorKind::InvalidData, reason)
    }
}

/// The stream.
#[derive(Debug)]
pub(super) struct Guard<S> {
    stream: S,
    ending: Ending,
    buffer: Vec<u8>,
    /// What was not passed on yet begins here, may be passed on up to there, and ends there.
    from: usize,
    looked: usize,
    end: usize,
    /// Goes before what may be passed on; so much of it went.
    head: Vec<u8>,
    told: usize,
    /// An `open` that was changed, as far as it did not go out yet. `None` before there was one.
    opening: Option<Vec<u8>>,
}

impl<S> Guard<S> {
    /// Around a stream that begins with a protocol header.
    pub(super) fn new(stream: S, ending: Ending) -> Self {
        let buffer = vec![0; BUFFER];
        Self { stream, ending, buffer, from: 0, looked: 0, end: 0, head: Vec::with_capacity(64), told: 0, opening: None }
    }

    /// Looks at the next frame, if it is whole. All before it was passed on.
    fn look(&mut self) -> io::Result<()> {
        let frame = &mut self.buffer[self.from..self.end];
        let Some(head) = frame.first_chunk::<HEAD>() else { return Ok(()) };
        if head.starts_with(b"AMQP") {
            self.looked += HEAD;
            return Ok(());
        }
        let [a, b, c, d, doff, kind, ..] = *head;
        let (size, body) = (u32::from_be_bytes([a, b, c, d]) as usize, usize::from(doff) * 4);
        if size > LARGEST {
            return Err(self.ending.is(format!("it sent a frame of {size} bytes, where {LARGEST} were agreed")));
        }
        if size < HEAD || body < HEAD || body > size {
            return Err(self.ending.is("it sent what is no frame of AMQP".to_owned()));
        }
        if frame.len() < size {
            return Ok(());
        }
        let frame = &mut frame[..size];
        if body == size {
            self.looked = self.from + size;
            return Ok(());
        }
        let odd = |what: &str| format!("it sent a frame that is not read: {what}");
        let Some((code, list)) = descriptor(frame, body) else { return Err(self.ending.is(odd("it is no performative"))) };
        let end = measure(frame, list, SERVICE).map_err(|why| self.ending.is(odd(&why.to_string())))?;
        let next = self.from + size;
        match (kind, code) {
            (AMQP_FRAME, TRANSFER) => {
                let payload = size - end;
                self.head.clear();
                self.told = 0;
                let (size, length) = (size + SECTION, u32::try_from(payload).unwrap_or(u32::MAX));
                self.head.extend(u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes());
                self.head.extend_from_slice(&frame[4..end]);
                self.head.extend([0x00, 0x53, 0x75, 0xb0]);
                self.head.extend(length.to_be_bytes());
                self.from += end;
            }
            (AMQP_FRAME, ATTACH) => {
                if let Some(number) = field(frame, list, BEFORE_MESSAGE_SIZE) {
                    number.fill(0);
                }
            }
            (AMQP_FRAME | SASL_FRAME, _) => {}
            _ => return Err(self.ending.is(odd("it is of an unknown type"))),
        }
        self.looked = next;
        Ok(())
    }
}

/// The octets of a number that stands in a list behind so many fields.
fn field(bytes: &mut [u8], list: usize, before: usize) -> Option<&mut [u8]> {
    let first = match bytes.get(list)? {
        0xc0 if usize::from(*bytes.get(list + 2)?) > before => list + 3,
        0xd0 if u32::from_be_bytes(*bytes.get(list + 5..)?.first_chunk()?) as usize > before => list + 9,
        _ => return None,
    };
    let at = (0..before).try_fold(first, |at, _| skip(bytes, at).ok())?;
    let width = match bytes.get(at)? {
        0x52 | 0x53 => 1,
        0x70 => 4,
        0x80 => 8,
        _ => return None,
    };
    bytes.get_mut(at + 1..at + 1 + width)
}

/// What is written, with the agreed size in its `open`, where it has one.
fn opened(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut changed = bytes.to_vec();
    let mut at = 0;
    loop {
        let frame = changed.get_mut(at..)?;
        let head = *frame.first_chunk::<HEAD>()?;
        let [a, b, c, d, doff, kind, ..] = head;
        let size = if head.starts_with(b"AMQP") { HEAD } else { u32::from_be_bytes([a, b, c, d]) as usize };
        if kind == AMQP_FRAME
            && let Some((OPEN, list)) = descriptor(frame, usize::from(doff) * 4)
        {
            if let Some(number @ [_, _, _, _]) = field(frame, list, BEFORE_FRAME_SIZE) {
                number.copy_from_slice(&FRAME.to_be_bytes());
            }
            return Some(changed);
        }
        at += size.max(HEAD);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = out.filled().len();
        loop {
            // As many frames as there is space for.
            loop {
                let head = &this.head[this.told..];
                let count = out.remaining().min(head.len());
                out.put_slice(&head[..count]);
                this.told += count;
                let count = out.remaining().min(this.looked - this.from);
                out.put_slice(&this.buffer[this.from..this.from + count]);
                this.from += count;
                if this.looked > this.from || this.told < this.head.len() {
                    break;
                }
                match this.look() {
                    Ok(()) => {}
                    // What came before it goes out first; then it is met again.
                    Err(_) if out.filled().len() > before => return Poll::Ready(Ok(())),
                    Err(error) => return Poll::Ready(Err(error)),
                }
                if this.looked == this.from && this.told >= this.head.len() {
                    break;
                }
            }
            if out.filled().len() > before || out.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            this.buffer.copy_within(this.from..this.end, 0);
            (this.looked, this.end, this.from) = (this.looked - this.from, this.end - this.from, 0);
            let mut free = ReadBuf::new(&mut this.buffer[this.end..]);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut free))?;
            let read = free.filled().len();
            this.end += read;
            if read == 0 {
                // What is left is a part of a frame, which nobody could use.
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> Guard<S> {
    /// Writes what is left of the changed `open`.
    fn finish_opening(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.opening.as_mut().filter(|rest| !rest.is_empty()) {
            let count = ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            rest.drain(..count);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.opening.is_none()
            && let Some(changed) = opened(bytes)
        {
            self.opening = Some(changed);
            // It is ours now; what does not go out at once goes before what comes next.
            if let Poll::Ready(Err(error)) = self.finish_opening(context) {
                return Poll::Ready(Err(error));
            }
            return Poll::Ready(Ok(bytes.len()));
        }
        ready!(self.finish_opening(context))?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.finish_opening(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.finish_opening(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
