//! Messages (part 3): requests as they come, and the sections an answer or an event is made of.

use super::{Failure, Value, condition, encode, value_at};

/// What a request to a node says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Message {
    pub(crate) message_id: Value,
    pub(crate) reply_to: Option<String>,
    pub(crate) application_properties: Value,
    /// The body where it is one value.
    pub(crate) value: Value,
}

impl Message {
    /// Reads the sections of a message. One without a body is taken: Microsoft's client for Python asks so.
    pub(crate) fn read(mut bytes: &[u8]) -> Result<Self, Failure> {
        let wrong = |what: &str| Failure::new(condition::DECODE_ERROR, format!("a message is malformed: {what}"));
        let mut message = Message::default();
        let mut last = 0;
        while !bytes.is_empty() {
            let (section, rest) = value_at(bytes).map_err(|malformed| wrong(malformed.0))?;
            bytes = rest;
            let Value::Described(descriptor, content) = section else { return Err(wrong("a section has no descriptor")) };
            let Value::Ulong(code @ 0x70..=0x78) = *descriptor else { return Err(wrong("a section is not known")) };
            // In this order, each once, and only data and sequences again (section 3.2).
            if code < last || (code == last && !matches!(code, 0x75 | 0x76)) {
                return Err(wrong("its sections are out of order"));
            }
            last = code;
            match (code, *content) {
                (0x73, Value::List(fields)) => {
                    message.message_id = fields.first().cloned().unwrap_or_default();
                    message.reply_to = fields.get(4).and_then(Value::text).map(str::to_string);
                }
                (0x74, map @ Value::Map(_)) => message.application_properties = map,
                (0x77, value) => message.value = value,
                (0x70, Value::List(_))
                | (0x71 | 0x72 | 0x78, Value::Map(_))
                | (0x75, Value::Binary(_))
                | (0x76, Value::List(_)) => {}
                _ => return Err(wrong("a section has the wrong type")),
            }
        }
        Ok(message)
    }

    /// A property the application gave, as text.
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        self.application_properties.get(name).and_then(Value::text)
    }
}

/// Appends a section.
pub(crate) fn section(code: u64, content: Value, out: &mut Vec<u8>) {
    encode(&Value::Described(Box::new(Value::Ulong(code)), Box::new(content)), out);
}

/// Appends a data section.
pub(crate) fn data(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend([0x00, 0x53, 0x75]);
    if bytes.len() < 256 {
        out.extend([0xa0, bytes.len() as u8]);
    } else {
        out.push(0xb0);
        out.extend((bytes.len() as u32).to_be_bytes());
    }
    out.extend(bytes);
}

/// The answer of a node to a request.
pub(crate) fn answer(to: &Message, application_properties: Vec<(Value, Value)>, value: Value) -> Vec<u8> {
    let mut properties = vec![Value::Null; 13];
    properties[2] = to.reply_to.clone().map_or(Value::Null, Value::String);
    properties[5] = to.message_id.clone();
    let mut out = Vec::new();
    section(0x73, Value::List(properties), &mut out);
    section(0x74, Value::Map(application_properties), &mut out);
    section(0x77, value, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_what_is_none() {
        let request = Message {
            message_id: Value::Ulong(7),
            reply_to: Some("here".to_string()),
            application_properties: Value::Map(vec![(Value::string("operation"), Value::string("READ"))]),
            value: Value::Null,
        };
        let bytes = answer(&request, vec![(Value::string("status-code"), Value::Int(200))], Value::string("body"));
        let read = Message::read(&bytes).unwrap();
        assert_eq!(read.value, Value::string("body"));
        assert_eq!(read.application_properties.get("status-code"), Some(&Value::Int(200)));
        let mut out_of_order = Vec::new();
        section(0x77, Value::Null, &mut out_of_order);
        section(0x74, Value::Map(vec![]), &mut out_of_order);
        let mut twice = Vec::new();
        section(0x77, Value::Null, &mut twice);
        section(0x77, Value::Null, &mut twice);
        let mut list = Vec::new();
        section(0x75, Value::List(vec![]), &mut list);
        for (bytes, part) in [
            (&out_of_order[..], "out of order"),
            (&twice[..], "out of order"),
            (&list[..], "the wrong type"),
            (b"\x41", "no descriptor"),
            (b"\x00\x53\x79\x40", "not known"),
            (b"\x00\x53\x75\xa0\x09", "ends too early"),
        ] {
            let failure = Message::read(bytes).unwrap_err();
            assert!(failure.description.contains(part), "{failure:?}");
        }
    }
}
