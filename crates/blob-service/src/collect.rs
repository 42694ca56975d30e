//! Garbage collection: a reconciler that may stop, crash or run twice at any point.
//!
//! ```text
//! due ----> condemned ----> removed, its object doomed ----> object deleted ----> forgotten
//!  Condemn            Remove                 ^      the store            Deleted
//!                                            |
//!         an object that nothing names ------+
//!                                     Doom
//! ```
//!
//! Owns the order of the steps and the pace. Keeps the invariant that an object is deleted only
//! after the metadata has said, in its log, that nothing names it and nothing ever will again:
//! every candidate is judged there anew, so that a stale view here is harmless. That holds for the
//! orphan sweep, too, which finds what no record ever named. Leaves grace and leases to the metadata service.

mod doomed;
mod judge;
mod report;
mod sweep;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use meridian_blobstore::{BlobStore, StorageError};
use meridian_clients::{Collect, CollectOutcome, MetadataApi, ReadError, WriteError};
use meridian_clock::Clock;
use meridian_error::{Classify, Code, Retry};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

pub use self::report::{
    CollectionPhase, CollectionReport, CollectionStatus, Tally, WouldCollect, WouldRemove,
};
use crate::propose::Proposer;
use crate::upload::Uploads;
use crate::{CollectionConfig, Ports};

/// Collects the garbage of this region's store.
pub(crate) struct Collector {
    store: Arc<dyn BlobStore>,
    metadata: Arc<dyn MetadataApi>,
    clock: Arc<dyn Clock>,
    proposer: Proposer,
    uploads: Arc<Uploads>,
    config: CollectionConfig,
    lifetimes: Lifetimes,
    /// One run at a time in this process; several processes do not harm one another.
    running: tokio::sync::Mutex<()>,
    status: Mutex<CollectionStatus>,
}

/// How old an object must be before it can be an orphan.
pub(crate) struct Lifetimes {
    /// Of an unfinished object since it was last written.
    pub(crate) unfinished: Duration,
    /// Of a finished one.
    pub(crate) finished: Duration,
}

/// Why a run ended early. The next one goes on where it stopped.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The metadata has no answer.
    #[error("garbage collection cannot read the metadata")]
    Read(#[from] ReadError),
    /// A step was refused, or its outcome is unknown.
    #[error("garbage collection cannot record a step")]
    Write(#[from] WriteError),
    /// The store failed.
    #[error("garbage collection cannot use the store")]
    Store(#[from] StorageError),
}

/// Ends a run whose caller has gone away.
struct BrokenOff<'a>(Option<&'a Collector>, bool);

impl Drop for BrokenOff<'_> {
    fn drop(&mut self) {
        if let Some(Collector { clock, status, .. }) = self.0 {
            let mut status = status.lock().unwrap_or_else(PoisonError::into_inner);
            let why = "whoever asked for it has gone away".to_owned();
            status.end(clock.now_millis(), self.1, Some(why));
        }
    }
}

// === impl Collector ===

impl Collector {
    pub(crate) fn new(
        config: CollectionConfig,
        lifetimes: Lifetimes,
        uploads: Arc<Uploads>,
        ports: Ports,
        proposer: Proposer,
    ) -> Self {
        Self {
            store: ports.store,
            metadata: ports.metadata,
            clock: ports.clock,
            proposer,
            uploads,
            config,
            lifetimes,
            running: tokio::sync::Mutex::default(),
            status: Mutex::default(),
        }
    }

    /// Runs by itself until `stop`, for the first time after an interval: a start is busy enough. A
    /// run that is cut short leaves nothing half-made.
    pub(crate) async fn run_until(&self, stop: CancellationToken) {
        let every = self.config.interval;
        let mut timer = interval_at(Instant::now() + every, every);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let runs = async {
            loop {
                timer.tick().await;
                if let Err(error) = self.run(self.sweep_is_due()).await {
                    let error = meridian_error::chain(&error);
                    tracing::warn!(error, "garbage collection stopped early and goes on later");
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = runs => {}
        }
    }

    /// Collects everything whose time has come. With `sweep`, also looks for orphans, which costs
    /// a walk over the whole store.
    pub(crate) async fn run(&self, sweep: bool) -> Result<CollectionReport, CollectError> {
        let _running = self.running.lock().await;
        self.status().begin(self.clock.now_millis());
        let mut broken_off = BrokenOff(Some(self), sweep);
        let outcome = self.steps(sweep).await;
        broken_off.0 = None;
        let failure = outcome
            .as_ref()
            .err()
            .map(|error| meridian_error::chain(error));
        let report = self.status().end(self.clock.now_millis(), sweep, failure);
        outcome.map(|()| {
            if report.did_something() {
                tracing::info!(%report, "garbage was collected");
            }
            report
        })
    }

    /// What goes on, and what went on last.
    pub(crate) fn status(&self) -> MutexGuard<'_, CollectionStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn steps(&self, sweep: bool) -> Result<(), CollectError> {
        self.enter(CollectionPhase::Deleting);
        self.delete_doomed(doomed::of_a_record).await?;
        self.enter(CollectionPhase::Judging);
        self.judge().await?;
        if sweep {
            self.enter(CollectionPhase::Sweeping);
            self.sweep().await?;
        }
        Ok(())
    }

    fn enter(&self, phase: CollectionPhase) {
        self.status().phase = phase;
    }

    fn sweep_is_due(&self) -> bool {
        let now = self.clock.now_millis();
        self.status().last_sweep_millis.is_none_or(|last| {
            Duration::from_millis(now.saturating_sub(last)) >= self.config.sweep_interval
        })
    }

    async fn propose(&self, step: Collect) -> Result<CollectOutcome, WriteError> {
        let collect = |metadata: Arc<dyn MetadataApi>, request| {
            let step = step.clone();
            async move { metadata.collect(step, request).await }
        };
        self.proposer.run(collect).await
    }
}

// === impl CollectError ===

impl Classify for CollectError {
    fn code(&self) -> Code {
        match self {
            Self::Read(error) => error.code(),
            Self::Write(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn retry(&self) -> Retry {
        Retry::Yes { after: None }
    }
}
