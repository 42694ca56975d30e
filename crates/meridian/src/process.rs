//! A process of Meridian, from its settings to its end, whichever services it runs.
//!
//! Owns the order: what can be wrong with the settings is looked at before anything is opened, then
//! the data directory is taken, then each service is started after those that it calls, and what
//! the process is gets told when it does its work. A service that runs here is called directly, one
//! that does not over gRPC; nobody can tell which. Leaves to the services what they do.
//!
//! ```text
//! settings ── doors bound ── identity read ── others found ── directory taken ── metadata ── blob
//!          ── frontend ── told
//! ```

mod caches;
mod data;
mod directory;
mod doors;
mod embedded;
mod judge;
mod metrics;
mod others;

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use meridian_blob_service::BlobService;
use meridian_chassis::grpc::{self, Port};
use meridian_chassis::http::{ListenAddress, Listener};
use meridian_chassis::identity::Identity;
use meridian_chassis::telemetry::Telemetry;
use meridian_chassis::token::Tokens;
use meridian_chassis::{Supervisor, panic_hook, probes, signals, telemetry};
use meridian_clients::{BlobApi, MetadataApi};
use meridian_eventlog::{EventLog, Topic};
use meridian_frontend::Backends;
use meridian_metadata_service::MetadataService;
use tonic::service::Routes;

use crate::config::Config;
use crate::exit::Exit;
use crate::management::{self, Checks, EventSight, Managed};
use crate::role::{Cast, Role};
use caches::Caches;
pub(crate) use directory::Directory;
use doors::Doors;
use others::Others;

pub(crate) use directory::admin_socket;

/// Where a process listens, and where its data lie.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) frontend: Vec<ListenAddress>,
    pub(crate) is_tls: bool,
    pub(crate) is_mutual: bool,
    pub(crate) blob: Vec<ListenAddress>,
    pub(crate) data: Vec<ListenAddress>,
    pub(crate) is_data_tls: bool,
    pub(crate) metadata: Vec<ListenAddress>,
    pub(crate) management: Vec<ListenAddress>,
    pub(crate) is_managed_by_tls: bool,
    pub(crate) data_dir: Option<PathBuf>,
}

/// The other processes of the region, and who this one is to them.
struct Peers {
    others: Others,
    identity: Option<Identity>,
    has_reflection: bool,
    /// What operators show.
    tokens: Option<Tokens>,
}

/// The services that run here.
struct Services {
    metadata: Option<Arc<MetadataService>>,
    blobs: Option<Arc<BlobService>>,
    /// Where the metadata service publishes events.
    events: Option<Arc<dyn EventLog>>,
}

/// Serves until it is asked to stop. `tell` is called when the process does its work.
pub(crate) async fn serve(config: Config, cast: &Cast, tell: fn(&Places)) -> Result<(), Exit> {
    let telemetry = telemetry::install(&config.log, &config.telemetry, &cast.to_string());
    let mut telemetry = telemetry.map_err(|error| Exit::classified(&error))?;
    panic_hook::install();
    let ended = Box::pin(live(config, cast, tell, &mut telemetry)).await;
    telemetry.close().await;
    ended
}

