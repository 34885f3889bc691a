//! A change that somebody wants on an incident or alert, read from plain texts and checked before anything is sent.

use super::cloud::{Api, What};
use super::values::{Classification, Determination, Status};
use crate::masking::admin_text;

/// The longest comment that somebody may write, in characters: the 30,000 of the Defender portal's documentation, less
/// the line of [`Change::mark`].
pub const COMMENT_LIMIT: usize = 29_950;

/// What somebody wrote; an empty text leaves the member alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// `new`, `active`, `in progress`, `resolved`, in any spelling.
    pub status: &'a str,
    /// A user's name; `none` takes the assignment away.
    pub assigned_to: &'a str,
    /// `true positive`, … in any spelling.
    pub classification: &'a str,
    /// `malware`, … in any spelling of any API.
    pub determination: &'a str,
    /// Text to add.
    pub comment: &'a str,
    /// Incidents only: `a, b` adds, `-a` removes, `=a, b` replaces all, `=` removes all.
    pub tags: &'a str,
}

/// A change that makes sense in itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The status to set.
    pub status: Option<Status>,
    /// The assignment to make or take away.
    pub assigned_to: Option<Assign>,
    /// The classification to set.
    pub classification: Option<Classification>,
    /// The determination to set. Without a classification it must suit the one the object has.
    pub determination: Option<Determination>,
    /// The comment to add.
    pub comment: Option<String>,
    /// A short line put under the comment, by which it is known again. Without one the text itself is what is looked for,
    /// and the same words of anybody else would pass for it.
    pub mark: Option<String>,
    /// The tags to change.
    pub tags: Option<TagChange>,
}

/// Who it is assigned to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assign {
    /// This user.
    To(String),
    /// Nobody.
    Nobody,
}

/// What happens to the tags. A tag is the same tag in another case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagChange {
    /// Some are added, some removed, the others stay.
    Amend {
        /// Tags to add.
        add: Vec<String>,
        /// Tags to remove.
        remove: Vec<String>,
    },
    /// These and no others.
    Replace(Vec<String>),
}

/// Why a change is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing was asked for.
    #[error("nothing to change: every parameter is empty")]
    Nothing,
    /// A value that the parameter does not take.
    #[error("{parameter} `{given}` is not allowed: write {allowed}")]
    Value {
        /// The parameter.
        parameter: &'static str,
        /// What was written, shortened.
        given: String,
        /// The allowed values.
        allowed: String,
    },
    /// A determination that does not go with the classification.
    #[error("determination {} does not go with classification {}: write {allowed}", determination.spelled(Api::Graph).0, classification.spelled(Api::Graph))]
    Pair {
        /// The one asked for, or the object's.
        classification: Classification,
        /// The one asked for.
        determination: Determination,
        /// The determinations that do.
        allowed: String,
    },
    /// A determination for an object that has no classification.
    #[error("determination without classification: the {0} has none yet, so set classification too")]
    Unclassified(&'static str),
    /// A comment beyond the limit.
    #[error("comment has {0} characters: {COMMENT_LIMIT} is the most")]
    CommentTooLong(usize),
    /// Tags on an alert.
    #[error("tags: alerts have none, only incidents do")]
    AlertTags,
    /// Tags that contradict each other.
    #[error("tags `{0}` is no change of tags: write `a, b` to add, `-a` to remove, or `=a, b` to replace all")]
    Tags(String),
    /// The incident was merged.
    #[error("the incident was merged into {0}: change that one")]
    Redirected(String),
    /// The id cannot be one.
    #[error("{0}")]
    Id(String),
}

impl Change {
    /// Reads and checks what was asked for, as far as that needs no look at the object.
    ///
    /// # Errors
    /// The first fault found, with what would be right.
    pub fn parse(what: What, wanted: &Wanted<'_>) -> Result<Self, Refusal> {
        let text = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let status = match text(wanted.status) {
            Some(given) => Some(status(what, &given)?),
            None => None,
        };
        let classification = match text(wanted.classification) {
            Some(given) => Some(Classification::parse(&given).ok_or_else(|| {
                value("classification", &given, list(Classification::ALL.iter().map(|value| value.spelled(Api::Graph))))
            })?),
            None => None,
        };
        let determination = match text(wanted.determination) {
            Some(given) => {
                let allowed = classification.map_or(&Determination::ALL[..], Classification::determinations);
                Some(Determination::parse(&given).ok_or_else(|| value("determination", &given, determinations(allowed)))?)
            }
            None => None,
        };
        if let (Some(classification), Some(determination)) = (classification, determination) {
            suits(classification, determination)?;
        }
        let comment = text(wanted.comment);
        if let Some(length) = comment.as_ref().map(|comment| comment.chars().count()).filter(|length| *length > COMMENT_LIMIT) {
            return Err(Refusal::CommentTooLong(length));
        }
        let assigned_to = text(wanted.assigned_to).map(|given| match given.eq_ignore_ascii_case("none") {
            true => Assign::Nobody,
            false => Assign::To(given),
        });
        let tags = match (text(wanted.tags), what) {
            (Some(_), What::Alerts) => return Err(Refusal::AlertTags),
            (Some(given), What::Incidents) => Some(TagChange::parse(&given)?),
            (None, _) => None,
        };
        let change = Self { status, assigned_to, classification, determination, comment, mark: None, tags };
        if change == Self::default() { Err(Refusal::Nothing) } else { Ok(change) }
    }

