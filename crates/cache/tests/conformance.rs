//! The conformance suite, once per body.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use meridian_cache::conformance::{self, Fixture};
use meridian_cache::{Cache, CacheKey, MemoryCache, MemoryCacheConfig, Metered};
use meridian_clock::ManualClock;

struct Memory {
    clock: Arc<ManualClock>,
}

#[async_trait]
impl Fixture for Memory {
    async fn open(&self) -> Arc<dyn Cache> {
        let clock = Arc::clone(&self.clock);
        Arc::new(Metered::new(
            MemoryCache::new(&MemoryCacheConfig::default(), clock).unwrap(),
        ))
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(u64::try_from(time.as_millis()).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory() {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    conformance::run(&Memory { clock }).await;
}

#[tokio::test]
async fn operations_are_counted_by_how_they_ended() {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let cache = MemoryCache::new(&MemoryCacheConfig::default(), clock).unwrap();
    let cache = Metered::new(cache);
    let (key, minute) = (CacheKey::regional("test"), Duration::from_secs(60));
    cache.get(&key).await.unwrap();
    cache.set(&key, "a".into(), minute).await.unwrap();
    cache.get(&key).await.unwrap();
    let swap = cache.compare_and_set(&key, None, "b".into(), minute);
    swap.await.unwrap();
    cache.increment(&key, 1, minute).await.unwrap();
    cache
        .set(&key, "a".into(), Duration::ZERO)
        .await
        .unwrap_err();
    let expected = [
        ("hit", 1),
        ("miss", 1),
        ("written", 1),
        ("changed", 1),
        ("counted", 1),
        ("away", 1),
    ];
    assert_eq!(cache.counts(), expected);
}
