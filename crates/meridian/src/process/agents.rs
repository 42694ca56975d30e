//! The replication agent of this process, on what it stands on.
//!
//! Owns how other regions are reached: their agents over gRPC, their event logs where they are. A log that
//! cannot be reached from here reads as one that is away; the agent asks the region itself then.

use std::sync::Arc;

use meridian_chassis::Supervisor;
use meridian_clock::{Region, SystemClock};
use meridian_eventlog::EventLog;
use meridian_replication_agent::{Config as AgentConfig, Peer, Ports, ReplicationAgent};

use super::directory::Directory;
use super::services::Services;
use super::stage::Stage;
use crate::config::{Config, RegionConfig};
use crate::events;
use crate::exit::Exit;

/// Starts the agent.
pub(super) async fn start(
    stage: Stage<'_>,
    config: &Config,
    services: &Services,
    directory: &Directory,
    supervisor: &mut Supervisor,
) -> Result<ReplicationAgent, Exit> {
    let others = &stage.peers.others;
    let ports = Ports {
        replica: services.replica(others, supervisor),
        metadata: services.metadata(others, supervisor),
        blobs: services.blobs(others, supervisor),
        ingest: services.ingest(others, supervisor),
        peers: peers(stage, config).await?,
        clock: Arc::new(SystemClock),
    };
    let settings = AgentConfig {
        spool_dir: directory.spool(&config.replication.spool_dir)?,
        ..config.replication.clone()
    };
    meridian_replication_agent::start(config.region, settings, ports, supervisor)
        .await
        .map_err(|error| Exit::classified(&error))
}

/// The other regions.
async fn peers(stage: Stage<'_>, config: &Config) -> Result<Vec<Peer>, Exit> {
    let mut peers = Vec::new();
    for (region, settings) in &config.regions {
        peers.push(Peer {
            region: *region,
            api: stage.peers.others.peer(*region),
            events: log(stage, *region, settings).await?,
        });
    }
    Ok(peers)
}

/// The event log of another region: the one of this process, if it runs here.
async fn log(
    stage: Stage<'_>,
    region: Region,
    settings: &RegionConfig,
) -> Result<Arc<dyn EventLog>, Exit> {
    match stage.abroad.logs.get(&region) {
        Some(log) => Ok(Arc::clone(log)),
        None => events::of_region(region, settings).await,
    }
}
