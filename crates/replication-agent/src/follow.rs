//! Which streams this agent consumes.
//!
//! Keeps the invariant that a stream is consumed from where the state stands when it is taken over. One that
//! is another agent's from now on is left, with what is wanted of it and not begun; what was begun ends here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meridian_chassis::Spawner;
use meridian_clients::replica::Progress;
use meridian_event::SHARDS;
use meridian_replication::{Cursor, Share, StreamId};
use tokio_util::sync::CancellationToken;

use crate::consume::Consumer;
use crate::shell::{Shell, cursor, stream_of};

/// How long to wait before the state is asked again how far it is, when it did not say.
const AGAIN: Duration = Duration::from_millis(500);

/// Consumes what is this agent's, of every other region, until it is stopped.
pub(crate) async fn run(shell: Arc<Shell>, spawner: Spawner, stop: CancellationToken) {
    let mut shares = shell.crew.subscribe();
    let mut followed = Followed {
        shell,
        spawner,
        stop: stop.clone(),
        streams: BTreeMap::new(),
    };
    let following = async {
        loop {
            let share = shares.borrow_and_update().clone();
            if let Some(share) = share {
                followed.leave(&share);
                followed.take(&share).await;
            }
            if shares.changed().await.is_err() {
                return;
            }
        }
    };
    stop.run_until_cancelled(following).await;
}

/// What is consumed.
struct Followed {
    shell: Arc<Shell>,
    spawner: Spawner,
    stop: CancellationToken,
    /// Cancelled when a stream is left.
    streams: BTreeMap<StreamId, CancellationToken>,
}

// === impl Followed ===

impl Followed {
    /// Leaves what is another agent's.
    fn leave(&mut self, share: &Share) {
        let is_left = |stream: &StreamId, _: &mut CancellationToken| !share.has(stream.shard);
        let left: Vec<_> = self.streams.extract_if(.., is_left).collect();
        for (stream, consumer) in &left {
            consumer.cancel();
            self.shell.engine.tell(|agent, _| agent.unfollow(*stream));
        }
        if !left.is_empty() {
            let crew = &self.shell.crew;
            self.shell.engine.tell(|agent, _| {
                agent.leave_to_others(|registry, repository| crew.fetches(registry, repository));
            });
        }
    }

    /// Goes on with what is this agent's, from where the state stands.
    async fn take(&mut self, share: &Share) {
        let peers = self.shell.ports.peers.iter();
        let streams = peers.flat_map(|peer| {
            let origin = peer.region;
            (0..SHARDS).map(move |shard| StreamId { origin, shard })
        });
        let is_new = |it: &StreamId| share.has(it.shard) && !self.streams.contains_key(it);
        let new: Vec<_> = streams.filter(is_new).collect();
        if new.is_empty() {
            return;
        }
        let progress = progress(&self.shell).await;
        for stream in new {
            self.follow(stream, stands(&progress, stream));
        }
        // What whoever had them before did not fetch.
        self.shell.engine.tell(|agent, now| agent.search(now));
    }

    fn follow(&mut self, stream: StreamId, cursor: Cursor) {
        let shell = &self.shell;
        let Some(peer) = shell
            .ports
            .peers
            .iter()
            .find(|it| it.region == stream.origin)
        else {
            return;
        };
        shell
            .engine
            .tell_freshness(|it, _| it.learn_cursor(stream, cursor));
        shell
            .engine
            .tell(|agent, now| agent.follow(now, stream, cursor));
        let consumer = Consumer::new(Arc::clone(shell), Arc::clone(&peer.events), stream);
        let stop = self.stop.child_token();
        self.streams.insert(stream, stop.clone());
        self.spawner
            .spawn_child("replication.consume", consumer.run(stop));
    }
}

/// How far the state is, as soon as it says so.
async fn progress(shell: &Shell) -> Progress {
    loop {
        match shell.in_time(shell.ports.replica.progress()).await {
            Some(Ok(progress)) => return progress,
            Some(Err(error)) => tracing::debug!(%error, "the state does not say how far it is"),
            None => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn stands(progress: &Progress, stream: StreamId) -> Cursor {
    let mut cursors = progress.cursors.iter();
    let mine = cursors.find(|at| stream_of(at) == stream);
    let start = Cursor { epoch: 0, seq: 0 };
    mine.map_or(start, |at| cursor(at.place))
}
