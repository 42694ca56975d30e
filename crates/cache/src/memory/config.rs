//! The settings of the memory body.

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// What the largest value takes with its key and all around it, and more.
const LEAST_SIZE: ByteSize = ByteSize::mib(2);

/// How much a [`MemoryCache`](crate::MemoryCache) holds: of values, and again of counters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryCacheConfig {
    /// How many entries.
    pub entries: usize,
    /// How many bytes, with keys and what surrounds them.
    pub size: ByteSize,
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// There would be no room at all.
    #[error("entries is 0; set it to at least 1")]
    Entries,
    /// The largest value would not fit.
    #[error("size is {0}; set it to at least {LEAST_SIZE}")]
    Size(ByteSize),
}

// === impl MemoryCacheConfig ===

impl Default for MemoryCacheConfig {
    fn default() -> Self {
        Self {
            entries: 100_000,
            size: ByteSize::mib(64),
        }
    }
}

impl MemoryCacheConfig {
    /// Everything that is wrong with it.
    #[must_use]
    pub fn faults(&self) -> Vec<ConfigError> {
        let mut faults = Vec::new();
        if self.entries == 0 {
            faults.push(ConfigError::Entries);
        }
        if self.size < LEAST_SIZE {
            faults.push(ConfigError::Size(self.size));
        }
        faults
    }
}
