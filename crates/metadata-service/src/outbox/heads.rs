//! What the event log has already, beside the state.
//!
//! Owns the judgement whether the two are of one life: a log that is ahead belongs to a state that was
//! restored, one that is behind what it had has lost events.

use std::time::Duration;

use meridian_catalog::query;
use meridian_clients::WriteError;
use meridian_event::{EventId, SHARDS};
use meridian_eventlog::{CreateTopicError, Outage, ReadLimits, StoredRecord};
use meridian_proto::decode_envelope;

use super::{PublishError, Publisher, state};

/// How many records that are no events may stand behind the last one of a shard.
pub(super) const LOOKED_PAST: usize = 64;

// === impl Publisher ===

impl Publisher {
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
}

/// The id of the event of a record, if it is one.
fn event_of(record: &StoredRecord) -> Option<EventId> {
    let event = decode_envelope(&record.record.payload);
    Some(event.ok()?.id)
}
