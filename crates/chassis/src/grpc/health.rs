//! `grpc.health.v1`, which tells what the readiness of the process is.

use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::TaskResult;
use crate::health::Readiness;

/// The name under which the health protocol asks for the whole process.
const PROCESS: &str = "";

/// Carries changes of the readiness to the health service.
pub(super) struct Mirror {
    reporter: HealthReporter,
    names: [&'static str; 2],
    readiness: Readiness,
    told: Option<bool>,
}

// === impl Mirror ===

impl Mirror {
    /// The mirror of a service, which is not serving yet.
    pub(super) async fn new(
        reporter: HealthReporter,
        name: &'static str,
        readiness: Readiness,
    ) -> Self {
        let mut mirror = Self {
            reporter,
            names: [PROCESS, name],
            readiness,
            told: None,
        };
        mirror.tell(false).await;
        mirror
    }

    pub(super) async fn run(mut self, stop: CancellationToken) -> TaskResult {
        while !stop.is_cancelled() {
            let ready = self.readiness.is_ready();
            self.tell(ready).await;
            let changed = async {
                match ready {
                    true => self.readiness.unready().await,
                    false => self.readiness.ready().await,
                }
            };
            stop.run_until_cancelled(changed).await;
        }
        self.tell(false).await;
        // Ends the answers of those who watch, for whom the drain would wait otherwise.
        for name in self.names {
            self.reporter.clear_service_status(name).await;
        }
        Ok(())
    }

    /// Those who watch are told of changes only.
    async fn tell(&mut self, ready: bool) {
        if self.told.replace(ready) == Some(ready) {
            return;
        }
        let status = match ready {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        };
        for name in self.names {
            self.reporter.set_service_status(name, status).await;
        }
    }
}
