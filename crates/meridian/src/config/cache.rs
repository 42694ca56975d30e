//! Which cache a process uses, for what may be lost.

use meridian_cache::MemoryCacheConfig;
#[cfg(feature = "redis")]
use meridian_cache::RedisConfig;
use serde::{Deserialize, Serialize};

/// The cache.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Cache {
    /// Where it is.
    pub(crate) kind: CacheKind,
    /// In the memory of this process.
    pub(crate) memory: MemoryCacheConfig,
    /// In Redis.
    #[cfg(feature = "redis")]
    pub(crate) redis: RedisConfig,
}

/// Where a cache is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CacheKind {
    /// In the memory of this process: each has its own.
    #[default]
    Memory,
    /// In Redis, or what speaks like it: all instances have the same.
    #[cfg(feature = "redis")]
    Redis,
}

// === impl Cache ===

impl Cache {
    /// Everything that is wrong with it, in words that begin with its key. The memory is what is left
    /// when Redis is away.
    pub(crate) fn faults(&self) -> Vec<String> {
        let faults = self.memory.faults();
        let mut lines: Vec<_> = faults
            .iter()
            .map(|it| format!("cache.memory.{it}"))
            .collect();
        match self.kind {
            CacheKind::Memory => {}
            #[cfg(feature = "redis")]
            CacheKind::Redis => {
                let faults = self.redis.faults();
                lines.extend(faults.iter().map(|it| format!("cache.redis.{it}")));
            }
        }
        lines
    }

    /// Whether all instances have the same.
    pub(crate) const fn is_shared(&self) -> bool {
        match self.kind {
            CacheKind::Memory => false,
            #[cfg(feature = "redis")]
            CacheKind::Redis => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "redis")]
    fn redis_is_judged_if_it_was_chosen_and_memory_always() {
        let cache: Cache = toml::from_str("kind = \"redis\"\n[memory]\nentries = 0").unwrap();
        let memory = "cache.memory.entries is 0; set it to at least 1";
        let redis = "cache.redis.address: missing; it is host:port";
        assert_eq!(cache.faults(), [memory, redis]);
        assert!(cache.is_shared());
        let cache: Cache = toml::from_str("[memory]\nentries = 0").unwrap();
        assert_eq!(cache.faults(), [memory]);
        assert!(!cache.is_shared());
    }
}
