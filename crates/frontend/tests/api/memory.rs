//! A registry in memory, behind both of the frontend's ports: what it answers, the frontend must
//! pass on. It obeys the contracts of the traits as far as the frontend can see them.

pub(crate) mod abroad;
mod attributes;
mod blobs;
mod metadata;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use meridian_clients::link::PresignedUrl;
use meridian_clients::{Condition, Drained, ReadError, RepositoryPath, Stale, WriteError};
use meridian_clock::{Region, Version};
use meridian_oci::{Digest, Manifest, Reference, RepositoryName, Tag, UploadId};

/// A registry in memory.
#[derive(Default)]
pub(crate) struct Memory {
    state: Mutex<Contents>,
    fault: Mutex<Option<ReadError>>,
    presigned: Mutex<Option<PresignedUrl>>,
    stale: Mutex<Option<Stale>>,
    is_overtaken: AtomicBool,
    is_unreadable: AtomicBool,
    drained: Mutex<Option<Drained>>,
    trouble: Mutex<Option<String>>,
}

#[derive(Default)]
struct Contents {
    repositories: BTreeMap<RepositoryName, Repository>,
    sessions: BTreeMap<UploadId, Session>,
    /// Of the last put of a tag or a manifest.
    versions: BTreeMap<(RepositoryName, Reference), Version>,
    /// Of the last deletion of one.
    tombstones: BTreeMap<(RepositoryName, Reference), Version>,
    /// Where it is, and what its clock says; `eu` in November 2023 if it is nowhere else.
    origin: Option<(Region, u64)>,
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
    /// The registry of another region.
    pub(crate) fn of(region: &str, millis: u64) -> Self {
        let memory = Self::default();
        memory.set_clock(region, millis);
        memory
    }

    /// From now on, its clock says so.
    pub(crate) fn set_clock(&self, region: &str, millis: u64) {
        let origin = (region.parse().unwrap(), millis);
        self.state.lock().unwrap().origin = Some(origin);
    }

    /// The version of a tag.
    pub(crate) fn version_of(&self, repository: &str, tag: &str) -> Option<Version> {
        let tag: Tag = tag.parse().unwrap();
        let key = (repository.parse().unwrap(), Reference::Tag(tag));
        self.state.lock().unwrap().versions.get(&key).copied()
    }

    /// What a tag points at.
    pub(crate) fn points_at(&self, repository: &str, tag: &str) -> Option<Digest> {
        let state = self.state.lock().unwrap();
        let repository: RepositoryName = repository.parse().unwrap();
        let tag: Tag = tag.parse().unwrap();
        let tags = &state.repositories.get(&repository)?.tags;
        tags.get(&tag).copied()
    }

    /// What is written from now on is newer than that.
    pub(crate) fn absorb(&self, version: Version) {
        let mut state = self.state.lock().unwrap();
        if let Some((_, millis)) = &mut state.origin {
            *millis = version.millis.max(*millis);
        }
        state.mutations = version.counter.max(state.mutations);
    }

    /// From now on, every call fails like this.
    pub(crate) fn fail(&self, fault: ReadError) {
        *self.fault.lock().unwrap() = Some(fault);
    }

    /// From now on, nobody knows whether what is here is still there.
    pub(crate) fn age(&self, stale: Stale) {
        *self.stale.lock().unwrap() = Some(stale);
    }

    /// From now on, tags have newer values, of which something is not here.
    pub(crate) fn overtake(&self) {
        self.is_overtaken.store(true, Ordering::Relaxed);
    }

    /// From now on, nothing may be pulled, or everything.
    pub(crate) fn forbid_reads(&self, is_forbidden: bool) {
        self.is_unreadable.store(is_forbidden, Ordering::Relaxed);
    }

    /// From now on, blobs are found there as well.
    pub(crate) fn presign(&self, url: &str) {
        *self.presigned.lock().unwrap() = Some(url.parse().unwrap());
    }

    /// From now on, clients are to go elsewhere for that reason, or come back.
    pub(crate) fn drain(&self, reason: Option<&str>) {
        *self.drained.lock().unwrap() = reason.map(|reason| Drained {
            millis: 7,
            reason: reason.to_owned(),
        });
    }

    /// From now on, the store has that trouble, or none.
    pub(crate) fn trouble(&self, trouble: Option<&str>) {
        *self.trouble.lock().unwrap() = trouble.map(str::to_owned);
    }

    fn contents(&self) -> Result<MutexGuard<'_, Contents>, ReadError> {
        match &*self.fault.lock().unwrap() {
            Some(fault) => Err(fault.clone()),
            None => Ok(self.state.lock().unwrap()),
        }
    }
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
        let first = || ("eu".parse().unwrap(), 1_700_000_000_000);
        let (region, millis) = self.origin.unwrap_or_else(first);
        Version {
            millis,
            counter: self.mutations,
            region,
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
