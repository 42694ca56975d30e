//! What the regions tell each other, as the one who tells it sees it.

use meridian_clock::{Region, Version};
use meridian_event::SHARDS;

use super::Result;
use crate::access::{exists, read, suffixes};
use crate::key::{self, Buried};
use crate::row::{Floor, Met, Own, Peers, Removed};
use crate::{CatalogError, Counted, Read};

/// How far this region and another one know each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acquaintance {
    /// The other one.
    pub region: Region,
    /// How this region counts on it.
    pub counted: Counted,
    /// Whether what it says may be merged here, and what this one says there.
    pub is_open: bool,
    /// Whether its state is to be copied before its events are merged.
    pub is_uncopied: bool,
}

/// A region that was removed, and another one that may know more of it than this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    /// The removed one.
    pub removed: Region,
    /// Which of those that bore its name, if it said so.
    pub born: Option<Version>,
    /// The other one.
    pub with: Region,
    /// Whether what that knows of it is merged here.
    pub is_copied: bool,
}

/// The other regions, as the state knows them.
pub fn peers<S: Read>(store: &S) -> Result<Vec<Region>, S> {
    let peers = read::<Peers, S>(store, key::PEERS)?;
    Ok(peers.unwrap_or_default().regions)
}

/// When this state heard first that there are other regions, if it did.
pub fn born<S: Read>(store: &S) -> Result<Option<Version>, S> {
    Ok(read::<Own, S>(store, key::OWN)?.map(|own| own.born))
}

/// Whether this region takes no writes yet, nor merges anything, because it has not met the others.
pub fn is_joining<S: Read>(store: &S) -> Result<bool, S> {
    exists(store, key::JOINING)
}

/// How far the other regions and this one know each other.
pub fn acquaintances<S: Read>(store: &S) -> Result<Vec<Acquaintance>, S> {
    let mut all = Vec::new();
    for region in peers(store)? {
        if let Some(met) = read::<Met, S>(store, &key::met(region))? {
            let counted = Counted {
                born: met.born,
                since: met.since,
                accepted: met.accepted,
            };
            all.push(Acquaintance {
                region,
                counted,
                is_open: met.is_open(),
                is_uncopied: exists(store, &key::uncopied(region))?,
            });
        }
    }
    Ok(all)
}

/// Up to where tombstones are dropped, by shard, as far as they are; empty, if they are nowhere.
pub fn floors<S: Read>(store: &S) -> Result<Vec<Option<Version>>, S> {
    let mut floors = Vec::new();
    for shard in 0..SHARDS {
        let floor = read::<Floor, S>(store, &key::floor(shard))?;
        floors.push(floor.map(|floor| floor.version));
    }
    if floors.iter().all(Option::is_none) {
        floors.clear();
    }
    Ok(floors)
}

/// Regions that were removed, and of which others may know more than this one.
pub fn removals<S: Read>(store: &S) -> Result<Vec<Removal>, S> {
    let mut all = Vec::new();
    for suffix in suffixes(store, key::REMOVALS, &[], usize::MAX)? {
        let damaged = || CatalogError::Damaged("removed region");
        let (removed, with) = key::parse_removal(&suffix).ok_or_else(damaged)?;
        let row = read::<Removed, S>(store, &key::removal(removed, with))?;
        let row = row.ok_or_else(damaged)?;
        all.push(Removal {
            removed,
            born: row.born,
            with,
            is_copied: row.is_copied,
        });
    }
    Ok(all)
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
