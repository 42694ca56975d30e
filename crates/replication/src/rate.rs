//! How fast something goes: an average that forgets.

use std::time::Duration;

/// After this long, what was measured before counts for about a third.
const MEMORY: Duration = Duration::from_secs(10);

/// How much is gathered before it is mixed into the average.
const GRAIN: Duration = Duration::from_millis(250);

/// An exponentially weighted average of something per second.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rate {
    per_second: f64,
    since: Option<Duration>,
    gathered: u64,
}

// === impl Rate ===

impl Rate {
    /// `amount` more came, up to now.
    pub(crate) fn add(&mut self, now: Duration, amount: u64) {
        let since = *self.since.get_or_insert(now);
        self.gathered = self.gathered.saturating_add(amount);
        if now.saturating_sub(since) >= GRAIN {
            self.per_second = self.at(now);
            self.gathered = 0;
            self.since = Some(now);
        }
    }

    /// The average by now, per second.
    #[expect(clippy::cast_precision_loss, reason = "an average is no count")]
    pub(crate) fn at(&self, now: Duration) -> f64 {
        let Some(since) = self.since else {
            return 0.0;
        };
        let span = now.saturating_sub(since).max(GRAIN).as_secs_f64();
        let weight = (-span / MEMORY.as_secs_f64()).exp();
        let latest = self.gathered as f64 / span;
        // The first measurement has nothing to be averaged with.
        if self.per_second == 0.0 {
            latest
        } else {
            self.per_second.mul_add(weight, latest * (1.0 - weight))
        }
    }

    /// How long `amount` takes at this rate, if it goes at all.
    #[expect(clippy::cast_precision_loss, reason = "a forecast is no count")]
    pub(crate) fn time_for(&self, now: Duration, amount: u64) -> Option<Duration> {
        let rate = self.at(now);
        if amount == 0 {
            return Some(Duration::ZERO);
        }
        // Slower than this, it stands still, and the forecast would be no number.
        (rate > 1e-3).then(|| Duration::try_from_secs_f64(amount as f64 / rate).ok())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_flow_is_measured_and_a_dry_one_forgotten() {
        let mut rate = Rate::default();
        for tick in 0..300 {
            rate.add(Duration::from_millis(100 * tick), 1_000);
        }
        let now = Duration::from_secs(30);
        let measured = rate.at(now);
        assert!((9_000.0..11_000.0).contains(&measured), "{measured}");
        let eta = rate.time_for(now, 100_000).unwrap();
        assert!((9..=12).contains(&eta.as_secs()), "{eta:?}");
        assert!(rate.at(Duration::from_secs(90)) < 100.0);
    }

    #[test]
    fn what_stands_still_has_no_end() {
        let rate = Rate::default();
        assert_eq!(rate.time_for(Duration::from_secs(1), 5), None);
        assert_eq!(
            rate.time_for(Duration::from_secs(1), 0),
            Some(Duration::ZERO)
        );
    }
}
