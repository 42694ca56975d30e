//! Writes to the metadata whose outcome must be known.
//!
//! Keeps the invariant that one intent is one request: it is repeated under the same
//! [`RequestId`] until the answer is certain or the deadline is over, so it takes effect at most
//! once. Leaves what to do about an outcome that stays unknown to the caller.

use std::sync::Arc;
use std::time::Duration;

use meridian_clients::{MetadataApi, ReadError, RequestId, WriteError};
use meridian_error::{Classify, Retry};
use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Sends writes to the metadata service.
#[derive(Clone)]
pub(crate) struct Proposer {
    metadata: Arc<dyn MetadataApi>,
    deadline: Duration,
}

// === impl Proposer ===

impl Proposer {
    pub(crate) fn new(metadata: Arc<dyn MetadataApi>, deadline: Duration) -> Self {
        Self { metadata, deadline }
    }

    /// Runs a write under a new request id.
    pub(crate) async fn run<T, F>(
        &self,
        write: impl Fn(Arc<dyn MetadataApi>, RequestId) -> F,
    ) -> Result<T, WriteError>
    where
        F: Future<Output = Result<T, WriteError>>,
    {
        self.run_as(RequestId(rand::random()), write).await
    }

    /// Runs a write, again and again while its outcome is unknown.
    pub(crate) async fn run_as<T, F>(
        &self,
        request: RequestId,
        write: impl Fn(Arc<dyn MetadataApi>, RequestId) -> F,
    ) -> Result<T, WriteError>
    where
        F: Future<Output = Result<T, WriteError>>,
    {
        let end = Instant::now() + self.deadline;
        let mut pause = FIRST_PAUSE;
        loop {
            let attempt = write(Arc::clone(&self.metadata), request);
            let error = match tokio::time::timeout_at(end, attempt).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(error)) => error,
                Err(_elapsed) => return Err(ReadError::DeadlineExceeded.into()),
            };
            let Some(wait) = worth_repeating(&error) else {
                return Err(error);
            };
            let wait = wait.unwrap_or_else(|| pause.mul_f64(0.5 + rand::random::<f64>() / 2.0));
            if Instant::now() + wait >= end {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Whether the outcome is unknown, and how long to wait before asking again. A refusal that may
/// pass, such as a full outbox, is the client's to wait for.
fn worth_repeating(error: &WriteError) -> Option<Option<Duration>> {
    match (error, error.retry()) {
        (WriteError::Read(_), Retry::Yes { after }) => Some(after),
        _ => None,
    }
}
