//! This member of the metadata group.
//!
//! Owns the Raft instance: its start, its end, who leads, and the reading of state.
//! Keeps two invariants: a command is admitted where it is proposed, which is at the leader; and
//! what is read has every write that was acknowledged before, whichever member is asked. Leaves to
//! `propose` the way of a command, to `room` whether there is room for it, to `barrier` how far a read
//! has to wait, and to `membership` who the members are.

pub(crate) mod barrier;
mod propose;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use meridian_chassis::Supervisor;
use meridian_clients::ReadError;
use meridian_clock::Clock;
use openraft::type_config::async_runtime::watch::WatchReceiver as _;
use openraft::{BasicNode, ReadPolicy, ServerState};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::backlog::Backlog;
use crate::changes::View;
use crate::config::Config;
use crate::identity::{self, Claim};
use crate::members::Members;
use crate::membership::ReformError;
use crate::patience::Patience;
use crate::raft::log_store::{LogOptions, LogStore};
use crate::raft::log_writer::Linger;
use crate::raft::network::Network;
use crate::raft::peer::Dial;
use crate::raft::state_machine::StateMachine;
use crate::raft::{self, LogId, Raft};
use crate::room::Door;
use crate::state::State;
use barrier::{Barrier, Unconfirmed};
pub(crate) use propose::Forwarded;

/// A group of this many writes does not wait for more.
const ENOUGH: usize = 128;

/// How long a leader waits for another member to take its place.
const HAND_OVER: Duration = Duration::from_secs(3);

