//! A whole state, read into maps.
//!
//! Owns the reading of every kind of row, key and value. A pair that cannot be read, or whose kind
//! nobody knows, is a violation; so is a key that does not come out of the key tree the way it went
//! in.

mod webhooks;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::ops::{Bound, ControlFlow};

use meridian_clock::{Region, Version};
use meridian_event::{Envelope, EventId, RegistryId};
use meridian_oci::{Digest, RepositoryName, Tag as TagName};

use self::webhooks::Webhooks;
use super::Findings;
use crate::key::{self, Buried};
use crate::row::{
    Answer, Blob, Claim, Copied, Drained, Floor, Heard, Link, Manifest, Met, Needs, Outgoing, Own,
    Owner, Peers, Progress, Push, Removed, Repository, RepositoryCell, Rights, Row, Spent, Sweep,
    Tag, TagCell,
};
use crate::{Cursor, ObjectKey, Read, Referrer, RequestId, Stream, System, Usage};

/// A repository of a registry.
pub(super) type Place = (RegistryId, RepositoryName);
/// A digest in a repository.
pub(super) type Named = (Place, Digest);

#[derive(Debug, Default)]
pub(super) struct Census {
    pub(super) system: Option<System>,
    pub(super) registries: BTreeMap<String, RegistryId>,
    pub(super) claims: BTreeMap<RegistryId, Claim>,
    pub(super) usage: BTreeMap<RegistryId, Usage>,
    pub(super) repositories: BTreeMap<Place, Repository>,
    pub(super) repository_cells: BTreeMap<Place, RepositoryCell>,
    pub(super) tag_rights: BTreeMap<(Place, TagName), Rights>,
    pub(super) manifest_rights: BTreeMap<Named, Rights>,
    /// Deleted repositories that are still to be swept.
    pub(super) covered: BTreeSet<Place>,
    /// Links that ended with their repositories.
    pub(super) ended: BTreeSet<Named>,
    /// What must not be deleted by its own attributes, by the key of those.
    pub(super) locked: BTreeMap<Place, BTreeSet<Vec<u8>>>,
    pub(super) manifests: BTreeMap<Named, Manifest>,
    /// Lengths of manifests.
    pub(super) bodies: BTreeMap<Named, u64>,
    pub(super) needs: BTreeMap<Named, Needs>,
    pub(super) wanted: BTreeSet<Named>,
    pub(super) tag_cells: BTreeMap<(Place, TagName), TagCell>,
    pub(super) tags: BTreeMap<(Place, TagName), Tag>,
    pub(super) tags_of: BTreeSet<(Named, TagName)>,
    pub(super) waiting_tags: BTreeSet<(Named, TagName)>,
    /// By subject, then by the referrer's digest.
    pub(super) referrers: BTreeMap<(Named, Digest), Referrer>,
    /// By leaf, then by the manifest's digest.
    pub(super) holders: BTreeSet<(Named, Digest)>,
    /// By child, then by the digest of the manifest that waits.
    pub(super) waiting_for_child: BTreeSet<(Named, Digest)>,
    /// By blob, then by the digest of the manifest that waits.
    pub(super) waiting_for_blob: BTreeSet<(Named, Digest)>,
    pub(super) links: BTreeMap<Named, Link>,
    pub(super) linked_in: BTreeSet<Named>,
    pub(super) blobs: BTreeMap<(RegistryId, Digest), Blob>,
    pub(super) turns: BTreeSet<(u64, RegistryId, Digest)>,
    pub(super) objects: BTreeMap<ObjectKey, Owner>,
    pub(super) doomed: BTreeMap<ObjectKey, RegistryId>,
    pub(super) spent: BTreeMap<(u64, u64), Spent>,
    pub(super) sweeps: BTreeMap<Named, Sweep>,
    pub(super) waiting_sweeps: BTreeMap<Named, Sweep>,
    /// Exposed manifests whose waiters are not all told.
    pub(super) untold: BTreeSet<Named>,
    /// Recorded blobs whose waiters are not all told.
    pub(super) untold_of: BTreeSet<(RegistryId, Digest)>,
    /// Manifests that perhaps nothing needs.
    pub(super) unneeded: BTreeSet<Named>,
    pub(super) answers: BTreeMap<RequestId, Answer>,
    /// By the suffix of the key.
    pub(super) requests: BTreeMap<Version, RequestId>,
    pub(super) streams: BTreeMap<u16, Stream>,
    pub(super) outbox: BTreeMap<(u16, u64), Envelope>,
    pub(super) cursors: BTreeMap<(Region, u16), Cursor>,
    pub(super) peers: Option<Peers>,
    pub(super) heard: BTreeMap<(Region, u16), Heard>,
    pub(super) to_tell: BTreeSet<u16>,
    pub(super) copied: BTreeMap<(Region, u16), Copied>,
    /// Whether pushes perhaps wait for regions that were removed.
    pub(super) has_removed: bool,
    /// Heartbeats that are not looked through.
    pub(super) unheard: BTreeSet<(Region, u16)>,
    /// By shard, epoch and `seq`.
    pub(super) awaited: BTreeMap<(u16, u64, u64), Push>,
    pub(super) incomplete: BTreeMap<EventId, Push>,
    pub(super) pushes_waiting: BTreeSet<(Named, EventId)>,
    /// Manifests of whose pushes is still to be told.
    pub(super) untold_pushes: BTreeSet<Named>,
    /// Whether this region has not met others yet.
    pub(super) is_joining: bool,
    pub(super) met: BTreeMap<Region, Met>,
    /// Regions that were removed, and others that may know more of them.
    pub(super) removals: BTreeSet<(Region, Region)>,
    pub(super) floors: BTreeMap<u16, Floor>,
    pub(super) buried: BTreeSet<(u16, Buried)>,
    /// Shards with tombstones that are still to be dropped.
    pub(super) unburied: BTreeSet<u16>,
    pub(super) webhooks: Webhooks,
}

