//! A process of Meridian, from its settings to its end, whichever services it runs.
//!
//! Owns the order: what can be wrong with the settings is looked at before anything is opened, then
//! the data directory is taken, then each service is started after those that it calls, and what
//! the process is gets told when it does its work. A service that runs here is called directly, one
//! that does not over gRPC; nobody can tell which. Leaves to the services what they do.
//!
//! ```text
//! settings ── doors bound ── others found ── directory taken ── metadata ── blob ── frontend ── told
//! ```

mod directory;
mod doors;
mod embedded;
mod others;

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use meridian_blob_service::BlobService;
use meridian_chassis::http::ListenAddress;
use meridian_chassis::{Supervisor, grpc, panic_hook, signals, telemetry};
use meridian_clients::{BlobApi, MetadataApi};
use meridian_frontend::Backends;
use meridian_metadata_service::MetadataService;
use tonic::service::Routes;

use crate::admin::{self, Admin};
use crate::config::Config;
use crate::exit::Exit;
use crate::role::{Cast, Role};
use directory::Directory;
use doors::Doors;
use others::Others;

pub(crate) use directory::admin_socket;

/// Where a process listens, and where its data lie.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) frontend: Vec<ListenAddress>,
    pub(crate) is_tls: bool,
    pub(crate) blob: Vec<ListenAddress>,
    pub(crate) metadata: Vec<ListenAddress>,
    pub(crate) data_dir: Option<PathBuf>,
}

/// The services that run here.
struct Services {
    metadata: Option<Arc<MetadataService>>,
    blobs: Option<Arc<BlobService>>,
}

/// Serves until it is asked to stop. `tell` is called when the process does its work.
pub(crate) async fn serve(mut config: Config, cast: &Cast, tell: fn(&Places)) -> Result<(), Exit> {
    telemetry::install(&config.log).map_err(|error| Exit::misconfigured(error.to_string()))?;
    panic_hook::install();
    let mut stop = pin!(signals());
    let doors = Doors::bind(&config, cast)?;
    let others = Others::find(&config.services)?;
    let directory = match cast.keeps_data() {
        true => Some(Directory::claim(data_dir(&config)?)?),
        false => None,
    };
    if let Some(directory) = &directory {
        embedded::complete(&mut config, cast, directory)?;
    }
    let places = Places {
        is_tls: config.frontend.tls.is_some(),
        data_dir: directory.as_ref().map(|it| it.root().to_owned()),
        ..doors.places()
    };
    let grace = config.grace;
    let mut supervisor = Supervisor::new();
    let started = tokio::select! {
        started = start(config, cast, doors, &others, directory.as_ref(), &mut supervisor) => {
            started.map(|()| true)?
        }
        () = &mut stop => false,
    };
    let ended = if started {
        announce(places, tell, &supervisor);
        supervisor.run(stop, grace).await
    } else {
        // What was started by then ends in order; the rest was not to be.
        supervisor.run(async {}, grace).await
    };
    ended.map_err(|error| Exit::failed(&error))
}

fn data_dir(config: &Config) -> Result<PathBuf, Exit> {
    config.data_dir.clone().ok_or_else(|| {
        Exit::misconfigured("data_dir: missing; name a directory for the data with --data-dir")
    })
}

async fn start(
    config: Config,
    cast: &Cast,
    doors: Doors,
    others: &Others,
    directory: Option<&Directory>,
    supervisor: &mut Supervisor,
) -> Result<(), Exit> {
    let services = Services::start(&config, cast, others, directory, supervisor).await?;
    if let Some(service) = services
        .metadata
        .clone()
        .filter(|_| cast.serves(Role::Metadata))
    {
        let member = service.raft_server();
        let service = meridian_metadata_service::metadata_server(service);
        let beside = |routes: Routes| routes.add_service(member);
        let served = grpc::serve("metadata", service, beside, doors.metadata, supervisor);
        served.await.map_err(|error| Exit::classified(&error))?;
    }
    if let Some(service) = services.blobs.clone().filter(|_| cast.serves(Role::Blob)) {
        let service = meridian_blob_service::blob_server(service);
        let served = grpc::serve("blob", service, |routes| routes, doors.blob, supervisor);
        served.await.map_err(|error| Exit::classified(&error))?;
    }
    let registry = config.frontend.registry.clone();
    if cast.has(Role::Frontend) {
        let backends = Backends {
            metadata: services.metadata(others, supervisor),
            blobs: services.blobs(others, supervisor),
        };
        let started =
            meridian_frontend::start_on(doors.frontend, config.frontend, backends, supervisor);
        started.map_err(|error| Exit::classified(&error))?;
    }
    match directory {
        Some(directory) => {
            let admin = Admin {
                metadata: services.metadata,
                blobs: services.blobs,
                registry,
            };
            admin::serve(admin, &directory.admin_socket(), supervisor)
        }
        None => Ok(()),
    }
}

/// Says what this process is when it does its work: not before.
fn announce(places: Places, tell: fn(&Places), supervisor: &Supervisor) {
    let (readiness, stop) = (supervisor.readiness().clone(), supervisor.token());
    supervisor.spawner().spawn_child("announce", async move {
        if stop.run_until_cancelled(readiness.ready()).await.is_some() {
            tell(&places);
        }
    });
}

// === impl Services ===

impl Services {
    /// Starts those that keep data, each after what it calls.
    async fn start(
        config: &Config,
        cast: &Cast,
        others: &Others,
        directory: Option<&Directory>,
        supervisor: &mut Supervisor,
    ) -> Result<Self, Exit> {
        let mut services = Self {
            metadata: None,
            blobs: None,
        };
        let Some(directory) = directory else {
            return Ok(services);
        };
        if cast.has(Role::Metadata) {
            let metadata = embedded::start_metadata(config, directory, supervisor).await?;
            services.metadata = Some(metadata);
        }
        if cast.has(Role::Blob) {
            let metadata = services.metadata(others, supervisor);
            let blobs = embedded::start_blobs(config, directory, metadata, supervisor).await?;
            services.blobs = Some(blobs);
        }
        Ok(services)
    }

    fn metadata(&self, others: &Others, supervisor: &Supervisor) -> Arc<dyn MetadataApi> {
        match &self.metadata {
            Some(here) => Arc::clone(here) as _,
            None => others.metadata(supervisor),
        }
    }

    fn blobs(&self, others: &Others, supervisor: &Supervisor) -> Arc<dyn BlobApi> {
        match &self.blobs {
            Some(here) => Arc::clone(here) as _,
            None => others.blobs(supervisor),
        }
    }
}
