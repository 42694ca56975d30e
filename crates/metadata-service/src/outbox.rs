//! From the outbox to the event log.
//!
//! Keeps the invariant that a shard's events stand in the log in the order of `seq`, without a
//! gap. After any failure the publisher begins again behind what the log has: an event may then
//! stand there twice, byte for byte the same, and its id tells. The outbox is trimmed behind what
//! the log acknowledged, and never before. A log that comes back without what it acknowledged has
//! lost events, and is published to no more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use meridian_catalog::{Command, Outgoing, Reply, query};
use meridian_clients::{ReadError, WriteError};
use meridian_clock::Region;
use meridian_event::{EventId, SHARDS};
use meridian_eventlog::{
    AppendError, CreateTopicError, EventLog, Outage, ReadLimits, Record, ShardBatch, StoredRecord,
    Topic,
};
use meridian_proto::{decode_envelope, encode_envelope};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::group::Group;

/// Events of one shard that are published together.
const BATCH: usize = 512;
/// Bytes of events that are published together: an event log takes 16 MiB in one append.
const BATCH_BYTES: usize = 8 << 20;
/// Between two acknowledgements, each of which is an entry of the metadata's log. Until the next one, what
/// is published is still in the outbox, which does no harm: a publisher that follows looks at the log.
const ACKNOWLEDGE_EVERY: Duration = Duration::from_millis(100);
/// How many records that are no events may stand behind the last one of a shard.
const LOOKED_PAST: usize = 64;
/// How long to wait after a failure, at first and while it lasts.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// Events to publish together, and the `seq` of the last one of each shard.
#[derive(Default)]
struct Batches {
    appends: Vec<ShardBatch>,
    ends: Vec<(u16, u64)>,
    bytes: usize,
}

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

    /// Reads the heads of the log, and goes on behind them. They are compared with a state that has
    /// all that was committed when they were read: every event in the log is in it, unless it was
    /// restored from a backup.
    pub(crate) async fn catch_up(&mut self) -> Result<(), PublishError> {
        let created = self.log.create_topic(&self.topic, SHARDS).await;
        created.map_err(|error| {
            let text = meridian_error::chain(&error);
            match error {
                CreateTopicError::Outage(Outage::Poisoned(_)) => PublishError::Poisoned(text),
                _ => PublishError::Log(text),
            }
        })?;
        let mut heads = Vec::with_capacity(usize::from(SHARDS));
        for shard in 0..SHARDS {
            heads.push(self.head(shard).await?);
        }
        // One that led until a moment ago has less than the log, and would take itself for restored.
        let view = match self.group.is_leader() {
            true => self.group.read_as_leader().await,
            false => self.group.read_whole().await,
        };
        let view = view.map_err(WriteError::from)?;
        let streams = query::streams(&view).map_err(state)?;
        for ((shard, stream), head) in (0..SHARDS).zip(streams).zip(heads) {
            if let Some(head) = head
                && (head.epoch > stream.epoch
                    || (head.epoch == stream.epoch && head.seq >= stream.next))
            {
                return Err(PublishError::LogAhead {
                    shard,
                    seq: head.seq,
                    epoch: head.epoch,
                    next: stream.next,
                    ours: stream.epoch,
                });
            }
            let there = head.filter(|head| head.epoch == stream.epoch);
            let there = there.map_or(0, |head| head.seq);
            let seen = self.seen[usize::from(shard)];
            if there < seen && !self.is_retained(shard, head).await? {
                return Err(PublishError::LogBehind { shard, seen });
            }
            self.seen[usize::from(shard)] = there.max(seen);
            let taken = stream.acknowledged.max(there);
            self.group.meters().took(shard, taken);
            self.next[usize::from(shard)] = taken + 1;
        }
        Ok(())
    }

    /// The id of the last event of a shard of the log. What somebody else has put behind it, and is no
    /// event, stops nobody here: who consumes the shard has an alarm for that.
    async fn head(&self, shard: u16) -> Result<Option<EventId>, PublishError> {
        let failed = |error| PublishError::Log(meridian_error::chain(&error));
        let last = self.log.last(&self.topic, shard).await.map_err(failed)?;
        let Some(last) = last else {
            return Ok(None);
        };
        let mut head = event_of(&last);
        if head.is_some() {
            return Ok(head);
        }
        let bounds = self.log.bounds(&self.topic, shard).await.map_err(failed)?;
        let one = ReadLimits {
            records: 1,
            bytes: 0,
            wait: Duration::ZERO,
        };
        let mut left = bounds.low..last.offset;
        for before in left.by_ref().rev().take(LOOKED_PAST) {
            let records = self.log.read(&self.topic, shard, before, one).await;
            head = records.map_err(failed)?.first().and_then(event_of);
            if head.is_some() {
                break;
            }
        }
        if head.is_none() && !left.is_empty() {
            return Err(PublishError::ForeignRecord { shard });
        }
        tracing::error!(
            shard,
            offset = last.offset,
            "the last record of a shard is no event: find out who else writes to the topic"
        );
        Ok(head)
    }

    /// Whether nothing is left of a shard because all of it was kept as long as it had to be.
    async fn is_retained(&self, shard: u16, head: Option<EventId>) -> Result<bool, PublishError> {
        if head.is_some() {
            return Ok(false);
        }
        let bounds = self.log.bounds(&self.topic, shard).await;
        let bounds = bounds.map_err(|error| PublishError::Log(meridian_error::chain(&error)))?;
        Ok(bounds.high > 0)
    }

    /// Publishes until it is stopped, and acknowledges what is published.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), PublishError> {
        let group = Arc::clone(&self.group);
        let (told, mut published) = watch::channel(self.next.clone());
        // What the event log has may not be acknowledged yet: whoever led before did not come to it.
        published.mark_changed();
        let acknowledging = async {
            acknowledge_all(&group, published, &stop).await;
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

/// Acknowledges what is published, now and then, and a last time when nothing is any more. It does not
/// hold up publishing: an acknowledgement is a write of the group, and takes as long as one.
async fn acknowledge_all(
    group: &Group,
    mut published: watch::Receiver<Vec<u64>>,
    stop: &CancellationToken,
) {
    let mut fails = false;
    loop {
        let goes_on = published.changed().await.is_ok();
        let next = published.borrow_and_update().clone();
        let mut pause = ACKNOWLEDGE_EVERY;
        let acknowledged = acknowledge(group, &next).await;
        if let Err(error) = &acknowledged {
            if !fails && !stop.is_cancelled() {
                let error = meridian_error::chain(error);
                tracing::warn!(
                    error,
                    "events are published, and stay in the outbox for now"
                );
            }
            if !stop.is_cancelled() {
                published.mark_changed();
            }
            pause = FIRST_PAUSE;
        }
        fails = acknowledged.is_err();
        if !goes_on {
            return;
        }
        stop.run_until_cancelled(tokio::time::sleep(pause)).await;
    }
}

/// Trims the outbox before the next events to publish.
async fn acknowledge(group: &Group, next: &[u64]) -> Result<(), PublishError> {
    loop {
        let view = group.view();
        let streams = query::streams(&view).map_err(state)?;
        let Some(epoch) = streams.first().map(|stream| stream.epoch) else {
            return Ok(());
        };
        let through: Vec<(u16, u64)> = (0..SHARDS)
            .zip(streams)
            .map(|(shard, stream)| (shard, stream, next[usize::from(shard)] - 1))
            .filter(|(_, stream, published)| *published > stream.acknowledged)
            .map(|(shard, _, published)| (shard, published))
            .collect();
        drop(view);
        if through.is_empty() {
            return Ok(());
        }
        let command = Command::Acknowledge { epoch, through };
        let reply = group.propose_own(command).await?;
        fail::fail_point!("ob.after_cursor");
        if !matches!(reply, Reply::Collected { .. }) {
            return Ok(());
        }
    }
}

// === impl Batches ===

impl Batches {
    /// Adds the first events of a shard, as far as there is room; the very first always has room.
    /// Returns whether there is room for more.
    fn add(&mut self, shard: u16, events: &[Outgoing]) -> bool {
        let mut records = Vec::new();
        let mut end = 0;
        let mut has_room = true;
        for event in events {
            let record = record(event);
            let is_first = self.bytes == 0;
            if !is_first && self.bytes + record.size() > BATCH_BYTES {
                has_room = false;
                break;
            }
            self.bytes += record.size();
            end = event.envelope.id.seq;
            records.push(record);
        }
        if !records.is_empty() {
            self.appends.push(ShardBatch { shard, records });
            self.ends.push((shard, end));
        }
        has_room
    }
}

/// The id of the event of a record, if it is one.
fn event_of(record: &StoredRecord) -> Option<EventId> {
    let event = decode_envelope(&record.record.payload);
    Some(event.ok()?.id)
}

fn record(outgoing: &Outgoing) -> Record {
    let event = &outgoing.envelope;
    // The key is for people who look at the topic; the shard is chosen by number.
    let key = event
        .event
        .repository()
        .map_or_else(String::new, ToString::to_string);
    let record = Record::new(key, encode_envelope(event)).with_header("id", event.id.to_string());
    match &outgoing.trace {
        Some(trace) => record.with_header("traceparent", trace.to_string()),
        None => record,
    }
}

fn state<E: std::error::Error + 'static>(error: meridian_catalog::CatalogError<E>) -> PublishError {
    let reason = meridian_error::chain(&error);
    PublishError::State(ReadError::Internal { reason }.into())
}

