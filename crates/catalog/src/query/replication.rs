//! What replication asks: how far other regions are merged, what is wanted, and what peers are
//! answered.

use meridian_clock::{Region, Version};
use meridian_event::{Leaf, RegistryId};
use meridian_oci::{Digest, MediaType, RepositoryName, Tag as TagName};

use super::Result;
use crate::access::{exists, read, suffixes};
use crate::hold;
use crate::key::{self, Key};
use crate::row::{Cursor, Manifest, Needs, Standing, Tag, TagCell};
use crate::{CatalogError, FoundManifest, FoundPut, Read};

/// A manifest that is present and whose bytes are not here, or that is to be described anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedManifest {
    /// Its registry.
    pub registry: RegistryId,
    /// Its repository.
    pub repository: RepositoryName,
    /// Which, and its length as far as it is known.
    pub manifest: Leaf,
    /// The media type under which it is to be read; before its put is merged, it is not known.
    pub media_type: Option<MediaType>,
    /// Whether its bytes are here, and only how it shows itself to its subject is wanted.
    pub has_body: bool,
}

/// A blob for which manifests wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedBlob {
    /// Its registry.
    pub registry: RegistryId,
    /// Which.
    pub blob: Leaf,
}

/// The newest value of a tag, as another region merges it, and what becomes of it here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Winner {
    /// The version of the last put or deletion.
    pub version: Version,
    /// Where it points; nowhere, if the tag was deleted.
    pub digest: Option<Digest>,
    /// Whether this region answers it.
    pub fate: Fate,
}

/// What becomes of the newest value of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is answered.
    Shown,
    /// Its manifest is not complete here. Until it is, an older value is answered, if there is one.
    Waiting,
    /// The tag was deleted, or its manifest was since: there is no such tag.
    Gone,
}

/// How far a manifest and all that it needs are here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image {
    /// It is present, and its bytes are not here.
    Wanted,
    /// Its bytes are here, and so many of its leaves are not.
    Waiting(u64),
    /// It is complete.
    Exposed,
}

/// How far a shard of another region's events is merged.
pub fn cursor<S: Read>(store: &S, origin: Region, shard: u16) -> Result<Option<Cursor>, S> {
    read(store, &key::cursor(origin, shard))
}

/// How far other regions' events are merged, by region and shard.
pub fn cursors<S: Read>(store: &S) -> Result<Vec<(Region, u16, Cursor)>, S> {
    let damaged = || CatalogError::Damaged("cursor");
    let mut found = Vec::new();
    for suffix in suffixes(store, key::CURSORS, &[], usize::MAX)? {
        let ((region, shard), _) = key::take_shard(&suffix).ok_or_else(damaged)?;
        let cursor = cursor(store, region, shard)?.ok_or_else(damaged)?;
        found.push((region, shard, cursor));
    }
    Ok(found)
}

/// Manifests whose bytes, or descriptions, are wanted: at most `limit`, from after one of them on.
pub fn wanted_manifests<S: Read>(
    store: &S,
    after: Option<&WantedManifest>,
    limit: usize,
) -> Result<Vec<WantedManifest>, S> {
    let begin = after.map(|after| {
        let wanted = key::wanted(after.registry, &after.repository);
        wanted.digest(after.manifest.digest)
    });
    let begin = begin
        .as_deref()
        .map_or(&[][..], |key| &key[key::WANTED.len()..]);
    let found = suffixes(store, key::WANTED, begin, limit)?;
    found.iter().map(|suffix| wanted(store, suffix)).collect()
}

fn wanted<S: Read>(store: &S, suffix: &[u8]) -> Result<WantedManifest, S> {
    let damaged = || CatalogError::Damaged("wanted manifest");
    let (registry, rest) = key::take_registry(suffix).ok_or_else(damaged)?;
    let (repository, rest) = key::take_repository(rest).ok_or_else(damaged)?;
    let (digest, _) = key::take_digest(rest).ok_or_else(damaged)?;
    let row = manifest(store, registry, &repository, digest)?.ok_or_else(damaged)?;
    Ok(WantedManifest {
        registry,
        repository,
        manifest: Leaf {
            digest,
            size: row.size,
        },
        has_body: row.has_body(),
        media_type: row.media_type,
    })
}

