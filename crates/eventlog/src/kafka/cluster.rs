//! What is asked of the brokers beside reading and appending: which topics there are, and where a
//! shard begins and ends.
//!
//! Owns the one client for questions, and what is remembered of their answers: the number of shards
//! of each topic that was found, which never changes while the topic lives. Keeps the invariant that
//! a question, which blocks a thread, never blocks the runtime, and that few are under way at once.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rdkafka::client::Client;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::client::{Settings, Telling};
use super::failure::{Failure, KafkaOpenError, is_missing};
use crate::{Bounds, Outage, ReadError, Topic};

/// How many questions may be under way.
const QUESTIONS: usize = 16;

/// How long to wait before a question is asked again.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(50);

/// The brokers, as those who ask see them.
pub(super) struct Cluster {
    client: BaseConsumer<Telling>,
    timeout: Duration,
    questions: Semaphore,
    shards: RwLock<BTreeMap<Topic, u16>>,
}

/// What brokers say about a topic.
pub(super) struct Description {
    pub(super) shards: u16,
    /// Of the shard that has fewest.
    pub(super) replicas: u16,
    /// Whether every shard can be appended to.
    pub(super) has_leaders: bool,
}

// === impl Cluster ===

impl Cluster {
    /// Makes the client; connects to nobody yet. Blocks.
    pub(super) fn new(settings: &Settings, timeout: Duration) -> Result<Self, KafkaOpenError> {
        Ok(Self {
            client: settings.asking().create_with_context(Telling)?,
            timeout,
            questions: Semaphore::new(QUESTIONS),
            shards: RwLock::default(),
        })
    }

    /// How many shards a topic has; `None` if there is no such topic.
    pub(super) async fn shards(self: &Arc<Self>, topic: &Topic) -> Result<Option<u16>, Outage> {
        let known = self.known().get(topic).copied();
        if known.is_some() {
            return Ok(known);
        }
        let described = self.describe(topic).await?;
        Ok(described.map(|topic| topic.shards))
    }

    /// Forgets what was known about a topic, because somebody met something else.
    pub(super) fn forget(&self, topic: &Topic) {
        let mut shards = self.shards.write().unwrap_or_else(PoisonError::into_inner);
        shards.remove(topic);
    }

    /// Fails unless the topic has that shard.
    pub(super) async fn find(self: &Arc<Self>, topic: &Topic, shard: u16) -> Result<(), ReadError> {
        match self.shards(topic).await? {
            None => Err(ReadError::UnknownTopic(topic.clone())),
            Some(shards) if shard < shards => Ok(()),
            Some(_) => Err(ReadError::UnknownShard {
                topic: topic.clone(),
                shard,
            }),
        }
    }

    /// What brokers say about a topic now; `None` if there is none.
    pub(super) async fn describe(
        self: &Arc<Self>,
        topic: &Topic,
    ) -> Result<Option<Description>, Outage> {
        let asked = topic.clone();
        let ask = self.ask(move |client, patience| describe(client, &asked, patience));
        let described = ask.await?.map_err(Failure::to("describe a topic"))?;
        let mut shards = self.shards.write().unwrap_or_else(PoisonError::into_inner);
        match &described {
            Some(description) => shards.insert(topic.clone(), description.shards),
            None => shards.remove(topic),
        };
        Ok(described)
    }

    /// The offsets that can be read now.
    pub(super) async fn bounds(
        self: &Arc<Self>,
        topic: &Topic,
        shard: u16,
    ) -> Result<Bounds, ReadError> {
        self.find(topic, shard).await?;
        let asked = topic.clone();
        let ask = self.ask(move |client, patience| {
            client.fetch_watermarks(asked.as_str(), i32::from(shard), patience)
        });
        let (low, high) = match ask.await? {
            Ok(watermarks) => watermarks,
            Err(error) if error.rdkafka_error_code().is_some_and(is_missing) => {
                self.forget(topic);
                self.find(topic, shard).await?;
                return Err(unbounded(error).into());
            }
            Err(error) => return Err(unbounded(error).into()),
        };
        match (u64::try_from(low), u64::try_from(high)) {
            (Ok(low), Ok(high)) => Ok(Bounds { low, high }),
            _ => Err(Outage::from(Failure::new("tell the bounds of a shard", "none")).into()),
        }
    }

    /// Asks on a thread that may block, and again as long as there is time where brokers come and go.
    async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl Fn(&Client<Telling>, Duration) -> KafkaResult<T> + Send + Sync + 'static,
    ) -> Result<KafkaResult<T>, Outage> {
        let permit = self.questions.acquire().await;
        let _permit = permit.map_err(|_| Outage::Closed)?;
        let question = Arc::new(question);
        let deadline = Instant::now() + self.timeout;
        loop {
            let (cluster, question) = (Arc::clone(self), Arc::clone(&question));
            let patience = deadline.saturating_duration_since(Instant::now());
            let asking = tokio::task::spawn_blocking(move || {
                // What it has to say about connections is in the log; unread, it would pile up.
                while cluster.client.poll(Duration::ZERO).is_some() {}
                question(cluster.client.client(), patience)
            });
            match asking.await.map_err(|_| Outage::Closed)? {
                Err(error) if may_pass(&error) && Instant::now() < deadline => {
                    tokio::time::sleep(BETWEEN_QUESTIONS).await;
                }
                answer => return Ok(answer),
            }
        }
    }

    fn known(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<Topic, u16>> {
        self.shards.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn describe(
    client: &Client<Telling>,
    topic: &Topic,
    patience: Duration,
) -> KafkaResult<Option<Description>> {
    let metadata = match client.fetch_metadata(Some(topic.as_str()), patience) {
        Err(error) if error.rdkafka_error_code().is_some_and(is_missing) => return Ok(None),
        metadata => metadata?,
    };
    let mut topics = metadata.topics().iter();
    let Some(found) = topics.find(|found| found.name() == topic.as_str()) else {
        return Ok(None);
    };
    match found.error().map(Into::into) {
        None => {}
        Some(code) if is_missing(code) => return Ok(None),
        Some(code) => return Err(KafkaError::MetadataFetch(code)),
    }
    let partitions = found.partitions();
    let replicas = partitions
        .iter()
        .map(|partition| partition.replicas().len());
    let count = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
    Ok((!partitions.is_empty()).then(|| Description {
        shards: count(partitions.len()),
        replicas: count(replicas.min().unwrap_or(0)),
        has_leaders: partitions.iter().all(|partition| partition.leader() >= 0),
    }))
}

/// Whether the wrong broker was asked, or one that went away. The client looks for the right one
/// meanwhile.
fn may_pass(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::FencedLeaderEpoch
                | RDKafkaErrorCode::UnknownLeaderEpoch
                | RDKafkaErrorCode::OffsetNotAvailable
                | RDKafkaErrorCode::ReplicaNotAvailable
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::DestroyBroker
                | RDKafkaErrorCode::NetworkException
        )
    )
}

fn unbounded(error: KafkaError) -> Outage {
    Failure::to("tell the bounds of a shard")(error).into()
}