impl Census {
    /// Reads everything.
    pub(super) fn take<S: Read>(store: &S, findings: &mut Findings) -> Result<Self, S::Error> {
        let mut census = Self::default();
        store.scan((Bound::Unbounded, Bound::Unbounded), &mut |key, value| {
            let counted = census.count(key, value);
            findings.demand("every pair is readable", counted.is_some(), &key);
            ControlFlow::Continue(())
        })?;
        Ok(census)
    }

    /// Every generation that was ever named or doomed.
    pub(super) fn all_spent(&self) -> impl Iterator<Item = ObjectKey> {
        self.spent.iter().flat_map(|((epoch, block), spent)| {
            let bits = (0..Spent::BITS).filter(|bit| spent.bits & (1 << bit) != 0);
            bits.map(move |bit| ObjectKey {
                epoch: *epoch,
                generation: block * Spent::BITS + bit,
            })
        })
    }

    /// Whether a generation was given to somebody.
    pub(super) fn was_given(&self, object: ObjectKey) -> bool {
        self.system.as_ref().is_some_and(|system| {
            let next = (system.epoch, system.next_generation);
            object.generation != 0 && (object.epoch, object.generation) < next
        })
    }

    /// Whether a generation was ever named or doomed.
    pub(super) fn is_spent(&self, object: ObjectKey) -> bool {
        let ObjectKey { epoch, generation } = object;
        let block = self.spent.get(&(epoch, generation / Spent::BITS));
        block.is_some_and(|block| block.bits & (1 << (generation % Spent::BITS)) != 0)
    }

    /// Whether a manifest is exposed.
    pub(super) fn is_exposed(&self, manifest: &Named) -> bool {
        let manifest = self.manifests.get(manifest);
        manifest.is_some_and(Manifest::is_exposed)
    }

    /// Whether a manifest names this one as a child.
    pub(super) fn is_child(&self, named: &Named) -> bool {
        let (place, digest) = named;
        let first = (named.clone(), Digest::Sha256([0; 32]));
        let holders = self.holders.range(first..);
        let mut holders = holders.take_while(|(leaf, _)| leaf == named);
        holders.any(|(_, holder)| {
            let needs = self.needs.get(&(place.clone(), *holder));
            needs.is_some_and(|needs| needs.children.iter().any(|leaf| leaf.digest == *digest))
        })
    }

    /// Whether the highest value of a tag can be shown, if its manifest is exposed.
    pub(super) fn is_alive(&self, place: &Place, cell: &TagCell) -> bool {
        let manifest = cell
            .digest
            .and_then(|digest| self.manifests.get(&(place.clone(), digest)));
        manifest.is_some_and(|manifest| manifest.shows(cell.version))
    }

