//! Manifests put and deleted.
//!
//! Keeps invariant 1 while they come and go: a manifest is put only upon leaves that are present,
//! and a leaf goes only when no present manifest needs it. What other regions did to manifests, and
//! how those become exposed, stands in the modules below; commands take the same joins and the same
//! steps, with a version that is newer than all.

pub(super) mod check;
pub(super) mod merge;
mod needs;
pub(super) mod standing;

use meridian_event::{Event, Leaf, Notice, RegistryId};
use meridian_oci::{Digest, RegistryName, RepositoryName};

use super::guard::{self, Guard};
use super::place::Place;
use super::turn::Turn;
use super::{Result, heartbeat, lock, meet, outbox, refuse, tag};
use crate::key;
use crate::row::{Needs, Standing};
use crate::{CatalogError, Condition, NewManifest, Refusal, Reply, Write};
use standing::Cell;

/// How many holders a refusal names.
const HOLDERS_NAMED: usize = 16;

/// Puts a manifest and points its tags at it.
pub(super) fn put<S: Write>(turn: &mut Turn<'_, S>, new: &NewManifest) -> Result<Reply, S> {
    let Some(registry) = turn.registry(&new.registry)? else {
        return refuse::<S>(Refusal::RegistryUnknown);
    };
    if let Some(refusal) = meet::hindrance(turn)? {
        return refuse::<S>(refusal);
    }
    let place = Place::new(registry, &new.repository);
    if let Some(refusal) = check::refusal(turn, &place, new)? {
        return refuse::<S>(refusal);
    }
    let mut cell = Cell::load(turn, &place, new.digest)?;
    cell.row.raise(turn.version);
    cell.row.name(turn.version, &new.media_type);
    let foreign = needs::linked_foreign(turn, &place, &new.foreign)?;
    complete(turn, &mut cell, new, &foreign)?;
    cell.save(turn)?;
    turn.note_newer(&place, turn.version)?;
    needs::raise_leaves(turn, &place, new, &foreign)?;
    for name in &new.tags {
        tag::point(turn, &place, name, new.digest)?;
    }
    let push = outbox::add(turn, registry, event(new))?;
    let notice = Notice {
        push,
        repository: new.repository.clone(),
        manifest: leaf(new),
        media_type: new.media_type.clone(),
        tags: new.tags.clone(),
    };
    heartbeat::await_others(turn, registry, notice)?;
    Ok(Reply::Done {
        version: turn.version,
    })
}

/// Exposes a manifest whose leaves are all here. One that is exposed already is described anew, and
/// holds what came after it.
fn complete<S: Write>(
    turn: &mut Turn<'_, S>,
    cell: &mut Cell<'_>,
    new: &NewManifest,
    foreign: &[Leaf],
) -> Result<(), S> {
    let (place, digest) = (cell.place, cell.digest);
    if cell.row.standing == Standing::Wanted || cell.row.is_misdescribed {
        cell.row.is_misdescribed = false;
        turn.remove(&place.wanted(digest))?;
    }
    let referrer = needs::referrer(new.referrer.as_ref());
    let referrer = new.subject.zip(referrer);
    match cell.row.standing {
        Standing::Absent | Standing::Wanted => {
            let needs = Needs {
                blobs: [new.blobs.as_slice(), foreign].concat(),
                children: needs::children(digest, &new.children),
                subject: new.subject,
                referrer: None,
            };
            cell.row.size = new.bytes.len() as u64;
            needs::write(turn, place, digest, &needs, &new.bytes)?;
            standing::expose(turn, cell, referrer)
        }
        Standing::Waiting(_) => {
            let needs = needs::adopt(turn, place, digest, foreign)?;
            standing::wait_no_more(turn, place, digest, &needs)?;
            standing::expose(turn, cell, referrer)
        }
        Standing::Exposed => {
            if !foreign.is_empty() {
                needs::adopt(turn, place, digest, foreign)?;
            }
            match referrer {
                Some((subject, referrer)) => turn.put(&place.referrer(subject, digest), &referrer),
                None => Ok(()),
            }
        }
    }
}

