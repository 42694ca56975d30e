//! The body for regions: Apache Kafka, or whatever speaks its protocol.
//!
//! A topic is a topic, a shard a partition, and offsets are the broker's: dense, because nothing is
//! compacted and no transaction leaves a marker between our records.
//!
//! Owns the public type, and the ways of appends and reads through it. Keeps the invariants that
//! memory is bounded (appends wait for a share of the queue, few reads are under way) and that no
//! call of the client library blocks the runtime. Leaves order to `producer`, offsets to `reader`,
//! the settings that brokers and clients need to `client` and `topic`.

mod client;
mod cluster;
mod config;
mod delivery;
mod failure;
mod message;
mod producer;
mod reader;
mod readers;
mod topic;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::batch::{Verdicts, refuse};
use crate::log::MAX_SHARDS;
use crate::{
    AppendError, Appended, Bounds, CreateTopicError, EventLog, Outage, ReadError, ReadLimits,
    ShardBatch, StoredRecord, Topic,
};
use client::Settings;
use cluster::Cluster;
use failure::Failure;
use producer::Producers;
use reader::{Lost, Reader};
use readers::Readers;

pub use config::{KafkaConfig, KafkaConfigError, KafkaSasl, KafkaSaslMechanism, KafkaTls};
pub use failure::KafkaOpenError;
pub use topic::TopicFault;

/// The queue of appends holds that many KiB, and counts each append as at least [`LEAST_SHARE`].
const QUEUE_KIB: usize = 64 << 10;
const LEAST_SHARE: usize = 4;

/// The most that a read brings.
const READ_BYTES: usize = 8 << 20;

/// The longest that a read waits; who asks for longer is answered with nothing by then.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// A log in Kafka.
///
/// Dropping it waits for the threads of its clients: for about a second.
pub struct KafkaEventLog {
    config: KafkaConfig,
    settings: Settings,
    cluster: Arc<Cluster>,
    producers: Arc<Producers>,
    readers: Arc<Readers>,
    queue: Arc<Semaphore>,
}

/// What comes to a reader.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Nothing,
    /// When something is appended in time.
    Perhaps,
    Surely,
}

// === impl KafkaEventLog ===

impl KafkaEventLog {
    /// Makes the clients. Brokers may be away: nobody is connected to yet.
    ///
    /// # Errors
    ///
    /// When the configuration is not sound, or names a certificate or a key that cannot be used.
    pub async fn open(config: KafkaConfig) -> Result<Self, KafkaOpenError> {
        let opening = tokio::task::spawn_blocking(move || Self::open_blocking(config));
        opening.await.map_err(|_| KafkaOpenError::Stopping)?
    }

    fn open_blocking(config: KafkaConfig) -> Result<Self, KafkaOpenError> {
        if let Some(fault) = config.faults().into_iter().next() {
            return Err(KafkaOpenError::Config(fault));
        }
        if config.sasl.is_some() && config.tls.is_none() {
            tracing::warn!("the password for Kafka is proven over a plain connection");
        }
        let settings = Settings::new(&config);
        Ok(Self {
            cluster: Arc::new(Cluster::new(&settings, config.request_timeout)?),
            producers: Arc::new(Producers::new(&settings, config.append_timeout)),
            readers: Arc::new(Readers::new(&settings)),
            queue: Arc::new(Semaphore::new(QUEUE_KIB)),
            settings,
            config,
        })
    }

    /// Everything about a topic that breaks a promise of this log, each with what to do about it.
    ///
    /// # Errors
    ///
    /// When brokers do not answer, or refuse to.
    pub async fn check(&self, topic: &Topic, shards: u16) -> Result<Vec<TopicFault>, Outage> {
        topic::faults(&self.cluster, &self.settings, &self.config, topic, shards).await
    }

    /// Deletes a topic with all that it holds. No service of ours does so.
    ///
    /// # Errors
    ///
    /// When brokers do not answer, or refuse to.
    #[cfg(feature = "testing")]
    pub async fn delete_topic(&self, topic: &Topic) -> Result<(), Outage> {
        topic::delete(&self.settings, &self.config, topic).await
    }

    /// Waits for a share of the queue that fits `batches`.
    async fn share(&self, batches: &[ShardBatch]) -> Result<OwnedSemaphorePermit, Outage> {
        let bytes: usize = batches.iter().map(ShardBatch::size).sum();
        let kib = LEAST_SHARE.max(bytes.div_ceil(1024)).min(QUEUE_KIB);
        let kib = u32::try_from(kib).expect("the queue has fewer KiB than a u32 counts");
        let share = Arc::clone(&self.queue).acquire_many_owned(kib).await;
        share.map_err(|_| Outage::Closed)
    }

    async fn deliver(
        &self,
        topic: &Topic,
        batches: Vec<ShardBatch>,
    ) -> Result<Vec<Result<Appended, AppendError>>, Outage> {
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        let share = self.share(&batches).await?;
        let delivered = self.producers.append(topic.clone(), batches, share).await?;
        if delivered.iter().any(Result::is_err) {
            // The topic may have gone: the next append asks.
            self.cluster.forget(topic);
        }
        let outcome =
            |delivered: Result<_, Failure>| delivered.map_err(|it| Outage::from(it).into());
        Ok(delivered.into_iter().map(outcome).collect())
    }

    /// The bounds, when `from` lies within them.
    async fn check_bounds(
        &self,
        topic: &Topic,
        shard: u16,
        from: u64,
    ) -> Result<Bounds, ReadError> {
        let bounds = self.cluster.bounds(topic, shard).await?;
        bounds.check(from)?;
        Ok(bounds)
    }

