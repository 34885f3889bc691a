//! The documents the program writes to standard output, read as strictly as splunkd does.

use std::collections::BTreeSet;

use quick_xml::Reader;
use quick_xml::events::Event as Xml;

/// One event. Members that were absent are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) time: String,
    pub(crate) source: String,
    pub(crate) sourcetype: String,
    pub(crate) index: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) data: String,
}

impl Event {
    /// The event as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {}", self.data))
    }

    /// A text or number member of the event, as text.
    pub(crate) fn member(&self, name: &str) -> String {
        match &self.json()[name] {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

/// Reads a whole `<stream>` document; nothing at all is no event.
///
/// # Panics
/// When the document is not well-formed, not closed, holds a character that XML 1.0 forbids, or another element than
/// splunkd knows.
pub(crate) fn whole(bytes: &[u8]) -> Vec<Event> {
    let text = std::str::from_utf8(bytes).unwrap();
    if text.is_empty() {
        return Vec::new();
    }
    assert!(text.ends_with("</stream>\n"), "the stream is not closed: …{:?}", text.chars().rev().take(80).collect::<String>());
    let events = read(text);
    assert!(!events.is_empty(), "a stream was opened for no event");
    events
}

/// Reads what a process that was killed left behind: the events that are whole.
pub(crate) fn cut_short(bytes: &[u8]) -> Vec<Event> {
    let end = bytes.windows(8).rposition(|part| part == b"</event>").map_or(0, |at| at + 8);
    if end == 0 {
        return Vec::new();
    }
    let mut text = String::from_utf8(bytes[..end].to_vec()).unwrap();
    text.push_str("\n</stream>\n");
    read(&text)
}

fn read(text: &str) -> Vec<Event> {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{FFFD}' | '\u{10000}'..);
    assert!(text.chars().all(allowed), "a character that XML 1.0 forbids");
    let mut reader = Reader::from_str(text);
    let (mut events, mut path, mut event, mut content) = (Vec::new(), Vec::new(), Event::default(), String::new());
    loop {
        match reader.read_event().unwrap() {
            Xml::Start(tag) => {
                assert_eq!(tag.attributes().count(), 0, "{tag:?}: neither unbroken nor any other attribute");
                path.push(tag.name().as_ref().to_owned());
                content.clear();
            }
            Xml::Text(text) => content.push_str(&text.xml10_content()),
            Xml::GeneralRef(name) => match name.resolve_char_ref().unwrap() {
                Some(character) => content.push(character),
                None => content.push_str(quick_xml::escape::resolve_xml_entity(&name).unwrap()),
            },
            Xml::End(_) => {
                let element: Vec<&str> = path.iter().map(String::as_str).collect();
                let content = std::mem::take(&mut content);
                match element.as_slice() {
                    ["stream"] => {}
                    ["stream", "event"] => events.push(std::mem::take(&mut event)),
                    ["stream", "event", "time"] => event.time = content,
                    ["stream", "event", "source"] => event.source = content,
                    ["stream", "event", "sourcetype"] => event.sourcetype = content,
                    ["stream", "event", "index"] => event.index = Some(content),
                    ["stream", "event", "host"] => event.host = Some(content),
                    ["stream", "event", "data"] => event.data = content,
                    other => panic!("an element splunkd does not know: {other:?}"),
                }
                path.pop();
            }
            Xml::Eof => break,
            other => panic!("unexpected in the stream: {other:?}"),
        }
    }
    assert!(path.is_empty(), "{path:?} is not closed");
    events
}

/// The text of `<error><message>` on standard output: how an input is refused.
///
/// # Panics
/// When it is another document.
pub(crate) fn messages(stdout: &[u8]) -> String {
    let text = std::str::from_utf8(stdout).unwrap();
    let message = text.strip_prefix("<error><message>").and_then(|rest| rest.strip_suffix("</message></error>"));
    let message = message.unwrap_or_else(|| panic!("not a refusal: {text:?}"));
    quick_xml::escape::unescape(message).unwrap().into_owned()
}

/// Checks that two sets are the same; of large ones, says what is missing and what is too much.
#[track_caller]
pub(crate) fn same<T: Ord + std::fmt::Debug>(what: &str, found: &BTreeSet<T>, expected: &BTreeSet<T>) {
    let list = |of: &BTreeSet<T>, but: &BTreeSet<T>| -> Vec<String> {
        of.difference(but).take(3).map(|item| format!("{item:?}").chars().take(600).collect()).collect()
    };
    let (missing, extra) = (list(expected, found), list(found, expected));
    assert!(
        missing.is_empty() && extra.is_empty(),
        "{what}: {} found, {} expected\nmissing: {missing:#?}\ntoo much: {extra:#?}",
        found.len(),
        expected.len()
    );
}
