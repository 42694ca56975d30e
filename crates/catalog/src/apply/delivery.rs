//! How far webhooks are told, and what is to be told again.
//!
//! Keeps invariant 12: only the dispatcher that took a shard over last moves what is kept of it; what was not
//! delivered is found by when it is due, if it is, and by when it is dropped. Nothing new is kept of a webhook that
//! is deleted; what was goes when it would have. Leaves to `meridian-delivery` what all of it means.

use meridian_event::SHARDS;
use meridian_event::webhook::{Change, MessageId, Place, Record, Undelivered, WebhookId};

use super::turn::Turn;
use super::{Result, outbox, refuse};
use crate::key;
use crate::row::{Failing, Lane, Told};
use crate::{CatalogError, Deliver, Refusal, Reply, Write};

pub(super) fn step<S: Write>(turn: &mut Turn<'_, S>, step: &Deliver) -> Result<Reply, S> {
    match step {
        Deliver::Take { shard } => take(turn, *shard),
        Deliver::Record(record) => keep(turn, record),
        Deliver::Disable {
            webhook,
            since,
            reason,
        } => super::webhook::disable(turn, *webhook, *since, *reason),
        Deliver::Prune { shard, until } => prune(turn, *shard, *until),
        Deliver::Retry {
            webhook,
            messages,
            due,
        } => retry(turn, *webhook, messages, *due),
    }
}

/// Gives a shard to another dispatcher. What happened before there were webhooks is told to none.
fn take<S: Write>(turn: &mut Turn<'_, S>, shard: u16) -> Result<Reply, S> {
    if shard >= SHARDS {
        return refuse::<S>(Refusal::Malformed);
    }
    let key = key::told(shard);
    let told = match turn.read::<Told>(&key)? {
        Some(told) => Told {
            generation: told.generation + 1,
            number: 0,
            ..told
        },
        None => Told {
            generation: 1,
            number: 0,
            cursor: beginning(turn, shard)?,
        },
    };
    turn.put(&key, &told)?;
    Ok(Reply::Taken {
        generation: told.generation,
    })
}

fn beginning<S: Write>(turn: &Turn<'_, S>, shard: u16) -> Result<Place, S> {
    if !turn.suffixes(key::LIVE_WEBHOOKS, 1)?.is_empty() {
        return Ok(Place::default());
    }
    let stream = outbox::stream(turn, shard)?;
    Ok(Place {
        epoch: stream.epoch,
        seq: stream.next - 1,
    })
}

fn keep<S: Write>(turn: &mut Turn<'_, S>, record: &Record) -> Result<Reply, S> {
    let shard = record.shard;
    let key = key::told(shard);
    let told = turn.read::<Told>(&key)?;
    let is_current = |told: &Told| told.generation == record.generation;
    let Some(mut told) = told.filter(is_current) else {
        return refuse::<S>(Refusal::Superseded);
    };
    // The same is asked again when nobody answers, and may be on its way twice.
    if record.number <= told.number {
        return Ok(Reply::Nothing);
    }
    told.number = record.number;
    told.cursor = told.cursor.max(record.cursor);
    turn.put(&key, &told)?;
    for (webhook, settled) in &record.lanes {
        let key = key::lane(shard, *webhook);
        match settled {
            Some(settled) if is_there(turn, *webhook)? => {
                turn.put(&key, &Lane { settled: *settled })?;
            }
            _ if turn.exists(&key)? => turn.remove(&key)?,
            _ => {}
        }
    }
    for change in &record.rows {
        match change {
            Change::Put(row) => put(turn, shard, row)?,
            Change::Remove { webhook, message } => {
                remove(turn, shard, *webhook, *message)?;
            }
        }
    }
    for (webhook, since) in &record.failing {
        let key = key::failing(*webhook);
        match since {
            Some(since) if is_there(turn, *webhook)? => {
                // Another dispatcher may have seen it fail before.
                let stored = turn.read::<Failing>(&key)?;
                let since = stored.map_or(*since, |stored| stored.since.min(*since));
                turn.put(&key, &Failing { since })?;
            }
            _ if turn.exists(&key)? => turn.remove(&key)?,
            _ => {}
        }
    }
    Ok(Reply::Done {
        version: turn.version,
    })
}

fn is_there<S: Write>(turn: &Turn<'_, S>, webhook: WebhookId) -> Result<bool, S> {
    turn.exists(&key::whereabouts(webhook))
}

/// Keeps what was not delivered, in the place of an older state of it.
fn put<S: Write>(turn: &mut Turn<'_, S>, shard: u16, row: &Undelivered) -> Result<(), S> {
    let (webhook, message) = (row.webhook, row.message.id);
    remove(turn, shard, webhook, message)?;
    if !is_there(turn, webhook)? {
        return Ok(());
    }
    turn.put(&key::undelivered(webhook, shard, message), row)?;
    if let Some(due) = row.due {
        let due = key::due_again_of(shard, webhook).number(due);
        turn.put_bytes(&due.message(message), &[])?;
    }
    let dropped = key::dropped(shard).number(row.until).webhook(webhook);
    turn.put_bytes(&dropped.message(message), &[])
}

/// Returns whether it was kept.
fn remove<S: Write>(
    turn: &mut Turn<'_, S>,
    shard: u16,
    webhook: WebhookId,
    message: MessageId,
) -> Result<bool, S> {
    let key = key::undelivered(webhook, shard, message);
    let Some(row) = turn.read::<Undelivered>(&key)? else {
        return Ok(false);
    };
    turn.remove(&key)?;
    if let Some(due) = row.due {
        let due = key::due_again_of(shard, webhook).number(due);
        turn.remove(&due.message(message))?;
    }
    let dropped = key::dropped(shard).number(row.until).webhook(webhook);
    turn.remove(&dropped.message(message))?;
    Ok(true)
}

/// Drops what was to be kept until then, as much as one entry may.
fn prune<S: Write>(turn: &mut Turn<'_, S>, shard: u16, until: u64) -> Result<Reply, S> {
    let damaged = || CatalogError::Damaged("what was not delivered");
    let limit = usize::try_from(outbox::PER_ENTRY).unwrap_or(usize::MAX);
    let mut objects = 0;
    for suffix in turn.suffixes(&key::dropped(shard), limit)? {
        let (moment, webhook, message) = key::parse_dropped(&suffix).ok_or_else(damaged)?;
        if moment > until {
            break;
        }
        objects += u64::from(remove(turn, shard, webhook, message)?);
    }
    Ok(match objects {
        0 => Reply::Nothing,
        _ => Reply::Collected { objects, bytes: 0 },
    })
}

/// Has what was not delivered attempted again.
fn retry<S: Write>(
    turn: &mut Turn<'_, S>,
    webhook: WebhookId,
    messages: &[(u16, MessageId)],
    due: u64,
) -> Result<Reply, S> {
    if !is_there(turn, webhook)? {
        return refuse::<S>(Refusal::WebhookUnknown);
    }
    let mut objects = 0;
    for (shard, message) in messages {
        let key = key::undelivered(webhook, *shard, *message);
        if let Some(mut row) = turn.read::<Undelivered>(&key)? {
            row.due = Some(due);
            put(turn, *shard, &row)?;
            objects += 1;
        }
    }
    Ok(match objects {
        0 => Reply::Nothing,
        _ => Reply::Collected { objects, bytes: 0 },
    })
}
