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
    table[b'"' as usize] = true;
    table[0xEF] = true;
    table
};

/// Appends `text` escaped for element content. Quotes stay as they are: JSON is full of them.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    push(out, text, "\"");
}

/// Appends `text` escaped for an attribute in double quotes.
pub(super) fn push_attribute(out: &mut Vec<u8>, text: &str) {
    push(out, text, "&quot;");
}

fn push(out: &mut Vec<u8>, text: &str, quote: &str) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if !SPECIAL[usize::from(byte)] {
            at += 1;
            continue;
        }
        let (length, instead) = match byte {
            b'&' => (1, "&amp;"),
            b'<' => (1, "&lt;"),
            b'>' => (1, "&gt;"),
            b'"' => (1, quote),
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
