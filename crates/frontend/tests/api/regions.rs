//! What clients see of other regions: two regions, seen from `eu`, and what `us` has.

mod freshness;
mod read_through;
mod scatter;
mod tokens;

use std::collections::BTreeMap;

use meridian_clock::ManualClock;

use super::memory::abroad::Abroad;
use super::*;

const EARLIER: u64 = 1_600_000_000_000;
const NOW: u64 = 1_700_000_000_000;
const LATER: u64 = 1_800_000_000_000;

/// Two regions.
struct World {
    /// Where the client is.
    eu: Registry,
    /// The other one.
    us: Registry,
    /// What `eu` knows of `us`.
    abroad: Arc<Abroad>,
    /// By which the caches of `eu` live.
    clock: Arc<ManualClock>,
}

/// A frontend of a region, and what it knows of the other one.
fn region(
    name: &str,
    (here, there): (&Arc<Memory>, &Arc<Memory>),
    other: &str,
    (config, clock): (Config, &Arc<ManualClock>),
) -> (Registry, Arc<Abroad>) {
    let abroad = Arc::new(Abroad::new(here, there, other));
    let own = MemoryCache::new(&MemoryCacheConfig::default(), Arc::clone(clock)).unwrap();
    let counters = Counters {
        shared: None,
        own: Arc::new(own),
    };
    let regions = Regions {
        here: name.parse().unwrap(),
        api: Arc::clone(&abroad) as _,
        peers: BTreeMap::from([(other.parse().unwrap(), Arc::clone(there) as _)]),
    };
    let registry = Registry::over(config, counters, Arc::clone(here), Some(regions));
    (registry, abroad)
}

// === impl World ===

impl World {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        let memories =
            [("eu", NOW), ("us", LATER)].map(|(name, at)| Arc::new(Memory::of(name, at)));
        let [here, there] = &memories;
        let (eu, abroad) = region("eu", (here, there), "us", (config, &clock));
        let (us, _) = region("us", (there, here), "eu", (Config::default(), &clock));
        Self {
            eu,
            us,
            abroad,
            clock,
        }
    }

    /// Has the frontend of `eu` hear how old its state is, and waits until it did.
    async fn watch(&mut self) -> Supervisor {
        let supervisor = Supervisor::new();
        self.eu.frontend = self.eu.frontend.clone().watching(&supervisor);
        self.hear().await;
        supervisor
    }

    /// Waits until the frontend heard once more.
    async fn hear(&self) {
        let before = self.abroad.asked("freshness");
        while self.abroad.asked("freshness") == before {
            tokio::time::advance(Duration::from_millis(50)).await;
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
    }
}

// === impl Registry ===

impl Registry {
    /// Puts an index that names nothing.
    async fn tag(&self, repository: &str, tag: &str, marker: &str) -> Digest {
        let manifest = index(marker, None);
        let path = format!("{repository}/manifests/{tag}");
        assert_eq!(self.put(&path, INDEX, &manifest).await.status, 201);
        sha256(&manifest)
    }
}

// === impl Reply ===

impl Reply {
    /// The regions that may know better, each with its age.
    fn stale(&self) -> Vec<&str> {
        let values = self.headers.get_all("meridian-stale").into_iter();
        values.map(|value| value.to_str().unwrap()).collect()
    }
}
