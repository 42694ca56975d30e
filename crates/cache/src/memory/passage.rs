//! How much time has passed, by a clock that may step.

/// Time that never runs backwards: a clock's step back counts as no time, and time goes on from
/// there. A step ahead counts as time, which ends entries early.
#[derive(Debug)]
pub(super) struct Passage {
    last_reading: u64,
    passed: u64,
}

// === impl Passage ===

impl Passage {
    /// No time has passed, and the clock shows `reading`.
    pub(super) const fn from(reading: u64) -> Self {
        Self {
            last_reading: reading,
            passed: 0,
        }
    }

    /// The milliseconds that have passed until the clock shows `reading`.
    pub(super) const fn read(&mut self, reading: u64) -> u64 {
        let since = reading.saturating_sub(self.last_reading);
        self.passed = self.passed.saturating_add(since);
        self.last_reading = reading;
        self.passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_back_are_no_time() {
        let mut passage = Passage::from(1_000);
        let passed = [1_005, 1_005, 400, 410, 2_000].map(|reading| passage.read(reading));
        assert_eq!(passed, [5, 5, 5, 15, 1_605]);
    }
}
