//! A cache in Redis, for the instances of a region.
//!
//! Owns what each operation is in Redis; `port.rs` has the table. Keeps two invariants: a conditional
//! write and a counter are one script each, so nothing comes between its looking and its writing; and
//! Redis that is away costs little: a call has a deadline, and after one that Redis did not answer, or a
//! connection that broke, calls fail at once until it answers again ([`link`]). Calls under way are
//! bounded, and with them what they hold in memory.
//!
//! It wants one primary, or an address behind which there is always one. A primary that takes over from
//! another may lack the last writes, which a cache may: versions are never used twice, so an entry that
//! came back is never taken for a newer one. A cluster, which answers for a part of the keys only, is
//! not supported. Redis 6 or later, or what speaks like it.

mod config;
mod dial;
mod link;
mod script;
mod tls;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Cmd, RedisError, Value};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use self::dial::Dialer;
use self::link::{Cause, Link};
use crate::port::{check_key, check_span, check_value};
use crate::{Cache, CacheError, CacheKey, Count, Entry, EntryVersion, Swap};

pub use self::config::{RedisConfig, RedisConfigFault, RedisTls};

/// Longer than anything is kept: ten years. Redis refuses times that overflow its clock.
const MOST_MILLIS: u64 = 10 * 365 * 24 * 3600 * 1000;

/// A cache in Redis.
pub struct RedisCache {
    link: Link,
    prefix: String,
    call_timeout: Duration,
    turns: Semaphore,
}

/// What answers but not as Redis would.
#[derive(Debug, thiserror::Error)]
#[error("Redis answered {0}, which is no answer to what it was asked")]
struct Odd(&'static str);

// === impl RedisCache ===

impl RedisCache {
    /// A cache at the settings' address. Redis is not asked: it is connected to when it is needed.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the settings and the files that they name.
    pub fn new(config: RedisConfig) -> Result<Self, Vec<RedisConfigFault>> {
        let faults = config.faults();
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            prefix: config.prefix.clone(),
            call_timeout: config.call_timeout,
            turns: Semaphore::new(config.in_flight),
            link: Link::new(Dialer::new(config)),
        })
    }

    fn value_key(&self, key: &CacheKey) -> Result<Vec<u8>, CacheError> {
        self.key("v:", key)
    }

    fn key(&self, space: &str, key: &CacheKey) -> Result<Vec<u8>, CacheError> {
        check_key(key)?;
        Ok([self.prefix.as_bytes(), space.as_bytes(), key.as_bytes()].concat())
    }

    /// What Redis answers. What a dropped or failed call asked for may have been done.
    async fn call(&self, command: &Cmd) -> Result<Value, CacheError> {
        let ready = async {
            let turn = self.turns.acquire().await;
            let turn = turn.map_err(|closed| CacheError::Unavailable(Arc::new(closed)))?;
            Ok::<_, CacheError>((turn, self.link.connection().await?))
        };
        // A wait for one's turn says nothing of Redis.
        let ready = timeout(self.call_timeout, ready).await;
        let (_turn, connection) = ready.map_err(|_elapsed| CacheError::TimedOut)??;
        let mut way = connection.way();
        match timeout(self.call_timeout, command.query_async(&mut way)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                let error = Arc::new(error);
                if is_final(&error) {
                    self.link.failed(&connection, Arc::clone(&error) as Cause);
                }
                Err(CacheError::Unavailable(error))
            }
            Err(elapsed) => {
                self.link.failed(&connection, Arc::new(elapsed));
                Err(CacheError::TimedOut)
            }
        }
    }
}

impl fmt::Debug for RedisCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCache")
            .field("link", &self.link)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Whether another connection is needed.
fn is_final(error: &RedisError) -> bool {
    error.is_io_error() || error.is_unrecoverable_error()
}

fn odd(what: &'static str) -> CacheError {
    CacheError::Unavailable(Arc::new(Odd(what)))
}

/// What is under a key, if it is one of ours.
fn entry(found: Value) -> Result<Option<Entry>, CacheError> {
    match found {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(EntryVersion::split(Bytes::from(bytes))
            .map(|(version, value)| Entry { value, version })),
        _ => Err(odd("something else than a value")),
    }
}

/// A span as Redis takes it.
fn span(span: Duration) -> Result<u64, CacheError> {
    Ok(check_span(span)?.min(MOST_MILLIS))
}

#[async_trait]
impl Cache for RedisCache {
    async fn get(&self, key: &CacheKey) -> Result<Option<Entry>, CacheError> {
        let command = script::get(&self.value_key(key)?);
        entry(self.call(&command).await?)
    }

    async fn set(
        &self,
        key: &CacheKey,
        value: Bytes,
        ttl: Duration,
    ) -> Result<EntryVersion, CacheError> {
        check_value(&value)?;
        let version = EntryVersion::fresh();
        let command = script::set(&self.value_key(key)?, &version.join(&value), span(ttl)?);
        match self.call(&command).await? {
            Value::Okay => Ok(version),
            _ => Err(odd("something else than OK")),
        }
    }

    async fn compare_and_set(
        &self,
        key: &CacheKey,
        expected: Option<EntryVersion>,
        value: Bytes,
        ttl: Duration,
    ) -> Result<Swap, CacheError> {
        check_value(&value)?;
        let version = EntryVersion::fresh();
        let key = self.value_key(key)?;
        let expected = expected.as_ref().map(EntryVersion::as_bytes);
        let command = script::compare_and_set(&key, expected, &version.join(&value), span(ttl)?);
        match self.call(&command).await? {
            Value::Int(1) => Ok(Swap::Stored(version)),
            found => Ok(Swap::Changed(entry(found)?)),
        }
    }

    async fn delete(&self, key: &CacheKey) -> Result<(), CacheError> {
        let command = script::delete(&self.value_key(key)?);
        match self.call(&command).await? {
            Value::Int(_) => Ok(()),
            _ => Err(odd("something else than a number")),
        }
    }

    async fn increment(
        &self,
        key: &CacheKey,
        by: u64,
        window: Duration,
    ) -> Result<Count, CacheError> {
        let key = self.key("c:", key)?;
        let by = i64::try_from(by).unwrap_or(i64::MAX);
        let command = script::increment(&key, by, span(window)?);
        let answer = self.call(&command).await?;
        script::count(&answer).ok_or_else(|| odd("something else than a count"))
    }
}
