//! Uploads of several parts: what goes up when, and what is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use bytesize::ByteSize;
use futures::FutureExt;
use futures::future::join_all;
use harness::s3::{Call, Fault, S3Proxy, S3Server};
use meridian_blobstore::{BlobStore, S3BlobStore, WriteError};

use crate::{MIB, append, begun, content, get, key, put};

/// A store on the other side of a proxy.
async fn behind(server: &S3Server) -> (S3Proxy, S3BlobStore) {
    let proxy = S3Proxy::to(server.address()).await;
    let mut config = server.config();
    config.endpoint = Some(proxy.endpoint());
    (proxy, S3BlobStore::open(config).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_object_is_one_request_that_carries_bytes() {
    let server = S3Server::start().await;
    let (proxy, store) = behind(&server).await;
    put(&store, &key(1), &content(1, 5 * MIB)).await;
    assert_eq!(proxy.count(Call::Put), 2, "the empty note, and the object");
    assert_eq!(proxy.count(Call::Begin) + proxy.count(Call::Part), 0);
    assert_eq!(server.objects().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_go_up_at_once_while_bytes_arrive() {
    let server = S3Server::start().await;
    let (proxy, store) = behind(&server).await;
    let bytes = content(1, 42 * MIB + 7);
    put(&store, &key(1), &bytes).await;
    assert!(get(&store, &key(1)).await == bytes);
    assert_eq!(proxy.count(Call::Part), 9);
    assert_eq!(proxy.count(Call::Complete), 1);
    let most = proxy.most_parts();
    assert!((2..=4).contains(&most), "{most} parts at once");
    assert_eq!((server.parts(), server.uploads()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_costs_one_request_and_none_if_there_is_nothing_new() {
    let server = S3Server::start().await;
    let (proxy, store) = behind(&server).await;
    let mut writer = begun(&store, &key(1), &content(1, 1000)).await;
    let before = proxy.count(Call::Put);
    writer.sync().await.unwrap();
    writer.sync().await.unwrap();
    assert_eq!(proxy.count(Call::Put), before + 1);
    writer.commit().await.unwrap();
    assert_eq!(server.objects().len(), 1, "the note is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_waits_for_its_parts_and_leaves_nothing() {
    let server = S3Server::start().await;
    let store = server.store().await;
    let mut writer = begun(&store, &key(1), &content(1, 23 * MIB)).await;
    writer.sync().await.unwrap();
    append(&mut writer, &content(2, 12 * MIB)).await;
    writer.abort().await;
    assert_eq!(server.objects(), [""; 0]);
    assert_eq!((server.parts(), server.uploads()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_finds_the_parts_of_a_writer_that_died() {
    let server = S3Server::start().await;
    let config = server.config();
    let died = S3BlobStore::open(config.clone()).await.unwrap();
    // It never synced: the note tells of the upload all the same.
    drop(begun(&died, &key(1), &content(1, 23 * MIB)).await);
    drop(died);
    let store = S3BlobStore::open(config).await.unwrap();
    let listed = store.list(None, 10).await.unwrap();
    assert_eq!((listed.len(), listed[0].finished), (1, false));
    store.delete(&key(1)).await.unwrap();
    assert_eq!(server.objects(), [""; 0]);
    assert_eq!((server.parts(), server.uploads()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_in_the_middle_of_an_upload_ends_it() {
    for size in [100, 17 * MIB] {
        let server = S3Server::start().await;
        let store = server.store().await;
        let mut writer = begun(&store, &key(1), &content(1, size)).await;
        writer.sync().await.unwrap();
        store.delete(&key(1)).await.unwrap();
        append(&mut writer, &content(2, 100)).await;
        let synced = writer.sync().await;
        assert!(matches!(synced, Err(WriteError::Deleted(_))), "{synced:?}");
        let later = writer.append(Bytes::from_static(b"more")).await;
        assert!(matches!(later, Err(WriteError::Poisoned)));
        drop(writer);
        assert_eq!(server.objects(), [""; 0]);
        assert_eq!((server.parts(), server.uploads()), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_uploads_share_little_memory_and_all_end() {
    let server = S3Server::start().await;
    let mut config = server.config();
    config.memory = ByteSize::mib(12);
    config.max_object = ByteSize::gib(1);
    let store = S3BlobStore::open(config).await.unwrap();
    let uploads = (1..=6).map(|generation| {
        let store = &store;
        async move {
            let bytes = content(generation, 11 * MIB);
            let mut writer = begun(store, &key(generation), &bytes).await;
            // Between requests, an end of an upload keeps no memory from others.
            writer.sync().await.unwrap();
            append(&mut writer, &content(99, 6 * MIB)).await;
            writer.truncate(11 << 20).await.unwrap();
            writer.sync().await.unwrap();
            writer.commit().await.unwrap();
            assert!(get(store, &key(generation)).await == bytes);
        }
    });
    let done = tokio::time::timeout(Duration::from_secs(120), join_all(uploads)).await;
    assert!(done.is_ok(), "uploads wait for each other");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_memory_can_give_up_and_loses_no_byte() {
    let server = S3Server::start().await;
    let mut config = server.config();
    config.memory = ByteSize::mib(5);
    config.max_object = ByteSize::gib(1);
    let store = S3BlobStore::open(config).await.unwrap();
    let slow = begun(&store, &key(1), &content(1, MIB)).await;
    let bytes = content(2, 2 * MIB);
    let mut writer = store.create(&key(2)).await.unwrap();
    let waits = writer.append(bytes.clone()).now_or_never();
    assert!(waits.is_none(), "the memory is taken");
    let taken = usize::try_from(writer.len()).unwrap();
    drop(slow);
    append(&mut writer, &bytes.slice(taken..)).await;
    writer.commit().await.unwrap();
    assert!(get(&store, &key(2)).await == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_cut_short_is_found_finished_and_its_note_goes_with_it() {
    let server = S3Server::start().await;
    let config = server.config();
    let store = Arc::new(S3BlobStore::open(config.clone()).await.unwrap());
    let bytes = content(1, 12 * MIB);
    let mut writer = begun(&store, &key(1), &bytes).await;
    writer.sync().await.unwrap();
    let note = server
        .folder()
        .join(format!("{}{}.note", config.prefix, key(1)));
    let kept = std::fs::read(&note).unwrap();
    writer.commit().await.unwrap();
    std::fs::write(&note, kept).unwrap();

    let listed = store.list(None, 10).await.unwrap();
    assert_eq!((listed.len(), listed[0].finished), (1, true));
    assert!(store.create(&key(1)).await.is_err());
    assert!(store.resume(&key(1), None).await.unwrap().is_none());
    assert!(get(&store, &key(1)).await == bytes);
    store.delete(&key(1)).await.unwrap();
    assert_eq!(server.objects(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_an_object_does_not_disturb_its_commit_in_another_process() {
    let server = S3Server::start().await;
    let proxy = S3Proxy::to(server.address()).await;
    let mut config = server.config();
    let looking = S3BlobStore::open(config.clone()).await.unwrap();
    config.endpoint = Some(proxy.endpoint());
    let store = S3BlobStore::open(config).await.unwrap();
    let bytes = content(1, 12 * MIB);
    let writer = begun(&store, &key(1), &bytes).await;
    // It is looked at as soon as it is there, before the commit has ended.
    let runtime = tokio::runtime::Handle::current();
    let looks = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&looks);
    let look = move || {
        let (looking, runtime) = (looking.clone(), runtime.clone());
        let found = std::thread::spawn(move || {
            runtime.block_on(async {
                let resumed = looking.resume(&key(1), None).await.unwrap();
                (resumed.is_none(), looking.stat(&key(1)).await.unwrap())
            })
        });
        assert_eq!(found.join().unwrap(), (true, Some(12 << 20)));
        seen.fetch_add(1, Ordering::SeqCst);
    };
    proxy.script(Call::Complete, 1, Fault::Then(Arc::new(look)));
    writer.commit().await.unwrap();
    assert_eq!(looks.load(Ordering::SeqCst), 1);
    assert!(get(&store, &key(1)).await == bytes);
    assert_eq!(server.objects().len(), 1);
}
