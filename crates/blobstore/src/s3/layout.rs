//! Where objects lie in the bucket.
//!
//! ```text
//! <prefix><registry>/<shard>/<epoch>-<generation>           a finished object
//! <prefix><registry>/<shard>/<epoch>-<generation>.note      what is known of an unfinished one
//! ```
//!
//! Both lie side by side, the finished one first, so that one listing of the bucket, in its own
//! order, is a listing of the store in the order of its keys.

use crate::BlobKey;

/// What the name of a note has besides.
const NOTE: &str = ".note";

/// The names in one bucket.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    prefix: String,
}

/// What a name in the bucket stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) key: BlobKey,
    pub(super) finished: bool,
}

// === impl Layout ===

impl Layout {
    pub(super) const fn new(prefix: String) -> Self {
        Self { prefix }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn object(&self, key: &BlobKey) -> String {
        format!("{}{key}", self.prefix)
    }

    pub(super) fn note(&self, key: &BlobKey) -> String {
        format!("{}{key}{NOTE}", self.prefix)
    }

    /// What lies there by our doing; `None` if another's.
    pub(super) fn read(&self, name: &str) -> Option<Named> {
        let text = name.strip_prefix(&self.prefix)?;
        let (text, finished) = match text.strip_suffix(NOTE) {
            Some(text) => (text, false),
            None => (text, true),
        };
        let key = text.parse().ok()?;
        Some(Named { key, finished })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_they_stand_for() {
        let layout = Layout::new("some/where/".to_owned());
        let key: BlobKey = "a/2a/0000000000000001-000000000000042a".parse().unwrap();
        let (object, note) = (layout.object(&key), layout.note(&key));
        let named = |finished| {
            let key = key.clone();
            Some(Named { key, finished })
        };
        assert_eq!(layout.read(&object), named(true));
        assert_eq!(layout.read(&note), named(false));
        for stranger in ["", "some/where/else", &object[1..], &format!("{note}.note")] {
            assert_eq!(layout.read(stranger), None, "{stranger}");
        }
    }

    #[test]
    fn a_note_lies_between_its_object_and_the_next_key() {
        let layout = Layout::new(String::new());
        let keys = [
            "a-/00/0000000000000001-0000000000000100",
            "a/00/0000000000000001-0000000000000100",
        ]
        .into_iter()
        .chain([
            "a/00/0000000000000001-0000000000000200",
            "a/00/0000000000000002-0000000000000100",
            "a/01/0000000000000001-0000000000000001",
            "a0/01/0000000000000001-0000000000000001",
        ]);
        let keys: Vec<BlobKey> = keys.map(|key| key.parse().unwrap()).collect();
        let names = keys
            .iter()
            .flat_map(|key| [layout.object(key), layout.note(key)]);
        let names: Vec<_> = names.collect();
        assert!(names.is_sorted(), "{names:?}");
    }
}
