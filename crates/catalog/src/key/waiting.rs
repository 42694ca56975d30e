//! The keys of what is left to later entries, and of what waits for content that is not here.

use meridian_event::RegistryId;
use meridian_oci::{Digest, RepositoryName};

use super::{COVERED, Key, UNBURIED};

/// Prefix of all sweeps.
pub const SWEEPS: &[u8] = b"w";

/// Prefix of all sweeps of waiting tags.
pub const WAITING_SWEEPS: &[u8] = b"v";

/// Prefix of all exposed manifests with untold waiters.
pub const EXPOSED: &[u8] = b"y";

/// Prefix of all manifests that perhaps nothing needs any more.
pub const UNNEEDED: &[u8] = b"u";

/// Prefix of all manifests whose pushes are still to be told of.
pub const UNTOLD: &[u8] = b"i";

/// Prefix of all heartbeats that are still to be looked through.
pub const UNHEARD: &[u8] = b"j";

/// Pushes here that perhaps wait for regions that were removed. The one row of its kind.
pub const REMOVED: &[u8] = b"J";

/// Prefixes of all work that an entry left to later ones.
pub const UNFINISHED: [&[u8]; 10] = [
    SWEEPS,
    WAITING_SWEEPS,
    EXPOSED,
    RECORDED,
    UNNEEDED,
    UNTOLD,
    UNHEARD,
    UNBURIED,
    REMOVED,
    COVERED,
];

/// Prefix of all manifests whose bytes are wanted; registry, digest and repository follow.
pub const WANTED: &[u8] = b"a";

/// Prefix of the repositories that want a manifest; a name follows.
#[must_use]
pub fn wanted(registry: RegistryId, digest: Digest) -> Key {
    Key::start(b'a').registry(registry).digest(digest)
}

/// Prefix of all that wait for blobs; registry, digest, repository and manifest follow.
pub const WAITING: &[u8] = b"W";

/// Prefix of those who wait for a blob; a repository, a zero byte and a manifest's digest follow.
#[must_use]
pub fn waiting_for_blob(registry: RegistryId, leaf: Digest) -> Key {
    Key::start(b'W').registry(registry).digest(leaf)
}

/// A manifest that waits for a blob.
#[must_use]
pub fn waiter(registry: RegistryId, leaf: Digest, name: &RepositoryName, manifest: Digest) -> Key {
    let key = waiting_for_blob(registry, leaf);
    key.repository(name).digest(manifest)
}

/// Prefix of all recorded blobs with untold waiters; registry and digest follow.
pub const RECORDED: &[u8] = b"Y";

/// A recorded blob with untold waiters.
#[must_use]
pub fn recorded(registry: RegistryId, leaf: Digest) -> Key {
    Key::start(b'Y').registry(registry).digest(leaf)
}
