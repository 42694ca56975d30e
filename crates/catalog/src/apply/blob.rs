//! Blobs recorded, mounted, touched and deleted, and when collection looks at one.
//!
//! Owns the rows of blobs: where their bytes are, and their turns of collection. In which repositories a blob
//! is present, and until when, stands in `blob/link.rs`.

pub(super) mod link;

use meridian_event::{Event, Leaf, RegistryId};
use meridian_oci::{Digest, RegistryName, RepositoryName};

use super::agenda::Task;
use super::guard::{self, Guard};
use super::place::Place;
use super::turn::Turn;
use super::upload::Upload;
use super::{Result, lock, manifest, object, outbox, refuse};
use crate::key;
use crate::row::{Blob, Link};
use crate::{ArrivedBlob, BlobPlace, CatalogError, ObjectKey, Refusal, Reply, Write};

/// A blob that is recorded, and the object that it keeps instead of the uploaded one.
type Recorded = (Blob, Option<ObjectKey>);

/// Records a blob and leases it to a repository.
pub(super) fn put<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: &RegistryName,
    repository: &RepositoryName,
    upload: &Upload<'_>,
) -> Result<Reply, S> {
    let leaf = upload.leaf;
    let Some(registry) = turn.registry(registry)? else {
        return refuse::<S>(Refusal::RegistryUnknown);
    };
    let place = Place::new(registry, repository);
    if lock::forbids_upload(turn, &place)? {
        return refuse::<S>(Refusal::Locked);
    }
    let (blob, kept) = match record(turn, registry, upload)? {
        Ok(recorded) => recorded,
        Err(refusal) => return refuse::<S>(refusal),
    };
    link::lease(turn, &place, leaf.digest, blob)?;
    let event = Event::BlobPut {
        repository: repository.clone(),
        blob: leaf,
        mounted_from: None,
    };
    let reply = outbox::emit(turn, registry, event)?;
    Ok(kept.map_or(reply, |object| keep(turn, registry, object)))
}

/// Records a blob that came from another region. Nobody leases it: it has its grace, so that what
/// needs it may come after it.
pub(super) fn store<S: Write>(turn: &mut Turn<'_, S>, arrived: &ArrivedBlob) -> Result<Reply, S> {
    let (registry, digest) = (arrived.registry, arrived.blob.digest);
    let (mut blob, kept) = match record(turn, registry, &Upload::from(arrived))? {
        Ok(recorded) => recorded,
        Err(refusal) => return refuse::<S>(refusal),
    };
    begin_grace(turn, registry, digest, &mut blob)?;
    let done = Reply::Done {
        version: turn.version,
    };
    Ok(kept.map_or(done, |object| keep(turn, registry, object)))
}

const fn keep<S: Write>(turn: &Turn<'_, S>, registry: RegistryId, object: ObjectKey) -> Reply {
    Reply::Kept {
        version: turn.version,
        registry,
        object,
    }
}

/// Records a blob. If it is recorded already, the object that was uploaded again is doomed, or the
/// former one if its bytes are lost. An object that was named or doomed before is never bound: it
/// may be gone.
fn record<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    upload: &Upload<'_>,
) -> Result<std::result::Result<Recorded, Refusal>, S> {
    let leaf = upload.leaf;
    let known = turn.read::<Blob>(&key::blob(registry, leaf.digest))?;
    if known.as_ref().is_some_and(|known| known.size != leaf.size) {
        return Ok(Err(Refusal::SizesDiffer(vec![leaf.digest])));
    }
    let object = upload.object();
    let is_foreign = upload.owner.is_some_and(|owner| owner != registry)
        || object.is_some_and(|object| !object::was_given(turn, object));
    if is_foreign {
        return Ok(Err(Refusal::ObjectForeign));
    }
    let is_spent = match object {
        None => false,
        Some(object) => object::is_spent(turn, object)?,
    };
    let mut kept = None;
    let blob = match known {
        None if is_spent => return Ok(Err(Refusal::BlobUnknown)),
        None => create(turn, registry, upload)?,
        Some(known) if upload.heals(&known) => {
            if is_spent {
                return Ok(Err(Refusal::BlobUnknown));
            }
            replace(turn, registry, upload, known)?
        }
        Some(known) => {
            // What was spent is this blob's already, or doomed, or gone.
            if let Some(redundant) = object.filter(|_| !is_spent) {
                object::doom(turn, registry, redundant)?;
            }
            kept = upload.other_object(&known);
            known
        }
    };
    Ok(Ok((blob, kept)))
}

/// Leases a blob of another repository.
pub(super) fn mount<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: &RegistryName,
    repository: &RepositoryName,
    from: Option<&RepositoryName>,
    digest: Digest,
) -> Result<Reply, S> {
    let Some(registry) = turn.registry(registry)? else {
        return refuse::<S>(Refusal::RegistryUnknown);
    };
    let is_there = match from {
        Some(from) => {
            let from = Place::new(registry, from);
            turn.exists(&from.link(digest))?
                && !link::has_ended(turn, &from, digest)?
                && turn.cell(&from)?.in_force().read
        }
        None => true,
    };
    let blob = turn.read::<Blob>(&key::blob(registry, digest))?;
    let Some(blob) = blob.filter(|_| is_there) else {
        return Ok(Reply::Nothing);
    };
    if from.is_none()
        && turn
            .suffixes(&key::repositories_of(registry, digest), 1)?
            .is_empty()
    {
        return Ok(Reply::Nothing);
    }
    let place = Place::new(registry, repository);
    if lock::forbids_upload(turn, &place)? {
        return refuse::<S>(Refusal::Locked);
    }
    let leaf = Leaf {
        digest,
        size: blob.size,
    };
    link::lease(turn, &place, digest, blob)?;
    let event = Event::BlobPut {
        repository: repository.clone(),
        blob: leaf,
        mounted_from: from.cloned(),
    };
    outbox::emit(turn, registry, event)
}

