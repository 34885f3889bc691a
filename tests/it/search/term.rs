//! The search before the first pipe, of `search` and of an eventtype: `field=value` with `*`, `!=`, `IN (…)`, a phrase of
//! the raw event, AND between terms, OR, NOT, parentheses. AND binds tighter than OR.

use super::Fields;
use super::expression::quoted;

pub(super) fn matches(text: &str, fields: &Fields) -> bool {
    let words = words(text);
    let mut reader = Reader { words: &words, at: 0 };
    let found = reader.any(fields);
    assert_eq!(reader.at, words.len(), "not known here: {text}");
    found
}

/// The fields a search names, but for the ones every event has.
pub(super) fn fields(text: &str) -> Vec<String> {
    let found = words(text);
    let names = found.iter().filter(|word| !word.is_phrase).filter_map(|word| {
        let name = word.text.split(['=', '!']).next()?;
        (word.text.contains('=')).then(|| name.to_owned())
    });
    let lists = found.windows(2).filter(|pair| pair[1].text == "IN" && !pair[1].is_phrase).map(|pair| pair[0].text.clone());
    names.chain(lists).collect()
}

/// A word of a search; a comparison is one word, its quotes taken off.
struct Word {
    text: String,
    /// In quotes and not part of a comparison.
    is_phrase: bool,
}

fn words(text: &str) -> Vec<Word> {
    let (mut out, mut rest) = (Vec::new(), text.trim_start());
    while let Some(first) = rest.chars().next() {
        let (text, length, is_phrase) = match first {
            '(' | ')' | ',' => (first.to_string(), 1, false),
            '"' => {
                let (text, length) = quoted(rest);
                (text, length, true)
            }
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || "(),\"".contains(c)).unwrap_or(rest.len());
                let (mut text, mut length) = (rest[..end].to_owned(), end);
                if text.ends_with('=') && rest[end..].starts_with('"') {
                    let (value, more) = quoted(&rest[end..]);
                    text += &value;
                    length += more;
                }
                (text, length, false)
            }
        };
        out.push(Word { text, is_phrase });
        rest = rest[length..].trim_start();
    }
    out.retain(|word| word.is_phrase || word.text != ",");
    out
}

struct Reader<'a> {
    words: &'a [Word],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, text: &str) -> bool {
        let found = self.words.get(self.at).is_some_and(|word| !word.is_phrase && word.text == text);
        self.at += usize::from(found);
        found
    }

    fn any(&mut self, fields: &Fields) -> bool {
        let mut found = self.all(fields);
        while self.take("OR") {
            found |= self.all(fields);
        }
        found
    }

    fn all(&mut self, fields: &Fields) -> bool {
        let mut found = true;
        while self.words.get(self.at).is_some_and(|word| word.is_phrase || !matches!(&*word.text, "OR" | ")")) {
            found &= self.take("AND") || self.term(fields);
        }
        found
    }

    fn term(&mut self, fields: &Fields) -> bool {
        if self.take("NOT") {
            return !self.term(fields);
        }
        if self.take("(") {
            let inner = self.any(fields);
            assert!(self.take(")"), "not closed");
            return inner;
        }
        let word = &self.words[self.at];
        self.at += 1;
        if word.is_phrase {
            // Splunk looks for whole words; the phrases in use begin and end at the edge of one.
            return fields["_raw"][0].to_lowercase().contains(word.text.trim().to_lowercase().as_str());
        }
        if self.take("IN") {
            assert!(self.take("("), "IN is followed by a list");
            let mut found = false;
            while !self.take(")") {
                found |= has(fields, &word.text, &self.words[self.at].text);
                self.at += 1;
            }
            return found;
        }
        match word.text.split_once('=') {
            // Another value than this, which needs one at all.
            Some((name, value)) => match name.strip_suffix('!') {
                Some(name) => has(fields, name, "*") && !has(fields, name, value),
                None => has(fields, name, value),
            },
            None => fields["_raw"][0].contains(&word.text),
        }
    }
}

fn has(fields: &Fields, name: &str, wanted: &str) -> bool {
    let fits = |found: &String| like(&found.to_lowercase(), &wanted.to_lowercase());
    fields.get(name).is_some_and(|values| values.iter().any(fits))
}

/// Whether a text is what is wanted, in which `*` stands for anything.
fn like(found: &str, wanted: &str) -> bool {
    match wanted.split_once('*') {
        None => found == wanted,
        Some((start, rest)) => found
            .strip_prefix(start)
            .is_some_and(|found| (0..=found.len()).filter(|at| found.is_char_boundary(*at)).any(|at| like(&found[at..], rest))),
    }
}
