//! Events on their way out.
//!
//! Keeps invariant 3: one mutation, one event, dense in its shard. Leaves publishing to the
//! metadata service's leader.

use meridian_event::{Envelope, Event, EventId, RegistryId, shard_of};

use super::turn::Turn;
use super::{Result, heartbeat};
use crate::row::{Lane, Outgoing, Stream, Told};
use crate::{CatalogError, Reply, Write, key};

/// How many rows one entry acknowledges or removes at most; what is left goes with the next one.
pub(super) const PER_ENTRY: u64 = 4096;
/// How many rows of a shard are kept for other regions that have not merged them (design §6.7): a region
/// that stays away is not to fill the state of the others.
const KEPT: u64 = if cfg!(test) { 4 } else { 8192 };

/// Adds the event of this entry to its shard.
pub(super) fn emit<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    event: Event,
) -> Result<Reply, S> {
    add(turn, registry, event)?;
    Ok(Reply::Done {
        version: turn.version,
    })
}

/// The same, for those who need its id.
pub(super) fn add<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    event: Event,
) -> Result<EventId, S> {
    let shard = shard_of(registry, event.repository());
    push(turn, shard, registry, event)
}

/// Adds a notice to a shard, with a version of its own.
pub(super) fn notify<S: Write>(
    turn: &mut Turn<'_, S>,
    shard: u16,
    registry: RegistryId,
    event: Event,
) -> Result<(), S> {
    turn.stamp();
    push(turn, shard, registry, event).map(drop)
}

fn push<S: Write>(
    turn: &mut Turn<'_, S>,
    shard: u16,
    registry: RegistryId,
    event: Event,
) -> Result<EventId, S> {
    let stream_key = key::stream(shard);
    let mut stream = stream(turn, shard)?;
    let id = EventId {
        region: turn.system.region,
        epoch: stream.epoch,
        shard,
        seq: stream.next,
    };
    stream.next = stream
        .next
        .checked_add(1)
        .ok_or(CatalogError::Damaged("stream"))?;
    let envelope = Envelope {
        id,
        version: turn.version,
        registry,
        event,
    };
    let trace = turn.trace;
    turn.put(&key::outbox(shard, id.seq), &Outgoing { envelope, trace })?;
    turn.put(&stream_key, &stream)?;
    Ok(id)
}

/// A shard's stream.
pub(super) fn stream<S: Write>(turn: &Turn<'_, S>, shard: u16) -> Result<Stream, S> {
    let stream = turn.read(&key::stream(shard))?;
    stream.ok_or(CatalogError::Damaged("stream"))
}

/// Notes what the event log has, and removes it as far as the other regions have it.
pub(super) fn acknowledge<S: Write>(
    turn: &mut Turn<'_, S>,
    epoch: u64,
    through: &[(u16, u64)],
) -> Result<Reply, S> {
    let (mut acknowledged, mut left) = (0, PER_ENTRY);
    for (shard, seq) in through {
        let stream_key = key::stream(*shard);
        let Some(mut stream) = turn.read::<Stream>(&stream_key)? else {
            continue;
        };
        // An acknowledgement of another epoch counts other events; one from the future is a lie.
        if stream.epoch != epoch || *seq >= stream.next {
            continue;
        }
        let new = seq.saturating_sub(stream.acknowledged).min(left);
        if new > 0 {
            stream.acknowledged += new;
            turn.put(&stream_key, &stream)?;
        }
        acknowledged += new;
        left -= trim(turn, *shard, left)?.max(new);
    }
    if !turn.is_changed() {
        return Ok(Reply::Nothing);
    }
    Ok(Reply::Collected {
        objects: acknowledged,
        bytes: 0,
    })
}

/// Removes rows that the event log has, every other region has merged and webhooks are told of, `limit` of them
/// at most. What a region has not merged is kept for it, in case that the event log loses it, as long as it is not too much.
/// Returns how many went.
pub(super) fn trim<S: Write>(turn: &mut Turn<'_, S>, shard: u16, limit: u64) -> Result<u64, S> {
    let Stream {
        epoch,
        acknowledged,
        ..
    } = stream(turn, shard)?;
    let merged = heartbeat::merged_everywhere(turn, shard, epoch)?;
    let merged = match merged > acknowledged.saturating_sub(KEPT) {
        true => merged.min(told(turn, shard, epoch)?),
        false => merged,
    };
    let end = acknowledged.min(merged.max(acknowledged.saturating_sub(KEPT)));
    let Some(first) = first(turn, shard)? else {
        return Ok(0);
    };
    let count = (end + 1).saturating_sub(first).min(limit);
    for seq in first..first + count {
        turn.remove(&key::outbox(shard, seq))?;
    }
    Ok(count)
}

/// Up to where webhooks are told of a shard.
fn told<S: Write>(turn: &Turn<'_, S>, shard: u16, epoch: u64) -> Result<u64, S> {
    let Some(told) = turn.read::<Told>(&key::told(shard))? else {
        return Ok(u64::MAX);
    };
    let mut place = told.cursor;
    // Those that are behind read the event log, and ask for what that has lost.
    let lanes = key::lanes(shard);
    for suffix in turn.suffixes(&lanes, usize::MAX)? {
        let lane = turn.read::<Lane>(&[&*lanes, &suffix].concat())?;
        place = lane.map_or(place, |lane| place.min(lane.settled));
    }
    Ok(match place.epoch < epoch {
        true => 0,
        false => place.seq,
    })
}

/// The `seq` of the first row of a shard.
fn first<S: Write>(turn: &Turn<'_, S>, shard: u16) -> Result<Option<u64>, S> {
    let Some(suffix) = turn.suffixes(&key::rows_of(shard), 1)?.pop() else {
        return Ok(None);
    };
    match key::take_u64(&suffix) {
        Some((seq, [])) => Ok(Some(seq)),
        _ => Err(CatalogError::Damaged("seq of an event")),
    }
}
