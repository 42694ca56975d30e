//! What agents ask of the metadata, over gRPC.

use std::sync::Arc;

use meridian_clients::grpc::MAX_REPLICA_MESSAGE;
use meridian_clients::grpc::convert::{
    self, found, manifest_bytes, page_limit, presences, take_contents, take_copy_request,
    take_find_request, take_found, take_image_request, take_lease_request, take_level_request,
    take_meet_request, wanted_after,
};
use meridian_clients::replica::{AgentId, CursorAt, EventRange, Meeting, RemoteBatch, ReplicaApi};
use meridian_proto::meridian::replication::v1 as pb;
use meridian_proto::registry;
use pb::replica_server::{Replica, ReplicaServer};
use tonic::Status;

use super::{malformed, refused};

type Result<T> = std::result::Result<T, Status>;

/// By which name the health service knows this one.
pub const REPLICA_GRPC_SERVICE: &str = pb::replica_server::SERVICE_NAME;

/// A [`ReplicaApi`] as a gRPC service. Cheap to clone.
#[derive(Clone)]
pub struct ReplicaAdapter {
    api: Arc<dyn ReplicaApi>,
}

/// The gRPC service in front of `api`, for the agents of the same region.
#[must_use]
pub fn replica_server(api: Arc<dyn ReplicaApi>) -> ReplicaServer<ReplicaAdapter> {
    ReplicaServer::new(ReplicaAdapter { api })
        .max_decoding_message_size(MAX_REPLICA_MESSAGE)
        .max_encoding_message_size(MAX_REPLICA_MESSAGE)
}

calls! {
    impl Replica for ReplicaAdapter;
    get_progress: GetProgressRequest -> GetProgressResponse;
    list_events: ListEventsRequest -> ListEventsResponse;
    merge_events: MergeEventsRequest -> MergeEventsResponse;
    look: LookRequest -> LookResponse;
    list_wanted: ListWantedRequest -> ListWantedResponse;
    store_manifest: StoreManifestRequest -> StoreManifestResponse;
    lease_blob: LeaseBlobRequest -> LeaseBlobResponse;
    find: FindRequest -> FindResponse;
    merge_found: MergeFoundRequest -> MergeFoundResponse;
    copy: CopyRequest -> CopyResponse;
    set_cursors: SetCursorsRequest -> SetCursorsResponse;
    meet: MeetRequest -> MeetResponse;
    level: LevelRequest -> LevelResponse;
    get_registry_name: GetRegistryNameRequest -> GetRegistryNameResponse;
    get_image: GetImageRequest -> GetImageResponse;
    list_incomplete: ListIncompleteRequest -> ListIncompleteResponse;
    attend: AttendRequest -> AttendResponse;
}

async fn get_progress(
    api: &dyn ReplicaApi,
    _: pb::GetProgressRequest,
) -> Result<pb::GetProgressResponse> {
    api.progress().await.map(Into::into).map_err(refused)
}

async fn list_events(
    api: &dyn ReplicaApi,
    request: pb::ListEventsRequest,
) -> Result<pb::ListEventsResponse> {
    let range = EventRange::try_from(request).map_err(malformed)?;
    let events = api.events(&range).await;
    events.map(Into::into).map_err(refused)
}

async fn merge_events(
    api: &dyn ReplicaApi,
    request: pb::MergeEventsRequest,
) -> Result<pb::MergeEventsResponse> {
    let batch = RemoteBatch::try_from(request).map_err(malformed)?;
    let merged = api.merge(batch).await;
    merged.map(Into::into).map_err(refused)
}

async fn look(api: &dyn ReplicaApi, request: pb::LookRequest) -> Result<pb::LookResponse> {
    let contents = take_contents(request.contents).map_err(malformed)?;
    let looked = api.look(&contents).await;
    looked.map(presences).map_err(refused)
}

async fn list_wanted(
    api: &dyn ReplicaApi,
    request: pb::ListWantedRequest,
) -> Result<pb::ListWantedResponse> {
    let after = wanted_after(&request).map_err(malformed)?;
    let wanted = api.wanted(after, page_limit(request.limit)).await;
    Ok(pb::ListWantedResponse {
        contents: convert::contents(wanted.map_err(refused)?),
    })
}

