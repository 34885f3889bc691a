//! A value of a text, as its [`Index`] found it.

use std::borrow::Cow;

use super::index::{Index, Kind, Node};

/// One value: its text, and the places of all that is in it.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    text: &'a str,
    nodes: &'a [Node],
    at: u32,
}

impl Index {
    /// The value that was read last, of the text it was read from.
    pub fn top<'a>(&'a self, text: &'a str) -> Value<'a> {
        Value { text, nodes: &self.nodes, at: 0 }
    }
}

impl<'a> Value<'a> {
    fn node(&self) -> &'a Node {
        &self.nodes[self.at as usize]
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.node().kind
    }

    /// Its bytes.
    pub fn raw(&self) -> &'a str {
        let node = self.node();
        &self.text[node.start as usize..node.end as usize]
    }
}

/// The text of a JSON string; `None` where an escape names half of a surrogate pair, and for what is no string.
pub fn unquote(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str::<String>(raw).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}
