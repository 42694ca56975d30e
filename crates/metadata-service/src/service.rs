//! The service, as its callers see it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use meridian_catalog::{Command, Drain, query};
use meridian_clients::{
    AttributesSet, BlobPut, BlobRecord, Collect, CollectOutcome, DeleteManifest, DeleteRepository,
    Deleted, Described, Doomed, Drained, Due, Generations, ListRequest, Listing, ManifestPut,
    ManifestStat, MetadataApi, Page, PageRequest, PutBlob, PutManifest, ReadError, Referrers,
    RepositoryDeleted, RepositoryPath, RequestId, SetAttributes, StorageKey, StoreBlob,
    StoredManifest, Usage, WriteError,
};
use meridian_clock::Region;
use meridian_event::{RegistryId, Target};
use meridian_oci::{Digest, Reference, RegistryName, RepositoryName, Tag};

use meridian_proto::meridian::raft::v1::raft_server::RaftServer;

use crate::events::{self, EventsStatus};
use crate::group::Group;
use crate::grpc::RaftAdapter;
use crate::heartbeat::{self, RemoveError};
use crate::membership::{self, Change, GroupStatus, ReformError};
use crate::tail::{EventPage, ReadFrom, Tail};
use crate::{describe, list, read, write};

/// How long a push waits for a new region to meet the others.
const JOINING: Duration = Duration::from_secs(3);

/// The metadata of a region.
#[derive(Clone)]
pub struct MetadataService {
    group: Arc<Group>,
    tail: Tail,
    /// The other regions, by the settings.
    named: Arc<[Region]>,
}

// === impl MetadataService ===

impl MetadataService {
    pub(crate) fn new(group: Arc<Group>, tail: Tail, named: Vec<Region>) -> Self {
        Self {
            group,
            tail,
            named: named.into(),
        }
    }

    pub(crate) fn of_group(&self) -> &Group {
        &self.group
    }

    /// The member that this service is, for the other members of its group.
    #[must_use]
    pub fn raft_server(&self) -> RaftServer<RaftAdapter> {
        crate::grpc::raft_server(Arc::clone(&self.group))
    }

    /// The group, as this member sees it.
    #[must_use]
    pub fn group(&self) -> GroupStatus {
        membership::status(&self.group)
    }

    /// Founds a group of members that belong to none, of which this is one.
    ///
    /// # Errors
    ///
    /// When one of them cannot be reached, or belongs to a group.
    pub async fn found(&self, endpoints: &[String]) -> Result<(), ReformError> {
        self.group.found(endpoints).await
    }

    /// Changes the members of the group; returns when the group has decided it.
    ///
    /// # Errors
    ///
    /// See [`ReformError`].
    pub async fn reform(&self, change: Change) -> Result<(), ReformError> {
        self.group.reform(change).await?;
        // Whoever asks this member next sees the change, although another one has decided it.
        if let Err(error) = self.group.read().await {
            tracing::debug!(%error, "the change is decided, and not seen here yet");
        }
        Ok(())
    }

    /// Takes a snapshot now, behind which the log may go.
    ///
    /// # Errors
    ///
    /// When Raft has stopped.
    pub async fn take_snapshot(&self) -> Result<(), ReformError> {
        self.group.take_snapshot().await
    }

    /// How far events are on their way to the event log, as this member sees it.
    ///
    /// # Errors
    ///
    /// When there is no state yet.
    pub async fn events(&self) -> Result<EventsStatus, ReadError> {
        events::status(&self.group).await
    }

    /// Has nothing wait any more for another region, which the settings do not name. Returns which are left.
    ///
    /// # Errors
    ///
    /// See [`RemoveError`].
    pub async fn remove_region(&self, region: Region) -> Result<Vec<Region>, RemoveError> {
        heartbeat::remove(&self.group, &self.named, region).await
    }

    /// Has clients sent to other regions, for that reason, or to this one again. What is asked for here is
    /// answered all the same.
    ///
    /// # Errors
    ///
    /// When it could not be decided.
    pub async fn drain(&self, reason: Option<String>) -> Result<(), WriteError> {
        let drain = reason.map(|reason| Drain { reason });
        self.group.propose(None, Command::Drain(drain)).await?;
        Ok(())
    }

    /// Events as the event log has them: from there on in every shard, `limit` of each at most. An event
    /// that was published twice comes twice.
    ///
    /// # Errors
    ///
    /// When the event log cannot be read.
    pub async fn published(
        &self,
        from: &[ReadFrom],
        limit: usize,
    ) -> Result<EventPage, meridian_eventlog::ReadError> {
        self.tail.read(from, limit).await
    }

