//! How regions get to know each other, so that none brings back what the others have deleted and forgotten
//! (design §6.4, §6.14).
//!
//! Two regions *count on* each other when neither drops a tombstone that the other has not merged. Owns who
//! has said so to whom. Keeps the invariants that nothing of another region is merged before both count on
//! each other; that a new region takes no writes before all others count on it; and that one which was not
//! counted on for a while, and of which others have forgotten deletions that it has not merged, is met no
//! more: it must begin anew, with an empty state. No clock decides any of that.
//!
//! ```text
//!            names eu                                       names us
//!    us  ----------------> I count on eu since s    eu  ----------------> I count on us since t
//!        <--- reads what eu says of us: t  ---          --- reads what us says of eu: s --->
//!        accepts t, if it is past eu's floors           accepts s, if it is past those of us
//!        <--- reads that eu has accepted s ---          --- reads that us has accepted t --->
//!        open                                           open
//! ```
//!
//! A region without others has met nobody, and needs to.

use meridian_clock::{Region, Version};
use meridian_event::SHARDS;

use super::guard::{self, Guard};
use super::turn::Turn;
use super::{Result, heartbeat, outbox, refuse};
use crate::key;
use crate::row::{Cursor, Met, Own, Removed};
use crate::{CatalogError, Introduction, Refusal, Reply, Write};

/// Prepares to meet those that were added to the other regions, and what follows where some were removed.
pub(super) fn prepare<S: Write>(
    turn: &mut Turn<'_, S>,
    old: &[Region],
    regions: &[Region],
) -> Result<(), S> {
    if !turn.exists(key::OWN)? {
        let born = turn.version;
        turn.put(key::OWN, &Own { born })?;
        if is_empty(turn)? {
            turn.put_bytes(key::JOINING, &[])?;
        }
    }
    for region in old.iter().filter(|region| !regions.contains(region)) {
        let met = turn.read::<Met>(&key::met(*region))?;
        let born = met.and_then(|met| met.born);
        turn.remove(&key::met(*region))?;
        for with in regions {
            begin_levelling(turn, *region, born, *with)?;
        }
        end_levelling(turn, |_, with, _| with == *region)?;
        let uncopied = key::uncopied(*region);
        if turn.exists(&uncopied)? {
            turn.remove(&uncopied)?;
        }
    }
    for region in regions {
        let key = key::met(*region);
        if !turn.exists(&key)? {
            let met = Met {
                born: None,
                since: turn.version,
                accepted: None,
                is_accepted: false,
                heard: None,
            };
            turn.put(&key, &met)?;
        }
    }
    settle(turn, regions)
}

/// Gets to know another region by what it says of itself, and of this one. What it said before counts no more.
pub(super) fn meet<S: Write>(
    turn: &mut Turn<'_, S>,
    introduction: &Introduction,
) -> Result<Reply, S> {
    let region = introduction.region;
    let key = key::met(region);
    let (Some(own), Some(old)) = (turn.read::<Own>(key::OWN)?, turn.read::<Met>(&key)?) else {
        return Ok(Reply::Nothing);
    };
    if turn.is_ahead(introduction.last) {
        return refuse::<S>(Refusal::Ahead(introduction.last));
    }
    let is_same = old.born == Some(introduction.born);
    let is_late = match is_same {
        true => old.heard > Some(introduction.last),
        false => old.born > Some(introduction.born),
    };
    if is_late {
        return Ok(Reply::Nothing);
    }
    let mut met = old;
    if !is_same {
        met = Met {
            born: Some(introduction.born),
            since: turn.version,
            accepted: None,
            is_accepted: false,
            heard: None,
        };
    }
    let counted = introduction.counted.as_ref();
    let counted = counted.filter(|counted| counted.born == Some(own.born));
    let since = counted.map(|counted| counted.since);
    let is_outdated = since.is_some() && since != met.accepted && !is_past(turn, introduction)?;
    met.accepted = since.filter(|_| !is_outdated);
    let is_accepted = counted.is_some_and(|counted| counted.accepted == Some(met.since));
    met.is_accepted = is_accepted && !is_outdated;
    if met == old {
        return match is_outdated {
            true => refuse::<S>(Refusal::Outdated(region)),
            false => Ok(Reply::Nothing),
        };
    }
    met.heard = Some(introduction.last);
    let regions = heartbeat::peers(turn)?;
    if !is_same {
        // What it said was said by another one that bore its name, and that others may know more of.
        heartbeat::forget(turn, region)?;
        let others = regions.iter().filter(|other| **other != region);
        for with in others.filter(|_| old.born.is_some()) {
            begin_levelling(turn, region, old.born, *with)?;
        }
    }
    if met.accepted.is_some() && met.accepted != old.accepted {
        // What is written here is newer than all that it has forgotten,
        turn.absorb(introduction.last);
        // and what it did before is not to be merged without what it has forgotten since.
        let has_forgotten = introduction.floors.iter().any(Option::is_some);
        if has_forgotten && turn.exists(key::JOINING)? {
            turn.put_bytes(&key::uncopied(region), &[])?;
        }
    }
    turn.put(&key, &met)?;
    if met.is_open() {
        // It is there, after all.
        end_levelling(turn, |removed, _, row| {
            removed == region && row.born == met.born
        })?;
    }
    settle(turn, &regions)?;
    Ok(Reply::Done {
        version: turn.version,
    })
}

