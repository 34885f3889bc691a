//! The `$filter` language of OData, as far as these APIs take it, read strictly: what Microsoft answers with 400 is an error here.

use crate::time::Time;

/// What a property is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A date-time literal without quotes.
    Time,
    /// A quoted string.
    Text,
    /// A quoted member of an enum; case does not matter.
    Enum(&'static [&'static str]),
    /// An integer.
    Number,
}

/// A property that may stand in a filter.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// Its name; case matters.
    pub name: &'static str,
    /// What it is compared with.
    pub kind: Kind,
}

/// Short form for the tables of properties.
pub const fn property(name: &'static str, kind: Kind) -> Property {
    Property { name, kind }
}

/// The value of a property, or of a literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// A string or member of an enum.
    Text(String),
    /// A point in time.
    Time(Time),
    /// An integer.
    Number(i64),
}

/// `eq`, `ne`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// equal
    Eq,
    /// not equal
    Ne,
    /// greater than
    Gt,
    /// greater or equal
    Ge,
    /// less than
    Lt,
    /// less or equal
    Le,
}

/// A filter that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Both.
    And(Box<Filter>, Box<Filter>),
    /// Either.
    Or(Box<Filter>, Box<Filter>),
    /// The opposite.
    Not(Box<Filter>),
    /// A property, an operator, a literal.
    Compare(&'static str, Operator, Value),
    /// A property begins with, ends with or holds a text.
    Search(Search, &'static str, String),
}

/// The functions over text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// `startswith`
    Start,
    /// `endswith`
    End,
    /// `contains`
    Inside,
}

/// Why a filter was refused, in the words of Microsoft's OData library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub String);

impl Filter {
    /// Reads a filter over the given properties of a type (whose name stands in the message).
    pub fn parse(text: &str, properties: &'static [Property], type_name: &str) -> Result<Filter, Refusal> {
        let mut reader = Reader { text, tokens: tokens(text)?, at: 0, properties, type_name };
        let filter = reader.either()?;
        match reader.tokens.get(reader.at) {
            None => Ok(filter),
            Some(_) => Err(reader.syntax()),
        }
    }

    /// Whether a row passes; `value` gives its properties.
    pub fn passes(&self, value: &dyn Fn(&str) -> Value) -> bool {
        match self {
            Filter::And(left, right) => left.passes(value) && right.passes(value),
            Filter::Or(left, right) => left.passes(value) || right.passes(value),
            Filter::Not(inner) => !inner.passes(value),
            Filter::Compare(name, operator, literal) => compare(&value(name), *operator, literal),
            Filter::Search(search, name, wanted) => match value(name) {
                Value::Text(held) => {
                    let (held, wanted) = (held.to_lowercase(), wanted.to_lowercase());
                    match search {
                        Search::Start => held.starts_with(&wanted),
                        Search::End => held.ends_with(&wanted),
                        Search::Inside => held.contains(&wanted),
                    }
                }
                _ => false,
            },
        }
    }
}

