//! This member of the metadata group.
//!
//! Owns the Raft instance, its start and its end, and what belongs to it.
//! Keeps two invariants: a command is admitted where it is proposed, which is at the leader; and
//! what is read has every write that was acknowledged before, whichever member is asked. Leaves to
//! `propose` the way of a command, to `reading` that of a read, to `roster` which agents work, to `lead` who
//! leads, to `room` whether there is room for a command, and to `membership` who the members are.

pub(crate) mod barrier;
mod lead;
mod propose;
mod reading;
mod roster;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use meridian_chassis::Supervisor;
use meridian_clients::ReadError;
use meridian_clock::Clock;
use openraft::ReadPolicy;
use openraft::type_config::async_runtime::watch::WatchReceiver as _;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backlog::Backlog;
use crate::changes::View;
use crate::config::Config;
use crate::duty::Stamping;
use crate::identity::Claim;
use crate::members::Members;
use crate::membership::ReformError;
use crate::metrics::Meters;
use crate::patience::Patience;
use crate::raft::log_store::{LogOptions, LogStore};
use crate::raft::log_writer::Linger;
use crate::raft::network::Network;
use crate::raft::peer::Dial;
use crate::raft::state_machine::StateMachine;
use crate::raft::{self, LogId, Raft};
use crate::room::Door;
use crate::state::State;
use barrier::Barrier;
pub(crate) use propose::Forwarded;
use roster::Roster;
pub(crate) use roster::Work;

/// A group of this many writes does not wait for more.
const ENOUGH: usize = 128;

/// This member.
pub(crate) struct Group {
    raft: Raft,
    log: LogStore,
    state: State,
    /// Tasks of Raft that use the log or the state.
    users: TaskTracker,
    clock: Arc<dyn Clock>,
    door: Door,
    backlog: Backlog,
    meters: Meters,
    folder: PathBuf,
    /// Of the log and of the state.
    patience: [Patience; 2],
    members: Members,
    barrier: Barrier,
    /// Which agents work for the region, while this member leads.
    agents: Roster,
    /// The same of dispatchers.
    dispatchers: Roster,
    policy: ReadPolicy,
    /// Whether this member is the whole group, for good. Then what it applied is what was
    /// acknowledged, and a read needs nobody's consent.
    alone: bool,
    /// Where the others reach this member.
    advertise: Option<String>,
    /// Whether the event log was looked at since this process started: before, nobody can tell
    /// whether this state is the one that the region last had.
    verified: watch::Sender<bool>,
    /// Whether this member may give out versions, while it leads.
    stamping: watch::Sender<Stamping>,
    /// One change of the members at a time.
    changing: Mutex<()>,
    /// One snapshot is received at a time.
    receiving: Mutex<()>,
    /// Cancelled when this member was removed.
    gone: CancellationToken,
    /// Cancelled when this process stops, and answers only what it was asked before.
    draining: CancellationToken,
    writes: Semaphore,
    concurrent_writes: usize,
    deadline: Duration,
}

// === impl Group ===

impl Group {
    /// Opens the log and the state in `folder` and starts Raft on them.
    pub(crate) async fn start(
        config: &Config,
        claim: Claim,
        dial: Dial,
        clock: Arc<dyn Clock>,
        supervisor: &Supervisor,
    ) -> io::Result<Self> {
        let linger = Linger {
            longest: config.group_commit_linger,
            enough: ENOUGH,
        };
        let folder = config.data_dir.clone();
        let patience = [Patience::default(), Patience::default()];
        let [for_log, for_state] = patience.clone();
        let meters = Meters::default();
        let options = LogOptions {
            linger,
            max_bytes: config.snapshot_bytes.as_u64(),
            patience: for_log.clone(),
            syncs: meters.syncs.clone(),
        };
        let users = TaskTracker::new();
        let log = LogStore::open(&folder, options, Arc::clone(&clock)).await?;
        let (machine, state) = {
            let folder = folder.clone();
            let users = users.clone();
            let open = move || StateMachine::open(folder, for_state, &users);
            let opened = tokio::task::spawn_blocking(open).await;
            opened.map_err(io::Error::other)??
        };
        let door = Door::new(&folder, config.min_free, state.clone(), for_log)?;
        let settings = raft::config(claim.region().as_str(), config.snapshot_entries)
            .map_err(io::Error::other)?;
        let network = Network {
            claim: claim.clone(),
            dial: Arc::clone(&dial),
        };
        let node = claim.node();
        let raft = Raft::new(node, settings, network, log.used_by(&users), machine).await;
        let raft = raft.map_err(io::Error::other)?;
        let members = Members::new(claim, dial);
        let policy = match config.group.lease_reads {
            true => ReadPolicy::LeaseRead,
            false => ReadPolicy::ReadIndex,
        };
        let limit = config.deadline;
        let (barrier, rounds) = Barrier::new(raft.clone(), members.clone(), policy.clone(), limit);
        let stop = supervisor.background_token();
        supervisor.spawn_background("metadata.reads", async move {
            rounds.run(stop).await;
            Ok(())
        });
        Ok(Self {
            raft,
            log,
            state,
            clock,
            door,
            users,
            backlog: Backlog::new(config.outbox),
            meters,
            folder,
            patience,
            members,
            barrier,
            agents: Roster::default(),
            dispatchers: Roster::default(),
            policy,
            alone: config.group.advertise.is_none(),
            advertise: config.group.advertise.clone(),
            verified: watch::Sender::new(false),
            stamping: watch::Sender::new(Stamping::Unknown),
            changing: Mutex::default(),
            receiving: Mutex::default(),
            gone: CancellationToken::new(),
            draining: supervisor.token(),
            writes: Semaphore::new(config.concurrent_writes),
            concurrent_writes: config.concurrent_writes,
            deadline: config.deadline,
        })
    }

