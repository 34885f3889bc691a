//! The thread that asks the service. The one that reports does not wait for it beyond a stop: an exchange cannot be
//! interrupted, and every row has to be told before the process is ended.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::outcome::{Done, Outcome, Trace};
use super::plan::Task;
use super::wave::{Objects, STOPPED};
use crate::error::Error;
use crate::splunk::stop::Stop;

/// Between two looks for a stop.
const LOOK: Duration = Duration::from_millis(20);
/// How long after a stop what is under way may take: most exchanges are over by then, and the report needs its time too.
const GRACE: Duration = Duration::from_millis(150);
/// Why nothing more is done after a panic, which stands in the log.
const FAILED: &str = "the program failed";

/// What became of some objects.
pub(super) struct Ends {
    /// In the order of the tasks.
    pub(super) done: Vec<Done>,
    /// Why no request can succeed any more.
    pub(super) hopeless: Option<String>,
}

/// What the thread says.
enum Told {
    /// It is ready, and takes so many objects at a time.
    Ready(usize),
    /// It cannot begin.
    Unable(Box<Error>),
    /// These tasks are over.
    Ended(Ends),
}

pub(super) struct Hand {
    tasks: Sender<Arc<Vec<Task>>>,
    told: Receiver<Told>,
    stop: Stop,
    /// Why nobody answers, where that is so.
    gone: Option<String>,
    /// How many objects it takes at a time.
    pub(super) wave: usize,
}

impl Hand {
    /// Begins. The error is why nobody can be asked; then every object fails for that reason.
    pub(super) fn new(begin: impl FnOnce() -> Result<Objects, Error> + Send + 'static, stop: Stop) -> (Self, Option<Error>) {
        let (tasks, due) = mpsc::channel::<Arc<Vec<Task>>>();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let mut objects = match begin() {
                Ok(objects) => objects,
                Err(error) => return drop(tell.send(Told::Unable(Box::new(error)))),
            };
            if tell.send(Told::Ready(objects.wave())).is_err() {
                return;
            }
            for tasks in due {
                let done = objects.change(&tasks);
                let hopeless = objects.hopeless().map(str::to_owned);
                if tell.send(Told::Ended(Ends { done, hopeless })).is_err() {
                    return;
                }
            }
        });
        let mut hand = Self { tasks, told, stop, gone: None, wave: usize::MAX };
        match hand.hear() {
            Some(Told::Ready(wave)) => hand.wave = wave,
            Some(Told::Unable(error)) => {
                hand.gone = Some(error.full());
                return (hand, Some(*error));
            }
            _ => {}
        }
        (hand, None)
    }

    /// See [`Objects::change`].
    pub(super) fn change(&mut self, tasks: &Arc<Vec<Task>>) -> Ends {
        if tasks.is_empty() {
            return Ends { done: Vec::new(), hopeless: None };
        }
        if let Some(reason) = &self.gone {
            return failed(tasks, reason, 0);
        }
        let _ = self.tasks.send(Arc::clone(tasks));
        match (self.hear(), &self.gone) {
            (Some(Told::Ended(ends)), _) => ends,
            (_, reason) => {
                let reason = reason.as_deref().unwrap_or(FAILED);
                failed(tasks, &format!("{reason} while it was being changed; look at the object"), 1)
            }
        }
    }

    /// What the thread says next; nothing where it is gone, or busy beyond a stop.
    fn hear(&mut self) -> Option<Told> {
        let mut stopped = None;
        loop {
            match self.told.recv_timeout(LOOK) {
                Ok(told) => return Some(told),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.gone = Some(FAILED.to_owned());
                    return None;
                }
            }
            if self.stop.requested() && stopped.get_or_insert_with(Instant::now).elapsed() > GRACE {
                self.gone = Some(STOPPED.to_owned());
                return None;
            }
        }
    }
}

fn failed(tasks: &[Task], reason: &str, attempts: u32) -> Ends {
    let trace = Trace { attempts, ..Trace::default() };
    let done = Done { outcome: Outcome::Failed(reason.to_owned()), trace };
    Ends { done: vec![done; tasks.len()], hopeless: None }
}
