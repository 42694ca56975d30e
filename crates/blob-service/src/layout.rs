//! Where objects lie.
//!
//! ```text
//! <registry id>/<shard>/<epoch>-<generation>          18bcfe5687b-0-eu/2a/0…01-0…42a
//! ```
//!
//! An object's key is final from its first byte, so nothing is ever copied or renamed by us, and
//! says nothing of its content: which digest lies there is the metadata's to know. The text is the
//! store's; here stands how it and the metadata's key are told from one another.

use meridian_blobstore::BlobKey;
use meridian_clients::StorageKey;
use meridian_event::RegistryId;

/// The store's name of an object.
pub(crate) fn object(key: StorageKey) -> BlobKey {
    let registry = key.registry.to_string();
    BlobKey {
        registry: registry
            .parse()
            .expect("the text of a registry id is a registry key"),
        epoch: key.epoch,
        generation: key.generation,
    }
}

/// The name of an object that there never is: no registry has this key.
pub(crate) fn nothing() -> BlobKey {
    BlobKey {
        registry: "probe".parse().expect("it is a registry key"),
        epoch: 0,
        generation: 0,
    }
}

/// The metadata's name of an object; `None` if it lies there by another's doing.
pub(crate) fn storage_key(key: &BlobKey) -> Option<StorageKey> {
    Some(StorageKey {
        registry: key.registry.as_str().parse::<RegistryId>().ok()?,
        epoch: key.epoch,
        generation: key.generation,
    })
}

#[cfg(test)]
mod tests {
    use meridian_clock::Version;
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn both_names_say_the_same(millis: u64, counter: u32, epoch: u64, generation: u64, region in "[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?") {
            let region = region.parse().unwrap();
            let registry = RegistryId::new(Version { millis, counter, region });
            let key = StorageKey { registry, epoch, generation };
            let text = object(key).to_string();
            prop_assert_eq!(storage_key(&text.parse().unwrap()), Some(key));
        }
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let stranger = "lost-found/2a/0000000000000001-000000000000002a";
        assert_eq!(storage_key(&stranger.parse().unwrap()), None);
    }
}
