//! The values of the state, and how they look as bytes.
//!
//! A value is a format byte and the row in postcard's encoding. A row never changes its meaning
//! under one format byte; golden files hold the bytes of each.

mod counters;
mod drain;
mod event;
mod manifest;
mod needs;
mod notice;
mod repository;
mod tag;
mod webhook;

use meridian_clock::{Region, Version};
use meridian_event::RegistryId;
use meridian_event::webhook::Undelivered;
use meridian_oci::{Digest, RegistryName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

pub(crate) use counters::Repository;
pub use counters::Usage;
pub use drain::Drained;
pub use event::Outgoing;
pub(crate) use event::{EventForm, TargetForm};
pub(crate) use manifest::{Manifest, Standing};
pub(crate) use needs::Needs;
pub(crate) use notice::{Copied, Floor, Heard, Met, Own, Peers, Push, Removed};
pub(crate) use repository::{Progress, RepositoryCell, Rights, Stage};
pub(crate) use tag::{Sweep, Tag};
pub(crate) use webhook::{Changed, Failing, Lane, Told, WebhookCell, Whereabouts};

use crate::{BlobPlace, CatalogError, Encoding, Reply, RequestId, Settings};

/// The format byte of every row that has had one form so far, and of the first form of the others.
const FORMAT: u8 = 1;

/// The format byte of rows that say what only several regions make necessary.
const GROWN: u8 = 2;

/// A row that knows its name, for the message about a damaged one.
pub(crate) trait Row: Serialize + Sized {
    const NAME: &'static str;

    /// The format byte under which it is written.
    fn format(&self) -> u8 {
        FORMAT
    }

    /// Reads a row that was written under `format`.
    fn read(format: u8, row: &[u8]) -> Option<Self>;

    fn encode(&self) -> Vec<u8> {
        self.encode_into(Vec::new())
    }

    /// The same in a vector that is there, instead of what it holds.
    fn encode_into(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.clear();
        // For most rows; postcard writes piece by piece.
        bytes.reserve(256);
        bytes.push(self.format());
        postcard::to_extend(self, bytes).expect("rows hold nothing that postcard refuses")
    }

    fn decode<E>(bytes: &[u8]) -> Result<Self, CatalogError<E>> {
        let row = bytes.split_first();
        row.and_then(|(format, row)| Self::read(*format, row))
            .ok_or(CatalogError::Damaged(Self::NAME))
    }
}

/// Reads a row, and nothing behind it.
fn whole<T: DeserializeOwned>(row: &[u8]) -> Option<T> {
    match postcard::take_from_bytes(row) {
        Ok((row, [])) => Some(row),
        _ => None,
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
    /// The request id that was forgotten last was remembered at this version, and none is before it.
    /// Without it the search for the oldest one steps over all that were removed lately.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forgotten: Option<Version>,
}

/// The events of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// The epoch in which `next` counts.
    pub epoch: u64,
    /// The `seq` of the next event.
    pub next: u64,
    /// Every event up to this `seq` is in the event log. It leaves the outbox when other regions have it.
    pub acknowledged: u64,
}

/// How far a shard of another region's events is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The epoch in which `seq` counts.
    pub epoch: u64,
    /// The last event that is merged.
    pub seq: u64,
    /// Its version; unknown after a copy of the state.
    pub version: Option<Version>,
}

/// What is written under [`FORMAT`], and under [`GROWN`].
#[derive(Serialize, Deserialize)]
struct Place {
    epoch: u64,
    seq: u64,
}

#[derive(Serialize, Deserialize)]
struct Versioned {
    epoch: u64,
    seq: u64,
    version: Version,
}

/// A descriptor for the referrers list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referrer {
    /// Its artifact type, if it has one.
    pub artifact_type: Option<String>,
    /// The descriptor, a JSON object.
    pub descriptor: String,
}

/// A tag's cell: a register. The highest version wins; a tombstone has no digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TagCell {
    pub(crate) version: Version,
    #[serde(with = "crate::compact")]
    pub(crate) digest: Option<Digest>,
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

/// The name that a registry was created with, and that an older one bears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) name: RegistryName,
}

/// Which generations of a block were ever named or doomed, a bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spent {
    pub(crate) bits: u64,
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

            fn read(format: u8, row: &[u8]) -> Option<Self> {
                (format == FORMAT).then(|| whole(row))?
            }
        })*

        /// Every kind of row, for the golden files.
        #[cfg(test)]
        pub(crate) const KINDS: &[crate::golden::Kind] = &[
            $(crate::golden::Kind::of_row::<$row>(),)*
            crate::golden::Kind::of_row::<System>(),
            crate::golden::Kind::of_row::<Heard>(),
            crate::golden::Kind::of_row::<Outgoing>(),
            crate::golden::Kind::of_row::<Usage>(),
            crate::golden::Kind::of_row::<Repository>(),
            crate::golden::Kind::of_row::<Manifest>(),
            crate::golden::Kind::of_row::<Needs>(),
            crate::golden::Kind::of_row::<Tag>(),
            crate::golden::Kind::of_row::<Sweep>(),
            crate::golden::Kind::of_row::<Cursor>(),
        ];
    };
}

rows! {
    Stream = "stream";
    Referrer = "referrer";
    TagCell = "tag cell";
    Link = "link";
    Blob = "blob";
    Answer = "answer";
    RegistryId = "registry";
    RequestId = "request";
    Owner = "owner of an object";
    Spent = "spent generations";
    Claim = "claim of a name";
    Peers = "peers";
    Drained = "drained region";
    Push = "push";
    Floor = "floor";
    Own = "own birth";
    Met = "met region";
    Removed = "removed region";
    Copied = "copied shard";
    RepositoryCell = "repository cell";
    Rights = "attributes";
    Progress = "sweep of a repository";
    WebhookCell = "webhook cell";
    Whereabouts = "whereabouts of a webhook";
    Changed = "change of webhooks";
    Told = "told shard";
    Lane = "told webhook";
    Failing = "failing webhook";
    Undelivered = "undelivered message";
}

// === impl System ===

impl Row for System {
    const NAME: &'static str = "system";

    fn format(&self) -> u8 {
        match self.forgotten {
            None => FORMAT,
            Some(_) => GROWN,
        }
    }

    fn read(format: u8, row: &[u8]) -> Option<Self> {
        match format {
            // It ends before the field that is not there.
            FORMAT => whole(&[row, &[0]].concat()),
            GROWN => whole(row).filter(|system: &Self| system.forgotten.is_some()),
            _ => None,
        }
    }
}

// === impl Cursor ===

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self {
            epoch,
            seq,
            version,
        } = *self;
        match version {
            None => Place { epoch, seq }.serialize(to),
            Some(version) => Versioned {
                epoch,
                seq,
                version,
            }
            .serialize(to),
        }
    }
}

impl Row for Cursor {
    const NAME: &'static str = "cursor";

    fn format(&self) -> u8 {
        match self.version {
            None => FORMAT,
            Some(_) => GROWN,
        }
    }

    fn read(format: u8, row: &[u8]) -> Option<Self> {
        match format {
            FORMAT => whole(row).map(|Place { epoch, seq }| Self {
                epoch,
                seq,
                version: None,
            }),
            GROWN => {
                let Versioned {
                    epoch,
                    seq,
                    version,
                } = whole(row)?;
                let version = Some(version);
                Some(Self {
                    epoch,
                    seq,
                    version,
                })
            }
            _ => None,
        }
    }
}

// === impl Spent ===

impl Spent {
    /// How many generations a block has.
    pub(crate) const BITS: u64 = u64::BITS as u64;
}
