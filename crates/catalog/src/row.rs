//! The values of the state, and how they look as bytes.
//!
//! A value is a format byte and the row in postcard's encoding. A row never changes its meaning
//! under one format byte; golden files hold the bytes of each.

mod event;

use meridian_clock::{Region, Version};
use meridian_event::{Leaf, RegistryId};
use meridian_oci::{Digest, MediaType, Tag as TagName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub(crate) use event::Outgoing;

use crate::{BlobPlace, CatalogError, Encoding, Reply, RequestId, Settings};

/// The format byte of every row so far.
const FORMAT: u8 = 1;

/// A row that knows its name, for the message about a damaged one.
pub(crate) trait Row: Serialize + DeserializeOwned {
    const NAME: &'static str;

    fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FORMAT]).expect("rows hold nothing that postcard refuses")
    }

    fn decode<E>(bytes: &[u8]) -> Result<Self, CatalogError<E>> {
        match bytes.split_first() {
            Some((&FORMAT, row)) => match postcard::take_from_bytes(row) {
                Ok((row, [])) => Ok(row),
                _ => Err(CatalogError::Damaged(Self::NAME)),
            },
            _ => Err(CatalogError::Damaged(Self::NAME)),
        }
    }
}

/// What the state knows of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// Which region this is.
    pub region: Region,
    /// The epoch of its streams and storage keys.
    pub epoch: u64,
    /// The last version that was stamped.
    pub last: Version,
    /// The next generation that nobody has reserved.
    pub next_generation: u64,
    /// How many request ids are remembered.
    pub requests: u64,
    /// The settings in force.
    pub settings: Settings,
}

/// What a registry holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Repositories that hold something.
    pub repositories: u64,
    /// Manifests present.
    pub manifests: u64,
    /// Bytes of those manifests.
    pub manifest_bytes: u64,
    /// Tags visible.
    pub tags: u64,
    /// Blobs recorded.
    pub blobs: u64,
    /// Bytes of those blobs.
    pub blob_bytes: u64,
}

/// The events of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// The epoch in which `next` counts.
    pub epoch: u64,
    /// The `seq` of the next event.
    pub next: u64,
    /// Every event up to this `seq` is in the event log and gone from the outbox.
    pub acknowledged: u64,
}

/// A descriptor for the referrers list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referrer {
    /// Its artifact type, if it has one.
    pub artifact_type: Option<String>,
    /// The descriptor, a JSON object.
    pub descriptor: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Repository {
    pub(crate) manifests: u64,
    pub(crate) tags: u64,
    pub(crate) links: u64,
    /// Deleted manifests whose tags are not all swept. While there are any, a listed tag is
    /// checked against its manifest.
    pub(crate) sweeps: u64,
}

/// A manifest's cell. `add` and `del` only rise; it is present while `add` is greater.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) add: Version,
    pub(crate) del: Option<Version>,
    pub(crate) size: u64,
    #[serde(with = "crate::compact")]
    pub(crate) media_type: MediaType,
}

/// What a manifest needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Needs {
    #[serde(with = "crate::compact")]
    pub(crate) blobs: Vec<Leaf>,
    #[serde(with = "crate::compact")]
    pub(crate) children: Vec<Leaf>,
    #[serde(with = "crate::compact")]
    pub(crate) subject: Option<Digest>,
}

/// A tag's cell: a register. The highest version wins; a tombstone has no digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TagCell {
    pub(crate) version: Version,
    #[serde(with = "crate::compact")]
    pub(crate) digest: Option<Digest>,
}

/// A tag as this region shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tag {
    pub(crate) version: Version,
    #[serde(with = "crate::compact")]
    pub(crate) digest: Digest,
}

/// A blob in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    pub(crate) add: Version,
    /// Milliseconds until which the blob is kept though no manifest needs it.
    pub(crate) lease: u64,
}

/// A blob of a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Blob {
    pub(crate) size: u64,
    pub(crate) touched: Version,
    pub(crate) condemned: Option<Version>,
    /// The milliseconds of its row among the turns of garbage collection, if it has one.
    pub(crate) due: Option<u64>,
    pub(crate) encoding: Encoding,
    pub(crate) place: BlobPlace,
}

/// To whom an object belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) registry: RegistryId,
    #[serde(with = "crate::compact")]
    pub(crate) digest: Digest,
}

/// Which generations of a block were ever named or doomed, a bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spent {
    pub(crate) bits: u64,
}

/// How far the tags of a deleted manifest are hidden.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sweep {
    /// The last one that was looked at.
    pub(crate) after: TagName,
}

/// A remembered answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) reply: Reply,
}

macro_rules! rows {
    ($($row:ty = $name:literal;)*) => {
        $(impl Row for $row {
            const NAME: &'static str = $name;
        })*

        /// Every kind of row, for the golden files.
        #[cfg(test)]
        pub(crate) const KINDS: &[crate::golden::Kind] =
            &[$(crate::golden::Kind::of_row::<$row>()),*];
    };
}

rows! {
    System = "system";
    Usage = "usage";
    Stream = "stream";
    Referrer = "referrer";
    Repository = "repository";
    Manifest = "manifest";
    Needs = "needs of a manifest";
    TagCell = "tag cell";
    Tag = "tag";
    Link = "link";
    Blob = "blob";
    Answer = "answer";
    Outgoing = "event";
    RegistryId = "registry";
    RequestId = "request";
    Owner = "owner of an object";
    Spent = "spent generations";
    Sweep = "sweep";
}

// === impl Spent ===

impl Spent {
    /// How many generations a block has.
    pub(crate) const BITS: u64 = u64::BITS as u64;
}

// === impl Manifest ===

impl Manifest {
    pub(crate) fn is_present(&self) -> bool {
        self.del.is_none_or(|del| self.add > del)
    }

    /// Whether a tag of that version shows this manifest.
    pub(crate) fn shows(&self, tag: Version) -> bool {
        self.is_present() && self.del.is_none_or(|del| tag > del)
    }
}
