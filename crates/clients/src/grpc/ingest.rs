//! Blobs of other regions, over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use meridian_event::{Leaf, RegistryId};
use meridian_proto::meridian::blob::v1 as pb;
use pb::ingest_client::IngestClient;

use super::upload::{Outgoing, upload};
use super::{EndpointError, GrpcConfig, MAX_BLOB_MESSAGE, Ways};
use crate::{ByteStream, IngestApi, Transfer, UploadError};

/// An [`IngestApi`] in another process. Cheap to clone; clones share their connection.
///
/// Nothing is repeated: the body is gone.
#[derive(Debug, Clone)]
pub struct GrpcIngest {
    client: IngestClient<Ways>,
    stall_timeout: Duration,
}

// === impl GrpcIngest ===

impl GrpcIngest {
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
        let client = IngestClient::new(ways.into())
            .max_decoding_message_size(MAX_BLOB_MESSAGE)
            .max_encoding_message_size(MAX_BLOB_MESSAGE);
        Self {
            client,
            stall_timeout: config.stall_timeout,
        }
    }
}

#[async_trait]
impl IngestApi for GrpcIngest {
    async fn ingest(
        &self,
        registry: RegistryId,
        blob: Leaf,
        body: ByteStream,
    ) -> Result<(), UploadError> {
        let head = pb::IngestHead {
            registry: Some(registry.into()),
            blob: Some(blob.into()),
        };
        let transfer = Transfer {
            range: None,
            length: None,
            body,
        };
        let mut to = self.client.clone();
        let send = |body: Outgoing<_>| async move { to.ingest(body).await };
        let pb::IngestResponse {} = upload(head, transfer, self.stall_timeout, send).await?;
        Ok(())
    }
}