/// OData compares null with nothing but for equality.
fn compare(held: &Value, operator: Operator, literal: &Value) -> bool {
    use std::cmp::Ordering;
    let ordering = match (held, literal) {
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        (Value::Time(held), Value::Time(literal)) => Some(held.cmp(literal)),
        (Value::Number(held), Value::Number(literal)) => Some(held.cmp(literal)),
        (Value::Text(held), Value::Text(literal)) => Some(held.to_lowercase().cmp(&literal.to_lowercase())),
        _ => None,
    };
    match (operator, ordering) {
        (Operator::Ne, None) => true,
        (_, None) => false,
        (Operator::Eq, Some(ordering)) => ordering.is_eq(),
        (Operator::Ne, Some(ordering)) => ordering.is_ne(),
        (_, Some(_)) if *literal == Value::Null => false,
        (Operator::Gt, Some(ordering)) => ordering.is_gt(),
        (Operator::Ge, Some(ordering)) => ordering.is_ge(),
        (Operator::Lt, Some(ordering)) => ordering.is_lt(),
        (Operator::Le, Some(ordering)) => ordering.is_le(),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token<'a> {
    Open,
    Close,
    Comma,
    Word(&'a str),
    Quoted(String),
}

/// Cuts a filter into words; each comes with its place for the message.
fn tokens(text: &str) -> Result<Vec<(usize, Token<'_>)>, Refusal> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        match bytes[at] {
            b' ' | b'\t' => at += 1,
            b'(' | b')' | b',' => {
                out.push((
                    at,
                    match bytes[at] {
                        b'(' => Token::Open,
                        b')' => Token::Close,
                        _ => Token::Comma,
                    },
                ));
                at += 1;
            }
            b'\'' => {
                let mut held = String::new();
                at += 1;
                loop {
                    let end = text[at..].find('\'').map(|length| at + length);
                    let Some(end) = end else {
                        return Err(Refusal(format!("There is an unterminated string literal at position {start} in '{text}'.")));
                    };
                    held.push_str(&text[at..end]);
                    at = end + 1;
                    if bytes.get(at) != Some(&b'\'') {
                        break;
                    }
                    held.push('\'');
                    at += 1;
                }
                out.push((start, Token::Quoted(held)));
            }
            _ => {
                while at < bytes.len() && !b" \t(),'".contains(&bytes[at]) {
                    at += 1;
                }
                out.push((start, Token::Word(&text[start..at])));
            }
        }
    }
    Ok(out)
}

struct Reader<'a> {
    text: &'a str,
    tokens: Vec<(usize, Token<'a>)>,
    at: usize,
    properties: &'static [Property],
    type_name: &'a str,
}

impl<'a> Reader<'a> {
    fn syntax(&self) -> Refusal {
        let position = self.tokens.get(self.at).map_or(self.text.len(), |(position, _)| *position);
        Refusal(format!("Syntax error at position {position} in '{}'.", self.text))
    }

