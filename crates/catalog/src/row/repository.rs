//! A repository's cell, and the attributes of what is in it.
//!
//! Owns the joins: an attribute is a register, in which the highest version wins, and the deletion of a
//! repository a range tombstone that only rises. What is not newer than the deletion is void, whenever it
//! comes.

use meridian_clock::Version;
use meridian_event::{Attributes, Setting};
use serde::{Deserialize, Serialize};

/// The attributes of a tag or a manifest. They stand under a key of their own, whether or not it is there,
/// so that no copy of it says anything of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rights {
    pub(crate) settings: Attributes<Option<Setting>>,
}

/// A repository's cell. It is kept for ever: it outlives all that its deletion covers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RepositoryCell {
    /// The newest deletion of the repository: what is in it and not newer is deleted.
    pub(crate) del: Option<Version>,
    /// Whether that stands in every row by now that was there before.
    pub(crate) is_swept: bool,
    pub(crate) rights: Rights,
    /// How many tags and manifests have attributes of their own.
    pub(crate) own: u64,
    /// How many of those must not be deleted by their own attributes.
    pub(crate) locks: u64,
    /// How many links ended with the repository, and have their grace still.
    pub(crate) ended: u64,
    /// Whether anything was put since the deletion, while that is swept.
    pub(crate) has_newer: bool,
}

/// How far a deleted repository is swept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) stage: Stage,
    /// The end of the last key that was looked at in it, if any was.
    pub(crate) after: Vec<u8>,
}

/// What is swept of a repository, one after the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    #[default]
    Manifests,
    Leases,
    TagAttributes,
    ManifestAttributes,
}

// === impl Rights ===

impl Rights {
    /// Joins what somebody set. Each attribute decides for itself.
    pub(crate) fn join(&mut self, new: Attributes<Option<Setting>>, must_be_newer: bool) {
        self.settings = self.settings.zip(new).map(|(old, new)| match (old, new) {
            (Some(old), Some(new)) if must_be_newer && new.version <= old.version => Some(old),
            (old, new) => new.or(old),
        });
    }

    /// Without what a deletion of the repository ended.
    pub(crate) fn since(self, del: Option<Version>) -> Self {
        let is_newer = |setting: &Setting| Some(setting.version) > del;
        Self {
            settings: self.settings.map(|setting| setting.filter(is_newer)),
        }
    }

    /// What is in force, where the repository was last deleted then.
    pub(crate) fn in_force(self, del: Option<Version>) -> Attributes<bool> {
        let settings = self.since(del).settings;
        settings.map(|setting| setting.is_none_or(|setting| setting.is_enabled))
    }

    /// Whether nobody set any.
    pub(crate) fn is_empty(self) -> bool {
        self.settings.into_values().all(|setting| setting.is_none())
    }
}

// === impl RepositoryCell ===

impl RepositoryCell {
    /// What is in force for the repository itself.
    pub(crate) fn in_force(&self) -> Attributes<bool> {
        self.rights.in_force(self.del)
    }

    /// The deletion that does not stand in every row yet, so that whoever reads one must know of it.
    pub(crate) fn cover(&self) -> Option<Version> {
        self.del.filter(|_| !self.is_swept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(counter: u32, is_enabled: bool) -> Option<Setting> {
        Some(Setting {
            version: version(counter),
            is_enabled,
        })
    }

    fn version(counter: u32) -> Version {
        Version {
            millis: 1,
            counter,
            region: "eu".parse().unwrap(),
        }
    }

    fn write(setting: Option<Setting>) -> Attributes<Option<Setting>> {
        Attributes {
            write: setting,
            ..Attributes::default()
        }
    }

    #[test]
    fn the_newest_value_wins_in_any_order_and_each_attribute_for_itself() {
        let list = Attributes {
            list: set(9, false),
            ..Attributes::default()
        };
        let all = [
            write(set(1, false)),
            write(set(3, true)),
            write(set(2, false)),
            list,
        ];
        let (mut one, mut other) = (Rights::default(), Rights::default());
        for new in all {
            one.join(new, true);
        }
        for new in all.into_iter().rev().chain(all) {
            other.join(new, true);
        }
        assert_eq!(one, other);
        let is = one.in_force(None);
        assert_eq!(
            (is.write, is.list, is.read, is.delete),
            (true, false, true, true)
        );
    }

    #[test]
    fn what_a_deletion_covers_is_as_if_nobody_had_set_it() {
        let rights = Rights {
            settings: write(set(5, false)),
        };
        assert!(!rights.in_force(Some(version(4))).write);
        assert!(rights.in_force(Some(version(5))).write);
        assert!(rights.since(Some(version(5))).is_empty());
    }
}
