//! The state while one entry is applied to it.
//!
//! Owns typed access to rows, and the counters that several commands move.

use meridian_clock::Version;
use meridian_event::RegistryId;
use meridian_oci::{RegistryName, RepositoryName};

use super::Result;
use crate::access::{exists, read, suffixes};
use crate::key;
use crate::row::{Repository, Row, System, Usage};
use crate::{CatalogError, Write};

/// The state, the version of the entry, and what the state knows of itself.
pub(super) struct Turn<'s, S> {
    store: &'s mut S,
    pub(super) system: System,
    pub(super) version: Version,
}

// === impl Turn ===

impl<'s, S: Write> Turn<'s, S> {
    pub(super) const fn new(store: &'s mut S, system: System, version: Version) -> Self {
        Self {
            store,
            system,
            version,
        }
    }

    /// Milliseconds of this entry's version: the time, as far as the state knows.
    pub(super) const fn now(&self) -> u64 {
        self.version.millis
    }

    /// The state, for judgements that queries share.
    pub(super) const fn store(&self) -> &S {
        self.store
    }

    pub(super) fn read<T: Row>(&self, key: &[u8]) -> Result<Option<T>, S> {
        read(self.store, key)
    }

    pub(super) fn exists(&self, key: &[u8]) -> Result<bool, S> {
        exists(self.store, key)
    }

    pub(super) fn suffixes(&self, prefix: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, S> {
        suffixes(self.store, prefix, &[], limit)
    }

    pub(super) fn suffixes_after(
        &self,
        prefix: &[u8],
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, S> {
        suffixes(self.store, prefix, after, limit)
    }

    pub(super) fn put<T: Row>(&mut self, key: &[u8], row: &T) -> Result<(), S> {
        self.put_bytes(key, &row.encode())
    }

    pub(super) fn put_bytes(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), S> {
        self.store.put(key, bytes).map_err(CatalogError::Store)
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Result<(), S> {
        self.store.remove(key).map_err(CatalogError::Store)
    }

    /// The registry that bears a name.
    pub(super) fn registry(&self, name: &RegistryName) -> Result<Option<RegistryId>, S> {
        self.read(&key::registry_name(name.as_str()))
    }

    /// Whether anything was ever put into the repository that is still there.
    pub(super) fn is_repository(
        &self,
        registry: RegistryId,
        repository: &RepositoryName,
    ) -> Result<bool, S> {
        self.exists(&key::repository(registry, repository))
    }

    /// Moves the counters of a repository and of its registry. A repository begins with the
    /// first thing in it and ends with the last.
    pub(super) fn count(
        &mut self,
        registry: RegistryId,
        repository: &RepositoryName,
        change: impl FnOnce(&mut Repository, &mut Usage),
    ) -> Result<(), S> {
        let repository_key = key::repository(registry, repository);
        let usage_key = key::usage(registry);
        let before = self.read::<Repository>(&repository_key)?;
        let mut usage = self.read::<Usage>(&usage_key)?.unwrap_or_default();
        let mut after = before.clone().unwrap_or_default();
        change(&mut after, &mut usage);
        let is_empty = after == Repository::default();
        match (before.is_some(), is_empty) {
            (false, false) => usage.repositories += 1,
            (true, true) => usage.repositories -= 1,
            _ => {}
        }
        if is_empty {
            self.remove(&repository_key)?;
        } else if before.as_ref() != Some(&after) {
            self.put(&repository_key, &after)?;
        }
        self.put(&usage_key, &usage)
    }

    /// Moves the counters of a registry's blobs.
    pub(super) fn count_blobs(
        &mut self,
        registry: RegistryId,
        change: impl FnOnce(&mut Usage),
    ) -> Result<(), S> {
        let usage_key = key::usage(registry);
        let mut usage = self.read::<Usage>(&usage_key)?.unwrap_or_default();
        change(&mut usage);
        self.put(&usage_key, &usage)
    }

    /// Writes down that the entry took effect.
    pub(super) fn close(mut self) -> Result<(), S> {
        self.system.last = self.version;
        let system = self.system.clone();
        self.put(key::SYSTEM, &system)
    }
}
