//! AMQP inside a WebSocket (RFC 6455), at `/$servicebus/websocket` with the subprotocol `amqp`.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// A close frame with status 1000.
pub(super) const CLOSE: [u8; 4] = [0x88, 2, 0x03, 0xe8];
/// The largest frame taken.
const MAX_FRAME: usize = 2 * 1024 * 1024;

/// A WebSocket, from its request on.
#[derive(Default)]
pub(super) struct WebSocket {
    open: bool,
    held: Vec<u8>,
    /// A message in several frames has begun.
    continued: bool,
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl WebSocket {
    /// What the octets hold of AMQP; what is to be said meanwhile is put into `answer`.
    pub(super) fn incoming(&mut self, bytes: &[u8], answer: &mut Vec<u8>) -> io::Result<Vec<u8>> {
        self.held.extend_from_slice(bytes);
        if !self.open {
            let Some(end) = self.held.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(Vec::new()) };
            let (reply, accepted) = upgrade(&self.held[..end + 4]);
            answer.extend(reply);
            self.held.drain(..end + 4);
            self.open = accepted;
        }
        let mut inside = Vec::new();
        while self.open {
            let Some((frame, payload)) = Frame::whole(&self.held)? else { break };
            match frame.opcode {
                0 if self.continued => inside.extend(payload),
                2 if !self.continued => inside.extend(payload),
                8 => {
                    answer.extend(CLOSE);
                    self.open = false;
                }
                9 => answer.extend(header(0x8a, payload.len()).into_iter().chain(payload)),
                10 => {}
                _ => return Err(wrong("a frame of that kind cannot come here")),
            }
            if frame.opcode < 8 {
                self.continued = !frame.last;
            }
            self.held.drain(..frame.end);
        }
        Ok(inside)
    }
}

/// A frame with octets of AMQP.
pub(super) fn frame(bytes: &[u8]) -> Vec<u8> {
    let mut framed = header(0x82, bytes.len());
    framed.extend_from_slice(bytes);
    framed
}

fn header(first: u8, length: usize) -> Vec<u8> {
    let mut header = vec![first];
    match length {
        0..=125 => header.push(length as u8),
        126..=65_535 => {
            header.push(126);
            header.extend((length as u16).to_be_bytes());
        }
        _ => {
            header.push(127);
            header.extend((length as u64).to_be_bytes());
        }
    }
    header
}

struct Frame {
    last: bool,
    opcode: u8,
    end: usize,
}

impl Frame {
    /// The first frame and what is in it, unmasked; `None` while it is not whole.
    fn whole(bytes: &[u8]) -> io::Result<Option<(Frame, Vec<u8>)>> {
        let &[first, second, ..] = bytes else { return Ok(None) };
        if first & 0x70 != 0 || second & 0x80 == 0 {
            return Err(wrong("a client's frame has reserved bits, or no mask"));
        }
        let (length, at) = match second & 0x7f {
            126 => match bytes.get(2..4) {
                Some(length) => (usize::from(length[0]) << 8 | usize::from(length[1]), 4),
                None => return Ok(None),
            },
            127 => match bytes.get(2..10) {
                Some(length) => (length.iter().fold(0, |sum: usize, byte| sum << 8 | usize::from(*byte)), 10),
                None => return Ok(None),
            },
            short => (usize::from(short), 2),
        };
        let opcode = first & 0x0f;
        if length > MAX_FRAME || (opcode >= 8 && (length > 125 || first & 0x80 == 0)) {
            return Err(wrong("a frame is too long, or a control frame is in pieces"));
        }
        let end = at + 4 + length;
        let Some(masked) = bytes.get(at..end) else { return Ok(None) };
        let (mask, payload) = masked.split_at(4);
        let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        Ok(Some((Frame { last: first & 0x80 != 0, opcode, end }, payload)))
    }
}

/// The answer to the request for a WebSocket, and whether it is one.
fn upgrade(head: &[u8]) -> (Vec<u8>, bool) {
    let refuse =
        |status: &str| (format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes(), false);
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    if !request.parse(head).is_ok_and(|status| status.is_complete()) {
        return refuse("400 Bad Request");
    }
    let path = request.path.unwrap_or_default().split('?').next().unwrap_or_default();
    if !path.trim_end_matches('/').eq_ignore_ascii_case("/$servicebus/websocket") {
        return refuse("404 Not Found");
    }
    let header = |name: &str| {
        let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map_or(String::new(), |header| String::from_utf8_lossy(header.value).into_owned())
    };
    let lists = |name: &str, wanted: &str| header(name).split(',').any(|word| word.trim().eq_ignore_ascii_case(wanted));
    let key = header("Sec-WebSocket-Key");
    if !lists("Upgrade", "websocket")
        || !lists("Connection", "Upgrade")
        || header("Sec-WebSocket-Version") != "13"
        || key.is_empty()
    {
        return refuse("400 Bad Request");
    }
    // The registered name, and the one that Microsoft's client for Python has used since before it was.
    let protocol = ["amqp", "AMQPWSB10"].into_iter().find(|known| lists("Sec-WebSocket-Protocol", known));
    let Some(protocol) = protocol else { return refuse("400 Bad Request") };
    let accept =
        STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes()));
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
    );
    (answer.into_bytes(), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "GET /$servicebus/websocket HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: AMQPWSB10, amqp\r\n\r\n";

    /// A client's frame.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = header(first, payload.len());
        frame[1] |= 0x80;
        frame.extend([1, 2, 3, 4]);
        frame.extend(payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    #[test]
    fn the_example_of_the_rfc_and_frames_in_any_pieces() {
        let long = vec![7; 70_000];
        let stream = [
            REQUEST.as_bytes().to_vec(),
            masked(0x02, b"one "),
            masked(0x89, b"ping"),
            masked(0x80, b"two "),
            masked(0x82, &long),
            masked(0x88, &[3, 0xe8]),
        ]
        .concat();
        for piece in [1, 7, 1000, stream.len()] {
            let (mut socket, mut answer, mut inside) = (WebSocket::default(), Vec::new(), Vec::new());
            for bytes in stream.chunks(piece) {
                inside.extend(socket.incoming(bytes, &mut answer).unwrap());
            }
            assert_eq!(inside, [b"one two ".to_vec(), long.clone()].concat());
            let text = String::from_utf8_lossy(&answer);
            // RFC 6455, section 1.3.
            assert!(text.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{text}");
            assert!(answer.ends_with(&[&[0x8a, 4][..], b"ping", &CLOSE].concat()));
        }
    }

    #[test]
    fn what_is_no_web_socket() {
        for (from, to, status) in [
            ("/$servicebus/websocket", "/other", "404"),
            ("Upgrade: websocket", "Upgrade: h2c", "400"),
            ("Version: 13", "Version: 8", "400"),
            ("AMQPWSB10, amqp", "mqtt", "400"),
        ] {
            let mut answer = Vec::new();
            WebSocket::default().incoming(REQUEST.replace(from, to).as_bytes(), &mut answer).unwrap();
            assert!(String::from_utf8_lossy(&answer).starts_with(&format!("HTTP/1.1 {status}")), "{from}");
        }
        for frame in [vec![0x82, 0x01, b'x'], vec![0xc2, 0x81, 0, 0, 0, 0, b'x'], masked(0x81, b"text"), masked(0x80, b"x")] {
            let mut socket = WebSocket { open: true, ..WebSocket::default() };
            assert!(socket.incoming(&frame, &mut Vec::new()).is_err(), "{frame:x?}");
        }
    }
}
