#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod hlc;
mod region;
mod wall;

pub use hlc::{DriftExceeded, Hlc, ParseVersionError, Version};
pub use region::{ParseRegionError, Region};
pub use wall::{Clock, ManualClock, SystemClock};
