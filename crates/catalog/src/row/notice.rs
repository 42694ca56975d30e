//! Who else there is, what they told, and what is to be told.

use meridian_clock::{Region, Version};
use meridian_event::{Mark, Notice, RegistryId};
use serde::{Deserialize, Serialize};

use super::{FORMAT, GROWN, Row, whole};

/// The other regions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Peers {
    pub(crate) regions: Vec<Region>,
}

/// A push of which something is to be told once its image can be served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Push {
    pub(crate) registry: RegistryId,
    #[serde(with = "crate::compact")]
    pub(crate) notice: Notice,
    /// The other regions that there were at the push; of a push elsewhere, none.
    pub(crate) regions: Vec<Region>,
    /// Those of them that have not said yet that they can serve it.
    pub(crate) waits: Vec<Region>,
}

/// Up to which event a shard of another region was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Copied {
    pub(crate) seq: u64,
}

/// What another region said last of a shard of this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Heard {
    /// Of the heartbeat.
    pub(crate) version: Version,
    #[serde(with = "crate::compact")]
    pub(crate) mark: Mark,
    /// Up to which event of the mark's epoch was looked for images that the region has completed,
    pub(crate) seen: u64,
    /// but for these, which it had not completed yet. Ascending.
    pub(crate) owed: Vec<u64>,
    /// Up to which version it has merged all that the regions did in the shard, if it says that of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) past: Option<Version>,
}

/// Up to where everything is merged by everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Floor {
    pub(crate) version: Version,
}

/// What other regions know this one by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Own {
    /// When this state heard first that there are others. A region that begins anew, with an empty state, is
    /// born anew.
    pub(crate) born: Version,
}

/// How far this region and another one know each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Met {
    /// When the other one was born, if it said so yet.
    pub(crate) born: Option<Version>,
    /// Since when no tombstone is dropped here that this one has not merged.
    pub(crate) since: Version,
    /// Since when the other one counts on this region so, as far as that is good enough for this one.
    pub(crate) accepted: Option<Version>,
    /// Whether the other one has accepted `since`.
    pub(crate) is_accepted: bool,
    /// The last version that it had stamped when it said so.
    pub(crate) heard: Option<Version>,
}

/// A region that was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Removed {
    /// Which of those that bore its name.
    pub(crate) born: Option<Version>,
    /// Whether what the other one knows of it is merged here.
    pub(crate) is_copied: bool,
}

// === impl Heard ===

impl Row for Heard {
    const NAME: &'static str = "heartbeat";

    fn format(&self) -> u8 {
        match self.past {
            None => FORMAT,
            Some(_) => GROWN,
        }
    }

    fn read(format: u8, row: &[u8]) -> Option<Self> {
        match format {
            // It ends before the field that is not there.
            FORMAT => whole(&[row, &[0]].concat()),
            GROWN => whole(row).filter(|heard: &Self| heard.past.is_some()),
            _ => None,
        }
    }
}

// === impl Met ===

impl Met {
    /// Whether what one of the two says may be merged by the other.
    pub(crate) const fn is_open(&self) -> bool {
        self.accepted.is_some() && self.is_accepted
    }
}
