//! One request and its response.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::time::Instant;

use super::pulse::Pulse;
use super::refusal::Refusal;

/// What the parts of one exchange tell each other. The exchange ends when the last of them is
/// dropped: the service's future, the response body, and the request body, which a service may
/// keep longer than it answers.
#[derive(Debug)]
pub(super) struct Exchange {
    pulse: Arc<Pulse>,
    fault: OnceLock<Refusal>,
    untaken: Mutex<Option<Instant>>,
}

// === impl Exchange ===

impl Exchange {
    pub(super) const fn new(pulse: Arc<Pulse>) -> Self {
        Self {
            pulse,
            fault: OnceLock::new(),
            untaken: Mutex::new(None),
        }
    }

    /// The connection that it is on.
    pub(super) const fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    /// Something is wrong with the request body; the first fault counts.
    pub(super) fn fault(&self, why: Refusal) {
        self.fault.get_or_init(|| why);
    }

    pub(super) fn faulted(&self) -> Option<Refusal> {
        self.fault.get().copied()
    }

    /// The response body was asked for more. If it gave, the next move is the client's, which
    /// has to make room; if not, it is the service's.
    pub(super) fn gave(&self, gave: bool, now: impl FnOnce() -> Instant) {
        *self.untaken() = gave.then(now);
    }

    /// Since when the client makes no room for what there is.
    pub(super) fn untaken_since(&self) -> Option<Instant> {
        *self.untaken()
    }

    fn untaken(&self) -> MutexGuard<'_, Option<Instant>> {
        self.untaken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.pulse.end_exchange(Instant::now());
    }
}
