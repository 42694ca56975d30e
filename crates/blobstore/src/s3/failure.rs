//! What S3 said when it did not do what it was asked to.
//!
//! Owns the classification, by status and error code, never by text. Keeps the invariant that an
//! object is absent only when S3 says so of the object: a refusal (403), a missing bucket, or an
//! answer of something in between is a failure, never an absence.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use meridian_error::Code;

use crate::StorageError;

/// Why a request did not succeed, after all its attempts.
#[derive(Debug)]
pub(super) struct Failure {
    status: Option<u16>,
    code: Option<String>,
    class: Code,
    after: Option<Duration>,
    source: Box<dyn Error + Send + Sync>,
}

/// An answer that is an error.
#[derive(Debug)]
struct Said {
    status: u16,
    code: Option<String>,
    message: Option<String>,
}

/// Something that is not an answer to what was asked.
#[derive(Debug, thiserror::Error)]
#[error("the store answered {0}")]
struct Odd(String);

// === impl Failure ===

impl Failure {
    /// An answer that cannot be right.
    pub(super) fn odd(what: impl Into<String>) -> Self {
        Self {
            status: None,
            code: None,
            class: Code::Internal,
            after: None,
            source: Odd(what.into()).into(),
        }
    }

    /// A body that broke off, again and again.
    pub(super) fn broken() -> Self {
        Self {
            class: Code::Unavailable,
            ..Self::odd("with bodies that broke off")
        }
    }

    /// There is no such object, as a GET tells it.
    pub(super) fn is_absent(&self) -> bool {
        self.has(404, "NoSuchKey")
    }

    /// There is no such object, as a HEAD tells it, whose answer has no body that says what is
    /// missing.
    pub(super) fn is_absent_to_head(&self) -> bool {
        let other = self
            .code
            .as_deref()
            .is_some_and(|code| code == "NoSuchBucket");
        self.status == Some(404) && !other
    }

    /// There is no such multipart upload: it was aborted, or completed.
    pub(super) fn is_no_upload(&self) -> bool {
        self.has(404, "NoSuchUpload")
    }

    /// A condition of the request does not hold: something is there already, or not any more.
    pub(super) const fn is_condition(&self) -> bool {
        matches!(self.status, Some(412))
    }

    /// Another request on the same name was under way.
    pub(super) const fn is_conflict(&self) -> bool {
        matches!(self.status, Some(409))
    }

    /// The range does not lie in the object.
    pub(super) const fn is_range(&self) -> bool {
        matches!(self.status, Some(416))
    }

    /// The answer cannot be right, so nothing is known.
    pub(super) const fn is_odd(&self) -> bool {
        self.status.is_none() && matches!(self.class, Code::Internal)
    }

    /// Whether the request may succeed if it is made again, or may have succeeded already.
    pub(super) const fn may_pass(&self) -> bool {
        matches!(self.class, Code::Unavailable | Code::DeadlineExceeded)
    }

    /// The error of a caller who was `doing` something, which completes the sentence "cannot …".
    pub(super) fn while_doing(self, doing: &'static str) -> StorageError {
        StorageError::new(doing, self.class, self.source).after(self.after)
    }

    fn has(&self, status: u16, code: &str) -> bool {
        self.status == Some(status) && self.code.as_deref() == Some(code)
    }
}

impl<E> From<SdkError<E, HttpResponse>> for Failure
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let answer = error.raw_response();
        let status = answer.map(|answer| answer.status().as_u16());
        let after = answer.and_then(|answer| answer.headers().get("retry-after"));
        let after = after.and_then(|text| text.trim().parse().ok());
        let code = error.code().map(str::to_owned);
        let class = match &error {
            SdkError::TimeoutError(_) => Code::DeadlineExceeded,
            // Cut short, or not to be understood: whether it was done is not known.
            SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => Code::Unavailable,
            SdkError::ServiceError(_) => class(status.unwrap_or(0), code.as_deref()),
            _ => Code::Internal,
        };
        let source: Box<dyn Error + Send + Sync> = match (&error, status) {
            (SdkError::ServiceError(_), Some(status)) => Box::new(Said {
                status,
                code: code.clone(),
                message: error.message().map(str::to_owned),
            }),
            _ => Box::new(error),
        };
        Self {
            status,
            code,
            class,
            after: after.map(Duration::from_secs),
            source,
        }
    }
}

/// The class of an error that S3 answered with.
fn class(status: u16, code: Option<&str>) -> Code {
    match (status, code) {
        // Credentials that ran out are renewed, clocks are set: these pass.
        (
            _,
            Some(
                "ExpiredToken"
                | "InvalidToken"
                | "TokenRefreshRequired"
                | "RequestTimeTooSkewed"
                | "RequestTimeout"
                | "SlowDown"
                | "InternalError"
                | "ServiceUnavailable",
            ),
        ) => Code::Unavailable,
        (507, _) | (_, Some("QuotaExceeded" | "InsufficientStorage" | "XMinioStorageFull")) => {
            Code::ResourceExhausted
        }
        (_, Some("NoSuchBucket")) | (301 | 307, _) => Code::InvalidArgument,
        (401 | 403, _) => Code::Denied,
        (404, _) => Code::NotFound,
        (409 | 412, _) => Code::Conflict,
        (416, _) => Code::OutOfRange,
        // To a HEAD, credentials that ran out are answered so, without a word.
        (400, None) | (429, _) => Code::Unavailable,
        (501, _) => Code::Unsupported,
        // A whole answer that carries an error (200) is one of S3 as well.
        (200..=299 | 500..=599, _) => Code::Unavailable,
        _ => Code::Internal,
    }
}

// === impl Said ===

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store answered {}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        match &self.message {
            Some(message) => write!(f, " ({message})"),
            None => Ok(()),
        }
    }
}

impl Error for Said {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_not_an_absence() {
        let failure = |status, code: Option<&str>| Failure {
            status: Some(status),
            code: code.map(str::to_owned),
            class: class(status, code),
            after: None,
            source: "it said so".into(),
        };
        assert!(failure(404, Some("NoSuchKey")).is_absent());
        assert!(failure(404, None).is_absent_to_head());
        for (status, code) in [
            (403, Some("AccessDenied")),
            (403, None),
            (404, Some("NoSuchBucket")),
            (404, None),
            (410, None),
            (503, Some("SlowDown")),
            (200, Some("InternalError")),
        ] {
            assert!(!failure(status, code).is_absent(), "{status} {code:?}");
        }
        assert!(!failure(403, None).is_absent_to_head());
        assert!(!failure(404, Some("NoSuchBucket")).is_absent_to_head());
    }

    #[test]
    fn what_may_pass_is_told_from_what_will_not() {
        for (status, code, expected) in [
            (503, Some("SlowDown"), Code::Unavailable),
            (500, Some("InternalError"), Code::Unavailable),
            (200, Some("InternalError"), Code::Unavailable),
            (400, Some("ExpiredToken"), Code::Unavailable),
            (400, None, Code::Unavailable),
            (403, Some("RequestTimeTooSkewed"), Code::Unavailable),
            (403, Some("InvalidAccessKeyId"), Code::Denied),
            (404, Some("NoSuchBucket"), Code::InvalidArgument),
            (400, Some("InvalidPart"), Code::Internal),
            (400, Some("BadDigest"), Code::Internal),
            (507, None, Code::ResourceExhausted),
        ] {
            assert_eq!(class(status, code), expected, "{status} {code:?}");
        }
    }
}
