//! What requests have in common: where they aim, which request they are, which page they want.

use std::fmt;

use meridian_oci::{RegistryName, RepositoryName};

/// A repository of a registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryPath {
    /// The registry's name; which registry bears it now is decided by the metadata service.
    pub registry: RegistryName,
    /// The repository's name within it.
    pub name: RepositoryName,
}

/// Identifies one request of one client through every retry. 128 bits from a good generator.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub [u8; 16]);

/// Which part of an ordered list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest<T> {
    /// Only items after this one; it need not exist.
    pub after: Option<T>,
    /// At most so many items.
    pub limit: usize,
}

/// A part of an ordered list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in byte order.
    pub items: Vec<T>,
    /// Whether more items follow the last of these.
    pub more: bool,
}

// === impl RequestId ===

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