    /// From now on a full disk is waited out.
    pub(crate) fn come_to_life(&self) {
        self.patience.iter().for_each(Patience::begin);
    }

    pub(crate) async fn is_initialized(&self) -> io::Result<bool> {
        self.raft.is_initialized().await.map_err(io::Error::other)
    }

    /// Whether this member is the whole group.
    pub(crate) const fn is_alone(&self) -> bool {
        self.alone
    }

    pub(crate) fn me(&self) -> u64 {
        self.members.me()
    }

    pub(crate) const fn claim(&self) -> &Claim {
        self.members.claim()
    }

    pub(crate) const fn members(&self) -> &Members {
        &self.members
    }

    pub(crate) const fn raft(&self) -> &Raft {
        &self.raft
    }

    pub(crate) fn advertise(&self) -> Option<&str> {
        self.advertise.as_deref()
    }

    pub(crate) const fn changing(&self) -> &Mutex<()> {
        &self.changing
    }

    pub(crate) const fn receiving(&self) -> &Mutex<()> {
        &self.receiving
    }

    /// This member was removed, and is to stop.
    pub(crate) fn be_gone(&self) {
        self.gone.cancel();
    }

    pub(crate) const fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) const fn state_patience(&self) -> &Patience {
        &self.patience[1]
    }

    /// The event log was looked at, and this state is no older than it.
    pub(crate) fn verify(&self) {
        self.verified.send_replace(true);
    }

    /// Whether that has happened.
    pub(crate) fn is_verified(&self) -> bool {
        *self.verified.borrow()
    }

    /// Takes a snapshot now.
    pub(crate) async fn take_snapshot(&self) -> Result<(), ReformError> {
        let taken = self.raft.trigger().snapshot().await;
        taken.map_err(|error| ReformError::Unavailable(error.to_string()))
    }

    /// The state as it is here.
    pub(crate) fn view(&self) -> View {
        self.state.view()
    }

    /// Changes whenever entries were applied.
    pub(crate) fn progress(&self) -> watch::Receiver<u64> {
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

    /// The events that wait to be published.
    pub(crate) const fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    /// What is counted.
    pub(crate) const fn meters(&self) -> &Meters {
        &self.meters
    }

    /// How many writes are under way.
    pub(crate) fn writing(&self) -> usize {
        let free = self.writes.available_permits();
        self.concurrent_writes.saturating_sub(free)
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
        let mut metrics = self.raft.server_metrics();
        loop {
            let running = self.raft.is_initialized().await;
            if let Err(error) = running {
                return error.to_string();
            }
            tokio::select! {
                changed = metrics.changed() => {
                    if changed.is_err() {
                        return "raft has stopped".to_owned();
                    }
                }
                () = self.gone.cancelled() => {
                    return "this member was removed from its group; its data directory is of no \
                            use any more".to_owned();
                }
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
        // It does not wait for all of its tasks, and another process may open what they use.
        self.users.close();
        let _late = tokio::time::timeout(self.deadline, self.users.wait()).await;
        self.log.close().await;
    }
}

pub(crate) fn unavailable(reason: impl ToString) -> ReadError {
    ReadError::Unavailable {
        reason: reason.to_string(),
    }
}
