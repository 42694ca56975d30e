//! Bandwidth: when what enters a lane has left its sender.
//!
//! Owns the time until which a lane is taken. Keeps two invariants: over any stretch in which the lane
//! is never idle exactly its bandwidth enters, and idle time is not saved up, so that a burst never
//! passes faster than the bandwidth allows. Leaves it to the flows not to ask too early: one that asks
//! only when what it sent before is about to leave takes turns with all others.

use std::num::NonZeroU64;
use std::time::Duration;

use tokio::time::Instant;

use crate::window::SEGMENT;

/// How long before its last bytes leave a flow may hand in more, as to the queue of a network card.
///
/// Timers tick once a millisecond, and whoever waits for one may wait longer still for a processor:
/// with so much handed in, the lane is not idle meanwhile.
pub(crate) const AHEAD: Duration = Duration::from_millis(5);

/// The most that enters in one turn; more would pass through the processor's cache and out of it.
pub(crate) const LARGEST_TURN: usize = 256 * 1024;

/// Hands out the time of a lane.
#[derive(Debug)]
pub(crate) struct Pacer {
    bandwidth: Option<NonZeroU64>,
    /// When the last byte of what entered so far has left.
    free_at: Instant,
}

// === impl Pacer ===

impl Pacer {
    pub(crate) const fn new(bandwidth: Option<NonZeroU64>, now: Instant) -> Self {
        Self {
            bandwidth,
            free_at: now,
        }
    }

    /// For what enters from now on.
    pub(crate) const fn set_bandwidth(&mut self, bandwidth: Option<NonZeroU64>) {
        self.bandwidth = bandwidth;
    }

    /// Takes the lane for so many bytes, as soon as it is free, and says when they have left.
    pub(crate) fn send(&mut self, bytes: usize, now: Instant) -> Instant {
        self.free_at = self.free_at.max(now) + time(bytes, self.bandwidth);
        self.free_at
    }
}

/// The most that may enter in one turn: what passes in a millisecond, at least a segment.
pub(crate) fn turn(bandwidth: Option<NonZeroU64>) -> usize {
    bandwidth.map_or(LARGEST_TURN, |it| {
        carried(it, Duration::from_millis(1)).clamp(SEGMENT, LARGEST_TURN)
    })
}

/// What passes in that time.
pub(crate) fn carried(bandwidth: NonZeroU64, time: Duration) -> usize {
    let bytes = u128::from(bandwidth.get()) * time.as_nanos() / NANOS_PER_SECOND;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// How long so many bytes take; never too short.
fn time(bytes: usize, bandwidth: Option<NonZeroU64>) -> Duration {
    let Some(bandwidth) = bandwidth else {
        return Duration::ZERO;
    };
    let nanos = (bytes as u128 * NANOS_PER_SECOND).div_ceil(u128::from(bandwidth.get()));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pacer(bandwidth: u64) -> (Pacer, Instant) {
        let start = Instant::now();
        (Pacer::new(NonZeroU64::new(bandwidth), start), start)
    }

    #[test]
    fn a_lane_that_is_never_idle_carries_exactly_its_bandwidth() {
        let (mut pacer, start) = pacer(20_000_000);
        let sizes = [1, 1448, 20_000, 77, 262_144];
        let (mut total, mut left) = (0, start);
        for size in sizes.iter().cycle().take(10_000) {
            left = pacer.send(*size, start);
            total += size;
        }
        let exact = Duration::from_nanos(total as u64 * 50);
        assert_eq!(left - start, exact);
    }

    #[test]
    fn idle_time_is_not_saved_up() {
        let (mut pacer, start) = pacer(1000);
        let later = start + Duration::from_secs(60);
        assert_eq!(pacer.send(1000, later), later + Duration::from_secs(1));
    }

    #[test]
    fn what_came_first_leaves_first() {
        let (mut pacer, start) = pacer(1000);
        pacer.send(1000, start);
        let left = pacer.send(500, start + Duration::from_millis(10));
        assert_eq!(left, start + Duration::from_millis(1500));
    }

    #[test]
    fn a_new_bandwidth_is_that_of_what_enters_next() {
        let (mut pacer, start) = pacer(1000);
        pacer.send(1000, start);
        pacer.set_bandwidth(NonZeroU64::new(2000));
        assert_eq!(pacer.send(1000, start), start + Duration::from_millis(1500));
        pacer.set_bandwidth(None);
        assert_eq!(
            pacer.send(1 << 30, start),
            start + Duration::from_millis(1500)
        );
    }

    #[test]
    fn a_turn_is_a_millisecond_within_bounds() {
        assert_eq!(turn(NonZeroU64::new(125_000_000)), 125_000);
        assert_eq!(turn(NonZeroU64::new(625_000)), SEGMENT);
        assert_eq!(turn(NonZeroU64::new(1_250_000_000)), LARGEST_TURN);
        assert_eq!(turn(None), LARGEST_TURN);
    }
}