async fn live(
    mut config: Config,
    cast: &Cast,
    tell: fn(&Places),
    telemetry: &mut Telemetry,
) -> Result<(), Exit> {
    judge::judge(&config, cast)?;
    let mut stop = pin!(signals());
    let mut doors = Doors::bind(&config, cast)?;
    data::settle(&mut config, cast, &doors);
    let tokens = config.management.tokens()?;
    let identity = identity(&config, cast)?;
    let others = Others::find(&config.services, cast, identity.as_ref())?;
    let directory = match cast.keeps_data() {
        true => Some(Directory::claim(data_dir(&config)?)?),
        false => None,
    };
    if let Some(directory) = &directory {
        embedded::complete(&mut config, cast, directory)?;
    }
    let places = Places {
        is_tls: config.frontend.tls.is_some(),
        is_data_tls: config.blob.data.tls.is_some(),
        is_managed_by_tls: config.management.tls.is_some(),
        is_mutual: identity.is_some(),
        data_dir: directory.as_ref().map(|it| it.root().to_owned()),
        ..doors.places()
    };
    let grace = config.grace;
    let mut supervisor = Supervisor::new();
    telemetry.measure(&supervisor);
    if let Some(identity) = &identity {
        let renewed = identity.renew(supervisor.token());
        supervisor.spawner().spawn_child("identity", renewed);
        metrics::of_identity(identity, supervisor.metrics());
    }
    probes::serve(std::mem::take(&mut doors.probes), &supervisor);
    let peers = Peers {
        others,
        identity,
        has_reflection: config.grpc.reflection,
        tokens,
    };
    let started = tokio::select! {
        started = start(config, cast, doors, &peers, directory.as_ref(), &mut supervisor) => {
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

/// By what the processes of the region know this one, if it speaks with any.
fn identity(config: &Config, cast: &Cast) -> Result<Option<Identity>, Exit> {
    let Some(settings) = config.identity.clone().filter(|_| cast.has_peers()) else {
        return Ok(None);
    };
    let roles: Vec<_> = cast.roles().map(Role::identity).collect();
    let identity = Identity::load(settings, config.region, &roles);
    identity.map(Some).map_err(|error| Exit::classified(&error))
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
    peers: &Peers,
    directory: Option<&Directory>,
    supervisor: &mut Supervisor,
) -> Result<(), Exit> {
    let others = &peers.others;
    let frontends = doors.frontend.iter().filter_map(Listener::address);
    let frontends: Vec<_> = frontends.collect();
    let caches = match cast.uses_cache() {
        true => Some(Caches::open(&config, supervisor.metrics())?),
        false => None,
    };
    let caches = caches.as_ref();
    let services = Services::start(&config, cast, peers, directory, caches, supervisor).await?;
    metrics::of_services(&services, supervisor.metrics());
    if let Some(service) = services
        .metadata
        .clone()
        .filter(|_| cast.serves(Role::Metadata))
    {
        let member = service.raft_server();
        let service = meridian_metadata_service::metadata_server(service);
        let beside = |routes: Routes| routes.add_service(member);
        let port = peers.port(Role::Metadata, doors.metadata);
        grpc::serve(port, service, beside, supervisor).await;
    }
    if let Some(service) = services.blobs.clone().filter(|_| cast.serves(Role::Blob)) {
        let service = meridian_blob_service::blob_server(service);
        let port = peers.port(Role::Blob, doors.blob);
        grpc::serve(port, service, |routes| routes, supervisor).await;
    }
    let maker = data::maker(&config, cast)?;
    if let Some(blobs) = services.blobs.clone().filter(|_| !doors.data.is_empty()) {
        data::serve(
            &config.blob.data,
            doors.data,
            blobs,
            maker.as_ref(),
            supervisor,
        )?;
    }
    let checks = services.checks(&config, &frontends)?;
    let registry = config.frontend.registry.clone();
    let mut managing = doors.management;
    if let Some(caches) = caches.filter(|_| cast.has(Role::Frontend)) {
        let backends = Backends {
            metadata: services.metadata(others, supervisor),
            blobs: services.blobs(others, supervisor),
            links: maker,
            counters: caches.counters(),
            regions: None,
        };
        let started =
            meridian_frontend::start_on(doors.frontend, config.frontend, backends, supervisor);
        started.map_err(|error| Exit::classified(&error))?;
    }
    if let Some(directory) = directory {
        let socket = Listener::bind(&ListenAddress::Unix(directory.admin_socket()));
        managing.push(socket.map_err(|error| Exit::classified(&error))?);
    }
    let managed = Managed {
        metadata: services.metadata,
        blobs: services.blobs,
        registry,
        checks,
    };
    let tokens = peers.tokens.clone();
    management::serve(managed, managing, config.management, tokens, supervisor)
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

// === impl Peers ===

impl Peers {
    fn port(&self, role: Role, listeners: Vec<Listener>) -> Port {
        Port {
            role: role.identity(),
            listeners,
            identity: self.identity.clone(),
            methods: meridian_proto::METHODS,
            reflection: self.has_reflection.then_some(meridian_proto::DESCRIPTORS),
        }
    }
}

// === impl Services ===

impl Services {
    /// Starts those that keep data, each after what it calls.
    async fn start(
        config: &Config,
        cast: &Cast,
        peers: &Peers,
        directory: Option<&Directory>,
        caches: Option<&Caches>,
        supervisor: &mut Supervisor,
    ) -> Result<Self, Exit> {
        let mut services = Self {
            metadata: None,
            blobs: None,
            events: None,
        };
        let Some(directory) = directory else {
            return Ok(services);
        };
        if cast.has(Role::Metadata) {
            let (metadata, events) =
                embedded::start_metadata(config, peers.identity.as_ref(), directory, supervisor)
                    .await?;
            services.metadata = Some(metadata);
            services.events = Some(events);
        }
        if let Some(caches) = caches.filter(|_| cast.has(Role::Blob)) {
            let metadata = services.metadata(&peers.others, supervisor);
            let cache = caches.widest();
            let blobs = embedded::start_blobs(config, directory, metadata, cache, supervisor);
            let blobs = blobs.await?;
            services.blobs = Some(blobs);
        }
        Ok(services)
    }

    /// How the region is checked from here.
    fn checks(&self, config: &Config, frontends: &[ListenAddress]) -> Result<Checks, Exit> {
        let sight = self.metadata.as_ref().zip(self.events.as_ref());
        let sight = sight.map(|(metadata, events)| EventSight {
            log: Arc::clone(events),
            topic: Topic::events(config.region),
            metadata: Arc::clone(metadata) as _,
        });
        let registry = config.frontend.registry.clone();
        let is_tls = config.frontend.tls.is_some();
        Checks::new(&config.management.check, frontends, is_tls, registry, sight)
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
