//! What every [`Cache`] must do. Run it against each body.
//!
//! Owns the cases. Leaves to a [`Fixture`] how a body is made and how time passes for it.

mod counters;
mod values;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use meridian_clock::Version;
use meridian_event::RegistryId;

use crate::{Cache, CacheKey, Entry, EntryVersion};

/// Makes caches of one body.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// An empty cache, which loses nothing before its time while it is used by one case only.
    async fn open(&self) -> Arc<dyn Cache>;

    /// Lets time pass for the cache: at least that much.
    async fn pass(&self, time: Duration);
}

/// Runs every case.
///
/// # Panics
///
/// When the body breaks its contract.
pub async fn run(fixture: &impl Fixture) {
    values::what_was_set_last_is_found(&*fixture.open().await).await;
    values::registries_and_parts_are_apart(&*fixture.open().await).await;
    values::a_value_ends_and_reading_does_not_prolong_it(fixture).await;
    values::a_conditional_write_needs_the_version_in_place(&*fixture.open().await).await;
    values::an_old_version_is_never_taken_for_a_new_one(fixture).await;
    values::conditional_writers_lose_no_update(&fixture.open().await).await;
    values::limits_are_kept(&*fixture.open().await).await;
    counters::a_counter_counts_until_its_window_ends(fixture).await;
    counters::counters_and_values_are_apart(&*fixture.open().await).await;
    counters::concurrent_increments_are_all_counted(&fixture.open().await).await;
}

/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(300);

/// Longer than a case runs.
const LONG: Duration = Duration::from_secs(600);

fn registry(millis: u64) -> RegistryId {
    let region = "eu".parse().expect("a legal name");
    RegistryId::new(Version {
        millis,
        counter: 0,
        region,
    })
}

fn key(name: &str) -> CacheKey {
    CacheKey::of(registry(1), "conformance").with(name)
}

async fn set(cache: &dyn Cache, key: &CacheKey, value: &str, ttl: Duration) -> EntryVersion {
    let value = Bytes::copy_from_slice(value.as_bytes());
    cache
        .set(key, value, ttl)
        .await
        .expect("the cache is there")
}

async fn get(cache: &dyn Cache, key: &CacheKey) -> Option<Entry> {
    cache.get(key).await.expect("the cache is there")
}

async fn value(cache: &dyn Cache, key: &CacheKey) -> Option<Bytes> {
    get(cache, key).await.map(|entry| entry.value)
}
