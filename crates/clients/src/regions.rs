//! What the agents of a region offer to its frontends: what is to be had in other regions.
//!
//! Owns the contract of read-through. Keeps these invariants: what is found elsewhere is merged here
//! before it is answered, so that a deletion which this region knows wins (design §6.3); and content
//! crosses between regions once, however many clients wait for it.

use std::time::Duration;

use async_trait::async_trait;
use meridian_clock::{Region, Version};
use meridian_oci::{Digest, Reference};

use crate::{BlobRead, ReadBlobError, ReadError, RepositoryPath, StoredManifest};

/// The other regions, as a frontend sees them through an agent of its own.
#[async_trait]
pub trait RegionsApi: Send + Sync + 'static {
    /// How old an answer of this region may be that is not named by its content.
    async fn freshness(&self) -> Result<Freshness, ReadError>;

    /// Looks for a tag or a manifest in all regions; of a tag, the newest that any of them knows is
    /// answered, with the bytes of its manifest. A region that does not answer in time is left out,
    /// and the answer says so; but with `at_least`, the region that stamped it is waited for.
    ///
    /// # Errors
    ///
    /// [`ReadError::ManifestUnknown`] when every region says that there is none.
    /// [`ReadError::Unavailable`] when one did not answer that may have it, and no other has.
    async fn resolve(
        &self,
        repository: &RepositoryPath,
        reference: &Reference,
        at_least: Option<Version>,
    ) -> Result<Resolved, ReadError>;

    /// Opens a blob that another region has, while it is brought here. `range` is the value of a
    /// `Range` header, resolved against the blob's size (RFC 9110 §14).
    async fn read_blob(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        range: Option<&str>,
    ) -> Result<RemoteBlob, ReadBlobError>;

    /// Brings what a push relies on, and other regions have in the same repository. Returns when it
    /// is here, and which of it is nowhere.
    async fn bring(
        &self,
        repository: &RepositoryPath,
        digests: &[Digest],
    ) -> Result<Vec<Digest>, ReadError>;
}

/// How old answers of a region may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freshness {
    /// The region.
    pub region: Region,
    /// Each other region, and how long ago it was known that everything which had happened there
    /// was merged here; nothing, if that was never known.
    pub peers: Vec<(Region, Option<Duration>)>,
}

/// A manifest that was looked for in all regions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// What was found. It says that it may be old if a region that may know better did not answer.
    pub manifest: StoredManifest,
    /// The region whose answer it is.
    pub region: Region,
}

/// A blob of another region.
pub struct RemoteBlob {
    /// The region that has it.
    pub region: Region,
    /// Its bytes, as they come.
    pub read: BlobRead,
}

// === impl Freshness ===

impl Freshness {
    /// How long ago this region was known to have merged everything that had happened anywhere.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        let ages = self.peers.iter().map(|(_, age)| *age);
        ages.collect::<Option<Vec<_>>>()
            .map(|ages| ages.into_iter().max().unwrap_or_default())
    }
}
