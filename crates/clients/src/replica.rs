//! What the metadata of a region offers to the agents that keep it like other regions'.
//!
//! Owns the contract between the metadata service and the replication agents of its region. Keeps
//! apart what is said here in domain terms and how it is stored: a registry is named by its id,
//! because a region may hear of what happens in a registry before it hears of the registry.
//! Versions are those that a mutation was stamped with where it happened.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use meridian_clock::{Region, Version};
use meridian_event::webhook::{Registration, WebhookName};
use meridian_event::{Attributes, Envelope, Leaf, RegistryId, Setting, Target};
use meridian_oci::{Digest, MediaType, Reference, RegistryName, RepositoryName, Tag};

use crate::image::ImageView;
use crate::{ReadError, WriteError};

/// The metadata of a region, for its agents.
///
/// # Contract
///
/// Reads are linearizable. A merge is durable when it is answered. Whatever is merged may be merged
/// again, in any order, and makes no event here; a call of unknown outcome is repeated without harm.
#[async_trait]
pub trait ReplicaApi: Send + Sync + 'static {
    /// How far the events of this region go, and how far those of others are merged here.
    async fn progress(&self) -> Result<Progress, ReadError>;

    /// Events of this region, consecutive from the first that is asked for: all of them, or as many
    /// as fit, but one at least.
    async fn events(&self, range: &EventRange) -> Result<Events, ReadError>;

    /// Merges consecutive events of another region and moves the cursor of their shard past them, in
    /// one step. Content that comes with them and that something here wants is kept in the same
    /// step, or, if its event was merged before, in a step that follows.
    async fn merge(&self, batch: RemoteBatch) -> Result<Merged, WriteError>;

    /// What this region knows of content, in the order of the questions.
    async fn look(&self, contents: &[Content]) -> Result<Vec<Presence>, ReadError>;

    /// Content that is named by what is merged, and that is not here: at most `limit`, ordered by
    /// registry and digest, from after one of them on. Something that several repositories want
    /// stands there once.
    async fn wanted(
        &self,
        after: Option<(RegistryId, Digest)>,
        limit: usize,
    ) -> Result<Vec<Content>, ReadError>;

    /// Keeps a manifest in every repository that wants it.
    async fn store_manifest(&self, manifest: ManifestBytes) -> Result<Stored, WriteError>;

    /// Leases a blob to a repository for a push, if it is recorded in the registry, in whichever
    /// repository: the caller knows that another region has it in this one. Says whether it is.
    async fn lease_blob(
        &self,
        registry: RegistryId,
        repository: &RepositoryName,
        digest: Digest,
    ) -> Result<bool, WriteError>;

    /// What is known here of a tag or a manifest, as another region merges it, tombstones too; with
    /// the bytes of the manifest that is found, if they are here, and with the attributes that are in force.
    /// Nothing if nothing is known.
    async fn find(
        &self,
        registry: RegistryId,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Vec<Found>, ReadError>;

    /// Merges what another region found. What is known here already changes nothing.
    async fn merge_found(&self, found: Vec<Found>) -> Result<(), WriteError>;

    /// A part of all that is known here, without bytes, for a region that joins: at most `limit`
    /// items from a mark on. What changes meanwhile may be in it or not: the events after the
    /// [`Progress`] of a moment before the first part tell the rest.
    async fn copy(&self, after: Option<CopyMark>, limit: usize) -> Result<CopyPage, ReadError>;

    /// Moves cursors forward, over what was merged by other means than events. One that stands
    /// further already stays.
    async fn set_cursors(&self, cursors: Vec<CursorAt>) -> Result<(), WriteError>;

    /// Gets to know another region by what it says of itself, and of this one. Before both count on each
    /// other, nothing of it is merged.
    async fn meet(&self, said: Progress) -> Result<Meeting, WriteError>;

    /// Notes that all that a region knows of a removed one is merged here; or, if that was noted, that the same is
    /// so there.
    async fn level(&self, removal: Removal) -> Result<(), WriteError>;

    /// How much of an image is here, tombstones too. Nothing if nothing is known of it.
    async fn image(
        &self,
        registry: RegistryId,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<ImageView>, ReadError>;

    /// How many images are merged here and cannot be answered yet, because something of them is not here: of
    /// each registry that has some.
    async fn incomplete(&self) -> Result<Vec<Incomplete>, ReadError>;

    /// Says that an agent works for this region, and answers which do. What is known of it is lost with whoever
    /// leads, and an agent that says nothing for [`Attendance::ABSENT`] works no more: agents share their work by
    /// this, and nothing is wrong if they do some of it twice.
    async fn attend(&self, agent: AgentId) -> Result<Attendance, ReadError>;

    /// The name that a registry bears here.
    async fn registry_name(&self, id: RegistryId) -> Result<RegistryName, ReadError>;
}

/// A place in a shard of a region's events. Places of a newer epoch are beyond all of an older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Bumped when the stream could not be continued.
    pub epoch: u64,
    /// Dense within the epoch; 0 is before the first event.
    pub seq: u64,
}

