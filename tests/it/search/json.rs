//! JSON in a search: KV_MODE = json, and members by their path. Of the former: fields named by path (`a.b{}.c`), as far as they end within the first 5,000 bytes.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::Fields;

/// `limits.conf [spath] extraction_cutoff`.
const CUTOFF: usize = 5_000;

/// Adds the fields of a JSON object. A null is the text `null`, as in Splunk.
pub(super) fn extract(text: &str, fields: &mut Fields) {
    let mut reader = Reader { text, at: 0 };
    let _ = reader.value("", fields);
}

/// Objects by their text: an event is asked for many of its members, one after the other.
type Objects = Vec<(String, BTreeMap<String, Box<RawValue>>)>;

thread_local! {
    static LAST: RefCell<Objects> = const { RefCell::new(Vec::new()) };
}

/// The member of an object at a path such as `a.b`, wherever in the text it stands.
pub(super) fn member(text: &str, path: &str) -> Option<String> {
    let mut text = text.to_owned();
    for name in path.split('.') {
        text = LAST.with_borrow_mut(|objects| {
            if !objects.iter().any(|(known, _)| *known == text) {
                objects.truncate(3);
                objects.insert(0, (text.clone(), serde_json::from_str(&text).ok()?));
            }
            let (_, members) = objects.iter().find(|(known, _)| *known == text)?;
            Some(members.get(name)?.get().to_owned())
        })?;
    }
    Some(plain(&text))
}

/// A JSON value as the text of a field: a string without its quotes.
pub(super) fn plain(value: &str) -> String {
    serde_json::from_str::<String>(value).unwrap_or_else(|_| value.to_owned())
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// The cut-off is reached.
struct Cut;

impl Reader<'_> {
    fn value(&mut self, path: &str, fields: &mut Fields) -> Result<(), Cut> {
        match self.peek() {
            b'{' => self.list(
                b'}',
                |reader, fields| {
                    let name = reader.string()?;
                    reader.expect(b':');
                    let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                    reader.value(&path, fields)
                },
                fields,
            ),
            b'[' => self.list(b']', |reader, fields| reader.value(&format!("{path}{{}}"), fields), fields),
            b'"' => {
                let text = self.string()?;
                fields.entry(path.to_owned()).or_default().push(text);
                Ok(())
            }
            _ => {
                let rest = &self.text[self.at..];
                let end = rest.find([',', '}', ']']).unwrap();
                let text = rest[..end].trim().to_owned();
                self.at += end;
                if self.at > CUTOFF {
                    return Err(Cut);
                }
                fields.entry(path.to_owned()).or_default().push(text);
                Ok(())
            }
        }
    }

    fn list(
        &mut self,
        close: u8,
        mut item: impl FnMut(&mut Self, &mut Fields) -> Result<(), Cut>,
        fields: &mut Fields,
    ) -> Result<(), Cut> {
        self.at += 1;
        loop {
            match self.peek() {
                b',' => self.at += 1,
                byte if byte == close => {
                    self.at += 1;
                    return Ok(());
                }
                _ => item(self, fields)?,
            }
        }
    }

    fn string(&mut self) -> Result<String, Cut> {
        self.peek();
        let bytes = self.text.as_bytes();
        let mut end = self.at + 1;
        while bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let text = serde_json::from_str(&self.text[self.at..=end]).unwrap();
        self.at = end + 1;
        if self.at > CUTOFF { Err(Cut) } else { Ok(text) }
    }

    fn peek(&mut self) -> u8 {
        while self.text.as_bytes()[self.at].is_ascii_whitespace() {
            self.at += 1;
        }
        self.text.as_bytes()[self.at]
    }

    fn expect(&mut self, byte: u8) {
        assert_eq!(self.peek(), byte);
        self.at += 1;
    }
}
