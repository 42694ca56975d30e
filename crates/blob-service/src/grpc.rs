//! The service over gRPC.
//!
//! Owns the adapter between the messages of `meridian.blob.v1` and [`BlobApi`]: decode, call, encode.
//! Keeps the invariants that the service is handed nothing that was not parsed here, and that bodies
//! pass through without being gathered. A call whose caller is gone is dropped where it stands, as
//! the trait allows. Leaves listening, and who may call, to the process.

mod download;
mod ingest;

use std::sync::Arc;

use meridian_chassis::status;
use meridian_clients::grpc::body::{self, ReceiveError};
use meridian_clients::grpc::convert::{self, DecodeError};
use meridian_clients::grpc::failure::{self, WireError};
use meridian_clients::grpc::{MAX_BLOB_MESSAGE, deadline};
use meridian_clients::{BlobApi, ByteStream, Delivered, Delivery, Transfer};
use meridian_proto::meridian::blob::v1 as pb;
use meridian_proto::{algorithm, digest, optional, text};
use pb::blob_server::{Blob, BlobServer};
use tonic::{Request, Response, Status, Streaming};

use download::Outgoing;
pub use ingest::{INGEST_GRPC_SERVICE, IngestAdapter, ingest_server};

/// By which name the health service knows this one.
pub const GRPC_SERVICE: &str = pb::blob_server::SERVICE_NAME;

/// A [`BlobApi`] as a gRPC service. Cheap to clone.
#[derive(Clone)]
pub struct GrpcAdapter {
    api: Arc<dyn BlobApi>,
}

