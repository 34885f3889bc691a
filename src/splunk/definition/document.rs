//! The walk through a document: what stands where, and what must.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::path::PathBuf;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::{Definition, DefinitionError, LIMIT, Root, Stanza};
use crate::secret::Secret;
use crate::splunk::utf8::Utf8;

/// What the next piece of a document is.
enum Piece {
    /// A start tag, empty elements included: their end follows.
    Start(Tag),
    /// An end tag.
    End,
    /// Text, references resolved.
    Text(String),
}

/// A start tag's name and the attributes this program reads.
struct Tag {
    element: String,
    name: Option<String>,
    app: Option<String>,
}

/// A document being read.
pub(super) struct Document<R: Read> {
    xml: Reader<BufReader<Utf8<R>>>,
    root: Root,
    spare: Vec<u8>,
}

impl<R: Read> Document<R> {
    /// At the start of `reader`.
    pub(super) fn new(reader: R, root: Root) -> Self {
        let mut xml = Reader::from_reader(BufReader::new(Utf8::new(reader, LIMIT)));
        xml.config_mut().expand_empty_elements = true;
        Self { xml, root, spare: Vec::new() }
    }

    /// Up to and with the root's start tag.
    pub(super) fn open(&mut self) -> Result<(), DefinitionError> {
        loop {
            match self.next()? {
                Piece::Start(tag) if tag.element == self.root.name() => return Ok(()),
                Piece::Text(text) if text.trim().is_empty() => {}
                _ => return Err(DefinitionError::OtherRoot { root: self.root.name() }),
            }
        }
    }

    /// Everything in the root, with its end tag.
    pub(super) fn members(&mut self) -> Result<Definition, DefinitionError> {
        let mut texts: BTreeMap<&'static str, String> = BTreeMap::new();
        let mut stanzas = Vec::new();
        loop {
            match self.next()? {
                Piece::End => break,
                Piece::Text(_) => {}
                Piece::Start(tag) => match (tag.element.as_str(), self.root) {
                    ("server_host", _) => _ = texts.insert("server_host", self.text()?),
                    ("server_uri", _) => _ = texts.insert("server_uri", self.text()?),
                    ("session_key", _) => _ = texts.insert("session_key", self.text()?),
                    ("checkpoint_dir", _) => _ = texts.insert("checkpoint_dir", self.text()?),
                    ("configuration", Root::Input) => self.configuration(&mut stanzas)?,
                    ("item", Root::Items) => stanzas.push(self.stanza(tag)?),
                    // A newer splunkd may say more about itself.
                    _ => self.skip()?,
                },
            }
        }
        let root = self.root.name();
        let mut take = |name: &'static str, what| match texts.remove(name).map(|text| text.trim().to_owned()) {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(DefinitionError::Missing { root, what }),
        };
        let server_host = take("server_host", "").unwrap_or_default();
        let server_uri = take("server_uri", "<server_uri>")?;
        let session_key = Secret::new(take("session_key", "<session_key>")?);
        let checkpoint_dir = match (take("checkpoint_dir", "<checkpoint_dir>"), self.root) {
            (Ok(dir), _) => PathBuf::from(dir),
            (Err(_), Root::Items) => PathBuf::new(),
            (Err(missing), Root::Input) => return Err(missing),
        };
        if self.root == Root::Items && stanzas.is_empty() {
            return Err(DefinitionError::Missing { root, what: "<item>" });
        }
        Ok(Definition { server_host, server_uri, session_key, checkpoint_dir, stanzas })
    }

    /// The stanzas to run, with the end tag of `<configuration>`.
    fn configuration(&mut self, stanzas: &mut Vec<Stanza>) -> Result<(), DefinitionError> {
        loop {
            match self.next()? {
                Piece::End => return Ok(()),
                Piece::Text(_) => {}
                Piece::Start(tag) if tag.element == "stanza" => stanzas.push(self.stanza(tag)?),
                Piece::Start(tag) => return Err(self.unexpected(&tag.element, "<configuration>", "<stanza>")),
            }
        }
    }

    /// A stanza's parameters, with its end tag.
    fn stanza(&mut self, tag: Tag) -> Result<Stanza, DefinitionError> {
        let missing = DefinitionError::Missing { root: self.root.name(), what: "name on its stanza or item" };
        let full = tag.name.ok_or(missing)?;
        let name = full.split_once("://").map_or(full.as_str(), |(_, bare)| bare).to_owned();
        let mut stanza = Stanza { name, app: tag.app.filter(|app| !app.is_empty()), params: BTreeMap::new() };
        loop {
            match self.next()? {
                Piece::End => return Ok(stanza),
                Piece::Text(_) => {}
                Piece::Start(tag) => {
                    let values = match tag.element.as_str() {
                        "param" => vec![self.text()?],
                        "param_list" => self.values(&stanza.name)?,
                        other => {
                            let within = format!("stanza {}", stanza.name);
                            return Err(self.unexpected(other, &within, "<param> or <param_list>"));
                        }
                    };
                    let missing = DefinitionError::Missing { root: self.root.name(), what: "name on one of its parameters" };
                    stanza.params.insert(tag.name.ok_or(missing)?, values);
                }
            }
        }
    }

    /// A list's values, with its end tag.
    fn values(&mut self, stanza: &str) -> Result<Vec<String>, DefinitionError> {
        let mut values = Vec::new();
        loop {
            match self.next()? {
                Piece::End => return Ok(values),
                Piece::Text(_) => {}
                Piece::Start(tag) if tag.element == "value" => values.push(self.text()?),
                Piece::Start(tag) => return Err(self.unexpected(&tag.element, &format!("stanza {stanza}"), "<value>")),
            }
        }
    }

    /// An element's text, with its end tag.
    fn text(&mut self) -> Result<String, DefinitionError> {
        let mut all = String::new();
        loop {
            match self.next()? {
                Piece::End => return Ok(all),
                Piece::Text(text) => all.push_str(&text),
                Piece::Start(tag) => return Err(self.unexpected(&tag.element, "an element that holds text", "its end tag")),
            }
        }
    }

    /// The rest of an element, with its end tag.
    fn skip(&mut self) -> Result<(), DefinitionError> {
        let mut depth = 1_u32;
        while depth > 0 {
            match self.next()? {
                Piece::Start(_) => depth += 1,
                Piece::End => depth -= 1,
                Piece::Text(_) => {}
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Piece, DefinitionError> {
        loop {
            self.spare.clear();
            let root = self.root.name();
            let malformed = |fault| DefinitionError::Malformed { root, at: 0, fault };
            let piece = match self.xml.read_event_into(&mut self.spare) {
                Ok(Event::Start(tag)) => read_tag(&tag).map(Piece::Start).map_err(malformed),
                Ok(Event::End(_)) => Ok(Piece::End),
                Ok(Event::Text(text)) => Ok(Piece::Text(text.xml10_content().into_owned())),
                Ok(Event::CData(text)) => Ok(Piece::Text(text.xml10_content().into_owned())),
                Ok(Event::GeneralRef(name)) => resolve(&name).map(Piece::Text).ok_or(malformed("an unknown reference")),
                Ok(Event::Comment(_) | Event::Decl(_) | Event::PI(_)) => continue,
                // Nothing splunkd writes has one, and entities are how a small document becomes a large one.
                Ok(Event::DocType(_)) => Err(malformed("a document type")),
                // The parser is told to give these as a start and an end.
                Ok(Event::Empty(_)) => Err(malformed("an empty element")),
                Ok(Event::Eof) => Err(DefinitionError::Ended { root }),
                Err(error) => Err(explain(error, root)),
            };
            return piece.map_err(|error| match error {
                DefinitionError::Malformed { root, fault, .. } => {
                    DefinitionError::Malformed { root, at: self.xml.buffer_position(), fault }
                }
                other => other,
            });
        }
    }

    fn unexpected(&self, element: &str, within: &str, expected: &'static str) -> DefinitionError {
        // A session key that lost its tags must not come out here as a name.
        let plain = element.len() <= 24
            && element.starts_with(|c: char| c.is_ascii_alphabetic())
            && element.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
        let found = if plain { format!("<{element}>") } else { "another element".to_owned() };
        DefinitionError::Unexpected { found, at: self.xml.buffer_position(), within: within.to_owned(), expected }
    }
}

/// Reads a start tag, or says what is wrong with it.
fn read_tag(tag: &BytesStart<'_>) -> Result<Tag, &'static str> {
    let mut read = Tag { element: tag.name().as_ref().to_owned(), name: None, app: None };
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|_| "an attribute")?;
        let value = || attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| "an attribute's value");
        match attribute.key.as_ref() {
            "name" => read.name = Some(value()?.into_owned()),
            "app" => read.app = Some(value()?.into_owned()),
            _ => {}
        }
    }
    Ok(read)
}