/// Deletes a manifest and every tag that points at it.
pub(super) fn delete<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: &RegistryName,
    repository: &RepositoryName,
    digest: Digest,
    condition: Option<Condition>,
) -> Result<Reply, S> {
    let Some(registry) = turn.registry(registry)? else {
        return refuse::<S>(Refusal::RegistryUnknown);
    };
    let place = Place::new(registry, repository);
    let mut cell = Cell::load(turn, &place, digest)?;
    let is_present = check::is_present(turn, &place, digest, &cell.row)?;
    if let Some(refusal) = unmet(condition, is_present.then_some(digest)) {
        return refuse::<S>(refusal);
    }
    if !is_present {
        let unknown = unknown(turn, &place)?;
        return refuse::<S>(unknown);
    }
    if lock::forbids_delete(turn, &place, digest)? {
        return refuse::<S>(Refusal::Locked);
    }
    let holders = holders(turn, registry, repository, digest)?;
    let present = present(turn, &place, &holders)?;
    if guard::stands(Guard::NeededStays) && !present.is_empty() {
        return refuse::<S>(Refusal::InUse(present));
    }
    cell.row.del = Some(turn.version);
    match guard::stands(Guard::NeededStays) && !holders.is_empty() {
        // Those went with the repository. It goes when they are swept.
        true => standing::reconsider(turn, &mut cell)?,
        false => standing::vanish(turn, &mut cell)?,
    };
    cell.save(turn)?;
    tag::hide_all(turn, &place, digest);
    let event = Event::ManifestDeleted {
        repository: place.repository,
        digest,
    };
    outbox::emit(turn, registry, event)
}

/// The manifests that need a leaf; some of them, if they are many.
pub(super) fn holders<S: Write>(
    turn: &Turn<'_, S>,
    registry: RegistryId,
    repository: &RepositoryName,
    leaf: Digest,
) -> Result<Vec<Digest>, S> {
    let prefix = key::holders(registry, repository).digest(leaf);
    let suffixes = turn.suffixes(&prefix, HOLDERS_NAMED)?;
    let digests = suffixes
        .iter()
        .map(|suffix| key::take_digest(suffix).map(|(digest, _)| digest));
    digests
        .collect::<Option<_>>()
        .ok_or(CatalogError::Damaged("holder"))
}

/// Those of some manifests that did not go with their repository.
fn present<S: Write>(
    turn: &Turn<'_, S>,
    place: &Place,
    manifests: &[Digest],
) -> Result<Vec<Digest>, S> {
    if turn.cell(place)?.cover().is_none() {
        return Ok(manifests.to_vec());
    }
    let mut present = Vec::new();
    for digest in manifests {
        let row = Cell::load(turn, place, *digest)?.row;
        if check::is_present(turn, place, *digest, &row)? {
            present.push(*digest);
        }
    }
    // Of so many, there may be more; it is safe to say that they are.
    Ok(
        match present.is_empty() && manifests.len() == HOLDERS_NAMED {
            true => manifests.to_vec(),
            false => present,
        },
    )
}

/// What is wrong with a condition, given what there is.
pub(super) fn unmet(condition: Option<Condition>, current: Option<Digest>) -> Option<Refusal> {
    let is_met = match condition {
        None => true,
        Some(Condition::Absent) => current.is_none(),
        Some(Condition::PointsAt(digest)) => current == Some(digest),
    };
    (!is_met).then_some(Refusal::ConditionFailed(current))
}

/// What to say of a manifest or a tag that is not there: perhaps there is no such repository.
pub(super) fn unknown<S: Write>(turn: &Turn<'_, S>, place: &Place) -> Result<Refusal, S> {
    Ok(if turn.repository(place)?.is_exposed() {
        Refusal::ManifestUnknown
    } else {
        Refusal::RepositoryUnknown
    })
}

const fn leaf(new: &NewManifest) -> Leaf {
    Leaf {
        digest: new.digest,
        size: new.bytes.len() as u64,
    }
}

fn event(new: &NewManifest) -> Event {
    Event::ManifestPut {
        repository: new.repository.clone(),
        manifest: leaf(new),
        media_type: new.media_type.clone(),
        tags: new.tags.clone(),
        blobs: new.blobs.clone(),
        children: new.children.clone(),
        subject: new.subject,
    }
}
