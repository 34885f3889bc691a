//! Requests that a service refuses as wrong (400), though only their range is: it lies before what the service keeps.

use super::{Ask, CollectError, End, Outside, Poll};
use crate::cursor::{Refused, Window};

impl<O: Outside> Poll<'_, O> {
    /// A window was refused. What is too old is given up and told; nothing newer is.
    pub(super) fn refuse(&mut self, ask: &Ask, error: CollectError) -> Result<Option<End>, CollectError> {
        if self.cursor().cannot_look_behind(ask) {
            self.save()?;
            return Ok(None);
        }
        if ask.skips() {
            return self.leave(ask, &error.to_string());
        }
        let now = self.outside.now();
        match self.cursor().refused(ask, now) {
            Refused::NotForItsAge => Err(error),
            Refused::Divided => Ok(None),
            Refused::Dropped(window) => {
                let so_far = self.too_old.take().map_or(window, |(so_far, _)| so_far);
                let joined = Window { lo: so_far.lo.min(window.lo), hi: so_far.hi.max(window.hi) };
                self.too_old = Some((joined, error.to_string()));
                self.save()?;
                Ok(None)
            }
        }
    }

    /// Says once what a poll could not read for its age.
    pub(super) fn tell_of_refusal(&mut self) {
        let Some((Window { lo, hi: Some(hi) }, said)) = self.too_old.take() else { return };
        log::warn!(
            "{}: the service refuses to list what was updated from {lo} to {hi} ({} days), though it lists what is newer: it does not \
             keep it any longer, it seems; nothing was read of that time, nor will be: {said}",
            self.input,
            hi.since(lo).as_secs().div_ceil(86_400),
        );
    }
}
