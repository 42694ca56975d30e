//! A cache in the memory of one process.
//!
//! Keeps the invariant that entries and bytes never exceed their bounds: what has ended goes first,
//! then what was used least recently. Values and counters have bounds of their own, so that a flood of
//! one does not drive out the other.
//!
//! Not moka or `quick_cache`: they read the machine's clock, bound either entries or bytes, and have
//! no conditional write.

mod bounded;
mod config;
mod passage;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use meridian_clock::Clock;

use crate::port::{check_key, check_span, check_value};
use crate::{Cache, CacheError, CacheKey, Count, Entry, EntryVersion, Swap};
use bounded::Bounded;
use passage::Passage;

pub use config::{ConfigError, MemoryCacheConfig};

/// A cache in the memory of one process.
#[derive(Debug)]
pub struct MemoryCache<C> {
    clock: C,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    passage: Passage,
    values: Bounded<Entry>,
    counters: Bounded<u64>,
}

// === impl MemoryCache ===

impl<C: Clock> MemoryCache<C> {
    /// An empty cache, whose entries live by `clock`.
    ///
    /// # Errors
    ///
    /// When a bound is out of range.
    pub fn new(config: &MemoryCacheConfig, clock: C) -> Result<Self, ConfigError> {
        if let Some(fault) = config.faults().into_iter().next() {
            return Err(fault);
        }
        let bytes = usize::try_from(config.size.as_u64()).unwrap_or(usize::MAX);
        let state = State {
            passage: Passage::from(clock.now_millis()),
            values: Bounded::new(config.entries, bytes),
            counters: Bounded::new(config.entries, bytes),
        };
        Ok(Self {
            clock,
            state: Mutex::new(state),
        })
    }

    /// The state, and how much time has passed.
    fn state(&self) -> (MutexGuard<'_, State>, u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = state.passage.read(self.clock.now_millis());
        (state, now)
    }
}

#[async_trait]
impl<C: Clock> Cache for MemoryCache<C> {
    async fn get(&self, key: &CacheKey) -> Result<Option<Entry>, CacheError> {
        check_key(key)?;
        let (mut state, now) = self.state();
        Ok(state
            .values
            .get(key.as_bytes(), now)
            .map(|(entry, _)| entry.clone()))
    }

    async fn set(
        &self,
        key: &CacheKey,
        value: Bytes,
        ttl: Duration,
    ) -> Result<EntryVersion, CacheError> {
        check_key(key)?;
        check_value(&value)?;
        let ttl = check_span(ttl)?;
        let (mut state, now) = self.state();
        Ok(state.put(key, value, now, ttl))
    }

    async fn compare_and_set(
        &self,
        key: &CacheKey,
        expected: Option<EntryVersion>,
        value: Bytes,
        ttl: Duration,
    ) -> Result<Swap, CacheError> {
        check_key(key)?;
        check_value(&value)?;
        let ttl = check_span(ttl)?;
        let (mut state, now) = self.state();
        let current = state
            .values
            .get(key.as_bytes(), now)
            .map(|(entry, _)| entry);
        if current.map(|entry| entry.version) != expected {
            return Ok(Swap::Changed(current.cloned()));
        }
        Ok(Swap::Stored(state.put(key, value, now, ttl)))
    }

    async fn delete(&self, key: &CacheKey) -> Result<(), CacheError> {
        check_key(key)?;
        let (mut state, _) = self.state();
        state.values.remove(key.as_bytes());
        Ok(())
    }

    async fn increment(
        &self,
        key: &CacheKey,
        by: u64,
        window: Duration,
    ) -> Result<Count, CacheError> {
        check_key(key)?;
        let window = check_span(window)?;
        let (mut state, now) = self.state();
        let opened = (0, now.saturating_add(window));
        let counter = state.counters.get(key.as_bytes(), now);
        let (before, end) = counter.map_or(opened, |(total, end)| (*total, end));
        let total = before.saturating_add(by).min(i64::MAX.unsigned_abs());
        state.counters.put(key.as_bytes(), total, 0, now, end);
        Ok(Count {
            total,
            resets_in: Duration::from_millis(end - now),
        })
    }
}

// === impl State ===

impl State {
    fn put(&mut self, key: &CacheKey, value: Bytes, now: u64, ttl: u64) -> EntryVersion {
        let version = EntryVersion::fresh();
        let size = value.len();
        // A copy, so that a small value does not hold on to the large buffer that it is a part of.
        let value = Bytes::copy_from_slice(&value);
        let entry = Entry { value, version };
        let end = now.saturating_add(ttl);
        self.values.put(key.as_bytes(), entry, size, now, end);
        version
    }
}

#[cfg(test)]
mod tests;
