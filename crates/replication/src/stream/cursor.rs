//! Where a stream is, and which it is.

use std::fmt;

use meridian_clock::Region;
use meridian_event::EventId;
use serde::{Deserialize, Serialize};

/// One shard of one region's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamId {
    /// The region in which its events are committed.
    pub origin: Region,
    /// The shard.
    pub shard: u16,
}

/// A place in a stream. Places of a newer epoch are beyond all of an older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cursor {
    /// Bumped when the stream could not be continued.
    pub epoch: u64,
    /// Dense within the epoch; 0 is before the first event.
    pub seq: u64,
}

// === impl StreamId ===

/// `<region>/<shard>`.
impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.origin, self.shard)
    }
}

// === impl Cursor ===

impl Cursor {
    /// The place of an event in its stream.
    #[must_use]
    pub const fn of(id: &EventId) -> Self {
        Self {
            epoch: id.epoch,
            seq: id.seq,
        }
    }

    /// The place after this one.
    pub(crate) const fn next(self) -> Self {
        Self {
            epoch: self.epoch,
            // The last of all numbers has no successor: its stream ends.
            seq: self.seq.saturating_add(1),
        }
    }
}

/// `<epoch>.<seq>`.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.seq)
    }
}
