//! A manifest's cell: what every region knows of it, and how far this one has it.
//!
//! Owns the joins: `add`, `del` and `put` only rise, and the media type is that of the newest put.
//! Regions that joined the same versions hold the same ones, in whatever order they came. The
//! standing is this region's own; that it follows presence is `apply`'s to keep.
//!
//! A cell that says no more than cells did before there were other regions looks as it did: put
//! last by itself, and exposed if it is present.

use meridian_clock::Version;
use meridian_oci::MediaType;
use serde::{Deserialize, Serialize, Serializer};

use super::{FORMAT, GROWN, Row, whole};

/// How far a manifest is here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Standing {
    /// It is not present: never put, or deleted since.
    #[default]
    Absent,
    /// It is present, and its bytes are not here.
    Wanted,
    /// Its bytes are here, and so many of its leaves are not.
    Waiting(u64),
    /// It and all that it needs are here.
    Exposed,
}

/// A manifest's cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// The newest put of it, or of what stands on it.
    pub(crate) add: Option<Version>,
    /// The newest deletion.
    pub(crate) del: Option<Version>,
    /// The newest put of itself, which decides the media type.
    pub(crate) put: Option<Version>,
    /// Before the first put arrives, what its bytes came as.
    pub(crate) media_type: Option<MediaType>,
    /// The length of its bytes; before they are here, what an event or a parent says.
    pub(crate) size: u64,
    pub(crate) standing: Standing,
    /// It is described to its subject under another media type.
    pub(crate) is_misdescribed: bool,
}

/// What is written under [`FORMAT`].
#[derive(Serialize, Deserialize)]
struct Plain {
    add: Version,
    del: Option<Version>,
    size: u64,
    #[serde(with = "crate::compact")]
    media_type: MediaType,
}

/// What is written under [`GROWN`].
#[derive(Serialize, Deserialize)]
struct Grown {
    add: Option<Version>,
    del: Option<Version>,
    put: Option<Version>,
    #[serde(with = "crate::compact")]
    media_type: Option<MediaType>,
    size: u64,
    standing: Standing,
    is_misdescribed: bool,
}

// === impl Manifest ===

impl Manifest {
    /// Whether it is present whoever needs it.
    pub(crate) fn is_added(&self) -> bool {
        self.add > self.del
    }

    /// Whether a tag of that version may show it.
    pub(crate) fn shows(&self, tag: Version) -> bool {
        Some(tag) > self.del
    }

    /// Whether its bytes are here.
    pub(crate) const fn has_body(&self) -> bool {
        matches!(self.standing, Standing::Waiting(_) | Standing::Exposed)
    }

    pub(crate) fn is_exposed(&self) -> bool {
        self.standing == Standing::Exposed
    }

    pub(crate) fn is_absent(&self) -> bool {
        self.standing == Standing::Absent
    }

    /// When it was deleted, if nothing but that is left of it.
    pub(crate) fn tombstone(&self) -> Option<Version> {
        self.del.filter(|_| self.is_absent() && !self.is_added())
    }

    /// Joins the deletion of its repository.
    pub(crate) fn cover(&mut self, del: Option<Version>) {
        self.del = self.del.max(del);
    }

    /// Joins a put of it, or of what stands on it.
    pub(crate) fn raise(&mut self, version: Version) {
        self.add = self.add.max(Some(version));
    }

    /// Joins a put of itself. Returns whether its media type is another one from now on.
    pub(crate) fn name(&mut self, version: Version, media_type: &MediaType) -> bool {
        if self.put >= Some(version) {
            return false;
        }
        self.put = Some(version);
        let is_other = self.media_type.as_ref() != Some(media_type);
        if is_other {
            self.media_type = Some(media_type.clone());
        }
        is_other
    }

    /// What it is where nobody says more.
    fn plain_standing(&self) -> Standing {
        if self.is_added() {
            Standing::Exposed
        } else {
            Standing::Absent
        }
    }

    /// What the older form says, if that is all.
    fn plain(&self) -> Option<(Version, &MediaType)> {
        let is_plain =
            self.put == self.add && self.standing == self.plain_standing() && !self.is_misdescribed;
        self.add.zip(self.media_type.as_ref()).filter(|_| is_plain)
    }
}

impl Serialize for Manifest {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if let Some((add, media_type)) = self.plain() {
            let plain = Plain {
                add,
                del: self.del,
                size: self.size,
                media_type: media_type.clone(),
            };
            return plain.serialize(to);
        }
        let grown = Grown {
            add: self.add,
            del: self.del,
            put: self.put,
            media_type: self.media_type.clone(),
            size: self.size,
            standing: self.standing,
            is_misdescribed: self.is_misdescribed,
        };
        grown.serialize(to)
    }
}

impl Row for Manifest {
    const NAME: &'static str = "manifest";

    fn format(&self) -> u8 {
        if self.plain().is_some() {
            FORMAT
        } else {
            GROWN
        }
    }

    fn read(format: u8, row: &[u8]) -> Option<Self> {
        match format {
            FORMAT => whole::<Plain>(row).map(Self::from),
            GROWN => whole::<Grown>(row).map(Self::from),
            _ => None,
        }
    }
}

impl From<Plain> for Manifest {
    fn from(plain: Plain) -> Self {
        let mut manifest = Self {
            add: Some(plain.add),
            del: plain.del,
            put: Some(plain.add),
            media_type: Some(plain.media_type),
            size: plain.size,
            standing: Standing::Absent,
            is_misdescribed: false,
        };
        manifest.standing = manifest.plain_standing();
        manifest
    }
}

impl From<Grown> for Manifest {
    fn from(grown: Grown) -> Self {
        Self {
            add: grown.add,
            del: grown.del,
            put: grown.put,
            media_type: grown.media_type,
            size: grown.size,
            standing: grown.standing,
            is_misdescribed: grown.is_misdescribed,
        }
    }
}
