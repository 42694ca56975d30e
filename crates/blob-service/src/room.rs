//! Whether the store has room for more bytes.
//!
//! Owns the reserve that uploads leave free: what the metadata needs, where both share a disk, and
//! what a deletion needs in any case. Uploads ask before they begin and with each piece; an upload
//! that has all its bytes may end within the reserve. Leaves to the store how much room there is: one
//! that has no such notion is never full before it says so.

use std::sync::Arc;

use meridian_blobstore::BlobStore;
use meridian_chassis::config::ByteSize;
use meridian_chassis::{Reserve, Room};

/// The reserve takes no more of a small disk than one part in so many: twice what the metadata
/// leave.
const SHARE: u64 = 10;

/// The room that uploads may take.
pub(crate) struct Shelf {
    store: Arc<dyn BlobStore>,
    reserve: Reserve,
}

// === impl Shelf ===

impl Shelf {
    /// The room of `store` but for `min_free`.
    pub(crate) fn new(store: Arc<dyn BlobStore>, min_free: ByteSize) -> Self {
        Self {
            store,
            reserve: Reserve::new("the blobs", min_free, SHARE),
        }
    }

    /// Whether so many bytes more may be written.
    pub(crate) async fn takes(&self, bytes: usize) -> bool {
        if self.reserve.is_due(bytes as u64) {
            match self.store.space().await {
                Ok(None) => {}
                Ok(Some(space)) => self.reserve.look(Room {
                    free: space.free,
                    total: space.total,
                }),
                Err(error) => {
                    let error = meridian_error::chain(&error);
                    tracing::warn!(error, "the room of the blob store is not known");
                }
            }
        }
        !self.reserve.is_low()
    }
}
