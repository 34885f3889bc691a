//! What the two clocks and the newest object say of a poll, and what an admin has to hear of it: once an hour, since a poll is
//! a process of its own and comes every minute.

use super::{CollectError, Outside, Poll, Ticks};
use crate::checkpoint::Lasting;
use crate::cursor::Clocks;

impl<O: Outside> Poll<'_, O> {
    /// Takes note of an answer's clocks. Gives when its look was taken, by the earlier of the two, or earlier.
    pub(super) fn hear(&mut self, date: Option<Ticks>, asked_at: Ticks) -> Option<Ticks> {
        let machine = self.outside.now();
        let clocks = Clocks { service: date, machine, exchange: machine.since(asked_at) };
        if let (Some(service), Some(apart)) = (date, clocks.disagree())
            && self.checkpoint.warned.is_due(Lasting::Clocks, machine)
        {
            let (behind, apart) = (if service < machine { "service" } else { "machine" }, apart.as_secs());
            log::warn!(
                "{}: the clocks are {apart} s apart: this machine says {}, the service {}; nothing counts as read for good that \
                 either calls the future, so what is newer is read again until the {behind}'s clock passes it; set this machine's \
                 clock by NTP, and if it is right, look for a proxy that answers from a cache",
                self.input,
                machine.floor_ms(),
                service.floor_ms(),
            );
        }
        if let Some(mended) = self.checkpoint.cursor.hear(&clocks) {
            if mended.is_told {
                log::warn!(
                    "{}: its position, {}, lay in the future by this machine's clock or the service's, one of which was wrong when it \
                     was made; it reads from {} on, and events that came before may come again; for what is older, make an input of \
                     another name with a `start` before that",
                    self.input,
                    mended.was,
                    mended.from,
                );
            }
            if self.looking.is_none() {
                // The late look's memory vouches for what is newer than the old position.
                self.begin_memory();
            }
        }
        clocks.looked()
    }

    /// Tells, at a poll's end, what keeps it from getting on.
    pub(super) fn tell_of_clocks(&mut self) -> Result<(), CollectError> {
        let now = self.outside.now();
        let cursor = &self.checkpoint.cursor;
        let (forgotten, undated) = (cursor.forgotten(), !cursor.has_looked() && self.tally.requests > 0);
        let (unproven, mut said) = (cursor.unproven(), false);
        if forgotten > 0 && self.checkpoint.warned.is_due(Lasting::Forgotten, now) {
            said = true;
            log::warn!(
                "{}: {forgotten} versions were forgotten, since more came after {} than are remembered; should they be read again, \
                 they come again",
                self.input,
                self.checkpoint.cursor.settled(),
            );
        }
        if undated && self.checkpoint.warned.is_due(Lasting::Undated, now) {
            said = true;
            log::warn!(
                "{}: no answer had a `Date` that can be read, so nothing counts as read for good and each poll reads all after {} \
                 again; look for a proxy that removes the header",
                self.input,
                self.checkpoint.cursor.settled(),
            );
        }
        if unproven > 0 && self.checkpoint.warned.is_due(Lasting::NextPages, now) {
            said = true;
            log::warn!(
                "{}: the service names a next page behind pages that hold nothing, so nobody can say whether all has come; what came \
                 was passed on, and {unproven} ranges of update times are read again until the service answers otherwise: open a case \
                 with Microsoft, or look for a proxy that changes answers",
                self.input,
            );
        }
        if said {
            self.outside.save(self.checkpoint)?;
        }
        Ok(())
    }
}