    fn count(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let (kind, rest) = key.split_first()?;
        match kind {
            b'Z' => self.system = rest.is_empty().then_some(row(value)?),
            b'G' => drop(self.registries.insert(key::parse(rest)?, row(value)?)),
            b'U' => drop(self.usage.insert(registry(rest)?, row(value)?)),
            b'R' => drop(self.repositories.insert(repository(rest)?, row(value)?)),
            b'K' => drop(self.repository_cells.insert(repository(rest)?, row(value)?)),
            b'l' => drop(self.tag_rights.insert(tagged(rest)?, row(value)?)),
            b'b' => drop(self.manifest_rights.insert(named(rest)?, row(value)?)),
            b'z' => {
                row::<Progress>(value)?;
                self.covered.insert(repository(rest)?);
            }
            b'E' => {
                row::<Link>(value)?;
                let (registry, rest) = key::take_registry(rest)?;
                let (digest, name) = key::take_digest(rest)?;
                self.ended.insert(((registry, key::parse(name)?), digest));
            }
            b'f' => {
                mark(value)?;
                let (place, rest) = place(rest)?;
                self.locked.entry(place).or_default().insert(rest.to_vec());
            }
            b'M' => drop(self.manifests.insert(named(rest)?, row(value)?)),
            b'm' => drop(self.bodies.insert(named(rest)?, value.len() as u64)),
            b'n' => drop(self.needs.insert(named(rest)?, row(value)?)),
            b'T' => drop(self.tag_cells.insert(tagged(rest)?, row(value)?)),
            b't' => drop(self.tags.insert(tagged(rest)?, row(value)?)),
            b'd' => {
                let (place, rest) = place(rest)?;
                let (digest, tag) = key::take_digest(rest)?;
                mark(value)?;
                self.tags_of.insert(((place, digest), key::parse(tag)?));
            }
            b's' => drop(self.referrers.insert(two_digests(rest)?, row(value)?)),
            b'h' => {
                mark(value)?;
                self.holders.insert(two_digests(rest)?);
            }
            b'L' => drop(self.links.insert(named(rest)?, row(value)?)),
            b'a' | b'e' | b'V' | b'W' | b'w' | b'v' | b'y' | b'Y' | b'u' | b'I' | b'i' => {
                return self.count_of_waiting(*kind, rest, value);
            }
            _ => return self.count_of_region(*kind, rest, value),
        }
        Some(())
    }

    /// What waits, and work that is left.
    fn count_of_waiting(&mut self, kind: u8, rest: &[u8], value: &[u8]) -> Option<()> {
        match kind {
            b'w' => drop(self.sweeps.insert(named(rest)?, row(value)?)),
            b'v' => drop(self.waiting_sweeps.insert(named(rest)?, row(value)?)),
            _ => {
                mark(value)?;
                let is_new = match kind {
                    b'a' => {
                        let (registry, rest) = key::take_registry(rest)?;
                        let (digest, name) = key::take_digest(rest)?;
                        let place = (registry, key::parse(name)?);
                        self.wanted.insert((place, digest))
                    }
                    b'e' => {
                        let (place, rest) = place(rest)?;
                        let (digest, tag) = key::take_digest(rest)?;
                        self.waiting_tags
                            .insert(((place, digest), key::parse(tag)?))
                    }
                    b'V' => self.waiting_for_child.insert(two_digests(rest)?),
                    b'W' => {
                        let (registry, rest) = key::take_registry(rest)?;
                        let (leaf, rest) = key::take_digest(rest)?;
                        let (name, rest) = key::take_repository(rest)?;
                        let waiter = (((registry, name), leaf), digest(rest)?);
                        self.waiting_for_blob.insert(waiter)
                    }
                    b'y' => self.untold.insert(named(rest)?),
                    b'Y' => self.untold_of.insert(digest_of_registry(rest)?),
                    b'i' => self.untold_pushes.insert(named(rest)?),
                    b'I' => {
                        let (place, rest) = place(rest)?;
                        let (digest, rest) = key::take_digest(rest)?;
                        let waiting = ((place, digest), key::parse_event(rest)?);
                        self.pushes_waiting.insert(waiting)
                    }
                    _ => self.unneeded.insert(named(rest)?),
                };
                is_new.then_some(())?;
            }
        }
        Some(())
    }

