//! The port: what Meridian asks of a cache.
//!
//! Owns the contract, which is what Redis can keep with plain commands and small scripts:
//!
//! | operation | Redis |
//! |---|---|
//! | `get` | `GET v:<key>`, a version of 16 bytes and the value |
//! | `set` | `SET v:<key> <version><value> PX <ttl>` |
//! | `compare_and_set` | a script: `GETRANGE` of 16 bytes, compare, `SET … PX`; else `GET` |
//! | `delete` | `DEL v:<key>` |
//! | `increment` | a script: `INCRBY c:<key>`, `PEXPIRE` unless it has a `PTTL`, `GET`, `PTTL` |
//!
//! Leaves to the caller what to do without a cache.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{CacheError, CacheKey, Count, Entry, EntryVersion, MAX_KEY_BYTES, Swap};

/// The largest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 1 << 20;

/// A store for what may be lost. Bodies pass [`conformance`](crate).
///
/// # Contract
///
/// *Loss.* Any entry and any counter may be gone at any moment. What is there is what was written
/// last: operations on one key are linearizable.
///
/// *Time.* An entry ends when its time to live has passed since its last write; reading does not
/// prolong it. Times are kept to the millisecond.
///
/// *Spaces.* Values and counters are apart, also under one key.
///
/// *Cancellation.* A dropped operation may have happened.
///
/// *Retrying* is the caller's: no body repeats an increment or a conditional write.
#[async_trait]
pub trait Cache: Send + Sync + 'static {
    /// What is under `key`.
    ///
    /// # Errors
    ///
    /// When the cache is away.
    async fn get(&self, key: &CacheKey) -> Result<Option<Entry>, CacheError>;

    /// Puts a value under `key`, whatever was there.
    ///
    /// # Errors
    ///
    /// When the value is too large, or the cache is away.
    async fn set(
        &self,
        key: &CacheKey,
        value: Bytes,
        ttl: Duration,
    ) -> Result<EntryVersion, CacheError>;

    /// Puts a value under `key` if what is there has the `expected` version; with `None`, if nothing
    /// is there.
    ///
    /// # Errors
    ///
    /// When the value is too large, or the cache is away: then the write may have happened.
    async fn compare_and_set(
        &self,
        key: &CacheKey,
        expected: Option<EntryVersion>,
        value: Bytes,
        ttl: Duration,
    ) -> Result<Swap, CacheError>;

    /// Removes the value under `key`, if there is one. Counters end with their windows.
    ///
    /// # Errors
    ///
    /// When the cache is away.
    async fn delete(&self, key: &CacheKey) -> Result<(), CacheError>;

    /// Adds to the counter of `key` and says what it counts now. The first increment opens a window;
    /// when it has passed, the counter starts again. Totals stop at the largest signed number.
    ///
    /// # Errors
    ///
    /// When the cache is away: then it may have been counted.
    async fn increment(
        &self,
        key: &CacheKey,
        by: u64,
        window: Duration,
    ) -> Result<Count, CacheError>;
}

/// Refuses a key that no body takes.
pub(crate) fn check_key(key: &CacheKey) -> Result<(), CacheError> {
    let size = key.as_bytes().len();
    if size > MAX_KEY_BYTES {
        return Err(CacheError::KeyTooLong { size });
    }
    Ok(())
}

/// Refuses a value that no body takes.
pub(crate) fn check_value(value: &Bytes) -> Result<(), CacheError> {
    let size = value.len();
    if size > MAX_VALUE_BYTES {
        return Err(CacheError::ValueTooLarge { size });
    }
    Ok(())
}

/// A span of time in the milliseconds in which it is kept.
pub(crate) fn check_span(span: Duration) -> Result<u64, CacheError> {
    match u64::try_from(span.as_millis()).unwrap_or(u64::MAX) {
        0 => Err(CacheError::TooShort),
        millis => Ok(millis),
    }
}