    /// Puts a reader at `from`, unless it stands there, and says what will come. One that stands
    /// there asks the broker only when it may not wait.
    async fn stand(
        &self,
        reader: &mut Reader,
        topic: &Topic,
        shard: u16,
        from: u64,
        limits: ReadLimits,
    ) -> Result<Expected, ReadError> {
        if reader.is_at(topic, shard, from) && reader.has_ready() {
            return Ok(Expected::Surely);
        }
        // What was ready may have been that it has lost its place.
        let stands = reader.is_at(topic, shard, from);
        if stands && !limits.wait.is_zero() {
            return Ok(Expected::Perhaps);
        }
        let bounds = self.check_bounds(topic, shard, from).await?;
        let expected = match from < bounds.high {
            true => Expected::Surely,
            false if limits.wait.is_zero() => return Ok(Expected::Nothing),
            false => Expected::Perhaps,
        };
        if !stands {
            reader.move_to(topic, shard, from).await?;
        }
        Ok(expected)
    }

    /// Why a reader lost its place at `from`.
    async fn explain(&self, topic: &Topic, shard: u16, from: u64, lost: Lost) -> ReadError {
        if matches!(lost, Lost::Missing(_)) {
            self.cluster.forget(topic);
        }
        if let Err(error) = self.check_bounds(topic, shard, from).await {
            return error;
        }
        match lost {
            // It lies within the bounds now, so that trying again may help.
            Lost::Offset(failure) | Lost::Missing(failure) | Lost::Refused(failure) => {
                Outage::from(failure).into()
            }
            Lost::Gap(found) => {
                let why = format!("after offset {from} comes {found}");
                ReadError::Corrupt(Arc::new(Failure::new("keep every record", why)))
            }
        }
    }
}

#[async_trait]
impl EventLog for KafkaEventLog {
    async fn create_topic(&self, topic: &Topic, shards: u16) -> Result<(), CreateTopicError> {
        if shards == 0 || shards > MAX_SHARDS {
            return Err(CreateTopicError::Shards(shards));
        }
        if self.cluster.describe(topic).await?.is_none() {
            topic::create(&self.cluster, &self.settings, &self.config, topic, shards).await?;
        }
        match self.cluster.shards(topic).await? {
            Some(existing) if existing != shards => Err(CreateTopicError::ShardsDiffer {
                topic: topic.clone(),
                existing,
                asked: shards,
            }),
            _ => Ok(()),
        }
    }

    async fn append_many(
        &self,
        topic: &Topic,
        batches: Vec<ShardBatch>,
    ) -> Vec<Result<Appended, AppendError>> {
        let shards = match self.cluster.shards(topic).await {
            Ok(Some(shards)) => shards,
            Ok(None) => return refuse(&batches, &AppendError::UnknownTopic(topic.clone())),
            Err(outage) => return refuse(&batches, &outage.into()),
        };
        let (verdicts, fit) = Verdicts::judge(topic, shards, batches);
        match self.deliver(topic, fit).await {
            Ok(outcomes) => verdicts.settle_each(outcomes),
            Err(outage) => verdicts.settle(Err(outage.into())),
        }
    }

    async fn bounds(&self, topic: &Topic, shard: u16) -> Result<Bounds, ReadError> {
        self.cluster.bounds(topic, shard).await
    }

    async fn last(&self, topic: &Topic, shard: u16) -> Result<Option<StoredRecord>, ReadError> {
        let one = ReadLimits {
            records: 1,
            bytes: 0,
            wait: Duration::ZERO,
        };
        loop {
            let Bounds { low, high } = self.bounds(topic, shard).await?;
            if low == high {
                return Ok(None);
            }
            match self.read(topic, shard, high - 1, one).await {
                // Retention has passed it, so there is a newer one, or none.
                Err(ReadError::OutOfRange { .. }) => {}
                read => return Ok(read?.pop()),
            }
        }
    }

    async fn read(
        &self,
        topic: &Topic,
        shard: u16,
        from: u64,
        limits: ReadLimits,
    ) -> Result<Vec<StoredRecord>, ReadError> {
        self.cluster.find(topic, shard).await?;
        let mut reader = self.readers.lease(topic, shard, from).await?;
        let expected = self.stand(&mut reader, topic, shard, from, limits).await?;
        let wait = match expected {
            Expected::Nothing => return Ok(Vec::new()),
            Expected::Perhaps => limits.wait.min(LONGEST_WAIT),
            Expected::Surely => self.config.request_timeout,
        };
        match timeout(wait, reader.next()).await {
            Ok(Ok(first)) => Ok(follow(&mut reader, first, limits)),
            Ok(Err(lost)) => {
                drop(reader);
                Err(self.explain(topic, shard, from, lost).await)
            }
            Err(_) if expected == Expected::Surely => {
                let why = format!("offset {from} did not come within {wait:?}");
                Err(Outage::from(Failure::new("read", why)).into())
            }
            Err(_) => {
                drop(reader);
                // Nothing came: because there is nothing, or because nobody answers?
                self.check_bounds(topic, shard, from).await?;
                Ok(Vec::new())
            }
        }
    }
}

impl std::fmt::Debug for KafkaEventLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("KafkaEventLog");
        shown.field("config", &self.config).finish_non_exhaustive()
    }
}

/// The first record, and those behind it that are here already and fit.
fn follow(reader: &mut Reader, first: StoredRecord, limits: ReadLimits) -> Vec<StoredRecord> {
    let most = limits.bytes.min(READ_BYTES);
    let mut bytes = first.record.size();
    let mut records = vec![first];
    while records.len() < limits.records && reader.has_ready() {
        let Some(Ok(record)) = reader.next().now_or_never() else {
            break;
        };
        bytes += record.record.size();
        if bytes > most {
            reader.give_back(record);
            break;
        }
        records.push(record);
    }
    records
}
