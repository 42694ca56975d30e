//! This region, as the agents of others see it.
//!
//! Owns how a registry, which they name by its id, is found by the name that it bears here. The name is
//! asked for each time: another registry may bear it by now. Leaves to the metadata and the blob service
//! what is here.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use meridian_clients::image::ImageReport;
use meridian_clients::peer::{FetchPart, PeerApi, PeerError, Piece, Pieces};
use meridian_clients::replica::{
    Content, ContentKind, CopyMark, CopyPage, EventRange, Events, Found, Progress, ReplicaApi,
};
use meridian_clients::{BlobApi, BlobRead, MetadataApi, ReadBlobError, ReadError, RepositoryPath};
use meridian_error::{Classify, Code, Retry, chain};
use meridian_event::RegistryId;
use meridian_oci::{Reference, RepositoryName};

use crate::{ReplicationAgent, image};

/// How many are looked for at once, of those that a region asks after.
const AT_ONCE: usize = 8;

/// The content of a region, for other regions. Cheap to clone.
#[derive(Clone)]
pub struct PeerService {
    replica: Arc<dyn ReplicaApi>,
    metadata: Arc<dyn MetadataApi>,
    blobs: Arc<dyn BlobApi>,
    /// An agent that knows what is on its way.
    agent: Option<ReplicationAgent>,
}

// === impl PeerService ===

impl PeerService {
    /// What a region has, by its metadata and its blobs.
    #[must_use]
    pub fn new(
        replica: Arc<dyn ReplicaApi>,
        metadata: Arc<dyn MetadataApi>,
        blobs: Arc<dyn BlobApi>,
    ) -> Self {
        Self {
            replica,
            metadata,
            blobs,
            agent: None,
        }
    }

    /// The same, with an agent that knows what is on its way here.
    #[must_use]
    pub fn beside(self, agent: ReplicationAgent) -> Self {
        Self {
            agent: Some(agent),
            ..self
        }
    }

    async fn path(
        &self,
        registry: RegistryId,
        name: &RepositoryName,
    ) -> Result<RepositoryPath, ReadError> {
        Ok(RepositoryPath {
            registry: self.replica.registry_name(registry).await?,
            name: name.clone(),
        })
    }

    /// The length of content that is here, as the metadata has it: nobody else is asked, who may be slow to answer.
    async fn held(&self, content: &Content) -> Result<Option<u64>, PeerError> {
        match content.kind {
            ContentKind::Blob => {
                let path = self.path(content.registry, &content.repository).await;
                let record = match path {
                    Ok(path) => self.metadata.blob(&path, content.leaf.digest).await,
                    Err(error) => Err(error),
                };
                let size = record
                    .map(|record| record.size)
                    .map_err(ReadBlobError::from);
                present(size).map_err(blob_failed)
            }
            ContentKind::Manifest => {
                let bytes = self.manifest(content).await.map_err(failed)?;
                Ok(bytes.map(|bytes| bytes.len() as u64))
            }
        }
    }

    async fn manifest(&self, content: &Content) -> Result<Option<bytes::Bytes>, ReadError> {
        let (registry, repository) = (content.registry, &content.repository);
        let reference = Reference::Digest(content.leaf.digest);
        let found = self.replica.find(registry, repository, &reference).await?;
        Ok(found.into_iter().find_map(|found| match found {
            Found::Manifest { manifest, .. } => manifest.bytes,
            _ => None,
        }))
    }