/// An agent of a region: the same after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId(pub u64);

/// Which agents work for a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attendance {
    /// Those that said so lately, in order.
    pub agents: Vec<AgentId>,
    /// Whether who else works would have said so by now. Otherwise those that are known work as well, as far as
    /// anybody can tell.
    pub is_settled: bool,
}

/// Images of a registry that are merged and not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incomplete {
    /// The registry.
    pub registry: RegistryId,
    /// How many: each manifest counts, those that an index names as well.
    pub images: u64,
}

/// How far a shard of another region's events is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CursorAt {
    /// The region in which they were committed.
    pub origin: Region,
    /// The shard.
    pub shard: u16,
    /// The last that is merged.
    pub place: Place,
}

/// How far a region is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Which.
    pub region: Region,
    /// The last event of each of its own shards, by shard.
    pub heads: Vec<Place>,
    /// How far others' events are merged. A shard of which nothing was merged yet is left out.
    pub cursors: Vec<CursorAt>,
    /// How it and the others know each other.
    pub stance: Stance,
}

/// How a region and the others know each other. Two regions count on each other when neither forgets a deletion
/// that the other one has not merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stance {
    /// When its state heard first that there are others, if it did. A region that begins anew, with an empty
    /// state, has another one.
    pub born: Option<Version>,
    /// The last version that it stamped.
    pub last: Option<Version>,
    /// It is new, and neither merges nor takes writes before all others count on it.
    pub is_joining: bool,
    /// Up to where it has forgotten deletions, by shard; a shard where it has not is left out.
    pub floors: Vec<(u16, Version)>,
    /// How it counts on each other region.
    pub peers: Vec<Acquaintance>,
    /// Regions that were removed, and of which others may know more.
    pub removals: Vec<Removal>,
}

/// What came of meeting a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meeting {
    /// What it says was known here, or is of no use any more.
    Known,
    /// What it says is known here from now on.
    Met,
    /// It has forgotten deletions that are not merged here: this region is to begin anew, with an empty state.
    Outdated,
}

/// How a region counts on another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acquaintance {
    /// The other one.
    pub region: Region,
    /// Which of those that bore its name, if it said so yet.
    pub born: Option<Version>,
    /// Since when no deletion is forgotten that the other one has not merged.
    pub since: Version,
    /// Since when the other one counts on it so, as far as that is accepted.
    pub accepted: Option<Version>,
    /// Both have accepted: what one of them says may be merged by the other.
    pub is_open: bool,
    /// Its state is to be copied before its events are merged.
    pub is_uncopied: bool,
}

/// A region that was removed, and another one that may know more of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    /// The removed one.
    pub removed: Region,
    /// Which of those that bore its name, if it said so.
    pub born: Option<Version>,
    /// The other one.
    pub with: Region,
    /// Whether what that knows of it is merged here.
    pub is_copied: bool,
}

/// Consecutive events of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRange {
    /// The shard.
    pub shard: u16,
    /// The epoch in which they count.
    pub epoch: u64,
    /// The `seq` of the first.
    pub from: u64,
    /// The `seq` of the last.
    pub to: u64,
    /// How many bytes to stop after.
    pub max_bytes: usize,
}

/// What became of a question for events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Events {
    /// The first of them, in order. None, if the first was not committed yet.
    Here(Vec<Envelope>),
    /// The first of them is not kept any more, or is of another epoch.
    Gone,
}

/// Consecutive events of a shard of another region, to be merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteBatch {
    /// The events, at least one. The first that is not merged yet must be the next.
    pub events: Vec<Arc<Envelope>>,
    /// Manifests that they put, or that were put before, as far as they are at hand.
    pub manifests: Vec<ManifestBytes>,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merged {
    /// It is merged through this place, where the cursor stands; all of it, unless the clock of its
    /// origin runs ahead.
    Through(Place),
    /// Nothing of it was merged, or all of it was before. The cursor stands here.
    Refused(Place),
}

