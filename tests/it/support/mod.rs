//! What the tests are written with: the program as a process, its documents in and out, and the stand-ins around it.

mod document;
mod events;
mod log;
mod meanwhile;
mod program;
mod shared;
mod stage;

pub(crate) use document::{Definition, Stanza};
pub(crate) use events::{Event, messages, same};
#[cfg(feature = "streaming")]
pub(crate) use log::has_the_members_of_streamed;
pub(crate) use log::{normal, streamed};
pub(crate) use meanwhile::meanwhile;
pub(crate) use program::{Ended, Program, Running};
pub(crate) use shared::shared;
pub(crate) use stage::{Input, List, Object, Stage, epoch_millis};
