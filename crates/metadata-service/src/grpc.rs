//! The service over gRPC.
//!
//! Owns the adapter between the messages of `meridian.metadata.v1` and [`MetadataApi`]: decode, call,
//! encode. Keeps the invariant that the service is handed nothing that was not parsed here. A
//! message that means nothing is refused by the name of its field; an error of the service goes
//! back whole, beside a status of its class. Leaves listening, and who may call, to the process; and
//! to `replica` the same for `meridian.replication.v1`.

/// A gRPC service whose every call is a function of the same name, here or in a module, that is given the API and
/// has until the caller's deadline.
macro_rules! calls {
    (
        impl $service:ident for $adapter:ident;
        $($call:ident: $request:ident -> $response:ident $(= $module:ident)?;)*
    ) => {
        #[tonic::async_trait]
        impl $service for $adapter {
            $(async fn $call(
                &self,
                request: tonic::Request<pb::$request>,
            ) -> std::result::Result<tonic::Response<pb::$response>, tonic::Status> {
                let call = |request| $($module::)?$call(&*self.api, request);
                meridian_clients::grpc::deadline::within(request, call).await
            })*
        }
    };
}

mod collect;
mod raft;
mod read;
mod replica;
mod webhook;
mod write;

pub(crate) use raft::raft_server;
pub use raft::{RAFT_GRPC_SERVICE, RaftAdapter};
pub use replica::{REPLICA_GRPC_SERVICE, ReplicaAdapter, replica_server};
pub use webhook::{WEBHOOKS_GRPC_SERVICE, WebhooksAdapter, webhooks_server};

use std::sync::Arc;

use meridian_chassis::status;
use meridian_clients::MetadataApi;
use meridian_clients::grpc::MAX_METADATA_MESSAGE;
use meridian_clients::grpc::convert::DecodeError;
use meridian_clients::grpc::failure::{self, WireError};
use meridian_proto::meridian::metadata::v1 as pb;
use pb::metadata_server::{Metadata, MetadataServer};
use tonic::Status;

/// By which name the health service knows this one.
pub const GRPC_SERVICE: &str = pb::metadata_server::SERVICE_NAME;

/// A [`MetadataApi`] as a gRPC service. Cheap to clone.
#[derive(Clone)]
pub struct GrpcAdapter {
    api: Arc<dyn MetadataApi>,
}

/// The gRPC service in front of `api`. Compression is off, so that a small message is never a large
/// one.
#[must_use]
pub fn metadata_server(api: Arc<dyn MetadataApi>) -> MetadataServer<GrpcAdapter> {
    MetadataServer::new(GrpcAdapter { api })
        .max_decoding_message_size(MAX_METADATA_MESSAGE)
        .max_encoding_message_size(MAX_METADATA_MESSAGE)
}

calls! {
    impl Metadata for GrpcAdapter;
    get_manifest: GetManifestRequest -> GetManifestResponse = read;
    list_tags: ListTagsRequest -> ListTagsResponse = read;
    list_repositories: ListRepositoriesRequest -> ListRepositoriesResponse = read;
    list_referrers: ListReferrersRequest -> ListReferrersResponse = read;
    get_blob: GetBlobRequest -> GetBlobResponse = read;
    get_registry: GetRegistryRequest -> GetRegistryResponse = read;
    get_usage: GetUsageRequest -> GetUsageResponse = read;
    get_drain: GetDrainRequest -> GetDrainResponse = read;
    describe: DescribeRequest -> DescribeResponse = read;
    list: ListRequest -> ListResponse = read;
    put_manifest: PutManifestRequest -> PutManifestResponse = write;
    set_attributes: SetAttributesRequest -> SetAttributesResponse = write;
    delete_repository: DeleteRepositoryRequest -> DeleteRepositoryResponse = write;
    delete_manifest: DeleteManifestRequest -> DeleteManifestResponse = write;
    put_blob: PutBlobRequest -> PutBlobResponse = write;
    store_blob: StoreBlobRequest -> StoreBlobResponse = write;
    mount_blob: MountBlobRequest -> MountBlobResponse = write;
    touch_blob: TouchBlobRequest -> TouchBlobResponse = write;
    delete_blob: DeleteBlobRequest -> DeleteBlobResponse = write;
    reserve_generations: ReserveGenerationsRequest -> ReserveGenerationsResponse = write;
    list_due: ListDueRequest -> ListDueResponse = collect;
    collect: CollectRequest -> CollectResponse = collect;
    list_doomed: ListDoomedRequest -> ListDoomedResponse = collect;
    known: KnownRequest -> KnownResponse = collect;
}

/// The status of a message that means nothing.
fn malformed(error: DecodeError) -> Status {
    status::to_status(&error)
}

/// The status of an error of the service.
fn refused<E: WireError>(error: E) -> Status {
    failure::attach(status::to_status(&error), &error)
}