async fn store_manifest(
    api: &dyn ReplicaApi,
    request: pb::StoreManifestRequest,
) -> Result<pb::StoreManifestResponse> {
    let manifest = manifest_bytes(request.manifest).map_err(malformed)?;
    let stored = api.store_manifest(manifest).await;
    stored.map(Into::into).map_err(refused)
}

async fn lease_blob(
    api: &dyn ReplicaApi,
    request: pb::LeaseBlobRequest,
) -> Result<pb::LeaseBlobResponse> {
    let (registry, repository, digest) = take_lease_request(request).map_err(malformed)?;
    let leased = api.lease_blob(registry, &repository, digest).await;
    Ok(pb::LeaseBlobResponse {
        leased: leased.map_err(refused)?,
    })
}

async fn find(api: &dyn ReplicaApi, request: pb::FindRequest) -> Result<pb::FindResponse> {
    let (registry, repository, reference) = take_find_request(request).map_err(malformed)?;
    let found_here = api.find(registry, &repository, &reference).await;
    Ok(pb::FindResponse {
        found: found(found_here.map_err(refused)?),
    })
}

async fn merge_found(
    api: &dyn ReplicaApi,
    request: pb::MergeFoundRequest,
) -> Result<pb::MergeFoundResponse> {
    let found = take_found(request.found).map_err(malformed)?;
    let merged = api.merge_found(found).await;
    merged.map(|()| pb::MergeFoundResponse {}).map_err(refused)
}

async fn copy(api: &dyn ReplicaApi, request: pb::CopyRequest) -> Result<pb::CopyResponse> {
    let (after, limit) = take_copy_request(request).map_err(malformed)?;
    let page = api.copy(after, limit).await;
    page.map(Into::into).map_err(refused)
}

async fn set_cursors(
    api: &dyn ReplicaApi,
    request: pb::SetCursorsRequest,
) -> Result<pb::SetCursorsResponse> {
    let cursors = request.cursors.into_iter().map(CursorAt::try_from);
    let cursors = cursors.collect::<std::result::Result<_, _>>();
    let set = api.set_cursors(cursors.map_err(malformed)?).await;
    set.map(|()| pb::SetCursorsResponse {}).map_err(refused)
}

async fn meet(api: &dyn ReplicaApi, request: pb::MeetRequest) -> Result<pb::MeetResponse> {
    let said = take_meet_request(request).map_err(malformed)?;
    let met = api.meet(said).await.map_err(refused)?;
    Ok(pb::MeetResponse {
        outdated: met == Meeting::Outdated,
        changed: met == Meeting::Met,
    })
}

async fn level(api: &dyn ReplicaApi, request: pb::LevelRequest) -> Result<pb::LevelResponse> {
    let removal = take_level_request(request).map_err(malformed)?;
    let level = api.level(removal).await;
    level.map(|()| pb::LevelResponse {}).map_err(refused)
}

async fn get_registry_name(
    api: &dyn ReplicaApi,
    request: pb::GetRegistryNameRequest,
) -> Result<pb::GetRegistryNameResponse> {
    let id = registry(request.registry, "registry").map_err(malformed)?;
    let name = api.registry_name(id).await.map_err(refused)?;
    Ok(pb::GetRegistryNameResponse {
        name: name.to_string(),
    })
}

async fn get_image(
    api: &dyn ReplicaApi,
    request: pb::GetImageRequest,
) -> Result<pb::GetImageResponse> {
    let (registry, repository, reference) = take_image_request(request).map_err(malformed)?;
    let image = api.image(registry, &repository, &reference).await;
    let image = image.map_err(refused)?.map(Into::into);
    Ok(pb::GetImageResponse { image })
}

async fn list_incomplete(
    api: &dyn ReplicaApi,
    _: pb::ListIncompleteRequest,
) -> Result<pb::ListIncompleteResponse> {
    let registries = api.incomplete().await.map_err(refused)?;
    Ok(pb::ListIncompleteResponse {
        registries: registries.into_iter().map(Into::into).collect(),
    })
}

async fn attend(api: &dyn ReplicaApi, request: pb::AttendRequest) -> Result<pb::AttendResponse> {
    let attendance = api.attend(AgentId(request.agent)).await;
    attendance.map(Into::into).map_err(refused)
}
