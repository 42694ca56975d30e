//! What the disk body does when a step fails.
//!
//! Fail points belong to the whole process, so each test here holds the scenario, which lets one
//! run at a time.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use fail::FailScenario;
use futures::FutureExt;
use futures::future::join_all;
use meridian_blobstore::{BlobKey, BlobStore, BlobWriter, DiskBlobStore, DiskConfig, WriteError};
use meridian_error::{Classify, Code};
use tempfile::TempDir;
use tokio::sync::Semaphore;

const MIB: usize = 1 << 20;

/// The steps of a commit that can fail.
const COMMIT_POINTS: [&str; 6] = [
    "blob.write",
    "blob.sync",
    "blob.tmp.after_write_before_fsync",
    "blob.tmp.after_fsync_before_rename",
    "blob.tmp.after_rename_before_dirsync",
    "blob.tmp.after_dirsync_before_ack",
];

fn key(generation: u64) -> BlobKey {
    BlobKey {
        registry: "a".parse().unwrap(),
        epoch: 1,
        generation,
    }
}

async fn disk(root: &TempDir) -> DiskBlobStore {
    DiskBlobStore::open(DiskConfig::new(root.path()))
        .await
        .unwrap()
}

async fn put(store: &impl BlobStore, key: &BlobKey, bytes: Bytes) -> Result<u64, WriteError> {
    let mut writer = store.create(key).await.unwrap();
    writer.append(bytes).await?;
    writer.commit().await
}

async fn get(store: &impl BlobStore, key: &BlobKey) -> Bytes {
    let reader = store.open(key, None).await.unwrap();
    reader.into_bytes().await.unwrap()
}

/// Holds whoever passes `point`: the semaphore gets a permit then, and a message lets it go on.
fn hold_at(point: &str) -> (Arc<Semaphore>, mpsc::SyncSender<()>) {
    let reached = Arc::new(Semaphore::new(0));
    let (go_on, told) = mpsc::sync_channel(1);
    let (told, passed) = (Mutex::new(told), Arc::clone(&reached));
    fail::cfg_callback(point, move || {
        passed.add_permits(1);
        told.lock().unwrap().recv().unwrap();
    })
    .unwrap();
    (reached, go_on)
}

async fn assert_poisoned(writer: &mut Box<dyn BlobWriter>) {
    let chunk = Bytes::from_static(b"more");
    let later = [
        writer.append(chunk).await.err(),
        writer.sync().await.err(),
        writer.truncate(0).await.err(),
    ];
    for failure in later {
        assert!(matches!(failure, Some(WriteError::Poisoned)), "{failure:?}");
    }
}

#[tokio::test]
async fn a_full_disk_poisons_the_writer_and_leaves_no_file() {
    let scenario = FailScenario::setup();
    let root = TempDir::new().unwrap();
    let store = disk(&root).await;
    fail::cfg("blob.write", "1*return").unwrap();
    let mut writer = store.create(&key(1)).await.unwrap();
    let failure = loop {
        let chunk = Bytes::from(vec![7; 100_000]);
        if let Err(failure) = writer.append(chunk).await {
            break failure;
        }
        assert!(writer.len() < 8 * MIB as u64, "too much is buffered");
    };
    assert_eq!(failure.code(), Code::ResourceExhausted);
    assert_poisoned(&mut writer).await;
    assert!(store.list(None, 10).await.unwrap().is_empty());
    let committed = writer.commit().await;
    assert!(matches!(committed, Err(WriteError::Poisoned)));
    // The next object is not affected.
    put(&store, &key(2), Bytes::from(vec![8; 3 * MIB]))
        .await
        .unwrap();
    scenario.teardown();
}

#[tokio::test]
async fn a_failed_sync_is_never_repeated() {
    let scenario = FailScenario::setup();
    let root = TempDir::new().unwrap();
    let store = disk(&root).await;
    fail::cfg("blob.sync", "1*return").unwrap();
    let mut writer = store.create(&key(1)).await.unwrap();
    writer.append(Bytes::from_static(b"bytes")).await.unwrap();
    let failure = writer.sync().await.unwrap_err();
    assert_eq!(failure.code(), Code::Internal);
    assert_poisoned(&mut writer).await;
    drop(writer);
    assert!(store.resume(&key(1), None).await.unwrap().is_none());
    scenario.teardown();
}

