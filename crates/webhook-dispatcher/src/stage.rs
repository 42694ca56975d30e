//! A dispatcher for tests: on an event log in memory, and on metadata that answer what a test says.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use meridian_chassis::Supervisor;
use meridian_chassis::seal::KeyRing;
use meridian_clients::grpc::{GrpcConfig, GrpcMetadata};
use meridian_clients::replica::{AgentId, Attendance, EventRange, Events};
use meridian_clients::webhook::{PutWebhook, Subscriptions, WebhookApi, WebhookError};
use meridian_clients::{ReadError, RequestId};
use meridian_clock::{Region, SystemClock, Version};
use meridian_delivery::Dispatcher;
use meridian_event::webhook::{
    Assignment, DisableReason, DuePage, MessageId, Place, Record as Progress, StoredWebhook,
    Undelivered, WebhookId, WebhookName,
};
use meridian_event::{Envelope, Event, EventId, RegistryId, SHARDS};
use meridian_eventlog::{EventLog, MemoryEventLog, Record, Topic};
use meridian_oci::RegistryName;
use meridian_proto::encode_envelope;
use tokio::sync::watch;

use crate::call::Caller;
use crate::engine::Engine;
use crate::known::Known;
use crate::shell::Shell;
use crate::{Config, Ports};

/// The shard that tests work on.
pub(crate) const SHARD: u16 = 3;

/// The metadata: events that are kept, or the answer instead of them.
#[derive(Debug)]
pub(crate) struct Metadata {
    events: Mutex<Vec<Envelope>>,
    failure: Mutex<Option<ReadError>>,
    /// How often it was asked which webhooks there are, and whether that is answered.
    questions: AtomicU64,
    answers: watch::Sender<bool>,
}

/// A dispatcher, and what it stands on.
pub(crate) struct Stage {
    pub(crate) shell: Arc<Shell>,
    pub(crate) metadata: Arc<Metadata>,
    log: Arc<MemoryEventLog>,
    _supervisor: Supervisor,
}

pub(crate) fn region() -> Region {
    "eu".parse().unwrap()
}

pub(crate) const fn at(seq: u64) -> Place {
    Place { epoch: 1, seq }
}

pub(crate) fn event(seq: u64) -> Envelope {
    let version = Version::next(None, seq, region());
    Envelope {
        id: EventId {
            region: region(),
            epoch: 1,
            shard: SHARD,
            seq,
        },
        version,
        registry: RegistryId::new(version),
        event: Event::RegistryCreated {
            name: "default".into(),
        },
    }
}

pub(crate) fn record(seq: u64) -> Record {
    Record::new("", encode_envelope(&event(seq)))
}

/// A record that cannot be read, and says which event it is nevertheless.
pub(crate) fn damaged(seq: u64) -> Record {
    Record::new("", "no event").with_header("id", event(seq).id.to_string())
}

// === impl Stage ===

impl Stage {
    /// With these records in the log.
    pub(crate) async fn new(records: Vec<Record>) -> Self {
        let (log, topic) = (MemoryEventLog::default(), Topic::events(region()));
        log.create_topic(&topic, SHARDS).await.unwrap();
        let (metadata, log) = (Arc::new(Metadata::default()), Arc::new(log));
        let api: Arc<dyn WebhookApi> = Arc::clone(&metadata) as _;
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        let keys = KeyRing::load_or_make(&keys, Duration::from_secs(10)).unwrap();
        let config = Config::default();
        let caller = Caller::new(&config, "Meridian").unwrap();
        let engine = Dispatcher::new(config.delivery.clone(), 1);
        let engine = Engine::new(engine, Arc::new(SystemClock));
        let known = Known::new(Arc::clone(&api), keys);
        // Nobody is there, and nobody calls.
        let nobody = GrpcMetadata::at("http://127.0.0.1:1", &GrpcConfig::default()).unwrap();
        let ports = Ports {
            webhooks: api,
            metadata: Arc::new(nobody),
            log: Arc::clone(&log) as _,
            clock: Arc::new(SystemClock),
        };
        let supervisor = Supervisor::new();
        let shell = Shell::new(
            region(),
            config,
            ports,
            (engine, known, caller),
            "Meridian".to_owned(),
            supervisor.spawner(),
            supervisor.token(),
        );
        let stage = Self {
            shell: Arc::new(shell),
            metadata,
            log,
            _supervisor: supervisor,
        };
        stage.append(records).await;
        stage
    }

