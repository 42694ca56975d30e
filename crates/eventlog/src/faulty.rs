//! A log that fails when a test says so.
//!
//! Owns the faults that an appender and a reader have to survive: the log away (reliability E1), an
//! acknowledgement lost after the records were kept (E4), one shard without a leader.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::batch::refuse;
use crate::{
    AppendError, Appended, Bounds, CreateTopicError, EventLog, Outage, ReadError, ReadLimits,
    ShardBatch, StoredRecord, Topic,
};

/// A decorator that fails on demand.
#[derive(Debug)]
pub struct Faulty<L> {
    log: L,
    down: AtomicBool,
    lost_acknowledgements: AtomicUsize,
    leaderless: Mutex<BTreeSet<u16>>,
}

// === impl Faulty ===

impl<L: EventLog> Faulty<L> {
    /// Decorates `log`; without further ado nothing fails.
    pub const fn new(log: L) -> Self {
        Self {
            log,
            down: AtomicBool::new(false),
            lost_acknowledgements: AtomicUsize::new(0),
            leaderless: Mutex::new(BTreeSet::new()),
        }
    }

    /// What is decorated.
    pub const fn inner(&self) -> &L {
        &self.log
    }

    /// While down, nothing reaches the log.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// The next `appends` are kept, but their callers are told that the log is unavailable.
    pub fn lose_acknowledgements(&self, appends: usize) {
        self.lost_acknowledgements.store(appends, Ordering::SeqCst);
    }

    /// While it has no leader, nothing can be appended to that shard; others are well.
    pub fn set_leaderless(&self, shard: u16, leaderless: bool) {
        let mut shards = self.leaderless();
        if leaderless {
            shards.insert(shard);
        } else {
            shards.remove(&shard);
        }
    }

    fn leaderless(&self) -> std::sync::MutexGuard<'_, BTreeSet<u16>> {
        self.leaderless
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self) -> Result<(), Outage> {
        if self.down.load(Ordering::SeqCst) {
            Err(unavailable())
        } else {
            Ok(())
        }
    }

    /// Whether the acknowledgement of this append gets lost.
    fn loses(&self) -> bool {
        let left = &self.lost_acknowledgements;
        let less = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            left.checked_sub(1)
        });
        less.is_ok()
    }
}

#[async_trait]
impl<L: EventLog> EventLog for Faulty<L> {
    async fn create_topic(&self, topic: &Topic, shards: u16) -> Result<(), CreateTopicError> {
        self.check()?;
        self.log.create_topic(topic, shards).await
    }

    async fn append_many(
        &self,
        topic: &Topic,
        batches: Vec<ShardBatch>,
    ) -> Vec<Result<Appended, AppendError>> {
        if let Err(outage) = self.check() {
            return refuse(&batches, &outage.into());
        }
        let leaderless = self.leaderless().clone();
        let mut reached = Vec::new();
        let mut outcomes: Vec<Option<Result<Appended, AppendError>>> = Vec::new();
        for batch in batches {
            if leaderless.contains(&batch.shard) {
                outcomes.push(Some(Err(unavailable().into())));
            } else {
                outcomes.push(None);
                reached.push(batch);
            }
        }
        let mut kept = self.log.append_many(topic, reached).await.into_iter();
        let lost = self.loses();
        let outcome = |outcome: Option<_>| match outcome.or_else(|| kept.next()) {
            Some(Ok(_)) if lost => Err(unavailable().into()),
            Some(outcome) => outcome,
            None => Err(Outage::Closed.into()),
        };
        outcomes.into_iter().map(outcome).collect()
    }

    async fn bounds(&self, topic: &Topic, shard: u16) -> Result<Bounds, ReadError> {
        self.check()?;
        self.log.bounds(topic, shard).await
    }

    async fn last(&self, topic: &Topic, shard: u16) -> Result<Option<StoredRecord>, ReadError> {
        self.check()?;
        self.log.last(topic, shard).await
    }

    async fn read(
        &self,
        topic: &Topic,
        shard: u16,
        from: u64,
        limits: ReadLimits,
    ) -> Result<Vec<StoredRecord>, ReadError> {
        self.check()?;
        self.log.read(topic, shard, from, limits).await
    }
}

fn unavailable() -> Outage {
    Outage::Unavailable(Arc::new(io::Error::from(io::ErrorKind::ConnectionRefused)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryEventLog, Record};

    async fn append(log: &Faulty<MemoryEventLog>, topic: &Topic) -> Vec<bool> {
        let batch = |shard| ShardBatch {
            shard,
            records: vec![Record::new("key", "payload")],
        };
        let outcomes = log.append_many(topic, (0..3).map(batch).collect()).await;
        outcomes.iter().map(Result::is_ok).collect()
    }

    async fn highs(log: &MemoryEventLog, topic: &Topic) -> Vec<u64> {
        let mut highs = Vec::new();
        for shard in 0..3 {
            highs.push(log.bounds(topic, shard).await.unwrap().high);
        }
        highs
    }

    #[tokio::test]
    async fn each_fault_strikes_as_it_is_set() {
        let topic: Topic = "faulty".parse().unwrap();
        let log = Faulty::new(MemoryEventLog::default());
        log.create_topic(&topic, 3).await.unwrap();

        log.set_down(true);
        assert_eq!(append(&log, &topic).await, [false; 3]);
        assert!(log.last(&topic, 0).await.is_err());
        assert_eq!(highs(log.inner(), &topic).await, [0; 3]);
        log.set_down(false);

        log.lose_acknowledgements(1);
        assert_eq!(append(&log, &topic).await, [false; 3]);
        assert_eq!(highs(log.inner(), &topic).await, [1; 3]);

        log.set_leaderless(1, true);
        assert_eq!(append(&log, &topic).await, [true, false, true]);
        assert_eq!(highs(log.inner(), &topic).await, [2, 1, 2]);
        log.set_leaderless(1, false);
        assert_eq!(append(&log, &topic).await, [true; 3]);
    }
}
