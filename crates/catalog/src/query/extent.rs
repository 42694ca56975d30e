//! How much an image is, and what of it is not here.
//!
//! Known from the bytes of manifests, as far as they are here: an image whose manifest is not is taken
//! to be as large as that. Each part counts once, however often it is needed.

use std::collections::BTreeSet;

use meridian_event::{Leaf, RegistryId};
use meridian_oci::{Digest, RepositoryName};

use super::Result;
use super::replication::manifest;
use crate::access::{exists, read};
use crate::key;
use crate::row::Needs;
use crate::{CatalogError, Read};

/// How much an image is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extent {
    /// The bytes of its manifest, and of all that this needs, children and what they need included.
    pub bytes: u64,
    /// What of that is not here.
    pub missing: Vec<Leaf>,
}

/// How much an image is, of whose manifest something is known. No more than `limit` parts are looked
/// at: what comes behind them is left out.
pub fn extent<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
    limit: usize,
) -> Result<Option<Extent>, S> {
    let Some(row) = manifest(store, registry, repository, digest)? else {
        return Ok(None);
    };
    let top = Leaf {
        digest,
        size: row.size,
    };
    let mut walk = Walk {
        seen: BTreeSet::from([digest]),
        left: limit,
        manifests: vec![top],
        extent: Extent::default(),
    };
    while let Some(next) = walk.manifests.pop() {
        let row = manifest(store, registry, repository, next.digest)?;
        let is_here = row.is_some_and(|row| row.has_body());
        walk.count(next, is_here);
        if !is_here {
            continue;
        }
        let needs = key::needs(registry, repository).digest(next.digest);
        let needs = read::<Needs, S>(store, &needs)?;
        let needs = needs.ok_or(CatalogError::Damaged("what a manifest needs"))?;
        for blob in needs.blobs {
            if walk.takes(blob) {
                let is_here = exists(store, &key::blob(registry, blob.digest))?;
                walk.count(blob, is_here);
            }
        }
        for child in needs.children {
            if walk.takes(child) {
                walk.manifests.push(child);
            }
        }
    }
    Ok(Some(walk.extent))
}

/// A walk over what an image needs.
struct Walk {
    seen: BTreeSet<Digest>,
    /// How many parts may still be taken.
    left: usize,
    /// Those that are still to be looked at.
    manifests: Vec<Leaf>,
    extent: Extent,
}

// === impl Walk ===

impl Walk {
    /// Whether a part is new, and there is room for it.
    fn takes(&mut self, part: Leaf) -> bool {
        if self.left == 0 || !self.seen.insert(part.digest) {
            return false;
        }
        self.left -= 1;
        true
    }

    fn count(&mut self, part: Leaf, is_here: bool) {
        self.extent.bytes = self.extent.bytes.saturating_add(part.size);
        if !is_here {
            self.extent.missing.push(part);
        }
    }
}
