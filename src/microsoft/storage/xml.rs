//! XML of whoever answers, element by element: in linear time, and with little beside the text itself. What nests deeper than any
//! answer of the service is refused; a document type is too, and with it every entity of its own.

use quick_xml::Reader;
use quick_xml::events::Event;

/// How deep elements may nest. A blob's tags, the deepest there is in a list, stand at the seventh.
const DEEPEST: usize = 16;

/// An element that is open.
struct Open {
    name: String,
    text: String,
    /// Its text is percent-encoded: how the service writes names with characters that XML cannot hold.
    is_encoded: bool,
}

/// Calls `ended` with every element below `root` when it ends: the names on the way to it, and the text directly in it.
///
/// # Errors
/// What is wrong with the text, as a verb and what follows it; or what `ended` found wrong. What came before was handed on.
pub(super) fn read(body: &[u8], root: &str, mut ended: impl FnMut(&[&str], String) -> Result<(), String>) -> Result<(), String> {
    let text = std::str::from_utf8(body).map_err(|_| "is not UTF-8".to_owned())?;
    let malformed = |at: u64| format!("is no XML near byte {at}");
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<Open> = Vec::new();
    let mut is_whole = false;
    loop {
        let at = reader.buffer_position();
        match reader.read_event().map_err(|_| malformed(at))? {
            Event::Start(tag) => {
                let name = tag.name().as_ref().to_owned();
                if open.is_empty() && name != root {
                    return Err(format!("is <{}> and no <{root}>", crate::masking::foreign_text(&name)));
                }
                if open.len() == DEEPEST {
                    return Err(format!("nests deeper than {DEEPEST} elements near byte {at}"));
                }
                // Whether two attributes have one name is not looked at: that takes the square of their number.
                let mut attributes = tag.attributes();
                let attributes = attributes.with_checks(false).flatten();
                let is_encoded =
                    name == "Name" && attributes.take(2).any(|a| a.key.as_ref() == "Encoded" && a.value.as_ref() == "true");
                open.push(Open { name, text: String::new(), is_encoded });
            }
            Event::End(_) => {
                let Some(element) = open.pop() else { return Err(malformed(at)) };
                if open.is_empty() {
                    is_whole = true;
                    continue;
                }
                let mut path: Vec<&str> = open.iter().skip(1).map(|open| open.name.as_str()).collect();
                path.push(&element.name);
                let text = if element.is_encoded {
                    percent_encoding::percent_decode_str(&element.text).decode_utf8().map_err(|_| malformed(at))?.into_owned()
                } else {
                    element.text
                };
                ended(&path, text)?;
            }
            Event::Text(text) => {
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&text.xml10_content());
                }
            }
            Event::CData(text) => {
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&text.xml10_content());
                }
            }
            Event::GeneralRef(name) => {
                let Some(element) = open.last_mut() else { return Err(malformed(at)) };
                match name.resolve_char_ref().map_err(|_| malformed(at))? {
                    Some(character) => element.text.push(character),
                    None => element.text.push_str(quick_xml::escape::resolve_xml_entity(&name).ok_or_else(|| malformed(at))?),
                }
            }
            Event::Eof if is_whole && open.is_empty() => return Ok(()),
            Event::Eof => return Err(format!("is cut off after {} bytes", body.len())),
            Event::DocType(_) => return Err(malformed(at)),
            Event::Decl(_) | Event::Empty(_) | Event::PI(_) | Event::Comment(_) => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn elements(text: &str) -> Result<Vec<String>, String> {
        let mut seen = Vec::new();
        read(text.as_bytes(), "R", |path, text| {
            seen.push(format!("{}={text}", path.join("/")));
            Ok(())
        })?;
        Ok(seen)
    }

    #[test]
    fn elements_with_the_text_directly_in_them() {
        let text = "\u{feff}<?xml version=\"1.0\"?><R x='1'><a>1<b>2 &amp; &#98;</b>3</a><Name Encoded=\"true\">%41</Name><c/><![CDATA[<d>]]></R>";
        assert_eq!(elements(text).unwrap(), ["a/b=2 & b", "a=13", "Name=A", "c="]);
        for (text, reason) in [
            ("", "is cut off after 0 bytes"),
            ("<R><a>", "is cut off after 6 bytes"),
            ("<E/>", "is <E> and no <R>"),
            ("<E></E>", "is <E> and no <R>"),
            ("<R></a>", "is no XML near byte 3"),
            ("<R>&x;</R>", "is no XML near byte 3"),
            ("<!DOCTYPE R [<!ENTITY x \"y\">]><R>&x;</R>", "is no XML near byte 0"),
        ] {
            assert_eq!(elements(text).unwrap_err(), reason, "{text}");
        }
        assert_eq!(read(b"<R>\xff</R>", "R", |_, _| Ok(())).unwrap_err(), "is not UTF-8");
    }

    #[test]
    fn what_nests_or_is_written_to_take_long_takes_the_time_of_its_length() {
        let deep = "<R>".to_owned() + &"<a>".repeat(600_000);
        let many = "<R ".to_owned() + &(0..600_000).map(|n| format!("a{n}='' ")).collect::<String>() + "></R>";
        let pieces = "<R><a>".to_owned() + &"&amp;".repeat(600_000) + "</a></R>";
        let begun = Instant::now();
        assert!(elements(&deep).unwrap_err().starts_with("nests deeper than 16 elements near byte "));
        assert!(elements(&many).unwrap().is_empty());
        assert_eq!(elements(&pieces).unwrap()[0].len(), 600_002);
        // A square of the length took minutes; this takes a second at most, without optimization and beside other tests.
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        let deepest = "<R>".to_owned() + &"<a>".repeat(DEEPEST - 1) + &"</a>".repeat(DEEPEST - 1) + "</R>";
        assert_eq!(elements(&deepest).unwrap().len(), DEEPEST - 1);
    }
}
