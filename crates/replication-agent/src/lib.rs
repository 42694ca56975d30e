#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod config;
mod consume;
mod crew;
mod engine;
mod follow;
mod grpc;
mod heads;
mod image;
mod introductions;
mod metrics;
mod serve;
mod sessions;
mod shell;
mod spool;
mod start;
mod status;
mod stops;
mod through;
mod words;

use std::sync::Arc;

use shell::Shell;

pub use config::{Config, PeerConfig};
pub use grpc::{
    PEER_GRPC_SERVICE, PeerAdapter, REGIONS_GRPC_SERVICE, RegionsAdapter, peer_server,
    regions_server,
};
pub use serve::PeerService;
pub use sessions::ForeignSessions;
pub use start::{Peer, Ports, StartError, start};

/// The agent of a region. Cheap to clone.
#[derive(Clone)]
pub struct ReplicationAgent {
    shell: Arc<Shell>,
}
