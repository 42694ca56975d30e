//! What may be done with a repository, a tag or a manifest.

use meridian_clock::Version;
use meridian_oci::{Digest, Reference, Tag};
use serde::{Deserialize, Serialize};

/// Something for each attribute: whether it is enabled, what a client wants of it, which value won.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes<T> {
    /// Whether it may be deleted.
    pub delete: T,
    /// Whether it may be overwritten, or deleted.
    pub write: T,
    /// Whether it may be pulled.
    pub read: T,
    /// Whether it is in lists.
    pub list: T,
}

/// The value of an attribute, and when it was set. Of two, the one of the higher version wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The version of the mutation.
    pub version: Version,
    /// Whether it is enabled.
    pub is_enabled: bool,
}

/// What attributes are of. Each has its own: those of a tag are not those of its manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Target {
    /// The repository as a whole.
    Repository,
    /// A tag of it.
    Tag(Tag),
    /// A manifest of it.
    Manifest(Digest),
}

// === impl Target ===

impl Target {
    /// What it is called within its repository; a repository is called nothing.
    #[must_use]
    pub fn reference(&self) -> Option<Reference> {
        match self {
            Self::Repository => None,
            Self::Tag(tag) => Some(tag.clone().into()),
            Self::Manifest(digest) => Some((*digest).into()),
        }
    }
}

// === impl Attributes ===

impl Attributes<bool> {
    /// Where nobody said otherwise.
    pub const ENABLED: Self = Self {
        delete: true,
        write: true,
        read: true,
        list: true,
    };

    /// Whether it may be deleted, by both attributes that have a say in that.
    #[must_use]
    pub const fn may_be_deleted(self) -> bool {
        self.delete && self.write
    }

    /// What both allow.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.zip(other).map(|(one, other)| one && other)
    }
}

impl<T> Attributes<T> {
    /// Something else for each.
    #[must_use]
    pub fn map<U>(self, mut change: impl FnMut(T) -> U) -> Attributes<U> {
        Attributes {
            delete: change(self.delete),
            write: change(self.write),
            read: change(self.read),
            list: change(self.list),
        }
    }

    /// Both of each.
    #[must_use]
    pub fn zip<U>(self, other: Attributes<U>) -> Attributes<(T, U)> {
        Attributes {
            delete: (self.delete, other.delete),
            write: (self.write, other.write),
            read: (self.read, other.read),
            list: (self.list, other.list),
        }
    }

    /// One after the other.
    pub fn into_values(self) -> impl Iterator<Item = T> {
        [self.delete, self.write, self.read, self.list].into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_to_be_written_is_not_to_be_deleted_either() {
        let (all, none) = (Attributes::ENABLED, Attributes::default());
        let locked = Attributes {
            write: false,
            ..all
        };
        let kept = Attributes {
            delete: false,
            ..all
        };
        let may = [all, locked, kept, none].map(Attributes::may_be_deleted);
        assert_eq!(may, [true, false, false, false]);
        assert_eq!(locked.and(kept).into_values().filter(|it| *it).count(), 2);
    }
}
