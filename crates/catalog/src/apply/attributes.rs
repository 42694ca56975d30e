//! Attributes of repositories, tags and manifests.
//!
//! Keeps invariant 9: each attribute is a register of its own, under a key of its own. What is locked may
//! come later, or again, or have gone: nothing that happens to it says anything of its attributes, but for
//! the deletion of the repository, which ends those that are older. What they forbid stands in `lock.rs`.

use meridian_clock::Version;
use meridian_event::{Attributes, Event, Setting, Target};
use meridian_oci::{RegistryName, RepositoryName};

use super::guard::{self, Guard};
use super::manifest::check;
use super::manifest::standing::Cell;
use super::place::Place;
use super::turn::Turn;
use super::{Result, manifest, outbox, refuse, repository, tag};
use crate::row::Rights;
use crate::{Refusal, Reply, Write};

/// Sets attributes of what is there, or of what has some though it is gone: else nobody could take a lock
/// from a name again.
pub(super) fn set<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: &RegistryName,
    repository: &RepositoryName,
    target: &Target,
    attributes: Attributes<Option<bool>>,
) -> Result<Reply, S> {
    let Some(registry) = turn.registry(registry)? else {
        return refuse::<S>(Refusal::RegistryUnknown);
    };
    let place = Place::new(registry, repository);
    if !is_there(turn, &place, target)? && rights(turn, &place, target)?.is_empty() {
        let unknown = manifest::unknown(turn, &place)?;
        return refuse::<S>(unknown);
    }
    if attributes.into_values().all(|wanted| wanted.is_none()) {
        return Ok(Reply::Nothing);
    }
    let settings = stamp(attributes, turn.version);
    join(turn, &place, target, settings)?;
    let event = Event::AttributesSet {
        repository: place.repository,
        target: target.clone(),
        attributes,
    };
    outbox::emit(turn, registry, event)
}

/// What was set by a mutation.
pub(super) fn stamp(
    attributes: Attributes<Option<bool>>,
    version: Version,
) -> Attributes<Option<Setting>> {
    let setting = |is_enabled| Setting {
        version,
        is_enabled,
    };
    attributes.map(|wanted| wanted.map(setting))
}

/// Joins what was set, whether or not what it is of is there.
pub(super) fn join<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    target: &Target,
    settings: Attributes<Option<Setting>>,
) -> Result<(), S> {
    let mut cell = turn.cell(place)?;
    let end = ended(&cell.del);
    let must_be_newer = guard::stands(Guard::AttributeIsARegister);
    let new = Rights { settings }.since(end).settings;
    let Some(key) = place.attributes(target) else {
        let old = cell.rights;
        cell.rights.join(new, must_be_newer);
        return match cell.rights == old {
            true => Ok(()),
            false => turn.put_cell(place, &cell),
        };
    };
    let old = turn.read::<Rights>(&key)?;
    let mut rights = old.unwrap_or_default().since(end);
    rights.join(new, must_be_newer);
    if rights == old.unwrap_or_default() {
        return Ok(());
    }
    if old.is_none() {
        cell.own += 1;
        turn.put_cell(place, &cell)?;
    }
    turn.put(&key, &rights)?;
    index(turn, place, &key, &rights)
}

/// Keeps what must not be deleted by its own attributes apart from all that has some: whoever asks for those
/// need not look at what was unlocked again.
pub(super) fn index<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    key: &[u8],
    rights: &Rights,
) -> Result<(), S> {
    let mut cell = turn.cell(place)?;
    let locked = place.locked(key);
    match (
        turn.exists(&locked)?,
        rights.in_force(None).may_be_deleted(),
    ) {
        (false, false) => {
            turn.put_bytes(&locked, &[])?;
            cell.locks += 1;
        }
        (true, true) => {
            turn.remove(&locked)?;
            cell.locks -= 1;
        }
        _ => return Ok(()),
    }
    turn.put_cell(place, &cell)
}

/// What was set of something, since its repository was last deleted. Costs nothing beyond the
/// repository's cell where no tag and no manifest has attributes of its own.
pub(super) fn rights<S: Write>(
    turn: &Turn<'_, S>,
    place: &Place,
    target: &Target,
) -> Result<Rights, S> {
    let cell = turn.cell(place)?;
    let rights = match place.attributes(target) {
        None => cell.rights,
        Some(_) if cell.own == 0 => Rights::default(),
        Some(key) => turn.read::<Rights>(&key)?.unwrap_or_default(),
    };
    Ok(rights.since(ended(&cell.del)))
}

/// The deletion of a repository that ends older attributes.
pub(super) fn ended(del: &Option<Version>) -> Option<Version> {
    del.filter(|_| guard::stands(Guard::AttributesEnd))
}

/// Whether something is present, as far as is merged here.
pub(super) fn is_there<S: Write>(
    turn: &Turn<'_, S>,
    place: &Place,
    target: &Target,
) -> Result<bool, S> {
    match target {
        Target::Repository => repository::is_there(turn, place),
        Target::Tag(name) => Ok(tag::points_at(turn, place, name)?.is_some()),
        Target::Manifest(digest) => {
            let row = Cell::load(turn, place, *digest)?.row;
            check::is_present(turn, place, *digest, &row)
        }
    }
}