/// The gRPC service in front of `api`. Compression is off, so that a small message is never a large
/// one.
#[must_use]
pub fn blob_server(api: Arc<dyn BlobApi>) -> BlobServer<GrpcAdapter> {
    BlobServer::new(GrpcAdapter { api })
        .max_decoding_message_size(MAX_BLOB_MESSAGE)
        .max_encoding_message_size(MAX_BLOB_MESSAGE)
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Blob for GrpcAdapter {
    type ReadStream = Outgoing;

    async fn stat(&self, request: Request<pb::StatRequest>) -> Answer<pb::StatResponse> {
        let stat = async |request: pb::StatRequest| {
            let repository = convert::repository(request.repository).map_err(malformed)?;
            let digest = digest(request.digest, "digest").map_err(malformed)?;
            let stat = self.api.stat(&repository, digest, request.for_push).await;
            stat.map(Into::into).map_err(refused)
        };
        deadline::within(request, stat).await
    }

    async fn read(&self, request: Request<pb::ReadRequest>) -> Answer<Outgoing> {
        let request = request.into_inner();
        let repository = convert::repository(request.repository).map_err(malformed)?;
        let digest = digest(request.digest, "digest").map_err(malformed)?;
        let (range, api) = (request.range.as_deref(), &self.api);
        let delivery = match request.handover {
            None => {
                let read = api.read(&repository, digest, range).await;
                read.map(|read| Delivered {
                    delivery: Delivery::Here(read),
                    stale: None,
                })
            }
            Some(handover) => {
                let handover = handover.into();
                api.deliver(&repository, digest, range, handover).await
            }
        };
        let delivery = delivery.map_err(refused)?;
        Ok(Response::new(Outgoing::new(delivery, digest)))
    }

    async fn start(&self, request: Request<pb::StartRequest>) -> Answer<pb::UploadStatus> {
        let start = async |request: pb::StartRequest| {
            let repository = convert::repository(request.repository).map_err(malformed)?;
            let algorithm = algorithm(request.algorithm, "algorithm").map_err(malformed)?;
            let status = self.api.start(&repository, algorithm).await;
            status.map(Into::into).map_err(refused)
        };
        deadline::within(request, start).await
    }

    async fn probe(&self, request: Request<pb::ProbeRequest>) -> Answer<pb::ProbeResponse> {
        let probe = async |pb::ProbeRequest {}| {
            let trouble = self.api.probe().await.map_err(refused)?;
            Ok(pb::ProbeResponse { trouble })
        };
        deadline::within(request, probe).await
    }

    async fn append(
        &self,
        request: Request<Streaming<pb::AppendRequest>>,
    ) -> Answer<pb::UploadStatus> {
        let (head, body) = body::receive(request.into_inner()).await.map_err(broken)?;
        let repository = convert::repository(head.repository).map_err(malformed)?;
        let upload = text(&head.upload, "upload").map_err(malformed)?;
        let chunk = transfer(head.transfer, body).map_err(malformed)?;
        let status = self.api.append(&repository, &upload, chunk).await;
        status
            .map(|status| Response::new(status.into()))
            .map_err(refused)
    }

    async fn finish(
        &self,
        request: Request<Streaming<pb::FinishRequest>>,
    ) -> Answer<pb::FinishResponse> {
        let (head, body) = body::receive(request.into_inner()).await.map_err(broken)?;
        let repository = convert::repository(head.repository).map_err(malformed)?;
        let upload = text(&head.upload, "upload").map_err(malformed)?;
        let digest = digest(head.digest, "digest").map_err(malformed)?;
        let chunk = transfer(head.transfer, body).map_err(malformed)?;
        let done = self.api.finish(&repository, &upload, digest, chunk).await;
        done.map(|()| Response::new(pb::FinishResponse {}))
            .map_err(refused)
    }

    async fn upload(
        &self,
        request: Request<Streaming<pb::UploadRequest>>,
    ) -> Answer<pb::UploadResponse> {
        let (head, body) = body::receive(request.into_inner()).await.map_err(broken)?;
        let repository = convert::repository(head.repository).map_err(malformed)?;
        let digest = digest(head.digest, "digest").map_err(malformed)?;
        let whole = transfer(head.transfer, body).map_err(malformed)?;
        let done = self.api.upload(&repository, digest, whole).await;
        done.map(|()| Response::new(pb::UploadResponse {}))
            .map_err(refused)
    }

    async fn status(&self, request: Request<pb::StatusRequest>) -> Answer<pb::UploadStatus> {
        let status = async |request: pb::StatusRequest| {
            let repository = convert::repository(request.repository).map_err(malformed)?;
            let upload = text(&request.upload, "upload").map_err(malformed)?;
            let status = self.api.status(&repository, &upload).await;
            status.map(Into::into).map_err(refused)
        };
        deadline::within(request, status).await
    }

    async fn cancel(&self, request: Request<pb::CancelRequest>) -> Answer<pb::CancelResponse> {
        let cancel = async |request: pb::CancelRequest| {
            let repository = convert::repository(request.repository).map_err(malformed)?;
            let upload = text(&request.upload, "upload").map_err(malformed)?;
            let done = self.api.cancel(&repository, &upload).await;
            done.map(|()| pb::CancelResponse {}).map_err(refused)
        };
        deadline::within(request, cancel).await
    }

    async fn mount(&self, request: Request<pb::MountRequest>) -> Answer<pb::MountResponse> {
        let mount = async |request: pb::MountRequest| {
            let repository = convert::repository(request.repository).map_err(malformed)?;
            let from = optional(&request.from, "from").map_err(malformed)?;
            let digest = digest(request.digest, "digest").map_err(malformed)?;
            let outcome = self.api.mount(&repository, from.as_ref(), digest).await;
            outcome.map(Into::into).map_err(refused)
        };
        deadline::within(request, mount).await
    }

    async fn delete(&self, request: Request<pb::DeleteRequest>) -> Answer<pb::DeleteResponse> {
        let delete = async |request: pb::DeleteRequest| {
            let repository = convert::repository(request.repository).map_err(malformed)?;
            let digest = digest(request.digest, "digest").map_err(malformed)?;
            let done = self.api.delete(&repository, digest).await;
            done.map(|()| pb::DeleteResponse {}).map_err(refused)
        };
        deadline::within(request, delete).await
    }
}

fn transfer(head: Option<pb::TransferHead>, body: ByteStream) -> Result<Transfer, DecodeError> {
    let (range, length) = convert::transfer_head(head)?;
    Ok(Transfer {
        range,
        length,
        body,
    })
}

/// The status of a message that means nothing.
fn malformed(error: DecodeError) -> Status {
    status::to_status(&error)
}

/// The status of an upload without a beginning; if its sender is gone, nobody reads it.
fn broken(error: ReceiveError) -> Status {
    match error {
        ReceiveError::Broken(status) => status,
        ReceiveError::Decode(error) => malformed(error),
    }
}

/// The status of an error of the service.
fn refused<E: WireError>(error: E) -> Status {
    failure::attach(status::to_status(&error), &error)
}
