//! What became of an attempt, and what that says of the receiver.
//!
//! Owns which answers count as what (Standard Webhooks): 2xx is success, and nothing else is. A redirect is
//! a failure, and is not followed: whoever is called was checked, and where a redirect leads was not.

use std::time::Duration;

use crate::RetryAfter;
use crate::guard::{Guard, stands};

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver answered.
    Answered {
        /// The status of the answer.
        status: u16,
        /// When it wants to be asked again.
        retry_after: Option<RetryAfter>,
    },
    /// It did not answer in time.
    TimedOut,
    /// It could not be reached, may not be called, or broke off.
    Failed,
    /// Nothing was sent, and that was not the receiver's fault: a proxy of ours was away, or the dispatcher
    /// was stopping. Counts as no attempt.
    Unsent,
}

/// What an outcome is to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Delivered,
    Failed {
        /// The receiver is overloaded: it is to be left alone for a while.
        is_busy: bool,
        /// It asks not to be told anything for a while.
        is_throttled: bool,
        /// How long it wants to wait.
        asked: Option<Duration>,
    },
    /// It will never take anything again.
    Gone,
    Unsent,
}

// === impl Outcome ===

impl Outcome {
    /// What it is to the engine, `now`.
    pub(crate) fn verdict(self, now: u64) -> Verdict {
        let failed = |is_busy, asked| Verdict::Failed {
            is_busy,
            is_throttled: false,
            asked,
        };
        match self {
            Self::Answered {
                status: 200..=299, ..
            } => Verdict::Delivered,
            Self::Answered {
                status: 300..=399, ..
            } if !stands(Guard::RedirectFails) => Verdict::Delivered,
            Self::Answered { status: 410, .. } if stands(Guard::GoneDisables) => Verdict::Gone,
            Self::Answered {
                status: 429,
                retry_after,
            } => Verdict::Failed {
                is_busy: true,
                is_throttled: true,
                asked: retry_after.map(|it| it.from(now)),
            },
            Self::Answered { retry_after, .. } => failed(false, retry_after.map(|it| it.from(now))),
            Self::TimedOut => failed(true, None),
            Self::Failed => failed(false, None),
            Self::Unsent => Verdict::Unsent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> Verdict {
        let retry_after = None;
        Outcome::Answered {
            status,
            retry_after,
        }
        .verdict(0)
    }

    #[test]
    fn nothing_but_2xx_is_success() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(answered(status), Verdict::Delivered, "{status}");
        }
        for status in [
            100, 199, 300, 301, 302, 304, 307, 308, 400, 404, 500, 503, 599,
        ] {
            let failed = Verdict::Failed {
                is_busy: false,
                is_throttled: false,
                asked: None,
            };
            assert_eq!(answered(status), failed, "{status}");
        }
        assert_eq!(answered(410), Verdict::Gone);
    }

    #[test]
    fn overload_is_told_from_failure() {
        let retry_after = Some(RetryAfter::Delay(Duration::from_secs(7)));
        let busy = Outcome::Answered {
            status: 429,
            retry_after,
        };
        let expected = Verdict::Failed {
            is_busy: true,
            is_throttled: true,
            asked: Some(Duration::from_secs(7)),
        };
        assert_eq!(busy.verdict(0), expected);
        let late = Outcome::TimedOut.verdict(0);
        assert!(matches!(
            late,
            Verdict::Failed {
                is_busy: true,
                is_throttled: false,
                ..
            }
        ));
    }
}
