//! The little of DER that a certificate of 1988 needs.

pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const EXPLICIT_0: u8 = 0xa0;
pub(super) const NULL: [u8; 2] = [0x05, 0x00];

/// One element: its tag, its content, and what comes after it. `None` when it is cut short.
pub(super) fn read(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, first) = (*bytes.first()?, *bytes.get(1)?);
    let (length, start) = if first < 0x80 {
        (usize::from(first), 2)
    } else {
        let digits = usize::from(first & 0x7f);
        let length = bytes.get(2..2 + digits)?.iter().fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
        (length, 2 + digits)
    };
    let end = start.checked_add(length)?;
    Some((tag, bytes.get(start..end)?, &bytes[end..]))
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    if content.len() < 0x80 {
        out.push(content.len() as u8);
    } else {
        let digits: Vec<u8> = content.len().to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        out.push(0x80 | digits.len() as u8);
        out.extend(digits);
    }
    out.extend_from_slice(content);
    out
}

pub(super) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, &parts.concat())
}

/// Big-endian, the first bit being the sign.
pub(super) fn integer(bytes: &[u8]) -> Vec<u8> {
    element(0x02, bytes)
}

pub(super) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    element(BIT_STRING, &[&[0], bytes].concat())
}

/// `YYMMDDhhmmssZ`
pub(super) fn utc_time(text: &str) -> Vec<u8> {
    element(0x17, text.as_bytes())
}

pub(super) fn oid(arcs: &[u64]) -> Vec<u8> {
    let mut content = vec![(arcs[0] * 40 + arcs[1]) as u8];
    for arc in &arcs[2..] {
        let mut groups = vec![(arc & 0x7f) as u8];
        let mut rest = arc >> 7;
        while rest > 0 {
            groups.push(0x80 | (rest & 0x7f) as u8);
            rest >>= 7;
        }
        groups.reverse();
        content.extend(groups);
    }
    element(0x06, &content)
}

/// A distinguished name; unknown attribute types are common names.
pub(super) fn name(attributes: &[(&str, &str)]) -> Vec<u8> {
    let attribute = |(kind, value): &(&str, &str)| {
        let arc = match *kind {
            "C" => 6,
            "L" => 7,
            "ST" => 8,
            "O" => 10,
            _ => 3,
        };
        let text = element(0x0c, value.as_bytes());
        element(0x31, &sequence(&[oid(&[2, 5, 4, arc]), text]))
    };
    sequence(&attributes.iter().map(attribute).collect::<Vec<_>>())
}
