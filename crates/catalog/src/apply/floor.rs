//! Tombstones, and when they are dropped (design §6.4).
//!
//! What outlives a deletion, so that an older put does not bring back what was deleted: the cell of a
//! deleted tag, of one whose manifest was deleted since, and of a deleted manifest. Each is written down
//! under its version when it comes to be. Owns the floor of each shard: everything that the regions had
//! done up to that version is merged, here and by all of them, as their heartbeats have shown. Keeps the
//! invariants that a tombstone goes only below the floor, and that what comes from outside the log, of a
//! version below it and of something that is not here, changes nothing: here, it was deleted. There is
//! no age: a region that stays away merely stops the dropping.
//!
//! That a floor speaks for all regions, also for those that came or went since, is what `meet.rs` sees to.

use meridian_clock::{Region, Version};
use meridian_event::{Mark, shard_of};
use meridian_oci::{Digest, Tag as TagName};

use super::agenda::Task;
use super::guard::{self, Guard};
use super::heartbeat::peers;
use super::place::Place;
use super::turn::Turn;
use super::{Result, meet, tag};
use crate::key::{self, Buried, Key};
use crate::row::{Floor, Heard, Manifest};
use crate::{CatalogError, FoundManifest, Write};

/// Writes down that a tag's cell is a tombstone, of that version.
pub(super) fn bury_tag<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    name: &TagName,
    version: Version,
) -> Result<(), S> {
    turn.put_bytes(&tag_key(place, name, version), &[])
}

/// Forgets that a tag's cell was a tombstone of that version, if it was.
pub(super) fn exhume_tag<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    name: &TagName,
    version: Version,
) -> Result<(), S> {
    let key = tag_key(place, name, version);
    match turn.exists(&key)? {
        true => turn.remove(&key),
        false => Ok(()),
    }
}

/// Writes down that a manifest's cell is a tombstone, of that version.
pub(super) fn bury_manifest<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
    version: Version,
) -> Result<(), S> {
    turn.put_bytes(&manifest_key(place, digest, version), &[])
}

/// Forgets that a manifest's cell was a tombstone of that version.
pub(super) fn exhume_manifest<S: Write>(
    turn: &mut Turn<'_, S>,
    place: &Place,
    digest: Digest,
    version: Version,
) -> Result<(), S> {
    turn.remove(&manifest_key(place, digest, version))
}

/// The floor of a repository's shard.
pub(super) fn of<S: Write>(turn: &Turn<'_, S>, place: &Place) -> Result<Option<Floor>, S> {
    turn.read::<Floor>(&key::floor(shard(place)))
}

/// Whether what was done at that version is merged: it is here, or was deleted.
pub(super) fn is_settled(floor: Option<Floor>, version: Version) -> bool {
    let is_below = floor.is_some_and(|floor| version <= floor.version);
    is_below && guard::stands(Guard::SettledIsDiscarded)
}

/// What another region knows of a manifest, without what is merged here already.
pub(super) fn news<S: Write>(
    turn: &Turn<'_, S>,
    place: &Place,
    cell: &FoundManifest,
) -> Result<FoundManifest, S> {
    let floor = of(turn, place)?;
    let mut news = cell.clone();
    news.add = news.add.filter(|version| !is_settled(floor, *version));
    news.del = news.del.filter(|version| !is_settled(floor, *version));
    news.put = news.put.filter(|put| !is_settled(floor, put.version));
    Ok(news)
}

/// Up to which version a region has merged all that the others did, by its heartbeat of that version;
/// nothing, if it does not say so of all that there are, or counts one that nobody knows here.
pub(super) fn past<S: Write>(
    turn: &Turn<'_, S>,
    (region, version): (Region, Version),
    marks: &[Mark],
) -> Result<Option<Version>, S> {
    if !guard::stands(Guard::FloorIsMerged) {
        return Ok(Some(version));
    }
    let mut others = peers(turn)?;
    others.push(turn.system.region);
    others.retain(|other| *other != region);
    if marks.iter().any(|mark| !others.contains(&mark.origin)) {
        return Ok(None);
    }
    let mut past = version;
    for origin in others {
        let mark = marks.iter().find(|mark| mark.origin == origin);
        let Some(merged) = mark.and_then(|mark| mark.version) else {
            return Ok(None);
        };
        past = past.min(merged);
    }
    Ok(Some(past))
}

