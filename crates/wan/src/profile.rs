//! What a path between two regions is like.
//!
//! Owns the figures and their bounds, within which every profile is one that a lane can keep. Its text
//! is in [`text`]: the only way to make one, so that there is one place that checks. What the figures
//! do to bytes is the flow's.

mod text;

use std::num::NonZeroU64;
use std::time::Duration;

pub use text::ParseProfileError;

/// The path between two regions, as both of its lanes keep it.
///
/// Written as `80ms,20MB/s,jitter=5ms,loss=0.1%,window=4MB`; all but the first part may be left out,
/// and the order is free. `80ms` is the **round trip**, as `ping` would show it, so each lane takes
/// half of it; `jitter` is that of the round trip, more or less. The bandwidth is that of each lane,
/// shared by all its connections: `kB`, `MB`, `GB`, `KiB`, `MiB`, `GiB`, `kbit`, `Mbit` or `Gbit` per
/// second; without it there is no bound. `loss` is the share of segments that have to be sent again.
/// `window` is the most that a connection may have on its way in one direction, so that it never
/// carries more than that per round trip.
///
/// The default one is that of a wire: no latency and no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    round_trip: Duration,
    /// Of the round trip: never more than it.
    jitter: Duration,
    bandwidth: Option<NonZeroU64>,
    /// In millionths; at most half.
    loss: u32,
    window: usize,
}

/// What Linux lets a connection have on its way by default: of the 4 MiB of its largest send buffer
/// the payload is some five eighths.
const WINDOW: usize = 2_500_000;

// === impl Profile ===

impl Default for Profile {
    fn default() -> Self {
        Self {
            round_trip: Duration::ZERO,
            jitter: Duration::ZERO,
            bandwidth: None,
            loss: 0,
            window: WINDOW,
        }
    }
}

impl Profile {
    /// How long a byte takes to the other side and its answer back.
    #[must_use]
    pub const fn round_trip(&self) -> Duration {
        self.round_trip
    }

    /// How long a byte takes one way.
    #[must_use]
    pub fn latency(&self) -> Duration {
        self.round_trip / 2
    }

    /// How much longer or shorter a byte may take one way.
    #[must_use]
    pub fn jitter(&self) -> Duration {
        self.jitter / 2
    }

    /// Bytes per second one way, of all connections together.
    #[must_use]
    pub const fn bandwidth(&self) -> Option<NonZeroU64> {
        self.bandwidth
    }

    /// The share of segments that have to be sent again.
    #[must_use]
    pub fn loss(&self) -> f64 {
        f64::from(self.loss) / 1e6
    }

    /// The most bytes that a connection may have on its way, one way.
    #[must_use]
    pub const fn window(&self) -> usize {
        self.window
    }
}

#[cfg(test)]
mod tests;
