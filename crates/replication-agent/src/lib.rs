#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod config;

use std::sync::Arc;

use meridian_chassis::Supervisor;
use meridian_clients::peer::PeerApi;
use meridian_clients::replica::ReplicaApi;
use meridian_clients::{BlobApi, IngestApi, MetadataApi};
use meridian_clock::{Clock, Region};
use meridian_error::{Classify, Code};
use meridian_eventlog::EventLog;

pub use config::{Config, PeerConfig};

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

/// The agent of a region. Cheap to clone.
#[derive(Clone)]
pub struct ReplicationAgent {}

/// Why the service does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The settings are no good.
    #[error("the settings of the replication agent are refused: {}", .0.join("; "))]
    Config(Vec<String>),
}

/// Starts the service.
///
/// # Errors
///
/// When the configuration is refused; every fault is named.
pub async fn start(
    region: Region,
    config: Config,
    ports: Ports,
    supervisor: &mut Supervisor,
) -> Result<ReplicationAgent, StartError> {
    let _ = (region, config, ports, supervisor);
    Ok(ReplicationAgent {})
}

// === impl StartError ===

impl Classify for StartError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}
