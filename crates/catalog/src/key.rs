//! The key tree.
//!
//! ```text
//! Z                                  System: region, epoch, last version, settings, counters of ids
//! G name                             which registry bears a name
//! r registry                         Claim: the name that a registry was created with, and lost
//! U registry                         Usage of a registry
//! R registry repository              Repository: counters
//! M registry repository 0 digest     Manifest cell: add, del, put, media type, size, standing
//! m registry repository 0 digest     the manifest's exact bytes
//! n registry repository 0 digest     what the manifest needs, and its subject
//! a registry digest repository       a present manifest whose bytes, or description, are wanted
//! T registry repository 0 tag        Tag cell: the winner, tombstones too
//! t registry repository 0 tag        the tag as this region shows it
//! d registry repository 0 digest tag             which tags show a manifest
//! e registry repository 0 digest tag             which tags wait to show a manifest
//! s registry repository 0 subject digest         Referrer: its descriptor
//! h registry repository 0 leaf manifest          who needs a leaf
//! V registry repository 0 child manifest         who waits for a child to be exposed
//! W registry leaf repository 0 manifest          who waits for a blob to be recorded
//! L registry repository 0 digest     Link: a blob is present in a repository, until when
//! k registry digest repository       in which repositories a blob is linked
//! B registry digest                  Blob: size, encoding, place, condemned, due
//! c millis registry digest           when garbage collection looks at a blob
//! p epoch generation                 which blob a stored object belongs to
//! x epoch generation                 objects to delete
//! g epoch block                      which generations were named or doomed, 64 to a block
//! w registry repository 0 digest     Sweep: a deleted manifest whose tags are still to be hidden
//! v registry repository 0 digest     Sweep: a manifest whose waiting tags are still to be judged
//! y registry repository 0 digest     an exposed manifest whose waiters are still to be told
//! Y registry leaf                    a recorded blob whose waiters are still to be told
//! K registry repository              Repository's cell: its last deletion, its attributes
//! l registry repository 0 tag        attributes of a tag
//! b registry repository 0 digest     attributes of a manifest
//! f registry repository 0 l tag, or b digest     what must not be deleted by its own attributes
//! E registry digest repository       Link as it ended with its repository, until when it has grace
//! z registry repository              Progress: a deleted repository that is still to be swept
//! u registry repository 0 digest     a manifest that perhaps nothing needs any more
//! Q request                          what a request was answered
//! q version                          requests in the order in which they are forgotten
//! S shard                            Stream: epoch, next seq, acknowledged seq
//! o shard seq                        Outbox
//! C region 0 shard                   Cursor: how far another region's events are merged
//! N                                  Peers: which other regions there are
//! !                                  Drained: clients are to go to other regions
//! H region 0 shard                   Heard: the last heartbeat of another region
//! D shard                            a shard of which other regions are to be told something
//! A shard epoch seq                  Push here that other regions have not completed
//! P region 0 shard epoch seq         Push elsewhere that is not complete here
//! I registry repository 0 digest region 0 shard epoch seq    which those are of a manifest
//! i registry repository 0 digest     a manifest whose pushes are still to be told of
//! F region 0 shard                   a shard that was copied, while what it put is not all here
//! O                                  Own: what other regions know this one by
//! 6                                  this region has not met others yet, and takes no writes
//! 3 region                           Met: how far this region and another one know each other
//! 4 region                           a region whose state is to be copied before its events are merged
//! X region 0 region                  Removed: a region of which another one may know more than this one
//! 1 shard version 0 registry kind repository 0 …   a tombstone: of a tag, or of a manifest
//! 5 shard                            Floor: up to where tombstones are dropped
//! 2 shard                            a shard whose tombstones are still to be dropped
//! 7 registry name                    Webhook's cell: what the name stands for, deleted ones too
//! 8 registry name                    a webhook that is there
//! 0 webhook                          Whereabouts: under which name a webhook is found
//! 9                                  Changed: when a webhook changed last
//! + shard                            Told: up to where webhooks are told of a shard, and by whom
//! - shard webhook                    Lane: up to where one webhook is told that is behind
//! * webhook shard message            what was not delivered
//! / shard webhook millis message     when that is due again
//! = shard millis webhook message     when that is dropped
//! ~ webhook                          Failing: since when a webhook has seen nothing but failures
//! J                                  pushes here that perhaps wait for regions that were removed
//! j region 0 shard                   a heartbeat that is still to be looked through
//! ```
//!
//! Numbers are big-endian. A registry is its creation version with the region's name last and a
//! zero byte behind it; a digest is a byte for its algorithm and its raw bytes, so its length is
//! known from its first byte. Names hold no zero byte, so no name is a prefix of another one's key.

mod abroad;
mod blob;
mod rights;
mod tombstone;
mod waiting;
mod webhook;

use std::str::FromStr;

use meridian_clock::{Region, Version};
use meridian_event::{EventId, RegistryId};
use meridian_oci::{Algorithm, Digest, RepositoryName, Tag};

