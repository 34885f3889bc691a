//! The expressions of EVAL: fields, texts, `.` between texts, comparison with `=` and `!=`, and the functions the app uses.

use std::collections::BTreeSet;

use super::Fields;

#[derive(Clone, Debug)]
enum Expression {
    Text(String),
    Number(i64),
    Field(String),
    Call(String, Vec<Expression>),
    /// Whether both are equal, or (`true`) not.
    Compare(Box<Expression>, Box<Expression>, bool),
    /// Both texts, one behind the other.
    Join(Box<Expression>, Box<Expression>),
}

/// Nothing, truth, or one or more texts.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Null,
    Bool(bool),
    Texts(Vec<String>),
}

/// The value of an expression; `None` is null.
pub(super) fn evaluate(text: &str, fields: &Fields) -> Option<Vec<String>> {
    match value(&parse(text), fields) {
        Value::Texts(texts) => Some(texts),
        Value::Null => None,
        Value::Bool(_) => panic!("a truth is no value of a field: {text}"),
    }
}

/// The fields an expression reads.
pub(super) fn fields(text: &str) -> BTreeSet<String> {
    fn walk(expression: &Expression, out: &mut BTreeSet<String>) {
        match expression {
            Expression::Field(name) => drop(out.insert(name.clone())),
            Expression::Call(_, arguments) => arguments.iter().for_each(|argument| walk(argument, out)),
            Expression::Compare(left, right, _) | Expression::Join(left, right) => {
                walk(left, out);
                walk(right, out);
            }
            Expression::Text(_) | Expression::Number(_) => {}
        }
    }
    let mut out = BTreeSet::new();
    walk(&parse(text), &mut out);
    out
}