    /// Waits until this region has met the others, but not for long. A new region does within a moment of its
    /// start, if they are there; if not, the state says so.
    pub(crate) async fn has_joined(&self) -> Result<(), ReadError> {
        if !query::is_joining(&self.group.view()).map_err(read::failed)? {
            return Ok(());
        }
        let mut changes = self.group.progress();
        let joined = async {
            while query::is_joining(&self.group.view()).map_err(read::failed)? {
                if changes.changed().await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        tokio::time::timeout(JOINING, joined)
            .await
            .unwrap_or(Ok(()))
    }

    /// How many times the Raft log was synced since the start.
    #[must_use]
    pub fn log_syncs(&self) -> u64 {
        self.group.syncs()
    }
}

#[async_trait]
impl MetadataApi for MetadataService {
    async fn manifest(
        &self,
        repository: &RepositoryPath,
        reference: &Reference,
    ) -> Result<StoredManifest, ReadError> {
        read::manifest(&self.group, repository, reference).await
    }

    async fn manifest_stat(
        &self,
        repository: &RepositoryPath,
        reference: &Reference,
    ) -> Result<ManifestStat, ReadError> {
        read::manifest_stat(&self.group, repository, reference).await
    }

    async fn tags(
        &self,
        repository: &RepositoryPath,
        page: PageRequest<Tag>,
    ) -> Result<Page<Tag>, ReadError> {
        read::tags(&self.group, repository, page).await
    }

    async fn repositories(
        &self,
        registry: &RegistryName,
        page: PageRequest<RepositoryName>,
    ) -> Result<Page<RepositoryName>, ReadError> {
        read::repositories(&self.group, registry, page).await
    }

    async fn referrers(
        &self,
        repository: &RepositoryPath,
        subject: Digest,
        artifact_types: &[String],
        after: Option<Digest>,
        max_bytes: usize,
    ) -> Result<Referrers, ReadError> {
        let group = &self.group;
        read::referrers(group, repository, subject, artifact_types, after, max_bytes).await
    }

    async fn blob(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
    ) -> Result<BlobRecord, ReadError> {
        read::blob(&self.group, repository, digest).await
    }

    async fn put_manifest(&self, request: PutManifest) -> Result<ManifestPut, WriteError> {
        let id = write::request(request.request);
        let command = write::put_manifest(request);
        self.has_joined().await?;
        let reply = self.group.propose(Some(id), command).await?;
        write::done(reply).map(|version| ManifestPut { version })
    }

    async fn delete_manifest(&self, request: DeleteManifest) -> Result<Deleted, WriteError> {
        let id = write::request(request.request);
        let command = write::delete_manifest(request);
        let reply = self.group.propose(Some(id), command).await?;
        write::done(reply).map(|version| Deleted { version })
    }

    async fn describe(
        &self,
        repository: &RepositoryPath,
        target: &Target,
    ) -> Result<Described, ReadError> {
        describe::describe(&self.group, repository, target).await
    }

    async fn list(
        &self,
        repository: &RepositoryPath,
        request: ListRequest,
    ) -> Result<Option<Listing>, ReadError> {
        list::list(&self.group, repository, request).await
    }

    async fn set_attributes(&self, request: SetAttributes) -> Result<AttributesSet, WriteError> {
        let id = write::request(request.request);
        let command = Command::SetAttributes {
            registry: request.repository.registry,
            repository: request.repository.name,
            target: request.target,
            attributes: request.attributes,
        };
        let reply = self.group.propose(Some(id), command).await?;
        write::done_or_nothing(reply).map(|version| AttributesSet { version })
    }

    async fn delete_repository(
        &self,
        request: DeleteRepository,
    ) -> Result<RepositoryDeleted, WriteError> {
        describe::delete(&self.group, request).await
    }

    async fn put_blob(&self, request: PutBlob) -> Result<BlobPut, WriteError> {
        let id = write::request(request.request);
        let command = write::put_blob(request);
        write::recorded(self.group.propose(Some(id), command).await?)
    }

    async fn store_blob(&self, request: StoreBlob) -> Result<BlobPut, WriteError> {
        let id = write::request(request.request);
        let command = write::store_blob(request);
        write::recorded(self.group.propose(Some(id), command).await?)
    }

    async fn mount_blob(
        &self,
        repository: &RepositoryPath,
        from: Option<&RepositoryName>,
        digest: Digest,
        request: RequestId,
    ) -> Result<Option<BlobPut>, WriteError> {
        let command = Command::MountBlob {
            registry: repository.registry.clone(),
            repository: repository.name.clone(),
            from: from.cloned(),
            digest,
        };
        let id = write::request(request);
        let reply = self.group.propose(Some(id), command).await?;
        let version = write::done_or_nothing(reply)?;
        let put = |version| BlobPut {
            version,
            kept: None,
        };
        Ok(version.map(put))
    }

    async fn touch_blob(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        request: RequestId,
    ) -> Result<(), WriteError> {
        let command = Command::TouchBlob {
            registry: repository.registry.clone(),
            repository: repository.name.clone(),
            digest,
        };
        let id = write::request(request);
        let reply = self.group.propose(Some(id), command).await?;
        write::done(reply).map(drop)
    }

    async fn delete_blob(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        request: RequestId,
    ) -> Result<Deleted, WriteError> {
        let command = Command::DeleteBlob {
            registry: repository.registry.clone(),
            repository: repository.name.clone(),
            digest,
        };
        let id = write::request(request);
        let reply = self.group.propose(Some(id), command).await?;
        write::done(reply).map(|version| Deleted { version })
    }

    async fn reserve_generations(
        &self,
        count: u64,
        request: RequestId,
    ) -> Result<Generations, WriteError> {
        let command = Command::ReserveGenerations { count };
        let id = write::request(request);
        write::reserved(self.group.propose(Some(id), command).await?)
    }

    async fn registry(&self, name: &RegistryName) -> Result<RegistryId, ReadError> {
        read::registry(&self.group, name).await
    }

    async fn due(&self, limit: usize) -> Result<Vec<Due>, ReadError> {
        read::due(&self.group, limit).await
    }

    async fn collect(
        &self,
        step: Collect,
        request: RequestId,
    ) -> Result<CollectOutcome, WriteError> {
        let id = write::request(request);
        let reply = self.group.propose(Some(id), write::collect(step)).await?;
        write::collected(reply)
    }

    async fn doomed(&self, limit: usize) -> Result<Vec<Doomed>, ReadError> {
        read::doomed(&self.group, limit).await
    }

    async fn known(&self, keys: &[StorageKey]) -> Result<Vec<bool>, ReadError> {
        read::known(&self.group, keys).await
    }

    async fn usage(&self, registry: &RegistryName) -> Result<Usage, ReadError> {
        read::usage(&self.group, registry).await
    }

    async fn drained(&self) -> Result<Option<Drained>, ReadError> {
        read::drained(&self.group).await
    }
}
