//! A service on a directory, and a server in front of it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use meridian_chassis::Supervisor;
use meridian_chassis::config::ByteSize;
use meridian_chassis::http::{HttpConfig, HttpServer, ListenAddress, Listener};
use meridian_clients::conformance::metadata::{GRACE, LEASE};
use meridian_clients::grpc::{GrpcConfig, GrpcMetadata};
use meridian_clock::ManualClock;
use meridian_eventlog::EventLog;
use meridian_metadata_service::{
    Config, GRPC_SERVICE, MetadataService, Ports, Retention, metadata_server, replica_server,
};
use tonic::service::Routes;
use tonic_health::ServingStatus;

/// A service that runs.
pub(crate) struct Life {
    pub(crate) service: MetadataService,
    pub(crate) supervisor: Supervisor,
}

impl Life {
    pub(crate) async fn new(
        folder: &Path,
        events: Arc<dyn EventLog>,
        clock: Arc<ManualClock>,
    ) -> Self {
        Self::in_region("local", folder, events, clock).await
    }

    /// A service of that region.
    pub(crate) async fn in_region(
        region: &str,
        folder: &Path,
        events: Arc<dyn EventLog>,
        clock: Arc<ManualClock>,
    ) -> Self {
        let config = Config {
            region: region.parse().unwrap(),
            data_dir: folder.to_owned(),
            retention: Retention {
                lease: LEASE,
                grace: GRACE,
                ..Retention::default()
            },
            ..Config::default()
        };
        let mut supervisor = Supervisor::new();
        let dial = |endpoint: &str| {
            let channel = meridian_clients::grpc::channel(endpoint, &GrpcConfig::default());
            channel.map_err(|error| error.to_string())
        };
        let ports = Ports {
            events,
            clock,
            dial: Arc::new(dial),
        };
        let service = meridian_metadata_service::start(config, ports, &mut supervisor);
        let service = service.await.unwrap();
        Self {
            service,
            supervisor,
        }
    }

    /// Serves on `address`; returns the one that was bound.
    pub(crate) fn serve(&self, address: SocketAddr) -> SocketAddr {
        let listener = Listener::bind(&ListenAddress::Tcp(address)).unwrap();
        let bound = listener.tcp_address().unwrap();
        let mut limits = HttpConfig::internal();
        limits.http2.max_concurrent_streams = 1024;
        limits.http2.connection_window = ByteSize::mib(64);
        let (health, health_server) = tonic_health::server::health_reporter();
        let routes = Routes::new(metadata_server(Arc::new(self.service.clone())));
        let routes = routes.add_service(replica_server(Arc::new(self.service.clone())));
        let routes = routes.add_service(health_server).prepare();
        let server = HttpServer::new([listener], limits, None, routes).unwrap();
        let (spawner, stop) = (self.supervisor.spawner(), self.supervisor.token());
        self.supervisor.spawn("metadata.grpc", server.run(spawner));
        self.supervisor.spawn("metadata.health", async move {
            health
                .set_service_status(GRPC_SERVICE, ServingStatus::Serving)
                .await;
            stop.cancelled().await;
            health
                .set_service_status(GRPC_SERVICE, ServingStatus::NotServing)
                .await;
            Ok(())
        });
        bound
    }

    /// Ends everything in order.
    pub(crate) async fn stop(self) {
        drop(self.service);
        let stopped = self.supervisor.run(async {}, Duration::from_secs(10));
        stopped.await.unwrap();
    }
}

/// Any port of this machine.
pub(crate) fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub(crate) fn client(address: SocketAddr) -> GrpcMetadata {
    GrpcMetadata::at(&format!("http://{address}"), &GrpcConfig::default()).unwrap()
}
