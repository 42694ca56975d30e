//! What a process starts, in which order, and on which doors.

use std::sync::Arc;

use meridian_chassis::Supervisor;
use meridian_chassis::grpc;
use meridian_chassis::http::{ListenAddress, Listener};
use meridian_chassis::identity::Reach;
use meridian_clients::regions::RegionsApi;
use meridian_frontend::{Backends, LinkMaker, Regions};
use meridian_replication_agent::{ForeignSessions, PeerService, ReplicationAgent};
use meridian_webhook_dispatcher::Controls;
use tonic::service::Routes;

use super::caches::Caches;
use super::directory::Directory;
use super::doors::Doors;
use super::services::Services;
use super::{Abroad, Peers, agents, data, metrics, webhooks};
use crate::config::Config;
use crate::exit::Exit;
use crate::management::{self, Managed, Neighbours};
use crate::role::{Cast, Role};

/// Where a process plays its roles.
#[derive(Clone, Copy)]
pub(super) struct Stage<'a> {
    pub(super) cast: &'a Cast,
    pub(super) peers: &'a Peers,
    pub(super) abroad: &'a Abroad,
    pub(super) directory: Option<&'a Directory>,
}

/// What has been started so far.
struct Started {
    services: Services,
    agent: Option<ReplicationAgent>,
    webhooks: Option<Controls>,
    maker: Option<LinkMaker>,
    caches: Option<Caches>,
}

// === impl Stage ===

