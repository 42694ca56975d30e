//! Uploads that were begun here, for the frontends of other regions.
//!
//! Owns what they may do: go on with a session, whose id only its client has, and end it. Everything else
//! that a blob service does is for this region: what others need, their agents ask of this one.

use std::sync::Arc;

use async_trait::async_trait;
use meridian_clients::{
    BlobApi, BlobRead, BlobStat, DeleteBlobError, MountOutcome, ReadBlobError, ReadError,
    RepositoryPath, Transfer, UploadError, UploadStatus,
};
use meridian_oci::{Algorithm, Digest, RepositoryName, UploadId};

/// The upload sessions of a blob service, and nothing else of it.
pub struct ForeignSessions {
    blobs: Arc<dyn BlobApi>,
}

// === impl ForeignSessions ===

impl ForeignSessions {
    /// The sessions of `blobs`.
    #[must_use]
    pub const fn new(blobs: Arc<dyn BlobApi>) -> Self {
        Self { blobs }
    }
}

#[async_trait]
impl BlobApi for ForeignSessions {
    async fn stat(
        &self,
        _: &RepositoryPath,
        _: Digest,
        _: bool,
    ) -> Result<BlobStat, ReadBlobError> {
        Err(ReadError::BlobUnknown.into())
    }

    async fn read(
        &self,
        _: &RepositoryPath,
        _: Digest,
        _: Option<&str>,
    ) -> Result<BlobRead, ReadBlobError> {
        Err(ReadError::BlobUnknown.into())
    }

    async fn start(&self, _: &RepositoryPath, _: Algorithm) -> Result<UploadStatus, UploadError> {
        Err(UploadError::Unknown)
    }

    async fn append(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
        chunk: Transfer,
    ) -> Result<UploadStatus, UploadError> {
        self.blobs.append(repository, upload, chunk).await
    }

    async fn finish(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
        digest: Digest,
        chunk: Transfer,
    ) -> Result<(), UploadError> {
        self.blobs.finish(repository, upload, digest, chunk).await
    }

    async fn upload(&self, _: &RepositoryPath, _: Digest, _: Transfer) -> Result<(), UploadError> {
        Err(UploadError::Unknown)
    }

    async fn status(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
    ) -> Result<UploadStatus, UploadError> {
        self.blobs.status(repository, upload).await
    }

    async fn cancel(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
    ) -> Result<(), UploadError> {
        self.blobs.cancel(repository, upload).await
    }

    async fn probe(&self) -> Result<Option<String>, ReadBlobError> {
        Ok(None)
    }

    async fn mount(
        &self,
        _: &RepositoryPath,
        _: Option<&RepositoryName>,
        _: Digest,
    ) -> Result<MountOutcome, UploadError> {
        Err(UploadError::Unknown)
    }

    async fn delete(&self, _: &RepositoryPath, _: Digest) -> Result<(), DeleteBlobError> {
        let error: meridian_clients::WriteError = ReadError::BlobUnknown.into();
        Err(error.into())
    }
}
