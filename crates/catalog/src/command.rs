//! What the log says: the entries, and what commands of this region's clients and keepers carry.
//!
//! What comes from other regions stands in `remote.rs`, what is answered in `reply.rs`. All of it goes into the
//! log: it only grows, and golden files keep its bytes.

mod raw;
mod remote;
mod reply;
mod webhook;

use std::fmt;

use meridian_clock::{Region, Version};
use meridian_event::webhook::WebhookName;
use meridian_event::{Attributes, Leaf, RegistryId, Target, TraceContext};
use meridian_oci::{Digest, MediaType, RegistryName, RepositoryName, Tag};
use serde::{Deserialize, Serialize};

pub use remote::{
    ArrivedBlob, ArrivedManifest, Counted, Found, FoundManifest, FoundPut, FoundTag, Introduction,
    ManifestBody, RemoteEvent, RemoteEvents,
};
pub use reply::{Refusal, Reply};
pub use webhook::{Deliver, NewWebhook};

/// One entry of the log. How it looks there stands in `entry.rs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The leader's wall clock when it took the command, in milliseconds. Versions never fall
    /// behind it, nor behind each other.
    pub millis: u64,
    /// Which request it serves; a request takes effect once.
    pub request: Option<RequestId>,
    /// The trace of that request, for the event that it makes; absent while nobody collects traces.
    pub trace: Option<TraceContext>,
    /// What to do.
    pub command: Command,
}

/// Identifies a request through every retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub [u8; 16]);

