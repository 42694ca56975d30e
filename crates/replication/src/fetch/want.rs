//! What is wanted, and what the state says of it.

use std::fmt;
use std::ops::Range;

use meridian_clock::Region;
use meridian_event::RegistryId;
use meridian_oci::{Digest, RepositoryName};

/// A body, by the registry that may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Body {
    /// The registry. Nothing is shared between registries, not even what is equal.
    pub registry: RegistryId,
    /// The content.
    pub digest: Digest,
}

/// By which wants of one body, one after the other, are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WantId(pub u64);

/// What a body is to the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Its bytes belong into the state.
    Manifest,
    /// Its bytes belong into the blob store.
    Blob,
}

/// A body that is to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// Which.
    pub body: Body,
    /// Of what kind.
    pub kind: Kind,
    /// Its length in bytes.
    pub size: u64,
    /// A repository that needs it: peers answer for repositories.
    pub repository: RepositoryName,
    /// Who is known to have it, the nearest first. May be empty: then all peers are asked.
    pub holders: Vec<Region>,
}

/// How urgent a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A client waits for it.
    Demand,
    /// Its event is merged, or is next.
    Next,
    /// Everything else.
    Backlog,
}

/// What the state says of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// It is here.
    Here,
    /// It is not.
    Absent {
        /// Whether something that is merged needs it.
        is_wanted: bool,
        /// Parts of it that are here, from an earlier attempt that was cut short.
        parts: Vec<Range<u64>>,
    },
    /// It does not belong into this region, whatever names it.
    Unplaced,
    /// The state did not answer.
    Unclear,
}

/// Where a body goes that is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Landing {
    /// Into memory, until the event that names it is proposed.
    Stage,
    /// Into the state, or into the blob store.
    Store,
}

// === impl Body ===

/// `<registry>/<digest>`.
impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.digest)
    }
}
