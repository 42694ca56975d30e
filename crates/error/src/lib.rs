#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

use std::time::Duration;

/// What went wrong, as far as a caller can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request can never succeed as it stands.
    InvalidArgument,
    /// Nobody proved who is asking.
    Unauthenticated,
    /// The asker is known and may not.
    Denied,
    /// The named thing does not exist.
    NotFound,
    /// The thing to be made exists already.
    AlreadyExists,
    /// A precondition of the request does not hold.
    Conflict,
    /// An offset or a range lies outside of what exists.
    OutOfRange,
    /// A limit was reached: of size, of number, of rate, of space.
    ResourceExhausted,
    /// A dependency is away; the same request may succeed later.
    Unavailable,
    /// The time given to the request ran out; its effect is unknown.
    DeadlineExceeded,
    /// This registry does not do that.
    Unsupported,
    /// A bug, a broken invariant, or a failure of the machine.
    Internal,
}

/// Whether the same request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It would fail again.
    No,
    /// It may succeed, not before `after` if that is given.
    Yes {
        /// How long to wait first.
        after: Option<Duration>,
    },
}

/// Implemented by every error that leaves a crate.
pub trait Classify: std::error::Error {
    /// The class of this failure.
    fn code(&self) -> Code;

    /// Whether sending the same request again may help. The default follows from the class.
    fn retry(&self) -> Retry {
        match self.code() {
            Code::Unavailable | Code::DeadlineExceeded => Retry::Yes { after: None },
            _ => Retry::No,
        }
    }
}

/// An error and its causes in one line, outermost first. Errors do not repeat their source in
/// their own text, so this is the one place that joins them.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Away;

    impl std::fmt::Display for Away {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("away")
        }
    }

    impl std::error::Error for Away {}

    impl Classify for Away {
        fn code(&self) -> Code {
            Code::Unavailable
        }
    }

    #[test]
    fn what_is_away_may_come_back() {
        assert_eq!(Away.retry(), Retry::Yes { after: None });
    }

    #[test]
    fn a_chain_names_each_cause_once() {
        let error = std::io::Error::other(Away);
        assert_eq!(chain(&error), "away");
    }
}
