//! The event log of a region of this process, as another one reads it from afar.
//!
//! Keeps the invariant that a read costs what it would over the network between the regions: a question
//! there, an answer back, as wide as its records. It is a log to be read; nobody appends to that of
//! another region.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use meridian_eventlog::{
    AppendError, Appended, Bounds, CreateTopicError, EventLog, Outage, ReadError, ReadLimits,
    ShardBatch, StoredRecord, Topic,
};
use meridian_wan::Lane;

use crate::process::Shelf;

/// About as much as a question takes, and what stands around an answer.
const QUESTION: usize = 100;

/// How long an answer may be on its way until it counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// A log behind two lanes, or none.
pub(super) struct Distant {
    log: Shelf,
    path: Option<Path>,
}

/// The way to a region and back.
pub(super) struct Path {
    pub(super) there: Lane,
    pub(super) back: Lane,
}

// === impl Distant ===

impl Distant {
    pub(super) const fn new(log: Shelf, path: Option<Path>) -> Self {
        Self { log, path }
    }

    /// Asks the log, if it is open and the answer comes.
    async fn ask<T, E, F>(
        &self,
        patience: Duration,
        ask: impl FnOnce(Arc<dyn EventLog>) -> F + Send,
        size: impl Fn(&T) -> usize + Send,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>> + Send,
        E: From<Outage> + Send,
        T: Send,
    {
        let asked = async {
            self.cross(|path| &path.there, QUESTION).await;
            let log = self.log.log().ok_or_else(|| away("it is not open yet"))?;
            let answer = ask(log).await;
            let size = answer.as_ref().map_or(0, size);
            self.cross(|path| &path.back, QUESTION + size).await;
            answer
        };
        let asked = tokio::time::timeout(patience, asked).await;
        asked.unwrap_or_else(|_elapsed| Err(away("it does not answer").into()))
    }

    async fn cross(&self, way: impl Fn(&Path) -> &Lane + Send, bytes: usize) {
        if let Some(path) = &self.path {
            way(path).carry(bytes).await;
        }
    }
}

fn away(why: &'static str) -> Outage {
    Outage::Unavailable(Arc::new(io::Error::new(io::ErrorKind::TimedOut, why)))
}

fn read_only() -> Outage {
    let why = "the event log of another region is only read";
    Outage::Unavailable(Arc::new(io::Error::new(
        io::ErrorKind::ReadOnlyFilesystem,
        why,
    )))
}

#[async_trait]
impl EventLog for Distant {
    async fn create_topic(&self, _: &Topic, _: u16) -> Result<(), CreateTopicError> {
        Err(read_only().into())
    }

    async fn append_many(
        &self,
        _: &Topic,
        batches: Vec<ShardBatch>,
    ) -> Vec<Result<Appended, AppendError>> {
        let refused = |_| Err(read_only().into());
        batches.into_iter().map(refused).collect()
    }

    async fn bounds(&self, topic: &Topic, shard: u16) -> Result<Bounds, ReadError> {
        let ask = |log: Arc<dyn EventLog>| async move { log.bounds(topic, shard).await };
        self.ask(PATIENCE, ask, |_| 0).await
    }

    async fn last(&self, topic: &Topic, shard: u16) -> Result<Option<StoredRecord>, ReadError> {
        let ask = |log: Arc<dyn EventLog>| async move { log.last(topic, shard).await };
        let size = |last: &Option<StoredRecord>| last.as_ref().map_or(0, |it| it.record.size());
        self.ask(PATIENCE, ask, size).await
    }

    async fn read(
        &self,
        topic: &Topic,
        shard: u16,
        from: u64,
        limits: ReadLimits,
    ) -> Result<Vec<StoredRecord>, ReadError> {
        let ask =
            |log: Arc<dyn EventLog>| async move { log.read(topic, shard, from, limits).await };
        let size = |records: &Vec<StoredRecord>| records.iter().map(|it| it.record.size()).sum();
        self.ask(PATIENCE + limits.wait, ask, size).await
    }
}
