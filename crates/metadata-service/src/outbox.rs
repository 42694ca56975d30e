//! From the outbox to the event log.
//!
//! Keeps the invariant that a shard's events stand in the log in the order of `seq`, without a
//! gap. After any failure the publisher begins again behind what the log has: an event may then
//! stand there twice, byte for byte the same, and its id tells. The outbox is trimmed behind what
//! the log acknowledged, and never before. A log that comes back without what it acknowledged has
//! lost events, and is published to no more (`heads`). Acknowledging goes on beside publishing
//! (`acknowledge`).

mod acknowledge;
mod batch;
mod heads;

use std::sync::Arc;
use std::time::{Duration, Instant};

use meridian_catalog::query;
use meridian_clients::{ReadError, WriteError};
use meridian_clock::Region;
use meridian_event::SHARDS;
use meridian_eventlog::{AppendError, EventLog, Outage, Topic};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::group::Group;
use batch::Batches;
use heads::LOOKED_PAST;

/// Events of one shard that are published together.
const BATCH: usize = 512;
/// How long to wait after a failure, at first and while it lasts.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// Publishes a region's events.
pub(crate) struct Publisher {
    group: Arc<Group>,
    log: Arc<dyn EventLog>,
    topic: Topic,
    linger: Duration,
    /// Per shard, the `seq` of the next event to publish. Zero: not yet known.
    next: Vec<u64>,
    /// Per shard, the last event of this epoch that the log was seen to have.
    seen: Vec<u64>,
}

/// Why events cannot be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The event log has events that this state never made: it was restored from a backup.
    #[error(
        "the event log has event {seq} of shard {shard} (epoch {epoch}), but this state is only at {next} (epoch {ours}): it was restored from a backup, or the event log belongs to another region"
    )]
    LogAhead {
        /// Which shard.
        shard: u16,
        /// The log's last event there.
        seq: u64,
        /// The log's epoch there.
        epoch: u64,
        /// The next event of this state.
        next: u64,
        /// The epoch of this state.
        ours: u64,
    },
    /// The event log has lost events since this process saw them there.
    #[error(
        "the event log has acknowledged event {seen} of shard {shard}, and ends before it now: it has lost events; check its disk, then start again, and what consumes it fetches the gap from here"
    )]
    LogBehind {
        /// Which shard.
        shard: u16,
        /// The last event that was there.
        seen: u64,
    },
    /// The last records of a shard of the event log cannot be read.
    #[error(
        "the last {LOOKED_PAST} records of shard {shard} of the event log are no events of this region"
    )]
    ForeignRecord {
        /// Which shard.
        shard: u16,
    },
    /// The event log has failed for good, and cannot be opened again here.
    #[error("the event log cannot be opened again: {0}")]
    Poisoned(String),
    /// The event log failed.
    #[error("the event log failed: {0}")]
    Log(String),
    /// The state cannot be read or advanced.
    #[error("the state cannot be read")]
    State(#[from] WriteError),
}

/// The topic of a region's events.
pub(crate) fn topic(region: Region) -> Topic {
    let name = format!("meridian.{region}.events.v1");
    name.parse()
        .expect("a region's name is a part of a topic's")
}

// === impl PublishError ===

impl PublishError {
    /// Whether trying again cannot help this process.
    pub(crate) const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::LogAhead { .. }
                | Self::LogBehind { .. }
                | Self::ForeignRecord { .. }
                | Self::Poisoned(_)
        )
    }
}

// === impl Publisher ===

impl Publisher {
    pub(crate) fn new(
        group: Arc<Group>,
        log: Arc<dyn EventLog>,
        topic: Topic,
        linger: Duration,
    ) -> Self {
        Self {
            group,
            log,
            topic,
            linger,
            next: vec![0; usize::from(SHARDS)],
            seen: vec![0; usize::from(SHARDS)],
        }
    }

