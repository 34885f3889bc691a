//! A value of a text, as its [`Index`] found it. Everything here borrows the text; nothing is read twice.

use std::borrow::Cow;

use super::index::{Index, Kind, Node};
use super::{MAX_DEPTH, minify, quote};

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

    /// Reads a text that is one JSON value and white space around it.
    pub fn of<'a>(&'a mut self, text: &'a str) -> Option<Value<'a>> {
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        // A number's end is only seen in what follows it.
        let ended = format!("{text}\n");
        let length = self.read(ended.as_bytes()).ok()?;
        (length == text.len()).then(|| self.top(text))
    }
}

impl<'a> Value<'a> {
    fn node(&self) -> &'a Node {
        &self.nodes[self.at as usize]
    }

    /// Its number among the values of the text; 0 is the text itself.
    pub fn place(&self) -> u32 {
        self.at
    }

    /// Another value of the same text, by its number.
    pub fn at(&self, place: u32) -> Self {
        Self { at: place, ..*self }
    }

    fn part(&self, from: u32, to: u32) -> &'a str {
        &self.text[from as usize..to as usize]
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.node().kind
    }

    /// Its bytes.
    pub fn raw(&self) -> &'a str {
        let node = self.node();
        self.part(node.start, node.end)
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    /// Whether it is no list and no object.
    pub fn is_scalar(&self) -> bool {
        !matches!(self.kind(), Kind::List | Kind::Object)
    }

    /// A string or number as text; other kinds, and a string that has none, are `None`.
    pub fn plain(&self) -> Option<Cow<'a, str>> {
        let raw = self.raw();
        match self.kind() {
            Kind::Plain => Some(Cow::Borrowed(&raw[1..raw.len() - 1])),
            Kind::Escaped => unquote(raw),
            Kind::Number => Some(Cow::Borrowed(raw)),
            Kind::Null | Kind::Bool | Kind::List | Kind::Object => None,
        }
    }

    /// Its members; `None` when it is no object, or one whose names have no text.
    pub fn object(self) -> Option<Object<'a>> {
        (self.kind() == Kind::Object && !self.node().is_odd).then_some(Object(self))
    }

    /// The items of a list; `None` when it is none.
    pub fn list(self) -> Option<Values<'a>> {
        (self.kind() == Kind::List).then(|| self.inner())
    }

    /// What is directly in it.
    fn inner(self) -> Values<'a> {
        Values { next: Value { at: self.at + 1, ..self }, end: self.node().next }
    }

    /// Appends it without null members and without insignificant white space.
    pub fn append_compact(&self, out: &mut String) {
        self.append_at(out, 1);
    }

    fn append_at(&self, out: &mut String, depth: usize) {
        if !self.node().is_loose {
            return out.push_str(self.raw());
        }
        match (self.object(), self.kind()) {
            (Some(object), _) if depth < MAX_DEPTH => {
                out.push('{');
                object.append_members(out, depth);
                out.push('}');
            }
            (_, Kind::List) if depth < MAX_DEPTH => {
                out.push('[');
                for (n, item) in self.inner().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    item.append_at(out, depth + 1);
                }
                out.push(']');
            }
            _ => out.push_str(&minify(self.raw())),
        }
    }

    /// It on one line: where it has no line break its very bytes, otherwise without white space between tokens.
    pub fn one_line(&self) -> Cow<'a, str> {
        let raw = self.raw();
        // White space alone makes it loose, and line breaks are white space.
        if self.node().is_loose { super::one_line(raw) } else { Cow::Borrowed(raw) }
    }
}

/// Values side by side.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    next: Value<'a>,
    end: u32,
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    #[inline]
    fn next(&mut self) -> Option<Value<'a>> {
        if self.next.at >= self.end {
            return None;
        }
        let value = self.next;
        self.next.at = value.node().next;
        Some(value)
    }
}

/// An object.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a>(Value<'a>);

impl<'a> Object<'a> {
    /// It as a value.
    pub fn value(self) -> Value<'a> {
        self.0
    }

    /// Its members in their order. A name may occur twice.
    pub fn members(self) -> impl Iterator<Item = Member<'a>> + Clone {
        self.0.inner().map(Member)
    }

    /// The first member of that name.
    pub fn get(self, name: &str) -> Option<Value<'a>> {
        self.members().find(|member| member.is(name)).map(|member| member.0)
    }

    /// A string or number member as text; other kinds and `null` are `None`.
    pub fn text(self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name)?.plain()
    }

    /// Appends the members that are not null, as the inside of an object `depth` levels down. `out` ends with the brace, or
    /// with a member.
    fn append_members(self, out: &mut String, depth: usize) {
        // Neighbours that are clean are copied together: from a quote to the end of a value.
        let mut run = 0..0;
        let flush = |out: &mut String, run: &std::ops::Range<u32>| {
            if run.start < run.end {
                comma(out);
                out.push_str(self.0.part(run.start, run.end));
            }
        };
        for member in self.members() {
            let node = member.0.node();
            if node.kind == Kind::Null {
                continue;
            }
            // The colon alone lies between a name and its value where nothing else does.
            if !node.name_escaped && !node.is_loose && node.name_end + 2 == node.start {
                let from = node.name - 1;
                if run.start < run.end && run.end + 1 == from {
                    run.end = node.end;
                } else {
                    flush(out, &run);
                    run = from..node.end;
                }
                continue;
            }
            flush(out, &run);
            run = 0..0;
            member.append_name(out);
            member.0.append_at(out, depth + 1);
        }
        flush(out, &run);
    }

    /// Appends the members that are not null to an object that is being written.
    pub fn append_compact_members(self, out: &mut String) {
        self.append_members(out, 0);
    }
}

/// A member of an object.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a>(Value<'a>);

impl<'a> Member<'a> {
    /// Its value.
    pub fn value(&self) -> Value<'a> {
        self.0
    }

    /// Its name.
    pub fn name(&self) -> Cow<'a, str> {
        let node = self.0.node();
        if node.name_escaped {
            // An object whose names have no text gives out no members.
            return unquote(self.0.part(node.name - 1, node.name_end + 1)).unwrap_or_default();
        }
        Cow::Borrowed(self.0.part(node.name, node.name_end))
    }

    /// Bytes of its name, as text.
    pub fn name_length(&self) -> usize {
        let node = self.0.node();
        if node.name_escaped { self.name().len() } else { (node.name_end - node.name) as usize }
    }

    /// Whether it has this name.
    #[inline(always)]
    pub fn is(&self, name: &str) -> bool {
        let node = self.0.node();
        if node.name_escaped {
            return self.name() == name;
        }
        // Most differ in their length, and their bytes need not be looked at.
        (node.name_end - node.name) as usize == name.len()
            && self.0.text.as_bytes()[node.name as usize..node.name_end as usize] == *name.as_bytes()
    }

    /// Starts it inside an object that is being written: the comma where one is due, the name, the colon.
    pub fn append_name(&self, out: &mut String) {
        let node = self.0.node();
        comma(out);
        if node.name_escaped {
            quote(out, &self.name());
        } else {
            out.push_str(self.0.part(node.name - 1, node.name_end + 1));
        }
        out.push(':');
    }
}

/// Appends the comma before a member, where it is not the first.
#[inline]
pub(super) fn comma(out: &mut String) {
    if !out.ends_with('{') {
        out.push(',');
    }
}

/// The text of a JSON string; `None` where an escape names half of a surrogate pair, and for what is no string.
pub fn unquote(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str::<String>(raw).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}