/// What may happen to the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Makes an empty state into a region's. Once.
    Initialize {
        /// Which region.
        region: Region,
        /// Its first epoch.
        epoch: u64,
        /// The settings.
        settings: Settings,
    },
    /// Changes the settings.
    Configure(Settings),
    /// Creates a registry.
    CreateRegistry {
        /// Its name.
        name: RegistryName,
    },
    /// Puts a manifest and points tags at it.
    PutManifest(Box<NewManifest>),
    /// Deletes a manifest and every tag that points at it.
    DeleteManifest {
        /// In which registry.
        registry: RegistryName,
        /// In which repository.
        repository: RepositoryName,
        /// Which.
        #[serde(with = "crate::compact")]
        digest: Digest,
        /// What must hold.
        condition: Option<Condition>,
    },
    /// Deletes a tag.
    DeleteTag {
        /// In which registry.
        registry: RegistryName,
        /// In which repository.
        repository: RepositoryName,
        /// Which.
        tag: Tag,
        /// What must hold.
        condition: Option<Condition>,
    },
    /// As [`Command::RecordBlob`], by a writer that does not say for which registry it made the
    /// object: entries of logs from before there was the other.
    PutBlob {
        /// In which registry.
        registry: RegistryName,
        /// In which repository.
        repository: RepositoryName,
        /// What.
        #[serde(with = "crate::compact")]
        blob: Leaf,
        /// How the stored bytes relate to the blob.
        encoding: Encoding,
        /// Where its bytes are.
        place: BlobPlace,
    },
    /// Leases a blob of one repository to another.
    MountBlob {
        /// In which registry.
        registry: RegistryName,
        /// To which repository.
        repository: RepositoryName,
        /// From which; from any, if it is not given.
        from: Option<RepositoryName>,
        /// Which.
        #[serde(with = "crate::compact")]
        digest: Digest,
    },
    /// Renews a blob's lease.
    TouchBlob {
        /// In which registry.
        registry: RegistryName,
        /// In which repository.
        repository: RepositoryName,
        /// Which.
        #[serde(with = "crate::compact")]
        digest: Digest,
    },
    /// Ends a blob's lease.
    DeleteBlob {
        /// In which registry.
        registry: RegistryName,
        /// In which repository.
        repository: RepositoryName,
        /// Which.
        #[serde(with = "crate::compact")]
        digest: Digest,
    },
    /// Reserves storage generations.
    ReserveGenerations {
        /// How many.
        count: u64,
    },
    /// A step of garbage collection.
    Collect(Collect),
    /// Goes on with what an earlier entry caused and might not finish: tags of deleted manifests,
    /// and whoever waited for what has arrived.
    Sweep,
    /// The event log has the outbox of these shards up to these `seq`s.
    Acknowledge {
        /// The epoch in which they count.
        epoch: u64,
        /// Shard and `seq`.
        through: Vec<(u16, u64)>,
    },
    /// Records a blob whose bytes are durable, and leases it to a repository. An object can be
    /// named once; a blob that is recorded already keeps the object that it has, unless that is the
    /// one which the writer found to be lost.
    RecordBlob(Box<NewBlob>),
    /// Merges events of another region, and moves the cursor of their shard past them. It emits
    /// nothing: an event is told by its origin only.
    ApplyRemote(Box<RemoteEvents>),
    /// Keeps the bytes of a manifest that is present and lacked them.
    StoreManifest(Box<ArrivedManifest>),
    /// Records a blob that was fetched from another region. It is leased to nobody: it lives for
    /// the grace, and for as long as manifests need it.
    StoreBlob(Box<ArrivedBlob>),
    /// Merges what was found in another region. The cursor stays, so its event comes once more.
    MergeFound(Vec<Found>),
    /// Begins with a registry that has its id from elsewhere, such as [`RegistryId::first`].
    FoundRegistry {
        /// Its id.
        id: RegistryId,
        /// Its name, which no other registry may bear.
        name: RegistryName,
    },
    /// Takes a shard of another region for merged up to there, after a snapshot of what was before.
    SetCursor {
        /// The region.
        origin: Region,
        /// The shard.
        shard: u16,
        /// The epoch in which `seq` counts.
        epoch: u64,
        /// The last event that the snapshot has.
        seq: u64,
    },
    /// Leases a blob that is recorded to a repository in which another region has it, for a push that
    /// relies on it. Regional, so there is no event.
    LeaseBlob {
        /// Its registry.
        registry: RegistryId,
        /// The repository.
        repository: RepositoryName,
        /// Which.
        #[serde(with = "crate::compact")]
        digest: Digest,
    },
    /// Says which other regions there are.
    SetPeers(Vec<Region>),
    /// Tells the other regions how far this one is: with the shards of which there is something to tell, or
    /// with all, in case that something was lost.
    Heartbeat {
        /// With all.
        is_full: bool,
    },
    /// Sets attributes of a repository, a tag or a manifest; those that are not given stay.
    SetAttributes {
        /// In which registry.
        registry: RegistryName,
        /// In which repository.
        repository: RepositoryName,
        /// Of what.
        #[serde(with = "crate::row::TargetForm")]
        target: Target,
        /// What they are to be.
        attributes: Attributes<Option<bool>>,
    },
    /// Deletes a repository and everything in it.
    DeleteRepository {
        /// In which registry.
        registry: RegistryName,
        /// Which.
        repository: RepositoryName,
    },
    /// Gets to know another region by what it says of itself, and of this one.
    Meet(Box<Introduction>),
    /// All that another region knows of a removed one is merged; or, if it is done, the same is so there.
    Level {
        /// The removed one.
        removed: Region,
        /// Which of those that bore its name.
        born: Option<Version>,
        /// The other one.
        with: Region,
        /// Whether both know the same.
        is_done: bool,
    },
    /// Creates or changes a webhook.
    PutWebhook(Box<NewWebhook>),
    /// Deletes a webhook.
    DeleteWebhook {
        /// In which registry.
        registry: RegistryName,
        /// Which.
        name: WebhookName,
    },
    /// Something that a dispatcher of webhooks says.
    Deliver(Deliver),
    /// Has clients sent to other regions, or to this one again. Regional, so there is no event.
    Drain(Option<Drain>),
}

/// Why clients are to go to other regions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// In the words of whoever had it so.
    pub reason: String,
}

/// Settings that decide within the state, and so are part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// How long a blob is kept that was uploaded, mounted or touched and that no manifest needs.
    pub lease_millis: u64,
    /// How long a blob is kept after its last reference went.
    pub grace_millis: u64,
    /// How long a request id is remembered, in the time of the log.
    pub request_millis: u64,
    /// How many request ids are remembered at most.
    pub request_count: u64,
}

