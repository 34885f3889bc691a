//! What the tests are written with: the program as a process, its documents in and out, and the stand-ins around it.

mod document;
mod events;
mod log;
mod program;
mod shared;

pub(crate) use document::{Definition, Stanza};
pub(crate) use events::{Event, messages};
pub(crate) use log::{Line, normal};
pub(crate) use program::{Ended, Program, Running};
pub(crate) use shared::shared;
