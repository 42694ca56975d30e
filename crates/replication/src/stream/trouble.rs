//! How a stream is doing.

use std::fmt;
use std::time::Duration;

use meridian_event::EventId;

/// How a stream is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It takes what comes, and merges it.
    Following,
    /// Events are missing, and the origin is asked for them.
    Gap {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// The next event's version is further ahead of our clock than may be; it goes on when our
    /// clock has caught up.
    Ahead {
        /// How far it is ahead.
        by: Duration,
    },
    /// What could be merged was not, and is tried again.
    Refused,
    /// The log does not lead from here to where the origin is.
    Resyncing(ResyncReason),
    /// It waits for somebody to look at it.
    Halted(Halt),
}

/// Why a stream is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// A record that this program cannot read. A newer one may.
    Undecodable,
    /// An event of another stream, or of none.
    Misplaced(EventId),
    /// Two different events bear one id.
    Diverged(EventId),
}

/// Why the log does not lead from the cursor to the origin's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResyncReason {
    /// The origin's stream has begun anew.
    Epoch(u64),
    /// Neither the event log nor the origin has the next event.
    Lost,
}

// === impl Condition ===

impl Condition {
    /// Whether somebody is to be called.
    #[must_use]
    pub const fn is_alarming(&self) -> bool {
        matches!(
            self,
            Self::Ahead { .. } | Self::Resyncing(_) | Self::Halted(_)
        )
    }
}

/// As an alarm says it.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Following => f.write_str("follows its origin"),
            Self::Gap { from, to } => {
                write!(f, "lacks the events {from} to {to}, and asks its origin")
            }
            Self::Ahead { by } => write!(
                f,
                "waits: the next event's clock is {} s ahead of ours",
                by.as_secs()
            ),
            Self::Refused => f.write_str("could not be merged, and is tried again"),
            Self::Resyncing(ResyncReason::Epoch(epoch)) => {
                write!(f, "cannot be continued: its origin has begun epoch {epoch}")
            }
            Self::Resyncing(ResyncReason::Lost) => {
                f.write_str("cannot be continued: nobody has its next event")
            }
            Self::Halted(Halt::Undecodable) => {
                f.write_str("is stopped: a record cannot be read by this version")
            }
            Self::Halted(Halt::Misplaced(id)) => {
                write!(f, "is stopped: event {id} does not belong here")
            }
            Self::Halted(Halt::Diverged(id)) => {
                write!(f, "is stopped: there are two different events {id}")
            }
        }
    }
}
