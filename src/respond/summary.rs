//! Rows for which nothing was asked of the service: one wrong parameter refuses them all, and a line and an event for each of
//! 300,000 of them would say the same 300,000 times. The first thousand are told one by one, the others by their number.

use std::collections::BTreeMap;

use super::outcome::Outcome;

/// How many of these rows are told one by one.
const ONE_BY_ONE: usize = 1000;
/// How many different reasons are kept of a result.
const REASONS: usize = 10;
/// How much of a reason is kept, in characters.
const REASON: usize = 300;

/// The rows that are not told one by one.
#[derive(Debug, Default)]
pub(super) struct Summary {
    told: usize,
    groups: BTreeMap<&'static str, Group>,
}

/// Those of one result.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// How many.
    pub(super) rows: usize,
    /// The first and the last of them, counted from 1.
    pub(super) first: usize,
    pub(super) last: usize,
    /// Whether it is a result as asked for.
    pub(super) success: bool,
    /// The first reasons that were given, and how many rows each has.
    pub(super) reasons: Vec<(String, usize)>,
}

impl Summary {
    /// Counts a row, from 0, for which nothing was asked. False where it is to be told by itself.
    pub(super) fn takes(&mut self, number: usize, outcome: &Outcome) -> bool {
        if self.told < ONE_BY_ONE {
            self.told += 1;
            return false;
        }
        let (result, reason) = outcome.told();
        let number = number + 1;
        let (success, reasons) = (outcome.is_success(), Vec::new());
        let group = self.groups.entry(result).or_insert(Group { rows: 0, first: number, last: number, success, reasons });
        group.rows += 1;
        (group.first, group.last) = (group.first.min(number), group.last.max(number));
        let cut = reason.char_indices().nth(REASON).map_or(reason.len(), |(at, _)| at);
        if let Some((_, rows)) = group.reasons.iter_mut().find(|(known, _)| *known == reason[..cut]) {
            *rows += 1;
        } else if group.reasons.len() < REASONS {
            group.reasons.push((reason[..cut].to_owned(), 1));
        }
        true
    }

    /// By the result's name. Nothing is left.
    pub(super) fn take(&mut self) -> BTreeMap<&'static str, Group> {
        std::mem::take(&mut self.groups)
    }
}

impl Group {
    /// The reasons with their numbers, as text.
    pub(super) fn text(&self) -> String {
        let named: usize = self.reasons.iter().map(|(_, rows)| rows).sum();
        let mut text: Vec<String> = self.reasons.iter().map(|(reason, rows)| format!("{rows} times: {reason}")).collect();
        if named < self.rows {
            text.push(format!("{} times: for other reasons", self.rows - named));
        }
        text.join("; ")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_told_and_the_others_counted() {
        let mut summary = Summary::default();
        let refused = |reason: &str| Outcome::Refused(reason.to_owned());
        let taken = (0..300_000).filter(|number| summary.takes(*number, &refused("wrong"))).count();
        assert_eq!(taken, 299_000);
        assert!((0..20).all(|number| summary.takes(300_000 + number, &refused(&format!("id {number}")))));
        assert!(summary.takes(7, &Outcome::Failed("x".repeat(1000))));
        let groups = summary.take();
        let group = &groups["refused"];
        assert_eq!((group.rows, group.first, group.last, group.success), (299_020, 1001, 300_020, false));
        let text = group.text();
        assert!(
            text.starts_with("299000 times: wrong; 1 times: id 0; ") && text.ends_with("; 11 times: for other reasons"),
            "{text}"
        );
        assert_eq!(groups["failed"].reasons, [("x".repeat(300), 1)]);
        assert!(summary.take().is_empty());
    }
}
