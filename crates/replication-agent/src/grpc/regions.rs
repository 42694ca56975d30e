//! The other regions, for the frontends of this one.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use meridian_clients::grpc::body::Pieces;
use meridian_clients::grpc::convert::DecodeError;
use meridian_clients::grpc::{MAX_METADATA_MESSAGE, convert, deadline};
use meridian_clients::regions::{RegionsApi, RemoteBlob};
use meridian_clients::{BlobRead, ByteStream, ReadBlobError};
use meridian_oci::Digest;
use meridian_proto::meridian::replication::v1 as pb;
use meridian_proto::{digest, version};
use pb::read_blob_response::Message;
use pb::regions_server::{Regions, RegionsServer};
use tonic::{Request, Response, Status};

use super::{Answer, malformed, refused};

/// By which name the health service knows it.
pub const REGIONS_GRPC_SERVICE: &str = pb::regions_server::SERVICE_NAME;

/// A [`RegionsApi`] as a gRPC service. Cheap to clone.
#[derive(Clone)]
pub struct RegionsAdapter {
    api: Arc<dyn RegionsApi>,
}

/// The gRPC service in front of `api`.
#[must_use]
pub fn regions_server(api: Arc<dyn RegionsApi>) -> RegionsServer<RegionsAdapter> {
    RegionsServer::new(RegionsAdapter { api })
        .max_decoding_message_size(MAX_METADATA_MESSAGE)
        .max_encoding_message_size(MAX_METADATA_MESSAGE)
}

type Messages = Pin<Box<dyn Stream<Item = Result<pb::ReadBlobResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Regions for RegionsAdapter {
    type ReadBlobStream = Messages;

    async fn get_freshness(
        &self,
        request: Request<pb::GetFreshnessRequest>,
    ) -> Answer<pb::GetFreshnessResponse> {
        let freshness = async |_asked| {
            let freshness = self.api.freshness().await;
            freshness.map(Into::into).map_err(refused)
        };
        deadline::within(request, freshness).await
    }

    async fn resolve(&self, request: Request<pb::ResolveRequest>) -> Answer<pb::ResolveResponse> {
        let resolve = async |request: pb::ResolveRequest| {
            let repository = convert::repository(request.repository).map_err(malformed)?;
            let reference = convert::reference(&request.reference).map_err(malformed)?;
            let at_least = request.at_least.map(|it| version(Some(it), "at_least"));
            let at_least = at_least.transpose().map_err(malformed)?;
            let resolved = self.api.resolve(&repository, &reference, at_least).await;
            resolved.map(Into::into).map_err(refused)
        };
        deadline::within(request, resolve).await
    }

    async fn read_blob(&self, request: Request<pb::ReadBlobRequest>) -> Answer<Messages> {
        let request = request.into_inner();
        let repository = convert::repository(request.repository).map_err(malformed)?;
        let digest = digest(request.digest, "digest").map_err(malformed)?;
        let range = request.range.as_deref();
        let blob = self.api.read_blob(&repository, digest, range).await;
        let blob = blob.map_err(refused)?;
        Ok(Response::new(Outgoing::new(blob, digest).messages()))
    }

    async fn bring(&self, request: Request<pb::BringRequest>) -> Answer<pb::BringResponse> {
        let bring = async |request: pb::BringRequest| {
            let repository = convert::repository(request.repository).map_err(malformed)?;
            let digests = convert::take_digests(request.digests).map_err(malformed)?;
            let absent = self
                .api
                .bring(&repository, &digests)
                .await
                .map_err(refused)?;
            let absent = convert::digests(&absent);
            Ok(pb::BringResponse { absent })
        };
        deadline::within(request, bring).await
    }

    async fn list_holders(
        &self,
        request: Request<pb::ListHoldersRequest>,
    ) -> Answer<pb::ListHoldersResponse> {
        let holders = async |request: pb::ListHoldersRequest| {
            let (repository, target) = convert::take_holders_request(request).map_err(malformed)?;
            let holders = self.api.holders(&repository, &target).await;
            let regions = holders
                .map_err(refused)?
                .iter()
                .map(ToString::to_string)
                .collect();
            Ok(pb::ListHoldersResponse { regions })
        };
        deadline::within(request, holders).await
    }

    async fn get_replication_status(
        &self,
        request: Request<pb::GetReplicationStatusRequest>,
    ) -> Answer<pb::GetReplicationStatusResponse> {
        let status = async |_asked| {
            let status = self.api.status().await;
            status.map(Into::into).map_err(refused)
        };
        deadline::within(request, status).await
    }

    async fn skip_record(
        &self,
        request: Request<pb::SkipRecordRequest>,
    ) -> Answer<pb::SkipRecordResponse> {
        let skip = async |request: pb::SkipRecordRequest| {
            let origin = request.origin.parse();
            let origin = origin.map_err(|_| malformed(DecodeError::Invalid("origin")))?;
            let shard = u16::try_from(request.shard);
            let shard = shard.map_err(|_| malformed(DecodeError::Invalid("shard")))?;
            let offset = self.api.skip(origin, shard).await.map_err(refused)?;
            Ok(pb::SkipRecordResponse { offset })
        };
        deadline::within(request, skip).await
    }

    async fn get_image_status(
        &self,
        request: Request<pb::GetImageStatusRequest>,
    ) -> Answer<pb::GetImageStatusResponse> {
        let image = async |request: pb::GetImageStatusRequest| {
            let repository = convert::repository(request.repository).map_err(malformed)?;
            let reference = convert::reference(&request.reference).map_err(malformed)?;
            let at_least = request.at_least.map(|it| version(Some(it), "at_least"));
            let at_least = at_least.transpose().map_err(malformed)?;
            let image = self.api.image(&repository, &reference, at_least).await;
            image.map(Into::into).map_err(refused)
        };
        deadline::within(request, image).await
    }
}

