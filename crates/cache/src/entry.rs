//! What is found under a key.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

/// A value and the version of its write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What was written.
    pub value: Bytes,
    /// Which write it was.
    pub version: EntryVersion,
}

/// Names one write of one entry. Opaque, and never used for another one: not for a later write, nor
/// after the entry was lost and written again, nor by another process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntryVersion([u8; 16]);

/// What became of a conditional write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swap {
    /// The value stands, with this version.
    Stored(EntryVersion),
    /// The entry was not as expected, and is left as it was found.
    Changed(Option<Entry>),
}

/// The state of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// What was counted in this window.
    pub total: u64,
    /// When the window ends, and the counter starts again at 0.
    pub resets_in: Duration,
}

// === impl EntryVersion ===

impl EntryVersion {
    /// A version that no other write has: 128 random bits.
    pub(crate) fn fresh() -> Self {
        Self(rand::random())
    }
}

/// As Redis keeps an entry: the version, then the value.
#[cfg(feature = "redis")]
impl EntryVersion {
    pub(crate) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn join(&self, value: &[u8]) -> Vec<u8> {
        [&self.0[..], value].concat()
    }

    /// Takes an entry apart; `None` if it is too short to be one.
    pub(crate) fn split(mut entry: Bytes) -> Option<(Self, Bytes)> {
        let value = entry.split_off(entry.len().min(16));
        let version = entry.as_ref().try_into().ok()?;
        Some((Self(version), value))
    }
}

impl fmt::Debug for EntryVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}
