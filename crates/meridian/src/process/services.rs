//! The services that keep data, those of this process.
//!
//! Keeps the invariant that each is started after what it calls, and called directly by what runs beside
//! it. Leaves to [`embedded`](super::embedded) what they stand on.

use std::sync::Arc;

use meridian_blob_service::BlobService;
use meridian_chassis::Supervisor;
use meridian_chassis::http::ListenAddress;
use meridian_clients::replica::ReplicaApi;
use meridian_clients::webhook::WebhookApi;
use meridian_clients::{BlobApi, IngestApi, MetadataApi};
use meridian_eventlog::{EventLog, Topic};
use meridian_metadata_service::MetadataService;

use super::caches::Caches;
use super::directory::Directory;
use super::others::Others;
use super::{Peers, embedded};
use crate::config::Config;
use crate::exit::Exit;
use crate::management::{Checks, EventSight};
use crate::role::{Cast, Role};

/// The services that run here.
pub(super) struct Services {
    pub(super) metadata: Option<Arc<MetadataService>>,
    pub(super) blobs: Option<Arc<BlobService>>,
    /// Where the metadata service publishes events.
    pub(super) events: Option<Arc<dyn EventLog>>,
}

// === impl Services ===

impl Services {
    /// Starts those that keep data, each after what it calls.
    pub(super) async fn start(
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
    pub(super) fn checks(
        &self,
        config: &Config,
        frontends: &[ListenAddress],
    ) -> Result<Checks, Exit> {
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

    pub(super) fn metadata(
        &self,
        others: &Others,
        supervisor: &Supervisor,
    ) -> Arc<dyn MetadataApi> {
        match &self.metadata {
            Some(here) => Arc::clone(here) as _,
            None => others.metadata(supervisor),
        }
    }

    pub(super) fn blobs(&self, others: &Others, supervisor: &Supervisor) -> Arc<dyn BlobApi> {
        match &self.blobs {
            Some(here) => Arc::clone(here) as _,
            None => others.blobs(supervisor),
        }
    }

    /// The metadata as the agent sees it.
    pub(super) fn replica(&self, others: &Others, supervisor: &Supervisor) -> Arc<dyn ReplicaApi> {
        match &self.metadata {
            Some(here) => Arc::clone(here) as _,
            None => others.replica(supervisor),
        }
    }

    /// The webhooks of this region.
    pub(super) fn webhooks(&self, others: &Others, supervisor: &Supervisor) -> Arc<dyn WebhookApi> {
        match &self.metadata {
            Some(here) => Arc::clone(here) as _,
            None => others.webhooks(supervisor),
        }
    }

    /// Where blobs go that come from other regions.
    pub(super) fn ingest(&self, others: &Others, supervisor: &Supervisor) -> Arc<dyn IngestApi> {
        match &self.blobs {
            Some(here) => Arc::clone(here) as _,
            None => others.ingest(supervisor),
        }
    }
}
