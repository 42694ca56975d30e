//! What lies between the two places of a case, and what nobody can be faster than.

use std::time::Duration;

use meridian_wan::Profile;

/// A path of 80 ms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    /// As a part of the name of a case.
    pub(super) name: &'static str,
    profile: &'static str,
}

// === impl Path ===

impl Path {
    pub(super) const SLOW: Self = Self::of("100 Mbit/s", "80ms,100Mbit/s");
    pub(super) const FAST: Self = Self::of("1 Gbit/s", "80ms,1Gbit/s");
    pub(super) const WIDE: Self = Self::of("no bound", "80ms");
    pub(super) const LOSING: Self =
        Self::of("100 Mbit/s, loss of 0.1 %", "80ms,100Mbit/s,loss=0.1%");
    pub(super) const LOSING_MORE: Self =
        Self::of("100 Mbit/s, loss of 1 %", "80ms,100Mbit/s,loss=1%");

    const fn of(name: &'static str, profile: &'static str) -> Self {
        Self { name, profile }
    }

    pub(super) fn profile(self) -> Profile {
        self.profile.parse().expect("the profiles here are sound")
    }

    /// Half a round trip and the time that the bytes take, in seconds: what is pushed the moment that it is
    /// there, over connections that are open wide, takes no less.
    pub(super) fn floor(self, round_trip: Duration, bytes: f64) -> f64 {
        let bandwidth = self.profile().bandwidth();
        let bandwidth = bandwidth.map_or(f64::INFINITY, |it| approximate(it.get()));
        round_trip.as_secs_f64() / 2.0 + bytes / bandwidth
    }
}

/// Counts of one block as a number to divide.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of one block are far below 2^52"
)]
pub(super) fn approximate(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_half_a_round_trip_and_the_bytes() {
        let floor = Path::SLOW.floor(Duration::from_millis(80), 12.5e6);
        assert!((1.0399..1.0401).contains(&floor), "{floor}");
        assert!(Path::FAST.floor(Duration::from_millis(80), 12.5e6) < 0.15);
    }
}
