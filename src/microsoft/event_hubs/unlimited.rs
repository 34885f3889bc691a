//! A stream from the service without the limit it puts on messages.
//!
//! `max-message-size` of an `attach` is what the service takes from publishers. What it sends is larger by its annotations, so a
//! message just below the limit is above it when it comes. The AMQP library holds every message against that number, ends the
//! link, and would meet the same message with the next one, for ever. So the number is made 0 on its way in, which means that
//! there is none (AMQP 1.0, part 2, section 2.7.3); the limit that counts is the one this program attaches with.
//!
//! What is not an `attach` of the layout that is expected passes as it is: to judge it is the library's.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes taken from the stream at once; any frame that is allowed fits in.
const BUFFER: usize = super::namespace::FRAME as usize;
/// A protocol header, and the least a frame has.
const HEAD: usize = 8;
/// The descriptor of an `attach`, in both spellings, behind the byte that announces one.
const ATTACH: [&[u8]; 2] = [&[0x00, 0x53, 0x12], &[0x00, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x12]];
/// Fields of an `attach` before `max-message-size`.
const BEFORE: usize = 10;

/// The stream.
#[derive(Debug)]
pub(super) struct Unlimited<S> {
    stream: S,
    buffer: Vec<u8>,
    /// What was not passed on yet begins here, may be passed on up to there, and ends there.
    from: usize,
    looked: usize,
    end: usize,
    /// Bytes of the frame at `looked` that pass as they are.
    passing: usize,
}

impl<S> Unlimited<S> {
    /// Around a stream that begins with a protocol header.
    pub(super) fn new(stream: S) -> Self {
        Self { stream, buffer: vec![0; BUFFER], from: 0, looked: 0, end: 0, passing: 0 }
    }

    /// Looks at frames as far as they are there.
    fn look(&mut self) {
        loop {
            let passing = self.passing.min(self.end - self.looked);
            self.looked += passing;
            self.passing -= passing;
            let frame = &mut self.buffer[self.looked..self.end];
            let Some(head) = frame.first_chunk::<HEAD>() else { return };
            let [a, b, c, d, doff, kind, ..] = *head;
            let (size, body) = (u32::from_be_bytes([a, b, c, d]) as usize, usize::from(doff) * 4);
            self.passing = if head.starts_with(b"AMQP") {
                HEAD
            } else if size < HEAD {
                // Malformed: from here on all of it is the library's.
                usize::MAX
            } else if kind != 0 || size > BUFFER || body >= size {
                size
            } else {
                let known = &frame[body.min(frame.len())..size.min(frame.len())];
                if ATTACH.iter().any(|attach| attach.starts_with(known) || known.starts_with(attach)) {
                    if frame.len() < size {
                        return;
                    }
                    lift(&mut frame[body..size]);
                }
                size
            };
        }
    }
}

/// Makes `max-message-size` 0 in the body of an `attach`.
fn lift(body: &mut [u8]) {
    if let Some(at) = largest(body)
        && let Some(number) = match body.get(at) {
            Some(0x53) => body.get_mut(at + 1..at + 2),
            Some(0x80) => body.get_mut(at + 1..at + 9),
            _ => None,
        }
    {
        number.fill(0);
    }
}

/// Where `max-message-size` stands.
fn largest(body: &[u8]) -> Option<usize> {
    let list = plain(body, 1)?;
    // The list's code, its size and its count, the latter two in one byte or four.
    let (first, count) = match body.get(list)? {
        0xc0 => (list + 3, usize::from(*body.get(list + 2)?)),
        0xd0 => (list + 9, u32::from_be_bytes(*body.get(list + 5..)?.first_chunk()?) as usize),
        _ => return None,
    };
    if count <= BEFORE {
        return None;
    }
    (0..BEFORE).try_fold(first, |at, _| value(body, at))
}

/// Where the value ends that begins at `at`.
fn value(bytes: &[u8], mut at: usize) -> Option<usize> {
    // Any number of descriptors may come before it.
    while *bytes.get(at)? == 0 {
        at = plain(bytes, at + 1)?;
    }
    plain(bytes, at)
}

/// The same of one without a descriptor. The code's upper half tells how long it is (part 1, section 1.2).
fn plain(bytes: &[u8], at: usize) -> Option<usize> {
    let length = match bytes.get(at)? >> 4 {
        0x4 => 0,
        0x5 => 1,
        0x6 => 2,
        0x7 => 4,
        0x8 => 8,
        0x9 => 16,
        0xa | 0xc | 0xe => 1 + usize::from(*bytes.get(at + 1)?),
        0xb | 0xd | 0xf => 4 + u32::from_be_bytes(*bytes.get(at + 1..)?.first_chunk()?) as usize,
        _ => return None,
    };
    at.checked_add(1 + length).filter(|end| *end <= bytes.len())
}

