//! The values of the type system.

/// A value with its type. What the specification encodes in several ways has one form here.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)] // each is a primitive type of section 1.6
pub enum Value {
    #[default]
    Null,
    Boolean(bool),
    Ubyte(u8),
    Ushort(u16),
    Uint(u32),
    Ulong(u64),
    Byte(i8),
    Short(i16),
    Int(i32),
    Long(i64),
    Float(f32),
    Double(f64),
    /// `decimal32`, `decimal64` or `decimal128` by its 4, 8 or 16 bytes; nobody here computes with them.
    Decimal(Vec<u8>),
    Char(char),
    /// Milliseconds since 1970.
    Timestamp(i64),
    Uuid([u8; 16]),
    Binary(Vec<u8>),
    String(String),
    Symbol(String),
    List(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Array(Vec<Value>),
    /// A descriptor and what it describes.
    Described(Box<Value>, Box<Value>),
}

impl Value {
    /// A symbol.
    pub fn symbol(text: &str) -> Value {
        Value::Symbol(text.to_string())
    }

    /// A string.
    pub fn string(text: impl Into<String>) -> Value {
        Value::String(text.into())
    }

    /// A composite of the specification: a list under its numeric descriptor.
    pub fn composite(descriptor: u64, fields: Vec<Value>) -> Value {
        Value::Described(Box::new(Value::Ulong(descriptor)), Box::new(Value::List(fields)))
    }

    /// The text of a string or symbol.
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::String(text) | Value::Symbol(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a map under a key, be it a string or a symbol.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let Value::Map(pairs) = self else { return None };
        pairs.iter().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }

    /// The symbols of an array, or the one symbol that may stand for an array of one.
    pub fn symbols(&self) -> Vec<String> {
        match self {
            Value::Symbol(text) => vec![text.clone()],
            Value::Array(items) => items.iter().filter_map(|item| item.text().map(str::to_string)).collect(),
            _ => Vec::new(),
        }
    }
}
