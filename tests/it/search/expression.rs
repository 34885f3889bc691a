//! The expressions of EVAL, `eval` and `where`: fields, texts, numbers, operators, and the functions the app uses.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use regex::Regex;

use super::Fields;

#[derive(Clone, Debug)]
enum Expression {
    Text(String),
    Number(f64),
    Field(String),
    Call(String, Vec<Expression>),
    Not(Box<Expression>),
    Two(&'static str, Box<Expression>, Box<Expression>),
}

/// Nothing, truth, or one or more texts; a number is its text.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Null,
    Bool(bool),
    Texts(Vec<String>),
}

impl Value {
    fn text(text: impl Into<String>) -> Self {
        Self::Texts(vec![text.into()])
    }

    /// Several values, where there are any.
    fn texts(texts: Vec<String>) -> Self {
        if texts.is_empty() { Self::Null } else { Self::Texts(texts) }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Texts(texts) if texts.len() == 1 => texts[0].parse().ok(),
            _ => None,
        }
    }

    fn one(&self) -> Option<String> {
        match self {
            Self::Texts(texts) => Some(texts.join("\n")),
            _ => None,
        }
    }
}

/// The value of an expression; `None` is null.
pub(super) fn evaluate(text: &str, fields: &Fields) -> Option<Vec<String>> {
    match value(&parse(text), fields) {
        Value::Texts(texts) => Some(texts),
        Value::Null => None,
        Value::Bool(_) => panic!("a truth is no value of a field: {text}"),
    }
}

/// Whether a condition is true; one that is null is not.
pub(super) fn holds(text: &str, fields: &Fields) -> bool {
    value(&parse(text), fields) == Value::Bool(true)
}

/// The fields an expression reads.
pub(super) fn fields(text: &str) -> BTreeSet<String> {
    fields_of(&parse(text)).into_iter().collect()
}

/// The members of the raw event that an expression reads by their path.
pub(super) fn members(text: &str) -> BTreeSet<String> {
    fn collect(expression: &Expression, out: &mut BTreeSet<String>) {
        match expression {
            Expression::Call(name, arguments) => {
                if let ("json_extract", [Expression::Field(from), Expression::Text(path)]) = (name.as_str(), arguments.as_slice())
                    && from == "_raw"
                {
                    out.insert(path.clone());
                }
                arguments.iter().for_each(|argument| collect(argument, out));
            }
            Expression::Not(inner) => collect(inner, out),
            Expression::Two(_, left, right) => [left, right].into_iter().for_each(|side| collect(side, out)),
            Expression::Text(_) | Expression::Number(_) | Expression::Field(_) => {}
        }
    }
    let mut out = BTreeSet::new();
    collect(&parse(text), &mut out);
    out
}

/// A number as Splunk writes it.
pub(super) fn written(number: f64) -> String {
    format!("{number}")
}

thread_local! {
    /// What was parsed and compiled before: the same few expressions meet thousands of events.
    static PARSED: RefCell<HashMap<String, Rc<Expression>>> = RefCell::default();
    static COMPILED: RefCell<HashMap<String, Rc<Regex>>> = RefCell::default();
}

fn parse(text: &str) -> Rc<Expression> {
    if let Some(known) = PARSED.with_borrow(|all| all.get(text).cloned()) {
        return known;
    }
    let mut parser = Parser { text, at: 0 };
    let expression = Rc::new(parser.operators(0));
    assert_eq!(parser.rest(), "", "in {text}");
    PARSED.with_borrow_mut(|all| all.insert(text.to_owned(), Rc::clone(&expression)));
    expression
}

