//! The suite of what agents ask, for the service and for the client in front of it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use meridian_clients::conformance::replica::{Fixture, Region, run};
use meridian_clients::grpc::{GrpcConfig, GrpcReplica};
use meridian_eventlog::{Faulty, MemoryEventLog};

use super::bodies::Bodies;
use super::harness::{Life, any, client};

/// A log that can be read, and takes nothing.
fn full() -> Faulty<MemoryEventLog> {
    let log = Faulty::new(MemoryEventLog::default());
    for shard in 0..16 {
        log.set_leaderless(shard, true);
    }
    log
}

#[async_trait]
impl Fixture for Bodies {
    async fn open(&self, name: &str) -> Region {
        let folder = tempfile::tempdir().unwrap();
        let (events, clock) = (Arc::new(full()), Arc::clone(&self.clock));
        let life = Life::in_region(name, folder.path(), events, clock).await;
        let region = if self.is_remote {
            let address = life.serve(any());
            let endpoint = format!("http://{address}");
            Region {
                metadata: Arc::new(client(address)),
                replica: Arc::new(GrpcReplica::at(&endpoint, &GrpcConfig::default()).unwrap()),
            }
        } else {
            Region {
                metadata: Arc::new(life.service.clone()),
                replica: Arc::new(life.service.clone()),
            }
        };
        self.keep(life, folder);
        region
    }

    async fn pass(&self, time: Duration) {
        Self::pass(self, time);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_conforms() {
    let bodies = Bodies::new(false);
    run(&bodies).await;
    bodies.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_in_front_of_it_conforms() {
    let bodies = Bodies::new(true);
    run(&bodies).await;
    bodies.stop().await;
}
