//! A number of bytes, as people write it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number of bytes. Written `4MiB`, `1.5 GB` or `4096`; displayed in binary units.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ByteSize(bytesize::ByteSize);

/// A string is not a number of bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a size is a number of bytes with an optional unit, such as `4096`, `64KiB` or `1.5GB`")]
pub struct ParseByteSizeError;

// === impl ByteSize ===

impl ByteSize {
    /// That many bytes.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytesize::ByteSize::b(bytes))
    }

    /// That many times 1024 bytes.
    #[must_use]
    pub const fn kib(kib: u64) -> Self {
        Self(bytesize::ByteSize::kib(kib))
    }

    /// That many times 1024 KiB.
    #[must_use]
    pub const fn mib(mib: u64) -> Self {
        Self(bytesize::ByteSize::mib(mib))
    }

    /// That many times 1024 MiB.
    #[must_use]
    pub const fn gib(gib: u64) -> Self {
        Self(bytesize::ByteSize::gib(gib))
    }

    /// The number of bytes.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0.as_u64()
    }

    /// The number of bytes, or as many as this machine can address.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.as_u64()).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = ParseByteSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_text| ParseByteSizeError)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.display().iec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [("4096", 4096), ("64KiB", 65_536), ("1.5 GB", 1_500_000_000)] {
            assert_eq!(text.parse(), Ok(ByteSize::bytes(bytes)), "{text}");
        }
        for text in ["", "-1", "4 parsecs", "MiB"] {
            assert_eq!(text.parse::<ByteSize>(), Err(ParseByteSizeError), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_in_binary_units() {
        assert_eq!(ByteSize::kib(64).to_string(), "64.0 KiB");
    }
}
