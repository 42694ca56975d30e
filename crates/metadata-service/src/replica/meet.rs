//! How this region and the others know each other.

use meridian_catalog::{Command, Counted, Introduction, Refusal, Reply, query};
use meridian_clients::replica::{Acquaintance, Meeting, Progress, Removal, Stance};
use meridian_clients::{ReadError, WriteError};
use meridian_clock::Region;
use meridian_event::SHARDS;

use crate::changes::View;
use crate::group::Group;
use crate::read::failed;
use crate::write;

/// What this region says of itself, and of the others.
pub(super) fn stance(view: &View) -> Result<Stance, ReadError> {
    let system = query::system(view).map_err(failed)?;
    let peers = query::acquaintances(view).map_err(failed)?;
    let peers = peers.into_iter().map(|peer| Acquaintance {
        region: peer.region,
        born: peer.counted.born,
        since: peer.counted.since,
        accepted: peer.counted.accepted,
        is_open: peer.is_open,
        is_uncopied: peer.is_uncopied,
    });
    let removals = query::removals(view).map_err(failed)?;
    let removals = removals.into_iter().map(|removal| Removal {
        removed: removal.removed,
        born: removal.born,
        with: removal.with,
        is_copied: removal.is_copied,
    });
    let floors = query::floors(view).map_err(failed)?;
    let floors = (0..SHARDS).zip(floors);
    Ok(Stance {
        born: query::born(view).map_err(failed)?,
        last: system.map(|system| system.last),
        is_joining: query::is_joining(view).map_err(failed)?,
        floors: floors
            .filter_map(|(shard, floor)| Some((shard, floor?)))
            .collect(),
        peers: peers.collect(),
        removals: removals.collect(),
    })
}

/// Gets to know another region.
pub(super) async fn meet(group: &Group, said: &Progress) -> Result<Meeting, WriteError> {
    let stance = &said.stance;
    // One that has heard of nobody yet is to be met later.
    let (Some(born), Some(last)) = (stance.born, stance.last) else {
        return Ok(Meeting::Known);
    };
    let here = group.claim().region();
    let known = stance.peers.iter().find(|peer| peer.region == here);
    let introduction = Introduction {
        region: said.region,
        born,
        counted: known.map(|peer| Counted {
            born: peer.born,
            since: peer.since,
            accepted: peer.accepted,
        }),
        last,
        floors: by_shard(stance.floors.iter().copied()),
        merged: by_shard(merged(said, here)),
    };
    let command = Command::Meet(Box::new(introduction));
    match group.propose(None, command).await? {
        Reply::Refused(Refusal::Outdated(_)) => Ok(Meeting::Outdated),
        Reply::Nothing => Ok(Meeting::Known),
        reply => write::done_or_nothing(reply).map(|_| Meeting::Met),
    }
}

/// What a region has merged of another one.
fn merged(said: &Progress, of: Region) -> impl Iterator<Item = (u16, (u64, u64))> {
    let cursors = said.cursors.iter().filter(move |at| at.origin == of);
    cursors.map(|at| (at.shard, (at.place.epoch, at.place.seq)))
}

fn by_shard<T>(given: impl Iterator<Item = (u16, T)>) -> Vec<Option<T>> {
    let mut all: Vec<_> = (0..SHARDS).map(|_| None).collect();
    for (shard, item) in given {
        if let Some(place) = all.get_mut(usize::from(shard)) {
            *place = Some(item);
        }
    }
    all
}

/// Notes how far this region and another one know the same of a removed one.
pub(super) async fn level(group: &Group, removal: Removal) -> Result<(), WriteError> {
    let command = Command::Level {
        removed: removal.removed,
        born: removal.born,
        with: removal.with,
        is_done: removal.is_copied,
    };
    write::done_or_nothing(group.propose(None, command).await?).map(drop)
}
