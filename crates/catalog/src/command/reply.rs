//! What is answered to an entry: what it did, or why it did nothing.

use std::fmt;

use meridian_clock::{Region, Version};
use meridian_event::RegistryId;
use meridian_oci::Digest;
use serde::{Deserialize, Serialize};

use super::ObjectKey;

/// What is answered to an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// It took effect.
    Done {
        /// The version that it stamped.
        version: Version,
    },
    /// Nothing was to be done.
    Nothing,
    /// Generations were reserved.
    Reserved {
        /// The epoch in which they are unique.
        epoch: u64,
        /// The first.
        first: u64,
        /// How many.
        count: u64,
    },
    /// A step of garbage collection, or of a sweep, was taken.
    Collected {
        /// How many objects it changed.
        objects: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// It may not take effect; nothing was changed.
    Refused(Refusal),
    /// A blob was recorded that is recorded already, and keeps the object that it has.
    Kept {
        /// The version that it stamped.
        version: Version,
        /// The registry of the object.
        registry: RegistryId,
        /// The object.
        object: ObjectKey,
    },
    /// Events of another region were merged.
    Merged {
        /// The last one that is merged by now.
        seq: u64,
        /// Whether the next one is too far ahead of the clock to be merged.
        is_stopped: bool,
    },
    /// A dispatcher took a shard over.
    Taken {
        /// By which what it says of the shard is known to be newer than what others say.
        generation: u64,
    },
}

/// Why a command may not take effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The state is not initialized.
    NotInitialized,
    /// The state is initialized, for another region.
    OtherRegion(Region),
    /// No such registry.
    RegistryUnknown,
    /// A registry of that name exists.
    RegistryExists,
    /// No such repository.
    RepositoryUnknown,
    /// No such manifest, or tag.
    ManifestUnknown,
    /// No such blob; or a put names an object that was named before, or doomed, and whose bytes may
    /// be gone: they must be placed anew, under another generation.
    BlobUnknown,
    /// The condition does not hold; this is what there is.
    ConditionFailed(#[serde(with = "crate::compact")] Option<Digest>),
    /// These are needed, and absent.
    LeavesUnknown(#[serde(with = "crate::compact")] Vec<Digest>),
    /// These have other sizes.
    SizesDiffer(#[serde(with = "crate::compact")] Vec<Digest>),
    /// These manifests still need it.
    InUse(#[serde(with = "crate::compact")] Vec<Digest>),
    /// The generations ran out.
    GenerationsExhausted,
    /// A put names an object of another registry, or one whose generation nobody was given.
    ObjectForeign,
    /// Events of this region came back to it.
    Echo,
    /// Events are missing after this one, which is the last that is merged.
    Gap {
        /// Its `seq`.
        seq: u64,
    },
    /// The events are of an epoch to which there is no way from this one but a snapshot.
    EpochUnknown {
        /// The epoch of the cursor.
        epoch: u64,
    },
    /// This version is too far ahead of the clock to be absorbed.
    Ahead(Version),
    /// Events are not what they say: of another region or shard, or not consecutive.
    Malformed,
    /// An attribute forbids it: of what it is to change, or of what that is in, or holds.
    Locked,
    /// This region and that one have not met: one of them may have forgotten what the other one deleted.
    Stranger(Region),
    /// This region is new and has not met the other ones yet; it takes no writes before.
    Joining(Vec<Region>),
    /// That region, and others, have forgotten deletions that this one has not merged: while it was gone, they
    /// did not count on it. It must begin anew, with an empty state.
    Outdated(Region),
    /// A webhook of that name exists.
    WebhookExists,
    /// No such webhook.
    WebhookUnknown,
    /// The webhook is not what it was when it was read.
    WebhookChanged,
    /// The registry has as many webhooks as it may.
    TooManyWebhooks {
        /// How many that is.
        most: u64,
    },
    /// Another dispatcher works on the shard.
    Superseded,
}

// === impl Reply ===

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Done { .. } => "done",
            Self::Nothing => "nothing",
            Self::Reserved { .. } => "reserved",
            Self::Collected { .. } => "collected",
            Self::Refused(_) => "refused",
            Self::Kept { .. } => "kept",
            Self::Merged { .. } => "merged",
            Self::Taken { .. } => "taken",
        };
        f.write_str(name)
    }
}
