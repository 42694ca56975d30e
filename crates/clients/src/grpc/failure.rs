//! Failures on the wire.
//!
//! Owns the mapping between the errors of our traits and `meridian.error.v1.Failure`, in both
//! directions. Keeps the invariant that an error which crossed is the error that was returned: the
//! same variant, with what it carries. What is lost is the kind and the causes of an I/O error,
//! which arrive as text. A status without a failure, as tonic, a proxy or a broken connection makes
//! them, becomes by its code what the trait says when a service does not answer. Leaves the code of
//! a status to `chassis::status`.

mod blob;
mod metadata;
mod peer;
mod webhook;

use std::error::Error;

use meridian_error::Classify;
use meridian_proto::meridian::error::v1 as pb;
use prost::Message;
use tonic::{Code, Status};

use crate::ReadError;

/// An error of our traits, which a status carries to its caller.
pub trait WireError: Classify + Sized {
    /// What it is on the wire.
    fn kind(&self) -> pb::failure::Kind;

    /// What it was before; `None` if it is none of this family, or means nothing.
    fn from_kind(kind: pb::failure::Kind) -> Option<Self>;

    /// What to say when the answer was lost on the way, or there was none.
    fn on_the_way(error: ReadError) -> Self;
}

/// `status`, carrying `error` to the caller.
#[must_use]
pub fn attach(status: Status, error: &impl WireError) -> Status {
    let failure = pb::Failure {
        kind: Some(error.kind()),
    };
    let details = failure.encode_to_vec().into();
    let (code, message) = (status.code(), status.message().to_owned());
    let metadata = status.metadata().clone();
    Status::with_details_and_metadata(code, message, details, metadata)
}

/// The error that a status carries; without one, what follows from its code.
pub fn from_status<E: WireError>(status: &Status) -> E {
    let details = (!status.details().is_empty()).then(|| status.details());
    let failure = details.and_then(|details| pb::Failure::decode(details).ok());
    let carried = failure
        .and_then(|failure| failure.kind)
        .and_then(E::from_kind);
    carried.unwrap_or_else(|| E::on_the_way(by_code(status)))
}

fn by_code(status: &Status) -> ReadError {
    let reason = || match status.source() {
        // Its text is in the message, too.
        Some(source) => meridian_error::chain(source),
        None => status.message().to_owned(),
    };
    match status.code() {
        Code::DeadlineExceeded => ReadError::DeadlineExceeded,
        Code::Cancelled if has_timed_out(status) => ReadError::DeadlineExceeded,
        // Ours never say these without a failure: the connection broke, or the peer is overloaded.
        Code::Unavailable
        | Code::Cancelled
        | Code::Unknown
        | Code::Aborted
        | Code::ResourceExhausted => ReadError::Unavailable { reason: reason() },
        // Only a status that was made here has a source: HTTP/2 failed.
        Code::Internal if status.source().is_some() => ReadError::Unavailable { reason: reason() },
        code => ReadError::Internal {
            reason: format!("{code:?}: {}", reason()),
        },
    }
}

/// Whether tonic's own timer, which runs beside ours, was the first.
fn has_timed_out(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<tonic::TimeoutExpired>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn nothing() -> pb::Nothing {
    pb::Nothing {}
}

fn reason(reason: impl ToString) -> pb::Reason {
    pb::Reason {
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests;
