//! The name of a region.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name, in bytes. `northamerica-northeast1` fits.
const MAX: usize = 24;

/// The name of a region: `eu`, `us-east`. Lower-case letters, digits and inner hyphens, at most
/// 24 bytes. Ordered as text, which is how ties between versions break.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region {
    /// Padded with zero bytes, which sort before every letter, so that derived order is text order.
    name: [u8; MAX],
}

/// Why a string is not a region's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a region is named by 1 to 24 lower-case letters, digits and inner hyphens, such as `eu` or `us-east`"
)]
pub struct ParseRegionError;

// === impl Region ===

impl Region {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = self.name.iter().position(|byte| *byte == 0);
        let name = &self.name[..end.unwrap_or(MAX)];
        std::str::from_utf8(name).expect("only ASCII is accepted by the parser")
    }
}

impl FromStr for Region {
    type Err = ParseRegionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        let plain = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let inner = !text.starts_with('-') && !text.ends_with('-');
        if bytes.is_empty() || bytes.len() > MAX || !inner || !bytes.iter().all(plain) {
            return Err(ParseRegionError);
        }
        let mut name = [0; MAX];
        name[..bytes.len()].copy_from_slice(bytes);
        Ok(Self { name })
    }
}

impl TryFrom<String> for Region {
    type Error = ParseRegionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.as_str().to_owned()
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in ["eu", "us-east", "northamerica-northeast1", "a"] {
            assert_eq!(name.parse::<Region>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn other_strings_are_refused() {
        for name in [
            "",
            "-a",
            "a-",
            "EU",
            "a.b",
            "a b",
            "abcdefghijklmnopqrstuvwxy",
        ] {
            assert_eq!(name.parse::<Region>(), Err(ParseRegionError), "{name}");
        }
    }

    #[test]
    fn order_is_the_order_of_the_text() {
        let names = ["a", "a-b", "ab", "b"];
        let regions = names.map(|name| name.parse::<Region>().unwrap());
        assert!(regions.is_sorted());
    }
}
