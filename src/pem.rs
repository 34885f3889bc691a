//! PEM as people's tools leave it: with a byte order mark, in UTF-16, with line ends of any system, with text around it.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};

/// Takes what is padded and what is not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);

/// One section of a PEM text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What stands behind `BEGIN`, such as `CERTIFICATE`.
    pub label: String,
    /// Its content; `None` when it is cut off or no Base64. Encrypted keys of the old form have headers and are so, too.
    pub der: Option<Vec<u8>>,
}

/// A file's bytes as text: a byte order mark is left out, UTF-16 is read, and what is no text is replaced.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        Cow::Owned(char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect::<String>())
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        // Without a mark: ASCII in UTF-16 has a zero in every second place.
        [first, 0, ..] if *first != 0 => utf16(bytes, u16::from_le_bytes),
        [0, second, ..] if *second != 0 => utf16(bytes, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        bytes => String::from_utf8_lossy(bytes),
    }
}

/// All sections of a text. Line breaks may be missing, spaces, or the two characters `\n`: conf files and forms do that to PEM.
pub fn sections(text: &str) -> Vec<Section> {
    let text = text.replace("\\r", "").replace("\\n", "\n");
    let section = |part: &str| {
        let (label, rest) = part.split_once("-----").unwrap_or((part.lines().next().unwrap_or_default(), ""));
        let der = rest.split_once("-----END ").and_then(|(content, _)| {
            let content: String = content.chars().filter(|c| !c.is_whitespace() && !is_invisible(*c)).collect();
            BASE64.decode(content).ok().filter(|der| !der.is_empty())
        });
        Section { label: label.trim().to_owned(), der }
    };
    text.split("-----BEGIN ").skip(1).map(section).collect()
}

/// A character that nobody sees and that pasting leaves: byte order marks, joiners, marks of direction.
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{ad}' | '\u{180e}')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN THING-----\nAQIDBA==\n-----END THING-----\n";

    fn wide(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(order).collect()
    }

    #[test]
    fn a_section_in_any_dress_is_the_same() {
        let mut marked = vec![0xef, 0xbb, 0xbf];
        marked.extend_from_slice(PEM.as_bytes());
        let spaced = format!("# a comment\n\nsubject=x\n   {}", PEM.replace('\n', "\r\n   "));
        for bytes in [
            PEM.as_bytes().to_vec(),
            marked,
            wide(PEM, u16::to_le_bytes),
            wide(PEM, u16::to_be_bytes),
            wide(&format!("\u{feff}{PEM}"), u16::to_le_bytes),
            wide(&format!("\u{feff}{PEM}"), u16::to_be_bytes),
            spaced.into_bytes(),
            PEM.replace('\n', "\\n").into_bytes(),
            PEM.replace('\n', " ").into_bytes(),
            PEM.replace('\n', "\r").into_bytes(),
            PEM.replace("==", "").into_bytes(),
            PEM.replace("AQ", "A\u{200b}Q").into_bytes(),
        ] {
            let read = sections(&text(&bytes));
            assert_eq!(read, [Section { label: "THING".to_owned(), der: Some(vec![1, 2, 3, 4]) }], "{bytes:?}");
        }
    }

    #[test]
    fn what_is_damaged_is_still_a_section() {
        for damaged in ["-----BEGIN THING-----\nAQIDBA==\n", "-----BEGIN THING-----\n*\n-----END THING-----", "-----BEGIN THING"]
        {
            assert_eq!(sections(damaged), [Section { label: "THING".to_owned(), der: None }], "{damaged}");
        }
        assert_eq!(sections("nothing"), []);
    }
}
