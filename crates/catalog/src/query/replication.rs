//! What replication asks: how far other regions are merged, what is here, and what peers are
//! answered. What is wanted stands in `wanted.rs`.

use meridian_clock::{Region, Version};
use meridian_event::{Leaf, RegistryId};
use meridian_oci::{Digest, RepositoryName, Tag as TagName};

use super::Result;
use super::wanted::{is_blob_awaited, is_manifest_wanted};
use crate::access::{exists, read, suffixes};
use crate::hold;
use crate::key;
use crate::row::{Cursor, Manifest, Standing, Tag, TagCell};
use crate::{CatalogError, FoundManifest, FoundPut, Read};

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

/// Whether content is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is here, and nothing waits for it.
    Here,
    /// It is not, and something waits for it.
    Wanted,
    /// It is not, and nothing waits for it.
    Absent,
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
    let cover = hold::cell(store, registry, repository)?.cover();
    if !hold::is_present(store, registry, repository, digest, &row, cover)? {
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

/// Whether the bytes of a manifest are in a repository. They are wanted if any repository of the
/// registry wants them: where they come from is the same for all.
pub fn manifest_presence<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
) -> Result<Presence, S> {
    if is_manifest_wanted(store, registry, digest)? {
        return Ok(Presence::Wanted);
    }
    let row = manifest(store, registry, repository, digest)?;
    Ok(match row {
        Some(row) if row.has_body() => Presence::Here,
        _ => Presence::Absent,
    })
}

/// Whether a blob is recorded in a registry.
pub fn blob_presence<S: Read>(
    store: &S,
    registry: RegistryId,
    digest: Digest,
) -> Result<Presence, S> {
    if exists(store, &key::blob(registry, digest))? {
        return Ok(Presence::Here);
    }
    Ok(if is_blob_awaited(store, registry, digest)? {
        Presence::Wanted
    } else {
        Presence::Absent
    })
}

/// The bytes of a manifest, exposed or not, shown to `look`; nothing, if they are not here.
pub fn body<S: Read, T>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
    look: impl FnOnce(&[u8]) -> T,
) -> Result<Option<T>, S> {
    let key = key::bodies(registry, repository).digest(digest);
    store.get(&key, look).map_err(CatalogError::Store)
}

/// A manifest's cell, as the deletion of its repository leaves it.
pub(super) fn manifest<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
) -> Result<Option<Manifest>, S> {
    let cover = hold::cell(store, registry, repository)?.cover();
    hold::manifest(store, registry, repository, digest, cover)
}
