//! What a registry and its repositories hold, counted.
//!
//! Counters of what waits came with other regions; while nothing waits, rows look as they did
//! before.

use serde::{Deserialize, Serialize, Serializer};

use super::{FORMAT, GROWN, Row, whole};

/// What a registry holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Repositories that hold something.
    pub repositories: u64,
    /// Manifests exposed.
    pub manifests: u64,
    /// Bytes of those manifests.
    pub manifest_bytes: u64,
    /// Tags visible.
    pub tags: u64,
    /// Blobs recorded.
    pub blobs: u64,
    /// Bytes of those blobs.
    pub blob_bytes: u64,
    /// Manifests present that are not exposed, because they or what they need are not here.
    pub unexposed: u64,
    /// How often such a manifest waits for a blob.
    pub awaited: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Repository {
    pub(crate) manifests: u64,
    pub(crate) tags: u64,
    pub(crate) links: u64,
    /// Deleted manifests whose tags are not all swept. While there are any, a listed tag is
    /// checked against its manifest.
    pub(crate) sweeps: u64,
    /// Manifests present and not exposed.
    pub(crate) unexposed: u64,
    /// Tags that wait for such a manifest.
    pub(crate) waiting: u64,
}

#[derive(Serialize, Deserialize)]
struct PlainUsage {
    repositories: u64,
    manifests: u64,
    manifest_bytes: u64,
    tags: u64,
    blobs: u64,
    blob_bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct GrownUsage {
    plain: PlainUsage,
    unexposed: u64,
    awaited: u64,
}

#[derive(Serialize, Deserialize)]
struct PlainRepository {
    manifests: u64,
    tags: u64,
    links: u64,
    sweeps: u64,
}

#[derive(Serialize, Deserialize)]
struct GrownRepository {
    plain: PlainRepository,
    unexposed: u64,
    waiting: u64,
}

// === impl Usage ===

impl Serialize for Usage {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let plain = PlainUsage {
            repositories: self.repositories,
            manifests: self.manifests,
            manifest_bytes: self.manifest_bytes,
            tags: self.tags,
            blobs: self.blobs,
            blob_bytes: self.blob_bytes,
        };
        if self.format() == FORMAT {
            return plain.serialize(to);
        }
        let grown = GrownUsage {
            plain,
            unexposed: self.unexposed,
            awaited: self.awaited,
        };
        grown.serialize(to)
    }
}

impl Row for Usage {
    const NAME: &'static str = "usage";

    fn format(&self) -> u8 {
        match (self.unexposed, self.awaited) {
            (0, 0) => FORMAT,
            _ => GROWN,
        }
    }

    fn read(format: u8, row: &[u8]) -> Option<Self> {
        let (plain, unexposed, awaited) = match format {
            FORMAT => (whole::<PlainUsage>(row)?, 0, 0),
            GROWN => {
                let grown = whole::<GrownUsage>(row)?;
                (grown.plain, grown.unexposed, grown.awaited)
            }
            _ => return None,
        };
        Some(Self {
            repositories: plain.repositories,
            manifests: plain.manifests,
            manifest_bytes: plain.manifest_bytes,
            tags: plain.tags,
            blobs: plain.blobs,
            blob_bytes: plain.blob_bytes,
            unexposed,
            awaited,
        })
    }
}

// === impl Repository ===

impl Repository {
    /// Whether it holds anything that this region may answer, or did until a moment ago.
    pub(crate) const fn is_exposed(&self) -> bool {
        self.manifests > 0 || self.tags > 0 || self.links > 0 || self.sweeps > 0
    }
}

impl Serialize for Repository {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let plain = PlainRepository {
            manifests: self.manifests,
            tags: self.tags,
            links: self.links,
            sweeps: self.sweeps,
        };
        if self.format() == FORMAT {
            return plain.serialize(to);
        }
        let grown = GrownRepository {
            plain,
            unexposed: self.unexposed,
            waiting: self.waiting,
        };
        grown.serialize(to)
    }
}

impl Row for Repository {
    const NAME: &'static str = "repository";

    fn format(&self) -> u8 {
        match (self.unexposed, self.waiting) {
            (0, 0) => FORMAT,
            _ => GROWN,
        }
    }

    fn read(format: u8, row: &[u8]) -> Option<Self> {
        let (plain, unexposed, waiting) = match format {
            FORMAT => (whole::<PlainRepository>(row)?, 0, 0),
            GROWN => {
                let grown = whole::<GrownRepository>(row)?;
                (grown.plain, grown.unexposed, grown.waiting)
            }
            _ => return None,
        };
        Some(Self {
            manifests: plain.manifests,
            tags: plain.tags,
            links: plain.links,
            sweeps: plain.sweeps,
            unexposed,
            waiting,
        })
    }
}
