//! Manifests put and deleted.
//!
//! Keeps invariant 1 while they come and go: a manifest is put only upon leaves that are present,
//! and a leaf goes only when no present manifest needs it.

use std::collections::BTreeSet;

use meridian_event::{Event, Leaf, RegistryId};
use meridian_oci::{Digest, RegistryName, RepositoryName};

use super::guard::{self, Guard};
use super::turn::Turn;
use super::{Result, blob, outbox, refuse, tag};
use crate::key;
use crate::row::{Blob, Link, Manifest, Needs, Referrer};
use crate::{CatalogError, Condition, NewManifest, Refusal, Reply, Write};

/// How many holders a refusal names.
const HOLDERS_NAMED: usize = 16;

/// Puts a manifest and points its tags at it.
pub(super) fn put<S: Write>(turn: &mut Turn<'_, S>, new: &NewManifest) -> Result<Reply, S> {
    let Some(registry) = turn.registry(&new.registry)? else {
        return refuse::<S>(Refusal::RegistryUnknown);
    };
    if let Some(refusal) = refusal(turn, registry, new)? {
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
    let foreign = linked_foreign(turn, registry, new)?;
    if is_new {
        settle(turn, registry, new, &foreign)?;
        turn.count(registry, &new.repository, |repository, usage| {
            repository.manifests += 1;
            usage.manifests += 1;
            usage.manifest_bytes += size;
        })?;
    } else if !foreign.is_empty() {
        adopt(turn, registry, new, &foreign)?;
    }
    raise_leaves(turn, registry, new, &foreign)?;
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
    unsettle(turn, registry, repository, digest)?;
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

fn refusal<S: Write>(
    turn: &Turn<'_, S>,
    registry: RegistryId,
    new: &NewManifest,
) -> Result<Option<Refusal>, S> {
    if new.tags.is_empty() {
        let cell = key::manifests(registry, &new.repository).digest(new.digest);
        let present = turn.read::<Manifest>(&cell)?;
        let current = present.filter(Manifest::is_present).map(|_| new.digest);
        if let Some(refusal) = unmet(new.condition, current) {
            return Ok(Some(refusal));
        }
    } else if new.condition.is_some() {
        for name in &new.tags {
            let current = tag::shown(turn, registry, &new.repository, name)?;
            let current = current.map(|tag| tag.digest);
            if let Some(refusal) = unmet(new.condition, current) {
                return Ok(Some(refusal));
            }
        }
    }
    leaves_refusal(turn, registry, new)
}

fn leaves_refusal<S: Write>(
    turn: &Turn<'_, S>,
    registry: RegistryId,
    new: &NewManifest,
) -> Result<Option<Refusal>, S> {
    if !guard::stands(Guard::LeavesPresent) {
        return Ok(None);
    }
    let (mut absent, mut differing) = (Vec::new(), Vec::new());
    let mut check = |leaf: &Leaf, size: Option<u64>| match size {
        None => absent.push(leaf.digest),
        Some(size) if size != leaf.size => differing.push(leaf.digest),
        Some(_) => {}
    };
    for leaf in &new.blobs {
        check(leaf, blob_size(turn, registry, new, leaf.digest)?);
    }
    for leaf in &new.children {
        let cell = key::manifests(registry, &new.repository).digest(leaf.digest);
        let manifest = turn.read::<Manifest>(&cell)?;
        let size = match manifest.filter(Manifest::is_present) {
            Some(manifest) => Some(manifest.size),
            // An index may name what is no manifest: build caches list their layers in one.
            None => blob_size(turn, registry, new, leaf.digest)?,
        };
        check(leaf, size);
    }
    if !absent.is_empty() {
        return Ok(Some(Refusal::LeavesUnknown(absent)));
    }
    Ok((!differing.is_empty()).then_some(Refusal::SizesDiffer(differing)))
}

/// The size of a blob that is present in the manifest's repository. A blob that only another
/// repository has does not count: its existence must not be observable from here.
fn blob_size<S: Write>(
    turn: &Turn<'_, S>,
    registry: RegistryId,
    new: &NewManifest,
    digest: Digest,
) -> Result<Option<u64>, S> {
    let link = key::links(registry, &new.repository).digest(digest);
    if !turn.exists(&link)? {
        return Ok(None);
    }
    let blob = turn.read::<Blob>(&key::blob(registry, digest))?;
    Ok(blob.map(|blob| blob.size))
}

/// Writes what a manifest is and needs.
fn settle<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    new: &NewManifest,
    foreign: &[Leaf],
) -> Result<(), S> {
    let repository = &new.repository;
    let needs = Needs {
        blobs: [&new.blobs, foreign].concat(),
        children: new.children.clone(),
        subject: new.subject,
    };
    let body = key::bodies(registry, repository).digest(new.digest);
    turn.put_bytes(&body, &new.bytes)?;
    turn.put(&key::needs(registry, repository).digest(new.digest), &needs)?;
    for leaf in leaves(&needs) {
        let holder = key::holders(registry, repository)
            .digest(leaf)
            .digest(new.digest);
        turn.put_bytes(&holder, &[])?;
    }
    if let (Some(subject), Some((artifact_type, descriptor))) = (new.subject, &new.referrer) {
        let referrer = Referrer {
            artifact_type: artifact_type.clone(),
            descriptor: descriptor.clone(),
        };
        let key = key::referrers(registry, repository)
            .digest(subject)
            .digest(new.digest);
        turn.put(&key, &referrer)?;
    }
    Ok(())
}

/// The blobs of a manifest that need not be in its repository, and are.
fn linked_foreign<S: Write>(
    turn: &Turn<'_, S>,
    registry: RegistryId,
    new: &NewManifest,
) -> Result<Vec<Leaf>, S> {
    let mut linked = Vec::new();
    for leaf in &new.foreign {
        if turn.exists(&key::links(registry, &new.repository).digest(leaf.digest))? {
            linked.push(*leaf);
        }
    }
    Ok(linked)
}

/// Lets a manifest that was there before hold what came after it.
fn adopt<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    new: &NewManifest,
    foreign: &[Leaf],
) -> Result<(), S> {
    let needs_key = key::needs(registry, &new.repository).digest(new.digest);
    let mut needs = needs_of(turn, &needs_key)?;
    let held = leaves(&needs);
    for leaf in foreign.iter().filter(|leaf| !held.contains(&leaf.digest)) {
        needs.blobs.push(*leaf);
        let holders = key::holders(registry, &new.repository).digest(leaf.digest);
        turn.put_bytes(&holders.digest(new.digest), &[])?;
    }
    turn.put(&needs_key, &needs)
}

