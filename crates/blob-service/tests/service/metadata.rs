//! A metadata service in memory, for tests.
//!
//! Keeps the contract of [`MetadataApi`] as far as blobs, leases and garbage collection go, with
//! one lock for its log: every write is judged where it is applied, a request takes effect once.
//! It can be told to lose answers, and to have one of the faults that the contract forbids, so that
//! tests can show that they would notice.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use meridian_clients::{
    AttributesSet, BlobLocation, BlobPut, BlobRecord, Collect, CollectOutcome, DeleteManifest,
    DeleteRepository, Deleted, Described, Doomed, Drained, Due, Encoding, Generations, ListRequest,
    Listing, ManifestPut, ManifestStat, MetadataApi, Page, PageRequest, PutBlob, PutManifest,
    ReadError, Referrers, RepositoryDeleted, RepositoryPath, RequestId, SetAttributes, StorageKey,
    StoreBlob, StoredManifest, Usage, WriteError,
};
use meridian_clock::{Clock, Version};
use meridian_event::{RegistryId, Target};
use meridian_oci::{Digest, Reference, RegistryName, RepositoryName, Tag};

use crate::turns::Turns;

/// What the contract forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// A blob is removed without a look at who holds it by now.
    RemovesUnseen,
    /// A manifest is put without a look at whether its blobs are present.
    AdmitsDangling,
    /// One generation is given out again and again, and may be named as often.
    RepeatsGenerations,
    /// What the sweep dooms can be named all the same.
    DoomsUnfenced,
}

pub(crate) struct MemoryMetadata {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    turns: Turns,
    mutant: Option<Mutant>,
    /// How many of the next blob records are applied and then not acknowledged.
    pub(crate) lost_answers: AtomicU64,
    /// How many of the next blob records are neither applied nor acknowledged.
    pub(crate) lost_requests: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) touches: AtomicU64,
    /// Whether nothing may be pulled.
    pub(crate) is_unreadable: AtomicBool,
}

#[derive(Default)]
struct State {
    blobs: BTreeMap<Digest, Row>,
    /// Leases, in milliseconds.
    links: BTreeMap<(RepositoryName, Digest), u64>,
    manifests: BTreeMap<(RepositoryName, Digest), Vec<Digest>>,
    doomed: BTreeSet<StorageKey>,
    /// What was ever named or doomed.
    spent: BTreeSet<StorageKey>,
    answers: HashMap<RequestId, Answer>,
    next_generation: u64,
    counter: u32,
    pub(crate) grace: u64,
    pub(crate) lease: u64,
}

#[derive(Clone)]
struct Row {
    size: u64,
    location: BlobLocation,
    touched: u64,
    condemned: bool,
}

#[derive(Clone)]
enum Answer {
    Put(BlobPut),
    Deleted(Deleted),
    Generations(Generations),
    Nothing,
}

pub(crate) fn registry_id() -> RegistryId {
    RegistryId::new(Version {
        millis: 1,
        counter: 0,
        region: "eu".parse().unwrap(),
    })
}

impl MemoryMetadata {
    pub(crate) fn new(clock: Arc<dyn Clock>, turns: Turns, mutant: Option<Mutant>) -> Self {
        let state = State {
            next_generation: (1 << 31) - 5,
            lease: 1000,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            clock,
            turns,
            mutant,
            lost_answers: AtomicU64::new(0),
            lost_requests: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            touches: AtomicU64::new(0),
            is_unreadable: AtomicBool::new(false),
        }
    }

    pub(crate) fn set_times(&self, grace: u64, lease: u64) {
        let mut state = self.state();
        (state.grace, state.lease) = (grace, lease);
    }

    /// Every blob that a manifest needs, with its repository.
    pub(crate) fn needed(&self) -> Vec<(RepositoryName, Digest)> {
        let state = self.state();
        let needed = state.manifests.iter().flat_map(|((repository, _), blobs)| {
            blobs.iter().map(move |blob| (repository.clone(), *blob))
        });
        needed.collect()
    }

