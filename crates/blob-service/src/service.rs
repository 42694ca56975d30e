//! The service as others see it.
//!
//! Owns the door: each call goes to the part that keeps its rules, with the span that names it.
//! Mounts and deletions are the metadata's alone, and are only proposed here.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use meridian_clients::{
    BlobApi, BlobRead, BlobStat, ByteStream, DeleteBlobError, Delivered, Handover, IngestApi,
    MetadataApi, MountOutcome, ReadBlobError, RepositoryPath, Transfer, UploadError, UploadStatus,
};
use meridian_event::{Leaf, RegistryId};
use meridian_oci::{Algorithm, Digest, RepositoryName, UploadId};

use crate::collect::{CollectError, CollectionReport, CollectionStatus, Collector, WouldCollect};
use crate::propose::Proposer;
use crate::read::Reads;
use crate::upload::Uploads;

/// The owner of bytes: uploads, downloads, garbage collection.
pub struct BlobService {
    pub(crate) uploads: Arc<Uploads>,
    pub(crate) reads: Reads,
    pub(crate) collector: Arc<Collector>,
    pub(crate) proposer: Proposer,
}

// === impl BlobService ===

impl BlobService {
    /// Collects garbage now, the search for orphans included, and tells what was done. Waits for a
    /// run that is under way.
    ///
    /// # Errors
    ///
    /// When the metadata or the store fails; what was done until then stays done.
    pub async fn collect(&self) -> Result<CollectionReport, CollectError> {
        self.collector.run(true).await
    }

    /// What [`collect`](Self::collect) would free now. Changes nothing; walks over the whole store.
    ///
    /// # Errors
    ///
    /// When the metadata or the store fails.
    pub async fn would_collect(&self) -> Result<WouldCollect, CollectError> {
        self.collector.dry_run().await
    }

    /// What garbage collection does now, and what it did last.
    #[must_use]
    pub fn collection(&self) -> CollectionStatus {
        self.collector.status().clone()
    }

    /// How many upload sessions are in hand.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        self.uploads.open_sessions()
    }

    /// How many blobs were found to be recorded but not readable, since the start. More than none
    /// is an alarm.
    #[must_use]
    pub fn unreadable_blobs(&self) -> u64 {
        self.reads.unreadable()
    }
}

impl fmt::Debug for BlobService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobService")
            .field("open_sessions", &self.open_sessions())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl BlobApi for BlobService {
    #[tracing::instrument(level = "debug", name = "blob.stat", skip_all, fields(repository.name = %repository.name, blob.digest = %digest))]
    async fn stat(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        for_push: bool,
    ) -> Result<BlobStat, ReadBlobError> {
        self.reads.stat(repository, digest, for_push).await
    }

    #[tracing::instrument(level = "debug", name = "blob.read", skip_all, fields(repository.name = %repository.name, blob.digest = %digest))]
    async fn read(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        range: Option<&str>,
    ) -> Result<BlobRead, ReadBlobError> {
        self.reads.open(repository, digest, range).await
    }

    #[tracing::instrument(level = "debug", name = "blob.deliver", skip_all, fields(repository.name = %repository.name, blob.digest = %digest))]
    async fn deliver(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        range: Option<&str>,
        handover: Handover,
    ) -> Result<Delivered, ReadBlobError> {
        let delivery = self.reads.deliver(repository, digest, range, handover);
        delivery.await
    }

    #[tracing::instrument(level = "debug", name = "blob.start", skip_all, fields(repository.name = %repository.name))]
    async fn start(
        &self,
        repository: &RepositoryPath,
        algorithm: Algorithm,
    ) -> Result<UploadStatus, UploadError> {
        self.uploads.start(repository, algorithm).await
    }

    #[tracing::instrument(level = "debug", name = "blob.append", skip_all, fields(repository.name = %repository.name))]
    async fn append(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
        chunk: Transfer,
    ) -> Result<UploadStatus, UploadError> {
        self.uploads.append(repository, upload, chunk).await
    }

    #[tracing::instrument(level = "debug", name = "blob.finish", skip_all, fields(repository.name = %repository.name, blob.digest = %digest))]
    async fn finish(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
        digest: Digest,
        chunk: Transfer,
    ) -> Result<(), UploadError> {
        self.uploads.finish(repository, upload, digest, chunk).await
    }

    #[tracing::instrument(level = "debug", name = "blob.upload", skip_all, fields(repository.name = %repository.name, blob.digest = %digest))]
    async fn upload(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        body: Transfer,
    ) -> Result<(), UploadError> {
        self.uploads.whole(repository, digest, body).await
    }

    #[tracing::instrument(level = "debug", name = "blob.status", skip_all, fields(repository.name = %repository.name))]
    async fn status(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
    ) -> Result<UploadStatus, UploadError> {
        self.uploads.status(repository, upload).await
    }

    #[tracing::instrument(level = "debug", name = "blob.cancel", skip_all, fields(repository.name = %repository.name))]
    async fn cancel(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
    ) -> Result<(), UploadError> {
        self.uploads.cancel(repository, upload).await
    }

    async fn probe(&self) -> Result<Option<String>, ReadBlobError> {
        Ok(self.reads.probe().await)
    }

    #[tracing::instrument(level = "debug", name = "blob.mount", skip_all, fields(repository.name = %repository.name, blob.digest = %digest))]
    async fn mount(
        &self,
        repository: &RepositoryPath,
        from: Option<&RepositoryName>,
        digest: Digest,
    ) -> Result<MountOutcome, UploadError> {
        fail::fail_point!("fe.mount.after_authz_before_ref");
        let mount = |metadata: Arc<dyn MetadataApi>, request| {
            let (repository, from) = (repository.clone(), from.cloned());
            async move {
                metadata
                    .mount_blob(&repository, from.as_ref(), digest, request)
                    .await
            }
        };
        let mounted = self.proposer.run(mount).await?;
        fail::fail_point!("fe.mount.after_ref_before_reply");
        // What is lost is in no repository, whatever the records say: it must be uploaded.
        if mounted.is_some() && !self.reads.lacks(repository, digest).await? {
            return Ok(MountOutcome::Mounted);
        }
        let session = self.uploads.start(repository, digest.algorithm()).await?;
        Ok(MountOutcome::Session(session))
    }

    #[tracing::instrument(level = "debug", name = "blob.delete", skip_all, fields(repository.name = %repository.name, blob.digest = %digest))]
    async fn delete(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
    ) -> Result<(), DeleteBlobError> {
        let delete = |metadata: Arc<dyn MetadataApi>, request| {
            let repository = repository.clone();
            async move { metadata.delete_blob(&repository, digest, request).await }
        };
        let deleted = self.proposer.run(delete).await;
        deleted.map(|_| ()).map_err(DeleteBlobError)
    }
}

#[async_trait]
impl IngestApi for BlobService {
    #[tracing::instrument(level = "debug", name = "blob.ingest", skip_all, fields(blob.digest = %blob.digest))]
    async fn ingest(
        &self,
        registry: RegistryId,
        blob: Leaf,
        body: ByteStream,
    ) -> Result<(), UploadError> {
        self.uploads.arrive(registry, blob, body).await
    }
}
