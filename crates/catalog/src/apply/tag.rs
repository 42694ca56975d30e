//! Tags.
//!
//! A tag is two rows: the cell, a register in which the highest version wins and which outlives
//! deletion as a tombstone, and the tag as this region shows it, which lists and reads use. They
//! differ while the winner's manifest is not exposed here: the tag *waits*, under a row of its own,
//! and shows the last value that was complete, if there is one. A winner that is older than the last
//! deletion of its manifest can never be shown; then nothing is, because what was shown before lost.
//!
//! Commands stamp a version above all that were merged, so theirs wins. Conditions compare with the
//! winner.

use meridian_clock::Version;
use meridian_event::Event;
use meridian_oci::{Digest, RegistryName, RepositoryName, Tag as TagName};

use super::agenda::Task;
use super::guard::{self, Guard};
use super::manifest::standing::{self, Cell};
use super::place::Place;
use super::turn::Turn;
use super::{Result, floor, lock, manifest, outbox, refuse};
use crate::key::{self, Key};
use crate::row::{Manifest, Sweep, Tag, TagCell};
use crate::{CatalogError, Condition, Refusal, Reply, Write};

/// Points a tag at a manifest that is exposed.
pub(super) fn point<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    name: &TagName,
    digest: Digest,
) -> Result<(), S> {
    let version = turn.version;
    let old = turn.read::<Tag>(&place.tag(name))?;
    if old.is_none()
        && let Some(cell) = turn.read::<TagCell>(&place.tag_cell(name))?
    {
        floor::exhume_tag(turn, place, name, cell.version)?;
    }
    let is_behind = old.as_ref().is_some_and(|old| old.is_behind);
    let does_any_wait = show(turn, place, name, version, digest, old)?;
    if is_behind || does_any_wait {
        wait_no_more(turn, place, name)?;
    }
    let cell = TagCell {
        version,
        digest: Some(digest),
    };
    turn.put(&place.tag_cell(name), &cell)
}

/// Deletes a tag; its manifest stays.
pub(super) fn delete<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: &RegistryName,
    repository: &RepositoryName,
    name: &TagName,
    condition: Option<Condition>,
) -> Result<Reply, S> {
    let Some(registry) = turn.registry(registry)? else {
        return refuse::<S>(Refusal::RegistryUnknown);
    };
    let place = Place::new(registry, repository);
    let shown = turn.read::<Tag>(&place.tag(name))?;
    let winner = winner(turn, &place, name, shown.as_ref())?;
    if let Some(refusal) = manifest::unmet(condition, winner) {
        return refuse::<S>(refusal);
    }
    let Some(digest) = winner else {
        let unknown = manifest::unknown(turn, &place)?;
        return refuse::<S>(unknown);
    };
    if lock::forbids_untag(turn, &place, name)? {
        return refuse::<S>(Refusal::Locked);
    }
    if shown.as_ref().is_none_or(|shown| shown.is_behind) {
        wait_no_more(turn, &place, name)?;
    }
    let tombstone = TagCell {
        version: turn.version,
        digest: None,
    };
    turn.put(&place.tag_cell(name), &tombstone)?;
    floor::bury_tag(turn, &place, name, turn.version)?;
    if let Some(shown) = shown {
        drop_shown(turn, &place, name, &shown)?;
    }
    let event = Event::TagDeleted {
        repository: place.repository,
        tag: name.clone(),
        digest,
    };
    outbox::emit(turn, registry, event)
}

/// Where a tag points, merged or stamped here, whether or not that is exposed.
pub(super) fn points_at<S: Write>(
    turn: &Turn<'_, S>,
    place: &Place,
    name: &TagName,
) -> Result<Option<Digest>, S> {
    let shown = turn.read::<Tag>(&place.tag(name))?;
    winner(turn, place, name, shown.as_ref())
}

/// Joins a put or a deletion of a tag, whose manifest was raised to that version.
pub(super) fn join<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    name: &TagName,
    version: Version,
    digest: Option<Digest>,
) -> Result<(), S> {
    let cell = turn.read::<TagCell>(&place.tag_cell(name))?;
    let has_lost = cell.as_ref().is_some_and(|cell| cell.version >= version);
    if has_lost && guard::stands(Guard::TagIsARegister) {
        return Ok(());
    }
    let shown = turn.read::<Tag>(&place.tag(name))?;
    if let Some(old) = cell {
        wait_no_more(turn, place, name)?;
        if shown.is_none() {
            floor::exhume_tag(turn, place, name, old.version)?;
        }
    }
    turn.put(&place.tag_cell(name), &TagCell { version, digest })?;
    let manifest = digest.map(|digest| manifest_of(turn, place, digest));
    let manifest = manifest.transpose()?.filter(|it| it.shows(version));
    let (Some(digest), Some(manifest)) = (digest, manifest) else {
        floor::bury_tag(turn, place, name, version)?;
        return shown.map_or(Ok(()), |shown| drop_shown(turn, place, name, &shown));
    };
    if manifest.is_exposed() {
        show(turn, place, name, version, digest, shown)?;
        return Ok(());
    }
    wait(turn, place, name, digest, shown)
}

