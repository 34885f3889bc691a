//! What an input of this scheme takes (`--scheme`), and how `--validate-arguments` refuses one.

use std::io::{self, Write};

use super::xml;

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
    xml::push_text(&mut doc, message);
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
