//! How long to wait before something that failed is tried again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dice::Dice;

/// Waits that double from failure to failure; half of each is left to chance, so that those who
/// failed together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackoffConfig {
    /// After the first failure.
    #[serde(with = "humantime_serde")]
    pub first: Duration,
    /// At most.
    #[serde(with = "humantime_serde")]
    pub most: Duration,
}

/// How often in a row something failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    failures: u32,
}

// === impl BackoffConfig ===

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(200),
            most: Duration::from_secs(30),
        }
    }
}

// === impl Backoff ===

impl Backoff {
    /// Counts a failure, and says how long to wait after it.
    pub(crate) fn fail(&mut self, config: &BackoffConfig, dice: &mut Dice) -> Duration {
        let doubled = config.first.saturating_mul(1 << self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        let half = doubled.min(config.most) / 2;
        half + dice.part_of(half)
    }

    /// Something succeeded.
    pub(crate) const fn succeed(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_start_again_after_a_success() {
        let config = BackoffConfig::default();
        let mut dice = Dice::new(7);
        let mut backoff = Backoff::default();
        for n in 0..40 {
            let whole = config.first.saturating_mul(1 << n.min(20)).min(config.most);
            let wait = backoff.fail(&config, &mut dice);
            assert!(wait >= whole / 2 && wait <= whole, "{n}: {wait:?}");
        }
        backoff.succeed();
        assert!(backoff.fail(&config, &mut dice) <= config.first);
    }
}
