//! The conformance suite on brokers in this process.

use std::sync::Arc;

use async_trait::async_trait;
use meridian_eventlog::EventLog;
use meridian_eventlog::conformance::{self, Fixture};

use super::mock::{Brokers, RETAINED_BYTES};

struct Mocked(Arc<Brokers>);

#[async_trait]
impl Fixture for Mocked {
    async fn open(&self) -> Arc<dyn EventLog> {
        Arc::new(self.0.open(self.0.config()).await)
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn retained_bytes(&self) -> Option<usize> {
        Some(RETAINED_BYTES + (1 << 20))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_in_this_process() {
    conformance::run(&Mocked(Brokers::start())).await;
}
