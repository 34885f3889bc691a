//! The thread that asks the service. The one that reports does not wait for it beyond a stop, nor beyond the time there is:
//! an exchange cannot be interrupted, and every row has to be told before the process is ended.

use std::cell::Cell;
use std::collections::HashSet;
use std::panic;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Once};
use std::thread;
use std::time::{Duration, Instant};

use super::outcome::{Done, Outcome, Trace};
use super::plan::Task;
use super::wave::{OUT_OF_TIME, Objects, STOPPED};
use crate::error::Error;
use crate::splunk::stop::Stop;
use crate::splunk::turn::Turn;

/// Between two looks for a stop.
const LOOK: Duration = Duration::from_millis(20);
/// How long after a stop what is under way may take: most exchanges are over by then, and the report needs its time too.
const GRACE: Duration = Duration::from_millis(150);
/// Why nothing more is done after a panic, which stands in the log.
const FAILED: &str = "the program failed";

thread_local! {
    /// On the thread that asks: where it says that it panicked.
    static PANICS: Cell<Option<Sender<Told>>> = const { Cell::new(None) };
}

/// What became of some objects.
pub(super) struct Ends {
    /// By id, those of earlier waves among them.
    pub(super) done: Vec<(String, Done)>,
    /// Why no request can succeed any more.
    pub(super) hopeless: Option<String>,
}

/// What the thread says.
enum Told {
    /// It is not to be waited for after this.
    Until(Instant),
    /// It is ready, and takes so many objects at a time. It is its turn until the end.
    Ready(usize, Option<Turn>),
    /// It cannot begin.
    Unable(Box<Error>),
    /// These tasks are over.
    Ended(Ends),
    /// Nothing more comes.
    Panicked,
}

/// What the thread is asked.
enum Ask {
    /// See [`Objects::change`].
    Change(Arc<Vec<Task>>),
    /// See [`Objects::finish`].
    Finish,
}

pub(super) struct Hand {
    tasks: Sender<Ask>,
    told: Receiver<Told>,
    stop: Stop,
    until: Instant,
    _turn: Option<Turn>,
    /// The ids of the objects that were handed over and have not ended.
    open: HashSet<String>,
    /// Why nobody answers, where that is so.
    gone: Option<String>,
    /// How many objects it takes at a time.
    pub(super) wave: usize,
}

