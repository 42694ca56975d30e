//! Events as the event log has them, for whoever wants to see what happens.
//!
//! Leaves to consumers what they remember: where to go on is theirs.

use std::sync::Arc;
use std::time::Duration;

use meridian_event::{Envelope, SHARDS};
use meridian_eventlog::{EventLog, ReadError, ReadLimits, Topic};
use meridian_proto::decode_envelope;

/// How many bytes of each shard are read at once.
const BYTES: usize = 256 << 10;

/// The event log of the region, to read.
#[derive(Clone)]
pub(crate) struct Tail {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) topic: Topic,
}

/// Where to read on, in a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    /// At the oldest event that is kept.
    Start,
    /// Behind the newest.
    End,
    /// At this offset, or at the oldest event if that is gone.
    Offset(u64),
}

/// Some events, those of a shard in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// By version.
    pub events: Vec<Envelope>,
    /// Where each shard goes on.
    pub next: Vec<u64>,
}

// === impl Tail ===

impl Tail {
    /// Reads from every shard, `limit` events of each at most.
    pub(crate) async fn read(
        &self,
        from: &[ReadFrom],
        limit: usize,
    ) -> Result<EventPage, ReadError> {
        let mut page = EventPage {
            events: Vec::new(),
            next: Vec::new(),
        };
        for (shard, from) in (0..SHARDS).zip(from) {
            page.next.push(
                self.read_shard(shard, *from, limit, &mut page.events)
                    .await?,
            );
        }
        page.events.sort_by_key(|event| event.version);
        Ok(page)
    }

    async fn read_shard(
        &self,
        shard: u16,
        from: ReadFrom,
        limit: usize,
        events: &mut Vec<Envelope>,
    ) -> Result<u64, ReadError> {
        let bounds = match self.log.bounds(&self.topic, shard).await {
            Ok(bounds) => bounds,
            // Nothing was published yet.
            Err(ReadError::UnknownTopic(_)) => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut next = match from {
            ReadFrom::Start => bounds.low,
            ReadFrom::End => bounds.high,
            ReadFrom::Offset(offset) => offset.clamp(bounds.low, bounds.high),
        };
        let limits = ReadLimits {
            records: limit,
            bytes: BYTES,
            wait: Duration::ZERO,
        };
        for stored in self.log.read(&self.topic, shard, next, limits).await? {
            next = stored.offset + 1;
            // Whoever merges it stops there; whoever looks passes over it.
            events.extend(decode_envelope(&stored.record.payload).ok());
        }
        Ok(next)
    }
}
