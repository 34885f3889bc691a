//! The search of an eventtype: `field=value` with `*`, AND between terms, OR, parentheses. AND binds tighter than OR.

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
            assert!(!name.ends_with('!') && (value == "*" || !value.contains('*')), "{word} is not known here");
            let has = |found: &String| value == "*" || found.eq_ignore_ascii_case(value);
            fields.get(name).is_some_and(|values| values.iter().any(has))
        };
    }
    found
}
