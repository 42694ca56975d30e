//! The way of a command to the log.
//!
//! Owns where it goes: a member that leads writes it, any other passes it to the one that does, and
//! whoever finds no leader asks again until the deadline. Keeps the invariant that a command without
//! a request id is sent once. Leaves whether it is admitted to `backlog` and `room`.

use std::sync::Arc;
use std::time::Duration;

use meridian_catalog::{Command, Entry, Origin, Reply, RequestId, query};
use meridian_chassis::telemetry::trace;
use meridian_clients::grpc::failure;
use meridian_clients::{ReadError, WriteError};
use meridian_event::TraceContext;
use openraft::errors::{ClientWriteError, RaftError};
use tokio::time::{Instant, timeout_at};

use super::lead::{UNCOMPARED, UNVERIFIED};
use super::{Group, unavailable};
use crate::backlog;
use crate::duty::Stamping;
use crate::raft::peer::{Call, CallError};

/// Between two attempts to find out who leads.
const SETTLING: Duration = Duration::from_millis(5);
const LONGEST_SETTLING: Duration = Duration::from_millis(100);

/// A command, as members forward it to their leader.
pub(crate) type Forwarded = (Origin, Command);

/// What became of an attempt to propose.
enum Attempt {
    Done(Reply),
    Failed(WriteError),
    /// This member does not lead, and had no effect. If it knows who does, it says so.
    Elsewhere(Option<u64>),
}

/// The trace that a command is a part of, if its event is to say so.
fn traced(command: &Command) -> Option<TraceContext> {
    backlog::tells(command)
        .then(trace::current_traceparent)??
        .parse()
        .ok()
}

/// Whether a command compares versions of other regions with the time.
const fn compares(command: &Command) -> bool {
    matches!(
        command,
        Command::ApplyRemote(_) | Command::MergeFound(_) | Command::FoundRegistry { .. }
    )
}

// === impl Group ===

impl Group {
    /// Proposes a command, here or at whoever leads; returns when it is durable and applied.
    ///
    /// Whoever does not lead forwards it. If the answer is lost on the way, a command with a request
    /// id is sent again, which has its effect once; without one, nobody knows.
    pub(crate) async fn propose(
        &self,
        request: Option<RequestId>,
        command: Command,
    ) -> Result<Reply, WriteError> {
        let deadline = Instant::now() + self.deadline;
        let permit = timeout_at(deadline, self.writes.acquire()).await;
        let _permit = match permit {
            Ok(Ok(permit)) => permit,
            Ok(Err(_closed)) => return Err(unavailable("it is shutting down").into()),
            Err(_elapsed) => return Err(unavailable("too many writes are under way").into()),
        };
        let trace = traced(&command);
        let forwarded: Forwarded = (Origin { request, trace }, command);
        let mut pause = SETTLING;
        loop {
            let why = match self.attempt(&forwarded, deadline).await {
                Attempt::Done(reply) => return Ok(reply),
                Attempt::Failed(error) => return Err(error),
                Attempt::Elsewhere(Some(leader)) if leader != self.me() => {
                    // What is not sent is not done: who asked may ask another member.
                    self.barrier.is_heard()?;
                    match self.forward(leader, &forwarded, deadline).await {
                        Ok(reply) => return Ok(reply),
                        Err(WriteError::Read(ReadError::Unavailable { reason }))
                            if request.is_some() =>
                        {
                            reason
                        }
                        Err(error) => return Err(error),
                    }
                }
                Attempt::Elsewhere(_) => "no leader is known".to_owned(),
            };
            if Instant::now() + pause >= deadline {
                return Err(unavailable(why).into());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_SETTLING);
        }
    }

    /// Proposes what another member has forwarded. It is not forwarded again.
    pub(crate) async fn propose_forwarded(
        &self,
        forwarded: &Forwarded,
    ) -> Result<Reply, WriteError> {
        let deadline = Instant::now() + self.deadline;
        loop {
            match self.attempt(forwarded, deadline).await {
                Attempt::Done(reply) => return Ok(reply),
                Attempt::Failed(error) => return Err(error),
                // It was elected a moment ago, and is not sure yet.
                Attempt::Elsewhere(None) if self.is_leader() => {
                    if Instant::now() + SETTLING >= deadline {
                        return Err(unavailable("the leader is not sure of its quorum").into());
                    }
                    tokio::time::sleep(SETTLING).await;
                }
                Attempt::Elsewhere(_) => {
                    return Err(unavailable("another member leads by now").into());
                }
            }
        }
    }

