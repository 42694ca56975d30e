//! Manifests and tags in memory.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use meridian_clients::{
    AttributesSet, BlobPut, BlobRecord, Collect, CollectOutcome, DeleteManifest, DeleteRepository,
    Deleted, Described, Doomed, Drained, Due, Generations, ListRequest, Listing, ManifestPut,
    ManifestStat, MetadataApi, Page, PageRequest, PutBlob, PutManifest, ReadError, Referrers,
    RepositoryDeleted, RepositoryPath, RequestId, SetAttributes, StorageKey, StoreBlob,
    StoredManifest, Usage, WriteError,
};
use meridian_event::Target;
use meridian_oci::{Digest, Reference, RegistryName, RepositoryName, Tag};

use super::Memory;

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
        let contents = self.contents()?;
        let (digest, manifest) = contents.manifest(repository, reference)?;
        if self.is_unreadable.load(Ordering::Relaxed) {
            return Err(ReadError::Locked);
        }
        let version = contents.versions[&(repository.name.clone(), reference.clone())];
        Ok(ManifestStat {
            digest,
            media_type: manifest.media_type().clone(),
            size: manifest.bytes().len() as u64,
            version,
            is_overtaken: self.is_overtaken.load(Ordering::Relaxed),
            stale: *self.stale.lock().unwrap(),
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
        Ok(page(
            holding.map(|(name, _)| name.clone()).collect(),
            request,
        ))
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
        let repository = contents.repositories.entry(name.clone()).or_default();
        if let Some(condition) = request.condition {
            let reference = match request.tags.as_slice() {
                [tag] => tag.clone().into(),
                _ => request.digest.into(),
            };
            repository.meets(condition, &reference)?;
        }
        repository.check(&request.manifest)?;
        repository
            .manifests
            .insert(request.digest, request.manifest);
        let mut put = vec![Reference::from(request.digest)];
        for tag in request.tags {
            repository.tags.insert(tag.clone(), request.digest);
            put.push(tag.into());
        }
        for reference in put {
            contents.versions.insert((name.clone(), reference), version);
        }
        Ok(ManifestPut { version })
    }

    async fn delete_manifest(&self, request: DeleteManifest) -> Result<Deleted, WriteError> {
        let mut contents = self.contents()?;
        let version = contents.version();
        contents.manifest(&request.repository, &request.reference)?;
        let name = request.repository.name;
        let repository = contents.repositories.entry(name.clone()).or_default();
        if let Some(condition) = request.condition {
            repository.meets(condition, &request.reference)?;
        }
        let grave = (name, request.reference.clone());
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
        contents.tombstones.insert(grave, version);
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

    async fn store_blob(&self, _request: StoreBlob) -> Result<BlobPut, WriteError> {
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

    async fn describe(
        &self,
        repository: &RepositoryPath,
        target: &Target,
    ) -> Result<Described, ReadError> {
        self.contents()?.describe(repository, target)
    }

    async fn list(
        &self,
        repository: &RepositoryPath,
        request: ListRequest,
    ) -> Result<Option<Listing>, ReadError> {
        self.contents()?.list(repository, request)
    }

    async fn set_attributes(&self, request: SetAttributes) -> Result<AttributesSet, WriteError> {
        let mut contents = self.contents()?;
        contents.describe(&request.repository, &request.target)?;
        let version = Some(contents.version());
        Ok(AttributesSet { version })
    }

    async fn delete_repository(
        &self,
        request: DeleteRepository,
    ) -> Result<RepositoryDeleted, WriteError> {
        let mut contents = self.contents()?;
        let version = contents.version();
        let gone = contents.repositories.remove(&request.repository.name);
        let gone = gone.ok_or(ReadError::RepositoryUnknown)?;
        Ok(RepositoryDeleted {
            version,
            manifests: gone.manifests.into_keys().collect(),
            tags: gone.tags.into_keys().collect(),
        })
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

    async fn drained(&self) -> Result<Option<Drained>, ReadError> {
        drop(self.contents()?);
        Ok(self.drained.lock().unwrap().clone())
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
