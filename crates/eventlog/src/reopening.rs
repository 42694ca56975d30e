//! A log on local disk that is opened again after a write or a sync of it failed.
//!
//! Owns when: at the next call after the failure, and then with pauses that grow. The sync itself is
//! never tried again, nor is its file: the log is closed and opened anew, and believes nothing that
//! it did not acknowledge before. Meanwhile it is away ([`Outage::Unavailable`]), for readers too.
//! Keeps the invariant that damage is not passed over: a log that lacks what it acknowledged stays
//! [`Outage::Poisoned`] for good. Leaves repeating what was under way to the caller, as every log
//! does. It is for publishers, who can; the log of a Raft group must not come back by itself.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use meridian_clock::Clock;
use tokio::time::Instant;

use crate::disk::{Acknowledged, DiskConfig, DiskEventLog, OpenError};
use crate::{
    AppendError, Appended, Bounds, Cause, CreateTopicError, EventLog, Outage, ReadError,
    ReadLimits, ShardBatch, StoredRecord, Topic,
};

/// After an attempt that failed.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A [`DiskEventLog`] that outlives failures of its disk.
pub struct ReopeningEventLog {
    root: PathBuf,
    config: DiskConfig,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Held by whoever opens it.
    opening: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
enum State {
    Open(Arc<DiskEventLog>),
    Shut(Shut),
    /// Opening it again showed that it is damaged.
    Damaged(Cause),
}

#[derive(Debug, Clone)]
struct Shut {
    acknowledged: Acknowledged,
    why: Cause,
    due: Instant,
    pause: Duration,
}

// === impl ReopeningEventLog ===

impl ReopeningEventLog {
    /// As [`DiskEventLog::open`].
    ///
    /// # Errors
    ///
    /// As [`DiskEventLog::open`]: the first opening is not repeated.
    pub async fn open(
        root: impl Into<PathBuf>,
        config: DiskConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let root = root.into();
        let log = DiskEventLog::open(&root, config.clone(), Arc::clone(&clock)).await?;
        Ok(Self {
            root,
            config,
            clock,
            state: Mutex::new(State::Open(Arc::new(log))),
            opening: tokio::sync::Mutex::default(),
        })
    }

    /// The log, opened again if it is time.
    async fn log(&self) -> Result<Arc<DiskEventLog>, Outage> {
        if let State::Open(log) = &*self.state() {
            return Ok(Arc::clone(log));
        }
        let _opening = self.opening.lock().await;
        let shut = match &*self.state() {
            State::Open(log) => return Ok(Arc::clone(log)),
            State::Damaged(why) => return Err(Outage::Poisoned(Arc::clone(why))),
            State::Shut(shut) if Instant::now() < shut.due => {
                return Err(Outage::Unavailable(Arc::clone(&shut.why)));
            }
            State::Shut(shut) => shut.clone(),
        };
        self.open_again(shut).await
    }

    async fn open_again(&self, shut: Shut) -> Result<Arc<DiskEventLog>, Outage> {
        let (root, config) = (self.root.clone(), self.config.clone());
        let clock = Arc::clone(&self.clock);
        let opened = DiskEventLog::open_behind(root, config, clock, shut.acknowledged.clone());
        match opened.await {
            Ok(log) => {
                tracing::info!("the event log is open again");
                let log = Arc::new(log);
                *self.state() = State::Open(Arc::clone(&log));
                Ok(log)
            }
            Err(error) if is_final(&error) => {
                let text = meridian_error::chain(&error);
                tracing::error!(error = text, "the event log cannot be opened again");
                let why: Cause = Arc::new(error);
                *self.state() = State::Damaged(Arc::clone(&why));
                Err(Outage::Poisoned(why))
            }
            Err(error) => {
                let text = meridian_error::chain(&error);
                tracing::warn!(error = text, "the event log is not open again yet");
                let why: Cause = Arc::new(error);
                *self.state() = State::Shut(Shut {
                    why: Arc::clone(&why),
                    due: Instant::now() + shut.pause,
                    pause: (shut.pause * 2).min(LONGEST_PAUSE),
                    ..shut
                });
                Err(Outage::Unavailable(why))
            }
        }
    }

    /// Closes `log` if an outage says that it has stopped. Returns what its caller is told.
    fn seen(&self, log: &Arc<DiskEventLog>, outage: Outage) -> Outage {
        let Outage::Poisoned(why) = outage else {
            return outage;
        };
        let mut state = self.state();
        if matches!(&*state, State::Open(open) if Arc::ptr_eq(open, log)) {
            *state = State::Shut(Shut {
                acknowledged: log.acknowledged(),
                why: Arc::clone(&why),
                due: Instant::now(),
                pause: FIRST_PAUSE,
            });
        }
        Outage::Unavailable(why)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether another attempt would fail in the same way.
const fn is_final(error: &OpenError) -> bool {
    match error {
        OpenError::Config(_) | OpenError::Corrupt(_) | OpenError::Version { .. } => true,
        // A reader may hold the old one for a moment; a disk may come back.
        OpenError::InUse(_) | OpenError::Io { .. } | OpenError::Stopping => false,
    }
}

#[async_trait]
impl EventLog for ReopeningEventLog {
    async fn create_topic(&self, topic: &Topic, shards: u16) -> Result<(), CreateTopicError> {
        let log = self.log().await?;
        log.create_topic(topic, shards)
            .await
            .map_err(|error| match error {
                CreateTopicError::Outage(outage) => self.seen(&log, outage).into(),
                error => error,
            })
    }

    async fn append_many(
        &self,
        topic: &Topic,
        batches: Vec<ShardBatch>,
    ) -> Vec<Result<Appended, AppendError>> {
        let log = match self.log().await {
            Ok(log) => log,
            Err(outage) => return crate::batch::refuse(&batches, &outage.into()),
        };
        let outcomes = log.append_many(topic, batches).await.into_iter();
        let seen = |error| match error {
            AppendError::Outage(outage) => self.seen(&log, outage).into(),
            error => error,
        };
        outcomes.map(|outcome| outcome.map_err(seen)).collect()
    }

    async fn bounds(&self, topic: &Topic, shard: u16) -> Result<Bounds, ReadError> {
        self.log().await?.bounds(topic, shard).await
    }

    async fn last(&self, topic: &Topic, shard: u16) -> Result<Option<StoredRecord>, ReadError> {
        self.log().await?.last(topic, shard).await
    }

    async fn read(
        &self,
        topic: &Topic,
        shard: u16,
        from: u64,
        limits: ReadLimits,
    ) -> Result<Vec<StoredRecord>, ReadError> {
        self.log().await?.read(topic, shard, from, limits).await
    }
}
