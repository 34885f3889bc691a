//! KV_MODE = json: fields named by path (`a.b{}.c`), as far as they end within the first 5,000 bytes.

use super::Fields;

/// `limits.conf [spath] extraction_cutoff`.
const CUTOFF: usize = 5_000;

/// Adds the fields of a JSON object. A null is the text `null`, as in Splunk.
pub(super) fn extract(text: &str, fields: &mut Fields) {
    let mut reader = Reader { text, at: 0 };
    let _ = reader.value("", fields);
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