/// The operators, loosest first; those of a line bind alike, from left to right.
const OPERATORS: [&[&str]; 5] = [&["OR"], &["AND"], &["==", "!=", "<=", ">=", "=", "<", ">"], &["+", "-", "."], &["*", "/"]];

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

    /// Takes this if it is next; of a word, all of it.
    fn take(&mut self, token: &str) -> bool {
        let is_word = token.ends_with(|c: char| c.is_ascii_alphabetic());
        let goes_on = |c: char| is_word && (c.is_ascii_alphanumeric() || c == '_');
        let found = self.rest().strip_prefix(token).is_some_and(|rest| !rest.starts_with(goes_on));
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn operators(&mut self, level: usize) -> Expression {
        let Some(known) = OPERATORS.get(level) else { return self.operand() };
        // NOT stands between AND and the comparisons.
        if level == 2 && self.take("NOT") {
            return Expression::Not(Box::new(self.operators(level)));
        }
        let mut left = self.operators(level + 1);
        while let Some(operator) = known.iter().find(|operator| self.take(operator)) {
            left = Expression::Two(operator, Box::new(left), Box::new(self.operators(level + 1)));
        }
        left
    }

    fn operand(&mut self) -> Expression {
        let rest = self.rest();
        if self.take("(") {
            let inner = self.operators(0);
            assert!(self.take(")"), "not closed: {rest}");
            return inner;
        }
        for (quote, make) in [('"', Expression::Text as fn(String) -> Expression), ('\'', Expression::Field)] {
            if rest.starts_with(quote) {
                let (text, length) = quoted(rest);
                self.at += length;
                return make(text);
            }
        }
        if self.take("-") {
            return Expression::Two("-", Box::new(Expression::Number(0.0)), Box::new(self.operand()));
        }
        let is_number = rest.starts_with(|c: char| c.is_ascii_digit());
        let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || (is_number && c == '.'));
        let word = &rest[..rest.find(ends).unwrap_or(rest.len())];
        assert!(!word.is_empty(), "not known here: {rest}");
        self.at += word.len();
        if is_number {
            return Expression::Number(word.parse().unwrap());
        }
        if !self.take("(") {
            return Expression::Field(word.to_owned());
        }
        let mut arguments = Vec::new();
        while !self.take(")") {
            arguments.push(self.operators(0));
            assert!(self.take(",") || self.rest().starts_with(')'), "not known here: {}", self.rest());
        }
        Expression::Call(word.to_owned(), arguments)
    }
}

/// A text in quotes at the start of another, and how long it is with them. A backslash stands for itself unless a quote or
/// another backslash follows, so that regular expressions need no doubling.
pub(super) fn quoted(text: &str) -> (String, usize) {
    let quote = text.chars().next().unwrap();
    let (mut out, mut letters) = (String::new(), text.char_indices().skip(1).peekable());
    while let Some((at, c)) = letters.next() {
        match c {
            _ if c == quote => return (out, at + 1),
            '\\' if letters.peek().is_some_and(|(_, next)| *next == quote || *next == '\\') => {
                out.push(letters.next().unwrap().1);
            }
            _ => out.push(c),
        }
    }
    panic!("not closed: {text}")
}

fn value(expression: &Expression, fields: &Fields) -> Value {
    match expression {
        Expression::Text(text) => Value::text(text),
        Expression::Number(number) => Value::text(written(*number)),
        Expression::Field(name) => Value::texts(fields.get(name).cloned().unwrap_or_default()),
        Expression::Not(inner) => match value(inner, fields) {
            Value::Bool(truth) => Value::Bool(!truth),
            Value::Null => Value::Null,
            Value::Texts(_) => panic!("a text is no truth: {inner:?}"),
        },
        Expression::Two(operator, left, right) => two(operator, &value(left, fields), &value(right, fields)),
        Expression::Call(name, arguments) => call(name, arguments, fields),
    }
}

fn two(operator: &str, left: &Value, right: &Value) -> Value {
    match operator {
        // True or null is true; false and null is false.
        "OR" | "AND" => {
            let decides = Value::Bool(operator == "OR");
            if *left == decides || *right == decides {
                decides
            } else if *left == Value::Null || *right == Value::Null {
                Value::Null
            } else {
                Value::Bool(operator == "AND")
            }
        }
        "+" | "-" | "*" | "/" => match (left.number(), right.number()) {
            (Some(left), Some(right)) => Value::text(written(match operator {
                "+" => left + right,
                "-" => left - right,
                "*" => left * right,
                _ => left / right,
            })),
            _ => Value::Null,
        },
        "." => match (left.one(), right.one()) {
            (Some(left), Some(right)) => Value::text(left + &right),
            _ => Value::Null,
        },
        _ => {
            let (Value::Texts(one), Value::Texts(other)) = (left, right) else { return Value::Null };
            let order = match (left.number(), right.number()) {
                (Some(left), Some(right)) => left.total_cmp(&right),
                _ => one.cmp(other),
            };
            Value::Bool(match operator {
                "=" | "==" => order.is_eq(),
                "!=" => order.is_ne(),
                "<" => order.is_lt(),
                "<=" => order.is_le(),
                ">" => order.is_gt(),
                _ => order.is_ge(),
            })
        }
    }
}

