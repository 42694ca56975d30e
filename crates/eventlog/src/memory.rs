//! A log in memory, for tests.
//!
//! Keeps every promise of the contract but durability. Each shard is bounded: above its size the
//! oldest records go, as a broker's retention would have it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::batch::{Verdicts, refuse};
use crate::log::MAX_SHARDS;
use crate::{
    AppendError, Appended, Bounds, CreateTopicError, EventLog, ReadError, ReadLimits, Record,
    ShardBatch, StoredRecord, Topic, bounds,
};

/// A log that forgets on drop.
#[derive(Debug)]
pub struct MemoryEventLog {
    retained_bytes: usize,
    first_offset: u64,
    topics: RwLock<BTreeMap<Topic, Arc<[Shard]>>>,
}

#[derive(Debug)]
struct Shard {
    records: Mutex<Records>,
    bounds: watch::Sender<Bounds>,
}

#[derive(Debug, Default)]
struct Records {
    /// The record at `low` first.
    stored: VecDeque<Record>,
    bytes: usize,
}

// === impl MemoryEventLog ===

impl Default for MemoryEventLog {
    /// A log that keeps 64 MiB per shard.
    fn default() -> Self {
        Self::new(64 << 20, 0)
    }
}

impl MemoryEventLog {
    /// A log that keeps `retained_bytes` per shard, and at least one record, and whose shards begin
    /// at `first_offset`.
    #[must_use]
    pub const fn new(retained_bytes: usize, first_offset: u64) -> Self {
        Self {
            retained_bytes,
            first_offset,
            topics: RwLock::new(BTreeMap::new()),
        }
    }

    fn topic(&self, topic: &Topic) -> Option<Arc<[Shard]>> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        topics.get(topic).cloned()
    }

    fn shards(&self, topic: &Topic, shard: u16) -> Result<Arc<[Shard]>, ReadError> {
        let shards = self
            .topic(topic)
            .ok_or_else(|| ReadError::UnknownTopic(topic.clone()))?;
        if usize::from(shard) < shards.len() {
            Ok(shards)
        } else {
            Err(ReadError::UnknownShard {
                topic: topic.clone(),
                shard,
            })
        }
    }
}

#[async_trait]
impl EventLog for MemoryEventLog {
    async fn create_topic(&self, topic: &Topic, shards: u16) -> Result<(), CreateTopicError> {
        if shards == 0 || shards > MAX_SHARDS {
            return Err(CreateTopicError::Shards(shards));
        }
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        let existing = topics
            .entry(topic.clone())
            .or_insert_with(|| (0..shards).map(|_| Shard::new(self.first_offset)).collect());
        if existing.len() == usize::from(shards) {
            return Ok(());
        }
        Err(CreateTopicError::ShardsDiffer {
            topic: topic.clone(),
            existing: u16::try_from(existing.len()).expect("created from a u16"),
            asked: shards,
        })
    }

    async fn append_many(
        &self,
        topic: &Topic,
        batches: Vec<ShardBatch>,
    ) -> Vec<Result<Appended, AppendError>> {
        let Some(shards) = self.topic(topic) else {
            let error = AppendError::UnknownTopic(topic.clone());
            return refuse(&batches, &error);
        };
        let count = u16::try_from(shards.len()).expect("created from a u16");
        let (verdicts, fit) = Verdicts::judge(topic, count, batches);
        let append = |batch: ShardBatch| {
            shards[usize::from(batch.shard)].append(batch.records, self.retained_bytes)
        };
        verdicts.settle(Ok(fit.into_iter().map(append).collect()))
    }

    async fn bounds(&self, topic: &Topic, shard: u16) -> Result<Bounds, ReadError> {
        let shards = self.shards(topic, shard)?;
        let bounds = *shards[usize::from(shard)].bounds.borrow();
        Ok(bounds)
    }

    async fn last(&self, topic: &Topic, shard: u16) -> Result<Option<StoredRecord>, ReadError> {
        let shards = self.shards(topic, shard)?;
        Ok(shards[usize::from(shard)].last())
    }

    async fn read(
        &self,
        topic: &Topic,
        shard: u16,
        from: u64,
        limits: ReadLimits,
    ) -> Result<Vec<StoredRecord>, ReadError> {
        let shards = self.shards(topic, shard)?;
        let shard = &shards[usize::from(shard)];
        match bounds::reached(&shard.bounds, from, limits.wait).await? {
            Some(_) => shard.read(from, limits),
            None => Ok(Vec::new()),
        }
    }
}

// === impl Shard ===

impl Shard {
    fn new(first_offset: u64) -> Self {
        let bounds = Bounds {
            low: first_offset,
            high: first_offset,
        };
        Self {
            records: Mutex::default(),
            bounds: watch::Sender::new(bounds),
        }
    }

    fn append(&self, batch: Vec<Record>, retained_bytes: usize) -> Appended {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let first = self.bounds.borrow().high;
        let high = first + batch.len() as u64;
        for record in batch {
            records.bytes += record.size();
            records.stored.push_back(record);
        }
        while records.bytes > retained_bytes && records.stored.len() > 1 {
            let oldest = records.stored.pop_front();
            records.bytes -= oldest.as_ref().map_or(0, Record::size);
        }
        let low = high - records.stored.len() as u64;
        self.bounds.send_replace(Bounds { low, high });
        Appended {
            first,
            last: high - 1,
        }
    }

    fn last(&self) -> Option<StoredRecord> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let record = records.stored.back().cloned()?;
        let offset = self.bounds.borrow().high - 1;
        Some(StoredRecord { offset, record })
    }

    fn read(&self, from: u64, limits: ReadLimits) -> Result<Vec<StoredRecord>, ReadError> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let Bounds { low, high } = *self.bounds.borrow();
        // Retention may have passed `from` since the bounds were checked.
        let skipped = from
            .checked_sub(low)
            .ok_or(ReadError::OutOfRange { low, high })?;
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let fitting = records
            .stored
            .iter()
            .skip(skipped)
            .take(limits.records.max(1))
            .enumerate()
            .take_while(|(taken, record)| {
                bytes += record.size();
                *taken == 0 || bytes <= limits.bytes
            });
        Ok(fitting
            .zip(from..)
            .map(|((_, record), offset)| StoredRecord {
                offset,
                record: record.clone(),
            })
            .collect())
    }
}
