use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// The beginning of an `attach` in both spellings of its descriptor.
const ATTACHED: [&[u8]; 2] = [&[0x00, 0x53, 0x12], &[0x00, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x12]];

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
        false => [ATTACHED[0], &[0xc0, u8::try_from(length + 1).unwrap(), 12], &fields].concat(),
        true => {
            let size = u32::try_from(length + 4).unwrap().to_be_bytes();
            [ATTACHED[1], &[0xd0], &size, &12u32.to_be_bytes(), &fields].concat()
        }
    }
}

/// A transfer of so many octets; as it is sent, or as the library gets to see it.
fn transfer(payload: usize, guarded: bool) -> Vec<u8> {
    let section = [&[0x00, 0x53, 0x75, 0xb0][..], &u32::try_from(payload).unwrap().to_be_bytes()].concat();
    let section = if guarded { section } else { Vec::new() };
    frame(AMQP_FRAME, &[&[0x00, 0x53, 0x14, 0xc0, 2, 1, 0x43][..], &section, &vec![0x12; payload]].concat())
}

/// What comes out of bytes that arrive in pieces of these sizes, in turn, and are asked for in others; and the error, if one
/// ends it.
fn through(bytes: &[u8], pieces: &[usize]) -> (Vec<u8>, Option<String>) {
    let ending = Ending::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let out = runtime.block_on(async {
        let mut guard = Guard::new(Pieces(split(bytes, pieces)), ending.clone());
        let (mut out, mut part) = (Vec::new(), [0; 700]);
        while let Ok(count) = guard.read(&mut part).await {
            if count == 0 {
                break;
            }
            out.extend_from_slice(&part[..count]);
        }
        out
    });
    (out, ending.reason())
}

struct Pieces<'a>(std::collections::VecDeque<&'a [u8]>);

fn split<'a>(mut bytes: &'a [u8], pieces: &[usize]) -> std::collections::VecDeque<&'a [u8]> {
    let mut list = std::collections::VecDeque::new();
    for size in pieces.iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let (piece, rest) = bytes.split_at((*size).min(bytes.len()));
        list.push_back(piece);
        bytes = rest;
    }
    list
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
fn conversation(largest: &[u8], guarded: bool) -> Vec<u8> {
    [
        b"AMQP\x03\x01\x00\x00".to_vec(),
        frame(SASL_FRAME, &[0x00, 0x53, 0x44, 0xc0, 3, 1, 0x50, 0]),
        b"AMQP\x00\x01\x00\x00".to_vec(),
        frame(AMQP_FRAME, b""),
        frame(AMQP_FRAME, &attach(false, largest)),
        transfer(3000, guarded),
        frame(AMQP_FRAME, &attach(true, largest)),
        transfer(0, guarded),
        transfer(LARGEST - HEAD - 7, guarded),
    ]
    .concat()
}

#[test]
fn there_is_no_limit_and_a_transfer_carries_data() {
    let megabyte = [0x80, 0, 0, 0, 0, 0, 16, 0, 0];
    for (sent, came) in [(&megabyte[..], &[0x80, 0, 0, 0, 0, 0, 0, 0, 0][..]), (&[0x53, 200], &[0x53, 0])] {
        assert!(through(&conversation(sent, false), &[100_000]) == (conversation(came, true), None), "{sent:?}");
    }
    for same in [&[0x44][..], &[0x40], &[0xa1, 1, b'x']] {
        assert!(through(&conversation(same, false), &[100_000]) == (conversation(same, true), None), "{same:?}");
    }
    // A peer that left it out.
    let short = frame(AMQP_FRAME, &[ATTACHED[0], &[0xc0, 6, 3, 0xa1, 1, b'l', 0x43, 0x41]].concat());
    assert_eq!(through(&short, &[3]), (short, None));
}

