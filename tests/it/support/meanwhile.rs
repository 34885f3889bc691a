//! The world goes on while a test works.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Does something again and again, on a thread of its own, until the work is done or has panicked.
pub(crate) fn meanwhile<T>(mut again: impl FnMut() + Send, work: impl FnOnce() -> T) -> T {
    /// Says that it is over when it is dropped: after a panic too, or the panic would wait for the thread for ever.
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                again();
            }
        });
        let _over = Over(&over);
        work()
    })
}

#[test]
fn a_panic_ends_it() {
    let panicked = std::panic::catch_unwind(|| meanwhile(thread::yield_now, || panic!("the work failed")));
    assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"the work failed"));
    assert_eq!(meanwhile(thread::yield_now, || 1), 1);
}
