//! The links of blobs: in which repositories they are present, and since and until when.
//!
//! A link stands while its lease runs, while a manifest of its repository needs the blob, and until
//! collection takes it away. Owns the index of the repositories that a blob is in, the counters of links, and
//! which of them ended with their repository and have their grace.

use meridian_clock::Version;
use meridian_event::RegistryId;
use meridian_oci::{Digest, RepositoryName};

use super::{known, look_at, release, revive};
use crate::Write;
use crate::apply::Result;
use crate::apply::guard::{self, Guard};
use crate::apply::place::Place;
use crate::apply::turn::Turn;
use crate::key;
use crate::row::{Blob, Link};

/// Gives a repository a full lease on a blob that is put there now.
pub(super) fn lease<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
    blob: Blob,
) -> Result<(), S> {
    lease_since(turn, place, digest, blob, turn.version)?;
    turn.note_newer(place, turn.version)?;
    resume(turn, place, digest)
}

/// Gives a repository a full lease on a blob, and takes it back from garbage collection.
pub(super) fn lease_since<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
    mut blob: Blob,
    add: Version,
) -> Result<(), S> {
    let Place {
        registry,
        repository,
    } = place;
    let lease = turn.now().saturating_add(turn.system.settings.lease_millis);
    let old = turn.read::<Link>(&place.link(digest))?;
    let link = Link {
        add,
        lease: old.as_ref().map_or(lease, |old| old.lease.max(lease)),
    };
    turn.put(&place.link(digest), &link)?;
    if old.is_none() {
        let of = key::repositories_of(*registry, digest);
        turn.put_bytes(&of.text(repository.as_str()), &[])?;
        turn.count(place, |repository, _| repository.links += 1)?;
    }
    blob.touched = turn.version;
    if guard::stands(Guard::LeaseRevives) {
        blob.condemned = None;
    }
    // A turn that comes too early is put off when it comes; so renewals need not move it.
    let due = blob.due.map_or(lease, |due| due.min(lease));
    look_at(turn, *registry, digest, &mut blob, Some(due))
}

/// Makes a blob present in a repository for a manifest that needs it there, and was put then, if it is
/// recorded anywhere in the registry. Returns whether it is.
pub(in crate::apply) fn claim<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
    add: Option<Version>,
) -> Result<bool, S> {
    let Place {
        registry,
        repository,
    } = place;
    if !turn.exists(&place.link(digest))? {
        if !turn.exists(&key::blob(*registry, digest))? {
            return Ok(false);
        }
        // Not when it arrived here: in all regions alike, it goes with what was deleted since.
        let add = add.unwrap_or_else(|| never(turn));
        turn.put(&place.link(digest), &Link { add, lease: 0 })?;
        let of = key::repositories_of(*registry, digest);
        turn.put_bytes(&of.text(repository.as_str()), &[])?;
        turn.count(place, |repository, _| repository.links += 1)?;
    } else {
        resume(turn, place, digest)?;
    }
    revive(turn, *registry, digest)?;
    Ok(true)
}

/// Joins a put of a blob, or of what stands on it, with its link, if there is one.
pub(in crate::apply) fn raise<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
    version: Version,
) -> Result<(), S> {
    match turn.read::<Link>(&place.link(digest))? {
        Some(link) if link.add < version => {
            let add = version;
            turn.put(&place.link(digest), &Link { add, ..link })?;
            match Some(version) > turn.cell(place)?.del {
                true => resume(turn, place, digest),
                false => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Ends the lease of a blob that a client deleted elsewhere, unless it was renewed since. What a
/// manifest needs stays, and has no lease besides.
pub(in crate::apply) fn end_lease<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
    version: Version,
) -> Result<(), S> {
    let (registry, repository) = (place.registry, &place.repository);
    let link = turn.read::<Link>(&place.link(digest))?;
    let Some(link) = link.filter(|link| link.add < version) else {
        return Ok(());
    };
    if turn.suffixes(&place.holders(digest), 1)?.is_empty() {
        release(turn, registry, digest)?;
        return unlink(turn, registry, repository, digest);
    }
    if link.lease == 0 {
        return Ok(());
    }
    turn.put(&place.link(digest), &Link { lease: 0, ..link })
}

/// Ends the lease of a blob whose repository was deleted, unless it was renewed since. It stays linked for its
/// grace, because other regions may still fetch it from there for what needs it elsewhere.
pub(in crate::apply) fn end_with_repository<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
    version: Version,
) -> Result<(), S> {
    let link = turn.read::<Link>(&place.link(digest))?;
    let Some(link) = link.filter(|link| link.add < version) else {
        return Ok(());
    };
    if link.lease > 0 {
        turn.put(&place.link(digest), &Link { lease: 0, ..link })?;
        if turn.suffixes(&place.holders(digest), 1)?.is_empty() {
            release(turn, place.registry, digest)?;
        }
    }
    end(turn, place, digest)
}

/// Writes down that the link of a blob goes once its grace is over, if its repository was deleted since and
/// nothing in there needs it. Collection takes it away, though the blob be held elsewhere.
pub(in crate::apply) fn end<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
) -> Result<(), S> {
    let mut cell = turn.cell(place)?;
    if cell.del.is_none() {
        return Ok(());
    }
    let link = turn.read::<Link>(&place.link(digest))?;
    let Some(link) = link.filter(|link| Some(link.add) <= cell.del) else {
        return Ok(());
    };
    let ended = place.ended(digest);
    if turn.exists(&ended)? || !turn.suffixes(&place.holders(digest), 1)?.is_empty() {
        return Ok(());
    }
    let lease = turn.now().saturating_add(turn.system.settings.grace_millis);
    turn.put(&ended, &Link { lease, ..link })?;
    cell.ended += 1;
    turn.put_cell(place, &cell)?;
    let mut blob = known(turn, place.registry, digest)?;
    let due = blob.due.map_or(lease, |due| due.min(lease));
    look_at(turn, place.registry, digest, &mut blob, Some(due))
}

/// Has a link live on that ended with its repository.
pub(in crate::apply) fn resume<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
) -> Result<(), S> {
    if !has_ended(turn, place, digest)? {
        return Ok(());
    }
    turn.remove(&place.ended(digest))?;
    let mut cell = turn.cell(place)?;
    cell.ended -= 1;
    turn.put_cell(place, &cell)
}

/// Removes a blob from a repository.
pub(in crate::apply) fn unlink<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
) -> Result<(), S> {
    let place = Place::new(registry, repository);
    resume(turn, &place, digest)?;
    turn.remove(&place.link(digest))?;
    let of = key::repositories_of(registry, digest);
    turn.remove(&of.text(repository.as_str()))?;
    turn.count(&place, |repository, _| repository.links -= 1)
}

/// Whether a link ended with its repository.
pub(super) fn has_ended<S: Write>(
    turn: &Turn<'_, S>,
    place: &Place,
    digest: Digest,
) -> Result<bool, S> {
    Ok(turn.cell(place)?.ended > 0 && turn.exists(&place.ended(digest))?)
}

/// Older than whatever was put.
pub(super) const fn never<S: Write>(turn: &Turn<'_, S>) -> Version {
    Version {
        millis: 0,
        counter: 0,
        region: turn.system.region,
    }
}
