//! Damage: what was acknowledged and cannot be read any more is an error that says where, never a
//! shorter log. And locks: a log is open once.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use meridian_error::{Classify, Code, chain};
use meridian_eventlog::{EventLog, OpenError, ReadError, Record, ShardBatch, StoredRecord};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use tempfile::TempDir;

use super::folder::{
    SHARDS, append, open, read_all, segment, segment_size, sizes, stored, topic, topic_folder,
    try_open,
};

/// The size of the mark that closing leaves at the end.
const MARK: u64 = 29;

fn groups() -> Vec<Vec<ShardBatch>> {
    let batch = |n: u16| ShardBatch {
        shard: n % SHARDS,
        records: (0..=n % 3)
            .map(|k| {
                Record::new(format!("{n}.{k}"), vec![k.to_le_bytes()[0]; 300]).with_header("n", "v")
            })
            .collect(),
    };
    let group = |n: u16| vec![batch(3 * n), batch(3 * n + 1), batch(3 * n + 2)];
    (0..10).map(group).collect()
}

/// A log of several segments, closed cleanly.
async fn closed() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let log = open(root.path(), segment_size(4)).await;
    log.create_topic(&topic(), SHARDS).await.unwrap();
    for group in groups() {
        append(&log, group).await;
    }
    drop(log);
    assert!(sizes(root.path()).len() > 3);
    root
}

/// What a reader finds, or what it is told.
async fn find(root: &Path) -> Result<Vec<Vec<StoredRecord>>, String> {
    let log = match try_open(root, segment_size(4)).await {
        Ok(log) => log,
        Err(error) => return Err(chain(&error)),
    };
    read_all(&log).await.map_err(|error| chain(&error))
}

fn flip(path: &Path, position: u64, bits: u8) {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, position).unwrap();
    byte[0] ^= bits;
    file.write_all_at(&byte, position).unwrap();
}

/// A copy of a log.
fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    fs::create_dir(topic_folder(to.path())).unwrap();
    for path in sizes(from).into_keys() {
        fs::copy(&path, to.path().join(path.strip_prefix(from).unwrap())).unwrap();
    }
    to
}

#[test]
fn a_flipped_bit_is_found_or_harms_nobody() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let whole = runtime.block_on(closed());
    let expected = stored(&groups());
    let damage = (any::<Index>(), any::<Index>(), 0..8_u32);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(512));
    let outcome = runner.run(&damage, |(file, position, bit)| {
        let root = copy(whole.path());
        let files: Vec<_> = sizes(root.path()).into_iter().collect();
        let (path, size) = file.get(&files);
        flip(
            path,
            position.index(usize::try_from(*size).unwrap()) as u64,
            1 << bit,
        );
        match runtime.block_on(find(root.path())) {
            Ok(found) => prop_assert_eq!(&found, &expected),
            Err(error) => prop_assert!(error.contains(path.to_str().unwrap()), "{}", error),
        }
        Ok(())
    });
    outcome.unwrap();
}

#[tokio::test]
async fn damage_before_the_tail_is_named_with_file_and_place() {
    let root = closed().await;
    let (newest, size) = sizes(root.path()).into_iter().next_back().unwrap();

    flip(&newest, size - MARK - 100, 1);
    let error = try_open(root.path(), segment_size(4)).await.unwrap_err();
    let OpenError::Corrupt(corrupt) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(corrupt.path, newest);
    assert!(
        (size - MARK - 500..size - MARK).contains(&corrupt.position),
        "{corrupt}"
    );
    assert_eq!(error.code(), Code::Internal);
}

#[tokio::test]
async fn damage_in_a_full_segment_stops_the_read_that_meets_it() {
    let root = closed().await;
    let oldest = segment(root.path(), 0);
    flip(&oldest, 1_000, 0x80);
    let log = open(root.path(), segment_size(4)).await;
    let mut errors = 0;
    for shard in 0..SHARDS {
        let limits = super::folder::NO_WAIT;
        match log.read(&topic(), shard, 0, limits).await {
            Ok(_) => {}
            Err(error @ ReadError::Corrupt(_)) => {
                assert!(
                    chain(&error).contains(oldest.to_str().unwrap()),
                    "{error:?}"
                );
                errors += 1;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!((1..=SHARDS).contains(&errors));
}

#[tokio::test]
async fn a_missing_segment_is_named() {
    let root = closed().await;
    fs::remove_file(segment(root.path(), 1)).unwrap();
    let error = find(root.path()).await.unwrap_err();
    let after = segment(root.path(), 2);
    assert!(error.contains(after.to_str().unwrap()), "{error}");
    assert!(
        error.contains("the segment before it is missing"),
        "{error}"
    );
}

#[tokio::test]
async fn a_segment_under_another_name_is_seen() {
    let root = closed().await;
    fs::copy(segment(root.path(), 1), segment(root.path(), 2)).unwrap();
    let error = find(root.path()).await.unwrap_err();
    assert!(error.contains("another segment's file"), "{error}");
}

#[tokio::test]
async fn a_format_of_the_future_is_left_alone() {
    let root = closed().await;
    flip(&segment(root.path(), 0), 8, 2);
    let error = try_open(root.path(), segment_size(4)).await.unwrap_err();
    assert!(
        matches!(error, OpenError::Version { version: 3, .. }),
        "{error:?}"
    );
    assert_eq!(error.code(), Code::Unsupported);
}

#[tokio::test]
async fn a_topic_whose_creation_was_interrupted_can_be_created() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(topic_folder(root.path())).unwrap();
    fs::write(segment(root.path(), 0).with_extension("new"), b"MRDN").unwrap();
    fs::create_dir(root.path().join("lost+found")).unwrap();
    let log = open(root.path(), segment_size(4)).await;
    log.create_topic(&topic(), SHARDS).await.unwrap();
    append(&log, groups().swap_remove(0)).await;
}

#[tokio::test]
async fn a_log_is_open_once() {
    let root = closed().await;
    let log = open(root.path(), segment_size(4)).await;
    let error = try_open(root.path(), segment_size(4)).await.unwrap_err();
    assert!(matches!(error, OpenError::InUse(_)), "{error:?}");
    assert_eq!(error.code(), Code::Conflict);
    drop(log);
    assert_eq!(find(root.path()).await.unwrap(), stored(&groups()));
}

#[tokio::test]
async fn opening_and_closing_does_not_make_a_log_grow() {
    let empty = tempfile::tempdir().unwrap();
    let log = open(empty.path(), segment_size(4)).await;
    log.create_topic(&topic(), SHARDS).await.unwrap();
    drop(log);
    for root in [closed().await, empty] {
        let before = sizes(root.path());
        for _ in 0..3 {
            drop(open(root.path(), segment_size(4)).await);
        }
        assert_eq!(sizes(root.path()), before);
    }
}
