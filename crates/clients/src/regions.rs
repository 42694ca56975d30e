//! What the agents of a region offer to its frontends: what is to be had in other regions.
//!
//! Owns the contract of read-through. Keeps these invariants: what is found elsewhere is merged here
//! before it is answered, so that a deletion which this region knows wins (design §6.3); and content
//! crosses between regions once, however many clients wait for it.

use std::time::Duration;

use async_trait::async_trait;
use meridian_clock::{Region, Version};
use meridian_event::{RegistryId, Target};
use meridian_oci::{Digest, Reference, RegistryName};

use crate::image::ImageStatus;
use crate::replica::Place;
use crate::{BlobRead, ReadBlobError, ReadError, RepositoryPath, StoredManifest};

/// The other regions, as a frontend sees them through an agent of its own.
#[async_trait]
pub trait RegionsApi: Send + Sync + 'static {
    /// How old an answer of this region may be that is not named by its content.
    async fn freshness(&self) -> Result<Freshness, ReadError>;

    /// Looks for a tag or a manifest in all regions; of a tag, the newest that any of them knows is
    /// answered, with the bytes of its manifest. A region that does not answer in time is left out,
    /// and the answer says so; but with `at_least`, the region that stamped it is waited for.
    ///
    /// # Errors
    ///
    /// [`ReadError::ManifestUnknown`] when every region says that there is none.
    /// [`ReadError::Unavailable`] when one did not answer that may have it, and no other has.
    async fn resolve(
        &self,
        repository: &RepositoryPath,
        reference: &Reference,
        at_least: Option<Version>,
    ) -> Result<Resolved, ReadError>;

    /// Opens a blob that another region has, while it is brought here. `range` is the value of a
    /// `Range` header, resolved against the blob's size (RFC 9110 §14).
    async fn read_blob(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        range: Option<&str>,
    ) -> Result<RemoteBlob, ReadBlobError>;

    /// Brings what a push relies on, and other regions have in the same repository. Returns when it
    /// is here, and which of it is nowhere.
    async fn bring(
        &self,
        repository: &RepositoryPath,
        digests: &[Digest],
    ) -> Result<Vec<Digest>, ReadError>;

    /// Which regions have the attributes of something as this one has them, or newer ones; this one first. A
    /// region that does not answer in time is not named.
    async fn holders(
        &self,
        repository: &RepositoryPath,
        target: &Target,
    ) -> Result<Vec<Region>, ReadError>;

    /// How far what other regions did is merged and copied here.
    async fn status(&self) -> Result<ReplicationStatus, ReadError>;

    /// Has a shard of another region go on, which is stopped at a record of its event log, behind that
    /// record. What it may have told is asked of its origin, as whatever a log lacks. Returns where the
    /// record stands in its shard of the log; nothing, if the shard is not stopped at one.
    async fn skip(&self, origin: Region, shard: u16) -> Result<Option<u64>, ReadError>;

    /// How far an image is in every region: the newest that any of them knows, or that of `at_least`
    /// if it is newer. A region that does not answer in time is said not to.
    ///
    /// # Errors
    ///
    /// [`ReadError::ManifestUnknown`] when every region says that there is none.
    /// [`ReadError::Unavailable`] when one did not answer that may have it, and no other has.
    async fn image(
        &self,
        repository: &RepositoryPath,
        reference: &Reference,
        at_least: Option<Version>,
    ) -> Result<ImageStatus, ReadError>;
}

/// How old answers of a region may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freshness {
    /// The region.
    pub region: Region,
    /// Each other region, and how long ago it was known that everything which had happened there
    /// was merged here; nothing, if that was never known.
    pub peers: Vec<(Region, Option<Duration>)>,
}

/// A manifest that was looked for in all regions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// What was found. It says that it may be old if a region that may know better did not answer.
    pub manifest: StoredManifest,
    /// The region whose answer it is.
    pub region: Region,
}

/// A blob of another region.
pub struct RemoteBlob {
    /// The region that has it.
    pub region: Region,
    /// Whether something that is merged here needs it.
    pub is_needed: bool,
    /// Its bytes, as they come.
    pub read: BlobRead,
}

/// How far a region is with what others did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationStatus {
    /// The region.
    pub region: Region,
    /// Each other region.
    pub peers: Vec<PeerStatus>,
    /// What is on its way for each registry, from each region: only where something is.
    pub registries: Vec<RegistryStatus>,
    /// Images that are merged here and not complete, by registry: only where there are some. The state counts
    /// them, so that they are told even where nobody has begun to fetch what they lack.
    pub incomplete: Vec<IncompleteImages>,
}

