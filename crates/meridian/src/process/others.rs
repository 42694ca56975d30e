//! The services that other processes run, of this region and of others.
//!
//! Owns their clients, and what their absence means to the readiness of this process: it is not
//! ready until each has answered once. From then on an absence is told to those who ask, each time:
//! all frontends miss the same service at the same moment, and if all of them stepped back from
//! their load balancer for it, nobody would be left to answer what needs no service, or to say when
//! to come again. Other regions, and the agents that look there, are not waited for at all: a region
//! stands on its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use meridian_chassis::Supervisor;
use meridian_chassis::health::Condition;
use meridian_chassis::identity::Identity;
use meridian_chassis::telemetry::trace;
use meridian_clients::grpc::{
    Channel, EndpointError, GrpcBlobs, GrpcConfig, GrpcIngest, GrpcMetadata, GrpcPeer, GrpcRegions,
    GrpcReplica, GrpcWebhooks, Ways, channel, secured,
};
use meridian_clients::peer::PeerApi;
use meridian_clients::regions::RegionsApi;
use meridian_clients::replica::ReplicaApi;
use meridian_clients::webhook::WebhookApi;
use meridian_clients::{BlobApi, IngestApi, MetadataApi};
use meridian_clock::Region;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::config::{Config, Endpoints};
use crate::exit::Exit;
use crate::role::{Cast, Role};

/// How long a service may take to say whether it serves.
const ANSWER: Duration = Duration::from_secs(2);
/// Between two times that it is asked.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How many connections for content there are to each agent of another region. Over a long way one gets no
/// more than what it may have in flight for each round trip.
const LANES: usize = 8;

/// Services of other processes. A connection is made when it is needed.
pub(super) struct Others {
    metadata: Option<Other>,
    blob: Option<Other>,
    replication: Option<Ways>,
    /// The agents of other regions, for questions,
    abroad: BTreeMap<Region, Ways>,
    /// and for content, which fills its connections.
    content_abroad: BTreeMap<Region, Ways>,
    calls: GrpcConfig,
}

/// A service of another process.
struct Other {
    role: Role,
    /// What it is to the health protocol.
    service: &'static str,
    endpoints: String,
    ways: Ways,
    /// Whether it is being waited for, or was.
    is_expected: AtomicBool,
}

// === impl Others ===

impl Others {
    /// Those that `cast` calls, where the settings say; whether they are there is not asked yet.
    pub(super) fn find(
        config: &Config,
        cast: &Cast,
        identity: Option<&Identity>,
    ) -> Result<Self, Exit> {
        let services = &config.services;
        let faults = services.calls.faults();
        if !faults.is_empty() {
            let lines = faults.iter().map(|fault| format!("services.calls.{fault}"));
            return Err(Exit::misconfigured_in(lines.collect()));
        }
        let calls = services.calls.clone();
        let home = config.region;
        let find = |role: Role, service, endpoints: &Endpoints| -> Result<_, Exit> {
            if !cast.calls(role) {
                return Ok(None);
            }
            let key = format!("services.{role}");
            let ways = ways(&key, (home, role), (endpoints, 1), &calls, identity)?;
            let endpoints = endpoints.all().join(", ");
            Ok(Some(Other {
                role,
                service,
                endpoints,
                ways,
                is_expected: AtomicBool::new(false),
            }))
        };
        let metadata = meridian_metadata_service::GRPC_SERVICE;
        let blob = meridian_blob_service::GRPC_SERVICE;
        Ok(Self {
            metadata: find(Role::Metadata, metadata, &services.metadata)?,
            blob: find(Role::Blob, blob, &services.blob)?,
            replication: match cast.calls(Role::Replication) && !config.regions.is_empty() {
                true => {
                    let (key, to) = ("services.replication", (home, Role::Replication));
                    Some(ways(key, to, (&services.replication, 1), &calls, identity)?)
                }
                false => None,
            },
            abroad: match cast.calls_abroad() {
                true => abroad(config, &calls, identity, 1)?,
                false => BTreeMap::new(),
            },
            content_abroad: match cast.calls_abroad() {
                true => abroad(config, &calls, identity, LANES)?,
                false => BTreeMap::new(),
            },
            calls,
        })
    }

    pub(super) fn metadata(&self, supervisor: &Supervisor) -> Arc<dyn MetadataApi> {
        let ways = called(self.metadata.as_ref()).expect(supervisor);
        Arc::new(GrpcMetadata::over(ways, &self.calls))
    }

    pub(super) fn blobs(&self, supervisor: &Supervisor) -> Arc<dyn BlobApi> {
        let ways = called(self.blob.as_ref()).expect(supervisor);
        Arc::new(GrpcBlobs::over(ways, &self.calls))
    }

    /// The metadata, as agents see it.
    pub(super) fn replica(&self, supervisor: &Supervisor) -> Arc<dyn ReplicaApi> {
        let ways = called(self.metadata.as_ref()).expect(supervisor);
        Arc::new(GrpcReplica::over(ways, &self.calls))
    }

    /// The webhooks of this region.
    pub(super) fn webhooks(&self, supervisor: &Supervisor) -> Arc<dyn WebhookApi> {
        let ways = called(self.metadata.as_ref()).expect(supervisor);
        Arc::new(GrpcWebhooks::over(ways, &self.calls))
    }

