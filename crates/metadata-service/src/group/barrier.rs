//! How a read learns what it has to see.
//!
//! A linearizable read sees every write that was acknowledged before it began. The leader knows how
//! far the log is committed, and that it leads still when a quorum says so (Raft, §6.4 of Ongaro's
//! thesis: the read index). Owns the rounds of that question. Keeps the invariant that a read takes
//! part only in a round that began after the read did; all that wait meanwhile share the next one,
//! so that the group is asked a few times for thousands of reads. Leaves to the reader to wait until
//! the answer is applied here.

use std::time::Duration;

use meridian_clients::ReadError;
use openraft::ReadPolicy;
use openraft::errors::{LinearizableReadError, RaftError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::unavailable;
use crate::members::Members;
use crate::raft::peer::{Call, CallError};
use crate::raft::{LogId, Raft};

/// Reads that may wait for a round.
const WAITING: usize = 65_536;
/// Reads that share a round at most.
const ROUND: usize = 16_384;
/// After a round that found no leader.
const PAUSE: Duration = Duration::from_millis(20);

type Answer = Result<u64, ReadError>;

/// Who waits to hear up to which entry to wait.
struct Waiter {
    deadline: Instant,
    answer: oneshot::Sender<Answer>,
}

/// Where readers ask.
#[derive(Clone)]
pub(crate) struct Barrier {
    waiting: mpsc::Sender<Waiter>,
}

/// Asks for them.
pub(crate) struct Rounds {
    waiting: mpsc::Receiver<Waiter>,
    raft: Raft,
    members: Members,
    policy: ReadPolicy,
    limit: Duration,
}

/// The index up to which this leader's readers have to wait; that it leads is certain.
pub(crate) async fn confirm(raft: &Raft, policy: ReadPolicy) -> Result<LogId, Unconfirmed> {
    match raft.get_read_linearizer(policy).await {
        Ok(read) => Ok(*read.read_log_id().log_id()),
        Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(to))) => {
            Err(Unconfirmed::Elsewhere(to.leader_id))
        }
        Err(error) => Err(Unconfirmed::Failed(error.to_string())),
    }
}

/// Why a leader's word is missing.
#[derive(Debug)]
pub(crate) enum Unconfirmed {
    /// Another one leads, if any is known to.
    Elsewhere(Option<u64>),
    /// No quorum says so.
    Failed(String),
}

// === impl Barrier ===

impl Barrier {
    pub(crate) fn new(
        raft: Raft,
        members: Members,
        policy: ReadPolicy,
        limit: Duration,
    ) -> (Self, Rounds) {
        let (sender, waiting) = mpsc::channel(WAITING);
        let rounds = Rounds {
            waiting,
            raft,
            members,
            policy,
            limit,
        };
        (Self { waiting: sender }, rounds)
    }

    /// Up to which entry a read that begins now has to wait.
    pub(crate) async fn index(&self, deadline: Instant) -> Answer {
        let (answer, answered) = oneshot::channel();
        let waiter = Waiter { deadline, answer };
        let asked = async {
            let sent = self.waiting.send(waiter).await;
            sent.map_err(|_| unavailable("it is shutting down"))?;
            let answer = answered.await;
            answer.unwrap_or_else(|_| Err(unavailable("it is shutting down")))
        };
        let answer = timeout_at(deadline, asked).await;
        answer.unwrap_or(Err(ReadError::DeadlineExceeded))
    }
}

// === impl Rounds ===

impl Rounds {
    /// Asks until it is stopped.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut round = Vec::new();
        loop {
            let gathered = self.waiting.recv_many(&mut round, ROUND);
            if !matches!(stop.run_until_cancelled(gathered).await, Some(1..)) {
                return;
            }
            let end = round.iter().map(|waiter| waiter.deadline).max();
            let end = end.unwrap_or_else(Instant::now);
            let Some(answer) = stop.run_until_cancelled(self.ask(end)).await else {
                return;
            };
            for waiter in round.drain(..) {
                // Whoever asked may have gone away.
                drop(waiter.answer.send(answer.clone()));
            }
        }
    }

    /// Asks whoever leads, again while nobody does, up to `end`.
    async fn ask(&self, end: Instant) -> Answer {
        let mut why;
        loop {
            match confirm(&self.raft, self.policy.clone()).await {
                Ok(read) => return Ok(read.index),
                Err(Unconfirmed::Elsewhere(Some(leader))) if leader != self.members.me() => {
                    match self.ask_leader(leader).await {
                        Ok(index) => return Ok(index),
                        Err(error) => why = meridian_error::chain(&error),
                    }
                }
                Err(Unconfirmed::Elsewhere(_)) => why = "no leader is known".to_owned(),
                Err(Unconfirmed::Failed(error)) => why = error,
            }
            if Instant::now() + PAUSE >= end {
                return Err(unavailable(why));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn ask_leader(&self, leader: u64) -> Result<u64, CallError> {
        let peer = self.members.peer(&self.raft, leader)?;
        peer.ask(Call::ReadIndex, &(), self.limit).await
    }
}
