//! The hybrid logical clock.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Clock, Region};

/// The stamp that every mutation and every mutable cell carries: wall-clock milliseconds, a
/// counter for mutations within one millisecond, and the region that made it. Totally ordered in
/// that order of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    /// Milliseconds since the Unix epoch, as the stamping clock saw them or was pushed to.
    pub millis: u64,
    /// Distinguishes versions of one millisecond.
    pub counter: u32,
    /// Where the mutation was made.
    pub region: Region,
}

/// A hybrid logical clock: each tick is greater than every tick and every observed version before.
#[derive(Debug)]
pub struct Hlc<C> {
    clock: C,
    region: Region,
    last: Option<Version>,
    max_drift: Duration,
}

/// Why a text is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a version is named as it was shown, <milliseconds>.<counter>@<region>")]
pub struct ParseVersionError;

/// An observed version is further ahead of the local clock than may be absorbed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("version {version} is {ahead:?} ahead of the local clock")]
pub struct DriftExceeded {
    /// The version that was not absorbed.
    pub version: Version,
    /// How far ahead of the local clock it is.
    pub ahead: Duration,
}

// === impl Version ===

impl Version {
    /// The smallest version that `region` can stamp at `millis` after `last`.
    ///
    /// An overflowing counter carries into the milliseconds, so that order never breaks.
    #[must_use]
    pub fn next(last: Option<Self>, millis: u64, region: Region) -> Self {
        let (millis, counter) = match last {
            Some(last) if last.millis >= millis => match last.counter.checked_add(1) {
                Some(counter) => (last.millis, counter),
                None => (last.millis.saturating_add(1), 0),
            },
            _ => (millis, 0),
        };
        Self {
            millis,
            counter,
            region,
        }
    }
}

/// `millis.counter@region`: short, and printable in a header.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}@{}", self.millis, self.counter, self.region)
    }
}

/// Reads a version as it was shown, and in no other form.
impl FromStr for Version {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, ParseVersionError> {
        let parts = || {
            let (moment, region) = text.split_once('@')?;
            let (millis, counter) = moment.split_once('.')?;
            Some(Self {
                millis: millis.parse().ok()?,
                counter: counter.parse().ok()?,
                region: region.parse().ok()?,
            })
        };
        parts()
            .filter(|version| version.to_string() == text)
            .ok_or(ParseVersionError)
    }
}

// === impl Hlc ===

impl<C: Clock> Hlc<C> {
    /// A clock for `region` that absorbs versions up to `max_drift` ahead of `clock`.
    pub const fn new(clock: C, region: Region, max_drift: Duration) -> Self {
        Self {
            clock,
            region,
            last: None,
            max_drift,
        }
    }

    /// A version greater than every one ticked or observed before.
    pub fn tick(&mut self) -> Version {
        let next = Version::next(self.last, self.clock.now_millis(), self.region);
        self.last = Some(next);
        next
    }

    /// Makes later ticks greater than `version`.
    ///
    /// # Errors
    ///
    /// When `version` is too far ahead of the local clock; it is then not absorbed.
    pub fn observe(&mut self, version: Version) -> Result<(), DriftExceeded> {
        let ahead = version.millis.saturating_sub(self.clock.now_millis());
        let ahead = Duration::from_millis(ahead);
        if ahead > self.max_drift {
            return Err(DriftExceeded { version, ahead });
        }
        self.last = self.last.max(Some(version));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ManualClock;

    fn eu() -> Region {
        "eu".parse().unwrap()
    }

    fn hlc(clock: &Arc<ManualClock>) -> Hlc<Arc<ManualClock>> {
        Hlc::new(Arc::clone(clock), eu(), Duration::from_secs(60))
    }

    #[test]
    fn ticks_rise_while_the_clock_stands_or_steps_back() {
        let clock = Arc::new(ManualClock::at(1_000));
        let mut hlc = hlc(&clock);
        let first = hlc.tick();
        let second = hlc.tick();
        clock.set(10);
        let third = hlc.tick();
        assert!(first < second && second < third);
        assert_eq!((third.millis, third.counter), (1_000, 2));
    }

    #[test]
    fn an_observed_version_is_passed() {
        let clock = Arc::new(ManualClock::at(1_000));
        let mut hlc = hlc(&clock);
        let remote = Version {
            millis: 5_000,
            counter: 7,
            region: "us".parse().unwrap(),
        };
        hlc.observe(remote).unwrap();
        assert!(hlc.tick() > remote);
    }

    #[test]
    fn a_version_too_far_ahead_is_refused_and_leaves_no_trace() {
        let clock = Arc::new(ManualClock::at(1_000));
        let mut hlc = hlc(&clock);
        let remote = Version {
            millis: 61_001,
            counter: 0,
            region: eu(),
        };
        assert!(hlc.observe(remote).is_err());
        assert_eq!(hlc.tick().millis, 1_000);
    }

    #[test]
    fn a_full_counter_carries() {
        let last = Version {
            millis: 5,
            counter: u32::MAX,
            region: eu(),
        };
        let next = Version::next(Some(last), 5, eu());
        assert!(next > last);
        assert_eq!((next.millis, next.counter), (6, 0));
    }

    #[test]
    fn a_version_is_read_as_it_is_shown_and_in_no_other_form() {
        let version = Version {
            millis: u64::MAX,
            counter: 7,
            region: "us-east".parse().unwrap(),
        };
        assert_eq!(version.to_string().parse(), Ok(version));
        for text in ["", "5.0", "5@eu", "+5.0@eu", "05.0@eu", "5.-1@eu", "5.0@EU"] {
            assert_eq!(text.parse::<Version>(), Err(ParseVersionError), "{text}");
        }
    }

    #[test]
    fn ties_break_by_region() {
        let at = |region: &str| Version {
            millis: 1,
            counter: 0,
            region: region.parse().unwrap(),
        };
        assert!(at("eu") < at("us"));
    }
}
