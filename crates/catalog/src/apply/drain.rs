//! Whether clients are to go to other regions.
//!
//! It is of this region alone: no event tells of it, and what is asked for here is answered all the same.

use super::Result;
use super::turn::Turn;
use crate::command::Drain;
use crate::key;
use crate::row::Drained;
use crate::{Reply, Write};

/// Has clients sent to other regions, or to this one again.
pub(super) fn set<S: Write>(turn: &mut Turn<'_, S>, drain: Option<&Drain>) -> Result<Reply, S> {
    let old = turn.read::<Drained>(key::DRAINED)?;
    match (drain, &old) {
        (None, None) => return Ok(Reply::Nothing),
        (Some(drain), Some(old)) if drain.reason == old.reason => return Ok(Reply::Nothing),
        (None, Some(_)) => turn.remove(key::DRAINED)?,
        (Some(drain), _) => {
            // Another reason is no other beginning.
            let millis = old.map_or(turn.version.millis, |old| old.millis);
            let reason = drain.reason.clone();
            turn.put(key::DRAINED, &Drained { millis, reason })?;
        }
    }
    Ok(Reply::Done {
        version: turn.version,
    })
}
