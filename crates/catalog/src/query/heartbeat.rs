//! What the regions tell each other, as the one who tells it sees it.

use meridian_clock::{Region, Version};
use meridian_event::SHARDS;

use super::Result;
use crate::access::{read, suffixes};
use crate::row::{Floor, Peers};
use crate::{Read, key};

/// The other regions, as the state knows them.
pub fn peers<S: Read>(store: &S) -> Result<Vec<Region>, S> {
    let peers = read::<Peers, S>(store, key::PEERS)?;
    Ok(peers.unwrap_or_default().regions)
}

/// Whether there is anything to tell other regions.
pub fn has_news<S: Read>(store: &S) -> Result<bool, S> {
    Ok(!suffixes(store, key::TO_TELL, &[], 1)?.is_empty())
}

/// Up to where all regions are known to have merged everything that any of them did; nothing, while that is
/// not known of each shard.
pub fn settled<S: Read>(store: &S) -> Result<Option<Version>, S> {
    let mut lowest: Option<Version> = None;
    for shard in 0..SHARDS {
        let Some(floor) = read::<Floor, S>(store, &key::floor(shard))? else {
            return Ok(None);
        };
        lowest = Some(lowest.map_or(floor.version, |lowest| lowest.min(floor.version)));
    }
    Ok(lowest)
}