/// How far what another region did is merged here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// The other region.
    pub region: Region,
    /// Whether it answers.
    pub answers: bool,
    /// How long ago it was known that everything which had happened there was merged here; nothing,
    /// if that was never known.
    pub fresh: Option<Duration>,
    /// How far each of its shards is merged here.
    pub streams: Vec<StreamStatus>,
    /// How many events are not merged here, as far as it is known.
    pub events: u64,
    /// How long ago the oldest of them that is at hand was committed.
    pub age: Option<Duration>,
    /// How many bodies are to come from there.
    pub bodies: u64,
    /// How many bytes of them.
    pub bytes: u64,
    /// How many come from there per second.
    pub bytes_per_second: u64,
    /// How long the rest takes at this rate.
    pub eta: Option<Duration>,
    /// How many bodies it sent that were something else.
    pub lies: u64,
    /// What went wrong there last.
    pub failure: Option<String>,
}

/// How far a shard of another region is merged here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamStatus {
    /// Which.
    pub shard: u16,
    /// The last event that is merged.
    pub cursor: Place,
    /// The last that its region has told of.
    pub head: Option<Place>,
    /// Why it is stopped, if it is: somebody is to look at it.
    pub alarm: Option<String>,
}

/// What is on its way for a registry, from another region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryStatus {
    /// Which.
    pub registry: RegistryId,
    /// Its name, if it is known here.
    pub name: Option<RegistryName>,
    /// From where. Nothing, for bodies of which nobody knows who has them.
    pub origin: Option<Region>,
    /// How many events are here, and not merged.
    pub events: u64,
    /// How long ago the oldest of them was committed.
    pub age: Option<Duration>,
    /// How many bodies are wanted.
    pub bodies: u64,
    /// How many bytes of them are still to come.
    pub bytes: u64,
    /// How many come per second, from wherever.
    pub bytes_per_second: u64,
    /// How long the rest takes at this rate.
    pub eta: Option<Duration>,
    /// What went wrong last with one of them.
    pub trouble: Option<String>,
}

/// Images of a registry that are merged here and not complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncompleteImages {
    /// The registry.
    pub registry: RegistryId,
    /// Its name, if it is known here.
    pub name: Option<RegistryName>,
    /// How many.
    pub images: u64,
}

// === impl ReplicationStatus ===

impl ReplicationStatus {
    /// What two agents of a region say, which share its work: what is under way adds up, and of what both know,
    /// the one that knows more is right.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for peer in other.peers {
            match self.peers.iter_mut().find(|it| it.region == peer.region) {
                Some(own) => own.add(peer),
                None => self.peers.push(peer),
            }
        }
        for registry in other.registries {
            let key = |it: &RegistryStatus| (it.registry, it.origin);
            match self
                .registries
                .iter_mut()
                .find(|it| key(it) == key(&registry))
            {
                Some(own) => own.add(registry),
                None => self.registries.push(registry),
            }
        }
        self
    }
}

// === impl PeerStatus ===

impl PeerStatus {
    fn add(&mut self, other: Self) {
        self.answers |= other.answers;
        self.fresh = self.fresh.into_iter().chain(other.fresh).min();
        for stream in other.streams {
            match self.streams.iter_mut().find(|it| it.shard == stream.shard) {
                Some(own) => own.add(stream),
                None => self.streams.push(stream),
            }
        }
        self.streams.sort_by_key(|stream| stream.shard);
        let behind = self.streams.iter().map(StreamStatus::behind);
        self.events = behind.fold(0, u64::saturating_add);
        self.age = self.age.max(other.age);
        self.bodies = self.bodies.saturating_add(other.bodies);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.bytes_per_second = self.bytes_per_second.saturating_add(other.bytes_per_second);
        self.eta = later(self.eta, other.eta);
        self.lies = self.lies.saturating_add(other.lies);
        self.failure = self.failure.take().or(other.failure);
    }
}

// === impl StreamStatus ===

impl StreamStatus {
    /// How many events of it are not merged here, as far as they are of the epoch that is.
    #[must_use]
    pub fn behind(&self) -> u64 {
        let head = self.head.filter(|head| head.epoch == self.cursor.epoch);
        head.map_or(0, |head| head.seq.saturating_sub(self.cursor.seq))
    }

    fn add(&mut self, other: Self) {
        self.cursor = self.cursor.max(other.cursor);
        self.head = self.head.max(other.head);
        self.alarm = self.alarm.take().or(other.alarm);
    }
}

// === impl RegistryStatus ===

impl RegistryStatus {
    fn add(&mut self, other: Self) {
        self.name = self.name.take().or(other.name);
        self.events = self.events.saturating_add(other.events);
        self.age = self.age.max(other.age);
        self.bodies = self.bodies.saturating_add(other.bodies);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.bytes_per_second = self.bytes_per_second.saturating_add(other.bytes_per_second);
        self.eta = later(self.eta, other.eta);
        self.trouble = self.trouble.take().or(other.trouble);
    }
}

/// How long two things take side by side, if that is known of both.
fn later(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    Some(one?.max(other?))
}

// === impl Freshness ===

impl Freshness {
    /// How long ago this region was known to have merged everything that had happened anywhere.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        let ages = self.peers.iter().map(|(_, age)| *age);
        ages.collect::<Option<Vec<_>>>()
            .map(|ages| ages.into_iter().max().unwrap_or_default())
    }
}