#[test]
fn what_the_library_should_not_build_ends_the_stream() {
    // Ten bytes of an array say 65,536 elements without width.
    let array = [&[0xf0u8][..], &5u32.to_be_bytes(), &65_536u32.to_be_bytes(), &[0x41]].concat();
    let of = |values: &[u8], count: u8| [&[0xc0, u8::try_from(values.len() + 1).unwrap(), count], values].concat();
    let nested = (0..40).fold(vec![0x40], |inner, _| of(&inner, 1));
    let deep = [&[0x00, 0x53, 0x10][..], &nested].concat();
    let wide = [&[0x00, 0x53, 0x10][..], &of(&array, 1)].concat();
    let state = [&[0x00, 0x53, 0x14][..], &of(&array, 1), b"payload"].concat();
    let good = conversation(&[0x53, 200], false);
    for (bad, reason) in [
        (frame(AMQP_FRAME, &deep), "a frame that is not read: it nests more than 32 deep"),
        (frame(AMQP_FRAME, &wide), "a frame that is not read: it holds more than 10000 values"),
        (frame(AMQP_FRAME, &state), "a frame that is not read: it holds more than 10000 values"),
        (frame(SASL_FRAME, &wide), "a frame that is not read: it holds more than 10000 values"),
        (frame(AMQP_FRAME, &[0x00, 0x53, 0x10, 0xc0, 200, 200, 0xa1, 250]), "a frame that is not read: it is not AMQP"),
        (frame(AMQP_FRAME, b"\x00\xa3\x0eamqp:open:list\x45"), "a frame that is not read: it is no performative"),
        (frame(7, &[0x00, 0x53, 0x10, 0x45]), "a frame that is not read: it is of an unknown type"),
        (vec![0, 0, 0, 3, 2, 0, 0, 0], "what is no frame of AMQP"),
        (vec![0, 0, 0, 9, 9, 0, 0, 0, 0], "what is no frame of AMQP"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "a frame of 1213486160 bytes, where 65536 were agreed"),
        (vec![0, 1, 0, 1, 2, 0, 0, 0], "a frame of 65537 bytes, where 65536 were agreed"),
    ] {
        let (out, said) = through(&[good.clone(), bad, good.clone()].concat(), &[777]);
        assert!(out == conversation(&[0x53, 0], true), "{reason}: {} bytes", out.len());
        assert_eq!(said, Some(format!("it sent {reason}")));
    }
    let whole = conversation(&[0x53, 0], true);
    let (out, said) = through(&good[..good.len() - 2000], &[9000]);
    assert!(whole.starts_with(&out) && said.is_none(), "it ends inside a frame");
}

#[test]
fn the_service_is_told_of_the_frames_that_are_agreed() {
    let open = |size: u32| {
        let fields = [&[0xa1, 2, b'i', b'd', 0xa1, 1, b'h', 0x70][..], &size.to_be_bytes(), &[0x60, 0, 9]].concat();
        frame(AMQP_FRAME, &[&[0x00, 0x53, 0x10, 0xc0, u8::try_from(fields.len() + 1).unwrap(), 4], &fields[..]].concat())
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let sent = runtime.block_on(async {
        // It takes a few bytes at a time.
        let (near, mut far) = tokio::io::duplex(5);
        let reading = async {
            let mut sent = Vec::new();
            far.read_to_end(&mut sent).await.unwrap();
            sent
        };
        let writing = async {
            let mut guard = Guard::new(near, Ending::default());
            guard.write_all(b"AMQP\x00\x01\x00\x00").await.unwrap();
            guard.write_all(&[frame(AMQP_FRAME, b""), open(WIDENED)].concat()).await.unwrap();
            guard.write_all(&open(WIDENED)).await.unwrap();
            guard.flush().await.unwrap();
        };
        tokio::join!(reading, writing).0
    });
    let header = b"AMQP\x00\x01\x00\x00";
    assert_eq!(sent, [&header[..], &frame(AMQP_FRAME, b""), &open(FRAME), &open(WIDENED)].concat());
}

proptest! {
    #[test]
    fn it_is_the_same_in_any_pieces(pieces in prop::collection::vec(1usize..5000, 1..9)) {
        let megabyte = [0x80, 0, 0, 0, 0, 0, 16, 0, 0];
        let whole = conversation(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0], true);
        prop_assert!(through(&conversation(&megabyte, false), &pieces) == (whole, None));
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..300), body in prop::collection::vec(any::<u8>(), 0..80)) {
        let (out, said) = through(&bytes, &[11]);
        prop_assert!(out.len() <= bytes.len() || said.is_none());
        for descriptor in [&[0x00, 0x53, 0x12, 0xc0, 90, 12][..], &[0x00, 0x53, 0x14, 0xc0, 2, 1]] {
            through(&frame(AMQP_FRAME, &[descriptor, &body].concat()), &[11]);
        }
    }
}
