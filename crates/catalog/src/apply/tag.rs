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
use crate::row::{Manifest, Tag, TagCell};
use crate::{CatalogError, Condition, Refusal, Reply, Write};

/// How many tags one entry hides at most. A manifest with more of them is swept by further
/// entries; until then a read rule hides what is left.
const HIDDEN_PER_ENTRY: usize = 1000;

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

/// Hides the tags of a manifest that was just deleted, as many as one entry may.
pub(super) fn hide<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
) -> Result<(), S> {
    let hidden = hide_some(turn, registry, repository, digest)?;
    if hidden < HIDDEN_PER_ENTRY {
        return Ok(());
    }
    let sweep = key::sweeps(registry, repository).digest(digest);
    if turn.exists(&sweep)? {
        return Ok(());
    }
    turn.put_bytes(&sweep, &[])?;
    turn.count(registry, repository, |repository, _| repository.sweeps += 1)
}

/// Goes on with the first sweep.
pub(super) fn sweep<S: Write>(turn: &mut Turn<'_, S>) -> Result<Reply, S> {
    let Some(suffix) = turn.suffixes(key::SWEEPS, 1)?.pop() else {
        return Ok(Reply::Nothing);
    };
    let damaged = || CatalogError::Damaged("sweep");
    let (registry, rest) = key::take_registry(&suffix).ok_or_else(damaged)?;
    let end = rest.iter().position(|byte| *byte == 0).ok_or_else(damaged)?;
    let repository = std::str::from_utf8(&rest[..end]).ok();
    let repository = repository.and_then(|name| name.parse::<RepositoryName>().ok());
    let repository = repository.ok_or_else(damaged)?;
    let (digest, _) = key::take_digest(&rest[end + 1..]).ok_or_else(damaged)?;
    let hidden = hide_some(turn, registry, &repository, digest)?;
    if hidden < HIDDEN_PER_ENTRY {
        turn.remove(&key::sweeps(registry, &repository).digest(digest))?;
        turn.count(registry, &repository, |repository, _| {
            repository.sweeps -= 1;
        })?;
    }
    Ok(Reply::Collected {
        objects: hidden as u64,
        bytes: 0,
    })
}

/// Hides tags that are older than the last deletion of their manifest.
fn hide_some<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
) -> Result<usize, S> {
    let cell = key::manifests(registry, repository).digest(digest);
    let Some(manifest) = turn.read::<Manifest>(&cell)? else {
        return Ok(0);
    };
    let mut hidden = 0;
    let prefix = key::tags_of(registry, repository).digest(digest);
    let mut after = Vec::new();
    while hidden < HIDDEN_PER_ENTRY {
        let page = turn.suffixes_after(&prefix, &after, HIDDEN_PER_ENTRY - hidden)?;
        let Some(last) = page.last() else { break };
        after.clone_from(last);
        for suffix in page {
            let name = std::str::from_utf8(&suffix).ok();
            let name = name.and_then(|name| name.parse::<TagName>().ok());
            let name = name.ok_or(CatalogError::Damaged("tag of a manifest"))?;
            let tag = turn.read::<Tag>(&key::tag(registry, repository, &name))?;
            if tag.is_some_and(|tag| tag.digest == digest && !manifest.shows(tag.version)) {
                unshow(turn, registry, repository, &name, digest)?;
                hidden += 1;
            }
        }
    }
    if hidden > 0 {
        turn.count(registry, repository, |repository, usage| {
            repository.tags -= hidden as u64;
            usage.tags -= hidden as u64;
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
