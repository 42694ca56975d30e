//! What may be lost: in Redis for all processes of the region, or in the memory of this one.

use std::sync::Arc;

use meridian_cache::{Cache, MemoryCache};
#[cfg(feature = "redis")]
use meridian_cache::{Metered, RedisCache};
use meridian_chassis::metrics::Metrics;
use meridian_clock::SystemClock;
use meridian_frontend::Counters;

#[cfg(feature = "redis")]
use super::metrics;
use crate::config::{CacheKind, Config};
use crate::exit::Exit;

/// The caches of a process. Cheap to clone.
#[derive(Clone)]
pub(super) struct Caches {
    own: Arc<dyn Cache>,
    shared: Option<Arc<dyn Cache>>,
}

// === impl Caches ===

impl Caches {
    #[cfg_attr(
        not(feature = "redis"),
        expect(unused_variables, reason = "only what is shared is counted")
    )]
    pub(super) fn open(config: &Config, metrics: &Metrics) -> Result<Self, Exit> {
        let own = MemoryCache::new(&config.cache.memory, SystemClock);
        let own = own.map_err(|error| Exit::misconfigured(format!("cache.memory.{error}")))?;
        let shared: Option<Arc<dyn Cache>> = match config.cache.kind {
            CacheKind::Memory => None,
            #[cfg(feature = "redis")]
            CacheKind::Redis => {
                let cache = RedisCache::new(config.cache.redis.clone());
                let refused = |faults: Vec<_>| {
                    let lines = faults.iter().map(|fault| format!("cache.redis.{fault}"));
                    Exit::misconfigured_in(lines.collect())
                };
                let cache = Arc::new(Metered::new(cache.map_err(refused)?));
                metrics::of_cache(&cache, metrics);
                Some(cache)
            }
        };
        Ok(Self {
            own: Arc::new(own),
            shared,
        })
    }

    /// That of the region, or what there is.
    pub(super) fn widest(&self) -> Arc<dyn Cache> {
        Arc::clone(self.shared.as_ref().unwrap_or(&self.own))
    }

    /// Where requests are counted.
    pub(super) fn counters(&self) -> Counters {
        Counters {
            shared: self.shared.clone(),
            own: Arc::clone(&self.own),
        }
    }
}
