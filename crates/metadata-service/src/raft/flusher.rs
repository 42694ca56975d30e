//! The thread that flushes the state.
//!
//! Owns the priority of a flush, which is low. All members of a group flush at about the same time, and
//! each flush is a burst of work that nobody waits for, beside commits, reads and events that somebody
//! does. Keeps the invariant that there is one flush at a time, and none when the thread's owner is gone.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::patience::Patience;
use crate::state::State;

/// By how much the priority is lowered: it gets a quarter of a CPU that one other wants as well. With
/// less, a flush could take so long that commits wait for it.
const NICE: i32 = 5;

/// Where the end of a flush is told.
type Done = oneshot::Sender<io::Result<()>>;

/// The thread, and the flush that it was asked for last.
pub(super) struct Flusher {
    /// Taken when it is dropped, which ends the thread.
    requests: Option<SyncSender<Done>>,
    patience: Patience,
    thread: Option<JoinHandle<()>>,
    flush: Option<oneshot::Receiver<io::Result<()>>>,
}

fn broken_off() -> io::Error {
    io::Error::other("the flush of the state has broken off")
}

fn run(state: &State, requests: &Receiver<Done>) {
    // Where it is not allowed, a flush is as important as all else.
    let _priority = rustix::process::nice(NICE);
    for done in requests {
        // Whoever asked may have gone away.
        let _ = done.send(state.flush());
    }
}

// === impl Flusher ===

impl Flusher {
    /// With the patience of the state where the disk is full.
    pub(super) fn start(state: State, patience: Patience) -> io::Result<Self> {
        let (requests, asked) = sync_channel(1);
        let thread = std::thread::Builder::new().name("metadata-flush".into());
        let thread = thread.spawn(move || run(&state, &asked))?;
        Ok(Self {
            requests: Some(requests),
            patience,
            thread: Some(thread),
            flush: None,
        })
    }

    /// Begins a flush. The one before it is over.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        let (done, flush) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or_else(broken_off)?;
        requests.try_send(done).map_err(|_| broken_off())?;
        self.flush = Some(flush);
        Ok(())
    }

    /// How the last flush has ended, if it has; well, if there was none since this was asked.
    pub(super) fn outcome(&mut self) -> Option<io::Result<()>> {
        let Some(flush) = &mut self.flush else {
            return Some(Ok(()));
        };
        let outcome = match flush.try_recv() {
            Ok(outcome) => outcome,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Closed) => Err(broken_off()),
        };
        self.flush = None;
        Some(outcome)
    }

    /// Waits until the last flush has ended.
    pub(super) async fn ends(&mut self) -> io::Result<()> {
        match self.flush.take() {
            Some(flush) => flush.await.unwrap_or_else(|_| Err(broken_off())),
            None => Ok(()),
        }
    }
}

impl Drop for Flusher {
    /// Waits for the flush that goes on, but not for room on the disk: after it, another process may
    /// open the file.
    fn drop(&mut self) {
        self.patience.end();
        drop(self.requests.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the flusher of the state panicked");
        }
    }
}