fn call(name: &str, arguments: &[Expression], fields: &Fields) -> Value {
    let of = |n: usize| value(&arguments[n], fields);
    let truth = |value: Value| value == Value::Bool(true);
    match (name, arguments.len()) {
        ("true", 0) => Value::Bool(true),
        ("null", 0) => Value::Null,
        ("now", 0) => Value::text(written(f64::from(u32::try_from(chrono::Utc::now().timestamp()).unwrap()))),
        ("coalesce", 1..) => (0..arguments.len()).map(of).find(|value| *value != Value::Null).unwrap_or(Value::Null),
        ("lower", 1) => of(0).one().map_or(Value::Null, |text| Value::text(text.to_lowercase())),
        ("upper", 1) => of(0).one().map_or(Value::Null, |text| Value::text(text.to_uppercase())),
        ("len", 1) => of(0).one().map_or(Value::Null, |text| Value::text(text.chars().count().to_string())),
        ("match", 2) => match (of(0).one(), of(1).one()) {
            (Some(text), Some(pattern)) => Value::Bool(regex(&pattern).is_match(&text)),
            _ => Value::Null,
        },
        ("isnotnull", 1) => Value::Bool(of(0) != Value::Null),
        ("isnull", 1) => Value::Bool(of(0) == Value::Null),
        ("nullif", 2) => {
            if of(0) == of(1) {
                Value::Null
            } else {
                of(0)
            }
        }
        ("if", 3) => of(if truth(of(0)) { 1 } else { 2 }),
        ("case", 2..) => {
            arguments.chunks(2).find(|pair| truth(value(&pair[0], fields))).map_or(Value::Null, |pair| value(&pair[1], fields))
        }
        ("in", 2..) => Value::Bool(of(0) != Value::Null && (1..arguments.len()).any(|n| of(n) == of(0))),
        ("split", 2) => match (of(0).one(), of(1).one()) {
            (Some(text), Some(by)) => Value::texts(text.split(&by).map(str::to_owned).collect()),
            _ => Value::Null,
        },
        // From the end, all that is left.
        ("substr", 2) => match (of(0).one(), of(1).number()) {
            (Some(text), Some(from)) if from < 0.0 => {
                let skipped = text.chars().count().saturating_sub(-from as usize);
                Value::text(text.chars().skip(skipped).collect::<String>())
            }
            (None, _) | (_, None) => Value::Null,
            (_, Some(from)) => panic!("substr from {from} is not known here"),
        },
        ("substr", 3) => match (of(0).one(), of(1).number(), of(2).number()) {
            (Some(text), Some(from), Some(length)) => {
                // From 1; beyond its end a text has nothing.
                let found: String = text.chars().skip(from as usize - 1).take(length as usize).collect();
                if found.is_empty() { Value::Null } else { Value::text(found) }
            }
            _ => Value::Null,
        },
        ("rtrim", 2) => match (of(0).one(), of(1).one()) {
            (Some(text), Some(set)) => Value::text(text.trim_end_matches(|c| set.contains(c))),
            _ => Value::Null,
        },
        ("mvappend", 1..) => {
            let all = (0..arguments.len()).map(of).filter_map(|value| match value {
                Value::Texts(texts) => Some(texts),
                _ => None,
            });
            Value::texts(all.flatten().collect())
        }
        ("replace", 3) => match (of(0).one(), of(1).one(), of(2).one()) {
            (Some(text), Some(pattern), Some(with)) => Value::text(regex(&pattern).replace_all(&text, groups(&with))),
            _ => Value::Null,
        },
        ("round", 1 | 2) => {
            let factor = 10_f64.powf(if arguments.len() == 2 { of(1).number().unwrap() } else { 0.0 });
            of(0).number().map_or(Value::Null, |number| Value::text(written((number * factor).round() / factor)))
        }
        ("strptime", 2) => match (of(0).one(), of(1).one()) {
            (Some(text), Some(format)) => chrono::DateTime::parse_from_str(&text, &format)
                .map_or(Value::Null, |time| Value::text(written(time.timestamp() as f64))),
            _ => Value::Null,
        },
        ("strftime", 2) => match (of(0).number(), of(1).one()) {
            (Some(time), Some(format)) => Value::text(super::clock(time).format(&format).to_string()),
            _ => Value::Null,
        },
        ("mvindex", 2) => match (of(0), of(1).number()) {
            (Value::Texts(texts), Some(n)) => texts.get(n as usize).map_or(Value::Null, Value::text),
            _ => Value::Null,
        },
        ("mvcount", 1) => match of(0) {
            Value::Texts(texts) => Value::text(texts.len().to_string()),
            _ => Value::Null,
        },
        ("mvjoin", 2) => match (of(0), of(1).one()) {
            (Value::Texts(texts), Some(by)) => Value::text(texts.join(&by)),
            _ => Value::Null,
        },
        ("mvfilter", 1) => Value::texts(
            each(&arguments[0], fields).into_iter().filter_map(|(text, found)| truth(found).then_some(text)).collect(),
        ),
        ("mvmap", 2) => {
            let Expression::Field(name) = &arguments[0] else { panic!("mvmap knows a field") };
            assert_eq!(fields_of(&arguments[1]), std::slice::from_ref(name), "mvmap knows one field");
            let found = each(&arguments[1], fields).into_iter().filter_map(|(_, found)| match found {
                Value::Texts(texts) => Some(texts),
                _ => None,
            });
            Value::texts(found.flatten().collect())
        }
        ("mvfind", 2) => match (of(0), of(1).one()) {
            (Value::Texts(texts), Some(pattern)) => {
                let pattern = regex(&pattern);
                texts.iter().position(|text| pattern.is_match(text)).map_or(Value::Null, |at| Value::text(at.to_string()))
            }
            _ => Value::Null,
        },
        // Both read one member here, however deep; a null is the text `null`, as in Splunk.
        ("json_extract" | "spath", 2) => match (of(0).one(), of(1).one()) {
            (Some(text), Some(path)) => {
                assert!(!path.contains('{'), "{path} is not known here");
                match super::json::member(&text, &path) {
                    Some(found) => Value::text(found),
                    None => Value::Null,
                }
            }
            _ => Value::Null,
        },
        ("json_array_to_mv", 1) => of(0).one().map_or(Value::Null, |text| {
            let items: Vec<Box<serde_json::value::RawValue>> = serde_json::from_str(&text).unwrap_or_default();
            Value::texts(items.iter().map(|item| super::json::plain(item.get())).collect())
        }),
        _ => panic!("{name} with {} arguments is not known here", arguments.len()),
    }
}

