//! Garbage collection, a step at a time.
//!
//! Keeps invariant 5. Every candidate is judged here, at its place in the log, whatever the
//! collector believed: a stale candidate, a second collector and a deposed leader are harmless.

use meridian_event::RegistryId;
use meridian_oci::{Digest, RepositoryName};

use super::turn::Turn;
use super::{Result, blob};
use crate::key;
use crate::row::{Blob, Link};
use crate::{BlobPlace, CatalogError, Collect, ObjectKey, Reply, Write};

/// Takes a step for each candidate.
pub(super) fn step<S: Write>(turn: &mut Turn<'_, S>, step: &Collect) -> Result<Reply, S> {
    let (mut objects, mut bytes) = (0, 0);
    match step {
        Collect::Condemn(candidates) => {
            for (registry, digest) in candidates {
                if let Some(size) = condemn(turn, *registry, *digest)? {
                    objects += 1;
                    bytes += size;
                }
            }
        }
        Collect::Remove(candidates) => {
            for (registry, digest) in candidates {
                if let Some(size) = remove(turn, *registry, *digest)? {
                    objects += 1;
                    bytes += size;
                }
            }
        }
        Collect::Deleted(keys) => {
            for ObjectKey { epoch, generation } in keys {
                turn.remove(&key::doomed(*epoch, *generation))?;
                objects += 1;
            }
        }
    }
    // Even a step that condemned nothing may have put off a turn.
    Ok(Reply::Collected { objects, bytes })
}

/// What keeps a blob.
enum Hold {
    /// A present manifest needs it.
    Manifest,
    /// A lease, or its grace, until then.
    Until(u64),
}

fn condemn<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    digest: Digest,
) -> Result<Option<u64>, S> {
    let Some(mut row) = turn.read::<Blob>(&key::blob(registry, digest))? else {
        return Ok(None);
    };
    let now = turn.now();
    match hold(turn, registry, digest, &row)? {
        Hold::Manifest => blob::look_at(turn, registry, digest, &mut row, None)?,
        Hold::Until(end) if end > now => {
            blob::look_at(turn, registry, digest, &mut row, Some(end))?;
        }
        Hold::Until(_) if row.condemned.is_none() => {
            row.condemned = Some(turn.version);
            blob::look_at(turn, registry, digest, &mut row, Some(now))?;
            return Ok(Some(row.size));
        }
        Hold::Until(_) => {}
    }
    Ok(None)
}

fn remove<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    digest: Digest,
) -> Result<Option<u64>, S> {
    let Some(mut row) = turn.read::<Blob>(&key::blob(registry, digest))? else {
        return Ok(None);
    };
    if row.condemned.is_none() {
        return Ok(None);
    }
    // Whatever gives a blob a holder or a lease also revives it; looking again costs little.
    match hold(turn, registry, digest, &row)? {
        Hold::Until(end) if end <= turn.now() => {}
        _ => return Ok(None),
    }
    for repository in repositories(turn, registry, digest)? {
        blob::unlink(turn, registry, &repository, digest)?;
    }
    if let BlobPlace::Stored(object) = row.place {
        turn.remove(&key::object(object.epoch, object.generation))?;
        blob::doom(turn, registry, object)?;
    }
    blob::look_at(turn, registry, digest, &mut row, None)?;
    turn.remove(&key::blob(registry, digest))?;
    turn.count_blobs(registry, |usage| {
        usage.blobs -= 1;
        usage.blob_bytes -= row.size;
    })?;
    Ok(Some(row.size))
}

fn hold<S: Write>(
    turn: &Turn<'_, S>,
    registry: RegistryId,
    digest: Digest,
    row: &Blob,
) -> Result<Hold, S> {
    let grace = turn.system.settings.grace_millis;
    let mut end = row.touched.millis.saturating_add(grace);
    for repository in repositories(turn, registry, digest)? {
        let holders = key::holders(registry, &repository).digest(digest);
        if !turn.suffixes(&holders, 1)?.is_empty() {
            return Ok(Hold::Manifest);
        }
        let link = turn.read::<Link>(&key::links(registry, &repository).digest(digest))?;
        let link = link.ok_or(CatalogError::Damaged("link"))?;
        end = end.max(link.lease);
    }
    Ok(Hold::Until(end))
}

fn repositories<S: Write>(
    turn: &Turn<'_, S>,
    registry: RegistryId,
    digest: Digest,
) -> Result<Vec<RepositoryName>, S> {
    let prefix = key::repositories_of(registry, digest);
    let names = turn.suffixes(&prefix, usize::MAX)?;
    let names = names
        .iter()
        .map(|name| std::str::from_utf8(name).ok()?.parse().ok());
    names
        .collect::<Option<_>>()
        .ok_or(CatalogError::Damaged("repository of a blob"))
}
