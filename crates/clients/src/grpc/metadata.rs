//! The metadata service over gRPC.

use async_trait::async_trait;
use meridian_event::{RegistryId, Target};
use meridian_oci::{Digest, Reference, RegistryName, RepositoryName, Tag};
use meridian_proto::meridian::metadata::v1 as pb;
use pb::metadata_client::MetadataClient;

use super::call::{Repeat, Unary};
use super::convert::{self, DecodeError};
use super::{EndpointError, GrpcConfig, MAX_METADATA_MESSAGE, Ways};
use crate::{
    AttributesSet, BlobPut, BlobRecord, Collect, CollectOutcome, DeleteManifest, DeleteRepository,
    Deleted, Described, Doomed, Drained, Due, Generations, ListRequest, Listing, ManifestPut,
    ManifestStat, MetadataApi, Page, PageRequest, PutBlob, PutManifest, ReadError, Referrers,
    RepositoryDeleted, RepositoryPath, RequestId, SetAttributes, StorageKey, StoreBlob,
    StoredManifest, Usage, WriteError,
};

/// A [`MetadataApi`] in another process. Cheap to clone; clones share their connection.
#[derive(Debug, Clone)]
pub struct GrpcMetadata {
    calls: Unary<Client>,
}

type Client = MetadataClient<Ways>;

// === impl GrpcMetadata ===

impl GrpcMetadata {
    /// The service at `endpoint`, such as `http://127.0.0.1:7401`. Does no I/O yet.
    ///
    /// # Errors
    ///
    /// When `endpoint` says something else.
    pub fn at(endpoint: &str, config: &GrpcConfig) -> Result<Self, EndpointError> {
        Ok(Self::over(super::channel(endpoint, config)?, config))
    }

    /// The service at the other end of `channel`.
    #[must_use]
    pub fn over(ways: impl Into<Ways>, config: &GrpcConfig) -> Self {
        let client = MetadataClient::new(ways.into())
            .max_decoding_message_size(MAX_METADATA_MESSAGE)
            .max_encoding_message_size(MAX_METADATA_MESSAGE);
        Self {
            // Any of this service may be repeated: it reads, or carries a request id.
            calls: Unary::new(client, config.deadline, Repeat::Yes),
        }
    }
}

fn get_manifest(
    repository: &RepositoryPath,
    reference: &Reference,
    stat_only: bool,
) -> pb::GetManifestRequest {
    pb::GetManifestRequest {
        repository: Some(repository.into()),
        reference: reference.to_string(),
        stat_only,
    }
}

/// For answers that cannot mean nothing.
fn always<R, T: From<R>>(answer: R) -> Result<T, DecodeError> {
    Ok(answer.into())
}