    pub(crate) async fn append(&self, records: Vec<Record>) {
        if !records.is_empty() {
            let topic = Topic::events(region());
            self.log.append(&topic, SHARD, records).await.unwrap();
        }
    }
}

// === impl Metadata ===

impl Default for Metadata {
    fn default() -> Self {
        Self {
            events: Mutex::default(),
            failure: Mutex::default(),
            questions: AtomicU64::new(0),
            answers: watch::Sender::new(true),
        }
    }
}

impl Metadata {
    /// Nobody is told which webhooks there are, until that is taken back.
    pub(crate) fn hold(&self) {
        self.answers.send_replace(false);
    }

    pub(crate) fn answer(&self) {
        self.answers.send_replace(true);
    }

    /// How often it was asked that.
    pub(crate) fn questions(&self) -> u64 {
        self.questions.load(Ordering::SeqCst)
    }

    /// These are kept.
    pub(crate) fn keep(&self, events: impl Iterator<Item = u64>) {
        let mut kept = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = events.map(event).collect();
    }

    /// That is answered instead.
    pub(crate) fn fail(&self, failure: ReadError) {
        let mut failing = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        *failing = Some(failure);
    }
}

#[async_trait]
impl WebhookApi for Metadata {
    async fn events(&self, range: &EventRange) -> Result<Events, ReadError> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = &*failure {
            return Err(failure.clone());
        }
        let kept = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let first = kept.first().map_or(u64::MAX, |first| first.id.seq);
        if range.from < first {
            return Ok(Events::Gone);
        }
        let asked = |it: &&Envelope| (range.from..=range.to).contains(&it.id.seq);
        Ok(Events::Here(kept.iter().filter(asked).cloned().collect()))
    }

    async fn subscriptions(
        &self,
        _known: Option<Version>,
    ) -> Result<Option<Subscriptions>, WebhookError> {
        self.questions.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.subscribe();
        drop(answers.wait_for(|answers| *answers).await);
        Ok(Some(Subscriptions::default()))
    }

    async fn list(&self, _registry: &RegistryName) -> Result<Vec<StoredWebhook>, WebhookError> {
        Ok(Vec::new())
    }

    async fn put(&self, _new: PutWebhook) -> Result<Version, WebhookError> {
        Err(WebhookError::Unknown)
    }

    async fn delete(
        &self,
        _registry: &RegistryName,
        _name: &WebhookName,
        _request: RequestId,
    ) -> Result<(), WebhookError> {
        Err(WebhookError::Unknown)
    }

    async fn attend(&self, _dispatcher: AgentId) -> Result<Attendance, WebhookError> {
        Err(WebhookError::Unknown)
    }

    async fn take(&self, _shard: u16) -> Result<Assignment, WebhookError> {
        Err(WebhookError::Unknown)
    }

    async fn standing(&self, _shard: u16) -> Result<Option<Assignment>, WebhookError> {
        Ok(None)
    }

    async fn record(&self, _record: &Progress) -> Result<bool, WebhookError> {
        Ok(true)
    }

    async fn due(
        &self,
        _webhook: WebhookId,
        _shard: u16,
        _until: u64,
        _limit: usize,
    ) -> Result<DuePage, WebhookError> {
        Err(WebhookError::Unknown)
    }

    async fn disable(
        &self,
        _webhook: WebhookId,
        _since: Version,
        _reason: DisableReason,
    ) -> Result<bool, WebhookError> {
        Ok(false)
    }

    async fn prune(&self, _shard: u16, _until: u64) -> Result<(), WebhookError> {
        Ok(())
    }

    async fn undelivered(
        &self,
        _webhook: WebhookId,
        _after: Option<(u16, MessageId)>,
        _limit: usize,
    ) -> Result<Vec<Undelivered>, WebhookError> {
        Ok(Vec::new())
    }

    async fn retry(
        &self,
        _webhook: WebhookId,
        _messages: &[(u16, MessageId)],
        _due: u64,
    ) -> Result<u64, WebhookError> {
        Ok(0)
    }
}