#[tokio::test]
async fn a_commit_that_fails_anywhere_leaves_nothing() {
    let scenario = FailScenario::setup();
    let root = TempDir::new().unwrap();
    let store = disk(&root).await;
    let mut generation = 0;
    for point in COMMIT_POINTS {
        for size in [10, 3 * MIB + 1] {
            generation += 1;
            fail::cfg(point, "1*return").unwrap();
            let bytes = Bytes::from(vec![1; size]);
            let outcome = put(&store, &key(generation), bytes).await;
            assert!(matches!(outcome, Err(WriteError::Storage(_))), "{point}");
            assert_eq!(store.stat(&key(generation)).await.unwrap(), None);
            let left = store.list(None, 10).await.unwrap();
            assert!(left.is_empty(), "{point} leaves {left:?}");
        }
    }
    put(&store, &key(0), Bytes::from_static(b"fine"))
        .await
        .unwrap();
    scenario.teardown();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_commits_at_once_those_that_fail_leave_nothing_and_the_others_stay() {
    let scenario = FailScenario::setup();
    let root = TempDir::new().unwrap();
    let store = disk(&root).await;
    for (round, point) in (0..).zip(COMMIT_POINTS) {
        fail::cfg(point, "20%return").unwrap();
        let generations = round * 100..(round + 1) * 100;
        let pushes = generations.clone().map(async |generation| {
            let bytes = Bytes::from(generation.to_string());
            (
                generation,
                put(&store, &key(generation), bytes).await.is_ok(),
            )
        });
        let outcomes = join_all(pushes).await;
        fail::remove(point);
        let failed = outcomes.iter().filter(|(_, ok)| !ok).count();
        assert!((1..100).contains(&failed), "{failed} failed at {point}");
        for (generation, ok) in outcomes {
            if ok {
                let bytes = get(&store, &key(generation)).await;
                assert_eq!(bytes, generation.to_string(), "{point}");
            } else {
                let left = store.stat(&key(generation)).await.unwrap();
                assert_eq!(left, None, "{point}");
            }
        }
    }
    let left = store.list(None, 1_000).await.unwrap();
    assert!(left.iter().all(|object| object.finished));
    scenario.teardown();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_commit_passes_each_crash_point_once() {
    let scenario = FailScenario::setup();
    let root = TempDir::new().unwrap();
    let store = disk(&root).await;
    let points = &COMMIT_POINTS[2..];
    let hits: Vec<_> = points.iter().map(|_| Arc::new(AtomicU64::new(0))).collect();
    for (point, hits) in points.iter().zip(&hits) {
        let hits = Arc::clone(hits);
        let count = move || {
            hits.fetch_add(1, Ordering::SeqCst);
        };
        fail::cfg_callback(*point, count).unwrap();
    }
    let bytes = Bytes::from_static(b"bytes");
    put(&store, &key(0), bytes.clone()).await.unwrap();
    let pushes = (1..200).map(|generation| {
        let (store, bytes) = (&store, bytes.clone());
        async move { put(store, &key(generation), bytes).await.unwrap() }
    });
    join_all(pushes).await;
    let hits: Vec<_> = hits
        .iter()
        .map(|hits| hits.load(Ordering::SeqCst))
        .collect();
    assert_eq!(hits, [200; 4]);
    scenario.teardown();
}

#[tokio::test]
async fn a_delete_whose_report_is_lost_can_be_repeated() {
    let scenario = FailScenario::setup();
    let root = TempDir::new().unwrap();
    let store = disk(&root).await;
    put(&store, &key(1), Bytes::from_static(b"bytes"))
        .await
        .unwrap();
    fail::cfg("blob.delete.after_unlink_before_report", "1*return").unwrap();
    assert!(store.delete(&key(1)).await.is_err());
    assert_eq!(store.stat(&key(1)).await.unwrap(), None);
    store.delete(&key(1)).await.unwrap();
    scenario.teardown();
}

#[tokio::test]
async fn commits_go_on_while_a_test_skips_syncs() {
    let scenario = FailScenario::setup();
    let root = TempDir::new().unwrap();
    let store = disk(&root).await;
    for (generation, switch) in [(1, "blob.skip_file_sync"), (2, "blob.skip_dir_sync")] {
        fail::cfg(switch, "return").unwrap();
        put(&store, &key(generation), Bytes::from_static(b"bytes"))
            .await
            .unwrap();
        fail::remove(switch);
        assert_eq!(get(&store, &key(generation)).await, "bytes");
    }
    scenario.teardown();
}

#[tokio::test]
async fn a_late_write_of_a_dropped_writer_does_not_hit_its_successor() {
    let scenario = FailScenario::setup();
    let root = TempDir::new().unwrap();
    let store = disk(&root).await;
    let mut writer = store.create(&key(1)).await.unwrap();
    writer.append(Bytes::from_static(b"kept ")).await.unwrap();
    writer.sync().await.unwrap();
    let state = writer.state();
    writer.append(Bytes::from_static(b"late")).await.unwrap();
    fail::cfg("blob.write", "pause").unwrap();
    // Starts the write, which pauses, and gives up on it.
    assert!(writer.sync().now_or_never().is_none());
    drop(writer);

    let name = key(1);
    let mut resumed = Box::pin(store.resume(&name, Some(&state)));
    let early = tokio::time::timeout(Duration::from_millis(50), &mut resumed).await;
    assert!(early.is_err(), "the successor did not wait");
    fail::remove("blob.write");
    let mut writer = resumed.await.unwrap().unwrap();
    assert_eq!(writer.len(), 5);
    writer.append(Bytes::from_static(b"new")).await.unwrap();
    writer.commit().await.unwrap();
    assert_eq!(get(&store, &key(1)).await, "kept new");
    scenario.teardown();
}

#[tokio::test]
async fn an_append_that_was_given_up_took_what_its_length_says() {
    let scenario = FailScenario::setup();
    let root = TempDir::new().unwrap();
    let store = disk(&root).await;
    let bytes: Bytes = (0..20 * MIB)
        .map(|at| (at / 1_021).to_le_bytes()[0])
        .collect();
    let mut writer = store.create(&key(1)).await.unwrap();
    fail::cfg("blob.write", "pause").unwrap();
    assert!(writer.append(bytes.clone()).now_or_never().is_none());
    fail::remove("blob.write");
    let taken = usize::try_from(writer.len()).unwrap();
    assert!(taken > 0 && taken <= 2 * MIB, "{taken} bytes are buffered");
    writer.append(bytes.slice(taken..)).await.unwrap();
    writer.commit().await.unwrap();
    assert!(get(&store, &key(1)).await == bytes);
    scenario.teardown();
}

#[tokio::test]
async fn what_a_killed_commit_left_is_whole_or_unfinished() {
    let scenario = FailScenario::setup();
    let root = TempDir::new().unwrap();
    let store = disk(&root).await;
    for (generation, point) in (1..).zip(&COMMIT_POINTS[2..]) {
        let key = key(generation);
        let finished = generation > 2;
        let (reached, go_on) = hold_at(point);
        let mut writer = store.create(&key).await.unwrap();
        writer.append(Bytes::from_static(b"bytes")).await.unwrap();
        let mut commit = writer.commit();
        tokio::select! {
            _ = &mut commit => panic!("{point} was not passed"),
            permit = reached.acquire() => drop(permit.unwrap()),
        }
        // Another process looks at the folder as the dead one left it.
        let after = disk(&root).await;
        let left = after.list(None, 10).await.unwrap();
        let left = left.iter().find(|object| object.key == key).unwrap();
        assert_eq!(left.size, 5, "{point}");
        let visible = after.stat(&key).await.unwrap().is_some();
        assert_eq!((visible, left.finished), (finished, finished), "{point}");
        if finished {
            assert_eq!(get(&after, &key).await, "bytes");
            assert!(after.resume(&key, None).await.unwrap().is_none());
        }
        go_on.send(()).unwrap();
        commit.await.unwrap();
        fail::remove(*point);
    }
    scenario.teardown();
}
