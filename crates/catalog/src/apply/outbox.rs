//! Events on their way out.
//!
//! Keeps invariant 3: one mutation, one event, dense in its shard. Leaves publishing to the
//! metadata service's leader.

use meridian_event::{Envelope, Event, EventId, RegistryId, shard_of};

use super::Result;
use super::turn::Turn;
use crate::row::{Outgoing, Stream};
use crate::{CatalogError, Reply, Write, key};

/// How many rows one entry removes at most; what is left goes with the next acknowledgement.
const ACKNOWLEDGED_PER_ENTRY: u64 = 4096;

/// Adds the event of this entry to its shard.
pub(super) fn emit<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    event: Event,
) -> Result<Reply, S> {
    let shard = shard_of(registry, event.repository());
    let stream_key = key::stream(shard);
    let mut stream = turn
        .read::<Stream>(&stream_key)?
        .ok_or(CatalogError::Damaged("stream"))?;
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
    Ok(Reply::Done {
        version: turn.version,
    })
}

/// Removes what the event log has.
pub(super) fn acknowledge<S: Write>(
    turn: &mut Turn<'_, S>,
    epoch: u64,
    through: &[(u16, u64)],
) -> Result<Reply, S> {
    let mut removed = 0;
    for (shard, seq) in through {
        let stream_key = key::stream(*shard);
        let Some(mut stream) = turn.read::<Stream>(&stream_key)? else {
            continue;
        };
        // An acknowledgement of another epoch counts other events; one from the future is a lie.
        if stream.epoch != epoch || *seq >= stream.next {
            continue;
        }
        while stream.acknowledged < *seq && removed < ACKNOWLEDGED_PER_ENTRY {
            stream.acknowledged += 1;
            removed += 1;
            turn.remove(&key::outbox(*shard, stream.acknowledged))?;
        }
        turn.put(&stream_key, &stream)?;
    }
    if removed == 0 {
        return Ok(Reply::Nothing);
    }
    Ok(Reply::Collected {
        objects: removed,
        bytes: 0,
    })
}
