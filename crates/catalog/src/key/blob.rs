//! The keys of blobs, and of the objects that hold their bytes.

use meridian_event::RegistryId;
use meridian_oci::Digest;

use super::Key;

/// Prefix of a blob's repositories; a name follows.
#[must_use]
pub fn repositories_of(registry: RegistryId, digest: Digest) -> Key {
    Key::start(b'k').registry(registry).digest(digest)
}

/// A blob.
#[must_use]
pub fn blob(registry: RegistryId, digest: Digest) -> Key {
    Key::start(b'B').registry(registry).digest(digest)
}

/// Prefix of all turns of garbage collection; milliseconds, registry and digest follow.
pub const DUE: &[u8] = b"c";

/// A blob's turn in garbage collection.
#[must_use]
pub fn due(millis: u64, registry: RegistryId, digest: Digest) -> Key {
    Key::start(b'c')
        .number(millis)
        .registry(registry)
        .digest(digest)
}

/// The first key after every turn up to `millis`.
#[must_use]
pub fn due_after(millis: u64) -> Key {
    Key::start(b'c').number(millis.saturating_add(1))
}

/// A stored object.
#[must_use]
pub fn object(epoch: u64, generation: u64) -> Key {
    Key::start(b'p').number(epoch).number(generation)
}

/// Prefix of all doomed objects; epoch and generation follow.
pub const DOOMED: &[u8] = b"x";

/// An object to delete.
#[must_use]
pub fn doomed(epoch: u64, generation: u64) -> Key {
    Key::start(b'x').number(epoch).number(generation)
}

/// A block of generations.
#[must_use]
pub fn spent(epoch: u64, block: u64) -> Key {
    Key::start(b'g').number(epoch).number(block)
}
