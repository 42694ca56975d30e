//! Whose calls a port takes.

use std::sync::Arc;

use meridian_clock::Region;

/// Of which regions those are who call at a port.
///
/// The role in a certificate stays what it is at home; where it may call is the business of the port.
/// So an agent needs one name only, and no certificate of another region opens a port of this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Of this one.
    Home,
    /// Of one of these, and not of this one.
    Abroad(Arc<[Region]>),
}

// === impl Reach ===

impl Reach {
    /// Whether it is for other regions.
    #[must_use]
    pub const fn is_abroad(&self) -> bool {
        matches!(self, Self::Abroad(_))
    }
}
