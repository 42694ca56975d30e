//! Calls of garbage collection.

use meridian_clients::grpc::convert::{self, page_limit, request_id, storage_keys};
use meridian_clients::{Collect, MetadataApi};
use meridian_proto::meridian::metadata::v1 as pb;
use tonic::Status;

use super::{malformed, refused};

type Result<T> = std::result::Result<T, Status>;

pub(super) async fn list_due(
    api: &dyn MetadataApi,
    request: pb::ListDueRequest,
) -> Result<pb::ListDueResponse> {
    let due = api.due(page_limit(request.limit)).await;
    due.map(convert::due).map_err(refused)
}

pub(super) async fn collect(
    api: &dyn MetadataApi,
    request: pb::CollectRequest,
) -> Result<pb::CollectResponse> {
    let step = Collect::try_from(request.step).map_err(malformed)?;
    let id = request_id(request.request).map_err(malformed)?;
    let outcome = api.collect(step, id).await;
    outcome.map(Into::into).map_err(refused)
}

pub(super) async fn list_doomed(
    api: &dyn MetadataApi,
    request: pb::ListDoomedRequest,
) -> Result<pb::ListDoomedResponse> {
    let doomed = api.doomed(page_limit(request.limit)).await;
    doomed.map(convert::doomed).map_err(refused)
}

pub(super) async fn known(
    api: &dyn MetadataApi,
    request: pb::KnownRequest,
) -> Result<pb::KnownResponse> {
    let keys = storage_keys(request.keys).map_err(malformed)?;
    let known = api.known(&keys).await.map_err(refused)?;
    Ok(pb::KnownResponse { known })
}
