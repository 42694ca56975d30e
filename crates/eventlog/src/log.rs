//! The port: what Meridian asks of an event log.
//!
//! Owns the contract, which is what Kafka can keep: topics with shards (partitions), order and dense
//! offsets within a shard, a low watermark that retention moves. Leaves to the caller which shard a
//! record belongs to, the offsets it has read up to, and what to do about a gap.

use std::time::Duration;

use async_trait::async_trait;

use crate::{
    AppendError, Appended, Bounds, CreateTopicError, ReadError, Record, ShardBatch, StoredRecord,
    Topic,
};

/// The most shards that a topic can have.
pub const MAX_SHARDS: u16 = 1024;

/// How much a read may bring, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// At most that many records; 0 reads as 1.
    pub records: usize,
    /// At most that many bytes, as [`Record::size`] counts them, but always one record. A body may
    /// stop earlier.
    pub bytes: usize,
    /// How long to wait for the first record when there is none yet.
    pub wait: Duration,
}

/// An ordered, durable stream of records per shard of a topic. Bodies pass
/// [`conformance`](crate).
///
/// # Contract
///
/// *Order.* Records of one append stand in their shard in the order given, and after those of every
/// append that was acknowledged before it began. Nothing orders two shards. A caller that needs
/// its appends in order awaits each before the next.
///
/// *Durability.* An acknowledged record outlives any crash of this process and machine, until
/// retention takes it. A reader sees only records that are as durable as that.
///
/// *Offsets* are dense per shard and never used twice. They say nothing about idempotency: an append
/// repeated after an unknown outcome stands twice, so records carry an identity of their own
/// (design §6.7: publishers start again after the last acknowledged `seq`).
///
/// *Reading* has no state in the log: a reader keeps its offset. An offset outside of the bounds is
/// an error, never a silent reset (reliability E3).
///
/// *Cancellation.* A dropped append has an unknown outcome; a dropped read has none.
///
/// *Retrying* is the caller's: no body repeats an append that may have happened.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Creates a topic; when it is there already with as many shards, nothing happens.
    ///
    /// # Errors
    ///
    /// When it is there with another number of shards, which cannot change, or when the log failed.
    async fn create_topic(&self, topic: &Topic, shards: u16) -> Result<(), CreateTopicError>;

    /// Appends to several shards, each at most once, and answers for each batch in the order given.
    /// A body makes them durable together: the disk body with one write and one sync. The outcomes
    /// are independent, because one Kafka partition may be without a leader while others are well.
    async fn append_many(
        &self,
        topic: &Topic,
        batches: Vec<ShardBatch>,
    ) -> Vec<Result<Appended, AppendError>>;

    /// Appends to one shard; returns when the records are durable.
    ///
    /// # Errors
    ///
    /// See [`AppendError`] for what is known about the records then.
    async fn append(
        &self,
        topic: &Topic,
        shard: u16,
        records: Vec<Record>,
    ) -> Result<Appended, AppendError> {
        let batch = ShardBatch { shard, records };
        let mut outcomes = self.append_many(topic, vec![batch]).await;
        outcomes.pop().expect("append_many answers for each batch")
    }

    /// The offsets that can be read now.
    ///
    /// # Errors
    ///
    /// When there is no such shard, or the log failed.
    async fn bounds(&self, topic: &Topic, shard: u16) -> Result<Bounds, ReadError>;

    /// The newest record: the head that a leader has to know before it publishes (design §6.6).
    /// `None` when nothing was ever appended (`high` is 0), or when retention took all there was.
    ///
    /// # Errors
    ///
    /// When there is no such shard, or the log failed.
    async fn last(&self, topic: &Topic, shard: u16) -> Result<Option<StoredRecord>, ReadError>;

    /// Reads the record at `from` and those that follow it, as far as `limits` go. At the end of the
    /// shard it waits for up to `limits.wait`, then returns nothing.
    ///
    /// # Errors
    ///
    /// [`ReadError::OutOfRange`] when `from` is below the low watermark or above the next offset.
    async fn read(
        &self,
        topic: &Topic,
        shard: u16,
        from: u64,
        limits: ReadLimits,
    ) -> Result<Vec<StoredRecord>, ReadError>;
}
