//! How a read learns what it has to see.
//!
//! A linearizable read sees every write that was acknowledged before it began. The leader knows how
//! far the log is committed, and that it leads still when a quorum says so (Raft, §6.4 of Ongaro's
//! thesis: the read index). Owns the rounds of that question. Keeps the invariant that a read takes
//! part only in a round that began after the read did; all that wait meanwhile share the next one,
//! so that the group is asked a few times for thousands of reads. A member that knows a leader and gets
//! no word from it, because one of the two cannot hear the other, holds nobody up: it says so, and who
//! asked may ask another member. Leaves to the reader to wait until the answer is applied here.

use std::time::Duration;

use meridian_clients::ReadError;
use openraft::ReadPolicy;
use openraft::errors::{LinearizableReadError, RaftError};
use openraft::type_config::async_runtime::watch::WatchReceiver as _;
use tokio::sync::{mpsc, oneshot, watch};
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
/// How long a leader that is known may take to answer. When it has died, another one is known by then: an
/// election begins up to twice the election time-out after its last heartbeat, and whoever has less of the
/// log tries in vain first.
const SILENCE: Duration = Duration::from_secs(6);
/// How old the last answer may be before somebody asks who need not.
const LISTEN_AFTER: Duration = Duration::from_secs(1);
/// What is said then.
const UNHEARD: &str = "the leader does not answer this member";

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
    light: watch::Receiver<Light>,
    raft: Raft,
    me: u64,
}

/// What the last round has shown.
#[derive(Clone, Copy, Default)]
struct Light {
    /// When a quorum answered last.
    confirmed: Option<Instant>,
    /// Whether nobody has since.
    is_dark: bool,
    /// The leader that was known to the last round, and did not answer.
    unheard: Option<u64>,
}

/// A leader that does not answer, and since when.
#[derive(Clone, Copy)]
struct Silent {
    leader: u64,
    since: Instant,
}

/// Asks for them.
pub(crate) struct Rounds {
    waiting: mpsc::Receiver<Waiter>,
    light: watch::Sender<Light>,
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
        let light = watch::Sender::new(Light::default());
        let lit = light.subscribe();
        let (asked, me) = (raft.clone(), members.me());
        let rounds = Rounds {
            waiting,
            light,
            raft,
            members,
            policy,
            limit,
        };
        let barrier = Self {
            waiting: sender,
            light: lit,
            raft: asked,
            me,
        };
        (barrier, rounds)
    }

    /// Whether the last that was heard is that nobody answers.
    pub(crate) fn is_dark(&self) -> bool {
        self.light.borrow().is_dark
    }

    /// Fails while the leader is known and does not answer this member.
    pub(crate) fn is_heard(&self) -> Result<(), ReadError> {
        let unheard = self.light.borrow().unheard;
        if unheard.is_some() && unheard == self.other_leader() {
            return Err(unavailable(UNHEARD));
        }
        Ok(())
    }

    /// Who leads, if it is another member.
    fn other_leader(&self) -> Option<u64> {
        leader(&self.raft).filter(|leader| *leader != self.me)
    }

    /// How long ago a quorum answered last, if it ever did.
    pub(crate) fn age(&self) -> Option<Duration> {
        let confirmed = self.light.borrow().confirmed;
        confirmed.map(|at| at.elapsed())
    }

    /// Up to which entry a read that begins now has to wait.
    pub(crate) async fn index(&self, deadline: Instant) -> Answer {
        self.is_heard()?;
        self.ask(deadline).await
    }

    /// Finds out whether the leader answers, unless it did a moment ago.
    pub(crate) async fn listen(&self) {
        let is_recent = self.age().is_some_and(|age| age < LISTEN_AFTER);
        if self.other_leader().is_some() && !(is_recent && self.is_heard().is_ok()) {
            drop(self.ask(Instant::now() + 2 * SILENCE).await);
        }
    }

    async fn ask(&self, deadline: Instant) -> Answer {
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
        let mut silent: Option<Silent> = None;
        let mut why;
        loop {
            let asked = Instant::now();
            match confirm(&self.raft, self.policy.clone()).await {
                Ok(read) => return Ok(self.lit(asked, read.index)),
                Err(Unconfirmed::Elsewhere(Some(leader))) if leader != self.members.me() => {
                    let was = silent.filter(|silent| silent.leader == leader);
                    let since = was.map_or(asked, |silent| silent.since);
                    match self.ask_leader(leader).await {
                        Ok(index) => return Ok(self.lit(asked, index)),
                        Err(error) => {
                            silent = error.is_silence().then_some(Silent { leader, since });
                            why = meridian_error::chain(&error);
                        }
                    }
                }
                Err(Unconfirmed::Elsewhere(_)) => {
                    (silent, why) = (None, "no leader is known".to_owned());
                }
                Err(Unconfirmed::Failed(error)) => (silent, why) = (None, error),
            }
            if let Some(Silent { leader, since }) = silent
                && since.elapsed() >= SILENCE
            {
                self.darken(Some(leader));
                return Err(unavailable(UNHEARD));
            }
            self.darken(None);
            if Instant::now() + PAUSE >= end {
                return Err(unavailable(why));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Nobody answers; not even this leader, which is known.
    fn darken(&self, unheard: Option<u64>) {
        self.light.send_modify(|light| {
            light.is_dark = true;
            light.unheard = unheard.or(light.unheard);
        });
    }

    /// A quorum has answered what was asked then.
    fn lit(&self, asked: Instant, index: u64) -> u64 {
        self.light.send_replace(Light {
            confirmed: Some(asked),
            is_dark: false,
            unheard: None,
        });
        index
    }

    /// Up to which entry `leader` says that readers have to wait. Who asks is not held up by one that leads
    /// no more.
    async fn ask_leader(&self, leader: u64) -> Result<u64, CallError> {
        let peer = self.members.peer(&self.raft, leader)?;
        tokio::select! {
            answer = peer.ask(Call::ReadIndex, &(), self.limit.min(SILENCE)) => answer,
            () = deposed(&self.raft, leader) => {
                Err(CallError::Unreachable("another member leads by now".to_owned()))
            }
        }
    }
}

/// Who leads, as far as this member knows.
fn leader(raft: &Raft) -> Option<u64> {
    raft.server_metrics().borrow_watched().current_leader
}

/// Returns when a leader is not known as such any more.
async fn deposed(raft: &Raft, leader: u64) {
    let mut metrics = raft.server_metrics();
    while metrics.borrow_watched().current_leader == Some(leader) {
        if metrics.changed().await.is_err() {
            // Raft has stopped, which others report.
            std::future::pending::<()>().await;
        }
    }
}
