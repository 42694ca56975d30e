//! How this region and the others know each other.

use meridian_catalog::{Command, Counted, Introduction, Refusal, Reply, query};
use meridian_clients::replica::{Acquaintance, Meeting, Removal, Stance};
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
    });
    let removals = query::removals(view).map_err(failed)?;
    let removals = removals.into_iter().map(|removal| Removal {
        removed: removal.removed,
        born: removal.born,
        with: removal.with,
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
pub(super) async fn meet(
    group: &Group,
    region: Region,
    stance: &Stance,
) -> Result<Meeting, WriteError> {
    // One that has heard of nobody yet is to be met later.
    let (Some(born), Some(last)) = (stance.born, stance.last) else {
        return Ok(Meeting::Known);
    };
    let here = group.claim().region();
    let known = stance.peers.iter().find(|peer| peer.region == here);
    let mut floors = vec![None; usize::from(SHARDS)];
    for (shard, floor) in &stance.floors {
        if let Some(place) = floors.get_mut(usize::from(*shard)) {
            *place = Some(*floor);
        }
    }
    let introduction = Introduction {
        region,
        born,
        counted: known.map(|peer| Counted {
            born: peer.born,
            since: peer.since,
            accepted: peer.accepted,
        }),
        last,
        floors,
    };
    let command = Command::Meet(Box::new(introduction));
    match group.propose(None, command).await? {
        Reply::Refused(Refusal::Outdated(_)) => Ok(Meeting::Outdated),
        reply => write::done_or_nothing(reply).map(|_| Meeting::Known),
    }
}

/// Notes that all that a region knows of a removed one is merged.
pub(super) async fn level(group: &Group, removed: Region, with: Region) -> Result<(), WriteError> {
    let command = Command::Level { removed, with };
    write::done_or_nothing(group.propose(None, command).await?).map(drop)
}