    /// Where the bytes of a blob are recorded to be.
    pub(crate) fn location(&self, digest: Digest) -> Option<BlobLocation> {
        self.state()
            .blobs
            .get(&digest)
            .map(|row| row.location.clone())
    }

    pub(crate) fn manifest(
        &self,
        repository: &RepositoryName,
        digest: Digest,
        blobs: &[Digest],
    ) -> bool {
        let mut state = self.state();
        let here = |blob| state.links.contains_key(&(repository.clone(), blob));
        if self.mutant != Some(Mutant::AdmitsDangling) && !blobs.iter().all(|blob| here(*blob)) {
            return false;
        }
        for blob in blobs {
            if let Some(row) = state.blobs.get_mut(blob) {
                row.condemned = false;
            }
        }
        let key = (repository.clone(), digest);
        state.manifests.insert(key, blobs.to_vec());
        true
    }

    pub(crate) fn forget_manifest(&self, repository: &RepositoryName, digest: Digest) {
        let mut state = self.state();
        let key = (repository.clone(), digest);
        let now = self.clock.now_millis();
        for blob in state.manifests.remove(&key).unwrap_or_default() {
            if let Some(row) = state.blobs.get_mut(&blob) {
                row.touched = now;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn version(&self, state: &mut State) -> Version {
        state.counter += 1;
        Version {
            millis: self.clock.now_millis(),
            counter: state.counter,
            region: "eu".parse().unwrap(),
        }
    }

    /// Records a blob. Returns the object that it keeps instead of this one.
    fn record(
        &self,
        state: &mut State,
        (digest, size): (Digest, u64),
        location: BlobLocation,
        instead_of: Option<StorageKey>,
    ) -> Result<Option<StorageKey>, WriteError> {
        let here = match location {
            BlobLocation::Stored(key) => Some(key),
            BlobLocation::Inline(_) => None,
        };
        let known = state.blobs.get(&digest).cloned();
        let there = known.as_ref().and_then(|row| match row.location {
            BlobLocation::Stored(key) => Some(key),
            BlobLocation::Inline(_) => None,
        });
        let heals = there.is_some() && there == instead_of;
        let is_spent = here.is_some_and(|key| state.spent.contains(&key));
        if is_spent && (known.is_none() || heals) {
            return Err(ReadError::BlobUnknown.into());
        }
        if self.mutant != Some(Mutant::RepeatsGenerations) {
            state.spent.extend(here);
        }
        if known.is_some() && !heals {
            // The bytes are here twice; the newer ones go.
            if let Some(key) = here.filter(|_| !is_spent) {
                state.doomed.insert(key);
            }
            return Ok(there.filter(|_| there != here));
        }
        let row = Row {
            size,
            location,
            touched: self.clock.now_millis(),
            condemned: false,
        };
        state.blobs.insert(digest, row);
        state.doomed.extend(there);
        Ok(None)
    }

    /// Tells of a record, unless that is to be lost.
    fn acknowledge(&self, answer: Answer) -> Result<BlobPut, WriteError> {
        if take_one(&self.lost_answers) {
            return Err(away().into());
        }
        match answer {
            Answer::Put(put) => Ok(put),
            _ => unreachable!("one request, one kind of answer"),
        }
    }

    /// Applies a write, unless this request was applied before.
    async fn write(
        &self,
        request: RequestId,
        apply: impl FnOnce(&mut State) -> Result<Answer, WriteError>,
    ) -> Result<Answer, WriteError> {
        self.turns.wait().await;
        self.writes.fetch_add(1, Ordering::SeqCst);
        let answer = {
            let mut state = self.state();
            if let Some(answer) = state.answers.get(&request) {
                Ok(answer.clone())
            } else {
                let answer = apply(&mut state)?;
                state.answers.insert(request, answer.clone());
                Ok(answer)
            }
        };
        self.turns.wait().await;
        answer
    }
}

// === impl State ===

impl State {
    fn lease(&mut self, repository: &RepositoryName, digest: Digest, now: u64) {
        let end = now + self.lease;
        let lease = self.links.entry((repository.clone(), digest)).or_default();
        *lease = end.max(*lease);
        if let Some(row) = self.blobs.get_mut(&digest) {
            row.touched = now;
            row.condemned = false;
        }
    }

    /// Until when something keeps a blob; for ever if a manifest does.
    fn held_until(&self, digest: Digest, row: &Row) -> u64 {
        if self
            .manifests
            .values()
            .flatten()
            .any(|blob| *blob == digest)
        {
            return u64::MAX;
        }
        let links = self.links.iter().filter(|((_, blob), _)| *blob == digest);
        let leases = links.map(|(_, lease)| *lease);
        leases.max().unwrap_or(0).max(row.touched + self.grace)
    }

    fn is_referenced(&self, digest: Digest) -> bool {
        self.manifests
            .values()
            .flatten()
            .any(|blob| *blob == digest)
    }
}

fn away() -> ReadError {
    ReadError::Unavailable {
        reason: "the answer got lost".to_owned(),
    }
}

fn take_one(counter: &AtomicU64) -> bool {
    counter
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
        .is_ok()
}

#[async_trait]
impl MetadataApi for MemoryMetadata {
    async fn blob(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
    ) -> Result<BlobRecord, ReadError> {
        self.turns.wait().await;
        let record = {
            let state = self.state();
            let lease = state.links.get(&(repository.name.clone(), digest));
            let row = lease.zip(state.blobs.get(&digest));
            row.map(|(lease, row)| BlobRecord {
                size: row.size,
                encoding: Encoding::Plain,
                location: row.location.clone(),
                wants_touch: !state.is_referenced(digest)
                    && (row.condemned || *lease < self.clock.now_millis() + state.lease / 2),
                is_readable: !self.is_unreadable.load(Ordering::Relaxed),
                stale: None,
            })
        };
        self.turns.wait().await;
        record.ok_or(ReadError::BlobUnknown)
    }

    async fn put_blob(&self, put: PutBlob) -> Result<BlobPut, WriteError> {
        if take_one(&self.lost_requests) {
            return Err(away().into());
        }
        // Whoever records a blob may have been paused for long.
        self.turns.wait_long().await;
        let now = self.clock.now_millis();
        let answer = self.write(put.request, |state| {
            let (digest, location) = (put.digest, put.location);
            let kept = self.record(state, (digest, put.size), location, put.instead_of)?;
            state.lease(&put.repository.name, put.digest, now);
            let version = self.version(state);
            Ok(Answer::Put(BlobPut { version, kept }))
        });
        self.acknowledge(answer.await?)
    }

    async fn store_blob(&self, store: StoreBlob) -> Result<BlobPut, WriteError> {
        if take_one(&self.lost_requests) {
            return Err(away().into());
        }
        self.turns.wait_long().await;
        let answer = self.write(store.request, |state| {
            let blob = (store.blob.digest, store.blob.size);
            let kept = self.record(state, blob, store.location, store.instead_of)?;
            let version = self.version(state);
            Ok(Answer::Put(BlobPut { version, kept }))
        });
        self.acknowledge(answer.await?)
    }

    async fn mount_blob(
        &self,
        repository: &RepositoryPath,
        from: Option<&RepositoryName>,
        digest: Digest,
        request: RequestId,
    ) -> Result<Option<BlobPut>, WriteError> {
        let now = self.clock.now_millis();
        let answer = self.write(request, |state| {
            let mut links = state.links.keys();
            let is_there =
                links.any(|(name, blob)| *blob == digest && from.is_none_or(|from| from == name));
            if !is_there {
                return Ok(Answer::Nothing);
            }
            state.lease(&repository.name, digest, now);
            let version = self.version(state);
            let kept = None;
            Ok(Answer::Put(BlobPut { version, kept }))
        });
        Ok(match answer.await? {
            Answer::Put(put) => Some(put),
            _ => None,
        })
    }

    async fn touch_blob(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        request: RequestId,
    ) -> Result<(), WriteError> {
        self.touches.fetch_add(1, Ordering::SeqCst);
        let now = self.clock.now_millis();
        let touched = self.write(request, |state| {
            if !state.links.contains_key(&(repository.name.clone(), digest)) {
                return Err(ReadError::BlobUnknown.into());
            }
            state.lease(&repository.name, digest, now);
            Ok(Answer::Nothing)
        });
        touched.await.map(|_| ())
    }

    async fn delete_blob(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        request: RequestId,
    ) -> Result<Deleted, WriteError> {
        let now = self.clock.now_millis();
        let answer = self.write(request, |state| {
            let holders = state
                .manifests
                .iter()
                .filter(|((name, _), blobs)| *name == repository.name && blobs.contains(&digest));
            let holders: Vec<_> = holders.map(|((_, manifest), _)| *manifest).collect();
            if !holders.is_empty() {
                return Err(WriteError::InUse(holders));
            }
            let link = state.links.remove(&(repository.name.clone(), digest));
            link.ok_or(ReadError::BlobUnknown)?;
            if let Some(row) = state.blobs.get_mut(&digest) {
                row.touched = now;
            }
            let version = self.version(state);
            Ok(Answer::Deleted(Deleted { version }))
        });
        match answer.await? {
            Answer::Deleted(deleted) => Ok(deleted),
            _ => unreachable!("one request, one kind of answer"),
        }
    }

    async fn reserve_generations(
        &self,
        count: u64,
        request: RequestId,
    ) -> Result<Generations, WriteError> {
        let answer = self.write(request, |state| {
            let first = state.next_generation;
            let count = match self.mutant {
                Some(Mutant::RepeatsGenerations) => 1,
                _ => count,
            };
            if self.mutant != Some(Mutant::RepeatsGenerations) {
                state.next_generation += count;
            }
            Ok(Answer::Generations(Generations {
                epoch: 3,
                first,
                count,
            }))
        });
        match answer.await? {
            Answer::Generations(generations) => Ok(generations),
            _ => unreachable!("one request, one kind of answer"),
        }
    }

    async fn registry(&self, _name: &RegistryName) -> Result<RegistryId, ReadError> {
        self.turns.wait().await;
        Ok(registry_id())
    }

    async fn due(&self, limit: usize) -> Result<Vec<Due>, ReadError> {
        self.turns.wait().await;
        let due = {
            let state = self.state();
            let now = self.clock.now_millis();
            let due = state
                .blobs
                .iter()
                .filter(|(digest, row)| row.condemned || state.held_until(**digest, row) <= now);
            let due = due.take(limit).map(|(digest, row)| Due {
                registry: registry_id(),
                digest: *digest,
                size: row.size,
                condemned: row.condemned,
                held: state.held_until(*digest, row) > now,
            });
            due.collect()
        };
        self.turns.wait_long().await;
        Ok(due)
    }

    async fn collect(
        &self,
        step: Collect,
        _request: RequestId,
    ) -> Result<CollectOutcome, WriteError> {
        self.turns.wait().await;
        let mut outcome = CollectOutcome::default();
        {
            let mut state = self.state();
            let now = self.clock.now_millis();
            match step {
                Collect::Condemn(candidates) => {
                    for (_, digest) in candidates {
                        let Some(row) = state.blobs.get(&digest) else {
                            continue;
                        };
                        if state.held_until(digest, row) <= now && !row.condemned {
                            outcome.blobs += 1;
                            outcome.bytes += row.size;
                            state.blobs.get_mut(&digest).unwrap().condemned = true;
                        }
                    }
                }
                Collect::Remove(candidates) => {
                    for (_, digest) in candidates {
                        let Some(row) = state.blobs.get(&digest).cloned() else {
                            continue;
                        };
                        let may_go = row.condemned && state.held_until(digest, &row) <= now;
                        if !may_go && self.mutant != Some(Mutant::RemovesUnseen) {
                            continue;
                        }
                        outcome.blobs += 1;
                        outcome.bytes += row.size;
                        state.blobs.remove(&digest);
                        state.links.retain(|(_, blob), _| *blob != digest);
                        if let BlobLocation::Stored(key) = row.location {
                            state.doomed.insert(key);
                        }
                    }
                }
                Collect::Deleted(keys) => {
                    for key in keys {
                        outcome.blobs += u64::from(state.doomed.remove(&key));
                    }
                }
                Collect::Doom(keys) => {
                    for key in keys {
                        let location = BlobLocation::Stored(key);
                        let mut rows = state.blobs.values();
                        if key.registry != registry_id() || rows.any(|it| it.location == location) {
                            continue;
                        }
                        outcome.blobs += u64::from(state.doomed.insert(key));
                        if self.mutant != Some(Mutant::DoomsUnfenced) {
                            state.spent.insert(key);
                        }
                    }
                }
            }
        }
        self.turns.wait().await;
        Ok(outcome)
    }

    async fn doomed(&self, limit: usize) -> Result<Vec<Doomed>, ReadError> {
        self.turns.wait().await;
        let doomed = {
            let state = self.state();
            let doomed = state
                .doomed
                .iter()
                .take(limit)
                .map(|key| Doomed { key: *key });
            doomed.collect()
        };
        self.turns.wait_long().await;
        Ok(doomed)
    }

    async fn known(&self, keys: &[StorageKey]) -> Result<Vec<bool>, ReadError> {
        self.turns.wait().await;
        let state = self.state();
        let named: BTreeSet<_> = state
            .blobs
            .values()
            .filter_map(|row| match row.location {
                BlobLocation::Stored(key) => Some(key),
                BlobLocation::Inline(_) => None,
            })
            .collect();
        let known = |key| named.contains(key) || state.doomed.contains(key);
        Ok(keys.iter().map(known).collect())
    }

    async fn manifest(
        &self,
        _repository: &RepositoryPath,
        _reference: &Reference,
    ) -> Result<StoredManifest, ReadError> {
        unreachable!("the blob service asks for no manifests")
    }

    async fn manifest_stat(
        &self,
        _repository: &RepositoryPath,
        _reference: &Reference,
    ) -> Result<ManifestStat, ReadError> {
        unreachable!("the blob service asks for no manifests")
    }

    async fn tags(
        &self,
        _repository: &RepositoryPath,
        _page: PageRequest<Tag>,
    ) -> Result<Page<Tag>, ReadError> {
        unreachable!("the blob service asks for no tags")
    }

    async fn repositories(
        &self,
        _registry: &RegistryName,
        _page: PageRequest<RepositoryName>,
    ) -> Result<Page<RepositoryName>, ReadError> {
        unreachable!("the blob service asks for no repositories")
    }

    async fn referrers(
        &self,
        _repository: &RepositoryPath,
        _subject: Digest,
        _artifact_types: &[String],
        _after: Option<Digest>,
        _max_bytes: usize,
    ) -> Result<Referrers, ReadError> {
        unreachable!("the blob service asks for no referrers")
    }

    async fn put_manifest(&self, _request: PutManifest) -> Result<ManifestPut, WriteError> {
        unreachable!("the blob service puts no manifests")
    }

    async fn delete_manifest(&self, _request: DeleteManifest) -> Result<Deleted, WriteError> {
        unreachable!("the blob service deletes no manifests")
    }

    async fn describe(
        &self,
        _repository: &RepositoryPath,
        _target: &Target,
    ) -> Result<Described, ReadError> {
        unreachable!("the blob service asks for no attributes")
    }

    async fn list(
        &self,
        _repository: &RepositoryPath,
        _request: ListRequest,
    ) -> Result<Option<Listing>, ReadError> {
        unreachable!("the blob service asks for no attributes")
    }

    async fn set_attributes(&self, _request: SetAttributes) -> Result<AttributesSet, WriteError> {
        unreachable!("the blob service asks for no attributes")
    }

    async fn delete_repository(
        &self,
        _request: DeleteRepository,
    ) -> Result<RepositoryDeleted, WriteError> {
        unreachable!("the blob service asks for no attributes")
    }

    async fn usage(&self, _registry: &RegistryName) -> Result<Usage, ReadError> {
        unreachable!("the blob service asks for no usage")
    }

    async fn drained(&self) -> Result<Option<Drained>, ReadError> {
        unreachable!("the blob service takes no clients")
    }
}
