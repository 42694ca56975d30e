//! How old the state of this region may be.
//!
//! An agent says how long ago this region was known to have everything of another one; from the moment
//! at which it was asked, the time is counted here, by the clock of this process. So an agent that stops
//! answering makes answers old, never fresh.

use std::sync::Arc;
use std::time::Duration;

use meridian_clients::regions::{Freshness, RegionsApi};
use meridian_clients::{ReadError, Stale};
use meridian_clock::Region;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// How often an agent is asked.
const EVERY: Duration = Duration::from_millis(250);
/// How long it may take to answer.
const DEADLINE: Duration = Duration::from_secs(1);

/// What was heard of the age of this region's state.
pub(super) struct Currency {
    here: Region,
    heard: watch::Sender<Option<Heard>>,
}

/// An answer, and when it was asked for.
struct Heard {
    asked: Instant,
    freshness: Freshness,
}

// === impl Currency ===

impl Currency {
    pub(super) fn new(here: Region) -> Self {
        let (heard, _) = watch::channel(None);
        Self { here, heard }
    }

    /// Asks again and again, until it is dropped.
    pub(super) async fn watch(&self, api: &Arc<dyn RegionsApi>) {
        let mut is_away = false;
        loop {
            let asked = Instant::now();
            let answer = timeout(DEADLINE, api.freshness()).await;
            match answer.unwrap_or(Err(ReadError::DeadlineExceeded)) {
                Ok(freshness) => {
                    is_away = false;
                    self.heard.send_replace(Some(Heard { asked, freshness }));
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_away, true) {
                        let error = meridian_error::chain(&error);
                        tracing::warn!(error, "nobody says how old the state of this region is");
                    }
                }
            }
            sleep_until(asked + EVERY).await;
        }
    }

    /// The regions of which something may be missing here that happened more than `age` ago. While
    /// nothing was heard, this one, of unknown age.
    pub(super) fn behind(&self, age: Duration) -> Vec<Stale> {
        match &*self.heard.borrow() {
            Some(heard) => heard.behind(age).collect(),
            None => vec![Stale {
                region: self.here,
                age: None,
            }],
        }
    }

    /// Waits, but not for longer than `wait`, until everything is here that happened before `begun`.
    pub(super) async fn fresh_since(&self, begun: Instant, wait: Duration) -> bool {
        let mut heard = self.heard.subscribe();
        let fresh = async {
            while !self.behind(begun.elapsed()).is_empty() {
                if heard.changed().await.is_err() {
                    return false;
                }
            }
            true
        };
        timeout(wait, fresh).await.unwrap_or(false)
    }

    /// The age of what is oldest here, if it is known.
    pub(super) fn age(&self) -> Option<Duration> {
        let heard = self.heard.borrow();
        let heard = heard.as_ref()?;
        Some(heard.freshness.age()? + heard.asked.elapsed())
    }
}

// === impl Heard ===

impl Heard {
    fn behind(&self, limit: Duration) -> impl Iterator<Item = Stale> {
        let since = self.asked.elapsed();
        let peers = self.freshness.peers.iter();
        peers
            .map(move |(region, age)| Stale {
                region: *region,
                age: age.map(|age| age + since),
            })
            .filter(move |stale| stale.age.is_none_or(|age| age > limit))
    }
}
