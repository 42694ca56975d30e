//! The outbox, as its publisher sees it.

use std::ops::{Bound, ControlFlow};

use meridian_event::{Envelope, SHARDS};

use super::Result;
use crate::access::{exists, read};
use crate::key;
use crate::row::{Outgoing, Row, Stream};
use crate::{CatalogError, Read};

/// The streams of all shards, in the order of the shards.
pub fn streams<S: Read>(store: &S) -> Result<Vec<Stream>, S> {
    (0..SHARDS)
        .map(|shard| {
            let stream = read(store, &key::stream(shard))?;
            stream.ok_or(CatalogError::Damaged("stream"))
        })
        .collect()
}

/// What waits in the outbox of a shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many rows were counted.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the first of them was committed, in milliseconds.
    pub oldest_millis: Option<u64>,
}

/// What waits in the outbox of a shard to be acknowledged, as far as its first `limit` rows.
pub fn backlog<S: Read>(store: &S, shard: u16, limit: usize) -> Result<Backlog, S> {
    let stream = read::<Stream, S>(store, &key::stream(shard))?;
    let stream = stream.ok_or(CatalogError::Damaged("stream"))?;
    let begin = key::outbox(shard, stream.acknowledged + 1);
    let end = key::outbox(shard, u64::MAX);
    let range = (Bound::Included(&*begin), Bound::Included(&*end));
    let (mut backlog, mut first) = (Backlog::default(), None);
    store
        .scan(range, &mut |_, value| {
            if backlog.rows == limit as u64 {
                return ControlFlow::Break(());
            }
            backlog.rows += 1;
            backlog.bytes += value.len() as u64;
            first.get_or_insert_with(|| value.to_vec());
            ControlFlow::Continue(())
        })
        .map_err(CatalogError::Store)?;
    if let Some(first) = first {
        let first = Outgoing::decode::<S::Error>(&first)?;
        backlog.oldest_millis = Some(first.envelope.version.millis);
    }
    Ok(backlog)
}

/// Events of a shard from `seq` on, in order: at most `limit` of them.
pub fn outbox<S: Read>(store: &S, shard: u16, seq: u64, limit: usize) -> Result<Vec<Outgoing>, S> {
    let (begin, end) = (key::outbox(shard, seq), key::outbox(shard, u64::MAX));
    let mut found = Vec::new();
    let mut failed = None;
    let range = (Bound::Included(&*begin), Bound::Included(&*end));
    store
        .scan(range, &mut |_, value| {
            if found.len() == limit {
                return ControlFlow::Break(());
            }
            match Outgoing::decode::<S::Error>(value) {
                Ok(outgoing) => found.push(outgoing),
                Err(error) => {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })
        .map_err(CatalogError::Store)?;
    failed.map_or(Ok(found), Err)
}

/// Consecutive events of a shard, from `from` through `to`, as many as `max_bytes` take, but one at
/// least. Nothing, if the first of them has left the outbox; none, if it was not committed yet.
pub fn events<S: Read>(
    store: &S,
    shard: u16,
    (from, to): (u64, u64),
    max_bytes: usize,
) -> Result<Option<Vec<Envelope>>, S> {
    let stream = read::<Stream, S>(store, &key::stream(shard))?;
    let stream = stream.ok_or(CatalogError::Damaged("stream"))?;
    if from >= stream.next || to < from {
        return Ok(Some(Vec::new()));
    }
    // What is acknowledged may be gone, from the first row on.
    if !exists(store, &key::outbox(shard, from))? {
        return Ok(None);
    }
    let (begin, end) = (key::outbox(shard, from), key::outbox(shard, to));
    let range = (Bound::Included(&*begin), Bound::Included(&*end));
    let (mut rows, mut bytes) = (Vec::new(), 0);
    store
        .scan(range, &mut |_, value| {
            bytes += value.len();
            if bytes > max_bytes && !rows.is_empty() {
                return ControlFlow::Break(());
            }
            rows.push(value.to_vec());
            ControlFlow::Continue(())
        })
        .map_err(CatalogError::Store)?;
    let rows = rows.iter().map(|row| Outgoing::decode::<S::Error>(row));
    let events: Vec<_> = rows
        .map(|row| row.map(|outgoing| outgoing.envelope))
        .collect::<Result<_, S>>()?;
    let seqs = events.iter().map(|event| event.id.seq);
    if !seqs.eq((from..).take(events.len())) {
        return Err(CatalogError::Damaged("event"));
    }
    Ok(Some(events))
}
