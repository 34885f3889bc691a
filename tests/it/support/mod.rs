//! What the tests are written with: the program as a process, its documents in and out, and the stand-ins around it.

mod document;
mod events;
mod log;
mod program;
mod shared;
mod stage;

pub(crate) use document::{Definition, Stanza};
pub(crate) use events::{Event, messages, same};
pub(crate) use log::normal;
pub(crate) use program::{Ended, Program, Running};
pub(crate) use shared::shared;
pub(crate) use stage::{Input, List, Object, Stage, epoch_millis};
