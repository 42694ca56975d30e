//! The key tree of the disk body.
//!
//! ```text
//! <root>/
//!   staging/<registry>/<epoch>-<generation>           an unfinished object
//!   blobs/<registry>/<shard>/<epoch>-<generation>     a finished object
//! ```
//!
//! The part below `blobs` is the key's own text. Folders have mode 0700, files 0600. An object lies
//! in one of the two places: the rename between them is its commit. Files with other names are
//! nobody's here: they are neither listed nor removed.

use std::path::{Path, PathBuf};

use crate::{BlobKey, RegistryKey};

/// Mode of every folder.
pub(super) const FOLDER_MODE: u32 = 0o700;
/// Mode of every file.
pub(super) const FILE_MODE: u32 = 0o600;

const STAGING: &str = "staging";
const BLOBS: &str = "blobs";

/// Where everything lies.
#[derive(Debug)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(super) const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn staging(&self) -> PathBuf {
        self.root.join(STAGING)
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join(BLOBS)
    }

    /// The folder of a registry's unfinished objects.
    pub(super) fn staging_of(&self, registry: &RegistryKey) -> PathBuf {
        self.staging().join(registry.as_str())
    }

    /// The folder of a registry's finished objects of one shard.
    pub(super) fn shard_of(&self, registry: &RegistryKey, shard: u8) -> PathBuf {
        let registry = self.blobs().join(registry.as_str());
        registry.join(format!("{shard:02x}"))
    }

    /// An unfinished object.
    pub(super) fn staged(&self, key: &BlobKey) -> PathBuf {
        self.staging_of(&key.registry).join(key.leaf())
    }

    /// A finished object.
    pub(super) fn finished(&self, key: &BlobKey) -> PathBuf {
        self.root.join(Self::finished_from_root(key))
    }

    /// A finished object, seen from the root.
    pub(super) fn finished_from_root(key: &BlobKey) -> String {
        format!("{BLOBS}/{key}")
    }
}
