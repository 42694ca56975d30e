//! When a receiver wants to be asked again: the header `Retry-After` (RFC 9110, section 10.2.3).

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;

/// Both forms of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// So long after the answer.
    Delay(Duration),
    /// Then, in milliseconds since the Unix epoch.
    At(u64),
}

// === impl RetryAfter ===

impl RetryAfter {
    /// Reads the value of the header. What is neither of its forms says nothing.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let value = value.trim_matches([' ', '\t']);
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            // A number that is too large asks for the longest wait.
            let seconds = value.parse().unwrap_or(u64::MAX);
            return Some(Self::Delay(Duration::from_secs(seconds)));
        }
        static PARSER: DateTimeParser = DateTimeParser::new();
        let date = PARSER.parse_timestamp(
            value
                .strip_suffix("GMT")
                .map_or_else(|| value.to_owned(), |date| format!("{date}+0000")),
        );
        let millis = date.ok()?.as_millisecond();
        u64::try_from(millis).ok().map(Self::At)
    }

    /// How long it is until then.
    #[must_use]
    pub const fn from(self, now: u64) -> Duration {
        match self {
            Self::Delay(delay) => delay,
            Self::At(millis) => Duration::from_millis(millis.saturating_sub(now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let delay = |seconds| Some(RetryAfter::Delay(Duration::from_secs(seconds)));
        assert_eq!(RetryAfter::parse("120"), delay(120));
        assert_eq!(RetryAfter::parse(" 0\t"), delay(0));
        assert_eq!(RetryAfter::parse(&"9".repeat(400)), delay(u64::MAX));
        let date = RetryAfter::parse("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date, Some(RetryAfter::At(784_111_777_000)));
        let left = date.unwrap().from(784_111_770_000);
        assert_eq!(left, Duration::from_secs(7));
        assert_eq!(date.unwrap().from(u64::MAX), Duration::ZERO);
    }

    #[test]
    fn anything_else_says_nothing() {
        for value in [
            "",
            "-1",
            "+1",
            "1.5",
            "soon",
            "1 s",
            "Sun, 06 Nov 1994",
            "Thu, 01 Jan 1960 00:00:00 GMT",
            "Mon, 99 Foo 2024 99:99:99 GMT",
        ] {
            assert_eq!(RetryAfter::parse(value), None, "{value:?}");
        }
    }
}