/// A blob on its way out.
struct Outgoing {
    digest: Digest,
    head: Option<pb::ReadBlobHead>,
    /// Absent when it has ended.
    body: Option<ByteStream>,
    pieces: Pieces,
}

// === impl Outgoing ===

impl Outgoing {
    fn new(blob: RemoteBlob, digest: Digest) -> Self {
        let mut head = pb::ReadBlobHead {
            region: blob.region.to_string(),
            needed: blob.is_needed,
            ..pb::ReadBlobHead::default()
        };
        let body = match blob.read {
            BlobRead::Whole { size, body } => {
                (head.size, head.end) = (size, size);
                Some(body)
            }
            BlobRead::Part {
                size,
                start,
                end_inclusive,
                body,
            } => {
                (head.size, head.start, head.end) = (size, start, end_inclusive + 1);
                head.partial = true;
                Some(body)
            }
            BlobRead::Unsatisfiable { size } => {
                (head.size, head.unsatisfiable) = (size, true);
                None
            }
        };
        Self {
            digest,
            head: Some(head),
            body,
            pieces: Pieces::default(),
        }
    }

    fn messages(self) -> Messages {
        Box::pin(stream::try_unfold(self, |mut outgoing| async move {
            let message = outgoing.message().await?;
            let message = message.map(|message| pb::ReadBlobResponse {
                message: Some(message),
            });
            Ok(message.map(|message| (message, outgoing)))
        }))
    }

    async fn message(&mut self) -> Result<Option<Message>, Status> {
        if let Some(head) = self.head.take() {
            return Ok(Some(Message::Head(head)));
        }
        loop {
            if let Some(piece) = self.pieces.pop() {
                return Ok(Some(Message::Chunk(piece)));
            }
            let Some(body) = &mut self.body else {
                return Ok(None);
            };
            match body.next().await {
                Some(Ok(bytes)) => self.pieces.push(bytes),
                Some(Err(source)) => {
                    let digest = self.digest;
                    return Err(refused(ReadBlobError::Unreadable { digest, source }));
                }
                None => self.body = None,
            }
        }
    }
}
