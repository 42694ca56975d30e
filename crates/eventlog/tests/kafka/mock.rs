//! Brokers in this process.
//!
//! They keep what they are sent in memory, 5 MiB or 100 000 records per shard, and fail as they are
//! told. They know no requests that create topics, which is done from here.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use async_trait::async_trait;
use meridian_eventlog::{
    AppendError, Appended, Bounds, CreateTopicError, EventLog, KafkaConfig, KafkaEventLog,
    ReadError, ReadLimits, ShardBatch, StoredRecord, Topic,
};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

/// What a shard keeps at most.
pub(crate) const RETAINED_BYTES: usize = 5 << 20;

/// Every broker.
pub(crate) const ALL: i32 = -1;

type Mock = MockCluster<'static, DefaultProducerContext>;
type Call = Box<dyn FnOnce(&Mock) + Send>;

/// Three brokers. They live on a thread of their own, because the library lets no other touch them.
pub(crate) struct Brokers {
    calls: Sender<Call>,
}

/// A log of theirs.
pub(crate) struct MockLog {
    pub(crate) log: KafkaEventLog,
    brokers: Arc<Brokers>,
}

// === impl Brokers ===

impl Brokers {
    pub(crate) fn start() -> Arc<Self> {
        let (calls, queue) = channel::<Call>();
        std::thread::spawn(move || {
            let mock = MockCluster::new(3).unwrap();
            for call in queue {
                call(&mock);
            }
        });
        Arc::new(Self { calls })
    }

    /// Settings that reach them, with little patience.
    pub(crate) fn config(&self) -> KafkaConfig {
        let brokers = self.call(Mock::bootstrap_servers);
        KafkaConfig {
            brokers: brokers.split(',').map(ToOwned::to_owned).collect(),
            // These brokers do not check that batches of a producer follow each other, as Kafka does:
            // what fails is repeated in order only if nothing of its shard is in flight behind it.
            linger: Duration::from_millis(20),
            append_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            ..KafkaConfig::default()
        }
    }

    pub(crate) async fn open(self: &Arc<Self>, config: KafkaConfig) -> MockLog {
        MockLog {
            log: KafkaEventLog::open(config).await.unwrap(),
            brokers: Arc::clone(self),
        }
    }

    /// The next requests to append fail like that, one after the other.
    pub(crate) fn fail_appends(&self, errors: &'static [RDKafkaRespErr]) {
        self.call(|mock| mock.request_errors(RDKafkaApiKey::Produce, errors));
    }

    /// Cuts the connections of a broker, and lets it take no others. Its shards stay its own.
    pub(crate) fn set_down(&self, broker: i32, down: bool) {
        self.call(move |mock| match down {
            true => mock.broker_down(broker).unwrap(),
            false => mock.broker_up(broker).unwrap(),
        });
    }

    /// Makes a broker the leader of a shard. (Without any, the library's brokers crash.)
    pub(crate) fn lead(&self, topic: &Topic, shard: u16, broker: i32) {
        let topic = topic.clone();
        self.call(move |mock| {
            let led = mock.partition_leader(topic.as_str(), i32::from(shard), Some(broker));
            led.unwrap();
        });
    }

    fn create_topic(&self, topic: &Topic, shards: u16) {
        let topic = topic.clone();
        self.call(move |mock| {
            let created = mock.create_topic(topic.as_str(), i32::from(shards), 3);
            created.unwrap();
        });
    }

    fn call<T: Send + 'static>(&self, call: impl FnOnce(&Mock) -> T + Send + 'static) -> T {
        let (reply, answer) = channel();
        let call = move |mock: &Mock| reply.send(call(mock)).unwrap();
        self.calls.send(Box::new(call)).unwrap();
        answer.recv().unwrap()
    }
}

// === impl MockLog ===

#[async_trait]
impl EventLog for MockLog {
    async fn create_topic(&self, topic: &Topic, shards: u16) -> Result<(), CreateTopicError> {
        let is_legal = (1..=meridian_eventlog::MAX_SHARDS).contains(&shards);
        let found = self.log.bounds(topic, 0).await;
        if is_legal && matches!(found, Err(ReadError::UnknownTopic(_))) {
            self.brokers.create_topic(topic, shards);
        }
        self.log.create_topic(topic, shards).await
    }

    async fn append_many(
        &self,
        topic: &Topic,
        batches: Vec<ShardBatch>,
    ) -> Vec<Result<Appended, AppendError>> {
        self.log.append_many(topic, batches).await
    }

    async fn bounds(&self, topic: &Topic, shard: u16) -> Result<Bounds, ReadError> {
        self.log.bounds(topic, shard).await
    }

    async fn last(&self, topic: &Topic, shard: u16) -> Result<Option<StoredRecord>, ReadError> {
        self.log.last(topic, shard).await
    }

    async fn read(
        &self,
        topic: &Topic,
        shard: u16,
        from: u64,
        limits: ReadLimits,
    ) -> Result<Vec<StoredRecord>, ReadError> {
        self.log.read(topic, shard, from, limits).await
    }
}
