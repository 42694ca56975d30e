//! How many requests a client may make.
//!
//! Owns the classes of requests, who a client is, and what it is told of where it stands. Keeps the invariant
//! that requests are counted whatever becomes of the shared cache: without it they are counted here, and
//! a client may make so many at each frontend, but never as many as it likes. Leaves counting, and when a
//! window ends, to the cache.

mod config;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, Method};
use meridian_cache::{Cache, CacheKey, Count};
use meridian_chassis::metrics::{Grid, Metrics};

use crate::respond;

pub use config::{Rate, RatesConfig};

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");

/// An IPv6 network that one customer gets (RFC 6177), so who has one address there has them all.
const CUSTOMER: u32 = 64;

const CLASSES: [&str; 3] = ["read", "write", "delete"];
const OUTCOMES: [&str; 4] = ["admitted", "refused", "admitted_locally", "refused_locally"];

/// Where requests are counted.
#[derive(Clone)]
pub struct Counters {
    /// For all frontends of the region, if there is such a place.
    pub shared: Option<Arc<dyn Cache>>,
    /// In this process.
    pub own: Arc<dyn Cache>,
}

/// The limits of clients.
pub(crate) struct Rates {
    config: RatesConfig,
    counters: Counters,
    outcomes: Grid,
}

/// Where a client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    rate: Rate,
    count: Count,
}

/// A client made more requests than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {} requests came in {:?}", .0.rate.requests, .0.rate.per)]
pub(crate) struct TooMany(Standing);

#[derive(Clone, Copy)]
enum Class {
    Read,
    Write,
    Delete,
}

// === impl Rates ===

impl Rates {
    pub(crate) fn new(config: RatesConfig, counters: Counters) -> Self {
        let outcomes = Grid::new(["class", "outcome"], &CLASSES, &OUTCOMES);
        Self {
            config,
            counters,
            outcomes,
        }
    }

    pub(crate) fn register(&self, metrics: &Metrics) {
        let help = "Requests that were counted against a limit.";
        metrics.register(
            "frontend_rate_limited_requests",
            help,
            self.outcomes.family(),
        );
    }

    /// Counts a request. `None` if there is no limit for it: who reaches a Unix socket is trusted with
    /// the process anyway.
    pub(crate) async fn admit(
        &self,
        method: &Method,
        client: Option<IpAddr>,
    ) -> Result<Option<Standing>, TooMany> {
        let class = Class::of(method);
        let (Some(rate), Some(client)) = (class.rate(&self.config), client) else {
            return Ok(None);
        };
        let key = class.key(client);
        let shared = match &self.counters.shared {
            Some(shared) => shared.increment(&key, 1, rate.per).await.ok(),
            None => None,
        };
        let (count, is_local) = match shared {
            Some(count) => (count, false),
            None => {
                let own = self.counters.own.increment(&key, 1, rate.per).await;
                // It is in memory, and takes every key of ours. If ever not, nobody gets in for that.
                let count = own.unwrap_or(Count {
                    total: u64::MAX,
                    resets_in: rate.per,
                });
                (count, self.counters.shared.is_some())
            }
        };
        let standing = Standing { rate, count };
        let is_over = count.total > rate.requests;
        let outcome = usize::from(is_over) + 2 * usize::from(is_local);
        self.outcomes.at(class as usize, outcome).inc();
        match is_over {
            true => Err(TooMany(standing)),
            false => Ok(Some(standing)),
        }
    }
}

// === impl Class ===

impl Class {
    const fn of(method: &Method) -> Self {
        match *method {
            Method::GET | Method::HEAD | Method::OPTIONS => Self::Read,
            Method::DELETE => Self::Delete,
            _ => Self::Write,
        }
    }

    const fn rate(self, config: &RatesConfig) -> Option<Rate> {
        match self {
            Self::Read => config.reads,
            Self::Write => config.writes,
            Self::Delete => config.deletes,
        }
    }

    fn key(self, client: IpAddr) -> CacheKey {
        let client = match client.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                let network = address.to_bits() & (u128::MAX << CUSTOMER);
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
        };
        let key = CacheKey::regional("rate").with(CLASSES[self as usize]);
        key.with(client.to_string())
    }
}

// === impl Standing ===

impl Standing {
    /// Tells the client, as those registries do whose clients look for it.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        let remaining = self.rate.requests.saturating_sub(self.count.total);
        let per = self.rate.per;
        let window = per.as_secs() + u64::from(per.subsec_nanos() > 0);
        for (name, number) in [(LIMIT, self.rate.requests), (REMAINING, remaining)] {
            headers.insert(name, respond::value(format!("{number};w={window}")));
        }
    }
}

// === impl TooMany ===

impl TooMany {
    pub(crate) const fn standing(&self) -> Standing {
        self.0
    }

    /// When the next request is admitted.
    pub(crate) const fn resets_in(&self) -> Duration {
        self.0.count.resets_in
    }

    /// How many requests are, in each window.
    pub(crate) const fn limit(&self) -> u64 {
        self.0.rate.requests
    }
}
