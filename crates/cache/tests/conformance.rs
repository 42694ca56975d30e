//! The conformance suite, once per body.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use meridian_cache::conformance::{self, Fixture};
use meridian_cache::{Cache, MemoryCache, MemoryCacheConfig};
use meridian_clock::ManualClock;

struct Memory {
    clock: Arc<ManualClock>,
}

#[async_trait]
impl Fixture for Memory {
    async fn open(&self) -> Arc<dyn Cache> {
        let clock = Arc::clone(&self.clock);
        Arc::new(MemoryCache::new(&MemoryCacheConfig::default(), clock).unwrap())
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
