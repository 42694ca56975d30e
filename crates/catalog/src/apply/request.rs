//! Requests that were answered.
//!
//! Keeps invariant 4: once. A refusal changed nothing, so it is not remembered, and the request
//! may be tried again. Ids are forgotten by age and by number, in the time of the log.

use super::Result;
use super::turn::Turn;
use crate::row::Answer;
use crate::{Reply, RequestId, Write, key};

/// How many ids an entry forgets at most: more than it adds, so that the number falls to a
/// lowered limit.
const FORGOTTEN_PER_ENTRY: usize = 4;

/// Remembers what a request was answered, and forgets the oldest ones where that is due.
pub(super) fn remember<S: Write>(
    turn: &mut Turn<'_, S>,
    request: Option<RequestId>,
    reply: &Reply,
) -> Result<(), S> {
    if let Some(request) = request {
        let answer = Answer {
            reply: reply.clone(),
        };
        turn.put(&key::request(request), &answer)?;
        turn.put(&key::request_at(turn.version), &request)?;
        turn.system.requests += 1;
    }
    forget(turn)
}

fn forget<S: Write>(turn: &mut Turn<'_, S>) -> Result<(), S> {
    let settings = turn.system.settings;
    if turn.system.requests == 0 {
        return Ok(());
    }
    let horizon = turn.now().saturating_sub(settings.request_millis);
    for _ in 0..FORGOTTEN_PER_ENTRY {
        // One at a time: as a rule the first is not due.
        let after = turn.system.forgotten.map(key::request_at);
        let after = after
            .as_ref()
            .map_or(&[][..], |at| &at[key::REQUESTS.len()..]);
        let Some(suffix) = turn.suffixes_after(key::REQUESTS, after, 1)?.pop() else {
            break;
        };
        let at = [key::REQUESTS, &suffix].concat();
        let is_old = key::take_u64(&suffix).is_some_and(|(millis, _)| millis < horizon);
        if !is_old && turn.system.requests <= settings.request_count {
            break;
        }
        if let Some(request) = turn.read::<RequestId>(&at)? {
            turn.remove(&key::request(request))?;
        }
        turn.remove(&at)?;
        turn.system.requests -= 1;
    }
    Ok(())
}
