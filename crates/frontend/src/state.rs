//! What all requests share.

use std::sync::Arc;
use std::time::Duration;

use meridian_chassis::health::Readiness;
use meridian_clients::{BlobApi, MetadataApi, RepositoryPath};
use meridian_oci::{RegistryName, RepositoryName};

use crate::Config;
use crate::delivery::{Delivering, LinkMaker};
use crate::error::Failure;
use crate::limits::Intake;
use crate::rates::{Counters, Rates};

/// The services behind the frontend.
#[derive(Clone)]
pub struct Backends {
    /// The truth of the region.
    pub metadata: Arc<dyn MetadataApi>,
    /// The owner of bytes.
    pub blobs: Arc<dyn BlobApi>,
    /// What makes links to its data endpoint, if there are any.
    pub links: Option<LinkMaker>,
    /// Where the requests of clients are counted.
    pub counters: Counters,
}

/// What all requests share.
pub(crate) struct State {
    pub(crate) metadata: Arc<dyn MetadataApi>,
    pub(crate) blobs: Arc<dyn BlobApi>,
    pub(crate) readiness: Readiness,
    pub(crate) intake: Intake,
    pub(crate) delivering: Delivering,
    pub(crate) rates: Rates,
    /// The greatest page of a list.
    pub(crate) page: usize,
    registry: RegistryName,
    deadline: Duration,
}

// === impl State ===

impl State {
    pub(crate) fn new(backends: Backends, config: &Config, readiness: Readiness) -> Self {
        let limits = &config.limits;
        Self {
            metadata: backends.metadata,
            blobs: backends.blobs,
            readiness,
            intake: Intake::new(
                limits.manifests_buffered.as_usize(),
                limits.manifests_parsed.as_usize(),
            ),
            delivering: Delivering::new(config.blobs.clone(), backends.links),
            rates: Rates::new(config.rates.clone(), backends.counters),
            page: limits.page.clamp(1, 10_000),
            registry: config.registry.clone(),
            deadline: limits.deadline,
        }
    }

    /// The registry that requests are for. Host names will choose it once they can be configured.
    pub(crate) const fn registry(&self) -> &RegistryName {
        &self.registry
    }

    /// A repository of that registry.
    pub(crate) fn path(&self, name: RepositoryName) -> RepositoryPath {
        RepositoryPath {
            registry: self.registry.clone(),
            name,
        }
    }

    /// Waits for a call of another service, not for ever.
    pub(crate) async fn within<T>(&self, call: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::time::timeout(self.deadline, call)
            .await
            .map_err(|_elapsed| Failure::Read(meridian_clients::ReadError::DeadlineExceeded))
    }
}