/// Raises the floor of a shard to where all other regions are past it. Where one was removed, of which some
/// may know more than others, it stays until they know the same.
pub(super) fn raise<S: Write>(turn: &mut Turn<'_, S>, shard: u16) -> Result<(), S> {
    if !meet::is_level(turn)? {
        return Ok(());
    }
    let regions = peers(turn)?;
    let mut lowest: Option<Version> = None;
    for region in &regions {
        let heard = turn.read::<Heard>(&key::heard(*region, shard))?;
        let Some(past) = heard.and_then(|heard| heard.past) else {
            return Ok(());
        };
        lowest = Some(lowest.map_or(past, |lowest| lowest.min(past)));
    }
    let Some(version) = lowest else {
        return Ok(());
    };
    let key = key::floor(shard);
    let old = turn.read::<Floor>(&key)?;
    if old.is_some_and(|old| old.version >= version) {
        return Ok(());
    }
    turn.put(&key, &Floor { version })?;
    turn.agenda.push(Task::Unbury(shard));
    Ok(())
}

/// Drops the tombstones of a shard that are below its floor, as many as this entry may.
pub(super) fn drop_tombstones<S: Write>(turn: &mut Turn<'_, S>, shard: u16) -> Result<u64, S> {
    let Some(floor) = turn.read::<Floor>(&key::floor(shard))? else {
        return Ok(0);
    };
    let (prefix, limit) = (key::tombstones(shard), turn.agenda.left());
    let page = turn.suffixes(&prefix, limit)?;
    turn.agenda.spend(page.len());
    let mut dropped = 0;
    let mut is_left = page.len() == limit;
    for suffix in &page {
        let buried = Buried::parse(suffix).ok_or(CatalogError::Damaged("tombstone"))?;
        if buried.version > floor.version || !unbury(turn, &buried)? {
            is_left = false;
            break;
        }
        turn.remove(&[&prefix, suffix.as_slice()].concat())?;
        dropped += 1;
    }
    let mark = key::unburied(shard);
    match (is_left, turn.exists(&mark)?) {
        (true, false) => turn.put_bytes(&mark, &[])?,
        (false, true) => turn.remove(&mark)?,
        _ => {}
    }
    Ok(dropped)
}

/// Drops what was buried, unless it has come to life since. Returns false if it is too early: the tags
/// of a manifest go before it.
fn unbury<S: Write>(turn: &mut Turn<'_, S>, buried: &Buried) -> Result<bool, S> {
    let place = Place::new(buried.registry, &buried.repository);
    match &buried.of {
        key::Of::Tag(name) => tag::unbury(turn, &place, name, buried.version)?,
        key::Of::Manifest(digest) => {
            let cell = place.manifest(*digest);
            let row = turn.read::<Manifest>(&cell)?;
            let is_dead = |row: &Manifest| row.is_absent() && row.del == Some(buried.version);
            if !row.is_some_and(|row| is_dead(&row) && !row.is_added()) {
                return Ok(true);
            }
            if tag::are_left(turn, &place, *digest)? {
                return Ok(false);
            }
            turn.remove(&cell)?;
        }
    }
    Ok(true)
}

/// Where it is written down that a tag's cell is a tombstone.
fn tag_key(place: &Place, name: &TagName, version: Version) -> Key {
    let tombstones = key::tombstones(shard(place)).written_at(version);
    tombstones.tag_in(place.registry, &place.repository, name)
}

/// Where it is written down that a manifest's cell is a tombstone.
fn manifest_key(place: &Place, digest: Digest, version: Version) -> Key {
    let tombstones = key::tombstones(shard(place)).written_at(version);
    tombstones.manifest_in(place.registry, &place.repository, digest)
}

fn shard(place: &Place) -> u16 {
    shard_of(place.registry, Some(&place.repository))
}
