//! Garbage collection, a step at a time.
//!
//! Keeps invariant 5. Every candidate is judged here, at its place in the log, whatever the
//! collector believed: a stale candidate, a second collector and a deposed leader are harmless.

use meridian_event::RegistryId;
use meridian_oci::{Digest, RepositoryName};

use super::blob::link;
use super::guard::{self, Guard};
use super::turn::Turn;
use super::{Result, blob, object};
use crate::hold::{Hold, hold, repositories};
use crate::key;
use crate::row::{Blob, Link};
use crate::{BlobPlace, CatalogError, Collect, Reply, Write};

/// How many links one entry removes at most. A blob that is in more repositories takes further
/// entries; it stays condemned until then.
const UNLINKED_PER_ENTRY: usize = 1000;

/// How many deleted repositories a blob leaves at most when its turn comes.
const ENDED_PER_BLOB: usize = 100;

/// Takes a step for each candidate.
pub(super) fn step<S: Write>(turn: &mut Turn<'_, S>, step: &Collect) -> Result<Reply, S> {
    let (mut objects, mut bytes) = (0, 0_u64);
    match step {
        Collect::Condemn(candidates) => {
            for (registry, digest) in candidates {
                if let Some(size) = condemn(turn, *registry, *digest)? {
                    objects += 1;
                    bytes = size.saturating_add(bytes);
                }
            }
        }
        Collect::Remove(candidates) => {
            let mut links = UNLINKED_PER_ENTRY;
            for (registry, digest) in candidates {
                if let Some(size) = remove(turn, *registry, *digest, &mut links)? {
                    objects += 1;
                    bytes = size.saturating_add(bytes);
                }
            }
        }
        Collect::Deleted(keys) => {
            for key in keys {
                objects += u64::from(object::forget(turn, *key)?);
            }
        }
        Collect::Doom(strays) => {
            for (registry, key) in strays {
                objects += u64::from(object::disown(turn, *registry, *key)?);
            }
        }
    }
    // Even a step that condemned nothing may have put off a turn.
    Ok(Reply::Collected { objects, bytes })
}

fn condemn<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    digest: Digest,
) -> Result<Option<u64>, S> {
    let Some(mut row) = turn.read::<Blob>(&key::blob(registry, digest))? else {
        return Ok(None);
    };
    let next = unlink_ended(turn, registry, digest)?;
    let hold = judge(turn, registry, digest, &row)?;
    if guard::stands(Guard::JudgedAtCondemn) && (hold.keeps(turn.now()) || next.is_some()) {
        put_off(turn, registry, digest, row, (hold, next))?;
        return Ok(None);
    }
    if row.condemned.is_some() {
        return Ok(None);
    }
    row.condemned = Some(turn.version);
    let now = turn.now();
    blob::look_at(turn, registry, digest, &mut row, Some(now))?;
    Ok(Some(row.size))
}

/// Removes a blob, unless more than `links` have to go first.
fn remove<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    digest: Digest,
    links: &mut usize,
) -> Result<Option<u64>, S> {
    let Some(mut row) = turn.read::<Blob>(&key::blob(registry, digest))? else {
        return Ok(None);
    };
    if guard::stands(Guard::JudgedAtRemove) {
        if row.condemned.is_none() {
            return Ok(None);
        }
        // What gives a blob a holder or a lease also revives it, but settings may change.
        let hold = judge(turn, registry, digest, &row)?;
        if hold.keeps(turn.now()) {
            put_off(turn, registry, digest, row, (hold, None))?;
            return Ok(None);
        }
    }
    let linked = repositories(turn.store(), registry, digest, "", *links)?;
    for repository in &linked {
        link::unlink(turn, registry, repository, digest)?;
    }
    *links -= linked.len();
    if *links == 0 {
        return Ok(None);
    }
    blob::look_at(turn, registry, digest, &mut row, None)?;
    turn.remove(&key::blob(registry, digest))?;
    if let BlobPlace::Stored(object) = row.place {
        object::release(turn, registry, object)?;
    }
    turn.count_blobs(registry, |usage| {
        usage.blobs -= 1;
        usage.blob_bytes = usage.blob_bytes.wrapping_sub(row.size);
    })?;
    Ok(Some(row.size))
}

/// Removes a blob from repositories that were deleted, where its grace is over, whatever holds it elsewhere.
/// Returns when to look again, if it is to go from more of them.
fn unlink_ended<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    digest: Digest,
) -> Result<Option<u64>, S> {
    let damaged = || CatalogError::Damaged("link that ended");
    let ended = key::ended(registry, digest);
    let page = turn.suffixes(&ended, ENDED_PER_BLOB)?;
    let mut next = (page.len() == ENDED_PER_BLOB).then_some(turn.now());
    for name in &page {
        let repository: RepositoryName = key::parse(name).ok_or_else(damaged)?;
        let link = key::links(registry, &repository).digest(digest);
        let link = turn.read::<Link>(&link)?.ok_or_else(damaged)?;
        let row = turn.read::<Link>(&[&*ended, name].concat())?;
        let until = row.ok_or_else(damaged)?.lease.max(link.lease);
        if until > turn.now() {
            next = Some(next.map_or(until, |next| next.min(until)));
        } else {
            link::unlink(turn, registry, &repository, digest)?;
        }
    }
    Ok(next)
}

/// Takes a blob that something keeps out of the way until that may have ended.
fn put_off<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    digest: Digest,
    mut row: Blob,
    (hold, next): (Hold, Option<u64>),
) -> Result<(), S> {
    row.condemned = None;
    let millis = match hold {
        Hold::Manifest => next,
        Hold::Until(end) => Some(next.map_or(end, |next| next.min(end))),
    };
    blob::look_at(turn, registry, digest, &mut row, millis)
}

fn judge<S: Write>(
    turn: &Turn<'_, S>,
    registry: RegistryId,
    digest: Digest,
    row: &Blob,
) -> Result<Hold, S> {
    hold(turn.store(), &turn.system.settings, registry, digest, row)
}
