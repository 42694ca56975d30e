//! Two registries in memory, one of which is the other region of the other: what an agent does, without
//! replication. What is found is not kept here, so that a test sees where each answer comes from;
//! deletions are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use meridian_clients::image::ImageStatus;
use meridian_clients::regions::{Freshness, RegionsApi, RemoteBlob, ReplicationStatus, Resolved};
use meridian_clients::{BlobApi, MetadataApi, ReadBlobError, ReadError, RepositoryPath};
use meridian_clock::{Region, Version};
use meridian_event::Target;
use meridian_oci::{Digest, Reference};
use tokio::sync::Semaphore;

use super::Memory;

/// What a registry knows of another one.
pub(crate) struct Abroad {
    here: Arc<Memory>,
    there: Arc<Memory>,
    region: Region,
    script: Mutex<Script>,
    /// Answers that may be given.
    answers: Semaphore,
}

/// How the other region behaves.
#[derive(Default)]
struct Script {
    is_away: bool,
    /// Blobs that a manifest here needs.
    wanted: BTreeSet<Digest>,
    /// How long ago each region was merged; nobody knows anything, if it is not there.
    ages: Option<Vec<(Region, Option<Duration>)>>,
    calls: BTreeMap<&'static str, u32>,
}

// === impl Abroad ===

impl Abroad {
    pub(crate) fn new(here: &Arc<Memory>, there: &Arc<Memory>, region: &str) -> Self {
        Self {
            here: Arc::clone(here),
            there: Arc::clone(there),
            region: region.parse().unwrap(),
            script: Mutex::default(),
            answers: Semaphore::new(Semaphore::MAX_PERMITS),
        }
    }

    /// From now on, the other region can be reached or not.
    pub(crate) fn cut(&self, is_away: bool) {
        self.script.lock().unwrap().is_away = is_away;
    }

    /// From now on, a manifest here needs this.
    pub(crate) fn want(&self, digest: Digest) {
        self.script.lock().unwrap().wanted.insert(digest);
    }

    /// From now on, it is so long ago that these regions were merged.
    pub(crate) fn age(&self, ages: &[(&str, Option<u64>)]) {
        let ages = ages.iter().map(|(region, age)| {
            let age = age.map(Duration::from_millis);
            (region.parse().unwrap(), age)
        });
        self.script.lock().unwrap().ages = Some(ages.collect());
    }

    /// From now on, nobody knows how long ago that is.
    pub(crate) fn forget_ages(&self) {
        self.script.lock().unwrap().ages = None;
    }

    /// From now on, questions for names have no answer.
    pub(crate) fn hold(&self) {
        self.answers.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Answers them.
    pub(crate) fn release(&self) {
        self.answers.add_permits(1000);
    }

    /// How often something was asked.
    pub(crate) fn asked(&self, call: &str) -> u32 {
        let script = self.script.lock().unwrap();
        script.calls.get(call).copied().unwrap_or(0)
    }

    fn ask(&self, call: &'static str) -> Result<(), ReadError> {
        let mut script = self.script.lock().unwrap();
        *script.calls.entry(call).or_default() += 1;
        match script.is_away {
            true => Err(ReadError::Unavailable {
                reason: "the other region is away".to_owned(),
            }),
            false => Ok(()),
        }
    }

    /// Deletes a tag here that was deleted there.
    fn bury(&self, path: &RepositoryPath, reference: &Reference) {
        let key = (path.name.clone(), reference.clone());
        let deleted = self
            .there
            .state
            .lock()
            .unwrap()
            .tombstones
            .get(&key)
            .copied();
        let mut here = self.here.state.lock().unwrap();
        let is_older = here.versions.get(&key).copied() < deleted;
        if let (Reference::Tag(tag), true) = (reference, is_older) {
            let repository = here.repositories.entry(path.name.clone()).or_default();
            repository.tags.remove(tag);
        }
    }

    /// Copies content of a repository. Says whether there was any.
    fn copy(&self, path: &RepositoryPath, digest: Digest) -> Result<bool, ReadError> {
        let there = self.there.contents()?;
        let Ok(source) = there.repository(path) else {
            return Ok(false);
        };
        let mut here = self.here.contents()?;
        if let Some(bytes) = source.blobs.get(&digest) {
            here.keep(&path.name, digest, bytes.clone());
            return Ok(true);
        }
        let Some(manifest) = source.manifests.get(&digest).cloned() else {
            return Ok(false);
        };
        let target = here.repositories.entry(path.name.clone()).or_default();
        target.manifests.insert(digest, manifest);
        let key = (path.name.clone(), Reference::from(digest));
        let version = there.versions[&key];
        here.versions.insert(key, version);
        Ok(true)
    }
}

#[async_trait]
impl RegionsApi for Abroad {
    async fn freshness(&self) -> Result<Freshness, ReadError> {
        let _counted = self.ask("freshness");
        let ages = self.script.lock().unwrap().ages.clone();
        Ok(Freshness {
            region: "eu".parse().unwrap(),
            peers: ages.ok_or(ReadError::DeadlineExceeded)?,
        })
    }

    async fn resolve(
        &self,
        repository: &RepositoryPath,
        reference: &Reference,
        _at_least: Option<Version>,
    ) -> Result<Resolved, ReadError> {
        let asked = self.ask("resolve");
        self.answers.acquire().await.unwrap().forget();
        asked?;
        self.bury(repository, reference);
        let manifest = self.there.manifest(repository, reference).await;
        let manifest = manifest.map_err(|error| match error {
            ReadError::RepositoryUnknown => ReadError::ManifestUnknown,
            error => error,
        })?;
        self.here.absorb(manifest.stat.version);
        let region = self.region;
        Ok(Resolved { manifest, region })
    }

    async fn read_blob(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        range: Option<&str>,
    ) -> Result<RemoteBlob, ReadBlobError> {
        if let Err(error) = self.ask("read_blob") {
            let is_wanted = self.script.lock().unwrap().wanted.contains(&digest);
            return Err(if is_wanted {
                error
            } else {
                ReadError::BlobUnknown
            }
            .into());
        }
        let read = self.there.read(repository, digest, range).await?;
        let region = self.region;
        let is_needed = self.script.lock().unwrap().wanted.contains(&digest);
        Ok(RemoteBlob {
            region,
            is_needed,
            read,
        })
    }

    async fn bring(
        &self,
        repository: &RepositoryPath,
        digests: &[Digest],
    ) -> Result<Vec<Digest>, ReadError> {
        self.ask("bring")?;
        let mut nowhere = Vec::new();
        for digest in digests {
            if !self.copy(repository, *digest)? {
                nowhere.push(*digest);
            }
        }
        Ok(nowhere)
    }

    async fn holders(
        &self,
        _repository: &RepositoryPath,
        _target: &Target,
    ) -> Result<Vec<Region>, ReadError> {
        self.ask("holders")?;
        Ok(vec!["eu".parse().unwrap(), self.region])
    }

    async fn status(&self) -> Result<ReplicationStatus, ReadError> {
        Err(nothing_replicates())
    }

    async fn skip(&self, _origin: Region, _shard: u16) -> Result<Option<u64>, ReadError> {
        Err(nothing_replicates())
    }

    async fn image(
        &self,
        _repository: &RepositoryPath,
        _reference: &Reference,
        _at_least: Option<Version>,
    ) -> Result<ImageStatus, ReadError> {
        Err(nothing_replicates())
    }
}

/// No request of a frontend's clients leads there.
fn nothing_replicates() -> ReadError {
    let reason = "nothing replicates between these two".to_owned();
    ReadError::Unavailable { reason }
}