    /// Publishes until it is stopped, and acknowledges what is published.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), PublishError> {
        let group = Arc::clone(&self.group);
        let (told, mut published) = watch::channel(self.next.clone());
        // What the event log has may not be acknowledged yet: whoever led before did not come to it.
        published.mark_changed();
        let acknowledging = async {
            acknowledge::keep_up(&group, published, &stop).await;
            Ok(())
        };
        let publishing = self.publish_until(stop.clone(), told);
        tokio::try_join!(publishing, acknowledging).map(|((), ())| ())
    }

    /// Publishes until it is stopped, and tells how far. An event log that fails, or is full, is tried
    /// again, for ever; the log of this process hears of it once, and once when it is over.
    async fn publish_until(
        mut self,
        stop: CancellationToken,
        told: watch::Sender<Vec<u64>>,
    ) -> Result<(), PublishError> {
        let mut progress = self.group.progress();
        let mut pause = None;
        loop {
            progress.mark_unchanged();
            match self.publish_all(&stop, &told).await {
                Ok(()) => {
                    if pause.take().is_some() {
                        tracing::info!("events are published again");
                    }
                }
                Err(error) if error.is_final() => return Err(error),
                Err(error) if stop.is_cancelled() => {
                    let error = meridian_error::chain(&error);
                    tracing::info!(error, "events stay in the outbox for whoever leads next");
                    return Ok(());
                }
                Err(error) => {
                    if pause.is_none() {
                        tracing::warn!(%error, "events wait in the outbox");
                    }
                    let last = pause.unwrap_or(FIRST_PAUSE);
                    pause = Some((last * 2).min(LONGEST_PAUSE));
                    // A stop is worth one more attempt at once.
                    let _stopped = tokio::time::timeout(last, stop.cancelled()).await;
                    match self.catch_up().await {
                        // It may have more than it said.
                        Ok(()) => drop(told.send_replace(self.next.clone())),
                        Err(error) if error.is_final() => return Err(error),
                        Err(error) => tracing::debug!(%error, "the event log is still away"),
                    }
                    progress.mark_changed();
                }
            }
            if stop.is_cancelled() {
                return Ok(());
            }
            tokio::select! {
                () = stop.cancelled() => {}
                changed = progress.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    // What comes within the linger shares an append, as does in any case what comes
                    // while one is under way.
                    if !self.linger.is_zero() {
                        let linger = tokio::time::sleep(self.linger);
                        stop.run_until_cancelled(linger).await;
                    }
                }
            }
        }
    }

    /// Publishes what waits; after a stop, what waited then: others write on, and whoever leads next
    /// publishes it.
    async fn publish_all(
        &mut self,
        stop: &CancellationToken,
        told: &watch::Sender<Vec<u64>>,
    ) -> Result<(), PublishError> {
        let mut end: Option<Vec<u64>> = None;
        while let Some(batches) = self.read_outbox()? {
            let published = self.publish(batches).await;
            told.send_replace(self.next.clone());
            published?;
            if !stop.is_cancelled() {
                continue;
            }
            if end.is_none() {
                let streams = query::streams(&self.group.view()).map_err(state)?;
                end = Some(streams.iter().map(|stream| stream.next).collect());
            }
            let mut ends = self.next.iter().zip(end.iter().flatten());
            if ends.all(|(next, end)| next >= end) {
                break;
            }
        }
        Ok(())
    }

    fn read_outbox(&self) -> Result<Option<Batches>, PublishError> {
        let view = self.group.view();
        let mut batches = Batches::default();
        let streams = query::streams(&view).map_err(state)?;
        for (shard, stream) in (0..SHARDS).zip(streams) {
            let next = self.next[usize::from(shard)];
            if next >= stream.next {
                continue;
            }
            let events = query::outbox(&view, shard, next, BATCH).map_err(state)?;
            if !batches.add(shard, &events) {
                break;
            }
        }
        Ok((!batches.appends.is_empty()).then_some(batches))
    }

    async fn publish(&mut self, batches: Batches) -> Result<(), PublishError> {
        fail::fail_point!("ob.after_read_before_produce");
        let Batches { appends, ends, .. } = batches;
        fail::fail_point!("ob.forget", |_| {
            for &(shard, end) in &ends {
                self.next[usize::from(shard)] = end + 1;
            }
            Ok(())
        });
        let (meters, began) = (self.group.meters(), Instant::now());
        let outcomes = self.log.append_many(&self.topic, appends).await;
        meters.publishes.observe(began.elapsed());
        fail::fail_point!("ob.after_produce_before_cursor");
        let mut failed = Ok(());
        for ((shard, end), outcome) in ends.into_iter().zip(outcomes) {
            match outcome {
                Ok(_) => {
                    meters.took(shard, end);
                    let published = end + 1 - self.next[usize::from(shard)];
                    meters.published.inc_by(published);
                    self.next[usize::from(shard)] = end + 1;
                    self.seen[usize::from(shard)] = end;
                }
                Err(error @ AppendError::Outage(Outage::Poisoned(_))) => {
                    failed = Err(PublishError::Poisoned(meridian_error::chain(&error)));
                }
                Err(error) => {
                    failed = Err(PublishError::Log(meridian_error::chain(&error)));
                }
            }
        }
        if failed.is_err() {
            meters.publish_failures.inc();
        }
        failed
    }
}

fn state<E: std::error::Error + 'static>(error: meridian_catalog::CatalogError<E>) -> PublishError {
    let reason = meridian_error::chain(&error);
    PublishError::State(ReadError::Internal { reason }.into())
}
