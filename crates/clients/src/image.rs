//! How far an image is, in one region and in all of them.
//!
//! Derived from what is merged and what is here, whenever it is asked for: there is no other account
//! of it (design §6.1).

use meridian_clock::{Region, Version};
use meridian_event::Leaf;
use meridian_oci::Digest;

/// What the state of a region says of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageView {
    /// The version of the newest value of the tag that is merged here, or of the newest put or
    /// deletion of the manifest.
    pub version: Version,
    /// The manifest; nothing, if the tag or the manifest was deleted.
    pub digest: Option<Digest>,
    /// The bytes of the manifest, and of all that it needs, as far as that is known.
    pub bytes: u64,
    /// What of it is not here.
    pub missing: Vec<Leaf>,
    /// Whether the region answers it.
    pub is_exposed: bool,
}

/// What a region says of an image to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReport {
    /// As in [`ImageView`].
    pub version: Version,
    /// As in [`ImageView`].
    pub digest: Option<Digest>,
    /// How many bytes of it are here; those of a transfer that runs count.
    pub here: u64,
    /// Of how many, as far as that is known.
    pub of: u64,
    /// Whether the region answers it.
    pub is_exposed: bool,
    /// Why nothing more comes, if nothing does.
    pub trouble: Option<String>,
}

/// How far an image is in all regions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageStatus {
    /// The version that is meant: the newest that any region knows, or the one that was asked for.
    pub version: Version,
    /// Its manifest; nothing, if no region that answers knows of that version yet.
    pub digest: Option<Digest>,
    /// The bytes of the manifest, and of all that it needs, as far as that is known.
    pub bytes: u64,
    /// Each region, the one that is asked first.
    pub regions: Vec<(Region, ImageState)>,
}

/// How far an image is in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageState {
    /// The region has not heard of it.
    Pending,
    /// Some of its bytes are there.
    Copying {
        /// How many.
        here: u64,
        /// Of how many.
        of: u64,
    },
    /// The region answers it.
    Complete,
    /// Something of it is nowhere to be had. It is looked for again and again.
    Failed {
        /// What.
        reason: String,
    },
    /// The region does not answer.
    Unreachable,
}
