//! The services that keep data, on the bodies of their ports that lie on local disk, or where the
//! settings say: events in Kafka, blobs in a bucket.

use std::sync::Arc;

use meridian_blob_service::BlobService;
#[cfg(feature = "s3")]
use meridian_blobstore::S3BlobStore;
use meridian_blobstore::{BlobStore, DiskBlobStore, DiskConfig, Metered, Presign};
use meridian_cache::Cache;
use meridian_chassis::Supervisor;
use meridian_chassis::config::Secret;
use meridian_chassis::identity::Identity;
use meridian_chassis::metrics::Metrics;
use meridian_clients::MetadataApi;
use meridian_clock::{Clock, SystemClock};
use meridian_eventlog::EventLog;
use meridian_metadata_service::MetadataService;

use super::directory::Directory;
use super::metrics;
use super::others::connect;
use crate::config::{BlobStoreKind, Config};
use crate::events;
use crate::exit::Exit;
use crate::role::{Cast, Role};

/// Starts the metadata service and the event log that it publishes to.
pub(super) async fn start_metadata(
    config: &Config,
    identity: Option<&Identity>,
    directory: &Directory,
    supervisor: &mut Supervisor,
) -> Result<(Arc<MetadataService>, Arc<dyn EventLog>), Exit> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let events = events::open(config, directory, Arc::clone(&clock), supervisor).await?;
    let (calls, identity) = (config.services.calls.clone(), identity.cloned());
    let to = (config.region, Role::Metadata);
    let ports = meridian_metadata_service::Ports {
        events: Arc::clone(&events),
        clock,
        dial: Arc::new(move |endpoint: &str| {
            let channel = connect(to, endpoint, &calls, identity.as_ref());
            channel.map_err(|error| error.to_string())
        }),
    };
    let linger = config.events.linger();
    let settings = meridian_metadata_service::Config {
        data_dir: directory.metadata()?,
        region: config.region,
        peers: config.regions.keys().copied().collect(),
        publish_linger: config.metadata.publish_linger.or(Some(linger)),
        ..config.metadata.clone()
    };
    let metadata = meridian_metadata_service::start(settings, ports, supervisor).await;
    let metadata = metadata.map_err(|error| Exit::classified(&error))?;
    Ok((Arc::new(metadata), events))
}

/// Adds to the settings what the directory holds, and what follows from others. Unless they name the
/// key that authenticates upload sessions, it is that of the directory.
pub(super) fn complete(
    config: &mut Config,
    cast: &Cast,
    directory: &Directory,
) -> Result<(), Exit> {
    if !cast.has(Role::Blob) {
        return Ok(());
    }
    let key = &mut config.blob.uploads.key;
    if key.expose().is_empty() {
        *key = Secret::new(directory.upload_key()?);
    }
    match config.blobs.store {
        BlobStoreKind::Disk => {}
        #[cfg(feature = "s3")]
        BlobStoreKind::S3 => {
            let largest = config.blob.uploads.max_blob_bytes.as_u64();
            config.blobs.s3 = config.blobs.s3.clone().for_objects_up_to(largest);
        }
    }
    Ok(())
}

/// A store, and the same again if it signs URLs.
type Store = (Arc<dyn BlobStore>, Option<Arc<dyn Presign>>);

/// Whether other instances of the blob service can go on with the uploads of this one.
pub(super) const fn has_shared_sessions(config: &Config) -> bool {
    match config.blobs.store {
        BlobStoreKind::Disk => false,
        #[cfg(feature = "s3")]
        BlobStoreKind::S3 => config.cache.is_shared(),
    }
}

/// Opens the store in which blobs rest.
async fn open_store(
    config: &Config,
    directory: &Directory,
    metrics: &Metrics,
) -> Result<Store, Exit> {
    match config.blobs.store {
        BlobStoreKind::Disk => {
            let store = DiskBlobStore::open(DiskConfig::new(directory.blobs()?)).await;
            let store = store.map_err(|error| Exit::classified(&error))?;
            Ok((metered(store, metrics), None))
        }
        #[cfg(feature = "s3")]
        BlobStoreKind::S3 => {
            let store = S3BlobStore::open(config.blobs.s3.clone()).await;
            let store = Arc::new(store.map_err(|error| Exit::classified(&error))?);
            Ok((metered(Arc::clone(&store), metrics), Some(store)))
        }
    }
}

/// The store, and what passes through it shown.
fn metered<S: BlobStore + 'static>(store: S, metrics: &Metrics) -> Arc<dyn BlobStore> {
    let store = Arc::new(Metered::new(store));
    metrics::of_store(&store, metrics);
    store
}

/// Starts the blob service.
pub(super) async fn start_blobs(
    config: &Config,
    directory: &Directory,
    metadata: Arc<dyn MetadataApi>,
    cache: Arc<dyn Cache>,
    supervisor: &mut Supervisor,
) -> Result<Arc<BlobService>, Exit> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (store, presign) = open_store(config, directory, supervisor.metrics()).await?;
    let ports = meridian_blob_service::Ports {
        store,
        presign,
        metadata,
        cache,
        shared: has_shared_sessions(config),
        clock,
    };
    let blobs = meridian_blob_service::start(config.blob.clone(), ports, supervisor).await;
    blobs.map_err(|error| Exit::misconfigured(error.to_string()))
}