    /// What is not within a repository.
    fn count_of_region(&mut self, kind: u8, rest: &[u8], value: &[u8]) -> Option<()> {
        match kind {
            b'r' => drop(self.claims.insert(registry(rest)?, row(value)?)),
            b'C' => drop(self.cursors.insert(shard_of(rest)?, row(value)?)),
            b'N' => self.peers = rest.is_empty().then_some(row(value)?),
            b'!' => {
                row::<Drained>(value)?;
                rest.is_empty().then_some(())?;
            }
            b'H' => drop(self.heard.insert(shard_of(rest)?, row(value)?)),
            b'D' => {
                mark(value)?;
                self.to_tell
                    .insert(u16::from_be_bytes(rest.try_into().ok()?));
            }
            b'F' => drop(self.copied.insert(shard_of(rest)?, row(value)?)),
            b'J' => self.has_removed = rest.is_empty().then_some(true)?,
            b'j' => {
                mark(value)?;
                self.unheard.insert(shard_of(rest)?);
            }
            b'O' => {
                row::<Own>(value)?;
                rest.is_empty().then_some(())?;
            }
            b'6' => {
                mark(value)?;
                self.is_joining = rest.is_empty().then_some(true)?;
            }
            b'4' => {
                mark(value)?;
                key::parse::<Region>(rest)?;
            }
            b'3' => drop(self.met.insert(key::parse(rest)?, row(value)?)),
            b'X' => {
                row::<Removed>(value)?;
                self.removals.insert(key::parse_removal(rest)?);
            }
            b'5' => {
                let shard = u16::from_be_bytes(rest.try_into().ok()?);
                self.floors.insert(shard, row(value)?);
            }
            b'1' => {
                let (shard, rest) = key::split_shard(rest)?;
                mark(value)?;
                let buried = (shard, Buried::parse(rest)?);
                self.buried.insert(buried);
            }
            b'2' => {
                mark(value)?;
                self.unburied
                    .insert(u16::from_be_bytes(rest.try_into().ok()?));
            }
            b'A' => drop(self.awaited.insert(key::parse_awaited(rest)?, row(value)?)),
            b'P' => drop(self.incomplete.insert(key::parse_event(rest)?, row(value)?)),
            b'k' => {
                let (registry, rest) = key::take_registry(rest)?;
                let (digest, name) = key::take_digest(rest)?;
                mark(value)?;
                self.linked_in
                    .insert(((registry, key::parse(name)?), digest));
            }
            b'B' => drop(self.blobs.insert(digest_of_registry(rest)?, row(value)?)),
            b'c' => {
                let (millis, rest) = key::take_u64(rest)?;
                let (registry, digest) = digest_of_registry(rest)?;
                mark(value)?;
                self.turns.insert((millis, registry, digest));
            }
            b'p' => drop(self.objects.insert(object(rest)?, row(value)?)),
            b'x' => drop(self.doomed.insert(object(rest)?, row(value)?)),
            b'g' => {
                let ObjectKey { epoch, generation } = object(rest)?;
                self.spent.insert((epoch, generation), row(value)?);
            }
            b'Q' => drop(
                self.answers
                    .insert(RequestId(rest.try_into().ok()?), row(value)?),
            ),
            b'q' => {
                // A version within a key has no zero byte behind it, unlike a registry.
                let version = registry(&[rest, &[0]].concat())?.version();
                self.requests.insert(version, row(value)?);
            }
            b'S' => {
                let shard = u16::from_be_bytes(rest.try_into().ok()?);
                self.streams.insert(shard, row(value)?);
            }
            b'o' => {
                let (shard, seq) = rest.split_first_chunk::<2>()?;
                let seq = u64::from_be_bytes(seq.try_into().ok()?);
                let Outgoing { envelope, .. } = row(value)?;
                self.outbox
                    .insert((u16::from_be_bytes(*shard), seq), envelope);
            }
            _ => return self.webhooks.count(kind, rest, value),
        }
        Some(())
    }
}

fn row<T: Row>(value: &[u8]) -> Option<T> {
    T::decode::<Infallible>(value).ok()
}

/// A row that says all by being there.
fn mark(value: &[u8]) -> Option<()> {
    value.is_empty().then_some(())
}

fn place(rest: &[u8]) -> Option<(Place, &[u8])> {
    let (registry, rest) = key::take_registry(rest)?;
    let (name, rest) = key::take_repository(rest)?;
    Some(((registry, name), rest))
}

fn repository(rest: &[u8]) -> Option<Place> {
    let (registry, name) = key::take_registry(rest)?;
    Some((registry, key::parse(name)?))
}

fn registry(rest: &[u8]) -> Option<RegistryId> {
    let (registry, rest) = key::take_registry(rest)?;
    rest.is_empty().then_some(registry)
}

fn named(rest: &[u8]) -> Option<Named> {
    let (place, rest) = place(rest)?;
    Some((place, digest(rest)?))
}

fn tagged(rest: &[u8]) -> Option<(Place, TagName)> {
    let (place, tag) = place(rest)?;
    Some((place, key::parse(tag)?))
}

fn shard_of(rest: &[u8]) -> Option<(Region, u16)> {
    let (of, rest) = key::take_shard(rest)?;
    rest.is_empty().then_some(of)
}

fn two_digests(rest: &[u8]) -> Option<(Named, Digest)> {
    let (place, rest) = place(rest)?;
    let (first, rest) = key::take_digest(rest)?;
    Some(((place, first), digest(rest)?))
}

fn digest_of_registry(rest: &[u8]) -> Option<(RegistryId, Digest)> {
    let (registry, rest) = key::take_registry(rest)?;
    Some((registry, digest(rest)?))
}

fn digest(rest: &[u8]) -> Option<Digest> {
    let (digest, rest) = key::take_digest(rest)?;
    rest.is_empty().then_some(digest)
}

fn object(rest: &[u8]) -> Option<ObjectKey> {
    let (epoch, rest) = key::take_u64(rest)?;
    let (generation, rest) = key::take_u64(rest)?;
    rest.is_empty().then_some(ObjectKey { epoch, generation })
}