use crate::RequestId;

pub use abroad::{
    AWAITED, COPIED, CURSORS, DRAINED, JOINING, OWN, PEERS, REMOVALS, TO_TELL, awaited, copied,
    cursor, heard, incomplete, met, parse_awaited, parse_event, parse_removal, removal, take_shard,
    to_tell, uncopied, unheard,
};
pub use blob::{DOOMED, DUE, blob, doomed, due, due_after, object, repositories_of, spent};
pub use tombstone::{Buried, Of, UNBURIED, floor, tombstones, unburied};
pub use waiting::{
    EXPOSED, RECORDED, REMOVED, SWEEPS, UNFINISHED, UNHEARD, UNNEEDED, UNTOLD, WAITING,
    WAITING_SWEEPS, WANTED, recorded, waiter, waiting_for_blob, wanted,
};
pub use webhook::{
    LIVE_WEBHOOKS, WEBHOOKS, WEBHOOKS_CHANGED, dropped, due_again, due_again_of, failing, lane,
    lanes, live_webhook, live_webhooks, parse_dropped, parse_due_again, parse_message,
    parse_undelivered, take_webhook, told, undelivered, undelivered_of, webhook, webhooks,
    whereabouts,
};

pub use rights::{
    COVERED, MANIFEST_ATTRIBUTES, REPOSITORY_CELLS, TAG_ATTRIBUTES, covered, ended, locked,
    manifest_attributes, parse_locked, repository_cell, tag_attributes,
};

/// The one row of its kind.
pub const SYSTEM: &[u8] = b"Z";

/// A key, or the beginning of some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

/// The first key after every key that begins with `prefix`.
#[must_use]
pub fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

/// Splits a digest off the front of a key.
#[must_use]
pub fn take_digest(key: &[u8]) -> Option<(Digest, &[u8])> {
    let (algorithm, rest) = key.split_first()?;
    let (algorithm, length) = match algorithm {
        1 => (Algorithm::Sha256, 32),
        2 => (Algorithm::Sha512, 64),
        _ => return None,
    };
    let (raw, rest) = rest.split_at_checked(length)?;
    Some((Digest::from_parts(algorithm, raw).ok()?, rest))
}

/// Splits a shard off the front of a key.
#[must_use]
pub fn split_shard(key: &[u8]) -> Option<(u16, &[u8])> {
    let (shard, rest) = key.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*shard), rest))
}

/// Splits a registry off the front of a key.
#[must_use]
pub fn take_registry(key: &[u8]) -> Option<(RegistryId, &[u8])> {
    let (millis, rest) = key.split_first_chunk::<8>()?;
    let (counter, rest) = rest.split_first_chunk::<4>()?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    let region = parse(&rest[..end])?;
    let version = Version {
        millis: u64::from_be_bytes(*millis),
        counter: u32::from_be_bytes(*counter),
        region,
    };
    Some((RegistryId::new(version), &rest[end + 1..]))
}

/// Splits a repository and the zero byte behind it off the front of a key.
#[must_use]
pub fn take_repository(key: &[u8]) -> Option<(RepositoryName, &[u8])> {
    let end = key.iter().position(|byte| *byte == 0)?;
    Some((parse(&key[..end])?, &key[end + 1..]))
}

/// Reads a name that fills the rest of a key.
#[must_use]
pub fn parse<T: FromStr>(key: &[u8]) -> Option<T> {
    std::str::from_utf8(key).ok()?.parse().ok()
}

/// Splits a number off the front of a key.
#[must_use]
pub fn take_u64(key: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = key.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*number), rest))
}

// === impl Key ===

impl Key {
    fn start(kind: u8) -> Self {
        let mut bytes = Vec::with_capacity(96);
        bytes.push(kind);
        Self(bytes)
    }

    fn registry(mut self, registry: RegistryId) -> Self {
        self = self.version(registry.version());
        self.0.push(0);
        self
    }

    fn version(mut self, version: Version) -> Self {
        self.0.extend_from_slice(&version.millis.to_be_bytes());
        self.0.extend_from_slice(&version.counter.to_be_bytes());
        self.0.extend_from_slice(version.region.as_str().as_bytes());
        self
    }

    fn repository(mut self, repository: &RepositoryName) -> Self {
        self.0.extend_from_slice(repository.as_str().as_bytes());
        self.0.push(0);
        self
    }

    fn shard(mut self, shard: u16) -> Self {
        self.0.extend_from_slice(&shard.to_be_bytes());
        self
    }

    fn shard_of(mut self, region: Region, shard: u16) -> Self {
        self.0.extend_from_slice(region.as_str().as_bytes());
        self.0.push(0);
        self.shard(shard)
    }

    /// Appends a number.
    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// Appends the id of an event.
    #[must_use]
    pub fn event(self, id: EventId) -> Self {
        let of = self.shard_of(id.region, id.shard);
        of.number(id.epoch).number(id.seq)
    }