    /// Proposes a command of this member's own, which leads; nobody else would.
    pub(crate) async fn propose_own(&self, command: Command) -> Result<Reply, WriteError> {
        let deadline = Instant::now() + self.deadline;
        // What makes a new state into a region's gives it its first versions. All else keeps the house.
        let system = query::system(&self.view());
        let is_new = system.is_ok_and(|system| system.is_none());
        if is_new || compares(&command) {
            self.may_stamp(deadline).await?;
        }
        let forwarded: Forwarded = (Origin::default(), command);
        loop {
            match self.write(&forwarded, deadline).await {
                Attempt::Done(reply) => return Ok(reply),
                Attempt::Failed(error) => return Err(error),
                Attempt::Elsewhere(_) if !self.is_leader() => {
                    return Err(unavailable("another member leads by now").into());
                }
                // A leader that was just elected says so until its lease is confirmed.
                Attempt::Elsewhere(_) if Instant::now() + SETTLING < deadline => {
                    tokio::time::sleep(SETTLING).await;
                }
                Attempt::Elsewhere(_) => {
                    return Err(unavailable("the leader is not sure of its quorum").into());
                }
            }
        }
    }

    async fn attempt(&self, forwarded: &Forwarded, deadline: Instant) -> Attempt {
        if !self.is_leader() {
            return Attempt::Elsewhere(self.leader());
        }
        if !self.is_verified() {
            let mut verified = self.verified.subscribe();
            if timeout_at(deadline, verified.wait_for(|is| *is))
                .await
                .is_err()
            {
                return Attempt::Failed(unavailable(UNVERIFIED).into());
            }
        }
        if let Err(why) = self.may_stamp(deadline).await {
            return Attempt::Failed(why.into());
        }
        let admitted = self.backlog.admit(&forwarded.1).map_err(WriteError::from);
        if let Err(error) = admitted.and_then(|()| self.door.admit(&forwarded.1)) {
            return Attempt::Failed(error);
        }
        self.write(forwarded, deadline).await
    }

    /// Whether this member, which leads, may give out versions.
    async fn may_stamp(&self, deadline: Instant) -> Result<(), ReadError> {
        if self.good_time().is_some() {
            return Ok(());
        }
        let mut stamping = self.stamping.subscribe();
        let good = stamping.wait_for(|it| match it {
            Stamping::Unknown => false,
            // If it was set since, it has to be compared again.
            Stamping::Allowed(reading) => reading.next(&*self.clock).is_some(),
            Stamping::Refused(_) => true,
        });
        match timeout_at(deadline, good).await {
            Ok(Ok(judged)) => match &*judged {
                Stamping::Refused(why) => Err(unavailable(why)),
                Stamping::Allowed(_) | Stamping::Unknown => Ok(()),
            },
            _ => Err(unavailable(UNCOMPARED)),
        }
    }

    async fn write(&self, (origin, command): &Forwarded, deadline: Instant) -> Attempt {
        let millis = match self.good_time() {
            Some(millis) => millis,
            // Beside no time at all, everything that happened elsewhere is ahead.
            None if compares(command) => return Attempt::Failed(unavailable(UNCOMPARED).into()),
            // Where the clock is not to be trusted, time stands still for what keeps the house.
            None => 0,
        };
        let entry = Entry {
            millis,
            request: origin.request,
            trace: origin.trace,
            command: command.clone(),
        };
        let began = Instant::now();
        let write = self.raft.client_write(Arc::new(entry));
        match timeout_at(deadline, write).await {
            Ok(Ok(written)) => {
                self.meters.commits.observe(began.elapsed());
                Attempt::Done(written.response().clone())
            }
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to)))) => {
                Attempt::Elsewhere(to.leader_id)
            }
            Ok(Err(RaftError::APIError(error))) => Attempt::Failed(unavailable(error).into()),
            Ok(Err(RaftError::Fatal(error))) => Attempt::Failed(unavailable(error).into()),
            Err(_elapsed) => Attempt::Failed(ReadError::DeadlineExceeded.into()),
        }
    }

    async fn forward(
        &self,
        leader: u64,
        forwarded: &Forwarded,
        deadline: Instant,
    ) -> Result<Reply, WriteError> {
        let asked = async {
            let peer = self.members.peer(&self.raft, leader)?;
            peer.ask(Call::Propose, forwarded, deadline - Instant::now())
                .await
        };
        asked.await.map_err(|error| match error {
            CallError::Refused(status) => failure::from_status(&status),
            CallError::Elapsed => ReadError::DeadlineExceeded.into(),
            error => unavailable(meridian_error::chain(&error)).into(),
        })
    }
}
