//! What all requests share.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use meridian_chassis::health::Readiness;
use meridian_clients::{BlobApi, MetadataApi, ReadBlobError, ReadError, RepositoryPath, Stale};
use meridian_clock::Region;
use meridian_oci::{RegistryName, RepositoryName};

use crate::Config;
use crate::delivery::{Delivering, LinkMaker};
use crate::error::Failure;
use crate::extract;
use crate::limits::Intake;
use crate::rates::{Counters, Rates};
use crate::regions::{Elsewhere, Regions};
use crate::steering::Steering;

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
    /// The other regions, if there are any.
    pub regions: Option<Regions>,
}

/// What all requests share.
pub(crate) struct State {
    pub(crate) metadata: Arc<dyn MetadataApi>,
    pub(crate) blobs: Arc<dyn BlobApi>,
    pub(crate) readiness: Readiness,
    pub(crate) intake: Intake,
    pub(crate) delivering: Delivering,
    pub(crate) rates: Rates,
    pub(crate) regions: Option<Arc<Elsewhere>>,
    pub(crate) steering: Arc<Steering>,
    /// The greatest page of a list.
    pub(crate) page: usize,
    /// How long to wait until a version is visible.
    pub(crate) version_wait: Duration,
    /// How long to wait until what a manifest names is brought here.
    pub(crate) bring: Duration,
    registry: RegistryName,
    deadline: Duration,
}

// === impl State ===

impl State {
    pub(crate) fn new(backends: Backends, config: &Config, readiness: Readiness) -> Self {
        let limits = &config.limits;
        let regions = backends.regions;
        let regions = regions.map(|it| Elsewhere::new(it, config, &backends.counters));
        let (metadata, blobs) = (Arc::clone(&backends.metadata), Arc::clone(&backends.blobs));
        let steering = Steering::new(config.steering, metadata, blobs);
        Self {
            metadata: backends.metadata,
            blobs: backends.blobs,
            steering: Arc::new(steering),
            readiness,
            intake: Intake::new(
                limits.manifests_buffered.as_usize(),
                limits.manifests_parsed.as_usize(),
            ),
            delivering: Delivering::new(config.blobs.clone(), backends.links),
            rates: Rates::new(config.rates.clone(), backends.counters),
            regions: regions.map(Arc::new),
            page: limits.page.clamp(1, 10_000),
            version_wait: config.version_wait,
            bring: limits.bring,
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
            .map_err(|_elapsed| Failure::Read(ReadError::DeadlineExceeded))
    }

    /// The same for a read, for whom its failure is not the end.
    pub(crate) async fn read<T>(
        &self,
        call: impl Future<Output = Result<T, ReadError>>,
    ) -> Result<T, ReadError> {
        tokio::time::timeout(self.deadline, call)
            .await
            .unwrap_or(Err(ReadError::DeadlineExceeded))
    }

    /// The same for a blob.
    pub(crate) async fn read_blob<T>(
        &self,
        call: impl Future<Output = Result<T, ReadBlobError>>,
    ) -> Result<T, ReadBlobError> {
        tokio::time::timeout(self.deadline, call)
            .await
            .unwrap_or(Err(ReadBlobError::Metadata(ReadError::DeadlineExceeded)))
    }

    /// The regions that may have changed a list that is read from now on. The version that the request wants is
    /// visible in it.
    pub(crate) async fn judge_list(&self, headers: &HeaderMap) -> Result<Vec<Stale>, Failure> {
        let version = extract::min_version(headers)?;
        let Some(elsewhere) = &self.regions else {
            return Ok(Vec::new());
        };
        if let Some(version) = version {
            elsewhere.reach(version, self.version_wait).await?;
        }
        elsewhere.judge_list().await
    }

    /// Waits until everything is here that any region had done before, where a write must be stamped above it.
    pub(crate) async fn level(&self) -> Result<(), Failure> {
        match &self.regions {
            Some(elsewhere) => elsewhere.level().await,
            None => Ok(()),
        }
    }

    /// This region, where there are others.
    pub(crate) fn here(&self) -> Option<Region> {
        self.regions.as_ref().map(|elsewhere| elsewhere.here())
    }
}