    /// Appends a digest.
    #[must_use]
    pub fn digest(mut self, digest: Digest) -> Self {
        self.0.push(match digest.algorithm() {
            Algorithm::Sha256 => 1,
            Algorithm::Sha512 => 2,
        });
        self.0.extend_from_slice(digest.as_bytes());
        self
    }

    /// Appends the end of a key.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }
}

impl std::ops::Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

macro_rules! in_repository {
    ($($(#[$doc:meta])* $name:ident = $kind:literal;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(registry: RegistryId, repository: &RepositoryName) -> Key {
            Key::start($kind).registry(registry).repository(repository)
        }
    )*};
}

in_repository! {
    /// Prefix of manifest cells; a digest follows.
    manifests = b'M';
    /// Prefix of manifest bytes; a digest follows.
    bodies = b'm';
    /// Prefix of what manifests need; a digest follows.
    needs = b'n';
    /// Prefix of tag cells; a tag follows.
    tag_cells = b'T';
    /// Prefix of visible tags; a tag follows.
    tags = b't';
    /// Prefix of the tags of manifests; a digest and a tag follow.
    tags_of = b'd';
    /// Prefix of referrers; the subject's digest and the referrer's follow.
    referrers = b's';
    /// Prefix of holders; the leaf's digest and the manifest's follow.
    holders = b'h';
    /// Prefix of links; a digest follows.
    links = b'L';
    /// Prefix of a repository's sweeps; a digest follows.
    sweeps = b'w';
    /// Prefix of the tags that wait for manifests; a digest and a tag follow.
    tags_waiting_for = b'e';
    /// Prefix of those who wait for children; the child's digest and the manifest's follow.
    waiting_for_child = b'V';
    /// Prefix of the sweeps of waiting tags; a digest follows.
    waiting_sweeps = b'v';
    /// Prefix of exposed manifests with untold waiters; a digest follows.
    exposed = b'y';
    /// Prefix of manifests that perhaps nothing needs any more; a digest follows.
    unneeded = b'u';
    /// Prefix of pushes elsewhere that wait for a manifest; a digest, a region, a zero byte, a shard, an
    /// epoch and a `seq` follow.
    pushes_waiting_for = b'I';
    /// Prefix of manifests whose pushes are still to be told of; a digest follows.
    untold = b'i';
}

/// Prefix of all names of registries.
pub const REGISTRY_NAMES: &[u8] = b"G";

/// Prefix of all names that registries lost; a registry follows.
pub const CLAIMS: &[u8] = b"r";

/// Prefix of all manifest cells; registry, repository and digest follow.
pub const MANIFESTS: &[u8] = b"M";

/// Prefix of all tag cells; registry, repository and tag follow.
pub const TAG_CELLS: &[u8] = b"T";

/// The registry that bears a name.
#[must_use]
pub fn registry_name(name: &str) -> Key {
    Key::start(b'G').text(name)
}

/// The name that a registry was created with, if another one bears it.
#[must_use]
pub fn claim(registry: RegistryId) -> Key {
    Key::start(b'r').registry(registry)
}

/// Prefix of all usage; a registry follows.
pub const USAGE: &[u8] = b"U";

/// A registry's usage.
#[must_use]
pub fn usage(registry: RegistryId) -> Key {
    Key::start(b'U').registry(registry)
}

/// Prefix of a registry's repositories; a name follows.
#[must_use]
pub fn repositories(registry: RegistryId) -> Key {
    Key::start(b'R').registry(registry)
}

/// A repository.
#[must_use]
pub fn repository(registry: RegistryId, name: &RepositoryName) -> Key {
    repositories(registry).text(name.as_str())
}

/// A tag's cell.
#[must_use]
pub fn tag_cell(registry: RegistryId, name: &RepositoryName, tag: &Tag) -> Key {
    tag_cells(registry, name).text(tag.as_str())
}

/// A visible tag.
#[must_use]
pub fn tag(registry: RegistryId, name: &RepositoryName, tag: &Tag) -> Key {
    tags(registry, name).text(tag.as_str())
}

/// An answered request.
#[must_use]
pub fn request(id: RequestId) -> Key {
    let mut key = Key::start(b'Q');
    key.0.extend_from_slice(&id.0);
    key
}

/// Prefix of all requests in their order.
pub const REQUESTS: &[u8] = b"q";

/// A request in the order of forgetting.
#[must_use]
pub fn request_at(version: Version) -> Key {
    Key::start(b'q').version(version)
}

/// A shard's stream.
#[must_use]
pub fn stream(shard: u16) -> Key {
    Key::start(b'S').shard(shard)
}

/// A row of the outbox.
#[must_use]
pub fn outbox(shard: u16, seq: u64) -> Key {
    rows_of(shard).number(seq)
}

/// Prefix of the rows of a shard of the outbox; a `seq` follows.
#[must_use]
pub fn rows_of(shard: u16) -> Key {
    Key::start(b'o').shard(shard)
}

#[cfg(test)]
mod tests;
