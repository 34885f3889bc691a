//! Frames: the eight octets in front, and what they say about the rest.

use super::{Failure, condition};

/// The largest frame taken and sent; what Event Hubs offers in its `open`.
pub(crate) const MAX_FRAME: usize = 65_536;
/// The largest frame of SASL (section 5.3.1).
pub(crate) const MAX_SASL_FRAME: usize = 512;

/// Which protocol a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Amqp,
    Sasl,
}

/// A frame in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) channel: u16,
    /// Where its body begins.
    pub(crate) body: usize,
    /// Where it ends, and the next begins.
    pub(crate) end: usize,
}

/// Looks at the frame at the start of a buffer; `None` while it is not whole.
///
/// # Errors
/// When no frame of that type begins so.
pub(crate) fn whole(bytes: &[u8], wanted: Type) -> Result<Option<Frame>, Failure> {
    let wrong = |what: String| Err(Failure::new(condition::FRAMING_ERROR, what));
    let Some(&[s0, s1, s2, s3, offset, kind, c0, c1]) = bytes.first_chunk::<8>() else { return Ok(None) };
    let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
    let body = usize::from(offset) * 4;
    let largest = if wanted == Type::Sasl { MAX_SASL_FRAME } else { MAX_FRAME };
    if size < 8 || size > largest {
        return wrong(format!("a frame has a size of {size}; 8 to {largest} are allowed"));
    }
    if offset < 2 || body > size {
        return wrong(format!("the data offset {offset} does not fit a frame of {size} octets"));
    }
    if kind != u8::from(wanted == Type::Sasl) {
        return wrong(format!("a frame has type {kind} where {wanted:?} is spoken"));
    }
    let channel = u16::from_be_bytes([c0, c1]);
    Ok((bytes.len() >= size).then_some(Frame { channel, body, end: size }))
}

/// Begins a frame; [`end`] fills in its size.
pub(crate) fn begin(kind: Type, channel: u16, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend([0, 0, 0, 0, 2, u8::from(kind == Type::Sasl)]);
    out.extend(channel.to_be_bytes());
    start
}

/// Ends the frame that began there.
pub(crate) fn end(start: usize, out: &mut [u8]) {
    let size = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_measured_before_they_are_whole() {
        let frame = [0, 0, 0, 12, 2, 0, 0x12, 0x34, 1, 2, 3, 4];
        assert_eq!(whole(&frame, Type::Amqp), Ok(Some(Frame { channel: 0x1234, body: 8, end: 12 })));
        assert_eq!(whole(&frame[..11], Type::Amqp), Ok(None));
        assert_eq!(whole(&frame[..7], Type::Amqp), Ok(None));
        let extended = [0, 0, 0, 12, 3, 0, 0, 0, 9, 9, 9, 9];
        assert_eq!(whole(&extended, Type::Amqp).unwrap().unwrap().body, 12);
        for (head, part) in [
            ([0, 0, 0, 7, 2, 0, 0, 0], "a size of 7"),
            ([0, 1, 0, 1, 2, 0, 0, 0], "a size of 65537"),
            ([0, 0, 0, 8, 1, 0, 0, 0], "data offset 1"),
            ([0, 0, 0, 8, 3, 0, 0, 0], "data offset 3"),
            ([0, 0, 0, 8, 2, 1, 0, 0], "type 1"),
        ] {
            let failure = whole(&head, Type::Amqp).unwrap_err();
            assert!(failure.condition == condition::FRAMING_ERROR && failure.description.contains(part), "{failure:?}");
        }
        assert!(whole(&[0, 0, 2, 1, 2, 1, 0, 0], Type::Sasl).is_err());
    }
}