    fn word(&mut self, wanted: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some((_, Token::Word(word))) if *word == wanted);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, wanted: &Token<'_>) -> Result<(), Refusal> {
        match self.tokens.get(self.at) {
            Some((_, token)) if token == wanted => {
                self.at += 1;
                Ok(())
            }
            _ => Err(self.syntax()),
        }
    }

    fn either(&mut self) -> Result<Filter, Refusal> {
        let mut left = self.both()?;
        while self.word("or") {
            left = Filter::Or(Box::new(left), Box::new(self.both()?));
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<Filter, Refusal> {
        let mut left = self.single()?;
        while self.word("and") {
            left = Filter::And(Box::new(left), Box::new(self.single()?));
        }
        Ok(left)
    }

    fn single(&mut self) -> Result<Filter, Refusal> {
        if self.word("not") {
            return Ok(Filter::Not(Box::new(self.single()?)));
        }
        if matches!(self.tokens.get(self.at), Some((_, Token::Open))) {
            self.at += 1;
            let inner = self.either()?;
            self.expect(&Token::Close)?;
            return Ok(inner);
        }
        if matches!(self.tokens.get(self.at + 1), Some((_, Token::Open))) {
            return self.function();
        }
        let property = self.property()?;
        if self.word("in") {
            return self.members(property);
        }
        let operator = match self.tokens.get(self.at) {
            Some((_, Token::Word("eq"))) => Operator::Eq,
            Some((_, Token::Word("ne"))) => Operator::Ne,
            Some((_, Token::Word("gt"))) => Operator::Gt,
            Some((_, Token::Word("ge"))) => Operator::Ge,
            Some((_, Token::Word("lt"))) => Operator::Lt,
            Some((_, Token::Word("le"))) => Operator::Le,
            _ => return Err(self.syntax()),
        };
        self.at += 1;
        let literal = self.literal(property)?;
        Ok(Filter::Compare(property.name, operator, literal))
    }

    /// `status in ('new','inProgress')` is a row of alternatives.
    fn members(&mut self, property: &'static Property) -> Result<Filter, Refusal> {
        self.expect(&Token::Open)?;
        let mut all = Filter::Compare(property.name, Operator::Eq, self.literal(property)?);
        while matches!(self.tokens.get(self.at), Some((_, Token::Comma))) {
            self.at += 1;
            let next = Filter::Compare(property.name, Operator::Eq, self.literal(property)?);
            all = Filter::Or(Box::new(all), Box::new(next));
        }
        self.expect(&Token::Close)?;
        Ok(all)
    }

    fn function(&mut self) -> Result<Filter, Refusal> {
        let search = match self.tokens.get(self.at) {
            Some((_, Token::Word("startswith"))) => Search::Start,
            Some((_, Token::Word("endswith"))) => Search::End,
            Some((_, Token::Word("contains"))) => Search::Inside,
            Some((_, Token::Word(other))) => {
                return Err(Refusal(format!(
                    "An unknown function with name '{other}' was found. This may also be a function import or a key lookup on a navigation property, which is not allowed."
                )));
            }
            _ => return Err(self.syntax()),
        };
        self.at += 1;
        self.expect(&Token::Open)?;
        let property = self.property()?;
        self.expect(&Token::Comma)?;
        let Some((_, Token::Quoted(wanted))) = self.tokens.get(self.at).cloned() else {
            return Err(self.syntax());
        };
        self.at += 1;
        self.expect(&Token::Close)?;
        Ok(Filter::Search(search, property.name, wanted))
    }

    fn property(&mut self) -> Result<&'static Property, Refusal> {
        let Some((_, Token::Word(name))) = self.tokens.get(self.at) else {
            return Err(self.syntax());
        };
        let found = self.properties.iter().find(|property| property.name == *name);
        let property =
            found.ok_or_else(|| Refusal(format!("Could not find a property named '{name}' on type '{}'.", self.type_name)))?;
        self.at += 1;
        Ok(property)
    }

    fn literal(&mut self, property: &'static Property) -> Result<Value, Refusal> {
        let Some((_, token)) = self.tokens.get(self.at).cloned() else {
            return Err(self.syntax());
        };
        let mismatch = |found: &str, wanted: &str| {
            Refusal(format!(
                "A binary operator with incompatible types was detected. Found operand types '{wanted}' and '{found}' for property '{}'.",
                property.name
            ))
        };
        let value = match (property.kind, &token) {
            (_, Token::Word("null")) => Value::Null,
            (Kind::Time, Token::Word(word)) => Time::parse(word).map(Value::Time).ok_or_else(|| self.syntax())?,
            (Kind::Time, Token::Quoted(_)) => {
                return Err(mismatch("Edm.String", "Edm.DateTimeOffset"));
            }
            (Kind::Number, Token::Word(word)) => word.parse().map(Value::Number).map_err(|_| self.syntax())?,
            (Kind::Number, Token::Quoted(_)) => return Err(mismatch("Edm.String", "Edm.Int64")),
            (Kind::Text, Token::Quoted(text)) => Value::Text(text.clone()),
            (Kind::Enum(members), Token::Quoted(text)) => {
                if !members.iter().any(|member| member.eq_ignore_ascii_case(text)) {
                    return Err(Refusal(format!("The string '{text}' is not a valid enumeration type constant.")));
                }
                Value::Text(text.clone())
            }
            _ => return Err(self.syntax()),
        };
        self.at += 1;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    static PROPERTIES: &[Property] = &[
        property("lastUpdateDateTime", Kind::Time),
        property("status", Kind::Enum(&["new", "inProgress", "resolved"])),
        property("assignedTo", Kind::Text),
        property("incidentId", Kind::Number),
    ];

    fn row(name: &str) -> Value {
        match name {
            "lastUpdateDateTime" => Value::Time(Time::parse("2026-07-01T00:00:00.5Z").unwrap()),
            "status" => Value::Text("inProgress".into()),
            "incidentId" => Value::Number(7),
            _ => Value::Null,
        }
    }

    fn passes(text: &str) -> bool {
        Filter::parse(text, PROPERTIES, "t").unwrap().passes(&row)
    }

    #[test]
    fn compares_as_odata_does() {
        for (text, wanted) in [
            ("lastUpdateDateTime ge 2026-07-01T00:00:00.5Z", true),
            ("lastUpdateDateTime gt 2026-07-01T00:00:00.5Z", false),
            ("lastUpdateDateTime ge 2026-07-01T00:00:00Z and lastUpdateDateTime lt 2026-07-01T00:00:00.5Z", false),
            ("lastUpdateDateTime le 2026-07-01T02:00:00.5000000+02:00", true),
            ("status eq 'InProgress'", true),
            ("status ne 'new' and incidentId eq 7", true),
            ("status eq 'new' or (status eq 'resolved' or incidentId gt 6)", true),
            ("not (status eq 'new')", true),
            ("status in ('new','inProgress')", true),
            ("assignedTo eq null", true),
            ("assignedTo ne 'a'", true),
            ("assignedTo eq 'a'", false),
            ("startswith(assignedTo,'a')", false),
            ("startswith(status,'in')", true),
        ] {
            assert_eq!(passes(text), wanted, "{text}");
        }
    }

    #[test]
    fn and_binds_tighter_than_or() {
        assert!(passes("status eq 'inProgress' or status eq 'new' and incidentId eq 1"));
    }

    #[test]
    fn refuses_what_microsoft_refuses() {
        for (text, part) in [
            ("lastUpdateDateTime ge", "Syntax error at position 21"),
            ("lastUpdateDateTime ge '2026-07-01T00:00:00Z'", "incompatible types"),
            ("lastUpdateDateTime ge 2026-07-01", "Syntax error"),
            ("lastUpdateDateTime ge 2026-07-01T00:00:00 00:00", "Syntax error"),
            ("lastupdatedatetime ge 2026-07-01T00:00:00Z", "Could not find a property named 'lastupdatedatetime'"),
            ("status eq new", "Syntax error"),
            ("status eq 'open'", "not a valid enumeration"),
            ("status EQ 'new'", "Syntax error"),
            ("status eq 'new", "unterminated"),
            ("status eq 'new' AND incidentId eq 7", "Syntax error"),
            ("(status eq 'new'", "Syntax error"),
            ("", "Syntax error at position 0"),
            ("lower(status) eq 'new'", "unknown function"),
            ("incidentId eq '7'", "incompatible types"),
        ] {
            let refusal = Filter::parse(text, PROPERTIES, "t").unwrap_err();
            assert!(refusal.0.contains(part), "{text}: {}", refusal.0);
        }
    }

    #[test]
    fn a_doubled_quote_is_one() {
        let filter = Filter::parse("assignedTo eq 'O''Neil'", PROPERTIES, "t").unwrap();
        assert_eq!(filter, Filter::Compare("assignedTo", Operator::Eq, Value::Text("O'Neil".into())));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
            let _ = Filter::parse(&text, PROPERTIES, "t");
        }

        #[test]
        fn a_window_holds_what_lies_in_it(low in 0_i64..1000, high in 0_i64..1000, at in 0_i64..1000) {
            let time = |second| Time::from_unix(second);
            let text = format!("lastUpdateDateTime ge {} and lastUpdateDateTime lt {}", time(low), time(high));
            let filter = Filter::parse(&text, PROPERTIES, "t").unwrap();
            prop_assert_eq!(filter.passes(&|_| Value::Time(time(at))), low <= at && at < high);
        }
    }
}
