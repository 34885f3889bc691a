//! What an input of this scheme takes (`--scheme`), and how `--validate-arguments` refuses one.

use std::io::{self, Write};

use super::xml;
use crate::masking;

/// One parameter of the scheme. All are text: what they may hold is checked by external validation, which can say why.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// As in `inputs.conf`.
    pub name: &'static str,
    /// The field's label.
    pub title: &'static str,
    /// The help under the field.
    pub description: &'static str,
    /// Whether an input cannot be created without it. Nothing is required on edit: splunkd keeps what is not sent.
    pub required: bool,
}

/// The scheme: one process per input, events as XML.
#[derive(Clone, Copy, Debug)]
pub struct Scheme<'a> {
    /// The name in *Settings > Data inputs*.
    pub title: &'a str,
    /// One sentence under it.
    pub description: &'a str,
    /// The parameters besides Splunk's own (`name`, `index`, `host`, `interval`, …), in the order of the form.
    pub arguments: &'a [Argument],
}

impl Scheme<'_> {
    /// Writes the `<scheme>` document, elements in the order of Splunk's own libraries.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut doc = Vec::with_capacity(4096);
        doc.extend_from_slice(b"<scheme>\n");
        element(&mut doc, 1, "title", self.title);
        element(&mut doc, 1, "description", self.description);
        element(&mut doc, 1, "use_external_validation", "true");
        element(&mut doc, 1, "use_single_instance", "false");
        element(&mut doc, 1, "streaming_mode", "xml");
        doc.extend_from_slice(b"  <endpoint>\n    <args>\n");
        for argument in self.arguments {
            doc.extend_from_slice(b"      <arg name=\"");
            xml::push_attribute(&mut doc, argument.name);
            doc.extend_from_slice(b"\">\n");
            element(&mut doc, 4, "title", argument.title);
            element(&mut doc, 4, "description", argument.description);
            element(&mut doc, 4, "data_type", "string");
            // Spelled out every time: splunkd takes an argument without required_on_create for a required one.
            element(&mut doc, 4, "required_on_edit", "false");
            element(&mut doc, 4, "required_on_create", if argument.required { "true" } else { "false" });
            doc.extend_from_slice(b"      </arg>\n");
        }
        doc.extend_from_slice(b"    </args>\n  </endpoint>\n</scheme>\n");
        out.write_all(&doc)?;
        out.flush()
    }
}

/// Writes what `--validate-arguments` prints to refuse an input. Splunk Web shows the message beside the form.
///
/// # Errors
/// When `out` cannot be written to.
pub fn refuse(out: &mut impl Write, message: &str) -> io::Result<()> {
    let mut doc = b"<error><message>".to_vec();
    xml::push_text(&mut doc, &masking::without_secrets(message));
    doc.extend_from_slice(b"</message></error>");
    out.write_all(&doc)?;
    out.flush()
}

fn element(doc: &mut Vec<u8>, depth: usize, name: &str, text: &str) {
    doc.resize(doc.len() + depth * 2, b' ');
    for part in ["<", name, ">"] {
        doc.extend_from_slice(part.as_bytes());
    }
    xml::push_text(doc, text);
    for part in ["</", name, ">\n"] {
        doc.extend_from_slice(part.as_bytes());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use quick_xml::Reader;
    use quick_xml::events::Event;

    use super::super::fixtures;
    use super::*;

    const SCHEME: Scheme<'_> = Scheme {
        title: "A & B",
        description: "<ü>",
        arguments: &[
            Argument { name: "feed", title: "Feed", description: "What to collect", required: true },
            Argument { name: "start", title: "Start", description: "How far back", required: false },
        ],
    };

    fn written() -> String {
        let mut out = Vec::new();
        SCHEME.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Every `parent/child` pair, and every `parent: child before child`, of a document.
    fn structure(document: &str) -> (BTreeSet<String>, BTreeSet<String>) {
        let mut reader = Reader::from_reader(document.as_bytes());
        reader.config_mut().expand_empty_elements = true;
        let (mut pairs, mut orders) = (BTreeSet::new(), BTreeSet::new());
        let mut open: Vec<(String, Vec<String>)> = vec![(String::new(), Vec::new())];
        let mut buffer = Vec::new();
        loop {
            match reader.read_event_into(&mut buffer).unwrap() {
                Event::Start(tag) => {
                    let name = tag.name().as_ref().to_owned();
                    let (parent, before) = open.last_mut().unwrap();
                    pairs.insert(format!("{parent}/{name}"));
                    orders.extend(
                        before.iter().filter(|other| **other != name).map(|other| format!("{parent}: {other} before {name}")),
                    );
                    before.push(name.clone());
                    open.push((name, Vec::new()));
                }
                Event::End(_) => _ = open.pop(),
                Event::Eof => return (pairs, orders),
                _ => {}
            }
            buffer.clear();
        }
    }

    #[test]
    fn elements_stand_where_splunks_own_library_puts_them() {
        let Some(bytes) = fixtures::modinput("splunk-sdk-python/scheme_without_defaults_and_argument_title.xml") else { return };
        let (pairs, orders) = structure(std::str::from_utf8(&bytes).unwrap());
        let (ours, our_orders) = structure(&written());
        assert!(ours.is_subset(&pairs), "{:?}", ours.difference(&pairs));
        assert_eq!(pairs.difference(&ours).collect::<Vec<_>>(), ["arg/validation"], "left to external validation");
        assert!(our_orders.is_subset(&orders), "{:?}", our_orders.difference(&orders));
    }

    #[test]
    fn every_argument_says_whether_it_is_required() {
        assert_eq!(
            written(),
            "<scheme>\n  <title>A &amp; B</title>\n  <description>&lt;ü&gt;</description>\n  \
             <use_external_validation>true</use_external_validation>\n  <use_single_instance>false</use_single_instance>\n  \
             <streaming_mode>xml</streaming_mode>\n  <endpoint>\n    <args>\n      <arg name=\"feed\">\n        \
             <title>Feed</title>\n        <description>What to collect</description>\n        <data_type>string</data_type>\n        \
             <required_on_edit>false</required_on_edit>\n        <required_on_create>true</required_on_create>\n      </arg>\n      \
             <arg name=\"start\">\n        <title>Start</title>\n        <description>How far back</description>\n        \
             <data_type>string</data_type>\n        <required_on_edit>false</required_on_edit>\n        \
             <required_on_create>false</required_on_create>\n      </arg>\n    </args>\n  </endpoint>\n</scheme>\n"
        );
    }

    #[test]
    fn a_refusal_is_the_one_of_splunks_own_library() {
        let Some(bytes) = fixtures::modinput("splunk-sdk-python/validation_error.xml") else { return };
        let mut out = Vec::new();
        refuse(&mut out, "Big fat validation error!").unwrap();
        assert_eq!(out, bytes);
        out.clear();
        refuse(&mut out, "a < b & \u{1}").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "<error><message>a &lt; b &amp; \u{FFFD}</message></error>");
    }
}
