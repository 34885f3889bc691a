//! Bytes that are no UTF-8, as text to look for records in.

use std::fmt::Write;

/// The text of UTF-16 in either order, with its byte order mark or where it begins like JSON. Half of a surrogate pair is
/// written as the escape that it is in JSON, and a last byte without another as a question mark.
pub(super) fn utf16(body: &[u8]) -> Option<String> {
    let begins = |b: u8| matches!(b, b'{' | b'[' | b' ' | b'\t' | b'\r' | b'\n' | b'"');
    let (little, from) = match *body.first_chunk::<4>()? {
        [0xff, 0xfe, ..] => (true, 2),
        [0xfe, 0xff, ..] => (false, 2),
        [first, 0, _, 0] if begins(first) => (true, 0),
        [0, first, 0, _] if begins(first) => (false, 0),
        _ => return None,
    };
    let (pairs, rest) = body[from..].as_chunks::<2>();
    let units = pairs.iter().map(|pair| if little { u16::from_le_bytes(*pair) } else { u16::from_be_bytes(*pair) });
    let mut text = String::with_capacity(pairs.len());
    for c in char::decode_utf16(units) {
        match c {
            Ok(c) => text.push(c),
            Err(half) => {
                let _ = write!(text, "\\u{:04x}", half.unpaired_surrogate());
            }
        }
    }
    text.extend(rest.iter().map(|_| '?'));
    Some(text)
}

/// The bytes as a text of the same length: each that belongs to no character is a question mark.
pub(super) fn with_question_marks(body: &[u8]) -> String {
    let mut text = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    text
}
