//! A registry in memory, behind both of the frontend's ports: what it answers, the frontend must
//! pass on. It obeys the contracts of the traits as far as the frontend can see them.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use meridian_clients::{
    BlobApi, BlobPut, BlobRead, BlobRecord, BlobStat, ByteStream, Collect, CollectOutcome,
    Condition, DeleteBlobError, DeleteManifest, Deleted, Doomed, Due, Generations, ManifestPut,
    ManifestStat, MetadataApi, MountOutcome, Page, PageRequest, PutBlob, PutManifest,
    ReadBlobError, ReadError, Referrers, RepositoryPath, RequestId, StorageKey, StoredManifest,
    Transfer, UploadError, UploadStatus, Usage, WriteError,
};
use meridian_clock::Version;
use meridian_oci::{
    Algorithm, ByteRange, Digest, Manifest, Reference, RegistryName, RepositoryName, Resolved, Tag,
    UploadId,
};

/// A registry in memory.
#[derive(Default)]
pub struct Memory {
    state: Mutex<Contents>,
    fault: Mutex<Option<ReadError>>,
}

#[derive(Default)]
struct Contents {
    repositories: BTreeMap<RepositoryName, Repository>,
    sessions: BTreeMap<UploadId, Session>,
    mutations: u32,
}

#[derive(Default)]
struct Repository {
    manifests: BTreeMap<Digest, Manifest>,
    tags: BTreeMap<Tag, Digest>,
    blobs: BTreeMap<Digest, Bytes>,
}

struct Session {
    repository: RepositoryName,
    bytes: Vec<u8>,
    busy: bool,
    finished: Option<Digest>,
}

// === impl Memory ===

impl Memory {
    /// From now on, every call fails like this.
    pub fn fail(&self, fault: ReadError) {
        *self.fault.lock().unwrap() = Some(fault);
    }

    fn contents(&self) -> Result<MutexGuard<'_, Contents>, ReadError> {
        match &*self.fault.lock().unwrap() {
            Some(fault) => Err(fault.clone()),
            None => Ok(self.state.lock().unwrap()),
        }
    }

    fn session(
        &self,
        repository: &RepositoryPath,
        id: &UploadId,
        act: impl FnOnce(&mut Session) -> Result<(), UploadError>,
    ) -> Result<UploadStatus, UploadError> {
        let mut contents = self.contents().map_err(WriteError::from)?;
        let session = contents
            .sessions
            .get_mut(id)
            .filter(|session| session.repository == repository.name)
            .ok_or(UploadError::Unknown)?;
        act(session)?;
        Ok(UploadStatus {
            upload: id.clone(),
            offset: session.bytes.len() as u64,
            min_chunk: None,
        })
    }

    /// Takes the session, reads the body, and gives the session back with what counts of it.
    async fn write(
        &self,
        repository: &RepositoryPath,
        id: &UploadId,
        chunk: Transfer,
    ) -> Result<UploadStatus, UploadError> {
        let before = self.session(repository, id, |session| {
            if session.finished.is_some() {
                return Err(UploadError::Unknown);
            }
            if std::mem::replace(&mut session.busy, true) {
                return Err(UploadError::Busy);
            }
            Ok(())
        })?;
        let release = |bytes: &[u8]| {
            self.session(repository, id, |session| {
                session.busy = false;
                session.bytes.extend_from_slice(bytes);
                Ok(())
            })
        };
        if chunk.range.is_some_and(|range| range.start() != before.offset) {
            return Err(UploadError::OutOfOrder(release(&[])?));
        }
        let announced = chunk.length.or(chunk.range.map(|range| range.length()));
        let (bytes, broken) = drain(chunk.body).await;
        match (announced, broken) {
            (Some(expected), None) if expected != bytes.len() as u64 => {
                release(&[])?;
                let actual = bytes.len() as u64;
                Err(UploadError::LengthDiffers { expected, actual })
            }
            (Some(_), Some(error)) => {
                release(&[])?;
                Err(UploadError::Body(error))
            }
            (None, Some(error)) => {
                release(&bytes)?;
                Err(UploadError::Body(error))
            }
            (_, None) => release(&bytes),
        }
    }
}

