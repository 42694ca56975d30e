//! The outbox, as its publisher sees it.

use std::ops::{Bound, ControlFlow};

use meridian_event::{Envelope, SHARDS};

use super::Result;
use crate::access::read;
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

/// Events of a shard from `seq` on, in order: at most `limit` of them.
pub fn outbox<S: Read>(store: &S, shard: u16, seq: u64, limit: usize) -> Result<Vec<Envelope>, S> {
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
                Ok(Outgoing(envelope)) => found.push(envelope),
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
