//! What happened to the engine, counted: a hazard that never occurred proves nothing.

use std::collections::BTreeMap;
use std::fmt;

/// Every hazard there is to be.
const ALL: [&str; 74] = [
    "alert created",
    "alert changed",
    "incident created",
    "incident changed",
    "incidents merged",
    "object removed",
    "object dated in the future",
    "tie of several objects",
    "tie of more objects than a page",
    "visible late",
    "changed while an answer was under way",
    "time with 0 digits",
    "time with 1-6 digits",
    "time with 7 digits",
    "order: oldest first",
    "order: newest first",
    "order: by creation",
    "order: none",
    "orderby refused",
    "orderby refused sometimes",
    "orderby ignored",
    "fewer rows than asked with a next link",
    "as many rows as asked without a next link",
    "ties in another order each time",
    "answer without date",
    "fault: 429 with seconds",
    "fault: 429 with a date",
    "fault: 429 without wait",
    "fault: 503",
    "fault: 500",
    "fault: token revoked",
    "fault: html",
    "fault: half of the JSON",
    "fault: an array",
    "fault: connection broken",
    "fault: body cut",
    "body cut in a row after others",
    "poisoned object",
    "expansion that fails",
    "expansion that never heals",
    "answer too large",
    "token ended",
    "killed while asking",
    "killed while writing",
    "killed while remembering",
    "killed while saving, old position left",
    "killed while saving, new position left",
    "clock of this machine jumped",
    "window set aside",
    "history left at the end of a poll",
    "visible later than the look-back",
    "found by the late look",
    "a day passed",
    "row from the beginning of all time",
    "stale copy of a row",
    "moved to another incident without a change",
    "service's clock ahead",
    "service's clock behind",
    "one answer dated ahead",
    "one answer dated behind",
    "service stood still",
    "service stood still when the time of a future object came",
    "came when the service caught up",
    "answer 206",
    "answer with a warning",
    "error beside a list",
    "next page that is empty",
    "row removed before the next page was asked for",
    "empty page that names a next one",
    "list cut inside an object, with a link",
    "list cut inside an object, with a count",
    "object in place of a list inside an object",
    "range that is refused",
    "fault: 400",
];

/// Counts by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Hazards(BTreeMap<&'static str, u64>);

impl Hazards {
    /// Counts one; the name must be one of the list.
    pub(super) fn met(&mut self, hazard: &'static str) {
        assert!(ALL.contains(&hazard), "`{hazard}` is not in the list of hazards");
        *self.0.entry(hazard).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (hazard, count) in &other.0 {
            *self.0.entry(hazard).or_default() += count;
        }
    }

    /// Those that never occurred.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        ALL.into_iter().filter(|hazard| !self.0.contains_key(hazard)).collect()
    }
}

impl fmt::Display for Hazards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for hazard in ALL {
            writeln!(f, "{:>10}  {hazard}", self.0.get(hazard).copied().unwrap_or_default())?;
        }
        Ok(())
    }
}
