//! How many bytes per second a peer is asked for.
//!
//! The whole of a transfer is charged when it is ordered, and an order is small against a second's
//! budget. So the budget holds on the wire whatever windows the transports below open, and no
//! reader has to be held back byte by byte.

use std::time::Duration;

use crate::guard::{Guard, stands};

/// What may be made up for, if an order came late.
const BURST: Duration = Duration::from_millis(25);

/// One order is at most this part of a second's budget.
const GRAIN: u64 = 25;

/// A bucket of tokens, kept as the moment at which what was taken is paid for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bucket {
    rate: Option<u64>,
    even_at: Duration,
}

// === impl Bucket ===

impl Bucket {
    pub(super) const fn new(rate: Option<u64>) -> Self {
        Self {
            rate,
            even_at: Duration::ZERO,
        }
    }

    pub(super) const fn set_rate(&mut self, rate: Option<u64>) {
        self.rate = rate;
    }

    /// The most that one order may take.
    pub(super) fn grain(&self) -> u64 {
        self.rate.map_or(u64::MAX, |rate| (rate / GRAIN).max(1))
    }

    /// From when on something may be taken, if not now.
    pub(super) fn not_before(&self, now: Duration) -> Option<Duration> {
        let waits = self.rate.is_some() && self.even_at > now && stands(Guard::BudgetKept);
        waits.then_some(self.even_at)
    }

    pub(super) fn take(&mut self, now: Duration, bytes: u64) {
        let Some(rate) = self.rate else {
            return;
        };
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.even_at = self.even_at.max(now.saturating_sub(BURST)) + cost;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes whenever it may, over `millis`; returns how much it took in each millisecond.
    fn drain(bucket: &mut Bucket, millis: u64) -> Vec<u64> {
        let taken = (0..millis).map(|millis| {
            let now = Duration::from_millis(millis);
            let mut taken = 0;
            while bucket.not_before(now).is_none() {
                bucket.take(now, bucket.grain());
                taken += bucket.grain();
            }
            taken
        });
        taken.collect()
    }

    #[test]
    fn every_second_stays_within_a_tenth_of_the_budget() {
        for rate in [64 << 10, 1_000_000, 12_500_000] {
            let taken = drain(&mut Bucket::new(Some(rate)), 10_000);
            for second in taken.windows(1_000) {
                let sum: u64 = second.iter().sum();
                assert!(sum <= rate * 11 / 10, "{sum} of {rate}");
            }
            let all: u64 = taken.iter().sum();
            assert!(all >= rate * 9, "{all} of {rate}");
        }
    }

    #[test]
    fn a_pause_saves_nothing_up() {
        let mut bucket = Bucket::new(Some(1_000_000));
        bucket.take(Duration::ZERO, 1);
        let now = Duration::from_secs(3_600);
        let mut taken = 0;
        while bucket.not_before(now).is_none() {
            bucket.take(now, bucket.grain());
            taken += bucket.grain();
        }
        assert!(taken <= 100_000, "{taken}");
    }

    #[test]
    fn without_a_budget_nothing_waits() {
        let mut bucket = Bucket::new(None);
        bucket.take(Duration::ZERO, u64::MAX);
        assert_eq!(bucket.not_before(Duration::ZERO), None);
    }
}
