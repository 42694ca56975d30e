#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

#[cfg(feature = "testing")]
pub mod conformance;
mod entry;
mod error;
#[cfg(feature = "testing")]
mod forgetful;
mod key;
mod memory;
mod metered;
mod port;
#[cfg(feature = "redis")]
mod redis;

#[cfg(feature = "redis")]
pub use self::redis::{RedisCache, RedisConfig, RedisConfigFault, RedisTls};
pub use entry::{Count, Entry, EntryVersion, Swap};
pub use error::CacheError;
#[cfg(feature = "testing")]
pub use forgetful::Forgetful;
pub use key::{CacheKey, MAX_KEY_BYTES};
pub use memory::{ConfigError, MemoryCache, MemoryCacheConfig};
pub use metered::Metered;
pub use port::{Cache, MAX_VALUE_BYTES};
