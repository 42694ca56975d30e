//! The state while one entry is applied to it.
//!
//! Owns typed access to rows, and the counters that several commands move.

use std::cell::RefCell;

use meridian_clock::Version;
use meridian_event::{RegistryId, TraceContext};
use meridian_oci::RegistryName;

use super::Result;
use super::agenda::Agenda;
use super::place::Place;
use crate::access::{exists, read, suffixes};
use crate::key;
use crate::row::{Push, Repository, RepositoryCell, Row, System, Usage};
use crate::{CatalogError, Entry, Write, hold};

/// The state, the version of the entry, and what the state knows of itself.
pub(super) struct Turn<'s, S> {
    store: &'s mut S,
    pub(super) system: System,
    pub(super) version: Version,
    /// Of the request that the entry serves.
    pub(super) trace: Option<TraceContext>,
    /// The leader's wall clock when it took the command.
    pub(super) clock: u64,
    /// What the entry has caused and not done.
    pub(super) agenda: Agenda,
    /// The newest version that it merged.
    newest: Option<Version>,
    /// Pushes elsewhere that it merged.
    pub(super) pushes: Vec<Push>,
    /// The cell of the repository that was asked for last: most entries are about one.
    cell: RefCell<Option<(Place, RepositoryCell)>>,
    is_changed: bool,
    /// Room to encode rows in, one after the other.
    bytes: Vec<u8>,
}

/// How far ahead of its clock a leader stamps versions, in milliseconds (design §6.5).
const AHEAD: u64 = 60_000;

/// How far the clocks of two members may be apart (design §6.5).
const APART: u64 = 10_000;

/// How far ahead of the leader's clock a version of another region may be, in milliseconds. What is
/// further ahead would drag this region's versions along, and is not absorbed; nor is what a next
/// leader, whose clock is a little behind, would find too far ahead to stamp anything above.
const NEAR: u64 = AHEAD - APART;

// === impl Turn ===

impl<'s, S: Write> Turn<'s, S> {
    pub(super) fn new(store: &'s mut S, system: System, version: Version, entry: &Entry) -> Self {
        Self {
            store,
            system,
            version,
            trace: entry.trace,
            clock: entry.millis,
            agenda: Agenda::default(),
            newest: None,
            pushes: Vec::new(),
            cell: RefCell::new(None),
            is_changed: false,
            bytes: Vec::new(),
        }
    }

    /// Milliseconds of this entry's version: the time, as far as the state knows.
    pub(super) const fn now(&self) -> u64 {
        self.version.millis
    }

    /// A version of its own for a notice, greater than all that the entry stamped before.
    pub(super) fn stamp(&mut self) -> Version {
        self.version = Version::next(Some(self.version), self.now(), self.system.region);
        self.version
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
        let bytes = row.encode_into(std::mem::take(&mut self.bytes));
        self.put_bytes(key, &bytes)?;
        self.bytes = bytes;
        Ok(())
    }

    pub(super) fn put_bytes(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), S> {
        self.is_changed = true;
        self.store.put(key, bytes).map_err(CatalogError::Store)
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Result<(), S> {
        self.is_changed = true;
        self.store.remove(key).map_err(CatalogError::Store)
    }

    /// The registry that bears a name.
    pub(super) fn registry(&self, name: &RegistryName) -> Result<Option<RegistryId>, S> {
        self.read(&key::registry_name(name.as_str()))
    }

    /// Whether the entry wrote anything.
    pub(super) const fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// Whether a version is too far ahead of the clock to be absorbed.
    pub(super) const fn is_ahead(&self, version: Version) -> bool {
        version.millis > self.clock.saturating_add(NEAR)
    }

    /// Makes later versions newer than one that is merged.
    pub(super) fn absorb(&mut self, version: Version) {
        self.newest = self.newest.max(Some(version));
    }

    /// A repository's cell, or one that says nothing.
    pub(super) fn cell(&self, place: &Place) -> Result<RepositoryCell, S> {
        if let Some((of, cell)) = &*self.cell.borrow()
            && of == place
        {
            return Ok(*cell);
        }
        let cell = hold::cell(self.store, place.registry, &place.repository)?;
        self.cell.replace(Some((place.clone(), cell)));
        Ok(cell)
    }

    /// Writes a repository's cell.
    pub(super) fn put_cell(&mut self, place: &Place, cell: &RepositoryCell) -> Result<(), S> {
        let key = key::repository_cell(place.registry, &place.repository);
        self.cell.replace(Some((place.clone(), *cell)));
        self.put(&key, cell)
    }

    /// Notes that something was put in a deleted repository, if it is newer, while that is swept: who asks
    /// whether there is such a repository need not look for it.
    pub(super) fn note_newer(&mut self, place: &Place, put: Version) -> Result<(), S> {
        let mut cell = self.cell(place)?;
        if cell.has_newer || cell.cover().is_none_or(|cover| put <= cover) {
            return Ok(());
        }
        cell.has_newer = true;
        self.put_cell(place, &cell)
    }

    /// The counters of a repository.
    pub(super) fn repository(&self, place: &Place) -> Result<Repository, S> {
        let row = self.read(&key::repository(place.registry, &place.repository))?;
        Ok(row.unwrap_or_default())
    }

    /// Moves the counters of a repository and of its registry. A repository begins with the
    /// first thing in it and ends with the last.
    pub(super) fn count<T>(
        &mut self,
        place: &Place,
        change: impl FnOnce(&mut Repository, &mut Usage) -> T,
    ) -> Result<T, S> {
        let repository_key = key::repository(place.registry, &place.repository);
        let usage_key = key::usage(place.registry);
        let before = self.read::<Repository>(&repository_key)?;
        let mut usage = self.read::<Usage>(&usage_key)?.unwrap_or_default();
        let mut after = before.clone().unwrap_or_default();
        let result = change(&mut after, &mut usage);
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
        self.put(&usage_key, &usage)?;
        Ok(result)
    }

    /// Moves the counters of a registry's blobs.
    pub(super) fn count_blobs<T>(
        &mut self,
        registry: RegistryId,
        change: impl FnOnce(&mut Usage) -> T,
    ) -> Result<T, S> {
        let usage_key = key::usage(registry);
        let mut usage = self.read::<Usage>(&usage_key)?.unwrap_or_default();
        let result = change(&mut usage);
        self.put(&usage_key, &usage)?;
        Ok(result)
    }

    /// Writes down that the entry took effect.
    pub(super) fn close(mut self) -> Result<(), S> {
        self.system.last = self.newest.max(Some(self.version)).unwrap_or(self.version);
        let system = self.system.clone();
        self.put(key::SYSTEM, &system)
    }
}
