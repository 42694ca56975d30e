//! The services that keep data, on the bodies of their ports that lie on local disk.

use std::sync::Arc;

use meridian_blob_service::BlobService;
use meridian_blobstore::{DiskBlobStore, DiskConfig};
use meridian_cache::{MemoryCache, MemoryCacheConfig};
use meridian_chassis::Supervisor;
use meridian_chassis::config::Secret;
use meridian_chassis::identity::Identity;
use meridian_clients::MetadataApi;
use meridian_clock::{Clock, SystemClock};
use meridian_eventlog::ReopeningEventLog;
use meridian_metadata_service::MetadataService;

use super::directory::Directory;
use super::others::connect;
use crate::config::Config;
use crate::exit::Exit;
use crate::role::{Cast, Role};

/// Starts the metadata service and the event log that it publishes to.
pub(super) async fn start_metadata(
    config: &Config,
    identity: Option<&Identity>,
    directory: &Directory,
    supervisor: &mut Supervisor,
) -> Result<Arc<MetadataService>, Exit> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let events = directory.events();
    let events = ReopeningEventLog::open(events, config.events.clone(), Arc::clone(&clock)).await;
    let events = Arc::new(events.map_err(|error| Exit::classified(&error))?);
    let (calls, identity) = (config.services.calls.clone(), identity.cloned());
    let ports = meridian_metadata_service::Ports {
        events,
        clock,
        dial: Arc::new(move |endpoint: &str| {
            let channel = connect(Role::Metadata, endpoint, &calls, identity.as_ref());
            channel.map_err(|error| error.to_string())
        }),
    };
    let settings = meridian_metadata_service::Config {
        data_dir: directory.metadata(),
        region: config.region,
        ..config.metadata.clone()
    };
    let metadata = meridian_metadata_service::start(settings, ports, supervisor).await;
    let metadata = metadata.map_err(|error| Exit::classified(&error))?;
    Ok(Arc::new(metadata))
}

/// Adds to the settings what the directory holds, and looks at whether they are complete then.
/// Unless they name the key that authenticates upload sessions, it is that of the directory.
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
    let faults = config.blob.faults();
    if faults.is_empty() {
        return Ok(());
    }
    let lines = faults.iter().map(|fault| format!("blob.{fault}"));
    Err(Exit::misconfigured_in(lines.collect()))
}

/// Starts the blob service.
pub(super) async fn start_blobs(
    config: &Config,
    directory: &Directory,
    metadata: Arc<dyn MetadataApi>,
    supervisor: &mut Supervisor,
) -> Result<Arc<BlobService>, Exit> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = DiskBlobStore::open(DiskConfig::new(directory.blobs())).await;
    let store = Arc::new(store.map_err(|error| Exit::classified(&error))?);
    let cache = MemoryCache::new(&MemoryCacheConfig::default(), Arc::clone(&clock));
    let cache = cache.map_err(|error| Exit::misconfigured(error.to_string()))?;
    let ports = meridian_blob_service::Ports {
        store,
        metadata,
        cache: Arc::new(cache),
        clock,
    };
    let blobs = meridian_blob_service::start(config.blob.clone(), ports, supervisor).await;
    blobs.map_err(|error| Exit::misconfigured(error.to_string()))
}
