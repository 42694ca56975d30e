//! Asking other regions how far they are.
//!
//! Owns what each region said last of itself. From it follows as of when this region knows all that
//! others know, how much is still to come, and how far others are with what this region did.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meridian_chassis::Spawner;
use meridian_clients::replica::Progress;
use meridian_clock::Region;
use meridian_replication::StreamId;
use tokio_util::sync::CancellationToken;

use crate::shell::Shell;
use crate::shell::cursor;

/// What other regions said last.
#[derive(Default)]
pub(crate) struct Heads {
    said: Mutex<BTreeMap<Region, Progress>>,
}

// === impl Heads ===

impl Heads {
    /// Asks until it is stopped.
    pub(crate) async fn run(
        self: Arc<Self>,
        shell: Arc<Shell>,
        spawner: Spawner,
        stop: CancellationToken,
    ) {
        loop {
            let (due, wake) = shell.engine.poll_freshness();
            for region in due {
                let (heads, shell) = (Arc::clone(&self), Arc::clone(&shell));
                spawner.spawn_child("replication.heads", async move {
                    heads.ask(&shell, region).await;
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
        self.said().insert(region, progress);
    }

    fn said(&self) -> MutexGuard<'_, BTreeMap<Region, Progress>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
