//! Waiting until a full disk has room again.
//!
//! Owns what becomes of a write that found no space: nothing of it was kept, so it is tried again,
//! until it fits or the service stops. Keeps the invariant that this is true of no other failure: a
//! sync that failed is never tried again, and neither is a write that failed otherwise. Nobody waits
//! before the service has come to life: a start without room fails, and says why.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Between two attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Who waits for room, and until when. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patience(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    begun: AtomicBool,
    stopped: CancellationToken,
    waiting: AtomicUsize,
}

/// A write that waits for room.
#[derive(Debug)]
pub(crate) struct Wait {
    shared: Arc<Shared>,
    what: &'static str,
    pause: Duration,
}

/// Whether a write failed for want of space, which may come back.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

// === impl Patience ===

impl Patience {
    /// From now on it is worth waiting.
    pub(crate) fn begin(&self) {
        self.0.begun.store(true, Ordering::SeqCst);
    }

    /// Nobody waits any longer.
    pub(crate) fn end(&self) {
        self.0.stopped.cancel();
    }

    /// Whether a write waits now.
    pub(crate) fn is_tried(&self) -> bool {
        self.0.waiting.load(Ordering::SeqCst) > 0
    }

    /// A first attempt to write `what` found no space; `None` if waiting is no use.
    pub(crate) fn wait(&self, what: &'static str) -> Option<Wait> {
        if !self.0.begun.load(Ordering::SeqCst) || self.0.stopped.is_cancelled() {
            return None;
        }
        tracing::warn!(
            "{what} waits for room on a full disk: nothing is lost, but nothing is accepted either"
        );
        self.0.waiting.fetch_add(1, Ordering::SeqCst);
        Some(Wait {
            shared: Arc::clone(&self.0),
            what,
            pause: FIRST_PAUSE,
        })
    }

    /// Writes `what`, again and again while there is no space. For threads that may block.
    pub(crate) fn insist<T>(
        &self,
        what: &'static str,
        write: impl Fn() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut wait: Option<Wait> = None;
        loop {
            let error = match write() {
                Err(error) if is_full(&error) => error,
                outcome => {
                    if let (Some(wait), Ok(_)) = (wait, &outcome) {
                        Wait::end_well(wait);
                    }
                    return outcome;
                }
            };
            wait = wait.or_else(|| self.wait(what));
            let is_worth_it = wait.as_mut().is_some_and(Wait::block);
            if !is_worth_it {
                return Err(error);
            }
        }
    }
}

// === impl Wait ===

impl Wait {
    /// Lets some time pass. Returns whether it is worth another attempt.
    pub(crate) async fn pass(&mut self) -> bool {
        let pause = self.next();
        let stopped = self.shared.stopped.cancelled();
        tokio::time::timeout(pause, stopped).await.is_err()
    }

    /// The write fits by now.
    pub(crate) fn end_well(self) {
        tracing::info!("room is back: {} goes on", self.what);
    }

    fn block(&mut self) -> bool {
        std::thread::sleep(self.next());
        !self.shared.stopped.is_cancelled()
    }

    fn next(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.shared.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn full() -> io::Error {
        io::ErrorKind::StorageFull.into()
    }

    #[test]
    fn a_write_without_space_is_tried_again_until_it_fits() {
        let patience = Patience::default();
        patience.begin();
        let left = Cell::new(3);
        let written = patience.insist("a test", || {
            assert_eq!(patience.is_tried(), left.get() < 3);
            left.set(left.get() - 1);
            if left.get() > 0 { Err(full()) } else { Ok(7) }
        });
        assert_eq!(written.unwrap(), 7);
        assert!(!patience.is_tried());
    }

    #[test]
    fn no_other_failure_is_tried_again() {
        let patience = Patience::default();
        patience.begin();
        let tries = Cell::new(0);
        let failed = patience.insist("a test", || {
            tries.set(tries.get() + 1);
            Err::<(), _>(io::Error::other("a failed sync"))
        });
        assert!(failed.is_err());
        assert_eq!(tries.get(), 1);
    }

    #[test]
    fn nobody_waits_before_the_start_nor_after_the_end() {
        let patience = Patience::default();
        assert!(patience.insist("a test", || Err::<(), _>(full())).is_err());
        patience.begin();
        patience.end();
        assert!(patience.insist("a test", || Err::<(), _>(full())).is_err());
        assert!(!patience.is_tried());
    }

    #[tokio::test]
    async fn the_end_wakes_who_waits() {
        let patience = Patience::default();
        patience.begin();
        let mut wait = patience.wait("a test").unwrap();
        patience.end();
        assert!(!wait.pass().await);
    }
}
