//! The search of an eventtype or of a macro: `field=value`, the value with or without quotes and with `*` at its end, AND between terms, OR, parentheses. AND binds tighter than OR.

use super::Fields;

pub(super) fn matches(text: &str, fields: &Fields) -> bool {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let found = any(&mut words, fields);
    assert!(words.next().is_none(), "not known here: {text}");
    found
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, fields: &Fields) -> bool {
    let mut found = all(words, fields);
    while words.next_if_eq(&"OR").is_some() {
        found |= all(words, fields);
    }
    found
}

fn all(words: &mut Words<'_>, fields: &Fields) -> bool {
    let mut found = true;
    while let Some(word) = words.next_if(|word| !matches!(*word, "OR" | ")")) {
        found &= if word == "(" {
            let inner = any(words, fields);
            assert_eq!(words.next(), Some(")"));
            inner
        } else {
            let (name, value) = word.split_once('=').unwrap_or_else(|| panic!("{word} is not known here"));
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
            let bare = value.strip_suffix('*').unwrap_or(value);
            assert!(!name.ends_with('!') && !bare.contains(['*', '"']), "{word} is not known here");
            let begins = |found: &String| found.get(..bare.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(bare));
            let has = |found: &String| if bare == value { found.eq_ignore_ascii_case(value) } else { begins(found) };
            fields.get(name).is_some_and(|values| values.iter().any(has))
        };
    }
    found
}
