//! The `Content-Range` of an uploaded chunk: `<start>-<end>`, both inclusive, without unit or total
//! (distribution-spec "Pushing a blob in chunks"). Whether it continues the session is the blob
//! service's.

use std::fmt;
use std::str::FromStr;

use meridian_error::{Classify, Code};

/// Which bytes of a blob a chunk holds. Never empty, and its length never overflows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentRange {
    start: u64,
    end_inclusive: u64,
}

/// Why a header is not a chunk's range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseContentRangeError {
    /// It is not `^[0-9]+-[0-9]+$`, or a position exceeds [`ContentRange::MAX_POSITION`].
    #[error("content range is malformed")]
    Malformed,
    /// It ends before it starts.
    #[error("content range ends before it starts")]
    Reversed,
}

// === impl ContentRange ===

impl ContentRange {
    /// No blob is that long: 2⁶³ − 1 bytes.
    pub const MAX_POSITION: u64 = i64::MAX as u64;

    /// The chunk from `start` to `end_inclusive`.
    ///
    /// # Errors
    ///
    /// As for parsing.
    pub const fn new(start: u64, end_inclusive: u64) -> Result<Self, ParseContentRangeError> {
        if start > Self::MAX_POSITION || end_inclusive > Self::MAX_POSITION {
            Err(ParseContentRangeError::Malformed)
        } else if start > end_inclusive {
            Err(ParseContentRangeError::Reversed)
        } else {
            Ok(Self {
                start,
                end_inclusive,
            })
        }
    }

    /// Offset of the first byte.
    #[must_use]
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// Offset of the last byte.
    #[must_use]
    pub const fn end_inclusive(&self) -> u64 {
        self.end_inclusive
    }

    /// How many bytes the chunk has, at least one.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.end_inclusive - self.start + 1
    }
}

impl FromStr for ContentRange {
    type Err = ParseContentRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (start, end) = text
            .split_once('-')
            .ok_or(ParseContentRangeError::Malformed)?;
        Self::new(position(start)?, position(end)?)
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end_inclusive)
    }
}

// === impl ParseContentRangeError ===

impl Classify for ParseContentRangeError {
    fn code(&self) -> Code {
        match self {
            Self::Malformed => Code::InvalidArgument,
            Self::Reversed => Code::OutOfRange,
        }
    }
}

/// Only digits: `parse` alone would take a sign.
fn position(digits: &str) -> Result<u64, ParseContentRangeError> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ParseContentRangeError::Malformed);
    }
    digits
        .parse()
        .map_err(|_| ParseContentRangeError::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn hostile_ranges_are_told_apart() {
        use ParseContentRangeError::{Malformed, Reversed};
        for (text, expected) in [
            ("5-1", Reversed),
            ("1-0", Reversed),
            ("0-", Malformed),
            ("-5", Malformed),
            ("-", Malformed),
            ("", Malformed),
            ("5", Malformed),
            ("a-b", Malformed),
            ("+0-1", Malformed),
            ("0-+1", Malformed),
            ("0--1", Malformed),
            ("0-1-2", Malformed),
            (" 0-1", Malformed),
            ("0-1\n", Malformed),
            ("٠-١", Malformed),
            ("0-18446744073709551616", Malformed),
            ("0-18446744073709551615", Malformed),
            ("9223372036854775808-1", Malformed),
            ("bytes 0-9/10", Malformed),
            ("bytes=0-9", Malformed),
            ("0-9/10", Malformed),
        ] {
            assert_eq!(text.parse::<ContentRange>(), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn length_counts_both_ends() {
        assert_eq!("0-0".parse::<ContentRange>().unwrap().length(), 1);
        assert_eq!("007-9".parse::<ContentRange>().unwrap().length(), 3);
        let longest = ContentRange::new(0, ContentRange::MAX_POSITION).unwrap();
        assert_eq!(longest.length(), 1 << 63);
    }

    proptest! {
        #[test]
        fn text_round_trips(start in 0..=ContentRange::MAX_POSITION, more in 0..1_000_000_u64) {
            if let Ok(range) = ContentRange::new(start, start.saturating_add(more)) {
                prop_assert_eq!(range.to_string().parse(), Ok(range));
            }
        }

        #[test]
        fn acceptance_agrees_with_the_grammar(text in "[0-9a+-]{0,6}|\\PC{0,10}") {
            let grammar = regex::Regex::new("^[0-9]+-[0-9]+$").unwrap();
            let malformed = text.parse::<ContentRange>() == Err(ParseContentRangeError::Malformed);
            prop_assert_eq!(!malformed, grammar.is_match(&text));
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = String::from_utf8_lossy(&bytes).parse::<ContentRange>();
        }
    }
}
