//! How the service comes to life.
//!
//! Owns the order: settings are judged whole before anything starts, and the two tasks that run by
//! themselves are the supervisor's. Leaves the ports to whoever composes the process.

use std::sync::Arc;

use meridian_blobstore::{BlobStore, Presign};
use meridian_cache::Cache;
use meridian_chassis::Supervisor;
use meridian_clients::MetadataApi;
use meridian_clock::Clock;

use crate::collect::{Collector, Lifetimes};
use crate::loss::Losses;
use crate::propose::Proposer;
use crate::read::Reads;
use crate::upload::Uploads;
use crate::{BlobService, Config, ConfigError};

/// What the service stands on.
#[derive(Clone)]
pub struct Ports {
    /// Where bytes rest.
    pub store: Arc<dyn BlobStore>,
    /// The same store, if clients can read from it by URLs that it signs.
    pub presign: Option<Arc<dyn Presign>>,
    /// The truth.
    pub metadata: Arc<dyn MetadataApi>,
    /// How sessions ended, and what instances tell each other of them; may forget.
    pub cache: Arc<dyn Cache>,
    /// Whether other instances of the service stand on the same store and the same cache.
    pub shared: bool,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

/// Why the service did not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The settings are no good.
    #[error("the settings of the blob service are refused: {}", list(.0))]
    Config(Vec<ConfigError>),
}

/// Starts the service. It does no I/O before the first request, but for garbage collection, which
/// begins by itself.
///
/// # Errors
///
/// When the configuration is refused; every fault is named.
pub async fn start(
    config: Config,
    ports: Ports,
    supervisor: &mut Supervisor,
) -> Result<Arc<BlobService>, StartError> {
    let faults = config.faults();
    if !faults.is_empty() {
        return Err(StartError::Config(faults));
    }
    let Config {
        uploads: config,
        collection,
        ..
    } = config;
    let proposer = Proposer::new(Arc::clone(&ports.metadata), config.commit_deadline);
    let lifetimes = Lifetimes {
        unfinished: config.idle_expiry,
        // A record may be proposed for the first time at the end of a session's life.
        finished: config.max_lifetime + config.commit_deadline * 2,
    };
    let losses = Arc::new(Losses::default());
    let (spawner, for_uploads) = (supervisor.spawner(), Arc::clone(&losses));
    let uploads = Uploads::new(config, ports.clone(), spawner, for_uploads);
    let uploads = Arc::new(uploads);
    let collector = Arc::new(Collector::new(
        collection,
        lifetimes,
        Arc::clone(&uploads),
        ports.clone(),
        proposer.clone(),
    ));
    let (expiring, stop) = (Arc::clone(&uploads), supervisor.token());
    supervisor.spawn("blob.expire", async move {
        expiring.expire_until(stop).await;
        Ok(())
    });
    let (collecting, stop) = (Arc::clone(&collector), supervisor.token());
    supervisor.spawn("blob.collect", async move {
        collecting.run_until(stop).await;
        Ok(())
    });
    Ok(Arc::new(BlobService {
        uploads,
        reads: Reads::new(
            ports.store,
            ports.presign,
            ports.metadata,
            proposer.clone(),
            losses,
        ),
        collector,
        proposer,
    }))
}

fn list(faults: &[ConfigError]) -> String {
    let texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
