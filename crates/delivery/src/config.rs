//! The settings of the engine: when it tries again, when it gives up, how much is under way at once.
//!
//! Owns the defaults and the bounds. Everything that is held in memory has its limit here; what waits for
//! its next attempt is not among it, because that stays in the metadata until it is due.

use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of the delivery engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long to wait before each attempt, from the one before it. As many as there are attempts; the first
    /// is made at once. The list of Standard Webhooks: the last attempt is made after 75 hours.
    #[serde(with = "schedule")]
    pub schedule: Vec<Duration>,
    /// How much of a wait is left to chance, in percent, so that those which failed together do not come back
    /// together.
    pub jitter_percent: u32,
    /// How long to wait at least for a receiver that is overloaded or did not answer in time.
    #[serde(with = "humantime_serde")]
    pub busy_wait: Duration,
    /// After how many failures in a row a receiver is left alone.
    pub breaker_failures: u32,
    /// For how long at first. Doubles with each probe that fails.
    #[serde(with = "humantime_serde")]
    pub breaker_first: Duration,
    /// For how long at most.
    #[serde(with = "humantime_serde")]
    pub breaker_most: Duration,
    /// After how long with nothing but failures a webhook is disabled.
    #[serde(with = "humantime_serde")]
    pub give_up: Duration,
    /// How long a message is kept that was not delivered.
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
    /// Requests to one receiver at once, as long as it is slow or fails.
    pub slots: usize,
    /// Requests to one receiver at once that answers quickly. It has one more with each answer while it uses half of
    /// them, and `slots` again when it fails or is slow. No fewer than `slots`, whatever this says.
    pub slots_most: usize,
    /// What is quick.
    #[serde(with = "humantime_serde")]
    pub quick: Duration,
    /// Requests to all receivers at once.
    pub slots_in_all: usize,
    /// Messages of a webhook and a shard that are held before it falls behind. One event may exceed it.
    pub window: usize,
    /// Messages that are held for all of them. Beyond that each may hold those of one event and no more.
    pub held_in_all: usize,
    /// Events that are read from the log at once, for a webhook that fell behind.
    pub log_page: usize,
    /// Messages that are read at once of those which are due again.
    pub due_page: usize,
    /// How often progress is recorded where nothing failed. What was done since is done again after a crash.
    #[serde(with = "humantime_serde")]
    pub record_every: Duration,
    /// Failures that may wait to be recorded, in each shard. What is under way may exceed it.
    pub record_rows: usize,
    /// How long to wait before asking again for what could not be had: the log, the metadata, a way out.
    #[serde(with = "humantime_serde")]
    pub again: Duration,
    /// How often what was kept for long enough is dropped.
    #[serde(with = "humantime_serde")]
    pub prune_every: Duration,
}

/// What is out of bounds: a line for each setting, which begins with its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct ConfigFault(pub Vec<String>);

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            schedule: vec![
                Duration::ZERO,
                5 * SECOND,
                5 * MINUTE,
                30 * MINUTE,
                2 * HOUR,
                5 * HOUR,
                10 * HOUR,
                14 * HOUR,
                20 * HOUR,
                24 * HOUR,
            ],
            jitter_percent: 20,
            busy_wait: MINUTE,
            breaker_failures: 10,
            breaker_first: MINUTE,
            breaker_most: 30 * MINUTE,
            give_up: 120 * HOUR,
            keep: 30 * DAY,
            slots: 4,
            slots_most: 64,
            quick: SECOND / 2,
            slots_in_all: 256,
            window: 64,
            held_in_all: 65_536,
            log_page: 256,
            due_page: 16,
            record_every: SECOND,
            record_rows: 1_024,
            again: SECOND,
            prune_every: HOUR,
        }
    }
}

