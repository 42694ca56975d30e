//! Tags.
//!
//! A tag is two rows: the cell, a register in which the highest version wins and which outlives
//! deletion as a tombstone, and the tag as this region shows it, which lists and reads use. A
//! shown tag is younger than the last deletion of its manifest.

use meridian_event::{Event, RegistryId};
use meridian_oci::{Digest, RegistryName, RepositoryName, Tag as TagName};

use super::turn::Turn;
use super::{Result, manifest, outbox, refuse};
use crate::key;
use crate::row::{Manifest, Sweep, Tag, TagCell};
use crate::{CatalogError, Condition, Refusal, Reply, Write};

/// At how many tags of a deleted manifest one entry looks. A manifest with more of them is swept
/// by further entries; until then a read rule hides what is left.
const LOOKED_AT_PER_ENTRY: usize = 1000;

/// Points a tag at a manifest.
pub(super) fn point<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    repository: &RepositoryName,
    name: &TagName,
    digest: Digest,
) -> Result<(), S> {
    let cell = TagCell {
        version: turn.version,
        digest: Some(digest),
    };
    turn.put(&key::tag_cell(registry, repository, name), &cell)?;
    let tag_key = key::tag(registry, repository, name);
    let old = turn.read::<Tag>(&tag_key)?;
    let tag = Tag {
        version: turn.version,
        digest,
    };
    turn.put(&tag_key, &tag)?;
    let of = |digest: Digest| {
        key::tags_of(registry, repository)
            .digest(digest)
            .text(name.as_str())
    };
    turn.put_bytes(&of(digest), &[])?;
    match old {
        Some(old) if old.digest == digest => Ok(()),
        Some(old) => turn.remove(&of(old.digest)),
        None => turn.count(registry, repository, |repository, usage| {
            repository.tags += 1;
            usage.tags += 1;
        }),
    }
}

/// Deletes a tag; its manifest stays.
pub(super) fn delete<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: &RegistryName,
    repository: &RepositoryName,
    name: &TagName,
    condition: Option<Condition>,
) -> Result<Reply, S> {
    let Some(registry) = turn.registry(registry)? else {
        return refuse::<S>(Refusal::RegistryUnknown);
    };
    let shown = shown(turn, registry, repository, name)?;
    if let Some(refusal) = manifest::unmet(condition, shown.as_ref().map(|tag| tag.digest)) {
        return refuse::<S>(refusal);
    }
    let Some(shown) = shown else {
        let unknown = if turn.is_repository(registry, repository)? {
            Refusal::ManifestUnknown
        } else {
            Refusal::RepositoryUnknown
        };
        return refuse::<S>(unknown);
    };
    let tombstone = TagCell {
        version: turn.version,
        digest: None,
    };
    turn.put(&key::tag_cell(registry, repository, name), &tombstone)?;
    unshow(turn, registry, repository, name, shown.digest)?;
    turn.count(registry, repository, |repository, usage| {
        repository.tags -= 1;
        usage.tags -= 1;
    })?;
    let event = Event::TagDeleted {
        repository: repository.clone(),
        tag: name.clone(),
        digest: shown.digest,
    };
    outbox::emit(turn, registry, event)
}

/// A tag, if it is visible.
pub(super) fn shown<S: Write>(
    turn: &Turn<'_, S>,
    registry: RegistryId,
    repository: &RepositoryName,
    name: &TagName,
) -> Result<Option<Tag>, S> {
    let tag = turn.read::<Tag>(&key::tag(registry, repository, name))?;
    let Some(tag) = tag else { return Ok(None) };
    let cell = key::manifests(registry, repository).digest(tag.digest);
    let manifest = turn.read::<Manifest>(&cell)?;
    let is_shown = manifest.is_some_and(|manifest| manifest.shows(tag.version));
    Ok(is_shown.then_some(tag))
}

