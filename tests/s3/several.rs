//! Several processes on one bucket: stores that share nothing but the server.

use bytesize::ByteSize;
use harness::s3::S3Server;
use meridian_blobstore::{BlobStore, S3BlobStore, S3Config, WriteError};
use meridian_error::{Classify, Code};

use crate::{MIB, append, begun, content, get, key};

async fn process(config: &S3Config) -> S3BlobStore {
    S3BlobStore::open(config.clone()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_in_another_process_at_each_of_its_last_two_states() {
    let server = S3Server::start().await;
    // Marks in one part, in the next, at its very end, and several parts on.
    for (generation, first, second) in [
        (1, 1_000, 2_000),
        (2, 3 * MIB, 7 * MIB),
        (3, 5 * MIB, 10 * MIB),
        (4, 5 * MIB + 1, 21 * MIB),
        (5, 11 * MIB, 12 * MIB),
    ] {
        for back in [true, false] {
            let config = server.config();
            let (key, bytes) = (key(generation), content(generation, 24 * MIB));
            let mut writer = begun(&process(&config).await, &key, &bytes.slice(..first)).await;
            writer.sync().await.unwrap();
            let early = writer.state();
            append(&mut writer, &bytes.slice(first..second)).await;
            writer.sync().await.unwrap();
            let late = writer.state();
            append(&mut writer, &content(99, 7 * MIB)).await;
            drop(writer);

            let (state, at) = if back { (early, first) } else { (late, second) };
            let store = process(&config).await;
            let writer = store.resume(&key, Some(&state)).await.unwrap();
            let mut writer = writer.unwrap();
            assert_eq!(writer.len(), at as u64);
            append(&mut writer, &bytes.slice(at..)).await;
            writer.commit().await.unwrap();
            assert!(get(&store, &key).await == bytes, "{generation} {back}");
            assert_eq!((server.parts(), server.uploads()), (0, 0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_writer_replaced_after_going_back_is_not_taken_for_synced() {
    let server = S3Server::start().await;
    let config = server.config();
    let bytes = content(1, 24 * MIB);
    let mut writer = begun(&process(&config).await, &key(1), &bytes.slice(..3 * MIB)).await;
    writer.sync().await.unwrap();
    let early = writer.state();
    append(&mut writer, &bytes.slice(3 * MIB..13 * MIB)).await;
    writer.sync().await.unwrap();
    drop(writer);
    // One that went back replaces the first part, and dies before it syncs.
    let second = process(&config).await;
    let mut writer = second.resume(&key(1), Some(&early)).await.unwrap().unwrap();
    append(&mut writer, &content(2, 9 * MIB)).await;
    drop(writer);

    let store = process(&config).await;
    let mut writer = store.resume(&key(1), None).await.unwrap().unwrap();
    let kept = usize::try_from(writer.len()).unwrap();
    assert_eq!(kept, 3 * MIB, "what came later was given up");
    append(&mut writer, &bytes.slice(kept..)).await;
    writer.commit().await.unwrap();
    assert!(get(&store, &key(1)).await == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_writers_the_one_that_was_overtaken_fails_and_harms_nothing() {
    let server = S3Server::start().await;
    let config = server.config();
    let bytes = content(1, MIB);
    let mut first = begun(&process(&config).await, &key(1), &bytes.slice(..1_000)).await;
    first.sync().await.unwrap();
    let store = process(&config).await;
    let mut second = store.resume(&key(1), None).await.unwrap().unwrap();
    append(&mut second, &bytes.slice(1_000..)).await;
    second.sync().await.unwrap();
    append(&mut first, &content(2, 10)).await;
    let overtaken = first.sync().await.unwrap_err();
    assert_eq!(overtaken.code(), Code::Conflict, "{overtaken:?}");
    assert!(matches!(first.sync().await, Err(WriteError::Poisoned)));
    drop(first);
    second.commit().await.unwrap();
    assert!(get(&store, &key(1)).await == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_commit_of_another_process_neither_replaces_nor_removes_the_object() {
    for late_differs in [false, true] {
        for size in [1_000, 12 * MIB] {
            let server = S3Server::start().await;
            let config = server.config();
            let bytes = content(1, size);
            let mut late = begun(&process(&config).await, &key(1), &bytes).await;
            late.sync().await.unwrap();
            let store = process(&config).await;
            let early = store.resume(&key(1), None).await.unwrap().unwrap();
            early.commit().await.unwrap();
            if late_differs {
                append(&mut late, &content(2, 10)).await;
            }
            assert!(late.commit().await.is_err());
            assert!(get(&store, &key(1)).await == bytes, "{late_differs} {size}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_survives_a_change_of_the_part_size() {
    let server = S3Server::start().await;
    let mut config = server.config();
    let bytes = content(1, 30 * MIB);
    config.part_size = ByteSize::mib(8);
    let mut writer = begun(&process(&config).await, &key(1), &bytes.slice(..15 * MIB)).await;
    writer.sync().await.unwrap();
    drop(writer);
    for (mib, to) in [(5, 20 * MIB), (11, 30 * MIB)] {
        config.part_size = ByteSize::mib(mib);
        let store = process(&config).await;
        let mut writer = store.resume(&key(1), None).await.unwrap().unwrap();
        let from = usize::try_from(writer.len()).unwrap();
        append(&mut writer, &bytes.slice(from..to)).await;
        writer.sync().await.unwrap();
        drop(writer);
    }
    let store = process(&config).await;
    let writer = store.resume(&key(1), None).await.unwrap().unwrap();
    assert_eq!(writer.commit().await.unwrap(), 30 << 20);
    assert!(get(&store, &key(1)).await == bytes);
}