fn regex(pattern: &str) -> Rc<Regex> {
    let compile = || Rc::new(Regex::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}")));
    COMPILED.with_borrow_mut(|all| Rc::clone(all.entry(pattern.to_owned()).or_insert_with(compile)))
}

/// Splunk's `\1` as this library's `${1}`.
fn groups(with: &str) -> String {
    regex(r"\\(\d)").replace_all(&with.replace('$', "$$"), "$${${1}}").into_owned()
}

/// An expression of one field, for each of the field's values.
fn each(expression: &Expression, fields: &Fields) -> Vec<(String, Value)> {
    let names = fields_of(expression);
    let [name] = names.as_slice() else { panic!("one field is known here: {names:?}") };
    let values = fields.get(name).into_iter().flatten();
    values.map(|text| (text.clone(), value(expression, &Fields::from([(name.clone(), vec![text.clone()])])))).collect()
}

fn fields_of(expression: &Expression) -> Vec<String> {
    match expression {
        Expression::Field(name) => vec![name.clone()],
        Expression::Not(inner) => fields_of(inner),
        Expression::Two(_, left, right) => [fields_of(left), fields_of(right)].concat(),
        Expression::Call(_, arguments) => arguments.iter().flat_map(fields_of).collect(),
        Expression::Text(_) | Expression::Number(_) => Vec::new(),
    }
}
