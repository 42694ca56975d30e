//! Why requests fail, and what their clients are told.
//!
//! Owns the one type of failure of this crate, and with its two parts the only way from a failure
//! to the wire: [`table`] decides status, code and headers, [`refusal`] writes them. Keeps two
//! invariants. Nothing leaks: of a failure of ours the client learns the class and the id of its
//! request; the log learns the rest, once. And nothing that was sent is repeated.

mod refusal;
mod table;

use http::StatusCode;
use meridian_clients::content::conditional::ConditionError;
use meridian_clients::{
    DeleteBlobError, ReadBlobError, ReadError, RequestId, Stale, UploadError, WriteError,
};
use meridian_clock::Region;
use meridian_oci::{ParseManifestError, RepositoryName};

use crate::api::attributes::AttributesError;
use crate::extract::ExtractError;
use crate::limits::IntakeError;
use crate::pages::PageError;
use crate::rates::TooMany;
use crate::respond::Answer;
use crate::route::RouteError;

/// Why a request is not answered as its sender hoped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The path names nothing.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// A manifest is put under what is neither a tag nor a digest.
    #[error("the reference of the manifest is malformed")]
    PutReference,
    /// The resource has no such method, but these.
    #[error("the resource has no such method")]
    Method(&'static str),
    /// This process is starting or stopping.
    #[error("the process is not ready")]
    NotReady,
    /// The client made more requests than it may.
    #[error(transparent)]
    Rate(#[from] TooMany),
    /// The head of the request does not say what it must.
    #[error(transparent)]
    Extract(#[from] ExtractError),
    /// No page can be given.
    #[error(transparent)]
    Page(#[from] PageError),
    /// The condition on a write is refused.
    #[error(transparent)]
    Condition(#[from] ConditionError),
    /// A manifest was not taken in.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// A manifest is refused.
    #[error(transparent)]
    Manifest(#[from] ParseManifestError),
    /// A manifest does not hash to the digest under which it is put.
    #[error("the manifest does not match the digest")]
    ManifestDigest,
    /// The body does not say which attributes to set.
    #[error(transparent)]
    Attributes(#[from] AttributesError),
    /// A read from the metadata failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A write to the metadata failed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A blob cannot be read.
    #[error(transparent)]
    ReadBlob(#[from] ReadBlobError),
    /// The range lies outside of the blob of this length.
    #[error("the range lies outside of the blob")]
    Range(u64),
    /// A blob was not deleted.
    #[error(transparent)]
    DeleteBlob(#[from] DeleteBlobError),
    /// Something is unknown here, and regions that may know it do not answer.
    #[error("other regions may know better")]
    Unsure {
        /// What is unknown.
        #[source]
        error: ReadError,
        /// Where it may be known.
        behind: Vec<Stale>,
    },
    /// Other regions do not answer, without which there is no answer.
    #[error("other regions cannot be asked, and nothing older may be answered")]
    Behind,
    /// The version that the client named is not visible yet.
    #[error("the version that was named is not visible yet")]
    NotYet,
    /// An upload did not go on.
    #[error("the upload did not go on")]
    Upload {
        /// In which region its session is, if not here.
        region: Option<Region>,
        /// In which repository.
        repository: RepositoryName,
        /// Why.
        #[source]
        error: UploadError,
    },
}

// === impl Failure ===

impl Failure {
    /// A read that failed, where these regions may know better.
    pub(crate) fn unsure(error: ReadError, behind: &[Stale]) -> Self {
        match behind {
            [] => Self::Read(error),
            _ => Self::Unsure {
                error,
                behind: behind.to_vec(),
            },
        }
    }
}

/// What the client of the request `id` is told.
pub(crate) fn answer(failure: &Failure, id: RequestId) -> Answer {
    let refusal = table::refuse(failure);
    if refusal.status.is_server_error() {
        log(failure, refusal.status, id);
    }
    refusal.into_answer(id)
}

fn log(failure: &Failure, status: StatusCode, id: RequestId) {
    let (status, error) = (status.as_u16(), meridian_error::chain(failure));
    if status == 500 {
        tracing::error!(request.id = %id, http.status = status, error, "request failed");
    } else {
        tracing::warn!(request.id = %id, http.status = status, error, "request not served");
    }
}

#[cfg(test)]
mod tests;
