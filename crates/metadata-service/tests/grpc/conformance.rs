//! The suite of the trait, for the service and for the client in front of it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use meridian_clients::MetadataApi;
use meridian_clients::conformance::metadata::{Fixture, run};
use meridian_eventlog::MemoryEventLog;

use super::bodies::Bodies;
use super::harness::{Life, any, client};

#[async_trait]
impl Fixture for Bodies {
    async fn open(&self) -> Arc<dyn MetadataApi> {
        let folder = tempfile::tempdir().unwrap();
        let events = Arc::new(MemoryEventLog::default());
        let life = Life::new(folder.path(), events, Arc::clone(&self.clock)).await;
        let api: Arc<dyn MetadataApi> = if self.is_remote {
            Arc::new(client(life.serve(any())))
        } else {
            Arc::new(life.service.clone())
        };
        self.keep(life, folder);
        api
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
