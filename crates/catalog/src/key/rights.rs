//! Keys of repositories' cells, and of attributes. They stand apart from the rows of what they are of.

use meridian_event::{RegistryId, Target};
use meridian_oci::{Digest, RepositoryName};

use super::Key;

/// Prefix of all cells of repositories; a registry and a name follow.
pub const REPOSITORY_CELLS: &[u8] = b"K";

/// Prefix of all attributes of tags; registry, repository and tag follow.
pub const TAG_ATTRIBUTES: &[u8] = b"l";

/// Prefix of all attributes of manifests; registry, repository and digest follow.
pub const MANIFEST_ATTRIBUTES: &[u8] = b"b";

/// Prefix of all deleted repositories that are still to be swept; a registry and a name follow.
pub const COVERED: &[u8] = b"z";

/// A repository's cell.
#[must_use]
pub fn repository_cell(registry: RegistryId, name: &RepositoryName) -> Key {
    Key::start(b'K').registry(registry).text(name.as_str())
}

/// A deleted repository that is still to be swept.
#[must_use]
pub fn covered(registry: RegistryId, name: &RepositoryName) -> Key {
    Key::start(b'z').registry(registry).text(name.as_str())
}

/// Prefix of the repositories in which the link of a blob ended; a name follows.
#[must_use]
pub fn ended(registry: RegistryId, digest: Digest) -> Key {
    Key::start(b'E').registry(registry).digest(digest)
}

/// Prefix of what must not be deleted by its own attributes; the rest of the key of those follows, and before
/// that the byte for their kind.
#[must_use]
pub fn locked(registry: RegistryId, name: &RepositoryName) -> Key {
    Key::start(b'f').registry(registry).repository(name)
}

/// Reads what comes behind [`locked`].
#[must_use]
pub fn parse_locked(suffix: &[u8]) -> Option<Target> {
    match suffix.split_first()? {
        (b'l', tag) => Some(Target::Tag(super::parse(tag)?)),
        (b'b', digest) => match super::take_digest(digest)? {
            (digest, []) => Some(Target::Manifest(digest)),
            _ => None,
        },
        _ => None,
    }
}

/// Prefix of the attributes of a repository's tags; a tag follows.
#[must_use]
pub fn tag_attributes(registry: RegistryId, name: &RepositoryName) -> Key {
    Key::start(b'l').registry(registry).repository(name)
}

/// Prefix of the attributes of a repository's manifests; a digest follows.
#[must_use]
pub fn manifest_attributes(registry: RegistryId, name: &RepositoryName) -> Key {
    Key::start(b'b').registry(registry).repository(name)
}
