//! Chance, from a seed that the shell gives.

use std::time::Duration;

/// A stream of numbers that looks random and is not: the same seed, the same numbers (`SplitMix64`).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

// === impl Dice ===

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A part of `span`, from nothing to all of it.
    pub(crate) fn part_of(&mut self, span: Duration) -> Duration {
        let thousandth = u32::try_from(self.roll() % 1_000).unwrap_or_default();
        span / 1_000 * thousandth
    }
}

/// Spreads the bits of a number over all of its bits.
pub(crate) const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
