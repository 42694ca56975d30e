//! The bodies that a suite is run against: services, each in a folder of its own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use meridian_clock::ManualClock;
use tempfile::TempDir;

use super::harness::Life;

/// Services that share a clock, in this process or behind gRPC.
pub(crate) struct Bodies {
    pub(crate) is_remote: bool,
    pub(crate) clock: Arc<ManualClock>,
    lives: Mutex<Vec<(Life, TempDir)>>,
}

// === impl Bodies ===

impl Bodies {
    pub(crate) fn new(is_remote: bool) -> Self {
        Self {
            is_remote,
            clock: Arc::new(ManualClock::at(1_700_000_000_000)),
            lives: Mutex::default(),
        }
    }

    /// Lets a service live until all are stopped.
    pub(crate) fn keep(&self, life: Life, folder: TempDir) {
        self.lives.lock().unwrap().push((life, folder));
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(u64::try_from(time.as_millis()).unwrap());
    }

    pub(crate) async fn stop(self) {
        for (life, folder) in self.lives.into_inner().unwrap() {
            life.stop().await;
            drop(folder);
        }
    }
}
