//! What is told of a request that cannot be answered: the one form of all errors (RFC 9457).
//!
//! Keeps the invariant that whoever reads `detail` knows what to change, and whoever reads `type`
//! need not read `detail`.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use meridian_error::{Classify, Code, chain};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Problem {
    /// The kind of problem, `urn:meridian:problem:<kind>`. Kinds are added, and never change their
    /// meaning. Absent where the status says it all.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    /// The kind, in words.
    pub(crate) title: String,
    /// The status of the response.
    pub(crate) status: u16,
    /// What happened to this request, and what to do about it.
    pub(crate) detail: String,
    /// After how many seconds it makes sense to try again, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_seconds: Option<u64>,
}

/// A kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The request makes no sense as it is.
    Malformed,
    /// It has no token, or none that is known.
    Unauthenticated,
    /// There is nothing there.
    NotFound,
    /// What is there cannot be asked so.
    Method,
    /// It is here, in another process.
    Elsewhere,
    /// It does not fit what there is.
    Conflict,
    /// Its body is too large.
    TooLarge,
    /// Its body is in no language of ours.
    MediaType,
    /// Too many requests from there had no known token.
    TooManyFailures,
    /// It may work later.
    Unavailable,
    /// We are wrong.
    Internal,
}

// === impl Kind ===

impl Kind {
    const fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Malformed => (StatusCode::BAD_REQUEST, "malformed", "malformed request"),
            Self::Unauthenticated => (
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "no operator token that is known here",
            ),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "no such resource"),
            Self::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "the resource has no such method",
            ),
            Self::Elsewhere => (
                StatusCode::NOT_FOUND,
                "elsewhere",
                "another process of the region has this",
            ),
            Self::Conflict => (
                StatusCode::CONFLICT,
                "conflict",
                "it does not fit what there is",
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "the body is too large",
            ),
            Self::MediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "media-type",
                "the body is no JSON",
            ),
            Self::TooManyFailures => (
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-failures",
                "too many requests without a known token",
            ),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "not now"),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "a fault of ours",
            ),
        }
    }
}

// === impl Problem ===

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let (status, name, title) = kind.parts();
        Self {
            kind: Some(format!("urn:meridian:problem:{name}")),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            retry_after_seconds: (kind == Kind::Unavailable).then_some(1),
        }
    }

    /// What a failure means to whoever asked. What is our own fault is told in the log only.
    pub(crate) fn of(error: &(impl Classify + 'static)) -> Self {
        let kind = match error.code() {
            Code::InvalidArgument | Code::OutOfRange | Code::Unsupported => Kind::Malformed,
            Code::NotFound => Kind::NotFound,
            Code::AlreadyExists | Code::Conflict => Kind::Conflict,
            Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted => {
                Kind::Unavailable
            }
            Code::Unauthenticated | Code::Denied | Code::Internal => {
                tracing::error!(error = chain(error), "a management request has failed");
                return Self::new(Kind::Internal, "the log of the process says why");
            }
        };
        Self::new(kind, chain(error))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after_seconds;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, kind);
        headers.extend(retry_after.map(|seconds| (RETRY_AFTER, HeaderValue::from(seconds))));
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"meridian\"");
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
