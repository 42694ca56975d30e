//! The services that other processes run.
//!
//! Owns their clients, and what their absence means to the readiness of this process: it is not
//! ready until each has answered once. From then on an absence is told to those who ask, each time:
//! all frontends miss the same service at the same moment, and if all of them stepped back from
//! their load balancer for it, nobody would be left to answer what needs no service, or to say when
//! to come again.

use std::sync::Arc;
use std::time::Duration;

use meridian_chassis::Supervisor;
use meridian_chassis::health::Condition;
use meridian_chassis::identity::Identity;
use meridian_chassis::telemetry::trace;
use meridian_clients::grpc::{
    Channel, EndpointError, GrpcBlobs, GrpcConfig, GrpcMetadata, Ways, channel, secured,
};
use meridian_clients::{BlobApi, MetadataApi};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::config::{Endpoints, Services};
use crate::exit::Exit;
use crate::role::{Cast, Role};

/// How long a service may take to say whether it serves.
const ANSWER: Duration = Duration::from_secs(2);
/// Between two times that it is asked.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Services of other processes. A connection is made when it is needed.
pub(super) struct Others {
    metadata: Option<Other>,
    blob: Option<Other>,
    calls: GrpcConfig,
}

/// A service of another process.
struct Other {
    role: Role,
    /// What it is to the health protocol.
    service: &'static str,
    endpoints: String,
    ways: Ways,
}

// === impl Others ===

impl Others {
    /// Those that `cast` calls, where the settings say; whether they are there is not asked yet.
    pub(super) fn find(
        services: &Services,
        cast: &Cast,
        identity: Option<&Identity>,
    ) -> Result<Self, Exit> {
        let faults = services.calls.faults();
        if !faults.is_empty() {
            let lines = faults.iter().map(|fault| format!("services.calls.{fault}"));
            return Err(Exit::misconfigured_in(lines.collect()));
        }
        let calls = services.calls.clone();
        let find = |role, service, endpoint| {
            let called = cast.calls(role);
            called
                .then(|| Other::find(role, service, endpoint, &calls, identity))
                .transpose()
        };
        let metadata = meridian_metadata_service::GRPC_SERVICE;
        let blob = meridian_blob_service::GRPC_SERVICE;
        Ok(Self {
            metadata: find(Role::Metadata, metadata, &services.metadata)?,
            blob: find(Role::Blob, blob, &services.blob)?,
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
}

fn called(other: Option<&Other>) -> &Other {
    other.expect("what a cast calls was found for it")
}

// === impl Other ===

impl Other {
    fn find(
        role: Role,
        service: &'static str,
        endpoints: &Endpoints,
        calls: &GrpcConfig,
        identity: Option<&Identity>,
    ) -> Result<Self, Exit> {
        let wrong = |why: String| Exit::misconfigured(format!("services.{role}: {why}"));
        if endpoints.all().is_empty() {
            return Err(wrong("empty; name where it is found".to_owned()));
        }
        let channels = endpoints.all().iter().map(|endpoint| {
            let channel = connect(role, endpoint, calls, identity);
            channel.map_err(|error| wrong(error.to_string()))
        });
        Ok(Self {
            role,
            service,
            endpoints: endpoints.all().join(", "),
            ways: Ways::new(channels.collect::<Result<Vec<_>, _>>()?),
        })
    }

    /// The ways there. Keeps this process from being ready until the service was there once.
    fn expect(&self, supervisor: &Supervisor) -> Ways {
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

/// The way to an instance of a role.
pub(super) fn connect(
    role: Role,
    endpoint: &str,
    calls: &GrpcConfig,
    identity: Option<&Identity>,
) -> Result<Channel, EndpointError> {
    let Some(identity) = identity else {
        return Ok(channel(endpoint, calls)?.with_outbound(trace::inject));
    };
    let connector = identity.connector(role.identity());
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