    /// The comment as it is sent: the text, and its mark on a line below.
    pub fn posted(&self) -> Option<String> {
        let text = self.comment.as_ref()?;
        Some(match &self.mark {
            Some(mark) => format!("{text}\n{mark}"),
            None => text.clone(),
        })
    }
}

impl TagChange {
    /// Reads `a, b`, `-a` and `=a, b`.
    fn parse(text: &str) -> Result<Self, Refusal> {
        let wrong = || Refusal::Tags(admin_text(text));
        let items = |text: &str| -> Vec<String> {
            let mut items: Vec<String> = Vec::new();
            // Several values of one field come a line each.
            for item in text.split([',', '\n']).map(str::trim).filter(|item| !item.is_empty()) {
                if !holds(&items, item) {
                    items.push(item.to_owned());
                }
            }
            items
        };
        if let Some(all) = text.strip_prefix('=') {
            let all = items(all);
            // `=a, -b` cannot mean anything: what is replaced need not be removed.
            return if all.iter().any(|tag| tag.starts_with(['-', '='])) { Err(wrong()) } else { Ok(Self::Replace(all)) };
        }
        let (mut add, mut remove) = (Vec::new(), Vec::new());
        for item in items(text) {
            match item.strip_prefix('-').map(str::trim) {
                Some("") => return Err(wrong()),
                Some(tag) => remove.push(tag.to_owned()),
                None if item.starts_with('=') => return Err(wrong()),
                None => add.push(item),
            }
        }
        if (add.is_empty() && remove.is_empty()) || add.iter().any(|tag| holds(&remove, tag)) {
            return Err(wrong());
        }
        Ok(Self::Amend { add, remove })
    }

    /// The tags after the change, the present ones first and in their order.
    pub(super) fn applied(&self, current: &[String]) -> Vec<String> {
        match self {
            Self::Replace(all) => all.clone(),
            Self::Amend { add, remove } => {
                let mut tags: Vec<String> = current.iter().filter(|tag| !holds(remove, tag)).cloned().collect();
                for tag in add {
                    if !holds(&tags, tag) {
                        tags.push(tag.clone());
                    }
                }
                tags
            }
        }
    }
}

fn status(what: What, given: &str) -> Result<Status, Refusal> {
    let allowed = Status::allowed(what);
    Status::parse(given)
        .filter(|status| allowed.contains(status))
        .ok_or_else(|| value("status", given, list(allowed.iter().map(|status| status.spelled(Api::Graph)))))
}

/// Whether the determination goes with the classification.
pub(super) fn suits(classification: Classification, determination: Determination) -> Result<(), Refusal> {
    let allowed = classification.determinations();
    if allowed.contains(&determination) {
        return Ok(());
    }
    Err(Refusal::Pair { classification, determination, allowed: determinations(allowed) })
}

fn determinations(allowed: &[Determination]) -> String {
    list(allowed.iter().map(|value| value.spelled(Api::Graph).0))
}

fn value(parameter: &'static str, given: &str, allowed: String) -> Refusal {
    Refusal::Value { parameter, given: admin_text(given), allowed }
}

/// `a, b or c`.
fn list(values: impl Iterator<Item = &'static str>) -> String {
    let mut values: Vec<&str> = values.collect();
    match values.pop() {
        Some(last) if !values.is_empty() => format!("{} or {last}", values.join(", ")),
        last => last.unwrap_or_default().to_owned(),
    }
}

/// Whether two names are one: case does not matter.
pub(super) fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