/// Notes that all that another region knows of a removed one is merged; or that both know the same, and need
/// not wait for each other any more.
pub(super) fn level<S: Write>(
    turn: &mut Turn<'_, S>,
    (removed, born): (Region, Option<Version>),
    with: Region,
    is_done: bool,
) -> Result<Reply, S> {
    let key = key::removal(removed, with);
    let row = turn.read::<Removed>(&key)?;
    let Some(row) = row.filter(|row| row.born == born && row.is_copied == is_done) else {
        return Ok(Reply::Nothing);
    };
    match is_done {
        true => turn.remove(&key)?,
        false => turn.put(
            &key,
            &Removed {
                is_copied: true,
                ..row
            },
        )?,
    }
    Ok(Reply::Done {
        version: turn.version,
    })
}

/// Whether the state of a region is to be copied before its events are merged.
pub(super) fn is_uncopied<S: Write>(turn: &Turn<'_, S>, region: Region) -> Result<bool, S> {
    turn.exists(&key::uncopied(region))
}

/// Notes that a shard of another region was copied.
pub(super) fn copied<S: Write>(turn: &mut Turn<'_, S>, region: Region) -> Result<(), S> {
    let key = key::uncopied(region);
    if !turn.exists(&key)? {
        return Ok(());
    }
    for shard in 0..SHARDS {
        if !turn.exists(&key::cursor(region, shard))? {
            return Ok(());
        }
    }
    turn.remove(&key)
}

/// Why nothing that another region says is merged yet, if so.
pub(super) fn estrangement<S: Write>(
    turn: &Turn<'_, S>,
    region: Region,
) -> Result<Option<Refusal>, S> {
    if let Some(refusal) = hindrance(turn)? {
        return Ok(Some(refusal));
    }
    if heartbeat::peers(turn)?.is_empty() || !guard::stands(Guard::StrangersAreIgnored) {
        return Ok(None);
    }
    let met = turn.read::<Met>(&key::met(region))?;
    let is_open = met.is_some_and(|met| met.is_open());
    Ok((!is_open).then_some(Refusal::Stranger(region)))
}

/// Why this region takes no writes yet, if so.
pub(super) fn hindrance<S: Write>(turn: &Turn<'_, S>) -> Result<Option<Refusal>, S> {
    if !turn.exists(key::JOINING)? || !guard::stands(Guard::NewcomersMeetFirst) {
        return Ok(None);
    }
    let mut strangers = Vec::new();
    for region in heartbeat::peers(turn)? {
        let met = turn.read::<Met>(&key::met(region))?;
        if met.is_none_or(|met| met.accepted.is_none()) {
            strangers.push(region);
        }
    }
    Ok(Some(Refusal::Joining(strangers)))
}

/// Whether all regions know the same of those that were removed.
pub(super) fn is_level<S: Write>(turn: &Turn<'_, S>) -> Result<bool, S> {
    Ok(turn.suffixes(key::REMOVALS, 1)?.is_empty())
}

/// Ends joining when all regions count on this one.
fn settle<S: Write>(turn: &mut Turn<'_, S>, regions: &[Region]) -> Result<(), S> {
    if !turn.exists(key::JOINING)? {
        return Ok(());
    }
    for region in regions {
        let met = turn.read::<Met>(&key::met(*region))?;
        if met.is_none_or(|met| met.accepted.is_none()) {
            return Ok(());
        }
    }
    turn.remove(key::JOINING)
}

/// Whether this region has merged all that another one may have forgotten, and that one all that this region
/// did.
fn is_past<S: Write>(turn: &Turn<'_, S>, introduction: &Introduction) -> Result<bool, S> {
    if turn.exists(key::JOINING)? || !guard::stands(Guard::OutdatedStayOut) {
        return Ok(true);
    }
    let regions = heartbeat::peers(turn)?;
    for (shard, floor) in (0..SHARDS).zip(&introduction.floors) {
        let Some(floor) = floor else {
            continue;
        };
        for region in &regions {
            let cursor = turn.read::<Cursor>(&key::cursor(*region, shard))?;
            if cursor.and_then(|cursor| cursor.version) < Some(*floor) {
                return Ok(false);
            }
        }
        let stream = outbox::stream(turn, shard)?;
        let merged = introduction
            .merged
            .get(usize::from(shard))
            .copied()
            .flatten();
        let is_merged = merged == Some((stream.epoch, stream.next - 1));
        if stream.next > 1 && !is_merged {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether there is nothing here that another region could have deleted.
fn is_empty<S: Write>(turn: &Turn<'_, S>) -> Result<bool, S> {
    for prefix in [key::MANIFESTS, key::TAG_CELLS, key::CURSORS] {
        if !turn.suffixes(prefix, 1)?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn begin_levelling<S: Write>(
    turn: &mut Turn<'_, S>,
    removed: Region,
    born: Option<Version>,
    with: Region,
) -> Result<(), S> {
    let row = Removed {
        born,
        is_copied: false,
    };
    turn.put(&key::removal(removed, with), &row)
}

fn end_levelling<S: Write>(
    turn: &mut Turn<'_, S>,
    is_over: impl Fn(Region, Region, Removed) -> bool,
) -> Result<(), S> {
    for suffix in turn.suffixes(key::REMOVALS, usize::MAX)? {
        let damaged = || CatalogError::Damaged("removed region");
        let (removed, with) = key::parse_removal(&suffix).ok_or_else(damaged)?;
        let key = key::removal(removed, with);
        let row = turn.read::<Removed>(&key)?.ok_or_else(damaged)?;
        if is_over(removed, with, row) {
            turn.remove(&key)?;
        }
    }
    Ok(())
}
