//! Blobs of other regions, over gRPC.

use std::sync::Arc;

use meridian_clients::IngestApi;
use meridian_clients::grpc::{MAX_BLOB_MESSAGE, body};
use meridian_proto::meridian::blob::v1 as pb;
use meridian_proto::{leaf, registry};
use pb::ingest_server::{Ingest, IngestServer};
use tonic::{Request, Response, Status, Streaming};

use super::{broken, malformed, refused};

/// By which name the health service knows it.
pub const INGEST_GRPC_SERVICE: &str = pb::ingest_server::SERVICE_NAME;

/// An [`IngestApi`] as a gRPC service. Cheap to clone.
#[derive(Clone)]
pub struct IngestAdapter {
    api: Arc<dyn IngestApi>,
}

/// The gRPC service in front of `api`.
#[must_use]
pub fn ingest_server(api: Arc<dyn IngestApi>) -> IngestServer<IngestAdapter> {
    IngestServer::new(IngestAdapter { api })
        .max_decoding_message_size(MAX_BLOB_MESSAGE)
        .max_encoding_message_size(MAX_BLOB_MESSAGE)
}

#[tonic::async_trait]
impl Ingest for IngestAdapter {
    async fn ingest(
        &self,
        request: Request<Streaming<pb::IngestRequest>>,
    ) -> Result<Response<pb::IngestResponse>, Status> {
        let (head, body) = body::receive(request.into_inner()).await.map_err(broken)?;
        let registry = registry(head.registry, "registry").map_err(malformed)?;
        let blob = leaf(head.blob, "blob").map_err(malformed)?;
        let kept = self.api.ingest(registry, blob, body).await;
        kept.map(|()| Response::new(pb::IngestResponse {}))
            .map_err(refused)
    }
}
