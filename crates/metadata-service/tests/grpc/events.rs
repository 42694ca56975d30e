//! An event log that fails under the service, and how it comes back.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use meridian_clients::{MetadataApi, PutManifest, RepositoryPath, RequestId};
use meridian_clock::ManualClock;
use meridian_eventlog::{
    AppendError, Appended, Bounds, CreateTopicError, EventLog, MemoryEventLog, Outage, ReadError,
    ReadLimits, Record, ShardBatch, StoredRecord, Topic,
};
use meridian_oci::{Algorithm, Digest, Manifest};

use super::harness::Life;

/// A log that fails once when it is told to, and has forgotten everything from then on; or takes what
/// it is given, and no answer of it arrives.
#[derive(Default)]
struct Forgetful {
    log: Mutex<Arc<MemoryEventLog>>,
    forgets: AtomicBool,
    is_lossy: AtomicBool,
}

impl Forgetful {
    fn log(&self) -> Arc<MemoryEventLog> {
        Arc::clone(&self.log.lock().unwrap())
    }

    fn lost(&self) -> Result<(), Outage> {
        match self.is_lossy.load(Ordering::SeqCst) {
            true => Err(away()),
            false => Ok(()),
        }
    }
}

fn away() -> Outage {
    let away = io::Error::from(io::ErrorKind::ConnectionRefused);
    Outage::Unavailable(Arc::new(away))
}

#[async_trait]
impl EventLog for Forgetful {
    async fn create_topic(&self, topic: &Topic, shards: u16) -> Result<(), CreateTopicError> {
        self.log().create_topic(topic, shards).await
    }

    async fn append_many(
        &self,
        topic: &Topic,
        batches: Vec<ShardBatch>,
    ) -> Vec<Result<Appended, AppendError>> {
        if self.forgets.swap(false, Ordering::SeqCst) {
            *self.log.lock().unwrap() = Arc::default();
            let outage = away();
            return batches.iter().map(|_| Err(outage.clone().into())).collect();
        }
        let appended = self.log().append_many(topic, batches).await;
        match self.lost() {
            Err(outage) => appended
                .iter()
                .map(|_| Err(outage.clone().into()))
                .collect(),
            Ok(()) => appended,
        }
    }

    async fn bounds(&self, topic: &Topic, shard: u16) -> Result<Bounds, ReadError> {
        self.log().bounds(topic, shard).await
    }

    async fn last(&self, topic: &Topic, shard: u16) -> Result<Option<StoredRecord>, ReadError> {
        self.lost()?;
        self.log().last(topic, shard).await
    }

    async fn read(
        &self,
        topic: &Topic,
        shard: u16,
        from: u64,
        limits: ReadLimits,
    ) -> Result<Vec<StoredRecord>, ReadError> {
        self.log().read(topic, shard, from, limits).await
    }
}

fn index(number: u8) -> PutManifest {
    let media_type = "application/vnd.oci.image.index.v1+json";
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":[],"annotations":{{"n":"{number}"}}}}"#
    );
    let digest = Digest::of(Algorithm::Sha256, text.as_bytes());
    PutManifest {
        repository: RepositoryPath {
            registry: "default".parse().unwrap(),
            name: "team/app".parse().unwrap(),
        },
        manifest: Manifest::parse(Some(media_type), Bytes::from(text)).unwrap(),
        digest,
        tags: Vec::new(),
        condition: None,
        request: RequestId([number; 16]),
    }
}

/// Waits until the log has so many events.
async fn have(events: &Forgetful, wanted: u64) {
    let topic = Topic::events("local".parse().unwrap());
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let mut found = 0;
        for shard in 0..16 {
            let bounds = events.bounds(&topic, shard).await;
            found += bounds.map_or(0, |bounds| bounds.high);
        }
        if found >= wanted {
            return;
        }
        assert!(tokio::time::Instant::now() < end, "{found} events");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_comes_back_without_its_events_ends_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let events = Arc::new(Forgetful::default());
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let life = Life::new(folder.path(), Arc::clone(&events) as _, clock).await;
    life.service.put_manifest(index(1)).await.unwrap();
    have(&events, 1).await;

    events.forgets.store(true, Ordering::SeqCst);
    life.service.put_manifest(index(2)).await.unwrap();
    let ended = life
        .supervisor
        .run(std::future::pending(), Duration::from_secs(10));
    let why = ended.await.unwrap_err();
    let why = format!("{why:?}");
    assert!(why.contains("LogBehind"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_behind_the_last_event_and_is_none_keeps_nobody_from_publishing() {
    let folder = tempfile::tempdir().unwrap();
    let events = Arc::new(Forgetful::default());
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let life = Life::new(folder.path(), Arc::clone(&events) as _, Arc::clone(&clock)).await;
    life.service.put_manifest(index(1)).await.unwrap();
    have(&events, 1).await;
    life.stop().await;

    let topic = Topic::events("local".parse().unwrap());
    let mut told = 0;
    for shard in 0..16 {
        let foreign = vec![Record::new("", "no event"); 3];
        events.append(&topic, shard, foreign).await.unwrap();
        told += events.bounds(&topic, shard).await.unwrap().high;
    }
    let life = Life::new(folder.path(), Arc::clone(&events) as _, clock).await;
    life.service.put_manifest(index(2)).await.unwrap();
    have(&events, told + 1).await;
    life.stop().await;
}

/// Waits until the state knows that all of its events are published.
async fn acknowledged(life: &Life) {
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let status = life.service.events().await.unwrap();
        let mut shards = status.shards.iter();
        if shards.all(|shard| shard.acknowledged == shard.committed) {
            return;
        }
        assert!(tokio::time::Instant::now() < end, "{status:?}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_acknowledged_though_nothing_new_comes() {
    for restarts in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let events = Arc::new(Forgetful::default());
        let clock = Arc::new(ManualClock::at(1_700_000_000_000));
        let mut life = Life::new(folder.path(), Arc::clone(&events) as _, Arc::clone(&clock)).await;
        events.is_lossy.store(true, Ordering::SeqCst);
        life.service.put_manifest(index(1)).await.unwrap();
        have(&events, 1).await;
        if restarts {
            life.stop().await;
            events.is_lossy.store(false, Ordering::SeqCst);
            life = Life::new(folder.path(), Arc::clone(&events) as _, clock).await;
        } else {
            events.is_lossy.store(false, Ordering::SeqCst);
        }
        acknowledged(&life).await;
        life.stop().await;
        have(&events, 1).await;
    }
}
