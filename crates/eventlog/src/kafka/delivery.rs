//! Which records of a batch are delivered, and where they stand.
//!
//! The client reports record by record, from a thread of its own; who appended waits for the batch.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{NoCustomPartitioner, ProducerContext};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::client::Telling;
use super::failure::Failure;
use crate::Appended;

/// What was to be done, as failures tell it.
pub(super) const APPEND: &str = "append";

/// What becomes of a batch.
pub(super) type Delivered = Result<Appended, Failure>;

/// Receives reports.
pub(super) struct Deliveries;

/// The records of a batch that are under way. Each of them holds a reference.
pub(super) struct Tally {
    progress: Mutex<Progress>,
    /// What the append takes of the queue, until the client has let go of its last record.
    _share: Arc<OwnedSemaphorePermit>,
}

struct Progress {
    left: usize,
    first: u64,
    last: u64,
    reply: Option<oneshot::Sender<Delivered>>,
}

// === impl Tally ===

impl Tally {
    /// Waits for that many reports.
    pub(super) fn new(
        records: usize,
        share: Arc<OwnedSemaphorePermit>,
    ) -> (Arc<Self>, oneshot::Receiver<Delivered>) {
        let (reply, answer) = oneshot::channel();
        let progress = Progress {
            left: records,
            first: u64::MAX,
            last: 0,
            reply: Some(reply),
        };
        let tally = Self {
            progress: Mutex::new(progress),
            _share: share,
        };
        (Arc::new(tally), answer)
    }

    /// The first failure is the outcome of the batch.
    pub(super) fn fail(&self, failure: Failure) {
        self.progress().settle(Err(failure));
    }

    /// A record stands at `offset`, if the broker knows where.
    fn count(&self, offset: i64) {
        // A broker that no longer remembers where a repeated record stands says nothing of it.
        let Ok(offset) = u64::try_from(offset) else {
            let why = "the broker does not know any more where it stands";
            return self.fail(Failure::new(APPEND, why));
        };
        let mut progress = self.progress();
        progress.first = progress.first.min(offset);
        progress.last = progress.last.max(offset);
        progress.left -= 1;
        if progress.left == 0 {
            let Progress { first, last, .. } = *progress;
            progress.settle(Ok(Appended { first, last }));
        }
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Progress ===

impl Progress {
    fn settle(&mut self, delivered: Delivered) {
        if let Some(reply) = self.reply.take() {
            // Who does not wait any more has given up the producer.
            let _ = reply.send(delivered);
        }
    }
}

// === impl Deliveries ===

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Telling.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Telling.error(error, reason);
    }
}

impl ProducerContext<NoCustomPartitioner> for Deliveries {
    type DeliveryOpaque = Arc<Tally>;

    fn delivery(&self, report: &DeliveryResult<'_>, tally: Arc<Tally>) {
        match report {
            Ok(message) => tally.count(message.offset()),
            Err((error, _)) => tally.fail(Failure::to(APPEND)(error.clone())),
        }
    }
}
