//! The name of an entry.
//!
//! Owns the encoding, which keeps the invariant that two keys are equal only if scope, space and all
//! parts are: each of them is preceded by its length, so no choice of names, by whomever, makes two
//! keys meet.

use std::fmt;

use meridian_event::RegistryId;

/// The longest key, in bytes: room for a repository's name, a digest and more.
pub const MAX_KEY_BYTES: usize = 1024;

/// The name of an entry: whose it is, what it is about, and which one.
///
/// ```text
/// 16:18bcfe5687b-3-eu,6:upload,8:team/app,36:0198…,
/// ```
///
/// A key of the region itself has an empty scope, `0:,`, which no registry has.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CacheKey {
    bytes: Vec<u8>,
}

// === impl CacheKey ===

impl CacheKey {
    /// A key of a registry. The space says what it is about, such as `upload`.
    #[must_use]
    pub fn of(registry: RegistryId, space: &'static str) -> Self {
        Self { bytes: Vec::new() }
            .with(registry.to_string())
            .with(space)
    }

    /// A key of the region, for what is asked before a registry is known, such as the rate at which
    /// an address connects.
    #[must_use]
    pub fn regional(space: &'static str) -> Self {
        Self { bytes: Vec::new() }.with("").with(space)
    }

    /// The key with one more part.
    #[must_use]
    pub fn with(mut self, part: impl AsRef<[u8]>) -> Self {
        let part = part.as_ref();
        self.bytes
            .extend_from_slice(part.len().to_string().as_bytes());
        self.bytes.push(b':');
        self.bytes.extend_from_slice(part);
        self.bytes.push(b',');
        self
    }

    /// The encoded key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bytes.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use meridian_clock::Version;
    use proptest::prelude::*;

    use super::*;

    fn registry(millis: u64) -> RegistryId {
        RegistryId::new(Version {
            millis,
            counter: 3,
            region: "eu".parse().unwrap(),
        })
    }

    #[test]
    fn a_key_is_legible() {
        let key = CacheKey::of(registry(0x18b), "upload")
            .with("team/app")
            .with([0xff]);
        assert_eq!(
            format!("{key:?}"),
            r"8:18b-3-eu,6:upload,8:team/app,1:\xff,"
        );
        let key = CacheKey::regional("rate").with("127.0.0.1");
        assert_eq!(format!("{key:?}"), "0:,4:rate,9:127.0.0.1,");
    }

    #[test]
    fn what_could_be_taken_for_a_part_is_none() {
        let key = |parts: &[&str]| {
            let key = CacheKey::of(registry(1), "s");
            parts.iter().fold(key, |key, part| key.with(part))
        };
        let keys = [
            key(&[]),
            key(&[""]),
            key(&["ab", "c"]),
            key(&["a", "bc"]),
            key(&["abc"]),
            key(&["ab,1:c"]),
            key(&["ab,1:c,"]),
            key(&["2:ab,1:c,"]),
        ];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }

    proptest! {
        #[test]
        fn different_names_make_different_keys(
            names in prop::collection::vec(
                (prop::option::of(0..3_u64), prop::collection::vec("[0-9:,a]{0,4}", 0..4)),
                2..40,
            ),
        ) {
            let mut known = BTreeMap::new();
            for (scope, parts) in names {
                let key = match scope {
                    Some(millis) => CacheKey::of(registry(millis), "s"),
                    None => CacheKey::regional("s"),
                };
                let key = parts.iter().fold(key, |key, part| key.with(part));
                let name = (scope, parts);
                let known = known.entry(key).or_insert_with(|| name.clone());
                prop_assert_eq!(known, &name);
            }
        }
    }
}
