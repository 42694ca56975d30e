//! The storage against openraft's own suite, and against what the suite does not ask for.

use openraft::StorageError;
use openraft::entry::RaftEntry as _;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{LogId as RaftLogId, RaftLogReader};
use tempfile::TempDir;

use super::log_store::LogStore;
use super::log_writer::Linger;
use super::state_machine::StateMachine;
use super::{RaftEntry, TypeConfig, Vote};

const LINGER: Linger = Linger {
    longest: std::time::Duration::ZERO,
    enough: 1,
};

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError<TypeConfig>> {
        let folder = tempfile::tempdir().unwrap();
        let log = LogStore::open(folder.path(), LINGER).unwrap();
        let (machine, _states) = StateMachine::open(folder.path().to_owned()).unwrap();
        Ok((folder, log, machine))
    }
}

#[test]
fn the_storage_passes_the_suite_of_openraft() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(Suite::test_all(Builder)).unwrap();
}

fn blank(index: u64) -> RaftEntry {
    RaftEntry::new_blank(id(index))
}

fn id(index: u64) -> super::LogId {
    let vote = Vote::new_committed(1, 1);
    RaftLogId::new(openraft::vote::RaftVote::leader_id(&vote).clone().into(), index)
}

#[tokio::test]
async fn what_was_flushed_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let vote = Vote::new(7, 3);
    {
        let mut log = LogStore::open(folder.path(), LINGER).unwrap();
        log.save_vote(&vote).await.unwrap();
        log.blocking_append((1..=100).map(blank)).await.unwrap();
        log.save_committed(Some(id(50))).await.unwrap();
        // The committed position goes along with the next sync.
        log.blocking_append([blank(101)]).await.unwrap();
    }
    let mut log = reopen(folder.path()).await;
    assert_eq!(log.read_vote().await.unwrap(), Some(vote));
    assert_eq!(log.read_committed().await.unwrap(), Some(id(50)));
    let entries = log.try_get_log_entries(..).await.unwrap();
    let indexes: Vec<u64> = entries.iter().map(|entry| entry.log_id.index).collect();
    assert_eq!(indexes, (1..=101).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_log_is_read_whole_across_disk_and_memory() {
    let folder = tempfile::tempdir().unwrap();
    {
        let mut log = LogStore::open(folder.path(), LINGER).unwrap();
        log.blocking_append((1..=20).map(blank)).await.unwrap();
    }
    let mut log = reopen(folder.path()).await;
    log.blocking_append((21..=40).map(blank)).await.unwrap();
    let entries = log.try_get_log_entries(5..=30).await.unwrap();
    let indexes: Vec<u64> = entries.iter().map(|entry| entry.log_id.index).collect();
    assert_eq!(indexes, (5..=30).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_rotten_record_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let db = redb::Database::create(folder.path().join("log.redb")).unwrap();
    let transaction = db.begin_write().unwrap();
    {
        let mut log = transaction.open_table(super::log_writer::LOG).unwrap();
        let mut bytes = super::codec::encode(&blank(1)).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        log.insert(1, bytes.as_slice()).unwrap();
    }
    transaction.commit().unwrap();
    drop(db);
    assert!(LogStore::open(folder.path(), LINGER).is_err());
}

/// The thread that writes the log lets go of the file a moment after the last handle is dropped.
async fn reopen(folder: &std::path::Path) -> LogStore {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
    loop {
        match LogStore::open(folder, LINGER) {
            Ok(log) => return log,
            Err(error) => assert!(tokio::time::Instant::now() < deadline, "{error}"),
        }
        tokio::task::yield_now().await;
    }
}
