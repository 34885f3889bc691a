//! Words of Graph's enumerations as the Defender APIs spell them: these begin with a capital. The words that come with nearly
//! every piece of evidence are written down here as JSON, so that none of them is spelled out anew.

use std::borrow::Cow;

use crate::json;

/// Graph's word, the Defender APIs', and in small letters; the last two as JSON.
type Spelling = (&'static str, &'static str, &'static str);

macro_rules! spellings {
    ($($graph:literal $capital:literal $lower:literal,)*) => {
        [$(($graph, concat!("\"", $capital, "\""), concat!("\"", $lower, "\"")),)*]
    };
}

/// Verdicts, and what was detected and remediated, of Graph's metadata.
static KNOWN: [Spelling; 20] = spellings! {
    "active" "Active" "active",
    "blocked" "Blocked" "blocked",
    "declined" "Declined" "declined",
    "detected" "Detected" "detected",
    "malicious" "Malicious" "malicious",
    "none" "None" "none",
    "notFound" "NotFound" "notfound",
    "partiallyRemediated" "PartiallyRemediated" "partiallyremediated",
    "pendingApproval" "PendingApproval" "pendingapproval",
    "prevented" "Prevented" "prevented",
    "remediated" "Remediated" "remediated",
    "running" "Running" "running",
    "suspicious" "Suspicious" "suspicious",
    "unknown" "Unknown" "unknown",
    "unknownFutureValue" "UnknownFutureValue" "unknownfuturevalue",
    "unremediated" "Unremediated" "unremediated",
    "allowed" "Allowed" "allowed",
    "cleaned" "Cleaned" "cleaned",
    "quarantined" "Quarantined" "quarantined",
    "removed" "Removed" "removed",
};

/// Graph's word with a capital, as JSON.
pub(super) fn capital(graph: &str) -> Cow<'static, str> {
    match KNOWN.iter().find(|(word, ..)| *word == graph) {
        Some((_, capital, _)) => Cow::Borrowed(capital),
        None => Cow::Owned(json::quoted(&with_capital(graph))),
    }
}

/// A verdict as the Defender APIs spell it, as JSON: the published detections leave out what is `Clean`.
pub(super) fn verdict(graph: &str) -> Cow<'static, str> {
    match graph {
        "noThreatsFound" => Cow::Borrowed("\"Clean\""),
        "" => UNKNOWN,
        other => capital(other),
    }
}

/// The verdict of evidence that has none.
pub(super) const UNKNOWN: Cow<'static, str> = Cow::Borrowed("\"Unknown\"");

/// A word that began with a capital in small letters, as JSON; `None` for one that is not known.
pub(super) fn lower(word: &str) -> Option<&'static str> {
    let is_it = |capital: &str| capital.len() == word.len() + 2 && capital[1..].starts_with(word);
    KNOWN.iter().find(|(_, capital, _)| is_it(capital)).map(|(.., lower)| *lower)
}

/// A text with its first letter in the upper case.
pub(super) fn with_capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_are_spelled_as_any_other() {
        for (word, capital, lower) in KNOWN {
            assert_eq!(capital, json::quoted(&with_capital(word)));
            assert_eq!(lower, json::quoted(&word.to_lowercase()));
            assert_eq!(super::lower(&with_capital(word)), Some(lower));
            assert_eq!(super::lower(word), None, "{word}: begins small");
        }
        assert_eq!(capital("élan \"x\""), "\"Élan \\\"x\\\"\"");
        assert_eq!([verdict("noThreatsFound"), verdict(""), verdict("malicious")], ["\"Clean\"", "\"Unknown\"", "\"Malicious\""]);
    }
}