async fn drain(mut body: ByteStream) -> (Vec<u8>, Option<io::Error>) {
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(error) => return (bytes, Some(error)),
        }
    }
    (bytes, None)
}

fn of_bytes(bytes: Bytes) -> ByteStream {
    Box::pin(futures::stream::iter([Ok(bytes)]))
}

// === impl Contents ===

impl Contents {
    fn repository(&self, path: &RepositoryPath) -> Result<&Repository, ReadError> {
        self.repositories
            .get(&path.name)
            .ok_or(ReadError::RepositoryUnknown)
    }

    fn manifest(
        &self,
        path: &RepositoryPath,
        reference: &Reference,
    ) -> Result<(Digest, &Manifest), ReadError> {
        let repository = self.repository(path)?;
        let digest = match reference {
            Reference::Tag(tag) => repository.tags.get(tag),
            Reference::Digest(digest) => Some(digest),
        };
        digest
            .and_then(|digest| Some((*digest, repository.manifests.get(digest)?)))
            .ok_or(ReadError::ManifestUnknown)
    }

    fn blob(&self, path: &RepositoryPath, digest: &Digest) -> Result<Bytes, ReadError> {
        let found = self
            .repositories
            .get(&path.name)
            .and_then(|repository| repository.blobs.get(digest));
        found.cloned().ok_or(ReadError::BlobUnknown)
    }

    fn keep(&mut self, name: &RepositoryName, digest: Digest, bytes: Bytes) {
        let repository = self.repositories.entry(name.clone()).or_default();
        repository.blobs.insert(digest, bytes);
    }

    fn version(&mut self) -> Version {
        self.mutations += 1;
        Version {
            millis: 1_700_000_000_000,
            counter: self.mutations,
            region: "eu".parse().unwrap(),
        }
    }
}

// === impl Repository ===

impl Repository {
    fn meets(&self, condition: Condition, reference: &Reference) -> Result<(), WriteError> {
        let current = match reference {
            Reference::Tag(tag) => self.tags.get(tag).copied(),
            Reference::Digest(digest) => self.manifests.get(digest).map(|_| *digest),
        };
        let holds = match condition {
            Condition::Absent => current.is_none(),
            Condition::PointsAt(digest) => current == Some(digest),
        };
        if holds {
            Ok(())
        } else {
            Err(WriteError::ConditionFailed { current })
        }
    }

    fn check(&self, manifest: &Manifest) -> Result<(), WriteError> {
        let size = |digest: &Digest| {
            let blob = self.blobs.get(digest).map(Bytes::len);
            blob.or_else(|| self.manifests.get(digest).map(|found| found.bytes().len()))
        };
        let leaves = || manifest.blobs().chain(manifest.children());
        let absent: Vec<Digest> = leaves()
            .filter(|leaf| size(&leaf.digest).is_none())
            .map(|leaf| leaf.digest)
            .collect();
        if !absent.is_empty() {
            return Err(WriteError::LeavesUnknown(absent));
        }
        let wrong: Vec<Digest> = leaves()
            .filter(|leaf| size(&leaf.digest) != usize::try_from(leaf.size).ok())
            .map(|leaf| leaf.digest)
            .collect();
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(WriteError::SizesDiffer(wrong))
        }
    }

    fn free(&self, digest: &Digest) -> Result<(), WriteError> {
        let users: Vec<Digest> = self
            .manifests
            .iter()
            .filter(|(_, manifest)| {
                let mut leaves = manifest.blobs().chain(manifest.children());
                leaves.any(|leaf| leaf.digest == *digest)
            })
            .map(|(user, _)| *user)
            .collect();
        if users.is_empty() {
            Ok(())
        } else {
            Err(WriteError::InUse(users))
        }
    }
}