/// Hides tags that are older than the last deletion of their manifest. What one entry may not do is
/// left to sweeps; one that an earlier deletion left behind begins anew.
pub(super) fn hide<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
    after: Option<TagName>,
) -> Result<u64, S> {
    if !turn.exists(&place.manifest(digest))? {
        // It was dropped in this entry, after all of its tags.
        plan_hiding(turn, place, digest, None)?;
        return Ok(0);
    }
    let manifest = standing::cover(turn, place, digest, &mut 0)?;
    let page = page(turn, &place.tags_of(digest), after)?;
    let mut hidden = 0;
    for name in &page.names {
        let tag = turn.read::<Tag>(&place.tag(name))?;
        let tag = tag.ok_or(CatalogError::Damaged("tag"))?;
        if !manifest.shows(tag.version) {
            unshow(turn, place, name, digest)?;
            if !tag.is_behind {
                floor::bury_tag(turn, place, name, tag.version)?;
            }
            hidden += 1;
        }
    }
    if hidden > 0 {
        turn.count(place, |repository, usage| {
            repository.tags -= hidden;
            usage.tags -= hidden;
        })?;
    }
    plan_hiding(turn, place, digest, page.left)?;
    Ok(hidden)
}

/// Judges the tags that wait for a manifest: shows them if it is exposed, and gives those up that
/// can never be shown.
pub(super) fn judge<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
    after: Option<TagName>,
) -> Result<u64, S> {
    if !turn.exists(&place.manifest(digest))? {
        plan_judging(turn, place, digest, None)?;
        return Ok(0);
    }
    let manifest = standing::cover(turn, place, digest, &mut 0)?;
    let page = page(turn, &place.tags_waiting_for(digest), after)?;
    let mut judged = 0;
    for name in &page.names {
        let cell = turn.read::<TagCell>(&place.tag_cell(name))?;
        let cell = cell.ok_or(CatalogError::Damaged("tag that waits"))?;
        let is_dead = !manifest.shows(cell.version);
        if !is_dead && !manifest.is_exposed() {
            continue;
        }
        judged += 1;
        wait_no_more(turn, place, name)?;
        if is_dead {
            floor::bury_tag(turn, place, name, cell.version)?;
        }
        let shown = turn.read::<Tag>(&place.tag(name))?;
        match shown {
            shown if !is_dead => {
                show(turn, place, name, cell.version, digest, shown)?;
            }
            Some(shown) if guard::stands(Guard::DeadWinnerHides) => {
                drop_shown(turn, place, name, &shown)?;
            }
            _ => {}
        }
    }
    plan_judging(turn, place, digest, page.left)?;
    Ok(judged)
}

/// Has the tags looked at that show a manifest, whose last deletion is newer than it was.
pub(super) fn hide_all<S: Write>(turn: &mut Turn<'_, S>, place: &Place, digest: Digest) {
    let task = Task::HideTags(place.clone(), digest, None);
    turn.agenda.push(task);
}

/// Has the tags looked at that wait for a manifest, which is present though it was deleted since.
pub(super) fn judge_all<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
) -> Result<(), S> {
    if turn.repository(place)?.waiting > 0 {
        let task = Task::JudgeTags(place.clone(), digest, None);
        turn.agenda.push(task);
    }
    Ok(())
}

/// Drops the cell of a tag that is a tombstone of that version still.
pub(super) fn unbury<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    name: &TagName,
    version: Version,
) -> Result<(), S> {
    let key = place.tag_cell(name);
    let cell = turn.read::<TagCell>(&key)?;
    match cell.filter(|cell| cell.version == version) {
        Some(_) => turn.remove(&key),
        None => Ok(()),
    }
}

/// Whether tags of a deleted manifest are still to be hidden, or to be given up.
pub(super) fn are_left<S: Write>(
    turn: &Turn<'_, S>,
    place: &Place,
    digest: Digest,
) -> Result<bool, S> {
    for tags in [place.tags_of(digest), place.tags_waiting_for(digest)] {
        if !turn.suffixes(&tags, 1)?.is_empty() {
            return Ok(true);
        }
    }
    let sweeps = [key::sweeps, key::waiting_sweeps].map(|of| of(place.registry, &place.repository));
    for sweep in sweeps {
        if turn.exists(&sweep.digest(digest))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Where a tag points, given what it shows: nowhere, if it was deleted or its manifest was since.
fn winner<S: Write>(
    turn: &Turn<'_, S>,
    place: &Place,
    name: &TagName,
    shown: Option<&Tag>,
) -> Result<Option<Digest>, S> {
    let (version, digest) = match shown {
        Some(tag) if !tag.is_behind => (tag.version, tag.digest),
        _ => match turn.read::<TagCell>(&place.tag_cell(name))? {
            Some(TagCell {
                version,
                digest: Some(digest),
            }) => (version, digest),
            _ => return Ok(None),
        },
    };
    let manifest = manifest_of(turn, place, digest)?;
    Ok(manifest.shows(version).then_some(digest))
}

/// Shows a tag instead of what it showed before. Returns whether tags of the repository wait, if
/// that came up: it does when the tag showed nothing.
fn show<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    name: &TagName,
    version: Version,
    digest: Digest,
    old: Option<Tag>,
) -> Result<bool, S> {
    let tag = Tag {
        version,
        digest,
        is_behind: false,
    };
    turn.put(&place.tag(name), &tag)?;
    turn.put_bytes(&place.tags_of(digest).text(name.as_str()), &[])?;
    match old {
        Some(old) if old.digest == digest => Ok(false),
        Some(old) => {
            turn.remove(&place.tags_of(old.digest).text(name.as_str()))?;
            Ok(false)
        }
        None => turn.count(place, |repository, usage| {
            repository.tags += 1;
            usage.tags += 1;
            repository.waiting > 0
        }),
    }
}

/// Lets a tag wait for a manifest, and show what it shows meanwhile.
fn wait<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    name: &TagName,
    digest: Digest,
    shown: Option<Tag>,
) -> Result<(), S> {
    turn.put_bytes(&place.tags_waiting_for(digest).text(name.as_str()), &[])?;
    turn.count(place, |repository, _| repository.waiting += 1)?;
    match shown {
        Some(shown) if !shown.is_behind => {
            let behind = Tag {
                is_behind: true,
                ..shown
            };
            turn.put(&place.tag(name), &behind)
        }
        _ => Ok(()),
    }
}

