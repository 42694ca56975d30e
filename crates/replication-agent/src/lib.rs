#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod config;
mod consume;
mod engine;
mod heads;
mod serve;
mod shell;
mod spool;
mod start;
mod through;

use std::sync::Arc;

use shell::Shell;

pub use config::{Config, PeerConfig};
pub use serve::PeerService;
pub use start::{Peer, Ports, StartError, start};

/// The agent of a region. Cheap to clone.
#[derive(Clone)]
pub struct ReplicationAgent {
    shell: Arc<Shell>,
}
