//! Asking other regions how far they are.
//!
//! Owns when each region was heard of. From what they say follows as of when this region knows all that
//! others know, and how much is still to come. One that was not heard of for a while is not waited for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use meridian_chassis::Spawner;
use meridian_clock::Region;
use meridian_replication::StreamId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::shell::Shell;
use crate::shell::cursor;

/// After so long without an answer, a region is not waited for. A machine that is busy answers late.
const DEAF: Duration = Duration::from_secs(3);

/// When other regions were heard of.
pub(crate) struct Heads {
    began: Instant,
    heard: Mutex<BTreeMap<Region, Instant>>,
}

// === impl Heads ===

impl Heads {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            heard: Mutex::default(),
        }
    }

    /// Whether a region was not heard of for so long that it is not waited for.
    pub(crate) fn is_deaf(&self, region: Region) -> bool {
        let heard = self.heard().get(&region).copied();
        heard.unwrap_or(self.began).elapsed() > DEAF
    }

    /// Asks until it is stopped.
    pub(crate) async fn run(shell: Arc<Shell>, spawner: Spawner, stop: CancellationToken) {
        loop {
            let (due, wake) = shell.engine.poll_freshness();
            for region in due {
                let shell = Arc::clone(&shell);
                spawner.spawn_child("replication.heads", async move {
                    shell.heads.ask(&shell, region).await;
                });
            }
            let waited = stop.run_until_cancelled(shell.engine.wait_for_freshness(wake));
            if waited.await.is_none() {
                return;
            }
        }
    }

    async fn ask(&self, shell: &Shell, region: Region) {
        let answer = match shell.peer(region) {
            Some(peer) => shell.in_time(peer.progress()).await,
            None => None,
        };
        let progress = match answer {
            Some(Ok(progress)) if progress.region == region => progress,
            Some(Ok(progress)) => {
                let other = progress.region;
                tracing::error!(%region, %other, "another region answers where this one should");
                return shell.engine.tell_freshness(|it, _| it.failed(region));
            }
            other => {
                if let Some(Err(error)) = other {
                    tracing::debug!(%region, %error, "a region does not say how far it is");
                }
                return shell.engine.tell_freshness(|it, _| it.failed(region));
            }
        };
        let heads = progress.heads.iter().map(|place| cursor(*place));
        let heads: Vec<_> = (0..).zip(heads).collect();
        shell.engine.tell(|agent, now| {
            for (shard, head) in &heads {
                let stream = StreamId {
                    origin: region,
                    shard: *shard,
                };
                agent.learn_head(now, stream, *head);
            }
        });
        shell
            .engine
            .tell_freshness(|it, _| it.answered(region, &heads));
        self.heard().insert(region, Instant::now());
    }

    fn heard(&self) -> MutexGuard<'_, BTreeMap<Region, Instant>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
