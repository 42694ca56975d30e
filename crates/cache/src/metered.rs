//! Counts what passes through a cache.
//!
//! Owns the counters: one for each way in which an operation can end. Changes nothing. Leaves exporting
//! to the process, which reads them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Cache, CacheError, CacheKey, Count, Entry, EntryVersion, Swap};

/// A cache whose operations are counted.
#[derive(Debug, Default)]
pub struct Metered<C> {
    cache: C,
    ends: [AtomicU64; End::ALL.len()],
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Hit,
    Miss,
    Written,
    Changed,
    Counted,
    Away,
}

// === impl End ===

impl End {
    const ALL: [Self; 6] = [
        Self::Hit,
        Self::Miss,
        Self::Written,
        Self::Changed,
        Self::Counted,
        Self::Away,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Written => "written",
            Self::Changed => "changed",
            Self::Counted => "counted",
            Self::Away => "away",
        }
    }
}

// === impl Metered ===

impl<C> Metered<C> {
    /// Counts the operations of `cache`.
    pub fn new(cache: C) -> Self {
        Self {
            cache,
            ends: Default::default(),
        }
    }

    /// How often operations ended in each way: an entry was found (`hit`) or not (`miss`), a value was
    /// `written` or removed, another had written first (`changed`), a counter `counted`, or the cache
    /// was `away`.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let ends = End::ALL.into_iter();
        ends.map(|end| (end.name(), self.ends[end as usize].load(Ordering::Relaxed)))
            .collect()
    }

    fn note<T>(
        &self,
        outcome: Result<T, CacheError>,
        end: impl FnOnce(&T) -> End,
    ) -> Result<T, CacheError> {
        let end = outcome.as_ref().map_or(End::Away, end);
        self.ends[end as usize].fetch_add(1, Ordering::Relaxed);
        outcome
    }
}

#[async_trait]
impl<C: Cache> Cache for Metered<C> {
    async fn get(&self, key: &CacheKey) -> Result<Option<Entry>, CacheError> {
        let found = self.cache.get(key).await;
        self.note(found, |found| match found {
            Some(_) => End::Hit,
            None => End::Miss,
        })
    }

    async fn set(
        &self,
        key: &CacheKey,
        value: Bytes,
        ttl: Duration,
    ) -> Result<EntryVersion, CacheError> {
        let set = self.cache.set(key, value, ttl).await;
        self.note(set, |_| End::Written)
    }

    async fn compare_and_set(
        &self,
        key: &CacheKey,
        expected: Option<EntryVersion>,
        value: Bytes,
        ttl: Duration,
    ) -> Result<Swap, CacheError> {
        let swapped = self.cache.compare_and_set(key, expected, value, ttl);
        self.note(swapped.await, |swap| match swap {
            Swap::Stored(_) => End::Written,
            Swap::Changed(_) => End::Changed,
        })
    }

    async fn delete(&self, key: &CacheKey) -> Result<(), CacheError> {
        let deleted = self.cache.delete(key).await;
        self.note(deleted, |()| End::Written)
    }

    async fn increment(
        &self,
        key: &CacheKey,
        by: u64,
        window: Duration,
    ) -> Result<Count, CacheError> {
        let counted = self.cache.increment(key, by, window).await;
        self.note(counted, |_| End::Counted)
    }
}