fn page<T: Clone + Ord>(sorted: Vec<T>, request: PageRequest<T>) -> Page<T> {
    let mut rest = sorted
        .into_iter()
        .filter(|item| request.after.as_ref().is_none_or(|after| item > after));
    let items: Vec<T> = rest.by_ref().take(request.limit).collect();
    Page {
        items,
        more: rest.next().is_some(),
    }
}

#[async_trait]
impl MetadataApi for Memory {
    async fn manifest(
        &self,
        repository: &RepositoryPath,
        reference: &Reference,
    ) -> Result<StoredManifest, ReadError> {
        let stat = self.manifest_stat(repository, reference).await?;
        let contents = self.contents()?;
        let (_, manifest) = contents.manifest(repository, reference)?;
        let bytes = manifest.bytes().clone();
        Ok(StoredManifest { stat, bytes })
    }

    async fn manifest_stat(
        &self,
        repository: &RepositoryPath,
        reference: &Reference,
    ) -> Result<ManifestStat, ReadError> {
        let mut contents = self.contents()?;
        let version = contents.version();
        let (digest, manifest) = contents.manifest(repository, reference)?;
        Ok(ManifestStat {
            digest,
            media_type: manifest.media_type().clone(),
            size: manifest.bytes().len() as u64,
            version,
        })
    }

    async fn tags(
        &self,
        repository: &RepositoryPath,
        request: PageRequest<Tag>,
    ) -> Result<Page<Tag>, ReadError> {
        let contents = self.contents()?;
        let repository = contents.repository(repository)?;
        Ok(page(repository.tags.keys().cloned().collect(), request))
    }

    async fn repositories(
        &self,
        _registry: &RegistryName,
        request: PageRequest<RepositoryName>,
    ) -> Result<Page<RepositoryName>, ReadError> {
        let contents = self.contents()?;
        let holding = contents
            .repositories
            .iter()
            .filter(|(_, repository)| !repository.manifests.is_empty());
        Ok(page(holding.map(|(name, _)| name.clone()).collect(), request))
    }

    async fn referrers(
        &self,
        repository: &RepositoryPath,
        subject: Digest,
        artifact_types: &[String],
        after: Option<Digest>,
        max_bytes: usize,
    ) -> Result<Referrers, ReadError> {
        let contents = self.contents()?;
        let mut listed = Referrers {
            descriptors: Vec::new(),
            next: None,
        };
        let Some(repository) = contents.repositories.get(&repository.name) else {
            return Ok(listed);
        };
        let mut bytes = 0;
        let mut last = None;
        for (digest, manifest) in &repository.manifests {
            let refers = manifest.subject().is_some_and(|to| to.digest == subject);
            let typed = artifact_types.is_empty()
                || manifest
                    .artifact_type()
                    .is_some_and(|artifact_type| artifact_types.iter().any(|t| t == artifact_type));
            if !refers || !typed || after.is_some_and(|after| *digest <= after) {
                continue;
            }
            if bytes > max_bytes {
                listed.next = last;
                break;
            }
            let descriptor = manifest.referrer_descriptor(digest).unwrap();
            bytes += descriptor.len();
            listed.descriptors.push(descriptor);
            last = Some(*digest);
        }
        Ok(listed)
    }

    async fn put_manifest(&self, request: PutManifest) -> Result<ManifestPut, WriteError> {
        let mut contents = self.contents()?;
        let version = contents.version();
        let name = request.repository.name;
        let repository = contents.repositories.entry(name).or_default();
        if let Some(condition) = request.condition {
            let reference = match request.tags.as_slice() {
                [tag] => tag.clone().into(),
                _ => request.digest.into(),
            };
            repository.meets(condition, &reference)?;
        }
        repository.check(&request.manifest)?;
        repository.manifests.insert(request.digest, request.manifest);
        for tag in request.tags {
            repository.tags.insert(tag, request.digest);
        }
        Ok(ManifestPut { version })
    }