    /// Where blobs go that come from other regions.
    pub(super) fn ingest(&self, supervisor: &Supervisor) -> Arc<dyn IngestApi> {
        let ways = called(self.blob.as_ref()).expect(supervisor);
        Arc::new(GrpcIngest::over(ways, &self.calls))
    }

    /// The agents of another region.
    pub(super) fn peer(&self, region: Region) -> Arc<dyn PeerApi> {
        let of = |ways: &BTreeMap<Region, Ways>| {
            let ways = ways.get(&region).cloned();
            ways.expect("a region of the settings was found")
        };
        let peer = GrpcPeer::over(of(&self.abroad), &self.calls.between_regions());
        Arc::new(peer.with_content_over(of(&self.content_abroad)))
    }

    /// What the agents of this region know of others, if there are any.
    pub(super) fn regions(&self) -> Option<Arc<dyn RegionsApi>> {
        let ways = self.replication.clone()?;
        Some(Arc::new(GrpcRegions::over(ways, &self.calls)))
    }

    /// The blob services of other regions, for uploads that were begun there.
    pub(super) fn blobs_abroad(&self) -> BTreeMap<Region, Arc<dyn BlobApi>> {
        let blobs = self.content_abroad.iter().map(|(region, ways)| {
            let blobs = GrpcBlobs::over(ways.clone(), &self.calls.between_regions());
            (*region, Arc::new(blobs) as Arc<dyn BlobApi>)
        });
        blobs.collect()
    }
}

/// The ways to the agents of each other region.
fn abroad(
    config: &Config,
    calls: &GrpcConfig,
    identity: Option<&Identity>,
    lanes: usize,
) -> Result<BTreeMap<Region, Ways>, Exit> {
    let calls = calls.between_regions();
    let regions = config.regions.iter().map(|(name, region)| {
        let (key, to) = (
            format!("regions.{name}.endpoints"),
            (*name, Role::Replication),
        );
        let ways = ways(&key, to, (&region.endpoints, lanes), &calls, identity)?;
        Ok((*name, ways))
    });
    regions.collect()
}

fn called(other: Option<&Other>) -> &Other {
    other.expect("what a cast calls was found for it")
}

// === impl Other ===

impl Other {
    /// The ways there. Keeps this process from being ready until the service was there once.
    fn expect(&self, supervisor: &Supervisor) -> Ways {
        if self.is_expected.swap(true, Ordering::Relaxed) {
            return self.ways.clone();
        }
        let name = format!("{} service", self.role);
        let condition = supervisor.readiness().condition(name.clone());
        let health = HealthClient::new(self.ways.clone());
        let (service, endpoints) = (self.service, self.endpoints.clone());
        let stop = supervisor.token();
        supervisor
            .spawner()
            .spawn_child("first contact", async move {
                let met = meet(health, service, &condition, |why| {
                    tracing::info!(endpoints, why, "waiting for the {name}");
                });
                if stop.run_until_cancelled(met).await.is_some() {
                    tracing::info!(endpoints, "the {name} is there");
                }
            });
        self.ways.clone()
    }
}

/// The ways to all instances of a role in a region, which the settings name under that key; so many to
/// each.
fn ways(
    key: &str,
    to: (Region, Role),
    (endpoints, lanes): (&Endpoints, usize),
    calls: &GrpcConfig,
    identity: Option<&Identity>,
) -> Result<Ways, Exit> {
    let wrong = |why: String| Exit::misconfigured(format!("{key}: {why}"));
    if endpoints.all().is_empty() {
        return Err(wrong("empty; name where it is found".to_owned()));
    }
    let all = std::iter::repeat_n(endpoints.all(), lanes).flatten();
    let channels = all.map(|endpoint| {
        let channel = connect(to, endpoint, calls, identity);
        channel.map_err(|error| wrong(error.to_string()))
    });
    Ok(Ways::new(channels.collect::<Result<Vec<_>, _>>()?))
}

/// The way to an instance of a role in a region.
pub(super) fn connect(
    (region, role): (Region, Role),
    endpoint: &str,
    calls: &GrpcConfig,
    identity: Option<&Identity>,
) -> Result<Channel, EndpointError> {
    let Some(identity) = identity else {
        return Ok(channel(endpoint, calls)?.with_outbound(trace::inject));
    };
    let connector = identity.connector_to(region, role.identity());
    secured(
        endpoint,
        calls,
        identity.connection_age(),
        move |endpoint| endpoint.connect_with_connector_lazy(connector.clone()),
    )
    .map(|channel| channel.with_outbound(trace::inject))
}

/// Returns when `service` says that it serves. `absent` is called once if it does not at first.
async fn meet(
    mut health: HealthClient<Ways>,
    service: &str,
    condition: &Condition,
    absent: impl FnOnce(&str),
) {
    let mut absent = Some(absent);
    let mut pause = FIRST_PAUSE;
    loop {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let why = match tokio::time::timeout(ANSWER, health.check(request)).await {
            Ok(Ok(answer)) if answer.get_ref().status() == ServingStatus::Serving => {
                return condition.set();
            }
            Ok(Ok(_not_serving)) => "it does not serve yet".to_owned(),
            Ok(Err(status)) => meridian_error::chain(&status),
            Err(_elapsed) => "it does not answer".to_owned(),
        };
        tracing::debug!(service, why, "not there yet");
        if let Some(absent) = absent.take() {
            absent(&why);
        }
        condition.unset(why);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
