//! The `$filter` language of OData, as far as these APIs take it, read strictly: what Microsoft answers with 400 is an error here.

mod reader;

use crate::time::Time;
use reader::Reader;

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
        Reader::new(text, properties, type_name)?.whole()
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