impl Hand {
    /// Begins. The error is why nobody can be asked; then every object fails for that reason. Nothing is waited for after
    /// `until`, or what `begin` tells in its place.
    pub(super) fn new(
        begin: impl FnOnce(&dyn Fn(Instant)) -> Result<(Objects, Option<Turn>), Error> + Send + 'static,
        until: Instant,
        stop: Stop,
    ) -> (Self, Option<Error>) {
        let (tasks, due) = mpsc::channel::<Ask>();
        let (tell, told) = mpsc::channel();
        stay_after_panics();
        thread::spawn(move || {
            PANICS.set(Some(tell.clone()));
            let (mut objects, turn) = match begin(&|until| _ = tell.send(Told::Until(until))) {
                Ok(begun) => begun,
                Err(error) => return drop(tell.send(Told::Unable(Box::new(error)))),
            };
            if tell.send(Told::Ready(objects.wave(), turn)).is_err() {
                return;
            }
            for ask in due {
                let done = match ask {
                    Ask::Change(tasks) => objects.change(&tasks),
                    Ask::Finish => objects.finish(),
                };
                let hopeless = objects.hopeless().map(str::to_owned);
                if tell.send(Told::Ended(Ends { done, hopeless })).is_err() {
                    return;
                }
            }
        });
        let mut hand = Self { tasks, told, stop, until, _turn: None, open: HashSet::new(), gone: None, wave: usize::MAX };
        match hand.hear() {
            Some(Told::Ready(wave, turn)) => (hand.wave, hand._turn) = (wave, turn),
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
        let ids = tasks.iter().map(|task| task.id.clone());
        if let Some(reason) = &self.gone {
            return failed(ids, reason, 0);
        }
        self.open.extend(ids);
        self.ask(Ask::Change(Arc::clone(tasks)))
    }

    /// See [`Objects::finish`].
    pub(super) fn finish(&mut self) -> Ends {
        if self.open.is_empty() {
            return Ends { done: Vec::new(), hopeless: None };
        }
        self.ask(Ask::Finish)
    }

    fn ask(&mut self, ask: Ask) -> Ends {
        let _ = self.tasks.send(ask);
        match (self.hear(), &self.gone) {
            (Some(Told::Ended(ends)), _) => {
                for (id, _) in &ends.done {
                    self.open.remove(id);
                }
                ends
            }
            (_, reason) => {
                let reason = reason.as_deref().unwrap_or(FAILED);
                failed(self.open.drain(), &format!("{reason} while it was being changed; look at the object"), 1)
            }
        }
    }

    /// What the thread says next; nothing where it is gone, or busy beyond a stop or the time there is.
    fn hear(&mut self) -> Option<Told> {
        let mut stopped = None;
        let reason = loop {
            match self.told.recv_timeout(LOOK) {
                Ok(Told::Until(until)) => self.until = until,
                Ok(Told::Panicked) | Err(RecvTimeoutError::Disconnected) => break FAILED,
                Ok(told) => return Some(told),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.stop.requested() && stopped.get_or_insert_with(Instant::now).elapsed() > GRACE {
                break STOPPED;
            }
            if Instant::now() >= self.until {
                break OUT_OF_TIME;
            }
        };
        self.gone = Some(reason.to_owned());
        None
    }
}

/// In a release a panic ends the whole process (`panic = "abort"`), and with it all rows that are still to be told. The end
/// comes after the hook, so the thread that asks stays there, once it has said that it panicked.
fn stay_after_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Elsewhere the thread ends, and its end of the channel with it.
        if !cfg!(panic = "abort") {
            return;
        }
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            before(panic);
            if let Some(tell) = PANICS.take() {
                let _ = tell.send(Told::Panicked);
                loop {
                    thread::park();
                }
            }
        }));
    });
}

fn failed(ids: impl Iterator<Item = String>, reason: &str, attempts: u32) -> Ends {
    let trace = Trace { attempts, ..Trace::default() };
    let done = Done { outcome: Outcome::Failed(reason.to_owned()), trace };
    Ends { done: ids.map(|id| (id, done.clone())).collect(), hopeless: None }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::microsoft::cloud::What;
    use crate::microsoft::update::{Change, Wanted};

    fn tasks() -> Arc<Vec<Task>> {
        let wanted = Wanted { status: "resolved", ..Wanted::default() };
        let change = Change::parse(What::Alerts, &wanted).unwrap();
        Arc::new(vec![Task { id: "a".to_owned(), change, seen: None }])
    }

    fn told(hand: &mut Hand) -> String {
        match &hand.change(&tasks()).done[..] {
            [(_, Done { outcome: Outcome::Failed(reason), .. })] => reason.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nobody_waits_for_a_thread_that_is_gone_or_busy() {
        let later = Instant::now() + Duration::from_secs(3600);
        let (mut hand, error) = Hand::new(|_| panic!("a fault of the program, planted by a test"), later, Stop::new());
        assert_eq!((told(&mut hand).as_str(), error.is_none()), (FAILED, true));
        let busy = |_: &dyn Fn(Instant)| loop {
            thread::park();
        };
        let (mut hand, _) = Hand::new(busy, Instant::now(), Stop::new());
        assert_eq!(told(&mut hand), OUT_OF_TIME);
        let told_late = |end: &dyn Fn(Instant)| {
            end(Instant::now());
            loop {
                thread::park();
            }
        };
        let (mut hand, _) = Hand::new(told_late, later, Stop::new());
        assert_eq!(told(&mut hand), OUT_OF_TIME);
        let stop = Stop::new();
        stop.request();
        let (mut hand, _) = Hand::new(busy, later, stop);
        assert_eq!(told(&mut hand), STOPPED);
        let (mut hand, error) = Hand::new(|_| Err(Error::AtWork("s1".to_owned())), later, Stop::new());
        let reason = "another run of this action for the search job s1 is at work; what it does is in its own results";
        assert_eq!((told(&mut hand), error.unwrap().full()), (reason.to_owned(), reason.to_owned()));
    }
}