impl<S: AsyncRead + Unpin> AsyncRead for Unlimited<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.looked > this.from {
                let count = out.remaining().min(this.looked - this.from);
                out.put_slice(&this.buffer[this.from..this.from + count]);
                this.from += count;
                return Poll::Ready(Ok(()));
            }
            this.buffer.copy_within(this.from..this.end, 0);
            (this.looked, this.end, this.from) = (this.looked - this.from, this.end - this.from, 0);
            let mut free = ReadBuf::new(&mut this.buffer[this.end..]);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut free))?;
            let read = free.filled().len();
            this.end += read;
            if read > 0 {
                this.look();
            } else if this.looked == this.end {
                return Poll::Ready(Ok(()));
            } else {
                // It ends inside a frame.
                this.looked = this.end;
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unlimited<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt;

    use super::*;

    /// A frame around a body.
    fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(HEAD + body.len()).unwrap();
        [&size.to_be_bytes()[..], &[2, kind, 0, 0], body].concat()
    }

    /// An `attach` with this for `max-message-size`: a name, a handle, a role, two modes, a source with an address in a list, no
    /// target, an empty map, and a count before it.
    fn attach(long: bool, largest: &[u8]) -> Vec<u8> {
        let fields = [
            &[0xa1, 2, b'l', 0x12, 0x43, 0x42, 0x50, 1, 0x50, 0][..],
            &[0x00, 0x53, 0x28, 0xc0, 5, 1, 0xa1, 2, 0x53, 0x12],
            &[0x40, 0xc1, 1, 0, 0x42, 0x43],
            largest,
            &[0x40],
        ]
        .concat();
        let length = fields.len();
        match long {
            false => [ATTACH[0], &[0xc0, u8::try_from(length + 1).unwrap(), 12], &fields].concat(),
            true => {
                let size = u32::try_from(length + 4).unwrap().to_be_bytes();
                [ATTACH[1], &[0xd0], &size, &12u32.to_be_bytes(), &fields].concat()
            }
        }
    }

    /// What comes out of bytes that arrive in pieces of these sizes, in turn.
    fn through(bytes: &[u8], pieces: &[usize]) -> Vec<u8> {
        let mut stream = tokio_test_stream(bytes, pieces);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut out = Vec::new();
            Unlimited::new(&mut stream).read_to_end(&mut out).await.unwrap();
            out
        })
    }

    struct Pieces<'a>(std::collections::VecDeque<&'a [u8]>);

    fn tokio_test_stream<'a>(mut bytes: &'a [u8], pieces: &[usize]) -> Pieces<'a> {
        let mut list = std::collections::VecDeque::new();
        for size in pieces.iter().cycle() {
            if bytes.is_empty() {
                break;
            }
            let (piece, rest) = bytes.split_at((*size).min(bytes.len()));
            list.push_back(piece);
            bytes = rest;
        }
        Pieces(list)
    }

    impl AsyncRead for Pieces<'_> {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            if let Some(piece) = self.0.pop_front() {
                let (now, later) = piece.split_at(piece.len().min(out.remaining()));
                out.put_slice(now);
                if !later.is_empty() {
                    self.0.push_front(later);
                }
            }
            Poll::Ready(Ok(()))
        }
    }

    /// A conversation with a limit of this spelling in its `attach` frames.
    fn conversation(largest: &[u8]) -> Vec<u8> {
        let transfer = [&[0x00, 0x53, 0x14, 0xc0, 2, 1, 0x43][..], &[0x12; 3000]].concat();
        [
            b"AMQP\x03\x01\x00\x00".to_vec(),
            frame(1, &attach(false, largest)[..3]),
            b"AMQP\x00\x01\x00\x00".to_vec(),
            frame(0, b""),
            frame(0, &attach(false, largest)),
            frame(0, &transfer),
            frame(0, &attach(true, largest)),
            frame(0, &[0x00, 0x53]),
            frame(0, &transfer),
        ]
        .concat()
    }

    #[test]
    fn the_limit_is_none() {
        let megabyte = [0x80, 0, 0, 0, 0, 0, 16, 0, 0];
        for (sent, came) in [(&megabyte[..], &[0x80, 0, 0, 0, 0, 0, 0, 0, 0][..]), (&[0x53, 200], &[0x53, 0])] {
            assert_eq!(through(&conversation(sent), &[100_000]), conversation(came));
        }
        for same in [&[0x44][..], &[0x40], &[0xa1, 1, b'x']] {
            assert_eq!(through(&conversation(same), &[100_000]), conversation(same));
        }
        // A peer that left it out.
        let short = frame(0, &[ATTACH[0], &[0xc0, 6, 3, 0xa1, 1, b'l', 0x43, 0x41]].concat());
        assert_eq!(through(&short, &[3]), short);
    }

    #[test]
    fn what_is_malformed_passes() {
        let good = conversation(&[0x53, 200]);
        for bad in [
            vec![0, 0, 0, 3, 2, 0, 0, 0],
            frame(0, &[ATTACH[0], &[0xc0, 200, 200, 0xa1, 250]].concat()),
            frame(
                0,
                &[ATTACH[0], &[0xd0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xb1, 0xff, 0xff, 0xff, 0xff]].concat(),
            ),
            frame(0, &[ATTACH[0], &[0xc0, 100, 12], &[0; 100]].concat()),
            vec![0xff; 40],
        ] {
            assert_eq!(through(&bad, &[7]), bad);
            assert!(through(&[bad.clone(), good.clone()].concat(), &[7]).starts_with(&bad));
        }
        assert_eq!(through(&good[..good.len() - 2000], &[9000]).len(), good.len() - 2000, "it ends inside a frame");
    }

    proptest! {
        #[test]
        fn it_is_the_same_in_any_pieces(pieces in prop::collection::vec(1usize..5000, 1..9)) {
            let sent = conversation(&[0x80, 0, 0, 0, 0, 0, 16, 0, 0]);
            prop_assert_eq!(through(&sent, &pieces), conversation(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0]));
        }

        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..300), body in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(through(&bytes, &[11]).len(), bytes.len());
            let attach = frame(0, &[ATTACH[0], &[0xc0, 90, 12], &body].concat());
            prop_assert_eq!(through(&attach, &[11]).len(), attach.len());
        }
    }
}
