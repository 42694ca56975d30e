//! What is nowhere, as was known a moment ago.
//!
//! Keeps the invariant that a name is forgotten within a second of the question whose answer it was. How
//! many are remembered is bounded by the cache, which is that of this process: a name that is asked for
//! at many frontends is looked for by each of them once in a second.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meridian_cache::{Cache, CacheKey};
use meridian_clients::RepositoryPath;
use meridian_oci::{Digest, Reference};
use tokio::time::Instant;

const LIFE: Duration = Duration::from_secs(1);

/// What is nowhere.
pub(super) struct Absent {
    cache: Arc<dyn Cache>,
}

/// The name of a manifest that may be nowhere.
pub(super) fn manifest(repository: &RepositoryPath, reference: &Reference) -> CacheKey {
    within(repository, "absent-manifest").with(reference.to_string())
}

/// The name of a blob that may be nowhere.
pub(super) fn blob(repository: &RepositoryPath, digest: &Digest) -> CacheKey {
    within(repository, "absent-blob").with(digest.to_string())
}

/// A registry is named by what it is called, because whoever asks does not know its id.
fn within(repository: &RepositoryPath, space: &'static str) -> CacheKey {
    let key = CacheKey::regional(space).with(repository.registry.to_string());
    key.with(repository.name.to_string())
}

// === impl Absent ===

impl Absent {
    pub(super) fn new(cache: Arc<dyn Cache>) -> Self {
        Self { cache }
    }

    pub(super) async fn knows(&self, name: &CacheKey) -> bool {
        matches!(self.cache.get(name).await, Ok(Some(_)))
    }

    /// Remembers what was nowhere when it was `asked` for.
    pub(super) async fn remember(&self, name: &CacheKey, asked: Instant) {
        let left = LIFE.saturating_sub(asked.elapsed());
        // One that is too old is refused, and what is not remembered is asked for again.
        let _unremembered = self.cache.set(name, Bytes::new(), left).await;
    }
}