#[cfg(test)]
mod tests {
    use meridian_clock::Version;
    use meridian_event::{Envelope, Event, EventId, Leaf, RegistryId};
    use meridian_eventlog::MAX_APPEND_BYTES;
    use meridian_oci::{Algorithm, Digest, MediaType};

    use super::*;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    /// An event of some 700 KiB, as large as they get.
    fn large(shard: u16, seq: u64) -> Outgoing {
        let leaf = Leaf {
            digest: Digest::of(Algorithm::Sha512, b""),
            size: 1,
        };
        let region: Region = "eu".parse().unwrap();
        let id = EventId {
            region,
            epoch: 1,
            shard,
            seq,
        };
        let envelope = Envelope {
            id,
            version: Version::next(None, 1, region),
            registry: RegistryId::new(Version::next(None, 1, region)),
            event: Event::ManifestPut {
                repository: "team/app".parse().unwrap(),
                manifest: leaf,
                media_type: MediaType::OCI_IMAGE_INDEX,
                tags: Vec::new(),
                blobs: Vec::new(),
                children: vec![leaf; 10_000],
                subject: None,
            },
        };
        Outgoing {
            envelope,
            trace: Some(TRACE.parse().unwrap()),
        }
    }

    #[test]
    fn a_record_says_beside_the_event_which_one_it_is_and_whose_trace_it_is_part_of() {
        let mut outgoing = large(3, 7);
        let header = |outgoing: &Outgoing| {
            let headers = record(outgoing).headers.into_iter();
            headers
                .map(|(name, value)| (name.into_string(), String::from_utf8(value.into()).unwrap()))
                .collect::<Vec<_>>()
        };
        let id = ("id".to_owned(), "eu.1.3.7".to_owned());
        let trace = ("traceparent".to_owned(), TRACE.to_owned());
        assert_eq!(header(&outgoing), [id.clone(), trace]);
        outgoing.trace = None;
        assert_eq!(header(&outgoing), [id]);
    }

    #[test]
    fn a_backlog_of_large_events_is_published_in_appends_that_fit() {
        let mut next = [1_u64; 3];
        let mut appends = 0;
        loop {
            let mut batches = Batches::default();
            for shard in 0..3_u16 {
                let from = next[usize::from(shard)];
                let events: Vec<_> = (from..=20).map(|seq| large(shard, seq)).collect();
                if !batches.add(shard, &events) {
                    break;
                }
            }
            let size: usize = batches.appends.iter().map(ShardBatch::size).sum();
            assert!(size <= MAX_APPEND_BYTES, "{size}");
            for ((shard, end), append) in batches.ends.iter().zip(&batches.appends) {
                let before = next[usize::from(*shard)];
                assert_eq!(append.records.len() as u64, end + 1 - before);
                next[usize::from(*shard)] = end + 1;
            }
            if batches.appends.is_empty() {
                break;
            }
            appends += 1;
        }
        assert_eq!(next, [21; 3]);
        assert!(appends > 3, "{appends}");
    }
}
