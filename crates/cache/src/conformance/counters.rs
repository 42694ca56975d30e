//! Counters and their windows.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Fixture, LONG, SHORT, get, key, set, value};
use crate::{Cache, CacheKey, Count};

async fn increment(cache: &dyn Cache, key: &CacheKey, by: u64, window: Duration) -> Count {
    let count = cache.increment(key, by, window).await;
    count.expect("the cache is there")
}

pub(super) async fn a_counter_counts_until_its_window_ends(fixture: &impl Fixture) {
    let cache = fixture.open().await;
    let key = key("window");
    let first = increment(&*cache, &key, 2, SHORT).await;
    assert_eq!(first.total, 2);
    assert!(
        first.resets_in <= SHORT && first.resets_in > Duration::ZERO,
        "{first:?}"
    );
    // A later increment neither moves the end of the window nor brings another one.
    fixture.pass(SHORT / 2).await;
    let second = increment(&*cache, &key, 3, LONG).await;
    assert_eq!(second.total, 5);
    assert!(second.resets_in <= SHORT / 2, "{second:?}");
    fixture.pass(SHORT / 2).await;
    assert_eq!(increment(&*cache, &key, 1, LONG).await.total, 1);
}

pub(super) async fn counters_and_values_are_apart(cache: &dyn Cache) {
    let (one, two) = (key("one"), key("two"));
    assert_eq!(increment(cache, &one, 1, LONG).await.total, 1);
    assert_eq!(get(cache, &one).await, None);
    set(cache, &one, "value", LONG).await;
    assert_eq!(increment(cache, &one, 1, LONG).await.total, 2);
    assert_eq!(value(cache, &one).await, Some("value".into()));
    cache.delete(&one).await.expect("the cache is there");
    assert_eq!(increment(cache, &one, 1, LONG).await.total, 3);
    assert_eq!(increment(cache, &two, 1, LONG).await.total, 1);
}

pub(super) async fn concurrent_increments_are_all_counted(cache: &Arc<dyn Cache>) {
    const EACH: u64 = 100;
    let mut counting = JoinSet::new();
    for by in 1..=4 {
        let cache = Arc::clone(cache);
        counting.spawn(async move {
            for _ in 0..EACH {
                increment(&*cache, &key("concurrent"), by, LONG).await;
            }
        });
    }
    counting.join_all().await;
    let total = increment(&**cache, &key("concurrent"), 0, LONG).await.total;
    assert_eq!(total, EACH * (1 + 2 + 3 + 4));
}
