//! Keys of repositories' cells, and of attributes. They stand apart from the rows of what they are of.

use meridian_event::RegistryId;
use meridian_oci::RepositoryName;

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
