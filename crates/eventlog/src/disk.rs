//! The embedded body: a log in segment files on local disk, for `meridian dev` and small
//! installations.
//!
//! ```text
//! <root>/LOCK                    locked while the log is open
//! <root>/<topic>/<number>.seg    all shards of a topic in one stream of appends
//! ```
//!
//! Owns the public type and the way from a caller to the writer's thread and back. Keeps the
//! invariant that memory is bounded: appends wait for a share of the queue before they enter it, and
//! few reads are under way at once. Leaves to `writer` and `tail` what is written and when it is
//! durable, to `recover` what a crash leaves behind, to `stream` and `segment` reading.

mod acknowledged;
mod config;
mod directory;
mod durable;
mod fault;
mod format;
mod frames;
mod group;
mod index;
mod recover;
mod scan;
mod segment;
mod stream;
mod tail;
mod writer;

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use async_trait::async_trait;
use meridian_clock::Clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::batch::{Verdicts, refuse};
use crate::{
    AppendError, Appended, Bounds, CreateTopicError, EventLog, Outage, ReadError, ReadLimits,
    ShardBatch, StoredRecord, Topic, bounds,
};
use directory::Directory;
use writer::{Append, Command, Writer};

pub(crate) use acknowledged::Acknowledged;
pub use config::{ConfigError, DiskConfig};
pub use fault::{CorruptSegment, OpenError};

/// The queue of appends holds that many KiB, and counts each append as at least [`LEAST_SHARE`].
const QUEUE_KIB: usize = 64 << 10;
const LEAST_SHARE: usize = 64;

/// How many reads may be at the disk at once.
const READS: usize = 16;

/// A log in segment files on local disk.
///
/// Dropping it waits for the writer's thread to finish what was queued and to unlock the folder:
/// for about one sync.
#[derive(Debug)]
pub struct DiskEventLog {
    directory: Arc<Directory>,
    /// Taken when the log is dropped, which ends the thread.
    commands: Option<SyncSender<Command>>,
    thread: Option<JoinHandle<()>>,
    queue: Arc<Semaphore>,
    reads: Arc<Semaphore>,
}

// === impl DiskEventLog ===

impl DiskEventLog {
    /// Opens the log under `root`, which is created if it is not there. Time, which serves
    /// `retention_age` only, is told by `clock`.
    ///
    /// # Errors
    ///
    /// When another process has it open, when what was acknowledged is damaged, or when the
    /// configuration or the file system does not allow it.
    pub async fn open(
        root: impl Into<PathBuf>,
        config: DiskConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        Self::open_at(root.into(), config, clock, None).await
    }

    /// Opens a log again that has stopped in this process: behind what it has acknowledged.
    pub(crate) async fn open_behind(
        root: PathBuf,
        config: DiskConfig,
        clock: Arc<dyn Clock>,
        acknowledged: Acknowledged,
    ) -> Result<Self, OpenError> {
        Self::open_at(root, config, clock, Some(acknowledged)).await
    }

    async fn open_at(
        root: PathBuf,
        config: DiskConfig,
        clock: Arc<dyn Clock>,
        behind: Option<Acknowledged>,
    ) -> Result<Self, OpenError> {
        let opening =
            tokio::task::spawn_blocking(move || Self::open_blocking(root, config, clock, behind));
        opening.await.map_err(|_| OpenError::Stopping)?
    }

    fn open_blocking(
        root: PathBuf,
        config: DiskConfig,
        clock: Arc<dyn Clock>,
        behind: Option<Acknowledged>,
    ) -> Result<Self, OpenError> {
        if let Some(fault) = config.faults().into_iter().next() {
            return Err(OpenError::Config(fault));
        }
        std::fs::create_dir_all(&root).map_err(OpenError::io("create", &root))?;
        let root = root.canonicalize().map_err(OpenError::io("find", &root))?;
        let lock = lock(&root)?;
        if let Some(behind) = &behind {
            behind.cut(&root)?;
        }
        let tails = recover::topics(&root, &config)?;
        for folder in [Some(root.as_path()), root.parent()].into_iter().flatten() {
            durable::sync_folder(folder).map_err(OpenError::io("sync", folder))?;
        }
        let streams = tails.iter().map(|tail| Arc::clone(&tail.stream));
        let directory = Arc::new(Directory::new(streams));
        if let Some(behind) = &behind {
            behind.check(&root, &directory)?;
        }
        let tails = tails
            .into_iter()
            .map(|tail| (tail.stream.topic.clone(), tail))
            .collect();
        let mut writer = Writer {
            root: root.clone(),
            config,
            clock,
            directory: Arc::clone(&directory),
            tails,
            lock,
        };
        writer.mark().map_err(OpenError::io("write to", &root))?;
        // No more commands than shares can wait, so the queue never refuses one.
        let (commands, queue) = sync_channel(QUEUE_KIB / LEAST_SHARE);
        let thread = std::thread::Builder::new()
            .name("eventlog-writer".into())
            .spawn(move || writer.run(&queue))
            .map_err(OpenError::io("start the writer of", &root))?;
        Ok(Self {
            directory,
            commands: Some(commands),
            thread: Some(thread),
            queue: Arc::new(Semaphore::new(QUEUE_KIB)),
            reads: Arc::new(Semaphore::new(READS)),
        })
    }

