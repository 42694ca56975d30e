//! What a manifest needs.
//!
//! While it waits, the row keeps besides how it will show itself to its subject: a row of the
//! referrers is written when the manifest is exposed, so that a list of them needs no look at each.

use std::collections::BTreeSet;

use meridian_event::Leaf;
use meridian_oci::Digest;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::{FORMAT, GROWN, Referrer, Row, whole};

/// What a manifest needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) blobs: Vec<Leaf>,
    pub(crate) children: Vec<Leaf>,
    pub(crate) subject: Option<Digest>,
    /// How it will show itself among the referrers of its subject, while it waits.
    pub(crate) referrer: Option<Referrer>,
}

/// What is read under [`FORMAT`].
#[derive(Deserialize)]
struct Plain {
    #[serde(with = "crate::compact")]
    blobs: Vec<Leaf>,
    #[serde(with = "crate::compact")]
    children: Vec<Leaf>,
    #[serde(with = "crate::compact")]
    subject: Option<Digest>,
}

/// What is read under [`GROWN`].
#[derive(Deserialize)]
struct Grown {
    plain: Plain,
    referrer: Referrer,
}

/// What is written under [`FORMAT`].
struct PlainShown<'a>(&'a Needs);

/// What is written under [`GROWN`].
#[derive(Serialize)]
struct GrownShown<'a> {
    plain: PlainShown<'a>,
    referrer: &'a Referrer,
}

/// A field in its short form.
#[derive(Serialize)]
#[serde(transparent)]
struct Compact<'a, T: crate::compact::Compact>(#[serde(serialize_with = "short")] &'a T);

fn short<T: crate::compact::Compact, S: Serializer>(value: &&T, to: S) -> Result<S::Ok, S::Error> {
    crate::compact::serialize(*value, to)
}

// === impl Needs ===

impl Needs {
    /// Everything that it needs, each once.
    pub(crate) fn leaves(&self) -> BTreeSet<Digest> {
        let all = self.blobs.iter().chain(&self.children);
        all.map(|leaf| leaf.digest).collect()
    }

    /// The blobs that it needs, each once.
    pub(crate) fn distinct_blobs(&self) -> BTreeSet<Digest> {
        self.blobs.iter().map(|leaf| leaf.digest).collect()
    }

    /// The children that it needs, each once.
    pub(crate) fn distinct_children(&self) -> BTreeSet<Digest> {
        self.children.iter().map(|leaf| leaf.digest).collect()
    }
}

impl Serialize for PlainShown<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut row = to.serialize_struct("Needs", 3)?;
        row.serialize_field("blobs", &Compact(&self.0.blobs))?;
        row.serialize_field("children", &Compact(&self.0.children))?;
        row.serialize_field("subject", &Compact(&self.0.subject))?;
        row.end()
    }
}

impl Serialize for Needs {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let plain = PlainShown(self);
        match &self.referrer {
            None => plain.serialize(to),
            Some(referrer) => GrownShown { plain, referrer }.serialize(to),
        }
    }
}

impl Row for Needs {
    const NAME: &'static str = "needs of a manifest";

    fn format(&self) -> u8 {
        match self.referrer {
            None => FORMAT,
            Some(_) => GROWN,
        }
    }

    fn read(format: u8, row: &[u8]) -> Option<Self> {
        let (plain, referrer) = match format {
            FORMAT => (whole::<Plain>(row)?, None),
            GROWN => {
                let grown = whole::<Grown>(row)?;
                (grown.plain, Some(grown.referrer))
            }
            _ => return None,
        };
        Some(Self {
            blobs: plain.blobs,
            children: plain.children,
            subject: plain.subject,
            referrer,
        })
    }
}