/// Hides the tags of a manifest that was just deleted, as many as one entry may. A sweep that an
/// earlier deletion left behind begins anew.
pub(super) fn hide<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
) -> Result<(), S> {
    let hidden = hide_some(turn, registry, repository, digest, None)?;
    plan(turn, registry, repository, digest, hidden.next)
}

/// Goes on with the first sweep.
pub(super) fn sweep<S: Write>(turn: &mut Turn<'_, S>) -> Result<Reply, S> {
    let Some(suffix) = turn.suffixes(key::SWEEPS, 1)?.pop() else {
        return Ok(Reply::Nothing);
    };
    let (registry, repository, digest) =
        place(&suffix).ok_or(CatalogError::Damaged("place of a sweep"))?;
    let row = turn.read::<Sweep>(&key::sweeps(registry, &repository).digest(digest))?;
    let after = row.map(|sweep| sweep.after);
    let hidden = hide_some(turn, registry, &repository, digest, after.as_ref())?;
    plan(turn, registry, &repository, digest, hidden.next)?;
    Ok(Reply::Collected {
        objects: hidden.count,
        bytes: 0,
    })
}

/// Takes the key of a sweep apart.
fn place(suffix: &[u8]) -> Option<(RegistryId, RepositoryName, Digest)> {
    let (registry, rest) = key::take_registry(suffix)?;
    let (repository, rest) = key::take_repository(rest)?;
    let (digest, _) = key::take_digest(rest)?;
    Some((registry, repository, digest))
}

/// Writes down where a sweep goes on, or that it does not.
fn plan<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
    next: Option<TagName>,
) -> Result<(), S> {
    let sweep = key::sweeps(registry, repository).digest(digest);
    let is_planned = turn.exists(&sweep)?;
    match (is_planned, next) {
        (false, None) => Ok(()),
        (true, None) => {
            turn.remove(&sweep)?;
            turn.count(registry, repository, |repository, _| repository.sweeps -= 1)
        }
        (true, Some(after)) => turn.put(&sweep, &Sweep { after }),
        (false, Some(after)) => {
            turn.put(&sweep, &Sweep { after })?;
            turn.count(registry, repository, |repository, _| repository.sweeps += 1)
        }
    }
}

struct Hidden {
    count: u64,
    /// The tag after which to go on, if there may be more.
    next: Option<TagName>,
}

/// Hides tags that are older than the last deletion of their manifest.
fn hide_some<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
    after: Option<&TagName>,
) -> Result<Hidden, S> {
    let cell = key::manifests(registry, repository).digest(digest);
    let manifest = turn.read::<Manifest>(&cell)?;
    let manifest = manifest.ok_or(CatalogError::Damaged("manifest"))?;
    let prefix = key::tags_of(registry, repository).digest(digest);
    let after = after.map_or("", TagName::as_str).as_bytes();
    let page = turn.suffixes_after(&prefix, after, LOOKED_AT_PER_ENTRY)?;
    let mut hidden = Hidden {
        count: 0,
        next: None,
    };
    let is_full = page.len() == LOOKED_AT_PER_ENTRY;
    for suffix in page {
        let name: TagName =
            key::parse(&suffix).ok_or(CatalogError::Damaged("tag of a manifest"))?;
        let tag = turn.read::<Tag>(&key::tag(registry, repository, &name))?;
        let tag = tag.ok_or(CatalogError::Damaged("tag"))?;
        if !manifest.shows(tag.version) {
            unshow(turn, registry, repository, &name, digest)?;
            hidden.count += 1;
        }
        hidden.next = is_full.then_some(name);
    }
    if hidden.count > 0 {
        turn.count(registry, repository, |repository, usage| {
            repository.tags -= hidden.count;
            usage.tags -= hidden.count;
        })?;
    }
    Ok(hidden)
}

fn unshow<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    repository: &RepositoryName,
    name: &TagName,
    digest: Digest,
) -> Result<(), S> {
    turn.remove(&key::tag(registry, repository, name))?;
    let of = key::tags_of(registry, repository).digest(digest);
    turn.remove(&of.text(name.as_str()))
}
