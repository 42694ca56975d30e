//! Failures on the wire between our own services.
//!
//! Owns the one table between [`Code`] and gRPC statuses, in both directions. Keeps the invariant
//! that a failure crosses a hop without changing its class or whether it may be retried: what the
//! status code cannot say travels in the metadata [`CODE_KEY`] and [`RETRY_KEY`]. Leaves to
//! `frontend::error` what clients of the registry see.

use std::time::Duration;

use meridian_error::{Classify, Code, Retry};
use tonic::metadata::{MetadataMap, MetadataValue};

/// The metadata key that carries a [`Code`] by name.
pub const CODE_KEY: &str = "meridian-code";

/// The metadata key that carries a [`Retry`]: `no`, `yes`, or the milliseconds to wait first.
pub const RETRY_KEY: &str = "meridian-retry";

/// A failure that another of our services reported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RemoteFailure {
    code: Code,
    retry: Retry,
    message: String,
}

/// The one mapping of a class to a status code. Injective, so that a peer that knows nothing of
/// our metadata loses no more than the retry.
#[must_use]
pub const fn to_grpc(code: Code) -> tonic::Code {
    match code {
        Code::InvalidArgument => tonic::Code::InvalidArgument,
        Code::Unauthenticated => tonic::Code::Unauthenticated,
        Code::Denied => tonic::Code::PermissionDenied,
        Code::NotFound => tonic::Code::NotFound,
        Code::AlreadyExists => tonic::Code::AlreadyExists,
        Code::Conflict => tonic::Code::FailedPrecondition,
        Code::OutOfRange => tonic::Code::OutOfRange,
        Code::ResourceExhausted => tonic::Code::ResourceExhausted,
        Code::Unavailable => tonic::Code::Unavailable,
        Code::DeadlineExceeded => tonic::Code::DeadlineExceeded,
        Code::Unsupported => tonic::Code::Unimplemented,
        Code::Internal => tonic::Code::Internal,
    }
}

/// The class of a status code, also of those that [`to_grpc`] never yields but that tonic, a
/// proxy or a broken connection does.
#[must_use]
pub const fn from_grpc(code: tonic::Code) -> Code {
    match code {
        tonic::Code::InvalidArgument => Code::InvalidArgument,
        tonic::Code::Unauthenticated => Code::Unauthenticated,
        tonic::Code::PermissionDenied => Code::Denied,
        tonic::Code::NotFound => Code::NotFound,
        tonic::Code::AlreadyExists => Code::AlreadyExists,
        tonic::Code::FailedPrecondition | tonic::Code::Aborted => Code::Conflict,
        tonic::Code::OutOfRange => Code::OutOfRange,
        tonic::Code::ResourceExhausted => Code::ResourceExhausted,
        tonic::Code::Unavailable => Code::Unavailable,
        tonic::Code::DeadlineExceeded | tonic::Code::Cancelled => Code::DeadlineExceeded,
        tonic::Code::Unimplemented => Code::Unsupported,
        tonic::Code::Ok | tonic::Code::Unknown | tonic::Code::Internal | tonic::Code::DataLoss => {
            Code::Internal
        }
    }
}

/// The status that tells a caller of `error`.
///
/// What is [`Code::Internal`] is logged here, with its causes, and tells the caller its class
/// only. Everything else tells the caller what happened and is logged by whoever handles it.
#[must_use]
pub fn to_status(error: &(impl Classify + ?Sized)) -> tonic::Status {
    let code = error.code();
    let message = if code == Code::Internal {
        tracing::error!(error = chain(error), "internal failure");
        "internal failure".to_owned()
    } else {
        chain(error)
    };
    let mut metadata = MetadataMap::new();
    metadata.insert(CODE_KEY, MetadataValue::from_static(name(code)));
    metadata.insert(RETRY_KEY, retry_value(error.retry()));
    tonic::Status::with_metadata(to_grpc(code), message, metadata)
}

/// The failure that `status` tells of. Metadata that is missing or not understood falls back to
/// the status code: a newer peer may know classes that this build does not.
#[must_use]
pub fn from_status(status: &tonic::Status) -> RemoteFailure {
    let text = |key| status.metadata().get(key)?.to_str().ok();
    let code = text(CODE_KEY).and_then(by_name);
    let code = code.unwrap_or_else(|| from_grpc(status.code()));
    let retry = text(RETRY_KEY).and_then(parse_retry);
    RemoteFailure {
        code,
        retry: retry.unwrap_or_else(|| retry_by_class(code)),
        message: status.message().to_owned(),
    }
}

// === impl RemoteFailure ===

impl Classify for RemoteFailure {
    fn code(&self) -> Code {
        self.code
    }

    fn retry(&self) -> Retry {
        self.retry
    }
}

