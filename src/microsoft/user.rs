//! Names of one user: a service may keep an alias under the principal name, or show the display name.

/// Whether two names are one user's, as far as they tell: the same name in another case; an alias, with or without its
/// domain in front, and a principal name that begins with it; the parts of a principal name and the display name. Two
/// principal names of different domains are two users.
pub(super) fn same(a: &str, b: &str) -> bool {
    let (left, right) = (Name::of(a), Name::of(b));
    if left.whole == right.whole {
        return true;
    }
    match (&left.domain, &right.domain) {
        (Some(_), Some(_)) => false,
        // Two bare names: only one of several words can be the display name of the other.
        _ if left.local == right.local => true,
        _ => left.parts.len() > 1 && left.sorted() == right.sorted(),
    }
}

/// Whether what the service shows after it was told `wanted` may be the same user: also `asmith` and `Alice Smith`. That is
/// enough to believe an accepted change, and not enough to leave one out.
pub(super) fn may_be(wanted: &str, shown: &str) -> bool {
    if same(wanted, shown) {
        return true;
    }
    let (wanted, shown) = (Name::of(wanted), Name::of(shown));
    if wanted.domain.is_some() && shown.domain.is_some() {
        return false;
    }
    if wanted.parts.iter().all(|part| shown.parts.contains(part)) {
        return true;
    }
    let (Some(first), Some(last), true) = (shown.parts.first(), shown.parts.last(), shown.parts.len() > 1) else { return false };
    let initial = |name: &str| name.chars().take(1).collect::<String>();
    let short = [
        format!("{first}{last}"),
        format!("{last}{first}"),
        format!("{}{last}", initial(first)),
        format!("{last}{}", initial(first)),
        format!("{first}{}", initial(last)),
        format!("{}{first}", initial(last)),
    ];
    // `asmith2` is the second of that name.
    let bare = wanted.parts.concat();
    short.iter().any(|short| short == bare.trim_end_matches(|c: char| c.is_ascii_digit()))
}

/// A name in small letters, taken apart.
struct Name {
    whole: String,
    /// Without domain.
    local: String,
    domain: Option<String>,
    /// Words of the local part.
    parts: Vec<String>,
}

impl Name {
    fn of(text: &str) -> Self {
        let whole = text.trim().to_lowercase();
        // `CONTOSO\alice` names the domain of an Active Directory, which is no part of a principal name.
        let bare = whole.rsplit_once('\\').map_or(whole.as_str(), |(_, name)| name);
        let (local, domain) = match bare.split_once('@') {
            Some((local, domain)) if !local.is_empty() && !domain.is_empty() => (local, Some(domain.to_owned())),
            _ => (bare, None),
        };
        let parts = local.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Self { local: local.to_owned(), domain, parts, whole }
    }

    fn sorted(&self) -> Vec<&str> {
        let mut parts: Vec<&str> = self.parts.iter().map(String::as_str).collect();
        parts.sort_unstable();
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_user() {
        for (a, b) in [
            ("alice", "ALICE"),
            ("alice", "alice@contoso.example"),
            (r"CONTOSO\alice", "alice@contoso.example"),
            (r"CONTOSO\alice", "Alice"),
            ("alice.smith@contoso.example", "Alice Smith"),
            ("alice.smith", "Smith, Alice"),
            (" ann ", "ann"),
        ] {
            assert!(same(a, b) && same(b, a) && may_be(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("alice@contoso.example", "alice@fabrikam.example"),
            ("alice", "bob"),
            ("alice", "alice.smith@contoso.example"),
            ("alice", "Alice Smith"),
            ("asmith", "Alice Smith"),
            ("", "alice"),
            ("alice", ""),
        ] {
            assert!(!same(a, b) && !same(b, a), "{a} {b}");
        }
    }

    #[test]
    fn what_an_alias_may_be_shown_as() {
        for (wanted, shown) in [
            ("alice", "Alice Smith"),
            ("asmith", "Alice Smith"),
            ("asmith2@contoso.example", "Alice Smith"),
            ("smitha", "Alice B. Smith"),
            ("alices", "Alice Smith"),
        ] {
            assert!(may_be(wanted, shown), "{wanted} {shown}");
        }
        for (wanted, shown) in [
            ("bob", "Alice Smith"),
            ("alice@contoso.example", "alice@fabrikam.example"),
            ("alice", "bob"),
            ("bsmith", "Alice Smith"),
        ] {
            assert!(!may_be(wanted, shown), "{wanted} {shown}");
        }
    }
}