/// A manifest, with all that `apply` needs to know of what its bytes say. What it needs and refers
/// to is a function of its bytes: it comes with one digest in one way only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewManifest {
    /// In which registry.
    pub registry: RegistryName,
    /// In which repository.
    pub repository: RepositoryName,
    /// Its digest.
    #[serde(with = "crate::compact")]
    pub digest: Digest,
    /// Its media type.
    #[serde(with = "crate::compact")]
    pub media_type: MediaType,
    /// Its exact bytes.
    #[serde(with = "raw")]
    pub bytes: Vec<u8>,
    /// The blobs that must be present.
    #[serde(with = "crate::compact")]
    pub blobs: Vec<Leaf>,
    /// The blobs that need not be present, such as foreign layers. Those that are linked in the
    /// repository when this is applied are held like the others.
    #[serde(with = "crate::compact")]
    pub foreign: Vec<Leaf>,
    /// The manifests, or blobs, that an index names.
    #[serde(with = "crate::compact")]
    pub children: Vec<Leaf>,
    /// What it refers to; need not be present.
    #[serde(with = "crate::compact")]
    pub subject: Option<Digest>,
    /// How it shows itself among the referrers of its subject.
    pub referrer: Option<(Option<String>, String)>,
    /// The tags that shall point at it.
    pub tags: Vec<Tag>,
    /// What must hold for each tag, or without tags for the manifest.
    pub condition: Option<Condition>,
}

/// A blob to record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewBlob {
    /// In which registry.
    pub registry: RegistryName,
    /// In which repository.
    pub repository: RepositoryName,
    /// What.
    #[serde(with = "crate::compact")]
    pub blob: Leaf,
    /// How the stored bytes relate to the blob.
    pub encoding: Encoding,
    /// Where its bytes are.
    pub place: BlobPlace,
    /// The registry among whose objects they are; for bytes that are in the command itself, that of
    /// the blob.
    pub owner: Option<RegistryId>,
    /// The object whose bytes the writer found to be lost. If the blob still names it, it names the
    /// new place from now on.
    pub instead_of: Option<ObjectKey>,
}

/// What must hold for a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// It points at this.
    PointsAt(#[serde(with = "crate::compact")] Digest),
    /// It does not exist.
    Absent,
}

/// How stored bytes relate to the blob. A digest is always that of the plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// They are the blob.
    Plain,
}

/// Where a blob's bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlobPlace {
    /// Here.
    Inline(#[serde(with = "raw")] Vec<u8>),
    /// In the blob store.
    Stored(ObjectKey),
}

/// A fenced name in the blob store; its registry is that of the blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectKey {
    /// The epoch in which the generation is unique.
    pub epoch: u64,
    /// Reserved by [`Command::ReserveGenerations`].
    pub generation: u64,
}

/// A step of garbage collection. Each candidate is decided anew when it is applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Collect {
    /// Condemns what nothing holds.
    Condemn(#[serde(with = "crate::compact")] Vec<(RegistryId, Digest)>),
    /// Removes what is condemned and still not held, and dooms its object.
    Remove(#[serde(with = "crate::compact")] Vec<(RegistryId, Digest)>),
    /// Forgets objects that are physically gone.
    Deleted(Vec<ObjectKey>),
    /// Dooms objects that lie among those of a registry and that no blob names, so that none ever
    /// will.
    Doom(Vec<(RegistryId, ObjectKey)>),
}

// === impl Entry ===

/// For logs: never the content.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.command {
            Command::Initialize { .. } => "initialize",
            Command::Configure(_) => "configure",
            Command::CreateRegistry { .. } => "create registry",
            Command::PutManifest(_) => "put manifest",
            Command::DeleteManifest { .. } => "delete manifest",
            Command::DeleteTag { .. } => "delete tag",
            Command::PutBlob { .. } => "put blob",
            Command::MountBlob { .. } => "mount blob",
            Command::TouchBlob { .. } => "touch blob",
            Command::DeleteBlob { .. } => "delete blob",
            Command::ReserveGenerations { .. } => "reserve generations",
            Command::Collect(_) => "collect",
            Command::Sweep => "sweep",
            Command::Acknowledge { .. } => "acknowledge",
            Command::RecordBlob(_) => "record blob",
            Command::ApplyRemote(_) => "apply remote",
            Command::StoreManifest(_) => "store manifest",
            Command::StoreBlob(_) => "store blob",
            Command::MergeFound(_) => "merge found",
            Command::FoundRegistry { .. } => "found registry",
            Command::SetCursor { .. } => "set cursor",
            Command::LeaseBlob { .. } => "lease blob",
            Command::SetPeers(_) => "set peers",
            Command::Heartbeat { .. } => "heartbeat",
            Command::Meet(_) => "meet",
            Command::Level { .. } => "level",
            Command::SetAttributes { .. } => "set attributes",
            Command::DeleteRepository { .. } => "delete repository",
            Command::PutWebhook(_) => "put webhook",
            Command::DeleteWebhook { .. } => "delete webhook",
            Command::Deliver(_) => "deliver",
            Command::Drain(_) => "drain",
        };
        f.write_str(name)
    }
}