    async fn delete_manifest(&self, request: DeleteManifest) -> Result<Deleted, WriteError> {
        let mut contents = self.contents()?;
        let version = contents.version();
        contents.manifest(&request.repository, &request.reference)?;
        let name = request.repository.name;
        let repository = contents.repositories.entry(name).or_default();
        if let Some(condition) = request.condition {
            repository.meets(condition, &request.reference)?;
        }
        match request.reference {
            Reference::Tag(tag) => {
                repository.tags.remove(&tag);
            }
            Reference::Digest(digest) => {
                repository.free(&digest)?;
                repository.manifests.remove(&digest);
                repository.tags.retain(|_, target| *target != digest);
            }
        }
        Ok(Deleted { version })
    }

    async fn blob(
        &self,
        _repository: &RepositoryPath,
        _digest: Digest,
    ) -> Result<BlobRecord, ReadError> {
        unreachable!("the frontend asks the blob service")
    }

    async fn put_blob(&self, _request: PutBlob) -> Result<BlobPut, WriteError> {
        unreachable!("the frontend asks the blob service")
    }

    async fn mount_blob(
        &self,
        _repository: &RepositoryPath,
        _from: Option<&RepositoryName>,
        _digest: Digest,
        _request: RequestId,
    ) -> Result<Option<BlobPut>, WriteError> {
        unreachable!("the frontend asks the blob service")
    }

    async fn touch_blob(
        &self,
        _repository: &RepositoryPath,
        _digest: Digest,
        _request: RequestId,
    ) -> Result<(), WriteError> {
        unreachable!("the frontend asks the blob service")
    }

    async fn delete_blob(
        &self,
        _repository: &RepositoryPath,
        _digest: Digest,
        _request: RequestId,
    ) -> Result<Deleted, WriteError> {
        unreachable!("the frontend asks the blob service")
    }

    async fn reserve_generations(
        &self,
        _count: u64,
        _request: RequestId,
    ) -> Result<Generations, WriteError> {
        unreachable!("not the frontend's")
    }

    async fn registry(
        &self,
        _name: &RegistryName,
    ) -> Result<meridian_event::RegistryId, ReadError> {
        unreachable!("not the frontend's")
    }

    async fn due(&self, _limit: usize) -> Result<Vec<Due>, ReadError> {
        unreachable!("not the frontend's")
    }

    async fn collect(
        &self,
        _step: Collect,
        _request: RequestId,
    ) -> Result<CollectOutcome, WriteError> {
        unreachable!("not the frontend's")
    }

    async fn doomed(&self, _limit: usize) -> Result<Vec<Doomed>, ReadError> {
        unreachable!("not the frontend's")
    }

    async fn known(&self, _keys: &[StorageKey]) -> Result<Vec<bool>, ReadError> {
        unreachable!("not the frontend's")
    }

    async fn usage(&self, _registry: &RegistryName) -> Result<Usage, ReadError> {
        unreachable!("not the frontend's")
    }
}

#[async_trait]
impl BlobApi for Memory {
    async fn stat(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        _for_push: bool,
    ) -> Result<BlobStat, ReadBlobError> {
        let size = self.contents()?.blob(repository, &digest)?.len() as u64;
        Ok(BlobStat { size })
    }

    async fn read(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        range: Option<&str>,
    ) -> Result<BlobRead, ReadBlobError> {
        let bytes = self.contents()?.blob(repository, &digest)?;
        let size = bytes.len() as u64;
        Ok(match ByteRange::resolve(range, size) {
            Resolved::Whole => BlobRead::Whole {
                size,
                body: of_bytes(bytes),
            },
            Resolved::Part {
                start,
                end_inclusive,
            } => {
                let from = usize::try_from(start).unwrap();
                let to = usize::try_from(end_inclusive).unwrap();
                BlobRead::Part {
                    size,
                    start,
                    end_inclusive,
                    body: of_bytes(bytes.slice(from..=to)),
                }
            }
            Resolved::Unsatisfiable => BlobRead::Unsatisfiable { size },
        })
    }