    /// What comes of a part: its bytes, or that it is not here.
    async fn part(
        self,
        number: usize,
        part: FetchPart,
    ) -> Result<BoxStream<'static, Result<Piece, PeerError>>, PeerError> {
        let absent = || stream::once(async move { Ok(Piece::Absent(number)) }).boxed();
        let content = Content {
            registry: part.registry,
            repository: part.repository.clone(),
            kind: part.kind,
            leaf: part.leaf,
        };
        match part.kind {
            ContentKind::Manifest => {
                let bytes = self.manifest(&content).await.map_err(failed)?;
                let slice = bytes.and_then(|bytes| slice(&bytes, &part.range));
                let piece = slice.map(|bytes| Ok(Piece::Bytes(number, bytes)));
                Ok(piece.map_or_else(absent, |piece| stream::once(async { piece }).boxed()))
            }
            ContentKind::Blob => {
                let read = present(self.read(&content, &part.range).await).map_err(blob_failed)?;
                Ok(match read {
                    Some(BlobRead::Whole { body, .. } | BlobRead::Part { body, .. }) => body
                        .map_ok(move |bytes| Piece::Bytes(number, bytes))
                        .map_err(|error| PeerError::Unavailable {
                            reason: error.to_string(),
                        })
                        .boxed(),
                    Some(BlobRead::Unsatisfiable { .. }) | None => absent(),
                })
            }
        }
    }

    async fn read(
        &self,
        content: &Content,
        range: &std::ops::Range<u64>,
    ) -> Result<BlobRead, ReadBlobError> {
        let path = self.path(content.registry, &content.repository).await?;
        let is_whole = range.start == 0 && range.end == content.leaf.size;
        let last = range.end.saturating_sub(1);
        let header = format!("bytes={}-{last}", range.start);
        let header = (!is_whole).then_some(header.as_str());
        self.blobs.read(&path, content.leaf.digest, header).await
    }
}

#[async_trait]
impl PeerApi for PeerService {
    async fn progress(&self) -> Result<Progress, PeerError> {
        self.replica.progress().await.map_err(failed)
    }

    async fn events(&self, range: &EventRange) -> Result<Events, PeerError> {
        self.replica.events(range).await.map_err(failed)
    }

    async fn holds(&self, contents: &[Content]) -> Result<Vec<Option<u64>>, PeerError> {
        let asked = contents.iter().cloned().map(|content| {
            let service = self.clone();
            async move { service.held(&content).await }
        });
        stream::iter(asked).buffered(AT_ONCE).try_collect().await
    }

    async fn find(
        &self,
        registry: RegistryId,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Vec<Found>, PeerError> {
        let found = self.replica.find(registry, repository, reference).await;
        found.map_err(failed)
    }

    async fn fetch(&self, parts: &[FetchPart]) -> Result<Pieces, PeerError> {
        let parts: Vec<_> = parts.iter().cloned().enumerate().collect();
        let service = self.clone();
        let pieces = stream::iter(parts)
            .then(move |(number, part)| service.clone().part(number, part))
            .try_flatten();
        Ok(pieces.boxed())
    }

    async fn copy(&self, after: Option<CopyMark>, limit: usize) -> Result<CopyPage, PeerError> {
        self.replica.copy(after, limit).await.map_err(failed)
    }

    async fn image(
        &self,
        registry: RegistryId,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<ImageReport>, PeerError> {
        let view = self.replica.image(registry, repository, reference).await;
        let view = view.map_err(failed)?;
        Ok(view.map(|view| match &self.agent {
            Some(agent) => image::report(&agent.shell, registry, view),
            None => image::told(view),
        }))
    }
}

fn slice(bytes: &bytes::Bytes, range: &std::ops::Range<u64>) -> Option<bytes::Bytes> {
    let start = usize::try_from(range.start).ok()?;
    let end = usize::try_from(range.end).ok()?;
    (start <= end && end <= bytes.len()).then(|| bytes.slice(start..end))
}

/// What is here; nothing, if it is not.
fn present<T>(answer: Result<T, ReadBlobError>) -> Result<Option<T>, ReadBlobError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.code() == Code::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn failed(error: ReadError) -> PeerError {
    let reason = chain(&error);
    match error.code() {
        Code::DeadlineExceeded => PeerError::DeadlineExceeded,
        _ if error.retry() == Retry::No => PeerError::Refused { reason },
        _ => PeerError::Unavailable { reason },
    }
}

fn blob_failed(error: ReadBlobError) -> PeerError {
    match error {
        ReadBlobError::Metadata(error) => failed(error),
        error @ ReadBlobError::Unreadable { .. } => PeerError::Unavailable {
            reason: chain(&error),
        },
    }
}
