//! An event and its envelope.

use meridian_clock::{Region, Version};
use meridian_oci::{Digest, MediaType, RepositoryName, Tag};
use serde::{Deserialize, Serialize};

use crate::webhook::{Registration, WebhookName};
use crate::{Attributes, EventId, Mark, RegistryId, Target};

/// One committed mutation, or a notice of a region, as everybody outside of the metadata group learns of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The idempotency key.
    pub id: EventId,
    /// The version that the mutation stamped on the cells it wrote.
    pub version: Version,
    /// The registry in which it happened. A heartbeat is about all of them, and says [`RegistryId::first`].
    pub registry: RegistryId,
    /// What happened.
    pub event: Event,
}

/// What happened. Closed: new kinds are emitted only when every consumer knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A registry was created.
    RegistryCreated {
        /// Its name.
        name: Box<str>,
    },
    /// A manifest was put, and perhaps tagged.
    ManifestPut {
        /// Where.
        repository: RepositoryName,
        /// What.
        manifest: Leaf,
        /// How it is to be read.
        media_type: MediaType,
        /// The tags that now point at it.
        tags: Vec<Tag>,
        /// The blobs that it needs; foreign ones are left out.
        blobs: Vec<Leaf>,
        /// The manifests that it needs.
        children: Vec<Leaf>,
        /// The manifest that it refers to.
        subject: Option<Digest>,
    },
    /// A manifest was deleted, and with it every tag that pointed at it.
    ManifestDeleted {
        /// Where.
        repository: RepositoryName,
        /// What.
        digest: Digest,
    },
    /// A tag was deleted; what it pointed at is still there.
    TagDeleted {
        /// Where.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
        /// What it pointed at.
        digest: Digest,
    },
    /// A blob arrived in a repository, by upload or by mount.
    BlobPut {
        /// Where.
        repository: RepositoryName,
        /// What.
        blob: Leaf,
        /// The repository from which it was mounted.
        mounted_from: Option<RepositoryName>,
    },
    /// A client deleted a blob that no manifest needed. Older leases on it end everywhere.
    BlobDeleted {
        /// Where.
        repository: RepositoryName,
        /// What.
        digest: Digest,
    },
    /// A notice: an image that another region's push put can be served by this region, all of it.
    Replicated(Box<Notice>),
    /// A notice: an image that a push of this region put can be served by every region that there was at the
    /// push, less those that were removed since (design §6.13).
    ReplicatedAll {
        /// The image.
        notice: Box<Notice>,
        /// The other regions that can serve it.
        regions: Vec<Region>,
    },
    /// A notice: how far this region is with the same shard of every other one (design §6.4).
    Heartbeat {
        /// A mark for each of them.
        marks: Vec<Mark>,
    },
    /// Attributes of a repository, a tag or a manifest were set. Each is a register of its own, and stands
    /// apart from what it is of: that may come later, or have gone.
    AttributesSet {
        /// Where.
        repository: RepositoryName,
        /// Of what.
        target: Target,
        /// Those that were set.
        attributes: Attributes<Option<bool>>,
    },
    /// A repository was deleted, and with it everything in it that is older.
    RepositoryDeleted {
        /// Which.
        repository: RepositoryName,
    },
    /// A webhook was created, changed or deleted. What its name stands for is a register, in which the highest
    /// version wins.
    WebhookSet {
        /// Its name.
        name: WebhookName,
        /// What it is from now on; nothing, if it was deleted.
        registration: Option<Box<Registration>>,
    },
}

/// An image, and the push that put it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The event of the push.
    pub push: EventId,
    /// Where.
    pub repository: RepositoryName,
    /// What.
    pub manifest: Leaf,
    /// How it is to be read.
    pub media_type: MediaType,
    /// The tags that the push pointed at it.
    pub tags: Vec<Tag>,
}

/// A body, named and measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Leaf {
    /// Its content.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

// === impl Envelope ===

impl Envelope {
    /// By what consumers know an event that comes again. Of a notice it derives from the push that it is
    /// about, so that one which is made again, under another id, says nothing new.
    #[must_use]
    pub fn key(&self) -> String {
        match &self.event {
            Event::Replicated(notice) => format!("{}.in.{}", notice.push, self.id.region),
            Event::ReplicatedAll { notice, .. } => format!("{}.everywhere", notice.push),
            _ => self.id.to_string(),
        }
    }
}

// === impl Event ===

impl Event {
    /// The repository that it happened in, if it is not about the registry as a whole.
    #[must_use]
    pub const fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::RegistryCreated { .. } | Self::Heartbeat { .. } | Self::WebhookSet { .. } => None,
            Self::Replicated(notice) | Self::ReplicatedAll { notice, .. } => {
                Some(&notice.repository)
            }
            Self::ManifestPut { repository, .. }
            | Self::ManifestDeleted { repository, .. }
            | Self::TagDeleted { repository, .. }
            | Self::BlobPut { repository, .. }
            | Self::BlobDeleted { repository, .. }
            | Self::AttributesSet { repository, .. }
            | Self::RepositoryDeleted { repository } => Some(repository),
        }
    }
    /// Whether it only tells how things are: nothing is merged of it, and no notice comes of it.
    #[must_use]
    pub const fn is_notice(&self) -> bool {
        matches!(
            self,
            Self::Replicated(_) | Self::ReplicatedAll { .. } | Self::Heartbeat { .. }
        )
    }
}
