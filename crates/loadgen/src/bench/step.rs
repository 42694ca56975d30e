//! Steps of a bench: each has a name for its error, and a deadline.

use std::io;
use std::time::Duration;

use tokio::time::timeout;

use crate::gauge::GaugeError;
use crate::server::ServerError;
use crate::workload::LoadError;

/// Why a row could not be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error("cannot {step}")]
    Load {
        step: String,
        #[source]
        source: LoadError,
    },
    #[error("{step}: not done within {} s", limit.as_secs())]
    Deadline { step: String, limit: Duration },
    #[error("cannot read the server's figures")]
    Gauge(#[from] GaugeError),
    #[error("the canary cannot sing")]
    Canary(#[source] io::Error),
    #[error("cannot read the tracer's log")]
    Tracer(#[source] io::Error),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("the servers' data may take {needed} bytes, but {free} are free")]
    Space { needed: u64, free: u64 },
    #[error("cannot see how much of the disk is free")]
    Disk(#[source] io::Error),
    #[error("no server")]
    NoServer,
}

/// Runs a step for at most `limit`.
pub(super) async fn limited<T>(
    step: String,
    limit: Duration,
    work: impl Future<Output = Result<T, LoadError>>,
) -> Result<T, StepError> {
    match timeout(limit, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(source)) => Err(StepError::Load { step, source }),
        Err(_) => Err(StepError::Deadline { step, limit }),
    }
}

/// An error with all its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_step_that_takes_too_long_is_given_up() {
        let never = std::future::pending::<Result<(), LoadError>>();
        let error = limited("arm".to_owned(), Duration::from_millis(5), never)
            .await
            .unwrap_err();
        assert!(matches!(error, StepError::Deadline { .. }));
    }

    #[tokio::test]
    async fn an_error_is_told_with_its_causes() {
        let failing = async { Err::<(), _>(LoadError::NoGauge) };
        let error = limited("fire ours".to_owned(), Duration::from_secs(5), failing)
            .await
            .unwrap_err();
        assert_eq!(
            chain(&error),
            "cannot fire ours: this workload reads the server's memory and needs its process id"
        );
    }
}
