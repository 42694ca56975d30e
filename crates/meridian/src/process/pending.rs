//! Stands where a part of replication is not built yet: it says so to whoever asks.

use async_trait::async_trait;
use meridian_clients::peer::{FetchPart, PeerApi, PeerError, Pieces};
use meridian_clients::regions::{Freshness, RegionsApi, RemoteBlob, Resolved};
use meridian_clients::replica::{
    Content, CopyMark, CopyPage, CursorAt, EventRange, Events, Found, ManifestBytes, Merged,
    Presence, Progress, RemoteBatch, ReplicaApi, Stored,
};
use meridian_clients::{
    ByteStream, IngestApi, ReadBlobError, ReadError, RepositoryPath, UploadError, WriteError,
};
use meridian_clock::Version;
use meridian_event::{Leaf, RegistryId};
use meridian_oci::{Digest, Reference, RegistryName, RepositoryName};

/// What is not there.
pub(super) struct Pending;

fn reason() -> String {
    "this part of replication is not built yet".to_owned()
}

fn read<T>() -> Result<T, ReadError> {
    Err(ReadError::Unavailable { reason: reason() })
}

fn write<T>() -> Result<T, WriteError> {
    Ok(read()?)
}

fn peer<T>() -> Result<T, PeerError> {
    Err(PeerError::Unavailable { reason: reason() })
}

#[async_trait]
impl ReplicaApi for Pending {
    async fn progress(&self) -> Result<Progress, ReadError> {
        read()
    }
    async fn events(&self, _: &EventRange) -> Result<Events, ReadError> {
        read()
    }
    async fn merge(&self, _: RemoteBatch) -> Result<Merged, WriteError> {
        write()
    }
    async fn look(&self, _: &[Content]) -> Result<Vec<Presence>, ReadError> {
        read()
    }
    async fn wanted(
        &self,
        _: Option<(RegistryId, Digest)>,
        _: usize,
    ) -> Result<Vec<Content>, ReadError> {
        read()
    }
    async fn store_manifest(&self, _: ManifestBytes) -> Result<Stored, WriteError> {
        write()
    }
    async fn find(
        &self,
        _: RegistryId,
        _: &RepositoryName,
        _: &Reference,
    ) -> Result<Vec<Found>, ReadError> {
        read()
    }
    async fn merge_found(&self, _: Vec<Found>) -> Result<(), WriteError> {
        write()
    }
    async fn copy(&self, _: Option<CopyMark>, _: usize) -> Result<CopyPage, ReadError> {
        read()
    }
    async fn set_cursors(&self, _: Vec<CursorAt>) -> Result<(), WriteError> {
        write()
    }
    async fn registry_name(&self, _: RegistryId) -> Result<RegistryName, ReadError> {
        read()
    }
}

#[async_trait]
impl IngestApi for Pending {
    async fn ingest(&self, _: RegistryId, _: Leaf, _: ByteStream) -> Result<(), UploadError> {
        write().map_err(UploadError::Metadata)
    }
}

#[async_trait]
impl RegionsApi for Pending {
    async fn freshness(&self) -> Result<Freshness, ReadError> {
        read()
    }
    async fn resolve(
        &self,
        _: &RepositoryPath,
        _: &Reference,
        _: Option<Version>,
    ) -> Result<Resolved, ReadError> {
        read()
    }
    async fn read_blob(
        &self,
        _: &RepositoryPath,
        _: Digest,
        _: Option<&str>,
    ) -> Result<RemoteBlob, ReadBlobError> {
        Ok(read()?)
    }
    async fn bring(&self, _: &RepositoryPath, _: &[Digest]) -> Result<Vec<Digest>, ReadError> {
        read()
    }
}

#[async_trait]
impl PeerApi for Pending {
    async fn progress(&self) -> Result<Progress, PeerError> {
        peer()
    }
    async fn events(&self, _: &EventRange) -> Result<Events, PeerError> {
        peer()
    }
    async fn holds(&self, _: &[Content]) -> Result<Vec<Option<u64>>, PeerError> {
        peer()
    }
    async fn find(
        &self,
        _: RegistryId,
        _: &RepositoryName,
        _: &Reference,
    ) -> Result<Vec<Found>, PeerError> {
        peer()
    }
    async fn fetch(&self, _: &[FetchPart]) -> Result<Pieces, PeerError> {
        peer()
    }
    async fn copy(&self, _: Option<CopyMark>, _: usize) -> Result<CopyPage, PeerError> {
        peer()
    }
}
