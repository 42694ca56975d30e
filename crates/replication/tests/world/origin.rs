//! A region that commits events, and the topic in which it publishes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use meridian_clock::{Region, Version};
use meridian_event::{Envelope, Event, EventId, RegistryId};
use meridian_replication::{Arrival, Cursor, Refill, Refilled};

/// A record of a topic.
#[derive(Debug, Clone)]
pub(crate) enum Record {
    Event(Arc<Envelope>),
    /// Nobody of today can read it; it says this.
    Newer(Arc<Envelope>),
}

/// One shard of a region.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) epoch: u64,
    /// The events of the present epoch; the first has `base` + 1.
    pub(crate) events: Vec<Arc<Envelope>>,
    pub(crate) base: u64,
    /// Up to this one, the outbox has them no more.
    pub(crate) trimmed: u64,
    /// All that was ever committed and not taken back.
    pub(crate) content: Vec<Arc<Envelope>>,
    pub(crate) topic: Vec<Record>,
    /// How much of the topic retention has taken.
    pub(crate) retained_from: usize,
    /// Events that are still to be published.
    pub(crate) unpublished: Vec<Arc<Envelope>>,
}

#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) region: Region,
    pub(crate) logs: Vec<Log>,
    last: Option<Version>,
    /// Milliseconds that its clock is ahead.
    pub(crate) skew: u64,
}

// === impl Log ===

impl Log {
    pub(crate) fn head(&self) -> Cursor {
        Cursor {
            epoch: self.epoch,
            seq: self.base + self.events.len() as u64,
        }
    }

    /// What the origin answers to a refill.
    pub(crate) fn refill(&self, refill: &Refill, weight: usize) -> Refilled {
        if refill.epoch != self.epoch || refill.from <= self.trimmed {
            return Refilled::Gone;
        }
        let first = usize::try_from(refill.from - self.base - 1).unwrap();
        let count = usize::try_from(refill.to - refill.from + 1).unwrap();
        let most = (refill.bytes / weight).max(1);
        let events = self.events.iter().skip(first).take(count.min(most));
        let arrivals = events.map(|envelope| arrival(envelope, weight));
        Refilled::Events(arrivals.collect())
    }

    /// Where to read the topic from, to see all after a cursor.
    pub(crate) fn position(&self, cursor: Cursor) -> usize {
        let place_of = |record: &Record| match record {
            Record::Event(envelope) | Record::Newer(envelope) => Cursor::of(&envelope.id),
        };
        let found = self.topic.iter().position(|it| place_of(it) > cursor);
        found.unwrap_or(self.topic.len()).max(self.retained_from)
    }
}

// === impl Origin ===

impl Origin {
    pub(crate) fn new(name: &str, shards: u16, base: u64) -> Self {
        let log = || Log {
            epoch: 1,
            base,
            trimmed: base,
            ..Log::default()
        };
        Self {
            region: name.parse().unwrap(),
            logs: (0..shards).map(|_| log()).collect(),
            last: None,
            skew: 0,
        }
    }

    /// Commits an event, not published yet.
    pub(crate) fn commit(
        &mut self,
        millis: u64,
        shard: u16,
        registry: RegistryId,
        event: Event,
    ) -> Arc<Envelope> {
        let version = Version::next(self.last, millis + self.skew, self.region);
        self.last = Some(version);
        let log = &mut self.logs[usize::from(shard)];
        let envelope = Arc::new(Envelope {
            id: EventId {
                region: self.region,
                epoch: log.epoch,
                shard,
                seq: log.head().seq + 1,
            },
            version,
            registry,
            event,
        });
        log.events.push(Arc::clone(&envelope));
        log.content.push(Arc::clone(&envelope));
        log.unpublished.push(Arc::clone(&envelope));
        envelope
    }

    /// The stream cannot be continued: it begins anew, and what was not published never is.
    pub(crate) fn begin_epoch(&mut self, shard: u16) {
        let log = &mut self.logs[usize::from(shard)];
        log.epoch += 1;
        log.base = 0;
        log.trimmed = 0;
        log.events.clear();
        log.unpublished.clear();
    }
}

pub(crate) fn arrival(envelope: &Arc<Envelope>, bytes: usize) -> Arrival {
    Arrival::Event {
        envelope: Arc::clone(envelope),
        bytes,
    }
}

/// Events by id, to compare.
pub(crate) type ById = BTreeMap<EventId, Arc<Envelope>>;
