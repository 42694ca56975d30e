//! What attributes forbid.
//!
//! Decided where a mutation is committed, at its place in the log; never where it is merged (design §6.9).
//! The right to change something is what its own attributes and those of its repository allow together.
//! A tag's are not those of its manifest: a locked manifest may be tagged, and lose a tag. But it stays while
//! one of its tags must not go, and a repository while anything in it must not.
//!
//! A push without locks anywhere near costs one read here, of the repository's cell.

use std::collections::BTreeSet;

use meridian_event::{Attributes, Target};
use meridian_oci::{Digest, Tag as TagName};

use super::guard::{self, Guard};
use super::manifest::check;
use super::manifest::standing::Cell;
use super::place::Place;
use super::turn::Turn;
use super::{Result, attributes, tag};
use crate::key::{self, Key};
use crate::row::{Needs, Rights};
use crate::{CatalogError, NewManifest, Write};

/// At how many things one deletion looks: as many as the largest manifest has children, which one entry puts.
/// Where there are more, and something in the repository is locked, that may be among those that nobody looked
/// at, and is kept.
const LOOKS: usize = meridian_oci::MAX_DESCRIPTORS;

/// Whether a manifest may not be put, or its tags not be pointed at it. What changes nothing is no
/// overwriting: a tag that points at it already, or a manifest of the same media type.
pub(super) fn forbids_put<S: Write>(
    turn: &Turn<'_, S>,
    place: &Place,
    new: &NewManifest,
) -> Result<bool, S> {
    if forbids_upload(turn, place)? {
        return Ok(true);
    }
    if turn.cell(place)?.own == 0 || !guard::stands(Guard::LocksHold) {
        return Ok(false);
    }
    if !own(turn, place, Target::Manifest(new.digest))?.write {
        let row = Cell::load(turn, place, new.digest)?.row;
        let is_other = row.media_type.as_ref() != Some(&new.media_type);
        if is_other && check::is_present(turn, place, new.digest, &row)? {
            return Ok(true);
        }
    }
    for name in &new.tags {
        let may_move = own(turn, place, Target::Tag(name.clone()))?.write;
        if !may_move && tag::points_at(turn, place, name)? != Some(new.digest) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether nothing may be put into a repository.
pub(super) fn forbids_upload<S: Write>(turn: &Turn<'_, S>, place: &Place) -> Result<bool, S> {
    let is_locked = !own(turn, place, Target::Repository)?.write;
    Ok(is_locked && guard::stands(Guard::LocksHold))
}

/// Whether nothing may be deleted from a repository.
pub(super) fn forbids_any_delete<S: Write>(turn: &Turn<'_, S>, place: &Place) -> Result<bool, S> {
    let is_locked = !own(turn, place, Target::Repository)?.may_be_deleted();
    Ok(is_locked && guard::stands(Guard::LocksHold))
}

/// Whether a tag may not be deleted.
pub(super) fn forbids_untag<S: Write>(
    turn: &Turn<'_, S>,
    place: &Place,
    name: &TagName,
) -> Result<bool, S> {
    Ok(forbids_any_delete(turn, place)? || is_kept(turn, place, Target::Tag(name.clone()))?)
}

/// Whether a manifest may not be deleted, with all of its tags.
pub(super) fn forbids_delete<S: Write>(
    turn: &Turn<'_, S>,
    place: &Place,
    digest: Digest,
) -> Result<bool, S> {
    if forbids_any_delete(turn, place)? || is_kept(turn, place, Target::Manifest(digest))? {
        return Ok(true);
    }
    if turn.cell(place)?.locks == 0 {
        return Ok(false);
    }
    Ok(keeps_tag(turn, place, digest)? || keeps_child(turn, place, digest)?)
}

/// Whether a tag of a manifest must not be deleted. Looks at all of its tags or at all that is locked, whichever
/// is less.
fn keeps_tag<S: Write>(turn: &Turn<'_, S>, place: &Place, digest: Digest) -> Result<bool, S> {
    let of_it = [place.tags_of(digest), place.tags_waiting_for(digest)];
    let locks = usize::try_from(turn.cell(place)?.locks).unwrap_or(usize::MAX);
    let few = locks.min(LOOKS);
    let mut names = BTreeSet::new();
    for prefix in &of_it {
        names.extend(tags(turn, prefix, few + 1)?);
    }
    if names.len() > few {
        let Some(locked) = locked(turn, place)? else {
            return Ok(guard::stands(Guard::LocksHold));
        };
        let name = |target| match target {
            Target::Tag(name) => Some(name),
            Target::Manifest(_) | Target::Repository => None,
        };
        names = locked.into_iter().filter_map(name).collect();
    }
    for name in names {
        let mut is_of_it = false;
        for prefix in &of_it {
            is_of_it |= turn.exists(&prefix.clone().text(name.as_str()))?;
        }
        if is_of_it && is_kept(turn, place, Target::Tag(name))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether something that only this manifest keeps, and that would go with it, must not be deleted. Usually
/// nothing would: what was put goes by a deletion of its own. If what was deleted elsewhere, and is kept, has
/// more below it than [`LOOKS`], all told, it stays until nothing in the repository is locked.
fn keeps_child<S: Write>(turn: &Turn<'_, S>, place: &Place, digest: Digest) -> Result<bool, S> {
    let (mut seen, mut left) = (BTreeSet::new(), vec![digest]);
    let mut looks = 0;
    while let Some(parent) = left.pop() {
        let Some(needs) = turn.read::<Needs>(&place.needs(parent))? else {
            continue;
        };
        for child in needs.distinct_children() {
            looks += 1;
            if looks > LOOKS {
                return Ok(guard::stands(Guard::LocksHold));
            }
            let row = Cell::load(turn, place, child)?.row;
            let goes = !row.is_absent()
                && !row.is_added()
                && turn.suffixes(&place.holders(child), 2)?.len() < 2;
            if !goes || !seen.insert(child) {
                continue;
            }
            if is_kept(turn, place, Target::Manifest(child))? {
                return Ok(true);
            }
            left.push(child);
        }
    }
    Ok(false)
}

/// Whether a repository may not be deleted, with all that it holds. A lock of something that is gone keeps
/// nothing. There is no deciding it in parts: where more than [`LOOKS`] things are locked by themselves, they are
/// unlocked first.
pub(super) fn forbids_end<S: Write>(turn: &Turn<'_, S>, place: &Place) -> Result<bool, S> {
    if forbids_any_delete(turn, place)? {
        return Ok(true);
    }
    if turn.cell(place)?.locks == 0 {
        return Ok(false);
    }
    let Some(locked) = locked(turn, place)? else {
        return Ok(guard::stands(Guard::LocksHold));
    };
    for target in locked {
        if attributes::is_there(turn, place, &target)? && is_kept(turn, place, target)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_kept<S: Write>(turn: &Turn<'_, S>, place: &Place, target: Target) -> Result<bool, S> {
    let is_locked = !own(turn, place, target)?.may_be_deleted();
    Ok(is_locked && guard::stands(Guard::LocksHold))
}

/// What something's own attributes allow.
fn own<S: Write>(turn: &Turn<'_, S>, place: &Place, target: Target) -> Result<Attributes<bool>, S> {
    let rights: Rights = attributes::rights(turn, place, &target)?;
    Ok(rights.in_force(None))
}

/// What must not be deleted by its own attributes, unless that is more than one deletion looks at.
fn locked<S: Write>(turn: &Turn<'_, S>, place: &Place) -> Result<Option<Vec<Target>>, S> {
    let prefix = key::locked(place.registry, &place.repository);
    let suffixes = turn.suffixes(&prefix, LOOKS + 1)?;
    if suffixes.len() > LOOKS {
        return Ok(None);
    }
    let targets = suffixes.iter().map(|suffix| key::parse_locked(suffix));
    let targets = targets.collect::<Option<_>>();
    targets
        .ok_or(CatalogError::Damaged("what is locked"))
        .map(Some)
}

fn tags<S: Write>(turn: &Turn<'_, S>, prefix: &Key, limit: usize) -> Result<Vec<TagName>, S> {
    let suffixes = turn.suffixes(prefix, limit)?;
    let names = suffixes.iter().map(|suffix| key::parse(suffix));
    let names = names.collect::<Option<_>>();
    names.ok_or(CatalogError::Damaged("tag"))
}
