//! Whether a receiver is asked at all.
//!
//! ```text
//!   closed --n failures in a row--> open --its time is over--> probing --success--> closed
//!                                    ^                            |
//!                                    +--failure, twice as long----+
//! ```

use crate::Config;
use crate::dice::Dice;
use crate::guard::{Guard, stands};
use crate::schedule::millis;

/// The breaker of one receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breaker {
    Closed {
        /// In a row.
        failures: u32,
    },
    Open {
        /// In milliseconds since the Unix epoch.
        until: u64,
        /// Probes that failed.
        probes: u32,
    },
    /// One message says whether it is back.
    Probing {
        /// Probes that failed.
        probes: u32,
    },
}

// === impl Breaker ===

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Whether another attempt may be made, beside those that are under way.
    pub(crate) fn admits(&mut self, now: u64, under_way: usize) -> bool {
        if let Self::Open { until, probes } = *self
            && until <= now
        {
            *self = Self::Probing { probes };
        }
        match self {
            Self::Closed { .. } => true,
            Self::Open { .. } => false,
            Self::Probing { .. } => under_way == 0 || !stands(Guard::ProbesWithOne),
        }
    }

    /// When it admits a probe, if it admits nothing now.
    pub(crate) const fn opens_at(&self) -> Option<u64> {
        match self {
            Self::Open { until, .. } => Some(*until),
            Self::Closed { .. } | Self::Probing { .. } => None,
        }
    }

    pub(crate) const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    pub(crate) fn succeed(&mut self) {
        *self = Self::default();
    }

    /// Counts a failure, and says whether the receiver is left alone from now on.
    pub(crate) fn fail(&mut self, now: u64, config: &Config, dice: &mut Dice) -> bool {
        let probes = match *self {
            Self::Closed { failures } if failures + 1 < config.breaker_failures => {
                *self = Self::Closed {
                    failures: failures + 1,
                };
                return false;
            }
            Self::Closed { .. } if !stands(Guard::BreakerOpens) => return false,
            Self::Closed { .. } => 0,
            // What was under way when it opened says nothing new.
            Self::Open { .. } => return false,
            Self::Probing { probes } => probes + 1,
        };
        let doubled = config.breaker_first.saturating_mul(1 << probes.min(20));
        let pause = dice.around(doubled.min(config.breaker_most), config.jitter_percent);
        let until = now.saturating_add(millis(pause));
        *self = Self::Open { until, probes };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(breaker: &mut Breaker, now: u64) -> bool {
        let config = Config {
            jitter_percent: 0,
            ..Config::default()
        };
        breaker.fail(now, &config, &mut Dice::new(7))
    }

    #[test]
    fn ten_failures_in_a_row_open_it() {
        let mut breaker = Breaker::default();
        assert!((0..9).all(|_| !fail(&mut breaker, 0)));
        breaker.succeed();
        assert!((0..9).all(|_| !fail(&mut breaker, 0)));
        assert!(breaker.admits(0, 3));
        assert!(fail(&mut breaker, 0));
        assert!(!breaker.admits(59_999, 0));
        assert!(!fail(&mut breaker, 1));
        assert_eq!(breaker.opens_at(), Some(60_000));
    }

    #[test]
    fn one_probe_closes_it_or_opens_it_for_twice_as_long() {
        let mut breaker = Breaker::Open {
            until: 0,
            probes: 0,
        };
        for pause in [120, 240, 480, 960, 1_800, 1_800_u64] {
            let now = breaker.opens_at().unwrap();
            assert!(breaker.admits(now, 0));
            assert!(!breaker.admits(now, 1));
            assert!(fail(&mut breaker, now));
            assert_eq!(breaker.opens_at(), Some(now + pause * 1_000));
        }
        assert!(breaker.admits(u64::MAX, 0));
        breaker.succeed();
        assert!(breaker.admits(u64::MAX, 3) && breaker.is_closed());
    }
}
