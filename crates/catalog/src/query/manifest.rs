//! Manifests by tag and by digest.

use meridian_clock::Version;
use meridian_event::RegistryId;
use meridian_oci::{Digest, MediaType, Reference, RepositoryName};

use super::Result;
use crate::access::read;
use crate::key;
use crate::row::{Manifest, Tag};
use crate::{CatalogError, Read};

/// A manifest that is present.
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
}

/// The manifest that a reference names.
pub fn manifest_stat<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<Option<ManifestView>, S> {
    let (digest, tagged) = match reference {
        Reference::Digest(digest) => (*digest, None),
        Reference::Tag(tag) => match read::<Tag, S>(store, &key::tag(registry, repository, tag))? {
            Some(tag) => (tag.digest, Some(tag.version)),
            None => return Ok(None),
        },
    };
    let cell = key::manifests(registry, repository).digest(digest);
    let Some(row) = read::<Manifest, S>(store, &cell)? else {
        return Ok(None);
    };
    let is_visible = tagged.map_or_else(|| row.is_present(), |version| row.shows(version));
    Ok(is_visible.then(|| ManifestView {
        digest,
        version: tagged.unwrap_or(row.add),
        media_type: row.media_type,
        size: row.size,
    }))
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
