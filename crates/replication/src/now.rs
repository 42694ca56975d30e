//! What time it is, as the shell reads it.

use std::time::Duration;

/// The two clocks of a machine, read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Now {
    /// Since some moment that the shell chose: the monotonic clock, by which one waits.
    pub elapsed: Duration,
    /// Milliseconds since the Unix epoch: the wall clock, with which versions are compared. It may
    /// step, also backwards.
    pub millis: u64,
}

/// The earlier of two moments, of which either may never come.
pub(crate) fn earlier(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (moment, None) | (None, moment) => moment,
    }
}
