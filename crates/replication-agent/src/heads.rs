//! Asking other regions how far they are.
//!
//! Owns when each region was heard of. From what they say follows as of when this region knows all that
//! others know, and how much is still to come. One that was not heard of for a while is not waited for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use meridian_chassis::Spawner;
use meridian_clock::Region;
use meridian_event::SHARDS;
use meridian_replication::{Cursor, StreamId};
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

/// A stream of which the region knows less than was merged here.
fn forgotten(shell: &Shell, origin: Region, heads: &[(u16, Cursor)]) -> Option<StreamId> {
    let streams = shell.engine.look(|agent, now| agent.streams(now));
    let mut mine = streams.iter().filter(|it| it.stream.origin == origin);
    let forgot = |head: &Cursor, cursor: Cursor| head.epoch == cursor.epoch && *head < cursor;
    let lost = mine.find(|it| {
        let mut heads = heads.iter().filter(|(shard, _)| *shard == it.stream.shard);
        heads.any(|(_, head)| forgot(head, it.cursor))
    });
    lost.map(|it| it.stream)
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
        let heads: Vec<_> = (0..SHARDS).zip(heads).collect();
        if let Some(stream) = forgotten(shell, region, &heads) {
            tracing::error!(
                %stream,
                "a region says less of itself than is merged here: it has lost data and began again without a new epoch; what it does now is not merged"
            );
            return shell.engine.tell_freshness(|it, _| it.failed(region));
        }
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