const ALL: [Code; 12] = [
    Code::InvalidArgument,
    Code::Unauthenticated,
    Code::Denied,
    Code::NotFound,
    Code::AlreadyExists,
    Code::Conflict,
    Code::OutOfRange,
    Code::ResourceExhausted,
    Code::Unavailable,
    Code::DeadlineExceeded,
    Code::Unsupported,
    Code::Internal,
];

const fn name(code: Code) -> &'static str {
    match code {
        Code::InvalidArgument => "invalid-argument",
        Code::Unauthenticated => "unauthenticated",
        Code::Denied => "denied",
        Code::NotFound => "not-found",
        Code::AlreadyExists => "already-exists",
        Code::Conflict => "conflict",
        Code::OutOfRange => "out-of-range",
        Code::ResourceExhausted => "resource-exhausted",
        Code::Unavailable => "unavailable",
        Code::DeadlineExceeded => "deadline-exceeded",
        Code::Unsupported => "unsupported",
        Code::Internal => "internal",
    }
}

fn by_name(text: &str) -> Option<Code> {
    ALL.into_iter().find(|code| name(*code) == text)
}

fn retry_value(retry: Retry) -> MetadataValue<tonic::metadata::Ascii> {
    match retry {
        Retry::No => MetadataValue::from_static("no"),
        Retry::Yes { after: None } => MetadataValue::from_static("yes"),
        Retry::Yes { after: Some(after) } => {
            MetadataValue::from(u64::try_from(after.as_millis()).unwrap_or(u64::MAX))
        }
    }
}

fn parse_retry(text: &str) -> Option<Retry> {
    let after = match text {
        "no" => return Some(Retry::No),
        "yes" => None,
        millis => Some(Duration::from_millis(millis.parse().ok()?)),
    };
    Some(Retry::Yes { after })
}

fn retry_by_class(code: Code) -> Retry {
    match code {
        Code::Unavailable | Code::DeadlineExceeded => Retry::Yes { after: None },
        _ => Retry::No,
    }
}

/// As `meridian_error::chain`, from a `Classify` that may be a trait object.
fn chain(error: &(impl Classify + ?Sized)) -> String {
    let mut line = error.to_string();
    if let Some(source) = error.source() {
        line.push_str(": ");
        line.push_str(&meridian_error::chain(source));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("pushing")]
    struct Failure {
        code: Code,
        retry: Retry,
        source: std::io::Error,
    }

    impl Classify for Failure {
        fn code(&self) -> Code {
            self.code
        }

        fn retry(&self) -> Retry {
            self.retry
        }
    }

    fn failure(code: Code, retry: Retry) -> Failure {
        let source = std::io::Error::other("disk on fire");
        Failure {
            code,
            retry,
            source,
        }
    }

    #[test]
    fn every_class_and_retry_crosses_a_hop_unchanged() {
        let after = Some(Duration::from_millis(1_500));
        let retries = [Retry::No, Retry::Yes { after: None }, Retry::Yes { after }];
        for code in ALL {
            for retry in retries {
                let remote = from_status(&to_status(&failure(code, retry)));
                assert_eq!((remote.code(), remote.retry()), (code, retry));
            }
        }
    }

    #[test]
    fn the_table_is_injective_and_inverted_by_its_reverse() {
        for code in ALL {
            assert_eq!(from_grpc(to_grpc(code)), code);
        }
    }

    #[test]
    fn a_status_of_somebody_else_is_understood() {
        for (status, code, retry) in [
            (tonic::Code::Aborted, Code::Conflict, Retry::No),
            (tonic::Code::Unknown, Code::Internal, Retry::No),
            (
                tonic::Code::Cancelled,
                Code::DeadlineExceeded,
                Retry::Yes { after: None },
            ),
        ] {
            let remote = from_status(&tonic::Status::new(status, "no metadata"));
            assert_eq!((remote.code(), remote.retry()), (code, retry), "{status:?}");
        }
    }

    #[test]
    fn an_unknown_class_falls_back_to_the_status_code() {
        let mut status = tonic::Status::unavailable("later");
        let metadata = status.metadata_mut();
        metadata.insert(CODE_KEY, MetadataValue::from_static("cosmic-rays"));
        metadata.insert(RETRY_KEY, MetadataValue::from_static("perhaps"));
        let remote = from_status(&status);
        assert_eq!(remote.code(), Code::Unavailable);
        assert_eq!(remote.retry(), Retry::Yes { after: None });
    }

    #[test]
    fn the_causes_of_an_internal_failure_stay_here() {
        let internal = to_status(&failure(Code::Internal, Retry::No));
        assert_eq!(internal.message(), "internal failure");
        let away = to_status(&failure(Code::Unavailable, Retry::No));
        assert_eq!(away.message(), "pushing: disk on fire");
    }
}
