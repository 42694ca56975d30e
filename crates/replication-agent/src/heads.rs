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

/// When other regions were heard of, and how far they were.
pub(crate) struct Heads {
    began: Instant,
    heard: Mutex<BTreeMap<Region, Heard>>,
}

struct Heard {
    at: Instant,
    heads: Vec<(u16, Cursor)>,
}

/// A stream of which the region knows less than was merged here before it was asked. Merging goes on while
/// it answers, so what is merged by then says nothing.
fn forgotten(merged: &[(u16, Cursor)], heads: &[(u16, Cursor)]) -> Option<u16> {
    let forgot = |head: &Cursor, cursor: &Cursor| head.epoch == cursor.epoch && head < cursor;
    let mut merged = merged.iter();
    let lost = merged.find(|(shard, cursor)| {
        let mut heads = heads.iter().filter(|(of, _)| of == shard);
        heads.any(|(_, head)| forgot(head, cursor))
    });
    lost.map(|(shard, _)| *shard)
}

/// How far a region is merged here.
fn merged(shell: &Shell, origin: Region) -> Vec<(u16, Cursor)> {
    let streams = shell.engine.look(|agent, now| agent.streams(now));
    let streams = streams.iter().filter(|it| it.stream.origin == origin);
    streams.map(|it| (it.stream.shard, it.cursor)).collect()
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
        let heard = self.heard().get(&region).map(|heard| heard.at);
        heard.unwrap_or(self.began).elapsed() > DEAF
    }

    /// How far a stream was when its region was heard of.
    pub(crate) fn head(&self, stream: StreamId) -> Option<Cursor> {
        let heard = self.heard();
        let mut heads = heard.get(&stream.origin)?.heads.iter();
        let head = heads.find(|(shard, _)| *shard == stream.shard);
        head.map(|(_, head)| *head)
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
        let merged = merged(shell, region);
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
        shell.introductions.hear(progress.clone());
        let heads = progress.heads.iter().map(|place| cursor(*place));
        let heads: Vec<_> = (0..SHARDS).zip(heads).collect();
        if let Some(shard) = forgotten(&merged, &heads) {
            tracing::error!(
                %region,
                shard,
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
        let at = Instant::now();
        self.heard().insert(region, Heard { at, heads });
    }

    fn heard(&self) -> MutexGuard<'_, BTreeMap<Region, Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_merged_before_the_question_is_not_forgotten_by_a_sound_region() {
        let at = |shard, seq| (shard, Cursor { epoch: 1, seq });
        let merged = [at(0, 5), at(1, 7)];
        assert_eq!(forgotten(&merged, &[at(0, 5), at(1, 9)]), None);
        assert_eq!(forgotten(&merged, &[at(0, 5), at(1, 6)]), Some(1));
        // Another epoch counts other events.
        let other = (1, Cursor { epoch: 2, seq: 1 });
        assert_eq!(forgotten(&merged, &[at(0, 5), other]), None);
        assert_eq!(forgotten(&[], &[at(0, 0)]), None);
    }
}
