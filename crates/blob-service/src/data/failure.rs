//! Why the data endpoint refuses, and what its clients are told.
//!
//! Owns the table of its statuses and codes, in the form that the distribution specification gives
//! errors: a client that was sent here does not know that it speaks with somebody else. Keeps the
//! invariant that nothing leaks: of a failure of ours the client learns the class, the log the rest,
//! once; and nothing that was sent is repeated.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    RETRY_AFTER,
};
use http::{Response, StatusCode};
use meridian_clients::content::conditional::ConditionError;
use meridian_clients::content::{SizedBody, Unsatisfiable};
use meridian_clients::link::OpenLinkError;
use meridian_clients::{ReadBlobError, ReadError, RequestId};
use meridian_error::{Classify, Code};
use meridian_oci::ErrorCode;

/// Why a request is not answered with a blob.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Blobs are read here, and nothing else.
    #[error("the data endpoint has no such method")]
    Method,
    /// The link is not followed.
    #[error(transparent)]
    Link(#[from] OpenLinkError),
    /// The client means something else than what its link names.
    #[error(transparent)]
    Condition(#[from] ConditionError),
    /// The blob cannot be read.
    #[error(transparent)]
    Read(#[from] ReadBlobError),
    /// The range lies outside of the blob of this length.
    #[error("the range lies outside of the blob")]
    Range(u64),
}

/// What a client is told.
struct Refusal {
    status: StatusCode,
    code: ErrorCode,
    message: &'static str,
    header: Option<(HeaderName, HeaderValue)>,
}

const CHANGED: &str = "the link to the blob was not made by this registry, or was changed on its way; ask the \
     registry for the blob again";

// === impl Failure ===

impl Failure {
    /// The answer to the request `id`.
    pub(super) fn into_answer(self, id: RequestId) -> Response<SizedBody> {
        let refusal = self.refusal();
        self.log(refusal.status, id);
        refusal.into_answer()
    }

    /// The table.
    fn refusal(&self) -> Refusal {
        match self {
            Self::Method => Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                ErrorCode::Unsupported,
                "blobs are read here, and nothing else",
            )
            .with(ALLOW, HeaderValue::from_static("GET, HEAD")),
            Self::Link(OpenLinkError::Path) => Refusal::new(
                StatusCode::NOT_FOUND,
                ErrorCode::Unsupported,
                "no such endpoint; ask the registry for the blob",
            ),
            Self::Link(OpenLinkError::Query | OpenLinkError::Forged) => Refusal::denied(CHANGED),
            Self::Link(OpenLinkError::Expired) => Refusal::denied(
                "the link to the blob has expired; ask the registry for the blob again",
            ),
            Self::Link(OpenLinkError::TooFar) => Refusal::denied(
                "the link to the blob is good for too long: the clocks of the registry's machines \
                 differ, which its operator has to mend",
            ),
            Self::Condition(_) => Refusal::new(
                StatusCode::PRECONDITION_FAILED,
                ErrorCode::Denied,
                "the condition of the request does not hold",
            ),
            Self::Read(ReadBlobError::Metadata(error)) => of_read(error),
            Self::Read(error @ ReadBlobError::Unreadable { .. }) => of_class(error),
            Self::Range(size) => Refusal::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                ErrorCode::RangeInvalid,
                "the range lies outside of the blob",
            )
            .with(CONTENT_RANGE, of_size(*size)),
        }
    }

    fn log(&self, status: StatusCode, id: RequestId) {
        let (number, error) = (status.as_u16(), meridian_error::chain(self));
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(request.id = %id, http.status = number, error, "request failed");
        } else if status.is_server_error() || matches!(self, Self::Link(OpenLinkError::TooFar)) {
            tracing::warn!(request.id = %id, http.status = number, error, "request not served");
        }
    }
}

impl From<Unsatisfiable> for Failure {
    fn from(range: Unsatisfiable) -> Self {
        Self::Range(range.size)
    }
}

fn of_read(error: &ReadError) -> Refusal {
    let absent = |code, message| Refusal::new(StatusCode::NOT_FOUND, code, message);
    match error {
        ReadError::RegistryUnknown => absent(ErrorCode::NameUnknown, "no such registry"),
        ReadError::RepositoryUnknown => absent(ErrorCode::NameUnknown, "no such repository"),
        ReadError::ManifestUnknown | ReadError::BlobUnknown => {
            absent(ErrorCode::BlobUnknown, "no such blob")
        }
        ReadError::Locked => Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::RegistryDisallowedOperation,
            "the blob is locked",
        ),
        ReadError::Unavailable { .. }
        | ReadError::DeadlineExceeded
        | ReadError::Internal { .. } => of_class(error),
    }
}

/// Of what is our own failure, the class is all that a client learns.
fn of_class(error: &dyn Classify) -> Refusal {
    if matches!(error.code(), Code::Unavailable | Code::DeadlineExceeded) {
        let message = "a part of the registry is not available";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Refusal::new(status, ErrorCode::Unavailable, message)
            .with(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Refusal::new(status, ErrorCode::Unknown, "the registry failed")
}

fn of_size(size: u64) -> HeaderValue {
    let text = HeaderValue::try_from(format!("bytes */{size}"));
    text.expect("numbers are visible ASCII")
}

// === impl Refusal ===

impl Refusal {
    const fn new(status: StatusCode, code: ErrorCode, message: &'static str) -> Self {
        Self {
            status,
            code,
            message,
            header: None,
        }
    }

    const fn denied(message: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, ErrorCode::Denied, message)
    }

    fn with(self, name: HeaderName, value: HeaderValue) -> Self {
        Self {
            header: Some((name, value)),
            ..self
        }
    }

    fn into_answer(self) -> Response<SizedBody> {
        let Self { code, message, .. } = self;
        // `Debug` quotes our plain words as JSON would.
        let body = format!(
            "{{\"errors\":[{{\"code\":\"{code}\",\"message\":{message:?},\"detail\":{{}}}}]}}"
        );
        let mut answer = Response::new(SizedBody::from(Bytes::from(body)));
        *answer.status_mut() = self.status;
        let headers: &mut HeaderMap = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.header);
        answer
    }
}
