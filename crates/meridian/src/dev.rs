//! A whole registry in one process.
//!
//! Owns the data directory and the order of the start: what can be wrong with the settings is
//! looked at before anything is opened, and the address is printed when requests are answered.

mod banner;
mod directory;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use meridian_blob_service::BlobService;
use meridian_blobstore::{DiskBlobStore, DiskConfig};
use meridian_cache::{MemoryCache, MemoryCacheConfig};
use meridian_chassis::config::Secret;
use meridian_chassis::http::{ListenAddress, Listener};
use meridian_chassis::{Supervisor, panic_hook, signals, telemetry};
use meridian_clock::{Clock, SystemClock};
use meridian_eventlog::DiskEventLog;
use meridian_frontend::Backends;
use meridian_metadata_service::MetadataService;

use crate::admin::{self, Admin};
use crate::cli::Dev;
use crate::config::{self, Config};
use crate::exit::Exit;
use directory::Directory;

pub(crate) use directory::admin_socket;

/// Serves until it is asked to stop.
pub(crate) async fn run(options: Dev) -> Result<(), Exit> {
    let mut config = config::of_dev(&options)?;
    if options.print_config {
        return print(&config);
    }
    telemetry::install(&config.log).map_err(|error| Exit::misconfigured(error.to_string()))?;
    panic_hook::install();
    let listeners = bind(&config)?;
    let checked = meridian_frontend::check(&listeners, &config.frontend);
    checked.map_err(|error| Exit::classified(&error))?;
    let directory = Directory::claim(config.data_dir.clone().unwrap_or_default())?;
    config.blob.uploads.key = Secret::new(directory.upload_key()?);

    let mut supervisor = Supervisor::new();
    let grace = config.grace;
    let (metadata, blobs) = start_services(&config, &directory, &mut supervisor).await?;
    let backends = Backends {
        metadata: Arc::clone(&metadata) as _,
        blobs: Arc::clone(&blobs) as _,
    };
    let registry = config.frontend.registry.clone();
    let is_tls = config.frontend.tls.is_some();
    let started =
        meridian_frontend::start_on(listeners, config.frontend, backends, &supervisor);
    let started = started.map_err(|error| Exit::classified(&error))?;
    let admin = Admin {
        metadata,
        blobs,
        registry,
    };
    admin::serve(admin, &directory.admin_socket(), &supervisor)?;
    announce(started.addresses, is_tls, directory.root().to_owned(), &supervisor);
    let ended = supervisor.run(signals(), grace).await;
    ended.map_err(|error| Exit::failed(&error))
}

/// Says where the registry is when it is there: not before requests are answered.
fn announce(addresses: Vec<SocketAddr>, is_tls: bool, root: PathBuf, supervisor: &Supervisor) {
    let readiness = supervisor.readiness().clone();
    supervisor.spawner().spawn_child("announce", async move {
        readiness.ready().await;
        banner::print(&addresses, is_tls, &root);
    });
}

async fn start_services(
    config: &Config,
    directory: &Directory,
    supervisor: &mut Supervisor,
) -> Result<(Arc<MetadataService>, Arc<BlobService>), Exit> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let events = directory.events();
    let events = DiskEventLog::open(events, config.events.clone(), Arc::clone(&clock)).await;
    let events = events.map_err(|error| Exit::classified(&error))?;
    let ports = meridian_metadata_service::Ports {
        events: Arc::new(events),
        clock: Arc::clone(&clock),
    };
    let settings = meridian_metadata_service::Config {
        data_dir: directory.metadata(),
        region: config.region,
        ..config.metadata.clone()
    };
    let metadata = meridian_metadata_service::start(settings, ports, supervisor).await;
    let metadata = Arc::new(metadata.map_err(|error| Exit::classified(&error))?);
    let store = DiskBlobStore::open(DiskConfig::new(directory.blobs())).await;
    let store = store.map_err(|error| Exit::classified(&error))?;
    let cache = MemoryCache::new(&MemoryCacheConfig::default(), Arc::clone(&clock));
    let cache = cache.map_err(|error| Exit::misconfigured(error.to_string()))?;
    let ports = meridian_blob_service::Ports {
        store: Arc::new(store),
        metadata: Arc::clone(&metadata) as _,
        cache: Arc::new(cache),
        clock,
    };
    let blobs = meridian_blob_service::start(config.blob.clone(), ports, supervisor).await;
    let blobs = blobs.map_err(|error| Exit::misconfigured(error.to_string()))?;
    Ok((metadata, blobs))
}

/// Bound before anything else is touched, so that a port in use is told at once.
fn bind(config: &Config) -> Result<Vec<Listener>, Exit> {
    let bound = config.frontend.listen.iter().map(|address| {
        Listener::bind(address).map_err(|error| {
            let line = meridian_error::chain(&error);
            let change = match address {
                ListenAddress::Tcp(_) => "; choose another address with --listen",
                ListenAddress::Unix(_) => "",
            };
            Exit::misconfigured(format!("{line}{change}"))
        })
    });
    bound.collect()
}

fn print(config: &Config) -> Result<(), Exit> {
    let text = toml::to_string_pretty(config).map_err(|error| Exit::failed(&error))?;
    print!("{text}");
    Ok(())
}