/// Ends a tag's waiting for its winner, if it waits.
fn wait_no_more<S: Write>(turn: &mut Turn<'_, S>, place: &Place, name: &TagName) -> Result<(), S> {
    let cell = turn.read::<TagCell>(&place.tag_cell(name))?;
    let Some(digest) = cell.and_then(|cell| cell.digest) else {
        return Ok(());
    };
    let waiting = place.tags_waiting_for(digest).text(name.as_str());
    if !turn.exists(&waiting)? {
        return Ok(());
    }
    turn.remove(&waiting)?;
    turn.count(place, |repository, _| repository.waiting -= 1)
}

/// Shows nothing any more where a tag showed something.
fn drop_shown<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    name: &TagName,
    shown: &Tag,
) -> Result<(), S> {
    unshow(turn, place, name, shown.digest)?;
    turn.count(place, |repository, usage| {
        repository.tags -= 1;
        usage.tags -= 1;
    })
}

fn unshow<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    name: &TagName,
    digest: Digest,
) -> Result<(), S> {
    turn.remove(&place.tag(name))?;
    turn.remove(&place.tags_of(digest).text(name.as_str()))
}

/// The cell of a manifest that a tag points at; whatever points raises it.
fn manifest_of<S: Write>(turn: &Turn<'_, S>, place: &Place, digest: Digest) -> Result<Manifest, S> {
    let cell = Cell::load(turn, place, digest)?;
    let is_there = cell.was.is_some();
    is_there
        .then_some(cell.row)
        .ok_or(CatalogError::Damaged("manifest"))
}

/// Tags to look at in this entry, and how the next one goes on.
struct Page {
    names: Vec<TagName>,
    left: Option<Sweep>,
}

fn page<S: Write>(turn: &mut Turn<'_, S>, prefix: &Key, after: Option<TagName>) -> Result<Page, S> {
    let limit = turn.agenda.left();
    let begin = after.as_ref().map_or("", TagName::as_str).as_bytes();
    let suffixes = turn.suffixes_after(prefix, begin, limit)?;
    let names = suffixes.iter().map(|suffix| key::parse(suffix));
    let names = names.collect::<Option<Vec<TagName>>>();
    let names = names.ok_or(CatalogError::Damaged("tag of a manifest"))?;
    turn.agenda.spend(names.len());
    let mut left = None;
    if names.len() == limit {
        let after = names.last().cloned().or(after);
        let begin = after.as_ref().map_or("", TagName::as_str).as_bytes();
        let is_left = !turn.suffixes_after(prefix, begin, 1)?.is_empty();
        left = is_left.then_some(Sweep { after });
    }
    Ok(Page { names, left })
}

/// Writes down where judging goes on, or that it does not.
fn plan_judging<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
    left: Option<Sweep>,
) -> Result<(), S> {
    let sweep = key::waiting_sweeps(place.registry, &place.repository).digest(digest);
    match left {
        Some(left) => turn.put(&sweep, &left),
        None if turn.exists(&sweep)? => turn.remove(&sweep),
        None => Ok(()),
    }
}

/// Writes down where hiding goes on, or that it does not. Lists of tags look closer meanwhile.
fn plan_hiding<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
    left: Option<Sweep>,
) -> Result<(), S> {
    let sweep = key::sweeps(place.registry, &place.repository).digest(digest);
    let is_planned = turn.exists(&sweep)?;
    match (is_planned, left) {
        (false, None) => Ok(()),
        (true, None) => {
            turn.remove(&sweep)?;
            turn.count(place, |repository, _| repository.sweeps -= 1)
        }
        (true, Some(left)) => turn.put(&sweep, &left),
        (false, Some(left)) => {
            turn.put(&sweep, &left)?;
            turn.count(place, |repository, _| repository.sweeps += 1)
        }
    }
}
