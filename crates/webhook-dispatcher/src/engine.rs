//! The engine, for whoever tells it something or asks.
//!
//! Owns its lock, which is held for no longer than the rules take, and that whoever carries out what follows is woken.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use meridian_clock::Clock;
use meridian_delivery::{Dispatcher, Effect};
use tokio::sync::Notify;

/// The engine, and what time it is for it.
pub(crate) struct Engine {
    dispatcher: Mutex<Dispatcher>,
    clock: Arc<dyn Clock>,
    told: Notify,
}

// === impl Engine ===

impl Engine {
    pub(crate) fn new(dispatcher: Dispatcher, clock: Arc<dyn Clock>) -> Self {
        Self {
            dispatcher: Mutex::new(dispatcher),
            clock,
            told: Notify::new(),
        }
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.now_millis()
    }

    /// Tells it something, and has what follows carried out.
    pub(crate) fn tell<T>(&self, tell: impl FnOnce(&mut Dispatcher, u64) -> T) -> T {
        let now = self.now();
        let told = tell(&mut self.dispatcher(), now);
        self.told.notify_one();
        told
    }

    /// Looks at it.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Dispatcher) -> T) -> T {
        look(&self.dispatcher())
    }

    /// What is to be done, and how long to wait before the next look though nothing is told.
    pub(crate) fn poll(&self) -> (Vec<Effect>, Duration) {
        let now = self.now();
        let mut dispatcher = self.dispatcher();
        let effects = dispatcher.poll(now);
        let wait = Duration::from_millis(dispatcher.wake().saturating_sub(now));
        (effects, wait)
    }

    /// Waits until it is told something.
    pub(crate) async fn told(&self) {
        self.told.notified().await;
    }

    fn dispatcher(&self) -> MutexGuard<'_, Dispatcher> {
        self.dispatcher
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