/// The text of `&name;`: XML's own five and character references.
fn resolve(reference: &quick_xml::events::BytesRef<'_>) -> Option<String> {
    match reference.resolve_char_ref() {
        Ok(Some(character)) => Some(character.to_string()),
        Ok(None) => quick_xml::escape::resolve_xml_entity(reference).map(str::to_owned),
        Err(_) => None,
    }
}

/// The parser's error without the piece of input it may quote.
fn explain(error: quick_xml::Error, root: &'static str) -> DefinitionError {
    use quick_xml::Error as Xml;
    use quick_xml::errors::{IllFormedError, SyntaxError};
    let fault = match error {
        Xml::Io(io) if io.kind() == std::io::ErrorKind::FileTooLarge => return DefinitionError::TooLarge { root },
        Xml::Io(io) if io.kind() == std::io::ErrorKind::InvalidData => "neither UTF-8 nor UTF-16",
        Xml::Io(io) => return DefinitionError::Read(std::io::Error::new(io.kind(), io.to_string())),
        Xml::Syntax(SyntaxError::InvalidBangMarkup) => "a `<!` that starts nothing",
        // The end of input inside markup, or with elements open.
        Xml::Syntax(_) | Xml::IllFormed(IllFormedError::MissingEndTag(_)) => return DefinitionError::Ended { root },
        Xml::IllFormed(IllFormedError::MismatchedEndTag { .. } | IllFormedError::UnmatchedEndTag(_)) => {
            "an end tag that does not match its start tag"
        }
        Xml::Encoding(_) => "neither UTF-8 nor UTF-16",
        _ => "not XML",
    };
    DefinitionError::Malformed { root, at: 0, fault }
}
