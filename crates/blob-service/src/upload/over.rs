//! How sessions ended.
//!
//! Kept in the cache, which may forget: then the store, the metadata and the generations still
//! tell that a session is over, and a repeated PUT is answered by whether the blob is present.
//! What is lost is only that a wrong digest is told from the right one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meridian_cache::{Cache, CacheKey};
use meridian_oci::{Digest, UploadId};

/// The cache is waited for no longer than this: its answer is a convenience. Long enough for it to
/// give up by itself, and to know from then on that it is away.
const PATIENCE: Duration = Duration::from_secs(1);

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its blob was recorded.
    Finished(Digest),
    /// Its client gave it up.
    Cancelled,
    /// Nobody used it.
    Expired,
    /// Its bytes were lost, or were not what was promised.
    Lost,
}

/// The endings of sessions, as far as the cache remembers.
pub(crate) struct Endings {
    cache: Arc<dyn Cache>,
}

// === impl Endings ===

impl Endings {
    pub(crate) fn new(cache: Arc<dyn Cache>) -> Self {
        Self { cache }
    }

    pub(crate) async fn remember(&self, id: &UploadId, ending: Ending, lifetime: Duration) {
        let text = match ending {
            Ending::Finished(digest) => Bytes::from(String::from(digest)),
            Ending::Cancelled => Bytes::from_static(b"cancelled"),
            Ending::Expired => Bytes::from_static(b"expired"),
            Ending::Lost => Bytes::from_static(b"lost"),
        };
        let key = key(id);
        let put = self.cache.set(&key, text, lifetime);
        match tokio::time::timeout(PATIENCE, put).await {
            Ok(Ok(_version)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "an ending was not remembered"),
            Err(_elapsed) => tracing::debug!("an ending was not remembered in time"),
        }
    }

    pub(crate) async fn recall(&self, id: &UploadId) -> Option<Ending> {
        let key = key(id);
        let text = tokio::time::timeout(PATIENCE, self.cache.get(&key)).await;
        match text.ok()?.ok()??.value.as_ref() {
            b"cancelled" => Some(Ending::Cancelled),
            b"expired" => Some(Ending::Expired),
            b"lost" => Some(Ending::Lost),
            digest => std::str::from_utf8(digest)
                .ok()?
                .parse()
                .ok()
                .map(Ending::Finished),
        }
    }
}

/// Ids are unique over all registries, and authenticated before they come here.
fn key(id: &UploadId) -> CacheKey {
    CacheKey::regional("upload").with(id.as_str())
}