fn needs_of<S: Write>(turn: &Turn<'_, S>, key: &[u8]) -> Result<Needs, S> {
    turn.read::<Needs>(key)?
        .ok_or(CatalogError::Damaged("needs of a manifest"))
}

/// Raises what a put stands on, so that an older delete from anywhere loses against it.
fn raise_leaves<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    new: &NewManifest,
    foreign: &[Leaf],
) -> Result<(), S> {
    let repository = &new.repository;
    for leaf in new.blobs.iter().chain(foreign).chain(&new.children) {
        let link_key = key::links(registry, repository).digest(leaf.digest);
        if let Some(mut link) = turn.read::<Link>(&link_key)? {
            link.add = turn.version;
            turn.put(&link_key, &link)?;
            blob::revive(turn, registry, leaf.digest)?;
        }
    }
    for leaf in &new.children {
        let cell_key = key::manifests(registry, repository).digest(leaf.digest);
        // A deleted manifest is not what it stands on, but a blob of the same digest.
        let cell = turn.read::<Manifest>(&cell_key)?;
        if let Some(mut cell) = cell.filter(Manifest::is_present) {
            cell.add = turn.version;
            turn.put(&cell_key, &cell)?;
        }
    }
    Ok(())
}

/// Removes what a manifest was and needed. A leaf that nothing needs any more begins its grace.
fn unsettle<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
) -> Result<(), S> {
    let needs_key = key::needs(registry, repository).digest(digest);
    let needs = needs_of(turn, &needs_key)?;
    turn.remove(&needs_key)?;
    turn.remove(&key::bodies(registry, repository).digest(digest))?;
    for leaf in leaves(&needs) {
        let of_leaf = key::holders(registry, repository).digest(leaf);
        turn.remove(&of_leaf.clone().digest(digest))?;
        let is_blob = turn.exists(&key::links(registry, repository).digest(leaf))?;
        if is_blob && turn.suffixes(&of_leaf, 1)?.is_empty() {
            blob::release(turn, registry, leaf)?;
        }
    }
    if let Some(subject) = needs.subject {
        let referrer = key::referrers(registry, repository)
            .digest(subject)
            .digest(digest);
        turn.remove(&referrer)?;
    }
    Ok(())
}

fn leaves(needs: &Needs) -> BTreeSet<Digest> {
    let all = needs.blobs.iter().chain(&needs.children);
    all.map(|leaf| leaf.digest).collect()
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
