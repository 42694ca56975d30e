//! How long a call may take, told to the peer.
//!
//! Owns the `grpc-timeout` of a request on both sides: the caller's side writes what is left of the
//! call's time, the service's side stops the work when it is over, since nobody waits for it any
//! more. Requests that carry a body have none: how long a body takes is its sender's.

use std::time::Duration;

use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::failure;
use crate::ReadError;

const KEY: &str = "grpc-timeout";

/// Runs the work of a unary call for as long as its caller waits for it.
///
/// # Errors
///
/// What the work fails with, or [`ReadError::DeadlineExceeded`].
pub async fn within<Q, R, F>(
    request: Request<Q>,
    work: impl FnOnce(Q) -> F,
) -> Result<Response<R>, Status>
where
    F: Future<Output = Result<R, Status>>,
{
    let limit = limit(request.metadata());
    let work = work(request.into_inner());
    let outcome = match limit {
        None => work.await,
        Some(limit) => match tokio::time::timeout(limit, work).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => {
                let late = Status::deadline_exceeded("the caller's time is over");
                Err(failure::attach(late, &ReadError::DeadlineExceeded))
            }
        },
    };
    outcome.map(Response::new)
}

/// The time that a request's caller waits. A value that is none is as good as none.
fn limit(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get(KEY)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(timeout: &'static str) -> Request<()> {
        let mut request = Request::new(());
        let value = timeout.parse().expect("a header's value");
        request.metadata_mut().insert(KEY, value);
        request
    }

    #[test]
    fn what_tonic_writes_is_read_back() {
        for millis in [1, 999, 15_000, 86_400_000] {
            let mut request = Request::new(());
            request.set_timeout(Duration::from_millis(millis));
            let limit = limit(request.metadata());
            assert_eq!(limit, Some(Duration::from_millis(millis)));
        }
    }

    #[test]
    fn other_values_are_as_good_as_none() {
        for text in [
            "",
            "1",
            "S",
            "-1S",
            "+1S",
            "123456789S",
            "1s",
            "1 S",
            "1.5S",
        ] {
            assert_eq!(limit(request(text).metadata()), None, "{text:?}");
        }
        assert_eq!(
            limit(request("99999999H").metadata()).map(|it| it.as_secs()),
            Some(359_999_996_400)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_nobody_waits_for_stops() {
        let forever = |()| std::future::pending::<Result<(), Status>>();
        let status = within(request("20m"), forever).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
        let error: ReadError = failure::from_status(&status);
        assert_eq!(error, ReadError::DeadlineExceeded);
    }
}
