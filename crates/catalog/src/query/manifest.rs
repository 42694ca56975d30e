//! Manifests by tag and by digest, as far as this region may answer them: exposed ones.

use meridian_clock::Version;
use meridian_event::{RegistryId, Target};
use meridian_oci::{Digest, MediaType, Reference, RepositoryName, Tag as TagName};

use super::Result;
use super::repository::allowed;
use crate::access::read;
use crate::hold;
use crate::key;
use crate::row::{Tag, TagCell};
use crate::{CatalogError, Read};

/// A manifest that is exposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestView {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: MediaType,
    /// Its length in bytes.
    pub size: u64,
    /// The version of the tag that was asked for, or of the manifest.
    pub version: Version,
    /// Whether the tag has a newer value, of which something is not here yet.
    pub is_overtaken: bool,
    /// Whether it may be pulled: by its own attributes, those of the tag, and those of the repository.
    pub is_readable: bool,
}

/// The manifest that a reference names.
pub fn manifest_stat<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<Option<ManifestView>, S> {
    let repository_cell = hold::cell(store, registry, repository)?;
    let cover = repository_cell.cover();
    let mut is_overtaken = false;
    let (digest, tagged) = match reference {
        Reference::Digest(digest) => (*digest, None),
        Reference::Tag(name) => {
            let tag = read::<Tag, S>(store, &key::tag(registry, repository, name))?;
            match tag {
                Some(tag) if is_current(store, registry, repository, name, &tag, cover)? => {
                    is_overtaken = tag.is_behind;
                    (tag.digest, Some(tag.version))
                }
                _ => return Ok(None),
            }
        }
    };
    let Some(row) = hold::manifest(store, registry, repository, digest, cover)? else {
        return Ok(None);
    };
    let is_visible = row.is_exposed()
        && tagged.is_none_or(|version| row.shows(version))
        && hold::is_present(store, registry, repository, digest, &row, cover)?;
    if !is_visible {
        return Ok(None);
    }
    let media_type = row.media_type.ok_or(CatalogError::Damaged("manifest"))?;
    // What is only needed may not have been put yet, as far as is known here.
    let version = tagged.or(row.add).unwrap_or_else(|| registry.version());
    let may = |target| allowed(store, registry, repository, &repository_cell, &target);
    let mut is_readable = may(Target::Manifest(digest))?.read;
    if let Reference::Tag(name) = reference {
        is_readable &= may(Target::Tag(name.clone()))?.read;
    }
    Ok(Some(ManifestView {
        digest,
        media_type,
        size: row.size,
        version,
        is_overtaken,
        is_readable,
    }))
}

/// Whether a tag may be answered with what it shows. It may not when it is behind a winner that can
/// never be shown; sweeping drops it then.
pub(super) fn is_current<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    name: &TagName,
    tag: &Tag,
    cover: Option<Version>,
) -> Result<bool, S> {
    if !tag.is_behind {
        return Ok(true);
    }
    let cell = read::<TagCell, S>(store, &key::tag_cell(registry, repository, name))?;
    let Some(TagCell {
        version,
        digest: Some(winner),
    }) = cell
    else {
        return Ok(false);
    };
    let manifest = hold::manifest(store, registry, repository, winner, cover)?;
    Ok(manifest.is_some_and(|manifest| manifest.shows(version)))
}

/// The manifest that a reference names, its bytes shown to `look`.
pub fn manifest<S: Read, T>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    reference: &Reference,
    look: impl FnOnce(&[u8]) -> T,
) -> Result<Option<(ManifestView, T)>, S> {
    let Some(view) = manifest_stat(store, registry, repository, reference)? else {
        return Ok(None);
    };
    let key = key::bodies(registry, repository).digest(view.digest);
    let body = store.get(&key, look).map_err(CatalogError::Store)?;
    let body = body.ok_or(CatalogError::Damaged("bytes of a manifest"))?;
    Ok(Some((view, body)))
}
