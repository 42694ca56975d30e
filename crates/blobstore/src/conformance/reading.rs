//! Opening, ranges, deleting.

use bytes::BytesMut;
use futures::StreamExt;
use futures::future::join_all;

use super::{content, get, is_empty, key, put};
use crate::{BlobStore, ReadError};

const MIB: u64 = 1 << 20;

pub(super) async fn a_range_yields_exactly_its_bytes(store: impl BlobStore) {
    let size = 3 * MIB + 5;
    let bytes = content(1, usize::try_from(size).unwrap());
    put(&store, &key(1), &bytes).await;
    for range in [
        0..0,
        0..1,
        0..size,
        7..7,
        7..8,
        4_095..4_097,
        MIB - 1..2 * MIB + 1,
        size - 1..size,
        size..size,
    ] {
        let reader = store.open(&key(1), Some(range.clone())).await.unwrap();
        let len = range.end - range.start;
        assert_eq!((reader.len(), reader.size()), (len, size));
        assert_eq!(reader.is_empty(), len == 0);
        let read = reader.into_bytes().await.unwrap();
        let index = |at| usize::try_from(at).unwrap();
        assert!(
            read == bytes[index(range.start)..index(range.end)],
            "{range:?}"
        );
    }
}

pub(super) async fn a_range_beyond_the_end_is_refused(store: impl BlobStore) {
    put(&store, &key(1), &content(1, 10)).await;
    put(&store, &key(2), &content(1, 0)).await;
    for (generation, range) in [(1, 0..11), (1, 10..11), (1, 11..11), (2, 0..1), (2, 1..1)] {
        let opened = store.open(&key(generation), Some(range.clone())).await;
        let refused = matches!(opened, Err(ReadError::OutOfRange { .. }));
        assert!(refused, "{range:?} of object {generation}");
    }
    let reader = store.open(&key(2), Some(0..0)).await.unwrap();
    assert!(reader.is_empty());
    assert!(reader.into_bytes().await.unwrap().is_empty());
}

pub(super) async fn what_does_not_exist_is_not_found(store: impl BlobStore) {
    let opened = store.open(&key(1), Some(0..10)).await;
    assert!(matches!(opened, Err(ReadError::NotFound(missing)) if missing == key(1)));
    assert_eq!(store.stat(&key(1)).await.unwrap(), None);
}

pub(super) async fn an_open_reader_survives_a_delete(store: impl BlobStore) {
    let bytes = content(1, 3 << 20);
    put(&store, &key(1), &bytes).await;
    let mut reader = store.open(&key(1), None).await.unwrap();
    let first = reader.next().await.unwrap().unwrap();
    store.delete(&key(1)).await.unwrap();
    let gone = store.open(&key(1), None).await;
    assert!(matches!(gone, Err(ReadError::NotFound(_))));
    let mut read = BytesMut::from(&first[..]);
    while let Some(chunk) = reader.next().await {
        read.extend_from_slice(&chunk.unwrap());
    }
    assert!(read == bytes);
    assert!(reader.next().await.is_none());
}

pub(super) async fn many_ranges_are_read_at_once(store: impl BlobStore) {
    let bytes = content(1, 4 << 20);
    put(&store, &key(1), &bytes).await;
    let part = |index: u64| {
        let (store, bytes) = (&store, &bytes);
        async move {
            let range = index * MIB / 4..(index + 1) * MIB / 4;
            let at = usize::try_from(range.start).unwrap();
            let reader = store.open(&key(1), Some(range)).await.unwrap();
            let read = reader.into_bytes().await.unwrap();
            read == bytes[at..at + read.len()]
        }
    };
    let right = join_all((0..16).map(part)).await;
    assert_eq!(right, [true; 16]);
}

pub(super) async fn a_delete_is_idempotent_and_hits_one_object(store: impl BlobStore) {
    let unfinished = key(3);
    put(&store, &key(1), &content(1, 10)).await;
    put(&store, &key(2), &content(2, 10)).await;
    drop(store.create(&unfinished).await.unwrap());
    for _ in 0..2 {
        store.delete(&key(1)).await.unwrap();
        store.delete(&unfinished).await.unwrap();
        store.delete(&key(4)).await.unwrap();
    }
    assert_eq!(store.stat(&key(1)).await.unwrap(), None);
    assert!(store.resume(&unfinished, None).await.unwrap().is_none());
    assert_eq!(get(&store, &key(2)).await, content(2, 10));
    store.delete(&key(2)).await.unwrap();
    assert!(is_empty(&store).await);
}
