//! Calls that read.

use meridian_clients::grpc::convert::{
    descriptor_bytes, listing, page_limit, reference, registry_name, repository,
    take_describe_request, take_list_request,
};
use meridian_clients::{MetadataApi, PageRequest};
use meridian_proto::meridian::metadata::v1 as pb;
use meridian_proto::{DecodeError, digest, text};
use tonic::Status;

use super::{malformed, refused};

type Result<T> = std::result::Result<T, Status>;

pub(super) async fn get_manifest(
    api: &dyn MetadataApi,
    request: pb::GetManifestRequest,
) -> Result<pb::GetManifestResponse> {
    let repository = repository(request.repository).map_err(malformed)?;
    let reference = reference(&request.reference).map_err(malformed)?;
    if request.stat_only {
        let stat = api.manifest_stat(&repository, &reference).await;
        return stat.map(Into::into).map_err(refused);
    }
    let manifest = api.manifest(&repository, &reference).await;
    manifest.map(Into::into).map_err(refused)
}

pub(super) async fn describe(
    api: &dyn MetadataApi,
    request: pb::DescribeRequest,
) -> Result<pb::DescribeResponse> {
    let (repository, target) = take_describe_request(request).map_err(malformed)?;
    let described = api.describe(&repository, &target).await;
    described.map(Into::into).map_err(refused)
}

pub(super) async fn list(
    api: &dyn MetadataApi,
    request: pb::ListRequest,
) -> Result<pb::ListResponse> {
    let (repository, request) = take_list_request(request).map_err(malformed)?;
    let found = api.list(&repository, request).await;
    found.map(listing).map_err(refused)
}

pub(super) async fn list_tags(
    api: &dyn MetadataApi,
    request: pb::ListTagsRequest,
) -> Result<pb::ListTagsResponse> {
    let repository = repository(request.repository).map_err(malformed)?;
    let page = page(&request.after, request.limit).map_err(malformed)?;
    let tags = api.tags(&repository, page).await;
    tags.map(Into::into).map_err(refused)
}

pub(super) async fn list_repositories(
    api: &dyn MetadataApi,
    request: pb::ListRepositoriesRequest,
) -> Result<pb::ListRepositoriesResponse> {
    let registry = registry_name(&request.registry).map_err(malformed)?;
    let page = page(&request.after, request.limit).map_err(malformed)?;
    let repositories = api.repositories(&registry, page).await;
    repositories.map(Into::into).map_err(refused)
}

fn page<T: std::str::FromStr>(
    after: &str,
    limit: u64,
) -> std::result::Result<PageRequest<T>, DecodeError> {
    let after = match after {
        "" => None,
        after => Some(text(after, "after")?),
    };
    Ok(PageRequest {
        after,
        limit: page_limit(limit),
    })
}

pub(super) async fn list_referrers(
    api: &dyn MetadataApi,
    request: pb::ListReferrersRequest,
) -> Result<pb::ListReferrersResponse> {
    let repository = repository(request.repository).map_err(malformed)?;
    let subject = digest(request.subject, "subject").map_err(malformed)?;
    let after = request.after.map(|after| digest(Some(after), "after"));
    let after = after.transpose().map_err(malformed)?;
    let (types, bytes) = (&request.artifact_types, descriptor_bytes(request.max_bytes));
    let referrers = api
        .referrers(&repository, subject, types, after, bytes)
        .await;
    referrers.map(Into::into).map_err(refused)
}

pub(super) async fn get_blob(
    api: &dyn MetadataApi,
    request: pb::GetBlobRequest,
) -> Result<pb::GetBlobResponse> {
    let repository = repository(request.repository).map_err(malformed)?;
    let digest = digest(request.digest, "digest").map_err(malformed)?;
    let record = api.blob(&repository, digest).await;
    record.map(Into::into).map_err(refused)
}

pub(super) async fn get_registry(
    api: &dyn MetadataApi,
    request: pb::GetRegistryRequest,
) -> Result<pb::GetRegistryResponse> {
    let name = registry_name(&request.name).map_err(malformed)?;
    let registry = api.registry(&name).await.map_err(refused)?;
    Ok(pb::GetRegistryResponse {
        registry: Some(registry.into()),
    })
}

pub(super) async fn get_usage(
    api: &dyn MetadataApi,
    request: pb::GetUsageRequest,
) -> Result<pb::GetUsageResponse> {
    let registry = registry_name(&request.registry).map_err(malformed)?;
    let usage = api.usage(&registry).await;
    usage.map(Into::into).map_err(refused)
}

pub(super) async fn get_drain(
    api: &dyn MetadataApi,
    _: pb::GetDrainRequest,
) -> Result<pb::GetDrainResponse> {
    let drained = api.drained().await.map_err(refused)?;
    let drained = drained.map(Into::into);
    Ok(pb::GetDrainResponse { drained })
}
