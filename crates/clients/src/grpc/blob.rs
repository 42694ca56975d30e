//! The blob service over gRPC.

mod download;

use std::time::Duration;

use async_trait::async_trait;
use meridian_oci::{Algorithm, Digest, RepositoryName, UploadId};
use meridian_proto::meridian::blob::v1 as pb;
use pb::blob_client::BlobClient;
use tonic::{Request, Streaming};

use super::call::{Caller, Repeat, unreadable};
use super::upload::{Outgoing, upload};
use super::{EndpointError, GrpcConfig, MAX_BLOB_MESSAGE, Ways, failure};
use crate::{
    BlobApi, BlobRead, BlobStat, DeleteBlobError, Delivered, Handover, MountOutcome, ReadBlobError,
    RepositoryPath, Transfer, UploadError, UploadStatus,
};

/// A [`BlobApi`] in another process. Cheap to clone; clones share their connection.
///
/// Only what reads is ever repeated: no other call says which request it is.
#[derive(Debug, Clone)]
pub struct GrpcBlobs {
    client: BlobClient<Ways>,
    caller: Caller,
    stall_timeout: Duration,
}

// === impl GrpcBlobs ===

impl GrpcBlobs {
    /// The service at `endpoint`, such as `http://127.0.0.1:7402`. Does no I/O yet.
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
        let client = BlobClient::new(ways.into())
            .max_decoding_message_size(MAX_BLOB_MESSAGE)
            .max_encoding_message_size(MAX_BLOB_MESSAGE);
        Self {
            client,
            caller: Caller::new(config.deadline),
            stall_timeout: config.stall_timeout,
        }
    }

    /// Sends a question whose answer is a head and bytes. `open` takes the head off.
    async fn download<T, F>(
        &self,
        message: pb::ReadRequest,
        open: impl Fn(Streaming<pb::ReadResponse>) -> F,
    ) -> Result<T, ReadBlobError>
    where
        F: Future<Output = Result<T, ReadBlobError>>,
    {
        let open = &open;
        let attempt = |_left| {
            let (mut to, request) = (self.client.clone(), Request::new(message.clone()));
            async move {
                let answer = to.read(request).await;
                let answer =
                    answer.map_err(|status| failure::from_status::<ReadBlobError>(&status))?;
                open(answer.into_inner()).await
            }
        };
        self.caller.repeat(Repeat::Yes, attempt).await
    }
}

#[async_trait]
impl BlobApi for GrpcBlobs {
    async fn stat(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        for_push: bool,
    ) -> Result<BlobStat, ReadBlobError> {
        let message = pb::StatRequest {
            repository: Some(repository.into()),
            digest: Some(digest.into()),
            for_push,
        };
        let send = |request| {
            let mut to = self.client.clone();
            async move { to.stat(request).await }
        };
        let read = |answer: pb::StatResponse| answer.try_into();
        self.caller.unary(Repeat::Yes, message, send, read).await
    }

    async fn read(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        range: Option<&str>,
    ) -> Result<BlobRead, ReadBlobError> {
        let message = pb::ReadRequest {
            repository: Some(repository.into()),
            digest: Some(digest.into()),
            range: range.map(ToOwned::to_owned),
            handover: None,
        };
        let stall_timeout = self.stall_timeout;
        let open = |messages| download::open(messages, stall_timeout);
        self.download(message, open).await
    }

    async fn deliver(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        range: Option<&str>,
        handover: Handover,
    ) -> Result<Delivered, ReadBlobError> {
        let message = pb::ReadRequest {
            repository: Some(repository.into()),
            digest: Some(digest.into()),
            range: range.map(ToOwned::to_owned),
            handover: Some(handover.into()),
        };
        let stall_timeout = self.stall_timeout;
        let open = |messages| download::deliver(messages, stall_timeout);
        self.download(message, open).await
    }