#[async_trait]
impl MetadataApi for GrpcMetadata {
    async fn manifest(
        &self,
        repository: &RepositoryPath,
        reference: &Reference,
    ) -> Result<StoredManifest, ReadError> {
        let message = get_manifest(repository, reference, false);
        let send = |mut to: Client, request| async move { to.get_manifest(request).await };
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn manifest_stat(
        &self,
        repository: &RepositoryPath,
        reference: &Reference,
    ) -> Result<ManifestStat, ReadError> {
        let message = get_manifest(repository, reference, true);
        let send = |mut to: Client, request| async move { to.get_manifest(request).await };
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn tags(
        &self,
        repository: &RepositoryPath,
        page: PageRequest<Tag>,
    ) -> Result<Page<Tag>, ReadError> {
        let message = pb::ListTagsRequest {
            repository: Some(repository.into()),
            after: page.after.map(Into::into).unwrap_or_default(),
            limit: page.limit as u64,
        };
        let send = |mut to: Client, request| async move { to.list_tags(request).await };
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn repositories(
        &self,
        registry: &RegistryName,
        page: PageRequest<RepositoryName>,
    ) -> Result<Page<RepositoryName>, ReadError> {
        let message = pb::ListRepositoriesRequest {
            registry: registry.to_string(),
            after: page.after.map(Into::into).unwrap_or_default(),
            limit: page.limit as u64,
        };
        let send = |mut to: Client, request| async move { to.list_repositories(request).await };
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn referrers(
        &self,
        repository: &RepositoryPath,
        subject: Digest,
        artifact_types: &[String],
        after: Option<Digest>,
        max_bytes: usize,
    ) -> Result<Referrers, ReadError> {
        let message = pb::ListReferrersRequest {
            repository: Some(repository.into()),
            subject: Some(subject.into()),
            artifact_types: artifact_types.to_vec(),
            after: after.map(Into::into),
            max_bytes: max_bytes as u64,
        };
        let send = |mut to: Client, request| async move { to.list_referrers(request).await };
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn blob(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
    ) -> Result<BlobRecord, ReadError> {
        let message = pb::GetBlobRequest {
            repository: Some(repository.into()),
            digest: Some(digest.into()),
        };
        let send = |mut to: Client, request| async move { to.get_blob(request).await };
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn put_manifest(&self, request: PutManifest) -> Result<ManifestPut, WriteError> {
        let message = pb::PutManifestRequest::from(request);
        let send = |mut to: Client, request| async move { to.put_manifest(request).await };
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn delete_manifest(&self, request: DeleteManifest) -> Result<Deleted, WriteError> {
        let message = pb::DeleteManifestRequest::from(request);
        let send = |mut to: Client, request| async move { to.delete_manifest(request).await };
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn describe(
        &self,
        repository: &RepositoryPath,
        target: &Target,
    ) -> Result<Described, ReadError> {
        let message = convert::describe_request(repository, target);
        let send = |mut to: Client, request| async move { to.describe(request).await };
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn list(
        &self,
        repository: &RepositoryPath,
        request: ListRequest,
    ) -> Result<Option<Listing>, ReadError> {
        let message = convert::list_request(repository, request);
        let send = |mut to: Client, request| async move { to.list(request).await };
        self.calls.call(message, send, convert::take_listing).await
    }

    async fn set_attributes(&self, request: SetAttributes) -> Result<AttributesSet, WriteError> {
        let message = pb::SetAttributesRequest::from(request);
        let send = |mut to: Client, request| async move { to.set_attributes(request).await };
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn delete_repository(
        &self,
        request: DeleteRepository,
    ) -> Result<RepositoryDeleted, WriteError> {
        let message = convert::deletion_request(request);
        let send = |mut to: Client, request| async move { to.delete_repository(request).await };
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn put_blob(&self, request: PutBlob) -> Result<BlobPut, WriteError> {
        let message = pb::PutBlobRequest::from(request);
        let send = |mut to: Client, request| async move { to.put_blob(request).await };
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn store_blob(&self, request: StoreBlob) -> Result<BlobPut, WriteError> {
        let message = pb::StoreBlobRequest::from(request);
        let send = |mut to: Client, request| async move { to.store_blob(request).await };
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn mount_blob(
        &self,
        repository: &RepositoryPath,
        from: Option<&RepositoryName>,
        digest: Digest,
        request: RequestId,
    ) -> Result<Option<BlobPut>, WriteError> {
        let message = pb::MountBlobRequest {
            repository: Some(repository.into()),
            from: from.map(ToString::to_string).unwrap_or_default(),
            digest: Some(digest.into()),
            request: Some(request.into()),
        };
        let send = |mut to: Client, request| async move { to.mount_blob(request).await };
        self.calls.call(message, send, convert::take_mounted).await
    }

    async fn touch_blob(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        request: RequestId,
    ) -> Result<(), WriteError> {
        let message = pb::TouchBlobRequest {
            repository: Some(repository.into()),
            digest: Some(digest.into()),
            request: Some(request.into()),
        };
        let send = |mut to: Client, request| async move { to.touch_blob(request).await };
        self.calls
            .call(message, send, |pb::TouchBlobResponse {}| Ok(()))
            .await
    }

    async fn delete_blob(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        request: RequestId,
    ) -> Result<Deleted, WriteError> {
        let message = pb::DeleteBlobRequest {
            repository: Some(repository.into()),
            digest: Some(digest.into()),
            request: Some(request.into()),
        };
        let send = |mut to: Client, request| async move { to.delete_blob(request).await };
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn reserve_generations(
        &self,
        count: u64,
        request: RequestId,
    ) -> Result<Generations, WriteError> {
        let message = pb::ReserveGenerationsRequest {
            count,
            request: Some(request.into()),
        };
        let send = |mut to: Client, request| async move { to.reserve_generations(request).await };
        self.calls.call(message, send, always).await
    }

    async fn registry(&self, name: &RegistryName) -> Result<RegistryId, ReadError> {
        let message = pb::GetRegistryRequest {
            name: name.to_string(),
        };
        let send = |mut to: Client, request| async move { to.get_registry(request).await };
        let read =
            |answer: pb::GetRegistryResponse| meridian_proto::registry(answer.registry, "registry");
        self.calls.call(message, send, read).await
    }

    async fn due(&self, limit: usize) -> Result<Vec<Due>, ReadError> {
        let message = pb::ListDueRequest {
            limit: limit as u64,
        };
        let send = |mut to: Client, request| async move { to.list_due(request).await };
        self.calls.call(message, send, convert::take_due).await
    }

    async fn collect(
        &self,
        step: Collect,
        request: RequestId,
    ) -> Result<CollectOutcome, WriteError> {
        let message = pb::CollectRequest {
            step: Some(step.into()),
            request: Some(request.into()),
        };
        let send = |mut to: Client, request| async move { to.collect(request).await };
        self.calls.call(message, send, always).await
    }

    async fn doomed(&self, limit: usize) -> Result<Vec<Doomed>, ReadError> {
        let message = pb::ListDoomedRequest {
            limit: limit as u64,
        };
        let send = |mut to: Client, request| async move { to.list_doomed(request).await };
        self.calls.call(message, send, convert::take_doomed).await
    }

    async fn known(&self, keys: &[StorageKey]) -> Result<Vec<bool>, ReadError> {
        let message = pb::KnownRequest {
            keys: keys.iter().map(|key| (*key).into()).collect(),
        };
        let send = |mut to: Client, request| async move { to.known(request).await };
        let read = |answer: pb::KnownResponse| {
            if answer.known.len() == keys.len() {
                Ok(answer.known)
            } else {
                Err(DecodeError::Invalid("known"))
            }
        };
        self.calls.call(message, send, read).await
    }

    async fn usage(&self, registry: &RegistryName) -> Result<Usage, ReadError> {
        let message = pb::GetUsageRequest {
            registry: registry.to_string(),
        };
        let send = |mut to: Client, request| async move { to.get_usage(request).await };
        self.calls.call(message, send, always).await
    }

    async fn drained(&self) -> Result<Option<Drained>, ReadError> {
        let send = |mut to: Client, request| async move { to.get_drain(request).await };
        let read = |answer: pb::GetDrainResponse| Ok(answer.drained.map(Into::into));
        self.calls.call(pb::GetDrainRequest {}, send, read).await
    }
}
