mod peer;
mod regions;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use meridian_chassis::Supervisor;
use meridian_chassis::http::{HttpConfig, HttpServer, ListenAddress, Listener};
use meridian_clock::Version;
use meridian_oci::{Algorithm, Digest};
use tonic::service::Routes;

/// A server of an adapter.
struct Served {
    endpoint: String,
    supervisor: Supervisor,
}

// === impl Served ===

impl Served {
    fn new(routes: Routes) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(&ListenAddress::Tcp(any)).unwrap();
        let address = listener.tcp_address().unwrap();
        let routes = routes.prepare();
        let server = HttpServer::new([listener], HttpConfig::internal(), None, routes).unwrap();
        let supervisor = Supervisor::new();
        supervisor.spawn("agent.grpc", server.run(supervisor.spawner()));
        Self {
            endpoint: format!("http://{address}"),
            supervisor,
        }
    }

    async fn stop(self) {
        let stopped = self.supervisor.run(async {}, Duration::from_secs(10));
        stopped.await.unwrap();
    }
}

fn version(millis: u64) -> Version {
    Version {
        millis,
        counter: 7,
        region: "eu".parse().unwrap(),
    }
}

fn sha256(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

fn content(length: usize) -> Bytes {
    let bytes = (0..length).map(|at| u8::try_from(at % 251).unwrap());
    bytes.collect()
}