/// Leases a blob to a repository in which another region has it. Regional, so there is no event; and no put, so
/// the lease makes no repository of one that was deleted.
pub(super) fn lend<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
) -> Result<Reply, S> {
    let Some(blob) = turn.read::<Blob>(&key::blob(registry, digest))? else {
        return Ok(Reply::Nothing);
    };
    let place = Place::new(registry, repository);
    let old = turn.read::<Link>(&place.link(digest))?;
    let add = old.map_or_else(|| link::never(turn), |old| old.add);
    link::lease_since(turn, &place, digest, blob, add)?;
    link::end(turn, &place, digest)?;
    Ok(Reply::Done {
        version: turn.version,
    })
}

/// Renews a lease. Regional, so there is no event.
pub(super) fn touch<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: &RegistryName,
    repository: &RepositoryName,
    digest: Digest,
) -> Result<Reply, S> {
    let Some(registry) = turn.registry(registry)? else {
        return refuse::<S>(Refusal::RegistryUnknown);
    };
    if !turn.exists(&key::links(registry, repository).digest(digest))? {
        return refuse::<S>(Refusal::BlobUnknown);
    }
    let blob = known(turn, registry, digest)?;
    link::lease(turn, &Place::new(registry, repository), digest, blob)?;
    Ok(Reply::Done {
        version: turn.version,
    })
}

/// Ends a lease that no manifest needs.
pub(super) fn delete<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: &RegistryName,
    repository: &RepositoryName,
    digest: Digest,
) -> Result<Reply, S> {
    let Some(registry) = turn.registry(registry)? else {
        return refuse::<S>(Refusal::RegistryUnknown);
    };
    if !turn.exists(&key::links(registry, repository).digest(digest))? {
        return refuse::<S>(Refusal::BlobUnknown);
    }
    if lock::forbids_any_delete(turn, &Place::new(registry, repository))? {
        return refuse::<S>(Refusal::Locked);
    }
    let holders = manifest::holders(turn, registry, repository, digest)?;
    if guard::stands(Guard::NeededStays) && !holders.is_empty() {
        return refuse::<S>(Refusal::InUse(holders));
    }
    release(turn, registry, digest)?;
    link::unlink(turn, registry, repository, digest)?;
    let event = Event::BlobDeleted {
        repository: repository.clone(),
        digest,
    };
    outbox::emit(turn, registry, event)
}

/// Takes a blob back from garbage collection, if it had it.
pub(super) fn revive<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    digest: Digest,
) -> Result<(), S> {
    let mut blob = known(turn, registry, digest)?;
    if guard::stands(Guard::ManifestRevives) && blob.condemned.take().is_some() {
        turn.put(&key::blob(registry, digest), &blob)?;
    }
    Ok(())
}

/// Begins the grace of a blob that lost a reference.
pub(super) fn release<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    digest: Digest,
) -> Result<(), S> {
    let mut blob = known(turn, registry, digest)?;
    begin_grace(turn, registry, digest, &mut blob)
}

fn begin_grace<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    digest: Digest,
    blob: &mut Blob,
) -> Result<(), S> {
    blob.touched = turn.version;
    blob.condemned = None;
    let grace_over = turn.now().saturating_add(turn.system.settings.grace_millis);
    look_at(turn, registry, digest, blob, Some(grace_over))
}

/// Writes a blob's row, and when garbage collection looks at it: never if that is `None`.
pub(super) fn look_at<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    digest: Digest,
    blob: &mut Blob,
    millis: Option<u64>,
) -> Result<(), S> {
    if blob.due != millis {
        if let Some(old) = blob.due {
            turn.remove(&key::due(old, registry, digest))?;
        }
        if let Some(new) = millis {
            turn.put_bytes(&key::due(new, registry, digest), &[])?;
        }
        blob.due = millis;
    }
    turn.put(&key::blob(registry, digest), blob)
}

fn create<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    upload: &Upload<'_>,
) -> Result<Blob, S> {
    let leaf = upload.leaf;
    if let Some(object) = upload.object() {
        object::bind(turn, registry, leaf.digest, object)?;
    }
    let is_any_awaited = turn.count_blobs(registry, |usage| {
        usage.blobs += 1;
        // No store holds so much that this wraps, but a lie about a size must not stop a replica.
        usage.blob_bytes = usage.blob_bytes.wrapping_add(leaf.size);
        usage.awaited > 0
    })?;
    if is_any_awaited {
        turn.agenda.push(Task::TellOfBlob(registry, leaf.digest));
    }
    Ok(Blob {
        size: leaf.size,
        touched: turn.version,
        condemned: None,
        due: None,
        encoding: upload.encoding,
        place: upload.place.clone(),
    })
}

/// Gives a blob whose bytes are lost those that were uploaded again. Where a blob's bytes are is
/// this region's own affair, so the order of its log decides and no version is needed.
fn replace<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    upload: &Upload<'_>,
    known: Blob,
) -> Result<Blob, S> {
    if let Some(object) = upload.object() {
        object::bind(turn, registry, upload.leaf.digest, object)?;
    }
    if let BlobPlace::Stored(lost) = known.place {
        object::release(turn, registry, lost)?;
    }
    Ok(Blob {
        encoding: upload.encoding,
        place: upload.place.clone(),
        ..known
    })
}

fn known<S: Write>(turn: &Turn<'_, S>, registry: RegistryId, digest: Digest) -> Result<Blob, S> {
    turn.read::<Blob>(&key::blob(registry, digest))?
        .ok_or(CatalogError::Damaged("blob"))
}