/// Blobs for which manifests wait, each once: at most `limit`, from after one of them on.
pub fn wanted_blobs<S: Read>(
    store: &S,
    after: Option<&WantedBlob>,
    limit: usize,
) -> Result<Vec<WantedBlob>, S> {
    let mut found = Vec::new();
    let mut begin = after.map_or_else(Vec::new, |after| past(after.registry, after.blob.digest));
    while found.len() < limit {
        let Some(suffix) = suffixes(store, key::WAITING, &begin, 1)?.pop() else {
            break;
        };
        let (registry, digest, size) = awaited(store, &suffix)?;
        begin = past(registry, digest);
        // One that is recorded is not wanted, though not everybody is told of it yet.
        if !exists(store, &key::blob(registry, digest))? {
            let blob = Leaf { digest, size };
            found.push(WantedBlob { registry, blob });
        }
    }
    Ok(found)
}

/// Where those who wait for other blobs begin.
fn past(registry: RegistryId, leaf: Digest) -> Vec<u8> {
    let prefix = key::waiting_for_blob(registry, leaf);
    key::end_of(&prefix)[key::WAITING.len()..].to_vec()
}

/// The blob that somebody waits for, and its size.
fn awaited<S: Read>(store: &S, suffix: &[u8]) -> Result<(RegistryId, Digest, u64), S> {
    let damaged = || CatalogError::Damaged("who waits for a blob");
    let (registry, rest) = key::take_registry(suffix).ok_or_else(damaged)?;
    let (digest, rest) = key::take_digest(rest).ok_or_else(damaged)?;
    let (repository, rest) = key::take_repository(rest).ok_or_else(damaged)?;
    let (manifest, _) = key::take_digest(rest).ok_or_else(damaged)?;
    let needs: Key = key::needs(registry, &repository).digest(manifest);
    let needs = read::<Needs, S>(store, &needs)?.ok_or_else(damaged)?;
    let mut blobs = needs.blobs.iter();
    let blob = blobs.find(|leaf| leaf.digest == digest);
    Ok((registry, digest, blob.ok_or_else(damaged)?.size))
}

/// The newest value of a tag, of those that are merged here. A reader that finds it is not exposed
/// may ask other regions.
pub fn tag_winner<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    name: &TagName,
) -> Result<Option<Winner>, S> {
    let cell = read::<TagCell, S>(store, &key::tag_cell(registry, repository, name))?;
    let Some(TagCell { version, digest }) = cell else {
        return Ok(None);
    };
    let fate = match digest {
        None => Fate::Gone,
        Some(digest) => {
            let row = manifest(store, registry, repository, digest)?;
            let is_alive = row.is_some_and(|row| row.shows(version));
            let shown = read::<Tag, S>(store, &key::tag(registry, repository, name))?;
            match shown {
                _ if !is_alive => Fate::Gone,
                Some(shown) if shown.version == version => Fate::Shown,
                _ => Fate::Waiting,
            }
        }
    };
    Ok(Some(Winner {
        version,
        digest,
        fate,
    }))
}

/// How far a manifest is here, if it is present.
pub fn image<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
) -> Result<Option<Image>, S> {
    let Some(row) = manifest(store, registry, repository, digest)? else {
        return Ok(None);
    };
    if !hold::is_present(store, registry, repository, digest, &row)? {
        return Ok(None);
    }
    Ok(match row.standing {
        Standing::Absent => None,
        Standing::Wanted => Some(Image::Wanted),
        Standing::Waiting(missing) => Some(Image::Waiting(missing)),
        Standing::Exposed => Some(Image::Exposed),
    })
}

/// A manifest's cell, as another region merges it; without the bytes.
pub fn manifest_cell<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
) -> Result<Option<FoundManifest>, S> {
    let row = manifest(store, registry, repository, digest)?;
    Ok(row.map(|row| FoundManifest {
        manifest: Leaf {
            digest,
            size: row.size,
        },
        add: row.add,
        del: row.del,
        put: row
            .put
            .zip(row.media_type)
            .map(|(version, media_type)| FoundPut {
                version,
                media_type,
            }),
        body: None,
    }))
}

fn manifest<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
) -> Result<Option<Manifest>, S> {
    read(store, &key::manifests(registry, repository).digest(digest))
}
