//! The physical names of stored objects.
//!
//! Owns [`BlobKey`], its one text, and the order in which keys are listed. Keeps the invariant that
//! a key's text is safe as a path and as an object key: it is built from validated parts only, never
//! from what a client sent. Leaves to the metadata service which blob an object belongs to, and that
//! no pair of epoch and generation is ever given twice.

use std::cmp::Ordering;
use std::fmt;
use std::iter;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest [`RegistryKey`], in bytes.
const MAX_REGISTRY: usize = 64;

/// Which registry an object belongs to: 1 to 64 lower-case letters, digits and hyphens.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RegistryKey(Arc<str>);

/// The fenced name of one stored object. It names no content: which digest lies there is written in
/// the metadata. A key is never used again, so a late delete can never hit a newer object.
///
/// Its text is the object's place in every store, `<registry>/<shard>/<epoch>-<generation>`, with
/// the numbers as 16 hexadecimal digits and the shard as the last two of the generation:
/// `18bcfe5687b-0-eu/2a/0000000000000001-000000000000042a`. Keys are ordered as their texts are,
/// which is also the order in which object stores list them.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlobKey {
    /// The registry.
    pub registry: RegistryKey,
    /// The epoch in which the generation was given out.
    pub epoch: u64,
    /// The generation, unique in its epoch.
    pub generation: u64,
}

/// Why a string is not the text of a [`BlobKey`] or of a part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an object's key reads `<registry>/<shard>/<epoch>-<generation>`, all in lower case")]
pub struct ParseBlobKeyError;

// === impl RegistryKey ===

impl RegistryKey {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RegistryKey {
    type Err = ParseBlobKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if text.is_empty() || text.len() > MAX_REGISTRY || !text.bytes().all(plain) {
            return Err(ParseBlobKeyError);
        }
        Ok(Self(text.into()))
    }
}

impl Ord for RegistryKey {
    /// As the text with the slash that follows it in a key: a hyphen sorts before a slash, and a
    /// digit after it.
    fn cmp(&self, other: &Self) -> Ordering {
        let slash = || iter::once(b'/');
        let (left, right) = (self.0.bytes(), other.0.bytes());
        left.chain(slash()).cmp(right.chain(slash()))
    }
}

impl PartialOrd for RegistryKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl TryFrom<String> for RegistryKey {
    type Error = ParseBlobKeyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RegistryKey> for String {
    fn from(key: RegistryKey) -> Self {
        key.as_str().to_owned()
    }
}

impl fmt::Display for RegistryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RegistryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

// === impl BlobKey ===

impl BlobKey {
    /// The last eight bits of the generation: consecutive objects spread over 256 folders.
    #[must_use]
    pub const fn shard(&self) -> u8 {
        self.generation.to_le_bytes()[0]
    }

    /// The last part of the text.
    #[cfg(feature = "disk")]
    pub(crate) fn leaf(&self) -> String {
        format!("{:016x}-{:016x}", self.epoch, self.generation)
    }

    /// The key of `registry` whose last part is `leaf`.
    pub(crate) fn from_leaf(registry: RegistryKey, leaf: &str) -> Option<Self> {
        let (epoch, generation) = leaf.split_once('-')?;
        Some(Self {
            registry,
            epoch: number(epoch)?,
            generation: number(generation)?,
        })
    }
}

/// Sixteen lower-case hexadecimal digits.
fn number(text: &str) -> Option<u64> {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let whole = text.len() == 16 && text.bytes().all(digit);
    whole.then(|| u64::from_str_radix(text, 16).ok())?
}

impl FromStr for BlobKey {
    type Err = ParseBlobKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (registry, rest) = text.split_once('/').ok_or(ParseBlobKeyError)?;
        let (shard, leaf) = rest.split_once('/').ok_or(ParseBlobKeyError)?;
        let key = Self::from_leaf(registry.parse()?, leaf).ok_or(ParseBlobKeyError)?;
        if leaf.ends_with(shard) && shard.len() == 2 {
            Ok(key)
        } else {
            Err(ParseBlobKeyError)
        }
    }
}

impl Ord for BlobKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let rest = |key: &Self| (key.shard(), key.epoch, key.generation);
        let by_registry = self.registry.cmp(&other.registry);
        by_registry.then_with(|| rest(self).cmp(&rest(other)))
    }
}

impl PartialOrd for BlobKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl TryFrom<String> for BlobKey {
    type Error = ParseBlobKeyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<BlobKey> for String {
    fn from(key: BlobKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (registry, shard) = (&self.registry, self.shard());
        let (epoch, generation) = (self.epoch, self.generation);
        write!(f, "{registry}/{shard:02x}/{epoch:016x}-{generation:016x}")
    }
}

impl fmt::Debug for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(registry: &str, epoch: u64, generation: u64) -> BlobKey {
        BlobKey {
            registry: registry.parse().unwrap(),
            epoch,
            generation,
        }
    }

    #[test]
    fn text_round_trips() {
        for key in [
            key("18bcfe5687b-0-eu", 1, 0x42a),
            key("-", 0, 0),
            key("a", u64::MAX, u64::MAX),
            key(&"z".repeat(64), 1 << 63, (1 << 31) - 5),
        ] {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        assert_eq!(
            key("a", 1, 0x42a).to_string(),
            "a/2a/0000000000000001-000000000000042a"
        );
    }

    #[test]
    fn a_key_has_one_text() {
        for text in [
            "",
            "a",
            "a/2a",
            "/2a/0000000000000001-000000000000042a",
            "../2a/0000000000000001-000000000000042a",
            "A/2a/0000000000000001-000000000000042a",
            "a/2b/0000000000000001-000000000000042a",
            "a/a/0000000000000001-000000000000042a",
            "a//0000000000000001-000000000000042a",
            "a/2a/0000000000000001-000000000000042A",
            "a/2a/1-42a",
            "a/2a/0000000000000001-000000000000042a/",
            "a/2a/+000000000000001-000000000000042a",
            "a\0/2a/0000000000000001-000000000000042a",
        ] {
            assert_eq!(text.parse::<BlobKey>(), Err(ParseBlobKeyError), "{text}");
        }
        assert!("a".repeat(65).parse::<RegistryKey>().is_err());
    }

    #[test]
    fn order_is_the_order_of_the_texts() {
        let mut keys = Vec::new();
        for registry in ["a", "a-", "a-b", "a0", "ab", "b", "-"] {
            for (epoch, generation) in [(0, 0), (0, 0x1ff), (1, 0xff), (7, 0x100), (0, 2)] {
                keys.push(key(registry, epoch, generation));
            }
        }
        let mut texts: Vec<_> = keys.iter().map(ToString::to_string).collect();
        keys.sort();
        texts.sort();
        let sorted: Vec<_> = keys.iter().map(ToString::to_string).collect();
        assert_eq!(sorted, texts);
    }
}
