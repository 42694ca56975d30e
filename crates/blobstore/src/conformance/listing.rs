//! Listing and room.

use super::{content, is_empty, key, key_in, put};
use crate::{BlobKey, BlobStore, Listed};

/// Registries whose order is not that of their names alone, and numbers of all lengths.
fn keys() -> Vec<BlobKey> {
    let mut keys = Vec::new();
    for registry in ["a", "a-", "a-b", "a0", "b", "18bcfe5687b-0-eu"] {
        for (epoch, generation) in [
            (1, 1),
            (1, 256),
            (1, 257),
            (2, 1),
            (u64::MAX, (1 << 63) - 5),
            (1, (1 << 31) - 5),
        ] {
            keys.push(key_in(registry, epoch, generation));
        }
    }
    keys
}

/// All objects, in pages of `limit`.
async fn pages(store: &impl BlobStore, limit: usize) -> Vec<Listed> {
    let mut listed: Vec<Listed> = Vec::new();
    loop {
        let after = listed.last().map(|last| &last.key);
        let page = store.list(after, limit).await.unwrap();
        assert!(page.len() <= limit);
        if page.is_empty() {
            return listed;
        }
        listed.extend(page);
    }
}

pub(super) async fn objects_are_listed_in_order_and_once(store: impl BlobStore) {
    assert!(is_empty(&store).await);
    let mut keys = keys();
    for (index, key) in keys.iter().enumerate() {
        if index % 5 == 2 {
            drop(store.create(key).await.unwrap());
        } else {
            put(&store, key, &content(1, index)).await;
        }
    }
    let expected: Vec<_> = keys.iter().enumerate().collect();
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(index, key)| match index % 5 {
            2 => (key.clone(), false, 0),
            _ => (key.clone(), true, index as u64),
        })
        .collect();
    keys.sort();
    for limit in [1, 2, 7, keys.len(), 1_000] {
        let listed = pages(&store, limit).await;
        let found: Vec<_> = listed.iter().map(|object| object.key.clone()).collect();
        assert_eq!(found, keys, "pages of {limit}");
        for object in listed {
            let seen = (object.key, object.finished, object.size);
            assert!(expected.contains(&seen), "{seen:?}");
        }
    }
    assert!(store.list(None, 0).await.unwrap().is_empty());
}

pub(super) async fn a_page_begins_after_any_key(store: impl BlobStore) {
    let mut keys = keys();
    keys.sort();
    // Every other one exists; the rest is asked for nevertheless.
    for key in keys.iter().step_by(2) {
        put(&store, key, &content(1, 1)).await;
    }
    for (index, after) in keys.iter().enumerate() {
        let page = store.list(Some(after), 3).await.unwrap();
        let found: Vec<_> = page.iter().map(|object| &object.key).collect();
        let there = keys.iter().enumerate().filter(|(at, _)| at % 2 == 0);
        let later = there.filter(|(at, _)| *at > index);
        let expected: Vec<_> = later.map(|(_, key)| key).take(3).collect();
        assert_eq!(found, expected, "after {after}");
    }
}

pub(super) async fn what_was_deleted_is_not_listed(store: impl BlobStore) {
    for generation in 1..=5 {
        put(&store, &key(generation), &content(1, 1)).await;
    }
    store.delete(&key(3)).await.unwrap();
    let listed = pages(&store, 2).await;
    let found: Vec<_> = listed.iter().map(|object| object.key.generation).collect();
    assert_eq!(found, [1, 2, 4, 5]);
}

pub(super) async fn there_is_less_free_than_in_all(store: impl BlobStore) {
    if let Some(space) = store.space().await.unwrap() {
        assert!(space.free <= space.total && space.total > 0);
    }
}
