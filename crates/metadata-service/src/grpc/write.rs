//! Calls that write.

use meridian_clients::grpc::convert::{mounted, repository, request_id, take_deletion_request};
use meridian_clients::{
    DeleteManifest, MetadataApi, PutBlob, PutManifest, SetAttributes, StoreBlob,
};
use meridian_proto::meridian::metadata::v1 as pb;
use meridian_proto::{digest, optional};
use tonic::Status;

use super::{malformed, refused};

type Result<T> = std::result::Result<T, Status>;

pub(super) async fn put_manifest(
    api: &dyn MetadataApi,
    request: pb::PutManifestRequest,
) -> Result<pb::PutManifestResponse> {
    let put = PutManifest::try_from(request).map_err(malformed)?;
    let done = api.put_manifest(put).await;
    done.map(Into::into).map_err(refused)
}

pub(super) async fn delete_manifest(
    api: &dyn MetadataApi,
    request: pb::DeleteManifestRequest,
) -> Result<pb::DeleteManifestResponse> {
    let delete = DeleteManifest::try_from(request).map_err(malformed)?;
    let done = api.delete_manifest(delete).await;
    done.map(Into::into).map_err(refused)
}

pub(super) async fn set_attributes(
    api: &dyn MetadataApi,
    request: pb::SetAttributesRequest,
) -> Result<pb::SetAttributesResponse> {
    let set = SetAttributes::try_from(request).map_err(malformed)?;
    let done = api.set_attributes(set).await;
    done.map(Into::into).map_err(refused)
}

pub(super) async fn delete_repository(
    api: &dyn MetadataApi,
    request: pb::DeleteRepositoryRequest,
) -> Result<pb::DeleteRepositoryResponse> {
    let delete = take_deletion_request(request).map_err(malformed)?;
    let done = api.delete_repository(delete).await;
    done.map(Into::into).map_err(refused)
}

pub(super) async fn put_blob(
    api: &dyn MetadataApi,
    request: pb::PutBlobRequest,
) -> Result<pb::PutBlobResponse> {
    let put = PutBlob::try_from(request).map_err(malformed)?;
    let done = api.put_blob(put).await;
    done.map(Into::into).map_err(refused)
}

pub(super) async fn store_blob(
    api: &dyn MetadataApi,
    request: pb::StoreBlobRequest,
) -> Result<pb::StoreBlobResponse> {
    let store = StoreBlob::try_from(request).map_err(malformed)?;
    let done = api.store_blob(store).await;
    done.map(Into::into).map_err(refused)
}

pub(super) async fn mount_blob(
    api: &dyn MetadataApi,
    request: pb::MountBlobRequest,
) -> Result<pb::MountBlobResponse> {
    let repository = repository(request.repository).map_err(malformed)?;
    let from = optional(&request.from, "from").map_err(malformed)?;
    let digest = digest(request.digest, "digest").map_err(malformed)?;
    let id = request_id(request.request).map_err(malformed)?;
    let done = api.mount_blob(&repository, from.as_ref(), digest, id).await;
    done.map(mounted).map_err(refused)
}

pub(super) async fn touch_blob(
    api: &dyn MetadataApi,
    request: pb::TouchBlobRequest,
) -> Result<pb::TouchBlobResponse> {
    let repository = repository(request.repository).map_err(malformed)?;
    let digest = digest(request.digest, "digest").map_err(malformed)?;
    let id = request_id(request.request).map_err(malformed)?;
    let done = api.touch_blob(&repository, digest, id).await;
    done.map(|()| pb::TouchBlobResponse {}).map_err(refused)
}

pub(super) async fn delete_blob(
    api: &dyn MetadataApi,
    request: pb::DeleteBlobRequest,
) -> Result<pb::DeleteBlobResponse> {
    let repository = repository(request.repository).map_err(malformed)?;
    let digest = digest(request.digest, "digest").map_err(malformed)?;
    let id = request_id(request.request).map_err(malformed)?;
    let done = api.delete_blob(&repository, digest, id).await;
    done.map(Into::into).map_err(refused)
}

pub(super) async fn reserve_generations(
    api: &dyn MetadataApi,
    request: pb::ReserveGenerationsRequest,
) -> Result<pb::ReserveGenerationsResponse> {
    let id = request_id(request.request).map_err(malformed)?;
    let done = api.reserve_generations(request.count, id).await;
    done.map(Into::into).map_err(refused)
}
