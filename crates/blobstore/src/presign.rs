//! Stores whose objects clients can read without us in between.
//!
//! Owns the promise that a URL gives no more than it says: one object, for reading, for a few
//! minutes. Leaves to whoever hands one out that its receiver may read the object, and that garbage
//! collection waits longer than URLs live.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;

use crate::{BlobKey, BlobStore, StorageError};

/// No URL lives longer.
pub const MAX_PRESIGNED: Duration = Duration::from_secs(300);

/// A store that signs URLs.
#[async_trait]
pub trait Presign: BlobStore {
    /// A URL under which anybody can GET the object, or the bytes of it in `range`, within
    /// `expires`, which is at most [`MAX_PRESIGNED`]. Nothing is looked up: whether the object is
    /// there, its reader finds out.
    ///
    /// Without `range`, the receiver may ask for any range of its own.
    ///
    /// # Errors
    ///
    /// If `expires` is nothing or too much, `range` is empty, or there are no credentials.
    async fn presign_get(
        &self,
        key: &BlobKey,
        range: Option<Range<u64>>,
        expires: Duration,
    ) -> Result<Presigned, StorageError>;
}

/// A URL that is a key of its own: who has it can read. It does not show in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Presigned {
    /// The URL.
    pub url: String,
    /// Headers that a request of it must have besides.
    pub headers: Vec<(String, String)>,
}

// === impl Presigned ===

impl fmt::Debug for Presigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.url.split('?').next().unwrap_or_default();
        f.debug_struct("Presigned")
            .field("url", &format_args!("{shown}?***"))
            .field("headers", &self.headers)
            .finish()
    }
}
