//! The engine, and what time it is for it.
//!
//! Owns the lock around the rules, which is held for no longer than a call of theirs, and the two
//! clocks that they are given. Whoever tells the engine something wakes the loop that carries out
//! what it says.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use meridian_clock::{Clock, Region};
use meridian_replication::{Action, Agent, Freshness, Now};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The rules of replication, and of how old an answer may be.
pub(crate) struct Engine {
    agent: Mutex<Agent>,
    freshness: Mutex<Freshness>,
    clock: Arc<dyn Clock>,
    begun: Instant,
    agent_told: Notify,
    freshness_told: Notify,
}

// === impl Engine ===

impl Engine {
    pub(crate) fn new(agent: Agent, freshness: Freshness, clock: Arc<dyn Clock>) -> Self {
        Self {
            agent: Mutex::new(agent),
            freshness: Mutex::new(freshness),
            clock,
            begun: Instant::now(),
            agent_told: Notify::new(),
            freshness_told: Notify::new(),
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            elapsed: self.begun.elapsed(),
            millis: self.clock.now_millis(),
        }
    }

    /// Tells the agent something, and has what follows carried out.
    pub(crate) fn tell<T>(&self, tell: impl FnOnce(&mut Agent, Now) -> T) -> T {
        let now = self.now();
        let told = tell(&mut self.agent(), now);
        self.agent_told.notify_one();
        told
    }

    /// Looks at the agent.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Agent, Now) -> T) -> T {
        look(&self.agent(), self.now())
    }

    /// What is to be done, and when to look again though nothing is told.
    pub(crate) fn poll(&self) -> (Vec<Action>, Option<Duration>) {
        let now = self.now();
        let mut agent = self.agent();
        let actions = agent.poll(now);
        (actions, agent.wake(now))
    }

    /// Returns when something was told, or this moment comes.
    pub(crate) async fn wait(&self, wake: Option<Duration>) {
        self.either(&self.agent_told, wake).await;
    }

    /// Which regions are to be asked how far they are, and when to look again.
    pub(crate) fn poll_freshness(&self) -> (Vec<Region>, Option<Duration>) {
        let now = self.now();
        let mut freshness = self.freshness();
        let due = freshness.poll(now);
        (due, freshness.wake())
    }

    /// Tells the judge of freshness something.
    pub(crate) fn tell_freshness<T>(&self, tell: impl FnOnce(&mut Freshness, Now) -> T) -> T {
        let now = self.now();
        let told = tell(&mut self.freshness(), now);
        self.freshness_told.notify_one();
        told
    }

    /// Looks at the judge of freshness.
    pub(crate) fn look_at_freshness<T>(&self, look: impl FnOnce(&Freshness, Now) -> T) -> T {
        look(&self.freshness(), self.now())
    }

    /// The same as [`wait`](Self::wait), for what is told of freshness.
    pub(crate) async fn wait_for_freshness(&self, wake: Option<Duration>) {
        self.either(&self.freshness_told, wake).await;
    }

    async fn either(&self, told: &Notify, wake: Option<Duration>) {
        match wake {
            None => told.notified().await,
            Some(wake) => tokio::select! {
                () = told.notified() => {}
                () = tokio::time::sleep_until(self.begun + wake) => {}
            },
        }
    }

    fn agent(&self) -> MutexGuard<'_, Agent> {
        self.agent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn freshness(&self) -> MutexGuard<'_, Freshness> {
        self.freshness
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