/// Whether a tag is among others.
pub(super) fn holds(tags: &[String], tag: &str) -> bool {
    tags.iter().any(|there| same(there, tag))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn amend(add: &[&str], remove: &[&str]) -> TagChange {
        let owned = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
        TagChange::Amend { add: owned(add), remove: owned(remove) }
    }

    #[test]
    fn a_whole_change() {
        let wanted = Wanted {
            status: " In Progress ",
            assigned_to: "ann@contoso.example",
            classification: "False-Positive",
            determination: "Clean",
            comment: " seen\nbefore ",
            tags: "red team, -Demo",
        };
        assert_eq!(
            Change::parse(What::Incidents, &wanted),
            Ok(Change {
                status: Some(Status::InProgress),
                assigned_to: Some(Assign::To("ann@contoso.example".to_owned())),
                classification: Some(Classification::FalsePositive),
                determination: Some(Determination::NotMalicious),
                comment: Some("seen\nbefore".to_owned()),
                mark: None,
                tags: Some(amend(&["red team"], &["Demo"])),
            })
        );
        let none = Wanted { assigned_to: "None", ..Wanted::default() };
        assert_eq!(Change::parse(What::Alerts, &none), Ok(Change { assigned_to: Some(Assign::Nobody), ..Change::default() }));
        let alone = Wanted { determination: "malware", ..Wanted::default() };
        assert_eq!(Change::parse(What::Alerts, &alone).unwrap().determination, Some(Determination::Malware));
    }

    #[test]
    fn refusals_say_what_would_be_right() {
        let none = Wanted::default();
        let long = "ü".repeat(COMMENT_LIMIT + 1);
        // (object, wanted, whole message)
        let table = [
            (What::Alerts, none, "nothing to change: every parameter is empty"),
            (What::Alerts, Wanted { comment: " \n", ..none }, "nothing to change: every parameter is empty"),
            (
                What::Alerts,
                Wanted { status: "active", ..none },
                "status `active` is not allowed: write new, inProgress or resolved",
            ),
            (
                What::Incidents,
                Wanted { status: "New", ..none },
                "status `New` is not allowed: write active, inProgress or resolved",
            ),
            (
                What::Incidents,
                Wanted { status: "Redirected", ..none },
                "status `Redirected` is not allowed: write active, inProgress or resolved",
            ),
            (
                What::Alerts,
                Wanted { classification: "benignPositive", ..none },
                "classification `benignPositive` is not allowed: write truePositive, informationalExpectedActivity or falsePositive",
            ),
            (
                What::Alerts,
                Wanted { classification: "falsePositive", determination: "apt", ..none },
                "determination `apt` is not allowed: write notMalicious, notEnoughDataToValidate or other",
            ),
            (
                What::Alerts,
                Wanted { classification: "falsePositive", determination: "Malware", ..none },
                "determination malware does not go with classification falsePositive: \
                 write notMalicious, notEnoughDataToValidate or other",
            ),
            (What::Alerts, Wanted { comment: &long, ..none }, "comment has 29951 characters: 29950 is the most"),
            (What::Alerts, Wanted { tags: "a", ..none }, "tags: alerts have none, only incidents do"),
            (
                What::Incidents,
                Wanted { tags: "a, -A", ..none },
                "tags `a, -A` is no change of tags: write `a, b` to add, `-a` to remove, or `=a, b` to replace all",
            ),
        ];
        for (what, wanted, message) in table {
            assert_eq!(Change::parse(what, &wanted).unwrap_err().to_string(), message);
        }
        let longest = "ü".repeat(COMMENT_LIMIT);
        assert!(Change::parse(What::Alerts, &Wanted { comment: &longest, ..none }).is_ok());
        let wrong = "\u{1b}".to_owned() + &"x".repeat(500);
        let shown = Change::parse(What::Alerts, &Wanted { status: &wrong, ..none }).unwrap_err().to_string();
        assert!(shown.len() < 200 && !shown.contains('\u{1b}'), "{shown}");
    }

    #[test]
    fn tags_are_added_removed_and_replaced() {
        let now = ["One".to_owned(), "two".to_owned()];
        // (text, tags after it)
        let table: [(&str, &[&str]); 9] = [
            ("three\r\n-one\nfour", &["two", "three", "four"]),
            ("three", &["One", "two", "three"]),
            ("ONE, three,, Three", &["One", "two", "three"]),
            ("-one", &["two"]),
            ("- one , four", &["two", "four"]),
            ("-absent", &["One", "two"]),
            ("=x, y, X", &["x", "y"]),
            ("=", &[]),
            ("= two", &["two"]),
        ];
        for (text, after) in table {
            assert_eq!(TagChange::parse(text).unwrap().applied(&now), after, "{text}");
        }
        for text in ["-", ",", "a, -a", "=a, -b", "a, =b"] {
            assert!(matches!(TagChange::parse(text), Err(Refusal::Tags(_))), "{text}");
        }
    }
}