impl Config {
    /// Looks for settings that are out of bounds.
    ///
    /// # Errors
    ///
    /// All of them, with what to change.
    pub fn check(&self) -> Result<(), ConfigFault> {
        let mut lines = Vec::new();
        let most = usize::from(u8::MAX);
        within(
            &mut lines,
            "schedule: attempts",
            &self.schedule.len(),
            &(1..=most),
        );
        within(
            &mut lines,
            "jitter_percent",
            &self.jitter_percent,
            &(0..=50),
        );
        within(
            &mut lines,
            "breaker_failures",
            &self.breaker_failures,
            &(1..=1_000),
        );
        for (key, value, range) in [
            ("slots", self.slots, 1..=256),
            ("slots_most", self.slots_most, 1..=1_024),
            ("slots_in_all", self.slots_in_all, 1..=16_384),
            ("window", self.window, 1..=65_536),
            ("held_in_all", self.held_in_all, 1..=1 << 24),
            ("log_page", self.log_page, 1..=65_536),
            ("due_page", self.due_page, 1..=65_536),
            ("record_rows", self.record_rows, 1..=65_536),
        ] {
            within(&mut lines, key, &value, &range);
        }
        for (key, value, range) in [
            ("busy_wait", self.busy_wait, Duration::ZERO..=DAY),
            ("quick", self.quick, Duration::ZERO..=HOUR),
            ("breaker_first", self.breaker_first, SECOND..=DAY),
            ("breaker_most", self.breaker_most, self.breaker_first..=DAY),
            ("give_up", self.give_up, HOUR..=365 * DAY),
            ("keep", self.keep, HOUR..=365 * DAY),
            ("record_every", self.record_every, Duration::ZERO..=HOUR),
            ("again", self.again, SECOND / 100..=HOUR),
            ("prune_every", self.prune_every, SECOND..=DAY),
        ] {
            within(&mut lines, key, &value, &range);
        }
        if lines.is_empty() {
            Ok(())
        } else {
            Err(ConfigFault(lines))
        }
    }
}

fn within<T: PartialOrd + Debug>(
    lines: &mut Vec<String>,
    key: &str,
    value: &T,
    range: &RangeInclusive<T>,
) {
    if !range.contains(value) {
        let (least, most) = (range.start(), range.end());
        lines.push(format!(
            "{key} is {value:?}; it has to lie between {least:?} and {most:?}"
        ));
    }
}

/// A list of durations, as people write them.
mod schedule {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    type Wait = humantime_serde::Serde<Duration>;

    pub(super) fn serialize<S: Serializer>(waits: &[Duration], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(waits.iter().map(|wait| Wait::from(*wait)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Duration>, D::Error> {
        let waits = Vec::<Wait>::deserialize(from)?;
        Ok(waits.into_iter().map(Wait::into_inner).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_standard_webhooks_and_within_bounds() {
        let config = Config::default();
        assert_eq!(config.check(), Ok(()));
        let last: Duration = config.schedule.iter().sum();
        assert_eq!(last, 75 * HOUR + 35 * MINUTE + 5 * SECOND);
        assert_eq!(config.schedule.len(), 10);
    }

    #[test]
    fn settings_read_back_what_they_write() {
        let json = serde_json::to_value(Config::default()).unwrap();
        assert_eq!(json["schedule"][2], "5m");
        assert_eq!(json["give_up"], "5days");
        let config: Config = serde_json::from_value(json).unwrap();
        assert_eq!(config, Config::default());
        assert!(serde_json::from_str::<Config>(r#"{"slot": 3}"#).is_err());
    }

    #[test]
    fn what_is_out_of_bounds_is_told_all_at_once() {
        let config = Config {
            schedule: Vec::new(),
            slots: 0,
            breaker_most: SECOND,
            ..Config::default()
        };
        let fault = config.check().unwrap_err();
        let keys: Vec<_> = fault
            .0
            .iter()
            .filter_map(|it| it.split(' ').next())
            .collect();
        assert_eq!(keys, ["schedule:", "slots", "breaker_most"]);
    }
}
