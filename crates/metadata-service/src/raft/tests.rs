//! The storage against openraft's own suite, and against what the suite does not ask for.

mod crash;

use std::sync::Arc;
use std::time::Duration;

use meridian_catalog::{BlobPlace, Command, Encoding, Entry};
use meridian_clock::SystemClock;
use meridian_event::Leaf;
use meridian_eventlog::OpenError;
use meridian_oci::{Algorithm, Digest};
use openraft::EntryPayload;
use openraft::StorageError;
use openraft::entry::RaftEntry as _;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{LogId as RaftLogId, RaftLogReader};
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::log_store::{LogOptions, LogStore};
use super::log_writer::Linger;
use super::state_machine::StateMachine;
use super::{IoFlushed, RaftEntry, TypeConfig, Vote};
use crate::patience::Patience;

const LINGER: Linger = Linger {
    longest: Duration::ZERO,
    enough: 1,
};

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError<TypeConfig>> {
        let folder = tempfile::tempdir().unwrap();
        let log = open(folder.path()).await.unwrap();
        let (machine, _states) = StateMachine::open(
            folder.path().to_owned(),
            Patience::default(),
            &TaskTracker::new(),
        )
        .unwrap();
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

/// An entry that carries so many bytes.
fn large(index: u64, bytes: usize) -> RaftEntry {
    let blob = Leaf {
        digest: Digest::of(Algorithm::Sha256, b""),
        size: bytes as u64,
    };
    let command = Command::PutBlob {
        registry: "default".parse().unwrap(),
        repository: "team/app".parse().unwrap(),
        blob,
        encoding: Encoding::Plain,
        place: BlobPlace::Inline(vec![7; bytes]),
    };
    let entry = Entry {
        millis: 0,
        request: None,
        trace: None,
        command,
    };
    RaftEntry::new_normal(id(index), Arc::new(entry))
}

fn bytes_of(entry: &RaftEntry) -> usize {
    let EntryPayload::Normal(entry) = &entry.payload else {
        return 0;
    };
    match &entry.command {
        Command::PutBlob {
            place: BlobPlace::Inline(bytes),
            ..
        } => bytes.len(),
        _ => 0,
    }
}

fn id(index: u64) -> super::LogId {
    let vote = Vote::new_committed(1, 1);
    RaftLogId::new(*openraft::vote::RaftVote::leader_id(&vote), index)
}

#[tokio::test]
async fn what_was_flushed_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let vote = Vote::new(7, 3);
    {
        let mut log = open(folder.path()).await.unwrap();
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
        let mut log = open(folder.path()).await.unwrap();
        log.blocking_append((1..=20).map(blank)).await.unwrap();
    }
    let mut log = reopen(folder.path()).await;
    log.blocking_append((21..=40).map(blank)).await.unwrap();
    let entries = log.try_get_log_entries(5..=30).await.unwrap();
    let indexes: Vec<u64> = entries.iter().map(|entry| entry.log_id.index).collect();
    assert_eq!(indexes, (5..=30).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_entry_that_rotted_after_a_later_one_was_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    {
        let mut log = open(folder.path()).await.unwrap();
        log.blocking_append([large(1, 1000)]).await.unwrap();
        log.blocking_append([blank(2)]).await.unwrap();
    }
    drop(reopen(folder.path()).await);
    let segment = folder.path().join("log/raft/00000000000000000000.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    let rotten = bytes
        .windows(100)
        .position(|window| window == [7; 100])
        .unwrap();
    bytes[rotten] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    let why = loop {
        let refused = open(folder.path())
            .await
            .err()
            .unwrap()
            .into_inner()
            .unwrap();
        match refused.downcast_ref::<OpenError>() {
            Some(OpenError::InUse(_)) => assert!(Instant::now() < deadline),
            _ => break meridian_error::chain(&*refused),
        }
        tokio::task::yield_now().await;
    };
    assert!(why.contains("damaged"), "{why}");
}

#[tokio::test]
async fn large_entries_leave_memory_and_are_read_from_disk() {
    let folder = tempfile::tempdir().unwrap();
    // What a read brings is bounded in bytes, and entries near the bound and above it are read too.
    let sizes = [
        3 << 20,
        10,
        1 << 20,
        4 << 20,
        (8 << 20) - 200,
        (8 << 20) - 30,
        12 << 20,
    ];
    let entries = |from| (from..).zip((0..4).flat_map(|_| sizes));
    {
        let mut log = open(folder.path()).await.unwrap();
        for (index, size) in entries(1) {
            log.blocking_append([large(index, size)]).await.unwrap();
        }
        check(&mut log, 1..29, &sizes).await;
    }
    // The last entry, which says where the log ends, is one of those.
    let mut log = reopen(folder.path()).await;
    assert_eq!(log.get_log_state().await.unwrap().last_log_id, Some(id(28)));
    check(&mut log, 1..29, &sizes).await;
    check(&mut log, 13..20, &sizes).await;
}

async fn check(log: &mut LogStore, range: std::ops::Range<u64>, sizes: &[usize]) {
    let mut next = range.start;
    while next < range.end {
        let piece = log.limited_get_log_entries(next, range.end).await.unwrap();
        assert!(!piece.is_empty(), "nothing at {next}");
        for entry in piece {
            assert_eq!(entry.log_id.index, next);
            let expected = sizes[usize::try_from(next - 1).unwrap() % sizes.len()];
            assert_eq!(bytes_of(&entry), expected, "{next}");
            next += 1;
        }
    }
}

#[tokio::test]
async fn a_purge_frees_the_disk_and_loses_neither_vote_nor_later_entries() {
    let folder = tempfile::tempdir().unwrap();
    let vote = Vote::new(7, 3);
    {
        let mut log = open(folder.path()).await.unwrap();
        log.save_vote(&vote).await.unwrap();
        for index in 1..=60 {
            log.blocking_append([large(index, 4 << 20)]).await.unwrap();
        }
        assert_eq!(segments(folder.path()).len(), 4);
        log.purge(id(59)).await.unwrap();
        assert_eq!(segments(folder.path()).len(), 1);
        assert!(log.limited_get_log_entries(1, 60).await.unwrap().is_empty());
    }
    let mut log = reopen(folder.path()).await;
    assert_eq!(log.read_vote().await.unwrap(), Some(vote));
    let state = log.get_log_state().await.unwrap();
    assert_eq!(state.last_purged_log_id, Some(id(59)));
    assert_eq!(state.last_log_id, Some(id(60)));
    let left = log.try_get_log_entries(..).await.unwrap();
    assert_eq!(left.len(), 1);
    // A log that is purged beyond its end goes on there: that is what a snapshot does.
    log.purge(id(100)).await.unwrap();
    log.blocking_append([blank(101)]).await.unwrap();
    drop(log);
    let mut log = reopen(folder.path()).await;
    let left = log.try_get_log_entries(..).await.unwrap();
    assert_eq!(
        left.iter()
            .map(|entry| entry.log_id.index)
            .collect::<Vec<_>>(),
        [101]
    );
    assert_eq!(
        log.get_log_state().await.unwrap().last_purged_log_id,
        Some(id(100))
    );
}

#[tokio::test]
async fn a_purge_beside_appends_that_fill_its_file_keeps_what_it_says_again() {
    const MIB: usize = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let vote = Vote::new(7, 3);
    {
        let mut log = open(folder.path()).await.unwrap();
        log.save_vote(&vote).await.unwrap();
        let entries = (1..=55).map(|index| large(index, MIB));
        log.blocking_append(entries).await.unwrap();
        // All three are in the queue before any is written: the purge ends one file, and the entry
        // behind it begins the next.
        let (mut other, mut third) = (log.clone(), log.clone());
        let entries = (56..=62).map(|index| large(index, MIB));
        let (appended, purged, last) = tokio::join!(
            log.append(entries, IoFlushed::noop()),
            other.purge(id(62)),
            third.blocking_append([large(63, 4 * MIB)]),
        );
        appended.and(purged).unwrap();
        last.unwrap();
        assert_eq!(segments(folder.path()).len(), 2);
    }
    let mut log = reopen(folder.path()).await;
    assert_eq!(log.read_vote().await.unwrap(), Some(vote));
    let state = log.get_log_state().await.unwrap();
    assert_eq!(state.last_purged_log_id, Some(id(62)));
    assert_eq!(state.last_log_id, Some(id(63)));
}

#[tokio::test]
async fn a_log_knows_how_large_it_is_and_what_has_to_go_also_after_a_restart() {
    const MIB: usize = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path()).await.unwrap();
    log.blocking_append((1..=10).map(|index| large(index, 3 * MIB)))
        .await
        .unwrap();
    for _ in 0..2 {
        assert_eq!(log.excess(u64::MAX), None);
        assert_eq!(log.excess(0), Some(10));
        assert_eq!(log.excess(7 * MIB as u64), Some(8));
        drop(log);
        log = reopen(folder.path()).await;
    }
    log.truncate_after(Some(id(8))).await.unwrap();
    assert_eq!(log.excess(7 * MIB as u64), Some(6));
    log.purge(id(6)).await.unwrap();
    assert_eq!(log.excess(7 * MIB as u64), None);
    assert_eq!(log.excess(4 * MIB as u64), Some(7));
}

#[tokio::test]
async fn what_was_truncated_stays_away_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    {
        let mut log = open(folder.path()).await.unwrap();
        log.blocking_append((1..=10).map(blank)).await.unwrap();
        log.truncate_after(Some(id(5))).await.unwrap();
        log.blocking_append([large(6, 11)]).await.unwrap();
    }
    let mut log = reopen(folder.path()).await;
    let entries = log.try_get_log_entries(..).await.unwrap();
    let indexes: Vec<u64> = entries.iter().map(|entry| entry.log_id.index).collect();
    assert_eq!(indexes, (1..=6).collect::<Vec<_>>());
    assert_eq!(bytes_of(&entries[5]), 11);
    assert_eq!(log.get_log_state().await.unwrap().last_log_id, Some(id(6)));
}

fn segments(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder.join("log/raft")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

async fn open(folder: &std::path::Path) -> std::io::Result<LogStore> {
    let clock = Arc::new(SystemClock);
    let options = LogOptions {
        linger: LINGER,
        max_bytes: 256 << 20,
        patience: Patience::default(),
        syncs: meridian_chassis::metrics::Histogram::default(),
    };
    LogStore::open(folder, options, clock).await
}

/// The task that writes the log lets go of the file a moment after the last handle is dropped.
async fn reopen(folder: &std::path::Path) -> LogStore {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match open(folder).await {
            Ok(log) => return log,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::task::yield_now().await;
    }
}
