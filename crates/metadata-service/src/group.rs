//! This member of the metadata group.
//!
//! Owns the Raft instance: its start, its end, the proposing of commands and the barrier before
//! reads. Leaves to `write` and `read` what is proposed and read, and to `room` whether there is
//! room for it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use meridian_catalog::{Command, Entry, Reply, RequestId};
use meridian_clients::{ReadError, WriteError};
use meridian_clock::Clock;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::{BasicNode, ReadPolicy, ServerState};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::changes::View;
use crate::config::Config;
use crate::identity::Identity;
use crate::patience::Patience;
use crate::raft::log_store::{LogOptions, LogStore};
use crate::raft::log_writer::Linger;
use crate::raft::network::Alone;
use crate::raft::state_machine::StateMachine;
use crate::raft::{self, LogId, Raft};
use crate::room::Door;
use crate::state::State;

/// How long a member that must lead waits before it asks again whether it does.
const SETTLING: Duration = Duration::from_millis(5);

/// A group of this many writes does not wait for more.
const ENOUGH: usize = 128;

/// This member.
pub(crate) struct Group {
    raft: Raft,
    log: LogStore,
    state: State,
    clock: Arc<dyn Clock>,
    door: Door,
    /// Of the log and of the state.
    patience: [Patience; 2],
    /// Whether this member is the only voter. Then what it applied is what was acknowledged, and
    /// a read needs nobody's consent. Cleared before a second voter is asked for.
    alone: AtomicBool,
    writes: Semaphore,
    deadline: Duration,
}

// === impl Group ===

impl Group {
    /// Opens the log and the state in `folder` and starts Raft on them.
    pub(crate) async fn start(
        config: &Config,
        folder: &Path,
        identity: &Identity,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let linger = Linger {
            longest: config.group_commit_linger,
            enough: ENOUGH,
        };
        let patience = [Patience::default(), Patience::default()];
        let [for_log, for_state] = patience.clone();
        let options = LogOptions {
            linger,
            max_bytes: config.snapshot_bytes.as_u64(),
            patience: for_log.clone(),
        };
        let log = LogStore::open(folder, options, Arc::clone(&clock)).await?;
        let (machine, state) = {
            let folder = folder.to_owned();
            let open = move || StateMachine::open(folder, for_state);
            let opened = tokio::task::spawn_blocking(open).await;
            opened.map_err(io::Error::other)??
        };
        let door = Door::new(folder, config.min_free, state.clone(), for_log)?;
        let settings = raft::config(identity.region.as_str(), config.snapshot_entries)
            .map_err(io::Error::other)?;
        let raft = Raft::new(identity.node, settings, Alone, log.clone(), machine).await;
        let raft = raft.map_err(io::Error::other)?;
        let group = Self {
            raft,
            log,
            state,
            clock,
            door,
            patience,
            alone: AtomicBool::new(true),
            writes: Semaphore::new(config.concurrent_writes),
            deadline: config.deadline,
        };
        group.lead(identity).await?;
        group.patience.iter().for_each(Patience::begin);
        Ok(group)
    }

    /// Makes the group if it is new, and leads it.
    async fn lead(&self, identity: &Identity) -> io::Result<()> {
        if self.raft.is_initialized().await.map_err(io::Error::other)? {
            // Nobody else can lead, so there is no reason to wait for an election time-out.
            let election = self.raft.trigger().elect(false).await;
            election.map_err(io::Error::other)?;
        } else {
            let me = BasicNode::new(identity.cluster.clone());
            let members = std::collections::BTreeMap::from([(identity.node, me)]);
            self.raft
                .initialize(members)
                .await
                .map_err(io::Error::other)?;
            fail::fail_point!("meta.member.after_append");
        }
        self.raft
            .wait(Some(self.deadline))
            .state(ServerState::Leader, "the only member leads")
            .await
            .map_err(io::Error::other)?;
        Ok(())
    }

    /// Proposes a command, if there is room for it; returns when it is durable and applied.
    pub(crate) async fn propose(
        &self,
        request: Option<RequestId>,
        command: Command,
    ) -> Result<Reply, WriteError> {
        self.door.admit(&command)?;
        self.propose_admitted(request, command)
            .await
            .map_err(Into::into)
    }

