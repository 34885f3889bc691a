//! Text made fit for XML 1.0, which is stricter than UTF-8: one forbidden character and splunkd drops the rest of the
//! stream.

/// What stands in for a character that XML 1.0 forbids even as a reference.
const REPLACEMENT: &str = "\u{FFFD}";

/// Bytes that need a look: the markup characters, the controls, and the first byte of U+FFFE and U+FFFF.
const SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        // Tab and line feed pass; a carriage return would come out of the parser as a line feed.
        table[byte] = byte != 0x09 && byte != 0x0A;
        byte += 1;
    }
    table[b'&' as usize] = true;
    table[b'<' as usize] = true;
    table[b'>' as usize] = true;
    table[0xEF] = true;
    table
};

/// Bytes looked at together.
const BLOCK: usize = 64;

/// Appends `text` escaped for element content. Quotes stay as they are: JSON is full of them.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = special(bytes, at) {
        at = found;
        let (length, instead) = match bytes[at] {
            b'&' => (1, "&amp;"),
            b'<' => (1, "&lt;"),
            b'>' => (1, "&gt;"),
            b'\r' => (1, "&#13;"),
            0xEF if matches!(bytes.get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF])) => (3, REPLACEMENT),
            0xEF => {
                at += 3;
                continue;
            }
            _ => (1, REPLACEMENT),
        };
        out.extend_from_slice(&bytes[copied..at]);
        out.extend_from_slice(instead.as_bytes());
        at += length;
        copied = at;
    }
    out.extend_from_slice(&bytes[copied..]);
}

/// Appends `text` escaped for an attribute in double quotes.
pub(super) fn push_attribute(out: &mut Vec<u8>, text: &str) {
    for (n, part) in text.split('"').enumerate() {
        if n > 0 {
            out.extend_from_slice(b"&quot;");
        }
        push_text(out, part);
    }
}

/// The next byte from `at` on that needs a look.
fn special(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(block) = bytes.get(at..at + BLOCK).and_then(|block| <&[u8; BLOCK]>::try_from(block).ok()) {
        // Without a branch, so that the compiler takes the block in a few wide registers.
        let any = block.iter().fold(false, |any, b| any | (*b < 0x20) | matches!(b, b'&' | b'<' | b'>' | 0xEF));
        if any && let Some(n) = block.iter().position(|b| SPECIAL[usize::from(*b)]) {
            return Some(at + n);
        }
        at += BLOCK;
    }
    bytes.get(at..)?.iter().position(|b| SPECIAL[usize::from(*b)]).map(|n| at + n)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(raw: &str) -> String {
        let mut out = Vec::new();
        push_text(&mut out, raw);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn markup_and_forbidden_characters() {
        for (raw, escaped) in [
            ("", ""),
            (r#"{"a":"b"}"#, r#"{"a":"b"}"#),
            ("a<b&&c>d]]>", "a&lt;b&amp;&amp;c&gt;d]]&gt;"),
            ("\u{0}a\u{1F}\u{B}", "\u{FFFD}a\u{FFFD}\u{FFFD}"),
            ("\t\n", "\t\n"),
            ("a\r\nb", "a&#13;\nb"),
            ("\u{FFFE}x\u{FFFF}", "\u{FFFD}x\u{FFFD}"),
            // Neighbours of the forbidden ones share their first byte.
            ("\u{FFFD}\u{FEFF}\u{FF21}\u{F000}", "\u{FFFD}\u{FEFF}\u{FF21}\u{F000}"),
            ("zażółć 漢字 🦀 \u{7F}", "zażółć 漢字 🦀 \u{7F}"),
        ] {
            assert_eq!(text(raw), escaped, "{raw:?}");
        }
    }

    #[test]
    fn attributes_escape_their_quotes() {
        let mut out = Vec::new();
        push_attribute(&mut out, r#"a"b<"#);
        assert_eq!(out, br#"a&quot;b&lt;"#);
    }

    proptest! {
        /// Whatever goes in comes out of a parser again, save what XML cannot carry.
        #[test]
        fn a_parser_reads_back_what_was_written(raw in "\\PC*|[\\x00-\\x7F\u{FFFE}\u{FFFF}]*") {
            let carried: String = raw.chars().map(|c| match c {
                '\t' | '\n' | '\r' => c,
                '\u{0}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => '\u{FFFD}',
                c => c,
            }).collect();
            let written = text(&raw);
            prop_assert_eq!(quick_xml::escape::unescape(&written).unwrap(), carried);
        }
    }
}
