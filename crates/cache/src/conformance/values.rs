//! Values: written, conditionally too, found, ended.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{Fixture, LONG, SHORT, get, key, registry, set, value};
use crate::{Cache, CacheError, CacheKey, Entry, MAX_KEY_BYTES, MAX_VALUE_BYTES, Swap};

pub(super) async fn what_was_set_last_is_found(cache: &dyn Cache) {
    let key = key("last");
    assert_eq!(get(cache, &key).await, None);
    let first = set(cache, &key, "first", LONG).await;
    let second = set(cache, &key, "second", LONG).await;
    assert_ne!(first, second);
    let entry = Entry {
        value: Bytes::from_static(b"second"),
        version: second,
    };
    assert_eq!(get(cache, &key).await, Some(entry));
    for _ in 0..2 {
        cache.delete(&key).await.expect("the cache is there");
        assert_eq!(get(cache, &key).await, None);
    }
    for bytes in [Vec::new(), (0..=255).collect()] {
        let stored = cache.set(&key, bytes.clone().into(), LONG).await;
        stored.expect("any bytes are a value");
        assert_eq!(value(cache, &key).await, Some(bytes.into()));
    }
}

pub(super) async fn registries_and_parts_are_apart(cache: &dyn Cache) {
    let of = |millis| CacheKey::of(registry(millis), "space");
    let keys = [
        of(1),
        of(2),
        of(1).with("ab").with("c"),
        of(2).with("ab").with("c"),
        of(1).with("a").with("bc"),
        of(1).with("abc"),
        of(1).with([0, 255]),
        CacheKey::of(registry(1), "other").with("abc"),
        CacheKey::regional("space").with("abc"),
    ];
    for (n, key) in keys.iter().enumerate() {
        set(cache, key, &n.to_string(), LONG).await;
    }
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(
            value(cache, key).await,
            Some(n.to_string().into()),
            "{key:?}"
        );
    }
    cache.delete(&keys[0]).await.expect("the cache is there");
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(value(cache, key).await.is_some(), n > 0, "{key:?}");
    }
}

pub(super) async fn a_value_ends_and_reading_does_not_prolong_it(fixture: &impl Fixture) {
    let cache = fixture.open().await;
    let (short, long, renewed) = (key("short"), key("long"), key("renewed"));
    set(&*cache, &short, "short", SHORT).await;
    set(&*cache, &long, "long", LONG).await;
    set(&*cache, &renewed, "renewed", SHORT).await;
    assert!(get(&*cache, &short).await.is_some());
    fixture.pass(SHORT / 2).await;
    get(&*cache, &short).await;
    set(&*cache, &renewed, "again", LONG).await;
    fixture.pass(SHORT / 2).await;
    assert_eq!(get(&*cache, &short).await, None);
    assert_eq!(value(&*cache, &long).await, Some("long".into()));
    assert_eq!(value(&*cache, &renewed).await, Some("again".into()));
}

pub(super) async fn a_conditional_write_needs_the_version_in_place(cache: &dyn Cache) {
    let key = key("conditional");
    let swap = |expected, value: &'static str| {
        let key = &key;
        async move {
            let swap = cache
                .compare_and_set(key, expected, value.into(), LONG)
                .await;
            swap.expect("the cache is there")
        }
    };
    let Swap::Stored(first) = swap(None, "first").await else {
        panic!("nothing was there");
    };
    let there = get(cache, &key).await;
    assert_eq!(there.as_ref().map(|entry| entry.version), Some(first));
    assert_eq!(swap(None, "other").await, Swap::Changed(there));

    let Swap::Stored(second) = swap(Some(first), "second").await else {
        panic!("the version was the one in place");
    };
    let there = get(cache, &key).await;
    assert_eq!(swap(Some(first), "other").await, Swap::Changed(there));
    assert_eq!(value(cache, &key).await, Some("second".into()));

    set(cache, &key, "set", LONG).await;
    let there = get(cache, &key).await;
    assert_eq!(swap(Some(second), "other").await, Swap::Changed(there));
}