/// Of what kind content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentKind {
    /// A manifest: its bytes are part of the metadata.
    Manifest,
    /// A blob.
    Blob,
}

/// Content of a registry, as a repository needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The registry.
    pub registry: RegistryId,
    /// A repository that needs it, or in which it is looked for.
    pub repository: RepositoryName,
    /// Of what kind.
    pub kind: ContentKind,
    /// Which, and its length in bytes as far as it is known.
    pub leaf: Leaf,
}

/// What is known of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is here, and nothing else wants it.
    Here,
    /// It is not here, and something that is merged needs it.
    Wanted,
    /// It is not here, and nothing needs it.
    Absent,
}

/// The bytes of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestBytes {
    /// In which registry.
    pub registry: RegistryId,
    /// Its digest, in the algorithm under which it is kept.
    pub digest: Digest,
    /// The exact bytes.
    pub bytes: Bytes,
}

/// What became of a manifest that was to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// It is kept wherever it was wanted, which may be nowhere.
    Kept,
    /// It cannot be: it is not what its digest says, or this program cannot read it under the media
    /// type that it was put with.
    Unreadable {
        /// Why, for the log.
        reason: String,
    },
}

/// What a region knows of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A registry, and the name that it was created with.
    Registry {
        /// Which.
        id: RegistryId,
        /// Its name.
        name: RegistryName,
    },
    /// A manifest.
    Manifest {
        /// In which registry.
        registry: RegistryId,
        /// In which repository.
        repository: RepositoryName,
        /// What is known.
        manifest: FoundManifest,
    },
    /// A tag.
    Tag {
        /// In which registry.
        registry: RegistryId,
        /// In which repository.
        repository: RepositoryName,
        /// What is known.
        tag: FoundTag,
    },
    /// When a repository was last deleted.
    Repository {
        /// In which registry.
        registry: RegistryId,
        /// Which.
        repository: RepositoryName,
        /// The version of the deletion.
        del: Version,
    },
    /// What the attributes of something were set to last, whether or not it is there.
    Attributes {
        /// In which registry.
        registry: RegistryId,
        /// In which repository.
        repository: RepositoryName,
        /// Of what.
        target: Target,
        /// The values; nothing, where nobody set any.
        settings: Attributes<Option<Setting>>,
    },
    /// What a name stands for among the webhooks of a registry.
    Webhook {
        /// In which registry.
        registry: RegistryId,
        /// The name.
        name: WebhookName,
        /// When it was made to stand for that.
        version: Version,
        /// What it is; nothing, if it was deleted.
        registration: Option<Box<Registration>>,
    },
}

/// What a region knows of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTag {
    /// The tag.
    pub name: Tag,
    /// The version of its last put or deletion.
    pub version: Version,
    /// What it points at; nothing, if it was deleted.
    pub digest: Option<Digest>,
}

/// What a region knows of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundManifest {
    /// Which, and the length of its bytes.
    pub leaf: Leaf,
    /// The newest put of it, or of what stands on it.
    pub add: Option<Version>,
    /// Its newest deletion.
    pub del: Option<Version>,
    /// The newest put of itself, and the media type that this gave it.
    pub put: Option<(Version, MediaType)>,
    /// Its bytes, if they are at hand.
    pub bytes: Option<Bytes>,
}

/// How far a copy was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyMark {
    /// All registries.
    Registries,
    /// The manifests through this one.
    Manifest(RegistryId, RepositoryName, Digest),
    /// All manifests.
    Manifests,
    /// The tags through this one.
    Tag(RegistryId, RepositoryName, Tag),
    /// All tags.
    Tags,
    /// The repositories, or the attributes of tags, or those of manifests, through this one.
    Attributes(RegistryId, RepositoryName, Target),
    /// All repositories.
    Repositories,
    /// The attributes of all tags.
    TagAttributes,
    /// All attributes of manifests.
    ManifestAttributes,
    /// Webhooks up to this name.
    Webhook(RegistryId, WebhookName),
}

/// A part of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyPage {
    /// What is known.
    pub found: Vec<Found>,
    /// Where to go on; nowhere, at the end.
    pub next: Option<CopyMark>,
}

// === impl Attendance ===

impl Attendance {
    /// After so long, an agent that says nothing works no more.
    pub const ABSENT: Duration = Duration::from_secs(5);
}

// === impl Place ===

impl Place {
    /// Before the first event of a region that never began another epoch.
    pub const START: Self = Self { epoch: 0, seq: 0 };
}

/// `<epoch>.<seq>`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.seq)
    }
}