    /// Waits for a share of the queue that fits `bytes`.
    async fn share(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Outage> {
        let kib = LEAST_SHARE.max(bytes.div_ceil(1024)).min(QUEUE_KIB);
        let kib = u32::try_from(kib).expect("the queue has fewer KiB than a u32 counts");
        let share = Arc::clone(&self.queue).acquire_many_owned(kib).await;
        share.map_err(|_| Outage::Closed)
    }

    /// Deletes the oldest segments of a topic as long as all of their records lie before the offsets
    /// given, one for each shard. What of those records shares a segment with later ones stays.
    ///
    /// For owners who know what they need no more; who does not, leaves it to retention.
    ///
    /// # Errors
    ///
    /// When there is no such topic, or a file cannot be deleted: then it may be tried again.
    pub async fn trim(&self, topic: &Topic, before: Vec<u64>) -> Result<(), ReadError> {
        let stream = self.directory.get(topic)?;
        let trimming = tokio::task::spawn_blocking(move || stream.trim(&before));
        let trimmed = trimming.await.map_err(|_| Outage::Closed)?;
        trimmed.map_err(|error| Outage::Unavailable(Arc::new(error)).into())
    }

    /// How far it has acknowledged, once it has stopped.
    pub(crate) fn acknowledged(&self) -> Acknowledged {
        Acknowledged::of(&self.directory)
    }

    fn send(&self, command: Command) -> Result<(), Outage> {
        let commands = self.commands.as_ref().ok_or(Outage::Closed)?;
        commands.try_send(command).map_err(|_| Outage::Closed)
    }

    async fn commit(
        &self,
        topic: &Topic,
        batches: Vec<ShardBatch>,
    ) -> Result<Vec<Appended>, AppendError> {
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        self.directory.check()?;
        let share = self
            .share(batches.iter().map(ShardBatch::size).sum())
            .await?;
        let (reply, answer) = oneshot::channel();
        self.send(Command::Append(Append {
            topic: topic.clone(),
            batches,
            reply,
            share,
        }))?;
        answer.await.unwrap_or_else(|_| Err(Outage::Closed.into()))
    }
}

#[async_trait]
impl EventLog for DiskEventLog {
    async fn create_topic(&self, topic: &Topic, shards: u16) -> Result<(), CreateTopicError> {
        let share = self.share(0).await?;
        let (reply, answer) = oneshot::channel();
        self.send(Command::CreateTopic {
            topic: topic.clone(),
            shards,
            reply,
            share,
        })?;
        answer.await.unwrap_or_else(|_| Err(Outage::Closed.into()))
    }

    async fn append_many(
        &self,
        topic: &Topic,
        batches: Vec<ShardBatch>,
    ) -> Vec<Result<Appended, AppendError>> {
        let Some(stream) = self.directory.find(topic) else {
            return refuse(&batches, &AppendError::UnknownTopic(topic.clone()));
        };
        let (verdicts, fit) = Verdicts::judge(topic, stream.shards(), batches);
        verdicts.settle(self.commit(topic, fit).await)
    }

    async fn bounds(&self, topic: &Topic, shard: u16) -> Result<Bounds, ReadError> {
        let stream = self.directory.get(topic)?;
        let bounds = *stream.bounds(shard)?.borrow();
        Ok(bounds)
    }

    async fn last(&self, topic: &Topic, shard: u16) -> Result<Option<StoredRecord>, ReadError> {
        let one = ReadLimits {
            records: 1,
            bytes: 0,
            wait: std::time::Duration::ZERO,
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
        let stream = self.directory.get(topic)?;
        let bounds = stream.bounds(shard)?;
        if bounds::reached(bounds, from, limits.wait).await?.is_none() {
            return Ok(Vec::new());
        }
        let permit = Arc::clone(&self.reads).acquire_owned().await;
        let permit = permit.map_err(|_| Outage::Closed)?;
        let reading = tokio::task::spawn_blocking(move || {
            let records = stream.read(shard, from, limits);
            drop(permit);
            records
        });
        reading.await.map_err(|_| Outage::Closed)?
    }
}

impl Drop for DiskEventLog {
    fn drop(&mut self) {
        drop(self.commands.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer of the event log panicked");
        }
    }
}

/// Locks a log for this process.
fn lock(root: &Path) -> Result<File, OpenError> {
    let path = root.join("LOCK");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path);
    let file = file.map_err(OpenError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(root.to_owned())),
        Err(TryLockError::Error(source)) => Err(OpenError::io("lock", &path)(source)),
    }
}
