//! What the regions tell each other, as the one who tells it sees it.

use meridian_clock::{Region, Version};
use meridian_event::SHARDS;

use super::Result;
use crate::access::{read, suffixes};
use crate::key::{self, Buried};
use crate::row::Peers;
use crate::{CatalogError, Read};

/// The other regions, as the state knows them.
pub fn peers<S: Read>(store: &S) -> Result<Vec<Region>, S> {
    let peers = read::<Peers, S>(store, key::PEERS)?;
    Ok(peers.unwrap_or_default().regions)
}

/// Whether there is anything to tell other regions.
pub fn has_news<S: Read>(store: &S) -> Result<bool, S> {
    Ok(!suffixes(store, key::TO_TELL, &[], 1)?.is_empty())
}

/// The version of the oldest tombstone, if there is any.
pub fn oldest_tombstone<S: Read>(store: &S) -> Result<Option<Version>, S> {
    let mut oldest: Option<Version> = None;
    for shard in 0..SHARDS {
        let Some(suffix) = suffixes(store, &key::tombstones(shard), &[], 1)?.pop() else {
            continue;
        };
        let buried = Buried::parse(&suffix).ok_or(CatalogError::Damaged("tombstone"))?;
        oldest = Some(oldest.map_or(buried.version, |oldest| oldest.min(buried.version)));
    }
    Ok(oldest)
}
