//! What the regions tell each other, as the one who tells it sees it.

use meridian_clock::Region;

use super::Result;
use crate::access::{read, suffixes};
use crate::row::Peers;
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
