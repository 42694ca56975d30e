//! Creating, appending, committing.

use bytes::Bytes;
use futures::future::join_all;

use super::{append, content, get, is_empty, key, key_in, put};
use crate::{BlobStore, CreateError, ReadError, WriteError};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

pub(super) async fn nothing_is_visible_before_the_commit(store: impl BlobStore) {
    let key = key(1);
    let mut writer = store.create(&key).await.unwrap();
    assert!(writer.is_empty());
    append(&mut writer, &content(1, 300 * KIB), 10_000).await;
    for _ in 0..2 {
        let opened = store.open(&key, None).await;
        assert!(matches!(opened, Err(ReadError::NotFound(_))));
        assert_eq!(store.stat(&key).await.unwrap(), None);
        writer.sync().await.unwrap();
    }
    let listed = store.list(None, 10).await.unwrap();
    assert_eq!((listed.len(), listed[0].finished), (1, false));
    assert_eq!(writer.commit().await.unwrap(), 300 * KIB as u64);
    assert_eq!(get(&store, &key).await, content(1, 300 * KIB));
    let listed = store.list(None, 10).await.unwrap();
    assert_eq!((listed.len(), listed[0].finished), (1, true));
}

pub(super) async fn objects_of_all_sizes_round_trip(store: impl BlobStore) {
    let mut generation = 0;
    for size in [0, 1, 4 * KIB, 64 * KIB, 256 * KIB, MIB, 3 * MIB] {
        for size in [size.saturating_sub(1), size, size + 1] {
            generation += 1;
            let bytes = content(generation, size);
            put(&store, &key(generation), &bytes).await;
            assert_eq!(get(&store, &key(generation)).await, bytes, "{size} bytes");
        }
    }
}

pub(super) async fn chunks_may_be_cut_anyhow(store: impl BlobStore) {
    for (generation, chunk) in [(1, 1), (2, 4_095), (3, 70_001), (4, usize::MAX)] {
        let size = if chunk == 1 { 5_000 } else { 5 * MIB + 321 };
        let bytes = content(generation, size);
        let mut writer = store.create(&key(generation)).await.unwrap();
        append(&mut writer, &bytes, chunk).await;
        writer.append(Bytes::new()).await.unwrap();
        assert_eq!(writer.commit().await.unwrap(), size as u64);
        assert_eq!(get(&store, &key(generation)).await, bytes, "{chunk} each");
    }
}

pub(super) async fn a_key_is_used_once(store: impl BlobStore) {
    let key = key(1);
    let refused = async || {
        let second = store.create(&key).await;
        matches!(second.map(|_| ()), Err(CreateError::Exists(taken)) if taken == key)
    };
    let mut writer = store.create(&key).await.unwrap();
    assert!(refused().await, "while it is written");
    writer.append(content(1, 10)).await.unwrap();
    writer.sync().await.unwrap();
    drop(writer);
    assert!(refused().await, "while it is unfinished");
    let writer = store.resume(&key, None).await.unwrap().unwrap();
    writer.commit().await.unwrap();
    assert!(refused().await, "when it is finished");
    assert_eq!(get(&store, &key).await, content(1, 10));
}

pub(super) async fn writers_of_different_keys_do_not_mix(store: impl BlobStore) {
    let write = async |generation: u64| {
        let size = 700_001 * usize::try_from(generation % 4 + 1).unwrap();
        let bytes = content(generation, size);
        let mut writer = store.create(&key(generation)).await.unwrap();
        for chunk in bytes.chunks(65_537) {
            writer.append(Bytes::copy_from_slice(chunk)).await.unwrap();
            tokio::task::yield_now().await;
        }
        writer.commit().await.unwrap();
        bytes
    };
    let written = join_all((1..=8).map(write)).await;
    for (generation, bytes) in (1..).zip(written) {
        assert!(get(&store, &key(generation)).await == bytes, "{generation}");
    }
}

pub(super) async fn many_commits_at_once_all_succeed(store: impl BlobStore) {
    let write = async |generation: u64| {
        let mut writer = store.create(&key(generation)).await.unwrap();
        writer.append(content(generation, 1_000)).await.unwrap();
        writer.commit().await.unwrap();
        get(&store, &key(generation)).await == content(generation, 1_000)
    };
    let right = join_all((1..=100).map(write)).await;
    assert!(right.into_iter().all(|right| right));
}

pub(super) async fn an_abort_leaves_nothing(store: impl BlobStore) {
    for (generation, size) in [(1, 0), (2, 10), (3, 3 * MIB)] {
        let mut writer = store.create(&key(generation)).await.unwrap();
        append(&mut writer, &content(1, size), MIB).await;
        if generation > 1 {
            writer.sync().await.unwrap();
            writer.append(content(2, 10)).await.unwrap();
        }
        writer.abort().await;
        assert!(is_empty(&store).await);
        assert!(
            store
                .resume(&key(generation), None)
                .await
                .unwrap()
                .is_none()
        );
    }
}

pub(super) async fn a_commit_after_a_delete_fails(store: impl BlobStore) {
    let key = key(1);
    let mut writer = store.create(&key).await.unwrap();
    writer.append(content(1, 10)).await.unwrap();
    writer.sync().await.unwrap();
    store.delete(&key).await.unwrap();
    let outcome = writer.commit().await;
    assert!(matches!(outcome, Err(WriteError::Deleted(gone)) if gone == key));
    assert!(is_empty(&store).await);
}

pub(super) async fn registries_do_not_share_objects(store: impl BlobStore) {
    let (one, other) = (key_in("one", 1, 1), key_in("other", 1, 1));
    put(&store, &one, &content(1, 10)).await;
    assert_eq!(store.stat(&other).await.unwrap(), None);
    put(&store, &other, &content(2, 20)).await;
    store.delete(&other).await.unwrap();
    assert_eq!(get(&store, &one).await, content(1, 10));
    let later = key_in("one", 2, 1);
    put(&store, &later, &content(3, 30)).await;
    assert_eq!(get(&store, &one).await, content(1, 10));
    assert_eq!(get(&store, &later).await, content(3, 30));
}
