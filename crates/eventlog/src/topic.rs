//! The name of a topic.

use std::fmt;
use std::str::FromStr;

use meridian_clock::Region;

/// Longest name, in bytes: what Kafka allows, and what fits a folder's name.
const MAX: usize = 249;

/// The name of a topic: 1 to 249 lower-case letters, digits, dots, underscores and hyphens, with a
/// letter or a digit at both ends. Legal for Kafka and safe as the name of a folder.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Box<str>);

/// Why a string does not name a topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a topic is named by 1 to 249 lower-case letters, digits, dots, underscores and hyphens, with a letter or a digit at both ends"
)]
pub struct ParseTopicError;

// === impl Topic ===

impl Topic {
    /// The topic of a region's events: `meridian.<region>.events.v1`.
    #[must_use]
    pub fn events(region: Region) -> Self {
        Self(format!("meridian.{region}.events.v1").into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Topic {
    type Err = ParseTopicError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let legal = |byte: u8| alphanumeric(byte) || matches!(byte, b'.' | b'_' | b'-');
        let (Some(first), Some(last)) = (text.bytes().next(), text.bytes().last()) else {
            return Err(ParseTopicError);
        };
        let ends = alphanumeric(first) && alphanumeric(last);
        if ends && text.len() <= MAX && text.bytes().all(legal) {
            Ok(Self(text.into()))
        } else {
            Err(ParseTopicError)
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in ["a", "meridian.eu.events.v1", "0_a-b", &"x".repeat(249)] {
            assert_eq!(name.parse::<Topic>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn other_strings_are_refused() {
        let long = "x".repeat(250);
        for name in [
            "", ".", "..", "a.", ".a", "-a", "A", "a/b", "a b", "a\0b", "ä", &long,
        ] {
            assert_eq!(name.parse::<Topic>(), Err(ParseTopicError), "{name}");
        }
    }

    #[test]
    fn the_topic_of_a_region_bears_its_name() {
        let topic = Topic::events("us-east".parse().unwrap());
        assert_eq!(topic.as_str(), "meridian.us-east.events.v1");
        assert_eq!(topic.as_str().parse(), Ok(topic));
    }
}
