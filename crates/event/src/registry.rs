//! The identity of a registry, as opposed to its name.

use std::fmt;
use std::str::FromStr;

use meridian_clock::{Region, Version};
use serde::{Deserialize, Serialize};

/// A registry's id is the version of its creation: unique over all regions, never reused, and
/// ordered by age. Every key, path and cache entry of a registry is scoped by it, so that two
/// registries cannot see each other even if they bear one name in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RegistryId(Version);

/// Why a string is not the text of a registry id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a registry id reads `<millis>-<counter>-<region>`, with the numbers in hexadecimal")]
pub struct ParseRegistryIdError;

// === impl RegistryId ===

impl RegistryId {
    /// The id of the registry that was created at `version`.
    #[must_use]
    pub const fn new(version: Version) -> Self {
        Self(version)
    }

    /// The registry that every region begins with. It was created nowhere: its id is the same in all
    /// regions, so that regions which begin apart do not begin with twins, and older than any other.
    #[must_use]
    pub fn first() -> Self {
        let region = "everywhere".parse();
        Self(Version {
            millis: 0,
            counter: 0,
            region: region.expect("`everywhere` is a valid name of a region"),
        })
    }

    /// When, and where, it was created.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.0
    }
}

/// Lower-case letters, digits and hyphens: safe in a path and in an object key.
impl fmt::Display for RegistryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Version {
            millis,
            counter,
            region,
        } = self.0;
        write!(f, "{millis:x}-{counter:x}-{region}")
    }
}

impl FromStr for RegistryId {
    type Err = ParseRegistryIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '-');
        let mut part = || parts.next().ok_or(ParseRegistryIdError);
        let (millis, counter, region) = (part()?, part()?, part()?);
        let id = Self(Version {
            millis: u64::from_str_radix(millis, 16).map_err(|_| ParseRegistryIdError)?,
            counter: u32::from_str_radix(counter, 16).map_err(|_| ParseRegistryIdError)?,
            region: region.parse::<Region>().map_err(|_| ParseRegistryIdError)?,
        });
        // One text per id: `0A-0-eu` and `+a-0-eu` are not it.
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(ParseRegistryIdError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        let id = RegistryId::new(Version {
            millis: 1_700_000_000_123,
            counter: 3,
            region: "us-east".parse().unwrap(),
        });
        assert_eq!(id.to_string(), "18bcfe5687b-3-us-east");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    /// Pinned: it is part of keys, paths and shards in every region.
    #[test]
    fn the_first_registry_is_the_same_everywhere() {
        assert_eq!(RegistryId::first().to_string(), "0-0-everywhere");
        assert_eq!("0-0-everywhere".parse(), Ok(RegistryId::first()));
    }

    #[test]
    fn an_id_has_one_text() {
        for text in ["", "1-2", "1-2-", "+1-2-eu", "01-2-eu", "A-2-eu", "1-2-EU"] {
            assert_eq!(text.parse::<RegistryId>(), Err(ParseRegistryIdError));
        }
    }
}