    async fn start(
        &self,
        repository: &RepositoryPath,
        _algorithm: Algorithm,
    ) -> Result<UploadStatus, UploadError> {
        let id: u128 = rand::random();
        let upload: UploadId = format!("{id:032x}").parse().unwrap();
        let session = Session {
            repository: repository.name.clone(),
            bytes: Vec::new(),
            busy: false,
            finished: None,
        };
        let mut contents = self.contents().map_err(WriteError::from)?;
        contents.sessions.insert(upload.clone(), session);
        Ok(UploadStatus {
            upload,
            offset: 0,
            min_chunk: Some(1024),
        })
    }

    async fn append(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
        chunk: Transfer,
    ) -> Result<UploadStatus, UploadError> {
        self.write(repository, upload, chunk).await
    }

    async fn finish(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
        digest: Digest,
        chunk: Transfer,
    ) -> Result<(), UploadError> {
        let mut repeated = false;
        self.session(repository, upload, |session| {
            repeated = session.finished == Some(digest);
            Ok(())
        })?;
        if repeated {
            return Ok(());
        }
        self.write(repository, upload, chunk).await?;
        let mut bytes = Vec::new();
        self.session(repository, upload, |session| {
            if Digest::of(digest.algorithm(), &session.bytes) != digest {
                return Err(UploadError::DigestDiffers);
            }
            session.finished = Some(digest);
            bytes = std::mem::take(&mut session.bytes);
            Ok(())
        })?;
        let mut contents = self.contents().map_err(WriteError::from)?;
        contents.keep(&repository.name, digest, bytes.into());
        Ok(())
    }

    async fn upload(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        body: Transfer,
    ) -> Result<(), UploadError> {
        let status = self.start(repository, digest.algorithm()).await?;
        self.finish(repository, &status.upload, digest, body).await
    }

    async fn status(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
    ) -> Result<UploadStatus, UploadError> {
        self.session(repository, upload, |session| match session.finished {
            Some(_) => Err(UploadError::Unknown),
            None => Ok(()),
        })
    }

    async fn cancel(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
    ) -> Result<(), UploadError> {
        self.status(repository, upload).await?;
        let mut contents = self.contents().map_err(WriteError::from)?;
        contents.sessions.remove(upload);
        Ok(())
    }

    async fn mount(
        &self,
        repository: &RepositoryPath,
        from: Option<&RepositoryName>,
        digest: Digest,
    ) -> Result<MountOutcome, UploadError> {
        let found = {
            let contents = self.contents().map_err(WriteError::from)?;
            let mut sources = contents.repositories.iter();
            sources
                .find(|(name, held)| {
                    from.is_none_or(|from| from == *name) && held.blobs.contains_key(&digest)
                })
                .map(|(_, held)| held.blobs[&digest].clone())
        };
        match found {
            Some(bytes) => {
                let mut contents = self.contents().map_err(WriteError::from)?;
                contents.keep(&repository.name, digest, bytes);
                Ok(MountOutcome::Mounted)
            }
            None => {
                let status = self.start(repository, digest.algorithm()).await?;
                Ok(MountOutcome::Session(status))
            }
        }
    }

    async fn delete(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
    ) -> Result<(), DeleteBlobError> {
        let mut contents = self.contents().map_err(WriteError::from)?;
        contents
            .blob(repository, &digest)
            .map_err(WriteError::from)?;
        let repository = contents.repositories.entry(repository.name.clone());
        let repository = repository.or_default();
        repository.free(&digest)?;
        repository.blobs.remove(&digest);
        Ok(())
    }
}
