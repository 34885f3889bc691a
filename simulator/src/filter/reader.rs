//! Reads the text of a filter, word by word.

use super::{Filter, Kind, Operator, Property, Refusal, Search, Value};
use crate::time::Time;

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

/// A filter half read.
pub(super) struct Reader<'a> {
    text: &'a str,
    tokens: Vec<(usize, Token<'a>)>,
    at: usize,
    properties: &'static [Property],
    type_name: &'a str,
}

impl<'a> Reader<'a> {
    /// Cuts a text into words.
    pub(super) fn new(text: &'a str, properties: &'static [Property], type_name: &'a str) -> Result<Self, Refusal> {
        Ok(Reader { text, tokens: tokens(text)?, at: 0, properties, type_name })
    }

    /// Reads all of it.
    pub(super) fn whole(mut self) -> Result<Filter, Refusal> {
        let filter = self.either()?;
        if self.at == self.tokens.len() { Ok(filter) } else { Err(self.syntax()) }
    }

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
