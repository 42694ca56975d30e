//! Repositories deleted.
//!
//! A deletion is one range tombstone in the repository's cell: what is in it and not newer is deleted,
//! whether it is here or comes later. It is kept for ever, unlike the tombstones below it, because nothing
//! says how long an old copy of one of its images is on its way.
//!
//! Keeps the invariant that the deletion stands in every row that is read or written from the entry on that
//! brings it. `Cell::load` joins it with a manifest's row; a tag that is older than its manifest's last
//! deletion is hidden by the rule for all tags; queries look at the cell until it is swept. The sweep
//! writes it into the rows that were there before, some in an entry: manifest by manifest, it is a deletion
//! like any other, with the version of the repository's. What it leaves behind of them are tombstones, as
//! ever; attributes just go, and leases end, so that blobs which nothing else needs have their grace.

use meridian_clock::Version;
use meridian_event::Event;
use meridian_oci::{RegistryName, RepositoryName};

use super::agenda::Task;
use super::blob::link;
use super::guard::{self, Guard};
use super::manifest::standing;
use super::place::Place;
use super::turn::Turn;
use super::{Result, attributes, lock, outbox, refuse};
use crate::key::{self, Key};
use crate::row::{Progress, Rights, Stage};
use crate::{CatalogError, Refusal, Reply, Write, query};

/// How many rows of a repository are listed in one go while it is swept.
const PAGE: usize = 64;

/// Deletes a repository and everything in it.
pub(super) fn delete<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: &RegistryName,
    repository: &RepositoryName,
) -> Result<Reply, S> {
    let Some(registry) = turn.registry(registry)? else {
        return refuse::<S>(Refusal::RegistryUnknown);
    };
    let place = Place::new(registry, repository);
    if !is_there(turn, &place)? {
        return refuse::<S>(Refusal::RepositoryUnknown);
    }
    if lock::forbids_end(turn, &place)? {
        return refuse::<S>(Refusal::Locked);
    }
    join(turn, &place, turn.version)?;
    let event = Event::RepositoryDeleted {
        repository: place.repository,
    };
    outbox::emit(turn, registry, event)
}

/// Joins a deletion.
pub(super) fn join<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    version: Version,
) -> Result<(), S> {
    let mut cell = turn.cell(place)?;
    if cell.del >= Some(version) && guard::stands(Guard::DeletionIsAJoin) {
        return Ok(());
    }
    cell.del = Some(version);
    cell.is_swept = false;
    cell.has_newer = false;
    cell.rights = cell.rights.since(attributes::ended(&cell.del));
    turn.put_cell(place, &cell)?;
    // What an older one left to do is done with this one, from the beginning on.
    let task = Task::SweepRepository(place.clone(), Progress::default());
    turn.agenda.push(task);
    Ok(())
}

/// Whether a repository holds anything, be it that a push is merged and not complete.
pub(super) fn is_there<S: Write>(turn: &Turn<'_, S>, place: &Place) -> Result<bool, S> {
    let (row, cell) = (turn.repository(place)?, turn.cell(place)?);
    let is_newer = cell.cover().is_none() || cell.has_newer;
    if is_newer && (row.unexposed > 0 || row.waiting > 0) {
        return Ok(true);
    }
    query::is_repository(turn.store(), place.registry, &place.repository)
}

/// Goes on with sweeping a deleted repository. Returns at how much of it this entry looked.
pub(super) fn sweep<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    from: Progress,
) -> Result<u64, S> {
    let mark = key::covered(place.registry, &place.repository);
    let (mut progress, mut looked) = (from, 0);
    loop {
        if turn.agenda.left() == 0 {
            turn.put(&mark, &progress)?;
            return Ok(looked);
        }
        let limit = turn.agenda.left().min(PAGE);
        let prefix = progress.stage.prefix(place);
        let page = turn.suffixes_after(&prefix, &progress.after, limit)?;
        let is_last = page.len() < limit;
        let mut rest = page.into_iter();
        // A row costs what hangs on it, too: a page is not gone through at any price.
        while turn.agenda.left() > 0
            && let Some(suffix) = rest.next()
        {
            turn.agenda.spend(1);
            progress.stage.step(turn, place, &suffix)?;
            progress.after = suffix;
            looked += 1;
        }
        if !is_last || rest.len() > 0 {
            continue;
        }
        let Some(stage) = progress.stage.next() else {
            break;
        };
        let after = Vec::new();
        progress = Progress { stage, after };
    }
    if turn.exists(&mark)? {
        turn.remove(&mark)?;
    }
    let mut cell = turn.cell(place)?;
    cell.is_swept = true;
    cell.has_newer = false;
    turn.put_cell(place, &cell)?;
    Ok(looked)
}

// === impl Stage ===

impl Stage {
    fn prefix(self, place: &Place) -> Key {
        let (registry, repository) = (place.registry, &place.repository);
        match self {
            Self::Manifests => key::manifests(registry, repository),
            Self::Leases => key::links(registry, repository),
            Self::TagAttributes => key::tag_attributes(registry, repository),
            Self::ManifestAttributes => key::manifest_attributes(registry, repository),
        }
    }

    const fn next(self) -> Option<Self> {
        match self {
            Self::Manifests => Some(Self::Leases),
            Self::Leases => Some(Self::TagAttributes),
            Self::TagAttributes => Some(Self::ManifestAttributes),
            Self::ManifestAttributes => None,
        }
    }

    /// Has the deletion stand in a row.
    fn step<S: Write>(self, turn: &mut Turn<'_, S>, place: &Place, suffix: &[u8]) -> Result<(), S> {
        let cell = turn.cell(place)?;
        let digest = || match key::take_digest(suffix) {
            Some((digest, [])) => Ok(digest),
            _ => Err(CatalogError::Damaged("row of a repository")),
        };
        match self {
            Self::Manifests => {
                let mut looks = 0;
                standing::cover(turn, place, digest()?, &mut looks)?;
                turn.agenda.spend(looks);
                Ok(())
            }
            Self::Leases => match cell.del {
                Some(del) => link::end_with_repository(turn, place, digest()?, del),
                None => Ok(()),
            },
            Self::TagAttributes | Self::ManifestAttributes => {
                end_attributes(turn, place, &[&*self.prefix(place), suffix].concat())
            }
        }
    }
}

/// Removes attributes that ended, so that nobody reads them in vain.
fn end_attributes<S: Write>(turn: &mut Turn<'_, S>, place: &Place, key: &[u8]) -> Result<(), S> {
    let mut cell = turn.cell(place)?;
    let old = turn.read::<Rights>(key)?.unwrap_or_default();
    let rights = old.since(attributes::ended(&cell.del));
    if rights.is_empty() {
        turn.remove(key)?;
        cell.own -= 1;
        turn.put_cell(place, &cell)?;
    } else if rights != old {
        turn.put(key, &rights)?;
    }
    attributes::index(turn, place, key, &rights)
}
