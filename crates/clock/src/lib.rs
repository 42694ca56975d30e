//! Time and versions.
//!
//! Owns the only readers of the machine's clocks ([`SystemClock`]) and the hybrid logical clock
//! whose readings order every mutation ([`Version`], [`Hlc`]). Keeps the invariant that a version
//! is greater than every version it follows, whatever the wall clock does. Leaves to others what
//! a version is attached to, and when a clock is too far off to be used.

mod hlc;
mod region;
mod wall;

pub use hlc::{DriftExceeded, Hlc, Version};
pub use region::{ParseRegionError, Region};
pub use wall::{Clock, ManualClock, SystemClock};
