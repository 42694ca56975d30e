//! What is said of the region itself, as JSON and for people.

use std::fmt;

use jiff::Timestamp;
use meridian_clients::Drained;
use meridian_clock::Region;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct RegionView {
    pub(crate) region: String,
    /// Why clients are to be sent to other regions. Absent while they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) drained: Option<DrainView>,
}

/// That clients are to be sent to other regions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct DrainView {
    /// Since when, in milliseconds since 1970.
    pub(crate) since_millis: u64,
    pub(crate) reason: String,
}

/// Has clients sent to other regions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDrain {
    /// One line, which everybody can read.
    pub(crate) reason: String,
}

// === impl RegionView ===

impl RegionView {
    pub(crate) fn new(region: Region, drained: Option<Drained>) -> Self {
        Self {
            region: region.to_string(),
            drained: drained.map(|drained| DrainView {
                since_millis: drained.millis,
                reason: drained.reason,
            }),
        }
    }
}

impl fmt::Display for RegionView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let region = &self.region;
        match &self.drained {
            None => write!(
                f,
                "region {region}: not drained, clients are to be sent here"
            ),
            Some(drained) => {
                let millis = i64::try_from(drained.since_millis).unwrap_or(i64::MAX);
                let since = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
                write!(
                    f,
                    "region {region}: drained since {since:.0}, clients are to be sent to others: {}",
                    drained.reason
                )
            }
        }
    }
}
