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
use super::{Result, heartbeat, refuse};
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
            turn.put(&key::removal(*region, *with), &Removed { born })?;
        }
        forget_removals(turn, |_, with| with == *region)?;
    }
    for region in regions {
        let key = key::met(*region);
        if !turn.exists(&key)? {
            let met = Met {
                born: None,
                since: turn.version,
                accepted: None,
                is_accepted: false,
            };
            turn.put(&key, &met)?;
        }
    }
    settle(turn, regions)
}

/// Gets to know another region by what it says of itself, and of this one.
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
    let mut met = old;
    if met.born != Some(introduction.born) {
        met = Met {
            born: Some(introduction.born),
            since: turn.version,
            accepted: None,
            is_accepted: false,
        };
    }
    let counted = introduction.counted.as_ref();
    let counted = counted.filter(|counted| counted.born == Some(own.born));
    let since = counted.map(|counted| counted.since);
    if since.is_some() && since != met.accepted && !is_past(turn, &introduction.floors)? {
        return refuse::<S>(Refusal::Outdated(region));
    }
    met.accepted = since;
    met.is_accepted = counted.is_some_and(|counted| counted.accepted == Some(met.since));
    if met == old {
        return Ok(Reply::Nothing);
    }
    if met.born != old.born {
        // What it said was said by another one that bore its name.
        heartbeat::forget(turn, region)?;
    }
    if met.accepted != old.accepted {
        // What is written here is newer than all that it has forgotten.
        turn.absorb(introduction.last);
    }
    turn.put(&key, &met)?;
    let regions = heartbeat::peers(turn)?;
    settle(turn, &regions)?;
    Ok(Reply::Done {
        version: turn.version,
    })
}

/// Notes that all that another region knows of a removed one is merged.
pub(super) fn level<S: Write>(
    turn: &mut Turn<'_, S>,
    removed: Region,
    with: Region,
) -> Result<Reply, S> {
    let key = key::removal(removed, with);
    if !turn.exists(&key)? {
        return Ok(Reply::Nothing);
    }
    turn.remove(&key)?;
    Ok(Reply::Done {
        version: turn.version,
    })
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

/// Whether all that is known of removed regions is merged here.
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

/// Whether this region has merged all that another one may have forgotten, whose floors these are.
fn is_past<S: Write>(turn: &Turn<'_, S>, floors: &[Option<Version>]) -> Result<bool, S> {
    if turn.exists(key::JOINING)? || !guard::stands(Guard::OutdatedStayOut) {
        return Ok(true);
    }
    let regions = heartbeat::peers(turn)?;
    for (shard, floor) in (0..SHARDS).zip(floors) {
        let Some(floor) = floor else {
            continue;
        };
        for region in &regions {
            let cursor = turn.read::<Cursor>(&key::cursor(*region, shard))?;
            if cursor.and_then(|cursor| cursor.version) < Some(*floor) {
                return Ok(false);
            }
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

fn forget_removals<S: Write>(
    turn: &mut Turn<'_, S>,
    which: impl Fn(Region, Region) -> bool,
) -> Result<(), S> {
    for suffix in turn.suffixes(key::REMOVALS, usize::MAX)? {
        let (removed, with) =
            key::parse_removal(&suffix).ok_or(CatalogError::Damaged("removed region"))?;
        if which(removed, with) {
            turn.remove(&key::removal(removed, with))?;
        }
    }
    Ok(())
}