pub(super) async fn an_old_version_is_never_taken_for_a_new_one(fixture: &impl Fixture) {
    let cache = fixture.open().await;
    let (lost, ended) = (key("lost"), key("ended"));
    let of_lost = set(&*cache, &lost, "same", LONG).await;
    let of_ended = set(&*cache, &ended, "same", SHORT).await;
    cache.delete(&lost).await.expect("the cache is there");
    fixture.pass(SHORT).await;
    for (key, old) in [(&lost, of_lost), (&ended, of_ended)] {
        let swap = cache
            .compare_and_set(key, Some(old), "new".into(), LONG)
            .await;
        assert_eq!(swap.expect("the cache is there"), Swap::Changed(None));
        set(&*cache, key, "same", LONG).await;
        let swap = cache
            .compare_and_set(key, Some(old), "new".into(), LONG)
            .await;
        assert!(matches!(swap, Ok(Swap::Changed(Some(_)))), "{swap:?}");
    }
}

pub(super) async fn conditional_writers_lose_no_update(cache: &Arc<dyn Cache>) {
    const WRITERS: u64 = 8;
    const UPDATES: u64 = 50;
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let cache = Arc::clone(cache);
        writers.spawn(async move {
            for _ in 0..UPDATES {
                add_one(&*cache, &key("contended")).await;
            }
        });
    }
    writers.join_all().await;
    let total = value(&**cache, &key("contended")).await;
    assert_eq!(total, Some((WRITERS * UPDATES).to_string().into()));
}

/// Adds 1 to a number, which is nothing but a value to the cache.
async fn add_one(cache: &dyn Cache, key: &CacheKey) {
    let mut current = get(cache, key).await;
    loop {
        let number = current.as_ref().map_or(0, |entry| {
            let text = std::str::from_utf8(&entry.value).expect("what was written is a number");
            text.parse::<u64>().expect("what was written is a number")
        });
        let expected = current.as_ref().map(|entry| entry.version);
        let next = (number + 1).to_string().into();
        let swap = cache.compare_and_set(key, expected, next, LONG).await;
        match swap.expect("the cache is there") {
            Swap::Stored(_) => return,
            Swap::Changed(found) => current = found,
        }
    }
}

pub(super) async fn limits_are_kept(cache: &dyn Cache) {
    let key = key("limits");
    let largest = Bytes::from(vec![7; MAX_VALUE_BYTES]);
    let stored = cache.set(&key, largest.clone(), LONG).await;
    stored.expect("the largest value fits");
    assert_eq!(value(cache, &key).await, Some(largest));

    let larger = Bytes::from(vec![7; MAX_VALUE_BYTES + 1]);
    let refused = cache.set(&key, larger.clone(), LONG).await;
    assert!(
        matches!(refused, Err(CacheError::ValueTooLarge { .. })),
        "{refused:?}"
    );
    let refused = cache.compare_and_set(&key, None, larger, LONG).await;
    assert!(
        matches!(refused, Err(CacheError::ValueTooLarge { .. })),
        "{refused:?}"
    );

    let long = key.clone().with(vec![b'x'; MAX_KEY_BYTES]);
    let refused = cache.get(&long).await;
    assert!(
        matches!(refused, Err(CacheError::KeyTooLong { .. })),
        "{refused:?}"
    );
    let refused = cache.set(&long, Bytes::new(), LONG).await;
    assert!(
        matches!(refused, Err(CacheError::KeyTooLong { .. })),
        "{refused:?}"
    );
    let refused = cache.increment(&long, 1, LONG).await;
    assert!(
        matches!(refused, Err(CacheError::KeyTooLong { .. })),
        "{refused:?}"
    );

    let refused = cache.set(&key, Bytes::new(), Duration::ZERO).await;
    assert!(matches!(refused, Err(CacheError::TooShort)), "{refused:?}");
    let refused = cache.increment(&key, 1, Duration::ZERO).await;
    assert!(matches!(refused, Err(CacheError::TooShort)), "{refused:?}");
}
