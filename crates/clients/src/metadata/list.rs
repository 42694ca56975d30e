//! Lists of what a repository holds.
//!
//! Owns what is asked for and what comes back. A place in a list is a value, which anybody can go on from.

use meridian_clock::Version;
use meridian_oci::{Digest, Reference};

use super::found::Described;

/// Which part of what a repository holds is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRequest {
    /// What.
    pub holding: Holding,
    /// In which order.
    pub order: Order,
    /// Where to go on; from the beginning, if nothing is said.
    pub after: Option<Mark>,
    /// At most so many, and at least one.
    pub limit: usize,
}

/// What is listed of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// Its tags.
    Tags,
    /// The tags of a manifest.
    TagsOf(Digest),
    /// Its manifests.
    Manifests,
}

/// How a list is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By name, in byte order.
    Name,
    /// By the last put, the oldest first.
    Oldest,
    /// By the last put, the newest first.
    Newest,
}

/// A place in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Behind this tag or digest; it need not exist.
    pub after: Reference,
    /// The version that it had when it was listed, which is its place in the order of time.
    pub at: Option<Version>,
}

/// A part of what a repository holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Tags or digests, and what is said of each.
    pub items: Vec<(Reference, Described)>,
    /// Where to go on, if more may follow.
    pub next: Option<Mark>,
}

// === impl ListRequest ===

impl ListRequest {
    /// How much can be put in the order of time.
    pub const MOST: usize = 10_000;
}
