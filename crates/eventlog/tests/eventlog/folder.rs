//! A log in a folder, seen from the log and from the file system.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use meridian_clock::{Clock, ManualClock, SystemClock};
use meridian_eventlog::{
    DiskConfig, DiskEventLog, EventLog, OpenError, ReadError, ReadLimits, ShardBatch, StoredRecord,
    Topic,
};

pub(crate) const SHARDS: u16 = 4;

pub(crate) const NO_WAIT: ReadLimits = ReadLimits {
    records: usize::MAX,
    bytes: usize::MAX,
    wait: Duration::ZERO,
};

pub(crate) fn topic() -> Topic {
    Topic::events("eu".parse().unwrap())
}

/// The folder of the topic.
pub(crate) fn topic_folder(root: &Path) -> PathBuf {
    root.join(topic().as_str())
}

pub(crate) fn segment(root: &Path, number: u64) -> PathBuf {
    topic_folder(root).join(format!("{number:020}.seg"))
}

pub(crate) fn segment_size(kib: u64) -> DiskConfig {
    DiskConfig {
        segment_size: ByteSize::kib(kib),
        ..DiskConfig::default()
    }
}

pub(crate) async fn try_open(root: &Path, config: DiskConfig) -> Result<DiskEventLog, OpenError> {
    DiskEventLog::open(root, config, Arc::new(SystemClock)).await
}

pub(crate) async fn open(root: &Path, config: DiskConfig) -> DiskEventLog {
    try_open(root, config).await.unwrap()
}

/// Opens a log with the topic, whose time is told by a clock that stands.
pub(crate) async fn open_at(
    root: &Path,
    config: DiskConfig,
    clock: &Arc<ManualClock>,
) -> DiskEventLog {
    let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
    let log = DiskEventLog::open(root, config, clock).await.unwrap();
    log.create_topic(&topic(), SHARDS).await.unwrap();
    log
}

pub(crate) async fn append(log: &DiskEventLog, batches: Vec<ShardBatch>) {
    let outcomes = log.append_many(&topic(), batches).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

/// All that each shard holds.
pub(crate) async fn read_all(log: &DiskEventLog) -> Result<Vec<Vec<StoredRecord>>, ReadError> {
    let mut shards = Vec::new();
    for shard in 0..SHARDS {
        let mut records: Vec<StoredRecord> = Vec::new();
        let mut next = log.bounds(&topic(), shard).await?.low;
        loop {
            let read = log.read(&topic(), shard, next, NO_WAIT).await?;
            let Some(last) = read.last() else { break };
            next = last.offset + 1;
            records.extend(read);
        }
        shards.push(records);
    }
    Ok(shards)
}

/// What groups of batches become when each shard begins at 0.
pub(crate) fn stored(groups: &[Vec<ShardBatch>]) -> Vec<Vec<StoredRecord>> {
    let mut shards = vec![Vec::new(); usize::from(SHARDS)];
    for batch in groups.iter().flatten() {
        let shard: &mut Vec<StoredRecord> = &mut shards[usize::from(batch.shard)];
        for record in &batch.records {
            shard.push(StoredRecord {
                offset: shard.len() as u64,
                record: record.clone(),
            });
        }
    }
    shards
}

/// The sizes of the segment files, in order.
pub(crate) fn sizes(root: &Path) -> BTreeMap<PathBuf, u64> {
    let entries = std::fs::read_dir(topic_folder(root)).unwrap();
    let size = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        (entry.path(), entry.metadata().unwrap().len())
    };
    entries.map(size).collect()
}
