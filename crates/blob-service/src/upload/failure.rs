//! How failures of the store look to an upload.

use std::error::Error;
use std::io;

use meridian_blobstore::ResumeError;
use meridian_clients::UploadError;
use meridian_error::{Classify, Code};

/// A failure of the store, whether it may pass or not.
pub(crate) fn of_store<E: Classify + Send + Sync + 'static>(error: E) -> UploadError {
    match error.code() {
        Code::ResourceExhausted => UploadError::StoreFull,
        _ => UploadError::Store(io::Error::other(error)),
    }
}

/// An object that was not taken up again.
pub(crate) fn of_resume(error: ResumeError) -> UploadError {
    match error {
        ResumeError::Busy(_) => UploadError::Busy,
        error => of_store(error),
    }
}

/// The store broke its promise.
pub(crate) fn lost(what: impl Into<Box<dyn Error + Send + Sync>>) -> UploadError {
    UploadError::Store(io::Error::other(what))
}
