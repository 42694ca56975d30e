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

    /// About `span`: at most `percent` of it less or more.
    pub(crate) fn around(&mut self, span: Duration, percent: u32) -> Duration {
        let most = span / 100 * percent;
        span - most + most * 2 / 1_000 * self.thousandths()
    }

    fn thousandths(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((mixed ^ (mixed >> 31)) % 1_001).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_stays_around_and_reaches_both_ends() {
        let mut dice = Dice::new(7);
        let span = Duration::from_secs(1_000);
        let rolls: Vec<_> = (0..10_000)
            .map(|_| dice.around(span, 20).as_secs())
            .collect();
        assert!(rolls.iter().all(|it| (800..=1_200).contains(it)));
        assert!(rolls.iter().any(|it| *it < 805) && rolls.iter().any(|it| *it > 1_195));
        assert_eq!(dice.around(Duration::ZERO, 20), Duration::ZERO);
    }
}