impl Stage<'_> {
    /// Starts all of it.
    pub(super) async fn start(
        self,
        config: Config,
        mut doors: Doors,
        supervisor: &mut Supervisor,
    ) -> Result<(), Exit> {
        let frontends = doors.frontend.iter().filter_map(Listener::address);
        let frontends: Vec<_> = frontends.collect();
        let started = self.start_services(&config, &frontends, supervisor);
        let started = started.await?;
        let (services, maker) = (&started.services, started.maker.as_ref());
        metrics::of_services(services, supervisor.metrics());
        self.serve(services, &mut doors, supervisor).await;
        if let Some(blobs) = services.blobs.clone().filter(|_| !doors.data.is_empty()) {
            let data = std::mem::take(&mut doors.data);
            data::serve(&config.blob.data, data, blobs, maker, supervisor)?;
        }
        if let Some(agent) = started.agent.clone() {
            self.serve_agent(agent, services, &config, &mut doors, supervisor)
                .await;
        }
        self.open(started, config, doors, supervisor)
    }

    async fn start_services(
        self,
        config: &Config,
        frontends: &[ListenAddress],
        supervisor: &mut Supervisor,
    ) -> Result<Started, Exit> {
        let caches = match self.cast.uses_cache() {
            true => Some(Caches::open(config, supervisor.metrics())?),
            false => None,
        };
        let services = Services::start(
            config,
            self.cast,
            self.peers,
            self.directory,
            caches.as_ref(),
            supervisor,
        );
        let services = services.await?;
        if let Some(events) = &services.events {
            self.abroad.own.put(events.clone());
        }
        let agent = match self.directory.filter(|_| self.cast.has(Role::Replication)) {
            Some(directory) => {
                Some(agents::start(self, config, &services, directory, supervisor).await?)
            }
            None => None,
        };
        let webhooks = match self.directory.filter(|_| self.cast.has(Role::Webhooks)) {
            Some(directory) => Some(
                webhooks::start(self, config, &services, directory, frontends, supervisor).await?,
            ),
            None => None,
        };
        let maker = data::maker(config, self.cast)?;
        Ok(Started {
            services,
            agent,
            webhooks,
            maker,
            caches,
        })
    }

    /// Serves those that keep data to the other processes of the region.
    async fn serve(self, services: &Services, doors: &mut Doors, supervisor: &Supervisor) {
        let metadata = services.metadata.clone();
        if let Some(service) = metadata.filter(|_| self.cast.serves(Role::Metadata)) {
            let member = service.raft_server();
            let replica = meridian_metadata_service::replica_server(service.clone());
            let webhooks = meridian_metadata_service::webhooks_server(service.clone());
            let service = meridian_metadata_service::metadata_server(service);
            let beside = |routes: Routes| {
                let routes = routes.add_service(member).add_service(replica);
                routes.add_service(webhooks)
            };
            let doors = std::mem::take(&mut doors.metadata);
            let port = self.peers.port(Role::Metadata, Reach::Home, doors);
            grpc::serve(port, service, beside, supervisor).await;
        }
        let blobs = services.blobs.clone();
        if let Some(service) = blobs.filter(|_| self.cast.serves(Role::Blob)) {
            let ingest = meridian_blob_service::ingest_server(service.clone());
            let service = meridian_blob_service::blob_server(service);
            let beside = |routes: Routes| routes.add_service(ingest);
            let doors = std::mem::take(&mut doors.blob);
            let port = self.peers.port(Role::Blob, Reach::Home, doors);
            grpc::serve(port, service, beside, supervisor).await;
        }
    }

    /// Serves an agent to the frontends of the region, and to other regions; to their frontends the
    /// uploads that were begun here.
    async fn serve_agent(
        self,
        agent: ReplicationAgent,
        services: &Services,
        config: &Config,
        doors: &mut Doors,
        supervisor: &Supervisor,
    ) {
        let others = &self.peers.others;
        if self.cast.serves(Role::Replication) {
            let service = meridian_replication_agent::regions_server(Arc::new(agent.clone()));
            let listeners = std::mem::take(&mut doors.replication);
            let port = self.peers.port(Role::Replication, Reach::Home, listeners);
            grpc::serve(port, service, |routes| routes, supervisor).await;
        }
        let regions = config.regions.keys().copied();
        let reach = Reach::Abroad(regions.collect());
        let listeners = std::mem::take(&mut doors.peers);
        let port = self.peers.port(Role::Replication, reach, listeners);
        let blobs = services.blobs(others, supervisor);
        let replica = services.replica(others, supervisor);
        let metadata = services.metadata(others, supervisor);
        let peer = PeerService::new(replica, metadata, Arc::clone(&blobs));
        let peer = peer.beside(agent);
        let service = meridian_replication_agent::peer_server(Arc::new(peer));
        let sessions = Arc::new(ForeignSessions::new(blobs));
        let blobs = meridian_blob_service::blob_server(sessions);
        let beside = |routes: Routes| routes.add_service(blobs);
        grpc::serve(port, service, beside, supervisor).await;
    }

    /// What frontends have of other regions, if there are any.
    fn regions(self, agent: Option<&ReplicationAgent>, config: &Config) -> Option<Regions> {
        let others = &self.peers.others;
        let api: Option<Arc<dyn RegionsApi>> = match agent {
            Some(here) => Some(Arc::new(here.clone())),
            None => others.regions(),
        };
        api.map(|api| Regions {
            here: config.region,
            api,
            peers: others.blobs_abroad(),
        })
    }

    /// Lets clients and operators in.
    fn open(
        self,
        started: Started,
        config: Config,
        mut doors: Doors,
        supervisor: &mut Supervisor,
    ) -> Result<(), Exit> {
        let (services, others) = (started.services, &self.peers.others);
        let frontends = doors.frontend.iter().filter_map(Listener::address);
        let frontends: Vec<_> = frontends.collect();
        let checks = services.checks(&config, &frontends)?;
        let registry = config.frontend.registry.clone();
        let regions = self.regions(started.agent.as_ref(), &config);
        if let Some(caches) = started.caches.filter(|_| self.cast.has(Role::Frontend)) {
            let backends = Backends {
                metadata: services.metadata(others, supervisor),
                blobs: services.blobs(others, supervisor),
                links: started.maker,
                counters: caches.counters(),
                regions: regions.clone(),
            };
            let listeners = std::mem::take(&mut doors.frontend);
            let started =
                meridian_frontend::start_on(listeners, config.frontend, backends, supervisor);
            started.map_err(|error| Exit::classified(&error))?;
        }
        let mut managing = doors.management;
        if let Some(directory) = self.directory {
            let socket = Listener::bind(&ListenAddress::Unix(directory.admin_socket()));
            managing.push(socket.map_err(|error| Exit::classified(&error))?);
        }
        let managed = Managed {
            metadata: services.metadata,
            blobs: services.blobs,
            regions: regions.map(|regions| Neighbours {
                here: config.region,
                others: config.regions.keys().copied().collect(),
                api: regions.api,
            }),
            webhooks: started.webhooks,
            registry,
            checks,
        };
        let tokens = self.peers.tokens.clone();
        management::serve(managed, managing, config.management, tokens, supervisor)
    }
}
