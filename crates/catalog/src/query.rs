//! Answers from a state.
//!
//! Nothing here changes a state or knows how fresh it is; whoever asks has seen to that.

mod blob;
mod list;
mod manifest;
mod outbox;

use meridian_event::RegistryId;
use meridian_oci::{RegistryName, RepositoryName};

pub use blob::{BlobView, DueView, blob, doomed, due, is_known};
pub use list::{Listed, referrers, repositories, tags};
pub use manifest::{ManifestView, manifest, manifest_stat};
pub use outbox::{outbox, streams};

use crate::access::{exists, read, suffixes};
use crate::row::{System, Usage};
use crate::{CatalogError, Read, key};

type Result<T, S> = std::result::Result<T, CatalogError<<S as Read>::Error>>;

/// What the state knows of itself; nothing, before it is initialized.
pub fn system<S: Read>(store: &S) -> Result<Option<System>, S> {
    read(store, key::SYSTEM)
}

/// The registry that bears a name.
pub fn registry<S: Read>(store: &S, name: &RegistryName) -> Result<Option<RegistryId>, S> {
    read(store, &key::registry_name(name.as_str()))
}

/// Whether a repository holds, or held until a moment ago, anything.
pub fn is_repository<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
) -> Result<bool, S> {
    exists(store, &key::repository(registry, repository))
}

/// Whether tags of deleted manifests are still to be swept.
pub fn has_sweeps<S: Read>(store: &S) -> Result<bool, S> {
    Ok(!suffixes(store, key::SWEEPS, &[], 1)?.is_empty())
}

/// What a registry holds.
pub fn usage<S: Read>(store: &S, registry: RegistryId) -> Result<Usage, S> {
    Ok(read(store, &key::usage(registry))?.unwrap_or_default())
}
