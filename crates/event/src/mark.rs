//! How far a region is with another one's events.

use meridian_clock::{Region, Version};
use serde::{Deserialize, Serialize};

/// How far a region is with a shard of another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The other region.
    pub origin: Region,
    /// The epoch in which its events count.
    pub epoch: u64,
    /// Every event up to this one is merged.
    pub merged: u64,
    /// The version of that event; unknown after a copy of the state.
    pub version: Option<Version>,
    /// Of events up to this one is not known which of them put what is missing: they came with a copy. 0, if
    /// none did.
    pub copied: u64,
    /// What the other events up to this one put can be served,
    pub complete: u64,
    /// but for what these put. Ascending, at most [`Mark::EXCEPTIONS`].
    pub except: Vec<u64>,
}

// === impl Mark ===

impl Mark {
    /// How many exceptions a mark names. Where there are more, `complete` ends before the next.
    pub const EXCEPTIONS: usize = 64;

    /// Whether the region can serve what an event of the mark's epoch put, or need not any more.
    #[must_use]
    pub fn is_complete(&self, seq: u64) -> bool {
        self.copied < seq && seq <= self.complete && self.except.binary_search(&seq).is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_mark_excepts_is_not_complete_nor_what_was_copied_nor_what_is_behind_it() {
        let mark = Mark {
            origin: "eu".parse().unwrap(),
            epoch: 1,
            merged: 9,
            version: None,
            copied: 1,
            complete: 7,
            except: vec![2, 5],
        };
        let complete: Vec<_> = (1..10).filter(|seq| mark.is_complete(*seq)).collect();
        assert_eq!(complete, [3, 4, 6, 7]);
    }
}
