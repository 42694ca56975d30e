//! The keys of tombstones, by which they are found in the order of their versions.

use meridian_clock::Version;
use meridian_event::RegistryId;
use meridian_oci::{Digest, RepositoryName, Tag};

use super::{Key, parse, take_digest, take_registry, take_repository};

/// Prefix of all shards whose tombstones are still to be dropped.
pub const UNBURIED: &[u8] = b"2";

/// A shard whose tombstones are still to be dropped.
#[must_use]
pub fn unburied(shard: u16) -> Key {
    Key::start(b'2').shard(shard)
}

/// Up to where the tombstones of a shard are dropped.
#[must_use]
pub fn floor(shard: u16) -> Key {
    Key::start(b'5').shard(shard)
}

/// Prefix of the tombstones of a shard, in the order of their versions.
#[must_use]
pub fn tombstones(shard: u16) -> Key {
    Key::start(b'1').shard(shard)
}

/// What is known of a tombstone by its key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Buried {
    /// When it was deleted; of a tag whose manifest was deleted since, when it was put.
    pub version: Version,
    /// In which registry.
    pub registry: RegistryId,
    /// In which repository.
    pub repository: RepositoryName,
    /// What it is.
    pub of: Of,
}

/// What was deleted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// A tag.
    Tag(Tag),
    /// A manifest.
    Manifest(Digest),
}

const TAG: u8 = b't';
const MANIFEST: u8 = b'm';

// === impl Buried ===

impl Buried {
    /// Reads what follows the prefix of the tombstones of a shard.
    #[must_use]
    pub fn parse(key: &[u8]) -> Option<Self> {
        // A version is written as the registry that was created then.
        let (version, rest) = take_registry(key)?;
        let (registry, rest) = take_registry(rest)?;
        let (kind, rest) = rest.split_first()?;
        let (repository, rest) = take_repository(rest)?;
        let of = match *kind {
            TAG => Of::Tag(parse(rest)?),
            MANIFEST => match take_digest(rest)? {
                (digest, []) => Of::Manifest(digest),
                _ => return None,
            },
            _ => return None,
        };
        Some(Self {
            version: version.version(),
            registry,
            repository,
            of,
        })
    }
}

// === impl Key ===

impl Key {
    /// Of tombstones, those of one version.
    #[must_use]
    pub fn written_at(self, version: Version) -> Self {
        self.registry(RegistryId::new(version))
    }

    /// Of those, a tag's.
    #[must_use]
    pub fn tag_in(mut self, registry: RegistryId, repository: &RepositoryName, tag: &Tag) -> Self {
        self = self.registry(registry);
        self.0.push(TAG);
        self.repository(repository).text(tag.as_str())
    }

    /// Of those, a manifest's.
    #[must_use]
    pub fn manifest_in(
        mut self,
        registry: RegistryId,
        repository: &RepositoryName,
        digest: Digest,
    ) -> Self {
        self = self.registry(registry);
        self.0.push(MANIFEST);
        self.repository(repository).digest(digest)
    }
}