/// This member.
pub(crate) struct Group {
    raft: Raft,
    log: LogStore,
    state: State,
    clock: Arc<dyn Clock>,
    door: Door,
    backlog: Backlog,
    folder: PathBuf,
    /// Of the log and of the state.
    patience: [Patience; 2],
    members: Members,
    barrier: Barrier,
    policy: ReadPolicy,
    /// Whether this member is the whole group, for good. Then what it applied is what was
    /// acknowledged, and a read needs nobody's consent.
    alone: bool,
    /// Where the others reach this member.
    advertise: Option<String>,
    /// Whether the event log was looked at since this process started: before, nobody can tell
    /// whether this state is the one that the region last had.
    verified: watch::Sender<bool>,
    /// One change of the members at a time.
    changing: Mutex<()>,
    /// One snapshot is received at a time.
    receiving: Mutex<()>,
    /// Cancelled when this member was removed.
    gone: CancellationToken,
    writes: Semaphore,
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
        let options = LogOptions {
            linger,
            max_bytes: config.snapshot_bytes.as_u64(),
            patience: for_log.clone(),
        };
        let log = LogStore::open(&folder, options, Arc::clone(&clock)).await?;
        let (machine, state) = {
            let folder = folder.clone();
            let open = move || StateMachine::open(folder, for_state);
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
        let raft = Raft::new(node, settings, network, log.clone(), machine).await;
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
            backlog: Backlog::new(config.outbox),
            folder,
            patience,
            members,
            barrier,
            policy,
            alone: config.group.advertise.is_none(),
            advertise: config.group.advertise.clone(),
            verified: watch::Sender::new(false),
            changing: Mutex::default(),
            receiving: Mutex::default(),
            gone: CancellationToken::new(),
            writes: Semaphore::new(config.concurrent_writes),
            deadline: config.deadline,
        })
    }

    /// Makes this member the whole group, if it is new, and leads it.
    pub(crate) async fn lead_alone(&self) -> io::Result<()> {
        if self.is_initialized().await? {
            let membership = crate::members::membership(&self.raft);
            if membership.voter_ids().any(|voter| voter != self.me()) {
                return Err(io::Error::other(
                    "this member belongs to a group of several; set metadata.group.advertise to \
                     where the others reach it",
                ));
            }
            // Nobody else can lead, so there is no reason to wait for an election time-out.
            let election = self.raft.trigger().elect(false).await;
            election.map_err(io::Error::other)?;
        } else {
            let cluster = self.claim().cluster();
            let cluster = cluster.unwrap_or_else(identity::draw_cluster);
            self.claim().adopt(&cluster).map_err(io::Error::other)?;
            let me = BTreeMap::from([(self.me(), BasicNode::new(""))]);
            self.raft.initialize(me).await.map_err(io::Error::other)?;
            fail::fail_point!("meta.member.after_append");
        }
        self.raft
            .wait(Some(self.deadline))
            .state(ServerState::Leader, "the only member leads")
            .await
            .map_err(io::Error::other)?;
        Ok(())
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

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) const fn state_patience(&self) -> &Patience {
        &self.patience[1]
    }

    /// The state, with every write that was acknowledged before the call.
    pub(crate) async fn read(&self) -> Result<View, ReadError> {
        if !(self.alone && self.raft.is_leader()) {
            let deadline = Instant::now() + self.deadline;
            let index = self.barrier.index(deadline).await?;
            self.applied(index, deadline).await?;
        }
        Ok(self.view())
    }

    /// Returns when the entry at `index` is applied here.
    async fn applied(&self, index: u64, deadline: Instant) -> Result<(), ReadError> {
        let mut progress = self.state.progress();
        match timeout_at(deadline, progress.wait_for(|applied| *applied >= index)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_closed)) => Err(unavailable("it is shutting down")),
            Err(_elapsed) => Err(unavailable("this member lags behind")),
        }
    }

    /// Up to which entry readers of other members have to wait, if this one leads.
    pub(crate) async fn read_index(&self) -> Result<u64, ReadError> {
        match barrier::confirm(&self.raft, self.policy.clone()).await {
            Ok(read) => Ok(read.index),
            Err(Unconfirmed::Elsewhere(_)) => Err(unavailable("another member leads by now")),
            Err(Unconfirmed::Failed(why)) => Err(unavailable(why)),
        }
    }

    /// Who leads, as far as this member knows.
    pub(crate) fn leader(&self) -> Option<u64> {
        self.raft.server_metrics().borrow_watched().current_leader
    }

    pub(crate) fn is_leader(&self) -> bool {
        self.raft.is_leader()
    }

    /// The event log was looked at, and this state is no older than it.
    pub(crate) fn verify(&self) {
        self.verified.send_replace(true);
    }

    /// Returns when this member leads, or does not, as `leads` says.
    pub(crate) async fn until(&self, leads: bool) {
        let mut metrics = self.raft.server_metrics();
        while self.raft.is_leader() != leads {
            if metrics.changed().await.is_err() {
                // Raft has stopped, which `failed` reports.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Takes a snapshot now.
    pub(crate) async fn take_snapshot(&self) -> Result<(), ReformError> {
        let taken = self.raft.trigger().snapshot().await;
        taken.map_err(|error| ReformError::Unavailable(error.to_string()))
    }

    /// Has another member lead, if this one does.
    pub(crate) async fn hand_over(&self) {
        if !self.raft.is_leader() {
            return;
        }
        let heir = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            let voters: Vec<u64> = metrics.membership_config.voter_ids().collect();
            let replication = metrics.replication.as_ref();
            let matched = replication.into_iter().flatten();
            matched
                .filter(|(node, _)| **node != self.me() && voters.contains(node))
                .max_by_key(|(_, matched)| **matched)
                .map(|(node, _)| *node)
        };
        let Some(heir) = heir else {
            return;
        };
        if let Err(error) = self.lead_from(heir).await {
            tracing::warn!(error, "no other member took the lead");
        }
    }

    /// Has `heir` lead in place of this member.
    pub(crate) async fn lead_from(&self, heir: u64) -> Result<(), String> {
        let asked = self.raft.trigger().transfer_leader(heir).await;
        asked.map_err(|error| error.to_string())?;
        let me = self.me();
        let another = |leader: Option<u64>| leader.is_some_and(|leader| leader != me);
        let gone = self
            .raft
            .wait(Some(HAND_OVER))
            .metrics(
                |metrics| another(metrics.current_leader),
                "another member leads",
            )
            .await;
        gone.map(drop).map_err(|error| error.to_string())
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
    }
}

pub(crate) fn unavailable(reason: impl ToString) -> ReadError {
    ReadError::Unavailable {
        reason: reason.to_string(),
    }
}
