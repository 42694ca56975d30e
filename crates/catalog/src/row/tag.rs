//! Tags as this region shows them, and the sweeps that hide and show them.

use meridian_clock::Version;
use meridian_oci::{Digest, Tag as TagName};
use serde::{Deserialize, Serialize, Serializer};

use super::{FORMAT, GROWN, Row, whole};

/// A tag as this region shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) version: Version,
    pub(crate) digest: Digest,
    /// A newer value has won, and is not complete here. Written in the format byte, so that whoever
    /// reads the tag of a region that lags behind nobody reads no cell besides.
    pub(crate) is_behind: bool,
}

#[derive(Serialize, Deserialize)]
struct Shown {
    version: Version,
    #[serde(with = "crate::compact")]
    digest: Digest,
}

/// For people, who see no format byte.
#[derive(Serialize)]
struct ShownBehind {
    #[serde(flatten)]
    shown: Shown,
    is_behind: bool,
}

/// How far a manifest's tags are looked through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sweep {
    /// The last one that was looked at, if any was.
    pub(crate) after: Option<TagName>,
}

#[derive(Serialize, Deserialize)]
struct After {
    after: TagName,
}

/// A sweep that did not begin.
#[derive(Serialize, Deserialize)]
struct Unbegun {}

// === impl Tag ===

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let shown = Shown {
            version: self.version,
            digest: self.digest,
        };
        if self.is_behind && to.is_human_readable() {
            let is_behind = true;
            return ShownBehind { shown, is_behind }.serialize(to);
        }
        shown.serialize(to)
    }
}

impl Row for Tag {
    const NAME: &'static str = "tag";

    fn format(&self) -> u8 {
        if self.is_behind { GROWN } else { FORMAT }
    }

    fn read(format: u8, row: &[u8]) -> Option<Self> {
        let is_behind = match format {
            FORMAT => false,
            GROWN => true,
            _ => return None,
        };
        let Shown { version, digest } = whole(row)?;
        Some(Self {
            version,
            digest,
            is_behind,
        })
    }
}

// === impl Sweep ===

impl Serialize for Sweep {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.after {
            Some(after) => After {
                after: after.clone(),
            }
            .serialize(to),
            None => Unbegun {}.serialize(to),
        }
    }
}

impl Row for Sweep {
    const NAME: &'static str = "sweep";

    fn format(&self) -> u8 {
        match self.after {
            Some(_) => FORMAT,
            None => GROWN,
        }
    }

    fn read(format: u8, row: &[u8]) -> Option<Self> {
        let after = match format {
            FORMAT => Some(whole::<After>(row)?.after),
            GROWN => {
                whole::<Unbegun>(row)?;
                None
            }
            _ => return None,
        };
        Some(Self { after })
    }
}
