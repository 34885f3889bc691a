//! Reads the event stream on stdout as splunkd does, and other small XML.

use quick_xml::Reader;
use quick_xml::events::Event as Part;
use serde_json::Value;

/// One `<event>`.
#[derive(Clone, Debug, Default)]
pub struct Event {
    /// Epoch seconds as written.
    pub time: String,
    /// As the event says.
    pub source: String,
    /// As the event says.
    pub sourcetype: String,
    /// The event's text.
    pub data: String,
    /// The event's text as JSON.
    pub json: Value,
}

impl Event {
    /// The first of some members that holds text or a number.
    pub fn field(&self, names: &[&str]) -> String {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        names.iter().find_map(|name| text(&self.json[*name])).unwrap_or_default()
    }

    /// The object's id in any of the APIs.
    pub fn id(&self) -> String {
        let names: &[&str] =
            if self.sourcetype == "ms365:defender:incident" { &["id", "incidentId"] } else { &["id", "alertId"] };
        self.field(names)
    }
}

/// Reads a whole stream; a stream that is not well-formed, or an event that is not JSON, is an error.
pub fn events(stdout: &str) -> Result<Vec<Event>, String> {
    if stdout.is_empty() {
        return Ok(Vec::new());
    }
    let mut events = Vec::new();
    let mut event = Event::default();
    walk(stdout, |path, text| {
        match path {
            ["stream", "event"] => {
                let done = std::mem::take(&mut event);
                let json = serde_json::from_str(&done.data)
                    .map_err(|error| format!("an event is not JSON ({error}): {:.200}", done.data))?;
                events.push(Event { json, ..done });
            }
            ["stream", "event", "time"] => event.time = text,
            ["stream", "event", "source"] => event.source = text,
            ["stream", "event", "sourcetype"] => event.sourcetype = text,
            ["stream", "event", "data"] => event.data = text,
            _ => {}
        }
        Ok(())
    })?;
    Ok(events)
}

/// Calls `element` at the end of every element with its path and its own text; `name=` attributes are appended to the path.
pub fn walk(xml: &str, mut element: impl FnMut(&[&str], String) -> Result<(), String>) -> Result<(), String> {
    let mut reader = Reader::from_str(xml);
    let mut open: Vec<(String, String)> = Vec::new();
    let bad = |error: &dyn std::fmt::Display| format!("the XML on stdout is not well-formed: {error}");
    loop {
        match reader.read_event().map_err(|error| bad(&error))? {
            Part::Start(tag) => open.push((tag.name().as_ref().to_string(), String::new())),
            Part::Text(text) => {
                if let Some((_, held)) = open.last_mut() {
                    held.push_str(&text);
                }
            }
            Part::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref().map_err(|error| bad(&error))? {
                    Some(character) => character,
                    None => match &*reference {
                        "amp" => '&',
                        "lt" => '<',
                        "gt" => '>',
                        "quot" => '"',
                        "apos" => '\'',
                        other => return Err(bad(&format!("unknown entity {other}"))),
                    },
                };
                if let Some((_, held)) = open.last_mut() {
                    held.push(character);
                }
            }
            Part::End(_) => {
                let path: Vec<String> = open.iter().map(|(name, _)| name.clone()).collect();
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                let text = open.pop().map(|(_, text)| text).unwrap_or_default();
                element(&path, text)?;
            }
            Part::Eof if open.is_empty() => return Ok(()),
            Part::Eof => return Err(bad(&"it ends inside an element")),
            _ => {}
        }
    }
}

/// The text of the first element with that path.
pub fn first(xml: &str, wanted: &[&str]) -> Option<String> {
    let mut found = None;
    let read = walk(xml, |path, text| {
        if path == wanted && found.is_none() {
            found = Some(text);
        }
        Ok(())
    });
    read.ok().and(found)
}
