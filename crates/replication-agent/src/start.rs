//! How the service comes to life.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use meridian_chassis::Supervisor;
use meridian_clients::peer::PeerApi;
use meridian_clients::replica::ReplicaApi;
use meridian_clients::{BlobApi, IngestApi, MetadataApi};
use meridian_clock::{Clock, Region};
use meridian_error::{Classify, Code};
use meridian_eventlog::EventLog;
use meridian_replication::{Agent, Freshness};

use crate::crew::Crew;
use crate::engine::Engine;
use crate::heads::Heads;
use crate::introductions::Introductions;
use crate::shell::Shell;
use crate::spool::Spool;
use crate::{Config, ReplicationAgent, follow, metrics};

/// How long what an earlier process has left in the spool is kept for somebody to ask for it. By then the state
/// was asked what it is missing.
const LEFT: Duration = Duration::from_secs(60);

/// What the service stands on.
#[derive(Clone)]
pub struct Ports {
    /// The metadata of this region, as agents see it.
    pub replica: Arc<dyn ReplicaApi>,
    /// The same, as everybody sees it.
    pub metadata: Arc<dyn MetadataApi>,
    /// The blobs of this region, to be read.
    pub blobs: Arc<dyn BlobApi>,
    /// Where blobs go that come from other regions.
    pub ingest: Arc<dyn IngestApi>,
    /// The other regions.
    pub peers: Vec<Peer>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

/// Another region.
#[derive(Clone)]
pub struct Peer {
    /// Which.
    pub region: Region,
    /// What its agents answer.
    pub api: Arc<dyn PeerApi>,
    /// The event log to which it publishes.
    pub events: Arc<dyn EventLog>,
}

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings are no good.
    #[error("the settings of the replication agent are refused: {}", .0.join("; "))]
    Config(Vec<String>),
    /// There is no place for what comes.
    #[error("the directory for what comes from other regions cannot be used")]
    Spool(#[source] io::Error),
}

/// Starts the service. It waits for nothing: while the metadata, or another region, is not there yet,
/// it tries again.
///
/// # Errors
///
/// When the configuration is refused; every fault is named. When the spool directory is no good.
pub async fn start(
    region: Region,
    config: Config,
    ports: Ports,
    supervisor: &mut Supervisor,
) -> Result<ReplicationAgent, StartError> {
    let faults = config.faults();
    if !faults.is_empty() {
        return Err(StartError::Config(faults));
    }
    let spool = Spool::open(&config.spool_dir, config.spool_bytes.as_u64());
    let spool = spool.map_err(StartError::Spool)?;
    let mut freshness = Freshness::new(config.freshness);
    let agent = Agent::new(region, config.engine(), seed());
    let mut agent = agent.map_err(StartError::Config)?;
    for peer in &ports.peers {
        freshness.add_peer(peer.region);
        agent.add_peer(peer.region);
        if let Some(own) = config.peers.get(&peer.region) {
            let budget = own.budget.map(|budget| budget.as_u64());
            if budget.is_some() {
                agent.set_budget(peer.region, budget);
            }
        }
    }
    let engine = Engine::new(agent, freshness, Arc::clone(&ports.clock));
    let spawner = supervisor.spawner();
    let crew = Crew::new(spool.owner());
    let shell = Shell::new(region, config, ports, engine, spool, crew, spawner.clone());
    let shell = Arc::new(shell);
    metrics::show(&shell, supervisor.metrics());
    let stop = supervisor.token();
    supervisor.spawn("replication.agent", {
        let (shell, stop) = (Arc::clone(&shell), stop.clone());
        async move {
            shell.run(stop).await;
            Ok(())
        }
    });
    supervisor.spawn("replication.heads", {
        let (shell, stop) = (Arc::clone(&shell), stop.clone());
        async move {
            Heads::run(shell, spawner, stop).await;
            Ok(())
        }
    });
    supervisor.spawn("replication.introductions", {
        let (shell, spawner, stop) = (Arc::clone(&shell), supervisor.spawner(), stop.clone());
        async move {
            Introductions::run(shell, spawner, stop).await;
            Ok(())
        }
    });
    supervisor.spawner().spawn_child("replication.spool", {
        let (shell, stop) = (Arc::clone(&shell), stop.clone());
        async move {
            let waited = stop.run_until_cancelled(tokio::time::sleep(LEFT)).await;
            if waited.is_some() {
                shell.spool.forget_unasked();
            }
        }
    });
    supervisor.spawn("replication.crew", {
        let (shell, stop) = (Arc::clone(&shell), stop.clone());
        async move {
            Crew::run(shell, stop).await;
            Ok(())
        }
    });
    supervisor.spawn("replication.follow", {
        let (shell, spawner) = (Arc::clone(&shell), supervisor.spawner());
        async move {
            follow::run(shell, spawner, stop).await;
            Ok(())
        }
    });
    Ok(ReplicationAgent { shell })
}

/// Agents that run at once are to have different ones.
fn seed() -> u64 {
    rand::random()
}

// === impl StartError ===

impl Classify for StartError {
    fn code(&self) -> Code {
        match self {
            Self::Config(_) => Code::InvalidArgument,
            Self::Spool(_) => Code::Internal,
        }
    }
}