    async fn propose_admitted(
        &self,
        request: Option<RequestId>,
        command: Command,
    ) -> Result<Reply, ReadError> {
        let deadline = Instant::now() + self.deadline;
        let permit = timeout_at(deadline, self.writes.acquire()).await;
        let _permit = match permit {
            Ok(Ok(permit)) => permit,
            Ok(Err(_closed)) => return Err(unavailable("it is shutting down")),
            Err(_elapsed) => return Err(unavailable("too many writes are under way")),
        };
        let mut entry = Entry {
            millis: self.clock.now_millis(),
            request,
            command,
        };
        loop {
            let write = self.raft.client_write(entry.clone());
            match timeout_at(deadline, write).await {
                Ok(Ok(written)) => return Ok(written.response().clone()),
                Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => {
                    // A leader that was just elected says so until its lease is confirmed.
                    if timeout_at(deadline, tokio::time::sleep(SETTLING))
                        .await
                        .is_err()
                    {
                        return Err(unavailable("no leader is known"));
                    }
                    entry.millis = self.clock.now_millis();
                }
                Ok(Err(RaftError::APIError(error))) => return Err(unavailable(error)),
                Ok(Err(RaftError::Fatal(error))) => return Err(unavailable(error)),
                Err(_elapsed) => return Err(ReadError::DeadlineExceeded),
            }
        }
    }

    /// The state, with every write that was acknowledged before the call.
    pub(crate) async fn read(&self) -> Result<View, ReadError> {
        if !(self.alone.load(Ordering::SeqCst) && self.raft.is_leader()) {
            let barrier = self.raft.ensure_linearizable(ReadPolicy::ReadIndex);
            match tokio::time::timeout(self.deadline, barrier).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(unavailable(error)),
                Err(_elapsed) => return Err(ReadError::DeadlineExceeded),
            }
        }
        Ok(self.view())
    }

    /// The state as it is here.
    pub(crate) fn view(&self) -> View {
        self.state.view()
    }

    /// Changes whenever entries were applied.
    pub(crate) fn progress(&self) -> tokio::sync::watch::Receiver<u64> {
        self.state.progress()
    }

    /// The wall clock, in milliseconds.
    pub(crate) fn now(&self) -> u64 {
        self.clock.now_millis()
    }

    /// The log.
    pub(crate) const fn log(&self) -> &LogStore {
        &self.log
    }

    /// Takes a snapshot and lets the log before it go, but for its last `kept` bytes.
    pub(crate) async fn trim_log(&self, kept: u64) -> io::Result<()> {
        let applied = self.state.applied().last.map(|last| last.index);
        let excess = self.log.excess(kept);
        let (Some(through), Some(applied)) = (excess, applied) else {
            return Ok(());
        };
        let through = through.min(applied);
        let trigger = self.raft.trigger();
        let wait = self.raft.wait(Some(self.deadline));
        let reached = |last: &Option<LogId>| last.is_some_and(|last| last.index >= through);
        trigger.snapshot().await.map_err(io::Error::other)?;
        let taken = wait.metrics(|it| reached(&it.snapshot), "a snapshot is taken");
        taken.await.map_err(io::Error::other)?;
        let purging = trigger.purge_log(through).await;
        purging.map_err(io::Error::other)?;
        let purged = wait.metrics(|it| reached(&it.purged), "the log before it is gone");
        purged.await.map_err(io::Error::other)?;
        Ok(())
    }

    /// Whether there is room to grow.
    pub(crate) const fn door(&self) -> &Door {
        &self.door
    }

    /// How many syncs the log has made.
    pub(crate) fn syncs(&self) -> u64 {
        self.log.syncs()
    }

    /// Returns when Raft has failed and will not go on.
    pub(crate) async fn failed(&self) -> String {
        use openraft::type_config::async_runtime::watch::WatchReceiver as _;
        let mut metrics = self.raft.server_metrics();
        loop {
            let running = self.raft.is_initialized().await;
            if let Err(error) = running {
                return error.to_string();
            }
            if metrics.changed().await.is_err() {
                return "raft has stopped".to_owned();
            }
        }
    }

    /// Stops Raft. What is acknowledged is durable already.
    pub(crate) async fn stop(&self) {
        self.writes.close();
        // What waits for room is given up: nobody was told that it is kept.
        self.patience.iter().for_each(Patience::end);
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "raft did not stop cleanly");
        }
    }
}

fn unavailable(reason: impl ToString) -> ReadError {
    ReadError::Unavailable {
        reason: reason.to_string(),
    }
}
