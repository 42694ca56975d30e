//! How far this region is, and its own events.

use meridian_catalog::query;
use meridian_clients::ReadError;
use meridian_clients::replica::{CursorAt, EventRange, Events, Place, Progress};
use meridian_event::SHARDS;

use super::meet;
use crate::changes::View;
use crate::group::{Group, unavailable};
use crate::read::failed;

type Result<T> = std::result::Result<T, ReadError>;

pub(super) async fn progress(group: &Group) -> Result<Progress> {
    let view = group.read().await?;
    is_begun(&view)?;
    let streams = query::streams(&view).map_err(failed)?;
    let heads = streams.iter().map(|stream| Place {
        epoch: stream.epoch,
        seq: stream.next - 1,
    });
    let cursors = query::cursors(&view).map_err(failed)?;
    let cursors = cursors.into_iter().map(|(origin, shard, at)| CursorAt {
        origin,
        shard,
        place: place(at),
    });
    Ok(Progress {
        region: group.claim().region(),
        heads: heads.collect(),
        cursors: cursors.collect(),
        stance: meet::stance(&view)?,
    })
}

pub(super) const fn place(cursor: meridian_catalog::Cursor) -> Place {
    Place {
        epoch: cursor.epoch,
        seq: cursor.seq,
    }
}

pub(super) async fn events(group: &Group, range: &EventRange) -> Result<Events> {
    let view = group.read().await?;
    is_begun(&view)?;
    if range.shard >= SHARDS {
        return Ok(Events::Gone);
    }
    let streams = query::streams(&view).map_err(failed)?;
    if streams[usize::from(range.shard)].epoch != range.epoch {
        return Ok(Events::Gone);
    }
    let span = (range.from, range.to);
    let events = query::events(&view, range.shard, span, range.max_bytes).map_err(failed)?;
    Ok(events.map_or(Events::Gone, Events::Here))
}

/// Before the state is made this region's, it has nothing to say.
fn is_begun(view: &View) -> Result<()> {
    match query::system(view).map_err(failed)? {
        Some(_) => Ok(()),
        None => Err(unavailable("the state is not this region's yet")),
    }
}
