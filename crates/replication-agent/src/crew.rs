//! The agents of this region, and what of its work is this one's.
//!
//! Owns which shards are this agent's: of those that live, as the metadata knows them, each has some, by
//! hashing. Keeps the invariant that no agent does nothing because it knows too little: one that knows of no
//! others does everything. Correctness rests on nothing here: what two agents do, the state takes once. A
//! budget is for the region, so that each agent has its part of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use meridian_clients::replica::{AgentId, Attendance};
use meridian_clock::Region;
use meridian_error::{Classify, Code};
use meridian_event::{RegistryId, shard_of};
use meridian_oci::RepositoryName;
use meridian_replication::{Cursor, Roll, Share, StreamId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::shell::{Shell, cursor, stream_of};

/// How often an agent says that it lives. While there are others, it asks as often how far they are.
const EVERY: Duration = Duration::from_millis(500);

/// Who else works for this region.
pub(crate) struct Crew {
    me: AgentId,
    roll: Mutex<Roll>,
    /// Nothing, before the metadata has said who lives.
    share: watch::Sender<Option<Share>>,
    /// How far the state is with the streams of all, if it was asked. One of which nothing is merged is left out.
    cursors: Mutex<Option<BTreeMap<StreamId, Cursor>>>,
}

// === impl Crew ===

impl Crew {
    pub(crate) fn new(me: u64) -> Self {
        Self {
            me: AgentId(me),
            roll: Mutex::new(Roll::new(me)),
            share: watch::Sender::new(None),
            cursors: Mutex::default(),
        }
    }

    /// Whether what a repository lacks is this agent's to fetch.
    pub(crate) fn fetches(&self, registry: RegistryId, repository: &RepositoryName) -> bool {
        self.has(shard_of(registry, Some(repository)))
    }

    /// Whether this agent is the one that copies the state of other regions.
    pub(crate) fn copies(&self) -> bool {
        self.has(0)
    }

    fn has(&self, shard: u16) -> bool {
        let share = self.share.borrow();
        share.as_ref().is_none_or(|share| share.has(shard))
    }

    /// What is this agent's, and what will be.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Share>> {
        self.share.subscribe()
    }

    /// Waits until the metadata has said who lives.
    pub(crate) async fn until_known(&self) {
        let mut share = self.share.subscribe();
        // It ends with this value only.
        let _ended = share.wait_for(Option::is_some).await;
    }

    /// How far the state is with a stream, by what it said last.
    pub(crate) fn cursor(&self, stream: StreamId) -> Option<Cursor> {
        let start = Cursor { epoch: 0, seq: 0 };
        let cursors = self.cursors();
        let cursor = cursors.as_ref()?.get(&stream).copied();
        Some(cursor.unwrap_or(start))
    }

    /// Says that this agent lives until it is stopped.
    pub(crate) async fn run(shell: Arc<Shell>, stop: CancellationToken) {
        let working = async {
            loop {
                shell.crew.attend(&shell).await;
                if shell.crew.has_others() {
                    shell.crew.ask_how_far(&shell).await;
                }
                tokio::time::sleep(EVERY).await;
            }
        };
        stop.run_until_cancelled(working).await;
    }

    async fn attend(&self, shell: &Shell) {
        let attended = shell.in_time(shell.ports.replica.attend(self.me)).await;
        let attendance = match attended {
            Some(Ok(attendance)) => attendance,
            // A metadata service that does not know the question knows of no others. While one is away, nothing
            // moves, and whoever lived does so still.
            Some(Err(error)) if is_refusal(error.code()) && self.share.borrow().is_none() => {
                tracing::warn!(%error, "the metadata does not say which agents work; this one does everything");
                Attendance {
                    agents: Vec::new(),
                    is_settled: true,
                }
            }
            Some(Err(error)) => {
                return tracing::debug!(%error, "the metadata does not say which agents work");
            }
            None => return,
        };
        if let Some(share) = self.learn(&attendance) {
            let (agents, shards) = (share.workers, share.shards.len());
            tracing::info!(agents, shards, "this agent works with those of its region");
            share_budgets(shell, agents);
            self.share.send_replace(Some(share));
        }
    }

    /// Learns who lives. Returns what is this agent's, if that is another share than before.
    fn learn(&self, attendance: &Attendance) -> Option<Share> {
        let living = attendance.agents.iter().map(|agent| agent.0);
        let mut roll = self.roll.lock().unwrap_or_else(PoisonError::into_inner);
        roll.learn(living, attendance.is_settled)
    }

    fn has_others(&self) -> bool {
        let share = self.share.borrow();
        share.as_ref().is_some_and(|share| share.workers > 1)
    }

    /// Learns how far the streams are that others consume.
    async fn ask_how_far(&self, shell: &Shell) {
        let Some(Ok(progress)) = shell.in_time(shell.ports.replica.progress()).await else {
            return;
        };
        let at = progress.cursors.iter();
        let cursors: BTreeMap<_, _> = at.map(|at| (stream_of(at), cursor(at.place))).collect();
        for (stream, cursor) in &cursors {
            shell
                .engine
                .tell_freshness(|it, _| it.learn_cursor(*stream, *cursor));
        }
        *self.cursors() = Some(cursors);
    }

    fn cursors(&self) -> MutexGuard<'_, Option<BTreeMap<StreamId, Cursor>>> {
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a service said no, and would again.
const fn is_refusal(code: Code) -> bool {
    !matches!(code, Code::Unavailable | Code::DeadlineExceeded)
}

/// Asks each other region for this agent's part of what all together may ask for.
fn share_budgets(shell: &Shell, agents: u64) {
    for peer in &shell.ports.peers {
        if let Some(budget) = budget_of(shell, peer.region) {
            let part = (budget / agents).max(1);
            shell
                .engine
                .tell(|agent, _| agent.set_budget(peer.region, Some(part)));
        }
    }
}

/// How many bytes per second may be asked of a region.
fn budget_of(shell: &Shell, region: Region) -> Option<u64> {
    let own = shell.config.peers.get(&region).and_then(|own| own.budget);
    let budget = own.or(shell.config.fetch.budget)?;
    Some(budget.as_u64())
}

#[cfg(test)]
mod tests {
    use meridian_event::SHARDS;

    use super::*;

    #[test]
    fn who_knows_of_no_others_does_everything() {
        let crew = Crew::new(7);
        assert!(crew.copies());
        let attendance = Attendance {
            agents: Vec::new(),
            is_settled: true,
        };
        let share = crew.learn(&attendance).unwrap();
        assert!((0..SHARDS).all(|shard| share.has(shard)));
    }
}
