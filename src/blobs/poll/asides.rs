//! What a poll does with blobs that cannot be read: they are set aside and told, everything else is read, and they are tried again.

use std::time::Duration;

use log::Level;

use super::reading::Read;
use super::{BlobsError, Halt, Outside, Poll, with_remedy};
use crate::blobs::aside::{self, Aside};
use crate::blobs::cursor::{Mark, Stretch};
use crate::masking::foreign_text;
use crate::microsoft::storage::{Failure, StorageError};
use crate::planted::{Planted, planted};

/// After so many blobs in a row that failed as if the service did, the container is left for this poll.
const FAILURES_IN_A_ROW: u32 = 3;
/// What is left aside is told of again after this time.
const TOLD_AGAIN: Duration = Duration::from_secs(86_400);
/// What those that are left aside are told of as.
const ASIDE: &str = "aside";

impl<O: Outside> Poll<'_, O> {
    /// Whether a blob is left aside.
    pub(super) fn is_aside(&self, container: &str, name: &str) -> bool {
        self.finished.containers.get(container).is_some_and(|ends| ends.aside.contains_key(name))
    }

    /// Leaves a blob for a later poll, without a word.
    pub(super) fn keep_aside(&mut self, container: &str, stretch: &Stretch) -> Result<(), Halt> {
        let name = &stretch.name;
        if planted(Planted::BlobsAsideForgotten) {
            self.cursor(container).read(name, stretch.to, stretch.to);
            self.ends(container).read(name, stretch.to, stretch.to);
            return Ok(());
        }
        if self.finished.aside() >= aside::MOST && !self.is_aside(container, name) {
            return Ok(());
        }
        let now = self.clock;
        let left = self.cursor(container).mark(name).cloned().unwrap_or_else(|| Mark::of(stretch));
        self.unkept = true;
        self.fresh.insert((container.to_owned(), name.clone()));
        self.ends(container).set_aside(name, left, now);
        Ok(())
    }

    /// Leaves a blob that failed for a later poll, and tells of it once.
    ///
    /// # Errors
    /// The failure, where the container is to be left: after several of a kind that the service may be at fault for, and where no
    /// more can be kept.
    pub(super) fn set_aside(&mut self, container: &str, stretch: &Stretch, error: Box<StorageError>) -> Result<Read, Halt> {
        let name = &stretch.name;
        let is_known = self.is_aside(container, name);
        if planted(Planted::BlobsOneKeepsAll) || (self.finished.aside() >= aside::MOST && !is_known) {
            return Err(error.into());
        }
        self.keep_aside(container, stretch)?;
        // What passes by itself is told when it did not.
        let is_lasting = error.is_permanent();
        let aside = self.finished.containers.get_mut(container).and_then(|ends| ends.aside.get_mut(name));
        match aside.map(|aside| (aside.is_to_be_told(is_lasting), aside.next().ceil_ms())) {
            Some((true, next)) => {
                self.tell_aside(&format!("{}; it is left aside and tried again from {next} on", with_remedy(&error)));
            }
            Some((false, _)) => log::debug!("{}: {error}", self.input),
            None if planted(Planted::BlobsAsideForgotten) => {}
            None => log::error!("{}: {}; it is given up: what it holds is not read", self.input, with_remedy(&error)),
        }
        if error.is_of_the_way() {
            self.failures += 1;
            if self.failures >= FAILURES_IN_A_ROW {
                return Err(error.into());
            }
        }
        Ok(Read::Aside)
    }

    /// Names a blob, but not more than a few in one poll.
    fn tell_aside(&mut self, text: &str) {
        self.named += 1;
        if self.named <= aside::NAMED {
            log::error!("{}: {text}", self.input);
        } else {
            log::debug!("{}: {text}", self.input);
        }
        let now = self.outside.now();
        self.position.told.insert(ASIDE.to_owned(), now.0);
    }

    /// Counts what is left aside, and tells of it.
    pub(super) fn count_aside(&mut self) {
        self.tally.aside = self.finished.aside();
        if self.named > aside::NAMED {
            log::error!("{}: {} blobs more were left aside", self.input, self.named - aside::NAMED);
        }
        let all = self.finished.containers.iter().flat_map(|(name, ends)| ends.aside.iter().map(move |aside| (name, aside)));
        let told = all.filter(|(_, (_, aside))| aside.is_told()).min_by_key(|(_, (_, aside))| aside.hour());
        if let Some((container, (name, _))) = told {
            let text = format!(
                "{} blobs cannot be read and are left aside, the oldest of them {container}/{}; everything else is read",
                self.tally.aside,
                foreign_text(name)
            );
            self.tell(ASIDE, Level::Error, &text, TOLD_AGAIN);
        }
    }

    /// Tries those blobs of a container again whose time has come.
    pub(super) fn retry(&mut self, container: &str) -> Result<(), Halt> {
        let now = self.clock;
        let Some(ends) = self.finished.containers.get(container).filter(|ends| !ends.aside.is_empty()) else { return Ok(()) };
        let is_fresh = |name: &String| self.fresh.contains(&(container.to_owned(), name.clone()));
        let due = ends.aside.iter().filter(|(name, aside)| aside.is_due(now) && !is_fresh(name));
        let mut due: Vec<(i64, String)> = due.map(|(name, aside)| (aside.next().0, name.clone())).collect();
        due.sort_unstable();
        for (_, name) in due {
            if self.retried >= aside::RETRIED || (self.retried > 0 && self.is_over_for_history()) {
                break;
            }
            self.retried += 1;
            self.held = 0;
            self.retry_one(container, &name)?;
        }
        Ok(())
    }

    fn retry_one(&mut self, container: &str, name: &str) -> Result<(), Halt> {
        let floor = self.cursor(container).floor();
        let Some(mut aside) = self.ends(container).aside.get(name).cloned() else { return Ok(()) };
        let is_last = floor.is_some_and(|floor| aside.hour() < floor);
        let listed = match self.list(container, name, false) {
            Ok(listed) => listed.blobs,
            // It is this name that cannot be listed: the container could.
            Err(Halt::Error(BlobsError::Storage(error)))
                if error.is_about_one() && !matches!(error.failure, Failure::NoContainer) =>
            {
                let stretch = aside.stretch(&aside.listed(name), is_last).0;
                return self.set_aside(container, &stretch, error).map(drop);
            }
            Err(halt) => return Err(halt),
        };
        self.unkept = true;
        let Some(blob) = listed.into_iter().find(|blob| blob.name == name) else {
            self.ends(container).aside.remove(name);
            if aside.is_told() {
                log::warn!("{}: {container}/{} was removed before it could be read", self.input, foreign_text(name));
            }
            return Ok(());
        };
        let (stretch, anew) = aside.stretch(&blob, is_last);
        self.ends(container).aside.insert(name.to_owned(), aside);
        if let Some(was) = anew {
            self.tell_anew(container, &[(name.to_owned(), was)]);
        }
        if stretch.from < stretch.to && self.read(container, &stretch)? != Read::ToItsEnd {
            return Ok(());
        }
        if let Some(aside) = self.ends(container).aside.remove(name) {
            self.take_back(container, name, &aside);
        }
        Ok(())
    }

    /// A blob that was left aside is as any other again.
    fn take_back(&mut self, container: &str, name: &str, aside: &Aside) {
        let mark = aside.mark().clone();
        if self.cursor(container).floor().is_none_or(|floor| floor <= aside.hour()) {
            self.cursor(container).put(name, mark);
        } else {
            let (oldest, now) = (self.oldest_end(), self.clock);
            self.ends(container).add([(name.to_owned(), mark)].into(), oldest, now);
        }
        if aside.is_told() {
            log::info!("{}: {container}/{} can be read again", self.input, foreign_text(name));
        }
    }
}
