//! Manifests put and deleted.
//!
//! Keeps invariant 1 while they come and go: a manifest is put only upon leaves that are present,
//! and a leaf goes only when no present manifest needs it.

mod check;
mod needs;

use meridian_event::{Event, Leaf, RegistryId};
use meridian_oci::{Digest, RegistryName, RepositoryName};

use super::guard::{self, Guard};
use super::turn::Turn;
use super::{Result, outbox, refuse, tag};
use crate::key;
use crate::row::Manifest;
use crate::{CatalogError, Condition, NewManifest, Refusal, Reply, Write};

/// How many holders a refusal names.
const HOLDERS_NAMED: usize = 16;

/// Puts a manifest and points its tags at it.
pub(super) fn put<S: Write>(turn: &mut Turn<'_, S>, new: &NewManifest) -> Result<Reply, S> {
    let Some(registry) = turn.registry(&new.registry)? else {
        return refuse::<S>(Refusal::RegistryUnknown);
    };
    if let Some(refusal) = check::refusal(turn, registry, new)? {
        return refuse::<S>(refusal);
    }
    let cell_key = key::manifests(registry, &new.repository).digest(new.digest);
    let old = turn.read::<Manifest>(&cell_key)?;
    let is_new = !old.as_ref().is_some_and(Manifest::is_present);
    let size = new.bytes.len() as u64;
    let cell = Manifest {
        add: turn.version,
        del: old.and_then(|old| old.del),
        size,
        media_type: new.media_type.clone(),
    };
    turn.put(&cell_key, &cell)?;
    let foreign = needs::linked_foreign(turn, registry, new)?;
    if is_new {
        needs::settle(turn, registry, new, &foreign)?;
        turn.count(registry, &new.repository, |repository, usage| {
            repository.manifests += 1;
            usage.manifests += 1;
            usage.manifest_bytes += size;
        })?;
    } else if !foreign.is_empty() {
        needs::adopt(turn, registry, new, &foreign)?;
    }
    needs::refer(turn, registry, new)?;
    needs::raise_leaves(turn, registry, new, &foreign)?;
    for name in &new.tags {
        tag::point(turn, registry, &new.repository, name, new.digest)?;
    }
    outbox::emit(turn, registry, event(new, size))
}

/// Deletes a manifest and every tag that points at it.
pub(super) fn delete<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: &RegistryName,
    repository: &RepositoryName,
    digest: Digest,
    condition: Option<Condition>,
) -> Result<Reply, S> {
    let Some(registry) = turn.registry(registry)? else {
        return refuse::<S>(Refusal::RegistryUnknown);
    };
    let cell_key = key::manifests(registry, repository).digest(digest);
    let cell = turn.read::<Manifest>(&cell_key)?;
    let cell = cell.filter(Manifest::is_present);
    if let Some(refusal) = unmet(condition, cell.as_ref().map(|_| digest)) {
        return refuse::<S>(refusal);
    }
    let Some(mut cell) = cell else {
        let unknown = if turn.is_repository(registry, repository)? {
            Refusal::ManifestUnknown
        } else {
            Refusal::RepositoryUnknown
        };
        return refuse::<S>(unknown);
    };
    let holders = holders(turn, registry, repository, digest)?;
    if guard::stands(Guard::NeededStays) && !holders.is_empty() {
        return refuse::<S>(Refusal::InUse(holders));
    }
    cell.del = Some(turn.version);
    turn.put(&cell_key, &cell)?;
    turn.count(registry, repository, |repository, usage| {
        repository.manifests -= 1;
        usage.manifests -= 1;
        usage.manifest_bytes -= cell.size;
    })?;
    needs::unsettle(turn, registry, repository, digest)?;
    tag::hide(turn, registry, repository, digest)?;
    let event = Event::ManifestDeleted {
        repository: repository.clone(),
        digest,
    };
    outbox::emit(turn, registry, event)
}

/// The manifests that need a leaf; some of them, if they are many.
pub(super) fn holders<S: Write>(
    turn: &Turn<'_, S>,
    registry: RegistryId,
    repository: &RepositoryName,
    leaf: Digest,
) -> Result<Vec<Digest>, S> {
    let prefix = key::holders(registry, repository).digest(leaf);
    let suffixes = turn.suffixes(&prefix, HOLDERS_NAMED)?;
    let digests = suffixes
        .iter()
        .map(|suffix| key::take_digest(suffix).map(|(digest, _)| digest));
    digests
        .collect::<Option<_>>()
        .ok_or(CatalogError::Damaged("holder"))
}

/// What is wrong with a condition, given what there is.
pub(super) fn unmet(condition: Option<Condition>, current: Option<Digest>) -> Option<Refusal> {
    let is_met = match condition {
        None => true,
        Some(Condition::Absent) => current.is_none(),
        Some(Condition::PointsAt(digest)) => current == Some(digest),
    };
    (!is_met).then_some(Refusal::ConditionFailed(current))
}

fn event(new: &NewManifest, size: u64) -> Event {
    Event::ManifestPut {
        repository: new.repository.clone(),
        manifest: Leaf {
            digest: new.digest,
            size,
        },
        media_type: new.media_type.clone(),
        tags: new.tags.clone(),
        blobs: new.blobs.clone(),
        children: new.children.clone(),
        subject: new.subject,
    }
}
