//! The identity and the place of an event.

use std::fmt;
use std::str::FromStr;

use meridian_clock::Region;
use meridian_oci::RepositoryName;
use serde::{Deserialize, Serialize};

use crate::RegistryId;

/// How many shards a region's stream has. Fixed for a cluster's life.
pub const SHARDS: u16 = 16;

/// Which mutation, of all that were ever committed anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventId {
    /// Where the mutation was committed.
    pub region: Region,
    /// Bumped when the region's stream could not be continued.
    pub epoch: u64,
    /// The partition of the region's topic.
    pub shard: u16,
    /// Dense within (region, epoch, shard), from 1.
    pub seq: u64,
}

/// Why a string is not the text of an event id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an event id reads `<region>.<epoch>.<shard>.<seq>`")]
pub struct ParseEventIdError;

/// The shard of a repository's events: FNV-1a over the registry's id and the name, modulo
/// [`SHARDS`]. Part of the wire contract, because consumers and producers must agree on it.
#[must_use]
pub fn shard_of(registry: RegistryId, repository: Option<&RepositoryName>) -> u16 {
    let name = repository.map_or("", RepositoryName::as_str);
    let text = format!("{registry}/{name}");
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    u16::try_from(hash % u64::from(SHARDS)).expect("a remainder of a 16-bit number fits 16 bits")
}

// === impl EventId ===

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            region,
            epoch,
            shard,
            seq,
        } = self;
        write!(f, "{region}.{epoch}.{shard}.{seq}")
    }
}

impl FromStr for EventId {
    type Err = ParseEventIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('.');
        let mut part = || parts.next().ok_or(ParseEventIdError);
        let id = Self {
            region: part()?.parse().map_err(|_| ParseEventIdError)?,
            epoch: part()?.parse().map_err(|_| ParseEventIdError)?,
            shard: part()?.parse().map_err(|_| ParseEventIdError)?,
            seq: part()?.parse().map_err(|_| ParseEventIdError)?,
        };
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(ParseEventIdError)
        }
    }
}

#[cfg(test)]
mod tests {
    use meridian_clock::Version;

    use super::*;

    fn registry() -> RegistryId {
        RegistryId::new(Version {
            millis: 1_700_000_000_000,
            counter: 0,
            region: "eu".parse().unwrap(),
        })
    }

    #[test]
    fn text_round_trips_at_the_ends_of_the_range() {
        for seq in [1, (1 << 31) + 5, (1 << 63) + 5, u64::MAX] {
            let id = EventId {
                region: "us-east".parse().unwrap(),
                epoch: u64::MAX - 1,
                shard: 15,
                seq,
            };
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "eu.1.2",
            "eu.1.2.3.4",
            "eu.+1.2.3",
            "eu.01.2.3",
            "EU.1.2.3",
        ] {
            assert_eq!(text.parse::<EventId>(), Err(ParseEventIdError), "{text}");
        }
    }

    /// Pinned: a change here would scatter a repository's events over two partitions.
    #[test]
    fn a_repository_keeps_its_shard() {
        let shard = |name: &str| shard_of(registry(), Some(&name.parse().unwrap()));
        assert_eq!(
            ["team/app", "library/nginx", "a", "b"].map(shard),
            [
                shard("team/app"),
                shard("library/nginx"),
                shard("a"),
                shard("b")
            ]
        );
        let spread: std::collections::BTreeSet<u16> =
            (0..200).map(|n| shard(&format!("repo{n}"))).collect();
        assert_eq!(spread.len(), usize::from(SHARDS));
    }
}
