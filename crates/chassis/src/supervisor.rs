//! Who owns the tasks of a process, and how they end.
//!
//! Owns the life of every long-lived task and the order of a shutdown. Keeps two invariants: no
//! task runs without a name, and a process with a dead service stops as a whole, so that its
//! orchestrator restarts it instead of letting it limp. Leaves to the services what they do when
//! their token is cancelled, and to [`signals`](crate::signals) what asks for a stop.
//!
//! ```text
//! stop asked for, or a service ended
//!   └─ readiness false ── notice passes ── leaving_token() cancelled: hand over what others can do
//!        └─ that is done ── token() cancelled: stop accepting, drain
//!        └─ services and their children ended ── background_token() cancelled: flush, step down
//!             └─ background ended, or grace is over: who still runs is named and aborted
//! ```

mod roster;
mod spawner;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::health::Readiness;
use crate::metrics::Metrics;
use roster::{Roster, Stage};

pub use roster::TaskFailed;
pub use spawner::{Spawner, TaskName};

/// As good as for ever.
const LONGEST_GRACE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What a supervised service returns.
pub type TaskResult = Result<(), Box<dyn Error + Send + Sync>>;

/// Owns every long-lived task of a process.
#[derive(Debug)]
pub struct Supervisor {
    spawner: Spawner,
    readiness: Readiness,
    metrics: Metrics,
    notice: Duration,
}

// === impl Supervisor ===

impl Default for Supervisor {
    fn default() -> Self {
        Self {
            spawner: Spawner::new(Arc::new(Roster::default())),
            readiness: Readiness::default(),
            metrics: Metrics::default(),
            notice: Duration::ZERO,
        }
    }
}

impl Supervisor {
    /// A supervisor without tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `notice` pass between "not ready" and "stops accepting", so that load balancers stop
    /// sending before connections are refused. Zero by default.
    #[must_use]
    pub const fn with_notice(mut self, notice: Duration) -> Self {
        self.notice = notice;
        self
    }

    /// Cancelled when services are to stop accepting and to drain.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.spawner.token()
    }

    /// Cancelled when a stop is asked for, while services still accept: what others can do is handed over to them,
    /// and they answer.
    #[must_use]
    pub fn leaving_token(&self) -> CancellationToken {
        self.spawner.leaving_token()
    }

    /// Cancelled when every service has ended: what they stood on may stop.
    #[must_use]
    pub fn background_token(&self) -> CancellationToken {
        self.spawner.background_token()
    }

    /// The readiness of this process. False until [`Supervisor::run`] begins, and again from the
    /// moment a stop is asked for.
    #[must_use]
    pub const fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// What this process counts.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// A handle with which long-lived parts start further tasks at run time.
    #[must_use]
    pub fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }

    /// Starts a service: it runs until [`Supervisor::token`] is cancelled. If it ends earlier,
    /// for whatever reason, the shutdown of all begins.
    pub fn spawn<F>(&self, name: impl Into<TaskName>, task: F) -> AbortHandle
    where
        F: Future<Output = TaskResult> + Send + 'static,
    {
        self.spawner.spawn(name, task)
    }

    /// Starts what hands over to others: it runs until [`Supervisor::leaving_token`] is cancelled, and then as long as
    /// that takes, but no longer than half of the grace. If it ends earlier, the shutdown of all begins.
    pub fn spawn_leaving<F>(&self, name: impl Into<TaskName>, task: F) -> AbortHandle
    where
        F: Future<Output = TaskResult> + Send + 'static,
    {
        self.spawner.spawn_leaving(name, task)
    }

    /// Starts what services stand on: it runs until [`Supervisor::background_token`] is
    /// cancelled. If it ends earlier, the shutdown of all begins.
    pub fn spawn_background<F>(&self, name: impl Into<TaskName>, task: F) -> AbortHandle
    where
        F: Future<Output = TaskResult> + Send + 'static,
    {
        self.spawner.spawn_background(name, task)
    }

    /// Runs until `stop` resolves or a service ends, then ends all tasks in order, within `grace`.
    ///
    /// Handing over may use a half of `grace`, and services three quarters of it; what is left belongs to the
    /// background, so that a client that drains slowly cannot cost a flush.
    ///
    /// # Errors
    ///
    /// The first failure seen, or [`TaskFailed::Lingering`].
    pub async fn run(
        self,
        stop: impl Future<Output = ()>,
        grace: Duration,
    ) -> Result<(), TaskFailed> {
        let token = self.token();
        self.readiness.open();
        tokio::select! {
            () = stop => tracing::info!("asked to stop"),
            () = token.cancelled() => {}
        }
        self.readiness.close();
        if !token.is_cancelled() {
            tokio::time::sleep(self.notice).await;
        }
        let (now, grace) = (Instant::now(), grace.min(LONGEST_GRACE));
        let roster = self.spawner.roster();
        let mut lingering = Vec::new();
        for (stage, quarters) in [
            (Stage::Leaving, 2),
            (Stage::Serving, 3),
            (Stage::Background, 4),
        ] {
            lingering.extend(roster.end(stage, now + grace / 4 * quarters).await);
        }
        match (roster.take_failure(), lingering.is_empty()) {
            (Some(failure), _) => Err(failure),
            (None, false) => Err(TaskFailed::Lingering(lingering.join(", "))),
            (None, true) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
