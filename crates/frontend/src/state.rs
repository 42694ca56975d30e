//! What all requests share.

use std::sync::Arc;
use std::time::Duration;

use meridian_chassis::health::Readiness;
use meridian_clients::{BlobApi, MetadataApi, RepositoryPath};
use meridian_oci::{RegistryName, RepositoryName};

use crate::config::LimitsConfig;
use crate::error::Failure;
use crate::limits::Intake;

/// The services behind the frontend.
#[derive(Clone)]
pub struct Backends {
    /// The truth of the region.
    pub metadata: Arc<dyn MetadataApi>,
    /// The owner of bytes.
    pub blobs: Arc<dyn BlobApi>,
}

/// What all requests share.
pub(crate) struct State {
    pub(crate) metadata: Arc<dyn MetadataApi>,
    pub(crate) blobs: Arc<dyn BlobApi>,
    pub(crate) readiness: Readiness,
    pub(crate) intake: Intake,
    /// The greatest page of a list.
    pub(crate) page: usize,
    registry: RegistryName,
    deadline: Duration,
}

// === impl State ===

impl State {
    pub(crate) fn new(
        backends: Backends,
        registry: RegistryName,
        limits: &LimitsConfig,
        readiness: Readiness,
    ) -> Self {
        Self {
            metadata: backends.metadata,
            blobs: backends.blobs,
            readiness,
            intake: Intake::new(
                limits.manifests_buffered.as_usize(),
                limits.manifests_parsed.as_usize(),
            ),
            page: limits.page.clamp(1, 10_000),
            registry,
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
