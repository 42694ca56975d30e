//! The metadata of a region, as its agents see it.
//!
//! Owns the way from what another region did, or has, to commands, and from the state to what other
//! regions are told. Keeps the invariant that manifests are read here, by this program, before their
//! bytes go into the log: what they need is a function of them, and nobody else's reading will do.
//! Leaves the merging itself to the catalog, and what to fetch from whom to the agents.

mod body;
mod content;
mod copy;
mod events;
mod found;
mod image;
mod keep;
mod meet;
mod merge;

use async_trait::async_trait;
use meridian_clients::image::ImageView;
use meridian_clients::replica::{
    AgentId, Attendance, Content, CopyMark, CopyPage, CursorAt, EventRange, Events, Found,
    Incomplete, ManifestBytes, Meeting, Merged, Presence, Progress, RemoteBatch, Removal,
    ReplicaApi, Stored,
};
use meridian_clients::{ReadError, WriteError};
use meridian_event::RegistryId;
use meridian_oci::{Digest, Reference, RegistryName, RepositoryName};

use crate::group::Work;
use crate::service::MetadataService;

/// About how many bytes of manifests and events go into one entry of the log. One event, with the
/// manifest that it puts, goes into one in any case.
const PART_BYTES: usize = 4 << 20;

#[async_trait]
impl ReplicaApi for MetadataService {
    async fn progress(&self) -> Result<Progress, ReadError> {
        events::progress(self.of_group()).await
    }

    async fn events(&self, range: &EventRange) -> Result<Events, ReadError> {
        events::events(self.of_group(), range).await
    }

    async fn merge(&self, batch: RemoteBatch) -> Result<Merged, WriteError> {
        merge::merge(self.of_group(), &batch).await
    }

    async fn look(&self, contents: &[Content]) -> Result<Vec<Presence>, ReadError> {
        content::look(self.of_group(), contents).await
    }

    async fn wanted(
        &self,
        after: Option<(RegistryId, Digest)>,
        limit: usize,
    ) -> Result<Vec<Content>, ReadError> {
        content::wanted(self.of_group(), after, limit).await
    }

    async fn store_manifest(&self, manifest: ManifestBytes) -> Result<Stored, WriteError> {
        keep::store(self.of_group(), &manifest).await
    }

    async fn lease_blob(
        &self,
        registry: RegistryId,
        repository: &RepositoryName,
        digest: Digest,
    ) -> Result<bool, WriteError> {
        keep::lease(self.of_group(), registry, repository, digest).await
    }

    async fn find(
        &self,
        registry: RegistryId,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Vec<Found>, ReadError> {
        found::find(self.of_group(), registry, repository, reference).await
    }

    async fn merge_found(&self, found: Vec<Found>) -> Result<(), WriteError> {
        found::merge(self.of_group(), found).await
    }

    async fn copy(&self, after: Option<CopyMark>, limit: usize) -> Result<CopyPage, ReadError> {
        copy::copy(self.of_group(), after, limit).await
    }

    async fn set_cursors(&self, cursors: Vec<CursorAt>) -> Result<(), WriteError> {
        merge::set_cursors(self.of_group(), cursors).await
    }

    async fn meet(&self, said: Progress) -> Result<Meeting, WriteError> {
        meet::meet(self.of_group(), &said).await
    }

    async fn level(&self, removal: Removal) -> Result<(), WriteError> {
        meet::level(self.of_group(), removal).await
    }

    async fn image(
        &self,
        registry: RegistryId,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<ImageView>, ReadError> {
        image::image(self.of_group(), registry, repository, reference).await
    }

    async fn incomplete(&self) -> Result<Vec<Incomplete>, ReadError> {
        content::incomplete(self.of_group()).await
    }

    async fn attend(&self, agent: AgentId) -> Result<Attendance, ReadError> {
        self.of_group().attend(Work::Replication, agent).await
    }

    async fn registry_name(&self, id: RegistryId) -> Result<RegistryName, ReadError> {
        content::registry_name(self.of_group(), id).await
    }
}
