//! Who else there is, what they told, and what is to be told.

use meridian_clock::{Region, Version};
use meridian_event::{Mark, Notice, RegistryId};
use serde::{Deserialize, Serialize};

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
}
