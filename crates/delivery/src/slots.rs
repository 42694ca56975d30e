//! How many requests a receiver has at once.
//!
//! Few, as long as it is slow or fails: whoever keeps requests for long must not have those that others need. One that
//! answers quickly keeps each for a moment only, and has more, one for each answer, while it uses half of what it may. So a
//! burst of pushes is told as fast as its receiver takes it, and nobody has to say how fast that is.

use crate::Config;
use crate::guard::{Guard, stands};
use crate::schedule::millis;

/// The limit of one receiver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Slots {
    /// Beyond those that each receiver has.
    more: usize,
}

// === impl Slots ===

impl Slots {
    pub(crate) const fn limit(self, config: &Config) -> usize {
        config.slots.saturating_add(self.more)
    }

    /// Takes note of an answer after so many milliseconds, when so many requests were under way.
    pub(crate) fn answered(&mut self, after: u64, under_way: usize, config: &Config) {
        let is_quick = after <= millis(config.quick) || !stands(Guard::SlowHasFew);
        if !is_quick {
            self.more = 0;
            return;
        }
        // Answers that come together are counted before what follows them has begun.
        let is_used = under_way.saturating_mul(2) >= self.limit(config);
        if is_used && self.limit(config) < config.slots_most {
            self.more += 1;
        }
    }

    pub(crate) const fn failed(&mut self) {
        self.more = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            slots: 4,
            slots_most: 6,
            ..Config::default()
        }
    }

    #[test]
    fn quick_answers_bring_more_up_to_a_limit_while_half_of_them_are_used() {
        let (config, mut slots) = (config(), Slots::default());
        assert_eq!(slots.limit(&config), 4);
        slots.answered(50, 1, &config);
        assert_eq!(slots.limit(&config), 4);
        for limit in [5, 6, 6] {
            slots.answered(50, 3, &config);
            assert_eq!(slots.limit(&config), limit);
        }
    }

    #[test]
    fn a_slow_answer_and_a_failure_bring_back_the_first_few() {
        let (config, mut slots) = (config(), Slots::default());
        slots.answered(50, 4, &config);
        slots.answered(501, 4, &config);
        assert_eq!(slots.limit(&config), 4);
        slots.answered(500, 4, &config);
        assert_eq!(slots.limit(&config), 5);
        slots.failed();
        assert_eq!(slots.limit(&config), 4);
    }

    #[test]
    fn there_are_no_fewer_than_each_receiver_has() {
        let config = Config {
            slots: 8,
            ..config()
        };
        let mut slots = Slots::default();
        slots.answered(50, 8, &config);
        assert_eq!(slots.limit(&config), 8);
    }
}
