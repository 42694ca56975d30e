//! The metadata of a region over gRPC, for its agents.

use async_trait::async_trait;
use meridian_event::RegistryId;
use meridian_oci::{Digest, Reference, RegistryName, RepositoryName};
use meridian_proto::meridian::replication::v1 as pb;
use meridian_proto::text;
use pb::replica_client::ReplicaClient;

use super::call::{Repeat, Unary};
use super::convert;
use super::{EndpointError, GrpcConfig, MAX_REPLICA_MESSAGE, Ways};
use crate::image::ImageView;
use crate::replica::{
    AgentId, Attendance, Content, CopyMark, CopyPage, CursorAt, EventRange, Events, Found,
    Incomplete, ManifestBytes, Meeting, Merged, Presence, Progress, RemoteBatch, Removal,
    ReplicaApi, Stored,
};
use crate::{ReadError, WriteError};

/// A [`ReplicaApi`] in another process. Cheap to clone; clones share their connection.
#[derive(Debug, Clone)]
pub struct GrpcReplica {
    calls: Unary<Client>,
}

type Client = ReplicaClient<Ways>;

// === impl GrpcReplica ===

impl GrpcReplica {
    /// The service at `endpoint`, such as `http://127.0.0.1:7401`. Does no I/O yet.
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
        let client = ReplicaClient::new(ways.into())
            .max_decoding_message_size(MAX_REPLICA_MESSAGE)
            .max_encoding_message_size(MAX_REPLICA_MESSAGE);
        Self {
            // Any of this service may be repeated: it reads, or merges.
            calls: Unary::new(client, config.deadline, Repeat::Yes),
        }
    }
}

#[async_trait]
impl ReplicaApi for GrpcReplica {
    async fn progress(&self) -> Result<Progress, ReadError> {
        let message = pb::GetProgressRequest {};
        let send = |mut to: Client, request| async move { to.get_progress(request).await };
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn events(&self, range: &EventRange) -> Result<Events, ReadError> {
        let message = pb::ListEventsRequest::from(range);
        let send = |mut to: Client, request| async move { to.list_events(request).await };
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn merge(&self, batch: RemoteBatch) -> Result<Merged, WriteError> {
        let message = pb::MergeEventsRequest::from(batch);
        let send = |mut to: Client, request| async move { to.merge_events(request).await };
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn look(&self, contents: &[Content]) -> Result<Vec<Presence>, ReadError> {
        let message = pb::LookRequest {
            contents: convert::contents(contents.iter().cloned()),
        };
        let send = |mut to: Client, request| async move { to.look(request).await };
        let read = |answer| convert::take_presences(answer, contents.len());
        self.calls.call(message, send, read).await
    }

    async fn wanted(
        &self,
        after: Option<(RegistryId, Digest)>,
        limit: usize,
    ) -> Result<Vec<Content>, ReadError> {
        let message = convert::wanted_request(after, limit);
        let send = |mut to: Client, request| async move { to.list_wanted(request).await };
        let read = |answer: pb::ListWantedResponse| convert::take_contents(answer.contents);
        self.calls.call(message, send, read).await
    }

    async fn store_manifest(&self, manifest: ManifestBytes) -> Result<Stored, WriteError> {
        let message = pb::StoreManifestRequest {
            manifest: Some(manifest.into()),
        };
        let send = |mut to: Client, request| async move { to.store_manifest(request).await };
        let read = |answer: pb::StoreManifestResponse| Ok(answer.into());
        self.calls.call(message, send, read).await
    }

    async fn lease_blob(
        &self,
        registry: RegistryId,
        repository: &RepositoryName,
        digest: Digest,
    ) -> Result<bool, WriteError> {
        let message = pb::LeaseBlobRequest {
            registry: Some(registry.into()),
            repository: repository.to_string(),
            digest: Some(digest.into()),
        };
        let send = |mut to: Client, request| async move { to.lease_blob(request).await };
        let read = |answer: pb::LeaseBlobResponse| Ok(answer.leased);
        self.calls.call(message, send, read).await
    }

    async fn find(
        &self,
        registry: RegistryId,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Vec<Found>, ReadError> {
        let message = convert::find_request(registry, repository, reference);
        let send = |mut to: Client, request| async move { to.find(request).await };
        let read = |answer: pb::FindResponse| convert::take_found(answer.found);
        self.calls.call(message, send, read).await
    }

    async fn merge_found(&self, found: Vec<Found>) -> Result<(), WriteError> {
        let message = pb::MergeFoundRequest {
            found: convert::found(found),
        };
        let send = |mut to: Client, request| async move { to.merge_found(request).await };
        self.calls
            .call(message, send, |pb::MergeFoundResponse {}| Ok(()))
            .await
    }

    async fn copy(&self, after: Option<CopyMark>, limit: usize) -> Result<CopyPage, ReadError> {
        let message = convert::copy_request(after, limit);
        let send = |mut to: Client, request| async move { to.copy(request).await };
        self.calls.call(message, send, TryInto::try_into).await
    }

    async fn set_cursors(&self, cursors: Vec<CursorAt>) -> Result<(), WriteError> {
        let message = pb::SetCursorsRequest {
            cursors: cursors.into_iter().map(Into::into).collect(),
        };
        let send = |mut to: Client, request| async move { to.set_cursors(request).await };
        self.calls
            .call(message, send, |pb::SetCursorsResponse {}| Ok(()))
            .await
    }

    async fn meet(&self, said: Progress) -> Result<Meeting, WriteError> {
        let message = pb::MeetRequest {
            progress: Some(said.into()),
        };
        let send = |mut to: Client, request| async move { to.meet(request).await };
        self.calls
            .call(message, send, |met: pb::MeetResponse| {
                Ok(match (met.outdated, met.changed) {
                    (true, _) => Meeting::Outdated,
                    (false, true) => Meeting::Met,
                    (false, false) => Meeting::Known,
                })
            })
            .await
    }

    async fn level(&self, removal: Removal) -> Result<(), WriteError> {
        let message = convert::level_request(removal);
        let send = |mut to: Client, request| async move { to.level(request).await };
        self.calls
            .call(message, send, |pb::LevelResponse {}| Ok(()))
            .await
    }

    async fn image(
        &self,
        registry: RegistryId,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<ImageView>, ReadError> {
        let message = convert::image_request(registry, repository, reference);
        let send = |mut to: Client, request| async move { to.get_image(request).await };
        self.calls.call(message, send, convert::take_image).await
    }

    async fn incomplete(&self) -> Result<Vec<Incomplete>, ReadError> {
        let message = pb::ListIncompleteRequest {};
        let send = |mut to: Client, request| async move { to.list_incomplete(request).await };
        let read = |answer: pb::ListIncompleteResponse| {
            let rows = answer.registries.into_iter().map(TryInto::try_into);
            rows.collect()
        };
        self.calls.call(message, send, read).await
    }

    async fn attend(&self, agent: AgentId) -> Result<Attendance, ReadError> {
        let message = pb::AttendRequest { agent: agent.0 };
        let send = |mut to: Client, request| async move { to.attend(request).await };
        let read = |answer: pb::AttendResponse| Ok(answer.into());
        self.calls.call(message, send, read).await
    }

    async fn registry_name(&self, id: RegistryId) -> Result<RegistryName, ReadError> {
        let message = pb::GetRegistryNameRequest {
            registry: Some(id.into()),
        };
        let send = |mut to: Client, request| async move { to.get_registry_name(request).await };
        let read = |answer: pb::GetRegistryNameResponse| text(&answer.name, "name");
        self.calls.call(message, send, read).await
    }
}
