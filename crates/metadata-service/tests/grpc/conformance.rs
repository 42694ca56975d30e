//! The suite of the trait, for the service and for the client in front of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use meridian_clients::MetadataApi;
use meridian_clients::conformance::metadata::{Fixture, run};
use meridian_clock::ManualClock;
use meridian_eventlog::MemoryEventLog;
use tempfile::TempDir;

use super::harness::{Life, any, client};

struct Bodies {
    is_remote: bool,
    clock: Arc<ManualClock>,
    lives: Mutex<Vec<(Life, TempDir)>>,
}

impl Bodies {
    fn new(is_remote: bool) -> Self {
        Self {
            is_remote,
            clock: Arc::new(ManualClock::at(1_700_000_000_000)),
            lives: Mutex::default(),
        }
    }

    async fn stop(self) {
        for (life, folder) in self.lives.into_inner().unwrap() {
            life.stop().await;
            drop(folder);
        }
    }
}

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
        self.lives.lock().unwrap().push((life, folder));
        api
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(u64::try_from(time.as_millis()).unwrap());
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