fn parse(text: &str) -> Expression {
    let mut parser = Parser { text, at: 0 };
    let expression = parser.expression();
    assert_eq!(parser.rest(), "", "in {text}");
    expression
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn expression(&mut self) -> Expression {
        let left = self.joined();
        let negated = self.take("!=");
        if negated || self.take("=") {
            return Expression::Compare(Box::new(left), Box::new(self.joined()), negated);
        }
        left
    }

    fn joined(&mut self) -> Expression {
        let mut left = self.operand();
        while self.take(".") {
            left = Expression::Join(Box::new(left), Box::new(self.operand()));
        }
        left
    }

    fn operand(&mut self) -> Expression {
        let rest = self.rest();
        for (quote, make) in [('"', Expression::Text as fn(String) -> Expression), ('\'', Expression::Field)] {
            if let Some(inner) = rest.strip_prefix(quote) {
                let closes = |at: &usize| inner[*at..].starts_with(quote) && !inner[..*at].ends_with('\\');
                let end = (0..inner.len()).filter(|at| inner.is_char_boundary(*at)).find(closes);
                let end = end.unwrap_or_else(|| panic!("not closed: {rest}"));
                self.at += end + 2;
                let text = inner[..end].replace("\\\"", "\"");
                assert!(!text.contains('\\'), "no other escape is known here");
                return make(text);
            }
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let word = &rest[..end];
        assert!(!word.is_empty(), "not known here: {rest}");
        self.at += end;
        if let Ok(number) = word.parse() {
            return Expression::Number(number);
        }
        if !self.take("(") {
            return Expression::Field(word.to_owned());
        }
        let mut arguments = Vec::new();
        while !self.take(")") {
            arguments.push(self.expression());
            assert!(self.take(",") || self.rest().starts_with(')'), "not known here: {}", self.rest());
        }
        Expression::Call(word.to_owned(), arguments)
    }
}

fn value(expression: &Expression, fields: &Fields) -> Value {
    match expression {
        Expression::Text(text) => Value::Texts(vec![text.clone()]),
        Expression::Number(number) => Value::Texts(vec![number.to_string()]),
        Expression::Field(name) => {
            fields.get(name).filter(|values| !values.is_empty()).map_or(Value::Null, |values| Value::Texts(values.clone()))
        }
        Expression::Compare(left, right, negated) => match (value(left, fields), value(right, fields)) {
            (Value::Texts(left), Value::Texts(right)) => Value::Bool((left == right) != *negated),
            _ => Value::Null,
        },
        Expression::Join(left, right) => match (value(left, fields), value(right, fields)) {
            (Value::Texts(left), Value::Texts(right)) => Value::Texts(vec![left.join("\n") + &right.join("\n")]),
            _ => Value::Null,
        },
        Expression::Call(name, arguments) => call(name, arguments, fields),
    }
}

fn call(name: &str, arguments: &[Expression], fields: &Fields) -> Value {
    let of = |n: usize| value(&arguments[n], fields);
    let truth = |value: Value| value == Value::Bool(true);
    let one = |value: Value| match value {
        Value::Texts(texts) => Some(texts.join("\n")),
        _ => None,
    };
    match (name, arguments.len()) {
        ("true", 0) => Value::Bool(true),
        ("coalesce", 1..) => (0..arguments.len()).map(of).find(|value| *value != Value::Null).unwrap_or(Value::Null),
        ("lower", 1) => one(of(0)).map_or(Value::Null, |text| Value::Texts(vec![text.to_lowercase()])),
        ("isnotnull", 1) => Value::Bool(of(0) != Value::Null),
        ("nullif", 2) => {
            if of(0) == of(1) {
                Value::Null
            } else {
                of(0)
            }
        }
        ("case", 2..) => {
            arguments.chunks(2).find(|pair| truth(value(&pair[0], fields))).map_or(Value::Null, |pair| value(&pair[1], fields))
        }
        ("in", 2..) => Value::Bool(of(0) != Value::Null && (1..arguments.len()).any(|n| of(n) == of(0))),
        ("if", 3) => of(if truth(of(0)) { 1 } else { 2 }),
        // From 1; beyond its end a text has nothing.
        ("substr", 3) => match (one(of(0)), &arguments[1], &arguments[2]) {
            (Some(text), Expression::Number(from), Expression::Number(length)) => {
                let (from, length) = (usize::try_from(*from - 1).unwrap(), usize::try_from(*length).unwrap());
                let found: String = text.chars().skip(from).take(length).collect();
                if found.is_empty() { Value::Null } else { Value::Texts(vec![found]) }
            }
            _ => Value::Null,
        },
        ("rtrim", 2) => match (one(of(0)), one(of(1))) {
            (Some(text), Some(set)) => Value::Texts(vec![text.trim_end_matches(|c| set.contains(c)).to_owned()]),
            _ => Value::Null,
        },
        ("mvappend", 1..) => {
            let all = (0..arguments.len()).map(of).filter_map(|value| match value {
                Value::Texts(texts) => Some(texts),
                _ => None,
            });
            Value::Texts(all.flatten().collect())
        }
        ("split", 2) => match (one(of(0)), one(of(1))) {
            (Some(text), Some(by)) => Value::Texts(text.split(&by).map(str::to_owned).collect()),
            _ => Value::Null,
        },
        ("mvindex", 2) => match (of(0), &arguments[1]) {
            (Value::Texts(texts), Expression::Number(n)) => {
                texts.get(usize::try_from(*n).unwrap()).map_or(Value::Null, |text| Value::Texts(vec![text.clone()]))
            }
            _ => Value::Null,
        },
        ("mvfilter", 1) => {
            let names = self::fields_of(&arguments[0]);
            let [name] = names.as_slice() else { panic!("mvfilter knows one field") };
            let keep = |text: &&String| {
                let one = Fields::from([(name.clone(), vec![(*text).clone()])]);
                truth(value(&arguments[0], &one))
            };
            let kept: Vec<String> = fields.get(name).into_iter().flatten().filter(keep).cloned().collect();
            if kept.is_empty() { Value::Null } else { Value::Texts(kept) }
        }
        // The patterns in use are `^(a|b)$`: one of several whole words.
        ("mvfind", 2) => match (of(0), one(of(1))) {
            (Value::Texts(texts), Some(pattern)) => {
                let words = pattern.strip_prefix("^(").and_then(|rest| rest.strip_suffix(")$")).unwrap();
                assert!(words.bytes().all(|b| b.is_ascii_lowercase() || b == b'|'), "{pattern} is not known here");
                let at = texts.iter().position(|text| words.split('|').any(|word| word == text));
                at.map_or(Value::Null, |at| Value::Texts(vec![at.to_string()]))
            }
            _ => Value::Null,
        },
        _ => panic!("{name} with {} arguments is not known here", arguments.len()),
    }
}

fn fields_of(expression: &Expression) -> Vec<String> {
    match expression {
        Expression::Field(name) => vec![name.clone()],
        Expression::Compare(left, right, _) | Expression::Join(left, right) => [fields_of(left), fields_of(right)].concat(),
        Expression::Call(_, arguments) => arguments.iter().flat_map(fields_of).collect(),
        Expression::Text(_) | Expression::Number(_) => Vec::new(),
    }
}
