#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

#[cfg(feature = "testing")]
pub mod conformance;
mod entry;
mod error;
mod key;
mod memory;
mod port;

pub use entry::{Count, Entry, EntryVersion, Swap};
pub use error::CacheError;
pub use key::{CacheKey, MAX_KEY_BYTES};
pub use memory::{ConfigError, MemoryCache, MemoryCacheConfig};
pub use port::{Cache, MAX_VALUE_BYTES};
