//! A cache for tests, that can be away, emptied and tampered with, and whose answers get lost.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use meridian_clock::ManualClock;

use crate::{
    Cache, CacheError, CacheKey, Count, Entry, EntryVersion, MemoryCache, MemoryCacheConfig, Swap,
};

/// For how long planted values are kept.
const LONG: Duration = Duration::from_secs(1000);

type Inner = MemoryCache<Arc<ManualClock>>;

/// The cache. All who hold it have the same.
pub struct Forgetful {
    clock: Arc<ManualClock>,
    inner: Mutex<Arc<Inner>>,
    is_away: AtomicBool,
    /// So many of the next answers are lost.
    lost: AtomicUsize,
    /// What was written last under each key.
    written: Mutex<BTreeMap<CacheKey, Bytes>>,
}

// === impl Forgetful ===

impl Forgetful {
    /// An empty cache, whose entries live by `clock`.
    #[must_use]
    pub fn new(clock: Arc<ManualClock>) -> Self {
        Self {
            inner: Mutex::new(Self::empty(&clock)),
            clock,
            is_away: AtomicBool::new(false),
            lost: AtomicUsize::new(0),
            written: Mutex::default(),
        }
    }

    /// From now on it does not answer, or does.
    pub fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    /// The next operations are done, and nobody hears of it.
    pub fn lose_answers(&self, number: usize) {
        self.lost.store(number, Ordering::SeqCst);
    }

    /// Forgets everything.
    ///
    /// # Panics
    ///
    /// When a test that holds it has panicked.
    pub fn forget(&self) {
        *self.inner.lock().unwrap() = Self::empty(&self.clock);
    }

    /// What was written last under each key whose debug form has `part`.
    ///
    /// # Panics
    ///
    /// When a test that holds it has panicked.
    #[must_use]
    pub fn written(&self, part: &str) -> Vec<(CacheKey, Bytes)> {
        let written = self.written.lock().unwrap();
        let entries = written.iter();
        let entries = entries.filter(|(key, _)| format!("{key:?}").contains(part));
        entries
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// Puts values where they were, or where they were not.
    ///
    /// # Panics
    ///
    /// When it is away.
    pub async fn plant(&self, values: Vec<(CacheKey, Bytes)>) {
        for (key, value) in values {
            self.set(&key, value, LONG).await.unwrap();
        }
    }

    fn empty(clock: &Arc<ManualClock>) -> Arc<Inner> {
        let cache = MemoryCache::new(&MemoryCacheConfig::default(), Arc::clone(clock));
        Arc::new(cache.unwrap())
    }

    fn there(&self) -> Result<Arc<Inner>, CacheError> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(CacheError::TimedOut);
        }
        Ok(Arc::clone(&self.inner.lock().unwrap()))
    }

    fn note(&self, key: &CacheKey, value: &Bytes) {
        let mut written = self.written.lock().unwrap();
        written.insert(key.clone(), value.clone());
    }

    /// Gives an answer, unless it is to be lost.
    fn answer<T>(&self, answer: Result<T, CacheError>) -> Result<T, CacheError> {
        let less = |lost: usize| lost.checked_sub(1);
        match self
            .lost
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
        {
            Ok(_) => Err(CacheError::TimedOut),
            Err(_) => answer,
        }
    }
}

#[async_trait]
impl Cache for Forgetful {
    async fn get(&self, key: &CacheKey) -> Result<Option<Entry>, CacheError> {
        let found = self.there()?.get(key).await;
        self.answer(found)
    }

    async fn set(
        &self,
        key: &CacheKey,
        value: Bytes,
        ttl: Duration,
    ) -> Result<EntryVersion, CacheError> {
        self.note(key, &value);
        let set = self.there()?.set(key, value, ttl).await;
        self.answer(set)
    }

    async fn compare_and_set(
        &self,
        key: &CacheKey,
        expected: Option<EntryVersion>,
        value: Bytes,
        ttl: Duration,
    ) -> Result<Swap, CacheError> {
        let cache = self.there()?;
        let swap = cache
            .compare_and_set(key, expected, value.clone(), ttl)
            .await;
        if let Ok(Swap::Stored(_)) = &swap {
            self.note(key, &value);
        }
        self.answer(swap)
    }

    async fn delete(&self, key: &CacheKey) -> Result<(), CacheError> {
        let deleted = self.there()?.delete(key).await;
        self.answer(deleted)
    }

    async fn increment(
        &self,
        key: &CacheKey,
        by: u64,
        window: Duration,
    ) -> Result<Count, CacheError> {
        let counted = self.there()?.increment(key, by, window).await;
        self.answer(counted)
    }
}
