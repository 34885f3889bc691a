//! Which clock a poll believes. An hour that is taken for over too early is one whose records come late or never, so of the service's
//! clock and this machine's the one that is behind says what is over, and the one that is ahead how far there may be news.

use std::time::Duration;

use log::Level;

use super::{Outside, Poll, TOLD_AGAIN};
use crate::blobs::cursor::Hour;
use crate::blobs::finished;
use crate::blobs::position;
use crate::planted::{Planted, planted};
use crate::time::Ticks;

/// Clocks that are further apart are told of.
const APART: Duration = Duration::from_secs(60);

impl<O: Outside> Poll<'_, O> {
    /// When a list began, by the clock that is behind and by the one that is ahead.
    pub(super) fn clocks(&mut self, there: Option<Ticks>, here: Ticks) -> (Ticks, Ticks) {
        self.dated = there.is_some();
        let Some(there) = there else { return (here, here) };
        let (behind, ahead) = (there.min(here), there.max(here));
        if ahead.since(behind) > APART {
            let text = format!(
                "the clock of this machine says {}, and the service's {}: no hour is over before both say so; set the wrong one",
                here.ceil_ms(),
                there.ceil_ms()
            );
            self.tell("clock", Level::Warn, &text, TOLD_AGAIN);
        }
        if planted(Planted::BlobsClockThereBelieved) {
            (there, there)
        } else if planted(Planted::BlobsClockHereBelieved) {
            (here, here)
        } else {
            (behind, ahead)
        }
    }

    /// Where a container begins that is met for the first time. The position's start was found with this machine's clock alone; the
    /// first dated answer of the first poll tells whether that is ahead.
    pub(super) fn start(&mut self) -> Option<Hour> {
        if self.begins {
            let believed = position::start(self.input, self.clock);
            if believed < self.position.start {
                self.position.start = believed;
            }
        }
        self.position.start
    }

    /// Takes containers back that began where a clock said which the first dated answer tells to be ahead.
    pub(super) fn confirm_start(&mut self) {
        if !self.begins || !self.dated {
            return;
        }
        let start = self.start();
        self.begins = false;
        let Some(start) = start else { return };
        let begun: Vec<String> = self.position.containers.keys().cloned().collect();
        for container in begun {
            if self.cursor(&container).floor().is_some_and(|floor| floor > start) {
                self.go_back(&container, start);
            }
        }
    }

    fn go_back(&mut self, container: &str, floor: Hour) {
        let ended = self.ends(container).take_from(floor);
        self.cursor(container).go_back(floor, ended);
        self.unkept = true;
    }

    /// Takes back that hours are finished which both clocks say are yet to come: an earlier run believed one that was wrong.
    pub(super) fn take_back_the_future(&mut self, container: &str, behind: Ticks, ahead: Ticks) {
        let next = Hour(Hour::of(ahead).0 + 1);
        if self.cursor(container).floor().is_none_or(|floor| floor <= next) {
            return;
        }
        if self.position.start.is_some_and(|start| start > next) {
            // As if the input began now, which is the nearest to its beginning that is known.
            let now = Hour::of(behind);
            self.position.start = Some(position::start(self.input, behind).map_or(now, |start| start.min(now)));
        }
        let kept = Hour::of(behind.minus(self.input.lookback).minus(finished::KEPT));
        let floor = self.position.start.map_or(kept, |start| start.max(kept));
        self.go_back(container, floor);
        log::warn!(
            "{}: {container}: a clock that was ahead had finished hours that are yet to come; it is read again from {} on, and some \
             records may come again",
            self.input,
            floor.begin()
        );
    }
}