    async fn start(
        &self,
        repository: &RepositoryPath,
        algorithm: Algorithm,
    ) -> Result<UploadStatus, UploadError> {
        let message = pb::StartRequest {
            repository: Some(repository.into()),
            algorithm: pb::Algorithm::from(algorithm).into(),
        };
        let send = |request| {
            let mut to = self.client.clone();
            async move { to.start(request).await }
        };
        let read = TryInto::try_into;
        self.caller.unary(Repeat::No, message, send, read).await
    }

    async fn append(
        &self,
        repository: &RepositoryPath,
        upload_id: &UploadId,
        chunk: Transfer,
    ) -> Result<UploadStatus, UploadError> {
        let head = pb::AppendHead {
            repository: Some(repository.into()),
            upload: upload_id.to_string(),
            transfer: Some((&chunk).into()),
        };
        let mut to = self.client.clone();
        let send = |body: Outgoing<_>| async move { to.append(body).await };
        let status = upload(head, chunk, self.stall_timeout, send).await?;
        status.try_into().map_err(|error| unreadable(&error))
    }

    async fn finish(
        &self,
        repository: &RepositoryPath,
        upload_id: &UploadId,
        digest: Digest,
        chunk: Transfer,
    ) -> Result<(), UploadError> {
        let head = pb::FinishHead {
            repository: Some(repository.into()),
            upload: upload_id.to_string(),
            digest: Some(digest.into()),
            transfer: Some((&chunk).into()),
        };
        let mut to = self.client.clone();
        let send = |body: Outgoing<_>| async move { to.finish(body).await };
        let pb::FinishResponse {} = upload(head, chunk, self.stall_timeout, send).await?;
        Ok(())
    }

    async fn upload(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        body: Transfer,
    ) -> Result<(), UploadError> {
        let head = pb::UploadHead {
            repository: Some(repository.into()),
            digest: Some(digest.into()),
            transfer: Some((&body).into()),
        };
        let mut to = self.client.clone();
        let send = |body: Outgoing<_>| async move { to.upload(body).await };
        let pb::UploadResponse {} = upload(head, body, self.stall_timeout, send).await?;
        Ok(())
    }

    async fn status(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
    ) -> Result<UploadStatus, UploadError> {
        let message = pb::StatusRequest {
            repository: Some(repository.into()),
            upload: upload.to_string(),
        };
        let send = |request| {
            let mut to = self.client.clone();
            async move { to.status(request).await }
        };
        let read = TryInto::try_into;
        self.caller.unary(Repeat::Yes, message, send, read).await
    }

    async fn cancel(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
    ) -> Result<(), UploadError> {
        let message = pb::CancelRequest {
            repository: Some(repository.into()),
            upload: upload.to_string(),
        };
        let send = |request| {
            let mut to = self.client.clone();
            async move { to.cancel(request).await }
        };
        let read = |pb::CancelResponse {}| Ok(());
        self.caller.unary(Repeat::No, message, send, read).await
    }

    async fn mount(
        &self,
        repository: &RepositoryPath,
        from: Option<&RepositoryName>,
        digest: Digest,
    ) -> Result<MountOutcome, UploadError> {
        let message = pb::MountRequest {
            repository: Some(repository.into()),
            from: from.map(ToString::to_string).unwrap_or_default(),
            digest: Some(digest.into()),
        };
        let send = |request| {
            let mut to = self.client.clone();
            async move { to.mount(request).await }
        };
        let read = TryInto::try_into;
        self.caller.unary(Repeat::No, message, send, read).await
    }

    async fn delete(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
    ) -> Result<(), DeleteBlobError> {
        let message = pb::DeleteRequest {
            repository: Some(repository.into()),
            digest: Some(digest.into()),
        };
        let send = |request| {
            let mut to = self.client.clone();
            async move { to.delete(request).await }
        };
        let read = |pb::DeleteResponse {}| Ok(());
        self.caller.unary(Repeat::No, message, send, read).await
    }

    async fn probe(&self) -> Result<Option<String>, ReadBlobError> {
        let send = |request| {
            let mut to = self.client.clone();
            async move { to.probe(request).await }
        };
        let read = |answer: pb::ProbeResponse| Ok(answer.trouble);
        let message = pb::ProbeRequest {};
        self.caller.unary(Repeat::No, message, send, read).await
    }
}
